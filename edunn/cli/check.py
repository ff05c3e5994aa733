"""Check hand-derived gradients against autograd and finite differences, and name the mistake.

  edunn check                      every gradient of this package, in float64
  edunn check FILE.py[:NAME]       a hand-in: a class with value and gradient (or forward and
                                   backward), or functions
  edunn check FOLDER               every hand-in of a folder, each in its own process
  edunn check CONFIG.toml          the config's run by hand and by torch.optim, in lock step

A function without a gradient (an update rule, a histogram, a vote) is compared with the package's
own, case by case. `edunn exercise NAME --out FILE.py` writes a file to fill in.

The code in a hand-in is executed, with your rights: grade strangers' files in a container.
Exit 0: all right; 1: something is wrong; 2: the input is wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_common, emit, note

EXAMPLE = "edunn exercise cross-entropy --out mine.py && edunn check mine.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("target", nargs="?", help="FILE.py, FILE.py:NAME, a folder of them, or CONFIG.toml")
    parser.add_argument("--template", nargs="?", const="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each hand-in (default: 20)")
    parser.add_argument("--memory-limit", type=int, default=2048, help="MiB for each hand-in (default: 2048)")
    parser.add_argument("--jobs", type=int, default=2, help="hand-ins graded at a time (default: 2)")
    parser.add_argument("--steps", type=int, default=200, help="steps of CONFIG.toml to compare (default: 200)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change an option of CONFIG.toml"
    )
    add_common(parser, out="a file for the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Checks the target and prints the result. Returns 0 if all is right, else 1."""
    from ..errors import ConfigError

    if not 0 < args.time_limit < float("inf") or args.memory_limit <= 0 or args.jobs < 1:
        raise ConfigError("--time-limit, --memory-limit and --jobs must be finite and above 0.")
    if args.template is not None:
        words = "--list" if args.template == "list" else f"{args.template} --out {args.out or 'mine.py'}"
        raise ConfigError(f"edunn check only grades. To write a blank, use edunn exercise {words}")
    if args.target is None:
        return check_package(args)
    path, _, name = args.target.partition(".py:")
    if name:
        return check_handins(args, f"{path}.py", name)
    if Path(args.target).is_dir():
        return check_handins(args, args.target, None)
    if args.target.endswith(".py"):
        return check_handins(args, args.target, "")
    if args.target.endswith(".toml"):
        return check_config(args)
    raise ConfigError(f"{args.target!r} cannot be checked. Name FILE.py, FILE.py:NAME, a folder or CONFIG.toml.")


def check_package(args: argparse.Namespace) -> int:
    """Checks every gradient of this package; with --device also that the device computes the same numbers."""
    from ..gradcheck import everything
    from ..runtime import devices

    name = "cuda" if args.device == "all" else args.device or "cpu"
    other = None if name in ("auto", "cpu") else devices.device(name)  # raises before the work starts
    certificate = everything(args.seed or 0)
    result, text = certificate.as_dict(), str(certificate)
    passed = certificate.passed
    if other is not None:
        from ..gradcheck.parity import compare_devices

        parity = compare_devices(str(other), args.seed or 0)
        result |= {"parity": parity.as_dict()}
        passed = passed and parity.passed
        result["passed"] = passed
        text += f"\n\n{parity}"
    finish(args, result, text)
    return 0 if passed else 1


def check_config(args: argparse.Namespace) -> int:
    """Trains the config by hand and by torch.optim, and compares the weights after each step."""
    from ..descent.conventions import conventions
    from ..descent.lockstep import lockstep
    from ..errors import ConfigError
    from ..experiment import config as configs
    from ..experiment.build import prepare

    if args.steps < 1:
        raise ConfigError(f"--steps must be 1 or more; got {args.steps}.")
    # float64 unless asked for: after 200 steps float32 differs by rounding alone
    given = [f'run.dtype="{args.dtype or "float64"}"', f'run.device="{args.device or "cpu"}"']
    given += [f"run.seed={args.seed}"] if args.seed is not None else []
    run = prepare(configs.load(args.target, [*args.set, *given])).descent
    exact = type(run.rule).__name__ in ("GradientDescent", "Momentum", "Nesterov")
    tolerance = 1e-4 if args.dtype == "float32" else 1e-12 if exact else 1e-10
    found = lockstep(
        run.model, run.loss, run.train, rate=run.rate, steps=args.steps, batch_size=run.batch_size,
        penalty=run.penalty, rule=run.rule, schedule=run.schedule, seed=run.seed, tolerance=tolerance,
    )  # fmt: skip
    others = conventions(run, args.steps, tolerance)
    result = {
        "passed": found.passed, "config": args.target, "steps": found.steps, "tolerance": tolerance,
        "largest": found.largest, "step": found.step, "parameter": found.parameter,
        "first": None if found.first is None else {"step": found.first[0], "parameter": found.first[1]},
        "conventions": [one.as_dict() for one in others],
    }  # fmt: skip
    finish(args, result, "\n".join([f"by hand and by torch.optim: {found}", *(f"  {one}" for one in others)]))
    return 0 if found.passed else 1


def check_handins(args: argparse.Namespace, path: str, name: str | None) -> int:
    """Grades a file (`name` is "" or a name in it), or a folder (`name` is None)."""
    from ..errors import ConfigError
    from ..exercises.processes import end_all_on_signal, grade_file, grade_folder
    from ..exercises.report import describe

    def report(found: list[dict[str, Any]]) -> None:
        note(args, "\n".join(f"{Path(one['file']).name}: {one['status']}" for one in found))

    seed, limits = args.seed or 0, (args.time_limit, args.memory_limit)
    with end_all_on_signal():
        if name is None:
            several = grade_folder(path, seed, *limits, args.jobs, after_each=report)
        else:
            several = grade_file(path, name, seed, *limits)
        if name and several[0]["status"] == "missing":
            raise ConfigError(several[0]["message"])
    passed = all(one["passed"] for one in several)
    counts: dict[str, int] = {}
    for one in several:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    result = {"passed": passed, "counts": counts, "handins": several}
    finish(args, result, "\n\n".join(describe(one) for one in several))
    return 0 if passed else 1


def finish(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    """Prints the result, and writes it to --out."""
    if args.out:
        import json

        from ..errors import ConfigError
        from ..runtime.files import strict

        try:
            Path(args.out).write_text(json.dumps(strict(result), allow_nan=False, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{args.out} cannot be written: {error.strerror}. Choose another --out.") from None
        note(args, f"wrote {args.out}")
    emit(args, result, text)
