"""Checks of the shapes and dtypes of features and targets."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import errors
from ..errors import DtypeError, ShapeError


def check_features(features: Tensor) -> None:
    """Refuses features that are not (samples, features), floating, or uint8 images."""
    errors.check_dense("features", features)
    if features.ndim == 4 and features.dtype == torch.uint8:
        if features.shape[3] > 4 and features.shape[1] in (1, 3, 4):
            raise ShapeError(
                f"Images have their channels last, (samples, height, width, channels); {errors.shape(features)} has "
                f"them first. Use features.permute(0, 2, 3, 1), or numpy's features.transpose(0, 2, 3, 1)."
            )
        return
    if features.ndim == 2 and features.dtype.is_floating_point:
        return
    if features.ndim == 2:
        errors.check_floating("features", features)
    hint = ""
    if features.ndim == 1:
        hint = " One feature is a column: features.reshape(-1, 1)."
    elif features.ndim == 3:
        hint = " Grey images have a channel axis of 1: features.unsqueeze(-1)."
    elif features.ndim == 4:
        hint = " Images are uint8, 0 to 255; numbers computed from them are rows: features.flatten(1)."
    raise ShapeError(
        f"Expected features of shape (samples, features), or uint8 images (samples, height, width, channels); "
        f"got {features.dtype} of shape {errors.shape(features)}.{hint}"
    )


def check_targets(targets: Tensor, features: Tensor) -> None:
    """Refuses targets that are not (samples,), int64 or floating, or floating rows, on the features' device."""
    samples = features.shape[0]
    rows = targets.ndim == 2 and targets.shape[1] > 1 and targets.dtype.is_floating_point
    if targets.ndim != 1 and not rows:
        hint = ""
        if targets.ndim == 2 and targets.shape[1] == 1:
            hint = " Did you mean targets.squeeze(1)?"
        elif targets.ndim == 2:
            hint = " Rows of bits, one for each label, are floats: targets.float(). For one-hot rows of classes take "
            hint += "targets.argmax(1)."
        raise ShapeError(f"Expected targets of shape (samples,) = ({samples},); got {errors.shape(targets)}.{hint}")
    if targets.shape[0] != samples:
        raise ShapeError(f"There are {samples} samples, but {targets.shape[0]} targets.")
    if targets.dtype != torch.int64 and not targets.dtype.is_floating_point:
        raise DtypeError(
            f"Expected targets of dtype int64 (classes) or floating (regression); got {targets.dtype}. "
            f"Convert with targets.long() for classes, or targets.double() for real numbers."
        )
    if targets.device != features.device:
        raise DtypeError(
            f"Expected targets on the features' device, {features.device}; got {targets.device}. "
            f"Move them with targets.to(features.device)."
        )
