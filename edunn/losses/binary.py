"""Losses for two classes and one score: cross-entropy for labels {0, 1}; logistic, hinge, perceptron, 0/1 for {−1, +1}.

The losses for labels ±1 are functions of the margin m = y·s, which is positive where the sign is right.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import errors
from .base import Loss

TO_SIGNS = "For labels 0 and 1 use 2*targets - 1."
TO_BITS = "For labels -1 and +1 use (targets + 1) / 2, or the loss Logistic."


def softplus(z: Tensor) -> Tensor:
    """Returns log(1 + e^z), finite at any z, with the derivative σ(z)."""
    # equals max(z, 0) + log(1 + e^−|z|): the exponential never exceeds 1; logaddexp is that, with the right derivative
    return torch.logaddexp(z, torch.zeros_like(z))


class BinaryCrossEntropy(Loss):
    """ℓ(s, y) = −y log σ(s) − (1 − y) log(1 − σ(s)) = log(1 + e^s) − y s: minus the log-probability of label y.

    ∂ℓ/∂s = σ(s) − y
    ∂²ℓ/∂s² = σ(s)(1 − σ(s)), at most 1/4

    Takes scores, not probabilities: −log(1 − σ(s)) computed literally is inf from s = 36.75 in float64 (16.7 in
    float32), where this is 36.75.

    Targets: 0 or 1, or a probability in between. For several bits a sample: `OneVsAllCrossEntropy`.

    torch: `BCEWithLogitsLoss()`; scikit-learn: `HalfBinomialLoss`, `log_loss` (of probabilities); others call it log
    loss. See Bishop, Pattern Recognition and Machine Learning, §4.3.2.
    """

    labels = "bits"
    convex = True
    smooth = True
    curvature_bound = 0.25
    pole, pole_order = math.pi, 0
    target_degree = 1
    unreachable: tuple[float, float] | None = (0.0, 1.0)
    soft_labels = True

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        # equals softplus(s) − y s with softplus(s) = max(s, 0) + log(1 + e^−|s|): no exponential exceeds 1, and
        # max(s, 0) − y s is exact for y in {0, 1}. s/2 + |s|/2 is max(s, 0), with autograd's derivative right at 0
        size = scores.abs()
        return scores / 2 + size / 2 - targets * scores + torch.log1p(torch.exp(-size))

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        # equals σ(s) − y, a difference that has no digits left where σ(s) has come close to y = 1
        return (1 - targets) * torch.sigmoid(scores) - targets * torch.sigmoid(-scores)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        # σ(s)σ(−s) = σ(s)(1 − σ(s)) without cancellation
        return torch.sigmoid(scores) * torch.sigmoid(-scores)

    def check_domain(self, targets: Tensor, classes: int) -> None:
        errors.check_interval(targets, 0.0, 1.0, TO_BITS)


class Logistic(Loss):
    """ℓ(s, y) = log(1 + e^{−y s}): cross-entropy written for labels ±1. The same number as `BinaryCrossEntropy`.

    ∂ℓ/∂s = −y σ(−y s)
    ∂²ℓ/∂s² = σ(s) σ(−s), at most 1/4

    torch: `SoftMarginLoss()`; scikit-learn: `SGDClassifier(loss="log_loss")`. See Hastie, Tibshirani & Friedman, The
    Elements of Statistical Learning, §10.6 (binomial deviance).
    """

    labels = "signs"
    convex = True
    smooth = True
    curvature_bound = 0.25
    pole, pole_order = math.pi, 0
    unreachable = (-1.0, 1.0)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return softplus(-targets * scores)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return -targets * torch.sigmoid(-targets * scores)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.sigmoid(scores) * torch.sigmoid(-scores)

    def check_domain(self, targets: Tensor, classes: int) -> None:
        errors.check_labels(targets, (-1.0, 1.0), TO_SIGNS)


class Hinge(Loss):
    """ℓ(s, y) = max(0, Δ − y s)^p: 0 once the margin y·s has reached Δ.

    ∂ℓ/∂s = −y p max(0, Δ − y s)^{p−1} where y s < Δ, else 0 (at the kink y s = Δ any value between is a subgradient)
    ∂²ℓ/∂s² = 0 for p = 1; 2 where y s < Δ for p = 2

    Parameters
    ----------
    margin : Δ ≥ 0. With an L2 penalty of strength λ and p = 1 only the product λΔ matters: cΔ and λ/c give weights c
        times as large, and the same boundary. For p = 2, Δ merely scales the weights.
    power : p, 1 (the hinge) or 2 (the squared hinge, smooth)

    torch: `MarginRankingLoss(margin=Δ)(s, 0, y)` for p = 1 (`HingeEmbeddingLoss` is another loss); scikit-learn:
    `LinearSVC(loss="hinge" | "squared_hinge")`, `hinge_loss`. See Hastie, Tibshirani & Friedman, The Elements of
    Statistical Learning, §12.3.2.
    """

    labels = "signs"
    convex = True
    form: str | None = "shortfall"

    def __init__(self, margin: float = 1.0, power: int = 1) -> None:
        super().__init__()
        check_hinge(margin, power)
        self.margin = margin
        self.power = power
        self.declare(Hinge, smooth=power == 2, curvature_bound=2.0 if power == 2 else 0.0)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        shortfall = self.shortfall(scores, targets)
        # equals max(0, shortfall); written so that autograd takes our side of the kink, and a nan stays one
        return shortfall.masked_fill(self.satisfied(shortfall), 0.0) ** self.power

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        shortfall = self.shortfall(scores, targets)
        slope = (~self.satisfied(shortfall)).to(scores.dtype) if self.power == 1 else 2 * shortfall.clamp(min=0)
        return -targets * slope

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        if self.power == 1:
            return torch.zeros_like(scores)
        return 2 * (~self.satisfied(self.shortfall(scores, targets))).to(scores.dtype)

    def shortfall(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns Δ − y s, by how much the score misses the margin."""
        return self.margin - targets * scores

    def kink(self, targets: Tensor) -> Tensor | None:
        return self.margin * targets if self.power == 1 else None

    def satisfied(self, shortfall: Tensor) -> Tensor:
        """Returns where Δ − y s ≤ 0: exactly at the margin the loss and its gradient are 0."""
        return shortfall <= 0

    def check_domain(self, targets: Tensor, classes: int) -> None:
        errors.check_labels(targets, (-1.0, 1.0), TO_SIGNS)


