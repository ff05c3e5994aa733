"""Trains a config with every combination of some values, and chooses the best on the validation part."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import ConfigError
from ..runtime import interrupts
from .common import add_common, emit, note, show_progress

EXAMPLE = (
    "edunn sweep configs/digits_softmax.toml --over train.rate=0.01,0.1,1 \\\n      --over penalty.strength=0,1e-4,1e-2"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("config", help="a TOML file; configs/ has some to start from")
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=A,B,…",
        help="values to try; repeat it to try every combination",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change an option of the config; may be repeated",
    )
    add_common(parser, "a folder for the sweep (default: runs/<name>-sweep-<time>)")


def run(args: argparse.Namespace) -> int:
    """Trains all combinations and prints their table. Returns 0 if at least one run finished, else 1."""
    over = read_axes(args.over)
    from ..experiment import config as configs
    from ..experiment.sweep import as_json, sweep
    from ..runtime.processes import ranks

    common = [
        *args.set,
        *(f"run.{key}={value}" for key in ("device", "dtype", "seed") if (value := getattr(args, key)) is not None),
    ]
    found = sweep(
        lambda more: configs.load(args.config, [*common, *more]),
        over,
        args.out,
        bar=show_progress(args),
        note=lambda text: note(args, text),
        ranks=ranks(),
    )
    text = [
        str(found),
        f"  sweep       {found.folder}",
        f"  pictures    {len(found.figures)} in {found.folder}/figures",
    ]
    if found.best is not None:
        text.append(f"  again       edunn train {found.folder}/best.toml")
    emit(args, as_json(found), "\n".join(text))
    if any(entry.history.status == "interrupted" for entry in found.entries):
        return interrupts.exit_code()
    return 0 if found.best is not None else 1


def read_axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Returns the values to try by key: `train.rate=0.01,0.1` gives {"train.rate": ["0.01", "0.1"]}."""
    if not texts:
        raise ConfigError("There are no values to try. Add them, as --over train.rate=0.01,0.1,1.")
    axes: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip()
        parts = [part.strip() for part in split_values(values)]
        if not equals or not key or not all(parts):
            raise ConfigError(f"Values to try are written KEY=A,B, as --over train.rate=0.01,0.1,1; got {text!r}.")
        if key in axes:
            raise ConfigError(f"--over {key}=… is given twice. Put all its values in one.")
        if len(set(parts)) < len(parts):
            raise ConfigError(f"--over {text!r} has a value twice. Give each once.")
        axes[key] = parts
    return axes


def split_values(text: str) -> list[str]:
    """Splits at the commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
