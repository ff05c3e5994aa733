"""A plane of weights, and the loss over it: value, gradient and Hessian at any point (a, b).

Along a plane of weights the scores of a linear model are affine, S(a, b) = S0 + a·S1 + b·S2: three score tensors,
computed once. The (w, b) grid of one feature is S0 = 0, S1 = x, S2 = 1.

By the chain rule, with the loss's own derivatives in its scores (⟨·,·⟩ sums over samples and classes):

    ∂L/∂a   = 1/N ⟨ℓ′, S1⟩        ∂L/∂b   = 1/N ⟨ℓ′, S2⟩
    ∂²L/∂a² = 1/N ⟨ℓ″ S1, S1⟩     ∂²L/∂a∂b = 1/N ⟨ℓ″ S1, S2⟩     ∂²L/∂b² = 1/N ⟨ℓ″ S2, S2⟩

These six numbers of a point, (L, ∂L/∂a, ∂L/∂b, ∂²L/∂a², ∂²L/∂a∂b, ∂²L/∂b²), are called a *jet*, and are the first axis
of a tensor. `order` says how many of them it holds, JET[order]: 1 (the value), 3 (with the gradient) or 6 (with the
Hessian).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from .. import errors
from ..losses import Loss
from ..penalties import Penalty
from ..runtime.progress import track
from ..runtime.threads import Split, whole

JET = (1, 3, 6)  # the length of a jet of order 0, 1, 2

# Blocks of a pass are made this large: two or three buffers of it stay in a CPU core's own cache, and a GPU is filled
BLOCK = {"cpu": 1 << 20, "cuda": 1 << 28}

Window = tuple[float, float, int]


class Evaluator(Protocol):
    """A loss that can be evaluated at points of two coordinates."""

    def at(self, points: Tensor, order: int = 0) -> Tensor:
        """Returns the loss and its derivatives up to `order` at points (count, 2): a jet, (JET[order], count)."""
        ...


class Field(Evaluator, Protocol):
    """A loss over two coordinates, with the properties that the readings (minima, basins, …) ask for.

    None means unknown; the readings then measure, and never assume.
    """

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two coordinates."""
        ...

    @property
    def about(self) -> str:
        """The loss, the model and the number of samples, in a few words."""
        ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def samples(self) -> int: ...

    @property
    def split(self) -> Split: ...

    @property
    def convex(self) -> bool | None:
        """Whether the loss is known to be convex in the two coordinates, by its structure."""
        ...

    @property
    def smooth(self) -> bool | None:
        """Whether the loss is differentiable everywhere."""
        ...

    @property
    def flat(self) -> bool:
        """Whether the loss is constant between jumps."""
        ...

    @property
    def analytic(self) -> bool:
        """Whether the loss is known to be analytic: it cannot be constant in one region and fall in another."""
        ...

    @property
    def affine(self) -> bool:
        """Whether the scores are affine in the coordinates."""
        ...

    @property
    def curvature_by_formula(self) -> bool:
        """Whether second derivatives are exact, and not differences of gradients."""
        ...

    @property
    def order_in_one_pass(self) -> int:
        """The highest order of derivatives over a grid that takes little longer than the gradient."""
        ...

    @property
    def feature(self) -> Tensor | None:
        """x, where the coordinates are (w, b) of one feature."""
        ...

    @property
    def scales(self) -> tuple[float, float]:
        """A unit of length along each coordinate; the default window is ten of them to each side."""
        ...

    @property
    def falls_forever(self) -> bool:
        """Whether the loss is known to fall without end from every point, so that it has no minimum."""
        ...

    def held(self, first: float | None, second: float | None) -> Field:
        """Returns the loss with a coordinate fixed at a value; a coordinate given as None varies."""
        ...

    def values(
        self, a: Tensor, b: Tensor, order: int = 0, method: str = "auto", dtype: torch.dtype | None = None
    ) -> tuple[Tensor, str]:
        """Returns the jet over the grid a × b, (JET[order], len(a), len(b)), and the name of the method used.

        `dtype` (default: the field's) is that of the jet, and of the arithmetic where it is the faster for it.
        """
        ...

    def near(self, reach: float) -> Evaluator:
        """Returns the same loss, faster to evaluate where the first coordinate is at most `reach` in size."""
        ...

    def slopes(self, reach: float) -> Callable[[Tensor], Tensor]:
        """Returns the gradient as a function of points (count, 2) → (2, count), fast within `reach`."""
        ...

    def known_minimum(self, start: Tensor, first: Tensor, second: Tensor) -> Any:
        """Returns a minimum (point, loss, flat) that needs no search of the grid, or None where there is none."""
        ...

    def upright(self) -> tuple[Field, float]:
        """Returns the same loss in the coordinates a and b + κ a, in which its bowls are not askew, and κ."""
        ...

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Field:
        """Returns the same field in another dtype or on another device."""
        ...


