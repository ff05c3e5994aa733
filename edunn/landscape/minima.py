"""Minima of a surface: each local minimum of the grid is a candidate, which is polished and classified.

- **minimum**: descent from the candidate ends at a point with gradient 0 and positive curvature in every direction (or
  curvature 0 in one, as in a valley: then `flat` is true).
- **saddle**: gradient 0, and negative curvature in some direction.
- **runaway**: the loss keeps falling without end; its infimum lies at infinity. On separable data cross-entropy has no
  minimum at all.
- **artefact**: a local minimum of the grid alone. In a narrow valley that runs askew to the grid, each row has a lowest
  point, and many of them are lower than all their neighbours.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .loss_grid import LossGrid
from .planes import Evaluator, Field

MOST = 64  # candidates, the lowest ones
KINDS = ("minimum", "saddle", "runaway", "artefact")
THOROUGH = 32  # of the lowest points where the search at kinks is thorough
TINY = 1e-9  # a curvature below this share of the largest is called flat


def minima(surface: LossGrid) -> list[dict[str, Any]]:
    """Returns the minima of a surface: a list of {w, b, loss, kind}, the lowest minimum first.

    A minimum or a saddle has its true place; a runaway or an artefact has that of the grid point it started from.
    """
    field = surface.problem("its minima")
    grid = candidates(surface.values)
    if not grid or surface.values.numel() == 1:  # a single point has no neighbours to be lower than
        return []
    points = torch.tensor([[float(surface.first[i]), float(surface.second[j])] for i, j in grid], dtype=torch.float64)
    known = field.known_minimum(points[0], surface.first, surface.second)
    if known is not None:
        return known_minima(surface, points, *known)
    # a loss that is not convex may have several minima within a cell of the grid
    more = points[:0] if field.convex else between(surface, points[:2])
    return polish(surface, field, torch.cat([points, more]).to(field.device), len(points))


def between(surface: LossGrid, points: Tensor) -> Tensor:
    """Returns eight points around each of the given points, one and a half grid cells away: (8 · points, 2)."""
    cell = torch.tensor([float(axis[-1] - axis[0]) / max(1, len(axis) - 1) for axis in (surface.first, surface.second)])
    angles = torch.arange(8, dtype=points.dtype) * (math.pi / 4) + 0.3
    return (points.unsqueeze(1) + 1.5 * cell * torch.stack([angles.cos(), angles.sin()], 1)).view(-1, 2)


def candidates(values: Tensor) -> list[tuple[int, int]]:
    """Returns the `MOST` lowest grid points that are below all neighbours; of equal neighbours the first counts."""
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


def known_minima(surface: LossGrid, points: Tensor, point: Tensor, loss: float, flat: bool) -> list[dict[str, Any]]:
    """Returns a minimum found without a search of the grid, and the grid's other candidates as artefacts."""
    at = torch.where(torch.tensor(surface.free), point.cpu(), points[0])  # a fixed coordinate keeps its value
    best = surface.point(float(at[0]), float(at[1]), loss) | {"kind": "minimum"}
    if flat:
        best["flat"] = True
    nearest = int(((points - at) / scales(surface)).norm(dim=1).argmin())
    others = [p for k, p in enumerate(points) if k != nearest]
    return [best, *(grid_point(surface, p, "artefact") for p in others)]


def scales(surface: LossGrid) -> Tensor:
    """Returns half the window along each axis, the unit of distances; 1 along an axis of a single value."""
    widths = [float(axis[-1] - axis[0]) / 2 or 1.0 for axis in (surface.first, surface.second)]
    return torch.tensor(widths, dtype=torch.float64)


def polish(surface: LossGrid, field: Field, start: Tensor, candidates: int) -> list[dict[str, Any]]:
    """Runs Newton steps from all starts at once, and classifies the point where each ends.

    The first `candidates` starts are the grid's; of the others only the minima that they find are returned.
    """
    scale = scales(surface).to(start.device)
    # along an axis of a single value nothing moves
    free = torch.tensor(surface.free, device=start.device)
    size = float(surface.values[surface.values.isfinite()].abs().max())
    quick = field.near(2 * surface.reach + 1)
    found = newton(quick, start, scale, free, 1e-15 * size)
    if not field.smooth:
        search(quick, found, scale, free)
    results: list[dict[str, Any]] = []
    taken: list[Tensor] = []  # minima and saddles so far
    escapes: list[Tensor] = []  # directions of the runaways so far
    best = float(surface.lowest["loss"])
    falls_forever = field.falls_forever
    for k, origin in enumerate(start.cpu()):
        end, jet = found.points[k].cpu(), found.jets[:, k].cpu()
        away = (end - origin) / scale.cpu()
        moved, done, before = float(away.norm()), bool(found.done[k]), float(found.start[k])
        if field.smooth:
            kind, flat = classify(field.analytic, jet, scale.cpu(), free.cpu(), moved, done, size, best, before)
        else:
            kind, flat = found.seen[k]
        if falls_forever and kind in ("minimum", "saddle"):
            kind = "runaway"  # so far out that rounding stopped the steps
        if k >= candidates and kind != "minimum":
            continue
        if kind in ("minimum", "saddle"):
            if any(float(((end - other) / scale.cpu()).norm()) < 1e-4 for other in taken):
                if k >= candidates:
                    continue
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


