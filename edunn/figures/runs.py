"""Figures of runs: loss and accuracy over the epochs, of one run in full or of several side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ..errors import ConfigError, nearest
from .records import History
from .style import BLUE, GREY, ORANGE, SKY, VERMILLION, axes_for, class_colours, number, percent, plain, span, tidy

Runs = History | Mapping[str, History]

Form = Callable[[float], str]  # how a value is written
Look = tuple[str, str, str, float]  # label, colour, line style, line width

METRICS = {"accuracy": "accuracy (share of right predictions)", "r2": "R² (1: perfect, 0: no better than the mean)"}
FEW = 30  # with fewer points than this each is marked
WILD = 50  # positive values that spread over more than this factor are drawn on a logarithmic axis
HIGHEST = 1e300  # where an axis ends
FLIGHT = 1e3  # beside other runs, a diverging one is followed until it is this factor above them
CURVE, DIVERGED = "run", "diverged run"  # the ids of the runs' lines, which tell them from the other lines
CLOSE = 0.05  # the accuracy axis spans at least five points
R2_FLOOR = -1.0  # lower R² only says how far a run flew; the axis ends here


def loss_curves(histories: Runs, ax: Axes | None = None, column: str | None = None, log: bool | None = None) -> Axes:
    """The loss over the epochs.

    Parameters
    ----------
    histories : one history: the batches' mean as they were met, the whole training part after each epoch (with its
        penalty, and the data's share apart where there is one), the validation part, its best epoch, and where the run
        diverged. Or several by name: one colour each, to compare; their validation loss is dashed.
    ax : where to draw; None makes a figure
    column : draw only this column of the history
    log : a logarithmic loss axis; None takes one if the losses are positive and spread over a factor of 1,000
    """
    runs = named(histories)
    axes = axes_for(ax)
    title = "Loss over the epochs"
    if len(runs) == 1:
        run = next(iter(runs.values()))
        columns = [column] if column else loss_columns(run)
        single(axes, run, columns, LOSS_LINES, number)
        title += f": {ending(run)}"
        mark_best(axes, run, "validation_loss", columns)
        mark_divergence(axes, run)
    else:
        solid = column or ("total" if any(len(run.evaluated("total")[0]) > 1 for run in runs.values()) else "running")
        several(axes, runs, solid, "validation_loss" if column is None else None, number)
        penalised = any("total" in loss_columns(run) for run in runs.values())
        title += f": {spoken(solid) if penalised or solid != 'total' else 'training'}, {len(runs)} runs"
    use_log = wildly_spread(axes) if log is None else log
    set_heights(axes, use_log)
    tidy(axes, title, "epoch", "mean loss of a sample" + (" (log scale)" if use_log else ""))
    finish(axes, runs)
    return axes


def accuracy_curves(histories: Runs, ax: Axes | None = None) -> Axes:
    """The accuracy (for a regression: R²) over the epochs, of the whole training part and of the validation part.

    Parameters
    ----------
    histories : one history, or several by name: one colour each, their validation part dashed
    ax : where to draw; None makes a figure
    """
    runs = named(histories)
    metrics = {run.metric for run in runs.values()}
    if len(metrics) > 1:
        raise ConfigError(
            f"These histories have several metrics: {', '.join(sorted(metrics))}. "
            f"Draw classifiers and regressions apart."
        )
    metric = metrics.pop()
    form = percent if metric == "accuracy" else number
    axes = axes_for(ax)
    what = {"accuracy": "Accuracy", "r2": "R²"}.get(metric, metric)
    title = f"{what} over the epochs"
    lines = {metric: LOSS_LINES["loss"], f"validation_{metric}": LOSS_LINES["validation_loss"]}
    lines[metric] = ("training", BLUE, "-", 1.8)
    if len(runs) == 1:
        run = next(iter(runs.values()))
        columns = [name for name in lines if name in run.columns]
        single(axes, run, columns, lines, form)
        title += f": {ending(run)}"
        mark_best(axes, run, f"validation_{metric}", columns)
        mark_divergence(axes, run)
    else:
        several(axes, runs, metric, f"validation_{metric}", form)
        title += f": {len(runs)} runs"
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        low, high = axes.get_ylim()
        if high - low < CLOSE:  # a change of one sample is not made to look like a leap
            axes.set_ylim((low + high - CLOSE) / 2, (low + high + CLOSE) / 2)
    elif metric == "r2" and drawn(axes).size and drawn(axes).min() < R2_FLOOR:
        axes.set_ylim(*span(np.append(drawn(axes).clip(R2_FLOOR), [R2_FLOOR, 1.0])))
        title += f" (values below {number(R2_FLOOR)} not shown)"
        if drawn(axes).max() < R2_FLOOR:
            note(axes, f"R² was below {number(R2_FLOOR)} after every epoch:\nfar worse than the mean of the targets")
    tidy(axes, title, "epoch", METRICS.get(metric, metric))
    finish(axes, runs)
    return axes


# column -> (what the legend calls it, colour, line style, line width)
LOSS_LINES: dict[str, Look] = {
    "running": ("batches as they were met", SKY, "-", 1.0),
    "total": ("training, with penalty", BLUE, "-", 1.8),
    "loss": ("training, data only", BLUE, "--", 1.4),
    "penalty": ("penalty", GREY, ":", 1.4),
    "validation_loss": ("validation", ORANGE, "-", 1.8),
}


def named(histories: Runs) -> dict[str, History]:
    """The histories by name; a single one has none."""
    runs = {"": histories} if not isinstance(histories, Mapping) else dict(histories)
    if not runs:
        raise ConfigError("Give at least one history to draw.")
    return runs


def loss_columns(run: History) -> list[str]:
    """The columns that one run's losses are drawn from; without a penalty the total is the data's loss."""
    penalised = any(value != 0 for value in run.evaluated("penalty")[1])
    columns = ["running", *(["total", "loss"] if penalised else ["loss"]), "validation_loss"]
    return [column for column in columns if column in run.columns]


def single(axes: Axes, run: History, columns: list[str], lines: dict[str, Look], form: Form) -> None:
    """One run: a line a column, its last value in the legend."""
    penalised = "total" in columns
    for column in columns:
        check_column(run, column)
        label, colour, style, width = lines.get(column, (spoken(column), BLUE, "-", 1.8))
        if column == "loss" and not penalised and len(columns) > 1:
            label, style, width = "training", "-", 1.8
        curve(axes, run, column, f"{label}: {form(last(run, column))}", color=colour, linestyle=style, linewidth=width)


def several(axes: Axes, runs: dict[str, History], solid: str, dashed: str | None, form: Form) -> None:
    """Several runs: a colour each, `solid` as a solid line and `dashed`, where a run has it, as a dashed one."""
    any_dashed = False
    for (name, run), colour in zip(runs.items(), class_colours(len(runs)), strict=True):
        if run.rows:
            check_column(run, solid)
        end = f"diverged in epoch {run.epochs}" if run.status == "diverged" else form(last(run, solid))
        curve(axes, run, solid, f"{plain(name)}: {end}", color=colour, linewidth=1.8)
        if dashed and dashed in run.columns:
            any_dashed = True
            curve(axes, run, dashed, "", color=colour, linewidth=1.2, linestyle="--")
    if any_dashed:
        axes.plot([], [], color=GREY, linewidth=1.8, label="solid: training")
        axes.plot([], [], color=GREY, linewidth=1.2, linestyle="--", label="dashed: validation")


def curve(axes: Axes, run: History, column: str, label: str, **look: Any) -> None:
    """A column over its epochs; values that are not finite are left out."""
    epochs, values = run.evaluated(column)
    finite = np.where(np.isfinite(values), values, np.nan)
    if np.isfinite(finite).sum() < FEW:
        look |= {"marker": "o", "markersize": 3.5}
    gid = DIVERGED if run.status == "diverged" else CURVE
    axes.plot(epochs, finite, label=label or "_", gid=gid, **look)


def mark_divergence(axes: Axes, run: History) -> None:
    """A line at the epoch in which a run diverged, and a cross where each curve was last finite."""
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
    """A ring at the epoch whose validation loss was lowest."""
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


def ending(run: History) -> str:
    """How a run ended, in the title."""
    epochs = f"{run.epochs} epoch" + ("" if run.epochs == 1 else "s")
    if run.status == "diverged":
        stable = "" if run.stable_rate is None else f"; the largest stable rate is {number(run.stable_rate)}"
        return f"diverged in epoch {run.epochs}{stable}"
    return f"{run.status} after {epochs}"


def spoken(column: str) -> str:
    """A column's name as a legend says it."""
    return LOSS_LINES[column][0] if column in LOSS_LINES else column.replace("_", " ")


