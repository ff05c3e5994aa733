"""The command line as a stranger drives it: results on stdout, the rest on stderr, one clear line for what is wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edunn import cli, data

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs go to the working directory: every test has one of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edunn(*argv: str | Path, capsys: Capture) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    try:
        code = cli.main([str(word) for word in argv])
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def strict_json(text: str) -> dict:  # type: ignore[type-arg]
    """One JSON object and nothing else, without NaN or Infinity."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three classes by two columns, with names that sort differently from their order in the file."""
    samples = data.TOYS["blobs"](samples=150, noise=0.7)
    path = tmp_path / "flowers.csv"
    names = ("tulip", "aster", "rose")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["width", "height", "kind"])
        assert samples.targets is not None
        for row, target in zip(samples.features.tolist(), samples.targets.tolist(), strict=True):
            writer.writerow([*row, names[target]])
    return path


@pytest.fixture
def flower_config(flowers: Path) -> Path:
    path = flowers.with_name("flowers.toml")
    path.write_text(
        """
        [data]
        path = "flowers.csv"
        target = "kind"
        validation = 0.2
        test = 0.2
        [features]
        standardise = true
        [model]
        kind = "softmax"
        [loss]
        kind = "cross-entropy"
        [train]
        rate = 0.5
        epochs = 30
        batch_size = 16
        """
    )
    return path


def test_overview_names_every_command(capsys: Capture) -> None:
    code, out, _ = edunn("--help", capsys=capsys)
    assert code == 0
    assert all(name in out for name in cli.COMMANDS)


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help_with_an_example(command: str, capsys: Capture) -> None:
    code, out, _ = edunn(command, "--help", capsys=capsys)
    assert code == 0
    assert f"edunn {command}" in out.partition("Example:")[2]


def test_misspelt_command_names_the_nearest(capsys: Capture) -> None:
    code, out, err = edunn("trian", capsys=capsys)
    assert (code, out) == (2, "")
    assert "Did you mean 'train'?" in err


def test_digits_by_hand(capsys: Capture) -> None:
    code, out, err = edunn("train", CONFIGS / "digits_softmax.toml", "--json", capsys=capsys)
    result = strict_json(out)
    assert code == 0
    assert err == ""
    assert result["status"] == "finished"
    assert result["test_accuracy"] >= 0.90
    assert result["epochs"] == 60
    folder = Path(result["run_dir"])
    assert len(list(folder.glob("figures/*.png"))) >= 3
    assert {p.name for p in folder.iterdir()} >= {
        "config.toml",
        "manifest.json",
        "metrics.jsonl",
        "metrics.csv",
        "model.safetensors",
        "checkpoint.safetensors",
        "summary.json",
        "figures",
    }
    assert strict_json((folder / "summary.json").read_text()) == result
    assert not [p for p in folder.rglob("*") if p.name.endswith(".part")]


def test_the_lecture_line_to_the_last_bit(capsys: Capture) -> None:
    # ledger row e0: 1,000 epochs at rate 0.01 from (0.33, 0.48)
    code, out, _ = edunn("train", CONFIGS / "line_regression.toml", "--json", capsys=capsys)
    run = cli_run(out)
    assert code == 0
    assert run.model.weight.item() == pytest.approx(2.003222509810484, rel=1e-14)
    assert run.model.bias.item() == pytest.approx(3.3248920388471914, rel=1e-14)
    assert run.summary["train_loss"] == pytest.approx(1.0241824830839787, rel=1e-14)


def cli_run(out: str):  # type: ignore[no-untyped-def]
    """The run that a --json result tells of, loaded."""
    import edunn as package

    return package.load(strict_json(out)["run_dir"])


def test_divergence_is_a_result(capsys: Capture, recwarn: pytest.WarningsRecorder) -> None:
    code, out, err = edunn(
        "train", CONFIGS / "line_regression.toml", "--set", "train.rate=0.1", "--json", capsys=capsys
    )
    result = strict_json(out)
    assert code == 1
    assert result["status"] == "diverged"
    assert result["stable_rate"] == pytest.approx(0.02919411, abs=5e-9)  # ledger row 2.8
    assert result["train_loss"] is None
    assert "0.02919" in err  # said before the run, too
    assert not recwarn.list


