"""Tables as they are: text, spreadsheets, parquet, npz and .mat, read through pandas, and judged before they are used.

A cell that is not a number is named, never skipped; what is decided is noted as an `EdunnWarning`, with the option that
decides otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataError, EdunnWarning, nearest
from . import files
from .arrays import Arrays, read_mat, read_npz
from .columns import Column
from .convert import refuse_other_kinds
from .delimited import LARGEST, read_text
from .encoding import Encoding
from .judgement import Judgement, Table
from .labels import encode
from .table_options import NAMES, TableError, TableOptions

__all__ = ["Reading", "judge", "open_table", "read", "reads"]

SHEETS = {".xlsx", ".xlsm", ".ods"}
BINARY = {".npz", ".mat", ".parquet", ".feather", *SHEETS}


@dataclass(frozen=True, eq=False)
class Reading:
    """A table as features, targets and their names; `encoding` makes the same features of a later table."""

    features: Tensor
    targets: Tensor | None
    classes: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    target_name: str | None
    sample_weight: Tensor | None
    encoding: Encoding | None


def read(
    source: Any,
    options: TableOptions,
    *,
    targets_required: bool = True,
    classes: Sequence[str] | None = None,
    encoding: Encoding | None = None,
    part: str = "train",
) -> Reading:
    """Reads a file or a DataFrame. Features are float64 (float32 and uint8 images of an npz keep theirs).

    Parameters
    ----------
    targets_required : False for prediction: targets are read only if the file has the named column
    classes : the classes' names in index order, where a model has learned them already; other labels are refused
    encoding : of the table that a model was trained on
    part : "train", or "test" of arrays with `X_test` and `y_test`
    """
    judgement = judge(source, options, targets_required, classes, encoding, part)
    judgement.check()
    return make_reading(judgement, targets_required)


def judge(
    source: Any,
    options: TableOptions,
    targets_required: bool = True,
    classes: Sequence[str] | None = None,
    encoding: Encoding | None = None,
    part: str = "train",
) -> Judgement:
    """Opens a table and judges its columns, without an error for what stands in the way."""
    if encoding is not None:
        missing = "mean" if encoding.means is not None else "error"
        options = replace(options, missing=missing, features=None, exclude=(), categories=())
        if not encoding.header and options.header is None and options.names is None:
            options = replace(options, header=False)
    try:
        table = open_table(source, options, part)
    except TableError as error:
        if encoding is None:
            add_obstacles(source, options, error, targets_required, classes)
        raise
    if encoding is not None:
        table = named_as_before(table, encoding, options.target)
    return Judgement(table, options, targets_required, classes, encoding)


def add_obstacles(
    source: Any, options: TableOptions, error: TableError, required: bool, classes: Sequence[str] | None
) -> None:
    """Raises an error that also names what stands in the way of a table that can be opened with the cures."""
    try:
        judge(source, replace(options, **error.cures), required, classes).check()
    except TableError as further:
        what = f"{error.what} Then: {further.what}"
        raise TableError(what, {**error.cures, **further.cures}, further.cost) from error


def make_reading(judgement: Judgement, required: bool) -> Reading:
    """Makes tensors of a table in whose way nothing stands, and gives its notes."""
    table, options = judgement.table, judgement.options
    encoding = judgement.encoding
    if table.block is not None:
        x, names = from_block(table, judgement.names, options.missing)
    else:
        if encoding is None:
            encoding = Encoding(judgement.names, judgement.categories, None, table.header, tuple(table.columns))
        x, names = encoding.encode(table.columns), encoding.feature_names
    keep = np.ones(table.rows, dtype=bool)
    column = None if judgement.target is None else table.columns[judgement.target]
    if column is not None:
        keep &= ~column.missing
    if options.missing == "drop" and judgement.encoding is None and x.dtype.is_floating_point:
        keep &= ~x.isnan().any(-1).numpy()
    if not keep.any():
        raise DataError(f"No row of {table.title} is complete. Fill the gaps in, or exclude columns.")
    y: Tensor | None = None
    found: tuple[str, ...] | None = None
    if column is not None:
        labels = labels_of(column, judgement, keep)
        if labels is None:
            y = torch.from_numpy(column.numbers)[torch.from_numpy(keep)]
            y = y.to(x.dtype) if x.dtype.is_floating_point else y  # losses ask for one dtype
        else:
            y, found = to_indices(column, *labels, judgement.classes, required, np.flatnonzero(keep))
    elif judgement.classes is not None:
        found = tuple(judgement.classes)
    weights = None if options.weight is None else torch.from_numpy(weight_of(table.columns[options.weight]))
    if not keep.all():
        lost = int((~keep).sum())
        judgement.notes.append(f"{lost} of {table.rows} rows of {table.title} have missing cells and are left out")
        rows = torch.from_numpy(keep)
        x, weights = x[rows], None if weights is None else weights[rows]
    if encoding is not None and options.missing == "mean":
        encoding = encoding if judgement.encoding is not None else encoding.fit(x)
        x = encoding.fill(x)
    elif options.missing == "mean" and x.dtype.is_floating_point:
        x = Encoding((), {}).fit(x).fill(x)
    for note in judgement.notes:
        warnings.warn(note, EdunnWarning, stacklevel=4)
    return Reading(x, y, found, names or None, judgement.target, weights, encoding)


# Files


def reads(path: Path) -> bool:
    """Whether a file may be a table: any file that is not a .npy or a .zip."""
    return path.suffix.lower() not in (".npy", ".zip")


def open_table(source: Any, options: TableOptions, part: str = "train") -> Table:
    """Returns the columns of a file, or of a DataFrame."""
    if not isinstance(source, str | PathLike):
        return from_frame(source, "the frame", options)
    path = files.check_exists(source, "a table (.csv or .npz)")
    title = f"'{path}'"
    if path.is_dir():
        raise DataError(f"'{path}' is a folder, not a table. For images use read_images.")
    suffix = path.suffix.lower()
    if suffix in (".npz", ".mat"):
        arrays = Arrays(path, read_npz(path) if suffix == ".npz" else read_mat(path), part == "test")
        return from_arrays(arrays, title, options)
    if suffix in (".parquet", ".feather"):
        return from_frame(read_frame(path, "read_" + suffix[1:], "pyarrow"), title, options)
    if suffix in SHEETS:
        engine = "odf" if suffix == ".ods" else "openpyxl"
        extra = "odfpy" if suffix == ".ods" else engine
        frame = read_frame(path, "read_excel", extra, header=None, dtype=object, engine=engine)
        return from_sheet(frame, title, options)
    refuse_other_kinds(path)
    found = read_text(path, options)
    names = [name or f"column {i}" for i, name in enumerate(found.names, 1)]

    def place(row: int) -> str:
        return f"row {row + 1} (line {found.lines[row]})"

    columns = {
        name: make_column(name, values, place, title, options)
        for name, given, values in zip(names, found.names, found.values, strict=True)
        if given or any(map(str, values[:100].tolist())) or any(map(str, values.tolist()))
    }
    unnamed = [name for name, given in zip(names, found.names, strict=True) if not given and name in columns]
    notes = list(found.notes)
    if unnamed and unnamed != [names[0]]:
        notes.append(f"{title} has columns without a name, which are called {', '.join(map(repr, unnamed[:10]))}")
    return Table(title, columns, list(columns)[-1], found.header, notes=notes)


def read_frame(path: Path, function: str, extra: str, **options: Any) -> Any:
    """Reads a file by a function of pandas; `extra` is the package that it needs."""
    import pandas

    files.check_size(path.stat().st_size, str(path), LARGEST)
    try:
        with path.open("rb") as file:
            return getattr(pandas, function)(file, **options)
    except ImportError:
        raise DataError(f"'{path}' needs {extra}, which is not installed: pip install 'edunn-torch[tables]'.") from None
    except Exception as problem:  # a damaged file can raise anything
        raise DataError(f"'{path}' is damaged, or not what its name says ({str(problem)[:80]}).") from problem


def from_frame(frame: Any, title: str, options: TableOptions) -> Table:
    """Returns the columns of a DataFrame of pandas or polars."""
    frame = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    if not len(frame) or not len(frame.columns):
        raise DataError(f"{title} has no rows.")

    def place(row: int) -> str:
        return f"row {row + 1}"

    columns = {}
    for i, name in enumerate(frame.columns):
        series = frame.iloc[:, i]
        if str(name) in columns:
            raise DataError(f"{str(name)!r} is the name of two columns of {title}. Rename one.")
        columns[str(name)] = make_column(str(name), series_cells(series), place, title, options)
    return Table(title, columns, list(columns)[-1])


def from_sheet(frame: Any, title: str, options: TableOptions) -> Table:
    """Returns the columns of a sheet whose first row holds the names, unless `header` or `names` says otherwise."""
    frame = frame.dropna(how="all").dropna(axis=1, how="all")
    start = options.header - 1 if type(options.header) is int else 0
    headed = options.header is not False and (options.names is None or options.header is not None)
    names = [f"x{i}" for i in range(1, frame.shape[1] + 1)]
    if headed and len(frame) > start:
        cells = frame.iloc[start].tolist()
        names = [
            f"column {i}" if cell != cell or cell is None else str(cell).strip() for i, cell in enumerate(cells, 1)
        ]
        frame = frame.iloc[start + 1 :]
    frame = frame.set_axis(list(options.names or names), axis=1).infer_objects()
    return replace(from_frame(frame, title, options), header=headed or options.names is not None)


def series_cells(series: Any) -> np.ndarray:
    """Returns the cells of a column: numbers with nan, or text with "" where cells are missing."""
    name = str(series.dtype).lower()
    if name.startswith(("int", "uint", "float")):
        missing = bool(series.isna().any())
        return series.to_numpy(dtype="float64", na_value=np.nan) if missing else series.to_numpy()
    missing = series.isna().to_numpy()
    cells = np.array([str(value) for value in series], dtype=object)
    cells[missing] = ""
    return cells


def from_arrays(arrays: Arrays, title: str, options: TableOptions) -> Table:
    def place(row: int) -> str:
        return f"row {row + 1}"

    columns = {name: make_column(name, values, place, title, options) for name, values in arrays.columns.items()}
    return Table(
        title, columns, arrays.target, block=arrays.block, block_names=arrays.block_names, classes=arrays.classes
    )


def make_column(
    name: str, values: np.ndarray, place: Callable[[int], str], title: str, options: TableOptions
) -> Column:
    return Column(name, values, place, options.decimal, options.thousands, options.na_values, title)


def named_as_before(table: Table, encoding: Encoding, target: str | None) -> Table:
    """Names the columns of a file without a header as in training, where the target's column is left out of it."""
    if table.header or encoding.header or len(table.columns) == len(encoding.names):
        return table
    names = [name for name in encoding.names if name != target]
    if len(table.columns) == len(encoding.columns):
        names = list(encoding.columns)
    if len(table.columns) != len(names):
        return table
    for name, column in zip(names, table.columns.values(), strict=True):
        column.name = name
    return replace(table, columns=dict(zip(names, table.columns.values(), strict=True)))


