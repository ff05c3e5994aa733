"""Kinds of features, all with the same methods: `fit` on the training part, then a call computes features.

    kinds = combination("hog,hue", {"cells_per_block": 2}).fit(train_images)
    kinds(images)                                  # (samples, width), the columns of hog, then of hue

A kind is a frozen dataclass of its options. `fit` returns a fitted kind (itself, where nothing is learnt), `state` its
learnt tensors, and `restore` a kind with such tensors: so a run's folder stores it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from .. import errors
from ..runtime.names import resolve
from . import colour, hog
from . import patches as bag
from .batches import check_images
from .pixels import pixels


@dataclass(frozen=True)
class FeatureKind:
    """One kind of feature. A subclass has fields for its options and implements `__call__`."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def __call__(self, images: Tensor) -> Tensor:
        """Computes features (samples, width), floating, from images (samples, height, width, channels)."""
        raise NotImplementedError

    def fit(self, images: Tensor) -> Self:
        """Returns a kind fitted to images of the training part."""
        return self

    def state(self) -> dict[str, Tensor]:
        """Returns the learnt tensors, by name."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> Self:
        """Returns the same kind with the learnt tensors of `state`."""
        return self

    def options(self) -> dict[str, Any]:
        """Returns the options, as a config has them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}


@dataclass(frozen=True)
class Pixels(FeatureKind):
    """The pixels themselves, in [0, 1]."""

    name = "pixels"
    summary = "the pixels of an image in [0, 1], row by row"

    def __call__(self, images: Tensor) -> Tensor:
        return pixels(images)


@dataclass(frozen=True)
class HOG(FeatureKind):
    """Histograms of oriented gradients: see `edunn.features.hog.hog`."""

    orientations: int = 9
    pixels_per_cell: int | Sequence[int] = 8
    cells_per_block: int | Sequence[int] = 3
    block_norm: str = "L2-Hys"
    transform_sqrt: bool = False

    name = "hog"
    summary = "histograms of oriented gradients: shape"

    def __call__(self, images: Tensor) -> Tensor:
        return hog.hog(images, **self.options())


@dataclass(frozen=True)
class Hue(FeatureKind):
    """The histogram of hues: see `edunn.features.colour.hue_histogram`."""

    bins: int = 10

    name = "hue"
    summary = "the histogram of an image's hues: colour"

    def __call__(self, images: Tensor) -> Tensor:
        return colour.hue_histogram(images, self.bins)


@dataclass(frozen=True)
class RGB(FeatureKind):
    """Histograms of red, green and blue: see `edunn.features.colour.rgb_histogram`."""

    bins: int = 8
    joint: bool = False

    name = "rgb"
    summary = "histograms of red, green and blue, apart or jointly"

    def __call__(self, images: Tensor) -> Tensor:
        return colour.rgb_histogram(images, self.bins, self.joint)


@dataclass(frozen=True)
class Patches(FeatureKind):
    """A bag of visual words, learnt from random patches: see `edunn.features.patches.learn`."""

    words: int = 400
    size: int = 6
    patches: int = 200_000
    rounds: int = 10
    coding: str = "triangle"
    epsilon: float = 0.1
    start: str = "normal"
    seed: int = 0
    dictionary: bag.Dictionary | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    name = "patches"
    summary = "a bag of visual words: patches coded by a dictionary that k-means learns from the training part"

    def fit(self, images: Tensor) -> Self:
        return self.with_dictionary(bag.learn(images, **self.options()))

    def __call__(self, images: Tensor) -> Tensor:
        if self.dictionary is None:
            raise errors.ConfigError("The patches have no dictionary yet. Call fit(images) on the training part.")
        return self.dictionary(images)

    def state(self) -> dict[str, Tensor]:
        if self.dictionary is None:
            return {}
        whitening = self.dictionary.whitening
        return {"mean": whitening.mean, "matrix": whitening.matrix, "centroids": self.dictionary.centroids}

    def restore(self, state: Mapping[str, Tensor]) -> Self:
        whitening = bag.Whitening(state["mean"], state["matrix"])
        return self.with_dictionary(bag.Dictionary(whitening, state["centroids"], self.size, self.coding))

    def with_dictionary(self, dictionary: bag.Dictionary) -> Self:
        kind = dataclasses.replace(self)
        object.__setattr__(kind, "dictionary", dictionary)
        return kind


