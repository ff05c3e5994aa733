"""Losses made of ramps, on any plane of a linear model: hinges, perceptron, absolute error and Huber.

Each is a sum over samples, and over classes where there are some, of one function of r = c₀ + a c₁ + b c₂:

    max(0, r)      hinge, perceptron, multiclass and one-against-all hinge: r is by how much a score misses its margin
    max(0, r)²     the same, squared
    |r|            absolute error: r is the residual
    m (|r| − m/2)  Huber, with m = min(|r|, δ)

So a term is three numbers, read once for a row: c₀ + a c₁ is formed for the row, and a grid point takes one
multiply-add, one maximum and one sum. A weight w ≥ 0 of a sample is part of its three numbers (√w for the squares).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...losses import AbsoluteError, Hinge, Huber, MulticlassHinge, OneVsAllHinge, Perceptron
from ..planes import Plane
from .pieces import on_device, width

RAMP, SQUARE, DISTANCE, HUBER = range(4)
RUN = 32  # terms that are summed in the dtype; the runs are summed in float64


def fits(plane: Plane) -> bool:
    """Returns whether the kernel supports the loss; a subclass may compute something else, so it does not."""
    if plane.dtype not in (torch.float32, torch.float64):
        return False
    kind = type(plane.loss)
    if kind is Huber:
        return plane.weights is None
    return kind in (Hinge, Perceptron, AbsoluteError, OneVsAllHinge, MulticlassHinge)


def grid(plane: Plane, a: Tensor, b: Tensor) -> Tensor:
    """Returns the sum of the losses over the grid a × b, (len(a), len(b)), float64."""
    loss, kind, delta, scale = plane.loss, RAMP, 0.0, 1.0
    targets = plane.targets
    parts = (plane.base, plane.first, plane.second)
    out = torch.zeros(len(a), len(b), dtype=torch.float64, device=plane.device)
    if isinstance(loss, AbsoluteError | Huber):
        kind, delta = (HUBER, loss.delta) if isinstance(loss, Huber) else (DISTANCE, 0.0)
        terms = torch.stack([parts[0] - targets, parts[1], parts[2]])
    else:
        assert isinstance(loss, Hinge | MulticlassHinge)
        kind = SQUARE if loss.power == 2 else RAMP
        if isinstance(loss, MulticlassHinge):
            index = loss.index(plane.first, targets)
            terms = torch.stack([part - part.gather(-1, index) for part in parts])
            scale = 1 / loss.divisor(plane.first)
        else:
            signs = loss.signs(plane.first, targets) if isinstance(loss, OneVsAllHinge) else targets
            terms = torch.stack([-signs * part for part in parts])
        terms[0] += loss.margin
        if isinstance(loss, MulticlassHinge) and not loss.include_true:
            terms.scatter_(-1, index.unsqueeze(0).expand(3, -1, -1), 0.0)  # a ramp of 0 adds nothing
    if plane.weights is not None:
        root = plane.weights.sqrt() if kind == SQUARE else plane.weights
        terms *= root if terms.ndim == 2 else root.unsqueeze(-1)
    terms = torch.nn.functional.pad(terms.flatten(1), (0, -terms[0].numel() % RUN)).to(plane.dtype)
    wide, warps = width(len(b))
    with on_device(out):
        sum_ramps[len(a), triton.cdiv(len(b), wide)](
            a.to(plane.dtype), b.to(plane.dtype), *terms.contiguous(), out,
            torch.tensor([delta], dtype=plane.dtype, device=out.device), terms.shape[1], len(b),
            KIND=kind, RUN=RUN, C=wide, num_warps=warps,
        )  # fmt: skip
    return out * scale


@triton.jit
def sum_ramps(
    a_ptr, b_ptr, base_ptr, first_ptr, second_ptr, out_ptr, delta_ptr, terms, columns,
    KIND: tl.constexpr, RUN: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Writes Σ f(c₀ + a c₁ + b c₂) for C columns of a row."""
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * C + tl.arange(0, C)
    a, delta = tl.load(a_ptr + row), tl.load(delta_ptr)
    b = tl.load(b_ptr + j, mask=j < columns, other=0.0)
    total = tl.zeros((C,), tl.float64)
    for start in range(0, terms, RUN):
        run = b * 0
        for k in range(start, start + RUN):
            base = tl.load(base_ptr + k) + a * tl.load(first_ptr + k)
            r = base + b * tl.load(second_ptr + k)
            if KIND == 0:
                run += tl.maximum(r, 0.0)
            elif KIND == 1:
                r = tl.maximum(r, 0.0)
                run += r * r
            elif KIND == 2:
                run += tl.abs(r)
            else:
                near = tl.minimum(tl.abs(r), delta)
                run += near * (tl.abs(r) - near / 2)
        total += run.to(tl.float64)
    tl.store(out_ptr + row * columns + j, total, mask=j < columns)
