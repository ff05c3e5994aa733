"""Models: they compute scores from features, hand-derived gradients, and predictions from the scores.

The loss is chosen separately. `Model` is the base of all models here and of your own. The linear ones compute x Wᵀ + b,
`TwoLayerNet` has an activation in between, and `TorchModel` is any other torch module, which trains by autograd.
"""

from typing import Any

from ..runtime import names
from .base import LABELS, Model, evaluating
from .foreign import TorchModel, as_model, check_gradients, check_has_gradients
from .linear import LinearModel, LinearRegression, LinearSVM, LogisticRegression, SoftmaxClassifier
from .two_layer import TwoLayerNet

__all__ = [
    "LABELS",
    "MODELS",
    "LinearModel",
    "LinearRegression",
    "LinearSVM",
    "LogisticRegression",
    "Model",
    "SoftmaxClassifier",
    "TorchModel",
    "TwoLayerNet",
    "as_model",
    "check_gradients",
    "check_has_gradients",
    "evaluating",
    "named",
]

MODELS: dict[str, type[LinearModel] | type[TwoLayerNet]] = {
    "linear-regression": LinearRegression,
    "logistic-regression": LogisticRegression,
    "softmax": SoftmaxClassifier,
    "svm": LinearSVM,
    "two-layer": TwoLayerNet,
}


def named(name: str, *given: Any, **options: Any) -> Model:
    """Returns the model of that name: `named("logreg", features=2)`."""
    return names.create(name, MODELS, "model", *given, **options)
