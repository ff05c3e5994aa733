"""Mistakes that any gradient can hold: signs, factors, samples, axes, and what concerns the penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake, Transform, of, when
from .scene import Scene, zeros_like_right


def times(factor: Callable[[Scene], float]) -> Transform:
    """The data term's share, times a factor."""
    return lambda scene: factor(scene) * scene.data if factor(scene) != 1 else None


def losing(scene: Scene, rows: slice, divisor: int) -> Tensor | None:
    """∂L/∂scores with some samples left out, and the sum divided by `divisor`."""
    if scene.upstream is None or scene.kind not in ("loss", "objective") or scene.samples < 2:
        return None
    left = torch.zeros_like(scene.upstream)
    left[rows] = scene.upstream[rows]
    return left * scene.samples / divisor


def bias_of(gives: Callable[[Tensor], Tensor]) -> Transform:
    def transform(scene: Scene) -> Tensor | None:
        upstream = scene.upstream
        if scene.parameter != "bias" or upstream is None or upstream.ndim != 2:
            return None
        found = gives(upstream)
        if scene.penalised is not None and scene.penalised.shape == found.shape:
            return found + scene.penalised
        return found

    return transform


def transposed(scene: Scene) -> Tensor | None:
    return scene.right.mT if scene.right.ndim == 2 and scene.parameter in ("weight", "features") else None


def penalty_gradient(scene: Scene, factor: float) -> Tensor | None:
    return None if scene.penalised is None or not bool(scene.penalised.any()) else factor * scene.penalised


def strength(scene: Scene) -> float:
    return float(scene.penalty.strength)


def on_bias(scene: Scene) -> Tensor | None:
    if scene.parameter != "bias" or scene.penalty is None or scene.penalty.bias or "bias" not in scene.points:
        return None
    return scene.penalty_scale * scene.penalty.gradient(scene.points["bias"])


def weight_only(scene: Scene) -> bool:
    return scene.parameter == "weight" and scene.penalty is not None


def penal(condition: Callable[[Scene], bool], gives: Callable[[Scene, Tensor, float], Tensor]) -> Transform:
    """Of a penalty on the weight w with strength λ."""
    return when(
        lambda scene: weight_only(scene) and condition(scene),
        lambda scene: scene.penalty_scale * gives(scene, scene.points["weight"], strength(scene)),
    )


