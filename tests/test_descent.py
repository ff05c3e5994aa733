"""The loops and the lock-step comparison: batches, the lectures' tables, torch.optim, endings, resuming, refusals."""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edunn import data as edunn_data
from edunn.data import Samples
from edunn.descent import ByHand, Descent, Loop, Progress, descend
from edunn.descent.lockstep import lockstep
from edunn.errors import ConfigError, DataError, EdunnError, GradientError, LabelError, ShapeError
from edunn.history import History
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Loss,
    MulticlassHinge,
    Perceptron,
    SquaredError,
    ZeroOne,
)
from edunn.models import LinearModel, LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier
from edunn.penalties import L1, L2, ElasticNet, MaxNorm, Penalty
from edunn.updates import (
    AdaGrad,
    Adam,
    AdamW,
    CosineDecay,
    GradientDescent,
    InverseTimeDecay,
    Momentum,
    Nesterov,
    RMSprop,
    Rule,
    Schedule,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def three_classes(samples: int = 50, seed: int = 1) -> Samples:
    y = torch.arange(samples) % 3
    return Samples(randn(samples, 4, seed=seed) + 2 * torch.nn.functional.one_hot(y, 4), y)


def softmax(**options: Any) -> SoftmaxClassifier:
    return SoftmaxClassifier(4, 3, dtype=torch.float64, **options)


def train(
    model: LinearModel | None = None, loss: Loss | None = None, data: Samples | None = None, **options: Any
) -> History:
    """A run on three classes, with what a test does not care about filled in."""
    options = {"rate": 0.1, "epochs": 5} | options
    return descend(model or softmax(), loss or CrossEntropy(), three_classes() if data is None else data, **options)


def weights(model: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def assert_same_bits(first: torch.nn.Module, second: torch.nn.Module) -> None:
    for one, other in zip(weights(first), weights(second), strict=True):
        assert torch.equal(one, other)


# --- batches -----------------------------------------------------------------------------------------------------


class Watcher(LinearRegression):
    """Notes the batches that it trains on: the only feature of a sample is its number."""

    def __init__(self) -> None:
        super().__init__(1, dtype=torch.float64)
        self.batches: list[list[int]] = []

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        if self.training:  # the check before the first step is not
            self.batches.append(features[:, 0].int().tolist())
        return super().gradients(features, upstream)


def numbered(samples: int) -> Samples:
    x = torch.arange(samples, dtype=torch.float64)
    return Samples(x.unsqueeze(1), x)


def watched(samples: int, **options: Any) -> list[list[int]]:
    model = Watcher()
    descend(model, SquaredError(), numbered(samples), rate=1e-9, **options)
    return model.batches


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        pytest.param(10, None, [10], id="full"),
        pytest.param(10, 10, [10], id="as large as the set"),
        pytest.param(10, 64, [10], id="larger than the set"),
        pytest.param(10, 5, [5, 5], id="mini, divides"),
        pytest.param(10, 4, [4, 4, 2], id="mini, a partial one last"),
        pytest.param(10, 9, [9, 1], id="mini, one left over"),
        pytest.param(4, 1, [1, 1, 1, 1], id="single"),
        pytest.param(1, None, [1], id="one sample"),
    ],
)
def test_an_epoch_meets_every_sample_once(samples: int, batch_size: int | None, sizes: list[int]) -> None:
    batches = watched(samples, batch_size=batch_size, epochs=3)
    per_epoch = len(sizes)
    assert [len(b) for b in batches] == 3 * sizes
    for epoch in range(3):
        met = [i for b in batches[epoch * per_epoch : (epoch + 1) * per_epoch] for i in b]
        assert sorted(met) == list(range(samples))


def test_the_order_is_new_each_epoch_and_depends_on_the_seed_alone() -> None:
    first = watched(30, batch_size=4, epochs=3, seed=1)
    assert watched(30, batch_size=4, epochs=3, seed=1) == first
    assert watched(30, batch_size=4, epochs=3, seed=2) != first
    epochs = [[i for b in first[e * 8 : e * 8 + 8] for i in b] for e in range(3)]
    assert len({tuple(e) for e in epochs}) == 3
    assert epochs[0] != list(range(30))  # not fixed slices either
    # the order does not depend on the batch size: the same permutation, cut elsewhere
    assert [i for b in watched(30, batch_size=7, epochs=1, seed=1) for i in b] == epochs[0]


def test_a_full_batch_is_never_shuffled() -> None:
    assert watched(10, epochs=2) == [list(range(10))] * 2


def test_the_partial_batch_is_divided_by_its_own_size() -> None:
    """Replayed by numpy: w ← w − η·(2/n)Σ(w x − y)x over each batch, n its own size."""
    x, y = randn(10, seed=3), randn(10, seed=4)
    model = Watcher()
    model.bias = None
    descend(model, SquaredError(), Samples(x.unsqueeze(1), y), rate=0.1, batch_size=4, epochs=2, seed=7)
    run = Descent(Watcher(), SquaredError(), numbered(10), rate=0.1, batch_size=4, seed=7)
    w = 0.0
    for epoch in range(2):
        for features, _ in run.batches(epoch):
            rows = features[:, 0].int().numpy()
            bx, by = x.numpy()[rows], y.numpy()[rows]
            w -= 0.1 * 2 / len(rows) * np.sum((w * bx - by) * bx)
    assert model.weight.item() == pytest.approx(w, rel=1e-13)


