"""Compares squared error with cross-entropy over (w, b): the closing figure, counts of bumps, and bad starts."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from .. import landscape
from ..activations import Sigmoid
from ..data import toys
from ..descent import ByHand
from ..landscape import Surface
from ..losses import BinaryCrossEntropy, Loss, SquaredError
from ..models import LogisticRegression
from ..runtime.devices import generator
from ..updates import GradientDescent
from .engine import Lesson, Row, Table
from .tools import numbers

MSE, BCE = SquaredError(through=Sigmoid()), BinaryCrossEntropy()
LOSSES: dict[str, Loss] = {"squared error": MSE, "cross-entropy": BCE}

COST = """\
What the surface of a loss looks like depends on three choices: the problem (real targets or labels), the activation,
and the loss.
    linear problem,  identity, squared error:   a parabola in w, a bowl in (w, b): one minimum
    binary problem,  sigmoid,  cross-entropy:   a sum of softplus functions: convex, and straight lines far out
    binary problem,  sigmoid,  squared error:   a sum of sigmoid steps: flat far out, with bumps between"""


def random_labels() -> tuple[Tensor, Tensor]:
    made = toys.random_binary(100, seed=0)
    assert made.targets is not None
    return made.features[:, 0], made.targets.double()


def random_line() -> tuple[Tensor, Tensor]:
    made = toys.random_linear(100, seed=0)
    assert made.targets is not None
    return made.features[:, 0], made.targets


@cache
def surface(name: str, points: int = 201) -> Surface:
    return landscape.grid(*random_labels(), LOSSES[name], w=(-20, 20, points), b=(-20, 20, points))


def shapes() -> list[Table]:
    cells = []
    linear = landscape.grid(*random_line(), SquaredError(), w=(-20, 20, 201), b=(-20, 20, 201))
    for problem, made in (("linear", linear), *((f"binary: {n}", surface(n)) for n in LOSSES)):
        flat = made.plateaus(1e-3)["1e-3"]
        kinds = [m["kind"] for m in made.minima()]
        cells.append([problem, made.lowest["loss"], kinds.count("minimum"), str(made.convex()), flat])
    columns = ("problem", "lowest on the grid", "minima", "convex", "share with a slope below 1e-3")
    return [Table("Three surfaces over (w, b) in [−20, 20]²", columns, cells)]


def closing() -> object:
    from ..figures import comparison

    titles = ("Squared error through a sigmoid", "Cross-entropy")
    return comparison(surface("squared error"), surface("cross-entropy"), (-10.0, 0.0, 10.0), titles=titles)


def curves_at_zero() -> object:
    from ..figures.lessons import three_curves

    w = (-20.0, 20.0, 401)
    return three_curves(
        {
            "linear problem, squared error": landscape.grid(*random_line(), SquaredError(), w=w, b=0.0),
            "binary problem, cross-entropy": landscape.grid(*random_labels(), BCE, w=w, b=0.0),
            "binary problem, squared error through a sigmoid": landscape.grid(*random_labels(), MSE, w=w, b=0.0),
        }
    )


# ---- bumps, counted -------------------------------------------------------------------------------------------------

BUMPS = """\
Claim: the oscillations of L(w) grow with |b| and with the number of features.
Measured: 100 samples, x standard normal in d features; labels separable (a random plane), noisy (the plane with
logistic noise: 20 to 30 % are on the wrong side), or a coin's. Along a random direction u through w = 0, at bias b, the
curve a ↦ L(a u, b) is that of the single feature u·x. Minima of the curve on 1,201 points of a in [−60, 60] that lie
inside and are deeper than 1e-4 on both sides are counted, and averaged over 20 seeds."""

WINDOW = (-60.0, 60.0, 1201)
OFFSETS = (0.0, 2.0, 5.0, 10.0, 20.0)
LABELS = ("separable", "noisy", "coin")


def draw_samples(kind: str, features: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns random x, labels, and the unit direction u of the curve."""
    source = generator(seed, features, LABELS.index(kind))
    x = torch.randn(100, features, dtype=torch.float64, generator=source)
    plane = torch.randn(features, dtype=torch.float64, generator=source)
    scores = 2 * x @ plane / plane.norm() - 0.5
    if kind == "noisy":
        scores = scores + torch.logit(torch.rand(100, dtype=torch.float64, generator=source))
    if kind == "coin":
        scores = torch.rand(100, dtype=torch.float64, generator=source) - 0.5
    u = torch.randn(features, dtype=torch.float64, generator=source)
    return x, (scores > 0).double(), u / u.norm()


def dips(values: Tensor, depth: float = 1e-4) -> int:
    """Counts the minima inside a curve from which it rises by `depth` on both sides before it falls lower."""
    found, lowest, highest, falling = 0, math.inf, -math.inf, False
    for value in values.tolist():
        if falling:
            lowest = min(lowest, value)
            if value > lowest + depth:
                found, falling, highest = found + 1, False, value
        else:
            highest = max(highest, value)
            if value < highest - depth:
                falling, lowest = True, value
    return found


