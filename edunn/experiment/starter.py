"""The config that trains a table of one's own, chosen from its numbers: a linear model, trained to convergence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .. import data
from ..descent.stability import largest_curvature
from ..errors import EdunnWarning

STEPS = 3000  # of descent, about
FULL = 1000  # samples up to which each step sees all of them
LARGE = 100_000  # samples from which batches are larger
TESTED = 20  # samples from which a fifth is kept for the test
DIRECT = 60_000  # samples up to which regression takes full batches


def starter(path: str | Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the tables of a config that trains the table at `path`; `options` are those of `[data]`.

    Classes: softmax regression with cross-entropy and ‖W‖²/2N, the objective of scikit-learn's LogisticRegression.
    A real target: least squares, at a rate below the stability limit.
    """
    given: dict[str, Any] = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdunnWarning)  # training reads the table again, and notes them then
        dataset = data.load(path, **given)
    samples = dataset.train
    test = 0.2 if len(samples) >= TESTED and dataset.test is None else 0.0
    count = max(1, round(len(samples) * (1 - test)))
    found: dict[str, Any] = {"data": {"path": str(path), **given}, "features": {"standardise": True}}
    if test:
        found["data"]["test"] = test
    if samples.is_classification:
        found |= classifier(count)
    else:
        found |= regression(samples[:DIRECT].loaded().features.double(), count)
    return found


def classifier(count: int) -> dict[str, Any]:
    """Softmax regression on `count` samples."""
    batch: int | str = "full" if count <= FULL else 256 if count <= LARGE else 1024
    steps = 1 if isinstance(batch, str) else math.ceil(count / batch)
    return {
        "model": {"kind": "softmax"},
        "loss": {"kind": "cross-entropy"},
        "penalty": {"kind": "l2", "strength": digits(0.5 / count)},
        "train": {
            "rate": 0.05,
            "rule": "adam",
            "schedule": "cosine",
            "batch_size": batch,
            "epochs": max(10, math.ceil(STEPS / steps)),
            "evaluate": 10 if steps == 1 else 1,
        },
    }


def regression(features: torch.Tensor, count: int) -> dict[str, Any]:
    """Least squares on `count` samples, of which `features` are some; by full batches where they are few enough."""
    scale = features.std(0)
    scale[scale == 0] = 1
    curvature = 2 * largest_curvature((features - features.mean(0)) / scale)
    full = count <= DIRECT
    # heavy ball is stable below 2 (1 + momentum) / λ; a batch's own curvature is larger than the mean of all
    return {
        "model": {"kind": "linear-regression"},
        "loss": {"kind": "squared-error"},
        "train": {
            "rate": digits((1.0 if full else 0.1) / curvature),
            "rule": {"kind": "momentum", "momentum": 0.95 if full else 0.9},
            "schedule": "constant" if full else "cosine",
            "batch_size": "full" if full else 1024,
            "epochs": STEPS if full else max(10, math.ceil(STEPS / math.ceil(count / 1024))),
            "evaluate": 10 if full else 1,
        },
        "run": {"dtype": "float64"},
    }


def digits(value: float) -> float:
    """Returns a number with two digits, rounded down, as a config should show it."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / power) * power:.2g}")
