"""Squared error through a sigmoid: a gradient that vanishes where the prediction is wrong, and limits of L(w)."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import activations, landscape
from ..activations import Sigmoid
from ..data import toys
from ..landscape import Surface
from ..losses import BinaryCrossEntropy, Loss, SquaredError
from .engine import Lesson, Row, Table
from .tools import numbers

DERIVATION = """\
With ŷ = σ(z), z = θx and L = ½(y − ŷ)², the chain rule gives
    dL/dθ = dL/dŷ · dŷ/dz · dz/dθ = −(y − ŷ) · ŷ(1 − ŷ) · x
For y = 1 its size is (1 − s)² s in s = σ(z): largest where 2s(1 − s) = (1 − s)², at s = 1/3, where it is 4/27. On both
sides it goes to 0: on the right because the answer is right, on the left although it is wrong. Cross-entropy has
dL/dz = ŷ − y: the factor ŷ(1 − ŷ) is gone, and a wrong answer pulls with all its strength."""

HALF_MSE = SquaredError(half=True, through=Sigmoid())
BCE = BinaryCrossEntropy()


def slope(loss: Loss, z: float, y: float = 1.0) -> float:
    """Returns dL/dz of one sample."""
    return float(loss.pointwise_gradient(numbers([z]), numbers([y])))


def steepest() -> tuple[float, float]:
    """Returns the z at which |d/dz ½(1 − σ)²| is largest, and this slope: bisection for the zero of the curvature."""
    low, high = -4.0, 0.0
    for _ in range(80):
        middle = (low + high) / 2
        rising = float(HALF_MSE.pointwise_curvature(numbers([middle]), numbers([1.0]))) < 0
        low, high = (middle, high) if rising else (low, middle)
    return low, abs(slope(HALF_MSE, low))


def origin(loss: Loss) -> float:
    """Returns the loss at w = b = 0, which is the same for all labels."""
    _, y = limits_data()
    return float(loss(torch.zeros_like(y), y))


def rows() -> list[Row]:
    z, largest = steepest()
    x, y = limits_data()
    whole, half = float(SquaredError()(x, y)), float(SquaredError(half=True)(x, y))
    return [
        Row(
            "0.4",
            {"squared_error": slope(HALF_MSE, -10.0), "cross_entropy": slope(BCE, -10.0)},
            "holds",
            note="The formula is printed, not the values: dL/dθ at y = 1, x = 1, z = -10.",
        ),
        Row(
            "0.5",
            {"largest": largest, "at_sigma": float(torch.sigmoid(numbers(z))), "at_z": z},
            "derived",
            note="4/27, at σ = 1/3 for y = 1.",
        ),
        Row(
            "000.c",
            {name: int(name in activations.ACTIVATIONS) for name in ("sigmoid", "bce")},
            "wrong",
            "activation = 'linear' or 'bce'",
            "It should be 'sigmoid': bce is a loss.",
            note="1: an activation of this package; 0: none.",
        ),
        Row(
            "000.d",
            {"at_the_origin": origin(HALF_MSE), "ratio": whole / half},
            "wrong",
            "1/(2n) in one snippet, the plain mean in the other",
            "Two factors for one name: the gradients differ by 2, and so do the rates that suit them.",
            {"at_the_origin": origin(SquaredError(through=Sigmoid()))},
            note="At w = b = 0, where every σ is ½: with 1/(2n) it is row 0.3; the other snippet's mean is twice that.",
        ),
    ]


def table() -> list[Table]:
    places = (-10.0, -5.0, -2.0, steepest()[0], 0.0, 2.0, 5.0, 10.0)
    cells = [[z, float(torch.sigmoid(numbers(z))), slope(HALF_MSE, z), slope(BCE, z)] for z in places]
    columns = ("z", "σ(z)", "d ½(1−σ)²/dz", "d BCE/dz")
    return [Table("The pull at y = 1: what a wrong answer (z far left) is pulled with", columns, cells)]


def picture() -> object:
    from ..figures.lessons import curves

    z = torch.linspace(-10, 10, 401, dtype=torch.float64)
    one = torch.ones_like(z)
    return curves(
        z,
        {
            "squared error through a sigmoid": HALF_MSE.pointwise_gradient(z, one),
            "cross-entropy": BCE.pointwise_gradient(z, one),
        },
        title="The pull dL/dz at y = 1: only cross-entropy pulls a wrong answer",
        x="score z",
        y="dL/dz",
    )


# ---- limits and slopes of L(w) --------------------------------------------------------------------------------------

LIMITS = """\
One feature, b fixed. As w → ±∞ every σ(w x_i + b) goes to 0 or 1 (x_i ≠ 0), so
    squared error:  L(w) → the share of samples on the wrong side, ½ of it with the ½; L'(w) → 0: two asymptotes
    cross-entropy:  L(w) / |w| → 1/N Σ over the wrong side |x_i|: a straight line upward, or 0 where none is wrong
So L(w) of squared error is flat on both sides, the bad one included; cross-entropy is steep wherever it is bad."""


def limits_data() -> tuple[Tensor, Tensor]:
    made = toys.random_binary(40, seed=3)
    assert made.targets is not None
    return made.features[:, 0], made.targets.double()


def limits_of(side: int) -> dict[str, float]:
    """Returns the limits of L(w) for w → ±∞ by formula; `side` is +1 or −1."""
    x, y = limits_data()
    wrong = (side * x > 0) != (y == 1)
    return {"squared_error": float(wrong.double().mean()), "slope_of_cross_entropy": float((x.abs() * wrong).mean())}


def limit_tables() -> list[Table]:
    x, y = limits_data()
    mse, cells = SquaredError(through=Sigmoid()), []
    for w in (-1e4, -100.0, -10.0, 10.0, 100.0, 1e4):
        scores, side = w * x, 1 if w > 0 else -1
        flat, bce = (float((loss.gradient(scores, y) * x).sum()) for loss in (mse, BCE))
        said, bce = limits_of(side), side * bce
        cells.append([w, float(mse(scores, y)), said["squared_error"], flat, bce, said["slope_of_cross_entropy"]])
    columns = ("w", "squared error", "its limit", "its slope", "slope of BCE outward", "its limit")
    return [Table("L(w) at b = 0 of 40 random samples, and what the limits say", columns, cells)]


def curve(loss: Loss, b: float = 0.0) -> Surface:
    return landscape.grid(*limits_data(), loss, w=(-30, 30, 601), b=b)


def limit_picture() -> object:
    from ..figures.lessons import curves

    surface = curve(SquaredError(through=Sigmoid()))
    return curves(
        surface.first,
        {"squared error through a sigmoid": surface.values[:, 0], "cross-entropy": curve(BCE).values[:, 0]},
        title="L(w) at b = 0: flat on both sides, or steep wherever it is bad",
        x="w",
        y="loss",
    )


LESSONS = (
    Lesson(
        "vanishing-gradient",
        "000",
        "Why does squared error through a sigmoid stop learning where it is most wrong?",
        DERIVATION,
        rows,
        table,
        {"vanishing_gradient": picture},
    ),
    Lesson(
        "limits",
        "000",
        "What do L(w) and its slope tend to as w goes to ±∞?",
        LIMITS,
        make_tables=limit_tables,
        figures={"limits": limit_picture},
    ),
)
