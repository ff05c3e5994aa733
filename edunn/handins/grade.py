"""One hand-in graded: its gradient against its own value, and the name of the mistake where it is wrong.

A hand-in answers for its own value: one that sums where the package takes the mean, with a gradient to match, is right.
Its value must be the task's up to a factor and a constant, though: otherwise it solves another task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .. import gradcheck
from ..devices import generator
from ..diagnosis import Diagnosis, Scene, diagnose, together
from ..gradcheck import Row, Subject
from ..gradcheck.witnesses import autograd
from .protocol import Handin, HandinError, given, guarded, taken
from .tasks import STRENGTH, Task

TOLERANCE = 1e-7  # relative, in float64: courses call 1e-7 good
DRAWS = 3  # random points
SINGLE = 2e-5  # where a hand-in computes in float32, which holds seven digits


@dataclass(frozen=True)
class Grade:
    """What came of one hand-in.

    status : "right", "wrong", "unfinished", "error", "timeout" or "memory"
    message : one line that says why
    """

    file: str
    name: str
    task: str
    status: str
    message: str
    rows: tuple[Row, ...] = ()
    mistakes: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == "right"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "name": self.name,
            "task": self.task,
            "status": self.status,
            "passed": self.passed,
            "message": self.message,
            "mistakes": [one.as_dict() for one in self.mistakes],
            "rows": [row.as_dict() for row in self.rows],
            "notes": list(self.notes),
        }


def grade(handin: Handin, seed: int = 0) -> Grade:
    """Grades one hand-in, in this process, at a few random points: at one alone, a mistake may happen not to show."""
    notes: list[str] = []
    rows: list[Row] = []
    found: list[list[Diagnosis]] = []
    for k in range(DRAWS):
        at = at_point(handin, DRAWS * seed + k, notes)
        if isinstance(at, Grade):
            return at
        calls, fit, checked = at
        wrong = [row for row in checked if not row.passed]
        if (wrong and not found) or not rows:
            rows = checked
        if wrong:
            found.append([diagnose(scene(handin, calls, row, fit)) for row in wrong if row.hand is not None])
    if all(row.passed for row in rows):
        return result(handin, "right", "the gradient is right", rows, [], notes)
    mistakes = together(agreed(found))
    message = "; ".join([*(str(one) for one in mistakes), *(row.note for row in rows if row.hand is None)])
    return result(handin, "wrong", message, rows, mistakes, notes)


def at_point(handin: Handin, seed: int, notes: list[str]) -> tuple[Calls, Fit, list[Row]] | Grade:
    """The rows at one random point; or the grade, where it is plain without them."""
    arguments = draw(handin, seed)
    calls = Calls(handin, arguments, seed, notes)
    first = calls.value(arguments)
    if not torch.equal(first, calls.value(arguments)):
        return result(handin, "wrong", "the value changes from one call to the next: draw what is random from the seed")
    found = calls.gradients()
    if not bool(first.isfinite().all()):
        return result(handin, "wrong", "the value is not finite at an ordinary point")
    fit = fitted(handin, calls, seed)
    if fit is None:
        formula = handin.task.formula if handin.task else ""
        return result(handin, "wrong", f"the value is not that of the task: {formula}")
    notes += fit.notes
    single = first.dtype == torch.float32 or any(g.dtype == torch.float32 for g in found.values())
    if single:
        notes.append("computed in float32, which holds seven digits: the tolerance is 2e-05 (float64 shows more)")
    tolerance = SINGLE if single else TOLERANCE
    rows = gradcheck.check(calls.subject(found, fit, single), tolerance, tolerance, seed)
    return calls, fit, [replace(row, term="") for row in rows]


def agreed(found: list[list[Diagnosis]]) -> list[Diagnosis]:
    """The diagnoses of the first point, with those names alone that explain the other points as well."""
    first, *others = found
    kept = []
    for one in first:
        same = [other for group in others for other in group if other.parameter == one.parameter]
        keep = [i for i, name in enumerate(one.names) if all(name in other.names for other in same)]
        kept.append(replace(one, names=tuple(one.names[i] for i in keep), lines=tuple(one.lines[i] for i in keep)))
    return kept


def result(
    handin: Handin,
    status: str,
    message: str,
    rows: list[Row] | None = None,
    mistakes: list[Diagnosis] | None = None,
    notes: list[str] | None = None,
) -> Grade:
    return Grade(
        handin.file, handin.name, handin.task.name if handin.task else "", status, message,
        tuple(rows or ()), tuple(mistakes or ()), tuple(dict.fromkeys(notes or ())),
    )  # fmt: skip


def draw(handin: Handin, seed: int) -> dict[str, Any]:
    """The arguments at which it is checked: the task's, or its own `inputs(seed)`."""
    if handin.task is not None:
        return handin.task.draw(seed)
    if handin.inputs is None:
        raise HandinError(
            f'Expected to know what {handin.name} is given: set task = "…" in the class (edunn check --template NAME '
            f"shows one), or write a function inputs(seed) that returns its arguments as a dictionary."
        )
    drawn = guarded(handin.file, handin.inputs, seed)
    if not isinstance(drawn, Mapping) or not drawn:
        raise HandinError(f"Expected inputs(seed) to return a dictionary of arguments; got {type(drawn).__name__}.")
    found: dict[str, Any] = {}
    for name, value in drawn.items():
        if isinstance(value, (int, str, bool)):
            found[str(name)] = value
        else:
            tensor = taken(value, f"inputs()[{name!r}]")
            found[str(name)] = tensor.double() if tensor.is_floating_point() else tensor
    return found


