"""Gradients as exercises: losses, activations, penalties, layers, and whole objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import activations, layers, losses, penalties
from ...losses import loops
from ..cut import Cut, cut_functions, cut_methods
from ..exercise import BETA, DELTA, EPSILON, SLOPE, STRENGTH, GradientExercise

LOSS = """
    def value(self, scores, targets):
        return {yours}(scores, targets)

    def gradient(self, scores, targets):
        return {yours}.gradient(scores, targets)
"""
ACTIVATION = """
    def forward(self, scores):
        self.scores = scores
        return {yours}(scores)

    def backward(self, upstream):
        return {yours}.input_gradient(self.scores, upstream)
"""
PENALTY = """
    def value(self, weight, strength):
        return {yours}(weight)

    def gradient(self, weight, strength):
        return {yours}.gradient(weight)
"""
LAYER = """
    def forward(self, {arguments}):
        self.features, self.layer = features, {yours}
{prepare}
        return self.layer(features).detach()

    def backward(self, upstream):
        below = self.layer.input_gradient(self.features, upstream)
        return {{"features": below, **self.layer.gradients(self.features, upstream)}}
"""
OBJECTIVE = """
    def value(self, weight, bias, features, targets, strength):
        scores = torch.inner(features, weight) + bias
        return {yours}(scores, targets) + _YourL2(strength)(weight)

    def gradient(self, weight, bias, features, targets, strength):
        scores = torch.inner(features, weight) + bias
        upstream = {yours}.gradient(scores, targets).reshape(len(targets), -1)
        found = _YourLinear(features.shape[1], bias.numel()).gradients(features, upstream)
        by_weight = found["weight"].reshape(weight.shape) + _YourL2(strength).gradient(weight)
        return {{"weight": by_weight, "bias": found["bias"].reshape(bias.shape)}}
"""
LOOPS = """
    def value(self, weight, bias, features, targets, strength):
        return MulticlassHinge()(features @ weight.mT + bias, targets) + strength * (weight**2).sum()

    def gradient(self, weight, bias, features, targets, strength):
        _, by_weight, by_bias = multiclass_hinge_by_loops(weight, bias, features, targets)
        return {"weight": by_weight + 2 * strength * weight, "bias": by_bias}
"""


def construct(cut: Cut, *arguments: str, **options: object) -> str:
    """Returns the call that constructs the student's class, as text."""
    return f"{cut.name}({', '.join([*arguments, *(f'{name}={value!r}' for name, value in options.items())])})"


def cut_loss(name: str, lesson: str, loss: Any, formula: str, *methods: str, **options: object) -> GradientExercise:
    cut = cut_methods(loss, *(methods or ("pointwise_gradient",)))
    own = loss(**options)
    return GradientExercise(
        name=name, lesson=lesson, formula=formula, kind="loss", arguments=("scores", "targets"), wanted=("scores",),
        asked="the derivative of each sample's loss in its own scores (the 1/N comes after)",
        reference=own, loss=own, cut=(cut,), adapter=LOSS.format(yours=construct(cut, **options)),
    )  # fmt: skip


def cut_activation(
    name: str, lesson: str, activation: Any, formula: str, method: str = "derivative", **options: object
) -> GradientExercise:
    cut = cut_methods(activation, method)
    own = activation(**options)
    return GradientExercise(
        name=name, lesson=lesson, formula=formula, kind="activation", arguments=("scores",), wanted=("scores",),
        asked="f'(z)" if method == "derivative" else "∂L/∂z from upstream = ∂L/∂p",
        reference=own, activation=own, cut=(cut,), adapter=ACTIVATION.format(yours=construct(cut, **options)),
    )  # fmt: skip


def cut_penalty(name: str, penalty: Any, formula: str, **options: object) -> GradientExercise:
    cut = cut_methods(penalty, "gradient")
    own = penalty(STRENGTH, **options)
    return GradientExercise(
        name=name, lesson="regularisers", formula=formula, kind="penalty", arguments=("weight", "strength"),
        wanted=("weight",), asked="the gradient in the weight",
        reference=lambda weight, strength: own(weight) * (strength / STRENGTH), penalty=own,
        cut=(cut,), adapter=PENALTY.format(yours=construct(cut, "strength", **options)),
    )  # fmt: skip


