"""Device, dtype, and seeded randomness that is the same on every device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..errors import ConfigError, check_count, nearest

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def device(name: str = "auto") -> torch.device:
    """Returns the device of this name. `auto` is CUDA where there is one, else the CPU.

    `cuda` without a CUDA device is an error.

    Under torchrun each process of a machine takes the device of its local rank.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"Unknown device {name!r}. {nearest(name, ['auto', 'cpu', 'cuda'])}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("torch finds no CUDA device. Use --device cpu, or a CUDA build of torch.")
    if name.startswith("cuda") and os.environ.get("WORLD_SIZE", "1") != "1":
        return own_device(name)
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"Unknown device {name!r}. Devices are called cpu, cuda or cuda:1.") from None


def own_device(name: str) -> torch.device:
    """Returns the CUDA device of this process, one of several that torchrun started on this machine."""
    rank, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if name != "cuda":
        raise ConfigError(f"Under torchrun each process takes its own device: write cuda, not {name!r}.")
    if rank >= count:
        raise ConfigError(
            f"This machine has {count} CUDA devices, and process {rank + 1} gets none. "
            f"Start with --nproc-per-node {count}, or use --device cpu."
        )
    torch.cuda.set_device(rank)  # pinned memory, streams and contexts go with the current device, not with a tensor's
    return torch.device("cuda", rank)


def dtype(name: str) -> torch.dtype:
    """Returns float32 or float64, by name."""
    if name not in DTYPES:
        raise ConfigError(f"dtype is float32 or float64; got {name!r}. {nearest(name, DTYPES)}")
    return DTYPES[name]


def generator(seed: int, *parts: int) -> torch.Generator:
    """Returns a CPU generator for one purpose: `parts` (an epoch, say) give streams that do not overlap in practice.

    Randomness is always drawn on the CPU and moved, so that CPU, CUDA and any number of processes see the same.
    """
    check_count("seed", seed, least=-(2**63))
    state = seed & 0xFFFFFFFFFFFFFFFF
    for part in parts:
        # splitmix64: neighbouring seeds and epochs land far apart
        state = (state + 0x9E3779B97F4A7C15 * (part + 1)) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return torch.Generator().manual_seed(state & 0x7FFFFFFFFFFFFFFF)


def permutation(samples: int, seed: int, epoch: int) -> Tensor:
    """Returns the order of the samples in one epoch, which depends only on (seed, epoch)."""
    return torch.randperm(samples, generator=generator(seed, epoch))


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Limits torch to one thread while the work of a step is too small to share.

    Below about ten million multiplications a step, starting the other threads takes about as long as they save; on a
    machine that is busy with other work, waiting for them takes ten to a hundred times longer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < 16_000_000 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
