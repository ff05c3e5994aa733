"""Looks at a table, and lists, downloads, imports and converts data."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError, EdunnError, check_count
from .common import add_common, emit, note, show_progress
from .table_options import add_table_options, table_options

EXAMPLE = (
    "edunn data look flowers.csv --target kind\n  edunn data list\n"
    "  edunn data get cifar10\n  edunn data shards cifar10 --out cifar10-shards"
)

LARGEST_SHARD = 4096  # MiB, which are in memory while they are written
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "action",
        choices=("look", "list", "get", "import", "clear", "shards", "verify"),
        help="look: the columns of a table, what would be features, and the config that trains it; "
        "list: show all data sets; get: download one; import: copy an archive into the cache; clear: empty the "
        "cache; shards: write a data set as a folder of files, for training that does not load it whole; verify: check "
        "the sha256 of each of these files",
    )
    parser.add_argument(
        "what",
        nargs="?",
        help="look: the table; get: cifar10; import: the archive; clear: features (default) or all; shards: a data "
        "set's name or path; verify: the folder",
    )
    parser.add_argument(
        "--url",
        default=URL,
        help="get: a mirror of the binary archive; its sha256 is checked (default: its makers' page)",
    )
    parser.add_argument(
        "--targets", help="shards: the .npy file of targets that belongs to a .npy file of features (default: none)"
    )
    parser.add_argument("--store", help="shards: float32, float64 or uint8 (default: as in the source)")
    parser.add_argument("--shard-mib", type=int, help="shards: MiB of features for each file (default: 256)")
    add_table_options(parser)
    add_common(parser, "the file of the config (look), or a new or empty folder (shards); no default", device=False)


def run(args: argparse.Namespace) -> int:
    """Runs the action and prints what it did. Returns 0."""
    if args.what is not None and args.action == "list":
        raise ConfigError(f"edunn data list takes no name; got {args.what!r}.")
    for option in ("targets", "store", "shard_mib"):
        if getattr(args, option) is not None and args.action != "shards":
            raise ConfigError(f"--{option.replace('_', '-')} is an option of edunn data shards only.")
    if args.action not in ("look", "shards") and (args.out is not None or table_options(args)):
        raise ConfigError("--out and the options of a table are those of edunn data look and shards.")
    actions = {
        "look": look,
        "list": show,
        "get": get,
        "import": take,
        "clear": clear,
        "shards": shards,
        "verify": verify,
    }
    return actions[args.action](args)


def look(args: argparse.Namespace) -> int:
    """Shows the columns of a table, and prints or writes the config that trains it."""
    import tomli_w

    from ..data import look as looking
    from ..data.table_options import in_flags
    from ..experiment.starter import starter
    from ..runtime.files import write_atomically

    if args.what is None:
        raise ConfigError("Name a table: edunn data look FILE.")
    options = table_options(args)
    found = looking.look(args.what, options)
    cured = {**options, **found.cures}
    text, config, problem = str(found), None, None
    try:
        config = tomli_w.dumps(starter(args.what, cured))
    except EdunnError as error:  # a question that no option answers, such as another target
        problem = str(error)
    result = {
        "path": args.what, "rows": found.rows, "columns": found.columns, "target": found.target, "task": found.task,
        "features": found.features, "notes": found.notes, "obstacles": found.obstacles, "cures": found.cures,
        "config": config, "problem": problem, "out": args.out if config is not None else None,
    }  # fmt: skip
    if config is None:
        emit(args, result, f"{text}\n{problem}")
        return 0
    flags = in_flags(cured)
    text += f"\n\nThe config that trains it, on {found.features} features:\n\n{config}"
    if args.out is not None:
        if Path(args.out).exists():
            raise ConfigError(f"{args.out} exists and is not overwritten. Choose another --out.")
        absolute = starter(Path(args.what).resolve(), cured)
        write_atomically(args.out, f"# edunn train {args.out}\n\n{tomli_w.dumps(absolute)}")
        text += f"\nwritten to {args.out}\nNext:\n  edunn train {shlex.quote(args.out)}"
    else:
        text += f"\nNext:\n  edunn train {shlex.quote(args.what)}{' ' + flags if flags else ''}"
    emit(args, result, text)
    return 0


def show(args: argparse.Namespace) -> int:
    """Lists the data sets and the cached features."""
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
        "  a table               CSV, .data, .xlsx, .npz, …: one row a sample; edunn data look FILE shows its columns\n"
        "  a folder or a zip     one folder of pictures a class, or such folders under train/, val/, test/\n"
        "  CIFAR-10, CIFAR-100   the binary or Python archive, or its folder; of CIFAR-100, labels = fine or coarse\n"
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
    """Downloads CIFAR-10's binary archive, or the missing rest of it."""
    from tqdm import tqdm

    from ..data import cifar10
    from ..data.download import download
    from ..runtime.names import find

    if find(args.what or "", ["cifar10"], "data set") is None:
        raise ConfigError(f"Only cifar10 can be downloaded; got {args.what!r}. Use edunn data get cifar10.")
    archive, folder = cifar10.BINARY, archives_folder()
    bar = tqdm(total=archive.size, unit="B", unit_scale=True, disable=not show_progress(args), leave=False)

    def progress(here: int, size: int) -> None:
        bar.update(here - bar.n)

    with bar:
        try:
            path = download(args.url, folder / archive.name, archive.sha256, archive.size, progress)
        except KeyboardInterrupt:
            note(args, "edunn: interrupted; run the same command again to continue")
            raise
    emit(args, {"path": str(path), "sha256": archive.sha256, "bytes": archive.size}, f'{path}\n[data] name = "cifar10"')
    return 0


