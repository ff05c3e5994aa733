"""Other packages' training loops, and the options that the training benches share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from edunn.descent.speed import DECAY, RATE, Problem


def with_loader(problem: Problem, batch: int) -> Callable[[], None]:
    """The same behind torch's DataLoader, as its documentation has it: a TensorDataset, shuffled, no workers."""
    layer = torch.nn.Linear(problem.features, problem.classes)
    rule = torch.optim.SGD(layer.parameters(), lr=RATE, weight_decay=2 * DECAY)
    data = torch.utils.data.TensorDataset(problem.x, problem.y)
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
