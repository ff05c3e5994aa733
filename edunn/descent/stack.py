"""Many runs at once: what differs only in rate, strength, margin, start or order trains along a leading axis.

    base = Descent(model, CrossEntropy(), digits.train, rate=1.0, batch_size=128, epochs=50, validation=held)
    runs = [vary(base, rate=rate) for rate in (0.01, 0.1, 1.0)]
    histories = together(runs)

`together(runs)` comes to what `[run.go() for run in runs]` comes to, to rounding: the same steps on the same batches,
with the products of all runs made in one. The features are read once for all of them, so that 64 runs cost little more
than their bare arithmetic.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Samples
from ..errors import ConfigError
from ..history import History
from ..losses import Loss, Perceptron
from ..runtime.devices import permutation
from ..runtime.rows import chunk_of
from .batches import draw
from .checks import check_options
from .fast import Captured, FastStep
from .loop import Descent, is_linear, restore
from .progress import Ending, Progress

NOT_BEGUN = History((), "interrupted", "before it began", steps=0, seconds=0.0)
MEMORY = 1 << 30  # bytes that a stack may take beside the data; what needs more is split


def together(
    runs: Sequence[Descent], memory: int = MEMORY, after_epoch: Callable[[int, int], None] | None = None
) -> list[History]:
    """Trains every run's model in place and returns the histories, in the runs' order.

    Parameters
    ----------
    runs : put together one by one or by `vary`. Those that share the very same samples, and differ in rate, strength
        of the penalty, margin of a hinge, seed and starting weights alone, train as one stack; what fits no stack (a
        net, a rule of its own, a run that several processes share) trains alone.
    memory : bytes for a stack; larger ones are split
    after_epoch : called after each epoch of a stack with the runs that go on and those that have ended, of all
    """
    for index, run in enumerate(runs):
        if any(run.model is other.model for other in runs[:index]):
            raise ConfigError("Expected a model of its own for each run; two share one. Use stacks.vary(run, …).")
    histories: dict[int, History] = {}
    for group in grouped(runs):
        size = max(1, memory // bytes_of(runs[group[0]])) if len(group) > 1 else 1
        for start in range(0, len(group), size):
            members = group[start : start + size]
            stack = [runs[i] for i in members]
            if any(history.status == "interrupted" for history in histories.values()):
                found = [NOT_BEGUN] * len(stack)
            elif len(stack) == 1:  # alone a run has quicker steps still
                found = [stack[0].go()]
            else:
                found = Stack(stack).go(after_epoch)
            histories |= zip(members, found, strict=True)
    return [histories[index] for index in range(len(runs))]


def grouped(runs: Sequence[Descent]) -> list[list[int]]:
    """The runs by kind, as indices: those of one group train as one stack."""
    groups: dict[Hashable, list[int]] = {}
    for index, run in enumerate(runs):
        stacked = is_linear(run.model) and run.crew is None  # a batch that processes share is for one run's loop
        groups.setdefault(kind_of(run) if stacked else index, []).append(index)
    return list(groups.values())


def vary(
    run: Descent,
    *,
    rate: float | None = None,
    strength: float | None = None,
    margin: float | None = None,
    seed: int | None = None,
    model: Any = None,
) -> Descent:
    """The run with something changed. It has a model and a rule of its own and shares the data, which stay unchecked.

    Parameters
    ----------
    rate, strength, margin : of the steps, the penalty and the hinge
    seed : of the batches' order
    model : one that starts elsewhere; the run's own, copied, if not given
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
            raise ConfigError("Expected a run with a penalty, to vary its strength; this one has none.")
        if not strength >= 0:
            raise ConfigError(f"Expected a strength of 0 or more; got {strength}.")
        other.penalty = copy.copy(run.penalty)
        other.penalty.strength = strength
    if margin is not None:
        if not has_margin(run.loss):
            raise ConfigError(f"Expected a loss with a margin, to vary it; {type(run.loss).__name__} has none.")
        if not margin >= 0:
            raise ConfigError(f"Expected margin 0 or more; got {margin}.")
        other.loss = with_margin(run.loss, margin)
    check_options(other)
    return other


@dataclass
class Member:
    """One run of a stack, and where it is."""

    run: Descent
    at: Progress = field(default_factory=Progress)
    history: History | None = None


