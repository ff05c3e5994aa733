"""Update rules and schedules: how a gradient changes the parameters.

A rule turns a gradient g into a direction d, and every rule then does parameter ← parameter − rate · d. Each has a
`twin`, the `torch.optim` class with the same convention, against which it is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError, check_number
from .runtime import names
from .runtime.broadcasting import along_runs
from .runtime.reprs import ArgumentRepr


class Rule(ArgumentRepr):
    """Base of the update rules: a few state tensors for each parameter, and the step that all rules share.

    Your own rule overrides `direction`; a rule with state names its tensors in `buffers`.
    """

    buffers: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clears the state, so that a new run does not start with the velocity of another."""
        self.steps = 0
        self.state: dict[str, dict[str, Tensor]] = {}

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        """Returns d, of the gradient's shape; may change `state` in place."""
        raise NotImplementedError

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """Returns the optimiser of torch that takes the same steps, for `by="autograd"` and `descent.lockstep`."""
        raise ConfigError(
            f"{type(self).__name__} has no twin in torch.optim. Give it a method twin(parameters, rate), or train "
            f'with by="fast" or by="hand".'
        )

    limit = ""  # `stability` over the largest curvature, as a formula

    def stability(self) -> float | None:
        """Returns the largest rate · curvature at which a quadratic converges; None where there is no such number."""
        return None

    @torch.no_grad()
    def step(self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor], rate: float | Tensor) -> None:
        """Does parameter ← parameter − rate · d, in place. `rate` is a number, or a tensor of shape `runs`."""
        self.steps += 1
        for name, parameter in parameters.items():
            if name not in self.state:
                self.state[name] = {buffer: torch.zeros_like(parameter) for buffer in self.buffers}
            parameter -= along_runs(rate, parameter) * self.direction(gradients[name], self.state[name])


class GradientDescent(Rule):
    """d = g: steepest descent. Converges on a quadratic for rate < 2 / λ_max."""

    limit = "2/λmax"

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate)

    def stability(self) -> float | None:
        return 2.0


class Momentum(Rule):
    """v ← μ v + g, d = v: a velocity that adds up gradients. On a steady slope d grows to g / (1 − μ).

    As in torch, the rate is outside v, so a changed rate takes effect at once. Others write v ← μ v − rate · g.
    See Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
    """

    buffers = ("velocity",)
    limit = "2(1 + μ)/λmax"

    def __init__(self, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = check_number("momentum", momentum, 0, 1, open_ends="high")

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return state["velocity"].mul_(self.momentum).add_(gradient)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum)

    def stability(self) -> float | None:
        return 2 * (1 + self.momentum)


class Nesterov(Momentum):
    """v ← μ v + g, d = g + μ v: momentum with the gradient of the point ahead."""

    limit = "2(1 + μ)/((1 + 2μ) λmax)"

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient + self.momentum * super().direction(gradient, state)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, nesterov=True)

    def stability(self) -> float | None:
        return 2 * (1 + self.momentum) / (1 + 2 * self.momentum)


