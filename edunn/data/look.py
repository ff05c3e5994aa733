"""A look at a table: its columns, what would be features, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from ..errors import DataError
from ..results import Record, Table
from . import tables
from .columns import DATE, Column
from .judgement import Judgement

LONGEST = 24  # characters of an example


@dataclass(frozen=True, eq=False, repr=False)
class Look(Record):
    """The columns of a table under some options.

    rows : of the table; columns : a dictionary for each, with `name`, `type`, `different`, `missing`, `example`, `use`
    target, task : what would be predicted, and as "classes" or "real"; None for a question
    features : how many features there would be
    notes : what was decided; obstacles : what stands in the way; cures : the options that cure it
    """

    title: str
    rows: int
    columns: list[dict[str, Any]]
    target: str | None
    task: str | None
    features: int
    notes: list[str]
    obstacles: list[str]
    cures: dict[str, Any]

    def table(self) -> Table:
        heads = list(self.columns[0])
        return Table(heads, [list(column.values()) for column in self.columns])

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.rows:,} rows, {len(self.columns)} columns", str(self.table())]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *(f"in the way: {text}" for text in self.obstacles)])


def look(path: str | PathLike[str], options: Mapping[str, Any]) -> Look:
    """Looks at a table; `options` are those of `read_table`. What stands in the way is told, not raised."""
    judgement = tables.judge(path, tables.make_options(dict(options)))
    table = judgement.table
    if not table.columns or table.block is not None:
        raise DataError(f"{table.title} holds arrays; their names are {', '.join(table.columns)} and a matrix.")
    task = task_of(judgement)
    if judgement.obstacles:
        cured = tables.judge(path, tables.make_options({**options, **judgement.cures}))
        categories, names = cured.categories, cured.names
    else:
        categories, names = judgement.categories, judgement.names
    columns = [describe(column, judgement, names, categories, task) for column in table.columns.values()]
    count = sum(len(categories.get(name, ("",))) for name in names)
    return Look(
        table.title, table.rows, columns, judgement.target, task, count, judgement.notes,
        [obstacle.short for obstacle in judgement.obstacles], judgement.cures,
    )  # fmt: skip


def task_of(judgement: Judgement) -> str | None:
    """Returns "classes" or "real"; None where the table has to be asked."""
    if judgement.task != "auto" or judgement.target is None:
        return None if judgement.task == "auto" else judgement.task
    column = judgement.table.columns[judgement.target]
    if any("task" in obstacle.cure for obstacle in judgement.obstacles):
        return None
    return "classes" if column.is_text or column.truth or column.is_whole else "real"


def describe(
    column: Column, judgement: Judgement, names: tuple[str, ...], categories: Mapping[str, Any], task: str | None
) -> dict[str, Any]:
    """Returns what there is to say of a column."""
    known = np.flatnonzero(~column.missing)
    example = column.cell(known[0]) if len(known) else ""
    name = column.name
    if name == judgement.target:
        use = {"classes": f"target, {column.distinct} classes", "real": "target, a number"}.get(task or "", "target: ?")
    elif name in judgement.left_out:
        use = f"left out: {judgement.left_out[name]}"
    elif name == judgement.options.weight:
        use = "weight"
    elif name not in names:
        use = "left out"
    else:
        use = f"{len(categories[name])} features" if name in categories else "feature"
    return {
        "column": name,
        "type": kind_of(column),
        "different": column.distinct,
        "missing": int(column.missing.sum()),
        "example": example if len(example) <= LONGEST else example[: LONGEST - 1] + "…",
        "use": use,
    }


def kind_of(column: Column) -> str:
    """Returns the type of a column's cells, in words."""
    if not column.known:
        return "empty"
    if column.truth:
        return "true or false"
    if column.comma_cells:
        return "numbers with commas"
    if column.has_strays:
        return "numbers and text"
    if not column.is_text:
        return "whole numbers" if column.is_whole else "numbers"
    if DATE.fullmatch(column.cell(column.first(column.bad))):
        return "dates or times"
    return "text that hardly comes again" if column.is_nearly_unique else "text"
