"""Compares the error that a surface reports with the true one, from numpy, at every grid point of random studies.

    python scripts/bench/honest.py [--json] [--studies N] [--seed S] [--show]

A study draws data (normal, Cauchy, clusters, far outliers, far from 0, constant, duplicated; scales 1e-6 to 1e6; 1 to
5,000 samples), a loss, a window, a dtype and a method. The truth is the formula written again here, in numpy and in
float64, in another arrangement than the package's. The true error is the largest difference over the whole grid,
relative to the largest finite loss; a value that is not finite is infinitely wrong. Every tenth study has a grid
large enough for `auto` to compress the samples, and is compared with numpy at 4,000 of its points.

dishonest : the true error is above 10 × the reported one, and above 1e-6
overcautious : the reported error is above 1,000 × the true one, and above 1e-6
wrong_minima : a reported minimum that a ring of points around it improves; or a lower minimum inside the window, found
    by a scan and scipy, that is not reported
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from edunn import landscape, losses
from edunn.activations import ACTIVATIONS
from edunn.errors import EdunnError

Array = NDArray[np.float64]
FLOOR = 1e-6  # relative errors below this are no one's concern

# ---- the losses again, in numpy --------------------------------------------------------------------------------------


def sigmoid(s: Array) -> Array:
    return np.exp(-np.logaddexp(0, -s))


def squared(through: Callable[[Array], Array], factor: float = 1.0) -> Callable[[Array, Array], Array]:
    return lambda s, y: factor * (through(s) - y) ** 2


def huber(delta: float) -> Callable[[Array, Array], Array]:
    def value(s: Array, y: Array) -> Array:
        distance = np.abs(s - y)
        return np.where(distance <= delta, distance**2 / 2, delta * (distance - delta / 2))

    return value


def through(name: str, **options: Any) -> losses.Loss:
    return losses.SquaredError(through=ACTIVATIONS[name](), **options)


@dataclass(frozen=True)
class Case:
    """One of our losses, its formula, its labels, and whether it has a kink or a step."""

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
    "mse relu": Case(lambda: through("relu"), squared(lambda s: np.maximum(s, 0)), "real", ANY),
    "absolute": Case(losses.AbsoluteError, lambda s, y: np.abs(s - y), "real", PIECEWISE),
    "huber": Case(losses.Huber, huber(1.0), "real", PIECEWISE),
    "huber 0.3": Case(lambda: losses.Huber(0.3), huber(0.3), "real", PIECEWISE),
    "bce": Case(losses.BinaryCrossEntropy, lambda s, y: np.logaddexp(0, s) - y * s, "bits", ANALYTIC),
    "logistic": Case(losses.Logistic, lambda s, y: np.logaddexp(0, -y * s), "signs", ANALYTIC),
    "hinge": Case(losses.Hinge, lambda s, y: np.maximum(0, 1 - y * s), "signs", PIECEWISE),
    "squared hinge": Case(
        lambda: losses.Hinge(power=2), lambda s, y: np.maximum(0, 1 - y * s) ** 2, "signs", PIECEWISE
    ),
    "perceptron": Case(losses.Perceptron, lambda s, y: np.maximum(0, -y * s), "signs", PIECEWISE),
    "zero-one": Case(losses.ZeroOne, lambda s, y: (y * s <= 0).astype(float), "signs", PIECEWISE, step=True),
}

# ---- the data --------------------------------------------------------------------------------------------------------


def draw_x(kind: str, samples: int, random: np.random.Generator) -> Array:
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


def draw_y(labels: str, x: Array, random: np.random.Generator) -> Array:
    if labels == "real":
        return 2 * x / (np.abs(x).mean() + 1e-300) + 1 + random.standard_normal(len(x))
    chance = sigmoid(2 * x / (np.abs(x).mean() + 1e-300) - 1)
    bits = (random.random(len(x)) < chance).astype(float)
    return bits if labels == "bits" else 2 * bits - 1


# ---- one study -------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one study gave."""

    about: str
    dtype: str
    true: float
    said: float
    wrong_minima: int = 0

    @property
    def dishonest(self) -> bool:
        return not self.true <= max(10 * self.said, FLOOR) and not (math.isinf(self.said) and self.said > 0)

    @property
    def overcautious(self) -> bool:
        return self.said > max(1000 * self.true, FLOOR) and not self.true == self.said == math.inf


