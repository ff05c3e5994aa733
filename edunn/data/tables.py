"""Tables of numbers: CSV text and npz archives, read strictly: a cell that is not a number is an error."""

from __future__ import annotations

import csv
import io
import math
import re
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
from .npy import read_array
from .samples import Samples, check_features, check_text, decode_bytes, encode

DELIMITERS = ",;\t"
FEATURES = ("features", "x", "X", "data", "images", "X_train", "x_train")  # of an npz, the usual names
TARGETS = ("targets", "y", "labels", "target", "label", "y_train")
TASKS = ("auto", "classes", "real")
LARGEST = 256 * 2**20  # bytes of a CSV file, which take several times as much while they are read
SNIFFED = 2**16  # characters in which the delimiter is looked for
MANY = 20  # different whole numbers; with more of them, "auto" asks whether they are classes


@dataclass(frozen=True)
class Column:
    """A column with its name: text (numpy's `U`) or numbers. `place(row)` says where in the file a cell is."""

    name: str
    values: np.ndarray
    place: Callable[[int], str]

    @property
    def is_text(self) -> bool:
        return self.values.dtype.kind == "U"


@dataclass(frozen=True)
class Table:
    """Columns of one length, in the file's order. A matrix or images of an npz file are in `block`."""

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
    part: str = "train",
    weight: str | None = None,
) -> Samples:
    """Reads a CSV file or an npz archive. Features are float64 (float32 and uint8 images of an npz keep theirs).

    A CSV file has a header row of column names, in UTF-8 (a byte order mark is tolerated), between commas, semicolons
    or tabs: the one that splits the rows like the header. An npz archive has `features` (or `x`, `X`, `data`, `images`,
    `X_train`) of shape (samples, features) and `targets` (or `y`, `labels`, `target`, `label`, `y_train`) of shape
    (samples,), optionally with `feature_names` and `classes`; or one array (samples,) for each named column. The
    columns of a matrix without names are called x1, x2, ….

    Parameters
    ----------
    target : the target's column. By default the last one (`targets` or `y` where an npz has it).
    features : the features' columns, in the order in which the model sees them. By default all but the target.
    task : the kind of target. "classes": labels; text in alphabetical order, whole numbers in numeric order. "real": a
        number to be predicted. "auto": text or whole numbers are classes, anything else is real; for whole numbers of
        more than 20 different values it asks you to say which.
    targets_required : False for prediction: targets are read only if `target` is named and the file has that column.
    classes : the classes' names in index order, where a model has learned them already; other labels are refused.
    weight : the column of the samples' weights, which is then not used as a feature
    part : "train", or "test" of an npz with `X_test` and `y_test`

    Errors: `DataError` names the row (from 1, the header not counted) and, for CSV, the line of the file.
    """
    if task not in TASKS:
        raise ConfigError(f"Unknown task {task!r}. {nearest(str(task), TASKS)}")
    path = files.check_exists(path, "a table (.csv or .npz)")
    if path.is_dir():
        raise DataError(f"'{path}' is a folder, not a table. For images use read_images.")
    table = _read_npz(path, part == "test") if path.suffix.lower() == ".npz" else _read_csv(path)

    wanted = _target_name(table, target, targets_required)
    if target is None and wanted is not None and wanted == weight:  # the last column but the weights
        wanted = next((name for name in reversed(table.columns) if name != weight), wanted)
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
                f"'{table.path}' has no targets under {_listed(map(repr, TARGETS))}; it has {_listed(table.columns)}. "
                f"Name the target's array, or add it."
            )
        return table.default_target
    if target in table.columns:
        return target
    if not required and target not in table.block_names:
        return None
    raise DataError(f"'{table.path}' has no column {target!r} for the target. {nearest(target, table.columns)}")


def _feature_names(
    table: Table, features: Sequence[str] | None, target: str | None, weight: str | None
) -> tuple[str, ...]:
    if table.block is not None and table.block.ndim == 4:
        if features is not None:
            raise ConfigError(f"Images have no feature names. Leave out {tuple(features)}.")
        return ()
    known = table.block_names if table.block is not None else tuple(table.columns)
    if features is None:
        names = tuple(name for name in known if name not in (target, weight))
        if not names:
            raise DataError(f"'{table.path}' has no column beside the target {target!r}. Add a feature.")
        return names
    names = tuple(features)
    if not names:
        raise ConfigError("The list of features is empty. Leave it out for all columns.")
    if len(set(names)) < len(names):
        raise ConfigError(f"A feature is named twice: {', '.join(names)}.")
    if target in names:
        raise ConfigError(f"{target!r} is named as a feature and as the target.")
    if weight in names:
        raise ConfigError(f"{weight!r} is named as a feature and as the weight.")
    for name in names:
        if name not in known:
            raise DataError(f"'{table.path}' has no column {name!r}. {nearest(name, known)}")
    return names


