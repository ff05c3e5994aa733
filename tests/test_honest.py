"""A surface's error bounds its true one: random studies of the bench, whose oracle is numpy in longdouble."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch

from edunn import landscape, penalties
from edunn.activations import Tanh
from edunn.data import Samples
from edunn.errors import ConfigError
from edunn.losses import BinaryCrossEntropy, Hinge, Logistic, SquaredError
from edunn.models import LinearRegression

BENCH = Path(__file__).parents[1] / "scripts" / "bench" / "honest.py"


@pytest.fixture(scope="module")
def honest() -> Any:
    spec = importlib.util.spec_from_file_location("honest_bench", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def check(outcomes: list[Any]) -> None:
    """Stricter than the bench: an error of 1e-9 counts."""
    for one in outcomes:
        one.floor = 1e-9
    assert not [one.about for one in outcomes if one.dishonest]
    # in a narrow valley with kinks (a ReLU, x far from 0) the search without derivatives may end early
    assert not [one.about for one in outcomes if one.wrong_minima and "relu" not in one.about]
    assert sum(one.said > max(1000 * one.true, 1e-6) for one in outcomes) <= 0.01 * len(outcomes) + 1


@pytest.mark.parametrize("seed", range(4))
def test_a_few_random_studies(honest: Any, seed: int) -> None:
    check([honest.study(number, 100 + seed) for number in range(20 * seed, 20 * seed + 20)])


@pytest.mark.slow
def test_many_random_studies(honest: Any) -> None:
    check([honest.study(number, 200) for number in range(600)])


def test_the_largest_error_counts_what_is_not_finite(honest: Any) -> None:
    truth = np.array([1.0, 4.0, 2.0])
    assert honest.largest_error(np.array([1.0, 3.0, 2.0]), truth) == 0.25
    assert honest.largest_error(np.array([1.0, np.inf, 2.0]), truth) == np.inf


# ---- kinds that were wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), SquaredError(through=Tanh())], ids=["cross-entropy", "tanh"])
def test_scores_far_out_keep_their_digits_in_float32(loss: Any) -> None:
    """At w = 1e5 a score near 0 is a difference of numbers whose float32 rounding is 0.01."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal(400), (random.random(400) < 0.5).astype(float)
    window = (-1e5, 1.3e5, 61)
    surface = landscape.grid(x, y, loss, window, window, method="direct", dtype=torch.float32)
    s = np.multiply.outer(surface.first.numpy().astype(np.longdouble), x)[:, None] + surface.second.numpy()[:, None]
    terms = (np.tanh(s) - y) ** 2 if isinstance(loss, SquaredError) else np.logaddexp(0, s) - y * s
    truth = terms.mean(-1)
    assert np.abs(surface.values.numpy() - truth).max() <= 3e-7 * truth.max()


def test_a_plane_keeps_what_float32_would_round_off_its_scores() -> None:
    """The scores of far features cancel: a plane of scores in float32 was another plane, and its error did not tell."""
    random = np.random.default_rng(1)
    x = torch.from_numpy(1e6 + random.standard_normal((50, 1))).float()
    y = torch.from_numpy(random.standard_normal(50)).float()
    model = LinearRegression(1)
    with torch.no_grad():
        model.weight.fill_(1.5)
        model.bias.fill_(-1.5e6)
    along, across = landscape.random(model, 0), landscape.random(model, 1)
    tiny = (-1e-6, 1e-6, 9)
    surface = landscape.plane(model, SquaredError(), Samples(x, y), along, across, tiny, tiny)
    s0, s1, s2 = (
        x.double().numpy() @ d["weight"].detach().double().numpy().ravel() + d["bias"].detach().double().numpy()
        for d in (dict(model.named_parameters()), along, across)
    )
    a, b = surface.first.numpy()[:, None, None], surface.second.numpy()[None, :, None]
    truth = ((s0 + a * s1 + b * s2 - y.double().numpy()) ** 2).mean(-1)
    true = np.abs(surface.values.double().numpy() - truth).max() / truth.max()
    assert true <= max(10 * surface.error, 1e-9)
    assert true < 1e-5


