"""Classes of layers and losses: constructed with sizes, with parameters that they keep, and forward and backward.

The gradient in a parameter is what the object keeps for it (`self.dW`, `self.grads["W"]`), what backward returns, or,
where backward updates the parameter itself, what the update took over the rate.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..calls import HandinError, Unfinished
from ..returned import name_gradients, name_returned
from ..signature import find_argument, find_gradient
from .binding import OPTIONS, RATE, bind, call_bound, is_rate, is_upstream, list_all, list_required
from .pairs import join, one_name, split_output

FORWARD = ("forward", "forward_pass", "forward_propagation", "feedforward", "forward_prop", "feed_forward", "fprop",
           "fp", "__call__", "activate", "fwd", "forwardPass", "forward_propagate", "activation", "function", "fn",
           "f", "call", "apply", "compute", "loss", "calculate", "cost", "value", "evaluate", "calc", "compute_loss",
           "propagate", "func")  # fmt: skip
BACKWARD = ("backward", "backward_pass", "backward_propagation", "backprop", "backpropagate", "backpropagation",
            "bprop", "bp", "back", "bwd", "backwardPass", "backward_propagate", "gradient", "derivative", "grad",
            "prime", "loss_prime", "gradients", "deriv", "backwards", "loss_gradient", "compute_gradient", "dloss",
            "loss_derivative", "derivate", "input_gradient", "back_prop", "df", "gradient_loss", "local_gradient",
            "loss_grad", "dfn", "delta", "cost_derivative", "back_propagation")  # fmt: skip
OUTPUT = ("output", "out", "outputs", "y", "A", "a", "activation", "activations", "z", "Z", "value", "result")
BELOW = ("dinputs", "d_inputs", "dx", "dX", "d_input", "grad_input", "dinput", "input_grad", "grad_x", "inputs_grad",
         "input_gradient", "dA_prev", "d_x", "in_grad", "delta", "din", "gradInput", "grad_inputs")  # fmt: skip
SIZES_IN = ("in", "n_in", "input", "fan_in", "input_size", "in_features", "n_inputs", "input_dim", "in_dim", "n_input",
            "in_size", "inputs", "num_inputs", "input_shape", "n_features", "input_units", "in_channels", "dim_in",
            "D", "d_in", "num_features", "insize", "nin", "features", "input_features", "size_in", "dim", "size",
            "num_input", "in_units", "in_nodes", "shape", "n_x", "in_n", "prev_units")  # fmt: skip
SIZES_OUT = ("out", "n_out", "output", "fan_out", "output_size", "out_features", "n_neurons", "output_dim", "out_dim",
             "n_output", "out_size", "outputs", "units", "num_outputs", "neurons", "n_outputs", "output_units",
             "num_units", "dim_out", "d_out", "num_neurons", "outsize", "nout", "n_units", "output_features",
             "size_out", "hidden", "M", "C", "num_output", "out_units", "out_nodes", "n_nodes", "nodes", "n_y",
             "num_classes", "out_n", "n")  # fmt: skip

FEATURES, OUTPUTS, SAMPLES = 4, 3, 5
Grid = Mapping[str, tuple[int, ...]]


def find_methods(thing: type) -> tuple[str, str] | None:
    """Returns the names of the two methods; None where it has no such pair."""
    own = {name for parent in thing.__mro__ if parent is not object for name in vars(parent)}
    first = next((name for name in FORWARD if name in own and callable(getattr(thing, name))), None)
    second = next((name for name in BACKWARD if name in own and callable(getattr(thing, name))), None)
    return (first, second) if first and second else None


def list_arguments(thing: type) -> list[inspect.Parameter]:
    """Returns the parameters of a class's constructor, without self."""
    own = next(one for one in thing.__mro__ if "__init__" in vars(one))
    return [] if own is object else list_all(vars(own)["__init__"])[1:]


