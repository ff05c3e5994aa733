"""Runs blocks of training steps as one CUDA graph.

Launching the twenty kernels of a step from Python takes longer than running them, so a block of `FastStep`'s steps is
recorded once and replayed. Batches and rates are copied into the recording's fixed memory before each replay, and the
objectives out of it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..steppers import Stepper
from .step import FastStep

BLOCK = 16  # steps to a launch
LARGEST = 256 << 20  # bytes of a block's batches; with larger ones a step runs longer than its launch takes


class CudaGraphSteps(Stepper):
    """`FastStep` in blocks, each replayed as one CUDA graph. A block that is not full runs step by step."""

    block = BLOCK

    def __init__(self, one: FastStep) -> None:
        self.one = one
        self.play: Callable[[], None] | None = None
        self.strength: object = None  # of the penalty, when the block was recorded
        self.features: Tensor | None = None  # these four are the block's fixed memory
        self.targets: Tensor
        self.rates: Tensor
        self.values: Tensor

    @staticmethod
    def applies(one: FastStep, batch: int) -> bool:
        """Returns whether a recording can repeat a step (not Adam's, which counts steps), and a block of batches of
        this size is small enough to gain from it."""
        row = one.weight.shape[-1] * one.weight.element_size()
        return one.weight.is_cuda and one.folds and BLOCK * batch * row <= LARGEST

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor, weights: Tensor | None = None) -> Tensor:
        """Takes one step on one batch, without recording."""
        return self.one.step(features, targets, rate, weights)

    def steps(
        self, features: Tensor, targets: Tensor, rates: Sequence[float | Tensor], weights: Tensor | None = None
    ) -> Tensor:
        """Takes one step on each batch in turn. Returns the objective before each, (steps, *runs)."""
        if weights is not None:
            return super().steps(features, targets, rates, weights)
        if self.features is None:
            self.allocate(features, targets, rates[0])
        assert self.features is not None
        if len(rates) < self.block or features.shape != self.features.shape:
            return super().steps(features, targets, rates)
        self.features.copy_(features)
        self.targets.copy_(targets)
        self.replay(rates)
        return self.values.clone()

    def replay(self, rates: Sequence[float | Tensor]) -> None:
        """Takes the steps of a full block, whose batches are copied already."""
        count = self.one.rule.steps + self.block
        strength = None if self.one.penalty is None else self.one.penalty.strength
        if self.play is None or self.strength is not strength:
            self.play, self.strength = self.record(), strength
        if isinstance(rates[0], Tensor):
            torch.stack([torch.as_tensor(rate) for rate in rates], out=self.rates)
        else:
            # pinned: a copy from ordinary memory would wait for the device to finish the block before
            numbers = torch.tensor(rates, dtype=self.rates.dtype, pin_memory=self.rates.is_cuda)
            self.rates.copy_(numbers, non_blocking=True)
        self.play()
        self.one.rule.steps = count  # the steps of a recording do not count, and a replay does not count its own

    def allocate(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> None:
        """Allocates memory for a block of batches and rates of these shapes."""
        self.features = features.new_empty(self.block, *features.shape[1:])
        self.targets = targets.new_empty(self.block, *targets.shape[1:])
        self.rates = self.one.weight.new_empty(self.block, *(rate.shape if isinstance(rate, Tensor) else ()))
        self.values = self.one.weight.new_empty(self.block, *self.one.runs)

    def take_block(self) -> None:
        """Takes the block's steps on its fixed memory."""
        assert self.features is not None
        for slot in range(self.block):
            self.values[slot] = self.one.step(self.features[slot], self.targets[slot], self.rates[slot])

    def record(self) -> Callable[[], None]:
        """Returns a function that runs the block: a recorded graph, or on a CPU the plain steps."""
        if not self.one.weight.is_cuda:
            return self.take_block
        with torch.cuda.device(self.one.weight.device):  # a stream of another device records nothing
            return self.capture()

    def capture(self) -> Callable[[], None]:
        """Records the block as a graph of the current device. Weights and the rule's state do not change."""
        rule, parameters = self.one.rule, self.one.parameters
        weights = {name: parameter.clone() for name, parameter in parameters.items()}
        states = {name: {key: tensor.clone() for key, tensor in held.items()} for name, held in rule.state.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.take_block()  # a run beforehand, so that libraries and buffers have allocated their memory
        torch.cuda.current_stream().wait_stream(stream)
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
        for name, held in rule.state.items():
            for key, tensor in held.items():
                before = states.get(name, {}).get(key)
                tensor.zero_() if before is None else tensor.copy_(before)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self.take_block()
        return graph.replay