class AdaGrad(Rule):
    """G ← G + g², d = g / (√G + ε): the step of each parameter shrinks as its gradients add up. Duchi et al. 2011.

    Where G is close to 0 the division by √G + ε magnifies rounding errors: two exact implementations may then differ
    in the tenth digit, and both are right.
    """

    buffers = ("squares",)

    def __init__(self, epsilon: float = 1e-10) -> None:
        super().__init__()
        self.epsilon = check_number("epsilon", epsilon, 0)

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        squares = state["squares"].add_(gradient**2)
        return gradient / (squares.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(parameters, lr=rate, eps=self.epsilon)


class RMSprop(Rule):
    """G ← ρ G + (1 − ρ) g², d = g / (√G + ε): AdaGrad with a moving average. Hinton, Coursera 2012, lecture 6e.

    Rounding errors grow as in `AdaGrad`, and more: near a minimum G shrinks with the gradient, g/√G stays near 1 in
    size, the iterates oscillate, and each oscillation may double a difference in the last digit. Two exact
    implementations then drift apart if the rate is too large for the end of the run. Lower it (a schedule), or use
    mini-batches, whose noise keeps G large.
    """

    buffers = ("squares",)

    def __init__(self, decay: float = 0.99, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.decay = check_number("decay", decay, 0, 1, open_ends="high")
        self.epsilon = check_number("epsilon", epsilon, 0)

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        squares = state["squares"].mul_(self.decay).add_((1 - self.decay) * gradient**2)
        return gradient / (squares.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=rate, alpha=self.decay, eps=self.epsilon)


class Adam(Rule):
    """m ← β₁ m + (1 − β₁) g,  G ← β₂ G + (1 − β₂) g²,  d = m̂ / (√Ĝ + ε), with m̂ = m/(1 − β₁ᵗ), Ĝ = G/(1 − β₂ᵗ).

    m and G start at 0 and are too small at first; the hats correct that. t counts every step since the start: a bias
    correction that restarts each epoch is a common mistake. Kingma & Ba 2015. Rounding errors grow as in `AdaGrad`.
    """

    buffers = ("mean", "squares")

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.beta1 = check_number("beta1", beta1, 0, 1, open_ends="high")
        self.beta2 = check_number("beta2", beta2, 0, 1, open_ends="high")
        self.epsilon = check_number("epsilon", epsilon, 0)

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        mean = state["mean"].mul_(self.beta1).add_((1 - self.beta1) * gradient)
        squares = state["squares"].mul_(self.beta2).add_((1 - self.beta2) * gradient**2)
        mean_hat = mean / (1 - self.beta1**self.steps)
        squares_hat = squares / (1 - self.beta2**self.steps)
        return mean_hat / (squares_hat.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=rate, betas=(self.beta1, self.beta2), eps=self.epsilon)


class AdamW(Adam):
    """w ← (1 − rate · λ) w − rate · d, with the direction d of `Adam`: weight decay outside the moving averages.

    An L2 penalty adds its gradient to g, and Adam then divides it by √Ĝ: weights with large gradients are decayed
    less. Here every parameter, biases included, shrinks by the same factor. Loshchilov & Hutter 2019, Decoupled Weight
    Decay Regularization.

    Parameters
    ----------
    decay : λ ≥ 0
    """

    def __init__(self, decay: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        super().__init__(beta1, beta2, epsilon)
        self.decay = check_number("decay", decay, 0)

    @torch.no_grad()
    def step(self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor], rate: float | Tensor) -> None:
        for parameter in parameters.values():
            parameter *= 1 - along_runs(rate, parameter) * self.decay
        Adam.step(self, parameters, gradients, rate)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, eps=self.epsilon, weight_decay=self.decay)


class Clipping(ArgumentRepr):
    """Bounds the gradient before the update, so that one batch with a large gradient cannot move the weights far.

    By norm: g ← g · min(1, c / (‖g‖ + 1e-6)), with ‖g‖ over all parameters: the direction stays. By value: every entry
    is clipped to [−c, c], which changes the direction. The gradient is that of loss and penalty together; what `AdamW`
    decays, and the proximal step of an L1 penalty, is not clipped. torch: `clip_grad_norm_` (the 1e-6 is its own) and
    `clip_grad_value_`. See Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks.

    Parameters
    ----------
    norm, value : c > 0, for one of the two ways
    """

    def __init__(self, norm: float | None = None, value: float | None = None) -> None:
        if (norm is None) == (value is None):
            raise ConfigError("Clip by norm or by value: give one of clip_norm and clip_value.")
        self.norm = None if norm is None else check_number("clip_norm", norm, 0, open_ends="low")
        self.value = None if value is None else check_number("clip_value", value, 0, open_ends="low")

    def clip(self, gradients: Mapping[str, Tensor], lead: int = 0) -> dict[str, Tensor]:
        """Returns the clipped gradients by name; the first `lead` axes index runs, each clipped by itself."""
        if self.value is not None:
            return {name: gradient.clamp(-self.value, self.value) for name, gradient in gradients.items()}
        assert self.norm is not None
        norms = [torch.linalg.vector_norm(g.reshape(*g.shape[:lead], -1), dim=-1) for g in gradients.values()]
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        factor = (self.norm / (norm + 1e-6)).clamp(max=1.0)
        return {name: gradient * along_runs(factor, gradient) for name, gradient in gradients.items()}

    def clip_in_place(self, parameters: Iterable[nn.Parameter]) -> None:
        """Clips the gradients in `grad` of the parameters, by torch's own functions."""
        if self.value is not None:
            nn.utils.clip_grad_value_(parameters, self.value)
        elif self.norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.norm)


class Schedule(ArgumentRepr):
    """Base of the schedules: `schedule(epoch, epochs)` is the factor on the rate after `epoch` of `epochs`.

    `epoch` is 0 at the start and fractional within an epoch.
    """

    needs_end = False  # whether the factor depends on the number of epochs

    def __call__(self, epoch: float, epochs: float) -> float:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


class Constant(Schedule):
    """A factor of 1."""

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1.0


class StepDecay(Schedule):
    """factor^⌊epoch / every⌋: the rate is multiplied by `factor` every `every` epochs. factor > 0, every > 0."""

    def __init__(self, factor: float = 0.5, every: float = 10.0) -> None:
        self.factor = check_number("factor", factor, 0, open_ends="low")
        self.every = check_number("every", every, 0, open_ends="low")

    def __call__(self, epoch: float, epochs: float) -> float:
        # 0.3 / 0.1 is 2.999…: a quotient that is whole up to rounding is taken as whole
        periods = epoch / self.every
        whole = round(periods)
        return self.factor ** (whole if math.isclose(periods, whole, rel_tol=1e-9) else math.floor(periods))


class CosineDecay(Schedule):
    """final + (1 − final)(1 + cos(π epoch / epochs)) / 2: from 1 to `final`, slowly at both ends. 0 ≤ final ≤ 1."""

    needs_end = True

    def __init__(self, final: float = 0.0) -> None:
        self.final = check_number("final", final, 0, 1)

    def __call__(self, epoch: float, epochs: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2


class LinearDecay(Schedule):
    """1 − (1 − final) epoch / epochs: from 1 to `final` in a straight line. 0 ≤ final ≤ 1."""

    needs_end = True

    def __init__(self, final: float = 0.0) -> None:
        self.final = check_number("final", final, 0, 1)

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1 - (1 - self.final) * min(epoch / epochs, 1.0)


class InverseTimeDecay(Schedule):
    """1 / (1 + decay · epoch): the 1/t rule, under which single-sample descent converges. decay ≥ 0.

    See Robbins & Monro 1951, A Stochastic Approximation Method.
    """

    def __init__(self, decay: float = 1.0) -> None:
        self.decay = check_number("decay", decay, 0)

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1 / (1 + self.decay * epoch)


RULES: dict[str, type[Rule]] = {
    "gradient-descent": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "cosine": CosineDecay,
    "linear": LinearDecay,
    "inverse-time": InverseTimeDecay,
}


def named(name: str, **options: Any) -> Rule:
    """Returns the update rule of that name: `named("adam", beta1=0.8)`."""
    return names.create(name, RULES, "rule", **options)


def named_schedule(name: str, **options: Any) -> Schedule:
    """Returns the schedule of that name: `named_schedule("step", every=5)`."""
    return names.create(name, SCHEDULES, "schedule", **options)
