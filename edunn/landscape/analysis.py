"""Readings of a surface: plateaus, convexity and conditioning. Minima and basins have modules of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import errors
from ..runtime.devices import generator
from . import methods
from .basins import Basins as Basins
from .basins import basins as basins
from .loss_grid import LossGrid
from .minima import minima as minima
from .planes import Field, eigenvalues

SEGMENTS = 512  # random segments along which convexity is measured


def plateaus(surface: LossGrid, thresholds: tuple[float, ...]) -> dict[str, float]:
    """Returns the share of grid points whose gradient norm √(L_a² + L_b²) is below each threshold, by threshold.

    Descent hardly moves on a plateau: a step of rate 1 is shorter than the threshold. The gradient of the zero-one loss
    is 0 everywhere, so its share is 1.
    """
    steepness = surface.gradient.double().norm(dim=0)
    return {format_threshold(t): float((steepness < t).double().mean()) for t in thresholds}


def format_threshold(threshold: float) -> str:
    """Returns a threshold as a JSON key: 1e-3."""
    text = f"{threshold:g}"
    mantissa, sign, exponent = f"{threshold:e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}" if sign and (threshold < 0.01 or "e" in text) else text


@dataclass(frozen=True)
class Convexity:
    """Whether a loss is convex along a plane, how that is known, and the smallest curvature found.

    `convex` : True, False, or None when it is not known
    `by` : "structure", "curvature" (the Hessian over the window) or "measurement" (the values over the window)
    """

    convex: bool | None
    by: str
    smallest: dict[str, float] | None


def convexity(surface: LossGrid) -> Convexity:
    """Returns whether the loss is convex: by its structure where that is known, else measured over the window.

    A loss that is convex in the scores is convex along any plane of a linear model, for its scores are affine there.
    Else the Hessian's smallest eigenvalue over the window decides, if the loss is smooth and has a formula for its
    second derivative: below minus its own measured error, the loss is not convex. For all other losses the values
    decide: see `measured_convexity`.
    """
    field = surface.known("its convexity")
    if field.convex and surface.jet is None and field.order_in_one_pass < 2:
        return Convexity(True, "structure", None)  # a Hessian over classes costs much and would add nothing
    if not field.convex and (field.smooth is None or (field.smooth and not field.curvature_by_formula)):
        return measured_convexity(surface, field)
    smallest, error = smallest_curvature(surface)
    if field.convex:
        return Convexity(True, "structure", smallest)
    if field.flat:
        return Convexity(False, "structure", smallest)  # a step that goes up and comes down again
    if smallest is None or not field.smooth:  # kinks bend without a second derivative
        return Convexity(None, "curvature", smallest)
    return Convexity(smallest["value"] >= -error, "curvature", smallest)


@torch.no_grad()
def measured_convexity(surface: LossGrid, field: Field) -> Convexity:
    """Tests whether the loss lies below its chords, on random segments of the window and along the grid's axes.

    Half way between p and q a convex loss has L(m) ≤ (L(p) + L(q))/2. One chord that lies below the loss, by more than
    rounding, disproves convexity; if none is found the answer is True, by measurement. The smallest curvature is that
    of the chords, (L(p) + L(q) − 2 L(m)) / |p − m|²: a mean along the segment, and 1% of the window or more.
    """
    if surface.values.numel() < 2:
        return Convexity(None, "measurement", None)
    axes = (surface.first.double().cpu(), surface.second.double().cpu())
    low, high = (torch.stack([axis[end] for axis in axes]) for end in (0, -1))
    draw = generator(0)
    one, two = (low + (high - low) * torch.rand(SEGMENTS, 2, dtype=torch.float64, generator=draw) for _ in range(2))
    two = one + (two - one) * 10 ** (-2 * torch.rand(SEGMENTS, 1, dtype=torch.float64, generator=draw))
    middle = (one + two) / 2
    losses = field.to(torch.float64).at(torch.cat([one, middle, two]))[0].cpu().view(3, SEGMENTS)
    bend = losses[0] + losses[2] - 2 * losses[1]
    finite = losses.isfinite().all(0)
    if not bool(finite.any()):
        return Convexity(None, "measurement", None)
    noise = 1e-13 * float(losses[:, finite].abs().max())
    curvature = torch.where(finite, bend / (one - middle).square().sum(1), float("inf"))
    at = int(curvature.argmin())
    smallest = {"value": float(curvature[at])}
    smallest |= {name: float(x) for name, x in zip(surface.names, middle[at], strict=True)}
    below = bool((bend[finite] < -noise).any()) or chord_below(surface, field)
    return Convexity(not below, "measurement", smallest)


def chord_below(surface: LossGrid, field: Field) -> bool:
    """Returns whether a chord along a row or column lies below the loss by more than the error of the values."""
    error = methods.measured_error(field, surface.first, surface.second, surface.values)
    largest = float(surface.values[surface.values.isfinite()].abs().max())
    noise = 4 * largest * (torch.finfo(surface.values.dtype).eps + error)
    for axis, values in ((surface.first, surface.values), (surface.second, surface.values.mT)):
        x, v = axis.to(values), values
        stride = 1
        while 2 * stride < len(x):
            left, inner, right = (x[k : len(x) - 2 * stride + k] for k in (0, stride, 2 * stride))
            share = ((inner - left) / (right - left)).unsqueeze(1)
            chord = (1 - share) * v[: -2 * stride] + share * v[2 * stride :]
            if bool((v[stride:-stride] - chord > noise).any()):
                return True
            stride *= 2
    return False


def smallest_curvature(surface: LossGrid) -> tuple[dict[str, float] | None, float]:
    """Returns the smallest eigenvalue of the Hessian on the grid with its place, and its error measured there."""
    curvature, _ = eigenvalues(surface.derivatives[3:].double(), surface.free)
    finite = curvature.isfinite()
    if not bool(finite.any()):
        return None, 0.0
    i, j = divmod(methods.least(curvature), len(surface.second))
    where = torch.stack([surface.first[i], surface.second[j]]).unsqueeze(0)
    true = surface.problem("its curvature").at(where, 2)[3:, 0].cpu()
    error = abs(float(eigenvalues(true, surface.free)[0]) - float(curvature[i, j]))
    # what `direct` itself rounds off: a few units in the last place of the terms of its sum
    largest = float(surface.derivatives[3:].abs().nan_to_num(0, 0, 0).max())
    value = {"value": float(curvature[i, j])}
    value |= {name: float(x) for name, x in zip(surface.names, where[0], strict=True)}
    return value, error + 1e-14 * largest


def condition(surface: LossGrid) -> tuple[float, str | None]:
    """Returns λmax/λmin of the Hessian where the loss is lowest, and a hint if standardising x lowers that number.

    Descent at the largest stable rate still needs about λmax/λmin steps. Where x is far from mean 0 and standard
    deviation 1, the bowl is a narrow valley.
    """
    field = surface.known("its condition number")
    problem = surface.problem("its condition number")
    low = surface.lowest
    found = [m for m in minima(surface) if m["kind"] == "minimum"]
    at = found[0] if found else low
    point = torch.tensor([[at[surface.names[0]], at[surface.names[1]]]], dtype=torch.float64)
    curvature = problem.at(point, 2)[3:, 0].cpu()
    if surface.free != (True, True):  # one variable has one curvature
        return (1.0 if float(eigenvalues(curvature, surface.free)[1]) > 0 else float("inf")), None
    p, q, r = curvature.tolist()
    large = (p + r) / 2 + ((p - r) ** 2 / 4 + q * q) ** 0.5
    small = (p * r - q * q) / large if large else 0.0  # the product of both is the determinant: nothing cancels twice
    number = large / small if small > 1e-16 * large else float("inf")
    hint = None
    if number > 100 and field.feature is not None:
        x = field.feature.double()
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


def limits(surface: LossGrid) -> dict[str, dict[str, float | None]]:
    """Returns the `limit` and `slope` of the curve L(w) at fixed b as w → −∞ and w → +∞; None where infinite.

    Far out a sample's score is ±∞ by the sign of its x (b where x = 0), so the limits are those of the loss itself.
    """
    field = surface.known("its limits").to(torch.float64)
    if field.feature is None:
        raise errors.ConfigError("Limits are those of a curve L(w) of one feature; use edunn.landscape.grid(x, y, …).")
    sizes = field.feature.abs()
    moving = sizes[sizes > 0] if bool(sizes.any()) else sizes + 1
    # so far that every score that moves is far out
    far = min(1e8 / float(moving.min()), 1e100 / float(moving.max()))
    b = float(surface.second[0])
    result: dict[str, dict[str, float | None]] = {}
    for name, sign in (("minus", -1.0), ("plus", 1.0)):
        near, farther = (field.at(torch.tensor([[sign * far * k, b]], dtype=torch.float64), 1)[:, 0] for k in (1, 2))
        slope, later = float(near[1]), float(farther[1])
        steady = abs(later - slope) <= 1e-6 * max(abs(slope), abs(later), 1e-9)
        flat = abs(later) * far <= 1e-6 * abs(float(farther[0]))
        result[name] = {"limit": float(farther[0]) if flat else None, "slope": later if steady else None}
    return result
