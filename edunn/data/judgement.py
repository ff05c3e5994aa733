"""What the columns of a table are for, what stands in the way of training on them, and which options cure it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import ConfigError, DataError, nearest
from .columns import Column
from .encoding import Encoding, order
from .table_options import TableError, TableOptions, in_python, merged

MANY = 20  # different whole numbers; with more of them, "auto" asks whether they are classes
SHOWN = 10  # columns in one message
FEW_CLASSES = 5  # so many whole numbers are classes, however few rows there are
NOTED = 10  # whole numbers above which it is noted that they are taken as classes
FEW_ROWS = 20  # below this, labels that do not come again are no surprise
WIDEST = 2**31  # bytes that the features of a table may take
UNNAMED = re.compile(r"column \d+$")  # the name of a column without one


@dataclass(frozen=True)
class Table:
    """Columns of one length, in the file's order. A matrix or images that a file holds whole are in `block`.

    title : what errors call it; header : whether the names are the file's own
    """

    title: str
    columns: dict[str, Column]
    default_target: str | None
    header: bool = True
    block: Tensor | None = None
    block_names: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.block) if self.block is not None else len(next(iter(self.columns.values())))


class Obstacle(NamedTuple):
    """One thing in the way: as a sentence of its own, in a list, and the options that cure it."""

    sentence: str
    short: str
    cure: dict[str, Any]


class Judgement:
    """The target, the features, and the obstacles of a table under some options.

    Parameters
    ----------
    required : False for prediction: the target may be missing
    classes : the classes that a model knows already
    encoding : of the table that a model was trained on; its columns are the features
    """

    def __init__(
        self,
        table: Table,
        options: TableOptions,
        required: bool = True,
        classes: Sequence[str] | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        self.table, self.options, self.classes, self.encoding = table, options, classes, encoding
        self.task = "classes" if classes and options.task == "auto" else options.task
        self.notes = list(table.notes)
        self.obstacles: list[Obstacle] = []
        self.left_out: dict[str, str] = {}
        self.target = self.find_target(required)
        self.check_weight()
        self.names = self.find_features() if encoding is None else self.known_features(encoding)
        self.categories: dict[str, tuple[str, ...]] = {}
        if table.block is None:
            self.find_categories()
            self.judge_features()
            self.check_size()
        if self.target is not None:
            self.judge_target(table.columns[self.target], required)

    # Which columns

    def find_target(self, required: bool) -> str | None:
        """Returns the target's column: the named one, else the file's own or the last."""
        table, target = self.table, self.options.target
        if target is None:
            if not required:
                return None
            if table.default_target is None:
                raise DataError(
                    f"{table.title} has no targets under 'targets', 'y' or 'labels'; it has "
                    f"{', '.join(table.columns) or 'features only'}. Name the target's array, or add it."
                )
            usable = [name for name in table.columns if name not in (*self.options.exclude, self.options.weight)]
            found = table.default_target if table.default_target in usable else (usable or [table.default_target])[-1]
            if not table.header:
                self.notes.append(f"the target is the last column, {found!r}; target=… names another")
            return found
        if target in table.columns:
            return target
        if not table.header and target.isdecimal() and f"x{target}" in table.columns:
            return f"x{target}"
        if not required and target not in table.block_names:
            return None
        hint = nearest(target, table.columns)
        if not table.header:
            hint = f"It has no header, and its columns are called x1 to x{len(table.columns)}; names=[…] names them."
        raise DataError(f"{table.title} has no column {target!r} for the target. {hint}")

    def check_weight(self) -> None:
        weight = self.options.weight
        if weight is not None and (weight not in self.table.columns or weight == self.target):
            hint = "It is the target." if weight == self.target else nearest(weight, self.table.columns)
            raise DataError(f"{self.table.title} has no column {weight!r} for the weights. {hint}")

    def find_features(self) -> tuple[str, ...]:
        """Returns the columns that are features: those named, else all but the target and what names the rows."""
        table, options = self.table, self.options
        if table.block is not None and table.block.ndim == 4:
            if options.features is not None:
                raise ConfigError(f"Images have no feature names. Leave out {options.features}.")
            return ()
        known = table.block_names if table.block is not None else tuple(table.columns)
        for name in options.exclude:
            if name not in known and name not in table.columns:
                raise DataError(f"{table.title} has no column {name!r} to exclude. {nearest(name, known)}")
        if self.target in options.exclude:
            raise ConfigError(f"{self.target!r} is excluded and is the target.")
        if options.features is not None:
            return self.check_features(options.features, known)
        taken = (self.target, options.weight, *options.exclude)
        names = [name for name in known if name not in taken]
        if table.block is None:
            names = self.without_names_of_rows(names)
        if not names:
            raise DataError(f"{table.title} has no column beside the target {self.target!r}. Add a feature.")
        return tuple(names)

    def check_features(self, names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ConfigError("The list of features is empty. Leave it out for all columns.")
        if len(set(names)) < len(names):
            raise ConfigError(f"A feature is named twice: {', '.join(names)}.")
        if self.target in names:
            raise ConfigError(f"{self.target!r} is named as a feature and as the target.")
        if self.options.weight in names:
            raise ConfigError(f"{self.options.weight!r} is named as a feature and as the weight.")
        for name in names:
            if name not in known:
                raise DataError(f"{self.table.title} has no column {name!r}. {nearest(name, known)}")
        return names

    def known_features(self, encoding: Encoding) -> tuple[str, ...]:
        """Returns the columns that a model was trained on."""
        for name in encoding.columns:
            if name not in self.table.columns:
                raise DataError(f"{self.table.title} has no column {name!r}. {nearest(name, self.table.columns)}")
        return encoding.columns

    def without_names_of_rows(self, names: list[str]) -> list[str]:
        """Leaves out columns that are empty or name the rows, and notes it; a feature that counts is pointed at."""
        if len(names) < 2:
            return names
        for name in names:
            column = self.table.columns[name]
            first = name == names[0] and name == next(iter(self.table.columns))
            if not column.known:
                self.left_out[name] = "is empty"
            elif (
                column.is_unique
                and (column.is_identifier or column.numbers_rows)
                and (column.is_text or column.is_whole)
            ):
                self.left_out[name] = "counts the rows" if column.counts_rows else "names the rows"
            elif first and not self.table.header and column.counts_rows and len(column) > 4:
                self.left_out[name] = "counts the rows"
            elif first and UNNAMED.match(name) and column.is_unique and (column.is_text or column.counts_rows):
                self.left_out[name] = "counts the rows" if column.counts_rows else "names the rows"
            elif column.counts_rows and len(column) > 9:
                self.notes.append(
                    f"{name!r} counts the rows and is a feature; {in_python({'exclude': [name]})} leaves it out"
                )
            elif column.is_identifier and not column.is_text:
                self.notes.append(
                    f"{name!r} is a feature, though its name says that it names things; "
                    f"{in_python({'exclude': [name]})} leaves it out"
                )
        if len(self.left_out) == len(names):
            self.left_out.clear()
            return names
        for why in dict.fromkeys(self.left_out.values()):
            those = [name for name, reason in self.left_out.items() if reason == why]
            plural = why.replace("is ", "are ").replace("counts", "count").replace("names", "name")
            self.notes.append(
                f"{quoted(those)} {why if len(those) == 1 else plural} and {'is' if len(those) == 1 else 'are'} no "
                f"feature; {in_python({'exclude': those})} says so, features=[…] takes it in"
            )
        return [name for name in names if name not in self.left_out]

    # What is in the way

    def find_categories(self) -> None:
        """Finds the columns to encode one-hot, and their categories."""
        if self.encoding is not None:
            self.categories = dict(self.encoding.categories)
            return
        asked = self.options.categories
        for name in asked if isinstance(asked, tuple) else ():
            if name not in self.table.columns:
                raise DataError(
                    f"{self.table.title} has no column {name!r} for the categories. {nearest(name, self.table.columns)}"
                )
        for name in self.names:
            column = self.table.columns[name]
            text = column.is_text and not column.has_strays and not column.comma_cells
            if (asked == "one-hot" and text) or (isinstance(asked, tuple) and name in asked):
                known = np.flatnonzero(~column.missing)
                self.categories[name] = order([column.labels[row] for row in known])

    def judge_features(self) -> None:
        """Names each feature whose cells are neither numbers nor categories, or missing."""
        columns = [self.table.columns[name] for name in self.names]
        for column in columns:
            if column.name in self.categories:
                self.judge_categories(column)
            elif column.comma_cells:
                self.obstacles.append(commas(column))
            elif column.has_strays:
                self.obstacles.append(strays(column))
            elif column.is_text:
                self.obstacles.append(text(column))
            elif np.isinf(column.numbers).any():
                row = column.first(np.isinf(column.numbers))
                cell = column.cell(row).lstrip("+")
                self.obstacles.append(Obstacle(
                    f"{column.where(row)}: expected a finite number; got {column.numbers[row]}. "
                    f"Drop the row or fill it in.",
                    f"{column.name!r} is {cell} in {column.place(row)}",
                    {"na_values": [cell], "missing": "mean"},
                ))  # fmt: skip
            if column.signs:
                self.notes.append(f"{column.name!r} is read as numbers without {' and '.join(sorted(column.signs))}")
            if self.options.na_values is None and self.encoding is None and column.marker is not None:
                self.obstacles.append(marker(column))
        self.judge_gaps(columns)

    def judge_categories(self, column: Column) -> None:
        """Refuses a category that a model has not seen, unless it may be treated as missing."""
        if self.encoding is None:
            if column.is_nearly_unique and column.known > FEW_ROWS:
                self.notes.append(f"{column.name!r} becomes {column.distinct} features; its texts hardly come again")
            return
        known = set(self.categories[column.name])
        unknown = [row for row, label in enumerate(column.labels) if label not in known and not column.missing[row]]
        if not unknown:
            return
        label = column.labels[unknown[0]]
        if self.options.missing == "mean":
            self.notes.append(f"{column.where(unknown[0])}: {label!r} is a new category and counts as missing")
            return
        self.obstacles.append(Obstacle(
            f"{column.where(unknown[0])}: expected a known category; got {label!r}. {nearest(label, known)}",
            f"{column.name!r} has the unknown category {label!r} in {column.place(unknown[0])}", {},
        ))  # fmt: skip

    def judge_gaps(self, columns: list[Column]) -> None:
        """Names the features with missing cells."""
        gaps = [column for column in columns if column.missing.any()]
        if not gaps or self.options.missing in ("mean", "keep"):
            return
        if self.options.missing == "drop" and self.encoding is None:
            return
        row = gaps[0].first(gaps[0].missing)
        cell = gaps[0].cell(row)
        got = "a number; the cell is empty" if not cell else f"a finite number; got {cell}"
        total = sum(int(column.missing.sum()) for column in gaps)
        more = f" {total} cells of {len(gaps)} column{'s' * (len(gaps) > 1)} are missing." if total > 1 else ""
        listed = some(f"{column.name!r} ({int(column.missing.sum())})" for column in gaps)
        self.obstacles.append(Obstacle(
            f"{gaps[0].where(row)}: expected {got}. Drop the row or fill it in.{more}",
            f"cells are missing in {listed}", {"missing": "mean"},
        ))  # fmt: skip

    def check_size(self) -> None:
        wide = {name: len(found) for name, found in self.categories.items()}
        width = len(self.names) - len(wide) + sum(wide.values())
        if width * self.table.rows * 8 > WIDEST:
            most = max(wide, key=lambda name: wide[name]) if wide else self.names[0]
            raise TableError(
                f"The features of {self.table.title} would take {width * self.table.rows * 8 / 2**30:.1f} GiB: "
                f"{most!r} alone has {wide.get(most, 1)} categories.",
                {"exclude": [most]},
            )

    def judge_target(self, column: Column, required: bool) -> None:
        """Names what is wrong with the target: missing cells, text among numbers, or a question of what it is."""
        if column.missing.any() and self.options.missing not in ("drop", "mean", "keep"):
            if not required:
                self.target = None
                self.notes.append(f"{column.name!r} has missing cells: the predictions are not scored")
                return
            row = column.first(column.missing)
            cell = column.cell(row)
            if column.codes is not None and not cell:
                got = "a target; the cell is empty"
            else:
                got = f"a finite number; got {cell}" if not column.is_text else f"a target; got {cell!r}"
            count = int(column.missing.sum())
            self.obstacles.append(Obstacle(
                f"{column.where(row)}: expected {got}. Fill it in or drop the row.",
                f"the target {column.name!r} is missing in {count} row{'s' * (count > 1)}", {"missing": "drop"},
            ))  # fmt: skip
        if not column.known:
            raise DataError(f"The target {column.name!r} of {self.table.title} is empty. Name another.")
        if np.isinf(column.numbers).any():
            row = column.first(np.isinf(column.numbers))
            raise DataError(
                f"{column.where(row)}: expected a finite number; got {column.numbers[row]}. Drop the row or fill it in."
            )
        if column.signs:
            self.notes.append(f"{column.name!r} is read as numbers without {' and '.join(sorted(column.signs))}")
        if self.task == "classes":
            return
        if column.comma_cells and not required:
            return
        if column.comma_cells:
            self.obstacles.append(commas(column))
        elif self.task == "real" and column.is_text:
            row = column.first(column.bad)
            self.obstacles.append(Obstacle(
                f"{column.where(row)}: expected a number; got {column.cell(row)[:40]!r}. Labels are task='classes'.",
                f"the target {column.name!r} is text, as {column.cell(row)[:40]!r}", {"task": "classes"},
            ))  # fmt: skip
        elif column.is_text and not np.isnan(column.numbers[~column.missing]).all() and self.table.classes is None:
            number, word = column.first(~column.bad & ~column.missing), column.first(column.bad)
            self.obstacles.append(Obstacle(
                f"Expected numbers or text in column {column.name!r}, not both; got {column.cell(number)!r} in "
                f"{column.place(number)} and {column.cell(word)!r} in {column.place(word)}. "
                f"Mend the cell, or say task='classes' to take both as labels.",
                f"the target {column.name!r} has text among numbers ({column.cell(word)!r} in {column.place(word)})",
                {"na_values": [column.cell(word)], "missing": "drop"} if column.has_strays else {"task": "classes"},
            ))  # fmt: skip
        elif column.is_text and column.known > FEW_ROWS and column.distinct > column.known / 2 and self.task == "auto":
            self.obstacles.append(Obstacle(
                f"The target {column.name!r} of {self.table.title} has {column.distinct} different texts in "
                f"{column.known} rows, which are hardly classes. Name another target, or say task='classes'.",
                f"the target {column.name!r} has {column.distinct} different texts: name another target",
                {"comment": "|"} if all("|" in text for text in column.texts) else {},  # of C4.5: "negative.|3733"
            ))  # fmt: skip
        elif self.is_unclear(column) and required:
            self.obstacles.append(Obstacle(
                    f"Column {column.name!r} holds {column.distinct} different whole numbers: many for classes. "
                    f"Say which it is: task='classes' or task='real' ([data] task = \"real\" in a config).",
                    f"the target {column.name!r} has {column.distinct} whole numbers: task='classes' or 'real'",
                    {"task": "real"},
                ))  # fmt: skip
        elif self.is_many(column) and required:
            self.notes.append(
                f"the target {column.name!r} has {column.distinct} whole numbers, which are classes; "
                f"task='real' takes them as numbers"
            )

    def is_many(self, column: Column) -> bool:
        """Whether whole numbers are taken as rather many classes."""
        whole = self.task == "auto" and not column.is_text and column.is_whole
        return whole and column.distinct > NOTED and self.table.classes is None

    def is_unclear(self, column: Column) -> bool:
        """Whether whole numbers may be classes or a quantity."""
        whole = self.task == "auto" and not column.is_text and not column.truth and column.is_whole
        many = column.distinct > MANY or column.distinct > max(FEW_CLASSES, column.known / 2)
        return whole and many and self.table.classes is None

    # What follows

    @property
    def cures(self) -> dict[str, Any]:
        """The options with which nothing stands in the way, those that were given aside."""
        found = merged([obstacle.cure for obstacle in self.obstacles])
        if "exclude" in found:
            found["exclude"] = [*self.options.exclude, *found["exclude"]]
        if "categories" in found:
            found["categories"] = (
                [*self.options.categories, *found["categories"]] if self.options.categories else "one-hot"
            )
        if found.get("missing") == "drop" and any(o.cure.get("missing") == "mean" for o in self.obstacles):
            found["missing"] = "mean"
        if "na_values" in found:
            found["na_values"] = [*(self.options.na_values or ()), *found["na_values"]]
            if self.options.missing in ("drop", "mean"):
                found.pop("missing", None)
        if self.encoding is not None:
            return {}
        return found

    def check(self) -> None:
        """Raises one error that names everything in the way, the options that cure it, and what others would cost."""
        if not self.obstacles:
            return
        left = [name for name in self.names if name not in self.cures.get("exclude", ())]
        if self.names and not left:
            raise DataError(
                f"{'; '.join(obstacle.short for obstacle in self.obstacles[:SHOWN])}: {self.table.title} has no column "
                f"of numbers or categories to predict {self.target!r} from. Add one, or name its columns in categories."
            )
        if len(self.obstacles) == 1:
            raise TableError(self.obstacles[0].sentence, self.cures, self.cost())
        listed = [obstacle.short for obstacle in self.obstacles]
        more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise TableError(
            f"{self.table.title} is not ready: {'; '.join(listed[:SHOWN])}{more}.", self.cures, self.cost()
        )

    def cost(self) -> str:
        """Returns what dropping rows or columns would lose."""
        if self.encoding is not None:
            return ""
        columns = [
            self.table.columns[n] for n in (*self.names, self.target) if n is not None and n in self.table.columns
        ]
        kept = [column for column in columns if column.name not in self.cures.get("exclude", ())]
        gaps = [column for column in kept if column.missing.any()]
        found = []
        if gaps:
            rows = int((~np.any([column.missing for column in gaps], axis=0)).sum())
            found.append(f'missing="drop" instead keeps {rows} of {self.table.rows} rows.')
        lost = [c.name for c in columns if c.name != self.target and (c.missing.any() or c.is_text)]
        if (lost and "categories" in self.cures) or (gaps and lost):
            found.append(
                f"Without columns of text or gaps {len(self.names) - len(lost)} of {len(self.names)} are left."
            )
        return " ".join(found)


def commas(column: Column) -> Obstacle:
    """A column whose numbers have commas: decimal commas, or thousands."""
    sign = "." if column.points_separate else ","
    row = next(int(row) for row in np.flatnonzero(column.bad) if sign in column.cell(row))
    cell = column.cell(row)
    if column.points_separate:
        return Obstacle(
            f"{column.where(row)}: expected a number; got {cell[:40]!r}. Its points seem to separate thousands; "
            f'if they are decimal points, decimal=".".',
            f"{column.name!r} has points that seem to separate thousands, as {cell[:40]!r} in {column.place(row)}",
            {"thousands": "."},
        )
    plain, point = cell.replace(",", ""), cell.replace(",", ".")
    decimal = column.comma_is_decimal
    if decimal and "." not in cell:
        hint = f"Write the decimal point as a point: {point}."
    elif decimal:
        hint = f"Write {cell.replace('.', '').replace(',', '.')}."
    else:
        hint = f"Write {plain} if the comma separates thousands"
        once = all(text.count(",") < 2 and "." not in text for text in column.comma_cells)
        hint += f', or {point} if it is a decimal comma (decimal=",").' if once else "."
    cure: dict[str, Any] = {"decimal": ","} if decimal else {"thousands": ","}
    if decimal and any("." in text for text in column.comma_cells):
        cure["thousands"] = "."
    return Obstacle(
        f"{column.where(row)}: expected a number; got {cell[:40]!r}. {hint}",
        f"{column.name!r} has numbers with a comma, as {cell[:40]!r} in {column.place(row)}", cure,
    )  # fmt: skip


def strays(column: Column) -> Obstacle:
    """A column of numbers with a few cells of text."""
    row, count = column.first(column.bad), int(column.bad.sum())
    cell = column.cell(row)[:40]
    assert column.codes is not None
    odd = column.labels_of(np.unique(column.codes[column.bad]))
    more = f" and {count - 1} more" if count > 1 else ""
    cure: dict[str, Any] = {"exclude": [column.name]}
    if len(odd) <= 5 and not any("," in text for text in odd):
        cure = {"na_values": odd, "missing": "mean"}
    return Obstacle(
        f"{column.where(row)}: expected a number; got {cell!r}. Mend the cell, or leave the column out of the "
        f"features.",
        f"{column.name!r} has {cell!r} among its numbers ({column.place(row)}{more})", cure,
    )  # fmt: skip


def text(column: Column) -> Obstacle:
    """A column of text: categories, or names that hardly come again."""
    row = column.first(column.bad)
    if column.is_nearly_unique:
        short = f"{column.name!r} is text that hardly comes again ({column.distinct} different)"
        cure: dict[str, Any] = {"exclude": [column.name]}
    else:
        short = f"{column.name!r} is text ({column.distinct} different)"
        cure = {"categories": [column.name]}
    return Obstacle(
        f"{column.where(row)}: expected a number; got {column.cell(row)[:40]!r}. "
        f"The column is text, {column.distinct} different.",
        short, cure,
    )  # fmt: skip


def marker(column: Column) -> Obstacle:
    """A column where a negative number seems to mean "missing"."""
    low = column.marker
    assert low is not None
    count = int((column.numbers == low).sum())
    return Obstacle(
        f"Column {column.name!r} of {column.title} is {low:g} in {count} rows and 0 or more in all others. If that "
        f"means missing, say so; if it is a number, na_values=[] says that.",
        f"{column.name!r} is {low:g} in {count} rows and 0 or more elsewhere, as if missing (if not, na_values=[])",
        {"na_values": [f"{low:g}"], "missing": "mean"},
    )


def quoted(names: Iterable[str]) -> str:
    return some(map(repr, names))


def some(items: Iterable[str]) -> str:
    """Lists the first ten."""
    found = list(items)
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
