"""Real processes under torchrun: the same numbers for any number of them, and a clear end when one dies."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from edunn import cli

ROOT = Path(__file__).parent.parent
CONFIG = str(ROOT / "configs" / "digits_softmax.toml")
SHORT = ["--dtype", "float64", "--set", "train.epochs=6"]
LIMIT = 120  # seconds for anything that should end, on a machine that does much else

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform != "linux", reason="gloo and the signals of Linux"
)

# The command line, in which rank 1 is given a blow at its 50th batch (in the third of the epochs), once: its restart is
# spared. Every epoch leaves a checkpoint.
BLOW = """
import importlib, os, signal, sys, time
from edunn.cli import main
from edunn.runtime.processes import Processes
importlib.import_module("edunn.experiment.train").CHECKPOINT_EVERY = 0.0
stamp, blow, *arguments = sys.argv[1:]
begin, count = Processes.begin_batch, 0
def begin_batch(self, samples):
    global count
    count += 1
    if count == 50 and self.place.rank == 1 and not os.path.exists(stamp):
        with open(stamp, "w") as file:
            file.write(str(time.time()))
        os.kill(os.getpid(), int(blow))
    begin(self, samples)
Processes.begin_batch = begin_batch
if __name__ == "__main__":
    sys.exit(main(arguments))
