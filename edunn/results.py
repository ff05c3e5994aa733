"""Prints results: a `Table` as text, HTML, Markdown and CSV, and a `Record`, which prints as its table."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_ROWS = 20  # of a table as text or HTML; the middle of a longer one is left out
MOST_LINES = 15  # of a record at a prompt
NO_NUMBER = ("", "-", "–", "nan", "inf", "-inf")  # what a column of numbers contains where a number is missing


@dataclass(frozen=True)
class Table:
    """A table of rows under column names. Numbers keep six significant digits in print, and all of them in `csv()`.

    Parameters
    ----------
    columns : the column names; empty for a result that is only a sentence
    rows : one sequence a row, as long as `columns`; None is an empty cell
    note : a sentence or a few lines below the table, or ""
    title : a line above it, or ""
    formats : column name -> format of its numbers, such as ".1e"
    """

    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    note: str = ""
    title: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], columns: Sequence[str], note: str = "") -> Table:
        """Makes a table with a row for each dictionary; a missing key is an empty cell."""
        return cls(columns, [[record.get(name) for name in columns] for record in records], note)

    def cells(self, rows: Sequence[Sequence[Any]]) -> list[list[str]]:
        """Returns the rows as text, each number in its column's format."""
        formats = [self.formats.get(name, "") for name in self.columns]
        return [[cell(value, form) for value, form in zip(row, formats, strict=True)] for row in rows]

    def text(self, most: int | None = MOST_ROWS) -> str:
        """Returns aligned columns: numbers to the right, words to the left; at most `most` rows."""
        rows, skipped = ends(self.rows, most)
        columns = list(zip(self.columns, *self.cells(rows), strict=True))
        aligned = []
        for name, *column in columns:
            width = max(map(len, (name, *column)))
            aligned.append([f"{c:>{width}}" if numeric(column) else f"{c:<{width}}" for c in (name, *column)])
        lines = ["  ".join(line).rstrip() for line in zip(*aligned, strict=True)]
        if skipped:
            lines.insert(1 + len(rows) // 2, f"… {skipped} more …")
        return "\n".join([*filter(None, [self.title]), *lines, *filter(None, [self.note])])

    __str__ = text

    def html(self, most: int | None = MOST_ROWS) -> str:
        """Returns an HTML table, every cell escaped."""
        rows, skipped = ends(self.rows, most)
        title = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        tagged = [("th", self.columns), *(("td", row) for row in self.cells(rows))]
        lines = ["".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row) for tag, row in tagged]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        table = f"<table>{title}{body}</table>" if self.columns else ""
        left_out = f"<p>{skipped} rows in the middle left out.</p>" if skipped else ""
        note = f"<p>{html.escape(self.note)}</p>".replace("\n", "<br>") if self.note else ""
        return table + left_out + note

    def markdown(self) -> str:
        """Returns a Markdown table, all rows, numbers to the right."""
        columns = list(zip(self.columns, *self.cells(self.rows), strict=True))
        marked = [(name, "---:" if numeric(column) else "---", *column) for name, *column in columns]
        lines = [f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |" for line in zip(*marked, strict=True)]
        title, note = [f"**{self.title}**", ""] if self.title else [], ["", self.note] if self.note else []
        return "\n".join([*title, *lines, *note])

    def csv(self) -> str:
        """Returns CSV, all rows and all digits; a missing cell is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()


class Record:
    """A result that prints as its table, as HTML in a notebook, and in at most 15 lines at a prompt.

    A subclass is a dataclass with `repr=False`, and gives `table()`. Printing computes nothing.
    """

    def table(self) -> Table:
        """Returns the fields as one row; a subclass may return another table."""
        fields = self.as_dict()
        return Table(list(fields), [list(fields.values())])

    def __str__(self) -> str:
        return self.table().text()

    def __repr__(self) -> str:
        lines, skipped = ends(str(self).splitlines(), MOST_LINES - 1)
        if skipped:
            lines.insert(len(lines) // 2, f"… {skipped} more lines …")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.table().html()

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields by name, for JSON, except those with `repr=False` (tensors, long paths)."""
        return {f.name: as_json(getattr(self, f.name)) for f in dataclasses.fields(self) if f.repr}  # type: ignore[arg-type]


def as_json(value: Any) -> Any:
    """Returns a record as a dictionary, also inside lists and dictionaries."""
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: as_json(one) for key, one in value.items()}
    return [as_json(one) for one in value] if isinstance(value, list | tuple) else value


def ends(rows: Sequence[Any], most: int | None) -> tuple[list[Any], int]:
    """Returns the first and last rows of a long table, and the number of rows left out."""
    if most is None or len(rows) <= most:
        return list(rows), 0
    return [*rows[: most // 2], *rows[-(most // 2) :]], len(rows) - most // 2 * 2


def numeric(column: Sequence[str]) -> bool:
    """Returns whether every cell is a number or empty: such columns are aligned to the right."""
    return all(text.lstrip("+-−")[:1].isdigit() or text in NO_NUMBER for text in column)


def cell(value: Any, form: str = "") -> str:
    """Returns a value as text: whole numbers without a point, others to six digits, None as empty."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if form:
        return format(value, form)
    whole = math.isfinite(value) and float(value).is_integer() and abs(value) < 1e9
    return str(int(value)) if whole else f"{value:.6g}"
