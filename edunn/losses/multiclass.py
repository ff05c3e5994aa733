"""Losses for one score a class: cross-entropy and the multiclass hinge."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import errors
from .base import Loss, as_rows, pick
from .binary import BinaryCrossEntropy, Hinge, check_hinge


class CrossEntropy(Loss):
    """ℓ(s, y) = −log p_y with p = softmax(s), that is log Σ_j e^{s_j} − s_y: minus the log-probability of class y.

    ∂ℓ/∂s_j = p_j − 1(j = y)
    ∂²ℓ/∂s_j∂s_k = p_j (δ_jk − p_k)

    Targets: class indices, or distributions q over the classes: H(q, p) = −Σ_j q_j log p_j, with gradient p_j − q_j.

    Parameters
    ----------
    label_smoothing : α in [0, 1): q becomes (1 − α) q + α/C
    ignore_index : samples with this target are left out: their gradient is 0, and the mean is that of the others. It
        may lie outside the classes. torch's default is −100; here None leaves no sample out

    The logarithm is natural (base 10 gives 0.4343 of it). torch: `CrossEntropyLoss(label_smoothing=α,
    ignore_index=…)`; scikit-learn: `HalfMultinomialLoss`, `log_loss` (of probabilities). See Goodfellow, Bengio &
    Courville, Deep Learning, §6.2.2.3; CS231n, "Linear classification".
    """

    class_axis = True
    labels = "classes"
    relative = True
    soft_labels = True
    convex = True
    smooth = True
    pole, pole_order = math.pi, 0  # Σ_j e^{s_j} has no zero while the imaginary parts differ by less than π
    curvature_bound = 0.5  # the largest eigenvalue of diag(p) − p pᵀ is at most ½

    def __init__(self, label_smoothing: float = 0.0, ignore_index: int | None = None) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise errors.ConfigError(f"label_smoothing lies in [0, 1); got {label_smoothing}.")
        if ignore_index is not None and (isinstance(ignore_index, bool) or not isinstance(ignore_index, int)):
            raise errors.ConfigError(f"ignore_index is a whole number, such as -100; got {ignore_index!r}.")
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        # log p_j = (s_j − m) − log Σ_k e^{s_k − m} with m the row's largest score: the same value, but no exponential
        # overflows, and a constant added to all scores costs no digits
        log_p = torch.log_softmax(scores, -1)
        if self.label_smoothing == 0 and not self.takes_rows(targets):
            return -pick(log_p, targets)
        q = self.distribution(scores, targets)
        return -(q * log_p.masked_fill(q == 0, 0)).sum(-1)  # 0 log 0 is 0, its limit

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        # p as e^{log p}: softmax differs in its last bit, and would be the gradient of a slightly different value
        return torch.log_softmax(scores, -1).exp() - self.distribution(scores, targets)

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        p = torch.softmax(scores, -1)
        return torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)

    def curvature_product(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        # (diag(p) − p pᵀ) v, without the matrix
        p = torch.softmax(scores, -1)
        return p * (direction - (p * direction).sum(-1, keepdim=True))

    def left_out(self, targets: Tensor) -> Tensor | None:
        """Returns where the target is `ignore_index`, (…, samples); None if there is none, or targets are rows."""
        return None if self.ignore_index is None or self.takes_rows(targets) else targets == self.ignore_index

    def leaves_out(self, targets: Tensor) -> bool:
        left = self.left_out(targets)
        return left is not None and bool(left.any())

    def leave_out(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        left = self.left_out(targets)
        if left is None:
            return targets, weights
        weights = torch.ones_like(targets, dtype=scores.dtype) if weights is None else weights
        return targets.masked_fill(left, 0), weights.masked_fill(left, 0)

    def distribution(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns q, the targets as distributions over the classes, smoothed."""
        rows = as_rows(scores, targets)
        if self.label_smoothing == 0:
            return rows
        return (1 - self.label_smoothing) * rows + self.label_smoothing / scores.shape[-1]

    def check_domain(self, targets: Tensor, classes: int) -> None:
        if self.takes_rows(targets):
            errors.check_distributions(targets)
        elif (left := self.left_out(targets)) is None:
            errors.check_class_indices(targets, classes)
        elif left.all(-1).any():
            raise errors.LabelError(
                f"Every target is the ignore_index {self.ignore_index}, so there is nothing to average. "
                f"Check ignore_index, or take larger batches."
            )
        else:
            errors.check_class_indices(targets.masked_fill(left, 0), classes)


