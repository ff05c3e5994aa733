"""The default window of a surface: it contains the start and the minimum, and its size follows from the curvature."""

from __future__ import annotations

import torch
from torch import Tensor

from .minima import newton, sheared
from .planes import Field, Window

# points along an axis: of one feature, of a linear model, and of a net, where each point costs a forward pass
POINTS, PLANE_POINTS, NET_POINTS = 512, 201, 51
NEGLIGIBLE = 1e-6  # a curvature that explains less than this share of the fall from the start is not that of a bowl


def default_window(field: Field, around_start: bool = False) -> tuple[Window, Window]:
    """Returns a window (low, high, count) for each axis, from the curvature and the data's scale.

    If no minimum is found it is ±10 units of the axis (`field.scales`): over it the scores change by about 10.
    Around a minimum it is four times as wide as a quadratic of that curvature needs to rise from the minimum to the
    loss at the start, (0, 0). The start is inside, and so is the minimum.

    Parameters
    ----------
    around_start : centre the window on the start, where a model's weights are, and not on the minimum
    """
    units, minimum = field.scales, find_minimum(field)
    points = POINTS if not around_start else PLANE_POINTS if field.affine else NET_POINTS
    windows = []
    for k, unit in enumerate(units):
        half, centre = 10 * unit, 0.0
        if minimum is not None:
            place, curvature, fall = minimum.point[k], minimum.curvature[k], minimum.fall
            reach = max(unit, abs(place))
            if curvature * reach * reach > NEGLIGIBLE * fall:
                half = 4 * (2 * fall / curvature) ** 0.5
                centre = 0.0 if around_start else place
            half = max(half, 1.25 * abs(place - centre), 1.25 * abs(centre))
        if half < 1e-6 * unit:  # a loss of 0 at the start has nothing to fall
            half = 10 * unit
        windows.append((round_end(centre - half), round_end(centre + half), points))
    return windows[0], windows[1]


class Minimum:
    """A minimum: its `point`, the `curvature` along each axis, and the `fall` of the loss from the start."""

    def __init__(self, field: Field, point: Tensor) -> None:
        start = float(field.at(point.new_zeros(1, 2))[0, 0])
        value, _, _, aa, ab, bb = field.at(point.view(1, 2), 2)[:, 0].tolist()
        a, b = point.tolist()
        self.point, self.curvature = (a, b), (aa, bb)
        self.fall = max(start - value, 0.1 * abs(value), 1e-300)
        # the quadratic model's share of the fall: none far out on separable data, where rounding ends the search
        self.is_bowl = (aa * a * a + 2 * ab * a * b + bb * b * b) / 2 >= NEGLIGIBLE * (start - value)


def find_minimum(field: Field) -> Minimum | None:
    """Returns the minimum of a loss whose scores are affine, or None if none was found from the start."""
    if not field.affine or field.flat or field.falls_forever:
        return None
    precise = field.to(torch.float64)
    start = torch.zeros(2, dtype=torch.float64, device=field.device)
    known = precise.known_minimum(start, start[:1], start[1:])
    if known is not None:
        point = known[0].to(start)
        return Minimum(precise, point) if bool(point.isfinite().all()) else None
    if field.smooth is False:
        return None
    level, shear = precise.upright()
    scale = torch.tensor(level.scales, dtype=torch.float64, device=field.device)
    free = torch.ones(2, dtype=torch.bool, device=field.device)
    state = newton(level, start[None], scale, free, rounds=60)
    if not bool(state.done[0]) or not bool(state.points.isfinite().all()):
        return None
    found = Minimum(precise, sheared(state.points, -shear)[0])
    return found if found.is_bowl else None


def round_end(value: float) -> float:
    """Rounds an end of a window to two digits, so that it is easy to read."""
    return float(f"{value:.2g}")
