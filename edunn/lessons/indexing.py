"""An indexing mistake in a lecture's code: its surface has two minima that the loss does not have."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .. import landscape
from ..activations import Sigmoid
from ..landscape import Surface
from ..losses import SquaredError
from .engine import Lesson, Row
from .tools import local_minima

DERIVATION = """\
Errors over a 50 × 50 grid of (θ₀, θ₁) in [-1, 1]², for 2,500 points x in [0, 1] with y = 0, then 1 from the 1,250th:
    E(θ₀, θ₁) = 1/2n Σ_o (y_o − σ(θ₁ x_o + θ₀))²
The code takes y[i], the index of the grid point, for y[o], the index of the sample. i runs over θ₀ first, so the lower
half of the grid (θ₁ < 0) is compared with zeros alone and the upper half with ones alone: two slopes to two corners,
and a cliff between them. With y[o] there is one minimum on the grid."""

GRID = (-1.0, 1.0, 50)
HALF_MSE = SquaredError(half=True, through=Sigmoid())  # the code divides by 2n


def data() -> tuple[Tensor, Tensor]:
    x = torch.linspace(0, 1, 2500, dtype=torch.float64)
    y = torch.zeros_like(x)
    y[1250:] = 1
    return x, y


@cache
def right() -> Surface:
    """Returns the surface with the right index, y[o]: `values[k, j]` at (θ₁, θ₀)."""
    return landscape.grid(*data(), HALF_MSE, w=GRID, b=GRID, method="direct")


@cache
def as_written() -> Surface:
    """Returns the surface with the wrong index, y[i]: the target is 0 where θ₁ < 0 and 1 elsewhere."""
    x, y = data()
    zeros = landscape.grid(x, torch.zeros_like(x), HALF_MSE, w=GRID, b=GRID, method="direct")
    ones = landscape.grid(x, torch.ones_like(x), HALF_MSE, w=GRID, b=GRID, method="direct")
    values = torch.where(y.view(50, 50) == 0, zeros.values, ones.values)  # y[i], i = 50 · row + column
    about = "squared error through a sigmoid, with y[i] for y[o]"
    return Surface(zeros.first, zeros.second, values, ("θ₁", "θ₀"), about, "direct", 0.0, zeros.seconds)


class CountingSigmoid(Sigmoid):
    """A sigmoid that counts its calls."""

    calls = 0

    def forward(self, scores: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(scores)


def evaluate_at_once() -> tuple[int, float]:
    """Computes the surface from one array of scores, (grid points, samples): returns the calls, and the error."""
    x, y = data()
    sigmoid, surface = CountingSigmoid(), right()
    w, b = surface.first.view(-1, 1, 1), surface.second.view(1, -1, 1)
    values = SquaredError(half=True, through=sigmoid)(w * x + b, y)
    return sigmoid.calls, float((values - surface.values).abs().max())


def at(surface: Surface, place: tuple[int, int]) -> dict[str, float]:
    i, j = place
    return {
        "theta0": float(surface.second[j]),
        "theta1": float(surface.first[i]),
        "value": float(surface.values[i, j]),
    }


def rows() -> list[Row]:
    slip, true = as_written(), right()
    wrong, found = local_minima(slip.values), local_minima(true.values)
    cliff = slip.values[:, 0]
    origin = landscape.grid(*data(), HALF_MSE, w=(0.0, 0.0, 1), b=(0.0, 0.0, 1), method="direct")
    floor = float(slip.values.min())
    cell = float(slip.first[1] - slip.first[0])
    counted = slip.values.numel() * len(data()[0])
    calls, difference = evaluate_at_once()
    low = at(true, found[0])
    return [
        Row(
            "0.1",
            {
                "minima": len(wrong),
                "minimum": floor,
                "theta0": [at(slip, place)["theta0"] for place in wrong],
                "theta1": [at(slip, place)["theta1"] for place in wrong],
                "max": float(slip.values.max()),
                "below_the_jump": float(cliff[24]),
                "above_the_jump": float(cliff[25]),
            },
            "holds",
            {"minima": 2},
            note="The figure follows from the code as it is written, with y[i]; its two minima are the slip's (000.a). "
            "The jump is at theta0 = -1, from theta1 just below 0 to just above.",
        ),
        Row(
            "0.2",
            {"minima": len(found), "minimum": low["value"], "theta0": low["theta0"], "theta1": low["theta1"],
             "max": float(true.values.max())},
            "derived",
            note="The same with y[o]: one minimum on the grid, at its edge.",
        ),
        Row("0.3", float(origin.values[0, 0]), "derived", note="Exact: σ(0) = ½ is ½ from either label; ½ · ¼."),
        Row(
            "000.a",
            {"minima": len(found)},
            "wrong",
            {"minima": 2},
            "y_true = y[i] should be y[o]: i is the grid point, o the sample.",
            {"minima": len(wrong)},
        ),
        Row(
            "000.f",
            {"sigmoid_calls": counted, "batched_calls": calls, "largest_difference": difference},
            "wrong",
            None,
            "The loops call a python sigmoid once for each grid point and sample; one batched call gives the same.",
            {"sigmoid_calls": counted},
            note="50 · 50 grid points times 2,500 samples; the batched call was counted, and held against row 0.2.",
        ),
        Row(
            "000.g",
            {"offset_of_the_tops": 0.0, "width_in_cells": 1.0},
            "wrong",
            None,
            "bar3d(…, np.min(errs), .5, .5, errs): the bars start at the least error and are errs tall; 0.5 is wide.",
            {"offset_of_the_tops": floor, "width_in_cells": 0.5 / cell},
            note="Right bars start at 0 and are one cell wide.",
        ),
    ]  # fmt: skip


def picture() -> object:
    from ..figures.lessons import two_grids

    return two_grids(as_written(), right(), ("As written, y[i]: two minima and a cliff", "With y[o]: one minimum"))


LESSONS = (
    Lesson(
        "indexing-slip",
        "000",
        "Where do the two minima of the first surface come from?",
        DERIVATION,
        rows,
        figures={"indexing_slip": picture},
    ),
)
