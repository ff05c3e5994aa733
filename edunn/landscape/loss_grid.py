"""A loss on a grid of two coordinates: values, derivatives, and the field they were computed from."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import torch
from torch import Tensor

from .. import errors
from . import methods
from .planes import JET, Field


@dataclass(frozen=True, eq=False, repr=False)
class LossGrid:
    """The values of a loss on a grid, `values[i, j]` at (first[i], second[j]), with the two coordinates' `names`.

    Minima, plateaus, convexity and basins are functions of it (`minima`, `analysis`, `basins`); they need its
    `field`, which a grid that was loaded from a file does not have. `jet` is not None if the derivatives were computed
    with the values.
    """

    first: Tensor
    second: Tensor
    values: Tensor
    names: tuple[str, str]
    _: KW_ONLY
    field: Field | None = None
    jet: Tensor | None = None  # (6, …): value, gradient and Hessian

    @cached_property
    def derivatives(self) -> Tensor:
        """The value, gradient and Hessian over the grid, (6, len(first), len(second)): value, a, b, aa, ab, bb."""
        return self.jets(2)

    @cached_property
    def gradient(self) -> Tensor:
        """The gradient along the two coordinates, (2, len(first), len(second)). It needs no second derivative."""
        both = self.jet is not None or self.known("its gradient").order_in_one_pass == 2
        return (self.derivatives if both else self.jets(1))[1:3]

    def jets(self, order: int) -> Tensor:
        """Returns the values and derivatives up to `order` over the grid: the stored jet, or one computed by `auto`."""
        if self.jet is not None and len(self.jet) >= JET[order]:
            jet = self.jet[: JET[order]]
        else:
            jet = self.known("its derivatives").to(self.values.dtype).values(self.first, self.second, order)[0]
        a, b = self.free
        varies = torch.tensor([True, a, b, a, a and b, b][: len(jet)], device=jet.device).view(-1, 1, 1)
        return torch.where(varies, jet, 0.0)

    @property
    def lowest(self) -> dict[str, float]:
        """The least value on the grid, and where it is."""
        index = methods.least(self.values)
        i, j = divmod(index, len(self.second))
        return self.point(float(self.first[i]), float(self.second[j]), float(self.values[i, j]))

    @property
    def not_finite(self) -> int:
        """The number of values that are inf or nan. Figures leave them out and say so."""
        return int((~self.values.isfinite()).sum())

    @property
    def reach(self) -> float:
        """The largest absolute value of the first coordinate."""
        return float(self.first.abs().max())

    def cut(self, second: float) -> Tensor:
        """Returns the curve along the first coordinate at the grid's value nearest to `second`."""
        return self.values[:, int((self.second - second).abs().argmin())]

    def known(self, what: str) -> Field:
        """Returns the field, or raises an error that says that `what` needs one and how to get it."""
        if self.field is None:
            raise errors.DataError(
                f"This surface was loaded from a file and has values alone; {what} needs the data. Compute it again "
                f"with edunn.landscape.grid or plane."
            )
        return self.field

    @property
    def free(self) -> tuple[bool, bool]:
        """Which coordinates vary: one whose axis is a single value is fixed, and the grid is a curve."""
        return len(self.first) > 1, len(self.second) > 1

    def problem(self, what: str) -> Field:
        """Returns the field in float64 as a function of the coordinates that vary: on a curve, of one variable."""
        first, second = (
            None if varies else float(axis[0])
            for varies, axis in zip(self.free, (self.first, self.second), strict=True)
        )
        return self.known(what).to(torch.float64).held(first, second)

    def point(self, first: float, second: float, loss: float) -> dict[str, float]:
        return {self.names[0]: first, self.names[1]: second, "loss": loss}
