"""How each hand-in of the corpus is called for the truth, and what is changed in it for the wrong ones.

A case returns the value of a hand-in as a tensor that autograd can follow, and pairs (leaf, the hand-in's gradient).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from numpy_on_torch import Array, tensor
from torch import Tensor

Truth = tuple[Tensor, list[tuple[Tensor, Any]]]
N, D, C = 12, 4, 3


class Case(NamedTuple):
    """One hand-in: its file, the name that the checker gives it, the style, and how it is called."""

    file: str
    name: str
    style: str
    run: Callable[[Any], Truth]


def leaf(*shape: int, seed: int = 0, positive: bool = False) -> Tensor:
    made = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 7 * len(shape)))
    return (made.sigmoid() if positive else made).requires_grad_()


def data(*shape: int, seed: int = 50) -> Array:
    return Array(leaf(*shape, seed=seed).detach())


def classes(count: int = N, of: int = C) -> Array:
    return Array(torch.arange(count) % of)


def rows() -> Array:
    return Array(torch.nn.functional.one_hot(classes().t, C).double())


def bits(count: int = N) -> Array:
    return Array((torch.arange(count) % 2).double())


def joint(name: str, *order: str, shape: tuple[int, ...] = (D, C), targets: Any = classes, first: int = 0) -> Any:
    """A function that returns (loss, gradients), its arguments in this order."""

    def run(module: Any) -> Truth:
        w = leaf(*shape, seed=1)
        given = {"w": Array(w), "x": data(N, D), "y": targets(), "reg": 0.7}
        result = getattr(module, name)(*(given[one] for one in order))
        return tensor(result[first]), [(w, result[1 - first])]

    return run


def pair(value: str, gradient: str, order: str, given: Callable[[], dict[str, Any]], leaves: str) -> Any:
    """Two functions of the same arguments; `leaves` names the gradients in the order in which they are returned."""

    def run(module: Any) -> Truth:
        made = given()
        raw = {name: one for name, one in made.items() if isinstance(one, Tensor)}
        wrapped = [Array(made[name]) if name in raw else made[name] for name in order.split()]
        result = getattr(module, gradient)(*wrapped)
        result = result if isinstance(result, tuple | list) else (result,)
        wrapped = [Array(made[name]) if name in raw else made[name] for name in order.split()]
        total = tensor(getattr(module, value)(*wrapped))
        return total.sum(), [(raw[name], one) for name, one in zip(leaves.split(), result, strict=True)]

    return run


def line() -> dict[str, Any]:
    return {"w": leaf(seed=1), "b": leaf(seed=2), "x": data(N), "y": data(N, seed=9)}


def logistic() -> dict[str, Any]:
    return {"w": leaf(D, seed=1), "b": leaf(seed=2), "X": data(N, D), "y": bits(), "lam": 0.7}


def ridge() -> dict[str, Any]:
    return {"w": leaf(D, seed=1), "X": data(N, D), "y": data(N, seed=9), "lam": 0.7}


def svm() -> dict[str, Any]:
    return {"w": leaf(D, seed=1), "b": leaf(seed=2), "X": data(N, D), "y": Array(2 * bits().t - 1), "lam": 0.7}


def probabilities() -> dict[str, Any]:
    return {"y": bits(), "p": leaf(N, seed=3, positive=True).detach().requires_grad_()}


def scores() -> dict[str, Any]:
    return {"y": data(N, seed=9), "p": leaf(N, seed=3)}


def upstream_of(out: Any) -> Tensor:
    made = torch.randn(tensor(out).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(77))
    return made


def layer(forward: str, backward: str, shapes: dict[str, tuple[int, ...]], *extra: Any, cache: bool = True) -> Any:
    """NAME_forward and NAME_backward with a cache; gradients in the order of the arguments."""

    def run(module: Any) -> Truth:
        leaves = [leaf(*shape, seed=k) for k, shape in enumerate(shapes.values())]
        out, kept = getattr(module, forward)(*(Array(one) for one in leaves), *(one() for one in extra))
        u = upstream_of(out)
        result = getattr(module, backward)(Array(u), kept)
        result = result if isinstance(result, tuple) else (result,)
        return (tensor(out) * u).sum(), list(zip(leaves, result, strict=True))

    return run


def derivative(function: str, prime: str) -> Any:
    """f and f', elementwise."""

    def run(module: Any) -> Truth:
        z = leaf(N, C, seed=3)
        slope = getattr(module, prime)(Array(z))
        return tensor(getattr(module, function)(Array(z))).sum(), [(z, slope)]

    return run


