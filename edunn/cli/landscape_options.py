"""The options of `edunn landscape`, and the checks before anything is computed or written."""

from __future__ import annotations

import argparse
import importlib.util
import math
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .common import add_common, add_figure_options, figure_look, parse_number
from .table_options import READING, add_table_options

MOST_POINTS = 2**27
MOST_SAMPLES = 10**8
MOST_CUTS = 3

Window = tuple[float, float, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options, then those of every command."""
    problem = parser.add_argument_group("problem")
    problem.add_argument(
        "--problem", help="linear or binary (default: from the loss; for mse with --data, from the labels)"
    )
    problem.add_argument("--loss", default="mse", help="squared-error (mse), absolute-error (mae), huber, "
                         "binary-cross-entropy (bce), logistic, hinge, squared-hinge, perceptron or zero-one "
                         "(default: mse)")  # fmt: skip
    problem.add_argument("--activation", help="identity, sigmoid or tanh, for mse (default: sigmoid if binary)")
    problem.add_argument("--half", action="store_true", help="mse with the factor 1/2")
    problem.add_argument("--samples", type=int, default=1000, help="number of random samples (default: 1000)")
    problem.add_argument("--data", metavar="FILE", help="a CSV file with a header, or npz (default: random data)")
    problem.add_argument("--x", metavar="COLUMN", default="x", help="the feature's column (default: x)")
    problem.add_argument("--y", metavar="COLUMN", default="y", help="the target's column (default: y)")
    grid = parser.add_argument_group("grid")
    grid.add_argument(
        "--w", metavar="LOW:HIGH:COUNT", help="values of w, both ends included (default: from the curvature)"
    )
    grid.add_argument(
        "--b",
        metavar="LOW:HIGH:COUNT",
        help="values of b, or one number: the curve L(w) at that b (default: from the curvature)",
    )
    grid.add_argument("--method", default="auto", help="auto, direct, exact or spectral (default: auto)")
    more = parser.add_argument_group("readings and figures")
    more.add_argument("--compare", metavar="LOSS", help="a second loss on the same data, to compare (default: none)")
    more.add_argument("--same-scale", action="store_true", help="draw both losses with the same colours and heights")
    more.add_argument(
        "--cuts", metavar="B1,B2,B3", help="one to three values of b to draw sections at (default: three)"
    )
    more.add_argument(
        "--basins", action="store_true", help="run gradient descent from every grid point, and count where it ends"
    )
    more.add_argument("--rate", help="step size of that descent (default: 1)")
    more.add_argument("--steps", type=int, help="number of its steps (default: 1000)")
    more.add_argument("--no-figures", action="store_true", help="draw no figures")
    more.add_argument(
        "--html", action="store_true", help="also write an interactive figure, surface.html (needs plotly)"
    )
    own = parser.add_argument_group("a run's weights")
    own.add_argument("--run", metavar="DIR", help="a run's folder: a plane through its weights (default: none)")
    own.add_argument("--plane", help="random, principal, hessian, or two parameters such as "
                     "weight[0,3],weight[0,4] (default: random, filter-normalised)")  # fmt: skip
    own.add_argument(
        "--a",
        metavar="LOW:HIGH:COUNT",
        help="steps along the first direction; the run is at 0 (default: from the curvature)",
    )
    add_table_options(parser, READING, "the table of --data")
    add_figure_options(parser, "png,svg")
    add_common(parser, "a folder for the surface and figures (default: runs/landscape-<time>)", force=True)


@dataclass(frozen=True)
class Options:
    """The options that need parsing. `first` and `second` are windows (low, high, count), or None for the default."""

    first: Window | None
    second: Window | None
    rate: float
    steps: int
    cuts: tuple[float, ...] | None
    plane: str
    device: Any
    dtype: Any
    seed: int
    look: Any  # of the figures


def parse_options(args: argparse.Namespace) -> Options:
    """Returns the parsed options. Raises ConfigError for wrong values and combinations."""
    from ..landscape import methods
    from ..runtime import devices

    check_together(args)
    if args.method not in methods.METHODS:
        raise ConfigError(f"--method is one of {', '.join(methods.METHODS)}; got {args.method!r}.")
    if not 1 <= args.samples <= MOST_SAMPLES:
        raise ConfigError(f"--samples is from 1 to {MOST_SAMPLES:,}; got {args.samples}.")
    rate = parse_number("1" if args.rate is None else args.rate, "--rate")
    if not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"--rate is a step size above 0; got {args.rate}.")
    steps = 1000 if args.steps is None else args.steps
    if steps < 1:
        raise ConfigError(f"--steps is 1 or more; got {args.steps}.")
    first, second = (
        parse_window("--a" if args.run else "--w", args.a if args.run else args.w),
        parse_window("--b", args.b),
    )
    check_size(first, second, bool(args.run))
    return Options(
        first=first,
        second=second,
        rate=rate,
        steps=steps,
        cuts=parse_cuts(args.cuts),
        plane=args.plane or "random",
        device=devices.device(args.device or "auto"),
        dtype=devices.dtype(args.dtype or "float64"),
        seed=args.seed or 0,
        look=figure_look(args),
    )


def check_together(args: argparse.Namespace) -> None:
    """Raises ConfigError for an option without the one that it needs, or with one that it excludes."""
    for flag, given, needs in (
        ("--rate", args.rate is not None, "basins"),
        ("--steps", args.steps is not None, "basins"),
        ("--same-scale", args.same_scale, "compare"),
        ("--plane", args.plane is not None, "run"),
        ("--a", args.a is not None, "run"),
    ):
        if given and not getattr(args, needs):
            raise ConfigError(f"{flag} needs --{needs}. Add --{needs}, or leave {flag} out.")
    for flag, given, why in (
        ("--data", args.data, "a run has its own data"),
        ("--w", args.w, "the coordinates along its two directions are --a and --b"),
        ("--compare", args.compare, "a run has one loss"),
    ):
        if given and args.run:
            raise ConfigError(f"--run and {flag} exclude each other: {why}.")
    if args.html and not args.no_figures and importlib.util.find_spec("plotly") is None:
        raise ConfigError(
            "--html needs plotly, which is not installed. Install it: pip install 'edunn-torch[interactive]'."
        )


def parse_cuts(text: str | None) -> tuple[float, ...] | None:
    """Returns the values of --cuts, one to three finite numbers."""
    if text is None:
        return None
    values = tuple(parse_number(part, "--cuts") for part in text.split(","))
    if len(values) > MOST_CUTS:
        raise ConfigError(f"--cuts takes one to three values, as -10,0,10; got {text!r}.")
    if not all(map(math.isfinite, values)):
        raise ConfigError(f"--cuts takes finite numbers; got {text!r}.")
    return values


def parse_window(flag: str, text: str | None) -> Window | None:
    """Returns (low, high, count) from LOW:HIGH:COUNT; a single number is one point."""
    from ..landscape.planes import axis

    if text is None:
        return None
    parts = text.split(":")
    if len(parts) == 1:
        value = parse_number(text, flag)
        return value, value, 1
    if len(parts) != 3:
        raise ConfigError(f"{flag} is LOW:HIGH:COUNT, as -20:20:512; got {text!r}.")
    low, high = parse_number(parts[0], flag), parse_number(parts[1], flag)
    try:
        count = int(parts[2])
    except ValueError:
        raise ConfigError(f"The COUNT of {flag} LOW:HIGH:COUNT is a whole number; got {parts[2]!r}.") from None
    if count > MOST_POINTS:
        raise ConfigError(f"{flag} takes at most {MOST_POINTS:,} points; got {count:,}.")
    axis(flag, (low, high, min(count, 1000)))  # raises if the window is empty or reversed
    return low, high, count


def check_size(first: Window | None, second: Window | None, run: bool) -> None:
    """Raises ConfigError for a grid of more than `MOST_POINTS` points."""
    from ..landscape.windows import PLANE_POINTS, POINTS

    default = PLANE_POINTS if run else POINTS
    rows, columns = (default if window is None else window[2] for window in (first, second))
    if rows * columns > MOST_POINTS:
        raise ConfigError(
            f"A grid has at most {MOST_POINTS:,} points, a gigabyte of values; {rows:,} × {columns:,} are more. "
            f"Ask for fewer points."
        )
