"""Figures of a classifier's decisions: its ROC curve, its threshold, its calibration, and what it gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .images import image_grid
from .models import confusion_matrix
from .records import Calibration, ClassReport, Mistakes, Roc
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, axes_for, escape, number, percent, shorten, tidy

FEW = 30  # samples of a bin that make its share a rough one


def roc_curve(roc: Roc, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws the true positive rate against the false positive rate, one point for each threshold.

    The dot is the threshold in use, 0.5 of a probability; the dashed diagonal is guessing.

    Parameters
    ----------
    roc : from `edunn.metrics.roc`
    ax : where to draw; None makes a figure
    """
    axes = axes_for(ax, 5.2, 5.0)
    name = escape(roc.positive)
    x, y = np.array(roc.false_positive_rate), np.array(roc.true_positive_rate)
    axes.fill_between(x, y, color=BLUE, alpha=0.08, linewidth=0)
    axes.plot(x, y, color=BLUE, linewidth=1.8, label=f"this model: area {number(roc.area)}")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--", label="guessing: area 0.5")
    at = roc.at(roc.chosen)
    axes.plot(at["false_positive_rate"], at["true_positive_rate"], "o", color=VERMILLION, markeredgecolor="white",
              markersize=9, label=f"threshold {number(roc.chosen)}, in use", zorder=5, clip_on=False)  # fmt: skip
    found, wrong = percent(at["true_positive_rate"]), percent(at["false_positive_rate"])
    said = title or f"At threshold {number(roc.chosen)}: {found} of {name} found,\n{wrong} of the others taken for it"
    tidy(axes, said, f"false positive rate: others taken for {name}", f"true positive rate: {name} found (recall)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize="small", frameon=False)
    return axes


def threshold_curves(roc: Roc, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws accuracy, precision and recall against the threshold, with the one in use marked.

    A higher threshold calls fewer samples positive: recall falls, and precision mostly rises.

    Parameters
    ----------
    roc : from `edunn.metrics.roc`
    ax : where to draw; None makes a figure
    """
    axes = axes_for(ax)
    name = escape(roc.positive)
    thresholds = np.array(roc.thresholds[1:])
    tp, fp = np.array(roc.true_positives[1:]), np.array(roc.false_positives[1:])
    values = {
        f"recall: of {name}, the share found": (tp / roc.positives, BLUE, "-"),
        f"precision: of what is called {name}, the share right": (tp / (tp + fp), ORANGE, "--"),
        "accuracy: of all, the share right": ((tp + roc.negatives - fp) / (roc.positives + roc.negatives), GREEN, "-."),
    }
    for label, (heights, colour, dash) in values.items():
        axes.step(thresholds, heights, dash, where="post", color=colour, linewidth=1.6, label=label)
    at = roc.at(roc.chosen)
    axes.axvline(roc.chosen, color=VERMILLION, linewidth=1.2, linestyle=":", label=f"in use: {number(roc.chosen)}")
    said = title or (
        f"At {number(roc.chosen)}: accuracy {percent(at['accuracy'])}, precision {percent(at['precision'])}, "
        f"recall {percent(at['true_positive_rate'])}"
    )
    probable = bool((thresholds >= 0).all() and (thresholds <= 1).all())
    tidy(axes, said, f"threshold of {f'P({name})' if probable else 'the score'}", "share")
    axes.set_ylim(-0.02, 1.02)
    if probable:
        axes.set_xlim(0, 1)
    axes.legend(fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return axes


def calibration_curve(calibration: Calibration, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws how often what was predicted with each probability came true; on the diagonal it is as often as said.

    Below the diagonal the model is too sure, above it not sure enough. A bin of fewer than 30 samples is hollow: its
    share is a rough one. The bars below are the samples of each bin.

    Parameters
    ----------
    calibration : from `edunn.metrics.calibration`
    ax : where to draw; None makes a figure
    """
    axes = axes_for(ax, 5.4, 5.0)
    counts, edges = np.array(calibration.counts), np.array(calibration.edges)
    x, y = np.array(calibration.predicted), np.array(calibration.observed)
    full = counts > 0
    share = counts / max(counts.max(), 1)
    axes.bar(edges[:-1], 0.18 * share, np.diff(edges), align="edge", color="#DDDDDD", edgecolor="white", zorder=1,
             label=f"samples of a bin, {counts.max():,} at most")  # fmt: skip
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--", label="as often as said", zorder=2)
    axes.plot(x[full], y[full], color=BLUE, linewidth=1.4, zorder=3)
    for enough, label, colour in ((full & (counts >= FEW), "observed", BLUE), (full & (counts < FEW), "", "white")):
        label = label or f"observed, under {FEW} samples"
        if enough.any():
            axes.plot(
                x[enough], y[enough], "o", color=colour, markeredgecolor=BLUE, markersize=7, label=label, zorder=4
            )
    tidy(
        axes, title or f"Said and observed: {number(calibration.error)} apart in the mean",
        escape(f"{calibration.what}, mean of a bin"), "share in which it was so",
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.legend(fontsize="small", frameon=False, loc="best")
    return axes


def class_report(report: ClassReport, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws the confusion matrix, with the precision of each class above it and the recall on its right.

    Parameters
    ----------
    report : from `edunn.metrics.class_report`
    ax : where to draw; None makes a figure
    """
    axes = confusion_matrix(report.counts, report.classes, ax)
    size = len(report.classes)
    small = "small" if size <= 12 else "x-small"
    right, top = axes.secondary_yaxis("right"), axes.secondary_xaxis("top")
    right.set_yticks(range(size), [whole_percents(value) for value in report.recall], fontsize=small)
    top.set_xticks(range(size), [whole_percents(value) for value in report.precision], fontsize=small)
    right.set_ylabel("recall, % of the row found", fontsize=small)
    top.set_xlabel("precision, % of the column right", fontsize=small)
    for beside in (right, top):
        beside.tick_params(length=0)
        beside.spines[["right", "top"]].set_visible(False)
    if title is not None:
        axes.set_title(title, loc="left", fontsize="medium")
    return axes


def mistakes(mistakes: Mistakes, ax: Axes | None = None, title: str | None = None, columns: int | None = None) -> Axes:
    """Draws the samples that a classifier gets wrong, the surest first: as images, or as bars of how sure it was.

    Parameters
    ----------
    mistakes : from `edunn.load(run).mistakes()` or `Predictions.mistakes()`
    ax : where to draw; None makes a figure
    columns : how many images side by side
    """
    rows = mistakes.rows
    said = title or mistakes.title
    if not rows:
        axes = axes_for(ax, 5.0, 1.6)
        axes.set_axis_off()
        axes.text(0.5, 0.5, said, ha="center", va="center", color=GREY, transform=axes.transAxes)
        return axes
    if mistakes.images is not None:
        titles = [f"{row['true']}, not {row['predicted']} ({sure(row)})" for row in rows]
        axes = image_grid(mistakes.images, titles, columns=columns, ax=ax)
        axes.set_title(f"{said}\nAbove each: its class, what the model says, and how sure it is", loc="left",
                       fontsize="medium")  # fmt: skip
        return axes
    axes = axes_for(ax, 7.4, 1.4 + 0.42 * len(rows))
    places = np.arange(len(rows))
    lengths = [row["confidence"] if row["confidence"] is not None else row["margin"] for row in rows]
    axes.barh(places, lengths, 0.55, color=ORANGE, zorder=2)
    for place, row in zip(places, rows, strict=True):
        text = f"{row['sample']}: {row['true']}, not {row['predicted']} ({sure(row)})"
        axes.annotate(escape(text), (0, place), xytext=(4, 0), textcoords="offset points", va="center", color=BLACK,
                      fontsize="small", zorder=3)  # fmt: skip
        if mistakes.features:
            axes.annotate(shorten(describe(row, mistakes.features), 60), (1.01, place), fontsize="x-small", va="center",
                          xycoords=("axes fraction", "data"), color=GREY, annotation_clip=False)  # fmt: skip
    probable = rows[0]["confidence"] is not None
    tidy(axes, said, "probability that the model gives its answer" if probable else "lead of the wrong score", "")
    axes.set_xlim(0, 1 if probable else None)
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return axes


def whole_percents(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f}"


def sure(row: Any) -> str:
    """Returns how sure a model is of its answer: a probability, or the lead of the score."""
    return percent(row["confidence"]) if row["confidence"] is not None else f"lead {number(row['margin'])}"


def describe(row: Any, names: Sequence[str]) -> str:
    """Returns the features of a sample as text: `petal length 4.9, petal width 1.5`."""
    return ", ".join(f"{name} {number(float(row[name]))}" for name in names)
