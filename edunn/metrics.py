"""What predictions are worth, class by class: confusion counts, recall and precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import errors


def confusion_counts(targets: Tensor, predictions: Tensor, classes: int | Sequence[int]) -> Tensor:
    """How often class i was taken for class j: (classes, classes) int64, a row a true class, a column a predicted one.

    counts[i, j] = Σ_n [t_n = i][p_n = j]; the diagonal is what was right, and the sum is N.

    Parameters
    ----------
    targets, predictions : (samples,), the true and the predicted label of each sample
    classes : the number of classes, for labels 0 … classes − 1; or the labels themselves, in the order of the rows:
        (-1, 1) for a two-class SVM
    """
    if targets.ndim != 1 or predictions.shape != targets.shape:
        raise errors.ShapeError(
            f"Expected targets and predictions of one shape (samples,); "
            f"got {errors.shape(targets)} and {errors.shape(predictions)}."
        )
    values = tuple(range(classes)) if isinstance(classes, int) else tuple(classes)
    true, predicted = label_indices(targets, values), label_indices(predictions, values)
    size = len(values)
    return (size * true + predicted).bincount(minlength=size * size).reshape(size, size)


def label_indices(labels: Tensor, values: Sequence[int]) -> Tensor:
    """The place of each label among `values`, of the labels' shape; a label that is none of them is refused."""
    indices = torch.full(labels.shape, -1, dtype=torch.int64, device=labels.device)
    for index, value in enumerate(values):
        indices[labels == value] = index
    if (indices < 0).any():
        where = int((indices < 0).flatten().nonzero()[0])
        known = ", ".join(map(str, values)) if len(values) <= 4 else f"{values[0]}, {values[1]}, …, {values[-1]}"
        raise errors.LabelError(
            f"Expected labels {known}; got {float(labels.flatten()[where]):g} at index {where}. "
            f"Labels −1 and +1 become indices with (labels > 0).long(), and 0 and 1 become signs with 2 * labels - 1."
        )
    return indices


def recall(counts: Tensor) -> Tensor:
    """Of the samples of each class, the share that was found: (classes,), counts_ii / Σ_j counts_ij.

    nan for a class without samples: there was nothing to find.
    """
    return counts.diagonal().double() / counts.sum(1)


def precision(counts: Tensor) -> Tensor:
    """Of the samples called each class, the share that is of it: (classes,), counts_jj / Σ_i counts_ij.

    nan for a class that was never predicted.
    """
    return counts.diagonal().double() / counts.sum(0)


def accuracy(counts: Tensor) -> float:
    """The share of all samples that was right: the diagonal over the sum; nan for no samples."""
    return float(counts.diagonal().sum().double() / counts.sum())
