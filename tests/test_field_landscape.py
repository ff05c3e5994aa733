"""Surfaces found wrong in use: each test is named after the line of the report. Oracles: numpy and scipy."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import nn

from edunn import landscape
from edunn.activations import ReLU, Tanh
from edunn.cli import main
from edunn.data import Samples
from edunn.errors import ConfigError
from edunn.gradcheck import certify
from edunn.landscape import directions
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Logistic,
    Loss,
    Perceptron,
    SquaredError,
    ZeroOne,
)
from edunn.models import LinearRegression, SoftmaxClassifier, TwoLayerNet

X = np.array([1.0, 2, 3, 4])
REAL, BITS, SIGNS = np.array([5.0, 6, 7, 9]), np.array([0.0, 0, 1, 1]), np.array([-1.0, -1, 1, 1])

CURVES = {
    "squared error": (SquaredError(), REAL, lambda s, y: (s - y) ** 2),
    "absolute error": (AbsoluteError(), REAL, lambda s, y: np.abs(s - y)),
    "huber": (Huber(), REAL, lambda s, y: np.where(np.abs(s - y) <= 1, (s - y) ** 2 / 2, np.abs(s - y) - 0.5)),
    "binary cross-entropy": (BinaryCrossEntropy(), BITS, lambda s, y: np.logaddexp(0, s) - y * s),
    "logistic": (Logistic(), SIGNS, lambda s, y: np.logaddexp(0, -y * s)),
    "hinge": (Hinge(), SIGNS, lambda s, y: np.maximum(0, 1 - y * s)),
    "squared hinge": (Hinge(power=2), SIGNS, lambda s, y: np.maximum(0, 1 - y * s) ** 2),
    "perceptron": (Perceptron(), SIGNS, lambda s, y: np.maximum(0, -y * s)),
    "zero-one": (ZeroOne(), SIGNS, lambda s, y: (y * s <= 0).astype(float)),
    "squared error, tanh": (SquaredError(through=Tanh()), SIGNS, lambda s, y: (np.tanh(s) - y) ** 2),
}


@pytest.mark.parametrize("b", [0.0, -2.5])
@pytest.mark.parametrize("name", CURVES)
def test_field_06_curves_have_minima_of_their_own(name: str, b: float) -> None:
    loss, y, formula = CURVES[name]
    curve = landscape.grid(X, y, loss, (-10, 10, 201), b)
    at = lambda w: float(formula(w * X + b, y).mean())  # noqa: E731
    scan = np.linspace(-10, 10, 20001)
    start = scan[np.argmin([at(w) for w in scan])]
    best = scipy.optimize.minimize_scalar(
        at, bounds=(start - 0.01, start + 0.01), method="bounded", options={"xatol": 1e-10}
    )
    found = [m for m in curve.minima() if m["kind"] == "minimum"]
    assert all(m["b"] == b for m in curve.minima())
    assert found[0]["loss"] == pytest.approx(min(best.fun, at(start)), abs=1e-8)
    assert at(found[0]["w"]) == pytest.approx(found[0]["loss"], abs=1e-9)


def test_field_06_the_numbers_that_were_reported() -> None:
    # both from scipy.optimize.minimize_scalar
    best = landscape.grid(X, BITS, BinaryCrossEntropy(), (-10, 10, 201), 0.0).minima()[0]
    assert (best["kind"], best["w"], best["loss"]) == (
        "minimum",
        pytest.approx(0.287700, abs=1e-6),
        pytest.approx(0.623958, abs=1e-6),
    )
    best = landscape.grid(X, REAL, SquaredError(), (-10, 10, 201), 0.0).minima()[0]
    assert (best["w"], best["b"], best["loss"]) == (pytest.approx(74 / 30), 0.0, pytest.approx(2.1166666667))


def test_field_06_readings_of_a_curve_are_of_one_variable() -> None:
    curve = landscape.grid(X, REAL, SquaredError(), (-10, 10, 201), 1.0)
    assert curve.condition() == (1.0, None)
    assert (curve.smallest_curvature() or {})["value"] == pytest.approx(2 * (X**2).mean())
    slope = 2 * ((np.outer(curve.first.numpy(), X) + 1 - REAL) * X).mean(1)
    assert curve.plateaus(5.0)["5"] == pytest.approx((np.abs(slope) < 5).mean())
    assert landscape.grid(X, REAL, SquaredError(), (-10, 10, 201), 1.0, derivatives=True).plateaus(
        5.0
    ) == curve.plateaus(5.0)
    assert curve.basins(rate=0.1, steps=500).best_fraction == 1.0


def test_field_06_separable_along_the_curve_alone() -> None:
    """With b held at 0, x and −x of the right labels are parted by w alone; with labels that differ from it, not."""
    parted = landscape.grid([-1.0, 2.0], [0.0, 1.0], BinaryCrossEntropy(), (-5, 5, 41), 0.0).minima()
    assert {m["kind"] for m in parted} == {"runaway"}
    held = landscape.grid([1.0, 2.0], [0.0, 1.0], BinaryCrossEntropy(), (-5, 5, 41), 0.0).minima()
    assert held[0]["kind"] == "minimum"


def test_field_06_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["landscape", "--problem", "linear", "--loss", "mse", "--w=-5:5:41", "--b=3", "--json"]
    assert main(words) == 0
    minima = json.loads(capsys.readouterr().out)["minima"]
    assert minima
    assert all(m["b"] == 3 for m in minima)


class Score(nn.Module):
    """tanh(w·x) and nothing else: a needle of the loss at w = 0 where targets are 0."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.w)


