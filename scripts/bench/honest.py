"""Compares the error that a surface reports with the true one, from numpy, at every grid point of random studies.

    python scripts/bench/honest.py [--json] [--studies N] [--seed S] [--only NUMBER] [--show]

A study draws data (normal, Cauchy, clusters, far outliers, far from 0, constant, duplicated; scales 1e-6 to 1e6; 1 to
5,000 samples, weighted or not), a loss, a window (wide, narrow, far from the data, about the minimum), a dtype and a
method; it is a (w, b) grid of one feature, a curve at one b, a plane of a linear model with several features or
classes, or a plane of a net. The truth is the formula written again here, in numpy and with the digits of
`numpy.longdouble` (80 bits on x86) while a study is small. The true error is the largest difference over the whole
grid, relative to the largest finite loss; a value that is not finite is infinitely wrong. Every tenth study has so many
samples and points that `auto` compresses the samples.

dishonest : the true error is above 10 × the reported one, and above 1e-6
overcautious : the reported error is above 1,000 × the true one, and above 1e-6
wrong_minima : a reported minimum that a ring of points around it improves; or a lower minimum inside the window, found
    by a scan and scipy, that is not reported; or a minimum off the curve
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from edunn import landscape, losses, models, penalties
from edunn.activations import ACTIVATIONS
from edunn.data import Samples
from edunn.errors import EdunnError

Array = NDArray[Any]
Random = np.random.Generator
FLOOR = 1e-6  # relative errors below this are no one's concern
SMALL = 2_000_000  # evaluations of a loss in longdouble, which take half a second

# ---- the losses again, in numpy --------------------------------------------------------------------------------------


def softplus(s: Array) -> Array:
    return np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))


def binary_cross_entropy(s: Array, y: Array) -> Array:
    return np.maximum(s, 0) - y * s + np.log1p(np.exp(-np.abs(s)))


def sigmoid(s: Array) -> Array:
    e = np.exp(-np.abs(s))
    return np.where(s >= 0, 1, e) / (1 + e)


def squared(through: Callable[[Array], Array], factor: float = 1.0) -> Callable[[Array, Array], Array]:
    return lambda s, y: factor * (through(s) - y) ** 2


def huber(delta: float) -> Callable[[Array, Array], Array]:
    def value(s: Array, y: Array) -> Array:
        distance = np.abs(s - y)
        return np.where(distance <= delta, distance**2 / 2, delta * (distance - np.asarray(delta, s.dtype) / 2))

    return value


def one_hot(s: Array, y: Array) -> Array:
    return np.broadcast_to(np.eye(s.shape[-1], dtype=s.dtype)[y.astype(int)], s.shape)


def true_class(s: Array, y: Array) -> Array:
    return (s * one_hot(s, y)).sum(-1, keepdims=True)


def cross_entropy(s: Array, y: Array) -> Array:
    s = s - true_class(s, y)
    top = s.max(-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(s - top).sum(-1))


def multiclass(power: int) -> Callable[[Array, Array], Array]:
    return lambda s, y: (np.maximum(0, s - true_class(s, y) + 1) ** power * (1 - one_hot(s, y))).sum(-1)


def through(name: str, **options: Any) -> losses.Loss:
    return losses.SquaredError(through=ACTIVATIONS[name](), **options)


@dataclass(frozen=True)
class Case:
    """One of our losses, its formula, its labels, its methods on one feature, and whether it jumps."""

    make: Callable[[], losses.Loss]
    formula: Callable[[Array, Array], Array]
    labels: str
    methods: tuple[str, ...]
    step: bool = False


ANALYTIC, PIECEWISE, ANY = ("auto", "direct", "spectral"), ("auto", "direct", "exact"), ("auto", "direct")
CASES = {
    "mse": Case(losses.SquaredError, squared(lambda s: s), "real", PIECEWISE),
    "half mse": Case(lambda: losses.SquaredError(half=True), squared(lambda s: s, 0.5), "real", PIECEWISE),
    "mse sigmoid": Case(lambda: through("sigmoid"), squared(sigmoid), "bits", ANALYTIC),
    "mse tanh": Case(lambda: through("tanh"), squared(np.tanh), "signs", ANALYTIC),
    "mse tanh real": Case(lambda: through("tanh", half=True), squared(np.tanh, 0.5), "real", ANALYTIC),
    "mse relu": Case(lambda: through("relu"), squared(lambda s: np.maximum(s, 0)), "real", ANY),
    "mse leaky": Case(lambda: through("leaky-relu"), squared(lambda s: np.where(s > 0, s, 0.01 * s)), "real", ANY),
    "absolute": Case(losses.AbsoluteError, lambda s, y: np.abs(s - y), "real", PIECEWISE),
    "huber": Case(losses.Huber, huber(1.0), "real", PIECEWISE),
    "huber 0.3": Case(lambda: losses.Huber(0.3), huber(0.3), "real", PIECEWISE),
    "bce": Case(losses.BinaryCrossEntropy, binary_cross_entropy, "bits", ANALYTIC),
    "bce soft": Case(losses.BinaryCrossEntropy, binary_cross_entropy, "soft", ANALYTIC),
    "logistic": Case(losses.Logistic, lambda s, y: softplus(-y * s), "signs", ANALYTIC),
    "hinge": Case(losses.Hinge, lambda s, y: np.maximum(0, 1 - y * s), "signs", PIECEWISE),
    "squared hinge": Case(
        lambda: losses.Hinge(power=2), lambda s, y: np.maximum(0, 1 - y * s) ** 2, "signs", PIECEWISE
    ),
    "perceptron": Case(losses.Perceptron, lambda s, y: np.maximum(0, -y * s), "signs", PIECEWISE),
    "zero-one": Case(losses.ZeroOne, lambda s, y: (y * s <= 0).astype(s.dtype), "signs", PIECEWISE, step=True),
}
SEVERAL = {  # a score for each class
    "cross-entropy": Case(losses.CrossEntropy, cross_entropy, "classes", ANALYTIC),
    "mse classes": Case(
        lambda: losses.SquaredError(classes=True), lambda s, y: ((s - one_hot(s, y)) ** 2).sum(-1), "classes", PIECEWISE
    ),
    "multiclass hinge": Case(losses.MulticlassHinge, multiclass(1), "classes", ANY),
    "multiclass squared hinge": Case(lambda: losses.MulticlassHinge(power=2), multiclass(2), "classes", ANY),
    "one-vs-all hinge": Case(
        losses.OneVsAllHinge, lambda s, y: np.maximum(0, 1 - (2 * one_hot(s, y) - 1) * s).sum(-1), "classes", ANY
    ),
}

# ---- the data --------------------------------------------------------------------------------------------------------


def draw_x(kind: str, samples: int, random: Random) -> Array:
    x = random.standard_normal(samples)
    if kind == "cauchy":
        x = random.standard_cauchy(samples)
    elif kind == "clusters":
        x = random.choice([-3.0, 0.5, 4.0], samples) + 0.01 * x
    elif kind == "outliers":
        x[random.integers(samples, size=min(3, samples))] *= 10.0 ** random.integers(2, 5)
    elif kind == "far":
        x += 10.0 ** random.integers(2, 6)
    elif kind == "constant":
        x = np.full(samples, x[0])
    elif kind == "duplicated":
        x = random.choice(x[: max(1, samples // 10)], samples)
    return x


KINDS = ("normal", "cauchy", "clusters", "outliers", "far", "constant", "duplicated")


def draw_y(labels: str, x: Array, random: Random) -> Array:
    if labels == "real":
        y = 2 * x / (np.abs(x).mean() + 1e-300) + 1 + random.standard_normal(len(x))
        return y * 10.0 ** random.integers(-4, 5) if random.random() < 0.2 else y
    chance = sigmoid(2 * x / (np.abs(x).mean() + 1e-300) - 1)
    if labels == "soft":
        return chance
    bits = (random.random(len(x)) < (chance if random.random() < 0.9 else 1.0)).astype(float)
    return bits if labels == "bits" else 2 * bits - 1


def draw_weights(samples: int, random: Random) -> Array | None:
    """None for most studies; else weights of sizes that differ, some of them 0."""
    if random.random() < 0.7:
        return None
    weights = np.exp(random.uniform(0, 4) * random.standard_normal(samples))
    weights[random.random(samples) < 0.1] = 0
    return weights if weights.any() else None


# ---- the truth -------------------------------------------------------------------------------------------------------

Value = Callable[..., Array]


def affine_loss(
    formula: Callable[[Array, Array], Array], scores: tuple[Array, Array, Array], y: Array, weights: Array | None
) -> Value:
    """L(a, b) of the scores S0 + a S1 + b S2, at points of any number, a block at a time, in their own dtype."""

    def value(a: Array, b: Array, kind: Any = float) -> Array:
        out = np.empty(len(a), dtype=kind)
        base, first, second = (part.astype(kind) for part in scores)
        targets = y.astype(kind)
        share = None if weights is None else weights.astype(kind) / weights.astype(kind).sum()
        block = max(1, 200_000 // base.size)
        tail = (slice(None), *(None,) * base.ndim)
        for start in range(0, len(a), block):
            rows = slice(start, start + block)
            with np.errstate(all="ignore"):
                one, two = a[rows].astype(kind)[tail], b[rows].astype(kind)[tail]
                terms = formula(base + one * first + two * second, targets)
                out[rows] = terms.mean(1) if share is None else (terms * share).sum(1)
        return out

    return value


def over_grid(value: Value, first: Array, second: Array, work: int, step: bool = False) -> Array:
    """The truth at every grid point, with the digits of longdouble where that is affordable.

    A loss that jumps is decided by the score in float64: else a sample on the boundary would be on the other side.
    """
    a, b = (part.ravel() for part in np.meshgrid(first, second, indexing="ij"))
    kind = np.longdouble if len(a) * work <= SMALL and not step else float
    return value(a, b, kind).reshape(len(first), len(second))


# ---- one study -------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one study gave."""

    about: str
    dtype: str
    true: float
    said: float
    wrong_minima: int = 0
    floor: float = FLOOR
    largest: float = math.nan  # the largest loss

    @property
    def dishonest(self) -> bool:
        return not self.true <= max(10 * self.said, self.floor) and not (math.isinf(self.said) and self.said > 0)

    @property
    def overcautious(self) -> bool:
        return self.said > max(1000 * self.true, self.floor) and not self.true == self.said == math.inf


