"""Compares a hand-in's value with its exercise's: another factor or constant is accepted, another function is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .exercise import STRENGTH, GradientExercise, Sizes
from .point import Point, find_sizes

LOOSE = 1e-3  # relative: what an ε in a logarithm may change
EXACT = 1e-8
DRAWS = 18  # more than there are terms: what a sum of the terms gives at all of them is that sum

Value = Callable[[Mapping[str, Any]], Tensor]


@dataclass(frozen=True)
class Fit:
    """The hand-in's value in terms of the exercise's: scale · data + penalty_scale · penalty + a constant.

    value : that sum, in torch, as a function of the arguments, which autograd can follow; None without an exercise
    penalty : its terms that are no data
    flaw : (name, sentence) of a mistake in the value itself; None where it has none
    loose : whether the values agree only up to an ε in a logarithm: the hand-in's own value is the better witness
    """

    value: Any
    scale: float = 1.0
    penalty_scale: float = 1.0
    notes: tuple[str, ...] = ()
    penalty: Value | None = None
    flaw: tuple[str, str] | None = None
    loose: bool = False


def fit_value(point: Point, seed: int) -> Fit | None:
    """Compares the values at several points; None where no factors make the sum of the terms equal to them."""
    exercise = point.handin.exercise
    if not isinstance(exercise, GradientExercise):
        return Fit(None)
    if exercise.forward:
        return fit_output(point, exercise)
    terms = split_terms(exercise)
    rows, values = [], []
    for k in range(DRAWS):
        arguments = exercise.draw(seed + 1000 + k, find_sizes(point.handin, seed))
        if "strength" in arguments:
            arguments["strength"] = STRENGTH * (0.5 + k / 3)
        rows.append([float(term(arguments)) for term in terms.values()])
        values.append(point.value(arguments).double())
    table, wanted = torch.tensor(rows, dtype=torch.float64), torch.stack(values)
    if not bool(wanted.isfinite().all()):
        return None
    solution = snap(table, wanted, torch.linalg.lstsq(table, wanted).solution)
    misfit = float((table @ solution - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300))
    if not misfit <= LOOSE:
        return None
    factors = {name: round_factor(float(x)) for name, x in zip(terms, solution, strict=True)}
    if factors["data"] == 0:
        return None

    def add(names: list[str]) -> Value:
        return lambda arguments: torch.stack([factors[name] * terms[name](arguments) for name in names]).sum()

    penalty = [name for name in terms if name not in ("data", "constant")]
    scale = factors["data"]
    return Fit(
        add(list(terms)), scale, factors.get("penalty", scale), write_notes(exercise, factors),
        add(penalty) if penalty else None, find_flaw(factors), misfit > EXACT,
    )  # fmt: skip


def snap(table: Tensor, wanted: Tensor, solution: Tensor) -> Tensor:
    """Returns the nearest simple factors where they fit as well: an ε in a logarithm moves what is fitted a little."""
    simple = torch.tensor([round_factor(float(x), 1e-3) for x in solution], dtype=torch.float64)
    simple = torch.where(simple.abs() < 1e-3, 0.0, simple)
    close = bool((table @ simple - wanted).abs().max() <= LOOSE * wanted.abs().max())
    return simple if close else solution


def fit_output(point: Point, exercise: GradientExercise) -> Fit | None:
    """Compares an output with the exercise's, and with those of its other conventions."""
    theirs = point.value(point.arguments).double()
    upstream = torch.zeros_like(theirs) if point.upstream is None else point.upstream
    for says, reference in (("", exercise.reference), *exercise.conventions):
        arguments = {**point.arguments, "output": theirs} if says else point.arguments
        own = reference(**arguments)
        if own.shape == theirs.shape and torch.allclose(own, theirs, rtol=1e-5, atol=1e-6):
            break
    else:
        return None
    known = {"output": theirs} if says else {}
    return Fit(lambda at: (upstream * reference(**at, **known)).sum(), notes=(says,) if says else ())


def round_factor(number: float, tolerance: float = 1e-6) -> float:
    """Rounds to a small whole number, or one over it, where the digits of the fit allow it."""
    for exact in (0.0, *(float(k) for k in range(1, 51)), *(1 / k for k in range(2, 51))):
        if abs(abs(number) - exact) < tolerance * max(exact, 1.0):
            return exact if number > 0 else -exact
    return number


