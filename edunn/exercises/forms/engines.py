"""Engines in the style of micrograd: a class of numbers that record what is done with them, with `data` and `grad`.

Each operation that the class has is used by itself, so that a wrong one is named; then a number is used twice and
longer expressions are built, which find a gradient that is overwritten and an order of the graph that is wrong.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

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
    Probe("2 * a", ("__rmul__", "__mul__"), lambda a, b, c: 2 * a),
    Probe("a + a", ("__add__",), lambda a, b, c: a + a),
    Probe("a * b + a * c", ("__add__", "__mul__"), lambda a, b, c: a * b + a * c),
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
    return find_word(made, DATA) is not None and find_word(made, GRADS) is not None


DATA = ("data", "value", "val", "x", "v")
GRADS = ("grad", "gradient", "_grad", "derivative")


def find_word(instance: Any, words: tuple[str, ...]) -> str | None:
    return next((word for word in words if word in dir(instance)), None)


class Engine:
    """The expressions of an engine, each of three numbers of its own, as one value: their sum."""

    def __init__(self, thing: type) -> None:
        self.thing, self.probes = thing, list_probes(thing)
        self.names = tuple(probe.name for probe in self.probes)
        made = thing(2.0)
        self.data = find_word(made, DATA) or "data"
        self.grad = find_word(made, GRADS) or "grad"

    def build(self, probe: Probe, numbers: Any) -> tuple[list[Any], Any]:
        leaves = [self.thing(float(one)) for one in numbers]
        return leaves, probe.expression(*leaves)

    def value(self, *given: Any) -> Any:
        pairs = zip(self.probes, given, strict=True)
        return sum(float(getattr(self.build(probe, numbers)[1], self.data)) for probe, numbers in pairs)

    def gradient(self, *given: Any) -> dict[str, Any]:
        found = {}
        for probe, numbers in zip(self.probes, given, strict=True):
            leaves, root = self.build(probe, numbers)
            required = [
                one for one in inspect.signature(root.backward).parameters.values()
                if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
            ]  # fmt: skip
            root.backward(*[1.0] * len(required))
            found[probe.name] = np.array([float(getattr(leaf, self.grad) or 0.0) for leaf in leaves])
        return found

    def explain(self, arguments: dict[str, Any], hand: dict[str, Any], right: dict[str, Any]) -> dict[str, Names]:
        """Names what is wrong with each expression: the derivative of its operation, or how gradients meet."""
        found: dict[str, Names] = {}
        for probe in self.probes:
            numbers = [float(one) for one in arguments[probe.name]]
            if is_close(hand[probe.name], right[probe.name]):
                continue
            slips = [
                (slip.name, f"{slip.says} [{slip.formula}]")
                for slip in SLIPS.get(probe.name, ())
                if is_close(hand[probe.name], slip.gives(*numbers))
            ]
            for name, says, options in HABITS:
                if not slips and is_close(hand[probe.name], simulate(probe, numbers, options)):
                    slips.append((name, says))
            broken = [
                one for one in found if one in OPERATIONS and OPERATIONS[one] in probe.needs and one != probe.name
            ]
            if not slips and broken:
                slips.append(("follows from an operation", f"follows from {broken[0]}, which is wrong by itself"))
            found[probe.name] = slips
        return found


Names = list[tuple[str, str]]
OPERATIONS = {"a + b": "__add__", "a * b": "__mul__"}


class Slip(NamedTuple):
    """A wrong derivative of one operation, and the gradient in (a, b, c) that it gives."""

    name: str
    says: str
    formula: str
    gives: Callable[[float, float, float], tuple[float, float, float]]


SLIPS: dict[str, tuple[Slip, ...]] = {
    "a * b": (
        Slip("factors swapped", "each factor gets itself as its derivative", "∂(ab)/∂a = b", lambda a, b, c: (a, b, 0)),
        Slip("derivative forgotten", "the other factor is forgotten", "∂(ab)/∂a = b", lambda a, b, c: (1, 1, 0)),
    ),
    "a - b": (Slip("sign", "the second number gets +1", "∂(a − b)/∂b = −1", lambda a, b, c: (1, 1, 0)),),
    "-a": (Slip("sign", "the sign is wrong", "∂(−a)/∂a = −1", lambda a, b, c: (1, 0, 0)),),
    "a / b": (
        Slip("sign", "the divisor's sign is wrong", "∂(a/b)/∂b = −a/b²", lambda a, b, c: (1 / b, a / b**2, 0)),
        Slip("square forgotten", "b is used in place of b²", "∂(a/b)/∂b = −a/b²", lambda a, b, c: (1 / b, -a / b, 0)),
    ),
    "a ** 3": (
        Slip("exponent not lowered", "the power is not lowered by 1", "d aⁿ = n aⁿ⁻¹",
             lambda a, b, c: (3 * a**3, 0, 0)),
        Slip("exponent forgotten", "the n in front is forgotten", "d aⁿ = n aⁿ⁻¹", lambda a, b, c: (a**2, 0, 0)),
    ),
    "a.exp()": (
        Slip("value in place of the derivative", "a is used in place of eᵃ", "d eᵃ = eᵃ", lambda a, b, c: (a, 0, 0)),
        Slip("derivative forgotten", "eᵃ is forgotten", "d eᵃ = eᵃ", lambda a, b, c: (1, 0, 0)),
    ),
    "a.log()": (Slip("value in place of the derivative", "log a is used in place of 1/a", "d log a = 1/a",
                     lambda a, b, c: (math.log(a), 0, 0)),),
    "a.tanh()": (
        Slip("square forgotten", "tanh is used in place of tanh²", "1 − tanh²",
             lambda a, b, c: (1 - math.tanh(a), 0, 0)),
        Slip("derivative of the score", "a² is used in place of tanh²", "1 − tanh²", lambda a, b, c: (1 - a * a, 0, 0)),
        Slip("value in place of the derivative", "tanh is used in place of 1 − tanh²", "1 − tanh²",
             lambda a, b, c: (math.tanh(a), 0, 0)),
    ),
    "a.sigmoid()": (
        Slip("derivative of the score", "the formula for the output is used on a", "σ(1 − σ)",
             lambda a, b, c: (a * (1 - a), 0, 0)),
        Slip("sigmoid: half of the derivative", "one of σ and 1 − σ is missing", "σ(1 − σ)",
             lambda a, b, c: (1 / (1 + math.exp(-a)), 0, 0)),
        Slip("sigmoid: half of the derivative", "one of σ and 1 − σ is missing", "σ(1 − σ)",
             lambda a, b, c: (1 / (1 + math.exp(a)), 0, 0)),
    ),
    "a.relu()": (Slip("mask inverted", "the mask is the wrong way round", "1(a > 0)", lambda a, b, c: (0, 0, 0)),),
}  # fmt: skip

OVERWRITTEN = "a gradient is overwritten: a number that is used twice gets only one share [grad += …, not grad = …]"
CHAIN = "the gradient of the result is forgotten: only the operation's own derivative is passed on [∂f/∂out · ∂out/∂a]"
ORDER = "backward runs before all shares have arrived: the graph is not in topological order [a node after its users]"
HABITS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("gradient overwritten", OVERWRITTEN, {"overwrite": ops, "reverse": reverse})
      for ops in (("add", "mul"), ("add",), ("mul",)) for reverse in (False, True)),
    *(("chain rule forgotten", CHAIN, {"no_chain": ops}) for ops in (("add", "mul"), ("add",), ("mul",))),
    *(("order of the graph", ORDER, {"order": order}) for order in ("depth first", "breadth first", "once")),
)  # fmt: skip


class Number:
    """A number of an engine that has one bad habit."""

    def __init__(self, data: float, options: dict[str, Any], parents: tuple[Any, ...] = (), op: str = "",
                 slopes: tuple[float, ...] = ()) -> None:  # fmt: skip
        self.data, self.options, self.parents, self.op, self.slopes, self.grad = data, options, parents, op, slopes, 0.0

    def __add__(self, other: Number) -> Number:
        return Number(self.data + other.data, self.options, (self, other), "add", (1.0, 1.0))

    def __mul__(self, other: Number) -> Number:
        return Number(self.data * other.data, self.options, (self, other), "mul", (other.data, self.data))

    def push(self) -> None:
        for parent, slope in zip(self.parents, self.slopes, strict=True):
            share = slope if self.op in self.options.get("no_chain", ()) else slope * self.grad
            parent.grad = share if self.op in self.options.get("overwrite", ()) else parent.grad + share

    def backward(self) -> None:
        self.grad = 1.0
        order = self.options.get("order")
        if order == "depth first":
            self.recurse()
            return
        nodes = self.list_breadth_first(order == "once") if order else self.sort()
        for node in nodes:
            node.push()

    def recurse(self) -> None:
        self.push()
        for parent in self.parents:
            parent.recurse()

    def list_breadth_first(self, once: bool) -> list[Number]:
        found: list[Number] = []
        waiting: list[Number] = [self]
        while waiting:
            node = waiting.pop(0)
            if once and any(node is one for one in found):
                continue
            found.append(node)
            waiting += node.parents
        return found

    def sort(self) -> list[Number]:
        found: list[Number] = []

        def visit(node: Number) -> None:
            if not any(node is one for one in found):
                for parent in node.parents[::-1] if self.options.get("reverse") else node.parents:
                    visit(parent)
                found.append(node)

        visit(self)
        return found[::-1]


def simulate(probe: Probe, numbers: list[float], options: dict[str, Any]) -> tuple[float, ...]:
    """Returns the gradient that an engine with this habit gives; nan where the expression needs more than + and ×."""
    if not set(probe.needs) <= {"__add__", "__mul__"}:
        return (math.nan,) * 3
    leaves = [Number(one, options) for one in numbers]
    probe.expression(*leaves).backward()
    return tuple(leaf.grad for leaf in leaves)


def is_close(first: Any, second: Any) -> bool:
    return bool(np.allclose(np.asarray(first, dtype=float), np.asarray(second, dtype=float), rtol=1e-6, atol=1e-9))


def list_probes(thing: type) -> list[Probe]:
    """Returns the expressions that the class has the operations for."""
    own = {name for parent in thing.__mro__ if parent is not object for name in vars(parent)}
    return [probe for probe in PROBES if set(probe.needs) <= own]
