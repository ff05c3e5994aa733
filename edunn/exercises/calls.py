"""A hand-in's functions, called with copies of the arguments; what they return as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..runtime.devices import generator
from .protocol import Handin, HandinError, given, guarded, taken


def draw(handin: Handin, seed: int) -> dict[str, Any]:
    """The arguments at which it is checked: the task's, or its own `inputs(seed)`."""
    if handin.task is not None:
        return handin.task.draw(seed)
    if handin.inputs is None:
        raise HandinError(
            f'Expected to know what {handin.name} is given: set task = "…" in the class (edunn check --template NAME '
            f"shows one), or write a function inputs(seed) that returns its arguments as a dictionary."
        )
    drawn = guarded(handin.file, handin.inputs, seed)
    if not isinstance(drawn, Mapping) or not drawn:
        raise HandinError(f"Expected inputs(seed) to return a dictionary of arguments; got {type(drawn).__name__}.")
    found: dict[str, Any] = {}
    for name, value in drawn.items():
        if isinstance(value, (int, str, bool)):
            found[str(name)] = value
        else:
            tensor = taken(value, f"inputs()[{name!r}]")
            found[str(name)] = tensor.double() if tensor.is_floating_point() else tensor
    return found


class Calls:
    """A hand-in's functions, called with copies of the arguments; what they return as tensors."""

    def __init__(self, handin: Handin, arguments: Mapping[str, Any], seed: int, notes: list[str]) -> None:
        self.handin, self.arguments, self.notes = handin, dict(arguments), notes
        self.upstream: Tensor | None = None
        if handin.forward:
            output = self.value(arguments)
            self.upstream = torch.randn(output.shape, dtype=torch.float64, generator=generator(seed, 99))

    def copies(self, arguments: Mapping[str, Any]) -> list[Any]:
        return [given(value, self.handin.torch) for value in arguments.values()]

    def value(self, arguments: Mapping[str, Any]) -> Tensor:
        """The value; for forward and backward the output."""
        passed = self.copies(arguments)
        returned = taken(guarded(self.handin.file, self.handin.value, *passed), "the value")
        for (name, before), after in zip(arguments.items(), passed, strict=True):
            if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(after)):
                self.notes.append(f"the value changes its argument {name} in place")
        if not self.handin.forward and returned.numel() != 1:
            raise HandinError(f"Expected a value that is one number; got shape {tuple(returned.shape)}.")
        return returned if self.handin.forward else returned.reshape(())

    def scalar(self, arguments: Mapping[str, Any]) -> Tensor:
        """What is differentiated: the value, or Σ upstream · output."""
        found = self.value(arguments).double()
        return found if self.upstream is None else (self.upstream * found).sum()

    def gradients(self) -> dict[str, Tensor]:
        """The gradients by name."""
        passed = self.copies(self.arguments)
        if self.upstream is not None:
            passed.append(given(self.upstream, self.handin.torch))
        returned = guarded(self.handin.file, self.handin.gradient, *passed)
        wanted = self.wanted()
        if isinstance(returned, Mapping):
            return {str(name): taken(value, f"the gradient in {name}") for name, value in returned.items()}
        if isinstance(returned, tuple) and len(returned) == len(wanted) > 1:
            return {name: taken(value, f"the gradient in {name}") for name, value in zip(wanted, returned, strict=True)}
        if returned is None:
            raise HandinError("Expected a gradient; got None. Is there a return?")
        if len(wanted) > 1 and self.handin.task is not None:
            names = ", ".join(f'"{name}": …' for name in wanted)
            raise HandinError(f"Expected a dictionary {{{names}}} of gradients; got {type(returned).__name__}.")
        return {wanted[0]: taken(returned, "the gradient")}

    def wanted(self) -> tuple[str, ...]:
        if self.handin.task is not None:
            return self.handin.task.wanted
        return tuple(n for n, v in self.arguments.items() if isinstance(v, Tensor) and v.is_floating_point())
