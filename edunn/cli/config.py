"""Lists the configs that come along, or writes one to start from.

`edunn train NAME` runs one as it is.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..errors import ConfigError
from .common import add_common, emit

EXAMPLE = "edunn config --list\n  edunn config digits_softmax --out my.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("name", nargs="?", help="the config's name (default: list all)")
    parser.add_argument("--list", action="store_true", help="list all names, with a sentence each")
    add_common(parser, "the file to write (default: print it)", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints the list, or prints or writes a config. Returns 0."""
    from ..experiment import shipped

    if args.name is None or args.list:
        if args.name is not None or args.out:
            raise ConfigError("--list takes neither a name nor --out. Write edunn config NAME --out FILE.")
        return show(args)
    path = None if args.out is None else Path(args.out)
    text = shipped.text(args.name, None if path is None else shlex.quote(str(path)))
    result = {"name": args.name, "config": text, "out": args.out}
    if path is None:
        emit(args, result, text.rstrip("\n"))
        return 0
    if path.exists():
        hint = "It is a folder." if path.is_dir() else "It is not overwritten."
        raise ConfigError(f"{path} exists. {hint} Choose another --out.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder {path.parent} cannot be created: {error.strerror}.") from None
    from ..runtime.files import write_atomically

    write_atomically(path, text)
    emit(args, result, f"written to {path}\nNext:\n  edunn train {shlex.quote(str(path))}")
    return 0


def show(args: argparse.Namespace) -> int:
    """Lists all configs."""
    from ..experiment import shipped

    found = {name: shipped.about(name) for name in shipped.names()}
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {about}" for name, about in found.items()]
    text = "\n".join(["Configs that come along:", *lines, "Next:", "  edunn train digits_softmax",
                      "  edunn config digits_softmax --out my.toml"])  # fmt: skip
    emit(args, {"configs": [{"name": name, "about": about} for name, about in found.items()]}, text)
    return 0
