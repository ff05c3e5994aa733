"""Activations: values against torch and scipy, both derivatives against autograd and five points, at any score."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edunn import activations, differences
from edunn.activations import (
    ACTIVATIONS,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
)

ELEMENTWISE = {
    "identity": (Identity(), lambda z: z),
    "sigmoid": (Sigmoid(), torch.sigmoid),
    "tanh": (Tanh(), torch.tanh),
    "relu": (ReLU(), F.relu),
    "leaky relu": (LeakyReLU(), lambda z: F.leaky_relu(z, 0.01)),
    "leaky relu, slope 0.3": (LeakyReLU(0.3), lambda z: F.leaky_relu(z, 0.3)),
}
# between −6 and 6 and at 0, where torch takes the same side of every kink
POINTS = torch.cat([torch.linspace(-6, 6, 40, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_derivatives_against_torch(name: str) -> None:
    activation, reference = ELEMENTWISE[name]
    z = POINTS.clone().requires_grad_()
    value = reference(z)
    (first,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    torch.testing.assert_close(activation(POINTS), value.detach(), rtol=1e-15, atol=0)
    # 1 − tanh² inside torch loses digits where tanh is nearly 1; ours does not
    torch.testing.assert_close(activation.derivative(POINTS), first.detach(), rtol=1e-10, atol=1e-15)
    second = torch.autograd.grad(first.sum(), z)[0] if first.requires_grad else torch.zeros_like(POINTS)
    torch.testing.assert_close(activation.second_derivative(POINTS), second, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("activation", [a for a, _ in ELEMENTWISE.values()] + [Step()], ids=lambda a: type(a).__name__)
def test_autograd_through_the_module_agrees_with_its_derivative(activation: Activation) -> None:
    z = POINTS.clone().requires_grad_()
    upstream = torch.cos(POINTS)
    value = activation(z)
    expected = torch.autograd.grad(value, z, upstream)[0] if value.requires_grad else torch.zeros_like(POINTS)
    torch.testing.assert_close(activation.input_gradient(POINTS, upstream), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("activation", [a for a, _ in ELEMENTWISE.values()] + [Step()], ids=lambda a: type(a).__name__)
def test_derivatives_against_five_points(activation: Activation) -> None:
    points = torch.linspace(-5, 5, 34, dtype=torch.float64)  # an even number: the nearest to the kinks is 0.15 away
    assert all((points - kink).abs().min() > 3 * differences.STEP for kink in activation.kinks)
    for function, slope in [
        (activation, activation.derivative),
        (activation.derivative, activation.second_derivative),
    ]:
        # five points leave 1e-12 of numbers of order 5
        torch.testing.assert_close(slope(points), differences.derivative(function, points), rtol=0, atol=1e-11)


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(), Step()], ids=lambda a: type(a).__name__)
def test_kinks_are_where_the_derivative_jumps(activation: Activation) -> None:
    (kink,) = activation.kinks
    below, above = torch.tensor([kink - 1e-9]), torch.tensor([kink + 1e-9])
    assert activation.derivative(below) != activation.derivative(above) or activation(below) != activation(above)
    assert activation.derivative(torch.tensor([kink])) == activation.derivative(below)  # the side that is documented


def test_smooth_activations_name_no_kinks() -> None:
    assert [a().kinks for a in (Identity, Sigmoid, Tanh, Softmax)] == [()] * 4


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-800, 800)))
def test_sigmoid_against_scipy(z: np.ndarray) -> None:
    np.testing.assert_allclose(Sigmoid()(torch.from_numpy(z)).numpy(), scipy.special.expit(z), rtol=1e-13, atol=1e-300)


@given(z=st.floats(-300, 300))
def test_derivatives_keep_their_digits_far_from_zero(z: float) -> None:
    """σ' = e/(1 + e)² and tanh' = 4e²/(1 + e²)² with e = exp(−|z|): no cancellation in these forms either."""
    e, point = math.exp(-abs(z)), torch.tensor([z], dtype=torch.float64)
    assert float(Sigmoid().derivative(point)) == pytest.approx(e / (1 + e) ** 2, rel=1e-12, abs=0)
    assert float(Tanh().derivative(point)) == pytest.approx(4 * e**2 / (1 + e**2) ** 2, rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_finite_and_of_the_same_dtype_at_extreme_scores(name: str, dtype: torch.dtype) -> None:
    activation = ACTIVATIONS[name]()
    # exp overflows from 88.75 in float32 and from 710 in float64
    scores = torch.tensor([[-1e4, 0.0, 1e4], [89.0, -711.0, 711.0], [-1e4, -1e4, -1e4]], dtype=dtype)
    kept = scores.clone()
    results = [
        activation(scores),
        activation.derivative(scores),
        activation.second_derivative(scores),
        activation.input_gradient(scores, torch.ones_like(scores)),
    ]
    assert all(r.isfinite().all() for r in results)
    assert [r.dtype for r in results] == [dtype] * 4
    assert torch.equal(scores, kept)


def test_lecture_values() -> None:
    # printed in the lectures as 0.01, 0.73 and 1.00 for scores −5, 1, 7; σ(±2) = 0.88 and 0.12
    z = torch.tensor([-5.0, 1.0, 7.0, 2.0, -2.0], dtype=torch.float64)
    expected = [0.0066928509242848554, 0.7310585786300049, 0.9990889488055994, 0.8807970780, 0.1192029220]
    torch.testing.assert_close(Sigmoid()(z), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=5e-11)
    assert Sigmoid().derivative(torch.zeros(1)).item() == 0.25  # the largest slope there is
    # two neurons: scores (−5,−9), (1,5), (7,19)
    rows = Softmax()(torch.tensor([[-5.0, -9], [1, 5], [7, 19]], dtype=torch.float64))
    likely, unlikely = 0.9820137900379085, 0.017986209962091555
    expected_rows = [[likely, unlikely], [unlikely, likely], [6.144174602e-06, 0.9999938558253978]]
    torch.testing.assert_close(rows, torch.tensor(expected_rows, dtype=torch.float64), rtol=1e-9, atol=0)
    # the cat of the lecture's three images: p = 0.13
    cat = Softmax()(torch.tensor([[3.2, 5.1, -1.7]], dtype=torch.float64))
    expected = torch.tensor([[0.1299825390, 0.8690495352, 0.0009679258]], dtype=torch.float64)
    torch.testing.assert_close(cat, expected, rtol=0, atol=5e-11)


SCORES = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_softmax_against_torch_and_scipy() -> None:
    torch.testing.assert_close(Softmax()(SCORES), torch.softmax(SCORES, -1), rtol=1e-14, atol=0)
    np.testing.assert_allclose(Softmax()(SCORES).numpy(), scipy.special.softmax(SCORES.numpy(), axis=-1), rtol=1e-14)


def test_softmax_jacobian_and_its_product_against_autograd() -> None:
    activation, rows = Softmax(), SCORES.flatten(0, 1)
    jacobians, bends = activation.derivative(SCORES), activation.second_derivative(SCORES)
    assert jacobians.shape == (2, 3, 4, 4)
    assert bends.shape == (2, 3, 4, 4, 4)
    for row, jacobian, bend in zip(rows, jacobians.flatten(0, 1), bends.flatten(0, 1), strict=True):
        expected = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, -1), row)
        torch.testing.assert_close(jacobian, expected, rtol=1e-12, atol=1e-15)
        for j in range(4):
            hessian = torch.autograd.functional.hessian(lambda z, j=j: torch.softmax(z, -1)[j], row)
            torch.testing.assert_close(bend[j], hessian, rtol=1e-12, atol=1e-15)
    upstream = torch.sin(torch.arange(24, dtype=torch.float64)).reshape(2, 3, 4)
    z = SCORES.clone().requires_grad_()
    (expected,) = torch.autograd.grad(torch.softmax(z, -1), z, upstream)
    torch.testing.assert_close(activation.input_gradient(SCORES, upstream), expected, rtol=1e-12, atol=1e-15)


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3), elements=st.floats(-1e4, 1e4)),
    st.floats(-1e4, 1e4),
)
def test_softmax_is_a_distribution_and_sees_only_differences(z: np.ndarray, shift: float) -> None:
    p = Softmax()(torch.from_numpy(z))
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(p.shape[:-1], dtype=torch.float64), rtol=1e-13, atol=0)
    # scores of 2e4 are rounded at 4e-12, and exponentials magnify that no further
    torch.testing.assert_close(Softmax()(torch.from_numpy(z + shift)), p, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("score", [355.0, 710.0, 1e4], ids="{:g}".format)
def test_softmax_where_others_give_nan(score: float) -> None:
    """Adding the maximum overflows from 355; subtracting the maximum of the whole batch empties rows 900 below."""
    rows = torch.tensor([[score, 0.0, score], [-900.0, -900.0, -900.0]], dtype=torch.float64)
    third = 1 / 3
    expected = torch.tensor([[0.5, 0.0, 0.5], [third, third, third]], dtype=torch.float64)
    torch.testing.assert_close(Softmax()(rows), expected, rtol=1e-15, atol=1e-150)


def test_step_is_one_above_zero_only() -> None:
    z = torch.tensor([-1.0, -0.0, 0.0, 1e-30, 2.0])
    assert Step()(z).tolist() == [0, 0, 0, 1, 1]
    assert Step().derivative(z).tolist() == [0] * 5


def test_registry_names_every_activation() -> None:
    defined = {v for v in vars(activations).values() if isinstance(v, type) and issubclass(v, Activation)}
    assert set(ACTIVATIONS.values()) == defined - {Activation}
    assert len(ACTIVATIONS) == len(defined) - 1
