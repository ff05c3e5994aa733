"""What a user writes is treated as the package treats its own: each program here runs as it stands."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import r2_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import edunn
from edunn.activations import Sigmoid, Tanh
from edunn.descent import lockstep
from edunn.errors import ConfigError, DataError, EdunnError, GradientError, ShapeError
from edunn.layers import Chain, Linear
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Hinge, Loss, SquaredError
from edunn.models import Model
from edunn.penalties import L2


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FEATURES = randn(60, 3)
SCORES = FEATURES @ torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
TARGETS = {
    "real": SCORES + 0.3 * randn(60, seed=1),
    "bits": (SCORES > 0).double(),
    "signs": (SCORES > 0).double() * 2 - 1,
    "classes": (SCORES > 0).long() + (SCORES > 3).long(),
}


def samples(kind: str = "real") -> edunn.Samples:
    return edunn.Samples(FEATURES, TARGETS[kind])


# ---- an own model ----------------------------------------------------------------------------------------------------


class Plane(Model):
    """Four lines of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.weight

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {"weight": features.mT @ upstream}


class Bits(Plane):
    predicts = "bits"

    @property
    def link(self) -> Sigmoid:
        return Sigmoid()


class Signs(Plane):
    predicts = "signs"


class Classes(Model):
    """Not the package's layout: weight (features, classes), and a matrix of its own for the bias."""

    predicts = "classes"

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.zeros(3, 3, dtype=torch.float64))
        self.offset = nn.Parameter(torch.zeros(1, 3, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.slopes + self.offset

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {"slopes": features.mT @ upstream, "offset": upstream.sum(0, keepdim=True)}


OWN: dict[str, tuple[type[Model], Loss]] = {
    "real": (Plane, SquaredError()),
    "bits": (Bits, BinaryCrossEntropy()),
    "signs": (Signs, Hinge()),
    "classes": (Classes, CrossEntropy()),
}
EACH = pytest.mark.parametrize("kind", OWN)


@EACH
def test_own_model_trains_by_hand_and_by_autograd(kind: str) -> None:
    make, loss = OWN[kind]
    by_hand, by_autograd = make(), make()
    options: dict[str, Any] = {"rate": 0.2, "batch_size": 16, "epochs": 20, "validation": samples(kind)}
    history = edunn.descend(by_hand, loss, samples(kind), **options)
    other = edunn.descend(by_autograd, loss, samples(kind), by="autograd", **options)
    torch.testing.assert_close(list(by_hand.parameters()), list(by_autograd.parameters()), rtol=1e-10, atol=1e-12)
    assert history["loss"] == pytest.approx(other["loss"], rel=1e-9)
    assert history["loss"][-1] < history["loss"][0]
    assert history.metric == ("r2" if kind == "real" else "accuracy")
    assert history.last(f"validation_{history.metric}") == pytest.approx(float(by_hand.score(FEATURES, TARGETS[kind])))


@EACH
def test_own_model_is_scored(kind: str) -> None:
    make, loss = OWN[kind]
    model, targets = make(), TARGETS[kind]
    edunn.descend(model, loss, samples(kind), rate=0.2, epochs=30)
    predicted = model.predict(FEATURES)
    if kind == "real":
        wanted = r2_score(targets.numpy(), predicted.numpy())
    else:
        wanted = float((predicted == targets).double().mean())
        assert set(predicted.tolist()) <= set(targets.tolist())
    assert 0.7 < wanted <= 1
    assert float(model.score(FEATURES, targets)) == pytest.approx(wanted, rel=1e-12)


def test_probabilities_are_given_where_there_is_a_link() -> None:
    model = Bits()
    edunn.descend(model, BinaryCrossEntropy(), samples("bits"), rate=0.5, epochs=5)
    torch.testing.assert_close(model.probabilities(FEATURES), torch.sigmoid(model(FEATURES)).detach())
    with pytest.raises(ConfigError, match="Signs has no probabilities"):
        Signs().probabilities(FEATURES)


@EACH
def test_own_model_is_certified(kind: str) -> None:
    make, loss = OWN[kind]
    certificate = edunn.gradcheck.certify(make(), loss, samples(kind))
    assert certificate.passed, str(certificate)
    names = {name for name, _ in make().named_parameters()}
    assert {row.parameter for row in certificate} == {"scores", *names}


class Forgets(Classes):
    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {**super().gradients(features, upstream), "offset": upstream.mean(0, keepdim=True)}


def test_an_own_mistake_is_found() -> None:
    certificate = edunn.gradcheck.certify(Forgets(), CrossEntropy(), samples("classes"))
    assert [row.parameter for row in certificate if not row.passed] == ["offset"]
    found = lockstep(Forgets(), CrossEntropy(), samples("classes"), rate=0.1, steps=3)
    assert found.first == (1, "offset")


@EACH
def test_own_model_is_drawn_on_a_plane(kind: str) -> None:
    make, loss = OWN[kind]
    model = make()
    edunn.descend(model, loss, samples(kind), rate=0.2, epochs=5)
    before = copy.deepcopy(model.state_dict())
    first, second = (edunn.landscape.random(model, seed) for seed in (0, 1))
    window = (-1.0, 1.0, 5)
    surface = edunn.landscape.plane(model, loss, samples(kind), first, second, a=window, b=window)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    moved = make()
    with torch.no_grad():
        for name, parameter in moved.named_parameters():
            parameter.copy_(before[name] + 0.5 * first[name] - 1.0 * second[name])
        wanted = float(loss(moved(FEATURES), TARGETS[kind]))
    assert float(surface.values[3, 0]) == pytest.approx(wanted, rel=1e-10)


def test_own_model_in_lock_step() -> None:
    assert lockstep(Classes(), CrossEntropy(), samples("classes"), rate=0.1, steps=50, batch_size=7).passed


class Unknown(Plane):
    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {"wieght": features.mT @ upstream}


class Missing(Classes):
    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {"slopes": features.mT @ upstream}


class OneASample(Plane):
    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return {"weight": features * upstream.unsqueeze(-1)}


class Bare(Plane):
    def gradients(self, features: Tensor, upstream: Tensor) -> Tensor:  # type: ignore[override]
        return features.mT @ upstream


class NoGradients(Model):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.slope


class NoForward(Model):
    pass


class Misspelt(Plane):
    predicts = "numbers"


class NoParameters(Model):
    def forward(self, features: Tensor) -> Tensor:
        return features.sum(-1)


REFUSED: dict[str, tuple[Any, type[EdunnError], str]] = {
    "an unknown name": (Unknown(), GradientError, r"Unknown.gradients gives 'wieght', and no .* mean 'weight'\?"),
    "no gradients": (
        NoGradients(),
        GradientError,
        r"NoGradients has no gradients\(features, .*by='autograd'",
    ),
    "one gradient a sample": (OneASample(), ShapeError, r"'weight' of shape \(2, 3\); the parameter has \(3,\)"),
    "no dict": (Bare(), GradientError, r"returns a dict by parameter name \(weight\); got tensor"),
    "no forward": (NoForward(), ConfigError, r"NoForward has no forward\(features\)"),
    "a misspelt prediction": (Misspelt(), ConfigError, "real, bits, signs, classes; got 'numbers'"),
    "no parameters": (NoParameters(), ConfigError, "NoParameters has no parameters to train"),
    "a class": (Plane, ConfigError, r"the class Plane itself. Call it: Plane\(…\)"),
    "a function": (len, ConfigError, "A model is a torch module; got a builtin"),
}


@pytest.mark.parametrize(("model", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_the_first_step_by_one_sentence(model: Any, error: type[EdunnError], message: str) -> None:
    before = copy.deepcopy(model)
    with pytest.raises(error, match=message) as caught:
        edunn.descend(model, SquaredError(), samples(), rate=0.1)
    assert "\n" not in str(caught.value)
    if isinstance(model, nn.Module):
        assert model.training
        torch.testing.assert_close(model.state_dict(), before.state_dict(), rtol=0, atol=0)


def test_a_parameter_without_gradient_is_refused() -> None:
    with pytest.raises(GradientError, match=r"lacks the parameter 'offset'. Add its gradient, \(1, 3\)"):
        edunn.descend(Missing(), CrossEntropy(), samples("classes"), rate=0.1)


def test_a_model_without_gradients_trains_by_autograd() -> None:
    model = NoGradients()
    history = edunn.descend(model, SquaredError(), samples(), rate=0.1, epochs=100, by="autograd")
    assert history["r2"][-1] > 0.98


def test_a_penalty_that_reaches_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="L2 is for parameters called weight; the model has slopes, offset"):
        edunn.descend(Classes(), CrossEntropy(), samples("classes"), rate=0.1, penalty=L2(0.1))


# ---- a plain torch module --------------------------------------------------------------------------------------------


def net(outputs: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, outputs)).double()


TORCH: dict[str, tuple[Loss, str, int, str]] = {
    "cross-entropy": (CrossEntropy(), "classes", 3, "accuracy"),
    "binary cross-entropy": (BinaryCrossEntropy(), "bits", 1, "accuracy"),
    "hinge": (Hinge(), "signs", 1, "accuracy"),
    "squared error": (SquaredError(), "real", 1, "r2"),
    "squared error, sigmoid": (SquaredError(through=Sigmoid()), "bits", 1, "accuracy"),
    "squared error, tanh": (SquaredError(through=Tanh()), "signs", 1, "accuracy"),
    "squared error of classes": (SquaredError(classes=True), "classes", 3, "accuracy"),
}


@pytest.mark.parametrize(("loss", "kind", "outputs", "metric"), TORCH.values(), ids=TORCH)
def test_a_torch_module_trains_by_autograd(loss: Loss, kind: str, outputs: int, metric: str) -> None:
    ours, theirs = net(outputs), net(outputs)
    history = edunn.descend(ours, loss, samples(kind), rate=0.2, epochs=60, by="autograd", snapshots=10)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.2)
    for _ in range(60):
        optimiser.zero_grad()
        scores = theirs(FEATURES)
        loss(scores.squeeze(-1) if outputs == 1 else scores, TARGETS[kind]).backward()
        optimiser.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-9, atol=1e-11)
    scores = theirs(FEATURES).detach()
    assert history.metric == metric
    if metric == "r2":
        wanted = r2_score(TARGETS[kind].numpy(), scores.squeeze(-1).numpy())
    else:
        right = scores.argmax(-1) if outputs > 1 else (scores.squeeze(-1) > 0).long()
        wanted = float((right == (TARGETS[kind] if kind == "classes" else (SCORES > 0))).double().mean())
    assert history[metric][-1] == pytest.approx(wanted, rel=1e-9)
    assert wanted > 0.8
    assert list(history.snapshots[0][1]) == list(ours.state_dict())
    assert not ours.training