def grid_point(surface: LossGrid, point: Tensor, kind: str) -> dict[str, Any]:
    i = int((surface.first.cpu() - point[0]).abs().argmin())
    j = int((surface.second.cpu() - point[1]).abs().argmin())
    return surface.point(float(point[0]), float(point[1]), float(surface.values[i, j])) | {"kind": kind}


class Newton:
    """The state of Newton steps from each candidate: points, jets, which are done, and the loss at the start."""

    def __init__(self, points: Tensor, jets: Tensor) -> None:
        self.points, self.jets = points, jets
        self.start = jets[0].clone()
        self.done = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        self.seen: list[tuple[str, bool]] = []  # what `search` found: the kind, and whether it is flat


def newton(field: Evaluator, start: Tensor, scale: Tensor, free: Tensor, noise: float, rounds: int = 150) -> Newton:
    """Takes Newton steps that only go down, within an adaptive radius: θ ← θ − V |Λ|⁻¹ Vᵀ g with H = V Λ Vᵀ.

    Where H is positive definite this is Newton's step; a negative curvature counts with its absolute value, so that the
    step leaves a saddle and does not converge to it (Dauphin et al. 2014). Lengths are in units of `scale`.
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


def search(field: Evaluator, state: Newton, scale: Tensor, free: Tensor) -> None:
    """Continues from the ends of Newton's steps without derivatives, for a loss with kinks, where they mislead.

    First `descend`, then `follow_kinks` from where it ended. Records the kind of each point found.
    """
    points, losses = state.points, state.jets[0]
    radius = torch.full_like(losses, 1e-2)
    arms = torch.arange(8, dtype=points.dtype, device=points.device) * (math.pi / 4)
    origin = points.clone()
    descend(field, points, losses, radius, scale, free)
    follow_kinks(field, points, losses, radius, scale, free)
    circle = torch.stack([arms.cos(), arms.sin()], 1) * free * 1e-3
    circle = circle[circle.norm(dim=1) > 1e-6] * scale
    beside = field.at((points.unsqueeze(1) + circle).view(-1, 2))[0].view(-1, len(circle))
    for k in range(len(points)):
        away = float(((points[k] - origin[k]) / scale).norm())
        if float(radius[k]) > 1e-3 and away > 1:
            state.seen.append(("runaway", False))
        elif float(radius[k]) > 1e-9:
            state.seen.append(("artefact", False))  # still on its way down from here
        else:
            state.seen.append(("minimum", bool((beside[k] <= losses[k]).any())))


def descend(
    field: Evaluator, points: Tensor, losses: Tensor, radius: Tensor, scale: Tensor, free: Tensor, rounds: int = 100
) -> None:
    """Moves points downhill in place, by comparing values, without derivatives.

    Each round looks at eight points on a circle, turned by the golden angle from round to round. A lower one is taken
    and the circle grows; else it shrinks, and a circle of 1e-9 of the window with nothing lower on it is the end.
    """
    turn = math.pi * (3 - math.sqrt(5))
    arms = torch.arange(8, dtype=points.dtype, device=points.device) * (math.pi / 4)
    for k in range(rounds):
        left = ((radius > 1e-9) & points.isfinite().all(1) & (radius < 1e6)).nonzero().squeeze(1)
        if len(left) == 0:
            break
        circle = torch.stack([(arms + k * turn).cos(), (arms + k * turn).sin()], 1) * scale * free
        around = points[left].unsqueeze(1) + radius[left].view(-1, 1, 1) * circle
        found, arm = field.at(around.view(-1, 2))[0].nan_to_num(math.inf).view(len(left), 8).min(1)
        lower = found < losses[left]
        moved = left[lower]
        points[moved] = around[lower, arm[lower]]
        losses[moved] = found[lower]
        radius[left] *= torch.where(lower, 2.0, 0.5)


def follow_kinks(
    field: Evaluator, points: Tensor, losses: Tensor, radius: Tensor, scale: Tensor, free: Tensor, rounds: int = 150
) -> None:
    """Moves points down narrow valleys, in place: along a curved kink only a thin cone of directions goes down.

    As `descend`, but the least loss on each circle is searched more finely: among 64 angles, and then ever closer to
    the four lowest of them. Of points that ended at the same place one is moved.
    """
    ended = ((radius <= 1e-3) & points.isfinite().all(1)).nonzero().squeeze(1)
    chosen: list[int] = []
    for k in ended[losses[ended].argsort()].tolist():
        if len(chosen) < THOROUGH and all(float(((points[k] - points[c]) / scale).norm()) > 1e-7 for c in chosen):
            chosen.append(k)
    index = torch.tensor(chosen, dtype=torch.int64, device=points.device)
    if len(index) == 0:
        return
    here, level, size = points[index], losses[index], torch.full_like(losses[index], 1e-3)
    spacing = math.pi / 32
    all_round = torch.arange(64, dtype=points.dtype, device=points.device) * spacing
    closer = torch.linspace(-1, 1, 9, dtype=points.dtype, device=points.device)

    def on_circle(some: Tensor, angles: Tensor) -> Tensor:
        """The losses at angles (points, count) on each point's circle."""
        ring = torch.stack([angles.cos(), angles.sin()], -1) * scale * free * size[some].view(-1, 1, 1)
        return field.at((here[some].unsqueeze(1) + ring).view(-1, 2))[0].nan_to_num(math.inf).view(angles.shape)

    for _ in range(rounds):
        some = ((size > 1e-9) & (size < 1e6)).nonzero().squeeze(1)
        if len(some) == 0:
            break
        coarse = on_circle(some, all_round.expand(len(some), -1))
        valley = (coarse <= coarse.roll(1, 1)) & (coarse <= coarse.roll(-1, 1))
        best = all_round[torch.where(valley, coarse, math.inf).topk(4, 1, largest=False).indices]
        width = spacing
        for _ in range(6):
            angles = best.unsqueeze(2) + width * closer
            values = on_circle(some, angles.flatten(1)).view(angles.shape)
            best = angles.gather(2, values.argmin(2, keepdim=True)).squeeze(2)
            width /= 4
        lowest, which = values.amin(2).min(1)
        angle = best.gather(1, which.unsqueeze(1)).squeeze(1)
        lower = lowest < level[some] - 1e-14 * level[some].abs()
        moved = some[lower]
        arm = torch.stack([angle.cos(), angle.sin()], 1)[lower]
        here[moved] += arm * scale * free * size[moved].unsqueeze(1)
        level[moved] = lowest[lower]
        size[some] *= torch.where(lower, 2.0, 0.25)
    points[index], losses[index], radius[index] = here, level, size


