"""Cross-validation and grid search: choices made on data that was not trained on, and never on the test part.

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
from .runtime.devices import generator


def folds(samples: Any, count: int = 5, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """`count` pairs (rest, part) of row indices: each sample is in exactly one part, and parts differ by one at most.

    Where the targets are classes every part has its share of each: the samples of a class are shuffled and dealt out
    like cards, one class after the other. The same seed gives the same folds on every device.
    """
    total = len(samples)
    if not 2 <= count <= total:
        raise errors.ConfigError(f"Expected from 2 folds to as many as there are samples, {total}; got {count}.")
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


@dataclass(frozen=True)
class Search:
    """All trials in the order of the grid. The largest mean is chosen; of equal ones the first; nan never is."""

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
        """One dictionary a trial, for JSON."""
        return [
            {**trial.settings, "mean": trial.mean, "spread": trial.spread, "chosen": i == self.chosen}
            for i, trial in enumerate(self.trials)
        ]

    def __str__(self) -> str:
        names = list(self.trials[0].settings)
        cells = [[*names, "mean", "spread", ""]]
        for i, trial in enumerate(self.trials):
            mark = "← chosen" if i == self.chosen else ""
            values = [f"{v:g}" if isinstance(v, float) else str(v) for v in trial.settings.values()]
            cells.append([*values, f"{trial.mean:.4f}", f"{trial.spread:.4f}", mark])
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]
        return "\n".join(
            "  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in cells
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in (*self.trials[0].settings, "mean", "spread"))
        body = ""
        for i, trial in enumerate(self.trials):
            values = "".join(f"<td>{v}</td>" for v in trial.settings.values())
            style = ' style="font-weight: bold"' if i == self.chosen else ""
            body += f"<tr{style}>{values}<td>{trial.mean:.4f}</td><td>{trial.spread:.4f}</td></tr>"
        return f"<table><tr>{head}</tr>{body}</table>"


def cross_validate(trial: Callable[..., float], samples: Any, count: int = 5, seed: int = 0, **settings: Any) -> Trial:
    """trial(rest, part, **settings) for every fold; all settings that are compared should have the same folds."""
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
    """Every combination of the grid's values, by cross-validation, or on a validation part if one is given.

    Parameters
    ----------
    trial : trial(train, validation, **settings) trains on the first and returns a score on the second, larger is better
    samples : the training part, with `samples[indices]`; grid : the values of each setting, the last runs fastest
    folds, seed : the same folds for every combination
    """
    if not grid or not all(len(values) for values in grid.values()):
        raise errors.ConfigError("Expected at least one value for each setting of the grid; got none.")
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
    """Finds how many neighbours should vote. They are searched once a fold, for the largest k; the rest is counting."""
    if not ks or min(ks) < 1:
        raise errors.ConfigError(f"Expected values of k of 1 or more; got {list(ks)}.")
    if validation is not None:
        parts = [(samples, validation)]
    else:
        parts = [(samples[rest], samples[part]) for rest, part in folds(samples, count, seed)]
    scores: dict[int, list[float]] = {k: [] for k in ks}
    for train, part in parts:
        model = NearestNeighbours(max(ks), metric, weights=weights).fit(train.features, train.targets)
        distances, indices = model.neighbours(part.features)
        for k in ks:
            right = model.decide(distances[:, :k], indices[:, :k]) == part.targets
            scores[k].append(float(right.double().mean()))
    return Search(tuple(Trial({"k": k}, tuple(scores[k])) for k in ks))
