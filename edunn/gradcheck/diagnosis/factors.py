"""Names a gradient, or one term of it, that is a number times the right one: which number it is tells the mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

CLOSE = 1e-6


@dataclass(frozen=True)
class Factor:
    """One number that a slip multiplies a term by.

    name, says, formula : as those of a `Mistake`
    number : the factor at these sizes
    """

    name: str
    says: str
    formula: str
    number: float

    @property
    def line(self) -> str:
        return f"{self.says} [{self.formula}]" if self.formula else self.says


@dataclass(frozen=True)
class Sizes:
    """The numbers in factors: N samples, C classes, D features, λ, and the value's own scale over a mean."""

    samples: int = 1
    classes: int = 1
    features: int = 1
    strength: float = 1.0
    scale: float = 1.0
    penalty_scale: float = 1.0


MEAN = "L = 1/N Σ_i ℓ_i"


def list_data_factors(sizes: Sizes, averaged: bool = True) -> list[Factor]:
    """Returns the factors of a data term. In a layer nothing is averaged: a 1/N there has other names."""
    n, c, d = float(sizes.samples), float(sizes.classes), float(sizes.features)
    found = [Factor("sign", "the sign is wrong", "∂L/∂θ: the slope uphill; descent subtracts it", -1.0)]
    if averaged and n > 2:
        if abs(sizes.scale - n) < 1e-6 * n:
            found.append(Factor("1/N forgotten in the value", "the value sums where the gradient takes the mean: the "
                                "value's 1/N is forgotten", MEAN, 1 / n))  # fmt: skip
        found += [
            Factor("1/N forgotten", "1/N is forgotten: the gradient of a mean, summed", MEAN, n),
            Factor("1/N twice", "1/N is there twice", MEAN, 1 / n),
        ]
    elif n > 1:
        found += [
            Factor("averaged in a layer", "averaged over the samples: a layer's gradient is a sum, the 1/N comes with "
                   "the upstream", "∂L/∂W = Σ_i u_i x_iᵀ, ∂L/∂b = Σ_i u_i", 1 / n),
            Factor("multiplied by N", "multiplied by the number of samples", "∂L/∂W = Σ_i u_i x_iᵀ", n),
        ]  # fmt: skip
    found += [
        Factor("factor 2 missing", "a factor 2 is missing (or a ½ too many)", "d r²/dr = 2 r", 0.5),
        Factor("factor 2 too many", "a factor 2 too many (or a ½ missing)", "d ½ r²/dr = r", 2.0),
    ]
    if c > 2:
        found += [
            Factor("mean over classes", "divided by the number of classes", "Σ_j, not 1/C Σ_j", 1 / c),
            Factor("sum over classes", "multiplied by the number of classes", "1/C Σ_j", c),
        ]
    if averaged and n > 2:
        found += [
            Factor("1 / 2 * m", "1 / 2 * m is m / 2: write 1 / (2 * m)", "1/(2m) Σ_i r_i²", n * n / 2),
            Factor("1 / 2 * m", "1 / 2 * m is m / 2: write 1 / (2 * m)", "1/(2m) Σ_i r_i²", n * n),
            Factor("1 / 2 * m", "1 / 2 * m in the value is m / 2: write 1 / (2 * m)", "1/(2m) Σ_i r_i²", 1 / (n * n)),
            Factor("1 / 2 * m", "1 / 2 * m in the value is m / 2: write 1 / (2 * m)", "1/(2m) Σ_i r_i²", 2 / (n * n)),
            Factor("divided by N - 1", "divided by N − 1 in place of N", MEAN, n / (n - 1)),
        ]
        if d > 1 and d != n:
            found.append(Factor("mean over features", "divided by the number of features in place of samples",
                                "1/N, N the samples", n / d))  # fmt: skip
    return found