def test_a_run_on_its_way_to_infinity_is_not_finished(capsys: Capture) -> None:
    """Fifty epochs are too few to overflow: the loss has grown to 1e78, and the rate is above the stable one."""
    options = ["--set", "train.rate=0.1", "--set", "train.epochs=50"]
    code, out, _ = edunn("train", CONFIGS / "line_regression.toml", *options, "--json", capsys=capsys)
    result = strict_json(out)
    assert code == 1
    assert result["status"] == "diverged"
    assert "the objective grew from" in result["message"]
    assert "2/λmax" in result["message"]


def test_predictions_never_overwrite_the_data(flower_config: Path, flowers: Path, capsys: Capture) -> None:
    edunn("train", flower_config, "--out", "run", capsys=capsys)
    before = flowers.read_text()
    code, out, err = edunn("predict", "run", flowers, "--out", flowers, capsys=capsys)
    assert (code, out) == (2, "")
    assert "would overwrite the data" in err
    assert flowers.read_text() == before
    code, out, err = edunn("predict", "run", flowers, "--out", "nowhere/predicted.csv", capsys=capsys)
    assert code == 2
    assert len(err.splitlines()) == 1


def test_images_are_predicted_by_name(elsewhere: Path, capsys: Capture) -> None:
    from PIL import Image

    shapes = data.load("shapes", samples=60).train
    assert shapes.targets is not None
    for i, (image, target) in enumerate(zip(shapes.features, shapes.targets.tolist(), strict=True)):
        folder = elsewhere / "pictures" / ("red" if target < 6 else "blue")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(folder / f"{i}.png")
    (elsewhere / "pictures.toml").write_text(
        '[data]\npath = "pictures"\n[features]\nstandardise = true\n[model]\nkind = "logistic-regression"\n'
        '[loss]\nkind = "binary-cross-entropy"\n[train]\nrate = 0.01\nepochs = 5\n'
    )
    assert edunn("train", "pictures.toml", "--out", "run", capsys=capsys)[0] == 0
    _, out, _ = edunn("predict", "run", "pictures", "--json", capsys=capsys)
    result = strict_json(out)
    assert len(result["names"]) == len(result["predictions"]) == 60
    assert result["names"][0].startswith("blue/")
    assert result["accuracy"] is not None
    _, out, _ = edunn(
        "predict", "run", "pictures/red/" + sorted(p.name for p in Path("pictures/red").iterdir())[0], capsys=capsys
    )
    assert ".png" in out


def test_own_table_from_start_to_end(flower_config: Path, capsys: Capture) -> None:
    code, out, _ = edunn("train", flower_config, "--out", "run", "--json", capsys=capsys)
    assert code == 0
    assert strict_json(out)["test_accuracy"] > 0.9

    # new rows, without the target, and with the columns in another order
    Path("new.csv").write_text("note,height,width\nfirst,1.5,-0.3\nsecond,-2,0.25\n")
    code, out, _ = edunn("predict", "run", "new.csv", "--json", capsys=capsys)
    result = strict_json(out)
    assert code == 0
    assert result["classes"] == ["aster", "rose", "tulip"]
    assert len(result["predictions"]) == 2
    assert set(result["predictions"]) <= set(result["classes"])
    torch.testing.assert_close(torch.tensor(result["probabilities"]).sum(-1), torch.ones(2))
    assert result["accuracy"] is None
    assert result["confusion"] is None

    # the rows it was trained on, with the target: a score and a confusion matrix
    code, out, _ = edunn("predict", "run", "flowers.csv", "--out", "predicted.csv", capsys=capsys)
    assert code == 0
    assert "confusion" in out
    rows = list(csv.reader(Path("predicted.csv").read_text().splitlines()))
    assert rows[0] == ["row", "prediction", "true", "p(aster)", "p(rose)", "p(tulip)"]
    assert len(rows) == 151

    code, out, _ = edunn("show", "run", capsys=capsys)
    assert code == 0
    assert "running" in out
    assert "finished" in out


def test_predictions_are_those_of_the_run(flower_config: Path, flowers: Path, capsys: Capture) -> None:
    """Standardisation is the training part's, and classes keep their names: counted against the file itself."""
    edunn("train", flower_config, "--out", "run", capsys=capsys)
    _, out, _ = edunn("predict", "run", flowers, "--json", capsys=capsys)
    result = strict_json(out)
    truth = [row["kind"] for row in csv.DictReader(flowers.read_text().splitlines())]
    right = sum(a == b for a, b in zip(truth, result["predictions"], strict=True)) / len(truth)
    assert result["accuracy"] == pytest.approx(right, abs=1e-6)
    assert sum(map(sum, result["confusion"])) == len(truth)


