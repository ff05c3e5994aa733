"""Small things that several lessons use."""

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
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def placed(model: LinearModel, weight: Any, bias: Any) -> LinearModel:
    """The model in float64 with these weights: `weight` (outputs, features), `bias` (outputs,)."""
    model = model.double()
    with torch.no_grad():
        model.weight.copy_(numbers(weight))
        if model.bias is not None:
            model.bias.copy_(numbers(bias))
    return model


def line_at(model: LinearModel) -> dict[str, float]:
    """The slope and intercept of a model of one feature, by the lecture's names."""
    assert model.bias is not None
    return {"m": float(model.weight.detach()), "b": float(model.bias.detach())}


def run(model: LinearModel, loss: Loss, samples: Samples, rate: float, epochs: int, **options: Any) -> History:
    """Full-batch descent, evaluated at the end only."""
    return descend(model, loss, samples, rate=rate, epochs=epochs, evaluate=options.pop("evaluate", 0), **options)


def local_minima(values: Tensor) -> list[tuple[int, int]]:
    """Places (i, j) of a grid whose value is below those of all their neighbours, up to eight of them."""
    padded = torch.nn.functional.pad(values, (1, 1, 1, 1), value=float("inf"))
    rows, columns = values.shape
    lowest = torch.ones_like(values, dtype=torch.bool)
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            if (i, j) != (1, 1):
                lowest &= values < padded[i : i + rows, j : j + columns]
    return [(int(i), int(j)) for i, j in lowest.nonzero()]
