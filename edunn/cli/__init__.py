"""The command line: `edunn COMMAND …`. Each command is a module, imported when it is used.

A command's module has `EXAMPLE`, `arguments(parser)` and `run(args)`, which returns the exit code. It imports torch and
the rest of the package inside `run`, so that `--help` is fast.

Exit codes: 0 success; 1 the check failed (a gradient differs, a run diverged); 2 wrong input or usage, or stdout cannot
be written; 130 interrupted by Ctrl-C, 143 by SIGTERM. Under torchrun every process ends with the code of rank 0.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from ..errors import EdunnError, nearest
from ..runtime import guesses, interrupts
from ..runtime.drawing import files_only
from ..runtime.progress import quiet
from ..version import __version__
from . import ranks, terminal

COMMANDS = {
    "demo": "train and check two classifiers on handwritten digits, under a minute",
    "train": "train a model that a config describes, or on a table of your own",
    "sweep": "train a config with many values at once, and find the best",
    "predict": "predict labels and probabilities of new rows or images with a run's model",
    "show": "print and draw the results of runs, side by side",
    "check": "compare hand-derived gradients with autograd and finite differences",
    "landscape": "compute the surface of a loss over its weights, with minima, plateaus and basins",
    "play": "open the live page: surfaces on your samples, and update rules that race down them",
    "graph": "show the computation graph of an expression, forward and backward",
    "minimise": "minimise any function of a few numbers, or study its numeric derivative",
    "lesson": "recompute the worked examples of the lectures, and name every mistake",
    "exercise": "write an exercise with blanks to fill in; check grades it",
    "features": "turn images into histograms of gradients and colours, or a bag of visual words",
    "data": "look at a table; list, download or convert data",
    "config": "list the configs that come along, or write one to start from",
    "bench": "measure how fast training runs on this machine",
}


WIDEST = 100  # columns of a help

# What others call an option of every command.
FLAGS = {
    "o": "out", "output": "out", "output_dir": "out", "outdir": "out", "save": "out", "q": "quiet", "silent": "quiet",
    "gpu": "device", "cuda": "device", "overwrite": "force", "f": "force",
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        terminal.complain(f"{message}. {self.hint(message)}See {self.prog} --help.")
        self.exit(2)

    def hint(self, message: str) -> str:
        """Returns the option that was meant, as `Did you mean --out? `, or nothing."""
        _, unknown, rest = message.partition("unrecognized arguments: ")
        given = rest.split()[0].partition("=")[0] if unknown and rest.split() else ""
        if not given.startswith("-"):
            return ""
        word = given.lstrip("-").replace("-", "_").lower()
        own = {option.lstrip("-").replace("-", "_"): option for option in self._option_string_actions}
        meant = FLAGS.get(word) or guesses.rename(word, own)
        close = [meant] if meant else difflib.get_close_matches(word, own, n=1, cutoff=0.7)
        return f"Did you mean {own[close[0]]}? " if close and close[0] in own else ""

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
    """Runs one command in this process, and returns the exit code."""
    if any("\0" in word for word in argv):
        terminal.complain("an argument holds a NUL character. Remove it.")
        return 2
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
        terminal.complain(f"{name!r} is not a command. {nearest(name, COMMANDS)}")
        return 2
    return run_command(name, rest)


def make_parser(name: str, command: Any) -> Parser:
    """Returns the parser of a command. Its help is at most 100 columns wide, whatever the terminal."""
    width = min(shutil.get_terminal_size().columns, WIDEST) - 2
    parser = Parser(
        prog=f"edunn {name}",
        description=f"{(command.__doc__ or '').strip()}",
        epilog=f"Example:\n  {command.EXAMPLE}",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=width),
    )
    command.arguments(parser)
    return parser


def run_command(name: str, argv: list[str]) -> int:
    """Parses a command's arguments and runs it. Prints each expected error as one line."""
    command = importlib.import_module(f".{name}", __name__)
    parser = make_parser(name, command)
    args = parser.parse_args(argv)
    terminal.show_warnings_as_notes(getattr(args, "quiet", False))
    try:
        shared = name in ranks.SHARED and ranks.several(os.environ)
        with files_only(), quiet(getattr(args, "quiet", False)):
            code: int = ranks.run_shared(command, args) if shared else command.run(args)
        sys.stdout.flush()
        return code
    except EdunnError as error:
        terminal.complain(say(error, name))
        return 2
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return interrupts.exit_code()
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        terminal.complain("Out of memory. Ask for fewer samples, points or outputs.")
        return 2


def say(error: EdunnError, name: str) -> str:
    """Returns an error's message; the options that would cure a table as those of the command."""
    spelled: Callable[[Callable[..., str]], str] | None = getattr(error, "spelled", None)
    if spelled is None:
        return str(error)
    from ..data.table_options import in_flags, in_sets

    return spelled(in_sets if name in ("check", "lesson", "sweep") else in_flags)


def out_of_memory(error: Exception) -> bool:
    """Returns whether memory ran out: a MemoryError, or a RuntimeError of torch with such a text."""
    words = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError) or any(text in str(error) for text in words)
