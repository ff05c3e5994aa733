"""Numeric pieces as exercises: gradients by differences, batch standardisation, and stable forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ... import activations, differences, layers, losses
from ...losses.base import shares
from ...runtime.devices import generator
from ..exercise import Arguments
from .functions import cut_function, drawing, edit

# ---- a gradient by differences --------------------------------------------------------------------------------------


def waves(x: Any) -> Any:
    """Returns Σ w_i/(1 + x_i²), for an array or a tensor: a function with a different derivative in each entry."""
    weights = [k + 1 for k in range(len(x.reshape(-1)))]
    return sum(w / (1 + entry**2) for w, entry in zip(weights, x.reshape(-1), strict=True))


def cubes(x: Any) -> Any:
    return (x**3).sum() - 2 * x.reshape(-1)[0] * x.reshape(-1)[-1]


def draw_points(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 13)
    return {
        "five entries": (waves, draw(5), 1e-4),
        "a matrix": (cubes, draw(2, 3), 1e-4),
        "one entry": (waves, draw(1), 1e-4),
        "a large step": (waves, draw(4), 0.05),
        "at a minimum": (cubes, torch.zeros(3, dtype=torch.float64), 1e-3),
    }


TWO_POINTS = cut_function(
    "two-point-gradient", "delta-study",
    "the gradient of a scalar function by two points an entry",
    "∂f/∂x_i ≈ (f(x + h e_i) − f(x − h e_i)) / 2h for each entry x_i of the point",
    "function gives a number for a point; h is step; the answer has the point's shape",
    ("function", "point", "step"), differences.two_point_gradient, (differences.two_point_gradient,), draw_points,
    edit("h in place of 2h", "the two points are 2h apart: divide by 2h",
         ("rise / (2 * step)", "rise / step")),
    edit("one-sided", "(f(x + h) − f(x)) / h is the forward difference: its error is h f''/2",
         ("behind[i] -= step", ""), ("rise / (2 * step)", "rise / step")),
    edit("lopsided", "the difference steps +h and −2h and divides by 2h: 1.5 times the truth",
         ("behind[i] -= step", "behind[i] -= 2 * step")),
    edit("not divided", "the difference of the values is not divided by 2h",
         ("rise / (2 * step)", "rise")),
    edit("all entries moved at once", "one entry moves at a time, the others stay",
         ("ahead[i]", "ahead[:]"), ("behind[i]", "behind[:]")),
    edit("steps not taken back", "each entry must be where it was before the next one moves",
         ("ahead[i]", "ahead[: i + 1]"), ("behind[i] -= step", "behind[:i] += step; behind[i] -= step")),
    tolerance=1e-6,  # rounding is divided by the step
)  # fmt: skip


def draw_points_alone(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 13)
    return {
        "five entries": (waves, draw(5)),
        "a matrix": (cubes, draw(2, 3)),
        "one entry": (waves, draw(1)),
        "no entry": (waves, draw(0)),
        "a large point": (waves, 10 * draw(4)),
    }


FIVE_POINTS = cut_function(
    "numeric-gradient", "delta-study",
    "the gradient of a scalar function by differences alone",
    "f'(x) ≈ (f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)) / 12h, entry by entry",
    "FIVE_POINTS holds the offset and the weight of each value; the answer has the point's shape",
    ("function", "point"), differences.gradient, (differences.gradient,),
    draw_points_alone,
    edit("not divided", "the sum of the weighted values is not divided by h", ("result / step", "result")),
    edit("1/h twice", "the sum of the weighted values is divided by h twice", ("result / step", "result / step**2")),
    edit("entries not put back", "each entry must be where it was before the next one moves",
         ("        flat[i] = start\n", "")),
    edit("all entries moved at once", "one entry moves at a time, the others stay",
         ("flat[i] = start +", "flat[:] = start +")),
    edit("wrong sign", "f(x + h) counts with +8 and f(x − h) with −8", ("out[i] +=", "out[i] -=")),
    tolerance=1e-6,
)  # fmt: skip

# ---- a batch to mean 0 and deviation 1 ------------------------------------------------------------------------------


@torch.no_grad()
def apply_batch_norm(layer: type[layers.BatchNorm], features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Returns the output for a batch in training."""
    own = layer(features.shape[1]).double()
    own.scale.copy_(scale)
    own.shift.copy_(shift)
    return own(features)


def draw_batches(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 14)
    constant = draw(5, 3)
    constant[:, 1] = 4.0
    return {
        "seven samples": (draw(7, 3), draw(3), draw(3)),
        "deviations of 100 and of 0.01": (draw(6, 2) * torch.tensor([100.0, 0.01]), draw(2), draw(2)),
        "a constant feature": (constant, draw(3), draw(3)),
        "one sample": (draw(1, 3), draw(3), draw(3)),
        # E[x²] − μ² has lost its digits here; the mean of (x − μ)² has not
        "1e7 from 0": (draw(6, 2) + 1e7, draw(2), draw(2)),
    }


