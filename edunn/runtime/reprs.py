"""Writes `repr` as the constructor's call: `Hinge(power=2)`, `L2(0.1)`, `SquaredError(through=Sigmoid())`."""

from __future__ import annotations

import inspect
import math
from typing import Any, Self

import torch
from torch import Tensor

LONGEST = 8  # entries of a tensor that are written out
REQUIRED = inspect.Parameter.empty


class ArgumentRepr:
    """A base whose `repr` shows the constructor's arguments that differ from their defaults.

    Required arguments and the numbers right after them are shown by position, all others by name. A given argument
    that is an attribute is shown as it is now: a strength may have changed. The device is left out, and of a module's
    weights only the dtype is shown: `eval(repr(model))` is the model before training.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        thing = super().__new__(cls)
        vars(thing)["_given"] = (args, options)  # not by setattr: a torch module is not ready for it yet
        return thing

    def __repr__(self) -> str:
        args, options = vars(self)["_given"]
        own = inspect.signature(type(self)).parameters.values()
        names = [p.name for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
        given = dict(zip(names, args, strict=False)) | options
        shown, leading = [to_source(value) for value in args[len(names) :]], True  # first those of `*layers`
        defaults = defaults_of(type(self))
        for name, default in (defaults | {name: REQUIRED for name in given if name not in defaults}).items():
            value = current(self, name, given.get(name)) if name in given or name == "dtype" else default
            if name == "device" or value is default or same(value, default):
                leading = False
                continue
            leading = leading and name in names and (default is REQUIRED or type(value) in (int, float))
            shown.append(to_source(value) if leading else f"{name}={to_source(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def defaults_of(kind: type) -> dict[str, Any]:
    """Returns the default of each argument, or `REQUIRED`, including those of a base that takes `**options`."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base):
            _, *own = inspect.signature(vars(base)["__init__"]).parameters.values()
            for p in own:
                if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                    found.setdefault(p.name, p.default)
            if not any(p.kind is p.VAR_KEYWORD for p in own):
                break
    return found


def current(thing: Any, name: str, given: Any) -> Any:
    """Returns the argument's current value, if the object keeps it; for a module's dtype that of its weights."""
    if name == "dtype" and isinstance(thing, torch.nn.Module):
        weight = next(thing.parameters(), None)
        return None if weight is None or weight.dtype == torch.get_default_dtype() else weight.dtype
    now = vars(thing).get(name)
    return given if now is None else now


def same(value: Any, default: Any) -> bool:
    """Returns whether a value equals the default, in type and value."""
    return type(value) is type(default) and not isinstance(value, Tensor) and bool(value == default)


def to_source(value: Any) -> str:
    """Returns a value as Python source; a long tensor, or one of several axes, only by its shape."""
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f"float('{value}')"
    if not isinstance(value, Tensor):
        return repr(value)
    if value.numel() > LONGEST or value.ndim > 1:
        return f"<tensor of shape {tuple(value.shape)}>"
    entries = value.detach().cpu().flatten()
    numbers = [str(x) for x in (entries.float() if value.dtype == torch.bfloat16 else entries).numpy()]
    dtype = "" if value.dtype in (torch.get_default_dtype(), torch.int64, torch.bool) else f", dtype={value.dtype}"
    return f"torch.tensor({numbers[0] if value.ndim == 0 else '[' + ', '.join(numbers) + ']'}{dtype})"
