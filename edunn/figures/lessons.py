"""Figures used only by the lessons: curves, surfaces side by side, margins, lifted features, a robot arm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .models import decision_regions
from .records import Model, Samples, Surface
from .style import BLACK, BLUE, COLOURS, GREY, ORANGE, VERMILLION, NotebookAxes, array, axes_for, escape, number, tidy
from .surfaces import NotebookAxes3D, bounds, heights, surface_3d

DASHES = ("-", "--", "-.", ":")


def curves(
    at: Any, lines: Mapping[str, Any], ax: Axes | None = None, title: str = "", x: str = "", y: str = ""
) -> Axes:
    """Draws several functions of one variable, each in its own colour and dash.

    Parameters
    ----------
    at : (points,)
    lines : by name, (points,) each
    x, y : labels of the axes
    """
    axes = axes_for(ax)
    for k, (name, values) in enumerate(lines.items()):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(array(at), array(values), DASHES[k % 4], color=colour, linewidth=1.8, label=escape(name))
    tidy(axes, title, x, y)
    axes.legend(fontsize="small", frameon=False)
    return axes


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> list[Axes]:
    """Returns new Axes side by side on one figure, row by row."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    kind = options.pop("kind", NotebookAxes)
    return [figure.add_subplot(rows, columns, k + 1, axes_class=kind, **options) for k in range(rows * columns)]


def two_grids(first: Surface, second: Surface, titles: tuple[str, str]) -> Axes:
    """Draws two surfaces in three dimensions at one scale."""
    axes = panels(1, 2, 5.6, 4.8, kind=NotebookAxes3D)
    limits = bounds(heights(first), heights(second))
    for ax, surface, title in zip(axes, (first, second), titles, strict=True):
        surface_3d(surface, ax, limits=limits, title=title)
        ax.set_xlabel("θ₁")
        ax.set_ylabel("θ₀")
    return axes[0]


def three_curves(surfaces: Mapping[str, Surface]) -> Axes:
    """Draws the curves L(w) of several surfaces of one bias, each on its own axes."""
    axes = panels(1, len(surfaces), 4.2, 3.4)
    for k, (ax, (name, surface)) in enumerate(zip(axes, surfaces.items(), strict=True)):
        ax.plot(array(surface.first), heights(surface)[:, 0], color=COLOURS[k], linewidth=1.8)
        tidy(ax, name, surface.names[0], "loss" if k == 0 else "")
        ax.set_title(ax.get_title(loc="left").replace(", ", ",\n", 1), loc="left", fontsize="medium")
    return axes[0]


def margins(models: Mapping[str, Any], samples: Samples) -> Axes:
    """Draws the boundary w·x + b = 0 and the margins ±1 of binary SVMs, with rings around the support vectors."""
    axes = panels(1, len(models), 4.6, 4.4)
    whole = with_class_indices(samples)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        decision_regions(model, whole, ax)
        with torch.no_grad():
            held = array(samples.targets * model(samples.features)) <= 1.02  # descent on a kink ends near it
            width = 2 / float(model.weight.norm())
        points = array(samples.features)[held]
        ax.scatter(points[:, 0], points[:, 1], s=90, facecolor="none", edgecolor=BLACK, linewidth=1.2, zorder=6)
        title = f"{name}\nmargin of width {number(width)}, {held.sum()} support vectors ringed"
        tidy(ax, title, "x₁", "x₂", grid=False)
        without_legend(ax)
    return axes[0]


def with_class_indices(samples: Samples) -> Samples:
    """Returns the samples with whole numbers as targets, −1 and +1 or class indices."""
    return dataclasses.replace(samples, targets=samples.targets.long())


def without_legend(ax: Axes) -> None:
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()


class LiftedModel(torch.nn.Module):
    """A model of lifted features, wrapped as a model of the original features."""

    def __init__(self, model: Model, lift: Callable[[Any], Any]) -> None:
        super().__init__()
        self.model, self.lift = model, lift

    def forward(self, features: Any) -> Any:
        return self.model(self.lift(features.double()))

    def predict(self, features: Any) -> Any:
        return self.model.predict(self.lift(features.double()))


def lifts(models: Mapping[str, tuple[Any, Callable[[Any], Any]]], samples: Samples) -> Axes:
    """Draws each model's decision regions in the plane of the two original features."""
    axes = panels(1, len(models), 4.2, 4.0)
    whole = with_class_indices(samples)
    for ax, (name, (model, lift)) in zip(axes, models.items(), strict=True):
        decision_regions(LiftedModel(model, lift), whole, ax)
        right = ax.get_title(loc="left").partition(": ")[2]
        tidy(ax, f"{name}\n{right}", "x₁", "x₂", grid=False)
        without_legend(ax)
        ax.set_aspect("equal")
    return axes[0]


def arms(runs: Mapping[str, tuple[Any, tuple[float, float]]], most: int = 12) -> Axes:
    """Draws the motion of robot arms, (steps, joints, 2) positions and a target each: the tip's path and some poses."""
    count = len(runs)
    columns = max(1, count // 2) if count > 3 else count
    axes = panels(-(-count // columns), columns, 3.6, 3.5)
    for ax, (name, (places, target)) in zip(axes, runs.items(), strict=False):
        poses = array(places)
        for k in np.unique(np.linspace(0, len(poses) - 1, most).round().astype(int)):
            ax.plot(poses[k, :, 0], poses[k, :, 1], color=GREY, linewidth=0.8, alpha=0.35)
        ax.plot(poses[:, -1, 0], poses[:, -1, 1], "-", color=ORANGE, linewidth=1.2, marker=".", markersize=4)
        ax.plot(poses[-1, :, 0], poses[-1, :, 1], "o-", color=BLUE, linewidth=2.4, markersize=5)
        ax.plot(*target, "*", color=VERMILLION, markersize=14, markeredgecolor=BLACK, markeredgewidth=0.6, zorder=5)
        off = float(np.hypot(*(poses[-1, -1] - np.asarray(target))))
        tidy(ax, f"{name}\n{number(off)} left after {len(poses) - 1} steps", "", "")
        reach = 1.05 * float(np.abs(poses).max())
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)
        ax.set_aspect("equal")
    handles = [
        Line2D([], [], marker="*", linestyle="none", color=VERMILLION, markersize=10, label="target"),
        Line2D([], [], color=ORANGE, marker=".", label="the tip's path"),
        Line2D([], [], color=BLUE, marker="o", label="where it ends"),
    ]
    axes[0].legend(handles=handles, fontsize="x-small", loc="lower left", framealpha=0.9)
    return axes[0]
