"""The losses beside CS231n, torch and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from sklearn import linear_model, metrics
from sklearn._loss import loss as sklearn_losses
from sklearn.linear_model._huber import _huber_loss_and_gradient
from torch import Tensor, nn

from edunn import losses
from edunn.descent import ByHand
from edunn.gradcheck.catalogue import Draw
from edunn.models import LinearRegression, LogisticRegression
from edunn.updates import GradientDescent

from .counterparts import CLASSES, FEATURES, NONE, SAME, SAMPLES, Compared, Line, same, tensor, times

DELTA, ALPHA, RATE = 0.7, 0.2, 0.05


def scored(draw: Draw, loss: losses.Loss, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Random scores and targets of the loss's domain; real targets have the scores' class axis if there is one."""
    scores = draw.normal(SAMPLES, classes) if loss.class_axis else draw.normal(SAMPLES)
    if loss.class_axis and loss.labels == "classes" and isinstance(loss, losses.SquaredError):
        return scores, draw.normal(SAMPLES, classes)
    return scores, draw.targets(loss.labels, SAMPLES, classes)


def against(
    ours: losses.Loss, theirs: Callable[[Tensor, Tensor], object], factor: float = 1.0, classes: int = CLASSES
) -> Callable[[Draw], Compared]:
    """theirs(scores, targets) = factor · the mean of ours."""

    def compare(draw: Draw) -> Compared:
        scores, targets = scored(draw, ours, classes)
        value = ours(scores, targets)
        found = theirs(scores, targets)
        return same(found, value) if factor == 1 else times(found, factor, value)

    return compare


def in_numpy(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Tensor, Tensor], object]:
    """The mean of a formula of the notes for one sample, L = 1/N Σ_i L_i."""
    return lambda scores, targets: np.mean(
        [formula(f, y) for f, y in zip(scores.numpy(), targets.numpy(), strict=True)]
    )


def one_pass(ours: losses.Loss, estimator: str, factor: float = 1.0, **options: object) -> Callable[[Draw], Compared]:
    """The weights after one pass of single-sample steps at a constant rate: the factor stands on the rate."""

    def compare(draw: Draw) -> Compared:
        features, targets = draw.normal(SAMPLES, FEATURES), draw.targets(ours.labels, SAMPLES)
        theirs = getattr(linear_model, estimator)(
            penalty=None, learning_rate="constant", eta0=RATE, shuffle=False, max_iter=1, tol=None, **options
        ).fit(features.numpy(), targets.numpy())

        def weights(rate: float) -> Tensor:
            model = (LinearRegression if ours.labels == "real" else LogisticRegression)(FEATURES, dtype=torch.float64)
            step = ByHand(model, ours, None, GradientDescent())
            for i in range(SAMPLES):
                step.step(features[i : i + 1], targets[i : i + 1], rate)
            return torch.cat([model.weight.detach().flatten(), model.bias.detach()])

        found = tensor(np.append(theirs.coef_.ravel(), theirs.intercept_))
        return Compared(found, weights(factor * RATE), None if factor == 1 else weights(RATE))

    return compare


def huber_regressor(draw: Draw) -> Compared:
    """Their objective at σ = 1 and α = 0, less the N that it starts with."""
    scores, targets = scored(draw, losses.Huber())
    objective, _ = _huber_loss_and_gradient(
        np.array([1.0, 0.0, 1.0]), scores.numpy()[:, None], targets.numpy(), DELTA, 0.0, np.ones(SAMPLES)
    )
    return times(objective - SAMPLES, 2 * SAMPLES, losses.Huber(DELTA)(scores, targets))


