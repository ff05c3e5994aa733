"""Builds surfaces from data, a loss and a model: `grid`, `plane` and `line`."""

from __future__ import annotations

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
from . import directions
from .linear import LinearPlane
from .modules import ModulePlane, in_evaluation, is_smooth
from .pairs import as_loss, pair, targets_and_weights, weights_of
from .planes import PenaltyAlong, Window, axis
from .surface import Surface, compute
from .windows import default_window


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
    sample_weight: Any = None,
) -> Surface:
    """Returns the surface of the mean loss over (w, b), for one feature with the scores w·x + b.

    Parameters
    ----------
    x : (samples,) or (samples, 1)
    y : (samples,), as the loss wants them: bits, signs or real numbers
    w, b : (low, high, count) with both ends included, or the values. One number for b is the curve L(w) at that b.
        A window that is left out follows from the curvature and the data's scale: see `windows.default_window`.
    method : auto, direct, exact or spectral
    sample_weight : (samples,), finite and 0 or more: the mean is Σ w ℓ / Σ w
    dtype : of the computation and the values; float32 is faster in `direct`. `error` includes the rounding of x
    derivatives : compute gradient and Hessian in the same pass; else they are computed when they are needed
    split : for several processes that share the surface, `edunn.runtime.processes.ranks().split`; each of them
        calls this, and then calls the same methods of the surface in the same order

    Returns
    -------
    Surface : `values[i, j]` at (w_i, b_j)
    """
    plane = replace(one_feature(x, y, loss, penalty, torch.float64, device, sample_weight), split=split)
    if isinstance(b, int | float):
        b = (float(b), float(b), 1)
    if w is None or b is None:
        chosen = default_window(plane if not isinstance(b, tuple) or b[0] != b[1] else plane.held(None, b[0]))
        w, b = chosen[0] if w is None else w, chosen[1] if b is None else b
    first, second = axis("w", w), axis("b", b)
    return compute(plane, first, second, method, order=2 if derivatives else 0, dtype=dtype)


def one_feature(
    x: Any,
    y: Any,
    loss: Loss,
    penalty: Penalty | None,
    dtype: torch.dtype,
    device: torch.device | str | None,
    sample_weight: Any = None,
) -> LinearPlane:
    """Checks x and y, and returns the loss over (w, b) for one feature x, whose scores are w·x + b."""
    x, y = (numbers(values).to(device=device, dtype=dtype) for values in (x, y))
    if x.ndim == 2 and x.shape[1] == 1:
        x = x.squeeze(1)
    if x.ndim != 1:
        raise errors.ShapeError(
            f"The (w, b) grid takes one feature, x of shape (samples,); got {errors.shape(x)}. For more features use "
            f"edunn.landscape.plane with a model."
        )
    if loss.class_axis:
        raise errors.ConfigError(
            f"The (w, b) grid takes a loss of one score; {type(loss).__name__} has a class axis. Use "
            f"edunn.landscape.plane with a model."
        )
    errors.check_finite("x", x)
    loss.check(x, y)  # scores have x's shape
    weights = weights_of(sample_weight, x, len(x))
    if weights is not None:  # a sample of weight 0 adds no kink and stops no descent
        counted = weights > 0
        x, y = x[counted], y[counted]
        weights = weights_of(weights[counted], x, len(x))
    along = None
    if penalty is not None:
        both = torch.eye(2, dtype=x.dtype, device=x.device)[:, : 2 if penalty.bias else 1]
        along = PenaltyAlong(penalty, torch.zeros_like(both[0]), both[0].clone(), both[1].clone())
    return LinearPlane(loss, y, torch.zeros_like(x), x, torch.ones_like(x), True, ("w", "b"), along, weights=weights)


