"""What data there is, and how to get more."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError, DataError
from .common import add_common, emit, note, show_progress

EXAMPLE = "edunn data list\n  edunn data get cifar10\n  edunn data shards cifar10 --out cifar10-shards"

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("list", "get", "import", "clear", "shards", "verify"),
        help="list: what is here, and how to get the rest; get: download; import: take an archive that you have; "
        "clear: empty the cache of features; shards: write a data set as a folder of shards, which is trained from "
        "without being loaded; verify: read such a folder through and compare every sha256",
    )
    parser.add_argument(
        "what",
        nargs="?",
        help="get: cifar10; import: the archive; clear: features (default) or all; shards: a data set's name or path; "
        "verify: the folder",
    )
    parser.add_argument("--url", default=URL, help="get: a mirror of the binary archive; its sha256 is checked")
    parser.add_argument("--target", help="shards: the column of a table to predict (default: the last)")
    parser.add_argument("--targets", help="shards: the .npy file of targets that belongs to a .npy file of features")
    parser.add_argument("--store", help="shards: float32, float64 or uint8 (default: as the numbers are)")
    parser.add_argument("--shard-mib", type=int, help="shards: MiB of features in a file (default: 256)")
    add_common(parser, "shards: the folder, new or empty", device=False)


def run(args: argparse.Namespace) -> int:
    """Lists, fetches, imports or stores data, or holds stored shards against their checksums."""
    if args.what is not None and args.action == "list":
        raise ConfigError(f"Expected edunn data list alone; got {args.what!r} behind it.")
    for option in ("target", "targets", "store", "shard_mib", "out"):
        if getattr(args, option) is not None and args.action != "shards":
            raise ConfigError(f"Expected --{option.replace('_', '-')} beside edunn data shards alone.")
    actions = {"list": show, "get": get, "import": take, "clear": clear, "shards": shards, "verify": verify}
    return actions[args.action](args)


def show(args: argparse.Namespace) -> int:
    """What is embedded, what is kept, and what can be had."""
    from .. import data
    from ..data import cifar10
    from ..features import cache
    from ..runtime import files

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
        "  CIFAR-10              the binary or Python archive, or the folder that it unpacks to\n"
        "  larger than memory    a .npy file (and targets = another), or a folder that edunn data shards has written"
        + f"\n\nFeatures kept in {files.cache()}: {len(entries)}, {megabytes(total)}"
        + "".join(f"\n  {e.kind:<{width}}  {e.samples:>7} × {e.width:<9} {megabytes(e.size)}" for e in entries)
        + ("\n  edunn data clear removes them" if entries else "")
    )
    result = {
        "sources": sources,
        "cifar10": {"path": None if kept is None else str(kept), "get": "edunn data get cifar10"},
        "cache": {
            "folder": None if files.cache() is None else str(files.cache()),
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
    from ..runtime.names import find

    if find(args.what or "", ["cifar10"], "data set") is None:
        raise ConfigError(f"Only cifar10 can be downloaded; got {args.what!r}. Use edunn data get cifar10.")
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
    source = files.check_exists(Path(args.what), "an archive of CIFAR-10")
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
    """Removes the features that are kept; `all`: what was downloaded, and the sums of large files, as well."""
    from ..data import files
    from ..features import cache

    if args.what not in (None, "features", "all"):
        raise ConfigError(f"Expected edunn data clear, clear features or clear all; got {args.what!r}.")
    freed = cache.clear()
    if args.what == "all":
        freed += files.clear_hashes()
        folder = store()
        for path in folder.glob("cifar-10-*") if folder.is_dir() else ():
            freed += path.stat().st_size
            path.unlink()
    emit(args, {"bytes": freed}, f"{megabytes(freed)} removed")
    return 0


def shards(args: argparse.Namespace) -> int:
    """Writes a data set as a folder of shards, a chunk at a time where it is in a file that is mapped."""
    from .. import data
    from ..data.shards import SHARD

    if args.what is None or not args.out:
        raise ConfigError("Expected a data set and a folder: edunn data shards SOURCE --out FOLDER.")
    if args.shard_mib is not None and args.shard_mib < 1:
        raise ConfigError(f"Expected --shard-mib of 1 or more; got {args.shard_mib}.")
    options = {key: value for key in ("target", "targets") if (value := getattr(args, key)) is not None}
    dataset = data.load(args.what, **options)
    with counting(args, "sample") as progress:
        size = SHARD if args.shard_mib is None else args.shard_mib << 20
        data.write_shards(args.out, dataset, size, args.store, progress)
    return told(args, data.read_shards(args.out))


def verify(args: argparse.Namespace) -> int:
    """Reads a folder of shards through."""
    from ..data.shards import verify_shards

    if args.what is None:
        raise ConfigError("Expected a folder of shards to verify: edunn data verify FOLDER.")
    with counting(args, "file") as progress:
        dataset = verify_shards(args.what, progress)
    return told(args, dataset)


def told(args: argparse.Namespace, dataset: Any) -> int:
    """What a folder of shards holds."""
    parts = {"train": dataset.train} | ({} if dataset.test is None else {"test": dataset.test})
    files = sum(len(part.features.parts) for part in parts.values())
    result = {
        "path": dataset.source,
        "sha256": dataset.sha256,
        "samples": {name: len(part) for name, part in parts.items()},
        "shards": files,
        "bytes": sum(sum(p.nbytes for p in part.features.parts) for part in parts.values()),
    }
    text = "\n".join(f"{name:<6} {part}" for name, part in parts.items())
    emit(args, result, f"{text}\n{files} shards, {megabytes(result['bytes'])}, every file as it was written")
    return 0


@contextmanager
def counting(args: argparse.Namespace, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is told (done, in all)."""
    from tqdm import tqdm

    with tqdm(unit=unit, unit_scale=True, disable=not show_progress(args), leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def store() -> Any:
    """The folder of archives."""
    from ..runtime import files

    top = files.cache()
    if top is None:
        raise ConfigError("Expected a folder to keep data in; EDUNN_CACHE is set to nothing. Unset it, or name one.")
    return top / "data"


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
