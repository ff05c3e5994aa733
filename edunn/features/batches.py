"""Shared by every kind of feature: images are checked once, then processed in batches within a byte budget."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import errors
from ..runtime.threads import divide_work, slices

CPU_BYTES = 3 * 2**20  # a thread: the buffers of a batch stay near its core, which is worth a factor of two
CUDA_BYTES = 512 * 2**20


def check_images(images: Tensor, channels: int | None = None) -> None:
    """Raises an error unless images are uint8 or floating, (samples, height, width[, channels])."""
    expected = "(samples, height, width, channels)"
    if not isinstance(images, Tensor):
        raise errors.DtypeError(f"Images are a tensor {expected}; got {type(images).__name__}. Use torch.as_tensor.")
    if images.ndim not in ((4,) if channels else (3, 4)):
        hint = " Did you mean images[None], for a single image?" if images.ndim == 3 else ""
        raise errors.ShapeError(f"Expected images of shape {expected}; got {errors.shape(images)}.{hint}")
    if images.dtype != torch.uint8 and not images.dtype.is_floating_point:
        raise errors.DtypeError(f"Expected images of dtype uint8 or floating; got {images.dtype}.")
    if channels and images.shape[3] != channels:
        hint = ""
        if images.shape[1] == channels:
            hint = " Channels come last here: images.permute(0, 2, 3, 1)."
        raise errors.ShapeError(f"Expected images with {channels} channels; got {errors.shape(images)}.{hint}")
    if images.ndim == 4 and images.shape[3] > 4 and images.shape[1] in (1, 3, 4):
        raise errors.ShapeError(
            f"Images have their channels last; {errors.shape(images)} has them first. Use images.permute(0, 2, 3, 1)."
        )
    if images.dtype.is_floating_point:
        errors.check_finite("images", images)
    if 0 in images.shape[1:]:
        raise errors.ShapeError(f"The images have no pixels; got {errors.shape(images)}.")


def working_dtype(images: Tensor) -> torch.dtype:
    """Returns float64 for float64 images, else float32."""
    return torch.float64 if images.dtype == torch.float64 else torch.float32


def fill(
    out: Tensor, images: Tensor, bytes_a_pixel: int, function: Callable[[Tensor], Tensor], budget: int | None = None
) -> Tensor:
    """Sets out[i] = function(images[i]), in batches whose buffers fit the budget; returns `out`.

    bytes_a_pixel : memory of the function's buffers for each pixel of one channel
    """
    budget = budget or (CUDA_BYTES if images.is_cuda else CPU_BYTES)
    size = max(1, budget // (bytes_a_pixel * images.shape[1] * images.shape[2]))
    if size >= 16:
        size -= size % 16  # whole vectors

    def one(rows: slice) -> None:
        out[rows] = function(images[rows])

    divide_work(slices(len(images), size), lambda: one, images.device)
    return out
