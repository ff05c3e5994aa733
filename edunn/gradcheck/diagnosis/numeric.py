"""A hand-in whose gradient is itself a difference: too coarse, one-sided, lopsided, or nothing but rounding noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake
from .scene import Scene

STEPS = tuple(10.0**-k for k in range(1, 17))
ONE_SIDED = Mistake(
    "one-sided difference", "the gradient is a one-sided difference, (f(x + h) − f(x))/h: its error is h f''/2",
    "(f(x + h) − f(x − h)) / 2h", "numeric", lambda scene: None,
)  # fmt: skip
LOPSIDED = Mistake(
    "lopsided difference", "the difference steps +h and −2h and divides by 2h: 1.5 times the truth",
    "(f(x + h) − f(x − h)) / 2h", "numeric", lambda scene: None,
)  # fmt: skip
NOISE = Mistake(
    "numeric step too small", "the gradient is a difference whose step is so small that rounding is left",
    "h near 6e-6 for central differences in float64", "numeric", lambda scene: None,
)  # fmt: skip
COARSE = Mistake(
    "numeric step too large", "the gradient is a difference whose step is so large that it is the slope of a chord",
    "h near 6e-6 for central differences in float64", "numeric", lambda scene: None,
)  # fmt: skip


def find(scene: Scene, close: Callable[[Tensor, Tensor], bool]) -> list[Mistake]:
    """Which kind of difference, with which step, gives the gradient that came: the hand-in's own value is called."""
    if scene.function is None or scene.got.shape != scene.right.shape or scene.got.numel() > 200:
        return []
    found: list[Mistake] = []
    point = scene.points[scene.parameter]
    for h in STEPS:
        ahead, here, behind, twice = (shifted(scene.function, point, k * h) for k in (1, 0, -1, -2))
        if close((ahead - behind) / (2 * h), scene.got):
            found.append(NOISE if h < 1e-8 else COARSE)
        elif close((ahead - here) / h, scene.got) or close((here - behind) / h, scene.got):
            found.append(NOISE if h < 1e-11 else ONE_SIDED)
        elif close((ahead - twice) / (2 * h), scene.got):
            found.append(LOPSIDED)
        if found:
            break
    return found


def shifted(function: Callable[[Tensor], Tensor], point: Tensor, step: float) -> Tensor:
    """f with each entry of the point moved by itself, of the point's shape."""
    values = torch.zeros_like(point)
    for i in range(point.numel()):
        moved = point.clone()
        moved.view(-1)[i] += step
        values.view(-1)[i] = float(function(moved))
    return values
