"""Configs: TOML in, frozen dataclasses out, and a sentence for whatever does not fit."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from edunn import cli
from edunn.errors import ConfigError
from edunn.experiment import config
from edunn.experiment.config import Kind

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.toml"))

MINIMAL = """
[data]
name = "moons"
samples = 300

[model]
kind = "logistic-regression"

[loss]
kind = "squared-error"
through = "sigmoid"

[train]
rule = { kind = "momentum", momentum = 0.5 }
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "minimal.toml"
    path.write_text(MINIMAL)
    return path


def test_options_stand_beside_their_kind(minimal: Path) -> None:
    loaded = config.load(minimal)
    assert loaded.loss == Kind("squared-error", {"through": "sigmoid"})
    assert loaded.train.rule == Kind("momentum", {"momentum": 0.5})
    assert loaded.data.options == {"samples": 300}


def test_the_run_is_named_after_its_file(minimal: Path) -> None:
    assert config.load(minimal).run.name == "minimal"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_is_dumped_loads_to_the_same(path: Path) -> None:
    loaded = config.load(path)
    assert config.parse(tomllib.loads(config.dump(loaded))) == loaded


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_first_comment_is_the_command_that_runs_it(path: Path) -> None:
    assert path.read_text().startswith(f"# edunn train configs/{path.name}")


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("train.rate=2", lambda c: c.train.rate, 2.0),
        ("train.batch_size=full", lambda c: c.train.batch_size, "full"),
        ("train.batch_size=7", lambda c: c.train.batch_size, 7),
        ("train.rule.momentum=0.7", lambda c: c.train.rule, Kind("momentum", {"momentum": 0.7})),
        ("train.rule=adam", lambda c: c.train.rule, Kind("adam")),
        ("train.rule.kind=adam", lambda c: c.train.rule, Kind("adam")),
        ("loss.half=true", lambda c: c.loss.options, {"through": "sigmoid", "half": True}),
        ("loss=binary-cross-entropy", lambda c: c.loss, Kind("binary-cross-entropy")),
        ("data.noise=0.5", lambda c: c.data.options, {"samples": 300, "noise": 0.5}),
        ("data.name=circles", lambda c: c.data.name, "circles"),
        ("run.name=two words", lambda c: c.run.name, "two words"),
    ],
)
def test_override(minimal: Path, override: str, get, value: object) -> None:  # type: ignore[no-untyped-def]
    assert get(config.load(minimal, [override])) == value


def test_relative_path_in_a_file_starts_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[data]\npath = "own.csv"\n[model]\nkind = "softmax"\n[loss]\nkind = "cross-entropy"\n')
    assert config.load(path).data.path == str(tmp_path / "own.csv")