def test_two_classes_and_a_hinge(flowers: Path, capsys: Capture) -> None:
    lines = [line for line in flowers.read_text().splitlines() if not line.endswith("rose")]
    Path("two.csv").write_text("\n".join(lines) + "\n")
    Path("two.toml").write_text(
        '[data]\npath = "two.csv"\ntest = 0.25\n[model]\nkind = "svm"\n[loss]\nkind = "hinge"\n[train]\nepochs = 200\n'
    )
    code, out, _ = edunn("train", "two.toml", "--out", "run", "--json", capsys=capsys)
    assert code == 0
    assert strict_json(out)["test_accuracy"] > 0.9
    _, out, _ = edunn("predict", "run", "two.csv", "--json", capsys=capsys)
    result = strict_json(out)
    assert result["probabilities"] is None
    assert result["accuracy"] > 0.9
    assert set(result["predictions"]) == {"aster", "tulip"}


def test_runs_side_by_side(flower_config: Path, capsys: Capture) -> None:
    for rate in ("0.01", "1.0"):
        edunn("train", flower_config, "--set", f"train.rate={rate}", "--out", f"rate{rate}", capsys=capsys)
    code, out, _ = edunn("show", "rate0.01", "rate1.0", "--out", "both", capsys=capsys)
    assert code == 0
    assert "rate0.01" in out
    assert "rate1.0" in out
    assert sorted(p.name for p in Path("both").iterdir()) == ["accuracy.png", "loss.png"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train"], "Name a config file, or --resume DIR"),
        (["train", "nowhere.toml"], "There is no config file nowhere.toml"),
        (["train", "{softmax}", "--set", "train.rat=1"], "Did you mean 'rate'?"),
        (["train", "{softmax}", "--set", "loss.kind=cross-entrpy"], "Did you mean 'cross-entropy'?"),
        (["train", "{softmax}", "--set", "loss.smoothing=0.1"], "Unknown config key loss.smoothing"),
        (["train", "{softmax}", "--set", "train.rule.momentun=0.1"], "Did you mean 'momentum'?"),
        (["train", "{softmax}", "--set", "penalty.strength=-1"], "strength must be a number 0 or more"),
        (["train", "{softmax}", "--set", "train.rate=-1"], "The rate must be above 0"),
        (["train", "{softmax}", "--set", "train.epochs=0"], "epochs must be a whole number of 1 or more"),
        (["train", "{softmax}", "--set", "loss=hinge"], "two classes; the data has 10"),
        (["train", "{moons}", "--set", "loss=zero-one"], "no useful gradient"),
        (["train", "{moons}", "--set", "model.predicts=signs"], "Unknown config key model.predicts"),
        (["train", "{moons}", "--set", "model.outputs=5"], "Unknown config key model.outputs"),
        (["train", "{moons}", "--set", "model.scale=large"], "model.scale must be a number; got 'large'"),
        (["train", "{softmax}", "--set", "penalty.strength=true"], "penalty.strength must be a number; got True"),
        (["train", "{softmax}", "--set", "loss.label_smoothing=abc"], "loss.label_smoothing must be a number"),
        (["train", "{softmax}", "--set", "run.name=../elsewhere"], "run.name becomes the name of a folder"),
        (["train", "{softmax}", "--set", "train.tolerance=-1"], "The tolerance must be 0 or more"),
        (
            ["train", "{softmax}", "--resume", "somewhere", "--by", "autograd"],
            "A run by autograd keeps no checkpoint",
        ),
        (["train", "{softmax}", "--set", "model=linear-regression"], "takes one score a class"),
        (["train", "{softmax}", "--set", "data.validaton=0.2"], "validaton"),
        (["train", "{softmax}", "--set", "data.name=digit"], "Did you mean 'digits'?"),
        (["train", "{softmax}", "--set", "data.path=nowhere.csv"], "nowhere.csv"),
        (["train", "{softmax}", "--device", "gpu"], "Unknown device"),
        (["train", "{softmax}", "--dtype", "float16"], "float32 or float64"),
        (["train", "{line}", "--set", "model.weight=[[1, 2]]"], "Expected model.weight of shape (1, 1)"),
        (["train", "{line}", "--set", "loss=cross-entropy"], "is for classes; the target is real"),
        (["train", "--resume", "nowhere"], "nowhere has no config.toml"),
        (["train", "{softmax}", "--resume"], "CONFIG --resume needs --out DIR"),
        (["train", "{softmax}", "--colour"], "unrecognized arguments: --colour"),
        (["predict", "nowhere", "new.csv"], "nowhere has no config.toml. There is no such folder"),
        (["show", "nowhere"], "nowhere has no config.toml. There is no such folder"),
        (["data", "lst"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value[1:])[:60] if isinstance(value, list) else None,
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    argv: list[str], message: str, elsewhere: Path, capsys: Capture
) -> None:
    known = {"softmax": CONFIGS / "digits_softmax.toml", "line": CONFIGS / "line_regression.toml"}
    known["moons"] = CONFIGS / "moons_logistic.toml"
    code, out, err = edunn(*[word.format(**known) for word in argv], capsys=capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,kind\n1,2,a\n3,nan,b\n5,6,a\n", ["row 2", "'y'"]),
        ("x,y,kind\n1,2,a\n3,four,b\n", ["row 2", "'y'", "four"]),
        ("x,y,kind\n1,2,a\n3,4\n", ["row 2"]),
        ("", ["empty"]),
    ],
    ids=["nan", "text", "ragged", "empty"],
)
def test_bad_table_is_one_line_and_leaves_nothing(
    text: str, message: list[str], elsewhere: Path, capsys: Capture
) -> None:
    (elsewhere / "bad.csv").write_text(text)
    (elsewhere / "bad.toml").write_text(
        '[data]\npath = "bad.csv"\n[model]\nkind = "softmax"\n[loss]\nkind = "cross-entropy"\n'
    )
    code, out, err = edunn("train", "bad.toml", capsys=capsys)
    assert (code, out) == (2, "")
    assert all(part in err for part in message), err
    assert len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in elsewhere.iterdir()) == ["bad.csv", "bad.toml"]


