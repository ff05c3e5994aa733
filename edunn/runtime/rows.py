"""Features that are read only when a batch needs them: from mapped files, as bytes, or both.

`Rows` take the place of a tensor of features. They have its shape, dtype and device, can be sliced (`rows[index]`,
which copies nothing), read in chunks (`split`) or at some indices (`index_select`). The conversions of a row (bytes to
numbers, another dtype, standardisation) are the steps; they are applied to the few rows that are read, by the same
functions as for a whole tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import errors

Step = Callable[[Tensor], Tensor]

AT_ONCE = 2 << 20  # bytes that are made at a time: they stay in the cache from one step to the next
PAGE = 4096  # bytes
CHUNK = 256 << 20  # bytes of a chunk of an evaluation


@dataclass(frozen=True)
class Located:
    """Where the rows of a few batches are.

    Parameters
    ----------
    pieces : (number of a part, rows of it), part after part
    places : of the batches' rows, one batch after another, among the rows of the pieces; in the part if it is the one
    sizes : rows of each batch
    """

    pieces: list[tuple[int, Tensor]]
    places: Tensor
    sizes: list[int]


class Rows:
    """The rows of several tensors, or a selection of them, to which `steps` are applied when they are read.

    Parameters
    ----------
    parts : the tensors, (n_i, *shape) each, of one shape and dtype; they may be mapped from files
    index : (samples,) int64, the selected rows in order; None for all, in the parts' order
    steps : functions applied to the rows in turn, each from (n, …) to (n, …), row by row
    device : of the rows after reading, where the steps are computed. The parts stay where they are.
    finite : whether the values are known to be finite
    """

    def __init__(
        self,
        parts: Sequence[Tensor],
        index: Tensor | None = None,
        steps: Sequence[Step] = (),
        device: torch.device | str = "cpu",
        finite: bool = False,
    ) -> None:
        self.parts, self.index, self.steps, self.finite = tuple(parts), index, tuple(steps), finite
        self.device = resolve_device(device)
        first = self.parts[0]
        for part in self.parts:
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype or part.device != first.device:
                raise errors.ShapeError(
                    f"Expected parts of one shape and dtype; got {first.dtype} {errors.shape(first)} and "
                    f"{part.dtype} {errors.shape(part)}."
                )
        ends = torch.tensor([0, *map(len, self.parts)]).cumsum(0)
        self.starts, self.first_rows = ends[:-1].to(first.device), ends[:-1].tolist()
        self.total = int(ends[-1])
        # one number of each page
        self.pages = [part.reshape(len(part), -1)[:, :: PAGE // part.element_size()] for part in self.parts]
        one = self.apply_steps(first.new_zeros(1, *first.shape[1:]))  # its shape and dtype are asked; nothing is read
        self.shape = torch.Size((self.total if index is None else len(index), *one.shape[1:]))
        self.dtype = one.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that all rows would take in memory."""
        return self.shape.numel() * self.dtype.itemsize

    @property
    def resident(self) -> bool:
        """Whether the parts are on the device already, so that reading waits for no disk."""
        return self.parts[0].device == self.device and self.device.type != "cpu"

    def __repr__(self) -> str:
        files = f"{len(self.parts)} part{'s' * (len(self.parts) != 1)}"
        return f"Rows({tuple(self.shape)}, {self.dtype}, from {files}, {self.device})"

    def but(self, **changes: Any) -> Rows:
        """Returns the same rows with some constructor arguments changed."""
        own = {name: getattr(self, name) for name in ("parts", "index", "steps", "device", "finite")}
        return Rows(**(own | changes))

    def __getitem__(self, rows: slice | Tensor) -> Rows:
        """Returns the rows at a slice, at indices, or where a mask is true; nothing is read."""
        if isinstance(rows, Tensor):
            wanted = rows.nonzero().squeeze(1) if rows.dtype == torch.bool else rows
            wanted = torch.where(wanted < 0, wanted + len(self), wanted).to(self.parts[0].device)
            if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(self):
                raise IndexError(f"Expected indices from {-len(self)} to {len(self) - 1}.")
        else:
            start, stop, step = rows.indices(len(self))
            wanted = torch.arange(start, max(start, stop), step, device=self.parts[0].device)
        return self.but(index=self.absolute(wanted))

    def absolute(self, rows: Tensor) -> Tensor:
        """Returns places among these rows as places among all rows of the parts."""
        rows = rows.to(self.parts[0].device)
        return rows if self.index is None else self.index.index_select(0, rows)

    def through(self, step: Step, finite: bool = False) -> Rows:
        """Returns the rows with one more step; `finite`: the step makes finite values of finite ones."""
        return self.but(steps=(*self.steps, step), finite=self.finite and finite)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Rows:
        """Returns the same rows on another device, or in another floating dtype."""
        rows = self if device is None or resolve_device(device) == self.device else self.but(device=device)
        if dtype is None or dtype == self.dtype:
            return rows
        return rows.through(lambda x: x.to(dtype), finite=dtype.itemsize >= self.dtype.itemsize)

    def apply_steps(self, raw: Tensor) -> Tensor:
        """Applies the steps to raw rows."""
        for step in self.steps:
            raw = step(raw)
        return raw

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Reads the rows at the indices: `torch.Tensor.index_select`, for dim 0."""
        assert dim == 0
        if self.device.type != "cpu":
            source, places = self.source(self.locate([index]))
            return self.apply_steps(source.index_select(0, places).to(self.device))
        out = torch.empty(len(index), *self.shape[1:], dtype=self.dtype)
        for some, there in zip(index.split(self.at_once), out.split(self.at_once), strict=True):
            found = self.gather(*self.source(self.locate([some])), there)
            if found is not there:
                there.copy_(found)
        return out

    def locate(self, indices: Sequence[Tensor]) -> Located:
        """Finds where the rows of a few batches are; together they cost little more than one."""
        rows, sizes = self.absolute(torch.cat(list(indices))), [len(index) for index in indices]
        if len(self.parts) == 1:
            return Located([(0, rows)], rows, sizes)
        # each part's rows in the order of its file, so that a disk reads forwards
        ordered, places = rows.sort()
        begins = torch.searchsorted(ordered, self.starts).tolist()
        ends = [*begins[1:], len(ordered)]
        pieces = [
            (number, ordered[begin:end] - first)
            for number, (first, begin, end) in enumerate(zip(self.first_rows, begins, ends, strict=True))
            if begin < end
        ]
        back = torch.empty_like(places)
        back[places] = torch.arange(len(places), device=places.device)
        return Located(pieces, back, sizes)

    def touch(self, where: Located) -> None:
        """Makes the operating system load rows into memory, by reading one number of every page."""
        for number, rows in where.pieces:
            self.pages[number].index_select(0, rows)

    def source(self, where: Located, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns a tensor that holds the raw rows, and their places in it: the one part, or a copy from several.

        memory : for the copy, (rows or more, *shape); allocating it costs as much as the copy
        """
        if len(self.parts) == 1:
            return self.parts[0], where.places
        found, start = self.scratch(len(where.places)) if memory is None else memory, 0
        for number, rows in where.pieces:
            torch.index_select(self.parts[number], 0, rows, out=found[start : start + len(rows)])
            start += len(rows)
        return found, where.places

    def scratch(self, rows: int) -> Tensor:
        """Allocates memory for raw rows; an empty tensor if there is one part, which needs no copy."""
        first = self.parts[0]
        return first.new_empty(rows if len(self.parts) > 1 else 0, *first.shape[1:])

    def batches(self, where: Located, memory: Sequence[Tensor], scratch: Tensor) -> Iterator[Tensor]:
        """Yields the rows of each batch, on a CPU; in the given memory where there are no steps."""
        source, places = self.source(where, scratch)
        for rows, into in zip(places.split(where.sizes), memory, strict=False):
            yield self.gather(source, rows, into[: len(rows)])

    def collect(self, where: Located, out: Sequence[Tensor]) -> None:
        """Copies the raw rows of each batch into `out`."""
        source, places = self.source(where)
        for rows, into in zip(places.split(where.sizes), out, strict=True):
            torch.index_select(source, 0, rows, out=into)

    def gather(self, source: Tensor, places: Tensor, out: Tensor | None = None) -> Tensor:
        """Returns the rows at these places of a tensor, steps applied; many rows go in pieces."""
        if not self.steps:
            return torch.index_select(source, 0, places, out=out)
        if len(places) <= self.at_once:
            return self.apply_steps(source.index_select(0, places))
        out = torch.empty(len(places), *self.shape[1:], dtype=self.dtype) if out is None else out
        for some, there in zip(places.split(self.at_once), out.split(self.at_once), strict=True):
            there.copy_(self.apply_steps(source.index_select(0, some)))
        return out

    @property
    def at_once(self) -> int:
        """The number of rows to which the steps are applied at a time."""
        return max(1, AT_ONCE // max(1, self.shape[1:].numel() * self.dtype.itemsize))

    def split(self, size: int) -> Iterator[Tensor]:
        """Yields chunks of `size` rows, the last one smaller: `torch.Tensor.split`, one at a time.

        Where there are no steps, the chunk is the mapped file itself.
        """
        for start in range(0, max(1, len(self)), size):
            yield self.stretch(start, min(start + size, len(self)))

    def stretch(self, start: int, end: int) -> Tensor:
        """Reads the rows from `start` to before `end`."""
        if self.index is not None:
            return self.index_select(0, torch.arange(start, end))
        pieces = []
        for part, first in zip(self.parts, self.first_rows, strict=True):
            low, high = max(start - first, 0), min(end - first, len(part))
            if low < high:
                pieces.append(part[low:high])
        raw = pieces[0] if len(pieces) == 1 else torch.cat(pieces) if pieces else self.parts[0][:0]
        if self.device.type != "cpu" or not self.steps:
            return self.apply_steps(raw.to(self.device))
        out = torch.empty(len(raw), *self.shape[1:], dtype=self.dtype)
        for some, there in zip(raw.split(self.at_once), out.split(self.at_once), strict=True):
            there.copy_(self.apply_steps(some))
        return out

    def loaded(self) -> Tensor:
        """Reads all rows into one tensor."""
        out = torch.empty(self.shape, dtype=self.dtype, device=self.device)
        size = chunk_of(self)
        for start, chunk in zip(range(0, max(1, len(self)), size), self.split(size), strict=True):
            out[start : start + size] = chunk
        return out

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"Features kept in files have no {name!r}. "
            f"Load them with samples.loaded() if they fit in memory, or load a part: samples[:1000].loaded()."
        )

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", str(function))
        raise errors.DataError(
            f"torch's {name} cannot take features that stay in their files. "
            f"Take samples.loaded() where they are few, or a part of them: samples[:1000].loaded()."
        )


