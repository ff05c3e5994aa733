"""The pictures of a run: its curves, and a fitted line, regions, templates or a confusion matrix if they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from .. import figures
from ..data import Samples, split
from ..figures.style import Look
from ..history import History
from ..models import LinearModel, evaluating
from ..runtime.drawing import files_only
from ..runtime.rows import Rows, chunk_of
from .build import Prepared
from .folder import RunFolder
from .plots import SHOWN, image_shape
from .predictions import Predictions, make_predictions

AS_DRAWN = Look()
Picture = tuple[str, Callable[[], Any]]  # its name, and the function that draws its axes


def save_pictures(
    pictures: Iterable[Picture], folder: RunFolder, note: Callable[[str], None], look: Look = AS_DRAWN
) -> list[str]:
    """Draws the pictures into the figures folder as the look says, and returns the files' paths.

    Call it after the results are written. A picture that cannot be drawn costs a note, and so does a failure to choose
    the next one.
    """
    saved: list[str] = []
    try:
        for name, picture in pictures:
            try:
                with files_only():
                    axes = look.apply(picture())
                    files = [folder.file(f"figures/{name}.{kind}") for kind in look.formats]
                    saved += [str(figures.save(axes, file, look.dpi)) for file in files]
            except Exception as error:  # whatever it is, the results are safe
                note(f"note: the picture {name} could not be drawn: {reason_of(error)}.")
    except Exception as error:  # to choose the pictures that fit, a model predicts: that may fail too
        note(f"note: the other pictures could not be drawn: {reason_of(error)}.")
    return saved


def reason_of(error: Exception) -> str:
    """Returns the error's message on one line, or the error's name if it has none."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def pictures_of(prepared: Prepared, history: History) -> Iterator[Picture]:
    """Yields the pictures that fit a run."""
    model, width = prepared.model, prepared.train.features.shape[1]
    names = prepared.dataset.train.classes
    if any("loss" in row for row in history):
        yield "loss", lambda: figures.loss_curves(history)
    if history.status == "diverged":
        return  # its scores and weights have nothing to show
    if any(history.metric in row for row in history):
        yield history.metric, lambda: figures.accuracy_curves(history)
    pipeline, standardise = prepared.pipeline, prepared.pipeline.standardise
    shape = image_shape(pipeline.kind, pipeline.shape, prepared.dataset.train.feature_names)
    if shape is not None and isinstance(model, LinearModel):
        yield "templates", lambda: figures.templates(model.weight.detach(), shape, classes=names)
    if history.metric == "r2" and width == 1:
        yield (
            "fitted_line",
            lambda: figures.fitted_line(model, undo_standardising(prepared), standardise=standardise),
        )
    if history.metric == "accuracy" and width == 2:
        yield (
            "regions",
            lambda: figures.decision_regions(model, undo_standardising(prepared), standardise=standardise),
        )
    if history.metric == "accuracy" and names and (predictions := predict_held_out(prepared)) is not None:
        yield from pictures_of_predictions(predictions)


def pictures_of_predictions(predictions: Predictions) -> Iterator[Picture]:
    """Yields what a classifier does on samples whose class is known: right, wrong, and how sure."""
    plot, classes = predictions.plot, predictions.classes or ()
    yield "confusion", lambda: name_part(plot.confusion(), predictions.part)
    if predictions.mistakes(1).wrong:
        yield "mistakes", plot.mistakes
    if len(classes) == 2 and len(predictions.true_index().unique()) == 2:
        yield "roc", lambda: name_part(plot.roc(), predictions.part)
        yield "thresholds", lambda: name_part(plot.thresholds(), predictions.part)
    if predictions.probabilities is not None:
        yield "calibration", lambda: name_part(plot.calibration(), predictions.part)


@torch.no_grad()
def predict_held_out(prepared: Prepared) -> Predictions | None:
    """Returns the predictions of the test part, or else of the validation part; None if there is neither."""
    name, part = ("test", prepared.test) if prepared.test is not None else ("validation", prepared.validation)
    if part is None or part.targets is None:
        return None
    samples = prepared.dataset.test
    if samples is None:
        config = prepared.config
        samples = split(prepared.dataset.train, config.data.validation, config.run.seed)[1]
    samples = samples.to(prepared.device)
    with evaluating(prepared.model):
        scores = torch.cat([prepared.model(features) for features in part.features.split(chunk_of(part.features))])
    return make_predictions(prepared.model, scores, prepared.dataset.train.classes, samples, part=name)


def name_part(axes: Any, part: str) -> Any:
    """Puts the name of the part in front of a title."""
    axes.set_title(f"{part} part: {axes.get_title(loc='left')}", loc="left", fontsize="medium")
    return axes


def undo_standardising(prepared: Prepared) -> Samples:
    """Returns the training part in the columns' own units, with their names: for the axes of a picture.

    Of features in files it takes `SHOWN` samples at even distances.
    """
    train, named, standardise = prepared.train, prepared.dataset.train, prepared.pipeline.standardise
    if isinstance(train.features, Rows):
        train = train[:: -(-len(train) // SHOWN)].loaded()
    features: Tensor = train.features if standardise is None else standardise.invert(train.features)
    return Samples(features, train.targets, train.classes, named.feature_names, named.target_name)
