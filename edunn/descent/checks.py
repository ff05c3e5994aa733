"""Checks of a run before its first step. The loop itself checks nothing, so no step waits for a check."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .. import errors, losses, updates
from ..data import Samples
from ..losses import Loss
from ..models import Model, check_gradients, evaluating
from ..runtime.guesses import same_thing
from ..runtime.rows import check_finite
from ..updates import Rule, Schedule
from .fast import PRECISIONS


@torch.no_grad()
def check_part(model: Model, loss: Loss, part: Samples) -> None:
    """Raises an error if the model, the loss and the samples do not fit together."""
    if part.targets is None:
        raise errors.DataError(
            "These samples have no targets to train or evaluate on. Pass Samples(features, targets)."
        )
    check_finite(part.features)
    check_same_place(model, part.features)
    with evaluating(model):
        scores = model(next(iter(part[:1].features.split(1))))
    shape, axis = list(scores.shape), scores.ndim - 1 - loss.class_axis
    if axis >= 0 and shape[axis] != min(1, len(part)):
        wanted = "(*lead, samples, classes)" if loss.class_axis else "(*lead, samples)"
        raise errors.ShapeError(
            f"{type(loss).__name__} takes scores of shape {wanted}; for one sample the model gives "
            f"{errors.shape(scores)}. A model with one score a class needs a loss over classes."
            + (" For several bits a sample: OneVsAllCrossEntropy()." if loss.labels == "bits" else "")
        )
    shape[axis] = len(part)  # one sample's scores are enough: only shape and dtype are checked
    loss.check(scores.expand(shape), part.targets)
    loss.check_weights(scores.expand(shape), part.sample_weight)
    loss.gradient(scores, part.targets[:1], validate=False)  # a loss without a gradient says so before the first step


def as_loss(loss: Any) -> Loss:
    """Returns the loss, or that of the name. Raises ConfigError for anything else, and says what it may have been."""
    if isinstance(loss, str):
        return losses.named(loss)
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise errors.ConfigError(f"The loss is the class {loss.__name__} itself. Call it: {loss.__name__}().")
    if not hasattr(loss, "pointwise"):
        name = type(loss).__name__ if not isinstance(loss, type) else loss.__name__
        meant = same_thing(name, losses.__all__)
        raise errors.ConfigError(
            f"The loss is one of edunn.losses; got {name}. "
            + (f"Did you mean edunn.losses.{meant}()?" if meant else "The order is model, loss, samples.")
        )
    found: Loss = loss
    return found


def as_penalty(penalty: Any) -> Any:
    """Returns the penalty. Raises ConfigError for a bare number."""
    if isinstance(penalty, int | float):
        raise errors.ConfigError(f"A penalty is one of edunn.penalties: penalty=edunn.penalties.L2({penalty:g}).")
    return penalty


def as_rule(rule: Any) -> Rule:
    """Returns the update rule, or that of the name. Raises ConfigError for a class or an optimiser of torch."""
    if rule is None:
        return updates.GradientDescent()
    if isinstance(rule, str):
        return updates.named(rule)
    if isinstance(rule, type) or not isinstance(rule, Rule):
        name = rule.__name__ if isinstance(rule, type) else type(rule).__name__
        meant = same_thing(name, updates.__all__) or "Adam"
        raise errors.ConfigError(f"The rule is one of edunn.updates; got {name}. Write rule=edunn.updates.{meant}().")
    return rule


def as_schedule(schedule: Any) -> Schedule:
    """Returns the schedule, or that of the name; a constant rate for None."""
    if isinstance(schedule, str):
        return updates.named_schedule(schedule)
    return schedule or updates.Constant()


def leave_out(loss: Loss, part: Samples) -> Samples:
    """Returns the samples with a weight of 0 for those that the loss leaves out (an `ignore_index`)."""
    if part.targets is None or not loss.leaves_out(part.targets):
        return part
    targets, weights = loss.leave_out(part.features, part.targets, part.sample_weight)
    return part.with_targets(targets, weights)


def check_same_place(model: Model, features: Tensor) -> None:
    """Raises DtypeError if the features' dtype or device is not the parameters'."""
    first = next(model.parameters(), None)
    if first is None:
        raise errors.ConfigError(f"{type(model).__name__} has no parameters to train. Assign them as nn.Parameter.")
    if (features.dtype, features.device) != (first.dtype, first.device):
        raise errors.DtypeError(
            f"The features are {features.dtype} on {features.device}, and the model is {first.dtype} on "
            f"{first.device}. Convert one: model.to(features.device, features.dtype)."
        )


def prepare_part(data: Any, model: nn.Module) -> Any:
    """Returns data as samples in the model's dtype and on its device; no tensor is copied without need.

    data : `Samples`, a pair (features, targets), or a single argument of `Samples`, such as a DataLoader
    """
    if hasattr(data, "train"):
        raise errors.DataError(f"{type(data).__name__} is not Samples. Did you mean its training part, dataset.train?")
    if not isinstance(data, Samples):
        data = Samples(*data) if isinstance(data, tuple) and len(data) == 2 else Samples(data)
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return data if first is None else data.to(first.device, first.dtype if first.is_floating_point() else None)


@torch.no_grad()
def check_hand_gradients(model: Model, loss: Loss, part: Samples) -> None:
    """Computes the model's gradients of two samples, and raises an error for a wrong name or shape."""
    two = part[:2]
    assert two.targets is not None
    features = next(iter(two.features.split(2)))
    with evaluating(model):
        upstream = loss.gradient(model(features), two.targets, validate=False)
        check_gradients(model, features, upstream)


def check_options(run: Any) -> None:
    """Raises an error for options that no run can have."""
    if not isinstance(run.train, Samples):
        hint = " Did you mean its training part, dataset.train?" if hasattr(run.train, "train") else ""
        raise errors.DataError(f"A run trains on Samples; got {type(run.train).__name__}.{hint}")
    if len(run.train) == 0:
        raise errors.DataError("There are no training samples.")
    if not isinstance(run.rate, int | float) or not run.rate > 0:
        raise errors.ConfigError(f"The rate must be above 0; got {run.rate}.")
    for name in ("batch_size", "epochs", "steps", "patience", "snapshots"):
        value = getattr(run, name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise errors.ConfigError(f"{name} must be a whole number of 1 or more; got {value}.")
    if run.precision not in PRECISIONS:
        near = errors.nearest(run.precision, PRECISIONS)
        raise errors.ConfigError(f"precision is one of {', '.join(PRECISIONS)}; got {run.precision!r}. {near}")
    if run.tolerance is not None and not 0 <= run.tolerance < math.inf:
        raise errors.ConfigError(f"The tolerance must be 0 or more, and finite; got {run.tolerance}.")
    if run.evaluate < 0:
        raise errors.ConfigError(f"evaluate must be 0 (only at the end) or more; got {run.evaluate}.")
    if run.patience is not None and run.validation is None:
        raise errors.ConfigError("patience needs a validation part. Pass validation=….")
    if (run.patience is not None or run.tolerance is not None) and run.evaluate == 0:
        raise errors.ConfigError("tolerance and patience need evaluate of 1 or more; got 0.")
