"""Reads a table into samples, with every option by name."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from . import files, tables
from .arrays import has_test_part
from .encoding import Encoding
from .samples import Dataset, Samples
from .tables import Reading


def read_table(
    path: str | PathLike[str],
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: str = "auto",
    targets_required: bool = True,
    classes: Sequence[str] | None = None,
    part: str = "train",
    weight: str | None = None,
    exclude: Sequence[str] | str = (),
    missing: str = "error",
    categories: Sequence[str] | str = (),
    na_values: Sequence[str] | str | float | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    header: bool | int | None = None,
    names: Sequence[str] | None = None,
) -> Samples:
    """Reads a table. Features are float64 (float32 and uint8 images of an npz keep theirs).

    The file is text between commas, semicolons, tabs, bars or blanks, whatever its suffix (.csv, .tsv, .txt, .data,
    .dat, none; also packed, .gz); an Excel sheet, parquet or .mat, with `pip install 'edunn-torch[tables]'`; or an npz
    archive of `features` (`x`, `X`, `data`, `images`, `X_train`, …) and `targets` (`y`, `labels`, `target`, …).

    What stands in the way is named in one `TableError`, with the options that cure it. What was decided is noted as an
    `EdunnWarning`, with the option that decides otherwise.

    Parameters
    ----------
    target : the target's column. By default the last one (`targets` or `y` where an npz has it).
    features : the features' columns, in the order in which the model sees them. By default all but the target, and but
        columns that count or name the rows, which are noted.
    task : the kind of target. "classes": labels; text in alphabetical order, whole numbers in numeric order. "real": a
        number to be predicted. "auto": text or whole numbers are classes, anything else is real; for whole numbers of
        more than 20 different values it asks you to say which.
    targets_required : False for prediction: targets are read only if `target` is named and the file has that column.
    classes : the classes' names in index order, where a model has learned them already; other labels are refused.
    part : "train", or "test" of arrays with `X_test` and `y_test`
    weight : the column of the samples' weights, which is then not used as a feature
    exclude : columns that are not features
    missing : cells that are empty, NA, NaN, null or ?: "error" names them; "drop" leaves out their rows; "mean" takes
        the mean of the column, and of a category its share. A row without a target is left out by both. "keep": nan.
    categories : "one-hot", for all columns of text, or the columns: one feature of 0 and 1 for each of its categories
    na_values : more texts that mean missing, such as "-9"; an empty list says that there are none
    delimiter : the sign between cells; " " for any blanks. By default it is found.
    decimal, thousands : the signs in numbers: decimal="," for 1,5; thousands="," for 1,200
    encoding : of the text, such as "cp1252"; by default UTF-8, or UTF-16 with a byte order mark
    comment : the sign that begins a comment
    header : whether the first line holds the columns' names, or the number of the line that does, from 1. By default a
        first line that looks like data is data: the columns are then x1, x2, …
    names : the columns' names, for a file without a header

    Errors: `TableError`, a `DataError`, names the row (from 1, the header not counted) and the line of the file.
    """
    given = {name: value for name, value in locals().items() if name in tables.NAMES}
    options = tables.make_options(given)
    found = tables.read(path, options, targets_required=targets_required, classes=classes, part=part)
    return to_samples(found)


def read_csv(path: str | PathLike[str], target: str | None = None, **options: Any) -> Samples:
    """Reads a table as samples; the options are those of `edunn.data.read_table`."""
    return read_table(path, target, **options)


@functools.wraps(read_table)
def load_table(path: str | PathLike[str], target: str | None = None, **options: Any) -> Dataset:
    """Returns what `read_table` reads as a data set that keeps its encoding, with the test part of an npz."""
    path = Path(path)
    known = {key: value for key, value in options.items() if key in tables.NAMES}
    others = {key: value for key, value in options.items() if key not in tables.NAMES}
    found = tables.read(path, tables.make_options({"target": target, **known}), **others)
    test = None
    if path.suffix.lower() == ".npz" and "part" not in others and has_test_part(path):
        more = {**others, "part": "test", "classes": found.classes}
        test = to_samples(tables.read(path, tables.make_options({"target": target, **known}), **more))
    return Dataset(path.stem, to_samples(found), test, files.sha256(path), str(path), encoding=found.encoding)


def read_later_table(
    source: Any,
    encoding: Encoding,
    target: str | None,
    classes: Sequence[str] | None,
    task: str,
    options: Mapping[str, Any],
    weight: str | None = None,
) -> Samples:
    """Reads a file or DataFrame as the table that a model was trained on, with targets if it has them.

    options : those of the first table; those that say how it is written are used again
    weight : the column of the samples' weights, if there is one
    """
    reading = tables.make_options(dict(options)).reading
    given = {**reading, "target": target, "task": task}
    if weight is not None and weight in tables.open_table(source, tables.make_options(given)).columns:
        given["weight"] = weight
    made = tables.make_options(given)
    return to_samples(tables.read(source, made, targets_required=False, classes=classes, encoding=encoding))


def to_samples(found: Reading) -> Samples:
    """Makes samples of a reading."""
    given = {field.name: getattr(found, field.name) for field in fields(Reading) if field.name != "encoding"}
    return Samples(**given)
