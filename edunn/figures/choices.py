"""Figures that compare stop rules and batch sizes: where runs stop, and how many of them reach the best loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import BLACK, COLOURS, GREY, array, axes_for, escape, marker, tidy


def stops(
    losses: Any,
    stopped: Mapping[str, Sequence[tuple[float, float]]],
    right: tuple[float, float],
    ax: Axes | None = None,
    title: str = "",
    name: str = "descent on all samples",
    should: str = "stops by the loss of all samples",
) -> Axes:
    """Draws the points (steps, loss) where runs stopped on the curve of a longer run; a star marks the right place.

    Parameters
    ----------
    losses : (steps,), of the longer run after each step
    stopped : by name, a (steps, loss) for each run
    right : (steps, loss) of the star
    """
    axes = axes_for(ax, 7.2, 4.6)
    curve = array(losses)
    axes.plot(np.arange(1, len(curve) + 1), curve, color=GREY, linewidth=2.0, label=name, zorder=2)
    for k, (what, places) in enumerate(stopped.items()):
        steps, values = zip(*places, strict=True)
        axes.scatter(steps, values, s=36, marker=marker(k), facecolor="none", edgecolor=COLOURS[k], linewidth=1.4,
                     label=escape(what), zorder=3)  # fmt: skip
    axes.plot(*right, "*", color=BLACK, markersize=15, label=should, linestyle="none", zorder=4)
    axes.axhline(curve[-1], color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    axes.annotate(
        "the least there is", (1, curve[-1]), xytext=(0, -11), textcoords="offset points", fontsize="small", color=GREY
    )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    tidy(axes, title, "steps taken when it stops", "loss of all samples")
    axes.legend(fontsize="small", frameon=False)
    return axes


def counts(
    groups: Mapping[str, Mapping[str, int]], total: int, ax: Axes | None = None, title: str = "", y: str = ""
) -> Axes:
    """Draws bars in groups: how many of `total` runs had each outcome.

    Parameters
    ----------
    groups : name of the group -> name of the bar -> number of runs; the bars have the same names in every group
    """
    axes = axes_for(ax, 6.8, 4.2)
    names = list(next(iter(groups.values())))
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        heights = [group[name] / total for group in groups.values()]
        places = np.arange(len(groups)) + (k - (len(names) - 1) / 2) * width
        axes.bar(places, heights, 0.92 * width, color=COLOURS[k], label=escape(name))
        for place, group in zip(places, groups.values(), strict=True):
            axes.annotate(
                f"{group[name]} of {total}", (place, group[name] / total), xytext=(0, 3), textcoords="offset points",
                ha="center", fontsize="small",
            )  # fmt: skip
    axes.set_xticks(range(len(groups)), [escape(name) for name in groups])
    axes.set_ylim(0, 1)
    tidy(axes, title, "", y)
    axes.grid(False, axis="x")
    axes.legend(fontsize="small", frameon=False)
    return axes
