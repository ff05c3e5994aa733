"""edunn features, and runs on features: from a folder of pictures to predictions on new ones."""

import json

import numpy as np
import pytest
from PIL import Image

from edunn import cli, data, load
from edunn.data import shapes


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of class folders, of the made colour images."""
    folder = tmp_path_factory.mktemp("pictures")
    made = shapes(360, seed=0)
    for row in range(len(made)):
        part = "test" if row // 12 % 3 == 0 else "train"
        place = folder / part / made.classes[int(made.targets[row])]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(made.features[row].numpy()).save(place / f"{row:04}.png")
    return folder


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_features_of_a_folder(capsys, pictures, tmp_path):
    out = tmp_path / "f.npz"
    code, text, _ = run(capsys, "features", pictures, "--kind", "hog,hue", "--set", "cells_per_block=2", "--out", out,
                        "--json")  # fmt: skip
    result = json.loads(text)
    assert code == 0
    assert result["width"] == 334
    assert result["train"] + result["test"] == result["samples"] == 360
    kept = data.load(out).train
    assert kept.features.shape == (360, 334)
    assert kept.classes == data.load(pictures).train.classes
    with np.load(out) as arrays:
        assert arrays["features"].dtype == np.float32
    code, text, _ = run(capsys, "features", pictures, "--kind", "hue", "--part", "test", "--set", "bins=7", "--json")
    assert json.loads(text)["width"] == 7
    assert json.loads(text)["out"] is None


WRONG = {
    "kind": (["--kind", "hgo"], "Did you mean 'hog'"),
    "option": (["--set", "bin=3"], "Did you mean 'bins'"),
    "set": (["--set", "bins"], "An override is written KEY=VALUE"),
    "out": (["--out", "f.csv"], "must end in .npz"),
    "folder": (["--out", "nowhere/f.npz"], "There is no folder nowhere"),
    "device": (["--device", "gpu"], "Unknown device 'gpu'"),
    "too small": (["--set", "pixels_per_cell=20"], "at least 60 × 60 pixels"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line(capsys, pictures, options, message):
    code, out, err = run(capsys, "features", pictures, *options)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_table_has_no_features(capsys):
    assert run(capsys, "features", "moons")[0] == 2
    assert "images" in run(capsys, "features", "moons")[2]


# 12 classes of 20 pictures each: chance is 0.08
MODELS = {
    "softmax on hog and hue": (["features={kind='hog,hue', standardise=true}", "model=softmax"], 0.25),
    "svm on words": (
        ["features={kind='patches', words=40, patches=4000, standardise=true}", "model=svm",
         "loss={kind='one-vs-all-hinge', power=2}", "train.rate=0.003"], 0.25),
    "two layers": (
        ["features={kind='hog,hue', standardise=true}",
         "model={kind='two-layer', hidden=30, dropout=0.2, batchnorm=true}"], 0.25),
    "neighbours": (["features={kind='hog,hue'}", "model={kind='neighbours', k=[1, 3]}"], 0.25),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "least"), MODELS.values(), ids=MODELS)
def test_a_run_on_features_predicts_new_pictures(capsys, pictures, tmp_path, overrides, least):
    (tmp_path / "c.toml").write_text(
        "[data]\npath = '.'\n[features]\nkind = 'pixels'\n[model]\nkind = 'softmax'\n[loss]\nkind = 'cross-entropy'\n"
        "[train]\nrate = 0.05\nrule = 'momentum'\nbatch_size = 32\nepochs = 15\n"
    )
    chosen = [part for override in (f"data.path={pictures}", *overrides) for part in ("--set", override)]
    code, out, err = run(capsys, "train", "c.toml", "--json", "--out", "run", *chosen)
    assert code == 0, err
    assert json.loads(out)["test_accuracy"] > least
    finished = load("run")
    fresh = data.read_unsorted_images(pictures / "test", classes=finished.classes)
    again = finished.predict(fresh)
    assert again.score == pytest.approx(json.loads(out)["test_accuracy"])
    code, out, err = run(capsys, "predict", "run", pictures / "test", "--json")
    assert code == 0, err
    assert json.loads(out)["accuracy"] == pytest.approx(again.score)
    assert run(capsys, "show", "run")[0] == 0


NEIGHBOURS = {
    "k of 0": ("k=0", "model.k as whole numbers of 1 or more; got 0"),
    "too many": ("k=1000", "at most 240, the training samples"),
    "metric": ("metric='cosin'", "Did you mean 'cosine'"),
    "weights": ("weights='near'", "Unknown model.weights 'near'"),
    "unknown": ("neighbors=3", "Unknown config key model.neighbors"),
}


@pytest.mark.parametrize(("option", "message"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_that_cannot_be(capsys, pictures, tmp_path, option, message):
    (tmp_path / "c.toml").write_text("[data]\npath = '.'\n[model]\nkind = 'neighbours'\n")
    name, _, value = option.partition("=")
    code, out, err = run(capsys, "train", "c.toml", "--set", f"data.path={pictures}", "--set", f"model.{name}={value}",
                         "--out", "run")  # fmt: skip
    assert code == 2
    assert message in err
    assert out == ""
    assert not (tmp_path / "run").exists()
