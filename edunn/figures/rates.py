"""The figure of a rate-range test: the loss against the rate, with the suggestion marked."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import BLACK, BLUE, GREEN, GREY, VERMILLION, axes_for, number, tidy


def rate_range(found: Any, ax: Axes | None = None) -> Axes:
    """Draws the loss of each step against its rate, on a logarithmic axis, and the rates that were found.

    Parameters
    ----------
    found : from `edunn.descent.find_rate`
    ax : where to draw; None makes a figure
    """
    axes = axes_for(ax)
    rates, losses, smooth = (np.asarray(values, float) for values in (found.rates, found.losses, found.smooth))
    least, first = np.nanmin(smooth), smooth[0]
    axes.plot(rates, losses, color=GREY, linewidth=0.8, label="loss of the step's batch")
    if not np.array_equal(losses, smooth):
        axes.plot(rates, smooth, color=BLUE, linewidth=1.8, label="mean of the last steps")
    axes.set_xscale("log")
    room = 0.25 * (first - least) or 1.0  # the rise beyond it has no end
    axes.set_ylim(least - 0.2 * room, max(first, least) + 2 * room)
    axes.axvline(found.best, color=BLACK, linestyle=":", linewidth=1.2, label=f"least loss, {number(found.best)}")
    if found.suggestion is not None:
        title = f"suggestion, {number(found.suggestion)}"
        axes.axvline(found.suggestion, color=GREEN, linewidth=1.8, label=title, gid="suggestion")
    if found.stable_rate is not None:
        title = f"largest stable rate, {number(found.stable_rate)}"
        axes.axvline(found.stable_rate, color=VERMILLION, linestyle="--", linewidth=1.2, label=title, gid="stable")
    axes.legend(fontsize="small", loc="lower left", framealpha=0.9)
    tidy(axes, "The loss while the rate grows with every step", "rate", "loss")
    return axes
