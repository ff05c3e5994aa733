"""Toy sets by formula: one seed, one set of numbers, in float64. `TOYS` maps a config's name to its function."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, check_count, check_number, nearest
from ..runtime import devices
from .samples import Samples

MOST = 100_000_000  # samples of a toy
CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "sine": torch.sin,
    "parabola": lambda x: x**2 / 4 - 1,
}


def line(samples: int = 100, seed: int = 0, noise: float = 1.0) -> Samples:
    """y = 2x + 3.5 + noise·ε, with x uniform in [0, 10], ascending, and ε standard normal."""
    generator = _start("line", samples, seed, noise)
    x = (10 * _uniform(samples, generator)).sort().values
    return _regression(x, 2 * x + 3.5 + noise * _normal(samples, generator))


def lecture_line() -> Samples:
    """The lecture's 100 points: x = linspace(0, 10), y = 2x + 3.5 + ε, drawn by numpy's legacy generator at seed 1337.

    numpy keeps that generator's numbers for good (NEP 19), so the lecture's results can be recomputed to the last
    digit: least squares gives m = 2.00057348731401, b = 3.342509884508204, mean squared error 1.024103703253268.
    """
    x = np.linspace(0, 10, 100)
    y = 2 * x + 3.5 + np.random.RandomState(1337).normal(0, 1, 100)
    return _regression(torch.from_numpy(x), torch.from_numpy(y))


def random_linear(samples: int = 100, seed: int = 0, noise: float = 1.0) -> Samples:
    """y = w·x + b + noise·ε, with x and ε standard normal, and the line itself drawn too: w, b uniform in [−3, 3]."""
    generator = _start("random-linear", samples, seed, noise)
    w, b = (6 * _uniform(2, generator) - 3).tolist()
    x = _normal(samples, generator)
    return _regression(x, w * x + b + noise * _normal(samples, generator))


def random_binary(samples: int = 100, seed: int = 0, noise: float = 1.0, uniform: bool = False) -> Samples:
    """Zeros and ones along one feature: P(y = 1) = σ((2x − 1) / noise).

    So y = 1 where 2x − 1 + noise·ε > 0, with ε from the logistic distribution. At noise 1 a logistic regression can
    find the true weight 2 and bias −1; at noise 0 the labels are a clean threshold at x = ½, and its weight would grow
    for ever.

    Parameters
    ----------
    uniform : x uniform in [0, 1], where the threshold is in the middle; else standard normal
    """
    generator = _start("random-binary", samples, seed, noise)
    x = _uniform(samples, generator) if uniform else _normal(samples, generator)
    epsilon = torch.logit(_uniform(samples, generator), eps=1e-15)
    return _classification(x.unsqueeze(1), (2 * x - 1 + noise * epsilon > 0).long(), ("0", "1"))


def blobs(samples: int = 300, seed: int = 0, noise: float = 1.0, classes: int = 3) -> Samples:
    """Round clouds of standard deviation `noise` around centres on a circle of radius 4: linearly separable, nearly."""
    generator = _start("blobs", samples, seed, noise, classes)
    targets = _labels(samples, classes)
    angle = 2 * math.pi * targets / classes
    return _classification(
        4 * _circle(angle) + noise * _normal((samples, 2), generator), targets, tuple(map(str, range(classes)))
    )


def moons(samples: int = 200, seed: int = 0, noise: float = 0.1) -> Samples:
    """Two half circles of radius 1 that reach into each other: the first non-linear boundary."""
    generator = _start("moons", samples, seed, noise, 2)
    targets = _labels(samples, 2)
    angle = math.pi * _uniform(samples, generator)
    upper = _circle(angle)
    lower = torch.tensor([1.0, 0.5], dtype=torch.float64) - upper
    points = torch.where(targets.unsqueeze(1) == 0, upper, lower)
    return _classification(points + noise * _normal((samples, 2), generator), targets, ("upper", "lower"))


def circles(samples: int = 200, seed: int = 0, noise: float = 0.1, ratio: float = 0.5) -> Samples:
    """A circle of radius 1 around one of radius `ratio`: no line separates them, x₁² + x₂² does."""
    generator = _start("circles", samples, seed, noise, 2)
    check_number("ratio", ratio, 0, 1, open_ends="low high")
    targets = _labels(samples, 2)
    radius = torch.where(targets == 0, 1.0, ratio)
    points = radius.unsqueeze(1) * _circle(2 * math.pi * _uniform(samples, generator))
    return _classification(points + noise * _normal((samples, 2), generator), targets, ("outer", "inner"))


def spirals(samples: int = 300, seed: int = 0, noise: float = 0.02, classes: int = 3) -> Samples:
    """Arms of a spiral from the centre to radius 1, each turned against the next: linear classifiers fail on them."""
    generator = _start("spirals", samples, seed, noise, classes)
    targets = _labels(samples, classes)
    radius = _uniform(samples, generator)
    angle = 2 * math.pi * (targets / classes + 0.75 * radius)
    points = radius.unsqueeze(1) * _circle(angle) + noise * _normal((samples, 2), generator)
    return _classification(points, targets, tuple(map(str, range(classes))))


def above_curve(samples: int = 300, seed: int = 0, noise: float = 0.1, curve: str = "sine") -> Samples:
    """Is the point above the curve? Points uniform in [−4, 4] × [−2, 2], class 1 where x₂ > f(x₁) + noise·ε.

    Parameters
    ----------
    curve : f: "sine", sin x; or "parabola", x²/4 − 1
    """
    generator = _start("above-curve", samples, seed, noise)
    if curve not in CURVES:
        raise ConfigError(f"Unknown curve {curve!r}. {nearest(str(curve), CURVES)}")
    points = _uniform((samples, 2), generator) * torch.tensor([8.0, 4.0]) - torch.tensor([4.0, 2.0])
    height = CURVES[curve](points[:, 0]) + noise * _normal(samples, generator)
    return _classification(points, (points[:, 1] > height).long(), ("below", "above"))


TOYS: dict[str, Callable[..., Samples]] = {
    "line": line,
    "lecture-line": lecture_line,
    "random-linear": random_linear,
    "random-binary": random_binary,
    "blobs": blobs,
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
    "above-curve": above_curve,
}


def _start(name: str, samples: int, seed: int, noise: float, classes: int = 1) -> torch.Generator:
    """Checks the options that toys share; returns a generator of the toy's own, so that two toys are not correlated."""
    check_count("classes", classes, 2 if name in ("blobs", "spirals") else 1, MOST)
    check_count("samples", samples, classes, MOST)
    check_number("noise", noise, 0)
    return devices.generator(seed, int.from_bytes(name.encode(), "big"))


def _uniform(shape: int | tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def _normal(shape: int | tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _circle(angle: Tensor) -> Tensor:
    """Points of the unit circle, (samples, 2)."""
    angle = angle.double()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def _labels(samples: int, classes: int) -> Tensor:
    """0, 1, …, k − 1, 0, 1, …: balanced, and any slice has a bit of each."""
    return torch.arange(samples) % classes


def _regression(x: Tensor, y: Tensor) -> Samples:
    return Samples(x.unsqueeze(1), y, feature_names=("x",), target_name="y")


def _classification(points: Tensor, targets: Tensor, classes: tuple[str, ...]) -> Samples:
    names = ("x",) if points.shape[1] == 1 else ("x1", "x2")
    return Samples(points, targets, classes=classes, feature_names=names, target_name="class")
