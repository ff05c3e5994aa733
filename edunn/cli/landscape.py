"""The surface of a loss over (w, b), over a plane of a run's weights, or along one parameter; and what it says.

Random data that fits a problem, or two columns of a CSV file. Labels of a binary problem are 0 and 1 or -1 and +1, and
are brought to the convention of the loss. Writes surface.npz, summary.json and the figures to --out.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError
from .common import add_common, emit, note, parse_number

if TYPE_CHECKING:
    from ..landscape import Surface

MOST_POINTS = 2**27
MOST_SAMPLES = 10**8

EXAMPLE = (
    "edunn landscape --problem binary --loss mse --activation sigmoid --w=-20:20:512 --b=-20:20:512 --compare bce\n"
    "  edunn landscape --data points.csv --x x --y y --loss bce --w=-10:10:61 --b=-10:10:61 --basins --steps 3000\n"
    "  edunn landscape --run runs/digits-… --plane principal"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    what.add_argument("--problem", help="linear or binary (default: by the loss; with --data and mse, by the labels)")
    what.add_argument("--loss", default="mse", help="squared-error (mse), absolute-error (mae), huber, "
                      "binary-cross-entropy (bce), logistic, hinge, squared-hinge, perceptron or zero-one "
                      "(default: mse)")  # fmt: skip
    what.add_argument("--activation", help="identity, sigmoid or tanh, for mse (default: sigmoid if binary)")
    what.add_argument("--half", action="store_true", help="mse with the factor 1/2")
    what.add_argument("--samples", type=int, default=1000, help="of the random data (default: 1000)")
    what.add_argument("--data", metavar="FILE", help="a CSV file or npz with a header, instead of random data")
    what.add_argument("--x", metavar="COLUMN", help="the feature's column (default: x)")
    what.add_argument("--y", metavar="COLUMN", help="the target's column (default: y)")
    where = parser.add_argument_group("where")
    where.add_argument("--w", metavar="LOW:HIGH:COUNT", help="both ends included (default: from the curvature)")
    where.add_argument("--b", metavar="LOW:HIGH:COUNT", help="or one number: the curve L(w) at that b")
    where.add_argument("--method", default="auto", help="auto, direct, exact or spectral (default: auto)")
    more = parser.add_argument_group("readings and figures")
    more.add_argument("--compare", metavar="LOSS", help="a second loss on the same data, beside the first")
    more.add_argument("--same-scale", action="store_true", help="the same colours and heights for both")
    more.add_argument("--cuts", metavar="B1,B2,B3", help="where the surface is cut (default: three values of b)")
    more.add_argument("--basins", action="store_true", help="gradient descent from every grid point")
    more.add_argument("--rate", help="of that descent (default: 1)")
    more.add_argument("--steps", type=int, help="of that descent (default: 1000)")
    more.add_argument("--no-figures", action="store_true", help="numbers only")
    more.add_argument("--html", action="store_true", help="also a figure to turn, surface.html (needs plotly)")
    own = parser.add_argument_group("a run's weights")
    own.add_argument("--run", metavar="DIR", help="a run's folder")
    own.add_argument("--plane", help="random, principal, hessian, or two parameters such as "
                     "weight[0,3],weight[0,4] (default: random, filter-normalised)")  # fmt: skip
    own.add_argument("--a", metavar="LOW:HIGH:COUNT", help="along the first direction; the run is at 0")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Computes the surface, writes its folder, and prints what it says."""
    from ..experiment.folder import RunFolder
    from ..runtime.processes import ranks

    start, processes = time.perf_counter(), ranks()
    options = checked(args)
    if args.html and not args.no_figures:
        need_plotly()

    def free() -> RunFolder:
        folder = RunFolder(args.out) if args.out else RunFolder.fresh("landscape")
        folder.check_free()
        return folder

    folder = processes.lead(free)
    options |= {"split": processes.split, "load": processes.each}
    surfaces, summary, path = of_run(args, options) if args.run else of_problem(args, options)
    for name, surface in surfaces.items():
        read_off(args, options, surface, summary if name == args.loss or args.run else summary["compare"])

    def write() -> None:
        folder.create()
        figures = [] if args.no_figures else draw(args, options, surfaces, summary, path, folder.path)
        for k, (name, surface) in enumerate(surfaces.items()):
            surface.save(folder.file("surface.npz" if k == 0 else f"surface-{name}.npz"))
        summary.update(figures=figures, out=str(folder.path), total_seconds=time.perf_counter() - start)
        summary.pop("basin_result", None)
        (summary.get("compare") or {}).pop("basin_result", None)
        folder.write_json("summary.json", summary)
        emit(args, summary, text(surfaces, summary))

    processes.lead(write)
    return 0


# ---- what is asked ---------------------------------------------------------------------------------------------------


