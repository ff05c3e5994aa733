"""Linear regression by descent: the table of rates and epochs, and a forecast of divergence before the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from ..data import Samples
from ..data.toys import lecture_line
from ..descent import ByHand
from ..descent.stability import stable_rate
from ..history import History
from ..losses import SquaredError
from ..models import LinearRegression
from ..updates import GradientDescent
from .engine import Lesson, Row, Table
from .tools import line_at, run, set_weights

DERIVATION = """\
x = linspace(0, 10, 100), y = 2x + 3.5 + ε from numpy's legacy generator at seed 1337; start m = 0.33, b = 0.48.
    L = 1/n Σ (m x_i + b − y_i)²     dL/dm = 2/n Σ (m x_i + b − y_i) x_i     dL/db = 2/n Σ (m x_i + b − y_i)
L is a quadratic with Hessian H = 2/n [x, 1]ᵀ[x, 1]. Along an eigenvector of H with eigenvalue λ a step multiplies the
distance from the least-squares point by 1 − rate · λ. So descent converges while rate < 2/λmax, and above it the loss
grows by (1 − rate · λmax)² a step: L_k − L* = ½ Σ λ c² (1 − rate · λ)^2k with c the start's distance along each."""

START = (0.33, 0.48)
EXPERIMENTS = {  # id: (rate, epochs, m, b, MSE) as printed
    "e0": (0.01, 1000, 2.003222509810484, 3.3248920388471914, 1.0241824830839787),
    "e1": (0.01, 200, 2.142493733590308, 2.3986413449255664, 1.250220311528887),
    "e2": (0.001, 1000, 2.234267465666658, 1.7882820710393608, 1.6372142601852175),
    "e3": (0.01, 2000, 2.000591763571137, 3.3423883346618903, 1.0241037070031567),
    "e4": (0.1, 1000, math.nan, math.nan, math.nan),
    "e5": (0.1, 100, -1.0801217418175042e77, -1.624073026895325e76, 4.0865746532122445e155),
}
LOSS = SquaredError()


def model() -> LinearRegression:
    """Returns the linear model with the starting weights of the lecture."""
    made = set_weights(LinearRegression(1), [[START[0]]], [START[1]])
    assert isinstance(made, LinearRegression)
    return made


@cache
def experiment(rate: float, epochs: int) -> dict[str, float]:
    """Returns m, b and the mean squared error after the last update."""
    line, samples = model(), lecture_line()
    run(line, LOSS, samples, rate, epochs)
    with torch.no_grad():
        return {**line_at(line), "mse": float(LOSS(line(samples.features), samples.targets))}


@cache
def run_past_overflow(rate: float = 0.1, epochs: int = 1000) -> dict[str, Any]:
    """Runs the lecture's loop, which continues after the overflow: returns the first epochs with loss inf and nan."""
    line, samples = model(), lecture_line()
    stepper = ByHand(line, LOSS, None, GradientDescent())
    first: dict[str, int | None] = {"first_inf": None, "first_nan": None}
    value = math.nan
    for epoch in range(1, epochs + 1):
        stepper.step(samples.features, samples.targets, rate)  # type: ignore[arg-type]
        with torch.no_grad():
            value = float(LOSS(line(samples.features), samples.targets, validate=False))
        kind = "first_inf" if math.isinf(value) else "first_nan" if math.isnan(value) else ""
        if kind and first[kind] is None:
            first[kind] = epoch
    return {**line_at(line), "mse": value, **first}


@cache
def nan_as_written(rate: float = 0.1, epochs: int = 1000) -> int | None:
    """Returns the first epoch with loss nan in the lecture's own order of operations, which overflows earlier."""
    samples, (m, b) = lecture_line(), (torch.tensor(start, dtype=torch.float64) for start in START)
    x, y = samples.features[:, 0], samples.targets
    assert y is not None
    for epoch in range(1, epochs + 1):
        off = m * x + b - y
        m, b = m - rate * (2 / len(x)) * (off * x).sum(), b - rate * (2 / len(x)) * off.sum()
        if bool(LOSS(m * x + b, y, validate=False).isnan()):
            return epoch
    return None


