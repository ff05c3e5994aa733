"""A hand-in with a gradient at one point: copies of the arguments go in, the value and the gradients come out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runtime.devices import generator
from .calls import HandinError, call, copy_argument, to_tensor
from .exercise import SIZES, GradientExercise, Sizes
from .handin import Handin
from .returned import Returned, name_gradients


def draw_arguments(handin: Handin, seed: int) -> dict[str, Any]:
    """Draws the arguments at which a hand-in is checked: the exercise's, or those of its own `inputs(seed)`."""
    if isinstance(handin.exercise, GradientExercise):
        return handin.exercise.draw(seed, find_sizes(handin, seed))
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


def find_sizes(handin: Handin, seed: int) -> Sizes:
    """Returns the sizes at a seed; where the hand-in takes one feature, with one."""
    sizes = SIZES[seed % len(SIZES)]
    return sizes._replace(features=1) if handin.layout.sizes else sizes


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
        if self.handin.forward or not self.handin.declared:
            # what it draws itself, a mask of dropout, is the same in every call
            random.seed(self.seed)
            np.random.seed(self.seed)
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed asks every kind of device, and is slow
        return [copy_argument(value, self.handin.torch) for value in laid.values()]

    def value(self, arguments: Mapping[str, Any]) -> Tensor:
        """Returns the value; of forward and backward the output."""
        before, copies = self.copy(arguments), self.copy(arguments)
        returned = to_tensor(call(self.handin.file, self.handin.value, *copies), "the value")
        for name, old, new in zip(arguments, before, copies, strict=True):
            if isinstance(arguments[name], Tensor) and not torch.equal(torch.as_tensor(old), torch.as_tensor(new)):
                self.notes.append(f"the value changes its argument {name} in place")
        if not self.handin.forward and returned.numel() != 1:
            if self.handin.declared:
                raise HandinError(f"The value is one number; got shape {tuple(returned.shape)}.")
            self.notes.append("the value has one number for each sample or entry: their sum is differentiated")
            returned = returned.sum()
        return self.handin.layout.turn(returned) if self.handin.forward else returned.reshape(())

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

    def is_coarse(self, first: Tensor) -> bool:
        """Whether arguments that move by 1e-10 leave the value as it is, while those that move by 1e-4 do not.

        A hand-in computes in float32 then, whatever the dtype of what it returns.
        """

        def move(step: float) -> Tensor:
            source = generator(self.seed, 300)
            moved = {
                name: value * (1 + step * torch.randn(value.shape, dtype=value.dtype, generator=source))
                for name, value in self.arguments.items()
                if name in self.wanted and is_real(value) and value.ndim  # a λ of python is a float64
            }
            return self.value({**self.arguments, **moved})

        return torch.equal(first, move(1e-10)) and not torch.equal(first, move(1e-4))

    def gradients(self, arguments: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Returns the hand-in's gradients, by name, in the exercise's layout; at the point, or at other arguments."""
        copies = self.copy(self.arguments if arguments is None else arguments)
        if self.upstream is not None:
            copies.append(copy_argument(self.handin.layout.turn(self.upstream), self.handin.torch))
        assert self.handin.gradient is not None
        returned = call(self.handin.file, self.handin.gradient, *copies)
        return {
            name: self.handin.layout.take(name, to_tensor(value, f"the gradient in {name}"), self.arguments[name])
            for name, value in self.name_gradients(returned).items()
        }

    def name_gradients(self, returned: Any) -> dict[str, Any]:
        """Returns what was handed in by the names of the arguments."""
        words: tuple[str, ...] = ()
        if isinstance(returned, Returned):
            returned, words = returned.gradients, returned.words
        shapes = {name: tuple(value.shape) for name, value in self.arguments.items() if is_real(value)}
        several = isinstance(returned, Mapping | tuple | list)
        if len(self.wanted) > 1 and self.handin.declared and not several and returned is not None:
            names = ", ".join(f'"{name}": …' for name in self.wanted)
            raise HandinError(f"Expected a dictionary {{{names}}} of gradients; got {type(returned).__name__}.")
        return name_gradients(returned, words, self.wanted, shapes)
