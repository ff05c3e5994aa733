"""What a model predicts for samples, and how good it is: the report by class, ROC, calibration, and the mistakes."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import metrics
from ..data import Samples
from ..errors import DataError
from ..models import LABELS, Model
from ..results import OneFigure, Plots, Record, Table
from ..runtime.rows import Rows

NUMBERED = re.compile(r"(?:pixel|px)?[ _]?(\d+)(?:[_x](\d+))?", re.IGNORECASE)
ID = re.compile(r"(^|_| )(id|Id|ID)$|[a-z](Id|ID)$|^[Nn]ame$")
MOST_FEATURES = 6  # columns of a sample that a table of mistakes shows


@dataclass(frozen=True, eq=False, repr=False)
class Predictions(Record):
    """The predictions of samples: class indices (`index`) and probabilities, or a real `value`; a `score` if known.

    Where a sample may have several labels, `bits` (samples, classes) says which.
    """

    scores: Tensor
    index: Tensor | None
    probabilities: Tensor | None
    value: Tensor | None
    classes: tuple[str, ...] | None
    score: float | None
    names: Sequence[str] | None = None  # of the samples' files
    samples: Samples | None = field(default=None, repr=False)  # as they were read
    part: str = ""  # of a run: "test", "validation" or "train"
    ids: Mapping[str, Sequence[Any]] | None = None  # columns of the file that name its rows
    bits: Tensor | None = None

    @property
    def plot(self) -> PredictionPlots:
        """The figures: `plot()` or `plot.confusion()`, `.roc()`, `.thresholds()`, `.calibration()`, `.mistakes()`."""
        return PredictionPlots(self)

    @property
    def labels(self) -> list[str] | list[float] | list[list[str]]:
        """The predicted class of each sample, its real value, or the list of its labels."""
        if self.bits is not None and self.classes is not None:
            return [[name for name, bit in zip(self.classes, row, strict=True) if bit] for row in self.bits.tolist()]
        if self.index is None or self.classes is None:
            assert self.value is not None
            return self.value.tolist()
        return [self.classes[i] for i in self.index.tolist()]

    def __len__(self) -> int:
        return self.scores.shape[0]

    def table(self) -> Table:
        """Returns one row for each sample: its number or file, the prediction, the true label, the probabilities."""
        columns: dict[str, Sequence[Any]] = {"row": range(1, len(self) + 1)}
        if self.names is not None:
            columns["file"] = self.names
        columns |= self.ids or {}
        if self.bits is not None and self.classes is not None:
            columns |= dict(zip(self.classes, self.bits.T.tolist(), strict=True))
        else:
            columns["prediction"] = self.labels
        true = self.true_labels()
        if true is not None:
            columns["true"] = true
        if self.probabilities is not None:
            shares = self.probabilities.T.tolist()
            columns |= {f"p({name})": share for name, share in zip(self.classes or (), shares, strict=True)}
        formats = {name: ".4g" for name in columns if name != "row"}
        return Table(list(columns), list(zip(*columns.values(), strict=True)), formats=formats)

    @property
    def has_classes(self) -> bool:
        """Whether the predictions are classes, and the true ones are known."""
        return self.index is not None and self.samples is not None and self.samples.targets is not None

    def with_ids(self, path: str | Path) -> Predictions:
        """Returns the predictions with the columns of a .csv or .tsv file that name its rows, such as Id."""
        suffix = Path(path).suffix.lower()
        used = self.samples.feature_names if self.samples is not None else None
        if suffix not in (".csv", ".tsv") or used is None:
            return self
        import pandas

        try:
            frame = pandas.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
        except (ValueError, OSError, csv.Error):  # read another way: its ids are left out
            return self
        target = None if self.samples is None else self.samples.target_name
        found = {
            str(name): frame[name].tolist()
            for name in frame.columns
            if ID.search(str(name).strip()) and str(name) not in (*used, target, "row", "prediction", "true")
        }
        return replace(self, ids=found) if found and len(frame) == len(self) else self

    def true_labels(self) -> list[Any] | None:
        """Returns the samples' own labels or values; None if they are not known."""
        targets = None if self.samples is None else self.samples.targets
        if targets is None or self.bits is not None:
            return None
        return targets.tolist() if self.classes is None else [self.classes[i] for i in targets.tolist()]

    def true_index(self) -> Tensor:
        """Returns the class indices of the samples. Raises DataError if there are none."""
        targets = None if self.samples is None else self.samples.targets
        if targets is None or self.index is None or self.classes is None:
            raise DataError("This is for classes, and needs samples whose class is known.")
        return targets.to(self.index.device)

    def report(self) -> metrics.ClassReport:
        """Returns precision, recall and F1 of each class, and the confusion counts."""
        weights = None if self.samples is None else self.samples.sample_weight
        return metrics.class_report(self.true_index(), self.index, self.classes, weights)

    def roc(self) -> metrics.Roc:
        """Returns the ROC curve of two classes; by the score where there are no probabilities."""
        true, classes = self.true_index(), self.classes or ()
        if len(classes) != 2:
            raise DataError(f"A ROC curve is of two classes; these are {len(classes)}. See report().")
        if self.probabilities is not None:
            return metrics.roc(true, self.probabilities[:, 1], 0.5, classes[1])
        scores = self.scores if self.scores.ndim == 1 else self.scores[:, 1] - self.scores[:, 0]
        return metrics.roc(true, scores, 0.0, classes[1])

    def calibration(self, bins: int = 10) -> metrics.Calibration:
        """Returns how often the predicted probabilities come true: of the second of two classes, else of the answer."""
        true, classes = self.true_index(), self.classes or ()
        if self.probabilities is None:
            raise DataError("This model has no probabilities: its scores are not log-odds.")
        if len(classes) == 2:
            return metrics.calibration(true, self.probabilities[:, 1], bins, f"P({classes[1]})")
        return metrics.calibration(self.index == true, self.probabilities.amax(1), bins, "probability of the answer")

    def mistakes(self, count: int = 12) -> Mistakes:
        """Returns the wrong predictions of which the model is surest, at most `count` of them."""
        true, classes, samples = self.true_index(), self.classes or (), self.samples
        assert self.index is not None
        assert samples is not None
        wrong = (self.index != true).nonzero().flatten()
        if self.probabilities is not None:
            sure = self.probabilities.amax(1)
        elif self.scores.ndim == 1:
            sure = self.scores.abs()
        else:
            top = self.scores.topk(2, -1).values
            sure = top[:, 0] - top[:, 1]
        chosen = wrong[sure[wrong].argsort(descending=True, stable=True)[:count]].cpu()
        features, shown = tabular(samples)
        rows = []
        for i in chosen.tolist():
            row = {
                "sample": f"row {i + 1}" if samples.names is None else samples.names[i],
                "true": classes[int(true[i])],
                "predicted": classes[int(self.index[i])],
                "confidence": float(sure[i]) if self.probabilities is not None else None,
                "margin": None if self.probabilities is not None else float(sure[i]),
            }
            rows.append(row | {name: float(features[i, k]) for k, name in enumerate(shown)})
        return Mistakes(tuple(rows), len(wrong), len(self), shown, pictures(samples, chosen), self.part)


