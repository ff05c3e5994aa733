"""Makes the marks of one file, in a process that the hand-in never runs in.

The judge draws the points, compares and names; whatever the hand-in computes, it asks the other process for.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..calls import HandinError, Missing, NothingFound, Unfinished
from ..files.reading import read_source
from ..grade import grade
from ..handin import Handin
from ..report import Grade
from .options import Options
from .remote import rebuild_all
from .watch import Ended, Process, Watch
from .wire import Stream, WireError, receive, send

ERRORS: dict[str, type[Exception]] = {
    "unfinished": Unfinished, "missing": Missing, "nothing": NothingFound, "error": HandinError, "memory": MemoryError,
}  # fmt: skip
MOST_STARTS = 4  # processes for one file: a function that ends its own costs the others of the file nothing
MOST_PRINTED = 2000  # characters kept of what was printed
TOO_MUCH = "more memory was asked for than the limit allows"


Start = Callable[[str, str, Options], Process]  # home, a file for what is printed


class Outcome(NamedTuple):
    """The grades of a file as dictionaries, and what the system could not take away from the hand-in."""

    grades: list[dict[str, Any]]
    limits: list[str]


def examine(path: Path, name: str, options: Options, start: Start) -> Outcome:
    """Grades what a file hands in, or NAME in it."""
    with tempfile.TemporaryDirectory(prefix="edunn-grade-", ignore_cleanup_errors=True) as scratch:
        examination = Examination(path, name, options, start, Path(scratch))
        try:
            return Outcome(examination.grade_all(), examination.limits)
        finally:
            examination.close()


class Examination:
    """One file, and the process that answers for it; it is started again where the hand-in ended it."""

    def __init__(self, path: Path, name: str, options: Options, start: Start, scratch: Path) -> None:
        self.path, self.name, self.options, self.start = path, name, options, start
        self.home, self.printed = scratch / "home", scratch / "printed"
        self.home.mkdir()
        self.printed.touch()
        self.places: tuple[tuple[int, int], ...] = ()
        if path.suffix == ".ipynb":
            with contextlib.suppress(HandinError):  # it is met again where the file is loaded
                self.places = read_source(path).places
        self.notes: list[str] = []
        self.limits: list[str] = []
        self.starts = 0
        self.process: Process | None = None
        self.watch: Watch
        self.callbacks: list[Callable[..., Any]] = []

    # ---- the process that answers

    def open(self) -> list[Handin]:
        """Starts the process and loads the file in it."""
        self.starts += 1
        self.process = self.start(str(self.home), str(self.printed), self.options)
        self.watch = Watch(self.process, self.options.time_limit)
        adapted = {"adapter": self.options.adapter, "course": self.options.course}
        loaded = self.ask("load", {"path": str(self.path), "name": self.name, **adapted})
        try:
            self.notes = [str(note)[:500] for note in loaded["notes"]]
            self.limits = [str(limit)[:500] for limit in loaded["limits"]]
            return rebuild_all(loaded["handins"], self.ask)
        except (TypeError, LookupError, AttributeError, WireError) as error:
            raise Ended("error", f"its process does not answer as it should: {error}") from None

    def ask(self, what: str, given: Mapping[str, Any]) -> Any:
        """Returns the answer to a question. Raises what the hand-in raised; Ended where its process gave none."""
        if self.process is None:
            raise Ended("error", "its process has ended")
        try:
            answer = self.exchange(self.process.stream, [what, dict(given)])
            if "raised" in answer:
                raise ERRORS.get(answer["raised"], HandinError)(str(answer["message"])[:1000])
            return answer["answer"]
        except (EOFError, OSError):
            raise self.close() or Ended("error", "its process has ended") from None
        except (TypeError, LookupError, WireError) as error:
            self.close()
            raise Ended("error", f"its process does not answer as it should: {error}") from None

    def exchange(self, stream: Stream, question: Any) -> dict[str, Any]:
        """Sends a question and returns the answer; calls our own functions in between, where it was given any."""
        self.callbacks = []
        with self.watch:
            send(stream, question, self.refer)
            while "callback" in (answer := receive(stream)):
                with self.watch.pause():
                    result = self.callbacks[answer["callback"]](*answer["given"])
                send(stream, {"answer": result})
        return answer

    def refer(self, function: Callable[..., Any]) -> int:
        self.callbacks.append(function)
        return len(self.callbacks) - 1

    def close(self) -> Ended | None:
        """Ends the process; returns why it had ended before, if it had."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        self.watch.measure_cpu()
        self.watch.close()
        code = process.stop()
        if self.watch.verdict is not None:
            return self.watch.verdict
        if code < 0:
            why = signal.strsignal(-code) or str(-code)
            if -code == getattr(signal, "SIGXCPU", 0):
                return Ended("timeout", f"no result after {self.options.time_limit:g} s of computing")
            return Ended("error", f"its process was ended by a signal: {why}")
        return Ended("error", f"it ended its own process before it was graded (exit code {code})")

    # ---- the grades

    def grade_all(self) -> list[dict[str, Any]]:
        """Returns a grade for each hand-in of the file; one that says why, where it cannot be loaded."""
        loaded = self.attempt(self.name, self.open)
        if isinstance(loaded, dict):
            return [loaded]
        found = []
        for place, handin in enumerate(loaded):
            if self.process is None:
                if self.starts == MOST_STARTS:
                    message = f"not graded: {self.starts} others of the file have ended its process"
                    found.append(self.complete(Grade(str(self.path), handin.name, handin.task, "error", message)))
                    continue
                again = self.attempt(handin.name, self.open)
                if isinstance(again, dict):
                    found.append(again)
                    continue
                handin = again[place]
            found.append(self.grade_one(handin, self.printed.stat().st_size if found else 0))
        if self.process is not None:
            found = self.look_for_patches(found)
        return found

    def grade_one(self, handin: Handin, at: int) -> dict[str, Any]:
        """Grades one hand-in; what was printed since a place in the output is its own."""
        started, before = time.monotonic(), self.watch.measure_cpu()
        result = self.attempt(handin.name, lambda: grade(handin, self.options.seed), handin.task)
        given = self.complete(result, at) if isinstance(result, Grade) else result
        given["empty"] |= handin.helper and given["status"] == "error" and self.process is not None
        given["cpu_seconds"] = round(max(self.watch.measure_cpu() - before, 0.0), 3)
        given["wall_seconds"] = round(time.monotonic() - started, 3)
        return given

    def attempt(self, name: str, work: Callable[[], Any], task: str = "") -> Any:
        """Returns what the work gives, or the grade that says why there is none."""
        at = self.printed.stat().st_size
        started = time.monotonic()

        def fail(status: str, message: str) -> dict[str, Any]:
            given = self.complete(Grade(str(self.path), name, task, status, message), at)
            cpu = self.watch.measure_cpu() if self.starts else 0.0
            return given | {"cpu_seconds": round(cpu, 3), "wall_seconds": round(time.monotonic() - started, 3)}

        try:
            return work()
        except Ended as ended:
            return fail(ended.status, ended.message)
        except HandinError as error:
            kinds = {Unfinished: "unfinished", Missing: "missing"}
            return fail(kinds.get(type(error), "error"), str(error)) | {"empty": isinstance(error, NothingFound)}
        except MemoryError:
            return fail("memory", TOO_MUCH)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # numbers from elsewhere, in unexpected shapes, may break any comparison
            return fail("error", f"what it returns cannot be compared: {type(error).__name__}: {error}")

    def complete(self, given: Grade, at: int = 0) -> dict[str, Any]:
        """Returns a grade with what the process of the hand-in printed, and where its derivation comes from."""
        found = given.as_dict() | {
            "cpu_seconds": 0.0,
            "wall_seconds": 0.0,
            "printed": self.read_printed(at),
            "empty": False,
        }
        for one in (name for mistake in found["mistakes"] for name in mistake["mistakes"]):
            if self.places and one.get("line"):
                one["cell"], one["line"] = self.places[one["line"] - 1]
        found["notes"] = [*self.notes, *(one for one in found["notes"] if one not in self.notes)]
        return found

    def read_printed(self, at: int) -> str:
        """Returns the beginning of what was printed since, and says how much more there is."""
        with self.printed.open("rb") as stream:
            stream.seek(at)
            text = stream.read(MOST_PRINTED).decode("utf-8", "replace")
        left = self.printed.stat().st_size - at - MOST_PRINTED
        return text + (f"… and {left} bytes more" if left > 0 else "")

    def look_for_patches(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Turns every grade into an error where the hand-in has replaced what it is checked with."""
        changed = self.attempt(self.name, lambda: self.ask("end", {}))
        if isinstance(changed, dict):  # it has ended its process at the last moment
            return [{**one, **{key: changed[key] for key in ("status", "message", "passed")}} for one in found]
        if not changed:
            return found
        names = ", ".join(str(one)[:100] for one in list(changed)[:3])
        message = f"it replaces what it is checked with: {names}"
        return [{**one, "status": "error", "passed": False, "message": message} for one in found]
