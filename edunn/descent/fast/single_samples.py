"""Single-sample descent in blocks: many steps for the cost of a few products, with the same numbers.

Step i needs its sample's scores after the steps before it. Those steps only added multiples of their samples to the
weights, so with the block's first weights W₀ and u_j the upstream of step j

    scores_i = a_i W₀ x_i + Σ_{j < i} c_ij (x_j · x_i) u_j,    u_i = ∂ℓ/∂scores_i

where a and c follow from the rates and the rule alone (plain descent without decay: a_i = 1, c_ij = −rate_j). All the
products x_j · x_i are one small matrix. u is on both sides: the equation is iterated until u no longer changes. The
value for step i is right as soon as those before it are, so this takes at most as many rounds as the block has steps,
and four or five where a step changes little. The result is that of the loop, not an approximation of it: the two
differ as two orders of summation do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...layers import Linear
from ...losses import Loss
from ...penalties import L2, Penalty
from ...updates import GradientDescent, Momentum, Nesterov, Rule
from ..steppers import Stepper
from .step import FastStep, pointwise_upstream

BLOCK = 32  # more steps share more of a product, but their (x_j · x_i) grow with the square


class SingleSampleSteps(Stepper):
    """Steps on one sample each, in blocks. For one run of a linear model, on a CPU, without weights."""

    block = BLOCK

    def __init__(self, model: Linear, loss: Loss, penalty: Penalty | None, rule: Rule) -> None:
        self.loss, self.penalty, self.rule = loss, penalty, rule
        self.one_by_one = FastStep(model, loss, penalty, rule)
        self.parameters = self.one_by_one.parameters
        self.one_output = self.one_by_one.one_output
        self.known: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    @staticmethod
    def applies(model: Linear, penalty: Penalty | None, rule: Rule) -> bool:
        """Returns whether the weights stay linear in the samples under this rule and penalty."""
        linear = type(rule) in (GradientDescent, Momentum, Nesterov) and (penalty is None or type(penalty) is L2)
        return linear and model.weight.ndim == 2 and model.weight.device.type == "cpu"

    @torch.no_grad()
    def steps(  # type: ignore[override]
        self, features: Tensor, targets: Tensor, rates: Sequence[float], weights: None = None
    ) -> Tensor:
        """Takes one step on each sample in turn. Returns the objective before each, (steps,)."""
        features, targets = features.squeeze(1), targets.squeeze(1)
        parts = self.parts(features, rates)
        scores = torch.stack([part.start_scores() for part in parts]).sum(0)
        effect = torch.stack([part.path * part.gram for part in parts]).sum(0)
        upstream = self.upstream(scores, targets)
        for _ in rates:
            found = torch.addmm(scores, effect, upstream)
            before, upstream = upstream, self.upstream(found, targets)
            if torch.equal(before, upstream):
                break
        losses = self.loss.pointwise(found.squeeze(-1) if self.one_output else found, targets)
        if self.penalty is not None:
            for part in parts:
                if part.decay:
                    losses = losses + part.decay / 2 * part.squared_norms(upstream)
        if not bool(losses.isfinite().all()):
            # 0 · inf is nan, and a later step must not change an earlier one: one after another, then
            each = zip(features.split(1), targets.split(1), rates, strict=True)
            return torch.stack([self.one_by_one.step(x, y, rate) for x, y, rate in each])
        self.rule.steps += len(rates)
        for part in parts:
            part.update(upstream)
        return losses

    def upstream(self, scores: Tensor, targets: Tensor) -> Tensor:
        """∂ℓ/∂scores of each sample by itself, (samples, outputs)."""
        if self.one_output:
            return pointwise_upstream(self.loss, scores.squeeze(-1), targets).unsqueeze(-1)
        return pointwise_upstream(self.loss, scores, targets)

    def parts(self, features: Tensor, rates: Sequence[float]) -> list[Part]:
        """Returns the weight, with gradient u xᵀ, and the bias, with gradient u · 1, as `Part`s of a block."""
        parts = []
        for name, parameter in self.parameters.items():
            x = features if name == "weight" else features.new_ones(len(features), 1)
            matrix = parameter if name == "weight" else parameter.unsqueeze(-1)
            velocity = None
            if self.rule.buffers:
                state = self.rule.state.setdefault(name, {})
                velocity = state.setdefault("velocity", torch.zeros_like(parameter)).view_as(matrix)
            decay = float(self.one_by_one.decay(name))
            rows, ends = self.coefficients(rates, decay, features)
            parts.append(Part(x, matrix, velocity, decay, rows, ends))
        return parts

    def coefficients(self, rates: Sequence[float], decay: float, like: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `coefficients` as tensors, cached: with a constant rate every block has the same."""
        key = (tuple(rates), decay, getattr(self.rule, "momentum", 0.0))
        if key not in self.known:
            if len(self.known) >= 8:
                self.known.clear()
            rows, ends = coefficients(rates, decay, self.rule)
            self.known[key] = (torch.from_numpy(rows).to(like), torch.from_numpy(ends).to(like))
        return self.known[key]


