"""The options and the output that all commands share: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ConfigError


def add_common(parser: argparse.ArgumentParser, out: str = "a folder for the results", device: bool = True) -> None:
    """Adds --json, --out and --quiet; with `device` also --device, --dtype and --seed."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", metavar="PATH", help=out)
    parser.add_argument("--quiet", action="store_true", help="print no progress and no notes")
    if device:
        parser.add_argument("--device", default=None, help="auto, cpu or cuda (default: auto)")
        parser.add_argument("--dtype", default=None, help="float32 or float64")
        parser.add_argument("--seed", type=int, default=None, help="seed of all random numbers (default: 0)")


def emit(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    """Prints the result: as strict JSON with --json, else as text."""
    from ..runtime.files import strict

    print(json.dumps(strict(result), allow_nan=False) if args.json else text)


def note(args: argparse.Namespace, text: str) -> None:
    """Prints a line on stderr, unless --quiet."""
    if not args.quiet:
        with contextlib.suppress(OSError):  # a full stderr is not a reason to stop
            print(text, file=sys.stderr)


def show_progress(args: argparse.Namespace) -> bool:
    """Returns whether to show a progress bar: on a terminal, and not with --quiet."""
    return not args.quiet and sys.stderr.isatty()


def parse_number(text: str, name: str) -> float:
    """Returns a number from the command line. Raises ConfigError for other text."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number; got {text!r}.") from None


def out_folder(path: str) -> Path:
    """Returns the folder of --out, created if needed."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder {path} cannot be created: {error.strerror}. Choose another --out.") from None
    return folder
