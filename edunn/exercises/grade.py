"""One hand-in graded: its gradient against its own value, and the name of the mistake where it is wrong. One that is a
function and no gradient is held against the package's own: `compare`.

A hand-in answers for its own value: one that sums where the package takes the mean, with a gradient to match, is right.
Its value must be the task's up to a factor and a constant, though: otherwise it solves another task.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import gradcheck
from ..gradcheck import Row, Subject
from ..gradcheck.diagnosis import Diagnosis, Scene, diagnose, together
from ..gradcheck.witnesses import autograd
from .calls import Calls, draw
from .compare import compared
from .fit import Fit, fitted
from .protocol import FunctionHandin, Handin, HandinError, Unfinished
from .report import Grade

GOOD = 1e-7  # relative, in float64: what courses call good
TOLERANCE = 1e-5  # an ε of 1e-9 in a logarithm costs about 1e-6 and is no mistake in the gradient
DRAWS = 3  # random points
SINGLE = 2e-5  # where a hand-in computes in float32, which holds seven digits


def grade(handin: Handin | FunctionHandin, seed: int = 0) -> Grade:
    """Grades one hand-in, in this process, at a few random points: at one alone, a mistake may happen not to show."""
    if handin.torch:
        try:
            return graded(handin, seed)
        except Unfinished:
            raise
        except HandinError as error:  # a file that imports torch may still compute in numpy
            with contextlib.suppress(HandinError):
                return graded(replace(handin, torch=False), seed)
            raise error from None
    return graded(handin, seed)


def graded(handin: Handin | FunctionHandin, seed: int) -> Grade:
    """Grades with the kind of array that the hand-in is said to take."""
    if isinstance(handin, FunctionHandin):
        return compared(handin, seed)
    notes: list[str] = []
    rows: list[Row] = []
    found: list[list[Diagnosis]] = []
    for k in range(DRAWS):
        at = at_point(handin, DRAWS * seed + k, notes)
        if isinstance(at, Grade):
            return at
        calls, fit, checked = at
        wrong = [row for row in checked if not row.passed]
        if (wrong and not found) or not rows:
            rows = checked
        if wrong and len(found) < 2:  # a second point tells chance from cause; a third would tell no more
            found.append([diagnose(scene(handin, calls, row, fit)) for row in wrong if row.hand is not None])
    if all(row.passed for row in rows):
        return result(handin, "right", "the gradient is right", rows, [], notes)
    mistakes = together(agreed(found))
    message = "; ".join([*(str(one) for one in mistakes), *(row.note for row in rows if row.hand is None)])
    return result(handin, "wrong", message, rows, mistakes, notes)


def at_point(handin: Handin, seed: int, notes: list[str]) -> tuple[Calls, Fit, list[Row]] | Grade:
    """The rows at one random point; or the grade, where it is plain without them."""
    arguments = draw(handin, seed)
    calls = Calls(handin, arguments, seed, notes)
    first = calls.value(arguments)
    if not torch.equal(first, calls.value(arguments)):
        return result(handin, "wrong", "the value changes from one call to the next: draw what is random from the seed")
    found = calls.gradients()
    if not bool(first.isfinite().all()):
        return result(handin, "wrong", "the value is not finite at an ordinary point")
    fit = fitted(handin, calls, seed)
    if fit is None:
        formula = handin.task.formula if handin.task else ""
        return result(handin, "wrong", f"the value is not that of the task: {formula}")
    notes += fit.notes
    single = first.dtype == torch.float32 or any(g.dtype == torch.float32 for g in found.values())
    if single:
        notes.append("computed in float32, which holds seven digits: the tolerance is 2e-05 (float64 shows more)")
    tolerance = SINGLE if single else TOLERANCE
    rows = gradcheck.check(subject_of(calls, found, fit, single), tolerance, tolerance, seed)
    largest = max(row.error for row in rows)
    if not single and all(row.passed for row in rows) and largest > GOOD:
        notes.append("the relative error is more than rounding: an ε in a logarithm, a root or a quotient does that")
    return calls, fit, [replace(row, term="") for row in rows]


def subject_of(calls: Calls, found: dict[str, Tensor], fit: Fit, single: bool) -> Subject:
    """The hand-in as something that `gradcheck` checks."""
    wanted = calls.wanted() if calls.handin.task is not None else [n for n in calls.wanted() if n in found]
    points = {name: calls.arguments[name] for name in wanted}

    def value(moved: dict[str, Tensor]) -> Tensor:
        return calls.scalar({**calls.arguments, **moved})

    witness = None if fit.value is None else (lambda moved: fit.value({**calls.arguments, **moved}))
    # differences of a float32 value show three digits; the task's own value, fitted to it, shows all of them
    exact = witness if single and witness is not None else None
    return Subject(calls.handin.name, exact or value, lambda _: found, points, plain=True, witness=witness)


def agreed(found: list[list[Diagnosis]]) -> list[Diagnosis]:
    """The diagnoses of the first point, with those names alone that explain the other points as well."""
    first, *others = found
    kept = []
    for one in first:
        same = [other for group in others for other in group if other.parameter == one.parameter]
        keep = [i for i, name in enumerate(one.names) if all(name in other.names for other in same)]
        kept.append(replace(one, names=tuple(one.names[i] for i in keep), lines=tuple(one.lines[i] for i in keep)))
    return kept


def result(
    handin: Handin,
    status: str,
    message: str,
    rows: list[Row] | None = None,
    mistakes: list[Diagnosis] | None = None,
    notes: list[str] | None = None,
) -> Grade:
    return Grade(
        handin.file, handin.name, handin.task.name if handin.task else "", status, message,
        tuple(rows or ()), tuple(mistakes or ()), tuple(dict.fromkeys(notes or ())),
    )  # fmt: skip


def scene(handin: Handin, calls: Calls, row: Row, fit: Fit) -> Scene:
    """The ingredients of one wrong gradient."""
    task, arguments = handin.task, calls.arguments
    assert row.hand is not None
    assert row.right is not None
    hand = row.hand.detach().double()

    def function(point: Tensor) -> Tensor:
        return calls.scalar({**arguments, row.parameter: point})

    rows_of = arguments.get("features", arguments.get("scores", row.hand))
    count = len(rows_of) if rows_of.ndim else 1
    if task is None:
        return Scene(
            "other", row.parameter, hand, row.right, count, arguments, upstream=calls.upstream, function=function
        )
    points = dict(arguments)
    if task.name == "batch-norm":
        from .tasks import EPSILON

        points["epsilon"] = EPSILON
    upstream, penalised, chain = calls.upstream, None, None
    if task.kind == "loss":
        upstream = fit.scale * task.made_of.gradient(points["scores"], points["targets"])
    if task.kind == "objective":
        weight, bias, features = (points[name] for name in ("weight", "bias", "features"))
        points["scores"] = features @ weight.mT + bias if weight.ndim == 2 else features @ weight + bias
        upstream = fit.scale * task.made_of.gradient(points["scores"], points["targets"])
        penalised = torch.zeros_like(points[row.parameter])
        if row.parameter == "weight":
            penalised = fit.penalty_scale * task.penalty.gradient(weight)
        chain = linear_chain(row.parameter, points)
    if task.kind == "penalty":
        penalised = fit.scale * task.penalty.gradient(points["weight"])
    return Scene(
        task.kind, row.parameter, hand, row.right, count if task.kind != "penalty" else 1, points,
        loss=task.made_of if task.kind in ("loss", "objective") else None,
        activation=task.made_of if task.kind == "activation" else None,
        penalty=task.penalty, layer=task.name if task.kind == "layer" else "",
        upstream=upstream, penalised=penalised, chain=chain, function=function,
        scale=fit.scale, penalty_scale=fit.penalty_scale,
    )  # fmt: skip


def linear_chain(parameter: str, points: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """From ∂L/∂scores to the gradient in one argument of the linear scores."""

    def scores(point: Tensor) -> Tensor:
        moved = {**points, parameter: point}
        weight, bias, features = moved["weight"], moved["bias"], moved["features"]
        return features @ weight.mT + bias if weight.ndim == 2 else features @ weight + bias

    return lambda upstream: autograd(lambda at: (upstream * scores(at)).sum(), points[parameter])
