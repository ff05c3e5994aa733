"""The fast steps against the readable ones: the same weights and recorded losses, for every loss, penalty and rule."""

from __future__ import annotations

import copy
import re
import warnings
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from edunn.data import Samples
from edunn.descent import ByHand, Descent, descend
from edunn.descent.fast import (
    PRECISIONS,
    CudaGraphSteps,
    FastStep,
    FewOutputsStep,
    SingleSampleSteps,
    value_and_upstream,
)
from edunn.descent.fast.products import WIDE, Products
from edunn.descent.fast.single_samples import BLOCK, coefficients
from edunn.differences import relative_error
from edunn.errors import ConfigError
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
from edunn.models import LinearModel, LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier, TwoLayerNet
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
    if loss.class_axis:
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
    for by in ("hand", "fast"):
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
    for model, by in zip(models, ("hand", "fast"), strict=True):
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


@pytest.mark.parametrize("rule", [GradientDescent(), Nesterov()], ids=lambda r: type(r).__name__)
def test_a_rate_beyond_all_numbers_diverges_without_a_warning(rule: Rule) -> None:
    model, samples = task(SquaredError())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = descend(model, SquaredError(), samples, rate=1e200, batch_size=1, penalty=L2(0.1), rule=rule)
    assert history.status == "diverged"


def test_a_strength_changed_while_training() -> None:
    weights = []
    for by in ("hand", "fast"):
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
        (SoftmaxClassifier, 1, GradientDescent(), L2(0.1), SingleSampleSteps),
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
    assert type(run.stepper("fast")) is stepper
    assert type(run.stepper("hand")) is ByHand


