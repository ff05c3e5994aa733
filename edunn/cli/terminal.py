"""Prepares stdout and stderr for any encoding, also if they are closed or full, so that no traceback appears."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from typing import Any

from ..errors import EdunnWarning

LONG = re.compile(r"\S{200,}")  # a path or a value of a few thousand letters


def prepare() -> bool:
    """Makes stdout and stderr safe to print on, and returns whether stdout is open.

    A letter that the terminal's encoding lacks is printed as "?". A closed stream is opened on the null device: its
    file number would otherwise go to the next file that is opened, and output would be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return sys.stdout is not None


def complain(text: str) -> None:
    """Prints a line on stderr, if it can be written. The middle of a very long word is left out."""
    text = LONG.sub(lambda word: f"{word[0][:100]}…{word[0][-20:]}", text)
    with contextlib.suppress(OSError, ValueError):
        print(f"edunn: {text}", file=sys.stderr, flush=True)


def give_up_stdout() -> None:
    """Discards what is still to be printed; the interpreter would else try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_warnings_as_notes(quiet: bool) -> None:
    """Prints the package's own warnings as a line each, or not at all."""
    warnings.filterwarnings("ignore", module="PIL")  # of an image that is then refused, or is right
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, EdunnWarning):
            before(message, category, *where, **more)
        elif not quiet:
            with contextlib.suppress(OSError, ValueError):
                print(f"note: {message}", file=sys.stderr)

    warnings.showwarning = show
