"""The layers and activations beside CS231n, torch and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn import linear_model
from sklearn.neural_network._base import ACTIVATIONS as SKLEARN
from torch import Tensor, nn

from edunn import activations, layers
from edunn.gradcheck.catalogue import Draw
from edunn.runtime.devices import generator

from .counterparts import FEATURES, NONE, SAME, SAMPLES, Compared, Line, same, tensor

KEPT, MOMENTUM, SLOPE = 0.7, 0.3, 0.02
MASK = 1e-7  # our mask is drawn in float32, its 1/(1 − p) included


def elementwise(ours: activations.Activation, theirs: Callable[[Tensor], object]) -> Callable[[Draw], Compared]:
    def compare(draw: Draw) -> Compared:
        scores = draw.normal(SAMPLES, FEATURES)
        return same(theirs(scores), ours(scores))

    return compare


def in_numpy(formula: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], object]:
    return lambda scores: formula(scores.numpy().copy())


def by_sklearn(name: str) -> Callable[[Tensor], object]:
    """The activations of MLPClassifier, which work in place."""

    def theirs(scores: Tensor) -> np.ndarray:
        values = scores.numpy().copy()
        SKLEARN[name](values)
        return values

    return theirs


def softmax_of_notes(f: np.ndarray) -> np.ndarray:
    f = f - np.max(f, axis=1, keepdims=True)
    return np.exp(f) / np.sum(np.exp(f), axis=1, keepdims=True)


def linear(weight: Tensor, bias: Tensor) -> layers.Linear:
    layer = layers.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def transposed(draw: Draw) -> Compared:
    """As many outputs as features, so that the weight fits either way."""
    features, weight, bias = draw.normal(SAMPLES, 3), draw.normal(3, 3), draw.normal(3)
    theirs = features.numpy().dot(weight.numpy()) + bias.numpy()
    return Compared(tensor(theirs), linear(weight.mT, bias)(features).detach(), linear(weight, bias)(features).detach())


def linear_of_torch(draw: Draw) -> Compared:
    features, weight, bias = draw.normal(SAMPLES, FEATURES), draw.normal(2, FEATURES), draw.normal(2)
    return same(nn.functional.linear(features, weight, bias), linear(weight, bias)(features).detach())


def linear_of_sklearn(draw: Draw) -> Compared:
    features, targets = draw.normal(SAMPLES, FEATURES), draw.normal(SAMPLES, 2)
    fitted = linear_model.LinearRegression().fit(features.numpy(), targets.numpy())
    ours = linear(tensor(fitted.coef_), tensor(fitted.intercept_))(features).detach()
    return same(fitted.predict(features.numpy()), ours)


def dropout_of_notes(draw: Draw) -> Compared:
    """The notes' line with the random numbers that our mask is made of, taken from the other end."""
    features = draw.normal(SAMPLES, FEATURES)
    drawn = 1 - torch.rand(features.shape, generator=generator(0, 0)).numpy()
    theirs = features.numpy() * ((drawn < KEPT) / KEPT)
    return Compared(tensor(theirs), layers.Dropout(1 - KEPT)(features), layers.Dropout(KEPT)(features), MASK)


def dropout_of_torch(draw: Draw) -> Compared:
    """Which units fall is a matter of the generator; what is left of a 1 is not."""
    ones = torch.ones(1000, FEATURES, dtype=torch.float64)
    return Compared(nn.Dropout(1 - KEPT)(ones).amax(), layers.Dropout(1 - KEPT)(ones).amax(), tolerance=MASK)


def after_a_batch(batch: Tensor, momentum: float) -> Tensor:
    """Our outputs, and the running mean and variance."""
    layer = layers.BatchNorm(FEATURES, momentum=momentum, dtype=torch.float64)
    outputs = layer(batch).detach()
    return torch.cat([outputs, layer.running_mean[None], layer.running_variance[None]])


def batchnorm_of_torch(draw: Draw) -> Compared:
    batch = draw.normal(SAMPLES, FEATURES) * 3 + 1
    theirs = nn.BatchNorm1d(FEATURES, momentum=MOMENTUM, dtype=torch.float64)
    outputs = theirs(batch).detach()
    found = torch.cat([outputs, theirs.running_mean[None], theirs.running_var[None]])
    return same(found, after_a_batch(batch, MOMENTUM))


def batchnorm_of_assignment(draw: Draw) -> Compared:
    """running = momentum · running + (1 − momentum) · batch, with the variance over n; from our start, 0 and 1."""
    batch = draw.normal(SAMPLES, FEATURES) * 3 + 1
    x, momentum = batch.numpy(), 1 - MOMENTUM
    mean, variance = x.mean(0), x.var(0)
    outputs = (x - mean) / np.sqrt(variance + 1e-5)
    running_mean, running_variance = (1 - momentum) * mean, momentum + (1 - momentum) * variance
    theirs = tensor(np.concatenate([outputs, running_mean[None], running_variance[None]]))
    converted = after_a_batch(batch, MOMENTUM)
    converted[-1] -= MOMENTUM * tensor(variance) / (SAMPLES - 1)  # n / (n − 1) of the variance, less 1 of it
    return Compared(theirs, converted, after_a_batch(batch, 1 - MOMENTUM))


def chain_of_torch(draw: Draw) -> Compared:
    features, weight, bias = draw.normal(SAMPLES, FEATURES), draw.normal(2, FEATURES), draw.normal(2)
    theirs = nn.Sequential(nn.Linear(FEATURES, 2, dtype=torch.float64), nn.Tanh())
    with torch.no_grad():
        theirs[0].weight.copy_(weight)
        theirs[0].bias.copy_(bias)
    ours = layers.Chain(linear(weight, bias), activations.Tanh())
    return same(theirs(features).detach(), ours(features).detach())