@pytest.mark.parametrize("by", ["fast", "hand"])
def test_a_torch_module_by_hand_is_refused(by: str) -> None:
    model = net(3)
    before = copy.deepcopy(model.state_dict())
    sentence = "Sequential has no gradients(features, upstream) by hand. Train it with by='autograd'"
    with pytest.raises(GradientError, match=re.escape(sentence)):
        edunn.descend(model, CrossEntropy(), samples("classes"), rate=0.1, by=by)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    with pytest.raises(GradientError, match=re.escape(sentence)):
        lockstep(model, CrossEntropy(), samples("classes"), rate=0.1)  # type: ignore[arg-type]
    with pytest.raises(GradientError, match=re.escape(sentence)):
        edunn.gradcheck.certify(model, CrossEntropy(), samples("classes"))


def test_patience_puts_the_best_weights_of_a_torch_module_back() -> None:
    model = net(3)
    part = samples("classes")
    history = edunn.descend(
        model, CrossEntropy(), part[:20], rate=2.0, epochs=400, by="autograd", validation=part[20:], patience=5,
        snapshots=1,
    )  # fmt: skip
    assert history.status == "stopped"
    best = dict(history.snapshots)[history.best_epoch or 0]
    torch.testing.assert_close({name: p.detach() for name, p in model.named_parameters()}, best, rtol=0, atol=0)


