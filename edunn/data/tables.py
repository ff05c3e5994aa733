"""Tables of numbers: CSV text and npz archives, read strictly: a cell that is not a number is named, never skipped."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..errors import ConfigError, DataError, ShapeError, nearest
from . import files
from .samples import Samples, check_features, encode

DELIMITERS = ",;\t"
TASKS = ("auto", "classes", "real")
MANY = 20  # different whole numbers; with more of them, "auto" asks whether they are classes


@dataclass(frozen=True)
class Column:
    """A column under its name: the file's text (numpy's `U`), or numbers. `place(row)` says where a cell is."""

    name: str
    values: np.ndarray
    place: Callable[[int], str]

    @property
    def is_text(self) -> bool:
        return self.values.dtype.kind == "U"


@dataclass(frozen=True)
class Table:
    """Columns of one length, in the file's order. A matrix or images that an npz holds whole stand in `block`."""

    path: Path
    columns: dict[str, Column]
    default_target: str | None
    block: Tensor | None = None
    block_names: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None


def read_table(
    path: str | PathLike[str],
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: str = "auto",
    targets_required: bool = True,
    classes: Sequence[str] | None = None,
    weight: str | None = None,
) -> Samples:
    """A CSV file or an npz archive as samples. Features are float64 (float32 and uint8 images of an npz keep theirs).

    A CSV file has a header row of column names, in UTF-8 (a byte order mark is tolerated), between commas, semicolons
    or tabs: the one that the header has most of. An npz archive has `features` (or `x`, `X`) of shape (samples,
    features) and `targets` (or `y`) of shape (samples,), with `feature_names` and `classes` if it likes; or one array
    (samples,) for each named column. The columns of a matrix without names are called x1, x2, ….

    Parameters
    ----------
    target : the target's column. By default the last one (`targets` or `y` where an npz has it).
    features : the features' columns, in the order that the model shall see. By default all but the target.
    task : what the target is. "classes": labels; text in alphabetical order, whole numbers in numeric order. "real": a
        number to be predicted. "auto": text or whole numbers are classes, anything else is real; for whole numbers of
        more than 20 different values it asks you to say which.
    targets_required : False for prediction: targets are read only if `target` is named and the file has that column.
    classes : the classes' names in index order, where a model has learned them already; other labels are refused.
    weight : the column of the samples' weights, which is no feature then

    Errors: `DataError` names the row (from 1, the header not counted) and, for CSV, the line of the file.
    """
    if task not in TASKS:
        raise ConfigError(f"Expected a task auto, classes or real; got {task!r}. {nearest(str(task), TASKS)}")
    path = files.existing(path, "a table (.csv or .npz)")
    if path.is_dir():
        raise DataError(f"Expected a table, a .csv or .npz file; '{path}' is a folder. For images use read_images.")
    table = _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)

    wanted = _target_name(table, target, targets_required)
    names = _feature_names(table, features, wanted, weight)
    if weight is not None and (weight not in table.columns or weight == wanted):
        hint = "It is the target." if weight == wanted else nearest(weight, table.columns)
        raise DataError(f"'{path}' has no column {weight!r} for the weights. {hint}")
    x = _features(table, names)
    y: Tensor | None = None
    found: tuple[str, ...] | None = None
    if wanted is not None:
        labels = _labels(table.columns[wanted], "classes" if classes and task == "auto" else task, table.classes)
        if labels is None:
            y = torch.from_numpy(_numbers(table.columns[wanted]))
        else:
            y, found = _indices(table.columns[wanted], *labels, classes, targets_required)
        if found is None and x.dtype.is_floating_point:
            y = y.to(x.dtype)  # losses ask for one dtype
    else:
        found = None if classes is None else tuple(classes)
    weights = None if weight is None else torch.from_numpy(_numbers(table.columns[weight]))
    return Samples(x, y, classes=found, feature_names=names or None, target_name=wanted, sample_weight=weights)


# Which columns


def _target_name(table: Table, target: str | None, required: bool) -> str | None:
    if target is None:
        if not required:
            return None
        if table.default_target is None:
            raise DataError(
                f"Expected targets in '{table.path}', under 'targets' or 'y'; got {_listed(table.columns)}. "
                f"Name the target's array, or add it."
            )
        return table.default_target
    if target in table.columns:
        return target
    if not required and target not in table.block_names:
        return None
    raise DataError(
        f"Expected a column {target!r} for the target; '{table.path}' has none. {nearest(target, table.columns)}"
    )


