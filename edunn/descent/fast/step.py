"""One training step for linear models with few allocations: the numbers of `ByHand`, faster.

The readable step is `descent.ByHand`, and this one is tested against it. Here the loss and its derivative share their
intermediate results, and where the rule is plain descent or momentum and the penalty none or L2, the gradient is never
stored: one product adds it, scaled by the rate, to the weights.

A stack of runs has one weight matrix, (runs · outputs, features): two products serve all of its runs.

Inside, scores are transposed, (*runs, outputs, samples): W xᵀ and not x Wᵀ. In torch's layout the product takes 1.5
times as long and a softmax over the last of ten classes 5 times, and here the gradient is U x without a transpose.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layers import Linear
from ...losses import CrossEntropy, Loss, MulticlassHinge
from ...penalties import L2, Penalty, add_penalty, constrain
from ...runtime.broadcasting import along_runs
from ...updates import Clipping, GradientDescent, Momentum, Rule
from ..steppers import Stepper
from .precisions import PRECISIONS
from .products import scale_


class FastStep(Stepper):
    """One training step on one batch, for scores x Wᵀ + b.

    Parameters
    ----------
    model : linear, with weight (*runs, outputs, features), at most one axis of runs; its parameters change in place
    loss : for a stack, what differs from run to run (a margin) has the shape that broadcasts with its scores
    penalty : for a stack, with a strength of shape `runs`, or one number for all
    rule : of the update
    precision : of the products; see `precisions`
    clipping : of the gradient, for each run by itself

    Shapes of a step
    ----------------
    features : (samples, features), or (runs, samples, features) where each run has a batch of its own
    rate : a number, or of shape `runs`
    """

    def __init__(
        self,
        model: Linear,
        loss: Loss,
        penalty: Penalty | None,
        rule: Rule,
        precision: str = "full",
        clipping: Clipping | None = None,
    ) -> None:
        self.loss, self.penalty, self.rule, self.clipping = loss, penalty, rule, clipping
        self.parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self.weight, self.bias = self.parameters["weight"], self.parameters.get("bias")
        self.runs = self.weight.shape[:-2]
        self.one_output = bool(getattr(model, "one_output", False))
        self.products = PRECISIONS[precision](self.weight)
        # for these the product includes rate and decay; every other rule, and clipping, gets the gradient
        plain = type(rule) in (GradientDescent, Momentum) and (penalty is None or type(penalty) is L2)
        self.folds = plain and clipping is None
        self.penalised = () if penalty is None else tuple(penalty.penalised(self.parameters))

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        """Takes the step. Returns the objective before it, of shape `runs`."""
        if weights is not None and not weights.any():
            return weights.new_zeros(self.runs)
        value, upstream = self.value_and_upstream(self.scores(features), targets, weights)
        if self.penalty is not None:
            value = value + self.penalty_value(self.penalty)
        if self.folds:
            self.rule.steps += 1
            for name, parameter in self.parameters.items():
                self.descend(name, parameter, features, upstream, rate)
        else:
            gradients = self.gradients(features, upstream)
            if self.penalty is not None:
                add_penalty(gradients, self.penalty, self.parameters)
            if self.clipping is not None:
                gradients = self.clipping.clip(gradients, len(self.runs))
            self.rule.step(self.parameters, gradients, rate)
            constrain(self.penalty, self.parameters, rate)
        return value

    def scores(self, features: Tensor) -> Tensor:
        """Returns W xᵀ + b, (*runs, outputs, samples), in memory that the next step overwrites."""
        scores = self.products.scores(self.weight, features)
        return scores if self.bias is None else scores.add_(self.bias.unsqueeze(-1))

    def value_and_upstream(
        self, scores: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the mean loss, of shape `runs`, and its gradient in the scores, of their shape."""
        if self.one_output:
            value, upstream = value_and_upstream(self.loss, scores.squeeze(-2), targets, weights)
            return value, upstream.unsqueeze(-2)
        value, upstream = value_and_upstream(self.loss, scores.mT, targets, weights)
        return value, upstream.mT

    def descend(self, name: str, parameter: Tensor, features: Tensor, upstream: Tensor, rate: float | Tensor) -> None:
        """Updates W ← (1 − rate · 2λ) W − rate · U x, or with momentum V ← μ V + U x + 2λ W, W ← W − rate · V."""
        decay = self.decay(name)
        if type(self.rule) is Momentum:
            state = self.rule.state.setdefault(name, {})
            if "velocity" not in state:
                state["velocity"] = torch.zeros_like(parameter)
            velocity = state["velocity"]
            self.accumulate(velocity, name, features, upstream, self.rule.momentum)
            add_scaled(velocity, parameter, decay)
            add_scaled(parameter, velocity, -1 * rate)
        else:
            shrink = 1.0 if isinstance(decay, float) and decay == 0 else 1 - rate * decay
            if isinstance(shrink, Tensor):  # a factor of each run: one pass over the weights of its own
                parameter *= along_runs(shrink, parameter)
                shrink = 1.0
            alpha = 1.0
            if isinstance(rate, Tensor):
                upstream = upstream * along_runs(-rate, upstream)
            else:
                alpha = -rate
            self.accumulate(parameter, name, features, upstream, shrink, alpha)

    def accumulate(
        self, into: Tensor, name: str, features: Tensor, upstream: Tensor, beta: float, alpha: float = 1.0
    ) -> None:
        """Adds into ← beta · into + alpha · gradient, with the gradient U x of a weight, or Σ_i u_i of a bias."""
        if name == "weight":
            self.products.add_gradient(into, upstream, features, beta, alpha)
        else:
            scale_(into, beta)
            into.add_(upstream.sum(-1), alpha=alpha)

    def decay(self, name: str) -> float | Tensor:
        """Returns 2λ of an L2 penalty, or λ with half; 0 if the parameter is not penalised. Read at every step."""
        if not isinstance(self.penalty, L2) or name not in self.penalised:
            return 0.0
        return 2 * self.penalty.factor * self.penalty.strength

    def penalty_value(self, penalty: Penalty) -> Tensor:
        """Returns the penalty, of shape `runs`; an L2 norm without storing the squares of the weights."""
        if type(penalty) is not L2:
            return penalty.value(self.parameters)
        parts = [self.parameters[name] for name in self.penalised]
        if self.runs:
            squares = [torch.linalg.vector_norm(part.flatten(1), dim=-1).square_() for part in parts]
        else:
            squares = [torch.dot(part.view(-1), part.view(-1)) for part in parts]
        return sum(squares[1:], squares[0]) * (penalty.strength * penalty.factor)

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns the gradients, in memory that the next step overwrites."""
        gradients = {name: self.products.buffer(-1, *parameter.shape) for name, parameter in self.parameters.items()}
        for name, gradient in gradients.items():
            self.accumulate(gradient, name, features, upstream, 0.0)
        return gradients


def add_scaled(into: Tensor, what: Tensor, factor: float | Tensor) -> None:
    """Adds a multiple: into ← into + factor · what, with a factor for all or one for each run."""
    if isinstance(factor, Tensor):
        into.addcmul_(what, torch.as_tensor(along_runs(factor, what)))
    elif factor:
        into.add_(what, alpha=factor)


def value_and_upstream(
    loss: Loss, scores: Tensor, targets: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the mean loss, of shape `runs`, and its gradient in the scores: `loss` and `loss.gradient` in one pass.

    Cross-entropy and the multiclass hinge are written out, for their value and gradient share the larger part. Both
    work on the transposed scores, the classes as rows. With weights the functions of the loss are called.
    """
    if weights is not None:
        return loss(scores, targets, weights, validate=False), loss.gradient(scores, targets, weights, validate=False)
    if is_softmax(loss, targets):
        rows = scores.mT
        true = targets.expand(*rows.shape[:-2], rows.shape[-1]).unsqueeze(-2)
        share = 1.0 / rows.shape[-1]
        value = torch.log_softmax(rows, -2).gather(-2, true).sum((-2, -1)).mul_(-share)  # faster than torch's mean
        return value, softmax_less_one(rows, true).mul_(share).mT
    if type(loss) is MulticlassHinge and not loss.include_true:
        rows = scores.mT
        true = targets.expand(*rows.shape[:-2], rows.shape[-1]).unsqueeze(-2)
        margin = loss.margin.mT if isinstance(loss.margin, Tensor) else loss.margin
        short = (rows - rows.gather(-2, true)).add_(margin).clamp_(min=0)
        short.scatter_(-2, true, 0.0)
        share = 1.0 / loss.divisor(scores)
        if loss.power == 1:
            value = short.sum(-2).mean(-1) * share
            upstream = (short > 0).to(scores.dtype).mul_(share / rows.shape[-1])
        else:
            value = short.square().sum(-2).mean(-1) * share
            upstream = short.mul_(2 * share / rows.shape[-1])
        return value, upstream.scatter_(-2, true, -upstream.sum(-2, keepdim=True)).mT
    samples = scores.shape[scores.ndim - 1 - loss.class_axis]
    return loss.pointwise(scores, targets).mean(-1), loss.pointwise_gradient(scores, targets) / samples


def pointwise_upstream(loss: Loss, scores: Tensor, targets: Tensor) -> Tensor:
    """Returns `loss.pointwise_gradient`, by a faster formula for cross-entropy."""
    if is_softmax(loss, targets):
        return softmax_less_one(scores.mT, targets.unsqueeze(-2)).mT
    return loss.pointwise_gradient(scores, targets)


def is_softmax(loss: Loss, targets: Tensor) -> bool:
    """Returns whether the loss is cross-entropy of class indices without label smoothing."""
    return type(loss) is CrossEntropy and loss.label_smoothing == 0 and not targets.dtype.is_floating_point


def softmax_less_one(rows: Tensor, true: Tensor) -> Tensor:
    """Returns p − 1_y, the classes as rows. torch's softmax is faster than exp of its logarithm."""
    p = torch.softmax(rows, -2)
    return p.scatter_add_(-2, true, p.new_full((), -1.0).expand(true.shape))