class Calls:
    """A hand-in's functions, called with copies of the arguments; what they return as tensors."""

    def __init__(self, handin: Handin, arguments: Mapping[str, Any], seed: int, notes: list[str]) -> None:
        self.handin, self.arguments, self.notes = handin, dict(arguments), notes
        self.upstream: Tensor | None = None
        if handin.forward:
            output = self.value(arguments)
            self.upstream = torch.randn(output.shape, dtype=torch.float64, generator=generator(seed, 99))

    def copies(self, arguments: Mapping[str, Any]) -> list[Any]:
        return [given(value, self.handin.torch) for value in arguments.values()]

    def value(self, arguments: Mapping[str, Any]) -> Tensor:
        """The value; for forward and backward the output."""
        passed = self.copies(arguments)
        returned = taken(guarded(self.handin.file, self.handin.value, *passed), "the value")
        for (name, before), after in zip(arguments.items(), passed, strict=True):
            if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(after)):
                self.notes.append(f"the value changes its argument {name} in place")
        if not self.handin.forward and returned.numel() != 1:
            raise HandinError(f"Expected a value that is one number; got shape {tuple(returned.shape)}.")
        return returned if self.handin.forward else returned.reshape(())

    def scalar(self, arguments: Mapping[str, Any]) -> Tensor:
        """What is differentiated: the value, or Σ upstream · output."""
        found = self.value(arguments).double()
        return found if self.upstream is None else (self.upstream * found).sum()

    def gradients(self) -> dict[str, Tensor]:
        """The gradients by name."""
        passed = self.copies(self.arguments)
        if self.upstream is not None:
            passed.append(given(self.upstream, self.handin.torch))
        returned = guarded(self.handin.file, self.handin.gradient, *passed)
        wanted = self.wanted()
        if isinstance(returned, Mapping):
            return {str(name): taken(value, f"the gradient in {name}") for name, value in returned.items()}
        if isinstance(returned, tuple) and len(returned) == len(wanted) > 1:
            return {name: taken(value, f"the gradient in {name}") for name, value in zip(wanted, returned, strict=True)}
        if returned is None:
            raise HandinError("Expected a gradient; got None. Is there a return?")
        if len(wanted) > 1 and self.handin.task is not None:
            names = ", ".join(f'"{name}": …' for name in wanted)
            raise HandinError(f"Expected a dictionary {{{names}}} of gradients; got {type(returned).__name__}.")
        return {wanted[0]: taken(returned, "the gradient")}

    def wanted(self) -> tuple[str, ...]:
        if self.handin.task is not None:
            return self.handin.task.wanted
        return tuple(n for n, v in self.arguments.items() if isinstance(v, Tensor) and v.is_floating_point())

    def subject(self, found: dict[str, Tensor], fit: Fit, single: bool) -> Subject:
        """The hand-in as something that `gradcheck` checks."""
        wanted = self.wanted() if self.handin.task is not None else [n for n in self.wanted() if n in found]
        points = {name: self.arguments[name] for name in wanted}

        def value(moved: dict[str, Tensor]) -> Tensor:
            return self.scalar({**self.arguments, **moved})

        witness = None if fit.value is None else (lambda moved: fit.value({**self.arguments, **moved}))
        # differences of a float32 value show three digits; the task's own value, fitted to it, shows all of them
        exact = witness if single and witness is not None else None
        return Subject(self.handin.name, exact or value, lambda _: found, points, plain=True, witness=witness)


@dataclass(frozen=True)
class Fit:
    """How a hand-in's value lies to the task's: value = scale · data + penalty_scale · penalty + a constant.

    value : that sum, in torch: a witness that autograd can follow; None without a task
    """

    value: Any
    scale: float = 1.0
    penalty_scale: float = 1.0
    notes: tuple[str, ...] = ()


