"""Batch normalisation, with the gradient paths through mean and variance written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import errors
from ..runtime.reprs import ArgumentRepr
from ..runtime.shared_batch import SharedBatch


class BatchNorm(ArgumentRepr, nn.Module):
    """x̂ = (x − μ) / √(σ² + ε), y = γ x̂ + β, for each feature separately.

    Training: μ = Σ_i x_i / n and σ² = Σ_i (x_i − μ)² / n of the batch, so each output depends on every sample in it.
    Evaluation: the running μ and σ², which are constants.

    With u = ∂L/∂y, v = γ u = ∂L/∂x̂ and s = √(σ² + ε):

        ∂L/∂γ  = Σ_i u_i x̂_i        ∂L/∂β = Σ_i u_i
        ∂L/∂σ² = Σ_i v_i (x_i − μ) · (−½) s⁻³
        ∂L/∂μ  = −Σ_i v_i / s        (σ² depends on μ too, but Σ_i (x_i − μ) = 0 removes that term)
        ∂L/∂x_i = v_i / s + ∂L/∂σ² · 2 (x_i − μ) / n + ∂L/∂μ / n

    In evaluation only the first term of ∂L/∂x remains. The parameters are called `scale` (γ) and `shift` (β), so that
    penalties on weights and biases leave them alone.

    Parameters
    ----------
    features : the number of features
    momentum : the share of the new batch in running ← (1 − momentum) running + momentum · batch, in (0, 1]
    epsilon : ε > 0, for features that do not vary
    runs : leading axes, to train a stack at once

    Shapes
    ------
    scale, shift, running_mean, running_variance : (*runs, features); features : (*runs, samples, features)

    Where several processes share a batch, `shared` sums over all its rows: μ and σ² are those of the whole batch, and
    the result does not depend on the number of processes (torch: `nn.SyncBatchNorm`).

    As in torch, the running variance divides by n − 1 and the batch's own by n. A batch of one sample gives y = β and
    leaves the running statistics unchanged (torch refuses it).
    torch: `nn.BatchNorm1d`. See Ioffe & Szegedy 2015, Batch Normalization, algorithm 1.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self,
        features: int,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        runs: tuple[int, ...] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        errors.check_count("features", features)
        self.momentum = errors.check_number("momentum", momentum, 0, 1, open_ends="low")
        self.epsilon = errors.check_number("epsilon", epsilon, 0, open_ends="low")
        self.shared: SharedBatch | None = None
        start = torch.zeros(*runs, features, dtype=dtype, device=device)
        self.scale = nn.Parameter(torch.ones_like(start))
        self.shift = nn.Parameter(start)
        self.register_buffer("running_mean", torch.zeros_like(start))
        self.register_buffer("running_variance", torch.ones_like(start))

    def forward(self, features: Tensor) -> Tensor:
        self.check_features(features)
        mean, variance = self.statistics(features)
        if self.training:
            self.keep(mean, variance, self.samples(features))
        normal = (features - mean) / torch.sqrt(variance + self.epsilon)
        return normal * self.scale.unsqueeze(-2) + self.shift.unsqueeze(-2)

    def statistics(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns μ and σ², (*runs, 1, features): of the batch in training, else the running ones."""
        if not self.training:
            return self.running_mean.unsqueeze(-2), self.running_variance.unsqueeze(-2)
        samples = self.samples(features)
        mean = self.over_batch(features) / samples
        return mean, self.over_batch((features - mean) ** 2) / samples

    def samples(self, features: Tensor) -> int:
        """Returns n, the number of samples of the whole batch."""
        return features.shape[-2] if self.shared is None else self.shared.size

    def over_batch(self, values: Tensor) -> Tensor:
        """Sums over the samples of the whole batch, (*runs, 1, features)."""
        total = values.sum(-2, keepdim=True)
        return total if self.shared is None else self.shared.total(total)

    @torch.no_grad()
    def keep(self, mean: Tensor, variance: Tensor, samples: int) -> None:
        """Moves the running statistics towards those of the batch."""
        if samples > 1:
            self.running_mean.lerp_(mean.squeeze(-2), self.momentum)
            self.running_variance.lerp_(variance.squeeze(-2) * samples / (samples - 1), self.momentum)

    @torch.no_grad()
    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns ∂L/∂scale and ∂L/∂shift, of the parameters' shapes."""
        mean, variance = self.statistics(features)
        normal = (features - mean) / torch.sqrt(variance + self.epsilon)
        return {"scale": (upstream * normal).sum(-2), "shift": upstream.sum(-2)}

    @torch.no_grad()
    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        """Returns ∂L/∂features: the direct path, and in training the paths through σ² and μ."""
        mean, variance = self.statistics(features)
        deviation = torch.sqrt(variance + self.epsilon)
        to_normal = upstream * self.scale.unsqueeze(-2)
        direct = to_normal / deviation
        if not self.training:
            return direct
        samples = self.samples(features)
        centred = features - mean
        to_variance = self.over_batch(to_normal * centred) * -0.5 / deviation**3
        to_mean = -self.over_batch(direct)
        return direct + to_variance * 2 * centred / samples + to_mean / samples

    def check_features(self, features: Tensor) -> None:
        width = self.scale.shape[-1]
        if features.ndim < 2 or features.shape[-1] != width:
            raise errors.ShapeError(
                f"BatchNorm({width}) takes features of shape (samples, {width}); got {errors.shape(features)}."
            )
