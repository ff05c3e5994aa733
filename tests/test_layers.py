"""Linear: value against torch, hand-derived gradients against autograd and five points, stacks one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edunn import differences
from edunn.errors import ConfigError, DtypeError, ShapeError
from edunn.layers import Linear, with_ones

EXACT = {"rtol": 1e-12, "atol": 1e-13}  # the same sums in another order


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(features: int, outputs: int, **options: object) -> Linear:
    """A layer whose bias is not zero either."""
    layer = Linear(features, outputs, scale=1.0, seed=5, dtype=torch.float64, **options)  # type: ignore[arg-type]
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(randn(*layer.bias.shape, seed=6))
    return layer


@given(
    features=st.integers(1, 5),
    outputs=st.integers(1, 4),
    samples=st.integers(1, 6),
    bias=st.booleans(),
    runs=st.sampled_from([(), (1,), (3,), (2, 2)]),
    shared=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_value_and_gradients(
    features: int, outputs: int, samples: int, bias: bool, runs: tuple[int, ...], shared: bool
) -> None:
    """Any shape: the same as torch's linear for each run, and the gradients that autograd finds."""
    layer = linear(features, outputs, bias=bias, runs=runs)
    x = randn(*(() if shared else runs), samples, features, seed=1).requires_grad_()
    scores = layer(x)
    assert scores.shape == (*runs, samples, outputs)
    for run in range(layer.weight[..., 0, 0].numel()):
        w = layer.weight.reshape(-1, outputs, features)[run]
        b = None if layer.bias is None else layer.bias.reshape(-1, outputs)[run]
        inputs = x if shared else x.reshape(-1, samples, features)[run]
        expected = torch.nn.functional.linear(inputs, w, b)
        torch.testing.assert_close(scores.reshape(-1, samples, outputs)[run], expected, **EXACT)

    upstream = randn(*scores.shape, seed=2)
    names, parameters = zip(*layer.named_parameters(), strict=True)
    *slopes, down = torch.autograd.grad(scores, [*parameters, x], upstream)
    gradients = layer.gradients(x, upstream)
    assert tuple(gradients) == names
    for name, slope in zip(names, slopes, strict=True):
        torch.testing.assert_close(gradients[name], slope, **EXACT)
        assert not gradients[name].requires_grad
    found = layer.input_gradient(x, upstream)
    assert found.shape == (*runs, samples, features)
    if shared:  # autograd sums over the runs that share the features
        found = found.reshape(-1, samples, features).sum(0)
    torch.testing.assert_close(found, down, **EXACT)


def test_gradients_against_five_points() -> None:
    layer, x, upstream = linear(3, 2), randn(4, 3, seed=1), randn(4, 2, seed=2)
    assert layer.bias is not None
    w, b = layer.weight.detach(), layer.bias.detach()
    gradients = layer.gradients(x, upstream)
    # a linear function: five points are exact to rounding
    numeric = differences.gradient(lambda p: ((x @ p.T + b) * upstream).sum(), w)
    assert differences.relative_error(gradients["weight"], numeric) < 1e-11
    numeric = differences.gradient(lambda p: ((x @ w.T + p) * upstream).sum(), b)
    assert differences.relative_error(gradients["bias"], numeric) < 1e-11
    numeric = differences.gradient(lambda p: ((p @ w.T + b) * upstream).sum(), x)
    assert differences.relative_error(layer.input_gradient(x, upstream), numeric) < 1e-11


def test_start_is_zero_or_seeded() -> None:
    zero = Linear(3, 2)
    assert torch.equal(zero.weight, torch.zeros(2, 3))
    assert zero.bias is not None
    assert torch.equal(zero.bias, torch.zeros(2))
    assert torch.equal(Linear(3, 2, scale=0.5, seed=1).weight, Linear(3, 2, scale=0.5, seed=1).weight)
    assert not torch.equal(Linear(3, 2, scale=0.5, seed=1).weight, Linear(3, 2, scale=0.5, seed=2).weight)
    # every dtype starts at the same point
    double = Linear(3, 2, scale=0.5, dtype=torch.float64).weight
    assert torch.equal(Linear(3, 2, scale=0.5, dtype=torch.float32).weight, double.float())
    # 10,000 draws: within five standard errors, of the mean 1/√10000 and of the standard deviation 1/√20000
    draws = Linear(100, 100, scale=0.3).weight.detach()
    assert float(draws.mean()) == pytest.approx(0, abs=5 * 0.3 / 100)
    assert float(draws.std()) == pytest.approx(0.3, rel=0.036)


def test_runs_start_apart() -> None:
    weight = Linear(3, 2, scale=1.0, runs=(2,)).weight
    assert not torch.equal(weight[0], weight[1])


def test_parameters_are_ordinary() -> None:
    layer = Linear(3, 2)
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [n for n, _ in Linear(3, 2, bias=False).named_parameters()] == ["weight"]
    assert repr(layer) == "Linear(3, 2)"


def test_bias_trick_puts_ones_in_front() -> None:
    x = randn(2, 3)
    torch.testing.assert_close(with_ones(x), torch.cat([torch.ones(2, 1, dtype=torch.float64), x], 1))
    assert with_ones(randn(5, 2, 3)).shape == (5, 2, 4)
    layer = linear(3, 2)
    assert layer.bias is not None
    trick = Linear(4, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        trick.weight.copy_(torch.cat([layer.bias.unsqueeze(1), layer.weight], 1))
    torch.testing.assert_close(trick(with_ones(x)), layer(x), **EXACT)


@pytest.mark.parametrize(
    ("features", "match"),
    [
        (torch.zeros(4, 2), r"features have shape \(4, 2\); this layer takes \(samples, 3\)\.$"),
        (torch.zeros(3), r"shape \(3,\).*Did you mean features\[None\], for a single sample\?"),
        (torch.zeros(()), r"shape \(\)"),
    ],
    ids=["width", "single sample", "scalar"],
)
def test_refuses_features_of_another_shape(features: Tensor, match: str) -> None:
    with pytest.raises(ShapeError, match=match):
        Linear(3, 2)(features)


def test_refuses_a_row_where_one_feature_is_a_column() -> None:
    with pytest.raises(ShapeError, match=r"shape \(5,\).*Did you mean features\.unsqueeze\(-1\)\?$"):
        Linear(1, 1)(torch.zeros(5))


def test_refuses_another_dtype() -> None:
    with pytest.raises(
        DtypeError, match=r"features are torch\.float64 and the weights torch\.float32.*dtype=torch\.float64"
    ):
        Linear(3, 2)(torch.zeros(4, 3, dtype=torch.float64))


@pytest.mark.parametrize(("features", "outputs"), [(0, 1), (1, 0)])
def test_refuses_empty_sizes(features: int, outputs: int) -> None:
    with pytest.raises(ConfigError, match="must be a whole number, 1 or more"):
        Linear(features, outputs)
