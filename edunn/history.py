"""What a run recorded, epoch by epoch, and how it ended."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import DataError, RunError, nearest

STATUSES = {
    "finished": "all epochs (or steps) were run",
    "converged": "the loss of the whole training set changed by less than the tolerance",
    "stopped": "the validation loss did not improve for `patience` evaluations; the best weights were put back",
    "diverged": "the loss was no longer finite",
    "interrupted": "the run was interrupted; it can be resumed",
}


@dataclass(frozen=True)
class History:
    """One row an epoch, counted from 1, and the way it ended.

    Columns: `epoch`, `step` (updates so far), `rate`, `running` (the mean of the batch losses as they were met, penalty
    included), and after epochs that were evaluated, with the weights as the epoch left them: `loss` (data), `penalty`,
    `total`, and the model's metric (`accuracy` or `r2`) of the whole training part, and `validation_loss`,
    `validation_accuracy` (or `validation_r2`) of the validation part. A column that an epoch lacks is nan.

    `history["loss"]` is a column as a list; `len(history)` the number of epochs.
    """

    rows: tuple[dict[str, float], ...]
    status: str
    message: str
    steps: int
    seconds: float
    metric: str = "accuracy"
    stable_rate: float | None = None
    best_epoch: int | None = None
    # (step, parameters) every `snapshots` steps: what a path on a surface is drawn from; saved apart, as tensors
    snapshots: tuple[tuple[int, dict[str, Tensor]], ...] = field(default=(), repr=False, compare=False)

    @property
    def epochs(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        names: dict[str, None] = {}
        for row in self.rows:
            names.update(dict.fromkeys(row))
        return list(names)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        if column not in self.columns:
            raise DataError(f"Expected a column of the history; got {column!r}. {nearest(column, self.columns)}")
        return [row.get(column, math.nan) for row in self.rows]

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def evaluated(self, column: str) -> tuple[list[int], list[float]]:
        """The epochs that have the column, and its values there: what a curve is drawn from."""
        rows = [row for row in self.rows if column in row]
        return [int(row["epoch"]) for row in rows], [row[column] for row in rows]

    def last(self, column: str) -> float | None:
        """The last recorded value of a column; None where there is none."""
        values = self.evaluated(column)[1]
        return values[-1] if values else None

    def __str__(self) -> str:
        return f"{table(self.columns, self.rows)}\n{self.status}: {self.message}"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in self.columns)
        shown, skipped = head_and_tail(self.rows)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell(row.get(name))}</td>" for name in self.columns) + "</tr>" for row in shown
        )
        note = f"<p>{skipped} rows in the middle left out.</p>" if skipped else ""
        return f"<table><tr>{head}</tr>{body}</table>{note}<p>{self.status}: {self.message}</p>"

    def save(self, path: str | Path) -> None:
        """Writes the history as JSON lines: one line an epoch, and a last one that says how it ended."""
        end = {k: v for k, v in asdict(self).items() if k not in ("rows", "snapshots")}
        lines = [*self.rows, {"end": end}]
        write_atomically(path, "".join(json.dumps(strict(line)) + "\n" for line in lines))

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Reads what `save` wrote (the snapshots are kept beside it, by the run)."""
        try:
            lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
            end = lines.pop()["end"]
            rows = tuple({k: math.nan if v is None else v for k, v in row.items()} for row in lines)
            return cls(rows=rows, **end)
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise DataError(f"Expected a history written by edunn in {path}; it cannot be read: {error}.") from None

    def save_csv(self, path: str | Path) -> None:
        """The rows as CSV, for a spreadsheet."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(path, text.getvalue())


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Writes under a temporary name beside the file and renames: a reader sees all of it or none."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise RunError(f"Expected to write {path}; {getattr(error, 'strerror', None) or error}.") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def strict(value: Any) -> Any:
    """A value as strict JSON has it: a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def head_and_tail(rows: tuple[dict[str, float], ...], most: int = 20) -> tuple[list[dict[str, float]], int]:
    """The first and the last rows of a long table, and how many lie between."""
    if len(rows) <= most:
        return list(rows), 0
    return [*rows[: most // 2], *rows[-(most // 2) :]], len(rows) - most


def cell(value: float | None) -> str:
    """A number as a table shows it."""
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e9 else f"{value:.6g}"


def table(columns: list[str], rows: tuple[dict[str, float], ...]) -> str:
    """Columns under their names, right-aligned; the middle of a long table is left out."""
    shown, skipped = head_and_tail(rows)
    cells = [[cell(row.get(name)) for name in columns] for row in shown]
    widths = [max(len(name), *(len(line[i]) for line in cells), 1) for i, name in enumerate(columns)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells]
    if skipped:
        lines.insert(len(lines) // 2, f"… {skipped} more …")
    return "\n".join(["  ".join(name.rjust(width) for name, width in zip(columns, widths, strict=True)), *lines])
