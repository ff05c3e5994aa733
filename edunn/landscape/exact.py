"""Exact surfaces of losses that are polynomial between kinks, at a cost of N + G or N log N + G log N, not N·G.

- Squared error on linear scores is a quadratic form on any plane: `quadratic`.
- Hinge, squared hinge, perceptron and zero-one on one feature: the samples of a label with a loss above 0 are those on
  one side of a threshold in x. So they are sorted once for each label, and a grid point takes a binary search and a
  few prefix sums: `by_label`.
- Absolute error and Huber on one feature: for a given w the kinks lie at b = y − w x: `by_residual`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..losses import Loss
from .direct import with_penalty
from .planes import JET, Plane, blocks


def fits(plane: Plane) -> bool:
    """Returns whether there is an exact form for this loss on this plane."""
    return is_quadratic(plane.loss) or (plane.one_feature and plane.loss.form is not None)


def is_quadratic(loss: Loss) -> bool:
    """Returns whether the loss is squared error on the scores themselves."""
    return loss.form == "square"


@torch.no_grad()
def grid(plane: Plane, a: Tensor, b: Tensor, order: int = 0) -> Tensor:
    """Returns the mean loss and its derivatives up to `order` on the grid: a jet, (JET[order], len(a), len(b)).

    It is computed in float64.
    """
    dtype = plane.dtype
    plane = plane.to(torch.float64)
    a, b = a.to(plane.first), b.to(plane.first)
    if is_quadratic(plane.loss):
        values = quadratic(plane, a, b, order)
    elif plane.loss.form == "shortfall":
        values = by_label(plane, a, b, order)
    else:
        values = plane.split(lambda rows: by_residual(plane, rows, b, order), a, 1)
    return with_penalty(plane, a, b, order, values).to(dtype)


# ---- squared error ---------------------------------------------------------------------------------------------------


def least_squares(plane: Plane) -> tuple[Tensor, float, Tensor]:
    """Returns the least-squares point θ* = (a*, b*), the loss L* there, and R of L(θ) = L* + ‖R (θ − θ*)‖².

    R is triangular. With scores S0 + a S1 + b S2 (see `planes`), residuals r = S0 + a S1 + b S2 − y and the columns
    A = (S1, S2): A/√N = Q R, L − L* = c ‖R(θ − θ*)‖² (c is 1, or ½ with half=True, and is put into R). Centring at θ*
    keeps the digits that the raw form Σ r² loses at wide windows, and a sum of squares cannot cancel. Where S1 and S2
    are dependent (constant x) the minima form a line, and θ* is its point nearest to 0.
    """
    loss: Any = plane.loss
    residuals = loss.residual(plane.base, plane.targets).flatten()
    columns = torch.stack([plane.first.flatten(), plane.second.flatten()], 1)
    if plane.weights is not None:  # Σ w r² is the sum of (√w r)²
        root = plane.weights.sqrt().repeat_interleave(len(residuals) // len(plane.weights))
        residuals, columns = root * residuals, root.unsqueeze(1) * columns
    # columns of very different size are brought to one scale before their rank is judged
    scale = columns.norm(dim=0).clamp(min=torch.finfo(columns.dtype).tiny)
    _, triangle = torch.linalg.qr(columns / scale)
    if columns.shape[0] == 1:
        triangle = torch.cat([triangle, torch.zeros_like(triangle)])
    _, singular, vt = torch.linalg.svd(triangle)
    keep = singular > 1e-13 * singular[0].clamp(min=1e-300)
    point = torch.zeros(2, dtype=columns.dtype, device=columns.device)
    for _ in range(2):  # the second round mends the rounding of the first
        moments = (columns / scale).mT @ (residuals + columns @ point)
        step = (vt.mT[:, keep] / singular[keep] ** 2) @ (vt[keep] @ moments)
        point = point - step / scale
    best = residuals + columns @ point
    factor = loss.factor / plane.samples
    return point, float(factor * best @ best), factor**0.5 * triangle * scale


def quadratic(plane: Plane, a: Tensor, b: Tensor, order: int) -> Tensor:
    """Returns the jet of L = L* + ‖R (θ − θ*)‖², with gradient 2 RᵀR (θ − θ*) and Hessian 2 RᵀR."""
    point, least, r = least_squares(plane)
    u, v = (a - point[0]).unsqueeze(1), b - point[1]
    top, low = r[0, 0] * u + r[0, 1] * v, r[1, 1] * v
    result = a.new_empty(JET[order], len(a), len(b))
    result[0] = (top * top).add_(low * low).add_(least)
    if order >= 1:
        result[1] = 2 * r[0, 0] * top
        result[2] = 2 * (r[0, 1] * top + r[1, 1] * low)
    if order == 2:
        form = 2 * r.mT @ r
        for channel, entry in enumerate((form[0, 0], form[0, 1], form[1, 1]), 3):
            result[channel] = entry
    return result


# ---- hinge, squared hinge, perceptron, zero-one ----------------------------------------------------------------------


def by_label(plane: Plane, w: Tensor, b: Tensor, order: int) -> Tensor:
    """Returns the jet of a hinge, perceptron or zero-one loss over the grid, from sorted samples and prefix sums."""
    result = w.new_zeros(JET[order], len(w), len(b))
    for label in (-1.0, 1.0):
        here = plane.targets == label
        x, weights = plane.x[here], None if plane.weights is None else plane.weights[here]
        if len(x) == 0:
            continue
        # y·z = y w x + y b: where y w ≥ 0 samples with a loss come first in ascending x, else in descending
        ascending = Prefix.of(x, False, weights)
        descending = Prefix.of(x, True, weights)
        for prefix, chosen in ((ascending, label * w >= 0), (descending, label * w < 0)):
            index = chosen.nonzero().squeeze(1)
            for some in blocks(len(index), 4 * len(b), w):
                rows = index[some]
                result[:, rows] += prefix.jet(plane.loss, label, w[rows], b, order)
    return result / plane.samples


class Prefix:
    """The distinct x of one label, sorted, and for every k the count, mean and spread Σ(x − x̄)² of the first k.

    With weighted samples the count is the sum of their weights.
    """

    def __init__(self, x: Tensor, counts: Tensor) -> None:
        def sums(terms: Tensor) -> Tensor:
            return torch.nn.functional.pad(terms.cumsum(0), (1, 0))

        self.x = x
        self.count = sums(counts)
        # relative to the first x all terms have one sign, and a later x, even a huge one, changes no earlier sum
        self.mean = x[0] + sums(counts * (x - x[0])) / self.count.where(self.count > 0, 1)
        # Σ (x − mean)² grows with each x by a square (Chan, Golub & LeVeque 1983): nothing is subtracted
        before = self.count[:-1]
        self.spread = sums(before * counts / (before + counts) * (x - self.mean[:-1]) ** 2)

    @classmethod
    def of(cls, x: Tensor, descending: bool, weights: Tensor | None = None) -> Prefix:
        values, place, counts = torch.unique(x, return_inverse=True, return_counts=True)
        if weights is not None:
            counts = torch.zeros_like(values).index_add_(0, place, weights)
        if descending:
            values, counts = values.flip(0), counts.flip(0)
        return cls(values, counts.to(x.dtype))

    def paying(self, loss: Any, label: float, w: Tensor, b: Tensor) -> Tensor:
        """Returns for every grid point how many of the distinct x have a loss above 0, (len(w), len(b)).

        A binary search. It calls the loss on the score w·x + b with the same rounding as `direct`, so that both agree
        on samples that lie exactly on the boundary.
        """
        w = w.unsqueeze(1)

        def pays(index: Tensor) -> Tensor:
            return violated(loss, w * self.x[index] + b, label)

        return count_leading(pays, len(self.x), torch.zeros(len(w), len(b), dtype=torch.int64, device=b.device))

    def jet(self, loss: Any, label: float, w: Tensor, b: Tensor, order: int) -> Tensor:
        """Returns the jet of the loss summed over the samples of this label, by their number, mean and spread.

        n samples have a loss above 0; x̄ is their mean and V = Σ(x − x̄)². Zero-one: n. Hinge: n m with the shortfall m
        = Δ − y(w x̄ + b) at the mean. Squared hinge: n m² + w² V.
        """
        k = self.paying(loss, label, w, b)
        n = self.count[k]
        if loss.power == 0:
            return torch.cat([n.unsqueeze(0), n.new_zeros(JET[order] - 1, *n.shape)])
        mean = self.mean[k]
        w = w.unsqueeze(1)
        shortfall = loss.shortfall(w * mean + b, torch.as_tensor(label))
        if loss.power == 1:
            numbers = [n * shortfall, -label * n * mean, -label * n]
            numbers += [torch.zeros_like(n)] * 3
        else:
            spread = self.spread[k]
            numbers = [n * shortfall**2 + w * w * spread]
            numbers += [2 * (w * spread - label * n * shortfall * mean), -2 * label * n * shortfall]
            numbers += [2 * (spread + n * mean**2), 2 * n * mean, 2 * n]
        return torch.stack(numbers[: JET[order]])


def count_leading(holds: Callable[[Tensor], Tensor], count: int, low: Tensor) -> Tensor:
    """Returns how many of the indices 0 … count − 1 meet a condition that holds up to some index and not beyond.

    A binary search at every grid point at once; `low` is a tensor of zeros in the shape of the result.
    """
    high = torch.full_like(low, count)
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        is_open = low < high
        yes = holds(middle.clamp(max=count - 1))
        low = torch.where(is_open & yes, middle + 1, low)
        high = torch.where(is_open & ~yes, middle, high)
    return low


def violated(loss: Any, scores: Tensor, label: float) -> Tensor:
    """Returns which scores of samples with this label miss the margin: the loss, or its subgradient, is not 0."""
    target = torch.as_tensor(label, dtype=scores.dtype, device=scores.device)
    pays: Tensor = ~loss.satisfied(loss.shortfall(scores, target))
    return pays


# ---- absolute error, Huber -------------------------------------------------------------------------------------------


def by_residual(plane: Plane, w: Tensor, b: Tensor, order: int) -> Tensor:
    """Returns the jet of the absolute error or Huber's, by sorted residuals for each w and a binary search in b.

    With r = y − w x the score exceeds the target by t = b − r. |t| is linear on each side of 0, and Huber's function
    outside |t| ≤ δ, so with the n₋ samples on the left (r < b) and n₊ on the right: Σ|t| = n₋(b − r̄₋) − n₊(b − r̄₊);
    Huber adds the samples within δ of b.
    """
    x, y, loss = plane.x, plane.targets, plane.loss
    delta: Any = loss.delta
    result = w.new_empty(JET[order], len(w), len(b))
    for rows in blocks(len(w), 8 * (len(x) + len(b)), w):
        r, place = torch.sort(y - w[rows].unsqueeze(1) * x, -1)
        xs, ys = x[place], y[place]
        score, nowhere = partial(score_above, w[rows].unsqueeze(1), b, xs, ys), torch.zeros_like(place[:, :1])
        nowhere = nowhere.expand(-1, len(b))
        left = count_leading(partial(above_kink, score, delta), len(x), nowhere)
        right = count_leading(partial(not_below_kink, score, -delta), len(x), nowhere)
        centre = r[:, r.shape[1] // 2, None]  # sums are kept about the median: they stay small where they matter
        r, t = r - centre, b - centre
        ends = torch.full_like(left, r.shape[1])
        below, above, near = Span(nowhere, left), Span(right, ends), Span(left, right)
        one = torch.ones_like(r) if plane.weights is None else plane.weights[place]
        scale = delta or 1.0
        # outside: ± scale · (t − r) − ½ scale · delta
        n_low, n_high = below.sum(one), above.sum(one)
        numbers = [
            scale * (n_low * t - below.sum(one * r) - n_high * t + above.sum(one * r))
            - 0.5 * scale * delta * (n_low + n_high),
            scale * (below.sum(one * xs) - above.sum(one * xs)),
            scale * (n_low - n_high),
        ]
        if delta:
            # residuals far from every column are left out of these sums: the others would be lost in the rounding of a
            # large one
            close = (r >= t[:, :1] - 1.01 * delta) & (r <= t[:, -1:] + 1.01 * delta)
            r, xs = r * close, xs * close
            n, mean_r = near.sum(one), near.sum(one * r)
            numbers[0] = numbers[0] + 0.5 * (n * t * t - 2 * t * mean_r + near.sum(one * r * r))
            numbers[1] = numbers[1] + t * near.sum(one * xs) - near.sum(one * r * xs)
            numbers[2] = numbers[2] + n * t - mean_r
            numbers += [near.sum(one * xs * xs), near.sum(one * xs), n]
        else:
            numbers += [torch.zeros_like(n_low)] * 3
        for channel in range(JET[order]):
            result[channel, rows] = numbers[channel]
    return result / plane.samples


def score_above(w: Tensor, b: Tensor, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
    """Returns the residuals w·x + b − y of the samples x[index], y[index], one a grid point.

    The order of the operations is that of `direct`, so that both round in the same way.
    """
    return w * x.gather(-1, index) + b - y.gather(-1, index)


def above_kink(score: Callable[[Tensor], Tensor], kink: float, index: Tensor) -> Tensor:
    return score(index) > kink


def not_below_kink(score: Callable[[Tensor], Tensor], kink: float, index: Tensor) -> Tensor:
    return score(index) >= kink


class Span:
    """A range of the sorted samples for every grid point of a row: from index `start` up to, but without, `stop`."""

    def __init__(self, start: Tensor, stop: Tensor) -> None:
        self.start, self.stop = start, stop

    def sum(self, terms: Tensor) -> Tensor:
        sums = torch.nn.functional.pad(terms.cumsum(-1), (1, 0))
        return sums.gather(-1, self.stop) - sums.gather(-1, self.start)