STANDARDISE = cut_function(
    "standardise", "",
    "μ and σ² of the batch, and what they make of it",
    "y = γ (x − μ)/√(σ² + ε) + β, μ and σ² = 1/n Σ (x − μ)² of each column of the batch, ε = 1e-5 (γ scale, β shift)",
    "features (samples, features), scale and shift (features,); the answer has the features' shape",
    ("features", "scale", "shift"), layers.BatchNorm, ("statistics", "forward"), draw_batches,
    edit("square root forgotten", "x − μ is divided by the variance, not by its root",
         ("torch.sqrt(variance + self.epsilon)", "(variance + self.epsilon)")),
    edit("n − 1 in place of n", "the batch's own variance divides by n; n − 1 makes one sample 0/0",
         ("** 2) / samples", "** 2) / (samples - 1)")),
    edit("ε outside the root", "√σ² + ε in place of √(σ² + ε)",
         ("torch.sqrt(variance + self.epsilon)", "(torch.sqrt(variance) + self.epsilon)")),
    edit("ε forgotten", "without ε a constant feature gives 0/0", (" + self.epsilon", "")),
    edit("mean not subtracted", "x is divided without being centred first",
         ("normal = (features - mean)", "normal = features")),
    edit("wrong axis", "mean and variance are taken over the features of a sample, not over the samples",
         ("self.over_batch(features) / samples", "features.mean(-1, keepdim=True)"),
         ("self.over_batch((features - mean) ** 2) / samples", "((features - mean) ** 2).mean(-1, keepdim=True)"),
         ("self.keep(mean, variance, self.samples(features))", "pass")),
    edit("1/n forgotten", "the squares are summed, and not averaged",
         ("** 2) / samples", "** 2)")),
    edit("scale and shift swapped", "γ multiplies and β is added",
         ("self.scale", "self.other"), ("self.shift", "self.scale"), ("self.other", "self.shift")),
    through=apply_batch_norm,
)  # fmt: skip

# ---- forms that no score overflows ----------------------------------------------------------------------------------


def apply_softmax(activation: type[activations.Softmax], scores: Tensor) -> Tensor:
    return activation()(scores)


