"""`Model`, the base of every model: scores, their derivatives by hand, and predictions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .. import errors
from ..activations import Activation
from ..losses.base import shares
from ..runtime.foreign import to_tensor, unpack
from ..runtime.reprs import ArgumentRepr

METRICS = {"real": "r2", "bits": "accuracy", "signs": "accuracy", "classes": "accuracy"}
LABELS = "label_accuracy"  # the metric of several bits a sample


class Model(ArgumentRepr, nn.Module):
    """A torch module that computes scores from features, with hand-derived `gradients`.

    A model of your own is a subclass with its parameters and two methods:

        class Plane(Model):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(3))

            def forward(self, features):
                return features @ self.weight

            def gradients(self, features, upstream):
                return {"weight": features.mT @ upstream}

    Without `gradients` it trains by autograd only.

    Shapes
    ------
    features : (samples, …)
    scores : (samples,) for one output, (samples, outputs) for several
    upstream : ∂L/∂scores, of the scores' shape; it includes the 1/N of the mean

    Attributes
    ----------
    predicts : how the scores give a prediction. "real": the score itself; "bits": 1 where the score is above 0,
        else 0; "signs": +1 and −1; "classes": the index of the largest score. Several outputs with "bits" are a
        multi-label model: one yes or no for each
    one_output : whether the scores have no axis of outputs. None: they have none if they are (samples,); a model that
        trains as a stack, with scores (*runs, samples), has to set it
    """

    predicts: str = "real"
    one_output: bool | None = None

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns ∂L/∂parameter for each parameter, by its name and of its shape, from ∂L/∂scores."""
        raise errors.GradientError(without_gradients(self))

    @property
    def metric(self) -> str:
        """What `score` measures: "r2" for real predictions, "label_accuracy" for several labels, else "accuracy"."""
        metric = METRICS[check_predicts(self.predicts)]
        return LABELS if self.one_output is False and self.predicts in ("bits", "signs") else metric

    @property
    def link(self) -> Activation | None:
        """The function from scores to probabilities; None if the scores give none, as for a hinge."""
        return None

    def decide(self, scores: Tensor) -> Tensor:
        """Returns the predictions for scores, (*runs, samples)."""
        if check_predicts(self.predicts) == "real":
            return scores
        if self.predicts == "classes":
            return scores.argmax(-1)
        above = (scores > 0).long()  # a score of exactly 0 lies on the boundary: the first class, as in scikit-learn
        return above if self.predicts == "bits" else 2 * above - 1

    @torch.no_grad()
    def predict(self, features: Any) -> Tensor:
        """Returns the predicted target of each sample, in evaluation mode: no dropout, running statistics.

        features : a tensor, an array, a list of rows or a data frame. It is brought to the model's dtype and device.
        """
        with evaluating(self):
            return self.decide(self(self.as_input(features)))

    @torch.no_grad()
    def probabilities(self, features: Any) -> Tensor:
        """Returns P(y | x): of the second of two classes, (*runs, samples), or of each, (*runs, samples, classes).

        Of a multi-label model it is P(label | x) for each label; these do not add up to 1.
        """
        if self.link is None:
            raise errors.ConfigError(
                f"{type(self).__name__} has no probabilities: its scores are not log-odds. Use predict, or the scores."
            )
        with evaluating(self):
            return self.link(self(self.as_input(features)))

    @torch.no_grad()
    def score(self, features: Any, targets: Any, weights: Tensor | None = None) -> Tensor:
        """Returns the score of the predictions, of shape `runs`: the share of right ones, or R² for real targets.

        Of several labels it is the share of right labels among all of all samples (1 − the Hamming loss);
        `metrics.subset_accuracy` is the share of samples with every label right, as scikit-learn scores.
        With weights (samples,) each sample counts w in the share Σ w [right] / Σ w, and in both sums of R².
        """
        with evaluating(self):
            scores = self(self.as_input(features))
        targets = to_tensor("targets", unpack(None, targets).targets).to(scores.device)
        return self.score_of(scores, targets.to(scores.dtype) if targets.is_floating_point() else targets, weights)

    def as_input(self, features: Any) -> Tensor:
        """Returns features as a tensor on the model's device, floating ones in its dtype."""
        values = to_tensor("features", unpack(features).features)
        like = next(self.parameters(), values)
        return values.to(like.device, like.dtype if values.is_floating_point() else None)

    def score_of(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Returns `score`, from scores that were computed already."""
        if self.metric == "r2":
            one_output = scores.ndim == 1 if self.one_output is None else self.one_output
            return r_squared(scores, targets, one_output, weights)
        several = scores.ndim > 1 and self.one_output is not True and self.predicts != "classes"
        if several and self.one_output is None:
            several = targets.ndim > 1
        decided = self.decide(scores)
        if self.predicts == "classes" and targets.is_floating_point() and targets.shape[-1:] == scores.shape[-1:]:
            targets = targets.argmax(-1)  # a distribution over the classes: its most likely one
        errors.check_targets_shape(decided, targets, several, rows=several)  # (n,) == (n, 1) compares each with each
        right = (decided == targets).to(scores.dtype)
        right = right.mean(-1) if several else right
        return right.mean(-1) if weights is None else (right * shares(weights)).sum(-1)


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Sets evaluation mode inside: no dropout, running statistics. Afterwards every layer is in its old mode."""
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def r_squared(scores: Tensor, targets: Tensor, one_output: bool, weights: Tensor | None = None) -> Tensor:
    """Returns R² = 1 − Σ(y − s)² / Σ(y − ȳ)², of shape `runs`; the mean of the outputs' where there are several.

    With weights both sums are Σ w (…)², and ȳ = Σ w y / Σ w.
    """
    errors.check_targets_shape(scores, targets, class_axis=not one_output, rows=not one_output)
    if not one_output:  # as scikit-learn
        scores, targets = scores.mT, targets.mT
    targets = targets.to(scores.dtype)  # whole numbers have no mean
    if weights is None:
        weights = targets.new_ones(targets.shape[-1])
    else:
        counted = weights > 0
        scores, targets, weights = scores[..., counted], targets[..., counted], weights[counted]
    mean = (weights * targets).sum(-1, keepdim=True) / weights.sum()
    left = (weights * (targets - scores) ** 2).sum(-1)
    spread = (weights * (targets - mean) ** 2).sum(-1)
    # constant targets have no spread to explain (but their mean's rounding): 1 if they are met exactly, else 0, as in
    # scikit-learn
    varied = (targets != targets[..., :1]).any(-1)
    ratio = torch.where(varied, 1 - left / spread.where(varied, 1), (left == 0).to(scores.dtype))
    return ratio if one_output else ratio.mean(-1)


def check_predicts(kind: str) -> str:
    """Returns the kind of prediction. Raises ConfigError for another word."""
    if kind not in METRICS:
        raise errors.ConfigError(f"predicts is one of {', '.join(METRICS)}; got {kind!r}.")
    return kind


def without_gradients(model: nn.Module) -> str:
    """Returns the message for a model without derivatives by hand."""
    return (
        f"{type(model).__name__} has no gradients(features, upstream) by hand. "
        f"Train it with by='autograd', or write them in a subclass of edunn.models.Model."
    )
