"""A report: all readings of a surface in one record, for a table, figures or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..results import Record, Table
from . import analysis
from .analysis import Convexity
from .basins import Basins
from .loss_grid import LossGrid
from .planes import eigenvalues

SHOWN = 5  # minima that the table lists; `Report.minima` has all


@dataclass(frozen=True, eq=False, repr=False)
class Report(Record):
    """The readings of a surface, with remarks on what they mean and a hint.

    `surface.report(basins=True)` returns one. It prints as a table, also in a notebook, and `draw` draws it.

    minima : as `surface.minima()`, the lowest minimum first: w, b, loss, kind
    plateaus : the share of grid points whose gradient norm is below each threshold
    convexity : whether the loss is convex along the plane, how that is known, and the smallest curvature
    condition : λmax/λmin of the Hessian at the lowest point
    hint : how to lower the condition number, or None
    remarks : what a reader of the numbers should know, in sentences
    limits : of the curve L(w) at one b: `limit` and `slope` as w → −∞ (`minus`) and w → +∞ (`plus`); else None
    basins : where gradient descent ends from every grid point, if asked
    """

    surface: Any  # a `Surface`, which imports this module
    minima: tuple[dict[str, Any], ...]
    plateaus: dict[str, float]
    convexity: Convexity
    condition: float
    hint: str | None
    remarks: tuple[str, ...]
    limits: dict[str, dict[str, float | None]] | None = None
    basins: Basins | None = None

    @property
    def cuts(self) -> tuple[float, ...]:
        """Three values of the second coordinate at which to cut: 1/4, 1/2 and 3/4 of the window; one for a curve."""
        low, high = float(self.surface.second[0]), float(self.surface.second[-1])
        return (low,) if len(self.surface.second) == 1 else tuple(low + (high - low) * k for k in (0.25, 0.5, 0.75))

    def as_dict(self) -> dict[str, Any]:
        """Returns the report for JSON: numbers, strings, lists and dictionaries only."""
        result = self.surface.as_dict() | {
            "minima": list(self.minima),
            "plateau_fraction": self.plateaus,
            "convex": self.convexity.convex,
            "convex_by": self.convexity.by,
            "smallest_curvature": self.convexity.smallest,
            "condition": self.condition,
            "hint": self.hint,
            "note": "; ".join(self.remarks) or None,
        }
        if self.limits is not None:
            result["limits"] = self.limits
        if self.basins is not None:
            result["basins"] = self.basins.summary()
        return result

    def draw(self, **options: Any) -> dict[str, Any]:
        """Draws the report and returns the Axes by name (surface, contour, gradient, basins, cuts; or curve).

        The options are those of `figures.report_figures`: titles, at, path.
        """
        from ..figures import report_figures  # late: matplotlib loads when a figure is drawn

        return dict(report_figures({"": self}, **options))

    def table(self) -> Table:
        """Returns a table of the surface and its readings."""
        above = self.surface.table()
        return Table(above.columns, (*above.rows, *self.rows()))

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yields a row of the table for each reading."""
        for found in self.minima[:SHOWN]:
            yield found["kind"], f"{found['loss']:.10g} at {format_point(found, self.surface.names, 8)}"
        if len(self.minima) > SHOWN:
            yield "", f"and {len(self.minima) - SHOWN} more"
        if self.plateaus:
            shares = ", ".join(f"{share:.2%} below {threshold}" for threshold, share in self.plateaus.items())
            yield "plateaus", f"gradient norm: {shares}"
        answer = {True: "yes", False: "no", None: "unknown"}[self.convexity.convex]
        yield "convex", f"{answer} (by {self.convexity.by})"
        if self.basins is not None:
            end = f"{self.basins.best_fraction:.2%} end within 1e-3 of {self.basins.best_loss:.8g}"
            yield "basins", f"{end} (rate {self.basins.rate:g}, {self.basins.steps:,} steps)"
        for remark in self.remarks:
            yield "note", remark
        if self.hint is not None:
            yield "hint", self.hint

    def __str__(self) -> str:
        return self.table().text(None)


def report(
    surface: LossGrid,
    basins: bool = False,
    rate: float = 1.0,
    steps: int = 1000,
    plateaus: tuple[float, ...] = (1e-3, 1e-6),
) -> Report:
    """Returns all readings of a surface, which must know its data: one loaded from a file does not.

    Parameters
    ----------
    basins : also run gradient descent from every grid point, `steps` steps at `rate`
    plateaus : thresholds of the gradient norm
    """
    field = surface.known("its readings")
    minima = tuple(analysis.minima(surface))
    shares = analysis.plateaus(surface, plateaus)
    convexity = analysis.convexity(surface)
    condition, hint = analysis.condition(surface)
    found = analysis.basins(surface, rate, steps) if basins else None
    is_curve = field.feature is not None and len(surface.second) == 1
    return Report(
        surface=surface,
        minima=minima,
        plateaus=shares,
        convexity=convexity,
        condition=condition,
        hint=hint,
        remarks=(*remarks(surface, minima, field.flat), *too_large_a_rate(surface, minima, found)),
        limits=analysis.limits(surface) if is_curve else None,
        basins=found,
    )


def remarks(surface: LossGrid, minima: tuple[dict[str, Any], ...], flat: bool) -> Iterator[str]:
    """Yields sentences that explain the numbers; `flat` losses are constant between jumps."""
    if flat:
        yield "the gradient is 0 wherever the loss has one: every point is a plateau, and descent cannot move"
        return
    lowest = next((found for found in minima if found["kind"] == "minimum"), None)
    if lowest is None:
        if any(found["kind"] == "runaway" for found in minima):
            yield "the loss has no minimum here: it keeps falling towards infinity (separable data do that)"
        else:
            yield "no minimum was found from the lowest grid points"
    elif not lowest.get("flat") and outside(surface, lowest):
        at = format_point(lowest, surface.names, 5)
        yield f"the minimum lies outside this window, at {at}: widen the window to see it"


def too_large_a_rate(surface: LossGrid, minima: tuple[dict[str, Any], ...], basins: Basins | None) -> Iterator[str]:
    """Yields a sentence if descent at the basins' rate cannot stay at the lowest minimum: rate · λmax > 2 there."""
    lowest = next((found for found in minima if found["kind"] == "minimum"), None)
    if basins is None or lowest is None:
        return
    point = torch.tensor([[lowest[name] for name in surface.names]], dtype=torch.float64)
    _, largest = eigenvalues(surface.problem("its curvature").at(point, 2)[3:, 0].cpu(), surface.free)
    if basins.rate * float(largest) > 2:
        yield (
            f"descent at rate {basins.rate:g} cannot rest at the minimum: the largest stable rate there is 2/λmax = "
            f"{2 / float(largest):.4g}"
        )


def outside(surface: LossGrid, point: dict[str, Any]) -> bool:
    """Returns whether a point lies beyond the ends of an axis; an axis of one value has none."""
    for name, axis in zip(surface.names, (surface.first, surface.second), strict=True):
        low, high = float(axis[0]), float(axis[-1])
        slack = 1e-9 * (high - low)
        if len(axis) > 1 and not low - slack <= point[name] <= high + slack:
            return True
    return False


def format_point(point: dict[str, Any], names: tuple[str, str], digits: int) -> str:
    """Returns the coordinates of a point as text: w = 2, b = -1."""
    return ", ".join(f"{name} = {point[name]:.{digits}g}" for name in names)
