"""The training loop, and `descend`, which runs it. A run can be resumed after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .. import errors
from ..data import Samples
from ..history import History
from ..losses import Loss
from ..models import Model, evaluating
from ..penalties import Penalty
from ..runtime.devices import permutation
from ..runtime.rows import chunk_of
from ..updates import Constant, GradientDescent, Rule, Schedule
from .batches import cut, draw, whole
from .checks import check_hand_gradients, leave_out, prepare_part
from .fast import fast_stepper, is_linear
from .journal import Journal, Progress
from .options import Options
from .steppers import ByAutograd, ByHand, Stepper

SINGLES = 32  # batches of one sample in a block


class Loop:
    """Trains one run: epochs of steps, each of which is recorded, until the run ends.

    `Stack` trains many runs at once, and `experiment.sharing` one run on several processes.

    `journals` has the record of each run that has not ended; all are at the same epoch and step.
    """

    def __init__(self, run: Options, by: str = "fast", progress: Progress | None = None) -> None:
        self.run, self.model, self.loss, self.penalty = run, run.model, run.loss, run.penalty
        self.journals = [Journal(run, progress or Progress())]
        self.stepper = self.make_stepper(by)

    @property
    def at(self) -> Progress:
        """The progress of the runs."""
        return self.journals[0].progress

    def make_stepper(self, by: str) -> Stepper:
        """Returns the object that takes the steps by "fast", "hand" or "autograd"."""
        run = self.run
        if by not in ("fast", "hand", "autograd"):
            raise errors.ConfigError(f"by is 'fast', 'hand' or 'autograd'; got {by!r}.")
        if by != "autograd" and not run.checked:
            check_hand_gradients(run.model, run.loss, run.train)
        if run.precision != "full" and by != "fast":
            raise errors.ConfigError(
                f"Precision {run.precision!r} needs by='fast' in one process. Take by='fast', or precision='full'."
            )
        if by == "autograd":
            if run.rule.steps:
                raise errors.ConfigError("A run by autograd cannot be resumed: torch's optimiser starts from zero.")
            return ByAutograd(run.model, run.loss, run.penalty, run.rule, clipping=run.clipping)
        if by == "fast" and is_linear(model := run.model):
            mini = run.batch < len(run.train)
            weighted = run.train.sample_weight is not None
            return fast_stepper(
                model, run.loss, run.penalty, run.rule, run.batch, mini, run.precision, weighted, run.clipping
            )
        return ByHand(run.model, run.loss, run.penalty, run.rule, run.clipping)

    def go(self, after_epoch: Callable[[Loop], None] | None = None) -> list[History]:
        """Trains until every run has ended, and returns the histories in the runs' order."""
        journals, start = self.journals, time.perf_counter() - self.at.seconds
        self.model.train()  # dropout and batch normalisation act differently while training
        try:
            self.keep_snapshots(start=True)
            for journal in journals:
                journal.check_ending()  # a resumed run may be at its end already
            self.finish()
            while self.journals:
                self.record(self.run_epoch())
                self.set_time(start)
                if after_epoch is not None:
                    after_epoch(self)
                self.finish()
        except KeyboardInterrupt:
            for journal in self.journals:
                journal.interrupt()
            self.set_time(start)
            self.finish()
        return [journal.history for journal in journals]

    def run_epoch(self) -> list[list[float]]:
        """Takes one pass over the samples. Returns, for each run, the objective of every batch before its step."""
        losses: list[Tensor] = []
        epoch, done = self.at.epoch, 0
        try:
            with closing(self.blocks()) as blocks:
                for features, targets, *weights in blocks:
                    steps = range(done, done + len(targets))
                    rates = [self.rate_at(epoch + step / self.run.steps_per_epoch) for step in steps]
                    losses.append(self.take(features, targets, rates, self.run.size(done), *weights))
                    done += len(steps)
                    for journal in self.journals:
                        journal.progress.step += len(steps)
                    self.keep_snapshots()
        finally:
            self.stepper.write_back()  # also where an interrupt or an error ends the epoch
        for journal in self.journals:
            journal.progress.epoch += 1
        by_run: list[list[float]] = (
            torch.cat(losses).view(done, -1).t().tolist()
        )  # the only place that waits for the device
        return by_run

    def take(
        self, features: Tensor, targets: Tensor, rates: list[Any], size: int, weights: Tensor | None = None
    ) -> Tensor:
        """Takes a block of steps; `size` is the number of samples of each batch."""
        return self.stepper.steps(features, targets, rates, weights)

    def rate_at(self, epoch: float) -> Any:
        """Returns the step size after so many epochs; for a stack, of shape `runs`."""
        return self.run.rate_at(epoch, self.at.rate_factor)

    # ---- batches -----------------------------------------------------------------------------------------------------

    def blocks(self) -> Generator[tuple[Tensor, ...], None, None]:
        """Yields the epoch's batches in blocks: features (steps, samples, features), targets (steps, samples), and
        weights (steps, samples) if the samples have any.

        Each block overwrites the memory of the one before it.
        """
        run = self.run
        if run.batch == len(run.train):
            yield tuple(values.unsqueeze(0) for values in whole(run.train, self.own(run.batch)))
            return
        order = self.order().to(run.train.features.device)
        yield from draw(run.train, cut(order, run.batch, self.block_sizes(), self.own), reuse=True)

    def order(self) -> Tensor:
        """Returns the order of the samples in this epoch, (samples,); (runs, samples) if the runs differ."""
        return permutation(len(self.run.train), self.run.seed, self.at.epoch)

    def own(self, samples: int) -> slice:
        """Returns the slice of a batch that this process reads: all of it, if no other process shares it."""
        return slice(None)

    def block_sizes(self) -> list[int]:
        """Returns the number of steps of each block of the epoch.

        A block ends where a snapshot is due. A smaller last batch has its own block.
        """
        run, step, sizes = self.run, self.at.step, list[int]()
        most = SINGLES if self.stepper.block == run.batch == 1 else self.stepper.block
        left = run.steps_per_epoch if run.steps is None else min(run.steps_per_epoch, run.steps - step)
        alike = len(run.train) // run.batch
        while left > 0:
            size = min(most, left, alike or 1)
            if run.snapshots:
                size = min(size, run.snapshots - step % run.snapshots)
            sizes.append(size)
            left, alike, step = left - size, alike - size, step + size
        return sizes

    # ---- the record --------------------------------------------------------------------------------------------------

    def record(self, losses: list[list[float]]) -> None:
        """Adds the epoch's row to every journal, which decides whether its run ends."""
        rows = self.evaluate() if self.journals[0].is_due() else [None] * len(self.journals)
        for journal, values, row in zip(self.journals, losses, rows, strict=True):
            journal.add(values, row)

    @torch.no_grad()
    def evaluate(self) -> list[dict[str, float]]:
        """Returns, for each run, loss, penalty and metric over the whole training and validation part."""
        run, metric, count = self.run, self.model.metric, len(self.journals)
        penalties = [0.0] * count
        if self.penalty is not None:
            penalties = self.penalty.value(dict(self.model.named_parameters())).expand(count).tolist()
        with evaluating(self.model):
            losses, metrics = self.measure(run.train)
            rows = [
                {"loss": loss, "penalty": penalty, "total": loss + penalty, metric: value}
                for loss, penalty, value in zip(losses, penalties, metrics, strict=True)
            ]
            if run.validation is not None:
                for row, loss, value in zip(rows, *self.measure(run.validation), strict=True):
                    row |= {"validation_loss": loss, f"validation_{metric}": value}
        return rows

    def measure(self, part: Samples) -> tuple[list[float], list[float]]:
        """Returns, for each run, the mean loss and the model's metric over a whole part."""
        scores, targets, weights = self.scores(part), part.targets, part.sample_weight
        assert targets is not None
        losses = self.loss(scores, targets, weights, validate=False)
        metrics = self.model.score_of(scores, targets, weights)
        return losses.reshape(-1).tolist(), metrics.reshape(-1).tolist()

    def scores(self, part: Samples) -> Tensor:
        """Returns the scores of all samples of a part, computed in chunks."""
        return scores_of(self.model, part.features)

    def keep_snapshots(self, start: bool = False) -> None:
        """Keeps the weights of every run if a snapshot is due."""
        every = self.run.snapshots
        if every and (self.at.step == 0 if start else self.at.step % every == 0):
            self.stepper.write_back()
            for journal in self.journals:
                journal.keep_snapshot()

    def set_time(self, start: float) -> None:
        """Sets the seconds of every run."""
        for journal in self.journals:
            journal.progress.seconds = time.perf_counter() - start

    def finish(self) -> None:
        """Closes the journals of the runs that have ended."""
        ended = [journal for journal in self.journals if journal.ending is not None]
        rows: list[Any] = [None] * len(self.journals)
        if any(journal.lacks_evaluation() for journal in ended):
            rows = self.evaluate()
        for journal, row in zip(self.journals, rows, strict=True):
            if journal.ending is not None:
                journal.close(row)
        self.journals = [journal for journal in self.journals if journal.ending is None]


