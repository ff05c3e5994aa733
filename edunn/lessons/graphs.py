"""The sigmoid's derivative, and a computation graph evaluated forward and backward."""

from __future__ import annotations

import torch

from .. import differences, graph
from ..activations import Sigmoid
from .engine import Lesson, Row, Table
from .tools import numbers

SIGMOID = """\
σ(x) = 1/(1 + e^−x) = u^−1 with u = 1 + e^−x;   [1/u]' = −u'/u²,   u' = −e^−x
    σ' = e^−x / (1 + e^−x)² = 1/(1 + e^−x) · (1 + e^−x − 1)/(1 + e^−x) = σ (1 − σ)
At most 1/4, at x = 0. At ±2 the curve is still 0.12 away from its asymptotes; at ±5, 0.007."""

S = Sigmoid()


def sigmoid_rows() -> list[Row]:
    zero = numbers([0.0])
    u = 1 + torch.exp(-zero)
    values = {f"sigma({x:+g})": float(torch.sigmoid(numbers(x))) for x in (2.0, -2.0)}
    return [
        Row(
            "2.11",
            {"largest_slope": float(S.derivative(zero)), **values},
            "holds",
            note="The formula is printed, not the values. 'Pressed to the axes beyond ±2' is loose: 0.119 is left.",
        ),
        Row(
            "002.d",
            float(differences.derivative(lambda x: 1 / (1 + torch.exp(-x)), zero)),
            "wrong",
            "[1/u]' = u^−1 = −u'/u²",
            "The prime is missing: u^−1 is the function, not its derivative.",
            float(1 / u),
            note="At x = 0, where u = 2 and −u'/u² = ¼.",
        ),
    ]


def sigmoid_tables() -> list[Table]:
    cells = [
        [x, float(S(numbers(x))), float(S.derivative(numbers(x))), float(S.second_derivative(numbers(x)))]
        for x in (-5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0)
    ]
    return [Table("The sigmoid and its derivatives", ("x", "σ(x)", "σ'(x)", "σ''(x)"), cells)]


def sigmoid_picture() -> object:
    from ..figures.lessons import curves

    x = torch.linspace(-8, 8, 401, dtype=torch.float64)
    lines = {"σ(x)": S(x), "σ'(x) = σ(1 − σ)": S.derivative(x)}
    return curves(x, lines, title="The sigmoid and its slope", x="x")


GRAPH = """\
L = (2a + b)(c − d) at a, b, c, d = 3, 4, 5, 6. Forward: p = 2a + b = 10, q = c − d = −1, L = p q = −10.
Backward: dL/dp = q, dL/dq = p, and each input gets what arrives times its local slope:
    dL/da = 2q    dL/db = q    dL/dc = p    dL/dd = −p"""

EXPRESSION, POINT = "(2*a + b)*(c - d)", {"a": 3.0, "b": 4.0, "c": 5.0, "d": 6.0}


def walk_graph() -> graph.Graph:
    return graph.build(EXPRESSION, **POINT)


def graph_rows() -> list[Row]:
    found = walk_graph()
    slopes = {f"d{name}": float(value) for name, value in found.gradients.items()}
    return [
        Row("2.12", {"L": float(found.value), **slopes}, "holds", {"L": -10.0},
            note="−10 is printed; the numbers of the backward step are not."),
        Row("002.g", slopes, "wrong", None, "The backward step is given in letters alone: no numbers."),
    ]  # fmt: skip


def graph_tables() -> list[Table]:
    cells = [
        [node.name, node.operation, float(node.value), None if node.gradient is None else float(node.gradient)]
        for node in walk_graph().nodes
    ]
    return [Table(f"{EXPRESSION}: values forward, gradients backward", ("node", "is", "value", "dL/dnode"), cells)]


def graph_picture() -> object:
    from ..figures.graphs import computation_graph

    return computation_graph(walk_graph())


LESSONS = (
    Lesson("sigmoid", "002", "What is the sigmoid's derivative, and where is it nearly 0?", SIGMOID, sigmoid_rows,
           sigmoid_tables, {"sigmoid": sigmoid_picture}),
    Lesson("computation-graph", "002", "Which gradients flow back through (2a + b)(c − d)?", GRAPH, graph_rows,
           graph_tables, {"computation_graph": graph_picture}),
)  # fmt: skip
