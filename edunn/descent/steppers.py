"""One step: scores, loss, gradient, update; by hand, and by torch's own autograd and optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..losses import Loss
from ..penalties import Penalty, add_penalty, constrain
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
    """The four verbs with our derivatives. `reduce` combines the gradients of several processes."""

    model: Any
    loss: Loss
    penalty: Penalty | None
    rule: Rule
    reduce: Callable[[Gradients], Gradients] = field(default=lambda gradients: gradients)

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float) -> Tensor:
        parameters = dict(self.model.named_parameters())
        scores = self.model(features)
        value = self.loss(scores, targets, validate=False)
        upstream = self.loss.gradient(scores, targets, validate=False)
        gradients = self.reduce(self.model.gradients(features, upstream))
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
            add_penalty(gradients, self.penalty, parameters)
        self.rule.step(parameters, gradients, rate)
        constrain(self.penalty, parameters, rate)
        return value


@dataclass
class ByAutograd(Stepper):
    """The same step by `torch.autograd` and `torch.optim`: what the hand-written one is checked against."""

    model: Any
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
