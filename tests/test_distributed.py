"""Several ranks as threads of one process: the arithmetic of sharing, for every loss, rule and kind of batch.

Here the sums are made in memory; test_torchrun.py starts real processes.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from edunn import landscape
from edunn.data import Samples
from edunn.descent import ByHand, Descent, Loop, Progress, descend
from edunn.errors import ConfigError, RunError
from edunn.experiment import RunFolder, share
from edunn.experiment.sharing import SharedStep
from edunn.history import History
from edunn.landscape import Surface, directions
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Logistic,
    Loss,
    MulticlassHinge,
    OneVsAllCrossEntropy,
    OneVsAllHinge,
    SquaredError,
)
from edunn.models import LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L1, L2, ElasticNet, MaxNorm, Penalty
from edunn.runtime import devices
from edunn.runtime.processes import OneProcess, Place, Processes, parse_timeout, ranks
from edunn.updates import RULES, SCHEDULES, CosineDecay, Momentum

T = TypeVar("T")
CLOSE = {"rtol": 1e-12, "atol": 1e-13}  # sums over the samples in another order


class Meeting:
    """Where threads add up their tensors, one round after another."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world)
        self.brought: list[Tensor] = [torch.zeros(0)] * world

    def total(self, rank: int, values: Tensor) -> None:
        self.brought[rank] = values.clone()
        self.barrier.wait(60)
        total = torch.stack(self.brought).sum(0)
        self.barrier.wait(60)
        values.copy_(total)


class Threaded(Processes):
    """A rank whose sums are made in a `Meeting`: all else is what it is over gloo."""

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.place, self.meeting = Place(rank, len(meeting.brought)), meeting
        self.split = self.split_up
        self.size, self.rows = 0, slice(0, 0)
        self.working = self.interrupted = self.stopping = False
        self.buffer = None

    def total(self, values: Tensor) -> Tensor:
        self.meeting.total(self.place.rank, values)
        return values


def on_each(world: int, work: Callable[[Threaded], T]) -> list[T]:
    """What each rank makes of the work."""
    meeting = Meeting(world)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = work(Threaded(rank, meeting))
        except BaseException as error:
            errors.append(error)
            meeting.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), next(iter(errors), None))
    if first is not None:
        raise first
    return [results[rank] for rank in range(world)]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def samples(kind: str, count: int = 47, seed: int = 1) -> Samples:
    """Targets as a loss wants them."""
    x = randn(count, 4, seed=seed)
    if kind == "classes":
        y = torch.arange(count) % 3
        return Samples(x + 2 * torch.nn.functional.one_hot(y, 4), y)
    bits = (x[:, 0] + 0.3 * randn(count, seed=seed + 1) > 0).double()
    real = x @ torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64) + 0.1 * randn(count, seed=seed + 2)
    return Samples(x, {"bits": bits, "signs": 2 * bits - 1, "real": real}[kind])


def alone_and_together(
    world: int, model: Any, loss: Loss, part: Samples, **options: Any
) -> tuple[tuple[Any, History], list[tuple[Any, History]]]:
    """The same run by one process and by several: model and history of each."""

    def run(here: OneProcess) -> tuple[Any, History]:
        own, rest = copy.deepcopy(model), copy.deepcopy(options)
        return own, descend(own, copy.deepcopy(loss), part, loop=share(here), **rest)

    return run(OneProcess()), on_each(world, run)


def assert_same_run(alone: tuple[Any, History], together: list[tuple[Any, History]], **close: float) -> None:
    """The run of one process to rounding; and among the ranks to the bit."""
    close = close or CLOSE
    for model, history in together:
        for (name, one), other in zip(alone[0].state_dict().items(), model.state_dict().values(), strict=True):
            torch.testing.assert_close(other, one, **close, msg=lambda m, name=name: f"{name}: {m}")
        assert (history.status, history.epochs, history.steps) == (alone[1].status, alone[1].epochs, alone[1].steps)
        assert history.columns == alone[1].columns
        for column in history.columns:
            assert history[column] == pytest.approx(alone[1][column], rel=1e-11, abs=1e-12, nan_ok=True), column
        for one, other in zip(together[0][0].state_dict().values(), model.state_dict().values(), strict=True):
            assert torch.equal(one, other)
        assert history.rows == together[0][1].rows


