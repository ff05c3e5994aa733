"""CIFAR-10 as its author publishes it: the binary archive, or the Python batches; packed, or unpacked into a folder.

60,000 colour images of 32 × 32 pixels, 10 classes, 50,000 to train and 10,000 to test. A. Krizhevsky, Learning Multiple
Layers of Features from Tiny Images, 2009. It has no licence, so the package does not contain it: `edunn data get
cifar10`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ..errors import DataError
from ..runtime.files import cache
from . import files
from .samples import Dataset, Samples

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
ROWS = 10_000  # of each file
LARGEST = 40 * 2**20  # bytes of a file; the genuine ones have 31 million


@dataclass(frozen=True)
class Archive:
    """One of the two official archives of CIFAR-10 or CIFAR-100: binary or pickled."""

    name: str
    sha256: str
    size: int
    train: tuple[str, ...]
    test: str
    largest: int = LARGEST

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test)


BINARY = Archive(
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
    tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test_batch.bin",
)
PYTHON = Archive(
    "cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    170_498_071,
    tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test_batch",
)
# of the Python batches, which are pickles: what is not one of these is not even opened as one
BATCHES = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}


def read_cifar10(path: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Reads CIFAR-10 from the official binary or Python archive (.tar.gz), or from the folder that either unpacks to.

    An archive's sha256 is compared before anything in it is read, a Python batch's before it is unpickled.

    features (samples, 32, 32, 3) uint8, targets (samples,) int64

    Parameters
    ----------
    progress : called with (files read, 6)
    """
    path = files.check_exists(path, "CIFAR-10, as an archive or a folder")
    if path.is_dir():
        archive, folder = in_folder(path)
        contents: dict[str, Callable[[], bytes]] = {name: partial(read_file, folder / name) for name in archive.files}
        digest = None
    else:
        archive, digest = which_archive(path)
        contents = in_archive(path, archive)
    parts = []
    for done, name in enumerate(archive.files, 1):
        parts.append((unpack_binary if archive == BINARY else unpickle)(contents[name](), f"{path}/{name}"))
        if progress is not None:
            progress(done, len(archive.files))
    if digest is None:
        digest = hashlib.sha256(b"".join(part[2] for part in parts)).hexdigest()
    train, test = as_samples(parts[:-1]), as_samples(parts[-1:])
    return Dataset("cifar10", train, test, digest, str(path))


def is_cifar10(path: Path) -> bool:
    """Returns whether a path is CIFAR-10: one of its archives, or a folder that contains one of its batches."""
    if path.is_dir():
        names = (BINARY.train[0], PYTHON.train[0])
        return any((path / inner / name).is_file() for inner in ("", *FOLDERS) for name in names)
    return path.name.endswith((".tar.gz", ".tgz"))


FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")


def in_folder(path: Path) -> tuple[Archive, Path]:
    """Returns the format of an unpacked archive, and the folder of its batches: this one, or one inside it."""
    for folder in (path, *(path / inner for inner in FOLDERS)):
        for archive in (BINARY, PYTHON):
            if (folder / archive.train[0]).is_file():
                missing = [name for name in archive.files if not (folder / name).is_file()]
                if missing:
                    raise DataError(f"{missing[0]} of CIFAR-10 is missing in '{folder}'. Unpack it again.")
                return archive, folder
    raise DataError(
        f"'{path}' does not hold CIFAR-10 ({BINARY.train[0]}, …). Give the folder where the archive was unpacked."
    )


def which_archive(path: Path) -> tuple[Archive, str]:
    """Returns which of the two archives a file is, and its sha256."""
    return match_archive(
        path,
        (BINARY, PYTHON),
        "Expected {name} with sha256 {wanted}…; '{path}' has {found}…{cut}. "
        "Download it again: edunn data get cifar10. Of archives, those of CIFAR-10 and CIFAR-100 are read.",
    )


def match_archive(path: Path, archives: tuple[Archive, Archive], refusal: str) -> tuple[Archive, str]:
    """Returns which archive a file is, by the sha256 of the whole of it, and that sha256.

    archives : the binary and the Python one
    refusal : the error where it is neither, with fields for what was meant and what was found
    """
    digest = sum_archive(path, archives)
    for archive in archives:
        if digest == archive.sha256:
            return archive, digest
    meant = archives["python" in path.name]
    size = path.stat().st_size
    cut = f"; it has {size:,} of {meant.size:,} bytes" if size < meant.size else ""
    found = {"name": meant.name, "wanted": meant.sha256[:12], "path": path, "found": digest[:12], "cut": cut}
    raise DataError(refusal.format(**found))


def sum_archive(path: Path, archives: Sequence[Archive]) -> str:
    """Returns the sha256 of a file that may be one of the archives; a larger file is an error, and not read."""
    size = path.stat().st_size
    if size > max(archive.size for archive in archives):
        known = " or ".join(f"{archive.size:,}" for archive in archives)
        raise DataError(f"'{path}' has {size:,} bytes; the published archives have {known}. Download one of them.")
    return files.sha256(path)


