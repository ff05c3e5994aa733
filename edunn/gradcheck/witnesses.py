"""Three independent checks of the gradient of a scalar in one tensor: autograd, five points, and a Taylor test.

One entry of the point changes at a time. If the function has a kink closer than the step, two step sizes disagree; the
step is then shortened until the kink is farther away. If no step is short enough (the point is on a kink), the two
one-sided derivatives are computed, and every value between them is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..differences import FIVE_POINTS, STEP
from ..runtime.devices import generator

SHORTER = (STEP, STEP / 8, STEP / 64, STEP / 512)
# f'(0) from f at 1, 2, 3, 4, 5: one side only, and not the point itself, whose value belongs to both
ONE_SIDED = ((1.0, -77 / 12), (2.0, 107 / 6), (3.0, -39 / 2), (4.0, 61 / 6), (5.0, -25 / 12))
ONE_SIDED_STEP = 2e-5
ROUNDING = 2.0**-52
ENTRIES = 400  # of a large tensor only so many, drawn with the seed, are moved


@dataclass(frozen=True)
class Numeric:
    """The numeric derivative, entry by entry.

    Shapes: all are flat, one number for each entry that was computed.

    index : which entries of the flattened point
    low, high : the interval of right answers: equal where the function is smooth
    smooth : whether the two ends are one number
    slack : the possible error of the difference close to a kink; else 0
    near : entries where the step had to be shortened, because there is a kink close by
    noise : the possible rounding error of the difference
    """

    index: Tensor
    low: Tensor
    high: Tensor
    smooth: Tensor
    slack: Tensor
    near: int
    noise: float

    def distance(self, gradient: Tensor) -> Tensor:
        """Returns how far each entry of a gradient lies outside the interval, beyond the slack."""
        picked = gradient.reshape(-1)[self.index]
        return (torch.maximum(self.low - picked, picked - self.high) - self.slack).clamp(min=0)


def numeric(
    function: Callable[[Tensor], Tensor],
    point: Tensor,
    seed: int = 0,
    entries: int = ENTRIES,
    doubtful: Tensor | None = None,
) -> Numeric:
    """Returns the derivative of a scalar function in every entry of a point, or in `entries` of them; finds kinks.

    Parameters
    ----------
    function : takes a tensor of the point's shape, returns a scalar
    point : float64; it is not changed
    doubtful : the difference of two gradients, of the point's shape: if only some entries are computed, half of them
        are those where it is largest
    """
    point = point.detach().clone()
    index = pick_entries(point, seed, entries, doubtful)
    low, high = torch.zeros(len(index), dtype=point.dtype), torch.zeros(len(index), dtype=point.dtype)
    smooth, slack = torch.ones(len(index), dtype=torch.bool), torch.zeros(len(index), dtype=point.dtype)
    with torch.no_grad():
        size = abs(float(function(point)))
    near = 0
    for k, i in enumerate(index.tolist()):
        line = Line(function, point, i)
        found = line.derivative(size)
        low[k], high[k], smooth[k], slack[k] = found.low, found.high, found.smooth, found.slack
        near += found.shortened
    return Numeric(index, low, high, smooth, slack, near, ROUNDING * size / STEP)


def pick_entries(point: Tensor, seed: int, entries: int, doubtful: Tensor | None) -> Tensor:
    """Returns the indices of the entries to compute: all, or some of the most doubtful and some at random."""
    count = point.numel()
    if count <= entries:
        return torch.arange(count)
    index = torch.randperm(count, generator=generator(seed))
    if doubtful is not None:
        worst = doubtful.reshape(-1).nan_to_num(float("inf")).topk(entries // 2).indices
        index = torch.cat([worst, index[~torch.isin(index, worst)]])
    return index[:entries].sort().values


@dataclass(frozen=True)
class Slope:
    low: float
    high: float
    smooth: bool
    shortened: bool
    slack: float = 0.0


class Line:
    """The function along one entry of its point: t ↦ f(x + t e_i)."""

    def __init__(self, function: Callable[[Tensor], Tensor], point: Tensor, entry: int) -> None:
        self.function, self.point, self.entry = function, point, entry
        self.start = point.view(-1)[entry].item()
        self.known: dict[float, float] = {}

    def __call__(self, t: float) -> float:
        if t not in self.known:
            flat = self.point.view(-1)
            flat[self.entry] = self.start + t
            with torch.no_grad():
                self.known[t] = float(self.function(self.point))
            flat[self.entry] = self.start
        return self.known[t]

    def five_points(self, step: float) -> float:
        return sum(weight * self(offset * step) for offset, weight in FIVE_POINTS) / step

    def one_sided(self, step: float) -> float:
        """Returns the one-sided derivative on the side of the step's sign."""
        return sum(weight * self(offset * step) for offset, weight in ONE_SIDED) / step

    def has_corner(self, step: float, size: float) -> bool:
        """Returns whether the slope jumps at the point itself, which a central difference cannot show.

        (f(h) − 2f(0) + f(−h)) / h halves with h where f is smooth, stays at a corner, and doubles at a jump.
        """
        wide, narrow = ((self(h) - 2 * self(0.0) + self(-h)) / h for h in (step, step / 2))
        noise = 20 * ROUNDING * size / step
        return abs(narrow) > 0.75 * abs(wide) and abs(narrow) > 1e-7 * max(abs(self.five_points(step)), 1e-3) + noise

    def derivative(self, size: float) -> Slope:
        """Returns the derivative and its possible errors; `size` is |f|, to which rounding is proportional."""
        for step in SHORTER:
            wide, narrow = self.five_points(step), self.five_points(step / 2)
            # twelve digits where f is smooth: a bend inside the stencil costs many of them
            allowed = 1e-9 * max(abs(wide), abs(narrow), 1e-3) + 20 * ROUNDING * size / step
            if abs(wide - narrow) <= allowed:
                if self.has_corner(step, size):
                    break
                if step == STEP:
                    return Slope(wide, wide, True, False)
                # next to a bend the error shrinks like the step, so it is about what halving the step changed
                return Slope(narrow, narrow, True, True, 2 * abs(wide - narrow) + allowed)
            if not (math.isfinite(wide) and math.isfinite(narrow)):
                return Slope(math.nan, math.nan, True, True)
        left, right = self.one_sided(-ONE_SIDED_STEP), self.one_sided(ONE_SIDED_STEP)
        slack = 1e-7 * max(abs(left), abs(right)) + 100 * ROUNDING * size / ONE_SIDED_STEP
        return Slope(min(left, right), max(left, right), False, True, slack)