SOFTMAX = SoftmaxClassifier(4, 3, scale=0.1, seed=2, dtype=torch.float64)
LOSSES = {
    "cross-entropy": (SOFTMAX, CrossEntropy(), "classes"),
    "smoothed": (SOFTMAX, CrossEntropy(label_smoothing=0.1), "classes"),
    "multiclass hinge": (SOFTMAX, MulticlassHinge(), "classes"),
    "one-vs-all": (SOFTMAX, OneVsAllHinge(), "classes"),
    "squared, classes": (SOFTMAX, SquaredError(classes=True), "classes"),
    "squared": (LinearRegression(4, dtype=torch.float64), SquaredError(), "real"),
    "absolute": (LinearRegression(4, dtype=torch.float64), AbsoluteError(), "real"),
    "bce": (LogisticRegression(4, dtype=torch.float64), BinaryCrossEntropy(), "bits"),
    "logistic": (LogisticRegression(4, predicts="signs", dtype=torch.float64), Logistic(), "signs"),
    "hinge": (LinearSVM(4, 1, predicts="signs", dtype=torch.float64), Hinge(), "signs"),
}


# --- the loop ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 10, 2, 1], ids=["full", "mini", "fewer than ranks", "single"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_batch_size(name: str, batch_size: int | None) -> None:
    """47 samples: the last batch of 10 has 7, that of 2 has 1, and three ranks share them unevenly, some with none."""
    model, loss, kind = LOSSES[name]
    options = {"rate": 0.02, "epochs": 4, "batch_size": batch_size, "validation": samples(kind, 11, seed=9)}
    assert_same_run(*alone_and_together(3, model, loss, samples(kind), **options))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_schedule(rule: str, schedule: str) -> None:
    options = {"rule": RULES[rule](), "schedule": SCHEDULES[schedule](), "rate": 0.01, "epochs": 5, "batch_size": 16}
    # the adaptive rules divide by the root of a square, which magnifies the rounding of a gradient that is nearly 0
    assert_same_run(*alone_and_together(2, SOFTMAX, CrossEntropy(), samples("classes"), **options), rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "penalty",
    [L2(0.01), L2(0.01, half=True, bias=True), L1(0.01), L1(0.05, proximal=True), ElasticNet(0.01), MaxNorm(0.3)],
    ids=["l2", "l2 half bias", "l1", "proximal", "elastic", "max-norm"],
)
def test_every_penalty_counts_once(penalty: Penalty) -> None:
    options = {"penalty": penalty, "rate": 0.1, "epochs": 5, "batch_size": 16}
    assert_same_run(*alone_and_together(4, SOFTMAX, CrossEntropy(), samples("classes"), **options))


