"""A hand-in with a gradient at one point: copies of the arguments go in, the value and the gradients come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..runtime.devices import generator
from .calls import HandinError, call, copy_argument, to_tensor
from .exercise import GradientExercise
from .handins import Handin


def draw_arguments(handin: Handin, seed: int) -> dict[str, Any]:
    """Draws the arguments at which a hand-in is checked: the exercise's, or those of its own `inputs(seed)`."""
    if isinstance(handin.exercise, GradientExercise):
        return handin.exercise.draw(seed)
    if handin.inputs is None:
        raise HandinError(
            f'The arguments of {handin.name} are not known: set task = "…" in the class (edunn exercise --list names '
            f"the tasks), or write a function inputs(seed) that returns them as a dictionary."
        )
    drawn = call(handin.file, handin.inputs, seed)
    if not isinstance(drawn, Mapping) or not drawn:
        raise HandinError(f"inputs(seed) returns {type(drawn).__name__}; wanted is a dictionary of arguments.")
    found: dict[str, Any] = {}
    for name, value in drawn.items():
        if isinstance(value, (int, str, bool)):
            found[str(name)] = value
        else:
            tensor = to_tensor(value, f"inputs()[{name!r}]")
            found[str(name)] = tensor.double() if tensor.is_floating_point() else tensor
    return found


class Point:
    """A hand-in at one point.

    arguments : by name
    wanted : the arguments in which a gradient is asked for
    upstream : ∂L/∂output, random, of forward and backward; None of a value
    notes : what a reader should know, collected from the calls
    """

    def __init__(self, handin: Handin, seed: int, notes: list[str]) -> None:
        self.handin, self.arguments, self.notes = handin, draw_arguments(handin, seed), notes
        self.wanted = (
            handin.exercise.wanted if isinstance(handin.exercise, GradientExercise)
            else tuple(n for n, v in self.arguments.items() if isinstance(v, Tensor) and v.is_floating_point())
        )  # fmt: skip
        self.upstream: Tensor | None = None
        if handin.forward:
            output = self.value(self.arguments)
            self.upstream = torch.randn(output.shape, dtype=torch.float64, generator=generator(seed, 99))

    def value(self, arguments: Mapping[str, Any]) -> Tensor:
        """Returns the value; of forward and backward the output."""
        copies = [copy_argument(value, self.handin.torch) for value in arguments.values()]
        returned = to_tensor(call(self.handin.file, self.handin.value, *copies), "the value")
        for (name, before), after in zip(arguments.items(), copies, strict=True):
            if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(after)):
                self.notes.append(f"the value changes its argument {name} in place")
        if not self.handin.forward and returned.numel() != 1:
            raise HandinError(f"The value is one number; got shape {tuple(returned.shape)}.")
        return returned if self.handin.forward else returned.reshape(())

    def scalar(self, arguments: Mapping[str, Any]) -> Tensor:
        """Returns what is differentiated: the value, or Σ upstream · output."""
        found = self.value(arguments).double()
        return found if self.upstream is None else (self.upstream * found).sum()

    def gradients(self) -> dict[str, Tensor]:
        """Returns the hand-in's gradients, by name."""
        copies = [copy_argument(value, self.handin.torch) for value in self.arguments.values()]
        if self.upstream is not None:
            copies.append(copy_argument(self.upstream, self.handin.torch))
        assert self.handin.gradient is not None
        returned = call(self.handin.file, self.handin.gradient, *copies)
        if isinstance(returned, tuple) and len(returned) == len(self.wanted) > 1:
            returned = dict(zip(self.wanted, returned, strict=True))
        if isinstance(returned, Mapping):
            return {str(name): to_tensor(value, f"the gradient in {name}") for name, value in returned.items()}
        if returned is None:
            raise HandinError("The gradient is None. Is there a return?")
        if len(self.wanted) > 1 and self.handin.exercise is not None:
            names = ", ".join(f'"{name}": …' for name in self.wanted)
            raise HandinError(f"Expected a dictionary {{{names}}} of gradients; got {type(returned).__name__}.")
        return {self.wanted[0]: to_tensor(returned, "the gradient")}
