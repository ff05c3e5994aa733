"""A hand-in with a gradient at one point: copies of the arguments go in, the value and the gradients come out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runtime.devices import generator
from .calls import HandinError, Unfinished, call, copy_argument, to_tensor
from .exercise import GradientExercise
from .handins import Handin
from .signature import find_gradient


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
    if not any(is_real(value) for value in found.values()):
        raise HandinError("inputs(seed) holds whole numbers alone. A gradient needs an argument of floats.")
    return found


def is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


class Point:
    """A hand-in at one point.

    arguments : by name
    wanted : the arguments in which a gradient is asked for
    upstream : ∂L/∂output, random, of forward and backward; None of a value
    notes : what a reader should know, collected from the calls
    """

    def __init__(self, handin: Handin, seed: int, notes: list[str]) -> None:
        self.handin, self.seed, self.notes = handin, seed, notes
        self.arguments = draw_arguments(handin, seed)
        self.wanted = (
            handin.exercise.wanted if isinstance(handin.exercise, GradientExercise)
            else tuple(name for name, value in self.arguments.items() if is_real(value))
        )  # fmt: skip
        self.upstream: Tensor | None = None
        if handin.forward:
            output = self.value(self.arguments)
            self.upstream = torch.randn(output.shape, dtype=torch.float64, generator=generator(seed, 99))

    def copy(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Returns copies of the arguments, as the hand-in lays them out."""
        weight = arguments.get("weight")
        classes = weight.shape[0] if isinstance(weight, Tensor) and weight.ndim == 2 else 0
        if "scores" in arguments and arguments["scores"].ndim == 2:
            classes = arguments["scores"].shape[1]
        laid = {
            name: self.handin.layout.give(name, value, classes) if isinstance(value, Tensor) else value
            for name, value in arguments.items()
        }
        if self.handin.forward:  # what it draws itself, a mask of dropout, is the same in every call
            random.seed(self.seed)
            np.random.seed(self.seed)
            torch.manual_seed(self.seed)
        return [copy_argument(value, self.handin.torch) for value in laid.values()]

    def value(self, arguments: Mapping[str, Any]) -> Tensor:
        """Returns the value; of forward and backward the output."""
        before, copies = self.copy(arguments), self.copy(arguments)
        returned = to_tensor(call(self.handin.file, self.handin.value, *copies), "the value")
        for name, old, new in zip(arguments, before, copies, strict=True):
            if isinstance(arguments[name], Tensor) and not torch.equal(torch.as_tensor(old), torch.as_tensor(new)):
                self.notes.append(f"the value changes its argument {name} in place")
        if not self.handin.forward and returned.numel() != 1:
            raise HandinError(f"The value is one number; got shape {tuple(returned.shape)}.")
        return returned if self.handin.forward else returned.reshape(())

    def scalar(self, arguments: Mapping[str, Any]) -> Tensor:
        """Returns the scalar whose gradient is checked: the value, or Σ upstream · output."""
        found = self.value(arguments).double()
        return found if self.upstream is None else (self.upstream * found).sum()

    def moves(self) -> bool:
        """Returns whether the value changes when the arguments with a gradient change."""
        first = self.value(self.arguments)
        for k in range(3):
            source = generator(self.seed, 200 + k)
            moved = {
                name: value + torch.randn(value.shape, dtype=value.dtype, generator=source)
                for name, value in self.arguments.items()
                if name in self.wanted
            }
            if not torch.equal(first, self.value({**self.arguments, **moved})):
                return True
        return False

    def gradients(self) -> dict[str, Tensor]:
        """Returns the hand-in's gradients, by name, in the exercise's layout."""
        copies = self.copy(self.arguments)
        if self.upstream is not None:
            copies.append(copy_argument(self.upstream, self.handin.torch))
        assert self.handin.gradient is not None
        returned = call(self.handin.file, self.handin.gradient, *copies)
        return {
            name: self.handin.layout.take(name, to_tensor(value, f"the gradient in {name}"), self.arguments[name])
            for name, value in self.name_gradients(returned).items()
        }

    def name_gradients(self, returned: Any) -> dict[str, Any]:
        """Returns the returned gradients as a dictionary by argument name."""
        if returned is None or returned is ...:
            raise Unfinished(f"The gradient is {returned}. Is there a return?")
        if isinstance(returned, tuple | list) and len(returned) == 2 and isinstance(returned[1], Mapping):
            # (dx, {"W": …}), as layers that keep their parameters apart return
            first = self.wanted[0] if self.wanted[0] not in returned[1] else "features"
            returned = {first: returned[0], **returned[1]}
        if isinstance(returned, tuple | list) and len(returned) == len(self.wanted) > 1:
            returned = dict(zip(self.wanted, returned, strict=True))
        if isinstance(returned, Mapping):
            named: dict[str, Any] = {}
            for key, value in returned.items():
                name = find_gradient(str(key), [n for n, v in self.arguments.items() if is_real(v)])
                if name is None or name in named:
                    raise HandinError(
                        f"The gradient has a key {str(key)!r}, which is not one of the arguments "
                        f"{', '.join(self.arguments)}. Name each gradient as its argument."
                    )
                named[name] = value
            return named
        if isinstance(returned, tuple) and len(returned) == 1:
            (returned,) = returned
        if len(self.wanted) > 1 and self.handin.exercise is not None:
            names = ", ".join(f'"{name}": …' for name in self.wanted)
            raise HandinError(f"Expected a dictionary {{{names}}} of gradients; got {type(returned).__name__}.")
        return {self.wanted[0]: returned}
