"""Certifies a whole objective: the loss in the scores, the model in its parameters, the penalty, and the total.

The terms are checked separately, and the strengths are of order one: next to a mean loss of 1, a forgotten penalty of
strength 1e-5 would not show.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..data import Samples
from ..layers import Dropout
from ..models import check_has_gradients
from ..penalties import Penalty
from ..runtime.devices import generator
from .certificate import Certificate, Row
from .claim import Claim, Points
from .compare import check
from .witnesses import autograd

STRENGTH = 0.7  # of order one, and neither 1 nor its own square: a factor λ that is lost or doubled shows
USER_TOLERANCE = 1e-7  # for code that was not written to the last digit: courses call 1e-7 good


@dataclass(frozen=True)
class Ingredients:
    """The parts from which an objective's gradient is computed.

    features : (samples, features); targets : (samples,) or (samples, classes)
    weights : the third argument of the loss: one tensor (samples,), or none
    scores : the model's output
    parameters : by name
    loss, penalty, model : the objects themselves, None where there is none
    """

    features: Tensor
    targets: Tensor
    scores: Tensor
    parameters: Points
    loss: Any
    penalty: Any
    model: nn.Module
    weights: tuple[Tensor, ...] = ()

    def right_upstream(self) -> Tensor:
        """Returns ∂loss/∂scores by autograd, independent of the loss's own gradient."""
        return autograd(lambda scores: self.loss(scores, self.targets, *self.weights), self.scores)

    def chain(self, parameter: str) -> Callable[[Tensor], Tensor]:
        """Returns the function from ∂L/∂scores to the gradient in one parameter (or the features), by autograd."""

        def scores(point: Tensor) -> Tensor:
            points = {**self.parameters, parameter: point}
            features = points.pop("features", self.features)
            return functional_call(self.model, points, (features,))

        point = self.features if parameter == "features" else self.parameters[parameter]
        return lambda upstream: autograd(lambda at: (upstream * scores(at)).sum(), point)


def certify(
    model: nn.Module,
    loss: Any,
    samples: Any,
    penalty: Penalty | None = None,
    seed: int = 0,
    tolerance: float = USER_TOLERANCE,
) -> Certificate:
    """Compares every hand-derived gradient of an objective with autograd, five points and a Taylor test.

    The model and the penalty are copied and converted to float64, and the copy gets random parameters (at zeros wrong
    gradients look right); a dropout keeps one mask. The originals do not change.

    Parameters
    ----------
    model : a `Model`, or any torch module with `gradients(features, upstream)`; `input_gradient` is checked where it
        has one
    loss : has `gradient(scores, targets)`
    samples : `Samples`, or anything that it accepts; or any object with `features` and `targets`. 50 are plenty;
    `sample_weight`,
        where there is any, is given to the loss as a third argument
    penalty : one penalty or none; it is checked separately and in the total, with a strength of 0.7
    tolerance : largest relative error that passes
    """
    if not hasattr(samples, "targets"):
        samples = Samples(*samples) if isinstance(samples, tuple) and len(samples) == 2 else Samples(samples)
    found = claim_objective(model, loss, samples, penalty, seed)
    rows: list[Row] = []
    for claim in found:
        rows += check(claim, tolerance, tolerance, seed)
    remarks = []
    if samples.features.dtype != torch.float64:
        name = str(samples.features.dtype).removeprefix("torch.")
        remarks.append(f"raised from {name} to float64: in {name} differences show only four or five digits")
    if penalty is not None and hasattr(penalty, "strength"):
        remarks.append(
            f"the penalty is checked with strength {STRENGTH}: a penalty of 1e-5 could be forgotten unnoticed"
        )
    return Certificate(tuple(rows), tuple(remarks))


def claim_objective(
    model: nn.Module,
    loss: Any,
    samples: Any,
    penalty: Penalty | None,
    seed: int,
    random: bool = True,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> list[Claim]:
    """Returns the claims of an objective: scores, data, penalty, total.

    On the CPU and in float64, where differences can show twelve digits, unless two devices are to be compared.
    """
    check_has_gradients(model)
    features = samples.features.detach().to(device, dtype)
    targets = samples.targets.detach().to(device, dtype if samples.targets.is_floating_point() else None)
    weight = getattr(samples, "sample_weight", None)
    weights = () if weight is None else (weight.detach().to(device, dtype),)
    model = copy.deepcopy(model).to(device, dtype)
    hold_masks(model)
    if random:
        draw_parameters(model, seed)
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        scores = model(features)
    upstream = loss.gradient(scores, targets, *weights)
    penalty = None if penalty is None else normalise_strength(penalty)
    ingredients = Ingredients(features, targets, scores, parameters, loss, penalty, model, weights)
    name = f"{type(model).__name__} + {type(loss).__name__}"

    def data(points: Points) -> Tensor:
        points = dict(points)
        x = points.pop("features", features)
        return loss(functional_call(model, points, (x,)), targets, *weights)

    @torch.no_grad()
    def data_gradients(points: Points) -> Points:
        found: Points = dict(model.gradients(features, upstream))  # type: ignore[operator]
        if hasattr(model, "input_gradient"):
            found["features"] = model.input_gradient(features, upstream)  # type: ignore[operator]
        return found

    places = dict(parameters)
    if hasattr(model, "input_gradient"):
        places["features"] = features
    claims = [
        Claim(
            name,
            lambda points: loss(points["scores"], targets, *weights),
            lambda points: {"scores": loss.gradient(points["scores"], targets, *weights)},
            {"scores": scores},
            "loss",
            ingredients=ingredients,
        ),
        Claim(name, data, data_gradients, places, "data", ingredients=ingredients),
    ]
    if penalty is not None:
        claims += claim_penalty(name, penalty, parameters, data, data_gradients, ingredients)
    return claims


def claim_penalty(
    name: str, penalty: Penalty, parameters: Points, data: Any, data_gradients: Any, ingredients: Ingredients
) -> list[Claim]:
    """Returns the claims of the penalty by itself, and of the total."""

    def penalty_gradients(points: Points) -> Points:
        zeros = {key: torch.zeros_like(p) for key, p in points.items()}
        return {**zeros, **penalty.gradients(points)}

    def total_gradients(points: Points) -> Points:
        first, second = data_gradients(points), penalty_gradients(points)
        return {key: first[key] + second[key] for key in points if key in first}

    return [
        Claim(
            name,
            penalty.value,
            penalty_gradients,
            parameters,
            f"penalty {type(penalty).__name__}",
            ingredients=ingredients,
        ),
        Claim(
            name,
            lambda points: data(points) + penalty.value(points),
            total_gradients,
            parameters,
            "total",
            ingredients=ingredients,
        ),
    ]


def hold_masks(model: nn.Module) -> None:
    """Makes every dropout reuse its next mask, so that all evaluations of a difference use the same function."""
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.held, layer.mask = True, None


@torch.no_grad()
def draw_parameters(model: nn.Module, seed: int) -> None:
    """Draws normal numbers, smaller where a parameter has many inputs, so that the scores are of order one."""
    for k, parameter in enumerate(model.parameters()):
        inputs = parameter.shape[-1] if parameter.ndim > 1 else 4
        noise = torch.randn(parameter.shape, dtype=torch.float64, generator=generator(seed, k))
        parameter.copy_(noise / inputs**0.5)


def normalise_strength(penalty: Penalty) -> Penalty:
    """Returns a copy with strength 0.7."""
    penalty = copy.deepcopy(penalty)
    if hasattr(penalty, "strength"):
        penalty.strength = STRENGTH
    return penalty
