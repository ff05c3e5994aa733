"""The header of a .npy file, read before its numbers: shape, memory order and dtype."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError

HEADER = 2**16  # bytes that a header may take


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
