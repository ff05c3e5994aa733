"""What can go wrong, and the one place that checks shapes, dtypes and labels.

Every error says what was expected, what came, and the next move. Nothing here imports torch: the command line
reports errors without loading it, and the checks only ask a tensor about itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class EdunnError(Exception):
    """Something the caller can mend. The command line prints it as one line and ends with exit code 2."""


class ShapeError(EdunnError, ValueError):
    """A tensor has the wrong shape."""


class DtypeError(EdunnError, TypeError):
    """A tensor has the wrong dtype, or lives on the wrong device."""


class LabelError(EdunnError, ValueError):
    """A target lies outside the domain of the loss."""


class DataError(EdunnError, ValueError):
    """A file of data is missing, damaged, or not what it was said to be."""


class ConfigError(EdunnError, ValueError):
    """An option is unknown, missing, or has a value it cannot have."""


class RunError(EdunnError, ValueError):
    """A run folder cannot be written, read or continued."""


class GradientError(EdunnError, RuntimeError):
    """A derivative was asked for where none exists, or none that is of use."""


class LostError(EdunnError, RuntimeError):
    """Another process of the same run has gone, or does not answer."""


def shape(tensor: Tensor) -> str:
    """A shape as a reader writes it: `(12, 3)`."""
    return str(tuple(tensor.shape))


def nearest(word: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Says what was probably meant, `Did you mean 'rate'?`; where nothing is near it lists what is known.

    `synonyms` are other words for the known names: `Did you mean 'mse' (squared-error)?`
    """
    known, synonyms = sorted(known), synonyms or {}
    close = difflib.get_close_matches(word, [*known, *synonyms], n=1, cutoff=0.6)
    if not close:
        return f"Known: {', '.join(known)}."
    meaning = synonyms.get(close[0])
    return f"Did you mean {close[0]!r}" + (f" ({meaning})?" if meaning else "?")


def check_floating(name: str, tensor: Tensor) -> None:
    """Refuses integer or boolean tensors where a derivative is to be taken."""
    if not tensor.dtype.is_floating_point:
        raise DtypeError(
            f"Expected {name} of a floating dtype; got {tensor.dtype}. Convert with {name}.float() or {name}.double()."
        )


def check_scores(scores: Tensor, event: int) -> None:
    """Scores are (*lead, samples), and (*lead, samples, classes) for a loss over classes (`event` = 1)."""
    check_floating("scores", scores)
    expected = "(*lead, samples, classes)" if event else "(*lead, samples)"
    if scores.ndim < 1 + event:
        raise ShapeError(
            f"Expected scores of shape {expected}; got {shape(scores)}."
            + (" Did you mean scores.unsqueeze(-1)?" if event and scores.ndim == 1 else "")
        )
    if scores.shape[scores.ndim - 1 - event] == 0:
        raise ShapeError(
            f"Expected at least one sample in scores {expected}; got {shape(scores)}: the mean of none is nan."
        )


def check_targets_shape(scores: Tensor, targets: Tensor, event: int, rows: bool = False) -> None:
    """Targets have the scores' sample axis, and may have the same lead; `rows`: a class axis as well.

    Nothing is broadcast over samples: (n, 1) against (n,) would silently give n × n differences.
    """
    wanted = tuple(scores.shape) if rows or not event else tuple(scores.shape[:-1])
    tail = wanted[-1 - event :] if rows else wanted[-1:]
    if tuple(targets.shape) in (wanted, tail):
        if targets.device != scores.device:
            raise DtypeError(
                f"Expected targets on the scores' device, {scores.device}; got {targets.device}. "
                f"Move them with targets.to(scores.device)."
            )
        return
    names = "(samples, classes)" if rows and event else "(samples,)"
    message = f"Expected targets of shape {names} = {tail}"
    if wanted != tail:
        message += f", or with the scores' lead {wanted}"
    message += f"; got {shape(targets)}."
    if rows and event and tuple(targets.shape) in (wanted[:-1], tail[:-1]):
        message += " For class indices use targets.long()."
    elif tuple(targets.shape) == (*tail, 1):
        message += f" Did you mean targets.squeeze({len(tail)})?"
    elif not rows and not event and tuple(scores.shape) == (*tuple(targets.shape), 1):
        message += " Did you mean scores.squeeze(-1)?"
    raise ShapeError(message)


def check_same_dtype(scores: Tensor, targets: Tensor) -> None:
    """Floating targets share the scores' dtype; whole numbers are exact in any and pass."""
    if str(targets.dtype) == "torch.bool":  # torch subtracts no truth values
        raise DtypeError("Expected targets that are numbers; got torch.bool. Convert with targets.long().")
    if targets.dtype.is_floating_point and targets.dtype != scores.dtype:
        raise DtypeError(
            f"Expected targets in the scores' dtype {scores.dtype}; got {targets.dtype}. "
            f"Convert with targets.to(scores.dtype)."
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
            f"Expected finite {name}; got {float(tensor[where])} at {place} (counted from 0). "
            f"Drop such rows, or fill them in, before training."
        )


def check_labels(targets: Tensor, allowed: tuple[float, float], hint: str) -> None:
    """Targets take two values, `allowed`; `hint` says how to convert from the other convention."""
    low, high = allowed
    if low < 0 and not targets.dtype.is_signed:  # −1 times an unsigned 1 is 255
        raise DtypeError(f"Expected labels of a signed dtype; got {targets.dtype}. Convert with targets.long().")
    bad = (targets != low) & (targets != high)
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = float(targets.flatten()[where])
        raise LabelError(f"Expected labels {low:g} or {high:g}; got {value:g} at index {where}. {hint}")


def check_interval(targets: Tensor, low: float, high: float, hint: str) -> None:
    """Targets lie in [low, high]; nan does not."""
    bad = ~((targets >= low) & (targets <= high))
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = float(targets.flatten()[where])
        raise LabelError(f"Expected targets in [{low:g}, {high:g}]; got {value:g} at index {where}. {hint}")


def check_index_dtype(targets: Tensor, what: str) -> None:
    """Refuses one-hot rows and distributions where only class indices have a meaning."""
    if targets.dtype.is_floating_point:
        raise DtypeError(
            f"Expected class indices (an integer dtype) for {what}; got {targets.dtype}. "
            f"Convert with targets.long(), or targets.argmax(-1) for one-hot rows."
        )


def check_class_indices(targets: Tensor, classes: int) -> None:
    """Targets are whole numbers 0 … classes − 1."""
    bad = (targets < 0) | (targets >= classes)
    if bad.any():
        where = int(bad.flatten().nonzero()[0])
        value = int(targets.flatten()[where])
        hint = " Labels that count from 1: subtract 1." if value == classes else ""
        raise LabelError(
            f"Expected class indices 0 to {classes - 1}, one for each of the {classes} scores; "
            f"got {value} at index {where}.{hint}"
        )


def check_distributions(targets: Tensor) -> None:
    """Rows of non-negative numbers that sum to 1."""
    check_interval(targets, 0.0, 1.0, "Each row is a distribution over classes.")
    off = (targets.sum(-1) - 1).abs() > 1e-4
    if off.any():
        where = int(off.flatten().nonzero()[0])
        total = float(targets.sum(-1).flatten()[where])
        raise LabelError(
            f"Expected rows of targets that sum to 1; got {total:g} in row {where}. Divide each row by its sum."
        )
