"""Runs on disk: what is written, what is read back, and how a run goes on where it was cut off."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import edunn
from edunn import data, experiment
from edunn.cli import main
from edunn.errors import ConfigError, EdunnError, RunError
from edunn.experiment import config
from edunn.experiment.train import add_rate

ROOT = Path(__file__).parent.parent


def digits(**train: Any) -> config.Config:
    """A short run on the digits."""
    options = {"rate": 0.1, "batch_size": 64, "epochs": 6, "rule": "adam", "schedule": "cosine"} | train
    return config.parse(
        {
            "data": {"name": "digits", "validation": 0.1},
            "features": {"standardise": True},
            "model": "softmax",
            "loss": "cross-entropy",
            "penalty": {"kind": "l2", "strength": 1e-3},
            "train": options,
            "run": {"name": "digits"},
        }
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def same_bits(first: Path, second: Path) -> None:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def test_a_run_loads_as_it_was(tmp_path: Path) -> None:
    done = experiment.train(digits(snapshots=20), tmp_path / "run")
    again = edunn.load(tmp_path / "run")
    samples = edunn.data.digits().test
    assert samples is not None
    assert again.summary == done.summary
    assert again.history.rows == done.history.rows
    predictions = again.predict(samples)
    assert predictions.score == pytest.approx(done.summary["test_accuracy"])
    right = sum(a == again.classes[b] for a, b in zip(predictions.labels, samples.targets.tolist(), strict=True))
    assert right / len(samples) == pytest.approx(predictions.score)


def test_standardisation_is_fitted_on_the_training_part_alone(tmp_path: Path) -> None:
    prepared = experiment.prepare(digits())
    assert prepared.validation is not None
    mean = prepared.train.features.mean(0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
    assert float(prepared.validation.features.mean(0).abs().max()) > 1e-3


def test_manifest_says_what_the_run_was(tmp_path: Path) -> None:
    experiment.train(digits(epochs=1), tmp_path / "run", command=["edunn", "train", "digits.toml"])
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["command"] == ["edunn", "train", "digits.toml"]
    assert manifest["versions"]["torch"] == torch.__version__
    assert manifest["data"]["samples"] == {"train": 1293, "validation": 144, "test": 360}
    assert len(manifest["data"]["sha256"]) == 64


class Cut(Exception):
    """Stands for the power going out."""


@pytest.mark.parametrize("rule", ["gradient-descent", "momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_resumed_run_ends_in_the_same_bits(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["edunn.experiment.train"]
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 0.0)
    experiment.train(digits(rule=rule), tmp_path / "whole")

    save, count = module.save_checkpoint, 0

    def save_then_cut(*args: Any) -> None:
        nonlocal count
        save(*args)
        count += 1
        if count == 3:
            raise Cut

    monkeypatch.setattr(module, "save_checkpoint", save_then_cut)
    with pytest.raises(Cut):
        experiment.train(digits(rule=rule), tmp_path / "cut")
    assert not (tmp_path / "cut" / "summary.json").exists()
    monkeypatch.setattr(module, "save_checkpoint", save)
    resumed = experiment.resume(tmp_path / "cut")
    same_bits(tmp_path / "whole", tmp_path / "cut")
    whole = edunn.load(tmp_path / "whole")
    assert resumed.history.rows == whole.history.rows


def test_early_stopping_survives_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["edunn.experiment.train"]
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 0.0)
    options = {"rate": 0.3, "epochs": 60, "patience": 3, "schedule": "constant"}
    whole = experiment.train(digits(**options), tmp_path / "whole")
    assert whole.summary["status"] == "stopped"
    experiment.train(digits(**options), tmp_path / "cut")
    (tmp_path / "cut" / "summary.json").unlink()  # killed after its last epoch, before it wrote its results
    resumed = experiment.resume(tmp_path / "cut")
    assert resumed.summary["status"] == "stopped"
    assert resumed.history.rows == whole.history.rows
    same_bits(tmp_path / "whole", tmp_path / "cut")


def start(folder: Path, *extra: str) -> subprocess.Popen[bytes]:
    """A run of a few seconds in a process of its own."""
    (folder.parent / "long.toml").write_text(config.dump(digits(epochs=400)))
    return subprocess.Popen(
        [sys.executable, "-m", "edunn", "train", str(folder.parent / "long.toml"), "--out", str(folder), *extra],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The long run, left alone."""
    folder = tmp_path_factory.mktemp("uncut") / "run"
    experiment.train(digits(epochs=400), folder)
    return folder


