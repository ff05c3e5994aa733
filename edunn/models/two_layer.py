"""A net of two linear layers with an activation between them."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import activations, errors
from ..activations import Activation, Identity, Sigmoid, Softmax
from ..layers import BatchNorm, Chain, Dropout, Linear, starting_scale
from .base import Model, check_predicts


class TwoLayerNet(Chain, Model):
    """scores = W₂ f(W₁ x + b₁) + b₂: linear, activation, linear, with optional normalisation and dropout.

    Backwards, with z = W₁ x + b₁, h = f(z) and U = ∂L/∂scores of shape (samples, outputs):

        ∂L/∂W₂ = Uᵀ h,  ∂L/∂b₂ = Σ_i u_i,  V = (U W₂) ∘ f'(z),  ∂L/∂W₁ = Vᵀ x,  ∂L/∂b₁ = Σ_i v_i

    Each line is one layer's own (`Linear`, the activation); `Chain` joins them.

    Parameters
    ----------
    features, outputs : the sizes; one output drops the last axis of the scores
    hidden : the number of hidden units
    activation : f, by name (see `edunn.activations`) or as an object
    dropout : the share of hidden units dropped while training
    batchnorm : normalise z before the activation
    scale : of the starting weights: "auto" (kaiming before ReLU, else xavier), "kaiming", "xavier", or a number
    predicts : how the scores give a prediction (see `Model`); by default "bits" for one output, else "classes"
    seed : of the starting weights and the dropout masks

    Parameters are called hidden.weight, hidden.bias, output.weight, output.bias (and batchnorm.scale, .shift).
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        *sizes: int,
        hidden: int = 100,
        activation: str | Activation = "relu",
        dropout: float = 0.0,
        batchnorm: bool = False,
        scale: str | float = "auto",
        predicts: str | None = None,
        seed: int = 0,
        runs: tuple[int, ...] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if sizes:  # elsewhere the order is input, hidden, output
            call = f"TwoLayerNet({features}, {sizes[0]}, hidden={outputs})"
            raise errors.ConfigError(
                f"TwoLayerNet takes two sizes by position, and the hidden one by name: {call}; got three sizes."
            )
        for name, count in (("features", features), ("outputs", outputs), ("hidden", hidden)):
            errors.check_count(name, count)
        if isinstance(activation, str):
            activation = activations.named(activation)
        predicts = check_predicts(predicts or ("bits" if outputs == 1 else "classes"))
        first = starting_scale(scale, activation, features, hidden)
        second = starting_scale(scale, Identity(), hidden, outputs)
        # every layer draws from a stream of its own; the same seed in both would start them with the same numbers
        layers: dict[str, torch.nn.Module] = {
            "hidden": Linear(features, hidden, scale=first, seed=seed, runs=runs, dtype=dtype, device=device)
        }
        if batchnorm:
            layers["batchnorm"] = BatchNorm(hidden, runs=runs, dtype=dtype, device=device)
        layers["activation"] = activation
        if dropout:
            layers["dropout"] = Dropout(dropout, seed=seed + 2)
        layers["output"] = Linear(hidden, outputs, scale=second, seed=seed + 1, runs=runs, dtype=dtype, device=device)
        super().__init__(**layers)
        self.predicts = predicts
        self.one_output = outputs == 1

    @property
    def link(self) -> Activation | None:
        if self.predicts == "real":
            return None
        return Softmax() if self.predicts == "classes" else Sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Returns the scores, (*runs, samples, outputs); (*runs, samples) for one output."""
        scores = super().forward(features)
        return scores.squeeze(-1) if self.one_output else scores

    def descend_layers(
        self, features: Tensor, upstream: Tensor, to_input: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        return super().descend_layers(features, upstream.unsqueeze(-1) if self.one_output else upstream, to_input)
