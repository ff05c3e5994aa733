"""Reads the next batches in the background while a step is computed on the current one.

Waiting for the disk, or for a copy to a CUDA device, takes long and uses no core. So a thread does it ahead of the
loop, a few blocks at a time. On a CPU it makes the system load the next rows into memory if they are not there, and the
loop gathers them with all of its cores (gathering in the thread would take a core from the products, which is slower
once the files are in memory). For a CUDA device it gathers them into pinned memory. The batches and their order are the
same, to the bit, as without the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar, cast

import torch
from torch import Tensor

from .rows import Located, Rows, room

T = TypeVar("T")

BLOCK = 8 << 20  # bytes: enough batches that handing them over costs nothing beside reading them
AHEAD = 4  # blocks that are brought into memory before they are asked for
PROBE = 16  # blocks
RESIDENT = 2e-6  # seconds a row that is in memory takes to be looked at, at the most
PINNED = 3  # blocks of pinned memory: one that travels, one ready, one being filled


def batches_of(rows: Rows, indices: Sequence[Tensor], ahead: bool = True) -> Generator[Tensor, None, None]:
    """Yields the rows at each of the indices, batch after batch, on the rows' device.

    A batch is valid until the next one is requested. An error in the background is raised here, at the batch that it
    concerns. The thread ends with the iterator, also when that is closed or deleted.

    Parameters
    ----------
    indices : (samples,) int64 for each batch
    ahead : fetch in the background, unless all is one block, or is on the device already
    """
    place = rows.parts[0].device
    if indices and indices[0].device != place:  # all at once: each transfer would wait for the device
        indices = torch.cat(list(indices)).to(place).split([len(index) for index in indices])
    groups = group_blocks(rows, indices)
    if rows.device.type == "cpu":
        ahead = ahead and len(groups) > 1
        fetch = Fetch(rows, groups, ahead)
        with closing(in_background(fetch, len(groups), AHEAD if ahead else 0)) as found:
            yield from gather_batches(rows, [largest(indices)] * len(groups[0]) if groups else [], found)
    elif rows.resident or not ahead:
        for index in indices:
            yield rows.index_select(0, index)
    else:
        with closing(pin_blocks(rows, groups, largest(indices))) as blocks:
            yield from copy_blocks(rows, blocks)


class Fetch:
    """Finds where a block's rows are, and brings them into memory where they are not.

    Touching pages that are in memory already wastes a core's time. So once a block took no longer than that, only one
    block in `PROBE` is touched, until one takes longer: a single read of a disk takes 20 µs or more.
    """

    def __init__(self, rows: Rows, groups: Sequence[Sequence[Tensor]], touch: bool) -> None:
        self.rows, self.groups, self.touch = rows, groups, touch
        self.skip = 0

    def __call__(self, number: int) -> Located:
        where = self.rows.locate(self.groups[number])
        if not self.touch:
            return where
        if self.skip:
            self.skip -= 1
            return where
        start = time.perf_counter()
        self.rows.touch(where)
        if time.perf_counter() - start < RESIDENT * (len(where.places) + 10 * len(where.pieces)):
            self.skip = PROBE - 1
        return where


def group_blocks(rows: Rows, indices: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    """Groups the batches' indices into blocks."""
    if not indices:
        return []
    per_batch = largest(indices) * rows.shape[1:].numel() * rows.dtype.itemsize
    size = max(1, BLOCK // max(1, per_batch))
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def in_background(work: Callable[[int], T], count: int, ahead: int) -> Generator[T, None, None]:
    """Yields work(0), work(1), …, computed in a thread ahead of their use.

    ahead : how many are computed before the one in use is released; 0: none, and no thread
    """
    if not ahead:
        yield from map(work, range(count))
        return
    free, stopped = threading.Semaphore(ahead), threading.Event()
    done: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            for number in range(count):
                free.acquire()
                if stopped.is_set():
                    return
                done.put((work(number), None))
        except BaseException as error:  # it belongs to the caller
            done.put((None, error))

    thread = threading.Thread(target=run, name="edunn-prefetch", daemon=True)
    thread.start()
    try:
        for _ in range(count):
            result, error = done.get()
            if error is not None:
                raise error
            yield cast(T, result)
            free.release()
    finally:
        stopped.set()
        free.release()
        thread.join()


def gather_batches(rows: Rows, sizes: Sequence[int], found: Iterable[Located]) -> Iterator[Tensor]:
    """Yields the batches of each block in turn, of these sizes at most.

    Each batch has its own tensor, because the rounding of a product may depend on the address of its rows.
    """
    width = rows.shape[1:].numel()
    memory = [room(size, width, rows.dtype, rows.device).unflatten(1, rows.shape[1:]) for size in sizes]
    scratch = rows.scratch(sum(sizes))
    for where in found:
        yield from rows.batches(where, memory, scratch)


def largest(indices: Sequence[Tensor]) -> int:
    """Returns the number of samples of the largest batch."""
    return max((len(index) for index in indices), default=0)


def pin_blocks(rows: Rows, groups: Sequence[Sequence[Tensor]], most: int) -> Generator[list[Tensor], None, None]:
    """Yields blocks of raw batches in pinned memory, which is filled again after the next block."""
    part = rows.parts[0]
    shapes = [(most, *part.shape[1:]) for _ in groups[0]] if groups else []
    memory = [[torch.empty(shape, dtype=part.dtype, pin_memory=True) for shape in shapes] for _ in range(PINNED)]

    def fill(number: int) -> list[Tensor]:
        group = groups[number]
        block = [into[: len(index)] for into, index in zip(memory[number % PINNED], group, strict=False)]
        rows.collect(rows.locate(group), block)
        return block

    with closing(in_background(fill, len(groups), PINNED)) as blocks:
        yield from blocks


def copy_blocks(rows: Rows, blocks: Iterator[list[Tensor]]) -> Iterator[Tensor]:
    """Copies blocks to the device on a separate CUDA stream, while steps are taken on the block before.

    All calls to CUDA are made here and none in the thread, so that a graph may be captured meanwhile.
    """
    side, before = torch.cuda.Stream(rows.device), None
    for block in blocks:
        with torch.cuda.stream(side):
            copies = [batch.to(rows.device, non_blocking=True) for batch in block]
        after = copies, side.record_event()
        if before is not None:
            yield from take_batches(rows, *before)
        before = after
        before[1].synchronize()  # the pinned memory may be filled again; the steps would have waited for it as well
    if before is not None:
        yield from take_batches(rows, *before)


def take_batches(rows: Rows, block: Sequence[Tensor], arrived: torch.cuda.Event) -> Iterator[Tensor]:
    """Yields the batches of a block that has arrived, steps applied."""
    here = torch.cuda.current_stream(rows.device)
    here.wait_event(arrived)
    for batch in block:
        batch.record_stream(here)
        yield rows.apply_steps(batch)
