"""Confusion counts, recall and precision, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs

from edunn import metrics
from edunn.errors import LabelError, ShapeError


def labels(classes: int, samples: int = 500, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (samples,), generator=generator)
    guesses = torch.randint(classes, (samples,), generator=generator)
    right = torch.rand(samples, generator=generator) < 0.6
    return targets, torch.where(right, targets, guesses)


def test_counts_by_hand() -> None:
    counts = metrics.confusion_counts(torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 1, 1, 1, 0]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]
    assert metrics.accuracy(counts) == 2 / 5
    assert metrics.recall(counts).tolist() == [1 / 3, 1.0, 0.0]
    assert metrics.precision(counts)[:2].tolist() == [1 / 2, 1 / 3]
    assert metrics.precision(counts)[2].isnan()  # class 2 was never predicted


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_against_scikit_learn(classes: int) -> None:
    targets, predictions = labels(classes)
    counts = metrics.confusion_counts(targets, predictions, classes)
    np.testing.assert_array_equal(counts.numpy(), theirs.confusion_matrix(targets, predictions))
    options = {"average": None, "zero_division": np.nan}
    expected = theirs.recall_score(targets, predictions, **options)
    torch.testing.assert_close(metrics.recall(counts), torch.as_tensor(expected), rtol=1e-14, atol=0)
    expected = theirs.precision_score(targets, predictions, **options)
    torch.testing.assert_close(metrics.precision(counts), torch.as_tensor(expected), rtol=1e-14, atol=0)
    assert metrics.accuracy(counts) == pytest.approx(theirs.accuracy_score(targets, predictions), rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32], ids=str)
def test_signs_are_counted_in_the_order_given(dtype: torch.dtype) -> None:
    targets, predictions = labels(2)
    signs = metrics.confusion_counts((2 * targets - 1).to(dtype), 2 * predictions - 1, (-1, 1))
    assert signs.equal(metrics.confusion_counts(targets, predictions, 2))


def test_a_class_without_samples_has_no_recall() -> None:
    counts = metrics.confusion_counts(torch.tensor([0, 1]), torch.tensor([0, 2]), 4)
    assert counts.shape == (4, 4)
    assert metrics.recall(counts).isnan().tolist() == [False, False, True, True]


def test_no_samples() -> None:
    empty = torch.empty(0, dtype=torch.int64)
    counts = metrics.confusion_counts(empty, empty, 3)
    assert counts.tolist() == [[0] * 3] * 3
    assert np.isnan(metrics.accuracy(counts))


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(LabelError, match=r"label at index 2 is -1; known are 0, 1\. .*become indices"):
        metrics.confusion_counts(torch.tensor([0, 1, -1]), torch.tensor([0, 1, 1]), 2)
    with pytest.raises(LabelError, match=r"label at index 0 is 10; known are 0, 1, …, 9"):
        metrics.confusion_counts(torch.tensor([10]), torch.tensor([1]), 10)
    with pytest.raises(LabelError, match=r"label at index 1 is 0\.5"):
        metrics.confusion_counts(torch.tensor([0.0, 0.5]), torch.tensor([0, 1]), 2)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"one shape \(samples,\); theirs are \(3,\) and \(3, 1\)"):
        metrics.confusion_counts(torch.zeros(3), torch.zeros(3, 1), 2)
