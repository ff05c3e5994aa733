"""Figures of numeric derivatives' errors against the step, and of the path of a descent."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..errors import ShapeError
from .records import Minimum, StepStudy
from .style import BLACK, BLUE, GREY, ORANGE, VERMILLION, axes_for, escape, number, shorten, span, tidy

RESOLUTION = 161
STYLES = {"float64": "-", "float32": (0, (4, 1.6))}
RULES = {"forward": ORANGE, "central": BLUE}

# where each line of the theory is named: log10 of the step, offset in points, and the text's anchor
LABELS = {
    "truncation ½δ|f''|": (-5.6, (-6, 4), "right", "bottom"),
    "truncation ⅙δ²|f'''|": (-3.7, (6, -4), "left", "top"),
    "rounding ε|f|/δ, float64": (-12.5, (-8, -6), "right", "top"),
    "rounding ε|f|/δ, float32": (-8.6, (8, 2), "left", "bottom"),
}


def step_study(study: StepStudy, ax: Axes | None = None, marks: tuple[float, ...] = (1e-15,)) -> Axes:
    """Draws the relative error of forward and central differences against the step δ, two V-shaped curves.

    On the right the difference is the slope of a chord (truncation falls with δ, or δ²), on the left
    rounding dominates (it grows with 1/δ).

    Parameters
    ----------
    marks : steps to mark with a line: 1e-15 is a lecture's default
    """
    axes = axes_for(ax, 7.2, 4.8)
    deltas = np.array(study.deltas)
    floor = 1e-17
    for key, errors in study.errors.items():
        rule, kind = key.split()
        values = np.clip(np.array(errors), floor, 1e4)
        axes.plot(deltas, values, color=RULES[rule], linestyle=STYLES[kind], linewidth=1.3, label=f"{rule}, {kind}")
        best = study.best[key]
        axes.plot([best["delta"]], [max(best["error"], floor)], marker="o", color=RULES[rule], markersize=5, zorder=4)
    for name, line in study.theory.items():
        expected = np.array(line)
        shown = (expected > 1e-17) & (expected < 1e2)
        axes.plot(deltas[shown], expected[shown], color=GREY, linewidth=0.9, linestyle=":", zorder=1)
        if shown.any():
            x, offset, side, base = LABELS[name]
            at = int(np.abs(np.log10(deltas) - x).argmin())
            axes.annotate(
                name, (deltas[at], expected[at]), color=GREY, fontsize="x-small", textcoords="offset points",
                xytext=offset, ha=side, va=base, annotation_clip=True,
            )  # fmt: skip
    for mark in marks:
        axes.axvline(mark, color=VERMILLION, linewidth=1.0, zorder=1)
        axes.annotate(
            f"δ = {mark:g}", (mark, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -4), color=VERMILLION,
            textcoords="offset points", va="top", fontsize="small",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(deltas.min() / 1.5, deltas.max() * 1.5)
    where = ", ".join(f"{name} = {number(value)}" for name, value in study.point.items())
    tidy(
        axes, escape(f"d/d{study.name} of {shorten(study.expression, 40)} at {where}: error of differences"),
        "step δ", "relative error",
    )  # fmt: skip
    box = axes.legend(fontsize="small", loc="lower left", title="difference (● its best step)", title_fontsize="small")
    box.get_frame().set(edgecolor="none", alpha=1.0)
    return axes


def descent_path(found: Minimum, function: Any, ax: Axes | None = None) -> Axes:
    """Draws the path of a descent on the curve of a function of one variable, or the contour of one of two."""
    path = np.array(found.path, dtype=np.float64)
    names = list(found.at)
    if len(names) > 2:
        raise ShapeError(
            f"descent_path draws functions of one or two names; this has {len(names)}: {', '.join(names)}."
        )
    axes = axes_for(ax)
    path = path[np.isfinite(path).all(1)]
    title = f"Descent on {shorten(found.expression, 44)}\n"
    title += f"rate {number(found.rate)}, {found.steps} steps, stopped: {found.stopped}"
    if len(names) == 1:
        low, high = span(path[:, 0], 0.35)
        xs = np.linspace(low, high, 400)
        axes.plot(xs, values_at(function, {names[0]: xs}), color=GREY, linewidth=1.2)
        ys = values_at(function, {names[0]: path[:, 0]})
        draw_path(axes, path[:, 0], ys)
        tidy(axes, escape(title), escape(names[0]), "f")
        return axes
    (x_low, x_high), (y_low, y_high) = window(path)
    xs, ys = np.linspace(x_low, x_high, RESOLUTION), np.linspace(y_low, y_high, RESOLUTION)
    grid_x, grid_y = np.meshgrid(xs, ys)
    values = np.ma.masked_invalid(values_at(function, {names[0]: grid_x, names[1]: grid_y}))
    levels = MaxNLocator(nbins=14).tick_values(float(values.min()), float(values.max()))
    lines = axes.contour(grid_x, grid_y, values, levels=levels, cmap="Blues_r", linewidths=0.9)
    axes.clabel(lines, fontsize="x-small", fmt=lambda level: number(level))
    draw_path(axes, path[:, 0], path[:, 1])
    tidy(axes, escape(title), escape(names[0]), escape(names[1]), grid=False)
    axes.set_aspect("equal")
    return axes


def window(path: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns a window around the path, as high as it is wide, even for a path along one axis."""
    half = max(np.ptp(path[:, 0]), np.ptp(path[:, 1]), 1e-3) * 0.7
    centres = (path.min(0) + path.max(0)) / 2
    return tuple((float(c - half), float(c + half)) for c in centres)  # type: ignore[return-value]


def draw_path(axes: Axes, xs: np.ndarray, ys: np.ndarray) -> None:
    """Draws the accepted points, and marks the start and the end."""
    axes.plot(xs, ys, color=VERMILLION, linewidth=1.2, marker=".", markersize=3, zorder=3)
    axes.plot(xs[:1], ys[:1], color=BLACK, marker="o", markersize=6, linestyle="none", zorder=4, label="start")
    axes.plot(xs[-1:], ys[-1:], color=VERMILLION, marker="*", markersize=12, linestyle="none", zorder=5, label="end")
    axes.legend(frameon=False, fontsize="small")


def values_at(function: Any, points: dict[str, np.ndarray]) -> np.ndarray:
    """Evaluates a function of named variables on arrays, all at once."""
    with torch.no_grad():
        found = function(**{name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in points.items()})
    first = next(iter(points.values()))
    return np.broadcast_to(np.asarray(found, dtype=np.float64), first.shape)
