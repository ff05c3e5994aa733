"""The surface of a loss over two coordinates: its values, how they were computed, and its readings."""

from __future__ import annotations

import io
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..data import files
from ..results import Record, Table
from ..runtime.files import strict, write_atomically
from . import analysis, methods
from .loss_grid import LossGrid
from .planes import Field
from .plots import SurfacePlots
from .report import Report, report


@dataclass(frozen=True, eq=False, repr=False)
class Surface(LossGrid, Record):
    """Values of a loss on a grid: `values[i, j]` at (first[i], second[j]).

    `first` and `second` are the coordinates, called `names` (w and b for one feature, else a and b). `method` is how
    the values were computed and `error` how far they are from `direct` in float64 at 64 probe points or more, relative
    to the largest loss there. `notes` name every choice that the caller left open. It prints as a table, saves to
    npz and loads back.

    Minima, plateaus, convexity and basins need the loss itself and not only its values: they need the
    surface's `field`, which one that was loaded from a file does not have.
    """

    loss: str
    method: str
    error: float
    seconds: float
    notes: tuple[str, ...] = ()

    HINTS: ClassVar = {
        "shape": "Its values are surface.values, (len(first), len(second)).",
        "min": "The least value and its place are surface.lowest; minima are surface.minima().",
        "z": "Its values are surface.values, (len(first), len(second)).",
        "loss_values": "Its values are surface.values, (len(first), len(second)).",
        "hessian": "Value, gradient and Hessian are surface.derivatives, (6, len(first), len(second)).",
    }

    def minima(self) -> list[dict[str, Any]]:
        """Returns the grid's local minima, polished and classified: see `minima.minima`."""
        return analysis.minima(self)

    def plateaus(self, *thresholds: float) -> dict[str, float]:
        """Returns the share of grid points whose gradient norm along the coordinates is below each threshold."""
        return analysis.plateaus(self, thresholds or (1e-3, 1e-6))

    def convex(self) -> bool | None:
        """Returns whether the loss is convex along the plane: True, False, or None if unknown."""
        return analysis.convexity(self).convex

    def smallest_curvature(self) -> dict[str, float] | None:
        """Returns the smallest curvature over the window with its place: see `analysis.convexity`."""
        return analysis.convexity(self).smallest

    def basins(self, rate: float = 1.0, steps: int = 1000) -> analysis.Basins:
        """Runs gradient descent from every grid point at once: see `basins.basins`."""
        return analysis.basins(self, rate, steps)

    def condition(self) -> tuple[float, str | None]:
        """Returns the condition number of the Hessian at the lowest point, and a hint if x should be standardised."""
        return analysis.condition(self)

    @property
    def plot(self) -> SurfacePlots:
        """The figures: `plot()` or `plot.surface()`, `plot.contour(path=history)`, `plot.cuts()`, …"""
        return SurfacePlots(self)

    # ---- as text, and to and from a file -----------------------------------------------------------------------------

    def report(
        self,
        basins: bool = False,
        rate: float = 1.0,
        steps: int = 1000,
        plateaus: tuple[float, ...] = (1e-3, 1e-6),
    ) -> Report:
        """Returns all readings in one record, for a table, figures or JSON: see `report.Report`."""
        return report(self, basins, rate, steps, plateaus)

    def table(self) -> Table:
        """Returns a table of the axes, how the values were computed, and their range."""
        finite = self.values[self.values.isfinite()]
        rows = []
        for name, axis in zip(self.names, (self.first, self.second), strict=True):
            rows.append((name, f"{float(axis[0]):g} … {float(axis[-1]):g}, {len(axis)} point{'s' * (len(axis) != 1)}"))
        rows.append(("method", f"{self.method}, {self.seconds:.3g} s"))
        rows.append(("error", f"{self.error:.2g} against direct in float64 at {methods.PROBES} points or more"))
        if len(finite):
            low = self.lowest
            where = ", ".join(f"{name} = {low[name]:.6g}" for name in self.names)
            rows.append(("lowest", f"{low['loss']:.10g} at {where}"))
            rows.append(("highest", f"{float(finite.max()):.10g}"))
        if self.not_finite:
            rows.append(("not finite", f"{self.not_finite} of {self.values.numel()} points"))
        rows += [("note", note) for note in self.notes]
        return Table(("loss", self.loss), tuple(rows))

    def to_pandas(self) -> Any:
        """Returns the values as a DataFrame: a row for each value of the first coordinate, a column of the second."""
        import pandas

        rows, columns = (
            pandas.Index(axis.tolist(), name=name)
            for name, axis in zip(self.names, (self.first, self.second), strict=True)
        )
        return pandas.DataFrame(self.values.cpu().numpy(), rows, columns)

    def as_dict(self) -> dict[str, Any]:
        """Returns for JSON how the values were computed and where they are lowest; `save` writes the values."""
        return {
            "method": self.method,
            "error": self.error,
            "seconds": self.seconds,
            "min": self.lowest,
            "not_finite": self.not_finite,
            "notes": list(self.notes),
        }

    def save(self, path: str | Path) -> None:
        """Writes the coordinates under their names, `values`, and `about` (JSON: loss, method, error, …), as npz."""
        about = {"names": list(self.names), "loss": self.loss, "method": self.method, "error": self.error,
                 "seconds": self.seconds, "notes": list(self.notes)}  # fmt: skip
        arrays = {
            self.names[0]: self.first.cpu().numpy(),
            self.names[1]: self.second.cpu().numpy(),
            "values": self.values.cpu().numpy(),
            "about": np.array(json.dumps(strict(about))),
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise errors.DataError(f"The surface cannot be written to {path}: {error.strerror}.") from None

    @classmethod
    def load(cls, path: str | Path) -> Surface:
        """Reads a surface from a file that `save` wrote."""
        files.open_zip(files.check_exists(path, "a surface")).close()  # raises for what unpacks to too much
        try:
            with np.load(path, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                names = (str(about["names"][0]), str(about["names"][1]))
                first, second, values = (torch.from_numpy(arrays[key]) for key in (*names, "values"))
            if not all(t.dtype.is_floating_point for t in (first, second, values)) or first.ndim != 1 or not len(first):
                raise ValueError(f"an axis of shape {tuple(first.shape)}, in {first.dtype}")
            if second.ndim != 1 or not len(second) or tuple(values.shape) != (len(first), len(second)):
                raise ValueError(f"values {tuple(values.shape)} for axes of {len(first)} and {len(second)} points")
            error = math.nan if about["error"] is None else float(about["error"])
            notes = tuple(map(str, about.get("notes", ())))
            return cls(first, second, values, names, about["loss"], about["method"], error, about["seconds"], notes)
        except Exception as problem:  # numpy reads what a damaged file says, and can raise anything
            raise errors.DataError(f"{path} cannot be read as a surface that edunn wrote: {problem}.") from None


@torch.no_grad()
def compute(
    field: Field,
    first: Tensor,
    second: Tensor,
    method: str = "auto",
    order: int = 0,
    loss: str | None = None,
    notes: tuple[str, ...] = (),
    dtype: torch.dtype | None = None,
) -> Surface:
    """Computes a field on the grid first × second, and returns the surface with its measured error.

    If the error is too large, a slower and more exact method is used where there is one, and a note says so.
    """
    start = time.perf_counter()
    dtype = dtype or field.dtype
    if dtype not in methods.POOR:
        name = str(dtype).removeprefix("torch.")
        raise errors.ConfigError(f"A surface is computed in float32 or float64; got {name}. Take dtype=torch.float32.")
    jet, used = field.values(first, second, order, method, dtype)
    error = methods.measured_error(field, first, second, jet[0])
    for way, precision in methods.ways_out(field, first, second, dtype, method, used):
        if error <= methods.POOR[dtype]:
            break
        again, other = field.values(first, second, order, way, precision)
        again = again.to(dtype)
        better = methods.measured_error(field, first, second, again[0])
        if better < error / 2:
            how = f"{other} in {str(precision).removeprefix('torch.')}"
            notes += (f"{used} was off by {error:.2g}; computed again by {how}",)
            jet, used, error = again, other, better
    return Surface(
        first=first,
        second=second,
        values=jet[0],
        names=field.names,
        loss=loss or field.about,
        method=used,
        error=error,
        seconds=time.perf_counter() - start,
        notes=notes,
        field=field,
        jet=jet if order == 2 else None,
    )