def _feature_names(
    table: Table, features: Sequence[str] | None, target: str | None, weight: str | None
) -> tuple[str, ...]:
    if table.block is not None and table.block.ndim == 4:
        if features is not None:
            raise ConfigError(f"Expected no feature names for images; got {tuple(features)}. Leave them out.")
        return ()
    known = table.block_names if table.block is not None else tuple(table.columns)
    if features is None:
        names = tuple(name for name in known if name not in (target, weight))
        if not names:
            raise DataError(
                f"Expected a feature beside the target {target!r}; '{table.path}' has no other column. Add one."
            )
        return names
    names = tuple(features)
    if not names:
        raise ConfigError("Expected at least one feature; got an empty list. Leave it out for all columns.")
    if len(set(names)) < len(names):
        raise ConfigError(f"Expected each feature once; got {', '.join(names)}.")
    if target in names:
        raise ConfigError(f"Expected features without the target; {target!r} is named as both.")
    if weight in names:
        raise ConfigError(f"{weight!r} is named as a feature and as the weight. Leave it out of one.")
    for name in names:
        if name not in known:
            raise DataError(f"Expected a column {name!r}; '{table.path}' has none. {nearest(name, known)}")
    return names


# From cells to tensors


def _features(table: Table, names: tuple[str, ...]) -> Tensor:
    if table.block is None:
        return torch.from_numpy(np.stack([_numbers(table.columns[name]) for name in names], axis=1))
    if table.block.dtype == torch.uint8 or names == table.block_names:
        return table.block
    return table.block[:, [table.block_names.index(name) for name in names]]


def _labels(column: Column, task: str, names: tuple[str, ...] | None) -> tuple[list[str], tuple[str, ...]] | None:
    """The label of each row, and all labels in order; None for a real target. `names`: classes that an npz lists."""
    if task == "real":
        return None
    if column.is_text and _is_text(column, mixed=task == "classes"):
        labels = [str(cell) for cell in column.values]
        return labels, names or tuple(sorted(set(labels)))
    numbers = _numbers(column)
    broken = np.flatnonzero(numbers != np.floor(numbers))
    if len(broken) and task == "auto" and names is None:
        return None
    if len(broken):
        raise DataError(
            f"{_where(column, broken[0])}: expected a class, text or a whole number; got {numbers[broken[0]]:g}. "
            f"For real targets say task='real'."
        )
    if names is not None:
        outside = np.flatnonzero((numbers < 0) | (numbers >= len(names)))
        if len(outside):
            raise DataError(
                f"{_where(column, outside[0])}: expected an index into the file's {len(names)} classes, from 0; "
                f"got {numbers[outside[0]]:g}."
            )
        return [names[int(number)] for number in numbers], names
    labels = [str(int(number)) for number in numbers]
    order = tuple(sorted(set(labels), key=int))
    if task == "auto" and len(order) > MANY:
        raise DataError(
            f"Expected few whole numbers for classes; column {column.name!r} holds {len(order)} different ones. "
            f"Say which it is: task='classes' or task='real'."
        )
    return labels, order


def _indices(
    column: Column, labels: list[str], order: tuple[str, ...], classes: Sequence[str] | None, required: bool
) -> tuple[Tensor, tuple[str, ...]]:
    """Labels as indices into `classes`, where a model knows them, else into `order`."""
    if classes is None and required and len(order) < 2:
        raise DataError(
            f"Expected two classes or more; column {column.name!r} holds {order[0]!r} only. "
            f"Name another target, or say task='real'."
        )
    known = order if classes is None else tuple(classes)
    for row, label in enumerate(labels):
        if label not in known:
            raise DataError(f"{_where(column, row)}: expected a known class; got {label!r}. {nearest(label, known)}")
    return encode(labels, known)


def _is_text(column: Column, mixed: bool) -> bool:
    """Whether a column of text holds labels and not numbers. `mixed`: both may stand side by side, and are labels."""
    text = number = None
    for row, cell in enumerate(column.values):
        if not cell:
            raise DataError(f"{_where(column, row)}: expected a target; the cell is empty. Fill it in or drop the row.")
        try:
            _number(cell)
        except ValueError:
            text = row if text is None else text
        else:
            number = row if number is None else number
        if text is not None and number is not None:
            if mixed:
                return True
            raise DataError(
                f"Expected numbers or text in column {column.name!r}, not both; got {str(column.values[number])!r} in "
                f"{column.place(number)} and {str(column.values[text])!r} in {column.place(text)}. "
                f"Mend the cell, or say task='classes' to take both as labels."
            )
    return text is not None


