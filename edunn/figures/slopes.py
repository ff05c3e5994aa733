"""Figures of piecewise functions above their slopes, which jump where the function has a kink."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import BLUE, GREY, ORANGE, array, number, tidy


@dataclass(frozen=True)
class Piecewise:
    """A piecewise function of one variable and its slope.

    x, y, slope : labels of the axes
    at, values, slopes : (points,) each
    kinks : where the slope jumps; the slope at a kink itself is the subgradient that is used there
    notes : (place, text), beside the curve
    here : a place on the curve to mark, with its name; None for none
    """

    title: str
    x: str
    y: str
    slope: str
    at: Any
    values: Any
    slopes: Any
    kinks: Sequence[float]
    notes: Sequence[tuple[float, str]] = ()
    here: tuple[float, str] | None = None


def with_slopes(functions: Sequence[Piecewise]) -> Axes:
    """Draws each function above its slope, on the same axis, with dashed lines down from every kink."""
    from .lessons import panels

    count = len(functions)
    axes = panels(2, count, 5.4, 2.7)
    for k, piece in enumerate(functions):
        above, below = axes[k], axes[count + k]
        at, values, slopes = array(piece.at), array(piece.values), array(piece.slopes) + 0.0  # −0 is 0
        above.plot(at, values, color=BLUE, linewidth=2.2)
        draw_steps(below, at, slopes, piece.kinks)
        for kink in piece.kinks:
            for ax in (above, below):
                ax.axvline(kink, color=GREY, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
        for place, text in piece.notes:
            height = float(np.interp(place, at, values))
            above.annotate(text, (place, height), xytext=(8, 6), textcoords="offset points", fontsize="small")
        if piece.here is not None:
            place, name = piece.here
            value, pull = float(np.interp(place, at, values)), float(np.interp(place, at, slopes))
            above.plot([place], [value], "o", color=ORANGE, markersize=8, zorder=4)
            above.annotate(
                name, (place, value), xytext=(-6, -14), ha="right", textcoords="offset points", fontsize="small"
            )
            below.plot([place], [pull], "o", color=ORANGE, markersize=8, zorder=4)
        tidy(above, piece.title, "", piece.y)
        tidy(below, "", piece.x, piece.slope)
        low, high = float(slopes.min()), float(slopes.max())
        below.set_ylim(low - 0.2 * (high - low), high + 0.2 * (high - low))
        heights = np.unique(np.round(slopes, 6))
        if len(heights) <= 5:
            below.set_yticks(heights)
        above.set_xlim(at[0], at[-1])
        below.set_xlim(at[0], at[-1])
        below.yaxis.set_major_formatter(lambda value, _: number(value))
    return axes[0]


def draw_steps(ax: Axes, at: np.ndarray, slopes: np.ndarray, kinks: Sequence[float]) -> None:
    """Draws a slope piece by piece; at a jump a full circle marks the value, an empty one the other side."""
    edges = [at[0] - 1.0, *sorted(kinks), at[-1] + 1.0]
    for left, right in itertools.pairwise(edges):
        inside = (at > left) & (at < right)
        ax.plot(at[inside], slopes[inside], color=BLUE, linewidth=2.2, zorder=2)
    for kink in kinks:
        before, after = slopes[at < kink][-1], slopes[at > kink][0]
        taken = slopes[np.abs(at - kink).argmin()] if np.isclose(np.abs(at - kink).min(), 0) else after
        for value in (before, after):
            if not np.isclose(before, after):
                face = BLUE if np.isclose(value, taken) else "white"
                ax.plot([kink], [value], "o", color=BLUE, markerfacecolor=face, markersize=5, zorder=3)