@pytest.mark.parametrize("limits", [{}, {"snapshots": 5}, {"steps": 9}, {"steps": 9, "snapshots": 2}], ids=str)
@pytest.mark.parametrize("block", [1, 3, 16])
@pytest.mark.parametrize("batch_size", [None, 1, 4, 5, 22])
def test_blocks_are_the_batches_of_the_epoch(batch_size: int | None, block: int, limits: dict[str, int]) -> None:
    """Whatever a stepper takes at once: the same batches in their order, and a block ends where a snapshot is due."""
    run = Descent(Watcher(), SquaredError(), numbered(23), 1e-9, batch_size, seed=3, **limits)  # type: ignore[arg-type]
    loop = Loop(run, "hand")
    loop.stepper.block = block
    expected = [features[:, 0].tolist() for features, _ in run.batches(0)][: limits.get("steps")]
    found, ends = [], []
    for features, targets in loop.blocks():
        assert torch.equal(features[..., 0], targets)
        found += features[..., 0].tolist()
        ends.append(len(found))
    assert found == expected
    assert set(range(5, len(found), 5)) <= set(ends) or limits.get("snapshots") != 5


@pytest.mark.parametrize(
    ("options", "steps", "epochs"),
    [
        ({"epochs": 3, "batch_size": 20}, 9, 3),  # 50 samples: batches of 20, 20, 10
        ({"steps": 7, "batch_size": 20, "epochs": None}, 7, 3),
        ({"steps": 6, "batch_size": 20, "epochs": None}, 6, 2),
        ({"steps": 7, "epochs": 2, "batch_size": 20}, 6, 2),
        ({"steps": 2, "epochs": 9, "batch_size": 20}, 2, 1),
        ({"steps": 250, "epochs": None}, 250, 250),
        ({"epochs": None}, 100, 100),
    ],
    ids=["epochs", "steps", "whole epochs of steps", "epochs first", "steps first", "steps, full", "neither"],
)
def test_where_it_stops(options: dict[str, Any], steps: int, epochs: int) -> None:
    history = train(evaluate=0, **options)
    assert (history.steps, history.epochs, history.status) == (steps, epochs, "finished")
    counted = options.get("steps") == steps
    assert history.message == (f"all {steps} steps were run" if counted else f"all {epochs} epochs were run")
    assert history["epoch"] == list(range(1, epochs + 1))
    assert history["step"][-1] == steps


# --- the lectures ------------------------------------------------------------------------------------------------


def lecture_line() -> Samples:
    """The lecture's points, recovered from its table: seed 1337, x = linspace(0, 10, 100), y = 2x + 3.5 + noise."""
    x = np.linspace(0, 10, 100)
    y = 2 * x + 3.5 + np.random.RandomState(1337).normal(0, 1, 100)
    return Samples(torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y))


def lecture_model(m: float = 0.33, b: float = 0.48) -> LinearRegression:
    model = LinearRegression(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(m)
        assert model.bias is not None
        model.bias.fill_(b)
    return model


@pytest.mark.parametrize("by", ["hand", "autograd"])
@pytest.mark.parametrize(
    ("rate", "epochs", "m", "b", "mse"),
    [
        # printed in the lecture for its experiments 0 to 3, recomputed in float64
        pytest.param(0.01, 1000, 2.003222509810484, 3.3248920388471914, 1.0241824830839787, id="e0"),
        pytest.param(0.01, 200, 2.142493733590308, 2.3986413449255664, 1.250220311528887, id="e1"),
        pytest.param(0.001, 1000, 2.234267465666658, 1.7882820710393608, 1.6372142601852175, id="e2"),
        pytest.param(0.01, 2000, 2.000591763571137, 3.3423883346618903, 1.0241037070031567, id="e3"),
    ],
)
def test_lecture_table(rate: float, epochs: int, m: float, b: float, mse: float, by: str) -> None:
    model = lecture_model()
    history = descend(model, SquaredError(), lecture_line(), rate=rate, epochs=epochs, evaluate=0, by=by)
    assert model.bias is not None
    # a thousand steps in another order of summation
    assert model.weight.item() == pytest.approx(m, rel=1e-12)
    assert model.bias.item() == pytest.approx(b, rel=1e-12)
    assert history.last("total") == pytest.approx(mse, rel=1e-12)


def test_lecture_single_sample_steps() -> None:
    # θ = (b, m): (0, 0) on the sample (5, 5) gives (0.1, 0.5); then (9, 17) gives (0.348, 2.732)
    model = lecture_model(0, 0)
    assert model.bias is not None
    for x, y, m, b in [(5.0, 5.0, 0.5, 0.1), (9.0, 17.0, 2.732, 0.348)]:
        one = Samples(torch.tensor([[x]]).double(), torch.tensor([y]).double())
        descend(model, SquaredError(), one, rate=0.01, epochs=1)
        assert model.weight.item() == pytest.approx(m, rel=1e-13)
        assert model.bias.item() == pytest.approx(b, rel=1e-13)


def test_lecture_batch_steps() -> None:
    # x = 1, 2, 3 with the undisplayed digits of y; rate 0.1; losses before the first and second step
    y = torch.tensor([0.9886616166569097, 3.0038431919339965, 5.014965537763705], dtype=torch.float64)
    model = lecture_model(0, 0)
    data = Samples(torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64), y)
    history = descend(model, SquaredError(), data, rate=0.1, epochs=2, snapshots=1)
    assert history["running"] == pytest.approx([11.71680168631216, 0.48529763588078056], rel=1e-12)
    assert history["loss"][0] == pytest.approx(0.48529763588078056, rel=1e-12)
    path = [(float(w["weight"]), float(w["bias"])) for _, w in history.snapshots]
    for found, expected in zip(path, [(0, 0), (1.46941631, 0.60049802), (1.32717819, 0.49312992)], strict=True):
        assert found == pytest.approx(expected, abs=5e-9)  # printed with eight decimals


