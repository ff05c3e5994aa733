"""`landscape.paths`: every rule from every start in one batch, the same numbers as `edunn.descend`."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import edunn
from edunn import landscape, losses, updates
from edunn.activations import Sigmoid
from edunn.errors import EdunnError

RATES = {
    "gradient-descent": 0.5,
    "momentum": 0.1,
    "nesterov": 0.1,
    "adagrad": 0.5,
    "rmsprop": 0.05,
    "adam": 0.1,
    "adamw": 0.1,
}
CASES = {
    "squares": (losses.SquaredError(), "real"),
    "squares-sigmoid": (losses.SquaredError(through=Sigmoid()), "bits"),
    "cross-entropy": (losses.BinaryCrossEntropy(), "bits"),
    "hinge": (losses.Hinge(), "signs"),
    "huber": (losses.Huber(), "real"),
}


def draw(samples: int, labels: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(samples, generator=generator, dtype=torch.float64)
    bits = (torch.rand(samples, generator=generator) < torch.sigmoid(2 * x - 1)).double()
    return x, {"real": 2 * x + 1 + bits, "bits": bits, "signs": 2 * bits - 1}[labels]


def descended(
    x: Tensor, y: Tensor, loss: losses.Loss, start: tuple[float, float], **options: object
) -> tuple[Tensor, edunn.History]:
    """Returns the points of `edunn.descend` on the linear model of one feature, and its history."""
    model = edunn.models.LinearRegression(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(start[0])
        model.bias.fill_(start[1])
    history = edunn.descend(model, loss, edunn.Samples(x.view(-1, 1), y), snapshots=1, **options)  # type: ignore[arg-type]
    points = [torch.cat([weights["weight"].view(1), weights["bias"].view(1)]) for _, weights in history.snapshots]
    return torch.stack(points), history


@pytest.mark.parametrize("rule", RATES)
@pytest.mark.parametrize("case", CASES)
def test_the_points_are_those_of_descend(case: str, rule: str) -> None:
    loss, labels = CASES[case]
    x, y = draw(60, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16))
    found = landscape.paths(surface, [(-4.0, 3.0), (1.0, -2.0)], {rule: RATES[rule]}, 80)
    assert found.points.shape == (1, 2, 81, 2)
    for number, start in enumerate([(-4.0, 3.0), (1.0, -2.0)]):
        points, _ = descended(x, y, loss, start, rate=RATES[rule], epochs=80, rule=updates.named(rule))
        torch.testing.assert_close(found.points[0, number], points, rtol=1e-9, atol=1e-9)


def test_losses_are_those_of_the_points() -> None:
    loss, labels = CASES["squares-sigmoid"]
    x, y = draw(60, labels)
    penalty = edunn.penalties.L2(0.1)
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16), penalty=penalty)
    found = landscape.paths(surface, [(-4.0, 3.0)], {"momentum": 0.1}, 30)
    for (w, b), value in zip(found.points[0, 0].tolist(), found.losses[0, 0].tolist(), strict=True):
        true = float(((1 / (1 + torch.exp(-(w * x + b))) - y) ** 2).mean()) + 0.1 * w * w
        assert value == pytest.approx(true, rel=1e-10)


@pytest.mark.parametrize("samples", [5000, 20_000])
def test_many_samples_take_the_same_way(samples: int) -> None:
    """A few nodes stand for the samples; rules that divide by a gradient's size still see all of them."""
    loss, labels = CASES["cross-entropy"]
    x, y = draw(samples, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 256), (-10, 10, 256))
    for rule in ("gradient-descent", "rmsprop", "adam"):
        found = landscape.paths(surface, [(-4.0, 3.0)], {rule: RATES[rule]}, 60)
        points, _ = descended(x, y, loss, (-4.0, 3.0), rate=RATES[rule], epochs=60, rule=updates.named(rule))
        torch.testing.assert_close(found.points[0, 0], points, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_batches_are_those_of_descend(batch_size: int, weighted: bool) -> None:
    loss, labels = CASES["hinge"]
    x, y = draw(50, labels)
    weights = torch.linspace(0.1, 2, 50, dtype=torch.float64) if weighted else None
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16), sample_weight=weights)
    found = landscape.paths(surface, [(0.5, 0.0)], {"adam": 0.1}, 75, batch_size=batch_size, seed=3)
    model = edunn.models.LinearRegression(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(0.5)
    samples = edunn.Samples(x.view(-1, 1), y, sample_weight=weights)
    edunn.descend(model, loss, samples, rate=0.1, steps=75, batch_size=batch_size, seed=3, rule=updates.Adam())
    end = torch.stack([model.weight.detach().view(()), model.bias.detach().view(())])
    torch.testing.assert_close(found.points[0, 0, -1], end, rtol=1e-9, atol=1e-9)


def test_divergence_is_found_at_the_step_that_descend_names() -> None:
    loss, labels = CASES["squares"]
    x, y = draw(60, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16))
    found = landscape.paths(surface, [(-4.0, 3.0)], {"gradient-descent": 5.0}, 400)
    _, history = descended(x, y, loss, (-4.0, 3.0), rate=5.0, epochs=400)
    step = int(found.endings[0][0].split()[-1])
    assert history.status == "diverged"
    assert f"after {step} steps" in history.message
    assert math.isnan(found.losses[0, 0, -1]) or math.isinf(found.losses[0, 0, -1])