def kl_divergence(draw: Draw, default: bool) -> Compared:
    """The cross-entropy between distributions, less the entropy of the targets."""
    scores, targets = draw.normal(SAMPLES, CLASSES), draw.distributions(SAMPLES, CLASSES)
    entropy = -(targets * targets.log()).sum(-1).mean()
    ours = losses.CrossEntropy()(scores, targets)
    if not default:
        theirs = nn.KLDivLoss(reduction="batchmean")(scores.log_softmax(-1), targets)
        return Compared(theirs, ours - entropy, ours)
    theirs = (targets * (targets.log() - scores.log_softmax(-1))).mean()  # KLDivLoss() is this, and warns
    return Compared(theirs, (ours - entropy) / CLASSES, ours)


def smoothed(scores: Tensor, targets: Tensor) -> object:
    return nn.CrossEntropyLoss(label_smoothing=ALPHA)(scores, targets)


def largest_term(draw: Draw) -> Compared:
    """scikit-learn's multiclass hinge_loss takes the strongest rival alone."""
    scores, targets = scored(draw, losses.MulticlassHinge())
    theirs = metrics.hinge_loss(targets.numpy(), scores.numpy(), labels=range(CLASSES))
    true = scores.gather(-1, targets.unsqueeze(-1))
    rivals = scores.scatter(-1, targets.unsqueeze(-1), -math.inf)
    return Compared(
        tensor(theirs),
        (1 + rivals.amax(-1, keepdim=True) - true).clamp(min=0).mean(),
        losses.MulticlassHinge()(scores, targets),
    )


def two_classes(draw: Draw) -> Compared:
    """With two classes there is one rival, and the largest term is the sum."""
    scores, targets = scored(draw, losses.MulticlassHinge(), classes=2)
    difference = (scores[:, 1] - scores[:, 0]).numpy()
    return same(metrics.hinge_loss(targets.numpy(), difference), losses.MulticlassHinge()(scores, targets))


def many_labels(theirs: Callable[[Tensor, Tensor], object], factor: float = 1.0) -> Callable[[Draw], Compared]:
    """Every column a label of its own."""

    def compare(draw: Draw) -> Compared:
        scores = draw.normal(SAMPLES, CLASSES)
        targets = torch.stack([draw.targets("bits", SAMPLES) for _ in range(CLASSES)], -1)
        ours = losses.OneVsAllCrossEntropy()(scores, targets)
        found = theirs(scores, targets)
        return same(found, ours) if factor == 1 else times(found, factor, ours)

    return compare


def without_ignored(draw: Draw) -> Compared:
    """Every fourth sample left out."""
    scores, targets = scored(draw, losses.CrossEntropy())
    targets[::4] = -100
    return same(nn.CrossEntropyLoss()(scores, targets), losses.CrossEntropy(ignore_index=-100)(scores, targets))


def embedding(draw: Draw) -> Compared:
    scores, targets = scored(draw, losses.Hinge())
    by_formula = torch.where(targets > 0, scores, (DELTA - scores).clamp(min=0)).mean()
    return Compared(
        nn.HingeEmbeddingLoss(margin=DELTA)(scores, targets), by_formula, losses.Hinge(DELTA)(scores, targets)
    )


def sigmoid(f: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-f))


def rivals_of(f: np.ndarray, y: int, delta: float = 1.0) -> np.ndarray:
    margins = np.maximum(0, f - f[y] + delta)
    margins[y] = 0
    return margins


def one_against_all(f: np.ndarray, y: int) -> np.ndarray:
    signs = np.where(np.arange(len(f)) == y, 1.0, -1.0)
    return np.sum(np.maximum(0, 1 - signs * f))


SQUARED, ROWS, HALF = losses.SquaredError(), losses.SquaredError(classes=True), losses.SquaredError(half=True)

