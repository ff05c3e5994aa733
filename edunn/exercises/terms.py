"""Splits a wrong gradient into its data term and its penalty, by calling the hand-in once more with λ = 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..gradcheck import Row, witnesses
from ..gradcheck.diagnosis import Terms
from ..gradcheck.diagnosis.factors import Sizes
from .calls import HandinError
from .exercise import GradientExercise
from .fit import Fit
from .point import Point, is_real
from .signature import find_argument


def split(point: Point, row: Row, fit: Fit) -> Terms | None:
    """Returns the terms of one wrong gradient; None where it has no such shape, or cannot be called with λ = 0."""
    hand, right, exercise = row.hand, row.right, point.handin.exercise
    if hand is None or right is None or hand.shape != right.shape or not bool(hand.isfinite().all()):
        return None
    name, sizes = find_strength(point.arguments), find_sizes(point, fit)
    name = None if name == row.parameter else name
    where, here = row.parameter, point.arguments[row.parameter]
    forward = point.handin.forward
    kind = exercise.kind if isinstance(exercise, GradientExercise) else "layer" if forward else "objective"
    averaged = kind in ("loss", "objective")
    hand = hand.double()
    if name is None or kind == "penalty":
        if kind == "penalty":
            return Terms(where, torch.zeros_like(right), torch.zeros_like(right), here, sizes, hand, right)
        return Terms(where, hand, right, here, sizes, averaged=averaged)
    still = {**point.arguments, name: 0.0}
    try:
        hand_data = point.gradients(still)[where].double()
        right_data = differentiate(point, still, where, fit)
    except (HandinError, KeyError):
        return None
    return Terms(where, hand_data, right_data, here, sizes, hand - hand_data, right - right_data, averaged)


def differentiate(point: Point, arguments: Mapping[str, Any], where: str, fit: Fit) -> Tensor:
    """Returns the right gradient at other arguments: by autograd of the fitted value, or by differences."""
    if fit.value is not None and not fit.loose:
        return witnesses.autograd(lambda at: fit.value({**arguments, where: at}), arguments[where])
    found = witnesses.numeric(lambda at: point.scalar({**arguments, where: at}), arguments[where], point.seed)
    right = torch.zeros_like(arguments[where])
    right.view(-1)[found.index] = (found.low + found.high) / 2
    return right


def find_strength(arguments: Mapping[str, Any]) -> str | None:
    """Returns which argument is λ: a number, by its name."""
    numbers = [name for name, value in arguments.items() if not isinstance(value, Tensor) or value.ndim == 0]
    return next((name for name in numbers if name not in ("c", "C", "l") and find_argument(name, ["strength"])), None)


def find_sizes(point: Point, fit: Fit) -> Sizes:
    """Returns N, C, D and λ: from whole-number labels, else from the axis that the arguments share."""
    arguments = point.arguments
    name = find_strength(arguments)
    labels = [v for v in arguments.values() if isinstance(v, Tensor) and not v.is_floating_point() and v.ndim]
    reals = {k: v for k, v in arguments.items() if is_real(v) and v.ndim}
    features = next((v for k, v in reals.items() if find_argument(k, ["features"])), None)
    features = features if features is not None else next((v for v in reals.values() if v.ndim == 2), None)
    if labels:
        samples = len(labels[0].reshape(-1))
    elif features is not None:
        shared = [n for n in features.shape if any(n in v.shape for v in reals.values() if v is not features)]
        samples = features.shape[0] if features.shape[0] in shared or not shared else shared[0]
    else:
        samples = max((len(v) for v in reals.values()), default=1)
    if point.handin.exercise is not None and features is not None:
        samples = features.shape[0]
    if "scores" in arguments and isinstance(arguments["scores"], Tensor) and arguments["scores"].ndim:
        samples = len(arguments["scores"])
    classes = int(labels[0].max()) + 1 if labels else 1
    scores = arguments.get("scores", arguments.get("weight"))
    if isinstance(scores, Tensor) and scores.ndim == 2:
        classes = scores.shape[-1] if "scores" in arguments else scores.shape[0]
    dimension = 1 if features is None else max((n for n in features.shape if n != samples), default=1)
    strength = float(arguments[name]) if name is not None else 1.0
    return Sizes(samples, classes, dimension, strength, fit.scale, fit.penalty_scale)
