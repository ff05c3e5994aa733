"""What a run records: where it is, a row an epoch, snapshots of its weights, and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from ..history import History
from .options import Options
from .stability import stable_rate


@dataclass
class Progress:
    """Where a run is. With the model's parameters and the rule's state, all that is needed to go on."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0  # on the scheduled rate; `after_epoch` may change it, and the next step takes it
    rows: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int | None = None
    bad_step: int | None = None  # the steps taken when a loss was first not finite
    best: dict[str, Tensor] = field(default_factory=dict)  # the model's state at the best epoch, with its buffers
    snapshots: list[tuple[int, dict[str, Tensor]]] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """How a run ended: one of `history.STATUSES`, and a sentence."""

    status: str
    message: str


class Journal:
    """The record of one run, kept while it goes and closed when it ends.

    `ending` is None while the run goes on; `history` is there once the journal is closed.
    """

    history: History

    def __init__(self, run: Options, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.ending: Ending | None = None

    # ---- while the run goes on ---------------------------------------------------------------------------------------

    def add(self, losses: list[float], evaluation: dict[str, float] | None) -> None:
        """Adds the row of an epoch, remembers the best epoch, and decides whether the run ends here.

        `losses` has the objective of each batch before its step; `evaluation` is None where none is due.
        """
        run, at = self.run, self.progress
        masses = run.masses(at.epoch - 1)[: len(losses)]
        # a batch whose weights are all 0 took no step, and counts nothing
        running = sum(mass * value for mass, value in zip(masses, losses, strict=True)) / (sum(masses) or 1.0)
        rate = run.rate_at(at.epoch - 1, at.rate_factor)
        row = {"epoch": at.epoch, "step": at.step, "rate": rate, "running": running} | (evaluation or {})
        at.rows.append(row)
        finite = [math.isfinite(value) for value in (*losses, row.get("total", 0.0))]
        if not all(finite):
            at.bad_step = min(at.step, at.step - len(losses) + finite.index(False))
        if row.get("validation_loss", math.inf) < at.best_loss:
            at.best_loss, at.best_epoch = row["validation_loss"], at.epoch
            if run.patience is not None:
                at.best = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
        self.check_ending()

    def is_due(self) -> bool:
        """Whether the epoch is one that is evaluated."""
        return bool(self.run.evaluate) and self.progress.epoch % self.run.evaluate == 0

    def keep_snapshot(self) -> None:
        """Keeps a copy of the weights, once a step."""
        at = self.progress
        if not at.snapshots or at.snapshots[-1][0] < at.step:
            weights = {name: p.detach().cpu().clone() for name, p in self.run.model.named_parameters()}
            at.snapshots.append((at.step, weights))

    # ---- the end -----------------------------------------------------------------------------------------------------

    def check_ending(self) -> None:
        """Decides whether the run ends here, and how."""
        self.ending = self.diverged(self.progress.bad_step) or self.converged() or self.stopped() or self.finished()

    def interrupt(self) -> None:
        """Ends a run that had not ended by itself."""
        epoch = self.progress.epoch
        self.ending = self.ending or Ending("interrupted", f"in epoch {epoch + 1}, after {epoch} whole epochs")

    def finished(self) -> Ending | None:
        """All steps or epochs were run."""
        if self.progress.step >= (self.run.steps or math.inf):
            return Ending("finished", f"all {self.run.steps} steps were run")
        if self.progress.epoch >= (self.run.epochs or 0):
            return Ending("finished", f"all {self.run.epochs} epochs were run")
        return None

    def diverged(self, bad_step: int | None) -> Ending | None:
        """A loss was not finite: after how many steps, and which rate would do."""
        if bad_step is None:
            return None
        epoch, rate = self.progress.epoch, self.run.rate
        steps = f"{bad_step} step{'s' * (bad_step != 1)}"
        message = f"the loss was no longer finite after {steps} (epoch {epoch}) at rate {rate:g}"
        return Ending("diverged", message + self.better_rate())

    def grown(self, totals: list[float]) -> Ending | None:
        """A full-batch run ended before it overflowed, but was on its way: above the stable rate, and uphill."""
        run, at = self.run, self.progress
        stable = self.stable_rate() if run.batch == len(run.train) else None
        if stable is None or run.rate_at(at.epoch, at.rate_factor) <= stable:
            return None
        if len(totals) < 2 or totals[-1] <= totals[0]:
            return None
        message = f"the objective grew from {totals[0]:.4g} to {totals[-1]:.4g} at rate {run.rate:g}"
        return Ending("diverged", message + self.better_rate())

    def converged(self) -> Ending | None:
        """The objective of the whole training set changed by less than the tolerance between two evaluations."""
        run, rows = self.run, self.progress.rows
        if run.tolerance is None or not rows or "total" not in rows[-1]:
            return None
        totals = [row["total"] for row in rows[-1 - run.evaluate :] if "total" in row]
        if len(totals) < 2 or not abs(totals[-1] - totals[-2]) < run.tolerance:
            return None
        change = abs(totals[-1] - totals[-2])
        return Ending("converged", f"the objective changed by {change:.3g}, less than {run.tolerance:g}")

    def stopped(self) -> Ending | None:
        """The validation loss did not improve for `patience` evaluations."""
        run, at = self.run, self.progress
        if run.patience is None or at.best_epoch is None or run.evaluate == 0:
            return None
        waited = (at.epoch - at.best_epoch) // run.evaluate
        if waited < run.patience:
            return None
        return Ending(
            "stopped",
            f"the validation loss did not improve for {waited} evaluations; "
            f"the weights of epoch {at.best_epoch} were put back",
        )

    def better_rate(self) -> str:
        """What to try instead of the rate, as the end of a sentence."""
        rate, stable = self.run.rate, self.stable_rate()
        if stable is None:
            return f"; try rate {rate / 10:g}" if math.isfinite(rate) else ""
        if stable >= rate:
            return ""
        limit = self.run.rule.limit
        return f"; the largest stable rate is {stable:.4g} ({limit} of the Hessian of the whole training set)"

    def stable_rate(self) -> float | None:
        """The largest rate at which full-batch descent converges, where it is known."""
        run = self.run
        return stable_rate(run.model, run.loss, run.train.features, run.penalty, run.rule, run.train.sample_weight)

    def lacks_evaluation(self) -> bool:
        """Whether the last row tells nothing of the whole training set."""
        rows = self.progress.rows
        return bool(rows) and "total" not in rows[-1]

    def close(self, evaluation: dict[str, float] | None) -> None:
        """Writes the history, and leaves the model as it is to be used.

        The progress stays as it is: a run that goes on from it evaluates where an unbroken one does.
        """
        run, at, ending = self.run, self.progress, self.ending
        assert ending is not None
        if ending.status == "stopped":
            run.model.load_state_dict(at.best)
        run.model.eval()
        rows = [dict(row) for row in at.rows]
        if evaluation is not None and self.lacks_evaluation():
            rows[-1] |= evaluation
            if not math.isfinite(rows[-1]["total"]):  # the last update may be the one too many
                ending = self.diverged(at.bad_step or at.step) or ending
        if ending.status == "finished":
            ending = self.grown([row["total"] for row in rows if "total" in row]) or ending
        self.history = History(
            rows=tuple(rows),
            status=ending.status,
            message=ending.message,
            steps=at.step,
            seconds=at.seconds,
            metric=run.model.metric,
            stable_rate=self.stable_rate() if ending.status == "diverged" else None,
            best_epoch=at.best_epoch,
            snapshots=tuple(at.snapshots),
        )
