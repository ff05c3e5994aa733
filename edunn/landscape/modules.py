"""The loss over a plane of any torch module's weights: a two-layer net, or one of your own.

Its scores are not affine in its parameters, so every point is a forward pass: `torch.func.functional_call` with the
parameters θ0 + a·d1 + b·d2, and `vmap` over a chunk of points. The module itself is never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from .. import errors
from ..activations import Activation
from ..losses import Loss
from ..runtime.devices import generator
from ..runtime.threads import Split, whole
from . import spectral
from .pairs import ScalarLoss, drop_output_axis
from .planes import JET, Evaluator

Direction = Mapping[str, Tensor]

CHUNK = 1 << 26  # numbers: roughly what the activations of the points in one vmap may take

# torch's modules that are known to have a second derivative everywhere, and those known to have kinks
SMOOTH = (
    nn.Sequential, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
    nn.LayerNorm, nn.GroupNorm, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.SiLU, nn.Softmax, nn.LogSoftmax,
    nn.Identity, nn.Dropout, nn.Flatten, nn.AvgPool1d, nn.AvgPool2d, nn.Embedding,
)  # fmt: skip
KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Hardtanh, nn.ReLU6, nn.MaxPool1d, nn.MaxPool2d, nn.Threshold)


def is_smooth(model: nn.Module, loss: Loss | ScalarLoss) -> bool | None:
    """Returns whether a net and its loss are smooth: False if a part has kinks, None if a part is unknown."""
    answers = [loss.smooth]
    for part in model.modules():
        if isinstance(part, KINKED):
            answers.append(False)
        elif isinstance(part, Activation):
            answers.append(part.smooth)
        else:  # by its exact type: what a subclass does in its own `forward` is not known
            answers.append(True if type(part) in SMOOTH else None)
    return False if False in answers else None if None in answers else True


def in_evaluation(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Returns the model, or a copy in evaluation mode if it is in training mode, and a sentence that says so.

    In training mode dropout would draw a new mask at every point, and batch norm would move its running statistics.
    """
    if not any(part.training for part in model.modules()):
        return model, ()
    try:
        still = copy.deepcopy(model).eval()
    except (RuntimeError, TypeError, AttributeError) as error:
        raise errors.ConfigError(
            f"{type(model).__name__} is in training mode and cannot be copied ({error}). Call model.eval() first."
        ) from None
    return still, (f"{type(model).__name__} is in training mode; a copy in evaluation mode was evaluated",)