def tabular(samples: Samples) -> tuple[Any, tuple[str, ...]]:
    """Returns the features of a table and its first columns' names; none of images, and of features in files."""
    if samples.is_images or isinstance(samples.features, Rows) or pixel_shape(samples.feature_names):
        return None, ()
    names = samples.feature_names or tuple(f"x{k + 1}" for k in range(samples.features.shape[1]))
    return samples.features, names[:MOST_FEATURES]


def pictures(samples: Samples, rows: Tensor) -> np.ndarray | None:
    """Returns the images of some samples, also of a table of pixels; None for any other table."""
    shape = pixel_shape(samples.feature_names)
    if len(rows) == 0 or not (samples.is_images or shape):
        return None
    chosen: np.ndarray = samples[rows].loaded().features.cpu().numpy()
    if shape and not samples.is_images:
        return chosen.reshape(-1, *shape)
    return chosen[..., 0] if chosen.shape[-1] == 1 else chosen


def pixel_shape(names: Sequence[str] | None) -> tuple[int, int] | None:
    """Returns (height, width) of the images whose pixels the columns are, by the columns' names; else None.

    `pixel_0_0` … `pixel_7_7` are rows and columns; `pixel0` … `pixel783` and `1x1` … `28x28` are a square.
    """
    found = [NUMBERED.fullmatch(name) for name in names or ()]
    if not found or not all(found):
        return None
    (row, column), (last_row, last_column) = (match.groups() for match in (found[0], found[-1]) if match)
    if column is not None and last_column is not None:
        height, width = int(last_row) - int(row) + 1, int(last_column) - int(column) + 1
    else:
        height = width = math.isqrt(len(found))
    return (height, width) if height * width == len(found) and len(found) > 1 else None


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Record):
    """Samples that a classifier gets wrong, those of which it is surest first.

    rows : sample, true, predicted, confidence (the probability of its answer; None without probabilities), margin (the
        lead of its score; None with probabilities), and the first features of a table
    wrong, samples : how many predictions are wrong, and how many there are
    features : the names of the features in `rows`
    images : of the rows, where the samples are images
    """

    rows: tuple[dict[str, Any], ...]
    wrong: int
    samples: int
    features: tuple[str, ...] = ()
    images: np.ndarray | None = field(default=None, repr=False)
    part: str = ""

    @property
    def plot(self) -> OneFigure:
        """The figure: `plot()` draws the samples as images, or how sure the model was of each."""
        return OneFigure(self, "mistakes")

    @property
    def title(self) -> str:
        """Says how many are wrong, and how many of them are shown."""
        where = f" of the {self.part} part" if self.part else ""
        if not self.rows:
            return f"All {self.samples:,} samples{where} are right"
        shown = f"; the {len(self.rows)} of which the model is surest" if len(self.rows) < self.wrong else ""
        return f"{self.wrong:,} of {self.samples:,} samples{where} are wrong{shown}"

    def table(self) -> Table:
        """Returns one row for each mistake."""
        columns = ["sample", "true", "predicted", "confidence", "margin", *self.features]
        known = [name for name in columns if any(row.get(name) is not None for row in self.rows)]
        table = Table.of(self.rows, known)
        return Table(table.columns, table.rows, title=self.title, formats={"confidence": ".4f", "margin": ".4g"})


