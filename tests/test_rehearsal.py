"""Every public path, rehearsed on a CUDA device that is not there: see `pretend.py`.

Each path runs on the CPU and on the pretend device, and gives the same values. An operation that mixes devices, a copy
to numpy or a random number drawn on the device ends it. In the training loop the host waits once an epoch.

Values decide in nearly every path (the first check asks whether the features are finite), so that torch's
`FakeTensorMode`, which has none, would end most of them there.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from pretend import Mixed, pretend_device
from torch import Tensor, nn

import edunn
from edunn import activations, data, descent, features, gradcheck, landscape, losses, models, penalties, updates
from edunn.cli import main
from edunn.data import Samples
from edunn.descent import descend, stack, vary
from edunn.experiment import config as configs
from edunn.experiment import load, resume, surface_of_run, sweep, train
from edunn.features import patches
from edunn.features.pipeline import Pipeline
from edunn.landscape import directions
from edunn.neighbours import NearestNeighbours, by_one_loop, by_product, by_two_loops
from edunn.runtime.rows import Rows

Path_ = Callable[[str], Any]  # takes the device's name, returns what is compared
PATHS: dict[str, Path_] = {}


def add(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    assert name not in PATHS
    PATHS[name] = lambda device: function(device, *args, **kwargs)


# ---- training --------------------------------------------------------------------------------------------------------


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def part(labels: str, samples: int = 60, seed: int = 1, weighted: bool = False) -> Samples:
    """Samples of four features with the targets that a loss takes."""
    y = torch.arange(samples) % 3
    x = randn(samples, 4, seed=seed) + nn.functional.one_hot(y, 4)
    bits = (y > 0).double()
    targets = {"classes": y, "bits": bits, "signs": 2 * bits - 1, "real": x.sum(1) + bits}[labels]
    weight = torch.arange(samples).double() % 4 if weighted else None
    return Samples(x, targets, sample_weight=weight)


DOUBLE: dict[str, Any] = {"dtype": torch.float64}
LINEAR: dict[str, Callable[[], nn.Module]] = {
    "classes": lambda: models.SoftmaxClassifier(4, 3, scale=0.1, **DOUBLE),
    "bits": lambda: models.LogisticRegression(4, scale=0.1, **DOUBLE),
    "signs": lambda: models.LinearSVM(4, scale=0.1, **DOUBLE),
    "real": lambda: models.LinearRegression(4, scale=0.1, **DOUBLE),
}


def net(outputs: int = 3, **options: Any) -> nn.Module:
    return models.TwoLayerNet(4, outputs, hidden=3, **DOUBLE, **options)


def sequence() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def numbers(history: edunn.History) -> list[Any]:
    """The history without its times."""
    columns = [history[column] for column in history.columns if "seconds" not in column]
    return [history.status, history.steps, history.epochs, history.best_epoch, columns]


def training(
    device: str,
    loss: losses.Loss | None = None,
    model: Callable[[], nn.Module] | None = None,
    weighted: bool = False,
    validation: bool = False,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> Any:
    loss = loss or losses.CrossEntropy()
    samples = part(loss.labels, weighted=weighted).to(device, dtype)
    trained = (model or LINEAR[loss.labels])().to(device, dtype)
    given = {"rate": 0.05, "batch_size": 3, "epochs": 3} | copy.deepcopy(options)
    if validation:
        given["validation"] = part(loss.labels, 20, seed=2, weighted=weighted).to(device, dtype)
    history = descend(trained, loss, samples, **given)
    assert all(parameter.device.type == device for parameter in trained.parameters())
    kept = [weights for _, weights in history.snapshots]
    scores = trained(samples.features)
    return numbers(history), kept, dict(trained.state_dict()), scores


for by in ("fast", "hand", "autograd"):
    for rule in updates.RULES:
        add(f"rule: {rule} by {by}", training, rule=updates.RULES[rule](), by=by)
    for name, kind in losses.LOSSES.items():
        if name != "zero-one":
            add(f"loss: {name} by {by}", training, kind(), by=by)
    for size in (None, 1, 7):
        add(f"batch: {size or 'all'} by {by}", training, batch_size=size, by=by)
    add(f"weights of samples by {by}", training, weighted=True, by=by)
    for clip in ({"clip_norm": 0.1}, {"clip_value": 0.02}):
        add(f"{next(iter(clip))} by {by}", training, by=by, **clip)

LOSSES: dict[str, losses.Loss] = {
    "squared error through a sigmoid": losses.SquaredError(through=activations.Sigmoid()),
    "squared error over classes": losses.SquaredError(classes=True),
    "squared hinge": losses.Hinge(power=2),
    "smoothed cross-entropy": losses.CrossEntropy(label_smoothing=0.1),
    "squared multiclass hinge": losses.MulticlassHinge(power=2, over="classes"),
    "multiclass hinge with the true class": losses.MulticlassHinge(include_true=True),
    "squared one-vs-all hinge": losses.OneVsAllHinge(power=2),
}
for name, loss in LOSSES.items():
    add(f"loss: {name}", training, loss, model=LINEAR["classes"] if loss.class_axis else None)

NETS: dict[str, Callable[[], nn.Module]] = {
    "two-layer": net,
    "two-layer with tanh": partial(net, activation="tanh"),
    "two-layer with a leaky ReLU": partial(net, activation=activations.LeakyReLU(0.1)),
    "two-layer with dropout": partial(net, dropout=0.5),
    "two-layer with batch normalisation": partial(net, batchnorm=True),
}
for name, make in NETS.items():
    for by in ("hand", "autograd"):
        add(f"model: {name} by {by}", training, model=make, by=by, batch_size=6)
add("model: torch's own", training, model=sequence, by="autograd")
add("model: a support vector machine of three classes", training, losses.MulticlassHinge(),
    model=lambda: models.LinearSVM(4, 3, **DOUBLE))  # fmt: skip

PENALTIES: dict[str, Callable[[], penalties.Penalty]] = {
    "L2": lambda: penalties.L2(0.01),
    "half L2 of the bias too": lambda: penalties.L2(0.01, half=True, bias=True),
    "L1": lambda: penalties.L1(0.01),
    "proximal L1": lambda: penalties.L1(0.01, proximal=True),
    "elastic net": lambda: penalties.ElasticNet(0.01, beta=0.5),
    "proximal elastic net": lambda: penalties.ElasticNet(0.01, proximal=True),
    "max-norm": lambda: penalties.MaxNorm(0.3),
}
for name, make_penalty in PENALTIES.items():
    for by in ("fast", "hand", "autograd"):
        add(f"penalty: {name} by {by}", training, penalty=make_penalty(), by=by)
for name in updates.SCHEDULES:
    add(f"schedule: {name}", training, schedule=updates.SCHEDULES[name]())

add("snapshots", training, snapshots=7)
add("validation and patience", training, validation=True, patience=2, epochs=6)
add("weighted validation", training, validation=True, weighted=True)
add("tolerance", training, tolerance=0.05, epochs=20)
add("evaluation at the end only", training, evaluate=0)
add("a run that diverges", training, losses.SquaredError(), rate=100.0, batch_size=None, epochs=60)
add("products in tf32", training, dtype=torch.float32)
add("momentum with an L2 penalty", training, penalty=penalties.L2(0.01), rule=updates.Momentum())


def resumed(device: str) -> Any:
    """Two epochs, and two more from where they ended."""
    samples, rule, model = part("classes").to(device), updates.Adam(), LINEAR["classes"]().to(device)
    at = descent.Progress()
    options: dict[str, Any] = {"rate": 0.05, "batch_size": 6, "rule": rule, "progress": at}
    descend(model, losses.CrossEntropy(), samples, epochs=2, **options)
    descend(model, losses.CrossEntropy(), samples, epochs=4, **options)
    return dict(model.state_dict()), at.rows


def from_rows(device: str, there: bool) -> Any:
    """Features that are read part by part, from files or on the device."""
    samples = part("classes").to(device)
    source = samples.features if there else samples.features.cpu()
    rows = Rows(source.split([20, 40]), device=device)
    model = LINEAR["classes"]().to(device)
    history = descend(model, losses.CrossEntropy(), Samples(rows, samples.targets), rate=0.05, batch_size=7, epochs=2)
    return numbers(history), dict(model.state_dict())


def stacked(device: str, changes: list[dict[str, Any]], model: Any = None, **options: Any) -> Any:
    samples = part("classes").to(device)
    given: dict[str, Any] = {"rate": 0.05, "batch_size": 6, "epochs": 3, "penalty": penalties.L2(0.01)} | options
    made = (model or LINEAR["classes"])().to(device)
    base = descent.Descent(made, options.pop("loss", losses.CrossEntropy()), samples, **copy.deepcopy(given))
    runs = [vary(base, **change) for change in changes]
    histories = stack.train_together(runs)
    return [(numbers(h), dict(run.model.state_dict())) for h, run in zip(histories, runs, strict=True)]


VARIED: dict[str, list[dict[str, Any]]] = {
    "rates": [{"rate": rate} for rate in (0.01, 0.1, 0.3)],
    "strengths": [{"strength": strength} for strength in (0.0, 0.1, 1.0)],
    "orders": [{"seed": seed} for seed in range(3)],
}
for name, changes in VARIED.items():
    add(f"a stack of {name}", stacked, changes)
add("a stack with momentum", stacked, VARIED["rates"], rule=updates.Momentum())
add("a stack with Adam and snapshots", stacked, VARIED["rates"], rule=updates.Adam(), snapshots=4)
add("a stack with clipping", stacked, VARIED["rates"], clip_norm=0.1)
add("a stack of full batches", stacked, VARIED["rates"], batch_size=None)
add("a stack whose first run diverges", stacked, [{"rate": 1e160}, {"rate": 0.1}])
add("nets, one by one", stacked, VARIED["rates"], model=net)
add("resuming a run", resumed)
add("rows on the device", from_rows, there=True)
add("rows in a file", from_rows, there=False)


def stable(device: str) -> Any:
    samples, model = part("real").to(device), LINEAR["real"]().to(device)
    return descent.stable_rate(model, losses.SquaredError(), samples.features, None, updates.GradientDescent())


def in_lockstep(device: str, model: Callable[[], nn.Module], **options: Any) -> Any:
    samples = part("classes").to(device)
    found = descent.lockstep(model().to(device), losses.CrossEntropy(), samples, rate=0.05, steps=20, **options)
    return found.passed


def evaluated(device: str) -> Any:
    samples, model = part("classes", weighted=True).to(device), LINEAR["classes"]().to(device)
    return descent.evaluate(model, losses.CrossEntropy(), samples, chunk=7)


add("the largest stable rate", stable)
add("evaluation in chunks", evaluated)
add("lockstep", in_lockstep, LINEAR["classes"])
add("lockstep of a net with Adam", in_lockstep, net, rule=updates.Adam(), batch_size=10)

# ---- surfaces --------------------------------------------------------------------------------------------------------


def jet(surface: landscape.Surface, derivatives: bool = False) -> Any:
    found = [surface.first, surface.second, surface.values, surface.method]
    return [*found, surface.gradient, surface.smallest_curvature()] if derivatives else found


def one_feature(labels: str, samples: int = 50) -> tuple[Tensor, Tensor]:
    x = randn(samples, seed=3)
    bits = (x + randn(samples, seed=4) > 0).double()
    return x, {"bits": bits, "signs": 2 * bits - 1, "real": 0.5 * x + 0.2 * randn(samples, seed=5)}[labels]


def grid(device: str, loss: losses.Loss, w: Any = (-4, 4, 9), b: Any = (-3, 3, 7), **options: Any) -> Any:
    x, y = one_feature(loss.labels)
    return landscape.grid(x, y, loss, w, b, device=device, **options)


def grid_values(device: str, loss: losses.Loss, derivatives: bool = False, **options: Any) -> Any:
    return jet(grid(device, loss, derivatives=derivatives, **options), derivatives)


GRIDS: dict[str, losses.Loss] = {
    name: kind() for name, kind in losses.LOSSES.items() if not kind().class_axis
} | {
    "squares through a sigmoid": losses.SquaredError(through=activations.Sigmoid()),
    "squares through tanh": losses.SquaredError(through=activations.Tanh()),
    "squared hinge": losses.Hinge(power=2),
}  # fmt: skip
SPECTRAL = ("binary-cross-entropy", "logistic", "squares through a sigmoid", "squares through tanh")
for name, loss in GRIDS.items():
    add(f"grid: {name}, direct", grid_values, loss, method="direct")
    if name != "zero-one":
        add(f"grid: {name}, direct with derivatives", grid_values, loss, method="direct", derivatives=True)
    method = "spectral" if name in SPECTRAL else "exact"
    add(f"grid: {name}, {method}", grid_values, loss, method=method)
    add(f"grid: {name}, {method} with derivatives", grid_values, loss, method=method, derivatives=name != "zero-one")
for name in ("binary-cross-entropy", "squared-error", "hinge"):
    add(f"curve: {name}", grid_values, GRIDS[name], b=0.5)
    add(f"grid: {name} with a penalty", grid_values, GRIDS[name], penalty=penalties.L2(0.1))
    add(f"grid: {name} in its own window", grid_values, GRIDS[name], w=None, b=None)
    add(f"grid: {name} of weighted samples", grid_values, GRIDS[name], sample_weight=torch.arange(50) % 3)
add("grid: float32", grid_values, GRIDS["binary-cross-entropy"], method="direct", dtype=torch.float32)


def plane(device: str, loss: losses.Loss, model: Callable[[], nn.Module] | None = None, **options: Any) -> Any:
    made = (model or LINEAR[loss.labels])().to(device)
    samples = part(loss.labels, weighted=options.pop("weighted", False)).to(device)
    window = {"a": (-1, 1, 7), "b": (-2, 2, 5)} | options
    return landscape.plane(made, loss, samples, **window)


def plane_values(device: str, *args: Any, derivatives: bool = False, **options: Any) -> Any:
    return jet(plane(device, *args, derivatives=derivatives, **options), derivatives)


for name, loss in {
    "cross-entropy": losses.CrossEntropy(),
    "multiclass hinge": losses.MulticlassHinge(),
    "one-vs-all hinge": losses.OneVsAllHinge(),
    "squared error": losses.SquaredError(),
    "logistic": losses.Logistic(),
}.items():
    for method in ("direct", "auto"):
        add(f"plane: {name}, {method}", plane_values, loss, method=method)
        add(f"plane: {name}, {method} with derivatives", plane_values, loss, method=method, derivatives=True)
add("plane: cross-entropy with a penalty", plane_values, losses.CrossEntropy(), penalty=penalties.L2(0.1))
add("plane: weighted samples", plane_values, losses.CrossEntropy(), weighted=True)
add("plane: its own window", plane_values, losses.CrossEntropy(), a=None, b=None)
for name in ("two-layer with tanh", "two-layer with dropout", "two-layer with batch normalisation"):
    add(f"plane: {name}, direct", plane_values, losses.CrossEntropy(), NETS[name], method="direct")
    add(f"plane: {name}, auto", plane_values, losses.CrossEntropy(), NETS[name], derivatives=True)


def along(device: str, model: Callable[[], nn.Module]) -> Any:
    made, samples = model().to(device), part("classes").to(device)
    return jet(landscape.line(made, losses.CrossEntropy(), samples, landscape.random(made, 1), (-2, 2, 11)))


add("line: softmax", along, LINEAR["classes"])
add("line: a net", along, partial(net, activation="tanh"))

READINGS: dict[str, Callable[[landscape.Surface], Any]] = {
    "minima": lambda surface: surface.minima(),
    "plateaus": lambda surface: surface.plateaus(1e-3, 0.1),
    "convexity": lambda surface: surface.convex(),
    "smallest curvature": lambda surface: surface.smallest_curvature(),
    "condition": lambda surface: surface.condition(),
    "basins": lambda surface: surface.basins(rate=0.5, steps=40).__dict__,
    "report": lambda surface: surface.report().as_dict() | {"seconds": 0},
}
SURFACES: dict[str, Callable[[str], landscape.Surface]] = {
    "cross-entropy": partial(grid, loss=GRIDS["binary-cross-entropy"]),
    "squares through a sigmoid": partial(grid, loss=GRIDS["squares through a sigmoid"]),
    "hinge": partial(grid, loss=GRIDS["hinge"]),
    "a softmax plane": partial(plane, loss=losses.CrossEntropy()),
    "a curve": partial(grid, loss=GRIDS["squared-error"], b=0.5),
    "a net's plane": partial(
        plane, loss=losses.CrossEntropy(), model=partial(net, activation="tanh"), a=(-1, 1, 5), b=(-1, 1, 3)
    ),
}
for reading, read in READINGS.items():
    for name, surface in SURFACES.items():
        add(f"{reading} of {name}", lambda device, read, surface: read(surface(device)), read, surface)


def race(device: str, surface: Callable[[str], landscape.Surface], **options: Any) -> Any:
    rules = {"gradient-descent": 0.5, "momentum": 0.1, "adam": 0.1}
    found = landscape.paths(surface(device), [(-1, 1), (0.5, -0.5)], rules, steps=30, **options)
    assert not found.points.is_cuda
    return found.points, found.losses, found.endings


add("paths on cross-entropy", race, SURFACES["cross-entropy"])
add("paths of mini-batches", race, SURFACES["cross-entropy"], batch_size=10)
add("paths on a net's plane", race, SURFACES["a net's plane"])


def direction(device: str, draw: Callable[[nn.Module, Samples], Any], model: Callable[[], nn.Module]) -> Any:
    made = model().to(device)
    return draw(made, part("classes").to(device))


def trained_path(model: nn.Module, samples: Samples) -> edunn.History:
    return descend(model, losses.CrossEntropy(), samples, rate=0.1, epochs=4, snapshots=1)


DRAWN: dict[str, Callable[[nn.Module, Samples], Any]] = {
    "random": lambda model, _: directions.random(model, 1),
    "filter-normalised": lambda model, _: directions.filter_normalised(model, 1),
    "hessian": lambda model, samples: directions.hessian(model, losses.CrossEntropy(), samples),
    "weighted hessian": lambda model, samples: directions.hessian(
        model, losses.CrossEntropy(), replace(samples, sample_weight=torch.ones_like(samples.features[:, 0]))
    ),
    "principal": lambda model, samples: directions.principal(trained_path(model, samples)),
    "towards": lambda model, _: directions.towards(model, copy.deepcopy(model).cpu()),
}
for name, draw in DRAWN.items():
    add(f"directions: {name}", direction, draw, LINEAR["classes"])
    add(f"directions: {name} of a net", direction, draw, partial(net, activation="tanh"))
add("directions: one parameter", direction, lambda model, _: directions.parameter(model, "weight[0,2]"),
    LINEAR["classes"])  # fmt: skip


def projected(device: str) -> Any:
    model, samples = LINEAR["classes"]().to(device), part("classes").to(device)
    path = trained_path(model, samples)
    return directions.project(model, [w for _, w in path.snapshots], *directions.principal(path))


def straight(device: str) -> Any:
    """A path along a straight line has one direction; the other is drawn."""
    model = LINEAR["classes"]().to(device)
    start, step = directions.parameters(model), directions.random(model, 3)
    return directions.principal([{k: start[k] + n * step[k] for k in start} for n in range(4)])


add("a path projected on its principal plane", projected)
add("directions: principal of a straight path", straight)

# ---- features, neighbours, checks, metrics ---------------------------------------------------------------------------


def images(samples: int = 8, size: int = 24) -> Tensor:
    return torch.randint(0, 256, (samples, size, size, 3), generator=torch.Generator().manual_seed(0)).byte()


def encoded(device: str, kind: str, **options: Any) -> Any:
    pictures = images().to(device)
    pipeline, found = Pipeline.fit_apply(pictures, kind, standardise=True, **options)
    assert found.device.type == device
    return found, pipeline(pictures[:5]), pipeline.state()


WORDS: dict[str, Any] = {"words": 5, "size": 4, "patches": 200, "rounds": 3}
for kind in ("pixels", "hog", "hue", "rgb", "hog,hue"):
    add(f"features: {kind}", encoded, kind)
add("features: hog of other blocks", encoded, "hog", pixels_per_cell=4, cells_per_block=2, block_norm="L1-sqrt")
add("features: joint rgb", encoded, "rgb", bins=3, joint=True)
add("features: patches", encoded, "patches", **WORDS)
add("features: patches from k-means++, hard", encoded, "patches", start="k-means++", coding="hard", **WORDS)


def clustered(device: str) -> Any:
    rows = randn(60, 5, seed=7).to(device)
    found = patches.k_means(rows, patches.k_means_start(rows, 4), rounds=5)
    return found.centroids, found.assignment, found.inertia


def standardised(device: str) -> Any:
    rows = randn(60, 5, seed=7).to(device)
    fitted = features.Standardise.fit(rows)
    return fitted(rows), fitted.invert(fitted(rows)), fitted.state()


def dictionary(device: str) -> Any:
    """Learned on the CPU, used on the device."""
    learned = patches.learn(images(), **WORDS)
    return learned(images().to(device))


add("k-means", clustered)
add("standardising", standardised)
add("a dictionary of another device", dictionary)


def nearest(device: str, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    samples, queries = part("classes").to(device, dtype), randn(9, 4, seed=8, dtype=dtype).to(device)
    knn = NearestNeighbours(3, **options).fit(samples.features, samples.targets)
    return *knn.neighbours(queries), knn.predict(queries), knn.score(samples.features, samples.targets)


for metric in ("l2", "l1", "cosine"):
    for weights in ("uniform", "distance"):
        add(f"neighbours: {metric}, {weights}", nearest, metric=metric, weights=weights)
add("neighbours in float32", nearest, dtype=torch.float32)
add("neighbours in float16", nearest, dtype=torch.float16)
add("neighbours within a small budget", nearest, budget=2000)
for three in (by_two_loops, by_one_loop, by_product):
    add(f"distances {three.__name__}", lambda device, three: three(*(randn(6, 3, seed=s).to(device) for s in (1, 2))),
        three)  # fmt: skip


def chosen(device: str) -> Any:
    return edunn.selection.choose_k(part("classes").to(device), [1, 3, 5], count=3).trials


def folded(device: str) -> Any:
    samples = part("classes").to(device)

    def trial(fit: Samples, held: Samples, k: int) -> float:
        return float(NearestNeighbours(k).fit(fit.features, fit.targets).score(held.features, held.targets))

    return edunn.selection.cross_validate(trial, samples, 3, k=3).scores


add("choosing k", chosen)
add("cross-validation", folded)


def certified(device: str, model: Callable[[], nn.Module], loss: losses.Loss | None = None) -> Any:
    loss = loss or losses.CrossEntropy()
    found = gradcheck.certify(model().to(device), loss, part(loss.labels, 8).to(device), penalties.L2(0.1))
    return found.passed, len(found.rows)


add("certificate of softmax", certified, LINEAR["classes"])
add("certificate of a hinge", certified, LINEAR["signs"], losses.Hinge())
add("certificate of a net", certified, partial(net, activation="tanh"))
add("certificate of a net with dropout", certified, partial(net, dropout=0.5))


def certified_parts(device: str) -> Any:
    x, y = randn(5, 3).to(device), torch.tensor([0, 1, 2, 0, 1]).to(device)
    return [
        gradcheck.certify_loss(losses.CrossEntropy(), x, y).passed,
        gradcheck.certify_activation(activations.Tanh(), x).passed,
        gradcheck.certify_layer(edunn.layers.Linear(3, 2, **DOUBLE).to(device), x).passed,
        gradcheck.certify_penalty(penalties.L2(0.1), x).passed,
    ]


def parity(device: str) -> Any:
    found = gradcheck.parity.compare_devices(device)
    return found.passed, [row.name for row in found.rows]


add("certificates of a loss, an activation, a layer and a penalty", certified_parts)
add("the CPU against the device", parity)


def measured(device: str) -> Any:
    targets, guesses = (torch.tensor(labels).to(device) for labels in ([0, 1, 2, 2], [0, 2, 2, 1]))
    counts = edunn.metrics.confusion_counts(targets, guesses, 3)
    metrics = edunn.metrics
    return counts, metrics.recall(counts), metrics.precision(counts), metrics.accuracy(counts)


def moved(device: str) -> Any:
    """To the device and back, with a copy."""
    samples, model = part("classes", weighted=True).to(device), net(dropout=0.5).to(device)
    twin = copy.deepcopy(model)
    assert next(twin.parameters()).device == samples.features.device == samples.targets.device
    back = samples.to("cpu")
    assert not back.features.is_cuda
    model.to("cpu").eval()
    return back.features, back.targets, back.sample_weight, model(back.features), twin.eval()(samples.features)


def rearranged(device: str) -> Any:
    samples = part("classes", weighted=True).to(device)
    first, second = samples.split(0.3, seed=1)
    kept = samples[samples.targets > 0]
    weighted = samples.with_class_weight("balanced").sample_weight
    return first.features, second.targets, samples.shuffle(2).features, samples[3:9].features, kept.features, weighted


add("metrics", measured)
add("moving samples and models", moved)
add("splitting, shuffling and weighing samples", rearranged)

# ---- runs in folders, and the command line ---------------------------------------------------------------------------


def tables(device: str, **changes: Any) -> dict[str, Any]:
    asked = {
        "data": {"name": "moons", "samples": 60, "validation": 0.2, "test": 0.2},
        "features": {"standardise": True},
        "model": "logistic-regression",
        "loss": "binary-cross-entropy",
        "train": {"rate": 0.5, "batch_size": 8, "epochs": 3, "snapshots": 5},
        "run": {"device": device, "dtype": "float64"},
    }
    return {key: value for key, value in (asked | changes).items() if value is not None}


OWN = {"seconds", "device", "run_dir", "figures", "out", "total_seconds", "run"}


def without(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without what may differ: times, folders and the device."""
    return {
        key: without(value) if isinstance(value, dict) else value for key, value in summary.items() if key not in OWN
    }


