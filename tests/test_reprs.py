"""What a prompt shows: the constructor's call for things that are built, at most 15 lines for records."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edunn
from edunn import data, descent, features, gradcheck, graph, minimise, results, selection
from edunn.activations import ACTIVATIONS, Sigmoid, Tanh
from edunn.descent import health
from edunn.descent.lockstep import lockstep
from edunn.experiment import config as configs
from edunn.gradcheck.parity import Parity, ParityRow
from edunn.layers import LAYERS, BatchNorm, Chain, Dropout, Linear
from edunn.losses import LOSSES, Loss
from edunn.models import MODELS, LinearSVM
from edunn.penalties import L2, PENALTIES
from edunn.updates import RULES, SCHEDULES

REGISTRIES: dict[str, dict[str, Any]] = {
    "loss": LOSSES, "penalty": PENALTIES, "rule": RULES, "schedule": SCHEDULES, "activation": ACTIVATIONS,
    "layer": LAYERS, "model": MODELS,
}  # fmt: skip
CLASSES = {kind.__name__: kind for registry in REGISTRIES.values() for kind in registry.values()}
NAMES = CLASSES | {"torch": torch}

# The arguments that have no default; everything else is called with none.
NEEDED = {"strength": 0.1, "limit": 3.0, "features": 4, "outputs": 3, "classes": 5}
BUILT = [
    pytest.param(kind, id=f"{family} {name}") for family, all_ in REGISTRIES.items() for name, kind in all_.items()
]

WRITTEN = [
    "Hinge(power=2)", "Hinge(2.0, 2)", "Huber(0.5)", "CrossEntropy(0.1)", "SquaredError(half=True)",
    "SquaredError(through=Sigmoid())", "SquaredError(through=LeakyReLU(0.2), classes=True)",
    "MulticlassHinge(include_true=True, over='classes')", "OneVsAllHinge(power=2)",
    "L2(0.1)", "L2(0.1, half=True)", "L2(0.0, bias=True)", "L1(0.01, proximal=True)", "ElasticNet(0.1, 2.0)",
    "MaxNorm(3.0)", "L2(torch.tensor([0.1, 1e-05]))",
    "L2(torch.tensor([0.1, 0.2], dtype=torch.float64))", "L2(torch.tensor(0.1))",
    "Momentum(0.5)", "Nesterov(0.8)", "AdaGrad(1e-06)", "RMSprop(0.9)", "Adam()", "Adam(beta2=0.9)", "Adam(0.8, 0.9)",
    "AdamW(0.1)",
    "StepDecay(0.1, 30.0)", "StepDecay(every=5.0)", "CosineDecay(0.1)", "LinearDecay(0.1)", "InverseTimeDecay(0.5)",
    "LeakyReLU(0.2)", "Linear(2, 8, bias=False, scale=0.5, seed=3)", "Linear(2, 8, runs=(3,))", "Dropout(0.2, 7)",
    "Dropout(seed=7)", "BatchNorm(8, 0.2)", "BatchNorm(8, epsilon=0.001, dtype=torch.float64)",
    "Chain(Linear(2, 8), Tanh(), Dropout(0.2), Linear(8, 1))", "Chain(hidden=Linear(2, 8), out=ReLU())",
    "LinearSVM(64, 10)", "LinearSVM(64, predicts='bits')", "SoftmaxClassifier(64, 10, bias=False, dtype=torch.float64)",
    "LogisticRegression(2, predicts='signs')", "LinearRegression(2, 3, scale=0.1)",
    "TwoLayerNet(64, 10, hidden=32, activation='tanh', dropout=0.5, batchnorm=True, predicts='signs', seed=1)",
    "TwoLayerNet(64, 10, activation=LeakyReLU(0.1), scale='xavier')",
]  # fmt: skip


def read(text: str) -> Any:
    return eval(text, dict(NAMES))


def built(kind: type) -> Any:
    """A thing with the defaults of its class."""
    if kind is Chain:
        return Chain(Linear(4, 3), Tanh())
    parameters = inspect.signature(kind).parameters.values()
    return kind(*(NEEDED[p.name] for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD))


@pytest.mark.parametrize("kind", BUILT)
def test_repr_is_the_call_that_builds_it_again(kind: type) -> None:
    thing = built(kind)
    text = repr(thing)
    assert text.startswith(f"{kind.__name__}(")
    assert "=" not in text  # nothing but what has no default
    again = read(text)
    assert type(again) is kind
    assert repr(again) == text


@pytest.mark.parametrize("text", WRITTEN)
def test_arguments_are_shown_where_they_differ_from_the_default(text: str) -> None:
    thing = read(text)
    assert repr(thing) == text
    assert repr(copy.deepcopy(thing)) == repr(pickle.loads(pickle.dumps(thing))) == text


@pytest.mark.parametrize("kind", BUILT)
@given(data=st.data())
def test_any_number_is_read_back(kind: type, data: st.DataObject) -> None:
    """Every option with a floating default, at any number in (0, 1): all of these constructors take that."""
    if kind is Chain:
        return
    floats = [p.name for p in inspect.signature(kind).parameters.values() if isinstance(p.default, float)]
    inside = st.floats(0.001, 0.999)
    options = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(floats, inside)))
    parameters = inspect.signature(kind).parameters.values()
    needed = {p.name: NEEDED[p.name] for p in parameters if p.default is p.empty and p.name in NEEDED}
    thing = kind(**needed, **options)
    again = read(repr(thing))
    assert repr(again) == repr(thing)
    for name, value in options.items():
        assert vars(again).get(name, value) == value


def test_arguments_at_their_default_are_left_out() -> None:
    assert repr(CLASSES["Hinge"](1.0, power=1)) == "Hinge()"
    assert repr(LinearSVM(3, classes=2)) == "LinearSVM(3)"


def test_the_order_of_writing_does_not_matter() -> None:
    assert repr(CLASSES["Hinge"](power=2, margin=3.0)) == "Hinge(3.0, 2)"


def test_what_changed_since_is_shown() -> None:
    penalty = L2(0.1)
    penalty.strength = 0.5
    assert repr(penalty) == "L2(0.5)"
    assert repr(LinearSVM(3).double()) == "LinearSVM(3, dtype=torch.float64)"
    assert repr(LinearSVM(3, device="cpu", dtype=torch.float32)) == "LinearSVM(3)"


def test_a_long_tensor_shows_its_shape() -> None:
    assert repr(L2(torch.ones(64))) == "L2(<tensor of shape (64,)>)"


def test_a_loss_of_ones_own_has_it_too() -> None:
    class Scaled(Loss):
        def __init__(self, factor: float, name: str = "plain") -> None:
            super().__init__()
            self.c = factor

    assert repr(Scaled(3.0)) == "Scaled(3.0)"
    assert repr(Scaled(factor=3.0, name="mine")) == "Scaled(3.0, name='mine')"
    assert repr(Scaled(float("inf"))) == "Scaled(float('inf'))"


def test_modules_keep_the_equality_of_torch_and_schedules_are_equal_by_their_numbers() -> None:
    assert Sigmoid() != Sigmoid()  # a module is itself: it may be a key, and be shared
    assert len({BatchNorm(2), BatchNorm(2), Dropout(), Dropout()}) == 4
    cosine = SCHEDULES["cosine"]
    assert cosine(0.1) == cosine(0.1)
    assert cosine(0.1) != cosine(0.2)
    assert cosine(0.1) != SCHEDULES["linear"](0.1)
    assert len({cosine(0.1), cosine(0.1)}) == 1


# Records

CONFIG = """
[data]
name = "moons"
validation = 0.25
[model]
kind = "logistic-regression"
[loss]
kind = "binary-cross-entropy"
[train]
rate = 0.5
epochs = 40
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One of each record, large enough to fill a screen if it were shown whole."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "moons.toml").write_text(CONFIG)
    digits = data.digits().to(dtype=torch.float64)
    net, loss = MODELS["two-layer"](64, 10, hidden=8, dtype=torch.float64), LOSSES["cross-entropy"]()
    watch = health.Watch(net, loss, digits.train[:50])
    history = descent.descend(net, loss, digits.train[:100], rate=0.1, epochs=40, snapshots=1, after_epoch=watch)
    edunn.train(configs.load(folder / "moons.toml"), folder / "run")
    run = edunn.load(folder / "run")
    images = data.shapes(12).features
    found = edunn.experiment.sweep(
        lambda more: configs.load(folder / "moons.toml", more), {"train.rate": [f"{k / 10}" for k in range(1, 21)]},
        folder / "sweep",
    )  # fmt: skip
    grid = {"rate": [k / 10 for k in range(30)]}
    return {
        "history": history,
        "watch": watch,
        "certificate": gradcheck.everything(),
        "parity": Parity("cuda", (ParityRow("a", "value", "float64", 1e-13, 1e-14),) * 40),
        "lockstep": lockstep(LinearSVM(64, 10, dtype=torch.float64), loss, digits.train, rate=0.1, steps=5),
        "search": selection.grid_search(lambda train, validation, rate: rate, digits.train, grid),
        "sweep": found,
        "entry": found.entries[0],
        "run": run,
        "predictions": run.predict(data.TOYS["moons"](samples=200)),
        "samples": digits.train,
        "dataset": digits,
        "neighbours": edunn.neighbours.NearestNeighbours(3).fit(digits.train.features, digits.train.targets),
        "pipeline": features.pipeline.Pipeline.fit(images, "hog,patches", standardise=True, words=5, patches=60),
        "standardise": features.standardise.Standardise.fit(digits.train.features),
        "dictionary": features.patches.learn(images, words=6, patches=60),
        "minimum": minimise.minimise("x**2 + y**2", {"x": 1.0, "y": 1.0}),
        "step study": minimise.step_study("x**3", {"x": 1.0}),
        "graph": graph.build("(a*b + c)*(a - b)*(c + d)*(d - a) + a*b*c*d", a=3, b=4, c=5, d=6),
    }  # fmt: skip


