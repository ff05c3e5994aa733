"""The surface of a loss over two coordinates: its values, how they were computed, and its readings."""

from __future__ import annotations

import io
import json
import math
import time
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..results import Table
from ..runtime.files import strict, write_atomically
from . import methods
from .planes import JET, Field, Plane


@dataclass(frozen=True, eq=False, repr=False)
class Surface:
    """Values of a loss on a grid: `values[i, j]` at (first[i], second[j]).

    `first` and `second` are the coordinates, called `names` (w and b for one feature, else a and b). `method` is how
    the values were computed and `error` how far they are from `direct` in float64 at 64 probe points, relative to the
    largest loss there. It prints as a table, saves to npz and loads back.

    Minima, plateaus, convexity and basins need the loss itself and not only its values: a surface has them as long as
    it knows its `field`. A surface that was loaded from a file does not.
    """

    first: Tensor
    second: Tensor
    values: Tensor
    names: tuple[str, str]
    loss: str
    method: str
    error: float
    seconds: float
    field: Field | None = None
    jet: Tensor | None = None  # (6, …) value, gradient and Hessian, if one pass computed all

    # ---- readings ----------------------------------------------------------------------------------------------------

    @cached_property
    def derivatives(self) -> Tensor:
        """Value, gradient and Hessian over the grid, (6, len(first), len(second)): value, a, b, aa, ab, bb."""
        return self.jets(2)

    @cached_property
    def gradient(self) -> Tensor:
        """The gradient field along the two coordinates, (2, len(first), len(second))."""
        with_hessian = isinstance(self.field, Plane) and self.field.one_feature  # in the same pass where it is cheap
        return (self.derivatives if with_hessian or self.jet is not None else self.jets(1))[1:3]

    def jets(self, order: int) -> Tensor:
        """Returns the jet over the grid: the stored one, or one computed by the cheapest method."""
        if self.jet is not None and len(self.jet) >= JET[order]:
            return self.jet[: JET[order]]
        field = self.known("its derivatives")
        if isinstance(field, Plane):
            return methods.evaluate(field, self.first, self.second, order, "auto")[0]
        points = torch.cartesian_prod(self.first, self.second).view(-1, 2)
        jets = field.split(lambda some: field.at(some, order), points, 1)
        return jets.view(JET[order], *self.values.shape)

    @property
    def lowest(self) -> dict[str, float]:
        """The least value on the grid, and its place: {w, b, loss}."""
        index = methods.least(self.values)
        i, j = divmod(index, len(self.second))
        return self.point(float(self.first[i]), float(self.second[j]), float(self.values[i, j]))

    @property
    def not_finite(self) -> int:
        """How many values are inf or nan: figures leave them out and say so."""
        return int((~self.values.isfinite()).sum())

    def minima(self) -> list[dict[str, Any]]:
        """Returns the grid's local minima, polished and classified: see `minima.minima`."""
        from . import analysis

        return analysis.minima(self)

    def plateaus(self, *thresholds: float) -> dict[str, float]:
        """Returns the share of grid points whose gradient norm along the coordinates is below each threshold."""
        from . import analysis

        return analysis.plateaus(self, thresholds or (1e-3, 1e-6))

    def convex(self) -> bool | None:
        """Returns whether the loss is convex along the plane: True, False, or None if unknown."""
        from . import analysis

        return analysis.convexity(self).convex

    def smallest_curvature(self) -> dict[str, float] | None:
        """The smallest eigenvalue of the Hessian over the window, and where; None for a loss without a Hessian."""
        from . import analysis

        return analysis.convexity(self).smallest

    def basins(self, rate: float = 1.0, steps: int = 1000) -> Any:
        """Runs gradient descent from every grid point at once: see `basins.basins`."""
        from . import analysis

        return analysis.basins(self, rate, steps)

    def condition(self) -> tuple[float, str | None]:
        """The condition number of the Hessian at the lowest point, and a hint where x should be standardised."""
        from . import analysis

        return analysis.condition(self)

    def cut(self, second: float) -> Tensor:
        """The curve of the first coordinate at the grid's value nearest to `second`."""
        return self.values[:, int((self.second - second).abs().argmin())]

    def known(self, what: str) -> Field:
        """Returns the field. Raises DataError if the surface was loaded from a file."""
        if self.field is None:
            raise errors.DataError(
                f"This surface was loaded from a file: it holds values, and not the data needed for {what}. "
                f"Compute it again with edunn.landscape.grid or plane."
            )
        return self.field

    def point(self, first: float, second: float, loss: float) -> dict[str, float]:
        """Returns a point of the surface as a dictionary, by the names of the coordinates."""
        return {self.names[0]: first, self.names[1]: second, "loss": loss}

    # ---- as text, and to and from a file -----------------------------------------------------------------------------

    def report(
        self,
        basins: bool = False,
        rate: float = 1.0,
        steps: int = 1000,
        plateaus: tuple[float, ...] = (1e-3, 1e-6),
    ) -> Any:
        """Returns all readings in one record that prints, is drawn and becomes JSON: see `report.Report`."""
        from .report import report

        return report(self, basins, rate, steps, plateaus)

    def table(self) -> Table:
        """The loss, the axes, how the values were computed, and their range."""
        finite = self.values[self.values.isfinite()]
        rows = []
        for name, axis in zip(self.names, (self.first, self.second), strict=True):
            rows.append((name, f"{float(axis[0]):g} … {float(axis[-1]):g}, {len(axis)} point{'s' * (len(axis) != 1)}"))
        rows.append(("method", f"{self.method}, {self.seconds:.3g} s"))
        rows.append(("error", f"{self.error:.2g} against direct in float64 at {methods.PROBES} points"))
        if len(finite):
            low = self.lowest
            where = ", ".join(f"{name} = {low[name]:.6g}" for name in self.names)
            rows.append(("lowest", f"{low['loss']:.10g} at {where}"))
            rows.append(("highest", f"{float(finite.max()):.10g}"))
        if self.not_finite:
            rows.append(("not finite", f"{self.not_finite} of {self.values.numel()} points"))
        return Table(("loss", self.loss), tuple(rows))

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()

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
            raise errors.DataError(f"The surface cannot be written to {path}: {error.strerror}.") from None

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
            raise errors.DataError(f"{path} cannot be read as a surface that edunn wrote: {problem}.") from None


@torch.no_grad()
def compute(
    plane: Plane, first: Tensor, second: Tensor, method: str = "auto", order: int = 0, loss: str | None = None
) -> Surface:
    """The surface of a plane over a grid, with its measured error."""
    start = time.perf_counter()
    jet, used = methods.evaluate(plane, first, second, order, method)
    error = methods.measured_error(plane, first, second, jet[0])
    return Surface(
        first=first,
        second=second,
        values=jet[0],
        names=plane.names,
        loss=loss or described(plane),
        method=used,
        error=error,
        seconds=time.perf_counter() - start,
        field=plane,
        jet=jet if order == 2 else None,
    )


def described(plane: Plane) -> str:
    """Returns the loss and the number of samples, for people: `BinaryCrossEntropy, 60 samples`."""
    name = type(plane.loss).__name__
    through = getattr(plane.loss, "through", None)
    if through is not None and type(through).__name__ != "Identity":
        name += f" through {type(through).__name__}"
    if plane.penalty is not None:
        name += f" + {type(plane.penalty.penalty).__name__}"
    return f"{name}, {plane.samples:,} sample{'s' * (plane.samples != 1)}"
