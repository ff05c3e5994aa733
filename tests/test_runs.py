"""Runs on disk as a user meets them: listed, replaced, continued, predicted with, and drawn as asked."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_iris

import edunn
from edunn.cli import main
from edunn.errors import ConfigError, RunError
from edunn.experiment import config as configs
from edunn.experiment.folder import RunFolder
from edunn.figures.style import Look

training = importlib.import_module("edunn.experiment.train")  # the package's own `train` is the function
TABLES: dict[str, Any] = {
    "data": {"name": "moons", "test": 0.3, "validation": 0.2}, "model": "logreg", "loss": "bce",
    "train": {"rate": 0.5, "epochs": 4},
}  # fmt: skip

Capture = pytest.CaptureFixture[str]


def train(folder: Path, **options: Any) -> Any:
    return edunn.train(TABLES, folder, **options)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_of_runs_is_listed_newest_first(here: Path, capsys: Capture) -> None:
    for age, name in enumerate(("old", "middle", "new")):
        train(here / "runs" / name)
        for path in (here / "runs" / name).rglob("*"):
            os.utime(path, (1e9 + age, 1e9 + age))
    (here / "runs" / "notes").mkdir()
    (here / "runs" / "notes" / "readme.txt").write_text("mine")
    assert main(["show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["runs/new", "runs/middle", "runs/old"]
    assert lines[4] == "3 in all, newest first"
    assert main(["show", "runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [row["run"] for row in listed] == ["runs/new", "runs/middle", "runs/old"]
    assert listed[0]["test"] == edunn.load("runs/new").summary["test_accuracy"]
    assert main(["show", "runs/notes"]) == 2
    assert "no runs in runs/notes" in capsys.readouterr().err


def test_a_sweep_is_shown_and_says_what_parts_the_best_from_the_next(here: Path, capsys: Capture) -> None:
    (here / "moons.toml").write_text(configs.dump(configs.parse(dict(TABLES))))
    assert main(["sweep", "moons.toml", "--over", "train.rate=0.01,0.5", "--epochs", "20", "--out", "swept"]) == 0
    out = capsys.readouterr().out
    runs = json.loads(Path("swept/summary.json").read_text())["runs"]
    ahead = round(abs(runs[0]["validation_accuracy"] - runs[1]["validation_accuracy"]) * 28)  # 0.2 of 140
    said = f"right on {ahead} fewer of the 28 validation samples" if ahead else "right on as many of the 28"
    assert said in out
    assert main(["show", "swept"]) == 0
    assert "← best" in capsys.readouterr().out


def test_one_run_is_shown_with_its_classes_and_mistakes(here: Path, capsys: Capture) -> None:
    run = train(here / "run")
    assert main(["show", "run", "--out", "shown", "--title", "Mine", "--size", "8x4", "--dpi", "50"]) == 0
    out = capsys.readouterr().out
    assert "mean of the classes" in out
    wrong = run.mistakes()
    assert wrong.title in out
    assert all(0.5 <= row["confidence"] <= 1 for row in wrong.rows)
    assert [row["confidence"] for row in wrong.rows] == sorted((r["confidence"] for r in wrong.rows), reverse=True)
    assert {"loss.png", "accuracy.png", "confusion.png", "roc.png", "thresholds.png"} <= set(os.listdir("shown"))
    with Image.open("shown/loss.png") as picture:
        width, height = picture.size
    assert width == pytest.approx(400, abs=30)
    assert height == pytest.approx(200, abs=30)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, "8", 150, "png"), "WIDTHxHEIGHT"),
        ((None, "8x900", 150, "png"), "--size must be a number"),
        ((None, None, 3, "png"), "--dpi"),
        ((None, None, 150, "gif"), "png, svg or pdf"),
    ],
    ids=["one number", "too large", "dpi", "gif"],
)
def test_a_look_that_no_figure_can_have(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Look.read(*given)


def test_force_replaces_a_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(folder)
    with pytest.raises(RunError, match="add --force to replace what is there"):
        train(folder)
    assert train(folder, epochs=2, force=True).summary["epochs"] == 2
    (folder / "thesis.txt").write_text("draft")
    with pytest.raises(RunError, match=r"also holds thesis\.txt"):
        train(folder, force=True)
    assert (folder / "thesis.txt").read_text() == "draft"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.toml").write_text("[data]\n")  # a user's own
    with pytest.raises(RunError, match="not the folder of a run"):
        train(mine, force=True)
    assert os.listdir(mine) == ["config.toml"]


def test_an_interrupted_run_is_continued_by_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 0.0)
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.interrupts, "check", stop)
    assert train(tmp_path / "cut").summary["status"] == "interrupted"
    assert RunFolder(tmp_path / "cut").interrupted()
    with pytest.raises(RunError, match="is not overwritten"):  # another config
        train(tmp_path / "cut", rate=0.1)
    notes: list[str] = []
    again = train(tmp_path / "cut", note=notes.append)
    assert "continuing" in notes[0]
    assert again.summary["epochs"] == 4
    for name, weight in whole.model.named_parameters():
        assert (weight == dict(again.model.named_parameters())[name]).all()


def test_small_models_keep_their_path(tmp_path: Path) -> None:
    run = train(tmp_path / "run", epochs=300)
    steps = [step for step, _ in run.history.snapshots]
    assert steps == list(range(0, 301, 3))
    assert edunn.experiment.surface_of_run(run.path, "principal", (-1, 1, 5), (-1, 1, 5)).path is not None
    assert not train(tmp_path / "none", snapshots=0).history.snapshots


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with an Id column that is no feature, and a run of it."""
    folder = tmp_path_factory.mktemp("flowers")
    frame = load_iris(as_frame=True).frame.rename(columns=lambda name: name.split(" (")[0])
    frame["kind"] = frame.pop("target").map({0: "setosa", 1: "versicolor", 2: "virginica"})
    frame.insert(0, "Id", range(501, 651))
    frame.to_csv(folder / "iris.csv", index=False)
    names = [name for name in frame.columns if name not in ("Id", "kind")]
    tables = {"data": {"path": str(folder / "iris.csv"), "target": "kind", "features": names, "test": 0.3},
              "model": "softmax", "loss": "cross-entropy", "train": {"rate": 0.1, "epochs": 300}}  # fmt: skip
    edunn.train(tables, folder / "run")
    return folder


