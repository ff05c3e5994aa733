"""Backpropagation through a chain of linear layers, right and with one slip each: what a net of a hand-in may hold.

h_0 = x, z_k = h_{k−1} W_k + b_k, h_k = f(z_k), and a loss of the last z. Backward: δ_last = ∂L/∂z_last,
∂L/∂W_k = h_{k−1}ᵀ δ_k, ∂L/∂b_k = Σ_i δ_k, δ_{k−1} = (δ_k W_kᵀ) ∘ f'(z_{k−1}).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...differences import relative_error

CLOSE = 1e-6

ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "relu": (lambda z: z.clamp(min=0), lambda z: (z > 0).double()),
    "sigmoid": (torch.sigmoid, lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z))),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "identity": (lambda z: z, torch.ones_like),
}


@dataclass(frozen=True)
class Loss:
    """A loss of the last layer's z: its sum over the samples, and that sum's derivative δ.

    slips : wrong derivatives: (name, sentence, formula, δ)
    """

    value: Callable[[Tensor, Tensor], Tensor]
    delta: Callable[[Tensor, Tensor], Tensor]
    slips: tuple[tuple[str, str, str, Callable[[Tensor, Tensor], Tensor]], ...] = ()


def rows_of(z: Tensor, y: Tensor) -> Tensor:
    """Returns targets as rows of the shape of z: class indices one-hot, bits as a column."""
    if y.shape == z.shape:
        return y.double()
    if z.shape[-1] == 1:
        return y.reshape(-1, 1).double()
    return torch.nn.functional.one_hot(y.long().reshape(-1), z.shape[-1]).double()


def hinge(z: Tensor, y: Tensor) -> Tensor:
    true = rows_of(z, y)
    return ((z - (z * true).sum(-1, keepdim=True) + 1).clamp(min=0) * (1 - true)).sum()


def hinge_delta(z: Tensor, y: Tensor) -> Tensor:
    true = rows_of(z, y)
    v = ((z - (z * true).sum(-1, keepdim=True) + 1) > 0).double() * (1 - true)
    return v - true * v.sum(-1, keepdim=True)


def squared(through: str) -> Loss:
    f, slope = ACTIVATIONS[through]
    slips: tuple[Any, ...] = ()
    if through != "identity":
        slips = (
            ("activation's derivative forgotten", "f' of the output layer is forgotten", "δ = 2(f(z) − y) f'(z)",
             lambda z, y: 2 * (f(z) - rows_of(z, y))),
            ("activation's derivative twice", "f' of the output layer is applied twice", "δ = 2(f(z) − y) f'(z)",
             lambda z, y: 2 * (f(z) - rows_of(z, y)) * slope(z) ** 2),
            ("derivative of the output", "f' is taken of the output in place of the score", "f'(z), not f'(f(z))",
             lambda z, y: 2 * (f(z) - rows_of(z, y)) * slope(f(z))),
        )  # fmt: skip
    return Loss(lambda z, y: ((f(z) - rows_of(z, y)) ** 2).sum(),
                lambda z, y: 2 * (f(z) - rows_of(z, y)) * slope(z), slips)  # fmt: skip


LOSSES: dict[str, Loss] = {
    "cross-entropy": Loss(
        lambda z, y: -(torch.log_softmax(z, -1) * rows_of(z, y)).sum(),
        lambda z, y: torch.softmax(z, -1) - rows_of(z, y),
        (
            ("true class not subtracted", "the 1 of the true class is not subtracted", "p_j − 1(j = y)",
             lambda z, y: torch.softmax(z, -1)),
            ("true class added", "the 1 of the true class is added", "p_j − 1(j = y)",
             lambda z, y: torch.softmax(z, -1) + rows_of(z, y)),
            ("softmax not normalised", "e^s is not divided by its sum", "p_j = e^{s_j} / Σ_k e^{s_k}",
             lambda z, y: torch.exp(z) - rows_of(z, y)),
            ("activation's derivative twice", "p(1 − p) is applied once more: it has cancelled already",
             "p_j − 1(j = y)",
             lambda z, y: (torch.softmax(z, -1) - rows_of(z, y)) * (p := torch.softmax(z, -1)) * (1 - p)),
        ),
    ),
    "hinge": Loss(hinge, hinge_delta),
    "binary-cross-entropy": Loss(
        lambda z, y: (torch.nn.functional.softplus(z) - rows_of(z, y) * z).sum(),
        lambda z, y: torch.sigmoid(z) - rows_of(z, y),
        (("activation's derivative twice", "σ'(z) is applied once more: it has cancelled already", "δ = σ(z) − y",
          lambda z, y: (torch.sigmoid(z) - rows_of(z, y)) * (s := torch.sigmoid(z)) * (1 - s)),),
    ),
    **{f"squared-error through {name}": squared(name) for name in ("identity", "sigmoid", "tanh")},
}  # fmt: skip


class Chain:
    """The layers of a net: its parameters in order, as rows times weights, whatever way round the net keeps them."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        found: dict[str, dict[str, str]] = {}
        for name, value in arguments.items():
            matched = re.fullmatch(r"_?(w|weights?|theta|b|bias|biases)_?(\d+)", name.lower())
            if matched and isinstance(value, Tensor) and value.ndim:
                kind = "bias" if matched[1].startswith("b") else "weight"
                if kind == "weight" and value.ndim != 2:  # a theta0 beside theta is a bias: no layer
                    continue
                found.setdefault(matched[2], {})[kind] = name
        self.layers = [found[key] for key in sorted(found, key=int) if "weight" in found[key]]
        self.features, self.targets = arguments.get("features"), arguments.get("targets")
        first = arguments[self.layers[0]["weight"]] if self.layers else None
        self.turned = False
        if first is not None and self.features is not None:
            self.turned = self.features.shape[1] != first.shape[0] and first.shape[1] == self.features.shape[0]

    @property
    def usable(self) -> bool:
        return len(self.layers) > 1 and self.features is not None and self.targets is not None

    def read(self, arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        """Returns (x, y, weights, biases), the samples as rows and the weights as (inputs, outputs)."""
        turn = (lambda t: t.mT) if self.turned else (lambda t: t)
        weights = [turn(arguments[layer["weight"]].double()) for layer in self.layers]
        biases = [
            arguments[layer["bias"]].double().reshape(-1) if "bias" in layer else torch.zeros(w.shape[1]).double()
            for layer, w in zip(self.layers, weights, strict=True)
        ]
        y = arguments["targets"]
        y = y.mT if self.turned and y.ndim == 2 else y
        return turn(arguments["features"].double()), y, weights, biases

    def scores(self, arguments: Mapping[str, Any], activation: str) -> tuple[list[Tensor], list[Tensor]]:
        """Returns every z, and every h before it."""
        x, _, weights, biases = self.read(arguments)
        before, after = [x], []
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            after.append(before[-1] @ w + b)
            if k < len(weights) - 1:
                before.append(ACTIVATIONS[activation][0](after[-1]))
        return after, before

    def backward(
        self, arguments: Mapping[str, Any], activation: str, delta: Tensor, options: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """Returns the gradients by parameter, of the net's own shapes, with the slips that the options name."""
        after, before = self.scores(arguments, activation)
        _, _, weights, _ = self.read(arguments)
        slope = options.get("slope", ACTIVATIONS[activation][1])
        found = {}
        for k in range(len(weights) - 1, -1, -1):
            by_weight = before[k].mT @ delta
            found[self.layers[k]["weight"]] = by_weight.mT if self.turned else by_weight
            if "bias" in self.layers[k]:
                shape = arguments[self.layers[k]["bias"]].shape
                found[self.layers[k]["bias"]] = options.get("bias", lambda d: d.sum(0))(delta).reshape(shape)
            if k:
                arriving = delta @ weights[k].mT
                delta = slope(after[k - 1], arriving) if options.get("both") else arriving * slope(after[k - 1])
        return found


SLIPS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("activation's derivative forgotten", "f' of the hidden layer is forgotten: the upstream is passed on unchanged",
     "δ_{k−1} = (δ_k W_kᵀ) ∘ f'(z)", {"slope": torch.ones_like}),
    ("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
     {"slope": lambda z, u: u * (u > 0), "both": True}),
    ("mask inverted", "the mask is the wrong way round", "1(z > 0)", {"slope": lambda z: (z <= 0).double()}),
    ("averaged in a layer", "the bias gradient is averaged once more", "∂L/∂b = Σ_i δ_i",
     {"bias": lambda d: d.mean(0)}),
    ("bias summed over everything", "the bias gradient is summed over samples and outputs", "∂L/∂b = Σ_i δ_i",
     {"bias": lambda d: d.sum().expand(d.shape[1])}),
)  # fmt: skip


def list_slips(activation: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    f, slope = ACTIVATIONS[activation]
    yield from SLIPS
    if activation in ("sigmoid", "tanh"):
        of_score = (lambda z: z * (1 - z)) if activation == "sigmoid" else (lambda z: 1 - z * z)
        yield (
            "derivative of the score",
            "the formula for the output is used on the score",
            "f'(z)",
            {"slope": of_score},
        )
        yield ("derivative of the output", "f' is taken of the output in place of the score", "f'(z), not f'(f(z))",
               {"slope": lambda z: slope(f(z))})  # fmt: skip
        yield ("activation's derivative twice", "f' of the hidden layer is applied twice", "f'(z)",
               {"slope": lambda z: slope(z) ** 2})  # fmt: skip
        yield ("value in place of the derivative", "f(z) is used in place of f'(z)", "f'(z)", {"slope": f})


def recognise(chain: Chain, draws: Sequence[Mapping[str, Any]], values: list[float]) -> tuple[str, str, float] | None:
    """Returns (activation, loss, factor) of the net whose values at λ = 0 are factor · Σ_i ℓ_i; None where none are."""
    wanted = torch.tensor(values, dtype=torch.float64)
    for activation in ACTIVATIONS:
        for name, loss in LOSSES.items():
            try:
                own = torch.stack([loss.value(chain.scores(at, activation)[0][-1], chain.read(at)[1]) for at in draws])
            except (RuntimeError, IndexError):
                continue
            factor = float((own * wanted).sum() / (own * own).sum()) if bool(own.any()) else 0.0
            if factor and float((factor * own - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max()):
                return activation, name, factor
    return None


def explain(
    chain: Chain, arguments: Mapping[str, Any], known: tuple[str, str, float], hand: Mapping[str, Tensor],
) -> dict[str, list[tuple[str, str]]]:  # fmt: skip
    """Names the slip that gives every data gradient of the hand-in at once; by the parameters that it concerns."""
    activation, name, factor = known
    loss, z, y = LOSSES[name], chain.scores(arguments, activation)[0][-1], chain.read(arguments)[1]
    right = chain.backward(arguments, activation, factor * loss.delta(z, y), {})
    trials = [(*slip[:3], loss.delta(z, y), slip[3]) for slip in list_slips(activation)]
    trials += [(*slip[:3], slip[3](z, y), {}) for slip in loss.slips]
    found: dict[str, list[tuple[str, str]]] = {}
    for title, says, formula, delta, options in trials:
        given = chain.backward(arguments, activation, factor * delta, options)
        moved = [one for one in given if relative_error(given[one], right[one]) > CLOSE]
        if "bias" in options:  # each bias by itself: it touches no other gradient
            moved = [one for one in moved if relative_error(given[one], hand[one].double()) <= CLOSE]
        if moved and all(relative_error(given[one], hand[one].double()) <= CLOSE for one in moved if one in hand):
            for one in moved:
                found.setdefault(one, []).append((title, f"{says} [{formula}]"))
    return found
