"""Reads the options of a class or function from its signature, and converts TOML values to their types."""

from __future__ import annotations

import dataclasses
import inspect
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ConfigError

LARGEST = 2**63 - 1  # of a whole number: torch stores 64 bits

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlong = 30


def options_of(maker: Callable[..., Any]) -> list[str]:
    """Lists the arguments of a constructor by name, including those of its base behind `**options`."""
    return list(signature_of(maker))


def required_of(maker: Callable[..., Any]) -> list[str]:
    """Lists the arguments without a default, except those that a class itself gives its base."""
    function = maker.__init__ if isinstance(maker, type) else maker  # type: ignore[misc]
    return [name for name, parameter in named_parameters(function).items() if parameter.default is parameter.empty]


def hints_of(maker: Callable[..., Any]) -> dict[str, Any]:
    """Returns the types of the arguments of a function or constructor, including those of its bases."""
    if not isinstance(maker, type):
        return typing.get_type_hints(maker)
    hints: dict[str, Any] = {}
    for base in reversed(maker.__mro__[:-1]):
        if inspect.isfunction(base.__dict__.get("__init__")) and base.__module__.startswith("edunn"):
            hints |= typing.get_type_hints(base.__dict__["__init__"])
    return hints


def signature_of(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns the named parameters of a function or a class; those of a base replace a constructor's `**options`."""
    functions = [maker]
    if isinstance(maker, type):
        functions = [base.__dict__["__init__"] for base in maker.__mro__[:-1] if "__init__" in base.__dict__]
    found: dict[str, inspect.Parameter] = {}
    for function in functions:
        found |= {name: p for name, p in named_parameters(function).items() if name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
            break
    return found


def named_parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns a function's own parameters, without `self`, `*given` and `**options`."""
    parameters = inspect.signature(function).parameters
    return {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and n != "self"}


def typed(value: Any, hint: Any, name: str) -> Any:
    """Returns an option as its parameter's type, if TOML can write that type; else unchanged."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    choices = typing.get_args(hint) if union else (hint,)
    simple = [choice for choice in choices if choice in (bool, int, float, str)]
    containers = [choice for choice in choices if typing.get_origin(choice) in (list, tuple, Sequence, dict, Mapping)]
    if not simple or (containers and isinstance(value, list | dict)):
        return value
    return coerce(value, typing.Union[tuple(simple)], name)  # noqa: UP007


def coerce(value: Any, hint: Any, name: str) -> Any:
    """Returns a TOML value as the type of its field. A value of another type raises ConfigError."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    choices = [h for h in typing.get_args(hint) if h is not types.NoneType] if union else [hint]
    for choice in choices:
        if typing.get_origin(choice) is typing.Literal and value in typing.get_args(choice):
            return value
        if typing.get_origin(choice) is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if choice is float and type(value) in (int, float):
            return check_size(value, name) if isinstance(value, float) else float(check_size(value, name))
        if choice in (int, str, bool) and type(value) is choice:
            return check_size(value, name)
    raise ConfigError(f"{name} must be {' or '.join(describe(c) for c in choices)}; got {shorten(value)}.")


def check_size(value: Any, name: str) -> Any:
    """Returns the value; a whole number of more than 64 bits raises ConfigError."""
    if type(value) is int and abs(value) > LARGEST:
        raise ConfigError(f"{name} = {shorten(value)} is too large: whole numbers go up to {LARGEST}.")
    return value


def shorten(value: Any) -> str:
    """Returns the value as text for a message, without the middle of a long one."""
    return _short.repr(value)


def describe(hint: Any) -> str:
    """Returns a type in words."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(v) for v in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return "a list of names"
    if dataclasses.is_dataclass(hint):
        return "a table"
    return {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}.get(hint, str(hint))
