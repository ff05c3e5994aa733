"""Train a config for every combination of some values, many at once; the best is chosen on the validation part."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import ConfigError
from .common import add_common, emit, note, show_progress

EXAMPLE = "edunn sweep configs/digits_softmax.toml --over train.rate=0.01,0.1,1 --over penalty.strength=0,1e-4,1e-2"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a TOML file; configs/ has some to start from")
    parser.add_argument(
        "--over", action="append", default=[], metavar="KEY=A,B,…", help="values to try; may be repeated: every pair"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="lay a value over the config's; may be repeated"
    )
    add_common(parser, "folder for the sweep (default: runs/<name>-sweep-<time>)")


def run(args: argparse.Namespace) -> int:
    """Trains all combinations and prints their table: 0 where at least one run finished."""
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
        return 130
    return 0 if found.best is not None else 1


def read_axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """`train.rate=0.01,0.1` as a key and its values, each as it would stand behind --set train.rate=."""
    if not texts:
        raise ConfigError("Expected values to try, like --over train.rate=0.01,0.1,1; got none.")
    axes: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip()
        parts = [part.strip() for part in split(values)]
        if not equals or not key or not all(parts):
            raise ConfigError(f"Expected values to try, like --over train.rate=0.01,0.1,1; got {text!r}.")
        if key in axes:
            raise ConfigError(f"Expected each key once; got --over {key}=… twice. Put all of its values behind one.")
        if len(set(parts)) < len(parts):
            raise ConfigError(f"Expected each value once; got {text!r}.")
        axes[key] = parts
    return axes


def split(text: str) -> list[str]:
    """At the commas that stand in no bracket and no quotes."""
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
