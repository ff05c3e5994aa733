"""The linear models of the course: scores = x Wᵀ + b, and what each predicts from them."""

from __future__ import annotations

from torch import Tensor

from .. import errors
from ..activations import Activation, Sigmoid, Softmax
from ..layers import Linear
from .base import Model


class LinearModel(Linear, Model):
    """scores = x Wᵀ + b, without the axis of outputs where there is one. See `Linear` for parameters and gradients."""

    def __init__(self, features: int, outputs: int, **options: object) -> None:
        super().__init__(features, outputs, **options)  # type: ignore[arg-type]
        self.one_output = outputs == 1

    def forward(self, features: Tensor) -> Tensor:
        """Returns the scores, (*runs, samples, outputs); (*runs, samples) for one output."""
        scores = super().forward(features)
        return scores.squeeze(-1) if self.one_output else scores

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        return super().gradients(features, upstream.unsqueeze(-1) if self.one_output else upstream)

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        return super().input_gradient(features, upstream.unsqueeze(-1) if self.one_output else upstream)


class LinearRegression(LinearModel):
    """A real prediction: the score itself. With squared error: least squares.

    `score` is R² = 1 − Σ(y − s)² / Σ(y − ȳ)²: 1 is perfect, 0 no better than the mean of the targets.
    """

    def __init__(self, features: int, outputs: int = 1, **options: object) -> None:
        super().__init__(features, outputs, **options)


class LogisticRegression(LinearModel):
    """One neuron: P(y = 1 | x) = σ(w·x + b). With `BinaryCrossEntropy`: maximum likelihood.

    Parameters
    ----------
    predicts : "bits" {0, 1}, for `BinaryCrossEntropy` and squared error, or "signs" {−1, +1}, for `Logistic` and
        `Hinge`
    outputs : more than one for samples with several labels, a neuron for each; with `OneVsAllCrossEntropy`
    """

    def __init__(self, features: int, predicts: str = "bits", outputs: int = 1, **options: object) -> None:
        super().__init__(features, outputs, **options)
        self.predicts = check_two_classes(predicts)

    @property
    def link(self) -> Activation:
        return Sigmoid()


class SoftmaxClassifier(LinearModel):
    """One score a class, P(y = j | x) = softmax(scores)_j. With `CrossEntropy`: multinomial logistic regression.

    Only differences of rows matter: with two classes it is `LogisticRegression` with w₁ − w₀ and b₁ − b₀.
    """

    predicts = "classes"

    def __init__(self, features: int, classes: int, **options: object) -> None:
        super().__init__(features, classes, **options)
        self.one_output = False

    @property
    def link(self) -> Activation:
        return Softmax()


class LinearSVM(LinearModel):
    """A support vector machine without a kernel: a hinge loss, with an L2 penalty that widens the margin.

    It gives no probabilities: a hinge only requires the margin.

    Parameters
    ----------
    classes : 2: one score, for `Hinge`; more: one score a class and class indices, for `MulticlassHinge`
    predicts : of two classes, "signs" {−1, +1}, or "bits" {0, 1}
    labels : in place of classes: for samples with several labels, one score and one bit for each; with `OneVsAllHinge`
    """

    def __init__(
        self, features: int, classes: int = 2, predicts: str = "signs", labels: int | None = None, **options: object
    ) -> None:
        super().__init__(features, labels or (1 if classes == 2 else classes), **options)
        if labels is not None:
            self.predicts, self.one_output = "bits", False
        else:
            self.predicts = check_two_classes(predicts) if self.one_output else "classes"


def check_two_classes(kind: str) -> str:
    """Returns "bits" or "signs". Raises ConfigError for another word."""
    if kind not in ("bits", "signs"):
        raise errors.ConfigError(
            f"Two classes are predicts='bits' for 0 and 1, or predicts='signs' for -1 and +1; got {kind!r}."
        )
    return kind