def construct(thing: type, given: Mapping[str, Any] | None = None) -> Any:
    """Returns an object of the class: sizes by the names of the constructor's parameters, options by theirs."""
    if not list_arguments(thing):
        return in_double(thing())
    literal: dict[str, Any] = {}
    for one in list_arguments(thing):
        word = one.name.lower()
        if given and (name := find_argument(one.name, list(given))) is not None and one.default is one.empty:
            literal[one.name] = given[name]
        elif is_rate(word):
            literal[one.name] = RATE
        elif one.default is not one.empty:
            continue
        elif word in map(str.lower, SIZES_IN):
            literal[one.name] = FEATURES
        elif word in map(str.lower, SIZES_OUT):
            literal[one.name] = OUTPUTS
        elif one.name in OPTIONS:
            literal[one.name] = OPTIONS[one.name]()
        elif word in ("batch_size", "n_samples", "m"):
            literal[one.name] = SAMPLES
        elif "activation" in word or word in ("act", "nonlinearity", "function"):
            literal[one.name] = None
        else:
            literal[one.name] = FEATURES if FEATURES not in literal.values() else OUTPUTS
    return in_double(thing(**literal))


def in_double(instance: Any) -> Any:
    """Returns a module of torch in double precision, as the arguments are; anything else unchanged."""
    return instance.double() if isinstance(instance, torch.nn.Module) else instance


def list_parameters(instance: Any) -> dict[str, Any]:
    """Returns the arrays of floats that an object keeps, by name; those in a dictionary `params` by their keys.

    Names of gradients, and what it kept of a call, are no parameters: they do not change the output.
    """
    found: dict[str, Any] = {}
    for name, value in vars(instance).items():
        if is_float_array(value):
            found[name] = value
        elif isinstance(value, Mapping) and name.lower() in ("params", "parameters", "weights", "theta", "_parameters"):
            found |= {f"{name}[{key!r}]": one for key, one in value.items() if is_float_array(one)}
        elif isinstance(value, list) and name.lower() in ("params", "parameters", "weights", "biases"):
            found |= {f"{name}[{k}]": one for k, one in enumerate(value) if is_float_array(one)}
    return found


def is_float_array(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)


def read(instance: Any, place: str) -> Any:
    name, _, key = place.partition("[")
    found = getattr(instance, name)
    return found[parse_key(key)] if key else found


def write(instance: Any, place: str, value: Any) -> None:
    """Sets a parameter, in place where it can be: a layer may keep the same array under two names."""
    name, _, key = place.partition("[")
    old = read(instance, place)
    with torch.no_grad(), contextlib.suppress(ValueError, RuntimeError, TypeError):
        if np.shape(old) == np.shape(value):
            old[...] = value
            return
    if key:
        getattr(instance, name)[parse_key(key)] = value
    else:
        setattr(instance, name, value)


def parse_key(text: str) -> Any:
    key = text.rstrip("]")
    return int(key) if key.isdigit() else key.strip("'\"")