def test_lecture_divergence_is_named_with_the_largest_stable_rate() -> None:
    """Rate 0.1 where 0.0292 is the limit: the lecture's run overflows in epoch 199. A result, not an exception."""
    model = lecture_model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = descend(model, SquaredError(), lecture_line(), rate=0.1, epochs=1000)
    assert history.status == "diverged"
    assert history.stable_rate == pytest.approx(0.02919411, rel=2e-7)
    # the lecture's table: the first infinite mean squared error is the one after 199 or 200 updates
    assert history.epochs in (199, 200)
    assert math.isinf(history["loss"][-1])
    assert all(math.isfinite(v) for v in history["loss"][:-1])
    assert f"no longer finite after {history.steps} steps (epoch {history.epochs}) at rate 0.1" in history.message
    assert "the largest stable rate is 0.02919 (2/λmax" in history.message


def test_divergence_early_by_the_fifth_experiment() -> None:
    # the same run, stopped after 100 epochs: not nan yet, but 1e155
    model = lecture_model()
    history = descend(model, SquaredError(), lecture_line(), rate=0.1, epochs=100, evaluate=0)
    assert history.status == "finished"
    # an error in the first step grows by 5.85 a step like everything else: the relative error stays
    assert model.weight.item() == pytest.approx(-1.0801217418175042e77, rel=1e-11)
    assert history.last("total") == pytest.approx(4.0865746532122445e155, rel=1e-11)


@pytest.mark.parametrize(("rate", "status"), [(0.029, "finished"), (0.03, "diverged")])
def test_the_stable_rate_divides_what_converges_from_what_does_not(rate: float, status: str) -> None:
    history = descend(lecture_model(), SquaredError(), lecture_line(), rate=rate, epochs=8000, evaluate=0)
    assert history.status == status
    if status == "finished":
        assert history.last("loss") == pytest.approx(1.024103703253268, rel=1e-12)  # least squares


# --- beside torch.optim and autograd -----------------------------------------------------------------------------

RULES: dict[str, tuple[Callable[[], Rule], float, float]] = {
    # rule, rate, and what 500 steps may differ by: rules that divide by √G + ε magnify rounding noise. RMSprop's rate
    # is small: once a gradient has come to nothing G falls, and g/√G jumps to and fro, seeded by rounding
    "gradient descent": (GradientDescent, 0.5, 1e-12),
    "momentum": (Momentum, 0.1, 1e-12),
    "nesterov": (Nesterov, 0.1, 1e-12),
    "adagrad": (AdaGrad, 0.1, 1e-10),
    "rmsprop": (RMSprop, 0.001, 1e-10),
    "adam": (Adam, 0.01, 1e-10),
    "adamw": (AdamW, 0.01, 1e-10),
}


@pytest.mark.parametrize("batch_size", [None, 16, 1], ids=["full", "mini", "single"])
@pytest.mark.parametrize("name", RULES)
def test_five_hundred_steps_in_lock_step(name: str, batch_size: int | None) -> None:
    make, rate, tolerance = RULES[name]
    model = softmax(scale=0.1)
    found = lockstep(
        model,
        CrossEntropy(),
        three_classes(),
        rate=rate,
        steps=500,
        batch_size=batch_size,
        rule=make(),
        tolerance=tolerance,
    )
    assert found.steps == 500
    assert found.passed, str(found)
    assert found.largest <= tolerance
    assert "500 steps, the same to" in str(found)
    assert_same_bits(model, softmax(scale=0.1))  # the caller's model is left as it was


