"""Whether new figures are pyplot's, which a notebook or a window shows, or only go to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

FILES_ONLY: ContextVar[bool] = ContextVar("files_only", default=False)


@contextlib.contextmanager
def files_only() -> Iterator[None]:
    """Makes figures apart from pyplot inside: nothing is shown, and each is freed with its last reference.

    The command line draws so, and so do training and lessons, whose pictures go to a folder.
    """
    before = FILES_ONLY.set(True)
    try:
        yield
    finally:
        FILES_ONLY.reset(before)
