"""The methods `direct`, `exact` and `spectral`, the choice of the cheapest (`auto`), and the measured error."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .. import errors
from . import direct, exact, spectral
from .planes import Field, Plane

METHODS = ("auto", "direct", "exact", "spectral")
PROBES = 64  # at which the error is measured, at least; up to MOST while they cost no more than so many evaluations
MOST_PROBES, EVALUATIONS = 4096, 1 << 17

POOR = {torch.float64: 1e-8, torch.float32: 1e-5}  # a larger error makes edunn look for a more exact method
LONG = 1e10  # grid points × samples above which a surface is not computed again

FACTORED = 0.15  # what a factored evaluation costs, in units of a plain one
INTERPOLATION = 0.01  # what a multiply-add costs in the matrix products from nodes to the grid


def evaluate(plane: Plane, a: Tensor, b: Tensor, order: int, method: str) -> tuple[Tensor, str]:
    """Returns the jet over the grid, (JET[order], len(a), len(b)), and the name of the method used.

    "plain" is `direct.plain`: slower than `direct.factored`, and right to the last digits.
    """
    if method not in (*METHODS, "plain"):
        raise errors.ConfigError(
            f"The methods are {', '.join(METHODS)}; got {method!r}. {errors.nearest(method, METHODS)}"
        )
    name = choose(plane, a, b, order) if method == "auto" else method
    kind = type(plane.loss).__name__
    if name == "exact" and not exact.fits(plane):
        raise errors.ConfigError(
            f"The method exact needs a loss that is polynomial between kinks; {kind} on this plane is not. Use auto, "
            f"or direct, which works for every loss."
        )
    if name == "spectral" and not spectral.fits(plane):
        raise errors.ConfigError(
            f"The method spectral needs a loss that is analytic in the scores; {kind} has kinks or is polynomial. Use "
            f"auto, exact or direct."
        )
    if name == "plain":
        return direct.with_penalty(plane, a, b, order, direct.plain(plane, a, b, order)), "direct"
    return {"direct": direct, "exact": exact, "spectral": spectral}[name].grid(plane, a, b, order), name


def ways_out(
    field: Field, a: Tensor, b: Tensor, dtype: torch.dtype, method: str, used: str
) -> Iterator[tuple[str, torch.dtype]]:
    """Yields pairs (method, dtype) that give the surface with a smaller error, for one whose error is too large.

    All are forms of `direct`. It yields nothing if the caller chose another method, or if they would take too long.
    """
    if method not in ("auto", "direct") or used == "exact":
        return
    plain = "plain" if isinstance(field, Plane) else "direct"
    if len(a) * len(b) * field.samples > LONG:
        return
    if used != "direct" or (isinstance(field, Plane) and direct.fits(field, b)):
        yield plain, dtype
    if method == "auto" and dtype != torch.float64:
        yield plain, torch.float64


def choose(plane: Plane, a: Tensor, b: Tensor, order: int) -> str:
    """Returns the method that needs the fewest evaluations of the loss (one is one sample at one point)."""
    if exact.fits(plane):
        return "exact"
    if not spectral.fits(plane):
        return "direct"
    cheap = order == 0 and direct.fits(plane, b)
    whole = len(a) * len(b) * plane.first.numel() * (FACTORED if cheap else 1)
    if whole < 1e7:
        return "direct"  # finished in less time than it takes to count the nodes
    plan = spectral.Plan.of(plane.to(torch.float64), a.to(plane.device), b.to(plane.device), spectral.tolerance(plane))
    if plan.full and not plan.bulk.total:
        return "direct"
    nodes = plan.cost * (FACTORED if cheap and not plan.bulk.total else 1)
    products = len(a) * min(plan.second.count, len(b)) * (plan.first.count + len(b))
    return "spectral" if nodes + INTERPOLATION * products < whole else "direct"


@torch.no_grad()
def measured_error(field: Field, a: Tensor, b: Tensor, values: Tensor) -> float:
    """Returns the largest difference from `direct` in float64 at probe points, over the largest loss among them.

    The probes: the corners, the least value, (0, 0), the steepest places, and random points of the grid; 64 in all, or
    more where the samples are few (every point of a small grid). A value anywhere that is not finite counts as an
    infinite error.
    """
    if not bool(values.isfinite().all()):
        return float("inf")
    count = len(a) * len(b)
    work = field.samples * (1 if field.affine else 64)  # a net's forward pass takes longer than a score
    probes = max(PROBES, min(MOST_PROBES, EVALUATIONS // max(1, work)))
    if count <= probes:
        index = torch.arange(count)
    else:
        origin = int(a.abs().argmin()) * len(b) + int(b.abs().argmin())
        chosen = [0, len(b) - 1, count - len(b), count - 1, least(values), origin]
        chosen += steepest(values)
        drawn = torch.randint(count, (probes - len(chosen),), generator=torch.Generator().manual_seed(0))
        index = torch.cat([torch.tensor(chosen), drawn])
    points = torch.stack([a[index // len(b)], b[index % len(b)]], 1)
    true = field.to(torch.float64).at(points)[0].cpu()
    found = values.flatten()[index.to(values.device)].double().cpu()
    if not bool(true.isfinite().all()):
        return float("inf")
    largest, difference = float(true.abs().max()), float((true - found).abs().max())
    return difference / largest if largest else difference


def steepest(values: Tensor) -> list[int]:
    """Returns the flat indices beside the largest change along each axis, where rounding errors are largest."""
    found = []
    rows, columns = values.shape
    if rows > 1:
        at = int(values.diff(dim=0).abs().argmax())
        found += [at, at + columns]
    if columns > 1:
        row, column = divmod(int(values.diff(dim=1).abs().argmax()), columns - 1)
        found += [row * columns + column, row * columns + column + 1]
    return found


def least(values: Tensor) -> int:
    """Returns the flat index of the least finite value."""
    return int(torch.where(values.isfinite(), values, float("inf")).argmin())
