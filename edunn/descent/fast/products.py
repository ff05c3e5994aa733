"""The two matrix products of a step, W xᵀ and U x, divided among all cores of a CPU.

If W has few rows, one call of the matrix library leaves cores idle, and scales W in a separate pass. So the product
becomes a batch of smaller ones, along the features if W is thin and along its rows if it is tall: the cores have equal
work, and each keeps its part of W in its cache. On a GPU, and for one thread, each product is one call.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCKS = 4  # of features
THIN = 32  # divide along the features if W has at most so many rows
WIDE = 1024  # and at least so many features
TALL = 256  # divide along the rows if W has at least so many


class Products:
    """The products for weights of one shape, (*runs, outputs, features). Every step uses the same buffers."""

    def __init__(self, weight: Tensor) -> None:
        self.shape = weight.shape
        self.rows, self.width = weight.shape[:-1].numel(), weight.shape[-1]
        self.like = weight.new_empty(0)
        self.buffers: dict[tuple[int, ...], Tensor] = {}
        shared = weight.device.type == "cpu" and torch.get_num_threads() > 1
        self.thin = shared and self.rows <= THIN and self.width >= WIDE and self.width % BLOCKS == 0
        self.parts = torch.get_num_threads() if shared and self.rows >= TALL else 1
        while self.rows % self.parts:
            self.parts -= 1

    def scores(self, weight: Tensor, features: Tensor) -> Tensor:
        """Returns W xᵀ, (*runs, outputs, samples), for features (samples, features) or (runs, samples, features)."""
        samples = features.shape[-2]
        if features.ndim == 3:
            return torch.bmm(weight, features.mT, out=self.buffer(*self.shape[:-1], samples))
        if self.thin:
            parts = self.buffer(BLOCKS, self.rows, samples)
            blocks = columns(flat(weight))
            return torch.bmm(blocks, columns(features).mT, out=parts).sum(0).view(*self.shape[:-1], samples)
        out = self.buffer(self.rows, samples)
        return torch.mm(flat(weight), features.t(), out=out).view(*self.shape[:-1], samples)

    def add_gradient(self, into: Tensor, upstream: Tensor, features: Tensor, beta: float, alpha: float) -> None:
        """Adds a gradient: into ← beta · into + alpha · U x, with the upstream gradient U (*runs, outputs, samples)."""
        if features.ndim == 3:
            into.baddbmm_(upstream, features, beta=beta, alpha=alpha)
            return
        rows = upstream.reshape(self.rows, -1)
        if self.thin:
            blocks = rows.expand(BLOCKS, *rows.shape)
            gradient = torch.bmm(blocks, columns(features), out=self.buffer(BLOCKS, self.rows, self.width // BLOCKS))
            scale_(into, beta)
            columns(flat(into)).add_(gradient, alpha=alpha)
        elif self.parts > 1:
            each = self.rows // self.parts
            copies = features.expand(self.parts, *features.shape)
            flat(into).view(self.parts, each, -1).baddbmm_(
                rows.view(self.parts, each, -1), copies, beta=beta, alpha=alpha
            )
        else:
            flat(into).addmm_(rows, features, beta=beta, alpha=alpha)

    def buffer(self, *key: int) -> Tensor:
        """Returns the buffer of this key: allocating a large output at each step halves the speed of its product."""
        if key not in self.buffers:
            self.buffers[key] = self.like.new_empty([size for size in key if size >= 0])
        return self.buffers[key]


def flat(weight: Tensor) -> Tensor:
    """Returns (*runs, outputs, …) as one matrix, (runs · outputs, …)."""
    return weight.view(-1, weight.shape[-1])


def columns(matrix: Tensor) -> Tensor:
    """Returns (rows, features) as blocks of features, (BLOCKS, rows, features / BLOCKS); a view."""
    return matrix.view(matrix.shape[0], BLOCKS, -1).transpose(0, 1)


def scale_(tensor: Tensor, factor: float) -> None:
    """Scales in place: tensor ← factor · tensor; with factor 0 also nan and inf become 0."""
    if factor != 1:
        tensor.mul_(factor) if factor else tensor.zero_()