def test_a_folder_with_files_is_not_written_over(elsewhere: Path, capsys: Capture) -> None:
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "thesis.txt").write_text("draft")
    code, _, err = edunn("train", CONFIGS / "line_regression.toml", "--out", "mine", capsys=capsys)
    assert code == 2
    assert "holds files and is not overwritten" in err
    assert [p.name for p in (elsewhere / "mine").iterdir()] == ["thesis.txt"]


def test_data_list_names_every_source(capsys: Capture) -> None:
    code, out, _ = edunn("data", "list", "--json", capsys=capsys)
    names = {source["name"] for source in strict_json(out)["sources"]}
    assert code == 0
    assert names >= {"digits", "shapes", *data.TOYS}


def test_check_passes_with_forty_rows(capsys: Capture) -> None:
    code, out, _ = edunn("check", "--json", capsys=capsys)
    result = strict_json(out)
    assert code == 0
    assert result["passed"] is True
    assert len({(row["name"], row["parameter"]) for row in result["rows"]}) >= 40
    assert max(row["hand_vs_autograd"] for row in result["rows"]) <= 1e-12
    assert max(row["hand_vs_numeric"] for row in result["rows"]) <= 1e-8


def test_demo_ends_with_pictures_and_the_next_command(capsys: Capture) -> None:
    code, out, _ = edunn("demo", "--out", "demo", capsys=capsys)
    assert code == 0
    assert "Next:" in out
    assert len(list(Path("demo").rglob("*.png"))) >= 3
    code, out, _ = edunn("show", "demo/softmax", "demo/svm", "--json", capsys=capsys)
    assert code == 0
    assert len(strict_json(out)["runs"]) == 2


def test_piped_output_has_no_progress_bar(elsewhere: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edunn", "train", str(CONFIGS / "line_regression.toml"), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=elsewhere,
        check=True,
    )
    assert done.stderr == ""
    strict_json(done.stdout)


def test_a_reader_that_goes_away_is_no_error(elsewhere: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m edunn data list | head -c 10",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=elsewhere,
        check=True,
    )
    assert done.stderr == ""
