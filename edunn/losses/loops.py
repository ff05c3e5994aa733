"""The multiclass hinge and its gradient in the weights by two loops, as the lecture writes it.

It is for reading, and checks the vectorised form (`MulticlassHinge` and a model's `gradients`), which does the same
arithmetic thousands of times faster.
"""

from __future__ import annotations

import torch
from torch import Tensor


def multiclass_hinge_by_loops(
    weight: Tensor, bias: Tensor, features: Tensor, targets: Tensor, margin: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the mean multiclass hinge of a linear model, and its gradient in weight and bias.

    L = 1/N Σ_i Σ_{j ≠ y_i} max(0, w_j·x_i + b_j − w_{y_i}·x_i − b_{y_i} + Δ)

    Every violated term adds x_i to row j of the gradient and subtracts it from row y_i.

    Parameters
    ----------
    weight : (classes, features)
    bias : (classes,)
    features : (samples, features)
    targets : (samples,), class indices
    margin : Δ

    Returns
    -------
    loss, d loss / d weight, d loss / d bias
    """
    samples, classes = features.shape[0], weight.shape[0]
    loss = torch.zeros((), dtype=weight.dtype)
    weight_gradient = torch.zeros_like(weight)
    bias_gradient = torch.zeros_like(bias)
    for i in range(samples):
        scores = weight @ features[i] + bias
        y = int(targets[i])
        for j in range(classes):
            if j == y:
                continue
            shortfall = scores[j] - scores[y] + margin
            if shortfall > 0:
                loss += shortfall
                weight_gradient[j] += features[i]
                weight_gradient[y] -= features[i]
                bias_gradient[j] += 1
                bias_gradient[y] -= 1
    return loss / samples, weight_gradient / samples, bias_gradient / samples
