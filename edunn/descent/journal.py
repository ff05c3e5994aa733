"""The record of a run: its progress, a row for each epoch, snapshots of its weights, and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from ..history import History
from .options import Options
from .stability import stable_rate


@dataclass
class Progress:
    """The progress of a run. It can be resumed from this, the model's parameters and the rule's state."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0  # multiplies the scheduled rate; `after_epoch` may change it
    rows: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int | None = None
    bad_step: int | None = None  # the number of steps when a loss was first not finite
    best: dict[str, Tensor] = field(default_factory=dict)  # the model's state at the best epoch, with its buffers
    snapshots: list[tuple[int, dict[str, Tensor]]] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """The end of a run: one of `history.STATUSES`, and a sentence."""

    status: str
    message: str


class Journal:
    """The record of one run, kept while it goes and closed when it ends.

    `ending` is None until the run ends; `history` exists once the journal is closed.
    """

    history: History

    def __init__(self, run: Options, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.ending: Ending | None = None

    # ---- while the run goes on ---------------------------------------------------------------------------------------

    def add(self, losses: list[float], evaluation: dict[str, float] | None) -> None:
        """Adds the row of an epoch, remembers the best epoch, and decides whether the run ends here.

        `losses` has the objective of each batch before its step; `evaluation` is None if none is due.
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
        """Returns whether this epoch is evaluated."""
        return bool(self.run.evaluate) and self.progress.epoch % self.run.evaluate == 0

    def keep_snapshot(self) -> None:
        """Keeps a copy of the weights, at most one for each step."""
        at = self.progress
        if not at.snapshots or at.snapshots[-1][0] < at.step:
            weights = {name: p.detach().cpu().clone() for name, p in self.run.model.named_parameters()}
            at.snapshots.append((at.step, weights))

    # ---- the end -----------------------------------------------------------------------------------------------------

    def check_ending(self) -> None:
        """Decides whether the run ends here, and how."""
        diverged = self.check_diverged(self.progress.bad_step)
        self.ending = diverged or self.check_converged() or self.check_stopped() or self.check_finished()

    def interrupt(self) -> None:
        """Ends the run as interrupted, unless it has ended already."""
        epoch = self.progress.epoch
        self.ending = self.ending or Ending("interrupted", f"in epoch {epoch + 1}, after {epoch} whole epochs")

    def check_finished(self) -> Ending | None:
        """Returns the ending if all steps or epochs were run, else None."""
        if self.progress.step >= (self.run.steps or math.inf):
            return Ending("finished", f"all {self.run.steps} steps were run")
        if self.progress.epoch >= (self.run.epochs or 0):
            return Ending("finished", f"all {self.run.epochs} epochs were run")
        return None

    def check_diverged(self, bad_step: int | None) -> Ending | None:
        """Returns the ending, with a better rate, if a loss was not finite after `bad_step` steps, else None."""
        if bad_step is None:
            return None
        epoch, rate = self.progress.epoch, self.run.rate
        steps = f"{bad_step} step{'s' * (bad_step != 1)}"
        message = f"the loss was no longer finite after {steps} (epoch {epoch}) at rate {rate:g}"
        return Ending("diverged", message + self.better_rate())

    def check_growth(self, totals: list[float]) -> Ending | None:
        """Returns the ending "diverged" for a full-batch run above the stable rate whose objective grew, else None."""
        run, at = self.run, self.progress
        stable = self.stable_rate() if run.batch == len(run.train) else None
        if stable is None or run.rate_at(at.epoch, at.rate_factor) <= stable:
            return None
        if len(totals) < 2 or totals[-1] <= totals[0]:
            return None
        message = f"the objective grew from {totals[0]:.4g} to {totals[-1]:.4g} at rate {run.rate:g}"
        return Ending("diverged", message + self.better_rate())

    def check_converged(self) -> Ending | None:
        """Returns the ending if the objective changed by less than the tolerance between two evaluations, else None."""
        run, rows = self.run, self.progress.rows
        if run.tolerance is None or not rows or "total" not in rows[-1]:
            return None
        totals = [row["total"] for row in rows[-1 - run.evaluate :] if "total" in row]
        if len(totals) < 2 or not abs(totals[-1] - totals[-2]) < run.tolerance:
            return None
        change = abs(totals[-1] - totals[-2])
        return Ending("converged", f"the objective changed by {change:.3g}, less than {run.tolerance:g}")

    def check_stopped(self) -> Ending | None:
        """Returns the ending if the validation loss did not improve for `patience` evaluations, else None."""
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
        """Returns the end of a sentence with a better rate; empty if the rate is stable, or no better one is known."""
        rate, stable = self.run.rate, self.stable_rate()
        if stable is None:
            return f"; try rate {rate / 10:g}" if math.isfinite(rate) else ""
        if stable >= rate:
            return ""
        limit = self.run.rule.limit
        return f"; the largest stable rate is {stable:.4g} ({limit} of the Hessian of the whole training set)"

    def stable_rate(self) -> float | None:
        """Returns the largest rate at which full-batch descent converges, or None if it is not known."""
        run = self.run
        return stable_rate(run.model, run.loss, run.train.features, run.penalty, run.rule, run.train.sample_weight)

    def lacks_evaluation(self) -> bool:
        """Returns whether the last row has no evaluation of the whole training set."""
        rows = self.progress.rows
        return bool(rows) and "total" not in rows[-1]

    def close(self, evaluation: dict[str, float] | None) -> None:
        """Makes the history, and sets the model to its final weights and evaluation mode.

        The progress does not change, so that a resumed run evaluates at the same epochs as an unbroken one.
        """
        run, at, ending = self.run, self.progress, self.ending
        assert ending is not None
        if ending.status == "stopped":
            run.model.load_state_dict(at.best)
        run.model.eval()
        rows = [dict(row) for row in at.rows]
        if evaluation is not None and self.lacks_evaluation():
            rows[-1] |= evaluation
            if not math.isfinite(rows[-1]["total"]):  # the last update may have made it overflow
                ending = self.check_diverged(at.bad_step or at.step) or ending
        if ending.status == "finished":
            ending = self.check_growth([row["total"] for row in rows if "total" in row]) or ending
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
