"""The 0/1 error: why it is hard to minimise, the surrogate losses, and derivatives of 0."""

from __future__ import annotations

from math import comb

import torch

from .. import landscape
from ..activations import ReLU, Sigmoid
from ..data import Samples, toys
from ..descent import descend
from ..landscape import Surface
from ..losses import BinaryCrossEntropy, Hinge, Logistic, SquaredError, ZeroOne
from ..models import LogisticRegression
from ..runtime.devices import generator
from .engine import Lesson, Row, Table
from .tools import numbers

DERIVATION = """\
Err(a, a₀) = 1/n Σ 1[sign(aᵀx + a₀) ≠ y], y = ±1: flat almost everywhere, so no slope leads down.
Read g_i = σ(y_i (aᵀx_i + a₀)) as the probability that sample i is classified rightly. Independent samples: maximise
    Π g_i   ⇔   maximise Σ log g_i   ⇔   minimise Σ −log g_i = Σ log(1 + e^{−y_i s_i}),
the logistic loss: convex in a and a₀, smooth, and above log 2 times the 0/1 error."""

COUNT = 60


def signs() -> Samples:
    made = toys.random_binary(COUNT, seed=7)
    assert made.targets is not None
    return Samples(made.features, (2 * made.targets - 1).double())


def brute_force() -> int:
    """Returns the fewest errors of any threshold: it tries them all, with both signs."""
    x, y = signs().features[:, 0], signs().targets
    assert y is not None
    cuts = torch.cat([x - 1e-9, x.max().view(1) + 1])
    scores = x - cuts.unsqueeze(1)
    loss = ZeroOne()
    return int(min(float((loss(side * scores, y) * COUNT).round().min()) for side in (1, -1)))


def by_surface() -> Surface:
    """Returns the exact zero-one surface at w = ±1 and every threshold b, by one sort and binary searches."""
    samples = signs()
    x = samples.features[:, 0].sort().values
    between = torch.cat([x[:1] - 1, (x[1:] + x[:-1]) / 2, x[-1:] + 1])
    b = torch.cat([-between, between]).sort().values
    return landscape.grid(samples.features, samples.targets, ZeroOne(), w=numbers([-1.0, 1.0]), b=b, method="exact")


def labellings() -> int:
    """Counts the ways in which a threshold can label n points on a line."""
    x = signs().features[:, 0].sort().values
    between = torch.cat([x[:1] - 1, (x[1:] + x[:-1]) / 2, x[-1:] + 1])
    above = x > between.unsqueeze(1)
    return len(torch.unique(torch.cat([above, ~above]).long(), dim=0))


def cover(d: int) -> int:
    """Returns in how many ways a hyperplane can label n points in R^d: 2 Σ_{k ≤ d} C(n − 1, k), Cover 1965."""
    return 2 * sum(comb(COUNT - 1, k) for k in range(d + 1))


def curvatures() -> dict[str, float]:
    """Returns the smallest second derivative of two losses over scores in [−10, 10] at y = 1."""
    z, y = torch.linspace(-10, 10, 2001, dtype=torch.float64), torch.ones(2001, dtype=torch.float64)
    return {
        "squared_error": float(SquaredError(through=Sigmoid()).pointwise_curvature(z, y).min()),
        "cross_entropy": float(BinaryCrossEntropy().pointwise_curvature(z, y).min()),
    }


def rows() -> list[Row]:
    bent = curvatures()
    z = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    slopes = SquaredError(through=Sigmoid()).pointwise_gradient(z, torch.ones_like(z))
    d = 2
    normal = numbers([[1.0, -2.0]])
    surface = by_surface()
    return [
        Row("004.c", {"dimension": d - int(torch.linalg.matrix_rank(normal))}, "wrong", {"dimension": d},
            "A hyperplane in R^d has dimension d − 1, not d.", {"dimension": normal.shape[1]},
            note="d = 2: the solutions of a·x + a₀ = 0 are a line."),
        Row("004.g",
            {"smallest_curvature_squared_error": bent["squared_error"],
             "smallest_curvature_cross_entropy": bent["cross_entropy"],
             "largest_slope_squared_error": float(slopes.max())},
            "wrong", "if the loss were monotone and differentiable the problem would become tractable",
            "It is not enough: squared error through a sigmoid is monotone in the margin and differentiable, yet not "
            "convex, which is the trap of lecture 000. Convexity is what helps.",
            note="Its slope is nowhere above 0 at y = 1 (monotone); a negative curvature is what convexity forbids."),
        Row("004.h",
            {"fewest_errors": round(float(surface.values.min()) * COUNT), "by_trying_all": brute_force(),
             "labellings": labellings(), "cover_d1": cover(1), "cover_d2": cover(2)},
            "wrong", "exponential in n × d",
            "Exact minimisation is exponential in d, not in n × d: it is O(n^d); with one feature N log N.",
            {"labellings": 2**COUNT},
            note=f"{COUNT} points on a line have {2 * COUNT} labellings by a threshold, of 2^{COUNT}; one sort finds "
            "the best, as the zero-one surface does. The mistake, 2^(n·d) at d = 1, counts them all."),
    ]  # fmt: skip


