"""Exact minima of piecewise linear losses, which lie where two lines of kinks cross.

Along a plane sample i has the score S0_i + a S1_i + b S2_i (see `planes`), and its loss has a kink on the line where
the score equals k_i: k_i = y_i for the absolute error and k_i = Δ y_i for the hinge; between the lines the loss is
linear. So a lowest point is a crossing of two lines (or a whole edge or face, of which a crossing is a part), and it is
reached by going down along lines, each time as far as the loss falls: the simplex method of Barrodale and Roberts
(1973), in two dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .planes import Plane

STEPS = 1000


def fits(plane: Plane) -> bool:
    """Returns whether each sample's loss is convex, and linear on both sides of one kink."""
    loss = plane.loss
    straight = bool(loss.convex) and loss.curvature_bound == 0 and not loss.class_axis and plane.penalty is None
    return straight and loss.kink(plane.targets) is not None


def lowest_vertex(plane: Plane, start: Tensor) -> Tensor:
    """Returns the coordinates (a, b) of a minimum of the loss, (2,), whatever the starting point."""
    lines = Lines(plane)
    point = start.to(plane.first)
    for _ in range(STEPS):
        direction, slope = lines.steepest(point)
        if direction is None:
            break
        step = lines.step_length(point, direction, slope)
        if step is None:
            break
        point = lines.snap(point + step * direction)
    return point


class Lines:
    """The lines along which the samples' losses have kinks, and the slope of the loss between them."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        kinks = plane.loss.kink(plane.targets)
        assert kinks is not None
        self.kinks = kinks
        self.normals = torch.stack([plane.first, plane.second], 1)  # (samples, 2)
        # the slope of each sample's loss in its score, below and above its kink
        self.below = plane.loss.pointwise_gradient(self.kinks - 1, plane.targets)
        self.above = plane.loss.pointwise_gradient(self.kinks + 1, plane.targets)
        if plane.weights is not None:
            self.below, self.above = self.below * plane.weights, self.above * plane.weights

    def gaps(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Returns each score minus that of its kink, and which lines pass through the point (up to rounding)."""
        moved = self.normals * point
        gaps = self.plane.base + moved.sum(1) - self.kinks
        noise = 1e-13 * (self.plane.base.abs() + moved.abs().sum(1) + self.kinks.abs())
        return gaps, gaps.abs() <= noise

    def slope(self, gaps: Tensor, on: Tensor, direction: Tensor) -> float:
        """Returns the one-sided derivative along a direction; a sample on its kink counts with the side ahead."""
        speed = self.normals @ direction
        side = torch.where(on, speed, gaps)
        return float((torch.where(side > 0, self.above, self.below) * speed).sum() / self.plane.samples)

    def steepest(self, point: Tensor) -> tuple[Tensor | None, float]:
        """Returns the direction of steepest descent, and the slope along it; None at a minimum.

        Within a cone between neighbouring lines the slope is linear, so if the loss rises along all lines through the
        point, it rises everywhere. With one line, or none, the gradients beside it are candidates as well.
        """
        gaps, on = self.gaps(point)
        directions = self.directions(gaps, on)
        slopes = [self.slope(gaps, on, d) for d in directions]
        size = float((torch.maximum(self.above.abs(), self.below.abs()) * self.normals.norm(dim=1)).mean())
        if not slopes or min(slopes) >= -1e-12 * size:
            return None, 0.0
        k = slopes.index(min(slopes))
        return directions[k], slopes[k]

    def directions(self, gaps: Tensor, on: Tensor) -> list[Tensor]:
        unit = self.normals[on]
        length = unit.norm(dim=1, keepdim=True)
        unit = (unit / length.clamp(min=1e-300))[length.squeeze(1) > 0]
        unit = unit * torch.where(unit[:, :1] < 0, -1.0, 1.0)  # each line has two unit normals: one sign is chosen
        unit = torch.unique((unit * 1e12).round() / 1e12, dim=0)
        along = [s * torch.stack([-n[1], n[0]]) for n in unit for s in (1.0, -1.0)]
        if len(unit) > 1:
            return along
        if len(unit) == 1:
            return [*along, unit[0], -unit[0]]
        slopes = torch.where(gaps > 0, self.above, self.below)
        down = -(slopes.unsqueeze(1) * self.normals).sum(0)
        return [down / down.norm()] if float(down.norm()) > 0 else []

    def step_length(self, point: Tensor, direction: Tensor, slope: float) -> float | None:
        """Returns the step to the kink at which the loss stops falling. The slope increases at each kink."""
        gaps, on = self.gaps(point)
        speed = self.normals @ direction
        ahead = ~on & (speed != 0) & (gaps / torch.where(speed == 0, 1.0, speed) < 0)
        times = -gaps[ahead] / speed[ahead]
        if len(times) == 0:
            return None
        times, order = times.sort()
        jumps = ((self.above - self.below)[ahead] * speed[ahead].abs())[order] / self.plane.samples
        slopes = slope + jumps.cumsum(0)
        stops = (slopes >= -1e-12 * abs(slope)).nonzero()
        return float(times[int(stops[0])]) if len(stops) else float(times[-1])

    def snap(self, point: Tensor) -> Tensor:
        """Removes rounding errors: moves a point to the crossing of the lines through it, or onto a single line."""
        gaps, on = self.gaps(point)
        near = on.nonzero().squeeze(1)
        if len(near) == 0:
            return point
        first = self.normals[near[0]]
        turn = (first[0] * self.normals[near, 1] - first[1] * self.normals[near, 0]).abs()
        other = near[int(turn.argmax())]
        if float(turn.max()) <= 1e-9 * float(first.norm() * self.normals[other].norm()):
            return point - gaps[near[0]] * first / (first @ first).clamp(min=1e-300)  # one line, or equal ones
        matrix = torch.stack([first, self.normals[other]])
        shift = torch.linalg.solve(matrix, torch.stack([gaps[near[0]], gaps[other]]))
        return point - shift


