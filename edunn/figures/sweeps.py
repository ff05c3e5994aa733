"""Figures of a sweep: a metric over the values that were tried, with the best one marked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from .style import BLACK, GREY, SEQUENTIAL, VERMILLION, axes_for, escape, number, percent, tidy

WORDS = {"accuracy": "accuracy", "label_accuracy": "label accuracy", "r2": "R²"}
MOST = 20  # columns or rows whose cells hold their number


def sweep_map(
    axes: Mapping[str, Sequence[Any]],
    entries: Sequence[tuple[Mapping[str, Any], float]],
    metric: str = "accuracy",
    ax: Axes | None = None,
    best: Mapping[str, Any] | None = None,
) -> Axes:
    """Draws the validation metric of every combination as a map of two axes, with a frame around the best cell.

    Parameters
    ----------
    axes : key -> the values that were tried, in the order in which they are drawn. One axis is one row of cells; with
        more than two, a cell shows the best over the others, and the title says so.
    entries : (key -> value, metric) of each run; nan where a run did not finish, drawn as a cross
    metric : "accuracy", "label_accuracy" or "r2"
    ax : where to draw; None makes a figure
    best : key -> value of the run to frame; None frames the first cell of the highest metric
    """
    keys = list(axes)
    across = keys[0]
    down = keys[1] if len(keys) > 1 else None
    columns, rows = axes[across], axes[down] if down else [None]
    values = np.full((len(rows), len(columns)), np.nan)
    for (row, y), (column, x) in itertools.product(enumerate(rows), enumerate(columns)):
        met = [v for at, v in entries if at[across] == x and (down is None or at[down] == y) and np.isfinite(v)]
        values[row, column] = max(met, default=np.nan)
    drawn = axes_for(ax, 2.2 + 0.75 * min(max(len(columns), 4), 14), 1.8 + 0.5 * min(max(len(rows), 2), 14))
    colours = matplotlib.colormaps[SEQUENTIAL]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1)
    drawn.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, aspect="auto")
    form = number if metric == "r2" else percent
    small = max(len(columns), len(rows)) <= MOST
    for (row, column), value in np.ndenumerate(values):
        dark = np.isfinite(value) and norm(value) > 0.55
        if not np.isfinite(value):
            drawn.text(column, row, "×", ha="center", va="center", color=GREY)
        elif small:
            drawn.text(column, row, form(value), ha="center", va="center", fontsize="small",
                       color="white" if dark else BLACK)  # fmt: skip
    if finite.size:
        top, left = (int(at) for at in np.unravel_index(np.nanargmax(values), values.shape))
        if best is not None:  # several may have the highest metric
            top, left = list(rows).index(best[down]) if down else 0, list(columns).index(best[across])
        corner = (left - 0.5, top - 0.5)
        frame = Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2.5, zorder=3, clip_on=False)
        frame.set_gid("best")
        drawn.add_patch(frame)
    what = WORDS.get(metric, metric)
    title = f"Validation {what} of {len(entries)} runs"
    if len(keys) > 2:
        others = ", ".join(short(key) for key in keys[2:])
        title += f", the best over {others}"
    if len(finite) < values.size:
        title += " (×: did not finish)"
    tidy(drawn, title, escape(across), escape(down) if down else "", grid=False)
    drawn.set_xticks(range(len(columns)), [label(x) for x in columns])
    if down:
        drawn.set_yticks(range(len(rows)), [label(y) for y in rows])
    else:
        drawn.yaxis.set_major_locator(NullLocator())
    drawn.tick_params(length=0)
    return drawn


def short(key: str) -> str:
    return escape(key.rpartition(".")[2])


def label(value: Any) -> str:
    """Returns a value as an axis label."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else escape(value)
