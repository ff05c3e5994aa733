"""Writes an exercise with blanks to fill in, cut from the package's own source; edunn check grades it.

edunn exercise --list                      every exercise, its lesson and its formula
edunn exercise NAME --out FILE.py          a file with the formula and blanks (else to stdout)
edunn exercise NAME --solution             the same file with the solution, the package's code

Where EDUNN_TEACHER_KEY is set, to the SHA-256 of a teacher's key, solutions open with --key alone.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import sys
from pathlib import Path

from .common import add_common, emit, note

EXAMPLE = "edunn exercise cross-entropy --out mine.py && edunn check mine.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("name", nargs="?", help="the name of an exercise")
    parser.add_argument("--list", action="store_true", help="print every exercise with its formula")
    parser.add_argument("--solution", action="store_true", help="write the solution instead of blanks")
    parser.add_argument("--key", help="the teacher's key, where solutions are closed")
    add_common(parser, out="a new file for the exercise (default: print it)", device=False)


def is_open(key: str | None) -> bool:
    """Whether solutions may be shown: no teacher has set a key, or this one is it."""
    expected = os.environ.get("EDUNN_TEACHER_KEY", "").strip().lower()
    return not expected or hmac.compare_digest(hashlib.sha256((key or "").encode()).hexdigest(), expected)


def run(args: argparse.Namespace) -> int:
    """Lists the exercises, or writes one to --out or stdout. Returns 0."""
    from ..errors import ConfigError
    from ..exercises import EXERCISES, named, write_blank
    from ..runtime.files import write_atomically

    if args.list:
        rows = [
            {"name": e.name, "lesson": e.lesson, "formula": e.formula.replace("\n", " ")} for e in EXERCISES.values()
        ]
        emit(args, {"exercises": rows}, "\n".join(f"{row['name']:<24} {row['formula']}" for row in rows))
        return 0
    if args.name is None:
        raise ConfigError("Which exercise? Name one; edunn exercise --list shows them all.")
    name = named(args.name).name
    if args.solution and not is_open(args.key):
        raise ConfigError("Solutions are closed here. Give the teacher's --key.")
    text = write_blank(name, args.solution)
    if args.out:
        path = Path(args.out)
        if path.exists():
            raise ConfigError(f"{path} exists and is not overwritten. Choose another --out.")
        try:
            write_atomically(path, text)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}. Choose another --out.") from None
        next_move = "check it" if args.solution else "fill in the blanks"
        note(args, f"wrote {path}; {next_move}: edunn check {path}")
    if args.json:
        emit(args, {"exercise": name, "solution": args.solution, "path": args.out, "text": text}, "")
    elif not args.out:
        sys.stdout.write(text)
    return 0
