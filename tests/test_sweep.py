"""Sweeps: every combination as the run alone, the best by validation, files that reproduce it; the command; the map."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from edunn import experiment, figures
from edunn.cli import main
from edunn.cli.sweep import read_axes
from edunn.errors import ConfigError, RunError
from edunn.experiment import Sweep, sweep
from edunn.experiment import config as configs
from edunn.experiment.sweep import put_together
from edunn.history import History

CONFIG = """
[data]
name = "moons"
validation = 0.25
test = 0.2
samples = 160
[model]
kind = "logistic-regression"
[loss]
kind = "binary-cross-entropy"
[penalty]
kind = "l2"
strength = 1e-3
[train]
rate = 0.5
batch_size = 16
epochs = 6
[run]
dtype = "float64"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "moons.toml"
    file.write_text(CONFIG)
    return file


def swept(path: Path, over: dict[str, list[str]], *overrides: str, out: str = "sweep") -> Sweep:
    return sweep(lambda more: configs.load(path, [*overrides, *more]), over, path.parent / out)


RATES = {"train.rate": ["0.01", "1", "0.1"], "penalty.strength": ["0", "0.1"]}


@pytest.mark.parametrize(
    "over",
    [
        RATES,
        {"loss": ["hinge", "logistic", "binary-cross-entropy"], "train.rate": ["0.1", "0.2"]},
        {"train.rule": ["momentum", "adam"], "train.epochs": ["2", "5"]},
        {"run.seed": ["0", "1"]},
        {"model": ["two-layer", "logistic-regression"], "train.rate": ["0.1", "0.2"]},
        {"model.scale": ["0", "0.5"]},
        {"train.batch_size": ['"full"', "16", "1"]},
        {"data.validation": ["0.2", "0.4"]},
    ],
    ids=["rates and strengths", "losses", "rules and epochs", "seeds", "models", "starts", "batch sizes", "parts"],
)
def test_every_entry_is_the_run_alone(path: Path, over: dict[str, list[str]]) -> None:
    found = swept(path, over)
    assert len(found.entries) == math.prod(len(values) for values in over.values())
    for entry in found.entries:
        alone = experiment.prepare(entry.config).descent.go()
        assert entry.history.status == alone.status
        for column in alone.columns:
            assert entry.history[column] == pytest.approx(alone[column], rel=1e-9, nan_ok=True)


def test_precisions_are_compared_on_the_same_samples(path: Path) -> None:
    """Read once, and each run with its own products."""
    loaded = [configs.load(path, ["run.dtype=float32", f"run.precision={name}"]) for name in ("full", "bf16")]
    runs, (first, second) = put_together(loaded)
    assert first is second
    assert [run.precision for run in runs] == ["full", "bf16"]


def test_the_order_is_that_of_the_axes_the_last_one_fastest(path: Path) -> None:
    found = swept(path, RATES)
    pairs = [tuple(entry.values.values()) for entry in found.entries]
    assert pairs == [(0.01, 0), (0.01, 0.1), (1, 0), (1, 0.1), (0.1, 0), (0.1, 0.1)]
    assert found.axes == {"train.rate": [0.01, 1, 0.1], "penalty.strength": [0, 0.1]}


def test_the_best_config_reproduces_the_best_run(path: Path, tmp_path: Path) -> None:
    found = swept(path, RATES)
    assert found.best is not None
    scores = [entry.row["validation_accuracy"] for entry in found.entries]
    assert found.best.row["validation_accuracy"] == max(scores)
    ties = [e.row["validation_loss"] for e in found.entries if e.row["validation_accuracy"] == max(scores)]
    assert found.best.row["validation_loss"] == min(ties)
    again = experiment.train(configs.load(tmp_path / "sweep" / "best.toml"), tmp_path / "again")
    assert again.summary["validation_loss"] == pytest.approx(found.best.row["validation_loss"], rel=1e-12)
    assert again.summary["test_accuracy"] == found.test
    assert again.manifest["data"]["samples"] == {"train": 96, "validation": 32, "test": 32}


