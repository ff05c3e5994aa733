"""What a user writes is treated as the package treats its own: it trains, is scored, certified and drawn."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn

import edunn
from edunn.activations import Sigmoid, Tanh
from edunn.descent import lockstep
from edunn.errors import ConfigError, DtypeError, EdunnError, GradientError, ShapeError
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
    "another dtype": (
        nn.Linear(3, 1),
        DtypeError,
        "torch.float64 on cpu, and the model is torch.float32",
    ),
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


@pytest.mark.parametrize("by", ["hand", "plain"])
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
