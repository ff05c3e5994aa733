"""Everything in the package that has a hand-derived gradient, as claims at random points.

A new loss, activation or penalty is one line of a table here. Points are drawn from the seed; those near a kink
are drawn again, and a second table puts points exactly on the kinks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from .. import activations, layers, losses, models, penalties
from ..runtime.devices import generator
from .certificate import Certificate, Row
from .claim import Claim, Points
from .compare import check
from .objective import claim_objective, hold_masks

SAMPLES, FEATURES, CLASSES = 6, 3, 4

LOSSES: dict[str, losses.Loss] = {
    "squared-error": losses.SquaredError(),
    "squared-error half": losses.SquaredError(half=True),
    "squared-error through sigmoid": losses.SquaredError(through=activations.Sigmoid()),
    "squared-error half through tanh": losses.SquaredError(half=True, through=activations.Tanh()),
    "squared-error through relu": losses.SquaredError(through=activations.ReLU()),
    "squared-error through leaky-relu": losses.SquaredError(through=activations.LeakyReLU(0.1)),
    "squared-error classes": losses.SquaredError(classes=True),
    "squared-error classes through sigmoid": losses.SquaredError(classes=True, through=activations.Sigmoid()),
    "squared-error classes through softmax": losses.SquaredError(classes=True, through=activations.Softmax()),
    "absolute-error": losses.AbsoluteError(),
    "huber": losses.Huber(),
    "huber delta 0.3": losses.Huber(0.3),
    "binary-cross-entropy": losses.BinaryCrossEntropy(),
    "logistic": losses.Logistic(),
    "hinge": losses.Hinge(),
    "hinge margin 0.5": losses.Hinge(margin=0.5),
    "squared hinge": losses.Hinge(power=2),
    "perceptron": losses.Perceptron(),
    "cross-entropy": losses.CrossEntropy(),
    "cross-entropy ignore_index": losses.CrossEntropy(ignore_index=1),
    "cross-entropy smoothed": losses.CrossEntropy(label_smoothing=0.1),
    "multiclass-hinge": losses.MulticlassHinge(),
    "multiclass-hinge margin 0.5": losses.MulticlassHinge(margin=0.5),
    "multiclass-hinge include_true": losses.MulticlassHinge(include_true=True),
    "multiclass-hinge over others": losses.MulticlassHinge(over="others"),
    "multiclass-hinge over classes": losses.MulticlassHinge(over="classes"),
    "one-vs-all-cross-entropy": losses.OneVsAllCrossEntropy(),
    "one-vs-all-hinge": losses.OneVsAllHinge(),
    "squared one-vs-all-hinge margin 0.5": losses.OneVsAllHinge(margin=0.5, power=2),
    "squared multiclass-hinge": losses.MulticlassHinge(power=2),
    "squared multiclass-hinge over classes include_true": losses.MulticlassHinge(
        power=2, over="classes", include_true=True
    ),
}

PENALTIES: dict[str, penalties.Penalty] = {
    "l2": penalties.L2(0.7),
    "l2 half": penalties.L2(0.7, half=True),
    "l2 bias": penalties.L2(0.7, bias=True),
    "l1": penalties.L1(0.7),
    "elastic-net": penalties.ElasticNet(0.7, beta=0.4),
    "max-norm": penalties.MaxNorm(1.5),
    "l2 of two runs": penalties.L2(torch.tensor([0.7, 1.3], dtype=torch.float64)),
    "elastic-net of two runs": penalties.ElasticNet(torch.tensor([0.7, 1.3], dtype=torch.float64)),
}

# model, loss, penalty: each pair that the lectures train
OBJECTIVES: dict[str, tuple[Callable[[], Any], losses.Loss, penalties.Penalty]] = {
    "linear regression": (
        lambda: models.LinearRegression(FEATURES), losses.SquaredError(), penalties.L2(0.7)),
    "linear regression, two outputs": (
        lambda: models.LinearRegression(FEATURES, 2), losses.SquaredError(classes=True), penalties.L2(0.7, bias=True)),
    "logistic regression": (
        lambda: models.LogisticRegression(FEATURES), losses.BinaryCrossEntropy(), penalties.ElasticNet(0.7)),
    "softmax classifier": (
        lambda: models.SoftmaxClassifier(FEATURES, CLASSES), losses.CrossEntropy(), penalties.L2(0.7, half=True)),
    "two-class svm": (lambda: models.LinearSVM(FEATURES), losses.Hinge(), penalties.L2(0.7)),
    "multiclass svm": (
        lambda: models.LinearSVM(FEATURES, CLASSES), losses.MulticlassHinge(), penalties.L1(0.7)),
    "squared multiclass svm, no bias": (
        lambda: models.LinearSVM(FEATURES, CLASSES, bias=False), losses.MulticlassHinge(power=2), penalties.L2(0.7)),
    "two-layer net": (
        lambda: models.TwoLayerNet(FEATURES, CLASSES, hidden=5, activation="tanh"), losses.CrossEntropy(),
        penalties.L2(0.7)),
    "two-layer net, relu, one output": (
        lambda: models.TwoLayerNet(FEATURES, 1, hidden=5), losses.BinaryCrossEntropy(), penalties.L2(0.7, half=True)),
    "two-layer net, batch normalisation and dropout": (
        lambda: models.TwoLayerNet(FEATURES, CLASSES, hidden=5, activation="tanh", batchnorm=True, dropout=0.3),
        losses.MulticlassHinge(power=2), penalties.L2(0.7)),
}  # fmt: skip


class Draw:
    """Random tensors, one after the other, from one seed: drawn in float64 on the CPU, then moved.

    So every device and dtype sees the same numbers, rounded.
    """

    def __init__(self, *seed: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64) -> None:
        self.generator = generator(*seed)
        self.device, self.dtype = torch.device(device), dtype

    def move(self, tensor: Tensor) -> Tensor:
        """Moves to the device; floating numbers also to the dtype."""
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def normal(self, *shape: int) -> Tensor:
        return self.move(torch.randn(*shape, dtype=torch.float64, generator=self.generator))

    def integers(self, below: int, *shape: int) -> Tensor:
        return self.move(torch.randint(below, shape, generator=self.generator))

    def distributions(self, *shape: int) -> Tensor:
        return torch.softmax(self.normal(*shape), -1)

    def targets(self, labels: str, samples: int = SAMPLES, classes: int = CLASSES) -> Tensor:
        """Draws targets that a loss accepts; every class occurs."""
        if labels == "real":
            return self.normal(samples)
        if labels == "classes":
            return torch.cat([self.move(torch.arange(classes)), self.integers(classes, samples)])[:samples]
        first = self.move(torch.tensor([0.0, 1.0], dtype=torch.float64))
        bits = torch.cat([first, self.integers(2, samples).to(self.dtype)])[:samples]
        return bits if labels == "bits" else 2 * bits - 1


def everything(seed: int = 0) -> Certificate:
    """Certifies the whole package, at the points that this seed draws, and on the kinks."""
    rows: list[Row] = []
    for k, make in enumerate(smooth_claims()):
        rows += check_smooth(make, seed, k)
    for claim in claim_at_kinks(Draw(seed, 10_000)):
        rows += check(claim, seed=seed)
    return Certificate(tuple(rows))


def check_smooth(make: Callable[[Draw], list[Claim]], seed: int, k: int) -> list[Row]:
    """Checks claims at random points, drawn again until the differences show no kink near them."""
    for attempt in range(20):
        rows = [row for claim in make(Draw(seed, k, attempt)) for row in check(claim, seed=seed)]
        if not any(row.near for row in rows):
            break
    return rows


def smooth_claims() -> Iterator[Callable[[Draw], list[Claim]]]:
    """Yields, for each line of the tables, a function that makes its claims."""
    for activation in activations.ACTIVATIONS:
        yield partial(claim_activations, activation)
    for name, loss in LOSSES.items():
        yield partial(claim_losses, name, loss)
    for name, penalty in PENALTIES.items():
        yield partial(claim_penalty, name, penalty)
    yield claim_layers
    for name in OBJECTIVES:
        yield partial(claim_model, name)


def claim_activations(name: str, draw: Draw) -> list[Claim]:
    """Claims the gradients of Σ u·f(z) and of Σ u·f'(z) in z; the second is the second derivative."""
    f = activations.ACTIVATIONS[name]()
    point = draw.normal(SAMPLES, CLASSES) * 2
    weights = draw.normal(*f.derivative(point).shape)

    def second(points: Points) -> Points:
        curvature = f.second_derivative(points["scores"])
        return {
            "scores": torch.einsum("nij,nijk->nk", weights, curvature) if curvature.ndim > 2 else weights * curvature
        }

    def slope(points: Points) -> Tensor:
        return (weights * f.derivative(points["scores"])).sum()

    return [
        claim_activation(f"activation {name}", f, point, draw.normal(*point.shape)),
        Claim(f"activation {name}, f'", slope, second, {"scores": point}, "curvature"),
    ]


