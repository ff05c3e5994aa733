"""Grades a gradient: against the hand-in's own value, with the name of the mistake where it is wrong.

The gradient must be that of the hand-in's own value: one that sums where the package takes the mean is right if its
gradient does so too. The value must equal the exercise's up to a factor and a constant; else it solves another
exercise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import gradcheck
from ..differences import gradient, relative_error
from ..gradcheck import Claim, Row
from ..gradcheck.diagnosis import Diagnosis, WrongGradient, diagnose, put_shared_first, worst_entries
from ..gradcheck.witnesses import autograd
from .calls import HandinError, Unfinished
from .exercise import EPSILON, SIZES, GradientExercise, Sizes
from .fit import Fit, depends_on_count, fit_value
from .handin import Handin
from .point import Point
from .report import Grade
from .sources import find_sources
from .terms import split

GOOD = 1e-7  # relative, in float64: what courses call good
TOLERANCE = 1e-5  # an ε of 1e-9 in a logarithm costs about 1e-6 and is not a mistake in the gradient
DRAWS = 3  # random points: at one alone, a mistake may happen not to show
SINGLE = 2e-5  # the tolerance where a hand-in computes in float32, which holds seven digits
WIDE = (5e-2, 1e-2, 2e-3)  # steps where the value is computed in float32
COARSE = 4e-3  # the tolerance of those differences

COUNT = (
    "count written as a number",
    "the value's factor changes with the sizes: a count (N, C or D) is written as a number",
)


def grade_gradient(handin: Handin, seed: int) -> Grade:
    """Grades one value and its gradient at a few random points, in this process."""
    notes: list[str] = [text for text in (handin.matched, handin.layout.describe()) if text]
    rows: list[Row] = []
    found: list[list[Diagnosis]] = []
    scales: list[tuple[Sizes, float]] = []
    for k in range(DRAWS):
        at = DRAWS * seed + k
        point = Point(handin, at, notes)
        if k == 0 and not point.moves():
            raise Unfinished("the value is the same at every point: it is still blank")
        if k == 0:
            notes += [f"derived by {source}" for source in find_sources(point)]
        try:
            flaw, fit, checked = check_point(point, at)
        except HandinError as error:
            if not rows:
                raise
            if not all(row.passed for row in rows):
                break
            raise HandinError(f"{error} (with other sizes it runs: is a size written as a number?)") from None
        if flaw:
            return Grade(handin.file, handin.name, handin.task, "wrong", flaw, notes=tuple(dict.fromkeys(notes)))
        if fit.flaw is not None:
            return fail_value(handin, *fit.flaw, notes)
        scales.append((SIZES[at % len(SIZES)], fit.scale))
        wrong = [row for row in checked if not row.passed]
        if (wrong and not found) or not rows:
            rows = checked
        if wrong and len(found) < 2:  # a second point separates chance from cause; a third would add nothing
            found.append(name_all(point, checked, fit))
    if isinstance(handin.exercise, GradientExercise) and depends_on_count(scales):
        return fail_value(handin, *COUNT, notes)
    status, message, mistakes = "right", "the gradient is right", []
    failed = not all(row.passed for row in rows)
    if failed:
        mistakes = put_shared_first(keep_common(found))
    if failed and is_mean_in_layer(handin, rows, mistakes):
        failed, mistakes = False, []
        rows = [replace(row, passed=True) for row in rows]
        notes.append("the layer takes the mean over its samples: the upstream is a sample's own, without 1/N")
    if failed:
        parts = [*(str(one) for one in mistakes), *(row.note for row in rows if row.hand is None)]
        status, message = "wrong", "; ".join(parts)
    notes = list(dict.fromkeys(notes))
    return Grade(
        handin.file, handin.name, handin.task, status, message, tuple(rows), tuple(mistakes), tuple(notes),
        handin.lines, *describe_exercise(handin),
    )  # fmt: skip


def is_mean_in_layer(handin: Handin, rows: list[Row], mistakes: list[Diagnosis]) -> bool:
    """Whether a layer divides all its parameters' gradients by N, and no other: a convention of courses."""
    if handin.declared or not handin.forward or any(one.names[:1] != ("averaged in a layer",) for one in mistakes):
        return False
    wrong = {row.parameter for row in rows if not row.passed}
    return "features" not in wrong and wrong == {row.parameter for row in rows} - {"features"} and len(wrong) > 1


def fail_value(handin: Handin, name: str, says: str, notes: list[str]) -> Grade:
    """Returns the grade of a hand-in whose value itself is wrong, whatever its gradient is."""
    mistake = Diagnosis("value", "value", (name,), (says,), ())
    return Grade(
        handin.file, handin.name, handin.task, "wrong", says, (), (mistake,), tuple(dict.fromkeys(notes)),
        handin.lines, *describe_exercise(handin),
    )  # fmt: skip