def wait_for(path: Path, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be cut"
        assert time.monotonic() < end, f"no {path.name} after {seconds} s"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("blow", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], ids=["killed", "interrupted"]
)
def test_a_process_cut_off_in_the_middle_resumes_to_the_same_bits(
    blow: signal.Signals, code: int, uncut: Path, tmp_path: Path
) -> None:
    process = start(tmp_path / "cut")
    wait_for(tmp_path / "cut" / "checkpoint.safetensors", process)
    process.send_signal(blow)
    assert process.wait(60) == code
    assert start(tmp_path / "cut", "--resume").wait(120) == 0
    same_bits(uncut, tmp_path / "cut")


@pytest.mark.parametrize("by", ["fast", "hand"])
def test_more_epochs_go_on_from_a_finished_run(by: str, tmp_path: Path) -> None:
    experiment.train(digits(epochs=4, schedule="constant"), tmp_path / "run", by=by)
    experiment.resume(tmp_path / "run", overrides=["train.epochs=9"])
    experiment.train(digits(epochs=9, schedule="constant"), tmp_path / "whole", by=by)
    same_bits(tmp_path / "whole", tmp_path / "run")


def test_a_run_goes_on_by_the_steps_that_it_began_with(tmp_path: Path) -> None:
    experiment.train(digits(epochs=2, schedule="constant"), tmp_path / "run", by="hand")
    with pytest.raises(ConfigError, match=r"was by hand and cannot continue by fast\. Leave out --by"):
        experiment.resume(tmp_path / "run", by="fast", overrides=["train.epochs=3"])
    assert experiment.resume(tmp_path / "run", by="hand", overrides=["train.epochs=3"]).summary["epochs"] == 3


def test_fewer_epochs_than_were_run_are_refused(tmp_path: Path) -> None:
    experiment.train(digits(schedule="constant"), tmp_path / "run")
    before = (tmp_path / "run" / "summary.json").read_bytes()
    with pytest.raises(ConfigError, match=r"has 6 epochs already"):
        experiment.resume(tmp_path / "run", overrides=["train.epochs=5"])
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_a_schedule_that_was_planned_to_the_end_is_not_stretched(tmp_path: Path) -> None:
    experiment.train(digits(schedule="cosine"), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"The schedule 'cosine' of the run in .* ends at train\.epochs = 6"):
        experiment.resume(tmp_path / "run", overrides=["train.epochs=9"])


def test_a_run_by_autograd_is_not_continued_by_hand(tmp_path: Path) -> None:
    experiment.train(digits(), tmp_path / "run", by="autograd")
    with pytest.raises(RunError, match="was by autograd and kept no checkpoint"):
        experiment.resume(tmp_path / "run", overrides=["train.epochs=6"])


def test_a_precision_that_a_way_does_not_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    options = dataclasses.replace(digits(), run=config.Run("digits", precision="bf16"))
    with pytest.raises(ConfigError, match="Precision 'bf16' needs by='fast' in one process"):
        experiment.train(options, tmp_path / "run", by="autograd")
    assert not (tmp_path / "run").exists()


def test_any_other_change_is_refused(tmp_path: Path) -> None:
    experiment.train(digits(), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"train\.batch_size was 64 and is now 8 in the run in"):
        experiment.resume(tmp_path / "run", overrides=["train.batch_size=8"])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_resumed_run_may_change_its_rate_and_records_it(
    momentum: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The steps of torch's SGD, whose rate is lowered twice by hand; each change stands in every record."""
    tables = {
        "data": {"name": "moons"},
        "model": "logistic-regression",
        "loss": "bce",
        "train": {"rate": 0.5, "epochs": 3, "rule": {"kind": "momentum", "momentum": momentum}},
        "run": {"dtype": "float64"},
    }
    run, out = experiment.train(config.parse(tables), tmp_path / "run"), str(tmp_path / "run")
    assert run.summary["rates"] == [{"after_epoch": 0, "rate": 0.5}]
    assert main(["train", "--resume", out, "--set", "train.rate=0.1", "--set", "train.epochs=5"]) == 0
    assert "rate 0.5, 0.1 after epoch 3" in capsys.readouterr().out
    notes: list[str] = []
    run = experiment.resume(out, overrides=["train.rate=0.02", "train.epochs=7"], note=notes.append)
    assert notes == ["note: the rate changes from 0.1 to 0.02 after epoch 5"]

    rates = [0.5] * 3 + [0.1] * 2 + [0.02] * 2
    samples = data.load("moons").train
    assert samples.targets is not None
    net = torch.nn.Linear(2, 1, dtype=torch.float64)
    torch.nn.init.zeros_(net.weight)
    torch.nn.init.zeros_(net.bias)
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0, momentum=momentum)
    for rate in rates:
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        scores = net(samples.features.double()).squeeze(-1)
        torch.nn.functional.binary_cross_entropy_with_logits(scores, samples.targets.double()).backward()
        optimiser.step()
    torch.testing.assert_close(run.model.weight.detach(), net.weight.detach(), rtol=1e-12, atol=1e-14)

    assert run.history["rate"] == rates
    assert run.config.train.rate == run.summary["rate"] == 0.02
    changes = [(entry["after_epoch"], entry["rate"]) for entry in run.summary["rates"]]
    assert changes == [(0, 0.5), (3, 0.1), (5, 0.02)]
    assert main(["show", out]) == 0
    assert "rate 0.5, 0.1 after epoch 3, 0.02 after epoch 5" in capsys.readouterr().out


