"""The lessons against the lectures' figures, recomputed elsewhere in float64: every id, every verdict, every mistake.

The constants here were computed twice, apart from this package. `near` says to how many digits each is known.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from edunn import cli, lessons
from edunn.data import Samples, toys
from edunn.errors import ConfigError
from edunn.lessons import linear_regression
from edunn.lessons.engine import Lesson, Row, Table, agree
from edunn.losses import BinaryCrossEntropy, CrossEntropy, MulticlassHinge, SquaredError
from edunn.models import LinearRegression, LogisticRegression, SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L2
from edunn.updates import Momentum

INF, NAN = math.inf, math.nan
NUMBERED = (
    [f"0.{k}" for k in range(1, 6)]
    + [f"1.{k}" for k in range(1, 16)]
    + [f"e{k}" for k in range(6)]
    + ["2.7", "2.8", "2.9", "2.11", "2.12"]
    + [f"3.{k}" for k in range(1, 10)]
    + ["4.1", "4.2", "4.3", "4.5"]
)
ERRATA = [
    f"{lecture}.{letter}"
    for lecture, letters in (
        ("000", "abcdefg"), ("001", "abcdefghi"), ("002", "abcdefghi"), ("003", "abcdefgh"), ("004", "abcdefghi"),
    )
    for letter in letters
]  # fmt: skip
HOLD = {"0.1", "0.4", "1.1", "1.2", "1.3", "1.12", "1.15", "e0", "e1", "e2", "e3", "e4", "e5", "2.11", "2.12", "3.1",
        "3.3", "3.6", "3.7", "3.8", "4.1", "4.2", "4.5"}  # fmt: skip

# id, the place in `computed`, the value, the relative error allowed (the digits to which it was written down)
KNOWN: list[tuple[str, tuple[Any, ...], Any, float]] = [
    ("0.1", ("minima",), 2, 0),
    ("0.1", ("minimum",), 0.018298923949104977, 1e-14),
    ("0.1", ("theta0",), [-1.0, 1.0], 0),
    ("0.1", ("theta1",), [-1.0, 1.0], 0),
    ("0.1", ("max",), 0.2657547411290066, 1e-14),
    ("0.1", ("below_the_jump",), 0.0356295465, 5e-9),
    ("0.1", ("above_the_jump",), 0.2657547411, 5e-10),
    ("0.2", ("minimum",), 0.09660450145301905, 1e-14),
    ("0.2", ("theta0",), -0.5102040816, 5e-10),
    ("0.2", ("theta1",), 1.0, 0),
    ("0.2", ("max",), 0.1938196129, 5e-10),
    ("0.3", (), 0.125, 0),
    ("0.4", ("squared_error",), -4.5393746863e-05, 5e-11),
    ("0.4", ("cross_entropy",), -0.9999546021, 5e-10),
    ("0.5", ("largest",), 4 / 27, 1e-14),
    ("0.5", ("at_sigma",), 1 / 3, 1e-8),  # the top of a curve: the place has half the digits
    ("1.1", (), [2.9, 0.0, 12.9], 1e-14),
    ("1.2", (), 15.8 / 3, 1e-14),
    ("1.3", (), [2.9, -3.9], 1e-14),
    ("1.4", ("cat",), 2.6, 1e-14),
    ("1.4", ("frog",), 1.9, 1e-14),
    ("1.5", ("min",), 0.0, 0),
    ("1.5", ("max",), INF, 0),
    ("1.6", (), 2.0, 0),
    ("1.7", ("each",), [3.9, 1.0, 13.9], 1e-14),
    ("1.7", ("mean",), 18.8 / 3, 1e-14),
    ("1.8", ("over_others",), [1.45, 0.0, 6.45], 1e-14),
    ("1.8", ("over_others_mean",), 7.9 / 3, 1e-14),
    ("1.8", ("over_classes",), [2.9 / 3, 0.0, 4.3], 1e-14),
    ("1.8", ("over_classes_mean",), 5.2666666666666666 / 3, 1e-14),
    ("1.9", ("each",), [8.41, 0.0, 83.25], 1e-14),
    ("1.9", ("mean",), 91.66 / 3, 1e-14),
    ("1.10", (), [197.0, 193.5, 210.9], 1e-14),
    ("1.11", (), [[-1, 1, 0], [0, 0, 0], [1, 1, -2]], 0),
    ("1.12", ("exp",), [24.5325301971, 164.0219072999, 0.1826835241], 5e-10),
    ("1.12", ("p",), [0.1299825390, 0.8690495352, 0.0009679258], 5e-7),
    ("1.13", (), 2.0403551528, 5e-11),
    ("1.14", ("each",), [2.0403551528, 0.0791317783, 6.1564772017], 1e-9),
    ("1.14", ("mean",), 2.7586547109, 5e-11),
    ("e0", (), {"m": 2.003222509810484, "b": 3.3248920388471914, "mse": 1.0241824830839787}, 1e-12),
    ("e1", (), {"m": 2.142493733590308, "b": 2.3986413449255664, "mse": 1.250220311528887}, 1e-12),
    ("e2", (), {"m": 2.234267465666658, "b": 1.7882820710393608, "mse": 1.6372142601852175}, 1e-12),
    ("e3", (), {"m": 2.000591763571137, "b": 3.3423883346618903, "mse": 1.0241037070031567}, 1e-12),
    ("e4", (), {"m": NAN, "b": NAN, "mse": NAN, "first_inf": 199, "first_nan": 398}, 0),
    ("e5", (), {"m": -1.0801217418175042e77, "b": -1.624073026895325e76, "mse": 4.0865746532122445e155}, 1e-12),
    ("2.7", (), {"m": 2.00057348731401, "b": 3.342509884508204, "mse": 1.024103703253268}, 1e-14),
    ("2.8", ("eigenvalues",), [68.5069688326, 0.49639817067], 5e-11),
    ("2.8", ("limit",), 0.02919411, 5e-8),
    ("2.9", (), [-5.8506969, 0.95036018], 1e-8),
    ("2.11", ("largest_slope",), 0.25, 0),
    ("2.11", ("sigma(+2)",), 0.8807970780, 1e-10),
    ("2.11", ("sigma(-2)",), 0.1192029220, 1e-9),
    ("2.12", (), {"L": -10.0, "da": -2.0, "db": -1.0, "dc": 10.0, "dd": -10.0}, 0),
    ("3.1", ("z",), [-5.0, 1.0, 7.0], 0),
    ("3.1", ("sigma",), [0.0066928509242848554, 0.7310585786300049, 0.9990889488055994], 1e-14),
    ("3.2", (), 0.10696283415370517, 1e-12),
    ("3.3", ("softmax",), [[0.9820137900379085, 0.017986209962091555], [0.017986209962091555, 0.9820137900379085],
                           [6.144174602e-06, 0.9999938558253978]], 1e-10),
    ("3.4", ("each",), [0.018149927918, 0.018149927918, 6.1441934776e-06], 1e-10),
    ("3.4", ("mean",), 0.0121020000097, 1e-10),
    ("3.5", ("sigma(4)",), 0.9820137900, 1e-10),
    ("3.6", (), {"loss": 25.0, "gradient": [-50.0, -10.0], "theta1": [0.5, 0.1]}, 1e-14),
    ("3.7", (), {"yhat": 4.6, "loss": 153.76, "gradient": [-223.2, -24.8], "theta2": [2.732, 0.348]}, 1e-14),
    ("3.8", ("nabla1",), [-14.69416308, -6.00498023], 1e-9),
    ("3.8", ("theta1",), [1.46941631, 0.60049802], 1e-8),
    ("3.8", ("nabla2",), [1.42238122, 1.07368105], 1e-8),
    ("3.8", ("theta2",), [1.32717819, 0.49312992], 1e-8),
    ("3.8", ("loss",), [11.71680168631216, 0.48529763588078056], 1e-14),
    ("3.9", ("differing",), 9, 0),
    ("4.1", ("x",), -1.4984406019223642, 1e-15),
    ("4.1", ("f",), 0.7500024317, 1e-10),
    ("4.1", ("pass",), 341, 0),
    ("4.2", ("x",), -1.5198953207, 5e-11),
    ("4.2", ("pass",), 141, 0),
    ("4.3", ("1e-15",), 1.2212453271, 5e-11),
    ("4.3", ("1e-14",), 1.0214051827, 5e-11),
    ("4.3", ("1e-12",), 0.9999778783, 5e-11),
    ("4.3", ("1e-08",), 1.0000000161, 5e-11),
    ("4.3", ("1e-05",), 0.9999999999954, 1e-13),
    ("4.5", (), {"x": -1.5, "y": 0.0, "f": 0.75}, 1e-12),
    ("6.1", (), {"float64": 36.75, "float32": 16.75}, 0),
    ("6.2", (), {"float64": 710.0, "float32": 88.75}, 0),
    ("6.3", (), 355.0, 0),
    ("6.4", (), {"expanded": 0.0, "direct": 1.0}, 0),
    ("000.a", (), {"minima": 1}, 0),
    ("000.b", (), {"b": -100.0}, 1e-15),
    ("000.d", ("ratio",), 2.0, 1e-14),
    ("000.d", ("at_the_origin",), 0.125, 0),
    ("000.f", ("batched_calls",), 1, 0),
    ("000.f", ("sigmoid_calls",), 6_250_000, 0),
    ("001.a", (), 2.0403551528, 5e-11),
    ("001.b", (), 2.0, 1e-9),
    ("001.f", (), 30.5533333333, 1e-11),
    ("001.i", ("pairs",), 3, 0),
    ("002.a", ("worst_of_e0_to_e3",), "e2", 0),
    ("002.c", ("b_error",), 0.175, 1e-3),
    ("002.d", (), 0.25, 1e-12),
    ("002.e", ("limit",), 0.02919411, 5e-8),
    ("002.i", ("loss_at_epoch_100",), 4.0865746532122445e155, 1e-12),
    ("003.c", ("chain",), -223.2, 1e-14),
    ("003.g", ("that_matter",), 3, 0),
    ("004.a", ("x",), -1.4984406, 1e-8),
    ("004.b", ("x",), -1.4984717898839173, 1e-14),
    ("004.a", ("times_further_with_1e-15",), 12.76, 1e-3),
    ("004.c", (), {"dimension": 1}, 0),
    ("004.e", ("1e-07",), 0.0015594, 1e-5),
    ("004.h", ("labellings",), 120, 0),
    ("004.i", (), -0.03, 1e-14),
]  # fmt: skip

# what a named mistake must reproduce, beside what the lecture prints: computed apart from this package as well
MISTAKES = {
    "000.a": {"minima": 2}, "000.b": {"b": 100.0}, "001.a": 0.8861149840, "001.b": 1.0, "001.f": 15.8 / 3,
    "001.c": [[-2, 1, 1], [1, -2, 1], [1, 1, -2]], "001.i": {"pairs": 6}, "1.13": 0.8860566477, "002.d": 0.5,
    "003.d": {"updates": 3, "samples": 96}, "003.f": [NAN, NAN], "004.a": {"x": -1.5198953207}, "004.i": -0.01,
    "004.c": {"dimension": 2},
    "000.d": {"at_the_origin": 0.25}, "000.f": {"sigmoid_calls": 6_250_000}, "001.d": {"full": 4},
    "001.h": {"of_the_true_class": 0.14035515280}, "002.a": {"worst_of_e0_to_e3": "e1"},
    "002.b": {"fastest_rate": 0.01}, "002.e": {"mse": NAN, "first_infinite_epoch": 199},
    "002.i": {"mse": 4.0865746532122445e155},
    "003.b": {"y_at_5": 5.0}, "003.c": {"chain": 153.76 / 4.6 * 9}, "003.g": {"parameters": 3},
    "004.b": {"x": -1.4984406019223642}, "004.d": [7, 1, 3, 8, 9], "004.e": {"x": -1.4984406019223642},
    "004.f": ["complessià", "cisi", "significativa"], "004.h": {"labellings": 2**60},
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.id: row for row in lessons.rows()}


def within(known: Any, value: Any, relative: float) -> bool:
    """Entry by entry, nan equal to nan; nothing may be missing."""
    if isinstance(known, Mapping):
        return all(within(known[key], value[key], relative) for key in known)
    if isinstance(known, list):
        return len(known) == len(value) and all(within(k, v, relative) for k, v in zip(known, value, strict=True))
    if isinstance(known, str):
        return bool(known == value)
    if math.isnan(known):
        return math.isnan(value)
    return math.isclose(known, value, rel_tol=max(relative, 0), abs_tol=1e-12 if known == 0 else 0)


# ---- the rows --------------------------------------------------------------------------------------------------------


def test_every_figure_and_every_erratum_is_a_row(rows: dict[str, Row]) -> None:
    assert len(NUMBERED) + len(ERRATA) == 86
    assert set(NUMBERED) | set(ERRATA) <= set(rows)
    assert len(lessons.rows()) == len(rows)  # no id twice


@pytest.mark.parametrize("name", [*NUMBERED, *ERRATA])
def test_verdict(rows: dict[str, Row], name: str) -> None:
    wrong = name in ERRATA or name == "1.13"
    assert rows[name].verdict == ("wrong" if wrong else "holds" if name in HOLD else "derived")
    assert (rows[name].mistake is not None) == wrong


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: ".".join(map(str, (case[0], *case[1]))))
def test_computed(rows: dict[str, Row], case: tuple[str, tuple[Any, ...], Any, float]) -> None:
    name, place, known, relative = case
    value = rows[name].computed
    for key in place:
        value = value[key]
    assert within(known, value, relative), f"{name}: expected {known}, computed {value}"


# what no mistake can compute: a word for another, a claim that was measured, numbers that are missing
IN_WORDS = {"000.c", "000.e", "002.g", "002.h", "003.e", "004.g"}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_gives_the_wrong_figure(rows: dict[str, Row], name: str) -> None:
    assert within(MISTAKES[name], rows[name].reproduced, 1e-9)
    true = rows[name].computed
    if isinstance(true, Mapping):  # the same thing is named on both sides, save where only the mistake has it
        assert set(MISTAKES[name]) & set(true)
        assert name == "000.f" or any(
            not within(value, true[key], 1e-5) for key, value in MISTAKES[name].items() if key in true
        )
    else:
        assert not within(MISTAKES[name], true, 1e-3)


def test_every_wrong_row_has_its_mistake_computed(rows: dict[str, Row]) -> None:
    assert {row.id for row in rows.values() if row.verdict == "wrong" and row.reproduced is None} == IN_WORDS


def test_every_row_comes_out_as_its_verdict_says(rows: dict[str, Row]) -> None:
    assert [row.id for row in rows.values() if not row.right] == []


def test_printed_numbers_are_compared_not_only_stated(rows: dict[str, Row]) -> None:
    """Of the rows that hold, all but those whose formula alone is printed have a number to hold."""
    bare = {row.id for row in rows.values() if row.verdict == "holds" and row.printed is None}
    assert bare == {"0.4", "1.15", "2.11"}


def test_claims_that_are_measured(rows: dict[str, Row]) -> None:
    """What the text of the lessons says of their measurements. Loose: they are means over 20 seeds."""
    found = rows["000.e"].computed
    assert found["separable_b_20"] == 0 < found["noisy_b_20"] < found["coin_b_20"]
    assert found["separable_20_features_b_20"] > 3
    assert abs(found["coin_20_features_b_20"] - found["coin_b_20"]) < 1
    assert found["share_reaching_the_best_squared_error"] < 0.5
    assert found["share_reaching_the_best_cross-entropy"] == 1
    naive, stop = rows["001.e"].reproduced, rows["001.e"].computed
    assert naive["steps"] < stop["steps"]
    assert naive["loss"] > 1.5 * stop["loss"]
    assert stop["gradient_of_the_car"] == 0
    assert rows["002.c"].reproduced["b_error"] < 0.2 * rows["002.c"].computed["b_error"]
    assert rows["002.f"].reproduced["largest_relative_error"] > 0.01
    zeros = rows["003.e"].computed
    assert zeros["gradient_at_the_minimum"] < 1e-12
    assert zeros["zero_derivatives_of_relu"] == pytest.approx(0.5, abs=0.01)
    assert zeros["dead_units"] == 0 < zeros["dead_units_at_bias_-5"]
    assert rows["004.g"].computed["smallest_curvature_squared_error"] < 0
    assert rows["004.g"].computed["smallest_curvature_cross_entropy"] > 0
    assert rows["004.h"].computed["fewest_errors"] == rows["004.h"].computed["by_trying_all"]


def test_the_forecast_agrees_with_the_run() -> None:
    ahead = linear_regression.forecast(0.1)
    assert ahead.first_infinite == 199 == linear_regression.run_past_overflow()["first_inf"]
    assert ahead.growth[0] == pytest.approx(-5.8506969, abs=1e-7)
    assert linear_regression.forecast(0.029).first_infinite is None
    assert "infinite at epoch 199" in str(ahead)
    # one more rate, and single precision's own ceiling, 3.4e38: 8 times as near in digits
    assert linear_regression.forecast(0.05).first_infinite == linear_regression.run_past_overflow(0.05)["first_inf"]
    assert linear_regression.forecast(0.1, torch.float32).first_infinite == 23


# ---- the engine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "value", "digits", "same"),
    [
        (5.27, 5.2666666, 2, True),
        (5.27, 5.2649, 2, False),
        (0.99, 0.985, 2, True),  # half a unit counts as rounded either way
        ([2.9, 0.0], [2.8999999999999995, 0.0], 1, True),
        ([2.9], [2.9, 0.0], 1, False),
        ({"m": NAN}, {"m": NAN, "b": 1.0}, None, True),
        ({"m": 1.0}, {"b": 1.0}, None, False),
        (INF, INF, None, True),
        (INF, -INF, None, False),
        ("words", "words", None, True),
        (1.0, 1.0 + 1e-11, None, False),
    ],
)
def test_agree(printed: Any, value: Any, digits: int | None, same: bool) -> None:
    assert agree(printed, value, digits) is same


def test_a_row_that_does_not_come_out_says_so() -> None:
    assert not Row("x", 2.0, "holds", 1.0).right
    assert not Row("x", 1.0, "wrong", 1.0, "a slip", 1.0).right  # nothing is wrong with it
    assert not Row("x", 2.0, "wrong", 1.0, "a slip", 3.0).right  # the slip does not explain it
    assert Row("x", 2.0, "wrong", 1.0, "a slip", 1.0).right
    with pytest.raises(ConfigError, match="Row x: a verdict is holds, wrong, derived; got 'loose'"):
        Row("x", 1.0, "loose")
    with pytest.raises(ConfigError, match="Row x: a wrong verdict needs a mistake"):
        Row("x", 1.0, "wrong")


def test_tables_in_three_formats() -> None:
    table = Table("T", ("a", "b|c"), ([1.0, "x"], [0.1, None]), "said")
    assert table.text().splitlines() == ["T", "  a  b|c", "  1  x", "0.1  –", "said"]
    assert table.markdown().splitlines()[2:6] == ["| a | b\\|c |", "| ---: | --- |", "| 1 | x |", "| 0.1 | – |"]
    assert table.csv() == "a,b|c\n1,x\n0.1,"
    with pytest.raises(ConfigError, match="The formats are text, markdown, csv; got 'html'"):
        table.format_as("html")


@pytest.mark.parametrize("lesson", list(lessons.lessons().values()), ids=lambda lesson: lesson.name)
def test_a_lesson_asks_derives_and_shows(lesson: Lesson) -> None:
    assert lesson.lecture in {"000", "001", "002", "003", "004"}
    assert lesson.question.endswith("?")
    assert len(lesson.derivation.splitlines()) >= 2
    assert max(map(len, lesson.derivation.splitlines())) <= 120


def test_an_unknown_lesson_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown lesson 'softmaxx'\. Did you mean 'softmax'"):
        lessons.get("softmaxx")


# ---- step tables of any data and model -------------------------------------------------------------------------------


def chains() -> Iterator[Any]:
    line = toys.line(7, seed=3)
    yield pytest.param(LinearRegression(1).double(), SquaredError(), line, {}, id="regression, full")
    yield pytest.param(LinearRegression(1).double(), SquaredError(half=True), line, {"batch_size": 3}, id="mini")
    binary = toys.moons(9)
    bits = Samples(binary.features, binary.targets.double())  # type: ignore[union-attr]
    yield pytest.param(
        LogisticRegression(2).double(), BinaryCrossEntropy(), bits, {"batch_size": 1, "penalty": L2(0.1)}, id="single"
    )
    blobs = toys.blobs(8)
    yield pytest.param(SoftmaxClassifier(2, 3).double(), CrossEntropy(), blobs, {"rule": Momentum(0.9)}, id="momentum")
    yield pytest.param(SoftmaxClassifier(2, 3).double(), MulticlassHinge(), blobs, {}, id="hinge")


@pytest.mark.parametrize(("model", "loss", "samples", "options"), list(chains()))
def test_a_step_table_is_what_torch_does(model: Any, loss: Any, samples: Samples, options: dict[str, Any]) -> None:
    """Each step's gradient is autograd's, and each step starts where the one before it ended."""
    before = [p.detach().clone() for p in model.parameters()]
    found = lessons.steps(model, loss, samples, rate=0.1, count=4, **options)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))  # left as it was
    assert [s.number for s in found] == [1, 2, 3, 4]
    for step, following in itertools.pairwise(found):
        assert step.end == following.start
    for step in found:
        width = samples.features.shape[1]
        x = torch.tensor([row[:width] for row in step.table.rows], dtype=torch.float64)
        y = torch.tensor([row[width] for row in step.table.rows], dtype=samples.targets.dtype)  # type: ignore[union-attr]
        flat = list(step.start.values())
        with torch.no_grad():
            model.weight.copy_(torch.tensor(flat[: model.weight.numel()], dtype=torch.float64).view_as(model.weight))
            model.bias.copy_(torch.tensor(flat[model.weight.numel() :], dtype=torch.float64).view_as(model.bias))
        value = loss(model(x), y)
        penalty = options.get("penalty")
        total = value if penalty is None else value + penalty.value(dict(model.named_parameters()))
        gradients = torch.autograd.grad(total, list(model.parameters()))
        torch.testing.assert_close(
            torch.tensor(list(step.nabla.values()), dtype=torch.float64), torch.cat([g.flatten() for g in gradients]),
            rtol=1e-12, atol=1e-15,
        )  # fmt: skip
        assert step.loss == pytest.approx(float(value.detach()), rel=1e-14)
        if penalty is None:  # the means of the samples' own gradients
            own = torch.tensor([row[-len(flat) :] for row in step.table.rows], dtype=torch.float64).mean(0)
            assert own.tolist() == pytest.approx(list(step.nabla.values()), rel=1e-12, abs=1e-15)
    with torch.no_grad():
        for p, q in zip(before, model.parameters(), strict=True):
            q.copy_(p)


def test_a_step_table_of_a_net_has_all_layers_and_is_autograd_s() -> None:
    """Each sample's own gradients, the columns in one order though backpropagation finds them from the top down."""
    samples = toys.blobs(5)
    net = TwoLayerNet(2, 3, hidden=3, seed=1).double()
    (step,) = lessons.steps(net, CrossEntropy(), samples, rate=0.1, count=1)
    names = list(step.start)
    assert len(names) == sum(p.numel() for p in net.parameters())
    assert [name for name in step.table.columns if name.startswith("dL/d")] == [f"dL/d{name}" for name in names]
    for i, row in enumerate(step.table.rows):
        net.zero_grad()
        CrossEntropy()(net(samples.features[i : i + 1]), samples.targets[i : i + 1]).backward()  # type: ignore[index]
        wanted = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        torch.testing.assert_close(
            torch.tensor(row[-len(names) :], dtype=torch.float64), wanted, rtol=1e-12, atol=1e-14
        )


