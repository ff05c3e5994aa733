"""Histograms of colour: of the hue, and of red, green and blue. In batches, on CPU or CUDA."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .. import errors
from .batches import check_images, fill, working_dtype

MOST_BINS = 100_000
HUE_BYTES = 12 * 8  # a pixel: the planes that are alive at once, in float64


def hue_histogram(images: Tensor, bins: int = 10, dtype: torch.dtype | None = None) -> Tensor:
    """Returns the share of each image's pixels whose hue lies in [i/bins, (i + 1)/bins), (samples, bins).

    Hue is the angle of the colour on its circle, over 360°: red 0, green ⅓, blue ⅔. Grey pixels have none and count as
    0, as in CS231n's handout. Equal to `numpy.histogram(hue, bins, (0, 1))` of matplotlib's `rgb_to_hsv`.

    Parameters
    ----------
    images : (samples, height, width, 3), uint8, or floating in [0, 1]
    dtype : of the result; by default float32, and float64 for float64 images
    """
    check_images(images, channels=3)
    errors.check_count("bins", bins, most=MOST_BINS)
    out = torch.empty(len(images), bins, dtype=dtype or working_dtype(images), device=images.device)
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1].tolist()

    def features_of(batch: Tensor) -> Tensor:
        angle = hue(batch)
        # how many lie at or beyond each edge: a few passes over the batch, where a binary search a pixel takes longer
        spare = torch.empty_like(angle)
        beyond = [spare.copy_(angle).ge_(edge).sum(1) for edge in edges]
        everything = torch.full_like(angle[:, 0], angle.shape[1])
        counts = torch.stack([everything, *beyond, torch.zeros_like(everything)], 1)
        return (counts[:, :-1] - counts[:, 1:]) / angle.shape[1]

    return fill(out, images, HUE_BYTES, features_of)


def hue(images: Tensor) -> Tensor:
    """Returns the hue of each pixel, (samples, pixels), float64, in [0, 1].

    With M the largest and m the smallest of (r, g, b), and d = M − m:
    hue = ⅙ · ((g − b)/d if M = r, 2 + (b − r)/d if M = g, 4 + (r − g)/d if M = b), modulo 1; 0 where d = 0.

    In float64 whatever the images are: many hues lie on the edge of a bin, and float32 would round them to the wrong
    side. Where two channels are largest the later formula is taken, as in matplotlib: both give the same hue, up to the
    last digit.
    """
    planes = images.flatten(1, 2).movedim(2, 0).contiguous().double()  # (3, samples, pixels)
    if images.dtype == torch.uint8:
        planes /= 255
    red, green, blue = planes
    largest = torch.maximum(red, green)
    smallest = torch.minimum(red, green)
    is_green = green.clone().ge_(red)  # 1.0 or 0.0; of two formulas lerp then takes the one or the other, exactly
    is_blue = blue.clone().ge_(largest)
    torch.maximum(largest, blue, out=largest)
    spread = largest.sub_(torch.minimum(smallest, blue, out=smallest))
    angle = (green - blue).lerp_(blue - red, is_green).lerp_(red - green, is_blue)
    # a grey pixel has spread 0 and difference 0: over 1 it is 0, and its sector is made 0 as well
    coloured = spread.clone().gt_(0.0)
    sector = torch.maximum(is_green.mul_(2.0), is_blue.mul_(4.0)).mul_(coloured)
    angle.div_(spread.add_(1.0 - coloured)).add_(sector).div_(6.0)
    return angle.add_(angle.clone().lt_(0.0))


def rgb_histogram(images: Tensor, bins: int = 8, joint: bool = False, dtype: torch.dtype | None = None) -> Tensor:
    """Returns histograms of red, green and blue: the share of pixels in each of `bins` equal intervals of [0, 256).

    (samples, 3 · bins), one histogram a channel, or with `joint` (samples, bins³), one for the colours as a whole, the
    blue bin changing fastest. Equal to `numpy.histogram(channel, bins, (0, 256))` and to `numpy.histogramdd`.

    Parameters
    ----------
    images : (samples, height, width, 3), uint8
    """
    check_images(images, channels=3)
    errors.check_count("bins", bins, most=256)
    if images.dtype != torch.uint8:
        raise errors.DtypeError(f"Expected images of dtype uint8 for RGB histograms; got {images.dtype}.")
    width = bins**3 if joint else 3 * bins
    out = torch.empty(len(images), width, dtype=dtype or torch.float32, device=images.device)

    def features_of(batch: Tensor) -> Tensor:
        bin = batch.flatten(1, 2).long() * bins // 256
        if joint:
            return shares((bin[..., 0] * bins + bin[..., 1]) * bins + bin[..., 2], width)
        bin += torch.arange(3, device=bin.device) * bins
        return shares(bin.flatten(1), width) * 3

    return fill(out, images, HUE_BYTES, features_of)


def shares(bins: Tensor, count: int) -> Tensor:
    """Returns the share of each bin in each row of (samples, values), (samples, count)."""
    samples, values = bins.shape
    flat = bins + torch.arange(samples, device=bins.device).unsqueeze(1) * count
    counts = torch.zeros(samples * count, dtype=torch.int64, device=bins.device)
    # whole numbers are added up, so that the order, which differs by device, does not matter
    counts.scatter_add_(0, flat.flatten(), torch.ones(1, dtype=torch.int64, device=bins.device).expand(flat.numel()))
    return counts.view(samples, count).double() / values
