"""Functions that belong together by their names: a cost and its gradient, or NAME_forward and NAME_backward."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..calls import HandinError, Unfinished
from ..returned import Returned, list_returned, name_returned, read_name
from .binding import bind, call_bound, is_cache, is_upstream, list_required

BACKWARD = re.compile(
    r"gradients?|grads?|derivatives?|derivate|deriv|prime|backward|backprop|bprop|jacobian|back$|der$"
)
VALUE = re.compile(r"costfunction|cost|loss|forward|forwardprop|fprop|value|errorfunction|objective")
FILLER = re.compile(r"compute|calculate|calc|function|func|get|eval|the|fn$")
NO_GRADIENT = re.compile(r"descent|numeric|check|test|plot|approx|clip|update|train|fit|optim|ascent|step|zero|verify")
# what a derivative that takes the activation's output, not its score, calls its argument
OUTPUTS = (
    "a",
    "s",
    "out",
    "output",
    "y",
    "sig",
    "sigmoid_output",
    "activated",
    "activation",
    "y_hat",
    "yhat",
    "sx",
    "fx",
)


def find_pairs(functions: Mapping[str, Callable[..., Any]]) -> list[tuple[Callable[..., Any], Callable[..., Any]]]:
    """Returns the pairs (value, gradient) among the functions of a file, in the order of the gradients."""
    stems = {name: find_stem(name) for name in functions}
    values = {name: function for name, function in functions.items() if not is_backward(name)}
    found = []
    for name, gradient in functions.items():
        plain = [other for other in functions if name.lower() in (f"d{other}".lower(), f"d_{other}".lower())]
        if not is_backward(name) and not plain:
            continue
        same = [
            other
            for other in values
            if other != name and stems[other] == stems[name] and is_value_of(values[other], gradient)
        ]
        same = same or [other for other in plain if is_value_of(functions[other], gradient)]
        if same:
            found.append((functions[same[0]], gradient))
    return found


def is_backward(name: str) -> bool:
    plain = name.replace("_", "").lower()
    if NO_GRADIENT.search(plain):
        return False
    return bool(BACKWARD.search(plain)) or bool(
        re.match(r"d_?(sigmoid|relu|tanh|softmax|leaky|mse|loss|cost)", name.lower())
    )


def find_stem(name: str) -> str:
    """Returns what is left of a name without the words for value, gradient and computing."""
    plain = name.replace("_", "").lower()
    for words in (FILLER, BACKWARD, VALUE, FILLER):
        plain = words.sub("", plain)
    return re.sub(r"^d(?=sigmoid|relu|tanh|softmax|leaky|mse)", "", plain)


def is_value_of(value: Callable[..., Any], gradient: Callable[..., Any]) -> bool:
    """Whether the parameters of a gradient may come from this value's: its own, its cache, or an upstream."""
    own = {one.lower() for one in inspect.signature(value).parameters}
    wanted = list_required(gradient)
    others = [one.name for one in wanted if one.name.lower() not in own]
    forward = any(is_cache(one) or is_upstream(one) for one in others)
    return bool(own) and (forward or len(wanted) <= max(1, len(own)) + 1)


def is_forward(value: Callable[..., Any], gradient: Callable[..., Any]) -> bool:
    """Whether a pair is a layer's: the gradient takes an upstream or a cache, or the names say forward."""
    own = {one.lower() for one in inspect.signature(value).parameters}
    words = [one.name for one in list_required(gradient) if one.name.lower() not in own]
    return any(is_cache(one) or is_upstream(one) for one in words)


def split_output(result: Any, gradient: Callable[..., Any] | None) -> tuple[Any, tuple[Any, ...]]:
    """Returns (output, what is kept for the backward) of what a forward returned."""
    if isinstance(result, tuple) and len(result) > 1:
        uses = gradient is not None and any(is_cache(one.name) for one in list_required(gradient))
        if uses and len(result) > 2:  # several outputs (h, c), and the cache behind them
            return result[:-1], result[-1:]
        return result[0], result[1:]
    return result, ()


