"""`model.fit(X, y)`: `descend` with a loss that suits the model, and a rate that is small enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import losses
from ..data import Samples
from ..errors import ConfigError
from ..features import Standardise
from ..losses import Loss
from ..models import LinearModel, LinearSVM, Model
from ..runtime.guesses import accept_synonyms
from .checks import prepare_part
from .loop import descend
from .stability import EXACT, largest_curvature

RATE = 0.1  # where no curvature says what is small enough
EPOCHS = 1000


@accept_synonyms
def fit(
    model: Model,
    features: Any,
    targets: Any = None,
    *,
    loss: Loss | str | None = None,
    rate: float | None = None,
    epochs: int | None = None,
    sample_weight: Any = None,
    **options: Any,
) -> Model:
    """Trains a model in place with `descend`, and returns it. Its history is `model.history`.

    Parameters
    ----------
    features, targets : whatever `Samples` takes; two classes become the labels that the model predicts
    loss : by default squared error for real predictions, the hinges for an SVM, else the (binary) cross-entropy or,
        for labels −1 and +1, the logistic loss
    rate : by default 1/λ for a linear model, where λ = bound · λ_max(XᵀX / N) is at least the largest curvature of a
        smooth loss, so that descent never raises it; 0.1 for other models. With neither rate, penalty nor snapshots
        the columns are standardised for the training of a linear model, which takes fewer steps, and its weights are
        then those of the columns as they were given.
    epochs : 1,000 by default, unless `steps` are given
    options : those of `descend`
    """
    data = Samples(features, targets, sample_weight=sample_weight) if targets is not None else features
    samples = encode_two_classes(model, prepare_part(data, model))
    chosen = losses.named(loss) if isinstance(loss, str) else loss or usual_loss(model)
    if epochs is None and options.get("steps") is None:
        epochs = EPOCHS
    free = rate is None and options.get("penalty") is None and options.get("snapshots") is None
    scale = measure_columns(model, samples) if free else None
    if scale is not None:
        samples = replace(samples, features=scale(samples.features))
        if options.get("validation") is not None:
            held = prepare_part(options["validation"], model)
            options["validation"] = replace(held, features=scale(held.features))
        change_columns(model, scale.mean, scale.scale)
    step = small_enough(model, chosen, samples) if rate is None else rate
    try:
        model.history = descend(model, chosen, samples, rate=step, epochs=epochs, **options)
    finally:
        if scale is not None:
            change_columns(model, -scale.mean / scale.scale, 1 / scale.scale)
    return model


def measure_columns(model: Model, samples: Samples) -> Standardise | None:
    """Returns the mean and deviation of each column for a linear model; None for other models and for images."""
    if not isinstance(model, LinearModel) or not isinstance(samples.features, Tensor) or samples.features.ndim != 2:
        return None
    found = Standardise.fit(samples.features)
    # without a bias nothing in the model can make up for a shift
    return found if model.bias is not None else Standardise(torch.zeros_like(found.mean), found.scale)


@torch.no_grad()
def change_columns(model: Model, mean: Tensor, scale: Tensor) -> None:
    """Changes the weights of a linear model so that its scores of (x − mean) / scale are those of x before.

    w·x + b = (w ∘ scale)·z + (b + w·mean), for x = scale ∘ z + mean.
    """
    parameters = dict(model.named_parameters())
    weight = parameters["weight"].double()
    if "bias" in parameters:
        parameters["bias"].copy_(parameters["bias"] + weight @ mean)
    parameters["weight"].copy_(weight * scale)


def usual_loss(model: Model) -> Loss:
    """Returns the loss with which a model is usually trained."""
    if model.predicts == "real":
        return losses.SquaredError()
    if isinstance(model, LinearSVM):
        return losses.MulticlassHinge() if model.predicts == "classes" else hinge(model)
    if model.predicts == "classes":
        return losses.CrossEntropy()
    return losses.BinaryCrossEntropy() if model.predicts == "bits" else losses.Logistic()


def hinge(model: Model) -> Loss:
    """Returns the hinge loss. Raises ConfigError for a model that predicts 0 and 1: the hinge's labels are signs."""
    if model.predicts != "signs":
        raise ConfigError("The hinge takes labels -1 and +1; this SVM has predicts='bits'. Leave predicts out.")
    return losses.Hinge()


def encode_two_classes(model: Model, samples: Samples) -> Samples:
    """Returns the samples with the class indices 0 and 1 as the labels −1 and +1, if the model predicts these."""
    targets = samples.targets
    if model.predicts != "signs" or targets is None or not bool(((targets == 0) | (targets == 1)).all()):
        return samples
    return Samples(samples.features, 2 * targets - 1, sample_weight=samples.sample_weight)


@torch.no_grad()
def small_enough(model: Model, loss: Loss, samples: Samples) -> float:
    """Returns 1/λ for a smooth loss of a linear model, λ a bound on its largest curvature; else `RATE`."""
    bound, features = loss.curvature_bound, samples.features
    if not isinstance(model, LinearModel) or features.ndim != 2 or features.shape[1] >= EXACT:
        return RATE
    curvature = largest_curvature(features, model.bias is not None, bound or 1.0, weights=samples.sample_weight)
    return min(1 / curvature, 1e6) if curvature > 0 else RATE
