"""Planes and lines of models: what is on the grid, the directions, any module, and what peers get wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edunn
from edunn import landscape, penalties
from edunn.errors import ConfigError, ShapeError
from edunn.landscape import directions
from edunn.losses import BinaryCrossEntropy, CrossEntropy, MulticlassHinge, SquaredError
from edunn.models import LinearRegression, LogisticRegression, SoftmaxClassifier

F = torch.float64


def problem(features: int = 6, classes: int = 4, samples: int = 50, seed: int = 0):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, features, dtype=F, generator=source)
    y = torch.randint(classes, (samples,), generator=source)
    model = SoftmaxClassifier(features, classes, scale=0.5, seed=seed, dtype=F)
    return model, x, y


def moved(model: nn.Module, a: float, first, b: float, second) -> nn.Module:
    """A copy of the model at θ0 + a·first + b·second, in the plainest way."""
    import copy

    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in other.named_parameters():
            p += a * first[name] + b * second[name]
    return other


@pytest.mark.parametrize("loss", [CrossEntropy(), MulticlassHinge(), SquaredError(classes=True)], ids=repr)
def test_a_plane_is_the_model_moved_and_run(loss) -> None:
    model, x, y = problem()
    first, second = directions.random(model, 3), directions.filter_normalised(model, 4)
    surface = landscape.plane(model, loss, (x, y), first, second, (-2, 3, 7), (-1, 1, 5))
    for i, a in enumerate(surface.first.tolist()):
        for j, b in enumerate(surface.second.tolist()):
            with torch.no_grad():
                true = loss(moved(model, a, first, b, second)(x), y)
            assert float(surface.values[i, j]) == pytest.approx(float(true), rel=1e-12, abs=1e-12)


def test_rows_are_not_shifted_and_the_start_is_on_the_grid_and_the_model_stays() -> None:
    """`loss-landscapes` 3.0.6 shifts its odd rows by a cell, never evaluates the start, and leaves the model moved."""
    model, x, y = problem()
    before = directions.parameters(model)
    first, second = directions.random(model, 0), directions.random(model, 1)
    surface = landscape.plane(model, CrossEntropy(), (x, y), first, second, (-1, 1, 256), (-1, 1, 8))
    i, j = (surface.first == 0).nonzero().item(), (surface.second == 0).nonzero().item()
    with torch.no_grad():
        assert float(surface.values[i, j]) == pytest.approx(float(CrossEntropy()(model(x), y)), rel=1e-10)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
    # a plane that changes along its first direction alone has equal rows… odd ones too
    still = {name: torch.zeros_like(p) for name, p in before.items()}
    flat = landscape.plane(model, CrossEntropy(), (x, y), first, still, (-1, 1, 9), (-1, 1, 8), method="direct")
    assert float((flat.values - flat.values[:, :1]).abs().max()) < 1e-14


def test_spectral_planes_equal_direct() -> None:
    model, x, y = problem(20, 5, 120)
    first, second = directions.filter_normalised(model, 0), directions.filter_normalised(model, 1)
    sides = (-2, 2, 60), (-2, 2, 50)
    reference = landscape.plane(model, CrossEntropy(), (x, y), first, second, *sides, method="direct", derivatives=True)
    found = landscape.plane(model, CrossEntropy(), (x, y), first, second, *sides, method="spectral", derivatives=True)
    size = reference.jet.abs().amax((1, 2), keepdim=True)
    assert float(((found.jet - reference.jet) / size).abs().max()) < 1e-6
    assert float(((found.values - reference.values) / size[0]).abs().max()) < 1e-8
    assert found.error < 1e-10


def test_derivatives_along_a_plane_are_autograds() -> None:
    model, x, y = problem()
    first, second = directions.random(model, 3), directions.random(model, 4)
    field = landscape.build.along(model, CrossEntropy(), (x, y), first, second, penalties.L2(0.1))

    def value(t: torch.Tensor) -> torch.Tensor:
        weights = {k: p + t[0] * first[k] + t[1] * second[k] for k, p in directions.parameters(model).items()}
        scores = torch.func.functional_call(model, weights, (x,))
        return CrossEntropy()(scores, y) + 0.1 * (weights["weight"] ** 2).sum()

    point = torch.tensor([0.3, -1.2], dtype=F)
    jet = field.at(point.unsqueeze(0), 2)[:, 0]
    slope = torch.autograd.functional.jacobian(value, point)
    bend = torch.autograd.functional.hessian(value, point)
    torch.testing.assert_close(jet, torch.stack([value(point), *slope, bend[0, 0], bend[0, 1], bend[1, 1]]).detach())


def test_a_line_is_a_row_of_the_plane() -> None:
    model, x, y = problem()
    along = directions.random(model, 2)
    curve = landscape.line(model, CrossEntropy(), (x, y), along, (-1, 1, 11))
    assert curve.values.shape == (11, 1)
    plane = landscape.plane(model, CrossEntropy(), (x, y), along, directions.random(model, 5), (-1, 1, 11), (-1, 1, 5))
    torch.testing.assert_close(curve.values[:, 0], plane.values[:, 2], rtol=1e-10, atol=1e-12)


def test_a_one_output_model_and_a_window_nobody_gave() -> None:
    x = torch.randn(80, 2, dtype=F, generator=torch.Generator().manual_seed(0))
    y = 2 * x[:, 0] - x[:, 1] + 0.3
    model = LinearRegression(2, dtype=F)
    first, second = directions.parameter(model, "weight[0,0]"), directions.parameter(model, "weight[0,1]")
    surface = landscape.plane(model, SquaredError(), (x, y), first, second)
    assert surface.method == "exact"
    best = surface.minima()[0]
    assert best["kind"] == "minimum"
    gram = x.mT @ x
    expected = torch.linalg.solve(gram, x.mT @ y)
    assert (best["a"], best["b"]) == pytest.approx(tuple(expected.tolist()), abs=1e-10)
    assert surface.first[0] < best["a"] < surface.first[-1]
    assert 0.0 in surface.first.tolist()


# ---- directions ---------------------------------------------------------------------------------------------------


def test_filter_normalised_directions_have_the_filters_lengths() -> None:
    model, _, _ = problem()
    direction = directions.filter_normalised(model, 7)
    torch.testing.assert_close(direction["weight"].norm(dim=1), model.weight.detach().norm(dim=1))
    assert (direction["bias"] == 0).all()
    assert torch.equal(directions.filter_normalised(model, 7)["weight"], direction["weight"])
    with pytest.raises(ConfigError, match="All weights are 0"):
        directions.filter_normalised(SoftmaxClassifier(3, 2))


@pytest.mark.parametrize("module", [False, True], ids=["by hand", "by autograd"])
def test_hessian_directions_are_its_leading_eigenvectors(module: bool) -> None:
    model, x, y = problem(3, 3)
    net = nn.Sequential(model) if module else model
    first, second = directions.hessian(net, CrossEntropy(), (x, y))
    here = directions.parameters(net)

    def value(flat: torch.Tensor) -> torch.Tensor:
        return CrossEntropy()(torch.func.functional_call(net, directions.unflat(flat, here), (x,)), y)

    full = torch.autograd.functional.hessian(value, directions.flat(here))
    values, vectors = torch.linalg.eigh(full)
    for k, found in ((-1, first), (-2, second)):
        assert abs(float(directions.flat(found) @ vectors[:, k])) == pytest.approx(1, abs=1e-6)
    assert values[-1] > values[-2]


def test_principal_directions_span_the_path() -> None:
    model, _, _ = problem()
    last = directions.parameters(model)
    one, two = directions.random(model, 1), directions.random(model, 2)
    path = [{k: p + 5 * (1 - t) * one[k] + t * (1 - t) * two[k] for k, p in last.items()}
            for t in np.linspace(0, 1, 30)]  # fmt: skip
    first, second = directions.principal(path)
    points = directions.project(model, path, first, second)
    for (a, b), step in zip(points.tolist(), path, strict=True):
        for k, p in last.items():
            torch.testing.assert_close(p + a * first[k] + b * second[k], step[k], rtol=0, atol=1e-10)
    assert abs(float(directions.flat(first) @ directions.flat(second))) < 1e-12


def test_a_straight_path_still_gives_two_directions() -> None:
    model, _, _ = problem()
    last, one = directions.parameters(model), directions.random(model, 1)
    path = [{k: p + (1 - t) * one[k] for k, p in last.items()} for t in np.linspace(0, 1, 5)]
    first, second = directions.principal(path)
    assert abs(float(directions.flat(first) @ directions.flat(one))) == pytest.approx(1)
    assert abs(float(directions.flat(first) @ directions.flat(second))) < 1e-10
    with pytest.raises(ConfigError, match="3 snapshots or more"):
        directions.principal(path[:2])


def test_the_path_of_a_run_ends_at_0() -> None:
    model, x, y = problem()
    history = edunn.descend(model, CrossEntropy(), edunn.Samples(x, y), rate=0.5, epochs=12, snapshots=1)
    first, second = directions.principal(history)
    points = directions.project(model, [w for _, w in history.snapshots], first, second)
    assert points.shape == (13, 2)
    torch.testing.assert_close(points[-1], torch.zeros(2, dtype=F), rtol=0, atol=1e-10)


def test_towards_reaches_the_other_weights() -> None:
    model, x, y = problem()
    other, _, _ = problem(seed=5)
    first = directions.towards(model, other)
    curve = landscape.line(model, CrossEntropy(), (x, y), first, (0, 1, 3))
    with torch.no_grad():
        assert float(curve.values[-1, 0]) == pytest.approx(float(CrossEntropy()(other(x), y)), rel=1e-12)


@pytest.mark.parametrize(("which", "words"), [("weight[9,0]", "lies outside"), ("wieght[0,0]", "Did you mean 'weight'"),
                                              ("weight", "not an entry"), ("bias[0,1]", "lies outside")])  # fmt: skip
def test_a_parameter_that_is_not_there(which: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        directions.parameter(problem()[0], which)


def test_directions_of_another_model_are_refused() -> None:
    model, x, y = problem()
    with pytest.raises(ShapeError, match="the same model"):
        landscape.plane(model, CrossEntropy(), (x, y), directions.random(SoftmaxClassifier(2, 4)), {}, (-1, 1, 3))


# ---- any module ---------------------------------------------------------------------------------------------------


def net(activation: type[nn.Module] = nn.Tanh) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), activation(), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_any_module_has_planes(activation: type[nn.Module]) -> None:
    model = net(activation)
    x = torch.randn(40, 2, dtype=F, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    first, second = directions.filter_normalised(model, 0), directions.filter_normalised(model, 1)
    surface = landscape.plane(model, CrossEntropy(), (x, y), first, second, (-1, 1, 129), (-1, 1, 121))
    assert surface.method == ("spectral" if activation is nn.Tanh else "direct")
    assert surface.error < 1e-9
    with torch.no_grad():
        true = CrossEntropy()(moved(model, float(surface.first[7]), first, float(surface.second[40]), second)(x), y)
    assert float(surface.values[7, 40]) == pytest.approx(float(true), rel=1e-9)


def test_readings_of_a_module() -> None:
    model = net()
    x = torch.randn(30, 2, dtype=F, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] > 0).long()
    first, second = directions.random(model, 0), directions.random(model, 1)
    surface = landscape.plane(model, CrossEntropy(), (x, y), first, second, (-6, 6, 15), (-6, 6, 15))
    assert surface.convex() in (True, False)
    for found in surface.minima():
        if found["kind"] == "minimum":
            point = torch.tensor([[found["a"], found["b"]]], dtype=F)
            assert float(surface.field.at(point, 1)[1:].norm()) < 1e-7
    assert landscape.plane(net(nn.ReLU), CrossEntropy(), (x, y), first, second, (-1, 1, 5), (-1, 1, 5)).convex() is None


def test_a_module_of_one_output() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(30, 2, dtype=F)
    y = (x[:, 0] > 0).double()
    first, second = directions.random(model, 0), directions.random(model, 1)
    surface = landscape.plane(model, BinaryCrossEntropy(), (x, y), first, second, (-1, 1, 5), (-1, 1, 5))
    with torch.no_grad():
        assert float(surface.values[2, 2]) == pytest.approx(
            float(BinaryCrossEntropy()(model(x).squeeze(-1), y)), rel=1e-12
        )


def test_logistic_regression_on_one_feature_is_the_grid() -> None:
    x = torch.randn(40, 1, dtype=F, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] > 0.3).double()
    model = LogisticRegression(1, dtype=F)
    first, second = directions.parameter(model, "weight[0,0]"), directions.parameter(model, "bias[0]")
    plane = landscape.plane(model, BinaryCrossEntropy(), (x, y), first, second, (-3, 3, 7), (-2, 2, 5))
    grid = landscape.grid(x, y, BinaryCrossEntropy(), (-3, 3, 7), (-2, 2, 5))
    torch.testing.assert_close(plane.values, grid.values, rtol=1e-12, atol=1e-14)
