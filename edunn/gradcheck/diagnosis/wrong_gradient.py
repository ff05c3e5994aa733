"""A wrong gradient, with the data from which each mistake computes the gradient that it leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ...losses.base import as_rows


@dataclass(frozen=True)
class WrongGradient:
    """One wrong gradient, with all data it can be computed from.

    kind : "loss", "activation", "layer", "penalty" or "objective"
    parameter : by which the value is differentiated
    hand, right : the hand-derived gradient, and one by autograd or differences
    samples : N
    points : the arguments by name: features, weight, bias, scores, targets, …
    loss, activation, penalty : the package's own objects, None where there is none
    upstream : ∂L/∂scores, or ∂L/∂output of an activation or layer; right, and with its 1/N
    penalised : the right penalty's gradient in this parameter; zeros where it has none
    chain : from ∂L/∂scores to the data term's gradient in this parameter
    function : the value as a function of this parameter alone
    scale : the hand-in's value over the package's: a hand-in may sum where the package takes the mean
    penalty_scale : the same of the penalty
    tolerance : the relative error up to which two gradients are the same: more where the hand-in computes in float32
    """

    kind: str
    parameter: str
    hand: Tensor
    right: Tensor
    samples: int
    points: Mapping[str, Any] = field(default_factory=dict)
    loss: Any = None
    activation: Any = None
    penalty: Any = None
    layer: str = ""
    upstream: Tensor | None = None
    penalised: Tensor | None = None
    chain: Callable[[Tensor], Tensor] | None = None
    function: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    scale: float = 1.0
    penalty_scale: float = 1.0
    tolerance: float = 1e-6

    @property
    def classes(self) -> int:
        """C, the number of classes of the scores or the weight; 1 for one output."""
        scores = self.points.get("scores")
        return scores.shape[-1] if isinstance(scores, Tensor) and scores.ndim == 2 else 1

    @property
    def features(self) -> int:
        """D, the number of features; 1 where there are none."""
        features = self.points.get("features")
        return features.shape[-1] if isinstance(features, Tensor) else 1

    @property
    def scores(self) -> Tensor:
        return self.points["scores"]

    @property
    def one_hot(self) -> Tensor:
        """The targets as rows, of the scores' shape."""
        targets = self.points["targets"]
        return targets if targets.shape == self.scores.shape else as_rows(self.scores, targets)

    @property
    def per_sample(self) -> float:
        """The factor of every sample's derivative: 1/N times `scale`."""
        return self.scale / self.samples

    @property
    def data(self) -> Tensor:
        """The part of the right gradient that comes from the data term (the mean loss)."""
        return self.right if self.penalised is None else self.right - self.penalised

    def pass_down(self, upstream: Tensor) -> Tensor:
        """Returns the whole gradient in this parameter if ∂L/∂scores were `upstream`."""
        found = upstream if self.chain is None else self.chain(upstream)
        return found if self.penalised is None else found + self.penalised

    def is_a(self, *names: str) -> bool:
        """Whether the loss, activation or penalty is one of these."""
        return any(
            parent.__name__ in names
            for thing in (self.loss, self.activation, self.penalty)
            if thing is not None
            for parent in type(thing).__mro__
        )
