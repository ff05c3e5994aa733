"""Tables on the command line: looked at, trained with the options that the message names, and predicted again."""

from __future__ import annotations

import json
import shlex
import tomllib
import warnings
from pathlib import Path
from typing import Any

import door_files
import numpy as np
import pandas as pd
import pytest
import torch

import edunn
from edunn import cli
from edunn.errors import ConfigError, DataError, EdunnWarning
from edunn.experiment import config as configs
from edunn.experiment import shipped

pytestmark = pytest.mark.filterwarnings("ignore::edunn.errors.EdunnWarning")  # notes, which other tests read

FEW = ["--set", "train.epochs=60", "--quiet"]


def make(name: str, folder: Path) -> tuple[Path, door_files.Case]:
    case = door_files.CASES[name](np.random.default_rng(3))
    return door_files.write(case, folder), case


def run(capsys: pytest.CaptureFixture[str], *argv: Any) -> tuple[int, str, str]:
    code = cli.main([str(part) for part in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_message_names_flags_that_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = make("titanic", tmp_path)
    code, _, err = run(capsys, "train", path, "--target", "Survived", *FEW)
    assert code == 2
    flags = shlex.split(err.split("This cures it: ")[1].split(". ")[0])
    assert flags == ["--exclude", "Name,Ticket,Cabin", "--categories", "one-hot", "--missing", "mean"]
    assert not (tmp_path / "runs").exists()
    code, out, _ = run(capsys, "train", path, "--target", "Survived", *flags, *FEW, "--out", "run", "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["test_accuracy"] > 0.6
    # the config that it ran trains the same again
    kept = configs.load("run/config.toml")
    assert kept.data.options["categories"] == "one-hot"
    code, out, _ = run(capsys, "train", "run/config.toml", "--quiet", "--out", "again", "--json")
    assert json.loads(out)["train_loss"] == summary["train_loss"]


def test_means_are_those_of_the_training_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = make("penguins with na", tmp_path)
    options = ["--target", "species", "--categories", "one-hot", "--missing", "mean"]
    assert run(capsys, "train", path, *options, *FEW, "--out", "run")[0] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdunnWarning)
        whole = edunn.data.load(path, target="species", categories="one-hot", missing="keep")
    train, _ = edunn.data.split(whole.train, 0.2, 0)
    finished = edunn.load("run")
    expected = np.nanmean(train.features.numpy(), axis=0)
    np.testing.assert_allclose(finished.encoding.means.numpy(), expected, rtol=1e-12)


def test_a_run_encodes_later_tables_as_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other orders of columns and categories, gaps, no target: the same rows give the same predictions."""
    path, case = make("penguins with na", tmp_path)
    options = ["--target", "species", "--categories", "one-hot", "--missing", "mean"]
    run(capsys, "train", path, *options, *FEW, "--out", "run")
    finished = edunn.load("run")
    own = finished.predict(path)
    frame = pd.read_csv(path, keep_default_na=False)
    assert torch.equal(finished.predict(frame).scores, own.scores)
    later = frame.iloc[40:60, ::-1].drop(columns="species")
    later.to_csv("later.csv", index=False)
    assert torch.equal(finished.predict("later.csv").scores, own.scores[40:60])
    code, out, _ = run(capsys, "predict", "run", "later.csv", "--json")
    assert (code, json.loads(out)["predictions"]) == (0, own.labels[40:60])
    later.assign(sex="unknown").to_csv("new.csv", index=False)
    with pytest.warns(EdunnWarning, match="'unknown' is a new category and counts as missing"):
        new = finished.predict("new.csv")
    assert torch.isfinite(new.scores).all()
    later.drop(columns="bill").to_csv("less.csv", index=False)
    with pytest.raises(DataError, match="no column 'bill'"):
        finished.predict("less.csv")
    assert own.score == pytest.approx((np.array(own.labels) == case.target.to_numpy()).mean())


@pytest.mark.parametrize("name", ["wine data", "iris data", "abalone"])
def test_files_without_a_header_are_predicted_without_the_target(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, case = make(name, tmp_path)
    given = [f"--{key}={value}" for key, value in case.given.items()]
    more = ["--categories", "one-hot", "--task", "real"] if name == "abalone" else []
    assert run(capsys, "train", path, *given, *more, *FEW, "--out", "run")[0] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdunnWarning)
        finished = edunn.load("run")
        own = finished.predict(path)
        position = int((case.given.get("target") or f"x{case.features.shape[1] + 1}")[1:]) - 1
        frame = pd.read_csv(path, header=None)
        frame.drop(columns=position).to_csv("later.data", index=False, header=False)
        later = finished.predict("later.data")
    assert torch.equal(later.scores, own.scores)
    assert (own.score is None, later.score is None) == (False, True)


def test_linear_regression_means_a_real_target(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1, 2, 3, 4], "y": [1, 2, 2, 3]}).to_csv("t.csv", index=False)
    tables = {"data": {"path": "t.csv"}, "model": "linear-regression", "loss": "squared-error"}
    prepared = edunn.experiment.prepare(configs.parse(tables, ["train.epochs=1"]))
    assert prepared.train.targets.tolist() == [1, 2, 2, 3]
    tables = {"data": {"path": "t.csv"}, "model": "softmax", "loss": "cross-entropy"}
    prepared = edunn.experiment.prepare(configs.parse(tables, ["train.epochs=1"]))
    assert prepared.dataset.train.classes == ("1", "2", "3")


@pytest.mark.parametrize("labels", [("no", "yes"), ("False", "True"), ("ham", "spam"), ("0", "1")])
def test_labels_mean_the_same_to_train_and_landscape(labels: tuple[str, str], tmp_path: Path) -> None:
    from edunn.landscape import study

    x = [0.5, 1.5, 2.5, 3.5, 4.5]
    bits = [0, 0, 1, 0, 1]
    pd.DataFrame({"x": x, "y": [labels[b] for b in bits]}).to_csv("t.csv", index=False)
    read_x, read_y = study.read_columns("t.csv", "x", "y")
    assert (read_x.tolist(), read_y.tolist()) == (x, bits)
    tables = {"data": {"path": "t.csv"}, "model": "logistic-regression", "loss": "binary-cross-entropy"}
    prepared = edunn.experiment.prepare(configs.parse(tables, ["train.epochs=1"]))
    assert prepared.train.targets.tolist() == bits


def test_look_shows_columns_and_a_config_that_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, case = make("titanic", tmp_path)
    code, out, _ = run(capsys, "data", "look", path, "--target", "Survived", "--json")
    found = json.loads(out)
    assert code == 0
    used = {column["column"]: column["use"] for column in found["columns"]}
    assert used["PassengerId"] == "left out: counts the rows"
    assert used["Sex"] == "2 features"
    assert used["Survived"] == "target, 2 classes"
    missing = {column["column"]: column["missing"] for column in found["columns"]}
    assert missing["Age"] == int(case.features["Age"].isna().sum())
    configs.parse(tomllib.loads(found["config"]))
    assert found["features"] == 5 + 2 + 3
    code, out, _ = run(capsys, "data", "look", path, "--target", "Survived", "--out", "t.toml")
    assert "edunn train t.toml" in out
    assert run(capsys, "train", "t.toml", *FEW)[0] == 0
    next_line = run(capsys, "data", "look", path, "--target", "Survived")[1].strip().splitlines()[-1]
    assert run(capsys, *shlex.split(next_line)[1:], *FEW)[0] == 0


@pytest.mark.parametrize("name", shipped.names())
def test_configs_come_along(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "config", name, "--out", "my own.toml")
    assert code == 0
    text = Path("my own.toml").read_text(encoding="utf-8")
    assert text.startswith("# edunn train 'my own.toml'")
    assert "edunn train 'my own.toml'" in out
    assert all("#" in line or "kind" in line or "bias" in line for line in text.splitlines() if " = " in line)
    by_name, by_file = configs.load(name), configs.load("my own.toml", [f"run.name={name}"])
    if by_name.data.path is None:
        assert by_name == by_file == configs.load(f"configs/{name}.toml")
    assert run(capsys, "config", name, "--out", "my own.toml")[0] == 2
    code, out, _ = run(capsys, "config", "--list")
    assert f"  {name}" in out


def test_an_unknown_config_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean digits_softmax"):
        configs.load("digit_softmax")
    with pytest.raises(ConfigError, match="Did you mean 'digits_svm'"):
        shipped.text("digits_sv")
