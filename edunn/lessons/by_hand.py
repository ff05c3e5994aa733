"""Steps worked by hand: single samples, and a batch of three whose printed targets are rounded."""

from __future__ import annotations

from typing import Any

import torch

from ..data import Samples
from ..losses import SquaredError
from ..models import LinearRegression
from .engine import Lesson, Row
from .steps import Step, steps
from .tools import numbers, set_weights

SINGLE = """\
ŷ = w x + b, Loss_i = (ŷ − y)². By the chain rule
    ∂Loss/∂w = ∂Loss/∂ŷ · ∂ŷ/∂w = 2(ŷ − y) · x        ∂Loss/∂b = 2(ŷ − y) · 1
θ₀ = (0, 0), rate 0.01:  (x, y) = (5, 5), then (9, 17)."""

LOSS = SquaredError()
PAIRS = ((5.0, 5.0), (9.0, 17.0))
HIDDEN = (0.9886616166569097, 3.0038431919339965, 5.014965537763705)
SHOWN = (0.99, 3.00, 5.01)


def line(w: float = 0.0, b: float = 0.0) -> Any:
    return set_weights(LinearRegression(1), [[w]], [b])


def single_steps() -> list[Step]:
    """Returns single-sample steps, each from the weights at which the last one ended."""
    found: list[Step] = []
    w, b = 0.0, 0.0
    for x, y in PAIRS:
        (step,) = steps(line(w, b), LOSS, Samples(numbers([[x]]), numbers([y])), rate=0.01, count=1)
        w, b = step.end["w"], step.end["b"]
        found.append(step)
    return found


def single_rows() -> list[Row]:
    first, second = single_steps()
    with torch.no_grad():
        guess = float(line(**{k: second.start[k] for k in ("w", "b")})(numbers([[9.0]])))
    fitted, _ = line_through(HIDDEN)
    return [
        Row("3.6", {"loss": first.loss, "gradient": [*first.nabla.values()], "theta1": [*first.end.values()]}, "holds",
            {"loss": 25.0, "gradient": [-50.0, -10.0], "theta1": [0.5, 0.1]}),
        Row("3.7",
            {"yhat": guess, "loss": second.loss, "gradient": [*second.nabla.values()],
             "theta2": [*second.end.values()]},
            "holds", {"gradient": [-223.2, -24.8], "theta2": [2.732, 0.348]}),
        Row("003.b", {"y_at_5": fitted(5.0), "y_at_9": fitted(9.0)}, "wrong", {"y_at_5": 5.0},
            "x_i = 5, y_i = 5 does not belong to the data, whose fifth target is 8.99; (9, 17) does.",
            {"y_at_5": first.table.rows[0][0]},
            note="computed: the line through the three printed points, continued; (9, 17) lies by it. The mistake: x "
            "is written for y."),
        Row("003.c", {"chain": 2 * (guess - 17.0) * 9.0}, "wrong",
            "∂Loss_i / ŷ(x_i) · ∂ŷ(x_i)/∂w",
            "The denominator lacks its ∂: as printed, a loss is divided by a prediction.",
            {"chain": second.loss / guess * 9.0},
            note="∂Loss/∂w at (9, 17) from θ₁."),
    ]  # fmt: skip


def line_through(targets: tuple[float, ...]) -> tuple[Any, dict[str, float]]:
    """Returns the least-squares line of the three points, as a function and as {w, b}."""
    x = torch.cat([numbers([[1.0], [2.0], [3.0]]), torch.ones(3, 1, dtype=torch.float64)], 1)
    w, b = torch.linalg.lstsq(x, numbers(targets).unsqueeze(1)).solution.flatten().tolist()
    return (lambda at: w * at + b), {"w": w, "b": b}


# ---- a batch of three -----------------------------------------------------------------------------------------------

