"""What can be read off a surface: plateaus, convexity, conditioning; minima and basins have modules of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import ZeroOne
from . import methods
from .basins import Basins as Basins
from .basins import basins as basins
from .minima import minima as minima
from .modules import ModulePlane
from .planes import Plane
from .surface import Surface


def plateaus(surface: Surface, thresholds: tuple[float, ...]) -> dict[str, float]:
    """The share of grid points whose gradient norm √(L_a² + L_b²) is below each threshold, by the threshold's name.

    There descent hardly moves: from a plateau a step of rate 1 is shorter than the threshold. The zero-one loss is
    nothing but plateaus.
    """
    steepness = surface.gradient.double().norm(dim=0)
    return {named(t): float((steepness < t).double().mean()) for t in thresholds}


def named(threshold: float) -> str:
    """1e-3, as JSON keys have it."""
    text = f"{threshold:g}"
    mantissa, sign, exponent = f"{threshold:e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}" if sign and (threshold < 0.01 or "e" in text) else text


@dataclass(frozen=True)
class Convexity:
    """`convex`: True, False, or None when it cannot be told; `by`: "structure" or "curvature"; and the smallest one."""

    convex: bool | None
    by: str
    smallest: dict[str, float] | None


def convexity(surface: Surface) -> Convexity:
    """Convex by structure where that is known, else by the smallest curvature over the window.

    A loss that is convex in the scores is convex along any plane of a linear model, for its scores are affine there.
    Else the Hessian's smallest eigenvalue over the window decides: below minus its own measured error, the loss is
    not convex.
    """
    field = surface.known("its convexity")
    known = isinstance(field, Plane) and field.loss.convex and (field.penalty is None or field.penalty.convex)
    if known and isinstance(field, Plane) and not field.one_feature and surface.jet is None:
        return Convexity(True, "structure", None)  # a Hessian over classes is dear, and would say nothing new
    smallest, error = smallest_curvature(surface)
    if known:
        return Convexity(True, "structure", smallest)
    if isinstance(field, Plane):
        if isinstance(field.loss, ZeroOne):
            return Convexity(False, "structure", smallest)  # a step that goes up and comes down again
        if not field.loss.smooth:
            return Convexity(None, "curvature", smallest)  # kinks bend without a second derivative
    if smallest is None or (isinstance(field, ModulePlane) and not field.smooth):
        return Convexity(None, "curvature", smallest)
    return Convexity(smallest["value"] >= -error, "curvature", smallest)


def smallest_curvature(surface: Surface) -> tuple[dict[str, float] | None, float]:
    """The smallest eigenvalue of the Hessian on the grid and where it is; and its measured error at that point."""
    curvature = smaller_eigenvalue(surface.derivatives[3:].double())
    finite = curvature.isfinite()
    if not bool(finite.any()):
        return None, 0.0
    i, j = divmod(methods.least(curvature), len(surface.second))
    where = torch.stack([surface.first[i], surface.second[j]]).unsqueeze(0)
    true = surface.known("its curvature").to(torch.float64).at(where, 2)[3:, 0].cpu()
    error = abs(float(smaller_eigenvalue(true)) - float(curvature[i, j]))
    # what `direct` itself rounds off: a few units in the last place of the terms of its sum
    largest = float(surface.derivatives[3:].abs().nan_to_num(0, 0, 0).max())
    value = {"value": float(curvature[i, j])}
    value |= {name: float(x) for name, x in zip(surface.names, where[0], strict=True)}
    return value, error + 1e-14 * largest


def smaller_eigenvalue(hessian: Tensor) -> Tensor:
    """Of [[p, q], [q, r]], given as (p, q, r): (p + r)/2 − √((p − r)²/4 + q²)."""
    p, q, r = hessian
    return (p + r) / 2 - torch.hypot((p - r) / 2, q)


def condition(surface: Surface) -> tuple[float, str | None]:
    """λmax/λmin of the Hessian where the loss is lowest, and a hint where standardising x would lower it.

    Descent at the largest stable rate still needs about λmax/λmin steps. "Why is my cost not a bowl?": because x is far
    from mean 0 and spread 1, and the bowl is a narrow valley.
    """
    field = surface.known("its condition number")
    low = surface.lowest
    found = [m for m in minima(surface) if m["kind"] == "minimum"]
    at = found[0] if found else low
    point = torch.tensor([[at[surface.names[0]], at[surface.names[1]]]], dtype=torch.float64)
    p, q, r = field.to(torch.float64).at(point, 2)[3:, 0].cpu().tolist()
    large = (p + r) / 2 + ((p - r) ** 2 / 4 + q * q) ** 0.5
    small = (p * r - q * q) / large if large else 0.0  # the product of both is the determinant: nothing cancels twice
    number = large / small if small > 1e-16 * large else float("inf")
    hint = None
    if number > 100 and isinstance(field, Plane) and field.one_feature:
        x = field.x.double()
        mean, spread = float(x.mean()), float(x.std(correction=0))
        if spread == 0:
            hint = "x is constant: w and b do the same, and the lowest points form a line"
        else:
            # with u = (x − mean)/spread the score is (w·spread)u + (w·mean + b): H in those coordinates
            change = torch.tensor([[1 / spread, 0.0], [-mean / spread, 1.0]], dtype=torch.float64)
            hessian = torch.tensor([[p, q], [q, r]], dtype=torch.float64)
            below, above = torch.linalg.eigvalsh(change.mT @ hessian @ change).tolist()
            if below > 0 and above / below < number / 4:
                hint = (
                    f"x has mean {mean:.3g} and spread {spread:.3g}: the bowl is a valley {number**0.5:.0f} times as "
                    f"long as wide. Standardise x, (x − mean) / spread, and it is {(above / below) ** 0.5:.1f} times"
                )
    return number, hint


def limits(surface: Surface) -> dict[str, dict[str, float | None]]:
    """Where the curve L(w) at fixed b goes as w → −∞ and w → +∞: its `limit` and its `slope`; None where it is
    infinite.

    Far out a sample's score is ±∞ by the sign of its x (b where x = 0), so the limits are those of the loss itself.
    """
    field = surface.known("its limits")
    assert isinstance(field, Plane)
    field = field.to(torch.float64)
    far = 1e8 / float(field.x.abs().max().clamp(min=1e-300))
    b = float(surface.second[0])
    result: dict[str, dict[str, float | None]] = {}
    for name, sign in (("minus", -1.0), ("plus", 1.0)):
        near, farther = (field.at(torch.tensor([[sign * far * k, b]], dtype=torch.float64), 1)[:, 0] for k in (1, 2))
        slope, later = float(near[1]), float(farther[1])
        steady = abs(later - slope) <= 1e-6 * max(abs(slope), abs(later), 1e-9)
        flat = abs(later) <= 1e-12
        result[name] = {"limit": float(farther[0]) if flat else None, "slope": later if steady else None}
    return result
