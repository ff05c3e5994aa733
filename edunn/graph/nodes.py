"""The computation graph: each node's value, its local derivatives, and the gradient that arrives at it.

The graph is recorded by `torch.fx`: the function is run once on symbols. It is then run forward on numbers, one node
after the other; each node's local derivatives are torch.autograd's, of that one operation by itself; and the chain rule
goes backward over the nodes:

    ∂f/∂u = Σ over the nodes v that use u of  ∂f/∂v · ∂v/∂u

The result is a record: going backward again gives the same gradients, and does not add to them.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from ..errors import ConfigError, GradientError
from .expressions import PRECISE, Expression, parse
from .record import Graph, Node

SYMBOLS = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/", operator.pow: "**",
    operator.neg: "-", operator.matmul: "@", torch.add: "+", torch.sub: "-", torch.mul: "*", torch.div: "/",
    torch.pow: "**", torch.neg: "-", torch.matmul: "@", torch.maximum: "max", torch.minimum: "min",
}  # fmt: skip
LARGEST_JACOBIAN = 64  # entries; a larger one is not kept: the product with it is what matters


def build(function: str | Expression | Callable[..., Any], /, **values: Any) -> Graph:
    """Builds the graph of an expression, or of a function of named scalars or tensors, at these values.

    Parameters
    ----------
    function : an expression (`"(2*a + b)*(c - d)"`), or a function made of Python operators and torch's functions,
        without branches that depend on its arguments
    values : by name; numbers become float64

    The result must be a single number: a gradient is of one.
    """
    expression = parse(function) if isinstance(function, str) else function
    points = {name: as_tensor(name, value) for name, value in values.items()}
    recorded = record(expression, points)
    forward = run_forward(recorded, points)
    result = forward[-1].node
    if result.value.numel() != 1:
        raise GradientError(
            f"The result must be one number; it has shape {tuple(result.value.shape)}. Sum it, or take its mean."
        )
    text = expression.text if isinstance(expression, Expression) else getattr(expression, "__name__", "f")
    nodes = run_backward(forward)
    return Graph(text, nodes, {node.name: node for node in nodes})


def as_tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"Expected a number or tensor for {name}; got {value!r}.") from None


class Recorder(fx.proxy.GraphAppendingTracer):
    """A tracer of torch.fx that also accepts tensors which are not arguments (the weights of a module, say)."""

    def __init__(self, graph: fx.Graph) -> None:
        super().__init__(graph)
        self.brought: dict[str, Tensor] = {}

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Tensor):
            name = f"constant{len(self.brought) + 1}"
            self.brought[name] = a.detach()
            return self.graph.create_node("get_attr", name)
        return super().create_arg(a)


def record(function: Callable[..., Any], points: Mapping[str, Tensor]) -> tuple[fx.Graph, dict[str, Tensor]]:
    """Runs the function once on symbols; returns the graph, and the tensors in it that are not arguments."""
    graph = fx.Graph()
    tracer = Recorder(graph)
    symbols = {name: fx.Proxy(graph.placeholder(name), tracer) for name in points}
    try:
        result = function(**symbols)
    except fx.proxy.TraceError as error:
        raise GradientError(
            f"The function must have no branches or loops that depend on its arguments; torch.fx says: "
            f"{str(error).splitlines()[0]}. Use torch.where, relu or abs."
        ) from None
    if isinstance(result, fx.Proxy):
        graph.output(result.node)
    elif isinstance(result, (int, float, Tensor)):
        value = torch.as_tensor(result, dtype=torch.float64) if not isinstance(result, Tensor) else result
        graph.output(tracer.create_arg(value))
    else:
        raise GradientError(f"The function must return a number; it returned {type(result).__name__}.")
    return graph, tracer.brought


@dataclass
class Step:
    """A node under construction, and autograd's record of its one operation."""

    node: Node
    leaves: tuple[Tensor, ...] = ()
    output: Tensor | None = None

    def vector_jacobian(self, upstream: Tensor) -> list[Tensor]:
        """Returns upstream · ∂value/∂operand for each operand: the vector-Jacobian product of this operation alone."""
        if self.output is None or not self.output.requires_grad:
            return [torch.zeros_like(leaf) for leaf in self.leaves]
        found = torch.autograd.grad(self.output, self.leaves, upstream, retain_graph=True, materialize_grads=True)
        return list(found)


def run_forward(recorded: tuple[fx.Graph, dict[str, Tensor]], points: Mapping[str, Tensor]) -> list[Step]:
    """Computes each node's value and local derivatives, in order."""
    graph, brought = recorded
    result = next(node for node in graph.nodes if node.op == "output").args[0]
    names: dict[fx.Node, str] = {}
    values: dict[fx.Node, Any] = {}
    steps: list[Step] = []
    fresh = (name for k in itertools.count(1) if (name := f"v{k}") not in points)
    for node in graph.nodes:
        if node.op == "output" or (node is not result and not node.users and node.op != "placeholder"):
            continue
        if node.op == "placeholder":
            names[node], values[node] = node.target, points[node.target]
            steps.append(Step(Node(node.target, "input", (), node.target, points[node.target])))
        elif node.op == "get_attr":
            values[node] = brought[node.target]
            names[node] = node.target if values[node].numel() > 1 else number(values[node])
            if all(step.node.name != names[node] for step in steps):  # the same number is one node
                steps.append(Step(Node(names[node], "constant", (), names[node], values[node])))
        else:
            step = evaluate(node, values, names)
            if isinstance(step, Step):
                names[node] = next(fresh)
                values[node] = step.node.value
                step.node = replace(step.node, name=names[node])
                steps.append(step)
            else:  # a shape, say: part of no derivative
                names[node], values[node] = str(step), step
    # the result goes last, also where an input is returned as it is
    last = names[result]
    steps.sort(key=lambda step: step.node.name == last)
    return steps


