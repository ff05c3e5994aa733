"""Functions that the kernels share: polynomials in registers, products of many factors, and the cutting of work.

A polynomial is a tuple of coefficients, the lowest power first; each coefficient is a block of numbers, one a lane.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..planes import tiles

LANES = 8  # grid points of one thread
WIDEST = 1024  # grid points of one program
BUDGET = 1 << 28  # bytes of what is computed once a row, and read at every grid point of the row


@triton.jit
def times(c, p, q):
    """Returns c(B) · (p + q B)."""
    n: tl.constexpr = len(c)
    result = (c[0] * p,)
    for j in tl.static_range(1, n):
        result = (*result, c[j] * p + c[j - 1] * q)
    return (*result, c[n - 1] * q)


@triton.jit
def times_square(c, p, q):
    """Returns c(B) · (p + q B)²."""
    return times(times(c, p, q), p, q)


@triton.jit
def add(c, d):
    """Returns c(B) + d(B), of the same degree."""
    n: tl.constexpr = len(c)
    result = (c[0] + d[0],)
    for j in tl.static_range(1, n):
        result = (*result, c[j] + d[j])
    return result


@triton.jit
def horner(pointer, u, DEGREE: tl.constexpr):
    """Returns the polynomial whose coefficients start at `pointer`, at u: DEGREE multiply-adds."""
    value = u * 0 + tl.load(pointer + DEGREE)
    for d in tl.static_range(DEGREE):
        value = value * u + tl.load(pointer + (DEGREE - 1 - d))
    return value


@triton.jit
def split(value):
    """Returns a positive number's exponent and its mantissa in [1, 2): value = mantissa · 2^exponent.

    log2 of a product of many numbers is the sum of their exponents and one log2 of the product of their mantissas:
    four cheap instructions a number in place of a logarithm.
    """
    if value.dtype == tl.float64:
        bits = value.to(tl.int64, bitcast=True)
        exponent = (bits >> 52).to(tl.int32) - 1023
        mantissa = ((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000).to(tl.float64, bitcast=True)
    else:
        bits = value.to(tl.int32, bitcast=True)
        exponent = (bits >> 23) - 127
        mantissa = ((bits & 0x007FFFFF) | 0x3F800000).to(tl.float32, bitcast=True)
    return exponent, mantissa


def width(columns: int) -> tuple[int, int]:
    """Returns the numbers of columns and of warps of a program: a thread computes LANES columns."""
    columns = min(WIDEST, max(32 * LANES, triton.next_power_of_2(columns)))
    return columns, columns // (32 * LANES)


def tiles_with_middles(b: Tensor, half_width: float) -> Iterator[tuple[slice, Tensor]]:
    """Yields the columns of a tile, at most 2 · half_width wide, and the tile's middle, a tensor of one number."""
    wide = float(b[-1] - b[0])
    start = 0
    for piece in tiles(b, max(1, math.ceil(wide / (2 * half_width)))):
        yield slice(start, start + len(piece)), (piece[:1] + piece[-1:]) / 2
        start += len(piece)


def chunks(rows: int, samples: int, bytes_each: int, multiple: int = 1) -> Iterator[tuple[slice, slice]]:
    """Cuts (rows, samples) into pieces whose `bytes_each` a row and sample stay within the budget.

    The samples are cut at a multiple of `multiple`, and at 2²⁵ at most, so that no exponent that is summed in int32
    overflows.
    """
    length = min(samples, 1 << 25, max(1, BUDGET // bytes_each))
    length = max(multiple, length // multiple * multiple) if length < samples else samples
    height = max(1, min(rows, 1 << 16, BUDGET // (bytes_each * length)))
    for start in range(0, samples, length):
        for row in range(0, rows, height):
            yield slice(row, min(row + height, rows)), slice(start, min(start + length, samples))


def on_device(tensor: Tensor) -> Any:
    """Returns a context in which kernels are launched on the tensor's device. (Triton's interpreter takes the CPU.)"""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()
