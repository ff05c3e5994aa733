"""One vocabulary: every family's names in any spelling, the words of other libraries, and the nearest word."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from edunn import activations, cli, data, layers, lessons, losses, models, penalties, updates
from edunn.errors import ConfigError
from edunn.exercises import EXERCISES
from edunn.experiment import config
from edunn.experiment.build import make_loss
from edunn.experiment.config import Kind
from edunn.features import pipeline
from edunn.landscape import study
from edunn.runtime import names

# every family, and the names that the package knows of it
FAMILIES: dict[str, list[str]] = {
    "loss": [*losses.LOSSES],
    "activation": [*activations.ACTIVATIONS],
    "penalty": [*penalties.PENALTIES],
    "rule": [*updates.RULES],
    "schedule": [*updates.SCHEDULES],
    "layer": [*layers.LAYERS],
    "model": [*models.MODELS, "neighbours"],
    "features": [*pipeline.KINDS, "auto"],
    "data set": [*data.NAMES],
    "problem": [*study.PROBLEMS],
    "lesson": [*lessons.lessons()],
    "exercise": [*EXERCISES],
}
CANONICAL = [(what, name) for what, known in FAMILIES.items() for name in known]
# exercises include the synonyms of whole families, of which not every member is an exercise
SYNONYMS = [
    (what, word, name)
    for what, table in names.SYNONYMS.items()
    for name, words in table.items()
    if what != "exercise" or name in FAMILIES[what]
    for word in words.split()
]


def reachable(what: str) -> list[str]:
    return [*FAMILIES[what], *names.possible_presets(FAMILIES[what], what)]


def test_every_family_is_here() -> None:
    assert set(FAMILIES) == set(names.SYNONYMS)


@pytest.mark.parametrize(("what", "name"), CANONICAL, ids=[f"{what}: {name}" for what, name in CANONICAL])
def test_a_canonical_name_in_any_spelling(what: str, name: str) -> None:
    camel = name.title().replace("-", "")
    for spelling in (name, name.replace("-", "_"), name.upper(), camel, name.replace("-", " "), f"{name}-{what}"):
        assert names.resolve(spelling, FAMILIES[what], what) == name


@pytest.mark.parametrize(("what", "word", "name"), SYNONYMS, ids=[f"{what}: {word}" for what, word, _ in SYNONYMS])
def test_a_synonym_is_one_thing(what: str, word: str, name: str) -> None:
    assert names.resolve(word, reachable(what), what) == name
    assert names.resolve(word.upper().replace("-", "_"), reachable(what), what) == name


@pytest.mark.parametrize("what", FAMILIES)
def test_no_word_means_two_things(what: str) -> None:
    """Squeezed, canonical names, presets and synonyms of a family are all different."""
    squeezed = [names.squeeze(word) for word, _ in names.words(reachable(what), what)]
    assert sorted(squeezed) == sorted(set(squeezed))


@pytest.mark.parametrize("what", [what for what in FAMILIES if what != "exercise"])
def test_every_line_of_the_table_is_about_something_known(what: str) -> None:
    assert set(names.SYNONYMS[what]) <= set(reachable(what))


# class names of torch, scikit-learn and Keras, words of the lectures, and the class of ours with that formula
CLASSES: list[tuple[Any, str, type]] = [
    (losses.named, "mse", losses.SquaredError),
    (losses.named, "MSELoss", losses.SquaredError),
    (losses.named, "squared_error", losses.SquaredError),
    (losses.named, "SquaredError", losses.SquaredError),
    (losses.named, "MeanSquaredError", losses.SquaredError),
    (losses.named, "mae", losses.AbsoluteError),
    (losses.named, "L1Loss", losses.AbsoluteError),
    (losses.named, "HuberLoss", losses.Huber),
    (losses.named, "SmoothL1Loss", losses.Huber),
    (losses.named, "bce", losses.BinaryCrossEntropy),
    (losses.named, "BCEWithLogitsLoss", losses.BinaryCrossEntropy),
    (losses.named, "BinaryCrossentropy", losses.BinaryCrossEntropy),
    (losses.named, "log_loss", losses.BinaryCrossEntropy),
    (losses.named, "SoftMarginLoss", losses.Logistic),
    (losses.named, "hinge_loss", losses.Hinge),
    (losses.named, "squared_hinge", losses.Hinge),
    (losses.named, "0-1", losses.ZeroOne),
    (losses.named, "CrossEntropyLoss", losses.CrossEntropy),
    (losses.named, "SparseCategoricalCrossentropy", losses.CrossEntropy),
    (losses.named, "ce", losses.CrossEntropy),
    (losses.named, "nll", losses.CrossEntropy),
    (losses.named, "MultiMarginLoss", losses.MulticlassHinge),
    (activations.named, "ReLU", activations.ReLU),
    (activations.named, "LeakyReLU", activations.LeakyReLU),
    (activations.named, "leaky_relu", activations.LeakyReLU),
    (activations.named, "linear", activations.Identity),
    (activations.named, "logistic", activations.Sigmoid),
    (activations.named, "Heaviside", activations.Step),
    (lambda name: penalties.named(name, 0.1), "ridge", penalties.L2),
    (lambda name: penalties.named(name, 0.1), "lasso", penalties.L1),
    (lambda name: penalties.named(name, 0.1), "elasticnet", penalties.ElasticNet),
    (lambda name: penalties.named(name, 0.1), "weight_decay", penalties.L2),
    (lambda name: penalties.named(name, 2.0), "MaxNorm", penalties.MaxNorm),
    (updates.named, "sgd", updates.GradientDescent),
    (updates.named, "gd", updates.GradientDescent),
    (updates.named, "GradientDescent", updates.GradientDescent),
    (updates.named, "heavy-ball", updates.Momentum),
    (updates.named, "nag", updates.Nesterov),
    (updates.named, "RMSprop", updates.RMSprop),
    (updates.named, "Adagrad", updates.AdaGrad),
    (updates.named, "ADAM", updates.Adam),
    (updates.named_schedule, "StepLR", updates.StepDecay),
    (updates.named_schedule, "CosineAnnealingLR", updates.CosineDecay),
    (updates.named_schedule, "1/t", updates.InverseTimeDecay),
    (lambda name: models.named(name, 2), "linear", models.LinearRegression),
    (lambda name: models.named(name, 2), "ols", models.LinearRegression),
    (lambda name: models.named(name, 2), "logreg", models.LogisticRegression),
    (lambda name: models.named(name, 2, 3), "softmax_regression", models.SoftmaxClassifier),
    (lambda name: models.named(name, 2, 3), "SoftmaxClassifier", models.SoftmaxClassifier),
    (lambda name: models.named(name, 2, 3), "LinearSVC", models.LinearSVM),
    (lambda name: models.named(name, features=2, outputs=3), "MLPClassifier", models.TwoLayerNet),
    (lambda name: layers.named(name, 3, 2), "Dense", layers.Linear),
    (lambda name: layers.named(name, 3), "BatchNorm1d", layers.BatchNorm),
]


@pytest.mark.parametrize(("named", "word", "cls"), CLASSES, ids=[f"{c.__name__}: {word}" for _, word, c in CLASSES])
def test_named(named: Any, word: str, cls: type) -> None:
    assert type(named(word)) is cls


def test_options_reach_the_class() -> None:
    scores, targets = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0])
    half = losses.named("mse", half=True, through="sigmoid")
    assert torch.equal(
        half(scores, targets), losses.SquaredError(half=True, through=activations.Sigmoid())(scores, targets)
    )
    signs = torch.tensor([1.0, 1.0])
    assert float(losses.named("squared-hinge")(scores, signs)) == 2.0  # (0 + (1 + 1)²) / 2
    assert float(losses.named("squared-hinge", power=1)(scores, signs)) == 1.0  # what is said beats what is implied
    # torch's weight_decay adds λw to the gradient
    assert torch.allclose(penalties.named("weight-decay", 0.5).gradient(scores), 0.5 * scores)


# ---- what is not known -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "word", "says"),
    [
        ("loss", "cross-entrpy", "Did you mean 'cross-entropy'?"),
        ("loss", "hing", "Did you mean 'hinge'?"),
        ("loss", "bcee", "Did you mean 'bce' (binary-cross-entropy)?"),
        ("loss", "Squared_Eror", "Did you mean 'squared-error'?"),
        ("loss", "means-squared-error", "Did you mean 'mean-squared-error' (squared-error)?"),
        ("loss", "xyz", "Known: absolute-error, binary-cross-entropy,"),
        ("rule", "adma", "Did you mean 'adam'?"),
        ("rule", "nestrov", "Did you mean 'nesterov'?"),
        ("model", "sotfmax", "Did you mean 'softmax'?"),
        ("model", "logregg", "Did you mean 'logreg' (logistic-regression)?"),
        ("activation", "rulu", "Did you mean 'relu'?"),
        ("activation", "sigmod", "Did you mean 'sigmoid'?"),
        ("penalty", "l3", "Known: elastic-net, l1, l2, max-norm."),
        ("penalty", "lasoo", "Did you mean 'lasso' (l1)?"),
        ("schedule", "cosin", "Did you mean 'cosine'?"),
        ("features", "hogg", "Did you mean 'hog'?"),
        ("data set", "mooons", "Did you mean 'moons'?"),
        ("problem", "binray", "Did you mean 'binary'?"),
        ("lesson", "nearest-neighbour", "Did you mean 'nearest-neighbours'?"),
        ("exercise", "leaky-rule", "Did you mean 'leaky-relu'?"),
    ],
)
def test_an_unknown_word_names_its_neighbour(what: str, word: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        names.resolve(word, FAMILIES[what], what)
    assert str(error.value).startswith(f"Unknown {what} {word!r}. {says}")


def test_a_neighbour_is_possible_here() -> None:
    """A loss over classes has no (w, b) surface, and is not offered for one."""
    with pytest.raises(ConfigError, match=r"Unknown loss 'cross-entropy'\. Did you mean 'binary-cross-entropy'"):
        study.make_loss("cross-entropy", None, "binary")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: losses.named("hinge", pwer=2), "The loss hinge has no option 'pwer'. Did you mean 'power'?"),
        (lambda: updates.named("sgd", rate=1), "The rule gradient-descent has no option 'rate'. It takes none."),
        (lambda: penalties.named("l2"), "The penalty l2 needs strength"),
        (lambda: losses.named(3), "Unknown loss 3."),  # type: ignore[arg-type]
        (lambda: models.TwoLayerNet(2, outputs=3, activation="rellu"), "Unknown activation 'rellu'. Did you mean"),
    ],
    ids=["option", "no options", "missing", "a number", "activation of a net"],
)
def test_what_named_refuses(make: Any, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert says in str(error.value)


# ---- where names are written -----------------------------------------------------------------------------------------

TABLES = {"data": {"name": "moons"}, "model": "logistic-regression", "loss": "binary-cross-entropy"}


@pytest.mark.parametrize(
    ("override", "get", "kind"),
    [
        ("loss=mse", lambda c: c.loss, Kind("squared-error")),
        ("loss=hinge2", lambda c: c.loss, Kind("hinge", {"power": 2})),
        ("loss.kind=cross_entropy", lambda c: c.loss, Kind("cross-entropy")),
        ("loss={kind = 'MSE', through = 'Logistic'}", lambda c: c.loss, Kind("squared-error", {"through": "sigmoid"})),
        ("model=SoftmaxClassifier", lambda c: c.model, Kind("softmax")),
        ("model.kind=knn", lambda c: c.model, Kind("neighbours")),
        ("model={kind = 'mlp', activation = 'ReLU'}", lambda c: c.model, Kind("two-layer", {"activation": "relu"})),
        ("penalty={kind = 'ridge', strength = 1}", lambda c: c.penalty, Kind("l2", {"strength": 1})),
        ("train.rule=SGD", lambda c: c.train.rule, Kind("gradient-descent")),
        ("train.schedule=cosine_decay", lambda c: c.train.schedule, Kind("cosine")),
        ("features=HOG,Hue-Histogram", lambda c: c.features.kind, "hog,hue"),
        ("data.name=make_circles", lambda c: c.data.name, "circles"),
        ("data.name=no such set", lambda c: c.data.name, "no such set"),  # data.load says so
    ],
)
def test_a_config_keeps_the_canonical_name(override: str, get: Any, kind: Any) -> None:
    made = config.parse(json.loads(json.dumps(TABLES)), [override])
    assert get(made) == kind
    assert config.parse(tomllib.loads(config.dump(made))) == made


def test_another_name_of_the_same_kind_keeps_its_options() -> None:
    tables = {**TABLES, "loss": {"kind": "squared-error", "half": True}}
    assert config.parse(tables, ["loss.kind=mse"]).loss == Kind("squared-error", {"half": True})


def test_an_implied_option_does_not_outlive_its_name() -> None:
    """hinge after squared-hinge is the plain hinge, not one of power 2."""
    assert config.parse({**TABLES, "loss": "squared-hinge"}, ["loss.kind=hinge"]).loss == Kind("hinge")
    assert config.parse({**TABLES, "loss": "hinge"}, ["loss.kind=squared-hinge"]).loss == Kind("hinge", {"power": 2})


def test_a_kind_made_in_python_is_understood() -> None:
    assert type(make_loss(Kind("MSELoss"))) is losses.SquaredError


@pytest.mark.parametrize("word", ["squared-error", "mse", "MSELoss", "squared_error"])
def test_landscape_by_any_name(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    window = ["--w=-1:1:5", "--b=-1:1:5", "--samples", "20", "--no-figures"]
    asked = ["--loss", word, "--problem", "binary_classification", "--activation", "Sigmoid", "--compare", "log-loss"]
    assert cli.main(["landscape", *asked, *window, "--json", "--out", str(tmp_path / "out")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["loss"], summary["activation"], summary["problem"]) == (word, "sigmoid", "binary")
    assert summary["compare"]["loss"] == "log-loss"  # as it was asked for
    assert {p.name for p in (tmp_path / "out").glob("*.npz")} == {"surface.npz", "surface-log-loss.npz"}


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["exercise", "bce"], "exercise", "binary-cross-entropy"),
        (["exercise", "batch_norm"], "exercise", "batch-norm"),
        (["exercise", "ridge"], "exercise", "l2"),
        (["lesson", "Svm_Margin"], "name", "svm-margin"),
        (["lesson", "knn"], "name", "nearest-neighbours"),
        (["features", "shape-images", "--kind", "HOG"], "kind", "hog"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands(arguments: list[str], key: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[key] == value


def test_a_run_and_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.toml"
    path.write_text('loss = "BCE"\nmodel = "logreg"\n[data]\nname = "two_moons"\nsamples = 40\n[train]\nepochs = 2\n')
    assert cli.main(["train", str(path), "--out", str(tmp_path / "run"), "--json"]) == 0
    capsys.readouterr()
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    found = written["data"]["name"], written["model"]["kind"], written["loss"]["kind"]
    assert found == ("moons", "logistic-regression", "binary-cross-entropy")
    over = ["--over", "loss.kind=mse,bce", "--set", "data.validation=0.2", "--out", str(tmp_path / "sweep")]
    assert cli.main(["sweep", str(path), *over, "--json"]) == 0


def test_a_file_goes_before_another_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("make_moons").write_text("x,y\n1,2\n")
    with pytest.raises(Exception, match="column 'y' holds '2' only"):
        data.load("make_moons")
    Path("make_moons").unlink()
    assert data.load("make_moons").name == "moons"
