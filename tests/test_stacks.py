"""Many runs at once against the same runs one after another: weights, histories, endings; and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from edunn.data import Samples
from edunn.descent import Descent, Loop, stack
from edunn.descent.fast import CudaGraphSteps, FastStep
from edunn.descent.stack import train_together, vary
from edunn.errors import ConfigError
from edunn.history import History
from edunn.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Loss,
    MulticlassHinge,
    OneVsAllHinge,
    Perceptron,
    SquaredError,
)
from edunn.models import LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L1, L2, ElasticNet, MaxNorm, Penalty
from edunn.updates import RULES, SCHEDULES, Momentum

# other orders of summation; what is asked of one quick run beside the readable one
SAME = {torch.float64: {"rtol": 1e-12, "atol": 1e-13}, torch.float32: {"rtol": 1e-5, "atol": 1e-6}}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def part(labels: str, samples: int, seed: int, dtype: torch.dtype = torch.float64) -> Samples:
    y = torch.arange(samples) % 3
    features = (randn(samples, 4, seed=seed) + torch.nn.functional.one_hot(y, 4)).to(dtype)
    bits = (y > 0).to(dtype)
    targets = {"classes": y, "bits": bits, "signs": 2 * bits - 1, "real": features.sum(1) + bits}[labels]
    return Samples(features, targets)


def base(loss: Loss | None = None, dtype: torch.dtype = torch.float64, **options: Any) -> Descent:
    """A run on forty samples with a validation part; three steps an epoch where it is not told otherwise."""
    loss = loss or CrossEntropy()
    make: dict[str, Any] = {
        "classes": lambda **o: SoftmaxClassifier(4, 3, **o),
        "bits": lambda **o: LogisticRegression(4, **o),
        "signs": lambda **o: LinearSVM(4, **o),
        "real": lambda **o: LinearRegression(4, **o),
    }
    given: dict[str, Any] = {"rate": 0.1, "batch_size": 16, "epochs": 4, "penalty": L2(0.01)} | options
    train, held = part(loss.labels, 40, 1, dtype), part(loss.labels, 20, 2, dtype)
    return Descent(make[loss.labels](dtype=dtype, scale=0.1), loss, train, validation=held, **given)


def twins(runs: list[Descent]) -> list[Descent]:
    """The same runs again, with models and rules of their own."""
    return [vary(run) for run in runs]


def assert_each_as_alone(runs: list[Descent], dtype: torch.dtype = torch.float64, **options: Any) -> list[History]:
    """Trains together, then one after another, and compares all that is kept."""
    alone = twins(runs)
    found, expected = train_together(runs, **options), [run.go() for run in alone]
    for run, twin, history, other in zip(runs, alone, found, expected, strict=True):
        torch.testing.assert_close(
            dict(run.model.named_parameters()), dict(twin.model.named_parameters()), **SAME[dtype], equal_nan=True
        )
        assert (history.status, history.steps, history.epochs) == (other.status, other.steps, other.epochs)
        assert (history.best_epoch, history.columns) == (other.best_epoch, other.columns)
        assert history.stable_rate == other.stable_rate
        for column in other.columns:
            got, want = torch.tensor(history[column]), torch.tensor(other[column])
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6, equal_nan=True)
        assert [step for step, _ in history.snapshots] == [step for step, _ in other.snapshots]
        for (_, weights), (_, others) in zip(history.snapshots, other.snapshots, strict=True):
            torch.testing.assert_close(weights, others, **SAME[dtype])
    return found


def grid(run: Descent) -> list[Descent]:
    return [vary(run, rate=rate, strength=strength) for rate in (0.02, 0.1, 0.3) for strength in (0.0, 0.05)]


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each stack was made of."""
    sizes: list[int] = []
    init = stack.Stack.__init__

    def noted(self: stack.Stack, runs: list[Descent]) -> None:
        sizes.append(len(runs))
        init(self, runs)

    monkeypatch.setattr(stack.Stack, "__init__", noted)
    return sizes


# --- each run is what it would be alone --------------------------------------------------------------------------

LOSSES: dict[str, Loss] = {
    "squared error": SquaredError(),
    "binary cross-entropy": BinaryCrossEntropy(),
    "hinge": Hinge(),
    "perceptron": Perceptron(),
    "cross-entropy": CrossEntropy(),
    "smoothed": CrossEntropy(label_smoothing=0.1),
    "multiclass hinge": MulticlassHinge(),
    "squared multiclass hinge": MulticlassHinge(power=2, over="classes"),
}
PENALTIES: dict[str, Penalty] = {
    "l2": L2(0.01),
    "l2 with the bias": L2(0.01, half=True, bias=True),
    "l1": L1(0.01),
    "l1, proximal": L1(0.01, proximal=True),
    "elastic net": ElasticNet(0.01),
    "elastic net, proximal": ElasticNet(0.01, proximal=True),
}