def draw_scores(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 15)
    scores = 2 * torch.randn(6, 4, dtype=torch.float64, generator=source)
    wide = torch.tensor([[-900.0, 0.0, 900.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    return {
        "six samples": (scores,),
        "all scores 800 up": (scores + 800,),
        "all scores 800 down": (scores - 800,),
        "rows 900 apart": (scores[:2] + torch.tensor([[900.0], [0.0]]),),
        "1,800 within a row": (wide,),
        "equal scores": (torch.full((2, 5), 7.0, dtype=torch.float64),),
        "one class": (scores[:, :1],),
        "no sample": (scores[:0],),
    }


SOFTMAX = cut_function(
    "stable-softmax", "numeric-limits",
    "softmax that no score overflows",
    "p_j = e^{s_j} / Σ_k e^{s_k} along each row, finite at any finite score",
    "scores (samples, classes); the answer has their shape",
    ("scores",), activations.Softmax, ("forward",), draw_scores,
    edit("not shifted", "from scores of 710 on the exponentials overflow: take each row's largest score off first",
         (" - scores.amax(-1, keepdim=True)", "")),
    edit("largest score added", "adding the largest score doubles the overflow: subtract it",
         ("scores - scores.amax", "scores + scores.amax")),
    edit("largest of the whole batch", "rows far below the batch's largest score vanish: each row has its own",
         ("scores.amax(-1, keepdim=True)", "scores.amax()")),
    edit("wrong axis", "the sum runs over the classes of a sample, axis 1",
         ("exponentials.sum(-1, keepdim=True)", "exponentials.sum(0, keepdim=True)")),
    edit("summed over everything", "each row has its own sum", ("exponentials.sum(-1, keepdim=True)",
                                                                  "exponentials.sum()")),
    edit("not divided", "the exponentials are not divided by their sum",
         (" / exponentials.sum(-1, keepdim=True)", "")),
    through=apply_softmax,
)  # fmt: skip


def apply_pointwise(loss: type[losses.BinaryCrossEntropy], scores: Tensor, targets: Tensor) -> Tensor:
    return loss().pointwise(scores, targets)


def draw_losses(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 16)
    scores = 2 * torch.randn(8, dtype=torch.float64, generator=source)
    bits = torch.tensor([0.0, 1.0] * 4, dtype=torch.float64)
    far = torch.tensor([800.0, 800.0, -800.0, -800.0], dtype=torch.float64)
    return {
        "eight samples": (scores, bits),
        "wrong by 40": (torch.tensor([40.0, -40.0], dtype=torch.float64), torch.tensor([0.0, 1.0]).double()),
        "scores of ±800": (far, bits[:4]),
        "a score of 0": (torch.zeros(2, dtype=torch.float64), bits[:2]),
        "targets between 0 and 1": (scores[:3], torch.tensor([0.25, 0.5, 0.9], dtype=torch.float64)),
        "no sample": (scores[:0], bits[:0]),
    }


CROSS_ENTROPY = cut_function(
    "stable-cross-entropy", "numeric-limits",
    "each sample's loss from its score, finite at any score",
    "ℓ_i = −y_i log σ(s_i) − (1 − y_i) log(1 − σ(s_i)) = max(s_i, 0) − y_i s_i + log(1 + e^{−|s_i|})",
    "scores and targets (samples,), labels 0 and 1 or in between; the answer is one loss a sample, finite at any score",
    ("scores", "targets"), losses.BinaryCrossEntropy, ("pointwise",), draw_losses,
    edit("from σ(s)", "log(1 − σ(s)) is −inf from s = 36.75 on, where σ(s) rounds to 1: start from the score",
         ("scores / 2 + size / 2 - targets * scores + torch.log1p(torch.exp(-size))",
          "-targets * torch.sigmoid(scores).log() - (1 - targets) * (1 - torch.sigmoid(scores)).log()")),
    edit("e^s overflows", "log(1 + e^s) is inf from s = 710 on: take the exponential of −|s|",
         ("scores / 2 + size / 2 - targets * scores + torch.log1p(torch.exp(-size))",
          "torch.log(1 + torch.exp(scores)) - targets * scores")),
    edit("max(s, 0) forgotten", "log(1 + e^{−|s|}) alone is log(1 + e^s) only for s below 0",
         ("scores / 2 + size / 2 - ", "-")),
    edit("wrong sign of y s", "y s is subtracted", ("- targets * scores", "+ targets * scores")),
    edit("labels swapped", "y belongs to log σ(s) and 1 − y to log(1 − σ(s))",
         ("targets * scores", "(1 - targets) * scores")),
    edit("averaged", "one loss a sample is asked for; the mean comes after",
         ("return scores / 2 + size / 2 - targets * scores + torch.log1p(torch.exp(-size))",
          "return (scores / 2 + size / 2 - targets * scores + torch.log1p(torch.exp(-size))).mean()")),
    edit("logarithm to base 10", "the logarithm is natural",
         ("torch.log1p(torch.exp(-size))", "torch.log1p(torch.exp(-size)) / 2.302585092994046")),
    through=apply_pointwise,
)  # fmt: skip


def take_mean(shares: Callable[[Tensor], Tensor], values: Tensor, weights: Tensor) -> Tensor:
    """Returns the weighted mean of values (*runs, samples), of shape `runs`."""
    return (values * shares(weights)).sum(-1)


def draw_weights(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 17)
    values = torch.randn(2, 6, dtype=torch.float64, generator=source)
    weights = torch.rand(2, 6, dtype=torch.float64, generator=source) + 0.1
    return {
        "six samples": (values[0], weights[0]),
        "samples left out": (values[0], torch.tensor([1.0, 0, 0, 2, 0, 1]).double()),
        "weights of 1e-6": (values[0], 1e-6 * weights[0]),
        "two runs": (values, weights),
        "all weights 1": (values[0], torch.ones_like(values[0])),
    }


WEIGHTED_MEAN = cut_function(
    "weighted-mean", "three-descents", "each sample's share of a weighted mean; the shares add up to 1",
    "mean = Σ_i share_i ℓ_i = Σ_i w_i ℓ_i / Σ_i w_i",
    "weights (*runs, samples), 0 or more; the answer has their shape; `axis` is that of the samples",
    ("values", "weights"), shares, (shares,), draw_weights,
    edit("divided by N", "the weights' own sum takes the place of N: all weights times c change nothing",
         ("weights.sum(axis, keepdim=True)", "weights.shape[axis]")),
    edit("not divided", "this is the sum Σ w ℓ and not the mean", (" / weights.sum(axis, keepdim=True)", "")),
    edit("divided by the largest weight", "the shares do not add up to 1",
         ("weights.sum(axis, keepdim=True)", "weights.amax(axis, keepdim=True)")),
    edit("all runs together", "every run has a mean of its own", ("weights.sum(axis, keepdim=True)", "weights.sum()")),
    through=take_mean,
)  # fmt: skip

EXERCISES = (STANDARDISE, SOFTMAX, CROSS_ENTROPY, WEIGHTED_MEAN)
DIFFERENCES = (TWO_POINTS, FIVE_POINTS)
