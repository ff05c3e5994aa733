"""Grades files one after the other or several at a time, through the warm server, and waits for their results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ...runtime.progress import track
from ..files.executing import HANDIN_FOLDERS
from ..report import Grade
from .options import Options

PACKAGE = str(Path(__file__).resolve().parents[3])
PLAIN = Options()

# loaded once, before the forks, where a file of those to grade imports one: half a second that no file pays for
PRELOADED = ("matplotlib.pyplot", "pandas", "scipy", "scipy.special", "sklearn", "seaborn", "PIL.Image")
INSIDE = "EDUNN_HAND_IN"  # set where a hand-in runs
LOOKED_AT = 2**20  # bytes of a file in which imports are looked for

Grades = list[dict[str, Any]]


class Graded(NamedTuple):
    """The grades of one file, and what the system could not take away from the hand-in."""

    grades: Grades
    limits: list[str]


def grade_file(file: str | Path, name: str = "", options: Options = PLAIN) -> Grades:
    """Grades what a file hands in, or NAME in it, in processes of their own.

    Returns one dictionary for each hand-in, with file, name, task, status, passed, message, mistakes, rows, notes,
    cpu_seconds, wall_seconds and printed; status is right, wrong, unfinished, error, timeout or memory.
    """
    (found,) = grade_files([Path(file)], options, name=name)
    return found.grades


def grade_files(
    files: Sequence[Path],
    options: Options = PLAIN,
    jobs: int = 1,
    after_each: Callable[[Grades], None] | None = None,
    name: str = "",
) -> list[Graded]:
    """Grades files, `jobs` at a time; returns the grades of each in their order."""
    if INSIDE in os.environ:
        raise DataError("A hand-in is being graded: it cannot grade another.")
    for file in files:
        if not file.is_file():
            raise DataError(f"There is no Python file {file}.")
    found = []
    pool = ThreadPoolExecutor(jobs)  # a thread only waits for a process
    try:
        with start_grading(files) as grade:
            graded = pool.map(lambda file: grade(file, name, options), files)
            for one in track(graded, "hand-ins", len(files)):
                found.append(one)
                if after_each is not None:
                    after_each(one.grades)
    finally:  # the server has ended: what a thread still waits for ends as well
        pool.shutdown(cancel_futures=True)
    return found


Grader = Callable[[Path, str, Options], Graded]


@contextlib.contextmanager
def start_grading(files: Sequence[Path]) -> Iterator[Grader]:
    """Yields a function that grades one file: by the server, or, where the system cannot fork, one process a file."""
    if not hasattr(os, "fork"):
        yield grade_cold
        return
    with tempfile.TemporaryDirectory(prefix="edunn-server-", ignore_cleanup_errors=True) as home:
        server = Server(home, list_imports(files))
        try:
            yield server.grade
        finally:
            server.stop()


def list_imports(files: Sequence[Path]) -> list[str]:
    """Returns which slow libraries some of the files name."""
    text = b"\n".join(read_beginning(file) for file in files)
    return [name for name in PRELOADED if re.search(rb"\b" + name.replace(".", r"\b.{1,20}\b").encode(), text)]


def read_beginning(file: Path) -> bytes:
    with contextlib.suppress(OSError), file.open("rb") as stream:
        return stream.read(LOOKED_AT)
    return b""


def write_environment(home: str) -> dict[str, str]:
    """Returns what a hand-in sees of the environment: where Python's modules are, and nothing of its caller's."""
    paths = [PACKAGE, *(os.path.abspath(path) for path in sys.path if path and path not in HANDIN_FOLDERS)]
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    return kept | one | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg", "MPLCONFIGDIR": home, "HOME": home,
        "TMPDIR": home, "CUDA_VISIBLE_DEVICES": "", "LANG": "C.UTF-8", INSIDE: "1",
    }  # fmt: skip


class Server:
    """The warm process, seen from the caller."""

    def __init__(self, home: str, modules: Sequence[str]) -> None:
        self.socket, its = socket.socketpair()
        command = [sys.executable, "-m", f"{__package__}.server", str(its.fileno()), *modules]
        self.process = subprocess.Popen(
            command, cwd=home, env=write_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=[its.fileno()],
        )  # fmt: skip
        its.close()
        self.turn = threading.Lock()

    def grade(self, file: Path, name: str, options: Options) -> Graded:
        """Has one file graded, and waits for the result."""
        request = json.dumps({"file": str(file.resolve()), "name": name, "options": options.as_dict()})
        mine, its = socket.socketpair()
        with mine:
            try:
                with its, self.turn:
                    socket.send_fds(self.socket, [request.encode()], [its.fileno()])
                    self.socket.recv(1)
                with mine.makefile("rb") as stream:
                    text = stream.read()
            except OSError:
                text = b""
        with contextlib.suppress(ValueError):
            found = json.loads(text)
            return Graded([{**one, "file": str(file)} for one in found["grades"]], found["limits"])
        return Graded([fail(file, name, "the process that grades it was ended")], [])

    def stop(self) -> None:
        """Ends the server with all its judges and hand-ins, and waits until it is gone."""
        self.socket.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
                return


def fail(file: Path, name: str, message: str) -> dict[str, Any]:
    extra = {"cpu_seconds": 0.0, "wall_seconds": 0.0, "printed": "", "empty": False}
    return Grade(str(file), name, "", "error", message).as_dict() | extra


# ---- where the system cannot fork ------------------------------------------------------------------------------------


class Started:
    """A process for a hand-in, started from nothing: it loads torch first."""

    adopts = False

    def __init__(self, home: str, printed: str, options: Options) -> None:
        command = [sys.executable, "-m", f"{__package__}.pupil", home, printed]
        command += [str(options.memory_limit), str(options.time_limit)]
        self.process = subprocess.Popen(
            command, cwd=home, env=write_environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self.process.pid
        self.stream = Duplex(self.process)

    def has_answered(self) -> bool:
        return False

    def stop(self) -> int:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(0.2)
        self.process.kill()
        return self.process.wait()


class Duplex:
    """A process's stdin and stdout as one stream."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.write, self.flush, self.read = process.stdin.write, process.stdin.flush, process.stdout.read


def grade_cold(file: Path, name: str, options: Options) -> Graded:
    """Grades one file in this process; only the hand-in has a process of its own."""
    from .judge import examine

    found = examine(file.resolve(), name, options, Started)
    return Graded([{**one, "file": str(file)} for one in found.grades], found.limits)


@contextlib.contextmanager
def end_all_on_signal() -> Iterator[None]:
    """While grading, SIGTERM ends the server with every hand-in before it ends this process."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)  # the server is stopped on the way out

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
