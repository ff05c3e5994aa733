"""The options of a run, checked when they are created, and its batches."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .. import errors
from ..data import Samples
from ..losses import Loss
from ..models import LinearModel, Model, as_model
from ..penalties import Penalty
from ..runtime.devices import permutation
from ..updates import Clipping, Constant, GradientDescent, Rule, Schedule
from .batches import check_batch, draw, whole
from .checks import check_options, check_part, leave_out
from .fast import PRECISIONS, is_linear


@dataclass
class Options:
    """The options of `descend`, which documents them."""

    model: Model  # any torch module; `__post_init__` makes it a `Model`
    loss: Loss
    train: Samples
    rate: float
    batch_size: int | None = None
    epochs: int | None = None
    steps: int | None = None
    penalty: Penalty | None = None
    rule: Rule = field(default_factory=GradientDescent)
    schedule: Schedule = field(default_factory=Constant)
    validation: Samples | None = None
    tolerance: float | None = None
    patience: int | None = None
    evaluate: int = 1
    snapshots: int | None = None
    seed: int = 0
    precision: str = "full"
    clip_norm: float | None = None
    clip_value: float | None = None
    checked: bool = False  # whether another run has checked these samples already

    def __post_init__(self) -> None:
        check_options(self)
        clipped = self.clip_norm is not None or self.clip_value is not None
        self.clipping = Clipping(self.clip_norm, self.clip_value) if clipped else None
        self.model = as_model(self.model, self.loss, self.train.targets)
        # all samples are checked here, once, so that no step of the loop waits for a check
        for part in (self.train, self.validation):
            if part is not None and not self.checked:
                check_part(self.model, self.loss, part)
        self.train = leave_out(self.loss, self.train)
        self.validation = None if self.validation is None else leave_out(self.loss, self.validation)
        weighted = self.train.sample_weight is not None
        if self.precision != "full" and (clipped or weighted):
            raise errors.ConfigError(
                f"Precision {self.precision!r} is for runs without weights and clipping. Leave it out."
            )
        if self.precision != "full":
            model = self.model
            if not isinstance(model, LinearModel) or not is_linear(model):
                kind = type(model).__name__
                raise errors.ConfigError(f"Precision {self.precision!r} needs a linear model; got a {kind}.")
            PRECISIONS[self.precision](model.weight)  # raises for a device or dtype without such products
        samples = len(self.train)
        self.batch = samples if self.batch_size is None else min(self.batch_size, samples)
        check_batch(self.train, self.batch)
        self.steps_per_epoch = -(-samples // self.batch)
        if self.epochs is None:
            self.epochs = 100 if self.steps is None else -(-self.steps // self.steps_per_epoch)

    def batches(self, epoch: int) -> Generator[tuple[Tensor, ...], None, None]:
        """Yields the batches of an epoch, counted from 0: the samples in a new order; a full batch in their own.

        Each is (features, targets), or (features, targets, weights) if the samples have weights.
        """
        if self.batch == len(self.train):
            yield whole(self.train)
            return
        order = permutation(len(self.train), self.seed, epoch).to(self.train.features.device)
        yield from draw(self.train, order.split(self.batch))

    def masses(self, epoch: int) -> list[float]:
        """Returns the weight of each batch of an epoch in a mean: the number of its samples, or their Σ w."""
        weights = self.train.sample_weight
        if weights is None:
            return [self.size(index) for index in range(self.steps_per_epoch)]
        if self.batch == len(self.train):
            return [float(weights.sum())]
        order = permutation(len(self.train), self.seed, epoch).to(weights.device)
        return torch.stack([some.sum() for some in weights[order].split(self.batch)]).tolist()

    def size(self, index: int) -> int:
        """Returns the number of samples of batch `index` of an epoch; the last may be smaller."""
        return min(self.batch, len(self.train) - index * self.batch)

    def rate_at(self, epoch: float, factor: float = 1.0) -> float:
        """Returns the step size after so many epochs, whole or fractional."""
        return self.rate * self.schedule(epoch, self.epochs or 1) * factor
