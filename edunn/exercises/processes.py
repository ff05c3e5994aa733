"""Grades each file in a process of its own, with a time and a memory limit: one that hangs or crashes is reported, and
the rest are graded.

**Student code is executed**, with the caller's rights. The process and its limits contain accidents, not malice. Grade
strangers' files in a container or on a spare machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import DataError
from .report import Grade

TIME_LIMIT = 20.0  # seconds a file, from when its process is ready to run it
START_LIMIT = 120.0  # seconds to start Python and import torch, which a busy machine may need
MEMORY_LIMIT = 2048  # MiB a file, on top of Python and torch

Grades = list[dict[str, Any]]

RUNNING: set[subprocess.Popen[bytes]] = set()


def list_files(path: str | Path) -> list[Path]:
    """Returns the Python files of a folder, by name, without those that start with _ or a dot."""
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    found = sorted(f for f in folder.glob("*.py") if not f.name.startswith(("_", ".")))
    if not found:
        raise DataError(f"{folder} has no Python files. edunn exercise NAME --out FILE.py writes one.")
    return found


def grade_folder(
    path: str | Path,
    seed: int = 0,
    time_limit: float = TIME_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
    jobs: int = 1,
    after_each: Callable[[Grades], None] | None = None,
) -> Grades:
    """Grades every file of a folder, `jobs` of them at a time; returns the grades in the files' order."""
    grades: Grades = []
    pool = ThreadPoolExecutor(jobs)  # a thread only waits for its process
    try:
        for found in pool.map(lambda file: grade_file(file, "", seed, time_limit, memory_limit), list_files(path)):
            grades += found
            if after_each is not None:
                after_each(found)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupted grading starts no more of them
    return grades


def grade_file(
    file: str | Path,
    name: str = "",
    seed: int = 0,
    time_limit: float = TIME_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
) -> Grades:
    """Grades what a file hands in (or NAME in it), in a process of its own.

    Returns one dictionary for each hand-in, with file, name, task, status, passed, message, mistakes, rows and notes;
    status is right, wrong, unfinished, error, timeout or memory.
    """
    path = Path(os.path.abspath(file))
    if not path.is_file():
        raise DataError(f"There is no Python file {file}.")
    with tempfile.TemporaryDirectory(prefix="edunn-grade-") as scratch:
        out = Path(scratch) / "result.json"
        command = [sys.executable, "-m", "edunn.exercises.worker"]
        command += [str(path), name, str(seed), str(memory_limit), str(out)]
        status, message = run(command, scratch, time_limit, out.with_suffix(".ready"))
        if not status and out.is_file():
            with contextlib.suppress(ValueError):
                found = json.loads(out.read_text(encoding="utf-8"))
                return [{**one, "file": str(file)} for one in found]
        return [
            Grade(str(file), name, "", status or "error", message or "the process ended without a result").as_dict()
        ]


def run(command: list[str], folder: str, time_limit: float, ready: Path) -> tuple[str, str]:
    """Runs the worker to its end or to the limit: (status, message), both empty where it ended by itself.

    The limit starts when the worker has written the file `ready`: its own start is not the hand-in's time.
    """
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), "OMP_NUM_THREADS": "1"}
    # a session of its own, so that whatever the hand-in has started ends with it; no input to wait for
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    RUNNING.add(process)
    try:
        started = time.monotonic()
        while not ready.exists() and process.poll() is None:
            if time.monotonic() - started > START_LIMIT:
                return "error", f"Python and torch had not started after {START_LIMIT:g} s: the machine is too busy"
            time.sleep(0.02)
        code = process.wait(timeout=time_limit)
    except subprocess.TimeoutExpired:
        return "timeout", f"no result after {time_limit:g} s: an endless loop? (--time-limit allows more)"
    finally:
        stop(process)
        RUNNING.discard(process)
    if code < 0:
        return "error", f"the process was ended by a signal: {signal.strsignal(-code) or -code}"
    return ("", "") if code == 0 else ("error", f"the process ended with exit code {code}")


@contextlib.contextmanager
def end_all_on_signal() -> Iterator[None]:
    """A context in which SIGTERM ends every running hand-in before it ends this process."""

    def end(number: int, frame: object) -> None:
        for process in list(RUNNING):
            kill(process)  # the thread that waits for it takes note
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all processes that it has started, and waits for the end."""
    kill(process)
    process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