TASKS: dict[str, tuple[Callable[[], LinearModel], Loss, Callable[[], Samples]]] = {
    "regression": (
        lambda: LinearRegression(4, dtype=torch.float64),
        SquaredError(),
        lambda: Samples(randn(50, 4), randn(50, seed=9)),
    ),
    "logistic": (
        lambda: LogisticRegression(4, dtype=torch.float64),
        BinaryCrossEntropy(),
        lambda: Samples(randn(50, 4), torch.arange(50) % 2),
    ),
    "svm": (
        lambda: LinearSVM(4, dtype=torch.float64),
        Hinge(),
        lambda: Samples(randn(50, 4), (torch.arange(50) % 2) * 2 - 1),
    ),
    "svm with a margin of 0": (
        lambda: LinearSVM(4, dtype=torch.float64),
        Hinge(margin=0.0),
        lambda: Samples(randn(50, 4), (torch.arange(50) % 2) * 2 - 1),
    ),
    "perceptron": (
        lambda: LinearSVM(4, dtype=torch.float64),
        Perceptron(),
        lambda: Samples(randn(50, 4), (torch.arange(50) % 2) * 2 - 1),
    ),
    "multiclass svm": (lambda: LinearSVM(4, 3, dtype=torch.float64), MulticlassHinge(), three_classes),
    "softmax": (softmax, CrossEntropy(0.1), three_classes),
}


@pytest.mark.parametrize("name", TASKS)
def test_every_model_from_weights_of_zero_in_lock_step(name: str) -> None:
    """At zero weights all scores are 0: the hand path and autograd must take the same side of every kink."""
    make, loss, data = TASKS[name]
    found = lockstep(make(), loss, data(), rate=0.05, steps=100, batch_size=16, penalty=L2(0.01), tolerance=1e-12)
    assert found.passed, str(found)


PENALTIES: dict[str, Penalty] = {
    "l2": L2(0.1),
    "l2, half, bias": L2(0.1, half=True, bias=True),
    "l1": L1(0.01),
    "l1, proximal": L1(0.1, proximal=True),
    "elastic net": ElasticNet(0.05, beta=2.0),
    "elastic net, proximal, bias": ElasticNet(0.05, beta=2.0, proximal=True, bias=True),
    "max-norm": MaxNorm(0.5),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_in_lock_step(name: str) -> None:
    found = lockstep(
        softmax(scale=1.0),
        CrossEntropy(),
        three_classes(),
        rate=0.1,
        steps=100,
        batch_size=16,
        penalty=PENALTIES[name],
        schedule=InverseTimeDecay(0.1),
        tolerance=1e-12,
    )
    assert found.passed, str(found)


class ForgetsTheBias(SoftmaxClassifier):
    """A planted mistake: from its third step on, half of the bias gradient is lost."""

    calls = 0

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        right = super().gradients(features, upstream)
        return right | {"bias": right["bias"] / 2} if self.calls >= 3 else right


def test_lock_step_names_the_first_step_and_parameter_that_differ() -> None:
    model = ForgetsTheBias(4, 3, dtype=torch.float64)
    found = lockstep(model, CrossEntropy(), three_classes(), rate=0.1, steps=10, batch_size=16)
    assert not found.passed
    assert found.first == (3, "bias")
    assert found.steps == 10
    assert found.largest > 1e-2
    assert str(found).startswith("differ from step 3 on, first in bias by more than 1e-10; largest")
    assert model.calls == 0


def test_lock_step_notices_a_sign() -> None:
    class Ascends(SoftmaxClassifier):
        def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
            return {name: -g for name, g in super().gradients(features, upstream).items()}

    found = lockstep(Ascends(4, 3, dtype=torch.float64), CrossEntropy(), three_classes(), rate=0.1, steps=3)
    assert found.first == (1, "weight")


@pytest.mark.parametrize("name", RULES)
def test_by_autograd_is_the_same_trajectory(name: str) -> None:
    make, rate, tolerance = RULES[name]
    options: dict[str, Any] = {"rate": rate, "batch_size": 16, "epochs": 20, "snapshots": 1, "penalty": L2(0.01)}
    by_hand = train(rule=make(), **options)
    by_autograd = train(rule=make(), by="autograd", **options)
    assert len(by_hand.snapshots) == 81  # 20 epochs of 4 batches, and the start
    for (step, ours), (other, theirs) in zip(by_hand.snapshots, by_autograd.snapshots, strict=True):
        assert step == other
        for key in ours:
            torch.testing.assert_close(ours[key], theirs[key], rtol=tolerance, atol=tolerance)
    for column in ("running", "loss", "penalty", "total", "accuracy"):
        assert by_hand[column] == pytest.approx(by_autograd[column], rel=1e-9)


def test_against_a_plain_torch_loop() -> None:
    """The loop that everybody writes, with nothing of ours in it but the order of the batches."""
    data, run_model = three_classes(), softmax()
    train(run_model, data=data, rate=0.2, epochs=4, batch_size=16, penalty=L2(0.05), rule=Momentum(0.9), seed=3)
    from edunn.runtime.devices import permutation

    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    groups = [{"params": [layer.weight], "weight_decay": 0.1}, {"params": [layer.bias]}]
    optimiser = torch.optim.SGD(groups, lr=0.2, momentum=0.9)
    assert data.targets is not None
    for epoch in range(4):
        for rows in permutation(50, 3, epoch).split(16):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(data.features[rows]), data.targets[rows]).backward()
            optimiser.step()
    for ours, theirs in zip(run_model.parameters(), layer.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=1e-12, atol=1e-14)


# --- what is recorded --------------------------------------------------------------------------------------------


