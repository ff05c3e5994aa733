"""Lessons: a question, a derivation, tables, figures, and rows that compare a lecture's numbers with ours.

A row is computed when it is needed. Its verdict is a claim: `holds`, the printed number follows from the inputs, to its
printed digits; `wrong`, it does not, and the named mistake leads to it; `derived`, it was not printed and follows from
the inputs. `Row.right` checks the claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import results
from ..errors import ConfigError

VERDICTS = ("holds", "wrong", "derived")


@dataclass(frozen=True)
class Row:
    """A number of a lecture (or a list, or named numbers) and the one that the package computes.

    Parameters
    ----------
    id : as in the errata, such as "1.13", "e0" or "001.a"
    printed : the lecture's number, a constant; None if there is none; text for a claim in words
    computed : the package's number
    verdict : holds, wrong or derived
    mistake : a sentence on the mistake, if the verdict is wrong
    reproduced : the result of the mistake, computed: it must equal `printed`
    digits : decimals to which `printed` was rounded; None: all digits count, to `relative`
    relative : the tolerance where `digits` is None
    note : a remark
    """

    id: str
    computed: Any
    verdict: str
    printed: Any = None
    mistake: str | None = None
    reproduced: Any = None
    digits: int | None = None
    relative: float = 1e-12
    note: str = ""
    lesson: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ConfigError(f"Row {self.id}: a verdict is {', '.join(VERDICTS)}; got {self.verdict!r}.")
        if (self.mistake is None) == (self.verdict == "wrong"):
            raise ConfigError(f"Row {self.id}: a wrong verdict needs a mistake; no other takes one.")

    @property
    def right(self) -> bool:
        """Whether the computed numbers confirm the verdict.

        holds: ours, rounded as the lecture rounded, equals the printed number. wrong: the mistake gives the printed
        number, and ours differs. A claim in words is not compared.
        """
        if self.verdict == "holds":
            return self.printed is None or self.agrees(self.computed)
        if self.verdict == "wrong" and self.reproduced is not None and not isinstance(self.printed, str):
            return (self.printed is None or self.agrees(self.reproduced)) and not self.agrees(self.computed)
        return True

    def agrees(self, value: Any) -> bool:
        return agree(self.printed, value, self.digits, self.relative)

    def as_dict(self) -> dict[str, Any]:
        """Returns the row for JSON. The note also names the mistake's result and the numbers that are not finite."""
        notes = [self.note] if self.note else []
        if self.reproduced is not None:
            notes.append(f"The mistake gives {format_value(self.reproduced)}.")
        notes += [*not_finite("printed", self.printed), *not_finite("computed", self.computed)]
        return {
            "id": self.id,
            "lesson": self.lesson,
            "printed": self.printed,
            "computed": self.computed,
            "verdict": self.verdict,
            "mistake": self.mistake,
            "note": " ".join(notes),
        }


def agree(printed: Any, value: Any, digits: int | None = None, relative: float = 1e-12) -> bool:
    """Returns whether a value equals the printed one to `digits` decimals, else to `relative`; entry by entry."""
    if isinstance(printed, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and agree(printed[key], value[key], digits, relative) for key in printed
        )
    if isinstance(printed, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(printed) == len(value)
            and all(agree(p, v, digits, relative) for p, v in zip(printed, value, strict=True))
        )
    if not isinstance(printed, int | float) or not isinstance(value, int | float):
        return bool(printed == value)
    if not (math.isfinite(printed) and math.isfinite(value)):
        return str(float(printed)) == str(float(value))
    if digits is not None:  # half a unit of the last printed digit, and a hair for the binary fraction
        return abs(printed - value) <= 0.5 * 10.0**-digits * (1 + 1e-9)
    return math.isclose(printed, value, rel_tol=relative, abs_tol=1e-300)


def not_finite(name: str, value: Any) -> list[str]:
    """Returns a sentence for each number that is not finite, which JSON cannot represent."""
    if isinstance(value, Mapping):
        return [text for key, one in value.items() for text in not_finite(f"{name} {key}", one)]
    if isinstance(value, list | tuple):
        return [text for k, one in enumerate(value) for text in not_finite(f"{name} [{k}]", one)]
    return [f"{name} is {value}."] if isinstance(value, float) and not math.isfinite(value) else []


def format_value(value: Any) -> str:
    """Returns a value as text; numbers have all the digits of float64."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {format_value(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(format_value(one) for one in value) + "]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


@dataclass(frozen=True)
class Table:
    """A titled table of numbers and words, as text, markdown or CSV, at full precision.

    widest : the largest number of letters of a cell in the text form; markdown and CSV have every cell in full
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    widest: int | None = None

    def as_table(self, widest: int | None = None, missing: str = "–") -> results.Table:
        """Returns the table with its cells as text, every number with all its digits."""
        rows = [[missing if cell is None else cut(format_value(cell), widest) for cell in row] for row in self.rows]
        return results.Table(self.columns, rows, self.caption, self.title)

    def text(self) -> str:
        return self.as_table(self.widest).text(most=None)

    def markdown(self) -> str:
        return self.as_table().markdown()

    def csv(self) -> str:
        return self.as_table(missing="").csv().rstrip("\n")

    def format_as(self, form: str) -> str:
        forms = {"text": self.text, "markdown": self.markdown, "csv": self.csv}
        if form not in forms:
            raise ConfigError(f"The formats are {', '.join(forms)}; got {form!r}.")
        return forms[form]()


@dataclass(frozen=True)
class Lesson:
    """One topic of a lecture.

    name, lecture : its name for the command, and its lecture document, "000" to "004"
    question : that it answers, in one line
    derivation : the formulas, in a few lines
    make_rows, make_tables : compute them
    figures : file name (without suffix) to a function that draws it
    """

    name: str
    lecture: str
    question: str
    derivation: str
    make_rows: Callable[[], Sequence[Row]] = tuple
    make_tables: Callable[[], Sequence[Table]] = tuple
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Computes and returns the rows."""
        return [replace(row, lesson=self.name) for row in self.make_rows()]

    def tables(self) -> list[Table]:
        """Computes and returns the tables."""
        return list(self.make_tables())

    def draw(self, folder: Path) -> Iterator[Path]:
        """Draws each figure into a PNG of its name, and yields the path of each."""
        from ..figures import save

        for name, draw in self.figures.items():
            axes: Any = draw()
            yield save(axes[0] if isinstance(axes, tuple) else axes, folder / f"{name}.png")


def cut(text: str, widest: int | None) -> str:
    return text if widest is None or len(text) <= widest else f"{text[: widest - 1]}…"


def verdicts(rows: Sequence[Row], widest: int | None = None) -> Table:
    """Returns the rows as a table; a wrong row shows the result of its mistake and the true value."""
    cells = [
        [
            row.id,
            "" if row.printed is None else format_value(row.printed),
            format_value(row.computed),
            row.verdict if row.right else f"{row.verdict}?!",
            "" if row.reproduced is None else format_value(row.reproduced),
        ]
        for row in rows
    ]
    return Table(
        "Printed and computed", ("id", "printed", "computed", "verdict", "by the mistake"), cells, widest=widest
    )
