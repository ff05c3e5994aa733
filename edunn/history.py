"""The history of a training run: losses and metrics epoch by epoch, and how the run ended."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from .errors import DataError, nearest
from .results import Plots, Record, Table, cell
from .runtime import schema
from .runtime.files import read_file, strict, write_atomically
from .runtime.guesses import public

__all__ = [
    "STATUSES",
    "History",
]
__getattr__, __dir__ = public(__name__, __all__)

LARGEST = 128 * 2**20  # bytes of a file: some million epochs
STATUSES = {
    "finished": "all epochs (or steps) were run",
    "converged": "the loss of the whole training set changed by less than the tolerance",
    "stopped": "the validation loss did not improve for `patience` evaluations; the best weights were put back",
    "diverged": "the loss was no longer finite",
    "interrupted": "the run was interrupted; it can be resumed",
}


# What others call a column, by our name.
COLUMNS = {"val_loss": "validation_loss", "val_accuracy": "validation_accuracy", "val_r2": "validation_r2",
           "acc": "accuracy", "val_acc": "validation_accuracy", "lr": "rate", "train_loss": "loss"}  # fmt: skip


class HistoryPlots(Plots):
    """The figures of a history: see `edunn.figures.loss_curves` and `accuracy_curves` for their options."""

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draws the loss over the epochs."""
        return self.loss(ax, **options)

    def loss(self, ax: Any = None, **options: Any) -> Any:
        """Draws the loss over the epochs. Returns the Axes."""
        from .figures import loss_curves

        return loss_curves(self._result, ax, **options)

    def accuracy(self, ax: Any = None) -> Any:
        """Draws the accuracy, or R² of a regression, over the epochs. Returns the Axes."""
        from .figures import accuracy_curves

        return accuracy_curves(self._result, ax)


@dataclass(frozen=True, repr=False)
class History(Record):
    """The record of a training run: one row an epoch, counted from 1, and how the run ended.

    Columns: `epoch`, `step` (updates so far), `rate`, `running` (the mean of the batch losses during the epoch, penalty
    included), and after each evaluated epoch, with the weights at its end: `loss` (data), `penalty`,
    `total`, and the model's metric (`accuracy` or `r2`) of the whole training part, and `validation_loss`,
    `validation_accuracy` (or `validation_r2`) of the validation part. A column without a value in an epoch is nan
    there.

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

    HINTS: ClassVar = {
        "history": "Its columns are history['loss'] and so on; history.columns lists them.",
        "losses": "The losses are history['loss'], after each epoch, and history['running'], of the batches.",
        "loss": "The losses are history['loss'], after each epoch, and history['running'], of the batches.",
        "val_loss": "It is history['validation_loss'].",
        "params": "The parameters are the model's: model.named_parameters().",
    }

    @property
    def plot(self) -> HistoryPlots:
        """The figures: `plot()` or `plot.loss()`, and `plot.accuracy()`."""
        return HistoryPlots(self)

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
        column = column if column in self.columns else COLUMNS.get(column, column)
        if column not in self.columns:
            raise DataError(f"The history has no column {column!r}. {nearest(column, self.columns)}")
        return [row.get(column, math.nan) for row in self.rows]

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def evaluated(self, column: str) -> tuple[list[int], list[float]]:
        """Returns the epochs that have the column, and its values there: the points of a curve."""
        rows = [row for row in self.rows if column in row]
        return [int(row["epoch"]) for row in rows], [row[column] for row in rows]

    def last(self, column: str) -> float | None:
        """Returns the last recorded value of a column, or None."""
        values = self.evaluated(column)[1]
        return values[-1] if values else None

    def table(self) -> Table:
        """Returns one row an epoch, and the ending as a note."""
        return Table.of(self.rows, self.columns, f"{self.status}: {self.message}")

    def __repr__(self) -> str:
        """Returns the epochs, the ending, and the last value of each loss and metric."""
        columns = [name for name in self.columns if name not in ("epoch", "step", "rate")]
        last = ", ".join(f"{name} {cell(self.last(name))}" for name in columns)
        return f"History of {self.epochs} epochs, {self.steps} steps; {self.status}: {self.message}\n  last {last}"

    def save(self, path: str | Path) -> None:
        """Writes the history as JSON lines: one line an epoch, and a last one that says how it ended."""
        end = self.as_dict()
        lines = [*end.pop("rows"), {"end": end}]
        write_atomically(path, "".join(json.dumps(strict(line)) + "\n" for line in lines))

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Reads a file that `save` wrote. Snapshots are not in it: a run's folder has a separate file for them."""
        try:
            *lines, last = read_file(path, LARGEST).decode().splitlines()
            end = schema.parse(last, {"end": schema.END}, "the last line")["end"]
            if end["status"] not in STATUSES:
                raise ValueError(f"there is no status {end['status'][:40]!r}")
            read = [schema.parse(line, schema.ROW, f"line {number}") for number, line in enumerate(lines, 1)]
            rows = tuple({k: math.nan if v is None else v for k, v in row.items()} for row in read)
            return cls(rows=rows, **end)
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{path} cannot be read as a history written by edunn: {reason}.") from None

    def save_csv(self, path: str | Path) -> None:
        """Writes the rows as CSV, for a spreadsheet."""
        write_atomically(path, self.table().csv())
