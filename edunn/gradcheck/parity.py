"""Compares values and gradients on two devices, row by row, in float32 and in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..differences import relative_error
from ..results import Record, Table
from ..runtime import devices
from .catalogue import Draw, smooth_claims
from .claim import Claim

# Rounding differs by the order of sums and by the last bit of exp and log; a few bits of room for a few dozen terms
LARGEST = {"float64": 1e-12, "float32": 1e-4}


@dataclass(frozen=True)
class ParityRow(Record):
    """The largest relative difference between the two devices of one value and its gradients."""

    name: str
    term: str
    dtype: str
    value: float
    gradient: float

    @property
    def passed(self) -> bool:
        return max(self.value, self.gradient) <= LARGEST[self.dtype]

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "passed": self.passed}


@dataclass(frozen=True, repr=False)
class Parity(Record):
    """The comparison of the CPU with another device, for everything in the package."""

    device: str
    rows: tuple[ParityRow, ...]

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    def __iter__(self) -> Iterator[ParityRow]:
        return iter(self.rows)

    def as_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "largest": self.largest(), **super().as_dict()}

    def largest(self) -> dict[str, float]:
        """The largest difference of all, by dtype."""
        return {
            dtype: max((max(row.value, row.gradient) for row in self.rows if row.dtype == dtype), default=0.0)
            for dtype in LARGEST
        }

    def table(self) -> Table:
        """Returns one row for each value with its gradients; a note has the largest difference of each dtype."""
        rows = [(r.name, r.term, r.dtype, r.value, r.gradient, "" if r.passed else "DIFFERS") for r in self.rows]
        largest = ", ".join(f"{dtype} {error:.1e}" for dtype, error in self.largest().items())
        columns = (f"CPU against {self.device}", "term", "dtype", "value", "gradient", "")
        return Table(columns, rows, f"largest difference: {largest}", formats={"value": ".1e", "gradient": ".1e"})

    def __str__(self) -> str:
        return self.table().text(most=None)


def compare_devices(name: str, seed: int = 0) -> Parity:
    """Computes everything in the package on the CPU and on another device, at the same points, and compares."""
    device = devices.device(name)
    rows: list[ParityRow] = []
    for k, make in enumerate(smooth_claims()):
        for kind in LARGEST:
            dtype = devices.dtype(kind)
            here = make(Draw(seed, k, dtype=dtype))
            there = make(Draw(seed, k, device=device, dtype=dtype))
            rows += [compare(a, b, kind) for a, b in zip(here, there, strict=True)]
    return Parity(str(device), tuple(rows))


def compare(here: Claim, there: Claim, dtype: str) -> ParityRow:
    """Compares one claim on both devices."""
    first, second = evaluate(here), evaluate(there)
    # a sum may cancel to next to nothing: below 1 the difference itself is what counts
    size = max(1.0, float(first[0].abs()), float(second[0].abs()))
    value = abs(float(first[0]) - float(second[0])) / size
    gradient = max(relative_error(first[1][name], second[1][name]) for name in here.points)
    return ParityRow(here.name, here.term, dtype, value, gradient)


def evaluate(claim: Claim) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the value and the gradients, moved to the CPU."""
    points = dict(claim.points)
    with torch.no_grad():
        value = claim.value(points)
    found = claim.gradients(points)
    return value.detach().cpu(), {name: found[name].detach().cpu() for name in points}