def drawn(axes: Axes, ids: tuple[str, ...] = (CURVE, DIVERGED)) -> np.ndarray:
    """All finite values on the runs' lines."""
    values = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if line.get_gid() in ids]
    joined = np.concatenate(values) if values else np.empty(0)
    return joined[np.isfinite(joined)]


def wildly_spread(axes: Axes) -> bool:
    values = drawn(axes)
    return bool(values.size and values.min() > 0 and values.max() / WILD > values.min())


def set_heights(axes: Axes, log: bool) -> None:
    """The range of the loss axis.

    Beside other runs a diverging one leaves the frame, else they would be a line at the bottom; and alone it ends near
    1e308, where the room that is added above would overflow.
    """
    values, sound = drawn(axes), drawn(axes, (CURVE,))
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
    elif values.size and (sound.size < drawn(axes).size or np.abs(values).max() > HIGHEST):
        axes.set_ylim(*span(values.clip(-HIGHEST, HIGHEST)))


def note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def finish(axes: Axes, runs: dict[str, History]) -> None:
    """Whole epochs on the axis, a legend, and a word where there is nothing to see."""
    most = max(run.epochs for run in runs.values())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    sound = [run.epochs for run in runs.values() if run.status != "diverged"]
    if most <= 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])
    elif sound and max(sound) < most:  # a run that diverged later has left the frame
        axes.set_xlim(*span(np.array([1.0, max(*sound, 2)])))
    if not drawn(axes).size:
        text = "no epoch was finished" if most == 0 else "no finite value to draw"
        note(axes, text)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, frameon=False, fontsize="small")
