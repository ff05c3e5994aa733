"""Helpers that several lessons use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..data import Samples
from ..descent import descend
from ..history import History
from ..losses import Loss
from ..models import LinearModel


def numbers(values: Any) -> Tensor:
    """Returns a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def set_weights(model: LinearModel, weight: Any, bias: Any) -> LinearModel:
    """Sets a model's weights and returns it in float64: `weight` (outputs, features), `bias` (outputs,)."""
    model = model.double()
    with torch.no_grad():
        model.weight.copy_(numbers(weight))
        if model.bias is not None:
            model.bias.copy_(numbers(bias))
    return model


def line_at(model: LinearModel) -> dict[str, float]:
    """Returns the slope and intercept of a model of one feature, by the lecture's names m and b."""
    assert model.bias is not None
    return {"m": float(model.weight.detach()), "b": float(model.bias.detach())}


def run(model: LinearModel, loss: Loss, samples: Samples, rate: float, epochs: int, **options: Any) -> History:
    """Runs full-batch descent, evaluated only at the end."""
    return descend(model, loss, samples, rate=rate, epochs=epochs, evaluate=options.pop("evaluate", 0), **options)


def local_minima(values: Tensor) -> list[tuple[int, int]]:
    """Returns the places (i, j) of a grid whose value is below those of all their (at most eight) neighbours."""
    padded = torch.nn.functional.pad(values, (1, 1, 1, 1), value=float("inf"))
    rows, columns = values.shape
    lowest = torch.ones_like(values, dtype=torch.bool)
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            if (i, j) != (1, 1):
                lowest &= values < padded[i : i + rows, j : j + columns]
    return [(int(i), int(j)) for i, j in lowest.nonzero()]
