"""Formulas that are right on paper and fail in floating point, each with the first input at which it fails."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..activations import Softmax
from ..losses import BinaryCrossEntropy
from .engine import Lesson, Row, Table

DERIVATION = """\
float64 holds numbers to 1.8e308 with 16 digits, float32 to 3.4e38 with 7.
−log(1 − σ(z)) is inf once σ(z) rounds to 1; log(1 + e^z) with the exponential of −|z| is z there, as it should be.
Σ (a − b)² = Σ a² − 2ab + b² subtracts two large numbers that agree in all the digits kept."""

KINDS = {"float64": torch.float64, "float32": torch.float32}


def first(bad: Callable[[Tensor], Tensor], dtype: torch.dtype, to: float = 800.0) -> float:
    """Returns the first of 0, 0.25, 0.5, … at which `bad` is true."""
    z = torch.arange(0, to, 0.25, dtype=dtype)
    return float(z[bad(z).nonzero()[0, 0]])


def naive_infinite(dtype: torch.dtype) -> float:
    return first(lambda z: torch.log(1 - torch.sigmoid(z)).isinf(), dtype)


def shifted_up(z: Tensor) -> Tensor:
    """Returns the softmax of (z, 0) computed with the largest score added, not subtracted."""
    scores = torch.stack([z, torch.zeros_like(z)], 1)
    raised = torch.exp(scores + scores.amax(1, keepdim=True))
    return (raised / raised.sum(1, keepdim=True)).isnan().any(1)


def rows() -> list[Row]:
    from_scores = {
        name: float(BinaryCrossEntropy()(torch.tensor([naive_infinite(kind)], dtype=kind), torch.zeros(1, dtype=kind)))
        for name, kind in KINDS.items()
    }
    a, b = torch.tensor(10_000.0), torch.tensor(10_001.0)
    return [
        Row("6.1", {name: naive_infinite(kind) for name, kind in KINDS.items()}, "derived",
            note=f"−log(1 − σ(z)) is inf from here on; from scores it is {from_scores['float64']:g} and "
            f"{from_scores['float32']:g}."),
        Row("6.2", {name: first(lambda z: torch.exp(z).isinf(), kind) for name, kind in KINDS.items()}, "derived",
            note="e^z overflows, in steps of 0.25."),
        Row("6.3", first(shifted_up, torch.float64), "derived",
            note="Softmax with + max instead of − max: nan from here."),
        Row("6.4", {"expanded": float(a * a - 2 * a * b + b * b), "direct": float((a - b) ** 2)}, "derived",
            note="The squared distance of 10000 and 10001 in float32 (scikit-learn issue 9354)."),
    ]  # fmt: skip


def tables() -> list[Table]:
    cells = []
    for z in (10.0, 36.0, 36.75, 100.0, 710.0):
        s, zero = torch.tensor([z], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        naive, ours = float(-torch.log(1 - torch.sigmoid(s))), float(BinaryCrossEntropy()(s, zero))
        cells.append([z, naive, ours, float(Softmax()(torch.stack([s, zero], 1))[0, 1])])
    return [Table("Label 0 at score z", ("z", "−log(1 − σ(z))", "the package", "softmax's small probability"), cells)]


LESSONS = (
    Lesson("numeric-limits", "000", "Where do the formulas stop working in floating point?", DERIVATION, rows, tables),
)
