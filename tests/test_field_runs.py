"""Runs, sweeps and surfaces as people use them: found in use, one test a line of the list."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edunn import experiment, figures
from edunn.cli import main
from edunn.data import download
from edunn.errors import EdunnWarning, RunError
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


# --- folders ----------------------------------------------------------------------------------------------------------


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edunn", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """The exit code of each, and what it says on stderr."""
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert not any("Traceback" in text for text in said), said
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "it did not happen"
        time.sleep(0.005)


COMMANDS = {
    "train": ["train", MOONS, *settings("train.epochs=20")],
    "sweep": ["sweep", MOONS, "--over", "train.rate=0.1,1", *settings("data.validation=0.2", "train.epochs=20")],
    "landscape": ["landscape", "--loss", "bce", "--w=-1:1:15", "--b=-1:1:15"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_field_03_an_empty_tree_is_free(command: str) -> None:
    Path("out/figures/deep/deeper").mkdir(parents=True)
    assert main([*COMMANDS[command], "--out", "out", "--quiet"]) == 0
    assert not list(Path("out").rglob(".*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_field_03_what_a_killed_command_left_is_free(command: str) -> None:
    Path("out/figures").mkdir(parents=True)
    for name in (".claim", ".config.toml.1.part", "figures/.loss.png.4194999.part"):
        Path("out", name).write_text("half")
    Path("out/manifest.json").write_text('{"versions": {"edunn": "0.1"}}')
    if command != "train":
        Path("out/manifest.json").unlink()
    assert main([*COMMANDS[command], "--out", "out", "--quiet"]) == 0
    assert not list(Path("out").rglob(".*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_field_03_files_of_others_are_not_touched(command: str, capsys: Any) -> None:
    Path("out").mkdir()
    Path("out/manifest.json").write_text('{"mine": true}')
    assert main([*COMMANDS[command], "--out", "out", "--quiet"]) == 2
    assert "holds files" in capsys.readouterr().err
    assert [path.name for path in Path("out").rglob("*")] == ["manifest.json"]


SWEEP = [
    "sweep",
    MOONS,
    "--over",
    "model.kind=logistic-regression,two-layer",
    "--over",
    "train.epochs=3,400",
    *settings("data.validation=0.2"),
]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["KILL", "TERM", "INT"])
def test_field_03_a_sweep_goes_on_where_it_was_cut_off(number: int) -> None:
    assert main([*SWEEP, "--out", "whole", "--quiet"]) == 0
    process = start(*SWEEP, "--out", "out")
    wait_for(lambda: list(Path("out/unfinished").glob("*.safetensors")))
    process.send_signal(number)
    ((code, _),) = ended(process)
    kept = {path.stem: path.stat().st_mtime_ns for path in Path("out/unfinished").glob("*.safetensors")}
    if code == 0:
        pytest.skip("it was done before the signal came")
    assert kept
    histories = {name: Path(f"out/metrics-{name}.jsonl").read_text() for name in kept}
    ((code, said),) = ended(start(*SWEEP, "--out", "out"))
    assert code == 0
    assert f"note: {len(kept)} of 4 runs are here already" in said
    assert all(Path(f"out/metrics-{name}.jsonl").read_text() == text for name, text in histories.items())
    assert Path("out/sweep.csv").read_text() == Path("whole/sweep.csv").read_text()
    assert not Path("out/unfinished").exists()


def test_field_03_an_unfinished_sweep_of_other_values_is_refused(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(experiment.RunFolder, "finish", lambda self: None)
    assert main([*COMMANDS["sweep"], "--out", "out", "--quiet"]) == 0
    assert main([*COMMANDS["sweep"], "--over", "run.seed=0,1", "--out", "out", "--quiet"]) == 2
    assert "holds an unfinished sweep whose over is another" in capsys.readouterr().err
    assert main([*COMMANDS["landscape"], "--out", "out", "--quiet"]) == 2
    assert "holds an unfinished sweep whose command is another" in capsys.readouterr().err


def test_field_03_a_landscape_goes_on_where_it_was_cut_off() -> None:
    command = [*COMMANDS["landscape"], "--out", "out"]
    process = start(*command)
    wait_for(lambda: Path("out/surface.npz").exists())
    process.kill()
    ended(process)
    assert main([*command, "--quiet"]) == 0
    assert json.loads(Path("out/summary.json").read_text())["figures"]
    assert main([*command, "--quiet"]) == 2  # it is whole now, and not overwritten


@pytest.mark.parametrize("command", COMMANDS)
def test_field_04_of_two_at_once_in_one_folder_one_is_refused(command: str) -> None:
    codes = ended(*[start(*COMMANDS[command], "--out", "out", "--quiet") for _ in range(2)])
    assert sorted(code for code, _ in codes) == [0, 2]
    assert any("holds files" in said or "is being written" in said for _, said in codes)
    assert Path("out/summary.json").is_file()


def test_field_04_runs_of_the_same_second_take_the_next_number(monkeypatch: Any) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-120000")
    folders = [experiment.RunFolder.fresh("run") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: folder.claim(), folders))
    names = {"run-20260101-120000", *(f"run-20260101-120000-{k}" for k in (2, 3, 4))}
    assert {folder.path.name for folder in folders} == names
    for folder in folders:
        folder.release()
    assert list(Path("runs").iterdir()) == []


def test_field_04_a_claim_ends_with_its_process() -> None:
    code = "from edunn.runtime.claims import Claim; Claim('out').take(); print('taken', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    folder = experiment.RunFolder("out")
    with pytest.raises(RunError, match="is being written by another process"):
        folder.claim()
    process.kill()
    process.communicate()
    folder.claim()
    folder.release()
    assert not list(Path("out").rglob("*"))


def test_field_05_a_feature_cache_that_cannot_be_written_is_a_note(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("edunn.features.cache.FEWEST", 1)
    config = {
        "data": {"path": str(colour_images(tmp_path / "images"))},
        "features": "rgb",
        "model": "softmax",
        "loss": "cross-entropy",
        "train": {"epochs": 2},
    }
    with pytest.warns(EdunnWarning, match="features are not kept"):
        experiment.train(configs.parse(config), "run")


def test_field_05_parts_of_killed_imports_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    archive = tmp_path / "archive"
    archive.write_bytes(b"bytes")
    for number in (gone.pid, os.getppid()):
        (tmp_path / f"kept.{number}.part").write_text("half")
    download.keep(archive, tmp_path / "kept", hashlib.sha256(b"bytes").hexdigest())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["archive", "kept", f"kept.{os.getppid()}.part"])