def outcome(about: str, surface: landscape.Surface, truth: Array) -> Outcome:
    found = surface.values.double().cpu().numpy()
    dtype, largest = str(surface.values.dtype)[6:], float(np.abs(truth).max())
    return Outcome(about, dtype, largest_error(found, truth), surface.error, largest=largest)


def largest_error(found: Array, truth: Array) -> float:
    """The largest difference over the grid over the largest loss; infinite where a value is not finite."""
    if not (np.isfinite(found) & np.isfinite(truth)).all():
        return math.inf
    largest, difference = np.abs(truth).max(), np.abs(found - truth).max()
    return float(difference / largest if largest else difference)


def draw_window(random: Random, value: Value, scale: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """(low, high) of w and of b: wide or narrow, about the data or far from them, or close about the minimum."""
    reach = 10.0 ** random.uniform(-2, 2.5)
    reaches = np.array([reach, reach])
    draw = random.random()
    if draw < 0.15:
        reaches = 10.0 ** random.uniform(-3, 4, 2)
    elif draw < 0.2:
        reaches = reaches * 10.0 ** random.uniform(2, 6)
    centre = random.standard_normal(2) * reaches * (10.0 ** random.uniform(0, 3) if random.random() < 0.15 else 0.3)
    if random.random() < 0.15:
        best = scipy.optimize.minimize(
            lambda p: float(value(p[:1] / scale, p[1:])[0]), np.zeros(2), method="Nelder-Mead", options={"maxiter": 200}
        )
        reaches = 10.0 ** random.uniform(-6, 0) * np.ones(2)
        centre = best.x + 0.3 * reaches * random.standard_normal(2)
    (left, bottom), (right, top) = (centre - reaches).tolist(), (centre + reaches).tolist()
    return (left / scale, right / scale), (bottom, top)


def one_feature(name: str, random: Random, curve: bool, large: bool = False) -> Outcome:
    """The (w, b) grid of one feature, or the curve L(w) at one b."""
    case = CASES[name]
    kind = str(random.choice(KINDS))
    samples = int(np.exp(random.uniform(0, math.log(5000)))) if not large else int(random.integers(3000, 5001))
    scale = 10.0 ** random.integers(-6, 7) if random.random() < 0.5 else 1.0
    x = scale * draw_x(kind, samples, random)
    y, weights = draw_y(case.labels, x, random), draw_weights(samples, random)
    dtype = torch.float64 if random.random() < 0.6 else torch.float32
    method = str(random.choice(case.methods))
    rows, columns = (int(n) for n in (random.integers(110, 150, 2) if large else random.integers(9, 72, 2)))
    value = affine_loss(case.formula, (np.zeros_like(x), x, np.ones_like(x)), y, weights)
    (low, high), (bottom, top) = draw_window(random, value, scale)
    w: Any = (low, high, rows)
    b: Any = (bottom, top, columns) if not curve else bottom + 0.5 * (top - bottom)
    weighted = "" if weights is None else ", weighted"
    about = f"{name}, {method}, {str(dtype)[6:]}, {kind} × {scale:g}, {samples} samples{weighted}, w {w}, b {b}"
    surface = landscape.grid(x, y, case.make(), w, b, method=method, dtype=dtype, sample_weight=weights)
    first, second = (axis.double().cpu().numpy() for axis in (surface.first, surface.second))
    truth = over_grid(value, first, second, samples, case.step)
    found = outcome(about, surface, truth)
    if samples <= 500:
        found.wrong_minima = count_wrong_minima(surface, value, truth.astype(float), case.step)
    return found


def linear_plane(name: str, random: Random) -> Outcome:
    """A plane of a linear model's weights, with several features, or several classes, or a penalty."""
    case = CASES.get(name) or SEVERAL[name]
    samples, features = int(np.exp(random.uniform(0, math.log(1000)))), int(random.integers(1, 6))
    classes = int(random.integers(2, 6)) if case.labels == "classes" else 0
    scale = 10.0 ** random.integers(-3, 4) if random.random() < 0.5 else 1.0
    kind = str(random.choice(KINDS))
    x = scale * np.stack([draw_x(kind, samples, random) for _ in range(features)], 1)
    y = random.integers(classes, size=samples) if classes else draw_y(case.labels, x[:, 0], random)
    weights = draw_weights(samples, random)
    dtype = torch.float64 if random.random() < 0.6 else torch.float32
    model = models.SoftmaxClassifier(features, classes) if classes else models.LinearRegression(features)
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(np.asarray(random.standard_normal(tuple(parameter.shape)))))
    model = model.to(dtype)
    seed = int(random.integers(1 << 20))
    first, second = landscape.random(model, seed), landscape.random(model, seed + 1)
    x_given, y_given = torch.from_numpy(x).to(dtype), torch.from_numpy(y)
    y_given = y_given if classes else y_given.to(dtype)
    data = Samples(x_given, y_given, sample_weight=None if weights is None else torch.from_numpy(weights))
    if data.sample_weight is not None:
        weights = data.sample_weight.double().numpy()
    strength = float(10.0 ** random.uniform(-4, 1)) if random.random() < 0.2 else 0.0
    penalty = penalties.L2(strength) if strength else None
    reach = float(10.0 ** random.uniform(-2, 2) / scale)
    a, b = (-reach * random.random(), reach, int(random.integers(9, 40))), (-reach, reach, int(random.integers(9, 40)))
    method = str(random.choice(("auto", "direct", *(("spectral",) if case.methods is ANALYTIC else ()))))
    about = f"plane of {name}, {method}, {str(dtype)[6:]}, {kind} × {scale:g}, {samples} × {features}, a {a}, b {b}"
    surface = landscape.plane(model, case.make(), data, first, second, a, b, method=method, penalty=penalty)
    exact = x_given.double().numpy().astype(np.longdouble)

    def scores(weights: Any) -> Array:
        rows = weights["weight"].double().numpy().astype(np.longdouble)
        found = exact @ rows.T + weights["bias"].double().numpy().astype(np.longdouble)
        return found if classes else found[:, 0]

    with torch.no_grad():
        start = dict(model.named_parameters())
        parts = (scores(start), scores(first), scores(second))
        along = [w["weight"].double().numpy().astype(np.longdouble).ravel() for w in (start, first, second)]
    mean = affine_loss(case.formula, parts, y_given.double().numpy(), weights)

    def value(a: Array, b: Array, kind: Any = float) -> Array:
        values = mean(a, b, kind)
        if strength:
            theta = along[0] + np.multiply.outer(a, along[1]) + np.multiply.outer(b, along[2])
            values = values + (strength * (theta**2).sum(-1)).astype(kind)
        return values

    truth = over_grid(value, surface.first.numpy(), surface.second.numpy(), samples * max(1, classes), case.step)
    found = outcome(about, surface, truth)
    if samples <= 200 and case.methods is not PIECEWISE:
        found.wrong_minima = count_wrong_minima(surface, value, truth.astype(float), case.step)
    return found


