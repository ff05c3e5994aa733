"""The worked examples of five lectures, recomputed: each printed number beside ours, and each error with its cause.

lesson = edunn.lessons.get("softmax")
for row in lesson.rows(): print(row.id, row.printed, row.computed, row.verdict)
"""

from __future__ import annotations

import importlib
from pathlib import Path

from ..runtime import names
from .engine import Lesson, Row, Table
from .steps import Step, steps

# in the order of the lectures
TOPICS = (
    "bumps", "indexing", "vanishing", "limits_of_numbers",
    "neighbours", "multiclass_hinge", "regularisers", "loops", "lift",
    "graphs", "linear_regression",
    "logistic", "by_hand", "arm",
    "zero_one", "quadratic",
)  # fmt: skip


def lessons() -> dict[str, Lesson]:
    """Returns every lesson by its name."""
    found: dict[str, Lesson] = {}
    for topic in TOPICS:
        for lesson in importlib.import_module(f".{topic}", __name__).LESSONS:
            found[lesson.name] = lesson
    return found


def get(name: str) -> Lesson:
    """Returns the lesson of that name."""
    known = lessons()
    return known[names.resolve(name, known, "lesson")]


def rows() -> list[Row]:
    """Returns every row of every lesson, sorted by id."""
    return sorted((row for lesson in lessons().values() for row in lesson.rows()), key=lambda row: order(row.id))


def show(*names: str, out: str | Path) -> None:
    """Prints each lesson's question, tables and verdicts, and saves its figures into the existing folder `out`.

    The scripts end with it.
    """
    for name in names:
        lesson = get(name)
        print(f"\n{lesson.question}")
        for table in lesson.tables():
            print(table.text())
        for row in lesson.rows():
            print(f"  {row.id:<6} {row.verdict:<8} {row.mistake or row.note}")
        for _ in lesson.draw(Path(out)):
            pass


def order(name: str) -> tuple[int, int, int, str]:
    """Returns the sort key of a row's id: numbers by lecture, then the errata: 0.1 … 1.10 … e0 … 2.7 … 000.a …"""
    head, _, tail = name.partition(".")
    if name.startswith("e"):
        return (0, 2, int(name[1:]), "")
    if len(head) == 3:
        return (1, int(head), 0, tail)
    return (0, int(head), 10 + int(tail), "")


__all__ = ["Lesson", "Row", "Step", "Table", "get", "lessons", "rows", "show", "steps"]
