"""Compares the gradients of a claim with autograd, differences and a Taylor test: a row for each parameter."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..differences import relative_error
from . import witnesses
from .certificate import AUTOGRAD_TOLERANCE, NUMERIC_TOLERANCE, Row
from .claim import Claim, Points


def check(
    claim: Claim,
    autograd_tolerance: float = AUTOGRAD_TOLERANCE,
    numeric_tolerance: float = NUMERIC_TOLERANCE,
    seed: int = 0,
    entries: int = witnesses.ENTRIES,
) -> list[Row]:
    """Returns one row for each gradient of the claim."""
    hand = claim.gradients(dict(claim.points))
    return [
        check_one(claim, name, hand.get(name), (autograd_tolerance, numeric_tolerance), seed, entries)
        for name in claim.points
    ]


def restrict(value: Callable[[Points], Tensor], points: Points, name: str) -> Callable[[Tensor], Tensor]:
    """Returns the value as a function of one of its arguments, the others fixed."""
    return lambda x: value({**points, name: x})


def check_one(
    claim: Claim, name: str, hand: Tensor | None, tolerances: tuple[float, float], seed: int, entries: int
) -> Row:
    """Compares the gradient in one argument with autograd, five-point differences and a Taylor test."""
    point = claim.points[name]
    function = restrict(claim.value, claim.points, name)
    by_autograd = None
    if claim.witness is not None or not claim.plain:
        by_autograd = witnesses.autograd(restrict(claim.witness or claim.value, claim.points, name), point)
    flaw = find_misfit(hand, point)
    doubtful = None if flaw or hand is None or by_autograd is None else (hand - by_autograd).abs()
    numeric = witnesses.numeric(function, point, seed, entries, doubtful)
    right = choose_witness(point, numeric, by_autograd)
    if hand is None or flaw:
        return Row(claim.name, name, claim.term, None, None, None, 0, False, flaw, 0, hand, right, claim)
    hand = hand.detach().to(torch.float64)
    kinks = int((~numeric.smooth).sum())
    vs_autograd = None if by_autograd is None else compare_off_kinks(hand, by_autograd, numeric)
    vs_numeric = compare_numeric(hand, numeric)
    order, straight = None, True
    if not kinks:
        found = witnesses.taylor(function, point, hand, seed)
        order, straight = found.order, found.passed
    floor = 100 * numeric.noise / max(float(hand.abs().max()), 1e-300)  # no difference can show more than this
    passed = vs_numeric <= max(tolerances[1], floor) and (vs_autograd or 0.0) <= tolerances[0]
    # a remainder of order 1 convicts only where the tolerances do not already excuse a difference of that size
    passed = passed and (straight or vs_numeric <= tolerances[1])
    return Row(
        claim.name, name, claim.term, vs_autograd, vs_numeric, order, kinks, passed,
        write_notes(claim, point, numeric, kinks), numeric.near, hand, right, claim,
    )  # fmt: skip


def find_misfit(hand: Tensor | None, point: Tensor) -> str:
    """Returns why a gradient cannot be compared (absent, of another shape, not finite), or ""."""
    if hand is None:
        return "no gradient was given"
    if tuple(hand.shape) != tuple(point.shape):
        return f"expected a gradient of shape {tuple(point.shape)}; got {tuple(hand.shape)}"
    if not bool(hand.isfinite().all()):
        return "the gradient is not finite"
    return ""


def choose_witness(point: Tensor, numeric: witnesses.Numeric, by_autograd: Tensor | None) -> Tensor:
    """Returns the most accurate gradient other than the hand-derived one; nan for entries that were not computed."""
    if by_autograd is not None:
        return by_autograd
    right = torch.full_like(point, float("nan"))
    right.view(-1)[numeric.index] = (numeric.low + numeric.high) / 2
    return right


def compare_off_kinks(hand: Tensor, other: Tensor, numeric: witnesses.Numeric) -> float:
    """Returns the relative error over the entries that are not on a kink, where two right gradients may differ.

    Two gradients that consist of rounding errors count as equal: a bias in front of a batch normalisation has gradient
    0, and the rounding errors (1e-16) of two ways of summing have no digits in common.
    """
    if max(float(hand.abs().max()), float(other.abs().max())) <= min(2 * numeric.noise, 1e-12):
        return 0.0
    keep = torch.ones(hand.numel(), dtype=torch.bool)
    keep[numeric.index[~numeric.smooth]] = False
    keep = keep.reshape(hand.shape)
    zero = torch.zeros_like(hand)
    return relative_error(torch.where(keep, hand, zero), torch.where(keep, other, zero))


def compare_numeric(hand: Tensor, numeric: witnesses.Numeric) -> float:
    """Returns the largest distance from the numeric derivative (at a kink: its interval), over the largest entry.

    A distance no larger than the rounding error of the difference counts as 0.
    """
    if not len(numeric.index):
        return 0.0
    distance = numeric.distance(hand)
    picked = hand.reshape(-1)[numeric.index]
    largest = float(torch.stack([picked.abs(), numeric.low.abs(), numeric.high.abs()]).max())
    worst = float(distance.max())
    if worst <= 2 * numeric.noise and largest <= 1e-6:
        return 0.0
    if worst != worst:
        return float("inf")
    return worst / largest if largest > 1e-15 else 0.0


def write_notes(claim: Claim, point: Tensor, numeric: witnesses.Numeric, kinks: int) -> str:
    found = list(claim.notes)
    if kinks:
        entries = "1 entry lies" if kinks == 1 else f"{kinks} entries lie"
        found.append(f"{entries} on a kink: any value between the one-sided derivatives is right")
    if len(numeric.index) < point.numel():
        found.append(f"{len(numeric.index)} of {point.numel()} entries moved")
    return "; ".join(found)
