"""The loss at probe points, as exactly as float64 can: what the error of a surface is measured against.

A score S0 + a·S1 + b·S2 may be a small difference of large terms (x far from 0), and float64 then rounds off what the
loss depends on. So each score is computed as a sum hi + lo of two numbers, from products and sums whose rounding errors
are computed as well, and ℓ(hi + lo) = ℓ(hi) + lo·ℓ′(hi). See Ogita, Rump & Oishi 2005, Accurate Sum and Dot Product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .planes import Field, Plane, blocks

SPLIT = 134217729.0  # 2²⁷ + 1 cuts a float64 into two halves of 26 bits
EPS = torch.finfo(torch.float64).eps


@torch.no_grad()
def values(field: Field, points: Tensor, thorough: int) -> Tensor:
    """Returns the loss at points (count, 2) in float64; the first `thorough` of them with scores of twice the digits.

    A net, whose scores are not affine, is evaluated in float64; so is a loss that jumps, where w·x + b as float64 has
    it decides about a sample on the boundary.
    """
    field = field.to(torch.float64)
    if not isinstance(field, Plane) or field.loss.flat:
        return field.at(points)[0]
    found = [precise(field, points[:thorough]), field.at(points[thorough:])[0]]
    return torch.cat(found)


def precise(plane: Plane, points: Tensor) -> Tensor:
    """Returns the loss at points (count, 2) from scores of twice the digits."""
    points = points.to(plane.first)
    total = points.new_zeros(len(points))
    for part in plane.parts():
        for some in blocks(len(points), max(1, 4 * plane.first[part].numel()), plane.first):
            a, b = (points[some, i].view(-1, *(1,) * plane.base.ndim) for i in (0, 1))
            high, low = scores(plane.base[part], a, plane.first[part], b, plane.second[part])
            targets = plane.targets[part]
            shift = torch.where(low == 0, low, low * plane.loss.pointwise_gradient(high, targets))
            terms = plane.loss.pointwise(high, targets) + (shift.sum(-1) if plane.loss.class_axis else shift)
            total[some] += terms.sum(-1) if plane.weights is None else terms @ plane.weights[part]
    result = total / plane.samples
    return result if plane.penalty is None else result + plane.penalty.at(points, 0)[0]


def scores(base: Tensor, a: Tensor, first: Tensor, b: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Returns S0 + a·S1 + b·S2 as hi + lo: hi is the sum rounded once, lo what that leaves out."""
    one, one_low = product(a, first)
    two, two_low = product(b, second)
    high, low = total(one, two)
    high, rest = total(high, base.expand_as(high))
    low = (low + rest) + (one_low + two_low)
    high, low = total(high, low)
    return high, low.nan_to_num(0.0, 0.0, 0.0)  # beyond 1e300 the halves overflow: nothing is left out then


def product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a·b rounded, and the rounding error, itself a float64 (Dekker 1971)."""
    high = a * b
    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    return high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low


def halves(a: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a number as a sum of two with half the digits, whose products are exact (Veltkamp)."""
    large = SPLIT * a
    high = large - (large - a)
    return high, a - high


def total(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a + b rounded, and the rounding error (Knuth)."""
    high = a + b
    back = high - a
    return high, torch.where(high.isfinite(), (a - (high - back)) + (b - back), 0.0)


def resolution(field: Field, points: Tensor) -> float:
    """Returns the size below which a value near these points is rounding, in float64.

    (f(s) − y)² is 0 where f(s) rounds to y, though the loss is not; log Σ e^s loses what is below the last digit of 1.
    """
    if not isinstance(field, Plane) or field.loss.pole is None or field.loss.pole == float("inf"):
        return 0.0
    if field.loss.class_axis:
        return EPS
    through = getattr(field.loss, "through", None)
    if through is None:
        return torch.finfo(torch.float64).tiny
    plane = field.to(torch.float64)
    some = slice(0, 4096)
    scores = plane.base[some] + points.to(plane.first) @ torch.stack([plane.first[some], plane.second[some]])
    return float((EPS * through(scores)).square().mean()) + torch.finfo(torch.float64).tiny
