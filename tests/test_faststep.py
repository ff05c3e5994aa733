"""The quick steps against the readable ones: the same weights and recorded losses, for every loss, penalty and rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from edunn.data import Samples
from edunn.descent import ByHand, Descent
from edunn.faststep import FastStep, Singles, value_and_upstream
from edunn.faststep.singles import BLOCK, coefficients
from edunn.faststep.step import BLOCKS
from edunn.history import History
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MulticlassHinge,
    OneVsAllHinge,
    Perceptron,
    SquaredError,
)
from edunn.models import LinearModel, LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier
from edunn.penalties import L1, L2, ElasticNet, MaxNorm, Penalty
from edunn.updates import RULES, CosineDecay, GradientDescent, Momentum, Nesterov, Rule, Schedule

# as many products in another order: what the issue asks of float32, and ten times less than it asks of float64
TOLERANCES = {torch.float32: {"rtol": 1e-5, "atol": 1e-6}, torch.float64: {"rtol": 1e-12, "atol": 1e-13}}

SAMPLES = 2 * BLOCK + 7  # two whole blocks and a part of one


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def task(loss: Loss, dtype: torch.dtype = torch.float64) -> tuple[LinearModel, Samples]:
    """A model that fits the loss, away from its start, and overlapping classes."""
    options: dict[str, Any] = {"scale": 0.1, "dtype": dtype}
    y = torch.arange(SAMPLES) % 3
    features = randn(SAMPLES, 5, seed=1, dtype=dtype)
    features[:, :3] += torch.nn.functional.one_hot(y, 3).to(dtype)
    if loss.event:
        return SoftmaxClassifier(5, 3, **options), Samples(features, y)
    targets = {
        "real": features @ randn(5, seed=2, dtype=dtype) + 0.3 * randn(SAMPLES, seed=3, dtype=dtype),
        "bits": (y > 0).to(dtype),
        "signs": 2 * (y > 0).to(dtype) - 1,
    }[loss.labels]
    models = {"real": LinearRegression, "bits": LogisticRegression, "signs": LinearSVM}
    return models[loss.labels](5, **options), Samples(features, targets)


def both_ways(loss: Loss, dtype: torch.dtype = torch.float64, **options: Any) -> list[tuple[LinearModel, History]]:
    """The same run by the readable step and by the quick one."""
    results = []
    for by in ("plain", "hand"):
        model, samples = task(loss, dtype)
        given = {"rate": 0.02, "epochs": 4, "snapshots": 50} | copy.deepcopy(options)
        results.append((model, Descent(model, loss, samples, **given).go(by)))
    return results


def assert_same_run(results: list[tuple[LinearModel, History]], dtype: torch.dtype = torch.float64) -> None:
    (plain, expected), (quick, found) = results
    torch.testing.assert_close(dict(quick.named_parameters()), dict(plain.named_parameters()), **TOLERANCES[dtype])
    assert (found.status, found.steps, found.columns) == (expected.status, expected.steps, expected.columns)
    for column in ("running", "loss", "penalty"):
        torch.testing.assert_close(
            torch.tensor(found[column]), torch.tensor(expected[column]), **TOLERANCES[torch.float32], equal_nan=True
        )
    assert [step for step, _ in found.snapshots] == [step for step, _ in expected.snapshots]
    for (_, at), (_, other) in zip(found.snapshots, expected.snapshots, strict=True):
        torch.testing.assert_close(at, other, **TOLERANCES[dtype])


LOSSES: dict[str, Loss] = {
    "squared": SquaredError(),
    "absolute": AbsoluteError(),
    "huber": Huber(),
    "bce": BinaryCrossEntropy(),
    "hinge": Hinge(),
    "perceptron": Perceptron(),
    "cross-entropy": CrossEntropy(),
    "smoothed": CrossEntropy(label_smoothing=0.1),
    "multiclass hinge": MulticlassHinge(),
    "multiclass hinge, squared, over others": MulticlassHinge(margin=0.5, power=2, over="others"),
    "multiclass hinge, with the true class": MulticlassHinge(include_true=True),
    "one against all": OneVsAllHinge(power=2),
    "squared, over classes": SquaredError(classes=True),
}
PENALTIES: dict[str, Penalty | None] = {
    "none": None,
    "l2": L2(0.05),
    "l2 of the bias too": L2(0.1, half=True, bias=True),
    "l1": L1(0.01),
    "l1, proximal": L1(0.01, proximal=True),
    "elastic net, proximal": ElasticNet(0.01, proximal=True),
    "max-norm": MaxNorm(0.5),
}
BATCHES = pytest.mark.parametrize("batch_size", [None, 16, 1], ids=["full", "mini", "single"])


@BATCHES
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name: str, batch_size: int | None) -> None:
    assert_same_run(both_ways(LOSSES[name], batch_size=batch_size, penalty=L2(0.01)))


@BATCHES
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_and_rule(penalty: str, rule: str, batch_size: int | None) -> None:
    options = {"penalty": PENALTIES[penalty], "rule": RULES[rule](), "batch_size": batch_size}
    assert_same_run(both_ways(CrossEntropy(), **options))


@BATCHES
@pytest.mark.parametrize("rule", [GradientDescent(), Momentum(), Nesterov(0.5)], ids=lambda r: type(r).__name__)
def test_float32_and_a_schedule(rule: Rule, batch_size: int | None) -> None:
    options: dict[str, Any] = {"schedule": CosineDecay(), "rule": rule, "penalty": L2(0.01), "batch_size": batch_size}
    assert_same_run(both_ways(CrossEntropy(), torch.float32, **options), torch.float32)


@BATCHES
def test_without_a_bias(batch_size: int | None) -> None:
    _, samples = task(CrossEntropy())
    models = [SoftmaxClassifier(5, 3, bias=False, dtype=torch.float64) for _ in range(2)]
    for model, by in zip(models, ("plain", "hand"), strict=True):
        Descent(model, CrossEntropy(), samples, rate=0.1, batch_size=batch_size, epochs=3).go(by)
    torch.testing.assert_close(models[1].weight, models[0].weight, **TOLERANCES[torch.float64])


@pytest.mark.parametrize("batch_size", [16, 1])
def test_a_last_step_inside_an_epoch_and_inside_a_block(batch_size: int) -> None:
    assert_same_run(both_ways(CrossEntropy(), batch_size=batch_size, epochs=None, steps=90, snapshots=7))


@BATCHES
def test_divergence_is_met_at_the_same_step(batch_size: int | None) -> None:
    """Rates at which each step multiplies the error: the block must not mix later infinities into earlier steps."""
    (_, expected), (_, found) = both_ways(SquaredError(), rate=50.0, batch_size=batch_size, epochs=400)
    assert expected.status == found.status == "diverged"
    assert (found.message, found.steps) == (expected.message, expected.steps)


def test_a_strength_changed_while_training() -> None:
    weights = []
    for by in ("plain", "hand"):
        model, samples = task(CrossEntropy())
        penalty = L2(0.5)

        def off(_: object, penalty: L2 = penalty) -> None:
            penalty.strength = 0.0

        Descent(model, CrossEntropy(), samples, rate=0.1, batch_size=1, epochs=3, penalty=penalty).go(by, None, off)
        weights.append(model.weight)
    torch.testing.assert_close(weights[1], weights[0], **TOLERANCES[torch.float64])


class Custom(SoftmaxClassifier):
    """A model with a gradient of its own."""

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return super().gradients(features, upstream)


@pytest.mark.parametrize(
    ("model", "batch_size", "rule", "penalty", "stepper"),
    [
        (SoftmaxClassifier, 16, GradientDescent(), None, FastStep),
        (SoftmaxClassifier, 1, GradientDescent(), L2(0.1), Singles),
        (SoftmaxClassifier, 1, RULES["adam"](), None, FastStep),
        (SoftmaxClassifier, 1, GradientDescent(), L1(0.1), FastStep),
        (Custom, 16, GradientDescent(), None, ByHand),
    ],
    ids=["mini", "single", "single, adam", "single, l1", "a gradient of its own"],
)
def test_who_takes_the_steps(model: Any, batch_size: int, rule: Rule, penalty: Penalty | None, stepper: type) -> None:
    samples = task(CrossEntropy())[1]
    made = model(5, 3, dtype=torch.float64)
    run = Descent(made, CrossEntropy(), samples, 0.1, batch_size, rule=rule, penalty=penalty)
    assert type(run.stepper("hand")) is stepper
    assert type(run.stepper("plain")) is ByHand


# --- the pieces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (3,)], ids=["one", "stack"])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_upstream_are_the_loss_and_its_gradient(name: str, lead: tuple[int, ...]) -> None:
    loss = LOSSES[name]
    scores = 2 * randn(*lead, 20, *(4,) * loss.event)
    targets = {"classes": torch.arange(20) % 4, "real": randn(20, seed=5), "bits": torch.arange(20.0) % 2}
    targets["signs"] = 2 * targets["bits"] - 1
    y = targets[loss.labels].double() if not loss.event else targets["classes"]
    value, upstream = value_and_upstream(loss, scores.clone(), y)
    torch.testing.assert_close(value, loss(scores, y), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(upstream, loss.gradient(scores, y), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("rule", [GradientDescent(), Momentum(0.9), Nesterov(0.7)], ids=lambda r: type(r).__name__)
def test_coefficients_replay_the_rule(rule: Rule) -> None:
    """One weight with known gradients: the rows, put together, are what the rule itself does to it."""
    rates, decay, gradients = [0.1, 0.3, 0.2, 0.05], 0.4, randn(4)
    weight, velocity = torch.tensor([2.0]).double(), torch.tensor([-0.5]).double()
    rows, ends = coefficients(rates, decay, rule)
    basis = torch.cat([weight, velocity, gradients])
    stepped = copy.deepcopy(rule)
    if rule.buffers:
        stepped.state["weight"] = {"velocity": velocity}
    path = [weight.item()]
    for rate, gradient in zip(rates, gradients, strict=True):
        stepped.step({"weight": weight}, {"weight": gradient + decay * weight}, rate)
        path.append(weight.item())
    assert (torch.from_numpy(rows) @ basis).tolist() == pytest.approx(path[:-1], rel=1e-14)
    assert float(torch.from_numpy(ends[0]) @ basis) == pytest.approx(path[-1], rel=1e-14)
    if rule.buffers:
        assert float(torch.from_numpy(ends[1]) @ basis) == pytest.approx(velocity.item(), rel=1e-14)


@pytest.mark.parametrize("schedule", [None, CosineDecay()], ids=["constant", "cosine"])
def test_rounds_settle_long_before_the_block_ends(schedule: Schedule | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the speed rests on: upstreams are asked for a few times a block, not once a step."""
    asked = 0
    upstream = Singles.upstream

    def counted(self: Singles, scores: Tensor, targets: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        return upstream(self, scores, targets)

    monkeypatch.setattr(Singles, "upstream", counted)
    options = {} if schedule is None else {"schedule": schedule}
    model, samples = task(CrossEntropy())
    Descent(model, CrossEntropy(), samples, rate=0.01, batch_size=1, epochs=5, **options).go()  # type: ignore[arg-type]
    assert asked / 15 < BLOCK / 2  # three blocks an epoch


def test_a_number_for_a_stack_penalises_each_run_alone() -> None:
    weight, bias = randn(3, 2, 4), randn(3, 2, seed=1)
    for penalty in (L2(0.5, bias=True), L1(0.5), ElasticNet(0.5), MaxNorm(1.0)):
        values = penalty.value({"weight": weight, "bias": bias})
        assert values.shape == (3,)
        for run in range(3):
            alone = penalty.value({"weight": weight[run], "bias": bias[run]})
            torch.testing.assert_close(values[run], alone, rtol=1e-15, atol=0)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rule", ["gradient-descent", "momentum", "adam"])
def test_wide_features_whose_gradient_is_taken_in_blocks(
    rule: str, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    width = 128 * BLOCKS
    features, bits = randn(40, width), torch.arange(40) % 2
    weights = []
    for by in ("plain", "hand"):
        loss: Loss = CrossEntropy() if outputs > 1 else BinaryCrossEntropy()
        model: LinearModel = (
            SoftmaxClassifier(width, outputs, dtype=torch.float64)
            if outputs > 1
            else LogisticRegression(width, dtype=torch.float64)
        )
        samples = Samples(features, bits if outputs > 1 else bits.double())
        run = Descent(model, loss, samples, 0.01, 16, epochs=3, penalty=L2(0.1), rule=RULES[rule]())
        stepper = run.stepper(by)
        if isinstance(stepper, FastStep):
            assert stepper.in_blocks(features[:16])
            assert not stepper.in_blocks(features[:8])  # the last batch
        run.go(by)
        weights.append(model.weight.detach())
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-12, atol=1e-14)