def claim_activation(
    name: str, f: activations.Activation, point: Tensor, upstream: Tensor, at_kink: bool = False
) -> Claim:
    return Claim(
        name,
        lambda points: (upstream * f(points["scores"])).sum(),
        lambda points: {"scores": f.input_gradient(points["scores"], upstream)},
        {"scores": point},
        at_kink=at_kink,
    )


def claim_losses(name: str, loss: losses.Loss, draw: Draw) -> list[Claim]:
    """Claims a loss's gradient in its scores, also for scores of a stack, and its second derivative."""
    shape = (SAMPLES, CLASSES) if loss.class_axis else (SAMPLES,)
    targets = draw.targets(loss.labels)
    found = [
        claim_loss(f"loss {name}", loss, draw.normal(*shape) * 2, targets),
        claim_loss(f"loss {name}, a stack of two", loss, draw.normal(2, *shape) * 2, targets),
        *claim_curvature(name, loss, draw.normal(*shape) * 2, targets, draw),
    ]
    if loss.class_axis and loss.soft_labels:
        rows = draw.distributions(*shape)
        found.append(claim_loss(f"loss {name}, distributions", loss, draw.normal(*shape) * 2, rows))
    if loss.separate:
        rows = (draw.normal(*shape) > 0).to(draw.dtype)
        found.append(claim_loss(f"loss {name}, rows of bits", loss, draw.normal(*shape) * 2, rows))
    if isinstance(loss, losses.SquaredError) and loss.class_axis:
        rows = draw.normal(*shape)
        found.append(claim_loss(f"loss {name}, rows of targets", loss, draw.normal(*shape) * 2, rows))
    if loss.soft_labels and not loss.class_axis:
        found.append(
            claim_loss(f"loss {name}, probabilities", loss, draw.normal(*shape), draw.normal(*shape).sigmoid())
        )
    return found


