"""Minima, plateaus, convexity, basins and conditioning, against scipy, scikit-learn's problems and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from scipy.special import expit

from edunn import landscape
from edunn.activations import Sigmoid, Tanh
from edunn.landscape import kinks, minima
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Hinge,
    Huber,
    Logistic,
    Perceptron,
    SquaredError,
    ZeroOne,
)

WINDOW = (-12, 12, 61)


def points(samples: int = 80, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A binary problem with overlap: cross-entropy has its minimum."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1.4, samples)
    return x, (rng.random(samples) < expit(2 * x - 1)).astype(float)


def real(samples: int = 80, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1.4, samples)
    return x, 1.5 * x - 0.7 + rng.standard_t(3, samples)


def kinds(found: list[dict]) -> list[str]:
    return [m["kind"] for m in found]


# ---- minima -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (BinaryCrossEntropy(), lambda z, y: np.logaddexp(0, z) - y * z),
        (SquaredError(through=Sigmoid()), lambda z, y: (expit(z) - y) ** 2),
        (SquaredError(), lambda z, y: (z - y) ** 2),
        (Huber(0.4), lambda z, y: np.where(abs(z - y) <= 0.4, (z - y) ** 2 / 2, 0.4 * (abs(z - y) - 0.2))),
    ],
    ids=["bce", "mse-sigmoid", "mse", "huber"],
)
def test_a_smooth_minimum_is_where_scipy_finds_it(loss, value) -> None:
    x, y = points() if loss.labels == "bits" or not loss.convex else real()
    best = landscape.grid(x, y, loss, WINDOW, WINDOW).minima()[0]
    found = minimize(lambda t: value(t[0] * x + t[1], y).mean(), [1.0, 0.0], method="BFGS", options={"gtol": 1e-10})
    assert best["kind"] == "minimum"
    assert (best["w"], best["b"]) == pytest.approx(tuple(found.x), abs=1e-5)
    assert best["loss"] <= found.fun + 1e-14
    assert best["loss"] == pytest.approx(found.fun, abs=1e-12)


@pytest.mark.parametrize("loss", [AbsoluteError(), Hinge(), Hinge(margin=0.5)], ids=["absolute", "hinge", "narrow"])
@pytest.mark.parametrize("seed", range(4))
def test_a_piecewise_linear_minimum_is_the_linear_programs(loss, seed: int) -> None:
    x, y = real(50, seed) if isinstance(loss, AbsoluteError) else points(50, seed)
    n = len(x)
    # variables w, b and one cost a sample: t_i ≥ ±(w x_i + b − y_i), or t_i ≥ Δ − y_i (w x_i + b) and t_i ≥ 0
    if isinstance(loss, AbsoluteError):
        rows = [np.column_stack([s * x, s * np.ones(n), -np.eye(n)]) for s in (1, -1)]
        upper = np.concatenate([y, -y])
    else:
        y = 2 * y - 1
        rows, upper = [np.column_stack([-y * x, -y, -np.eye(n)])], np.full(n, -loss.margin)
    program = linprog(np.r_[0, 0, np.ones(n) / n], np.vstack(rows), upper, bounds=[(None, None)] * 2 + [(0, None)] * n)
    best = landscape.grid(x, y, loss, WINDOW, WINDOW).minima()[0]
    assert best["kind"] == "minimum"
    assert best["loss"] == pytest.approx(program.fun, abs=1e-11)


def test_a_lowest_vertex_lies_on_two_kinks() -> None:
    x, y = real(31)
    plane = landscape.build.one_feature(x, y, AbsoluteError(), None, torch.float64, None)
    w, b = kinks.lowest_vertex(plane, torch.tensor([-8.0, 5.0], dtype=torch.float64)).tolist()
    assert (np.sort(abs(w * x + b - y))[:2] < 1e-12).all()


def test_zero_one_is_the_best_threshold() -> None:
    x, y = points(41)
    signs = 2 * y - 1
    best = landscape.grid(x, signs, ZeroOne(), WINDOW, WINDOW).minima()[0]
    cuts = np.concatenate([[x.min() - 1], (np.sort(x)[1:] + np.sort(x)[:-1]) / 2, [x.max() + 1]])
    fewest = min(np.mean(s * (x - c) * signs <= 0) for c in cuts for s in (1, -1))
    assert best["loss"] == pytest.approx(fewest, abs=1e-15)
    assert np.mean(signs * (best["w"] * x + best["b"]) <= 0) == pytest.approx(fewest, abs=1e-15)


@pytest.mark.parametrize(
    "loss", [BinaryCrossEntropy(), Logistic(), SquaredError(through=Sigmoid()), SquaredError(through=Tanh())],
    ids=["bce", "logistic", "mse-sigmoid", "mse-tanh"],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [31, 101])
def test_separable_data_have_no_minimum(loss, seed: int, count: int) -> None:
    x = np.random.default_rng(seed).normal(0.2, 1, 40)
    y = (x > 0.5).astype(float)
    if loss.labels == "signs" or isinstance(getattr(loss, "through", None), Tanh):
        y = 2 * y - 1
    found = landscape.grid(x, y, loss, (-20, 20, count), (-20, 20, count)).minima()
    assert "minimum" not in kinds(found)
    assert "runaway" in kinds(found)


def test_equal_labels_run_away() -> None:
    found = landscape.grid([0.3, 1.0, -0.4], [1.0, 1, 1], BinaryCrossEntropy(), (-5, 5, 21), (-5, 5, 21)).minima()
    assert kinds(found)[0] == "runaway"


def test_separable_hinge_has_a_floor() -> None:
    x = np.array([-2.0, -1, 1.5, 3])
    found = landscape.grid(x, np.sign(x), Hinge(), (-5, 5, 41), (-5, 5, 41)).minima()
    assert found[0]["kind"] == "minimum"
    assert found[0]["loss"] == pytest.approx(0, abs=1e-15)


def test_constant_x_is_a_flat_valley() -> None:
    found = landscape.grid([2.0] * 5, [0.0, 1, 1, 0, 1], BinaryCrossEntropy(), (-5, 5, 21), (-5, 5, 21)).minima()
    minimum = [m for m in found if m["kind"] == "minimum"]
    assert minimum[0]["flat"]
    assert 2 * minimum[0]["w"] + minimum[0]["b"] == pytest.approx(np.log(3 / 2), abs=1e-8)


def test_a_narrow_askew_valley_has_one_minimum_and_artefacts() -> None:
    # x far from 0: the valley b = −30 w is askew to the grid, and many of its points are lowest among their neighbours
    x, y = points()
    surface = landscape.grid(x + 30, y, BinaryCrossEntropy(), (-3, 3, 80), (-90, 90, 90))
    assert len(minima.candidates(surface.values)) > 3
    found = surface.minima()
    assert kinds(found).count("minimum") == 1
    assert "artefact" in kinds(found)
    w, b = found[0]["w"], found[0]["b"]
    plain = landscape.grid(x, y, BinaryCrossEntropy(), WINDOW, WINDOW).minima()[0]
    assert (w, b + 30 * w) == pytest.approx((plain["w"], plain["b"]), abs=1e-6)


def test_squared_error_of_constant_x_is_a_flat_valley() -> None:
    found = landscape.grid([1.0, 1.0], [1.0, -0.2], SquaredError(), (-4, 4, 31), (-4, 4, 33)).minima()
    assert (found[0]["kind"], found[0]["flat"]) == ("minimum", True)
    assert found[0]["w"] + found[0]["b"] == pytest.approx(0.4)
    assert found[0]["loss"] == pytest.approx(0.36)


def test_a_single_point_is_no_minimum() -> None:
    assert landscape.grid([1.0, 2.0], [0.0, 1.0], Huber(), (1, 1, 1), 0.0).minima() == []


def test_a_loss_of_nothing_still_gets_a_window() -> None:
    surface = landscape.grid([1.0, 1.0], [0.0, 0.0], SquaredError())
    assert float(surface.first[-1] - surface.first[0]) > 1


def test_candidates_of_a_plateau_count_once() -> None:
    values = torch.ones(6, 7)
    assert minima.candidates(values) == [(0, 0)]
    values[2:4, 3:5] = 0
    assert minima.candidates(values) == [(2, 3), (0, 0)]
    values[5, 6] = float("nan")
    assert minima.candidates(values)[0] == (2, 3)


# ---- plateaus, convexity, conditioning ----------------------------------------------------------------------------


def test_plateaus_are_the_share_below() -> None:
    x, y = points()
    surface = landscape.grid(x, y, SquaredError(through=Sigmoid()), (-25, 25, 61), (-25, 25, 61))
    w, b = np.meshgrid(np.linspace(-25, 25, 61), np.linspace(-25, 25, 61), indexing="ij")
    p = expit(w[..., None] * x + b[..., None])
    g = 2 * (p - y) * p * (1 - p)
    size = np.hypot((g * x).mean(-1), g.mean(-1))
    assert surface.plateaus(1e-3, 1e-6) == {"1e-3": (size < 1e-3).mean(), "1e-6": (size < 1e-6).mean()}
    assert 0 < surface.plateaus()["1e-6"] < surface.plateaus()["1e-3"] < 1


def test_zero_one_is_all_plateau() -> None:
    x, y = points()
    surface = landscape.grid(x, 2 * y - 1, ZeroOne(), WINDOW, WINDOW)
    assert surface.plateaus(1e-3, 1e-6) == {"1e-3": 1.0, "1e-6": 1.0}
    assert surface.convex() is False


@pytest.mark.parametrize(
    ("loss", "convex"),
    [(SquaredError(), True), (BinaryCrossEntropy(), True), (Hinge(), True), (Perceptron(), True),
     (AbsoluteError(), True), (Huber(), True), (SquaredError(through=Sigmoid()), False),
     (SquaredError(through=Tanh()), False)],
)  # fmt: skip
def test_convexity(loss, convex: bool) -> None:
    x, y = points()
    surface = landscape.grid(x, 2 * y - 1 if loss.labels == "signs" else y, loss, WINDOW, WINDOW)
    assert surface.convex() is convex


def test_squared_error_through_a_sigmoid_is_convex_near_its_minimum() -> None:
    x, y = points()
    best = landscape.grid(x, y, SquaredError(through=Sigmoid()), WINDOW, WINDOW).minima()[0]
    near = [(best[name] - 0.05, best[name] + 0.05, 11) for name in ("w", "b")]
    surface = landscape.grid(x, y, SquaredError(through=Sigmoid()), *near)
    assert surface.convex() is True
    assert surface.smallest_curvature()["value"] > 0


def test_the_smallest_curvature_is_the_hessians() -> None:
    x, y = points()
    surface = landscape.grid(x, y, SquaredError(through=Sigmoid()), (-3, 3, 25), (-3, 3, 25))
    found = surface.smallest_curvature()

    def value(t: torch.Tensor) -> torch.Tensor:
        z = t[0] * torch.from_numpy(x) + t[1]
        return ((torch.sigmoid(z) - torch.from_numpy(y)) ** 2).mean()

    hessians = [
        torch.linalg.eigvalsh(torch.autograd.functional.hessian(value, torch.tensor([w, b])))[0]
        for w in surface.first for b in surface.second
    ]  # fmt: skip
    assert found["value"] == pytest.approx(float(min(hessians)), abs=1e-12)


def test_condition_and_its_hint() -> None:
    x, y = real()
    surface = landscape.grid(x, y, SquaredError(), WINDOW, WINDOW)
    columns = np.column_stack([x, np.ones_like(x)])
    assert surface.condition()[0] == pytest.approx(np.linalg.cond(columns) ** 2, rel=1e-9)
    assert surface.condition()[1] is None
    number, hint = landscape.grid(1000 + 50 * x, y, SquaredError(), WINDOW, WINDOW).condition()
    assert number > 1e4
    assert "Standardise x" in hint


def test_limits_of_a_curve() -> None:
    # x = 1 (y = 1) and x = −2 (y = 1): to the right the second is wrong for sure, to the left the first
    x, y = [1.0, -2.0], [1.0, 1.0]
    curve = landscape.grid(x, y, BinaryCrossEntropy(), (-5, 5, 11), 0.0)
    limits = landscape.analysis.limits(curve)
    assert limits["plus"]["slope"] == pytest.approx(1.0)
    assert limits["minus"]["slope"] == pytest.approx(-0.5)
    assert limits["plus"]["limit"] is None
    squared = landscape.analysis.limits(landscape.grid(x, y, SquaredError(through=Sigmoid()), (-5, 5, 11), 0.0))
    assert squared["plus"] == {"limit": pytest.approx(0.5), "slope": pytest.approx(0)}
    bowl = landscape.analysis.limits(landscape.grid(x, y, SquaredError(), (-5, 5, 11), 0.0))
    assert bowl["plus"] == {"limit": None, "slope": None}


# ---- basins -------------------------------------------------------------------------------------------------------


def plain_descent(gradient, first, second, rate: float, steps: int):
    w, b = (t.ravel().copy() for t in np.meshgrid(first, second, indexing="ij"))
    for _ in range(steps):
        gw, gb = gradient(w[:, None], b[:, None])
        w, b = w - rate * gw.mean(1), b - rate * gb.mean(1)
    return w, b


@pytest.mark.parametrize("name", ["mse-sigmoid", "bce", "mse", "tanh", "squared-hinge"])
def test_basins_are_a_plain_loop(name: str) -> None:
    x, y = points(40)
    slopes = {
        "mse-sigmoid": lambda z: 2 * (expit(z) - y) * expit(z) * (1 - expit(z)),
        "bce": lambda z: expit(z) - y,
        "mse": lambda z: 2 * (z - y),
        "tanh": lambda z: 2 * (np.tanh(z) - (2 * y - 1)) * (1 - np.tanh(z) ** 2),
        "squared-hinge": lambda z: -2 * (2 * y - 1) * np.maximum(0, 1 - (2 * y - 1) * z),
    }
    losses = {
        "mse-sigmoid": (SquaredError(through=Sigmoid()), y),
        "bce": (BinaryCrossEntropy(), y),
        "mse": (SquaredError(), y),
        "tanh": (SquaredError(through=Tanh()), 2 * y - 1),
        "squared-hinge": (Hinge(power=2), 2 * y - 1),
    }
    rate, steps = (0.1, 400) if name in ("mse", "squared-hinge") else (1.0, 400)
    surface = landscape.grid(x, losses[name][1], losses[name][0], (-9, 9, 13), (-8, 10, 11))
    found = surface.basins(rate=rate, steps=steps)

    def gradient(w, b):
        slope = slopes[name](w * x + b)
        return slope * x, slope

    w, b = plain_descent(gradient, np.linspace(-9, 9, 13), np.linspace(-8, 10, 11), rate, steps)
    np.testing.assert_allclose(found.ends[0].ravel(), w, atol=1e-6)
    np.testing.assert_allclose(found.ends[1].ravel(), b, atol=1e-6)
    assert found.best_loss == pytest.approx(float(found.losses.min()), abs=1e-15)
    assert found.best_fraction == float((found.losses <= found.losses.min() + 1e-3).double().mean())
    assert found.losses.shape == surface.values.shape


def test_basins_of_many_samples_use_few_nodes_and_stay_right() -> None:
    x, y = points(6000)
    surface = landscape.grid(x, y, SquaredError(through=Sigmoid()), (-4, 4, 7), (-4, 4, 7))
    found = surface.basins(rate=1.0, steps=60)

    def gradient(w, b):
        p = expit(w * x + b)
        slope = 2 * (p - y) * p * (1 - p)
        return slope * x, slope

    w, b = plain_descent(gradient, np.linspace(-4, 4, 7), np.linspace(-4, 4, 7), 1.0, 60)
    np.testing.assert_allclose(found.ends[0].ravel(), w, atol=1e-8)
    np.testing.assert_allclose(found.ends[1].ravel(), b, atol=1e-8)


def test_basins_that_diverge_are_counted() -> None:
    x, y = real()
    found = landscape.grid(100 * x, y, SquaredError(), (-1, 1, 5), (-1, 1, 5)).basins(rate=1.0, steps=500)
    assert found.diverged == 25
    assert np.isnan(found.best_loss)
    assert (found.labels == -1).all()


def test_a_line_descends_along_its_own_axis_alone() -> None:
    x, y = real()
    found = landscape.grid(x, y, SquaredError(), (-3, 3, 9), 0.5).basins(rate=0.1, steps=200)
    assert (found.ends[1] == 0.5).all()
    assert found.best_fraction == 1


def test_options_of_basins() -> None:
    surface = landscape.grid([1.0, 2.0], [0.0, 1.0], SquaredError(), (-1, 1, 3), (-1, 1, 3))
    with pytest.raises(ValueError, match="above 0; got 0"):
        surface.basins(rate=0.0)
    with pytest.raises(ValueError, match="1 step or more"):
        surface.basins(steps=0)


# ---- the lecture's figure -----------------------------------------------------------------------------------------


def test_the_lectures_two_minima_come_from_one_wrong_index() -> None:
    """The lecture's code as written takes `y[i]`, the target of the grid point, for every sample; `y[o]` was meant.

    theta0 is the bias, theta1 the weight; grid point i = 50·row + column has theta1 = row, theta0 = column, so its
    target is 0 in the lower half of theta1 and 1 in the upper. Values: computed twice, independently, in float64.
    """
    x = torch.linspace(0, 1, 2500, dtype=torch.float64)
    loss, window = SquaredError(half=True, through=Sigmoid()), (-1, 1, 50)
    zeros, ones = (landscape.grid(x, torch.full_like(x, label), loss, window, window).values for label in (0.0, 1.0))
    written = torch.cat([zeros[:25], ones[25:]])
    assert float(written.min()) == pytest.approx(0.018298923949104977, rel=1e-12)
    assert float(written[0, 0]) == pytest.approx(float(written[-1, -1]), rel=1e-12)
    assert float(written.max()) == pytest.approx(0.2657547411290066, rel=1e-12)
    assert float(written[24, 0]) == pytest.approx(0.0356295465, abs=2e-10)
    assert float(written[25, 0]) == pytest.approx(0.2657547411, abs=2e-10)

    corrected = landscape.grid(x, (torch.arange(2500) >= 1250).double(), loss, window, window)
    low = corrected.lowest
    assert low["loss"] == pytest.approx(0.09660450145301905, rel=1e-12)
    assert (low["b"], low["w"]) == pytest.approx((-0.5102040816, 1.0), abs=1e-10)
    assert float(corrected.values.max()) == pytest.approx(0.1938196129, abs=1e-10)
    # at (0, 0) every probability is ½
    origin = landscape.grid(x, (torch.arange(2500) >= 1250).double(), loss, (0, 0, 1), 0.0)
    assert float(origin.values) == pytest.approx(0.125, rel=1e-15)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), SquaredError(through=Sigmoid())], ids=["bce", "mse"])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([100.0, 101, 102, 105, 106], [0, 0, 0, 1, 1]),
        ([1.0, 2, 2, 3], [0, 0, 1, 1]),
        ([1.0, 2, 3, 4], [1, 1, 1, 1]),
        ([4.0, 3, 2, 1], [0, 0, 1, 1]),
    ],
    ids=["far from 0", "touching", "one class", "downwards"],
)
@pytest.mark.parametrize(("w", "b"), [((-10, 10, 41), (-10, 10, 41)), ((-20, 20, 101), (-200, 200, 101))])
def test_what_a_threshold_parts_has_no_minimum(loss, x, y, w, b) -> None:  # type: ignore[no-untyped-def]
    """Along (1, −t) every score goes its label's way: the loss falls for ever, however small its slope has become."""
    surface = landscape.grid(torch.tensor(x).double(), torch.tensor(y).double(), loss, w=w, b=b)
    kinds = {found["kind"] for found in surface.minima()}
    assert not kinds & {"minimum", "saddle"}
