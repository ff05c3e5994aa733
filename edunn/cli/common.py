"""The options and the output that all commands share: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..figures.style import Look


def add_common(
    parser: argparse.ArgumentParser, out: str = "a folder for the results", device: bool = True, force: bool = False
) -> None:
    """Adds --json, --out and --quiet; with `device` also --device, --dtype and --seed; with `force` --force."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", metavar="PATH", help=out)
    if force:
        parser.add_argument("--force", action="store_true", help="replace the run that --out holds (default: refuse)")
    parser.add_argument("--quiet", action="store_true", help="print no progress and no notes")
    if device:
        parser.add_argument("--device", default=None, help="auto, cpu or cuda (default: auto)")
        parser.add_argument("--dtype", default=None, help="float32 or float64 (default: the config's, else float32)")
        parser.add_argument("--seed", type=int, default=None, help="seed of all random numbers (default: 0)")


def add_figure_options(parser: argparse.ArgumentParser, formats: str = "png") -> None:
    """Adds --title, --size, --dpi and --format of the figures."""
    group = parser.add_argument_group("figures")
    group.add_argument("--title", help="the title (default: what each figure shows)")
    group.add_argument("--size", metavar="WxH", help="the size in inches, such as 8x4.5 (default: each one's own)")
    group.add_argument("--dpi", type=int, default=150, help="pixels an inch of a PNG (default: 150)")
    group.add_argument("--format", default=formats, metavar="A,B", help=f"of png, svg and pdf (default: {formats})")


def figure_look(args: argparse.Namespace) -> Look:
    """Returns what `add_figure_options` asks for."""
    from ..figures.style import Look

    return Look.read(args.title, args.size, args.dpi, args.format)


TRAIN = {"epochs": int, "rate": float, "batch_size": str, "steps": int}
TRAIN_HELP = {
    "epochs": "passes over the samples",
    "rate": "the step size",
    "batch_size": "samples a step, or full",
    "steps": "the largest number of steps",
}


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of [train] that are changed most: --epochs 3 is --set train.epochs=3."""
    for name, kind in TRAIN.items():
        words = ["--" + name.replace("_", "-"), *(["--lr"] if name == "rate" else [])]
        parser.add_argument(
            *words, dest=f"train_{name}", type=kind, metavar="N" if kind is not float else "RATE",
            help=f"{TRAIN_HELP[name]} (default: the config's)",
        )  # fmt: skip


def train_overrides(args: argparse.Namespace) -> list[str]:
    """Returns the options of `add_train_options` that were given, as overrides of the config."""
    given = {name: getattr(args, f"train_{name}") for name in TRAIN}
    return [f"train.{name}={value}" for name, value in given.items() if value is not None]


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
