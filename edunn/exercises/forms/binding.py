"""Calls a function with whatever is known of its parameters: the arguments by their meaning, and what a course gives.

A dictionary of options (`bn_param`, `conv_param`, …), a size, a mode or a rate is no argument of the mathematics: it
is given the value that makes the function an ordinary one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..calls import HandinError
from ..exercise import KEEP
from ..signature import ALIASES, assign, read_map

RATE = 0.25  # of a layer that updates its own parameters: a power of two, so that it divides out without rounding

OPTIONS: dict[str, Callable[[], Any]] = {
    "bn_param": lambda: {"mode": "train"},
    "bn_params": lambda: {"mode": "train"},
    "ln_param": dict,
    "gn_param": dict,
    "dropout_param": lambda: {"mode": "train", "p": KEEP, "seed": 123},
    "conv_param": lambda: {"stride": 1, "pad": 1},
    "pool_param": lambda: {"pool_height": 2, "pool_width": 2, "stride": 2},
    "hparameters": lambda: {"stride": 1, "pad": 1, "f": 2},
    "hparam": lambda: {"stride": 1, "pad": 1, "f": 2},
    "mode": lambda: "train",
    "training": lambda: True,
    "train": lambda: True,
    "is_training": lambda: True,
    "train_flg": lambda: True,
    "eps": lambda: 1e-5,
    "epsilon": lambda: 1e-5,
    "momentum": lambda: 0.9,
    "verbose": lambda: False,
    "p": lambda: KEEP,
    "keep_prob": lambda: KEEP,
    "rate": lambda: 1 - KEEP,
    "dropout_rate": lambda: 1 - KEEP,
    "seed": lambda: 123,
    "stride": lambda: 1,
    "pad": lambda: 1,
    "padding": lambda: 1,
    "G": lambda: 2,
    "axis": lambda: 0,
}
RATES = ("lr", "learning_rate", "eta", "alpha", "learningrate", "rate", "step_size", "l_rate", "lrate")
CACHES = ("cache", "caches", "ctx", "memory", "mem", "context", "saved", "state", "cached", "tape")


def list_required(function: Callable[..., Any]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters.values()
    return [one for one in found if one.default is one.empty and one.kind not in kinds]


def list_all(function: Callable[..., Any]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [one for one in inspect.signature(function).parameters.values() if one.kind not in kinds]


def bind(
    function: Callable[..., Any],
    known: Mapping[str, Any],
    literal: Mapping[str, Any] | None = None,
    order: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the keyword arguments of a call.

    known : arguments by their meaning: weight, features, upstream, …; a parameter is matched through its aliases
    literal : by the very name of a parameter, and before the aliases
    order : meanings for the required parameters whose names say nothing, in this order
    """
    literal, said = literal or {}, read_map(function)
    found: dict[str, Any] = {}
    used: set[str] = set()
    waiting = []
    for one in list_all(function):
        if said.get(one.name) in known:
            found[one.name] = known[said[one.name]]
            used.add(said[one.name])
        elif one.name in literal:
            found[one.name] = literal[one.name]
        else:
            waiting.append(one)
    for word, meaning in assign([one.name for one in waiting], [name for name in known if name not in used]).items():
        found[word] = known[meaning]
        used.add(meaning)
    for one in waiting:
        if one.name not in found and one.default is one.empty and one.name in OPTIONS:
            found[one.name] = OPTIONS[one.name]()
    left = [name for name in order if name in known and name not in used]
    for one in waiting:
        if one.name in found or one.default is not one.empty:
            continue
        if not left:
            raise HandinError(f"{getattr(function, '__name__', 'the function')} wants {one.name!r}, which is not known")
        found[one.name] = known[left.pop(0)]
    return found


def call_bound(function: Callable[..., Any], keywords: Mapping[str, Any]) -> Any:
    """Calls it; parameters that are positional alone are passed so."""
    positional = [one for one in list_all(function) if one.kind is one.POSITIONAL_ONLY]
    first = [keywords[one.name] for one in positional if one.name in keywords]
    return function(*first, **{k: v for k, v in keywords.items() if k not in {one.name for one in positional}})


def is_cache(word: str) -> bool:
    return word.lower().endswith(CACHES) or word.lower().startswith("cache")


def is_rate(word: str) -> bool:
    return word.lower() in RATES


def is_upstream(word: str) -> bool:
    return word.lower() in ALIASES["upstream"] or word.lower().startswith(("dout", "d_out", "upstream", "grad_"))
