"""What a function may solve, from the names of its parameters alone, as courses hand them out.

CS231n's `(W, X, y, reg)` is an objective of a linear model without a bias; which loss it has, its values decide.
Where no exercise has its values, its gradient is held against differences of its own value, at arguments of the same
shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .exercise import Exercise, GradientExercise
from .signature import assign
from .table import EXERCISES
from .table.foreign import FOREIGN

Draw = Callable[[int], Mapping[str, Any]]

OBJECTIVE = ("weight", "bias", "features", "targets", "strength")
OBJECTIVES = ("softmax-classifier", "multiclass-svm", "logistic-regression", "linear-regression")
OTHER_OBJECTIVES = ("logistic-objective", "svm-objective", "softmax-on-squares")
PENALTIES = ("l2", "l2-half", "l1")
LOSSES = (
    "cross-entropy", "multiclass-hinge", "squared-error", "binary-cross-entropy", "logistic", "hinge", "squared-hinge",
    "squared-multiclass-hinge", "absolute-error",
)  # fmt: skip
OTHER_LOSSES = (
    "squared-error-of-rows", "log-loss-of-probabilities", "entropy-of-probabilities", "absolute-error-of-rows",
    "log-losses-of-rows",
)  # fmt: skip
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky-relu", "softmax")


@dataclass(frozen=True)
class Candidate:
    """One thing that a function may be: an exercise, or (None) a function of arguments that `inputs` draws.

    like : the exercise whose layouts its arguments may have
    """

    exercise: Exercise | None
    names: tuple[str, ...]
    inputs: Draw | None = None
    like: str = ""


def list_losses() -> list[Exercise]:
    return [EXERCISES[name] for name in LOSSES] + [FOREIGN[name] for name in OTHER_LOSSES]


def list_objectives(given: Sequence[str]) -> list[Exercise]:
    """Returns the objectives with these arguments only: no bias, or no penalty."""
    every = [EXERCISES[name] for name in OBJECTIVES] + [FOREIGN[name] for name in OTHER_OBJECTIVES]
    return [restrict(one, tuple(given)) for one in every]


def restrict(exercise: Exercise, arguments: tuple[str, ...]) -> Exercise:
    """Returns an objective with fewer arguments: no bias, or no penalty."""
    assert isinstance(exercise, GradientExercise)
    return replace(exercise, arguments=arguments, wanted=tuple(n for n in exercise.wanted if n in arguments))


def add_generic(exercises: Sequence[Exercise]) -> list[Candidate]:
    """Returns the exercises, and behind them a function of the same arguments that is none of them.

    It is tried with the arguments of each kind of target that the exercises have: classes, real numbers, bits, signs.
    """
    found = [Candidate(one, one.arguments) for one in exercises]
    kinds: dict[str, GradientExercise] = {}
    for one in exercises:
        assert isinstance(one, GradientExercise)
        shape = one.loss.labels + str(one.loss.class_axis) if one.loss is not None else one.kind
        kinds.setdefault(shape, one)
    return found + [Candidate(None, one.arguments, one.draw, one.name) for one in kinds.values()]


def find_candidates(words: Sequence[str], optional: Sequence[str] = ()) -> list[Candidate]:
    """Returns what a function with these parameters may be; empty where their names say nothing.

    words, optional : the parameters that must be given, and those that have a default
    """
    for wanted in (("scores", "targets"), OBJECTIVE, ("weight", "strength")):
        found = assign(words, wanted)
        found |= assign(optional, [name for name in wanted if name not in found.values()])
        given = tuple(name for name in wanted if name in found.values())
        if any(word not in found for word in words):
            continue
        if wanted is OBJECTIVE and {"weight", "features", "targets"} <= set(given):
            return add_generic(list_objectives(given))
        if wanted == ("scores", "targets") and given == wanted:
            return add_generic(list_losses())
        if wanted == ("weight", "strength") and given == wanted:
            return add_generic([EXERCISES[name] for name in PENALTIES])
    return []
