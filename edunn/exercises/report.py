"""The result of grading one hand-in, of the same shape for gradients and for functions, as JSON and for a reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..gradcheck import Row
from ..gradcheck.diagnosis import Diagnosis
from ..gradcheck.diagnosis.derivations import derive
from .exercise import Arguments, FunctionExercise

PRINTED_LINES, PRINTED_WIDTH = 3, 100  # of what a hand-in prints, in a report for a reader


@dataclass(frozen=True)
class Case:
    """One case of a function exercise: the hand-in's answer and the package's.

    hand, right : the two answers; hand is None where the hand-in raised
    error : relative, over the answer; None where it raised or has another shape
    """

    name: str
    case: str
    exercise: FunctionExercise = field(repr=False, compare=False)
    arguments: Arguments = field(repr=False, compare=False)
    right: Tensor = field(repr=False, compare=False)
    hand: Tensor | None = field(repr=False, compare=False)
    error: float | None = None
    passed: bool = False
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns the case for JSON, with the keys of a gradient's row; only the key of the error differs."""
        return {
            "name": self.name, "parameter": self.case, "term": "case", "hand_vs_autograd": None,
            "hand_vs_numeric": None, "order": None, "kinks": 0, "passed": self.passed, "note": self.note,
            "hand_vs_package": self.error,
        }  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """The grade of one hand-in.

    task : the exercise's name, "" where there is none
    status : "right", "wrong", "unfinished", "error", "timeout" or "memory" ("missing": the file has no such name)
    message : one line that says why
    lines : where in the file a term of the gradient stands
    formula, lesson : the exercise's
    """

    file: str
    name: str
    task: str
    status: str
    message: str
    rows: tuple[Row, ...] | tuple[Case, ...] = ()
    mistakes: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    lines: tuple[tuple[str, int], ...] = ()
    formula: str = ""
    lesson: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "right"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file, "name": self.name, "task": self.task, "status": self.status, "passed": self.passed,
            "message": self.message, "mistakes": [self.write_mistake(one) for one in self.mistakes],
            "rows": [row.as_dict() for row in self.rows], "notes": list(self.notes), "formula": self.formula,
            "lesson": self.lesson,
        }  # fmt: skip

    def write_mistake(self, one: Diagnosis) -> dict[str, Any]:
        """Returns a diagnosis, each name with the line of the file that it concerns and the derivation of its term."""
        found = one.as_dict()
        for name in found["mistakes"]:
            name["line"] = find_line(name["name"], one.parameter, dict(self.lines))
            name["derivation"] = list(derive(name["name"]))
        return found


def find_line(name: str, parameter: str, lines: dict[str, int]) -> int | None:
    """Returns the line where the term of a mistake is, or belongs; None where it cannot be told."""
    if not lines or "in the value" in name or name.startswith("value"):
        return None
    places = ["gradient", "return"]
    if any(word in name for word in ("penalty", "L2", "L1", "strength", "elastic")):
        places.insert(0, "penalty")
    elif parameter.lower().startswith(("b", "shift")) and "bias" in lines:
        places.insert(0, "bias")
    elif any(word in name for word in ("1/N", "divided", "mean", "averaged", "count")):
        places.insert(0, "mean")
    return next((lines[place] for place in places if place in lines), None)


def describe(grade: dict[str, Any], explain: bool = False) -> str:
    """Writes a grade, as a dictionary, for a reader; `explain` adds the derivation of each wrong term."""
    file, student = Path(grade["file"]), grade.get("student", "")
    whose = f"{student}: " if student and student not in file.stem else ""
    title = whose + file.name + (f", {grade['name']}" if grade["name"] else "")
    task = f" ({grade['task']})" if grade["task"] else ""
    lines = [f"{title}{task}: {grade['status']}", *(describe_row(row) for row in grade["rows"])]
    for mistake in grade["mistakes"]:
        lines += describe_mistake(mistake, explain)
    if grade["mistakes"] and grade.get("lesson"):
        lines.append(f"  lesson: edunn lesson {grade['lesson']}")
    if not grade["mistakes"] and not grade["passed"]:
        lines.append(f"  {grade['message']}")
    lines += [f"  note: {text}" for text in grade["notes"]]
    return "\n".join([*lines, *describe_printed(grade.get("printed", ""))])


def describe_printed(text: str) -> list[str]:
    """Returns the beginning of what a hand-in has printed."""
    lines = text.strip().splitlines()
    more = [f"  … and {len(lines) - PRINTED_LINES} more lines"] if len(lines) > PRINTED_LINES else []
    return [f"  printed: {line[:PRINTED_WIDTH]}" for line in lines[:PRINTED_LINES]] + more


def describe_row(row: dict[str, Any]) -> str:
    what, key = ("case", "hand_vs_package") if "hand_vs_package" in row else ("gradient in", "hand_vs_numeric")
    error = "" if row[key] is None else f": relative error {row[key]:.1e}"
    note = f" ({row['note']})" if row["note"] else ""
    return f"  {what} {row['parameter']}{error}, {'right' if row['passed'] else 'WRONG'}{note}"


def describe_mistake(mistake: dict[str, Any], explain: bool = False) -> list[str]:
    """Returns the likely mistakes and the entry that differs most; without a mistake, three entries."""
    of_function, parameter = mistake["term"] == "case", mistake["parameter"]
    if mistake["mistakes"] or not mistake["worst"]:
        lines = []
        for k, one in enumerate(mistake["mistakes"]):
            cell = f"cell {one['cell']}, " if one.get("cell") else ""
            where = f" ({cell}line {one['line']})" if one.get("line") else ""
            what = one["name"] if of_function else parameter
            lines.append(f"  {'or' if k else 'probably'} ({what}): {one['says']}{where}")
            lines += [f"      {line}" for line in one.get("derivation", ()) if explain]
        return lines + [f"    where it differs most, {describe_entry(entry)}" for entry in mistake["worst"][:1]]
    what = parameter if of_function else f"the gradient in {parameter}"
    return [f"  no known mistake gives {what}; where it differs most:"] + [
        f"    {describe_entry(entry)}" for entry in mistake["worst"]
    ]


def describe_entry(entry: dict[str, Any]) -> str:
    """Returns one entry of the gradient: its index, the hand-in's value and the right one."""
    return f"{entry['index']}: yours {format_number(entry['hand'])}, right {format_number(entry['right'])}"


def format_number(value: float | None) -> str:
    """Returns a number for JSON: one that is not finite is null."""
    return "not finite" if value is None else f"{value:.6g}"