class MulticlassHinge(Loss):
    """ℓ(s, y) = Σ_{j ≠ y} max(0, s_j − s_y + Δ)^p: the true class must beat every other by Δ.

    With v_j = p max(0, s_j − s_y + Δ)^{p−1} where s_j − s_y + Δ > 0 and j ≠ y, else 0:
    ∂ℓ/∂s_j = v_j for j ≠ y, ∂ℓ/∂s_y = −Σ_{j ≠ y} v_j

    Parameters
    ----------
    margin : Δ ≥ 0
    power : p, 1 or 2 (the squared hinge)
    include_true : sum over j = y too. It adds Δ^p (over the divisor) to every loss and nothing to the gradient.
    over : names the divisor of the sum: "sum" 1, "others" C − 1, "classes" C

    torch: `MultiMarginLoss(p, margin)` is over="classes"; scikit-learn: `LinearSVC(multi_class="crammer_singer")` takes
    the largest term and not the sum. See CS231n, "Linear classification" (Weston & Watkins 1999).
    """

    class_axis = True
    labels = "classes"
    relative = True
    convex = True

    def __init__(self, margin: float = 1.0, power: int = 1, include_true: bool = False, over: str = "sum") -> None:
        super().__init__()
        check_hinge(margin, power)
        if over not in ("sum", "others", "classes"):
            raise errors.ConfigError(
                f"over is 'sum', 'others' or 'classes'; got {over!r}. "
                f"{errors.nearest(str(over), ('sum', 'others', 'classes'))}"
            )
        self.margin = margin
        self.power = power
        self.include_true = include_true
        self.over = over
        self.declare(MulticlassHinge, smooth=power == 2)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        costs = torch.relu(self.shortfall(scores, targets)) ** self.power
        if not self.include_true:
            costs = costs.scatter(-1, self.index(scores, targets), 0.0)
        return costs.sum(-1) / self.divisor(scores)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        slopes = self.term_slopes(scores, targets)
        return slopes.scatter_(-1, self.index(scores, targets), -slopes.sum(-1, keepdim=True))

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns 2 Σ_{j≠y, violated} (e_j − e_y)(e_j − e_y)ᵀ for the squared hinge; 0 for the hinge."""
        violated = self.term_curvatures(scores, targets)
        true = torch.zeros_like(scores).scatter_(-1, self.index(scores, targets), 1.0)
        cross = violated.unsqueeze(-1) * true.unsqueeze(-2)
        total = violated.sum(-1)[..., None, None] * true.unsqueeze(-1) * true.unsqueeze(-2)
        return torch.diag_embed(violated) - cross - cross.mT + total

    def curvature_product(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        index = self.index(scores, targets)
        change = self.term_curvatures(scores, targets) * (direction - direction.gather(-1, index))
        return change.scatter_(-1, index, -change.sum(-1, keepdim=True))

    def shortfall(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns s_j − s_y + Δ, by how much the true class misses beating class j by the margin; Δ at j = y."""
        return scores - pick(scores, targets).unsqueeze(-1) + self.margin

    def term_slopes(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns v_j, the slope of each term, over the divisor, with 0 at j = y."""
        shortfall = self.shortfall(scores, targets)
        slope = (shortfall > 0).to(scores.dtype) if self.power == 1 else 2 * shortfall.clamp(min=0)
        return slope.scatter_(-1, self.index(scores, targets), 0.0) / self.divisor(scores)

    def term_curvatures(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the second derivative of each term in its own shortfall, over the divisor, with 0 at j = y."""
        curvatures = (self.shortfall(scores, targets) > 0).to(scores.dtype) * (2.0 if self.power == 2 else 0.0)
        return curvatures.scatter_(-1, self.index(scores, targets), 0.0) / self.divisor(scores)

    def divisor(self, scores: Tensor) -> int:
        classes = scores.shape[-1]
        return {"sum": 1, "others": classes - 1, "classes": classes}[self.over]

    @staticmethod
    def index(scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the true class as an index for gather and scatter, (*lead, samples, 1)."""
        return targets.long().expand(scores.shape[:-1]).unsqueeze(-1)

    def takes_rows(self, targets: Tensor) -> bool:
        return False

    def check(self, scores: Tensor, targets: Tensor) -> None:
        errors.check_index_dtype(targets, "the multiclass hinge")
        super().check(scores, targets)
        if scores.shape[-1] < 2:
            raise errors.ShapeError(
                f"The multiclass hinge compares two classes or more; got scores {errors.shape(scores)}."
            )

    def check_domain(self, targets: Tensor, classes: int) -> None:
        errors.check_class_indices(targets, classes)


class OneVsAllCrossEntropy(BinaryCrossEntropy):
    """ℓ(s, y) = Σ_j log(1 + e^{s_j}) − y_j s_j: binary cross-entropy for each class, a yes or no of its own.

    ∂ℓ/∂s_j = σ(s_j) − y_j
    ∂²ℓ/∂s_j² = σ(s_j)(1 − σ(s_j)), and 0 for two different scores

    Targets: rows of bits 0 and 1, one for each class, for samples with several labels or none (a probability in between
    will do); or class indices, which count as one-hot rows: one class against the rest.

    torch: `BCEWithLogitsLoss()` and `MultiLabelSoftMarginLoss()`, means over samples and classes: 1/C of this;
    scikit-learn: `OneVsRestClassifier(LogisticRegression())`. See Bishop, Pattern Recognition and Machine Learning,
    §4.3.2, and Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, §18.3.3.
    """

    class_axis = True
    labels = "classes"
    separate = True
    convex = True
    smooth = True
    curvature_bound = 0.25
    pole, pole_order = math.pi, 0
    target_degree = 1

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return super().pointwise(scores, as_rows(scores, targets)).sum(-1)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return super().pointwise_gradient(scores, as_rows(scores, targets))

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns a diagonal matrix: no score bends the loss of another class."""
        return torch.diag_embed(super().pointwise_curvature(scores, targets))

    def curvature_product(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        return super().pointwise_curvature(scores, targets) * direction

    def check_domain(self, targets: Tensor, classes: int) -> None:
        if self.takes_rows(targets):
            super().check_domain(targets, classes)
        else:
            errors.check_class_indices(targets, classes)


class OneVsAllHinge(Hinge):
    """ℓ(s, y) = Σ_j max(0, Δ − t_j s_j)^p with t_y = +1, t_j = −1 for j ≠ y: a hinge for each class against the rest.

    With v_j = p max(0, Δ − t_j s_j)^{p−1} where Δ − t_j s_j > 0, else 0:  ∂ℓ/∂s_j = −t_j v_j

    The scores of different classes are not compared: each row of the weight is a separate two-class SVM, and training
    them together only saves time. `MulticlassHinge` compares them.

    Targets: class indices; or rows of bits 0 and 1, one for each class, for samples with several labels or none:
    t_j = 2 y_j − 1.

    Parameters
    ----------
    margin : Δ ≥ 0
    power : p, 1 or 2 (the squared hinge)

    scikit-learn: `LinearSVC(multi_class="ovr", loss="hinge" | "squared_hinge")`.
    """

    class_axis = True
    labels = "classes"
    separate = True
    convex = True

    def __init__(self, margin: float = 1.0, power: int = 1) -> None:
        super().__init__(margin, power)
        self.declare(OneVsAllHinge, smooth=power == 2, curvature_bound=2.0 if power == 2 else 0.0)

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return super().pointwise(scores, self.signs(scores, targets)).sum(-1)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return super().pointwise_gradient(scores, self.signs(scores, targets))

    def pointwise_curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns a diagonal matrix, 2 where a class misses its margin, for the squared hinge; 0 for the hinge."""
        return torch.diag_embed(super().pointwise_curvature(scores, self.signs(scores, targets)))

    def curvature_product(self, scores: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        return super().pointwise_curvature(scores, self.signs(scores, targets)) * direction

    @staticmethod
    def signs(scores: Tensor, targets: Tensor) -> Tensor:
        """Returns +1 for the true class, or for bits of 1, and −1 for the others, of the scores' shape."""
        return (2 * as_rows(scores, targets) - 1).expand(scores.shape)

    def check_domain(self, targets: Tensor, classes: int) -> None:
        if self.takes_rows(targets):
            errors.check_labels(targets, (0.0, 1.0), "For rows of -1 and +1 use (targets + 1) / 2.")
        else:
            errors.check_class_indices(targets, classes)
