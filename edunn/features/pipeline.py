"""From samples to the numbers a model takes: a kind of feature, then standardisation; fitted on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ShapeError, nearest, shape
from .pixels import pixels
from .standardise import Standardise

KINDS = {
    "raw": "the columns of a table, as they are",
    "pixels": "the pixels of an image in [0, 1], row by row",
}


@dataclass(frozen=True)
class Pipeline:
    """What was fitted on the training part, and is applied to every other sample the same way.

    Parameters
    ----------
    kind : a key of `KINDS`
    shape : of one sample as it came: (features,), or (height, width, channels) of an image
    standardise : the fitted shift and scale, or None
    """

    kind: str
    shape: tuple[int, ...]
    standardise: Standardise | None = None

    @classmethod
    def fit(cls, features: Tensor, kind: str = "auto", standardise: bool = False, **options: Any) -> Pipeline:
        """`auto` is pixels for images, which are uint8 (samples, height, width, channels), and raw for tables."""
        images = features.ndim == 4
        if kind == "auto":
            kind = "pixels" if images else "raw"
        if kind not in KINDS:
            raise ConfigError(
                f"Expected features.kind as one of the known; got {kind!r}. {nearest(kind, [*KINDS, 'auto'])}"
            )
        if options:
            raise ConfigError(
                f"Unknown config key features.{next(iter(options))}: features of kind {kind!r} take none."
            )
        if images != (kind == "pixels"):
            raise ConfigError(
                f"Expected features that fit the samples; {kind!r} wants {'images' if kind == 'pixels' else 'a table'} "
                f"and came with {'images' if images else 'a table'}. Use features.kind = 'auto'."
            )
        plain = cls(kind, tuple(features.shape[1:]))
        return cls(kind, plain.shape, Standardise.fit(plain(features))) if standardise else plain

    def __call__(self, features: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """(samples, *shape) to (samples, width)."""
        if tuple(features.shape[1:]) != self.shape:
            raise ShapeError(
                f"Expected samples of shape {self.shape}, as the run was trained on; got {shape(features[0])}."
            )
        x = pixels(features) if self.kind == "pixels" else features
        x = x if dtype is None else x.to(dtype)
        return x if self.standardise is None else self.standardise(x)

    def state(self) -> dict[str, Tensor]:
        """The fitted tensors, for a file."""
        return {} if self.standardise is None else self.standardise.state()

    @classmethod
    def from_state(cls, kind: str, shape: tuple[int, ...], state: Mapping[str, Tensor]) -> Pipeline:
        """What `state` gave, put together again."""
        return cls(kind, shape, Standardise.from_state(dict(state)) if state else None)