@pytest.mark.parametrize("low", [-0.5, -0.43])
def test_field_07_a_module_is_asked_where_it_stands(low: float) -> None:
    x = torch.tensor([[1000.0], [-1300.0]], dtype=torch.float64)
    along = {"w": torch.ones(1, dtype=torch.float64)}
    surface = landscape.line(Score(), SquaredError(), (x, torch.zeros(2, dtype=torch.float64)), along, (low, 1.0, 301))
    truth = (np.tanh(np.outer(surface.first.numpy(), x.numpy().ravel())) ** 2).mean(1)
    assert float(surface.values[int(surface.first.abs().argmin()), 0]) == 0
    assert np.abs(surface.values.numpy().ravel() - truth).max() <= max(10 * surface.error, 1e-12)


def rayleigh(model: nn.Module, loss: Loss, data: tuple[torch.Tensor, torch.Tensor]) -> tuple[list[float], list[float]]:
    """Rayleigh quotients of the two directions, and the two largest eigenvalues by numpy from torch's own Hessian."""
    names = dict(model.named_parameters())
    start = directions.flat(names).detach()

    def value(vector: torch.Tensor) -> torch.Tensor:
        weights = directions.unflat(vector, names)
        return loss(torch.func.functional_call(model, weights, (data[0],)), data[1], validate=False)

    matrix = torch.autograd.functional.hessian(value, start).numpy()
    found = [directions.flat(d).numpy() for d in landscape.hessian(model, loss, data)]
    assert abs(found[0] @ found[1]) < 1e-10
    return [d @ matrix @ d for d in found], np.linalg.eigvalsh(matrix)[:-3:-1].tolist()


def test_field_08_eigenvalues_that_coincide() -> None:
    random = np.random.default_rng(0)
    x, y = torch.from_numpy(random.normal(size=(40, 4))), torch.from_numpy(random.integers(3, size=40))
    quotients, largest = rayleigh(SoftmaxClassifier(4, 3, dtype=torch.float64), CrossEntropy(), (x, y))
    assert largest[0] == pytest.approx(largest[1])
    assert quotients == pytest.approx(largest)


def test_field_08_a_hessian_of_one_curvature() -> None:
    x = 3**0.5 * torch.cat([torch.eye(3), -torch.eye(3)]).double()  # XᵀX/N = I and no mean: H = 2 I, bias and all
    quotients, largest = rayleigh(
        LinearRegression(3, dtype=torch.float64), SquaredError(), (x, torch.zeros(6).double())
    )
    assert quotients == pytest.approx(largest)


