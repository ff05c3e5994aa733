"""The method `spectral`: evaluates an analytic loss at a few nodes and interpolates to the grid.

An analytic function on an interval is the limit of its interpolants at Chebyshev nodes, and the error falls like ρ^−n,
where ρ > 1 follows from the nearest pole: for one at distance d from the real scores, and scores of half-range R along
the variable, ρ = d/R + √(1 + (d/R)²), so that about n = R/d · ln(1/ε) nodes reach ε. The sigmoid and log(1 + e^z)
have their poles at ±iπ, tanh at ±iπ/2; a sum of C exponentials has no zero while the scores differ by less than π in
their imaginary parts, so cross-entropy has d = π with R half the range of the differences.

- **Grid.** The loss is evaluated at n_a × n_b nodes and interpolated to the grid by two matrix products.
- **Samples.** On one feature x enters as w·x + b, analytic as well: N samples are replaced by M Chebyshev nodes in x
  with weights, Σ_i f(x_i) = Σ_m ω_m f(t_m) for every polynomial of degree < M, from the moments Σ_i T_k(x_i). Targets
  enter as a polynomial: each of its few terms has weights of its own.
- **Outliers.** The few samples far outside the bulk, which would require many more nodes, are summed on their own.

So the cost is N + M·n_w·n_b + G·n: linear in N and in G, never their product. Value, gradient and Hessian are each
evaluated at the nodes and interpolated; the interpolating polynomial is never differentiated. See Trefethen,
Approximation Theory and Approximation Practice, chapters 3, 8 and 19.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from .. import errors
from ..losses import Loss
from ..runtime import threads
from ..runtime.devices import generator
from . import direct
from .planes import JET, Evaluator, Plane

TOLERANCE = {torch.float32: 1e-7, torch.float64: 1e-11}  # of the interpolation, relative to the largest loss
GROWTH = 1.5  # the factor on the number of nodes while the coefficients have not decayed


def pole(loss: Loss) -> float | None:
    """Returns the distance of the loss's nearest singularity from the real axis; None if there is no such distance.

    A loss that is not analytic has none, nor has a polynomial, for which `exact` is the method.
    """
    distance = loss.pole
    if distance is not None and not distance > 0:
        raise errors.ConfigError(
            f"{type(loss).__name__}.pole is {distance}; it is a distance above 0, or None for a loss that is not "
            f"analytic. The sigmoid's is math.pi."
        )
    return None if distance == math.inf else distance


def fits(plane: Plane) -> bool:
    """Returns whether the loss is analytic in the scores."""
    return pole(plane.loss) is not None


@torch.no_grad()
def grid(plane: Plane, a: Tensor, b: Tensor, order: int = 0, goal: float | None = None) -> Tensor:
    """Returns the mean loss and its derivatives up to `order` on the grid: a jet, (JET[order], len(a), len(b))."""
    dtype = plane.dtype
    a, b = a.double().to(plane.device), b.double().to(plane.device)
    if plane.one_feature:
        plane = plane.to(torch.float64)  # as cheap as float32 here, where the sums are short
    goal = goal or tolerance(plane)
    if order and plane.loss.class_axis:
        goal = max(goal, 1e-9)  # derivatives over classes cost ten times a value; nine digits of them are enough
    # a derivative's coefficients decay at the same rate, from a start that is n times as large
    plan = Plan.of(plane, a, b, goal * 0.1**order)
    for _ in range(4):
        result, tail = plan.evaluate(order)
        if tail <= 10 * goal or plan.full:
            break
        plan = plan.denser()
    return direct.with_penalty(plane, a, b, order, result).to(dtype)


def tolerance(plane: Plane) -> float:
    """Returns the error allowed in the interpolation, relative to the largest loss."""
    # near a double pole, as (f − y)² has, the coefficients start n times as large
    return TOLERANCE[plane.dtype] / (50 if plane.loss.pole_order else 1)


def nodes_needed(ranges: Tensor, distance: float, tolerance: float) -> int:
    """Returns the least n with mean ρ_i^−n ≤ tolerance over the samples, each with its own half-range R_i.

    The mean is enough because the surface is a mean over samples: a single sample with a slow decay counts 1/N.
    """
    ratio = distance / ranges.clamp(min=1e-12)
    logs = torch.asinh(ratio)  # ln ρ = ln(y + √(1 + y²))
    low, high = 2, 4
    while float(torch.exp(-high * logs).mean()) > tolerance and high < 1 << 20:
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (middle, high) if float(torch.exp(-middle * logs).mean()) > tolerance else (low, middle)
    return high + 3


@dataclass(frozen=True, eq=False)
class Axis:
    """A coordinate's grid values, and the nodes where the loss is evaluated: the values themselves if fewer."""

    values: Tensor
    count: int

    @property
    def full(self) -> bool:
        return self.count >= len(self.values)

    @property
    def nodes(self) -> Tensor:
        if self.full:
            return self.values
        low, high = self.values[0], self.values[-1]
        return (low + high) / 2 + (high - low) / 2 * chebyshev_nodes(self.count, self.values)

    def spread(self, at_nodes: Tensor) -> Tensor:
        """Interpolates values at the nodes (the second last axis) to the grid."""
        if self.full:
            return at_nodes
        low, high = self.values[0], self.values[-1]
        where = ((self.values - (low + high) / 2) / ((high - low) / 2)).clamp(-1, 1)
        powers = torch.cos(torch.acos(where).unsqueeze(1) * torch.arange(self.count, device=where.device))
        return (powers @ coefficients(self.count, where)).to(at_nodes.dtype) @ at_nodes

    def tail(self, at_nodes: Tensor) -> float:
        """Returns the size of the last Chebyshev coefficients relative to the largest: an estimate of the error."""
        if self.full:
            return 0.0
        size = (coefficients(self.count, self.values).to(at_nodes.dtype) @ at_nodes).abs()
        largest = size.amax((-2, -1)).clamp(min=1e-300)
        return float((size[..., -max(2, self.count // 20) :, :].amax((-2, -1)) / largest).max())


def chebyshev_nodes(count: int, like: Tensor) -> Tensor:
    """Returns the Chebyshev nodes, the zeros of T_n, ascending: cos(π(m + ½)/n), m = n − 1 … 0."""
    # sin of angles about 0 equals the cosines in ascending order, symmetric to the last bit
    places = torch.arange(1 - count, count, 2, dtype=torch.float64, device=like.device)
    return torch.sin(math.pi / 2 * places / count)


def coefficients(count: int, like: Tensor) -> Tensor:
    """Returns the matrix from values at the nodes to coefficients: c_k = (2 − δ_k0)/n Σ_m f(t_m) T_k(t_m)."""
    angles = math.pi * (torch.arange(count - 1, -1, -1, dtype=torch.float64, device=like.device) + 0.5) / count
    matrix = torch.cos(torch.arange(count, device=like.device).unsqueeze(1) * angles) * (2 / count)
    matrix[0] /= 2
    return matrix


@dataclass(frozen=True, eq=False)
class Plan:
    """Where a spectral surface is evaluated: most samples at the nodes, outliers along the whole first axis."""

    plane: Plane
    first: Axis
    second: Axis
    bulk: Plane
    outliers: Plane | None
    cost: float  # evaluations of the loss at one sample
    tolerance: float

    @classmethod
    def of(cls, plane: Plane, a: Tensor, b: Tensor, tolerance: float) -> Plan:
        """Returns the plan with the least work: the numbers of nodes and outliers, and if nodes replace samples."""
        distance = pole(plane.loss)
        assert distance is not None
        half_a, half_b = float(a[-1] - a[0]) / 2, float(b[-1] - b[0]) / 2
        second = Axis(b, nodes_needed(span(plane.second, plane.loss) * half_b, distance, tolerance))
        columns = min(second.count, len(b))
        reach = span(plane.first, plane.loss)
        if not plane.one_feature:
            first = Axis(a, nodes_needed(reach * half_a, distance, tolerance))
            cost = min(first.count, len(a)) * columns * plane.first.numel()
            return cls(plane, first, second, plane, None, cost, tolerance)
        split = Split.of(plane, half_a, float(a.abs().max()), len(a), columns, distance, tolerance)
        first = Axis(a, split.rows)
        bulk, outliers = split.parts(plane)
        if split.compressed:
            bulk = compress(bulk, split.nodes)
        return cls(plane, first, second, bulk, outliers, split.cost, tolerance)

    @property
    def full(self) -> bool:
        return self.first.full and self.second.full

    def denser(self) -> Plan:
        """Returns the same plan with more nodes on both axes."""
        first, second = (replace(side, count=int(side.count * GROWTH)) for side in (self.first, self.second))
        if not self.bulk.total:  # nothing was compressed
            return replace(self, first=first, second=second)
        return Plan.of(self.plane, self.first.values, self.second.values, self.tolerance**GROWTH)

    def evaluate(self, order: int) -> tuple[Tensor, float]:
        """Returns the jet over the grid, and an estimate of its error: the size of the value's last coefficients."""
        plane = self.bulk
        if plane.weights is None and plane.one_feature:
            at_nodes = direct.grid(replace(plane, penalty=None), self.first.nodes, self.second.nodes, order)
            at_nodes = at_nodes * plane.samples
        else:
            at_nodes = plane.split(lambda rows: plane.sums(rows, self.second.nodes, order), self.first.nodes, 1)
        tail = max(self.first.tail(at_nodes[:1]), self.second.tail(at_nodes[:1].mT))
        rows = self.first.spread(at_nodes)
        if self.outliers is not None:
            far = self.outliers
            rows = rows + plane.split(lambda some: far.sums(some, self.second.nodes, order), self.first.values, 1)
        result = rows if self.second.full else self.second.spread(rows.mT).mT
        return result.contiguous() / self.plane.samples, tail


def span(direction: Tensor, loss: Loss) -> Tensor:
    """Returns by how much a step of 1 changes each sample's scores: |S|, the largest over classes.

    Where only differences of scores matter, it is max S − min S over classes.
    """
    if loss.relative:
        return direction.double().amax(-1) - direction.double().amin(-1)
    return direction.double().abs().amax(-1) if loss.class_axis else direction.double().abs()


def subset(plane: Plane, index: Tensor) -> Plane:
    """Returns the same plane with some of its samples."""
    return replace(
        plane,
        targets=plane.targets[index],
        base=plane.base[index],
        first=plane.first[index],
        second=plane.second[index],
        penalty=None,
        weights=None if plane.weights is None else plane.weights[index],
    )


@dataclass(frozen=True, eq=False)
class Split:
    """A division of the samples of one feature into the bulk and the outliers.

    `order` sorts them by distance from the median, outliers last.
    """

    order: Tensor
    outliers: int
    rows: int  # nodes along w
    nodes: int  # nodes in x
    compressed: bool
    cost: float

    def parts(self, plane: Plane) -> tuple[Plane, Plane | None]:
        """Returns the plane of the samples that are not outliers, and the plane of the outliers."""
        if not self.outliers:
            return replace(plane, penalty=None), None
        bulk = plane.samples - self.outliers
        return subset(plane, self.order[:bulk]), subset(plane, self.order[bulk:])

    @classmethod
    def of(
        cls, plane: Plane, half: float, widest: float, rows: int, columns: int, distance: float, tolerance: float
    ) -> Split:
        """Returns the division with the least cost, among 0 outliers and the powers of √2."""
        order, low, high = spread_of(plane.x)
        ordered = plane.x[order]
        # a few hundred samples, the largest among them, are enough to take the mean of ρ^−n of all
        best: Split | None = None
        for outliers in outlier_counts(plane.samples):
            bulk = plane.samples - outliers
            h = float(high[bulk - 1] - low[bulk - 1]) / 2
            step = max(1, bulk // 512)
            reach = torch.cat([ordered[:bulk:step], low[bulk - 1 : bulk], high[bulk - 1 : bulk]]).abs()
            n = nodes_needed(reach * half, distance, tolerance)
            m = nodes_needed(torch.tensor([widest * h]), distance, tolerance)
            etas = target_nodes(plane)
            length = bulk if etas is None else m * len(etas)
            compressed = length < bulk
            used = min(n, rows) * columns
            cost = used * min(length, bulk) + outliers * rows * columns + (0.1 * bulk * m**0.5 if compressed else 0)
            if best is None or cost < best.cost:
                best = cls(order, outliers, n, m, compressed, cost)
        assert best is not None
        return best


def spread_of(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the samples' order by distance from their median, and the least and largest of the first k."""
    order = (x - x.median()).abs().argsort()
    ordered = x[order]
    return order, ordered.cummin(0).values, ordered.cummax(0).values


def outlier_counts(samples: int) -> list[int]:
    """Returns the numbers of outliers to try: none, and the powers of √2 up to half the samples."""
    powers = {round(2 ** (i / 2)) for i in range(2 * max(1, samples).bit_length())}
    return [0, *sorted(count for count in powers if count <= samples // 2)]


def target_nodes(plane: Plane) -> Tensor | None:
    """Returns a few targets η_j such that the loss at any target y is a combination of the losses at the η_j.

    They are all the targets if at most three differ, and three for a loss of degree 2 in y (by Lagrange's formula). For
    a loss affine in y one is enough: a node takes the mean target of its samples. None if there are many targets and
    the loss does not declare its degree in y.
    """
    if plane.loss.affine:
        return plane.targets[:1]
    few = plane.targets[:64].unique()
    if len(few) <= 3 and bool(torch.isin(plane.targets, few).all()):
        return few
    if plane.loss.target_degree != 2:
        return None
    low, high = plane.targets.min(), plane.targets.max()
    return torch.stack([low, (low + high) / 2, high])


def compress(plane: Plane, count: int) -> Plane:
    """Replaces N samples by `count` weighted nodes in x, for each target of `target_nodes`."""
    x, y = plane.x, plane.targets
    middle, half = interval(x)
    etas = target_nodes(plane)
    assert etas is not None
    # the measures: 1 and y for an affine loss, else one for each target node (Lagrange: 1 there and 0 at the others)
    measures = torch.stack([torch.ones_like(y), y]) if plane.loss.affine else lagrange(y, etas)
    if plane.weights is not None:
        measures = measures * plane.weights
    weights = moments((x - middle) / half, measures, count) @ coefficients(
        count, x
    )  # Σ_k (2 − δ)/n T_k(t_m) Σ_i T_k(x_i)
    t = middle + half * chebyshev_nodes(count, x)
    if plane.loss.affine:
        mass = torch.where(weights[0].abs() < 1e-30, 1e-30, weights[0])
        targets, weights = weights[1] / mass, mass
    else:
        t, targets, weights = t.repeat(len(etas)), etas.repeat_interleave(count), weights.flatten()
    return replace(
        plane,
        targets=targets,
        base=torch.zeros_like(t),
        first=t,
        second=torch.ones_like(t),
        penalty=None,
        weights=weights,
        total=plane.samples,
    )


def interval(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the middle and the half-width of the interval that x spans."""
    low, high = x.min(), x.max()
    return (low + high) / 2, ((high - low) / 2).clamp(min=torch.finfo(x.dtype).tiny)


def lagrange(y: Tensor, etas: Tensor) -> Tensor:
    """Returns the Lagrange polynomials Π_{k ≠ j} (y − η_k)/(η_j − η_k) for every j: (len(η), samples)."""
    rows = []
    for j, eta in enumerate(etas):
        others = torch.cat([etas[:j], etas[j + 1 :]])
        rows.append(((y.unsqueeze(1) - others) / (eta - others)).prod(1))
    return torch.stack(rows)


def moments(t: Tensor, measures: Tensor, count: int, block: int = 1 << 14) -> Tensor:
    """Returns the Chebyshev moments Σ_i measure_i T_k(t_i), k < count, (measures, count), in about 2√count passes.

    With k = q·j + r and T_{qj+r} = 2 T_{qj} T_r − T_{qj−r}, the sums over the samples of all products T_{qj} T_r are
    one matrix product of the q polynomials T_r and the count/q polynomials T_{qj}.
    """
    q = max(1, math.isqrt(count))
    rows = -(-count // q) + 1
    products = t.new_zeros(len(measures), rows, q + 1)
    for start in range(0, len(t), block):
        piece = t[start : start + block].clamp(-1, 1)
        small = polynomials(piece, q + 1)
        large = polynomials(small[q], rows)  # T_j(T_q(t)) = T_{qj}(t)
        for index, measure in enumerate(measures):
            products[index] += (large * measure[start : start + block]) @ small.mT
    result = t.new_zeros(len(measures), rows * q)
    result[:, :q] = products[:, 0, :q]
    for j in range(1, rows):
        at = q * j
        below = result[:, at - q + 1 : at].flip(1)  # T_{qj−r} for r = 1 … q − 1
        result[:, at] = products[:, j, 0]
        result[:, at + 1 : at + q] = 2 * products[:, j, 1:q] - below
    return result[:, :count]


def polynomials(t: Tensor, count: int) -> Tensor:
    """Returns the Chebyshev polynomials T_0 … T_{count−1} at t, (count, len(t)), by T_{k+1} = 2t T_k − T_{k−1}."""
    rows = t.new_empty(count, len(t))
    rows[0] = 1
    if count > 1:
        rows[1] = t
    for k in range(2, count):
        torch.mul(rows[k - 1], t, out=rows[k]).mul_(2).sub_(rows[k - 2])
    return rows


class Traced(Protocol):
    """A field without derivatives, which gives the loss and a sum of the scores at each point: see `modules`."""

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def split(self) -> threads.Split: ...

    def traced(self, points: Tensor) -> Tensor:
        """Returns the loss and a sum of the scores at points (count, 2): (2, count)."""
        ...


@torch.no_grad()
def interpolate(field: Traced, a: Tensor, b: Tensor) -> Tensor | None:
    """Returns the values of any field over the grid by interpolation from nodes, or None if that saves no time.

    Nodes are added until the coefficients of the loss and of the scores have decayed and the interpolant is right at
    test points that are not nodes; (0, 0), the model's own weights, is one of them. If that takes half as many nodes as
    the grid has points, the function is not smooth enough (a ReLU, a sharp ravine), and None is returned.
    """
    goal = 10 * TOLERANCE[field.dtype]
    first, second = Axis(a, min(13, len(a))), Axis(b, min(13, len(b)))
    while 2 * first.nodes.numel() * second.nodes.numel() <= len(a) * len(b):
        points = torch.cartesian_prod(first.nodes, second.nodes).view(-1, 2)
        at_nodes = field.split(field.traced, points, 1).double().cpu().view(2, len(first.nodes), len(second.nodes))
        if not bool(at_nodes.isfinite().all()):
            return None
        rough = first.tail(at_nodes) > goal, second.tail(at_nodes.mT) > goal
        if not any(rough):
            values = second.spread(first.spread(at_nodes[0]).mT).mT.contiguous()
            where = test_points(a, b, points)
            true = field.traced(torch.stack([a[where[0]], b[where[1]]], 1))[0].double().cpu()
            wrong = (values[where[0], where[1]] - true).abs().max()
            if float(wrong) <= 10 * goal * float(at_nodes[0].abs().max()):
                return values.to(field.dtype)
            rough = not first.full, not second.full
        first, second = (
            replace(side, count=int(side.count * GROWTH)) if more else side
            for side, more in zip((first, second), rough, strict=True)
        )
    return None


def test_points(a: Tensor, b: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns indices of grid points that test an interpolant: 16 or more random ones, and the nearest to (0, 0)."""
    draw = generator(1)
    count = max(16, len(nodes) // 2)
    i, j = (torch.randint(len(axis), (count,), generator=draw) for axis in (a, b))
    origin = (axis.abs().argmin().view(1).cpu() for axis in (a, b))
    return tuple(torch.cat([drawn, at]) for drawn, at in zip((i, j), origin, strict=True))  # type: ignore[return-value]


# ---- the same nodes for single points --------------------------------------------------------------------------------


def condensation(plane: Plane, reach: float) -> tuple[Tensor, int, int] | None:
    """Returns how to replace samples by nodes: the samples sorted, the number of outliers, and that of nodes.

    They are sorted by distance from the median, outliers last. Valid for |w| ≤ reach; None if outliers and nodes are
    hardly fewer than the samples.
    """
    distance = pole(plane.loss)
    assert distance is not None
    order, low, high = spread_of(plane.x)
    best: tuple[Tensor, int, int] | None = None
    for outliers in outlier_counts(plane.samples):
        bulk = plane.samples - outliers
        half = float(high[bulk - 1] - low[bulk - 1]) / 2
        count = nodes_needed(torch.tensor([reach * half]), distance, tolerance(plane))
        if best is None or outliers + count < best[1] + best[2]:
            best = order, outliers, count
    return best if best is not None and best[1] + best[2] < 0.7 * plane.samples else None


def measures(plane: Plane, reach: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns a few nodes t_m that replace the samples x_i in sums, with two weights n_m and y_m each, for |w| ≤ reach.

    Σ_i (u + v y_i) f(x_i) ≈ Σ_m (u n_m + v y_m) f(t_m) for all numbers u, v.
    """
    plan = condensation(plane, reach)
    if plan is None:
        return plane.x, torch.ones_like(plane.x), plane.targets
    order, outliers, count = plan
    bulk, far = subset(plane, order[: plane.samples - outliers]), subset(plane, order[plane.samples - outliers :])
    middle, half = interval(bulk.x)
    both = torch.stack([torch.ones_like(bulk.x), bulk.targets])
    weights = moments((bulk.x - middle) / half, both, count) @ coefficients(count, bulk.x)
    nodes = middle + half * chebyshev_nodes(count, bulk.x)
    return (
        torch.cat([nodes, far.x]),
        torch.cat([weights[0], torch.ones_like(far.x)]),
        torch.cat([weights[1], far.targets]),
    )


class Compressed:
    """A plane of one feature evaluated at a few nodes where |w| ≤ reach, and at all its samples elsewhere."""

    def __init__(self, plane: Plane, near: Plane, far: Plane | None, reach: float) -> None:
        self.plane, self.near, self.far, self.reach = plane, near, far, reach

    @classmethod
    def of(cls, plane: Plane, reach: float) -> Evaluator:
        """Returns the loss with most samples replaced by a few weighted nodes, which holds where |w| ≤ reach.

        The plane itself is returned if that is not possible, or would save little.
        """
        plan = None if target_nodes(plane) is None else condensation(plane, reach)
        if plan is None:
            return plane
        order, outliers, count = plan
        bulk = subset(plane, order[: plane.samples - outliers])
        far = subset(plane, order[plane.samples - outliers :]) if outliers else None
        return cls(plane, compress(bulk, count), far, reach)

    @torch.no_grad()
    def at(self, points: Tensor, order: int = 0) -> Tensor:
        """Returns the jet at points (count, 2)."""
        inside = points[:, 0].abs() <= self.reach
        result = points.new_empty(JET[order], len(points))
        if not bool(inside.all()):
            result[:, ~inside] = self.plane.at(points[~inside], order)
        if bool(inside.any()):
            chosen = points[inside]
            sums = self.near.at(chosen, order) * self.near.samples
            if self.far is not None:
                sums = sums + self.far.at(chosen, order) * self.far.samples
            sums = sums / self.plane.samples
            result[:, inside] = sums if self.plane.penalty is None else sums + self.plane.penalty.at(chosen, order)
        return result
