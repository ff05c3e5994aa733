"""Calls of a student's functions: copies of the arguments go in, tensors come out, and errors become one line."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import EdunnError


class HandinError(EdunnError):
    """A hand-in cannot be run: it raises an exception, or is not written as a hand-in must be."""


class NothingFound(HandinError):
    """The file holds nothing of the forms of a hand-in."""


class Missing(HandinError):
    """The file does not contain a hand-in of that name."""


class Unfinished(HandinError):
    """The exercise is still blank."""


def call(file: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a student's function; what it raises becomes one line with the line number in their file."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except NotImplementedError as error:
        raise Unfinished(str(error) or "it is still blank") from None
    except (EdunnError, MemoryError):
        raise
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise HandinError(f"{Path(file).name}{where}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and "ellipsis" in str(error):
            raise Unfinished("a blank (...) is left") from None
        file = Path(file).name
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file
        ]
        where = f", line {lines[-1]}" if lines else ""
        text = str(error).splitlines()[0] if str(error) else ""
        if isinstance(error, AttributeError) and isinstance(error.obj, np.ndarray) and error.name in dir(Tensor):
            text += ". The arrays are torch's where the file says import torch, else numpy's"
        raise HandinError(f"{file}{where}: {type(error).__name__}: {text}".rstrip(": ")) from None


def copy_argument(value: Any, as_torch: bool) -> Any:
    """Returns a copy of an argument for the hand-in, as a tensor or an array."""
    if not isinstance(value, Tensor):
        return value
    copied = value.detach().clone()
    return copied if as_torch else copied.numpy()[()]  # no dimension: a number, as floats are


def to_tensor(value: Any, what: str) -> Tensor:
    """Converts the result of a hand-in to a tensor of the same dtype."""
    if value is None or value is ...:
        raise Unfinished(f"{what[0].upper()}{what[1:]} is {value}. Is there a return?")
    try:
        found = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError):
        found = None
    if found is None or found.is_complex() or found.dtype == torch.bool:
        raise HandinError(
            f"{what[0].upper()}{what[1:]} is a number or an array of numbers; got {type(value).__name__}."
        )
    return found
