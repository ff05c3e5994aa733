"""One mistake of the table, and the small words its lines are written with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .scene import Scene

Transform = Callable[[Scene], Tensor | None]


@dataclass(frozen=True)
class Mistake:
    """What was done wrong.

    key : its name, short; several lines may share one where the mistake can be made in several ways
    says : what it is, for the student
    formula : the line of the formula that it concerns
    stage : what `gives` is: "whole" the gradient itself; "data" the data term's share, the penalty's being right;
        "loss" ∂L/∂scores, the rest of the chain being right; "penalty" the penalty's share
    gives : the gradient that this mistake would give; None where it does not apply
    """

    key: str
    says: str
    formula: str
    stage: str
    gives: Transform


def when(condition: Callable[[Scene], bool], gives: Callable[[Scene], Tensor | None]) -> Transform:
    """Only where it applies."""
    return lambda scene: gives(scene) if condition(scene) else None


def of(*types: str) -> Callable[[Scene], bool]:
    """Whether the loss, activation or penalty is of one of these classes."""
    return lambda scene: scene.of_type(*types)


def up(scene: Scene) -> Tensor:
    assert scene.upstream is not None
    return scene.upstream