def test_field_08_no_directions_is_a_sentence() -> None:
    x, y = torch.eye(3).double(), torch.tensor([1.0, -1, 1]).double()
    with pytest.raises(ConfigError, match="Hessian of Hinge is 0"):
        landscape.hessian(LinearRegression(3, dtype=torch.float64), Hinge(), (x, y))
    one = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Flatten(0)).double()
    with pytest.raises(ConfigError, match="single parameter"):
        landscape.hessian(one, SquaredError(), (x[:, :1], y))
    same = {"w": torch.tensor([1.0, 2.0])}
    with pytest.raises(ConfigError, match="never moves"):
        landscape.principal([same, same, same])


def test_field_08_a_straight_path() -> None:
    first, second = landscape.principal([{"w": torch.tensor([k, 2.0 * k, 0.0])} for k in range(5)])
    assert (first["w"].abs() - torch.tensor([1.0, 2, 0]) / math.sqrt(5)).abs().max() < 1e-6
    assert float(second["w"].norm()) == pytest.approx(1)
    assert float(first["w"] @ second["w"]) == pytest.approx(0, abs=1e-6)


def test_field_09_far_data_of_a_squared_hinge() -> None:
    surface = landscape.grid([0.0, 1, 2, 1e9], np.ones(4), Hinge(power=2), (2, 2, 1), -5.0)
    assert float(surface.values) == (6**2 + 4**2 + 2**2 + 0) / 4


def test_field_10_a_kink_is_not_a_minimum() -> None:
    x, y = np.array([2, 0.5, -1, 0.5, 0]), np.array([0, 1.5, -2, -0.5, 0])
    surface = landscape.grid(x, y, SquaredError(through=ReLU()), (-4, 4, 41), (-4, 4, 41))
    at = lambda w, b: ((np.maximum(np.multiply.outer(w, x) + b[..., None], 0) - y) ** 2).mean(-1)  # noqa: E731
    angles = np.linspace(0, 2 * math.pi, 720)
    found = [m for m in surface.minima() if m["kind"] == "minimum"]
    for minimum in found:
        for radius in (1e-4, 1e-3, 1e-2):
            ring = at(minimum["w"] + radius * np.cos(angles), minimum["b"] + radius * np.sin(angles))
            assert ring.min() >= minimum["loss"] - 1e-12
    scan = np.linspace(-4, 4, 801)
    assert found[0]["loss"] <= at(*np.meshgrid(scan, scan, indexing="ij")).min() + 1e-12


def test_field_11_overflow_is_an_infinite_error() -> None:
    surface = landscape.grid([1e20, 2.0], [1.0, 2], SquaredError(), (-1, 1, 101), (-1, 1, 3), dtype=torch.float32)
    assert surface.not_finite > 200
    assert surface.error == math.inf


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_field_11_small_losses_keep_their_digits(method: str) -> None:
    x = np.random.default_rng(0).normal(size=50)
    surface = landscape.grid(
        x,
        np.zeros(50),
        SquaredError(through=Tanh()),
        (-1e-3, 1e-3, 64),
        (-1e-3, 1e-3, 64),
        method=method,
        dtype=torch.float32,
    )
    w, b = np.meshgrid(surface.first.numpy(), surface.second.numpy(), indexing="ij")
    truth = (np.tanh(w[..., None] * x + b[..., None]) ** 2).mean(-1)
    assert np.abs(surface.values.double().numpy() - truth).max() < 1e-6 * truth.max()
    assert any("computed again" in note for note in surface.notes)