@dataclass(frozen=True)
class Forecast:
    """A forecast, before the run, of whether squared error on a line converges at a rate.

    growth : 1 − rate · λ for each eigenvalue, the largest λ first
    limit : 2/λmax
    first_infinite : the epoch after which the loss no longer fits into the dtype; None if it converges
    """

    eigenvalues: tuple[float, ...]
    growth: tuple[float, ...]
    limit: float
    optimum: tuple[float, ...]
    least: float
    first_infinite: int | None

    def __str__(self) -> str:
        lines = [
            f"eigenvalues of the Hessian  {', '.join(f'{v:.10g}' for v in self.eigenvalues)}",
            f"largest stable rate 2/λmax  {self.limit:.8g}",
            f"growth per step             {', '.join(f'{g:.8g}' for g in self.growth)}",
        ]
        ends = "converges" if self.first_infinite is None else f"diverges: infinite at epoch {self.first_infinite}"
        return "\n".join([*lines, f"forecast                    {ends}"])


@torch.no_grad()
def forecast(rate: float, dtype: torch.dtype = torch.float64) -> Forecast:
    """Forecasts a run from the Hessian and the start, without a step.

    The mean is a sum divided by n, and it is the sum that overflows first.
    """
    samples, line = lecture_line(), model()
    assert samples.targets is not None
    x = torch.cat([samples.features, torch.ones_like(samples.features)], 1)
    values, vectors = torch.linalg.eigh(2 / len(x) * x.mT @ x)
    optimum = torch.linalg.lstsq(x, samples.targets.unsqueeze(1)).solution.squeeze(1)
    least = float(LOSS(x @ optimum, samples.targets))
    distance = vectors.mT @ (torch.tensor(START, dtype=torch.float64) - optimum)
    growth = 1 - rate * values
    ceiling, first = math.log(torch.finfo(dtype).max), None
    fast = int(growth.abs().argmax())
    if float(growth[fast].abs()) > 1:
        # n · ½ λ c² g^2k passes the largest number
        start = math.log(len(x) * 0.5 * float(values[fast]) * float(distance[fast]) ** 2)
        first = math.ceil((ceiling - start) / (2 * math.log(float(growth[fast].abs()))))
    limit = stable_rate(line, LOSS, samples.features, None, GradientDescent())
    assert limit is not None
    order = values.argsort(descending=True)
    return Forecast(
        tuple(values[order].tolist()), tuple(growth[order].tolist()), limit, tuple(optimum.tolist()), least, first
    )


def epochs_to(rate: float, gap: float = 1e-6) -> int:
    """Returns the epochs until the loss is within `gap` of the least."""
    least, line, samples = forecast(rate).least, model(), lecture_line()
    history = run(line, LOSS, samples, rate, 5000, evaluate=1)
    return next(int(e) for e, value in zip(*history.evaluated("loss"), strict=True) if value - least < gap)


def loss_after_1000(rate: float) -> float:
    """Returns the loss after 1,000 epochs, inf in place of nan."""
    value = run_past_overflow(rate)["mse"] if rate > forecast(rate).limit else experiment(rate, 1000)["mse"]
    return math.inf if math.isnan(value) else value


def bias_without_noise() -> float:
    """Returns the final b of experiment 0 on data without noise."""
    line, samples = model(), lecture_line()
    run(line, LOSS, Samples(samples.features, 2 * samples.features[:, 0] + 3.5), 0.01, 1000)
    return line_at(line)["b"]


