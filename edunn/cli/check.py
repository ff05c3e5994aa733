"""Check hand-derived gradients against autograd and finite differences, and name the mistake.

  edunn check                      every gradient of this package, in float64
  edunn check FILE.py[:NAME]       a hand-in: a class with value and gradient (or forward and
                                   backward), or functions; notebooks too
  edunn check FOLDER | CLASS.zip   every hand-in of a class: files, one folder a student, zip files
  edunn check CONFIG.toml          the config's run by hand and by torch.optim, in lock step

A function without a gradient (an update rule, a histogram, a vote) is compared with the package's
own, case by case. `edunn exercise NAME --out FILE.py` writes a file to fill in.

The mark is made in a process that the hand-in never runs in. The code in a hand-in is executed,
with your rights: grade strangers' files in a container.
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
    parser.add_argument(
        "target", nargs="?", help="FILE.py, FILE.py:NAME, a notebook, a folder or zip file of them, or CONFIG.toml"
    )
    parser.add_argument("--template", nargs="?", const="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--time-limit", type=float, default=10.0, help="CPU seconds for each hand-in (default: 10)")
    parser.add_argument("--memory-limit", type=int, default=2048, help="MiB for each hand-in (default: 2048)")
    parser.add_argument("--jobs", type=int, default=2, help="hand-ins graded at a time (default: 2)")
    parser.add_argument("--expect", metavar="TASK[=POINTS],…", help="the tasks that were set; what is missing is wrong")
    parser.add_argument("--students", metavar="FILE", help="the class list: one name a line, or a table with a header")
    parser.add_argument("--student", metavar="NAME", help="take all that is found as this student's")
    parser.add_argument("--csv", metavar="FILE", help="write the table student × task, for a spreadsheet")
    parser.add_argument(
        "--allow", metavar="SOURCE,…",
        help="what a gradient may be derived by: autograd, differences, package, solution or none (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--with", dest="adapter", metavar="ADAPTER.py", help="how the course's own functions are called"
    )
    parser.add_argument("--course", help="a known course whose functions are handed in (default: found out)")
    parser.add_argument("--explain", action="store_true", help="derive the term that is wrong, line by line")
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
    path, _, name = args.target.rpartition(":")
    if name and path.lower().endswith((".py", ".ipynb")):
        return check_handins(args, path, name)
    if Path(args.target).is_dir() or args.target.lower().endswith(".zip"):
        return check_handins(args, args.target, None)
    if args.target.lower().endswith((".py", ".ipynb")):
        return check_handins(args, args.target, "")
    if args.target.endswith(".toml"):
        return check_config(args)
    raise ConfigError(
        f"{args.target!r} cannot be checked. Name FILE.py, FILE.py:NAME, a notebook, a folder or zip file of them, "
        f"or CONFIG.toml."
    )


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
    """Grades a file (`name` is "" or a name in it), or a class (`name` is None)."""
    from ..errors import ConfigError
    from ..exercises import courses, marks, processes
    from ..exercises.classes import grade_alone, grade_class
    from ..exercises.report import describe

    def report(found: list[dict[str, Any]]) -> None:
        note(args, "\n".join(f"{Path(one['file']).name}: {one['status']}" for one in found))

    allowed = None if args.allow is None else marks.read_allowed(args.allow)
    listed = None if args.students is None else marks.read_class(args.students)
    course = "" if args.course is None else courses.check_course(args.course)
    options = processes.Options(args.seed or 0, args.time_limit, args.memory_limit, find_adapter(args.adapter), course)
    with processes.end_all_on_signal():
        if name is None:
            graded = grade_class(path, options, args.jobs, report, args.student)
        else:
            graded = grade_alone(path, name, options, args.student)
    if name and graded.grades[0]["status"] == "missing":
        raise ConfigError(graded.grades[0]["message"])
    grades = [marks.judge_sources(one, allowed) for one in graded.grades]
    expected = None
    if args.expect is not None:
        expected = marks.read_expected(args.expect, {one["name"] for one in grades if one["name"]})
        grades = marks.add_missing(grades, expected)
    table = marks.make_marks(grades, expected, listed)
    passed = all(one["passed"] for one in grades if expected is None or marks.is_expected(one, expected))
    passed = passed and all(row.handins for row in table.rows)
    counts: dict[str, int] = {}
    for one in grades:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    result = {
        "passed": passed, "counts": counts, "handins": grades, "students": table.as_list(), "limits": graded.limits,
    }  # fmt: skip
    if args.csv:
        write_text(args.csv, table.write_csv(), "--csv")
        note(args, f"wrote {args.csv}")
    for limit in graded.limits if name is None else ():  # of strangers' files; a student checks their own
        note(args, limit)
    text = "\n\n".join(describe(one, args.explain) for one in grades)
    if len(table.rows) > 1 or expected or listed:
        text += f"\n\n{table}"
    finish(args, result, text)
    return 0 if passed else 1


def find_adapter(path: str | None) -> str:
    """Returns the full path of an adapter; "" where there is none."""
    from ..errors import ConfigError

    if path is None:
        return ""
    if not Path(path).is_file():
        raise ConfigError(f"There is no adapter {path}. --with names a Python file.")
    return str(Path(path).resolve())


def finish(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    """Prints the result, and writes it to --out."""
    if args.out:
        import json

        from ..runtime.files import strict

        write_text(args.out, json.dumps(strict(result), allow_nan=False, indent=1) + "\n", "--out")
        note(args, f"wrote {args.out}")
    emit(args, result, text)


def write_text(path: str, text: str, option: str) -> None:
    """Writes a file. Raises ConfigError where that does not work."""
    from ..errors import ConfigError

    try:
        Path(path).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}. Choose another {option}.") from None
