"""Devices and dtypes by name, and randomness that depends on its seed alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edunn.errors import ConfigError
from edunn.runtime import devices


def test_device_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.device("auto") == torch.device("cuda")
    assert devices.device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_without_cuda_is_never_a_silent_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"torch finds no CUDA device\. Use --device cpu"):
        devices.device(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cud", "Did you mean 'cuda'"), ("gpu", "cpu"), ("CPU0", "Known: auto, cpu, cuda"), ("", "Known")],
)
def test_unknown_device_names_the_known(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown device '{name}'.*{hint}"):
        devices.device(name)


def test_a_device_index_that_is_no_number_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="Unknown device 'cpu:x'"):
        devices.device("cpu:x")


def test_dtype_by_name() -> None:
    assert devices.dtype("float32") is torch.float32
    assert devices.dtype("float64") is torch.float64
    with pytest.raises(ConfigError, match=r"float32 or float64; got 'float46'\. Did you mean 'float64'\?"):
        devices.dtype("float46")


def draw(generator: torch.Generator) -> list[int]:
    return torch.randint(0, 2**40, (4,), generator=generator).tolist()


def test_generator_depends_on_the_seed_and_the_parts_alone() -> None:
    before = torch.get_rng_state()
    assert draw(devices.generator(7, 3)) == draw(devices.generator(7, 3))
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own randomness is left alone
    torch.manual_seed(99)
    assert draw(devices.generator(7, 3)) == draw(devices.generator(7, 3))
    torch.set_rng_state(before)


def test_neighbouring_seeds_epochs_and_orders_of_parts_differ() -> None:
    streams = [
        devices.generator(seed, *parts) for seed in range(20) for parts in [(), (0,), (1,), (2,), (0, 1), (1, 0)]
    ]
    assert len({tuple(draw(g)) for g in streams}) == 120
    # seed + epoch would give seed 1, epoch 0 the order of seed 0, epoch 1
    assert draw(devices.generator(1, 0)) != draw(devices.generator(0, 1))


@given(seed=st.integers(-(2**63), 2**63 - 1), part=st.integers(0, 2**62))
def test_any_seed_will_do(seed: int, part: int) -> None:
    assert len(draw(devices.generator(seed, part))) == 4


@given(samples=st.integers(1, 300), seed=st.integers(0, 100), epoch=st.integers(0, 100))
def test_permutation_holds_every_sample_once(samples: int, seed: int, epoch: int) -> None:
    order = devices.permutation(samples, seed, epoch)
    assert order.dtype == torch.int64
    assert order.sort().values.tolist() == list(range(samples))
    assert torch.equal(order, devices.permutation(samples, seed, epoch))


def test_permutation_is_new_each_epoch_and_for_each_seed() -> None:
    orders = {tuple(devices.permutation(50, seed, epoch).tolist()) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


def test_permutations_are_fair() -> None:
    """The first sample of the epoch is each of 10 about equally often: 5 standard deviations of 3,000 draws."""
    first = torch.tensor([int(devices.permutation(10, 0, epoch)[0]) for epoch in range(3000)])
    counts = first.bincount(minlength=10)
    assert (counts - 300).abs().max() < 5 * (3000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize(("multiplications", "threads"), [(10, 1), (10**9, 3)], ids=["small", "large"])
def test_small_steps_take_one_thread_and_give_the_others_back(multiplications: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with devices.threads_for(multiplications):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), devices.threads_for(multiplications):
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
