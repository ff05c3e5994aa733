"""The command line: `edunn COMMAND …`. One module a command, loaded when the command is asked for.

A command's module has `EXAMPLE`, `arguments(parser)` and `run(args)`, which returns the exit code. It imports torch and
the rest of the package inside `run`, so that `--help` stays quick.

Exit codes: 0 done and right; 1 done, and what was checked is wrong (a gradient differs, a run diverged); 2 the input or
the usage is wrong, or stdout cannot be written; 130 interrupted by Ctrl-C, 143 by SIGTERM. Under torchrun every process
ends with the code of rank 0.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Any

from ..errors import EdunnError, nearest
from ..runtime import interrupts
from ..version import __version__
from . import ranks, terminal

COMMANDS = {
    "demo": "train and check two classifiers on handwritten digits, under a minute",
    "train": "train a model that a config file describes",
    "sweep": "train it for many values at once, and find the best",
    "predict": "labels and probabilities for new rows or images, from a run",
    "show": "summaries and curves of runs, side by side",
    "check": "hold hand-derived gradients against autograd and finite differences",
    "landscape": "the surface of a loss over its weights, with minima, plateaus and basins",
    "graph": "the computation graph of an expression, forward and backward",
    "minimise": "descent on any function of a few numbers, and the study of its numeric steps",
    "lesson": "the worked examples of the lectures: every figure recomputed, every slip named",
    "exercise": "blanks to fill in, cut from this package's own source; check grades them",
    "features": "turn images into histograms of gradients and colours, or a bag of visual words",
    "data": "what data there is, and how to get more",
    "bench": "how fast training runs here, beside this machine's ceiling",
}


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"edunn: {message}. See {self.prog} --help.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse says nothing where stdout is full


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code. Errors are one line on stderr, never a traceback."""
    argv = sys.argv[1:] if argv is None else argv
    if not terminal.prepare():
        terminal.complain("stdout is closed, and results are printed there. Redirect it to a file or to /dev/null.")
        return 2
    try:
        try:
            code = ranks.main(argv, run, COMMANDS) if ranks.several(os.environ) else run(argv)
        finally:  # also where argparse leaves after --help
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away: `edunn … | head`
        terminal.give_up_stdout()
        return 0
    except OSError as error:
        what = "stdout" if error.filename is None else error.filename
        terminal.give_up_stdout()
        terminal.complain(f"{what} cannot be read or written: {error.strerror or error}.")
        return 2
    return code


def run(argv: list[str]) -> int:
    """The same in one process."""
    overview = Parser(
        prog="edunn",
        description="Losses, linear models and descent with hand-derived gradients, to see and to check.",
        epilog="Commands:\n"
        + "".join(f"  {name:<11} {what}\n" for name, what in COMMANDS.items())
        + "\nedunn COMMAND --help shows each command's options and an example. Start with: edunn demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="edunn [-h] [--version] COMMAND …",
    )
    overview.add_argument("--version", action="version", version=f"edunn {__version__}")
    overview.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    if not argv or argv[0].startswith("-"):
        overview.parse_args(argv)
        overview.print_help()
        return 0 if not argv else 2
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        terminal.complain(f"there is no command {name!r}. {nearest(name, COMMANDS)}")
        return 2
    return run_command(name, rest)


def run_command(name: str, argv: list[str]) -> int:
    """Parses a command's arguments and runs it, with every expected error turned into a line."""
    command = importlib.import_module(f".{name}", __name__)
    parser = Parser(
        prog=f"edunn {name}",
        description=f"{(command.__doc__ or '').strip()}",
        epilog=f"Example:\n  {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.arguments(parser)
    args = parser.parse_args(argv)
    terminal.show_warnings_as_notes(getattr(args, "quiet", False))
    try:
        shared = name in ranks.SHARED and ranks.several(os.environ)
        code: int = ranks.together(command, args) if shared else command.run(args)
        sys.stdout.flush()
        return code
    except EdunnError as error:
        terminal.complain(str(error))
        return 2
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return interrupts.exit_code()
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        terminal.complain("Out of memory. Ask for fewer samples, points or outputs.")
        return 2


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: Python's own, or torch's, which is a RuntimeError with a text."""
    words = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError) or any(said in str(error) for said in words)
