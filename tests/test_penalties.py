"""Penalties: values and gradients against autograd, torch and scikit-learn; proximal steps; the max-norm projection."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edunn import differences, penalties
from edunn.errors import ConfigError
from edunn.penalties import L1, L2, PENALTIES, ElasticNet, MaxNorm, Penalty, soft_threshold
from edunn.runtime.broadcasting import along_runs

CASES = {
    "l2": (L2(0.3), lambda w: 0.3 * (w**2).sum()),
    "l2, half": (L2(0.3, half=True), lambda w: 0.15 * (w**2).sum()),
    "l1": (L1(0.7), lambda w: 0.7 * w.abs().sum()),
    "l1, proximal": (L1(0.7, proximal=True), lambda w: 0.7 * w.abs().sum()),
    # Σ (β w² + |w|): β on L2 alone, as on the lecture's slide
    "elastic net": (ElasticNet(0.2, beta=3.0), lambda w: 0.2 * (3 * w**2 + w.abs()).sum()),
    "elastic net, proximal": (ElasticNet(0.2, beta=3.0, proximal=True), lambda w: 0.2 * (3 * w**2 + w.abs()).sum()),
    "max-norm": (MaxNorm(2.0), lambda w: 0 * w.sum()),
}
ALL = pytest.mark.parametrize("name", CASES)


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@ALL
def test_value_and_gradient_against_autograd_and_five_points(name: str) -> None:
    penalty, formula = CASES[name]
    w = weights(3, 4).requires_grad_()
    expected = formula(w)
    torch.testing.assert_close(penalty(w), expected, rtol=1e-14, atol=0)
    (slope,) = torch.autograd.grad(expected, w)
    torch.testing.assert_close(penalty.gradient(w.detach()), slope, rtol=1e-14, atol=0)
    assert w.detach().abs().min() > 3 * differences.STEP  # away from the kink at 0
    numeric = differences.gradient(penalty, w)
    torch.testing.assert_close(penalty.gradient(w.detach()), numeric, rtol=0, atol=1e-11)


@ALL
def test_gradient_at_zero_is_zero(name: str) -> None:
    assert torch.equal(CASES[name][0].gradient(torch.zeros(2, 2)), torch.zeros(2, 2))


def test_by_hand() -> None:
    # the lecture's R(W): Σw² = 14, ½Σw² = 7, Σ|w| = 6, Σ(βw² + |w|) = 2·14 + 6; gradients 2w, w, sign w, 2βw + sign w
    w = torch.tensor([[1.0, -2.0, 3.0]])
    by_hand: list[tuple[Penalty, float, list[float]]] = [
        (L2(1.0), 14, [2, -4, 6]),
        (L2(1.0, half=True), 7, [1, -2, 3]),
        (L1(1.0), 6, [1, -1, 1]),
        (ElasticNet(1.0, beta=2.0), 34, [5, -9, 13]),
    ]
    for penalty, value, gradient in by_hand:
        assert penalty(w).item() == value
        assert penalty.gradient(w).tolist() == [gradient]


@pytest.mark.parametrize(("penalty", "decay"), [(L2(0.05), 0.1), (L2(0.1, half=True), 0.1)], ids=["λΣw²", "½λΣw²"])
def test_l2_is_torchs_weight_decay(penalty: L2, decay: float) -> None:
    """weight_decay = 2λ, or λ with the half."""
    ours, theirs = weights(2, 3), torch.nn.Parameter(weights(2, 3))
    optimiser = torch.optim.SGD([theirs], lr=0.1, weight_decay=decay)
    for _ in range(20):
        ours -= 0.1 * penalty.gradient(ours)
        theirs.grad = torch.zeros_like(theirs)
        optimiser.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-13, atol=0)


def test_l2_is_the_ridge_of_scikit_learn() -> None:
    """Ridge minimises Σ(y − s)² + alpha Σw²: beside our mean, λ = alpha/N."""
    from sklearn.linear_model import Ridge

    x, y = weights(30, 3, seed=1), weights(30, seed=2)
    ridge = Ridge(alpha=6.0, fit_intercept=False).fit(x.numpy(), y.numpy())
    w = torch.from_numpy(ridge.coef_)
    slope = 2 / 30 * x.T @ (x @ w - y) + L2(6.0 / 30).gradient(w)
    torch.testing.assert_close(slope, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-13)


def test_elastic_net_is_the_one_of_scikit_learn() -> None:
    """ElasticNet minimises ½·MSE + alpha(l1_ratio Σ|w| + ½(1 − l1_ratio) Σw²): λ = alpha·l1_ratio, λβ = the rest."""
    from sklearn.linear_model import ElasticNet as Theirs

    x = weights(50, 4, seed=3)
    y = x @ torch.tensor([2.0, 0.0, -1.0, 0.0], dtype=torch.float64) + 0.1 * weights(50, seed=4)
    alpha, ratio = 0.2, 0.5
    theirs = Theirs(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(
        x.numpy(), y.numpy()
    )
    penalty = ElasticNet(alpha * ratio, beta=0.5 * (1 - ratio) / ratio, proximal=True)
    w, rate = torch.zeros(1, 4, dtype=torch.float64), 0.3
    followed = penalty.followed
    assert followed is not None
    for _ in range(2000):
        w -= rate * ((w @ x.T - y) @ x / 50 + followed.gradient(w))
        penalty.constrain(w, rate)
    np.testing.assert_allclose(w[0].numpy(), theirs.coef_, rtol=1e-9, atol=1e-12)
    assert (w == 0).any()  # true zeros, the same ones
    assert ((w[0] == 0).numpy() == (theirs.coef_ == 0)).all()


@given(w=st.floats(-10, 10), amount=st.floats(0, 5))
def test_soft_threshold_is_the_minimum_it_claims(w: float, amount: float) -> None:
    """argmin ½(z − w)² + amount·|z|: by cases, and no other z on a grid is better."""
    found = float(soft_threshold(torch.tensor(w, dtype=torch.float64), amount))
    assert found == (w - amount if w > amount else w + amount if w < -amount else 0)
    z = np.linspace(-11, 11, 2001)
    cost = 0.5 * (z - w) ** 2 + amount * np.abs(z)
    assert 0.5 * (found - w) ** 2 + amount * abs(found) <= cost.min() + 1e-12


@pytest.mark.parametrize("make", [L1, ElasticNet], ids=["l1", "elastic net"])
def test_proximal_gives_true_zeros_and_lets_weights_come_back(make: type[L1] | type[ElasticNet]) -> None:
    """Following the sign only jitters about 0; and an L1 that kills a weight for ever is a mistake seen elsewhere."""
    penalty = make(0.5, proximal=True)
    w = torch.tensor([[0.04, -0.04, 1.0, -1.0]], dtype=torch.float64)
    penalty.constrain(w, 0.1)  # amount 0.05
    torch.testing.assert_close(w, torch.tensor([[0.0, 0.0, 0.95, -0.95]], dtype=torch.float64), rtol=0, atol=1e-15)
    assert (w[0, :2] == 0).all()
    w -= 0.1 * torch.tensor([[-3.0, 3.0, 0.0, 0.0]], dtype=torch.float64)  # a gradient stronger than λ
    penalty.constrain(w, 0.1)
    expected = torch.tensor([[0.25, -0.25, 0.9, -0.9]], dtype=torch.float64)
    torch.testing.assert_close(w, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("penalty", [L2(1.0), L1(1.0), ElasticNet(1.0)], ids=lambda p: type(p).__name__)
def test_without_proximal_nothing_is_constrained(penalty: Penalty) -> None:
    w = weights(2, 3)
    penalty.constrain(w, 0.1)
    assert torch.equal(w, weights(2, 3))
    assert penalty.followed is penalty


def test_what_descent_follows() -> None:
    assert L1(1.0, proximal=True).followed is None
    assert MaxNorm(1.0).followed is None
    followed = ElasticNet(0.2, beta=3.0, proximal=True, bias=True).followed
    assert isinstance(followed, L2)
    w = weights(2, 3)
    torch.testing.assert_close(followed.gradient(w), 2 * 0.2 * 3 * w)
    assert followed.bias


def test_max_norm_cuts_rows_along_the_features() -> None:
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [0.0, -7.0]], dtype=torch.float64)
    MaxNorm(1.0).constrain(w, 0.1)
    expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(w, expected, rtol=1e-15, atol=0)
    assert torch.equal(w[1], torch.tensor([0.3, 0.4], dtype=torch.float64))  # inside the ball not a bit is changed


@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.01, 100), st.integers(0, 1000))
def test_max_norm_against_torch_renorm(outputs: int, features: int, limit: float, seed: int) -> None:
    w = 10 * weights(2, outputs, features, seed=seed)
    expected = w.flatten(0, 1).renorm(2, 0, limit).reshape(w.shape)  # a stack's outputs are each on their own
    MaxNorm(limit).constrain(w, 1.0)
    torch.testing.assert_close(w, expected, rtol=1e-6, atol=0)  # renorm divides by the norm plus 1e-7
    assert (w.norm(dim=-1) <= limit * (1 + 1e-14)).all()


def test_biases_are_penalised_only_when_asked() -> None:
    parameters = {
        "weight": weights(2, 3),
        "bias": weights(2),
        "hidden.weight": weights(4, 3),
        "hidden.bias": weights(4),
    }
    assert list(L2(1.0).gradients(parameters)) == ["weight", "hidden.weight"]
    assert list(L2(1.0, bias=True).gradients(parameters)) == list(parameters)
    value = L2(0.5).value(parameters)
    expected = 0.5 * sum((parameters[n] ** 2).sum() for n in ("weight", "hidden.weight"))
    torch.testing.assert_close(value, expected)
    everything = 0.5 * sum((p**2).sum() for p in parameters.values())
    torch.testing.assert_close(L2(0.5, bias=True).value(parameters), everything)


@pytest.mark.parametrize(
    "make",
    [
        lambda s: L2(s, bias=True),
        lambda s: L1(s, proximal=True, bias=True),
        lambda s: ElasticNet(s, beta=0.5, proximal=True, bias=True),
    ],
    ids=["l2", "l1", "elastic net"],
)
def test_a_stack_with_a_strength_each_equals_one_by_one(make: object) -> None:
    strengths = [0.0, 0.1, 2.0]
    rates = [0.1, 0.2, 0.3]
    stack: Penalty = make(torch.tensor(strengths, dtype=torch.float64))  # type: ignore[operator]
    parameters = {"weight": weights(3, 2, 4), "bias": weights(3, 2, seed=1)}
    values, gradients = stack.value(parameters), stack.gradients(parameters)
    assert values.shape == (3,)
    kept = {name: p.clone() for name, p in parameters.items()}
    for p in parameters.values():
        stack.constrain(p, torch.tensor(rates, dtype=torch.float64))
    for run, (strength, rate) in enumerate(zip(strengths, rates, strict=True)):
        alone: Penalty = make(strength)  # type: ignore[operator]
        own = {name: p[run].clone() for name, p in kept.items()}
        torch.testing.assert_close(values[run], alone.value(own), rtol=1e-14, atol=0)
        for name, p in own.items():
            torch.testing.assert_close(gradients[name][run], alone.gradient(p), rtol=1e-14, atol=0)
            if alone.followed is not None and stack.followed is not None:
                torch.testing.assert_close(stack.followed.gradient(kept[name])[run], alone.followed.gradient(p))
            alone.constrain(p, rate)
            torch.testing.assert_close(parameters[name][run], p, rtol=1e-14, atol=0)


def test_strength_may_change_while_training() -> None:
    penalty, w = L2(1.0), torch.ones(1, 2)
    penalty.strength = 3.0
    assert penalty(w).item() == 6
    assert penalty.gradient(w).tolist() == [[6.0, 6.0]]


def test_along_runs_adds_axes_at_the_end() -> None:
    rates = torch.tensor([1.0, 2.0])
    assert along_runs(0.5, torch.zeros(2, 3)) == 0.5
    along = along_runs(rates, torch.zeros(2, 3, 4))
    assert isinstance(along, Tensor)
    assert along.shape == (2, 1, 1)
    scalar = torch.tensor(3.0)
    assert along_runs(scalar, torch.zeros(2, 3)) is scalar


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: L2(-1.0), "0 or more, finite; got -1"),
        (lambda: L1(math.nan), "0 or more, finite; got nan"),
        (lambda: L2(torch.tensor([1.0, -1.0])), "0 or more"),
        (lambda: ElasticNet(1.0, beta=-0.5), r"beta must be a number 0 or more, finite; got -0\.5"),
        (lambda: MaxNorm(0.0), r"limit must be a number above 0, finite; got 0"),
        (lambda: MaxNorm(math.nan), "limit must be a number above 0, finite; got nan"),
    ],
    ids=["negative", "nan", "one of a stack", "beta", "limit", "nan limit"],
)
def test_refuses_what_is_no_penalty(make: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()  # type: ignore[operator]


def test_registry_names_every_penalty() -> None:
    defined = {v for v in vars(penalties).values() if isinstance(v, type) and issubclass(v, Penalty)} - {Penalty}
    assert set(PENALTIES.values()) == defined == {type(p) for p, _ in CASES.values()}
