"""Shows the computation graph of an expression: each node's value, local derivatives, gradient.

Expressions have numbers, names, e, pi, + - * / ** and exp, log, sqrt, sin, cos, tan, tanh, sigmoid,
relu, abs, max, min. They are never evaluated as Python. Put -- before one that starts with a minus:
edunn graph -- "-x**2" x=3.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .common import add_common, emit, note, out_folder, parse_number

if TYPE_CHECKING:
    from ..graph import Graph

EXAMPLE = 'edunn graph "(2*a+b)*(c-d)" a=3 b=4 c=5 d=6'


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("expression", help="such as 'x**2 + sin(y)'")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="a value for each name")
    add_common(parser, out="a folder for graph.png, graph.svg and graph.json", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints the graph with its values and gradients, and draws it into --out. Returns 0."""
    from ..graph import build, parse

    graph = build(parse(args.expression), **parse_assignments(args.values))
    result = graph.as_dict()
    if args.out:
        for path in draw(graph, result, args.out):
            note(args, f"wrote {path}")
    emit(args, result, str(graph))
    return 0


def parse_assignments(pairs: list[str]) -> dict[str, float]:
    """Returns the numbers by name that `a=3 b=4` gives."""
    from ..errors import ConfigError

    values = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        name = name.strip()
        if not sign or not name.isidentifier():
            raise ConfigError(f"A value is written NAME=VALUE, such as a=3; got {pair!r}.")
        if name in values:
            raise ConfigError(f"{name} has two values. Give one.")
        values[name] = parse_number(text, name)
    return values


def draw(graph: Graph, result: dict[str, Any], out: str) -> list[str]:
    """Draws the graph and writes its numbers into a folder. Returns the files."""
    import json

    from ..figures import save
    from ..figures.graphs import computation_graph
    from ..runtime.files import strict

    axes = computation_graph(graph)
    folder = out_folder(out)
    paths = [folder / "graph.png", folder / "graph.svg", folder / "graph.json"]
    for path in paths[:2]:
        save(axes, path)
    paths[2].write_text(json.dumps(strict(result), allow_nan=False, indent=1) + "\n", encoding="utf-8")
    return [str(path) for path in paths]
