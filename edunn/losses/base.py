"""The base class of losses: one value and one derivative per sample, and the mean taken once, here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import differences, errors
from ..runtime.reprs import ArgumentRepr


ABOUT_THE_FORMULA = (
    "convex", "smooth", "flat", "curvature_bound", "pole", "pole_order", "target_degree", "unreachable", "relative",
    "separate", "form", "kink", "pointwise_curvature", "curvature_product",
)  # fmt: skip


class Loss(ArgumentRepr, nn.Module):
    """A function of scores and targets, with its derivatives in the scores by hand.

    Shapes
    ------
    scores : (*lead, samples), or (*lead, samples, classes) if `class_axis` is true
    targets : (samples,), with the scores' lead if each run or grid point has its own, and with a class axis where
        they are distributions
    `pointwise` : (*lead, samples); `pointwise_gradient` : the scores' shape

    `lead` is empty, or the runs of a stack, or the axes of a grid: only the sample axis is reduced.
    A subclass writes the formulas for one sample (`pointwise` and `pointwise_gradient`). Optional are
    `pointwise_curvature`, the targets' domain (`check_domain`), and the attributes below, which hold for every target
    that the loss accepts. None means not declared: the property is then measured, never assumed.
    """

    class_axis: bool = False  # whether the last axis of the scores is classes: one sample has a score for each
    labels: str = "real"  # what targets are: "real", "bits" {0, 1}, "signs" {-1, +1} or "classes" (indices, or rows)
    convex: bool | None = None  # as a function of the scores
    smooth: bool | None = None  # differentiable at every score
    flat: bool = False  # constant between jumps: the derivative is 0 wherever it exists
    curvature_bound: float | None = None  # the largest second derivative between kinks; 0 for straight pieces
    # Analytic losses: the distance from the real scores to the nearest singularity (π for σ and log(1 + e^z)), and the
    # order of that pole, 0 for a logarithm. None: the loss has kinks, or does not declare it
    pole: float | None = None
    pole_order: int = 2
    target_degree: int | None = None  # the degree of ℓ as a polynomial in the target, for a fixed score
    unreachable: tuple[float, float] | None = None  # targets towards which ℓ falls for ever as s → −∞ and s → +∞
    relative: bool = False  # over classes: only differences of a sample's scores matter
    separate: bool = False  # over classes: each is a yes or no of its own, and targets may be rows of bits
    soft_labels: bool = False  # targets may lie between the labels: probabilities, or distributions over classes
    # The polynomial that ℓ is between its kinks, where `landscape.exact` knows a shortcut: "square", factor·(s − y)²;
    # "shortfall", max(0, Δ − y s)^power; "residual", straight beyond `delta` from the target
    form: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Forgets what a parent declares about its formula where a subclass writes another one.

        A focal loss written as a subclass of `BinaryCrossEntropy` is not convex because that is, and has neither its
        pole nor its second derivative: what the subclass does not declare is measured.
        """
        super().__init_subclass__(**options)
        if "pointwise" in cls.__dict__:
            for name in ABOUT_THE_FORMULA:
                if name not in cls.__dict__:
                    setattr(cls, name, Loss.__dict__[name])

    def declare(self, owner: type[Loss], **declared: Any) -> None:
        """Sets what the constructor of `owner` knows about its formula, unless this is a subclass with another one."""
        if type(self).pointwise is owner.pointwise:
            for name, value in declared.items():
                setattr(self, name, value)

    def forward(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None, validate: bool = True) -> Tensor:
        """Returns the mean loss over the samples, of shape `lead`: 1/N Σ ℓ_i, or Σ w_i ℓ_i / Σ w_i with weights.

        A weight of 2 counts a sample twice, and 0 leaves it out; all weights times c change nothing. A mini-batch
        divides by its own Σ w; where that is 0 the mean is nan, and the loops take no step.

        Others differ by the divisor. torch: `CrossEntropyLoss(weight=…)` divides by the Σ w of the batch as here,
        `BCEWithLogitsLoss(weight=…)` by N. scikit-learn: `log_loss(sample_weight=…)` divides by Σ w as here, `Ridge`
        and `LinearSVC` take the sum Σ w ℓ, so a penalty α there is α/Σw here, and C there is 1/(C Σw) here.

        Parameters
        ----------
        weights : (samples,), with the scores' lead if each run has its own; finite and 0 or more, not all 0
        validate : False leaves out the checks; the ones of values would make a GPU wait. The loops check once, before
            the first step.
        """
        targets, weights = self.accept(scores, targets, weights, validate)
        values = self.pointwise(scores, targets)
        return values.mean(-1) if weights is None else (values.masked_fill(weights == 0, 0) * shares(weights)).sum(-1)

    @torch.no_grad()
    def gradient(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None, validate: bool = True) -> Tensor:
        """Returns d(mean loss)/d(scores), of the scores' shape, with the factor 1/N, or w_i / Σ w, included."""
        targets, weights = self.accept(scores, targets, weights, validate)
        slopes = self.pointwise_gradient(scores, targets)
        if weights is None:
            return slopes / scores.shape[scores.ndim - 1 - self.class_axis]
        weights = weights.unsqueeze(-1) if self.class_axis else weights
        return slopes.masked_fill(weights == 0, 0) * shares(weights, -2 if self.class_axis else -1)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns one loss a sample, (*lead, samples), without checks: `check` has accepted scores and targets."""
        raise NotImplementedError

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the derivative of each sample's loss in its own scores, of the scores' shape, without checks."""
        raise NotImplementedError

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the second derivative of each sample's loss in its own scores, without checks.

        It has the scores' shape, or with a class axis that of the matrix (…, classes, classes). It is 0 where a loss is
        linear, and at kinks the value on the side that `pointwise_gradient` takes. A loss without a formula gets
        five-point differences of its gradient: about eleven digits in float64, but useless within 2h of a kink.
        """
        if not self.class_axis:
            return self.difference(scores, targets, torch.ones_like(scores))
        units = torch.eye(scores.shape[-1], dtype=scores.dtype, device=scores.device)
        columns = [self.difference(scores, targets, unit.expand_as(scores)) for unit in units]
        return torch.stack(columns, -1)

    def curvature_product(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        """Returns H v, each sample's second derivative times a direction v in its scores, of the scores' shape."""
        if self.class_axis and not self.has_curvature:
            # along a direction whose largest entry is 1, so that the step stays a step in the scores
            size = direction.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(direction.dtype).tiny)
            return size * self.difference(scores, targets, direction / size)
        curvature = self.pointwise_curvature(scores, targets)
        return (curvature @ direction.unsqueeze(-1)).squeeze(-1) if self.class_axis else curvature * direction

    def difference(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        """Returns d/dt of the gradient at s + t·direction, t = 0, from five points h apart: errors of h⁴ and ε/h."""
        step = torch.finfo(scores.dtype).eps ** 0.2  # both errors are then about equal
        return differences.derivative(
            lambda t: self.pointwise_gradient(scores + t * direction, targets), torch.zeros_like(scores), step
        )

    @property
    def has_curvature(self) -> bool:
        """Whether the loss has a formula of its own for `pointwise_curvature`."""
        return type(self).pointwise_curvature is not Loss.pointwise_curvature

    @property
    def affine(self) -> bool:
        """Whether ℓ is affine in the target, ℓ(s, y) = ℓ(s, 0) + y·(ℓ(s, 1) − ℓ(s, 0)): targets may be averaged."""
        return self.target_degree == 1

    def kink(self, targets: Tensor) -> Tensor | None:
        """Returns the score of each sample's only kink, of the targets' shape; None if there is none, or unknown."""
        return None

    def check(self, scores: Tensor, targets: Tensor) -> None:
        """Refuses wrong shapes, dtypes and labels."""
        errors.check_scores(scores, self.class_axis)
        errors.check_targets_shape(scores, targets, self.class_axis, rows=self.takes_rows(targets))
        errors.check_same_dtype(scores, targets)
        self.check_domain(targets, scores.shape[-1] if self.class_axis else 1)

    def accept(
        self, scores: Tensor, targets: Tensor, weights: Tensor | None, validate: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns targets and weights, checked if `validate`, with weight 0 for what the loss leaves out."""
        if validate:
            self.check(scores, targets)
        targets, weights = self.leave_out(scores, targets, weights)
        if validate:
            self.check_weights(scores, weights)
        return targets, weights

    def check_weights(self, scores: Tensor, weights: Tensor | None) -> None:
        """Refuses weights that are not one finite number of 0 or more for each sample, or all 0."""
        if weights is not None:
            errors.check_weights(weights, *scores.shape[: scores.ndim - self.class_axis])

    def leaves_out(self, targets: Tensor) -> bool:
        """Returns whether the loss leaves out any of these samples (an `ignore_index`)."""
        return False

    def leave_out(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns targets, class 0 where a sample is left out, and weights in the scores' dtype, 0 for those."""
        return targets, weights

    def check_domain(self, targets: Tensor, classes: int) -> None:
        """Refuses targets outside the loss's domain. It reads every value: once before a loop, not in it."""
        errors.check_finite("targets", targets)

    def takes_rows(self, targets: Tensor) -> bool:
        """Returns whether the targets have a class axis: floating ones of a loss over classes do, indices do not."""
        return self.class_axis and targets.dtype.is_floating_point


def shares(weights: Tensor, axis: int = -1) -> Tensor:
    """Returns w_i / Σ w, each sample's share of the mean, of the weights' shape; `axis` is that of the samples."""
    return weights / weights.sum(axis, keepdim=True)


def one_hot(targets: Tensor, scores: Tensor) -> Tensor:
    """Returns class indices (…, samples) as rows of 0 and 1, (…, samples, classes), in the scores' dtype."""
    rows = torch.zeros(*targets.shape, scores.shape[-1], dtype=scores.dtype, device=scores.device)
    return rows.scatter_(-1, targets.long().unsqueeze(-1), 1.0)


def as_rows(scores: Tensor, targets: Tensor) -> Tensor:
    """Returns targets with a class axis: distributions unchanged, class indices one-hot."""
    return targets if targets.dtype.is_floating_point else one_hot(targets, scores)


def pick(scores: Tensor, targets: Tensor) -> Tensor:
    """Returns the score of the true class, s_y, of shape (*lead, samples)."""
    index = targets.long().expand(scores.shape[:-1]).unsqueeze(-1)
    return scores.gather(-1, index).squeeze(-1)
