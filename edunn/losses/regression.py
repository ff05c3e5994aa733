"""Losses for real targets: squared error (also through an activation, or over classes), absolute error, Huber."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import errors
from ..activations import Activation, Identity
from .base import Loss, as_rows


class SquaredError(Loss):
    """ℓ(s, y) = (f(s) − y)², the squared distance of the output from a real target.

    ∂ℓ/∂s = 2(f(s) − y) f'(s)
    ∂²ℓ/∂s² = 2[f'(s)² + (f(s) − y) f''(s)]

    Parameters
    ----------
    half : ½(f(s) − y)², whose derivative has no 2. Lectures differ, so you choose the factor.
    through : the activation f; identity if not given. With a sigmoid the loss is no longer convex, and its gradient
        is never more than 8/27 in size and vanishes far from 0 on both sides, the wrong one included.
    classes : the scores have a class axis and ℓ is the sum over it. Targets are rows of that length, or class indices,
        which count as one-hot rows: the lecture's "why not least squares?".

    torch: `MSELoss()` is this, but over classes it is the mean: 1/C of it. scikit-learn: `HalfSquaredError`
    (half=True), `mean_squared_error` (half=False). See Bishop, Pattern Recognition and Machine Learning, §1.1, §4.1.3.
    """

    target_degree = 2

    def __init__(self, half: bool = False, through: Activation | None = None, classes: bool = False) -> None:
        super().__init__()
        self.factor = 0.5 if half else 1.0
        self.through = Identity() if through is None else through
        if not isinstance(self.through, Activation):
            raise errors.ConfigError(f"through is an activation, such as edunn.activations.Sigmoid(); got {through!r}.")
        self.class_axis = classes
        self.labels = "classes" if classes else "real"
        if not (self.through.elementwise or classes):
            raise errors.ConfigError("SquaredError through a softmax needs a class axis. Pass classes=True.")
        linear = self.through.linear
        self.declare(
            SquaredError,
            form="square" if linear else None,
            convex=linear,  # with f curved, or bent, some target makes it concave somewhere
            smooth=self.through.smooth,
            pole=self.through.pole,
            unreachable=None if classes else self.through.bounds,
            curvature_bound=2.0 * self.factor if linear else None,
        )

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        squares = self.factor * self.residual(scores, targets) ** 2
        return squares.sum(-1) if self.class_axis else squares

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        upstream = 2 * self.factor * self.residual(scores, targets)
        return self.through.input_gradient(scores, upstream)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        residual = self.residual(scores, targets)
        first = self.through.derivative(scores)
        second = self.through.second_derivative(scores)
        if not self.through.elementwise:  # Jᵀ J + Σ_j (p_j − y_j) ∇²p_j
            bend = (residual[..., None, None] * second).sum(-3)
            return 2 * self.factor * (first.mT @ first + bend)
        curvature = 2 * self.factor * (first**2 + residual * second)
        return torch.diag_embed(curvature) if self.class_axis else curvature

    def residual(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the residual f(s) − y."""
        return self.through(scores) - (as_rows(scores, targets) if self.class_axis else targets)

    def check_domain(self, targets: Tensor, classes: int) -> None:
        if self.class_axis and not self.takes_rows(targets):
            errors.check_class_indices(targets, classes)
        else:
            errors.check_finite("targets", targets)


class AbsoluteError(Loss):
    """ℓ(s, y) = |s − y|: far and near targets have gradients of the same size; the best constant is the median.

    ∂ℓ/∂s = sign(s − y); at the kink s = y, where any value in [−1, 1] is a subgradient, 0.

    torch: `L1Loss()`; scikit-learn: `mean_absolute_error`. See Hastie, Tibshirani & Friedman, The Elements of
    Statistical Learning, §10.6.
    """

    convex = True
    smooth = False
    curvature_bound = 0.0
    form = "residual"
    delta = 0.0  # Huber's, taken to its limit

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets).abs()

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.sign(scores - targets)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        return torch.zeros_like(scores)

    def kink(self, targets: Tensor) -> Tensor | None:
        return targets


class Huber(Loss):
    """Squared near the target, absolute away from it: with r = s − y,

    ℓ = ½ r² for |r| ≤ δ, else δ(|r| − ½δ)
    ∂ℓ/∂s = r clipped to [−δ, δ]
    ∂²ℓ/∂s² = 1 for |r| ≤ δ, else 0

    Parameters
    ----------
    delta : δ > 0, in the targets' units: where the loss turns from squared to absolute

    torch: `HuberLoss(delta=δ)`; scikit-learn's `HuberRegressor` is twice this, in units of a scale that it fits as
    well. See Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, §10.6.
    """

    convex = True
    smooth = True
    curvature_bound = 1.0
    form = "residual"

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = errors.check_number("Huber's delta", delta, 0, open_ends="low")

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        distance = (scores - targets).abs()
        near = distance.clamp(max=self.delta)
        # ½ near² + δ(distance − near) is both branches at once
        return 0.5 * near**2 + self.delta * (distance - near)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets).clamp(-self.delta, self.delta)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        return ((scores - targets).abs() <= self.delta).to(scores.dtype)
