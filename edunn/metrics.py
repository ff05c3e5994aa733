"""Metrics of predictions, class by class or label by label: confusion counts, recall, precision and accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import errors


def confusion_counts(
    targets: Tensor, predictions: Tensor, classes: int | Sequence[int], weights: Tensor | None = None
) -> Tensor:
    """Counts the samples of class i predicted as class j: (classes, classes) int64, true classes by predicted ones.

    counts[i, j] = Σ_n [t_n = i][p_n = j]; the diagonal counts the right predictions, and the sum is N. With weights
    (samples,) each sample counts w: Σ_n w_n [t_n = i][p_n = j], float64; recall, precision and accuracy follow.

    Parameters
    ----------
    targets, predictions : (samples,), the true and the predicted label of each sample
    classes : the number of classes, for labels 0 … classes − 1; or the labels themselves, in the order of the rows:
        (-1, 1) for a two-class SVM
    """
    if targets.ndim != 1 or predictions.shape != targets.shape:
        raise errors.ShapeError(
            f"Targets and predictions must have one shape (samples,); "
            f"theirs are {errors.shape(targets)} and {errors.shape(predictions)}."
        )
    values = tuple(range(classes)) if isinstance(classes, int) else tuple(classes)
    true, predicted = label_indices(targets, values), label_indices(predictions, values)
    size = len(values)
    weights = None if weights is None else weights.double()
    return (size * true + predicted).bincount(weights, minlength=size * size).reshape(size, size)


def label_indices(labels: Tensor, values: Sequence[int]) -> Tensor:
    """Returns the index of each label in `values`, of the labels' shape. Raises a LabelError for any other label."""
    indices = torch.full(labels.shape, -1, dtype=torch.int64, device=labels.device)
    for index, value in enumerate(values):
        indices[labels == value] = index
    if (indices < 0).any():
        where = int((indices < 0).flatten().nonzero()[0])
        known = ", ".join(map(str, values)) if len(values) <= 4 else f"{values[0]}, {values[1]}, …, {values[-1]}"
        raise errors.LabelError(
            f"The label at index {where} is {float(labels.flatten()[where]):g}; known are {known}. "
            f"Labels −1 and +1 become indices with (labels > 0).long(), and 0 and 1 become signs with 2 * labels - 1."
        )
    return indices


def recall(counts: Tensor) -> Tensor:
    """Returns the share of each class's samples that were predicted as it: (classes,), counts_ii / Σ_j counts_ij.

    nan for a class without samples.
    """
    return counts.diagonal().double() / counts.sum(1)


def precision(counts: Tensor) -> Tensor:
    """Returns the share of each class's predictions that are right: (classes,), counts_jj / Σ_i counts_ij.

    nan for a class that was never predicted.
    """
    return counts.diagonal().double() / counts.sum(0)


def accuracy(counts: Tensor) -> float:
    """Returns the share of right predictions: the diagonal over the sum; nan for no samples."""
    return float(counts.diagonal().sum().double() / counts.sum())


def label_accuracies(targets: Tensor, predictions: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the share of right predictions of each label, (labels,), for bits (samples, labels).

    Their mean is 1 − the Hamming loss, and what `Model.score` gives for several labels. With weights (samples,) a
    share is Σ w [right] / Σ w.
    """
    right = right_bits(targets, predictions).double()
    return right.mean(0) if weights is None else (weights.double() / weights.double().sum()) @ right


def subset_accuracy(targets: Tensor, predictions: Tensor, weights: Tensor | None = None) -> float:
    """Returns the share of samples with every label right, for bits (samples, labels).

    It is scikit-learn's `accuracy_score` of rows. One wrong label of a sample counts as much as all. With weights
    (samples,) it is Σ w [all right] / Σ w.
    """
    right = right_bits(targets, predictions).all(1).double()
    return float(right.mean() if weights is None else (right * weights.double()).sum() / weights.double().sum())


def right_bits(targets: Tensor, predictions: Tensor) -> Tensor:
    """Returns where bits were predicted right, (samples, labels)."""
    if targets.ndim != 2 or predictions.shape != targets.shape:
        raise errors.ShapeError(
            f"Targets and predictions of several labels must have one shape (samples, labels); "
            f"theirs are {errors.shape(targets)} and {errors.shape(predictions)}."
        )
    return targets == predictions
