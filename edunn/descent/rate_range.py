"""The rate-range test: the loss against a rate that grows with every step, and a rate to start from.

found = find_rate(model, loss, digits.train, batch_size=128)
descend(model, loss, digits.train, batch_size=128, rate=found.suggestion)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import check_count, check_number
from ..losses import Loss
from ..models import Model
from ..penalties import Penalty
from ..results import Record, Table
from ..updates import GradientDescent, Rule
from .checks import prepare_part
from .loop import Descent, Loop
from .stability import stable_rate

MEMORY = 0.9  # of the moving average of mini-batch losses
RISEN = 4.0  # the test ends where the loss is this many times the least one
BELOW = 10.0  # the suggestion is the rate of the least loss, divided by this
LESS = 3.0  # and, while a trial does not lower the loss, by this
TRIALS = 12


@dataclass(frozen=True, repr=False)
class RateRange(Record):
    """The result of `find_rate`.

    rates, losses : of each step: the rate, and the objective of its batch before the step
    smooth : the losses averaged over the last steps; the losses themselves for full batches
    best : the rate at which `smooth` is least: from there on the steps are too long
    suggestion : a rate to start from; None if no rate lowered the loss
    steps, before, after : a run of so many steps at the suggestion took the objective from `before` to `after`
    stable_rate : the largest rate at which full-batch descent converges, where it is known; `limit` is its formula
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    best: float
    suggestion: float | None
    steps: int
    before: float
    after: float | None
    stable_rate: float | None = None
    limit: str = ""

    def table(self) -> Table:
        """Returns one row for each step, and the suggestion as a note."""
        rows = list(zip(self.rates, self.losses, self.smooth, strict=True))
        return Table(("rate", "loss", "smooth"), rows, self.summary())

    def summary(self) -> str:
        """Returns the suggestion and what it rests on, in a few lines."""
        if self.suggestion is None:
            lines = ["no rate lowered the loss; the model may be at a minimum already, or the data not finite"]
        else:
            lines = [
                f"suggestion  rate {self.suggestion:.3g}: {self.steps} steps at it lower the loss from "
                f"{self.before:.4g} to {self.after:.4g}",
                f"least loss  at rate {self.best:.3g}; beyond it the steps are too long",
            ]
        if self.stable_rate is not None:
            lines.append(f"stable      full-batch descent converges below {self.stable_rate:.4g} ({self.limit})")
        return "\n".join(lines)


def find_rate(
    model: nn.Module,
    loss: Loss,
    train: Any,
    *,
    batch_size: int | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    low: float = 1e-8,
    high: float = 100.0,
    steps: int = 200,
    seed: int = 0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    by: str = "fast",
) -> RateRange:
    """Takes steps at rates that grow from `low` to `high`, and suggests the rate to start from.

    The rate of step i is low · (high/low)^(i/(steps − 1)). Too small a rate leaves the loss as it is, a good one lowers
    it, too large a one makes it rise; the test ends when the loss is four times its least value, or not finite. The
    suggestion is a tenth of the rate of the least loss; it is divided by 3 until a run of as many steps at it, from the
    model's own start, ends below that start. If the loss rises within the first tenth of the steps, the range moves
    down by eight powers of ten.

    The model and the rule are copied, and the caller's are not touched. See Smith 2017, Cyclical Learning Rates for
    Training Neural Networks, §3.3.

    Parameters
    ----------
    model, loss, train, batch_size, penalty, rule, seed, clip_norm, clip_value, by : as for `descend`
    low, high : the range of the rates, above 0
    steps : of the test, 10 or more; also of each trial of the suggestion
    """
    check_number("low", low, 0, open_ends="low")
    check_number("high", high, low, open_ends="low")
    check_count("steps", steps, 10)
    train = prepare_part(train, model)
    run = Descent(
        cast(Model, copy.deepcopy(model)), loss, train, rate=low, batch_size=batch_size, penalty=penalty,
        rule=copy.deepcopy(rule or GradientDescent()), seed=seed, clip_norm=clip_norm, clip_value=clip_value,
    )  # fmt: skip
    start = copy.deepcopy(run.model.state_dict())
    with torch.random.fork_rng():
        for _ in range(3):
            growth = (high / low) ** (1 / (steps - 1))
            rates, losses, smooth = scan(run, by, [low * growth**i for i in range(steps)])
            if len(rates) > steps // 10:
                break
            low, high = low * 1e-8, high * 1e-8
        finite = [value if math.isfinite(value) else math.inf for value in smooth]
        least = finite.index(min(finite))
        # the loss at index i is that before its step: the step before it was the last that helped
        best = rates[max(least - 1, 0)]
        suggestion, before, after = best / BELOW, losses[0], None
        full = run.batch == len(run.train)
        known = stable_rate(run.model, loss, run.train.features, penalty, run.rule, run.train.sample_weight)
        if known is not None and full:
            suggestion = min(suggestion, known / 2)
        for _ in range(TRIALS if least and finite[least] < finite[0] else 0):
            found = trial(run, by, start, suggestion, steps)
            if found < before:
                after = found
                break
            suggestion /= LESS
    return RateRange(
        tuple(rates), tuple(losses), tuple(smooth), best, None if after is None else suggestion, steps, before, after,
        known, f"{run.rule.limit} of the Hessian of the whole training set" if known is not None else "",
    )  # fmt: skip


def scan(run: Descent, by: str, rates: list[float]) -> tuple[list[float], list[float], list[float]]:
    """Takes a step at each rate on a copy of the model. Returns the rates met, and the losses, plain and averaged."""
    memory = 0.0 if run.batch == len(run.train) else MEMORY
    losses: list[float] = []
    smooth: list[float] = []
    average = 0.0
    for value in walk(run, by, rates):
        losses.append(value)
        average = memory * average + (1 - memory) * value
        smooth.append(average / (1 - memory ** len(losses)))  # the average starts at 0; this corrects it, as in Adam
        if not math.isfinite(value) or smooth[-1] > RISEN * max(min(smooth), 1e-300):
            break
    return rates[: len(losses)], losses, smooth


def trial(run: Descent, by: str, start: dict[str, Tensor], rate: float, steps: int) -> float:
    """Returns the mean objective of the last tenth of so many steps at one rate; inf if one was not finite."""
    run.model.load_state_dict(start)
    losses = list(walk(run, by, [rate] * (steps + 1)))
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last) if all(map(math.isfinite, losses)) else math.inf


def walk(run: Descent, by: str, rates: list[float]) -> Iterator[float]:
    """Takes a step at each rate, on a copy of the model, and yields the objective of its batch before it."""
    copied = copy.copy(run)
    copied.model, copied.rule = copy.deepcopy(run.model), copy.deepcopy(run.rule)
    copied.rule.reset()
    copied.checked = True
    stepper = Loop(copied, by).stepper
    copied.model.train()
    waiting, epoch = iter(rates), 0
    while True:
        for features, targets, *weights in copied.batches(epoch):
            rate = next(waiting, None)
            if rate is None:
                return
            some = weights[0].unsqueeze(0) if weights else None
            value = stepper.steps(features.unsqueeze(0), targets.unsqueeze(0), [rate], some)
            stepper.write_back()
            if some is None or bool(some.any()):  # a batch without weight takes no step
                yield float(value)
        epoch += 1
