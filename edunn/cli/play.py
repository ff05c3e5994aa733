"""Opens the live page: the exact surface of a loss on your samples, and update rules that race down it.

The page runs in your browser, and this command computes what it shows. Nothing leaves this machine: the server answers
to the printed address alone. Ctrl-C ends it, and so does half an hour without a request.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLE = "edunn play\n  edunn play --data points.csv --x size --y price --no-browser"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--data", metavar="FILE", help="a CSV or npz file with your samples (default: random ones)")
    parser.add_argument("--x", default="x", help="the file's column for x (default: x)")
    parser.add_argument("--y", default="y", help="the file's column for y (default: y)")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    parser.add_argument("--state", default="", metavar="#…", help="what a page's address ends in, to start from there")


def run(args: argparse.Namespace) -> int:
    """Serves the page until it is stopped. Returns 0."""
    from ..errors import check_count
    from ..play import need_packages

    check_count("--port", args.port, 0, 65_535)
    need_packages()
    from ..play.answers import Answers
    from ..play.run import Server, open_browser

    columns, chosen = read_file(args)
    state = args.state
    if columns and not state:
        state = "data=file"
    server = Server(Answers(columns, chosen), args.port, state)

    def ready() -> None:
        print(f"The page is at {server.address}", flush=True)
        print("Ctrl-C ends it.", file=sys.stderr, flush=True)
        if not args.no_browser:
            open_browser(server.address)

    server.run(ready)
    return 0


def read_file(args: argparse.Namespace) -> tuple[dict[str, Tensor], tuple[str, str]]:
    """Returns the file's two columns by their names; nothing without a file."""
    if args.data is None:
        return {}, ("", "")
    from ..landscape.study import read_columns

    x, y = read_columns(args.data, args.x, args.y)
    return {args.x: x, args.y: y}, (args.x, args.y)