def test_predictions_have_rows_ids_and_true_labels(flowers: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "predicted.csv"
    assert main(["predict", str(flowers / "run"), str(flowers / "iris.csv"), "--out", str(out)]) == 0
    predicted, given = pd.read_csv(out), pd.read_csv(flowers / "iris.csv")
    assert list(predicted.columns)[:4] == ["row", "Id", "prediction", "true"]
    assert predicted["row"].tolist() == list(range(1, 151))
    assert predicted["Id"].tolist() == given["Id"].tolist()
    assert predicted["true"].tolist() == given["kind"].tolist()
    right = float((predicted["prediction"] == given["kind"]).mean())
    assert f"accuracy {right:.4f}" in capsys.readouterr().out


def test_a_run_predicts_what_people_have(flowers: Path) -> None:
    run = edunn.load(flowers / "run")
    frame = pd.read_csv(flowers / "iris.csv")
    features = frame[list(run.feature_names)]
    wanted = run.predict(str(flowers / "iris.csv")).labels
    mixed = frame[list(frame.columns[::-1])]
    for given in (frame, features, mixed, features.to_numpy(), features.to_numpy().tolist(), edunn.Samples(features)):
        assert run.predict(given).labels == wanted
    assert run.predict(frame).score == pytest.approx(np.mean(np.array(wanted) == frame["kind"]))
    with pytest.raises(edunn.EdunnError, match=r"4 features.*have 3"):
        run.predict(features.to_numpy()[:, :3])
    with pytest.raises(edunn.EdunnError, match="petal width"):
        run.predict(features.drop(columns="petal width"))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "x.toml", "--output", "a"], "Did you mean --out?"),
        (["train", "x.toml", "--overwrite"], "Did you mean --force?"),
        (["train", "x.toml", "--n-epochs=3"], "Did you mean --epochs?"),
        (["train", "x.toml", "--gpu"], "Did you mean --device?"),
        (["show", "--titel", "a"], "Did you mean --title?"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_wrong_option_is_answered(arguments: list[str], hint: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert hint in err
    assert len(err.splitlines()) == 1
