"""Progress bars on stderr, for whatever takes longer than two seconds; none where stderr is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

DELAY = 2.0  # seconds before a bar appears
QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


def on_terminal() -> bool:
    """Returns whether progress is shown: on a terminal, and not inside `quiet`."""
    return not QUIET.get() and sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def quiet(silent: bool = True) -> Iterator[None]:
    """Shows no progress inside, as with --quiet."""
    before = QUIET.set(silent)
    try:
        yield
    finally:
        QUIET.reset(before)


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "") -> Iterable[T]:
    """Returns the items, and shows how many are done and the time left if they take longer than two seconds."""
    if not on_terminal():
        return items
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(items, what, total, unit=unit or "it", leave=False, file=sys.stderr, delay=DELAY)
    return bar


@contextlib.contextmanager
def bar(what: str, total: int | None = None, unit: str = "it") -> Iterator[Any]:
    """Gives an object whose `update(n)` says that n more are done; it appears after two seconds."""
    from tqdm import tqdm

    with tqdm(
        desc=what, total=total, unit=unit, leave=False, file=sys.stderr, delay=DELAY, disable=not on_terminal()
    ) as shown:
        yield shown
