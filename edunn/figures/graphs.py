"""The computation graph, drawn in layers from the inputs on the left to the result on the right."""

from __future__ import annotations

import itertools
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ..errors import ShapeError
from .records import Graph
from .style import BLUE, GREEN, GREY, VERMILLION, axes_for, escape, number, shorten, tint

LARGEST = 60  # nodes that can still be read
WIDE, HIGH = 2.3, 1.1  # inches between columns, and between rows
BOX_WIDE, BOX_HIGH = 1.25, 0.72
SWEEPS = 12


def computation_graph(graph: Graph, ax: Axes | None = None) -> Axes:
    """Draws each node with its value (blue) and gradient (vermillion), and each edge with its local derivative.

    Parameters
    ----------
    graph : of at most 60 nodes
    ax : where to draw; None makes a figure
    """
    if len(graph.nodes) > LARGEST:
        raise ShapeError(
            f"The graph has {len(graph.nodes)} nodes; at most {LARGEST} can be drawn. print(graph) shows any."
        )
    places, bends = layout(graph)
    columns = 1 + max(x for x, _ in places.values())
    rows = [y for _, y in (*places.values(), *itertools.chain(*bends.values()))]
    tall = (max(rows) - min(rows) + 1) * HIGH
    axes = axes_for(ax, max(4.0, columns * WIDE), max(2.0, tall + 0.6))
    for node in graph.nodes:
        arriving = edges(graph, node.name)
        # edges arrive in the order of their operands' rows, apart from one another
        arriving.sort(key=lambda edge: -(bends[edge[0], node.name] or [places[edge[0]]])[-1][1])
        x, y = places[node.name]
        for k, (name, slope) in enumerate(arriving):
            port = y + BOX_HIGH / HIGH * (0.25 - 0.5 * k / (len(arriving) - 1)) if len(arriving) > 1 else y
            draw_edge(axes, places[name], (x, port), bends[name, node.name], slope)
    for node in graph.nodes:
        draw_node(axes, graph, node.name, places[node.name])
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(min(rows) - 0.6, max(rows) + 0.6)
    axes.set_axis_off()
    axes.set_title(escape(f"f = {shorten(graph.text, 70)}"), loc="left", fontsize="medium")
    axes.text(
        0.0, -0.01, "in each box: value, and below it ∂f/∂node; on each edge: the local derivative", color=GREY,
        fontsize="small", transform=axes.transAxes, va="top",
    )  # fmt: skip
    return axes


def edges(graph: Graph, name: str) -> list[tuple[str, str]]:
    """Returns the operands of a node, each once, with the local derivative as text."""
    slopes = graph.slopes(name)
    inputs = dict.fromkeys(graph.by_name[name].inputs)
    return [(other, format_value(slopes[other]) if other in slopes else "") for other in inputs]


def format_value(value: Any) -> str:
    """Returns a number as text in four digits with a true minus sign, a few numbers in brackets, or a shape."""
    if value is None:
        return "…"
    if value.numel() == 1:
        return number(float(value))
    few = value.ndim == 1 and len(value) <= 6
    return f"[{', '.join(number(float(x)) for x in value)}]" if few else f"tensor{tuple(value.shape)}"


Place = tuple[int, float]
Bend = tuple[str, str, int]  # the edge from one node to another, and a column that it passes


def layout(graph: Graph) -> tuple[dict[str, Place], dict[tuple[str, str], list[Place]]]:
    """Returns a column and a row for each node, and the places at which long edges bend.

    A node's column is its longest distance from an input.

    An edge over several columns has a row of its own in each of them, so that it passes between the boxes. A row is the
    mean of the neighbours' rows, swept forward and backward (Sugiyama's method); an input is in the column before the
    first node that uses it.
    """
    column = columns_of(graph)
    before: dict[str | Bend, list[str | Bend]] = {node.name: [] for node in graph.nodes}
    layers: dict[int, list[str | Bend]] = {}
    for node in graph.nodes:
        layers.setdefault(column[node.name], []).append(node.name)
    bends: dict[tuple[str, str], list[Bend]] = {}
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            chain: list[Bend] = [(name, node.name, x) for x in range(column[name] + 1, column[node.name])]
            bends[name, node.name] = chain
            for bend in chain:
                layers.setdefault(bend[2], []).append(bend)
            ways: list[str | Bend] = [name, *chain, node.name]
            for first, second in itertools.pairwise(ways):
                before.setdefault(second, []).append(first)
    after: dict[str | Bend, list[str | Bend]] = {thing: [] for thing in before}
    for thing, others in before.items():
        for other in others:
            after[other].append(thing)
    row: dict[str | Bend, float] = {thing: float(i) for things in layers.values() for i, thing in enumerate(things)}
    for sweep in range(SWEEPS):
        near = before if sweep % 2 == 0 else after
        for layer in sorted(layers, reverse=sweep % 2 == 1):
            wish = {}
            for thing in layers[layer]:
                rows = [row[other] for other in near[thing]] or [row[thing]]
                wish[thing] = sum(rows) / len(rows)
            assign_rows(layers[layer], wish, row)
    places = {name: (x, -row[name]) for name, x in column.items()}
    return places, {edge: [(bend[2], -row[bend]) for bend in chain] for edge, chain in bends.items()}


