"""Layers: a value, and hand-derived gradients in the input and in the parameters.

Every layer has `forward(features)`, `input_gradient(features, upstream)` (∂L/∂features, the upstream of the layer
below) and `gradients(features, upstream)` (∂L/∂parameter, by name). `upstream` is ∂L/∂output.

Some layers keep values from `forward` for their gradients (a dropout mask, the inputs inside a chain): gradients are
always those of the last `forward`, on the same features.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ..runtime import names
from ..runtime.guesses import public
from .batchnorm import BatchNorm
from .chain import Chain
from .dropout import Dropout
from .linear import Linear, with_ones
from .scales import SCALES, kaiming, starting_scale, xavier

__all__ = [
    "LAYERS",
    "SCALES",
    "BatchNorm",
    "Chain",
    "Dropout",
    "Linear",
    "kaiming",
    "named",
    "starting_scale",
    "with_ones",
    "xavier",
]
__getattr__, __dir__ = public(__name__, __all__)

LAYERS: dict[str, type[nn.Module]] = {"linear": Linear, "dropout": Dropout, "batchnorm": BatchNorm, "chain": Chain}


def named(name: str, *given: Any, **options: Any) -> nn.Module:
    """Returns the layer of that name: `named("dense", 3, 2)` is `Linear(3, 2)`."""
    return names.create(name, LAYERS, "layer", *given, **options)