def cut_layer(
    name: str, lesson: str, layer: type, formula: str, asked: str, reference: Callable[..., Tensor],
    arguments: tuple[str, ...], wanted: tuple[str, ...], methods: tuple[str, ...], sizes: str, *prepare: str,
) -> GradientExercise:  # fmt: skip
    cut = cut_methods(layer, *methods)
    adapter = LAYER.format(
        arguments=", ".join(arguments), yours=f"{cut.name}({sizes}).double()",
        prepare="\n".join(f"        {line}" for line in prepare),
    )  # fmt: skip
    return GradientExercise(
        name=name, lesson=lesson, formula=formula, kind="layer", arguments=arguments, wanted=wanted, asked=asked,
        reference=reference, cut=(cut,), adapter=adapter,
        imports=("import numpy",) if "numpy" in adapter else (),
    )  # fmt: skip


def cut_objective(name: str, lesson: str, loss: Any, formula: str) -> GradientExercise:
    """Returns the exercise of the gradients of a linear model with this loss and L2, in weight and bias."""
    own, of_loss = loss(), cut_methods(loss, "pointwise_gradient")

    def value(
        weight: Tensor, features: Tensor, targets: Tensor, strength: float = 0.0, bias: Tensor | float = 0.0
    ) -> Tensor:
        return own(torch.inner(features, weight) + bias, targets) + strength * (weight**2).sum()

    return GradientExercise(
        name=name, lesson=lesson, formula=formula, kind="objective",
        arguments=("weight", "bias", "features", "targets", "strength"), wanted=("weight", "bias"),
        asked="the derivative in the scores, the gradients in weight and bias, the penalty's",
        reference=value, loss=own, penalty=penalties.L2(STRENGTH),
        cut=(of_loss, cut_methods(layers.Linear, "gradients"), cut_methods(penalties.L2, "gradient")),
        adapter=OBJECTIVE.format(yours=construct(of_loss)),
    )  # fmt: skip


def apply_linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return features @ weight.mT + bias


def apply_batch_norm(
    features: Tensor, scale: Tensor, shift: Tensor, epsilon: float = EPSILON, ddof: int = 0, **_: Tensor
) -> Tensor:
    centred = features - features.mean(0)
    variance = (centred**2).sum(0) / (len(features) - ddof)
    return scale * centred / torch.sqrt(variance + epsilon) + shift


def apply_dropout(features: Tensor, keep: float, seed: int) -> Tensor:
    mask = np.random.default_rng(seed).random(tuple(features.shape)) < keep
    return features * torch.from_numpy(mask).to(features.dtype) / keep


def apply_mask_of(output: Tensor, features: Tensor, divisor: float) -> Tensor:
    """Returns the features after dropout with the mask of `output`; nan if everything was kept or dropped."""
    mask = (output != 0).to(features.dtype)
    return features * mask / divisor if 0 < float(mask.mean()) < 1 else torch.full_like(features, float("nan"))


DROPOUTS: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    ("the mask is the hand-in's own", lambda features, keep, seed, output: apply_mask_of(output, features, keep)),
    ("the mask is the hand-in's own, and the probability is that of dropping",
     lambda features, keep, seed, output: apply_mask_of(output, features, 1 - keep)),
    ("the mask is the hand-in's own, and nothing is divided by the probability to keep",
     lambda features, keep, seed, output: apply_mask_of(output, features, 1.0)),
)  # fmt: skip
BATCH_NORMS: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    ("the variance divides by N − 1", partial(apply_batch_norm, ddof=1)),
    *((f"ε is {epsilon:g}, not the task's {EPSILON:g}", partial(apply_batch_norm, epsilon=epsilon))
      for epsilon in (1e-3, 1e-4, 1e-6, 1e-7, 1e-8, 1e-10, 0.0)),
)  # fmt: skip