def checked(args: argparse.Namespace) -> dict[str, Any]:
    """The options that need parsing, before anything is computed or written."""
    import math

    from ..landscape import methods
    from ..runtime import devices

    if args.method not in methods.METHODS:
        raise ConfigError(f"Expected --method {', '.join(methods.METHODS)}; got {args.method!r}.")
    for flag, given, needs in (
        ("--rate", args.rate is not None, "basins"),
        ("--steps", args.steps is not None, "basins"),
        ("--same-scale", args.same_scale, "compare"),
        ("--plane", args.plane is not None, "run"),
    ):
        if given and not getattr(args, needs):
            raise ConfigError(f"Expected --{needs} beside {flag}: without it {flag} says nothing.")
    args.rate = "1" if args.rate is None else args.rate
    args.steps = 1000 if args.steps is None else args.steps
    args.plane = args.plane or "random"
    if not 1 <= args.samples <= MOST_SAMPLES:
        raise ConfigError(f"Expected --samples from 1 to {MOST_SAMPLES:,}; got {args.samples}.")
    rate = parse_number(args.rate, "--rate")
    if not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"Expected --rate above 0; got {args.rate}.")
    if args.steps < 1:
        raise ConfigError(f"Expected --steps of 1 or more; got {args.steps}.")
    if args.run and args.data:
        raise ConfigError("Expected --run or --data, not both: a run has its own data.")
    if args.w and args.run:
        raise ConfigError("Expected --a and --b beside --run: the coordinates along its two directions; got --w.")
    if args.a and not args.run:
        raise ConfigError("Expected --run beside --a; without a run the coordinates are --w and --b.")
    cuts = None
    if args.cuts is not None:
        cuts = [parse_number(part, "--cuts") for part in args.cuts.split(",")]
        if not 1 <= len(cuts) <= 3:
            raise ConfigError(f"Expected one to three values for --cuts, as -10,0,10; got {args.cuts!r}.")
        if not all(map(math.isfinite, cuts)):
            raise ConfigError(f"Expected finite numbers for --cuts; got {args.cuts!r}.")
    first, second = window("--a" if args.run else "--w", args.a if args.run else args.w), window("--b", args.b)
    if first is not None and second is not None and first[2] * second[2] > MOST_POINTS:
        raise ConfigError(
            f"Expected at most {MOST_POINTS:,} grid points, a gigabyte of values; got {first[2]:,} × {second[2]:,}."
        )
    return {
        "first": first,
        "second": second,
        "rate": rate,
        "cuts": cuts,
        "device": devices.device(args.device or "auto"),
        "dtype": devices.dtype(args.dtype or "float64"),
        "seed": args.seed or 0,
    }


def window(flag: str, given: str | None) -> tuple[float, float, int] | None:
    """LOW:HIGH:COUNT; a single number is one point."""
    if given is None:
        return None
    parts = given.split(":")
    if len(parts) == 1:
        value = parse_number(parts[0], flag)
        return value, value, 1
    if len(parts) != 3:
        raise ConfigError(f"Expected {flag} LOW:HIGH:COUNT, as -20:20:512; got {given!r}.")
    low, high = parse_number(parts[0], flag), parse_number(parts[1], flag)
    try:
        count = int(parts[2])
    except ValueError:
        raise ConfigError(f"Expected a whole number of points in {flag} LOW:HIGH:COUNT; got {parts[2]!r}.") from None
    if count > MOST_POINTS:
        raise ConfigError(f"Expected at most {MOST_POINTS:,} points in {flag}; got {count:,}.")
    from ..landscape.planes import axis

    axis(flag, (low, high, count))  # says what is wrong with it
    return low, high, count


def need_plotly() -> None:
    import importlib.util

    if importlib.util.find_spec("plotly") is None:
        raise ConfigError(
            "Expected plotly for --html; it is not installed. Install it (pip install plotly), or leave --html out."
        )


# ---- the surfaces ----------------------------------------------------------------------------------------------------