MISTAKES: tuple[Mistake, ...] = (
    Mistake("zero", "the gradient is left at zero", "∂L/∂θ", "whole",
            when(lambda s: s.kind != "penalty" and not bool(s.got.any()), zeros_like_right)),
    Mistake("sign", "the sign is wrong", "∂L/∂θ: the slope uphill; descent subtracts it", "whole", lambda s: -s.right),
    Mistake("penalty forgotten", "the penalty is forgotten", "∂(data + λR)/∂w = ∂data/∂w + λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, 0.0)),
    Mistake("penalty on the bias", "the penalty reaches the bias too", "R(W): weights alone, a bias only shifts",
            "penalty", on_bias),
    Mistake("L2 factor 2 missing", "the factor 2 of L2 is missing (or the value has a ½ too few)", "d(λ w²)/dw = 2λ w",
            "penalty", when(of("L2"), lambda s: penalty_gradient(s, 0.5))),
    Mistake("L2 factor 2 too many", "a factor 2 of L2 too many: the value has a ½", "d(½ λ w²)/dw = λ w", "penalty",
            when(of("L2"), lambda s: penalty_gradient(s, 2.0))),
    Mistake("penalty sign", "the penalty's sign is wrong", "+ λ ∂R/∂w", "penalty",
            when(lambda s: s.kind != "penalty", lambda s: penalty_gradient(s, -1.0))),
    Mistake("strength forgotten", "the penalty is not scaled by its strength λ", "λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, 1 / strength(s)) if s.penalty is not None else None),
    Mistake("strength twice", "the penalty is scaled by its strength λ twice", "λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, strength(s)) if s.penalty is not None else None),
    Mistake("penalty divided by N", "the penalty is divided by N as well", "1/N Σ_i ℓ_i + λR: no 1/N on R", "penalty",
            when(lambda s: s.kind == "objective", lambda s: penalty_gradient(s, 1 / s.samples))),
    Mistake("penalty multiplied by N", "the penalty is added once a sample", "1/N Σ_i ℓ_i + λR", "penalty",
            when(lambda s: s.kind == "objective", lambda s: penalty_gradient(s, s.samples))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)",
            "penalty", penal(of("L1"), lambda s, w, k: k * torch.ones_like(w))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)",
            "penalty", penal(of("L1"), lambda s, w, k: k * w)),
    Mistake("elastic net: L1 part forgotten", "the |w| part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", penal(of("ElasticNet"), lambda s, w, k: k * 2 * s.penalty.beta * w)),
    Mistake("elastic net: L2 part forgotten", "the w² part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", penal(of("ElasticNet"), lambda s, w, k: k * torch.sign(w))),
    Mistake("elastic net: beta forgotten", "β is forgotten in the elastic net", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * (2 * w + torch.sign(w)))),
    Mistake("elastic net: beta on both", "β belongs to w² alone", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * s.penalty.beta * (2 * w + torch.sign(w)))),
    Mistake("elastic net: factor 2 missing", "the factor 2 of w² is missing", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * (s.penalty.beta * w + torch.sign(w)))),
    # factors of the data term: losses and objectives alone have an N in them
    Mistake("1/N forgotten", "1/N is forgotten: the gradient of a mean, summed", "L = 1/N Σ_i ℓ_i", "data",
            times(lambda s: s.samples)),
    Mistake("1/N twice", "1/N is there twice", "L = 1/N Σ_i ℓ_i", "data", times(lambda s: 1 / s.samples)),
    Mistake("factor 2 missing", "a factor 2 is missing (or a ½ too many)", "d r²/dr = 2 r", "data",
            times(lambda s: 0.5)),
    Mistake("factor 2 too many", "a factor 2 too many (or a ½ missing)", "d ½ r²/dr = r", "data", times(lambda s: 2.0)),
    Mistake("sign", "the data term's sign is wrong", "∂data/∂w + λ ∂R/∂w", "data",
            when(lambda s: s.penalised is not None and bool(s.penalised.any()), lambda s: -s.data)),
    Mistake("mean over classes", "divided by the number of classes: the sum over classes is no mean",
            "Σ_j, not 1/C Σ_j", "data", times(lambda s: 1 / s.classes)),
    Mistake("sum over classes", "multiplied by the number of classes: the value is a mean over them",
            "1/C Σ_j", "data", times(lambda s: float(s.classes))),
    Mistake("mean over the other classes", "divided by C − 1", "Σ_{j ≠ y}, not 1/(C−1) Σ_{j ≠ y}", "data",
            times(lambda s: 1 / (s.classes - 1) if s.classes > 2 else 1.0)),
    Mistake("sum over the other classes", "multiplied by C − 1", "1/(C−1) Σ_{j ≠ y}", "data",
            times(lambda s: s.classes - 1.0 if s.classes > 2 else 1.0)),
    Mistake("mean over features", "divided by the number of features in place of samples", "1/N, N the samples", "data",
            times(lambda s: s.samples / s.features if s.features > 1 else 1.0)),
    Mistake("divided by N - 1", "divided by N − 1 in place of N", "1/N Σ_i ℓ_i", "data",
            times(lambda s: s.samples / (s.samples - 1) if s.samples > 2 else 1.0)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(0, -1), s.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(0, -1), s.samples - 1)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(1, None), s.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(1, None), s.samples - 1)),
    Mistake("transposed", "the gradient is transposed", "∂L/∂W = Uᵀ x, of W's own shape", "whole", transposed),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", bias_of(lambda u: u.sum())),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", bias_of(lambda u: u.sum().expand(u.shape[-1]))),
    Mistake("bias over the wrong axis", "the bias gradient is summed over outputs in place of samples",
            "∂L/∂b = Σ_i u_i: over samples", "whole", bias_of(lambda u: u.sum(-1))),
)  # fmt: skip
