"""Activations, each with its value and its hand-derived derivative.

`activation(scores)` is the value f(z), elementwise (softmax: over the last axis). `derivative` is f'(z),
`second_derivative` is f''(z), and `input_gradient(scores, upstream)` is the chain rule: the upstream gradient dL/df
times f'(z). Every formula is finite and accurate at any finite score.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from . import errors
from .runtime import names
from .runtime.reprs import ArgumentRepr


class Activation(ArgumentRepr, nn.Module):
    """An elementwise function f with f' and f'' by hand. Subclasses define `forward` and `derivative`.

    The attributes declare properties of f. None means not declared; nothing is then assumed.
    """

    linear: bool = False  # f(z) = z
    smooth: bool | None = None  # differentiable everywhere
    pole: float | None = None  # distance from the real axis to f's nearest singularity: e^z = −1 at z = ±iπ
    bounds: tuple[float, float] | None = None  # limits as z → ∓∞ that no finite z attains
    elementwise: bool = True  # each output depends on its own score alone

    def derivative(self, scores: Tensor) -> Tensor:
        """Returns f'(z), of the scores' shape."""
        raise NotImplementedError

    def second_derivative(self, scores: Tensor) -> Tensor:
        """Returns f''(z), of the scores' shape; 0 for a piecewise linear f (and at its kinks)."""
        return torch.zeros_like(scores)

    def input_gradient(self, scores: Tensor, upstream: Tensor) -> Tensor:
        """Returns dL/dz = dL/df · f'(z), of the scores' shape; `upstream` is dL/df."""
        return upstream * self.derivative(scores)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The scores at which f has no derivative. A numeric check avoids them."""
        return ()


class Identity(Activation):
    """f(z) = z, f'(z) = 1: the activation of a linear output."""

    linear = True
    smooth = True
    pole = math.inf

    def forward(self, scores: Tensor) -> Tensor:
        return scores

    def derivative(self, scores: Tensor) -> Tensor:
        return torch.ones_like(scores)


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^−z), in (0, 1): the probability that a logistic model gives.

    σ'(z) = σ(z)(1 − σ(z)), at most 1/4, at z = 0: this factor vanishes far from 0.
    σ''(z) = σ'(z)(1 − 2σ(z)).

    torch: `sigmoid`; scipy: `expit`. See Goodfellow, Bengio & Courville, Deep Learning, §3.10.
    """

    smooth = True
    pole = math.pi
    bounds = (0.0, 1.0)

    def forward(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores)

    def derivative(self, scores: Tensor) -> Tensor:
        # equals σ(z)(1 − σ(z)), without the cancellation in 1 − σ(z) for large z
        return torch.sigmoid(scores) * torch.sigmoid(-scores)

    def second_derivative(self, scores: Tensor) -> Tensor:
        # 1 − 2σ(z) = −tanh(z/2)
        return -self.derivative(scores) * torch.tanh(scores / 2)


class Tanh(Activation):
    """tanh(z) = (e^z − e^−z) / (e^z + e^−z) = 2σ(2z) − 1, in (−1, 1).

    tanh'(z) = 1 − tanh²(z), tanh''(z) = −2 tanh(z) tanh'(z).
    """

    smooth = True
    pole = math.pi / 2  # tanh(z) = 2σ(2z) − 1
    bounds = (-1.0, 1.0)

    def forward(self, scores: Tensor) -> Tensor:
        return torch.tanh(scores)

    def derivative(self, scores: Tensor) -> Tensor:
        # 1 − tanh²(z) = 4σ(2z)σ(−2z), which keeps its digits where tanh(z) rounds to ±1
        return 4 * torch.sigmoid(2 * scores) * torch.sigmoid(-2 * scores)

    def second_derivative(self, scores: Tensor) -> Tensor:
        return -2 * torch.tanh(scores) * self.derivative(scores)


class ReLU(Activation):
    """f(z) = max(0, z); f'(z) = 1 for z > 0, else 0 (at the kink any value in [0, 1] is a subgradient; torch takes 0).

    A unit whose scores are negative for every sample has derivative 0 everywhere: it is dead.
    """

    smooth = False

    def forward(self, scores: Tensor) -> Tensor:
        return torch.relu(scores)  # clamp(min=0) is the same value, but autograd takes 1 at its kink

    def derivative(self, scores: Tensor) -> Tensor:
        return (scores > 0).to(scores.dtype)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)


class LeakyReLU(Activation):
    """f(z) = z for z > 0, else slope · z, so that no unit dies; f'(z) = 1 or slope (slope at the kink too)."""

    smooth = False

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = errors.check_number("slope", slope, -math.inf)

    def forward(self, scores: Tensor) -> Tensor:
        return torch.where(scores > 0, scores, self.slope * scores)

    def derivative(self, scores: Tensor) -> Tensor:
        # where(…, 1.0, slope) alone would round the slope to float32, whatever the scores are
        return torch.where(scores > 0, torch.ones_like(scores), self.slope)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)


class Step(Activation):
    """f(z) = 1 for z > 0, else 0: the activation of the first neurons, and the threshold that `predict` applies.

    f'(z) = 0 wherever it exists, so descent learns nothing through a step.
    """

    smooth = False

    def forward(self, scores: Tensor) -> Tensor:
        return (scores > 0).to(scores.dtype)

    def derivative(self, scores: Tensor) -> Tensor:
        return torch.zeros_like(scores)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)


class Softmax(Activation):
    """p_j = e^{z_j} / Σ_k e^{z_k} over the last axis: turns scores into a distribution over classes.

    ∂p_j/∂z_k = p_j(δ_jk − p_k): every output depends on every score, so the chain rule needs the whole Jacobian. It is
    applied without building the matrix: dL/dz_k = p_k(u_k − Σ_j u_j p_j) for upstream u. The Jacobian is symmetric, so
    the same product serves forward (a change of the scores) and backward.

    See Goodfellow, Bengio & Courville, Deep Learning, §6.2.2.3.
    """

    smooth = True
    pole = math.pi  # Σ_k e^{z_k} has no zero while the imaginary parts differ by less than π
    elementwise = False

    def forward(self, scores: Tensor) -> Tensor:
        # subtracting the largest score of each row changes nothing (it cancels) and no exponential overflows
        exponentials = torch.exp(scores - scores.amax(-1, keepdim=True))
        return exponentials / exponentials.sum(-1, keepdim=True)

    def derivative(self, scores: Tensor) -> Tensor:
        """Returns the Jacobian ∂p_j/∂z_k, of shape (*scores' shape, classes). Training needs only `input_gradient`."""
        p = self(scores)
        return torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)

    def second_derivative(self, scores: Tensor) -> Tensor:
        """Returns ∂²p_j/∂z_k∂z_l = p_j[(δ_jk − p_k)(δ_jl − p_l) − p_k(δ_kl − p_l)], two more axes than the scores."""
        p = self(scores)
        away = torch.eye(p.shape[-1], dtype=p.dtype, device=p.device) - p.unsqueeze(-2)  # δ_jk − p_k, at (j, k)
        return p[..., :, None, None] * (away.unsqueeze(-1) * away.unsqueeze(-2) - self.derivative(scores).unsqueeze(-3))

    def input_gradient(self, scores: Tensor, upstream: Tensor) -> Tensor:
        p = self(scores)
        return p * (upstream - (upstream * p).sum(-1, keepdim=True))


ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky-relu": LeakyReLU,
    "step": Step,
    "softmax": Softmax,
}


def named(name: str, **options: Any) -> Activation:
    """Returns the activation of that name: `named("relu")`."""
    return names.create(name, ACTIVATIONS, "activation", **options)
