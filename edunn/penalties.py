"""Penalties: what large weights cost, with the gradient by hand; and the projection that forbids them.

`penalty(weight)` is strength · R(weight). The strength may be changed while training, and may be a tensor of shape
`runs`: then weight is (*runs, …), every run has its own strength, and the value has shape `runs`. Weights alone are
penalised unless `bias=True`: a bias only shifts the scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .errors import ConfigError
from .runtime.broadcasting import along_runs


class Penalty(nn.Module):
    """strength · R(weight), its gradient, and what descent does with it.

    Parameters
    ----------
    strength : λ ≥ 0, a number or a tensor of shape `runs`
    bias : penalise biases as well
    """

    def __init__(self, strength: float | Tensor, bias: bool = False) -> None:
        super().__init__()
        if not bool((torch.as_tensor(strength) >= 0).all()):
            raise ConfigError(f"Expected a strength of 0 or more; got {strength}.")
        self.strength = strength
        self.bias = bias

    def forward(self, weight: Tensor) -> Tensor:
        """strength · R(weight), of shape `runs` (a scalar for a plain number)."""
        return self.strength * self.total(self.measure(weight))

    def gradient(self, weight: Tensor) -> Tensor:
        """d penalty / d weight, of the weight's shape; a subgradient at kinks."""
        raise NotImplementedError

    def measure(self, weight: Tensor) -> Tensor:
        """R's contribution of each entry, of the weight's shape."""
        raise NotImplementedError

    @property
    def followed(self) -> Penalty | None:
        """The part whose gradient descent follows; the rest is met by `constrain`, after the update."""
        return self

    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        """What is done to the weight in place after an update with this rate: nothing, unless it says otherwise."""

    def penalised(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of a model's parameters that this penalty concerns."""
        leaves = ("weight", "bias") if self.bias else ("weight",)
        return {name: p for name, p in parameters.items() if name.rpartition(".")[2] in leaves}

    def value(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The penalty of a whole model, summed over the parameters it concerns: of shape `runs`, also for one number.

        A weight is (*runs, outputs, features) and a bias (*runs, outputs): the axes in front that all parameters have
        are the runs. A convolution's weight has four axes, and the bias beside it shows that none of them are runs.
        """
        concerned = self.penalised(parameters)
        if not concerned:
            raise ConfigError(
                f"{type(self).__name__} is for parameters called weight; the model has {', '.join(parameters)}. "
                f"Rename what it is to reach, or train without the penalty."
            )
        runs = min(p.ndim - (2 if name.rpartition(".")[2] == "weight" else 1) for name, p in parameters.items())
        parts = [self.strength * self.measure(p).flatten(max(runs, 0)).sum(-1) for p in concerned.values()]
        return sum(parts[1:], parts[0])

    @torch.no_grad()
    def gradients(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gradient for each parameter that it concerns."""
        return {name: self.gradient(p) for name, p in self.penalised(parameters).items()}

    def total(self, measures: Tensor) -> Tensor:
        """Sums over all axes but those of the runs."""
        runs = self.strength.ndim if isinstance(self.strength, Tensor) else 0
        return measures.flatten(runs).sum(-1)

    def strength_along(self, weight: Tensor) -> float | Tensor:
        """The strength, shaped to multiply a weight."""
        return along_runs(self.strength, weight)


class L2(Penalty):
    """λ Σ w², gradient 2λ w; with `half` ½λ Σ w², gradient λ w. Pulls every weight towards 0 in proportion to itself.

    torch: `weight_decay` = 2λ (λ with half=True); scikit-learn: `SGDClassifier(alpha)` is λ with half=True, `Ridge` has
    λ = alpha/N beside a mean; CS231n: λ Σ w² on the slide, ½ in its code. See Goodfellow, Bengio & Courville, Deep
    Learning, §7.1.1.
    """

    def __init__(self, strength: float | Tensor, half: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        self.factor = 0.5 if half else 1.0

    def measure(self, weight: Tensor) -> Tensor:
        return self.factor * weight**2

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * 2 * self.factor * weight


class L1(Penalty):
    """λ Σ |w|, gradient λ sign(w); at the kink w = 0, where any value in [−λ, λ] would do, 0. Makes weights sparse.

    Parameters
    ----------
    proximal : instead of following the sign, shrink every weight by rate · λ after each update and stop at 0 (soft
        thresholding). Weights become exactly 0 and may come back; following the sign they only jitter about 0. Exact
        for plain gradient descent.

    See Hastie, Tibshirani & Wainwright, Statistical Learning with Sparsity, §5.3.
    """

    def __init__(self, strength: float | Tensor, proximal: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        self.proximal = proximal

    def measure(self, weight: Tensor) -> Tensor:
        return weight.abs()

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * torch.sign(weight)

    @property
    def followed(self) -> Penalty | None:
        return None if self.proximal else self

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        if self.proximal:
            weight.copy_(soft_threshold(weight, along_runs(rate, weight) * self.strength_along(weight)))


class ElasticNet(Penalty):
    """λ Σ (β w² + |w|), gradient λ(2β w + sign(w)): L1's sparsity and L2's calm, β on L2 as CS231n writes it.

    Parameters
    ----------
    beta : β ≥ 0
    proximal : as in `L1`, for the |w| part

    scikit-learn: `SGDClassifier(penalty="elasticnet")` has alpha · (l1_ratio Σ|w| + ½(1 − l1_ratio) Σw²).
    """

    def __init__(self, strength: float | Tensor, beta: float = 1.0, proximal: bool = False, bias: bool = False) -> None:
        super().__init__(strength, bias)
        if not beta >= 0:
            raise ConfigError(f"Expected beta 0 or more; got {beta}.")
        self.beta = beta
        self.proximal = proximal
        self.squares = L2(0.0, bias=bias)  # what descent follows when |w| is met by the proximal step

    def measure(self, weight: Tensor) -> Tensor:
        return self.beta * weight**2 + weight.abs()

    def gradient(self, weight: Tensor) -> Tensor:
        return self.strength_along(weight) * (2 * self.beta * weight + torch.sign(weight))

    @property
    def followed(self) -> Penalty | None:
        self.squares.strength = self.strength * self.beta  # the strength may have been changed while training
        return self.squares if self.proximal else self

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        if self.proximal:
            weight.copy_(soft_threshold(weight, along_runs(rate, weight) * self.strength_along(weight)))


class MaxNorm(Penalty):
    """A wall, not a price: after each update every output's weight vector, the row w_k, is cut back to ‖w_k‖ ≤ limit.

    The norm runs along the features (the last axis), one for each output; its value and gradient are 0.

    Parameters
    ----------
    limit : c > 0. Biases are left alone: the norm is that of a weight vector.

    See Srivastava et al. 2014, Dropout, JMLR 15, §5.1.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(0.0)
        if not limit > 0:
            raise ConfigError(f"Expected limit above 0; got {limit}.")
        self.limit = limit

    def measure(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    def gradient(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight)

    @property
    def followed(self) -> Penalty | None:
        return None

    @torch.no_grad()
    def constrain(self, weight: Tensor, rate: float | Tensor) -> None:
        norm = weight.norm(dim=-1, keepdim=True)
        weight.mul_(self.limit / norm.clamp(min=self.limit))


def add_penalty(gradients: dict[str, Tensor], penalty: Penalty, parameters: Mapping[str, Tensor]) -> None:
    """Adds the penalty's gradient to the loss's, for the part that descent follows."""
    if penalty.followed is not None:
        for name, gradient in penalty.followed.gradients(parameters).items():
            gradients[name] = gradients[name] + gradient


def constrain(penalty: Penalty | None, parameters: Mapping[str, Tensor], rate: float | Tensor) -> None:
    """After the update: a proximal step or a projection, for penalties that have one."""
    if penalty is not None:
        for parameter in penalty.penalised(parameters).values():
            penalty.constrain(parameter, rate)


def soft_threshold(weight: Tensor, amount: float | Tensor) -> Tensor:
    """sign(w) max(0, |w| − amount): the proximal step of amount · |w|."""
    return torch.sign(weight) * (weight.abs() - amount).clamp(min=0)


PENALTIES: dict[str, type[Penalty]] = {"l2": L2, "l1": L1, "elastic-net": ElasticNet, "max-norm": MaxNorm}
