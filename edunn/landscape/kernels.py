"""The method `direct` on CUDA, by one fused kernel that never writes the (grid, samples) array.

Each program of the kernel computes a tile of grid points. It goes through the samples, computes the scores w·x + b and
the losses, and sums them in registers; it writes one number for each grid point. Two losses of `direct.factored` are
restated here for speed; the tests compare them with `Plane.sums`.

A tile reads each sample once, mostly from cache, so the time goes into the exponentials.
Triton comes with CUDA builds of torch; without it, or for other losses, `direct.plain` fills the GPU in large blocks.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from ..activations import Sigmoid
from ..losses import BinaryCrossEntropy, Logistic, SquaredError
from .planes import Plane

try:
    triton: Any = importlib.import_module("triton")
    tl: Any = importlib.import_module("triton.language")
except ImportError:
    triton = tl = None

ROWS, COLUMNS, CHUNK = 8, 32, 16  # grid points along w and b, and samples, of a program's step

CROSS_ENTROPY, SQUARED_SIGMOID = 0, 1


def fits(plane: Plane, order: int) -> bool:
    """Returns whether the kernel supports the surface: values of two losses on the (w, b) grid of one feature."""
    return triton is not None and order == 0 and plane.one_feature and plane.weights is None and kind(plane) is not None


def kind(plane: Plane) -> int | None:
    """Returns the constant by which the kernel selects the loss, or None if it does not support the loss."""
    if isinstance(plane.loss, BinaryCrossEntropy | Logistic):
        return CROSS_ENTROPY
    if isinstance(plane.loss, SquaredError) and not plane.loss.class_axis and isinstance(plane.loss.through, Sigmoid):
        return SQUARED_SIGMOID
    return None


def grid(plane: Plane, a: Tensor, b: Tensor) -> Tensor:
    """Returns the mean loss over the grid, (1, len(a), len(b)), in the plane's dtype."""
    a, b = a.to(plane.first).contiguous(), b.to(plane.first).contiguous()
    x, y = plane.x.contiguous(), plane.targets.to(plane.dtype).contiguous()
    if isinstance(plane.loss, Logistic):
        y = (y + 1) / 2
    out = torch.empty(len(a), len(b), dtype=plane.dtype, device=plane.device)
    which = kind(plane)
    programs = (triton.cdiv(len(a), ROWS), triton.cdiv(len(b), COLUMNS))
    with torch.cuda.device(plane.device):
        surface_kernel()[programs](
            a, b, x, y, out, len(a), len(b), len(x), which, ROWS, COLUMNS, CHUNK, tl.float64
            if plane.dtype == torch.float64 else tl.float32,
        )  # fmt: skip
    factor = plane.loss.factor if isinstance(plane.loss, SquaredError) else 1.0
    return (out * (factor / plane.samples)).unsqueeze(0)


_compiled: list[Any] = []


def surface_kernel() -> Any:
    """Compiles the kernel on first use, because this file is imported on machines without Triton too."""
    if not _compiled:
        _compiled.append(triton.jit(_surface))
    return _compiled[0]


def _surface(  # type: ignore[no-untyped-def]
    w_ptr, b_ptr, x_ptr, y_ptr, out_ptr, rows, columns, samples,
    LOSS: tl.constexpr, R: tl.constexpr, C: tl.constexpr, N: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * R + tl.arange(0, R)
    j = tl.program_id(1) * C + tl.arange(0, C)
    w = tl.load(w_ptr + i, mask=i < rows, other=0.0)
    b = tl.load(b_ptr + j, mask=j < columns, other=0.0)
    total = tl.zeros((R, C), dtype=T)
    for start in range(0, samples, N):
        k = start + tl.arange(0, N)
        inside = k < samples
        x = tl.load(x_ptr + k, mask=inside, other=0.0)
        y = tl.load(y_ptr + k, mask=inside, other=0.0)
        z = w[:, None, None] * x[None, None, :] + b[None, :, None]
        if LOSS == 0:
            # log(1 + e^z) − y z, with no exponential above 1
            term = tl.maximum(z, 0.0) - y[None, None, :] * z + tl.log(1.0 + tl.exp(-tl.abs(z)))
        else:
            e = tl.exp(-tl.abs(z))  # σ(z) is 1/(1 + e^−|z|) for z ≥ 0, else e^−|z| of it
            p = tl.where(z >= 0, 1.0, e) / (1.0 + e)
            term = (p - y[None, None, :]) * (p - y[None, None, :])
        total += tl.sum(tl.where(inside[None, None, :], term, 0.0), axis=2)
    tl.store(out_ptr + i[:, None] * columns + j[None, :], total, mask=(i < rows)[:, None] & (j < columns)[None, :])
