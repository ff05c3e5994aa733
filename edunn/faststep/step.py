"""The four verbs of a step again, for linear models, with no allocation that can be spared: the same numbers, sooner.

The readable step is `descent.ByHand`, and this one is tested against it. Here the loss and its derivative share their
intermediate results, and where the rule is plain descent or momentum and the penalty none or L2, the gradient is never
written down: one product adds it, scaled by the rate, to the weights.

A stack of runs has one weight matrix, (runs · outputs, features): two products serve all of its runs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..broadcasting import along_runs
from ..layers import Linear
from ..losses import CrossEntropy, Loss, MulticlassHinge
from ..penalties import L2, Penalty, add_penalty, constrain
from ..updates import GradientDescent, Momentum, Rule

BLOCKS = 8  # of features


class FastStep:
    """One step on one batch, for a model whose scores are x Wᵀ + b.

    Parameters
    ----------
    model : linear, with weight (*runs, outputs, features), at most one axis of runs; its parameters change in place
    loss : for a stack, what differs from run to run (a margin) has the shape that broadcasts with its scores
    penalty : for a stack, with a strength of shape `runs`, or one number for all
    rule : of the update

    Shapes of a step
    ----------------
    features : (samples, features), or (runs, samples, features) where each run has a batch of its own
    rate : a number, or of shape `runs`
    """

    def __init__(self, model: Linear, loss: Loss, penalty: Penalty | None, rule: Rule) -> None:
        self.loss, self.penalty, self.rule = loss, penalty, rule
        self.parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self.weight, self.bias = self.parameters["weight"], self.parameters.get("bias")
        self.runs = self.weight.shape[:-2]
        self.outputs = self.weight.shape[-2]
        self.squeezed = bool(getattr(model, "one_output", False))
        # rate and decay are folded into the product for these; every other rule is given the gradient
        self.folds = type(rule) in (GradientDescent, Momentum) and (penalty is None or type(penalty) is L2)
        self.buffers: dict[tuple[int, ...], Tensor] = {}

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
        """Takes the step; the objective before it, of shape `runs`."""
        scores = self.scores(features)
        value, upstream = value_and_upstream(self.loss, scores, targets)
        if self.penalty is not None:
            value = value + self.penalty_value(self.penalty)
        if self.squeezed:
            upstream = upstream.unsqueeze(-1)
        if self.folds:
            self.rule.steps += 1
            for name, parameter in self.parameters.items():
                self.descend(name, parameter, features, upstream, rate)
        else:
            gradients = self.gradients(features, upstream)
            if self.penalty is not None:
                add_penalty(gradients, self.penalty, self.parameters)
            self.rule.step(self.parameters, gradients, rate)
            constrain(self.penalty, self.parameters, rate)
        return value

    def scores(self, features: Tensor) -> Tensor:
        """x Wᵀ + b, (*runs, samples, outputs), in a buffer; (*runs, samples) for a one-output model."""
        samples = features.shape[-2]
        if features.ndim == 3:
            scores = torch.bmm(features, self.weight.mT, out=self.buffer(*self.runs, samples, self.outputs))
            if self.bias is not None:
                scores += self.bias.unsqueeze(-2)
        else:
            weight = flat(self.weight)
            out = self.buffer(samples, len(weight))
            if self.bias is None:
                torch.mm(features, weight.t(), out=out)
            else:
                torch.addmm(self.bias.flatten(), features, weight.t(), out=out)
            scores = out.view(samples, *self.runs, self.outputs).movedim(0, -2)
        return scores.squeeze(-1) if self.squeezed else scores

    def descend(self, name: str, parameter: Tensor, features: Tensor, upstream: Tensor, rate: float | Tensor) -> None:
        """W ← (1 − rate · 2λ) W − rate · Uᵀ x, or with momentum V ← μ V + Uᵀ x + 2λ W, W ← W − rate · V."""
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
        """into ← beta · into + alpha · gradient, with the gradient Uᵀ x of a weight, or Σ_i u_i of a bias."""
        if name == "bias":
            gradient = upstream.sum(-2)
        elif features.ndim == 3:
            into.baddbmm_(upstream.mT, features, beta=beta, alpha=alpha)
            return
        elif self.in_blocks(features):
            outputs, samples = self.outputs, len(features)
            gradient = self.buffer(BLOCKS, outputs, features.shape[1] // BLOCKS)
            batches = features.view(samples, BLOCKS, -1).transpose(0, 1)
            torch.bmm(upstream.mT.expand(BLOCKS, outputs, samples), batches, out=gradient)
            into = into.view(outputs, BLOCKS, -1).transpose(0, 1)
        else:
            rows = upstream.mT.reshape(-1, upstream.shape[-2])
            flat(into).addmm_(rows, features, beta=beta, alpha=alpha)
            return
        if beta != 1:
            into.mul_(beta) if beta else into.zero_()
        into.add_(gradient, alpha=alpha)

    def in_blocks(self, features: Tensor) -> bool:
        """Whether Uᵀ x is taken in blocks of features: with few outputs one product of all keeps one core busy."""
        samples, width = features.shape
        thin = not self.runs and self.outputs <= 32 and samples >= 16 and width >= 128 * BLOCKS
        shared = features.device.type == "cpu" and torch.get_num_threads() > 1
        return thin and shared and width % BLOCKS == 0 and features.is_contiguous()

    def decay(self, name: str) -> float | Tensor:
        """2λ of an L2 penalty, or λ with half; 0 where the parameter is not penalised. Read anew at every step."""
        if not isinstance(self.penalty, L2) or name not in self.penalty.penalised({name: self.parameters[name]}):
            return 0.0
        return 2 * self.penalty.factor * self.penalty.strength

    def penalty_value(self, penalty: Penalty) -> Tensor:
        """The penalty, of shape `runs`; an L2 norm in one reading of the weights, without their squares in memory."""
        if type(penalty) is not L2:
            return penalty.value(self.parameters)
        parts = penalty.penalised(self.parameters).values()
        norms = [torch.linalg.vector_norm(p.flatten(len(self.runs)), dim=-1).square_() for p in parts]
        return penalty.strength * penalty.factor * torch.stack(norms).sum(0)

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """The gradients in buffers, written over by the next step."""
        gradients = {name: self.buffer(-1, *parameter.shape) for name, parameter in self.parameters.items()}
        for name, gradient in gradients.items():
            self.accumulate(gradient, name, features, upstream, 0.0)
        return gradients

    def buffer(self, *key: int) -> Tensor:
        """Memory that is used again: a large output that is allocated anew costs half the speed of its product."""
        if key not in self.buffers:
            self.buffers[key] = self.weight.new_empty([size for size in key if size >= 0])
        return self.buffers[key]


def flat(weight: Tensor) -> Tensor:
    """(*runs, outputs, features) as one matrix, (runs · outputs, features)."""
    return weight.view(-1, weight.shape[-1])


def add_scaled(into: Tensor, what: Tensor, factor: float | Tensor) -> None:
    """into ← into + factor · what, with a factor for all or one for each run."""
    if isinstance(factor, Tensor):
        into.addcmul_(what, torch.as_tensor(along_runs(factor, what)))
    elif factor:
        into.add_(what, alpha=factor)


def value_and_upstream(loss: Loss, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss, of shape `runs`, and its gradient in the scores: `loss` and `loss.gradient` in one pass.

    Cross-entropy and the multiclass hinge are written out, for their value and gradient share the larger part.
    """
    samples = scores.shape[scores.ndim - 1 - loss.event]
    indices = loss.event == 1 and not targets.dtype.is_floating_point
    if indices and type(loss) is CrossEntropy and loss.label_smoothing == 0:
        true = targets.expand(scores.shape[:-1]).unsqueeze(-1)
        log_p = torch.log_softmax(scores, -1)
        value = log_p.gather(-1, true).squeeze(-1).mean(-1).neg_()
        upstream = log_p.exp_()
        upstream.scatter_add_(-1, true, upstream.new_full((), -1.0).expand(true.shape))
        return value, upstream.div_(samples)
    if indices and type(loss) is MulticlassHinge and not loss.include_true:
        true = targets.expand(scores.shape[:-1]).unsqueeze(-1)
        short = (scores - scores.gather(-1, true)).add_(loss.margin).clamp_(min=0)
        short.scatter_(-1, true, 0.0)
        share = 1.0 / loss.divisor(scores)
        if loss.power == 1:
            value = short.sum(-1).mean(-1) * share
            upstream = (short > 0).to(scores.dtype).mul_(share / samples)
        else:
            value = short.square().sum(-1).mean(-1) * share
            upstream = short.mul_(2 * share / samples)
        return value, upstream.scatter_(-1, true, -upstream.sum(-1, keepdim=True))
    return loss.pointwise(scores, targets).mean(-1), loss.pointwise_gradient(scores, targets) / samples