BATCH = """\
The batch's loss is the mean of its samples' losses, so its gradient is the mean of theirs:
    ∂Loss/∂w = 1/n Σ 2(ŷ_i − y_i) x_i        ∂Loss/∂b = 1/n Σ 2(ŷ_i − y_i)
x = 1, 2, 3, rate 0.1, θ₀ = (0, 0). The table shows y = 0.99, 3.00, 5.01 and was computed with the targets before
rounding: from the printed ones nine of its cells come out with other last digits."""

# the two printed tables: ŷ, loss, dL/dw, dL/db of each sample
CELLS = (
    ((0.0, 0.98, -1.98, -1.98), (0.0, 9.02, -12.02, -6.01), (0.0, 25.15, -30.09, -10.03)),
    ((2.07, 1.17, 2.16, 2.16), (3.54, 0.29, 2.14, 1.07), (5.01, 0.00, -0.04, -0.01)),
)


def batch_steps(targets: tuple[float, ...] = HIDDEN) -> list[Step]:
    return steps(line(), LOSS, Samples(numbers([[1.0], [2.0], [3.0]]), numbers(targets)), rate=0.1, count=2)


def cells(step: Step) -> list[list[float]]:
    """Returns ŷ, loss, dL/dw and dL/db of each sample."""
    return [list(row[2:]) for row in step.table.rows]


def find_differences() -> list[dict[str, float]]:
    """Returns the printed cells and gradients that do not follow from the printed targets, to the digits shown."""
    found = []
    for number, step in enumerate(batch_steps(SHOWN)):
        for i, (printed, ours) in enumerate(zip(CELLS[number], cells(step), strict=True)):
            for name, said, value in zip(("yhat", "loss", "dw", "db"), printed, ours, strict=True):
                if f"{value:.2f}".replace("-0.00", "0.00") != f"{said:.2f}":
                    found.append({"step": number + 1, "sample": i + 1, name: value})
        for (name, value), said in zip(step.nabla.items(), ((-14.69, -6.0), (1.42, 1.07))[number], strict=True):
            if f"{value:.2f}" != f"{said:.2f}":
                found.append({"step": number + 1, f"nabla_{name}": value})
    return found


def batch_rows() -> list[Row]:
    first, second = batch_steps()
    rounded = batch_steps(SHOWN)
    off = find_differences()
    return [
        Row(
            "3.8",
            {"nabla1": [*first.nabla.values()], "theta1": [*first.end.values()], "nabla2": [*second.nabla.values()],
             "theta2": [*second.end.values()], "loss": [first.loss, second.loss],
             "cells1": cells(first), "cells2": cells(second)},
            "holds",
            {"nabla1": [-14.69, -6.0], "theta1": [1.47, 0.6], "nabla2": [1.42, 1.07], "theta2": [1.33, 0.49],
             "cells1": [list(row) for row in CELLS[0]], "cells2": [list(row) for row in CELLS[1]]},
            digits=2,
            note="The loss is that before each step. Cells: ŷ, loss, dL/dw, dL/db of each sample.",
        ),
        Row(
            "3.9",
            {"differing": len(off), "nabla": [*rounded[0].nabla.values()], "cells1": cells(rounded[0]),
             "cells2": cells(rounded[1])},
            "derived",
            note="The same from the displayed targets 0.99, 3.00, 5.01.",
        ),
        Row(
            "003.a",
            cells(rounded[0]),
            "wrong",
            [list(row) for row in CELLS[0]],
            "The displayed targets are rounded, the table is not: from 0.99, 3.00, 5.01 its cells come out otherwise.",
            cells(first),
            digits=2,
            note=f"computed: from the displayed targets; {len(off)} printed numbers cannot be had from them. What the "
            "targets before rounding give is the table.",
        ),
    ]  # fmt: skip


LESSONS = (
    Lesson("single-sample-steps", "003", "What do two single-sample steps compute?", SINGLE, single_rows,
           lambda: [step.table for step in single_steps()]),
    Lesson("batch-steps", "003",
           "What does a batch of three compute, and why do the printed targets not give its table?",
           BATCH, batch_rows, lambda: [step.table for step in batch_steps()]),
)  # fmt: skip
