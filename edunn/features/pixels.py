"""The simplest feature of an image: its pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DtypeError, ShapeError, shape


def pixels(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns images as rows of numbers in [0, 1]: uint8 (samples, height, width, channels) to (samples, features).

    A row goes through the image row by row, column by column, its channels together: feature (r·width + c)·channels + k
    is channel k at (r, c).
    """
    if images.ndim != 4:
        hint = " Grey images have a channel axis of 1: images.unsqueeze(-1)." if images.ndim == 3 else ""
        raise ShapeError(f"Expected images of shape (samples, height, width, channels); got {shape(images)}.{hint}")
    if images.dtype != torch.uint8:
        raise DtypeError(
            f"Expected images of dtype uint8, 0 to 255; got {images.dtype}. Pixels that are in [0, 1] already are "
            f"images.flatten(1)."
        )
    return images.flatten(1).to(dtype).div_(255)
