"""Weights of samples, and weights of classes turned into weights of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import errors
from ..errors import ConfigError, DataError, DtypeError

ClassWeight = str | Sequence[float] | Mapping[Any, float]


def as_weights(weights: Any, features: Tensor) -> Tensor:
    """Returns weights as a tensor (samples,) beside the features: on their device, in their dtype if it is floating.

    Refuses those that are not one finite number of 0 or more for each sample, and those that are all 0.
    """
    try:
        found = torch.as_tensor(weights, device=features.device)
    except (TypeError, ValueError, RuntimeError):
        raise DtypeError(f"sample_weight is one number for each sample; got {type(weights).__name__}.") from None
    if found.dtype.is_complex:
        raise DtypeError(f"sample_weight is one real number for each sample; got {found.dtype}.")
    found = found.to(features.dtype if features.dtype.is_floating_point else torch.float64)
    errors.check_weights(found, features.shape[0])
    return found


def class_weights(
    class_weight: ClassWeight, labels: Sequence[str], index: Tensor, sample_weight: Tensor | None
) -> list[float]:
    """Returns the number of each class: see `Samples.with_class_weight`.

    Parameters
    ----------
    labels, index : the classes' names, and the class of each sample, as `labels_of` gives them
    """
    if class_weight != "balanced":
        return numbers_of(class_weight, labels)
    mass = torch.ones(len(index), dtype=torch.float64, device=index.device)
    mass = mass if sample_weight is None else sample_weight.double()
    count = torch.zeros(len(labels), dtype=torch.float64, device=index.device).index_add_(0, index, mass)
    present = count > 0
    numbers: list[float] = torch.where(present, count.sum() / (present.sum() * count.where(present, 1)), 0).tolist()
    return numbers


def labels_of(targets: Tensor | None, classes: Sequence[str] | None) -> tuple[list[str], Tensor]:
    """Returns the classes' names, and the index of each sample's class among them."""
    if targets is None:
        raise DataError("These samples have no targets, and so no classes to weight.")
    if targets.ndim > 1:
        raise DataError(
            "class_weight is for one class a sample; these have several targets. Give sample_weight instead."
        )
    if classes is not None:
        return list(classes), targets
    if not targets.dtype.is_floating_point:
        return [str(k) for k in range(int(targets.max()) + 1 if targets.numel() else 0)], targets
    values, index = targets.unique(return_inverse=True)
    if not (set(values.tolist()) <= {0.0, 1.0} or set(values.tolist()) <= {-1.0, 1.0}):
        raise DataError("class_weight is for classes; the targets are real numbers. Give sample_weight instead.")
    low = 0.0 if 0.0 in values else -1.0
    return [f"{low:g}", "1"], (targets > 0).long() if len(values) < 2 else index


def numbers_of(class_weight: Any, labels: Sequence[str]) -> list[float]:
    """Returns one number for each class, from a list in their order or a dictionary by name; 1 where it has none."""
    if isinstance(class_weight, str):
        hint = errors.nearest(class_weight, ["balanced"])
        raise ConfigError(f"class_weight is 'balanced', or numbers by class; got {class_weight!r}. {hint}")
    if isinstance(class_weight, Mapping):
        given = {str(name): number for name, number in class_weight.items()}
        for name in given:
            if name not in labels:
                raise ConfigError(f"class_weight has {name!r}, which is not a class. {errors.nearest(name, labels)}")
        found = [given.get(label, 1.0) for label in labels]
    elif isinstance(class_weight, Sequence | Tensor):
        found = [float(number) if isinstance(number, Tensor) else number for number in class_weight]
        if len(found) != len(labels):
            raise ConfigError(f"class_weight has one number for each of {len(labels)} classes; got {len(found)}.")
    else:
        raise ConfigError(f"class_weight is 'balanced', or numbers by class; got {class_weight!r}.")
    return [errors.check_number(f"class_weight of {label}", x, 0) for label, x in zip(labels, found, strict=True)]
