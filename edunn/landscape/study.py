"""The lecture's study: a problem, a loss and an activation by name, with random data or two columns of a file.

first, second = study.studies(["mse", "bce"], problem="binary", activation="sigmoid")
first.grid(w=(-20, 20, 512), b=(-20, 20, 512)).report()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import activations
from .. import losses as loss_table
from ..data import read_table
from ..errors import ConfigError, DataError
from ..losses import Loss, SquaredError
from ..runtime.devices import generator
from ..runtime.names import resolve
from .build import grid
from .surface import Surface

PROBLEMS = ("linear", "binary")
LOSSES = (
    "squared-error", "binary-cross-entropy", "logistic", "hinge", "squared-hinge", "perceptron", "zero-one",
    "absolute-error", "huber",
)  # fmt: skip
THROUGH = ("identity", "sigmoid", "tanh")

OWN = {"binary-cross-entropy": "sigmoid", "logistic": "sigmoid"}  # losses that include their activation


@dataclass(frozen=True, eq=False)
class Study:
    """One feature x with its targets and a loss, ready for a surface.

    name : the loss as the caller calls it: mse, bce, …
    activation : the function applied to the score
    targets : in the loss's own convention, which `labels` names: "0, 1", "-1, +1", "probabilities" or "real"
    source : where the data is from, for a figure's title
    """

    problem: str
    name: str
    loss: Loss
    activation: str
    x: Tensor
    targets: Tensor
    labels: str
    source: str

    def grid(self, w: Any = None, b: Any = None, **options: Any) -> Surface:
        """Returns the surface over (w, b): see `edunn.landscape.grid` for the windows and options."""
        return grid(self.x, self.targets, self.loss, w, b, **options)

    @property
    def title(self) -> str:
        """The loss and the data: `mse through sigmoid, 1000 random samples`."""
        squared = isinstance(self.loss, SquaredError) and self.activation != "identity"
        through = f" through {self.activation}" if squared else ""
        return f"{self.name}{through}, {self.source}"


def study(loss: str = "mse", x: Tensor | None = None, y: Tensor | None = None, **options: Any) -> Study:
    """Returns the study of one loss: see `studies` for the options."""
    return studies([loss], x, y, **options)[0]


def studies(
    losses: Sequence[str],
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    problem: str | None = None,
    activation: str | None = None,
    half: bool = False,
    samples: int = 1000,
    seed: int = 0,
    source: str | None = None,
) -> tuple[Study, ...]:
    """Returns the same data under one loss or several, in the order of their names.

    Parameters
    ----------
    losses : names among `LOSSES`, or their synonyms: mse, bce, mae, …
    x, y : (samples,); None draws random data that fit the problem
    problem : "linear" or "binary"; None goes by the first loss, and for squared error by the labels
    activation : of the first loss, and of squared error
    half : squared error with the factor 1/2
    samples, seed : of random data
    source : the data's name in titles
    """
    names = [resolve(name, LOSSES, "loss") for name in losses]
    if len(set(names)) < len(names):
        raise ConfigError(f"{' and '.join(losses)} are the same loss; there is nothing to compare. Name another one.")
    if half and "squared-error" not in names:
        raise ConfigError(f"The factor 1/2 belongs to the squared error alone; {losses[0]} does not take it.")
    problem = guess_problem(names[0], y) if problem is None else resolve(problem, PROBLEMS, "problem")
    if x is None or y is None:
        x, y = random_data(problem, samples, seed)
        source = source or f"{samples} random samples"
    found = []
    for said, name in zip(losses, names, strict=True):
        squared = name == "squared-error"
        concerned = squared or name == names[0]
        loss, used = make_loss(said, activation if concerned else None, problem, half and squared)
        targets = targets_for(loss, used, y, problem)
        found.append(
            Study(problem, said, loss, used, x, targets.values, targets.convention, source or f"{len(x)} samples")
        )
    return tuple(found)


def read_columns(path: str | Path, x: str = "x", y: str = "y") -> tuple[Tensor, Tensor]:
    """Returns two columns of a CSV or npz file, each (samples,) in float64."""
    samples = read_table(path, target=y, features=[x], task="real")
    if samples.targets is None or len(samples) == 0:
        raise DataError(f"{path} has no rows: a surface needs one or more.")
    return samples.features[:, 0].double(), samples.targets.double()


def guess_problem(loss: str, y: Tensor | None) -> str:
    """Returns the problem of a loss: binary for a loss of labels, and for squared error on labels 0 and 1."""
    if loss in ("absolute-error", "huber"):
        return "linear"
    if loss != "squared-error":
        return "binary"
    return "binary" if y is not None and bool(((y == 0) | (y == 1)).all()) else "linear"


def make_loss(name: str, activation: str | None, problem: str, half: bool = False) -> tuple[Loss, str]:
    """Returns a loss by its name, and the activation applied to the score.

    In a binary problem squared error takes the sigmoid of the score by default. Cross-entropy includes its sigmoid. The
    losses for labels ±1 and the robust ones take the score itself.
    """
    said, name = name, resolve(name, LOSSES, "loss")
    problem = resolve(problem, PROBLEMS, "problem")
    if activation is not None:
        activation = resolve(activation, THROUGH, "activation")
    if name == "squared-error":
        chosen = activation or ("sigmoid" if problem == "binary" else "identity")
        return SquaredError(half=half, through=activations.named(chosen)), chosen
    own = OWN.get(name, "identity")
    if activation not in (None, own):
        raise ConfigError(
            f"The loss {said} is defined on {'the score of a sigmoid' if own == 'sigmoid' else 'the score itself'}, "
            f"activation {own}; not {activation}. Only the squared error takes others."
        )
    return loss_table.named(name), own


def random_data(problem: str, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns x and y, (samples,): x standard normal; y = 2x + 1 + ε (linear), or P(y = 1) = σ(2x − 1) (binary)."""
    problem = resolve(problem, PROBLEMS, "problem")
    if samples < 1:
        raise ConfigError(f"Random data needs 1 sample or more; got {samples}.")
    source = generator(seed)
    x = torch.randn(samples, dtype=torch.float64, generator=source)
    if problem == "linear":
        return x, 2 * x + 1 + torch.randn(samples, dtype=torch.float64, generator=source)
    return x, (torch.rand(samples, dtype=torch.float64, generator=source) < torch.sigmoid(2 * x - 1)).double()


@dataclass(frozen=True)
class Targets:
    """Targets in a loss's convention, and the convention's name."""

    values: Tensor
    convention: str


def targets_for(loss: Loss, activation: str, y: Tensor, problem: str) -> Targets:
    """Returns the labels of a binary problem in the loss's convention: 0 and 1, or −1 and +1 (as for tanh).

    The conversion is explicit, 2y − 1 or (y + 1)/2, and reported.
    """
    if problem == "linear":
        return Targets(y, "real")
    bits = bool(((y == 0) | (y == 1)).all())
    signs = bool(((y == -1) | (y == 1)).all())
    if not (bits or signs):
        if loss.labels == "signs" or bool(((y < 0) | (y > 1)).any()):
            odd = float(y[~((y == 0) | (y == 1))][0])
            raise DataError(
                f"A binary problem has labels 0 and 1, or -1 and 1; got {odd:g}. "
                f"For a real target use the problem linear."
            )
        return Targets(y, "probabilities")  # cross-entropy and squared error take them
    if loss.labels == "signs" or activation == "tanh":
        return Targets(y if signs else 2 * y - 1, "-1, +1")
    return Targets((y + 1) / 2 if signs and not bits else y, "0, 1")