class PredictionPlots(Plots):
    """The figures of predictions whose targets are known. Each returns its Axes."""

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draws the confusion matrix, with precision and recall beside it."""
        return self.confusion(ax, **options)

    def confusion(self, ax: Any = None, **options: Any) -> Any:
        """Draws the confusion matrix, with precision and recall beside it."""
        return self._result.report().plot(ax, **options)

    def roc(self, ax: Any = None, **options: Any) -> Any:
        """Draws the ROC curve of two classes, with the threshold in use marked."""
        return self._result.roc().plot(ax, **options)

    def thresholds(self, ax: Any = None, **options: Any) -> Any:
        """Draws accuracy, precision and recall of two classes against the threshold."""
        from ..figures import threshold_curves

        return threshold_curves(self._result.roc(), ax, **options)

    def calibration(self, ax: Any = None, bins: int = 10, **options: Any) -> Any:
        """Draws how often the predicted probabilities come true."""
        return self._result.calibration(bins).plot(ax, **options)

    def mistakes(self, ax: Any = None, count: int = 12, **options: Any) -> Any:
        """Draws the mistakes of which the model is surest."""
        return self._result.mistakes(count).plot(ax, **options)


def make_predictions(
    model: Model,
    scores: Tensor,
    classes: tuple[str, ...] | None,
    samples: Samples | None = None,
    score: float | None = None,
    part: str = "",
) -> Predictions:
    """Returns the predictions for scores of samples; `samples` are as they were read, targets as class indices."""
    decided, names = model.decide(scores), None if samples is None else samples.names
    if classes is None:
        return Predictions(scores, None, None, decided, classes, score, names, samples, part)
    if model.metric == LABELS:
        chances = None if model.link is None else model.link(scores)
        return Predictions(scores, None, chances, None, classes, score, names, samples, part, bits=decided)
    two = model.predicts != "classes"
    index = (decided > 0).long() if two else decided
    probabilities = None if model.link is None else model.link(scores)
    if probabilities is not None and two:
        probabilities = torch.stack([1 - probabilities, probabilities], -1)
    return Predictions(scores, index, probabilities, None, classes, score, names, samples, part)
