"""Figures of loss surfaces: in three dimensions, contours with the paths of runs, cuts, basins, the gradient field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.axes3d import Axes3D

from .records import Basins, Report, Surface
from .style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    NotebookAxes,
    array,
    axes_for,
    class_colours,
    escape,
    number,
    tidy,
)

MOST = 512  # points along an axis of a surface in 3-D: drawing takes a second there, and grows with the points
COLOURS = "cividis"  # made to look the same with and without red-green deficiency (Nuñez et al. 2018)
CUTS = (VERMILLION, BLACK, BLUE)
MARKS = {"minimum": ("*", 130), "saddle": ("X", 60), "runaway": (">", 60)}
Path = Any  # (steps, 2): a tensor, an array or a list; or a history that kept snapshots


class NotebookAxes3D(Axes3D, NotebookAxes):
    """Axes in three dimensions that a notebook shows as a picture, without pyplot."""


def surface_3d(
    surface: Surface,
    ax: Axes | None = None,
    sections: Sequence[float] = (),
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> Axes:
    """Draws the surface in three dimensions, every value of a grid up to 512 × 512.

    A denser grid is reduced to 512 points along an axis, with the row and column of the least value among them, and the
    caption says so. Values that are not finite are left out and counted.

    Parameters
    ----------
    ax : three-dimensional axes; None makes a figure
    sections : values of the second coordinate at which the surface is cut: a line on it for each
    limits : the least and greatest loss of the colours and the height, for two surfaces side by side
    """
    axes = axes_3d(ax)
    rows, columns = pick_points(surface)
    x, y = array(surface.first)[rows], array(surface.second)[columns]
    z = heights(surface)[np.ix_(rows, columns)]
    low, high = limits or bounds(z)
    # mplot3d sorts whole objects by their middle, which would put the cuts behind the surface: the order is ours
    axes.computed_zorder = False
    axes.plot_surface(
        *np.meshgrid(x, y, indexing="ij"), np.where(np.isnan(z), np.nan, np.clip(z, low, high)),
        rcount=len(x), ccount=len(y), cmap=COLOURS, norm=Normalize(low, high), linewidth=0, antialiased=False,
        rasterized=True, zorder=1,
    )  # fmt: skip
    lift = 0.004 * (high - low)  # a hair above, or the surface's own facets would cut the line to pieces
    for k, at in enumerate(sections):
        j = int(np.abs(array(surface.second) - at).argmin())
        cut = heights(surface)[rows, j]
        where = np.full(len(rows), float(surface.second[j]))
        axes.plot(x, where, np.clip(cut, low, high) + lift, color=CUTS[k % 3], linewidth=1.6, zorder=3)
    axes.set_zlim(low, high)
    axes.set_xlabel(escape(surface.names[0]))
    axes.set_ylabel(escape(surface.names[1]))
    axes.set_zlabel("loss", labelpad=8)
    axes.view_init(elev=32, azim=-58)
    axes.set_title(caption(surface, title, len(x), len(y)), loc="left", fontsize="medium")
    return axes


def axes_3d(ax: Axes | None) -> Any:
    """Returns the given axes, or new ones in three dimensions on a new figure."""
    if ax is not None:
        return ax
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot(axes_class=NotebookAxes3D)


def pick_points(surface: Surface, most: int = MOST) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the rows and columns to draw: evenly spread, with both ends and the least value."""
    low = surface.lowest if bool(surface.values.isfinite().any()) else None
    indices = []
    for name, axis in zip(surface.names, (surface.first, surface.second), strict=True):
        if len(axis) <= most:
            indices.append(np.arange(len(axis)))
            continue
        index = np.linspace(0, len(axis) - 1, most).round().astype(int)
        if low is not None:
            least = int((axis - low[name]).abs().argmin())
            index[1 + int(np.abs(index[1:-1] - least).argmin())] = least  # the ends stay
        indices.append(np.unique(index))
    return indices[0], indices[1]


def heights(surface: Surface) -> np.ndarray:
    """Returns the values, with nan where they are not finite."""
    z = array(surface.values).copy()
    z[~np.isfinite(z)] = np.nan
    return z


def bounds(*values: np.ndarray) -> tuple[float, float]:
    """Returns the least and greatest finite value, half a unit around a single one."""
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in values])
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def caption(surface: Surface, title: str | None, rows: int = 0, columns: int = 0) -> str:
    """Returns the title, and below it which points are not drawn."""
    lines = [title or surface.loss]
    n, m = surface.values.shape
    if rows and (rows, columns) != (n, m):
        lines.append(f"{rows} × {columns} of {n} × {m} points drawn, the lowest among them")
    if surface.not_finite:
        lines.append(f"{surface.not_finite} of {n * m} values are not finite and left out")
    return "\n".join(lines)