def run_there(device: str, pictures: bool = False, **changes: Any) -> Any:
    with nullcontext() if pictures else mock.patch("edunn.experiment.train.save_pictures", return_value=[]):
        run = train(configs.parse(tables(device, **changes)), Path(device))
    assert run.summary["device"].startswith(device)
    return without(run.summary), dict(run.model.state_dict()), len(run.summary["figures"])


IMAGES = {"name": "shapes", "samples": 40, "test": 0.25}
add("a run of logistic regression", run_there)
add("a run with its pictures", run_there, pictures=True)
add("a run of a net", run_there, model={"kind": "two-layer", "hidden": 5, "batchnorm": True})
add("a run of neighbours", run_there, model={"kind": "neighbours", "k": 3}, loss=None, train={})
add("a run on image features", run_there, data=IMAGES, features={"kind": "hog,hue"}, model="softmax",
    loss="cross-entropy")  # fmt: skip
add("a run with class weights", run_there, loss={"kind": "binary-cross-entropy", "class_weight": "balanced"})


def resumed_there(device: str) -> Any:
    run_there(device)
    with mock.patch("edunn.experiment.train.save_pictures", return_value=[]):
        run = resume(Path(device), overrides=["train.epochs=5"])
    return without(run.summary), dict(run.model.state_dict())