def of_problem(args: argparse.Namespace, options: dict[str, Any]) -> tuple[dict[str, Surface], dict[str, Any], Any]:
    """The (w, b) surface of one loss, or of two."""
    from ..landscape import grid, study
    from ..runtime.names import resolve

    names = [args.loss] + ([args.compare] if args.compare else [])
    losses = {name: resolve(name, study.LOSSES, "loss") for name in names}
    if args.problem is not None:
        args.problem = resolve(args.problem, study.PROBLEMS, "problem")
    x, y, source = options["load"](lambda: from_file(args)) if args.data else (None, None, "random data")
    problem = args.problem or guess(losses[args.loss], y)
    if x is None or y is None:
        x, y = study.random_data(problem, args.samples, options["seed"])
    surfaces: dict[str, Surface] = {}
    summary: dict[str, Any] = {"problem": problem, "data": source, "samples": len(x)}
    first, second = options["first"], options["second"]
    if args.compare and losses[args.compare] == losses[args.loss]:
        raise ConfigError(f"--loss {args.loss} and --compare {args.compare} are the same loss. Choose another.")
    for name in names:
        squared = losses[name] == "squared-error"
        same = name == args.loss or squared
        loss, activation = study.make_loss(name, args.activation if same else None, problem, args.half and squared)
        targets = study.targets_for(loss, activation, y, problem)
        surface = grid(
            x, targets.values, loss, first, second,
            method=args.method if name == args.loss else "auto", dtype=options["dtype"], device=options["device"],
            split=options["split"],
        )  # fmt: skip
        # the second surface lies over the first's window
        first, second = surface.first, surface.second
        surfaces[name] = surface
        about = {"loss": name, "activation": activation, "labels": targets.convention}
        about |= {"w": ends(first), "b": ends(second)}
        if name == args.loss:
            summary |= about
        else:
            summary["compare"] = about
    return surfaces, summary, None


def from_file(args: argparse.Namespace) -> tuple[Any, Any, str]:
    """x and y from two columns."""
    from ..data import read_table

    column, target = args.x or "x", args.y or "y"
    samples = read_table(args.data, target=target, features=[column], task="real")
    if samples.targets is None or len(samples) == 0:
        raise DataError(f"Expected rows in {args.data}; there are none.")
    return samples.features[:, 0].double(), samples.targets.double(), str(args.data)


def guess(loss: str, y: Any) -> str:
    """The problem that was not named: binary for the losses of labels, and for mse on a file of zeros and ones."""
    if loss in ("absolute-error", "huber"):
        return "linear"
    if loss != "squared-error":
        return "binary"
    return "binary" if y is not None and bool(((y == 0) | (y == 1)).all()) else "linear"


def of_run(args: argparse.Namespace, options: dict[str, Any]) -> tuple[dict[str, Surface], dict[str, Any], Any]:
    """The surface over a plane of a run's weights, on its own training data."""
    from ..experiment import load
    from ..experiment.build import prepare
    from ..landscape import directions, plane

    if args.compare:
        raise ConfigError("Expected --compare without --run: a run has one loss.")
    loaded = options["load"](lambda: load(args.run))
    prepared = options["load"](lambda: prepare(loaded.config))
    model, train = loaded.model.to(options["dtype"]), prepared.train.to(dtype=options["dtype"]).loaded()
    path = None
    kind = args.plane
    if kind == "random":
        seed = options["seed"]
        first, second = directions.filter_normalised(model, 2 * seed), directions.filter_normalised(model, 2 * seed + 1)
    elif kind == "principal":
        first, second = directions.principal(loaded.history)
    elif kind == "hessian":
        first, second = directions.hessian(model, prepared.loss, (train.features, train.targets))
    elif kind.count("],") == 1:
        one, two = (part + "]" * (not part.endswith("]")) for part in kind.split("],"))
        first, second = directions.parameter(model, one), directions.parameter(model, two)
    else:
        raise ConfigError(
            f"Expected --plane random, principal, hessian, or two parameters such as weight[0,3],weight[0,4]; "
            f"got {kind!r}."
        )
    if len(loaded.history.snapshots) > 1:
        path = directions.projected(model, [w for _, w in loaded.history.snapshots], first, second)
    surface = plane(
        model, prepared.loss, (train.features, train.targets), first, second, options["first"], options["second"],
        method=args.method, penalty=prepared.penalty, split=options["split"],
    )  # fmt: skip
    summary = {"run": str(args.run), "plane": kind, "samples": len(train), "loss": surface.loss}
    summary |= {"a": ends(surface.first), "b": ends(surface.second)}
    return {"run": surface}, summary, path


def ends(axis: Any) -> list[float]:
    """Low, high, count: the window as it was used."""
    return [float(axis[0]), float(axis[-1]), len(axis)]


# ---- what it says ----------------------------------------------------------------------------------------------------


def read_off(args: argparse.Namespace, options: dict[str, Any], surface: Surface, summary: dict[str, Any]) -> None:
    """Adds the readings of one surface to its part of the summary."""
    from ..landscape import analysis

    summary |= {"method": surface.method, "error": surface.error, "seconds": surface.seconds, "min": surface.lowest}
    summary |= {"not_finite": surface.not_finite}
    summary["minima"] = surface.minima()
    summary["plateau_fraction"] = surface.plateaus(1e-3, 1e-6)
    shape = analysis.convexity(surface)
    summary |= {"convex": shape.convex, "convex_by": shape.by, "smallest_curvature": shape.smallest}
    summary["condition"], summary["hint"] = surface.condition()
    summary["note"] = remark(surface, summary)
    if len(surface.second) == 1 and not args.run:
        summary["limits"] = analysis.limits(surface)
    if args.basins:
        result = surface.basins(options["rate"], args.steps)
        summary["basins"] = result.summary()
        summary["basin_result"] = result