def test_files(path: Path, tmp_path: Path) -> None:
    found = swept(path, RATES)
    folder = tmp_path / "sweep"
    rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
    assert [float(row["train.rate"]) for row in rows] == [0.01, 0.01, 1, 1, 0.1, 0.1]
    assert [row["best"] for row in rows].count("True") == 1
    assert len([History.load(file) for file in sorted(folder.glob("metrics-*.jsonl"))]) == 6
    assert json.loads((folder / "summary.json").read_text())["runs"] == found.records()
    assert sorted(file.name for file in (folder / "figures").iterdir()) == ["accuracy.png", "loss.png", "sweep.png"]
    text = str(found)
    assert text.count("← best") == 1
    assert "best: rate" in text
    assert "6 runs in" in text
    assert found._repr_html_().count("<tr>") == 7


def test_patience_reports_the_weights_that_were_put_back(path: Path) -> None:
    found = swept(path, {"train.rate": ["0.5", "20"]}, "train.patience=2", "train.epochs=60")
    stopped = [entry for entry in found.entries if entry.history.status == "stopped"]
    assert stopped
    for entry in stopped:
        assert entry.row["epoch"] == entry.history.best_epoch
        assert entry.row["validation_loss"] == min(entry.history["validation_loss"])


def test_a_run_that_diverges_is_a_result_and_never_the_best(path: Path) -> None:
    over = {"train.rate": ["1e308", "0.1"]}
    found = swept(path, over, "loss.kind=squared-error", "train.epochs=30")
    assert [entry.history.status for entry in found.entries] == ["diverged", "finished"]
    assert found.best is found.entries[1]
    assert found.records()[0]["validation_accuracy"] is None


def test_nothing_came_to_an_end(path: Path) -> None:
    found = swept(path, {"train.rate": ["1e308", "1e307"]}, "loss.kind=squared-error", "train.epochs=30")
    assert found.best is None
    assert found.test is None
    assert "no run finished; try smaller rates" in str(found)
    assert not (path.parent / "sweep" / "best.toml").exists()


# --- refusals ----------------------------------------------------------------------------------------------------


