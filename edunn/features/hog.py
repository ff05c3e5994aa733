"""Histograms of oriented gradients: the directions of the edges in each cell. In batches, on CPU or CUDA.

Equal to `skimage.feature.hog` (the tests compare them) for all of its options, and many times as fast, because the
last axis is that of the images: every line below works on all images of a batch at once.

Dalal & Triggs 2005, Histograms of Oriented Gradients for Human Detection.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import errors
from .batches import check_images, fill, working_dtype

MOST_ORIENTATIONS = 100_000
EPSILON = 1e-5  # in the norm of a block, as in scikit-image


def hog(
    images: Tensor,
    orientations: int = 9,
    pixels_per_cell: int | tuple[int, int] = 8,
    cells_per_block: int | tuple[int, int] = 3,
    block_norm: str = "L2-Hys",
    transform_sqrt: bool = False,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Returns the HOG features of each image, (samples, width): blocks by rows, cells of a block by rows, orientations.

    1. gradients: g_row = I[y+1, x] − I[y−1, x], g_col = I[y, x+1] − I[y, x−1], 0 on the image's rim; of the colour
       channels each pixel takes the one with the largest √(g_row² + g_col²)
    2. orientation: the angle of (g_col, g_row) modulo 180°, in bins of 180°/orientations
    3. cells: the magnitudes are summed in each bin, over each cell of pixels, and divided by the cell's pixels
    4. blocks of cells that overlap: each divided by its norm

    Parameters
    ----------
    images : (samples, height, width, channels), uint8 or floating; or (samples, height, width), grey
    pixels_per_cell, cells_per_block : (rows, columns), or one number for both. Pixels beyond the last whole cell count
        only in the gradients of their neighbours.
    block_norm : "L1" h/(‖h‖₁ + ε), "L1-sqrt" its square root, "L2" h/√(‖h‖₂² + ε²), "L2-Hys" the L2 norm, cut off at
        0.2, and normalised again
    transform_sqrt : take the square root of the image first. A gradient of roots can lie so close to a bin's edge that
        rounding decides (√3 : 1 at 60°), here and in scikit-image, and not always in the same way.
    dtype : of the result; by default float32, and float64 for float64 images
    """
    check_images(images)
    cell, block = pair("pixels_per_cell", pixels_per_cell), pair("cells_per_block", cells_per_block)
    check_options(images, orientations, cell, block, block_norm, transform_sqrt)
    channels = images.shape[3] if images.ndim == 4 else 1
    cells = (images.shape[1] // cell[0], images.shape[2] // cell[1])
    width = (cells[0] - block[0] + 1) * (cells[1] - block[1] + 1) * block[0] * block[1] * orientations
    out = torch.empty(len(images), width, dtype=dtype or working_dtype(images), device=images.device)
    # roots of whole numbers differ by less than float32 can tell: they are taken, and compared, in float64
    inner = torch.float64 if transform_sqrt else working_dtype(images)
    norm = NORMS[block_norm]

    def features_of(batch: Tensor) -> Tensor:
        batch = to_last_axis(batch, inner)
        if transform_sqrt:
            batch.sqrt_()
        histograms = cell_histograms(*strongest_gradients(batch), orientations, cell)
        return normalised_blocks(histograms, block, norm).mT

    return fill(out, images, inner.itemsize * (channels + 9), features_of)


def orientation_strengths(image: Tensor, orientations: int = 9, pixels_per_cell: int | tuple[int, int] = 8) -> Tensor:
    """Returns the cell histograms of one image, (orientations, cell rows, cell columns), for `figures.hog_glyphs`."""
    planes = to_last_axis(torch.as_tensor(image)[None], torch.float32)
    cell = pair("pixels_per_cell", pixels_per_cell)
    return cell_histograms(*strongest_gradients(planes), orientations, cell)[..., 0]


def to_last_axis(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Converts images (samples, height, width[, channels]) to (channels, height, width, samples), floating."""
    images = images if images.ndim == 4 else images.unsqueeze(-1)
    flat = images.reshape(len(images), -1).mT.contiguous()  # one transposition of bytes, before they become floats
    return flat.view(*images.shape[1:], -1).movedim(2, 0).to(dtype, memory_format=torch.contiguous_format)


def strongest_gradients(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns (g_row, g_col, magnitude), each (height, width, samples), of the channel with the largest magnitude."""
    rows, columns = torch.empty_like(images), torch.empty_like(images)
    rows[:, 0] = rows[:, -1] = 0
    columns[:, :, 0] = columns[:, :, -1] = 0
    torch.sub(images[:, 2:], images[:, :-2], out=rows[:, 1:-1])
    torch.sub(images[:, :, 2:], images[:, :, :-2], out=columns[:, :, 1:-1])
    row, column = rows[0], columns[0]
    strength = channel_strength(row, column)
    for channel in range(1, len(images)):
        other = channel_strength(rows[channel], columns[channel])
        larger = torch.maximum(strength, other)
        stronger = strength.lt_(other)  # in place, so 1.0 or 0.0; of equal channels the first stays
        row.lerp_(rows[channel], stronger)
        column.lerp_(columns[channel], stronger)
        strength = larger
    return row, column, strength if exactly_rounded(row) else strength.sqrt_()


def exactly_rounded(row: Tensor) -> bool:
    """In float64, where gradients are not whole numbers, a square rounds and could make equal channels differ."""
    return row.dtype == torch.float64


def channel_strength(row: Tensor, column: Tensor) -> Tensor:
    """Returns the number by which channels are compared: the magnitude, or its square for uint8, which is exact."""
    return torch.hypot(row, column) if exactly_rounded(row) else (row * row).addcmul_(column, column)


def cell_histograms(row: Tensor, column: Tensor, magnitude: Tensor, orientations: int, cell: tuple[int, int]) -> Tensor:
    """Returns the mean magnitude in each bin of angles, (orientations, cell rows, cell columns, samples).

    No angle is computed. Rotated into the upper half plane, (g_col, g_row) lies at or beyond the angle θ exactly when
    g_row · cot θ ≥ g_col; the pixels of a bin are those beyond its lower edge and not beyond its upper one.
    """
    cells = (row.shape[0] // cell[0], row.shape[1] // cell[1])
    whole = (slice(cells[0] * cell[0]), slice(cells[1] * cell[1]))
    row, column, magnitude = row[whole], column[whole], magnitude[whole].contiguous()
    # modulo 180°: the opposite of a vector that points downwards. Adding 0 makes −0 to +0: a horizontal one is at 0°.
    column = torch.copysign(column, (row * column).add_(0.0))
    row = row.abs()
    out = row.new_empty(orientations, *cells, row.shape[-1])
    spare, band = (torch.empty_like(row), torch.empty_like(row)), torch.empty_like(row)
    beyond = magnitude  # where the angle lies at or beyond the lower edge of the bin, else 0
    for bin in range(orientations - 1):
        further = torch.mul(row, cotangent(bin + 1, orientations), out=spare[bin % 2])
        further.ge_(column).mul_(magnitude)
        pool(torch.sub(beyond, further, out=band), cell, out[bin])
        beyond = further
    pool(beyond, cell, out[-1])
    return out.div_(cell[0] * cell[1])


def pool(values: Tensor, cell: tuple[int, int], out: Tensor) -> None:
    """Sums values over each cell: first over its rows, then over its columns (both at once is much slower)."""
    rows = values.view(-1, cell[0], *values.shape[1:]).sum(1)
    torch.sum(rows.view(len(rows), -1, cell[1], values.shape[-1]), 2, out=out)


def cotangent(bin: int, orientations: int) -> float:
    """Returns the cotangent of the lower edge of a bin, exact at 45°, 90° and 135°, where many gradients lie."""
    exact = {1: 1.0, 2: 0.0, 3: -1.0}
    if 4 * bin % orientations == 0:
        return exact[4 * bin // orientations]
    # scikit-image holds the edges in float32; no gradient of whole numbers lies that close to one, others may
    return 1 / math.tan(math.radians(float(np.float32(180.0 / orientations * bin))))


def normalised_blocks(histograms: Tensor, block: tuple[int, int], norm: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns all blocks of cells, each scaled to norm 1, (width, samples)."""
    blocks = histograms.unfold(1, block[0], 1).unfold(2, block[1], 1)  # (orientation, row, column, sample, r, c)
    blocks = blocks.permute(1, 2, 4, 5, 0, 3)
    rows, columns = blocks.shape[:2]
    blocks = blocks.reshape(rows * columns, -1, blocks.shape[-1])  # (blocks, values of a block, samples)
    return norm(blocks).flatten(0, 1)


def l1(blocks: Tensor) -> Tensor:
    return blocks / (blocks.sum(1, keepdim=True) + EPSILON)  # nothing here is negative


def l2(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(1, keepdim=True) + EPSILON**2).sqrt_()


def l2_hys(blocks: Tensor) -> Tensor:
    return l2(l2(blocks).clamp_(max=0.2))  # no single strong edge shall decide


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "L1": l1,
    "L1-sqrt": lambda blocks: l1(blocks).sqrt_(),
    "L2": l2,
    "L2-Hys": l2_hys,
}


def pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Returns (rows, columns) of an option that may be one number for both."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not all(type(v) is int and v >= 1 for v in both):
        raise errors.ConfigError(f"{name} is a whole number of 1 or more, or two (rows, columns); got {value!r}.")
    return both


def check_options(
    images: Tensor, orientations: int, cell: tuple[int, int], block: tuple[int, int], norm: str, transform_sqrt: bool
) -> None:
    """Raises an error for impossible HOG options, and for images too small for them."""
    errors.check_count("orientations", orientations, most=MOST_ORIENTATIONS)
    if norm not in NORMS:
        raise errors.ConfigError(f"Unknown block_norm {norm!r}. {errors.nearest(norm, NORMS)}")
    least = (cell[0] * block[0], cell[1] * block[1])
    if images.shape[1] < least[0] or images.shape[2] < least[1]:
        raise errors.ShapeError(
            f"Expected images of at least {least[0]} × {least[1]} pixels, for blocks of {block[0]} × {block[1]} cells "
            f"of {cell[0]} × {cell[1]} pixels; got {images.shape[1]} × {images.shape[2]}."
        )
    if transform_sqrt and images.dtype.is_floating_point and bool((images < 0).any()):
        raise errors.DataError("transform_sqrt takes no negative values, and the images have some.")
