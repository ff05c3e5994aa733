"""Minima: a grid's local minima are candidates, each is polished, and called what it is.

- **minimum**: descent from the candidate ends at a point with gradient 0 and curvature up in every direction (or flat
  in one: a valley, or a floor, with `flat` true).
- **saddle**: gradient 0, and curvature down in some direction.
- **runaway**: the loss keeps falling without end; its infimum lies at infinity. On separable data cross-entropy has no
  minimum at all.
- **artefact**: a local minimum of the grid alone. In a narrow valley that runs askew to the grid, each row has a lowest
  point, and many of them are lower than all their neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..activations import Tanh
from ..losses import AbsoluteError, Hinge, Loss, ZeroOne
from . import kinks, spectral
from .exact import is_quadratic, least_squares
from .planes import Field, Plane

if TYPE_CHECKING:
    from .surface import Surface

MOST = 64  # candidates, the lowest ones
KINDS = ("minimum", "saddle", "runaway", "artefact")
TINY = 1e-9  # a curvature below this share of the largest is called flat


def minima(surface: Surface) -> list[dict[str, Any]]:
    """The minima of a surface: a list of {w, b, loss, kind}, the lowest minimum first.

    A minimum and a saddle stand where they truly are; a runaway and an artefact at the grid point that looked like one.
    """
    field = surface.known("its minima").to(torch.float64)
    grid = candidates(surface.values)
    if not grid or surface.values.numel() == 1:  # a single point has no neighbours to be lower than
        return []
    points = torch.tensor([[float(surface.first[i]), float(surface.second[j])] for i, j in grid], dtype=torch.float64)
    if isinstance(field, Plane) and field.penalty is None:
        exactly = exact_minimum(field, points, surface)
        if exactly is not None:
            return exactly
    return polished(surface, quick(field, surface), points.to(field.device))


def candidates(values: Tensor) -> list[tuple[int, int]]:
    """Grid points below all their neighbours; of equal neighbours the first counts. The lowest `MOST` of them."""
    v = torch.where(values.isfinite(), values, float("inf")).double()
    rows, columns = v.shape
    padded = torch.nn.functional.pad(v, (1, 1, 1, 1), value=float("inf"))
    lowest = v.isfinite()
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            if (di, dj) != (0, 0):
                neighbour = padded[1 + di : 1 + di + rows, 1 + dj : 1 + dj + columns]
                lowest &= (v < neighbour) if (di, dj) < (0, 0) else (v <= neighbour)
    found = lowest.nonzero()
    order = v[lowest].argsort(stable=True)[:MOST]
    return [(int(i), int(j)) for i, j in found[order]]


def is_hinge(loss: Loss) -> bool:
    """Of one score a sample, and with a kink: `kinks` knows where."""
    return isinstance(loss, Hinge) and loss.power == 1 and not loss.class_axis


def exact_minimum(plane: Plane, points: Tensor, surface: Surface) -> list[dict[str, Any]] | None:
    """For losses whose minimum is known without a search on the grid: that one, and the grid's others as artefacts."""
    flat = False
    if is_quadratic(plane.loss):
        point, loss, triangle = least_squares(plane)
        flat = float(triangle.diagonal().abs().min()) <= 1e-12 * float(triangle.abs().max())
    elif isinstance(plane.loss, AbsoluteError) or is_hinge(plane.loss):
        point = kinks.lowest_vertex(plane, points[0])
        loss = float(plane.at(point.unsqueeze(0))[0, 0])
    elif isinstance(plane.loss, ZeroOne) and plane.one_feature:
        point, loss, flat = *kinks.best_threshold(plane, surface.first, surface.second), True
    else:
        return None
    best = surface.point(float(point[0]), float(point[1]), loss) | {"kind": "minimum"}
    if flat:
        best["flat"] = True
    scale = scales(surface)
    nearest = int(((points - point.cpu()) / scale).norm(dim=1).argmin())
    others = [p for k, p in enumerate(points) if k != nearest]
    return [best, *(grid_point(surface, p, "artefact") for p in others)]


