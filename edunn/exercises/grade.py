"""Grades one hand-in in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .calls import HandinError, Unfinished
from .exercise import FunctionExercise, GradientExercise
from .functions import grade_function
from .gradients import OtherTask, grade_gradient
from .handins import Handin
from .layout import list_layouts
from .report import Grade


def grade(handin: Handin, seed: int = 0) -> Grade:
    """Grades one hand-in: a gradient at a few random points, a function on its cases; both are drawn from the seed.

    What the file does not declare is found by trial: which exercise it solves, the shapes and the kind of array that it
    takes. The first trial whose value is the exercise's counts; without one, the first that runs.
    """
    first: HandinError | None = None
    other: Grade | None = None
    for one in list_trials(handin):
        try:
            found = grade_as_given(one, seed)
        except Unfinished:
            raise
        except HandinError as error:
            if first is None or isinstance(first, OtherTask):
                first = error
            continue
        if not found.message.startswith("the value is not that of the task"):
            return found
        other = other or found
    if other is not None:
        return other
    assert first is not None
    raise first from None


def list_trials(handin: Handin) -> Iterator[Handin]:
    """Yields the possible readings of a hand-in, the most likely first: exercise, layout, tensors or arrays."""
    for one in (handin, *handin.others):
        layouts = list_layouts(one.exercise) if isinstance(one.exercise, GradientExercise) else [one.layout]
        for layout in layouts:
            yield replace(one, layout=layout)
            if one.torch:  # a file that imports torch may still compute in numpy
                yield replace(one, layout=layout, torch=False)


def grade_as_given(handin: Handin, seed: int) -> Grade:
    """Grades with the exercise, the layout and the kind of array that the hand-in says it takes."""
    if isinstance(handin.exercise, FunctionExercise):
        return grade_function(handin, handin.exercise, seed)
    return grade_gradient(handin, seed)
