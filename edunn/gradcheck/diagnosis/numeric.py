"""Recognises a gradient computed by differences that are too coarse, one-sided, asymmetric, or only rounding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake
from .wrong_gradient import WrongGradient

STEPS = tuple(10.0**-k for k in range(1, 17))
ONE_SIDED = Mistake(
    "one-sided difference", "the gradient is a one-sided difference, (f(x + h) − f(x))/h: its error is h f''/2",
    "(f(x + h) − f(x − h)) / 2h", "numeric", lambda wrong: None,
)  # fmt: skip
LOPSIDED = Mistake(
    "lopsided difference", "the difference steps +h and −2h and divides by 2h: 1.5 times the truth",
    "(f(x + h) − f(x − h)) / 2h", "numeric", lambda wrong: None,
)  # fmt: skip
NOISE = Mistake(
    "numeric step too small", "the gradient is a difference whose step is so small that rounding is left",
    "h near 6e-6 for central differences in float64", "numeric", lambda wrong: None,
)  # fmt: skip
COARSE = Mistake(
    "numeric step too large", "the gradient is a difference whose step is so large that it is the slope of a chord",
    "h near 6e-6 for central differences in float64", "numeric", lambda wrong: None,
)  # fmt: skip


def find(wrong: WrongGradient, is_close: Callable[[Tensor, Tensor], bool]) -> list[Mistake]:
    """Finds the kind of difference, and its step, that gives the hand-derived gradient, by calling the value."""
    if wrong.function is None or wrong.hand.shape != wrong.right.shape or wrong.hand.numel() > 200:
        return []
    found: list[Mistake] = []
    point = wrong.points[wrong.parameter]
    for h in STEPS:
        ahead, here, behind, twice = (evaluate_shifted(wrong.function, point, k * h) for k in (1, 0, -1, -2))
        if is_close((ahead - behind) / (2 * h), wrong.hand):
            found.append(NOISE if h < 1e-8 else COARSE)
        elif is_close((ahead - here) / h, wrong.hand) or is_close((here - behind) / h, wrong.hand):
            found.append(NOISE if h < 1e-11 else ONE_SIDED)
        elif is_close((ahead - twice) / (2 * h), wrong.hand):
            found.append(LOPSIDED)
        if found:
            break
    return found


def evaluate_shifted(function: Callable[[Tensor], Tensor], point: Tensor, step: float) -> Tensor:
    """Returns f with one entry of the point changed at a time, in the point's shape."""
    values = torch.zeros_like(point)
    for i in range(point.numel()):
        moved = point.clone()
        moved.view(-1)[i] += step
        values.view(-1)[i] = float(function(moved))
    return values
