"""Classes of whole nets or models: parameters that the object keeps, and a method that returns (loss, gradients)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ...runtime.devices import generator
from ..calls import copy_argument
from ..returned import Returned, name_gradients, name_returned, split_returned
from .backprop import Chain, explain, recognise
from .binding import bind, call_bound, list_all
from .instances import FEATURES, OUTPUTS, construct, exists, find_kept_gradients, list_parameters, read, write

METHODS = ("loss", "loss_and_grad", "compute_loss", "cost", "loss_and_gradient", "forward_backward", "objective",
           "loss_grad", "compute_loss_and_gradient", "cost_function", "costFunction", "propagate")  # fmt: skip
PAIRS = (("loss", "gradient"), ("cost", "gradient"), ("compute_cost", "compute_gradient"), ("loss", "grad"),
         ("compute_loss", "compute_gradient"), ("compute_loss", "compute_gradients"), ("cost_function", "gradient"),
         ("compute_loss", "backward"), ("costFunction", "costFunctionPrime"), ("loss", "backward"),
         ("_loss", "_gradient"), ("compute_cost", "backward"), ("loss", "gradients"), ("cost", "grad"))  # fmt: skip
SAMPLES = 5


class Net:
    """A model as a value of its parameters, of features, targets and the strength of a penalty."""

    def __init__(
        self, thing: type, methods: tuple[str, ...], places: Mapping[str, str], names: tuple[str, ...],
        draw: Callable[[int], Mapping[str, Any]] | None = None, as_torch: bool = False,
    ) -> None:  # fmt: skip
        self.thing, self.methods, self.places, self.names = thing, methods, dict(places), names
        self.draw, self.as_torch = draw, as_torch

    def call(self, method: str, instance: Any, known: Mapping[str, Any]) -> Any:
        function = getattr(instance, method)
        arguments = {name: value for name, value in known.items() if name not in self.places}
        return call_bound(function, bind(function, copy.deepcopy(arguments), None, tuple(arguments)))

    def start(self, given: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        known = dict(zip(self.names, given, strict=True))
        instance = construct(self.thing, {})
        for name, place in self.places.items():
            write(instance, place, copy.deepcopy(known[name]))
        if "strength" in known:
            for word in ("reg", "lambda_", "lam", "reg_strength", "Lambda", "l2", "lambd", "alpha"):
                if isinstance(vars(instance).get(word), float | int):
                    setattr(instance, word, known["strength"])
        return instance, known

    def both(self, given: tuple[Any, ...]) -> tuple[Any, Any]:
        instance, known = self.start(given)
        words = name_returned(getattr(self.thing, self.methods[0]))
        return split_returned(self.call(self.methods[0], instance, known), self.methods[0], words)

    def value(self, *given: Any) -> Any:
        if len(self.methods) == 1:
            return self.both(given)[0]
        instance, known = self.start(given)
        return self.call(self.methods[0], instance, known)

    def gradient(self, *given: Any) -> Any:
        if len(self.methods) == 1:
            return self.both(given)[1]
        instance, known = self.start(given)
        self.call(self.methods[0], instance, known)
        returned = self.call(self.methods[1], instance, known)
        if returned is None:
            shapes = {name: np.shape(known[name]) for name in self.places}
            return find_kept_gradients(instance, self.places, shapes)
        return Returned(returned, name_returned(getattr(self.thing, self.methods[1])))

    def explain(self, arguments: Mapping[str, Any], hand: Mapping[str, Any], right: Mapping[str, Any]) -> Names:
        """Names the slip in the backward pass, where the net is a chain of linear layers whose loss is known."""
        chain = Chain(arguments)
        if not chain.usable or self.draw is None:
            return {}
        still = {"strength": 0.0} if "strength" in arguments else {}
        several = ({**self.draw(300 + k), **still} for k in range(12))
        draws = [at for at in several if at["features"].shape == arguments["features"].shape]
        values = [float(self.value(*self.give(at))) for at in draws]
        known = recognise(chain, draws, values)
        if known is None:
            return {}
        shapes = {name: tuple(value.shape) for name, value in arguments.items() if isinstance(value, torch.Tensor)}
        returned = self.gradient(*self.give({**arguments, **still}))
        found = returned if isinstance(returned, Returned) else Returned(returned, ())
        named = name_gradients(found.gradients, found.words, list(self.places), shapes)
        data = {name: torch.as_tensor(np.asarray(value)) for name, value in named.items()}
        if any(value.numel() != math.prod(shapes[name]) for name, value in data.items()):
            return {}  # a gradient of another shape says so by itself
        data = {name: value.reshape(shapes[name]) for name, value in data.items()}
        return explain(chain, arguments, known, data)

    def give(self, arguments: Mapping[str, Any]) -> list[Any]:
        return [copy_argument(arguments[name], self.as_torch) for name in self.names]


Names = dict[str, list[tuple[str, str]]]


def find_methods(thing: type) -> list[tuple[str, ...]]:
    own = {name for parent in thing.__mro__ if parent is not object for name in vars(parent)}
    pairs: list[tuple[str, ...]] = [pair for pair in PAIRS if set(pair) <= own]
    return pairs + [(name,) for name in METHODS if name in own]


def find_places(thing: type, methods: tuple[str, ...], trial: Mapping[str, Any]) -> dict[str, str]:
    """Returns where the parameters are that change the loss, by their own names: {"W1": "params['W1']"}."""
    instance = construct(thing, {})
    names = {place: key_of(place) for place in list_parameters(instance) if exists(instance, place)}
    found = {}
    net = Net(thing, methods, {}, tuple(trial))
    source = np.random.default_rng(0)
    for place in names:  # zeros would hide what a weight behind them does
        write(
            instance, place, np.asarray(read(instance, place)) * 0 + source.normal(size=np.shape(read(instance, place)))
        )

    def value(one: Any) -> Any:
        result = net.call(methods[0], one, trial)
        return split_returned(result, methods[0])[0] if len(methods) == 1 else result

    first = value(copy.deepcopy(instance))
    for place, name in names.items():
        moved = copy.deepcopy(instance)
        write(moved, place, np.asarray(read(moved, place)) + source.normal(size=np.shape(read(moved, place))))
        if not np.array_equal(np.asarray(first), np.asarray(value(moved))):
            found[name] = place
    return found


def key_of(place: str) -> str:
    return place.partition("[")[2].rstrip("]").strip("'\"") if "[" in place else place


def find_sizes(thing: type) -> list[tuple[int, int]]:
    """Returns the numbers of inputs and outputs that a model may have: those asked for, and those of its weights."""
    found = [(FEATURES, OUTPUTS)]
    try:
        instance = construct(thing, {})
        shapes = [np.shape(read(instance, place)) for place in list_parameters(instance)]
    except Exception:  # a constructor may raise anything
        return found
    matrices = [shape for shape in shapes if len(shape) == 2 and 1 not in shape[:1]]
    if matrices:
        found += [(matrices[0][0], matrices[-1][1]), (matrices[0][1], matrices[-1][0])]
    return list(dict.fromkeys(found))


def takes_strength(thing: type, methods: tuple[str, ...]) -> bool:
    from ..signature import find_argument

    return any(find_argument(one.name, ["strength"]) for one in list_all(getattr(thing, methods[0])))


def draw_net(
    thing: type, places: Mapping[str, str], trial: Callable[[int], Mapping[str, Any]]
) -> Callable[[int], dict[str, Any]]:
    """Returns a draw of the parameters, of the shapes that the object made itself, and of the data."""

    def draw(seed: int) -> dict[str, Any]:
        instance = construct(thing, {})
        found: dict[str, Any] = {
            name: torch.randn(np.shape(read(instance, place)), dtype=torch.float64, generator=generator(seed, k))
            for k, (name, place) in enumerate(places.items())
        }
        return {**found, **trial(seed)}

    return draw