def test_a_rate_that_could_change_nothing_is_refused(tmp_path: Path) -> None:
    experiment.train(digits(epochs=2), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"all 2 epochs were run.*another rate changes nothing\. Ask for more epochs"):
        experiment.resume(tmp_path / "run", overrides=["train.rate=0.2"])
    assert experiment.load(tmp_path / "run").summary["rates"] == [{"after_epoch": 0, "rate": 0.1}]
    diverged = dataclasses.replace(digits(epochs=9), train=config.Train(rate=1e300, epochs=9))
    diverged = dataclasses.replace(diverged, run=config.Run("digits", dtype="float64"))
    assert experiment.train(diverged, tmp_path / "far").summary["status"] == "diverged"
    with pytest.raises(ConfigError, match=r"another rate changes nothing\. Start a new run"):
        experiment.resume(tmp_path / "far", overrides=["train.rate=0.1"])


def test_a_cut_off_resume_records_its_rate_once() -> None:
    rates = [{"after_epoch": 0, "rate": 0.5}, {"after_epoch": 3, "rate": 0.1}]
    assert add_rate(rates, 3, 0.1) == rates  # written, and then cut off before its first epoch
    assert add_rate(rates, 3, 0.2) == [rates[0], {"after_epoch": 3, "rate": 0.2}]
    assert add_rate(rates, 3, 0.5) == rates[:1]
    assert add_rate(rates, 9, 0.1) == rates


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    experiment.train(digits(), tmp_path / "digits")
    moons = config.load(ROOT / "configs" / "moons_logistic.toml", ["train.epochs=3"])
    experiment.train(moons, tmp_path / "moons")
    (tmp_path / "digits" / "checkpoint.safetensors").replace(tmp_path / "moons" / "checkpoint.safetensors")
    with pytest.raises(RunError, match="are those of another model"):
        experiment.resume(tmp_path / "moons", overrides=["train.epochs=5"])


@pytest.mark.parametrize(
    "file", ["config.toml", "model.safetensors", "features.safetensors", "manifest.json", "summary.json"]
)
@pytest.mark.parametrize("damage", ["cut", "missing", "garbage"])
def test_damaged_run_is_one_sentence(file: str, damage: str, tmp_path: Path) -> None:
    experiment.train(digits(epochs=1), tmp_path / "run")
    path = tmp_path / "run" / file
    if damage == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2 - 3] if damage == "cut" else b"[garbage")
    with pytest.raises(EdunnError, match=re.escape(file)):
        edunn.load(tmp_path / "run")


def test_a_pickle_in_place_of_weights_is_not_executed(tmp_path: Path) -> None:
    experiment.train(digits(epochs=1), tmp_path / "run")
    torch.save({"weight": torch.zeros(10, 64)}, tmp_path / "run" / "model.safetensors")
    with pytest.raises(RunError, match="is damaged or does not contain tensors"):
        edunn.load(tmp_path / "run")


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "logistic", "hinge", "perceptron", "squared-error"])
def test_every_two_class_loss_trains_in_its_own_labels(loss: str, tmp_path: Path) -> None:
    """Labels are converted to the loss's convention, and the model decides in the same one."""
    tables = {
        "data": {"name": "moons", "samples": 200},
        "model": "logistic-regression",
        "loss": loss,
        "train": {"rate": 0.1, "epochs": 200},
    }
    done = experiment.train(config.parse(tables), tmp_path / "run")
    assert done.summary["train_accuracy"] > 0.8
    fresh = edunn.data.TOYS["moons"](samples=200)
    assert done.predict(fresh).score == pytest.approx(done.summary["train_accuracy"])


def test_autograd_trains_to_the_same_place(tmp_path: Path) -> None:
    options = config.parse(config.to_tables(digits(rule="momentum")) | {"run": {"dtype": "float64"}})
    by_hand = experiment.train(options, tmp_path / "hand", by="hand")
    by_autograd = experiment.train(options, tmp_path / "autograd", by="autograd")
    torch.testing.assert_close(by_hand.model.weight, by_autograd.model.weight, rtol=1e-10, atol=1e-12)