# ---- minima ----------------------------------------------------------------------------------------------------------


def count_wrong_minima(surface: landscape.Surface, value: Value, truth: Array, step: bool) -> int:
    """Reported minima that are none or off the curve, and 1 for a minimum inside the window that is not reported."""
    first, second = (axis.double().cpu().numpy() for axis in (surface.first, surface.second))
    curve = len(second) == 1
    at = lambda p: float(value(np.array([p[0]]), np.array([p[1]]))[0])  # noqa: E731
    one, two = surface.names
    everything = surface.minima()
    found = [m for m in everything if m["kind"] == "minimum"]
    wide, high = np.ptp(first), np.ptp(second)  # 0 along an axis of one value
    tolerance = lambda level: 1e-8 * max(abs(level), 1e-12) + 1e-13  # noqa: E731
    wrong = int(sum(curve and m[two] != second[0] for m in everything))
    for minimum in found:
        w, b, level = minimum[one], minimum[two], minimum["loss"]
        angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        better = abs(at((w, b)) - level) > 1e-7 * max(abs(level), 1e-9)
        for radius in () if step else (1e-5, 1e-4, 1e-3):
            around = radius * np.stack([wide * np.cos(angles), high * np.sin(angles)])
            lower = value(w + around[0], b + around[1]) < level - tolerance(level)
            for arm in around.T[lower]:  # another basin, over a ridge, is none of it
                way = np.linspace(0, 1, 17)
                better |= bool((value(w + way * arm[0], b + way * arm[1]) <= level + tolerance(level)).all())
        wrong += int(better)
    i, j = np.unravel_index(np.where(np.isfinite(truth), truth, np.inf).argmin(), truth.shape)
    reported = [m["loss"] for m in found]
    if step:  # there is always a lowest step
        return wrong + int(not reported or min(reported) > truth.min() + 1e-12)
    inside = 0 < i < len(first) - 1 and (curve or 0 < j < len(second) - 1)
    if inside:
        start = np.array([first[i], second[j]])
        step_size = np.array([wide / len(first), 0.0 if curve else high / len(second)])
        free = (lambda p: at((p[0], start[1]))) if curve else at
        simplex = start + np.vstack([np.zeros(2), np.diag(step_size)])
        simplex = simplex[:2, :1] if curve else simplex
        best = scipy.optimize.minimize(
            free, simplex[0], method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 1e-10 * wide, "fatol": 1e-14, "maxiter": 2000},
        )  # fmt: skip
        end = best.x if not curve else np.array([best.x[0], start[1]])
        stayed = first[0] < end[0] < first[-1] and (curve or second[0] < end[1] < second[-1])
        if stayed and best.fun < truth.min() - tolerance(best.fun):
            wrong += not any(level <= best.fun + 1e-6 * max(abs(best.fun), 1e-9) for level in reported)
    return wrong


