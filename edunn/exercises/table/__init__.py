"""The table of exercises. A new one is one entry in one of its parts."""

from __future__ import annotations

from ...runtime import names
from ..exercise import Exercise
from . import gradients, neighbours, numerics, pixels, rules

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        *gradients.EXERCISES, *rules.EXERCISES, *numerics.EXERCISES, *pixels.EXERCISES, *neighbours.EXERCISES,
        *numerics.DIFFERENCES,
    )
}  # fmt: skip


def named(name: str) -> Exercise:
    """Returns the exercise of this name."""
    return EXERCISES[names.resolve(name, EXERCISES, "exercise")]
