"""What data there is, and how to get more."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ConfigError, DataError
from .common import add_common, emit, note, show_progress

EXAMPLE = "edunn data list\n  edunn data get cifar10"

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("list", "get", "import", "clear"),
        help="list: what is here, and how to get the rest; get: download; import: take an archive that you have; "
        "clear: empty the cache of features",
    )
    parser.add_argument("what", nargs="?", help="get: cifar10; import: the archive; clear: features (default) or all")
    parser.add_argument("--url", default=URL, help="get: a mirror of the binary archive; its sha256 is checked")
    add_common(parser, device=False)


def run(args: argparse.Namespace) -> int:
    if args.what is not None and args.action == "list":
        raise ConfigError(f"Expected edunn data list alone; got {args.what!r} behind it.")
    return {"list": show, "get": get, "import": take, "clear": clear}[args.action](args)


def show(args: argparse.Namespace) -> int:
    """What is embedded, what is kept, and what can be had."""
    from .. import data, places
    from ..data import cifar10
    from ..features import cache

    sources: list[dict[str, Any]] = [
        dict(zip(("name", "description", "samples", "features"), source, strict=True)) for source in data.SOURCES
    ]
    width = max(len(source["name"]) for source in sources)
    lines = [
        f"{s['name']:<{width}}  {s['samples']:>7} samples × {s['features']:<9} {s['description']}" for s in sources
    ]
    kept, entries = cifar10.kept(), cache.entries()
    total = sum(entry.size for entry in entries)
    here = f"here: {kept}" if kept else "not here; edunn data get cifar10 (170 MB), or edunn data import ARCHIVE"
    text = (
        'Embedded, or made by a formula; in a config: [data] name = "…"\n'
        + "\n".join(f"  {line}" for line in lines)
        + '\n\nPublished; in a config: [data] name = "…"\n'
        + f"  {'cifar10':<{width}}  {60000:>7} samples × {3072:<9} colour images of 32×32 pixels, 10 classes; {here}"
        + '\n\nYour own; in a config: [data] path = "…"\n'
        "  a CSV or npz file     one row a sample; columns are named in the first line; target = the one to predict\n"
        "  a folder or a zip     one folder of pictures a class, or such folders under train/ and test/\n"
        "  CIFAR-10              the binary or Python archive, or the folder that it unpacks to"
        + f"\n\nFeatures kept in {places.cache()}: {len(entries)}, {megabytes(total)}"
        + "".join(f"\n  {e.kind:<{width}}  {e.samples:>7} × {e.width:<9} {megabytes(e.size)}" for e in entries)
        + ("\n  edunn data clear removes them" if entries else "")
    )
    result = {
        "sources": sources,
        "cifar10": {"path": None if kept is None else str(kept), "get": "edunn data get cifar10"},
        "cache": {
            "folder": None if places.cache() is None else str(places.cache()),
            "bytes": total,
            "entries": [
                {"kind": e.kind, "samples": e.samples, "width": e.width, "bytes": e.size, "path": str(e.path)}
                for e in entries
            ],
        },
    }
    emit(args, result, text)
    return 0


def get(args: argparse.Namespace) -> int:
    """Downloads CIFAR-10's binary archive, or the rest of it."""
    from tqdm import tqdm

    from ..data import cifar10
    from ..data.download import download

    if args.what != "cifar10":
        raise ConfigError(f"Expected edunn data get cifar10; got {args.what!r}. It is the one set that can be had.")
    archive, place = cifar10.BINARY, store()
    bar = tqdm(total=archive.size, unit="B", unit_scale=True, disable=not show_progress(args), leave=False)

    def progress(here: int, size: int) -> None:
        bar.update(here - bar.n)

    with bar:
        try:
            path = download(args.url, place / archive.name, archive.sha256, archive.size, progress)
        except KeyboardInterrupt:
            note(args, "edunn: interrupted; the same command goes on from here")
            raise
    emit(args, {"path": str(path), "sha256": archive.sha256, "bytes": archive.size}, f'{path}\n[data] name = "cifar10"')
    return 0


def take(args: argparse.Namespace) -> int:
    """Copies an archive that the user has into the cache, once its sha256 is known to be right."""
    from pathlib import Path

    from ..data import cifar10, files
    from ..data.download import keep

    if args.what is None:
        raise ConfigError("Expected the archive of CIFAR-10 to import: edunn data import cifar-10-binary.tar.gz.")
    source = files.existing(Path(args.what), "an archive of CIFAR-10")
    if source.is_dir() or not cifar10.is_cifar10(source):
        raise DataError(
            f"Expected cifar-10-binary.tar.gz or cifar-10-python.tar.gz; got '{source}'. "
            f"Folders, zips and tables are used where they lie: [data] path = {str(source)!r}."
        )
    archive, digest = cifar10.which_archive(source)
    path = keep(source, store() / archive.name, digest)
    emit(args, {"path": str(path), "sha256": digest, "bytes": archive.size}, f'{path}\n[data] name = "cifar10"')
    return 0


def clear(args: argparse.Namespace) -> int:
    """Removes the features that are kept; `all`: what was downloaded as well."""
    from ..features import cache

    if args.what not in (None, "features", "all"):
        raise ConfigError(f"Expected edunn data clear, clear features or clear all; got {args.what!r}.")
    freed = cache.clear()
    if args.what == "all":
        folder = store()
        for path in folder.glob("cifar-10-*") if folder.is_dir() else ():
            freed += path.stat().st_size
            path.unlink()
    emit(args, {"bytes": freed}, f"{megabytes(freed)} removed")
    return 0


def store() -> Any:
    """The folder of archives."""
    from .. import places

    top = places.cache()
    if top is None:
        raise ConfigError("Expected a folder to keep data in; EDUNN_CACHE is set to nothing. Unset it, or name one.")
    return top / "data"


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
