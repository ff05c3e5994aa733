"""Plain descent with few outputs on many features, on a CPU of several cores: the least that a step can be.

Such a step is three passes over the batch: it is gathered, and read by two products. What is left to save lies between
them. The weight stays in blocks of features, so that each core finds its part where it left it and the product that
makes the gradient also takes the step; and the objectives, which nobody reads before the epoch's end, are computed for
many steps at once, from the scores that were met.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layers import Linear
from ...losses import Loss
from ...penalties import L2, Penalty
from ...updates import GradientDescent, Rule
from .products import BLOCKS, Products, columns, scale_
from .step import FastStep, pointwise_upstream

TOGETHER = 64  # steps whose objectives are computed at once


class Thin(FastStep):
    """One step on one batch: `FastStep` for `GradientDescent` and no penalty but L2.

    The model's weight is stale, and the objectives that were handed out are empty, until `settle`.
    """

    def __init__(self, model: Linear, loss: Loss, penalty: Penalty | None, rule: Rule) -> None:
        super().__init__(model, loss, penalty, rule)
        self.outputs = self.weight.shape[0]
        self.parameters["weight"] = self.blocks = columns(self.weight).contiguous()
        self.settled = True
        self.noted: list[tuple[Tensor, Tensor, Tensor | None]] = []  # scores, targets and penalty of each step
        self.handed: Tensor  # their objectives

    @staticmethod
    def applies(model: Linear, penalty: Penalty | None, rule: Rule) -> bool:
        """Whether W has the shape for it, and each number of it is stepped by itself."""
        alone = type(rule) is GradientDescent and (penalty is None or type(penalty) is L2)
        return alone and Products(model.weight.detach()).thin

    def step(self, features: Tensor, targets: Tensor, rate: float) -> Tensor:  # type: ignore[override]  # of one run
        """Takes the step; the objective before it, to be filled in."""
        if self.settled:
            self.blocks.copy_(columns(self.weight))
            self.settled = False
        samples = features.shape[0]
        x = columns(features)
        scores = torch.bmm(self.blocks, x.mT).sum(0)
        if self.bias is not None:
            scores.add_(self.bias.unsqueeze(-1))
        value = self.note(scores, targets)
        upstream = pointwise_upstream(self.loss, self.as_given(scores), targets)
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

    def as_given(self, scores: Tensor) -> Tensor:
        """(…, outputs, samples) as the loss has them."""
        return scores.squeeze(-2) if self.one_output else scores.mT

    def note(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Keeps what the objective is made of, and hands out the place where it will stand."""
        if self.noted and (len(self.noted) == TOGETHER or self.noted[0][0].shape != scores.shape):
            self.fill_in()
        if not self.noted:
            self.handed = scores.new_empty(TOGETHER)
        paid = None if self.penalty is None else self.penalty_value(self.penalty)
        self.noted.append((scores, targets, paid))
        return self.handed[len(self.noted) - 1]

    def fill_in(self) -> None:
        """The objectives of the steps that were noted."""
        scores, targets, paid = zip(*self.noted, strict=True)
        values = self.loss(self.as_given(torch.stack(scores)), torch.stack(targets), validate=False)
        if self.penalty is not None:
            values += torch.stack(paid)
        self.handed[: len(values)] = values
        self.noted = []

    @torch.no_grad()
    def settle(self) -> None:
        """Fills in the objectives, and writes the weight into the model's own; the next step starts from that."""
        if self.noted:
            self.fill_in()
        if not self.settled:
            columns(self.weight).copy_(self.blocks)
            self.settled = True
