"""Shared parts of the figures: colours, axes, numbers as text, and saving."""

from __future__ import annotations

import io
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ..errors import ConfigError, DtypeError, check_count, check_number, nearest
from ..runtime.drawing import FILES_ONLY
from ..runtime.files import write_atomically

# Okabe and Ito, "Color Universal Design" (2008): distinct with any of the common colour-vision deficiencies.
# Blue and orange come first, the pair that differs most; yellow comes last, for it is faint on white.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILLION, SKY, BLACK, YELLOW = "#D55E00", "#56B4E9", "#000000", "#F0E442"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "p", "h")
GREY = "#767676"  # the lightest grey that is still read easily on white

DIVERGING = "RdBu_r"  # below zero blue, zero white, above zero red
SEQUENTIAL = "Blues"

FORMATS = ("png", "svg", "pdf")


def axes_for(ax: Axes | None, width: float = 6.4, height: float = 4.2) -> Axes:
    """Returns the given axes; or pyplot's current axes if they are empty; or new ones of `width` × `height` inches."""
    if ax is not None:
        return check_axes(ax)
    return empty_axes() or new_figure(width, height).add_subplot()


def axes_3d(ax: Axes | None, width: float = 6.4, height: float = 5.2) -> Any:
    """Returns the given axes, which must be three-dimensional, or new ones on a figure of `width` × `height` inches."""
    if ax is None:
        return new_figure(width, height).add_subplot(projection="3d")
    if not hasattr(check_axes(ax), "plot_surface"):
        raise DtypeError(
            "A surface in 3-D needs axes in 3-D: fig.add_subplot(projection='3d'), or no ax at all. "
            "On flat axes draw figures.contour."
        )
    return ax


def check_axes(ax: Any) -> Axes:
    """Returns the axes. Raises DtypeError for what people give in their place: a figure, an array of axes."""
    if isinstance(ax, Axes):
        return ax
    if isinstance(ax, Figure):
        raise DtypeError("ax is a whole figure. Give one of its axes: figure.add_subplot().")
    if isinstance(ax, np.ndarray | list | tuple):
        raise DtypeError("ax is several axes. Give one of them, such as axes[0].")
    raise DtypeError(f"ax is an Axes of matplotlib; got {type(ax).__name__}.")


def new_figure(width: float, height: float) -> Figure:
    """Makes a figure through pyplot: a notebook shows it, `plt.savefig` writes it, `plt.show` opens it.

    An empty figure, as `plt.figure(figsize=(10, 4))` leaves it, is used instead. Inside `runtime.drawing.files_only`
    the figure is apart from pyplot.
    """
    if FILES_ONLY.get():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure
    import matplotlib.pyplot as plt  # late: it chooses a backend

    if plt.get_fignums() and is_blank(plt.gcf()):
        current = plt.gcf()
        if current.get_layout_engine() is None:
            current.set_layout_engine("constrained")
        return current
    return plt.figure(figsize=(width, height), layout="constrained")


def empty_axes() -> Axes | None:
    """Returns pyplot's current axes if they are flat and nothing has been drawn there, as after `plt.subplots()`."""
    if FILES_ONLY.get() or "matplotlib.pyplot" not in sys.modules:
        return None
    import matplotlib.pyplot as plt

    if not plt.get_fignums() or not plt.gcf().axes:
        return None
    ax = plt.gca()
    drawn = ax.has_data() or ax.texts or ax.get_title() or ax.get_title(loc="left") or not ax.axison
    return None if drawn or ax.name != "rectilinear" else ax


def is_blank(figure: Figure) -> bool:
    """Returns whether a figure has no axes, parts or text."""
    return not (figure.axes or figure.subfigs or figure.texts)


def width_of(ax: Axes) -> float:
    """Returns the width of axes in inches."""
    return float(ax.figure.canvas.figure.get_figwidth() * ax.get_position().width)


def tidy(ax: Axes, title: str, x: str, y: str, grid: bool = True) -> None:
    """Sets title and axis labels, removes the box around the data, and adds a light grid behind it."""
    ax.set_title("\n".join(textwrap.fill(line, 68) for line in title.splitlines()), loc="left", fontsize="medium")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(True, color="#E4E4E4", linewidth=0.6)
        ax.set_axisbelow(True)