def test_rest_and_motion_are_told_apart() -> None:
    loss, labels = CASES["squares"]
    x, y = draw(60, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16))
    found = landscape.paths(surface, [(-4.0, 3.0)], {"gradient-descent": 0.4, "adagrad": 0.01}, 300)
    assert found.endings[0][0].startswith("at rest after step")
    assert found.endings[1][0] == "moving"
    assert "gradient-descent" in str(found)


def test_a_curve_holds_its_b() -> None:
    loss, labels = CASES["squares"]
    x, y = draw(60, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 41), 3.0)
    found = landscape.paths(surface, [(-4.0, 3.0)], {"gradient-descent": 0.1}, 200)
    assert bool((found.points[..., 1] == 3.0).all())
    best = float((x * (y - 3)).sum() / (x * x).sum())
    assert float(found.points[0, 0, -1, 0]) == pytest.approx(best, abs=1e-4)


def test_a_plane_of_a_net_has_paths_too() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    data = (torch.randn(20, 3, dtype=torch.float64), torch.randint(2, (20,)))
    surface = landscape.plane(net, torch.nn.CrossEntropyLoss(), data, a=(-1, 1, 5), b=(-1, 1, 5))
    found = landscape.paths(surface, [(0.5, 0.5)], {"gradient-descent": 0.2}, 20)
    assert float(found.losses[0, 0, -1]) < float(found.losses[0, 0, 0])


class Halving(updates.Rule):
    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient / 2


def test_an_own_rule_races_too() -> None:
    loss, labels = CASES["squares"]
    x, y = draw(60, labels)
    surface = landscape.grid(x, y, loss, (-10, 10, 16), (-10, 10, 16))
    found = landscape.paths(surface, [(-4.0, 3.0)], [(Halving(), 0.4), (updates.GradientDescent(), 0.2)], 30)
    torch.testing.assert_close(found.points[0], found.points[1])
    assert found.rules == ("Halving()", "GradientDescent()")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"starts": [1.0, 2.0]}, r"starts are finite points of shape \(starts, 2\)"),
        ({"starts": [(float("nan"), 0.0)]}, "starts are finite points"),
        ({"rules": {}}, "a rule or more"),
        ({"rules": {"adamm": 0.1}}, "Did you mean 'adam'"),
        ({"rules": {"adam": -1.0}}, "0 or more"),
        ({"rules": [("adam", 0.1)]}, "A rule is one of edunn.updates"),
        ({"steps": 0}, "1 or more"),
        ({"steps": 100_000_000}, "Take fewer"),
        ({"batch_size": 0}, "1 or more"),
    ],
    ids=["shape", "nan", "no-rules", "unknown", "rate", "name-in-pair", "steps", "too-many", "batch"],
)
def test_what_makes_no_path_is_refused(given: dict[str, object], message: str) -> None:
    x, y = draw(10, "real")
    surface = landscape.grid(x, y, losses.SquaredError(), (-1, 1, 4), (-1, 1, 4))
    options = {"starts": [(0.0, 0.0)], "rules": {"adam": 0.1}, "steps": 5} | given
    with pytest.raises(EdunnError, match=message):
        landscape.paths(surface, **options)  # type: ignore[arg-type]
