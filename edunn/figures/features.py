"""Figures of features (HOG, a dictionary of patches), and of a score or loss against a parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from ..errors import ConfigError, ShapeError
from .images import image_grid
from .records import Dictionary, Loss
from .style import BLUE, GREY, MARKERS, ORANGE, array, axes_for, class_colours, tidy


def hog_glyphs(image: Any, strengths: Any, cell: tuple[int, int] = (8, 8), ax: Axes | None = None) -> Axes:
    """Draws the HOG of an image: in each cell a star of strokes along the edges; a stronger edge is darker.

    A gradient is perpendicular to its edge, so the strokes are rotated by 90°, to show the edge as the eye sees it.

    Parameters
    ----------
    image : (height, width, channels) or (height, width)
    strengths : (orientations, cell rows, cell columns), from `edunn.features.hog.orientation_strengths(image)`
    cell : (rows, columns), the pixels of a cell
    """
    picture = torch.as_tensor(image)
    if picture.ndim not in (2, 3):
        raise ShapeError(f"hog_glyphs draws one image, (height, width, channels); this has {tuple(picture.shape)}.")
    strength = array(strengths)
    orientations = len(strength)
    ax = axes_for(ax, 5.0, 5.2)
    shown = picture.numpy()
    ax.imshow(
        shown if shown.ndim == 3 and shown.shape[2] == 3 else shown.reshape(shown.shape[:2]), cmap="gray", alpha=0.35
    )
    bins, rows, columns = np.nonzero(strength > 0)
    angle = np.pi * (bins + 0.5) / orientations + np.pi / 2  # of the edge, not of its gradient
    half = 0.46 * min(cell)
    x, y = (columns + 0.5) * cell[1] - 0.5, (rows + 0.5) * cell[0] - 0.5
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    share = strength[bins, rows, columns] / max(float(strength.max()), 1e-12)
    lines = np.stack([np.stack([x - dx, y - dy], 1), np.stack([x + dx, y + dy], 1)], 1)
    colours = np.zeros((len(lines), 4))
    colours[:, 3] = share
    order = np.argsort(share)  # the strong ones on top
    ax.add_collection(LineCollection(list(lines[order]), colors=colours[order], linewidths=0.6 + 2.2 * share[order]))
    for position in range(1, strength.shape[2]):
        ax.axvline(position * cell[1] - 0.5, color=GREY, linewidth=0.3)
    for position in range(1, strength.shape[1]):
        ax.axhline(position * cell[0] - 0.5, color=GREY, linewidth=0.3)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(
        f"What HOG sees: {orientations} directions in cells of {cell[0]}×{cell[1]} pixels",
        loc="left",
        fontsize="medium",
    )
    return ax


def patch_dictionary(dictionary: Dictionary, most: int = 100, ax: Axes | None = None) -> Axes:
    """Draws the learnt words of a patch dictionary as patches, each in its own contrast.

    Parameters
    ----------
    dictionary : from `edunn.features.patches.learn`
    most : how many are shown
    """
    words = dictionary.patches().cpu().numpy()[:most]
    low, high = words.min((1, 2, 3), keepdims=True), words.max((1, 2, 3), keepdims=True)
    scaled = (words - low) / np.where(high > low, high - low, 1)
    columns = math.ceil(math.sqrt(len(scaled)))
    ax = image_grid(scaled, columns=columns, ax=ax)
    total = len(dictionary.centroids)
    which = f"the first {len(scaled)} of {total:,}" if len(scaled) < total else f"all {total:,}"
    ax.set_title(f"Words learnt from whitened patches: {which}", loc="left", fontsize="medium")
    return ax


def strength_curves(
    strengths: Sequence[float],
    train: Sequence[float],
    validation: Sequence[float],
    name: str = "strength",
    metric: str = "accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Draws training and validation scores against a regulariser's strength, and marks the best on validation.

    On the left the model overfits, on the right it underfits. A strength of 0 is drawn at the left edge, outside
    the logarithmic axis.
    """
    if not len(strengths) == len(train) == len(validation) or not len(strengths):
        raise ShapeError(
            f"Give as many scores as strengths; got {len(train)} and {len(validation)} for {len(strengths)} strengths."
        )
    ax = axes_for(ax)
    values = np.asarray(strengths, float)
    if (values < 0).any():
        raise ConfigError(f"Strengths are 0 or more; the smallest given is {values.min()}.")
    positive = values[values > 0]
    if len(positive) > 1 and positive.max() / positive.min() >= 20:
        if len(positive) < len(values):
            ax.set_xscale("symlog", linthresh=float(positive.min()), linscale=0.5)
        else:
            ax.set_xscale("log")
        ax.set_xticks(values, [f"{value:g}" for value in values])
        ax.set_xticks([], minor=True)
    ax.plot(values, train, color=BLUE, marker=MARKERS[0], label="training part")
    ax.plot(values, validation, color=ORANGE, marker=MARKERS[1], label="validation part")
    best = int(np.nanargmax(np.asarray(validation, float)))
    ax.axvline(values[best], color=GREY, linewidth=0.8, linestyle="--")
    ax.annotate(
        f"{values[best]:g}: {validation[best]:.3f}", (values[best], 0.02), xytext=(4, 0), fontsize="small",
        xycoords=("data", "axes fraction"), textcoords="offset points",
    )  # fmt: skip
    tidy(ax, f"{metric} against {name}", name, metric)
    ax.legend(frameon=False)
    return ax


def loss_against_score(
    losses: Mapping[str, Loss],
    scores: Sequence[float] = (3.2, 5.1, -1.7),
    target: int = 0,
    moving: int | None = None,
    reach: float = 8.0,
    classes: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws losses of one sample against one of its scores, the others fixed.

    The multiclass hinge is flat wherever every margin is met, or the moving class does not break one; cross-entropy is
    never flat: its gradient is never 0.

    Parameters
    ----------
    losses : by name, of scores with a class axis: `{"SVM": MulticlassHinge(), "softmax": CrossEntropy()}`
    scores : one sample's; target : its class
    moving : whose score moves; by default the target's
    reach : the range of the score, to both sides
    """
    start, moving = torch.tensor(scores, dtype=torch.float64), target if moving is None else moving
    for name, index in (("target", target), ("moving", moving)):
        if not 0 <= index < len(start):
            raise ConfigError(f"{name} is {index}; these {len(start)} scores have classes 0 to {len(start) - 1}.")
    moves = torch.linspace(-reach, reach, 801, dtype=torch.float64)
    table = start.repeat(len(moves), 1)
    table[:, moving] += moves
    labels = torch.full((len(moves),), target)
    ax = axes_for(ax)
    where = table[:, moving].numpy()
    names = [f"class {index}" for index in range(len(start))] if classes is None else list(classes)
    for k, (name, loss) in enumerate(losses.items()):
        colour = class_colours(len(losses))[k]
        ax.plot(where, loss.pointwise(table, labels).numpy(), color=colour, linestyle=("-", "--")[k % 2], label=name)
        here = float(loss.pointwise(start[None], torch.tensor([target])))
        ax.plot([float(start[moving])], [here], color=colour, marker=MARKERS[0])
    listed = ", ".join(f"{name} {value:g}" for name, value in zip(names, scores, strict=True))
    tidy(ax, f"Which loss moves when a score moves?\nscores {listed}; the true class is {names[target]}",
         f"score of {names[moving]}", "loss of the sample")  # fmt: skip
    ax.set_ylim(bottom=-0.2)
    ax.legend(frameon=False)
    return ax