class Perceptron(Hinge):
    """ℓ(s, y) = max(0, −y s): the hinge with margin 0. A right sign has loss 0, however small the margin.

    ∂ℓ/∂s = −y where y s ≤ 0, else 0. With the hinge's choice of 0 at the kink s = 0, training
    from weights of zero would never start; here a score of 0 is an error, as in Rosenblatt's rule, with gradient −y.

    torch: none; scikit-learn: `SGDClassifier(loss="perceptron")`. See Bishop, Pattern Recognition and Machine Learning,
    §4.1.7.
    """

    def __init__(self) -> None:
        super().__init__(margin=0.0)

    def satisfied(self, shortfall: Tensor) -> Tensor:
        return shortfall < 0


class ZeroOne(Loss):
    """ℓ(s, y) = 1 where y s ≤ 0, else 0: the share of errors. A score of exactly 0 counts as an error.

    It has a value and no useful gradient: the derivative is 0 wherever it exists, and does not exist at s = 0, so
    descent would never take a step. Minimise a surrogate (logistic, hinge) and report this one.

    scikit-learn: `zero_one_loss`. See Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, §10.6.
    """

    labels = "signs"
    convex = False
    smooth = False
    flat = True
    form = "shortfall"
    power = 0

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        # y s ≤ 0; a score of nan counts as an error
        return (~self.satisfied(self.shortfall(scores, targets))).to(scores.dtype)

    def shortfall(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns −y s, the shortfall of a hinge with margin 0."""
        return -targets * scores

    def satisfied(self, shortfall: Tensor) -> Tensor:
        return shortfall < 0

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        raise errors.GradientError(
            "The zero-one loss has no useful gradient: it is 0 wherever it exists and undefined at a score of 0, so "
            "descent never moves. Minimise Logistic, Hinge or Perceptron, and report ZeroOne as the error rate."
        )

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        raise errors.GradientError("ZeroOne has no second derivative: it jumps at a score of 0.")

    def check_domain(self, targets: Tensor, classes: int) -> None:
        errors.check_labels(targets, (-1.0, 1.0), TO_SIGNS)


def check_hinge(margin: float, power: int) -> None:
    """Raises an error for a margin that is infinite or below 0, or a power other than 1 and 2."""
    errors.check_number("The margin of a hinge", margin, 0)
    if power not in (1, 2):
        raise errors.ConfigError(f"The power is 1 (hinge) or 2 (squared hinge); got {power}.")