def describe_exercise(handin: Handin) -> tuple[str, str]:
    """Returns the formula and the lesson of what is handed in; empty where it is not known."""
    return (handin.exercise.formula, handin.exercise.lesson) if handin.exercise is not None else ("", "")


def check_point(point: Point, seed: int) -> tuple[str, Fit, list[Row]]:
    """Checks the gradients at one random point; the first of the three says what is wrong without them."""
    first, exercise = point.value(point.arguments), point.handin.exercise
    if not bool(first.isfinite().all()):
        kind = "nan" if bool(first.isnan().any()) else "infinite"
        return f"the value is {kind} at an ordinary point", Fit(None), []
    if not torch.equal(first, point.value(point.arguments)):
        return "the value changes from one call to the next: draw what is random from the seed", Fit(None), []
    found = point.gradients()
    fit = fit_value(point, seed)
    if fit is None:
        return f"the value is not that of the task: {exercise.formula if exercise else ''}", Fit(None), []
    point.notes += fit.notes
    single = first.dtype == torch.float32 or any(g.dtype == torch.float32 for g in found.values())
    single = single or (not point.handin.declared and point.is_coarse(first))
    if single:
        tolerance = SINGLE if fit.value is not None else COARSE
        point.notes.append(
            f"computed in float32, which holds seven digits: the tolerance is {tolerance:g} (float64 shows more)"
        )
    if single and fit.value is None:
        return "", fit, [check_single(point, name, found[name]) for name in point.wanted if name in found]
    tolerance = SINGLE if single else TOLERANCE
    rows = gradcheck.check(make_claim(point, found, fit, single), tolerance, tolerance, seed)
    if fit.loose:
        rows = [accept_epsilon(point, row, fit) for row in rows]
    if not single and all(row.passed for row in rows) and max(row.error for row in rows) > GOOD:
        point.notes.append(
            "the relative error is more than rounding: an ε in a logarithm, a root or a quotient does it"
        )
    return "", fit, [replace(row, term="") for row in rows]


def check_single(point: Point, name: str, hand: Tensor) -> Row:
    """Checks a gradient against differences of a float32 value: wide steps, for it has seven digits.

    Where it bends within the widest step, a shorter one is the better witness: the nearest of them counts.
    """
    at = point.arguments[name]
    if hand.shape != at.shape:
        note = f"expected a gradient of shape {tuple(at.shape)}; got {tuple(hand.shape)}"
        return Row(point.handin.name, name, "", None, None, None, 0, False, note, 0, hand, None)
    trials = [gradient(lambda moved: point.scalar({**point.arguments, name: moved}), at, h) for h in WIDE]
    distance = torch.stack([(hand.double() - one).abs() for one in trials]).amin(0)
    largest = max(float(hand.abs().max()), *(float(one.abs().max()) for one in trials), 1e-30)
    error = float(distance.max()) / largest
    return Row(point.handin.name, name, "", None, error, None, 0, error <= COARSE, "", 0, hand, trials[0])


def accept_epsilon(point: Point, row: Row, fit: Fit) -> Row:
    """Accepts a gradient that is exact for the value without its ε: with log(p + ε), p − y is what courses derive."""
    if row.passed or row.hand is None or row.hand.shape != point.arguments[row.parameter].shape:
        return row
    exact = autograd(lambda at: fit.value({**point.arguments, row.parameter: at}), point.arguments[row.parameter])
    error = relative_error(row.hand.double(), exact)
    if error > TOLERANCE:
        return row
    return replace(row, passed=True, hand_vs_autograd=error, note="right for the value without the ε in its logarithm")


def make_claim(point: Point, found: dict[str, Tensor], fit: Fit, single: bool) -> Claim:
    """Returns the hand-in in the form that `gradcheck` checks."""
    wanted = [name for name in point.wanted if (point.handin.declared and point.handin.exercise) or name in found]
    wanted += [name for name in found if name not in wanted]
    data = () if point.handin.declared else ("features", "targets", "strength")
    if left := [name for name in point.wanted if name not in (*wanted, *data)]:
        point.notes.append(f"no gradient was handed in for {', '.join(left)}")

    def value(moved: dict[str, Tensor]) -> Tensor:
        return point.scalar({**point.arguments, **moved})

    witness = (
        None
        if fit.value is None or (fit.loose and not single)
        else (lambda moved: fit.value({**point.arguments, **moved}))
    )
    # differences of a float32 value show three digits; the exercise's own value, fitted to it, shows all of them
    exact = witness if single and witness is not None else None
    points = {name: point.arguments[name] for name in wanted}
    return Claim(point.handin.name, exact or value, lambda _: found, points, plain=True, witness=witness)