def largest_error(found: Array, truth: Array) -> float:
    """The largest difference over the grid over the largest loss; infinite where a value is not finite."""
    if not (np.isfinite(found) & np.isfinite(truth)).all():
        return math.inf
    largest, difference = np.abs(truth).max(), np.abs(found - truth).max()
    return float(difference / largest if largest else difference)


def mean_loss(case: Case, x: Array, y: Array) -> Callable[[Array, Array], Array]:
    """L(w, b) at points of any number, a block at a time."""

    def value(w: Array, b: Array) -> Array:
        out = np.empty(len(w))
        block = max(1, int(4e6) // len(x))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(w), block):
                rows = slice(start, start + block)
                out[rows] = case.formula(np.outer(w[rows], x) + b[rows, None], y).mean(1)
        return out

    return value


def one_feature(name: str, random: np.random.Generator, curve: bool, large: bool = False) -> Outcome:
    case = CASES[name]
    kind = str(random.choice(KINDS))
    samples = int(np.exp(random.uniform(0, math.log(5000)))) if not large else int(random.integers(1000, 5001))
    scale = 10.0 ** random.integers(-6, 7) if random.random() < 0.5 else 1.0
    x = scale * draw_x(kind, samples, random)
    y = draw_y(case.labels, x, random)
    dtype = torch.float64 if random.random() < 0.6 else torch.float32
    method = str(random.choice(case.methods))
    reach = 10.0 ** random.uniform(-2, 2.5)
    count, columns = (
        (int(n) for n in random.integers(200, 400, 2)) if large else (int(n) for n in random.integers(9, 72, 2))
    )
    away = 10.0 ** random.uniform(0, 3) if random.random() < 0.15 else 0.3  # some windows are far from the data
    centre = random.standard_normal(2) * reach * away
    w = (float(centre[0] - reach) / scale, float(centre[0] + reach) / scale, count)
    b: Any = (float(centre[1] - reach), float(centre[1] + reach), columns)
    if curve:
        b = float(centre[1])
    about = f"{name}, {method}, {str(dtype)[6:]}, {kind} × {scale:g}, {samples} samples, w {w}, b {b}"
    surface = landscape.grid(x, y, case.make(), w, b, method=method, dtype=dtype)
    first, second = (axis.double().cpu().numpy() for axis in (surface.first, surface.second))
    value = mean_loss(case, x, y)
    grid_w, grid_b = (part.ravel() for part in np.meshgrid(first, second, indexing="ij"))
    found = surface.values.double().cpu().numpy().ravel()
    some = random.permutation(len(found))[:4_000] if large else slice(None)
    truth = value(grid_w[some], grid_b[some])
    outcome = Outcome(about, str(dtype)[6:], largest_error(found[some], truth), surface.error)
    if large:
        return outcome
    truth = truth.reshape(len(first), len(second))
    if dtype == torch.float64 and samples <= 500 and not case.step:
        outcome.wrong_minima = count_wrong_minima(surface, value, truth, first, second, curve)
    return outcome


def count_wrong_minima(
    surface: landscape.Surface, value: Callable[[Array, Array], Array], truth: Array, first: Array, second: Array,
    curve: bool,
) -> int:  # fmt: skip
    """Reported minima that are none, and 1 for a minimum inside the window that is not reported."""
    at = lambda p: float(value(np.array([p[0]]), np.array([p[1]]))[0])  # noqa: E731
    found = [m for m in surface.minima() if m["kind"] == "minimum"]
    wide, high = np.ptp(first) or 1.0, np.ptp(second) or 1.0
    tolerance = lambda level: 1e-8 * max(abs(level), 1e-12) + 1e-13  # noqa: E731
    wrong = 0
    for minimum in found:
        w, b, level = minimum["w"], minimum["b"], minimum["loss"]
        angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        better = abs(at((w, b)) - level) > 1e-7 * max(abs(level), 1e-9)
        for radius in (1e-5, 1e-4, 1e-3):
            ring_w, ring_b = w + radius * wide * np.cos(angles), b + (0 if curve else radius * high) * np.sin(angles)
            better |= bool((value(ring_w, ring_b) < level - tolerance(level)).any())
        wrong += bool(better)
    i, j = np.unravel_index(np.where(np.isfinite(truth), truth, np.inf).argmin(), truth.shape)
    inside = 0 < i < len(first) - 1 and (curve or 0 < j < len(second) - 1)
    if inside:
        start = np.array([first[i], second[j]])
        step = np.array([wide / len(first), 0.0 if curve else high / len(second)])
        free = (lambda p: at((p[0], start[1]))) if curve else at
        simplex = start + np.vstack([np.zeros(2), np.diag(step)])
        simplex = simplex[:2, :1] if curve else simplex
        best = scipy.optimize.minimize(
            free, simplex[0], method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 1e-10 * wide, "fatol": 1e-14, "maxiter": 2000},
        )  # fmt: skip
        end = best.x if not curve else np.array([best.x[0], start[1]])
        stayed = first[0] < end[0] < first[-1] and (curve or second[0] < end[1] < second[-1])
        reported = [m["loss"] for m in found]
        if stayed and best.fun < truth.min() - tolerance(best.fun):
            wrong += not any(level <= best.fun + 1e-6 * max(abs(best.fun), 1e-9) for level in reported)
    return wrong