def split_terms(exercise: GradientExercise) -> dict[str, Value]:
    """Returns the terms that a hand-in may scale separately: the data term, the penalty, and common forms of it."""

    def data(arguments: Mapping[str, Any]) -> Tensor:
        return exercise.reference(**({**arguments, "strength": 0.0} if exercise.kind == "objective" else arguments))

    def penalty(arguments: Mapping[str, Any]) -> Tensor:
        return exercise.reference(**arguments) - data(arguments)

    terms: dict[str, Value] = {"data": data}
    if exercise.kind == "objective" and "strength" in exercise.arguments:
        terms["penalty"] = penalty
        terms["bare"] = lambda at: penalty({**at, "strength": 1.0})
        # a column of ones, first or last, whose weight is the bias; and all entries of W Wᵀ, written for Σ w²
        terms["first"] = lambda at: at["strength"] * (at["weight"][..., 0] ** 2).sum()
        terms["last"] = lambda at: at["strength"] * (at["weight"][..., -1] ** 2).sum()
        if exercise.loss is not None and exercise.loss.class_axis:
            terms["rows"] = lambda at: at["strength"] * (at["weight"].sum(0) ** 2).sum()
            terms["columns"] = lambda at: at["strength"] * (at["weight"].sum(1) ** 2).sum()
        terms["sum"] = lambda at: at["strength"] * at["weight"].sum()  # no square: a slip in the value
        terms["sizes"] = lambda at: at["strength"] * at["weight"].abs().sum()
        if "bias" in exercise.arguments:
            terms["bias"] = lambda at: at["strength"] * (at["bias"] ** 2).sum()
    return terms | {"constant": lambda _: torch.tensor(1.0, dtype=torch.float64)}


def write_notes(exercise: GradientExercise, factors: Mapping[str, float]) -> tuple[str, ...]:
    """Returns sentences on how the value differs from the exercise's."""
    notes = []
    if abs(factors["data"] - 1) > 1e-6:
        factor = f"{factors['data']:.6g}"
        notes.append(f"the value is {factor} times the task's; the gradient is compared with its own value")
    penalty, bare = factors.get("penalty", 1.0), factors.get("bare", 0.0)
    if bare:
        notes.append("the value's penalty is not scaled by its strength λ")
    elif penalty == 0:
        notes.append("the value has no penalty; the gradient is compared with its own value")
    elif abs(penalty - 1) > 1e-6:
        notes.append(f"the penalty is {penalty:.6g} times the task's; the gradient is compared with its own value")
    if factors.get("bias"):
        notes.append("the value's penalty takes in the bias")
    if factors.get("sum") or factors.get("sizes"):
        notes.append("the value's penalty is Σ w, not Σ w²" if factors.get("sum") else "the value's penalty is Σ |w|")
    if factors.get("rows") or factors.get("columns"):
        notes.append("the value's penalty sums all entries of W Wᵀ, not the squares of W")
    if factors.get("first") or factors.get("last"):
        where = "first" if factors.get("first") else "last"
        notes.append(f"the value's penalty leaves out the {where} weight: the bias, in a column of ones")
    if abs(factors["constant"]) > 1e-6:
        notes.append(f"the value is the task's plus {factors['constant']:.6g}, which changes no gradient")
    return tuple(notes)


def find_flaw(factors: Mapping[str, float]) -> tuple[str, str] | None:
    """Returns the name of a mistake in the value itself, which stays one even if the gradient matches it."""
    if factors["data"] < 0:
        return "value negated", "the value has the opposite sign: descent would raise the loss"
    if factors.get("penalty", 0.0) < 0 or factors.get("bare", 0.0) < 0:
        return "penalty subtracted", "the penalty is subtracted from the value: descent would raise the weights"
    return None


def depends_on_count(scales: list[tuple[Sizes, float]]) -> bool:
    """Returns whether the value has a count written as a number, so that its factor changes with the sizes.

    A sum in place of a mean has the factor N, a mean over classes 1/C; `/ 7` in place of `/ len(y)` has N/7.
    """
    if len({round(scale, 9) for _, scale in scales}) < 2:
        return False
    shapes: tuple[Callable[[Sizes], float], ...] = (
        lambda z: 1 / z.classes, lambda z: 1 / (z.classes - 1), lambda z: 1 / z.features,
        lambda z: 1 / (z.classes * z.features), lambda z: z.samples, lambda z: z.samples / z.classes,
        lambda z: z.samples / (z.classes - 1), lambda z: 1 / z.samples, lambda z: z.samples / (z.samples - 1),
        lambda z: z.samples**2,
    )  # fmt: skip
    for shape in shapes:
        ratios = [scale / shape(sizes) for sizes, scale in scales]
        same = max(ratios) - min(ratios) <= 1e-6 * max(ratios)
        if same and any(abs(ratios[0] - c) < 1e-6 for c in (0.25, 0.5, 1.0, 2.0, 4.0)):
            return False
    return True
