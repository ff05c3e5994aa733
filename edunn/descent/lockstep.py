"""Trains the same run twice, in lock step: with our gradients, and with `torch.autograd` and `torch.optim`."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ..data import Samples
from ..differences import relative_error
from ..losses import Loss
from ..models import Model
from ..penalties import Penalty
from ..results import Record, Table
from ..updates import Constant, GradientDescent, Rule, Schedule
from .checks import check_hand_gradients
from .options import Options
from .steppers import ByAutograd, ByHand, MakeOptimiser


@dataclass(frozen=True, repr=False)
class Lockstep(Record):
    """The difference of the two runs.

    `largest` is the largest relative difference of any parameter after any step, found at `step` in `parameter`;
    `first` names the first step and parameter whose difference exceeds `tolerance`, or is None.
    """

    steps: int
    tolerance: float
    largest: float
    step: int
    parameter: str
    first: tuple[int, str] | None

    @property
    def passed(self) -> bool:
        """Whether no difference exceeds the tolerance."""
        return self.first is None

    def table(self) -> Table:
        """Returns the result as a sentence."""
        largest = f"{self.largest:.1e}"
        if self.first is None:
            said = f"{self.steps} steps, the same to {largest} (largest at step {self.step}, {self.parameter})"
        else:
            step, name = self.first
            said = f"differ from step {step} on, first in {name} by more than {self.tolerance:g}; "
            said += f"largest {largest} at step {self.step}, {self.parameter}"
        return Table(note=said)


def lockstep(
    model: Model,
    loss: Loss,
    train: Samples,
    *,
    rate: float,
    steps: int = 500,
    batch_size: int | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    optimiser: MakeOptimiser | None = None,
    schedule: Schedule | None = None,
    seed: int = 0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    tolerance: float = 1e-10,
) -> Lockstep:
    """Takes the same steps by hand and by autograd from the same start, and compares every parameter after each.

    The options are those of `descend`; `model` and `rule` are copied and do not change. `optimiser` makes torch's
    optimiser from the parameters (`lambda p: torch.optim.SGD(p, lr=0.1)`); the default is the rule's `twin`. Each step
    sets its "lr" to the scheduled rate.

    AdaGrad, RMSprop and Adam divide by √G + ε, which makes rounding noise of a tiny gradient large: two exact
    implementations agree only to about 1e-10.
    """
    rule = rule or GradientDescent()
    run = Options(
        model, loss, train, rate, batch_size, steps=steps, penalty=penalty, rule=rule,
        schedule=schedule or Constant(), evaluate=0, seed=seed, clip_norm=clip_norm, clip_value=clip_value,
    )  # fmt: skip
    check_hand_gradients(copy.deepcopy(run.model), loss, train)
    first_model, second_model = copy.deepcopy(run.model), copy.deepcopy(run.model)
    by_hand = ByHand(first_model, loss, penalty, copy.deepcopy(rule), run.clipping)
    by_hand.rule.reset()  # torch's optimiser starts from zero as well
    by_autograd = ByAutograd(second_model, loss, penalty, copy.deepcopy(rule), optimiser, run.clipping)
    largest, at, where, first, step = 0.0, 0, "", None, 0
    while step < steps:
        for features, targets, *weights in run.batches(step // run.steps_per_epoch):
            rate_now = run.rate_at(step / run.steps_per_epoch)
            by_hand.step(features, targets, rate_now, *weights)
            by_autograd.step(features, targets, rate_now, *weights)
            step += 1
            others = dict(second_model.named_parameters())
            for name, parameter in first_model.named_parameters():
                error = relative_error(parameter.detach(), others[name].detach())
                if error > largest or not where:
                    largest, at, where = error, step, name
                if first is None and not error <= tolerance:
                    first = (step, name)
            if step == steps:
                break
    return Lockstep(step, tolerance, largest, at, where, first)
