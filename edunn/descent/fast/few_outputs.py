"""Plain descent with few outputs on many features, on a CPU of several cores.

Such a step reads the batch three times: to gather it, and for two products. The weight
is stored in blocks of features, so that each core has its part in its cache, and the product that computes the gradient
also updates the weight. The objectives are needed only at the epoch's end, so they are computed for many steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...layers import Linear
from ...losses import Loss
from ...penalties import L2, Penalty
from ...updates import GradientDescent, Rule
from .products import BLOCKS, Products, columns, scale_
from .step import FastStep, pointwise_upstream

TOGETHER = 64  # steps whose objectives are computed at once


class FewOutputsStep(FastStep):
    """`FastStep` for `GradientDescent` and no penalty but L2, without weights and clipping.

    Until `write_back`, the model's weight is out of date and the returned objectives are empty.
    """

    def __init__(self, model: Linear, loss: Loss, penalty: Penalty | None, rule: Rule) -> None:
        super().__init__(model, loss, penalty, rule)
        self.outputs = self.weight.shape[0]
        self.parameters["weight"] = self.blocks = columns(self.weight).contiguous()
        self.written = True  # whether the model's weight is up to date
        self.noted: list[tuple[Tensor, Tensor, Tensor | None]] = []  # scores, targets and penalty of each step
        self.values: Tensor  # their objectives

    @staticmethod
    def applies(model: Linear, penalty: Penalty | None, rule: Rule) -> bool:
        """Returns whether W has few rows and many columns, and rule and penalty are plain descent and L2."""
        alone = type(rule) is GradientDescent and (penalty is None or type(penalty) is L2)
        return alone and Products(model.weight.detach()).thin

    def step(  # type: ignore[override]  # of one run, without weights
        self, features: Tensor, targets: Tensor, rate: float, weights: None = None
    ) -> Tensor:
        """Takes the step. Returns the objective before it, which `write_back` fills in."""
        if self.written:
            self.blocks.copy_(columns(self.weight))
            self.written = False
        samples = features.shape[0]
        x = columns(features)
        scores = torch.bmm(self.blocks, x.mT).sum(0)
        if self.bias is not None:
            scores.add_(self.bias.unsqueeze(-1))
        value = self.note(scores, targets)
        upstream = pointwise_upstream(self.loss, self.to_loss_layout(scores), targets)
        upstream = upstream.unsqueeze(0) if self.one_output else upstream.mT
        self.rule.steps += 1
        mean = -rate / samples
        each = upstream.expand(BLOCKS, self.outputs, samples)
        shrink = 1 - rate * float(self.decay("weight"))
        self.blocks.baddbmm_(each, x, beta=shrink, alpha=mean)  # the gradient, and the step
        if self.bias is not None:
            scale_(self.bias, 1 - rate * float(self.decay("bias")))
            self.bias.add_(upstream.sum(-1), alpha=mean)
        return value

    def steps(  # type: ignore[override]
        self, features: Tensor, targets: Tensor, rates: Sequence[float], weights: None = None
    ) -> Tensor:
        if len(rates) == 1:
            return super().steps(features, targets, rates)  # a view, which `write_back` fills in
        values = [self.step(x, y, rate) for x, y, rate in zip(features, targets, rates, strict=True)]
        self.write_back()
        return torch.stack(values)

    def to_loss_layout(self, scores: Tensor) -> Tensor:
        """Returns scores of shape (…, outputs, samples) in the loss's layout, (…, samples[, outputs])."""
        return scores.squeeze(-2) if self.one_output else scores.mT

    def note(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Keeps scores and targets for later, and returns the tensor that will hold the objective."""
        if self.noted and (len(self.noted) == TOGETHER or self.noted[0][0].shape != scores.shape):
            self.fill_in()
        if not self.noted:
            self.values = scores.new_empty(TOGETHER)
        penalty = None if self.penalty is None else self.penalty_value(self.penalty)
        self.noted.append((scores, targets, penalty))
        return self.values[len(self.noted) - 1]

    def fill_in(self) -> None:
        """Computes the objectives of the steps in `noted`."""
        scores, targets, penalties = zip(*self.noted, strict=True)
        values = self.loss(self.to_loss_layout(torch.stack(scores)), torch.stack(targets), validate=False)
        if self.penalty is not None:
            values += torch.stack(penalties)
        self.values[: len(values)] = values
        self.noted = []

    @torch.no_grad()
    def write_back(self) -> None:
        """Computes the objectives, and copies the weight into the model."""
        if self.noted:
            self.fill_in()
        if not self.written:
            columns(self.weight).copy_(self.blocks)
            self.written = True
