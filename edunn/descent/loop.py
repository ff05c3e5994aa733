"""The loop: epochs of batches, recorded, watched for its end, and resumable after every epoch."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from .. import errors
from ..data import Samples
from ..history import History
from ..losses import Loss
from ..models import MODELS, LinearModel, Model, as_model, evaluating
from ..penalties import Penalty
from ..runtime.crew import Crew, at_work
from ..runtime.devices import permutation
from ..runtime.rows import chunk_of
from ..updates import Constant, GradientDescent, Rule, Schedule
from .batches import check_batch, draw, whole
from .checks import check_hand_gradients, check_options, check_part
from .fast import PRECISIONS, Captured, FastStep, Singles, Thin
from .progress import Ending, Progress
from .stability import stable_rate
from .steppers import ByAutograd, ByHand, Stepper


def descend(
    model: nn.Module,
    loss: Loss,
    train: Samples,
    *,
    rate: float,
    batch_size: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    penalty: Penalty | None = None,
    rule: Rule | None = None,
    schedule: Schedule | None = None,
    validation: Samples | None = None,
    tolerance: float | None = None,
    patience: int | None = None,
    evaluate: int = 1,
    snapshots: int | None = None,
    seed: int = 0,
    precision: str = "full",
    by: str = "hand",
    crew: Crew | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
    progress: Progress | None = None,
) -> History:
    """Trains `model` in place and returns what was recorded.

    Parameters
    ----------
    model : a `Model`, one of `edunn.models` or your own; with by="autograd" any torch module. It is in training mode
        for the steps, in evaluation mode for the evaluations, and is left in evaluation mode.
    loss : of its scores
    train : samples on the model's device and in its dtype
    rate : the step size η in w ← w − η g
    batch_size : None (full), k (mini) or 1 (single). Mini-batches are drawn without replacement, in a new order each
        epoch that depends on `seed` and the epoch alone; the last one, smaller where k does not divide N, is kept and
        divided by its own size.
    epochs, steps : where to stop, whichever comes first; 100 epochs if neither is given. An epoch is one pass over
        the samples.
    penalty, rule, schedule : see those modules; plain gradient descent at a constant rate if not given
    validation : samples that are never trained on, evaluated beside the training part
    tolerance : stop when the objective of the whole training set changes by less than this from one evaluation to the
        next. The loss of a single batch is no stopping rule: any batch without errors would end the training.
    patience : stop when the validation loss has not improved for this many evaluations, and put the best weights back;
        a run that reaches its last epoch before that keeps its last weights
    evaluate : evaluate every this many epochs, and at the end; 0: only at the end
    snapshots : keep the weights every this many steps, the start included
    seed : of the batches' order
    precision : of the products of a step: "full", as the dtype has it; "tf32" (CUDA) or "bf16", which a GPU takes many
        times sooner and to 3 digits. For a linear model, by hand. Evaluations are always in full.
    by : "hand", or "autograd": the same run through `torch.autograd` and `torch.optim`; "plain": by hand, and never by
        the shortcuts of `faststep`
    crew : the processes that share the run (`edunn.runtime.processes`), each of which calls this with the same
        arguments: the result is that of one process, to rounding
    after_epoch : called with the `Progress` after every epoch, for a progress bar, a checkpoint, or to change
        `penalty.strength` or the rate (`progress.rate_factor`) while training
    progress : where to go on from, after a whole epoch, with the model and rule as they were then

    Returns
    -------
    History : its `status` is finished, converged, stopped, diverged or interrupted. A loss that is not finite ends the
        run and is no exception; the message then gives the largest stable rate where it is known.
    """
    run = Descent(
        model, loss, train, rate=rate, batch_size=batch_size, epochs=epochs, steps=steps, penalty=penalty,
        rule=rule or GradientDescent(), schedule=schedule or Constant(), validation=validation, tolerance=tolerance,
        patience=patience, evaluate=evaluate, snapshots=snapshots, seed=seed, precision=precision, crew=crew,
    )  # fmt: skip
    return run.go(by, progress, after_epoch)


@dataclass
class Descent:
    """The options of a run (see `descend`), checked when they are put together, and the loop itself."""

    model: Any  # a torch module; a `Model` once it is checked
    loss: Loss
    train: Samples
    rate: float
    batch_size: int | None = None
    epochs: int | None = None
    steps: int | None = None
    penalty: Penalty | None = None
    rule: Rule = field(default_factory=GradientDescent)
    schedule: Schedule = field(default_factory=Constant)
    validation: Samples | None = None
    tolerance: float | None = None
    patience: int | None = None
    evaluate: int = 1
    snapshots: int | None = None
    seed: int = 0
    precision: str = "full"
    checked: bool = False  # somebody has checked the data already, as for another run on the same
    crew: Crew | None = None  # the processes that share the run

    def __post_init__(self) -> None:
        check_options(self)
        self.model = as_model(self.model, self.loss, self.train.targets)
        if self.precision != "full":
            if not is_linear(self.model):
                kind = type(self.model).__name__
                raise errors.ConfigError(f"Expected a linear model for precision {self.precision!r}; got a {kind}.")
            PRECISIONS[self.precision](self.model.weight)  # refuses a device or dtype that has no such products
        samples = len(self.train)
        self.batch = samples if self.batch_size is None else min(self.batch_size, samples)
        check_batch(self.train, self.batch)
        self.steps_per_epoch = -(-samples // self.batch)
        if self.epochs is None:
            self.epochs = 100 if self.steps is None else -(-self.steps // self.steps_per_epoch)
        # the whole of the data is checked once, here, so that no step of the loop has to wait for a check
        for part in (self.train, self.validation):
            if part is not None and not self.checked:
                check_part(self.model, self.loss, part)

        self.share(self.crew)

    def share(self, crew: Crew | None) -> None:
        """The processes that share the run. One sample cannot be shared: of a batch of one each takes every step, and
        only the evaluations are shared."""
        self.crew = crew
        self.sharing = crew if self.batch > 1 else None

    def go(
        self,
        by: str = "hand",
        progress: Progress | None = None,
        after_epoch: Callable[[Progress], None] | None = None,
    ) -> History:
        """From the start, or from where `progress` stands, to the end."""
        if progress is None:
            self.rule.reset()  # a rule may come from another run, and must not bring its velocity along
        stepper, at = self.stepper(by), progress or Progress()
        self.model.train()  # dropout and batch normalisation act differently while training
        start = time.perf_counter() - at.seconds
        if at.step == 0:
            self.keep_snapshot(at)
        ending = self.ending(at)  # a resumed run may have stood at its end
        with at_work(self.model, self.sharing), contextlib.nullcontext() if self.crew is None else self.crew.watch():
            try:
                while ending is None:
                    losses = self.run_epoch(stepper, at)
                    self.record(at, losses)
                    ending = self.ending(at)
                    at.seconds = time.perf_counter() - start
                    if after_epoch is not None:
                        after_epoch(at)
                    if self.crew is not None and ending is None:
                        self.crew.heed()
            except KeyboardInterrupt:
                ending = Ending("interrupted", f"in epoch {at.epoch + 1}, after {at.epoch} whole epochs")
        assert ending is not None
        if ending.status == "stopped":
            restore(self.model, at.best)
        self.model.eval()  # from here on it is used
        at.seconds = time.perf_counter() - start
        return self.history(at, ending)

    def stepper(self, by: str) -> Stepper | Singles:
        """Who takes the steps. By hand, a linear model has quicker ones that come to the same."""
        if by != "autograd" and not self.checked:
            check_hand_gradients(self.model, self.loss, self.train)
        if self.precision != "full" and (by != "hand" or self.sharing is not None):
            raise errors.ConfigError(
                f"Expected by='hand' in one process for precision {self.precision!r}: the readable loop and autograd "
                f"are for full precision."
            )
        if by == "hand" and self.sharing is None and is_linear(self.model):
            if self.batch == 1 and self.precision == "full" and Singles.applies(self.model, self.penalty, self.rule):
                return Singles(self.model, self.loss, self.penalty, self.rule)
            if self.precision == "full" and Thin.applies(self.model, self.penalty, self.rule):
                return Thin(self.model, self.loss, self.penalty, self.rule)
            one = FastStep(self.model, self.loss, self.penalty, self.rule, self.precision)
            return Captured(one) if self.batch < len(self.train) and Captured.applies(one, self.batch) else one
        if by in ("hand", "plain"):
            return ByHand(self.model, self.loss, self.penalty, self.rule, self.sharing)
        if by == "autograd" and self.crew is not None:
            raise errors.ConfigError("Expected by='hand' for a run of several processes; torch's optimiser has one.")
        if by == "autograd" and self.rule.steps:
            raise errors.ConfigError("Expected by='hand' to go on with a run: torch's optimiser would start afresh.")
        if by == "autograd":
            return ByAutograd(self.model, self.loss, self.penalty, self.rule)
        raise errors.ConfigError(f"Expected by='hand', 'plain' or 'autograd'; got {by!r}.")

    def ending(self, at: Progress) -> Ending | None:
        """Whether the run ends here, and how: asked after every epoch."""
        return (
            self.diverged(at)
            or self.converged(at)
            or self.stopped(at)
            or (Ending("finished", f"all {self.steps} steps were run") if at.step >= (self.steps or math.inf) else None)
            or (Ending("finished", f"all {self.epochs} epochs were run") if at.epoch >= (self.epochs or 0) else None)
        )

    def run_epoch(self, stepper: Stepper | Singles, at: Progress) -> list[float]:
        """One pass over the samples; returns the objective of each batch as it was met."""
        if isinstance(stepper, Singles) or (isinstance(stepper, Captured) and self.batch == 1):
            return self.run_singles(stepper, at)
        losses: list[Tensor] = []
        try:
            with closing(self.batches(at.epoch, reuse=True)) as batches:
                for features, targets in batches:
                    if self.sharing is not None:
                        self.sharing.meet(self.size(len(losses)))
                    epoch = at.epoch + len(losses) / self.steps_per_epoch
                    losses.append(stepper.step(features, targets, self.rate_at(epoch, at)))
                    at.step += 1
                    if self.snapshots and at.step % self.snapshots == 0:
                        stepper.settle()
                        self.keep_snapshot(at)
                    if at.step == self.steps:
                        break
        finally:
            stepper.settle()  # also where an interrupt or an error ends the epoch: the model is looked at afterwards
        at.epoch += 1
        return torch.stack(losses).tolist()  # the one place where the device is waited for

    def run_singles(self, stepper: Singles | Captured, at: Progress) -> list[float]:
        """The same pass in blocks of steps on one sample each; a block ends where a snapshot is due."""
        features, targets = self.train.features, self.train.targets
        assert targets is not None
        order = permutation(len(self.train), self.seed, at.epoch).to(features.device)
        last = len(order) if self.steps is None else min(len(order), self.steps - at.step)
        losses: list[Tensor] = []
        start = 0
        while start < last:
            size = min(stepper.block, last - start)
            if self.snapshots:
                size = min(size, self.snapshots - at.step % self.snapshots)
            met = range(start, start + size)
            rates = [self.rate_at(at.epoch + step / self.steps_per_epoch, at) for step in met]
            index = order[start : start + size]
            losses.append(stepper.steps(features.index_select(0, index), targets.index_select(0, index), rates))
            start += size
            at.step += size
            if self.snapshots and at.step % self.snapshots == 0:
                self.keep_snapshot(at)
        at.epoch += 1
        return torch.cat(losses).tolist()

    def rate_at(self, epoch: float, at: Progress) -> float:
        """The step size after so many epochs, whole ones or parts."""
        return self.rate * self.schedule(epoch, self.epochs or 1) * at.rate_factor

    def size(self, index: int) -> int:
        """The samples of batch `index` of an epoch: the last one may be smaller."""
        return min(self.batch, len(self.train) - index * self.batch)

    def batches(self, epoch: int, reuse: bool = False) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches of an epoch: slices of a fresh order of the samples; all of them as they lie for a full batch.

        `reuse` gathers them all into the same memory, so that a batch lasts until the next one is asked for. Of a batch
        that is shared, these are the rows of this process.
        """
        if self.batch == len(self.train):
            yield whole(self.train if self.sharing is None else self.train[self.sharing.part(self.batch)])
            return
        indices = permutation(len(self.train), self.seed, epoch).to(self.train.features.device).split(self.batch)
        if self.sharing is not None:
            indices = tuple(index[self.sharing.part(len(index))] for index in indices)
        yield from draw(self.train, indices, reuse)

    def record(self, at: Progress, losses: list[float], evaluation: dict[str, float] | None = None) -> None:
        """Adds the epoch's row, and notes the best epoch so far; `evaluation` where somebody has made it."""
        row = (evaluation or self.evaluation()) if self.is_due(at) else {}
        if self.crew is not None:  # every process decides by the same numbers, also on machines that round differently
            numbers = self.crew.agreed([*losses, *row.values()])
            losses, row = numbers[: len(losses)], dict(zip(row, numbers[len(losses) :], strict=True))
        sizes = [self.size(index) for index in range(len(losses))]
        running = sum(size * value for size, value in zip(sizes, losses, strict=True)) / sum(sizes)
        row = {"epoch": at.epoch, "step": at.step, "rate": self.rate_at(at.epoch - 1, at), "running": running} | row
        at.rows.append(row)
        finite = [math.isfinite(value) for value in (*losses, row.get("total", 0.0))]
        if not all(finite):
            at.bad_step = min(at.step, at.step - len(losses) + finite.index(False))
        if row.get("validation_loss", math.inf) < at.best_loss:
            at.best_loss, at.best_epoch = row["validation_loss"], at.epoch
            if self.patience is not None:
                at.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def is_due(self, at: Progress) -> bool:
        """Whether this epoch is one that is evaluated."""
        return bool(self.evaluate) and at.epoch % self.evaluate == 0

    @torch.no_grad()
    def evaluation(self) -> dict[str, float]:
        """The whole training and validation part, with the weights as they are now."""
        with evaluating(self.model):
            data, metric = evaluate(self.model, self.loss, self.train, self.crew)
        penalty = 0.0
        if self.penalty is not None:
            penalty = float(self.penalty.value(dict(self.model.named_parameters())))
        row = {"loss": data, "penalty": penalty, "total": data + penalty, self.model.metric: metric}
        if self.validation is not None:
            with evaluating(self.model):
                data, metric = evaluate(self.model, self.loss, self.validation, self.crew)
            row |= {"validation_loss": data, f"validation_{self.model.metric}": metric}
        return row

    def diverged(self, at: Progress) -> Ending | None:
        """A loss that was not finite, after how many steps it was met, and what rate would have served."""
        if at.bad_step is None:
            return None
        steps = f"{at.bad_step} step{'s' * (at.bad_step != 1)}"
        message = f"the loss was no longer finite after {steps} (epoch {at.epoch}) at rate {self.rate:g}"
        return Ending("diverged", message + self.better_rate())

    def grown(self, at: Progress, rows: list[dict[str, float]]) -> Ending | None:
        """A full-batch run that ended before it overflowed, but was on its way: above the stable rate, and uphill."""
        stable = self.stable_rate() if self.batch == len(self.train) else None
        totals = [row["total"] for row in rows if "total" in row]
        if stable is None or self.rate_at(at.epoch, at) <= stable or len(totals) < 2 or totals[-1] <= totals[0]:
            return None
        message = f"the objective grew from {totals[0]:.4g} to {totals[-1]:.4g} at rate {self.rate:g}"
        return Ending("diverged", message + self.better_rate())

    def better_rate(self) -> str:
        """What to try instead."""
        stable = self.stable_rate()
        if stable is None:
            return f"; try rate {self.rate / 10:g}" if math.isfinite(self.rate) else ""
        if stable >= self.rate:
            return ""
        return f"; the largest stable rate is {stable:.4g} ({self.rule.limit} of the Hessian of the whole training set)"

    def converged(self, at: Progress) -> Ending | None:
        """The objective of the whole training set changed by less than the tolerance between two evaluations."""
        if self.tolerance is None or not at.rows or "total" not in at.rows[-1]:
            return None
        totals = [row["total"] for row in at.rows[-1 - self.evaluate :] if "total" in row]
        if len(totals) < 2 or not abs(totals[-1] - totals[-2]) < self.tolerance:
            return None
        change = abs(totals[-1] - totals[-2])
        return Ending("converged", f"the objective changed by {change:.3g}, less than {self.tolerance:g}")

    def stopped(self, at: Progress) -> Ending | None:
        """The validation loss did not improve for `patience` evaluations."""
        if self.patience is None or at.best_epoch is None or self.evaluate == 0:
            return None
        waited = (at.epoch - at.best_epoch) // self.evaluate
        if waited < self.patience:
            return None
        return Ending(
            "stopped",
            f"the validation loss did not improve for {waited} evaluations; "
            f"the weights of epoch {at.best_epoch} were put back",
        )

    def keep_snapshot(self, at: Progress) -> None:
        if self.snapshots and (not at.snapshots or at.snapshots[-1][0] < at.step):
            weights = {name: p.detach().cpu().clone() for name, p in self.model.named_parameters()}
            at.snapshots.append((at.step, weights))

    def stable_rate(self) -> float | None:
        return stable_rate(self.model, self.loss, self.train.features, self.penalty, self.rule)

    def history(self, at: Progress, ending: Ending, evaluation: dict[str, float] | None = None) -> History:
        rows = [dict(row) for row in at.rows]
        if rows and "total" not in rows[-1]:
            rows[-1] |= evaluation or self.evaluation()
            if not math.isfinite(rows[-1]["total"]):  # the last update may be the one too many
                ending = self.diverged(replace(at, bad_step=at.bad_step or at.step)) or ending
        if ending.status == "finished":
            ending = self.grown(at, rows) or ending
        return History(
            rows=tuple(rows),
            status=ending.status,
            message=ending.message,
            steps=at.step,
            seconds=at.seconds,
            metric=self.model.metric,
            stable_rate=self.stable_rate() if ending.status == "diverged" else None,
            best_epoch=at.best_epoch,
            snapshots=tuple(at.snapshots),
        )


def is_linear(model: nn.Module) -> bool:
    """One of the package's linear models as it is, with no verb of its own, and no stack of runs."""
    return type(model) in MODELS.values() and isinstance(model, LinearModel) and model.weight.ndim == 2


@torch.no_grad()
def evaluate(
    model: Model, loss: Loss, part: Samples, crew: Crew | None = None, chunk: int | None = None
) -> tuple[float, float]:
    """The mean loss and the model's metric over a whole part, its scores computed in chunks of samples.

    The processes of a crew compute the scores of their own rows and put them together: what is made of the scores
    stands here once.
    """
    features = part.features if crew is None else part.features[crew.part(len(part))]
    scores = torch.cat([model(rows) for rows in features.split(chunk or chunk_of(features))])
    if crew is not None:
        scores = crew.gathered(scores, len(part))
    assert part.targets is not None
    return float(loss(scores, part.targets, validate=False)), float(model.score_of(scores, part.targets))


def restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts parameters and running statistics back in place."""
    model.load_state_dict(state)
