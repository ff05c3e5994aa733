"""The same numbers on a CUDA device as on the CPU. Skipped where there is none."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import torch

import edunn
from edunn.data import Samples
from edunn.descent import Descent
from edunn.descent.fast import CudaGraphSteps
from edunn.experiment import train
from edunn.losses import LOSSES, SquaredError
from edunn.runtime.rows import Rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def problem(name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and targets in the domain of the loss."""
    generator = torch.Generator().manual_seed(0)
    loss = LOSSES[name]()
    scores = torch.randn(64, *(5,) * loss.class_axis, generator=generator, dtype=dtype)
    bits = torch.randint(0, 2, (64,), generator=generator)
    targets = {
        "real": torch.randn(64, generator=generator, dtype=dtype),
        "bits": bits.to(dtype),
        "signs": (2 * bits - 1).to(dtype),
        "classes": torch.randint(0, 5, (64,), generator=generator),
    }[loss.labels]
    return scores, targets


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "zero-one"])
def test_losses_agree(name: str, dtype: torch.dtype) -> None:
    loss = LOSSES[name]()
    scores, targets = problem(name, dtype)
    torch.testing.assert_close(loss(scores.cuda(), targets.cuda()).cpu(), loss(scores, targets))
    torch.testing.assert_close(loss.gradient(scores.cuda(), targets.cuda()).cpu(), loss.gradient(scores, targets))


def test_targets_elsewhere_are_refused() -> None:
    with pytest.raises(edunn.errors.DtypeError, match="on the scores' device"):
        SquaredError()(torch.zeros(3, device="cuda"), torch.zeros(3))


@pytest.mark.parametrize("rule", sorted(edunn.updates.RULES))
def test_a_run_takes_the_same_batches_and_the_same_steps(rule: str) -> None:
    samples = edunn.data.TOYS["blobs"](samples=200)
    model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1, dtype=torch.float64)
    twin = copy.deepcopy(model).cuda()
    for net, part in ((model, samples), (twin, samples.to("cuda"))):
        edunn.descend(
            net,
            edunn.losses.CrossEntropy(),
            part,
            rate=0.01,
            batch_size=32,
            epochs=20,
            rule=edunn.updates.RULES[rule](),
        )
    torch.testing.assert_close(twin.weight.cpu(), model.weight, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 30])
@pytest.mark.parametrize("rule", ["gradient-descent", "momentum"])
def test_a_recorded_block_takes_the_steps_of_the_readable_loop(rule: str, batch_size: int) -> None:
    samples = edunn.data.TOYS["blobs"](samples=200).to("cuda")
    weights = []
    for by in ("hand", "fast"):
        model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1, dtype=torch.float64).cuda()
        loops = {"epochs": 4, "snapshots": 7, "schedule": edunn.updates.SCHEDULES["cosine"]()}
        penalty, step = edunn.penalties.L2(0.01), edunn.updates.RULES[rule]()
        run = Descent(
            model, edunn.losses.CrossEntropy(), samples, 0.05, batch_size, penalty=penalty, rule=step, **loops
        )
        assert isinstance(run.stepper(by), CudaGraphSteps) == (by == "fast")
        history = run.go(by)
        weights.append([model.weight.detach()] + [kept["weight"] for _, kept in history.snapshots])
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-11, atol=1e-12)


def test_a_stack_of_runs_there_is_each_of_them_alone() -> None:
    samples = edunn.data.TOYS["blobs"](samples=200).to("cuda")
    model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1, dtype=torch.float64).cuda()
    base = Descent(model, edunn.losses.CrossEntropy(), samples, 0.05, 32, epochs=4, penalty=edunn.penalties.L2(0.01))
    runs = [edunn.descent.stack.vary(base, rate=rate, strength=s) for rate in (0.01, 0.1) for s in (0.0, 0.1)]
    alone = copy.deepcopy(runs)
    edunn.descent.stack.train_together(runs)
    for run, other in zip(runs, alone, strict=True):
        other.go("hand")
        torch.testing.assert_close(run.model.weight, other.model.weight, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("precision", "digits"), [("tf32", 2**-10), ("bf16", 2**-7)])
def test_products_of_fewer_digits(precision: str, digits: float) -> None:
    samples = edunn.data.TOYS["blobs"](samples=200).to("cuda", torch.float32)
    weights = []
    for name in ("full", precision):
        model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1).cuda()
        edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=0.01, batch_size=32, epochs=2, precision=name)
        weights.append(model.weight.detach())
    assert edunn.differences.relative_error(weights[1], weights[0]) < digits
    assert not torch.backends.cuda.matmul.allow_tf32  # the switch is as it was


def test_a_config_trains_there_and_loads_here(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tables = {
        "data": {"name": "digits", "validation": 0.1},
        "features": {"standardise": True},
        "model": "softmax",
        "loss": "cross-entropy",
        "train": {"rate": 0.1, "batch_size": 64, "epochs": 5},
        "run": {"device": "cuda"},
    }
    run = train(edunn.experiment.config.parse(tables), tmp_path / "run")
    assert run.summary["device"] == "cuda"
    assert run.model.weight.device.type == "cpu"
    assert run.summary["test_accuracy"] > 0.85


@pytest.mark.parametrize("resident", [True, False], ids=["on the device", "in a file"])
def test_rows_train_on_a_device_without_a_number(resident: bool) -> None:
    """`cuda`, as a config has it, and the `cuda:0` of the tensors are one device."""
    samples = edunn.data.TOYS["blobs"](samples=200)
    there, weights = samples.to("cuda"), []
    part = there.features if resident else samples.features
    for features in (there.features, Rows(part.split([80, 120]), device="cuda")):
        model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1, dtype=torch.float64).cuda()
        train = Samples(cast(Any, features), there.targets)
        edunn.descend(model, edunn.losses.CrossEntropy(), train, rate=0.05, batch_size=30, epochs=3)
        weights.append(model.weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-12, atol=1e-13)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_a_block_is_recorded_on_the_device_of_its_weights() -> None:
    weights = []
    for device in ("cuda:0", "cuda:1"):
        samples = edunn.data.TOYS["blobs"](samples=200).to(device)
        model = edunn.models.SoftmaxClassifier(2, 3, scale=0.1, dtype=torch.float64).to(device)
        edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=0.05, batch_size=10, epochs=3)
        weights.append(model.weight.detach().cpu())
    torch.testing.assert_close(*weights, rtol=1e-11, atol=1e-12)


def test_only_the_recorded_steps_that_are_taken_count() -> None:
    samples = edunn.data.TOYS["blobs"](samples=200).to("cuda")
    model = edunn.models.SoftmaxClassifier(2, 3, dtype=torch.float64).cuda()
    run = Descent(model, edunn.losses.CrossEntropy(), samples, 0.05, 10, epochs=3)
    assert run.go().steps == run.rule.steps == 60