def best_threshold(plane: Plane, first: Tensor, second: Tensor) -> tuple[Tensor, float]:
    """Returns a point (w, b), scaled to the window, with the fewest misclassified samples, and their share.

    Only the sign of w x + b counts, so it is enough to try a threshold between each two neighbouring x, with +1 on its
    left or on its right.
    """
    x, order = plane.x.sort()
    counts = torch.ones_like(x) if plane.weights is None else plane.weights[order]
    positive = counts * (plane.targets[order] > 0)
    # errors if the k lowest are classified as −1 and the others as +1; a k that would separate equal x is not allowed
    ups = torch.nn.functional.pad(positive.cumsum(0), (1, 0))
    downs = torch.nn.functional.pad((counts - positive).cumsum(0), (1, 0))
    rising = ups + (downs[-1] - downs)
    falling = downs + (ups[-1] - ups)
    allowed = torch.ones_like(rising, dtype=torch.bool)
    allowed[1:-1] = x[1:] > x[:-1]
    errors = torch.where(allowed, torch.stack([rising, falling]), float("inf"))
    side, k = divmod(int(errors.argmin()), len(rising))
    edges = torch.cat([x[:1] - 1, x, x[-1:] + 1])
    threshold = (edges[k] + edges[k + 1]) / 2
    w = float(first.abs().max()) / 2 or 1.0
    room = float(second.abs().max()) / 2 or 1.0
    w = min(w, room / max(abs(float(threshold)), 1e-300)) * (1 if side == 0 else -1)
    return torch.tensor([w, -w * float(threshold)], dtype=x.dtype), float(errors.min()) / plane.samples


def best_on_curve(plane: Plane, first: Tensor) -> tuple[Tensor, float]:
    """Returns the point with the fewest misclassified samples on a curve (b is fixed), and their share.

    A score S0 + a·S1 changes sign once, at a = −S0/S1, so the count of errors is constant between these values of a. A
    score of 0 is an error, so the value itself is never better than both its sides. Of several best intervals the
    widest inside the window is taken, and its middle is returned.
    """
    turns = plane.first != 0
    places, order = (-plane.base[turns] / plane.first[turns]).sort()
    rising = (plane.targets * plane.first)[turns][order] > 0  # wrong to the left of its a, right beyond it
    counts = torch.ones_like(plane.base) if plane.weights is None else plane.weights
    constant = float((counts * (plane.targets * plane.base <= 0))[~turns].sum())
    counts = counts[turns][order]
    steps = torch.where(rising, -counts, counts)
    errors = constant + torch.nn.functional.pad(steps.cumsum(0), (1, 0)) + float(counts[rising].sum())
    low, high = float(first[0]), float(first[-1])
    margin = (high - low) or 1.0
    ends = torch.cat([places, places.new_tensor([low, high])])
    edges = torch.cat([ends.min().view(1) - margin, places, ends.max().view(1) + margin])
    left, right = edges[:-1], edges[1:]
    errors = torch.where(right > left, errors, float("inf"))
    inside = (torch.minimum(right, right.new_tensor(high)) - torch.maximum(left, left.new_tensor(low))).clamp(min=0)
    best = errors == errors.min()
    k = int(torch.where(best, inside if bool((inside[best] > 0).any()) else right - left, -1.0).argmax())
    if float(inside[k]) > 0:
        left, right = left.clamp(min=low), right.clamp(max=high)
    middle = left[k] + (right[k] - left[k]) / 2
    return torch.stack([middle, torch.zeros_like(middle)]), float(errors[k]) / plane.samples
