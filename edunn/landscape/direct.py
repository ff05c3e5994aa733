"""The method `direct`: evaluates the loss at every grid point for every sample. It works for every loss.

The other methods are measured against it. `plain` calls the loss's own functions. `factored` restates the formulas of
three losses for speed, on the (w, b) grid of one feature; the tests compare it with `plain`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..activations import Sigmoid, Tanh
from ..losses import BinaryCrossEntropy, Logistic, Loss, SquaredError
from ..runtime.progress import track
from .planes import JET, Plane, blocks, tiles


@torch.no_grad()
def grid(plane: Plane, a: Tensor, b: Tensor, order: int = 0, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the mean loss and its derivatives up to `order` on the grid: a jet, (JET[order], len(a), len(b)).

    The losses are computed in a dtype, by default the plane's.
    """
    values = plane.split(lambda rows: fastest(plane, rows, b, order, dtype or plane.dtype), a, 1)
    return with_penalty(plane, a, b, order, values)


def fastest(plane: Plane, a: Tensor, b: Tensor, order: int, dtype: torch.dtype) -> Tensor:
    """Returns the jet over the grid without a penalty, by the fastest of the CUDA kernel, `factored` and `plain`.

    On a CPU `factored` is always faster where it applies. On a GPU the times are measured: for a large grid, each way
    computes a few rows first.
    """
    rough = plane.to(dtype)
    known = ways(rough, b, order)
    if len(known) > 1 and plane.device.type == "cuda" and len(a) * len(b) * plane.samples >= TRIAL:
        known.sort(key=lambda way: seconds(way, rough, a, b, order))
    return plain(plane, a, b, order, dtype) if known[0] is plain else known[0](rough, a, b, order)


Way = Callable[[Plane, Tensor, Tensor, int], Tensor]

TRIAL = 1 << 32  # evaluations of a grid for which a trial of a few rows is a small part
ROWS = 16  # of a trial

_seconds: dict[tuple[Any, ...], float] = {}


def ways(plane: Plane, b: Tensor, order: int) -> list[Way]:
    """Returns the functions that can compute the jet of a plane, the one that is probably fastest first."""
    found: list[Way] = []
    if plane.device.type == "cuda":
        from . import kernels  # Triton is only looked for where there is a GPU

        if kernels.fits(plane, order):
            found.append(kernels.grid)
    if order == 0 and fits(plane, b):
        found.append(factored)
    return [*found, plain]


def seconds(way: Way, plane: Plane, a: Tensor, b: Tensor, order: int) -> float:
    """Returns the seconds that a way, a function that evaluates the grid, takes for a few rows.

    They are measured once for each kind of work: a loss, a dtype, a device, and sizes rounded to a power of 2.
    """
    sizes = (len(b).bit_length(), plane.samples.bit_length(), plane.first[:1].numel())
    kind = (way, repr(plane.loss), plane.dtype, plane.device, order, plane.one_feature, *sizes)
    if kind not in _seconds:
        for _ in range(2):  # the first round compiles and allocates
            start = time.perf_counter()
            way(plane, a[:ROWS], b, order)
            if plane.device.type == "cuda":
                torch.cuda.synchronize(plane.device)
            _seconds[kind] = time.perf_counter() - start
    return _seconds[kind]