def instance(
    name: str, *sizes: int, params: dict[str, tuple[int, ...]] | None = None, kept: tuple[str, ...] = (),
    x: tuple[int, ...] = (N, D), rate: float | None = None, below: str = "", arguments: bool = False,
) -> Any:  # fmt: skip
    """A layer class: its parameters are set, forward and backward are called, gradients are read or the update is."""

    def run(module: Any) -> Truth:
        leaves = {one: leaf(*shape, seed=k + 1) for k, (one, shape) in enumerate((params or {}).items())}
        made = getattr(module, name)(*(Array(one) for one in leaves.values())) if arguments else (
            getattr(module, name)(*sizes))  # fmt: skip
        for one, value in leaves.items():
            setattr(made, one, Array(value))
        point = leaf(*x, seed=5)
        out = made.forward(Array(point))
        out = made.output if out is None else out
        u = upstream_of(out)
        result = made.backward(Array(u), *([rate] if rate is not None else []))
        found = [(point, getattr(made, below) if below else result)]
        for place, (one, value) in enumerate(leaves.items()):
            if kept:
                found.append((value, getattr(made, kept[place])))
            else:
                found.append((value, Array((value - tensor(getattr(made, one))) / rate)))
        return (tensor(out) * u).sum(), found

    return run


def loss_class(name: str, first: str, second: str, given: Callable[[], tuple[Any, Any]], at: int, again: bool) -> Any:
    """A class of a loss; `at` is the place of the scores among its arguments."""

    def run(module: Any) -> Truth:
        made, arguments = getattr(module, name)(), list(given())
        point = arguments[at]
        arguments[at] = Array(point)
        value = tensor(getattr(made, first)(*arguments)).sum()
        return value, [(point, getattr(made, second)(*(arguments if again else [])))]

    return run


def called(name: str, prime: str = "gradient") -> Any:
    """A class of an activation with __call__ and a derivative."""

    def run(module: Any) -> Truth:
        made, z = getattr(module, name)(), leaf(N, C, seed=3)
        slope = getattr(made, prime)(Array(z))
        return tensor(made(Array(z))).sum(), [(z, slope)]

    return run


def net(name: str, sizes: tuple[int, ...], shapes: dict[str, tuple[int, ...]], method: str, reg: bool, rows_: bool,
        kept: bool = False, mapping: bool = False) -> Any:  # fmt: skip
    """A class of a whole net; its parameters in `params`, or as attributes."""

    def run(module: Any) -> Truth:
        made = getattr(module, name)(*sizes)
        leaves = {one: leaf(*shape, seed=k) for k, (one, shape) in enumerate(shapes.items())}
        for one, value in leaves.items():
            if mapping:
                made.params[one] = Array(value)
            else:
                setattr(made, one, Array(value))
        y = rows() if rows_ else bits() if name == "LogisticModel" else classes()
        result = getattr(made, method)(data(N, D), y, *([0.7] if reg else []))
        if name == "LogisticModel":
            found = made.compute_gradient(data(N, D), y)
            return tensor(result), list(zip(leaves.values(), found, strict=True))
        if kept:
            made.backward()
            return tensor(result), [(value, getattr(made, f"d{one}")) for one, value in leaves.items()]
        grads = result[1]
        return tensor(result[0]), [(v, grads[one] if one in grads else grads[f"d{one}"]) for one, v in leaves.items()]

    return run


