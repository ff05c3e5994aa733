"""One training step: scores, loss, gradient, update; by hand, and by torch's autograd and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..losses import Loss
from ..models import Model
from ..penalties import Penalty, add_penalty, constrain
from ..updates import Rule

MakeOptimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Stepper:
    """Takes the steps of a run. A subclass needs `step`; the loop calls `steps`, with a block of batches at a time."""

    block = 1  # the largest number of batches that `steps` takes at once

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
        """Takes one step on one batch. Returns the objective (loss and penalty) before the update, as a tensor."""
        raise NotImplementedError

    def steps(self, features: Tensor, targets: Tensor, rates: Sequence[Any]) -> Tensor:
        """Takes one step on each batch in turn.

        Parameters
        ----------
        features, targets : (steps, samples, features) and (steps, samples); for a stack whose runs have different
            batches (steps, runs, samples, …)
        rates : one for each step

        Returns
        -------
        The objective before each step, (steps, *runs). Read it after `write_back`.
        """
        if len(rates) == 1:  # without the copy
            return self.step(features[0], targets[0], rates[0]).unsqueeze(0)
        return torch.stack([self.step(x, y, rate) for x, y, rate in zip(features, targets, rates, strict=True)])

    def write_back(self) -> None:
        """Completes the model's parameters and the objectives. Call it before reading either."""


class ByHand(Stepper):
    """The step with our derivatives, in four verbs: scores, loss, gradient, update. `by="hand"` runs it."""

    def __init__(self, model: Model, loss: Loss, penalty: Penalty | None, rule: Rule) -> None:
        self.model, self.loss, self.penalty, self.rule = model, loss, penalty, rule

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
        parameters = dict(self.model.named_parameters())
        scores = self.model(features)
        value = self.loss(scores, targets, validate=False)
        upstream = self.loss.gradient(scores, targets, validate=False)
        gradients = self.model.gradients(features, upstream)
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
            add_penalty(gradients, self.penalty, parameters)
        self.rule.step(parameters, gradients, rate)
        constrain(self.penalty, parameters, rate)
        return value


class ByAutograd(Stepper):
    """The same step by `torch.autograd` and `torch.optim`, to check the one by hand.

    Parameters
    ----------
    optimiser : makes torch's optimiser from the parameters (default: the rule's `twin`). Each step sets its "lr".
    """

    def __init__(
        self, model: Model, loss: Loss, penalty: Penalty | None, rule: Rule, optimiser: MakeOptimiser | None = None
    ) -> None:
        self.model, self.loss, self.penalty = model, loss, penalty
        parameters = model.parameters()
        self.optimiser = rule.twin(parameters, rate=1.0) if optimiser is None else optimiser(parameters)

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
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