def predicted(device: str) -> Any:
    run_there(device)
    run = load(device)
    samples = data.TOYS["moons"](samples=20)
    predictions = run.predict(samples)
    return predictions.scores, predictions.labels, predictions.score


def swept(device: str) -> Any:
    over = {"train.rate": ["0.1", "1"], "penalty.strength": ["0", "0.1"]}
    asked = tables(device, penalty={"kind": "l2", "strength": 0.1})
    found = sweep(lambda more: configs.parse(asked, more), over, Path(device))
    return [numbers(entry.history) for entry in found.entries], found.test


add("resuming a run in its folder", resumed_there)
add("predicting", predicted)
add("a sweep", swept)

SOFTMAX = {"data": {"name": "blobs", "samples": 60, "test": 0.2}, "model": "softmax", "loss": "cross-entropy"}


def train_softmax() -> None:
    """A run on the CPU, in the folder `cpu`."""
    if not Path("cpu").exists():
        run_there("cpu", **SOFTMAX)


def surface_there(device: str, which: str, **options: Any) -> Any:
    train_softmax()
    found = surface_of_run("cpu", which, (-1, 1, 7), (-1, 1, 5), device=device, **options)
    return jet(found.surface), found.path


for which in ("random", "principal", "hessian", "weight[0,0],weight[0,1]"):
    add(f"the {which} plane of a run", surface_there, which)
