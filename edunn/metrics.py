"""Metrics of predictions: confusion counts, precision and recall of each class, the ROC curve, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from . import errors
from .results import OneFigure, Record, Table
from .runtime.foreign import to_tensor, unpack
from .runtime.guesses import public

__all__ = [
    "Calibration",
    "ClassReport",
    "Roc",
    "accuracy",
    "calibration",
    "class_report",
    "confusion_counts",
    "f1",
    "label_accuracies",
    "precision",
    "recall",
    "roc",
    "subset_accuracy",
]
__getattr__, __dir__ = public(
    __name__,
    __all__,
    {
        "roc_curve": "It is roc(targets, scores), whose plot() draws it.",
        "roc_auc_score": "It is roc(targets, scores).area.",
        "auc": "It is roc(targets, scores).area.",
        "classification_report": "It is class_report(targets, predictions, classes).",
        "confusion_matrix": "It is confusion_counts(targets, predictions, classes); figures.confusion_matrix draws it.",
        "accuracy_score": "It is accuracy(confusion_counts(targets, predictions, classes)), or model.score(X, y).",
        "precision_score": "It is class_report(targets, predictions).precision.",
        "recall_score": "It is class_report(targets, predictions).recall.",
        "f1_score": "It is class_report(targets, predictions).f1.",
        "mean_squared_error": "It is edunn.losses.SquaredError()(scores, targets).",
        "log_loss": "It is edunn.losses.CrossEntropy()(scores, targets), of scores.",
        "r2_score": "It is model.score(X, y) of a regression.",
        "calibration_curve": "It is calibration(happened, probabilities), whose plot() draws it.",
    },
)


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


def f1(counts: Tensor) -> Tensor:
    """Returns the harmonic mean of precision and recall of each class: (classes,), 2 counts_ii / (row + column sum).

    nan for a class without samples that was never predicted.
    """
    return 2 * counts.diagonal().double() / (counts.sum(0) + counts.sum(1))


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


@dataclass(frozen=True, repr=False)
class ClassReport(Record):
    """Precision, recall and F1 of each class, and its number of samples; and the accuracy of all.

    precision : of the samples that were predicted as the class, the share that is right; nan if there are none
    recall : of the samples of the class, the share that was predicted as it; nan if there are none
    f1 : 2 · precision · recall / (precision + recall)
    """

    classes: tuple[str, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    samples: tuple[float, ...]
    accuracy: float
    counts: Tensor = field(repr=False, compare=False)

    @property
    def plot(self) -> OneFigure:
        """The figure: `plot()` draws the confusion matrix, with precision and recall beside it."""
        return OneFigure(self, "class_report")

    def table(self) -> Table:
        """Returns one row a class, and the mean over the classes ("macro") below."""
        rows: list[tuple[Any, ...]] = list(
            zip(self.classes, self.precision, self.recall, self.f1, self.samples, strict=True)
        )
        means = [known_mean(values) for values in (self.precision, self.recall, self.f1)]
        rows.append(("mean of the classes", *means, sum(self.samples)))
        right = float(self.counts.trace())
        note = f"accuracy {self.accuracy:.4f}: {right:g} of {sum(self.samples):g} are right"
        formats = dict.fromkeys(("precision", "recall", "f1"), ".4f")
        return Table(("class", "precision", "recall", "f1", "samples"), rows, note, formats=formats)


def class_report(
    targets: Any, predictions: Any, classes: Sequence[Any] | None = None, weights: Tensor | None = None
) -> ClassReport:
    """Returns precision, recall and F1 of each class, as scikit-learn's `classification_report`.

    Parameters
    ----------
    targets, predictions : (samples,) class indices, or labels −1 and +1
    classes : the classes' names; the labels themselves if not given
    weights : (samples,), what each sample counts
    """
    true, guessed = (to_tensor(name, unpack(values).features).long().flatten()
                     for name, values in (("targets", targets), ("predictions", predictions)))  # fmt: skip
    signs = bool((true < 0).any() or (guessed < 0).any())
    size = max([int(part.max()) for part in (true, guessed) if len(part)], default=1) + 1
    values = (-1, 1) if signs else tuple(range(max(size, 2 if classes is None else len(classes))))
    names = tuple(str(name) for name in (classes if classes is not None else values))
    if len(names) != len(values):
        raise errors.LabelError(f"{len(names)} names for {len(values)} classes. Give one for each.")
    counts = confusion_counts(true, guessed, values, weights)
    own_precision, own_recall, own_f1 = (tuple(metric(counts).tolist()) for metric in (precision, recall, f1))
    samples = tuple(counts.sum(1).tolist())
    return ClassReport(names, own_precision, own_recall, own_f1, samples, accuracy(counts), counts)


def known_mean(values: Sequence[float]) -> float:
    """Returns the mean of the values that are known."""
    return float(torch.tensor(values, dtype=torch.float64).nanmean())


@dataclass(frozen=True, repr=False)
class Roc(Record):
    """How a two-class decision changes with its threshold: the receiver operating characteristic.

    Lowering the threshold finds more of the positive class and raises more false alarms. The area under the curve is
    the probability that a random positive sample has a higher score than a random negative one (ties count half).

    thresholds : descending, +∞ first: a sample is called positive if its score is at least the threshold
    true_positives, false_positives : how many are then called positive, rightly and wrongly
    positives, negatives : the number of samples of each class
    area : under the curve of true positive rate against false positive rate; 0.5 is guessing, 1 is perfect
    chosen : the threshold in use, 0.5 of a probability
    positive : the name of the positive class
    """

    thresholds: tuple[float, ...] = field(repr=False)
    true_positives: tuple[int, ...] = field(repr=False)
    false_positives: tuple[int, ...] = field(repr=False)
    positives: int
    negatives: int
    area: float
    chosen: float
    positive: str

    @property
    def plot(self) -> OneFigure:
        """The figure: `plot()` draws the ROC curve with the threshold in use marked."""
        return OneFigure(self, "roc_curve")

    @property
    def true_positive_rate(self) -> list[float]:
        """The recall of the positive class at each threshold."""
        return [count / self.positives for count in self.true_positives]

    @property
    def false_positive_rate(self) -> list[float]:
        """The share of the negative class that is called positive, at each threshold."""
        return [count / self.negatives for count in self.false_positives]

    def at(self, threshold: float) -> dict[str, float]:
        """Returns the rates, precision and accuracy at a threshold."""
        index = sum(value >= threshold for value in self.thresholds) - 1
        tp, fp = self.true_positives[index], self.false_positives[index]
        return {
            "threshold": threshold,
            "true_positive_rate": tp / self.positives,
            "false_positive_rate": fp / self.negatives,
            "precision": tp / (tp + fp) if tp + fp else float("nan"),
            "accuracy": (tp + self.negatives - fp) / (self.positives + self.negatives),
        }

    def table(self) -> Table:
        """Returns one row for each of a few thresholds, with that in use, and the area below."""
        finite = [value for value in self.thresholds if abs(value) != float("inf")]
        marks = [finite[round((len(finite) - 1) * share)] for share in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)]
        records = [self.at(value) for value in sorted({*marks, self.chosen}, reverse=True)]
        table = Table.of(records, list(records[0]), f"area under the curve {self.area:.4f}; in use: {self.chosen:g}")
        return Table(table.columns, table.rows, table.note, f"positive: {self.positive}")


def roc(targets: Any, scores: Any, threshold: float = 0.5, positive: str = "1") -> Roc:
    """Returns the ROC curve of two classes, as scikit-learn's `roc_curve` with every threshold, and its area.

    Parameters
    ----------
    targets : (samples,), 0 and 1, or −1 and +1
    scores : (samples,), the probability of the second class, or a score that grows with it
    threshold : the one in use: 0.5 of a probability, 0 of a score
    positive : the name of the second class
    """
    values = to_tensor("scores", unpack(scores).features).double().flatten()
    true = to_tensor("targets", unpack(targets).features).flatten() > 0
    check_two_classes(true, values)
    values, order = values.sort(descending=True, stable=True)
    true = true[order]
    last = torch.ones_like(true)  # of equal scores: all of them are above a threshold, or none
    last[:-1] = values[1:] != values[:-1]
    tp, fp = true.cumsum(0)[last], (~true).cumsum(0)[last]
    thresholds = [float("inf"), *values[last].tolist()]
    tp, fp = (torch.cat([counts.new_zeros(1), counts]) for counts in (tp, fp))
    area = float(torch.trapezoid(tp.double(), fp.double())) / (int(tp[-1]) * int(fp[-1]))
    return Roc(tuple(thresholds), tuple(tp.tolist()), tuple(fp.tolist()), int(tp[-1]), int(fp[-1]), area, threshold,
               positive)  # fmt: skip


def check_two_classes(true: Tensor, scores: Tensor) -> None:
    """Raises an error if there is not a score for each sample, or only one class."""
    if scores.shape != true.shape:
        raise errors.ShapeError(
            f"There are {len(true)} targets and {len(scores)} scores. Of two probabilities a sample take the second: "
            f"probabilities[:, 1]."
        )
    errors.check_finite("scores", scores)
    if len(true) == 0 or bool(true.all()) or not bool(true.any()):
        raise errors.LabelError("A threshold parts two classes; these targets hold one. Take samples of both.")


@dataclass(frozen=True, repr=False)
class Calibration(Record):
    """How often what has probability p happens: a calibrated model is right in 80 % of what it calls 80 % sure.

    edges : the ends of the bins of probability, bins + 1
    counts : the samples in each bin
    predicted : the mean probability in each bin; nan in an empty one
    observed : the share in each bin in which it happened; nan in an empty one
    error : Σ counts · |observed − predicted| / N, the expected calibration error
    what : what the probability is of
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    error: float
    what: str

    @property
    def plot(self) -> OneFigure:
        """The figure: `plot()` draws the observed share against the predicted probability."""
        return OneFigure(self, "calibration_curve")

    def table(self) -> Table:
        """Returns one row for each bin that is not empty."""
        rows = [
            (f"{low:g} to {high:g}", count, p, o)
            for low, high, count, p, o in zip(
                self.edges[:-1], self.edges[1:], self.counts, self.predicted, self.observed, strict=True
            )
            if count
        ]
        formats = dict.fromkeys(("mean probability", "observed share"), ".4f")
        columns = (self.what, "samples", "mean probability", "observed share")
        return Table(columns, rows, f"expected calibration error {self.error:.4f}", formats=formats)


