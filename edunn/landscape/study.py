"""The lecture's study: a problem, a loss and an activation by name, on random data or on two columns of a file.

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

from ..activations import ACTIVATIONS
from ..data import read_table
from ..errors import ConfigError, DataError, nearest
from ..losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Hinge,
    Huber,
    Logistic,
    Loss,
    Perceptron,
    SquaredError,
    ZeroOne,
)
from ..runtime.devices import generator
from .build import grid
from .surface import Surface

PROBLEMS = ("linear", "binary")
LOSSES = ("mse", "bce", "logistic", "hinge", "squared-hinge", "perceptron", "zero-one", "absolute", "huber")
THROUGH = ("identity", "sigmoid", "tanh")

OWN = {"bce": "sigmoid", "logistic": "sigmoid"}  # losses that hold their activation already


@dataclass(frozen=True, eq=False)
class Study:
    """One feature x, its targets, and a loss, ready for a surface.

    name : the loss's lecture name
    activation : what the score goes through
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
        through = f" through {self.activation}" if self.name == "mse" and self.activation != "identity" else ""
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
    losses : names among `LOSSES`
    x, y : (samples,); None draws random data that fit the problem
    problem : "linear" or "binary"; None goes by the first loss, and for mse by the labels
    activation : of the first loss, and of squared error
    half : squared error with the factor 1/2
    samples, seed : of random data
    source : the data's name in titles
    """
    for name in losses:
        check_known("loss", name, LOSSES)
    if len(set(losses)) < len(losses):
        raise ConfigError(f"The losses are compared with one another, and {losses[-1]} stands twice. Name another one.")
    if half and "mse" not in losses:
        raise ConfigError(f"The factor 1/2 (half) is for the loss mse; {losses[0]} has none.")
    problem = problem or guess_problem(losses[0], y)
    check_known("problem", problem, PROBLEMS)
    if x is None or y is None:
        x, y = random_data(problem, samples, seed)
        source = source or f"{samples} random samples"
    found = []
    for name in losses:
        concerned = name in (losses[0], "mse")
        loss, used = make_loss(name, activation if concerned else None, problem, half and name == "mse")
        targets = targets_for(loss, used, y, problem)
        found.append(
            Study(problem, name, loss, used, x, targets.values, targets.convention, source or f"{len(x)} samples")
        )
    return tuple(found)


def read_columns(path: str | Path, x: str = "x", y: str = "y") -> tuple[Tensor, Tensor]:
    """Returns two columns of a CSV or npz file, each (samples,) in float64."""
    samples = read_table(path, target=y, features=[x], task="real")
    if samples.targets is None or len(samples) == 0:
        raise DataError(f"{path} has no rows: a surface needs one or more.")
    return samples.features[:, 0].double(), samples.targets.double()


def guess_problem(loss: str, y: Tensor | None) -> str:
    """Returns the problem that fits a loss: binary for a loss of labels, and for mse on labels 0 and 1."""
    if loss in ("absolute", "huber"):
        return "linear"
    if loss != "mse":
        return "binary"
    return "binary" if y is not None and bool(((y == 0) | (y == 1)).all()) else "linear"


def make_loss(name: str, activation: str | None, problem: str, half: bool = False) -> tuple[Loss, str]:
    """Returns a loss by its lecture name, and the activation that the score goes through.

    Squared error of a binary problem goes through a sigmoid by default. Cross-entropy holds its sigmoid already. The
    losses for labels ±1 and the robust ones take the score itself.
    """
    check_known("loss", name, LOSSES)
    check_known("problem", problem, PROBLEMS)
    if activation is not None:
        check_known("activation", activation, THROUGH)
    if name == "mse":
        chosen = activation or ("sigmoid" if problem == "binary" else "identity")
        return SquaredError(half=half, through=ACTIVATIONS[chosen]()), chosen
    own = OWN.get(name, "identity")
    if activation not in (None, own):
        raise ConfigError(
            f"The loss {name} is defined on {'the score of a sigmoid' if own == 'sigmoid' else 'the score itself'}, "
            f"activation {own}; got activation {activation}. Only mse takes others."
        )
    losses: dict[str, Loss] = {
        "bce": BinaryCrossEntropy(),
        "logistic": Logistic(),
        "hinge": Hinge(),
        "squared-hinge": Hinge(power=2),
        "perceptron": Perceptron(),
        "zero-one": ZeroOne(),
        "absolute": AbsoluteError(),
        "huber": Huber(),
    }
    return losses[name], own


def check_known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Raises ConfigError for a name that is not among the names."""
    if name not in names:
        raise ConfigError(f"Unknown {what} {name!r}. {nearest(name, names)}")


def random_data(problem: str, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns x and y, (samples,): x standard normal; y = 2x + 1 + ε (linear), or P(y = 1) = σ(2x − 1) (binary)."""
    check_known("problem", problem, PROBLEMS)
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
