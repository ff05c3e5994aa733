"""Names a mistake without the table of one loss: the data term and the penalty are looked at apart.

A hand-in is called once more with λ = 0. What is left are the data terms, its own and the right one; what went are the
penalties. Each is compared as a multiple of the right one, and in the ways that a penalty goes wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .factors import (
    Factor,
    Sizes,
    find_factor,
    is_zero,
    list_data_factors,
    list_penalty_factors,
    name_factor,
    wrong_factor,
)

SAME = 1e-6


@dataclass(frozen=True)
class Terms:
    """One wrong gradient in two terms.

    hand_data, right_data : at λ = 0; the whole, where there is no λ
    hand_penalty, right_penalty : what λ adds; None where there is no λ
    point : the parameter itself
    sizes : the numbers that factors are made of
    averaged : whether the value is a mean over samples, as losses are and layers are not
    """

    parameter: str
    hand_data: Tensor
    right_data: Tensor
    point: Tensor
    sizes: Sizes
    hand_penalty: Tensor | None = None
    right_penalty: Tensor | None = None
    averaged: bool = True


Slips = tuple[Factor, ...]


def name_terms(terms: Terms) -> list[Slips]:
    """Returns the alternatives, each one slip or the slips of both terms; empty where one of the terms has no name."""
    unscaled = name_unscaled(terms)
    if unscaled:
        return unscaled
    penalty = name_penalty(terms)
    data = name_data(terms)
    if data is None or penalty is None:
        return []
    found = [(*one, *two) for one in (data or [()]) for two in (penalty or [()])]
    return [one for one in found if one]


def name_data(terms: Terms) -> list[Slips] | None:
    """Returns what the data term is; [] where it is right, None where it is wrong and has no name."""
    hand, right = terms.hand_data, terms.right_data
    if is_same(hand, right):
        return []
    bare = name_bare(terms)
    if bare is not None:
        return [bare]
    if is_zero(hand, right):
        whole = terms.hand_penalty is None or is_zero(terms.hand_penalty, right)
        return [(Factor("zero", "the gradient is left at zero", "∂L/∂θ", 0.0),)] if whole else [
            (Factor("data term forgotten", "the data term is forgotten", "∂data/∂w + λ ∂R/∂w", 0.0),)
        ]  # fmt: skip
    if name_constant(hand - right) and terms.hand_penalty is not None:
        return [(ENTRY,)]
    k = find_factor(hand, right)
    if k is None:
        return None
    return name_number(k, list_data_factors(terms.sizes, terms.averaged), "gradient")


def name_unscaled(terms: Terms) -> list[Slips]:
    """Names a penalty of the gradient that λ does not scale: it stays at λ = 0, beside a data term with a slip."""
    hand, right = terms.hand_penalty, terms.right_penalty
    if hand is None or right is None or not is_zero(hand, terms.right_data) or is_zero(right, terms.right_data):
        return []
    columns = torch.stack([terms.right_data.reshape(-1), right.reshape(-1) / terms.sizes.strength], -1)
    found = torch.linalg.lstsq(columns, terms.hand_data.reshape(-1, 1)).solution.reshape(-1)
    if not is_same((columns @ found).reshape(hand.shape), terms.hand_data):
        return []
    data, penalty = (float(one) for one in found)
    if abs(penalty) < SAME:
        return []
    forgotten = Factor("strength forgotten", "the penalty is not scaled by its strength λ", "λ ∂R/∂w", 1.0)
    slips: list[Slips] = [()]
    if abs(data - 1) > SAME:
        slips = name_number(data, list_data_factors(terms.sizes, terms.averaged), "data term's gradient")
    more = [()] if abs(penalty - 1) < SAME else name_factor(penalty, list_penalty_factors(terms.sizes))
    return [(*one, forgotten, *two) for one in slips for two in more]


def name_number(k: float, factors: list[Factor], term: str) -> list[Slips]:
    """Returns what multiplies a term by k; a pair may be chance, so the number itself is behind it."""
    found = name_factor(k, factors)
    return found if found and len(found[0]) == 1 else [*found, (wrong_factor(k, term),)]


ENTRY = Factor("penalty's bias entry set", "the penalty's entry of the bias is set to a constant, not 0", "∂R/∂b = 0",
               1.0)  # fmt: skip


def name_constant(rest: Tensor) -> bool:
    """Whether what is too much is one number in the first or last row or column, and nothing elsewhere."""
    for turned in (rest, rest.mT if rest.ndim == 2 else rest):
        for at in (0, -1) if turned.ndim and len(turned) > 1 else ():
            others = torch.cat([turned[:at], turned[at + 1 :]]) if at == 0 else turned[:-1]
            entry = turned[at]
            flat = float((entry - entry.mean()).abs().max()) <= SAME * float(entry.abs().max())
            if flat and bool(entry.any()) and is_zero(others, entry):
                return True
    return False


def name_bare(terms: Terms) -> Slips | None:
    """Names a penalty that the value has without λ: its data term holds a multiple of w that the gradient's has not."""
    if terms.hand_penalty is None or is_zero(terms.hand_penalty, terms.point):
        return None
    rest = terms.right_data - terms.hand_data
    if terms.right_penalty is not None and not is_zero(terms.right_penalty, terms.point):
        return None
    if find_factor(rest, terms.point) is None:
        return None
    return (Factor("strength forgotten in the value", "the value's penalty is not scaled by its strength λ; the "
                   "gradient's is", "data + λ R(w)", 1.0),)  # fmt: skip


