"""Confusion counts, recall and precision, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs
from sklearn.calibration import calibration_curve as theirs_curve

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


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_report_is_scikit_learns(classes: int) -> None:
    targets, predictions = labels(classes)
    report = metrics.class_report(targets, predictions)
    wanted = theirs.classification_report(targets, predictions, output_dict=True)
    for index, name in enumerate(report.classes):
        row = wanted[name]
        got = (report.precision[index], report.recall[index], report.f1[index], report.samples[index])
        np.testing.assert_allclose(got, [row["precision"], row["recall"], row["f1-score"], row["support"]], rtol=1e-12)
    macro = report.table().rows[-1][1:4]
    np.testing.assert_allclose(macro, [wanted["macro avg"][k] for k in ("precision", "recall", "f1-score")])
    assert report.accuracy == wanted["accuracy"]


def test_the_report_of_signs_and_of_names() -> None:
    report = metrics.class_report(np.array([-1, 1, 1]), [1, 1, 1], classes=["no", "yes"])
    assert report.classes == ("no", "yes")
    assert report.recall == (0.0, 1.0)
    assert np.isnan(report.precision[0])
    with pytest.raises(LabelError, match="1 names for 2"):
        metrics.class_report([0, 1], [0, 1], classes=["a"])


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("signs", [False, True], ids=["bits", "signs"])
def test_the_roc_is_scikit_learns(ties: bool, signs: bool) -> None:
    draw = np.random.default_rng(1)
    targets = draw.integers(0, 2, 300)
    scores = 1 / (1 + np.exp(-(targets - 0.5 + draw.normal(size=300))))
    scores = scores.round(1) if ties else scores
    found = metrics.roc(2 * targets - 1 if signs else targets, scores)
    fpr, tpr, thresholds = theirs.roc_curve(targets, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, fpr, rtol=1e-12)
    np.testing.assert_allclose(found.true_positive_rate, tpr, rtol=1e-12)
    np.testing.assert_allclose(found.thresholds[1:], thresholds[1:])
    assert found.area == pytest.approx(theirs.roc_auc_score(targets, scores), abs=1e-12)
    at = found.at(0.5)
    assert at["accuracy"] == pytest.approx(theirs.accuracy_score(targets, scores >= 0.5))
    assert at["precision"] == pytest.approx(theirs.precision_score(targets, scores >= 0.5))
    assert at["true_positive_rate"] == pytest.approx(theirs.recall_score(targets, scores >= 0.5))


def test_the_roc_needs_two_classes_and_a_score_each() -> None:
    with pytest.raises(LabelError, match="hold one"):
        metrics.roc([1, 1], [0.1, 0.2])
    with pytest.raises(ShapeError, match=r"probabilities\[:, 1\]"):
        metrics.roc([0, 1], [[0.1, 0.9], [0.2, 0.8]])


@pytest.mark.parametrize("bins", [5, 10])
def test_calibration_is_scikit_learns(bins: int) -> None:
    draw = np.random.default_rng(2)
    p = np.concatenate([draw.random(500), [0.0, 1.0, 0.2, 0.4]])
    happened = draw.random(504) < p
    found = metrics.calibration(happened, p, bins)
    observed, predicted = theirs_curve(happened, p, n_bins=bins)
    full = np.array(found.counts) > 0
    np.testing.assert_allclose(np.array(found.observed)[full], observed)
    np.testing.assert_allclose(np.array(found.predicted)[full], predicted)
    assert sum(found.counts) == 504
    assert found.error == pytest.approx(
        sum(n * abs(o - q) for n, o, q in zip(np.array(found.counts)[full], observed, predicted, strict=True)) / 504
    )


def test_calibration_of_a_column_gives_no_warning() -> None:
    """torch warns once a program of a view with gaps; here each time, and a warning is an error."""
    both = torch.tensor([[0.8, 0.2], [0.1, 0.9], [0.4, 0.6]], dtype=torch.float64)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        found = metrics.calibration([0, 1, 1], both[:, 1])
    finally:
        torch.set_warn_always(before)
    assert found.counts == metrics.calibration([0, 1, 1], both[:, 1].tolist()).counts


def test_calibration_refuses_scores() -> None:
    with pytest.raises(LabelError, match="predict_proba"):
        metrics.calibration([0, 1], [-2.0, 3.0])
