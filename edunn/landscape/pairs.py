"""Converts a caller's data and loss: features and targets as tensors, and a loss as a mean over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .. import errors
from ..losses import Loss
from ..runtime.foreign import collect, to_tensor

ACCEPTED = "Samples, a pair (features, targets), or a torch Dataset or DataLoader of such pairs"


class ScalarLoss:
    """A loss given as a function of scores and targets, such as torch's own, that returns one number for all samples.

    It has no values per sample, no hand-derived gradient and no declared properties: derivatives come from torch.func,
    and convexity is measured.
    """

    class_axis = None
    convex: bool | None = None
    smooth: bool | None = None
    pole: float | None = None

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function
        name = type(function).__name__ if isinstance(function, nn.Module) else getattr(function, "__name__", "loss")
        self.name = "a loss" if name == "<lambda>" else name

    def __call__(self, scores: Tensor, targets: Tensor, validate: bool = True) -> Tensor:
        value = self.function(scores, targets)
        if not isinstance(value, Tensor) or value.ndim:
            got = errors.shape(value) if isinstance(value, Tensor) else type(value).__name__
            raise errors.ShapeError(
                f"{self.name} gives {got}; a surface wants one number, the mean over the samples. Did you mean .mean()?"
            )
        return value

    def check(self, scores: Tensor, targets: Tensor) -> None:
        """Raises an error if the loss does not return one number; the function itself checks the shapes."""
        self(scores, targets)


def as_loss(loss: Any) -> Loss | ScalarLoss:
    """Returns one of edunn's losses unchanged, and any other function of (scores, targets) as a `ScalarLoss`."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) or not callable(loss):
        hint = f"Did you mean {loss.__name__}()?" if isinstance(loss, type) else "F.cross_entropy is one."
        raise errors.ConfigError(f"A loss is a function of scores and targets; {loss!r} is not. {hint}")
    return ScalarLoss(loss)


def pair(data: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Returns features and targets on the model's device; floating features in the model's dtype."""
    if isinstance(data, DataLoader | Dataset):
        features, targets = collect(data)
    elif isinstance(data, tuple | list) and len(data) == 2:
        features, targets = data
    elif hasattr(data, "features") and hasattr(data, "targets"):
        features, targets = data.features, data.targets
    else:
        raise errors.DataError(f"The data are {type(data).__name__}; a surface wants {ACCEPTED}.")
    if targets is None:
        raise errors.DataError("These samples have no targets, and a loss needs them. Give Samples(features, targets).")
    features, targets = to_tensor("features", features), to_tensor("targets", targets)
    if features.ndim == 0 or targets.ndim == 0 or len(features) != len(targets):
        raise errors.ShapeError(
            f"Features {errors.shape(features)} and targets {errors.shape(targets)} do not pair up: the first axis of "
            f"each is the samples."
        )
    like = next(model.parameters(), features)
    features = features.to(like) if features.dtype.is_floating_point else features.to(like.device)
    return features, targets.to(like) if targets.dtype.is_floating_point else targets.to(like.device)


def weights_of(given: Any, like: Tensor, samples: int) -> Tensor | None:
    """Checks weights of the samples, and returns them scaled so that Σ w = N, (samples,); None if there are none.

    The mean over the samples, 1/N Σ w ℓ, is then Σ w ℓ / Σ w.
    """
    if given is None:
        return None
    weights = torch.as_tensor(given, device=like.device).double()
    errors.check_weights(weights, samples)
    return (weights * (samples / weights.sum())).to(like.dtype)


def targets_and_weights(
    loss: Loss | ScalarLoss, features: Tensor, targets: Tensor, given: Any
) -> tuple[Tensor, Tensor | None]:
    """Returns targets, and weights with Σ w = N: 0 for the samples that the loss leaves out (an `ignore_index`)."""
    weights = weights_of(given, features, len(features))
    if isinstance(loss, Loss) and loss.leaves_out(targets):
        loss.check_domain(targets, int(targets.max()) + 1)
        targets, weights = loss.leave_out(features, targets, weights)
        weights = weights_of(weights, features, len(features))
    return targets, weights


def drop_output_axis(scores: Tensor, loss: Loss | ScalarLoss) -> Tensor:
    """Returns a one-output module's scores without their last axis, (samples,), for a loss of one score."""
    axes = loss.class_axis
    return scores.squeeze(-1) if axes is not None and scores.ndim == 2 + axes and scores.shape[-1] == 1 else scores
