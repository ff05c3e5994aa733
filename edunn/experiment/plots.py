"""The figures of a finished run, found by tab: `run.plot.templates()`, `run.plot.mistakes()`."""

from __future__ import annotations

from typing import Any

from ..data import Samples
from ..errors import DataError
from ..models import LinearModel
from ..results import Plots
from ..runtime.rows import Rows
from .predictions import pixel_shape

SHOWN = 5_000  # samples of a picture of lines or regions


class RunPlots(Plots):
    """The figures of a run; see `edunn.figures` for their options. Each returns its Axes.

    Those of predictions look at the test part, or else at the validation part; `part="train"` asks for another.
    """

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draws the loss over the epochs."""
        return self.loss(ax, **options)

    def loss(self, ax: Any = None, **options: Any) -> Any:
        """Draws the loss over the epochs."""
        return self._result.history.plot.loss(ax, **options)

    def accuracy(self, ax: Any = None) -> Any:
        """Draws the accuracy, or R² of a regression, over the epochs."""
        return self._result.history.plot.accuracy(ax)

    def templates(self, ax: Any = None, **options: Any) -> Any:
        """Draws the weights of a linear model of images, one image for each class."""
        from ..figures import templates

        run = self._result
        shape = image_shape(run.features.kind, run.features.shape, run.feature_names)
        if shape is None or not isinstance(run.model, LinearModel):
            raise DataError("Templates are the weights of a linear model of pixels; this run has other features.")
        return templates(run.model.weight.detach(), shape, classes=run.classes, ax=ax, **options)

    def regions(self, ax: Any = None, part: str = "train", **options: Any) -> Any:
        """Draws the regions in which a classifier of two features predicts each class, with the samples."""
        from ..figures import decision_regions

        run = self._result
        return decision_regions(run.model, drawn(run, part), ax, run.features.standardise, **options)

    def fitted_line(self, ax: Any = None, part: str = "train", **options: Any) -> Any:
        """Draws the line or curve of a model of one feature, with the samples."""
        from ..figures import fitted_line

        run = self._result
        return fitted_line(run.model, drawn(run, part), ax, run.features.standardise, **options)

    def confusion(self, ax: Any = None, part: str | None = None, **options: Any) -> Any:
        """Draws the confusion matrix, with precision and recall beside it."""
        return self._result.evaluate(part).plot.confusion(ax, **options)

    def roc(self, ax: Any = None, part: str | None = None, **options: Any) -> Any:
        """Draws the ROC curve of two classes, with the threshold in use marked."""
        return self._result.evaluate(part).plot.roc(ax, **options)

    def thresholds(self, ax: Any = None, part: str | None = None, **options: Any) -> Any:
        """Draws accuracy, precision and recall of two classes against the threshold."""
        return self._result.evaluate(part).plot.thresholds(ax, **options)

    def calibration(self, ax: Any = None, part: str | None = None, **options: Any) -> Any:
        """Draws how often the predicted probabilities come true."""
        return self._result.evaluate(part).plot.calibration(ax, **options)

    def mistakes(self, ax: Any = None, count: int = 12, part: str | None = None, **options: Any) -> Any:
        """Draws the mistakes of which the model is surest, as images or as rows."""
        return self._result.mistakes(count, part).plot(ax, **options)


def drawn(run: Any, part: str) -> Samples:
    """Returns the samples of a part for a picture in the columns' own units, with the targets that the loss takes."""
    samples: Samples = run.part(part)[1]
    if isinstance(samples.features, Rows):
        samples = samples[:: -(-len(samples) // SHOWN)].loaded()
    encoded: Samples = run.encoded(samples)
    return encoded


def image_shape(kind: str, shape: tuple[int, ...], names: Any) -> tuple[int, ...] | None:
    """Returns the shape in which a row of weights is an image: of pixels, or of a table of pixels; else None."""
    return shape if kind == "pixels" else pixel_shape(names)
