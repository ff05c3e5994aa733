"""Features in a .npy file that stays on disk: mapped into memory, read row by row when a batch is drawn."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataError, ShapeError
from ..runtime.rows import Rows
from . import files
from .samples import Dataset, Samples, as_samples

KINDS = {"float32", "float64", "uint8"}
HEADER = 2**16  # bytes that a header may take


def read_npy(
    path: str | PathLike[str],
    targets: str | PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    target_name: str | None = None,
    targets_required: bool = True,
) -> Dataset:
    """Reads a .npy file of features, (samples, features) or uint8 images, without loading all of it.

    Parameters
    ----------
    targets : another .npy file, (samples,): whole numbers are class indices, floats real targets, text classes
    classes : the classes' names, by index; "0", "1", … if not given
    """
    path = files.check_exists(path, "features")
    features = as_rows([map_array(path)])
    if targets is None and targets_required:
        raise ConfigError(f"The targets of '{path}' are missing. Name their file: data.targets = \"targets.npy\".")
    if targets is None:
        part = Samples(cast(Any, features), classes=None if classes is None else tuple(classes))
        (digest,) = files.sha256_of([path])
    else:
        labels = files.check_exists(targets, "targets")
        part = with_targets(features, map_array(labels, text=True), classes)
        digest = hashlib.sha256(" ".join(files.sha256_of([path, labels])).encode()).hexdigest()
    names = None if feature_names is None else tuple(feature_names)
    return Dataset(path.stem, replace(part, feature_names=names, target_name=target_name), None, digest, str(path))


def with_targets(features: Rows, targets: np.ndarray, classes: Sequence[str] | None) -> Samples:
    """Returns samples with these targets in memory, checked and encoded as those of any other source."""
    if targets.ndim != 1 or len(targets) != len(features):
        hint = (
            " For one-hot rows save targets.argmax(1)." if targets.ndim == 2 and len(targets) == len(features) else ""
        )
        raise ShapeError(
            f"Expected targets of shape (samples,) = ({len(features)},); got {tuple(targets.shape)}.{hint}"
        )
    encoded = as_samples(np.zeros((len(targets), 1), np.float32), np.array(targets), classes)
    assert encoded.targets is not None
    real = encoded.targets.dtype.is_floating_point and features.dtype.is_floating_point
    found = encoded.targets.to(features.dtype) if real else encoded.targets
    return Samples(cast(Any, features), found, encoded.classes)


def map_array(path: Path, text: bool = False) -> np.ndarray:
    """Maps the array of a .npy file into memory, after a check that the file is complete.

    In mode "c", copy on write, torch accepts the array without a warning, and writing to it does not change the file.
    The operating system can free pages that were read.
    """
    try:
        files.check_regular(path, "a .npy file")
        with path.open("rb") as file:
            header = read_header(file.read(HEADER), str(path))
        size = path.stat().st_size
    except OSError as problem:
        raise DataError(f"Cannot read the array at '{path}': {files.reason(problem)}.") from problem
    shape, fortran, dtype = header.shape, header.fortran, header.dtype
    if not text and (str(dtype) not in KINDS or not dtype.isnative):
        raise DataError(
            f"Expected features of dtype float32, float64 or uint8 in '{path}'; got {dtype}. Save array.astype('f4')."
        )
    if fortran and len(shape) > 1:
        raise DataError(f"'{path}' stores column after column; rows are read. Save numpy.ascontiguousarray(array).")
    if not shape or 0 in shape:
        raise DataError(f"'{path}' has no rows of features: its shape is {shape}.")
    header.check(size, str(path))
    return np.memmap(path, dtype, "c", header.offset, shape)


@dataclass(frozen=True)
class Header:
    """The header of a .npy file: shape, memory order and dtype of the array, and where its numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    offset: int

    def check(self, size: int, title: str) -> None:
        """Raises an error if the file is not as long as the header says, before memory is allocated."""
        wanted = self.offset + math.prod(self.shape) * self.dtype.itemsize
        if size != wanted:
            raise DataError(f"'{title}' has {size:,} bytes, but its header says {wanted:,}. Copy it again.")


def read_header(start: bytes, title: str) -> Header:
    """Reads the header from the first bytes of a .npy file."""
    file = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(file)
        reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in reads:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        shape, fortran, dtype = reads[version](file)
        if not all(type(n) is int and n >= 0 for n in shape) or dtype.itemsize == 0:
            raise ValueError(f"shape {shape}, {dtype}")
        if math.prod(n for n in shape if n) * dtype.itemsize >= 2**63:  # numpy refuses even an empty one
            raise ValueError(f"shape {shape}")
    except Exception as problem:  # numpy reads the header as Python, and a damaged one can raise anything
        raise DataError(
            f"'{title}' is not a .npy file, or is damaged ({str(problem)[:80]}). Save it with numpy.save."
        ) from problem
    if dtype.hasobject:
        raise DataError(
            f"'{title}' holds Python objects, which are not loaded because a file of them can run code. "
            f"Save it with a dtype: array.astype(float), or array.astype(str)."
        )
    return Header(shape, fortran, dtype, file.tell())


def read_array(content: bytes, title: str) -> np.ndarray:
    """Reads the array of a .npy file in memory: a copy, which may be written to."""
    header = read_header(content[:HEADER], title)
    header.check(len(content), title)
    flat = np.frombuffer(content, header.dtype, math.prod(header.shape), header.offset)
    return flat.reshape(header.shape, order="F" if header.fortran else "C").copy()


def as_rows(arrays: Sequence[np.ndarray], finite: bool = False) -> Rows:
    """Returns mapped arrays as rows of features. Bytes that are not images become float32 numbers, 0 to 255."""
    parts = [torch.from_numpy(array) for array in arrays]
    rows = Rows(parts, finite=finite or parts[0].dtype == torch.uint8)
    return rows.through(to_float32, finite=True) if rows.dtype == torch.uint8 and rows.ndim == 2 else rows


def to_float32(x: Tensor) -> Tensor:
    """Converts bytes to float32, exactly."""
    return x.to(torch.float32)