def test_rows_hold_the_loss_of_the_whole_parts_after_the_epoch() -> None:
    data, validation, model, penalty = three_classes(), three_classes(20, seed=8), softmax(), L2(0.1)
    history = train(model, data=data, validation=validation, penalty=penalty, batch_size=16, epochs=4, rate=0.3)
    assert history.columns == [
        "epoch", "step", "rate", "running", "loss", "penalty", "total", "accuracy", "validation_loss",
        "validation_accuracy",
    ]  # fmt: skip
    final = history.rows[-1]
    assert data.targets is not None
    assert validation.targets is not None
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(data.features), data.targets)
        expected_validation = torch.nn.functional.cross_entropy(model(validation.features), validation.targets)
    assert final["loss"] == pytest.approx(float(expected), rel=1e-13)
    assert final["penalty"] == pytest.approx(0.1 * (model.weight**2).sum().item(), rel=1e-13)
    assert final["total"] == final["loss"] + final["penalty"]
    assert final["accuracy"] == pytest.approx(float((model.predict(data.features) == data.targets).double().mean()))
    assert final["validation_loss"] == pytest.approx(float(expected_validation), rel=1e-13)
    assert history["step"] == [4, 8, 12, 16]


def test_running_is_the_mean_of_the_batch_losses_as_they_were_met() -> None:
    """With a rate that moves nothing it is the loss of the whole set, the partial batch counted by its size."""
    history = train(softmax(scale=1.0), rate=1e-300, batch_size=16, epochs=2, penalty=L2(0.1))
    assert history["running"] == pytest.approx(history["total"], rel=1e-14)
    assert train(rate=0.5, epochs=1)["running"] == pytest.approx([math.log(3)], rel=1e-14)  # before the update


@pytest.mark.parametrize(
    ("evaluate", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (3, [3, 5]), (0, [5]), (9, [5])]
)
def test_evaluated_every_so_often_and_at_the_end(evaluate: int, epochs: list[int]) -> None:
    history = train(evaluate=evaluate)
    assert history.evaluated("total")[0] == epochs
    assert history.last("loss") == train(evaluate=1).last("loss")


