"""Grades one hand-in in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from .calls import HandinError, Unfinished
from .exercise import FunctionExercise, GradientExercise
from .fit import fit_value
from .functions import grade_function
from .gradients import DRAWS, grade_gradient
from .handin import Handin
from .layout import list_layouts
from .point import Point
from .report import Grade
from .table.foreign import find_exercise


def grade(handin: Handin, seed: int = 0) -> Grade:
    """Grades one hand-in: a gradient at a few random points, a function on its cases; both are drawn from the seed.

    What the file does not say is tried out: which exercise it solves, the shapes and the kind of array that it takes.
    The trial that fits best is graded.
    """
    if isinstance(handin.exercise, FunctionExercise):
        try:
            return grade_function(handin, handin.exercise, seed)
        except Unfinished:
            raise
        except HandinError:
            if not handin.torch:
                raise
        return grade_function(replace(handin, torch=False), handin.exercise, seed)  # it may compute in numpy
    trials = list(list_trials(replace(handin, others=()) if handin.own_inputs else handin))
    best, fits, first = trials[0], Fits.NOT, None
    for one in trials:
        try:
            fit = try_out(one, seed)
        except Unfinished:
            raise
        except HandinError as error:
            if first is None:
                first = error
            continue
        if fit > fits:
            best, fits = one, fit
        if fit is Fits.WELL:
            break
    if fits is Fits.NOT and first is not None:
        raise first from None
    found = grade_gradient(best, seed)
    if handin.own_inputs and found.status == "wrong" and not any(one.names for one in found.mistakes):
        return name_as_exercise(handin, found, seed)
    return found


def name_as_exercise(handin: Handin, found: Grade, seed: int) -> Grade:
    """Returns the grade with the mistakes of an exercise that the value is, at that exercise's own arguments."""
    for one in handin.others:
        with contextlib.suppress(HandinError):
            known = grade(replace(one, inputs=None, others=(), own_inputs=False, declared=False), seed)
            if known.status == "wrong" and known.mistakes and all(mistake.names for mistake in known.mistakes):
                return replace(found, mistakes=known.mistakes, message=known.message, task=known.task)
    return found


class Fits(IntEnum):
    """How well a trial fits what was handed in."""

    NOT = 0
    RUNS = 1  # the value is a number, the gradient cannot be called or has other shapes
    OWN = 2  # both can be called, and are no exercise that is known
    VALUE = 3  # the value is the exercise's; the gradient cannot be called, or has other shapes
    WELL = 4  # the value is the exercise's, and the gradient has the arguments' shapes


def try_out(handin: Handin, seed: int) -> Fits:
    """Returns how well one trial fits."""
    point = Point(handin, DRAWS * seed, [])
    value = point.value(point.arguments)
    known = handin.exercise is not None
    if known and (not bool(value.isfinite().all()) or fit_value(point, DRAWS * seed) is None):
        return Fits.RUNS if handin.declared else Fits.NOT
    if not known and not bool(value.isfinite().all()):
        return Fits.RUNS
    try:
        found = point.gradients()
    except Unfinished:
        if known or point.moves():
            raise
        return Fits.RUNS
    except HandinError:
        return Fits.VALUE if known else Fits.RUNS
    shapes = all(tuple(one.shape) == tuple(point.arguments[name].shape) for name, one in found.items())
    if known:
        return Fits.WELL if shapes else Fits.VALUE
    return Fits.OWN if shapes and point.moves() else Fits.RUNS


def list_trials(handin: Handin) -> Iterator[Handin]:
    """Yields the possible readings of a hand-in, the most likely first: exercise, layout, tensors or arrays."""
    for one in (handin, *handin.others):
        like = one.exercise or (find_exercise(one.like) if one.like else None)
        layouts = list_layouts(like) if isinstance(like, GradientExercise) else [one.layout]
        if one.exercise is None:
            layouts = [layout for layout in layouts if not layout.sizes]
        if one.declared and isinstance(one.exercise, GradientExercise) and one.exercise.kind == "loss":
            layouts = layouts[:2] if one.exercise.loss.class_axis else layouts[:1]
        for layout in layouts:
            yield replace(one, layout=layout)
            if one.torch:  # a file that imports torch may still compute in numpy
                yield replace(one, layout=layout, torch=False)