def test_a_frozen_layer_keeps_its_mode_and_its_statistics() -> None:
    norm = nn.BatchNorm1d(3).double().eval()
    model = nn.Sequential(norm, nn.Linear(3, 3).double())
    with edunn.models.evaluating(model):
        assert not model[1].training
    assert model[1].training
    assert not norm.training


def test_a_convolution_has_one_penalty() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 4, 2), nn.Flatten(), nn.Linear(8, 3)).double()
    history = edunn.descend(
        model, CrossEntropy(), samples("classes"), rate=0.1, epochs=3, penalty=L2(0.1), by="autograd"
    )
    squares = sum(float(p.detach().square().sum()) for name, p in model.named_parameters() if name.endswith("weight"))
    assert history["penalty"][-1] == pytest.approx(0.1 * squares, rel=1e-12)


def test_a_chain_of_our_layers_trains_by_hand_as_it_is() -> None:
    def chain() -> Chain:
        return Chain(Linear(3, 8, scale=0.5), Tanh(), Linear(8, 1, scale=0.5, seed=1)).double()

    by_hand, by_autograd = chain(), chain()
    for model, by in ((by_hand, "hand"), (by_autograd, "autograd")):
        edunn.descend(model, BinaryCrossEntropy(), samples("bits"), rate=0.5, epochs=30, batch_size=16, by=by)
    torch.testing.assert_close(by_hand.state_dict(), by_autograd.state_dict(), rtol=1e-9, atol=1e-11)


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
        (F.cross_entropy, TensorDataset(IMAGES), DataError, "not pairs of tensors"),
        (F.cross_entropy, edunn.Samples(IMAGES, None), DataError, "have no targets"),
    ],
    ids=["a class", "a name", "no mean", "features alone", "of two lengths", "a dataset of features", "no targets"],
)
def test_what_is_no_loss_or_no_data_is_refused(loss: Any, data: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        edunn.landscape.plane(own_net(), loss, data, **SMALL)


# ---- an own update rule ----------------------------------------------------------------------------------------------


class Sign(edunn.updates.Rule):
    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient.sign()


class SignDescent(torch.optim.Optimizer):
    """The same rule, written for torch by its author."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter -= group["lr"] * parameter.grad.sign()


class SignWithTwin(Sign):
    def twin(self, parameters: Any, rate: float) -> torch.optim.Optimizer:
        return SignDescent(parameters, lr=rate)


def digits_and_model() -> tuple[edunn.Samples, Any]:
    samples = edunn.data.digits().train.to(dtype=torch.float64)
    return samples, edunn.models.SoftmaxClassifier(64, 10, dtype=torch.float64)


@pytest.mark.parametrize("by", ["fast", "hand"])
@pytest.mark.parametrize("batch_size", [None, 128, 1], ids=["full", "mini", "single"])
def test_own_rule_trains(batch_size: int | None, by: str) -> None:
    samples, model = digits_and_model()
    history = edunn.descend(
        model,
        edunn.losses.CrossEntropy(),
        samples[:300],
        rate=1e-3,
        batch_size=batch_size,
        epochs=3,
        rule=Sign(),
        by=by,
    )
    assert history.status == "finished"
    running = history["running"]
    assert running[-1] < running[0] < 2.4  # ln 10 = 2.303 at the start


def test_own_rule_in_lock_step_with_its_authors_optimiser() -> None:
    samples, model = digits_and_model()
    found = edunn.descent.lockstep(
        model, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=50, batch_size=128, rule=Sign(),
        schedule=edunn.updates.CosineDecay(), optimiser=lambda parameters: SignDescent(parameters, lr=1.0),
    )  # fmt: skip
    assert found.passed, str(found)
    assert found.steps == 50


def test_own_rule_beside_another_rules_optimiser_differs() -> None:
    samples, model = digits_and_model()
    found = edunn.descent.lockstep(
        model, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=5, rule=Sign(),
        optimiser=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
    )  # fmt: skip
    assert found.first is not None
    assert found.first[0] == 1


def test_own_rule_with_a_twin_trains_by_autograd() -> None:
    samples, model = digits_and_model()
    twin = digits_and_model()[1]
    for own, by in ((model, "hand"), (twin, "autograd")):
        edunn.descend(
            own, edunn.losses.CrossEntropy(), samples, rate=1e-3, batch_size=128, epochs=2, rule=SignWithTwin(), by=by
        )
    torch.testing.assert_close(model.weight, twin.weight, rtol=1e-12, atol=1e-14)
    assert edunn.descent.lockstep(
        twin, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=20, rule=SignWithTwin()
    ).passed


def test_own_rule_without_a_twin_is_refused_for_autograd() -> None:
    samples, model = digits_and_model()
    sentence = r"Sign has no twin in torch\.optim\. Give it a method twin\(parameters, rate\)"
    with pytest.raises(edunn.EdunnError, match=sentence):
        edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=1e-3, rule=Sign(), by="autograd")
    assert float(model.weight.detach().abs().max()) == 0


# ---- a subclass of one of ours with another formula ------------------------------------------------------------------


class Focal(edunn.losses.BinaryCrossEntropy):
    """−(1 − p)² log p of the right class: cross-entropy that counts easy samples less. Not convex."""

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        p = torch.sigmoid((2 * targets - 1) * scores)
        return -((1 - p) ** 2) * torch.log(p)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        sign = 2 * targets - 1
        p = torch.sigmoid(sign * scores)
        return sign * (2 * p * (1 - p) ** 2 * torch.log(p) - (1 - p) ** 3)


class TwoSided(edunn.losses.Hinge):
    """A hinge that also costs beyond the margin."""

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        short = 1 - targets * scores
        return torch.where(short > 0, short, -0.3 * short)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return -targets * torch.where(targets * scores < 1, 1.0, -0.3).to(scores)


class Saturating(edunn.losses.SquaredError):
    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return 1 - torch.exp(-((scores - targets) ** 2))

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return 2 * (scores - targets) * torch.exp(-((scores - targets) ** 2))


@pytest.mark.parametrize(
    ("loss", "labels", "convex"),
    [(Focal(), "bits", False), (TwoSided(), "signs", True), (Saturating(), "real", False)],
    ids=["focal", "two-sided-hinge", "saturating"],
)
def test_a_subclass_with_another_formula_inherits_no_statement_about_the_old_one(
    loss: edunn.losses.Loss, labels: str, convex: bool
) -> None:
    x = torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = {"bits": (x > 0.1).double(), "signs": 2 * (x > 0.1).double() - 1, "real": 2 * x + 1}[labels]
    assert (loss.convex, loss.smooth, loss.pole, loss.form, loss.curvature_bound) == (None,) * 5
    assert not loss.has_curvature
    surface = edunn.landscape.grid(x, y, loss, (-4, 4, 64), (-4, 4, 64))
    scores = surface.first.view(-1, 1, 1) * x + surface.second.view(1, -1, 1)
    torch.testing.assert_close(surface.values, loss.pointwise(scores, y).mean(-1))
    assert surface.convex() is convex
    model = edunn.models.LinearRegression(1, dtype=torch.float64)
    certificate = edunn.gradcheck.certify(model, loss, edunn.Samples(x.view(-1, 1), y))
    assert certificate.passed
