"""Times loss surfaces, ours and those of others, and the machine's bare arithmetic, in one run.

    python scripts/bench/landscape.py [--json] [--quick]

The ceiling is a bare float32 sigmoid on a buffer that stays in cache: the time it would take for as many evaluations as
there are grid points times samples. Rounds are interleaved (ceiling, peer, ours, and again), and medians are compared:
on a shared machine ratios hold better than times. Peak memory is measured in a child process for each row, beyond what
the data and the imports take.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from edunn import landscape
from edunn.activations import Sigmoid
from edunn.landscape import direct
from edunn.landscape.build import one_feature
from edunn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from edunn.models import SoftmaxClassifier

WINDOW = 20.0
BUFFER = 1 << 16  # float32 numbers: 256 KB, in every core's own cache


def study(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normal x (seed 0), P(y = 1) = σ(2x − 1)."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(samples, dtype=torch.float64, generator=source)
    return x, (torch.rand(samples, dtype=torch.float64, generator=source) < torch.sigmoid(2 * x - 1)).double()


def window(count: int) -> tuple[float, float, int]:
    return -WINDOW, WINDOW, count


def clocked(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ceiling(evaluations: int = 1 << 26) -> float:
    """Seconds a bare sigmoid takes for one evaluation."""
    values, out = torch.randn(BUFFER), torch.empty(BUFFER)
    rounds = evaluations // BUFFER

    def work() -> None:
        for _ in range(rounds):
            torch.sigmoid(values, out=out)

    return clocked(work) / (rounds * BUFFER)


# ---- how others do it -----------------------------------------------------------------------------------------------


def lecture_loops(x: np.ndarray, y: np.ndarray, points: int) -> float:
    """The lecture's two Python loops, a few grid points of them: seconds a grid point."""

    def work() -> None:
        for k in range(points):
            total = 0.0
            for xi, yi in zip(x, y, strict=True):
                p = 1 / (1 + np.exp(-(0.1 * k * xi + 0.3)))
                total += (yi - p) ** 2
            total /= 2 * len(x)

    return clocked(work) / points


