"""Certifies one component: a function, a loss, an activation, a penalty, or a layer, of the package or your own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..runtime.devices import generator
from .catalogue import Draw, claim_activation, claim_layer, claim_loss
from .certificate import Certificate
from .claim import Claim, Points
from .compare import check
from .objective import STRENGTH, USER_TOLERANCE, normalise_strength


def certify_function(
    value: Callable[..., Any],
    gradient: Callable[..., Any],
    tolerance: float = USER_TOLERANCE,
    seed: int = 0,
    /,
    **points: Any,
) -> Certificate:
    """Certifies a function of named tensors or numbers, and its gradient by hand, at a point.

        certify_function(lambda x: (x**3).sum(), lambda x: 3 * x**2, x=torch.randn(4))

    Parameters
    ----------
    value : returns a scalar
    gradient : returns the derivative in the only point, or a dictionary by name
    points : by name; each is converted to float64
    """
    if not points:
        raise ConfigError("The point at which to check is missing. Give it by name, such as x=torch.randn(4).")
    at, notes = raise_precision(points)

    def gradients(where: Points) -> Mapping[str, Tensor]:
        found = gradient(**where)
        if isinstance(found, Mapping):
            return {name: torch.as_tensor(g) for name, g in found.items()}
        if len(where) > 1:
            raise ConfigError(f"With several points the gradient is a dictionary by name: {', '.join(where)}.")
        return {next(iter(where)): torch.as_tensor(found)}

    name = getattr(value, "__name__", "f")
    return make_certificate(
        [Claim(name, lambda where: torch.as_tensor(value(**where)), gradients, at)], notes, tolerance, seed
    )


def certify_loss(
    loss: Any, scores: Tensor, targets: Tensor, tolerance: float = USER_TOLERANCE, name: str | None = None
) -> Certificate:
    """Certifies a loss with `gradient(scores, targets)`, in its scores; the table shows `name`, or else its class."""
    at, notes = raise_precision({"scores": scores})
    targets = targets.double() if targets.is_floating_point() else targets
    return make_certificate([claim_loss(name or type(loss).__name__, loss, at["scores"], targets)], notes, tolerance)


def certify_activation(activation: Any, scores: Tensor, tolerance: float = USER_TOLERANCE) -> Certificate:
    """Certifies an activation with `input_gradient(scores, upstream)`, in its scores."""
    at, notes = raise_precision({"scores": scores})
    upstream = torch.randn(scores.shape, dtype=torch.float64, generator=generator(0, 1))
    return make_certificate(
        [claim_activation(type(activation).__name__, activation, at["scores"], upstream)], notes, tolerance
    )


def certify_penalty(
    penalty: Any, weight: Tensor, tolerance: float = USER_TOLERANCE, name: str | None = None
) -> Certificate:
    """Certifies a penalty with `gradient(weight)`, with a strength of order one, so that a forgotten strength shows.

    The table shows `name`, or else its class.
    """
    at, notes = raise_precision({"weight": weight})
    one = normalise_strength(penalty)
    if hasattr(penalty, "strength"):
        notes = (*notes, f"checked with strength {STRENGTH}: a penalty of 1e-5 could be forgotten unnoticed")
    claim = Claim(
        name or type(penalty).__name__,
        lambda where: one(where["weight"]),
        lambda where: {"weight": one.gradient(where["weight"])},
        at,
        "penalty",
    )
    return make_certificate([claim], notes, tolerance)


def certify_layer(layer: Any, features: Tensor, tolerance: float = USER_TOLERANCE) -> Certificate:
    """Certifies a layer with `gradients(features, upstream)` and `input_gradient(features, upstream)`."""
    at, notes = raise_precision({"features": features})
    layer = copy.deepcopy(layer).double()
    return make_certificate([claim_layer(type(layer).__name__, layer, at["features"], Draw(0, 1))], notes, tolerance)


def raise_precision(points: Mapping[str, Any]) -> tuple[Points, tuple[str, ...]]:
    """Returns the points in float64 on the CPU, and a note for each one converted from another dtype."""
    at: Points = {}
    notes: dict[str, None] = {}
    for name, value in points.items():
        tensor = torch.as_tensor(value).detach()
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            kind = str(tensor.dtype).removeprefix("torch.")
            notes[f"raised from {kind} to float64: in {kind} differences show only four or five digits"] = None
        at[name] = tensor.to("cpu", torch.float64)
    return at, tuple(notes)


def make_certificate(claims: list[Claim], notes: tuple[str, ...], tolerance: float, seed: int = 0) -> Certificate:
    rows = [row for claim in claims for row in check(claim, tolerance, tolerance, seed)]
    return Certificate(tuple(rows), notes)