def numbers(values: Any) -> Tensor:
    """Returns a tensor unchanged; a list or array as float64 (torch would read a list of numbers as float32)."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values, dtype=np.float64).copy())


def plane(
    model: nn.Module,
    loss: Any,
    data: Any,
    first: Mapping[str, Tensor] | None = None,
    second: Mapping[str, Tensor] | None = None,
    a: Window | Tensor | None = None,
    b: Window | Tensor | None = None,
    *,
    seed: int = 0,
    method: str = "auto",
    penalty: Penalty | None = None,
    names: tuple[str, str] = ("a", "b"),
    derivatives: bool = False,
    split: Split = whole,
) -> Surface:
    """Returns the surface of the mean loss over θ0 + a·first + b·second, θ0 being the model's weights.

    The model is not touched: a net in training mode is copied, and the copy is evaluated in evaluation mode. (0, 0),
    the model's own weights, is a grid point: the nearest value of each axis is moved to 0 if 0 is inside the window.
    The surface's `notes` name every choice that the caller left open.

    Parameters
    ----------
    model : a linear model (its scores are affine in its weights, so three tensors of scores are enough), or any
        module that maps features to scores
    loss : one of `edunn.losses`, or any function of (scores, targets) that gives their mean, such as
        `torch.nn.CrossEntropyLoss()`
    data : `Samples` (with their weights), a pair (features, targets), or a torch Dataset or DataLoader of such pairs
    first, second : directions by parameter name: see `edunn.landscape.directions`. If left out: random and
        filter-normalised, from the seeds 2·seed and 2·seed + 1
    a, b : (low, high, count), or the values. If left out: from the curvature at a linear model's weights, else ±1
    penalty : added along the plane of a linear model
    split : as for `grid`
    """
    start, notes = in_evaluation(model)
    if first is None or second is None:
        chosen = default_directions(model, seed)
        first, second = first or chosen[0], second or chosen[1]
        notes += (chosen[2],)
    field = along(start, loss, data, first, second, penalty, names)
    field = replace(field, split=split)
    if field.affine:
        notes = notes[1:] if start is not model else notes  # a linear model is the same in both modes
    if a is None or b is None:
        windows = default_window(field, around_start=True)
        low, high = (f"{name} from {w[0]:g} to {w[1]:g}" for name, w in zip(names, windows, strict=True))
        notes += ("window chosen: " + " and ".join([low] * (a is None) + [high] * (b is None)),)
        a, b = windows[0] if a is None else a, windows[1] if b is None else b
    axes = axis(names[0], a, 0.0), axis(names[1], b, 0.0)
    return compute(field, *axes, method, 2 if derivatives else 0, notes=notes)


def default_directions(model: nn.Module, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor], str]:
    """Returns two random directions, filter-normalised unless all weights are 0, and a sentence that says so."""
    draw = directions.filter_normalised if directions.has_filters(model) else directions.random
    how = "filter-normalised" if draw is directions.filter_normalised else "of length 1, as no filter is other than 0"
    return draw(model, 2 * seed), draw(model, 2 * seed + 1), f"directions: random, {how}, seed {seed}"


def line(
    model: nn.Module,
    loss: Any,
    data: Any,
    along: Mapping[str, Tensor],
    a: Window | Tensor | None = None,
    *,
    method: str = "auto",
    penalty: Penalty | None = None,
    name: str = "a",
) -> Surface:
    """Returns the curve of the mean loss along θ0 + a·along: a surface whose second axis is the single value 0."""
    nowhere = {key: torch.zeros_like(p) for key, p in directions.parameters(model).items()}
    names = (name, "b" if name != "b" else "a")
    return plane(model, loss, data, along, nowhere, a, (0.0, 0.0, 1), method=method, penalty=penalty, names=names)


@torch.no_grad()
def along(
    model: nn.Module,
    loss: Any,
    data: Any,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    penalty: Penalty | None = None,
    names: tuple[str, str] = ("a", "b"),
    chunk: int = 16_384,
) -> LinearPlane | ModulePlane:
    """Returns the loss over a plane of weights as a field, which gives its value and derivatives at any (a, b).

    A linear model is replaced by three tensors of scores (see `planes`); any other module is called at each point.
    """
    loss = as_loss(loss)
    features, targets = pair(data, model)
    targets, weights = targets_and_weights(loss, features, targets, getattr(data, "sample_weight", None))
    here = directions.parameters(model)
    for direction in (first, second):
        directions.check_names(here, direction)
    first, second = ({k: d[k].to(p) for k, p in here.items()} for d in (first, second))
    if loss.class_axis is False and not targets.dtype.is_floating_point:
        targets = targets.to(next(iter(here.values())).dtype)
    if not (isinstance(model, LinearModel) and isinstance(loss, Loss)):
        if penalty is not None:
            raise errors.ConfigError(
                "A penalty along the plane needs a linear model and one of edunn.losses; leave penalty out."
            )
        if weights is not None and not isinstance(loss, Loss):
            raise errors.ConfigError(
                f"{loss.name} gives one number for all samples, so it cannot be weighted. Take one of edunn.losses."
            )
        smooth = is_smooth(model, loss)
        field = ModulePlane(model, loss, features, targets, here, first, second, smooth, names, weights=weights)
        with torch.random.fork_rng():
            loss.check(field.scores(torch.zeros(2, dtype=field.dtype, device=field.device)), targets)
        return field
    # a linear model is linear in its parameters: with the direction in their place, it gives the scores' change
    base, along_a, along_b = (
        torch.cat([functional_call(model, dict(d), (part,)) for part in features.split(chunk)])
        for d in (here, first, second)
    )
    errors.check_finite("features", features)
    loss.check(base, targets)
    penalty_along = None
    if penalty is not None:
        concerned = [directions.flat(penalty.penalised(dict(d))) for d in (here, first, second)]
        penalty_along = PenaltyAlong(penalty, *concerned)
    return LinearPlane(loss, targets, base, along_a, along_b, names=names, penalty=penalty_along, weights=weights)