def claim_loss(name: str, loss: losses.Loss, scores: Tensor, targets: Tensor, at_kink: bool = False) -> Claim:
    return Claim(
        name,
        lambda points: loss(points["scores"], targets).sum(),
        lambda points: {"scores": loss.gradient(points["scores"], targets)},
        {"scores": scores},
        at_kink=at_kink,
    )


def claim_curvature(name: str, loss: losses.Loss, scores: Tensor, targets: Tensor, draw: Draw) -> list[Claim]:
    """Claims the gradient of v·∇ℓ, the second derivative times v; as a matrix too where there are classes.

    The gradient that is differentiated here is autograd's, so that a mistake in ours cannot hide one in the curvature.
    """
    direction = draw.normal(*scores.shape)

    def slope(points: Points) -> Tensor:
        with torch.enable_grad():
            at = points["scores"]
            at = at if at.requires_grad else at.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss.pointwise(at, targets).sum(), at, create_graph=True)
        return (gradient * direction).sum()

    def product(points: Points) -> Points:
        return {"scores": loss.curvature_product(points["scores"], targets, direction)}

    def matrix(points: Points) -> Points:
        curvature = loss.pointwise_curvature(points["scores"], targets)
        return {"scores": (curvature @ direction.unsqueeze(-1)).squeeze(-1)}

    found = [Claim(f"loss {name}", slope, product, {"scores": scores}, "curvature")]
    if loss.class_axis:
        found.append(Claim(f"loss {name}", slope, matrix, {"scores": scores}, "curvature matrix"))
    return found


def claim_penalty(name: str, penalty: penalties.Penalty, draw: Draw) -> list[Claim]:
    """Claims a penalty's gradient in a model's weight and bias; a bias that it leaves alone has gradient 0."""
    runs: tuple[int, ...] = ()
    strength = penalty.strength
    if isinstance(strength, Tensor):
        runs = tuple(strength.shape)
        penalty = copy.deepcopy(penalty)
        penalty.strength = draw.move(strength)
    parameters = {"weight": draw.normal(*runs, CLASSES, FEATURES), "bias": draw.normal(*runs, CLASSES)}

    def gradients(points: Points) -> Points:
        return {**{key: torch.zeros_like(p) for key, p in points.items()}, **penalty.gradients(points)}

    return [
        Claim(f"penalty {name}", lambda points: penalty.value(points).sum(), gradients, parameters, f"penalty {name}")
    ]


