"""From data, a loss and a model to a surface: `grid`, `plane` and `line`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .. import errors
from ..losses import Loss
from ..models import LinearModel
from ..penalties import Penalty
from ..runtime.threads import Split, whole
from . import directions, methods, spectral
from .minima import newton
from .modules import ModulePlane
from .planes import Field, PenaltyAlong, Plane, Window, axis
from .surface import Surface, compute

POINTS, PLANE_POINTS = 512, 201  # along an axis whose window nobody gave: of one feature, and of a model
KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Hardtanh, nn.ReLU6, nn.MaxPool1d, nn.MaxPool2d, nn.Threshold)


def grid(
    x: Any,
    y: Any,
    loss: Loss,
    w: Window | Tensor | None = None,
    b: Window | Tensor | float | None = None,
    *,
    method: str = "auto",
    penalty: Penalty | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
    derivatives: bool = False,
    split: Split = whole,
) -> Surface:
    """The surface of the mean loss of one feature's scores w·x + b.

    Parameters
    ----------
    x : (samples,) or (samples, 1)
    y : (samples,), as the loss wants them: bits, signs or real numbers
    w, b : (low, high, count) with both ends included, or the values. One number for b is the curve L(w) at that b.
        What is not given is chosen from the curvature and the data's scale: see `window`.
    method : auto, direct, exact or spectral
    dtype : of the computation. float64; float32 is faster in `direct`
    derivatives : compute gradient and Hessian in the same pass (else they are computed when they are asked for)
    split : for several processes that share the surface, `edunn.runtime.processes.ranks().split`; each of them
        calls this, and then asks the same of the surface in the same order

    Returns
    -------
    Surface : `values[i, j]` at (w_i, b_j)
    """
    plane = replace(one_feature(x, y, loss, penalty, dtype, device), split=split)
    if isinstance(b, int | float):
        b = (float(b), float(b), 1)
    if w is None or b is None:
        chosen = window(plane)
        w, b = chosen[0] if w is None else w, chosen[1] if b is None else b
    first, second = axis("w", w), axis("b", b)
    return compute(plane, first, second, method, order=2 if derivatives else 0)


def one_feature(
    x: Any, y: Any, loss: Loss, penalty: Penalty | None, dtype: torch.dtype, device: torch.device | str | None
) -> Plane:
    """The plane of one feature: S0 = 0, S1 = x, S2 = 1, checked."""
    x, y = (numbers(values).to(device=device, dtype=dtype) for values in (x, y))
    if x.ndim == 2 and x.shape[1] == 1:
        x = x.squeeze(1)
    if x.ndim != 1:
        raise errors.ShapeError(
            f"Expected one feature, x of shape (samples,); got {errors.shape(x)}. For more features use "
            f"edunn.landscape.plane with a model and two directions."
        )
    if loss.class_axis:
        raise errors.ConfigError(
            f"Expected a loss on one score for the (w, b) grid; got {type(loss).__name__}, which has a class axis. Use "
            f"edunn.landscape.plane with a model."
        )
    errors.check_finite("x", x)
    loss.check(x, y)  # scores have x's shape
    along = None
    if penalty is not None:
        both = torch.eye(2, dtype=x.dtype, device=x.device)[:, : 2 if penalty.bias else 1]
        along = PenaltyAlong(penalty, torch.zeros_like(both[0]), both[0].clone(), both[1].clone())
    return Plane(loss, y, torch.zeros_like(x), x, torch.ones_like(x), True, ("w", "b"), along)


def numbers(values: Any) -> Tensor:
    """A tensor as it is; lists and arrays with all their digits (torch would read a list of numbers as float32)."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values, dtype=np.float64).copy())


def plane(
    model: nn.Module,
    loss: Loss,
    samples: Any,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    a: Window | Tensor | None = None,
    b: Window | Tensor | None = None,
    *,
    method: str = "auto",
    penalty: Penalty | None = None,
    names: tuple[str, str] = ("a", "b"),
    derivatives: bool = False,
    split: Split = whole,
) -> Surface:
    """The surface of the mean loss over θ0 + a·first + b·second, θ0 being the model's weights.

    The model is not touched, and (0, 0), where it stands, lies on the grid: the nearest value of each axis is moved
    there if 0 is inside the window. The axes come back with the values.

    Parameters
    ----------
    model : a linear model (its scores are affine in its weights: three score tensors are all that is needed), or any
        module that maps features to scores
    samples : `Samples`, or a pair (features, targets)
    first, second : directions by parameter name: see `edunn.landscape.directions`
    a, b : (low, high, count), or the values; what is not given is chosen from the curvature at the model's weights
    penalty : added along the plane
    split : as for `grid`
    """
    field = along(model, loss, samples, first, second, penalty, names)
    field = replace(field, split=split)
    if a is None or b is None:
        chosen = window(field, around_start=True)
        a, b = chosen[0] if a is None else a, chosen[1] if b is None else b
    axes = axis(names[0], a, 0.0), axis(names[1], b, 0.0)
    order = 2 if derivatives else 0
    return compute(field, *axes, method, order) if isinstance(field, Plane) else interpolated(field, *axes, method)


def line(
    model: nn.Module,
    loss: Loss,
    samples: Any,
    along: Mapping[str, Tensor],
    a: Window | Tensor | None = None,
    *,
    method: str = "auto",
    penalty: Penalty | None = None,
    name: str = "a",
) -> Surface:
    """The curve of the mean loss along θ0 + a·along: a surface whose second axis is the single value 0."""
    nowhere = {key: torch.zeros_like(p) for key, p in directions.parameters(model).items()}
    names = (name, "b" if name != "b" else "a")
    return plane(model, loss, samples, along, nowhere, a, (0.0, 0.0, 1), method=method, penalty=penalty, names=names)


