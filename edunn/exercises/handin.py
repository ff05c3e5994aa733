"""One thing in a file that is graded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .exercise import Exercise
from .layout import PLAIN, Layout


@dataclass(frozen=True)
class Handin:
    """One thing in a file that is graded: a value with its gradient, or a function.

    exercise : what it answers; None where the file's own `inputs` gives the arguments
    value : the value, the output of forward, or the function's answer; takes the arguments in the exercise's order
    gradient : takes the same; of forward and backward also upstream; None for a function
    torch : whether the arguments are tensors, and not arrays
    declared : whether the file says which exercise it is, by name or task
    matched : which parameters were matched to which arguments, in words
    layout : the shapes in which it takes the arguments
    functions : the names of the function or class that has the gradient, and of the one that has the value
    lines : where in the file a term of the gradient stands: ("penalty", 12), ("mean", 9), …
    explain : names mistakes from (arguments, its gradients, the right ones), by parameter: (name, sentence) of each
    like : without an exercise, the one whose layouts its arguments may have
    own_inputs : whether the file draws its arguments itself; the others are then looked at for a name alone
    helper : whether what cannot be run is no hand-in at all, but a helper of the file
    others : the same as an answer to other exercises, where none is declared
    """

    name: str
    file: str
    exercise: Exercise | None
    torch: bool
    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    forward: bool = False
    inputs: Callable[[int], Mapping[str, Any]] | None = None
    declared: bool = True
    matched: str = ""
    layout: Layout = PLAIN
    others: tuple[Handin, ...] = ()
    functions: tuple[str, ...] = ()
    lines: tuple[tuple[str, int], ...] = ()
    helper: bool = False
    own_inputs: bool = False
    like: str = ""
    explain: Callable[..., dict[str, list[tuple[str, str]]]] | None = None

    @property
    def task(self) -> str:
        return self.exercise.name if self.exercise else ""