class Stack:
    """Runs of one kind, their parameters held as one tensor each, (runs, …), of which the models' own are views."""

    def __init__(self, runs: Sequence[Descent]) -> None:
        self.members = [Member(run) for run in runs]
        self.alive = list(self.members)
        self.first = runs[0]
        self.rule = copy.deepcopy(self.first.rule)
        self.rule.reset()
        self.model = copy.deepcopy(self.first.model)
        self.step = 0
        self.epoch = 0
        for name, _ in self.first.model.named_parameters():
            rows = [dict(member.run.model.named_parameters())[name].detach() for member in self.alive]
            setattr(self.model, name, nn.Parameter(torch.stack(rows)))
        self.gather()

    def gather(self) -> None:
        """Puts the living runs' options side by side: numbers that are the same for all stay numbers."""
        runs = [member.run for member in self.alive]
        like = self.model.weight.detach()
        self.point()
        self.rate = together_as_one([run.rate for run in runs], like)
        self.loss = self.first.loss
        if has_margin(self.loss):
            margin = together_as_one([getattr(run.loss, "margin") for run in runs], like)  # noqa: B009
            if isinstance(margin, Tensor):
                self.loss = with_margin(self.loss, margin.view(-1, *(1,) * (1 + self.loss.class_axis)))
        self.penalty = self.first.penalty
        if self.penalty is not None:
            strengths = [float(run.penalty.strength) for run in runs if run.penalty is not None]
            self.penalty = copy.copy(self.penalty)
            self.penalty.strength = together_as_one(strengths, like)
        one = FastStep(self.model, self.loss, self.penalty, self.rule, precision=self.first.precision)
        # where each run has an order of its own, a batch holds one of each run
        orders = len({run.seed for run in runs})
        batch = self.first.batch * (len(runs) if orders > 1 else 1)
        mini = self.first.batch < len(self.first.train)
        self.stepper = Captured(one) if mini and Captured.applies(one, batch) else one

    def point(self) -> None:
        """Makes the models' parameters views of the stack's."""
        for name, stacked in self.model.named_parameters():
            for index, member in enumerate(self.alive):
                dict(member.run.model.named_parameters())[name].data = stacked.detach()[index]

    def go(self, after_epoch: Callable[[int, int], None] | None = None) -> list[History]:
        """All of the runs to their ends."""
        start = time.perf_counter()
        self.keep_snapshots()
        self.end_where(self.endings())
        try:
            while self.alive:
                losses = self.run_epoch()
                self.record(losses, time.perf_counter() - start)
                self.end_where(self.endings())
                if after_epoch is not None:
                    after_epoch(len(self.alive), len(self.members) - len(self.alive))
        except KeyboardInterrupt:
            for member in self.alive:
                member.at.step, member.at.seconds = self.step, time.perf_counter() - start
            message = f"in epoch {self.epoch + 1}, after {self.epoch} whole epochs"
            self.end_where([Ending("interrupted", message)] * len(self.alive))
        return [member.history for member in self.members if member.history is not None]

    def run_epoch(self) -> list[list[float]]:
        """One pass over the samples; the objective of each run on each batch as it was met."""
        first, losses = self.first, list[Tensor]()
        try:
            with closing(self.batches()) as batches:
                for features, targets in batches:
                    factor = first.schedule(self.epoch + len(losses) / first.steps_per_epoch, first.epochs or 1)
                    losses.append(self.stepper.step(features, targets, self.rate * factor))
                    self.step += 1
                    if first.snapshots and self.step % first.snapshots == 0:
                        self.stepper.settle()
                        self.keep_snapshots()
                    if self.step == first.steps:
                        break
        finally:
            self.stepper.settle()
        self.epoch += 1
        by_run: list[list[float]] = torch.stack(losses, 1).tolist()  # the one place where the device is waited for
        return by_run

    def batches(self) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches of an epoch: of one order for all runs (samples, …), or of each run's own (runs, samples, …)."""
        seeds = {member.run.seed for member in self.alive}
        if len(seeds) == 1 or self.first.batch == len(self.first.train):
            run = self.alive[0].run
            yield from run.batches(self.epoch, reuse=True)
            return
        train = self.first.train
        orders = {seed: permutation(len(train), seed, self.epoch) for seed in seeds}
        rows = torch.stack([orders[member.run.seed] for member in self.alive]).to(train.features.device)
        yield from draw(train, rows.split(self.first.batch, 1), reuse=True)

    def record(self, losses: list[list[float]], seconds: float) -> None:
        """Adds the epoch's row to every run."""
        for member in self.alive:
            member.at.epoch, member.at.step, member.at.seconds = self.epoch, self.step, seconds
        due = self.first.is_due(self.alive[0].at)
        rows = self.evaluations() if due else [None] * len(self.alive)
        for member, values, row in zip(self.alive, losses, rows, strict=True):
            member.run.record(member.at, values, row)

    def endings(self) -> list[Ending | None]:
        return [member.run.ending(member.at) for member in self.alive]

    def end_where(self, endings: Sequence[Ending | None]) -> None:
        """Takes the runs that have ended out of the stack; the others go on as if they had not been there."""
        if not any(endings):
            return
        lacking = any(
            e and m.at.rows and "total" not in m.at.rows[-1] for e, m in zip(endings, self.alive, strict=True)
        )
        rows = self.evaluations() if lacking else [None] * len(self.alive)
        for member, ending, row in zip(self.alive, endings, rows, strict=True):
            if ending is not None:
                for parameter in member.run.model.parameters():
                    parameter.data = parameter.data.clone()  # out of the stack's memory
                if ending.status == "stopped":
                    restore(member.run.model, member.at.best)
                member.run.model.eval()  # from here on it is used
                member.history = member.run.history(member.at, ending, row)
        left = [index for index, ending in enumerate(endings) if ending is None]
        self.alive = [self.alive[index] for index in left]
        if not left:
            return
        index = torch.tensor(left, device=self.model.weight.device)
        for name, parameter in list(self.model.named_parameters()):
            setattr(self.model, name, nn.Parameter(parameter.detach()[index]))
        for state in self.rule.state.values():
            for key, tensor in state.items():
                state[key] = tensor[index]
        self.gather()

    @torch.no_grad()
    def evaluations(self) -> list[dict[str, float]]:
        """What `Descent.evaluation` gives, for every living run."""
        penalties = [0.0] * len(self.alive)
        if self.penalty is not None:
            values = self.penalty.value(dict(self.model.named_parameters()))
            penalties = values.expand(len(self.alive)).tolist()
        losses, metrics = self.evaluate(self.first.train)
        metric = self.model.metric
        rows = [
            {"loss": data, "penalty": penalty, "total": data + penalty, metric: rate}
            for data, penalty, rate in zip(losses, penalties, metrics, strict=True)
        ]
        if self.first.validation is not None:
            for row, data, rate in zip(rows, *self.evaluate(self.first.validation), strict=True):
                row |= {"validation_loss": data, f"validation_{metric}": rate}
        return rows

    def evaluate(self, part: Samples) -> tuple[list[float], list[float]]:
        """The mean loss and the metric of each run over a whole part."""
        weight, chunk = self.model.weight.detach(), chunk_of(part.features)
        out = weight.new_empty(len(part), weight.shape[0] * weight.shape[1])
        for features, into in zip(part.features.split(chunk), out.split(chunk), strict=True):
            torch.mm(features, weight.flatten(0, 1).t(), out=into)
        if self.model.bias is not None:
            out += self.model.bias.detach().flatten()
        scores = out.view(len(part), *weight.shape[:2]).movedim(0, -2)
        scores = scores.squeeze(-1) if self.model.one_output else scores
        return self.loss(scores, part.targets, validate=False).tolist(), self.model.rate(scores, part.targets).tolist()

    def keep_snapshots(self) -> None:
        for member in self.alive:
            member.at.step = self.step
            member.run.keep_snapshot(member.at)