def test_a_heavy_sample_has_its_share_of_the_nodes() -> None:
    random = np.random.default_rng(2)
    x = np.append(random.standard_normal(3000), 60.0)
    y = (random.random(3001) < 0.5).astype(float)
    weights = np.append(np.full(3000, 1e-6), 1.0)
    window = (-20.0, 20.0, 140)
    surface = landscape.grid(x, y, BinaryCrossEntropy(), window, window, method="spectral", sample_weight=weights)
    w, b = surface.first.numpy()[:, None, None], surface.second.numpy()[None, :, None]
    rows = [0, 35, 69, 70, 104, 139]
    s = w[rows] * x + b
    truth = ((np.logaddexp(0, s) - y * s) * weights).sum(-1) / weights.sum()
    assert np.abs(surface.values.numpy()[rows] - truth).max() <= 1e-9 * truth.max()


@pytest.mark.parametrize("loss", [Logistic(), Hinge(power=2), Hinge()], ids=["logistic", "squared hinge", "hinge"])
def test_minima_where_x_is_far_from_0(loss: Any) -> None:
    """x = 1e7 + 0, 1, 2: the valley is 1e7 times as long as wide. The same bowl about 0 is scipy's."""
    random = np.random.default_rng(3)
    u = random.integers(0, 3, 60).astype(float)
    y = np.where(random.random(60) < 0.2 + 0.3 * u, 1.0, -1.0)

    def near(point: Any) -> float:
        m = y * (point[0] * u + point[1])
        shortfall = np.maximum(0, 1 - m)
        return float(np.logaddexp(0, -m).mean() if isinstance(loss, Logistic) else (shortfall**loss.power).mean())

    best = min(
        (scipy.optimize.minimize(near, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
         for start in ((0.1, 0.2), (1.0, -1.0))), key=lambda found: found.fun,
    )  # fmt: skip
    found = landscape.grid(1e7 + u, y, loss, (-5, 5, 31), (-5, 5, 31)).minima()
    assert found[0]["kind"] == "minimum"
    assert found[0]["loss"] == pytest.approx(best.fun, abs=1e-7)


def test_a_window_much_smaller_than_the_bowl_has_its_minimum() -> None:
    x, y = [1.0, 2, 3, 4], [0.0, 0, 1, 1]
    wide = landscape.grid(x, [0.0, 1, 0, 1], BinaryCrossEntropy(), (-5, 5, 41), (-5, 5, 41)).minima()[0]
    w, b = wide["w"], wide["b"]
    close = landscape.grid(
        x, [0.0, 1, 0, 1], BinaryCrossEntropy(), (w - 1e-7, w + 2e-7, 9), (b - 1e-7, b + 2e-7, 9)
    ).minima()[0]
    assert (close["kind"], close["w"], close["b"]) == (
        "minimum",
        pytest.approx(w, abs=1e-8),
        pytest.approx(b, abs=1e-8),
    )
    curve = landscape.grid(x, y, BinaryCrossEntropy(), (0.2877, 0.28770001, 5), 0.0).minima()[0]
    assert (curve["kind"], curve["w"]) == ("minimum", pytest.approx(0.287700, abs=1e-6))  # scipy's minimize_scalar


@pytest.mark.parametrize("penalty", [penalties.L1(0.4), penalties.ElasticNet(0.3, beta=2.0)], ids=["L1", "elastic net"])
def test_minima_at_the_kink_of_a_penalty(penalty: Any) -> None:
    random = np.random.default_rng(4)
    x, y = random.standard_normal(80), (random.random(80) < 0.4).astype(float)

    def at(point: Any) -> float:
        s = point[0] * x + point[1]
        price = penalty.strength * (abs(point[0]) + (0 if isinstance(penalty, penalties.L1) else 2 * point[0] ** 2))
        return float((np.logaddexp(0, s) - y * s).mean() + price)

    best = scipy.optimize.minimize_scalar(lambda b: at((0.0, b)), bounds=(-3, 3), method="bounded")
    found = landscape.grid(x, y, BinaryCrossEntropy(), (-2, 2, 23), (-2, 2, 23), penalty=penalty).minima()
    assert [m["kind"] for m in found].count("minimum") == 1
    assert found[0]["w"] == pytest.approx(0, abs=1e-7)
    assert found[0]["loss"] == pytest.approx(best.fun, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ConfigError, match="float32 or float64"):
        landscape.grid([1.0, 2.0], [0.0, 1.0], BinaryCrossEntropy(), (-1, 1, 3), (-1, 1, 3), dtype=dtype)