def columns(module: Any) -> Truth:
    w, b = leaf(C, D, seed=1), leaf(C, 1, seed=2)
    value, by_w, by_b = module.softmax_cost(Array(w), Array(b), data(D, N), Array(rows().t.mT))
    return tensor(value), [(w, by_w), (b, by_b)]


def propagate(module: Any) -> Truth:
    w, b = leaf(D, 1, seed=1), leaf(seed=2)
    grads, cost = module.propagate(Array(w), Array(b), data(D, N), Array(bits().t.reshape(1, -1)))
    return tensor(cost), [(w, grads["dw"]), (b, grads["db"])]


def engine(module: Any) -> Truth:
    """Its expressions on numbers, and the same on tensors, which autograd follows."""
    total, found = torch.zeros((), dtype=torch.float64), []
    Value = module.Value
    for expression in (
        lambda a, b: a * b + a, lambda a, b: (a + b) * (a * b), lambda a, b: (a * b) ** 3 + a.tanh() * b,
        lambda a, b: (d := a * b) * d + d * a, lambda a, b: ((a + b) * a) ** 2 + (a + b).tanh(),
    ):  # fmt: skip
        numbers = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.7, -1.3)]
        leaves = [Value(float(one.detach())) for one in numbers]
        expression(*leaves).backward()
        total = total + expression(*numbers)
        found += [(one, Array(torch.tensor(value.grad).double())) for one, value in zip(numbers, leaves, strict=True)]
    return total, found


class Context(SimpleNamespace):
    """What a torch.autograd.Function is given as ctx."""

    def save_for_backward(self, *kept: Tensor) -> None:
        self.saved_tensors = kept


def extension(name: str, *shapes: tuple[int, ...]) -> Any:
    def run(module: Any) -> Truth:
        leaves = [leaf(*shape, seed=k) for k, shape in enumerate(shapes)]
        context, function = Context(), getattr(module, name)
        out = function.forward(context, *leaves)
        u = upstream_of(Array(out))
        context.saved_tensors = tuple(one.detach() for one in context.saved_tensors)
        result = function.backward(context, u)
        result = result if isinstance(result, tuple) else (result,)
        return (out * u).sum(), [(one, Array(given)) for one, given in zip(leaves, result, strict=True)]

    return run


def own_inputs(module: Any) -> Truth:
    w = leaf(6, 4, seed=1)
    value, gradient = module.loss(Array(w), data(9, 6), classes(9, 4), 0.3)
    return tensor(value), [(w, gradient)]


def penalty(module: Any) -> Truth:
    w = leaf(D, C, seed=1)
    value, gradient = module.l2_regularization(Array(w), 0.7)
    return tensor(value), [(w, gradient)]


def softmax_scores(name: str) -> Any:
    def run(module: Any) -> Truth:
        s = leaf(N, C, seed=1)
        value, gradient = getattr(module, name)(Array(s), classes())
        return tensor(value), [(s, gradient)]

    return run


def linear_softmax(module: Any) -> Truth:
    w = leaf(D, C, seed=1)
    value, gradient = module.linear_softmax(data(N, D), Array(w), classes())
    return tensor(value), [(w, gradient)]


