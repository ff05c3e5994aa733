"""The default window of a surface: wide enough to hold the start and the minimum, no wider than the bowl asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from ..losses import AbsoluteError
from . import kinks
from .exact import is_quadratic, least_squares
from .minima import is_hinge, newton
from .modules import ModulePlane
from .planes import Field, Plane, Window

POINTS, PLANE_POINTS = 512, 201  # along an axis whose window no one has set: of one feature, and of a model
NEGLIGIBLE = 1e-6  # a curvature that explains less than this share of the fall from the start belongs to no bowl


def default_window(field: Field, around_start: bool = False) -> tuple[Window, Window]:
    """Returns a window (low, high, count) for each axis, from the curvature and the data's scale.

    Without a minimum within reach it is ±10 units of the axis, 1/√(mean S²): over it the scores change by about 10.
    Around a minimum it is four times as wide as the quadratic model needs to rise by what the loss falls from the start
    (0, 0) to the minimum. The start is inside, and so is the minimum.

    Parameters
    ----------
    around_start : centre the window on the start, where a model's weights are, and not on the minimum
    """
    units = axis_units(field)
    minimum = find_minimum(field, units)
    windows = []
    for k in (0, 1):
        half, centre = 10 * units[k], 0.0
        if minimum is not None:
            place, curvature, fall = minimum.point[k], minimum.curvature[k], minimum.fall
            if curvature * max(units[k], abs(place)) ** 2 > NEGLIGIBLE * fall:
                half = 4 * (2 * fall / curvature) ** 0.5
                centre = 0.0 if around_start else place
            half = max(half, 1.25 * abs(place - centre), 1.25 * abs(centre))
        if half < 1e-6 * units[k]:  # a loss of 0 at the start has nothing to fall
            half = 10 * units[k]
        windows.append((round_end(centre - half), round_end(centre + half), PLANE_POINTS if around_start else POINTS))
    return windows[0], windows[1]


def axis_units(field: Field) -> tuple[float, float]:
    """Returns the length along each axis that changes the scores by about 1; 0.1 for a module, whose scale is open."""
    if not isinstance(field, Plane):
        return (0.1, 0.1) if isinstance(field, ModulePlane) else (1.0, 1.0)
    sizes = [1 / max(float(s.double().square().mean()) ** 0.5, 1e-300) for s in (field.first, field.second)]
    first, second = (size if size < 1e200 else 1.0 for size in sizes)
    return first, second


class Minimum:
    """A minimum: its `point`, the `curvature` along each axis, and the `fall` of the loss from the start to it."""

    def __init__(self, plane: Plane, point: Tensor) -> None:
        start = float(plane.at(point.new_zeros(1, 2))[0, 0])
        value, _, _, aa, ab, bb = plane.at(point.view(1, 2), 2)[:, 0].tolist()
        a, b = point.tolist()
        self.point = (a, b)
        self.curvature = (aa, bb)
        self.fall = max(start - value, 0.1 * abs(value), 1e-300)
        self.explained = (aa * a * a + 2 * ab * a * b + bb * b * b) / 2  # the fall by the quadratic model
        self.fell = start - value


def find_minimum(field: Field, units: tuple[float, float]) -> Minimum | None:
    """Returns the minimum of a loss of a linear model, or None: there is none, or it is not found from the start."""
    if not isinstance(field, Plane):
        return None
    plane = field.to(torch.float64)
    if plane.penalty is None and is_quadratic(plane.loss):
        point = least_squares(plane)[0]
        return Minimum(plane, point) if bool(point.isfinite().all()) else None
    if plane.penalty is None and (isinstance(plane.loss, AbsoluteError) or is_hinge(plane.loss)):
        point = kinks.lowest_vertex(plane, torch.zeros(2, dtype=torch.float64, device=plane.device))
        return Minimum(plane, point) if bool(point.isfinite().all()) else None
    if not plane.loss.smooth:
        return None
    # real targets set a scale of their own: a line through y ~ 30,000 has weights of that order
    height = 1.0
    if plane.loss.labels == "real":
        height = max(1.0, float(plane.targets.double().square().mean()) ** 0.5)
    scale = height * torch.tensor(units, dtype=torch.float64, device=plane.device)
    start = torch.zeros(1, 2, dtype=torch.float64, device=plane.device)
    free = torch.ones(2, dtype=torch.bool, device=plane.device)
    state = newton(plane, start, scale, free, 1e-15 * float(plane.at(start)[0, 0]), rounds=60)
    if not bool(state.done[0]) or not bool(state.points.isfinite().all()):
        return None
    found = Minimum(plane, state.points[0])
    # far out on separable data the steps also end, by rounding: there the curvature explains nothing of the fall
    return found if found.explained >= NEGLIGIBLE * found.fell else None


def round_end(value: float) -> float:
    """Rounds to two digits, for a person to read."""
    return float(f"{value:.2g}")
