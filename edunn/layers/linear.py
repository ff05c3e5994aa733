"""The linear layer: scores = x Wᵀ + b, and its three gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import errors
from ..runtime.devices import generator
from ..runtime.reprs import ArgumentRepr


class Linear(ArgumentRepr, nn.Module):
    """s = x Wᵀ + b.

    ∂L/∂W = Uᵀ x,  ∂L/∂b = Σ_i u_i,  ∂L/∂x = U W, with U = ∂L/∂s of shape (samples, outputs)

    Parameters
    ----------
    features, outputs : the sizes
    bias : False leaves b out
    scale : the standard deviation of the normal starting weights; 0 starts at zero, as good as any start for a convex
        loss. The bias starts at 0.
    seed : of the starting weights
    runs : leading axes of weight and bias, to train a stack at once

    Shapes
    ------
    weight : (*runs, outputs, features), as in torch and scikit-learn; bias : (*runs, outputs)
    features : (samples, features) or (*runs, samples, features); scores : (*runs, samples, outputs)
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        features: int,
        outputs: int,
        bias: bool = True,
        scale: float = 0.0,
        seed: int = 0,
        runs: tuple[int, ...] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        for name, count in (("features", features), ("outputs", outputs)):
            errors.check_count(name, count)
        scale = errors.check_number("scale", scale, 0)
        weight = torch.zeros(*runs, outputs, features, dtype=dtype or torch.get_default_dtype())
        if scale:
            # drawn in float64 on the CPU, so that every dtype and device starts at the same point
            weight = weight.double().normal_(0.0, scale, generator=generator(seed)).to(weight.dtype)
        self.weight = nn.Parameter(weight.to(device))
        self.bias = nn.Parameter(torch.zeros_like(self.weight[..., 0])) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        self.check_features(features)
        scores = features @ self.weight.mT
        return scores if self.bias is None else scores + self.bias.unsqueeze(-2)

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns ∂L/∂weight and ∂L/∂bias, of the parameters' shapes. The 1/N is already in `upstream`."""
        with torch.no_grad():
            gradients = {"weight": upstream.mT @ features}
            if self.bias is not None:
                gradients["bias"] = upstream.sum(-2)
            return gradients

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        """Returns ∂L/∂features, (*runs, samples, features)."""
        with torch.no_grad():
            return upstream @ self.weight

    def check_features(self, features: Tensor) -> None:
        width = self.weight.shape[-1]
        if features.ndim < 2 or features.shape[-1] != width:
            raise errors.ShapeError(
                f"features have shape {errors.shape(features)}; this layer takes (samples, {width})."
                + (" Did you mean features.unsqueeze(-1)?" if features.ndim == 1 and width == 1 else "")
                + (" Did you mean features[None], for a single sample?" if tuple(features.shape) == (width,) else "")
            )
        if features.dtype != self.weight.dtype:
            raise errors.DtypeError(
                f"features are {features.dtype} and the weights {self.weight.dtype}. "
                f"Convert with features.to(model.weight.dtype), or make the model with dtype={features.dtype}."
            )


def with_ones(features: Tensor) -> Tensor:
    """Prepends x₀ = 1 to every sample (the bias trick), so that its weight is the bias of a model with bias=False.

    (samples, features) gives (samples, 1 + features). A penalty then includes the bias, as with `bias=True` in the
    penalty.
    """
    return torch.cat([torch.ones_like(features[..., :1]), features], -1)
