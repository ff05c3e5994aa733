"""A loss on scores that are affine in the two coordinates: a `Plane` with the properties that readings ask for.

Each property is the loss's own, or follows from the affine scores; None means unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        if self.penalty is not None and not self.penalty.penalty.quadratic:
            return False
        return True if self.analytic else self.loss.smooth

    @property
    def analytic(self) -> bool:
        return spectral.fits(self) and (self.penalty is None or self.penalty.penalty.quadratic)

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

    def values(
        self, a: Tensor, b: Tensor, order: int = 0, method: str = "auto", dtype: torch.dtype | None = None
    ) -> tuple[Tensor, str]:
        return methods.evaluate(self, a, b, order, method, dtype)

    def near(self, reach: float) -> Evaluator:
        """Returns the same loss, with the samples of one feature replaced by a few weighted nodes, for |w| ≤ reach."""
        if self.one_feature and spectral.fits(self) and self.samples > 4096:
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
            return self.lowest_vertex(start)
        if self.flat and self.loss.form == "shortfall":
            if self.one_feature:
                return KnownMinimum(*kinks.best_threshold(self, first, second), True)
            if self.free == (True, False):
                return KnownMinimum(*kinks.best_on_curve(self, first), True)
        return None

    def lowest_vertex(self, start: Tensor) -> KnownMinimum:
        """Returns the minimum of a piecewise linear loss, found in upright coordinates and units of the scores."""
        level, shear = self.upright()
        one, two = level.scales
        units = replace(level, first=one * level.first, second=two * level.second)
        a, b = start.tolist()
        u, v = kinks.lowest_vertex(units, start.new_tensor([a / one, (b + shear * a) / two])).tolist()
        point = start.new_tensor([one * u, two * v - shear * one * u])
        # a vertex so far out that rounding its place costs loss is worse than 0, where a perceptron has its minimum too
        places = torch.stack([point, torch.zeros_like(point)])
        losses = self.at(places)[0]
        best = int(losses.argmin())
        return KnownMinimum(places[best], float(losses[best]), False)

    def upright(self) -> tuple[LinearPlane, float]:
        """Returns the same loss in the coordinates a and b + κ a, and κ.

        The scores S0 + a S1 + b S2 are S0 + a (S1 − κ S2) + (b + κ a) S2. With κ = ⟨S1, S2⟩/⟨S2, S2⟩, on one feature
        the mean of x, the two directions are at right angles: the narrow valley of x far from 0 becomes a round bowl.
        """
        if self.free != (True, True):
            return self, 0.0
        weights = 1.0 if self.weights is None else self.weights.view(-1, *(1,) * (self.first.ndim - 1))
        heavy = weights * self.second
        square = float((heavy * self.second).sum())
        shear = float((heavy * self.first).sum()) / square if square > 0 else 0.0
        shear += float((heavy * (self.first - shear * self.second)).sum()) / square if square > 0 else 0.0
        if not 0 < abs(shear) < math.inf:
            return self, 0.0
        along = shear * self.second
        first = self.first - along
        first = torch.where(first.abs() <= 4 * torch.finfo(first.dtype).eps * along.abs(), 0.0, first)  # constant x
        penalty = None if self.penalty is None else self.penalty.sheared(shear)
        return replace(self, first=first, penalty=penalty), shear

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
