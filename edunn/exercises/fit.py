"""How a hand-in's value lies to its task's: a factor and a constant are no mistake, another function is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .calls import Calls
from .protocol import Handin
from .tasks import STRENGTH, Task


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
