"""Models: the same coefficients in scikit-learn give the same predictions, probabilities and scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import linear_model, svm
from torch import Tensor

from edunn import models
from edunn.descent import descend
from edunn.errors import ConfigError, ShapeError
from edunn.layers import with_ones
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Hinge, Logistic, Loss, MulticlassHinge, SquaredError
from edunn.models import MODELS, LinearModel, LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier
from edunn.penalties import L2

EXACT = {"rtol": 1e-12, "atol": 1e-13}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fill(model: LinearModel, weight: np.ndarray | Tensor, bias: np.ndarray | Tensor) -> LinearModel:
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(weight).reshape(model.weight.shape))
        if model.bias is not None:
            model.bias.copy_(torch.as_tensor(bias).reshape(model.bias.shape))
    return model


def three_classes() -> tuple[Tensor, Tensor]:
    y = torch.arange(90) % 3
    return randn(90, 4, seed=1) + torch.nn.functional.one_hot(y, 4), y


def same_as(model: LinearModel, theirs: object, x: Tensor, y: Tensor, probabilities: bool = False) -> None:
    fill(model, theirs.coef_, theirs.intercept_)  # type: ignore[attr-defined]
    scores = theirs.decision_function(x.numpy())  # type: ignore[attr-defined]
    torch.testing.assert_close(model(x), torch.from_numpy(scores), **EXACT)
    assert model.predict(x).tolist() == theirs.predict(x.numpy()).tolist()  # type: ignore[attr-defined]
    right = theirs.score(x.numpy(), y.numpy())  # type: ignore[attr-defined]
    assert 0.5 < right < 1  # neither all nor hardly any: the comparison says something
    assert float(model.score(x, y)) == pytest.approx(right, rel=1e-12)
    if probabilities:
        expected = torch.from_numpy(theirs.predict_proba(x.numpy()))  # type: ignore[attr-defined]
        found = model.probabilities(x)
        torch.testing.assert_close(found, expected if expected.shape == found.shape else expected[:, 1], **EXACT)


def test_softmax_against_scikit_learn() -> None:
    x, y = three_classes()
    theirs = linear_model.LogisticRegression().fit(x.numpy(), y.numpy())
    same_as(SoftmaxClassifier(4, 3, dtype=torch.float64), theirs, x, y, probabilities=True)


@pytest.mark.parametrize("predicts", ["bits", "signs"])
def test_logistic_against_scikit_learn(predicts: str) -> None:
    x, y = three_classes()
    y = (y == 0).long() if predicts == "bits" else 2 * (y == 0).long() - 1
    theirs = linear_model.LogisticRegression().fit(x.numpy(), y.numpy())
    same_as(LogisticRegression(4, predicts=predicts, dtype=torch.float64), theirs, x, y, probabilities=True)


@pytest.mark.parametrize("predicts", ["bits", "signs"])
def test_binary_svm_against_scikit_learn(predicts: str) -> None:
    x, y = three_classes()
    y = (y == 0).long() if predicts == "bits" else 2 * (y == 0).long() - 1
    theirs = svm.LinearSVC(loss="squared_hinge", random_state=0).fit(x.numpy(), y.numpy())
    same_as(LinearSVM(4, predicts=predicts, dtype=torch.float64), theirs, x, y)


def test_multiclass_svm_against_scikit_learn() -> None:
    x, y = three_classes()
    theirs = svm.LinearSVC(multi_class="crammer_singer", max_iter=100_000, random_state=0).fit(x.numpy(), y.numpy())
    same_as(LinearSVM(4, classes=3, dtype=torch.float64), theirs, x, y)


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_against_scikit_learn(outputs: int) -> None:
    x, y = randn(40, 4, seed=2), randn(40, outputs, seed=3)
    y = y + x[:, :1]
    y = y.squeeze(-1)
    theirs = linear_model.LinearRegression().fit(x.numpy(), y.numpy())
    model = fill(LinearRegression(4, outputs, dtype=torch.float64), theirs.coef_, theirs.intercept_)
    torch.testing.assert_close(model.predict(x), torch.from_numpy(theirs.predict(x.numpy())), **EXACT)
    # R², averaged over the outputs
    assert float(model.score(x, y)) == pytest.approx(theirs.score(x.numpy(), y.numpy()), rel=1e-12)
    # and below 0 for a model worse than the mean
    fill(model, -3 * theirs.coef_, theirs.intercept_)
    theirs.coef_ = -3 * theirs.coef_
    assert float(model.score(x, y)) == pytest.approx(theirs.score(x.numpy(), y.numpy()), rel=1e-12)
    assert float(model.score(x, y)) < 0


@pytest.mark.parametrize(("offset", "expected"), [(0.0, 1.0), (0.5, 0.0)], ids=["met exactly", "missed"])
def test_r2_of_constant_targets(offset: float, expected: float) -> None:
    """No spread to explain: scikit-learn's r2_score gives 1 or 0, not nan or −inf."""
    from sklearn.metrics import r2_score

    model, x = LinearRegression(1, dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)
    y = torch.full((5,), offset, dtype=torch.float64)
    assert float(model.score(x, y)) == r2_score(y.numpy(), model.predict(x).numpy()) == expected


