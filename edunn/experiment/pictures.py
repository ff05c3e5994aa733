"""The pictures of a run: its curves, and a fitted line, regions, templates or a confusion matrix if they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import figures
from ..data import Samples
from ..history import History
from ..metrics import confusion_counts
from ..models import LinearModel
from ..runtime.rows import Rows, chunk_of
from .build import Prepared
from .folder import RunFolder

SHOWN = 5_000
Picture = tuple[str, Callable[[], Any]]  # its name, and the function that draws its axes


def save_pictures(
    pictures: Iterable[Picture], folder: RunFolder, note: Callable[[str], None], kinds: Sequence[str] = ("png",)
) -> list[str]:
    """Draws the pictures into the figures folder, each in every kind of file, and returns the files' paths.

    Call it after the results are written. If a picture cannot be drawn, a note names it.
    """
    saved: list[str] = []
    for name, picture in pictures:
        try:
            axes = picture()
            saved += [str(figures.save(axes, folder.file(f"figures/{name}.{kind}"))) for kind in kinds]
        except Exception as error:  # whatever it is, the results are safe
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            note(f"note: the picture {name} could not be drawn: {reason}.")
    return saved


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
    shape, standardise = find_template_shape(prepared), prepared.pipeline.standardise
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
    looked_at = prepared.test or prepared.validation
    if history.metric == "accuracy" and names and looked_at is not None and looked_at.targets is not None:
        yield "confusion", lambda: draw_confusion(prepared, looked_at, names)


@torch.no_grad()
def draw_confusion(prepared: Prepared, part: Samples, names: tuple[str, ...]) -> Any:
    """Draws the confusion matrix of a part, and returns its axes."""
    chunks = part.features.split(chunk_of(part.features))
    decided = torch.cat([prepared.model.predict(features) for features in chunks])
    assert part.targets is not None
    true, predicted = to_class_index(part.targets), to_class_index(decided)
    counts = confusion_counts(true, predicted, len(names), part.sample_weight)
    axes = figures.confusion_matrix(counts, names)
    axes.set_title(f"{'test' if prepared.test else 'validation'} part: {axes.get_title(loc='left')}", loc="left")
    return axes


def to_class_index(labels: torch.Tensor) -> torch.Tensor:
    """Turns 0/1 and −1/+1 labels into class indices; class indices stay as they are."""
    return (labels > 0).long() if labels.dtype.is_floating_point or bool((labels < 0).any()) else labels


def undo_standardising(prepared: Prepared) -> Samples:
    """Returns the training part in the columns' own units, with their names: for the axes of a picture.

    Of features in files it takes `SHOWN` samples at even distances.
    """
    train, named, standardise = prepared.train, prepared.dataset.train, prepared.pipeline.standardise
    if isinstance(train.features, Rows):
        train = train[:: -(-len(train) // SHOWN)].loaded()
    features: Tensor = train.features if standardise is None else standardise.invert(train.features)
    return Samples(features, train.targets, train.classes, named.feature_names, named.target_name)


def find_template_shape(prepared: Prepared) -> tuple[int, ...] | None:
    """Returns the shape of the images whose pixels are the features, to draw weights as images; else None."""
    if prepared.pipeline.kind == "pixels":
        return prepared.pipeline.shape
    if prepared.dataset.name == "digits":
        return (8, 8)
    return None
