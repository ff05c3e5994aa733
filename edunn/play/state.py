"""What the page asks for, checked: its state as a frozen record, or one sentence that says what is wrong.

The page sends its whole state with every question, so the server keeps no session, and an address that someone shares
or edits by hand meets the same checks. Every number is finite and bounded, and an unknown key is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ConfigError, check_count, nearest
from ..landscape import study
from ..runtime.names import resolve
from ..updates import RULES

LARGEST = 1e12  # of a sample, a window's end or a rate
MOST_POINTS = 20_000  # samples that the page itself holds
MOST_SAMPLES = 1_000_000
SIZES = (2, 512)  # grid points along an axis
MOST_STEPS, MOST_STARTS = 5000, 64
MOST_PATHS = 1_000_000  # rules × starts × steps
SOURCES = ("random", "points", "file")
PENALTIES = ("l2", "l1")


@dataclass(frozen=True)
class Data:
    """Where the samples come from.

    source : "random" (a formula and a seed), "points" (drawn on the page) or "file" (named on the command line)
    x, y : of points; the names of two columns of the file
    """

    source: str = "random"
    samples: int = 100
    seed: int = 0
    x: tuple[float, ...] | str = ()
    y: tuple[float, ...] | str = ()


@dataclass(frozen=True)
class Question:
    """One surface: a loss on samples, over a window.

    problem : "linear" or "binary"
    loss, activation : by name; `activation` is None for the loss's own
    penalty, strength : of w, and not of b; "none" for no penalty
    w, b : the window, (low, high); None leaves it to `landscape.windows`
    size : grid points along each axis
    exact : whether the surface goes to the last digit, as it does when the page is still; else a preview
    """

    data: Data = Data()
    problem: str = "binary"
    loss: str = "mse"
    activation: str | None = None
    penalty: str = "none"
    strength: float = 0.0
    w: tuple[float, float] | None = None
    b: tuple[float, float] | None = None
    size: int = 128
    exact: bool = False


@dataclass(frozen=True)
class Race:
    """The update rules, each with its rate, that start at some points. `batch_size` None takes all samples a step."""

    rules: tuple[tuple[str, float], ...]
    starts: tuple[tuple[float, float], ...]
    steps: int = 300
    batch_size: int | None = None
    seed: int = 0


def read_question(given: Any) -> Question:
    """Returns the question of a page's state. Raises ConfigError where it does not fit."""
    values = take(given, Question, "the state")
    data = take(values.pop("data", {}), Data, "data")
    size = check_count("size", values.get("size", 128), *SIZES)
    problem = resolve(text("problem", values.get("problem", "binary")), study.PROBLEMS, "problem")
    loss = text("loss", values.get("loss", "mse"))
    resolve(loss, study.LOSSES, "loss")
    activation = values.get("activation")
    if activation is not None:
        activation = resolve(text("activation", activation), study.THROUGH, "activation")
    penalty = text("penalty", values.get("penalty", "none"))
    if penalty != "none":
        penalty = resolve(penalty, PENALTIES, "penalty")
    return Question(
        data=read_data(data),
        problem=problem,
        loss=loss,
        activation=activation,
        penalty=penalty,
        strength=number("strength", values.get("strength", 0.0), 0, LARGEST),
        w=window("w", values.get("w")),
        b=window("b", values.get("b")),
        size=size,
        exact=flag("exact", values.get("exact", False)),
    )


def read_data(values: dict[str, Any]) -> Data:
    """Returns the samples' origin."""
    source = text("data.source", values.get("source", "random"))
    if source not in SOURCES:
        raise ConfigError(f"data.source is {', '.join(SOURCES)}; got {source!r}. {nearest(source, SOURCES)}")
    samples = check_count("data.samples", values.get("samples", 100), 1, MOST_SAMPLES)
    seed = check_count("data.seed", values.get("seed", 0), 0, 2**31)
    x, y = values.get("x", ()), values.get("y", ())
    if source == "points":
        x, y = (numbers(f"data.{name}", value, MOST_POINTS) for name, value in (("x", x), ("y", y)))
        if len(x) != len(y) or not x:
            raise ConfigError(f"Points have an x and a y each, one point or more; got {len(x)} and {len(y)}.")
    elif source == "file":
        x, y = (text(f"data.{name}", value) if value else "" for name, value in (("x", x), ("y", y)))
    else:
        x, y = (), ()
    return Data(source, samples, seed, x, y)


