"""A loss on scores that are affine in the two coordinates: a `Plane` with the properties that readings ask for.

Each property is the loss's own, or follows from the affine scores; None means unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import direct, exact, kinks, methods, spectral
from .planes import Evaluator, Plane


class KnownMinimum(NamedTuple):
    """A minimum (2,) found without a search of the grid, the loss there, and whether it is flat in some direction."""

    point: Tensor
    loss: float
    flat: bool


@dataclass(frozen=True, eq=False)
class LinearPlane(Plane):
    """The loss of the scores S0 + a·S1 + b·S2, with the properties of `planes.Field`."""

    @property
    def convex(self) -> bool | None:
        """True for a loss that is convex in the scores, since affine scores keep convexity; else None, for unknown."""
        return (self.loss.convex or None) if self.penalty is None or self.penalty.convex else None

    @property
    def flat(self) -> bool:
        return self.loss.flat and self.penalty is None

    @property
    def smooth(self) -> bool | None:
        return True if self.analytic else self.loss.smooth

    @property
    def analytic(self) -> bool:
        return spectral.fits(self)

    @property
    def curvature_by_formula(self) -> bool:
        return self.loss.has_curvature

    @property
    def order_in_one_pass(self) -> int:
        """2 on one feature, where the Hessian takes little longer than the gradient; else 1."""
        return 2 if self.one_feature and self.curvature_by_formula else 1

    @property
    def feature(self) -> Tensor | None:
        return self.first if self.one_feature else None

    @property
    def affine(self) -> bool:
        return True

    @property
    def scales(self) -> tuple[float, float]:
        """The lengths 1/√(mean S²) along a and b, over which the scores change by about 1."""
        first, second = (1 / max(float(s.double().square().mean()) ** 0.5, 1e-300) for s in (self.first, self.second))
        return first if first < 1e200 else 1.0, second if second < 1e200 else 1.0

    @property
    def about(self) -> str:
        """The loss and the number of samples, as a table's title."""
        name = type(self.loss).__name__
        through = getattr(self.loss, "through", None)
        if through is not None and not through.linear:
            name += f" through {type(through).__name__}"
        if self.penalty is not None:
            name += f" + {type(self.penalty.penalty).__name__}"
        return f"{name}, {self.samples:,} sample{'s' * (self.samples != 1)}"

    def values(self, a: Tensor, b: Tensor, order: int = 0, method: str = "auto") -> tuple[Tensor, str]:
        return methods.evaluate(self, a, b, order, method)

    def near(self, reach: float) -> Evaluator:
        """Returns the same loss, with the samples of one feature replaced by a few weighted nodes, for |w| ≤ reach."""
        if self.one_feature and self.analytic and self.samples > 4096:
            return spectral.Compressed.of(self, reach)
        return self

    def slopes(self, reach: float) -> Callable[[Tensor], Tensor]:
        if self.penalty is None and exact.is_quadratic(self.loss):
            point, _, triangle = exact.least_squares(self)
            form = 2 * triangle.mT @ triangle
            return lambda points: form @ (points - point).mT
        plain = self.penalty is None and self.weights is None
        if plain and self.one_feature and direct.recipe(self.loss) is not None:
            bits = direct.as_bits(self)
            return direct.Slopes(bits, spectral.measures(bits, reach), reach)
        return lambda points: self.at(points, 1)[1:]

    def known_minimum(self, start: Tensor, first: Tensor, second: Tensor) -> KnownMinimum | None:
        """Returns the minimum of a quadratic, piecewise linear or zero-one loss, found without a search of the grid."""
        if self.penalty is not None:
            return None
        if exact.is_quadratic(self.loss):
            point, loss, triangle = exact.least_squares(self)
            sizes = triangle.diagonal().abs() if self.free == (True, True) else triangle.norm(dim=0)
            least = min((float(size) for size, varies in zip(sizes, self.free, strict=True) if varies), default=0.0)
            flat = least <= 1e-12 * float(triangle.abs().max())
            return KnownMinimum(point, loss, flat)
        if kinks.fits(self):
            point = kinks.lowest_vertex(self, start)
            return KnownMinimum(point, float(self.at(point.unsqueeze(0))[0, 0]), False)
        if self.flat and self.loss.form == "shortfall":
            if self.one_feature:
                return KnownMinimum(*kinks.best_threshold(self, first, second), True)
            if self.free == (True, False):
                return KnownMinimum(*kinks.best_on_curve(self, first), True)
        return None

    @property
    def falls_forever(self) -> bool:
        """Whether the loss falls without end from every point: along some direction no score moves away from its label.

        On one feature the direction is ±(1, −t), where a threshold t separates the two labels (x = t may have both). On
        a curve it is the direction of the curve.
        """
        if not (self.penalty is None and self.loss.unreachable):
            return False
        low, high = self.loss.unreachable
        down, up = self.first[self.targets == low], self.first[self.targets == high]
        if len(down) + len(up) < self.samples:
            return False  # targets between the two labels have a finite best score
        if self.free == (True, False) and not self.loss.class_axis:
            ways = torch.cat([up, -down])
            return bool((ways != 0).any()) and bool((ways >= 0).all() | (ways <= 0).all())
        if not self.one_feature:
            return False
        if len(down) == 0 or len(up) == 0:
            return True
        separated = (down.max() <= up.min()) | (up.max() <= down.min())
        return bool(separated & (self.first.max() > self.first.min()))
