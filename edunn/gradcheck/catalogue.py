"""Everything in the package that has a hand-derived gradient, as subjects at random points.

A new loss, activation or penalty is one line of a table here. Points are drawn from the seed; those that turn out to
lie near a kink are drawn again, and a second table puts points on the kinks on purpose.
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
from .compare import check
from .objective import objective_subjects
from .subjects import Points, Subject

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
    "cross-entropy smoothed": losses.CrossEntropy(label_smoothing=0.1),
    "multiclass-hinge": losses.MulticlassHinge(),
    "multiclass-hinge margin 0.5": losses.MulticlassHinge(margin=0.5),
    "multiclass-hinge include_true": losses.MulticlassHinge(include_true=True),
    "multiclass-hinge over others": losses.MulticlassHinge(over="others"),
    "multiclass-hinge over classes": losses.MulticlassHinge(over="classes"),
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
        lambda: held(models.TwoLayerNet(FEATURES, CLASSES, hidden=5, activation="tanh", batchnorm=True, dropout=0.3)),
        losses.MulticlassHinge(power=2), penalties.L2(0.7)),
}  # fmt: skip


def held(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every dropout mask drawn once and kept: a difference wants the same function on both sides."""
    for layer in model.modules():
        if isinstance(layer, layers.Dropout):
            layer.held = True
    return model


class Draw:
    """Random tensors, one after the other, from one seed: drawn in float64 on the CPU, and then moved.

    So every device and dtype sees the same numbers, rounded.
    """

    def __init__(self, *seed: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64) -> None:
        self.generator = generator(*seed)
        self.device, self.dtype = torch.device(device), dtype

    def moved(self, tensor: Tensor) -> Tensor:
        """On the device; floating numbers in the dtype."""
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def normal(self, *shape: int) -> Tensor:
        return self.moved(torch.randn(*shape, dtype=torch.float64, generator=self.generator))

    def whole(self, below: int, *shape: int) -> Tensor:
        return self.moved(torch.randint(below, shape, generator=self.generator))

    def distributions(self, *shape: int) -> Tensor:
        return torch.softmax(self.normal(*shape), -1)

    def targets(self, labels: str, samples: int = SAMPLES, classes: int = CLASSES) -> Tensor:
        """Targets of a loss's domain; every class occurs."""
        if labels == "real":
            return self.normal(samples)
        if labels == "classes":
            return torch.cat([self.moved(torch.arange(classes)), self.whole(classes, samples)])[:samples]
        first = self.moved(torch.tensor([0.0, 1.0], dtype=torch.float64))
        bits = torch.cat([first, self.whole(2, samples).to(self.dtype)])[:samples]
        return bits if labels == "bits" else 2 * bits - 1


def everything(seed: int = 0) -> Certificate:
    """The certificate of the whole package, at the points that this seed draws, and on the kinks."""
    rows: list[Row] = []
    for k, make in enumerate(smooth_subjects()):
        rows += away_from_kinks(make, seed, k)
    for subject in kink_subjects(Draw(seed, 10_000)):
        rows += check(subject, seed=seed)
    return Certificate(tuple(rows))


def away_from_kinks(make: Callable[[Draw], list[Subject]], seed: int, k: int) -> list[Row]:
    """Draws points until no stencil meets a kink; which loss it is does not matter, the differences tell."""
    for attempt in range(20):
        rows = [row for subject in make(Draw(seed, k, attempt)) for row in check(subject, seed=seed)]
        if not any(row.near for row in rows):
            break
    return rows


def smooth_subjects() -> Iterator[Callable[[Draw], list[Subject]]]:
    """A maker of subjects for each line of the tables."""
    for activation in activations.ACTIVATIONS:
        yield partial(activation_subjects, activation)
    for name, loss in LOSSES.items():
        yield partial(loss_subjects, name, loss)
    for name, penalty in PENALTIES.items():
        yield partial(penalty_subjects, name, penalty)
    yield layer_subjects
    for name in OBJECTIVES:
        yield partial(objective, name)


def activation_subjects(name: str, draw: Draw) -> list[Subject]:
    """Σ u·f(z) in z, and Σ u·f'(z) in z, whose gradient is the second derivative."""
    f = activations.ACTIVATIONS[name]()
    point = draw.normal(SAMPLES, CLASSES) * 2
    bend = draw.normal(*f.derivative(point).shape)

    def second(points: Points) -> Points:
        curvature = f.second_derivative(points["scores"])
        return {"scores": torch.einsum("nij,nijk->nk", bend, curvature) if curvature.ndim > 2 else bend * curvature}

    def slope(points: Points) -> Tensor:
        return (bend * f.derivative(points["scores"])).sum()

    return [
        activation_subject(f"activation {name}", f, point, draw.normal(*point.shape)),
        Subject(f"activation {name}, f'", slope, second, {"scores": point}, "curvature"),
    ]


