"""The marks of a class: a table of students and tasks, with points, for a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError, nearest
from ..runtime import names
from .report import Grade
from .table import EXERCISES

MISSING = "missing"
# the best of several hand-ins of one task counts
ORDER = ("right", "derived", "wrong", "timeout", "memory", "error", "unfinished", MISSING)
NAMES = ("student", "name", "full name", "identifier", "username", "user", "login", "id", "email", "e-mail")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes what begins so

# what `--allow` names, and the beginning of what a grade says of it
SOURCES = {
    "autograd": "autograd", "differences": "differences", "package": "the package's own",
    "solution": "the printed solution",
}  # fmt: skip


# ---- what was asked for ---------------------------------------------------------------------------------------------


def read_expected(text: str, handed_in: Iterable[str]) -> dict[str, float]:
    """Reads `--expect TASK,TASK=POINTS`: the points of each task. Its name is an exercise's, or that of a hand-in."""
    known, found = set(handed_in), dict[str, float]()
    for piece in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = piece.partition("=")
        try:
            points = float(number) if number else 1.0
        except ValueError:
            raise ConfigError(f"--expect {piece}: the points are a number, as in {name}=2.") from None
        if not 0 <= points < 1e6:
            raise ConfigError(f"--expect {piece}: the points are 0 or more.")
        if name not in known:
            try:
                name = names.resolve(name, EXERCISES, "task")
            except ConfigError as error:
                raise ConfigError(f"--expect: {error}. Names of hand-ins count too.") from None
        found[name] = points
    if not found:
        raise ConfigError("--expect names tasks, as in --expect hinge,softmax-classifier=3.")
    return found


def read_allowed(text: str) -> tuple[str, ...]:
    """Reads `--allow SOURCE,SOURCE`; "none" allows none."""
    found = tuple(filter(None, (part.strip().lower() for part in text.split(","))))
    for one in found:
        if one not in (*SOURCES, "none"):
            raise ConfigError(f"--allow {one}: {nearest(one, [*SOURCES, 'none'])}")
    return tuple(one for one in found if one != "none")


def judge_sources(grade: Mapping[str, Any], allowed: Sequence[str] | None) -> dict[str, Any]:
    """Returns a grade with `derived`, the sources of its gradient; right by one that is not allowed is not right."""
    sources = [note.removeprefix("derived by ") for note in grade["notes"] if note.startswith("derived by ")]
    found = {**grade, "derived": sources}
    if allowed is None or grade["status"] != "right":
        return found
    beginnings = tuple(SOURCES[one] for one in allowed)
    refused = [one for one in sources if not one.startswith(beginnings or ("\0",))]
    if refused:
        message = f"the gradient is right, but derived by {', '.join(refused)}, which --allow excludes"
        found |= {"status": "derived", "passed": False, "message": message}
    return found


def is_expected(grade: Mapping[str, Any], expected: Mapping[str, float]) -> bool:
    return grade["task"] in expected or grade["name"] in expected


def add_missing(grades: Sequence[dict[str, Any]], expected: Mapping[str, float]) -> list[dict[str, Any]]:
    """Returns the grades, and for each student a row for each task that was asked for and not handed in."""
    found: list[dict[str, Any]] = []
    for student, mine in itertools.groupby(grades, key=lambda one: one["student"]):
        several = list(mine)
        found += several
        for task in expected:
            if not any(task in (one["task"], one["name"]) for one in several):
                empty = Grade(several[0]["file"], "", task, MISSING, f"{task} was not handed in").as_dict()
                found.append({**empty, "student": student, "cpu_seconds": 0.0, "wall_seconds": 0.0, "printed": "",
                              "derived": []})  # fmt: skip
    return found


# ---- the class list --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassList:
    """Who is in the class.

    students : the names, in the list's order
    known : by every spelling of each, the name
    """

    students: tuple[str, ...]
    known: Mapping[str, str]

    def find(self, name: str) -> str | None:
        """Returns the student that a file or folder is named for."""
        return self.known.get(simplify(name))


def read_class(path: str | Path) -> ClassList:
    """Reads a class list: one name a line, or a table with a header, in which every column names the student."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Give a file with one student a line.") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty. Give a file with one student a line.")
    delimiter = max((";", "\t", ","), key=lines[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    column = next((rows[0].index(cell) for word in NAMES for cell in rows[0] if cell.lower() == word), None)
    first = [cell.lower() for cell in rows[0]]
    parts = [
        first.index(word) for word in ("first name", "last name", "surname", "firstname", "lastname") if word in first
    ]
    known: dict[str, str] = {}
    students = []
    for row in rows[0 if column is None and not parts else 1 :]:
        name = " ".join(row[k] for k in parts if k < len(row)) if parts else row[min(column or 0, len(row) - 1)]
        if not name:
            continue
        students.append(name)
        for cell in (*row, name):
            for spelling in list_spellings(cell):
                known.setdefault(spelling, name)
    return ClassList(tuple(dict.fromkeys(students)), known)


def simplify(name: str) -> str:
    """Returns a name without case, accents, spaces and signs."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in plain if not unicodedata.combining(c)))