def _numbers(column: Column) -> np.ndarray:
    """The column as finite float64, or an error that names the first cell which is not."""
    if column.is_text:
        numbers = np.empty(len(column.values))
        for row, cell in enumerate(column.values):
            try:
                numbers[row] = _number(cell)
            except ValueError:
                raise DataError(f"{_where(column, row)}: {_not_a_number(str(cell))}") from None
    else:
        numbers = column.values.astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{_where(column, row)}: expected a finite number; got {numbers[row]}. Drop the row or fill it in."
        )
    return numbers


def _number(cell: str) -> float:
    if "_" in cell:
        raise ValueError  # Python would read 1_000 as a thousand
    return float(cell)


def _not_a_number(cell: str) -> str:
    if not cell:
        return "expected a number; the cell is empty. Drop the row or fill it in."
    hint = "Mend the cell, or leave the column out of the features."
    if cell.count(",") == 1 and cell.replace(",", "").lstrip("+-").isdigit():
        hint = f"Write the decimal point as a point: {cell.replace(',', '.')}."
    return f"expected a number; got {cell[:40]!r}. {hint}"


def _where(column: Column, row: int | np.integer) -> str:
    return f"{column.place(int(row))}, column {column.name!r}"


# CSV


def _read_csv(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as problem:
        raise DataError(
            f"Expected text in UTF-8; '{path}' has byte {problem.object[problem.start]:#04x} at {problem.start}. "
            f"Save it as CSV in UTF-8 (a spreadsheet's own format is not CSV)."
        ) from problem
    except OSError as problem:
        raise DataError(f"Expected a table at '{path}'; it cannot be read: {problem.strerror}.") from problem
    rows, lines = _parse(path, text) if text.strip() else ([], [])
    if not rows:
        raise DataError(f"Expected a header row and rows of numbers; '{path}' is empty.")
    header = rows.pop(0)
    lines.pop(0)
    _check_header(path, header)
    if not rows:
        raise DataError(f"Expected rows of numbers under the header; '{path}' has none.")

    def place(row: int) -> str:
        return f"'{path}', row {row + 1} (line {lines[row]})"

    for row, cells in enumerate(rows):
        if len(cells) != len(header):
            raise DataError(
                f"{place(row)}: expected {len(header)} cells, as in the header; got {len(cells)}. "
                f"A cell that holds the delimiter goes in double quotes."
            )
    columns = {
        name: Column(name, np.array(cells), place) for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    return Table(path, columns, default_target=header[-1])


def _parse(path: Path, text: str) -> tuple[list[list[str]], list[int]]:
    """The rows of cells, stripped, and the line that each begins on. Blank lines are left out."""
    first = text.strip().splitlines()[0]
    delimiter = max(DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                rows.append([cell.strip() for cell in cells])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(
            f"'{path}', line {line}: expected cells between {delimiter!r}; got something else ({problem}). "
            f"Look for a double quote without its partner."
        ) from problem
    return rows, lines


def _check_header(path: Path, header: list[str]) -> None:
    if all(_is_number(name) for name in header):
        raise DataError(
            f"Expected a header row of column names; the first line of '{path}' holds numbers only "
            f"({', '.join(header[:3])}{', …' if len(header) > 3 else ''}). Put the names above it."
        )
    for index, name in enumerate(header):
        if not name:
            raise DataError(
                f"Expected a name for each column; column {index + 1} of '{path}' has none. "
                f"Name it, or leave it out (pandas: to_csv(index=False))."
            )
        if name in header[:index]:
            raise DataError(
                f"Expected each column to have its own name; {name!r} is the name of columns "
                f"{header.index(name) + 1} and {index + 1} of '{path}'."
            )


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(_number(cell))
    except ValueError:
        return False


# npz


def _read_npz(path: Path) -> Table:
    arrays = _arrays(path)
    if not arrays:
        raise DataError(f"Expected arrays in '{path}'; it has none.")
    block_key = next((key for key in ("features", "x", "X") if key in arrays and arrays[key].ndim != 1), None)
    names = arrays.pop("feature_names", None)
    classes = arrays.pop("classes", None)
    block = None if block_key is None else _block(path, block_key, arrays.pop(block_key))
    for key, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 1:
            raise ShapeError(
                f"Expected {key!r} in '{path}' of shape (samples,); got {array.shape}. Save it as {key}.squeeze(1)."
            )
        if array.ndim != 1:
            hint = f" For one-hot rows save {key}.argmax(1)." if array.ndim == 2 else ""
            raise ShapeError(
                f"Expected 'features' and 'targets', or columns of shape (samples,); '{path}' has {key!r} of shape "
                f"{array.shape}.{hint}"
            )

    lengths = {key: len(array) for key, array in arrays.items()}
    if block is not None and block_key is not None:
        lengths = {block_key: block.shape[0], **lengths}
    first = next(iter(lengths))
    for key, length in lengths.items():
        if length != lengths[first]:
            raise DataError(
                f"Expected arrays of one length in '{path}'; {first!r} has {lengths[first]} rows and {key!r} {length}."
            )
    if lengths[first] == 0:
        raise DataError(f"Expected rows in '{path}'; it has none.")

    def place(row: int) -> str:
        return f"'{path}', row {row + 1}"

    columns = {key: Column(key, array, place) for key, array in arrays.items()}
    default: str | None = next((key for key in ("targets", "y") if key in arrays), None)
    block_names: tuple[str, ...] = ()
    if block is None:
        default = default or list(arrays)[-1]
    elif block.ndim == 2:
        width = block.shape[1]
        block_names = tuple(f"x{i + 1}" for i in range(width)) if names is None else tuple(map(str, names))
        if len(block_names) != width or len(set(block_names)) != width:
            raise DataError(
                f"Expected {width} different feature_names in '{path}', one a column; got {', '.join(block_names)}."
            )
        _check_block(block, block_names, place)
    return Table(
        path, columns, default, block, block_names, None if classes is None else tuple(str(name) for name in classes)
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the archive: numbers or text, in the machine's byte order. Pickled objects are never loaded."""
    with files.open_zip(path) as archive:
        members = [info.filename for info in archive.infolist()]
    if others := [name for name in members if not name.endswith(".npy")]:
        raise DataError(f"Expected an npz archive of arrays; '{path}' holds {others[0]!r}. Save it with numpy.savez.")
    arrays = {}
    name = ""
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except ValueError as problem:
        if "allow_pickle" in str(problem):
            raise DataError(
                f"Expected numbers or text in {name!r} of '{path}'; got Python objects, which are not loaded because "
                f"a file of them can run code. Save it with a dtype: array.astype(float) or array.astype(str)."
            ) from problem
        raise DataError(f"Expected a whole array {name!r} in '{path}'; it is damaged ({problem}).") from problem
    except (*files.DAMAGED, MemoryError) as problem:
        raise DataError(f"Expected a whole array {name!r} in '{path}'; it is damaged ({problem}).") from problem
    for name, array in arrays.items():
        if array.dtype.kind not in "fiubUS":
            raise DataError(f"Expected numbers or text in {name!r} of '{path}'; got {array.dtype}.")
        text = array.astype(str) if array.dtype.kind == "S" else array
        arrays[name] = text.astype(text.dtype.newbyteorder("="), copy=False)
    return arrays


def _block(path: Path, key: str, array: np.ndarray) -> Tensor:
    """(samples, features), float32 or float64, or uint8 images."""
    if array.dtype.kind == "U":
        raise DataError(f"Expected numbers in {key!r} of '{path}'; got text.")
    if array.dtype != np.float32 and not (array.dtype == np.uint8 and array.ndim == 4):
        array = array.astype(np.float64)
    try:
        block = torch.from_numpy(np.ascontiguousarray(array))
        check_features(block)
    except errors.EdunnError as problem:
        raise ShapeError(f"'{path}', array {key!r}: {problem}") from problem
    return block


def _check_block(block: Tensor, names: tuple[str, ...], place: Callable[[int], str]) -> None:
    bad = ~block.isfinite()
    if bad.any():
        row, column = (int(i) for i in bad.nonzero()[0])
        raise DataError(
            f"{place(row)}, column {names[column]!r}: expected a finite number; got {float(block[row, column])}. "
            f"Drop the row or fill it in."
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "features only"