"""


def torchrun(processes: int, *command: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """A command in several processes, to its end."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *options]
    process = subprocess.Popen(
        [sys.executable, *launcher, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.terminate()  # and torchrun its processes, which a kill would leave behind
        out, err = process.communicate()
        pytest.fail(f"no end after {LIMIT} s: {command}\n{err}")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def edunn(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return torchrun(processes, "-m", "edunn", *arguments)


def here(*arguments: str) -> int:
    """The same command in this process."""
    return cli.main([*arguments, "--quiet"])


def said(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """What edunn said on stderr, without torchrun's own report of a failure."""
    return [line for line in ran.stderr.splitlines() if line.startswith(("edunn:", "note:"))]


def codes(ran: subprocess.CompletedProcess[str]) -> list[int]:
    """The exit codes in torchrun's report."""
    lines = [line.split(":")[1].split()[0] for line in ran.stderr.splitlines() if line.strip().startswith("exitcode")]
    return [int(code) for code in lines]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def table(path: Path) -> list[dict[str, float]]:
    with open(path, encoding="utf-8") as file:
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(file)]


def assert_same_numbers(found: Any, expected: Any, where: str = "") -> None:
    """JSON values, numbers to 1e-12; what tells of time and place may differ."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected.keys() - {"seconds", "total_seconds", "out", "run_dir", "config", "figures"}:
            assert_same_numbers(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, pair in enumerate(zip(found, expected, strict=True)):
            assert_same_numbers(*pair, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15), where
    else:
        assert found == expected, where


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short run by one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert here("train", CONFIG, *SHORT, "--out", str(folder)) == 0
    return folder


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_same_weights_for_any_number_of_processes(processes: int, alone: Path, tmp_path: Path) -> None:
    ran = edunn(processes, "train", CONFIG, *SHORT, "--out", str(tmp_path / "run"), "--json")
    assert ran.returncode == 0, ran.stderr
    assert said(ran) == []
    summary = json.loads(ran.stdout)
    assert_same_numbers(summary, json.loads((alone / "summary.json").read_text()))
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(tmp_path / "run")[name], tensor, rtol=1e-12, atol=1e-14)
    rows = zip(table(tmp_path / "run" / "metrics.csv"), table(alone / "metrics.csv"), strict=True)
    assert all(found == pytest.approx(expected, rel=1e-12) for found, expected in rows)
    assert sorted(f.name for f in (tmp_path / "run").iterdir()) == sorted(f.name for f in alone.iterdir())


def test_a_sweep(tmp_path: Path) -> None:
    arguments = ["sweep", CONFIG, *SHORT, "--over", "train.rate=0.01,0.1,0.3", "--over", "train.batch_size=32,64"]
    assert here(*arguments, "--out", str(tmp_path / "alone")) == 0
    ran = edunn(2, *arguments, "--out", str(tmp_path / "two"), "--json")
    assert ran.returncode == 0, ran.stderr
    expected = json.loads((tmp_path / "alone" / "summary.json").read_text())
    assert len(expected["runs"]) == 6
    assert_same_numbers(json.loads(ran.stdout), expected)
    for index in range(6):
        name = f"metrics-{index:03}.jsonl"
        found, rows = (
            [json.loads(line) for line in (tmp_path / folder / name).read_text().splitlines()]
            for folder in ("two", "alone")
        )
        assert_same_numbers(found[:-1], rows[:-1])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--problem", "binary", "--loss", "bce", "--compare", "mse", "--w=-20:20:61", "--b=-20:20:60", "--basins",
         "--steps", "100", "--samples", "300"],
        ["--run", "{alone}", "--a=-1:1:15", "--b=-1:1:16"],
    ],
    ids=["two losses of one feature", "a plane of a run's weights"],
)  # fmt: skip
def test_a_surface(arguments: list[str], alone: Path, tmp_path: Path) -> None:
    arguments = ["landscape", *(part.format(alone=alone) for part in arguments), "--no-figures"]
    assert here(*arguments, "--out", str(tmp_path / "alone")) == 0
    # torchrun would take --run for a beginning of its own --run-path: what stands behind -- is not its own
    ran = torchrun(2, "--", "edunn", *arguments, "--out", str(tmp_path / "two"), "--json", options=["-m"])
    assert ran.returncode == 0, ran.stderr
    assert_same_numbers(json.loads(ran.stdout), json.loads((tmp_path / "alone" / "summary.json").read_text()))
    for file in (tmp_path / "alone").glob("*.npz"):
        with np.load(file) as expected, np.load(tmp_path / "two" / file.name) as found:
            np.testing.assert_allclose(found["values"], expected["values"], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["train", CONFIG, "--set", "train.rat=1"], 2, "edunn: Unknown config key train.rat. Did you mean 'rate'?"),
        (["train", "--nonsense"], 2, "edunn: unrecognized arguments: --nonsense. See edunn train --help."),
        (["show", "nowhere"], 2, "edunn: nowhere has no config.toml. There is no such folder."),
    ],
    ids=["a bad config", "bad usage", "a command that has nothing to share"],
)
def test_one_line_for_all_and_one_code(arguments: list[str], code: int, line: str) -> None:
    ran = edunn(2, *arguments)
    assert ran.returncode != 0
    assert ran.stdout == ""
    lines = [text for text in said(ran) if not text.startswith("note:")]
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert codes(ran) == [code, code]


def test_what_fails_on_one_machine_alone_is_told_by_rank_0(tmp_path: Path) -> None:
    """A file that rank 1 cannot read: its own working directory lacks it."""
    for rank in "01":
        (tmp_path / rank).mkdir()
    shutil.copy(CONFIG, tmp_path / "0" / "mine.toml")
    script = tmp_path / "elsewhere.py"
    script.write_text(
        "import os, sys\nfrom edunn.cli import main\n"
        f"os.chdir(os.path.join({str(tmp_path)!r}, os.environ['RANK']))\nsys.exit(main(sys.argv[1:]))\n"
    )
    ran = torchrun(2, str(script), "train", "mine.toml", "--out", str(tmp_path / "run"))
    assert len(said(ran)) == 1
    assert said(ran)[0].startswith("edunn: rank 1: There is no config file")
    assert codes(ran) == [2, 2]
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverged_has_written_its_files_before_any_process_leaves(tmp_path: Path) -> None:
    config = str(ROOT / "configs" / "line_regression.toml")
    ran = edunn(2, "train", config, "--set", "train.rate=0.1", "--out", str(tmp_path / "run"), "--json")
    assert json.loads(ran.stdout)["status"] == "diverged"
    assert len(said(ran)) == 1  # the note about the rate
    assert codes(ran) == [1, 1]
    assert (tmp_path / "run" / "figures" / "loss.png").is_file()


def test_a_command_with_nothing_to_share_prints_once(alone: Path) -> None:
    ran = edunn(2, "show", str(alone), "--json")
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)["runs"]) == 1
    assert said(ran) == ["note: edunn show has nothing to share; rank 0 does it alone"]


# --- a rank that dies -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "blow.py"
    path.write_text(BLOW)
    return path


@pytest.fixture(scope="module")
def unbroken(script: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run by two processes that nothing befalls."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    ran = edunn(2, "train", CONFIG, *SHORT, "--out", str(folder))
    assert ran.returncode == 0, ran.stderr
    return folder


def train_with(script: Path, blow: int, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    stamp = str(folder.parent / "stamp")
    command = [str(script), stamp, str(blow), "train", CONFIG, *SHORT, "--out", str(folder), "--resume"]
    return torchrun(2, *command, options=options)


def same_bits(first: Path, second: Path) -> None:
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name]), name
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()


def test_a_killed_rank_ends_all_at_once_and_the_same_line_goes_on_to_the_same_bits(
    script: Path, unbroken: Path, tmp_path: Path
) -> None:
    ran = train_with(script, signal.SIGKILL, tmp_path / "run")
    assert time.time() - float((tmp_path / "stamp").read_text()) < 30
    assert ran.returncode != 0
    assert -signal.SIGKILL in codes(ran)
    # torchrun may end rank 0 before it has said so
    assert len(said(ran)) <= 1
    assert all(line.startswith("edunn: One of 2 processes is lost: its connection") for line in said(ran))
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()
    assert not (tmp_path / "run" / "summary.json").exists()
    again = train_with(script, signal.SIGKILL, tmp_path / "run")
    assert again.returncode == 0, again.stderr
    same_bits(unbroken, tmp_path / "run")


def test_torchrun_restarts_a_run_by_itself(script: Path, unbroken: Path, tmp_path: Path) -> None:
    ran = train_with(script, signal.SIGKILL, tmp_path / "run", "--max-restarts=1")
    assert (tmp_path / "stamp").exists()
    assert ran.returncode == 0, ran.stderr
    same_bits(unbroken, tmp_path / "run")


def test_an_interrupt_of_one_rank_ends_all_of_them_with_their_files(
    script: Path, unbroken: Path, tmp_path: Path
) -> None:
    ran = train_with(script, signal.SIGINT, tmp_path / "run")
    assert codes(ran) == [130, 130]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["message"]) == ("interrupted", "in epoch 3, after 2 whole epochs")
    assert said(ran) == []
    again = train_with(script, signal.SIGINT, tmp_path / "run")
    assert again.returncode == 0, again.stderr
    same_bits(unbroken, tmp_path / "run")