# From cells to tensors


def _features(table: Table, names: tuple[str, ...]) -> Tensor:
    if table.block is None:
        return torch.from_numpy(np.stack([_numbers(table.columns[name]) for name in names], axis=1))
    if table.block.dtype == torch.uint8 or names == table.block_names:
        return table.block
    return table.block[:, [table.block_names.index(name) for name in names]]


def _labels(column: Column, task: str, names: tuple[str, ...] | None) -> tuple[list[str], tuple[str, ...]] | None:
    """Returns the label of each row, and all labels in order; None for a real target. `names`: an npz's classes."""
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
    # digits beyond 2**53 are kept: a float would make two labels one
    labels = [str(_whole(cell)) for cell in column.values.tolist()]
    order = tuple(sorted(set(labels), key=int))
    if task == "auto" and len(order) > MANY:
        raise DataError(
            f"Column {column.name!r} holds {len(order)} different whole numbers: many for classes. "
            f"Say which it is: task='classes' or task='real'."
        )
    return labels, order


def _indices(
    column: Column, labels: list[str], order: tuple[str, ...], classes: Sequence[str] | None, required: bool
) -> tuple[Tensor, tuple[str, ...]]:
    """Returns labels as indices into `classes`, where a model knows them, else into `order`."""
    if classes is None and required and len(order) < 2:
        raise DataError(
            f"Expected two classes or more; column {column.name!r} holds {order[0]!r} only. "
            f"Name another target, or say task='real'."
        )
    known = order if classes is None else tuple(classes)
    allowed = set(known)
    for row, label in enumerate(labels):
        if label not in allowed:
            raise DataError(f"{_where(column, row)}: expected a known class; got {label!r}. {nearest(label, known)}")
    return encode(labels, known)


def _is_text(column: Column, mixed: bool) -> bool:
    """Whether a column of text holds labels and not numbers. `mixed`: text beside numbers is accepted, as labels."""
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
    """Returns the column as finite float64, or raises an error that names the first cell which is not."""
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


def _whole(cell: str | float) -> int:
    """Returns a whole number with all its digits."""
    if isinstance(cell, str) and not cell.lstrip("+-").isdecimal():
        cell = float(cell)  # 1e3, or 2.0
    return int(cell)


def _not_a_number(cell: str) -> str:
    if not cell:
        return "expected a number; the cell is empty. Drop the row or fill it in."
    hint = "Mend the cell, or leave the column out of the features."
    digits = cell.lstrip("+-")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", digits):
        hint = f"Write {cell.replace(',', '')} if the comma separates thousands"
        hint += f", or {cell.replace(',', '.')} if it is a decimal comma." if cell.count(",") == 1 else "."
    elif re.fullmatch(r"\d*,\d+", digits):
        hint = f"Write the decimal point as a point: {cell.replace(',', '.')}."
    return f"expected a number; got {cell[:40]!r}. {hint}"


def _where(column: Column, row: int | np.integer) -> str:
    return f"{column.place(int(row))}, column {column.name!r}"


# CSV


