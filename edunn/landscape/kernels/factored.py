"""Cross-entropy and squared error on the (w, b) grid of one feature, without an exponential at a grid point.

The algebra is that of `direct.factored`. With v = e^{w x + b₀} and B = e^{b − b₀}, b₀ the middle of a tile of columns,
K samples multiply out to one polynomial in B whose coefficients depend on the row alone:

    Σ log(1 + v_i B) = Σ max(z_i, 0) + log Π (p_i + q_i B)        z = w x + b₀, p = e^{−max(z,0)}, q = e^{min(z,0)}
    Σ (σ_i − y_i)²   = A(B) / D(B)²,   D = Π (p_i + q_i B),   A = Σ_i t_i² Π_{j≠i} (p_j + q_j B)²

with t_i = (1 − y_i) q_i B − y_i p_i. tanh is the sigmoid of 2z: 2v, and t_i = (1 − y_i) q_i B − (1 + y_i) p_i.

The first kernel computes the coefficients in float64, one group of K samples a lane, once for a row and tile. The
second gives a thread eight columns: it loads the coefficients of a group, evaluates by Horner's rule (one multiply-add
a grid point and sample), and multiplies mantissas and adds exponents, so that one log2 serves RUN groups.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...activations import Sigmoid, Tanh
from ...losses import BinaryCrossEntropy, Logistic, SquaredError
from ..planes import Plane
from .pieces import add, chunks, horner, on_device, split, tiles_with_middles, times, times_square, width

LARGEST = 30.0  # a target of this size still leaves room for its square in float32
GROUPS = 128  # groups of a program that computes coefficients: one a lane


class Recipe(NamedTuple):
    """How a loss is computed: samples a group, groups a run, coefficients a group, and the half-width of a tile."""

    group: int
    run: int
    coefficients: int
    half_width: float


def fits(plane: Plane) -> bool:
    """Returns whether the kernel supports the loss: values of one feature, in float32 or float64, without weights."""
    if not plane.one_feature or plane.weights is not None or plane.dtype not in (torch.float32, torch.float64):
        return False
    loss = plane.loss
    if type(loss) in (BinaryCrossEntropy, Logistic):  # a subclass may compute something else
        return True
    if type(loss) is not SquaredError or loss.class_axis or type(loss.through) not in (Sigmoid, Tanh):
        return False
    return float(plane.targets.abs().max()) <= LARGEST


def recipe(plane: Plane) -> Recipe:
    """Returns the recipe for a plane's loss and dtype.

    A product of K factors of at most e^δ + 1 has to stay in the dtype's range: that bounds the half-width δ.
    """
    single = plane.dtype == torch.float32
    if not isinstance(plane.loss, SquaredError):
        return Recipe(16, 32, 17, (80 if single else 640) / 16)
    rate = 2.0 if isinstance(plane.loss.through, Tanh) else 1.0
    return Recipe(8, 16, 9 + 17, (72 if single else 620) / 16 / rate)


def grid(plane: Plane, a: Tensor, b: Tensor) -> Tensor:
    """Returns the sum of the losses over the grid a × b, (len(a), len(b)), float64."""
    squares, tanh = isinstance(plane.loss, SquaredError), False
    x, y = plane.x.contiguous(), plane.targets.to(plane.dtype).contiguous()
    if isinstance(plane.loss, Logistic):
        y = (y + 1) / 2
    if isinstance(plane.loss, SquaredError):
        tanh = isinstance(plane.loss.through, Tanh)
    how = recipe(plane)
    out = torch.zeros(len(a), len(b), dtype=torch.float64, device=plane.device)
    with on_device(out):
        for columns, middle in tiles_with_middles(b, how.half_width):
            tile = (b[columns] - middle).mul_(2 if tanh else 1).exp_().to(plane.dtype)
            for rows, some in chunks(len(a), len(x), 8 * how.coefficients // how.group + 8, how.group * how.run):
                launch(how, a[rows], x[some], y[some], middle, tile, out[rows, columns], squares, tanh)
    if isinstance(plane.loss, SquaredError):
        return out * plane.loss.factor
    x, y = x.double(), y.double()
    return out - a.unsqueeze(1) * (x @ y) - b * y.sum()


def launch(
    how: Recipe, w: Tensor, x: Tensor, y: Tensor, middle: Tensor, tile: Tensor, out: Tensor, squares: bool, tanh: bool
) -> None:
    """Adds the losses of some samples to `out`, some rows of one tile of columns."""
    groups = triton.cdiv(len(x), how.group * how.run) * how.run  # the last run is filled with factors of 1
    coefficients = torch.empty(len(w), groups, how.coefficients, dtype=x.dtype, device=x.device)
    programs = triton.cdiv(groups, GROUPS)
    shift = torch.empty(len(w), programs, dtype=torch.float64, device=x.device)
    prepare[len(w), programs](
        w, x, y, middle, coefficients, shift, len(x), groups,
        K=how.group, COUNT=how.coefficients, SQUARES=squares, TANH=tanh, G=GROUPS, num_warps=GROUPS // 32,
    )  # fmt: skip
    wide, warps = width(len(tile))
    kernel = sum_squares if squares else sum_logarithms
    kernel[len(w), triton.cdiv(len(tile), wide)](
        coefficients, tile, shift.sum(1), out, groups, len(tile), out.stride(0),
        K=how.group, RUN=how.run, C=wide, num_warps=warps,
    )  # fmt: skip


@triton.jit
def prepare(
    w_ptr, x_ptr, y_ptr, middle_ptr, coefficient_ptr, shift_ptr, samples, groups,
    K: tl.constexpr, COUNT: tl.constexpr, SQUARES: tl.constexpr, TANH: tl.constexpr, G: tl.constexpr,
):  # fmt: skip
    """Computes the coefficients of G groups of a row: Π (p + q B), or D = Π (p + q B) and A.

    Sample j of group g is j·groups + g, so that neighbouring lanes read neighbouring samples.
    """
    row = tl.program_id(0).to(tl.int64)
    g = tl.program_id(1) * G + tl.arange(0, G)
    w, middle = tl.load(w_ptr + row), tl.load(middle_ptr)
    one = tl.full((G,), 1.0, tl.float64)
    product = (one,)
    above = (one * 0,)
    squared = (one,)
    shift = one * 0
    for j in tl.static_range(K):
        i = j * groups + g
        inside = (g < groups) & (i < samples)
        x = tl.load(x_ptr + i, mask=inside, other=0.0).to(tl.float64)
        z = w * x + middle
        if TANH:
            z = 2 * z
        largest = tl.maximum(z, 0.0)
        p = tl.where(inside, tl.exp(-largest), 1.0)
        q = tl.where(inside, tl.exp(z - largest), 0.0)
        shift += tl.where(inside, largest, 0.0)
        if SQUARES:
            y = tl.load(y_ptr + i, mask=inside, other=0.0).to(tl.float64)
            falling = tl.where(inside, y, 0.0)
            rising = tl.where(inside, 1 - y, 0.0)
            if TANH:
                falling = tl.where(inside, 1 + y, 0.0)
            above = add(times_square(above, p, q), times_square(squared, -falling * p, rising * q))
            squared = times_square(squared, p, q)
        product = times(product, p, q)
    at = coefficient_ptr + (row * groups + g) * COUNT
    for j in tl.static_range(K + 1):
        tl.store(at + j, product[j].to(coefficient_ptr.dtype.element_ty), mask=g < groups)
    if SQUARES:
        for j in tl.static_range(2 * K + 1):
            tl.store(at + (K + 1 + j), above[j].to(coefficient_ptr.dtype.element_ty), mask=g < groups)
    tl.store(shift_ptr + row * tl.num_programs(1) + tl.program_id(1), tl.sum(shift))


@triton.jit
def sum_logarithms(
    coefficient_ptr, tile_ptr, shift_ptr, out_ptr, groups, columns, stride,
    K: tl.constexpr, RUN: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Adds Σ log of the groups' polynomials, and the row's shift, to a row of the tile."""
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * C + tl.arange(0, C)
    u = tl.load(tile_ptr + j, mask=j < columns, other=1.0)
    at = coefficient_ptr + row * groups * (K + 1)
    exponents = tl.zeros((C,), tl.int32)
    logarithms = tl.zeros((C,), tl.float64)
    for _ in range(0, groups, RUN):
        mantissas = u * 0 + 1
        for _ in range(RUN):
            exponent, mantissa = split(horner(at, u, K))
            exponents += exponent
            mantissas *= mantissa
            at += K + 1
        logarithms += tl.log2(mantissas).to(tl.float64)
    total = 0.6931471805599453 * (logarithms + exponents.to(tl.float64)) + tl.load(shift_ptr + row)
    here = out_ptr + row * stride + j
    tl.store(here, tl.load(here, mask=j < columns) + total, mask=j < columns)


@triton.jit
def sum_squares(
    coefficient_ptr, tile_ptr, shift_ptr, out_ptr, groups, columns, stride,
    K: tl.constexpr, RUN: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Adds Σ A/D² of the groups to a row of the tile. RUN groups are summed in the dtype, and the runs in float64."""
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * C + tl.arange(0, C)
    u = tl.load(tile_ptr + j, mask=j < columns, other=1.0)
    at = coefficient_ptr + row * groups * (3 * K + 2)
    total = tl.zeros((C,), tl.float64)
    for _ in range(0, groups, RUN):
        run = u * 0
        for _ in range(RUN):
            below = horner(at, u, K)
            run += horner(at + K + 1, u, 2 * K) / (below * below)
            at += 3 * K + 2
        total += run.to(tl.float64)
    # a shift that is not finite marks a row whose scores are not
    shift = tl.load(shift_ptr + row)
    total += shift - shift
    here = out_ptr + row * stride + j
    tl.store(here, tl.load(here, mask=j < columns) + total, mask=j < columns)