def newton_step(jet: Tensor, scale: Tensor, free: Tensor, noise: float) -> Tensor:
    """Returns −V |Λ|⁻¹ Vᵀ g in units of `scale`, (points, 2); parts of g that are rounding noise count as 0."""
    weights = scale * free
    g = jet[1:3].mT * weights
    values, vectors = torch.linalg.eigh(hessian(jet, weights))
    parts = (vectors.mT @ g.unsqueeze(-1)).squeeze(-1)
    parts = torch.where(parts.abs() <= noise, 0.0, parts)
    return -(vectors @ (parts / values.abs().clamp(min=1e-300)).clamp(-1e8, 1e8).unsqueeze(-1)).squeeze(-1)


def hessian(jet: Tensor, weights: Tensor) -> Tensor:
    """Returns the 2×2 Hessians of jets (6, points), in units of `weights`: (points, 2, 2); 0 where not finite."""
    aa, ab, bb = (channel.nan_to_num(0.0, 0.0, 0.0) for channel in jet[3:])
    a, b = weights
    return torch.stack([torch.stack([aa * a * a, ab * a * b], -1), torch.stack([ab * a * b, bb * b * b], -1)], -2)


def classify(
    analytic: bool,
    jet: Tensor,
    scale: Tensor,
    free: Tensor,
    moved: float,
    done: bool,
    size: float,
    best: float,
    before: float,
) -> tuple[str, bool]:
    """Returns the kind of the point where a candidate's steps ended, and whether it is flat in some direction."""
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
    return ("runaway", False) if analytic else ("minimum", True)
