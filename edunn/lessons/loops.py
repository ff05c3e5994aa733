"""The three kinds of descent as loops, a wrong stop rule, and the margin of an SVM."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from ..data import Samples, toys
from ..descent import ByHand, Descent, descend
from ..history import History
from ..losses import BinaryCrossEntropy, Hinge, MulticlassHinge, SquaredError
from ..models import LinearRegression, LinearSVM, LogisticRegression
from ..penalties import L2
from ..runtime.devices import generator
from ..updates import GradientDescent, InverseTimeDecay
from .engine import Lesson, Row, Table
from .tools import numbers

DERIVATION = """\
full     for each epoch:                                  one update of all N samples
mini     for each epoch: shuffle; for each batch of k:    ⌈N/k⌉ updates; the last batch may be smaller, with its own 1/n
single   for each epoch: shuffle; for each sample:        N updates
One lecture calls full-batch descent "batch gradient descent", another calls mini-batch descent so ("BGD"): the names
here are full, mini and single. "Stochastic" is said of single, and often of mini."""

SAMPLES = 100


def blobs() -> Samples:
    return toys.random_binary(SAMPLES, seed=5)


def bits() -> Samples:
    made = blobs()
    assert made.targets is not None
    return Samples(made.features, made.targets.double())


def count_updates(batch_size: int | None) -> dict[str, int]:
    """Returns the number of updates and samples in one epoch of the package's loop, and the last batch's size."""
    run = Descent(LogisticRegression(1).double(), BinaryCrossEntropy(), bits(), 0.1, batch_size, epochs=1)
    sizes = [len(features) for features, _ in run.batches(0)]
    return {"updates": len(sizes), "samples": sum(sizes), "last_batch": sizes[-1]}


def epoch_of_singles(indented: bool) -> dict[str, float]:
    """Runs one epoch over lecture 003's first three examples, with the update inside the loop or after it."""
    x, y = numbers([[1.0], [2.0], [3.0]]), numbers([1.0, 3.0, 5.0])
    model, updates = LinearRegression(1).double(), 0
    stepper = ByHand(model, SquaredError(), None, GradientDescent())
    for i in range(3):
        if indented or i == 2:  # after the loop only the last example is left
            stepper.step(x[i : i + 1], y[i : i + 1], 0.01)
            updates += 1
    assert model.bias is not None
    return {"updates": updates, "w": float(model.weight.detach()), "b": float(model.bias.detach())}


def rows() -> list[Row]:
    full, mini, single = count_updates(None), count_updates(32), count_updates(1)
    lost = SAMPLES // 32
    return [
        Row(
            "001.d",
            {"full": full["updates"], "mini_of_32": mini["updates"], "single": single["updates"]},
            "wrong",
            "Batch Gradient Descent (BGD): mini-batches of 32, 64 or 128",
            "Mini-batch descent is called batch descent, against lecture 003, where batch is all of the data.",
            {"full": mini["updates"]},
            note="Updates in an epoch of 100 samples; by the name, four of them where one is meant.",
        ),
        Row(
            "003.d",
            {"updates": mini["updates"], "samples": mini["samples"]},
            "wrong",
            None,
            "num_batches is undefined; as N // batch_size it loses the last, partial batch.",
            {"updates": lost, "samples": lost * 32},
            note="100 samples in batches of 32, one epoch.",
        ),
        Row(
            "003.h",
            epoch_of_singles(True),
            "wrong",
            None,
            "The loops have lost their indentation: as printed, the update comes after the inner loop and is "
            "made once an epoch, with the last example's gradient.",
            epoch_of_singles(False),
        ),
    ]


@cache
def histories() -> dict[str, History]:
    """Returns runs of thirty epochs from the same start, at one rate."""
    loss = BinaryCrossEntropy()
    return {
        name: descend(LogisticRegression(1).double(), loss, bits(), rate=0.5, batch_size=size, epochs=30)
        for name, size in (("full", None), ("mini, 32", 32), ("single", 1))
    }


def tables() -> list[Table]:
    cells = []
    for (name, history), size in zip(histories().items(), (None, 32, 1), strict=True):
        count = count_updates(size)
        cells.append([name, count["updates"], count["last_batch"], history["loss"][0], history["loss"][-1]])
    columns = ("descent", "updates an epoch", "last batch", "loss after 1 epoch", "after 30")
    return [Table("Logistic regression on 100 samples, rate 0.5", columns, cells)]


