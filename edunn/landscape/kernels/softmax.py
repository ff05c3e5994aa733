"""Cross-entropy over classes, on any plane of a linear model: the scores S0 + a·S1 + b·S2 are formed in registers.

With d_c = s_c − Σ_j q_j s_j (q the target's distribution, or 1 for its class) a sample's loss is log Σ_c e^{d_c}. About
the middle b₀ of a tile of columns, with m the largest d_c there,

    log Σ_c e^{d_c} = m + log Σ_c 2^{g_c + (b − b₀) h_c}       g_c = (d_c − m)/ln 2,  h_c the slope of d_c over ln 2

The tile is so narrow that no power leaves the dtype's range. g is computed once for a row and tile; a grid point takes
for each class one multiply-add, one power of 2 and one sum, and a sample's logarithm is shared as in `factored`.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...losses import CrossEntropy
from ..planes import Plane
from .pieces import chunks, on_device, split, tiles_with_middles, width

RUN = 32  # samples that share a logarithm
REACH = {torch.float32: 96.0, torch.float64: 900.0}  # the largest exponent of 2, up or down, in a tile


def fits(plane: Plane) -> bool:
    """Returns whether the plane is cross-entropy over classes without weights, in float32 or float64."""
    return type(plane.loss) is CrossEntropy and plane.weights is None and plane.dtype in REACH


def grid(plane: Plane, a: Tensor, b: Tensor) -> Tensor:
    """Returns the sum of the losses over the grid a × b, (len(a), len(b)), float64."""
    assert isinstance(plane.loss, CrossEntropy)
    q = plane.loss.distribution(plane.first, plane.targets).double()
    parts = [part.double() for part in (plane.base, plane.first, plane.second)]
    if not plane.loss.takes_rows(plane.targets):
        q = q / q.sum(-1, keepdim=True)
    base, first, second = (part - (q * part).sum(-1, keepdim=True) for part in parts)
    slope = (second / math.log(2)).to(plane.dtype)
    steepest = float(slope.abs().max())
    out = torch.zeros(len(a), len(b), dtype=torch.float64, device=plane.device)
    wide, warps = width(len(b))
    samples, classes = slope.shape
    with on_device(out):
        for columns, middle in tiles_with_middles(b, REACH[plane.dtype] / steepest if steepest else math.inf):
            about = (b[columns] - middle).to(plane.dtype)
            for rows, some in chunks(len(a), samples, 24 * classes, RUN):
                scores = base[some] + a[rows].view(-1, 1, 1) * first[some] + middle * second[some]
                largest = scores.amax(-1, keepdim=True)
                powers = ((scores - largest) / math.log(2)).to(plane.dtype)
                shift = largest.sum((1, 2))
                sum_logarithms[len(powers), triton.cdiv(len(about), wide)](
                    powers, slope[some].contiguous(), about, shift, out[rows, columns],
                    powers.shape[1], len(about), out.stride(0),
                    CLASSES=classes, RUN=RUN, C=wide, num_warps=warps,
                )  # fmt: skip
    return out


@triton.jit
def sum_logarithms(
    power_ptr, slope_ptr, about_ptr, shift_ptr, out_ptr, samples, columns, stride,
    CLASSES: tl.constexpr, RUN: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Adds Σ_i log Σ_c 2^{g_ic + (b − b₀) h_ic}, and the row's shift, to a row of the tile."""
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * C + tl.arange(0, C)
    b = tl.load(about_ptr + j, mask=j < columns, other=0.0)
    power_ptr += row * samples * CLASSES
    exponents = tl.zeros((C,), tl.int32)
    logarithms = tl.zeros((C,), tl.float64)
    for start in range(0, samples, RUN):
        mantissas = b * 0 + 1
        for i in range(start, tl.minimum(start + RUN, samples)):
            total = b * 0
            for c in range(CLASSES):
                at = i * CLASSES + c
                total += tl.exp2(tl.load(power_ptr + at) + b * tl.load(slope_ptr + at))
            exponent, mantissa = split(total)
            exponents += exponent
            mantissas *= mantissa
        logarithms += tl.log2(mantissas).to(tl.float64)
    result = 0.6931471805599453 * (logarithms + exponents.to(tl.float64)) + tl.load(shift_ptr + row)
    here = out_ptr + row * stride + j
    tl.store(here, tl.load(here, mask=j < columns) + result, mask=j < columns)
