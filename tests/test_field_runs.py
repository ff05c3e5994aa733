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
import safetensors
import safetensors.torch
import torch
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


DRAWN = {"loss": "loss_curves", "accuracy": "accuracy_curves", "templates": "templates", "confusion": "class_report",
         "mistakes": "mistakes", "calibration": "calibration_curve"}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_field_01_a_picture_that_fails_costs_no_result(name: str, monkeypatch: Any, capsys: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("'Net' object has no attribute 'weight'")

    monkeypatch.setattr(figures, DRAWN[name], fail)
    assert main(["train", DIGITS, *settings("train.epochs=1"), "--out", "run"]) == 0
    assert f"note: the picture {name} could not be drawn: 'Net' object has" in capsys.readouterr().err
    run = experiment.load("run")
    drawn = sorted(Path(path).stem for path in run.summary["figures"])
    assert drawn == sorted(set(DRAWN) - {name})


@pytest.mark.parametrize("step", ["predict_held_out", "pictures_of_predictions"])
def test_field_01_pictures_that_cannot_be_chosen_cost_no_result(step: str, monkeypatch: Any, capsys: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(f"edunn.experiment.pictures.{step}", fail)
    assert main(["train", DIGITS, *settings("train.epochs=1"), "--out", "run"]) == 0
    assert "note: the other pictures could not be drawn: out of memory." in capsys.readouterr().err
    run = experiment.load("run")
    assert [Path(path).stem for path in run.summary["figures"]] == ["loss", "accuracy", "templates"]


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
    assert "holds an unfinished sweep with another over" in capsys.readouterr().err
    assert main([*COMMANDS["landscape"], "--out", "out", "--quiet"]) == 2
    assert "holds an unfinished sweep with another command" in capsys.readouterr().err


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


# --- terminals and interrupts -----------------------------------------------------------------------------------------


def shell(command: str, **environment: str) -> tuple[int, str, str]:
    """Runs a line of bash in which `edunn` is this package's command: exit code, stdout, stderr."""
    line = command.replace("edunn", f"{sys.executable} -m edunn")
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=os.environ | environment, timeout=120)
    error = done.stderr.decode(errors="replace")
    assert "Traceback" not in error
    assert "Exception ignored" not in error
    return done.returncode, done.stdout.decode(errors="replace"), error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_field_33_any_encoding(encoding: str) -> None:
    code, out, _ = shell("edunn lesson softmax", PYTHONIOENCODING=encoding)
    assert code == 0
    assert ("L = −ln 0.13" in out, "L = ?ln 0.13" in out) == (encoding == "utf-8", encoding != "utf-8")
    assert shell("edunn graph ''", PYTHONIOENCODING=encoding)[0] == 2


@pytest.mark.parametrize(
    "command",
    ["edunn data list", "edunn graph a a=1", "edunn graph a a=1 --json", "edunn --help", "edunn graph --help", "edunn"],
)
def test_field_33_a_full_stdout(command: str) -> None:
    code, _, error = shell(f"{command} > /dev/full")
    assert code == 2
    assert error == "edunn: stdout cannot be read or written: No space left on device.\n"


def test_field_33_a_closed_stdout() -> None:
    code, _, error = shell("edunn graph a a=1 >&-")
    assert code == 2
    assert error.startswith("edunn: stdout is closed")
    assert shell("edunn graph a a=1 2>&- <&-") == (0, *shell("edunn graph a a=1")[1:])
    assert shell("edunn graph a 2>&-")[0] == 2
    assert shell("edunn graph a 2>/dev/full")[0] == 2
    assert shell("edunn lesson softmax | head -1; exit ${PIPESTATUS[0]}")[0] == 0


def test_field_37_no_home() -> None:
    """A user whom the system does not know has no home; here Python is only made to believe so."""
    code = "import pwd, sys; del sys.modules['pwd']; sys.modules['pwd'] = None; from edunn.__main__ import main; main()"
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "EDUNN_CACHE")}
    for words in (["data", "list"], ["train", MOONS, *settings("train.epochs=2"), "--out", "run"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_field_37_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file: nothing can be made below it, not even by root")
    environment = {k: v for k, v in os.environ.items() if k != "EDUNN_CACHE"} | {"HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "edunn", "train", MOONS, *settings("train.epochs=2"), "--out", "run"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_field_37_a_signal_while_training_saves_the_state(number: int) -> None:
    changes = settings("train.epochs=100000", "train.schedule=constant")
    process = start("train", DIGITS, *changes, "--out", "run")
    wait_for(lambda: Path("run/checkpoint.safetensors").exists())
    process.send_signal(number)
    ((code, said),) = ended(process)
    assert code == 128 + number
    assert "continue with: edunn train --resume run" in said
    run = experiment.load("run")
    assert run.summary["status"] == "interrupted"
    more = run.history.epochs + 20
    assert main(["train", "--resume", "run", "--set", f"train.epochs={more}", "--quiet"]) == 0
    assert experiment.load("run").history.epochs == more


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_field_37_a_signal_during_an_import(number: int, tmp_path: Path) -> None:
    """The module that is being loaded turns whatever is raised in it into another error, as C extensions do."""
    (tmp_path / "safetensors.py").write_text(
        "import pathlib, time\npathlib.Path('loading').touch()\n"
        "try:\n    time.sleep(60)\nexcept BaseException as error:\n    raise ImportError('lost') from None\n"
    )
    process = start("train", MOONS, PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    wait_for(lambda: Path("loading").exists())
    process.send_signal(number)
    assert ended(process) == [(128 + number, "edunn: interrupted\n")]


def refused(words: list[str], capsys: Any) -> str:
    """The line of a command that must be refused within five seconds."""
    begun = time.process_time()
    assert main(words) == 2
    assert time.process_time() - begun < 5
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f"train.rate={'9' * 400}", "too large"),
        (f"data.noise={'[' * 5000}{']' * 5000}", "nested too deeply"),
        ("run=3", "run is a table"),
        ('run.name="a\\u0000b"', "NUL"),
        ('data.samples="many"', "whole number"),
        ("model.hidden=8.5", "whole number"),
        ("train.rate=1e308", "does not fit float32"),
        ("features.kind=3", "must be a text"),
    ],
    ids=["400 digits", "5,000 deep", "run = 3", "NUL", "many", "8.5", "1e308", "a number for a name"],
)
def test_field_31_values_that_a_config_cannot_have(setting: str, said: str, capsys: Any) -> None:
    assert said in refused(["train", MOONS, *settings("model.kind=two-layer", setting)], capsys)


def test_field_31_a_landscape_of_data_as_large_as_1e200(capsys: Any) -> None:
    Path("huge.csv").write_text("x,y\n1e200,-1e200\n-1e200,1e200\n3e200,1e200\n")
    assert refused(["landscape", "--data", "huge.csv", "--quiet"], capsys)
    assert [path.name for path in Path().iterdir()] == ["huge.csv"]


def test_field_32_a_header_of_12000_columns(capsys: Any) -> None:
    Path("rows.csv").write_text(",".join(f"c{k}" for k in range(12_000)) + "\n1,2\n")
    assert len(refused(["train", MOONS, *settings("data.path=rows.csv")], capsys)) < 400


@pytest.mark.parametrize("hidden", [10**12, 2**63 - 1], ids=["1e12", "2**63 - 1"])
def test_field_34_more_than_any_memory(hidden: int, capsys: Any) -> None:
    assert "Out of memory" in refused(
        ["train", MOONS, *settings("model.kind=two-layer", f"model.hidden={hidden}")], capsys
    )


def test_field_38_an_expression_of_9000_additions(capsys: Any) -> None:
    assert "expression" in refused(["graph", "+".join(["a"] * 9000), "a=1"], capsys)


@pytest.mark.parametrize("option", ["--w=-1:1:134000000", "--b=-1:1:134000000"])
def test_field_42_the_product_of_both_axes_is_bounded(option: str, capsys: Any) -> None:
    assert "at most 134,217,728 points" in refused(["landscape", option], capsys)
    assert list(Path().iterdir()) == []


def test_field_41_a_sweep_of_a_million_runs(capsys: Any) -> None:
    values = ",".join(map(str, range(1, 1001)))
    begun = time.monotonic()
    assert main(["sweep", MOONS, "--over", f"train.epochs={values}", "--over", f"run.seed={values}"]) == 2
    assert time.monotonic() - begun < 5
    assert "1,000 × 1,000 values make 1,000,000" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


# --- folders from elsewhere -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that a folder can hold."""
    folder = tmp_path_factory.mktemp("genuine") / "run"
    changes = ["train.epochs=3", "train.rule=momentum", "train.snapshots=100", "features.standardise=true"]
    experiment.train(configs.load(DIGITS, changes), folder)
    return folder


def edit(path: Path, keys: tuple[str, ...], value: Any) -> None:
    """Sets one value of a JSON file; of metrics.jsonl in its last line, of a checkpoint in its progress."""
    tensors: dict[str, Any] = {}
    if path.suffix == ".safetensors":
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            lines = [file.metadata()["progress"]]
    else:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    found = json.loads(lines[-1])
    inner = found
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    lines[-1] = json.dumps(found)
    if tensors:
        safetensors.torch.save_file(tensors, path, {"progress": lines[-1]})
    else:
        path.write_text("\n".join(lines) + "\n")


WRONG: dict[str, tuple[str, tuple[str, ...], Any]] = {
    f"{file} {'.'.join(keys)} {kind}": (file, keys, value)
    for file, keys in [
        ("manifest.json", ("width",)),
        ("manifest.json", ("classes",)),
        ("manifest.json", ("features",)),
        ("manifest.json", ("features", "shape")),
        ("manifest.json", ("data", "samples", "train")),
        ("summary.json", ("status",)),
        ("summary.json", ("epochs",)),
        ("summary.json", ("test_accuracy",)),
        ("summary.json", ("figures",)),
        ("metrics.jsonl", ("end",)),
        ("metrics.jsonl", ("end", "steps")),
        ("metrics.jsonl", ("end", "status")),
        ("checkpoint.safetensors", ("epoch",)),
        ("checkpoint.safetensors", ("rows",)),
        ("checkpoint.safetensors", ("best_loss",)),
    ]
    for kind, value in {"object": {"a": 1}, "nested": [[[0]]], "true": True, "−1e30": -(10**30)}.items()
}


@pytest.mark.parametrize("case", WRONG)
def test_field_35_values_of_another_type(case: str, genuine: Path, capsys: Any) -> None:
    file, keys, value = WRONG[case]
    shutil.copytree(genuine, "run")
    edit(Path("run", file), keys, value)
    words = ["train", "--resume", "run"] if file.startswith("checkpoint") else ["show", "run"]
    assert main([*words, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("edunn: ")
    assert len(line) < 400


@pytest.mark.parametrize("name", ["manifest.json", "summary.json", "metrics.jsonl", "config.toml"])
@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a": ' * 100_000, "\x00", "null"])
def test_field_35_texts_that_are_no_file_of_ours(name: str, text: str, genuine: Path, capsys: Any) -> None:
    shutil.copytree(genuine, "run")
    Path("run", name).write_text(f"value = {text}" if name == "config.toml" else text)
    assert main(["show", "run"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def change_tensor(path: Path, change: Callable[[Any], Any]) -> None:
    """Changes the first tensor of a file, in the order of their names."""
    with safetensors.safe_open(path, framework="pt") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    first = next(iter(tensors))
    tensors[first] = change(tensors[first]).contiguous()
    safetensors.torch.save_file(tensors, path, about)


@pytest.mark.parametrize("change", ["int8", "float64", "shape"])
@pytest.mark.parametrize("name", ["model", "features", "checkpoint", "snapshots"])
def test_field_35_weights_of_another_kind(name: str, change: str, genuine: Path, capsys: Any) -> None:
    if (name, change) == ("features", "float64"):
        pytest.skip("a standardisation may be in float64")
    shutil.copytree(genuine, "run")
    changes = {"int8": lambda t: t.to(torch.int8), "float64": lambda t: t.double(), "shape": lambda t: t[..., :-1]}
    change_tensor(Path(f"run/{name}.safetensors"), changes[change])
    words = ["train", "--resume", "run"] if name == "checkpoint" else ["show", "run"]
    assert main([*words, "--quiet"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("width", [10**9, 2**31 - 1], ids=["1e9", "2**31 - 1"])
def test_field_35_a_size_is_compared_before_it_is_allocated(width: int, genuine: Path, capsys: Any) -> None:
    shutil.copytree(genuine, "run")
    edit(Path("run/manifest.json"), ("width",), width)
    begun = time.monotonic()
    assert main(["show", "run"]) == 2
    assert time.monotonic() - begun < 5
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_field_35_neighbours_of_another_kind(capsys: Any) -> None:
    experiment.train(configs.load(MOONS, [NEIGHBOURS, "loss=cross-entropy"]), "run")
    assert experiment.resume("run").summary["status"] == "finished"
    change_tensor(Path("run/model.safetensors"), lambda chosen: chosen * 0 + 10**6)
    assert main(["show", "run"]) == 2
    assert "does not hold k of the training samples" in capsys.readouterr().err
