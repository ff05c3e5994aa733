"""The package's errors, and the one place that checks shapes, dtypes, labels and numeric options.

Every error says what was expected, what was given, and the next move. Nothing here imports torch: the command line
reports errors without loading it, and the checks only read a tensor's own attributes.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class EdunnError(Exception):
    """An error that the caller can fix. The command line prints it in one line and exits with code 2."""


class ShapeError(EdunnError, ValueError):
    """A tensor has the wrong shape."""


class DtypeError(EdunnError, TypeError):
    """A tensor has the wrong dtype, or is on the wrong device."""


class LabelError(EdunnError, ValueError):
    """A target is outside the domain of the loss."""


class DataError(EdunnError, ValueError):
    """A data file is missing, damaged, or of another kind than its name says."""


class ConfigError(EdunnError, ValueError):
    """An option is unknown, missing, or has a value outside its range."""


class RunError(EdunnError, ValueError):
    """A run folder cannot be written, read or continued."""


class GradientError(EdunnError, RuntimeError):
    """A derivative does not exist, or descent cannot use it."""


class EdunnWarning(UserWarning):
    """A result is valid but could be better. The command line prints the warning as a note."""


class LostError(EdunnError, RuntimeError):
    """Another process of the same run has ended or does not answer."""


def shape(tensor: Tensor) -> str:
    """Formats a tensor's shape as `(12, 3)`."""
    return str(tuple(tensor.shape))


