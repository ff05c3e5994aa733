"""Grades a function: its answers against the package's own, case by case, and the name of the mistake.

A case at the edge (no sample, a tie, a score of 800) may raise in the student's code: that case is wrong, the others
are compared all the same. A mistake is named if it gives the hand-in's answer in every case that has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..differences import relative_error
from ..gradcheck.diagnosis import Diagnosis, Mistake, worst_entries
from .calls import HandinError, Unfinished, call, copy_argument, to_tensor
from .exercise import FunctionExercise
from .handin import Handin
from .report import Case, Grade

CLOSE = 1e-6  # the answer of a mistake and the hand-in's are the same up to this relative error
SINGLE = 2e-5  # the tolerance where a hand-in computes in float32, which holds seven digits


def scale_right(factor: float) -> Callable[[Case], Tensor]:
    return lambda case: factor * case.right.double()


# mistakes that any function can have: what they make of the right answer
GENERAL = tuple(
    Mistake(name, says, "", "whole", scale_right(factor))
    for name, says, factor in (
        ("wrong sign", "the answer has the opposite sign", -1.0),
        ("factor 2", "the answer is twice what it should be", 2.0),
        ("factor ½", "the answer is half of what it should be", 0.5),
    )
)


def grade_function(handin: Handin, exercise: FunctionExercise, seed: int) -> Grade:
    """Grades one function, in this process."""
    notes: list[str] = []
    drawn = exercise.cases(seed).items()
    cases = tuple(judge(run_case(handin, exercise, name, at, notes), notes) for name, at in drawn)
    if all(case.hand is None for case in cases):
        raise HandinError(cases[0].note)
    wrong = [case for case in cases if not case.passed]
    first = next((case for case in wrong if case.hand is not None), None)
    mistakes = () if first is None else (diagnose(exercise, cases, first),)
    if wrong:
        parts = list(mistakes[0].lines[:1]) if mistakes else []
        parts += [f"{case.case}: {case.note}" for case in wrong if case.note]
        message = "; ".join(parts) or f"the answer is not the package's in {len(wrong)} of {len(cases)} cases"
    else:
        message = f"the answer is the package's in all {len(cases)} cases"
    status = "wrong" if wrong else "right"
    return Grade(handin.file, handin.name, exercise.name, status, message, cases, mistakes, tuple(dict.fromkeys(notes)))


def run_case(
    handin: Handin, exercise: FunctionExercise, name: str, arguments: tuple[object, ...], notes: list[str]
) -> Case:
    """Calls the hand-in with copies. A blank, or a lack of memory, ends the grading."""
    case = Case(handin.name, name, exercise, arguments, exercise.answer(exercise.reference, arguments), None)
    copies = [copy_argument(value, handin.torch) for value in arguments]
    try:
        hand = to_tensor(call(handin.file, handin.value, *copies), "the answer")
    except Unfinished:
        raise
    except HandinError as error:
        return replace(case, note=str(error))
    for argument, before, after in zip(exercise.arguments, arguments, copies, strict=True):
        if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(after)):
            notes.append(f"the function changes its argument {argument} in place")
    return replace(case, hand=hand)


def judge(case: Case, notes: list[str]) -> Case:
    """Compares the answer of one case with the package's."""
    hand, right = case.hand, case.right
    if hand is None:
        return case
    if hand.shape != right.shape:
        return replace(case, note=f"expected an answer of shape {tuple(right.shape)}; got {tuple(hand.shape)}")
    if not bool(hand.isfinite().all()) and bool(right.isfinite().all()):
        return replace(case, note="the answer is not finite, and should be")
    error = relative_error(hand.double(), right.double())
    tolerance = case.exercise.tolerance
    if hand.dtype == torch.float32:
        tolerance = max(tolerance, SINGLE)
        notes.append("computed in float32, which holds seven digits: the tolerance is 2e-05 (float64 shows more)")
    return replace(case, error=error, passed=error <= tolerance)


def diagnose(exercise: FunctionExercise, cases: tuple[Case, ...], wrong: Case) -> Diagnosis:
    """Names the mistakes that give the hand-in's answer in every case, and shows where a wrong case differs most."""
    found = [mistake for mistake in exercise.mistakes if explains(mistake, cases)]
    found = found or [mistake for mistake in GENERAL if explains(mistake, cases, everywhere=True)]
    assert wrong.hand is not None
    return Diagnosis(
        f"the answer, case '{wrong.case}'", "case", tuple(one.name for one in found), tuple(one.line for one in found),
        worst_entries(wrong.hand.double(), wrong.right.double()),
    )  # fmt: skip


def explains(mistake: Mistake, cases: tuple[Case, ...], everywhere: bool = False) -> bool:
    """Returns whether the mistake gives the hand-in's answer wherever both give one; `everywhere`: in every case."""
    shared, differs = 0, False
    for case in cases:
        try:
            gives = mistake.gives(case)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            continue  # a mistake may break down at an edge, and so may the hand-in, in its own way
        if case.hand is None or gives is None:
            continue
        if not is_same(gives, case.hand):
            return False
        shared, differs = shared + 1, differs or not is_same(gives, case.right)
    return differs and shared > (len(cases) - 1 if everywhere else len(cases) // 3)


def is_same(first: Tensor, second: Tensor) -> bool:
    """Returns whether two answers are equal up to rounding, nan equal to nan and inf to inf."""
    if first.shape != second.shape:
        return False
    first, second = first.double(), second.double()
    finite = first.isfinite()
    if not torch.equal(finite, second.isfinite()):
        return False
    odd = (first[~finite] == second[~finite]) | (first[~finite].isnan() & second[~finite].isnan())
    return bool(odd.all()) and relative_error(first[finite], second[finite]) <= CLOSE