def columns_of(graph: Graph) -> dict[str, int]:
    column: dict[str, int] = {}
    for node in graph.nodes:
        column[node.name] = 1 + max((column[name] for name in node.inputs), default=-1)
    for node in graph.nodes:
        users = [column[other.name] for other in graph.nodes if node.name in other.inputs]
        if not node.inputs and users:
            column[node.name] = min(users) - 1
    return column


def assign_rows(things: list[Any], wish: dict[Any, float], row: dict[Any, float]) -> None:
    """Assigns rows close to the wished ones in the same order: boxes one apart, a passing edge closer."""
    things.sort(key=lambda thing: wish[thing])
    taken: list[float] = []
    for k, thing in enumerate(things):
        gap = 1.0 if isinstance(thing, str) and isinstance(things[k - 1], str) else 0.72
        taken.append(max(wish[thing], taken[-1] + gap) if taken else wish[thing])
    # pushed down by one another: shift them back so that their mean is the mean of the wishes
    shift = sum(wish[thing] for thing in things) / len(things) - sum(taken) / len(taken)
    for thing, at in zip(things, taken, strict=True):
        row[thing] = at + shift


def draw_node(axes: Axes, graph: Graph, name: str, at: tuple[int, float]) -> None:
    """Draws a box with the name and operation, the value, and the gradient."""
    node = graph.by_name[name]
    edge = {"input": GREEN, "constant": GREY}.get(node.operation, "#333333")
    result = node is graph.nodes[-1]
    x, y = at
    width, height = BOX_WIDE / WIDE, BOX_HIGH / HIGH
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=tint(edge, 0.9), edgecolor=edge, linewidth=2.0 if result else 1.1, zorder=2,
        )
    )  # fmt: skip
    heading = name if node.operation in ("input", "constant") else f"{name} = {node.text}"
    lines = [(shorten(heading, 18), "#333333", "bold" if node.operation == "input" else "normal")]
    if node.operation != "constant":
        lines.append((format_value(node.value), BLUE, "normal"))
        lines.append((f"∂ {format_value(node.gradient) if node.gradient is not None else '0'}", VERMILLION, "normal"))
    for k, (text, colour, weight) in enumerate(lines):
        offset = height * (0.29 - 0.29 * k) if len(lines) == 3 else 0.0
        axes.text(x, y + offset, text, color=colour, weight=weight, ha="center", va="center", fontsize=8, zorder=3)


def draw_edge(axes: Axes, start: Place, end: Place, bends: list[Place], slope: str) -> None:
    """Draws a line from the operand to the node, past other boxes, with the local derivative on it."""
    half = BOX_WIDE / WIDE / 2
    points = [(start[0] + half, start[1])]
    for x, y in bends:
        points += [(x - half, y), (x + half, y)]
    *way, (last_x, last_y) = points
    if way:
        axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.9, zorder=1, solid_joinstyle="round")
    axes.annotate(
        "", xy=(end[0] - half, end[1]), xytext=(last_x, last_y), zorder=1,
        arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    if slope:
        share = 0.6  # of the last piece: edges part towards their heads
        axes.text(
            last_x + share * (end[0] - half - last_x), last_y + share * (end[1] - last_y), slope, fontsize=7.5,
            color="#333333", ha="center", va="center", zorder=4,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
        )  # fmt: skip
