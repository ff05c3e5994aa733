"""Names the mistake behind a wrong gradient.

Every mistake of the table computes, from the same data, the gradient that it leads to. The diagnosis names those whose
gradient equals the hand-derived one to 1e-6, the most likely first. If there is none, it only shows the worst entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...differences import relative_error
from ..certificate import Certificate, Row
from . import layers, losses, numeric, terms
from .factors import Factor, find_factor, list_data_factors, name_factor
from .mistake import Mistake
from .split import Terms, name_penalty, name_terms
from .wrong_gradient import WrongGradient

# In the order of likelihood: where several explain a gradient, the first is named first.
MISTAKES: tuple[Mistake, ...] = terms.MISTAKES + losses.MISTAKES + layers.MISTAKES
CLOSE = 1e-6  # the gradient of a mistake and the hand-derived one are the same up to this relative error

__all__ = [
    "MISTAKES",
    "Diagnosis",
    "Mistake",
    "Terms",
    "WrongGradient",
    "diagnose",
    "explain",
    "put_shared_first",
    "worst_entries",
]


@dataclass(frozen=True)
class Diagnosis:
    """The mistakes that explain one wrong gradient.

    names : of the mistakes that lead to exactly this gradient, the most likely first; empty if none does
    lines : for each of them a description, and the line of the formula
    worst : the entries that differ most: (index, hand, right)
    """

    parameter: str
    term: str
    names: tuple[str, ...]
    lines: tuple[str, ...]
    worst: tuple[tuple[tuple[int, ...], float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        mistakes = [{"name": name, "says": line} for name, line in zip(self.names, self.lines, strict=True)]
        worst = [{"index": list(index), "hand": hand, "right": right} for index, hand, right in self.worst]
        return {"parameter": self.parameter, "term": self.term, "mistakes": mistakes, "worst": worst}

    def __str__(self) -> str:
        head = f"{self.parameter}: " if not self.term else f"{self.parameter} ({self.term}): "
        if self.lines:
            return head + "; or: ".join(self.lines)
        entries = ", ".join(f"{list(index)}: {hand:.6g}, right {right:.6g}" for index, hand, right in self.worst)
        return f"{head}no known mistake gives this gradient. Where it differs most: {entries or 'the shape'}"


def diagnose(wrong: WrongGradient, term: str = "", split: Terms | None = None) -> Diagnosis:
    """Names the mistakes that explain one wrong gradient.

    split : its data term and penalty, where they can be told apart: they find what the table of one loss does not, and
        two slips at once
    """
    found: dict[str, str] = {}
    for mistake in MISTAKES:
        if mistake.name not in found and matches(mistake, wrong):
            found[mistake.name] = mistake.line
    if not found and split is not None:
        found = combine(name_terms(split)) or combine(name_pairs(wrong, split))
    if not found or set(found) == {"wrong factor"}:
        found = {mistake.name: mistake.line for mistake in numeric.find(wrong, is_close)} or found
    return Diagnosis(wrong.parameter, term, tuple(found), tuple(found.values()), worst_entries(wrong.hand, wrong.right))


def combine(alternatives: list[tuple[Factor, ...]]) -> dict[str, str]:
    """Returns the name and the line of each alternative, which is one slip or several at once."""
    return {
        " + ".join(one.name for one in slips): "; and ".join(one.line for one in slips) for slips in alternatives
    }  # fmt: skip


def name_pairs(wrong: WrongGradient, split: Terms) -> list[tuple[Factor, ...]]:
    """Returns two slips, where just one pair gives the gradient: one in the loss, and a factor or the penalty's.

    A mistake in ∂L/∂scores is taken from the table, the rest of the chain being right.
    """
    if wrong.loss is None or wrong.kind not in ("loss", "objective"):
        return []
    penalty = name_penalty(split)
    if penalty is None:
        return []
    found: dict[tuple[str, ...], tuple[Factor, ...]] = {}
    for mistake in MISTAKES:
        if mistake.stage != "loss" or (given := mistake.gives(wrong)) is None:
            continue
        data = given if wrong.chain is None else wrong.chain(given)
        k = find_factor(split.hand_data, data)
        if k is None or is_close(data, split.right_data):
            continue
        slips = [()] if abs(k - 1) < CLOSE else name_factor(k, list_data_factors(split.sizes), several=False)
        for slip in slips[:1]:
            first = Factor(mistake.name, mistake.says, mistake.formula, 1.0)
            for rest in penalty or [()]:
                several = (first, *slip, *rest)
                found.setdefault(tuple(one.name for one in several), several)
    return list(found.values()) if len(found) == 1 else []


def matches(mistake: Mistake, wrong: WrongGradient) -> bool:
    """Returns whether this mistake leads to the hand-derived gradient, and not to the right one."""
    candidate = compute_gradient(mistake, wrong)
    if candidate is None or candidate.shape != wrong.hand.shape:
        return False
    if candidate.shape == wrong.right.shape and relative_error(candidate, wrong.right) <= wrong.tolerance:
        return False
    return relative_error(candidate, wrong.hand) <= wrong.tolerance


def compute_gradient(mistake: Mistake, wrong: WrongGradient) -> Tensor | None:
    """Returns the gradient that this mistake leads to; None where it does not apply."""
    if mistake.stage == "loss" and (wrong.loss is None or wrong.kind not in ("loss", "objective")):
        return None
    if mistake.stage == "penalty" and wrong.penalty is None:
        return None
    if mistake.stage == "data" and wrong.kind == "penalty":
        return mistake.gives(wrong) if mistake.name == "1/N twice" else None
    found = mistake.gives(wrong)
    if found is None:
        return None
    if mistake.stage == "loss":
        return wrong.pass_down(found)
    if mistake.stage == "penalty":
        return wrong.data + found
    if mistake.stage == "data" and wrong.penalised is not None:
        return found + wrong.penalised
    return found


def is_close(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and relative_error(first, second) <= CLOSE


def worst_entries(hand: Tensor, right: Tensor, count: int = 3) -> tuple[tuple[tuple[int, ...], float, float], ...]:
    """Returns the entries where the two differ most: (index, hand, right)."""
    if hand.shape != right.shape or not hand.numel():
        return ()
    difference = (hand - right).abs().nan_to_num(float("inf")).reshape(-1)
    places = difference.topk(min(count, difference.numel())).indices.tolist()
    return tuple(
        (tuple(int(k) for k in np.unravel_index(i, tuple(hand.shape))), float(hand.reshape(-1)[i]),
         float(right.reshape(-1)[i]))
        for i in places
        if difference[i] > 0
    )  # fmt: skip


def put_shared_first(found: list[Diagnosis]) -> list[Diagnosis]:
    """Puts first a mistake that explains all wrong gradients at once: one mistake is more likely than two."""
    if len(found) < 2:
        return found
    shared = [name for name in found[0].names if all(name in other.names for other in found)]

    def reordered(one: Diagnosis) -> Diagnosis:
        order = sorted(range(len(one.names)), key=lambda i: (one.names[i] not in shared, i))
        names, lines = tuple(one.names[i] for i in order), tuple(one.lines[i] for i in order)
        return Diagnosis(one.parameter, one.term, names, lines, one.worst)

    return [reordered(one) for one in found]


def explain(certificate: Certificate) -> list[Diagnosis]:
    """Returns the likely mistakes in every wrong row of a certificate."""
    return put_shared_first([diagnose(collect(row), row.term) for row in certificate.wrong if row.hand is not None])


def collect(row: Row) -> WrongGradient:
    """Returns the wrong gradient of a certificate's row, together with the data it is computed from."""
    made, claim = row.claim.ingredients, row.claim
    assert row.hand is not None
    assert row.right is not None
    hand = row.hand.detach().double()
    if made is None:
        return WrongGradient("other", row.parameter, hand, row.right, 1, claim.points)
    kind = {"loss": "loss", "data": "objective", "total": "objective"}.get(row.term, "penalty")
    penalised = None
    if row.term not in ("loss", "data") and made.penalty is not None:
        own = made.penalty.value
        point = {name: p.clone().requires_grad_() for name, p in made.parameters.items()}
        with torch.enable_grad():
            penalised = torch.autograd.grad(
                own(point), point[row.parameter], materialize_grads=True, allow_unused=True
            )[0]
    return WrongGradient(
        kind, row.parameter, hand, row.right, len(made.features),
        {**made.parameters, "features": made.features, "scores": made.scores, "targets": made.targets},
        loss=made.loss if kind != "penalty" else None,
        penalty=made.penalty if penalised is not None else None,
        upstream=made.right_upstream(), penalised=penalised,
        chain=None if kind == "loss" else made.chain(row.parameter),
        function=None,
    )  # fmt: skip