def take(args: argparse.Namespace) -> int:
    """Copies the user's archive of CIFAR-10 into the cache, if its sha256 is right."""
    from ..data import cifar10, files
    from ..data.download import keep

    if args.what is None:
        raise ConfigError("Name the archive of CIFAR-10: edunn data import cifar-10-binary.tar.gz.")
    source = files.check_exists(Path(args.what), "an archive of CIFAR-10")
    if source.is_dir() or not cifar10.is_cifar10(source):
        raise DataError(
            f"'{source}' is neither cifar-10-binary.tar.gz nor cifar-10-python.tar.gz. "
            f"Folders, zips and tables need no import; write [data] path = {str(source)!r}."
        )
    archive, digest = cifar10.which_archive(source)
    path = keep(source, archives_folder() / archive.name, digest)
    emit(args, {"path": str(path), "sha256": digest, "bytes": archive.size}, f'{path}\n[data] name = "cifar10"')
    return 0


def clear(args: argparse.Namespace) -> int:
    """Deletes the cached features; with `all` also the downloads and the stored checksums."""
    from ..data import files
    from ..features import cache

    if args.what not in (None, "features", "all"):
        raise ConfigError(f"edunn data clear takes features or all; got {args.what!r}.")
    freed = cache.clear()
    if args.what == "all":
        freed += files.clear_hashes()
        folder = archives_folder()
        for path in folder.glob("cifar-10-*") if folder.is_dir() else ():
            freed += path.stat().st_size
            path.unlink()
    emit(args, {"bytes": freed}, f"{megabytes(freed)} removed")
    return 0


def shards(args: argparse.Namespace) -> int:
    """Writes a data set as a folder of shards. A memory-mapped source is copied in chunks."""
    from .. import data
    from ..data.shards import SHARD

    if args.what is None or not args.out:
        raise ConfigError("Name a data set and a folder: edunn data shards SOURCE --out FOLDER.")
    if args.shard_mib is not None:
        check_count("--shard-mib", args.shard_mib, 1, LARGEST_SHARD)
    options = table_options(args) | ({} if args.targets is None else {"targets": args.targets})
    dataset = data.load(args.what, **options)
    with progress_bar(args, "sample") as progress:
        size = SHARD if args.shard_mib is None else args.shard_mib << 20
        data.write_shards(args.out, dataset, size, args.store, progress)
    return describe_shards(args, data.read_shards(args.out))


def verify(args: argparse.Namespace) -> int:
    """Checks the sha256 of every file in a folder of shards."""
    from ..data.shards import verify_shards

    if args.what is None:
        raise ConfigError("Name a folder of shards: edunn data verify FOLDER.")
    with progress_bar(args, "file") as progress:
        dataset = verify_shards(args.what, progress)
    return describe_shards(args, dataset)


def describe_shards(args: argparse.Namespace, dataset: Any) -> int:
    """Prints the parts of a folder of shards, and its size."""
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
def progress_bar(args: argparse.Namespace, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar; yields the function that moves it, progress(done, total)."""
    from tqdm import tqdm

    with tqdm(unit=unit, unit_scale=True, disable=not show_progress(args), leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def archives_folder() -> Path:
    """Returns the folder of downloaded archives. Raises ConfigError if the cache is switched off."""
    from ..runtime import files

    top = files.cache()
    if top is None:
        raise ConfigError("The cache is switched off. Set EDUNN_CACHE to a folder.")
    return top / "data"


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