def name_penalty(terms: Terms) -> list[Slips] | None:
    """Returns what the penalty is; [] where it is right, None where it is wrong and has no name."""
    hand, right = terms.hand_penalty, terms.right_penalty
    if hand is None or right is None or is_same(hand, right, terms.right_data):
        return []
    if is_zero(right, terms.right_data):
        if name_bare(terms) is not None:
            return []
        if terms.parameter.lower().startswith("b"):
            return [(BIAS,)]
        return [(Factor("penalty forgotten in the value", "the gradient has the penalty; the value has none",
                        "data + λ R(w)", 0.0),)]  # fmt: skip
    k = 0.0 if is_zero(hand, right) else find_factor(hand, right)
    if k is not None:
        return name_number(k, list_penalty_factors(terms.sizes), "penalty's gradient")
    return name_other_penalty(terms, hand, right) or name_bias_column(terms, hand, right)


BIAS = Factor("penalty on the bias", "the penalty reaches the bias too", "R(W): weights alone, a bias only shifts", 1.0)


def name_bias_column(terms: Terms, hand: Tensor, right: Tensor) -> list[Slips] | None:
    """Names a column of ones that is penalised on one side only: the weights' first or last entry is the bias."""
    for flip in (False, True):
        one, two, point = (t.mT if flip and t.ndim == 2 else t for t in (hand, right, terms.point))
        for at in (0, -1):
            off = (one[at] - two[at]) if one.ndim else one - two
            kept = torch.ones(len(one), dtype=torch.bool) if one.ndim else torch.ones(1, dtype=torch.bool)
            kept[at] = False
            k = find_factor(one[kept], two[kept]) if one.ndim and len(one) > 1 else None
            if k is None or is_zero(off, two):
                continue
            factor = [] if abs(k - 1) < SAME else name_factor(k, list_penalty_factors(terms.sizes), several=False)
            if abs(k - 1) >= SAME and not factor:
                continue
            rest = factor[0] if factor else ()
            if is_zero(two[at], two[kept]) and find_factor(one[at], point[at]) is not None:
                return [(Factor("penalty on the bias", "the penalty reaches the bias, the weight of the column of ones",
                                "Σ_j over the weights, not the bias", 1.0), *rest)]  # fmt: skip
            if is_zero(two[at], two[kept]):
                return [(Factor("penalty's bias entry set", "the penalty's entry of the bias is a constant, not 0",
                                "∂R/∂b = 0", 1.0), *rest)]  # fmt: skip
            if is_zero(one[at], one[kept]):
                return [(Factor("bias left out of the penalty", "the gradient leaves the bias out of the penalty; the "
                                "value has it in", "Σ_j over the same entries", 1.0), *rest)]  # fmt: skip
    return None


def name_other_penalty(terms: Terms, hand: Tensor, right: Tensor) -> list[Slips] | None:
    """Names penalties that are other functions of w: Σ (W Wᵀ), Σ w, Σ |w|, ‖w‖."""
    w = terms.point
    if w.ndim == 2 and find_factor(hand, w) is not None:
        for axis in (0, 1):
            if find_factor(right, w.sum(axis, keepdim=True).expand_as(w)) is not None:
                return [(Factor("Σ W Wᵀ in the value", "the value's penalty sums all entries of W Wᵀ, products "
                                "of different weights too", "Σ w² = sum of W * W", 1.0),)]  # fmt: skip
    if find_factor(hand, w) is not None and find_factor(right, torch.ones_like(w)) is not None:
        return [(Factor("square forgotten in the value", "the value's penalty is the sum of w, not of w²", "λ Σ w²",
                        1.0),)]  # fmt: skip
    if is_same(hand, right.sum() * torch.ones_like(w)):
        return [
            (Factor("penalty summed", "the penalty's gradient is summed over the weights", "2λ w_j for each j", 1.0),)
        ]
    shapes = {
        "L1 in place of L2": ("the penalty's gradient is the sign of w: that is the one of |w|", torch.sign(w)),
        "square's derivative not taken": ("the penalty's gradient is w², not its derivative 2w", w * w),
        "w forgotten in the penalty": ("the penalty's gradient is a constant: w is forgotten", torch.ones_like(w)),
        "L2 in place of L1": ("the penalty's gradient is w, the one of w²", w),
    }
    for name, (says, other) in shapes.items():
        is_l1 = find_factor(right, torch.sign(w)) is not None
        if find_factor(hand, other) is not None and (name == "L2 in place of L1") == is_l1:
            return [(Factor(name, says, "d(λ w²)/dw = 2λ w" if "L1" not in name[-2:] else "d|w|/dw = sign(w)", 1.0),)]
    return None


def is_same(first: Tensor, second: Tensor, beside: Tensor | None = None) -> bool:
    if first.shape != second.shape:
        return False
    largest = max(float(second.abs().max()), float(beside.abs().max()) if beside is not None else 0.0, 1e-12)
    return float((first - second).abs().max()) <= SAME * largest
