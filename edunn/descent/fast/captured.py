"""Blocks of steps as one CUDA graph: a GPU takes some twenty kernels a step sooner than Python can ask for them.

The steps are `FastStep`'s own, recorded once and played again. What a recording cannot hold is laid into fixed memory
before it plays, the batches and the rates, and the objectives are taken out of it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .step import FastStep

BLOCK = 16  # steps to a launch
LARGEST = 256 << 20  # bytes of a block's batches; a step on larger ones takes the GPU longer than Python takes to ask


class Captured:
    """`FastStep`, a block at a time: a step is only noted, and taken when the block is full or at `settle`.

    The objectives handed out are filled in by then; nothing may be read from them, or from the model, before.
    """

    block = BLOCK

    def __init__(self, one: FastStep) -> None:
        self.one = one
        self.play: Callable[[], None] | None = None
        self.strength: object = None  # of the penalty, as it was recorded
        self.waiting: list[float | Tensor] = []  # the rates of the steps noted so far
        self.handed: Tensor  # the objectives of the block, which whoever asked for the steps holds already
        self.features: Tensor | None = None  # these four are the block's fixed memory
        self.targets: Tensor
        self.rates: Tensor
        self.values: Tensor

    @staticmethod
    def applies(one: FastStep, batch: int) -> bool:
        """Whether a step does nothing that a recording cannot repeat, as Adam's count of the steps, and a block of
        batches, of so many samples each, is worth its memory."""
        row = one.weight.shape[-1] * one.weight.element_size()
        return one.weight.is_cuda and one.folds and BLOCK * batch * row <= LARGEST

    def step(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
        """Notes a step. A batch of another shape than the first one's, as an epoch's last, is taken at once."""
        if self.features is None:
            self.prepare(features, targets, rate)
        assert self.features is not None
        if features.shape != self.features.shape[1:]:
            self.settle()
            return self.one.step(features, targets, rate)
        slot = len(self.waiting)
        if slot == 0:
            self.handed = torch.empty_like(self.values)
        self.features[slot].copy_(features)
        self.targets[slot].copy_(targets)
        self.waiting.append(rate)
        if len(self.waiting) == self.block:
            self.replay()
        return self.handed[slot]

    def steps(self, features: Tensor, targets: Tensor, rates: Sequence[float]) -> Tensor:
        """A step on each sample in turn; the objective before each, (samples,)."""
        if self.features is None:
            self.prepare(features[:1], targets[:1], rates[0])
        assert self.features is not None
        if len(rates) < self.block:
            each = zip(features.split(1), targets.split(1), rates, strict=True)
            values = [self.step(x, y, rate) for x, y, rate in each]
            self.settle()
            return torch.stack(values)
        self.handed = torch.empty_like(self.values)
        self.features.copy_(features.view_as(self.features))
        self.targets.copy_(targets.view_as(self.targets))
        self.waiting = list(rates)
        self.replay()
        return self.handed

    def settle(self) -> None:
        """Takes the steps that wait in a block that is not full, one by one."""
        waiting, self.waiting = self.waiting, []  # first, so that an interrupt in here makes no step be taken twice
        for slot, rate in enumerate(waiting):
            assert self.features is not None
            self.handed[slot] = self.one.step(self.features[slot], self.targets[slot], rate)
        self.one.settle()

    def replay(self) -> None:
        """Takes the steps of a full block."""
        count = self.one.rule.steps + self.block
        strength = None if self.one.penalty is None else self.one.penalty.strength
        if self.play is None or self.strength is not strength:
            self.play, self.strength = self.record(), strength
        waiting, self.waiting = self.waiting, []
        if isinstance(waiting[0], Tensor):
            torch.stack([torch.as_tensor(rate) for rate in waiting], out=self.rates)
        else:
            # pinned, for a copy of ordinary memory would wait until the device has taken the block before
            rates = torch.tensor(waiting, dtype=self.rates.dtype, pin_memory=self.rates.is_cuda)
            self.rates.copy_(rates, non_blocking=True)
        self.play()
        self.one.rule.steps = count  # the steps of a recording do not count, and those of a replay are not counted
        self.handed.copy_(self.values)

    def prepare(self, features: Tensor, targets: Tensor, rate: float | Tensor) -> None:
        """Memory for a block of batches and rates like these."""
        self.features = features.new_empty(self.block, *features.shape)
        self.targets = targets.new_empty(self.block, *targets.shape)
        self.rates = self.one.weight.new_empty(self.block, *(rate.shape if isinstance(rate, Tensor) else ()))
        self.values = self.one.weight.new_empty(self.block, *self.one.runs)

    def take_all(self) -> None:
        """The block's steps, out of its memory and into it."""
        assert self.features is not None
        for slot in range(self.block):
            self.values[slot] = self.one.step(self.features[slot], self.targets[slot], self.rates[slot])

    def record(self) -> Callable[[], None]:
        """The block as one launch. On a CPU the block itself, for there is nothing to save."""
        if not self.one.weight.is_cuda:
            return self.take_all
        with torch.cuda.device(self.one.weight.device):  # a stream of another device would record nothing
            return self.recorded()

    def recorded(self) -> Callable[[], None]:
        """The block as a graph of the current device; weights and the rule's state are left as they were."""
        rule, parameters = self.one.rule, self.one.parameters
        weights = {name: parameter.clone() for name, parameter in parameters.items()}
        states = {name: {key: tensor.clone() for key, tensor in held.items()} for name, held in rule.state.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.take_all()  # the libraries must have their workspaces, and the buffers their memory, beforehand
        torch.cuda.current_stream().wait_stream(stream)
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
        for name, held in rule.state.items():
            for key, tensor in held.items():
                before = states.get(name, {}).get(key)
                tensor.zero_() if before is None else tensor.copy_(before)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self.take_all()
        return graph.replay