# --- the pieces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (3,)], ids=["one", "stack"])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_upstream_are_the_loss_and_its_gradient(name: str, lead: tuple[int, ...]) -> None:
    loss = LOSSES[name]
    scores = 2 * randn(*lead, 20, *(4,) * loss.class_axis)
    targets = {"classes": torch.arange(20) % 4, "real": randn(20, seed=5), "bits": torch.arange(20.0) % 2}
    targets["signs"] = 2 * targets["bits"] - 1
    y = targets[loss.labels].double() if not loss.class_axis else targets["classes"]
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
    upstream = SingleSampleSteps.upstream

    def counted(self: SingleSampleSteps, scores: Tensor, targets: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        return upstream(self, scores, targets)

    monkeypatch.setattr(SingleSampleSteps, "upstream", counted)
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
def test_a_thin_weight_is_kept_in_blocks_of_features(rule: str, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    width = WIDE
    features, bits = randn(40, width), torch.arange(40) % 2
    weights = []
    for by in ("hand", "fast"):
        loss: Loss = CrossEntropy() if outputs > 1 else BinaryCrossEntropy()
        model: LinearModel = (
            SoftmaxClassifier(width, outputs, dtype=torch.float64)
            if outputs > 1
            else LogisticRegression(width, dtype=torch.float64)
        )
        samples = Samples(features, bits if outputs > 1 else bits.double())
        run = Descent(model, loss, samples, 0.01, 16, epochs=3, penalty=L2(0.1), rule=RULES[rule]())
        stepper = run.stepper(by)
        if by == "fast":
            assert isinstance(stepper, FewOutputsStep if rule == "gradient-descent" else FastStep)
            assert Products(model.weight.detach()).thin
        run.go(by)
        weights.append(model.weight.detach())
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, WIDE), (2, 3, WIDE), (3, WIDE + 1), (300, 40), (4, 75, 40), (1, 5)], ids=str)
def test_both_products_however_they_are_cut(
    shape: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    weight, features = randn(*shape), randn(7, shape[-1], seed=1)
    products = Products(weight)
    assert products.thin == (threads > 1 and shape[-1] == WIDE)
    assert products.parts == (threads if products.rows == 300 else 1)
    upstream, into = randn(*shape[:-1], 7, seed=2), randn(*shape, seed=3)
    same = {"rtol": 1e-12, "atol": 1e-12}
    expected = {beta: beta * into - 0.3 * upstream @ features for beta in (0.0, 0.9, 1.0)}
    torch.testing.assert_close(products.scores(weight, features), weight @ features.t(), **same)
    for beta, wanted in expected.items():
        found = into.clone()
        products.add_gradient(found, upstream, features, beta, -0.3)
        torch.testing.assert_close(found, wanted, **same)


def test_snapshots_and_the_model_are_written_back_inside_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight kept in blocks is written back before anybody looks: at snapshots and after each epoch."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    samples = Samples(randn(40, WIDE), torch.arange(40) % 3)
    seen: list[list[Tensor]] = []
    for by in ("hand", "fast"):
        model = SoftmaxClassifier(WIDE, 3, dtype=torch.float64)
        epochs: list[Tensor] = []
        run = Descent(model, CrossEntropy(), samples, 0.1, 16, epochs=3, snapshots=2)
        history = run.go(by, after_epoch=lambda _: epochs.append(model.weight.detach().clone()))  # noqa: B023
        seen.append(epochs + [weights["weight"] for _, weights in history.snapshots])
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-12, atol=1e-14)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of steps without a GPU: the same bookkeeping, with the block itself in the place of its recording."""
    monkeypatch.setattr(CudaGraphSteps, "applies", staticmethod(lambda one, _: one.folds))
    monkeypatch.setattr(SingleSampleSteps, "applies", staticmethod(lambda *_: False))


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("batch_size", [5, 1])
@pytest.mark.parametrize("rule", [GradientDescent(), Momentum()], ids=lambda r: type(r).__name__)
def test_blocks_of_steps(rule: Rule, batch_size: int) -> None:
    """Schedules change the rate inside a block, snapshots and the last batch of an epoch end it early."""
    options: dict[str, Any] = {"schedule": CosineDecay(), "rule": rule, "penalty": L2(0.01), "batch_size": batch_size}
    model, samples = task(CrossEntropy())
    stepper = Descent(model, CrossEntropy(), samples, 0.1, batch_size, epochs=1, penalty=L2(0.01), rule=rule).stepper(
        "fast"
    )
    assert isinstance(stepper, CudaGraphSteps)
    assert_same_run(both_ways(CrossEntropy(), snapshots=7, **options))
    assert_same_run(both_ways(CrossEntropy(), epochs=None, steps=90, snapshots=None, **options))


@pytest.mark.usefixtures("graphs")
def test_a_block_sees_a_strength_changed_while_training() -> None:
    weights = []
    for by in ("hand", "fast"):
        model, samples = task(CrossEntropy())
        penalty = L2(0.01)

        def stronger(_: Any, penalty: L2 = penalty) -> None:
            penalty.strength = 2 * float(penalty.strength)

        Descent(model, CrossEntropy(), samples, 0.1, 2, epochs=3, penalty=penalty).go(by, after_epoch=stronger)
        weights.append(model.weight.detach())
    torch.testing.assert_close(weights[1], weights[0], **TOLERANCES[torch.float64])


class Interrupting(Schedule):
    """Constant, until it has been asked so many times."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, epoch: float, epochs: float) -> float:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return 1.0


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("width", [4, WIDE], ids=["a graph", "few outputs"])
def test_an_interrupt_inside_an_epoch_leaves_the_weights_of_the_steps_taken(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before step 15, in the second epoch: steps one by one have taken 14, a block of 10 is not begun."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    samples = Samples(randn(40, width), torch.arange(40) % 3)
    taken = {"hand": 14, "fast": 14 if width == WIDE else 10}
    for by, steps in taken.items():
        model, other = (SoftmaxClassifier(width, 3, dtype=torch.float64) for _ in range(2))
        run = Descent(model, CrossEntropy(), samples, 0.01, 4, epochs=5, schedule=Interrupting(after=15))
        if by == "fast":
            assert isinstance(run.stepper(by), FewOutputsStep if width == WIDE else CudaGraphSteps)
        history = run.go(by)
        assert (history.status, history.steps) == ("interrupted", steps)  # the record of an epoch asks once
        Descent(other, CrossEntropy(), samples, 0.01, 4, steps=steps).go("hand")
        found, expected = dict(model.named_parameters()), dict(other.named_parameters())
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("graphs")
def test_the_steps_of_a_recording_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a block is run once before it is recorded, and once to be recorded; a replay counts nothing."""

    def record(self: CudaGraphSteps) -> Any:
        self.one.rule.steps += 2 * self.block
        return lambda: self.values.zero_()

    monkeypatch.setattr(CudaGraphSteps, "record", record)
    model, samples = task(CrossEntropy())
    run = Descent(model, CrossEntropy(), samples, 0.1, 1, epochs=2)
    history = run.go()
    assert run.rule.steps == history.steps == 2 * len(samples)


@pytest.mark.parametrize(("batch", "worth"), [(256, True), (5461, True), (5462, False)])
def test_a_block_of_large_batches_is_not_worth_its_memory(batch: int, worth: bool) -> None:
    weight: Any = SimpleNamespace(is_cuda=True, shape=(10, 768), element_size=lambda: 4)
    assert CudaGraphSteps.applies(cast(FastStep, SimpleNamespace(weight=weight, folds=True)), batch) == worth


@BATCHES
@pytest.mark.parametrize("rule", ["gradient-descent", "adam"])
def test_bfloat16_is_near_and_not_the_same(rule: str, batch_size: int | None) -> None:
    weights = {}
    for precision in ("full", "bf16"):
        model, samples = task(CrossEntropy(), torch.float32)
        descend(
            model, CrossEntropy(), samples, rate=0.01, batch_size=batch_size, epochs=2, rule=RULES[rule](),
            penalty=L2(0.01), precision=precision,
        )  # fmt: skip
        weights[precision] = model.weight.detach()
    assert 1e-5 < relative_error(weights["bf16"], weights["full"]) < 2**-7  # a factor has 8 digits


def test_bfloat16_products_are_those_of_rounded_factors() -> None:
    for shape, batch in (((3, 20), (7, 20)), ((2, 3, 20), (7, 20)), ((2, 3, 20), (2, 7, 20))):
        weight, features = randn(*shape, dtype=torch.float32), randn(*batch, seed=1, dtype=torch.float32)
        products, upstream = PRECISIONS["bf16"](weight), randn(*shape[:-1], 7, seed=2, dtype=torch.float32)
        low = [t.bfloat16().double() for t in (weight, features, upstream)]
        near: dict[str, Any] = {"rtol": 2**-8, "atol": 1e-6}  # on a CPU the sum is rounded once more
        torch.testing.assert_close(products.scores(weight, features), (low[0] @ low[1].mT).float(), **near)
        into = torch.ones(shape)
        products.add_gradient(into, upstream, features, 0.5, 2.0)
        torch.testing.assert_close(into, (0.5 + 2 * low[2] @ low[1]).float(), rtol=2**-8, atol=2**-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"precision": "bf17"}, "precision is one of full, tf32, bf16; got 'bf17'. Did you mean 'bf16'?"),
        ({"precision": "tf32"}, "Precision 'tf32' needs float32 on a CUDA device"),
        ({"precision": "bf16", "dtype": torch.float64}, "Precision 'bf16' needs float32"),
        ({"precision": "bf16", "by": "hand"}, "Precision 'bf16' needs by='fast' in one process"),
        ({"precision": "bf16", "model": TwoLayerNet(5, 3, hidden=4)}, "Precision 'bf16' needs a linear model"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_precision_that_cannot_be_had_is_refused(options: dict[str, Any], match: str) -> None:
    model, samples = task(CrossEntropy(), options.pop("dtype", torch.float32))
    with pytest.raises(ConfigError, match=re.escape(match)):
        descend(options.pop("model", model), CrossEntropy(), samples, rate=0.1, epochs=1, **options)