def list_spellings(name: str) -> list[str]:
    """Returns the ways in which platforms write a name: in any order of its words, and an address without its host."""
    words = re.split(r"[\s,]+", name.partition("@")[0].strip())
    orders = itertools.permutations(words) if 1 < len(words) <= 4 else [tuple(words)]
    return [found for order in orders if (found := simplify(" ".join(order)))]


# ---- the table ------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One student of the table.

    handins : all grades of the student
    tasks : of each task the status, how many were handed in and how many are right
    points : reached; None where no tasks were asked for
    """

    student: str
    listed: bool
    handins: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    points: float | None = None
    of: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "student": self.student, "listed": self.listed, "points": self.points, "of": self.of, "tasks": self.tasks,
            "files": list(dict.fromkeys(one["file"] for one in self.handins)),
        }  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """The table student × task."""

    tasks: tuple[str, ...]
    rows: tuple[Row, ...]

    def as_list(self) -> list[dict[str, Any]]:
        return [row.as_dict() for row in self.rows]

    def __str__(self) -> str:
        head = ["student", *(["points"] if self.rows and self.rows[0].points is not None else []), *self.tasks]
        lines = [head]
        for row in self.rows:
            points = [f"{row.points:g}/{row.of:g}"] if row.points is not None else []
            lines.append([row.student, *points, *(describe_cell(row.tasks.get(task)) for task in self.tasks)])
        widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def write_csv(self) -> str:
        """Returns the table for a spreadsheet: with a byte order mark, and no cell that is computed."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream)
        writer.writerow(map(guard, ["student", "points", "of", *self.tasks, "files", "remarks"]))
        for row in self.rows:
            points = ["" if one is None else f"{one:g}" for one in (row.points, row.of)]
            remarks = [f"{one['task'] or one['name'] or Path(one['file']).name}: {one['message']}"
                       for one in row.handins if not one["passed"]]  # fmt: skip
            remarks += [f"{one['task'] or one['name']}: derived by {source}"
                        for one in row.handins if one["passed"] for source in one.get("derived", ())]  # fmt: skip
            files = dict.fromkeys(one["file"] for one in row.handins if one["file"])
            cells = [describe_cell(row.tasks.get(task)) for task in self.tasks]
            writer.writerow(map(guard, [row.student, *points, *cells, "; ".join(files), " | ".join(remarks)]))
        return "\ufeff" + stream.getvalue()


def describe_cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    several = f" ({found['right']} of {found['handed_in']})" if found["handed_in"] > 1 else ""
    return found["status"] + several


def guard(cell: str) -> str:
    """Returns a cell as text: a student's file may be called =HYPERLINK(…), and would be computed."""
    cell = "".join(c if c.isprintable() else " " for c in cell)
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def make_marks(
    grades: Iterable[dict[str, Any]], expected: Mapping[str, float] | None = None, listed: ClassList | None = None
) -> Marks:
    """Returns the table of grades, each of which says its `student`."""
    rows: dict[str, Row] = {name: Row(name, True) for name in (listed.students if listed else ())}
    for grade in grades:
        name = (listed.find(grade["student"]) if listed else None) or grade["student"]
        row = rows.setdefault(name, Row(name, listed is None))
        row.handins.append(grade)
    columns = dict.fromkeys(expected or ())
    for row in rows.values():
        if not expected:
            columns.update(
                dict.fromkeys(one["task"] or one["name"] for one in row.handins if one["task"] or one["name"])
            )
    for row in rows.values():
        for task in columns:
            row.tasks[task] = judge_task(task, row.handins)
        if expected:
            row.of = sum(expected.values())
            row.points = sum(expected[task] for task, one in row.tasks.items() if one["status"] == "right")
    ordered = (
        sorted(rows.values(), key=lambda row: (not row.listed, row.student.casefold()))
        if not listed
        else list(rows.values())
    )
    return Marks(tuple(columns), tuple(ordered))


def judge_task(task: str, handins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the best status of what a student has handed in for a task."""
    mine = [one["status"] for one in handins if task in (one["task"], one["name"]) and one["status"] != MISSING]
    status = min(mine, key=ORDER.index) if mine else MISSING
    return {"status": status, "handed_in": len(mine), "right": mine.count("right")}
