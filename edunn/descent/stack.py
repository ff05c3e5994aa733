"""Trains many runs at once, which differ only in rate, strength, margin, start or order, along a leading axis.

    base = Descent(model, CrossEntropy(), digits.train, rate=1.0, batch_size=128, epochs=50, validation=held)
    runs = [vary(base, rate=rate) for rate in (0.01, 0.1, 1.0)]
    histories = train_together(runs)

The result is that of `[run.go() for run in runs]`, to rounding: the same steps on the same batches, with one product
for all runs. The features are read once for all of them, so that 64 runs cost little more than their arithmetic.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Samples
from ..errors import ConfigError, check_number
from ..history import History
from ..losses import Loss, Perceptron
from ..models import LinearModel, Model
from ..runtime.devices import permutation
from ..runtime.rows import chunk_of
from .checks import check_options
from .fast import fast_stepper, is_linear
from .journal import Journal, Progress
from .loop import Descent, Loop
from .options import Options

NOT_STARTED = History((), "interrupted", "before it started", steps=0, seconds=0.0)
MEMORY = 1 << 30  # bytes that a stack may take besides the data; a larger one is split


def train_together(
    runs: Sequence[Descent],
    memory: int = MEMORY,
    after_epoch: Callable[[int, int], None] | None = None,
    after_run: Callable[[int, History], None] | None = None,
) -> list[History]:
    """Trains every run's model in place and returns the histories, in the runs' order.

    Parameters
    ----------
    runs : made one by one or by `vary`. Those with the same samples, which differ only in rate, strength of the
        penalty, margin of a hinge, seed and starting weights, train as one stack. Others (a net, a run with its own
        loop) train alone.
    memory : bytes for a stack; a larger one is split
    after_epoch : called after each epoch of a stack with the numbers of its runs that continue and that have ended
    after_run : called with the place of a run and its history when the run has ended, with its final weights
    """
    for index, run in enumerate(runs):
        if any(run.model is other.model for other in runs[:index]):
            raise ConfigError("Two runs share one model; each needs its own. Use edunn.descent.vary(run, …).")
    histories: dict[int, History] = {}
    for group in group_by_kind(runs):
        size = max(1, memory // bytes_of(runs[group[0]])) if len(group) > 1 else 1
        for start in range(0, len(group), size):
            members = group[start : start + size]
            stack = [runs[i] for i in members]

            def ended(place: int, history: History, members: Sequence[int] = members) -> None:
                if after_run is not None:
                    after_run(members[place], history)

            if any(history.status == "interrupted" for history in histories.values()):
                found = [NOT_STARTED] * len(stack)
            elif len(stack) == 1:  # a single run has faster steps
                found = [stack[0].go()]
                ended(0, found[0])
            else:
                found = Stack(stack, ended).go(partial(report, after_epoch, len(stack)))
            histories |= zip(members, found, strict=True)
    return [histories[index] for index in range(len(runs))]


def report(after_epoch: Callable[[int, int], None] | None, count: int, stack: Loop) -> None:
    """Calls `after_epoch` with the numbers of runs that continue and that have ended."""
    if after_epoch is not None:
        going = sum(journal.ending is None for journal in stack.journals)
        after_epoch(going, count - going)


def group_by_kind(runs: Sequence[Descent]) -> list[list[int]]:
    """Groups the indices of the runs that train as one stack."""
    groups: dict[Hashable, list[int]] = {}
    for index, run in enumerate(runs):
        stacked = is_linear(run.model) and run.loop is Loop
        groups.setdefault(kind_of(run) if stacked else index, []).append(index)
    return list(groups.values())


def vary(
    run: Descent,
    *,
    rate: float | None = None,
    strength: float | None = None,
    margin: float | None = None,
    seed: int | None = None,
    model: Model | None = None,
) -> Descent:
    """Returns a copy of the run with another rate, strength, margin, seed or model, on the same samples.

    Parameters
    ----------
    rate, strength, margin : of the steps, the penalty and the hinge
    seed : fixes the order of the samples
    model : a model with other starting weights; None copies the run's own
    """
    other = copy.copy(run)
    other.model = copy.deepcopy(run.model if model is None else model)
    other.rule = copy.deepcopy(run.rule)
    if rate is not None:
        other.rate = rate
    if seed is not None:
        other.seed = seed
    if strength is not None:
        if run.penalty is None:
            raise ConfigError("The run has no penalty whose strength could vary. Give it one.")
        other.penalty = copy.copy(run.penalty)
        other.penalty.strength = check_number("strength", strength, 0)
    if margin is not None:
        if not has_margin(run.loss):
            raise ConfigError(f"{type(run.loss).__name__} has no margin to vary. Take a hinge loss.")
        if not margin >= 0:
            raise ConfigError(f"The margin must be 0 or more; got {margin}.")
        other.loss = with_margin(run.loss, margin)
    check_options(other)
    return other


class Stack(Loop):
    """Trains many runs of one kind at once.

    Each of their parameters is one tensor, (runs, …); the models' own parameters are views of it.
    """

    model: LinearModel

    def __init__(self, runs: Sequence[Descent], after_run: Callable[[int, History], None] | None = None) -> None:
        self.after_run = after_run
        self.places = {id(run): place for place, run in enumerate(runs)}
        self.run = runs[0]  # the options that all have in common
        self.journals = [Journal(run, Progress()) for run in runs]
        self.rule = copy.deepcopy(self.run.rule)
        self.rule.reset()
        self.model = copy.deepcopy(linear_model(self.run))
        for name, _ in self.run.model.named_parameters():
            rows = [dict(run.model.named_parameters())[name].detach() for run in runs]
            setattr(self.model, name, nn.Parameter(torch.stack(rows)))
        self.stack_options()

    def stack_options(self) -> None:
        """Stacks the options of the runs that have not ended; a number that all share stays a number."""
        runs, like = [journal.run for journal in self.journals], self.model.weight.detach()
        for name, stacked in self.model.named_parameters():
            for index, run in enumerate(runs):
                dict(run.model.named_parameters())[name].data = stacked.detach()[index]
        self.rate = scalar_or_stack([run.rate for run in runs], like)
        self.loss = self.run.loss
        if has_margin(self.loss):
            margin = scalar_or_stack([getattr(run.loss, "margin") for run in runs], like)  # noqa: B009
            if isinstance(margin, Tensor):
                self.loss = with_margin(self.loss, margin.view(-1, *(1,) * (1 + self.loss.class_axis)))
        self.penalty = self.run.penalty
        if self.penalty is not None:
            strengths = [float(run.penalty.strength) for run in runs if run.penalty is not None]
            self.penalty = copy.copy(self.penalty)
            self.penalty.strength = scalar_or_stack(strengths, like)
        batch = self.run.batch * (len(runs) if self.orders_differ() else 1)
        mini = self.run.batch < len(self.run.train)
        weighted = self.run.train.sample_weight is not None
        self.stepper = fast_stepper(
            self.model,
            self.loss,
            self.penalty,
            self.rule,
            batch,
            mini,
            self.run.precision,
            weighted,
            self.run.clipping,
        )

    def orders_differ(self) -> bool:
        """Returns whether the runs have different orders of the samples, and so different batches."""
        return len({journal.run.seed for journal in self.journals}) > 1

    def rate_at(self, epoch: float) -> float | Tensor:
        """Returns the step size after so many epochs: a number, or of shape `runs`."""
        return self.rate * self.run.schedule(epoch, self.run.epochs or 1)

    def order(self) -> Tensor:
        seeds = [journal.run.seed for journal in self.journals]
        orders = {seed: permutation(len(self.run.train), seed, self.at.epoch) for seed in seeds}
        return torch.stack([orders[seed] for seed in seeds]) if self.orders_differ() else orders[seeds[0]]

    def scores(self, part: Samples) -> Tensor:
        """Returns the scores of every run, (runs, samples[, classes]), by one product for each chunk."""
        weight, chunk = self.model.weight.detach(), chunk_of(part.features)
        out = weight.new_empty(len(part), weight.shape[0] * weight.shape[1])
        for features, into in zip(part.features.split(chunk), out.split(chunk), strict=True):
            torch.mm(features, weight.flatten(0, 1).t(), out=into)
        if self.model.bias is not None:
            out += self.model.bias.detach().flatten()
        scores = out.view(len(part), *weight.shape[:2]).movedim(0, -2)
        return scores.squeeze(-1) if self.model.one_output else scores

    def finish(self) -> None:
        """Removes the runs that have ended from the stack. The others are not affected."""
        left = [index for index, journal in enumerate(self.journals) if journal.ending is None]
        if len(left) == len(self.journals):
            return
        ended = [journal for journal in self.journals if journal.ending is not None]
        for journal in ended:
            for parameter in journal.run.model.parameters():
                parameter.data = parameter.data.clone()  # out of the stack's memory
        super().finish()
        if self.after_run is not None:
            for journal in ended:
                self.after_run(self.places[id(journal.run)], journal.history)
        if not left:
            return
        index = torch.tensor(left, device=self.model.weight.device)
        for name, parameter in list(self.model.named_parameters()):
            setattr(self.model, name, nn.Parameter(parameter.detach()[index]))
        for state in self.rule.state.values():
            for key, tensor in state.items():
                state[key] = tensor[index]
        self.stack_options()


def scalar_or_stack(numbers: Sequence[float], like: Tensor) -> float | Tensor:
    """Returns the number where all are the same, so that a product can take it; else a tensor of shape `runs`."""
    return numbers[0] if len(set(numbers)) == 1 else torch.tensor(numbers, dtype=like.dtype, device=like.device)


def with_margin(loss: Loss, margin: float | Tensor) -> Loss:
    """Returns a copy of the loss with another margin, or with one for each run."""
    other = copy.copy(loss)
    vars(other)["margin"] = margin
    return other


def has_margin(loss: Loss) -> bool:
    """Returns whether a loss has a margin that may be chosen; the perceptron's is 0 by definition."""
    return hasattr(loss, "margin") and not isinstance(loss, Perceptron)