@pytest.mark.parametrize("batch_size", [None, 10, 3], ids=["full", "mini", "fewer than ranks"])
@pytest.mark.parametrize(
    "extra",
    [{}, {"dropout": 0.3}, {"batchnorm": True}, {"batchnorm": True, "dropout": 0.3}],
    ids=["plain", "dropout", "batchnorm", "both"],
)
def test_layers_that_see_a_whole_batch(extra: dict[str, Any], batch_size: int | None) -> None:
    """Statistics, the running ones too, are those of the whole batch, and masks are rows of the whole batch's mask."""
    net = TwoLayerNet(4, 3, hidden=6, seed=3, dtype=torch.float64, **extra)
    options = {"rate": 0.05, "epochs": 4, "batch_size": batch_size, "penalty": L2(1e-3)}
    # a batch of 3 has a variance near 0 now and then, and what is divided by it loses digits
    close = {"rtol": 1e-9, "atol": 1e-11} if batch_size == 3 else CLOSE
    alone, together = alone_and_together(4, net, CrossEntropy(), samples("classes"), **options)
    assert all(getattr(layer, "shared", None) is None for model, _ in together for layer in model.modules())
    assert_same_run(alone, together, **close)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"tolerance": 1e-3, "epochs": 500}, "converged"),
        ({"patience": 2, "epochs": 500, "rate": 3.0}, "stopped"),
        ({"rate": 1e200, "penalty": L2(1.0), "epochs": 50}, "diverged"),
        ({"steps": 13, "batch_size": 10, "evaluate": 0, "snapshots": 4}, "finished"),
    ],
    ids=["tolerance", "patience", "divergence", "steps"],
)
def test_ends_are_the_same_everywhere(options: dict[str, Any], status: str) -> None:
    options = {
        "rate": 0.5,
        "batch_size": 10,
        "rule": Momentum(),
        "validation": samples("classes", 12, seed=5),
    } | options
    alone, together = alone_and_together(3, SOFTMAX, CrossEntropy(), samples("classes"), **options)
    assert {history.status for _, history in [alone, *together]} == {status}
    assert {history.steps for _, history in [alone, *together]} == {alone[1].steps}
    for _, history in together:
        assert [step for step, _ in history.snapshots] == [step for step, _ in alone[1].snapshots]


def test_goes_on_to_the_same_bits() -> None:
    """A run that several ranks broke off and took up again, against one that they did not."""
    part = samples("classes")
    options = {"rate": 0.3, "batch_size": 10, "schedule": CosineDecay(), "epochs": 6}

    def whole(here: Threaded) -> Any:
        model = copy.deepcopy(SOFTMAX)
        descend(model, CrossEntropy(), part, rule=Momentum(), loop=share(here), **options)
        return model

    def broken(here: Threaded) -> Any:
        model, rule, kept = copy.deepcopy(SOFTMAX), Momentum(), {}

        def stop(at: Progress) -> None:
            if at.epoch == 3:
                kept.update(at=copy.deepcopy(at))
                raise KeyboardInterrupt

        descend(model, CrossEntropy(), part, rule=rule, loop=share(here), after_epoch=stop, **options)
        descend(model, CrossEntropy(), part, rule=rule, loop=share(here), progress=kept["at"], **options)
        return model

    for one, other in zip(on_each(2, whole), on_each(2, broken), strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)


@pytest.mark.parametrize("batch_size", [None, 10, 1], ids=["full", "mini", "single"])
def test_an_interrupt_of_one_ends_all_at_one_step(batch_size: int | None) -> None:
    def run(here: Threaded) -> tuple[Any, History]:
        def call(at: Progress) -> None:
            if at.epoch == 2 and here.place.rank == 1:
                here.interrupted = True  # what the signal handler does

        model = copy.deepcopy(SOFTMAX)
        options = {"rate": 0.1, "batch_size": batch_size, "epochs": 50, "after_epoch": call}
        return model, descend(model, CrossEntropy(), samples("classes"), loop=share(here), **options)

    (first, history), (second, other) = on_each(2, run)
    assert history.status == other.status == "interrupted"
    assert history.message == other.message
    # with one sample a step nothing is exchanged within an epoch: the call is heard at the end of the third
    assert history.epochs == other.epochs == (3 if batch_size == 1 else 2)
    assert torch.equal(first.weight, second.weight)


def test_torch_optim_is_for_one_process() -> None:
    with pytest.raises(ConfigError, match="A run of several processes is by='fast' or by='hand'"):
        on_each(
            2,
            lambda here: descend(
                SOFTMAX, CrossEntropy(), samples("classes"), rate=0.1, by="autograd", loop=share(here)
            ),
        )


def test_a_single_sample_takes_the_fast_steps_and_a_batch_is_shared() -> None:
    loop = share(Threaded(0, Meeting(1)))
    made = {size: Descent(SOFTMAX, CrossEntropy(), samples("classes"), 0.1, size, loop=loop) for size in (1, 10)}
    assert not isinstance(made[1].stepper("fast"), ByHand)
    assert type(made[1].stepper("hand")) is ByHand
    for by in ("fast", "hand"):
        assert type(made[10].stepper(by)) is SharedStep


