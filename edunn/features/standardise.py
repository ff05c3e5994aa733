"""Standardisation: every feature shifted to mean 0 and scaled to deviation 1, as measured on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import errors
from ..errors import DataError, DtypeError, ShapeError
from ..runtime.rows import check_finite

CHUNK = 4 * 2**20  # numbers that are looked at in float64 at once: 32 MiB


@dataclass(frozen=True, eq=False, repr=False)
class Standardise:
    """z = (x − μ) / σ for each feature, with μ and σ of the training part alone, not of validation or test.

    Parameters
    ----------
    mean : μ, (features,)
    scale : σ, (features,); 1 for a feature that is constant, up to a few units in the last place

    Rows (samples, features) of float32 or float64 keep their dtype; μ and σ are float64. σ divides by N, not by N − 1:
    scikit-learn's `StandardScaler`.
    """

    mean: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.scale.shape:
            raise ShapeError(
                f"Expected mean and scale of one shape (features,); got {errors.shape(self.mean)} and "
                f"{errors.shape(self.scale)}."
            )

    def __repr__(self) -> str:
        return f"Standardise({len(self.mean)} features)"

    @classmethod
    @torch.no_grad()
    def fit(cls, features: Tensor) -> Standardise:
        """Measures μ and σ of features (samples, features): floating, or uint8; or of `Rows`, which are read twice.

        In two passes, the squares of the differences from the mean (their difference, E[x²] − μ², would lose twice the
        digits that μ/σ has), in float64 whatever the dtype, a chunk of rows at a time.
        """
        _check(features)
        samples, width = features.shape
        if samples == 0:
            raise ShapeError(f"The features to fit are empty; got {errors.shape(features)}.")
        size = max(1, CHUNK // max(1, width))
        first = next(iter(features.split(1)))[0]
        mean = torch.zeros(width, dtype=torch.float64, device=features.device)
        variance = torch.zeros_like(mean)
        constant = torch.ones_like(mean, dtype=torch.bool)
        for chunk in features.split(size):
            mean += chunk.double().sum(0) / samples
            constant &= (chunk == first).all(0)
        mean[constant] = first[constant].double()  # a sum of equal terms may miss them by a rounding
        for chunk in features.split(size):
            variance += ((chunk.double() - mean) ** 2).sum(0) / samples
        if not variance.isfinite().all():
            check_finite(features)
            raise DataError("Some features are beyond 1e150, and their squares beyond float64. Rescale them.")
        scale = variance.sqrt()
        # a deviation that is rounding noise is as good as none: scaled up, the noise would be features
        info = torch.finfo(features.dtype if features.dtype.is_floating_point else torch.float32)
        noise = mean.abs() * max(2 * info.eps, min(samples, 10) * 2.0**-52)
        scale[constant | (scale <= noise) | (scale < info.tiny)] = 1.0
        return cls(mean, scale)

    def __call__(self, features: Tensor) -> Tensor:
        """Returns (x − μ) / σ of features (samples, features): mean 0 and deviation 1 on the part it was fitted on."""
        x = self._matching(features)
        return (x - self.mean.to(x)).div_(self.scale.to(x))

    def invert(self, features: Tensor) -> Tensor:
        """Returns standardised features in their own units: x = σ z + μ."""
        z = self._matching(features)
        return z * self.scale.to(z) + self.mean.to(z)

    def state(self) -> dict[str, Tensor]:
        """Returns the two tensors, for a file."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Standardise:
        """Makes a standardisation from the tensors of `state`."""
        if set(state) != {"mean", "scale"}:
            raise DataError(f"Expected the tensors mean and scale; got {', '.join(sorted(state)) or 'none'}.")
        return cls(state["mean"], state["scale"])

    def _matching(self, features: Tensor) -> Tensor:
        """Returns the features, floating; raises an error if they have another width than those it was fitted on."""
        _check(features)
        if features.shape[1] != len(self.mean):
            raise ShapeError(
                f"Expected features of shape (samples, {len(self.mean)}), as wide as those this was fitted on; "
                f"got {errors.shape(features)}. Take the same columns in the same order."
            )
        return features if features.dtype.is_floating_point else features.float()


def _check(features: Tensor) -> None:
    if features.ndim != 2:
        hint = " Make rows of images first: pixels(images)." if features.ndim == 4 else ""
        raise ShapeError(f"Expected features of shape (samples, features); got {errors.shape(features)}.{hint}")
    if not features.dtype.is_floating_point and features.dtype != torch.uint8:
        raise DtypeError(f"Expected features of a floating dtype, or uint8; got {features.dtype}. Use .double().")
