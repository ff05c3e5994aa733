"""The recorded graph and its nodes, shown as text, as a table, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..results import Record, Table


@dataclass(frozen=True)
class Node:
    """One value of the graph.

    name : an input's own, else v1, v2, … in the order of computation
    operation : "input", "constant", or the symbol or name of what computes it
    inputs : the names of the nodes it is computed from, one for each operand (twice the same for u * u)
    text : the operation with its operands, `2 * a`
    value : a number or tensor
    local : ∂value/∂input for each of `inputs`; the Jacobian where they are tensors, None where that is large
    gradient : ∂f/∂value, of the value's shape; None where f does not depend on it
    terms : of the gradient's sum, for each node that uses this one: (its name, its gradient, local derivative, product)
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    text: str
    value: Tensor
    local: tuple[Tensor | None, ...] = ()
    gradient: Tensor | None = None
    terms: tuple[tuple[str, Tensor, Tensor | None, Tensor], ...] = ()


@dataclass(frozen=True, repr=False)
class Graph(Record):
    """The nodes in the order of computation, the last of them the result."""

    text: str
    nodes: tuple[Node, ...]
    by_name: Mapping[str, Node] = field(repr=False, compare=False)

    @property
    def value(self) -> Tensor:
        return self.nodes[-1].value

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.operation == "input")

    @property
    def gradients(self) -> dict[str, Tensor]:
        """∂f/∂input, by the input's name."""
        return {n.name: torch.zeros_like(n.value) if n.gradient is None else n.gradient for n in self.inputs}

    def slopes(self, name: str) -> dict[str, Tensor | None]:
        """Returns ∂node/∂operand for each operand that is not a constant; for one that appears twice, the sum of both.

        None for a Jacobian that is too large to be kept.
        """
        found: dict[str, Tensor | None] = {}
        node = self.by_name[name]
        for operand, slope in zip(node.inputs, node.local, strict=True):
            if self.by_name[operand].operation != "constant":
                before = found.get(operand)
                found[operand] = slope if before is None or slope is None else before + slope
        return found

    def __str__(self) -> str:
        return describe(self)

    def table(self) -> Table:
        return table(self)

    def as_dict(self) -> dict[str, Any]:
        return as_dict(self)


def format_value(value: Tensor | None) -> str:
    """Returns a value as text: a number, a few numbers, or only the shape of many."""
    if value is None:
        return "…"
    if value.numel() == 1:
        return f"{float(value):.6g}"
    if value.numel() <= 6 and value.ndim == 1:
        return "[" + ", ".join(f"{float(x):.4g}" for x in value) + "]"
    return f"tensor{tuple(value.shape)}"


def describe(graph: Graph) -> str:
    """Returns the graph as text: forward, a line for each node; then backward, each gradient with its sum."""
    lines = [f"f = {graph.text}", "", "forward"]
    width = max(len(node.name) for node in graph.nodes)
    for node in graph.nodes:
        if node.operation == "input":
            lines.append(f"  {node.name:<{width}} = {format_value(node.value)}")
            continue
        local = ", ".join(
            f"∂{node.name}/∂{name} = {format_value(slope)}" for name, slope in graph.slopes(node.name).items()
        )
        formula = f"{node.text} = " if node.operation != "constant" else ""
        lines.append(
            f"  {node.name:<{width}} = {formula}{format_value(node.value)}" + (f"     {local}" if local else "")
        )
    lines += ["", "backward"]
    for node in reversed(graph.nodes):
        if node.operation == "constant":
            continue
        lines.append(f"  ∂f/∂{node.name:<{width}} = {sum_of(node)}")
    return "\n".join(lines)


def sum_of(node: Node) -> str:
    """Returns a gradient as a sum: `∂f/∂v2 · ∂v2/∂v1 + … = numbers = gradient`."""
    if node.gradient is None:
        return "0 (f does not depend on it)"
    if not node.terms:
        return format_value(node.gradient)
    names = " + ".join(f"∂f/∂{user}·∂{user}/∂{node.name}" for user, *_ in node.terms)
    numbers = " + ".join(
        f"{format_value(upstream)}·{in_brackets(local)}" for _, upstream, local, _ in node.terms if local is not None
    )
    if len(node.terms) > 6:
        names, numbers = f"Σ over {len(node.terms)} nodes", ""
    middle = f" = {numbers}" if numbers and all(t[2] is not None and t[3].numel() == 1 for t in node.terms) else ""
    return f"{names}{middle} = {format_value(node.gradient)}"


def in_brackets(value: Tensor | None) -> str:
    text = format_value(value)
    return f"({text})" if text.startswith("-") else text


def to_json(value: Tensor | None) -> Any:
    """Returns a tensor for JSON: a number, or nested lists."""
    return None if value is None else value.tolist()


def as_dict(graph: Graph) -> dict[str, Any]:
    return {
        "expression": graph.text,
        "value": to_json(graph.value.reshape(())),
        "gradients": {name: to_json(gradient) for name, gradient in graph.gradients.items()},
        "nodes": [
            {
                "name": node.name,
                "operation": node.operation,
                "text": node.text,
                "inputs": list(node.inputs),
                "value": to_json(node.value),
                "local": [to_json(slope) for slope in node.local],
                "gradient": to_json(node.gradient),
            }
            for node in graph.nodes
        ],
    }


def table(graph: Graph) -> Table:
    """Returns a table with one row for each node."""
    rows = [
        (node.name, node.text, format_value(node.value), sum_of(node) if node.operation != "constant" else "")
        for node in graph.nodes
    ]
    return Table(("node", "is", "value", "∂f/∂node"), rows)
