"""The largest stable rate: 2/λ_max against numpy's eigenvalues, against descent itself, and the lecture's line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edunn.activations import Sigmoid
from edunn.descent.stability import largest_curvature, stable_rate
from edunn.layers import with_ones
from edunn.losses import AbsoluteError, BinaryCrossEntropy, Loss, SquaredError
from edunn.models import LinearRegression, LogisticRegression
from edunn.penalties import L1, L2, MaxNorm, Penalty
from edunn.updates import Adam, GradientDescent, Momentum, Nesterov, Rule


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LECTURE_X = torch.linspace(0, 10, 100, dtype=torch.float64).unsqueeze(1)


def rate_for(
    features: Tensor,
    loss: Loss | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    bias: bool = True,
) -> float | None:
    model = LinearRegression(features.shape[1], bias=bias, dtype=features.dtype)
    return stable_rate(model, loss or SquaredError(), features, penalty, rule or GradientDescent())


def test_lecture_line() -> None:
    # eigenvalues of (2/n)XᵀX for x = linspace(0, 10, 100) with a bias: 68.5069688326 and 0.49639817067
    assert 2 * largest_curvature(LECTURE_X) == pytest.approx(68.5069688326, rel=1e-11)
    assert rate_for(LECTURE_X) == pytest.approx(0.02919411, rel=2e-7)  # 2 / 68.507, printed with seven digits


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
def test_against_the_eigenvalues_of_the_hessian(bias: bool, half: bool) -> None:
    """The Hessian by autograd, twice; its eigenvalues by numpy."""
    x, loss = randn(20, 4) + 0.7, SquaredError(half=half)
    design = with_ones(x) if bias else x
    hessian = torch.autograd.functional.hessian(
        lambda w: loss(design @ w, randn(20, seed=1)), torch.zeros(design.shape[1]).double()
    )
    largest = np.linalg.eigvalsh(hessian.numpy())[-1]
    assert rate_for(x, loss, bias=bias) == pytest.approx(2 / largest, rel=1e-12)
    everywhere = {"penalty": L2(0.3, bias=True), "bias": bias}
    assert rate_for(x, loss, **everywhere) == pytest.approx(2 / (largest + 0.6), rel=1e-12)
    # a bias that the penalty leaves alone has no 2λ on its diagonal
    ridge = torch.full((design.shape[1],), 0.3, dtype=x.dtype)
    ridge[0] = 0.0 if bias else 0.3
    hessian = (1.0 if half else 2.0) * design.mT @ design / len(x) + ridge.diag()
    expected = 2 / float(torch.linalg.eigvalsh(hessian)[-1])
    assert rate_for(x, loss, L2(0.3, half=True), bias=bias) == pytest.approx(expected, rel=1e-12)
    assert rate_for(x, loss, rule=Momentum(0.8), bias=bias) == pytest.approx(3.6 / largest, rel=1e-12)
    assert rate_for(x, loss, rule=Nesterov(0.8), bias=bias) == pytest.approx(3.6 / 2.6 / largest, rel=1e-12)


def test_more_outputs_do_not_change_it() -> None:
    x = randn(20, 4)
    model = LinearRegression(4, 3, dtype=torch.float64)
    found = stable_rate(model, SquaredError(classes=True), x, None, GradientDescent())
    assert found == pytest.approx(rate_for(x), rel=1e-14)


@pytest.mark.parametrize("factor", [0.99, 1.01], ids=["just below", "just above"])
def test_descent_itself_agrees(factor: float) -> None:
    x, y = randn(20, 3) + 1, randn(20, seed=1)
    model, loss = LinearRegression(3, dtype=torch.float64), SquaredError()
    limit = rate_for(x)
    assert limit is not None
    best = np.linalg.lstsq(with_ones(x).numpy(), y.numpy(), rcond=None)[0]
    for _ in range(3000):
        scores = model(x).detach()
        for name, gradient in model.gradients(x, loss.gradient(scores, y)).items():
            model.get_parameter(name).data -= factor * limit * gradient
    distance = float((model.weight.detach()[0] - torch.from_numpy(best[1:])).norm())
    assert distance < 1e-6 if factor < 1 else distance > 1e6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("another loss", lambda: rate_for(LECTURE_X, AbsoluteError())),
        ("through a sigmoid", lambda: rate_for(LECTURE_X, SquaredError(through=Sigmoid()))),
        ("L1", lambda: rate_for(LECTURE_X, penalty=L1(0.1))),
        ("max-norm", lambda: rate_for(LECTURE_X, penalty=MaxNorm(1.0))),
        ("a stack of strengths", lambda: rate_for(LECTURE_X, penalty=L2(torch.tensor([0.1, 0.2])))),
        ("adam", lambda: rate_for(LECTURE_X, rule=Adam())),
        ("features of zero", lambda: rate_for(torch.zeros(5, 2), bias=False)),
        ("features that are not finite", lambda: rate_for(torch.full((5, 2), float("nan")))),
        (
            "cross-entropy",
            lambda: stable_rate(LogisticRegression(1), BinaryCrossEntropy(), LECTURE_X, None, GradientDescent()),
        ),
        (
            "a model that is not linear",
            lambda: stable_rate(nn.Sequential(), SquaredError(), LECTURE_X, None, GradientDescent()),
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_no_number_where_there_is_none(name: str, value: object) -> None:
    assert value() is None  # type: ignore[operator]


def made_by_eigenvalues(eigenvalues: list[float], features: int, seed: int = 3) -> Tensor:
    """Features whose mean of x xᵀ has exactly these eigenvalues (and 0), along random directions."""
    k = len(eigenvalues)
    left = torch.linalg.qr(randn(60, k, seed=seed)).Q
    right = torch.linalg.qr(randn(features, k, seed=seed + 1)).Q
    return left * (60 * torch.tensor(eigenvalues, dtype=torch.float64)).sqrt() @ right.T


def test_power_iteration_against_exact() -> None:
    """Above 1,024 features the eigenvalue comes by power iteration."""
    exact = largest_curvature(made_by_eigenvalues([5.0, 3.0, 1.0], 1024), bias=False)
    assert exact == pytest.approx(5.0, rel=1e-12)
    found = largest_curvature(made_by_eigenvalues([5.0, 3.0, 1.0], 1500), bias=False)
    assert found == pytest.approx(5.0, rel=1e-6)
    assert found <= 5.0 * (1 + 1e-14)  # from below
    x = randn(60, 1500) + 0.5
    expected = torch.linalg.eigvalsh(with_ones(x) @ with_ones(x).T / 60)[-1]
    assert largest_curvature(x) == pytest.approx(float(expected), rel=1e-5)
    assert largest_curvature(x.float()) == pytest.approx(float(expected), rel=1e-4)


def test_power_iteration_sees_directions_whose_entries_sum_to_zero() -> None:
    """A start of equal entries is blind to them, and called a rate six times too large stable."""
    x = torch.zeros(4, 1100, dtype=torch.float64)
    x[0, 0], x[0, 1] = 3.0, -3.0  # λ = 18/4
    x[1, 2:] = 0.05  # λ = 1098 · 0.0025 / 4
    assert largest_curvature(x, bias=False) == pytest.approx(4.5, rel=1e-6)


def test_features_are_left_as_they_are() -> None:
    x = randn(10, 3)
    rate_for(x)
    assert torch.equal(x, randn(10, 3))