# From cells to tensors


def from_block(table: Table, names: tuple[str, ...], missing: str) -> tuple[Tensor, tuple[str, ...]]:
    """Returns the features of a matrix or of images."""
    block = table.block
    assert block is not None
    if block.dtype == torch.uint8:
        return block, names
    if names != table.block_names:
        block = block[:, [table.block_names.index(name) for name in names]]
    bad = block.isinf() if missing != "error" else ~block.isfinite()
    if bad.any():
        row, column = (int(i) for i in bad.nonzero()[0])
        raise DataError(
            f"{table.title}, row {row + 1}, column {names[column]!r}: expected a finite number; "
            f'got {float(block[row, column])}. Drop the row or fill it in: missing="drop" or missing="mean".'
        )
    return block, names


def labels_of(column: Column, judgement: Judgement, keep: np.ndarray) -> tuple[list[str], tuple[str, ...]] | None:
    """Returns the label of each kept row, and all labels in order; None for a real target."""
    task, names = judgement.task, judgement.table.classes
    if task == "real":
        if column.is_text:
            row = column.first(column.bad)
            raise DataError(f"{column.where(row)}: expected a number; got {column.cell(row)[:40]!r}. Mend the cell.")
        return None
    rows = np.flatnonzero(keep)
    labels = column.labels
    if column.is_text or column.truth:
        kept = [labels[row] for row in rows]
        return kept, names or tuple(sorted(set(kept)))
    broken = rows[column.numbers[rows] != np.floor(column.numbers[rows])]
    if len(broken) and task == "auto" and names is None:
        return None
    if len(broken):
        raise DataError(
            f"{column.where(broken[0])}: expected a class, text or a whole number; got {column.numbers[broken[0]]:g}. "
            f"For real targets say task='real'."
        )
    if names is not None:
        outside = rows[(column.numbers[rows] < 0) | (column.numbers[rows] >= len(names))]
        if len(outside):
            raise DataError(
                f"{column.where(outside[0])}: expected an index into the file's {len(names)} classes, from 0; "
                f"got {column.numbers[outside[0]]:g}."
            )
        return [names[int(column.numbers[row])] for row in rows], names
    kept = [labels[row] for row in rows]
    return kept, tuple(sorted(set(kept), key=int))