def test_a_shared_run_is_in_full_precision() -> None:
    model, part = SoftmaxClassifier(4, 3), samples("classes").to(dtype=torch.float32)
    run = Descent(model, CrossEntropy(), part, 0.1, 10, precision="bf16", loop=share(Threaded(0, Meeting(1))))
    with pytest.raises(ConfigError, match="Precision 'bf16' is for one process"):
        run.stepper("fast")


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_parts_follow_one_another(world: int) -> None:
    for count in range(20):
        parts = [Threaded(rank, Meeting(world)).part(count) for rank in range(world)]
        assert [row for part in parts for row in range(count)[part]] == list(range(count))
        lengths = [part.stop - part.start for part in parts]
        assert max(lengths) - min(lengths) <= 1
        assert sum(map(bool, lengths)) == min(world, count)


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Place()),
        ({"WORLD_SIZE": "4"}, Place()),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, Place(3, 4, 1, 2)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Place(1, 2, 0, 1)),
    ],
    ids=["nothing", "no rank", "torchrun", "a launcher of its own"],
)
def test_place(environment: dict[str, str], place: Place) -> None:
    assert Place.of(environment) == place


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK must be a whole number, as torchrun sets it; got 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK must be below WORLD_SIZE = 2; got 2"),
    ],
)
def test_places_that_cannot_be(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Place.of(environment)


def test_alone_is_what_a_plain_python_gets() -> None:
    here = ranks()
    assert type(here) is OneProcess
    assert share(here) is Loop
    assert here.leads
    assert here.lead(lambda: 3) == here.each(lambda: 3) == 3
    assert here.collect(lambda: "a") == ["a"]


@pytest.mark.parametrize("text", ["", "0", "-3", "nan", "inf", "soon"])
def test_a_timeout_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="EDUNN_TIMEOUT must be a number of seconds above 0"):
        parse_timeout(text)


def test_timeouts() -> None:
    assert parse_timeout("2.5") == 2.5
    assert parse_timeout(None) < 30  # a run whose rank does not answer ends in half a minute