EXERCISES = (
    cut_loss("squared-error", "linear-regression", losses.SquaredError, "L = 1/N Σ_i (s_i − y_i)²"),
    cut_loss("absolute-error", "", losses.AbsoluteError, "L = 1/N Σ_i |s_i − y_i|"),
    cut_loss("huber", "", losses.Huber,
             f"L = 1/N Σ_i ½ r_i² for |r_i| ≤ δ, else δ(|r_i| − ½δ), with r = s − y and δ = {DELTA}", delta=DELTA),
    cut_loss("binary-cross-entropy", "logistic-regression", losses.BinaryCrossEntropy,
             "L = 1/N Σ_i log(1 + e^{s_i}) − y_i s_i, labels 0 and 1"),
    cut_loss("logistic", "zero-one", losses.Logistic, "L = 1/N Σ_i log(1 + e^{−y_i s_i}), labels −1 and +1"),
    cut_loss("hinge", "svm-margin", losses.Hinge, "L = 1/N Σ_i max(0, 1 − y_i s_i), labels −1 and +1"),
    cut_loss("squared-hinge", "", losses.Hinge, "L = 1/N Σ_i max(0, 1 − y_i s_i)², labels −1 and +1", power=2),
    cut_loss("cross-entropy", "softmax", losses.CrossEntropy,
             "L = −1/N Σ_i log p_{i,y_i} with p = softmax(s) along each row"),
    cut_loss("multiclass-hinge", "hinge-gradient", losses.MulticlassHinge,
             "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1)", "pointwise_gradient", "term_slopes"),
    cut_loss("squared-multiclass-hinge", "", losses.MulticlassHinge,
             "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1)²", "pointwise_gradient", "term_slopes", power=2),
    cut_activation("sigmoid", "sigmoid", activations.Sigmoid, "f(z) = 1 / (1 + e^−z)"),
    cut_activation("tanh", "", activations.Tanh, "f(z) = tanh(z)"),
    cut_activation("relu", "zero-derivatives", activations.ReLU, "f(z) = max(0, z)"),
    cut_activation("leaky-relu", "zero-derivatives", activations.LeakyReLU, f"f(z) = z for z > 0, else {SLOPE} z",
                   slope=SLOPE),
    cut_activation("softmax", "softmax", activations.Softmax, "p_j = e^{z_j} / Σ_k e^{z_k} along each row",
                   "input_gradient"),
    cut_penalty("l2", penalties.L2, "R = λ Σ w²"),
    cut_penalty("l2-half", penalties.L2, "R = ½ λ Σ w²", half=True),
    cut_penalty("l1", penalties.L1, "R = λ Σ |w|"),
    cut_penalty("elastic-net", penalties.ElasticNet, f"R = λ Σ (β w² + |w|), β = {BETA}", beta=BETA),
    cut_layer("linear", "linear-regression", layers.Linear,
              "s = x Wᵀ + b; x (samples, features), W (outputs, features), b (outputs,)",
              "∂L/∂weight, ∂L/∂bias and ∂L/∂features from upstream = ∂L/∂scores", apply_linear,
              ("features", "weight", "bias"), ("features", "weight", "bias"), ("gradients", "input_gradient"),
              "weight.shape[1], weight.shape[0]",
              "self.layer.weight.data.copy_(weight)", "self.layer.bias.data.copy_(bias)"),
    replace(cut_layer("dropout", "", layers.Dropout,
              "each entry is kept with probability `keep` and divided by it, else 0; the mask comes from the seed",
              "∂L/∂features from upstream = ∂L/∂output, with the mask of forward", apply_dropout,
              ("features", "keep", "seed"), ("features",), ("input_gradient",), "1 - keep",
              "kept = numpy.random.default_rng(seed).random(tuple(features.shape)) < keep",
              "self.layer.held, self.layer.mask = True, torch.from_numpy(kept) / keep"), conventions=DROPOUTS),
    replace(cut_layer("batch-norm", "", layers.BatchNorm,
              f"y = γ (x − μ)/√(σ² + {EPSILON:g}) + β; μ, σ² the mean and variance of each column (γ scale, β shift)",
              "∂L/∂scale, ∂L/∂shift and ∂L/∂features: x reaches y straight, through σ² and through μ", apply_batch_norm,
              ("features", "scale", "shift"), ("features", "scale", "shift"), ("gradients", "input_gradient"),
              "features.shape[1]", "self.layer.scale.data.copy_(scale)", "self.layer.shift.data.copy_(shift)"),
            conventions=BATCH_NORMS),
    cut_objective("linear-regression", "linear-regression", losses.SquaredError,
                  "L = 1/N Σ_i (w·x_i + b − y_i)² + λ Σ w²; w (features,), b a number, not penalised"),
    cut_objective("logistic-regression", "logistic-regression", losses.BinaryCrossEntropy,
                  "L = 1/N Σ_i log(1 + e^{s_i}) − y_i s_i + λ Σ w², with s_i = w·x_i + b; labels 0 and 1"),
    cut_objective("softmax-classifier", "softmax", losses.CrossEntropy,
                  "L = −1/N Σ_i log p_{i,y_i} + λ Σ W², with p = softmax(x Wᵀ + b); W (classes, features)"),
    replace(
        cut_objective("multiclass-svm", "hinge-gradient", losses.MulticlassHinge,
                      "L = 1/N Σ_i Σ_{j ≠ y_i} max(0, s_ij − s_{i,y_i} + 1) + λ Σ W², with s = x Wᵀ + b"),
        asked="the hinge and its gradients in weight and bias by two loops; L2 is added behind them",
        cut=(cut_functions(loops.multiclass_hinge_by_loops),), adapter=LOOPS,
        imports=("from edunn.losses import MulticlassHinge",),
    ),
)  # fmt: skip
