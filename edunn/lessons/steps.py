"""Step tables: every number of a few steps of descent, sample by sample, for any model and data."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Samples
from ..descent import Descent, add_penalty, constrain
from ..errors import ConfigError, check_count
from ..layers import BatchNorm, Dropout
from ..losses import Loss
from ..models import Model
from ..penalties import Penalty
from ..updates import GradientDescent, Rule
from .engine import Table

MOST = 1000  # steps of a table


@dataclass(frozen=True)
class Step:
    """One step of descent: the weights before and after it, the mean loss, the gradient, and a table of its samples.

    `start`, `nabla` (the gradient) and `end` are dictionaries by parameter entry: {"w": 0.0, "b": 0.0}
    """

    number: int
    start: dict[str, float]
    nabla: dict[str, float]
    end: dict[str, float]
    loss: float
    table: Table


def steps(
    model: Model,
    loss: Loss,
    samples: Samples,
    rate: float,
    count: int = 2,
    batch_size: int | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    seed: int = 0,
) -> list[Step]:
    """Returns the first `count` steps of a run on a copy of the model.

    Each sample has a line: its features, target and score, its loss, and its own gradient in each weight. Their means
    (with the penalty's gradient, if there is one) are the step's gradient, by which the weights are updated.
    """
    check_count("The number of steps", count, 1, MOST)
    mixed = [type(part).__name__ for part in model.modules() if mixes_samples(part)]
    if mixed:
        raise ConfigError(
            f"{mixed[0]} makes a sample's gradient depend on the rest of the batch, or on a random mask; a step table "
            f"shows each sample's own. Leave {mixed[0]} out."
        )
    model, rule = copy.deepcopy(model), copy.deepcopy(rule) if rule is not None else GradientDescent()
    rule.reset()
    run = Descent(model, loss, samples, rate, batch_size, steps=count, penalty=penalty, rule=rule, seed=seed)
    found: list[Step] = []
    epoch = 0
    while len(found) < count:
        for features, targets, *weights in run.batches(epoch):
            factor = run.schedule(epoch, run.epochs or 1)
            found.append(one_step(run, features, targets, rate * factor, len(found) + 1, *weights))
            if len(found) == count:
                break
        epoch += 1
    return found


@torch.no_grad()
def one_step(
    run: Descent, features: Tensor, targets: Tensor, rate: float, number: int, weights: Tensor | None = None
) -> Step:
    """Runs one step and records every number. The losses and gradients of single samples are unweighted."""
    parameters = dict(run.model.named_parameters())
    start = entries(parameters)
    scores = run.model(features)
    losses = run.loss.pointwise(scores, targets)
    own = run.loss.pointwise_gradient(scores, targets)
    each = []
    for i in range(len(features)):
        found = run.model.gradients(features[i : i + 1], own[i : i + 1])
        each.append(entries({name: found[name] for name in parameters}))  # in the order of the columns
    gradients = run.model.gradients(features, run.loss.gradient(scores, targets, weights))
    if run.penalty is not None:
        add_penalty(gradients, run.penalty, parameters)
    names = list(run.train.feature_names or default_names(features.shape[1]))
    outputs = ["score"] if scores.ndim == 1 else [f"score {k}" for k in range(scores.shape[-1])]
    columns = [*names, run.train.target_name or "y", *outputs, "loss", *(f"dL/d{name}" for name in start)]
    rows = []
    for i in range(len(features)):
        known = [*features[i].tolist(), targets[i].tolist(), *scores[i].reshape(-1).tolist()]
        rows.append([*known, float(losses[i]), *each[i].values()])
    mean = float(run.loss(scores, targets, weights))
    nabla = entries({name: gradients[name] for name in parameters})
    run.rule.step(parameters, gradients, rate)
    constrain(run.penalty, parameters, rate)
    end = entries(parameters)
    caption = "\n".join(
        [
            f"from       {line(start)}",
            f"mean loss  {mean!r}",
            f"gradient   {line(nabla)}" + ("" if run.penalty is None else "  (penalty included)"),
            f"to         {line(end)}",
        ]
    )
    title = f"Step {number}, rate {rate:g}, {len(features)} sample{'s' * (len(features) != 1)}"
    return Step(number, start, nabla, end, mean, Table(title, columns, rows, caption))


def default_names(features: int) -> list[str]:
    """Returns names for features that have none: x, or x1, x2, …"""
    return ["x"] if features == 1 else [f"x{k + 1}" for k in range(features)]


def mixes_samples(part: torch.nn.Module) -> bool:
    """Returns whether a layer's output for one sample depends on the other samples, or is random."""
    return isinstance(part, BatchNorm) or (isinstance(part, Dropout) and part.p > 0)


def entries(parameters: Mapping[str, Tensor]) -> dict[str, float]:
    """Returns every weight by a short name: w and b where there is one each, else w[output, feature] and b[output].

    With several layers the layer's name comes first: hidden.w[0, 1].
    """
    found = {}
    layers = {name.rpartition(".")[0] for name in parameters}
    for name, tensor in parameters.items():
        layer, _, own = name.rpartition(".")
        letter = {"weight": "w", "bias": "b"}.get(own, own)
        letter = f"{layer}.{letter}" if len(layers) > 1 else letter
        flat = tensor.detach().reshape(-1).tolist()
        if len(flat) == 1:
            found[letter] = flat[0]
            continue
        for place, value in zip(torch.cartesian_prod(*(torch.arange(n) for n in tensor.shape)), flat, strict=True):
            at = [int(k) for k in place.reshape(-1)]
            if len(at) > 1 and tensor.shape[0] == 1:  # one output: the feature alone says which
                at = at[1:]
            found[f"{letter}[{', '.join(map(str, at))}]"] = value
    return found


def line(values: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
