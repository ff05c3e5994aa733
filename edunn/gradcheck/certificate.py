"""The certificate: one row for each term and parameter, as a table, in a notebook, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DataError
from ..results import OneFigure, Record, Table
from ..runtime import schema
from ..runtime.files import read_file, strict, write_atomically

AUTOGRAD_TOLERANCE = 1e-12  # hand against autograd: two exact formulas in float64 differ by rounding alone
NUMERIC_TOLERANCE = 1e-8  # hand against five points: their truncation and rounding come on top

READING = (
    (1e-7, "good: what float64 can show"),
    (1e-4, "right only where a kink or float32 explains it; otherwise look again"),
    (1e-2, "probably wrong"),
    (float("inf"), "wrong"),
)


def reading(error: float) -> str:
    """Returns what a relative error means, as courses read it: 1e-7 is good, 1e-2 is wrong."""
    return next((text for bound, text in READING if error <= bound), "wrong")


LARGEST = 64 * 2**20  # bytes of a file
SAVED = {
    "rows": [
        {
            **dict.fromkeys(("name", "parameter", "term", "note"), str),
            **dict.fromkeys(("hand_vs_autograd", "hand_vs_numeric", "order"), (float, None)),
            "kinks": schema.COUNT,
            "passed": bool,
        }
    ],
    "notes": [str],
}


@dataclass(frozen=True)
class Row(Record):
    """The comparison of one gradient with autograd, differences and the Taylor test.

    name, parameter, term : the function, the parameter of the gradient, and the part of the objective
    hand_vs_autograd, hand_vs_numeric : relative errors; None where that comparison is impossible
    order : of the Taylor remainder, 2 for a right gradient, 1 for a wrong one; None where f is linear, or at a kink
    kinks : number of entries on a kink, where any value between the one-sided derivatives is right
    note : a remark for the reader
    near : number of entries with a kink closer than the usual step
    hand, right : the gradient that was checked, and the most accurate other one
    """

    name: str
    parameter: str
    term: str
    hand_vs_autograd: float | None
    hand_vs_numeric: float | None
    order: float | None
    kinks: int
    passed: bool
    note: str = ""
    near: int = field(default=0, repr=False)
    hand: Tensor | None = field(default=None, repr=False, compare=False)
    right: Tensor | None = field(default=None, repr=False, compare=False)
    claim: Any = field(default=None, repr=False, compare=False)

    @property
    def error(self) -> float:
        """The larger relative error of the gradient by hand: against autograd, or against finite differences."""
        return max(self.hand_vs_autograd or 0.0, self.hand_vs_numeric or 0.0)


@dataclass(frozen=True, repr=False)
class Certificate(Record):
    """The comparison of hand-derived gradients with autograd, five-point differences and a Taylor test."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: Certificate) -> Certificate:
        return Certificate(self.rows + other.rows, tuple(dict.fromkeys(self.notes + other.notes)))

    @property
    def plot(self) -> OneFigure:
        """The figure: `plot()` draws the relative error of every gradient against both witnesses."""
        return OneFigure(self, "gradient_errors")

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows that did not pass."""
        return tuple(row for row in self.rows if not row.passed)

    def as_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, **super().as_dict()}

    def save(self, path: str | Path) -> None:
        """Writes it as JSON; `Certificate.load` reads it back, without the gradients themselves."""
        text = json.dumps(strict(self.as_dict()), allow_nan=False, indent=1)
        write_atomically(Path(path), text.encode())

    @classmethod
    def load(cls, path: str | Path) -> Certificate:
        """Reads a certificate that `save` wrote."""
        try:
            found = schema.parse(read_file(path, LARGEST), SAVED)
            return cls(tuple(Row(**row) for row in found["rows"]), tuple(found["notes"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(f"{path} is not a certificate that Certificate.save wrote.") from None

    def table(self) -> Table:
        """Returns one row for each gradient, and the summary below."""
        rows = [
            (
                *(row.name, row.term, row.parameter),
                *map(dashed, (row.hand_vs_autograd, row.hand_vs_numeric, row.order)),
                *("right" if row.passed else "WRONG", row.note),
            )
            for row in self.rows
        ]
        formats = {"hand~autograd": ".1e", "hand~numeric": ".1e", "order": ".2f"}
        return Table(HEADINGS, rows, self.summary(), formats=formats)

    def __str__(self) -> str:
        return self.table().text(most=None)

    def summary(self) -> str:
        """Returns the last lines: the number of gradients, the largest error, and what it means."""
        lines = [f"{len(self.rows) - len(self.wrong)} of {len(self.rows)} gradients are right"]
        if self.rows:
            worst = max(self.rows, key=lambda row: row.error)
            lines[0] += f"; the largest relative error is {worst.error:.1e} ({worst.name}, {worst.parameter}): "
            lines[0] += reading(worst.error)
        if self.wrong:
            lines.append("edunn.gradcheck.diagnosis.explain(certificate) names the likely mistakes")
        return "\n".join([*lines, *self.notes])


HEADINGS = ("what", "term", "gradient in", "hand~autograd", "hand~numeric", "order", "", "note")


def dashed(value: float | None) -> float | str:
    """Returns the number as text, or a dash where there is none."""
    return "-" if value is None else value
