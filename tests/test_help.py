"""Every command's --help: it fits 100 columns, names each default, says what --out is, and its examples run."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edunn
from edunn import cli
from edunn.experiment import config as configs

ROOT = Path(__file__).resolve().parent.parent
each = pytest.mark.parametrize("name", cli.COMMANDS)
WIDEST = 100


def parser_of(name: str) -> argparse.ArgumentParser:
    return cli.make_parser(name, importlib.import_module(f"edunn.cli.{name}"))


@each
@pytest.mark.parametrize("terminal", [60, 100, 250])
def test_help_fits_100_columns(name: str, terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    text = parser_of(name).format_help()
    assert max(map(len, text.splitlines())) <= WIDEST
    assert "Example" in text


@each
def test_each_option_names_its_default(name: str) -> None:
    for action in parser_of(name)._actions:
        valued = action.nargs != 0 and bool(action.option_strings)
        if valued and not action.required and action.help != argparse.SUPPRESS:
            assert action.help, action.option_strings
            assert "default" in action.help, f"{action.option_strings or action.dest}: {action.help}"


@each
def test_out_is_a_folder_or_says_what_it_is(name: str) -> None:
    out = next((action for action in parser_of(name)._actions if "--out" in action.option_strings), None)
    if out is None:  # the live page writes nothing
        assert name == "play"
        return
    assert out.help is not None
    assert re.match(r"(a|the) (new )?(folder|file|CSV file|npz file)", out.help), out.help
    wants_folder = name not in ("predict", "features", "exercise", "config", "check", "bench")
    assert ("folder" in out.help) == wants_folder


def examples(name: str) -> list[str]:
    """The command lines of a command's example, each on one line."""
    text = importlib.import_module(f"edunn.cli.{name}").EXAMPLE.replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines()]


# what is not run here, and why
SKIPPED = {
    "edunn play": "serves until Ctrl-C",
    "edunn data get cifar10": "downloads",
    "edunn data shards cifar10": "needs that download",
}
QUICK = ("train", "predict", "show", "graph", "minimise", "exercise", "config", "data")  # the others are slow


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples find what they name: tables, images and finished runs."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "configs", folder / "configs")
    rows = [f"{i / 10},{i % 3},{'ab'[i % 2]}" for i in range(40)]
    for table in ("flowers.csv", "new_flowers.csv", "data.csv"):
        (folder / table).write_text("\n".join(["petal,sepal,kind", *rows]) + "\n")
    (folder / "points.csv").write_text("\n".join(["x,y", *(f"{i / 10},{int(i > 20)}" for i in range(40))]) + "\n")
    images = folder / "images"
    for kind in ("day", "night"):
        (images / kind).mkdir(parents=True)
        shape = edunn.data.shapes(12, seed=len(kind))
        for k, pixels in enumerate(shape.features.numpy()):
            from PIL import Image

            Image.fromarray(pixels).save(images / kind / f"{k}.png")
    shutil.make_archive(str(folder / "cifar10"), "zip", images)
    text = " ".join(line for name in cli.COMMANDS for line in examples(name))
    for run in sorted(set(re.findall(r"runs/[\w-]+", text))):
        source = {"path": str(folder / "flowers.csv")} if "flowers" in run else {"name": "digits"}
        tables = {"data": source, "model": "softmax", "loss": "cross-entropy", "train": {"epochs": 2, "rate": 0.1}}
        edunn.train(configs.parse(tables), folder / run)
    return folder


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in cli.COMMANDS]
)
def test_the_examples_run(name: str, workplace: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    program = f"{shlex.quote(sys.executable)} -m edunn"
    for line in examples(name):
        if any(line.startswith(start) for start in SKIPPED):
            continue
        assert line.startswith("edunn ")
        command = re.sub(r"(^|&& )edunn ", rf"\1{program} ", line)
        ran = subprocess.run(
            command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        # an exercise that is still blank is not right: exit 1
        assert ran.returncode == (1 if "exercise" in line and "check" in line else 0), f"{line}\n{ran.stderr}"
        (workplace / "mine.py").unlink(missing_ok=True)
