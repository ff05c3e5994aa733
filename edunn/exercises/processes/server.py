"""One warm process that forks: torch is loaded once, and each file gets a judge and a process of its own from it.

    python -m edunn.exercises.processes.server SOCKET MODULE…

It loads the modules, and then reads requests from the socket; with each comes another socket, for the result.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...runtime.files import strict
from .judge import examine
from .options import Options
from .pupil import Pupil, settle
from .sandbox import adopt_orphans, end_session, end_with_parent, hide_memory

LARGEST = 2**16  # bytes of a request


class Forked:
    """A process for a hand-in, forked off the judge before the judge has computed anything."""

    adopts = True
    running: Forked | None = None  # what a signal to the judge ends

    def __init__(self, home: str, printed: str, options: Options) -> None:
        mine, its = socket.socketpair()
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            run_pupil(its, home, printed, options)
        its.close()
        self.socket, self.stream = mine, mine.makefile("rwb")
        Forked.running = self

    def has_answered(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def stop(self) -> int:
        if self.code is None:
            with contextlib.suppress(OSError):
                self.stream.close()
            self.socket.close()
            self.code = wait_briefly(self.pid)
            end_session(self.pid, orphans=True)
            if self.code is None:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            end_session(self.pid, orphans=True)  # what it had started is ours now
            Forked.running = None
        return self.code


def wait_briefly(pid: int) -> int | None:
    """Returns the exit code of a process that has ended, or does so as its stream is closed; None of one that runs."""
    with contextlib.suppress(ChildProcessError):
        found, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if found else None
    return 0


def run_pupil(stream: socket.socket, home: str, printed: str, options: Options) -> None:
    """The whole life of a forked process that a hand-in runs in. It does not return."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    code = 1
    try:
        kept = os.dup2(stream.detach(), 3)
        os.closerange(4, 4096)  # neither the judge's result nor anything else that is open
        limits = settle(home, printed, options.memory_limit, options.time_limit)
        Pupil(socket.socket(fileno=kept).makefile("rwb"), limits).serve()
        code = 0
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def run_judge(request: dict[str, Any], result: int) -> None:
    """The whole life of a judge. It writes the grades of one file to its socket, and does not return."""

    def end(number: int, frame: object) -> None:
        if Forked.running is not None:
            end_session(Forked.running.pid, orphans=True)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(Forked.running.pid, 0)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_with_parent()
    adopt_orphans()
    try:
        found = examine(Path(request["file"]), request["name"], Options(**request["options"]), Forked)
        text = json.dumps(strict(found._asdict()), allow_nan=False)
        with os.fdopen(result, "wb") as stream:
            stream.write(text.encode())
    finally:
        os._exit(0)


def main(arguments: Sequence[str]) -> None:
    descriptor, *modules = arguments
    requests = socket.socket(fileno=int(descriptor))
    torch.set_num_threads(1)  # a process with several threads cannot be forked safely
    warnings.simplefilter("ignore")
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    importlib.import_module("numpy.random")
    gc.collect()
    gc.freeze()  # the pages of what is loaded stay shared between the forks
    hide_memory()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no judge waits to be waited for
    while True:
        text, given, _, _ = socket.recv_fds(requests, LARGEST, 1)
        if not text:
            os.killpg(0, signal.SIGTERM)
            return
        if os.fork() == 0:
            requests.close()
            run_judge(json.loads(text), given[0])
        os.close(given[0])
        requests.send(b"+")  # one request at a time: the next one is not read together with it


if __name__ == "__main__":
    main(sys.argv[1:])