@torch.no_grad()
def along(
    model: nn.Module,
    loss: Loss,
    samples: Any,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    penalty: Penalty | None = None,
    names: tuple[str, str] = ("a", "b"),
    chunk: int = 16_384,
) -> Plane | ModulePlane:
    """The field of a loss over a plane of weights: of a linear model by three score tensors, else by the module."""
    features, targets = directions.parts(samples)
    here = directions.parameters(model)
    for direction in (first, second):
        directions.check_names(here, direction)
    first, second = ({k: d[k].to(p) for k, p in here.items()} for d in (first, second))
    if not loss.class_axis and not targets.dtype.is_floating_point:
        targets = targets.to(next(iter(here.values())).dtype)
    if not isinstance(model, LinearModel):
        if penalty is not None:
            raise errors.ConfigError("Expected a linear model for a penalty along the plane; leave penalty out.")
        smooth = not any(isinstance(m, KINKED) for m in model.modules()) and loss.smooth
        field = ModulePlane(model, loss, features, targets, here, first, second, smooth, names)
        scores = field.scores(torch.zeros(2, dtype=field.dtype, device=field.device))
        loss.check(scores, targets)
        return field
    # a linear model is linear in its parameters: with the direction in their place, it gives the scores' change
    base, along_a, along_b = (
        torch.cat([functional_call(model, dict(d), (part,)) for part in features.split(chunk)])
        for d in (here, first, second)
    )
    errors.check_finite("features", features)
    loss.check(base, targets)
    priced = None
    if penalty is not None:
        concerned = [directions.flat(penalty.penalised(dict(d))) for d in (here, first, second)]
        priced = PenaltyAlong(penalty, *concerned)
    return Plane(loss, targets, base, along_a, along_b, names=names, penalty=priced)


@torch.no_grad()
def interpolated(field: ModulePlane, first: Tensor, second: Tensor, method: str) -> Surface:
    """The surface of any module: at every point (`direct`), or at nodes where the coefficients decay (`spectral`)."""
    if method not in ("auto", "direct", "spectral"):
        raise errors.ConfigError(f"Expected auto, direct or spectral for a module that is not linear; got {method!r}.")
    start = time.perf_counter()
    values = None
    if method == "spectral" or (method == "auto" and field.smooth):
        values = spectral.sampled(field, first, second)
    used = "direct" if values is None else "spectral"
    if values is None:
        points = torch.cartesian_prod(first, second).view(-1, 2)
        values = field.split(field.at, points, 1).view(len(first), len(second))
    error = methods.measured_error(field, first, second, values)
    about = f"{type(field.loss).__name__} of {type(field.model).__name__}, {field.samples:,} samples"
    return Surface(first, second, values, field.names, about, used, error, time.perf_counter() - start, field)


def window(field: Field, around_start: bool = False) -> tuple[Window, Window]:
    """A window from the curvature and the data's scale.

    About the minimum, where there is one within reach: four times as wide, along each axis, as the quadratic model
    needs to rise by what the loss falls from the start (0, 0) to the minimum; and the start is inside. Else ±10 in
    units of the axis' own scale, 1/√(mean S²), over which the scores change by about 10.
    """
    zero = torch.zeros(1, 2, dtype=torch.float64, device=field.device)
    precise = field.to(torch.float64)
    sizes = [1.0, 1.0]
    if isinstance(field, Plane):
        sizes = [1 / max(float(s.double().square().mean()) ** 0.5, 1e-300) for s in (field.first, field.second)]
        sizes = [size if size < 1e200 else 1.0 for size in sizes]
    elif isinstance(field, ModulePlane):
        sizes = [0.1, 0.1]  # ten of them are a whole direction
    found = None
    if isinstance(field, Plane) and field.loss.smooth:
        scale = torch.tensor(sizes, dtype=torch.float64, device=field.device)
        free = torch.ones(2, dtype=torch.bool, device=field.device)
        state = newton(precise, zero, scale, free, 1e-15 * float(precise.at(zero)[0, 0]), rounds=60)
        if bool(state.done[0]) and bool(state.points.isfinite().all()):
            found = state
    windows = []
    for k in (0, 1):
        half, centre = 10 * sizes[k], 0.0
        if found is not None:
            curvature = float(found.jets[3 if k == 0 else 5, 0])
            place, fall = float(found.points[0, k]), float(found.start[0] - found.jets[0, 0])
            fall = max(fall, 0.1 * abs(float(found.jets[0, 0])), 1e-300)
            if curvature > 1e-6 * fall / sizes[k] ** 2 and abs(place) < 1e4 * sizes[k]:
                half = 4 * (2 * fall / curvature) ** 0.5
                centre = 0.0 if around_start else place
                half = max(half, 1.25 * abs(place - centre), 1.25 * abs(centre))
            if half < 1e-6 * sizes[k]:  # a loss of 0 at the start has nothing to fall
                half = 10 * sizes[k]
        low, high = rounded(centre - half), rounded(centre + half)
        windows.append((low, high, PLANE_POINTS if around_start else POINTS))
    return windows[0], windows[1]


def rounded(value: float) -> float:
    """To two digits: a window's ends are for people."""
    return float(f"{value:.2g}")
