"""Blanks to fill in, cut from the package's own source; edunn check grades them.

edunn exercise --list                      every exercise, its lesson and its formula
edunn exercise NAME --out FILE.py          a file with the formula and blanks (without --out: to stdout)
edunn exercise NAME --solution             the same file with the package's code
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .common import add_common, emit, note

EXAMPLE = "edunn exercise cross-entropy --out mine.py && edunn check mine.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="an exercise's name")
    parser.add_argument("--list", action="store_true", help="every exercise, its lesson and its formula")
    parser.add_argument("--solution", action="store_true", help="the package's code in place of the blanks")
    add_common(parser, out="the student's file, which must not be there yet", device=False)


def run(args: argparse.Namespace) -> int:
    """Lists the exercises, or writes one to --out, and to stdout without it."""
    from ..errors import ConfigError
    from ..exercises import blanks
    from ..runtime.files import write_atomically

    if args.list:
        every = blanks.EXERCISES.values()
        told = [{"name": e.name, "lesson": e.lesson, "formula": e.formula.replace("\n", " ")} for e in every]
        emit(args, {"exercises": told}, "\n".join(f"{e['name']:<22} {e['formula']}" for e in told))
        return 0
    if args.name is None:
        raise ConfigError("Expected an exercise's name, or --list.")
    args.name = blanks.get(args.name).name
    text = blanks.text(args.name, args.solution)
    if args.out:
        path = Path(args.out)
        if path.exists():
            raise ConfigError(f"Expected a file that is not there yet; {path} is. It may hold somebody's work.")
        try:
            write_atomically(path, text)
        except OSError as error:
            raise ConfigError(f"Expected a path to write to; {path}: {error.strerror}.") from None
        note(
            args, f"wrote {path}; " + ("check it" if args.solution else "fill in the blanks") + f": edunn check {path}"
        )
    if args.json:
        emit(args, {"exercise": args.name, "solution": args.solution, "path": args.out, "text": text}, "")
    elif not args.out:
        sys.stdout.write(text)
    return 0
