"""From samples to a model's input: kinds of features, then standardisation, fitted on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ShapeError
from ..runtime.names import resolve
from ..runtime.rows import Rows, through
from . import cache
from .kinds import KINDS as IMAGE_KINDS
from .kinds import Combination, combination
from .standardise import Standardise

KINDS = {
    "raw": "the columns of a table, as they are",
    **{name: kind.summary for name, kind in IMAGE_KINDS.items()},
}


@dataclass(frozen=True)
class Pipeline:
    """Features and standardisation, fitted on the training part and applied to all other samples.

    Parameters
    ----------
    kind : "raw", a kind of image features, or several with commas ("hog,hue")
    shape : of one raw sample: (features,), or (height, width, channels) of an image
    standardise : the fitted shift and scale, or None
    extract : the kinds of image features, fitted; None for a table
    """

    kind: str
    shape: tuple[int, ...]
    standardise: Standardise | None = None
    extract: Combination | None = None

    @classmethod
    def fit(cls, features: Tensor, kind: str = "auto", standardise: bool = False, **options: Any) -> Pipeline:
        """Returns a pipeline fitted to the features; kind "auto" is pixels for uint8 images, and raw for tables."""
        return cls.fit_apply(features, kind, standardise, **options)[0]

    @classmethod
    def fit_apply(
        cls, features: Tensor, kind: str = "auto", standardise: bool = False, **options: Any
    ) -> tuple[Pipeline, Tensor]:
        """Fits a pipeline; returns it and the features of the samples it was fitted on, computed once."""
        images = features.ndim == 4
        kind = kind_of(kind, images, options)
        extract = fit_kinds(combination(kind, options), features) if images else None
        plain = cls(kind, tuple(features.shape[1:]), extract=extract)
        x = plain(features)
        if not standardise:
            return plain, x
        fitted = Standardise.fit(x)
        return cls(kind, plain.shape, fitted, extract), through(x, fitted)

    def __call__(self, features: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Returns the model's input (samples, width) of samples (samples, *shape); of `Rows`, when they are read."""
        if tuple(features.shape[1:]) != self.shape:
            raise ShapeError(
                f"Expected samples of shape {self.shape}, as the run was trained on; got {tuple(features.shape[1:])}."
            )
        x = features
        if self.extract is not None:
            kinds = self.extract
            # histograms and pixels of bytes are finite
            x = through(x, kinds, finite=True) if isinstance(x, Rows) else cache.compute(kinds, x)
        x = x if dtype is None else x.to(dtype=dtype)
        return x if self.standardise is None else through(x, self.standardise)

    def state(self) -> dict[str, Tensor]:
        """Returns the fitted tensors, for a file."""
        learnt = {} if self.extract is None else self.extract.state()
        return (self.standardise.state() if self.standardise else {}) | learnt

    @classmethod
    def from_state(
        cls, kind: str, shape: tuple[int, ...], state: Mapping[str, Tensor], options: Mapping[str, Any] | None = None
    ) -> Pipeline:
        """Makes a pipeline from the tensors of `state`; `options` are those of the kinds."""
        own = {key: tensor for key, tensor in state.items() if "." not in key}  # a kind's have its name in front
        extract = combination(kind, options).restore(state) if len(shape) == 3 else None
        return cls(kind, shape, Standardise.from_state(own) if own else None, extract)


def fit_kinds(kinds: Combination, images: Tensor) -> Combination:
    """Returns the kinds fitted to the images of the training part."""
    if not isinstance(images, Rows):
        return cache.fit(kinds, images)
    learning = [kind.name for kind in kinds.kinds if hasattr(kind, "dictionary")]
    if learning:
        raise ConfigError(
            f"Features that learn from the images cannot be computed batch by batch; "
            f"got {learning[0]!r}. Compute them once: edunn features."
        )
    return kinds


def canonical(kinds: str) -> str:
    """Returns the canonical names of one kind, or of several with commas."""
    return ",".join(resolve(name.strip(), [*KINDS, "auto"], "features") for name in kinds.split(","))


def kind_of(kind: str, images: bool, options: Mapping[str, Any]) -> str:
    """Returns the kind by its canonical name, checked against the samples."""
    kind = canonical(kind)
    if kind == "auto":
        kind = "pixels" if images else "raw"
    if images != (kind != "raw"):
        raise ConfigError(
            f"Features of kind {kind!r} need {'a table' if images else 'images'}; the samples are "
            f"{'images' if images else 'a table'}. Use features.kind = 'auto'."
        )
    if not images and options:
        raise ConfigError(f"Unknown config key features.{next(iter(options))}: features of kind {kind!r} take none.")
    return kind