@dataclass
class Descent(Options):
    """The options of a run (see `descend`), and `go`, which trains."""

    loop: Callable[..., Loop] = Loop

    def go(
        self,
        by: str = "fast",
        progress: Progress | None = None,
        after_epoch: Callable[[Progress], None] | None = None,
    ) -> History:
        """Trains from the start, or from `progress`, to the end."""
        if progress is None:
            self.rule.reset()  # the rule may have been used before, and must not keep its velocity
        loop = self.loop(self, by, progress)
        return loop.go(None if after_epoch is None else lambda loop: after_epoch(loop.at))[0]

    def stepper(self, by: str = "fast") -> Stepper:
        """Returns the object that takes the steps."""
        return self.loop(self, by).stepper


def descend(
    model: nn.Module,
    loss: Loss,
    train: Any,
    *,
    rate: float,
    batch_size: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    schedule: Schedule | None = None,
    validation: Any = None,
    tolerance: float | None = None,
    patience: int | None = None,
    evaluate: int = 1,
    snapshots: int | None = None,
    seed: int = 0,
    precision: str = "full",
    clip_norm: float | None = None,
    clip_value: float | None = None,
    by: str = "fast",
    loop: Callable[..., Loop] = Loop,
    after_epoch: Callable[[Progress], None] | None = None,
    progress: Progress | None = None,
) -> History:
    """Trains `model` in place and returns its history.

    Parameters
    ----------
    model : a `Model`, one of `edunn.models` or your own; with by="autograd" any torch module. It is in training mode
        for the steps, in evaluation mode for the evaluations, and is left in evaluation mode.
    loss : of the model's scores
    train : `Samples`, a pair (features, targets), or anything that `Samples` takes; converted to the model's dtype and
        device. Each sample counts with its `sample_weight`
    rate : the step size η in w ← w − η g
    batch_size : None (full), k (mini) or 1 (single). Each epoch has a new order of the samples, which depends only on
        `seed` and the epoch, and is cut into batches; a smaller last batch is kept and divided by its own size.
    epochs, steps : where to stop, whichever comes first; 100 epochs if neither is given. An epoch is one pass over
        the samples.
    penalty, rule, schedule : see those modules; plain gradient descent at a constant rate if not given
    validation : samples that are never trained on, evaluated beside the training part
    tolerance : stop when the objective of the whole training set changes by less than this between two evaluations.
        (A single batch would not be enough: one without errors would end the training.)
    patience : stop when the validation loss has not improved for this many evaluations, and put the best weights back;
        a run that reaches its last epoch before that keeps its last weights
    evaluate : evaluate every this many epochs, and at the end; 0: only at the end
    snapshots : keep the weights every this many steps, the start included
    seed : fixes the order of the samples
    precision : of the products of a step: "full", that of the dtype; "tf32" (CUDA) or "bf16", which a GPU computes
        many times faster and to 3 digits. For a linear model and by="fast". Evaluations are always in full.
    clip_norm, clip_value : bound the gradient of each step, by its norm or entry by entry; see `updates.Clipping`
    by : "hand": every step is `ByHand.step`. "fast": the same steps, restated for speed where the model is linear (see
        `descent.fast`). "autograd": the same run through `torch.autograd` and `torch.optim`.
    loop : another loop, such as `edunn.experiment.share(…)`, which shares the run among several processes
    after_epoch : called with the `Progress` after every epoch, for a progress bar, a checkpoint, or to change
        `penalty.strength` or the rate (`progress.rate_factor`) while training
    progress : the point to continue from, after a whole epoch, with the model and rule of that point

    Returns
    -------
    History : its `status` is finished, converged, stopped, diverged or interrupted. A loss that is not finite ends the
        run without an exception; the message then gives the largest stable rate if it is known.
    """
    train = prepare_part(train, model)
    validation = None if validation is None else prepare_part(validation, model)
    run = Descent(
        cast(Model, model), loss, train,  # `Options` makes any torch module a `Model`
        rate=rate, batch_size=batch_size, epochs=epochs, steps=steps, penalty=penalty,
        rule=rule or GradientDescent(), schedule=schedule or Constant(), validation=validation, tolerance=tolerance,
        patience=patience, evaluate=evaluate, snapshots=snapshots, seed=seed, precision=precision, clip_norm=clip_norm,
        clip_value=clip_value, loop=loop,
    )  # fmt: skip
    return run.go(by, progress, after_epoch)


@torch.no_grad()
def evaluate(model: Model, loss: Loss, part: Samples, chunk: int | None = None) -> tuple[float, float]:
    """Returns the mean loss and the model's metric over a whole part, both weighted if its samples are.

    The scores are computed in chunks of samples.
    """
    part = leave_out(loss, part)
    scores = scores_of(model, part.features, chunk)
    assert part.targets is not None
    weights = part.sample_weight
    value = float(loss(scores, part.targets, weights, validate=False))
    return value, float(model.score_of(scores, part.targets, weights))


def scores_of(model: nn.Module, features: Any, chunk: int | None = None) -> Tensor:
    """Returns the scores of many samples, computed in chunks of samples."""
    return torch.cat([model(some) for some in features.split(chunk or chunk_of(features))])
