"""From a wrong gradient to the name of the mistake.

Every mistake of the table computes, from the same ingredients, the gradient that it would give. The diagnosis is the
mistake that gives, to 1e-6, the gradient that came: the likeliest first, the others after it. Where none does, the
worst entries are shown and no name is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...differences import relative_error
from ..certificate import Certificate, Row
from . import numeric
from .mistake import Mistake
from .scene import Scene
from .table import MISTAKES

CLOSE = 1e-6

__all__ = ["MISTAKES", "Diagnosis", "Mistake", "Scene", "diagnose", "explain", "worst_entries"]


@dataclass(frozen=True)
class Diagnosis:
    """What explains one wrong gradient.

    names : keys of the mistakes that give exactly this gradient, the likeliest first; empty where none does
    lines : for each of them what it is, and the line of the formula
    worst : the entries that differ most: (index, hand, right); all there is where no mistake fits
    """

    parameter: str
    term: str
    names: tuple[str, ...]
    lines: tuple[str, ...]
    worst: tuple[tuple[tuple[int, ...], float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        mistakes = [{"name": name, "says": line} for name, line in zip(self.names, self.lines, strict=True)]
        worst = [{"index": list(index), "hand": hand, "right": right} for index, hand, right in self.worst]
        return {"parameter": self.parameter, "term": self.term, "mistakes": mistakes, "worst": worst}

    def __str__(self) -> str:
        head = f"{self.parameter}: " if not self.term else f"{self.parameter} ({self.term}): "
        if self.lines:
            return head + "; or: ".join(self.lines)
        entries = ", ".join(f"{list(index)}: {hand:.6g}, right {right:.6g}" for index, hand, right in self.worst)
        return f"{head}no known mistake gives this gradient. Where it differs most: {entries or 'the shape'}"


def diagnose(scene: Scene, term: str = "") -> Diagnosis:
    """The mistakes that explain one wrong gradient."""
    found: dict[str, Mistake] = {}
    for mistake in MISTAKES:
        if mistake.key not in found and fits(mistake, scene):
            found[mistake.key] = mistake
    if not found:
        found = {mistake.key: mistake for mistake in numeric.find(scene, close)}
    lines = tuple(f"{mistake.says} [{mistake.formula}]" for mistake in found.values())
    return Diagnosis(scene.parameter, term, tuple(found), lines, worst_entries(scene.got, scene.right))


def fits(mistake: Mistake, scene: Scene) -> bool:
    """Whether this mistake gives the gradient that came, and not the right one."""
    candidate = gradient_of(mistake, scene)
    return candidate is not None and close(candidate, scene.got) and not close(candidate, scene.right)


def gradient_of(mistake: Mistake, scene: Scene) -> Tensor | None:
    """The whole gradient that this mistake would give; None where it does not apply."""
    if mistake.stage in ("loss",) and (scene.loss is None or scene.kind not in ("loss", "objective")):
        return None
    if mistake.stage == "penalty" and scene.penalty is None:
        return None
    if mistake.stage == "data" and scene.kind == "penalty":
        return mistake.gives(scene) if mistake.key in ("1/N twice",) else None
    found = mistake.gives(scene)
    if found is None:
        return None
    if mistake.stage == "loss":
        return scene.through(found)
    if mistake.stage == "penalty":
        return scene.data + found
    if mistake.stage == "data" and scene.penalised is not None:
        return found + scene.penalised
    return found


def close(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and relative_error(first, second) <= CLOSE


def worst_entries(got: Tensor, right: Tensor, count: int = 3) -> tuple[tuple[tuple[int, ...], float, float], ...]:
    """Where the two differ most."""
    if got.shape != right.shape or not got.numel():
        return ()
    difference = (got - right).abs().nan_to_num(float("inf")).reshape(-1)
    places = difference.topk(min(count, difference.numel())).indices.tolist()
    return tuple(
        (tuple(int(k) for k in torch.unravel_index(torch.tensor(i), got.shape)), float(got.reshape(-1)[i]),
         float(right.reshape(-1)[i]))
        for i in places
        if difference[i] > 0
    )  # fmt: skip


def together(found: list[Diagnosis]) -> list[Diagnosis]:
    """Puts first a mistake that explains all wrong gradients at once: one slip is likelier than two."""
    if len(found) < 2:
        return found
    shared = [name for name in found[0].names if all(name in other.names for other in found)]

    def reordered(one: Diagnosis) -> Diagnosis:
        order = sorted(range(len(one.names)), key=lambda i: (one.names[i] not in shared, i))
        names, lines = tuple(one.names[i] for i in order), tuple(one.lines[i] for i in order)
        return Diagnosis(one.parameter, one.term, names, lines, one.worst)

    return [reordered(one) for one in found]


def explain(certificate: Certificate) -> list[Diagnosis]:
    """The diagnosis of every wrong row of a certificate."""
    return together([diagnose(scene_of(row), row.term) for row in certificate.wrong if row.hand is not None])


def scene_of(row: Row) -> Scene:
    """The scene of a certificate's row, from the ingredients that its subject carries."""
    made, subject = row.subject.ingredients, row.subject
    assert row.hand is not None
    assert row.right is not None
    hand = row.hand.detach().double()
    if made is None:
        return Scene("other", row.parameter, hand, row.right, 1, subject.points)
    kind = {"loss": "loss", "data": "objective", "total": "objective"}.get(row.term, "penalty")
    penalised = None
    if row.term not in ("loss", "data") and made.penalty is not None:
        own = made.penalty.value
        point = {name: p.clone().requires_grad_() for name, p in made.parameters.items()}
        with torch.enable_grad():
            penalised = torch.autograd.grad(
                own(point), point[row.parameter], materialize_grads=True, allow_unused=True
            )[0]
    return Scene(
        kind, row.parameter, hand, row.right, len(made.features),
        {**made.parameters, "features": made.features, "scores": made.scores, "targets": made.targets},
        loss=made.loss if kind != "penalty" else None,
        penalty=made.penalty if penalised is not None else None,
        upstream=made.right_upstream(), penalised=penalised,
        chain=None if kind == "loss" else made.chain(row.parameter),
        function=None,
    )  # fmt: skip
