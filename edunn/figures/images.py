"""Figures of images side by side, and of a linear model's weights as images, the templates of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from ..errors import ShapeError
from .style import DIVERGING, array, axes_for, shorten, width_of

GAP = 0.08  # between tiles, as a share of their width
LINE = 0.17  # inches that a line of a tile's title takes


def templates(
    weight: Any,
    shape: Sequence[int],
    classes: Sequence[str] | None = None,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws each row of a linear model's weight as an image; the score is a sample's match with it, pixel by pixel.

    Parameters
    ----------
    weight : (outputs, features)
    shape : of an image: (height, width), or (height, width, 1), in one diverging scale for all rows: a red pixel
        raises the score, a blue one lowers it, a white one does not matter. Or (height, width, 3): red, green and blue
        around mid-grey, each row over its own largest weight: a reddish place raises the score where the image is red.
    classes : the outputs' names. Two names for a single output: its template is the second class against the first.
    columns : how many side by side
    ax : where to draw; None makes a figure
    """
    rows = array(weight)
    if rows.ndim == 1:
        rows = rows[None]
    if rows.ndim != 2 or rows.shape[1] != math.prod(shape):
        raise ShapeError(
            f"The images need a weight of shape (outputs, {math.prod(shape)}) for images of shape {tuple(shape)}; "
            f"got {rows.shape}. A stack of runs is drawn one run at a time, and a bias trick's column is left out."
        )
    outputs = len(rows)
    if classes is not None and outputs == 1 and len(classes) == 2:
        classes = [f"{classes[1]} against {classes[0]}"]
    titles = [f"output {index}" for index in range(outputs)] if classes is None else list(classes)
    images = rows.reshape(outputs, *shape)
    finite = np.where(np.isfinite(images), images, np.nan)
    largest = np.nanmax(np.abs(finite)) if np.isfinite(finite).any() else 0.0
    heading = "What each class looks for: its weights"
    if len(shape) == 3 and shape[2] == 3:
        limits = np.nanmax(np.abs(np.nan_to_num(finite)), axis=(1, 2, 3), keepdims=True)
        pictures = 0.5 + finite / (2 * np.where(limits > 0, limits, 1))
        axes = tiles(pictures, titles, columns, ax, None, None)
        axes.set_title(f"{heading} (grey: no weight)", loc="left", fontsize="medium")
        return axes
    norm = Normalize(-(largest or 1.0), largest or 1.0)
    axes = tiles(finite.reshape(outputs, *shape[:2]), titles, columns, ax, DIVERGING, norm)
    axes.set_title(heading, loc="left", fontsize="medium")
    bar = axes.figure.colorbar(axes.images[0], cax=axes.inset_axes((1.02, 0.0, 0.025, 1.0)))
    bar.set_label("lowers ← the score → raises", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_visible(False)
    return axes


def image_grid(
    images: Any,
    titles: Sequence[object] | None = None,
    columns: int | None = None,
    ax: Axes | None = None,
    shape: Sequence[int] | None = None,
) -> Axes:
    """Draws images side by side, row by row.

    Parameters
    ----------
    images : (samples, height, width), or with a last axis of 1 or 3 channels; uint8, or floating. Floating colours are
        in [0, 1]; floating greys go from the smallest to the largest value of all images, black to white.
    titles : one above each image
    columns : how many side by side
    ax : where to draw; None makes a figure
    shape : of an image, where each is a row of features, (samples, features)
    """
    whole = str(getattr(images, "dtype", "")).endswith("uint8")
    pictures = array(images)
    if shape is not None:
        if pictures.ndim != 2 or pictures.shape[1] != math.prod(shape):
            raise ShapeError(
                f"Images of shape {tuple(shape)} are rows of {math.prod(shape)} features; got {pictures.shape}. "
                f"Give the right shape."
            )
        pictures = pictures.reshape(len(pictures), *shape)
    if pictures.ndim == 4 and pictures.shape[3] == 1:
        pictures = pictures[..., 0]
    if len(pictures) == 0 or not (pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3)):
        raise ShapeError(
            f"Images have shape (samples, height, width) or (samples, height, width, 1 or 3); "
            f"got {pictures.shape}. Rows of features need shape=(height, width)."
        )
    if pictures.ndim == 4:
        return tiles(pictures / 255 if whole else pictures, titles, columns, ax, None, None)
    low, high = (0.0, 255.0) if whole else finite_range(pictures)
    return tiles(pictures, titles, columns, ax, "gray", Normalize(low, high))


def finite_range(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def tiles(
    pictures: np.ndarray,
    titles: Sequence[object] | None,
    columns: int | None,
    ax: Axes | None,
    colours: str | None,
    norm: Normalize | None,
) -> Axes:
    """Draws images (n, height, width[, 3]) on a grid in one Axes, each 1 wide, with its title above."""
    count = len(pictures)
    if titles is not None and len(titles) != count:
        raise ShapeError(f"{len(titles)} titles for {count} images. Give one for each.")
    columns = min(columns or fitting_columns(count), count)
    rows = -(-count // columns)
    tall = pictures.shape[1] / pictures.shape[2]
    widest = 1.4 if count > 2 else 2.4
    inches = min(max(7.0 / columns, 0.7), widest) if ax is None else width_of(ax) / (columns * (1 + GAP))
    letters = max(4, int(inches * 72 / 4.6))  # letters of 8 points that fit above a tile
    names = [] if titles is None else [shorten(title, letters, lines=3) for title in titles]
    lines = max((name.count("\n") + 1 for name in names), default=0)
    head = (LINE * lines + 0.04) / inches if lines else 0.0
    step = (1 + GAP, tall + head + GAP)
    axes = axes_for(ax, width=columns * step[0] * inches + 1.2, height=rows * step[1] * inches + 0.5)
    map_ = None if colours is None else matplotlib.colormaps[colours].with_extremes(bad="#BBBBBB")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        left, top = column * step[0], row * step[1] + head
        extent = (left, left + 1, top + tall, top)
        if colours is None:
            shown: Any = np.where(np.isfinite(picture), picture, 0.5).clip(0, 1)
        else:
            shown = np.ma.masked_invalid(picture)
        axes.imshow(shown, cmap=map_, norm=norm, extent=extent, interpolation="nearest")
        axes.add_patch(Rectangle((left, top), 1, tall, fill=False, edgecolor="#BBBBBB", linewidth=0.5))
        if names:
            axes.text(left + 0.5, top - 0.03, names[index], fontsize=8, ha="center", va="bottom", linespacing=1.0)
    axes.set_xlim(-GAP / 2, columns * step[0] - GAP / 2)
    axes.set_ylim(rows * step[1] - GAP / 2, -GAP / 2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return axes


def fitting_columns(count: int) -> int:
    """Returns the number of columns: all of up to five images, then four to six that fill the rows, ten from 30 on."""
    if count <= 5 or count >= 30:
        return min(count, 10)
    return next((columns for columns in (5, 6, 4) if count % columns == 0), 5)