def autograd(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """Returns the gradient by `torch.autograd`; zeros where the function does not depend on the point."""
    point = point.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = function(point)
        if not value.requires_grad:
            return torch.zeros_like(point)
        (gradient,) = torch.autograd.grad(value, point, allow_unused=True)
    return torch.zeros_like(point) if gradient is None else gradient.detach()


@dataclass(frozen=True)
class Taylor:
    """The Taylor test: the remainder |f(x + t v) − f(x) − t g·v| shrinks like t² if g is the gradient, like t if not.

    order : the exponent that was measured; None where the remainder is only rounding (f is linear)
    passed : the order is near 2 or above
    """

    order: float | None
    passed: bool


def taylor(function: Callable[[Tensor], Tensor], point: Tensor, gradient: Tensor, seed: int = 0) -> Taylor:
    """Runs the Taylor test along random directions, five at most: one may cross a kink. No step size is chosen."""
    best = Taylor(0.0, False)
    for attempt in range(5):
        direction = torch.randn(point.shape, dtype=torch.float64, generator=generator(seed, attempt)).to(point)
        direction = direction / direction.norm().clamp(min=1e-300)
        found = remainder_order(function, point.detach(), gradient, direction)
        if found.passed:
            return found
        if best.order is None or (found.order or 0.0) > best.order:
            best = found
    return best


@torch.no_grad()
def remainder_order(function: Callable[[Tensor], Tensor], point: Tensor, gradient: Tensor, direction: Tensor) -> Taylor:
    """Measures the order of the remainder, from steps 2^−9 … 2^−15."""
    start = float(function(point))
    slope = float((gradient * direction).sum())
    if not (math.isfinite(start) and math.isfinite(slope)):
        return Taylor(0.0, False)
    sizes, logs = [], []
    for k in range(9, 16):
        t = 2.0**-k
        remainder = abs(float(function(point + t * direction)) - start - t * slope)
        if remainder > 64 * ROUNDING * max(abs(start), t * abs(slope), 1e-300):
            sizes.append(-float(k))
            logs.append(math.log2(remainder))
    if len(logs) < 3:  # the smallest steps leave rounding alone: linear, or linear as far as a kink
        return Taylor(None, True)
    mean_size, mean_log = sum(sizes) / len(sizes), sum(logs) / len(logs)
    order = sum((s - mean_size) * (r - mean_log) for s, r in zip(sizes, logs, strict=True))
    order /= sum((s - mean_size) ** 2 for s in sizes)
    return Taylor(order, order > 1.6)
