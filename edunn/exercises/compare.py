"""One function graded: its answers against the package's own, case by case, and the name of the mistake.

A case at the edge (no sample, a tie, a score of 800) may raise in the student's code: that case is wrong, the others
are looked at all the same. A mistake of the table is named if it gives this answer in every case that has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..differences import relative_error
from ..gradcheck.diagnosis import Diagnosis, worst_entries
from .functions import FunctionTask, Slip
from .functions.task import Arguments
from .protocol import FunctionHandin, HandinError, Unfinished, given, guarded, taken
from .report import Case, Grade

CLOSE = 1e-6  # what a mistake gives and what came are the same up to this
SINGLE = 2e-5  # where a hand-in computes in float32, which holds seven digits

# mistakes that any function can have: by what they make of the right answer
GENERAL: tuple[tuple[str, str, float], ...] = (
    ("wrong sign", "the answer has the opposite sign", -1.0),
    ("factor 2", "the answer is twice what it should be", 2.0),
    ("factor ½", "the answer is half of what it should be", 0.5),
)


@dataclass(frozen=True)
class Answered:
    """One case: what was given, what is right, and what came (None where the hand-in raised)."""

    name: str
    arguments: Arguments
    right: Tensor
    hand: Tensor | None
    note: str


def compared(handin: FunctionHandin, seed: int) -> Grade:
    """Grades one function, in this process."""
    notes: list[str] = []
    found = [answered(handin, name, at, notes) for name, at in handin.task.cases(seed).items()]
    if all(one.hand is None for one in found):
        raise HandinError(found[0].note)
    rows = tuple(judged(handin, one, notes) for one in found)
    if all(row.passed for row in rows):
        message = f"the answer is the package's in all {len(rows)} cases"
        return Grade(
            handin.file, handin.name, handin.task.name, "right", message, rows, (), tuple(dict.fromkeys(notes))
        )
    wrong = [(one, row) for one, row in zip(found, rows, strict=True) if not row.passed]
    told = [(one, row) for one, row in wrong if one.hand is not None]
    mistakes = (diagnosed(handin.task, found, *told[0]),) if told else ()
    parts = list(mistakes[0].lines[:1]) if mistakes else []
    parts += [f"{row.case}: {row.note}" for _, row in wrong if row.note]
    message = "; ".join(parts) or f"the answer is not the package's in {len(wrong)} of {len(rows)} cases"
    return Grade(
        handin.file, handin.name, handin.task.name, "wrong", message, rows, mistakes, tuple(dict.fromkeys(notes))
    )


def answered(handin: FunctionHandin, name: str, arguments: Arguments, notes: list[str]) -> Answered:
    """Calls the hand-in with copies. What is still blank, or asks for too much memory, ends the grading."""
    right = handin.task.right(arguments)
    passed = [given(value, handin.torch) for value in arguments]
    try:
        hand = taken(guarded(handin.file, handin.function, *passed), "the answer")
    except Unfinished:
        raise
    except HandinError as error:
        return Answered(name, arguments, right, None, str(error))
    for argument, before, after in zip(handin.task.arguments, arguments, passed, strict=True):
        if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(after)):
            notes.append(f"the function changes its argument {argument} in place")
    return Answered(name, arguments, right, hand, "")


def judged(handin: FunctionHandin, one: Answered, notes: list[str]) -> Case:
    """The answer of one case against the package's."""
    if one.hand is None:
        return Case(handin.name, one.name, None, False, one.note)
    if one.hand.shape != one.right.shape:
        note = f"expected an answer of shape {tuple(one.right.shape)}; got {tuple(one.hand.shape)}"
        return Case(handin.name, one.name, None, False, note)
    if not bool(one.hand.isfinite().all()) and bool(one.right.isfinite().all()):
        return Case(handin.name, one.name, None, False, "the answer is not finite, and should be")
    error = relative_error(one.hand.double(), one.right.double())
    tolerance = handin.task.tolerance
    if one.hand.dtype == torch.float32:
        tolerance = max(tolerance, SINGLE)
        notes.append("computed in float32, which holds seven digits: the tolerance is 2e-05 (float64 shows more)")
    return Case(handin.name, one.name, error, error <= tolerance)


def diagnosed(task: FunctionTask, cases: list[Answered], one: Answered, row: Case) -> Diagnosis:
    """The mistakes that give what came in every case, the likeliest first; and where the first wrong case differs."""
    known = [(slip.name, slip.says) for slip in task.slips if explains(task, slip, cases)]
    if not known:
        known = [(name, says) for name, says, factor in GENERAL if scaled(cases, factor)]
    assert one.hand is not None
    return Diagnosis(
        f"the answer, case '{row.case}'", "case", tuple(name for name, _ in known), tuple(says for _, says in known),
        worst_entries(one.hand.double(), one.right.double()),
    )  # fmt: skip


def explains(task: FunctionTask, slip: Slip, cases: list[Answered]) -> bool:
    """Whether this mistake gives the answer that came, wherever both the hand-in and the mistake give one."""
    subject: Any = task.edited(slip)
    shared, told = 0, False
    for one in cases:
        try:
            gives = task.answer(subject, one.arguments)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            continue  # a mistake may break down at an edge, and so may the hand-in, in its own way
        if one.hand is None:
            continue
        if not alike(gives, one.hand):
            return False
        shared, told = shared + 1, told or not alike(gives, one.right)
    return told and shared > len(cases) // 3


def scaled(cases: list[Answered], factor: float) -> bool:
    """Whether every answer is `factor` times the right one."""
    return all(one.hand is not None and alike(factor * one.right.double(), one.hand) for one in cases)


def alike(first: Tensor, second: Tensor) -> bool:
    """Equal up to rounding, nan equal to nan and inf to inf."""
    if first.shape != second.shape:
        return False
    first, second = first.double(), second.double()
    finite = first.isfinite()
    if not torch.equal(finite, second.isfinite()):
        return False
    odd = (first[~finite] == second[~finite]) | (first[~finite].isnan() & second[~finite].isnan())
    return bool(odd.all()) and relative_error(first[finite], second[finite]) <= CLOSE