def guess_error() -> float:
    """Returns the largest relative error of e0 to e3 if start 0 and seed 0 are guessed."""
    import numpy as np

    samples = lecture_line()
    noise = torch.from_numpy(np.random.RandomState(0).normal(0, 1, len(samples)))
    made = Samples(samples.features, 2 * samples.features[:, 0] + 3.5 + noise)
    worst = 0.0
    for rate, epochs, *printed in (EXPERIMENTS[name] for name in ("e0", "e1", "e2", "e3")):
        line = set_weights(LinearRegression(1), [[0.0]], [0.0])
        run(line, LOSS, made, rate, epochs)
        with torch.no_grad():
            found = [*line_at(line).values(), float(LOSS(line(made.features), made.targets))]
        worst = max(worst, *(abs(one / said - 1) for one, said in zip(found, printed, strict=True)))
    return worst


def rows() -> list[Row]:
    found: list[Row] = []
    for name, (rate, epochs, m, b, mse) in EXPERIMENTS.items():
        if name == "e4":
            computed = run_past_overflow() | {"first_nan": nan_as_written()}
            note = f", first infinite loss at epoch {computed['first_inf']}, nan from {computed['first_nan']} on"
            note += f" ({run_past_overflow()['first_nan']} where the 1/n is taken before the sum, as this package does)"
        else:
            computed, note = experiment(rate, epochs), ""
        printed = {"m": m, "b": b, "mse": mse}
        found.append(Row(name, computed, "holds", printed, note=f"rate {rate}, {epochs} epochs{note}."))
    ahead, low = forecast(0.1), forecast(0.01)
    inside, outside = experiment(0.029, 1000), experiment(0.0292, 1000)
    best = {name: experiment(*EXPERIMENTS[name][:2]) for name in ("e0", "e1", "e2", "e3", "e5")}
    errors = {name: value["mse"] for name, value in best.items()}
    largest = max(
        abs(experiment(*EXPERIMENTS[name][:2])[key] / EXPERIMENTS[name][2 + k] - 1)
        for name in ("e0", "e1", "e2", "e3")
        for k, key in enumerate(("m", "b", "mse"))
    )
    at_100 = experiment(0.1, 100)
    return [
        *found,
        Row("2.7", {"m": ahead.optimum[0], "b": ahead.optimum[1], "mse": ahead.least}, "derived",
            note="Least squares."),
        Row(
            "2.8",
            {"eigenvalues": list(ahead.eigenvalues), "limit": ahead.limit,
             "mse_at_0.029": inside["mse"], "mse_at_0.0292": outside["mse"]},
            "derived",
            note="Above 2/λmax the loss grows: after 1000 epochs at 0.0292 it is larger than at the start.",
        ),
        Row(
            "2.9",
            list(ahead.growth),
            "derived",
            note=f"Per step at rate 0.1, fast and slow. Forecast: infinite at epoch {ahead.first_infinite}; "
            f"the run: {run_past_overflow()['first_inf']}.",
        ),
        Row(
            "002.a",
            {"worst_of_e0_to_e3": max(("e0", "e1", "e2", "e3"), key=lambda name: errors[name]), **errors},
            "wrong",
            {"worst_of_e0_to_e3": "e1"},
            "Experiment 2 is worse, and 5 far worse: it is true only in reading order.",
            {"worst_of_e0_to_e3": max(("e0", "e1"), key=lambda name: errors[name])},
            note="The mistake: the worst of those that were read so far.",
        ),
        Row(
            "002.b",
            {"fastest_rate": 2 / (low.eigenvalues[0] + low.eigenvalues[1]), "limit": low.limit,
             "epochs_at_0.01": epochs_to(0.01), "epochs_at_0.028": epochs_to(0.028)},
            "wrong",
            {"fastest_rate": 0.01},
            "It was chosen among three values: any rate below 2/λmax converges, and 0.028 is faster.",
            {"fastest_rate": min((0.001, 0.01, 0.1), key=loss_after_1000)},
            note="Epochs until the loss is within 1e-6 of the least. The mistake: the best of 0.001, 0.01 and 0.1 "
            "after 1,000 epochs.",
        ),
        Row(
            "002.c",
            {"b_error": 3.5 - best["e0"]["b"], "b_error_of_least_squares": 3.5 - ahead.optimum[1],
             "b_error_after_2000": 3.5 - best["e3"]["b"]},
            "wrong",
            "the parameters were restored quite exactly",
            "b is off by 0.175, because the noise's own least-squares line has b = 3.3425: more epochs do not mend it.",
            {"b_error": 3.5 - bias_without_noise()},
            note="The mistake: as if the points lay on y = 2x + 3.5, where the same run would come this near.",
        ),
        Row(
            "002.e",
            {"mse": inside["mse"], "limit": ahead.limit, "growth": ahead.growth[0]},
            "wrong",
            "the overflow comes from computing the mean squared error",
            "The cause is a rate above 2/λmax: the same loss at 0.029 converges.",
            {"mse": run_past_overflow()["mse"], "first_infinite_epoch": run_past_overflow()["first_inf"]},
            note="computed at 0.029, below the limit; the mistake is the run at 0.1. The loss is the same in both.",
        ),
        Row(
            "002.f",
            {"m": START[0], "b": START[1], "seed": 1337, "largest_relative_error": largest},
            "wrong",
            None,
            "Start values and random seed are not given.",
            {"m": 0.0, "b": 0.0, "seed": 0, "largest_relative_error": guess_error()},
            note="Recovered from the printed table, which they reproduce: the error is over m, b and MSE of e0 to e3. "
            "The mistake, to guess them as 0, 0 and seed 0, gives another table.",
        ),
        Row(
            "002.h",
            sum("и уменьшаю количество эпох".count(letter) for letter in "ыэъё"),
            "wrong",
            "с learning rate = 0.1 и уменьшаю количество эпох до 100",
            "One line of experiment 5 is in Russian, in a Ukrainian text.",
            note="computed: letters of the line that Ukrainian does not have.",
        ),
        Row(
            "002.i",
            {"mse": experiment(0.029, 100)["mse"], "loss_at_epoch_100": at_100["mse"], "growth": ahead.growth[0]},
            "wrong",
            {"mse": EXPERIMENTS["e5"][4]},
            "Fewer epochs do not cure a divergence: experiment 5 is the same run, stopped earlier.",
            {"mse": at_100["mse"]},
            note="The advice, 'or reduce the number of epochs', gives experiment 5. computed: 100 epochs at 0.029, "
            "below the limit.",
        ),
    ]  # fmt: skip


