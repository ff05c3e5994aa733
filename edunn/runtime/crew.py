"""What a loop and its layers ask of the processes that train one model together.

Every process has the same model and draws the same order of the samples. Of each batch it takes the rows that are its
own, and what is summed over the batch is summed over the processes as well, so that all of them take the same step.
`distributed` has a crew; here stands only what one can do, so that nothing below it knows of processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class Crew(Protocol):
    """The processes, seen from one of them. `size`, `rows` and `share` are of the batch that `meet` named last."""

    @property
    def size(self) -> int:
        """The samples of the batch at hand, over all processes."""

    @property
    def rows(self) -> slice:
        """Which of them are this process's: maybe none."""

    @property
    def share(self) -> float:
        """The part of the whole batch that this process has: the weight of its mean in the mean of all."""

    def part(self, samples: int) -> slice:
        """Which of so many samples are this process's: the slices of all processes follow one another."""

    def meet(self, samples: int) -> None:
        """A batch of so many samples is at hand from now on."""

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes, written into `values`: the same bits in each of them."""

    def reduce(self, value: Tensor, gradients: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective and the gradients, summed over the processes as one flat buffer."""

    def gathered(self, own: Tensor, samples: int) -> Tensor:
        """Along axis 0, what every process has of `samples` rows."""

    def agreed(self, numbers: Sequence[float]) -> list[float]:
        """The numbers of rank 0, so that no decision differs in its last bit."""

    def heed(self) -> None:
        """Raises KeyboardInterrupt in all processes if any of them was interrupted; else in none."""

    def watch(self) -> contextlib.AbstractContextManager[None]:
        """While a loop runs: an interrupt waits for a place where all processes can end together."""


@contextlib.contextmanager
def at_work(model: nn.Module, crew: Crew | None) -> Iterator[None]:
    """While the model trains on shared batches, layers that look at a whole batch, or draw for it, know the crew."""
    layers: list[Any] = [layer for layer in model.modules() if hasattr(layer, "crew")]
    for layer in layers:
        layer.crew = crew
    try:
        yield
    finally:
        for layer in layers:
            layer.crew = None
