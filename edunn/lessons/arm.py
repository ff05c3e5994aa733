"""A robot arm that reaches a target by gradient descent on the angles of its two or three joints."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..differences import relative_error
from ..minimise import Minimum, by_autograd, minimise
from .engine import Lesson, Table
from .tools import numbers

DERIVATION = """\
Links of length l_k; joint k turns everything behind it, so link k points along φ_k = θ_1 + … + θ_k:
    tip = Σ l_k (cos φ_k, sin φ_k)        L(θ) = ‖tip − target‖²
    ∂tip/∂θ_k = Σ_{j ≥ k} l_j (−sin φ_j, cos φ_j)        ∂L/∂θ_k = 2 (tip − target) · ∂tip/∂θ_k
Too low a rate creeps, a right one arrives, too high a one throws the arm about."""

LINKS = {2: (1.0, 0.8), 3: (1.0, 0.7, 0.5)}
TARGETS = {2: (0.4, 1.2), 3: (-0.6, 1.1)}
START = 0.3
RATES = (0.01, 0.2, 1.2)
STEPS = 60


def joints_of(angles: Tensor, links: tuple[float, ...]) -> Tensor:
    """Returns the positions of all joints, the shoulder first and the tip last, (links + 1, 2)."""
    phi = torch.cumsum(angles, 0)
    ends = torch.cumsum(numbers(links).unsqueeze(1) * torch.stack([phi.cos(), phi.sin()], 1), 0)
    return torch.cat([torch.zeros(1, 2, dtype=torch.float64), ends])


def miss(links: int, **angles: Tensor) -> Tensor:
    """Returns L, the squared distance of the arm's tip from the target."""
    tip = joints_of(torch.stack(list(angles.values())), LINKS[links])[-1]
    return ((tip - numbers(TARGETS[links])) ** 2).sum()


def by_hand(links: int, **angles: float) -> dict[str, float]:
    """Returns the hand-derived gradient ∂L/∂θ_k."""
    places = joints_of(numbers(list(angles.values())), LINKS[links])
    off = 2 * (places[-1] - numbers(TARGETS[links]))
    # Σ_{j ≥ k} l_j (−sin φ_j, cos φ_j) is the way from joint k to the tip, turned by a right angle
    return {
        name: float(off @ torch.stack([-(places[-1] - places[k])[1], (places[-1] - places[k])[0]]))
        for k, name in enumerate(angles)
    }


@cache
def reach(links: int, rate: float) -> Minimum:
    start = {f"t{k + 1}": START for k in range(links)}
    return minimise(lambda **angles: miss(links, **angles), start, rate=rate, tolerance=0.0, steps=STEPS,
                    gradient=lambda **angles: by_hand(links, **angles))  # fmt: skip


def tables() -> list[Table]:
    cells = []
    for links in LINKS:
        for rate in RATES:
            found = reach(links, rate)
            turned = float(numbers(found.path).diff(dim=0).abs().sum())
            cells.append([links, rate, found.value**0.5, turned, *found.at.values(), *([None] * (3 - links))])
    point = {"t1": 0.3, "t2": -0.4, "t3": 1.1}
    hand, auto = by_hand(3, **point), by_autograd(lambda **angles: miss(3, **angles), point)
    off = relative_error(numbers(list(hand.values())), numbers(list(auto.values())))
    columns = ("joints", "rate", "distance left", "radians turned in all", "θ₁", "θ₂", "θ₃")
    return [Table(f"{STEPS} steps", columns, cells, f"gradient by hand against autograd: {off:.1e}")]


def picture() -> object:
    from ..figures.lessons import arms

    shown = {}
    for links in LINKS:
        for rate in RATES:
            found = reach(links, rate)
            shown[f"{links} joints, rate {rate:g}"] = (
                torch.stack([joints_of(numbers(angles), LINKS[links]) for angles in found.path]),
                TARGETS[links],
            )
    return arms(shown)


LESSONS = (
    Lesson("robot-arm", "003", "What does the rate do to an arm that reaches for a target?", DERIVATION,
           make_tables=tables, figures={"robot_arm": picture}),
)  # fmt: skip