def picture() -> object:
    from ..figures import loss_curves

    return loss_curves(histories(), column="loss")


# ---- the naive stop rule --------------------------------------------------------------------------------------------

STOP = """\
    while delta > tol:  batch = sample(data);  old = loss(batch);  w −= rate · grad(batch);  delta = |old − loss(batch)|
The same batch is looked at before and after one step. If the hinge of that batch is 0 the step is 0, so delta is 0 and
training ends, whatever the rest of the data says: with batches of 1, the first sample that happens to be right ends it.
The package's rule looks at the loss of the whole training part from one epoch to the next."""

TOL, RATE = 1e-3, 0.02


@dataclass(frozen=True)
class Stopped:
    steps: int
    loss: float


def three_classes() -> Samples:
    return toys.blobs(300, seed=2, noise=2.5)


@cache
def run_naive_rule(batch_size: int, seed: int, most: int = 5000) -> Stopped:
    """Runs descent with the lecture's stop rule, exactly as written."""
    samples, loss, model = three_classes(), MulticlassHinge(), LinearSVM(2, classes=3).double()
    assert samples.targets is not None
    stepper, source = ByHand(model, loss, None, GradientDescent()), generator(seed, batch_size)
    taken, delta = 0, float("inf")
    while delta > TOL and taken < most:
        index = torch.randint(len(samples), (batch_size,), generator=source)
        x, y = samples.features[index], samples.targets[index]
        old = float(stepper.step(x, y, RATE))
        with torch.no_grad():
            delta = abs(old - float(loss(model(x), y)))
        taken += 1
    with torch.no_grad():
        return Stopped(taken, float(loss(model(samples.features), samples.targets)))


def by_epochs() -> Stopped:
    samples, model = three_classes(), LinearSVM(2, classes=3).double()
    history = descend(model, MulticlassHinge(), samples, rate=RATE, epochs=2000, tolerance=TOL)
    return Stopped(history.steps, float(history.last("loss") or 0.0))


def median(values: list[float]) -> float:
    return float(numbers(values).median())


def stop_tables() -> list[Table]:
    cells: list[list[Any]] = []
    for size in (1, 8, 32, 128):
        found = [run_naive_rule(size, seed) for seed in range(20)]
        losses = [one.loss for one in found]
        cells.append([size, median([one.steps for one in found]), median(losses), max(losses)])
    right = by_epochs()
    cells.append(["whole training part", right.steps, right.loss, None])
    columns = ("batch", "steps until it stops (median)", "loss then (median)", "largest")
    return [Table("Multiclass hinge on 300 points, rate 0.02, tol 1e-3, 20 seeds", columns, cells)]


def stop_rows() -> list[Row]:
    found = [run_naive_rule(1, seed) for seed in range(20)]
    right = by_epochs()
    scores, y = numbers([[1.3, 4.9, 2.0]]), torch.tensor([1])
    car = float(MulticlassHinge().gradient(scores, y).abs().max())
    return [
        Row(
            "001.e",
            {"steps": right.steps, "loss": right.loss, "gradient_of_the_car": car},
            "wrong",
            "while delta > tol, delta = |old − loss(batch)|",
            "It compares the same mini-batch before and after: without penalty any batch without loss ends training; "
            "with batch 1 the car's sample does.",
            {"steps": median([one.steps for one in found]), "loss": median([one.loss for one in found])},
            note="Measured without a penalty on 300 points of three classes, batch 1, medians of 20 seeds; computed is "
            "full-batch descent, stopped by the loss of all samples.",
        )
    ]  # fmt: skip


def stop_picture() -> object:
    from ..figures.choices import stops

    samples, model = three_classes(), LinearSVM(2, classes=3).double()
    long = descend(model, MulticlassHinge(), samples, rate=RATE, epochs=2000)
    found = {
        f"naive rule, batches of {size}": [
            (one.steps, one.loss) for one in (run_naive_rule(size, seed) for seed in range(20))
        ]
        for size in (1, 8, 128)
    }
    right = by_epochs()
    return stops(
        long.evaluated("loss")[1], found, (right.steps, right.loss),
        title="Where the naive rule stops, 20 seeds each: with single samples\n"
        "at the first that costs nothing, whatever the others cost",
        name="full batches, going on", should="full batches, stopped by the loss of all",
    )  # fmt: skip