def name_all(point: Point, rows: list[Row], fit: Fit) -> list[Diagnosis]:
    """Names the mistakes in each wrong gradient at one point."""
    wrong = [row for row in rows if not row.passed and row.hand is not None]
    own: dict[str, list[tuple[str, str]]] = {}
    if point.handin.explain is not None and all(row.hand is not None and row.right is not None for row in rows):
        own = point.handin.explain(
            point.arguments, {row.parameter: row.hand for row in rows}, {row.parameter: row.right for row in rows}
        )
    found = []
    for row in wrong:
        names = own.get(row.parameter)
        if names:
            assert row.hand is not None
            assert row.right is not None
            worst = worst_entries(row.hand.double(), row.right)
            titles, lines = tuple(one for one, _ in names), tuple(says for _, says in names)
            found.append(Diagnosis(row.parameter, "", titles, lines, worst))
        else:
            found.append(diagnose(collect(point, row, fit), split=split(point, row, fit)))
    return found


def keep_common(found: list[list[Diagnosis]]) -> list[Diagnosis]:
    """Returns the diagnoses of the first point, with only those names that explain the other points as well."""
    first, *others = found
    kept = []
    for one in first:
        same = [other for group in others for other in group if other.parameter == one.parameter]
        keep = [i for i, name in enumerate(one.names) if all(name in other.names for other in same)]
        keep = [i for i in keep if one.names[i] != "wrong factor"] or keep
        kept.append(replace(one, names=tuple(one.names[i] for i in keep), lines=tuple(one.lines[i] for i in keep)))
    return kept


def collect(point: Point, row: Row, fit: Fit) -> WrongGradient:
    """Returns a wrong gradient together with all data from which the diagnosis can recompute it."""
    exercise, arguments = point.handin.exercise, dict(point.arguments)
    assert row.hand is not None
    assert row.right is not None
    hand = row.hand.detach().double()

    def function(moved: Tensor) -> Tensor:
        return point.scalar({**point.arguments, row.parameter: moved})

    features = arguments.get("features", arguments.get("scores", row.hand))
    samples = len(features) if features.ndim else 1
    if not isinstance(exercise, GradientExercise):
        return WrongGradient(
            "other", row.parameter, hand, row.right, samples, arguments, upstream=point.upstream, function=function
        )
    if exercise.name == "dropout-of-its-own":
        kept = point.value(point.arguments).double() / arguments["features"]
        arguments["keep"] = 1 / float(kept[kept != 0].median())
    if exercise.name in ("batch-norm", "layer-norm"):
        arguments["epsilon"] = EPSILON
    upstream, penalised, chain = point.upstream, None, None
    if exercise.kind == "objective":
        arguments["scores"] = compute_scores(arguments)
        penalised = torch.zeros_like(arguments[row.parameter])
        if fit.penalty is not None:
            terms, parameter = fit.penalty, row.parameter
            penalised = autograd(lambda at: terms({**point.arguments, parameter: at}), arguments[parameter])
        chain = make_chain(row.parameter, arguments)
    if exercise.loss is not None:
        upstream = fit.scale * exercise.loss.gradient(arguments["scores"], arguments["targets"])
    if exercise.kind == "penalty":
        samples, penalised = 1, fit.scale * exercise.penalty.gradient(arguments["weight"])
    return WrongGradient(
        exercise.kind, row.parameter, hand, row.right, samples, arguments, loss=exercise.loss,
        activation=exercise.activation, penalty=exercise.penalty,
        layer=exercise.name.removesuffix("-of-its-own") if exercise.kind == "layer" else "",
        upstream=upstream, penalised=penalised, chain=chain,
        function=function, scale=fit.scale, penalty_scale=fit.penalty_scale,
        tolerance=SINGLE if row.hand.dtype == torch.float32 or "float32" in " ".join(point.notes) else 1e-6,
    )  # fmt: skip


def compute_scores(arguments: Mapping[str, Any]) -> Tensor:
    """Returns x Wᵀ + b, (samples, outputs); (samples,) for a weight of shape (features,)."""
    return torch.inner(arguments["features"], arguments["weight"]) + arguments.get("bias", 0.0)


def make_chain(parameter: str, arguments: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """Returns the map from ∂L/∂scores to the gradient in one argument of the linear scores."""

    def scores(moved: Tensor) -> Tensor:
        return compute_scores({**arguments, parameter: moved})

    return lambda upstream: autograd(lambda at: (upstream * scores(at)).sum(), arguments[parameter])