def together_as_one(numbers: Sequence[float], like: Tensor) -> float | Tensor:
    """One number where all are the same, so that it can be folded into a product; else a tensor of shape `runs`."""
    return numbers[0] if len(set(numbers)) == 1 else torch.tensor(numbers, dtype=like.dtype, device=like.device)


def with_margin(loss: Loss, margin: Any) -> Loss:
    """The loss with another margin, or with one for each run."""
    other = copy.copy(loss)
    vars(other)["margin"] = margin
    return other


def has_margin(loss: Any) -> bool:
    """Whether a loss has a margin that may be chosen: the perceptron's is 0 by definition."""
    return hasattr(loss, "margin") and not isinstance(loss, Perceptron)


def kind_of(run: Descent) -> Hashable:
    """What runs of one stack have in common."""
    parameters = tuple((name, tuple(p.shape), p.dtype, p.device) for name, p in run.model.named_parameters())
    parts = tuple((id(part.features), id(part.targets)) for part in (run.train, run.validation) if part is not None)
    loops = (run.batch, run.epochs, run.steps, run.tolerance, run.patience, run.evaluate, run.snapshots, run.precision)
    objects = (
        described(run.model),
        described(run.loss, "margin" if has_margin(run.loss) else ""),
        described(run.penalty, "strength"),
        described(run.rule, "steps", "state"),
        described(run.schedule),
    )
    return parameters, parts, loops, objects


def described(thing: Any, *without: str) -> Hashable:
    """A thing's type and plain attributes, and those of its parts, as one value to compare."""
    if thing is None:
        return None
    hidden = {"training", *without}
    plain = tuple(sorted((k, repr(v)) for k, v in vars(thing).items() if k not in hidden and not k.startswith("_")))
    parts = tuple((name, described(part, *without)) for name, part in getattr(thing, "_modules", {}).items())
    return type(thing), plain, parts


def bytes_of(run: Descent) -> int:
    """What one run adds to a stack: parameters, the rule's state and its working copies, scores of an evaluation."""
    weight = run.model.weight
    copies = 2 + len(run.rule.buffers) + 4
    largest = max(len(part) for part in (run.train, run.validation) if part is not None)
    numbers = copies * weight.numel() + 4 * largest * weight.shape[0] + run.batch * (4 * weight.shape[0])
    if run.batch < len(run.train):
        numbers += run.batch * weight.shape[1]
    return int(numbers * weight.element_size())
