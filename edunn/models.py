"""Linear models: scores = x Wᵀ + b, and what each makes of them.

Every model is a torch module with ordinary parameters, and gives `gradients(features, upstream)` by hand. A one-output
model drops the last axis of its scores and keeps weight (1, features) and bias (1,). The loss is chosen apart: what a
model adds to its scores is only how a prediction is read off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .activations import Sigmoid, Softmax
from .errors import ConfigError, check_targets_shape
from .layers import Linear


class LinearModel(Linear):
    """What the linear models share. See `Linear` for the parameters, shapes and gradients."""

    metric = "accuracy"  # what `score` is

    @property
    def one_output(self) -> bool:
        return self.weight.shape[-2] == 1

    def forward(self, features: Tensor) -> Tensor:
        """Scores, (*runs, samples, outputs); (*runs, samples) for one output."""
        scores = super().forward(features)
        return scores.squeeze(-1) if self.one_output else scores

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return super().gradients(features, upstream.unsqueeze(-1) if self.one_output else upstream)

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        return super().input_gradient(features, upstream.unsqueeze(-1) if self.one_output else upstream)

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """The predicted target of each sample, (*runs, samples)."""
        return self.decide(self(features))

    def decide(self, scores: Tensor) -> Tensor:
        """From scores to predictions: the class with the largest score."""
        return scores.argmax(-1)

    @torch.no_grad()
    def score(self, features: Tensor, targets: Tensor) -> Tensor:
        """The share of right predictions, of shape `runs`."""
        return self.rate(self(features), targets)

    def rate(self, scores: Tensor, targets: Tensor) -> Tensor:
        """`score`, from scores that are at hand."""
        decided = self.decide(scores)
        check_targets_shape(decided, targets, event=0)  # (n,) == (n, 1) would compare each with each
        return (decided == targets).to(scores.dtype).mean(-1)


class LinearRegression(LinearModel):
    """A real prediction: the score itself. With squared error: least squares.

    `score` is R² = 1 − Σ(y − s)² / Σ(y − ȳ)²: 1 is perfect, 0 no better than the mean of the targets.
    """

    metric = "r2"

    def __init__(self, features: int, outputs: int = 1, **options: object) -> None:
        super().__init__(features, outputs, **options)  # type: ignore[arg-type]

    def decide(self, scores: Tensor) -> Tensor:
        return scores

    def rate(self, scores: Tensor, targets: Tensor) -> Tensor:
        check_targets_shape(scores, targets, event=int(not self.one_output), rows=not self.one_output)
        if not self.one_output:  # as scikit-learn: the mean of the outputs' R²
            scores, targets = scores.mT, targets.mT
        left = ((targets - scores) ** 2).sum(-1)
        spread = ((targets - targets.mean(-1, keepdim=True)) ** 2).sum(-1)
        # constant targets have no spread to explain (but rounding of their mean): 1 if they are met exactly, else 0, as
        # in scikit-learn
        varied = (targets != targets[..., :1]).any(-1)
        ratio = torch.where(varied, 1 - left / spread.where(varied, 1), (left == 0).to(scores.dtype))
        return ratio if self.one_output else ratio.mean(-1)


class LogisticRegression(LinearModel):
    """One neuron: P(y = 1 | x) = σ(w·x + b). With `BinaryCrossEntropy`: maximum likelihood.

    Parameters
    ----------
    labels : "bits" {0, 1}, for `BinaryCrossEntropy` and squared error, or "signs" {−1, +1}, for `Logistic` and `Hinge`
    """

    def __init__(self, features: int, labels: str = "bits", **options: object) -> None:
        super().__init__(features, 1, **options)  # type: ignore[arg-type]
        self.labels = check_labels(labels)
        self.link = Sigmoid()

    def decide(self, scores: Tensor) -> Tensor:
        return by_sign(scores, self.labels)

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """P(y = 1 | x), (*runs, samples)."""
        return self.link(self(features))


class SoftmaxClassifier(LinearModel):
    """One score a class, P(y = j | x) = softmax(scores)_j. With `CrossEntropy`: multinomial logistic regression.

    Only differences of rows matter: with two classes it is `LogisticRegression` with w₁ − w₀ and b₁ − b₀.
    """

    def __init__(self, features: int, classes: int, **options: object) -> None:
        super().__init__(features, classes, **options)  # type: ignore[arg-type]
        self.link = Softmax()

    @property
    def one_output(self) -> bool:
        return False

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """P(y = j | x), (*runs, samples, classes)."""
        return self.link(self(features))


class LinearSVM(LinearModel):
    """A support vector machine without a kernel: a hinge loss, with an L2 penalty that widens the margin.

    There are no probabilities: a hinge does not ask how sure, only whether by the margin.

    Parameters
    ----------
    classes : 2: one score, for `Hinge`; more: one score a class and class indices, for `MulticlassHinge`
    labels : of two classes, "signs" {−1, +1}, or "bits" {0, 1}
    """

    def __init__(self, features: int, classes: int = 2, labels: str = "signs", **options: object) -> None:
        super().__init__(features, 1 if classes == 2 else classes, **options)  # type: ignore[arg-type]
        self.labels = check_labels(labels)

    def decide(self, scores: Tensor) -> Tensor:
        return by_sign(scores, self.labels) if self.one_output else scores.argmax(-1)


def by_sign(scores: Tensor, labels: str) -> Tensor:
    """The label that a score's sign stands for; a score of exactly 0 lies on the line and goes to the first class."""
    positive = (scores > 0).long()
    return positive if labels == "bits" else 2 * positive - 1


def check_labels(labels: str) -> str:
    """The two conventions for two classes."""
    if labels not in ("bits", "signs"):
        raise ConfigError(f"Expected labels='bits' for 0 and 1, or labels='signs' for -1 and +1; got {labels!r}.")
    return labels


MODELS: dict[str, type[LinearModel]] = {
    "linear-regression": LinearRegression,
    "logistic-regression": LogisticRegression,
    "softmax": SoftmaxClassifier,
    "svm": LinearSVM,
}
