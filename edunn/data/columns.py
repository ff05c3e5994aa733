"""One column of a table: which cells are numbers, which are missing, and what it looks like."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

import numpy as np

MISSING = {"", "?", "na", "n/a", "#n/a", "nan", "null", "<na>", "nat"}  # without regard to capitals
TRUTH = {"true": 1.0, "false": 0.0}
SIGNS = "$€£¥₹"  # of currencies
STRAYS = 0.1  # the share of cells that may be no numbers in a column of numbers
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{8}T\d+|\d{1,2}:\d{2}(:\d{2})?|\w{3,9} \d{1,2}, \d{4}")
COMMAS = r"\d*(,\d+)+(\.\d+)?|\d+(\.\d{3})+,\d+|\d{1,3}(\.\d{3})+"  # numbers with commas, or points of thousands
NUMBERS_ROWS = re.compile(
    r"(#|no|nr|num|number|index|idx|instant|obs|observation|case|record|row|rownames|unnamed: ?\d+|"
    r"(row|sl|sr|s|serial|seq|record|case)[ ._-]*(no|nr|num|number|id)?)\.?"
)
IDENTIFIES = re.compile(r"(?i:(?:^|[\s_.-])(id|ids|uid|uuid|guid)$|^rownames$|^unnamed: ?\d+$)|(?<=[a-z])I[Dd]$")


class Column:
    """A column under its name.

    Parameters
    ----------
    values : (rows,): numbers, truth values, or text
    place : says where the cell of a row is: "row 2 (line 3)"
    title : what errors call the table
    decimal, thousands : the signs in numbers; None: a point, and no sign between thousands
    na_values : texts that mean "missing" besides the usual ones; an empty list: only the usual ones, on purpose
    """

    def __init__(
        self,
        name: str,
        values: np.ndarray,
        place: Callable[[int], str],
        decimal: str | None = None,
        thousands: str | None = None,
        na_values: tuple[str, ...] | None = None,
        title: str = "the table",
    ) -> None:
        self.name, self.place, self.values, self.title = name, place, values, title
        self.signs: set[str] = set()  # of currencies and percent, which numbers are read without
        extra = {text.strip().lower() for text in na_values or ()}
        self.codes: np.ndarray | None = None
        self.texts: list[str] = []
        if values.dtype.kind in "iuf":
            self.numbers = values.astype(np.float64)
            self.missing = np.isnan(self.numbers)
            for text in extra:
                number = parse_number(text, None, None)
                self.missing |= self.numbers == number if number is not None else False
            self.numbers[self.missing] = np.nan
            self.bad = np.zeros(len(values), dtype=bool)
            return
        import pandas

        codes, texts = pandas.factorize(values.astype(object), use_na_sentinel=False)
        self.codes, self.texts = codes, [str(text).strip() for text in texts]
        gaps = np.array([text.lower() in MISSING or text.lower() in extra for text in self.texts], dtype=bool)
        known = {text.lower() for text, gap in zip(self.texts, gaps, strict=True) if not gap}
        self.truth = bool(known) and known <= TRUTH.keys()
        found = [TRUTH[t.lower()] if self.truth and not gap else None if gap else self._parse(t, decimal, thousands)
                 for t, gap in zip(self.texts, gaps, strict=True)]  # fmt: skip
        if not self.truth and any(number is None and not gap for number, gap in zip(found, gaps, strict=True)):
            self.signs = set()  # text with a "$" somewhere is not a column of prices
        numbers = np.array([np.nan if number is None else number for number in found], dtype=np.float64)
        self.missing = gaps[codes]
        self.parsed = numbers
        self.numbers = numbers[codes]
        self.bad = np.array([number is None for number in found], dtype=bool)[codes] & ~self.missing

    truth = False  # whether the cells are True and False

    def _parse(self, text: str, decimal: str | None, thousands: str | None) -> float | None:
        bare = text.strip(SIGNS + " ") if text[:2].strip("+-")[:1] in SIGNS or text[-1:] in SIGNS else text
        if text.startswith(("-", "+")) and text[1:2] in SIGNS:
            bare = text[0] + text[1:].strip(SIGNS + " ")
        if text.endswith("%"):
            bare = bare[:-1].rstrip()
        if bare != text and decimal is None and thousands is None and re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", bare):
            return None  # € 1.200 may be a thousand
        number = parse_number(bare, decimal, thousands)
        if number is not None and bare != text:
            self.signs |= {sign for sign in text if sign in SIGNS + "%"}
        return number

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether a cell is neither a number nor missing."""
        return bool(self.bad.any())

    @cached_property
    def known(self) -> int:
        """The number of cells that are not missing."""
        return int((~self.missing).sum())

    @cached_property
    def distinct(self) -> int:
        """The number of different values, missing cells aside."""
        if self.codes is not None:
            return len(set(self.labels_of(np.unique(self.codes[~self.missing]))))
        return len(np.unique(self.numbers[~self.missing]))

    def labels_of(self, codes: np.ndarray) -> list[str]:
        return [self.texts[code] for code in codes]

    @cached_property
    def labels(self) -> list[str]:
        """The text of each cell; a whole number with all its digits, and without a point."""
        if self.codes is not None and (self.is_text or self.truth):
            return [self.texts[code] for code in self.codes]
        if self.codes is not None:  # digits beyond 2**53 are kept: a float would make two labels one
            texts = [label_of(text, number) for text, number in zip(self.texts, self.parsed, strict=True)]
            return [texts[code] for code in self.codes]
        return [shortest(value) for value in self.values.tolist()]

    @property
    def has_strays(self) -> bool:
        """Whether it is a column of numbers in which a few cells are none."""
        bad = int(self.bad.sum())
        good = self.known - bad
        few = bad <= max(1, STRAYS * self.known) and good > bad
        return bad > 0 and few and len(np.unique(self.numbers[~self.bad & ~self.missing])) > min(10, good - 1)

    @property
    def is_whole(self) -> bool:
        known = self.numbers[~self.missing]
        return bool((known == np.floor(known)).all())

    @cached_property
    def comma_cells(self) -> list[str]:
        """The cells that are numbers if a comma or point separates thousands, or a comma is a decimal comma.

        Empty if others are text.
        """
        if self.codes is None or not self.is_text:
            return []
        cells = [self.texts[code] for code in np.unique(self.codes[self.bad])]
        bare = [cell.strip(SIGNS + "% ").lstrip("+-").strip(SIGNS) for cell in cells]
        return cells if all(re.fullmatch(COMMAS, cell) for cell in bare) else []

    @property
    def comma_is_decimal(self) -> bool:
        """Whether the commas cannot separate thousands."""
        return not self.points_separate and any(
            not re.fullmatch(r"\D*[1-9]\d{0,2}(,\d{3})+(\.\d+)?\D*", cell) for cell in self.comma_cells
        )

    @property
    def points_separate(self) -> bool:
        """Whether there is no comma, so that the points separate thousands."""
        return not any("," in cell for cell in self.comma_cells)

    @cached_property
    def counts_rows(self) -> bool:
        """Whether it is 0, 1, 2, … or 1, 2, 3, … in the order of the rows."""
        if len(self) < 2 or self.missing.any() or self.is_text or self.numbers[0] not in (0, 1):
            return False
        return bool((self.numbers == np.arange(len(self)) + self.numbers[0]).all())

    @property
    def is_unique(self) -> bool:
        return self.known == len(self) == self.distinct and len(self) > 1

    @property
    def is_identifier(self) -> bool:
        """Whether its name says that it names the rows."""
        return bool(IDENTIFIES.search(self.name.strip()))

    @property
    def numbers_rows(self) -> bool:
        """Whether it counts the rows under a name that says so, or under none."""
        return self.counts_rows and bool(NUMBERS_ROWS.fullmatch(self.name.strip().lower()) or self.is_identifier)

    @property
    def is_nearly_unique(self) -> bool:
        """Whether its texts hardly come again, as those of names, tickets, dates and sentences."""
        cells = [self.texts[c] for c in np.unique(self.codes[self.bad])[:50]] if self.codes is not None else []
        if self.distinct > 2 and len(self) >= 20 and all(DATE.fullmatch(cell) for cell in cells) and cells:
            return self.distinct > 31
        return self.known > 4 and (self.distinct > self.known / 2 or self.distinct > max(100, self.known / 10))

    @property
    def marker(self) -> float | None:
        """The number −9, −99, … that may mean "missing": it comes again, and all other numbers are 0 or more."""
        known = self.numbers[~self.missing & ~self.bad]
        low = known.min() if len(known) else 0.0
        if low not in (-9, -99, -999, -9999, -99999, -200):
            return None
        others = known[known != low]
        again = len(known) - len(others)
        return float(low) if again > 1 and len(others) and others.min() >= 0 and len(np.unique(others)) > 1 else None

    def first(self, mask: np.ndarray) -> int:
        """The first row where the mask is true."""
        return int(np.flatnonzero(mask)[0])

    def cell(self, row: int | np.integer) -> str:
        """The text of a cell."""
        return self.texts[self.codes[row]] if self.codes is not None else str(self.values[row])

    def where(self, row: int | np.integer) -> str:
        return f"{self.title}, {self.place(int(row))}, column {self.name!r}"


def parse_number(text: str, decimal: str | None, thousands: str | None) -> float | None:
    """Returns the number that a text is, or None. Signs between thousands must stand before three digits each."""
    if "_" in text or not text:
        return None  # Python would read 1_000 as a thousand
    if thousands is not None and thousands in text:
        whole = re.escape(thousands)
        if not re.match(rf"[+-]?\d{{1,3}}({whole}\d{{3}})+(?!\d|{whole})", text):
            return None
        text = text.replace(thousands, "")
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def label_of(text: str, number: float) -> str:
    """Returns the label of a text that is a number: all digits of a whole one, which a float may not hold."""
    return str(int(text)) if text.lstrip("+-").isdecimal() else shortest(float(number))


def shortest(value: str | float | bool) -> str:
    """Returns a number as a label: 3 for 3.0 and "3", 2.5 for 2.5."""
    if isinstance(value, str):
        if value.lstrip("+-").isdecimal():
            return str(int(value))
        try:
            return shortest(float(value))
        except ValueError:
            return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)