def fitted(handin: Handin, calls: Calls, seed: int) -> Fit | None:
    """Compares the values at a few points; None where no factor and constant make them equal."""
    task = handin.task
    if task is None:
        return Fit(None)
    if task.forward:
        own, theirs = task.value(**calls.arguments), calls.value(calls.arguments).double()
        if own.shape != theirs.shape or not torch.allclose(own, theirs, rtol=1e-5, atol=1e-6):
            return None
        upstream = torch.zeros_like(own) if calls.upstream is None else calls.upstream
        return Fit(lambda arguments: (upstream * task.value(**arguments)).sum())
    rows, values = [], []
    for k in range(6):
        arguments = task.draw(seed + 1000 + k)
        if "strength" in arguments:
            arguments["strength"] = STRENGTH * (0.5 + k / 3)
        rows.append(basis(task, arguments))
        values.append(calls.value(arguments).double())
    table, wanted = torch.tensor(rows, dtype=torch.float64), torch.stack(values)
    solution = torch.linalg.lstsq(table, wanted).solution
    if not bool((table @ solution - wanted).abs().max() <= 1e-5 * wanted.abs().max()):
        return None
    *scales, constant = (tidied(float(x)) for x in solution)
    data, penalty = (scales[0], scales[-1]) if len(scales) == 2 else (scales[0], scales[0])
    notes = []
    for what, factor in (("value", data), ("penalty", penalty)) if len(scales) == 2 else (("value", data),):
        if abs(factor - 1) > 1e-6:
            notes.append(f"the {what} is {factor:.6g} times the task's; the gradient is held against it as it is")
    if abs(constant) > 1e-6:
        notes.append(f"the value is the task's plus {constant:.6g}, which changes no gradient")
    if not all(scales):
        return None

    def witness(arguments: Mapping[str, Any]) -> Tensor:
        terms = basis_terms(task, arguments)
        return sum((factor * term for factor, term in zip(scales, terms, strict=True)), torch.tensor(constant).double())

    return Fit(witness, data, penalty, tuple(notes))


def tidied(number: float) -> float:
    """A factor that is a small whole number, or one over it, to the digits that the fit has."""
    for exact in (0.0, *(float(k) for k in range(1, 51)), *(1 / k for k in range(2, 51))):
        if abs(number - exact) < 1e-6 * max(exact, 1.0):
            return exact
    return number


def basis_terms(task: Task, arguments: Mapping[str, Any]) -> list[Tensor]:
    """The task's value as terms that a hand-in may scale apart: the data and the penalty."""
    if task.kind != "objective":
        return [task.value(**arguments)]
    data = task.value(**{**arguments, "strength": 0.0})
    return [data, task.value(**arguments) - data]


def basis(task: Task, arguments: Mapping[str, Any]) -> list[float]:
    return [*(float(term) for term in basis_terms(task, arguments)), 1.0]


def scene(handin: Handin, calls: Calls, row: Row, fit: Fit) -> Scene:
    """The ingredients of one wrong gradient."""
    task, arguments = handin.task, calls.arguments
    assert row.hand is not None
    assert row.right is not None
    hand = row.hand.detach().double()

    def function(point: Tensor) -> Tensor:
        return calls.scalar({**arguments, row.parameter: point})

    rows_of = arguments.get("features", arguments.get("scores", row.hand))
    count = len(rows_of) if rows_of.ndim else 1
    if task is None:
        return Scene(
            "other", row.parameter, hand, row.right, count, arguments, upstream=calls.upstream, function=function
        )
    points = dict(arguments)
    if task.name == "batch-norm":
        from .tasks import EPSILON

        points["epsilon"] = EPSILON
    upstream, penalised, chain = calls.upstream, None, None
    if task.kind == "loss":
        upstream = fit.scale * task.made_of.gradient(points["scores"], points["targets"])
    if task.kind == "objective":
        weight, bias, features = (points[name] for name in ("weight", "bias", "features"))
        points["scores"] = features @ weight.mT + bias if weight.ndim == 2 else features @ weight + bias
        upstream = fit.scale * task.made_of.gradient(points["scores"], points["targets"])
        penalised = torch.zeros_like(points[row.parameter])
        if row.parameter == "weight":
            penalised = fit.penalty_scale * task.penalty.gradient(weight)
        chain = linear_chain(row.parameter, points)
    if task.kind == "penalty":
        penalised = fit.scale * task.penalty.gradient(points["weight"])
    return Scene(
        task.kind, row.parameter, hand, row.right, count if task.kind != "penalty" else 1, points,
        loss=task.made_of if task.kind in ("loss", "objective") else None,
        activation=task.made_of if task.kind == "activation" else None,
        penalty=task.penalty, layer=task.name if task.kind == "layer" else "",
        upstream=upstream, penalised=penalised, chain=chain, function=function,
        scale=fit.scale, penalty_scale=fit.penalty_scale,
    )  # fmt: skip


def linear_chain(parameter: str, points: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """From ∂L/∂scores to the gradient in one argument of the linear scores."""

    def scores(point: Tensor) -> Tensor:
        moved = {**points, parameter: point}
        weight, bias, features = moved["weight"], moved["bias"], moved["features"]
        return features @ weight.mT + bias if weight.ndim == 2 else features @ weight + bias

    return lambda upstream: autograd(lambda at: (upstream * scores(at)).sum(), points[parameter])
