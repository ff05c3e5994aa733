"""Faster training steps for linear models, tested against `descent.ByHand`."""

from .choice import fast_stepper, is_linear
from .cuda_graph import CudaGraphSteps
from .few_outputs import FewOutputsStep
from .precisions import PRECISIONS
from .single_samples import SingleSampleSteps
from .step import FastStep, value_and_upstream

__all__ = [
    "PRECISIONS",
    "CudaGraphSteps",
    "FastStep",
    "FewOutputsStep",
    "SingleSampleSteps",
    "fast_stepper",
    "is_linear",
    "value_and_upstream",
]
