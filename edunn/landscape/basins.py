"""Basins: gradient descent from every grid point at once, and the point where each run ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .. import errors
from ..runtime import devices
from .loss_grid import LossGrid
from .planes import Field, eigenvalues

CLOSE = 1e-3  # losses this close count as the same
SAME_PLACE = 0.02  # ends this close, in units of the window, count as one: a valley is reached from many sides


@dataclass(frozen=True, eq=False)
class Basins:
    """The points where gradient descent ends, for every grid point as its start.

    `ends` (2, len(first), len(second)) and `losses` there; `labels` numbers the ends, 0 the best, −1 where descent
    diverged; `best_fraction` is the share of grid points whose loss ends within 1e-3 of `best_loss`; `steps` were
    taken at `rate`, and `moving` points had not stopped by then.
    """

    ends: Tensor = field(repr=False)
    losses: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    best_loss: float
    best_fraction: float
    rate: float
    steps: int
    moving: int
    diverged: int

    def summary(self) -> dict[str, Any]:
        """Returns the numbers for JSON, without the tensors."""
        return {
            "best_loss": self.best_loss,
            "best_fraction": self.best_fraction,
            "rate": self.rate,
            "steps": self.steps,
            "moving": self.moving,
            "diverged": self.diverged,
        }


@torch.no_grad()
def basins(surface: LossGrid, rate: float, steps: int) -> Basins:
    """Runs gradient descent from every grid point in one batch: θ ← θ − rate · ∇L(θ), `steps` times.

    A point stops early, with the same result, when its step no longer changes it, or when it lies at the bottom of a
    bowl in which descent at this rate contracts, so near to it that the loss can fall by less than 1e-13.
    """
    field = surface.known("its basins").to(torch.float64)
    if not (rate > 0 and rate - rate == 0):
        raise errors.ConfigError(f"The rate of the basins is a finite number above 0; got {rate}.")
    if steps < 1:
        raise errors.ConfigError(f"Basins need 1 step or more; got {steps}.")
    points = torch.cartesian_prod(surface.first, surface.second).view(-1, 2).to(field.device)
    # the parameter of an axis with a single value stays fixed
    free = torch.tensor(surface.free, device=points.device)

    def descend(some: Tensor) -> Tensor:
        """Returns where these points end, and whether each has stopped moving: (3, count)."""
        workers = min(torch.get_num_threads(), len(some)) if some.device.type == "cpu" else 1
        # every core takes its share of the points and never waits for the others: with a thread pool inside each small
        # operation instead, a busy machine spends most of its time at barriers
        with devices.threads_for(0 if workers > 1 else 1 << 60), ThreadPoolExecutor(workers) as pool:
            shares = pool.map(lambda part: travel(field, surface, part, rate, steps, free), some.tensor_split(workers))
            ends, rest = (torch.cat(part) for part in zip(*shares, strict=True))
        return torch.cat([ends.mT, rest.to(ends).unsqueeze(0)])

    found = field.split(descend, points, 1)
    ends, rest = found[:2].mT, found[2] > 0
    shape = tuple(surface.values.shape)
    losses = torch.full((len(points),), float("nan"), dtype=torch.float64, device=points.device)
    finite = ends.isfinite().all(1)
    # far out scores overflow to inf; such points count as diverged
    losses[finite] = field.at(ends[finite])[0]
    good = losses.isfinite()
    best = float(losses[good].min()) if bool(good.any()) else float("nan")
    close = good & (losses <= best + CLOSE)
    return Basins(
        ends=ends.mT.reshape(2, *shape).cpu(),
        losses=losses.view(shape).cpu(),
        labels=group_ends(surface, ends, losses).view(shape).cpu(),
        best_loss=best,
        best_fraction=float(close.double().mean()),
        rate=rate,
        steps=steps,
        moving=int((~rest).sum()),
        diverged=int((~good).sum()),
    )


@torch.no_grad()
def travel(
    field: Field, surface: LossGrid, points: Tensor, rate: float, steps: int, free: Tensor
) -> tuple[Tensor, Tensor]:
    """Descends from points (count, 2): returns where they end, and which of them have stopped moving."""
    slope = field.slopes(1.1 * surface.reach + 1)
    pace = rate * free.to(points.dtype)
    ends = points.clone()
    rest = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    active = torch.arange(len(points), device=points.device)
    for done in range(steps):
        now = ends[active]
        new = now - pace * slope(now).mT
        ends[active] = new
        if done % 32 == 31 or done == steps - 1:  # asked now and then: shrinking the batch is not free
            still = (new == now).all(1) | ~new.isfinite().all(1)
            rest[active] = still | has_settled(field, new, now, rate, free, steps - done)
            active = (~rest).nonzero().squeeze(1)
            if len(active) == 0:
                break
    return ends, rest


def has_settled(field: Field, new: Tensor, now: Tensor, rate: float, free: Tensor, left: int) -> Tensor:
    """Returns which points are so close to their end that the remaining steps change nothing.

    They lie at the bottom of a bowl (H is positive definite, rate · λmax < 2, and ‖g‖²/λmin is negligible), or on a
    plateau so flat that the remaining steps, each at most 1 + rate · ‖H‖ times the last, add up to less than 1e-9.
    """
    speed = ((new - now) / rate).norm(dim=1)  # ‖g‖
    near = speed < 1e-8
    result = torch.zeros_like(near)
    if bool(near.any()) and bool(free.any()):
        low, high = eigenvalues(field.at(new[near], 2)[3:], (bool(free[0]), bool(free[1])))
        bowl = (low > 1e-3 * high) & (low > 1e-3) & (rate * high < 1.9)
        stretch = torch.exp((rate * left * torch.maximum(low.abs(), high.abs())).clamp(max=600))
        result[near] = bowl | (speed[near] * rate * left * stretch < 1e-9)
    return result


def group_ends(surface: LossGrid, ends: Tensor, losses: Tensor) -> Tensor:
    """Numbers the places where points ended; ends nearer than a fiftieth of the window are one place.

    The places are numbered by their loss, the best first; more than 20 of them (points still under way along a plateau)
    share the number 20.
    """
    width = [float(axis[-1] - axis[0]) or 1.0 for axis in (surface.first, surface.second)]
    scale = torch.tensor(width, dtype=ends.dtype, device=ends.device) * SAME_PLACE
    labels = torch.full((len(ends),), -1, dtype=torch.int64, device=ends.device)
    left = losses.isfinite()
    for number in range(20):
        if not bool(left.any()):
            break
        best = int(torch.where(left, losses, float("inf")).argmin())
        same = left & (((ends - ends[best]) / scale).norm(dim=1) < 1)
        labels[same] = number
        left &= ~same
    labels[left] = 20
    return labels
