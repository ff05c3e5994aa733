"""Update rules and schedules: what is done with a gradient once it is there.

A rule turns a gradient g into a direction d, and every rule then does parameter ← parameter − rate · d. Each names the
`torch.optim` class with the same convention, its `twin`, against which it is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from .errors import ConfigError
from .runtime.broadcasting import along_runs


class Rule:
    """The state that a rule keeps, a few tensors for each parameter, and the step that every rule shares."""

    buffers: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the steps taken: a run that starts anew must not inherit another's velocity."""
        self.steps = 0
        self.state: dict[str, dict[str, Tensor]] = {}

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        """d, of the gradient's shape; changes `state` in place."""
        raise NotImplementedError

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """The optimiser of torch that takes the same steps, for `by="autograd"` and `descent.lockstep`."""
        raise ConfigError(
            f"{type(self).__name__} names no optimiser of torch. Give it a method twin(parameters, rate), or train "
            f'with by="fast" or by="hand".'
        )

    limit = ""  # `stability` over the largest curvature, as a formula

    def stability(self) -> float | None:
        """The largest rate · curvature at which a quadratic still converges; None where there is no such number."""
        return None

    @torch.no_grad()
    def step(self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor], rate: float | Tensor) -> None:
        """parameter ← parameter − rate · d, in place. `rate` is a number, or a tensor of shape `runs`."""
        self.steps += 1
        for name, parameter in parameters.items():
            if name not in self.state:
                self.state[name] = {buffer: torch.zeros_like(parameter) for buffer in self.buffers}
            parameter -= along_runs(rate, parameter) * self.direction(gradients[name], self.state[name])


class GradientDescent(Rule):
    """d = g: straight down the gradient. Converges on a quadratic for rate < 2 / λ_max."""

    limit = "2/λmax"

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate)

    def stability(self) -> float | None:
        return 2.0


class Momentum(Rule):
    """v ← μ v + g, d = v: a ball that rolls. Steady slopes are taken up to 1/(1 − μ) times as fast.

    Torch's convention: the rate stands outside v, so changing it acts at once. Others write v ← μ v − rate · g.
    See Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
    """

    buffers = ("velocity",)
    limit = "2(1 + μ)/λmax"

    def __init__(self, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = fraction("momentum", momentum)

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return state["velocity"].mul_(self.momentum).add_(gradient)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum)

    def stability(self) -> float | None:
        return 2 * (1 + self.momentum)


class Nesterov(Momentum):
    """v ← μ v + g, d = g + μ v: momentum that looks where it will be. The gradient is taken at the point ahead."""

    limit = "2(1 + μ)/((1 + 2μ) λmax)"

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient + self.momentum * super().direction(gradient, state)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, nesterov=True)

    def stability(self) -> float | None:
        return 2 * (1 + self.momentum) / (1 + 2 * self.momentum)


class AdaGrad(Rule):
    """G ← G + g², d = g / (√G + ε): each parameter's rate falls with what it has moved. Duchi et al. 2011.

    Where G is next to nothing the division by √G + ε magnifies rounding noise: two exact implementations may then
    differ in the tenth digit and both be right.
    """

    buffers = ("squares",)

    def __init__(self, epsilon: float = 1e-10) -> None:
        super().__init__()
        self.epsilon = epsilon

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        squares = state["squares"].add_(gradient**2)
        return gradient / (squares.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(parameters, lr=rate, eps=self.epsilon)


class RMSprop(Rule):
    """G ← ρ G + (1 − ρ) g², d = g / (√G + ε): AdaGrad that forgets. Hinton, Coursera 2012, lecture 6e.

    The same caution about rounding noise as in `AdaGrad`, and more of it: near a minimum G decays with the gradient,
    g/√G stays of size one, the iterates jump to and fro, and each jump may double a difference in the last digit. Two
    exact implementations then part company at a rate that is too large for the end of the run. Lower it (a schedule),
    or use mini-batches, whose noise keeps G up.
    """

    buffers = ("squares",)

    def __init__(self, decay: float = 0.99, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.decay = fraction("decay", decay)
        self.epsilon = epsilon

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        squares = state["squares"].mul_(self.decay).add_((1 - self.decay) * gradient**2)
        return gradient / (squares.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=rate, alpha=self.decay, eps=self.epsilon)


class Adam(Rule):
    """m ← β₁ m + (1 − β₁) g,  G ← β₂ G + (1 − β₂) g²,  d = m̂ / (√Ĝ + ε), with m̂ = m/(1 − β₁ᵗ), Ĝ = G/(1 − β₂ᵗ).

    m and G start at 0 and are too small at first; the hats undo that. t counts every step since the start: a bias
    correction that restarts each epoch is a common mistake. Kingma & Ba 2015. The same caution about rounding noise as
    in `AdaGrad`.
    """

    buffers = ("mean", "squares")

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.beta1 = fraction("beta1", beta1)
        self.beta2 = fraction("beta2", beta2)
        self.epsilon = epsilon

    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        mean = state["mean"].mul_(self.beta1).add_((1 - self.beta1) * gradient)
        squares = state["squares"].mul_(self.beta2).add_((1 - self.beta2) * gradient**2)
        mean_hat = mean / (1 - self.beta1**self.steps)
        squares_hat = squares / (1 - self.beta2**self.steps)
        return mean_hat / (squares_hat.sqrt() + self.epsilon)

    def twin(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=rate, betas=(self.beta1, self.beta2), eps=self.epsilon)


class Schedule:
    """The factor on the rate, `schedule(epoch, epochs)`, after `epoch` (0 at the start, fractional) of `epochs`."""

    asks_the_end = False  # whether the factor depends on how many epochs there will be

    def __call__(self, epoch: float, epochs: float) -> float:
        raise NotImplementedError


class Constant(Schedule):
    """1."""

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1.0


class StepDecay(Schedule):
    """factor^⌊epoch / every⌋: constant, then lower by the same factor every few epochs."""

    def __init__(self, factor: float = 0.5, every: float = 10.0) -> None:
        if not every > 0:
            raise ConfigError(f"Expected every above 0 epochs; got {every}.")
        self.factor = factor
        self.every = every

    def __call__(self, epoch: float, epochs: float) -> float:
        return self.factor ** math.floor(epoch / self.every)


class CosineDecay(Schedule):
    """final + (1 − final)(1 + cos(π epoch / epochs)) / 2: slowly at both ends, from 1 to `final`."""

    asks_the_end = True

    def __init__(self, final: float = 0.0) -> None:
        self.final = final

    def __call__(self, epoch: float, epochs: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2


class LinearDecay(Schedule):
    """1 − (1 − final) epoch / epochs: straight from 1 to `final`."""

    asks_the_end = True

    def __init__(self, final: float = 0.0) -> None:
        self.final = final

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1 - (1 - self.final) * min(epoch / epochs, 1.0)


class InverseTimeDecay(Schedule):
    """1 / (1 + decay · epoch): the 1/t rule, under which single-sample descent converges (Robbins & Monro 1951)."""

    def __init__(self, decay: float = 1.0) -> None:
        self.decay = decay

    def __call__(self, epoch: float, epochs: float) -> float:
        return 1 / (1 + self.decay * epoch)


def fraction(name: str, value: float) -> float:
    """A memory of the past lies in [0, 1)."""
    if not 0 <= value < 1:
        raise ConfigError(f"Expected {name} in [0, 1); got {value}.")
    return value


RULES: dict[str, type[Rule]] = {
    "gradient-descent": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "cosine": CosineDecay,
    "linear": LinearDecay,
    "inverse-time": InverseTimeDecay,
}
