"""Where a run is, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .steppers import Gradients


@dataclass
class Progress:
    """Where a run is: with the model's parameters and the rule's state, all that is needed to go on."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0  # on the scheduled rate; `after_epoch` may change it, and the next step takes it
    rows: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int | None = None
    bad_step: int | None = None  # the steps taken when a loss was first not finite
    best: Gradients = field(default_factory=dict)  # the model's state at the best epoch, running statistics too
    snapshots: list[tuple[int, dict[str, Tensor]]] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    status: str
    message: str
