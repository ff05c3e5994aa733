"""One training step: scores, loss, gradient, update; by hand, and by torch's autograd and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..losses import Loss
from ..models import Model
from ..penalties import Penalty, add_penalty, constrain
from ..updates import Clipping, Rule

MakeOptimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Stepper:
    """Takes the steps of a run. A subclass needs `step`; the loop calls `steps`, with a block of batches at a time."""

    block = 1  # the largest number of batches that `steps` takes at once

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        """Takes one step on one batch. Returns the objective (loss and penalty) before the update, as a tensor.

        A batch whose weights are all 0 has no mean: it takes no step and returns 0. To know this, steps with weights
        wait for a GPU.
        """
        raise NotImplementedError

    def steps(self, features: Tensor, targets: Tensor, rates: Sequence[Any], weights: Tensor | None = None) -> Tensor:
        """Takes one step on each batch in turn.

        Parameters
        ----------
        features, targets : (steps, samples, features) and (steps, samples); for a stack whose runs have different
            batches (steps, runs, samples, …)
        rates : one for each step
        weights : of the targets' shape, or None

        Returns
        -------
        The objective before each step, (steps, *runs). Read it after `write_back`.
        """
        if len(rates) == 1:  # without the copy
            return self.step(features[0], targets[0], rates[0], None if weights is None else weights[0]).unsqueeze(0)
        each = zip(features, targets, rates, [None] * len(rates) if weights is None else weights, strict=True)
        return torch.stack([self.step(x, y, rate, w) for x, y, rate, w in each])

    def write_back(self) -> None:
        """Completes the model's parameters and the objectives. Call it before reading either."""


class ByHand(Stepper):
    """The step with our derivatives, in four verbs: scores, loss, gradient, update. `by="hand"` runs it."""

    def __init__(
        self, model: Model, loss: Loss, penalty: Penalty | None, rule: Rule, clipping: Clipping | None = None
    ) -> None:
        self.model, self.loss, self.penalty, self.rule, self.clipping = model, loss, penalty, rule, clipping

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        if weights is not None and not weights.any():
            return weights.sum()
        parameters = dict(self.model.named_parameters())
        scores = self.model(features)
        value = self.loss(scores, targets, weights, validate=False)
        upstream = self.loss.gradient(scores, targets, weights, validate=False)
        gradients = self.model.gradients(features, upstream)
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
            add_penalty(gradients, self.penalty, parameters)
        if self.clipping is not None:
            gradients = self.clipping.clip(gradients)
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
        self,
        model: Model,
        loss: Loss,
        penalty: Penalty | None,
        rule: Rule,
        optimiser: MakeOptimiser | None = None,
        clipping: Clipping | None = None,
    ) -> None:
        self.model, self.loss, self.penalty, self.clipping = model, loss, penalty, clipping
        parameters = model.parameters()
        self.optimiser = rule.twin(parameters, rate=1.0) if optimiser is None else optimiser(parameters)

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        if weights is not None and not weights.any():
            return weights.sum()
        parameters = dict(self.model.named_parameters())
        value = self.loss(self.model(features), targets, weights, validate=False)
        followed = None if self.penalty is None else self.penalty.followed
        objective = value if followed is None else value + followed.value(parameters)
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
        self.optimiser.zero_grad()
        objective.backward()
        if self.clipping is not None:
            self.clipping.clip_in_place(self.model.parameters())
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        constrain(self.penalty, parameters, rate)
        return value.detach()
