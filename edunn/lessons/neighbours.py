"""From nearest neighbours to a line to features: what each remembers, and what it gets right."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..data import digits
from ..data.samples import Samples
from ..data.shape_images import shapes
from ..descent import descend
from ..features.colour import hue_histogram
from ..features.hog import hog
from ..features.standardise import Standardise
from ..losses import CrossEntropy, MulticlassHinge
from ..models import LinearSVM, SoftmaxClassifier
from ..neighbours import NearestNeighbours
from .engine import Lesson, Table

DERIVATION = """\
k nearest neighbours keep every training image and vote among the k at the least distance Σ (a − b)²: nothing is learnt,
and every prediction costs a pass over the data. A linear classifier keeps one template a class. Where a class is no
template (a shape at any place, size and turn) neither serves on pixels; histograms of gradient directions and of hues
forget place and keep form and colour, and on them a line beats the neighbours.
Measured: the digits, on their own test part; made images of twelve classes (hue × texture × shape), on 300 new ones
after 1,200. One run each, rates chosen once by hand: the order is the result, not the digits."""

RATES = {"digits": 0.5, "made images, pixels": 0.003, "made images, histograms": 0.01}


@cache
def parts(name: str) -> tuple[Samples, Samples]:
    """Training and test part of a set, as rows of numbers."""
    if name == "digits":
        whole = digits()
        assert whole.test is not None
        return whole.train, whole.test
    train, test = shapes(1200, seed=0), shapes(300, seed=1)
    lift = flattened if name == "made images, pixels" else histograms
    features, unseen = lift(train.features), lift(test.features)
    if lift is histograms:  # fitted on the training part alone
        scale = Standardise.fit(features)
        features, unseen = scale(features), scale(unseen)
    return Samples(features, train.targets), Samples(unseen, test.targets)


def flattened(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255


def histograms(images: Tensor) -> Tensor:
    """Histograms of gradients and of hues, side by side."""
    return torch.cat([hog(images), hue_histogram(images)], 1).float()


def right(name: str, what: str) -> float:
    """The share of new images that are told right."""
    train, test = parts(name)
    assert train.targets is not None
    assert test.targets is not None
    if what.endswith("nearest"):
        memory = NearestNeighbours(int(what[0])).fit(train.features, train.targets)
        return float(memory.score(test.features, test.targets))
    width, classes = train.features.shape[1], int(train.targets.max()) + 1
    softmax = what == "softmax"
    model = SoftmaxClassifier(width, classes) if softmax else LinearSVM(width, classes)
    rate = RATES[name]
    descend(model, CrossEntropy() if softmax else MulticlassHinge(), train, rate=rate, batch_size=50, epochs=100,
            evaluate=0)  # fmt: skip
    return float(model.score(test.features, test.targets))


def tables() -> list[Table]:
    kinds = ("1 nearest", "5 nearest", "softmax", "svm")
    names = ("digits", "made images, pixels", "made images, histograms")
    cells = [[name, parts(name)[0].features.shape[1], *(right(name, kind) for kind in kinds)] for name in names]
    return [Table("Share of new images told right", ("images", "numbers an image", *kinds), cells)]


LESSONS = (
    Lesson("nearest-neighbours", "001", "From neighbours to lines to features: what does each step buy?", DERIVATION,
           make_tables=tables),
)  # fmt: skip