def build(name: str, runs: tuple[int, ...] = ()) -> LinearModel:
    options: dict[str, object] = {"scale": 1.0, "dtype": torch.float64, "runs": runs}
    made: dict[str, LinearModel] = {
        "linear-regression": LinearRegression(4, **options),
        "linear-regression, 3 outputs": LinearRegression(4, 3, **options),
        "logistic-regression": LogisticRegression(4, **options),
        "softmax": SoftmaxClassifier(4, 3, **options),
        "svm": LinearSVM(4, **options),
        "svm, 3 classes": LinearSVM(4, classes=3, **options),
    }
    return made[name]


ALL = [
    ("linear-regression", SquaredError(), randn(8, seed=5)),
    ("linear-regression, 3 outputs", SquaredError(classes=True), randn(8, 3, seed=5)),
    ("logistic-regression", BinaryCrossEntropy(), torch.arange(8) % 2),
    ("softmax", CrossEntropy(), torch.arange(8) % 3),
    ("svm", Hinge(), 2 * (torch.arange(8) % 2) - 1),
    ("svm, 3 classes", MulticlassHinge(), torch.arange(8) % 3),
]
EACH = pytest.mark.parametrize(("name", "loss", "targets"), ALL, ids=[name for name, *_ in ALL])


@EACH
def test_gradients_against_autograd(name: str, loss: Loss, targets: Tensor) -> None:
    model, x = build(name), randn(8, 4, seed=4).requires_grad_()
    names, parameters = zip(*model.named_parameters(), strict=True)
    *slopes, down = torch.autograd.grad(loss(model(x), targets), [*parameters, x])
    upstream = loss.gradient(model(x).detach(), targets)
    gradients = model.gradients(x, upstream)
    assert tuple(gradients) == names
    for found, slope in zip(gradients.values(), slopes, strict=True):
        torch.testing.assert_close(found, slope, **EXACT)
    torch.testing.assert_close(model.input_gradient(x, upstream), down, **EXACT)


@EACH
@pytest.mark.parametrize("runs", [(1,), (3,), (2, 2)], ids=str)
def test_a_stack_equals_one_by_one(name: str, loss: Loss, targets: Tensor, runs: tuple[int, ...]) -> None:
    stack, x = build(name, runs), randn(8, 4, seed=4)
    scores = stack(x)
    upstream = loss.gradient(scores, targets)
    gradients, rates = stack.gradients(x, upstream), stack.score(x, targets)
    assert rates.shape == runs
    assert stack.bias is not None
    for run in np.ndindex(runs):
        alone = fill(build(name), stack.weight[run].detach(), stack.bias[run].detach())
        torch.testing.assert_close(scores[run], alone(x), **EXACT)
        torch.testing.assert_close(rates[run], alone.score(x, targets), **EXACT)
        torch.testing.assert_close(stack.predict(x)[run], alone.predict(x), **EXACT)
        for parameter, gradient in alone.gradients(x, loss.gradient(alone(x), targets)).items():
            torch.testing.assert_close(gradients[parameter][run], gradient, **EXACT)
        if alone.link is not None:
            torch.testing.assert_close(stack.probabilities(x)[run], alone.probabilities(x), **EXACT)


@EACH
def test_score_refuses_a_column_of_targets(name: str, loss: Loss, targets: Tensor) -> None:
    """(n,) against (n, 1) compares each with each, and gives a number that looks like an accuracy."""
    with pytest.raises(ShapeError, match="Expected targets of shape"):
        build(name).score(randn(8, 4), targets.unsqueeze(-1))