@torch.no_grad()
def plain(plane: Plane, a: Tensor, b: Tensor, order: int = 0, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the jet over the grid, without a penalty, by the loss's own formulas: (JET[order], len(a), len(b)).

    The scores are computed in the plane's dtype, and rounded to `dtype` for the loss. In float32 alone a sample far
    out on a wide window, with a score of 0 ± 0.01 between terms of 100,000, would land on the other side of its step.
    """
    return plane.sums(a, b, order, dtype) / plane.samples


def with_penalty(plane: Plane, a: Tensor, b: Tensor, order: int, values: Tensor) -> Tensor:
    """Adds the penalty and its derivatives, at every grid point, to the jet `values`."""
    if plane.penalty is None:
        return values
    points = torch.cartesian_prod(a.to(values), b.to(values)).view(-1, 2)
    return values + plane.penalty.at(points, order).view(JET[order], len(a), len(b))


def as_bits(plane: Plane) -> Plane:
    """Returns the plane with labels 0 and 1 in place of ±1, for cross-entropy, which has the same value for both.

    For labels 0 and 1 it is affine in the target, as `spectral.measures` needs.
    """
    if type(plane.loss) is not Logistic:
        return plane
    return replace(plane, loss=BinaryCrossEntropy(), targets=(plane.targets + 1) / 2)


class Slopes:
    """The gradient at single points (w, b) of one feature, for the losses of `factored`. Basins use it.

    With p = f(z), z = w x + b:  cross-entropy (p − y);  squared error 2(p − y) f′, f′ = p − p² (sigmoid) or 1 − p²
    (tanh). Both are sums of terms in y⁰, y¹, so a few weighted nodes (see `spectral.measures`) can replace the samples.
    """

    def __init__(self, plane: Plane, measures: tuple[Tensor, Tensor, Tensor], reach: float) -> None:
        self.plane, self.reach = plane, reach
        x, counts, target_sums = measures
        self.condensed = len(x) < plane.samples
        self.rows = torch.stack([x, torch.ones_like(x)])
        self.counts, self.target_sums = self.rows * counts / plane.samples, self.rows * target_sums / plane.samples
        self.targets = None if self.condensed else target_sums
        self.buffers: list[Tensor] = []

    def __call__(self, points: Tensor) -> Tensor:
        """Returns (∂L/∂w, ∂L/∂b) at points (count, 2): (2, count)."""
        result = torch.empty(2, len(points), dtype=points.dtype, device=points.device)
        for some in blocks(len(points), self.rows.shape[1] // 8 + 1, points):
            self.block(points[some], result[:, some])
        if self.condensed:  # |w| is larger than the nodes are valid for
            far = (points[:, 0].abs() > self.reach).nonzero().squeeze(1)
            if len(far):
                result[:, far] = self.plane.at(points[far], 1)[1:]
        return result

    def block(self, points: Tensor, result: Tensor) -> None:
        shape = (len(points), self.rows.shape[1])
        if not self.buffers or len(self.buffers[0]) < shape[0]:
            self.buffers = [points.new_empty(shape) for _ in range(2)]
        p, q = (buffer[: shape[0]] for buffer in self.buffers)
        torch.mm(points, self.rows, out=p)
        loss = self.plane.loss
        if not isinstance(loss, SquaredError):
            p.sigmoid_()
            for row in (0, 1):  # two products with a vector are faster than one with two columns
                result[row] = torch.mv(p, self.counts[row]) - self.target_sums[row].sum()
            return
        if isinstance(loss.through, Tanh):
            p.tanh_()
            torch.addcmul(torch.ones((), dtype=p.dtype, device=p.device), p, p, value=-1, out=q)
        else:
            p.sigmoid_()
            torch.addcmul(p, p, p, value=-1, out=q)
        if self.targets is not None:
            p.sub_(self.targets)
        p.mul_(q)
        for row in (0, 1):
            result[row] = torch.mv(p, self.counts[row])
            if self.targets is None:
                result[row] -= torch.mv(q, self.target_sums[row])
        result *= 2 * loss.factor


# ---- factored: no exponential and no logarithm at a grid point -------------------------------------------------------
#
# With E = e^{w x} (one exponential a row and sample) and B = e^b (one a column), a score's exponential is a product:
# e^{w x + b} = E·B. So every sample contributes a factor (1 + E·B), and k of them multiply out to a polynomial in B,
#
#     Π_{i ≤ k} (1 + E_i B) = c_0 + c_1 B + … + c_k B^k,
#
# whose coefficients depend on the row alone. All columns of a row are then one matrix product, coefficients × powers of
# B, and k samples cost one logarithm. Every c is positive: nothing cancels.
#
# Range. The columns are cut into tiles about their middle b₀, and every factor is divided by its larger part at b₀:
# with z = w x + b₀,   1 + e^z B' = e^{max(z,0)} (p + q B'),   p = e^{−max(z,0)},  q = e^{min(z,0)},  B' = e^{b − b₀},
# so that p, q ≤ 1, one of them is 1, and k factors stay within (e^δ + 1)^{±k} in a tile of half-width δ. What was
# divided out is added back exactly, as Σ max(z, 0).

GROUP = {torch.float32: 8, torch.float64: 16}  # samples a polynomial for the logarithm: k
PAIR = {torch.float32: 4, torch.float64: 8}  # and for the squares, whose polynomials have degree 2k
LARGEST = 30.0  # a target of this size still leaves room for its square in float32
REACH = {torch.float32: 80.0, torch.float64: 640.0}  # the largest exponent that a product may come to


def fits(plane: Plane, b: Tensor) -> bool:
    """Returns whether `factored` supports the loss and is faster here, which takes many columns in a row."""
    if not plane.one_feature or plane.dtype not in GROUP or recipe(plane.loss) is None or plane.weights is not None:
        return False
    if isinstance(plane.loss, SquaredError) and float(plane.targets.abs().max()) > LARGEST:
        return False
    tiles = 1 + float(b[-1] - b[0]) / (2 * half_width(plane))
    return len(b) >= 16 * tiles


def recipe(loss: Loss) -> Callable[[Plane, Tensor, Tensor, Tensor, Tensor], Tensor] | None:
    """Returns the function that evaluates a loss in factored form, or None. A subclass may compute something else."""
    if type(loss) in (BinaryCrossEntropy, Logistic):
        return cross_entropy
    if type(loss) is SquaredError and not loss.class_axis and type(loss.through) in (Sigmoid, Tanh):
        return squared_error
    return None


def half_width(plane: Plane) -> float:
    """Returns δ, half the width of a tile of columns, in units of b."""
    rate = 1.0
    if isinstance(plane.loss, SquaredError):
        degree = 2 * PAIR[plane.dtype]
        rate = 2.0 if isinstance(plane.loss.through, Tanh) else 1.0
    else:
        degree = GROUP[plane.dtype]
    return REACH[plane.dtype] / degree / rate


def factored(plane: Plane, a: Tensor, b: Tensor, order: int = 0) -> Tensor:
    """Returns the values over the grid in factored form, (1, len(a), len(b)), in the plane's dtype."""
    method = recipe(plane.loss)
    assert method is not None
    a, b = a.double().to(plane.device), b.double().to(plane.device)
    pieces = tiles(b, max(1, math.ceil(float(b[-1] - b[0]) / (2 * half_width(plane)))))
    total = torch.zeros(len(a), len(b), dtype=torch.float64, device=plane.device)
    for start in track(range(0, plane.samples, 8192), "surface"):
        part = slice(start, start + 8192)
        x, y = plane.x[part].double(), plane.targets[part].double()
        total += torch.cat([method(plane, x, y, a, piece) for piece in pieces], 1)
    return (total / plane.samples).unsqueeze(0).to(plane.dtype)


def cross_entropy(plane: Plane, x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Returns Σ_i log(1 + e^{z_i}) − y_i z_i over one tile of columns."""
    k = GROUP[plane.dtype]
    if isinstance(plane.loss, Logistic):  # labels ±1: the same number with the label as a bit
        y = (y + 1) / 2
    middle = (b[0] + b[-1]) / 2
    powers = torch.exp((b - middle) * torch.arange(k + 1, device=b.device).unsqueeze(1)).to(plane.dtype)
    result = torch.empty(len(w), len(b), dtype=torch.float64, device=b.device)
    for rows in row_blocks(w, x):
        z = w[rows].unsqueeze(1) * x + middle
        polynomials = product(halves(z.to(plane.dtype), k), k)
        for some, values in products(polynomials, powers):
            result[rows][some] = values.log_().view(-1, polynomials.shape[1], len(b)).sum(1)
        result[rows] += z.clamp(min=0).sum(1, keepdim=True)
    return result - (w * (x * y).sum()).unsqueeze(1) - b * y.sum()


def squared_error(plane: Plane, x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Returns Σ_i (f(z_i) − y_i)² over one tile of columns, f the sigmoid or tanh.

    With v = e^z: σ − y = ((1 − y)v − y) / (1 + v). With v = e^{2z}: tanh − y = ((1 − y)v − (1 + y)) / (1 + v).
    k such squares over their common denominator are one fraction, of a polynomial of degree 2k and a square.
    """
    assert isinstance(plane.loss, SquaredError)
    k = PAIR[plane.dtype]
    tanh = isinstance(plane.loss.through, Tanh)
    rate = 2.0 if tanh else 1.0
    padded = torch.nn.functional.pad(y, (0, -len(y) % k)).to(plane.dtype)
    rising, falling = 1 - padded, padded + (1 if tanh else 0)
    middle = (b[0] + b[-1]) / 2
    degrees = torch.arange(2 * k + 1, device=b.device).unsqueeze(1)
    powers = torch.exp(rate * (b - middle) * degrees).to(plane.dtype)
    result = torch.empty(len(w), len(b), dtype=torch.float64, device=b.device)
    for rows in row_blocks(w, x):
        z = rate * (w[rows].unsqueeze(1) * x + middle)
        factors = halves(z.to(plane.dtype), k)
        p, q = factors
        tops = torch.stack([falling * p, -rising * q])  # (1 − y) q B' − falling p, up to its sign
        tops[:, :, len(y) :] = 0  # the samples that were added to fill the last group
        above = multiply(tops, tops)
        above, below = fractions(above, factors, k)
        for (some, values), (_, divisor) in zip(products(above, powers), products(below, powers[: k + 1]), strict=True):
            divisor.mul_(divisor)
            result[rows][some] = values.div_(divisor).view(-1, above.shape[1], len(b)).sum(1)
    return plane.loss.factor * result


def row_blocks(w: Tensor, x: Tensor) -> list[slice]:
    """Cuts the rows of the grid into blocks whose polynomials fit in a few buffers of memory."""
    return blocks(len(w), len(x) // 4 + 1, w)


def halves(z: Tensor, k: int) -> Tensor:
    """Returns p and q of every factor p + q B', (2, rows, samples), padded with factors 1 to a multiple of k."""
    factors = torch.stack([z.clamp(min=0).neg_().exp_(), z.clamp(max=0).exp_()])
    missing = -z.shape[1] % k
    if missing:
        ones = torch.ones_like(z[:, :1]).expand(-1, missing)
        factors = torch.cat([factors, torch.stack([ones, torch.zeros_like(ones)])], 2)
    return factors


def multiply(first: Tensor, second: Tensor) -> Tensor:
    """Multiplies polynomials, whose coefficients lie along axis 0."""
    if len(first) > len(second):
        first, second = second, first
    result = second.new_zeros(len(first) + len(second) - 1, *second.shape[1:])
    for power, coefficient in enumerate(first):
        result[power : power + len(second)].addcmul_(coefficient, second)
    return result


def product(factors: Tensor, k: int) -> Tensor:
    """Multiplies polynomials k at a time, k a power of 2: (rows, groups, degree + 1)."""
    while k > 1:
        half = factors.shape[-1] // 2
        factors, k = multiply(factors[..., :half], factors[..., half:]), k // 2
    return factors.movedim(0, -1).contiguous()


def fractions(above: Tensor, below: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns Σ above/below² over k samples as one fraction: its numerator, and the root of its denominator."""
    while k > 1:
        half = below.shape[-1] // 2
        left, right = below[..., :half], below[..., half:]
        above = multiply(above[..., :half], multiply(right, right)) + multiply(above[..., half:], multiply(left, left))
        below, k = multiply(left, right), k // 2
    return above.movedim(0, -1).contiguous(), below.movedim(0, -1).contiguous()


def products(polynomials: Tensor, powers: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields (rows, polynomials[rows] @ powers), a few rows at a time: the polynomials' values at all columns.

    One buffer is reused, so that it stays in cache: the caller must be done with one block before it takes the next.
    """
    groups, terms = polynomials.shape[1:]
    rows = blocks(len(polynomials), groups * powers.shape[1] // 4 + 1, powers)
    buffer = powers.new_empty((rows[0].stop * groups, powers.shape[1]))
    for some in rows:
        chunk = polynomials[some].view(-1, terms)
        yield some, torch.mm(chunk, powers, out=buffer[: len(chunk)])
