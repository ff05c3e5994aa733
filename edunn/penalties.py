"""Penalties on large weights, with hand-derived gradients; and max-norm, a constraint.

`penalty(weight)` is strength · R(weight). The strength may be changed while training, and may be a tensor of shape
`runs`: then weight is (*runs, …), every run has its own strength, and the value has shape `runs`. Biases are penalised
only with `bias=True`, because a bias only shifts the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from . import differences
from .errors import ConfigError, check_number
from .runtime import names
from .runtime.broadcasting import along_runs
from .runtime.reprs import ArgumentRepr


class Penalty(ArgumentRepr, nn.Module):
    """strength · R(weight), its gradient, and how descent applies it.

    Parameters
    ----------
    strength : λ ≥ 0, a number or a tensor of shape `runs`
    bias : penalise biases as well
    """

    convex: bool | None = None  # in the weights; None: not declared
    quadratic: bool = False  # a constant times Σ w²: along a plane of weights it is a quadratic form

    def __init__(self, strength: float | Tensor, bias: bool = False) -> None:
        super().__init__()
        self.check_strength(strength)
        self.strength = strength
        self.bias = bias

    @staticmethod
    def check_strength(strength: float | Tensor) -> None:
        if not isinstance(strength, Tensor):
            check_number("strength", strength, 0)
        elif not bool(((strength >= 0) & strength.isfinite()).all()):
            raise ConfigError(f"Every strength must be 0 or more, finite; got {strength.tolist()}.")

    def forward(self, weight: Tensor) -> Tensor:
        """Returns strength · R(weight), of shape `runs`; a scalar where the strength is one number."""
        return self.strength * self.total(self.measure(weight))

    def gradient(self, weight: Tensor) -> Tensor:
        """Returns d penalty / d weight, of the weight's shape; a subgradient at kinks."""
        raise NotImplementedError

    def curvature(self, weight: Tensor) -> Tensor:
        """Returns the second derivative in each entry, of the weight's shape; by differences if there is no formula."""
        return differences.derivative(self.gradient, weight)

    def measure(self, weight: Tensor) -> Tensor:
        """Returns the contribution of each entry to R, of the weight's shape."""
        raise NotImplementedError

    @property
    def followed(self) -> Penalty | None:
        """The part of the penalty whose gradient is added to that of the loss; `constrain` applies the rest."""
        return self

    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        """Changes the weight in place after an update with this rate; does nothing by default."""

    def penalised(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the parameters that this penalty acts on: weights, and biases with `bias=True`."""
        leaves = ("weight", "bias") if self.bias else ("weight",)
        return {name: p for name, p in parameters.items() if name.rpartition(".")[2] in leaves}

    def value(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Returns the penalty of a whole model, summed over the penalised parameters, of shape `runs`.

        A weight is (*runs, outputs, features) and a bias (*runs, outputs): the axes in front that all parameters have
        are the runs. A convolution's weight has four axes, and the bias beside it shows that it has no axis of runs.
        """
        concerned = self.penalised(parameters)
        if not concerned:
            raise ConfigError(
                f"{type(self).__name__} is for parameters called weight; the model has {', '.join(parameters)}. "
                f"Rename the parameters to penalise, or train without the penalty."
            )
        runs = min(p.ndim - (2 if name.rpartition(".")[2] == "weight" else 1) for name, p in parameters.items())
        parts = [self.strength * self.measure(p).flatten(max(runs, 0)).sum(-1) for p in concerned.values()]
        return sum(parts[1:], parts[0])

    @torch.no_grad()
    def gradients(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the gradient of each penalised parameter."""
        return {name: self.gradient(p) for name, p in self.penalised(parameters).items()}

    def total(self, measures: Tensor) -> Tensor:
        """Sums over all axes except those of the runs."""
        runs = self.strength.ndim if isinstance(self.strength, Tensor) else 0
        return measures.flatten(runs).sum(-1)

    def strength_along(self, weight: Tensor) -> float | Tensor:
        """Returns the strength with axes added until it multiplies a weight."""
        return along_runs(self.strength, weight)


class L2(Penalty):
    """λ Σ w², gradient 2λ w; with `half` ½λ Σ w², gradient λ w. Moves every weight towards 0 in proportion to itself.

    torch: `weight_decay` = 2λ (λ with half=True); scikit-learn: `SGDClassifier(alpha)` is λ with half=True, `Ridge` has
    λ = alpha/N beside a mean; CS231n: λ Σ w² on the slide, ½ in its code. See Goodfellow, Bengio & Courville, Deep
    Learning, §7.1.1.
    """

    convex = True
    quadratic = True

    def __init__(self, strength: float | Tensor, half: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        self.factor = 0.5 if half else 1.0

    def measure(self, weight: Tensor) -> Tensor:
        return self.factor * weight**2

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * 2 * self.factor * weight

    def curvature(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * 2 * self.factor * torch.ones_like(weight)


class L1(Penalty):
    """λ Σ |w|, gradient λ sign(w), and 0 at the kink w = 0 (a subgradient is any in [−λ, λ]). Makes weights sparse.

    Parameters
    ----------
    proximal : shrink every weight by rate · λ after each update, stopping at 0 (soft thresholding), in place of
        following sign(w). Weights become exactly 0 and can leave it again; with sign(w) they oscillate around 0. Exact
        for plain gradient descent.

    See Hastie, Tibshirani & Wainwright, Statistical Learning with Sparsity, §5.3.
    """

    convex = True

    def __init__(self, strength: float | Tensor, proximal: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        self.proximal = proximal

    def measure(self, weight: Tensor) -> Tensor:
        return weight.abs()

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * torch.sign(weight)

    def curvature(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    @property
    def followed(self) -> Penalty | None:
        return None if self.proximal else self

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        if self.proximal:
            weight.copy_(soft_threshold(weight, along_runs(rate, weight) * self.strength_along(weight)))


class ElasticNet(Penalty):
    """λ Σ (β w² + |w|), gradient λ(2β w + sign(w)): sparse as with L1, and small as with L2; β is as in CS231n.

    Parameters
    ----------
    beta : β ≥ 0
    proximal : as in `L1`, for the |w| part

    scikit-learn: `SGDClassifier(penalty="elasticnet")` has alpha · (l1_ratio Σ|w| + ½(1 − l1_ratio) Σw²).
    """

    convex = True

    def __init__(self, strength: float | Tensor, beta: float = 1.0, proximal: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        self.beta = check_number("beta", beta, 0)
        self.proximal = proximal
        self.squares = L2(0.0, bias=bias)  # the part that descent follows when the proximal step handles |w|

    def measure(self, weight: Tensor) -> Tensor:
        return self.beta * weight**2 + weight.abs()

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * (2 * self.beta * weight + torch.sign(weight))

    def curvature(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * 2 * self.beta * torch.ones_like(weight)

    @property
    def followed(self) -> Penalty | None:
        self.squares.strength = self.strength * self.beta  # the strength may have been changed while training
        return self.squares if self.proximal else self

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        if self.proximal:
            weight.copy_(soft_threshold(weight, along_runs(rate, weight) * self.strength_along(weight)))


class MaxNorm(Penalty):
    """A constraint, not a penalty: after each update every row w_k is scaled back to ‖w_k‖ ≤ limit.

    Each output has one row, and its norm is taken over the features (the last axis). Value and gradient are 0.

    Parameters
    ----------
    limit : c > 0. Biases are not constrained.

    See Srivastava et al. 2014, Dropout, JMLR 15, §5.1.
    """

    convex = True

    def __init__(self, limit: float) -> None:
        super().__init__(0.0)
        self.limit = check_number("limit", limit, 0, open_ends="low")

    def measure(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    def gradient(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    def curvature(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    @property
    def followed(self) -> Penalty | None:
        return None

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        norm = weight.norm(dim=-1, keepdim=True)
        weight.mul_(self.limit / norm.clamp(min=self.limit))


def add_penalty(gradients: dict[str, Tensor], penalty: Penalty, parameters: Mapping[str, Tensor]) -> None:
    """Adds the penalty's gradient to the loss's gradient, for the part that descent follows."""
    if penalty.followed is not None:
        for name, gradient in penalty.followed.gradients(parameters).items():
            gradients[name] = gradients[name] + gradient


def constrain(penalty: Penalty | None, parameters: Mapping[str, Tensor], rate: float | Tensor) -> None:
    """Applies a penalty's proximal step or projection after an update, where it has one."""
    if penalty is not None:
        for parameter in penalty.penalised(parameters).values():
            penalty.constrain(parameter, rate)


def soft_threshold(weight: Tensor, amount: float | Tensor) -> Tensor:
    """Returns sign(w) max(0, |w| − amount): the proximal step of amount · |w|."""
    return torch.sign(weight) * (weight.abs() - amount).clamp(min=0)


PENALTIES: dict[str, type[Penalty]] = {"l2": L2, "l1": L1, "elastic-net": ElasticNet, "max-norm": MaxNorm}


def named(name: str, *given: Any, **options: Any) -> Penalty:
    """Returns the penalty of that name: `named("ridge", strength=0.1)`, or `named("ridge", 0.1)`."""
    return names.create(name, PENALTIES, "penalty", *given, **options)