def _read_csv(path: Path) -> Table:
    try:
        text = files.read_bytes(path, "a table", LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(
            f"'{path}' is not text in UTF-8: byte {problem.object[problem.start]:#04x} at {problem.start}. "
            f"Save it as CSV in UTF-8 (a spreadsheet's own format is not CSV)."
        ) from problem
    rows, lines = _parse(path, text) if text.strip() else ([], [])
    if not rows:
        raise DataError(f"'{path}' is empty.")
    header = rows.pop(0)
    lines.pop(0)
    _check_header(path, header)
    if not rows:
        raise DataError(f"'{path}' has no rows under its header.")

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
    """Returns the rows of cells, stripped, and the line that each begins on. Blank lines are left out."""
    delimiter = _delimiter(text)
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


def _delimiter(text: str) -> str:
    """Finds the delimiter: the character that splits the first rows like the header, into most numbers.

    `temp, C;kind` over `1,0;2` has two cells a row with a comma as with a semicolon; but `0;2` is not a number, and
    `1,0` is one with a decimal comma.
    """
    lines = text[:SNIFFED].strip().splitlines()[:20]

    def merit(sign: str) -> tuple[bool, float, float, int]:
        try:
            header, *body = csv.reader(lines, delimiter=sign, skipinitialspace=True)
        except csv.Error:
            return False, 0.0, 0.0, 0
        alike = [cells for cells in body if len(cells) == len(header)]
        cells = [cell for row in alike for cell in row]
        numbers = sum(_is_number(cell if sign == "," else cell.replace(",", ".", 1)) for cell in cells)
        return len(header) > 1, len(alike) / max(1, len(body)), numbers / max(1, len(cells)), len(header)

    return max(DELIMITERS, key=merit)


def _check_header(path: Path, header: list[str]) -> None:
    if all(_is_number(name) for name in header):
        raise DataError(
            f"Expected a header row of column names; the first line of '{path}' holds numbers only "
            f"({', '.join(header[:3])}{', …' if len(header) > 3 else ''}). Put the names above it."
        )
    seen: set[str] = set()
    for index, name in enumerate(header):
        if not name:
            raise DataError(
                f"Column {index + 1} of '{path}' has no name. Name it, or leave it out (pandas: to_csv(index=False))."
            )
        if name in seen:
            raise DataError(
                f"{name!r} is the name of two columns, {header.index(name) + 1} and {index + 1} of '{path}'."
            )
        seen.add(name)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(_number(cell))
    except ValueError:
        return False


# npz


def _read_npz(path: Path, test: bool) -> Table:
    arrays = _arrays(path)
    if not arrays:
        raise DataError(f"'{path}' does not contain arrays.")
    arrays = _part(arrays, test)
    block_key = next((key for key in FEATURES if key in arrays and arrays[key].ndim != 1), None)
    names = arrays.pop("feature_names", None)
    classes = arrays.pop("classes", None)
    for key, listed in (("feature_names", names), ("classes", classes)):
        if listed is not None and listed.ndim != 1:
            raise ShapeError(f"{key!r} in '{path}' is a list of names; got shape {listed.shape}.")
    block = None if block_key is None else _block(path, block_key, arrays.pop(block_key))
    for key, array in arrays.items():
        if array.ndim == 1:
            continue
        if key in TARGETS and array.ndim == 2:
            hint = f"{key}.squeeze(1)" if array.shape[1] == 1 else f"{key}.argmax(1), if its rows are one-hot"
            raise ShapeError(f"{key!r} in '{path}' has shape {array.shape}, not (samples,). Save {hint}.")
        raise ShapeError(
            f"'{path}' has {key!r} of shape {array.shape}, which is not a column. Call the features "
            f"{' or '.join(map(repr, FEATURES))}, and the targets {' or '.join(map(repr, TARGETS))}; all other arrays "
            f"have shape (samples,)."
        )

    lengths = {key: len(array) for key, array in arrays.items()}
    if block is not None and block_key is not None:
        lengths = {block_key: block.shape[0], **lengths}
    first = next(iter(lengths))
    for key, length in lengths.items():
        if length != lengths[first]:
            raise DataError(
                f"The arrays of '{path}' differ in length: {first!r} has {lengths[first]} rows and {key!r} {length}."
            )
    if lengths[first] == 0:
        raise DataError(f"'{path}' has no rows.")

    def place(row: int) -> str:
        return f"'{path}', row {row + 1}"

    columns = {key: Column(key, array, place) for key, array in arrays.items()}
    default: str | None = next((key for key in TARGETS if key in arrays), None)
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


def _part(arrays: dict[str, np.ndarray], test: bool) -> dict[str, np.ndarray]:
    """Returns the arrays of one part, for an archive with `X_train`, `y_train`, and perhaps `X_test`, `y_test`."""
    if not any(key in FEATURES and key.endswith("_train") for key in arrays):
        return arrays
    wanted, other = ("_test", "_train") if test else ("_train", "_test")
    chosen = {key.removesuffix(wanted): array for key, array in arrays.items() if not key.endswith(other)}
    return {f"{key}_train" if f"{key}_train" in FEATURES + TARGETS else key: array for key, array in chosen.items()}


def has_test_part(path: str | PathLike[str]) -> bool:
    """Whether an npz archive holds a training and a test part, `X_train` beside `X_test`."""
    with files.open_zip(files.check_exists(path, "a table")) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    return any(f"{x}_train" in names and f"{x}_test" in names for x in ("X", "x"))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns all arrays of the archive: numbers or text, in the machine's byte order. Never unpickles."""
    arrays = {}
    with files.open_zip(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                raise DataError(f"'{path}' holds {info.filename!r}, which is not an array. Save it with numpy.savez.")
            array = read_array(files.read_member(archive, info), f"{path}/{info.filename}")
            if array.dtype.kind == "S":
                array = decode_bytes(array, str(path))
            elif array.dtype.kind == "U":
                check_text(array, str(path))
            if array.dtype.kind not in "fiubU":
                raise DataError(
                    f"'{path}' holds {array.dtype} in {info.filename!r}, which is neither numbers nor text."
                )
            name = info.filename.removesuffix(".npy")
            arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays


def _block(path: Path, key: str, array: np.ndarray) -> Tensor:
    """Returns (samples, features), float32 or float64, or uint8 images."""
    if array.dtype.kind == "U":
        raise DataError(
            f"{key!r} of '{path}' holds text, not numbers. Encode it as numbers, or leave it out of the features."
        )
    if array.dtype == np.uint8 and array.ndim == 3:
        array = array[..., None]  # grey images
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
