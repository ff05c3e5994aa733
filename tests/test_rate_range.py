"""The rate-range test: what it suggests trains, what it is given stays as it is, and torch takes the same steps."""

from __future__ import annotations

import copy
import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import edunn
from edunn import Samples, data, figures
from edunn.cli import main
from edunn.descent import RateRange, find_rate
from edunn.errors import ConfigError
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Hinge, SquaredError
from edunn.models import LinearRegression, LogisticRegression, SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L2
from edunn.updates import Adam, Momentum, Nesterov

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
DIGITS = data.digits().train[:400]


def moons(kind: str) -> Samples:
    part = data.load("moons").train
    assert part.targets is not None
    bits = part.targets.double()
    return Samples(part.features, 2 * bits - 1 if kind == "signs" else bits)


def line(scale: float) -> Samples:
    part = data.load("line").train
    return Samples(part.features * scale, part.targets)


Case = tuple[Callable[[], nn.Module], Any, Samples, dict[str, Any]]
CASES: dict[str, Case] = {
    "least squares": (lambda: LinearRegression(1, dtype=torch.float64), SquaredError(), line(1.0), {}),
    "least squares, x of 1e4": (lambda: LinearRegression(1, dtype=torch.float64), SquaredError(), line(1e4), {}),
    "least squares, x of 1e-3": (lambda: LinearRegression(1, dtype=torch.float64), SquaredError(), line(1e-3), {}),
    "softmax, full": (lambda: SoftmaxClassifier(64, 10), CrossEntropy(), DIGITS, {}),
    "softmax, mini": (lambda: SoftmaxClassifier(64, 10), CrossEntropy(), DIGITS, {"batch_size": 32}),
    "softmax, single": (lambda: SoftmaxClassifier(64, 10), CrossEntropy(), DIGITS, {"batch_size": 1}),
    "softmax, adam": (lambda: SoftmaxClassifier(64, 10), CrossEntropy(), DIGITS, {"batch_size": 32, "rule": Adam()}),
    "hinge": (lambda: LogisticRegression(2, predicts="signs", dtype=torch.float64), Hinge(), moons("signs"), {}),
    "clipped": (
        lambda: LogisticRegression(2, dtype=torch.float64),
        BinaryCrossEntropy(),
        moons("bits"),
        {"rule": Nesterov(), "penalty": L2(0.1), "clip_norm": 0.1},
    ),
    "net": (
        lambda: TwoLayerNet(64, 10, hidden=20, dropout=0.3, batchnorm=True),
        CrossEntropy(),
        DIGITS,
        {"batch_size": 32, "rule": Momentum()},
    ),
    "torch net": (
        lambda: nn.Sequential(nn.Linear(64, 20), nn.Dropout(0.3), nn.ReLU(), nn.Linear(20, 10)),
        CrossEntropy(),
        DIGITS,
        {"batch_size": 32, "by": "autograd"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_suggestion_trains_and_nothing_is_touched(name: str) -> None:
    make, loss, samples, options = CASES[name]
    model = make()
    before, rule = copy.deepcopy(model.state_dict()), options.get("rule")
    drawn = torch.get_rng_state()
    found = find_rate(model, loss, samples, **options)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training
    assert rule is None or (rule.steps == 0 and not rule.state)
    assert found.suggestion is not None
    assert found.after is not None
    assert found.after < found.before
    history = edunn.descend(model, loss, samples, rate=found.suggestion, epochs=40, **options)
    assert history.status == "finished"
    assert history["total"][-1] < 0.9 * found.before
    assert history["total"][-1] <= history["total"][0] + 1e-9
    # a hundredth of the rate is slower: the suggestion is not merely small
    slow = make()
    slower = edunn.descend(slow, loss, samples, rate=found.suggestion / 100, epochs=40, **options)
    assert slower["total"][-1] > history["total"][-1]


def test_the_steps_are_those_of_torch() -> None:
    part = moons("bits")
    found = find_rate(
        LogisticRegression(2, dtype=torch.float64), BinaryCrossEntropy(), part, low=1e-3, high=10.0, steps=20
    )
    net = nn.Linear(2, 1, dtype=torch.float64)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, (10.0 / 1e-3) ** (1 / 19))
    for rate, value in zip(found.rates, found.losses, strict=True):
        assert optimiser.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-12)
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(net(part.features).squeeze(-1), part.targets)
        assert loss.item() == pytest.approx(value, rel=1e-12)
        loss.backward()
        optimiser.step()
        scheduler.step()


def test_where_the_limit_is_known_it_is_said() -> None:
    found = find_rate(LinearRegression(1, dtype=torch.float64), SquaredError(), line(1.0))
    x = torch.cat([torch.ones(100, 1), line(1.0).features], 1).double()
    largest = float(torch.linalg.eigvalsh(2 * x.mT @ x / 100)[-1])
    assert found.stable_rate == pytest.approx(2 / largest, rel=1e-9)
    assert found.suggestion is not None
    assert found.suggestion < found.stable_rate
    assert "2/λmax" in str(found)
    assert find_rate(SoftmaxClassifier(64, 10), CrossEntropy(), DIGITS, steps=50).stable_rate is None


def test_at_a_minimum_there_is_nothing_to_suggest() -> None:
    model = LinearRegression(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(3.0)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(1)
    found = find_rate(model, SquaredError(), (x, 2 * x.squeeze(1) + 3))
    assert found.suggestion is None
    assert "no rate lowered the loss" in str(found)
    figures.rate_range(found)


def test_samples_without_weight_take_no_step() -> None:
    part = moons("bits")
    weights = torch.zeros(len(part))
    weights[::2] = 1.0
    weighted = Samples(part.features, part.targets, sample_weight=weights)
    found = find_rate(
        LogisticRegression(2, dtype=torch.float64), BinaryCrossEntropy(), weighted, batch_size=1, steps=60
    )
    assert all(value > 0 for value in found.losses)
    assert found.suggestion is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [({"low": 0.0}, "low"), ({"low": 1.0, "high": 1.0}, "high"), ({"steps": 5}, "steps"), ({"high": math.inf}, "high")],
    ids=repr,
)
def test_ranges_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_rate(LinearRegression(1, dtype=torch.float64), SquaredError(), line(1.0), **options)


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rates"
    config = str(CONFIGS / "line_regression.toml")
    assert main(["train", config, "--find-rate", "--out", str(out), "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "summary.json").read_text())
    assert found["suggestion"] < found["stable_rate"]
    rows = list(csv.DictReader((out / "rates.csv").read_text().splitlines()))
    assert [float(row["rate"]) for row in rows] == found["rates"]
    assert Path(found["figures"][0]).is_file()
    assert main(["train", config, "--find-rate", "--out", str(out), "--quiet"]) == 2  # nothing is overwritten
    assert "not overwritten" in capsys.readouterr().err
    change = f"train.rate={found['suggestion']}"
    assert main(["train", config, "--set", change, "--out", str(tmp_path / "run"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["train_loss"] < 0.1 * found["before"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "somewhere"], "Leave out --resume"),
        ([str(CONFIGS / "digits_softmax.toml"), "--set", 'model={kind="neighbours",k=3}'], "have no rate"),
        ([], "Name a config file"),
    ],
    ids=["resume", "neighbours", "no config"],
)
def test_the_command_refuses(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--find-rate", *arguments, "--quiet"]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_figure_marks_what_was_found() -> None:
    found = RateRange((0.1, 1.0, 10.0), (2.0, 1.0, 8.0), (2.0, 1.5, 4.0), 1.0, 0.1, 3, 2.0, 0.5, 0.3, "2/λmax")
    axes = figures.rate_range(found)
    marks = {str(mark.get_gid()): float(mark.get_xdata()[0]) for mark in axes.lines if mark.get_gid()}
    assert marks == {"suggestion": 0.1, "stable": 0.3}
    assert list(axes.lines[1].get_ydata()) == [2.0, 1.5, 4.0]