LINES: list[Line] = [
    Line(
        "squared-error",
        "CS231n",
        "`np.sum((f - y)**2)`",
        SAME,
        (
            "With `classes=True`, the sum over the outputs. Its text gives the gradient as f − y; of this formula it "
            "is 2(f − y)."
        ),
        against(ROWS, in_numpy(lambda f, y: np.sum((f - y) ** 2))),
    ),
    Line("squared-error", "torch", "`MSELoss()`, one output", SAME, "", against(SQUARED, nn.MSELoss())),
    Line(
        "squared-error",
        "torch",
        "`MSELoss()`, C outputs",
        "ours / C",
        "Theirs is the mean over samples and outputs; ours (`classes=True`) sums over the outputs.",
        against(ROWS, nn.MSELoss(), 1 / CLASSES),
    ),
    Line(
        "squared-error",
        "scikit-learn",
        "`mean_squared_error(y, s)`",
        SAME,
        "",
        against(SQUARED, lambda s, y: metrics.mean_squared_error(y, s)),
    ),
    Line(
        "squared-error",
        "scikit-learn",
        "`mean_squared_error(y, s)`, C outputs",
        "ours / C",
        'Its default `multioutput="uniform_average"`.',
        against(ROWS, lambda s, y: metrics.mean_squared_error(y, s), 1 / CLASSES),
    ),
    Line(
        "squared-error",
        "scikit-learn",
        "`HalfSquaredError`",
        "½ ours",
        "Ours with `half=True`.",
        against(SQUARED, lambda s, y: sklearn_losses.HalfSquaredError().loss(y.numpy(), s.numpy()).mean(), 0.5),
    ),
    Line(
        "squared-error",
        "scikit-learn",
        '`SGDRegressor(loss="squared_error")`',
        "½ ours",
        "So the rate `eta0` there is half of ours; with `half=True` they are equal.",
        one_pass(SQUARED, "SGDRegressor", 0.5),
    ),
    Line(
        "absolute-error",
        "CS231n",
        "`np.sum(np.abs(f - y))`",
        SAME,
        "For one output; ours has no class axis.",
        against(losses.AbsoluteError(), in_numpy(lambda f, y: np.sum(np.abs(f - y)))),
    ),
    Line("absolute-error", "torch", "`L1Loss()`", SAME, "", against(losses.AbsoluteError(), nn.L1Loss())),
    Line(
        "absolute-error",
        "scikit-learn",
        "`mean_absolute_error(y, s)`",
        SAME,
        "",
        against(losses.AbsoluteError(), lambda s, y: metrics.mean_absolute_error(y, s)),
    ),
    Line(
        "absolute-error",
        "scikit-learn",
        '`SGDRegressor(loss="epsilon_insensitive", epsilon=0)`',
        SAME,
        "",
        one_pass(losses.AbsoluteError(), "SGDRegressor", loss="epsilon_insensitive", epsilon=0.0),
    ),
    Line("huber", "CS231n", NONE, says="The notes have the squared and the absolute error alone."),
    Line("huber", "torch", "`HuberLoss(delta=δ)`", SAME, "", against(losses.Huber(DELTA), nn.HuberLoss(delta=DELTA))),
    Line(
        "huber",
        "torch",
        "`SmoothL1Loss(beta=δ)`",
        "ours / δ",
        "The slope far away is 1 there and δ here; equal only at δ = 1.",
        against(losses.Huber(DELTA), nn.SmoothL1Loss(beta=DELTA), 1 / DELTA),
    ),
    Line(
        "huber",
        "scikit-learn",
        '`SGDRegressor(loss="huber", epsilon=δ)`',
        SAME,
        "",
        one_pass(losses.Huber(DELTA), "SGDRegressor", loss="huber", epsilon=DELTA),
    ),
    Line(
        "huber",
        "scikit-learn",
        "`HuberRegressor(epsilon=δ)`",
        "2N ours",
        "With its scale σ held at 1 (it fits σ as well, and divides the residuals by it), and without the constant Nσ.",
        huber_regressor,
    ),
    Line(
        "binary-cross-entropy",
        "CS231n",
        "`y*np.log(sigmoid(f)) + (1-y)*np.log(1-sigmoid(f))`",
        "−ours",
        (
            "The notes leave out the minus: this is the log-likelihood, to be maximised, and its gradient y − σ(f) has "
            "the other sign."
        ),
        against(
            losses.BinaryCrossEntropy(),
            in_numpy(lambda f, y: y * np.log(sigmoid(f)) + (1 - y) * np.log(1 - sigmoid(f))),
            -1.0,
        ),
    ),
    Line(
        "binary-cross-entropy",
        "torch",
        "`BCEWithLogitsLoss()`",
        SAME,
        "",
        against(losses.BinaryCrossEntropy(), nn.BCEWithLogitsLoss()),
    ),
    Line(
        "binary-cross-entropy",
        "torch",
        "`BCELoss()`",
        SAME,
        "It takes probabilities, σ(s), and cuts its logarithms at −100.",
        against(losses.BinaryCrossEntropy(), lambda s, y: nn.BCELoss()(s.sigmoid(), y)),
    ),
    Line(
        "binary-cross-entropy",
        "scikit-learn",
        "`log_loss(y, p)`",
        SAME,
        "It takes probabilities.",
        against(losses.BinaryCrossEntropy(), lambda s, y: metrics.log_loss(y, s.sigmoid())),
    ),
    Line(
        "binary-cross-entropy",
        "scikit-learn",
        "`HalfBinomialLoss`",
        SAME,
        "Half of the deviance, which is 2 ours: there is no ½ in the formula.",
        against(
            losses.BinaryCrossEntropy(),
            lambda s, y: sklearn_losses.HalfBinomialLoss().loss(y.numpy(), s.numpy()).mean(),
        ),
    ),
    Line("logistic", "CS231n", NONE, says="The notes write it with labels 0 and 1: see binary-cross-entropy."),
    Line("logistic", "torch", "`SoftMarginLoss()`", SAME, "", against(losses.Logistic(), nn.SoftMarginLoss())),
    Line(
        "logistic",
        "scikit-learn",
        '`SGDClassifier(loss="log_loss")`',
        SAME,
        "",
        one_pass(losses.Logistic(), "SGDClassifier", loss="log_loss"),
    ),
    Line(
        "hinge",
        "CS231n",
        "`C * np.maximum(0, 1 - y*f)`",
        "C ours",
        "Beside R(W): ours with strength 1/C gives the same minimum.",
        against(losses.Hinge(), in_numpy(lambda f, y: 5.0 * np.maximum(0, 1 - y * f)), 5.0),
    ),
    Line(
        "hinge",
        "torch",
        "`MarginRankingLoss(margin=Δ)(s, 0, y)`",
        SAME,
        "",
        against(losses.Hinge(DELTA), lambda s, y: nn.MarginRankingLoss(margin=DELTA)(s, torch.zeros_like(s), y)),
    ),
    Line(
        "hinge",
        "torch",
        "`HingeEmbeddingLoss(margin=Δ)`",
        "another loss",
        "s where y = 1, max(0, Δ − s) where y = −1: s is a distance and not a score.",
        embedding,
    ),
    Line(
        "hinge",
        "scikit-learn",
        "`hinge_loss(y, s)`",
        SAME,
        "Δ is 1.",
        against(losses.Hinge(), lambda s, y: metrics.hinge_loss(y, s)),
    ),
    Line(
        "hinge",
        "scikit-learn",
        '`SGDClassifier(loss="hinge")`',
        SAME,
        "",
        one_pass(losses.Hinge(), "SGDClassifier", loss="hinge"),
    ),
    Line(
        "hinge",
        "scikit-learn",
        '`SGDClassifier(loss="squared_hinge")`',
        SAME,
        "Ours with `power=2`; it is also what `LinearSVC` minimises by default.",
        one_pass(losses.Hinge(power=2), "SGDClassifier", loss="squared_hinge"),
    ),
    Line("perceptron", "CS231n", NONE),
    Line(
        "perceptron",
        "torch",
        "`MarginRankingLoss(margin=0)(s, 0, y)`",
        SAME,
        "The value; at a score of exactly 0 ours pulls.",
        against(losses.Perceptron(), lambda s, y: nn.MarginRankingLoss()(s, torch.zeros_like(s), y)),
    ),
    Line(
        "perceptron",
        "scikit-learn",
        '`SGDClassifier(loss="perceptron")`',
        SAME,
        "From weights of 0 too: a score of 0 is an error on both sides.",
        one_pass(losses.Perceptron(), "SGDClassifier", loss="perceptron"),
    ),
    Line(
        "zero-one",
        "CS231n",
        "`1 - np.mean(predicted == y)`",
        SAME,
        "One minus the accuracy.",
        against(losses.ZeroOne(), lambda s, y: 1 - np.mean(np.where(s.numpy() > 0, 1, -1) == y.numpy())),
    ),
    Line("zero-one", "torch", NONE, says="`(predicted != y).double().mean()`"),
    Line(
        "zero-one",
        "scikit-learn",
        "`zero_one_loss(y, predicted)`",
        SAME,
        "It takes labels. A score of exactly 0 is an error here, whatever the label.",
        against(losses.ZeroOne(), lambda s, y: metrics.zero_one_loss(y, torch.where(s > 0, 1.0, -1.0))),
    ),
    Line(
        "cross-entropy",
        "CS231n",
        "`-np.log(np.exp(f[y]) / np.sum(np.exp(f)))`",
        SAME,
        "",
        against(losses.CrossEntropy(), in_numpy(lambda f, y: -np.log(np.exp(f[y]) / np.sum(np.exp(f))))),
    ),
    Line(
        "cross-entropy",
        "torch",
        "`CrossEntropyLoss()`",
        SAME,
        "It takes scores as well: no softmax before it.",
        against(losses.CrossEntropy(), nn.CrossEntropyLoss()),
    ),
    Line(
        "cross-entropy",
        "torch",
        "`CrossEntropyLoss(label_smoothing=α)`",
        SAME,
        "The α is shared among all C classes, the true one among them.",
        against(losses.CrossEntropy(ALPHA), smoothed),
    ),
    Line(
        "cross-entropy",
        "torch",
        "`CrossEntropyLoss(ignore_index=-100)`",
        SAME,
        "The mean is that of the other samples. Theirs ignores −100 by default; ours ignores none by default.",
        without_ignored,
    ),
    Line(
        "cross-entropy",
        "torch",
        "`NLLLoss()`",
        SAME,
        "It takes log p: `log_softmax(s)`.",
        against(losses.CrossEntropy(), lambda s, y: nn.NLLLoss()(s.log_softmax(-1), y)),
    ),
    Line(
        "cross-entropy",
        "torch",
        '`KLDivLoss(reduction="batchmean")`',
        "ours − H(q)",
        "Of log p and distributions q, with H(q) their mean entropy: the same gradient.",
        lambda draw: kl_divergence(draw, default=False),
    ),
    Line(
        "cross-entropy",
        "torch",
        "`KLDivLoss()`",
        "(ours − H(q)) / C",
        "Its default divides by the number of entries, N·C.",
        lambda draw: kl_divergence(draw, default=True),
    ),
    Line(
        "cross-entropy",
        "scikit-learn",
        "`log_loss(y, p)`",
        SAME,
        "It takes probabilities.",
        against(losses.CrossEntropy(), lambda s, y: metrics.log_loss(y, s.softmax(-1), labels=range(CLASSES))),
    ),
    Line(
        "cross-entropy",
        "scikit-learn",
        "`HalfMultinomialLoss`",
        SAME,
        "Half of the deviance: there is no ½ in the formula.",
        against(
            losses.CrossEntropy(),
            lambda s, y: (
                sklearn_losses.HalfMultinomialLoss(n_classes=CLASSES)
                .loss(y.double().numpy(), np.asfortranarray(s.numpy()))
                .mean()
            ),
        ),
    ),
    Line(
        "multiclass-hinge",
        "CS231n",
        "`np.sum(margins)` over j ≠ y",
        SAME,
        "Weston and Watkins.",
        against(losses.MulticlassHinge(), in_numpy(lambda f, y: np.sum(rivals_of(f, y)))),
    ),
    Line(
        "multiclass-hinge",
        "CS231n",
        "`np.sum(margins**2)`",
        SAME,
        "The squared hinge (L2-SVM): ours with `power=2`.",
        against(losses.MulticlassHinge(power=2), in_numpy(lambda f, y: np.sum(rivals_of(f, y) ** 2))),
    ),
    Line(
        "multiclass-hinge",
        "torch",
        "`MultiMarginLoss(margin=Δ)`",
        "ours / C",
        'Ours with `over="classes"`; the sum has C − 1 terms, and C is what torch divides by.',
        against(losses.MulticlassHinge(DELTA), nn.MultiMarginLoss(margin=DELTA), 1 / CLASSES),
    ),
    Line(
        "multiclass-hinge",
        "torch",
        "`MultiMarginLoss(p=2)`",
        "ours / C",
        "The squared hinge.",
        against(losses.MulticlassHinge(power=2), nn.MultiMarginLoss(p=2), 1 / CLASSES),
    ),
    Line(
        "multiclass-hinge",
        "scikit-learn",
        "`hinge_loss(y, s)`, C > 2",
        "another loss",
        (
            "The largest of our terms and not their sum (Crammer and Singer), as "
            '`LinearSVC(multi_class="crammer_singer")`.'
        ),
        largest_term,
    ),
    Line(
        "multiclass-hinge",
        "scikit-learn",
        "`hinge_loss(y, s₁ − s₀)`, C = 2",
        SAME,
        "With two classes there is one rival.",
        two_classes,
    ),
    Line(
        "one-vs-all-cross-entropy",
        "CS231n",
        NONE,
        says="Its formula for attributes is that of binary-cross-entropy, summed over the attributes.",
    ),
    Line(
        "one-vs-all-cross-entropy",
        "torch",
        "`BCEWithLogitsLoss()`, C outputs",
        "ours / C",
        "Theirs is the mean over samples and labels; ours sums over the labels.",
        many_labels(nn.BCEWithLogitsLoss(), 1 / CLASSES),
    ),
    Line(
        "one-vs-all-cross-entropy",
        "torch",
        "`MultiLabelSoftMarginLoss()`",
        "ours / C",
        "",
        many_labels(nn.MultiLabelSoftMarginLoss(), 1 / CLASSES),
    ),
    Line(
        "one-vs-all-cross-entropy",
        "scikit-learn",
        "`log_loss` of each label, summed",
        SAME,
        "What `OneVsRestClassifier(LogisticRegression())` fits. Its `score` is the share of samples with every label "
        "right, `metrics.subset_accuracy`; our `label_accuracy` is 1 − `hamming_loss`.",
        many_labels(lambda s, y: sum(metrics.log_loss(y[:, j], s[:, j].sigmoid()) for j in range(CLASSES))),
    ),
    Line(
        "one-vs-all-hinge",
        "CS231n",
        "`np.sum(np.maximum(0, 1 - signs*f))`",
        SAME,
        "Its formula for attributes, each class being one.",
        against(losses.OneVsAllHinge(), in_numpy(one_against_all)),
    ),
    Line(
        "one-vs-all-hinge",
        "torch",
        NONE,
        says="`MultiLabelMarginLoss` compares scores with one another, as the multiclass hinge does.",
    ),
    Line(
        "one-vs-all-hinge",
        "scikit-learn",
        "`hinge_loss` of each class against the rest, summed",
        SAME,
        "What `LinearSVC` and `SGDClassifier` fit by default; their C and alpha are under l2.",
        against(losses.OneVsAllHinge(), lambda s, y: sum(metrics.hinge_loss(y == j, s[:, j]) for j in range(CLASSES))),
    ),
]
