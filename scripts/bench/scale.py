"""Time and memory at scale: epochs against samples, features, classes and runs; and data larger than memory.

    python scripts/bench/scale.py [--json] [--quick] [--keep DIR]

exponents           of time ~ size^exponent, fitted over a factor of 8 from 128 MiB of features in memory
anonymous_gib       the largest anonymous memory (RssAnon: mapped files do not count, for the system may take them back)
                    of `edunn train` on 8 GiB of features in files: split, standardised, trained an epoch and evaluated
same_weights        relative difference between weights from files and from memory, on a part that fits, standardised
mapped_over_memory  an epoch over the files beside the same epoch in memory, both in the page cache

The 8 GiB are written to a temporary folder, where there is room for them, and removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import parser, show

from edunn.data import Samples, ShardWriter, read_shards
from edunn.descent import Descent
from edunn.descent.speed import DECAY, RATE, Problem, epoch_of, machine, run_on, taking_turns
from edunn.descent.stack import Stack, vary
from edunn.differences import relative_error
from edunn.features import Standardise
from edunn.losses import CrossEntropy
from edunn.models import SoftmaxClassifier
from edunn.penalties import L2
from edunn.runtime.rows import through

ROOT = Path(__file__).resolve().parent.parent.parent
FEATURES, CLASSES, BATCH = 3072, 10, 128
GIB = 2**30

CONFIG = """
[data]
path = {path!r}
validation = 0.1
test = 0.1

[features]
standardise = true

[model]
kind = "softmax"

[loss]
kind = "cross-entropy"

[train]
rate = 1e-3
batch_size = 128
epochs = 1
evaluate = 0
"""


def exponents(smallest: int, rounds: int, bar: bool) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Of time ~ size^exponent for each size, from `smallest` samples of 3,072 features on; and the times."""
    large = Problem(8 * smallest, FEATURES, CLASSES, BATCH)
    small = Problem(smallest, FEATURES, CLASSES, BATCH)
    factors = (1, 2, 4, 8)

    def part_of(count: int) -> Descent:
        run = run_on(small, BATCH)
        return Descent(run.model, run.loss, large.part[:count], RATE, BATCH, epochs=1, penalty=L2(DECAY), evaluate=0)

    def stack_of(runs: int) -> Callable[[], Any]:
        base = run_on(small, BATCH)
        return Stack([vary(base, rate=RATE * (1 + run / runs)) for run in range(runs)]).run_epoch

    found, seconds = {}, {}
    makers: dict[str, tuple[int, Callable[[int], Callable[[], Any]]]] = {
        "samples": (smallest, lambda n: epoch_of(part_of(n))),
        "features": (FEATURES, lambda n: epoch_of(run_on(Problem(smallest, n, CLASSES, BATCH), BATCH))),
        "classes": (CLASSES, lambda n: epoch_of(run_on(Problem(smallest, FEATURES, n, BATCH), BATCH))),
        "runs": (8, stack_of),
    }
    for name, (first, make) in makers.items():
        sizes = [first * factor for factor in factors]
        ways = {str(size): make(size) for size in sizes}
        times = list(taking_turns(ways, rounds, bar).values())
        found[name] = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        seconds[name] = times
        del ways
    return found, seconds


def write_features(folder: Path, size: int, shard: int) -> int:
    """A folder of shards with so many bytes of float32 features, ten classes that differ in their means; the samples.

    Made and written a chunk at a time.
    """
    source = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, FEATURES, generator=source) * 0.05
    samples = size // (4 * FEATURES)
    with ShardWriter(folder, classes=[str(index) for index in range(CLASSES)], shard=shard) as writer:
        for start in range(0, samples, 4096):
            count = min(4096, samples - start)
            targets = torch.randint(0, CLASSES, (count,), generator=source)
            writer.add(torch.randn(count, FEATURES, generator=source).add_(centres[targets]), targets)
    return samples


def anonymous(process: int) -> int | None:
    """Bytes of anonymous memory of a process and all that it started; None where the system does not say."""
    total, found = 0, False
    for number in family(process):
        try:
            status = Path(f"/proc/{number}/status").read_text()
        except OSError:
            continue  # it has ended
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                total, found = total + 1024 * int(line.split()[1]), True
    return total if found else None


