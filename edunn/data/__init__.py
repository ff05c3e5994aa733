"""Data: samples and their names, sets that come with the package, and readers of tables and images.

`load` takes a name from `SOURCES` or a path; the functions it calls are here as well, each with its own options.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, DataError, nearest
from ..runtime.guesses import public
from ..runtime.names import find, suggest
from ..runtime.options import hints_of, options_of, typed
from . import files
from .cifar10 import is_cifar10, load_kept, read_cifar10
from .cifar100 import is_cifar100, read_cifar100
from .digit_images import digits
from .images import read_images, read_unsorted_images
from .multilabel import read_multilabel
from .npy import read_npy
from .read_tables import load_table, read_csv, read_later_table, read_table
from .samples import Dataset, Samples, as_samples, fingerprint, split
from .shape_images import shapes
from .shards import ShardWriter, is_shards, read_shards, write_shards
from .table_options import TableError
from .toys import TOYS

__all__ = [
    "SOURCES",
    "TOYS",
    "Dataset",
    "Samples",
    "ShardWriter",
    "Source",
    "TableError",
    "as_samples",
    "digits",
    "fingerprint",
    "has_cells",
    "is_shards",
    "is_table",
    "load",
    "read_cifar10",
    "read_cifar100",
    "read_csv",
    "read_images",
    "read_later_table",
    "read_multilabel",
    "read_npy",
    "read_shards",
    "read_table",
    "read_unsorted_images",
    "shapes",
    "split",
    "write_shards",
]
__getattr__, __dir__ = public(
    __name__,
    __all__,
    {f"{start}{name.replace('-', '_')}": f"It is load({name!r})."
     for start in ("make_", "load_", "") for name in (*TOYS, "cifar10")}
    | {"fetch_openml": "Read a file: edunn.read_csv(path, target='column').", "DataLoader": "It is Samples(X, y).",
       "load_csv": "It is edunn.read_csv(path, target='column').",
       "train_test_split": "It is split(samples, 0.2), or samples.split(0.2)."},
)  # fmt: skip

TABLES = {".csv", ".data", ".dat", ".npz", ".tsv", ".txt"}  # what a path that does not exist is called


class Source(NamedTuple):
    """A data set of the package: how to load it, and what it contains at its default size."""

    name: str
    description: str
    samples: int
    features: int


SOURCES = (
    Source("digits", "handwritten digits of 8×8 pixels, 10 classes, with a test part", 1797, 64),
    Source("shapes", "made colour images of 32×32 pixels, 12 classes of hue × texture × shape", 2000, 3072),
    Source("line", "y = 2x + 3.5 and noise", 100, 1),
    Source("lecture-line", "the lecture's 100 points around y = 2x + 3.5", 100, 1),
    Source("random-linear", "a random line and noise", 100, 1),
    Source("random-binary", "zeros and ones along one feature, P(1) = σ(2x − 1)", 100, 1),
    Source("blobs", "round clouds, 3 classes", 300, 2),
    Source("moons", "two interlocking half circles, 2 classes", 200, 2),
    Source("circles", "a circle around a circle, 2 classes", 200, 2),
    Source("spirals", "arms of a spiral, 3 classes", 300, 2),
    Source("above-curve", "above or below a sine or a parabola, 2 classes", 300, 2),
)
NAMES = (*(source.name for source in SOURCES), "cifar10")


def load(
    name_or_path: str | PathLike[str], progress: Callable[[int, int], None] | None = None, **options: Any
) -> Dataset:
    """Loads a data set by its name in `SOURCES`, or a file by its path.

    A folder or a .zip is images, any other file a table. Features in a .npy file or in a folder of shards stay on disk,
    and are read batch by batch. A name is tried before a path of the same name: write `./digits` for a folder of that
    name. Other spellings of a name ("make_moons") are tried after paths.

    Parameters
    ----------
    progress : called with (images done, images in all) while images are decoded
    options : those of the function behind it: `samples`, `seed`, `noise` of a toy, `target` and `task` of a table
        (see `read_table`; for a list of targets `read_multilabel`), `size` of images, `labels` of CIFAR-100
        ("fine" or "coarse"), `targets` of a .npy file (see `read_npy`), `verify` of shards
    """
    name = fspath(name_or_path)
    if name not in NAMES and not os.path.exists(name):
        name = find(name, NAMES, "data set") or name
    made: dict[str, Callable[..., Samples]] = {"shapes": shapes, **TOYS}
    if name == "digits":
        return _call(digits, name, options)
    if name in made:
        samples = _call(made[name], name, options)
        said = "".join(f", {key}={value}" for key, value in options.items())
        return Dataset(name, samples, None, fingerprint(samples), f"made by a formula: {name}{said}")
    if name == "cifar10":
        return _call(load_kept, name, options, progress=progress)
    path = Path(name)
    try:
        path.exists()
    except OSError as problem:  # a name longer than the file system allows, a circle of links
        raise DataError(f"'{name[:100]}' is not a path: {files.reason(problem)}.") from problem
    if "\0" in name:
        raise DataError(f"A path cannot contain a NUL character; got {name!r}.")
    if name and os.path.exists(name) and is_cifar100(path):
        return _call(read_cifar100, name, options, path, progress=progress)
    if name and os.path.exists(name) and is_cifar10(path):
        return _call(read_cifar10, name, options, path, progress=progress)
    if path.suffix.lower() == ".npy" and not path.is_dir():
        return _call(read_npy, name, options, path)
    if name and is_shards(path):
        return _call(read_shards, name, options, path)
    if (name and path.is_dir()) or path.suffix.lower() == ".zip":
        return _call(read_images, name, options, path, progress=progress)
    if os.path.exists(name) or path.suffix.lower() in TABLES:
        if isinstance(options.get("target"), list | tuple):
            return Dataset(path.stem, _call(read_multilabel, name, options, path), None, files.sha256(path), name)
        return _call(load_table, name, options, path)
    if path.suffix or len(path.parts) > 1 or os.path.exists(name):
        files.check_exists(path, "data")
    raise DataError(f"{name!r} is neither a data set's name nor the path of one. {suggest(name, NAMES, 'data set')}")


def is_table(path: str | PathLike[str]) -> bool:
    """Tells whether `load` reads a path as a table."""
    path = Path(path)
    if not path.is_file() or path.suffix.lower() in (".npy", ".zip"):
        return False
    return not is_cifar10(path) and not is_cifar100(path) and not is_shards(path)


def has_cells(path: str | PathLike[str]) -> bool:
    """Tells whether a table has columns of cells, and is not an archive of arrays."""
    return Path(path).suffix.lower() not in (".npz", ".mat")


def _call(function: Callable[..., Any], name: str, options: dict[str, Any], *given: Any, **also: Any) -> Any:
    """Calls the function that loads a source; an unknown option is an error that lists the known ones."""
    known = [key for key in options_of(function)[len(given) :] if key != "progress"]
    for key in options:
        if key not in known:
            hint = nearest(key, known) if known else "It takes none."
            raise ConfigError(f"Unknown option {key!r} for the data {name!r}. {hint}")
    hints = hints_of(function)
    options = {key: typed(value, hints[key], f"data.{key}") for key, value in options.items()}
    return function(*given, **options, **also)
