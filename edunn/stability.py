"""The largest rate at which descent still converges, where it is known: before the run, instead of nan after it."""

from __future__ import annotations

import torch
from torch import Tensor

from .activations import Identity
from .devices import generator
from .layers import Linear, with_ones
from .losses import Loss, SquaredError
from .penalties import L2, Penalty
from .updates import Rule


@torch.no_grad()
def largest_curvature(features: Tensor, bias: bool = True, iterations: int = 500) -> float:
    """λ_max of XᵀX / N, X the features with a column of ones if there is a bias.

    The largest eigenvalue of the mean of x xᵀ: exact for up to 1,024 features, by power iteration (from below,
    until a step changes it by less than 1e-6) for more.
    """
    x = features.double()
    if bias:
        x = with_ones(x)
    if x.shape[1] <= 1024:
        return float(torch.linalg.eigvalsh(x.mT @ x / len(x))[-1])
    # float32 products are enough for the few digits that power iteration gives
    x = x.to(features.dtype)
    # a random start: one of equal entries would be blind to an eigenvector whose entries sum to 0
    vector = torch.randn(x.shape[1], generator=generator(0), dtype=torch.float64).to(x)
    vector /= vector.norm()
    value = 0.0
    for _ in range(iterations):
        product = x.mT @ (x @ vector) / len(x)
        previous, value = value, float(product.norm())
        if value == 0 or abs(value - previous) <= 1e-6 * value:
            break
        vector = product / value
    return value


def stable_rate(
    model: torch.nn.Module, loss: Loss, features: Tensor, penalty: Penalty | None, rule: Rule
) -> float | None:
    """The largest rate at which full-batch descent converges, or None where there is no such number.

    For squared error on linear scores the objective is a quadratic, and descent multiplies its error along each
    eigenvector of the Hessian by 1 − rate · λ each step: it converges while rate < 2/λ_max. The Hessian is
    2/N XᵀX (half of it with half=True), plus 2λ of an L2 penalty. Momentum moves the 2 (see `Rule.stability`).

    A penalty that leaves the bias alone is counted as if it reached it: the bound errs on the safe side, by at most the
    penalty's own curvature.
    """
    factor = rule.stability()
    if factor is None or not isinstance(model, Linear) or not isinstance(loss, SquaredError):
        return None
    if not isinstance(loss.through, Identity) or not bool(features.isfinite().all()):
        return None
    curvature = 2 * loss.factor * largest_curvature(features, model.bias is not None)
    if penalty is not None:
        if not isinstance(penalty, L2) or isinstance(penalty.strength, Tensor):
            return None
        curvature += 2 * penalty.factor * penalty.strength
    return factor / curvature if curvature > 0 else None