@cache
def bumps(kind: str, features: int, name: str = "squared error", seeds: int = 20) -> tuple[float, ...]:
    """Returns the mean number of dips of L(a) at each bias."""
    total = [0] * len(OFFSETS)
    for seed in range(seeds):
        x, y, u = draw_samples(kind, features, seed)
        found = landscape.grid(x @ u, y, LOSSES[name], w=WINDOW, b=numbers(OFFSETS))
        for k in range(len(OFFSETS)):
            total[k] += dips(found.values[:, k])
    return tuple(count / seeds for count in total)


def bump_tables() -> list[Table]:
    cells = [[kind, d, *bumps(kind, d)] for kind in LABELS for d in (1, 2, 5, 20)]
    cells.append(["noisy, cross-entropy", 1, *bumps("noisy", 1, "cross-entropy")])
    columns = ("labels", "features", *(f"b = {b:g}" for b in OFFSETS))
    return [Table("Dips of L(a), squared error through a sigmoid", columns, cells)]


def bump_picture() -> object:
    """Draws the lecture's curve, whose code has b = −100, in a window in which w·x is large enough to balance it."""
    from ..figures import cuts

    x, y, _ = draw_samples("coin", 1, 0)
    found = landscape.grid(x, y, MSE, w=(-400, 400, 4001), b=numbers((-100.0, -10.0, 0.0)))
    return cuts(found, at=(-100.0, -10.0, 0.0), title="L(w) of squared error through a sigmoid, a coin's labels")


def effective_bias() -> float:
    """Returns the bias of 1/(1 + exp(−w X + 100)): the score at X = 0, recovered from log p."""
    return float(torch.nn.functional.logsigmoid(-numbers(100.0)))  # log p = s for s far below 0


def subscript_error() -> str:
    """Returns Python's error message for np.exp[…]."""
    import numpy as np

    try:
        np.exp[0]  # type: ignore[index]
    except TypeError as error:
        return str(error)
    return ""


def bump_rows() -> list[Row]:
    table = {kind: bumps(kind, 1) for kind in LABELS}
    wide = {kind: bumps(kind, 20) for kind in LABELS}
    starts = {name: share_reaching_best(name, 1) for name in LOSSES}
    measured = {
        **{f"{kind}_b_{OFFSETS[k]:g}": table[kind][k] for kind in LABELS for k in (0, 2, 4)},
        **{f"{kind}_20_features_b_{OFFSETS[k]:g}": wide[kind][k] for kind in LABELS for k in (0, 2, 4)},
        **{f"share_reaching_the_best_{name.replace(' ', '_')}": share for name, share in starts.items()},
    }
    return [
        Row("000.b", {"b": effective_bias()}, "wrong", {"b": 100.0},
            "np.exp[−w * X + 100]: square brackets; and in 1/(1 + exp(−wX + 100)) the bias is −100, not +100.",
            {"b": -effective_bias()}, digits=6, note=f"TypeError: {subscript_error()}."),
        Row("000.e", measured, "wrong",
            "oscillations grow with |b| and with the number of features; very high probability of a local minimum",
            "Asserted, not measured, and it depends on the labels: see the note.",
            note="Mean dips of L(a) by bias (design: lesson bumps). With one feature they grow with |b| for a coin's "
            "labels, hardly for noisy ones, and vanish for separable ones; more features make more for separable "
            "and noisy labels and none for a coin's. Of starts with one feature (lesson bad-start) few reach the best "
            "loss; most of the others lie on a plateau and not in a local minimum."),
    ]  # fmt: skip


# ---- bad starts -----------------------------------------------------------------------------------------------------

STARTS = """\
Claim: the probability of starting where descent reaches the global minimum is far below that of being stuck.
Measured: 100 noisy samples (as in the lesson bumps), all weights and the bias of the start uniform in [−20, 20], 100
starts, 3,000 full-batch steps at rate 1. A start counts as good if it ends within 0.01 of the best loss that any start
reached. Stuck is told apart: on a plateau (gradient below 1e-3) or still on its way."""


@cache
def run_starts(name: str, features: int, starts: int = 100, steps: int = 3000) -> tuple[Tensor, Tensor]:
    """Returns the loss and the gradient's length at the end of descent from each random start."""
    x, y, _ = draw_samples("noisy", features, 0)
    model = LogisticRegression(features, runs=(starts,)).double()
    source = generator(11, features)
    assert model.bias is not None
    with torch.no_grad():
        for parameter in (model.weight, model.bias):
            parameter.copy_(40 * torch.rand(parameter.shape, dtype=torch.float64, generator=source) - 20)
    stepper = ByHand(model, LOSSES[name], None, GradientDescent())
    for _ in range(steps):
        stepper.step(x, y, 1.0)
    with torch.no_grad():
        scores = model(x)
        gradients = model.gradients(x, LOSSES[name].gradient(scores, y))
        length = torch.sqrt(gradients["weight"].square().sum((-1, -2)) + gradients["bias"].square().sum(-1))
        return LOSSES[name](scores, y), length


