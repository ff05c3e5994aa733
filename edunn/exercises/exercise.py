"""One exercise: what a student writes, the reference that grades it, and the common mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..gradcheck.diagnosis import MISTAKES, Mistake
from ..runtime.devices import generator
from .cut import Cut

Arguments = tuple[Any, ...]


class Sizes(NamedTuple):
    samples: int
    classes: int
    features: int


# They change from draw to draw, so that a count written as a number is found out. In each, the three are different and
# none is a product of the others: a factor N, C, C − 1 or N/D is not taken for 2 or ½.
SIZES = (Sizes(7, 5, 3), Sizes(11, 6, 4), Sizes(9, 5, 7))
STRENGTH, BETA, SLOPE, DELTA, KEEP, EPSILON = 0.7, 0.4, 0.1, 0.8, 0.6, 1e-5


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A function or gradient of the package as an exercise for a student.

    name, lesson : its name, and that of the lesson that derives it ("" if there is none)
    formula : what is computed
    asked : what the student writes
    given : describes the arguments and the answer, where the formula does not
    arguments : in the order of the hand-in's signature
    reference : the package's own function, with which a hand-in is compared
    cut : the functions that are left blank
    adapter : the methods of the class that is graded; they call the student's functions
    imports : lines that the adapter needs
    mistakes : common ones, the most likely first
    """

    name: str
    formula: str
    asked: str
    arguments: tuple[str, ...]
    reference: Callable[..., Any]
    cut: tuple[Cut, ...]
    adapter: str
    lesson: str = ""
    given: str = ""
    imports: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = MISTAKES


@dataclass(frozen=True, kw_only=True)
class GradientExercise(Exercise):
    """An exercise to write a gradient, which is compared with autograd and differences at random points.

    kind : "loss", "activation", "penalty", "layer" or "objective"
    wanted : the arguments in which a gradient is asked for
    reference : takes the arguments by name; returns a scalar, or the output of a layer or activation
    loss, activation, penalty : the package's own objects, where the exercise has them
    conventions : (what is said, reference) of outputs that are right as well; they take the hand-in's `output` too
    drawn : draws the arguments in place of `draw`, where a hand-in has sizes of its own
    """

    kind: str
    wanted: tuple[str, ...]
    loss: Any = None
    activation: Any = None
    penalty: Any = None
    conventions: tuple[tuple[str, Callable[..., Tensor]], ...] = ()
    drawn: Callable[[int], dict[str, Any]] | None = None

    @property
    def forward(self) -> bool:
        """Whether it is written as forward and backward: its output is not a scalar, so backward takes an upstream."""
        return self.kind in ("activation", "layer")

    def draw(self, seed: int, sizes: Sizes | None = None) -> dict[str, Any]:
        """Draws the arguments, by name: float64 tensors, class indices, or numbers. The sizes follow from the seed."""
        if self.drawn is not None:
            return self.drawn(seed)
        sizes = sizes or SIZES[seed % len(SIZES)]
        drawn = {name: DRAW[name](self, sizes, generator(seed, k)) for k, name in enumerate(self.arguments)}
        if self.kind == "loss" and self.loss.labels == "signs":
            # one sample beyond the margin, one inside it and one on the wrong side: every branch is taken
            drawn["scores"][:3] = drawn["targets"][:3] * torch.tensor([1.8, 0.4, -0.7], dtype=torch.float64)
        return drawn


@dataclass(frozen=True, kw_only=True)
class FunctionExercise(Exercise):
    """An exercise to write a function, which is compared with the package's own case by case.

    reference : the package's function, or the class whose methods are asked for
    cases : draws the arguments of each case from a seed; the first case is an ordinary one
    through : called as through(reference, *arguments) where the answer is more than reference(*arguments)
    tolerance : the largest relative error of a right answer
    """

    cases: Callable[[int], dict[str, Arguments]]
    through: Callable[..., Any] | None = None
    tolerance: float = 1e-7

    def answer(self, function: Any, arguments: Arguments) -> Tensor:
        """Returns the result of the reference, or of an edited copy of it, on copies of the arguments."""
        copies = [value.clone() if isinstance(value, Tensor) else value for value in arguments]
        with torch.no_grad():
            found = function(*copies) if self.through is None else self.through(function, *copies)
        return torch.as_tensor(found).detach()


# ---- random arguments of a gradient ---------------------------------------------------------------------------------


def draw_scores(exercise: GradientExercise, sizes: Sizes, source: torch.Generator) -> Tensor:
    classes = exercise.kind == "activation" or exercise.loss.class_axis
    shape = (sizes.samples, sizes.classes) if classes else (sizes.samples,)
    scores = 1.5 * torch.randn(*shape, dtype=torch.float64, generator=source)
    if not getattr(exercise.loss, "of_probabilities", False):
        return scores
    return scores.softmax(-1) if exercise.loss.labels == "classes" else scores.sigmoid()


def draw_targets(exercise: GradientExercise, sizes: Sizes, source: torch.Generator) -> Tensor:
    labels = exercise.loss.labels
    if labels.startswith("rows of "):
        shape = (sizes.samples, sizes.classes)
        real = torch.randn(shape, dtype=torch.float64, generator=source)
        return real if labels == "rows of real" else (real > 0).double()
    if labels == "real":
        return torch.randn(sizes.samples, dtype=torch.float64, generator=source)
    if labels == "classes":
        others = torch.randint(sizes.classes, (sizes.samples - sizes.classes,), generator=source)
        return torch.cat([torch.arange(sizes.classes), others])[torch.randperm(sizes.samples, generator=source)]
    bits = torch.randint(2, (sizes.samples,), generator=source)
    bits[0], bits[1] = 0, 1
    return (bits if labels == "bits" else 2 * bits - 1).double()


def draw_normal(*axes: str) -> Callable[[GradientExercise, Sizes, torch.Generator], Tensor]:
    """Returns a function that draws a tensor with these axes; a model of one output has no axis "outputs"."""

    def draw(exercise: GradientExercise, sizes: Sizes, source: torch.Generator) -> Tensor:
        outputs = () if exercise.kind == "objective" and not exercise.loss.class_axis else (sizes.classes,)
        known = {"samples": (sizes.samples,), "features": (sizes.features,), "outputs": outputs}
        shape = [size for axis in axes for size in known[axis]]
        return torch.randn(shape, dtype=torch.float64, generator=source)

    return draw


DRAW: dict[str, Callable[[GradientExercise, Sizes, torch.Generator], Any]] = {
    "scores": draw_scores,
    "targets": draw_targets,
    "features": draw_normal("samples", "features"),
    "weight": draw_normal("outputs", "features"),
    "bias": draw_normal("outputs"),
    "scale": draw_normal("features"),
    "shift": draw_normal("features"),
    "strength": lambda exercise, sizes, source: STRENGTH,
    "keep": lambda exercise, sizes, source: KEEP,
    "seed": lambda exercise, sizes, source: int(torch.randint(2**31, (1,), generator=source)),
}