def calibration(happened: Any, probabilities: Any, bins: int = 10, what: str = "probability") -> Calibration:
    """Returns the observed share of what was predicted with each probability, as scikit-learn's `calibration_curve`.

    Parameters
    ----------
    happened : (samples,), 0 and 1: whether it came true. Of two classes: the targets; of more: whether the predicted
        class is right
    probabilities : (samples,), of the second class; of more classes that of the predicted one
    bins : of equal width, from 0 to 1
    """
    errors.check_count("bins", bins)
    # on the CPU, where sums over bins have one order; contiguous, since probabilities[:, 1] is a view with gaps
    p = to_tensor("probabilities", unpack(probabilities).features).cpu().double().flatten().contiguous()
    true = (to_tensor("happened", unpack(happened).features).cpu().flatten() > 0).double()
    if p.shape != true.shape or len(p) == 0:
        raise errors.ShapeError(f"There are {len(true)} outcomes and {len(p)} probabilities. Give one for each.")
    errors.check_interval(p, 0.0, 1.0, "Probabilities are model.predict_proba(X)[:, 1].")
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(p, edges[1:-1])  # a bin holds its upper edge, as scikit-learn's
    counts = index.bincount(minlength=bins)
    predicted, observed = (index.bincount(values, minlength=bins) / counts for values in (p, true))
    error = float((counts * (observed - predicted).abs()).nansum() / len(p))
    return Calibration(
        tuple(edges.tolist()), tuple(counts.tolist()), tuple(predicted.tolist()), tuple(observed.tolist()), error, what
    )