NORM = {"x": (N, D), "gamma": (D,), "beta": (D,)}
AFFINE = {"x": (N, D), "w": (D, C), "b": (C,)}
NET = {"W1": (D, 6), "b1": (6,), "W2": (6, C), "b2": (C,)}
CASES: tuple[Case, ...] = (
    *(Case("course_softmax", name, "cs231n functions", joint(name, "w", "x", "y", "reg"))
      for name in ("softmax_loss_naive", "softmax_loss_vectorized")),
    *(Case("course_svm", name, "cs231n functions", joint(name, "w", "x", "y", "reg"))
      for name in ("svm_loss_naive", "svm_loss_vectorized")),
    Case("course_layers", "affine_backward", "cs231n layers", layer("affine_forward", "affine_backward", AFFINE)),
    Case("course_layers", "relu_backward", "cs231n layers", layer("relu_forward", "relu_backward", {"x": (N, D)})),
    Case("course_layers", "batchnorm_backward", "cs231n layers",
         layer("batchnorm_forward", "batchnorm_backward", NORM, lambda: {"mode": "train"})),
    Case("course_layers", "layernorm_backward", "cs231n layers",
         layer("layernorm_forward", "layernorm_backward", NORM, dict)),
    Case("course_layers", "dropout_backward", "cs231n layers",
         layer("dropout_forward", "dropout_backward", {"x": (N, D)}, lambda: {"mode": "train", "p": 0.6, "seed": 3})),
    Case("course_layers", "softmax_loss", "cs231n layers", softmax_scores("softmax_loss")),
    Case("course_layers", "svm_loss", "cs231n layers", softmax_scores("svm_loss")),
    Case("course_net", "TwoLayerNet", "cs231n nets", net("TwoLayerNet", (D, 6, C), NET, "loss", True, False,
                                                         mapping=True)),
    Case("course_fc", "ThreeLayerNet", "nets of courses", net("ThreeLayerNet", (D, 6, C), {
        "W1": (D, 6), "b1": (1, 6), "W2": (6, C), "b2": (1, C)}, "loss_and_grad", False, True)),
    Case("models", "MLP", "nets of courses", net("MLP", (D, C), {"W1": (D, 7), "b1": (7,), "W2": (7, C), "b2": (C,)},
                                                 "loss", False, False, kept=True)),
    Case("models", "LogisticModel", "nets of courses", net("LogisticModel", (D,), {"w": (D,), "b": (1,)},
                                                           "compute_cost", False, False)),
    Case("andrew_octave", "costFunction", "costFunction", joint("costFunction", "w", "x", "y", shape=(D,),
                                                                targets=bits)),
    Case("andrew_octave", "costFunctionReg", "costFunction",
         joint("costFunctionReg", "w", "x", "y", "reg", shape=(D,), targets=bits)),
    Case("andrew_octave", "linearRegCostFunction", "costFunction",
         joint("linearRegCostFunction", "x", "y", "w", "reg", shape=(D,), targets=lambda: data(N, seed=9))),
    Case("andrew_pairs", "compute_gradient", "compute_cost", pair("compute_cost", "compute_gradient", "x y w b", line,
                                                                  "w b")),
    Case("andrew_pairs", "compute_gradient_logistic", "compute_cost",
         pair("compute_cost_logistic", "compute_gradient_logistic", "X y w b", logistic, "b w")),
    Case("andrew_pairs", "compute_gradient_reg", "compute_cost",
         pair("compute_cost_reg", "compute_gradient_reg", "X y w b lam", logistic, "b w")),
    Case("andrew_deep", "propagate", "propagate", propagate),
    Case("andrew_deep", "linear_backward", "propagate", layer("linear_forward", "linear_backward", {
        "A": (D, N), "W": (C, D), "b": (C, 1)})),
    Case("andrew_deep", "sigmoid", "propagate", layer("sigmoid", "sigmoid_backward", {"Z": (C, N)})),
    Case("andrew_deep", "relu", "propagate", layer("relu", "relu_backward", {"Z": (C, N)})),
    Case("keras_update", "Dense", "keras with updates", instance(
        "Dense", D, C, params={"weights": (C, D), "bias": (C, 1)}, x=(D, 1), rate=0.25)),
    Case("keras_update", "FCLayer", "keras with updates", instance(
        "FCLayer", D, C, params={"weights": (D, C), "bias": (1, C)}, rate=0.25)),
    Case("keras_update", "Tanh", "keras with updates", instance("Tanh", rate=0.25)),
    Case("keras_book", "Layer_Dense", "keras from scratch", instance(
        "Layer_Dense", D, C, params={"weights": (D, C), "biases": (1, C)}, kept=("dweights", "dbiases"),
        below="dinputs")),
    Case("keras_book", "Activation_ReLU", "keras from scratch", instance("Activation_ReLU", below="dinputs")),
    Case("keras_book", "Activation_Sigmoid", "keras from scratch", instance("Activation_Sigmoid", below="dinputs")),
    Case("keras_book", "Loss_MSE", "keras from scratch",
         loss_class("Loss_MSE", "forward", "backward", lambda: (leaf(N, seed=3), data(N, seed=9)), 0, False)),
    Case("fish_book", "Affine", "layers with parameters given", instance(
        "Affine", params={"W": (D, C), "b": (C,)}, kept=("dW", "db"), arguments=True)),
    Case("fish_book", "Relu", "layers with parameters given", instance("Relu")),
    Case("fish_book", "SoftmaxWithLoss", "layers with parameters given",
         loss_class("SoftmaxWithLoss", "forward", "backward", lambda: (leaf(N, C, seed=3), rows()), 0, False)),
    Case("primes", "mse", "NAME_prime", pair("mse", "mse_prime", "y p", scores, "p")),
    Case("primes", "binary_cross_entropy", "NAME_prime",
         pair("binary_cross_entropy", "binary_cross_entropy_prime", "y p", probabilities, "p")),
    Case("primes", "mae", "NAME_prime", pair("mae", "mae_prime", "y p", scores, "p")),
    Case("primes", "tanh", "NAME_prime", derivative("tanh", "tanh_prime")),
    Case("primes", "sigmoid", "NAME_prime", derivative("sigmoid", "sigmoid_derivative")),
    Case("primes", "leaky_relu", "NAME_prime", derivative("leaky_relu", "leaky_relu_derivative")),
    Case("primes", "softplus", "NAME_prime", derivative("softplus", "softplus_derivative")),
    Case("engine", "Value", "micrograd", engine),
    Case("torch_functions", "MyReLU", "torch.autograd.Function", extension("MyReLU", (N, D))),
    Case("torch_functions", "LinearFunction", "torch.autograd.Function",
         extension("LinearFunction", (N, D), (C, D), (C,))),
    Case("torch_functions", "MySigmoid", "torch.autograd.Function", extension("MySigmoid", (N, D))),
    Case("torch_functions", "Exp", "torch.autograd.Function", extension("Exp", (N, D))),
    Case("script_line", "cost", "scripts", pair("cost", "cost_gradient", "w b x y", line, "w b")),
    Case("script_functions", "df", "scripts", derivative("f", "df")),
    Case("script_functions", "g", "scripts",
         pair("g", "grad_g", "x y", lambda: {"x": leaf(N, seed=1), "y": leaf(N, seed=2)}, "x y")),
    Case("notebook_logistic", "calculate_gradient", "notebooks",
         pair("calculate_loss", "calculate_gradient", "y X w", logistic, "w")),
    Case("notebook_ridge", "ridge_gradient", "notebooks",
         pair("ridge_loss", "ridge_gradient", "w X y lam", ridge, "w")),
    Case("notebook_ridge", "svm_gradient", "notebooks",
         pair("svm_objective", "svm_gradient", "w b X y lam", svm, "w b")),
    Case("scratch_classes", "SquareLoss", "classes with gradient", loss_class(
        "SquareLoss", "loss", "gradient", lambda: (data(N, seed=9), leaf(N, seed=3)), 1, True)),
    Case("scratch_classes", "CrossEntropy", "classes with gradient", loss_class(
        "CrossEntropy", "loss", "gradient",
        lambda: (bits(), leaf(N, seed=3, positive=True).detach().requires_grad_()), 1, True)),
    Case("scratch_classes", "Sigmoid", "classes with gradient", called("Sigmoid")),
    Case("scratch_classes", "ELU", "classes with gradient", called("ELU")),
    Case("columns_softmax", "softmax_cost", "samples as columns", columns),
    Case("single_inputs", "loss", "inputs()", own_inputs),
    Case("penalties", "l2_regularization", "penalties", penalty),
    Case("penalties", "l1_penalty", "penalties", pair("l1_penalty", "l1_penalty_gradient", "w lam", ridge, "w")),
    Case("penalties", "softmax_with_cross_entropy", "penalties", softmax_scores("softmax_with_cross_entropy")),
    Case("penalties", "linear_softmax", "penalties", linear_softmax),
)  # fmt: skip