def operands(node: fx.Node) -> list[fx.Node]:
    """Returns the nodes among a node's arguments; one that appears twice is listed twice."""
    found: list[fx.Node] = []

    def keep(other: fx.Node) -> fx.Node:
        found.append(other)
        return other

    fx.node.map_arg((node.args, node.kwargs), keep)
    return found


def evaluate(node: fx.Node, values: Mapping[fx.Node, Any], names: Mapping[fx.Node, str]) -> Any:
    """Returns the node's value with its derivative in each operand: a `Step`; or a value that is not a tensor."""
    places = operands(node)
    leaves = [
        v.detach().clone().requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v
        for v in (values[other] for other in places)
    ]
    queue = iter(leaves)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda _: next(queue))
    with torch.enable_grad():
        value = call(node, args, kwargs)
    if not isinstance(value, Tensor):
        return value
    followed = [(names[o], leaf) for o, leaf in zip(places, leaves, strict=True) if isinstance(leaf, Tensor)]
    followed = [(name, leaf) for name, leaf in followed if leaf.requires_grad]
    tensors = tuple(leaf for _, leaf in followed)
    made = Node(
        "", symbol(node), tuple(name for name, _ in followed), text_of(node, names), value.detach(),
        tuple(jacobian(value, leaf) for leaf in tensors),
    )  # fmt: skip
    return Step(made, tensors, value)


def call(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the operation of a node on these arguments."""
    try:
        if node.op == "call_method":
            first, *rest = args
            precise = PRECISE.get(getattr(torch, str(node.target), None)) if not rest else None
            return precise(first) if precise else getattr(first, str(node.target))(*rest, **kwargs)
        assert callable(node.target)
        return PRECISE.get(node.target, node.target)(*args, **kwargs)
    except (RuntimeError, TypeError, IndexError, AttributeError) as error:
        raise GradientError(f"torch cannot carry out {symbol(node)}: {str(error).splitlines()[0]}") from None


def jacobian(value: Tensor, leaf: Tensor) -> Tensor | None:
    """Returns ∂value/∂leaf, (*value's shape, *leaf's shape), 0 without dependence; None if it is large."""
    if value.numel() * leaf.numel() > LARGEST_JACOBIAN:
        return None
    found = torch.zeros(value.numel(), leaf.numel(), dtype=value.dtype)
    if value.requires_grad:
        for i, entry in enumerate(value.reshape(-1)):
            (row,) = torch.autograd.grad(entry, leaf, retain_graph=True, allow_unused=True)
            if row is not None:
                found[i] = row.reshape(-1)
    return found.reshape((*value.shape, *leaf.shape))


def run_backward(steps: list[Step]) -> tuple[Node, ...]:
    """Applies the chain rule from the result to the inputs: returns each node's gradient and the terms of its sum."""
    arrived: dict[str, list[tuple[str, Tensor, Tensor | None, Tensor]]] = {step.node.name: [] for step in steps}
    result = steps[-1].node.name
    nodes: list[Node] = []
    for step in reversed(steps):
        node, terms = step.node, arrived[step.node.name]
        if node.name == result:
            gradient: Tensor | None = torch.ones_like(node.value)
        else:
            gradient = sum((term[3] for term in terms[1:]), start=terms[0][3]) if terms else None
        nodes.append(replace(node, gradient=gradient, terms=tuple(terms)))
        if gradient is not None and step.leaves:
            for name, local, product in zip(node.inputs, node.local, step.vector_jacobian(gradient), strict=True):
                arrived[name].append((node.name, gradient, local, product))
    return tuple(reversed(nodes))


def symbol(node: fx.Node) -> str:
    """Returns the operation as text: `*`, or its name."""
    if node.op == "call_method":
        return str(node.target)
    named: dict[Any, str] = SYMBOLS
    return named.get(node.target) or str(getattr(node.target, "__name__", node.target))


def text_of(node: fx.Node, names: Mapping[fx.Node, str]) -> str:
    """Returns the operation with its operands by name: `2 * a`, `exp(v1)`."""

    def written(argument: Any) -> str:
        if isinstance(argument, fx.Node):
            return names[argument]
        return f"{argument:.6g}" if isinstance(argument, float) else str(argument)

    sign = symbol(node)
    parts = [written(a) for a in node.args] + [f"{key}={written(a)}" for key, a in node.kwargs.items()]
    if sign in SYMBOLS.values() and not sign.isalpha():
        return f"{sign}{parts[0]}" if len(parts) == 1 else f"{parts[0]} {sign} {parts[1]}"
    return f"{sign}({', '.join(parts)})"


def number(value: Tensor) -> str:
    """Returns a number as text, with all its digits."""
    exact = float(value)
    return f"{exact:g}" if float(f"{exact:g}") == exact else repr(exact)