def remark(surface: Surface, summary: dict[str, Any]) -> str | None:
    """What the numbers alone would leave to guess."""
    if "ZeroOne" in surface.loss:
        return "the zero-one loss is flat wherever it has a gradient: every point is a plateau, and descent cannot move"
    if not any(m["kind"] == "minimum" for m in summary["minima"]):
        if any(m["kind"] == "runaway" for m in summary["minima"]):
            return "the loss has no minimum here: it keeps falling towards infinity (separable data do that)"
        return "no minimum was found from the lowest grid points"
    return None


def draw(
    args: argparse.Namespace,
    options: dict[str, Any],
    surfaces: dict[str, Surface],
    summary: dict[str, Any],
    path: Any,
    folder: Path,
) -> list[str]:
    """The figures, as PNG and SVG; their paths."""
    from .. import figures

    written: list[str] = []

    def keep(axes: Any, name: str) -> None:
        for kind in ("png", "svg"):
            written.append(str(figures.save(axes, folder / "figures" / f"{name}.{kind}")))

    named = list(surfaces.items())
    flat = len(named[0][1].second) == 1
    cuts = options["cuts"] or middle_cuts(named[0][1])
    if flat:
        keep(figures.cuts(dict(named), at=[float(named[0][1].second[0])], title=title(args, *named[0])), "curve")
    else:
        for name, surface in named:
            end = "" if len(named) == 1 else f"-{name}"
            head = title(args, name, surface)
            part = summary if name == args.loss or args.run else summary["compare"]
            keep(figures.surface_3d(surface, sections=cuts, title=head), f"surface{end}")
            keep(figures.contour(surface, path=path, title=head), f"contour{end}")
            keep(figures.gradient_field(surface, title=f"Minus the gradient: {head}"), f"gradient{end}")
            if args.basins:
                keep(figures.basin_map(surface, part["basin_result"], title=head), f"basins{end}")
        if len(named) == 2:
            (one, first), (two, second) = named
            heads = title(args, one, first), title(args, two, second)
            keep(figures.comparison(first, second, cuts, args.same_scale, heads)[0], "comparison")
        else:
            keep(figures.cuts(named[0][1], at=cuts, title=f"Cuts: {title(args, *named[0])}"), "cuts")
    if args.html and not flat:
        from ..figures.interactive import surface_html

        written.append(
            str(surface_html(named[0][1], folder / "figures" / "surface.html", cuts, title(args, *named[0])))
        )
    note(args, f"figures in {folder / 'figures'}")
    return written


def title(args: argparse.Namespace, name: str, surface: Surface) -> str:
    """What a figure's head says."""
    if args.run:
        return f"{Path(args.run).name}: loss over the {args.plane} plane"
    _, through, activation = surface.loss.partition(",")[0].partition(" through ")
    through += activation.lower()
    data = Path(args.data).name if args.data else f"{args.samples} random samples"
    return f"{name}{through}, {data}"


def middle_cuts(surface: Surface) -> list[float]:
    """Three values of the second coordinate: a quarter, the middle and three quarters of the window."""
    low, high = float(surface.second[0]), float(surface.second[-1])
    return [low + (high - low) * part for part in (0.25, 0.5, 0.75)]


def text(surfaces: dict[str, Surface], summary: dict[str, Any]) -> str:
    """The result for a reader."""
    blocks = []
    for k, surface in enumerate(surfaces.values()):
        part = summary if k == 0 else summary["compare"]
        lines = [str(surface)]
        for found in part["minima"][:5]:
            where = ", ".join(f"{name} = {found[name]:.8g}" for name in surface.names)
            lines.append(f"{found['kind']:<10}  {found['loss']:.10g} at {where}")
        if len(part["minima"]) > 5:
            lines.append(f"            and {len(part['minima']) - 5} more, in summary.json")
        share = ", ".join(f"{value:.2%} below {key}" for key, value in part["plateau_fraction"].items())
        lines.append(f"plateaus    gradient norm: {share}")
        answer = {True: "yes", False: "no", None: "cannot be told"}[part["convex"]]
        lines.append(f"convex      {answer} (by {part['convex_by']})")
        if "basins" in part:
            basin = part["basins"]
            lines.append(f"basins      {basin['best_fraction']:.2%} end within 1e-3 of {basin['best_loss']:.8g}")
        lines += [f"{key:<10}  {part[key]}" for key in ("note", "hint") if part.get(key)]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, f"written to {shlex.quote(summary['out'])}"])
