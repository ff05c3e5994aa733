"""Fits a hand-in's value to its exercise's: a factor and a constant are no mistake, another function is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .exercise import STRENGTH, GradientExercise
from .point import Point


@dataclass(frozen=True)
class Fit:
    """The hand-in's value in terms of the exercise's: scale · data + penalty_scale · penalty + a constant.

    value : that sum, in torch, as a function of the arguments, which autograd can follow; None without an exercise
    """

    value: Any
    scale: float = 1.0
    penalty_scale: float = 1.0
    notes: tuple[str, ...] = ()


def fit_value(point: Point, seed: int) -> Fit | None:
    """Compares the values at six points; None where no factor and constant make them equal."""
    exercise = point.handin.exercise
    if not isinstance(exercise, GradientExercise):
        return Fit(None)
    if exercise.forward:
        own, theirs = exercise.reference(**point.arguments), point.value(point.arguments).double()
        if own.shape != theirs.shape or not torch.allclose(own, theirs, rtol=1e-5, atol=1e-6):
            return None
        upstream = torch.zeros_like(own) if point.upstream is None else point.upstream
        return Fit(lambda arguments: (upstream * exercise.reference(**arguments)).sum())
    rows, values = [], []
    for k in range(6):
        arguments = exercise.draw(seed + 1000 + k)
        if "strength" in arguments:
            arguments["strength"] = STRENGTH * (0.5 + k / 3)
        rows.append([*(float(term) for term in split_terms(exercise, arguments)), 1.0])
        values.append(point.value(arguments).double())
    table, wanted = torch.tensor(rows, dtype=torch.float64), torch.stack(values)
    solution = torch.linalg.lstsq(table, wanted).solution
    if not bool((table @ solution - wanted).abs().max() <= 1e-5 * wanted.abs().max()):
        return None
    *scales, constant = (round_factor(float(x)) for x in solution)
    data, penalty = (scales[0], scales[-1]) if len(scales) == 2 else (scales[0], scales[0])
    notes = []
    for what, factor in (("value", data), ("penalty", penalty)) if len(scales) == 2 else (("value", data),):
        if abs(factor - 1) > 1e-6:
            notes.append(f"the {what} is {factor:.6g} times the task's; the gradient is compared with its own value")
    if abs(constant) > 1e-6:
        notes.append(f"the value is the task's plus {constant:.6g}, which changes no gradient")
    if not all(scales):
        return None

    def witness(arguments: Mapping[str, Any]) -> Tensor:
        terms = split_terms(exercise, arguments)
        return sum((factor * term for factor, term in zip(scales, terms, strict=True)), torch.tensor(constant).double())

    return Fit(witness, data, penalty, tuple(notes))


def round_factor(number: float) -> float:
    """Rounds to a small whole number, or one over it, where the digits of the fit allow it."""
    for exact in (0.0, *(float(k) for k in range(1, 51)), *(1 / k for k in range(2, 51))):
        if abs(number - exact) < 1e-6 * max(exact, 1.0):
            return exact
    return number


def split_terms(exercise: GradientExercise, arguments: Mapping[str, Any]) -> list[Tensor]:
    """Returns the value as terms that a hand-in may scale apart: the data and the penalty."""
    if exercise.kind != "objective":
        return [exercise.reference(**arguments)]
    data = exercise.reference(**{**arguments, "strength": 0.0})
    return [data, exercise.reference(**arguments) - data]
