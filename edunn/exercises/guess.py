"""Guesses which exercises a function may solve, from the names of its arguments in common courses.

CS231n's `(W, X, y, reg)` is an objective of a linear model without a bias; its values decide which loss it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .exercise import Exercise, GradientExercise
from .signature import find_argument
from .table import EXERCISES

OBJECTIVE = ("weight", "bias", "features", "targets", "strength")
OBJECTIVES = ("softmax-classifier", "multiclass-svm", "logistic-regression", "linear-regression")
LOSSES = (
    "cross-entropy", "multiclass-hinge", "squared-error", "binary-cross-entropy", "logistic", "hinge", "squared-hinge",
    "squared-multiclass-hinge", "absolute-error",
)  # fmt: skip


def guess_exercises(words: Sequence[str], optional: Sequence[str] = ()) -> tuple[Exercise, ...]:
    """Returns the exercises whose arguments these parameters name; empty where they name none.

    words, optional : the parameters that must be given, and those that have a default
    """
    for wanted, names in ((("scores", "targets"), LOSSES), (OBJECTIVE, OBJECTIVES)):
        order = sorted(wanted, key=lambda name: name == "scores")
        found: dict[str, str] = {}
        for word in [*words, *optional]:
            name = find_argument(word, [one for one in order if one not in found.values()])
            if name is not None:
                found[word] = name
        given = tuple(name for name in wanted if name in found.values())
        if any(word not in found for word in words):
            continue
        if wanted is OBJECTIVE and {"weight", "features", "targets"} <= set(given):
            return tuple(restrict(EXERCISES[name], given) for name in names)
        if wanted is not OBJECTIVE and given == wanted:
            return tuple(EXERCISES[name] for name in names)
    return ()


def restrict(exercise: Exercise, arguments: tuple[str, ...]) -> Exercise:
    """Returns an objective with fewer arguments: no bias, or no penalty."""
    assert isinstance(exercise, GradientExercise)
    return replace(exercise, arguments=arguments, wanted=tuple(n for n in exercise.wanted if n in arguments))