def test_field_11_the_error_counts_what_float32_rounds_off_x() -> None:
    x = 1e6 + np.random.default_rng(0).normal(size=300)
    y = np.random.default_rng(1).normal(size=300)
    surface = landscape.grid(x, y, Huber(), (1, 2, 31), (-1.5e6 - 9, -1.5e6 + 9, 31), dtype=torch.float32)
    w, b = np.meshgrid(surface.first.numpy(), surface.second.numpy(), indexing="ij")
    truth = CURVES["huber"][2](w[..., None] * x + b[..., None], y).mean(-1)
    assert np.abs(surface.values.double().numpy() - truth).max() / truth.max() <= 10 * surface.error + 1e-12


def errors(x: NDArray[np.float64], y: NDArray[np.float64], surface: landscape.Surface, formula) -> float:  # type: ignore[no-untyped-def]
    w, b = surface.first.numpy()[:, None, None], surface.second.numpy()[None, :, None]
    truth = formula(w * x + b, y).mean(-1)
    return float(np.abs(surface.values.double().numpy() - truth).max() / truth.max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in CURVES if name != "zero-one"])
def test_field_11_the_reported_error_bounds_the_true_one(name: str, dtype: torch.dtype) -> None:
    loss, _, formula = CURVES[name]
    for seed in range(8):
        random = np.random.default_rng(seed)
        samples = int(10 ** random.uniform(0, 2.5))
        x = [random.standard_normal(samples), random.standard_cauchy(samples), 1e3 + random.standard_normal(samples)][
            seed % 3
        ]
        signs = np.where(random.random(samples) < 0.5, -1.0, 1.0)
        y = {"real": random.standard_normal(samples), "bits": (signs + 1) / 2, "signs": signs}[loss.labels]
        y = signs if isinstance(loss, SquaredError) and not loss.through.linear else y
        reach, shift = 10 ** random.uniform(-2, 2), random.standard_normal()
        curve = seed % 4 == 3
        b = shift if curve else (shift - reach, shift + reach, 24)
        for method in ("auto", "direct"):
            surface = landscape.grid(x, y, loss, (shift - reach, shift + reach, 40), b, method=method, dtype=dtype)
            true = errors(x, y, surface, formula)
            assert true <= max(10 * surface.error, 1e-12), (seed, method)


def test_field_12_a_net_in_training_mode() -> None:
    """Batch norm and dropout: the copy is evaluated as torch's own evaluation mode does, and the net stays as it is."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1), nn.Flatten(0))
    net = net.double().train()
    x, y = torch.randn(40, 3, dtype=torch.float64), torch.randn(40, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    surface = landscape.plane(net, SquaredError(), (x, y), a=(-1, 1, 3), b=(-1, 1, 3))
    assert torch.equal(state, torch.get_rng_state())
    assert all(part.training for part in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert any("training mode" in note for note in surface.notes)
    with torch.no_grad():
        here = ((net.eval()(x) - y) ** 2).mean()
    assert float(surface.values[1, 1]) == pytest.approx(float(here), rel=1e-12)


def test_field_14_a_net_with_dropout_is_certified() -> None:
    torch.manual_seed(0)
    samples = Samples(torch.randn(20, 6, dtype=torch.float64), torch.randint(3, (20,)))
    net = TwoLayerNet(6, 3, hidden=8, dropout=0.5, dtype=torch.float64)
    certificate = certify(net, CrossEntropy(), samples)
    assert "6 of 6" in str(certificate)


def test_field_28b_the_window_holds_the_minimum() -> None:
    x, y = np.array([1, 2, 3.5, 5, 7]), np.array([34100.0, 43150, 56200, 70300, 88050])
    slope, intercept = np.polyfit(x, y, 1)
    surface = landscape.grid(x, y, SquaredError())
    best = surface.minima()[0]
    assert (best["w"], best["b"]) == (pytest.approx(slope), pytest.approx(intercept))
    assert float(surface.first[0]) < slope < float(surface.first[-1])
    assert float(surface.second[0]) < intercept < float(surface.second[-1])
    outside = landscape.grid(x, y, SquaredError(), (-2.3, 2.3, 9), (-10, 10, 9)).report()
    assert any("outside this window" in remark for remark in outside.remarks)
