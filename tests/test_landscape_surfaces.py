"""Every method against `direct`, `direct` against scipy and closed forms, at asymmetrical points and at extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from edunn import landscape, penalties
from edunn.activations import Sigmoid, Tanh
from edunn.errors import ConfigError, DataError, LabelError, ShapeError
from edunn.landscape import direct, exact, methods, planes, spectral
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

F = torch.float64

BITS, SIGNS, REAL = "bits", "signs", "real"
LOSSES = {
    "mse": (SquaredError(), REAL),
    "half-mse": (SquaredError(half=True), REAL),
    "mse-sigmoid": (SquaredError(through=Sigmoid()), BITS),
    "mse-sigmoid-real": (SquaredError(through=Sigmoid(), half=True), REAL),
    "mse-tanh": (SquaredError(through=Tanh()), SIGNS),
    "bce": (BinaryCrossEntropy(), BITS),
    "logistic": (Logistic(), SIGNS),
    "hinge": (Hinge(), SIGNS),
    "hinge-margin": (Hinge(margin=0.3), SIGNS),
    "squared-hinge": (Hinge(power=2), SIGNS),
    "perceptron": (Perceptron(), SIGNS),
    "zero-one": (ZeroOne(), SIGNS),
    "absolute": (AbsoluteError(), REAL),
    "huber": (Huber(), REAL),
    "huber-narrow": (Huber(0.2), REAL),
}
EXACT = [name for name, (loss, _) in LOSSES.items() if name not in
         ("mse-sigmoid", "mse-sigmoid-real", "mse-tanh", "bce", "logistic")]  # fmt: skip
ANALYTIC = [name for name in LOSSES if name not in EXACT]


def data(kind: str, samples: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.4, 1.3, samples)
    bits = (rng.random(samples) < expit(2 * x - 1)).astype(float)
    y = {BITS: bits, SIGNS: 2 * bits - 1, REAL: 0.8 * x - 0.3 + rng.normal(0, 0.7, samples)}[kind]
    return torch.from_numpy(x), torch.from_numpy(y)


def plane_of(name: str, samples: int = 60, x: torch.Tensor | None = None) -> planes.Plane:
    loss, kind = LOSSES[name]
    drawn, y = data(kind, samples)
    return landscape.build.one_feature(drawn if x is None else x, y, loss, None, F, None)


def axes(low: float, high: float, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.linspace(low, high, rows, dtype=F), torch.linspace(low + 0.17, high - 0.31, columns, dtype=F)


# ---- direct against formulas written by others -------------------------------------------------------------------

NUMPY = {
    "mse": lambda z, y: (z - y) ** 2,
    "half-mse": lambda z, y: (z - y) ** 2 / 2,
    "mse-sigmoid": lambda z, y: (expit(z) - y) ** 2,
    "mse-sigmoid-real": lambda z, y: (expit(z) - y) ** 2 / 2,
    "mse-tanh": lambda z, y: (np.tanh(z) - y) ** 2,
    "bce": lambda z, y: np.logaddexp(0, z) - y * z,
    "logistic": lambda z, y: np.logaddexp(0, -y * z),
    "hinge": lambda z, y: np.maximum(0, 1 - y * z),
    "hinge-margin": lambda z, y: np.maximum(0, 0.3 - y * z),
    "squared-hinge": lambda z, y: np.maximum(0, 1 - y * z) ** 2,
    "perceptron": lambda z, y: np.maximum(0, -y * z),
    "zero-one": lambda z, y: (y * z <= 0) * 1.0,
    "absolute": lambda z, y: abs(z - y),
    "huber": lambda z, y: np.where(abs(z - y) <= 1, (z - y) ** 2 / 2, abs(z - y) - 0.5),
    "huber-narrow": lambda z, y: np.where(abs(z - y) <= 0.2, (z - y) ** 2 / 2, 0.2 * (abs(z - y) - 0.1)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("method", ["plain", "grid"])
def test_direct_is_the_formula_point_by_point(name: str, method: str) -> None:
    plane = plane_of(name)
    w, b = axes(-9, 13, 17, 23)
    values = getattr(direct, method)(plane, w, b)[0].numpy()
    x, y = plane.x.numpy(), plane.targets.numpy()
    expected = np.array([[NUMPY[name](wi * x + bj, y).mean() for bj in b.numpy()] for wi in w.numpy()])
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14 * expected.max())


@pytest.mark.parametrize("name", ["mse", "mse-sigmoid", "mse-tanh", "bce", "squared-hinge"])
def test_derivatives_are_those_of_the_values(name: str) -> None:
    plane = plane_of(name)
    points = torch.tensor([[0.7, -0.4], [-1.3, 2.1], [3.0, 0.2]], dtype=F)
    jets = plane.at(points, 2)
    h = 1e-4
    for k in (0, 1):
        step = h * torch.eye(2, dtype=F)[k]
        up, down = plane.at(points + step, 2), plane.at(points - step, 2)
        numeric = (up - down) / (2 * h)
        torch.testing.assert_close(jets[1 + k], numeric[0], rtol=1e-6, atol=1e-8)
        if name != "squared-hinge":  # its gradient has kinks
            torch.testing.assert_close(jets[[3, 4] if k == 0 else [4, 5]], numeric[1:3], rtol=1e-6, atol=1e-7)


def test_a_closed_form_at_an_asymmetrical_point() -> None:
    # two samples: x = 2, y = 1 and x = −1, y = 0, at w = 0.5, b = −3: scores −2 and −3.5
    surface = landscape.grid([2.0, -1.0], [1.0, 0.0], BinaryCrossEntropy(), (0.5, 0.5, 1), (-3.0, -3.0, 1))
    expected = (math.log(1 + math.exp(-2)) + 2 + math.log(1 + math.exp(-3.5))) / 2
    assert float(surface.values) == pytest.approx(expected, rel=1e-15)
    squared = landscape.grid([2.0, -1.0], [1.0, 0.0], SquaredError(half=True), (0.5, 0.5, 1), (-3.0, -3.0, 1))
    assert float(squared.values) == pytest.approx((3**2 + 3.5**2) / 4, rel=1e-15)


def test_rows_are_w_and_columns_are_b() -> None:
    surface = landscape.grid([1.0], [0.0], SquaredError(), (1, 3, 3), (10, 30, 2))
    torch.testing.assert_close(surface.values, torch.tensor([[121, 961], [144, 1024], [169, 1089]], dtype=F))


# ---- the other methods against direct ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("window", [3.0, 20.0, 1000.0])
def test_exact_equals_direct(name: str, window: float) -> None:
    plane = plane_of(name)
    w, b = axes(-window, window, 21, 34)
    reference = direct.plain(plane, w, b, 2)
    jets = exact.grid(plane, w, b, 2)
    for channel in range(6):
        size = float(reference[channel].abs().max())
        torch.testing.assert_close(jets[channel], reference[channel], rtol=0, atol=2e-12 * size + 1e-300)


@pytest.mark.parametrize("name", EXACT)
def test_exact_and_direct_agree_about_samples_on_the_boundary(name: str) -> None:
    # whole numbers: scores, margins and residuals are exact, and thousands of samples lie exactly on a kink
    x = torch.arange(-6, 7, dtype=F).repeat(5)[:60]
    loss, kind = LOSSES[name]
    y = data(kind)[1].round() if kind == REAL else data(kind)[1]
    plane = landscape.build.one_feature(x, y, loss, None, F, None)
    w, b = torch.arange(-5, 6, dtype=F), torch.arange(-9, 10, dtype=F)
    reference, jets = direct.plain(plane, w, b, 2), exact.grid(plane, w, b, 2)
    torch.testing.assert_close(jets, reference, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("name", ANALYTIC)
@pytest.mark.parametrize("samples", [60, 3000])
def test_spectral_equals_direct(name: str, samples: int) -> None:
    plane = plane_of(name, samples)
    w, b = axes(-8, 11, 150, 170)
    chosen = torch.randint(150 * 170, (200,), generator=torch.Generator().manual_seed(0))
    points = torch.stack([w[chosen // 170], b[chosen % 170]], 1)
    reference = plane.at(points, 2)
    jets = spectral.grid(plane, w, b, 2).flatten(1)[:, chosen]
    for channel, tolerance in zip(range(6), [1e-10, 1e-9, 1e-9, 1e-8, 1e-8, 1e-8], strict=True):
        size = float(reference[channel].abs().max())
        torch.testing.assert_close(jets[channel], reference[channel], rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("name", ["bce", "mse-sigmoid", "mse-sigmoid-real", "mse-tanh"])
def test_factored_equals_plain_in_both_precisions(name: str) -> None:
    plane = plane_of(name, 333)  # a number that no group divides
    w, b = axes(-20, 20, 40, 200)
    reference = direct.plain(plane, w, b)[0]
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        assert direct.fits(plane.to(dtype), b)
        values = direct.grid(plane.to(dtype), w, b)[0].double()
        torch.testing.assert_close(values, reference, rtol=0, atol=tolerance * float(reference.max()))


def test_compression_of_many_samples_is_right() -> None:
    plane = plane_of("bce", 20_000)
    plan = spectral.Plan.of(plane, *axes(-10, 10, 400, 400), 1e-11)
    assert plan.bulk.weights is not None
    assert len(plan.bulk.first) < 1000
    surface = landscape.grid(plane.x, plane.targets, plane.loss, (-10, 10, 400), (-10, 10, 400))
    assert surface.method == "spectral"
    assert surface.error < 1e-10


def test_outliers_do_not_spoil_it() -> None:
    x, y = data(BITS, 20_000)
    x[:3] = torch.tensor([100.0, -100.0, 100.0])
    surface = landscape.grid(x, y, BinaryCrossEntropy(), (-20, 20, 300), (-20, 20, 300))
    assert surface.method == "spectral"
    assert surface.error < 1e-8
    corner = landscape.build.one_feature(x, y, BinaryCrossEntropy(), None, F, None)
    true = corner.at(torch.tensor([[20.0, -20.0]], dtype=F))[0, 0]
    assert float(surface.values[-1, 0]) == pytest.approx(float(true), rel=1e-10)


@pytest.mark.parametrize("samples_far", [20])
def test_one_in_a_thousand_far_out_keeps_auto_away_from_n_times_g(samples_far: int) -> None:
    x, y = data(BITS, 20_000)
    x[:samples_far] *= 100
    plane = landscape.build.one_feature(x, y, BinaryCrossEntropy(), None, F, None)
    w, b = axes(-20, 20, 1000, 1000)
    assert methods.choose(plane, w, b, 0) == "spectral"
    plan = spectral.Plan.of(plane, w, b, spectral.tolerance(plane))
    assert plan.cost < 20_000 * 1000 * 1000 / 50


# ---- extremes ----------------------------------------------------------------------------------------------------

AWKWARD = {
    "one sample": torch.tensor([0.7], dtype=F),
    "constant x": torch.full((9,), 2.5, dtype=F),
    "x = 0": torch.zeros(9, dtype=F),
    "duplicated x": torch.tensor([1.0, 1, 1, -2, -2, 0.5, 0.5, 0.5, 0.5], dtype=F),
    "far from 0": 1e4 + torch.linspace(-1, 1, 9, dtype=F),
    "very small": 1e-9 * torch.linspace(-1, 1, 9, dtype=F),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("window", [2.0, 1000.0])
@pytest.mark.parametrize("labels", ["mixed", "equal"])
def test_every_method_at_extremes(name: str, case: str, window: float, labels: str) -> None:
    x = AWKWARD[case]
    loss, kind = LOSSES[name]
    y = data(kind)[1][: len(x)].clone()
    if labels == "equal":
        y[:] = y[0]
    plane = landscape.build.one_feature(x, y, loss, None, F, None)
    w, b = axes(-window, window, 7, 33)
    points = torch.cartesian_prod(w, b)
    reference = plane.at(points, 2)
    for method in ("direct", "exact" if name in EXACT else "spectral", "auto"):
        for order in (0, 2):
            jets, _ = methods.evaluate(plane, w, b, order, method)
            for channel in range(planes.JET[order]):
                # a value is as good as the loss's size allows; slopes at kinks far out are decided by the last bit
                size = max(float(reference[channel].abs().max()), 1e-12)
                if channel == 0:
                    torch.testing.assert_close(jets[0].flatten(), reference[0], rtol=0, atol=1e-10 * size)
                assert jets[channel].isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_grid_of_one_point(name: str) -> None:
    plane = plane_of(name)
    point = torch.tensor([[1.7, -2.9]], dtype=F)
    surface = landscape.grid(plane.x, plane.targets, plane.loss, (1.7, 1.7, 1), -2.9)
    assert surface.values.shape == (1, 1)
    torch.testing.assert_close(surface.values[0], plane.at(point)[0], rtol=1e-12, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 40),
    rows=st.integers(1, 9),
    columns=st.integers(1, 40),
    spread=st.sampled_from([1e-3, 1.0, 50.0]),
    window=st.sampled_from([0.5, 20.0, 500.0]),
    name=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 1000),
)
def test_any_shape(samples: int, rows: int, columns: int, spread: float, window: float, name: str, seed: int) -> None:
    loss, kind = LOSSES[name]
    x, y = data(kind, samples, seed)
    w = (-window, window / 2, rows) if rows > 1 else (window, window, 1)
    b = (-window / 3, window, columns) if columns > 1 else (window, window, 1)
    surface = landscape.grid(spread * x, y, loss, w, b)
    plane = landscape.build.one_feature(spread * x, y, loss, None, F, None)
    reference = plane.at(torch.cartesian_prod(surface.first, surface.second).view(-1, 2))[0]
    largest = max(float(reference.abs().max()), 1e-12)
    torch.testing.assert_close(surface.values.flatten(), reference, rtol=0, atol=1e-10 * largest)
    # of a loss that is tiny at every point few digits are known, or none: (1 − σ(s))² where σ(s) rounds to 1
    assert surface.error < 1e-10 if bool((reference > 1e-12).any()) else surface.error <= 1.0001


# ---- the rest of the record ---------------------------------------------------------------------------------------


def test_a_penalty_is_added_along_the_plane() -> None:
    x, y = data(BITS)
    for penalty, price in (
        (penalties.L2(0.1), lambda w, b: 0.1 * w**2),
        (penalties.L2(0.1, half=True, bias=True), lambda w, b: 0.05 * (w**2 + b**2)),
        (penalties.L1(0.3), lambda w, b: 0.3 * abs(w)),
        (penalties.ElasticNet(0.2, beta=2.0), lambda w, b: 0.2 * (2 * w**2 + abs(w))),
    ):
        bare = landscape.grid(x, y, BinaryCrossEntropy(), (-3, 2, 11), (-1, 4, 9))
        full = landscape.grid(x, y, BinaryCrossEntropy(), (-3, 2, 11), (-1, 4, 9), penalty=penalty, derivatives=True)
        w, b = torch.meshgrid(bare.first, bare.second, indexing="ij")
        torch.testing.assert_close(full.values - bare.values, price(w, b) + 0 * w, rtol=1e-10, atol=1e-12)
        numeric = torch.gradient(full.values, spacing=(full.first, full.second), edge_order=2)[1]
        torch.testing.assert_close(full.gradient[1][:, 2:-2], numeric[:, 2:-2], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("name", ["mse", "bce", "hinge"])
def test_it_saves_and_loads(name: str, tmp_path) -> None:
    plane = plane_of(name)
    surface = landscape.grid(plane.x, plane.targets, plane.loss, (-2, 3, 5), (-1, 1, 4))
    surface.save(tmp_path / "surface.npz")
    with np.load(tmp_path / "surface.npz") as arrays:
        assert set(arrays) == {"w", "b", "values", "about"}
        assert arrays["values"].shape == (5, 4)
        np.testing.assert_array_equal(arrays["w"], np.linspace(-2, 3, 5))
    again = landscape.Surface.load(tmp_path / "surface.npz")
    torch.testing.assert_close(again.values, surface.values, rtol=0, atol=0)
    assert (again.names, again.method, again.loss) == (surface.names, surface.method, surface.loss)
    assert str(again) == str(surface)
    with pytest.raises(DataError, match="loaded from a file"):
        again.minima()


def test_a_file_that_is_no_surface(tmp_path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"x\.npz' is damaged or cut short"):
        landscape.Surface.load(tmp_path / "x.npz")
    with pytest.raises(DataError, match=r"none\.npz' does not exist"):
        landscape.Surface.load(tmp_path / "none.npz")


def test_it_prints_as_a_table() -> None:
    plane = plane_of("bce")
    surface = landscape.grid(plane.x, plane.targets, plane.loss, (-2, 3, 5), (-1, 1, 4))
    assert str(surface).splitlines()[:2] == ["loss     BinaryCrossEntropy, 60 samples", "w        -2 … 3, 5 points"]
    assert len(str(surface).splitlines()) <= 15
    assert "<table>" in surface._repr_html_()
    assert "BinaryCrossEntropy, 60 samples" in surface._repr_html_()


def test_values_that_are_not_finite_are_counted() -> None:
    surface = landscape.grid([1e200], [0.0], SquaredError(), (-1, 1, 3), (0, 0, 1), method="direct")
    assert surface.not_finite == 2
    assert surface.lowest["loss"] == 0


def test_the_default_window_holds_the_minimum() -> None:
    for name in ("mse", "mse-sigmoid", "bce", "huber"):
        plane = plane_of(name)
        surface = landscape.grid(plane.x, plane.targets, plane.loss)
        best = surface.minima()[0]
        assert float(surface.first[0]) < best["w"] < float(surface.first[-1])
        assert float(surface.second[0]) < best["b"] < float(surface.second[-1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, y: landscape.grid(x, y, BinaryCrossEntropy(), (3, -3, 5), (0, 1, 2)), ConfigError, "low < high"),
        (lambda x, y: landscape.grid(x, y, BinaryCrossEntropy(), (0, 1, 0), (0, 1, 2)), ConfigError, "1 or more"),
        (lambda x, y: landscape.grid(x, y, Hinge(), (0, 1, 2), (0, 1, 2)), LabelError, "2\\*targets - 1"),
        (lambda x, y: landscape.grid(x[:-1], y, BinaryCrossEntropy(), (0, 1, 2), (0, 1, 2)), ShapeError, "samples"),
        (lambda x, y: landscape.grid(torch.stack([x, x], 1), y, BinaryCrossEntropy()), ShapeError, "one feature"),
        (lambda x, y: landscape.grid(x / 0, y, BinaryCrossEntropy()), DataError, "x must be finite"),
        (lambda x, y: landscape.grid(x, y, BinaryCrossEntropy(), method="exact"), ConfigError, "polynomial"),
        (lambda x, y: landscape.grid(x, y, SquaredError(), method="spectral"), ConfigError, "analytic"),
        (lambda x, y: landscape.grid(x, y, SquaredError(), method="spektral"), ConfigError, "Did you mean 'spectral'"),
    ],
    ids=["reversed", "no points", "labels", "lengths", "two features", "nan", "exact", "spectral", "misspelt"],
)
def test_refusals(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call(*data(BITS))