add("the plane of a run, directly", surface_there, "random", method="direct")


def command(device: str, *words: str, out: str = "out") -> Any:
    assert main([*words, "--device", device, "--out", f"{out}-{device}", "--json", "--quiet"]) == 0
    return without(json.loads(Path(f"{out}-{device}", "summary.json").read_text()))


def landscape_of_run(device: str) -> Any:
    train_softmax()
    return command(device, "landscape", "--run", "cpu", "--a=-1:1:7", "--b=-1:1:5", "--no-figures")


add("edunn landscape --run", landscape_of_run)
add("edunn landscape --basins", command, "landscape", "--w=-4:4:9", "--b=-3:3:7", "--samples", "40", "--basins",
    "--steps", "30", "--no-figures")  # fmt: skip
add("edunn landscape --compare", command, "landscape", "--problem", "binary", "--loss", "mse", "--compare", "bce",
    "--w=-4:4:9", "--b=-3:3:7", "--samples", "40", "--no-figures")  # fmt: skip

# ---- the tests -------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The same without devices: tensors on the CPU, records as their fields."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return plain(vars(value))
    return value


def assert_same(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, Tensor):
        half = one.dtype in (torch.float32, torch.float16)
        tolerance = {"rtol": 1e-5, "atol": 1e-6} if half else {"rtol": 1e-9, "atol": 1e-11}
        torch.testing.assert_close(one, other, equal_nan=True, msg=lambda text: f"{where}: {text}", **tolerance)
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{k}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (one != one and other != other), where
    else:
        assert one == other, where


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own; and no Triton, whose kernels take the memory of a real device (`test_kernels.py`)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edunn.landscape.kernels.available", lambda: False)


