"""Values that are no exercises of the package, and met in hand-ins: they are recognised, so that a mistake is named.

The losses of probabilities take p where the package's take the score: most courses put the sigmoid or the softmax into
a layer of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ... import losses
from ..exercise import Exercise, GradientExercise
from . import EXERCISES
from .gradients import EXERCISES as OWN
from .gradients import cut_loss, cut_objective


class LogLoss(losses.Loss):
    """ℓ(p, y) = −y log p − (1 − y) log(1 − p), with ∂ℓ/∂p = (p − y) / (p (1 − p))."""

    labels, of_probabilities = "bits", True

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return -targets * scores.log() - (1 - targets) * (1 - scores).log()

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets) / (scores * (1 - scores))


class RowsOf(losses.Loss):
    """ℓ(s, y) = Σ_j ℓ'(s_j, y_j) for a loss ℓ' of one number: targets are rows of the scores' shape."""

    class_axis = True

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.labels = inner, f"rows of {inner.labels}"
        self.of_probabilities = getattr(inner, "of_probabilities", False)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return self.inner.pointwise(scores, targets).sum(-1)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return self.inner.pointwise_gradient(scores, targets)

    def check(self, scores: Tensor, targets: Tensor) -> None:
        """Accepts what is drawn for it."""


class ClassLogLoss(losses.Loss):
    """ℓ(p, y) = −log p_y, with ∂ℓ/∂p_j = −1(j = y) / p_j."""

    labels, class_axis, of_probabilities = "classes", True, True

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return -scores.gather(-1, targets.long().unsqueeze(-1)).squeeze(-1).log()

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return -torch.nn.functional.one_hot(targets.long(), scores.shape[-1]) / scores


def declare(name: str, formula: str, like: GradientExercise, loss: Any) -> GradientExercise:
    return replace(like, name=name, formula=formula, reference=loss, loss=loss, cut=(), lesson=like.lesson)


DROPOUT_OF_EXERCISES = next(one for one in OWN if one.name == "dropout")
SQUARED = cut_loss("squared-error", "linear-regression", losses.SquaredError, "")
OBJECTIVE = cut_objective("linear-regression", "linear-regression", losses.SquaredError, "")


def declare_objective(name: str, formula: str, lesson: str, loss: Any) -> GradientExercise:
    def value(
        weight: Tensor, features: Tensor, targets: Tensor, strength: float = 0.0, bias: Tensor | float = 0.0
    ) -> Tensor:
        return loss(torch.inner(features, weight) + bias, targets) + strength * (weight**2).sum()

    return replace(OBJECTIVE, name=name, formula=formula, lesson=lesson, reference=value, loss=loss, cut=())


def apply_own_mask(output: Tensor, features: Tensor) -> Tensor:
    """Dropout with the mask and the scale read from an output; nan where everything was kept or dropped."""
    mask = (output != 0).to(features.dtype)
    if not 0 < float(mask.mean()) < 1:
        return torch.full_like(features, float("nan"))
    scale = (output / features.detach())[mask.bool()].median()
    return features * mask * scale


DROPOUT = replace(
    DROPOUT_OF_EXERCISES, name="dropout-of-its-own", arguments=("features",), cut=(),
    reference=lambda features: torch.full_like(features, float("nan")),
    conventions=(("the mask is the hand-in's own", lambda features, output: apply_own_mask(output, features)),),
)  # fmt: skip


def apply_layer_norm(features: Tensor, scale: Tensor, shift: Tensor, epsilon: float = 1e-5, **_: Tensor) -> Tensor:
    centred = features - features.mean(-1, keepdim=True)
    return scale * centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + epsilon) + shift


LAYER_NORM = replace(
    next(one for one in OWN if one.name == "batch-norm"), name="layer-norm", reference=apply_layer_norm, cut=(),
    formula="y = γ (x − μ)/√(σ² + ε) + β; μ, σ² the mean and variance of each row",
    conventions=tuple((f"ε is {epsilon:g}", partial(apply_layer_norm, epsilon=epsilon)) for epsilon in (1e-3, 1e-8, 0)),
)  # fmt: skip

FOREIGN: dict[str, GradientExercise] = {
    one.name: one
    for one in (
        declare("squared-error-of-rows", "L = 1/N Σ_i Σ_j (s_ij − y_ij)²", SQUARED, RowsOf(losses.SquaredError())),
        declare("absolute-error-of-rows", "L = 1/N Σ_i Σ_j |s_ij − y_ij|", SQUARED, RowsOf(losses.AbsoluteError())),
        declare("log-loss-of-probabilities", "L = −1/N Σ_i y_i log p_i + (1 − y_i) log(1 − p_i)", SQUARED, LogLoss()),
        declare("log-losses-of-rows", "L = −1/N Σ_i Σ_j y_ij log p_ij + (1 − y_ij) log(1 − p_ij)", SQUARED,
                RowsOf(LogLoss())),
        declare("entropy-of-probabilities", "L = −1/N Σ_i log p_{i,y_i}", SQUARED, ClassLogLoss()),
        declare_objective("logistic-objective", "L = 1/N Σ_i log(1 + e^{−y_i s_i}) + λ Σ w², labels −1 and +1",
                          "zero-one", losses.Logistic()),
        declare_objective("svm-objective", "L = 1/N Σ_i max(0, 1 − y_i s_i) + λ Σ w², labels −1 and +1",
                          "svm-margin", losses.Hinge()),
        declare_objective("softmax-on-squares", "L = 1/N Σ_i Σ_j (s_ij − 1(j = y_i))² + λ Σ W²",
                          "linear-regression", losses.SquaredError(classes=True)),
        DROPOUT, LAYER_NORM,
    )
}  # fmt: skip


def find_exercise(name: str) -> Exercise:
    """Returns the exercise of this name, of the package or of these."""
    return FOREIGN[name] if name in FOREIGN else EXERCISES[name]