def nearest(word: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Suggests the closest known word, `Did you mean 'rate'?`; lists all known words if none is close.

    `synonyms` are other words for the known names: `Did you mean 'mse' (squared-error)?`
    """
    known, synonyms = sorted(known), synonyms or {}
    close = difflib.get_close_matches(word, [*known, *synonyms], n=1, cutoff=0.6)
    if not close:
        return f"Known: {', '.join(known)}."
    meaning = synonyms.get(close[0])
    return f"Did you mean {close[0]!r}" + (f" ({meaning})?" if meaning else "?")


def check_number(name: str, value: Any, low: float, high: float = math.inf, open_ends: str = "") -> float:
    """Returns a numeric option if it is finite and lies between `low` and `high`.

    open_ends : "low", "high" or "low high": the ends that are not allowed. An infinite value is never allowed.
    """
    above, below = "low" in open_ends, "high" in open_ends
    number = isinstance(value, int | float) and not isinstance(value, bool)
    excluded = [low] * above + [high] * below
    if number and math.isfinite(value) and low <= value <= high and value not in excluded:
        return float(value)
    if high == math.inf:
        limits = "finite" if low == -math.inf else f"above {low:g}, finite" if above else f"{low:g} or more, finite"
    else:
        limits = f"in {'(' if above else '['}{low:g}, {high:g}{')' if below else ']'}"
    raise ConfigError(f"{name} must be a number {limits}; got {value!r}.")


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Returns a numeric option if it is a whole number from `least` to `most`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and value >= least and (most is None or value <= most):
        return int(value)
    limits = f", {least} or more" if most is None else f" from {least} to {most:,}"
    raise ConfigError(f"{name} must be a whole number{limits}; got {value!r}.")


def check_floating(name: str, tensor: Tensor) -> None:
    """Raises an error for integer and boolean tensors, which have no derivative."""
    if not tensor.dtype.is_floating_point:
        raise DtypeError(
            f"{name} need a floating dtype; got {tensor.dtype}. Convert with {name}.float() or {name}.double()."
        )


def check_dense(name: str, values: Any) -> None:
    """Refuses sparse matrices of scipy, torch and pandas, and names the call that makes them dense."""
    columns = getattr(values, "dtypes", None)
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        remedy = f"{name}.toarray()"
    elif str(getattr(values, "layout", "torch.strided")) != "torch.strided":
        remedy = f"{name}.to_dense()"
    elif columns is not None and any(str(kind).startswith("Sparse") for kind in getattr(columns, "values", ())):
        remedy = f"{name}.sparse.to_dense()"
    else:
        return
    raise DtypeError(f"The {name} are sparse, and every number is needed here. Convert them with {remedy}.")


def check_scores(scores: Tensor, class_axis: bool) -> None:
    """Checks that scores are (*lead, samples), or (*lead, samples, classes) for a loss over classes (`class_axis`)."""
    check_floating("scores", scores)
    expected = "(*lead, samples, classes)" if class_axis else "(*lead, samples)"
    if scores.ndim < 1 + class_axis:
        raise ShapeError(
            f"Expected scores of shape {expected}; got {shape(scores)}."
            + (" Did you mean scores.unsqueeze(-1)?" if class_axis and scores.ndim == 1 else "")
        )
    if scores.shape[scores.ndim - 1 - class_axis] == 0:
        raise ShapeError(f"scores {expected} are empty: their shape is {shape(scores)}. Their mean loss is undefined.")


def check_targets_shape(scores: Tensor, targets: Tensor, class_axis: bool, rows: bool = False) -> None:
    """Checks that targets have the scores' sample axis, and the same lead or none; `rows`: a class axis as well.

    Nothing is broadcast over samples: (n, 1) against (n,) would silently give n × n differences.
    """
    wanted = tuple(scores.shape) if rows or not class_axis else tuple(scores.shape[:-1])
    tail = wanted[-1 - class_axis :] if rows else wanted[-1:]
    if tuple(targets.shape) in (wanted, tail):
        if targets.device != scores.device:
            raise DtypeError(
                f"targets are on {targets.device} and scores on {scores.device}. "
                f"Move them with targets.to(scores.device)."
            )
        return
    names = "(samples, classes)" if rows and class_axis else "(samples,)"
    message = f"Expected targets of shape {names} = {tail}"
    if wanted != tail:
        message += f", or with the scores' lead {wanted}"
    message += f"; got {shape(targets)}."
    if rows and class_axis and tuple(targets.shape) in (wanted[:-1], tail[:-1]):
        message += " For class indices use targets.long()."
    elif class_axis and not rows and targets.shape == scores.shape:
        message += " For rows of bits or probabilities use targets.to(scores.dtype)."
    elif tuple(targets.shape) == (*tail, 1):
        message += f" Did you mean targets.squeeze({len(tail)})?"
    elif not rows and not class_axis and tuple(scores.shape) == (*tuple(targets.shape), 1):
        message += " Did you mean scores.squeeze(-1)?"
    raise ShapeError(message)


def check_same_dtype(scores: Tensor, targets: Tensor) -> None:
    """Checks that floating targets have the scores' dtype; integer targets are exact in any dtype."""
    if str(targets.dtype) == "torch.bool":  # torch subtracts no truth values
        raise DtypeError("targets are torch.bool, which cannot be subtracted. Convert with targets.long().")
    if targets.dtype.is_floating_point and targets.dtype != scores.dtype:
        raise DtypeError(
            f"targets are {targets.dtype} and scores {scores.dtype}. Convert with targets.to(scores.dtype)."
        )


def check_same_shape(name: str, tensor: Tensor, like: Tensor) -> Tensor:
    """Returns the tensor if it has the other's shape."""
    if tensor.shape != like.shape:
        raise ShapeError(f"Expected {name} of shape {shape(like)}; got {shape(tensor)}.")
    return tensor


def check_finite(name: str, tensor: Tensor, first: int = 0) -> None:
    """Refuses nan and inf, and says where the first one is; `first` is the number of the tensor's first row."""
    bad = ~tensor.isfinite()
    if bad.any():
        where = tuple(int(i) for i in bad.nonzero()[0])
        place = f"row {first + where[0]}, column {where[1]}" if len(where) == 2 else f"index {where}"
        raise DataError(
            f"{name} must be finite; got {float(tensor[where])} at {place} (counted from 0). "
            f"Drop such rows, or fill them in, before training."
        )


def check_weights(weights: Tensor, *wanted: int) -> None:
    """Refuses weights that are not one finite number of 0 or more for each sample, and those that are all 0.

    `wanted` is (samples,), or (*lead, samples) if they may have the scores' lead as well.
    """
    samples = wanted[-1]
    if tuple(weights.shape) not in (wanted, (samples,)):
        raise ShapeError(f"Weights have one number for each of the {samples} samples; got shape {shape(weights)}.")
    check_floating("weights", weights)
    bad = ~(weights.isfinite() & (weights >= 0))
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        raise DataError(
            f"Weights are finite and 0 or more; got {float(weights.flatten()[where]):g} at index {where}. "
            f"Leave a sample out by a weight of 0."
        )
    if samples and not weights.any(-1).all():
        raise DataError("All weights are 0: their mean is undefined. Give one sample or more a weight above 0.")


def check_labels(targets: Tensor, allowed: tuple[float, float], hint: str) -> None:
    """Refuses targets other than the two `allowed` values; `hint` says how to convert from the other convention."""
    low, high = allowed
    if low < 0 and not targets.dtype.is_signed:  # −1 times an unsigned 1 is 255
        raise DtypeError(f"{targets.dtype} cannot be negative, and labels are -1 or 1. Convert with targets.long().")
    bad = (targets != low) & (targets != high)
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = float(targets.flatten()[where])
        raise LabelError(f"Labels must be {low:g} or {high:g}; got {value:g} at index {where}. {hint}")


def check_interval(targets: Tensor, low: float, high: float, hint: str) -> None:
    """Refuses targets outside [low, high], nan included."""
    bad = ~((targets >= low) & (targets <= high))
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = float(targets.flatten()[where])
        raise LabelError(f"Targets must lie in [{low:g}, {high:g}]; got {value:g} at index {where}. {hint}")


def check_index_dtype(targets: Tensor, what: str) -> None:
    """Refuses one-hot rows and distributions where class indices are needed."""
    if targets.dtype.is_floating_point:
        raise DtypeError(
            f"{what} takes class indices of an integer dtype; got {targets.dtype}. "
            f"Convert with targets.long(), or targets.argmax(-1) for one-hot rows."
        )


def check_class_indices(targets: Tensor, classes: int) -> None:
    """Refuses class indices outside 0 … classes − 1."""
    bad = (targets < 0) | (targets >= classes)
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = int(targets.flatten()[where])
        hint = " Labels that count from 1: subtract 1." if value == classes else ""
        raise LabelError(
            f"Class indices must be 0 to {classes - 1}, one for each of the {classes} scores; "
            f"got {value} at index {where}.{hint}"
        )


def check_distributions(targets: Tensor) -> None:
    """Refuses rows that are not distributions, with entries in [0, 1] that sum to 1."""
    check_interval(targets, 0.0, 1.0, "Each row is a distribution over classes.")
    off = (targets.sum(-1) - 1).abs() > 1e-4
    if off.any():
        where = int(off.flatten().nonzero()[0])
        total = float(targets.sum(-1).flatten()[where])
        raise LabelError(f"Rows of targets must sum to 1; got {total:g} in row {where}. Divide each row by its sum.")
