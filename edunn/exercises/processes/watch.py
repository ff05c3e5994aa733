"""Watches the process of a hand-in while it works: its computing, its sleeping, and how many processes it has."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any, Protocol

from .sandbox import MOST_PROCESSES, end_session, list_session, measure
from .wire import Stream

PERIOD = 0.05  # seconds between two looks
SLACK = 20  # wall seconds for each second of the limit, where CPU time is known; else 2


class Process(Protocol):
    """A process in which a hand-in runs; `adopts`: whether its orphans become this process's children."""

    pid: int
    adopts: bool

    @property
    def stream(self) -> Stream:
        """What it is asked through."""

    def has_answered(self) -> bool:
        """Returns whether an answer is there to be read; False where that cannot be seen."""

    def stop(self) -> int:
        """Ends it and all that it has started. Returns its exit code, negative for a signal."""


class Ended(BaseException):
    """The process of the hand-in has ended, or was ended, before it answered.

    It is not an Exception, so that no handler takes it for an error of the hand-in's arithmetic.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Watch:
    """Ends a process that computes or sleeps for longer than the limit, while an answer of it is awaited.

    A process that waits for a core does neither, so right code on a busy machine runs into no limit. Where the system
    does not show a process's CPU time, wall time is counted.
    """

    def __init__(self, process: Process, limit: float) -> None:
        self.process, self.pid, self.limit, self.orphans = process, process.pid, limit, process.adopts
        self.verdict: Ended | None = None
        self.asleep = self.awaited = self.cpu = 0.0
        self.waiting = threading.Event()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def __enter__(self) -> None:
        self.waiting.set()

    def __exit__(self, *_: Any) -> None:
        self.waiting.clear()

    @contextlib.contextmanager
    def pause(self) -> Any:
        """Counts nothing while the judge works."""
        self.waiting.clear()
        try:
            yield
        finally:
            self.waiting.set()

    def look(self) -> None:
        before, looks = time.monotonic(), 0
        while not self.over.wait(PERIOD):
            now = time.monotonic()
            passed, before = now - before, now
            if not self.waiting.is_set():
                continue
            looks += 1
            self.awaited += passed
            seen = measure(self.pid)
            if seen is not None:
                self.cpu = seen[0]
                # on a busy machine it may have answered, and wait for the judge
                self.asleep += passed * (seen[1] and not self.process.has_answered())
            self.verdict = self.judge(seen is not None, looks)
            if self.verdict is not None:
                end_session(self.pid, self.orphans)
                with contextlib.suppress(ProcessLookupError, PermissionError, OSError):
                    os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                return

    def judge(self, measured: bool, looks: int) -> Ended | None:
        """Returns why the process is to end now, if it is."""
        hint = "(--time-limit allows more)"
        if self.cpu > self.limit:
            return Ended("timeout", f"no result after {self.limit:g} s of computing: an endless loop? {hint}")
        if self.asleep > self.limit:
            return Ended("timeout", f"no result after {self.limit:g} s of waiting: does it sleep, or ask? {hint}")
        if self.awaited > self.limit * (SLACK if measured else 2):
            return Ended("timeout", f"no result after {self.awaited:.0f} s {hint}")
        if looks % 2 == 0 and len(list_session(self.pid, self.orphans)) > MOST_PROCESSES:
            return Ended("error", f"it has started more than {MOST_PROCESSES} processes: a fork bomb?")
        return None

    def measure_cpu(self) -> float:
        """Returns the CPU seconds of the process until now."""
        seen = measure(self.pid)
        self.cpu = max(self.cpu, seen[0] if seen is not None else 0.0)
        return self.cpu

    def close(self) -> None:
        self.over.set()
        self.thread.join()