# ---- the margin -----------------------------------------------------------------------------------------------------

MARGIN = """\
A hyperplane w·x + b = 0, one b for all samples. The sign of w·x + b decides; the lines w·x + b = ±1 are the margin, of
width 2/‖w‖. Minimise   λ ‖w‖² + 1/N Σ max(0, Δ − y_i (w·x_i + b)).   Samples on or inside the margin are the support
vectors: only they pull. With (w, b) = Δ (w', b') the objective is Δ [λΔ ‖w'‖² + 1/N Σ max(0, 1 − y s')]: so Δ with λ
has the boundary of 1 with λΔ, and Δ alone decides nothing."""


def two_clouds() -> Samples:
    made = toys.blobs(80, seed=4, noise=1.6, classes=2)
    assert made.targets is not None
    return Samples(made.features, (2 * made.targets - 1).double())


@cache
def svm(strength: float, margin: float = 1.0, epochs: int = 4000) -> LinearSVM:
    """Returns an SVM trained by full batches to convergence, at a rate that falls as 1/t."""
    model = LinearSVM(2).double()
    # weights are Δ times as large, and so is the way to go
    descend(model, Hinge(margin), two_clouds(), rate=0.5 * margin, epochs=epochs, evaluate=0, penalty=L2(strength),
            schedule=InverseTimeDecay(0.02))  # fmt: skip
    return model


def geometry(model: LinearSVM, margin: float = 1.0) -> dict[str, float]:
    samples = two_clouds()
    assert samples.targets is not None
    assert model.bias is not None
    with torch.no_grad():
        norm = float(model.weight.norm())
        inside = samples.targets * model(samples.features) <= margin * 1.02  # descent on a kink ends near it
        angle = float(torch.atan2(model.weight[0, 1], model.weight[0, 0]))
        return {"width": 2 * margin / norm, "support": int(inside.sum()), "angle": angle,
                "offset": float(model.bias) / norm}  # fmt: skip


def scale_to_margin(model: LinearSVM, margin: float) -> LinearSVM:
    """Returns the same boundary with w and b divided by Δ, so that the margin is 1."""
    made = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.div_(margin)
    return made


def margin_rows() -> list[Row]:
    scores = numbers([-5.0, 1.0, 7.0])
    return [
        Row(
            "001.g",
            {"labels": torch.sign(scores).tolist()},
            "wrong",
            "wᵀx_i + b_i = 0, and f(x) = sig(wᵀx + b_i = 0)",
            "A hyperplane has one b, without an index, and the sign is taken of w·x + b, not of an equation.",
            {"labels": torch.sign((scores == 0).double()).tolist()},
            note="Of the scores −5, 1, 7: the equation is false for each, and its sign gives no −1.",
        )
    ]


def margin_tables() -> list[Table]:
    cells = []
    for strength, margin in ((0.01, 1.0), (0.1, 1.0), (1.0, 1.0), (0.001, 100.0)):
        found = geometry(svm(strength, margin), margin)
        cells.append([strength, margin, strength * margin, *(round(v, 3) for v in found.values())])
    columns = ("λ", "Δ", "λ·Δ", "width of the margin", "support vectors", "angle of w", "distance of the line")
    return [Table("Strength against width; only Δ against λ matters", columns, cells)]


def margin_picture() -> object:
    from ..figures.lessons import margins

    cases = ((0.01, 1.0), (0.1, 1.0), (0.001, 100.0))
    return margins({f"λ = {s:g}, Δ = {m:g}": scale_to_margin(svm(s, m), m) for s, m in cases}, two_clouds())


LESSONS = (
    Lesson("three-descents", "003",
           "What do full, mini and single batches do in an epoch, and what else are they called?",
           DERIVATION, rows, tables, {"three_descents": picture}),
    Lesson("stop-rule", "001", "Why does the naive stop rule stop?", STOP, stop_rows, stop_tables,
           {"stop_rule": stop_picture}),
    Lesson("svm-margin", "001", "What is the margin, which samples determine it, and does Δ = 1 or 100 matter?",
           MARGIN, margin_rows, margin_tables, {"svm_margin": margin_picture}),
)  # fmt: skip
