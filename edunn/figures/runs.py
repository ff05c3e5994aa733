"""Figures of runs: loss and accuracy over the epochs, of one run in detail or of several runs together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ..errors import ConfigError, nearest
from .records import History
from .style import BLUE, GREY, ORANGE, SKY, VERMILLION, axes_for, class_colours, escape, number, percent, span, tidy

Runs = History | Mapping[str, History]

Form = Callable[[float], str]  # writes a value as text
Look = tuple[str, str, str, float]  # label, colour, line style, line width

METRICS = {
    "accuracy": "accuracy (share of right predictions)",
    "label_accuracy": "label accuracy (share of right labels, of all of all samples)",
    "r2": "R² (1: perfect, 0: no better than the mean)",
}
FEW = 30  # with fewer points than this each is marked
WILD = 50  # positive values that spread over more than this factor are drawn on a logarithmic axis
HIGHEST = 1e300  # where an axis ends
FLIGHT = 1e3  # beside other runs, a diverging one is followed until it is this factor above them
CURVE, DIVERGED = "run", "diverged run"  # the ids of the runs' lines, which tell them from the other lines
CLOSE = 0.05  # the accuracy axis spans at least five points
R2_FLOOR = -1.0  # lower R² only says how far a run flew; the axis ends here


def loss_curves(histories: Runs, ax: Axes | None = None, column: str | None = None, log: bool | None = None) -> Axes:
    """Draws the loss over the epochs.

    Parameters
    ----------
    histories : one history, drawn with the mean of the batch losses, the loss of the whole training part after each
        epoch (with and without its penalty), the validation loss, the best epoch, and the epoch in which it diverged.
        Or several by name: one colour each, to compare; their validation loss is dashed.
    ax : where to draw; None makes a figure
    column : draw only this column of the history
    log : a logarithmic loss axis; None takes one if the losses are positive and spread over a factor of 1,000
    """
    runs = by_name(histories)
    axes = axes_for(ax)
    title = "Loss over the epochs"
    if len(runs) == 1:
        run = next(iter(runs.values()))
        columns = [column] if column else loss_columns(run)
        draw_single(axes, run, columns, LOSS_LINES, number)
        title += f": {describe_end(run)}"
        mark_best(axes, run, "validation_loss", columns)
        mark_divergence(axes, run)
    else:
        solid = column or ("total" if any(len(run.evaluated("total")[0]) > 1 for run in runs.values()) else "running")
        draw_several(axes, runs, solid, "validation_loss" if column is None else None, number)
        penalised = any("total" in loss_columns(run) for run in runs.values())
        title += f": {column_label(solid) if penalised or solid != 'total' else 'training'}, {len(runs)} runs"
    use_log = wildly_spread(axes) if log is None else log
    set_heights(axes, use_log)
    tidy(axes, title, "epoch", "mean loss of a sample" + (" (log scale)" if use_log else ""))
    finish(axes, runs)
    return axes


def accuracy_curves(histories: Runs, ax: Axes | None = None) -> Axes:
    """Draws the accuracy (R² for a regression) of the training and validation parts over the epochs.

    Parameters
    ----------
    histories : one history, or several by name: one colour each, their validation part dashed
    ax : where to draw; None makes a figure
    """
    runs = by_name(histories)
    metrics = {run.metric for run in runs.values()}
    if len(metrics) > 1:
        raise ConfigError(
            f"These histories have several metrics: {', '.join(sorted(metrics))}. "
            f"Draw classifiers and regressions apart."
        )
    metric = metrics.pop()
    share = metric in ("accuracy", "label_accuracy")
    form = percent if share else number
    axes = axes_for(ax)
    what = {"accuracy": "Accuracy", "label_accuracy": "Label accuracy", "r2": "R²"}.get(metric, metric)
    title = f"{what} over the epochs"
    lines = {metric: LOSS_LINES["loss"], f"validation_{metric}": LOSS_LINES["validation_loss"]}
    lines[metric] = ("training", BLUE, "-", 1.8)
    if len(runs) == 1:
        run = next(iter(runs.values()))
        columns = [name for name in lines if name in run.columns]
        draw_single(axes, run, columns, lines, form)
        title += f": {describe_end(run)}"
        mark_best(axes, run, f"validation_{metric}", columns)
        mark_divergence(axes, run)
    else:
        draw_several(axes, runs, metric, f"validation_{metric}", form)
        title += f": {len(runs)} runs"
    if share:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        low, high = axes.get_ylim()
        if high - low < CLOSE:  # a change of one sample must not look large
            axes.set_ylim((low + high - CLOSE) / 2, (low + high + CLOSE) / 2)
    elif metric == "r2" and finite_values(axes).size and finite_values(axes).min() < R2_FLOOR:
        axes.set_ylim(*span(np.append(finite_values(axes).clip(R2_FLOOR), [R2_FLOOR, 1.0])))
        title += f" (values below {number(R2_FLOOR)} not shown)"
        if finite_values(axes).max() < R2_FLOOR:
            note(axes, f"R² was below {number(R2_FLOOR)} after every epoch:\nfar worse than the mean of the targets")
    tidy(axes, title, "epoch", METRICS.get(metric, metric))
    finish(axes, runs)
    return axes


# column -> (legend, colour, line style, line width)
LOSS_LINES: dict[str, Look] = {
    "running": ("batches as they were met", SKY, "-", 1.0),
    "total": ("training, with penalty", BLUE, "-", 1.8),
    "loss": ("training, data only", BLUE, "--", 1.4),
    "penalty": ("penalty", GREY, ":", 1.4),
    "validation_loss": ("validation", ORANGE, "-", 1.8),
}


def by_name(histories: Runs) -> dict[str, History]:
    """Returns the histories by name; a single one has an empty name."""
    runs = {"": histories} if not isinstance(histories, Mapping) else dict(histories)
    if not runs:
        raise ConfigError("Give at least one history to draw.")
    return runs


def loss_columns(run: History) -> list[str]:
    """Returns the columns of one run's losses to draw; without a penalty the total equals the data's loss."""
    penalised = any(value != 0 for value in run.evaluated("penalty")[1])
    columns = ["running", *(["total", "loss"] if penalised else ["loss"]), "validation_loss"]
    return [column for column in columns if column in run.columns]


def draw_single(axes: Axes, run: History, columns: list[str], lines: dict[str, Look], form: Form) -> None:
    """Draws one run, a line for each column, with its last value in the legend."""
    penalised = "total" in columns
    for column in columns:
        check_column(run, column)
        label, colour, style, width = lines.get(column, (column_label(column), BLUE, "-", 1.8))
        if column == "loss" and not penalised and len(columns) > 1:
            label, style, width = "training", "-", 1.8
        draw_column(
            axes, run, column, f"{label}: {form(last(run, column))}", color=colour, linestyle=style, linewidth=width
        )


def draw_several(axes: Axes, runs: dict[str, History], solid: str, dashed: str | None, form: Form) -> None:
    """Draws several runs, a colour each: the column `solid`, and as a dashed line `dashed` where a run has it."""
    any_dashed = False
    for (name, run), colour in zip(runs.items(), class_colours(len(runs)), strict=True):
        if run.rows:
            check_column(run, solid)
        end = f"diverged in epoch {run.epochs}" if run.status == "diverged" else form(last(run, solid))
        draw_column(axes, run, solid, f"{escape(name)}: {end}", color=colour, linewidth=1.8)
        if dashed and dashed in run.columns:
            any_dashed = True
            draw_column(axes, run, dashed, "", color=colour, linewidth=1.2, linestyle="--")
    if any_dashed:
        axes.plot([], [], color=GREY, linewidth=1.8, label="solid: training")
        axes.plot([], [], color=GREY, linewidth=1.2, linestyle="--", label="dashed: validation")


def draw_column(axes: Axes, run: History, column: str, label: str, **look: Any) -> None:
    """Draws a column over its epochs; values that are not finite are left out."""
    epochs, values = run.evaluated(column)
    finite = np.where(np.isfinite(values), values, np.nan)
    if np.isfinite(finite).sum() < FEW:
        look |= {"marker": "o", "markersize": 3.5}
    gid = DIVERGED if run.status == "diverged" else CURVE
    axes.plot(epochs, finite, label=label or "_", gid=gid, **look)


def mark_divergence(axes: Axes, run: History) -> None:
    """Draws a line at the epoch in which a run diverged, and a cross at each curve's last finite value."""
    if run.status != "diverged":
        return
    for line in [line for line in axes.lines if line.get_gid() == DIVERGED]:
        epochs, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        if np.isfinite(values).any():
            end = np.flatnonzero(np.isfinite(values))[-1]
            axes.plot(epochs[end], values[end], "X", color=line.get_color(), markeredgecolor="white", markersize=9)
    axes.axvline(run.epochs, color=VERMILLION, linewidth=1.2, linestyle="--", label="no longer finite")


