"""Computes the largest rate at which descent converges, before the run."""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers import Linear, with_ones
from ..losses import Loss
from ..losses.base import shares
from ..penalties import Penalty
from ..runtime.devices import generator
from ..runtime.rows import Rows
from ..updates import Rule

CHUNK = 16_384  # rows converted to float64 at once
EXACT = 1024  # up to so many features all eigenvalues are computed


@torch.no_grad()
def largest_curvature(
    features: Tensor,
    bias: bool = True,
    scale: float = 1.0,
    ridge: tuple[float, float] = (0.0, 0.0),
    weights: Tensor | None = None,
) -> float:
    """Returns λ_max of scale · XᵀX / N + ridge. With a bias X has a column of ones in front of the features.

    With `weights` of the samples XᵀX / N is Σ w x xᵀ / Σ w.

    `ridge` is what a penalty adds to the diagonal: (for the weights, for the bias). Exact for up to 1,024 features, by
    power iteration (from below, until a step changes it by less than 1e-6) for more.
    """
    width = features.shape[1] + bias
    share = None if weights is None else shares(weights).unsqueeze(1)
    diagonal = torch.full((width,), ridge[0], dtype=torch.float64, device=features.device)
    if bias:
        diagonal[0] = ridge[1]
    if width <= EXACT:
        gram, done = torch.zeros_like(diagonal.diag()), 0
        for chunk in features.split(CHUNK):
            x = with_ones(chunk.double()) if bias else chunk.double()
            counts = 1 / len(features) if share is None else share[done : done + len(x)].double()
            gram += x.mT @ (counts * x)
            done += len(x)
        return float(torch.linalg.eigvalsh(scale * gram + diagonal.diag())[-1])
    x = with_ones(features.double()) if bias else features.double()
    # float32 products are enough for the few digits that power iteration gives
    x, diagonal = x.to(features.dtype), diagonal.to(features.dtype)
    counts = 1 / len(x) if share is None else share.to(x)
    # a random start: equal entries would miss an eigenvector whose entries sum to 0
    vector = torch.randn(x.shape[1], generator=generator(0), dtype=torch.float64).to(x)
    vector /= vector.norm()
    value = 0.0
    for _ in range(500):
        product = scale * (x * counts).mT @ (x @ vector) + diagonal * vector
        previous, value = value, float(product.norm())
        if value == 0 or abs(value - previous) <= 1e-6 * value:
            break
        vector = product / value
    return value


def stable_rate(
    model: torch.nn.Module,
    loss: Loss,
    features: Tensor,
    penalty: Penalty | None,
    rule: Rule,
    weights: Tensor | None = None,
) -> float | None:
    """Returns the largest rate at which full-batch descent converges, or None if it is not known.

    For squared error on linear scores the objective is a quadratic, and descent multiplies its error along each
    eigenvector of the Hessian by 1 − rate · λ each step: it converges while rate < 2/λ_max. The Hessian is
    2/N XᵀX, or 2 Σ w x xᵀ / Σ w with weights of the samples (half of it with half=True). An L2 penalty of strength s
    adds 2s to the diagonal of what it penalises. With momentum another number takes the place of 2 (see
    `Rule.stability`).
    """
    factor = rule.stability()
    if factor is None or not isinstance(model, Linear) or loss.form != "square":
        return None
    assert loss.curvature_bound is not None  # 2, or 1 with half=True
    if isinstance(features, Rows) and features.shape[1] + (model.bias is not None) > EXACT:
        return None  # power iteration would read the files hundreds of times
    if not all(bool(x.isfinite().all()) for x in features.split(CHUNK)):
        return None
    added = 0.0
    if penalty is not None:
        if not penalty.quadratic or isinstance(penalty.strength, Tensor):
            return None
        added = float(penalty.curvature(torch.ones((), dtype=torch.float64)))
    ridge = (added, added if penalty is not None and penalty.bias else 0.0)
    curvature = largest_curvature(features, model.bias is not None, loss.curvature_bound, ridge, weights)
    return factor / curvature if curvature > 0 else None