def list_penalty_factors(sizes: Sizes) -> list[Factor]:
    n, strength = float(sizes.samples), sizes.strength
    found = [
        Factor("penalty forgotten", "the penalty is forgotten", "∂(data + λR)/∂w = ∂data/∂w + λ ∂R/∂w", 0.0),
        Factor("L2 factor 2 missing", "the factor 2 of L2 is missing (or the value has a ½ too few)",
               "d(λ w²)/dw = 2λ w", 0.5),
        Factor("L2 factor 2 too many", "a factor 2 of L2 too many: the value has a ½", "d(½ λ w²)/dw = λ w", 2.0),
        Factor("penalty sign", "the penalty's sign is wrong", "+ λ ∂R/∂w", -1.0),
    ]  # fmt: skip
    if strength not in (0.0, 1.0):
        found += [
            Factor("strength forgotten", "the penalty is not scaled by its strength λ", "λ ∂R/∂w", 1 / strength),
            Factor("strength twice", "the penalty is scaled by its strength λ twice", "λ ∂R/∂w", strength),
        ]
    if n > 2:
        inside = "the penalty is divided by N in the value, and not in the gradient"
        says = inside if abs(sizes.penalty_scale * n - round(sizes.penalty_scale * n * 2) / 2) < 1e-9 < abs(
            sizes.penalty_scale - 1) else "the penalty is added once a sample"  # fmt: skip
        found += [
            Factor("penalty divided by N", "the penalty is divided by N as well", "1/N Σ_i ℓ_i + λR: no 1/N on R",
                   1 / n),
            Factor("penalty multiplied by N", says, "1/N Σ_i ℓ_i + λR", n),
        ]  # fmt: skip
    return found


def find_factor(hand: Tensor, right: Tensor) -> float | None:
    """Returns k where hand = k · right; None where it is no multiple of it."""
    if hand.shape != right.shape or not bool(hand.isfinite().all()) or not bool(right.isfinite().all()):
        return None
    largest = float(right.abs().max()) if right.numel() else 0.0
    if largest < 1e-12:
        return None
    k = float((hand * right).sum() / (right * right).sum())
    worst = float((hand - k * right).abs().max())
    return k if worst <= CLOSE * max(float(hand.abs().max()), largest) else None


def name_factor(k: float, factors: list[Factor], several: bool = True) -> list[tuple[Factor, ...]]:
    """Returns the slips that multiply by k: single ones, else the pair where it is the only one, else none.

    A pair may be chance: at other sizes it is another, or none.
    """
    single = [(one,) for one in factors if is_number(one.number, k)]
    if single or not several:
        return list(single)
    return unique(list_pairs(k, factors))


def list_pairs(k: float, factors: list[Factor]) -> Iterator[tuple[Factor, ...]]:
    for first, second in combinations(factors, 2):
        plain = 0.0 not in (first.number, second.number) and first.name != second.name
        plain = plain and "1 / 2 * m" not in (first.name, second.name)
        if plain and is_number(first.number * second.number, k):
            yield first, second


def unique(found: Iterator[tuple[Factor, ...]]) -> list[tuple[Factor, ...]]:
    """Returns the only pair; where the same names come twice, the first of them counts."""
    by_name = {tuple(sorted(one.name for one in pair)): pair for pair in found}
    return list(by_name.values()) if len(by_name) == 1 else []


def is_number(exact: float, k: float) -> bool:
    return abs(k - exact) <= CLOSE * max(abs(exact), 1e-3)


def wrong_factor(k: float, term: str) -> Factor:
    """Returns the name of a number that no slip of the table gives."""
    return Factor("wrong factor", f"the {term} is {k:.6g} times the right one", "", k)


def is_zero(tensor: Tensor, beside: Tensor) -> bool:
    return float(tensor.abs().max()) <= 1e-9 * max(float(beside.abs().max()), 1e-300) if tensor.numel() else True


def zeros(like: Tensor) -> Tensor:
    return torch.zeros_like(like)