def in_archive(path: Path, archive: Archive, title: str = "CIFAR-10") -> dict[str, Callable[[], bytes]]:
    """Returns the content of each file of the archive, by name. Only expected names and sizes are read."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if not member.isfile() or name not in archive.files or name in found:
                    continue
                if member.size > archive.largest:
                    raise DataError(f"{name} in '{path}' has {member.size:,} bytes, more than the published one.")
                file = tar.extractfile(member)
                found[name] = b"" if file is None else file.read()
    except DataError:
        raise
    except Exception as problem:  # a damaged header raises what it likes
        raise DataError(f"'{path}' is damaged or cut short ({problem}). Download it again.") from problem
    for name in archive.files:
        if name not in found:
            raise DataError(f"'{path}' does not contain {name} of {title}. Download it again.")
    return {name: partial(bytes, content) for name, content in found.items()}


def read_file(path: Path, largest: int = LARGEST) -> bytes:
    return files.read_bytes(path, "a file of CIFAR", largest)


Part = tuple[np.ndarray, np.ndarray, bytes]  # images (rows, 32, 32, 3), labels (rows,), the sha256 of the file


def unpack_binary(content: bytes, title: str) -> Part:
    """Returns images and labels of a binary batch: rows of 1 byte of label and 3,072 of pixels, plane by plane."""
    if len(content) != ROWS * (1 + PIXELS):
        raise DataError(
            f"Expected {ROWS * (1 + PIXELS):,} bytes in '{title}', {ROWS:,} rows of {1 + PIXELS:,}; got "
            f"{len(content):,}. Unpack it again."
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(ROWS, 1 + PIXELS)
    return checked(rows[:, 1:], rows[:, 0].astype(np.int64), title, content)


def unpickle(content: bytes, title: str) -> Part:
    """Returns images and labels of a Python batch: checks its sha256, then unpickles arrays and nothing else."""
    name = PurePosixPath(title).name
    digest = hashlib.sha256(content).hexdigest()
    if digest != BATCHES[name]:
        raise DataError(
            f"Expected the published {name} with sha256 {BATCHES[name][:12]}…; '{title}' has {digest[:12]}…. "
            f"It is a pickle, which can run code, and was not opened. Download it again, or take the binary version."
        )
    return read_batch(content, title)


def read_batch(content: bytes, title: str) -> Part:
    """Reads a Python batch whose sha256 is right; whatever else it holds is refused all the same."""
    batch = load_arrays(content, title)
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= batch.keys():
        raise DataError(f"'{title}' does not contain data and labels. Download it again.")
    data, labels = batch[b"data"], batch[b"labels"]
    right = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape == (ROWS, PIXELS)
    whole = isinstance(labels, list) and len(labels) == ROWS and all(type(y) is int and abs(y) < 2**31 for y in labels)
    if not right or not whole:
        raise DataError(f"Expected {ROWS:,} images of {PIXELS:,} bytes and as many labels in '{title}'; got others.")
    return checked(data, np.array(labels, dtype=np.int64), title, content)


def reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """Returns an empty array, as numpy's own `_reconstruct` does; the unpickler then fills it."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("it holds an array that is not a plain numpy array")
    return np.ndarray.__new__(np.ndarray, shape, "b")


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that accepts only the three names that the official batches use, and so runs no other code."""

    names: dict[tuple[str, str], Any] = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.names:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.names[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside")


def load_arrays(content: bytes, title: str) -> Any:
    """Unpickles with `ArrayUnpickler`; any problem is raised as a `DataError`."""
    try:
        return ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as problem:  # a damaged pickle can raise anything
        raise DataError(
            f"'{title}' is not a pickle of arrays and was refused: {problem}. Take the binary version."
        ) from problem


def checked(planes: np.ndarray, labels: np.ndarray, title: str, content: bytes) -> Part:
    """Returns the images with the channels last, and the labels, after checking the number and range of both."""
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        wrong = int(((labels < 0) | (labels >= len(CLASSES))).argmax())
        raise DataError(f"Expected labels 0 to 9 in '{title}'; got {labels[wrong]} in row {wrong} (counted from 0).")
    images = planes.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return images, labels, hashlib.sha256(content).digest()


def as_samples(parts: list[Part]) -> Samples:
    images = torch.from_numpy(np.concatenate([np.ascontiguousarray(part[0]) for part in parts]))
    return Samples(images, torch.from_numpy(np.concatenate([part[1] for part in parts])), CLASSES, target_name="class")


def kept() -> Path | None:
    """Returns the path of the archive that `edunn data get` or `import` stored, or None."""
    top = cache()
    for archive in (BINARY, PYTHON):
        if top is not None and (top / "data" / archive.name).is_file():
            return top / "data" / archive.name
    return None


def load_kept(progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Loads CIFAR-10 from the archive that `edunn data get cifar10` stored."""
    path = kept()
    if path is None:
        raise DataError(
            "CIFAR-10 is not in the cache. Get it with edunn data get cifar10 (170 MB), or give the archive's own path."
        )
    return read_cifar10(path, progress)
