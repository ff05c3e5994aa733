"""Gradient descent on any function of a few numbers, and the error of numeric derivatives.

    x ← x − rate · ∇f(x)   until   |f(x_next) − f(x)| < tolerance

The test is the lecture's: it computes the next point first, and if f changes too little the step is not taken. `at` is
the last accepted point, `tested` the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .errors import ConfigError, check_count, check_number
from .graph import Expression, parse
from .graph.expressions import check_values
from .results import Record, Table

Point = dict[str, float]
Function = Callable[..., Any]

# forward differences err by rounding ε|f|/δ and truncation ½δ|f''|: least near δ = √ε. Central: ε^(1/3)
FORWARD_POWER, CENTRAL_POWER = 1 / 2, 1 / 3
DELTA = (2.0**-52) ** CENTRAL_POWER  # 6.1e-6
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, repr=False)
class Minimum(Record):
    """The result of a descent: where it ended, and why.

    at, value : the last accepted point, and f there
    tested : the next point, which was computed but not accepted
    steps : accepted updates
    stopped : "tolerance" (f changed by less), "steps" (no more were allowed), "diverged" (f or x no longer finite)
    gradient : "autograd", "numeric" or "given"
    path : the accepted points, the start first, thinned to at most 2,000
    warnings : sentences on why the result may be wrong
    """

    expression: str
    at: Point
    tested: Point
    value: float
    steps: int
    stopped: str
    rate: float
    tolerance: float
    gradient: str
    delta: float | None
    path: tuple[tuple[float, ...], ...] = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        return self.stopped == "tolerance"

    def table(self) -> Table:
        """Returns the last point and why the descent ended, in a few lines."""
        reasons = {
            "tolerance": f"f changed by less than the tolerance {self.tolerance:g}",
            "steps": "no more steps were allowed: raise --steps, or the rate",
            "diverged": f"it diverged at rate {self.rate:g}: lower the rate",
        }
        point = ", ".join(f"{name} = {value:.10g}" for name, value in self.at.items())
        lines = [
            f"f = {self.expression}",
            f"{point}    f = {self.value:.10g}",
            f"stopped after {self.steps} steps: {reasons[self.stopped]} (gradient: {self.gradient})",
        ]
        return Table(note="\n".join([*lines, *(f"warning: {text}" for text in self.warnings)]))


def minimise(
    function: str | Expression | Function,
    start: Mapping[str, float],
    rate: float = 0.01,
    tolerance: float = 1e-7,
    steps: int = 10_000,
    gradient: str | Mapping[str, str | Function] | Callable[..., Mapping[str, float]] = "autograd",
    delta: float | None = None,
) -> Minimum:
    """Descends from `start` until f changes by less than `tolerance` in a step.

    Parameters
    ----------
    function : an expression, or a function of named numbers made of operators and torch's functions
    start : a number for each name
    gradient : "autograd"; "numeric" (central differences); or by hand: for each name its partial derivative as an
        expression, or one function that returns them by name
    delta : of the numeric gradient: (f(x + δ) − f(x − δ)) / 2δ; 6e-6 if not given
    """
    f = as_function(function)
    point = check_start(f, start)
    check_options(rate, tolerance, steps, delta, gradient)
    kind = gradient if isinstance(gradient, str) else "given"
    if kind == "numeric":
        delta = DELTA if delta is None else delta
    slope = gradient_of(f, gradient, delta or DELTA)
    names = tuple(point)
    value = at_point(f, point)
    path = [tuple(point.values())]
    stopped, taken, tested = "steps", 0, dict(point)
    for _ in range(steps):
        partial = slope(point)
        tested = {name: point[name] - rate * partial[name] for name in names}
        ahead = at_point(f, tested)
        if not all(math.isfinite(x) for x in (ahead, *tested.values())):
            stopped = "diverged"
            break
        if abs(ahead - value) < tolerance:
            stopped = "tolerance"
            break
        point, value, taken = tested, ahead, taken + 1
        path.append(tuple(point.values()))
    text = f.text if isinstance(f, Expression) else getattr(f, "__name__", "f")
    thin = max(1, math.ceil(len(path) / 2000))
    remarks = delta_warnings(f, point, delta) if kind == "numeric" and stopped != "diverged" else ()
    if stopped == "tolerance":
        remarks += minimum_warnings(f, point, slope(point), rate, tolerance)
    return Minimum(
        text, point, tested, value, taken, stopped, rate, tolerance, kind, delta if kind == "numeric" else None,
        (*path[:-1:thin], path[-1]), remarks,
    )  # fmt: skip


def as_function(function: str | Expression | Function) -> Expression | Function:
    return parse(function) if isinstance(function, str) else function


def check_start(f: Expression | Function, start: Mapping[str, float]) -> Point:
    """Returns the start as finite numbers, one for each name."""
    if isinstance(f, Expression):
        check_values(f, start)
    if not start:
        raise ConfigError("The function has no variable to minimise over.")
    point = {name: check_number(f"the start of {name}", value, -math.inf) for name, value in start.items()}
    if not math.isfinite(at_point(f, point)):
        raise ConfigError(f"f is {at_point(f, point)} at the start. Start elsewhere.")
    return point


def check_options(rate: float, tolerance: float, steps: int, delta: float | None, gradient: Any) -> None:
    """Refuses options with which no descent is possible."""
    check_number("rate", rate, 0, open_ends="low")
    check_number("tolerance", tolerance, 0)
    check_count("steps", steps)
    if delta is not None:
        check_number("delta", delta, 0, open_ends="low")
    if isinstance(gradient, str) and gradient not in ("autograd", "numeric"):
        raise ConfigError(f"gradient is 'autograd', 'numeric' or derivatives by hand; got {gradient!r}.")
    if delta is not None and gradient != "numeric":
        raise ConfigError("delta is a step of gradient='numeric'; other gradients take none.")


def tensors(point: Point, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=dtype) for name, value in point.items()}


def at_point(f: Expression | Function, point: Point, dtype: torch.dtype = torch.float64) -> float:
    """Returns f at the point, computed in float64 or float32 in the order in which it is written."""
    return float(f(**tensors(point, dtype)))


def gradient_of(f: Expression | Function, gradient: Any, delta: float) -> Callable[[Point], Point]:
    """Returns the function from a point to its partial derivatives."""
    if gradient == "numeric":
        return lambda point: {name: central(f, point, name, delta) for name in point}
    if gradient == "autograd":
        return lambda point: by_autograd(f, point)
    if callable(gradient):
        return lambda point: {name: float(value) for name, value in gradient(**point).items()}
    partials = {name: as_function(partial) for name, partial in gradient.items()}

    def by_hand(point: Point) -> Point:
        missing = [name for name in point if name not in partials]
        if missing:
            raise ConfigError(f"The derivative by {missing[0]} is missing. Give one for each of {', '.join(point)}.")
        return {name: at_point(partials[name], only(partials[name], point)) for name in point}

    return by_hand


def only(f: Expression | Function, point: Point) -> Point:
    """Returns the values of the names in this expression: a derivative may not contain all of them."""
    return {name: value for name, value in point.items() if not isinstance(f, Expression) or name in f.names}


def by_autograd(f: Expression | Function, point: Point) -> Point:
    leaves = {name: leaf.requires_grad_() for name, leaf in tensors(point).items()}
    value = f(**leaves)
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return dict.fromkeys(point, 0.0)
    found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return {name: float(slope) for name, slope in zip(leaves, found, strict=True)}


def central(
    f: Expression | Function, point: Point, name: str, delta: float, dtype: torch.dtype = torch.float64
) -> float:
    """Returns (f(x + δ) − f(x − δ)) / 2δ along one name."""
    x, d = torch.tensor(point[name], dtype=dtype), torch.tensor(delta, dtype=dtype)
    rest = tensors(point, dtype)
    return float((f(**{**rest, name: x + d}) - f(**{**rest, name: x - d})) / (2 * d))


def forward(
    f: Expression | Function, point: Point, name: str, delta: float, dtype: torch.dtype = torch.float64
) -> float:
    """Returns (f(x + δ) − f(x)) / δ along one name."""
    x, d = torch.tensor(point[name], dtype=dtype), torch.tensor(delta, dtype=dtype)
    rest = tensors(point, dtype)
    return float((f(**{**rest, name: x + d}) - f(**{**rest, name: x})) / d)


def minimum_warnings(
    f: Expression | Function, point: Point, slope: Point, rate: float, tolerance: float
) -> tuple[str, ...]:
    """Returns warnings that a small change of f does not mean a minimum: a step over the valley, or a maximum.

    A step of gradient descent should lower f by about rate · |∇f|². Where that is far more than the tolerance, and f
    changed by less, the rate is too large: x² at rate 1 goes from 1 to −1 and back.
    """
    square = sum(value**2 for value in slope.values())
    if rate * square > 10 * tolerance:
        return (
            f"this is not a minimum: the gradient is still {math.sqrt(square):.3g}. The step of rate {rate:g} jumped "
            f"to a point where f is nearly the same. Lower the rate.",
        )
    value = at_point(f, point)
    for name, x in point.items():
        h = 1e-4 * max(1.0, abs(x))
        bend = at_point(f, {**point, name: x + h}) + at_point(f, {**point, name: x - h}) - 2 * value
        if bend / h**2 < -1e-5 * max(1.0, abs(value)):
            return (
                f"this is not a minimum: f curves downwards along {name}, as at a maximum or saddle. Start elsewhere.",
            )
    return ()


def delta_warnings(f: Expression | Function, point: Point, delta: float | None) -> tuple[str, ...]:
    """Returns warnings that delta is too small (rounding noise) or too large (a chord), with a better one."""
    assert delta is not None
    size = max(abs(at_point(f, point)), 1e-300)
    rounding = 2.0**-52 * size / delta  # f is known to ε|f|, and the difference is divided by δ
    if rounding > 1e-3 * max(1.0, max(abs(x) for x in by_autograd(f, point).values())):
        return (
            f"with delta {delta:g} the numeric gradient is rounding noise: f is known to {2.0**-52 * size:.1e}, which "
            f"divided by 2 delta is {rounding / 2:.1g}. A delta near {DELTA:.0e} would serve (the cube root of 2^-52).",
        )
    truncation = max(abs(central(f, point, name, delta) - by_autograd(f, point)[name]) for name in point)
    if truncation > 1e-3:
        return (
            f"with delta {delta:g} the numeric gradient is off by {truncation:.1g}: it is the slope of a chord. "
            f"A delta near {DELTA:.0e} would serve.",
        )
    return ()


@dataclass(frozen=True, repr=False)
class StepStudy(Record):
    """The error of forward and central differences against δ, in float32 and float64: two V-curves each.

    name, point, true : ∂f/∂name at the point, by autograd in float64
    deltas : from 1e-1 to 1e-16
    errors : for "forward float64", "central float32", …: the relative error at each delta
    best : for each curve the `delta` with the least error, and that `error`
    theory : the errors expected from truncation and rounding, relative to the derivative
    """

    expression: str
    name: str
    point: Point
    true: float
    deltas: tuple[float, ...]
    errors: dict[str, tuple[float, ...]]
    best: dict[str, dict[str, float]]
    theory: dict[str, tuple[float, ...]] = field(repr=False)

    def table(self) -> Table:
        """Returns the errors: a row for each power of ten, a column for each rule and dtype, and the best δ below."""
        where = ", ".join(f"{name} = {value:g}" for name, value in self.point.items())
        title = f"d/d{self.name} of {self.expression} at {where}: {self.true:.10g}; relative error of differences"
        best = [f"best {key}: delta {b['delta']:.0e}, error {b['error']:.0e}" for key, b in self.best.items()]
        rows = [(delta, *errors) for delta, *errors in zip(self.deltas, *self.errors.values(), strict=True)][::4]
        formats = dict.fromkeys(self.errors, ".1e") | {"delta": ".0e"}
        return Table(("delta", *self.errors), rows, "\n".join(best), title, formats)


def step_study(function: str | Expression | Function, point: Mapping[str, float], name: str | None = None) -> StepStudy:
    """Measures the error of forward and central differences for steps δ from 1e-1 to 1e-16.

    If δ is too large, the difference is the slope of a chord; if it is too small, rounding dominates.
    """
    f = as_function(function)
    at = check_start(f, point)
    name = next(iter(at)) if name is None else name
    if name not in at:
        raise ConfigError(f"{name!r} is not a variable of f; its variables are {', '.join(at)}.")
    true = by_autograd(f, at)[name]
    deltas = tuple(10.0 ** (-k / 4) for k in range(4, 65))
    scale = max(abs(true), 1e-300)
    errors = {}
    for rule, difference in (("forward", forward), ("central", central)):
        for kind, dtype in DTYPES.items():
            found = [difference(f, at, name, delta, dtype) for delta in deltas]
            errors[f"{rule} {kind}"] = tuple(
                abs(value - true) / scale if math.isfinite(value) else float("inf") for value in found
            )
    best = {}
    for key, values in errors.items():
        error, delta = min(zip(values, deltas, strict=True))
        best[key] = {"delta": delta, "error": error}
    text = f.text if isinstance(f, Expression) else getattr(f, "__name__", "f")
    return StepStudy(text, name, at, true, deltas, errors, best, theory_of(f, at, name, deltas, scale))


def theory_of(
    f: Expression | Function, at: Point, name: str, deltas: tuple[float, ...], scale: float
) -> dict[str, tuple[float, ...]]:
    """Returns the theoretical errors by truncation and by rounding, the straight lines of the V-curves."""
    x = torch.tensor(at[name], dtype=torch.float64, requires_grad=True)
    slopes = [f(**{**tensors(at), name: x})]
    for _ in range(3):
        last = slopes[-1]
        if not last.requires_grad:
            slopes.append(torch.zeros_like(last))
        else:
            slopes += torch.autograd.grad(last, x, create_graph=True, materialize_grads=True)
    size, _, second, third = (abs(float(slope.detach())) for slope in slopes)
    lines = {
        "truncation ½δ|f''|": tuple(delta * second / 2 / scale for delta in deltas),
        "truncation ⅙δ²|f'''|": tuple(delta**2 * third / 6 / scale for delta in deltas),
        "rounding ε|f|/δ, float64": tuple(2.0**-53 * size / delta / scale for delta in deltas),
        "rounding ε|f|/δ, float32": tuple(2.0**-24 * size / delta / scale for delta in deltas),
    }
    return {key: line for key, line in lines.items() if any(line)}