# ---- modules ---------------------------------------------------------------------------------------------------------

BENDS: dict[type[nn.Module], Callable[[Array], Array]] = {
    nn.Tanh: np.tanh,
    nn.Sigmoid: sigmoid,
    nn.Softplus: lambda s: np.where(s > 20, s, softplus(s)),  # torch's: straight from 20 on
    nn.ReLU: lambda s: np.maximum(s, 0),
}


def module(random: Random) -> Outcome:
    """A plane or a line through a small torch net of one's own, against the net written again in numpy."""
    torch.manual_seed(int(random.integers(2**31)))
    scale = 10.0 ** random.uniform(-2, 3)
    samples, features, hidden = int(random.integers(1, 60)), int(random.integers(1, 4)), int(random.integers(1, 6))
    bend = list(BENDS)[int(random.integers(4))]
    name = str(random.choice(["mse", "bce", "cross-entropy", "huber"]))
    classes = 3 if name == "cross-entropy" else 0
    case = CASES.get(name) or SEVERAL[name]
    dtype = torch.float64 if random.random() < 0.7 else torch.float32
    tail = [nn.Linear(hidden, classes)] if classes else [nn.Linear(hidden, 1), nn.Flatten(0)]
    net = nn.Sequential(nn.Linear(features, hidden), bend(), *tail).to(dtype)
    kind = str(random.choice(KINDS))
    x = np.stack([scale * draw_x(kind, samples, random) for _ in range(features)], 1)
    y = random.integers(3, size=samples) if classes else draw_y(case.labels, x[:, 0], random)
    weights = draw_weights(samples, random)
    first, second = landscape.random(net, seed=1), landscape.random(net, seed=2)
    reach = 10.0 ** random.uniform(-2, 1)
    a = (-reach * random.random(), reach, int(random.integers(20, 400)))
    line = bool(random.random() < 0.6)
    about = (
        f"module {name} {bend.__name__} {features}-{hidden}, {str(dtype)[6:]}, {samples} samples {kind} × {scale:.3g}, "
        f"{'line' if line else 'plane'} {a}"
    )
    x_given, y_given = torch.from_numpy(x).to(dtype), torch.from_numpy(y)
    y_given = y_given if classes else y_given.to(dtype)
    data = Samples(x_given, y_given, sample_weight=None if weights is None else torch.from_numpy(weights))
    if data.sample_weight is not None:
        weights = data.sample_weight.double().numpy()
    if line:
        surface = landscape.line(net, case.make(), data, along=first, a=a)
    else:
        a = (a[0], a[1], min(a[2], 40))
        surface = landscape.plane(net, case.make(), data, first=first, second=second, a=a, b=a)
    share = np.full(samples, 1 / samples) if weights is None else weights / weights.sum()
    with torch.no_grad():
        parts = [
            [t.double().numpy().astype(np.longdouble) for t in w.values()]
            for w in (dict(net.named_parameters()), first, second)
        ]
    inputs, targets = x_given.double().numpy().astype(np.longdouble), y_given.double().numpy().astype(np.longdouble)

    def value(a: Array, b: Array, kind: Any = float) -> Array:
        out = np.empty(len(a), dtype=kind)
        for k, (along, across) in enumerate(zip(a.astype(kind), b.astype(kind), strict=True)):
            weight, bias, last, shift = (
                (start + along * one + (0 if line else across) * two).astype(kind)
                for start, one, two in zip(*parts, strict=True)
            )
            scores = BENDS[bend](inputs.astype(kind) @ weight.T + bias) @ last.T + shift
            terms = case.formula(scores if classes else scores[:, 0], targets.astype(kind))
            out[k] = (terms * share).sum()
        return out

    truth = over_grid(value, surface.first.numpy(), surface.second.numpy(), samples)
    found = outcome(about, surface, truth)
    if line or len(surface.first) <= 25:
        found.wrong_minima = count_wrong_minima(surface, value, truth.astype(float), False)
    return found


