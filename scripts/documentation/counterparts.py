"""A line of the page of conventions: what another library calls the same thing, and how its number follows from ours.

Every line carries its own proof, `compare`: both sides on random float64 data. The page and the test that holds it are
written from the same lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edunn.gradcheck.catalogue import Draw

SAME = "the same"
NONE = "none"
LIBRARIES = ("CS231n", "torch", "scikit-learn")
SAMPLES, FEATURES, CLASSES = 40, 3, 4


@dataclass(frozen=True)
class Compared:
    """Two numbers that should agree, and the one that should not.

    theirs : what the library gives
    converted : what the line makes of ours
    plain : ours unconverted, where that differs; None where the two are the same
    tolerance : relative; looser than rounding only where an iterative solver stands between
    """

    theirs: Tensor
    converted: Tensor
    plain: Tensor | None = None
    tolerance: float = 1e-10


@dataclass(frozen=True)
class Line:
    """One line of the page.

    about : the name in one of the package's tables: LOSSES, PENALTIES, RULES, SCHEDULES, LAYERS or ACTIVATIONS;
        "sample weights" or "clipping"
    library : one of LIBRARIES
    there : how it is written there; `NONE` where there is no counterpart
    relation : `SAME`, or a formula that says what theirs is
    says : what else there is to know
    compare : the proof; None where there is no counterpart
    """

    about: str
    library: str
    there: str
    relation: str = ""
    says: str = ""
    compare: Callable[[Draw], Compared] | None = None


def tensor(value: object) -> Tensor:
    """Any number or array as a float64 tensor."""
    return torch.as_tensor(value, dtype=torch.float64)


def same(theirs: object, ours: Tensor) -> Compared:
    return Compared(tensor(theirs), ours)


def times(theirs: object, factor: float, ours: Tensor) -> Compared:
    """theirs = factor · ours."""
    return Compared(tensor(theirs), factor * ours, ours)