def test_logistic_is_softmax_of_two_classes() -> None:
    x, w, b = randn(20, 4), randn(2, 4, seed=1), randn(2, seed=2)
    two = fill(SoftmaxClassifier(4, 2, dtype=torch.float64), w, b)
    one = fill(LogisticRegression(4, dtype=torch.float64), w[1] - w[0], b[1] - b[0])
    assert isinstance(two, SoftmaxClassifier)
    assert isinstance(one, LogisticRegression)
    torch.testing.assert_close(two.probabilities(x)[:, 1], one.probabilities(x), **EXACT)
    assert torch.equal(two.predict(x), one.predict(x))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LogisticRegression(1), 0),
        (LogisticRegression(1, predicts="signs"), -1),
        (LinearSVM(1), -1),
        (LinearSVM(1, predicts="bits"), 0),
        (SoftmaxClassifier(1, 2), 0),
    ],
    ids=["logistic", "logistic, signs", "svm", "svm, bits", "softmax"],
)
def test_a_score_of_zero_goes_to_the_first_class(model: LinearModel, expected: int) -> None:
    """As in scikit-learn, whose classifiers say the second class for scores above 0."""
    assert model.predict(torch.ones(1, 1)).item() == expected


def test_softmax_keeps_its_class_axis() -> None:
    assert SoftmaxClassifier(3, 1)(torch.zeros(5, 3)).shape == (5, 1)
    assert LogisticRegression(3)(torch.zeros(5, 3)).shape == (5,)
    assert LinearSVM(3, classes=2)(torch.zeros(5, 3)).shape == (5,)


@pytest.mark.parametrize("make", [LogisticRegression, LinearSVM], ids=lambda c: c.__name__)
def test_refuses_unknown_labels(make: type[LinearModel]) -> None:
    with pytest.raises(ConfigError, match=r"predicts='bits' .* or predicts='signs' .*; got 'plusminus'"):
        make(3, predicts="plusminus")


def test_bias_trick_equals_a_penalised_bias() -> None:
    """x₀ = 1 in front and no bias, against a bias that the penalty reaches: the same run, step for step."""
    from edunn.data.samples import Samples

    x, y = randn(30, 3), torch.arange(30) % 2
    plain = LogisticRegression(3, dtype=torch.float64)
    descend(plain, BinaryCrossEntropy(), Samples(x, y), rate=0.5, epochs=50, penalty=L2(0.1, bias=True))
    trick = LogisticRegression(4, bias=False, dtype=torch.float64)
    descend(trick, BinaryCrossEntropy(), Samples(with_ones(x), y), rate=0.5, epochs=50, penalty=L2(0.1))
    assert plain.bias is not None
    torch.testing.assert_close(trick.weight[:, 1:], plain.weight, **EXACT)
    torch.testing.assert_close(trick.weight[0, :1], plain.bias, **EXACT)
    free = LogisticRegression(3, dtype=torch.float64)
    descend(free, BinaryCrossEntropy(), Samples(x, y), rate=0.5, epochs=50, penalty=L2(0.1))
    assert free.bias is not None
    assert (free.bias - plain.bias).abs() > 1e-3  # and a bias that is left alone is another one


def test_descent_finds_what_scikit_learn_finds() -> None:
    """The same objective, to the end: LogisticRegression(C) minimises Σℓ + ½‖w‖²/C, ours (1/N)Σℓ + λ‖w‖²."""
    from edunn.data.samples import Samples

    x, y = three_classes()
    y = 2 * (y == 0).long() - 1
    strength = 0.05
    theirs = linear_model.LogisticRegression(C=1 / (2 * len(x) * strength), tol=1e-12, max_iter=10_000)
    theirs.fit(x.numpy(), y.numpy())
    ours = LogisticRegression(4, predicts="signs", dtype=torch.float64)
    descend(ours, Logistic(), Samples(x, y), rate=1.0, epochs=2000, penalty=L2(strength), evaluate=0)
    # lbfgs stops at a gradient of about 1e-7
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.coef_, rtol=1e-4, atol=1e-6)


def test_registry_names_every_model() -> None:
    defined = {v for v in vars(models).values() if isinstance(v, type) and issubclass(v, LinearModel)}
    assert set(MODELS.values()) == defined - {LinearModel} | {models.TwoLayerNet}
