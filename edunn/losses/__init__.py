"""Losses: one value and one hand-derived derivative per sample. `LOSSES` maps a config's name to its class."""

from __future__ import annotations

from typing import Any

from .. import activations
from ..runtime import names
from .base import Loss as Loss
from .binary import BinaryCrossEntropy, Hinge, Logistic, Perceptron, ZeroOne
from .multiclass import CrossEntropy, MulticlassHinge, OneVsAllCrossEntropy, OneVsAllHinge
from .regression import AbsoluteError, Huber, SquaredError

LOSSES: dict[str, type[Loss]] = {
    "squared-error": SquaredError,
    "absolute-error": AbsoluteError,
    "huber": Huber,
    "binary-cross-entropy": BinaryCrossEntropy,
    "logistic": Logistic,
    "hinge": Hinge,
    "perceptron": Perceptron,
    "zero-one": ZeroOne,
    "cross-entropy": CrossEntropy,
    "multiclass-hinge": MulticlassHinge,
    "one-vs-all-cross-entropy": OneVsAllCrossEntropy,
    "one-vs-all-hinge": OneVsAllHinge,
}


def named(name: str, **options: Any) -> Loss:
    """Returns the loss of that name: `named("mse", half=True)`; `through` may be an activation's name as well."""
    if isinstance(through := options.get("through"), str):
        options["through"] = activations.named(through)
    return names.create(name, LOSSES, "loss", **options)


__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "MulticlassHinge",
    "OneVsAllCrossEntropy",
    "OneVsAllHinge",
    "Perceptron",
    "SquaredError",
    "ZeroOne",
    "named",
]
