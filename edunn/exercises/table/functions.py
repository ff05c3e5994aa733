"""Functions as exercises: compared with the package's own case by case, with mistakes that are edits of its source."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...gradcheck.diagnosis import Mistake
from ...runtime.devices import generator
from ..cut import Edits, cut_functions, cut_methods
from ..exercise import Arguments, FunctionExercise

ADAPTER = """
    def answer(self, {arguments}):
        return {call}
"""


def cut_function(
    name: str,
    lesson: str,
    asked: str,
    formula: str,
    given: str,
    arguments: tuple[str, ...],
    reference: Any,
    pieces: tuple[Any, ...],
    cases: Callable[[int], dict[str, Arguments]],
    *mistakes: Mistake,
    through: Callable[..., Any] | None = None,
    extends: type | None = None,
    tolerance: float = 1e-7,
) -> FunctionExercise:
    """Returns the exercise of a function, or of methods of a class; see `FunctionExercise`.

    pieces : the functions, or the names of the methods, that the student writes
    extends : the class that the student's class extends: `reference`, if not given
    """
    by_name = ", ".join(arguments)
    cut = cut_methods(reference, *pieces, extends=extends) if inspect.isclass(reference) else cut_functions(*pieces)
    call, imports = f"{cut.name}({by_name})", list[str]()
    if through is not None:
        call = f"{through.__name__}({cut.name}, {by_name})"
        imports = [f"from {through.__module__} import {through.__name__}"]
    return FunctionExercise(
        name=name, lesson=lesson, asked=asked, formula=formula, given=given, arguments=arguments, reference=reference,
        cut=(cut,), adapter=ADAPTER.format(arguments=by_name, call=call), imports=tuple(imports), cases=cases,
        mistakes=mistakes, through=through, tolerance=tolerance,
    )  # fmt: skip


def edit(name: str, says: str, *edits: tuple[str, str]) -> Mistake:
    """Returns a mistake in a function, as (old, new) replacements in the package's source."""
    return Mistake(name, says, "", "whole", EditedSource(edits))


@dataclass(frozen=True)
class EditedSource:
    """Computes the wrong answer that a mistake gives, by running the edited source."""

    edits: Edits

    def __call__(self, case: Any) -> Tensor:
        exercise: FunctionExercise = case.exercise
        return exercise.answer(exercise.cut[0].edit(self.edits), case.arguments)


def drawing(*seed: int) -> Callable[..., Tensor]:
    """Returns a function that draws normal float64 tensors of a given shape, one after the other."""
    source = generator(*seed)
    return lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=source)
