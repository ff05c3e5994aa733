"""The products of a step with fewer digits; weights, losses and updates keep theirs.

A GPU multiplies rounded numbers many times faster, and still adds them up in float32. tf32 keeps 10 binary
digits behind the point of each factor (a relative error of 5e-4), bf16 keeps 7 (4e-3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ... import errors
from .products import Products, flat, scale_


class TensorFloatProducts(Products):
    """Factors rounded by the GPU itself as it reads them."""

    def __init__(self, weight: Tensor) -> None:
        if not weight.is_cuda or weight.dtype != torch.float32:
            raise errors.ConfigError(
                f"Expected float32 on a CUDA device for precision 'tf32'; got {weight.dtype} on {weight.device}. "
                f"Take 'full', or 'bf16', which any device has."
            )
        super().__init__(weight)

    def scores(self, weight: Tensor, features: Tensor) -> Tensor:
        with tensor_float():
            return super().scores(weight, features)

    def add_gradient(self, into: Tensor, upstream: Tensor, features: Tensor, beta: float, alpha: float) -> None:
        with tensor_float():
            super().add_gradient(into, upstream, features, beta, alpha)


class Bfloat16Products(Products):
    """Factors rounded before they are multiplied."""

    def __init__(self, weight: Tensor) -> None:
        if weight.dtype != torch.float32:
            raise errors.ConfigError(f"Expected float32 for precision 'bf16'; got {weight.dtype}. Take 'full'.")
        if weight.is_cuda and "dtype" not in torch.ops.aten.mm.overloads():
            raise errors.ConfigError(
                f"Expected torch 2.8 or later for precision 'bf16' on CUDA; got {torch.__version__}. Take 'tf32'."
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
    """Of matrices or of batches of them, rounded to bfloat16; in float32."""
    first, second = first.bfloat16(), second.bfloat16()
    if first.is_cuda:  # the sums leave the device's float32 registers as they are
        multiply = torch.mm if first.ndim == 2 else torch.bmm
        return multiply(first, second, out_dtype=torch.float32)
    return (first @ second).float()


@contextmanager
def tensor_float() -> Iterator[None]:
    """torch's switch for the whole process, on for this product alone."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