@dataclass(frozen=True, eq=False)
class ModulePlane:
    """The loss of a module along θ0 + a·d1 + b·d2.

    Parameters
    ----------
    model : in evaluation mode (see `in_evaluation`); its parameters and buffers stay as they are
    base, first, second : θ0, d1, d2, by parameter name
    smooth : whether the module and the loss have second derivatives everywhere; None: not known
    """

    model: nn.Module
    loss: Loss | ScalarLoss
    features: Tensor
    targets: Tensor
    base: Direction
    first: Direction
    second: Direction
    smooth: bool | None
    names: tuple[str, str] = ("a", "b")
    penalty: object = None
    split: Split = whole
    weights: Tensor | None = None  # of the samples, with Σ w = N

    # little is known of a module, so convexity and minima are measured
    convex = None
    flat = analytic = affine = falls_forever = False
    feature = None
    curvature_by_formula = True  # by torch.func
    order_in_one_pass = 1
    scales = (0.1, 0.1)  # so that the default window is ±1 along a direction

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.base.values())).dtype

    @property
    def device(self) -> torch.device:
        return self.features.device

    @property
    def samples(self) -> int:
        return len(self.features)

    @property
    def about(self) -> str:
        name = self.loss.name if isinstance(self.loss, ScalarLoss) else type(self.loss).__name__
        return f"{name} of {type(self.model).__name__}, {self.samples:,} samples"

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> ModulePlane:
        """Returns the same plane in another dtype or on another device; the module itself stays as it is."""

        def move(tensors: Direction) -> dict[str, Tensor]:
            return {k: t.to(device=device, dtype=dtype) for k, t in tensors.items()}

        kind = dtype if self.targets.dtype.is_floating_point else None
        features = self.features.to(device=device, dtype=dtype if self.features.dtype.is_floating_point else None)
        return replace(
            self,
            features=features,
            targets=self.targets.to(device=device, dtype=kind),
            base=move(self.base),
            first=move(self.first),
            second=move(self.second),
            weights=None if self.weights is None else self.weights.to(device=device, dtype=dtype),
        )

    @torch.no_grad()
    def values(self, a: Tensor, b: Tensor, order: int = 0, method: str = "auto") -> tuple[Tensor, str]:
        """Returns the jet over the grid and its method: `spectral` if the values are smooth enough, else `direct`."""
        if method not in ("auto", "direct", "spectral"):
            raise errors.ConfigError(
                f"A module that is not linear takes the methods auto, direct and spectral; got {method!r}."
            )
        if order == 0 and method != "direct" and (method == "spectral" or self.smooth is not False):
            values = spectral.interpolate(self, a, b)
            if values is not None:
                return values.unsqueeze(0), "spectral"
        points = torch.cartesian_prod(a, b).view(-1, 2)
        jet = self.split(lambda some: self.at(some, order), points, 1)
        return jet.view(JET[order], len(a), len(b)), "direct"

    def held(self, first: float | None, second: float | None) -> ModulePlane:
        base, along_a, along_b = self.base, self.first, self.second
        if first is not None:
            base = {k: t + first * along_a[k] for k, t in base.items()}
            along_a = {k: torch.zeros_like(t) for k, t in along_a.items()}
        if second is not None:
            base = {k: t + second * along_b[k] for k, t in base.items()}
            along_b = {k: torch.zeros_like(t) for k, t in along_b.items()}
        return replace(self, base=base, first=along_a, second=along_b)

    def near(self, reach: float) -> Evaluator:
        return self

    def slopes(self, reach: float) -> Callable[[Tensor], Tensor]:
        return lambda points: self.at(points, 1)[1:]

    def known_minimum(self, start: Tensor, first: Tensor, second: Tensor) -> None:
        return None

    def value(self, point: Tensor) -> Tensor:
        """Returns the mean loss at one point (2,)."""
        return self.mean(self.scores(point))

    def mean(self, scores: Tensor) -> Tensor:
        """Returns the mean loss of scores, weighted where the samples are."""
        if self.weights is None or isinstance(self.loss, ScalarLoss):
            return self.loss(scores, self.targets, validate=False)
        return self.loss(scores, self.targets, self.weights, validate=False)

    def value_and_trace(self, point: Tensor) -> Tensor:
        """Returns two numbers at one point (2,): the mean loss, and the sum of all scores, each times a random number.

        A jump of the network may leave the loss equal on both sides; the second number shows it.
        """
        scores = self.scores(point)
        draw = generator(0)
        along = torch.randn(scores.numel(), generator=draw, dtype=torch.float64).to(scores).view_as(scores)
        value = self.mean(scores)
        return torch.stack([value, (scores * along).sum() / scores.numel() ** 0.5])

    @torch.no_grad()
    def traced(self, points: Tensor) -> Tensor:
        """Returns `value_and_trace` at points (count, 2): (2, count)."""
        return self.pieces(points, 0, lambda some: each(self.value_and_trace, some).mT, 2)

    def scores(self, point: Tensor) -> Tensor:
        """Returns the module's scores at one point (2,)."""
        # copies: a module that writes into its buffers, even in evaluation mode, writes into these
        buffers = {
            k: t.to(self.dtype if t.dtype.is_floating_point else t.dtype, copy=True)
            for k, t in self.model.named_buffers()
        }
        moved = {k: self.base[k] + point[0] * self.first[k] + point[1] * self.second[k] for k in self.base}
        return drop_output_axis(functional_call(self.model, {**buffers, **moved}, (self.features,)), self.loss)

    @torch.no_grad()
    def at(self, points: Tensor, order: int = 0) -> Tensor:
        """Returns the jet at points (count, 2), with derivatives by torch.func: (JET[order], count)."""
        return self.pieces(points, order, lambda some: self.jets(some, order), JET[order])

    def pieces(self, points: Tensor, order: int, function: Callable[[Tensor], Tensor], rows: int) -> Tensor:
        """Evaluates a function of points (count, 2) → (rows, count) on as many points at once as memory allows."""
        points = points.to(dtype=self.dtype, device=self.device)
        width = self.features.numel() + sum(t.numel() for t in self.base.values())
        chunk = max(1, CHUNK // (width * (1, 3, 6)[order]))
        with torch.random.fork_rng():  # a module that draws random numbers leaves the caller's generator as it is
            found = [function(piece) for piece in points.split(chunk)]
        return torch.cat(found, 1) if found else points.new_zeros(rows, 0)

    def jets(self, points: Tensor, order: int) -> Tensor:
        values = each(self.value, points)
        if order == 0:
            return values.unsqueeze(0)
        slope = each(grad(self.value), points)
        rows = [values, slope[:, 0], slope[:, 1]]
        if order == 2:
            bend = each(jacrev(grad(self.value)), points)
            rows += [bend[:, 0, 0], bend[:, 0, 1], bend[:, 1, 1]]
        return torch.stack(rows)


def each(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Evaluates a function at all points at once, or one by one where `vmap` fails (an `if` on values)."""
    try:
        found: Tensor = vmap(function, randomness="same")(points)
    except RuntimeError:
        found = torch.stack([function(point) for point in points])
    return found