def test_there_are_enough_paths() -> None:
    assert len(PATHS) >= 120


@pytest.mark.parametrize("name", PATHS)
def test_the_same_values_on_the_device(name: str) -> None:
    here = plain(PATHS[name]("cpu"))
    with pretend_device() as device:
        there = plain(PATHS[name]("cuda"))
    assert_same(there, here)
    assert device.draws == []  # random numbers are drawn on the CPU, the same for all devices


# ---- the waits of the loop -------------------------------------------------------------------------------------------

LOOPS: dict[str, Callable[..., Any]] = {
    **{f"{rule} by {by}": partial(training, rule=updates.RULES[rule](), by=by)
       for rule in updates.RULES for by in ("fast", "hand")},
    **{name: partial(training, loss=kind(), batch_size=4)
       for name, kind in losses.LOSSES.items() if name != "zero-one"},
    **{name: partial(training, penalty=make(), validation=True) for name, make in PENALTIES.items()},
    **{name: partial(training, model=make, batch_size=6) for name, make in NETS.items()},
    "single samples": partial(training, batch_size=1),
    "full batches": partial(training, batch_size=None),
    "clipping": partial(training, clip_norm=0.1),
    "gradient descent by autograd": partial(training, by="autograd"),
    "a stack": partial(stacked, changes=VARIED["rates"]),
    "a stack of orders": partial(stacked, changes=VARIED["orders"]),
}  # fmt: skip


