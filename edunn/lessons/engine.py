"""What a lesson is: a question, a derivation, tables, figures, and rows that hold a lecture's numbers against ours.

A row is computed on the spot. `holds` claims that what was printed follows from the inputs, to its printed digits;
`wrong` that it does not, and that the named mistake is what gives it; `derived` that it was not printed and follows.
Each claim is checked where it can be: see `Row.right`.
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
    """One number of a lecture (or a list, or an object of named numbers), and ours.

    Parameters
    ----------
    id : as in the errata, such as "1.13", "e0" or "001.a"
    printed : the lecture's, a constant; None where it prints none; words for a claim that is made in words
    computed : ours, computed by the package
    verdict : holds, wrong or derived
    mistake : of a wrong row, the sentence
    reproduced : what the mistake gives, computed as well: it must come out as printed
    digits : decimals to which `printed` was rounded; None: all digits count, to `relative`
    relative : how near is the same where `digits` does not say
    note : what else there is to say
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
            raise ConfigError(f"Expected a verdict {', '.join(VERDICTS)}; got {self.verdict!r}.")
        if (self.mistake is None) == (self.verdict == "wrong"):
            raise ConfigError(f"Row {self.id}: expected a mistake where the verdict is wrong, and nowhere else.")

    @property
    def right(self) -> bool:
        """Whether the row comes out as its verdict says.

        holds: ours, rounded as the lecture rounded, is what it printed. wrong: the mistake gives what was printed, and
        ours does not. What was printed in words has nothing to compare.
        """
        if self.verdict == "holds":
            return self.printed is None or self.agrees(self.computed)
        if self.verdict == "wrong" and self.reproduced is not None and not isinstance(self.printed, str):
            return (self.printed is None or self.agrees(self.reproduced)) and not self.agrees(self.computed)
        return True

    def agrees(self, value: Any) -> bool:
        return agree(self.printed, value, self.digits, self.relative)

    def as_dict(self) -> dict[str, Any]:
        """As the JSON shows it; what the mistake gives, and the names of what is not finite, go to the note."""
        notes = [self.note] if self.note else []
        if self.reproduced is not None:
            notes.append(f"The mistake gives {shown(self.reproduced)}.")
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
    """Whether a value is what was printed: to `digits` decimals, else to `relative`; entry by entry."""
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
    """Sentences for the numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return [text for key, one in value.items() for text in not_finite(f"{name} {key}", one)]
    if isinstance(value, list | tuple):
        return [text for k, one in enumerate(value) for text in not_finite(f"{name} [{k}]", one)]
    return [f"{name} is {value}."] if isinstance(value, float) and not math.isfinite(value) else []


def shown(value: Any) -> str:
    """A value for a reader: numbers with all the digits that float64 has, no more."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(one) for one in value) + "]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


@dataclass(frozen=True)
class Table:
    """A titled table of numbers and words, as text, markdown or CSV, at full precision.

    widest : letters of a cell in the text form, where a longer one would push the other columns off the page; markdown
        and CSV hold every cell whole
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    widest: int | None = None

    def shown(self, widest: int | None = None, missing: str = "–") -> results.Table:
        """The table as it prints, every number with all of its digits."""
        rows = [[missing if cell is None else cut(shown(cell), widest) for cell in row] for row in self.rows]
        return results.Table(self.columns, rows, self.caption, self.title)

    def text(self) -> str:
        return self.shown(self.widest).text(most=None)

    def markdown(self) -> str:
        return self.shown().markdown()

    def csv(self) -> str:
        return self.shown(missing="").csv().rstrip("\n")

    def written(self, form: str) -> str:
        forms = {"text": self.text, "markdown": self.markdown, "csv": self.csv}
        if form not in forms:
            raise ConfigError(f"Expected a format {', '.join(forms)}; got {form!r}.")
        return forms[form]()


@dataclass(frozen=True)
class Lesson:
    """One topic of a lecture.

    name, lecture : of the command, and which lecture document it belongs to: "000" to "004"
    question : what it answers, in one line
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
        """The rows, computed now."""
        return [replace(row, lesson=self.name) for row in self.make_rows()]

    def tables(self) -> list[Table]:
        """The tables, computed now."""
        return list(self.make_tables())

    def drawn(self, folder: Path) -> Iterator[Path]:
        """Draws the figures one after the other, each into a PNG of its name; gives where each was written."""
        from ..figures import save

        for name, draw in self.figures.items():
            made: Any = draw()
            yield save(made[0] if isinstance(made, tuple) else made, folder / f"{name}.png")


def cut(text: str, widest: int | None) -> str:
    return text if widest is None or len(text) <= widest else f"{text[: widest - 1]}…"


def verdicts(rows: Sequence[Row], widest: int | None = None) -> Table:
    """The rows as a table; a wrong one has what its mistake gives beside the true value."""
    cells = [
        [
            row.id,
            "" if row.printed is None else shown(row.printed),
            shown(row.computed),
            row.verdict if row.right else f"{row.verdict}?!",
            "" if row.reproduced is None else shown(row.reproduced),
        ]
        for row in rows
    ]
    return Table(
        "Printed and computed", ("id", "printed", "computed", "verdict", "by the mistake"), cells, widest=widest
    )
