"""Chooses the fastest implementation of the step for a run."""

from __future__ import annotations

from typing import TypeGuard

from torch import nn

from ...losses import Loss
from ...models import MODELS, LinearModel
from ...penalties import Penalty
from ...updates import Clipping, Rule
from ..steppers import Stepper
from .cuda_graph import CudaGraphSteps
from .few_outputs import FewOutputsStep
from .single_samples import SingleSampleSteps
from .step import FastStep


def is_linear(model: nn.Module) -> TypeGuard[LinearModel]:
    """Returns whether a model is one of the package's linear models, not a subclass, and of one run."""
    return type(model) in MODELS.values() and isinstance(model, LinearModel) and model.weight.ndim == 2


def fast_stepper(
    model: LinearModel,
    loss: Loss,
    penalty: Penalty | None,
    rule: Rule,
    batch: int,
    mini: bool,
    precision: str = "full",
    weighted: bool = False,
    clipping: Clipping | None = None,
) -> Stepper:
    """Returns the fastest steps for a linear model. With weights or clipping that is `FastStep`.

    Parameters
    ----------
    batch : the samples of a step; for a stack whose runs have different batches, those of all runs
    mini : whether a batch has less than all samples
    """
    if weighted or clipping is not None:
        return FastStep(model, loss, penalty, rule, precision, clipping)
    if precision == "full" and model.weight.ndim == 2:
        if batch == 1 and SingleSampleSteps.applies(model, penalty, rule):
            return SingleSampleSteps(model, loss, penalty, rule)
        if FewOutputsStep.applies(model, penalty, rule):
            return FewOutputsStep(model, loss, penalty, rule)
    one = FastStep(model, loss, penalty, rule, precision)
    return CudaGraphSteps(one) if mini and CudaGraphSteps.applies(one, batch) else one
