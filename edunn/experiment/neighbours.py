"""Nearest neighbours in the place of a trained model: the same configs, folders and predictions.

[model]
kind = "neighbours"
k = [1, 3, 5, 9, 15, 25]        # several: chosen on the validation part, or else by cross-validation
metric = "l2"                   # or "l1", "cosine"
weights = "uniform"             # or "distance": a vote counts 1/distance
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..data import Samples
from ..descent import Progress
from ..errors import ConfigError, RunError, nearest
from ..history import History
from ..neighbours import METRICS, WEIGHTS, Voters
from ..selection import choose_k
from ..updates import GradientDescent
from .config import NEIGHBOURS, Kind

KIND = NEIGHBOURS
OPTIONS = ("k", "metric", "folds", "weights")


class Choice:
    """What stands where `Descent` stands for a trained model: `go` chooses k, and that is all there is to do."""

    epochs = 0
    batch = 0

    def __init__(self, options: Mapping[str, Any], train: Samples, validation: Samples | None, seed: int) -> None:
        self.ks, self.metric, self.folds, self.weights = options_of(options)
        if train.targets is None or train.classes is None:
            raise ConfigError("Expected classes for nearest neighbours to vote on; the target is real.")
        if max(self.ks) > len(train):
            raise ConfigError(f"Expected model.k of at most {len(train)}, the training samples; got {max(self.ks)}.")
        self.train, self.validation, self.seed = train, validation, seed
        classes = len(train.classes)
        self.model = Voters(
            self.ks[0], self.metric, train.features, train.targets, classes, self.weights, train.sample_weight
        )
        self.rule = GradientDescent()

    def go(
        self, by: str = "fast", progress: Progress | None = None, after_epoch: Callable[[Progress], None] | None = None
    ) -> History:
        """One row for each k, in the place of epochs."""
        start = time.perf_counter()
        if len(self.ks) == 1:
            message = f"k = {self.model.k} was given"
            return History((), "finished", message, steps=0, seconds=time.perf_counter() - start)
        search = choose_k(self.train, self.ks, self.metric, self.folds, self.seed, self.validation, self.weights)
        self.model.choose(int(search.best["k"]))
        rows = tuple(
            {"epoch": i, "k": float(trial.settings["k"]), "validation_accuracy": trial.mean, "spread": trial.spread}
            for i, trial in enumerate(search.trials, 1)
        )
        message = f"k = {self.model.k} was chosen among {len(self.ks)}"
        return History(rows, "finished", message, steps=0, seconds=time.perf_counter() - start)


def options_of(given: Mapping[str, Any]) -> tuple[list[int], str, int, str]:
    """Returns k, one or several, the metric, the number of folds, and the weights of the votes."""
    for key in given:
        if key not in OPTIONS:
            raise ConfigError(f"Unknown config key model.{key} for {KIND!r}. {nearest(key, OPTIONS)}")
    k, metric, folds = given.get("k", 5), given.get("metric", "l2"), given.get("folds", 5)
    weights = given.get("weights", "uniform")
    ks = k if isinstance(k, list) else [k]
    if not ks or not all(type(k) is int and k >= 1 for k in ks):
        raise ConfigError(f"Expected model.k as whole numbers of 1 or more; got {k!r}.")
    for key, value, known in (("metric", metric, METRICS), ("weights", weights, WEIGHTS)):
        if value not in known:
            raise ConfigError(f"Unknown model.{key} {value!r}. {nearest(str(value), known)}")
    if type(folds) is not int or folds < 2:
        raise ConfigError(f"Expected model.folds of 2 or more; got {folds!r}.")
    return ks, metric, folds, weights


def restored(kind: Kind, tensors: Mapping[str, Tensor], classes: tuple[str, ...] | None) -> Voters:
    """The model of a run's folder."""
    try:
        _, metric, _, weights = options_of(kind.options)
        k, samples, targets = int(tensors["chosen"]), tensors["features"], tensors["targets"]
        return Voters(k, metric, samples, targets, len(classes or ()), weights, tensors.get("sample_weight"))
    except KeyError as error:
        raise RunError(
            f"Expected the training samples of nearest neighbours; the model's file lacks {error}."
        ) from None