def activation_subject(
    name: str, f: activations.Activation, point: Tensor, up: Tensor, at_kink: bool = False
) -> Subject:
    return Subject(
        name,
        lambda points: (up * f(points["scores"])).sum(),
        lambda points: {"scores": f.input_gradient(points["scores"], up)},
        {"scores": point},
        at_kink=at_kink,
    )


def loss_subjects(name: str, loss: losses.Loss, draw: Draw) -> list[Subject]:
    """The loss in its scores, in a stack of scores with one lead axis, and its curvature."""
    shape = (SAMPLES, CLASSES) if loss.class_axis else (SAMPLES,)
    targets = draw.targets(loss.labels)
    found = [
        loss_subject(f"loss {name}", loss, draw.normal(*shape) * 2, targets),
        loss_subject(f"loss {name}, a stack of two", loss, draw.normal(2, *shape) * 2, targets),
        *curvature_subjects(name, loss, draw.normal(*shape) * 2, targets, draw),
    ]
    if isinstance(loss, losses.CrossEntropy):
        rows = draw.distributions(*shape)
        found.append(loss_subject(f"loss {name}, distributions", loss, draw.normal(*shape) * 2, rows))
    if isinstance(loss, losses.SquaredError) and loss.class_axis:
        rows = draw.normal(*shape)
        found.append(loss_subject(f"loss {name}, rows of targets", loss, draw.normal(*shape) * 2, rows))
    if isinstance(loss, losses.BinaryCrossEntropy):
        found.append(
            loss_subject(f"loss {name}, probabilities", loss, draw.normal(*shape), draw.normal(*shape).sigmoid())
        )
    return found


def loss_subject(name: str, loss: losses.Loss, scores: Tensor, targets: Tensor, at_kink: bool = False) -> Subject:
    return Subject(
        name,
        lambda points: loss(points["scores"], targets).sum(),
        lambda points: {"scores": loss.gradient(points["scores"], targets)},
        {"scores": scores},
        at_kink=at_kink,
    )


