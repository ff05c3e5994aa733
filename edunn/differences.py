"""Numeric derivatives by finite differences, used by every check of the package.

The five-point stencil f'(x) ≈ (f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)) / 12h has error h⁴f⁽⁵⁾/30: in float64 at
h = 1e-3 it gives about twelve digits. Two points at 1e-6 give nine or ten; float32 never gives more than four or five.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .errors import ShapeError, check_number, shape

STEP = 1e-3
FIVE_POINTS = ((-2.0, 1 / 12), (-1.0, -8 / 12), (1.0, 8 / 12), (2.0, -1 / 12))


def derivative(function: Callable[[Tensor], Tensor], point: Tensor, step: float = STEP) -> Tensor:
    """Returns d function / d point of an elementwise function, all entries at once, by five points."""
    check_number("step", step, 0, open_ends="low")
    total = torch.zeros_like(point)
    for offset, weight in FIVE_POINTS:
        total += weight * function(point + offset * step)
    return total / step


def gradient(function: Callable[[Tensor], Tensor], point: Tensor, step: float = STEP) -> Tensor:
    """Returns the gradient of a scalar function, entry by entry, by five points.

    Parameters
    ----------
    function : takes a tensor of the point's shape, returns a scalar
    point : float64, because float32 gives only four digits; it is not changed
    step : h, in the units of the point
    """
    check_number("step", step, 0, open_ends="low")
    point = point.detach().clone(memory_format=torch.contiguous_format)  # a transposed point has no flat view
    result = torch.zeros_like(point)
    flat, out = point.view(-1), result.view(-1)
    for i in range(flat.numel()):
        start = flat[i].item()
        for offset, weight in FIVE_POINTS:
            flat[i] = start + offset * step
            out[i] += weight * function(point).detach()
        flat[i] = start
    return result / step


def two_point_gradient(function: Callable[[Tensor], Tensor], point: Tensor, step: float = 1e-6) -> Tensor:
    """Returns ∂f/∂x_i ≈ (f(x + h e_i) − f(x − h e_i)) / 2h, entry by entry: the difference that courses teach first.

    Its error is h² f⁽³⁾/6, and ε|f|/h from rounding. Parameters as in `gradient`, which gives three digits more.
    """
    check_number("step", step, 0, open_ends="low")
    result = torch.zeros(point.numel(), dtype=point.dtype)
    for i in range(point.numel()):
        ahead, behind = point.flatten().clone(), point.flatten().clone()
        ahead[i] += step
        behind[i] -= step
        rise = function(ahead.view(point.shape)) - function(behind.view(point.shape))
        result[i] = rise / (2 * step)
    return result.view(point.shape)


def relative_error(first: Tensor, second: Tensor) -> float:
    """Returns the largest absolute difference, over the larger of the two largest absolute values.

    0 when both are below 1e-15 everywhere; inf when either has a nan or an inf. Shapes must agree: nothing is
    broadcast, because a gradient of the wrong shape is a wrong gradient.
    """
    if first.shape != second.shape:
        raise ShapeError(f"Expected two tensors of one shape to compare; got {shape(first)} and {shape(second)}.")
    if first.numel() == 0:
        return 0.0
    largest = max(float(first.abs().max()), float(second.abs().max()))
    if largest < 1e-15:
        return 0.0
    error = float((first - second).abs().max()) / largest
    return error if error == error else float("inf")