def claim_layers(draw: Draw) -> list[Claim]:
    """Claims each layer's gradients of Σ u·layer(x), in its parameters and in x."""
    double = torch.float64
    makers: dict[str, tuple[torch.nn.Module, tuple[int, ...]]] = {
        "linear": (layers.Linear(FEATURES, CLASSES, dtype=double), ()),
        "linear, no bias": (layers.Linear(FEATURES, CLASSES, bias=False, dtype=double), ()),
        "linear, two runs": (layers.Linear(FEATURES, CLASSES, runs=(2,), dtype=double), (2,)),
        "dropout": (layers.Dropout(0.4, seed=int(draw.integers(2**31, 1))), ()),
        "batchnorm": (layers.BatchNorm(FEATURES, dtype=double), ()),
        "batchnorm, two runs": (layers.BatchNorm(FEATURES, runs=(2,), dtype=double), (2,)),
        "batchnorm, evaluation": (layers.BatchNorm(FEATURES, dtype=double).eval(), ()),
        "chain": (
            layers.Chain(
                layers.Linear(FEATURES, CLASSES, dtype=double),
                layers.BatchNorm(CLASSES, dtype=double),
                activations.Tanh(),
                layers.Dropout(0.4),
                layers.Linear(CLASSES, 2, dtype=double),
            ),
            (),
        ),
    }
    found = []
    for name, (layer, runs) in makers.items():
        layer.to(draw.device, draw.dtype)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(draw.normal(*parameter.shape))
        found.append(claim_layer(f"layer {name}", layer, draw.normal(*runs, SAMPLES, FEATURES), draw))
    return found


def claim_layer(name: str, layer: Any, features: Tensor, draw: Draw) -> Claim:
    hold_masks(layer)
    parameters = {key: p.detach().clone() for key, p in layer.named_parameters()}
    upstream = draw.normal(*layer(features).shape)

    def value(points: Points) -> Tensor:
        points = dict(points)
        x = points.pop("features")
        return (upstream * functional_call(layer, points, (x,))).sum()

    def gradients(points: Points) -> Points:
        return {**layer.gradients(features, upstream), "features": layer.input_gradient(features, upstream)}

    return Claim(name, value, gradients, {**parameters, "features": features})


def claim_model(name: str, draw: Draw) -> list[Claim]:
    """Claims the gradients of a model with its loss and penalty, each term separately."""
    make, loss, penalty = OBJECTIVES[name]
    model = make()
    features = draw.normal(SAMPLES, FEATURES)
    targets = draw.targets(loss.labels)
    if loss.class_axis and loss.labels == "classes" and isinstance(loss, losses.SquaredError):
        targets = draw.normal(SAMPLES, model.weight.shape[-2])
    seed = int(draw.integers(2**31, 1))
    samples = SimpleNamespace(features=features, targets=targets)
    found = claim_objective(model, loss, samples, penalty, seed, device=draw.device, dtype=draw.dtype)
    return [rename(claim, f"model {name}") for claim in found]


def rename(claim: Claim, name: str) -> Claim:
    return Claim(**{**claim.__dict__, "name": name})


def claim_at_kinks(draw: Draw) -> list[Claim]:
    """Claims gradients on kinks: samples exactly on the margin, targets met exactly, weights of 0."""
    on_zero = draw.move(torch.tensor([0.0, 1.5, 0.0, -2.0, 0.0, 0.5], dtype=torch.float64))
    signs = draw.targets("signs")
    real = draw.integers(5, SAMPLES).double()
    classes = draw.targets("classes")
    integers = draw.integers(4, SAMPLES, CLASSES).double()  # differences of −1 abound: the margin is met exactly
    found = [
        claim_loss("loss absolute-error, at its kink", losses.AbsoluteError(), real + on_zero, real, True),
        claim_loss("loss huber, at its bend", losses.Huber(), real + on_zero + 1, real, True),
        claim_loss("loss hinge, on the margin", losses.Hinge(), signs * (1 + on_zero), signs, True),
        claim_loss("loss squared hinge, on the margin", losses.Hinge(power=2), signs * (1 + on_zero), signs, True),
        claim_loss("loss perceptron, at score 0", losses.Perceptron(), on_zero, signs, True),
        claim_loss("loss binary-cross-entropy, at score 0", losses.BinaryCrossEntropy(), on_zero, (signs + 1) / 2),
        claim_loss("loss multiclass-hinge, on the margin", losses.MulticlassHinge(), integers, classes, True),
        claim_loss(
            "loss squared multiclass-hinge, on the margin", losses.MulticlassHinge(power=2), integers, classes, True
        ),
    ]
    for name in ("relu", "leaky-relu"):
        f, upstream = activations.ACTIVATIONS[name](), draw.normal(SAMPLES)
        found.append(claim_activation(f"activation {name}, at its kink", f, on_zero, upstream, True))
    l1, weight = penalties.L1(0.7), {"weight": on_zero.reshape(2, 3)}
    found.append(Claim("penalty l1, weights of 0", l1.value, l1.gradients, weight, "penalty l1", at_kink=True))
    start = models.LinearSVM(FEATURES)
    data = SimpleNamespace(features=draw.normal(SAMPLES, FEATURES), targets=signs)
    for claim in claim_objective(start, losses.Perceptron(), data, None, 0, random=False):
        found.append(rename(claim, "model perceptron, all weights 0"))
    return found