def numpy_rows(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Binary cross-entropy row by row, float32 as ours: what a careful user of numpy writes."""
    x, y = x.astype(np.float32), y.astype(np.float32)
    axis = np.linspace(-WINDOW, WINDOW, count, dtype=np.float32)
    values = np.empty((count, count), np.float32)
    for i, w in enumerate(axis):
        z = w * x + axis[:, None]
        values[i] = (np.logaddexp(0, z) - y * z).mean(1)
    return values


def eager_rows(x: torch.Tensor, y: torch.Tensor, count: int) -> torch.Tensor:
    """The same in torch, row by row."""
    x, y = x.float(), y.float()
    axis = torch.linspace(-WINDOW, WINDOW, count)
    return torch.stack([torch.nn.functional.binary_cross_entropy_with_logits(
        (z := w * x + axis[:, None]), y.expand_as(z), reduction="none").mean(1) for w in axis])  # fmt: skip


def compiled_rows(x: torch.Tensor, y: torch.Tensor, count: int) -> Callable[[], Any] | None:
    """torch.compile of a row, or None where it does not work."""
    x, y = x.float(), y.float()
    axis = torch.linspace(-WINDOW, WINDOW, count)

    @torch.compile(dynamic=False)
    def row(w: torch.Tensor) -> torch.Tensor:
        z = w * x + axis[:, None]
        return (torch.nn.functional.softplus(z) - y * z).mean(1)

    try:
        row(axis[0])
    except Exception as problem:
        print(f"torch.compile does not work here: {str(problem).splitlines()[0]}", file=sys.stderr)
        return None
    return lambda: [row(w) for w in axis]


def peer_plane(features: torch.Tensor, targets: torch.Tensor, model: torch.nn.Module) -> Callable[[], Any] | None:
    """`loss-landscapes`: a 3 × 3 random plane, one full forward pass a point; None where it is not installed."""
    try:
        import loss_landscapes
        import loss_landscapes.metrics
    except ImportError:
        print("loss-landscapes is not installed: no peer for the plane", file=sys.stderr)
        return None
    metric = loss_landscapes.metrics.Loss(torch.nn.CrossEntropyLoss(), features, targets)
    return lambda: loss_landscapes.random_plane(model, metric, distance=1, steps=3, normalization="filter")


# ---- ours -----------------------------------------------------------------------------------------------------------


def ours_direct(name: str, samples: int = 1000) -> Callable[[], torch.Tensor]:
    """512² × 1,000 in float32, without a compiler."""
    x, y = study(samples)
    loss = BinaryCrossEntropy() if name == "bce" else SquaredError(through=Sigmoid())
    plane = one_feature(x, y, loss, None, torch.float32, None)
    axis = torch.linspace(*window(512), dtype=torch.float64)
    return lambda: direct.grid(plane, axis, axis)[0]


def direct_error(name: str) -> float:
    """Of the above, against the loss's own formula in float64."""
    x, y = study(1000)
    values = ours_direct(name)().double()
    plane = one_feature(x, y, BinaryCrossEntropy() if name == "bce" else SquaredError(through=Sigmoid()), None,
                        torch.float64, None)  # fmt: skip
    axis = torch.linspace(*window(512), dtype=torch.float64)
    true = direct.plain(plane, axis, axis)[0]
    return float((values - true).abs().max() / true.max())


def ours_auto(count: int, samples: int) -> Callable[[], landscape.Surface]:
    x, y = study(samples)
    return lambda: landscape.grid(x, y, BinaryCrossEntropy(), window(count), window(count))


def ours_plane() -> tuple[Callable[[], landscape.Surface], torch.Tensor, torch.Tensor, SoftmaxClassifier]:
    """A 256² plane of a softmax classifier on 20,000 × 3,072, 10 classes."""
    source = torch.Generator().manual_seed(0)
    features = torch.randn(20_000, 3_072, generator=source)
    targets = torch.randint(10, (20_000,), generator=source)
    model = SoftmaxClassifier(3_072, 10, scale=0.01)
    with torch.no_grad():
        model.bias.fill_(0.01)  # the peer divides by the norm of every filter, a bias of 0 included
    first, second = landscape.filter_normalised(model, 0), landscape.filter_normalised(model, 1)
    side = (-1.0, 1.0, 256)
    return (lambda: landscape.plane(model, CrossEntropy(), (features, targets), first, second, side, side),
            features, targets, model)  # fmt: skip


ROWS: dict[str, Callable[[], Callable[[], Any]]] = {
    "direct_bce": lambda: ours_direct("bce"),
    "direct_mse": lambda: ours_direct("mse"),
    "auto_2048": lambda: ours_auto(2048, 100_000),
    "auto_4096_1m": lambda: ours_auto(4096, 1_000_000),
    "plane": lambda: ours_plane()[0],
}


def peak_gib(row: str) -> float:
    """Peak memory of one row in a child process, beyond what it had once its data were there."""
    out = subprocess.run([sys.executable, __file__, "--child", row], capture_output=True, text=True, check=True)
    return float(out.stdout)


def child(row: str) -> None:
    work = ROWS[row]()
    before = memory("VmRSS")
    work()
    print(max(0.0, memory("VmHWM") - before))


def memory(field: str) -> float:
    """VmRSS (now) or VmHWM (the peak) of this process in GiB.

    Linux's own count of this program: `ru_maxrss` would begin with what the parent had when it started the child.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field)) / 2**20
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# ---- the run --------------------------------------------------------------------------------------------------------


def say(result: dict[str, Any]) -> None:
    """Progress for a reader, on stderr."""
    print({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in result.items()}, file=sys.stderr)


def rounds(count: int, **work: Callable[[], float]) -> dict[str, float]:
    """Medians of interleaved rounds."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(count):
        for name, one in work.items():
            times[name].append(one())
    return {name: statistics.median(values) for name, values in times.items()}


def run(quick: bool) -> dict[str, Any]:
    x, y = study(1000)
    evaluations = 512 * 512 * 1000
    result: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    bce, mse = ours_direct("bce"), ours_direct("mse")
    bce(), mse()  # warm
    ours = rounds(
        5, ceiling=ceiling, bce=lambda: clocked(bce), mse=lambda: clocked(mse),
        numpy=lambda: clocked(lambda: numpy_rows(x.numpy(), y.numpy(), 64)) * 64,
        eager=lambda: clocked(lambda: eager_rows(x, y, 64)) * 64,
    )  # fmt: skip
    top = ours["ceiling"] * evaluations
    result |= {
        "ceiling_seconds_512_1000": top,
        "direct_bce_over_ceiling": ours["bce"] / top,
        "direct_mse_over_ceiling": ours["mse"] / top,
        "direct_bce_error": direct_error("bce"),
        "direct_mse_error": direct_error("mse"),
        "numpy_over_direct": ours["numpy"] / ours["bce"],
        "eager_over_direct": ours["eager"] / ours["bce"],
        "lecture_over_direct": lecture_loops(x.numpy(), y.numpy(), 3) * 512 * 512 / ours["mse"],
    }
    compiled = None if quick else compiled_rows(x, y, 512)
    result["compile_over_direct"] = clocked(compiled) / ours["bce"] if compiled else None

    say(result)
    for key, count, samples, repeats in (("", 2048, 100_000, 5), ("_4096_1m", 4096, 1_000_000, 3)):
        work = ours_auto(count, samples)
        surface = work()
        both = rounds(repeats, ceiling=ceiling, auto=lambda work=work: clocked(work))
        result[f"auto_seconds{key}"] = both["auto"]
        result[f"ceiling_over_auto{key}"] = both["ceiling"] * count * count * samples / both["auto"]
        result[f"auto_error{key}"] = surface.error
        result[f"auto_method{key}"] = surface.method
        # direct, over a few columns of one row, for as many evaluations as the whole would take
        small = one_feature(*study(samples), BinaryCrossEntropy(), None, torch.float64, None)
        axis = torch.linspace(-WINDOW, WINDOW, 512, dtype=torch.float64)
        seconds = clocked(lambda small=small, axis=axis: direct.grid(small, axis[:2], axis))
        result[f"direct_over_auto{key}"] = seconds / 1024 * count * count / both["auto"]
        del surface

    say(result)
    plane, features, targets, model = ours_plane()
    peer = peer_plane(features, targets, model)
    surface = plane()
    result |= {"plane_method": surface.method, "plane_error": surface.error}
    if peer is None:
        result |= {"plane_seconds": clocked(plane), "peer_over_plane": None}
    else:
        both = rounds(3, peer=lambda: clocked(peer) / 9, plane=lambda: clocked(plane))
        result["plane_seconds"] = both["plane"]
        result["peer_over_plane"] = both["peer"] / (both["plane"] / 256**2)
    say(result)
    result["peak_gib_rows"] = {row: peak_gib(row) for row in ROWS}
    result["peak_gib"] = max(result["peak_gib_rows"].values())
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="without torch.compile")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return 0
    result = run(args.quick)
    if args.json:
        print(json.dumps({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}))
    else:
        for key, value in result.items():
            print(f"{key:<28} {value:.4g}" if isinstance(value, float) else f"{key:<28} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
