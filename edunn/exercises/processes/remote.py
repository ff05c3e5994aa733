"""A hand-in whose code runs in another process: its description, and functions that ask that process.

Whatever grades a hand-in calls its functions; it does not see that they are elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..calls import HandinError
from ..exercise import Exercise, GradientExercise
from ..handin import Handin
from ..table.foreign import find_exercise
from .wire import WireError, find_record

Ask = Callable[[str, Mapping[str, Any]], Any]

# ---- in the process of the hand-in ----------------------------------------------------------------------------------


def flatten(handins: Iterable[Handin]) -> list[Handin]:
    """Returns every hand-in with its others behind it: the places are the numbers that they are asked for by."""
    return [one for handin in handins for one in (handin, *handin.others)]


def describe_all(handins: Iterable[Handin]) -> list[list[dict[str, Any]]]:
    """Describes each hand-in and its others, in plain values."""
    return [[describe(one) for one in (handin, *handin.others)] for handin in handins]


def describe(handin: Handin) -> dict[str, Any]:
    given = {field.name: getattr(handin, field.name) for field in fields(handin) if field.name != "others"}
    return {name: describe_value(value) for name, value in given.items()}


def describe_value(value: Any) -> Any:
    """Describes one field: an exercise by its name, a record by its fields, a function by the fact that it is one."""
    if isinstance(value, Exercise):
        own = find_exercise(value.name)
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        changed = {name: one for name, one in given.items() if one is not getattr(own, name)}
        plain = {name: one for name, one in changed.items() if isinstance(one, str | tuple)}
        return {"exercise": value.name, "changed": plain, "asked": [name for name in changed if name not in plain]}
    if is_dataclass(value) and not isinstance(value, type):
        kind = f"{type(value).__module__}:{type(value).__name__}"
        return {"record": kind, "fields": {one.name: describe_value(getattr(value, one.name)) for one in fields(value)}}
    return {"function": True} if callable(value) else {"plain": value}


def seed_generators(seed: int) -> None:
    """Seeds whatever a hand-in may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a traceback for CUDA, at each call


# ---- in the process that grades --------------------------------------------------------------------------------------


def rebuild_all(described: list[list[dict[str, Any]]], ask: Ask) -> list[Handin]:
    """Returns the hand-ins, with functions that ask the process which they are in."""
    found, number = [], 0
    for group in described:
        several = []
        for one in group:
            several.append(rebuild(one, number, ask))
            number += 1
        found.append(replace(several[0], others=tuple(several[1:])))
    return found


def rebuild(described: Mapping[str, Any], number: int, ask: Ask) -> Handin:
    try:
        return Handin(**{name: rebuild_value(value, number, name, ask) for name, value in described.items()})
    except (TypeError, KeyError, ValueError) as error:
        raise WireError(f"a hand-in cannot be read: {error}") from None


def rebuild_value(value: Mapping[str, Any], number: int, name: str, ask: Ask) -> Any:
    if "exercise" in value:
        return rebuild_exercise(value, number, ask)
    if "record" in value:
        inner = {key: rebuild_value(one, number, key, ask) for key, one in value["fields"].items()}
        return find_record(value["record"])(**inner)
    return RemoteFunction(number, name, ask) if "function" in value else value["plain"]


def rebuild_exercise(value: Mapping[str, Any], number: int, ask: Ask) -> Exercise:
    """Returns an exercise as a hand-in answers it: with fewer arguments, or with arguments of its own shapes.

    What the other process says of it is not believed further: every gradient that the exercise asks for is looked at.
    """
    own, changed = find_exercise(value["exercise"]), dict(value["changed"])
    asked: dict[str, Any] = {key: RemoteFunction(number, f"exercise.{key}", ask) for key in value["asked"]}
    arguments = changed.get("arguments", own.arguments)
    wanted = tuple(name for name in getattr(own, "wanted", ()) if name in arguments)
    if set(changed) - {"arguments", "wanted"} or set(asked) - {"drawn"} or set(arguments) - set(own.arguments):
        raise WireError("an exercise is not described as it may be")
    if isinstance(own, GradientExercise) and (not wanted or set(changed.get("wanted", wanted)) != set(wanted)):
        raise WireError("no gradient is handed in")
    if "drawn" in asked:
        asked["drawn"] = check_drawn(asked["drawn"])
    return replace(own, **changed, **asked)


def check_drawn(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a draw of arguments that refuses points at which a gradient would show nothing."""

    def run(*given: Any) -> Any:
        found = draw(*given)
        for value in found.values():
            spread = isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 1
            if spread and not (bool(value.isfinite().all()) and 1e-3 < float(value.std()) < 1e3):
                raise HandinError("The arguments that it draws are all alike, or not finite.")
        return found

    return run


class RemoteFunction:
    """One function of a hand-in, called in the process that the hand-in runs in."""

    def __init__(self, number: int, part: str, ask: Ask) -> None:
        self.number, self.part, self.ask = number, part, ask

    def __call__(self, *given: Any) -> Any:
        # a number of our own generator: the other process draws the same again exactly where ours was seeded the same
        seed = random.getrandbits(32)
        answer = self.ask("call", {"number": self.number, "part": self.part, "given": list(given), "seed": seed})
        for place, changed in answer["changed"].items():
            overwrite(given[int(place)], changed)
        return answer["returned"]

    def find_sources(self, handin: Handin, seed: int) -> list[str]:
        """Returns what the gradient is derived by; the calls are recorded in the other process."""
        described = describe(handin)
        plain = {name: value for name, value in described.items() if "function" not in value and name != "exercise"}
        found = self.ask("sources", {"number": self.number, "handin": plain, "seed": seed})
        return [str(one)[:200] for one in found][:10]


def overwrite(mine: Any, changed: Any) -> None:
    """Writes what a hand-in changed in place into the argument that it was given a copy of."""
    same = isinstance(mine, Tensor | np.ndarray) and tuple(np.shape(changed)) == tuple(mine.shape)
    if same and isinstance(mine, Tensor):
        mine.copy_(torch.as_tensor(changed))
    elif same:
        mine[...] = np.asarray(changed)