def room(rows: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Allocates memory for a batch, (rows, width). Rows whole pages apart would collide in the CPU's cache."""
    apart = device.type == "cpu" and width * dtype.itemsize % PAGE == 0
    return torch.empty(rows, width + apart * 64 // dtype.itemsize, dtype=dtype, device=device)[:, :width]


def resolve_device(device: torch.device | str) -> torch.device:
    """Returns the device as a tensor on it names it: `cuda` is the current one, `cuda:0`. Only these compare."""
    return torch.empty(0, device=device).device


def through(features: Any, step: Step, finite: bool = False) -> Any:
    """Returns `step(features)` of a tensor; of `Rows`, rows with one more step, applied when they are read."""
    return features.through(step, finite) if isinstance(features, Rows) else step(features)


def chunk_of(features: Any, most: int = 16_384) -> int:
    """Returns how many rows to take at a time: `most` of a tensor, and no more than `CHUNK` bytes of `Rows`."""
    if not isinstance(features, Rows):
        return most
    return max(1, min(most, CHUNK // max(1, math.prod(features.shape[1:]) * features.dtype.itemsize)))


def check_finite(features: Any) -> None:
    """Refuses nan and inf as `errors.check_finite` does, a chunk at a time, and not again where it is known."""
    if not isinstance(features, Rows):
        errors.check_finite("features", features)
    elif not features.finite:
        size = chunk_of(features)
        for number, chunk in enumerate(features.split(size)):
            errors.check_finite("features", chunk, first=number * size)
