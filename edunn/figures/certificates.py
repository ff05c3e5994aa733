"""The figure of a certificate: how far hand-derived gradients are from autograd and from finite differences."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .records import Certificate
from .style import BLUE, GREEN, GREY, ORANGE, VERMILLION, axes_for, escape, shorten, tidy

SMALLEST = 1e-18  # where an error of exactly 0 is drawn
MOST = 40  # rows that are drawn: with more, those of the largest errors
WITNESSES = (
    ("hand_vs_autograd", "against autograd", BLUE, "o"),
    ("hand_vs_numeric", "against five points", ORANGE, "s"),
)
BANDS = ((1e-7, "good", GREEN), (1e-2, "wrong", VERMILLION))


def gradient_errors(certificate: Certificate, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws the relative error of every gradient on a logarithmic axis, a row each, against both witnesses.

    To the left of the green line (1e-7) is what float64 can show; to the right of the red one (1e-2) a gradient is
    wrong. A gradient that did not pass has a red name.

    Parameters
    ----------
    certificate : from `edunn.gradcheck.certify`
    ax : where to draw; None makes a figure
    """
    rows = list(certificate.rows)
    if len(rows) > MOST:
        rows = sorted(rows, key=lambda row: row.error)[-MOST:]
    axes = axes_for(ax, 7.6, 1.6 + 0.26 * max(len(rows), 2))
    places = np.arange(len(rows))
    for attribute, label, colour, symbol in WITNESSES:
        values = [getattr(row, attribute) for row in rows]
        known = np.array([value is not None for value in values], dtype=bool)
        drawn = np.clip([value or 0.0 for value in values], SMALLEST, None)
        axes.plot(drawn[known], places[known], symbol, color=colour, label=label, markersize=6, zorder=3, alpha=0.85)
    for bound, word, colour in BANDS:
        axes.axvline(bound, color=colour, linewidth=1.2, linestyle="--", zorder=1, label=f"{word}: {bound:g}")
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST / 3, max(1.0, *(3 * row.error for row in rows)) if rows else 1.0)
    terms = {row.term for row in rows}
    names = [f"{row.name}, {row.parameter}" + (f" ({row.term})" if len(terms) > 1 else "") for row in rows]
    axes.set_yticks(places, [shorten(name, 46) for name in names], fontsize="small")
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color("black" if row.passed else VERMILLION)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    right = len(certificate.rows) - len(certificate.wrong)
    said = title or f"{right} of {len(certificate.rows)} gradients are right"
    if len(rows) < len(certificate.rows):
        said += f"; the {len(rows)} of the largest errors are drawn"
    tidy(axes, escape(said), "relative error of the hand-derived gradient (0 at the left edge)", "")
    axes.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0), labelcolor=GREY)
    return axes
