"""Mistakes that can occur in any gradient: in signs, factors, samples, axes and the penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .factors import Sizes, find_factor, is_number, list_data_factors
from .mistake import Mistake, Transform, is_a, when
from .wrong_gradient import WrongGradient


def scale_data(factor: Callable[[WrongGradient], float], mean: bool = True) -> Transform:
    """Returns the data term's share times a factor.

    mean : whether it is a slip in a mean over samples, which losses and objectives have, and layers have not
    """

    def transform(wrong: WrongGradient) -> Tensor | None:
        if mean and wrong.kind in ("layer", "activation"):
            return None
        return factor(wrong) * wrong.data if factor(wrong) != 1 else None

    return transform


def drop_samples(wrong: WrongGradient, rows: slice, divisor: int) -> Tensor | None:
    """Returns ∂L/∂scores of a mean that sums only some samples (`rows`) and divides by `divisor`."""
    if wrong.upstream is None or wrong.kind not in ("loss", "objective") or wrong.samples < 2:
        return None
    left = torch.zeros_like(wrong.upstream)
    left[rows] = wrong.upstream[rows]
    return left * wrong.samples / divisor


def change_bias(gives: Callable[[Tensor], Tensor]) -> Transform:
    def transform(wrong: WrongGradient) -> Tensor | None:
        upstream = wrong.upstream
        if wrong.parameter != "bias" or upstream is None or upstream.ndim != 2:
            return None
        found = gives(upstream)
        if wrong.penalised is not None and wrong.penalised.shape == found.shape:
            return found + wrong.penalised
        return found

    return transform


def transpose(wrong: WrongGradient) -> Tensor | None:
    return wrong.right.mT if wrong.right.ndim == 2 and wrong.parameter in ("weight", "features") else None


def scale_penalty(wrong: WrongGradient, factor: float) -> Tensor | None:
    return None if wrong.penalised is None or not bool(wrong.penalised.any()) else factor * wrong.penalised


def apply_penalty(wrong: WrongGradient, in_value: bool) -> Tensor | None:
    """Returns the right gradient of the penalty, where the value leaves out the penalty or its strength λ."""
    if wrong.kind != "objective" or wrong.parameter != "weight" or wrong.penalty_scale or wrong.penalised is None:
        return None
    weight = wrong.points["weight"]
    if in_value and find_factor(wrong.penalised, weight) is None:
        return None
    return wrong.penalty.gradient(weight) if bool(wrong.penalised.any()) == in_value else None


def count_as_number(wrong: WrongGradient) -> Tensor | None:
    """Returns the gradient of the data term divided by a wrong number of samples, written as a number."""
    if wrong.hand.shape != wrong.right.shape or wrong.kind not in ("loss", "objective"):
        return None
    data = wrong.data
    share = wrong.hand if wrong.penalised is None else wrong.hand - wrong.penalised
    ratio = float((share * data).sum() / (data * data).sum().clamp(min=1e-300))
    divisor = wrong.samples / ratio if ratio else 0.0
    whole = divisor == divisor and abs(divisor - round(divisor)) < 1e-6 and round(divisor) in range(3, 1000)
    sizes = Sizes(wrong.samples, wrong.classes, wrong.features)
    named = any(is_number(one.number, ratio) for one in list_data_factors(sizes))
    return ratio * data if whole and not named and round(divisor) != wrong.samples else None


def get_strength(wrong: WrongGradient) -> float:
    return float(wrong.penalty.strength)


def penalise_bias(wrong: WrongGradient) -> Tensor | None:
    if wrong.parameter != "bias" or wrong.penalty is None or wrong.penalty.bias or "bias" not in wrong.points:
        return None
    return wrong.penalty_scale * wrong.penalty.gradient(wrong.points["bias"])


def has_penalty(wrong: WrongGradient) -> bool:
    return wrong.parameter == "weight" and wrong.penalty is not None


def change_penalty(
    condition: Callable[[WrongGradient], bool], gives: Callable[[WrongGradient, Tensor, float], Tensor]
) -> Transform:
    """Returns a mistake that replaces the gradient of a penalty on the weight w with strength λ."""
    return when(
        lambda wrong: has_penalty(wrong) and condition(wrong),
        lambda wrong: wrong.penalty_scale * gives(wrong, wrong.points["weight"], get_strength(wrong)),
    )


MISTAKES: tuple[Mistake, ...] = (
    Mistake("zero", "the gradient is left at zero", "∂L/∂θ", "whole",
            when(lambda g: g.kind != "penalty" and not bool(g.hand.any()), lambda g: torch.zeros_like(g.right))),
    Mistake("sign", "the sign is wrong", "∂L/∂θ: the slope uphill; descent subtracts it", "whole", lambda g: -g.right),
    Mistake("penalty forgotten", "the penalty is forgotten", "∂(data + λR)/∂w = ∂data/∂w + λ ∂R/∂w", "penalty",
            lambda g: scale_penalty(g, 0.0)),
    Mistake("penalty on the bias", "the bias is penalised too", "R(W): only weights, because a bias only shifts",
            "penalty", penalise_bias),
    Mistake("strength forgotten in the value", "the value's penalty is not scaled by its strength λ; the gradient's is",
            "data + λ R(w)", "penalty", lambda g: apply_penalty(g, True)),
    Mistake("penalty forgotten in the value", "the gradient has the penalty; the value has none", "data + λ R(w)",
            "penalty", lambda g: apply_penalty(g, False)),
    Mistake("L2 factor 2 missing", "the factor 2 of L2 is missing (or the value has a ½ too few)", "d(λ w²)/dw = 2λ w",
            "penalty", when(is_a("L2"), lambda g: scale_penalty(g, 0.5))),
    Mistake("L2 factor 2 too many", "a factor 2 of L2 too many: the value has a ½", "d(½ λ w²)/dw = λ w", "penalty",
            when(is_a("L2"), lambda g: scale_penalty(g, 2.0))),
    Mistake("penalty sign", "the penalty's sign is wrong", "+ λ ∂R/∂w", "penalty",
            when(lambda g: g.kind != "penalty", lambda g: scale_penalty(g, -1.0))),
    Mistake("strength forgotten", "the penalty is not scaled by its strength λ", "λ ∂R/∂w", "penalty",
            lambda g: scale_penalty(g, 1 / get_strength(g)) if g.penalty is not None else None),
    Mistake("strength twice", "the penalty is scaled by its strength λ twice", "λ ∂R/∂w", "penalty",
            lambda g: scale_penalty(g, get_strength(g)) if g.penalty is not None else None),
    Mistake("penalty divided by N", "the penalty is divided by N as well", "1/N Σ_i ℓ_i + λR: no 1/N on R", "penalty",
            when(lambda g: g.kind == "objective", lambda g: scale_penalty(g, 1 / g.samples))),
    Mistake("penalty multiplied by N", "the penalty is added once a sample", "1/N Σ_i ℓ_i + λR", "penalty",
            when(lambda g: g.kind == "objective", lambda g: scale_penalty(g, g.samples))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)",
            "penalty", change_penalty(is_a("L1"), lambda g, w, k: k * torch.ones_like(w))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)",
            "penalty", change_penalty(is_a("L1"), lambda g, w, k: k * w)),
    Mistake("elastic net: L1 part forgotten", "the |w| part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", change_penalty(is_a("ElasticNet"), lambda g, w, k: k * 2 * g.penalty.beta * w)),
    Mistake("elastic net: L2 part forgotten", "the w² part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", change_penalty(is_a("ElasticNet"), lambda g, w, k: k * torch.sign(w))),
    Mistake("elastic net: beta forgotten", "β is forgotten in the elastic net", "λ(2β w + sign(w))", "penalty",
            change_penalty(is_a("ElasticNet"), lambda g, w, k: k * (2 * w + torch.sign(w)))),
    Mistake("elastic net: beta on both", "β belongs to w² alone", "λ(2β w + sign(w))", "penalty",
            change_penalty(is_a("ElasticNet"), lambda g, w, k: k * g.penalty.beta * (2 * w + torch.sign(w)))),
    Mistake("elastic net: factor 2 missing", "the factor 2 of w² is missing", "λ(2β w + sign(w))", "penalty",
            change_penalty(is_a("ElasticNet"), lambda g, w, k: k * (g.penalty.beta * w + torch.sign(w)))),
    # factors of the data term: losses and objectives alone have an N in them
    Mistake("1/N forgotten in the value", "the value is a sum and the gradient a mean: the value's 1/N is forgotten",
            "L = 1/N Σ_i ℓ_i", "data", when(lambda g: abs(g.scale - g.samples) < 1e-6 * g.samples, scale_data(
                lambda g: 1 / g.samples))),
    Mistake("1/N forgotten", "1/N is forgotten: the gradient of a mean, summed", "L = 1/N Σ_i ℓ_i", "data",
            scale_data(lambda g: g.samples)),
    Mistake("1/N twice", "divided by N twice", "L = 1/N Σ_i ℓ_i", "data", scale_data(lambda g: 1 / g.samples)),
    Mistake("factor 2 missing", "a factor 2 is missing (or a ½ too many)", "d r²/dr = 2 r", "data",
            scale_data(lambda g: 0.5, mean=False)),
    Mistake("factor 2 too many", "a factor 2 too many (or a ½ missing)", "d ½ r²/dr = r", "data",
            scale_data(lambda g: 2.0, mean=False)),
    Mistake("sign", "the data term's sign is wrong", "∂data/∂w + λ ∂R/∂w", "data",
            when(lambda g: g.penalised is not None and bool(g.penalised.any()), lambda g: -g.data)),
    Mistake("mean over classes", "divided by the number of classes: the loss is a sum over classes, not a mean",
            "Σ_j, not 1/C Σ_j", "data", scale_data(lambda g: 1 / g.classes)),
    Mistake("sum over classes", "multiplied by the number of classes: the value is a mean over them",
            "1/C Σ_j", "data", scale_data(lambda g: float(g.classes))),
    Mistake("mean over the other classes", "divided by C − 1", "Σ_{j ≠ y}, not 1/(C−1) Σ_{j ≠ y}", "data",
            scale_data(lambda g: 1 / (g.classes - 1) if g.classes > 2 else 1.0)),
    Mistake("sum over the other classes", "multiplied by C − 1", "1/(C−1) Σ_{j ≠ y}", "data",
            scale_data(lambda g: g.classes - 1.0 if g.classes > 2 else 1.0)),
    Mistake("mean over features", "divided by the number of features in place of samples", "1/N, N the samples", "data",
            scale_data(lambda g: g.samples / g.features if g.features > 1 else 1.0)),
    Mistake("divided by N - 1", "divided by N − 1 in place of N", "1/N Σ_i ℓ_i", "data",
            scale_data(lambda g: g.samples / (g.samples - 1) if g.samples > 2 else 1.0)),
    Mistake("count written as a number", "N is written as a number, which is not that of this batch", "1/N Σ_i ℓ_i",
            "data", count_as_number),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda g: drop_samples(g, slice(0, -1), g.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda g: drop_samples(g, slice(0, -1), g.samples - 1)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda g: drop_samples(g, slice(1, None), g.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda g: drop_samples(g, slice(1, None), g.samples - 1)),
    Mistake("transposed", "the gradient is transposed", "∂L/∂W = Uᵀ x, of W's own shape", "whole", transpose),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", change_bias(lambda u: u.sum())),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", change_bias(lambda u: u.sum().expand(u.shape[-1]))),
    Mistake("bias over the wrong axis", "the bias gradient is summed over outputs in place of samples",
            "∂L/∂b = Σ_i u_i: over samples", "whole", change_bias(lambda u: u.sum(-1))),
)  # fmt: skip
