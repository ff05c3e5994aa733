"""What the training benches share: the made-up data, the ways that others train, and clocks that take turns."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edunn.data import Samples

RATE, DECAY = 1e-3, 1e-4  # small enough for no run to diverge; L2 with factor 1: weight_decay is twice this


@dataclass
class Problem:
    """Standard normal features, ten classes that differ a little in their means."""

    samples: int
    features: int = 3072
    classes: int = 10
    batch: int = 128

    def __post_init__(self) -> None:
        source = torch.Generator().manual_seed(0)
        self.y = torch.randint(0, self.classes, (self.samples,), generator=source)
        centres = torch.randn(self.classes, self.features, generator=source) * 0.05
        self.x = torch.randn(self.samples, self.features, generator=source).add_(centres[self.y])
        self.part = Samples(self.x, self.y)


def with_autograd(problem: Problem, batch: int, most: int | None = None) -> Callable[[], None]:
    """Indexing, nn.Linear, cross_entropy, backward, SGD.step."""
    layer = torch.nn.Linear(problem.features, problem.classes)
    rule = torch.optim.SGD(layer.parameters(), lr=RATE, weight_decay=2 * DECAY)

    def epoch() -> None:
        order = torch.randperm(problem.samples)[:most]
        for index in order.split(batch):
            rule.zero_grad()
            torch.nn.functional.cross_entropy(layer(problem.x[index]), problem.y[index]).backward()
            rule.step()

    return epoch


def with_loader(problem: Problem, batch: int, most: int) -> Callable[[], None]:
    """The same behind torch's DataLoader, on the first samples only: it is slow."""
    layer = torch.nn.Linear(problem.features, problem.classes)
    rule = torch.optim.SGD(layer.parameters(), lr=RATE, weight_decay=2 * DECAY)
    data = torch.utils.data.TensorDataset(problem.x[:most], problem.y[:most])
    loader = torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True)

    def epoch() -> None:
        for features, targets in loader:
            rule.zero_grad()
            torch.nn.functional.cross_entropy(layer(features), targets).backward()
            rule.step()

    return epoch


def with_numpy(problem: Problem, batch: int) -> Callable[[], None]:
    """The course's loop: a class with W, softmax by hand, one dW a batch."""
    x, y = problem.x.numpy(), problem.y.numpy()
    weight = np.zeros((problem.classes, problem.features), np.float32)
    bias = np.zeros(problem.classes, np.float32)

    def epoch() -> None:
        nonlocal weight, bias
        order = np.random.permutation(problem.samples)
        for start in range(0, problem.samples, batch):
            index = order[start : start + batch]
            features, targets = x[index], y[index]
            scores = features @ weight.T + bias
            p = np.exp(scores - scores.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(len(index)), targets] -= 1
            p /= len(index)
            weight -= RATE * (p.T @ features + 2 * DECAY * weight)
            bias -= RATE * p.sum(0)

    return epoch


def bare_products(problem: Problem, batch: int, rows: int) -> Callable[[], None]:
    """The two matrix products of an epoch and nothing else: the ceiling, with `rows` scores a sample."""
    weight, gradient = torch.randn(rows, problem.features), torch.empty(rows, problem.features)
    scores, upstream = torch.empty(batch, rows), torch.randn(batch, rows)

    def epoch() -> None:
        for features in problem.x.split(batch):
            n = len(features)
            torch.mm(features, weight.t(), out=scores[:n])
            torch.mm(upstream[:n].t(), features, out=gradient)

    return epoch


def clocked(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def taking_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median time of each, after one warm-up each: round by round, so that a busy minute falls on all of them."""
    for work in ways.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        print(f"\rround {turn + 1} of {rounds}", end="", file=sys.stderr)
        for name, work in ways.items():
            times[name].append(clocked(work))
    print(file=sys.stderr)
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> dict[str, Any]:
    return {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def parser(description: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    made.add_argument("--quick", action="store_true", help="a tenth of the samples, fewer rounds")
    made.add_argument("--rounds", type=int, default=None)
    return made


def show(args: argparse.Namespace, result: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:<28} {value:.4g}" if isinstance(value, float) else f"{key:<28} {value}")