def test_the_test_part_is_no_place_to_choose(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.validation is 0; the best is chosen on the validation part"):
        swept(path, RATES, "data.validation=0")
    assert not (path.parent / "sweep").exists()


def test_neighbours_are_not_trained(path: Path) -> None:
    with pytest.raises(ConfigError, match="neighbours chooses k without it"):
        swept(path, {"model.k": ["1", "3"]}, "model=neighbours")


def test_a_folder_with_files_is_refused(path: Path) -> None:
    (path.parent / "sweep").mkdir()
    (path.parent / "sweep" / "mine.txt").touch()
    with pytest.raises(
        RunError, match=r"holds files and is not overwritten\. Choose another with --out\.$"
    ):  # a sweep is not resumed
        swept(path, RATES)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["train.rate=0.1,1"], {"train.rate": ["0.1", "1"]}),
        (["loss=hinge, logistic"], {"loss": ["hinge", "logistic"]}),
        (['train.batch_size="full",1'], {"train.batch_size": ['"full"', "1"]}),
        (["model.weight=[[1,2]],[[3,4]]"], {"model.weight": ["[[1,2]]", "[[3,4]]"]}),
        (['data.path="a,b.csv",c.csv'], {"data.path": ['"a,b.csv"', "c.csv"]}),
        (["a=1", "b=2,3"], {"a": ["1"], "b": ["2", "3"]}),
    ],
    ids=["numbers", "names", "a text", "lists", "a comma in quotes", "two"],
)
def test_axes_are_read(texts: list[str], expected: dict[str, list[str]]) -> None:
    assert read_axes(texts) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There are no values to try. Add them, as --over train.rate=0.01,0.1,1."),
        (
            ["--over", "train.rate"],
            "Values to try are written KEY=A,B, as --over train.rate=0.01,0.1,1; got 'train.rate'.",
        ),
        (["--over", "train.rate=0.1,,1"], "got 'train.rate=0.1,,1'."),
        (["--over", "train.rate=1,1"], "--over 'train.rate=1,1' has a value twice. Give each once."),
        (["--over", "train.rate=1", "--over", "train.rate=2"], "--over train.rate=… is given twice."),
        (["--over", "train.rat=1,2"], "Unknown config key train.rat. Did you mean 'rate'?"),
        (["--over", "train.rate=fast,1"], "train.rate must be a number; got 'fast'."),
        (["--over", "loss=hinge,hing"], "Did you mean 'hinge'?"),
        (["--over", "data.validation=0,0.2"], "data.validation is 0"),
    ],
    ids=["nothing", "no value", "a gap", "twice", "a key twice", "a misspelt key", "a word", "a loss", "no validation"],
)
def test_the_command_refuses(arguments: list[str], said: str, path: Path, capsys: Any, tmp_path: Path) -> None:
    assert main(["sweep", str(path), *arguments, "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_the_command_prints_one_object(path: Path, capsys: Any, tmp_path: Path) -> None:
    given = ["sweep", str(path), "--over", "train.rate=0.1,1", "--out", str(tmp_path / "out"), "--json", "--quiet"]
    assert main([*given, "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert [run["train.rate"] for run in result["runs"]] == [0.1, 1]
    assert result["best"]["best"] is True
    assert Path(result["config"]).is_file()
    assert configs.load(result["config"]).run.seed == 3
    assert all(Path(figure).is_file() for figure in result["figures"])


def test_the_command_says_when_nothing_finished(path: Path, capsys: Any, tmp_path: Path) -> None:
    given = [
        "sweep",
        str(path),
        "--set",
        "loss=squared-error",
        "--over",
        "train.rate=1e308",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(given) == 1
    assert "no run finished" in capsys.readouterr().out


# --- the map -----------------------------------------------------------------------------------------------------


def framed(axes: Any) -> tuple[float, float]:
    """The column and row of the framed cell."""
    (frame,) = [patch for patch in axes.patches if patch.get_gid() == "best"]
    return frame.get_x() + 0.5, frame.get_y() + 0.5


def test_the_map_frames_the_best_and_crosses_what_came_to_no_end() -> None:
    entries = [({"train.rate": r, "penalty.strength": s}, r * 0.5 - s) for r in (0.1, 1.0) for s in (0.0, 0.2)]
    entries[0] = (entries[0][0], math.nan)
    axes = figures.sweep_map({"train.rate": [0.1, 1.0], "penalty.strength": [0.0, 0.2]}, entries)
    assert framed(axes) == (1, 0)
    assert [text.get_text() for text in axes.texts] == ["×", "50.0 %", "-15.0 %", "30.0 %"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("train.rate", "penalty.strength")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0", "0.2"]


def test_a_third_axis_is_maximised_over() -> None:
    keys = {"a": [1, 2], "b": [1, 2], "train.rule": ["adam", "momentum"]}
    entries = [
        ({"a": a, "b": b, "train.rule": rule}, a + b + (rule == "adam") / 2)
        for a in (1, 2)
        for b in (1, 2)
        for rule in ("adam", "momentum")
    ]
    axes = figures.sweep_map(keys, entries, metric="r2")
    assert [text.get_text() for text in axes.texts] == ["2.5", "3.5", "3.5", "4.5"]
    assert "the best over rule" in axes.get_title(loc="left")


@pytest.mark.parametrize("values", [[0.5], [math.nan], [0.5, 0.5]], ids=["one", "none finite", "all the same"])
def test_small_maps(values: list[float], tmp_path: Path) -> None:
    axes = figures.sweep_map({"rate": list(range(len(values)))}, [({"rate": i}, v) for i, v in enumerate(values)])
    assert figures.save(axes, tmp_path / "map.png").stat().st_size > 1000
