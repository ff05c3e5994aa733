"""Times our loops on this machine, compared with autograd and with the bare matrix products.

An epoch needs at least its two matrix products for each batch, scores and gradient: no loop can be faster.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..data import Samples
from ..losses import CrossEntropy
from ..models import SoftmaxClassifier
from ..penalties import L2
from .journal import Journal, Progress
from .loop import Descent
from .stack import Stack, vary

RATE, DECAY = 1e-3, 1e-4  # small enough for no run to diverge; L2 with factor 1: weight_decay is twice this


@dataclass
class Problem:
    """Random samples: standard normal features, ten classes with slightly different means."""

    samples: int
    features: int = 3072
    classes: int = 10
    batch: int = 128

    def __post_init__(self) -> None:
        source = torch.Generator().manual_seed(0)
        self.y = torch.randint(0, self.classes, (self.samples,), generator=source)
        centres = torch.randn(self.classes, self.features, generator=source) * 0.05
        # memory from numpy, as for data that are read: it uses large pages, which gather a batch a third faster
        self.x = torch.from_numpy(np.empty((self.samples, self.features), np.float32))
        self.x.normal_(generator=source).add_(centres[self.y])
        self.part = Samples(self.x, self.y)


def run_on(problem: Problem, batch: int, steps: int | None = None) -> Descent:
    """Returns a run of softmax regression with an L2 penalty, of an epoch or so many steps."""
    model = SoftmaxClassifier(problem.features, problem.classes)
    loops: dict[str, Any] = {"epochs": 1, "steps": steps, "penalty": L2(DECAY), "evaluate": 0}
    return Descent(model, CrossEntropy(), problem.part, RATE, batch, **loops)


def epoch_of(run: Descent, by: str = "fast") -> Callable[[], list[float]]:
    """Returns a function that runs an epoch of `descend` without its evaluation."""
    loop = run.loop(run, by)

    def epoch() -> list[float]:
        loop.journals = [Journal(run, Progress())]  # always the first epoch, also where the steps are limited
        return loop.run_epoch()[0]

    return epoch


def with_autograd(problem: Problem, batch: int, most: int | None = None) -> Callable[[], None]:
    """Returns a function that runs an epoch in plain torch: index, nn.Linear, cross_entropy, backward, SGD.step."""
    layer = torch.nn.Linear(problem.features, problem.classes)
    rule = torch.optim.SGD(layer.parameters(), lr=RATE, weight_decay=2 * DECAY)

    def epoch() -> None:
        order = torch.randperm(problem.samples)[:most]
        for index in order.split(batch):
            rule.zero_grad()
            torch.nn.functional.cross_entropy(layer(problem.x[index]), problem.y[index]).backward()
            rule.step()

    return epoch


def bare_products(problem: Problem, batch: int, rows: int) -> Callable[[], None]:
    """Returns a function that runs only the two matrix products of an epoch, with `rows` scores a sample."""
    weight, gradient = torch.randn(rows, problem.features), torch.empty(rows, problem.features)
    scores, upstream = torch.empty(batch, rows), torch.randn(batch, rows)

    def epoch() -> None:
        for features in problem.x.split(batch):
            n = len(features)
            torch.mm(features, weight.t(), out=scores[:n])
            torch.mm(upstream[:n].t(), features, out=gradient)

    return epoch


def time_once(work: Callable[[], Any]) -> float:
    """Returns the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def taking_turns(
    ways: dict[str, Callable[[], Any]], rounds: int, bar: bool = True, pause: float = 0.1
) -> dict[str, float]:
    """Returns the median time of each way, after a warm-up. They take turns, so that a busy machine slows all alike."""
    for work in ways.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), unit="round", leave=False, disable=not bar, file=sys.stderr):
        for name, work in ways.items():
            time.sleep(pause)  # until the threads of the function before are asleep
            times[name].append(time_once(work))
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> dict[str, Any]:
    """Returns the processor, threads, versions and date of a measurement."""
    return {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def measure(samples: int = 4_000, runs: int = 16, rounds: int = 5, bar: bool = False) -> dict[str, Any]:
    """Measures ratios and times of one run, of single samples and of a stack: a short version of scripts/bench."""
    problem = Problem(samples)
    few = max(1, samples // 20)
    base = run_on(problem, problem.batch)
    stack = Stack([vary(base, rate=RATE * (1 + run / runs)) for run in range(runs)])
    ways = {
        "training": epoch_of(base),
        "products": bare_products(problem, problem.batch, problem.classes),
        "autograd": with_autograd(problem, problem.batch),
        "single": epoch_of(run_on(problem, 1)),
        "single_autograd": with_autograd(problem, 1, few),
        "stack": stack.run_epoch,
        "stack_products": bare_products(problem, problem.batch, runs * problem.classes),
    }
    seconds = taking_turns(ways, rounds, bar)
    seconds["single_autograd"] *= samples / few
    work = 4 * samples * problem.features * problem.classes  # a multiplication and an addition, for two products
    return {
        "autograd_over_training": seconds["autograd"] / seconds["training"],
        "training_over_products": seconds["training"] / seconds["products"],
        "autograd_over_single": seconds["single_autograd"] / seconds["single"],
        "one_by_one_over_stack": runs * seconds["training"] / seconds["stack"],
        "stack_over_products": seconds["stack"] / seconds["stack_products"],
        "single_microseconds": seconds["single"] / samples * 1e6,
        "stack_gigaflops": runs * work / seconds["stack"] / 1e9,
        "ceiling_gigaflops": runs * work / seconds["stack_products"] / 1e9,
        "samples": samples,
        "features": problem.features,
        "classes": problem.classes,
        "batch": problem.batch,
        "runs": runs,
        "rounds": rounds,
        **machine(),
    }
