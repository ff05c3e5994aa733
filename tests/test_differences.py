"""Numeric derivatives: exact where the stencil is, as accurate as it claims elsewhere, and the relative error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.differentiate
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from edunn.differences import STEP, derivative, gradient, relative_error
from edunn.errors import ShapeError


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("degree", range(5))
def test_five_points_are_exact_up_to_degree_four(degree: int) -> None:
    """The error is h⁴f⁽⁵⁾/30, and the fifth derivative of these is 0: any step will do, so a large one shows it."""
    x = float64(-2.0, 0.0, 0.5, 3.0)
    expected = degree * x ** (degree - 1) if degree else torch.zeros(4, dtype=torch.float64)
    torch.testing.assert_close(derivative(lambda z: z**degree, x, step=0.5), expected, rtol=1e-13, atol=1e-12)


def test_error_is_the_fourth_power_of_the_step() -> None:
    # of x⁵ at 0 the derivative is 0, and the stencil gives −4h⁴ exactly
    assert float(derivative(lambda z: z**5, float64(0.0), step=0.1)) == pytest.approx(-4e-4, rel=1e-12)
    assert float(derivative(lambda z: z**5, float64(0.0), step=0.2)) == pytest.approx(-64e-4, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (torch.sin, torch.cos),
        (torch.exp, torch.exp),
        (torch.tanh, lambda z: torch.cosh(z) ** -2),
    ],
    ids=["sin", "exp", "tanh"],
)
def test_twelve_digits_in_float64(function: object, slope: object) -> None:
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    error = relative_error(derivative(function, x), slope(x))  # type: ignore[operator, arg-type]
    assert error < 2e-12  # the docstring's twelve digits; two points at 1e-6 give 1e-10


def test_agrees_with_scipys_adaptive_derivative() -> None:
    theirs = scipy.differentiate.derivative(lambda z: np.sin(z) * np.exp(z), 0.7).df
    ours = derivative(lambda z: torch.sin(z) * torch.exp(z), float64(0.7))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-11)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=3), elements=st.floats(-3, 3)))
def test_gradient_of_any_shape(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    kept = x.clone()
    found = gradient(lambda z: (z**3).sum() + z.flatten()[0], x)
    expected = 3 * x**2
    expected.view(-1)[0] += 1
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    assert torch.equal(x, kept)


def test_gradient_against_autograd_with_interactions() -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def function(z: Tensor) -> Tensor:
        return torch.logsumexp(z @ z.mT, -1).prod()

    (expected,) = torch.autograd.grad(function(z := x.clone().requires_grad_()), z)
    assert relative_error(gradient(function, x), expected) < 1e-9  # the value is some hundred times the slope


def test_gradient_at_a_transposed_or_strided_point() -> None:
    x = torch.arange(12, dtype=torch.float64).reshape(3, 4)
    for point in (x.T, x[:, ::2], x[0].expand(2, 4)):
        torch.testing.assert_close(gradient(lambda z: (z**2).sum(), point), 2 * point, rtol=0, atol=1e-9)


def test_gradient_at_a_parameter() -> None:
    weight = torch.nn.Parameter(float64(1.0, 2.0))
    found = gradient(lambda z: (z**2).sum(), weight)
    assert not found.requires_grad
    torch.testing.assert_close(found, float64(2.0, 4.0), rtol=0, atol=1e-10)


def test_float32_never_beats_five_digits() -> None:
    """Why a check runs in float64."""
    x = torch.linspace(-2, 2, 41)
    assert relative_error(derivative(torch.sin, x).double(), torch.cos(x).double()) > 1e-5


def test_relative_error_by_hand() -> None:
    assert relative_error(float64(1.0, -4.0), float64(1.0, -3.0)) == 0.25  # 1 over the larger of 4 and 3
    assert relative_error(float64(1.0, -3.0), float64(1.0, -4.0)) == 0.25
    assert relative_error(float64(2.0), float64(2.0)) == 0
    assert relative_error(float64(1.0), float64(-1.0)) == 2  # a sign: the largest error there is
    assert relative_error(float64(1.0, 0.0), float64(0.0, 0.0)) == 1  # a term forgotten


def test_relative_error_of_next_to_nothing_is_nothing() -> None:
    assert relative_error(float64(9e-16), float64(-9e-16)) == 0
    assert relative_error(float64(2e-15), float64(-2e-15)) == 2
    assert relative_error(torch.zeros(0), torch.zeros(0)) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("other", [1.0, math.nan, math.inf])
def test_relative_error_never_passes_what_is_not_finite(bad: float, other: float) -> None:
    assert relative_error(float64(0.0, bad), float64(0.0, other)) == math.inf
    assert relative_error(float64(0.0, other), float64(0.0, bad)) == math.inf


def test_relative_error_refuses_to_broadcast() -> None:
    """A gradient of shape (3, 1) for a parameter of shape (3,) is wrong, and broadcasting would call it right."""
    with pytest.raises(ShapeError, match=r"one shape to compare; got \(3,\) and \(3, 1\)"):
        relative_error(torch.ones(3), torch.ones(3, 1))


def test_step_is_the_one_the_checks_reckon_with() -> None:
    assert STEP == 1e-3
