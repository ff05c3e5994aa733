"""Circles, which no line separates, become separable with more features: squares and random waves."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..data import Samples, toys
from ..descent import descend
from ..losses import BinaryCrossEntropy
from ..models import LogisticRegression
from ..runtime.devices import generator
from .engine import Lesson, Table

DERIVATION = """\
No line separates a circle from the one around it. In (x₁², x₂²) the two are lines: x₁² + x₂² = r². The model stays
linear; the features do not. Random waves cos(ω·x + β), with ω normal of standard deviation 1/σ and β uniform, do the
same without knowing the shape: their products approach the Gaussian kernel,
    E[2 cos(ω·x + β) cos(ω·x' + β)] = e^{−‖x − x'‖² / 2σ²}
so a linear model on them is nearly one with that kernel."""

WAVES, SIGMA = 100, 0.5


def squares(x: Tensor) -> Tensor:
    return torch.cat([x, x**2], 1)


def waves(x: Tensor, count: int = WAVES, seed: int = 0) -> Tensor:
    """Returns D random features √(2/D) cos(ω·x + β) (Rahimi & Recht 2007)."""
    source = generator(seed)
    omega = torch.randn(count, x.shape[1], dtype=torch.float64, generator=source) / SIGMA
    beta = 2 * torch.pi * torch.rand(count, dtype=torch.float64, generator=source)
    return (2 / count) ** 0.5 * torch.cos(x @ omega.mT + beta)


LIFTS: dict[str, Any] = {"x": lambda x: x, "x and x²": squares, f"{WAVES} random waves": waves}


def circles(seed: int) -> Samples:
    made = toys.circles(200, seed=seed)
    assert made.targets is not None
    return Samples(made.features, made.targets.double())


@cache
def trained(name: str) -> Any:
    samples = circles(0)
    lifted = LIFTS[name](samples.features)
    model = LogisticRegression(lifted.shape[1]).double()
    descend(model, BinaryCrossEntropy(), Samples(lifted, samples.targets), rate=2.0, epochs=2000, evaluate=0)
    return model


def tables() -> list[Table]:
    cells = []
    for name, lift in LIFTS.items():
        model, train, test = trained(name), circles(0), circles(1)
        assert train.targets is not None
        assert test.targets is not None
        scored = [float(model.score(lift(part.features), part.targets)) for part in (train, test)]
        cells.append([name, model.weight.shape[1], *scored])
    x = circles(1).features[:50]
    kernel = torch.exp(-(torch.cdist(x, x) ** 2) / (2 * SIGMA**2))
    off = {count: float((waves(x, count) @ waves(x, count).mT - kernel).abs().mean()) for count in (100, 10_000)}
    note = "mean |product of waves − Gaussian kernel|: " + ", ".join(f"{e:.3f} with {n}" for n, e in off.items())
    return [Table("Logistic regression on circles", ("features", "how many", "right, trained on", "right, new"), cells,
                  note)]  # fmt: skip


def picture() -> object:
    from ..figures.lessons import lifts

    return lifts({name: (trained(name), lift) for name, lift in LIFTS.items()}, circles(1))


LESSONS = (
    Lesson("lift", "001", "Which data does no line separate, and how do more features help?", DERIVATION,
           make_tables=tables,
           figures={"lift": picture}),
)  # fmt: skip