def tables() -> list[Table]:
    samples = signs()
    assert samples.targets is not None
    with torch.no_grad():
        scores = 2 * samples.features[:, 0] - 1
        g = torch.sigmoid(samples.targets * scores)
    product, logs = float(torch.prod(g)), float(torch.log(g).sum())
    cells = [
        ["Π g_i", product],
        ["Σ log g_i", logs],
        ["−1/n Σ log g_i", -logs / COUNT],
        ["the package's Logistic()", float(Logistic()(scores, samples.targets))],
        ["0/1 error", float(ZeroOne()(scores, samples.targets))],
    ]
    return [Table("From a product of probabilities to the loss: 60 samples, s = 2x − 1", ("", "value"), cells)]


def picture() -> object:
    from ..figures.lessons import curves

    m = torch.linspace(-3, 3, 601, dtype=torch.float64)
    one = torch.ones_like(m)
    return curves(
        m,
        {
            "0/1": ZeroOne().pointwise(m, one),
            "logistic / log 2": Logistic().pointwise(m, one) / 0.6931471805599453,
            "hinge": Hinge().pointwise(m, one),
            "squared error through σ": SquaredError(through=Sigmoid()).pointwise(m, one),
        },
        title="The 0/1 error and what is minimised in its place",
        x="margin y·s",
        y="loss",
    )


# ---- derivatives of 0 -----------------------------------------------------------------------------------------------

ZEROS = """\
Accuracy is a step of the scores: its derivative is 0 wherever it exists, so descent on it never takes a step.
A ReLU unit max(0, w·x + b) whose score is negative for every sample has derivative 0 for every sample: it is dead.
But a derivative of 0 is not a problem in itself: it is 0 at every minimum, and half of a healthy ReLU's are."""


def dead_units() -> list[list[float]]:
    """Returns a row for each bias: the share of ReLU derivatives that are 0, and the share of dead units."""
    x = torch.randn(200, 10, dtype=torch.float64, generator=generator(0))
    w = torch.randn(1000, 10, dtype=torch.float64, generator=generator(1)) / 10**0.5
    found = []
    for b in (0.0, -1.0, -2.0, -3.0, -4.0, -5.0):
        slope = ReLU().derivative(x @ w.mT + b)
        found.append([b, float((slope == 0).double().mean()), float((slope == 0).all(0).double().mean())])
    return found


def flat_accuracy() -> float:
    """Returns the change of the error rate per change of a weight, at a step of 1e-9: it is 0."""
    samples = signs()
    assert samples.targets is not None
    x, loss = samples.features[:, 0], ZeroOne()
    return float((loss((2 + 1e-9) * x - 1, samples.targets) - loss(2 * x - 1, samples.targets)).abs()) / 1e-9


def zero_rows() -> list[Row]:
    made = toys.random_binary(COUNT, seed=7)
    assert made.targets is not None
    samples = Samples(made.features, made.targets.double())
    model, loss = LogisticRegression(1).double(), BinaryCrossEntropy()
    descend(model, loss, samples, rate=4.0, epochs=3000, evaluate=0)
    assert samples.targets is not None
    with torch.no_grad():
        upstream = loss.gradient(model(samples.features), samples.targets)
        at_rest = max(float(g.abs().max()) for g in model.gradients(samples.features, upstream).values())
    healthy, worst = dead_units()[0], dead_units()[-1]
    return [
        Row(
            "003.e",
            {"gradient_at_the_minimum": at_rest, "zero_derivatives_of_relu": healthy[1], "dead_units": healthy[2],
             "dead_units_at_bias_-5": worst[2], "slope_of_accuracy": flat_accuracy()},
            "wrong",
            "we can't have any derivative equal to 0; if it is 0 at any point, it becomes impossible to learn",
            "Too strong: it is 0 at every minimum, and about half of a ReLU's derivatives are, and it learns. What "
            "stops learning is a derivative of 0 for all samples.",
        )
    ]  # fmt: skip


def zero_tables() -> list[Table]:
    columns = ("bias", "derivatives that are 0", "dead units")
    return [Table("ReLU units of random weights: 1,000 units, 200 samples", columns, dead_units())]


def steps_picture() -> object:
    from ..figures.lessons import curves

    samples = signs()
    w = (-3.0, 5.0, 1601)
    error = landscape.grid(samples.features, samples.targets, ZeroOne(), w=w, b=-1.0)
    smooth = landscape.grid(samples.features, samples.targets, Logistic(), w=w, b=-1.0)
    return curves(
        error.first, {"0/1 error: stairs": error.values[:, 0], "logistic loss: a slope": smooth.values[:, 0]},
        title="Why not accuracy as a loss: no stair leads down", x="w  (b = −1)", y="loss",
    )  # fmt: skip


LESSONS = (
    Lesson("zero-one", "004", "Why is the 0/1 error not minimised itself, and which losses replace it?", DERIVATION,
           rows, tables, {"zero_one": picture}),
    Lesson("zero-derivatives", "003", "Why not accuracy as a loss, and what is a dead ReLU?", ZEROS, zero_rows,
           zero_tables, {"zero_derivatives": steps_picture}),
)  # fmt: skip
