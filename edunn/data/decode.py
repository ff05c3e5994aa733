"""Decodes image files into pixels: every image RGB, 8 bits a channel, of one size."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import ConfigError, DataError

PIXELS = 64_000_000  # the most that one image may have: a file of a few kB can say many more
DECODED = 8 * 2**30  # bytes that all images together may take in memory
BLOCK = 64  # images that a thread decodes between two reports of progress


def decode(content: bytes, name: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decodes one image file, (height, width, 3) uint8; errors name it by `name`.

    Grey becomes RGB, transparent becomes white, a photo is rotated as its EXIF data says, and of an animation the first
    picture is taken.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            check_header(opened, name)
            image = ImageOps.exif_transpose(opened) if "exif" in opened.info else opened
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
            if size is not None and image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)  # Pillow averages where it shrinks
            return np.asarray(image)
    except DataError:
        raise
    except UnidentifiedImageError as problem:
        raise DataError(f"'{name}' cannot be read as an image. Remove or replace it.") from problem
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise too_large(name) from problem
    except Exception as problem:  # on damaged bytes Pillow's decoders raise a dozen kinds, which all mean the same
        raise DataError(f"'{name}' is damaged ({problem}). Replace it.") from problem


def decode_all(
    names: Sequence[str],
    read: Callable[[int], bytes],
    size: tuple[int, int] | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[Tensor, list[str]]:
    """Decodes all images, (samples, height, width, 3) uint8; returns them and the sha256 of each file.

    Parameters
    ----------
    names : of the files, for errors
    read : the bytes of the file at an index; called from several threads
    size : (height, width) to resize to; without it, images of different sizes are refused
    report : called with the number of images done
    """
    first = decode(read(0), names[0], size)
    total = len(names) * first.nbytes
    if total > DECODED:
        raise DataError(
            f"Expected images that take {DECODED / 2**30:g} GiB or less in memory; {len(names):,} of "
            f"{first.shape[0]}×{first.shape[1]} take {total / 2**30:.0f}. Take a smaller size, such as size=32."
        )
    images = np.empty((len(names), *first.shape), dtype=np.uint8)

    def block(start: int) -> list[str]:
        digests = []
        for row in range(start, min(start + BLOCK, len(names))):
            content = read(row)
            image = decode(content, names[row], size)
            if image.shape != first.shape:
                raise DataError(
                    f"The images differ in size: '{names[0]}' is {first.shape[0]}×{first.shape[1]} and "
                    f"'{names[row]}' {image.shape[0]}×{image.shape[1]} (height×width). "
                    f"Say size={min(first.shape[:2])} to resize them all."
                )
            images[row] = image
            digests.append(hashlib.sha256(content).hexdigest())
        return digests

    # Pillow lets go of the interpreter while it decodes: two threads take 0.6 of the time from 128×128 on, and the
    # same time at 32×32. `map` hands results on in order, so it is always the first bad file that is named.
    digests: list[str] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for found in pool.map(block, range(0, len(names), BLOCK)):
            digests += found
            report(len(digests))
    return torch.from_numpy(images), digests


def check_header(image: Image.Image, name: str) -> None:
    """Checks the size and depth that the file declares, before anything is decoded."""
    if image.width * image.height > PIXELS:
        raise too_large(name)
    if image.mode[0] in "IF":
        raise DataError(
            f"'{name}' has more than 8 bits a channel (Pillow's mode {image.mode!r}). Convert it to 8 bits first."
        )


def check_size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Returns (height, width) from a side or both."""
    if size is None:
        return None
    both = tuple(size) if isinstance(size, list | tuple) else (size, size)
    if len(both) != 2 or not all(type(n) is int and n >= 1 for n in both) or both[0] * both[1] > PIXELS:
        raise ConfigError(f"size is a side, or (height, width), in pixels; got {size!r}. Try size=32.")
    return both[0], both[1]


def too_large(name: str) -> DataError:
    return DataError(f"'{name}' has more than {PIXELS // 10**6} million pixels. Shrink it, or take it out.")
