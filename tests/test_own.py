"""What a user writes is treated as the package treats its own: each program here runs as it stands."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import edunn
from edunn.errors import ConfigError, DataError, ShapeError

# ---- a loss of six lines ---------------------------------------------------------------------------------------------


class LogCosh(edunn.losses.Loss):
    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.log(torch.cosh(scores - targets))

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.tanh(scores - targets)


class AnalyticLogCosh(LogCosh):
    pole = math.pi / 2  # cosh(z) = 0 at z = ±iπ/2


class Welsch(edunn.losses.Loss):
    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return 1 - torch.exp(-((scores - targets) ** 2) / 2)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets) * torch.exp(-((scores - targets) ** 2) / 2)


class Cauchy(edunn.losses.Loss):
    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.log1p((scores - targets) ** 2)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        residual = scores - targets
        return 2 * residual / (1 + residual**2)


class Pinball(edunn.losses.Loss):
    """The 80% quantile: convex, with a kink that it does not declare."""

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.maximum(0.8 * (targets - scores), 0.2 * (scores - targets))

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.where(scores < targets, -0.8, 0.2).to(scores)


class Capped(edunn.losses.Loss):
    """min(|r|, 1): its second derivative is 0 wherever it exists, and its kinks at ±1 are concave."""

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets).abs().clamp(max=1.0)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        residual = scores - targets
        return torch.sign(residual) * (residual.abs() < 1)


def straight_line(samples: int = 60) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(samples, generator=draw, dtype=torch.float64)
    return x, 2 * x + 1 + 0.5 * torch.randn(samples, generator=draw, dtype=torch.float64)


def descent_by_autograd(loss: edunn.losses.Loss, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """The lowest point by torch's own optimiser, from (2, 1)."""
    point = torch.tensor([2.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([point], max_iter=200, tolerance_grad=1e-14, tolerance_change=1e-18,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> Tensor:
        optimiser.zero_grad()
        value: Tensor = loss.pointwise(point[0] * x + point[1], y).mean()
        value.backward()
        return value

    optimiser.step(closure)
    return point.detach(), float(closure().detach())


def test_own_loss_trains() -> None:
    x, y = straight_line()
    model = edunn.models.LinearRegression(1, dtype=torch.float64)
    history = edunn.descend(model, LogCosh(), edunn.Samples(x.unsqueeze(1), y), rate=0.5, epochs=300)
    point, lowest = descent_by_autograd(LogCosh(), x, y)
    assert history["loss"][-1] == pytest.approx(lowest, rel=1e-6)
    assert float(model.weight.detach()) == pytest.approx(float(point[0]), abs=1e-3)


@pytest.mark.parametrize("loss", [LogCosh(), Welsch(), Cauchy()], ids=lambda loss: type(loss).__name__)
def test_own_loss_is_certified(loss: edunn.losses.Loss) -> None:
    x, y = straight_line(12)
    samples = edunn.Samples(x.unsqueeze(1), y)
    assert edunn.gradcheck.certify(edunn.models.LinearRegression(1, dtype=torch.float64), loss, samples).passed


@pytest.mark.parametrize(
    ("loss", "convex"),
    [(LogCosh(), True), (AnalyticLogCosh(), True), (Pinball(), True),
     (Welsch(), False), (Cauchy(), False), (Capped(), False)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_convexity_of_an_own_loss_is_measured(loss: edunn.losses.Loss, convex: bool) -> None:
    surface = edunn.landscape.grid(*straight_line(), loss, (-5, 5, 41), (-5, 5, 41))
    found = edunn.landscape.analysis.convexity(surface)
    assert loss.convex is None
    assert (found.convex, found.by) == (convex, "measurement")
    assert surface.convex() is convex


def test_a_loss_that_is_convex_where_it_is_looked_at_is_so_by_measurement() -> None:
    """Within |r| < 1 Welsch's loss is convex; the sentence is of the window and says how it is known."""
    x, y = straight_line()
    near = edunn.landscape.grid(x[:1] * 0 + 1, y[:1] * 0, Welsch(), (-0.3, 0.3, 21), (-0.3, 0.3, 21))
    assert edunn.landscape.analysis.convexity(near).by == "measurement"
    assert near.convex() is True


def test_own_loss_goes_the_spectral_way_by_one_line() -> None:
    x, y = straight_line(5000)
    window = (-5.0, 5.0, 301)
    silent = edunn.landscape.grid(x, y, LogCosh(), (-5, 5, 5), (-5, 5, 5))
    surface = edunn.landscape.grid(x, y, AnalyticLogCosh(), window, window)
    assert (silent.method, surface.method) == ("direct", "spectral")
    assert surface.error < 1e-9
    # its targets are many and real, and no one has said how they enter: they must not be interpolated
    i, j = 37, 211
    at = torch.log(torch.cosh(surface.first[i] * x + surface.second[j] - y)).mean()
    assert float(surface.values[i, j]) == pytest.approx(float(at), rel=1e-10)


def test_a_pole_is_a_distance() -> None:
    class Wrong(LogCosh):
        pole = -1.0

    with pytest.raises(ConfigError, match=r"Wrong\.pole is -1\.0; it is a distance above 0"):
        edunn.landscape.grid(*straight_line(), Wrong(), (-1, 1, 3), (-1, 1, 3))


def test_readings_of_the_gradient_need_no_second_derivative() -> None:
    class Strict(LogCosh):
        def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
            raise AssertionError("a second derivative was asked for")

    class Silent(LogCosh):
        def difference(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
            raise AssertionError("a second derivative was measured")

    x, y = straight_line()
    surface = edunn.landscape.grid(x, y, Silent(), (-3, 3, 21), (-3, 3, 21))
    w, b = (axis.view(-1, 1) if k == 0 else axis for k, axis in enumerate((surface.first, surface.second)))
    slopes = torch.tanh(w.unsqueeze(-1) * x + b.unsqueeze(-1) - y)
    torch.testing.assert_close(surface.gradient, torch.stack([(slopes * x).mean(-1), slopes.mean(-1)]))
    share = float((surface.gradient.norm(dim=0) < 0.5).double().mean())
    assert surface.plateaus(0.5) == {"0.5": share}
    assert edunn.landscape.grid(x, y, Strict(), (-3, 3, 5), (-3, 3, 5)).values.isfinite().all()


@pytest.mark.parametrize("loss", [LogCosh(), Welsch()], ids=lambda loss: type(loss).__name__)
def test_minima_and_basins_of_an_own_loss(loss: edunn.losses.Loss) -> None:
    x, y = straight_line()
    surface = edunn.landscape.grid(x, y, loss, (-1, 5, 31), (-2, 4, 31))
    point, lowest = descent_by_autograd(loss, x, y)
    best = surface.minima()[0]
    assert best["kind"] == "minimum"
    assert best["loss"] == pytest.approx(lowest, rel=1e-12)
    assert (best["w"], best["b"]) == pytest.approx(tuple(point.tolist()), abs=1e-6)
    assert surface.basins(rate=0.5, steps=2000).best_loss == pytest.approx(lowest, rel=1e-9)


def test_a_kink_is_not_called_a_minimum() -> None:
    """Of a piecewise linear loss the lowest point is a crossing of two lines, y = w x + b through two samples."""
    x, y = straight_line(21)
    found = edunn.landscape.grid(x, y, Pinball(), (-1, 5, 25), (-2, 4, 25)).minima()
    ends = []
    for i in range(len(x)):
        for j in range(i):
            w = float((y[i] - y[j]) / (x[i] - x[j]))
            ends.append(float(Pinball().pointwise(w * x + float(y[i]) - w * float(x[i]), y).mean()))
    minima = [m["loss"] for m in found if m["kind"] == "minimum"]
    assert minima == [pytest.approx(min(ends), rel=1e-6)]


def test_a_declared_kink_gives_the_exact_minimum() -> None:
    class DeclaredPinball(Pinball):
        convex, smooth, curvature_bound = True, False, 0.0

        def kink(self, targets: Tensor) -> Tensor | None:
            return targets

    x, y = straight_line(21)
    quick, slow = (
        edunn.landscape.grid(x, y, loss, (-1, 5, 25), (-2, 4, 25)).minima()[0]
        for loss in (DeclaredPinball(), Pinball())
    )
    assert quick["loss"] == pytest.approx(slow["loss"], rel=1e-6)
    assert quick["loss"] <= slow["loss"] + 1e-15


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_second_derivatives_that_no_one_wrote_are_measured(dtype: torch.dtype) -> None:
    class Own(edunn.losses.Loss):
        class_axis, labels = True, "classes"

        def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
            return edunn.losses.CrossEntropy().pointwise(scores, targets)

        def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
            return edunn.losses.CrossEntropy().pointwise_gradient(scores, targets)

    draw = torch.Generator().manual_seed(1)
    scores, direction = (torch.randn(7, 4, generator=draw).to(dtype) for _ in range(2))
    direction = 1000 * direction
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    own, house = Own(), edunn.losses.CrossEntropy()
    digits = 1e-9 if dtype == torch.float64 else 2e-3
    for made, wanted in (
        (own.pointwise_curvature(scores, targets), house.pointwise_curvature(scores, targets)),
        (own.curvature_product(scores, targets, direction), house.curvature_product(scores, targets, direction)),
    ):
        assert float((made - wanted).abs().max()) <= digits * float(wanted.abs().max())
    assert house.has_curvature
    assert not own.has_curvature


# ---- a net of your own on a plane, in three lines --------------------------------------------------------------------

DRAW = torch.Generator().manual_seed(0)
IMAGES = torch.randn(90, 4, generator=DRAW)
KINDS = (IMAGES[:, 0] > 0).long() + (IMAGES[:, 1] > 0).long()
SMALL: dict[str, Any] = {"a": (-1, 1, 5), "b": (-1, 1, 5)}


def own_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def test_own_net_in_three_lines() -> None:
    net = own_net()
    surface = edunn.landscape.plane(net, nn.CrossEntropyLoss(), (IMAGES, KINDS))
    assert surface.values.isfinite().all()
    middle = float(F.cross_entropy(copy.deepcopy(net).eval()(IMAGES), KINDS).detach())
    at = surface.values[int(surface.first.abs().argmin()), int(surface.second.abs().argmin())]
    assert float(at) == pytest.approx(middle, rel=1e-6)
    said = str(surface)
    assert "Sequential is in training mode; a copy in evaluation mode was evaluated" in said
    assert "directions: random, filter-normalised, seed 0" in said
    assert "window chosen: a from -1 to 1 and b from -1 to 1" in said
    assert "CrossEntropyLoss of Sequential, 90 samples" in said


LOSSES: dict[str, Any] = {
    "a module of torch": nn.CrossEntropyLoss(),
    "a function of torch": F.cross_entropy,
    "a lambda": lambda scores, targets: -scores.log_softmax(-1)[range(90), targets].mean(),
    "one of ours": edunn.losses.CrossEntropy(),
}
DATA: dict[str, Any] = {
    "a pair": (IMAGES, KINDS),
    "Samples": edunn.Samples(IMAGES, KINDS),
    "a Dataset": TensorDataset(IMAGES, KINDS),
    "a DataLoader": DataLoader(TensorDataset(IMAGES, KINDS), batch_size=32),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_any_loss_and_any_data_give_the_same_plane(loss: Any, data: Any) -> None:
    wanted = edunn.landscape.plane(own_net(), edunn.losses.CrossEntropy(), (IMAGES, KINDS), **SMALL)
    found = edunn.landscape.plane(own_net(), loss, data, **SMALL)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-5, atol=1e-6)


def test_default_directions_are_those_of_the_command_line() -> None:
    net = own_net()
    first, second = (edunn.landscape.filter_normalised(net, seed) for seed in (6, 7))
    wanted = edunn.landscape.plane(net, F.cross_entropy, (IMAGES, KINDS), first, second, **SMALL)
    found = edunn.landscape.plane(net, F.cross_entropy, (IMAGES, KINDS), seed=3, **SMALL)
    assert torch.equal(found.values, wanted.values)
    zero = edunn.models.SoftmaxClassifier(4, 3)
    notes = edunn.landscape.plane(zero, edunn.losses.CrossEntropy(), (IMAGES, KINDS), **SMALL).notes
    assert notes == ("directions: random, of length 1, as no filter is other than 0, seed 0",)


class Careless(nn.Module):
    """A net that counts its calls in a buffer, draws numbers, and branches on its values."""

    def __init__(self) -> None:
        super().__init__()
        self.body = own_net()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        self.calls += 1
        scores: Tensor = self.body(features + 0 * torch.randn(1))
        return scores * 2 if float(scores.detach().sum()) > 1e9 else scores


@pytest.mark.parametrize("make", [own_net, Careless], ids=["batch norm and dropout", "a careless net"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_net_and_the_generators_are_untouched(make: Any, training: bool) -> None:
    net = make().train(training)
    own = torch.Generator().manual_seed(9)
    data = DataLoader(TensorDataset(IMAGES, KINDS), batch_size=32, shuffle=True, generator=own)
    before, modes = copy.deepcopy(net.state_dict()), [part.training for part in net.modules()]
    states = torch.get_rng_state(), own.get_state()
    surface = edunn.landscape.plane(net, nn.CrossEntropyLoss(), data, a=(-1, 1, 3), b=(-1, 1, 3))
    curve = edunn.landscape.line(net, F.cross_entropy, data, edunn.landscape.random(net), a=(-1, 1, 3))
    surface.convex()
    if make is own_net:
        edunn.landscape.hessian(net, F.cross_entropy, data, steps=2)
    assert curve.values.isfinite().all()
    after = net.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert [part.training for part in net.modules()] == modes
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(states[0], torch.get_rng_state())
    assert torch.equal(states[1], own.get_state())
    assert any("training mode" in note for note in surface.notes) is training


def test_hessian_takes_any_loss_and_data() -> None:
    net = own_net()
    wanted = edunn.landscape.hessian(net.eval(), edunn.losses.CrossEntropy(), (IMAGES, KINDS))
    found = edunn.landscape.hessian(net.train(), F.cross_entropy, DATA["a DataLoader"])
    for one, other in zip(wanted, found, strict=True):
        alignment = sum(float((one[name] * other[name]).sum()) for name in one)
        assert abs(alignment) == pytest.approx(1, abs=1e-3)


def test_convexity_of_a_net_of_your_own_is_measured() -> None:
    """Nothing is known of a net's own forward, so nothing is assumed: sin is neither kinked nor convex."""

    class Wave(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[1.0, 0.5, 0.2, -0.4]]))

        def forward(self, features: Tensor) -> Tensor:
            return torch.sin(features @ self.weight.mT).squeeze(-1)

    surface = edunn.landscape.plane(Wave(), F.mse_loss, (IMAGES, IMAGES[:, 0]), a=(-3, 3, 21), b=(-3, 3, 21))
    found = edunn.landscape.analysis.convexity(surface)
    assert (found.convex, found.by) == (False, "measurement")


@pytest.mark.parametrize(
    ("loss", "data", "error", "sentence"),
    [
        (nn.CrossEntropyLoss, (IMAGES, KINDS), ConfigError, r"Did you mean CrossEntropyLoss\(\)\?"),
        ("mse", (IMAGES, KINDS), ConfigError, "A loss is a function of scores and targets"),
        (nn.CrossEntropyLoss(reduction="none"), (IMAGES, KINDS), ShapeError, r"gives \(90,\).*mean"),
        (F.cross_entropy, IMAGES, DataError, "The data are Tensor; a surface wants Samples, a pair"),
        (F.cross_entropy, (IMAGES, KINDS[:5]), ShapeError, "do not pair up"),
        (F.cross_entropy, TensorDataset(IMAGES), DataError, "wants pairs"),
        (F.cross_entropy, edunn.Samples(IMAGES, None), DataError, "these have none"),
    ],
    ids=["a class", "a name", "no mean", "features alone", "of two lengths", "a dataset of features", "no targets"],
)
def test_what_is_no_loss_or_no_data_is_refused(loss: Any, data: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        edunn.landscape.plane(own_net(), loss, data, **SMALL)
