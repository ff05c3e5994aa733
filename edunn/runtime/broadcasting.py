"""Multiplies the parameters of a stack by one number a run."""

from __future__ import annotations

from torch import Tensor


def along_runs(number: float | Tensor, parameter: Tensor) -> float | Tensor:
    """Returns one number for each run, with axes added so that it multiplies a parameter (*runs, …)."""
    if not isinstance(number, Tensor) or number.ndim == 0:
        return number
    return number.reshape(*number.shape, *(1,) * (parameter.ndim - number.ndim))
