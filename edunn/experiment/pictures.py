"""The pictures of a run: curves always; a fitted line, regions, templates and a confusion matrix where they fit."""

from __future__ import annotations

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


def draw(prepared: Prepared, folder: RunFolder, history: History) -> list[str]:
    """Draws the pictures that fit the run into its figures folder, and returns their paths."""
    drawn: list[str] = []

    def save(name: str, axes: Any) -> None:
        path = folder.file(f"figures/{name}.png")
        figures.save(axes, path)
        drawn.append(str(path))

    model, width = prepared.model, prepared.train.features.shape[1]
    names = prepared.dataset.train.classes
    if any("loss" in row for row in history):
        save("loss", figures.loss_curves(history))
    if history.status == "diverged":
        return drawn  # its scores and weights have nothing to show
    if any(history.metric in row for row in history):
        save(history.metric, figures.accuracy_curves(history))
    shape, standardise = find_template_shape(prepared), prepared.pipeline.standardise
    if shape is not None and isinstance(model, LinearModel):
        save("templates", figures.templates(model.weight.detach(), shape, classes=names))
    if history.metric == "r2" and width == 1:
        save("fitted_line", figures.fitted_line(model, undo_standardising(prepared), standardise=standardise))
    if history.metric == "accuracy" and width == 2:
        save("regions", figures.decision_regions(model, undo_standardising(prepared), standardise=standardise))
    looked_at = prepared.test or prepared.validation
    if history.metric == "accuracy" and names and looked_at is not None and looked_at.targets is not None:
        with torch.no_grad():
            size = chunk_of(looked_at.features)
            decided = torch.cat([model.predict(features) for features in looked_at.features.split(size)])
        counts = confusion_counts(to_class_index(looked_at.targets), to_class_index(decided), len(names))
        axes = figures.confusion_matrix(counts, names)
        axes.set_title(f"{'test' if prepared.test else 'validation'} part: {axes.get_title(loc='left')}", loc="left")
        save("confusion", axes)
    return drawn


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
    """Returns the shape in which a row of weights is an image, or None."""
    if prepared.pipeline.kind == "pixels":
        return prepared.pipeline.shape
    if prepared.dataset.name == "digits":
        return (8, 8)
    return None