@pytest.mark.parametrize("batch_size", [None, 16, 1], ids=["full", "mini", "single"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_model(name: str, batch_size: int | None, stacked: list[int]) -> None:
    assert_each_as_alone(grid(base(LOSSES[name], batch_size=batch_size)))
    assert stacked == [6]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_rule_and_penalty(penalty: str, rule: str, stacked: list[int]) -> None:
    assert_each_as_alone(grid(base(penalty=PENALTIES[penalty], rule=RULES[rule]())))
    assert stacked == [6]


@pytest.mark.parametrize("penalty", [None, MaxNorm(0.3)], ids=["none", "max-norm"])
def test_without_a_strength_to_vary(penalty: Penalty | None) -> None:
    run = base(penalty=penalty)
    assert_each_as_alone([vary(run, rate=rate) for rate in (0.1, 0.2)])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(schedule: str) -> None:
    assert_each_as_alone(grid(base(schedule=SCHEDULES[schedule](), rule=Momentum())))


@pytest.mark.parametrize("rule", ["gradient-descent", "momentum", "adam"])
def test_float32(rule: str) -> None:
    assert_each_as_alone(grid(base(dtype=torch.float32, rule=RULES[rule]())), torch.float32)


@pytest.mark.parametrize("rule", ["gradient-descent", "momentum"])
def test_blocks_of_steps_as_on_a_gpu(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the runs diverges, so that the block is recorded anew for the others."""
    monkeypatch.setattr(CudaGraphSteps, "applies", staticmethod(lambda one, _: one.folds))
    run = base(SquaredError(classes=True), rule=RULES[rule](), batch_size=2, epochs=4, schedule=SCHEDULES["cosine"]())
    histories = assert_each_as_alone([vary(run, rate=rate) for rate in (0.001, 0.01, 1e30)])
    assert [history.status for history in histories] == ["finished", "finished", "diverged"]


@pytest.mark.parametrize(
    "loss", [Hinge(), Hinge(power=2), MulticlassHinge(), MulticlassHinge(include_true=True), OneVsAllHinge()], ids=str
)
def test_margins(loss: Loss, stacked: list[int]) -> None:
    assert_each_as_alone([vary(base_run, margin=m) for base_run in [base(loss)] for m in (0.0, 0.5, 1.0, 3.0)])
    assert stacked == [4]


@pytest.mark.parametrize("rule", ["gradient-descent", "momentum", "adam"])
@pytest.mark.parametrize("batch_size", [None, 16, 1], ids=["full", "mini", "single"])
def test_orders_and_starts(rule: str, batch_size: int | None, stacked: list[int]) -> None:
    run = base(rule=RULES[rule](), batch_size=batch_size)
    starts = [SoftmaxClassifier(4, 3, scale=0.5, seed=seed, dtype=torch.float64) for seed in range(3)]
    runs = assert_each_as_alone([vary(run, seed=seed, model=starts[seed], rate=0.1 + seed / 10) for seed in range(3)])
    assert stacked == [3]
    assert len({history["running"][-1] for history in runs}) == 3


def test_without_a_bias() -> None:
    train = part("classes", 40, 1)
    model = SoftmaxClassifier(4, 3, bias=False, dtype=torch.float64)
    run = Descent(model, CrossEntropy(), train, 0.1, 16, epochs=3, penalty=L2(0.1))
    assert_each_as_alone(grid(run))


@pytest.mark.parametrize("evaluate", [0, 1, 3])
def test_steps_snapshots_and_rare_evaluations(evaluate: int) -> None:
    assert_each_as_alone(grid(base(evaluate=evaluate, epochs=None, steps=11, snapshots=2)))


# --- endings -----------------------------------------------------------------------------------------------------


def test_a_diverging_run_stops_and_the_others_do_not_notice() -> None:
    run = base(SquaredError(), batch_size=None, epochs=600)
    histories = assert_each_as_alone([vary(run, rate=rate) for rate in (0.05, 5.0, 0.01, 50.0)])
    assert [history.status for history in histories] == ["finished", "diverged", "finished", "diverged"]
    assert histories[3].steps < histories[1].steps < 600
    assert "the largest stable rate is" in histories[1].message


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_each_stops_at_its_own_best_epoch(rule: str) -> None:
    run = base(epochs=200, patience=3, rule=RULES[rule]())
    histories = assert_each_as_alone([vary(run, rate=rate, strength=s) for rate in (0.3, 0.003) for s in (0.0, 0.1)])
    assert {history.status for history in histories} >= {"stopped"}
    assert len({history.epochs for history in histories}) > 1


def test_each_converges_when_it_does() -> None:
    run = base(epochs=3000, tolerance=1e-9, batch_size=None)
    histories = assert_each_as_alone([vary(run, rate=rate, strength=0.5) for rate in (0.3, 0.1, 0.01)])
    assert {history.status for history in histories} == {"converged"}
    assert histories[0].epochs < histories[1].epochs < histories[2].epochs


def test_an_interruption_keeps_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, step, count = grid(base()), FastStep.step, 0

    def interrupted(self: FastStep, *given: Any) -> Tensor:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(FastStep, "step", interrupted)
    histories = train_together(runs)
    assert [(history.status, history.epochs, history.steps) for history in histories] == [("interrupted", 2, 7)] * 6


# --- what is stacked with what -----------------------------------------------------------------------------------


def test_a_small_memory_splits_the_stack(stacked: list[int]) -> None:
    runs = grid(base())
    assert_each_as_alone(runs, memory=4 * stack.bytes_of(runs[0]))
    assert stacked == [4, 2]
    stacked.clear()
    assert_each_as_alone(grid(base()), memory=1)
    assert stacked == []


def test_what_differs_in_more_goes_into_stacks_of_its_own(stacked: list[int]) -> None:
    run = base()
    longer, other = base(epochs=7), copy.copy(run)
    other.rule = Momentum()
    mixed = [*grid(run)[:3], *grid(longer)[:2], vary(other)]
    shuffled = [mixed[i] for i in (3, 0, 5, 1, 4, 2)]
    assert_each_as_alone(shuffled)
    assert sorted(stacked) == [2, 3]  # and the sixth alone


class Counting(Loop):
    """A loop of its own: it counts its epochs."""

    epochs = 0

    def run_epoch(self) -> list[list[float]]:
        Counting.epochs += 1
        return super().run_epoch()


def test_runs_with_a_loop_of_their_own_train_one_after_another(stacked: list[int]) -> None:
    """A run that several processes share is one: a stack would take its own rows for the whole batch."""
    run = base(loop=Counting)
    assert_each_as_alone([vary(run, rate=rate) for rate in (0.1, 0.2)])
    assert stacked == []
    assert Counting.epochs == 2 * 2 * 4


def test_a_net_trains_alone_beside_a_stack(stacked: list[int]) -> None:
    run = base()
    net = TwoLayerNet(4, 3, hidden=5, dtype=torch.float64)
    nets = [vary(run, model=net, rate=rate) for rate in (0.1, 0.2)]
    assert_each_as_alone([nets[0], *grid(run), nets[1]])
    assert stacked == [6]


def test_models_own_their_weights_afterwards() -> None:
    runs = grid(base())
    train_together(runs)
    kept = runs[1].model.weight.detach().clone()
    with torch.no_grad():
        runs[0].model.weight.zero_()
    assert torch.equal(runs[1].model.weight, kept)
    assert runs[0].model.weight.untyped_storage().nbytes() == 12 * 8
    assert runs[0].model.weight.is_leaf
    assert runs[0].model.weight.requires_grad


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    train_together(grid(base()), after_epoch=lambda going, ended: told.append((going, ended)))
    assert told == [(6, 0), (6, 0), (6, 0), (0, 6)]


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "change", "match"),
    [
        (lambda: base(penalty=None), {"strength": 0.1}, "no penalty whose strength could vary"),
        (base, {"strength": -1.0}, "strength must be a number 0 or more, finite; got -1.0"),
        (base, {"rate": 0.0}, "The rate must be above 0; got 0.0"),
        (base, {"margin": 1.0}, "CrossEntropy has no margin to vary"),
        (lambda: base(Perceptron()), {"margin": 1.0}, "Perceptron has no margin"),
        (lambda: base(Hinge()), {"margin": -1.0}, "The margin must be 0 or more; got -1.0"),
    ],
    ids=["no penalty", "strength", "rate", "no margin", "perceptron", "margin"],
)
def test_vary_refuses(run: Any, change: dict[str, float], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        vary(run(), **change)


def test_vary_leaves_the_run_as_it_was() -> None:
    run = base(Hinge())
    vary(run, rate=0.5, strength=0.5, margin=0.5, seed=5)
    assert (run.rate, run.penalty.strength, run.loss.margin, run.seed) == (0.1, 0.01, 1.0, 0)  # type: ignore[union-attr]


def test_a_shared_model_is_refused() -> None:
    run = base()
    with pytest.raises(ConfigError, match="Two runs share one model; each needs its own"):
        train_together([run, run])
