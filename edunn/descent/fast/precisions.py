"""The matrix products of a step in tf32 or bf16. Weights, losses and updates stay in float32.

A GPU multiplies rounded numbers many times faster, and adds the products in float32. tf32 keeps 10 binary digits after
the point of each factor (a relative error of 5e-4), bf16 keeps 7 (4e-3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ... import errors
from .products import Products, flat, scale_


class TensorFloatProducts(Products):
    """Products in tf32: the GPU rounds the factors as it reads them."""

    def __init__(self, weight: Tensor) -> None:
        if not weight.is_cuda or weight.dtype != torch.float32:
            raise errors.ConfigError(
                f"Precision 'tf32' needs float32 on a CUDA device; got {weight.dtype} on {weight.device}. "
                f"Take 'full', or 'bf16', which works on any device."
            )
        super().__init__(weight)

    def scores(self, weight: Tensor, features: Tensor) -> Tensor:
        with tensor_float():
            return super().scores(weight, features)

    def add_gradient(self, into: Tensor, upstream: Tensor, features: Tensor, beta: float, alpha: float) -> None:
        with tensor_float():
            super().add_gradient(into, upstream, features, beta, alpha)


class Bfloat16Products(Products):
    """Products in bf16: the factors are rounded before they are multiplied."""

    def __init__(self, weight: Tensor) -> None:
        if weight.dtype != torch.float32:
            raise errors.ConfigError(f"Precision 'bf16' needs float32; got {weight.dtype}. Take 'full'.")
        if weight.is_cuda and "dtype" not in torch.ops.aten.mm.overloads():
            raise errors.ConfigError(
                f"Precision 'bf16' on CUDA needs torch 2.8 or later; got {torch.__version__}. Take 'tf32'."
            )
        super().__init__(weight)
        self.thin, self.parts = False, 1

    def scores(self, weight: Tensor, features: Tensor) -> Tensor:
        if features.ndim == 3:
            return product(weight, features.mT)
        return product(flat(weight), features.t()).view(*self.shape[:-1], len(features))

    def add_gradient(self, into: Tensor, upstream: Tensor, features: Tensor, beta: float, alpha: float) -> None:
        if features.ndim == 3:
            gradient = product(upstream, features)
        else:
            gradient = product(upstream.reshape(self.rows, -1), features).view(self.shape)
        scale_(into, beta)
        into.add_(gradient, alpha=alpha)


PRECISIONS: dict[str, type[Products]] = {"full": Products, "tf32": TensorFloatProducts, "bf16": Bfloat16Products}


def product(first: Tensor, second: Tensor) -> Tensor:
    """Returns the float32 product of matrices, or of batches of them, rounded to bfloat16."""
    first, second = first.bfloat16(), second.bfloat16()
    if first.is_cuda:  # the float32 sums are not rounded again
        multiply = torch.mm if first.ndim == 2 else torch.bmm
        return multiply(first, second, out_dtype=torch.float32)
    return (first @ second).float()


@contextmanager
def tensor_float() -> Iterator[None]:
    """Switches tf32 on for the products inside. torch's switch is for the whole process."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