KINDS: dict[str, type[FeatureKind]] = {kind.name: kind for kind in (Pixels, HOG, Hue, RGB, Patches)}


@dataclass(frozen=True)
class Combination:
    """Several kinds, whose features are concatenated."""

    kinds: tuple[FeatureKind, ...]

    @property
    def name(self) -> str:
        return ",".join(kind.name for kind in self.kinds)

    def fit(self, images: Tensor) -> Combination:
        check_images(images)
        return Combination(tuple(kind.fit(images) for kind in self.kinds))

    def __call__(self, images: Tensor) -> Tensor:
        """Computes the features of all kinds, (samples, sum of their widths)."""
        parts = [kind(images) for kind in self.kinds]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def options(self) -> dict[str, dict[str, Any]]:
        return {kind.name: kind.options() for kind in self.kinds}

    def state(self) -> dict[str, Tensor]:
        return {f"{kind.name}.{key}": tensor for kind in self.kinds for key, tensor in kind.state().items()}

    def restore(self, state: Mapping[str, Tensor]) -> Combination:
        def own(kind: FeatureKind) -> dict[str, Tensor]:
            start = f"{kind.name}."
            return {key.removeprefix(start): t for key, t in state.items() if key.startswith(start)}

        return Combination(tuple(kind.restore(own(kind)) for kind in self.kinds))


def combination(kinds: str, options: Mapping[str, Any] | None = None) -> Combination:
    """Returns the kinds of these names, "hog" or "hog,hue", with their options.

    An option goes to the one kind that has it. If two have it ("bins" of hue and rgb), name the kind:
    `{"hue": {"bins": 20}}`.
    """
    listed = [resolve(name.strip(), KINDS, "features") for name in kinds.split(",")]
    if len(set(listed)) < len(listed):
        raise errors.ConfigError(f"{kinds!r} names a kind of features twice. Remove one.")
    takes = {name: [f.name for f in dataclasses.fields(KINDS[name]) if f.init] for name in listed}
    given: dict[str, dict[str, Any]] = {name: {} for name in listed}
    for key, value in (options or {}).items():
        if key in given and isinstance(value, Mapping):
            for inner, setting in value.items():
                check_option(inner, {key: takes[key]})
                given[key][inner] = setting
            continue
        owners = check_option(key, takes)
        if len(owners) > 1:
            raise errors.ConfigError(
                f"{' and '.join(owners)} both have an option {key}. Write features.{owners[0]}.{key}."
            )
        given[owners[0]][key] = value
    return Combination(tuple(make(name, given[name]) for name in listed))


def check_option(key: str, takes: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the kinds that take this option."""
    owners = [name for name, known in takes.items() if key in known]
    if not owners:
        known = {option for options in takes.values() for option in options}
        hint = errors.nearest(key, known) if known else "It takes none."
        raise errors.ConfigError(f"Unknown config key features.{key} for {','.join(takes)!r}. {hint}")
    return owners


def make(name: str, options: Mapping[str, Any]) -> FeatureKind:
    """Makes a kind with its options, each of the type of its default."""
    defaults = KINDS[name]()
    for key, value in options.items():
        default = getattr(defaults, key)
        if key in ("pixels_per_cell", "cells_per_block"):
            hog.pair(key, tuple(value) if isinstance(value, list) else value)
        elif isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            pass
        elif type(value) is not type(default):
            kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
            raise errors.ConfigError(f"features.{key} must be {kinds[type(default)]}; got {value!r}.")
    return KINDS[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
