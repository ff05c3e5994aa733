"""What can be checked: a scalar, the points it depends on, and the gradient that somebody derived by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Points = dict[str, Tensor]


@dataclass(frozen=True)
class Claim:
    """A value and its hand-derived gradients, at a point.

    name : what is checked, as the table shows it
    value : the scalar f(points); differentiable by autograd, or `plain`
    gradients : the hand-derived ∂f/∂point, by the point's name, of the point's shape
    points : where, by name; float64
    term : which part of an objective this is: "data", the name of a penalty, or "total"
    at_kink : the point was put on a kink on purpose: any value between the one-sided derivatives is right there
    plain : the value is not made of torch operations (a numpy function), so that autograd has nothing to say
    witness : another function of the points with the same value, made of torch operations, for autograd to follow
    ingredients : what the gradient was made of, for the diagnosis: features, upstream, targets, strengths…
    """

    name: str
    value: Callable[[Points], Tensor]
    gradients: Callable[[Points], Mapping[str, Tensor]]
    points: Points
    term: str = "data"
    at_kink: bool = False
    plain: bool = False
    witness: Callable[[Points], Tensor] | None = None
    ingredients: Any = None
    notes: tuple[str, ...] = field(default=())