@dataclass
class Part:
    """One parameter in a block. rows[i] has the coefficients of W after i steps, in W₀, V₀ and each u_j x_jᵀ."""

    features: Tensor
    matrix: Tensor  # W₀, (outputs, features); changed in place by `update`
    velocity: Tensor | None
    decay: float
    rows: Tensor  # (samples, 2 + samples): of W before each step
    ends: Tensor  # (2, 2 + samples): of W and V after the last

    def __post_init__(self) -> None:
        self.gram = self.features @ self.features.mT
        self.first = (self.matrix @ self.features.mT).mT  # the other way round takes 1.5 times as long
        self.drift = None if self.velocity is None else (self.velocity @ self.features.mT).mT
        self.path = self.rows[:, 2:]

    def start_scores(self) -> Tensor:
        """Returns the part of the scores that comes from W₀ and V₀, (samples, outputs)."""
        scores = self.rows[:, :1] * self.first
        return scores if self.drift is None else scores.addcmul_(self.rows[:, 1:2], self.drift)

    def squared_norms(self, upstream: Tensor) -> Tensor:
        """Returns ‖W‖² before each step, (samples,), from inner products of W₀, V₀ and the gradients."""
        a, b, path = self.rows[:, 0], self.rows[:, 1], self.path
        squares = a**2 * self.matrix.square().sum() + 2 * a * (path @ (self.first * upstream).sum(-1))
        squares += ((path @ (self.gram * (upstream @ upstream.mT))) * path).sum(-1)
        if self.velocity is not None and self.drift is not None:
            squares += 2 * a * b * (self.matrix * self.velocity).sum() + b**2 * self.velocity.square().sum()
            squares += 2 * b * (path @ (self.drift * upstream).sum(-1))
        return squares

    def update(self, upstream: Tensor) -> None:
        """Takes the block's steps, by one product each for W and V."""
        (a, b), (c, d) = self.ends[:, :2].tolist()
        added = self.ends[:, 2:].unsqueeze(-1) * upstream  # (2, samples, outputs)
        if self.velocity is None:
            self.matrix.addmm_(added[0].mT, self.features, beta=a)
            return
        before = self.matrix.clone()
        self.matrix.mul_(a).add_(self.velocity, alpha=b).addmm_(added[0].mT, self.features)
        self.velocity.mul_(d).add_(before, alpha=c).addmm_(added[1].mT, self.features)


def coefficients(rates: Sequence[float], decay: float, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coefficients of W before each step, and of W and V after the last, in W₀, V₀ and the gradients.

    The rule runs on rows of coefficients in place of weights: column 0 is the coefficient of W₀, 1 that of V₀, and
    2 + j that of u_j x_jᵀ. The L2 penalty adds `decay` · W to every gradient.
    """
    basis = np.eye(2 + len(rates))
    w, v, rows = basis[0], basis[1], []
    with np.errstate(over="ignore", invalid="ignore"):  # the losses show that the run diverged
        for step, rate in enumerate(rates):
            rows.append(w)
            direction = gradient = basis[2 + step] + decay * w
            if isinstance(rule, Momentum):
                direction = v = rule.momentum * v + gradient
                if isinstance(rule, Nesterov):
                    direction = gradient + rule.momentum * v
            w = w - rate * direction
    return np.stack(rows), np.stack([w, v])
