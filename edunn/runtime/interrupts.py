"""Ctrl-C and SIGTERM both raise KeyboardInterrupt, at which a run saves its state; the exit codes differ."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

received: int | None = None  # the last signal


def listen() -> None:
    """Makes SIGTERM end this process as Ctrl-C does. Only the command line calls it."""
    with contextlib.suppress(ValueError):  # signals belong to the main thread
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, interrupt)


def ignore() -> None:
    """Ignores signals from now on: the command is finished and its exit code is known."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt; inside an import, where it would surface as some other error, ends the process.

    Files are written whole or not at all, so nothing is lost by it.
    """
    global received
    received = number
    if is_importing(frame):
        with contextlib.suppress(OSError):
            os.write(2, b"edunn: interrupted\n")
        os._exit(exit_code())
    raise KeyboardInterrupt


def is_importing(frame: FrameType | None) -> bool:
    """Returns whether a frame, or one that called it, is that of a Python import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def check() -> None:
    """Raises KeyboardInterrupt if a signal came whose own exception was lost, as it is in a destructor."""
    if received is not None:
        raise KeyboardInterrupt


def exit_code() -> int:
    """Returns 130 after Ctrl-C, 143 after SIGTERM: 128 plus the number of the signal."""
    return 128 + (received or signal.SIGINT)