def tables() -> list[Table]:
    cells = []
    for rate in (0.001, 0.01, 0.028, 0.029, 0.0292, 0.1):
        ahead = forecast(rate)
        ends = "converges" if ahead.first_infinite is None else f"infinite at {ahead.first_infinite}"
        losses = [experiment(rate, epochs)["mse"] for epochs in (100, 200, 1000)]
        cells.append([rate, *ahead.growth, ends, *losses])
    columns = ("rate", "1 − rate·λ₁", "1 − rate·λ₂", "forecast", "MSE after 100", "after 200", "after 1000")
    return [Table(f"Rates × epochs, forecast before the run (2/λmax = {forecast(0.1).limit:.8g})", columns, cells)]


def histories() -> dict[str, History]:
    return {
        f"rate {rate:g}": run(model(), LOSS, lecture_line(), rate, 400, evaluate=1)
        for rate in (0.001, 0.01, 0.028, 0.0292)
    }


def curves() -> object:
    from ..figures import loss_curves

    return loss_curves(histories(), column="loss", log=True)


def fit() -> object:
    from ..figures import fitted_line

    line = model()
    run(line, LOSS, lecture_line(), 0.01, 1000)
    return fitted_line(line, lecture_line())


LESSONS = (
    Lesson(
        "linear-regression",
        "002",
        "Which rates converge, how fast, and when will the others overflow?",
        DERIVATION,
        rows,
        tables,
        {"linear_regression_rates": curves, "linear_regression_fit": fit},
    ),
)