def check_column(run: History, column: str) -> None:
    if column not in run.columns:
        raise ConfigError(f"The history has no column {column!r}. {nearest(column, run.columns)}")


def last(run: History, column: str) -> float:
    value = run.last(column)
    return np.nan if value is None else value


def mark_best(axes: Axes, run: History, column: str, columns: list[str]) -> None:
    """Draws a ring at the epoch with the lowest validation loss."""
    if run.best_epoch is None or column not in columns:
        return
    epochs, values = run.evaluated(column)
    if run.best_epoch in epochs and np.isfinite(value := values[epochs.index(run.best_epoch)]):
        put_back = " (its weights were put back)" if run.status == "stopped" else ""
        axes.axvline(run.best_epoch, color=ORANGE, linewidth=0.8, linestyle=":")
        axes.plot(
            run.best_epoch, value, "o", markerfacecolor="none", markeredgecolor=VERMILLION, markersize=10,
            markeredgewidth=1.6, label=f"lowest validation loss: epoch {run.best_epoch}{put_back}",
        )  # fmt: skip


def describe_end(run: History) -> str:
    """Returns how a run ended, for the title."""
    epochs = f"{run.epochs} epoch" + ("" if run.epochs == 1 else "s")
    if run.status == "diverged":
        stable = "" if run.stable_rate is None else f"; the largest stable rate is {number(run.stable_rate)}"
        return f"diverged in epoch {run.epochs}{stable}"
    return f"{run.status} after {epochs}"


