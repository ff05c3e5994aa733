"""A data set as a folder of shards: .npy files of features and targets, and one manifest with their sha256.

    manifest.json            what is in the folder, file by file: samples, bytes, sha256
    train-00000.npy          features of the first samples, (samples, features) or uint8 images
    train-00000.targets.npy  their targets, (samples,)

It is written chunk by chunk and read row by row, so that it may be larger than memory. The folder gets its name when
all of it is written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch

from .. import errors
from ..errors import ConfigError, DataError, DtypeError, ShapeError, nearest
from ..runtime import schema
from ..runtime.files import read_file, remove_leftovers
from ..runtime.rows import chunk_of
from . import files
from .npy import KINDS, as_rows, map_array
from .samples import Dataset, Samples

FORMAT = "edunn shards"
VERSION = 1
MANIFEST = "manifest.json"
SHARD = 256 << 20  # bytes of features in a file
LARGEST = 64 << 20  # bytes of a manifest
PARTS = ("train", "test")
MOST_CLASSES = 1 << 20
VERIFY = ("once", "always", "never")


class ShardWriter:
    """Writes a folder of shards from chunks of any size, of which only one shard is in memory.

        with ShardWriter("big", classes=("cat", "dog")) as writer:
            for features, targets in chunks:
                writer.add(features, targets)

    Parameters
    ----------
    folder : new, or empty. It is created when the block ends without an error.
    classes : the classes' names, by index, for targets that are class indices; "0", "1", … if not given
    feature_names, target_name : see `Samples`
    shard : bytes of features in a file
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        classes: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        target_name: str | None = None,
        shard: int = SHARD,
    ) -> None:
        self.folder, self.classes, self.feature_names = Path(folder).absolute(), classes, feature_names
        self.target_name, self.shard = target_name, shard
        errors.check_count("shard", shard)
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DataError(f"{self.folder} is not empty and is not overwritten. Name another folder.")
        self.place = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.part")
        self.shards: list[dict[str, Any]] = []
        self.waiting: dict[str, Waiting] = {}
        self.kind: tuple[Any, ...] | None = None
        self.classes_seen = 0

    def __enter__(self) -> Self:
        remove_leftovers(self.folder.parent, self.folder.name)
        try:
            self.place.mkdir(parents=True)
        except OSError as problem:
            raise DataError(f"Cannot make a folder beside {self.folder}: {problem.strerror}.") from problem
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                self.finish()
        except OSError as problem:
            if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
                raise DataError(f"{self.folder} is not empty and is not overwritten. Name another folder.") from None
            raise DataError(f"Cannot write {self.folder}: {problem.strerror}. Free some space.") from problem
        finally:
            shutil.rmtree(self.place, ignore_errors=True)  # it has another name now, or is not wanted
        if isinstance(error, OSError) and error.filename is None and error.strerror:  # a full disk, met in `add`
            raise DataError(f"Cannot write {self.folder}: {error.strerror}. Free some space.") from error

    def add(self, features: Any, targets: Any = None, part: str = "train") -> None:
        """Appends samples to a part: (samples, features) or images, and (samples,)."""
        if part not in PARTS:
            raise ConfigError(f"Unknown part {part!r}. {nearest(part, PARTS)}")
        x, y = to_numpy(features), None if targets is None else to_numpy(targets)
        self.check(x, y)
        start = 0
        while start < len(x):
            if part not in self.waiting:
                self.waiting[part] = Waiting.empty(x, y, max(1, self.shard // max(1, x[0].nbytes)))
            waiting = self.waiting[part]
            start += waiting.take(x[start:], None if y is None else y[start:])
            if waiting.full:
                self.write(part)

    def check(self, x: np.ndarray, y: np.ndarray | None) -> None:
        """Raises an error for samples of another shape or dtype than the earlier ones, or that no model can use."""
        if x.ndim not in (2, 4) or (x.ndim == 4) > (x.dtype == np.uint8):
            raise ShapeError(
                f"Expected features of shape (samples, features), or uint8 images (samples, height, width, channels); "
                f"got {x.dtype} of shape {x.shape}."
            )
        if str(x.dtype) not in KINDS:
            raise DtypeError(f"Expected features of dtype {', '.join(sorted(KINDS))}; got {x.dtype}. Convert them.")
        if y is not None and (y.shape != (len(x),) or str(y.dtype) not in ("int64", "float32", "float64")):
            raise ShapeError(
                f"Expected targets of shape (samples,) = ({len(x)},), int64 or floating; got {y.dtype} of {y.shape}."
            )
        kind = (x.dtype, x.shape[1:], None if y is None else y.dtype)
        if self.kind is not None and kind != self.kind:
            raise ShapeError(f"Expected samples like the first ones, {describe(*self.kind)}; got {describe(*kind)}.")
        if x.dtype.kind == "f":
            errors.check_finite("features", torch.from_numpy(x))
        if y is not None and y.dtype.kind == "f":
            errors.check_finite("targets", torch.from_numpy(y))
        elif y is not None and len(y):
            known = len(self.classes) if self.classes is not None else int(y.max()) + 1
            if known > MOST_CLASSES:
                raise DataError(
                    f"A class index of {known - 1:,} makes as many classes. Number the classes 0, 1, … first."
                )
            errors.check_class_indices(torch.from_numpy(y), max(known, 1))
            self.classes_seen = max(self.classes_seen, known)
        self.kind = kind

    def write(self, part: str) -> None:
        """Writes the waiting samples as a shard."""
        waiting = self.waiting[part]
        name = f"{part}-{sum(shard['part'] == part for shard in self.shards):05}"
        entry: dict[str, Any] = {"part": part, "samples": waiting.count}
        entry["features"] = save(self.place / f"{name}.npy", waiting.features[: waiting.count])
        if waiting.targets is not None:
            entry["targets"] = save(self.place / f"{name}.targets.npy", waiting.targets[: waiting.count])
        self.shards.append(entry)
        waiting.count = 0

    def finish(self) -> None:
        """Writes the last shards and the manifest, then gives the folder its name."""
        for part, waiting in self.waiting.items():
            if waiting.count:
                self.write(part)
        if self.kind is None or not any(shard["part"] == "train" for shard in self.shards):
            raise DataError("No samples were added to the training part.")
        dtype, shape, targets = self.kind
        classes = self.classes
        if classes is None and targets is not None and targets.kind == "i":
            classes = [str(index) for index in range(self.classes_seen)]
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "dtype": str(dtype),
            "shape": list(shape),
            "targets": None if targets is None else str(targets),
            "classes": None if classes is None else list(classes),
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "target_name": self.target_name,
            "finite": True,  # `check` saw to it
            "shards": self.shards,
        }
        (self.place / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        os.replace(self.place, self.folder)


@dataclass
class Waiting:
    """A buffer of samples that are not written yet."""

    features: np.ndarray
    targets: np.ndarray | None
    count: int = 0

    @classmethod
    def empty(cls, x: np.ndarray, y: np.ndarray | None, rows: int) -> Self:
        return cls(np.empty((rows, *x.shape[1:]), x.dtype), None if y is None else np.empty(rows, y.dtype))

    @property
    def full(self) -> bool:
        return self.count == len(self.features)

    def take(self, x: np.ndarray, y: np.ndarray | None) -> int:
        """Copies as many of the samples as fit, and returns their number."""
        count = min(len(x), len(self.features) - self.count)
        here = slice(self.count, self.count + count)
        self.features[here] = x[:count]
        if self.targets is not None and y is not None:
            self.targets[here] = y[:count]
        self.count += count
        return count


def write_shards(
    folder: str | PathLike[str],
    dataset: Dataset,
    shard: int = SHARD,
    dtype: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes a data set as a folder of shards; one that stays in its file is read chunk by chunk.

    Parameters
    ----------
    dtype : float32, float64 or uint8, for rows of numbers; unchanged if not given. Numbers that are not whole, or
        outside 0 to 255, are refused for uint8.
    progress : called with (samples done, samples in all)
    """
    dataset.check_storable("shards")
    train = dataset.train
    done, total = 0, sum(len(part) for part in (train, dataset.test) if part is not None)
    with ShardWriter(folder, train.classes, train.feature_names, train.target_name, shard) as writer:
        for name, part in (("train", train), ("test", dataset.test)):
            for features, targets in () if part is None else chunks(part):
                writer.add(features if dtype is None else convert(to_numpy(features), dtype), targets, name)
                done += len(features)
                if progress is not None:
                    progress(done, total)


def chunks(part: Samples) -> Iterator[tuple[Any, Any]]:
    """Yields features and targets, a few at a time."""
    size = chunk_of(part.features)
    start = 0
    for features in part.features.split(size):
        yield features, None if part.targets is None else part.targets[start : start + len(features)]
        start += len(features)


def convert(x: np.ndarray, dtype: str) -> np.ndarray:
    """Returns the numbers in another dtype, or raises an error if it cannot represent them."""
    if dtype not in KINDS:
        raise ConfigError(f"Unknown dtype {dtype!r}. {nearest(dtype, KINDS)}")
    with np.errstate(over="ignore", invalid="ignore"):
        found = x.astype(dtype, copy=False)
    if dtype == "uint8" and not np.array_equal(found, x):
        raise DataError("Only whole numbers from 0 to 255 can be stored as uint8. Take float32.")
    return found


def to_numpy(values: Any) -> np.ndarray:
    """Returns a tensor or an array as a contiguous array, class indices as int64."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.dtype.kind in "iu" and array.ndim == 1:
        array = array.astype(np.int64, copy=False)
    return np.require(array, requirements=["C", "W"])


def describe(dtype: Any, shape: tuple[int, ...], targets: Any) -> str:
    return f"{dtype} of shape (samples, {', '.join(map(str, shape))}), {targets or 'no'} targets"


def save(path: Path, array: np.ndarray) -> dict[str, Any]:
    """Writes an array; returns its file's name, size and sha256."""
    with path.open("wb") as file:
        summing = Summing(file)
        np.lib.format.write_array(cast(Any, summing), array, allow_pickle=False)
    return {"file": path.name, "bytes": summing.size, "sha256": summing.digest.hexdigest()}


class Summing:
    """A file that hashes and counts the bytes written to it."""

    def __init__(self, file: Any) -> None:
        self.file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return int(self.file.write(data))


# reading


def is_shards(path: Path) -> bool:
    """Returns whether a folder has shards, or the remains of an interrupted write."""
    if not path.is_dir():
        return False
    try:
        manifest = schema.parse(read_file(path / MANIFEST, LARGEST))
    except (OSError, ValueError):
        manifest = None
    named = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    return named or any(path.glob("train-[0-9]*.npy"))


def read_shards(
    path: str | PathLike[str], verify: str = "once", progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Reads a folder of shards, whose features stay on disk.

    Every call checks that all files are there, no others, and each as long as when it was written.

    Parameters
    ----------
    verify : when the files are read through for their sha256: "once" (again when a file has a new time of change),
        "always", or "never"
    progress : called with (files done, files in all)
    """
    if verify not in VERIFY:
        raise ConfigError(f"Expected data.verify as one of {', '.join(VERIFY)}; got {verify!r}.")
    path = Path(path)
    manifest = read_manifest(path)
    files_of = entries(manifest)
    check_files(path, files_of)
    if verify != "never":
        check_sums(path, files_of, verify == "always", progress)
    parts = {name: read_part(path, manifest, name) for name in PARTS}
    if parts["train"] is None:
        raise DataError(f"The manifest of '{path}' names no shards of a training part.")
    digest = files.sha256(path / MANIFEST)  # it holds the sums of all the others
    return Dataset(path.name, parts["train"], parts["test"], digest, str(path))


def verify_shards(path: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Reads every file of the folder through; a file whose content has changed is an error that names it."""
    return read_shards(path, "always", progress)


def read_manifest(path: Path) -> dict[str, Any]:
    """Reads the manifest and checks its form."""
    place = files.check_exists(path, "a folder of shards") / MANIFEST
    try:
        manifest = schema.parse(read_file(place, LARGEST))
    except FileNotFoundError:
        raise DataError(f"'{path}' has shards, but no {MANIFEST}. Copy it again.") from None
    except (OSError, ValueError) as problem:
        raise DataError(f"The manifest '{place}' cannot be read: {files.reason(problem)}.") from problem
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"'{place}' is not a manifest of shards.")
    if manifest.get("version") != VERSION:
        raise DataError(
            f"'{place}' has version {manifest.get('version')!r} of the format, not {VERSION}. Update edunn."
        )
    try:
        check_manifest(manifest)
    except (KeyError, TypeError, ValueError) as problem:
        raise DataError(f"The manifest '{place}' is damaged: {problem}.") from problem
    return manifest


def check_manifest(manifest: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError if the manifest does not have the expected form."""
    if manifest["dtype"] not in KINDS or manifest["targets"] not in (None, "int64", "float32", "float64"):
        raise ValueError(f"dtype {manifest['dtype']!r} and targets {manifest['targets']!r}")
    if not all(type(n) is int and n > 0 for n in manifest["shape"]) or len(manifest["shape"]) not in (1, 3):
        raise ValueError(f"shape {manifest['shape']!r}")
    for key in ("classes", "feature_names"):
        names = manifest[key]
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"{key} {names!r}")
    if not isinstance(manifest["target_name"], str | None) or not isinstance(manifest["finite"], bool):
        raise TypeError("target_name or finite")
    seen = set()
    for shard in manifest["shards"]:
        if shard["part"] not in PARTS or type(shard["samples"]) is not int or shard["samples"] < 1:
            raise ValueError(f"a shard of part {shard['part']!r} with samples {shard['samples']!r}")
        if ("targets" in shard) != (manifest["targets"] is not None):
            raise ValueError("a shard with and one without targets")
        for entry in entries_of(shard):
            name = entry["file"]
            if not re.fullmatch(r"[\w.-]+\.npy", name) or name in seen:
                raise ValueError(f"a file {name!r}")
            if type(entry["bytes"]) is not int or not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
                raise ValueError(f"bytes or sha256 of {name!r}")
            seen.add(name)


def entries_of(shard: dict[str, Any]) -> list[dict[str, Any]]:
    return [shard[key] for key in ("features", "targets") if key in shard]


def entries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists every file that the manifest names."""
    return [entry for shard in manifest["shards"] for entry in entries_of(shard)]


def check_files(path: Path, known: Sequence[dict[str, Any]]) -> None:
    """Checks that all files are there, each of its size, and no others."""
    names = {entry["file"] for entry in known}
    for found in sorted(path.glob("*.npy")):
        if found.name not in names:
            raise DataError(f"{MANIFEST} does not name '{found}'. Move it away.")
    for entry in known:
        place = path / entry["file"]
        if not place.is_file():
            raise DataError(f"The shard '{place}', which {MANIFEST} names, is missing. Copy it again.")
        size = place.stat().st_size
        if size != entry["bytes"]:
            raise DataError(
                f"Expected the shard '{place}' as it was written, of {entry['bytes']:,} bytes; it has {size:,}. "
                f"Copy it again."
            )


def check_sums(
    path: Path, known: Sequence[dict[str, Any]], again: bool, progress: Callable[[int, int], None] | None
) -> None:
    """Checks that the files hold the bytes that were written."""
    sums = files.sha256_of([path / entry["file"] for entry in known], again, progress)
    for entry, digest in zip(known, sums, strict=True):
        if digest != entry["sha256"]:
            raise DataError(
                f"Expected the shard '{path / entry['file']}' as it was written; its sha256 is {digest[:12]}… and not "
                f"{entry['sha256'][:12]}…. Copy it again."
            )


def read_part(path: Path, manifest: dict[str, Any], name: str) -> Samples | None:
    """Reads the samples of one part: features mapped, targets in memory."""
    shards = [shard for shard in manifest["shards"] if shard["part"] == name]
    if not shards:
        return None
    rows = as_rows([read_array_of(path, shard, "features", manifest) for shard in shards], manifest["finite"])
    targets = None
    if manifest["targets"] is not None:
        pieces = [torch.from_numpy(read_array_of(path, shard, "targets", manifest)) for shard in shards]
        targets = torch.cat(pieces)
    classes = manifest["classes"]
    if targets is not None and not targets.dtype.is_floating_point and classes is not None:
        errors.check_class_indices(targets, len(classes))
    return Samples(
        features=cast(Any, rows),
        targets=targets,
        classes=None if classes is None else tuple(classes),
        feature_names=None if manifest["feature_names"] is None else tuple(manifest["feature_names"]),
        target_name=manifest["target_name"],
    )


def read_array_of(path: Path, shard: dict[str, Any], what: str, manifest: dict[str, Any]) -> np.ndarray:
    """Maps one array and checks its shape and dtype against the manifest."""
    place = path / shard[what]["file"]
    array = map_array(place, text=what == "targets")
    shape = (shard["samples"], *manifest["shape"]) if what == "features" else (shard["samples"],)
    dtype = manifest["dtype"] if what == "features" else manifest["targets"]
    if array.shape != shape or str(array.dtype) != dtype:
        raise DataError(
            f"Expected the shard '{place}' of {dtype} {shape}, as {MANIFEST} says; got {array.dtype} {array.shape}."
        )
    return array
