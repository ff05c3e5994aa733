"""Mistakes in the backward pass of activations and layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake, of, up, when
from .scene import Scene


def elementwise(scene: Scene) -> bool:
    return scene.kind == "activation" and not scene.of_type("Softmax", "Identity")


def layer(name: str, *parameters: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.layer == name and (not parameters or scene.parameter in parameters)


def kept(scene: Scene) -> Tensor:
    """Dropout's mask, as 0 and 1."""
    return (scene.right != 0).to(scene.right.dtype)


def redrawn(scene: Scene) -> Tensor | None:
    """Some other mask, read off the gradient that came: where it is neither kept nor dropped, this is not it."""
    if scene.got.shape != scene.right.shape:
        return None
    mask = (scene.got * scene.points["keep"] / up(scene)).round()
    mixed = 0 < float(mask.mean()) < 1 and bool(((mask == 0) | (mask == 1)).all())
    return up(scene) * mask / scene.points["keep"] if mixed and not torch.equal(mask, kept(scene)) else None


def batch_norm_paths(scene: Scene, mean: bool, variance: bool) -> Tensor:
    """γ/√(σ² + ε) · (u − mean(u) − x̂ mean(u x̂)), with or without its two last terms."""
    x, scale, epsilon = scene.points["features"], scene.points["scale"], scene.points["epsilon"]
    centred = x - x.mean(0)
    deviation = torch.sqrt((centred**2).mean(0) + epsilon)
    normal = centred / deviation
    u = up(scene) * scale
    found = u - (u.mean(0) if mean else 0) - (normal * (u * normal).mean(0) if variance else 0)
    return found / deviation


MISTAKES: tuple[Mistake, ...] = (
    # activations
    Mistake("activation's derivative forgotten", "f'(z) is forgotten: what arrives is passed on as it is", "u · f'(z)",
            "whole", when(lambda s: s.kind == "activation" and not s.of_type("Identity"), up)),
    Mistake("upstream forgotten", "what arrives from above is forgotten", "u · f'(z)", "whole",
            when(elementwise, lambda s: s.activation.derivative(s.scores))),
    Mistake("derivative of the output", "f' is taken of the output in place of the score", "f'(z), not f'(f(z))",
            "whole", when(elementwise, lambda s: up(s) * s.activation.derivative(s.activation(s.scores)))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "σ(1 − σ), not z(1 − z)",
            "whole", when(of("Sigmoid"), lambda s: up(s) * s.scores * (1 - s.scores))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "1 − tanh², not 1 − z²",
            "whole", when(of("Tanh"), lambda s: up(s) * (1 - s.scores**2))),
    Mistake("activation's derivative twice", "f'(z) is applied twice", "u · f'(z)", "whole",
            when(elementwise, lambda s: up(s) * s.activation.derivative(s.scores) ** 2)),
    Mistake("value in place of the derivative", "f(z) stands where f'(z) should", "u · f'(z)", "whole",
            when(elementwise, lambda s: up(s) * s.activation(s.scores))),
    Mistake("square forgotten", "tanh stands where tanh² should", "1 − tanh²(z)", "whole",
            when(of("Tanh"), lambda s: up(s) * (1 - s.scores.tanh()))),
    Mistake("sigmoid: half of the derivative", "one of σ and 1 − σ is missing", "σ(1 − σ)", "whole",
            when(of("Sigmoid"), lambda s: up(s) * (1 - s.scores.sigmoid()))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(of("ReLU"), lambda s: up(s) * (s.scores <= 0))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(of("LeakyReLU"), lambda s: up(s) * torch.where(s.scores > 0, s.activation.slope, 1.0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(of("ReLU"), lambda s: up(s) * (up(s) > 0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(of("LeakyReLU"), lambda s: up(s) * torch.where(up(s) > 0, 1.0, s.activation.slope))),
    Mistake("slope forgotten", "the slope below 0 is forgotten", "f'(z) = slope for z ≤ 0", "whole",
            when(of("LeakyReLU"), lambda s: up(s) * (s.scores > 0))),
    Mistake("softmax Jacobian as a diagonal", "only the diagonal of the Jacobian is used",
            "∂p_j/∂z_k = p_j(δ_jk − p_k)", "whole",
            when(of("Softmax"), lambda s: (p := s.scores.softmax(-1)) * (1 - p) * up(s))),
    Mistake("softmax: second term forgotten", "the sum over the other outputs is forgotten", "p_k(u_k − Σ_j u_j p_j)",
            "whole", when(of("Softmax"), lambda s: s.scores.softmax(-1) * up(s))),
    Mistake("softmax: sum over the samples", "the sum runs over the samples", "Σ_j over classes", "whole",
            when(of("Softmax"), lambda s: (p := s.scores.softmax(-1)) * (up(s) - (up(s) * p).sum(0)))),
    # layers
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: up(s) / s.points["keep"])),
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), up)),
    Mistake("dropout's scale forgotten", "the 1/keep is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: up(s) * kept(s))),
    Mistake("dropout's scale twice", "1/keep is applied twice", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: s.right / s.points["keep"])),
    Mistake("mask redrawn", "the backward pass draws a mask of its own", "the same mask as forward", "whole",
            when(layer("dropout"), redrawn)),
    Mistake("mean and variance paths forgotten", "the mean and the variance are taken for constants",
            "μ and σ² depend on every x", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, False, False))),
    Mistake("mean path forgotten", "the mean is taken for a constant", "− mean(u)", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, False, True))),
    Mistake("variance path forgotten", "the variance is taken for a constant", "− x̂ mean(u x̂)", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, True, False))),
    Mistake("scale forgotten", "γ is forgotten on the way down", "γ/√(σ² + ε) · …", "whole",
            when(layer("batch-norm", "features"), lambda s: s.right / s.points["scale"])),
    Mistake("not normalised", "γ's gradient takes x where x̂ should stand", "∂L/∂γ = Σ_i u_i x̂_i", "whole",
            when(layer("batch-norm", "scale"), lambda s: (up(s) * s.points["features"]).sum(0))),
)  # fmt: skip
