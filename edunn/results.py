"""What every result shares: a table that prints as text, HTML, Markdown and CSV."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 20  # of a table as text or HTML; the middle of a longer one is left out


@dataclass(frozen=True)
class Table:
    """Rows under column names. Numbers keep six significant digits in print, and all of them in `csv()`.

    Parameters
    ----------
    columns : the column names
    rows : one sequence a row, as long as `columns`; None is an empty cell
    note : a sentence below the table, or ""
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], columns: Sequence[str], note: str = "") -> Table:
        """One row a dictionary; a key that is missing is an empty cell."""
        return cls(tuple(columns), tuple(tuple(record.get(name) for name in columns) for record in records), note)

    def text(self, most: int = MOST_ROWS) -> str:
        """Aligned columns: numbers to the right, words to the left; at most `most` rows."""
        shown, skipped = ends(self.rows, most)
        cells = [[cell(value) for value in row] for row in shown]
        heads = [*self.columns]
        widths = [max(len(heads[i]), *(len(row[i]) for row in cells), 1) for i in range(len(heads))]
        words = [any(isinstance(row[i], str) for row in self.rows) for i in range(len(heads))]

        def line(row: Sequence[str]) -> str:
            pairs = zip(row, widths, words, strict=True)
            return "  ".join(c.ljust(width) if word else c.rjust(width) for c, width, word in pairs).rstrip()

        lines = [line(row) for row in cells]
        if skipped:
            lines.insert(len(lines) // 2, f"… {skipped} more …")
        return "\n".join([line(heads), *lines, *([self.note] if self.note else [])])

    __str__ = text

    def html(self, most: int = MOST_ROWS) -> str:
        """The same as an HTML table, every cell escaped."""
        shown, skipped = ends(self.rows, most)
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell(v))}</td>" for v in row) + "</tr>" for row in shown)
        left_out = f"<p>{skipped} rows in the middle left out.</p>" if skipped else ""
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<table><tr>{head}</tr>{body}</table>{left_out}{note}"

    def markdown(self) -> str:
        """The same as a Markdown table, all rows."""
        rows = [[cell(value).replace("|", "\\|") for value in row] for row in self.rows]
        lines = [[*self.columns], ["---"] * len(self.columns), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def csv(self) -> str:
        """The same as CSV, all rows and all digits; a missing cell is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()


def ends(rows: Sequence[Any], most: int) -> tuple[list[Any], int]:
    """The first and the last rows of a long table, and how many lie between."""
    if len(rows) <= most:
        return list(rows), 0
    return [*rows[: most // 2], *rows[-(most // 2) :]], len(rows) - most // 2 * 2


def cell(value: Any) -> str:
    """A value as a table shows it: whole numbers without a point, others to six digits, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return (
        str(int(value)) if math.isfinite(value) and float(value).is_integer() and abs(value) < 1e9 else f"{value:.6g}"
    )