def test_every_record_shows_itself_in_fifteen_lines(records: dict[str, Any]) -> None:
    for name, record in records.items():
        lines = repr(record).splitlines()
        assert 1 <= len(lines) <= 15, name
        assert max(map(len, lines)) <= 400, name
        assert " object at 0x" not in repr(record), name
        assert "tensor(" not in repr(record), name


def test_every_record_prints_the_same_as_text_and_as_html(records: dict[str, Any]) -> None:
    for name, record in records.items():
        if isinstance(record, results.Record):
            table = record.table()
            html = record._repr_html_()
            assert html.count("<tr>") == (1 + min(len(table.rows), 20) if table.columns else 0), name
            assert all(column in record.table().text() for column in table.columns), name
            assert len(table.csv().splitlines()) >= len(table.rows), name


def test_a_history_shows_how_far_it_went_and_how_it_ended(records: dict[str, Any]) -> None:
    text = repr(records["history"])
    assert text.startswith("History of 40 epochs, 40 steps; finished: all 40 epochs were run\n  last running ")
    assert f"accuracy {results.cell(records['history'].last('accuracy'))}" in text
    assert len(text) < 400


def test_a_loaded_run_shows_its_parts(records: dict[str, Any], tmp_path: Path) -> None:
    text = repr(records["run"])
    for part in ("LogisticRegression(2)", "BinaryCrossEntropy()", "Pipeline(", "History of 40 epochs"):
        assert part in text