def class_colours(count: int) -> list[tuple[float, float, float]]:
    """Returns one colour a class: the palette's seven, then darker ones, then lighter ones; after 21 they repeat.

    20 colours cannot be distinguished: figures also give each class its own marker, or its name.
    """
    shades = ((0.0, 0.0), (0.5, 0.0), (0.55, 1.0))  # how much is tint in, and of what grey
    colours = []
    for index in range(count):
        turn, place = divmod(index, len(COLOURS))
        amount, grey = shades[turn % len(shades)]
        colours.append(tint(COLOURS[place], amount, grey))
    return colours


def tint(colour: Any, amount: float, grey: float = 1.0) -> tuple[float, float, float]:
    """Mixes an `amount` of grey into a colour; grey is 1 for white, 0 for black."""
    red, green, blue = ((1 - amount) * part + amount * grey for part in to_rgb(colour))
    return red, green, blue


def marker(index: int) -> str:
    return MARKERS[index % len(MARKERS)]


def array(values: Any) -> np.ndarray:
    """Returns numbers as a float64 array, from a tensor on any device, an array or a list."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.double().numpy() if values.dtype == torch.bfloat16 else values.numpy()
    return np.asarray(values, dtype=np.float64)


def escape(name: Any) -> str:
    """Escapes a name for matplotlib: a $ starts no formula, and a leading _ does not hide it from a legend."""
    text = str(name).replace("$", r"\$")
    return f"\u200a{text}" if text.startswith("_") else text


def shorten(name: Any, width: int, lines: int = 1) -> str:
    """Shortens a name to at most `lines` lines of `width` letters, with … for the rest."""
    wrapped = textwrap.wrap(str(name), width, max_lines=lines, placeholder="…", break_long_words=True) or [""]
    return escape("\n".join(wrapped))


def number(value: float) -> str:
    """Returns a number as text in four digits, with a true minus sign."""
    return f"{value:.4g}".replace("-", "−") if np.isfinite(value) else "not finite"


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"


def span(values: np.ndarray, pad: float = 0.06) -> tuple[float, float]:
    """Returns the range of the finite values, with a margin at both ends; half a unit around a single value."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = pad * (high - low) or max(0.5, 0.1 * abs(low))
    return low - room, high + room


@dataclass(frozen=True)
class Look:
    """What a user wants of a figure: its title, its size in inches, its resolution, and the kinds of file."""

    title: str | None = None
    size: tuple[float, float] | None = None
    dpi: int = 150
    formats: tuple[str, ...] = ("png",)

    @classmethod
    def read(cls, title: str | None, size: str | None, dpi: int, formats: str) -> Look:
        """Reads the options of the command line: a size as `8x4.5`, formats as `png,svg`."""
        kinds = tuple(kind.strip().lower().removeprefix(".") for kind in formats.split(","))
        for kind in kinds:
            if kind not in FORMATS:
                raise ConfigError(f"--format is png, svg or pdf, or several with commas; got {formats!r}.")
        inches = None
        if size is not None:
            try:
                width, height = map(float, size.lower().replace("×", "x").split("x"))
            except ValueError:
                raise ConfigError(f"--size is WIDTHxHEIGHT in inches, such as 8x4.5; got {size!r}.") from None
            inches = check_number("--size", width, 1, 60), check_number("--size", height, 1, 60)
        return cls(title, inches, check_count("--dpi", dpi, 20, 1200), kinds)

    def apply(self, axes: Any) -> Any:
        """Sets title and size, and returns the axes; of several axes the first takes the title."""
        first = axes[0] if isinstance(axes, tuple) else axes
        if self.title is not None:
            first.set_title(escape(self.title), loc="left", fontsize="medium")
        if self.size is not None:
            first.figure.canvas.figure.set_size_inches(self.size)
        return first


def save(figure: Axes | Figure, path: str | Path, dpi: int = 150) -> Path:
    """Writes a figure as PNG, SVG or PDF, by the path's suffix, and atomically: no reader sees half a file.

    Parameters
    ----------
    figure : the figure, or Axes of it
    dpi : pixels an inch, for a PNG

    Returns
    -------
    Path : where it was written
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ConfigError(
            f"A figure's path ends in {', '.join('.' + known for known in FORMATS)}; "
            f"got {path.name!r}. {nearest(kind, FORMATS)}"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"The folder {path.parent} does not exist. Make it first.")
    write_atomically(path, render(figure, kind, dpi))
    return path


def render(figure: Axes | Figure, kind: str, dpi: int) -> bytes:
    """Returns the bytes of the picture; the same figure gives the same bytes."""
    whole = figure.figure.canvas.figure  # also from axes in a subfigure
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "edunn"}):  # the names inside an SVG, otherwise random
        whole.savefig(buffer, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=0.1, metadata=metadata)
    return buffer.getvalue()
