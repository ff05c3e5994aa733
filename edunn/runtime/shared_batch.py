"""A batch that several processes share, as a layer of one of them sees it.

Batch normalisation sums over the whole batch, and dropout draws one mask for it. Where several processes train one
model, each has some rows of the batch only; `shared` is then what such a layer asks. `processes.Processes` is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class SharedBatch(Protocol):
    """The whole batch, and which part of it this process has."""

    @property
    def size(self) -> int:
        """The samples of the batch, over all processes."""

    @property
    def rows(self) -> slice:
        """Which of them this process has: maybe none."""

    def total(self, values: Tensor) -> Tensor:
        """Sums over the processes, into `values`: the same bits in each of them."""


@contextlib.contextmanager
def share_batches(model: nn.Module, batch: SharedBatch | None) -> Iterator[None]:
    """Sets `shared` on every layer of the model that has such an attribute, and takes it away at the end."""
    layers: list[Any] = [layer for layer in model.modules() if hasattr(layer, "shared")]
    for layer in layers:
        layer.shared = batch
    try:
        yield
    finally:
        for layer in layers:
            layer.shared = None
