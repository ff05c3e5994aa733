"""Mistakes in the backward pass of activations and layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .mistake import Mistake, is_a, up, when
from .wrong_gradient import WrongGradient


def is_elementwise(wrong: WrongGradient) -> bool:
    return wrong.kind == "activation" and not wrong.is_a("Softmax", "Identity")


def in_layer(name: str, *parameters: str) -> Callable[[WrongGradient], bool]:
    names = ("batch-norm", "layer-norm") if name == "norm" else (name,)
    return lambda wrong: wrong.layer in names and (not parameters or wrong.parameter in parameters)


def read_mask(wrong: WrongGradient) -> Tensor:
    """Returns dropout's mask, as 0 and 1."""
    return (wrong.right != 0).to(wrong.right.dtype)


def read_other_mask(wrong: WrongGradient) -> Tensor | None:
    """Returns the gradient with another mask, read from the hand-derived one; None if that has no mask."""
    if wrong.hand.shape != wrong.right.shape:
        return None
    mask = (wrong.hand * wrong.points["keep"] / up(wrong)).round()
    mixed = 0 < float(mask.mean()) < 1 and bool(((mask == 0) | (mask == 1)).all())
    return up(wrong) * mask / wrong.points["keep"] if mixed and not torch.equal(mask, read_mask(wrong)) else None


def pass_norm(wrong: WrongGradient, mean: bool, variance: bool) -> Tensor:
    """γ/√(σ² + ε) · (u − mean(u) − x̂ mean(u x̂)), with or without its two last terms.

    The means run over the samples in batch normalisation, over the features in layer normalisation, where γ stands
    inside them.
    """
    axis = -1 if wrong.layer == "layer-norm" else 0
    x, scale, epsilon = wrong.points["features"], wrong.points["scale"], wrong.points["epsilon"]
    centred = x - x.mean(axis, keepdim=True)
    deviation = torch.sqrt((centred**2).mean(axis, keepdim=True) + epsilon)
    normal = centred / deviation
    u = up(wrong) * scale
    found = u - (u.mean(axis, keepdim=True) if mean else 0)
    return (found - (normal * (u * normal).mean(axis, keepdim=True) if variance else 0)) / deviation


def scale_left_out(wrong: WrongGradient) -> Tensor:
    """Returns the gradient in the features with γ = 1."""
    ones = torch.ones_like(wrong.points["scale"])
    return pass_norm(replace(wrong, points={**wrong.points, "scale": ones}), True, True)


MISTAKES: tuple[Mistake, ...] = (
    # activations
    Mistake("activation's derivative forgotten", "f'(z) is forgotten: the upstream is passed on unchanged", "u · f'(z)",
            "whole", when(lambda g: g.kind == "activation" and not g.is_a("Identity"), up)),
    Mistake("upstream forgotten", "the upstream is forgotten", "u · f'(z)", "whole",
            when(is_elementwise, lambda g: g.activation.derivative(g.scores))),
    Mistake("derivative of the output", "f' is taken of the output in place of the score", "f'(z), not f'(f(z))",
            "whole", when(is_elementwise, lambda g: up(g) * g.activation.derivative(g.activation(g.scores)))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "σ(1 − σ), not z(1 − z)",
            "whole", when(is_a("Sigmoid"), lambda g: up(g) * g.scores * (1 - g.scores))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "1 − tanh², not 1 − z²",
            "whole", when(is_a("Tanh"), lambda g: up(g) * (1 - g.scores**2))),
    Mistake("activation's derivative twice", "f'(z) is applied twice", "u · f'(z)", "whole",
            when(is_elementwise, lambda g: up(g) * g.activation.derivative(g.scores) ** 2)),
    Mistake("value in place of the derivative", "f(z) is used in place of f'(z)", "u · f'(z)", "whole",
            when(is_elementwise, lambda g: up(g) * g.activation(g.scores))),
    Mistake("square forgotten", "tanh is used in place of tanh²", "1 − tanh²(z)", "whole",
            when(is_a("Tanh"), lambda g: up(g) * (1 - g.scores.tanh()))),
    Mistake("sigmoid: half of the derivative", "one of σ and 1 − σ is missing", "σ(1 − σ)", "whole",
            when(is_a("Sigmoid"), lambda g: up(g) * (1 - g.scores.sigmoid()))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(is_a("ReLU"), lambda g: up(g) * (g.scores <= 0))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(is_a("LeakyReLU"), lambda g: up(g) * torch.where(g.scores > 0, g.activation.slope, 1.0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(is_a("ReLU"), lambda g: up(g) * (up(g) > 0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(is_a("LeakyReLU"), lambda g: up(g) * torch.where(up(g) > 0, 1.0, g.activation.slope))),
    Mistake("slope forgotten", "the slope below 0 is forgotten", "f'(z) = slope for z ≤ 0", "whole",
            when(is_a("LeakyReLU"), lambda g: up(g) * (g.scores > 0))),
    Mistake("softmax Jacobian as a diagonal", "only the diagonal of the Jacobian is used",
            "∂p_j/∂z_k = p_j(δ_jk − p_k)", "whole",
            when(is_a("Softmax"), lambda g: (p := g.scores.softmax(-1)) * (1 - p) * up(g))),
    Mistake("softmax: second term forgotten", "the sum over the other outputs is forgotten", "p_k(u_k − Σ_j u_j p_j)",
            "whole", when(is_a("Softmax"), lambda g: g.scores.softmax(-1) * up(g))),
    Mistake("softmax: sum over the samples", "the sum runs over the samples", "Σ_j over classes", "whole",
            when(is_a("Softmax"), lambda g: (p := g.scores.softmax(-1)) * (up(g) - (up(g) * p).sum(0)))),
    # layers
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(in_layer("dropout"), lambda g: up(g) / g.points["keep"])),
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(in_layer("dropout"), up)),
    Mistake("dropout's scale forgotten", "the 1/keep is forgotten in the backward pass", "u · mask / keep", "whole",
            when(in_layer("dropout"), lambda g: up(g) * read_mask(g))),
    Mistake("dropout's scale twice", "1/keep is applied twice", "u · mask / keep", "whole",
            when(in_layer("dropout"), lambda g: g.right / g.points["keep"])),
    Mistake("mask redrawn", "the backward pass draws a mask of its own", "the same mask as forward", "whole",
            when(in_layer("dropout"), read_other_mask)),
    Mistake("mean and variance paths forgotten", "the mean and the variance are taken for constants",
            "μ and σ² depend on every x", "whole",
            when(in_layer("norm", "features"), lambda g: pass_norm(g, False, False))),
    Mistake("mean path forgotten", "the mean is taken for a constant", "− mean(u)", "whole",
            when(in_layer("norm", "features"), lambda g: pass_norm(g, False, True))),
    Mistake("variance path forgotten", "the variance is taken for a constant", "− x̂ mean(u x̂)", "whole",
            when(in_layer("norm", "features"), lambda g: pass_norm(g, True, False))),
    Mistake("scale forgotten", "γ is forgotten on the way down", "γ/√(σ² + ε) · …", "whole",
            when(in_layer("norm", "features"), scale_left_out)),
    Mistake("not normalised", "γ's gradient takes x where x̂ should stand", "∂L/∂γ = Σ_i u_i x̂_i", "whole",
            when(in_layer("norm", "scale"), lambda g: (up(g) * g.points["features"]).sum(0))),
)  # fmt: skip