def quick(field: Field, surface: Surface) -> Field:
    """A field that answers faster: many samples of one feature as few nodes, for points not far outside the window."""
    if isinstance(field, Plane) and field.one_feature and spectral.fits(field) and field.samples > 4096:
        return spectral.Compressed.of(field, 2 * float(surface.first.abs().max()) + 1)
    return field


def scales(surface: Surface) -> Tensor:
    """Half the window along each axis: what "far" and "near" are measured in; a single point counts as 1."""
    widths = [float(axis[-1] - axis[0]) / 2 or 1.0 for axis in (surface.first, surface.second)]
    return torch.tensor(widths, dtype=torch.float64)


def polished(surface: Surface, field: Field, start: Tensor) -> list[dict[str, Any]]:
    """Newton steps from all candidates at once, and what each turned out to be."""
    scale = scales(surface).to(start.device)
    # along an axis of a single value nothing moves
    free = torch.tensor([len(surface.first) > 1, len(surface.second) > 1], device=start.device)
    size = float(surface.values[surface.values.isfinite()].abs().max())
    found = newton(field, start, scale, free, 1e-15 * size)
    results: list[dict[str, Any]] = []
    taken: list[Tensor] = []  # where minima and saddles lie already
    escapes: list[Tensor] = []  # in which directions it runs away already
    best = float(surface.lowest["loss"])
    endless = parted(field)
    for k, origin in enumerate(start.cpu()):
        end, jet = found.points[k].cpu(), found.jets[:, k].cpu()
        away = (end - origin) / scale.cpu()
        kind, flat = classify(field, jet, scale.cpu(), free.cpu(), float(away.norm()), bool(found.done[k]), size, best,
                              float(found.start[k]))  # fmt: skip
        if endless and kind in ("minimum", "saddle"):
            kind = "runaway"  # so far out that rounding stopped the steps
        if kind in ("minimum", "saddle"):
            if any(float(((end - other) / scale.cpu()).norm()) < 1e-4 for other in taken):
                kind = "artefact"
            else:
                taken.append(end)
        elif kind == "runaway":
            direction = away / away.norm().clamp(min=1e-300)
            if any(float(direction @ other) > 0.9 for other in escapes):
                kind = "artefact"
            escapes.append(direction)
        if kind in ("minimum", "saddle"):
            result = surface.point(float(end[0]), float(end[1]), float(jet[0])) | {"kind": kind}
            results.append(result | {"flat": True} if flat else result)
        else:
            results.append(grid_point(surface, origin, kind))
    return sorted(results, key=lambda r: (KINDS.index(r["kind"]), r["loss"]))


def parted(field: Field) -> bool:
    """Whether a threshold t parts the two labels of one feature (x = t may bear both): then no point is stationary.

    Along ±(1, −t) every score goes the way of its label or stays, so the loss falls from every (w, b), for ever.
    """
    plane = field.plane if isinstance(field, spectral.Compressed) else field
    if not (isinstance(plane, Plane) and plane.one_feature and plane.penalty is None and spectral.fits(plane)):
        return False
    through = getattr(plane.loss, "through", None)
    low, high = (-1, 1) if plane.loss.labels == "signs" or isinstance(through, Tanh) else (0, 1)
    down, up = plane.x[plane.targets == low], plane.x[plane.targets == high]
    if len(down) + len(up) < plane.samples:
        return False  # targets between the two have a score of their own
    if len(down) == 0 or len(up) == 0:
        return True
    return bool(((down.max() <= up.min()) | (up.max() <= down.min())) & (plane.x.max() > plane.x.min()))


def grid_point(surface: Surface, point: Tensor, kind: str) -> dict[str, Any]:
    i = int((surface.first.cpu() - point[0]).abs().argmin())
    j = int((surface.second.cpu() - point[1]).abs().argmin())
    return surface.point(float(point[0]), float(point[1]), float(surface.values[i, j])) | {"kind": kind}


class Newton:
    """Where each candidate's steps ended: points, jets, whether they had come to rest, and the loss at the start."""

    def __init__(self, points: Tensor, jets: Tensor) -> None:
        self.points, self.jets = points, jets
        self.start = jets[0].clone()
        self.done = torch.zeros(len(points), dtype=torch.bool, device=points.device)


