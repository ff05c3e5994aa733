"""One step: scores, loss, gradient, update; by hand, and by torch's own autograd and optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..losses import Loss
from ..models import Model
from ..penalties import Penalty, add_penalty, constrain
from ..runtime.crew import Crew
from ..updates import Rule

Gradients = dict[str, Tensor]


class Stepper(Protocol):
    """One step on one batch: returns the objective (loss and penalty) before the update, without waiting for it."""

    def step(self, features: Tensor, targets: Tensor, rate: float) -> Tensor: ...

    def settle(self) -> None:
        """Called before the model is looked at: a stepper may keep the parameters in a layout of its own till then."""
        return


@dataclass
class ByHand(Stepper):
    """The four verbs with our derivatives.

    With a `crew` the batch is shared by several processes: each has the mean over its own rows, weighted by its share
    of the batch, and these add up to the mean over the whole of it; so do the gradients, linear in it as they are.
    """

    model: Model
    loss: Loss
    penalty: Penalty | None
    rule: Rule
    crew: Crew | None = None

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float) -> Tensor:
        parameters = dict(self.model.named_parameters())
        scores = self.model(features)
        value = self.loss(scores, targets, validate=False)
        upstream = self.loss.gradient(scores, targets, validate=False)
        if self.crew is not None:
            value, upstream = weighted(value, self.crew.share), weighted(upstream, self.crew.share)
        gradients = self.model.gradients(features, upstream)
        if self.crew is not None:
            value, gradients = self.crew.reduce(value, gradients)
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
            add_penalty(gradients, self.penalty, parameters)
        self.rule.step(parameters, gradients, rate)
        constrain(self.penalty, parameters, rate)
        return value


@dataclass
class ByAutograd(Stepper):
    """The same step by `torch.autograd` and `torch.optim`: what the hand-written one is checked against."""

    model: Model
    loss: Loss
    penalty: Penalty | None
    rule: Rule

    def __post_init__(self) -> None:
        self.optimiser = self.rule.twin(self.model.parameters(), rate=1.0)

    def step(self, features: Tensor, targets: Tensor, rate: float) -> Tensor:
        parameters = dict(self.model.named_parameters())
        value = self.loss(self.model(features), targets, validate=False)
        followed = None if self.penalty is None else self.penalty.followed
        objective = value if followed is None else value + followed.value(parameters)
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
        self.optimiser.zero_grad()
        objective.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        constrain(self.penalty, parameters, rate)
        return value.detach()


def weighted(mean: Tensor, share: float) -> Tensor:
    """A mean over some of a batch's rows as its part of the mean over all; 0 for no rows, whose mean is nan."""
    return mean * share if share else torch.zeros_like(mean)
