"""The options of a table on the command line: `--target kind --missing mean`."""

from __future__ import annotations

import argparse
from typing import Any

LISTS = ("features", "exclude", "na_values", "names", "categories")
READING = ("missing", "na_values", "delimiter", "decimal", "thousands", "encoding", "comment", "header", "names")

HELP = {
    "target": ("COLUMN", "the column to predict (default: the last)"),
    "features": ("A,B,…", "the columns that are features (default: all but the target)"),
    "exclude": ("A,B,…", "columns that are not features (default: none)"),
    "task": ("TASK", "what the target is: classes or real (default: text and whole numbers are classes)"),
    "weight": ("COLUMN", "the column that says what each sample counts (default: none)"),
    "categories": ("one-hot|A,B,…", "columns of text to encode one-hot (default: none)"),
    "missing": ("WHAT", "empty cells, NA and ?: error, drop their rows, or mean (default: error)"),
    "na_values": ("A,B,…", "more texts that mean missing, such as -9 (default: none)"),
    "delimiter": ("SIGN", "the sign between cells, tab or blanks (default: found)"),
    "decimal": ("SIGN", "the decimal sign (default: a point)"),
    "thousands": ("SIGN", "the sign between thousands (default: none)"),
    "encoding": ("NAME", "of the text, such as cp1252 (default: utf-8)"),
    "comment": ("SIGN", "the sign that begins a comment (default: none)"),
    "header": ("LINE", "the line that holds the columns' names (default: the first, unless it is data)"),
    "names": ("A,B,…", "the columns' names, for a file without a header (default: x1, x2, …)"),
}


def add_table_options(
    parser: argparse.ArgumentParser, only: tuple[str, ...] = tuple(HELP), what: str = "a table"
) -> None:
    """Adds the options, in a group of their own."""
    group = parser.add_argument_group(f"options of {what}, as in [data] of a config")
    for name in only:
        metavar, text = HELP[name]
        repeated: dict[str, Any] = {"action": "append"} if name in LISTS else {}
        group.add_argument("--" + name.replace("_", "-"), metavar=metavar, help=text, **repeated)
        if name == "header":
            group.add_argument(
                "--no-header", dest="header", action="store_const", const="false", help="the file has none"
            )


def table_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that were given, as a config has them."""
    found: dict[str, Any] = {}
    for name in HELP:
        value = getattr(args, name, None)
        if value is None:
            continue
        if name in LISTS:
            # a name that holds a comma is written on its own: --exclude='a, b' --exclude=c
            value = value if len(value) > 1 else [part.strip() for part in value[0].split(",")]
            value = "one-hot" if value == ["one-hot"] else value
        elif name == "header":
            value = {"true": True, "false": False}.get(value.lower(), int(value) if value.isdecimal() else value)
        found[name] = value
    return found