def test_relative_path_on_the_command_line_starts_here(
    minimal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = config.load(minimal, ["data.path=own.csv"])
    assert loaded.data.path == str(tmp_path / "elsewhere" / "own.csv")
    assert loaded.data.name is None  # one source takes the other's place


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.rat=1", r"Unknown config key train\.rat\. Did you mean 'rate'\?"),
        ("trian.rate=1", r"Unknown config key trian\. Did you mean 'train'\?"),
        ("train.rate=fast", r"train\.rate must be a number; got 'fast'"),
        ("train.rate=true", r"train\.rate must be a number; got True"),
        ("train.epochs=3.5", r"train\.epochs must be a whole number; got 3\.5"),
        ("train.batch_size=half", r"train\.batch_size must be a whole number or 'full'; got 'half'"),
        ("data.validation=1.5", r"data\.validation is a share of the samples"),
        ("model.kind=3", r"model\.kind must be a text; got 3"),
        ("rate", r"An override is written KEY=VALUE, like train\.rate=0\.1; got 'rate'"),
    ],
)
def test_refused(minimal: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load(minimal, [override])


def test_missing_file_is_said() -> None:
    with pytest.raises(ConfigError, match=r"There is no config file nowhere\.toml"):
        config.load("nowhere.toml")


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder, not a config file\. Name a file in it"):
        config.load(tmp_path)
    (tmp_path / "config.toml").touch()
    with pytest.raises(ConfigError, match=r"is a folder, not a config file\. Its config is .*config\.toml"):
        config.load(tmp_path)


def test_broken_toml_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[data]\nname = \n")
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 2"):
        config.load(tmp_path / "broken.toml")


@pytest.mark.parametrize("table", ["data", "model", "loss"])
def test_missing_table_is_said(minimal: Path, table: str) -> None:
    tables = tomllib.loads(minimal.read_text())
    del tables[table]
    with pytest.raises(ConfigError, match=rf"The config has no table \[{table}\]"):
        config.parse(tables)


def test_configs_are_frozen(minimal: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.load(minimal).run.seed = 1  # type: ignore[misc]


# ---- values that no option can take: one sentence, exit 2, nothing written -------------------------------------------

DIGITS = "9" * 400
FILES = {
    "a number of 400 digits": (f"data.samples = {DIGITS}", "data.samples = 999"),
    "a number of 5,000 digits": ("data.samples = " + "9" * 5000, "holds a whole number that is too large"),
    "arrays nested 5,000 deep": ("data.noise = " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
    "arrays nested 100 deep": ("data.noise = " + "[" * 100 + "]" * 100, "data.noise is nested too deeply"),
    "tables nested 5,000 deep": (".".join("a" * 5000) + " = 1", "is nested too deeply"),
    "run is no table": ("run = 3", "run is a table"),
    "train is no table": ("train = [1]", "train is a table"),
    "NUL in a name": ('data.name = "a\\u0000b"', "data.name holds a NUL character"),
    "NUL in a run's name": ('run.name = "a\\u0000b"', "run.name holds a NUL character"),
    "a long name": (f'run.name = "{"x" * 300}"', "run.name becomes the name of a folder: at most 200 bytes"),
    "a date": ("train.rate = 1979-05-27", "train.rate must be a number; got datetime.date(1979, 5, 27)"),
    "samples in words": ('data.samples = "many"', "data.samples must be a whole number; got 'many'"),
    "half a sample": ("data.samples = 8.5", "data.samples must be a whole number; got 8.5"),
    "more samples than memory": (
        "data.samples = 1000000000000000000",
        "samples must be a whole number from 2 to 100,000,000",
    ),
    "a rate beyond float32": ("train.rate = 1e308", "train.rate = 1e+308 does not fit float32"),
    "an infinite rate": ("train.rate = inf", "train.rate must be finite; got inf"),
    "no rate": ("train.rate = nan", "train.rate must be finite; got nan"),
    "weights in words": (
        'model.weight = [["a", "b"]]',
        "model.weight must be nested lists of numbers, of shape (1, 2)",
    ),
    "ragged weights": ("model.weight = [[1], [1, 2]]", "model.weight must be nested lists of numbers, of shape (1, 2)"),
    "a list of strengths": ('penalty = { kind = "l2", strength = [1] }', "penalty.strength must be a number; got [1]"),
}


@pytest.mark.parametrize(("line", "says"), FILES.values(), ids=FILES)
def test_a_value_that_no_option_can_take(
    line: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'{line}\nmodel.kind = "logistic-regression"\nloss.kind = "binary-cross-entropy"\n'
    if "data.name" not in line:
        text += 'data.name = "moons"\n'
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert cli.main(["train", str(path), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edunn: ")
    assert says in err
    assert err.count("\n") == 1
    assert len(err) < 400
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('path = "a\\u0000b.csv"', "is not a path"),
        (f'path = "{"x" * 5000}"', "is not a path: File name too long"),
        ('path = "pictures"\nsize = 8.5', "data.size must be a whole number; got 8.5"),
        ('path = "pictures"\nsize = true', "data.size must be a whole number; got True"),
    ],
    ids=["NUL", "too long", "half a pixel", "a truth value"],
)
def test_a_source_that_cannot_be(source: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / name / "1.png")
    path = tmp_path / "own.toml"
    path.write_text(f'model = "softmax"\nloss = "cross-entropy"\n[data]\n{source}\n')
    assert cli.main(["train", str(path), "--out", str(tmp_path / "out")]) == 2
    assert says in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "override",
    [f"train.rate={DIGITS}", "train.rate=" + "9" * 5000, "train.rate=" + "[" * 5000 + "]" * 5000, "data=3", "run=[1]"],
    ids=["400 digits", "5,000 digits", "5,000 deep", "data is no table", "run is no table"],
)
def test_an_override_that_no_option_can_take(minimal: Path, override: str) -> None:
    with pytest.raises(ConfigError) as error:
        config.load(minimal, [override])
    assert len(str(error.value)) < 300