LINES: list[Line] = [
    Line(
        "linear",
        "CS231n",
        "`X.dot(W) + b`",
        "W is transposed",
        "W is (features, classes) in its code, (classes, features) in its slides and here.",
        transposed,
    ),
    Line(
        "linear",
        "torch",
        "`Linear`",
        SAME,
        "The starting weights differ: zeros here, unless `scale` says otherwise.",
        linear_of_torch,
    ),
    Line(
        "linear",
        "scikit-learn",
        "`coef_`, `intercept_`",
        SAME,
        "`MLPClassifier.coefs_` are transposed.",
        linear_of_sklearn,
    ),
    Line(
        "dropout",
        "CS231n",
        "`(np.random.rand(*H.shape) < p) / p`",
        "p = 1 − ours",
        "p is the probability to keep a unit there, to drop it here.",
        dropout_of_notes,
    ),
    Line(
        "dropout",
        "torch",
        "`Dropout(p)`",
        SAME,
        "p is the probability to drop; which units fall depends on the generator.",
        dropout_of_torch,
    ),
    Line("dropout", "scikit-learn", NONE),
    Line(
        "batchnorm",
        "CS231n",
        "`running = m*running + (1-m)*batch`",
        "m = 1 − ours",
        "Its assignment; the running variance counts with n there, with n − 1 here.",
        batchnorm_of_assignment,
    ),
    Line(
        "batchnorm",
        "torch",
        "`BatchNorm1d(momentum)`",
        SAME,
        "The batch's own variance with n, the running one with n − 1, in both.",
        batchnorm_of_torch,
    ),
    Line("batchnorm", "scikit-learn", NONE),
    Line("chain", "CS231n", NONE, says="A net is written out line by line."),
    Line("chain", "torch", "`Sequential`", SAME, "", chain_of_torch),
    Line("chain", "scikit-learn", NONE, says="`MLPClassifier` has its layers inside."),
    Line("identity", "CS231n", "`x`", SAME, "", elementwise(activations.Identity(), in_numpy(lambda x: x))),
    Line("identity", "torch", "`Identity()`", SAME, "", elementwise(activations.Identity(), nn.Identity())),
    Line(
        "identity",
        "scikit-learn",
        '`activation="identity"`',
        SAME,
        "",
        elementwise(activations.Identity(), by_sklearn("identity")),
    ),
    Line(
        "sigmoid",
        "CS231n",
        "`1 / (1 + np.exp(-x))`",
        SAME,
        "",
        elementwise(activations.Sigmoid(), in_numpy(lambda x: 1 / (1 + np.exp(-x)))),
    ),
    Line("sigmoid", "torch", "`Sigmoid()`", SAME, "", elementwise(activations.Sigmoid(), nn.Sigmoid())),
    Line(
        "sigmoid",
        "scikit-learn",
        '`activation="logistic"`',
        SAME,
        "",
        elementwise(activations.Sigmoid(), by_sklearn("logistic")),
    ),
    Line("tanh", "CS231n", "`np.tanh(x)`", SAME, "", elementwise(activations.Tanh(), in_numpy(np.tanh))),
    Line("tanh", "torch", "`Tanh()`", SAME, "", elementwise(activations.Tanh(), nn.Tanh())),
    Line("tanh", "scikit-learn", '`activation="tanh"`', SAME, "", elementwise(activations.Tanh(), by_sklearn("tanh"))),
    Line(
        "relu",
        "CS231n",
        "`np.maximum(0, x)`",
        SAME,
        "",
        elementwise(activations.ReLU(), in_numpy(lambda x: np.maximum(0, x))),
    ),
    Line(
        "relu",
        "torch",
        "`ReLU()`",
        SAME,
        "The derivative at 0 is 0 in both.",
        elementwise(activations.ReLU(), nn.ReLU()),
    ),
    Line("relu", "scikit-learn", '`activation="relu"`', SAME, "", elementwise(activations.ReLU(), by_sklearn("relu"))),
    Line(
        "leaky-relu",
        "CS231n",
        "`np.where(x < 0, alpha * x, x)`",
        SAME,
        "",
        elementwise(activations.LeakyReLU(SLOPE), in_numpy(lambda x: np.where(x < 0, SLOPE * x, x))),
    ),
    Line(
        "leaky-relu",
        "torch",
        "`LeakyReLU(slope)`",
        SAME,
        "0.01 by default in both.",
        elementwise(activations.LeakyReLU(SLOPE), nn.LeakyReLU(SLOPE)),
    ),
    Line("leaky-relu", "scikit-learn", NONE),
    Line("step", "CS231n", NONE),
    Line(
        "step",
        "torch",
        "`torch.heaviside(z, 0)`",
        SAME,
        "0 at 0.",
        elementwise(activations.Step(), lambda z: torch.heaviside(z, torch.zeros_like(z))),
    ),
    Line("step", "scikit-learn", NONE),
    Line(
        "softmax",
        "CS231n",
        "`f -= np.max(f); np.exp(f) / np.sum(np.exp(f))`",
        SAME,
        "For one sample; of a batch the largest of each row.",
        elementwise(activations.Softmax(), in_numpy(softmax_of_notes)),
    ),
    Line(
        "softmax",
        "torch",
        "`Softmax(-1)`",
        SAME,
        "The axis has to be named there; it is the last one here.",
        elementwise(activations.Softmax(), nn.Softmax(-1)),
    ),
    Line(
        "softmax",
        "scikit-learn",
        "output of `MLPClassifier`",
        SAME,
        "",
        elementwise(activations.Softmax(), by_sklearn("softmax")),
    ),
]
