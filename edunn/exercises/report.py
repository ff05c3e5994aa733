"""What came of one hand-in, in one shape for gradients and for functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..gradcheck import Row
from ..gradcheck.diagnosis import Diagnosis


@dataclass(frozen=True)
class Case:
    """One case of a function, its answer held against the package's.

    error : relative, over the answer; None where there is none to compare: it raised, or has another shape
    note : what a reader should know besides
    """

    name: str
    case: str
    error: float | None
    passed: bool
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The keys of a gradient's row, and the error under a name of its own: nothing was derived here."""
        return {
            "name": self.name, "parameter": self.case, "term": "case", "hand_vs_autograd": None,
            "hand_vs_numeric": None, "order": None, "kinks": 0, "passed": self.passed, "note": self.note,
            "hand_vs_package": self.error,
        }  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """What came of one hand-in.

    status : "right", "wrong", "unfinished", "error", "timeout" or "memory"
    message : one line that says why
    """

    file: str
    name: str
    task: str
    status: str
    message: str
    rows: tuple[Row, ...] | tuple[Case, ...] = ()
    mistakes: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == "right"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "name": self.name,
            "task": self.task,
            "status": self.status,
            "passed": self.passed,
            "message": self.message,
            "mistakes": [one.as_dict() for one in self.mistakes],
            "rows": [row.as_dict() for row in self.rows],
            "notes": list(self.notes),
        }
