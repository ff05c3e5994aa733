"""Compares a run with other conventions: which options of `torch.optim` take the same steps, and why.

Two right implementations may differ because a factor means something else. Each convention here is trained next to
ours, so that the numbers show that the formula explains the difference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..differences import relative_error
from ..models import Model
from ..penalties import L2
from ..results import Record, Table
from ..updates import Momentum, Nesterov
from .options import Options
from .steppers import ByHand

Step = Callable[..., None]  # of features, targets, rate and, where samples have them, weights


@dataclass(frozen=True, repr=False)
class Convention(Record):
    """A convention of other implementations, such as decay in place of a penalty, and how far its weights differ.

    largest : the largest relative difference of any parameter after any step
    same : whether that is only rounding
    """

    name: str
    formula: str
    largest: float
    same: bool

    def table(self) -> Table:
        """Returns the result as a sentence."""
        verdict = "the same" if self.same else "differs"
        return Table(note=f"{self.name}: {verdict} ({self.largest:.1e}). {self.formula}")


def conventions(run: Options, steps: int, tolerance: float = 1e-10) -> list[Convention]:
    """Trains with the other common definitions of the run's penalty and momentum (torch's weight_decay, the rate inside
    the velocity, dampening), and returns how far the weights differ after `steps` steps, one entry a definition.
    """
    found = []
    penalty = run.penalty
    if type(penalty) is L2 and not isinstance(penalty.strength, Tensor) and penalty.strength > 0:
        strength = penalty.strength
        right = 2 * penalty.factor * strength
        written = "λ Σ w², gradient 2λ w" if penalty.factor == 1 else "½ λ Σ w², gradient λ w"
        reach = "all parameters" if penalty.bias else "the weights alone, the bias in a group without"
        whole = penalty.factor == 1
        equals, other, times = ("2λ", strength, "half") if whole else ("λ", 2 * strength, "twice")
        for decay, says in (
            (right, f"ours is {written}; weight_decay adds weight_decay · w: it is {equals}"),
            (other, f"ours is {written}: this weight_decay is {times} of it"),
        ):
            name = f"torch.optim with weight_decay={decay:g} ({reach})"
            found.append(compare(run, steps, tolerance, name, says, partial(with_decay, run, decay)))
        if not penalty.bias and "bias" in dict(run.model.named_parameters()):
            name = f"torch.optim with weight_decay={right:g} on every parameter"
            says = "one group for all decays the bias too; ours leaves it alone unless bias=True"
            found.append(compare(run, steps, tolerance, name, says, partial(with_decay, run, right, everything=True)))
    if type(run.rule) is Momentum:
        says = (
            "v ← μ v − rate · g, w ← w + v keeps the rate inside v; ours, as torch, has it outside: v ← μ v + g, "
            "w ← w − rate · v. The same while the rate is constant; when it changes, ours acts at once"
        )
        name = "momentum with the rate inside the velocity"
        found.append(compare(run, steps, tolerance, name, says, partial(rate_inside, run)))
    if type(run.rule) in (Momentum, Nesterov):
        says = "dampening 1 − μ scales every gradient by 1 − μ (an average); ours, and torch's default, does not"
        name = "torch.optim.SGD with dampening = 1 − μ"
        if type(run.rule) is Momentum:
            found.append(compare(run, steps, tolerance, name, says, partial(with_dampening, run)))
    return found


def compare(
    run: Options, steps: int, tolerance: float, name: str, formula: str, make: Callable[[Model], Step]
) -> Convention:
    """Takes the steps of edunn and of the convention from the same start, and compares the weights after each."""
    ours, theirs = copy.deepcopy(run.model), copy.deepcopy(run.model)
    by_hand = ByHand(ours, run.loss, run.penalty, copy.deepcopy(run.rule), run.clipping)
    by_hand.rule.reset()
    step_other = make(theirs)
    largest, step = 0.0, 0
    while step < steps:
        for features, targets, *weights in run.batches(step // run.steps_per_epoch):
            rate = run.rate_at(step / run.steps_per_epoch)
            by_hand.step(features, targets, rate, *weights)
            step_other(features, targets, rate, *weights)
            step += 1
            pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
            largest = max(largest, *(relative_error(a.detach(), b.detach()) for a, b in pairs))
            if step == steps:
                break
    return Convention(name, formula, largest, largest <= tolerance)


def with_decay(run: Options, decay: float, model: Model, everything: bool = False) -> Step:
    """Returns a step of torch.optim with `weight_decay` in place of our penalty."""
    concerned = run.penalty.penalised(dict(model.named_parameters())) if run.penalty is not None else {}
    weights = [p for name, p in model.named_parameters() if everything or name in concerned]
    rest = [p for name, p in model.named_parameters() if not everything and name not in concerned]
    optimiser = run.rule.twin(weights, rate=1.0)
    optimiser.param_groups[0]["weight_decay"] = decay
    if rest:
        optimiser.add_param_group({"params": rest, "weight_decay": 0.0})
    return by_torch(run, model, optimiser, penalised=False)


def with_dampening(run: Options, model: Model) -> Step:
    """Returns a step of torch.optim.SGD with dampening = 1 − μ: v ← μ v + (1 − μ) g."""
    assert isinstance(run.rule, Momentum)
    momentum = run.rule.momentum
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, momentum=momentum, dampening=1 - momentum)
    return by_torch(run, model, optimiser, penalised=True)


def by_torch(run: Options, model: Model, optimiser: torch.optim.Optimizer, penalised: bool) -> Step:
    """Returns a step that differentiates by autograd and updates with this optimiser."""

    def step(features: Tensor, targets: Tensor, rate: float, *weights: Tensor) -> None:
        if not all(bool(some.any()) for some in weights):
            return
        optimiser.zero_grad()
        objective(run, model, features, targets, penalised, *weights).backward()
        if run.clipping is not None:
            run.clipping.clip_in_place(model.parameters())
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()

    return step


def rate_inside(run: Options, model: Model) -> Step:
    """Returns a step with the rate inside the velocity: v ← μ v − rate · g, w ← w + v."""
    assert isinstance(run.rule, Momentum)
    momentum = run.rule.momentum
    velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}

    def step(features: Tensor, targets: Tensor, rate: float, *weights: Tensor) -> None:
        if not all(bool(some.any()) for some in weights):
            return
        parameters = dict(model.named_parameters())
        value = objective(run, model, features, targets, True, *weights)
        found = torch.autograd.grad(value, list(parameters.values()))
        gradients = dict(zip(parameters, found, strict=True))
        if run.clipping is not None:
            gradients = run.clipping.clip(gradients)
        with torch.no_grad():
            for name, parameter in parameters.items():
                velocity[name].mul_(momentum).sub_(rate * gradients[name])
                parameter.add_(velocity[name])

    return step


def objective(
    run: Options, model: Model, features: Tensor, targets: Tensor, penalised: bool, *weights: Tensor
) -> Tensor:
    """Returns the mean loss of a batch, plus the penalty if `penalised`."""
    value = run.loss(model(features), targets, *weights, validate=False)
    followed = run.penalty.followed if penalised and run.penalty is not None else None
    return value if followed is None else value + followed.value(dict(model.named_parameters()))