def family(process: int) -> Iterable[int]:
    """A process and its descendants."""
    waiting, found = [process], []
    while waiting:
        number = waiting.pop()
        found.append(number)
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def train_watched(folder: Path, data: Path) -> tuple[float | None, dict[str, Any], float]:
    """`edunn train` on the files: its largest anonymous memory in GiB, its summary, and the seconds of all of it."""
    config = folder / "scale.toml"
    config.write_text(CONFIG.format(path=str(data)))
    command = [sys.executable, "-m", "edunn", "train", str(config), "--out", str(folder / "run"), "--json", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDUNN_CACHE": str(folder / "cache")}
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    largest: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            now = anonymous(child.pid)
            if now is not None:
                largest[:] = [max([now, *largest])]

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        out, _ = child.communicate()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
        ended.set()
        watcher.join()
    if child.returncode:
        raise SystemExit(f"scale: edunn train ended with {child.returncode}")
    return (largest[0] / GIB if largest else None), json.loads(out), time.perf_counter() - start


def beside_memory(data: Path, most: int, rounds: int, bar: bool) -> dict[str, float]:
    """Epochs over files and in memory, of samples from all of the shards: their weights, and their times."""
    train = read_shards(data, verify="never").train
    step = max(1, len(train) // most)
    mapped = train[::step][:most]
    held = mapped.loaded()
    scale = Standardise.fit(held.features)
    parts = {
        "memory": held,
        "mapped": mapped,
        "memory_standardised": Samples(scale(held.features), held.targets),
        "mapped_standardised": Samples(through(mapped.features, Standardise.fit(mapped.features)), mapped.targets),
    }
    runs = {
        name: Descent(SoftmaxClassifier(FEATURES, CLASSES), CrossEntropy(), part, RATE, BATCH, epochs=1, evaluate=0)
        for name, part in parts.items()
    }
    ways = {name: epoch_of(run) for name, run in runs.items()}
    apart = []
    for one, other in (("memory", "mapped"), ("memory_standardised", "mapped_standardised")):
        ways[one](), ways[other]()
        apart.append(relative_error(runs[one].model.weight.detach(), runs[other].model.weight.detach()))
    seconds = taking_turns(ways, rounds, bar)
    return {
        "same_weights": max(apart),
        "mapped_over_memory": seconds["mapped"] / seconds["memory"],
        "mapped_over_memory_standardised": seconds["mapped_standardised"] / seconds["memory_standardised"],
    }


@contextmanager
def place(keep: str | None, size: int) -> Iterator[Path]:
    """A folder with room for so many bytes, removed at the end unless it is to be kept."""
    parent = Path(keep) if keep else Path(tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    missing = size + GIB - shutil.disk_usage(parent).free
    if missing > 0 and not (keep and (parent / "features").is_dir()):
        print(f"scale: Expected {(size + GIB) / GIB:.1f} GiB free in {parent}; {missing / GIB:.1f} are missing. "
              f"Take another with TMPDIR or --keep.", file=sys.stderr)  # fmt: skip
        raise SystemExit(2)
    with tempfile.TemporaryDirectory(prefix="edunn-scale-", dir=parent) as folder:
        yield Path(folder)


def measured(args: argparse.Namespace) -> dict[str, Any]:
    bar = sys.stderr.isatty()
    size, shard = (GIB // 8, 8 << 20) if args.quick else (8 * GIB, 256 << 20)
    smallest = 500 if args.quick else 11_000  # of 3,072 float32: 129 MiB
    rounds = args.rounds or (3 if args.quick else 5)
    result: dict[str, Any] = {}
    with place(args.keep, size) as folder:
        data = Path(args.keep) / "features" if args.keep else folder / "features"
        start = time.perf_counter()
        if not data.is_dir():
            write_features(data, size, shard)
        result["write_seconds"] = time.perf_counter() - start
        result["anonymous_gib"], summary, result["run_seconds"] = train_watched(folder, data)
        result |= {"epoch_seconds": summary["seconds"], "test_accuracy": summary["test_accuracy"]}
        result |= beside_memory(data, 2_000 if args.quick else 20_000, rounds, bar)
    found, seconds = exponents(smallest, rounds, bar)
    return {
        "exponents": found,
        **{key: result[key] for key in ("anonymous_gib", "same_weights", "mapped_over_memory")},
        **result,
        "features_gib": size / GIB,
        "smallest_mib": smallest * FEATURES * 4 / 2**20,
        "epochs_seconds": seconds,
        **machine(),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--keep", metavar="DIR", help="write the features there, keep them, and take them if there")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was written is removed
    args = options.parse_args()
    show(args, measured(args))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