def share_reaching_best(name: str, features: int) -> float:
    losses, _ = run_starts(name, features)
    return float((losses <= losses.min() + 0.01).double().mean())


def start_tables() -> list[Table]:
    cells = []
    for name in LOSSES:
        for features in (1, 2, 5):
            losses, length = run_starts(name, features)
            bad = losses > losses.min() + 0.01
            flat = bad & (length < 1e-3)
            cells.append([name, features, float(losses.min()), share_reaching_best(name, features),
                          float(flat.double().mean()), float((bad & ~flat).double().mean())])  # fmt: skip
    columns = ("loss", "features", "best loss", "good", "stuck on a plateau", "still on its way")
    return [Table("Where 100 starts in [−20, 20] end after 3,000 steps at rate 1", columns, cells)]


def basin_picture() -> object:
    from ..figures import basin_map

    made = surface("squared error", 101)
    return basin_map(made, made.basins(rate=1.0, steps=3000))


# ---- noise ----------------------------------------------------------------------------------------------------------

NOISE = """\
Claim: a noisy gradient means we might jump out of a local minimum.
Measured: the data of the lesson bad-start, one feature, squared error through a sigmoid; 20 seeds, each with its own
start in [−20, 20]² and its own order of samples, the same starts for every batch size; rate 1. Once with 100 epochs for
all (a single-sample run then takes 100 times as many steps as a full-batch one), once with 3,000 steps for all. A run
counts as good if its loss ends within 0.01 of the best that any reached."""


@cache
def noisy_losses(batch_size: int, steps: int, seeds: int = 20) -> Tensor:
    """Returns the final loss of each seed's run. All seeds train at once, each with its own batches."""
    x, y, _ = draw_samples("noisy", 1, 0)
    model = LogisticRegression(1, runs=(seeds,)).double()
    source = generator(23)
    assert model.bias is not None
    with torch.no_grad():
        for parameter in (model.weight, model.bias):
            parameter.copy_(40 * torch.rand(parameter.shape, dtype=torch.float64, generator=source) - 20)
    stepper, taken, epoch = ByHand(model, MSE, None, GradientDescent()), 0, 0
    while taken < steps:
        orders = torch.stack([torch.randperm(len(x), generator=generator(seed, epoch)) for seed in range(seeds)])
        for start in range(0, len(x), batch_size):
            if taken == steps:
                break
            index = orders[:, start : start + batch_size]
            stepper.step(x[index], y[index], 1.0)
            taken += 1
        epoch += 1
    with torch.no_grad():
        return MSE(model(x), y)


PLANS = {"100 epochs": {100: 100, 10: 1000, 1: 10_000}, "3,000 steps": {100: 3000, 10: 3000, 1: 3000}}
SIZES = {100: "full", 10: "mini, 10", 1: "single"}


def final_losses() -> tuple[dict[tuple[str, str], Tensor], float]:
    """Returns the final losses by budget and batch size, and the best of all."""
    every = {
        (plan, SIZES[size]): noisy_losses(size, steps) for plan, sizes in PLANS.items() for size, steps in sizes.items()
    }
    return every, min(float(losses.min()) for losses in every.values())


def noise_tables() -> list[Table]:
    cells = []
    every, best = final_losses()
    for (plan, name), losses in every.items():
        good = (losses <= best + 0.01).double().mean()
        cells.append([plan, name, float(good), float(losses.median()), float(losses.max())])
    columns = ("budget", "batches", "good", "median loss", "worst")
    return [Table(f"Squared error through a sigmoid, 20 seeds, rate 1; best loss {best:.6f}", columns, cells)]


def noise_picture() -> object:
    from ..figures.choices import counts

    every, best = final_losses()
    good = {key: int((losses <= best + 0.01).sum()) for key, losses in every.items()}
    return counts(
        {f"{plan} for each": {name: good[plan, name] for name in SIZES.values()} for plan in PLANS}, 20,
        title="Starts that reach the best loss: as many steps, as many starts\n"
        "(100 epochs: 100 steps of full, 1,000 of mini, 10,000 of single)",
        y="share of the 20 starts",
    )  # fmt: skip


LESSONS = (
    Lesson("cost-function", "000", "How does the cost depend on problem, activation and loss?", COST,
           make_tables=shapes, figures={"closing_figure": closing, "cost_curves": curves_at_zero}),
    Lesson("bumps", "000", "Do more |b| and more features make more bumps, and for which labels?", BUMPS, bump_rows,
           bump_tables, {"bumps": bump_picture}),
    Lesson("bad-start", "000", "How likely is a start from which descent gets stuck?", STARTS,
           make_tables=start_tables, figures={"bad_start": basin_picture}),
    Lesson("noise", "003", "Does a noisy gradient help to leave a bad start?", NOISE, make_tables=noise_tables,
           figures={"noise": noise_picture}),
)  # fmt: skip
