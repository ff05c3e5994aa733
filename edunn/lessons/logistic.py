"""Logistic regression by table and by matrix, and two softmax neurons that equal one sigmoid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..activations import Sigmoid, Softmax
from ..losses import BinaryCrossEntropy, CrossEntropy
from ..models import LogisticRegression, SoftmaxClassifier
from .engine import Lesson, Row, Table
from .tools import numbers, set_weights

DERIVATION = """\
One neuron: z = w₁ x₁ + w₂ x₂ + b, P(y = 1) = σ(z). By table one row at a time; by matrix all at once: z = Xw + b.
    X = [[1, 2], [3, 4], [5, 6]], w = (1, 2), b = −10, y = (0, 1, 1)
    L = 1/N Σ log(1 + e^z) − y z"""

X = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))
Y = (0, 1, 1)


def neuron() -> Any:
    return set_weights(LogisticRegression(2), [[1.0, 2.0]], [-10.0])


@torch.no_grad()
def rows() -> list[Row]:
    model, x = neuron(), numbers(X)
    return [
        Row("3.1", {"z": model(x).tolist(), "sigma": model.probabilities(x).tolist()}, "holds",
            {"z": [-5.0, 1.0, 7.0], "sigma": [0.01, 0.73, 1.0]}, digits=2),
        Row("3.2", float(BinaryCrossEntropy()(model(x), numbers(Y))), "derived", note="Labels 0, 1, 1."),
    ]  # fmt: skip


@torch.no_grad()
def tables() -> list[Table]:
    model, x = neuron(), numbers(X)
    z, losses = model(x), BinaryCrossEntropy().pointwise(model(x), numbers(Y))
    cells = []
    for i, (first, second) in enumerate(X):
        by_table = first * 1 + second * 2 - 10
        cells.append([first, second, Y[i], by_table, float(z[i]), float(Sigmoid()(z[i])), float(losses[i])])
    return [Table("By table and by matrix", ("x₁", "x₂", "y", "x₁w₁ + x₂w₂ + b", "Xw + b", "σ(z)", "loss"), cells)]


TWO = """\
Two neurons and a softmax:  p₂ = e^z₂ / (e^z₁ + e^z₂) = 1 / (1 + e^−(z₂ − z₁)) = σ(z₂ − z₁).
Only w₂ − w₁ and b₂ − b₁ matter: a vector added to both neurons changes no probability. Six numbers, three that count.
The exponentials are taken of z − max z: the same quotients, and none of them overflows."""


def neurons() -> Any:
    """Returns the lecture's two neurons, W = [[1, 3], [2, 4]] by columns there, a row for each neuron here."""
    return set_weights(SoftmaxClassifier(2, 2), [[1.0, 2.0], [3.0, 4.0]], [-10.0, -20.0])


def difference_neuron() -> Any:
    """Returns the single sigmoid neuron that equals the two: their difference, w₂ − w₁ and b₂ − b₁."""
    both = neurons()
    weight, bias = both.weight.detach(), both.bias.detach()
    return set_weights(LogisticRegression(2), (weight[1:] - weight[:1]).tolist(), (bias[1:] - bias[:1]).tolist())


def count_free_parameters() -> int:
    """Returns how many of the six parameters count: the rank of the probabilities' Jacobian."""
    x = numbers([*X, (1.0, -1.0), (-2.0, 0.5)])

    def chances(flat: Tensor) -> Tensor:
        return Softmax()(x @ flat[:4].view(2, 2).mT + flat[4:])[:, 1]

    start = numbers([0.1, 0.2, 0.3, -0.4, 0.0, 0.1])
    return int(torch.linalg.matrix_rank(torch.autograd.functional.jacobian(chances, start)))


@torch.no_grad()
def two_rows() -> list[Row]:
    model, x = neurons(), numbers(X)
    z, p = model(x), model.probabilities(x)
    losses = CrossEntropy().pointwise(z, torch.tensor(Y))
    single = difference_neuron()
    moved = neurons()
    for parameter in moved.parameters():
        parameter += 0.5
    large = numbers([[710.0, 710.0]])
    naive = torch.exp(large) / torch.exp(large).sum(1, keepdim=True)
    return [
        Row("3.3", {"Z": z.tolist(), "softmax": p.tolist()}, "holds",
            {"Z": [[-5.0, -9.0], [1.0, 5.0], [7.0, 19.0]],
             "softmax": [[0.982, 0.018], [0.018, 0.982], [6.14e-06, 1.0]]}, digits=4,
            note="Printed with three digits each: 9.82e-01, 1.80e-02, 6.14e-06."),
        Row("3.4", {"each": losses.tolist(), "mean": float(losses.mean())}, "derived", note="Classes 0, 1, 1."),
        Row("3.5", {"sigma_of_the_difference": single.probabilities(x).tolist(), "softmax_of_2": p[:, 1].tolist(),
                    "sigma(4)": float(Sigmoid()(numbers(4.0)))}, "derived"),
        Row("003.f", Softmax()(large)[0].tolist(), "wrong", None,
            "Softmax without the shift by the largest score: from 710 on the exponentials overflow.", naive[0].tolist(),
            note="Of the scores (710, 710)."),
        Row("003.g",
            {"parameters": sum(parameter.numel() for parameter in model.parameters()),
             "that_matter": count_free_parameters(),
             "change_when_both_move": float((moved.probabilities(x) - p).abs().max())},
            "wrong", "no hidden layers and 1 neuron",
            "It fits the sigmoid form; the two-neuron form has twice the parameters, of which only w₂ − w₁ and b₂ − b₁ "
            "matter.",
            {"parameters": sum(parameter.numel() for parameter in single.parameters())},
            note="The mistake counts those of one neuron."),
    ]  # fmt: skip


@torch.no_grad()
def two_tables() -> list[Table]:
    model, x, single = neurons(), numbers(X), difference_neuron()
    z, p = model(x), model.probabilities(x)
    cells = [[*z[i].tolist(), *p[i].tolist(), float(single(x)[i]), float(single.probabilities(x)[i])] for i in range(3)]
    return [Table("Two neurons, and the one they are", ("z₁", "z₂", "p₁", "p₂", "z₂ − z₁", "σ(z₂ − z₁)"), cells)]


LESSONS = (
    Lesson("logistic-regression", "003", "What does one neuron compute, by table and by matrix?", DERIVATION, rows,
           tables),
    Lesson("two-neuron-softmax", "003", "Is a softmax of two neurons more than one sigmoid?", TWO, two_rows,
           two_tables),
)  # fmt: skip
