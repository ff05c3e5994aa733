"""HOG of one cell and the hue histogram of one image, pixel by pixel, as a lecture writes them.

They are for reading, for exercises, and to test `hog` and `hue_histogram`, which do the same on whole batches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cell_histogram(row: Tensor, column: Tensor, orientations: int = 9) -> Tensor:
    """Returns the mean magnitude of one cell's gradients in each bin of their angles, (orientations,).

    A pixel adds √(row² + column²) to the bin of the angle of (column, row), modulo 180°: an edge from dark to light and
    one from light to dark have the same direction. A bin is 180°/orientations wide.

    row, column : ∂I/∂y and ∂I/∂x of the cell's pixels, (pixel rows, pixel columns) each
    """
    histogram = torch.zeros(orientations, dtype=torch.float64)
    for down, right in zip(row.flatten().tolist(), column.flatten().tolist(), strict=True):
        magnitude = math.hypot(down, right)
        angle = math.degrees(math.atan2(down, right)) % 180
        bin = int(angle * orientations / 180)
        histogram[min(bin, orientations - 1)] += magnitude  # a hair below 0° is 180° once it is rounded
    return histogram / row.numel()


def hue_of(red: float, green: float, blue: float) -> float:
    """Returns the hue of a colour, in [0, 1).

    With M the largest, and d the largest minus the smallest of the three:
    ⅙ · ((g − b)/d if M = r, 2 + (b − r)/d if M = g, 4 + (r − g)/d if M = b), modulo 1; 0 for grey, where d = 0.
    """
    largest = max(red, green, blue)
    spread = largest - min(red, green, blue)
    if spread == 0:
        return 0.0
    if largest == blue:
        sector = 4 + (red - green) / spread
    elif largest == green:
        sector = 2 + (blue - red) / spread
    else:
        sector = (green - blue) / spread
    return sector / 6 % 1


def hue_histogram_by_loops(image: Tensor, bins: int = 10) -> Tensor:
    """Returns the share of the pixels whose hue lies in [k/bins, (k + 1)/bins), (bins,).

    image : (height, width, 3), red, green and blue in [0, 1]
    """
    histogram = torch.zeros(bins, dtype=torch.float64)
    pixels = image.reshape(-1, 3).tolist()
    for red, green, blue in pixels:
        histogram[int(hue_of(red, green, blue) * bins)] += 1
    return histogram / len(pixels)