def test_things_that_are_fitted_show_their_options_or_size(records: dict[str, Any]) -> None:
    assert repr(records["neighbours"]) == "NearestNeighbours(3)"
    assert repr(records["standardise"]) == "Standardise(64 features)"
    assert repr(records["dictionary"]) == "Dictionary(6 words of 6×6×3, triangle)"


# The table itself


def test_a_table_as_text_html_markdown_and_csv() -> None:
    rows = [("a|b", 1 / 3, 1), ("<c>", None, 2.0)]
    table = results.Table(("name", "share", "count"), rows, "a note", "A title", {"share": ".2f"})
    assert table.text().splitlines() == [
        "A title", "name  share  count", "a|b    0.33      1", "<c>              2", "a note",
    ]  # fmt: skip
    assert table.html() == (
        "<table><caption>A title</caption><tr><th>name</th><th>share</th><th>count</th></tr>"
        "<tr><td>a|b</td><td>0.33</td><td>1</td></tr><tr><td>&lt;c&gt;</td><td></td><td>2</td></tr></table>"
        "<p>a note</p>"
    )
    assert table.markdown().splitlines() == [
        "**A title**", "", "| name | share | count |", "| --- | ---: | ---: |", "| a\\|b | 0.33 | 1 |",
        "| <c> |  | 2 |", "", "a note",
    ]  # fmt: skip
    assert table.csv() == f"name,share,count\na|b,{1 / 3},1\n<c>,,2.0\n"


def test_a_result_that_is_a_sentence() -> None:
    table = results.Table(note="two lines\nof text")
    assert str(table) == "two lines\nof text"
    assert table.html() == "<p>two lines<br>of text</p>"


@given(st.lists(st.floats() | st.integers() | st.none() | st.text("ab|<\n", max_size=3), max_size=50))
def test_any_value_fits_a_table(column: list[Any]) -> None:
    table = results.Table(("value",), [(value,) for value in column])
    assert str(table).startswith("value") or str(table).lstrip().startswith("value")
    assert table.html().count("<td>") == min(len(column), 20)
