"""Compares nearest neighbours, linear classifiers and image features: what each stores, and its accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from .. import neighbours
from ..data import digits
from ..data.samples import Samples, split
from ..data.shape_images import shapes
from ..descent import Descent, descend
from ..descent.stack import train_together, vary
from ..features.colour import hue_histogram
from ..features.hog import hog
from ..features.standardise import Standardise
from ..losses import CrossEntropy, Loss, MulticlassHinge
from ..models import LinearModel, LinearSVM, SoftmaxClassifier
from ..neighbours import NearestNeighbours
from ..selection import choose_k
from .engine import Lesson, Table

DERIVATION = """\
k nearest neighbours keep every training image and vote among the k at the least distance Σ (a − b)²: nothing is learnt,
and every prediction costs a pass over the data. |q − a|² = |q|² − 2 q·a + |a|² makes one matrix product of all of them.
A linear classifier keeps one template a class. If a class has many forms (a shape at any place, size and rotation),
neither is accurate on pixels; histograms of gradient directions and of hues do not depend on the place, only on form
and colour, and on them a linear classifier is better than the neighbours.
Measured: the digits, on their own test part; made images of twelve classes (hue × texture × shape), on 300 new ones
after 1,200. Rates and k are chosen on a quarter of the training part that is not trained on; then each is trained on
the whole training part, and the test part is looked at once. One run each: the order is the result, not the digits."""

KS = (1, 3, 5, 9, 15)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
EPOCHS, BATCH = 100, 50
NAMES = ("digits", "made images, pixels", "made images, histograms")
LINES: dict[str, tuple[type[LinearModel], Loss]] = {
    "softmax": (SoftmaxClassifier, CrossEntropy()),
    "svm": (LinearSVM, MulticlassHinge()),
}


@cache
def parts(name: str) -> tuple[Samples, Samples]:
    """Returns the training and test parts of a set of images, as rows of features."""
    if name == "digits":
        whole = digits()
        assert whole.test is not None
        return whole.train, whole.test
    train, test = shapes(1200, seed=0), shapes(300, seed=1)
    lift = flatten_pixels if name == "made images, pixels" else histograms
    return Samples(lift(train.features), train.targets), Samples(lift(test.features), test.targets)


def flatten_pixels(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255


def histograms(images: Tensor) -> Tensor:
    """Returns histograms of gradients and of hues, side by side."""
    return torch.cat([hog(images), hue_histogram(images)], 1).float()


def standardise(name: str, train: Samples, other: Samples) -> tuple[Samples, Samples]:
    """Standardises histograms by the training part's mean and standard deviation; pixels do not change."""
    if name != "made images, histograms":
        return train, other
    scale = Standardise.fit(train.features)
    return Samples(scale(train.features), train.targets), Samples(scale(other.features), other.targets)


@dataclass(frozen=True)
class Result:
    """The value chosen on the validation part, and the accuracies on the validation and test parts."""

    chosen: float
    validation: float
    test: float


@cache
def by_neighbours(name: str) -> Result:
    train, test = parts(name)
    learnt, held = standardise(name, *split(train, 0.25))
    search = choose_k(learnt, KS, validation=held)
    k = search.best["k"]
    known, unseen = standardise(name, train, test)
    assert known.targets is not None
    assert unseen.targets is not None
    memory = NearestNeighbours(k).fit(known.features, known.targets)
    return Result(k, search.means[search.chosen], float(memory.score(unseen.features, unseen.targets)))


@cache
def by_line(name: str, kind: str) -> Result:
    train, test = parts(name)
    assert train.targets is not None
    make, loss = LINES[kind]
    width, classes = train.features.shape[1], int(train.targets.max()) + 1
    learnt, held = standardise(name, *split(train, 0.25))
    base = Descent(make(width, classes), loss, learnt, RATES[0], BATCH, epochs=EPOCHS, validation=held, evaluate=0)
    histories = train_together([vary(base, rate=rate) for rate in RATES])  # all rates at once
    shares = [history.last("validation_accuracy") or 0.0 for history in histories]
    best = max(range(len(RATES)), key=lambda i: shares[i])
    known, unseen = standardise(name, train, test)
    model = make(width, classes)
    descend(model, loss, known, rate=RATES[best], batch_size=BATCH, epochs=EPOCHS, evaluate=0)
    assert unseen.targets is not None
    return Result(RATES[best], shares[best], float(model.score(unseen.features, unseen.targets)))


def tables() -> list[Table]:
    cells = []
    for name in NAMES:
        width = parts(name)[0].features.shape[1]
        for kind in ("nearest neighbours", *LINES):
            found = by_neighbours(name) if kind == "nearest neighbours" else by_line(name, kind)
            letter = "k" if kind == "nearest neighbours" else "rate"
            shares = (round(found.validation, 4), round(found.test, 4))
            cells.append([name, width, kind, f"{letter} = {found.chosen:g}", *shares])
    columns = ("images", "numbers an image", "what", "chosen", "right, validation", "right, test")
    return [Table("Share of images told right", columns, cells), compare_distances()]


def compare_distances() -> Table:
    """Returns a table of three ways to compute the distances of ten images from fifty others, and their errors."""
    train, test = parts("made images, histograms")
    queries, features = test.features[:10].double(), train.features[:50].double()
    first = neighbours.by_two_loops(queries, features)
    ways = {
        "two loops": (first, len(queries) * len(features)),
        "one loop": (neighbours.by_one_loop(queries, features), len(queries)),
        "one product": (neighbours.by_product(queries, features), 1),
    }
    cells = [[name, steps, float((found - first).abs().max() / first.max())] for name, (found, steps) in ways.items()]
    columns = ("way", "python steps", "largest difference, relative")
    return Table("Squared distances of 10 images from 50 others, by their histograms", columns, cells)


LESSONS = (
    Lesson("nearest-neighbours", "001", "How accurate are nearest neighbours, linear classifiers and image features?",
           DERIVATION, make_tables=tables),
)  # fmt: skip
