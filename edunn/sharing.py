"""Work in slices, shared out to threads that each compute by themselves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def slices(count: int, size: int) -> list[slice]:
    """[0, size), [size, 2 size), … up to `count`."""
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