# ---- all of them -----------------------------------------------------------------------------------------------------


def study(number: int, seed: int) -> Outcome:
    """Study `number`, which does not depend on the others."""
    random = np.random.default_rng((seed, number))
    turn, names = number % 10, [*CASES]
    if turn == 9:
        return module(random)
    if turn in (4, 8):
        names += SEVERAL
        return linear_plane(names[number // 10 % len(names)] if turn == 8 else [*SEVERAL][number // 10 % 5], random)
    name = names[number // 2 % len(names)]
    return one_feature(name, random, curve=turn in (3, 7), large=turn == 6)


def run(numbers: range, seed: int, show: bool, floor: float = FLOOR) -> Iterator[Outcome | None]:
    """Each study's outcome; None if it was refused."""
    for number in tqdm(numbers, disable=not sys.stderr.isatty()):
        try:
            found = study(number, seed)
            found.floor = floor
        except EdunnError as error:
            if show:
                print(f"{number} refused: {error}", file=sys.stderr)
            yield None
            continue
        if show and (found.dishonest or found.overcautious or found.wrong_minima):
            kind = "dishonest" if found.dishonest else "overcautious" if found.overcautious else "minima"
            print(f"{number} {kind}: true {found.true:.2e}, said {found.said:.2e}: {found.about}", file=sys.stderr)
        yield found


def measure(numbers: range, seed: int, show: bool, floor: float = FLOOR) -> dict[str, Any]:
    """The counts over all studies."""
    everything = list(run(numbers, seed, show, floor))
    outcomes = [found for found in everything if found is not None]

    def worst(dtype: str) -> float:
        """The largest finite error of a surface whose loss is not below 1e-30 everywhere."""
        measured = (o.true for o in outcomes if o.dtype == dtype and 1e-30 < o.largest < math.inf)
        return max((error for error in measured if math.isfinite(error)), default=0.0)

    return {
        "studies": len(outcomes),
        "refused": len(everything) - len(outcomes),
        "dishonest": sum(o.dishonest for o in outcomes),
        "overcautious": sum(o.overcautious for o in outcomes),
        "wrong_minima": sum(o.wrong_minima for o in outcomes),
        "worst_float64": worst("float64"),
        "worst_float32": worst("float32"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--studies", type=int, default=1200, help="(default: 1200)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--only", type=int, help="one study, by its number")
    parser.add_argument("--show", action="store_true", help="name each study that fails, on stderr")
    parser.add_argument("--floor", type=float, default=FLOOR, help="errors below it do not count (default: 1e-6)")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the grids are small: a pool would wait more than it works
    numbers = range(args.studies) if args.only is None else range(args.only, args.only + 1)
    result = measure(numbers, args.seed, args.show, args.floor)
    if args.json:
        print(json.dumps({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}))
    else:
        print("\n".join(f"{key:<15} {value:.3g}" for key, value in result.items()))


if __name__ == "__main__":
    main()
