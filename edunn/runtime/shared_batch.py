"""The view of a layer on a batch that several processes share.

Batch normalisation sums over the whole batch, and dropout draws one mask for it. If several processes train one
model, each has only some rows of the batch, and such a layer exchanges through its `shared`, a `SharedBatch`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class SharedBatch(Protocol):
    """The size of the whole batch, and the rows of it that this process has."""

    @property
    def size(self) -> int:
        """The number of samples of the batch, over all processes."""

    @property
    def rows(self) -> slice:
        """The slice of the batch that this process has; it may be empty."""

    def total(self, values: Tensor) -> Tensor:
        """Sums over the processes, in place. Every process gets the same bits."""


@contextlib.contextmanager
def share_batches(model: nn.Module, batch: SharedBatch | None) -> Iterator[None]:
    """Sets `shared` on every layer of the model that has this attribute, and back to None at the end."""
    layers: list[Any] = [layer for layer in model.modules() if hasattr(layer, "shared")]
    for layer in layers:
        layer.shared = batch
    try:
        yield
    finally:
        for layer in layers:
            layer.shared = None
