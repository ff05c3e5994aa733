"""Cross-validation and grid search: settings are chosen on data held out from training, never on the test part.

def trial(train, validation, rate, strength):            # trains on one part, returns the score on the other
    model = SoftmaxClassifier(train.features.shape[1], 10)
    descend(model, CrossEntropy(), train, rate=rate, penalty=L2(strength), epochs=20)
    return float(model.score(validation.features, validation.targets))

search = grid_search(trial, samples, {"rate": [0.01, 0.1], "strength": [0.0, 1e-3]}, folds=5, seed=0)
print(search)                                            # a table; the chosen row is marked
search.best                                              # {"rate": 0.1, "strength": 1e-3}
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import errors
from .neighbours import NearestNeighbours
from .results import Record, Table
from .runtime.devices import generator


def folds(samples: Any, count: int = 5, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Returns `count` pairs (rest, part) of row indices. Each sample is in one part; part sizes differ by at most one.

    Where the targets are classes, each part has its share of every class: the samples of a class are shuffled and
    assigned to the parts in turn, one class after the other. The same seed gives the same folds on every device.
    """
    total = len(samples)
    if not 2 <= count <= total:
        raise errors.ConfigError(f"{total} samples can be split into 2 to {total} folds; got {count}.")
    order = torch.randperm(total, generator=generator(seed, int.from_bytes(b"folds", "big")))
    targets = getattr(samples, "targets", None)
    if targets is not None and not targets.dtype.is_floating_point:
        order = order[targets.cpu()[order].argsort(stable=True)]
    part = torch.empty(total, dtype=torch.long)
    part[order] = torch.arange(total) % count
    return [((part != k).nonzero().flatten(), (part == k).nonzero().flatten()) for k in range(count)]


@dataclass(frozen=True)
class Trial:
    """One row of a search: the settings, the score of each fold, their mean and standard deviation."""

    settings: dict[str, Any]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0


@dataclass(frozen=True, repr=False)
class Search(Record):
    """All trials, in the order of the grid. The first one with the largest mean score is chosen."""

    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> int:
        return max(range(len(self.trials)), key=lambda i: -math.inf if math.isnan(self.means[i]) else self.means[i])

    @property
    def means(self) -> list[float]:
        return [trial.mean for trial in self.trials]

    @property
    def best(self) -> dict[str, Any]:
        """The chosen settings."""
        return self.trials[self.chosen].settings

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each trial, for JSON."""
        return [
            {**trial.settings, "mean": trial.mean, "spread": trial.spread, "chosen": i == self.chosen}
            for i, trial in enumerate(self.trials)
        ]

    def table(self) -> Table:
        """Returns one row for each trial: its settings, the mean and spread of its scores; the chosen one is marked."""
        rows = [
            [*trial.settings.values(), trial.mean, trial.spread, "← chosen" if i == self.chosen else ""]
            for i, trial in enumerate(self.trials)
        ]
        return Table([*self.trials[0].settings, "mean", "spread", ""], rows, formats={"mean": ".4f", "spread": ".4f"})


def cross_validate(trial: Callable[..., float], samples: Any, count: int = 5, seed: int = 0, **settings: Any) -> Trial:
    """Runs trial(rest, part, **settings) for every fold. Compare settings on the same folds: with the same seed."""
    scores = [float(trial(samples[rest], samples[part], **settings)) for rest, part in folds(samples, count, seed)]
    return Trial(settings, tuple(scores))


def grid_search(
    trial: Callable[..., float],
    samples: Any,
    grid: Mapping[str, Sequence[Any]],
    folds: int = 5,
    validation: Any = None,
    seed: int = 0,
) -> Search:
    """Tries every combination of the grid's values, by cross-validation, or on a validation part if one is given.

    Parameters
    ----------
    trial : trial(train, validation, **settings) trains on the first and returns a score on the second, larger is better
    samples : the training part, with `samples[indices]`; grid : the values of each setting; the last setting changes
    fastest folds, seed : the same folds for every combination
    """
    if not grid or not all(len(values) for values in grid.values()):
        raise errors.ConfigError("The grid is empty. Give at least one value for each setting.")
    trials = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        if validation is not None:
            trials.append(Trial(settings, (float(trial(samples, validation, **settings)),)))
        else:
            trials.append(cross_validate(trial, samples, folds, seed, **settings))
    return Search(tuple(trials))


def choose_k(
    samples: Any,
    ks: Sequence[int],
    metric: str = "l2",
    count: int = 5,
    seed: int = 0,
    validation: Any = None,
    weights: str = "uniform",
) -> Search:
    """Chooses k, the number of voting neighbours. Each fold is searched once, with the largest k, for all k.

    Where `samples` have weights, votes and scores count them.
    """
    if not ks or min(ks) < 1:
        raise errors.ConfigError(f"k must be 1 or more; got {list(ks)}.")
    if validation is not None:
        parts = [(samples, validation)]
    else:
        parts = [(samples[rest], samples[part]) for rest, part in folds(samples, count, seed)]
    scores: dict[int, list[float]] = {k: [] for k in ks}
    for train, part in parts:
        own, held = (getattr(samples, "sample_weight", None) for samples in (train, part))
        model = NearestNeighbours(max(ks), metric, weights=weights).fit(train.features, train.targets, own)
        distances, indices = model.neighbours(part.features)
        for k in ks:
            right = (model.decide(distances[:, :k], indices[:, :k]) == part.targets).double()
            counts = torch.ones_like(right) if held is None else held
            scores[k].append(float((counts * right).sum() / counts.sum()))
    return Search(tuple(Trial({"k": k}, tuple(scores[k])) for k in ks))
