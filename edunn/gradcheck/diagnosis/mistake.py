"""One typical mistake, and the small functions that the table of mistakes is written with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .wrong_gradient import WrongGradient

Transform = Callable[[WrongGradient], Tensor | None]


@dataclass(frozen=True)
class Mistake:
    """A typical mistake in a gradient, or in another function: it computes the result that it would give.

    name : short; several lines may share one where the mistake can be made in several ways
    says : what it is, for the student
    formula : the line of the formula that it concerns; "" where `says` holds it
    stage : what `gives` returns: "whole" the result itself; "data" the data term's share, the penalty's being right;
        "loss" ∂L/∂scores, the rest of the chain being right; "penalty" the penalty's share; "numeric" nothing
    gives : takes a `WrongGradient` (or one case of a function); None where the mistake does not apply
    """

    name: str
    says: str
    formula: str
    stage: str
    gives: Callable[[Any], Tensor | None]

    @property
    def line(self) -> str:
        """What it is, and the line of the formula, for a reader."""
        return f"{self.says} [{self.formula}]" if self.formula else self.says


def when(condition: Callable[[WrongGradient], bool], gives: Transform) -> Transform:
    """Restricts a mistake to the gradients to which it applies."""
    return lambda wrong: gives(wrong) if condition(wrong) else None


def is_a(*types: str) -> Callable[[WrongGradient], bool]:
    """Whether the loss, activation or penalty is of one of these classes."""
    return lambda wrong: wrong.is_a(*types)


def up(wrong: WrongGradient) -> Tensor:
    """Returns ∂L/∂output, which every activation and layer is given."""
    assert wrong.upstream is not None
    return wrong.upstream
