"""Hand-ins that are written for torch: `torch.autograd.Function`, whose backward autograd calls."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from .binding import OPTIONS


def is_extension(thing: Any) -> bool:
    return (
        inspect.isclass(thing) and issubclass(thing, torch.autograd.Function) and thing is not torch.autograd.Function
    )


def list_words(thing: type) -> list[inspect.Parameter]:
    """Returns the parameters of its forward, without ctx."""
    return list(inspect.signature(thing.forward).parameters.values())[1:]  # type: ignore[attr-defined]


class Extension:
    """A torch.autograd.Function as a value with its gradients."""

    def __init__(self, thing: Any, names: tuple[str, ...]) -> None:
        self.thing, self.names = thing, names

    def apply(self, given: tuple[Any, ...], track: bool) -> tuple[list[Any], Any]:
        places = [self.names.index(one) for one in self.names]
        tensors = [
            one.detach().clone().requires_grad_(track) if isinstance(one, Tensor) and one.is_floating_point() else one
            for one in (given[place] for place in places)
        ]
        extra = [OPTIONS[one.name]() for one in list_words(self.thing)[len(tensors) :]
                 if one.default is one.empty and one.name in OPTIONS]  # fmt: skip
        with torch.enable_grad():
            return tensors, self.thing.apply(*tensors, *extra)

    def value(self, *given: Any) -> Any:
        _, result = self.apply(given, False)
        return (result[0] if isinstance(result, tuple) else result).detach()

    def gradient(self, *given: Any) -> dict[str, Any]:
        *arguments, upstream = given
        tensors, result = self.apply(tuple(arguments), True)
        result = result[0] if isinstance(result, tuple) else result
        torch.autograd.backward(result, upstream.reshape(result.shape))
        return {
            name: one.grad if one.grad is not None else torch.zeros_like(one)
            for name, one in zip(self.names, tensors, strict=True)
            if isinstance(one, Tensor) and one.requires_grad
        }