class Instance:
    """A class as one value with its gradients: constructed, given its parameters, and called forward and backward.

    names : the arguments in the order in which they are given: those of forward, then the parameters
    places : where each parameter is kept
    """

    def __init__(
        self, thing: type, methods: tuple[str, str], names: Iterable[str], places: Mapping[str, str],
        forward: bool = True, from_arguments: bool = False,
    ) -> None:  # fmt: skip
        self.thing, self.methods, self.places = thing, methods, dict(places)
        self.names, self.forward, self.from_arguments = tuple(names), forward, from_arguments
        self.words = name_returned(getattr(thing, methods[1])) or one_name(getattr(thing, methods[1]))

    def start(self, given: tuple[Any, ...]) -> tuple[Any, dict[str, Any], Any]:
        """Returns (the object, the arguments of its forward, what forward gave)."""
        known = dict(zip(self.names, given, strict=True))
        instance = construct(
            self.thing, {n: v for n, v in known.items() if is_array_like(v)} if self.from_arguments else None
        )
        arguments = {name: value for name, value in known.items() if name not in self.places}
        if self.from_arguments:
            arguments = {n: v for n, v in known.items() if n in FORWARD_NAMES}
        method = getattr(instance, self.methods[0])
        if self.places and not all(exists(instance, place) for place in self.places.values()):
            call_bound(method, bind(method, copy.deepcopy(arguments), None, tuple(arguments)))  # it builds them late
        for name, place in self.places.items():
            write(instance, place, copy.deepcopy(known[name]))
        keywords = bind(method, copy.deepcopy(arguments), None, tuple(arguments))
        result = call_bound(method, keywords)
        if result is None:
            result = next((vars(instance)[word] for word in OUTPUT if word in vars(instance)), None)
        return instance, keywords, result

    @torch.no_grad()
    def value(self, *given: Any) -> Any:
        _, _, result = self.start(given)
        return join(split_output(result, None)[0]) if self.forward else result

    @torch.no_grad()
    def gradient(self, *given: Any) -> Any:
        arguments, upstream = (given[:-1], given[-1]) if self.forward else (given, None)
        instance, keywords, result = self.start(arguments)
        known = dict(zip(self.names, arguments, strict=True))
        method = getattr(instance, self.methods[1])
        before = {name: copy.deepcopy(read(instance, place)) for name, place in self.places.items()}
        literal = {one: value for one, value in keywords.items() if not is_upstream(one)}
        literal |= {one.name: RATE for one in list_all(method) if is_rate(one.name)}
        returned = self.call_backward(method, literal, known, upstream, result)
        return self.collect(instance, method, returned, before, known)

    def call_backward(
        self, method: Callable[..., Any], literal: dict[str, Any], known: dict[str, Any], upstream: Any, result: Any
    ) -> Any:
        required = [one for one in list_required(method) if one.name not in literal]
        if self.forward:
            takes = [one for one in list_all(method) if is_upstream(one.name)]
            if not takes and len(required) == 0 and any(one.name in literal for one in list_all(method)):
                slope = call_bound(
                    method, {k: v for k, v in literal.items() if k in {p.name for p in list_all(method)}}
                )
                if slope is None:
                    raise Unfinished("The gradient is None. Is there a return?")
                return upstream * slope  # a derivative f'(z), which takes no upstream
            known = {"upstream": upstream, "output": result, **known}
            return call_bound(method, bind(method, known, literal, ("upstream", *self.names)))
        if len(required) == 1 and find_argument(required[0].name, list(known)) is None:
            literal[required[0].name] = 1.0  # a loss's backward may ask for an upstream: it is 1
        elif len(required) == 1 and is_upstream(required[0].name):
            literal[required[0].name] = 1.0
        return call_bound(method, bind(method, known, literal, self.names))

    def collect(
        self, instance: Any, method: Callable[..., Any], returned: Any, before: Mapping[str, Any],
        known: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        """Returns the gradients by argument: what was returned, what the object keeps, and what it updated."""
        shapes = {name: np.shape(value) for name, value in known.items() if is_array_like(value) and is_real(value)}
        first = [name for name in self.names if name not in self.places and name in shapes]
        found: dict[str, Any] = {}
        if returned is not None and returned is not instance:
            found |= name_gradients(returned, self.words, [*first, *self.places], shapes)
        else:
            kept = [vars(instance)[word] for word in BELOW if vars(instance).get(word) is not None]
            found |= {first[0]: kept[0]} if kept else {}
        for name in self.places:
            if name in found:
                continue
            kept = find_kept(instance, name, self.places, shapes)
            after = read(instance, self.places[name])
            if kept is not None:
                found[name] = kept
            elif np.shape(after) == np.shape(before[name]) and bool((after != before[name]).any()):
                found[name] = (before[name] - after) / RATE
        if not found:
            raise Unfinished("The gradient is None. Is there a return?")
        if self.places and not set(self.places) & set(found):
            names = ", ".join(place.partition("[")[2].strip("]'") or place for place in self.places.values())
            raise HandinError(
                f"No gradient is found for {names}: return it, or keep it, as self.d{names.split(',')[0]}."
            )
        return found


def find_kept_gradients(instance: Any, places: Mapping[str, str], shapes: Grid) -> dict[str, Any]:
    """Returns what an object keeps as the gradients of its parameters."""
    found = {name: find_kept(instance, name, places, shapes) for name in places}
    return {name: value for name, value in found.items() if value is not None}


def find_kept(instance: Any, name: str, places: Mapping[str, str], shapes: Grid) -> Any:
    """Returns what the object keeps as the gradient of a parameter, by the names of its attributes and keys."""
    own, _, key = places[name].partition("[")
    words = [str(parse_key(key)) if key else own, name]
    for attribute, value in vars(instance).items():
        if isinstance(value, Mapping) and "grad" in attribute.lower():
            for inner, one in value.items():
                if find_gradient(str(inner), words):
                    return one
        if isinstance(value, list) and "grad" in attribute.lower() and len(value) == len(places):
            return value[list(places).index(name)]
        if attribute == own or not is_float_array(value) or not is_gradient_name(attribute):
            continue
        meant = find_gradient(attribute, words)
        if meant is not None and int(np.prod(np.shape(value), dtype=int)) == int(np.prod(shapes[name], dtype=int)):
            return value
    wrong = vars(instance).get(f"d{own}")  # of another size: it is wrong, and not missing
    return wrong if is_array_like(wrong) and is_real(wrong) else None


FORWARD_NAMES = ("features", "scores", "targets")


def is_gradient_name(word: str) -> bool:
    lower = word.lower().strip("_")
    return lower.startswith(("d", "grad", "g_", "nabla", "dl")) or lower.endswith(("grad", "gradient", "grads", "_d"))


def is_array_like(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor | np.floating)


def is_real(value: Any) -> bool:
    return (
        value.is_floating_point() if isinstance(value, Tensor) else np.issubdtype(np.asarray(value).dtype, np.floating)
    )


def exists(instance: Any, place: str) -> bool:
    try:
        return is_float_array(read(instance, place))
    except (AttributeError, KeyError, IndexError, TypeError):
        return False


def find_places(thing: type, methods: tuple[str, str], trial: Mapping[str, Any]) -> dict[str, str]:
    """Returns where an object keeps the parameters that change its output: {"weight": "W", "bias": "b"}.

    trial : arguments for its forward
    """
    instance = construct(thing)
    method = getattr(instance, methods[0])

    @torch.no_grad()
    def run(one: Any) -> Any:
        result = call_bound(getattr(one, methods[0]), bind(method, copy.deepcopy(dict(trial)), None, tuple(trial)))
        if result is None:
            result = next((vars(one)[word] for word in OUTPUT if word in vars(one)), None)
        return np.asarray(join(split_output(result, None)[0]))

    early = set(list_parameters(instance))
    first = run(copy.deepcopy(instance))
    built = copy.deepcopy(instance)
    run(built)
    found: dict[str, str] = {}
    for place in list_parameters(built):
        if early and place not in early:
            continue  # what forward keeps of a call
        moved = copy.deepcopy(built)
        write(moved, place, read(moved, place) + 0.37)
        if not np.array_equal(first, run(moved)):
            key = str(parse_key(place.partition("[")[2])) if "[" in place else place
            name = find_argument(key.strip("_"), [n for n in ("weight", "bias", "scale", "shift") if n not in found])
            found[name or key] = place
    return found


def draw_instance(
    thing: type, places: Mapping[str, str], arguments: Mapping[str, tuple[int, ...]]
) -> Callable[[int], dict[str, Any]]:
    """Returns a draw of the arguments of forward and of every parameter, of the shapes that the object made itself."""
    from ...runtime.devices import generator

    def draw(seed: int) -> dict[str, Any]:
        instance = construct(thing)
        shapes = dict(arguments)
        for name, place in places.items():
            shapes[name] = tuple(np.shape(read(instance, place))) if exists(instance, place) else (FEATURES, OUTPUTS)
        return {
            name: torch.randn(shape, dtype=torch.float64, generator=generator(seed, k))
            for k, (name, shape) in enumerate(shapes.items())
        }

    return draw
