"""Four methods, one surface: `direct`, `exact`, `spectral`, and `auto`, the cheapest; and the measured error."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import errors
from . import direct, exact, spectral
from .planes import Field, Plane

METHODS = ("auto", "direct", "exact", "spectral")
PROBES = 64

FACTORED = 0.15  # what a factored evaluation costs, in units of a plain one
INTERPOLATION = 0.01  # and a multiply-add of the matrix products that bring nodes to the grid


def evaluate(plane: Plane, a: Tensor, b: Tensor, order: int, method: str) -> tuple[Tensor, str]:
    """The jet over the grid, (JET[order], len(a), len(b)), and the method that gave it."""
    if method not in METHODS:
        raise errors.ConfigError(
            f"Expected a method {', '.join(METHODS)}; got {method!r}. {errors.nearest(method, METHODS)}"
        )
    name = choose(plane, a, b, order) if method == "auto" else method
    kind = type(plane.loss).__name__
    if name == "exact":
        if not exact.fits(plane):
            raise errors.ConfigError(
                f"Expected a loss that is polynomial between kinks for method exact; got {kind} on this plane. "
                f"Use auto, or direct, which works for every loss."
            )
        return exact.grid(plane, a, b, order), name
    if name == "spectral":
        if not spectral.fits(plane):
            raise errors.ConfigError(
                f"Expected a loss that is analytic in the scores for method spectral; got {kind}, which has kinks "
                f"or is polynomial. Use auto, exact or direct."
            )
        return spectral.grid(plane, a, b, order), name
    return direct.grid(plane, a, b, order), name


def choose(plane: Plane, a: Tensor, b: Tensor, order: int) -> str:
    """The method with the least work, counted in evaluations of the loss at one sample."""
    if exact.fits(plane):
        return "exact"
    if not spectral.fits(plane):
        return "direct"
    cheap = order == 0 and direct.fits(plane, b)
    whole = len(a) * len(b) * plane.first.numel() * (FACTORED if cheap else 1)
    if whole < 1e7:
        return "direct"  # done before the nodes are counted
    plan = spectral.Plan.of(plane.to(torch.float64), a.to(plane.device), b.to(plane.device), spectral.tolerance(plane))
    if plan.full and not plan.bulk.total:
        return "direct"
    nodes = plan.cost * (FACTORED if cheap and not plan.bulk.total else 1)
    products = len(a) * min(plan.second.count, len(b)) * (plan.first.count + len(b))
    return "spectral" if nodes + INTERPOLATION * products < whole else "direct"


@torch.no_grad()
def measured_error(field: Field, a: Tensor, b: Tensor, values: Tensor) -> float:
    """The largest difference from `direct` in float64 at probe points, over the largest loss among them.

    The probes: the corners, the least value, and points drawn over the grid, 64 in all (every point of a small grid).
    """
    count = len(a) * len(b)
    if count <= PROBES:
        index = torch.arange(count)
    else:
        corners = [0, len(b) - 1, count - len(b), count - 1, least(values)]
        drawn = torch.randint(count, (PROBES - len(corners),), generator=torch.Generator().manual_seed(0))
        index = torch.cat([torch.tensor(corners), drawn])
    points = torch.stack([a[index // len(b)], b[index % len(b)]], 1)
    true = field.to(torch.float64).at(points)[0].cpu()
    found = values.flatten()[index.to(values.device)].double().cpu()
    both = true.isfinite() & found.isfinite()
    if not bool(both.any()):
        return float("nan")
    largest = float(true[both].abs().max())
    difference = float((true - found)[both].abs().max())
    return difference / largest if largest else difference


def least(values: Tensor) -> int:
    """The flat index of the least finite value."""
    return int(torch.where(values.isfinite(), values, float("inf")).argmin())