def join(output: Any) -> Any:
    """Returns several outputs as one flat array, so that one upstream belongs to all of them."""
    if not isinstance(output, tuple):
        return output
    if all(isinstance(one, Tensor) for one in output):
        return torch.cat([one.reshape(-1) for one in output])
    return np.concatenate([np.asarray(one, dtype=float).reshape(-1) for one in output])


def split_upstream(upstream: Any, output: Any) -> list[Any]:
    if not isinstance(output, tuple):
        return [upstream]
    found, start = [], 0
    for one in output:
        size = int(np.prod(np.shape(one)))
        found.append(upstream[start : start + size].reshape(np.shape(one)))
        start += size
    return found


class Pair:
    """Two functions as one value with its gradients, for arguments with these names."""

    def __init__(
        self, value: Callable[..., Any], gradient: Callable[..., Any], names: Iterable[str], forward: bool,
        literal: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.function, self.backward, self.names = value, gradient, tuple(names)
        self.forward, self.literal = forward, literal or {}
        self.words = name_returned(gradient) or one_name(gradient)

    def run(self, given: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        keywords = bind(self.function, dict(zip(self.names, given, strict=True)), self.literal, self.names)
        return call_bound(self.function, keywords), keywords

    def value(self, *given: Any) -> Any:
        result, _ = self.run(given)
        return join(split_output(result, self.backward)[0])

    def gradient(self, *given: Any) -> Any:
        if not self.forward:
            known = dict(zip(self.names, given, strict=True))
            keywords = bind(self.backward, known, self.literal, self.names)
            return Returned(call_bound(self.backward, keywords), self.words)
        *arguments, upstream = given
        result, keywords = self.run(tuple(arguments))
        output, kept = split_output(result, self.backward)
        known = dict(zip(self.names, arguments, strict=True))
        return self.pull(output, kept, result, known, keywords, upstream)

    def pull(
        self, output: Any, kept: tuple[Any, ...], result: Any, known: dict[str, Any], keywords: dict[str, Any],
        upstream: Any,
    ) -> Any:  # fmt: skip
        """Calls the backward with the upstream, and with what it asks for of the forward's arguments and results."""
        parameters = list_required(self.backward)
        literal = {one: value for one, value in keywords.items() if not is_upstream(one)} | dict(self.literal)
        for word, value in zip(name_returned(self.function), result if isinstance(result, tuple) else (), strict=False):
            if word and not is_cache(word) and not is_upstream(word):
                literal.setdefault(word, value)
        upstreams = split_upstream(upstream, output)
        chained = False
        for one in parameters:
            if is_cache(one.name):
                literal[one.name] = kept[-1] if kept else keywords[next(iter(keywords))]
                chained = True
        derivative = len(parameters) == 1 and not chained and not is_upstream(parameters[0].name)
        if derivative:
            return self.differentiate(parameters[0].name, output, known, upstream)
        for one in parameters:
            if upstreams and one.name not in literal and (is_upstream(one.name) or one.name.lower().startswith("d")):
                literal[one.name] = upstreams.pop(0)
        if upstreams:
            known = {"upstream": upstreams[0], **known}
        keywords = bind(self.backward, known, literal, ("upstream", *self.names))
        found = call_bound(self.backward, keywords)
        return Returned(found, self.words)

    def differentiate(self, word: str, output: Any, known: dict[str, Any], upstream: Any) -> Any:
        """Returns upstream · f' for a derivative of one argument; it may be a matrix, ∂f_i/∂z_j, of one sample."""
        point = next(iter(known.values()))
        slope = self.backward(output if word.lower() in OUTPUTS else point)
        if slope is None or slope is ...:
            raise Unfinished(f"The gradient is {slope}. Is there a return?")
        shape = np.shape(point)
        if np.shape(slope) == (*shape, *shape) and shape:
            return upstream @ slope if len(shape) == 1 else slope
        if np.shape(slope) != shape:
            raise HandinError(f"The derivative has shape {np.shape(slope)}; its argument has {shape}.")
        return upstream * slope

    def describe(self) -> str:
        return f"{self.backward.__name__} is the gradient of {self.function.__name__}"


def one_name(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the name that the last return has, where it is one variable."""
    values = list_returned(function)
    return (read_name(values[-1]),) if values else ()
