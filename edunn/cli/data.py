"""What data there is, and how to use it."""

from __future__ import annotations

import argparse

from .common import add_common, emit

EXAMPLE = "edunn data list"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list",), help="list: what is here")
    add_common(parser, device=False)


def run(args: argparse.Namespace) -> int:
    from .. import data

    width = max(len(source.name) for source in data.SOURCES)
    lines = [f"{s.name:<{width}}  {s.samples:>6,} samples × {s.features:<5,} {s.description}" for s in data.SOURCES]
    text = (
        'Embedded, or made by a formula; in a config: [data] name = "…"\n'
        + "\n".join(f"  {line}" for line in lines)
        + '\n\nYour own; in a config: [data] path = "…"\n'
        "  a CSV or npz file     one row a sample; columns are named in the first line; target = the one to predict\n"
        "  a folder or a zip     one folder of pictures a class, or such folders under train/ and test/"
    )
    emit(args, {"sources": [source._asdict() for source in data.SOURCES]}, text)
    return 0
