"""Labels as class indices, and the text that they are written in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..errors import DataError


def encode(labels: Sequence[str], classes: Sequence[str] | None = None) -> tuple[Tensor, tuple[str, ...]]:
    """Returns labels as class indices, (samples,) int64, and the classes: as given, else in alphabetical order."""
    names = tuple(sorted(set(labels))) if classes is None else tuple(classes)
    index = {name: i for i, name in enumerate(names)}
    for row, label in enumerate(labels):
        if label not in index:
            raise DataError(f"Unknown class {label!r} at index {row}. {errors.nearest(label, names)}")
    return torch.tensor([index[label] for label in labels], dtype=torch.int64), names


def decode_bytes(array: np.ndarray, title: str) -> np.ndarray:
    """Returns an array of bytes as text in UTF-8."""
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as problem:
        raise DataError(f"{title}: the text is not UTF-8 ({problem.reason}). Save array.astype(str).") from problem


def check_text(array: np.ndarray, title: str) -> None:
    """Refuses text whose numbers, of four bytes a letter, are not letters: Python cannot make a string of them."""
    if not array.size or not array.dtype.itemsize:
        return
    codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    if int(codes.max()) > sys.maxunicode:
        raise DataError(f"{title}: the text is damaged. Save array.astype(str) again.")
