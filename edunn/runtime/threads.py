"""Splits work into slices for threads; `whole` is the hook for work that several processes divide."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


def slices(count: int, size: int) -> list[slice]:
    """Returns the slices [0, size), [size, 2 size), … up to `count`."""
    return [slice(start, min(start + size, count)) for start in range(0, count, max(1, size))]


def share_out(work: list[slice], make: Callable[[], Callable[[slice], None]], device: torch.device) -> None:
    """Calls function(rows) for all slices of the work, in no particular order.

    `make` gives each thread a function of its own, which may keep buffers. On a CPU the slices go to as many threads as
    torch has, each of which computes by itself: what fits a core's cache is too small to be shared out operation by
    operation, and a core that is busy with something else then delays its own slices only.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(work) == 1:
        function = make()
        for rows in work:
            function(rows)
        return
    left = iter(work)  # shared: a list's iterator gives each slice to one thread

    def one_thread(_: int) -> None:
        function = make()
        for rows in left:
            function(rows)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(one_thread, range(threads)))
    finally:
        torch.set_num_threads(threads)


Split = Callable[[Callable[[Tensor], Tensor], Tensor, int], Tensor]


def whole(evaluate: Callable[[Tensor], Tensor], things: Tensor, axis: int) -> Tensor:
    """`evaluate(things)`: all of them, here. What stands in its place shares them out to several processes.

    `things` are numbered along their axis 0, and the result along `axis`: of grid rows (rows,), say, a jet
    (channels, rows, columns) has axis 1. What is computed for one of them depends on no other.
    """
    return evaluate(things)
