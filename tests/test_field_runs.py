"""Runs, sweeps and surfaces as people use them: found in use, one test a line of the list."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edunn import experiment, figures
from edunn.cli import main
from edunn.experiment import config as configs
from edunn.experiment.sweep import sweep

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
DIGITS, MOONS = str(CONFIGS / "digits_softmax.toml"), str(CONFIGS / "moons_logistic.toml")
NEIGHBOURS = 'model={kind="neighbours",k=3}'


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "cache"))


def settings(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def colour_images(folder: Path, each: int = 6) -> Path:
    """A folder of small images in two classes."""
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            pixels = rng.integers(0, 120, (6, 6, 3), dtype=np.uint8) + (100 if name == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{k}.png")
    return folder


# --- results before pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["model.kind=two-layer", NEIGHBOURS], ids=["two layers", "neighbours"])
def test_field_01_digits_with_other_models(change: str) -> None:
    assert main(["train", DIGITS, *settings(change, "train.epochs=3"), "--out", "run", "--quiet"]) == 0
    run = experiment.load("run")
    assert run.summary["test_accuracy"] > 0.5
    assert all(Path(name).is_file() for name in run.summary["figures"])


@pytest.mark.parametrize("kind", ["softmax", "two-layer", "neighbours"])
def test_field_01_pixels(tmp_path: Path, kind: str) -> None:
    config = {
        "data": {"path": str(colour_images(tmp_path / "images")), "test": 0.25},
        "features": "pixels",
        "model": {"kind": kind, **({"k": 1} if kind == "neighbours" else {})},
        "loss": "cross-entropy",
        "train": {"epochs": 2},
    }
    notes: list[str] = []
    run = experiment.train(configs.parse(config), "run", note=notes.append)
    assert notes == []
    assert (run.path / "figures" / "confusion.png").is_file()


@pytest.mark.parametrize("broken", ["loss_curves", "templates", "confusion_matrix"])
def test_field_01_a_picture_that_fails_costs_no_result(broken: str, monkeypatch: Any, capsys: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("'Net' object has no attribute 'weight'")

    monkeypatch.setattr(figures, broken, fail)
    assert main(["train", DIGITS, *settings("train.epochs=1"), "--out", "run"]) == 0
    name = {"loss_curves": "loss", "confusion_matrix": "confusion"}.get(broken, broken)
    assert f"note: the picture {name} could not be drawn: 'Net' object has" in capsys.readouterr().err
    run = experiment.load("run")
    drawn = sorted(Path(path).stem for path in run.summary["figures"])
    assert drawn == sorted({"loss", "accuracy", "templates", "confusion"} - {name})


def test_field_01_the_summary_is_there_before_the_first_picture(monkeypatch: Any) -> None:
    def look(*_: Any, **__: Any) -> None:
        assert json.loads(Path("run/summary.json").read_text())["status"] == "finished"
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "loss_curves", look)
    assert main(["train", DIGITS, *settings("train.epochs=1"), "--out", "run"]) == 130
    assert experiment.load("run").summary["status"] == "finished"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["two-layer", "neighbours"])
def test_field_02_moons(kind: str, dtype: str, capsys: Any) -> None:
    changes = settings(f"model.kind={kind}", "loss.kind=cross-entropy", "train.epochs=5")
    assert main(["train", MOONS, *changes, "--dtype", dtype, "--out", "run"]) == 0
    assert "could not be drawn" not in capsys.readouterr().err
    assert Path("run/figures/regions.png").is_file()


def test_field_23_the_map_frames_the_run_that_is_called_best() -> None:
    """All rates have the same validation accuracy; the one of the lower validation loss is the best."""
    over = {"train.rate": ["0.3", "0.3001", "0.3002"]}
    common = ["data.validation=0.2", "train.epochs=20"]
    found = sweep(lambda more: configs.load(MOONS, [*common, *more]), over, "sweep")
    metric = "validation_accuracy"
    tied = [entry for entry in found.entries if entry.row[metric] == found.best.row[metric]]
    assert len(tied) > 1, "the case needs a tie"
    assert tied[0] is not found.best, "the first of the tied runs would be framed anyway"
    cells = [(entry.values, entry.row[metric]) for entry in found.entries]
    axes = figures.sweep_map(found.axes, cells, best=found.best.values)
    frame = next(patch for patch in axes.patches if patch.get_gid() == "best")
    rate = [0.3, 0.3001, 0.3002][round(frame.get_x() + 0.5)]
    assert rate == found.best.values["train.rate"] == configs.load(found.folder / "best.toml").train.rate
    shutil.rmtree("sweep")