def count(name: str, **options: Any) -> tuple[int, int]:
    """The waits and the copies to the device of a run."""
    with pretend_device() as device:
        LOOPS[name]("cuda", **options)
    return len(device.waits), len(device.uploads)


@pytest.mark.parametrize("name", LOOPS)
def test_the_loop_waits_once_an_epoch(name: str) -> None:
    """The difference of two runs leaves out the checks before the first step and the evaluation at the end."""
    (few, sent), (many, sent_more) = (count(name, epochs=epochs, evaluate=0) for epochs in (2, 7))
    assert many - few == 5
    assert sent_more - sent <= 5  # the order of the samples, once an epoch


@pytest.mark.parametrize("name", ["gradient-descent by fast", "L2", "a stack"])
def test_an_evaluation_waits_once(name: str) -> None:
    assert count(name, epochs=6, evaluate=1)[0] - count(name, epochs=6, evaluate=0)[0] == 5


# ---- the test of the test --------------------------------------------------------------------------------------------


def test_a_planted_mix_of_devices_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def along_the_cpu(self: Any, scores: Tensor, targets: Tensor) -> Tensor:
        return scores.softmax(-1) - torch.eye(scores.shape[-1], dtype=scores.dtype)[targets]

    monkeypatch.setattr(losses.CrossEntropy, "pointwise_gradient", along_the_cpu)
    with pytest.raises(Mixed, match=r"mixes devices.*cuda:0"), pretend_device():
        training("cuda", by="hand")