def newton(field: Field, start: Tensor, scale: Tensor, free: Tensor, noise: float, rounds: int = 150) -> Newton:
    """Newton steps that only go down: θ ← θ − V |Λ|⁻¹ Vᵀ g with H = V Λ Vᵀ, no longer than a radius that adapts.

    Where H is positive definite this is Newton's step; a negative curvature is turned about, so that the step leaves a
    saddle instead of seeking it (Dauphin et al. 2014). Lengths are in units of `scale`.
    """
    state = Newton(start.clone(), field.at(start, 2))
    radius = torch.full((len(start),), 0.25, dtype=start.dtype, device=start.device)
    for _ in range(rounds):
        left = (~state.done).nonzero().squeeze(1)
        if len(left) == 0:
            break
        jet = state.jets[:, left]
        step = newton_step(jet, scale, free, noise)
        length = step.norm(dim=1)
        short = torch.clamp(radius[left] / length.clamp(min=1e-300), max=1.0)
        trial = state.points[left] + scale * step * short.unsqueeze(1)
        new = field.at(trial, 2)
        better = new[0] <= jet[0]
        state.points[left[better]] = trial[better]
        state.jets[:, left[better]] = new[:, better]
        radius[left] = torch.where(better, torch.maximum(radius[left], 2 * length * short), radius[left] / 4)
        # at rest: the whole step is nothing, or so short that rounding decides whether it went down
        state.done[left] = (length < 1e-11) | (~better & (length < 1e-6)) | (radius[left] < 1e-12)
        state.done[left] |= (state.points[left] / scale).norm(dim=1) > 1e6
    return state


def newton_step(jet: Tensor, scale: Tensor, free: Tensor, noise: float) -> Tensor:
    """−V |Λ|⁻¹ Vᵀ g in units of `scale`, (points, 2); parts of g that are rounding noise move nothing."""
    weights = scale * free
    g = jet[1:3].mT * weights
    values, vectors = torch.linalg.eigh(hessian(jet, weights))
    parts = (vectors.mT @ g.unsqueeze(-1)).squeeze(-1)
    parts = torch.where(parts.abs() <= noise, 0.0, parts)
    return -(vectors @ (parts / values.abs().clamp(min=1e-300)).clamp(-1e8, 1e8).unsqueeze(-1)).squeeze(-1)


def hessian(jet: Tensor, weights: Tensor) -> Tensor:
    """The 2×2 Hessians of jets (6, points), in units of `weights`: (points, 2, 2); 0 where it is not finite."""
    aa, ab, bb = (channel.nan_to_num(0.0, 0.0, 0.0) for channel in jet[3:])
    a, b = weights
    return torch.stack([torch.stack([aa * a * a, ab * a * b], -1), torch.stack([ab * a * b, bb * b * b], -1)], -2)


def classify(
    field: Field,
    jet: Tensor,
    scale: Tensor,
    free: Tensor,
    moved: float,
    done: bool,
    size: float,
    best: float,
    before: float,
) -> tuple[str, bool]:
    """The kind of the point where the steps of a candidate ended, and whether it is flat in some direction."""
    low, high = torch.linalg.eigvalsh(hessian(jet.unsqueeze(1), scale * free))[0].tolist()
    if not bool(free.all()):
        low, high = (low, low) if abs(low) > abs(high) else (high, high)  # the frozen axis has curvature 0
    curved = max(abs(low), abs(high)) > TINY * size
    ended = float(jet[0])
    if curved and done and low < -TINY * abs(high):
        return "saddle", False
    if curved and done and low > TINY * high:
        return "minimum", False
    if moved > 1 and ended < before:
        return "runaway", False
    if curved and done:
        return "minimum", True
    if ended > best + 1e-9 * max(size, 1e-300):
        return "artefact", False
    analytic = isinstance(field, spectral.Compressed) or (isinstance(field, Plane) and spectral.fits(field))
    return ("runaway", False) if analytic else ("minimum", True)
