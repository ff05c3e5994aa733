"""The graph as text, step by step forward and backward; as a notebook's table; and as JSON."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..results import Table
from .nodes import Graph, Node


def shown(value: Tensor | None) -> str:
    """A number; a few numbers; or only the shape of many."""
    if value is None:
        return "…"
    if value.numel() == 1:
        return f"{float(value):.6g}"
    if value.numel() <= 6 and value.ndim == 1:
        return "[" + ", ".join(f"{float(x):.4g}" for x in value) + "]"
    return f"tensor{tuple(value.shape)}"


def describe(graph: Graph) -> str:
    """Forward, one line a node; then backward from the result, each gradient with the sum it is."""
    lines = [f"f = {graph.text}", "", "forward"]
    width = max(len(node.name) for node in graph.nodes)
    for node in graph.nodes:
        if node.operation == "input":
            lines.append(f"  {node.name:<{width}} = {shown(node.value)}")
            continue
        local = ", ".join(f"∂{node.name}/∂{name} = {shown(slope)}" for name, slope in graph.slopes(node.name).items())
        formula = f"{node.text} = " if node.operation != "constant" else ""
        lines.append(f"  {node.name:<{width}} = {formula}{shown(node.value)}" + (f"     {local}" if local else ""))
    lines += ["", "backward"]
    for node in reversed(graph.nodes):
        if node.operation == "constant":
            continue
        lines.append(f"  ∂f/∂{node.name:<{width}} = {sum_of(node)}")
    return "\n".join(lines)


def sum_of(node: Node) -> str:
    """`∂f/∂v2 · ∂v2/∂v1 + … = numbers = gradient`."""
    if node.gradient is None:
        return "0 (f does not depend on it)"
    if not node.terms:
        return shown(node.gradient)
    names = " + ".join(f"∂f/∂{user}·∂{user}/∂{node.name}" for user, *_ in node.terms)
    numbers = " + ".join(
        f"{shown(upstream)}·{bracketed(local)}" for _, upstream, local, _ in node.terms if local is not None
    )
    if len(node.terms) > 6:
        names, numbers = f"Σ over {len(node.terms)} nodes", ""
    middle = f" = {numbers}" if numbers and all(t[2] is not None and t[3].numel() == 1 for t in node.terms) else ""
    return f"{names}{middle} = {shown(node.gradient)}"


def bracketed(value: Tensor | None) -> str:
    text = shown(value)
    return f"({text})" if text.startswith("-") else text


def plain(value: Tensor | None) -> Any:
    """For JSON: a number, or nested lists."""
    return None if value is None else value.tolist()


def as_dict(graph: Graph) -> dict[str, Any]:
    return {
        "expression": graph.text,
        "value": plain(graph.value.reshape(())),
        "gradients": {name: plain(gradient) for name, gradient in graph.gradients.items()},
        "nodes": [
            {
                "name": node.name,
                "operation": node.operation,
                "text": node.text,
                "inputs": list(node.inputs),
                "value": plain(node.value),
                "local": [plain(slope) for slope in node.local],
                "gradient": plain(node.gradient),
            }
            for node in graph.nodes
        ],
    }


def table(graph: Graph) -> Table:
    """One row a node."""
    rows = [
        (node.name, node.text, shown(node.value), sum_of(node) if node.operation != "constant" else "")
        for node in graph.nodes
    ]
    return Table(("node", "is", "value", "∂f/∂node"), rows)