def curvature_subjects(name: str, loss: losses.Loss, scores: Tensor, targets: Tensor, draw: Draw) -> list[Subject]:
    """v·∇ℓ in the scores, whose gradient is the second derivative times v; as a matrix too where there are classes.

    The gradient that is differentiated here is autograd's, so that a slip in ours cannot hide one in the curvature.
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

    found = [Subject(f"loss {name}", slope, product, {"scores": scores}, "curvature")]
    if loss.class_axis:
        found.append(Subject(f"loss {name}", slope, matrix, {"scores": scores}, "curvature matrix"))
    return found


def penalty_subjects(name: str, penalty: penalties.Penalty, draw: Draw) -> list[Subject]:
    """The penalty of a weight, and of a whole model: a bias that it leaves alone has gradient 0."""
    runs: tuple[int, ...] = ()
    strength = penalty.strength
    if isinstance(strength, Tensor):
        runs = tuple(strength.shape)
        penalty = copy.deepcopy(penalty)
        penalty.strength = draw.moved(strength)
    parameters = {"weight": draw.normal(*runs, CLASSES, FEATURES), "bias": draw.normal(*runs, CLASSES)}

    def gradients(points: Points) -> Points:
        return {**{key: torch.zeros_like(p) for key, p in points.items()}, **penalty.gradients(points)}

    return [
        Subject(f"penalty {name}", lambda points: penalty.value(points).sum(), gradients, parameters, f"penalty {name}")
    ]


def layer_subjects(draw: Draw) -> list[Subject]:
    """Σ u·layer(x) in the layer's parameters and in x."""
    double = torch.float64
    makers: dict[str, tuple[torch.nn.Module, tuple[int, ...]]] = {
        "linear": (layers.Linear(FEATURES, CLASSES, dtype=double), ()),
        "linear, no bias": (layers.Linear(FEATURES, CLASSES, bias=False, dtype=double), ()),
        "linear, two runs": (layers.Linear(FEATURES, CLASSES, runs=(2,), dtype=double), (2,)),
        "dropout": (held(layers.Dropout(0.4, seed=int(draw.whole(2**31, 1)))), ()),
        "batchnorm": (layers.BatchNorm(FEATURES, dtype=double), ()),
        "batchnorm, two runs": (layers.BatchNorm(FEATURES, runs=(2,), dtype=double), (2,)),
        "batchnorm, evaluation": (layers.BatchNorm(FEATURES, dtype=double).eval(), ()),
        "chain": (
            layers.Chain(
                layers.Linear(FEATURES, CLASSES, dtype=double),
                layers.BatchNorm(CLASSES, dtype=double),
                activations.Tanh(),
                held(layers.Dropout(0.4)),
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
        found.append(layer_subject(f"layer {name}", layer, draw.normal(*runs, SAMPLES, FEATURES), draw))
    return found


def layer_subject(name: str, layer: Any, features: Tensor, draw: Draw) -> Subject:
    parameters = {key: p.detach().clone() for key, p in layer.named_parameters()}
    up = draw.normal(*layer(features).shape)

    def value(points: Points) -> Tensor:
        points = dict(points)
        x = points.pop("features")
        return (up * functional_call(layer, points, (x,))).sum()

    def gradients(points: Points) -> Points:
        return {**layer.gradients(features, up), "features": layer.input_gradient(features, up)}

    return Subject(name, value, gradients, {**parameters, "features": features})


def objective(name: str, draw: Draw) -> list[Subject]:
    """A model with its loss and penalty, every term apart."""
    make, loss, penalty = OBJECTIVES[name]
    model = make()
    features = draw.normal(SAMPLES, FEATURES)
    targets = draw.targets(loss.labels)
    if loss.class_axis and loss.labels == "classes" and isinstance(loss, losses.SquaredError):
        targets = draw.normal(SAMPLES, model.weight.shape[-2])
    seed = int(draw.whole(2**31, 1))
    samples = SimpleNamespace(features=features, targets=targets)
    found = objective_subjects(model, loss, samples, penalty, seed, device=draw.device, dtype=draw.dtype)
    return [renamed(subject, f"model {name}") for subject in found]


def renamed(subject: Subject, name: str) -> Subject:
    return Subject(**{**subject.__dict__, "name": name})


def kink_subjects(draw: Draw) -> list[Subject]:
    """Points on kinks: samples that lie exactly on the margin, targets that are met exactly, weights of 0."""
    on_zero = draw.moved(torch.tensor([0.0, 1.5, 0.0, -2.0, 0.0, 0.5], dtype=torch.float64))
    signs = draw.targets("signs")
    real = draw.whole(5, SAMPLES).double()
    classes = draw.targets("classes")
    whole = draw.whole(4, SAMPLES, CLASSES).double()  # differences of −1 abound: the margin is met exactly
    found = [
        loss_subject("loss absolute-error, at its kink", losses.AbsoluteError(), real + on_zero, real, True),
        loss_subject("loss huber, at its bend", losses.Huber(), real + on_zero + 1, real, True),
        loss_subject("loss hinge, on the margin", losses.Hinge(), signs * (1 + on_zero), signs, True),
        loss_subject("loss squared hinge, on the margin", losses.Hinge(power=2), signs * (1 + on_zero), signs, True),
        loss_subject("loss perceptron, at score 0", losses.Perceptron(), on_zero, signs, True),
        loss_subject("loss binary-cross-entropy, at score 0", losses.BinaryCrossEntropy(), on_zero, (signs + 1) / 2),
        loss_subject("loss multiclass-hinge, on the margin", losses.MulticlassHinge(), whole, classes, True),
        loss_subject(
            "loss squared multiclass-hinge, on the margin", losses.MulticlassHinge(power=2), whole, classes, True
        ),
    ]
    for name in ("relu", "leaky-relu"):
        f, up = activations.ACTIVATIONS[name](), draw.normal(SAMPLES)
        found.append(activation_subject(f"activation {name}, at its kink", f, on_zero, up, True))
    l1, weight = penalties.L1(0.7), {"weight": on_zero.reshape(2, 3)}
    found.append(Subject("penalty l1, weights of 0", l1.value, l1.gradients, weight, "penalty l1", at_kink=True))
    start = models.LinearSVM(FEATURES)
    data = SimpleNamespace(features=draw.normal(SAMPLES, FEATURES), targets=signs)
    for subject in objective_subjects(start, losses.Perceptron(), data, None, 0, random=False):
        found.append(renamed(subject, "model perceptron, all weights 0"))
    return found
