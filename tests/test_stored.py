"""Runs on features that stay in files, or stay bytes, beside the same runs in memory: the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import edunn
from edunn import data, errors
from edunn.cli import main
from edunn.data import Dataset, Samples, write_shards
from edunn.descent import Descent, draw
from edunn.descent.stability import stable_rate
from edunn.descent.stack import train_together, vary
from edunn.losses import CrossEntropy, SquaredError
from edunn.models import LinearRegression, SoftmaxClassifier, TwoLayerNet
from edunn.runtime import prefetch
from edunn.runtime.rows import Rows
from edunn.updates import GradientDescent

CONFIG = """
[data]
{data}
validation = 0.2

[features]
standardise = {standardise}

[model]
kind = "softmax"

[loss]
kind = "cross-entropy"

[train]
rate = 0.1
batch_size = 16
epochs = 3

[run]
dtype = "{dtype}"
device = "cpu"
"""


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prefetch, "BLOCK", 1 << 14)  # a few batches, so that the thread has something to do


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """The digits as shards of 200 samples, and as one array."""
    whole = data.digits()
    write_shards(tmp_path / "shards", whole, shard=200 * 256)
    np.save(tmp_path / "x.npy", whole.train.features.numpy())
    assert whole.train.targets is not None
    np.save(tmp_path / "y.npy", whole.train.targets.numpy())
    return tmp_path


def trained(folder: Path, name: str, source: str, **values: Any) -> edunn.experiment.LoadedRun:
    options = {"standardise": "true", "dtype": "float32"} | values
    path = folder / f"{name}.toml"
    path.write_text(CONFIG.format(data=source, **options))
    return edunn.train(edunn.experiment.config.load(path), folder / name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("standardise", ["true", "false"])
@pytest.mark.parametrize("source", ['path = "shards"', 'path = "x.npy"\ntargets = "y.npy"'], ids=["shards", "npy"])
def test_a_config_gives_the_same_weights(digits: Path, source: str, dtype: str, standardise: str) -> None:
    here = trained(digits, "stored", source, dtype=dtype, standardise=standardise)
    there = trained(digits, "memory", 'name = "digits"', dtype=dtype, standardise=standardise)
    for name, weight in there.model.state_dict().items():
        assert torch.equal(weight, here.model.state_dict()[name])
    assert here.history.rows == there.history.rows
    if 'path = "shards"' in source:
        assert {k: here.summary[k] for k in ("test_loss", "test_accuracy")} == {
            k: there.summary[k] for k in ("test_loss", "test_accuracy")
        }
    assert not [thread for thread in threading.enumerate() if thread.name == "edunn-prefetch"]


@pytest.mark.parametrize("kind", ["pixels", "hog", "hue"])
def test_bytes_that_stay_bytes_give_the_same_weights(tmp_path: Path, kind: str) -> None:
    images = data.load("shapes", samples=150)
    write_shards(tmp_path / "shards", images, shard=40 * 3072)
    said = f'\n[features]\nkind = "{kind}"\n'
    weights = []
    for name, source in (
        ("memory", 'name = "shapes"\nsamples = 150'),
        ("resident", 'name = "shapes"\nsamples = 150\ndtype = "uint8"'),
        ("stored", 'path = "shards"'),
    ):
        path = tmp_path / f"{name}.toml"
        path.write_text(CONFIG.format(data=source, standardise="true", dtype="float32").replace("\n[features]\n", said))
        weights.append(edunn.train(edunn.experiment.config.load(path), tmp_path / name).model.weight)
    # a histogram of gradients adds up in an order that depends on how many images there are at once
    tolerance = 1e-5 if kind == "hog" else 0.0
    for other in weights[1:]:
        torch.testing.assert_close(weights[0], other, rtol=tolerance, atol=tolerance)


def test_only_images_stay_bytes(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"data\.dtype = 'uint8' is for images"):
        trained(tmp_path, "here", 'name = "digits"\ndtype = "uint8"')


def test_a_run_goes_on_to_the_same_bits(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = trained(digits, "whole", 'path = "shards"')
    (digits / "cut.toml").write_text(
        CONFIG.format(data='path = "shards"', standardise="true", dtype="float32").replace("epochs = 3", "epochs = 2")
    )
    edunn.train(edunn.experiment.config.load(digits / "cut.toml"), digits / "cut")
    assert main(["train", "--resume", str(digits / "cut"), "--set", "train.epochs=3", "--json"]) == 0
    assert torch.equal(edunn.load(digits / "cut").model.weight, whole.model.weight)
    capsys.readouterr()
    manifest = digits / "shards" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"target_name": "another"}))
    assert main(["train", "--resume", str(digits / "cut"), "--set", "train.epochs=4"]) == 2
    assert "trained on other data: the sha256 differs" in capsys.readouterr().err


def test_predictions_of_features_in_files(digits: Path) -> None:
    run = trained(digits, "memory", 'name = "digits"')
    wanted = run.predict(data.digits().test)
    found = run.predict(run.read(digits / "shards"))
    assert torch.equal(found.scores, wanted.scores)
    assert found.probabilities is not None
    assert wanted.probabilities is not None
    assert torch.equal(found.probabilities, wanted.probabilities)
    assert found.score == wanted.score
    assert len(run.predict(run.read(digits / "x.npy"))) == 1437


def test_a_sweep_over_files(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = []
    for name, source in (("stored", 'path = "shards"'), ("memory", 'name = "digits"')):
        (digits / f"{name}.toml").write_text(CONFIG.format(data=source, standardise="true", dtype="float64"))
        arguments = ["sweep", str(digits / f"{name}.toml"), "--over", "train.rate=0.05,0.2", "--over", "run.seed=0,1"]
        assert main([*arguments, "--out", str(digits / name), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        tables.append((result["runs"], result["best"], result["test_accuracy"]))
    assert tables[0] == tables[1]


def stored(whole: Samples, sizes: int = 30) -> Samples:
    rows: Any = Rows(whole.features.split(sizes))
    return Samples(rows, whole.targets, whole.classes)


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "mini": (lambda: SoftmaxClassifier(2, 3), {"batch_size": 7}),
    "single, in blocks": (lambda: SoftmaxClassifier(2, 3), {"batch_size": 1}),
    "full": (lambda: SoftmaxClassifier(2, 3), {}),
    "a net": (lambda: TwoLayerNet(2, 3, hidden=4, seed=1), {"batch_size": 7}),
    "autograd": (lambda: SoftmaxClassifier(2, 3), {"batch_size": 7, "by": "autograd"}),
    "steps and snapshots": (lambda: SoftmaxClassifier(2, 3), {"batch_size": 7, "steps": 20, "snapshots": 5}),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_loop(name: str) -> None:
    make, options = MODELS[name]
    whole = data.TOYS["blobs"](samples=100).to(dtype=torch.float32)
    held = data.TOYS["blobs"](samples=50, seed=1).to(dtype=torch.float32)
    models = []
    for train, validation in ((whole, held), (stored(whole), stored(held))):
        models.append(make())
        edunn.descend(
            models[-1], CrossEntropy(), train, rate=0.1, epochs=3, validation=validation, patience=2, **options
        )
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 2)], ids=["one order", "an order each"])
def test_stacks(seeds: tuple[int, ...]) -> None:
    whole = data.TOYS["blobs"](samples=100)
    weights: list[list[Tensor]] = []
    for train in (whole, stored(whole)):
        base = Descent(SoftmaxClassifier(2, 3, dtype=torch.float64), CrossEntropy(), train, 0.1, 7, epochs=3)
        runs = [vary(base, rate=0.1 * (1 + i), seed=seed) for i, seed in enumerate(seeds)]
        train_together(runs)
        weights.append([run.model.weight.detach() for run in runs])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_a_batch_that_is_most_of_the_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.descent.batches.LARGEST", 160)
    part = stored(data.TOYS["blobs"](samples=100))
    model = SoftmaxClassifier(2, 3, dtype=torch.float64)
    with pytest.raises(errors.ConfigError, match=r"A full batch has 0 MiB.* Take a batch_size of 10 or less"):
        Descent(model, CrossEntropy(), part, 0.1)
    with pytest.raises(errors.ConfigError, match="A batch of 11 has"):
        Descent(model, CrossEntropy(), part, 0.1, 11)
    Descent(model, CrossEntropy(), part, 0.1, 10)


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    x = np.zeros((40, 3), np.float32)
    x[33, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(40) % 2)
    part = data.read_npy(tmp_path / "x.npy", tmp_path / "y.npy").train
    with pytest.raises(errors.DataError, match="row 33, column 2"):
        Descent(SoftmaxClassifier(3, 2), CrossEntropy(), part, 0.1, 4)


def test_the_stable_rate_is_that_of_the_tensor() -> None:
    whole = data.TOYS["line"]()
    model, loss = LinearRegression(1, dtype=torch.float64), SquaredError()
    wanted = stable_rate(model, loss, whole.features, None, GradientDescent())
    assert wanted == pytest.approx(stable_rate(model, loss, stored(whole).features, None, GradientDescent()), rel=1e-12)
    wide = Samples(torch.randn(20, 1100), torch.zeros(20))
    assert stable_rate(LinearRegression(1100), loss, stored(wide).features, None, GradientDescent()) is None


def test_pictures_show_some_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.experiment.pictures.SHOWN", 20)
    moons = data.TOYS["moons"](samples=200)
    write_shards(tmp_path / "moons", Dataset("moons", moons, None, None, ""), shard=500)
    run = trained(tmp_path, "here", 'path = "moons"')
    assert {Path(name).stem for name in run.summary["figures"]} >= {"loss", "regions", "confusion"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('kind = "neighbours"', "Nearest neighbours need all features in memory"),
        ('kind = "softmax"\n[features]\nkind = "patches"', "Features that learn"),
        ('kind = "softmax"\n[train]\nbatch_size = "full"', None),
    ],
    ids=["neighbours", "patches", "a full batch that fits"],
)
def test_what_needs_all_at_once(
    tmp_path: Path, change: str, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "shards", data.load("shapes", samples=40))
    (tmp_path / "run.toml").write_text(
        f'[data]\npath = "shards"\nvalidation = 0.2\n[loss]\nkind = "cross-entropy"\n[model]\n{change}\n'
    )
    code = main(["train", str(tmp_path / "run.toml"), "--out", str(tmp_path / "run"), "--set", "train.epochs=1"])
    _, err = capsys.readouterr()
    assert code == (2 if said else 0)
    assert said is None or said in err


def test_batches_that_are_kept_have_memory_of_their_own() -> None:
    whole = data.TOYS["blobs"](samples=100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0)).split(9)
    kept, wanted = (list(draw(part, order)) for part in (stored(whole), whole))
    for (features, targets), (same_features, same_targets) in zip(kept, wanted, strict=True):
        assert torch.equal(features, same_features)
        assert torch.equal(targets, same_targets)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from /proc")
def test_the_bench_in_short(tmp_path: Path) -> None:
    """It runs, tells what it is asked for, and leaves nothing behind."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(root / "scripts" / "bench" / "scale.py"), "--json", "--quick", "--rounds", "1"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert set(result["exponents"]) == {"samples", "features", "classes", "runs"}
    assert result["same_weights"] == 0.0
    assert 0 < result["anonymous_gib"] <= 2
    assert result["mapped_over_memory"] > 0
    assert result["test_accuracy"] > 0.5
    assert [path for path in tmp_path.iterdir() if path.name.startswith("edunn-scale-")] == []
