"""Planes of any torch module: a two-layer net, or one of your own.

Its scores are not affine in its parameters, so every point is a forward pass: `torch.func.functional_call` with the
parameters θ0 + a·d1 + b·d2, and `vmap` over a chunk of points. The module itself is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from ..losses import Loss
from ..runtime.threads import Split, whole
from .planes import JET

Direction = Mapping[str, Tensor]

CHUNK = 1 << 26  # numbers: roughly what the activations of the points in one vmap may take


@dataclass(frozen=True, eq=False)
class ModulePlane:
    """The loss of a module along θ0 + a·d1 + b·d2.

    Parameters
    ----------
    model : in the mode (train, eval) that its forward pass shall have; its buffers stay as they are
    base, first, second : θ0, d1, d2, by parameter name
    smooth : whether the module has second derivatives everywhere (no ReLU): asked by convexity
    """

    model: nn.Module
    loss: Loss
    features: Tensor
    targets: Tensor
    base: Direction
    first: Direction
    second: Direction
    smooth: bool
    names: tuple[str, str] = ("a", "b")
    penalty: object = None
    split: Split = whole

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.base.values())).dtype

    @property
    def device(self) -> torch.device:
        return self.features.device

    @property
    def samples(self) -> int:
        return len(self.features)

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> ModulePlane:
        """The same plane in another dtype; the module is used through its parameters, which are passed in."""

        def move(tensors: Direction) -> dict[str, Tensor]:
            return {k: t.to(device=device, dtype=dtype) for k, t in tensors.items()}

        kind = dtype if self.targets.dtype.is_floating_point else None
        features = self.features.to(device=device, dtype=dtype if self.features.dtype.is_floating_point else None)
        return replace(
            self,
            features=features,
            targets=self.targets.to(device=device, dtype=kind),
            base=move(self.base),
            first=move(self.first),
            second=move(self.second),
        )

    def value(self, point: Tensor) -> Tensor:
        """The mean loss at one point (2,)."""
        return self.loss(self.scores(point), self.targets, validate=False)

    def scores(self, point: Tensor) -> Tensor:
        """The module's scores at one point (2,)."""
        buffers = {k: t.to(self.dtype) if t.dtype.is_floating_point else t for k, t in self.model.named_buffers()}
        moved = {k: self.base[k] + point[0] * self.first[k] + point[1] * self.second[k] for k in self.base}
        scores: Tensor = functional_call(self.model, {**buffers, **moved}, (self.features,))
        if scores.ndim == 2 + self.loss.class_axis and scores.shape[-1] == 1:
            return scores.squeeze(-1)  # a one-output module keeps its last axis, a loss on one score has none
        return scores

    @torch.no_grad()
    def at(self, points: Tensor, order: int = 0) -> Tensor:
        """The jet at points (count, 2), with derivatives by torch.func: (JET[order], count)."""
        points = points.to(dtype=self.dtype, device=self.device)
        width = self.features.numel() + sum(t.numel() for t in self.base.values())
        chunk = max(1, CHUNK // (width * (1, 3, 6)[order]))
        pieces = [self.jets(piece, order) for piece in points.split(chunk)]
        return torch.cat(pieces, 1) if pieces else points.new_zeros(JET[order], 0)

    def jets(self, points: Tensor, order: int) -> Tensor:
        values = vmap(self.value)(points)
        if order == 0:
            return values.unsqueeze(0)
        slope = vmap(grad(self.value))(points)
        rows = [values, slope[:, 0], slope[:, 1]]
        if order == 2:
            bend = vmap(jacrev(grad(self.value)))(points)
            rows += [bend[:, 0, 0], bend[:, 0, 1], bend[:, 1, 1]]
        return torch.stack(rows)
