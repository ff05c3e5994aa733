"""Features in a .npy file that stays on disk: mapped into memory, read row by row when a batch is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
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


def read_npy(
    path: str | PathLike[str],
    targets: str | PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    target_name: str | None = None,
    targets_required: bool = True,
) -> Dataset:
    """A .npy file of features, (samples, features) or uint8 images, that is never loaded whole.

    Parameters
    ----------
    targets : another .npy file, (samples,): whole numbers are class indices, floats real targets, text classes
    classes : the classes' names, by index; "0", "1", … if not given
    """
    path = files.existing(path, "features")
    features = rows_of([mapped(path)])
    if targets is None and targets_required:
        raise ConfigError(f"Expected the targets of '{path}' in another file: data.targets = \"targets.npy\".")
    if targets is None:
        part = Samples(cast(Any, features), classes=None if classes is None else tuple(classes))
        (digest,) = files.sha256_of([path])
    else:
        labels = files.existing(targets, "targets")
        part = with_targets(features, mapped(labels, text=True), classes)
        digest = hashlib.sha256(" ".join(files.sha256_of([path, labels])).encode()).hexdigest()
    names = None if feature_names is None else tuple(feature_names)
    return Dataset(path.stem, replace(part, feature_names=names, target_name=target_name), None, digest, str(path))


def with_targets(features: Rows, targets: np.ndarray, classes: Sequence[str] | None) -> Samples:
    """The samples, with targets in memory that are checked and encoded as those of any other source."""
    if targets.ndim != 1 or len(targets) != len(features):
        hint = " For one-hot rows save targets.argmax(1)." if targets.ndim == 2 else ""
        raise ShapeError(
            f"Expected targets of shape (samples,) = ({len(features)},); got {tuple(targets.shape)}.{hint}"
        )
    encoded = as_samples(np.zeros((len(targets), 1), np.float32), np.array(targets), classes)
    assert encoded.targets is not None
    real = encoded.targets.dtype.is_floating_point and features.dtype.is_floating_point
    found = encoded.targets.to(features.dtype) if real else encoded.targets
    return Samples(cast(Any, features), found, encoded.classes)


def mapped(path: Path, text: bool = False) -> np.ndarray:
    """The array of a .npy file over the file itself, once the file is known to hold all of it.

    Mode "c", copy on write: torch takes the array without a warning, and nothing that is written to it would reach the
    file. Pages that were read are the system's to take back.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in reads:
                raise ValueError(f"version {version[0]}.{version[1]} of the format")
            shape, fortran, dtype = reads[version](file)
            offset = file.tell()
    except OSError as problem:
        raise DataError(f"Expected an array at '{path}'; it cannot be read: {problem.strerror}.") from problem
    except (ValueError, EOFError) as problem:
        raise DataError(f"Expected a .npy file; '{path}' is damaged or something else ({problem}).") from problem
    if dtype.hasobject:
        raise DataError(
            f"Expected numbers in '{path}'; got Python objects, which are not loaded because a file of them can run "
            f"code. Save it with a dtype: array.astype(float)."
        )
    if not text and (str(dtype) not in KINDS or not dtype.isnative):
        raise DataError(
            f"Expected features of dtype float32, float64 or uint8 in '{path}'; got {dtype}. Save array.astype('f4')."
        )
    if fortran and len(shape) > 1:
        raise DataError(
            f"Expected the rows of '{path}' one after another; its columns are. Save numpy.ascontiguousarray(array)."
        )
    if not shape or 0 in shape:
        raise DataError(f"Expected rows of features in '{path}'; it has shape {shape}.")
    size, wanted = path.stat().st_size, offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size != wanted:
        raise DataError(
            f"Expected a whole array; '{path}' has {size:,} bytes and its header says {wanted:,}. Copy it again."
        )
    return np.memmap(path, dtype, "c", offset, shape)


def rows_of(arrays: Sequence[np.ndarray], finite: bool = False) -> Rows:
    """Mapped arrays as rows of features. Bytes that are no images count as float32 numbers, 0 to 255."""
    parts = [torch.from_numpy(array) for array in arrays]
    rows = Rows(parts, finite=finite or parts[0].dtype == torch.uint8)
    return rows.through(to_float32, finite=True) if rows.dtype == torch.uint8 and rows.ndim == 2 else rows


def to_float32(x: Tensor) -> Tensor:
    """Exact for bytes."""
    return x.to(torch.float32)
