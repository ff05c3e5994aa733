"""One common mistake, and small functions with which the table of mistakes is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .wrong_gradient import WrongGradient

Transform = Callable[[WrongGradient], Tensor | None]


@dataclass(frozen=True)
class Mistake:
    """A common mistake in a gradient or another function, which computes the wrong result that it leads to.

    name : short; several lines may share one where the mistake can be made in several ways
    says : describes it, for the student
    formula : the line of the formula that it concerns; "" where `says` contains it
    stage : what `gives` returns: "whole" the result itself; "data" the gradient of the data term, to which the right
        gradient of the penalty is added; "loss" ∂L/∂scores, from which the chain rule continues; "penalty" the
        gradient of the penalty; "numeric" nothing
    gives : takes a `WrongGradient` (or one case of a function); None where the mistake does not apply
    """

    name: str
    says: str
    formula: str
    stage: str
    gives: Callable[[Any], Tensor | None]

    @property
    def line(self) -> str:
        """Returns the description and the line of the formula."""
        return f"{self.says} [{self.formula}]" if self.formula else self.says


def when(condition: Callable[[WrongGradient], bool], gives: Transform) -> Transform:
    """Restricts a mistake to the gradients to which it applies."""
    return lambda wrong: gives(wrong) if condition(wrong) else None


def is_a(*types: str) -> Callable[[WrongGradient], bool]:
    """Returns a condition: whether the loss, activation or penalty is of one of these classes."""
    return lambda wrong: wrong.is_a(*types)


def up(wrong: WrongGradient) -> Tensor:
    """Returns ∂L/∂output, the upstream of every activation and layer."""
    assert wrong.upstream is not None
    return wrong.upstream
