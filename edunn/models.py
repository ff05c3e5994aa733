"""Models: linear ones, scores = x Wᵀ + b, and what each makes of them; and a net of two layers.

Every model is a torch module with ordinary parameters, and gives `gradients(features, upstream)` by hand. A one-output
model drops the last axis of its scores and keeps weight (1, features) and bias (1,). The loss is chosen apart: what a
model adds to its scores is only how a prediction is read off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from . import errors
from .activations import ACTIVATIONS, Activation, Identity, Sigmoid, Softmax
from .layers import BatchNorm, Chain, Dropout, Linear, starting_scale


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
        errors.check_targets_shape(decided, targets, class_axis=False)  # (n,) == (n, 1) would compare each with each
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
        return r_squared(scores, targets, self.one_output)


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


class TwoLayerNet(Chain):
    """scores = W₂ f(W₁ x + b₁) + b₂: linear, activation, linear; what lies between may be normalised and thinned out.

    Backwards, with z = W₁ x + b₁, h = f(z) and U = ∂L/∂scores of shape (samples, outputs):

        ∂L/∂W₂ = Uᵀ h,  ∂L/∂b₂ = Σ_i u_i,  V = (U W₂) ∘ f'(z),  ∂L/∂W₁ = Vᵀ x,  ∂L/∂b₁ = Σ_i v_i

    Each line is one layer's own (`Linear`, the activation); `Chain` joins them.

    Parameters
    ----------
    features, outputs : the sizes; one output drops the last axis of the scores
    hidden : how many units lie between
    activation : f, by name (see `edunn.activations`) or as an object
    dropout : the share of hidden units dropped while training
    batchnorm : normalise z before the activation
    scale : of the starting weights: "auto" (kaiming before ReLU, else xavier), "kaiming", "xavier", or a number
    labels : how a prediction is read off: "classes" (the largest score), "bits" (score > 0), "signs", "real" (the score
        itself); by default "classes", and "bits" for one output
    seed : of the starting weights and the dropout masks

    Parameters are called hidden.weight, hidden.bias, output.weight, output.bias (and batchnorm.scale, .shift).
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: int = 100,
        activation: str | Activation = "relu",
        dropout: float = 0.0,
        batchnorm: bool = False,
        scale: str | float = "auto",
        labels: str | None = None,
        seed: int = 0,
        runs: tuple[int, ...] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise errors.ConfigError(
                    f"Expected an activation; got {activation!r}. {errors.nearest(activation, ACTIVATIONS)}"
                )
            activation = ACTIVATIONS[activation]()
        labels = labels or ("bits" if outputs == 1 else "classes")
        if labels not in ("classes", "bits", "signs", "real"):
            raise errors.ConfigError(f"Expected labels classes, bits, signs or real; got {labels!r}.")
        first = starting_scale(scale, activation, features, hidden)
        second = starting_scale(scale, Identity(), hidden, outputs)
        # every layer draws from a stream of its own; the same seed in both would start them with the same numbers
        layers: dict[str, torch.nn.Module] = {
            "hidden": Linear(features, hidden, scale=first, seed=seed, runs=runs, dtype=dtype, device=device)
        }
        if batchnorm:
            layers["batchnorm"] = BatchNorm(hidden, runs=runs, dtype=dtype, device=device)
        layers["activation"] = activation
        if dropout:
            layers["dropout"] = Dropout(dropout, seed=seed + 2)
        layers["output"] = Linear(hidden, outputs, scale=second, seed=seed + 1, runs=runs, dtype=dtype, device=device)
        super().__init__(**layers)
        self.labels = labels
        self.one_output = outputs == 1
        self.metric = "r2" if labels == "real" else "accuracy"

    def forward(self, features: Tensor) -> Tensor:
        """Scores, (*runs, samples, outputs); (*runs, samples) for one output."""
        scores = super().forward(features)
        return scores.squeeze(-1) if self.one_output else scores

    def descend_layers(
        self, features: Tensor, upstream: Tensor, to_input: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        return super().descend_layers(features, upstream.unsqueeze(-1) if self.one_output else upstream, to_input)

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """The predicted target of each sample, without dropout and with the running statistics."""
        with evaluating(self):
            return self.decide(self(features))

    def decide(self, scores: Tensor) -> Tensor:
        """From scores to predictions."""
        if self.labels == "classes":
            return scores.argmax(-1)
        return scores if self.labels == "real" else by_sign(scores, self.labels)

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """P(y | x), for a net trained with cross-entropy: softmax of the scores, or σ of a single one."""
        with evaluating(self):
            scores = self(features)
        return torch.sigmoid(scores) if self.one_output else torch.softmax(scores, -1)

    @torch.no_grad()
    def score(self, features: Tensor, targets: Tensor) -> Tensor:
        """The share of right predictions, or R² for real targets, of shape `runs`."""
        with evaluating(self):
            return self.rate(self(features), targets)

    def rate(self, scores: Tensor, targets: Tensor) -> Tensor:
        """`score`, from scores that are at hand."""
        if self.labels == "real":
            return r_squared(scores, targets, self.one_output)
        decided = self.decide(scores)
        errors.check_targets_shape(decided, targets, class_axis=False)
        return (decided == targets).to(scores.dtype).mean(-1)


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model as it is used: no dropout, running statistics. Its mode is put back afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def r_squared(scores: Tensor, targets: Tensor, one_output: bool) -> Tensor:
    """R² = 1 − Σ(y − s)² / Σ(y − ȳ)², of shape `runs`; the mean of the outputs' where there are several."""
    errors.check_targets_shape(scores, targets, class_axis=not one_output, rows=not one_output)
    if not one_output:  # as scikit-learn
        scores, targets = scores.mT, targets.mT
    targets = targets.to(scores.dtype)  # whole numbers have no mean
    left = ((targets - scores) ** 2).sum(-1)
    spread = ((targets - targets.mean(-1, keepdim=True)) ** 2).sum(-1)
    # constant targets have no spread to explain (but their mean's rounding): 1 if they are met exactly, else 0, as in
    # scikit-learn
    varied = (targets != targets[..., :1]).any(-1)
    ratio = torch.where(varied, 1 - left / spread.where(varied, 1), (left == 0).to(scores.dtype))
    return ratio if one_output else ratio.mean(-1)


def check_labels(labels: str) -> str:
    """The two conventions for two classes."""
    if labels not in ("bits", "signs"):
        raise errors.ConfigError(
            f"Expected labels='bits' for 0 and 1, or labels='signs' for -1 and +1; got {labels!r}."
        )
    return labels


MODELS: dict[str, type[LinearModel] | type[TwoLayerNet]] = {
    "linear-regression": LinearRegression,
    "logistic-regression": LogisticRegression,
    "softmax": SoftmaxClassifier,
    "svm": LinearSVM,
    "two-layer": TwoLayerNet,
}
