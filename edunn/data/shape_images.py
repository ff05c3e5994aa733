"""Generated colour images, whose class is a hue, a texture and a shape.

Features of colour alone, of texture alone or of shape alone separate some of the classes, but not all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor

from ..errors import ConfigError, check_count, nearest
from ..runtime import devices
from .samples import Samples

SIDE = 32  # pixels
MOST = 1_000_000  # images, of 3 KiB each
BLOCK = 1000  # images drawn at once; the noise is drawn by block, so that memory stays small

HUES = {"red": 0.0, "yellow": 1 / 6, "green": 1 / 3, "blue": 2 / 3}  # the turn around the colour wheel

# The distance from the outline in units of the shape's radius, negative inside, at (u, v) in the shape's own axes.
SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "disc": lambda u, v: torch.hypot(u, v) - 0.9,
    "square": lambda u, v: torch.maximum(u.abs(), v.abs()) - 0.8,
    "triangle": lambda u, v: torch.maximum(v - 0.5, (math.sqrt(3) * u.abs() - v) / 2 - 0.5),
    "ring": lambda u, v: (torch.hypot(u, v) - 0.75).abs() - 0.22,
}

# The brightness in [0, 1] at (u, v); a period is half a radius, so four to eight pixels.
TEXTURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "plain": lambda u, v: torch.ones_like(u),
    "striped": lambda u, v: _edge(torch.sin(4 * math.pi * u)),
    "checked": lambda u, v: _edge(torch.sin(3 * math.pi * u) * torch.sin(3 * math.pi * v)),
}

CLASSES = tuple(
    "-".join(words) for words in product(("red", "green"), ("plain", "striped"), ("disc", "square", "ring"))
)


def shapes(samples: int = 2000, seed: int = 0, classes: Sequence[str] = CLASSES) -> Samples:
    """Returns images of one coloured, textured shape each, of random place, size and rotation, on a noisy grey ground.

    Parameters
    ----------
    samples : their number. Classes are balanced and take turns, so any slice has some of each
    classes : hue-texture-shape, as in "red-striped-disc": hues red, yellow, green, blue; textures plain, striped,
        checked; shapes disc, square, triangle, ring. By default the twelve of `CLASSES`. Indices follow this order.

    Returns
    -------
    features (samples, 32, 32, 3) uint8, targets (samples,) int64
    """
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise ConfigError(f"classes must be a list of names, such as {CLASSES[:2]}; got {classes!r}.")
    words = [_words(name) for name in classes]
    if len(set(classes)) < len(classes) or len(classes) < 2:
        raise ConfigError(f"Give two classes or more, each once; got {tuple(classes)}.")
    check_count("samples", samples, len(classes), MOST)
    generator = devices.generator(seed, int.from_bytes(b"shapes", "big"))
    targets = torch.arange(samples) % len(classes)
    images = torch.empty(samples, SIDE, SIDE, 3, dtype=torch.uint8)
    for start in range(0, samples, BLOCK):
        block = slice(start, start + BLOCK)
        images[block] = _draw(words, targets[block], generator)
    return Samples(images, targets, classes=tuple(classes), target_name="class")


def _draw(words: list[tuple[str, str, str]], targets: Tensor, generator: torch.Generator) -> Tensor:
    """Returns the images of some samples, (samples, 32, 32, 3) uint8. All tensors below are (images, height, width)."""
    samples = len(targets)

    def between(low: float, high: float) -> Tensor:
        """Returns a uniform random number for each image, (samples, 1, 1)."""
        return low + (high - low) * torch.rand(samples, 1, 1, generator=generator)

    # where it lies: pixel coordinates in the shape's own axes, in units of its radius
    radius, turn = between(8, 13), between(-math.pi, math.pi)
    row, column = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    x, y = column - SIDE / 2 - between(-5, 5), row - SIDE / 2 - between(-5, 5)
    u = (turn.cos() * x + turn.sin() * y) / radius
    v = (turn.cos() * y - turn.sin() * x) / radius

    distance, light = torch.empty_like(u), torch.empty_like(u)
    hue = between(-0.05, 0.05)
    shift = between(0, 1)  # a texture starts anywhere
    for label, (colour, texture, shape) in enumerate(words):
        own = targets == label
        distance[own] = SHAPES[shape](u[own], v[own])
        light[own] = TEXTURES[texture](u[own] + shift[own], v[own] + shift[own])
        hue[own] += HUES[colour]

    inside = (0.5 - distance * radius).clamp(0, 1)  # the outline is one pixel soft
    value = between(0.6, 1.0) * (0.45 + 0.55 * light)
    figure = _rgb(hue, between(0.6, 1.0), value)
    slope = between(-0.15, 0.15) * x / SIDE + between(-0.15, 0.15) * y / SIDE
    ground = _rgb(between(0, 1), between(0, 0.3), between(0.25, 0.85) + slope)
    picture = inside.unsqueeze(-1) * figure + (1 - inside).unsqueeze(-1) * ground
    picture += 0.05 * torch.randn(picture.shape, generator=generator)
    return (255 * picture.clamp(0, 1)).round().to(torch.uint8)


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Converts hue (1 is a full circle), saturation and value to red, green and blue, a last axis; all in [0, 1].

    channel = v − v s max(0, min(k, 4 − k, 1)) with k = (n + 6h) mod 6 and n = 5, 3, 1 for red, green, blue.
    """
    channels = []
    for n in (5, 3, 1):
        k = (n + 6 * hue) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=-1)


def _edge(wave: Tensor) -> Tensor:
    """Converts a wave in [−1, 1] to bands of 0 and 1 with soft edges."""
    return (0.5 + 2 * wave).clamp(0, 1)


def _words(name: str) -> tuple[str, str, str]:
    hue, _, rest = str(name).partition("-")
    texture, _, shape = rest.partition("-")
    if hue in HUES and texture in TEXTURES and shape in SHAPES:
        return hue, texture, shape
    known = ["-".join(words) for words in product(HUES, TEXTURES, SHAPES)]
    raise ConfigError(f"A class is called hue-texture-shape; got {name!r}. {nearest(str(name), known)}")