def kind_of(run: Descent) -> Hashable:
    """Returns a key that is the same for runs that can train as one stack."""
    parameters = tuple((name, tuple(p.shape), p.dtype, p.device) for name, p in run.model.named_parameters())
    parts = tuple(
        (id(part.features), id(part.targets), id(part.sample_weight))
        for part in (run.train, run.validation)
        if part is not None
    )
    loops: tuple[Hashable, ...] = (
        *(run.batch, run.epochs, run.steps, run.tolerance, run.patience, run.evaluate, run.snapshots, run.precision),
        *(run.clip_norm, run.clip_value),
    )
    if run.train.sample_weight is not None:
        loops += (run.seed,)  # a batch without weight takes no step: all runs must meet it at once
    objects = (
        describe(run.model),
        describe(run.loss, "margin" if has_margin(run.loss) else ""),
        describe(run.penalty, "strength"),
        describe(run.rule, "steps", "state"),
        describe(run.schedule),
    )
    return parameters, parts, loops, objects


def describe(thing: Any, *without: str) -> Hashable:
    """Returns an object's type and attributes, and those of its submodules, as one value to compare."""
    if thing is None:
        return None
    hidden = {"training", *without}
    plain = tuple(sorted((k, repr(v)) for k, v in vars(thing).items() if k not in hidden and not k.startswith("_")))
    parts = tuple((name, describe(part, *without)) for name, part in getattr(thing, "_modules", {}).items())
    return type(thing), plain, parts


def linear_model(run: Options) -> LinearModel:
    """Returns the run's model: the runs of a stack are linear."""
    assert isinstance(run.model, LinearModel)
    return run.model


def bytes_of(run: Descent) -> int:
    """Returns the bytes that one run adds to a stack: parameters, the rule's state, copies, and scores."""
    weight = linear_model(run).weight
    copies = 2 + len(run.rule.buffers) + 4
    largest = max(len(part) for part in (run.train, run.validation) if part is not None)
    numbers = copies * weight.numel() + 4 * largest * weight.shape[0] + run.batch * (4 * weight.shape[0])
    if run.batch < len(run.train):
        numbers += run.batch * weight.shape[1]
    return int(numbers * weight.element_size())
