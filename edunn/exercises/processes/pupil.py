"""The process that a hand-in runs in. It loads the file, and answers what the judge asks: numbers for numbers."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..adapters import load_adapted
from ..calls import HandinError, Missing, NothingFound, Unfinished, call
from ..files.executing import locate
from ..handin import Handin
from ..point import Point
from ..sources import find_sources
from .patches import Snapshot
from .remote import describe_all, flatten, rebuild_value, seed_generators
from .sandbox import NO_NETWORK, end_with_parent, leave_network, limit
from .wire import Stream, receive, send

KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (Unfinished, "unfinished"), (Missing, "missing"), (NothingFound, "nothing"),
    (HandinError, "error"), (MemoryError, "memory"),
)  # fmt: skip


def settle(home: str, printed: str, memory: int, seconds: float) -> list[str]:
    """Makes this process one for strangers' code; returns what the system could not take away from it."""
    if hasattr(os, "setsid"):
        os.setsid()
    end_with_parent()
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, printed, os.O_WRONLY | os.O_APPEND)):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(home)
    os.environ.update({"HOME": home, "TMPDIR": home})
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    limit(memory, seconds)
    return [] if leave_network() else [NO_NETWORK]


class Pupil:
    """Answers the judge's questions about one file."""

    def __init__(self, stream: Stream, limits: list[str]) -> None:
        self.stream, self.limits = stream, limits
        self.handins: list[Handin] = []
        self.message: Callable[[str], str] = str
        self.before = Snapshot()

    def serve(self) -> None:
        """Answers until the judge has no more to ask."""
        questions = {"load": self.load, "call": self.call, "sources": self.find_sources, "end": self.end}
        while True:
            try:
                what, given = receive(self.stream, self.refer_back)
            except EOFError:
                return
            try:
                answer = {"answer": questions[what](given)}
            except (HandinError, MemoryError, RecursionError) as error:
                kind = next((word for cause, word in KINDS if isinstance(error, cause)), "error")
                answer = {"raised": kind, "message": self.message(str(error) or type(error).__name__)}
            send(self.stream, answer)

    def refer_back(self, number: int) -> Callable[..., Any]:
        """Returns a function of the judge's, for a hand-in that is given one."""

        def ask(*given: Any) -> Any:
            send(self.stream, {"callback": number, "given": list(given)})
            return receive(self.stream)["answer"]

        return ask

    def load(self, given: Mapping[str, Any]) -> Any:
        """Runs the file and describes what it hands in."""
        loaded = load_adapted(Path(given["path"]), given["name"] or None, given["adapter"], given["course"])
        self.handins = flatten(loaded.handins)
        self.message = lambda text: locate(loaded.module.source, text)
        return {"handins": describe_all(loaded.handins), "notes": loaded.module.notes, "limits": self.limits}

    def call(self, given: Mapping[str, Any]) -> Any:
        """Calls one function of one hand-in; returns what it returned, and the arguments that it changed in place."""
        handin, arguments = self.handins[given["number"]], given["given"]
        kept = [one.clone() if isinstance(one, Tensor) else np.copy(one) for one in arguments if is_array(one)]
        seed_generators(given["seed"])
        function = attrgetter(given["part"])(handin)
        returned = call(handin.file, function, *arguments)
        changed = {}
        for place, before in zip((k for k, one in enumerate(arguments) if is_array(one)), kept, strict=True):
            if not np.array_equal(np.asarray(before), np.asarray(arguments[place]), equal_nan=True):
                changed[str(place)] = arguments[place]
        return {"returned": returned, "changed": changed}

    def find_sources(self, given: Mapping[str, Any]) -> list[str]:
        """Records what the gradient of one hand-in calls, at the point of a seed."""
        plain = {name: rebuild_value(value, 0, name, no_function) for name, value in given["handin"].items()}
        return find_sources(Point(replace(self.handins[given["number"]], **plain), given["seed"], []))

    def end(self, given: Mapping[str, Any]) -> list[str]:
        """Returns what the hand-in has replaced in the package and the libraries it is computed with."""
        return self.before.find_changes()


def no_function(what: str, given: Mapping[str, Any]) -> None:
    raise LookupError(what)


def is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def main() -> None:
    """The whole life of a process that is started for one file alone, where the system cannot fork.

    It is asked on its stdin and answers on what was its stdout; from here on the hand-in has others.
    """
    torch.set_num_threads(1)
    stream = io.BufferedRWPair(io.FileIO(os.dup(0)), io.FileIO(os.dup(1), "w"))
    home, printed, memory, seconds = sys.argv[1:]
    Pupil(stream, settle(home, printed, int(memory), float(seconds))).serve()


if __name__ == "__main__":
    main()
