"""The surface of a loss over two coordinates: its values, how they were computed, and what can be read off them."""

from __future__ import annotations

import html
import io
import json
import math
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..runtime.files import strict, write_atomically
from . import analysis, methods
from .loss_grid import LossGrid
from .planes import Field


@dataclass(frozen=True, eq=False, repr=False)
class Surface(LossGrid):
    """Values of a loss on a grid: `values[i, j]` at (first[i], second[j]).

    `first` and `second` are the coordinates, called `names` (w and b for one feature, else a and b). `method` is how
    the values were computed and `error` how far they are from `direct` in float64 at 64 probe points, relative to the
    largest loss there. `notes` say what was chosen or done without being asked for. It prints as a table, saves to npz
    and loads back.

    What needs the loss itself and not only its values (minima, plateaus, convexity, basins) is there as long as the
    surface knows its `field`; a surface that was loaded from a file does not.
    """

    loss: str
    method: str
    error: float
    seconds: float
    notes: tuple[str, ...] = ()

    def minima(self) -> list[dict[str, Any]]:
        """The grid's local minima, polished and classed: see `analysis.minima`."""
        return analysis.minima(self)

    def plateaus(self, *thresholds: float) -> dict[str, float]:
        """The share of grid points whose gradient norm along the coordinates is below each threshold."""
        return analysis.plateaus(self, thresholds or (1e-3, 1e-6))

    def convex(self) -> bool | None:
        """Whether the loss is convex along the plane: True, False, or None when it cannot be told."""
        return analysis.convexity(self).convex

    def smallest_curvature(self) -> dict[str, float] | None:
        """The smallest curvature over the window, and where: see `analysis.convexity`."""
        return analysis.convexity(self).smallest

    def basins(self, rate: float = 1.0, steps: int = 1000) -> analysis.Basins:
        """Gradient descent from every grid point at once: see `analysis.basins`."""
        return analysis.basins(self, rate, steps)

    def condition(self) -> tuple[float, str | None]:
        """The condition number of the Hessian at the lowest point, and a hint where x should be standardised."""
        return analysis.condition(self)

    # ---- as text, and to and from a file -----------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, str]]:
        """What the table shows."""
        finite = self.values[self.values.isfinite()]
        lines = [("loss", self.loss)]
        for name, axis in zip(self.names, (self.first, self.second), strict=True):
            lines.append((name, f"{float(axis[0]):g} … {float(axis[-1]):g}, {len(axis)} points"))
        lines.append(("method", f"{self.method}, {self.seconds:.3g} s"))
        lines.append(("error", f"{self.error:.2g} against direct in float64 at {methods.PROBES} points"))
        if len(finite):
            low = self.lowest
            where = ", ".join(f"{name} = {low[name]:.6g}" for name in self.names)
            lines.append(("lowest", f"{low['loss']:.10g} at {where}"))
            lines.append(("highest", f"{float(finite.max()):.10g}"))
        if self.not_finite:
            lines.append(("not finite", f"{self.not_finite} of {self.values.numel()} points"))
        return lines + [("note", note) for note in self.notes]

    def __str__(self) -> str:
        return "\n".join(f"{name:<10}  {text}" for name, text in self.rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self.rows())
        return f"<table>{cells}</table>"

    def save(self, path: str | Path) -> None:
        """Writes the coordinates under their names, `values`, and `about` (JSON: loss, method, error, …), as npz."""
        about = {"names": list(self.names), "loss": self.loss, "method": self.method, "error": self.error,
                 "seconds": self.seconds}  # fmt: skip
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
            raise errors.DataError(f"Expected to write the surface to {path}; {error.strerror}.") from None

    @classmethod
    def load(cls, path: str | Path) -> Surface:
        """Reads what `save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                names = (str(about["names"][0]), str(about["names"][1]))
                first, second, values = (torch.from_numpy(arrays[key]) for key in (*names, "values"))
            if tuple(values.shape) != (len(first), len(second)):
                raise ValueError(f"values {tuple(values.shape)} for axes of {len(first)} and {len(second)} points")
            error = math.nan if about["error"] is None else float(about["error"])
            return cls(first, second, values, names, about["loss"], about["method"], error, about["seconds"])
        except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile) as problem:
            raise errors.DataError(
                f"Expected a surface written by edunn in {path}; it cannot be read: {problem}."
            ) from None


@torch.no_grad()
def compute(
    field: Field,
    first: Tensor,
    second: Tensor,
    method: str = "auto",
    order: int = 0,
    loss: str | None = None,
    notes: tuple[str, ...] = (),
) -> Surface:
    """The surface of a field over a grid, with its measured error."""
    start = time.perf_counter()
    jet, used = field.values(first, second, order, method)
    error = methods.measured_error(field, first, second, jet[0])
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