@pytest.mark.parametrize(
    ("name", "rank", "expected"),
    [
        ("cuda", "1", "cuda:1"),
        ("auto", "0", "cuda:0"),
        ("cuda", "2", "This machine has 2 CUDA devices, and process 3 gets none"),
        ("cuda:1", "0", "Under torchrun each process takes its own device"),
    ],
)
def test_each_process_takes_its_own_device(
    name: str, rank: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", rank)
    if expected.startswith("cuda"):
        assert str(devices.device(name)) == expected
        assert current == [int(rank)]
    else:
        with pytest.raises(ConfigError, match=expected):
            devices.device(name)


def test_what_a_killed_start_leaves_is_nothing(tmp_path: Path) -> None:
    """A restart finds the folder that was being made when the first attempt was killed."""
    folder = RunFolder(tmp_path)
    folder.create()
    folder.write("manifest.json", '{"versions": {"edunn": "0.0.0"}}')
    folder.write(".config.toml.17.part", "half a conf")
    assert not folder.begun()
    folder.check_free()
    folder.write("notes.txt", "mine")
    with pytest.raises(RunError, match="holds files and is not overwritten"):
        folder.check_free()
    folder.write("config.toml", "")
    with pytest.raises(RunError, match="edunn train --resume"):
        folder.check_free()


# --- surfaces ---------------------------------------------------------------------------------------------------------


def one_feature(loss: Loss, kind: str, window: float = 20, **options: Any) -> Callable[[Any], Surface]:
    part = samples(kind, 200)
    assert part.targets is not None
    x, y = part.features[:, 0], part.targets
    return lambda split: landscape.grid(
        x, y, loss, (-window, window, 45), (-window, window, 38), split=split, **options
    )


def over_a_plane(model: Any, loss: Loss, **options: Any) -> Callable[[Any], Surface]:
    first, second = directions.random(model, 1), directions.random(model, 2)
    window = (-1.0, 1.0, 17)
    return lambda split: landscape.plane(
        copy.deepcopy(model), loss, samples("classes"), first, second, window, window, split=split, **options
    )


NET = TwoLayerNet(4, 3, hidden=5, activation="tanh", seed=1, dtype=torch.float64)
SURFACES = {
    "direct, factored": one_feature(BinaryCrossEntropy(), "bits", method="direct"),
    "direct, plain": one_feature(Hinge(), "signs", method="direct"),
    "spectral": one_feature(SquaredError(), "real", method="auto"),
    "spectral, compressed": one_feature(Logistic(), "signs", 3, method="spectral"),
    "exact, by label": one_feature(Hinge(), "signs", method="exact"),
    "exact, by residual": one_feature(AbsoluteError(), "real", method="exact"),
    "with derivatives": one_feature(Logistic(), "signs", derivatives=True),
    "a plane": over_a_plane(SOFTMAX, CrossEntropy(), penalty=L2(0.1)),
    "a plane, spectral": over_a_plane(SOFTMAX, CrossEntropy(), method="spectral"),
    "a net": over_a_plane(NET, CrossEntropy()),
}


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces(name: str) -> None:
    make = SURFACES[name]
    alone = make(OneProcess.split)

    def read(here: Threaded) -> tuple[Surface, dict[str, Any]]:
        surface = make(here.split)
        return surface, surface.basins(0.1, 40).summary()

    # plateaus and curvature are cached properties, whose one lock threads would wait for: see test_torchrun.py
    for surface, basins in on_each(3, read):
        torch.testing.assert_close(surface.values, alone.values, **CLOSE)
        assert surface.method == alone.method
        assert basins == pytest.approx(alone.basins(0.1, 40).summary(), rel=1e-12)


def test_fewer_rows_than_ranks_are_not_shared() -> None:
    part = samples("bits", 30)
    make = lambda split: landscape.grid(  # noqa: E731
        part.features[:, 0], part.targets, BinaryCrossEntropy(), (-1, 1, 2), (-1, 1, 9), split=split
    )
    for surface in on_each(3, lambda here: make(here.split)):
        assert torch.equal(surface.values, make(OneProcess.split).values)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.05}, {"clip_value": 0.02}], ids=["", "by norm", "by value"])
@pytest.mark.parametrize("batch_size", [None, 10, 1])
@pytest.mark.parametrize("world", [2, 3])
def test_weighted_samples_are_shared(world: int, batch_size: int | None, options: dict[str, float]) -> None:
    """Rows without weight on one rank, and batches without any, are those of one process."""
    part = samples("classes")
    weights = torch.arange(47) % 4.0
    weights[:20] = 0
    weighted = Samples(part.features, part.targets, sample_weight=weights)
    run = alone_and_together(
        world, SOFTMAX, CrossEntropy(), weighted, rate=0.2, batch_size=batch_size, epochs=4, penalty=L2(0.01),
        rule=Momentum(), **options,
    )  # fmt: skip
    assert_same_run(*run)


@pytest.mark.parametrize("batch_size", [None, 10, 1])
@pytest.mark.parametrize("world", [2, 3])
def test_several_labels_and_ignored_samples_are_shared(world: int, batch_size: int | None) -> None:
    part = samples("classes")
    bits = torch.nn.functional.one_hot((part.targets + 1) % 3, 3) + torch.nn.functional.one_hot(part.targets, 3)
    rows = Samples(part.features, bits.to(part.features.dtype))
    options = {"rate": 0.2, "batch_size": batch_size, "epochs": 3, "penalty": L2(0.01)}
    run = alone_and_together(
        world, LogisticRegression(4, outputs=3, dtype=torch.float64),
        OneVsAllCrossEntropy(), rows, **options,
    )  # fmt: skip
    assert_same_run(*run)
    y = part.targets.clone()
    y[:20] = -100
    left_out = Samples(part.features, y)
    assert_same_run(*alone_and_together(world, SOFTMAX, CrossEntropy(ignore_index=-100), left_out, **options))
