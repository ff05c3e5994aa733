"""Figures of models: the fitted line, the decision regions, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from torch import Tensor

from ..errors import DataError, LabelError, ShapeError
from .records import Model, Samples
from .style import (
    BLUE,
    GREY,
    SEQUENTIAL,
    VERMILLION,
    array,
    axes_for,
    class_colours,
    escape,
    marker,
    number,
    percent,
    shorten,
    span,
    tidy,
    tint,
    width_of,
)

Standardise = Callable[[Tensor], Tensor]


class Predictor(Protocol):
    """Any object with `predict`: a `Model`, nearest neighbours, or your own."""

    def predict(self, features: Tensor) -> Tensor: ...


Colour = tuple[float, float, float]

RESOLUTION = 300  # grid points along each axis of the decision regions
MOST_SHARES = 12  # with more classes a cell is small, and holds its count alone
ROOMY = 0.45  # inches that a cell needs to hold a count and a share
MOST_RESIDUALS = 500  # with more samples the residuals would be a smear
DARK = "#333333"  # boundaries and curves
NOT_FINITE = "The weights are not finite: only the data can be drawn"


def fitted_line(model: Model, samples: Samples, ax: Axes | None = None, standardise: Standardise | None = None) -> Axes:
    """Draws a model of one feature over its data; a regression with residuals, and with its equation if it is a line.

    For a classifier of one output: the curve of P(y = 1 | x) where the model has `probabilities`, else its score, and
    the threshold where the decision changes.

    Parameters
    ----------
    model : with one feature and one output
    samples : (samples, 1) features, and targets
    ax : where to draw; None makes a figure
    standardise : what was done to the features before the model saw them; the figure keeps the samples' own units
    """
    if samples.targets is None:
        raise DataError("These samples have no targets to draw.")
    x, y = points(samples, 1)[:, 0], array(samples.targets)
    scores = model_scores(model, x[:1, None], standardise)
    if scores.ndim != 1:
        raise ShapeError(f"fitted_line draws a model with one output; this one has {scores.shape[-1]}.")
    known = np.isfinite(x) & np.isfinite(y)
    axes = axes_for(ax)
    if model.metric == "r2":
        title, side = draw_line(axes, model, samples, x[known], y[known], standardise)
    else:
        title, side = draw_curve(axes, model, samples, x[known], y[known], standardise)
    if not finite_weights(model):
        title = NOT_FINITE
    tidy(axes, title, feature_names(samples)[0], side)
    axes.set_xlim(*span(x))
    axes.legend(frameon=False, fontsize="small")
    return axes


def draw_line(
    axes: Axes, model: Model, samples: Samples, x: np.ndarray, y: np.ndarray, standardise: Standardise | None
) -> tuple[str, str]:
    """Draws a regression's samples, residuals and line; returns the title and the vertical axis' label."""
    feature, target = feature_names(samples)[0], escape(samples.target_name or "y")
    few = len(x) <= MOST_RESIDUALS
    axes.scatter(x, y, s=18 if few else 5, color=GREY, label=f"{len(x):,} sample{'s' * (len(x) != 1)}", zorder=3)
    if not finite_weights(model):
        axes.set_ylim(*span(y))
        return "", target
    along = np.linspace(*span(x), 501)
    heights = array(model_scores(model, along[:, None], standardise))
    fitted = model_scores(model, x[:, None], standardise)
    chord = np.linspace(heights[0], heights[-1], len(heights))
    straight = bool(np.allclose(heights, chord, rtol=0, atol=1e-5 * float(np.abs(heights).max())))
    label = "prediction"
    if straight:
        along, heights = along[[0, -1]], heights[[0, -1]]
        slope = float((heights[1] - heights[0]) / (along[1] - along[0]))
        label = f"{target} = {number(slope)} · {feature} {signed(float(heights[0] - slope * along[0]))}"
    axes.plot(along, heights, color=BLUE, linewidth=2, label=label, zorder=4)
    if few:
        axes.vlines(x, array(fitted), y, color=VERMILLION, linewidth=0.9, alpha=0.45, label="residuals", zorder=2)
    axes.set_ylim(*window(y, heights))
    r2 = float(model.score_of(fitted, torch.as_tensor(y).to(fitted)))
    return f"The fitted {'line' if straight else 'curve'}: R² = {number(r2)}", target


def draw_curve(
    axes: Axes, model: Model, samples: Samples, x: np.ndarray, y: np.ndarray, standardise: Standardise | None
) -> tuple[str, str]:
    """Draws a two-class model's samples, curve and threshold; returns the title and the vertical axis' label."""
    target, names = escape(samples.target_name or "y"), class_names(samples, (-1, 1) if (y < 0).any() else (0, 1))
    probable = model.link is not None
    side = f"P({target} = {names[1]})" if probable else f"score (above 0: {names[1]})"
    levels = (0.0, 1.0) if probable else (-1.0, 1.0)
    for index, colour in enumerate(class_colours(2)):
        own = x[(y > 0) == bool(index)]
        axes.scatter(
            own, np.full(len(own), levels[index]), s=18 if len(x) <= MOST_RESIDUALS else 5, color=colour,
            marker=marker(index), alpha=0.7, label=f"{target}: {names[index]} ({len(own):,})", zorder=3,
        )  # fmt: skip
    if not finite_weights(model):
        return "", side
    along = np.linspace(*span(x), 501)
    scores = array(model_scores(model, along[:, None], standardise))
    heights = array(with_features(model.probabilities, model, along[:, None], standardise)) if probable else scores
    axes.plot(along, heights, color=DARK, linewidth=2, label=side, zorder=4)
    before = np.flatnonzero((scores[:-1] > 0) != (scores[1:] > 0))
    steps = scores[before] / (scores[before] - scores[before + 1])
    for crossing in along[before] + steps * (along[before + 1] - along[before]):
        axes.axvline(crossing, color=GREY, linewidth=1, linestyle="--", label=f"threshold: {number(float(crossing))}")
    axes.set_ylim(*((-0.08, 1.08) if probable else window(np.array(levels), heights)))
    return "The fitted curve" if probable else "The fitted score", side


def decision_regions(
    model: Predictor,
    samples: Samples,
    ax: Axes | None = None,
    standardise: Standardise | None = None,
    resolution: int = RESOLUTION,
) -> Axes:
    """Draws the regions in which a model of two features predicts each class, with the samples on top.

    Samples have the colour and marker of their true class; wrong ones are crossed. With a single output the colour
    deepens with the probability of the class (lines at 0.1, 0.5 and 0.9), or, where the model has none, with the score
    (lines at the margins −1 and +1 and at the boundary 0).

    Parameters
    ----------
    model : a `Model`, or anything with `predict(features)`: class indices, or labels −1 and +1
    samples : (samples, 2) features; targets in the labels that the model predicts
    ax : where to draw; None makes a figure
    standardise : what was done to the features before the model saw them; the figure keeps the samples' own units
    resolution : grid points along each axis
    """
    xy = points(samples, 2)
    (left, right), (bottom, top) = span(xy[:, 0]), span(xy[:, 1])
    horizontal, vertical = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
    across, up = np.meshgrid(horizontal, vertical)
    grid = np.stack([across.ravel(), up.ravel()], axis=1)
    axes = axes_for(ax, 6.8, 4.8)
    scores = array(with_features(model, model, grid, standardise)) if callable(model) else np.empty(0)
    finite = finite_weights(model) and bool(np.isfinite(scores).all())

    found = with_features(model.predict, model, grid, standardise)
    targets = None if samples.targets is None else samples.targets.detach().cpu()
    guesses = with_features(model.predict, model, xy, standardise)
    values = label_values([part for part in (targets, found, guesses) if part is not None], samples.classes)
    names = class_names(samples, values)
    colours = class_colours(len(values))
    regions = np.searchsorted(values, array(found)).reshape(resolution, resolution)

    shading = two_class_shading(model, grid, scores, names, standardise) if finite else None
    if shading is not None:
        paint_shading(axes, horizontal, vertical, shading, colours)
    elif finite:
        paint_regions(axes, horizontal, vertical, regions, scores, colours)

    title = type(model).__name__ if finite else NOT_FINITE
    if targets is None:
        axes.scatter(xy[:, 0], xy[:, 1], s=16, color=GREY, label="samples (class unknown)", zorder=3)
    else:
        true, guessed = (np.searchsorted(values, array(labels)) for labels in (targets, guesses))
        wrong = (true != guessed) & finite
        scatter_classes(axes, xy, true, wrong, names, colours)
        if finite:
            hits = len(wrong) - int(wrong.sum())
            title += f": {hits:,} of {len(wrong):,} right ({percent(hits / max(len(wrong), 1))})"
    if shading is not None:  # last, so that they come last in the legend
        level_lines(axes, horizontal, vertical, shading)
    first, second = feature_names(samples)
    tidy(axes, title, first, second, grid=False)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    heading = escape(samples.target_name) if samples.target_name else None
    if ax is None:
        axes.legend(title=heading, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize="small")
    else:  # beside axes that are given there may be others
        axes.legend(title=heading, fontsize="x-small")
    return axes


def confusion_matrix(counts: Any, classes: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draws a confusion matrix: how many samples of each true class were predicted as each class.

    The shade of a cell is its share of the row.

    A row is a true class, a column a predicted one. The share on the diagonal is the class's recall.

    Parameters
    ----------
    counts : (classes, classes), from `edunn.metrics.confusion_counts`
    classes : the names, in the order of the rows; 0, 1, … if not given
    ax : where to draw; None makes a figure
    """
    cells = array(counts).astype(int)
    size = len(cells)
    if cells.shape != (size, size):
        raise ShapeError(
            f"Counts have shape (classes, classes); these have {cells.shape}. See metrics.confusion_counts."
        )
    names = [str(name) for name in (range(size) if classes is None else classes)]
    if len(names) != size:
        raise LabelError(f"{len(names)} names for {size} classes. Give one for each.")
    longest = max(map(len, names))
    side = max(2.8, (0.62 if size <= MOST_SHARES else 0.4) * size)
    axes = axes_for(ax, side + 1.6 + 0.07 * min(longest, 18), side + 1.2 + 0.07 * min(longest, 18) * (longest > 3))
    totals = cells.sum(1)
    shares = cells / np.maximum(totals, 1)[:, None]
    axes.imshow(shares, cmap=matplotlib.colormaps[SEQUENTIAL], vmin=0, vmax=1.15)  # the darkest blue is hard to read on
    inches = side / size if ax is None else width_of(ax) / size
    with_shares = inches >= ROOMY
    letters = min(11.0, (13.5 if with_shares else 17) * inches)
    for row, column in np.ndindex(size, size):
        count, share = int(cells[row, column]), shares[row, column]
        text = f"{count:,}" + (f"\n{share_text(share)}" if count and with_shares else "")
        colour = "white" if share > 0.6 else "black" if count else "#9A9A9A"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=letters, linespacing=1.1)
    ticks = [shorten(name, 18, lines=2) for name in names]
    upright = longest > (9 if size <= 4 else 4)
    axes.set_xticks(range(size), ticks, rotation=45 if upright else 0, ha="right" if upright else "center")
    if upright:
        for tick in axes.get_xticklabels():
            tick.set_rotation_mode("anchor")
    axes.set_yticks(range(size), [f"{tick}  ({total:,})" for tick, total in zip(ticks, totals, strict=True)])
    axes.tick_params(length=0)
    right, total = int(cells.trace()), int(cells.sum())
    cell = "count and share of the row (the shade)" if with_shares else "count; shade: share of the row"
    title = f"{right:,} of {total:,} right ({percent(right / total if total else np.nan)})\ncells: {cell}"
    tidy(axes, title, "predicted class", "true class (samples)", grid=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    return axes


@dataclass(frozen=True)
class Shading:
    """The shading of a two-class figure: a height over the plane, and the levels drawn as lines."""

    heights: np.ndarray
    middle: float  # where the decision changes
    reach: float  # how far from the middle the colour is full
    sides: tuple[float, float]  # the levels of the dashed lines
    words: tuple[str, str]  # legend of the middle line and of the dashed ones


def two_class_shading(
    model: Predictor, grid: np.ndarray, scores: np.ndarray, names: list[str], standardise: Standardise | None
) -> Shading | None:
    """Returns the probability of the second class, or the score of a single output; None for more classes."""
    if scores.size == 0 or (scores.ndim == 2 and scores.shape[1] != 2):
        return None
    if getattr(model, "link", None) is not None:
        heights = array(model.link(torch.as_tensor(scores)))  # type: ignore[attr-defined]
        heights = heights[:, 1] if heights.ndim == 2 else heights
        chance = f"P({names[1]})"
        return Shading(heights, 0.5, 0.5, (0.1, 0.9), (f"{chance} = 0.5", f"{chance} = 0.1 and 0.9"))
    if scores.ndim == 1:
        return Shading(scores, 0.0, 2.0, (-1.0, 1.0), ("score 0: boundary", "scores −1, +1: margins"))
    return None


def level_lines(axes: Axes, x: np.ndarray, y: np.ndarray, shading: Shading) -> None:
    """Draws the boundary between two classes, and on both sides a line of equal probability or the margin."""
    image = shading.heights.reshape(len(y), len(x))
    for levels, style, width, words in zip(
        ((shading.middle,), shading.sides), ("-", "--"), (1.8, 1.0), shading.words, strict=True
    ):
        crossed = [level for level in levels if image.min() < level < image.max()]
        if crossed:
            axes.contour(x, y, image, levels=crossed, colors=DARK, linewidths=width, linestyles=style, zorder=2)
            axes.plot([], [], color=DARK, linewidth=width, linestyle=style, label=words)


def paint_shading(axes: Axes, x: np.ndarray, y: np.ndarray, shading: Shading, colours: list[Colour]) -> None:
    """Colours the plane by height, from the first class's colour to the second's, palest at the boundary."""
    pale, deep = 0.85, 0.5
    shades = [
        tint(colours[0], deep),
        tint(colours[0], pale),
        tint(colours[1], pale),
        tint(colours[1], deep),
    ]
    limits = (shading.middle - shading.reach, shading.middle + shading.reach)
    paint(axes, x, y, shading.heights.reshape(len(y), len(x)), LinearSegmentedColormap.from_list("", shades), limits)


def paint_regions(
    axes: Axes, x: np.ndarray, y: np.ndarray, regions: np.ndarray, scores: np.ndarray, colours: list[Colour]
) -> None:
    """Colours the regions of several classes, and draws the lines between them."""
    paint(axes, x, y, regions, ListedColormap([tint(colour, 0.72) for colour in colours]), (-0.5, len(colours) - 0.5))
    exact = scores.ndim == 2 and bool((scores.argmax(1) == regions.ravel()).all())
    for index in np.unique(regions):
        if exact:  # the lead of a class over its best rival is 0 on its boundary
            lead = scores[:, index] - np.delete(scores, index, axis=1).max(1)
        else:
            lead = np.where(regions.ravel() == index, 0.5, -0.5)
        if lead.min() < 0 < lead.max():
            axes.contour(x, y, lead.reshape(regions.shape), levels=[0.0], colors=DARK, linewidths=1.2, zorder=2)


def paint(
    axes: Axes, x: np.ndarray, y: np.ndarray, image: np.ndarray, colours: Any, limits: tuple[float, float]
) -> None:
    """Fills the plane with an image whose pixels are centred on the grid's points."""
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    axes.imshow(
        image, cmap=colours, vmin=limits[0], vmax=limits[1], origin="lower", aspect="auto", interpolation="nearest",
        extent=(x[0] - dx, x[-1] + dx, y[0] - dy, y[-1] + dy), zorder=0,
    )  # fmt: skip


def scatter_classes(
    axes: Axes, xy: np.ndarray, true: np.ndarray, wrong: np.ndarray, names: list[str], colours: list[Colour]
) -> None:
    """Draws the samples of each class in its colour and marker, and a cross on the wrong ones."""
    size, line = (26.0, 1.1) if len(xy) <= 400 else (12.0, 0.8) if len(xy) <= 3000 else (6.0, 0.5)
    for index, (name, colour) in enumerate(zip(names, colours, strict=True)):
        own = xy[true == index]
        axes.scatter(
            own[:, 0], own[:, 1], s=size, color=colour, marker=marker(index), edgecolors=DARK, linewidths=0.4 * line**2,
            label=f"{name} ({len(own):,})", zorder=3,
        )  # fmt: skip
    if wrong.any():
        axes.scatter(
            xy[wrong, 0], xy[wrong, 1], s=1.8 * size, marker="x", color="black", linewidth=line, zorder=5,
            label=f"wrong: {wrong.sum():,}",
        )  # fmt: skip


def with_features(
    ask: Callable[[Tensor], Tensor], model: object, features: np.ndarray, standardise: Standardise | None
) -> Tensor:
    """Returns `ask(features)` for features in the samples' own units, which are standardised first."""
    rows = torch.as_tensor(features)
    like = next(iter(tensors_of(model)), rows)
    with torch.no_grad():
        rows = rows.to(like.device, like.dtype)
        if standardise is not None:
            rows = standardise(rows).to(like.dtype)
        return ask(rows).detach().cpu()


def tensors_of(model: object) -> list[Tensor]:
    """Returns the parameters of a torch module, and an empty list for any other object."""
    return list(model.parameters()) if isinstance(model, torch.nn.Module) else []


def model_scores(model: Model, features: np.ndarray, standardise: Standardise | None) -> Tensor:
    return with_features(model, model, features, standardise)


def points(samples: Samples, width: int) -> np.ndarray:
    """Returns the features, (samples, width); refuses any other number of columns."""
    if samples.features.ndim != 2 or samples.features.shape[1] != width:
        raise ShapeError(
            f"The figure needs samples of {width} feature{'s' if width > 1 else ''}, (samples, {width}); "
            f"got {tuple(samples.features.shape)}. Choose the columns that the model was trained on."
        )
    return array(samples.features)


def label_values(parts: Sequence[Tensor], classes: Sequence[str] | None) -> tuple[int, ...]:
    """Returns the labels, sorted: −1 and +1 if there is a −1, else the class indices 0, 1, …"""
    seen: set[int] = set()
    for labels in parts:
        if labels.dtype.is_floating_point and not bool((labels == labels.round()).all()):
            raise LabelError(
                f"Labels are whole numbers; these are {labels.dtype} with fractions. "
                f"A regression is drawn by fitted_line."
            )
        seen |= set(labels.unique().long().tolist())
    if -1 in seen:
        if 0 in seen:
            raise LabelError(
                "The labels hold both −1 and 0, which are of two conventions. A two-class SVM predicts −1 and +1: "
                "labels 0 and 1 become signs with 2 * targets - 1."
            )
        values: tuple[int, ...] = (-1, 1)
    elif seen and min(seen) < 0:
        raise LabelError(f"Labels are class indices, or −1 and +1; {min(seen)} is neither.")
    else:
        values = tuple(range(max([*seen, (len(classes) if classes else 2) - 1]) + 1))
    if classes is not None and len(classes) != len(values):
        raise LabelError(f"{len(classes)} names for {len(values)} classes. Give one for each.")
    return values


def class_names(samples: Samples, values: Sequence[int]) -> list[str]:
    return label_names(values) if samples.classes is None else [shorten(name, 24) for name in samples.classes]


def label_names(values: Sequence[int]) -> list[str]:
    """Returns labels as text: −1 and +1, or 0, 1, …"""
    return ["−1", "+1"] if values[0] < 0 else [str(value) for value in values]


def feature_names(samples: Samples) -> list[str]:
    width = samples.features.shape[1]
    if samples.feature_names is not None:
        return [escape(name) for name in samples.feature_names]
    return ["x"] if width == 1 else [f"x{index + 1}" for index in range(width)]


def window(data: np.ndarray, line: np.ndarray) -> tuple[float, float]:
    """Returns the vertical range: the data's, extended to the line by the data's own spread at most."""
    low, high = span(data)
    line = line[np.isfinite(line)]
    if line.size:
        room = high - low
        low, high = min(low, max(float(line.min()), low - room)), max(high, min(float(line.max()), high + room))
    return low, high


def signed(value: float) -> str:
    return f"+ {number(value)}" if value >= 0 else f"− {number(-value)}"


def share_text(share: float) -> str:
    """Returns a share in whole percents as text; a rare confusion is "<1 %", not 0 %."""
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def finite_weights(model: object) -> bool:
    """Returns whether all parameters are finite; those of a diverged run are not."""
    return all(bool(parameter.isfinite().all()) for parameter in tensors_of(model))