def to_indices(
    column: Column,
    labels: list[str],
    found: tuple[str, ...],
    classes: Sequence[str] | None,
    required: bool,
    rows: np.ndarray,
) -> tuple[Tensor, tuple[str, ...]]:
    """Returns labels as indices into `classes`, where a model knows them, else into `found`."""
    if classes is None and required and len(found) < 2:
        raise DataError(
            f"Expected two classes or more; column {column.name!r} holds {found[0]!r} only. "
            f"Name another target, or say task='real'."
        )
    known = found if classes is None else tuple(classes)
    allowed = set(known)
    for row, label in zip(rows, labels, strict=True):
        if label not in allowed:
            raise DataError(f"{column.where(row)}: expected a known class; got {label!r}. {nearest(label, known)}")
    return encode(labels, known)


def weight_of(column: Column) -> np.ndarray:
    """Returns a column of weights; one that is not a number is named."""
    wrong = column.bad | column.missing
    if wrong.any():
        row = column.first(wrong)
        raise DataError(f"{column.where(row)}: expected a weight, a number; got {column.cell(row)[:40]!r}.")
    return column.numbers


def make_options(options: dict[str, Any]) -> TableOptions:
    """Makes the options of a table from keywords; an unknown one is named."""
    for key in options:
        if key not in NAMES:
            raise ConfigError(f"A table has no option {key!r}. {nearest(key, NAMES)}")
    return TableOptions(**options)
