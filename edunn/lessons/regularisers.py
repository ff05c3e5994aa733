"""Regularisers: four forms, their gradients, and a line of code that fits another form."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import differences
from ..penalties import L1, L2, ElasticNet, Penalty
from .engine import Lesson, Row, Table
from .tools import numbers

DERIVATION = """\
    R = Σ w²           dR/dw = 2w                R = ½ Σ w²   dR/dw = w
    R = Σ |w|          dR/dw = sign w            R = Σ β w² + |w|     dR/dw = 2βw + sign w
L2 pulls every weight in proportion to itself and makes none 0; L1 pulls all alike and makes weights 0. Which of the
first two is meant is a factor 2 in the strength: it has to be said."""

WEIGHT = ((1.5, -2.0), (0.25, 3.0))
BETA = 0.5
FORMS: dict[str, Penalty] = {
    "sum_squares": L2(1.0),
    "half_sum_squares": L2(1.0, half=True),
    "sum_absolute": L1(1.0),
    "elastic_net": ElasticNet(1.0, beta=BETA),
}


def weight() -> Tensor:
    return numbers(WEIGHT)


def rows() -> list[Row]:
    reg = 0.1
    slide = L2(reg)
    numeric = differences.gradient(slide, weight())
    return [
        Row(
            "1.15",
            {
                name: {"value": float(form(weight())), "gradient": form.gradient(weight()).flatten().tolist()}
                for name, form in FORMS.items()
            },
            "holds",
            note="The forms are printed, not the values: here of W = [[1.5, −2], [0.25, 3]] and β = ½. The gradients "
            "are 2W, W, sign W and 2βW + sign W.",
        ),
        Row(
            "001.b",
            float((numeric / (reg * weight())).mean()),
            "wrong",
            1.0,
            "sW += reg * self.W: a typo for dW, and reg·W is the gradient of ½ Σ W², not of the slide's Σ W², which "
            "needs 2·reg·W.",
            float((L2(reg, half=True).gradient(weight()) / (reg * weight())).mean()),
            note="computed is the factor before reg·W in the numeric gradient of the slide's R; printed, the code's. "
            "The later '+ λ ∇R(W)' is right.",
        ),
    ]


def tables() -> list[Table]:
    cells = [[name, float(form(weight())), *form.gradient(weight()).flatten().tolist()] for name, form in FORMS.items()]
    return [Table("R and dR/dW of W = (1.5, −2, 0.25, 3)", ("R", "value", "d w₁", "d w₂", "d w₃", "d w₄"), cells)]


def picture() -> object:
    from ..figures.lessons import curves

    w = torch.linspace(-2, 2, 401, dtype=torch.float64)
    return curves(
        w, {name.replace("_", " "): form.measure(w) for name, form in FORMS.items()},
        title=f"What one weight costs (β = {BETA})", x="w", y="R(w)",
    )  # fmt: skip


LESSONS = (
    Lesson(
        "regularisers",
        "001",
        "What is each penalty's gradient, and which factor is meant?",
        DERIVATION,
        rows,
        tables,
        {"regularisers": picture},
    ),
)
