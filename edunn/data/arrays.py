"""Arrays by name, as npz archives and MATLAB's .mat files hold them: features, targets and their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..errors import DataError, ShapeError
from . import files
from .checks import check_features
from .labels import check_text, decode_bytes
from .npy_header import read_array

# the usual names, without the word train or test
FEATURES = ("features", "x", "data", "images", "inputs", "arr_0")
TARGETS = ("targets", "y", "labels", "target", "label", "outputs", "arr_1")
PART = re.compile(r"^(train|test|val|valid)(?=_|[A-Z]|[xy]$)_?|(?<=[A-Za-z])_?(train|test|val|valid)$")


class Arrays:
    """The arrays of one file, sorted into a block of features, its names, and columns.

    block : (samples, features), float32 or float64, or uint8 images; None where there are only columns
    columns : the arrays of shape (samples,), by name
    """

    def __init__(self, path: Path, arrays: dict[str, np.ndarray], test: bool) -> None:
        self.path = path
        if not arrays:
            raise DataError(f"'{path}' does not contain arrays.")
        arrays = of_part(arrays, test)
        block_key = next(
            (key for name in FEATURES for key in arrays if base(key) == name and arrays[key].ndim != 1), None
        )
        names, classes = arrays.pop("feature_names", None), arrays.pop("classes", None)
        for key, listed in (("feature_names", names), ("classes", classes)):
            if listed is not None and listed.ndim != 1 and listed.size != max(listed.shape, default=0):
                raise ShapeError(f"{key!r} in '{path}' is a list of names; got shape {listed.shape}.")
        self.classes = None if classes is None else tuple(str(name) for name in classes.ravel())
        self.block = None if block_key is None else to_block(path, block_key, arrays.pop(block_key))
        self.columns = {key: as_column(path, key, array) for key, array in arrays.items()}
        lengths = {key: len(array) for key, array in self.columns.items()}
        if self.block is not None and block_key is not None:
            lengths = {block_key: self.block.shape[0], **lengths}
        first = next(iter(lengths))
        for key, length in lengths.items():
            if length != lengths[first]:
                raise DataError(
                    f"The arrays of '{path}' differ in length: {first!r} has {lengths[first]} rows and {key!r} "
                    f"{length}."
                )
        if lengths[first] == 0:
            raise DataError(f"'{path}' has no rows.")
        self.target = next((key for name in TARGETS for key in self.columns if base(key) == name), None)
        self.block_names: tuple[str, ...] = ()
        if self.block is None:
            self.target = self.target or list(self.columns)[-1]
        elif self.block.ndim == 2:
            self.block_names = self.name_block(self.block.shape[1], names)

    def name_block(self, width: int, names: np.ndarray | None) -> tuple[str, ...]:
        found = tuple(f"x{i + 1}" for i in range(width)) if names is None else tuple(map(str, names.ravel()))
        if len(found) != width or len(set(found)) != width:
            raise DataError(
                f"Expected {width} different feature_names in '{self.path}', one a column; got {', '.join(found)}."
            )
        return found


def base(key: str) -> str:
    """Returns the name of an array without its part: x for X_train."""
    return PART.sub("", key).lower()


def part(key: str) -> str | None:
    """Returns the part that the name of an array says: train, test or val."""
    found = PART.search(key)
    return None if found is None or base(key) not in FEATURES + TARGETS else found.group(1) or found.group(2)


def of_part(arrays: dict[str, np.ndarray], test: bool) -> dict[str, np.ndarray]:
    """Returns the arrays of one part, for a file with `X_train`, `y_train`, and perhaps `X_test`, `y_test`."""
    if not any(part(key) == "train" and base(key) in FEATURES for key in arrays):
        return arrays
    wanted = "test" if test else "train"
    # a part has its name in training: later files are asked for the same target
    return {
        re.sub("test", "train", key) if part(key) == "test" else key: array
        for key, array in arrays.items()
        if part(key) in (None, wanted)
    }


def has_test_part(path: str | PathLike[str]) -> bool:
    """Whether an npz archive holds a training and a test part, `X_train` beside `X_test`."""
    with files.open_zip(files.check_exists(path, "a table")) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    parts = {part(name) for name in names if base(name) in FEATURES}
    return {"train", "test"} <= parts


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Returns all arrays of the archive: numbers or text, in the machine's byte order. Never unpickles."""
    arrays = {}
    with files.open_zip(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                raise DataError(f"'{path}' holds {info.filename!r}, which is not an array. Save it with numpy.savez.")
            array = read_array(files.read_member(archive, info), f"{path}/{info.filename}")
            if array.dtype.kind == "S":
                array = decode_bytes(array, str(path))
            elif array.dtype.kind == "U":
                check_text(array, str(path))
            if array.dtype.kind not in "fiubU":
                raise DataError(
                    f"'{path}' holds {array.dtype} in {info.filename!r}, which is neither numbers nor text."
                )
            name = info.filename.removesuffix(".npy")
            arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a MATLAB file: numbers or text, a column or row as (samples,)."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"'{path}' needs scipy, which is not installed: pip install 'edunn-torch[tables]'.") from None
    files.check_size(path.stat().st_size, str(path), files.LIMIT)
    try:
        found = loadmat(path)
    except NotImplementedError:
        raise DataError(
            f"'{path}' is a MATLAB 7.3 file, which is HDF5. In MATLAB: save('{path.stem}.mat', '-v7')."
        ) from None
    except (ValueError, TypeError, OSError, EOFError, MemoryError, IndexError, KeyError) as problem:
        raise DataError(f"'{path}' is damaged, or not a MATLAB file ({problem}).") from problem
    arrays = {}
    for key, value in found.items():
        if key.startswith("__") or not isinstance(value, np.ndarray) or value.dtype.kind not in "fiubU":
            continue
        arrays[key] = value.ravel() if value.ndim == 2 and 1 in value.shape else np.ascontiguousarray(value)
    return arrays


def to_block(path: Path, key: str, array: np.ndarray) -> Tensor:
    """Returns (samples, features), float32 or float64, or uint8 images."""
    if array.dtype.kind == "U":
        raise DataError(
            f"{key!r} of '{path}' holds text, not numbers. Encode it as numbers, or leave it out of the features."
        )
    if array.dtype == np.uint8 and array.ndim == 3:
        array = array[..., None]  # grey images
    if array.dtype != np.float32 and not (array.dtype == np.uint8 and array.ndim == 4):
        array = array.astype(np.float64)
    try:
        block = torch.from_numpy(np.ascontiguousarray(array))
        check_features(block)
    except errors.EdunnError as problem:
        raise ShapeError(f"'{path}', array {key!r}: {problem}") from problem
    return block


def as_column(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    """Returns an array of shape (samples,); (samples, 1) is the same."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return array
    if base(key) in TARGETS and array.ndim == 2:
        raise ShapeError(
            f"{key!r} in '{path}' has shape {array.shape}, not (samples,). Save {key}.argmax(1), if its rows are "
            f"one-hot."
        )
    raise ShapeError(
        f"'{path}' has {key!r} of shape {array.shape}, which is not a column. Call the features "
        f"{listed(FEATURES)} or X_train, and the targets {listed(TARGETS)} or y_train; all other arrays have shape "
        f"(samples,)."
    )


def listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