def test_no_step_table_where_samples_have_no_gradient_of_their_own() -> None:
    net = TwoLayerNet(2, 3, hidden=3, dropout=0.5).double()
    with pytest.raises(ConfigError, match="a step table shows each sample's own"):
        lessons.steps(net, CrossEntropy(), toys.blobs(5), rate=0.1)


def test_step_tables_name_every_weight() -> None:
    (step,) = lessons.steps(SoftmaxClassifier(2, 3).double(), CrossEntropy(), toys.blobs(3), rate=0.1, count=1)
    assert list(step.start) == [f"w[{j}, {k}]" for j in range(3) for k in range(2)] + ["b[0]", "b[1]", "b[2]"]
    assert step.table.columns[:6] == ["x1", "x2", "class", "score 0", "score 1", "score 2"]
    with pytest.raises(ConfigError, match="from 1 to 1,000"):
        lessons.steps(LinearRegression(1).double(), SquaredError(), toys.line(3), rate=0.1, count=0)


# ---- the command -----------------------------------------------------------------------------------------------------

Capture = pytest.CaptureFixture[str]


def refuse(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


def test_all_as_json(capsys: Capture) -> None:
    assert cli.main(["lesson", "all", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out, parse_constant=refuse)
    assert list(told) == ["rows"]
    by_id = {row["id"]: row for row in told["rows"]}
    assert len(told["rows"]) == len(by_id) >= 86
    keys = ["id", "lesson", "printed", "computed", "verdict", "mistake", "note"]
    assert all(list(row) == keys for row in told["rows"])
    assert {row["lesson"] for row in told["rows"]} <= set(lessons.lessons())
    # what JSON cannot hold is null, and named
    assert by_id["e4"]["computed"]["mse"] is None
    assert "computed mse is nan." in by_id["e4"]["note"]
    assert by_id["1.5"]["computed"]["max"] is None
    assert "computed max is inf." in by_id["1.5"]["note"]
    assert "The mistake gives 0.8860566476931632." in by_id["1.13"]["note"]


def test_all_as_csv_is_csv_to_the_last_line(capsys: Capture) -> None:
    assert cli.main(["lesson", "all", "--format", "csv"]) == 0
    lines = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert {len(line) for line in lines} == {5}
    assert len(lines) == 1 + len(lessons.rows())


def test_all_as_text_fits_a_screen(capsys: Capture) -> None:
    assert cli.main(["lesson", "all"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 180


def test_the_neighbours_and_the_lines_are_measured_as_told() -> None:
    """Every classifier is poor on pixels; on histograms a linear one beats the neighbours."""
    from edunn.lessons import neighbours

    for kind in neighbours.LINES:
        line, near = (
            neighbours.by_line("made images, histograms", kind),
            neighbours.by_neighbours("made images, histograms"),
        )
        assert line.test > near.test + 0.05
        assert neighbours.by_line("made images, pixels", kind).test < 0.45


def test_only_the_product_of_strength_and_margin_matters() -> None:
    """Δ = 100 with λ = 0.001 draws the line of Δ = 1 with λ = 0.1; another λ at the same Δ does not."""
    from edunn.lessons import loops

    one, far, other = loops.svm(0.1), loops.scale_to_margin(loops.svm(0.001, 100.0), 100.0), loops.svm(0.01)
    torch.testing.assert_close(far.weight, one.weight, rtol=1e-9, atol=0)
    torch.testing.assert_close(far.bias, one.bias, rtol=1e-9, atol=0)
    with torch.no_grad():
        assert float((other.weight - one.weight).norm() / one.weight.norm()) > 0.1


def test_noise_is_counted_as_the_picture_says() -> None:
    """More steps help; with as many steps single samples do no better than all of them. Of 20 starts: loose."""
    from edunn.lessons import bumps

    every, best = bumps.final_losses()
    good = {key: int((losses <= best + 0.01).sum()) for key, losses in every.items()}
    assert good["100 epochs", "single"] > good["100 epochs", "mini, 10"] > good["100 epochs", "full"]
    assert good["3,000 steps", "single"] <= good["3,000 steps", "full"] + 3


def test_list(capsys: Capture) -> None:
    assert cli.main(["lesson", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["lessons"]
    assert len(told) >= 28
    assert all(list(one) == ["name", "lecture", "question"] for one in told)
    assert {one["lecture"] for one in told} == {"000", "001", "002", "003", "004"}


def test_one_lesson_prints_derivation_tables_and_verdicts(capsys: Capture) -> None:
    assert cli.main(["lesson", "softmax"]) == 0
    out = capsys.readouterr().out
    assert "L = −ln p_y" in out
    assert "2.04035515280017" in out
    assert "0.8860566476931632" in out  # the mistake beside it
    assert "base 10" in out


@pytest.mark.parametrize(("form", "suffix"), [("markdown", "md"), ("csv", "csv")])
def test_one_lesson_in_files(form: str, suffix: str, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["lesson", "sigmoid", "--format", form, "--out", str(tmp_path), "--quiet"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"sigmoid.{suffix}", "sigmoid.png"}
    assert (tmp_path / f"sigmoid.{suffix}").read_text(encoding="utf-8") == capsys.readouterr().out
    assert (tmp_path / "sigmoid.png").read_bytes().startswith(b"\x89PNG")


def test_the_step_table_of_a_config(tmp_path: Path, capsys: Capture) -> None:
    config = Path(__file__).parent.parent / "configs" / "line_regression.toml"
    assert cli.main(["lesson", "steps", str(config), "--json", "--set", "train.rate=0.01", "--steps", "3"]) == 0
    told = json.loads(capsys.readouterr().out)["steps"]
    assert [one["step"] for one in told] == [1, 2, 3]
    assert told[0]["end"] == told[1]["start"]
    assert cli.main(["lesson", "steps", str(config), "--out", str(tmp_path), "--format", "csv", "--quiet"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"step_1.csv", "step_2.csv"}


FLATS = "area,price\n50,150\n70,200\n90,260\n110,330\n"
OF_FLATS = """[data]
path = "flats.csv"
target = "price"
task = "real"

[model]
kind = "linear-regression"

[loss]
kind = "squared-error"

[train]
rate = 0.0001
"""


def test_the_step_table_of_a_user_s_own_file(tmp_path: Path, capsys: Capture) -> None:
    """With the file's own names, and numbers that can be checked by hand: dL/dw = 2(ŷ − y)x at w = b = 0."""
    (tmp_path / "flats.csv").write_text(FLATS, encoding="utf-8")
    config = tmp_path / "flats.toml"
    config.write_text(OF_FLATS, encoding="utf-8")
    for form in ("text", "markdown"):
        assert cli.main(["lesson", "steps", str(config), "--format", form]) == 0
        assert "108900" in capsys.readouterr().out
    out = tmp_path / "new" / "folder"
    words = ["lesson", "steps", str(config), "--format", "csv", "--steps", "1", "--out", str(out), "--quiet"]
    assert cli.main(words) == 0
    rows = list(csv.DictReader((out / "step_1.csv").read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["area", "price", "score", "loss", "dL/dw", "dL/db"]
    assert [float(row["dL/dw"]) for row in rows] == [
        -2.0 * x * y for x, y in ((50, 150), (70, 200), (90, 260), (110, 330))
    ]
    capsys.readouterr()
    assert cli.main(["lesson", "steps", str(config), "--set", 'data.task="auto"']) == 2
    assert 'if the target is a number to be predicted, say data.task = "real"' in capsys.readouterr().err


def test_neighbours_take_no_steps(tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "near.toml"
    config.write_text('[data]\nname = "moons"\n[model]\nkind = "neighbours"\nk = 3\n[loss]\nkind = "cross-entropy"\n')
    assert cli.main(["lesson", "steps", str(config)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "edunn: Nearest neighbours take no steps. Name a config of another model.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sofmax"], "edunn: Unknown lesson 'sofmax'. Did you mean 'softmax'?"),
        ([], "edunn: Which lesson? Name one, or all; edunn lesson --list shows them."),
        (["steps"], "edunn: Name a config file"),
        (["softmax", "x.toml"], "edunn: edunn lesson takes one name; got 'softmax' and 'x.toml'."),
        (["steps", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_asked_for(words: list[str], says: str, capsys: Capture) -> None:
    assert cli.main(["lesson", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("lesson", list(lessons.lessons().values()), ids=lambda lesson: lesson.name)
def test_tables_and_figures_are_made(lesson: Lesson, tmp_path: Path) -> None:
    from edunn.figures import save

    for table in lesson.tables():
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert table.csv().count("\n") == len(table.rows)
    for name, draw in lesson.figures.items():
        if name in ("indexing_slip", "closing_figure"):  # in three dimensions, a second each: below
            continue
        path = save(draw(), tmp_path / f"{name}.png", dpi=40)  # type: ignore[arg-type]
        assert path.stat().st_size > 2000


def test_the_closing_figure_comes_from_one_command(tmp_path: Path, capsys: Capture) -> None:
    """Two surfaces in three dimensions with cut lines at three b, and the cuts below."""
    from edunn.lessons import bumps

    axes = bumps.closing()
    assert [ax.name for ax in axes] == ["3d", "3d", "rectilinear", "rectilinear"]  # type: ignore[attr-defined]
    labels = [text.get_text() for text in axes[2].get_legend().get_texts()]  # type: ignore[index]
    assert labels == ["b = −10", "b = 0", "b = 10"]
    assert cli.main(["lesson", "cost-function", "--out", str(tmp_path), "--quiet"]) == 0
    assert (tmp_path / "closing_figure.png").is_file()
