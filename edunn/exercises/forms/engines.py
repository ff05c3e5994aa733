"""Engines in the style of micrograd: a class of numbers that record what is done with them, with `data` and `grad`.

Each operation that the class has is used by itself, so that a wrong one is named; then a number is used twice and a
longer expression is built, which find a gradient that is overwritten and an order of the graph that is wrong.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..calls import HandinError

Expression = Callable[..., Any]


class Probe(NamedTuple):
    """One expression that an engine is tried with: its name, the methods that it needs, and itself."""

    name: str
    needs: tuple[str, ...]
    expression: Expression


PROBES: tuple[Probe, ...] = (
    Probe("a + b", ("__add__",), lambda a, b, c: a + b),
    Probe("a * b", ("__mul__",), lambda a, b, c: a * b),
    Probe("a - b", ("__sub__",), lambda a, b, c: a - b),
    Probe("-a", ("__neg__",), lambda a, b, c: -a),
    Probe("a / b", ("__truediv__",), lambda a, b, c: a / b),
    Probe("a ** 3", ("__pow__",), lambda a, b, c: a**3),
    Probe("a.exp()", ("exp",), lambda a, b, c: a.exp()),
    Probe("a.log()", ("log",), lambda a, b, c: a.log()),
    Probe("a.tanh()", ("tanh",), lambda a, b, c: a.tanh()),
    Probe("a.relu()", ("relu",), lambda a, b, c: a.relu()),
    Probe("a.sigmoid()", ("sigmoid",), lambda a, b, c: a.sigmoid()),
    Probe("2 * a", ("__rmul__",), lambda a, b, c: 2 * a),
    Probe("a + a", ("__add__",), lambda a, b, c: a + a),
    Probe("a * b + a * c", ("__add__", "__mul__"), lambda a, b, c: a * b + a * c),
    Probe("d = a * b; (d + c) * d", ("__add__", "__mul__"), lambda a, b, c: ((a * b) + c) * (a * b)),
    Probe("d = a + b; e = d * c; e * d", ("__add__", "__mul__"), lambda a, b, c: use_twice(a + b, c)),
    Probe("d = a * b; e = d + c; f = d * e; f * e + d", ("__add__", "__mul__"), lambda a, b, c: chain(a * b, c)),
)  # fmt: skip


def use_twice(d: Any, c: Any) -> Any:
    return (d * c) * d


def chain(d: Any, c: Any) -> Any:
    e = d + c
    f = d * e
    return f * e + d


def is_engine(thing: type) -> bool:
    """Whether it is a class of numbers: arithmetic, a backward, and data and grad once it is constructed."""
    if not (hasattr(thing, "backward") and hasattr(thing, "__add__") and hasattr(thing, "__mul__")):
        return False
    try:
        made = thing(2.0)
    except Exception:
        return False
    return find_word(made, ("data", "value", "val", "x")) is not None and find_word(made, GRADS) is not None


GRADS = ("grad", "gradient", "_grad", "derivative")


def find_word(instance: Any, words: tuple[str, ...]) -> str | None:
    return next((word for word in words if word in dir(instance)), None)


class Engine:
    """One expression of an engine as a value of three numbers with its gradients."""

    def __init__(self, thing: type, probe: Probe) -> None:
        self.thing, self.probe = thing, probe
        made = thing(2.0)
        self.data = find_word(made, ("data", "value", "val", "x")) or "data"
        self.grad = find_word(made, GRADS) or "grad"

    def build(self, given: tuple[Any, ...]) -> tuple[list[Any], Any]:
        leaves = [self.thing(float(one)) for one in given]
        return leaves, self.probe.expression(*leaves)

    def value(self, *given: Any) -> Any:
        return float(getattr(self.build(given)[1], self.data))

    def gradient(self, *given: Any) -> dict[str, Any]:
        leaves, root = self.build(given)
        method = root.backward
        required = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        method(*[1.0] * len(required))
        found = {name: float(getattr(leaf, self.grad) or 0.0) for name, leaf in zip("abc", leaves, strict=True)}
        if not all(math.isfinite(one) for one in found.values()):
            raise HandinError(f"The gradient of {self.probe.name} is not finite.")
        return found


def list_probes(thing: type) -> list[Probe]:
    """Returns the expressions that the class has the operations for."""
    own = {name for parent in thing.__mro__ if parent is not object for name in vars(parent)}
    return [probe for probe in PROBES if set(probe.needs) <= own]