# ---- modules ---------------------------------------------------------------------------------------------------------


def module(random: np.random.Generator) -> Outcome:
    """A plane or a line through a small torch net of one's own, against the net evaluated point by point."""
    torch.manual_seed(int(random.integers(2**31)))
    scale = 10.0 ** random.uniform(-2, 3)
    samples, features, hidden = int(random.integers(1, 60)), int(random.integers(1, 4)), int(random.integers(1, 6))
    bend = [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ReLU][int(random.integers(4))]
    net = nn.Sequential(nn.Linear(features, hidden), bend(), nn.Linear(hidden, 1), nn.Flatten(0)).double()
    x = scale * torch.from_numpy(random.standard_normal((samples, features)))
    y = torch.from_numpy(random.standard_normal(samples))
    first, second = landscape.random(net, seed=1), landscape.random(net, seed=2)
    reach = 10.0 ** random.uniform(-2, 1)
    a = (-reach / 2, reach, int(random.integers(20, 400)))
    line = random.random() < 0.6
    shape = "line" if line else "plane"
    about = f"module {bend.__name__} {features}-{hidden}, {samples} samples × {scale:.3g}, {shape} {a}"
    loss = losses.SquaredError()
    if line:
        surface = landscape.line(net, loss, (x, y), along=first, a=a)
    else:
        a = (a[0], a[1], min(a[2], 40))
        surface = landscape.plane(net, loss, (x, y), first=first, second=second, a=a, b=a)
    truth = np.empty(tuple(surface.values.shape))
    start = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    with torch.no_grad():
        for i, along in enumerate(surface.first.tolist()):
            for j, across in enumerate(surface.second.tolist()):
                moved = {n: p + along * first[n] + (0 if line else across * second[n]) for n, p in start.items()}
                truth[i, j] = float(((torch.func.functional_call(net, moved, (x,)) - y) ** 2).mean())
    return Outcome(about, "float64", largest_error(surface.values.numpy(), truth), surface.error)


# ---- all of them -----------------------------------------------------------------------------------------------------


def measure(studies: int, seed: int, show: bool) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    refused: list[str] = []
    names = list(CASES)
    for number in tqdm(range(studies), disable=not sys.stderr.isatty()):
        try:
            if number % 10 == 9:
                outcome = module(random)
            else:
                name = names[number // 2 % len(names)]
                outcome = one_feature(name, random, curve=number % 10 in (3, 7), large=number % 10 == 6)
        except EdunnError as error:
            refused.append(str(error))
            continue
        outcomes.append(outcome)
        if show and (outcome.dishonest or outcome.overcautious or outcome.wrong_minima):
            kind = "dishonest" if outcome.dishonest else "overcautious" if outcome.overcautious else "minima"
            print(f"{kind}: true {outcome.true:.2e}, said {outcome.said:.2e}: {outcome.about}", file=sys.stderr)

    def worst(dtype: str) -> float:
        return max((o.true for o in outcomes if o.dtype == dtype and math.isfinite(o.true)), default=0.0)

    return {
        "studies": len(outcomes),
        "refused": len(refused),
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
    parser.add_argument("--show", action="store_true", help="name each study that fails, on stderr")
    args = parser.parse_args()
    result = measure(args.studies, args.seed, args.show)
    if args.json:
        print(json.dumps({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}))
    else:
        print("\n".join(f"{key:<15} {value:.3g}" for key, value in result.items()))


if __name__ == "__main__":
    main()
