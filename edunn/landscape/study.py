"""The lecture's study: a problem, a loss and an activation, by name; and random data that fits the problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import activations, losses
from ..errors import ConfigError, DataError
from ..losses import Loss, SquaredError
from ..runtime.devices import generator
from ..runtime.names import resolve

PROBLEMS = ("linear", "binary")
LOSSES = (
    "squared-error", "binary-cross-entropy", "logistic", "hinge", "squared-hinge", "perceptron", "zero-one",
    "absolute-error", "huber",
)  # fmt: skip
THROUGH = ("identity", "sigmoid", "tanh")

OWN = {"binary-cross-entropy": "sigmoid", "logistic": "sigmoid"}  # losses that hold their activation already


def make_loss(name: str, activation: str | None, problem: str, half: bool = False) -> tuple[Loss, str]:
    """A loss by its lecture name, and the activation that it goes through.

    Squared error of a binary problem goes through a sigmoid if nothing else is said; cross-entropy holds its sigmoid
    already; the losses for labels ±1 and the robust ones take the score as it is.
    """
    said, name = name, resolve(name, LOSSES, "loss")
    problem = resolve(problem, PROBLEMS, "problem")
    if activation is not None:
        activation = resolve(activation, THROUGH, "activation")
    if name == "squared-error":
        chosen = activation or ("sigmoid" if problem == "binary" else "identity")
        return SquaredError(half=half, through=activations.named(chosen)), chosen
    if half:
        raise ConfigError(f"The factor 1/2 belongs to the squared error alone; {said} has none.")
    own = OWN.get(name, "identity")
    if activation not in (None, own):
        raise ConfigError(
            f"The loss {said} is defined on {'the score of a sigmoid' if own == 'sigmoid' else 'the score itself'}, "
            f"activation {own}; it takes no {activation}. Only the squared error takes others."
        )
    return losses.named(name), own


def random_data(problem: str, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """x standard normal; linear: y = 2x + 1 + ε with ε standard normal; binary: P(y = 1) = σ(2x − 1)."""
    problem = resolve(problem, PROBLEMS, "problem")
    if samples < 1:
        raise ConfigError(f"Expected 1 sample or more; got {samples}.")
    source = generator(seed)
    x = torch.randn(samples, dtype=torch.float64, generator=source)
    if problem == "linear":
        return x, 2 * x + 1 + torch.randn(samples, dtype=torch.float64, generator=source)
    return x, (torch.rand(samples, dtype=torch.float64, generator=source) < torch.sigmoid(2 * x - 1)).double()


@dataclass(frozen=True)
class Targets:
    """Targets as a loss takes them, and what was done to them."""

    values: Tensor
    convention: str


def targets_for(loss: Loss, activation: str, y: Tensor, problem: str) -> Targets:
    """Labels of a binary problem in the loss's own convention: 0 and 1, or −1 and +1 (also for squared error on tanh).

    Converted here, by an explicit formula, and reported: 2y − 1, or (y + 1)/2.
    """
    if problem == "linear":
        return Targets(y, "real")
    bits = bool(((y == 0) | (y == 1)).all())
    signs = bool(((y == -1) | (y == 1)).all())
    if not (bits or signs):
        if loss.labels == "signs" or bool(((y < 0) | (y > 1)).any()):
            odd = float(y[~((y == 0) | (y == 1))][0])
            raise DataError(
                f"Expected labels 0 and 1, or -1 and 1, for a binary problem; got {odd:g}. "
                f"For a real target use --problem linear."
            )
        return Targets(y, "probabilities")  # cross-entropy and squared error take them
    if loss.labels == "signs" or activation == "tanh":
        return Targets(y if signs else 2 * y - 1, "-1, +1")
    return Targets((y + 1) / 2 if signs and not bits else y, "0, 1")
