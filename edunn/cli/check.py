"""Hold hand-derived gradients against autograd and finite differences, and name the mistake.

  edunn check                      every activation, loss, penalty, layer and model of this package, in float64
  edunn check FILE.py[:NAME]       a hand-in: a class with value and gradient (or forward and backward), or functions
  edunn check FOLDER               every hand-in of a folder, each in a process of its own, to grade with
  edunn check CONFIG.toml          the config's run by hand and by torch.optim, in lock step
  edunn check --template TASK      a file for a student, with the gradient, or the function, left blank

A function without a gradient (an update rule, a histogram, a vote) is held against the package's own, case by case.

The code in a hand-in is executed, with your rights: grade strangers' files in a container.
Exit 0: all right; 1: something is wrong; 2: the input is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .common import add_common, emit, note

EXAMPLE = "edunn check --template cross-entropy --out mine.py && edunn check mine.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", help="FILE.py, FILE.py:NAME, a folder of them, or CONFIG.toml")
    parser.add_argument("--template", metavar="TASK", help="write a student's file; 'list' names the tasks")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each hand-in (default: 20)")
    parser.add_argument("--memory-limit", type=int, default=2048, help="MiB for each hand-in (default: 2048)")
    parser.add_argument("--jobs", type=int, default=2, help="hand-ins graded at a time (default: 2)")
    parser.add_argument("--steps", type=int, default=200, help="of CONFIG.toml in lock step (default: 200)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change an option of CONFIG.toml"
    )
    add_common(parser, out="a file: the template, or the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints a certificate, a lock step, grades or a template: 0 where all is right, 1 where something is wrong."""
    from ..errors import ConfigError

    if not 0 < args.time_limit < float("inf") or args.memory_limit <= 0 or args.jobs < 1:
        raise ConfigError("Expected --time-limit, --memory-limit and --jobs above 0, and finite.")
    if args.template is not None:
        if args.target is not None:
            raise ConfigError("Expected --template TASK or something to check; got both.")
        return write_template(args)
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
    raise ConfigError(f"Expected FILE.py, FILE.py:NAME, a folder or CONFIG.toml to check; got {args.target!r}.")


def check_package(args: argparse.Namespace) -> int:
    """Everything that this package derived by hand; with a device, the parity report beside it."""
    from ..gradcheck import everything
    from ..runtime import devices

    name = "cuda" if args.device == "all" else args.device or "cpu"
    other = None if name in ("auto", "cpu") else devices.device(name)  # refused before the work, not after
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
    """The config's run by hand and by torch.optim, in lock step, and beside other conventions."""
    from ..descent.conventions import conventions
    from ..descent.lockstep import lockstep
    from ..errors import ConfigError
    from ..experiment import config as configs
    from ..experiment.build import prepare

    if args.steps < 1:
        raise ConfigError(f"Expected --steps of 1 or more; got {args.steps}.")
    # float64 unless asked for: what float32 rounds away after 200 steps is no disagreement
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
    """A file (name is "" or a NAME in it) or a folder (None)."""
    from ..errors import ConfigError
    from ..exercises.grading import ending_all, grade_file, grade_folder

    seed, limits = args.seed or 0, (args.time_limit, args.memory_limit)
    with ending_all():
        if name is None:
            several = grade_folder(path, seed, *limits, args.jobs, after_each=lambda found: note(args, headline(found)))
        else:
            several = grade_file(path, name, seed, *limits)
        if name and several[0]["status"] == "missing":
            raise ConfigError(several[0]["message"])
    passed = all(one["passed"] for one in several)
    counts: dict[str, int] = {}
    for one in several:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    result = {"passed": passed, "counts": counts, "handins": several}
    finish(args, result, "\n\n".join(described(one) for one in several))
    return 0 if passed else 1


def headline(found: list[dict[str, Any]]) -> str:
    return "\n".join(f"{Path(one['file']).name}: {one['status']}" for one in found)


def described(one: dict[str, Any]) -> str:
    """One hand-in for a reader."""
    title = Path(one["file"]).name + (f", {one['name']}" if one["name"] else "")
    task = f" ({one['task']})" if one["task"] else ""
    lines = [f"{title}{task}: {one['status']}"]
    for row in one["rows"]:
        of_function = "hand_vs_package" in row
        error = row["hand_vs_package" if of_function else "hand_vs_numeric"]
        shown = "" if error is None else f": relative error {error:.1e}"
        extra = f" ({row['note']})" if row["note"] else ""
        what = "case" if of_function else "gradient in"
        lines.append(f"  {what} {row['parameter']}{shown}, {'right' if row['passed'] else 'WRONG'}{extra}")
    for mistake in one["mistakes"]:
        for k, said in enumerate(mistake["mistakes"]):
            lines.append(f"  {'probably' if k == 0 else 'or'} ({of_what(mistake, said)}): {said['says']}")
        if not mistake["mistakes"] and mistake["worst"]:
            what = "" if mistake["term"] == "case" else "the gradient in "
            lines.append(f"  no known mistake gives {what}{mistake['parameter']}; where it differs most:")
            lines += [
                f"    {e['index']}: yours {number(e['hand'])}, right {number(e['right'])}" for e in mistake["worst"]
            ]
    if not one["mistakes"] and not one["passed"]:
        lines.append(f"  {one['message']}")
    return "\n".join([*lines, *(f"  note: {text}" for text in one["notes"])])


def of_what(mistake: dict[str, Any], said: dict[str, str]) -> str:
    """What a mistake is said of: the argument of a gradient; a mistake in a function by its name."""
    return said["name"] if mistake["term"] == "case" else str(mistake["parameter"])


def number(value: float | None) -> str:
    """A number out of JSON, where one that is not finite is null."""
    return "not finite" if value is None else f"{value:.6g}"


def write_template(args: argparse.Namespace) -> int:
    """A student's file, to --out or to stdout."""
    from ..errors import ConfigError
    from ..exercises import FUNCTIONS, TASKS, template

    if args.template == "list":
        formulas = {name: task.formula for name, task in TASKS.items()}
        formulas |= {name: task.formula for name, task in FUNCTIONS.items()}
        lines = [f"{name:<26} {formula.replace(chr(10), ' ')}" for name, formula in formulas.items()]
        emit(args, {"tasks": list(formulas)}, "\n".join(lines))
        return 0
    text = template(args.template)
    if args.out:
        path = Path(args.out)
        if path.exists():
            raise ConfigError(f"Expected a file that is not there yet; {path} is. It may hold somebody's work.")
        write(path, text)
        note(args, f"wrote {path}; fill in the blank, then: edunn check {path}")
    if args.json:
        emit(args, {"task": args.template, "path": args.out, "text": text}, "")
    elif not args.out:
        sys.stdout.write(text)
    return 0


def finish(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    """Prints the result, and writes it where --out says."""
    if args.out:
        import json

        from ..runtime.files import strict

        write(Path(args.out), json.dumps(strict(result), allow_nan=False, indent=1) + "\n")
        note(args, f"wrote {args.out}")
    emit(args, result, text)


def write(path: Path, text: str) -> None:
    from ..errors import ConfigError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Expected a path to write to; {path}: {error.strerror}.") from None
