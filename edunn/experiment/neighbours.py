"""Nearest neighbours instead of a trained model, with the same configs, folders and predictions.

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

import torch
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
    """The run of nearest neighbours, in place of a `Descent`: `go` chooses k."""

    epochs = 0
    batch = 0

    def __init__(self, options: Mapping[str, Any], train: Samples, validation: Samples | None, seed: int) -> None:
        self.ks, self.metric, self.folds, self.weights = options_of(options)
        if train.targets is None or train.classes is None:
            raise ConfigError(
                "Nearest neighbours predict classes, but the target is a real number. Choose another model."
            )
        if train.is_multilabel:
            raise ConfigError("Nearest neighbours vote on one class a sample; there are several targets.")
        if max(self.ks) > len(train):
            raise ConfigError(f"model.k is at most {len(train)}, the number of training samples; got {max(self.ks)}.")
        self.train, self.validation, self.seed = train, validation, seed
        classes = len(train.classes)
        self.model = Voters(
            self.ks[0], self.metric, train.features, train.targets, classes, self.weights, train.sample_weight
        )
        self.rule = GradientDescent()

    def go(
        self, by: str = "fast", progress: Progress | None = None, after_epoch: Callable[[Progress], None] | None = None
    ) -> History:
        """Chooses k. The history has a row for each k instead of an epoch."""
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
        raise ConfigError(f"model.k must be whole numbers of 1 or more; got {k!r}.")
    for key, value, known in (("metric", metric, METRICS), ("weights", weights, WEIGHTS)):
        if value not in known:
            raise ConfigError(f"Unknown model.{key} {value!r}. {nearest(str(value), known)}")
    if type(folds) is not int or folds < 2:
        raise ConfigError(f"model.folds must be 2 or more; got {folds!r}.")
    return ks, metric, folds, weights


def restore(
    kind: Kind, tensors: Mapping[str, Tensor], width: int, classes: tuple[str, ...] | None, dtype: torch.dtype
) -> Voters:
    """Returns the model from a run's tensors. Raises RunError if they do not fit the run."""
    _, metric, _, weights = options_of(kind.options)
    known = {name: tensors[name] for name in ("features", "targets", "chosen") if name in tensors}
    weight = tensors.get("sample_weight")
    if len(known) < 3 or len(known) + (weight is not None) < len(tensors):
        raise RunError(f"Nearest neighbours are kept as features, targets and chosen; the file has {sorted(tensors)}.")
    samples, targets, chosen = known.values()
    fits = [
        (samples.dtype, samples.shape[1:]) == (dtype, (width,)),
        (targets.dtype, targets.shape) == (torch.int64, samples.shape[:1]),
        (chosen.dtype, chosen.shape) == (torch.int64, ()),
        weight is None or (weight.dtype, weight.shape) == (dtype, samples.shape[:1]),
    ]
    if not all(fits) or not 1 <= int(chosen) <= len(samples):
        raise RunError(f"The model's file does not hold k of the training samples, each of {width} {dtype} numbers.")
    count = len(classes or ())
    if int(targets.min()) < 0 or int(targets.max()) >= count:
        raise RunError(f"The model's file has targets outside the {count} classes of the run.")
    return Voters(int(chosen), metric, samples, targets, count, weights, weight)