def contour(
    surface: Surface,
    ax: Axes | None = None,
    path: Path | Mapping[str, Path] | None = None,
    minima: bool | Sequence[Mapping[str, Any]] = True,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> Axes:
    """Draws the surface from above: colours and lines of equal loss, closer together near the lowest.

    Parameters
    ----------
    path : (steps, 2), the points of a run on these axes, or a run's history of a model with one feature that kept
        snapshots; or several by name (say, one for each update rule)
    minima : mark minima ★, saddles ✕ and where the loss runs away ▸: those given, or the surface's own if it knows its
        data; False marks none
    limits : the least and greatest loss of the colours
    """
    axes = axes_for(ax, 6.4, 5.0)
    z = heights(surface)
    low, high = limits or bounds(z)
    x, y = array(surface.first), array(surface.second)
    mesh = image(axes, x, y, z, COLOURS, Normalize(low, high))
    levels = low + (high - low) * np.linspace(0, 1, 16)[1:-1] ** 2
    if np.isfinite(z).any() and float(np.nanmax(z)) > float(np.nanmin(z)) and min(z.shape) > 1:
        axes.contour(x, y, z.T, levels=levels, colors="white", linewidths=0.6, alpha=0.8)
    axes.figure.colorbar(mesh, ax=axes, label="loss", shrink=0.9)
    if minima is True:
        minima = surface.minima() if surface.field is not None else ()
    handles = mark_minima(axes, surface.names, minima or ())
    handles += draw_paths(axes, path)
    axes.set_xlim(x[0], x[-1]) if len(x) > 1 else None
    axes.set_ylim(y[0], y[-1]) if len(y) > 1 else None
    tidy(axes, caption(surface, title), escape(surface.names[0]), escape(surface.names[1]), grid=False)
    if handles:
        axes.legend(handles=handles, fontsize="small", framealpha=0.9, loc="best")
    return axes


def image(axes: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, colours: Any, norm: Normalize) -> Any:
    """Draws values z[i, j] at (x_i, y_j) as colours. Evenly spaced axes give an image, which is fast at any size."""
    even = [len(axis) > 1 and bool(np.allclose(np.diff(axis), axis[1] - axis[0], rtol=1e-6, atol=0)) for axis in (x, y)]
    if not all(even):
        return axes.pcolormesh(x, y, z.T, cmap=colours, norm=norm, shading="nearest", rasterized=True)
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (float(x[0] - dx), float(x[-1] + dx), float(y[0] - dy), float(y[-1] + dy))
    return axes.imshow(
        z.T, cmap=colours, norm=norm, origin="lower", extent=extent, aspect="auto", interpolation="nearest", zorder=0
    )


def mark_minima(axes: Axes, names: tuple[str, str], minima: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Marks minima, saddles and runaways by a symbol each, and returns their legend."""
    handles = []
    for kind, (symbol, size) in MARKS.items():
        found = [m for m in minima if m["kind"] == kind]
        if not found:
            continue
        x, y = ([m[name] for m in found] for name in names)
        axes.scatter(x, y, marker=symbol, s=size, color="white", edgecolor="black", linewidth=0.8, zorder=5)
        handles.append(Line2D([], [], marker=symbol, color="white", markeredgecolor="black", linestyle="none",
                              markersize=10, label=kind))  # fmt: skip
    return handles


def draw_paths(axes: Axes, path: Path | Mapping[str, Path] | None) -> list[Any]:
    """Draws the paths of runs, with a dot at the start and a square at the end, and returns their legend."""
    if path is None:
        return []
    paths = path if isinstance(path, Mapping) else {"path": path}
    colours: list[Any] = ["white"] if len(paths) == 1 else [ORANGE, "white", VERMILLION, *class_colours(20)[2:]]
    handles = []
    for (name, steps), colour in zip(paths.items(), colours, strict=False):
        points = points_of(steps)
        axes.plot(points[:, 0], points[:, 1], color="black", linewidth=3, alpha=0.6, zorder=3)
        axes.plot(points[:, 0], points[:, 1], color=colour, linewidth=1.4, zorder=4)
        axes.plot(*points[0], "o", color=colour, markeredgecolor="black", markersize=6, zorder=5)
        axes.plot(*points[-1], "s", color=colour, markeredgecolor="black", markersize=6, zorder=5)
        handles.append(Line2D([], [], color=colour, marker="s", markeredgecolor="black", label=escape(name)))
    return handles


def points_of(path: Any) -> np.ndarray:
    """Returns a path as (steps, 2); of a history, its snapshots of one weight and one bias."""
    if hasattr(path, "snapshots"):
        path = [[float(w["weight"].flatten()[0]), float(w["bias"].flatten()[0])] for _, w in path.snapshots]
    return array(path).reshape(-1, 2)


def cuts(
    surfaces: Surface | Mapping[str, Surface],
    ax: Axes | None = None,
    at: Sequence[float] = (0.0,),
    title: str | None = None,
) -> Axes:
    """Draws the curves L(w) at fixed values of the second coordinate: a colour for each value, a dash for each loss."""
    axes = axes_for(ax)
    named = surfaces if isinstance(surfaces, Mapping) else {"": surfaces}
    for (name, surface), dash in zip(named.items(), ("-", "--", ":", "-."), strict=False):
        for k, value in enumerate(at):
            j = int(np.abs(array(surface.second) - value).argmin())
            label = f"{surface.names[1]} = {number(round(float(surface.second[j]), 6) + 0.0)}"
            label = f"{escape(name)}, {label}" if name else label
            axes.plot(array(surface.first), heights(surface)[:, j], dash, color=CUTS[k % 3], linewidth=1.6, label=label)
    first = next(iter(named.values()))
    tidy(axes, title or f"Cuts: {first.loss}", escape(first.names[0]), "loss")
    axes.legend(fontsize="small", frameon=False)
    return axes


def comparison(
    first: Surface,
    second: Surface,
    at: Sequence[float] = (-10.0, 0.0, 10.0),
    same_scale: bool = False,
    titles: tuple[str, str] | None = None,
) -> tuple[Axes, ...]:
    """Draws two losses side by side, in three dimensions with cut lines, and the cuts as curves below: four axes.

    Parameters
    ----------
    at : values of the second coordinate at which both are cut
    same_scale : the same colours and heights for both
    """
    figure = Figure(figsize=(11.5, 8.2), layout="constrained")
    FigureCanvasAgg(figure)
    spec = figure.add_gridspec(2, 2, height_ratios=[3, 2])
    limits = bounds(heights(first), heights(second)) if same_scale else None
    names = titles or (first.loss, second.loss)
    drawn: list[Axes] = []
    for k, (surface, name) in enumerate(zip((first, second), names, strict=True)):
        above = figure.add_subplot(spec[0, k], axes_class=NotebookAxes3D)
        drawn.append(surface_3d(surface, above, at, limits, name))
    for k, surface in enumerate((first, second)):
        below = figure.add_subplot(spec[1, k], axes_class=NotebookAxes)
        drawn.append(cuts(surface, below, at, "The same cuts as curves"))
        if limits is not None:
            below.set_ylim(*limits)
    return tuple(drawn)


def basin_map(surface: Surface, basins: Basins, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draws where gradient descent ends from every grid point.

    Blue points reach the best loss. Grey points end elsewhere, or are still moving or stuck on a plateau after the last
    step. Black points diverge.
    """
    axes = axes_for(ax, 6.4, 5.0)
    labels = array(basins.labels).astype(int)
    losses = array(basins.losses)
    best = np.isfinite(losses) & (losses <= basins.best_loss + 1e-3)
    shown = np.where(best, 0, np.where(labels < 0, 2, 1))
    colours = ListedColormap([BLUE, "#D0D0D0", BLACK])
    x, y = array(surface.first), array(surface.second)
    image(axes, x, y, shown, colours, Normalize(-0.5, 2.5))
    z = heights(surface)
    if min(z.shape) > 1 and np.nanmax(z) > np.nanmin(z):
        low, high = bounds(z)
        levels = low + (high - low) * np.linspace(0, 1, 16)[1:-1] ** 2
        axes.contour(x, y, z.T, levels=levels, colors="black", linewidths=0.4, alpha=0.4)
    handles = [
        Line2D([], [], marker="s", linestyle="none", color=BLUE,
               label=f"ends within 1e-3 of the best loss, {number(basins.best_loss)}: {basins.best_fraction:.1%}"),
        Line2D([], [], marker="s", linestyle="none", color="#D0D0D0", label="ends elsewhere, or is stuck"),
    ]  # fmt: skip
    if (shown == 2).any():
        handles.append(Line2D([], [], marker="s", linestyle="none", color=BLACK, label="diverges"))
    ends = array(basins.ends).reshape(2, -1)[:, best.ravel()]
    inside = (ends[0] >= x[0]) & (ends[0] <= x[-1]) & (ends[1] >= y[0]) & (ends[1] <= y[-1])
    if inside.any():
        axes.plot(*ends[:, inside][:, :: max(1, inside.sum() // 200)], ".", color=ORANGE, markersize=4)
        handles.append(Line2D([], [], marker=".", linestyle="none", color=ORANGE, label="where the best ones end"))
    what = f"Descent from every point: rate {basins.rate:g}, {basins.steps} steps"
    tidy(axes, f"{title or surface.loss}\n{what}", escape(surface.names[0]), escape(surface.names[1]), grid=False)
    axes.legend(handles=handles, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
    return axes


def gradient_field(surface: Surface, ax: Axes | None = None, arrows: int = 24, title: str | None = None) -> Axes:
    """Draws the direction of descent: arrows of one length along minus the gradient, over its length in colour.

    The colours are logarithmic. Dark is a tiny gradient: a plateau.
    """
    axes = axes_for(ax, 6.4, 5.0)
    slope = array(surface.gradient)
    size = np.hypot(*slope)
    with np.errstate(divide="ignore"):
        shade = np.log10(np.maximum(size, 1e-12))
    x, y = array(surface.first), array(surface.second)
    mesh = image(axes, x, y, shade, COLOURS, Normalize(*bounds(shade)))
    axes.figure.colorbar(mesh, ax=axes, label="log₁₀ of the gradient's length", shrink=0.9)
    i, j = (np.unique(np.linspace(0, len(axis) - 1, arrows + 2).round().astype(int)[1:-1]) for axis in (x, y))
    part = slope[:, i][:, :, j]
    # lengths on paper: the axes' units may differ by orders of magnitude
    wide, tall = float(np.ptp(x)) or 1.0, float(np.ptp(y)) or 1.0
    u, v = -part[0] / wide, -part[1] / tall
    length = np.hypot(u, v)
    u, v = (np.divide(part, length, out=np.zeros_like(part), where=length > 0) for part in (u, v))
    axes.quiver(x[i], y[j], u.T, v.T, color="black", edgecolor="white", linewidth=0.35, scale=1.4 * arrows,
                width=0.0034, pivot="mid", angles="uv")  # fmt: skip
    tidy(
        axes, title or f"Minus the gradient: {surface.loss}", escape(surface.names[0]), escape(surface.names[1]), False
    )
    return axes


def report_figures(
    reports: Mapping[str, Report],
    titles: Sequence[str] | None = None,
    at: Sequence[float] | None = None,
    path: Path | None = None,
    same_scale: bool = False,
) -> Iterator[tuple[str, Axes]]:
    """Yields the figures of one report, or of two side by side, as pairs of a name and its Axes.

    A surface gives `surface`, `contour`, `gradient`, `basins` (if it has them) and `cuts`. Two surfaces give the first
    four for each, as `surface-NAME`, and a `comparison`. A curve gives `curve`.

    Parameters
    ----------
    reports : by name, from `surface.report()`
    titles : one for each report; by default its loss
    at : values of the second coordinate at which to cut; by default `report.cuts` of the first
    path : drawn on the contours: see `contour`
    same_scale : the same colours and heights in a comparison
    """
    for name, draw in report_pictures(reports, titles, at, path, same_scale):
        yield name, draw()


def report_pictures(
    reports: Mapping[str, Report],
    titles: Sequence[str] | None = None,
    at: Sequence[float] | None = None,
    path: Path | None = None,
    same_scale: bool = False,
) -> Iterator[tuple[str, Callable[[], Axes]]]:
    """Yields the pictures of `report_figures`, each as its name and the function that draws it."""
    first = next(iter(reports.values()))
    at = at or first.cuts
    titles = titles or [report.surface.loss for report in reports.values()]
    surfaces = {name: report.surface for name, report in reports.items()}
    if len(first.surface.second) == 1:
        yield "curve", partial(cuts, surfaces, at=first.cuts, title=titles[0])
        return
    for (name, report), title in zip(reports.items(), titles, strict=True):
        end = f"-{name}" if len(reports) > 1 else ""
        surface = report.surface
        yield f"surface{end}", partial(surface_3d, surface, sections=at, title=title)
        yield f"contour{end}", partial(contour, surface, path=path, minima=report.minima, title=title)
        yield f"gradient{end}", partial(gradient_field, surface, title=f"Minus the gradient: {title}")
        if report.basins is not None:
            yield f"basins{end}", partial(basin_map, surface, report.basins, title=title)
    if len(reports) == 2:
        one, two = surfaces.values()
        yield "comparison", lambda: comparison(one, two, at, same_scale, (titles[0], titles[1]))[0]
    else:
        yield "cuts", partial(cuts, first.surface, at=at, title=f"Cuts: {titles[0]}")


__all__ = ["GREY", "basin_map", "comparison", "contour", "cuts", "gradient_field", "report_figures", "surface_3d"]