def test_a_tensor_made_on_the_wrong_device_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates.Momentum, "direction", lambda self, gradient, state: torch.ones(gradient.shape) * 1.0)
    with pytest.raises(Mixed), pretend_device():
        training("cuda", rule=updates.Momentum(), by="hand")


def test_a_planted_item_in_the_loop_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    step = updates.GradientDescent.direction

    def waits(self: Any, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return step(self, gradient, state) if gradient.sum().item() < math.inf else gradient

    monkeypatch.setattr(updates.GradientDescent, "direction", waits)
    with pytest.raises(AssertionError):
        test_the_loop_waits_once_an_epoch("gradient-descent by hand")


def test_a_draw_on_the_device_is_noted() -> None:
    with pretend_device() as device:
        torch.randn(3, device="cuda")
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(3, device="cuda", generator=torch.Generator())
    assert len(device.draws) == 1


def test_what_waits_is_counted() -> None:
    """Each of these makes the host wait for a CUDA device: see torch.cuda.set_sync_debug_mode."""
    waits: list[Callable[[Tensor], Any]] = [
        Tensor.item, Tensor.tolist, Tensor.cpu, float, bool, int, Tensor.nonzero, torch.unique,
        lambda x: x[x > 0], lambda x: torch.equal(x, x), lambda x: torch.empty(1).copy_(x), lambda x: [0, 1][x.long()],
    ]  # fmt: skip
    for wait in waits:
        with pretend_device() as device:
            x = torch.ones(1).to("cuda")
            assert device.waits == []
            wait(x)
        assert len(device.waits) == 1, wait
    with pretend_device() as device:
        x = torch.ones(4, 4).to("cuda")
        ((x @ x).sum(0).clamp_(min=0) + torch.tensor(2.0)).masked_fill_(x[0] > 3, 1.0)[1:] += 1
    assert device.waits == []


def test_numpy_refuses_a_tensor_of_the_device() -> None:
    with pretend_device(), pytest.raises(TypeError):
        np.asarray(torch.ones(3, device="cuda"))


def test_a_recorded_graph_replays_and_refuses_waits() -> None:
    with pretend_device():
        x, graph = torch.ones(2, device="cuda"), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = x * 2
            x.add_(y)
        assert x.tolist() == [1.0, 1.0]  # recording changes nothing
        graph.replay()
        graph.replay()
        assert x.tolist() == [9.0, 9.0]
        with pytest.raises(RuntimeError, match="while a graph is recorded"), torch.cuda.graph(graph):
            x.sum().item()


def test_a_run_on_the_device_replays_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from edunn.descent.fast import CudaGraphSteps

    replays: list[int] = []
    replay = CudaGraphSteps.replay
    monkeypatch.setattr(CudaGraphSteps, "replay", lambda self, rates: (replays.append(1), replay(self, rates))[1])
    with pretend_device():
        training("cuda", rule=updates.Momentum(), penalty=penalties.L2(0.1), epochs=3, batch_size=3)
    assert len(replays) == 3  # 20 steps an epoch: a recorded block of 16, and four one by one


# ---- found in use ----------------------------------------------------------------------------------------------------


def test_e43_the_landscape_of_a_run_obeys_its_device(capsys: pytest.CaptureFixture[str]) -> None:
    train_softmax()
    words = ["landscape", "--run", "cpu", "--a=-1:1:5", "--b=-1:1:5", "--no-figures", "--quiet", "--json"]
    with pretend_device() as device:
        assert main([*words, "--device", "cuda", "--out", "there"]) == 0
        assert device.waits  # it computed there
    with pretend_device() as device:
        assert main([*words, "--device", "cpu", "--out", "here"]) == 0
        assert device.waits == device.uploads == []  # and not there
    here, there = (json.loads(line) for line in reversed(capsys.readouterr().out.splitlines()))
    assert_same(plain(without(there)), plain(without(here)))


def test_e44_many_samples_are_summed_in_float64() -> None:
    """A float32 surface of a million samples that all have the loss log 2; more in `test_kernels.py`."""
    x = torch.linspace(-1, 1, 1_000_000, dtype=torch.float64)
    with pretend_device():
        y = (torch.arange(len(x)) % 2).double()
        loss = losses.BinaryCrossEntropy()
        found = landscape.grid(x, y, loss, (0, 0, 1), (0, 0, 1), method="direct", dtype=torch.float32, device="cuda")
        value = float(found.values)
    assert value == pytest.approx(math.log(2), rel=5e-7)


def test_e46_directions_stay_on_one_device() -> None:
    with pretend_device():
        model, samples = LINEAR["classes"]().to("cuda"), part("classes").to("cuda")
        path = trained_path(model, samples)
        first, second = directions.principal(path)
        assert directions.project(model, [weights for _, weights in path.snapshots], first, second).is_cuda
        one, two = directions.hessian(model, losses.CrossEntropy(), samples)
        assert all(d.is_cuda for d in (*one.values(), *two.values()))
        straight("cuda")
