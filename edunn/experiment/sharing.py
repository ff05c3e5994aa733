"""Trains one run on several processes, which share each batch.

Every process draws the same order of the samples and reads its own rows of each batch. With n_r of the n samples,
process r has the mean loss over its rows; weighted by its share n_r / n, the means of all processes add up to the mean
over the batch. So do the gradients, which are linear in it. All processes then take the same step.

    edunn.descend(model, loss, samples, rate=0.1, loop=share(edunn.runtime.processes.ranks()))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..data import Samples
from ..descent import ByHand, Loop, Options, Progress, Stepper, scores_of
from ..errors import ConfigError
from ..history import History
from ..penalties import add_penalty, constrain
from ..runtime.processes import OneProcess, Processes
from ..runtime.shared_batch import share_batches


def share(ranks: OneProcess) -> Callable[..., Loop]:
    """Returns the loop of a run that these processes share, for `descend(…, loop=…)`. Each of them calls it.

    The result is that of one process, to rounding.
    """
    return partial(SharedLoop, ranks) if isinstance(ranks, Processes) else Loop


class SharedStep(ByHand):
    """`ByHand` on the rows of this process, which sums value and gradients over the processes."""

    def __init__(self, ranks: Processes, run: Options) -> None:
        super().__init__(run.model, run.loss, run.penalty, run.rule, run.clipping)
        self.ranks = ranks

    @torch.no_grad()
    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        share = self.share_of(weights)
        if share is None:
            return features.new_zeros(())
        parameters = dict(self.model.named_parameters())
        scores = self.model(features)
        value = weigh(self.loss(scores, targets, weights, validate=False), share)
        upstream = weigh(self.loss.gradient(scores, targets, weights, validate=False), share)
        value, gradients = self.ranks.reduce(value, self.model.gradients(features, upstream))
        if self.penalty is not None:
            value = value + self.penalty.value(parameters)
            add_penalty(gradients, self.penalty, parameters)
        if self.clipping is not None:
            gradients = self.clipping.clip(gradients)
        self.rule.step(parameters, gradients, rate)
        constrain(self.penalty, parameters, rate)
        return value

    def share_of(self, weights: Tensor | None) -> float | None:
        """Returns the fraction of the batch that this process has, by samples or by Σ w; None for an empty batch."""
        if weights is None:
            return self.ranks.share
        own = float(weights.double().sum())
        total = float(self.ranks.total(torch.tensor([own], dtype=torch.float64, device=weights.device)))
        return own / total if total else None


def weigh(mean: Tensor, share: float) -> Tensor:
    """Returns a mean over this process's rows times its share of the batch; 0 if it has no rows."""
    return mean * share if share else torch.zeros_like(mean)


class SharedLoop(Loop):
    """`Loop` on several processes. One sample cannot be shared: with a batch of one, each process takes every step, and
    only the evaluations are shared."""

    def __init__(self, ranks: Processes, run: Options, by: str = "fast", progress: Progress | None = None) -> None:
        self.ranks, self.sharing = ranks, run.batch > 1
        super().__init__(run, by, progress)

    def make_stepper(self, by: str) -> Stepper:
        if by == "autograd":
            raise ConfigError("A run of several processes is by='fast' or by='hand': torch's optimiser knows one only.")
        stepper = super().make_stepper(by)
        if not self.sharing:
            return stepper
        if self.run.precision != "full":
            raise ConfigError(f"Precision {self.run.precision!r} is for one process; several compute in full.")
        return SharedStep(self.ranks, self.run)

    def go(self, after_epoch: Callable[[Loop], None] | None = None) -> list[History]:
        def then(loop: Loop) -> None:
            if after_epoch is not None:
                after_epoch(loop)
            if loop.journals[0].ending is None:
                self.ranks.check_interrupt()

        with share_batches(self.model, self.ranks if self.sharing else None), self.ranks.delay_interrupts():
            return super().go(then)

    def own(self, samples: int) -> slice:
        return self.ranks.part(samples) if self.sharing else super().own(samples)

    def take(
        self, features: Tensor, targets: Tensor, rates: list[Any], size: int, weights: Tensor | None = None
    ) -> Tensor:
        self.ranks.begin_batch(size)
        return super().take(features, targets, rates, size, weights)

    # every process decides by the numbers of rank 0, also on machines that round differently

    def run_epoch(self) -> list[list[float]]:
        return [self.ranks.agree(losses) for losses in super().run_epoch()]

    def evaluate(self) -> list[dict[str, float]]:
        return [dict(zip(row, self.ranks.agree([*row.values()]), strict=True)) for row in super().evaluate()]

    def scores(self, part: Samples) -> Tensor:
        """Returns the scores of all samples of a part; each process computes those of its own rows."""
        own = scores_of(self.model, part.features[self.ranks.part(len(part))])
        return self.ranks.gather(own, len(part))
