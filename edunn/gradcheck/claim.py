"""A claim to be checked: a scalar function, the point, and its hand-derived gradient there."""

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
    points : the arguments, by name; float64
    term : which part of an objective this is: "data", the name of a penalty, or "total"
    at_kink : the point is exactly on a kink, where any value between the one-sided derivatives is right
    plain : the value is not a torch function (but numpy's, say), so that autograd cannot differentiate it
    witness : a torch function of the points with the same value, which autograd can differentiate
    ingredients : what the gradient is computed from, for the diagnosis: features, targets, loss, penalty, …
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