def test_rates_follow_the_schedule() -> None:
    history = train(rate=0.2, epochs=4, schedule=CosineDecay())
    expected = [0.2 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)]
    assert history["rate"] == pytest.approx(expected, rel=1e-14)
    by_steps = train(
        rate=0.2, epochs=None, steps=7, batch_size=20, schedule=CosineDecay()
    )  # 3 epochs, the last cut short
    expected = [0.2 * (1 + math.cos(math.pi * e / 3)) / 2 for e in range(3)]
    assert by_steps["rate"] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (InverseTimeDecay(1.0), lambda epoch: 1 / (1 + epoch)),
        (CosineDecay(0.1), lambda epoch: 0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 2)) / 2),  # of 2 epochs
    ],
    ids=["inverse time", "cosine"],
)
def test_the_schedule_acts_within_an_epoch(schedule: Schedule, factor: Callable[[float], float]) -> None:
    """Single samples at fractional epochs, replayed with the factor on paper."""
    model = LinearRegression(1, bias=False, dtype=torch.float64)
    data = Samples(torch.ones(4, 1, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    descend(model, SquaredError(), data, rate=0.1, batch_size=1, epochs=2, schedule=schedule)
    w = 0.0
    for step in range(8):
        w -= 0.1 * factor(step / 4) * 2 * (w - 1)
    assert model.weight.item() == pytest.approx(w, rel=1e-14)


def test_snapshots_keep_the_start_and_every_so_many_steps() -> None:
    model = softmax(scale=0.5)
    first = weights(model)
    history = train(model, batch_size=20, epochs=3, snapshots=4)  # 9 steps
    assert [step for step, _ in history.snapshots] == [0, 4, 8]
    assert torch.equal(history.snapshots[0][1]["weight"], first[0])
    assert not torch.equal(history.snapshots[1][1]["weight"], history.snapshots[2][1]["weight"])
    assert not any(p.requires_grad for _, w in history.snapshots for p in w.values())
    assert train().snapshots == ()


def test_a_long_part_is_evaluated_in_chunks() -> None:
    from edunn.descent import evaluate

    model, data = softmax(scale=1.0), three_classes(50)
    assert evaluate(model, CrossEntropy(), data, chunk=7) == pytest.approx(
        evaluate(model, CrossEntropy(), data), rel=1e-14
    )


# --- endings -----------------------------------------------------------------------------------------------------


def test_tolerance_looks_at_the_whole_training_set() -> None:
    history = train(rate=0.5, epochs=10_000, penalty=L2(0.1), tolerance=1e-6, batch_size=None)
    assert history.status == "converged"
    totals = history["total"]
    changes = [abs(b - a) for a, b in itertools.pairwise(totals)]
    assert changes[-1] < 1e-6
    assert all(change >= 1e-6 for change in changes[:-1])
    assert "less than 1e-06" in history.message


def test_a_batch_without_errors_does_not_end_the_run() -> None:
    """One of the lectures compares the same mini-batch before and after: any batch without loss would end training."""
    data = Samples(torch.tensor([[5.0], [5.0], [-0.1]]).double(), torch.tensor([1, 1, -1]))
    model = LinearSVM(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(1.0)  # the first two are right by the margin
    history = descend(model, Hinge(), data, rate=0.01, batch_size=1, epochs=20, tolerance=1e-9)
    assert history.epochs == 20


def test_tolerance_compares_evaluations() -> None:
    history = train(rate=0.5, epochs=10_000, penalty=L2(0.1), tolerance=1e-6, evaluate=10)
    assert history.status == "converged"
    assert history.epochs % 10 == 0
    _, totals = history.evaluated("total")
    assert abs(totals[-1] - totals[-2]) < 1e-6 <= abs(totals[-2] - totals[-3])


def overfitting() -> tuple[Samples, Samples]:
    """Few samples with random labels: the validation loss soon rises."""
    y = torch.randint(0, 3, (12,), generator=torch.Generator().manual_seed(0))
    return Samples(randn(12, 4), y), Samples(randn(40, 4, seed=5), torch.arange(40) % 3)


@pytest.mark.parametrize("evaluate", [1, 3])
def test_patience_puts_the_best_weights_back(evaluate: int) -> None:
    data, validation = overfitting()
    model = softmax()
    history = train(
        model, data=data, validation=validation, rate=0.5, epochs=500, patience=4, evaluate=evaluate, snapshots=1
    )
    assert history.status == "stopped"
    epochs, losses = history.evaluated("validation_loss")
    best = losses.index(min(losses))
    assert history.best_epoch == epochs[best]
    assert len(losses) - 1 - best == 4  # exactly four evaluations without improvement
    assert best > 0 or evaluate > 1
    kept = dict(history.snapshots)[epochs[best]]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.detach(), kept[name])
    assert f"the weights of epoch {epochs[best]} were put back" in history.message


def test_the_last_update_may_be_the_one_too_many() -> None:
    """Evaluated only at the end, a loss that the last update made infinite is no finished run."""
    last = descend(lecture_model(), SquaredError(), lecture_line(), rate=0.1, epochs=1000).epochs
    history = descend(lecture_model(), SquaredError(), lecture_line(), rate=0.1, epochs=last, evaluate=0)
    assert history.status == "diverged"
    assert history.stable_rate is not None
    assert f"after {last} steps" in history.message


def test_divergence_without_a_known_rate() -> None:
    """A loss that is no quadratic has no largest stable rate: the message says what to try."""
    data = Samples(1e200 * randn(20, 4), randn(20, seed=2))
    history = descend(LinearRegression(4, dtype=torch.float64), AbsoluteError(), data, rate=1.0, epochs=50)
    assert history.status == "diverged"
    assert history.stable_rate is None
    # weights of 1e200 after the first step, scores of 1e400
    assert history.message == "the loss was no longer finite after 1 step (epoch 1) at rate 1; try rate 0.1"


def test_divergence_within_an_epoch_names_its_step() -> None:
    history = descend(lecture_model(), SquaredError(), lecture_line(), rate=1.0, epochs=500, batch_size=10, evaluate=0)
    assert history.status == "diverged"
    replay = lecture_model()
    met = descend(replay, SquaredError(), lecture_line(), rate=1.0, epochs=500, batch_size=10, snapshots=1).snapshots
    step = int(history.message.split("after ")[1].split()[0])
    run = Descent(replay, SquaredError(), lecture_line(), rate=1.0, batch_size=10)
    batches = [batch for epoch in range(step // 10 + 1) for batch in run.batches(epoch)]
    for at, finite in ((step - 1, True), (step, False)):
        model = lecture_model(float(met[at][1]["weight"]), float(met[at][1]["bias"]))
        with torch.no_grad():
            value = SquaredError()(model(batches[at][0]), batches[at][1])
        assert bool(value.isfinite()) == finite


def interrupt_after(epochs: int) -> Callable[[Progress], None]:
    def after_epoch(progress: Progress) -> None:
        if progress.epoch == epochs:
            raise KeyboardInterrupt

    return after_epoch


def test_an_interruption_is_a_result() -> None:
    model, other = softmax(), softmax()
    history = train(model, epochs=10, batch_size=16, after_epoch=interrupt_after(3))
    assert (history.status, history.epochs) == ("interrupted", 3)
    assert history.message == "in epoch 4, after 3 whole epochs"
    train(other, epochs=3, batch_size=16)
    assert_same_bits(model, other)
    assert history.last("total") is not None


# --- going on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("batch_size", [None, 16], ids=["full", "mini"])
def test_resumed_mid_way_ends_in_the_same_bits(name: str, batch_size: int | None) -> None:
    make, rate, _ = RULES[name]
    data, validation = overfitting()
    options: dict[str, Any] = {
        "rate": rate, "epochs": 12, "batch_size": None if batch_size is None else 5, "schedule": CosineDecay(0.1),
        "penalty": L2(0.01), "validation": validation, "patience": 30, "evaluate": 2, "snapshots": 3, "data": data,
        "seed": 4,
    }  # fmt: skip
    whole, rule = softmax(), make()
    expected = train(whole, rule=rule, **options)

    kept: dict[str, Any] = {}

    def checkpoint(progress: Progress) -> None:
        if progress.epoch == 5:
            kept.update(copy.deepcopy({"progress": progress, "model": half, "rule": half_rule}))

    half, half_rule = softmax(), make()
    train(half, rule=half_rule, after_epoch=checkpoint, **options)
    resumed = train(kept["model"], rule=kept["rule"], progress=kept["progress"], **options)
    assert_same_bits(kept["model"], whole)
    assert resumed.rows == expected.rows
    assert resumed.steps == expected.steps
    assert resumed.best_epoch == expected.best_epoch
    assert [step for step, _ in resumed.snapshots] == [step for step, _ in expected.snapshots]
    assert kept["rule"].steps == rule.steps


@pytest.mark.parametrize(
    "options",
    [{"epochs": 3}, {"steps": 7, "epochs": 50}, {"epochs": 900, "tolerance": 1e-3}],
    ids=["epochs", "steps", "tolerance"],
)
def test_a_finished_run_that_is_resumed_does_not_move(options: dict[str, Any]) -> None:
    model, progress = softmax(), Progress()
    first = train(model, progress=progress, batch_size=16, **options)
    before = weights(model)
    again = train(model, progress=progress, batch_size=16, **options)
    for old, new in zip(before, weights(model), strict=True):
        assert torch.equal(old, new)
    assert (again.status, again.rows) == (first.status, first.rows)


def test_a_rule_used_before_starts_anew() -> None:
    """The velocity of another run, of another model even, is no business of this one."""
    rule, fresh, used = Adam(), softmax(), softmax()
    descend(LinearRegression(1, dtype=torch.float64), SquaredError(), lecture_line(), rate=0.1, epochs=2, rule=rule)
    train(used, rule=rule)
    train(fresh, rule=Adam())
    assert_same_bits(used, fresh)


def test_a_rule_used_before_starts_anew_in_lock_step() -> None:
    rule = Momentum()
    train(rule=rule)
    kept = copy.deepcopy(rule.state)
    found = lockstep(softmax(), CrossEntropy(), three_classes(), rate=0.1, steps=5, rule=rule, tolerance=1e-13)
    assert found.passed, str(found)
    assert rule.steps == 5  # and the caller's is left as it was
    assert torch.equal(rule.state["weight"]["velocity"], kept["weight"]["velocity"])


def test_a_callback_may_change_the_strength() -> None:
    """Off after two epochs: the same as two runs, one with the penalty and one without."""
    penalty, model, other = L2(0.5), softmax(scale=1.0), softmax(scale=1.0)

    def switch_off(progress: Progress) -> None:
        if progress.epoch == 2:
            penalty.strength = 0.0

    history = train(model, penalty=penalty, epochs=4, after_epoch=switch_off)
    assert [value > 0 for value in history["penalty"]] == [True, True, False, False]
    train(other, penalty=L2(0.5), epochs=2)
    train(other, epochs=2)
    assert_same_bits(model, other)


def test_proximal_weights_are_zero_and_max_norm_holds() -> None:
    sparse, held = softmax(), softmax()
    train(sparse, penalty=L1(0.2, proximal=True), epochs=200)
    assert int((sparse.weight == 0).sum()) >= 3
    assert int((sparse.weight != 0).sum()) >= 2
    train(held, penalty=MaxNorm(0.25), epochs=50)
    assert held.weight.detach().norm(dim=-1).tolist() == pytest.approx([0.25] * 3, rel=1e-12)


def test_nothing_of_autograd_is_left_by_hand() -> None:
    model = softmax()
    train(model)
    assert all(p.grad is None and p.requires_grad and p.is_leaf for p in model.parameters())


def test_a_stack_of_runs_can_step() -> None:
    """One step of a stack is one step of each: what trains many runs at once."""
    data, rates = three_classes(), torch.tensor([0.1, 0.5], dtype=torch.float64)
    assert data.targets is not None
    stack = softmax(runs=(2,))
    penalty = L2(torch.tensor([0.0, 0.3], dtype=torch.float64))
    stepper = ByHand(stack, CrossEntropy(), penalty, Momentum())
    values = [stepper.step(data.features, data.targets, rates) for _ in range(3)]  # type: ignore[arg-type]
    for run, (rate, strength) in enumerate([(0.1, 0.0), (0.5, 0.3)]):
        alone = softmax()
        history = train(alone, data=data, rate=rate, epochs=3, penalty=L2(strength), rule=Momentum())
        torch.testing.assert_close(stack.weight[run], alone.weight, rtol=1e-13, atol=1e-15)
        assert [float(v[run]) for v in values] == pytest.approx(history["running"], rel=1e-13)


# --- refusals ----------------------------------------------------------------------------------------------------


def spoiled(row: int, column: int, value: float) -> Samples:
    data = three_classes()
    features = data.features.clone()
    features[row, column] = value
    return Samples(features, data.targets)


BAD: dict[str, tuple[dict[str, Any], type[EdunnError], str]] = {
    "rate 0": ({"rate": 0.0}, ConfigError, "must be above 0; got 0"),
    "rate below 0": ({"rate": -0.1}, ConfigError, r"must be above 0; got -0\.1"),
    "rate nan": ({"rate": math.nan}, ConfigError, "must be above 0; got nan"),
    "batch size 0": ({"batch_size": 0}, ConfigError, "batch_size must be a whole number of 1 or more; got 0"),
    "epochs 0": ({"epochs": 0}, ConfigError, "epochs must be a whole number of 1 or more; got 0"),
    "steps 0": ({"steps": 0}, ConfigError, "steps must be a whole number of 1 or more; got 0"),
    "snapshots 0": ({"snapshots": 0}, ConfigError, "snapshots must be a whole number of 1 or more; got 0"),
    "evaluate below 0": ({"evaluate": -1}, ConfigError, r"evaluate must be 0 \(only at the end\) or more; got -1"),
    "patience 0": (
        {"patience": 0, "validation": three_classes()},
        ConfigError,
        "patience must be a whole number of 1 or more; got 0",
    ),
    "patience without validation": ({"patience": 3}, ConfigError, "patience needs a validation part"),
    "tolerance without evaluation": ({"tolerance": 0.1, "evaluate": 0}, ConfigError, "need evaluate of 1 or more"),
    "by luck": ({"by": "luck"}, ConfigError, "by is 'fast', 'hand' or 'autograd'; got 'luck'"),
    "no samples": ({"data": three_classes()[:0]}, DataError, "no training samples"),
    "no targets": ({"data": Samples(randn(5, 4))}, DataError, "have no targets to train"),
    "validation without targets": ({"validation": Samples(randn(5, 4))}, DataError, "have no targets to train"),
    "validation without samples": ({"validation": three_classes()[:0]}, ShapeError, "are empty"),
    "nan feature": (
        {"data": spoiled(7, 2, math.nan)},
        DataError,
        "features must be finite; got nan at row 7, column 2",
    ),
    "inf in validation": ({"validation": spoiled(49, 0, math.inf)}, DataError, "got inf at row 49, column 0"),
    "label out of range": (
        {"data": Samples(randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 0]))},
        LabelError,
        "must be 0 to 2, one for each of the 3 scores; got 3 at index 3. Labels that count from 1: subtract 1",
    ),
    "validation label out of range": (
        {"validation": Samples(randn(3, 4), torch.tensor([0, -1, 2]))},
        LabelError,
        "got -1 at index 1",
    ),
    "labels of another convention": (
        {
            "model": LinearSVM(4, dtype=torch.float64),
            "loss": Hinge(),
            "data": Samples(randn(4, 4), torch.tensor([0, 1, 1, 0])),
        },
        LabelError,
        r"Labels must be -1 or 1; got 0 at index 0\. For labels 0 and 1 use 2\*targets - 1",
    ),
    "another number of features": (
        {"data": Samples(randn(6, 5), torch.zeros(6).long())},
        ShapeError,
        r"this layer takes \(samples, 4\)",
    ),
    "a loss of one score for many": (
        {"loss": BinaryCrossEntropy()},
        ShapeError,
        r"BinaryCrossEntropy takes scores of shape \(\*lead, samples\); for one sample the model gives \(1, 3\)",
    ),
    "a loss of many scores for one": (
        {"model": LogisticRegression(4, dtype=torch.float64)},
        ShapeError,
        r"Expected scores of shape \(\*lead, samples, classes\)",
    ),
    "a loss without a gradient": (
        {
            "model": LinearSVM(4, dtype=torch.float64),
            "loss": ZeroOne(),
            "data": Samples(randn(2, 4), torch.tensor([1, -1])),
        },
        GradientError,
        "zero-one loss has no useful gradient",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_before_the_first_step(name: str) -> None:
    options, error, match = BAD[name]
    model = options.get("model", softmax())
    before = weights(model)
    with pytest.raises(error, match=match):
        train(**({"model": model} | options))
    for old, new in zip(before, weights(model), strict=True):
        assert torch.equal(old, new)


def test_targets_of_one_column_never_reach_the_loop() -> None:
    with pytest.raises(ShapeError, match=r"targets of shape \(samples,\) = \(5,\); got \(5, 1\)\. Did you mean"):
        Samples(randn(5, 4), torch.zeros(5, 1).long())


def test_the_rate_may_be_changed_while_training() -> None:
    """`after_epoch` halves the rate from the second epoch on: the rows say so, and the steps follow."""
    samples = edunn_data.TOYS["lecture-line"]()

    def halve(progress: Progress) -> None:
        progress.rate_factor = 0.5

    model = LinearRegression(1, dtype=torch.float64)
    history = descend(model, SquaredError(), samples, rate=0.01, epochs=3, after_epoch=halve)
    assert history["rate"] == [0.01, 0.005, 0.005]

    by_hand = LinearRegression(1, dtype=torch.float64)
    for rate in (0.01, 0.005, 0.005):
        descend(by_hand, SquaredError(), samples, rate=rate, epochs=1)
    torch.testing.assert_close(model.weight, by_hand.weight, rtol=1e-14, atol=0)


def test_a_data_set_in_place_of_its_training_part_is_said() -> None:
    with pytest.raises(DataError, match=r"Did you mean its training part, dataset\.train\?"):
        descend(LinearRegression(64), SquaredError(), edunn_data.digits(), rate=0.1)  # type: ignore[arg-type]
