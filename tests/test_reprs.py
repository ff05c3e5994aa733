"""What a prompt shows: the constructor's call for things that are built, at most 15 lines for records."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edunn.activations import ACTIVATIONS, Sigmoid, Tanh
from edunn.layers import LAYERS, BatchNorm, Chain, Dropout, Linear
from edunn.losses import LOSSES, Loss
from edunn.models import MODELS, LinearSVM
from edunn.penalties import L2, PENALTIES
from edunn.updates import RULES, SCHEDULES

REGISTRIES: dict[str, dict[str, Any]] = {
    "loss": LOSSES, "penalty": PENALTIES, "rule": RULES, "schedule": SCHEDULES, "activation": ACTIVATIONS,
    "layer": LAYERS, "model": MODELS,
}  # fmt: skip
CLASSES = {kind.__name__: kind for registry in REGISTRIES.values() for kind in registry.values()}
NAMES = CLASSES | {"torch": torch}

# The arguments that have no default; everything else is called with none.
NEEDED = {"strength": 0.1, "limit": 3.0, "features": 4, "outputs": 3, "classes": 5}
BUILT = [
    pytest.param(kind, id=f"{family} {name}") for family, all_ in REGISTRIES.items() for name, kind in all_.items()
]

WRITTEN = [
    "Hinge(power=2)", "Hinge(2.0, 2)", "Huber(0.5)", "CrossEntropy(0.1)", "SquaredError(half=True)",
    "SquaredError(through=Sigmoid())", "SquaredError(through=LeakyReLU(0.2), classes=True)",
    "MulticlassHinge(include_true=True, over='classes')", "OneVsAllHinge(power=2)",
    "L2(0.1)", "L2(0.1, half=True)", "L2(0.0, bias=True)", "L1(0.01, proximal=True)", "ElasticNet(0.1, 2.0)",
    "MaxNorm(3.0)", "L2(torch.tensor([0.1, 1e-05]))",
    "L2(torch.tensor([0.1, 0.2], dtype=torch.float64))", "L2(torch.tensor(0.1))",
    "Momentum(0.5)", "Nesterov(0.8)", "AdaGrad(1e-06)", "RMSprop(0.9)", "Adam()", "Adam(beta2=0.9)", "Adam(0.8, 0.9)", "AdamW(0.1)",
    "StepDecay(0.1, 30)", "StepDecay(every=5.0)", "CosineDecay(0.1)", "LinearDecay(0.1)", "InverseTimeDecay(0.5)",
    "LeakyReLU(0.2)", "Linear(2, 8, bias=False, scale=0.5, seed=3)", "Linear(2, 8, runs=(3,))", "Dropout(0.2, 7)",
    "Dropout(seed=7)", "BatchNorm(8, 0.2)", "BatchNorm(8, epsilon=0.001, dtype=torch.float64)",
    "Chain(Linear(2, 8), Tanh(), Dropout(0.2), Linear(8, 1))", "Chain(hidden=Linear(2, 8), out=ReLU())",
    "LinearSVM(64, 10)", "LinearSVM(64, labels='bits')", "SoftmaxClassifier(64, 10, bias=False, dtype=torch.float64)",
    "LogisticRegression(2, labels='signs')", "LinearRegression(2, 3, scale=0.1)",
    "TwoLayerNet(64, 10, 32, activation='tanh', dropout=0.5, batchnorm=True, labels='signs', seed=1)",
    "TwoLayerNet(64, 10, activation=LeakyReLU(0.1), scale='xavier')",
]  # fmt: skip


def read(text: str) -> Any:
    return eval(text, dict(NAMES))


def built(kind: type) -> Any:
    """A thing with the defaults of its class."""
    if kind is Chain:
        return Chain(Linear(4, 3), Tanh())
    parameters = inspect.signature(kind).parameters.values()
    return kind(*(NEEDED[p.name] for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD))


@pytest.mark.parametrize("kind", BUILT)
def test_repr_is_the_call_that_builds_it_again(kind: type) -> None:
    thing = built(kind)
    text = repr(thing)
    assert text.startswith(f"{kind.__name__}(")
    assert "=" not in text  # nothing but what has no default
    again = read(text)
    assert type(again) is kind
    assert repr(again) == text


@pytest.mark.parametrize("text", WRITTEN)
def test_arguments_are_shown_where_they_differ_from_the_default(text: str) -> None:
    thing = read(text)
    assert repr(thing) == text
    assert repr(copy.deepcopy(thing)) == repr(pickle.loads(pickle.dumps(thing))) == text


@pytest.mark.parametrize("kind", BUILT)
@given(data=st.data())
def test_any_number_is_read_back(kind: type, data: st.DataObject) -> None:
    """Every option with a floating default, at any number in (0, 1): all of these constructors take that."""
    if kind is Chain:
        return
    floats = [p.name for p in inspect.signature(kind).parameters.values() if isinstance(p.default, float)]
    inside = st.floats(0.001, 0.999)
    options = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(floats, inside)))
    parameters = inspect.signature(kind).parameters.values()
    needed = {p.name: NEEDED[p.name] for p in parameters if p.default is p.empty and p.name in NEEDED}
    thing = kind(**needed, **options)
    again = read(repr(thing))
    assert repr(again) == repr(thing)
    for name, value in options.items():
        assert vars(again).get(name, value) == value


def test_arguments_at_their_default_are_left_out() -> None:
    assert repr(CLASSES["Hinge"](1.0, power=1)) == "Hinge()"
    assert repr(LinearSVM(3, classes=2)) == "LinearSVM(3)"


def test_the_order_of_writing_does_not_matter() -> None:
    assert repr(CLASSES["Hinge"](power=2, margin=3.0)) == "Hinge(3.0, 2)"


def test_what_changed_since_is_shown() -> None:
    penalty = L2(0.1)
    penalty.strength = 0.5
    assert repr(penalty) == "L2(0.5)"
    assert repr(LinearSVM(3).double()) == "LinearSVM(3, dtype=torch.float64)"
    assert repr(LinearSVM(3, device="cpu", dtype=torch.float32)) == "LinearSVM(3)"


def test_a_long_tensor_shows_its_shape() -> None:
    assert repr(L2(torch.ones(64))) == "L2(<tensor of shape (64,)>)"


def test_a_loss_of_ones_own_has_it_too() -> None:
    class Scaled(Loss):
        def __init__(self, factor: float, name: str = "plain") -> None:
            super().__init__()
            self.c = factor

    assert repr(Scaled(3.0)) == "Scaled(3.0)"
    assert repr(Scaled(factor=3.0, name="mine")) == "Scaled(3.0, name='mine')"
    assert repr(Scaled(float("inf"))) == "Scaled(float('inf'))"


def test_modules_keep_the_equality_of_torch_and_schedules_are_equal_by_their_numbers() -> None:
    assert Sigmoid() != Sigmoid()  # a module is itself: it may be a key, and be shared
    assert len({BatchNorm(2), BatchNorm(2), Dropout(), Dropout()}) == 4
    cosine = SCHEDULES["cosine"]
    assert cosine(0.1) == cosine(0.1)
    assert cosine(0.1) != cosine(0.2)
    assert cosine(0.1) != SCHEDULES["linear"](0.1)
    assert len({cosine(0.1), cosine(0.1)}) == 1