@dataclass(frozen=True, eq=False)
class Plane:
    """The loss of scores S0 + a·S1 + b·S2, affine in the coordinates a and b.

    Parameters
    ----------
    loss, targets : as for `loss(scores, targets)`
    base, first, second : S0, S1, S2 of shape (samples,), or (samples, classes) where the loss has a class axis
    one_feature : S0 = 0 and S2 = 1: the (w, b) grid of one feature, x = S1. Faster methods are known for it
    names : of the two coordinates
    penalty : added along the plane, or None
    free : which coordinates vary (see `held`)
    weights : of the samples, with Σ w = N; or, where a few nodes replace many samples, of the nodes, and `total` is the
        number of samples
    split : shares the rows of a grid among several processes: see `runtime.threads.whole`
    """

    loss: Loss
    targets: Tensor
    base: Tensor
    first: Tensor
    second: Tensor
    one_feature: bool = False
    names: tuple[str, str] = ("a", "b")
    penalty: PenaltyAlong | None = None
    free: tuple[bool, bool] = (True, True)
    weights: Tensor | None = None
    total: int = 0
    split: Split = whole

    @property
    def samples(self) -> int:
        """The number of samples, by which a sum is divided to give the mean."""
        return self.total or self.first.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.first.dtype

    @property
    def device(self) -> torch.device:
        return self.first.device

    @property
    def x(self) -> Tensor:
        """The one feature x, (samples,)."""
        assert self.one_feature
        return self.first

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Self:
        """Returns the same plane in another dtype or on another device; class indices stay whole numbers."""
        kind = dtype if self.targets.dtype.is_floating_point else None
        return replace(
            self,
            targets=self.targets.to(device=device, dtype=kind),
            base=self.base.to(device=device, dtype=dtype),
            first=self.first.to(device=device, dtype=dtype),
            second=self.second.to(device=device, dtype=dtype),
            weights=None if self.weights is None else self.weights.to(device=device, dtype=dtype),
            penalty=None if self.penalty is None else self.penalty.to(dtype, device),
        )

    def held(self, first: float | None, second: float | None) -> Self:
        """Returns the loss with a coordinate fixed at a value: a function of one variable. None leaves one free.

        The fixed coordinate's term is added to S0; its direction and its derivatives become 0.
        """
        if first is None and second is None:
            return self
        along_a, along_b = self.first, self.second
        base = self.base
        if first is not None:
            base, along_a = base + first * along_a, torch.zeros_like(along_a)
        if second is not None:
            base, along_b = base + second * along_b, torch.zeros_like(along_b)
        penalty = None if self.penalty is None else self.penalty.held(first, second)
        return replace(
            self,
            base=base,
            first=along_a,
            second=along_b,
            one_feature=False,
            penalty=penalty,
            free=(first is None, second is None),
        )

    def at(self, points: Tensor, order: int = 0) -> Tensor:
        """Returns the jet at points (count, 2), (JET[order], count): every point with every sample, in blocks."""
        points = points.to(self.first)
        sums = points.new_zeros(JET[order], len(points))
        for part in self.parts():
            per_point = max(1, self.first[part].numel())
            for some in blocks(len(points), per_point, self.first):
                a, b = (points[some, i].view(-1, *(1,) * self.base.ndim) for i in (0, 1))
                scores = self.base[part] + a * self.first[part] + b * self.second[part]
                sums[:, some] += self.jet(scores, part, order)
        result = sums / self.samples
        return result if self.penalty is None else result + self.penalty.at(points, order)

    def sums(self, a: Tensor, b: Tensor, order: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """Returns the jet over the grid a × b, summed over samples, without a penalty: (JET[order], len(a), len(b)).

        `dtype` is that of the losses, by default the scores'.
        """
        a, b = a.to(self.first), b.to(self.first)
        losses = self if dtype in (None, self.dtype) else self.to(dtype)
        total = losses.first.new_zeros(JET[order], len(a), len(b))
        tail = (1,) * self.base.ndim
        for part in track(self.parts(), "surface"):
            base, first, second = self.base[part], self.first[part], self.second[part]
            for columns in blocks(len(b), first.numel(), first):
                shift = b[columns].view(-1, *tail) * second  # (columns, samples[, classes])
                for rows in blocks(len(a), shift.numel(), first):
                    scores = (base + a[rows].view(-1, *tail) * first).unsqueeze(1) + shift
                    total[:, rows, columns] += losses.jet(scores.to(losses.dtype), part, order)
        return total

    def jet(self, scores: Tensor, part: slice, order: int) -> Tensor:
        """Returns the jet of a block of points, summed over the samples of one slice: (JET[order], *lead)."""
        weights = None if self.weights is None else self.weights[part]
        return jet(self.loss, scores, self.targets[part], self.first[part], self.second[part], order, weights)

    def parts(self) -> list[slice]:
        """Cuts the samples into slices so short that a block of memory holds their scores at several points."""
        length = max(1, BLOCK[self.device.type] // (self.first.element_size() * 8 * (self.first[:1].numel() or 1)))
        return [slice(start, start + length) for start in range(0, len(self.first), length)]


def jet(
    loss: Loss,
    scores: Tensor,
    targets: Tensor,
    first: Tensor,
    second: Tensor,
    order: int,
    weights: Tensor | None = None,
) -> Tensor:
    """Returns the jet of one block, summed over its samples: scores (*lead, samples[, classes]) → (JET[order], *lead).

    It uses the loss's own `pointwise…` and no formula of a loss. `weights`, one a sample, make it a weighted sum.
    """
    values = loss.pointwise(scores, targets)
    values = values.sum(-1) if weights is None else values @ weights
    if order == 0:
        return values.unsqueeze(0)
    if loss.flat:
        return torch.cat([values.unsqueeze(0), values.new_zeros(JET[order] - 1, *values.shape)])
    axes = 1 + loss.class_axis
    along = torch.stack([first.flatten(), second.flatten()], 1)  # (samples · classes, 2)
    heavy = along
    if weights is not None:
        heavy = along * weights.repeat_interleave(len(along) // len(weights)).unsqueeze(1)
    slopes = loss.pointwise_gradient(scores, targets).flatten(-axes) @ heavy
    numbers = [values, slopes[..., 0], slopes[..., 1]]
    if order == 2 and not loss.class_axis:
        squares = torch.stack([along[:, 0] * heavy[:, 0], along[:, 0] * heavy[:, 1], along[:, 1] * heavy[:, 1]], 1)
        numbers += (loss.pointwise_curvature(scores, targets) @ squares).unbind(-1)
    elif order == 2:
        bend = loss.curvature_product(scores, targets, first.expand_as(scores)).flatten(-axes) @ heavy
        last = loss.curvature_product(scores, targets, second.expand_as(scores)).flatten(-axes) @ heavy[:, 1]
        numbers += [bend[..., 0], bend[..., 1], last]
    return torch.stack(numbers)


def eigenvalues(hessian: Tensor, free: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """Returns both eigenvalues of [[p, q], [q, r]], given as (p, q, r): (p + r)/2 ∓ √((p − r)²/4 + q²).

    With a single free coordinate both are its second derivative.
    """
    p, q, r = hessian
    if free != (True, True):
        only = p if free[0] else r
        return only, only
    middle, half = (p + r) / 2, torch.hypot((p - r) / 2, q)
    return middle - half, middle + half


def blocks(count: int, size: int, like: Tensor) -> list[slice]:
    """Cuts `count` items of `size` numbers each into slices that fit in the byte budget, of at least one item."""
    length = max(1, BLOCK[like.device.type] // (size * like.element_size()))
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


POINTS = 256  # of a window whose count is not given


def tiles(b: Tensor, count: int) -> list[Tensor]:
    """Cuts the columns of the grid into tiles of equal width in b."""
    if count == 1:
        return [b]
    edges = torch.linspace(float(b[0]), float(b[-1]), count + 1, dtype=b.dtype, device=b.device)[1:-1]
    cuts = torch.searchsorted(b, edges).tolist()
    return [piece for piece in b.tensor_split(cuts) if len(piece)]


def axis(name: str, window: Window | Tensor, start: float | None = None) -> Tensor:
    """Returns the values of a coordinate, float64, from low to high with both ends included.

    Parameters
    ----------
    window : (low, high, count), or (low, high) for 256 points, or the values themselves, increasing
    start : a value that must lie on the axis: the nearest value is moved there if it is inside the window, so that the
        model's own weights are always evaluated
    """
    if isinstance(window, Tensor):
        values = window.detach().double().cpu()
        if values.ndim != 1 or len(values) == 0 or bool((values.diff() <= 0).any()):
            raise errors.ConfigError(
                f"The values of {name} increase along one axis; got a tensor {errors.shape(values)}."
            )
        return values
    if len(window) not in (2, 3):
        raise errors.ConfigError(f"A window is {name} = (low, high, count); got {window!r}.")
    low, high, count = (*window, POINTS)[:3]
    if not math.isfinite(high - low):
        raise errors.ConfigError(f"The window of {name} is finite; got {low} to {high}.")
    if int(count) != count or count < 1:
        raise errors.ConfigError(f"The number of points of {name} is whole, 1 or more; got {count}.")
    if low > high or (low == high and count > 1) or (low < high and count == 1):
        raise errors.ConfigError(
            f"The window of {name} goes up, low < high, or is one point, low = high with count 1; "
            f"got {low:g} to {high:g} with {count} points."
        )
    values = torch.linspace(low, high, int(count), dtype=torch.float64)
    if start is not None and low <= start <= high:
        values[int((values - start).abs().argmin())] = start
    return values


@dataclass(frozen=True, eq=False)
class PenaltyAlong:
    """A penalty as a function of (a, b), for the weights θ0 + a·d1 + b·d2. The vectors hold only penalised parameters.

    λ Σ θ² along a plane is an exact quadratic form: with c = λ (½λ with half=True),
    c‖θ0‖² + 2c(a θ0·d1 + b θ0·d2) + c(a²‖d1‖² + 2ab d1·d2 + b²‖d2‖²), where the six sums are computed once.
    λ Σ |θ| is not quadratic: it is summed weight by weight.
    """

    penalty: Penalty
    base: Tensor
    first: Tensor
    second: Tensor

    def __post_init__(self) -> None:
        if isinstance(self.penalty.strength, Tensor) and self.penalty.strength.ndim:
            raise errors.ConfigError(
                "A plane takes one penalty strength; this penalty has one for each run of a stack."
            )

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> PenaltyAlong:
        parts = (t.to(device=device, dtype=dtype) for t in (self.base, self.first, self.second))
        return PenaltyAlong(self.penalty, *parts)

    def held(self, first: float | None, second: float | None) -> PenaltyAlong:
        """Returns the same penalty with a coordinate fixed at a value, as `Plane.held`."""
        base, along_a, along_b = self.base, self.first, self.second
        if first is not None:
            base, along_a = base + first * along_a, torch.zeros_like(along_a)
        if second is not None:
            base, along_b = base + second * along_b, torch.zeros_like(along_b)
        return PenaltyAlong(self.penalty, base, along_a, along_b)

    def sheared(self, shear: float) -> PenaltyAlong:
        """Returns the same penalty in the coordinates a and b + κ a: see `Field.upright`."""
        return PenaltyAlong(self.penalty, self.base, self.first - shear * self.second, self.second)

    def at(self, points: Tensor, order: int) -> Tensor:
        """Returns the penalty and its derivatives up to `order` at points (a, b), (count, 2): (JET[order], count)."""
        points = points.to(self.base)
        if self.penalty.quadratic:
            return self.quadratic(points, order)
        products = torch.stack([self.first**2, self.first * self.second, self.second**2], 1)
        result = points.new_zeros(JET[order], len(points))
        for some in blocks(len(points), max(1, self.base.numel()), self.base):
            theta = self.base + points[some, :1] * self.first + points[some, 1:] * self.second
            result[0, some] = self.penalty.strength * self.penalty.measure(theta).sum(-1)
            if order:
                slope = self.penalty.gradient(theta)
                result[1, some], result[2, some] = slope @ self.first, slope @ self.second
            if order == 2:
                result[3:, some] = (self.penalty.curvature(theta) @ products).mT
        return result

    def quadratic(self, points: Tensor, order: int) -> Tensor:
        # ‖θ‖² expanded in a and b about θ0: 6 sums over the weights, whatever the grid
        a, b = points.unbind(-1)
        c = float(self.penalty.curvature(torch.ones_like(self.base[:1]).double())) / 2 if len(self.base) else 0.0
        aa, ab, bb = self.first @ self.first, self.first @ self.second, self.second @ self.second
        at, bt = self.base @ self.first, self.base @ self.second
        numbers = [
            c * (self.base @ self.base + 2 * (a * at + b * bt) + a * a * aa + 2 * a * b * ab + b * b * bb),
            2 * c * (at + a * aa + b * ab),
            2 * c * (bt + a * ab + b * bb),
            *(torch.full_like(a, float(2 * c * form)) for form in (aa, ab, bb)),
        ]
        return torch.stack(numbers[: JET[order]])

    @property
    def convex(self) -> bool | None:
        return self.penalty.convex
