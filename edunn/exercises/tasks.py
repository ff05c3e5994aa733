"""What a hand-in can be: a task names the arguments, draws them, and knows the value that is asked for.

The value stands in the template, for the student to read; the gradient is theirs to derive. The same value in torch is
the third witness (autograd), and tells a hand-in that computes something else from one that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import activations, losses, penalties
from ..runtime.devices import generator

# pairwise different, and none of them a product of the others: a factor N, C, C − 1 or N/D is told from 2 and from ½
SAMPLES, CLASSES, FEATURES = 7, 5, 3
STRENGTH, BETA, SLOPE, DELTA, KEEP, EPSILON = 0.7, 0.4, 0.1, 0.8, 0.6, 1e-5


@dataclass(frozen=True)
class Task:
    """One kind of hand-in.

    kind : "loss", "activation", "penalty", "layer" or "objective"
    arguments : in the order of the hand-in's signature
    wanted : the arguments in which a gradient is asked for
    value : the reference, in torch, of the arguments by name; a scalar, or the output of a layer or activation
    formula, gradient : lines of the docstring: what the value is, and in what the gradient is wanted
    code : the body of the template's value or forward, in numpy
    made_of : the package's own object: a loss, activation or penalty
    """

    name: str
    kind: str
    arguments: tuple[str, ...]
    wanted: tuple[str, ...]
    value: Callable[..., Tensor]
    formula: str
    code: str
    made_of: Any = None
    penalty: Any = None

    @property
    def forward(self) -> bool:
        """Whether it is written as forward and backward: its output is no scalar, and a gradient comes from above."""
        return self.kind in ("activation", "layer")

    def draw(self, seed: int) -> dict[str, Any]:
        """The arguments, by name: float64 tensors, class indices, or numbers."""
        drawn = {name: DRAWN[name](self, generator(seed, k)) for k, name in enumerate(self.arguments)}
        if self.kind == "loss" and self.made_of.labels == "signs":
            # a sample beyond the margin, one inside it and one on the wrong side: every branch is walked
            drawn["scores"][:3] = drawn["targets"][:3] * torch.tensor([1.8, 0.4, -0.7], dtype=torch.float64)
        return drawn


def normal(*shape: int) -> Callable[[Task, torch.Generator], Tensor]:
    return lambda task, source: torch.randn(*shape, dtype=torch.float64, generator=source)


def scores(task: Task, source: torch.Generator) -> Tensor:
    wide = task.kind == "activation" or getattr(task.made_of, "class_axis", False)
    shape = (SAMPLES, CLASSES) if wide else (SAMPLES,)
    return 1.5 * torch.randn(*shape, dtype=torch.float64, generator=source)


def targets(task: Task, source: torch.Generator) -> Tensor:
    labels = task.made_of.labels
    if labels == "real":
        return torch.randn(SAMPLES, dtype=torch.float64, generator=source)
    if labels == "classes":
        every = torch.cat([torch.arange(CLASSES), torch.randint(CLASSES, (SAMPLES - CLASSES,), generator=source)])
        return every[torch.randperm(SAMPLES, generator=source)]
    bits = torch.randint(2, (SAMPLES,), generator=source)
    bits[0], bits[1] = 0, 1
    return (bits if labels == "bits" else 2 * bits - 1).double()


def weight(task: Task, source: torch.Generator) -> Tensor:
    shape = (FEATURES,) if task.kind == "objective" and not task.made_of.class_axis else (CLASSES, FEATURES)
    return torch.randn(*shape, dtype=torch.float64, generator=source)


def bias(task: Task, source: torch.Generator) -> Tensor:
    shape = () if task.kind == "objective" and not task.made_of.class_axis else (CLASSES,)
    return torch.randn(shape, dtype=torch.float64, generator=source)


DRAWN: dict[str, Callable[[Task, torch.Generator], Any]] = {
    "scores": scores,
    "targets": targets,
    "features": normal(SAMPLES, FEATURES),
    "weight": weight,
    "bias": bias,
    "scale": normal(FEATURES),
    "shift": normal(FEATURES),
    "strength": lambda task, source: STRENGTH,
    "keep": lambda task, source: KEEP,
    "seed": lambda task, source: int(torch.randint(2**31, (1,), generator=source)),
}


def loss_task(name: str, loss: losses.Loss, formula: str, code: str) -> Task:
    return Task(name, "loss", ("scores", "targets"), ("scores",), loss, formula, code, loss)


def activation_task(name: str, activation: activations.Activation, formula: str, code: str) -> Task:
    return Task(name, "activation", ("scores",), ("scores",), activation, formula, code, activation)


def penalty_task(name: str, penalty: penalties.Penalty, formula: str, code: str) -> Task:
    def value(weight: Tensor, strength: float) -> Tensor:
        return penalty(weight) * (strength / STRENGTH)

    return Task(name, "penalty", ("weight", "strength"), ("weight",), value, formula, code, penalty=penalty)


def objective_task(name: str, loss: losses.Loss, formula: str, code: str) -> Task:
    def value(weight: Tensor, bias: Tensor, features: Tensor, targets: Tensor, strength: float) -> Tensor:
        return loss(features @ weight.mT + bias if weight.ndim == 2 else features @ weight + bias, targets) + (
            strength * (weight**2).sum()
        )

    arguments = ("weight", "bias", "features", "targets", "strength")
    return Task(
        name, "objective", arguments, ("weight", "bias"), value, formula, code, loss, penalties.L2(STRENGTH)
    )  # fmt: skip


def linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return features @ weight.mT + bias


def batch_norm(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    centred = features - features.mean(0)
    return scale * centred / torch.sqrt((centred**2).mean(0) + EPSILON) + shift


def dropout(features: Tensor, keep: float, seed: int) -> Tensor:
    import numpy as np

    mask = np.random.default_rng(seed).random(tuple(features.shape)) < keep
    return features * torch.from_numpy(mask).to(features.dtype) / keep


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        loss_task("squared-error", losses.SquaredError(), "L = 1/N Σ_i (s_i − y_i)²",
                  "return np.mean((scores - targets) ** 2)"),
        loss_task("absolute-error", losses.AbsoluteError(), "L = 1/N Σ_i |s_i − y_i|",
                  "return np.mean(np.abs(scores - targets))"),
        loss_task("huber", losses.Huber(DELTA),
                  f"L = 1/N Σ_i ½ r_i² for |r_i| ≤ δ, else δ(|r_i| − ½δ), with r = s − y and δ = {DELTA}",
                  f"r = np.abs(scores - targets)\nd = {DELTA}\n"
                  "return np.mean(np.where(r <= d, 0.5 * r**2, d * (r - 0.5 * d)))"),
        loss_task("binary-cross-entropy", losses.BinaryCrossEntropy(),
                  "L = 1/N Σ_i log(1 + e^{s_i}) − y_i s_i, labels 0 and 1",
                  "return np.mean(np.logaddexp(0, scores) - targets * scores)"),
        loss_task("logistic", losses.Logistic(), "L = 1/N Σ_i log(1 + e^{−y_i s_i}), labels −1 and +1",
                  "return np.mean(np.logaddexp(0, -targets * scores))"),
        loss_task("hinge", losses.Hinge(), "L = 1/N Σ_i max(0, 1 − y_i s_i), labels −1 and +1",
                  "return np.mean(np.maximum(0, 1 - targets * scores))"),
        loss_task("squared-hinge", losses.Hinge(power=2), "L = 1/N Σ_i max(0, 1 − y_i s_i)², labels −1 and +1",
                  "return np.mean(np.maximum(0, 1 - targets * scores) ** 2)"),
        loss_task("cross-entropy", losses.CrossEntropy(),
                  "L = −1/N Σ_i log p_{i,y_i} with p = softmax(s) along each row",
                  "shifted = scores - scores.max(axis=1, keepdims=True)\n"
                  "log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))\n"
                  "return -np.mean(log_p[np.arange(len(targets)), targets])"),
        loss_task("multiclass-hinge", losses.MulticlassHinge(),
                  "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1)",
                  "rows = np.arange(len(targets))\n"
                  "margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)\n"
                  "margins[rows, targets] = 0\nreturn margins.sum() / len(targets)"),
        loss_task("squared-multiclass-hinge", losses.MulticlassHinge(power=2),
                  "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1)²",
                  "rows = np.arange(len(targets))\n"
                  "margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)\n"
                  "margins[rows, targets] = 0\nreturn (margins**2).sum() / len(targets)"),
        activation_task("sigmoid", activations.Sigmoid(), "f(z) = 1 / (1 + e^−z)", "return 1 / (1 + np.exp(-scores))"),
        activation_task("tanh", activations.Tanh(), "f(z) = tanh(z)", "return np.tanh(scores)"),
        activation_task("relu", activations.ReLU(), "f(z) = max(0, z)", "return np.maximum(0, scores)"),
        activation_task("leaky-relu", activations.LeakyReLU(SLOPE), f"f(z) = z for z > 0, else {SLOPE} z",
                        f"return np.where(scores > 0, scores, {SLOPE} * scores)"),
        activation_task("softmax", activations.Softmax(), "p_j = e^{z_j} / Σ_k e^{z_k} along each row",
                        "e = np.exp(scores - scores.max(axis=1, keepdims=True))\n"
                        "return e / e.sum(axis=1, keepdims=True)"),
        penalty_task("l2", penalties.L2(STRENGTH), "R = λ Σ w²", "return strength * np.sum(weight**2)"),
        penalty_task("l2-half", penalties.L2(STRENGTH, half=True), "R = ½ λ Σ w²",
                     "return 0.5 * strength * np.sum(weight**2)"),
        penalty_task("l1", penalties.L1(STRENGTH), "R = λ Σ |w|", "return strength * np.sum(np.abs(weight))"),
        penalty_task("elastic-net", penalties.ElasticNet(STRENGTH, beta=BETA),
                     f"R = λ Σ (β w² + |w|), β = {BETA}",
                     f"return strength * np.sum({BETA} * weight**2 + np.abs(weight))"),
        Task("linear", "layer", ("features", "weight", "bias"), ("features", "weight", "bias"), linear,
             "s = x Wᵀ + b; x (samples, features), W (outputs, features), b (outputs,)",
             "return features @ weight.T + bias"),
        Task("dropout", "layer", ("features", "keep", "seed"), ("features",), dropout,
             "each entry is kept with probability `keep` and divided by it, else 0; the mask comes from the seed",
             "self.mask = np.random.default_rng(seed).random(features.shape) < keep\n"
             "return features * self.mask / keep"),
        Task("batch-norm", "layer", ("features", "scale", "shift"), ("features", "scale", "shift"), batch_norm,
             f"y = γ (x − μ)/√(σ² + {EPSILON:g}) + β; μ and σ² the mean and variance of each column (γ scale, β shift)",
             "centred = features - features.mean(axis=0)\n"
             f"return scale * centred / np.sqrt((centred**2).mean(axis=0) + {EPSILON:g}) + shift"),
        objective_task("linear-regression", losses.SquaredError(),
                       "L = 1/N Σ_i (w·x_i + b − y_i)² + λ Σ w²; w (features,), b a number, not penalised",
                       "scores = features @ weight + bias\n"
                       "return np.mean((scores - targets) ** 2) + strength * np.sum(weight**2)"),
        objective_task("logistic-regression", losses.BinaryCrossEntropy(),
                       "L = 1/N Σ_i log(1 + e^{s_i}) − y_i s_i + λ Σ w², with s_i = w·x_i + b; labels 0 and 1",
                       "scores = features @ weight + bias\n"
                       "data = np.mean(np.logaddexp(0, scores) - targets * scores)\n"
                       "return data + strength * np.sum(weight**2)"),
        objective_task("softmax-classifier", losses.CrossEntropy(),
                       "L = −1/N Σ_i log p_{i,y_i} + λ Σ W², with p = softmax(x Wᵀ + b); W (classes, features)",
                       "scores = features @ weight.T + bias\n"
                       "shifted = scores - scores.max(axis=1, keepdims=True)\n"
                       "log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))\n"
                       "return -np.mean(log_p[np.arange(len(targets)), targets]) + strength * np.sum(weight**2)"),
        objective_task("multiclass-svm", losses.MulticlassHinge(),
                       "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1) + λ Σ W², with s = x Wᵀ + b",
                       "scores = features @ weight.T + bias\nrows = np.arange(len(targets))\n"
                       "margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)\n"
                       "margins[rows, targets] = 0\n"
                       "return margins.sum() / len(targets) + strength * np.sum(weight**2)"),
    )
}  # fmt: skip


def differentiable(arguments: Mapping[str, Any], task: Task) -> dict[str, Tensor]:
    """The arguments in which a gradient is wanted."""
    return {name: arguments[name] for name in task.wanted}
