"""Weights of samples and classes, and clipping: against repeated samples, scikit-learn, numpy and torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import linear_model, metrics, svm
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

import edunn
from edunn import Samples, landscape, losses
from edunn.activations import Sigmoid, Tanh
from edunn.descent import Descent, largest_curvature, lockstep, stable_rate, train_together, vary
from edunn.errors import ConfigError, DataError, EdunnError, ShapeError
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Hinge, Loss, SquaredError
from edunn.models import LinearRegression, LogisticRegression, Model, SoftmaxClassifier, TwoLayerNet
from edunn.neighbours import NearestNeighbours, Voters
from edunn.penalties import L2
from edunn.updates import AdamW, Clipping, GradientDescent, Momentum, Nesterov, Rule

N = 40


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def counts(samples: int = N) -> Tensor:
    """How often each sample is repeated: 0 to 3 times."""
    return torch.randint(0, 4, (samples,), generator=torch.Generator().manual_seed(1))


def repeat(values: Tensor) -> Tensor:
    return values.repeat_interleave(counts(len(values)), 0)


def pair_of_samples(targets: Tensor, features: int = 3) -> tuple[Samples, Samples]:
    """Weighted samples, and the same ones repeated."""
    x = draw(N, features)
    return Samples(x, targets, sample_weight=counts()), Samples(repeat(x), repeat(targets))


def targets_for(loss: Loss) -> Tensor:
    bits = (draw(N, seed=2) > 0).double()
    classes = torch.randint(0, 3, (N,), generator=torch.Generator().manual_seed(3))
    return {"real": draw(N, seed=4), "bits": bits, "signs": 2 * bits - 1, "classes": classes}[loss.labels]


LOSSES: list[Loss] = [
    *(losses.named(name) for name in losses.LOSSES),
    Hinge(power=2),
    SquaredError(through=Sigmoid()),
    SquaredError(through=Tanh()),
]
SCALAR = [loss for loss in LOSSES if not loss.class_axis]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_weighted_mean_is_that_of_repeated_samples(loss: Loss) -> None:
    y = targets_for(loss)
    scores = draw(2, N, 3, seed=5) if loss.class_axis else draw(2, N, seed=5)
    weights = counts().double()
    twice = scores.repeat_interleave(counts(), 1)
    torch.testing.assert_close(loss(scores, y, weights), loss(twice, repeat(y)), rtol=1e-13, atol=0)
    if loss.flat:
        return
    whole = loss.gradient(twice, repeat(y))
    # a sample's copies add up
    index = torch.arange(N).repeat_interleave(counts())
    summed = torch.zeros_like(scores).index_add_(1, index, whole)
    torch.testing.assert_close(loss.gradient(scores, y, weights), summed, rtol=1e-12, atol=1e-16)
    torch.testing.assert_close(loss.gradient(scores, y, 7 * weights), summed, rtol=1e-12, atol=1e-16)


def test_conventions_of_others() -> None:
    """torch's CrossEntropyLoss(weight) and scikit-learn's log_loss divide by Σ w; BCEWithLogitsLoss(weight) by N."""
    scores, y, each = draw(N, 3), targets_for(CrossEntropy()), torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    theirs = torch.nn.functional.cross_entropy(scores, y, each)
    torch.testing.assert_close(CrossEntropy()(scores, y, each[y]), theirs)
    bits, weights = targets_for(BinaryCrossEntropy()), draw(N, seed=9).abs()
    ours = BinaryCrossEntropy()(scores[:, 0], bits, weights)
    found = metrics.log_loss(bits.numpy(), torch.sigmoid(scores[:, 0]).numpy(), sample_weight=weights.numpy())
    assert float(ours) == pytest.approx(found, rel=1e-12)
    by_n = torch.nn.functional.binary_cross_entropy_with_logits(scores[:, 0], bits, weights)
    torch.testing.assert_close(ours * weights.sum() / N, by_n)


# ---- training --------------------------------------------------------------------------------------------------------

MODELS = {
    "softmax": (lambda: SoftmaxClassifier(3, 3, dtype=torch.float64), CrossEntropy()),
    "logistic": (lambda: LogisticRegression(3, dtype=torch.float64), BinaryCrossEntropy()),
    "least squares": (lambda: LinearRegression(3, dtype=torch.float64), SquaredError()),
    "net": (lambda: TwoLayerNet(3, 3, hidden=4, dtype=torch.float64), CrossEntropy()),
}
CLIPS: dict[str, dict[str, float]] = {"": {}, "by norm": {"clip_norm": 0.1}, "by value": {"clip_value": 0.05}}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("by", ["fast", "hand", "autograd"])
@pytest.mark.parametrize("name", MODELS)
def test_a_weighted_run_is_that_of_repeated_samples(name: str, by: str, clip: str) -> None:
    make, loss = MODELS[name]
    found: list[tuple[Model, Any]] = []
    for samples in pair_of_samples(targets_for(loss)):
        model = make()
        history = edunn.descend(
            model, loss, samples, rate=0.1, steps=60, rule=Momentum(), penalty=L2(0.01), validation=samples, by=by,
            **CLIPS[clip],
        )  # fmt: skip
        found.append((model, history))
    (one, weighted), (other, repeated) = found
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-10)
    for row, same in zip(weighted.rows, repeated.rows, strict=True):
        assert row == pytest.approx(same, rel=1e-10)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("batch_size", [None, 7, 1])
def test_every_step_is_the_same_step(batch_size: int | None, clip: str) -> None:
    weighted, _ = pair_of_samples(targets_for(CrossEntropy()))
    found = []
    for by in ("hand", "fast", "autograd"):
        model = SoftmaxClassifier(3, 3, dtype=torch.float64)
        history = edunn.descend(
            model, CrossEntropy(), weighted, rate=0.1, batch_size=batch_size, epochs=5, rule=Nesterov(), by=by,
            penalty=L2(0.1), **CLIPS[clip],
        )  # fmt: skip
        found.append((model.weight.detach(), history.rows))
    for weight, rows in found[1:]:
        torch.testing.assert_close(weight, found[0][0], rtol=1e-12, atol=1e-14)
        assert [row["running"] for row in rows] == pytest.approx([row["running"] for row in found[0][1]], rel=1e-12)


@pytest.mark.parametrize("by", ["hand", "fast", "autograd"])
def test_a_batch_without_weight_takes_no_step(by: str) -> None:
    """One at a time, samples of weight 0 are as if they were not there: no decay, no momentum, no loss."""
    x, y = draw(6, 2), (draw(6, seed=1) > 0).double()
    weights = torch.tensor([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    there = Samples(x, y, sample_weight=weights)
    model = LogisticRegression(2, dtype=torch.float64)
    rule = Momentum()
    run = {"rate": 0.3, "batch_size": 1, "epochs": 3, "penalty": L2(0.2), "by": by}
    history = edunn.descend(model, BinaryCrossEntropy(), there, rule=rule, **run)
    alone = LogisticRegression(2, dtype=torch.float64)
    same = edunn.descend(alone, BinaryCrossEntropy(), Samples(x[1:2], y[1:2]), rule=Momentum(), **run)
    torch.testing.assert_close(model.weight, alone.weight, rtol=1e-14, atol=0)
    for key in ("running", "loss", "accuracy"):
        assert [row[key] for row in history.rows] == pytest.approx([row[key] for row in same.rows], rel=1e-14)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_a_stack_of_weighted_runs_is_each_run_alone(batch_size: int | None, clip: str) -> None:
    weighted, _ = pair_of_samples(targets_for(CrossEntropy()))
    base = Descent(
        SoftmaxClassifier(3, 3, dtype=torch.float64), CrossEntropy(), weighted, 0.1, batch_size, epochs=4,
        penalty=L2(0.01), **CLIPS[clip],
    )  # fmt: skip
    changes: list[dict[str, Any]] = [{"rate": 0.1}, {"rate": 1.0}, {"rate": 0.3, "strength": 0.2}, {"seed": 3}]
    together, alone = ([vary(base, **change) for change in changes] for _ in range(2))
    train_together(together)
    for run, single in zip(together, alone, strict=True):
        single.go("hand")
        torch.testing.assert_close(run.model.weight, single.model.weight, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("rule", [AdamW(0.1), GradientDescent(), Momentum()], ids=repr)
def test_500_steps_in_lock_step_with_torch(rule: Rule, clip: str) -> None:
    weighted, _ = pair_of_samples(targets_for(CrossEntropy()))
    model = SoftmaxClassifier(3, 3, dtype=torch.float64)
    found = lockstep(
        model, CrossEntropy(), weighted, rate=0.05, steps=500, batch_size=16, rule=rule, penalty=L2(0.01),
        tolerance=1e-10, **CLIPS[clip],
    )  # fmt: skip
    assert found.steps == 500
    assert found.passed, str(found)


def test_clipping_equals_torch() -> None:
    """By hand, once: the oracle sees the raw gradients, not our twin."""
    gradients = {"weight": draw(2, 3), "bias": draw(2, seed=1)}
    for clipping in (Clipping(norm=0.5), Clipping(norm=100.0), Clipping(value=0.3)):
        parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients.values()]
        for parameter, gradient in zip(parameters, gradients.values(), strict=True):
            parameter.grad = gradient.clone()
        if clipping.norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clipping.norm)
        else:
            torch.nn.utils.clip_grad_value_(parameters, clipping.value or 0.0)
        for parameter, found in zip(parameters, clipping.clip(gradients).values(), strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(found, parameter.grad, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    "options", [{"clip_norm": 0.0}, {"clip_value": -1.0}, {"clip_norm": 1.0, "clip_value": 1.0}], ids=repr
)
def test_clipping_refuses(options: dict[str, float]) -> None:
    weighted, _ = pair_of_samples(targets_for(CrossEntropy()))
    with pytest.raises(ConfigError, match="clip_"):
        edunn.descend(SoftmaxClassifier(3, 3, dtype=torch.float64), CrossEntropy(), weighted, rate=0.1, **options)


# ---- scikit-learn's optima -------------------------------------------------------------------------------------------


def optimum(model: Model, loss: Loss, samples: Samples, penalty: L2, rate: float, steps: int) -> np.ndarray:
    edunn.descend(model, loss, samples, rate=rate, steps=steps, rule=Nesterov(), penalty=penalty, evaluate=0)
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()


def test_balanced_logistic_regression_has_the_optimum_of_scikit_learn() -> None:
    x, y = draw(80, 3), (draw(80, seed=1) > 0.8).long()
    samples = Samples(x, y, classes=("no", "yes")).with_class_weight("balanced")
    assert samples.sample_weight is not None
    bits = Samples(x, y.double(), sample_weight=samples.sample_weight)
    model = LogisticRegression(3, dtype=torch.float64)
    # C Σ w ℓ + ½‖β‖² over C Σ w
    found = optimum(model, BinaryCrossEntropy(), bits, L2(1 / float(bits.sample_weight.sum()), half=True), 1.0, 1500)
    theirs = linear_model.LogisticRegression(class_weight="balanced", tol=1e-12, max_iter=10_000)
    theirs.fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(found, np.r_[theirs.coef_.ravel(), theirs.intercept_], rtol=0, atol=1e-6)


def test_ridge_has_the_optimum_of_scikit_learn() -> None:
    x, weights = draw(80, 3), draw(80, seed=2).abs()
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 3 + draw(80, seed=3)
    model = LinearRegression(3, dtype=torch.float64)
    samples = Samples(x, y, sample_weight=weights)
    found = optimum(model, SquaredError(), samples, L2(2.0 / float(weights.sum())), 0.05, 1500)
    theirs = linear_model.Ridge(alpha=2.0, solver="cholesky").fit(x.numpy(), y.numpy(), sample_weight=weights.numpy())
    np.testing.assert_allclose(found, np.r_[theirs.coef_, theirs.intercept_], rtol=0, atol=1e-6)
    score = model.score(x, y, weights)
    assert float(score) == pytest.approx(theirs.score(x.numpy(), y.numpy(), weights.numpy()), rel=1e-9)


def test_linear_svc_has_the_optimum_of_scikit_learn() -> None:
    x, weights = draw(80, 3), draw(80, seed=2).abs()
    y = torch.where(x[:, 0] + draw(80, seed=3) > 0, 1.0, -1.0).double()
    model = edunn.models.LinearModel(3, 1, dtype=torch.float64)
    samples = Samples(x, y, sample_weight=weights)
    penalty = L2(1 / float(weights.sum()), half=True, bias=True)  # LinearSVC penalises the intercept too
    found = optimum(model, Hinge(power=2), samples, penalty, 0.1, 3000)
    theirs = svm.LinearSVC(loss="squared_hinge", tol=1e-12, max_iter=1_000_000)
    theirs.fit(x.numpy(), y.numpy(), sample_weight=weights.numpy())
    np.testing.assert_allclose(found, np.r_[theirs.coef_.ravel(), theirs.intercept_], rtol=0, atol=1e-6)


# ---- samples and classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, 2.0], "one number for each of the 4 samples"),
        ([[1.0, 2.0, 3.0, 4.0]], "one number for each of the 4 samples"),
        ([1.0, -1.0, 0.0, 0.0], "got -1 at index 1"),
        ([1.0, float("nan"), 0.0, 0.0], "got nan at index 1"),
        ([float("inf"), 1.0, 0.0, 0.0], "got inf at index 0"),
        ([0.0, 0.0, 0.0, 0.0], "All weights are 0"),
        ("heavy", "one number for each sample"),
    ],
    ids=["too few", "two axes", "negative", "nan", "inf", "all 0", "text"],
)
def test_samples_refuse_weights(weights: Any, said: str) -> None:
    with pytest.raises(EdunnError, match=said):
        Samples(draw(4, 2), torch.arange(4), sample_weight=weights)
    if not isinstance(weights, str):
        with pytest.raises(EdunnError, match=said):
            CrossEntropy()(draw(4, 4), torch.arange(4), torch.tensor(weights))


def test_weights_go_with_their_samples() -> None:
    samples = Samples(draw(5, 2).float(), torch.tensor([0, 1, 0, 1, 1]), sample_weight=[1, 2, 0, 3, 4])
    assert samples.sample_weight is not None
    assert samples.sample_weight.dtype == torch.float32
    for index in (slice(1, 4), [4, 0], torch.tensor([True, False, True, False, False]), slice(None, None, -1)):
        part = samples[index]
        rows = torch.arange(5)[samples._rows(index)]
        assert part.sample_weight is not None
        assert torch.equal(part.sample_weight, samples.sample_weight[rows])
    none = samples[2:3].to(dtype=torch.float64)  # a slice may weigh nothing
    assert none.sample_weight is not None
    assert none.sample_weight.tolist() == [0.0]
    with pytest.raises(DataError, match="All weights are 0"):
        edunn.descend(SoftmaxClassifier(2, 2, dtype=torch.float64), CrossEntropy(), none, rate=0.1)
    rest, held = edunn.data.split(samples, 0.4)
    for part in (rest, held):
        assert part.sample_weight is not None
        for row, weight in zip(part.features, part.sample_weight, strict=True):
            assert weight == samples.sample_weight[(samples.features == row).all(1)]


def test_balanced_is_the_formula_of_scikit_learn() -> None:
    y = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    samples = Samples(draw(7, 2), y, classes=("a", "b", "c"))
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=y.numpy())
    assert samples.class_weights("balanced") == pytest.approx(theirs.tolist())
    found = samples.with_class_weight("balanced").sample_weight
    assert found is not None
    np.testing.assert_allclose(found.numpy(), theirs[y.numpy()])
    named = samples.with_class_weight({"b": 5}).sample_weight
    assert named is not None
    assert named.tolist() == [1, 1, 1, 1, 5, 1, 1]
    twice = samples.with_class_weight([1, 2, 3]).with_class_weight([1, 1, 2]).sample_weight
    assert twice is not None
    assert twice.tolist() == [1, 1, 1, 1, 2, 6, 6]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("balance", "Did you mean 'balanced'"),
        ([1.0], "one number for each of 2 classes"),
        ({"cat": 1, "dgo": 2}, "Did you mean 'dog'"),
        ([1.0, -1.0], "class_weight of dog"),
        (3.0, "'balanced', or numbers"),
    ],
    ids=["word", "too few", "name", "negative", "number"],
)
def test_class_weights_refuse(given: Any, said: str) -> None:
    samples = Samples(draw(3, 2), torch.tensor([0, 1, 1]), classes=("cat", "dog"))
    with pytest.raises(ConfigError, match=said):
        samples.with_class_weight(given)


def test_real_targets_have_no_classes() -> None:
    with pytest.raises(DataError, match="real numbers"):
        Samples(draw(3, 2), draw(3)).with_class_weight("balanced")


# ---- what else asks for a mean ---------------------------------------------------------------------------------------


def test_the_stable_rate_is_that_of_the_weighted_hessian() -> None:
    weighted, _ = pair_of_samples(targets_for(SquaredError()))
    w = counts().double().numpy()
    x = np.c_[np.ones(N), weighted.features.numpy()]
    largest = np.linalg.eigvalsh(2 * (x.T * w) @ x / w.sum())[-1]
    model = LinearRegression(3, dtype=torch.float64)
    found = stable_rate(model, SquaredError(), weighted.features, None, GradientDescent(), weighted.sample_weight)
    assert found == pytest.approx(2 / largest, rel=1e-12)
    wide, w = draw(60, 1030), counts(60).double().numpy()
    by_power = largest_curvature(wide, bias=False, weights=counts(60).double())
    singular = np.linalg.norm(np.sqrt(w / w.sum())[:, None] * wide.numpy(), 2)
    assert by_power == pytest.approx(singular**2, rel=1e-4)


def test_scores_are_weighted() -> None:
    y, scores, weights = torch.tensor([0, 1, 2, 1]), draw(4, 3), torch.tensor([1.0, 5.0, 2.0, 0.0]).double()
    found = SoftmaxClassifier(2, 3).score_of(scores, y, weights)
    assert float(found) == metrics.accuracy_score(y, scores.argmax(1), sample_weight=weights)
    real = draw(4, seed=3)
    r2 = LinearRegression(2).score_of(scores[:, 0], real, weights)
    assert float(r2) == pytest.approx(metrics.r2_score(real, scores[:, 0], sample_weight=weights), rel=1e-12)


def test_every_metric_is_weighted() -> None:
    y, decided, w = torch.tensor([0, 1, 2, 1, 2]), torch.tensor([0, 2, 2, 1, 0]), draw(5, seed=4).abs()
    counted = edunn.metrics.confusion_counts(y, decided, 3, w)
    options = {"sample_weight": w.numpy()}
    np.testing.assert_allclose(counted.numpy(), metrics.confusion_matrix(y, decided, **options), rtol=1e-13)
    for ours, theirs in (
        (edunn.metrics.recall, metrics.recall_score),
        (edunn.metrics.precision, metrics.precision_score),
    ):
        np.testing.assert_allclose(ours(counted).numpy(), theirs(y, decided, average=None, **options), rtol=1e-13)
    assert edunn.metrics.accuracy(counted) == pytest.approx(metrics.accuracy_score(y, decided, **options), rel=1e-13)
    bits, guesses = (draw(5, 3) > 0).long(), (draw(5, 3, seed=1) > 0).long()
    each = edunn.metrics.label_accuracies(bits, guesses, w)
    for j in range(3):
        assert float(each[j]) == pytest.approx(metrics.accuracy_score(bits[:, j], guesses[:, j], **options), rel=1e-13)
    subset = edunn.metrics.subset_accuracy(bits, guesses, w)
    assert subset == pytest.approx(metrics.accuracy_score(bits.numpy(), guesses.numpy(), **options), rel=1e-13)
    near = NearestNeighbours(1).fit(torch.arange(5.0)[:, None], y)
    queries = torch.tensor([[0.1], [1.2], [2.2], [0.1], [4.0]])
    right = (near.predict(queries) == y).double()
    assert float(near.score(queries, y, w)) == pytest.approx(float((right * w).sum() / w.sum()), rel=1e-13)


def test_a_sample_without_weight_may_overflow() -> None:
    """It is as if it were not there: 0 · inf would be nan."""
    scores = torch.tensor([1.0, 1e200], dtype=torch.float64)
    y, w = torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert float(SquaredError()(scores, y, w)) == 1.0
    assert SquaredError().gradient(scores, y, w).tolist() == [2.0, 0.0]


@pytest.mark.parametrize("loss", [CrossEntropy(), Hinge(power=2), SquaredError()], ids=repr)
def test_the_certificate_of_a_weighted_objective(loss: Loss) -> None:
    weighted, _ = pair_of_samples(targets_for(loss))
    outputs = 3 if loss.class_axis else 1
    found = edunn.gradcheck.certify(edunn.models.LinearModel(3, outputs, dtype=torch.float64), loss, weighted, L2(0.1))
    assert found.passed, str(found)


# ---- surfaces --------------------------------------------------------------------------------------------------------

WINDOWS: dict[str, Any] = {"w": (-3, 3, 21), "b": (-3.1, 3, 17)}


def methods(loss: Loss) -> list[str]:
    """The methods that know the loss."""
    if loss.form is not None:
        return ["direct", "auto", "exact"]
    return ["direct", "auto", "spectral"] if loss.pole is not None else ["direct", "auto"]


METHODS = [pytest.param(loss, name, id=f"{loss!r}-{name}") for loss in SCALAR for name in methods(loss)]


@pytest.mark.parametrize(("loss", "method"), METHODS)
def test_a_weighted_surface_is_that_of_repeated_samples(loss: Loss, method: str) -> None:
    x, y = 2 * draw(N, seed=6), targets_for(loss)
    found = landscape.grid(x, y, loss, **WINDOWS, method=method, sample_weight=counts(), derivatives=True)
    wanted = landscape.grid(repeat(x), repeat(y), loss, **WINDOWS, method="direct", derivatives=True)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.derivatives, wanted.derivatives, rtol=1e-8, atol=1e-8)
    assert found.error < 1e-10
    lowest, same = found.minima()[0], wanted.minima()[0]
    assert lowest["kind"] == same["kind"]
    assert lowest["loss"] == pytest.approx(same["loss"], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("loss", SCALAR, ids=repr)
def test_a_weighted_curve_is_that_of_repeated_samples(loss: Loss) -> None:
    x, y = 2 * draw(N, seed=6), targets_for(loss)
    found = landscape.grid(x, y, loss, (-3, 3, 41), 0.3, sample_weight=counts())
    wanted = landscape.grid(repeat(x), repeat(y), loss, (-3, 3, 41), 0.3)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-10, atol=1e-10)
    lowest, same = found.minima()[0], wanted.minima()[0]
    assert (lowest["kind"], lowest["b"]) == (same["kind"], same["b"])
    assert lowest["loss"] == pytest.approx(same["loss"], rel=1e-8, abs=1e-12)


def test_many_weighted_samples_are_compressed() -> None:
    x = draw(6000, seed=7)
    y = (x + draw(6000, seed=8) > 0).double()
    window: dict[str, Any] = {"w": (-10, 10, 33), "b": (-10, 10, 31)}
    found = landscape.grid(
        x, y, BinaryCrossEntropy(), **window, method="spectral", sample_weight=counts(6000), derivatives=True
    )
    index = torch.arange(6000).repeat_interleave(counts(6000))
    wanted = landscape.grid(x[index], y[index], BinaryCrossEntropy(), **window, method="direct", derivatives=True)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.derivatives, wanted.derivatives, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["softmax", "net"])
def test_a_plane_and_the_hessian_of_weighted_samples(name: str) -> None:
    make, loss = MODELS[name]
    model = make()
    weighted, repeated = pair_of_samples(targets_for(loss))
    window: dict[str, Any] = {"a": (-1, 1, 5), "b": (-1, 1, 7), "derivatives": True}
    found, wanted = (landscape.plane(model, loss, samples, **window) for samples in (weighted, repeated))
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.derivatives, wanted.derivatives, rtol=1e-10, atol=1e-10)
    first, _ = landscape.hessian(model, loss, weighted)
    same, _ = landscape.hessian(model, loss, repeated)
    cosine = sum(float((first[key] * same[key]).sum()) for key in first)
    assert abs(cosine) == pytest.approx(1, abs=1e-6)


def test_a_loss_of_one_number_takes_no_weights() -> None:
    weighted, _ = pair_of_samples(targets_for(CrossEntropy()))
    with pytest.raises(ConfigError, match="cannot be weighted"):
        landscape.plane(SoftmaxClassifier(3, 3, dtype=torch.float64), torch.nn.CrossEntropyLoss(), weighted)


def test_a_grid_refuses_weights() -> None:
    with pytest.raises(ShapeError, match="one number for each of the 3 samples"):
        landscape.grid(draw(3), draw(3), SquaredError(), sample_weight=[1.0, 2.0])


# ---- nearest neighbours, configs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["uniform", "distance"])
def test_votes_count_their_weight(by: str) -> None:
    """Written out: the class with the largest Σ w, or Σ w/d, among the five nearest."""
    x, queries, y, w = draw(60, 2), draw(30, 2, seed=1), torch.randint(0, 3, (60,)), draw(60, seed=2).abs()
    found = NearestNeighbours(5, weights=by).fit(x, y, w).predict(queries)
    distance = np.sqrt(((queries[:, None] - x) ** 2).sum(-1).numpy())
    for row, label in zip(distance, found, strict=True):
        near = row.argsort()[:5]
        votes = w.numpy()[near] / (row[near] if by == "distance" else 1)
        assert int(label) == np.bincount(y.numpy()[near], votes, 3).argmax()
    assert torch.equal(Voters(5, "l2", x, y, 3, by, w).predict(queries), found)


def write_table(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    x, w = draw(60, 2).round(decimals=6), counts(60)
    y = (x[:, 0] > 0.7).long()
    rows = [f"{a},{b},{'yes' if c else 'no'},{d}" for (a, b), c, d in zip(x.tolist(), y, w.tolist(), strict=True)]
    path.write_text("\n".join(["a,b,kind,times", *rows]) + "\n")
    return x, y, w


CONFIG = """
loss = {{ kind = "binary-cross-entropy", class_weight = {class_weight} }}
model = "logistic-regression"
[data]
path = "table.csv"
weight = "times"
[train]
rate = 0.5
epochs = 40
clip_norm = 0.2
[run]
dtype = "float64"
device = "cpu"
"""


@pytest.mark.parametrize("class_weight", ['"balanced"', "[1.0, 3.0]", "{ yes = 3.0 }"])
def test_a_config_with_weights_trains_the_same_model(tmp_path: Path, class_weight: str) -> None:
    x, y, w = write_table(tmp_path / "table.csv")
    (tmp_path / "run.toml").write_text(CONFIG.format(class_weight=class_weight))
    run = edunn.experiment.train(edunn.experiment.config.load(tmp_path / "run.toml"), tmp_path / "run")
    each = w.double()
    if class_weight == '"balanced"':  # scikit-learn's, on the repeated samples
        repeated = y.repeat_interleave(w).numpy()
        factors = compute_class_weight("balanced", classes=np.arange(2), y=repeated)
    else:
        factors = np.array([1.0, 3.0])
    model = LogisticRegression(2, dtype=torch.float64)
    samples = Samples(x, y.double(), sample_weight=each * torch.from_numpy(factors)[y])
    history = edunn.descend(model, BinaryCrossEntropy(), samples, rate=0.5, epochs=40, clip_norm=0.2)
    torch.testing.assert_close(run.model.weight, model.weight, rtol=1e-12, atol=1e-14)
    assert run.summary["train_loss"] == pytest.approx(history.rows[-1]["loss"], rel=1e-12)
    assert edunn.load(tmp_path / "run").config == run.config


def test_predictions_count_the_weights_of_their_file(tmp_path: Path) -> None:
    x, y, w = write_table(tmp_path / "table.csv")
    (tmp_path / "run.toml").write_text(CONFIG.format(class_weight="[1.0, 1.0]"))
    run = edunn.experiment.train(edunn.experiment.config.load(tmp_path / "run.toml"), tmp_path / "run")
    found = run.predict(run.read(tmp_path / "table.csv"))
    right = run.model.predict(x) == y
    assert found.score == pytest.approx(float((right.double() * w).sum() / w.sum()), rel=1e-12)
    text = [line.rpartition(",")[0] for line in (tmp_path / "table.csv").read_text().splitlines()]
    (tmp_path / "new.csv").write_text("\n".join(text) + "\n")
    assert run.predict(run.read(tmp_path / "new.csv")).score == pytest.approx(float(right.double().mean()), rel=1e-12)


def test_files_that_keep_no_weights_say_so(tmp_path: Path) -> None:
    part = Samples(draw(4, 2), torch.tensor([0, 1, 0, 1]), sample_weight=[1, 2, 3, 4])
    whole = edunn.data.Dataset("some", part, None, None, "")
    with pytest.raises(DataError, match="has sample weights, which shards do not keep"):
        edunn.data.write_shards(tmp_path / "shards", whole)
    rows = edunn.data.Dataset("some", Samples(draw(4, 2), draw(4, 3)), None, None, "")
    with pytest.raises(DataError, match="several targets a sample; shards keep one"):
        edunn.data.write_shards(tmp_path / "shards", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.weight=tims", "Did you mean 'times'"),
        ("data.weight=kind", "It is the target"),
        ("loss.class_weight=balance", "Did you mean 'balanced'"),
        ("loss.class_weight=[1.0]", "one number for each of 2 classes"),
        ("train.clip_value=1.0", "give one of clip_norm and clip_value"),
        ("train.clip_norm=0", "clip_norm must be"),
    ],
)
def test_a_config_refuses_weights(tmp_path: Path, change: str, said: str) -> None:
    write_table(tmp_path / "table.csv")
    (tmp_path / "run.toml").write_text(CONFIG.format(class_weight='"balanced"'))

    def prepare() -> None:
        changes = [change, "data.target=kind"] if change.startswith("data") else [change]
        edunn.experiment.prepare(edunn.experiment.config.load(tmp_path / "run.toml", changes))

    with pytest.raises(EdunnError, match=said):
        prepare()