def read_race(given: Any) -> Race:
    """Returns the race of a page's state."""
    values = take(given, Race, "race")
    rules = values.get("rules", {})
    if not isinstance(rules, dict) or not 1 <= len(rules) <= len(RULES):
        raise ConfigError('race.rules is an object of rules and rates, such as {"adam": 0.1}.')
    racers = tuple(
        (resolve(text("a rule", name), tuple(RULES), "rule"), number(f"the rate of {name}", rate, 0, LARGEST))
        for name, rate in rules.items()
    )
    starts = values.get("starts", ())
    if not isinstance(starts, list) or not 1 <= len(starts) <= MOST_STARTS:
        raise ConfigError(f"race.starts is a list of 1 to {MOST_STARTS} points [w, b].")
    points = tuple(pair("a start", start) for start in starts)
    steps = check_count("race.steps", values.get("steps", 300), 1, MOST_STEPS)
    if len(racers) * len(points) * steps > MOST_PATHS:
        raise ConfigError(f"Rules × starts × steps are at most {MOST_PATHS:,}. Take fewer steps or starts.")
    batch = values.get("batch_size")
    return Race(
        rules=racers,
        starts=points,
        steps=steps,
        batch_size=None if batch is None else check_count("race.batch_size", batch, 1, MOST_SAMPLES),
        seed=check_count("race.seed", values.get("seed", 0), 0, 2**31),
    )


# ---- single values ---------------------------------------------------------------------------------------------------


def take(given: Any, record: type, name: str) -> dict[str, Any]:
    """Returns a copy of an object whose keys are all fields of a record."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{name} is an object; got {type(given).__name__}.")
    known = [field.name for field in fields(record)]
    for key in given:
        if key not in known:
            raise ConfigError(f"Unknown key {str(key)[:40]!r} in {name}. {nearest(str(key)[:40], known)}")
    return dict(given)


def number(name: str, value: Any, low: float, high: float) -> float:
    """Returns a finite number within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name} is a finite number; got {str(value)[:40]!r}.")
    if not low <= value <= high:
        raise ConfigError(f"{name} lies between {low:g} and {high:g}; got {value:g}.")
    return float(value)


def numbers(name: str, values: Any, most: int) -> tuple[float, ...]:
    """Returns a list of finite numbers as a tuple."""
    if not isinstance(values, list) or len(values) > most:
        raise ConfigError(f"{name} is a list of at most {most:,} numbers.")
    return tuple(number(f"{name}[{i}]", value, -LARGEST, LARGEST) for i, value in enumerate(values))


def pair(name: str, value: Any) -> tuple[float, float]:
    """Returns a list of two finite numbers as a tuple."""
    found = numbers(name, value, 2)
    if len(found) != 2:
        raise ConfigError(f"{name} is two numbers; got {len(found)}.")
    return found[0], found[1]


def window(name: str, value: Any) -> tuple[float, float] | None:
    """Returns a window (low, high), or None for the default one."""
    if value is None:
        return None
    low, high = pair(name, value)
    if not low < high:
        raise ConfigError(f"The window of {name} goes up, low < high; got {low:g} and {high:g}.")
    return low, high


def flag(name: str, value: Any) -> bool:
    """Returns true or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is true or false; got {str(value)[:40]!r}.")
    return value


def text(name: str, value: Any) -> str:
    """Returns a short text."""
    if not isinstance(value, str) or len(value) > 200:
        raise ConfigError(f"{name} is a short text; got {str(value)[:40]!r}.")
    return value
