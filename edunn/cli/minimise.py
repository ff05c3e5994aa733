"""Minimises a function of a few numbers by gradient descent, until f changes by less than --tol.

The gradient comes from autograd, from central differences (--gradient numeric), or by hand
(--by-hand NAME=EXPRESSION for each name). --study shows how the error of numeric derivatives
depends on their step --delta. With --out the path (of one or two names) or the study's curves are
drawn into that folder.
Exit 0: stopped by the tolerance, or after all steps; 1: diverged.
"""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_common, emit, note, out_folder

EXAMPLE = 'edunn minimise "x**2 + y**2 + 3*x + 3" --start x=0 y=0 --rate 0.01 --tol 1e-7'


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("expression", help="such as 'x**2 + y**2 + 3*x + 3'")
    parser.add_argument("--start", nargs="+", metavar="NAME=VALUE", required=True, help="the start, such as x=0 y=0")
    parser.add_argument("--rate", type=float, default=0.01, help="step size (default: 0.01)")
    parser.add_argument("--tol", type=float, default=1e-7, help="stop when f changes by less (default: 1e-7)")
    parser.add_argument("--steps", type=int, default=10_000, help="the largest number of steps (default: 10000)")
    parser.add_argument("--gradient", choices=("autograd", "numeric"), default="autograd",
                        help="how to differentiate (default: autograd)")  # fmt: skip
    parser.add_argument("--delta", type=float, help="step of the numeric gradient (default: 6.1e-06)")
    parser.add_argument("--by-hand", nargs="+", metavar="NAME=EXPRESSION", help="partial derivatives, such as x=2*x+3")
    parser.add_argument("--study", action="store_true", help="show the error of differences by step, at --start")
    add_common(parser, out="a folder for the figures and minimise.json", device=False)


def run(args: argparse.Namespace) -> int:
    """Minimises, or studies the step of the numeric derivative. Returns 1 if the descent diverged, else 0."""
    from ..graph import parse
    from ..minimise import minimise, step_study
    from .graph import parse_assignments

    function, start = parse(args.expression), parse_assignments(args.start)
    if args.study:
        study = step_study(function, start)
        if args.out:
            draw(args, study.as_dict(), "step_study", lambda figures: figures.step_study(study, marks=(1e-15,)))
        emit(args, study.as_dict(), str(study))
        return 0
    gradient: Any = parse_derivatives(args.by_hand) if args.by_hand else args.gradient
    found = minimise(function, start, args.rate, args.tol, args.steps, gradient, args.delta)
    if args.out:
        draw(args, found.as_dict(), "minimise", lambda figures: figures.descent_path(found, function))
    emit(args, found.as_dict(), str(found))
    if args.json:
        for text in found.warnings:
            note(args, f"warning: {text}")
    return 1 if found.stopped == "diverged" else 0


def parse_derivatives(pairs: list[str]) -> dict[str, str]:
    """Returns the expressions by name that `x=2*x+3 y=2*y` gives."""
    from ..errors import ConfigError

    found = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip().isidentifier():
            raise ConfigError(f"A derivative is written NAME=EXPRESSION, such as x=2*x+3; got {pair!r}.")
        found[name.strip()] = text
    return found


def draw(args: argparse.Namespace, result: dict[str, Any], name: str, picture: Any) -> None:
    """Draws the figure and writes the numbers into the folder of --out."""
    import json

    from ..figures import save, steps
    from ..runtime.files import strict

    axes = picture(steps)
    folder = out_folder(args.out)
    for path in (folder / f"{name}.png", folder / f"{name}.svg"):
        save(axes, path)
        note(args, f"wrote {path}")
    (folder / f"{name}.json").write_text(json.dumps(strict(result), allow_nan=False, indent=1) + "\n", encoding="utf-8")
