"""Paths: several update rules from several starts descend on one surface, all in one batch of points.

race = paths(surface, [(-8, 3), (0, 0)], {"gradient-descent": 0.5, "adam": 0.1}, steps=300)
race.points[0, 1]   # (301, 2): gradient descent from the second start
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .. import errors, updates
from ..results import Record, Table
from ..runtime.devices import permutation
from ..updates import AdaGrad, Adam, RMSprop, Rule
from .loss_grid import LossGrid
from .planes import Field, Plane

MOST = 10_000_000  # points of all paths together
REST = 1e-12  # a step shorter than this, relative to the point, is rest
MAGNIFY = (AdaGrad, RMSprop, Adam)  # rules that divide by a gradient's size, and so magnify its rounding


@dataclass(frozen=True, eq=False, repr=False)
class Paths(Record):
    """Where descent went: for each rule and start the points and the losses, the start first.

    names : of the two coordinates
    rules : by their names, with `rates`
    points : (rules, starts, steps + 1, 2); nan after a path has left what the dtype holds
    losses : (rules, starts, steps + 1), penalty included
    endings : for each rule and start, how it ended
    """

    names: tuple[str, str]
    rules: tuple[str, ...]
    rates: tuple[float, ...]
    points: Tensor = field(repr=False)
    losses: Tensor = field(repr=False)
    endings: tuple[tuple[str, ...], ...]

    def table(self) -> Table:
        """Returns a table with a row for each path: its rule, rate, start, end and ending."""
        rows = []
        for i, (rule, rate) in enumerate(zip(self.rules, self.rates, strict=True)):
            for j, ending in enumerate(self.endings[i]):
                (a, b), (u, v) = self.points[i, j, 0].tolist(), self.points[i, j, -1].tolist()
                rows.append(
                    (rule, rate, f"{a:.4g}, {b:.4g}", f"{u:.6g}, {v:.6g}", float(self.losses[i, j, -1]), ending)
                )
        return Table(("rule", "rate", "start", "end", "loss", "ending"), tuple(rows))

    def as_dict(self) -> dict[str, Any]:
        """Returns rules, rates, ends and endings for JSON, without the points between."""
        columns = ("rule", "rate", "start", "end", "loss", "ending")
        return {"names": list(self.names), "paths": [dict(zip(columns, row, strict=True)) for row in self.table().rows]}


@torch.no_grad()
def paths(
    surface: LossGrid,
    starts: Sequence[Sequence[float]] | Tensor,
    rules: Mapping[str, float] | Sequence[tuple[Rule, float]],
    steps: int = 500,
    *,
    batch_size: int | None = None,
    seed: int = 0,
) -> Paths:
    """Returns the paths of every rule from every start: `steps` steps of the rule at its rate, on the surface's loss.

    The same numbers as `edunn.descend` on these two parameters, to rounding. Nothing ends a path early, so that all are
    of one length; its ending says where it would have ended.

    Parameters
    ----------
    surface : as `edunn.landscape.grid` and `plane` return it; an axis with a single value stays at that value
    starts : (starts, 2), points in the surface's coordinates
    rules : names with their rates, {"adam": 0.1}, or pairs of a rule and its rate
    batch_size : samples of a step, drawn as `edunn.descend` draws them with this seed; None takes all of them
    """
    field = surface.known("a path").to(torch.float64)
    racers = check_rules(rules)
    begin = torch.as_tensor(starts, dtype=torch.float64, device=field.device)
    if begin.ndim != 2 or begin.shape[1] != 2 or not bool(begin.isfinite().all()):
        raise errors.ShapeError(f"starts are finite points of shape (starts, 2); got {errors.shape(begin)}.")
    errors.check_count("steps", steps)
    if len(racers) * len(begin) * steps > MOST:
        raise errors.ConfigError(
            f"{len(racers)} rules × {len(begin)} starts × {steps:,} steps are more than {MOST:,} points. Take fewer."
        )
    groups = gradients(surface, field, [rule for rule, _ in racers], batch_size, seed)
    free = torch.tensor(surface.free, dtype=torch.float64, device=begin.device)
    now = begin.expand(len(racers), -1, -1).clone()
    points = now.new_empty(steps + 1, *now.shape)
    points[0] = now
    parameters = [{"point": here} for here in now]  # views: the step of a rule moves `now`
    for step in range(steps):
        for members, slope in groups:
            moved = (slope(now[members].view(-1, 2), step) * free.unsqueeze(1)).mT.view(len(members), -1, 2)
            for member, gradient in zip(members, moved, strict=True):
                rule, rate = racers[member]
                rule.step(parameters[member], {"point": gradient}, rate)
        points[step + 1] = now
    points = points.permute(1, 2, 0, 3).contiguous()
    losses = losses_along(field, surface.reach, points)
    return Paths(
        names=surface.names,
        rules=tuple(rules) if isinstance(rules, Mapping) else tuple(repr(rule) for rule, _ in racers),
        rates=tuple(rate for _, rate in racers),
        points=points.cpu(),
        losses=losses.cpu(),
        endings=tuple(tuple(map(describe_ending, *lines)) for lines in zip(points, losses, strict=True)),
    )


def check_rules(rules: Mapping[str, float] | Sequence[tuple[Rule, float]]) -> list[tuple[Rule, float]]:
    """Returns the rules without any state, and their rates."""
    given = [(updates.named(name), rate) for name, rate in rules.items()] if isinstance(rules, Mapping) else list(rules)
    if not given:
        raise errors.ConfigError('Paths need a rule or more: {"gradient-descent": 0.5}, or pairs of a rule and a rate.')
    for rule, rate in given:
        if not isinstance(rule, Rule):
            raise errors.ConfigError(f"A rule is one of edunn.updates, or a subclass of Rule; got {rule!r}.")
        errors.check_number(f"the rate of {type(rule).__name__}", rate, 0)
        rule.reset()
    return given


Slope = Callable[[Tensor, int], Tensor]  # points (count, 2), the number of the step → gradients (2, count)


def gradients(
    surface: LossGrid, field: Field, rules: Sequence[Rule], batch_size: int | None, seed: int
) -> list[tuple[list[int], Slope]]:
    """Returns the rules in groups, by their numbers, each group with its gradient.

    Rules that divide by the size of a gradient get it from all samples, since they magnify the error of the few nodes
    that may stand for many samples. The others get the fast gradient, which basins use as well.
    """
    everyone = list(range(len(rules)))
    if batch_size is not None:
        batch = Batches(field, batch_size, seed)
        return [(everyone, batch.gradient)]
    fast = field.slopes(1.1 * surface.reach + 1)
    if field.near(surface.reach) is field:
        return [(everyone, lambda points, _: fast(points))]
    careful = [number for number in everyone if isinstance(rules[number], MAGNIFY)]
    quick = [number for number in everyone if number not in careful]
    groups: list[tuple[list[int], Slope]] = [(quick, lambda points, _: fast(points))] if quick else []
    return groups + ([(careful, lambda points, _: field.at(points, 1)[1:])] if careful else [])


class Batches:
    """The gradient of a mini-batch, the same for all paths of a step: the batches that `edunn.descend` draws."""

    def __init__(self, field: Field, size: int, seed: int) -> None:
        errors.check_count("batch_size", size)
        if not isinstance(field, Plane) or field.total:
            raise errors.ConfigError("Paths of mini-batches need a linear model's scores. Use batch_size=None.")
        self.plane, self.size, self.seed = field, min(size, field.samples), seed
        self.order, self.epoch = torch.empty(0, dtype=torch.int64), -1

    def gradient(self, points: Tensor, step: int) -> Tensor:
        epoch, batch = divmod(step, -(-self.plane.samples // self.size))
        if epoch != self.epoch:
            self.order, self.epoch = permutation(self.plane.samples, self.seed, epoch).to(points.device), epoch
        index = self.order[batch * self.size : (batch + 1) * self.size]
        plane, weights = self.plane, self.plane.weights
        if weights is not None:
            weights = weights[index]
            if not bool(weights.sum() > 0):
                return torch.zeros_like(points).mT
            weights = weights * (len(index) / weights.sum())
        return replace(
            plane,
            targets=plane.targets[index],
            base=plane.base[index],
            first=plane.first[index],
            second=plane.second[index],
            weights=weights,
        ).at(points, 1)[1:]


def losses_along(field: Field, reach: float, points: Tensor) -> Tensor:
    """Returns the loss at every point, (rules, starts, steps + 1); nan where a point is not finite."""
    flat = points.reshape(-1, 2)
    finite = flat.isfinite().all(1)
    inside = finite & (flat[:, 0].abs() <= reach)  # where few nodes may stand for many samples
    losses = flat.new_full((len(flat),), float("nan"))
    losses[inside] = field.near(reach).at(flat[inside])[0]
    outside = finite & ~inside
    if bool(outside.any()):
        losses[outside] = field.at(flat[outside])[0]
    return losses.view(points.shape[:-1])


def describe_ending(points: Tensor, losses: Tensor) -> str:
    """Returns how one path ended: diverged, at rest, or still moving, and after which step."""
    finite = losses.isfinite() & points.isfinite().all(1)
    if not bool(finite.all()):
        return f"diverged: the loss is not finite after step {int((~finite).int().argmax())}"
    moves = (points[1:] - points[:-1]).norm(dim=1)
    still = moves <= REST * (1 + points[1:].norm(dim=1))
    last = len(still) - int(still.flip(0).int().cumprod(0).sum())
    if last < len(still):
        return f"at rest after step {last}"
    if float(losses[-1]) > float(losses[0]):
        return "moving; the loss is higher than at the start"
    return "moving"