def column_label(column: str) -> str:
    """Returns a column's name for a legend."""
    return LOSS_LINES[column][0] if column in LOSS_LINES else column.replace("_", " ")


def finite_values(axes: Axes, ids: tuple[str, ...] = (CURVE, DIVERGED)) -> np.ndarray:
    """Returns all finite values of the runs' lines."""
    values = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if line.get_gid() in ids]
    joined = np.concatenate(values) if values else np.empty(0)
    return joined[np.isfinite(joined)]


def wildly_spread(axes: Axes) -> bool:
    values = finite_values(axes)
    return bool(values.size and values.min() > 0 and values.max() / WILD > values.min())


def set_heights(axes: Axes, log: bool) -> None:
    """Sets the range of the loss axis.

    A diverging run among others is drawn only in part, so that the others are not a flat line at the bottom. Alone it
    ends near 1e308, where a margin above would overflow.
    """
    values, sound = finite_values(axes), finite_values(axes, (CURVE,))
    if 0 < sound.size < values.size:
        values = values.clip(-HIGHEST, (FLIGHT if log else 2) * np.abs(sound).max())
    if log and (values > 0).any():
        low, high = span(np.log10(values[values > 0]), pad=0.04)
        axes.set_ylim(10**low, 10 ** min(high, 307.5))
        axes.set_yscale("log", nonpositive="mask")
        if high - low > 60:  # the ticks that matplotlib would try lie beyond the largest float
            step = 10 * -(-(high - low) // 60)
            axes.yaxis.set_major_locator(FixedLocator((10.0 ** np.arange(0, high, step)).tolist()))
            axes.yaxis.set_minor_locator(NullLocator())
    elif values.size and (sound.size < finite_values(axes).size or np.abs(values).max() > HIGHEST):
        axes.set_ylim(*span(values.clip(-HIGHEST, HIGHEST)))


def note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def finish(axes: Axes, runs: dict[str, History]) -> None:
    """Finishes the axes: whole epochs as ticks, a legend, and a note if there is nothing to draw."""
    most = max(run.epochs for run in runs.values())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    sound = [run.epochs for run in runs.values() if run.status != "diverged"]
    if most <= 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])
    elif sound and max(sound) < most:  # a run that diverged later has left the frame
        axes.set_xlim(*span(np.array([1.0, max(*sound, 2)])))
    if not finite_values(axes).size:
        text = "no epoch was finished" if most == 0 else "no finite value to draw"
        note(axes, text)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, frameon=False, fontsize="small")
