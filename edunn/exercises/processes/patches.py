"""Finds what a hand-in replaces in its own process: functions and classes of this package, of torch and of numpy.

It changes no mark, for the mark is made elsewhere. It is an attempt, and is reported as one.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = __name__.split(".")[0]
LIBRARIES = ("numpy", "torch", "torch.nn.functional", "torch.autograd", "math", "numpy.linalg")


def list_attributes() -> Iterator[tuple[str, Any, str, Any]]:
    """Lists (owner's name, owner, name, value) of all that could be replaced."""
    for name, module in list(sys.modules.items()):
        if name in LIBRARIES or name.split(".")[0] == PACKAGE:
            yield "", sys.modules, name, module
            for word, value in list(vars(module).items()):
                if is_replaceable(value):
                    yield name, module, word, value
                if inspect.isclass(value) and value.__module__ == name and name.split(".")[0] == PACKAGE:
                    for inner, method in list(vars(value).items()):
                        if is_replaceable(method):
                            yield f"{name}.{word}", value, inner, method


def is_replaceable(value: Any) -> bool:
    return callable(value) or inspect.ismodule(value) or isinstance(value, property | staticmethod | classmethod)


def is_its_own(owner: str, value: Any) -> bool:
    """Whether a library has replaced a function by another of its own, as torch does when parts of it are loaded."""
    root = owner.split(".")[0]
    if root in ("", PACKAGE):
        return False
    code = getattr(value, "__code__", None)
    if code is None:
        return str(getattr(value, "__module__", "")).split(".")[0] == root
    return str(Path(sys.modules[root].__file__ or "").parent) in code.co_filename


class Snapshot:
    """What the attributes are before a hand-in runs."""

    def __init__(self) -> None:
        self.before = [(*one, getattr(one[3], "__code__", None)) for one in list_attributes()]

    def find_changes(self) -> list[str]:
        """Returns the full names of what is another thing now."""
        found = []
        for owner, holder, name, value, code in self.before:
            now = holder.get(name) if isinstance(holder, dict) else vars(holder).get(name)
            same = now is value and getattr(now, "__code__", None) is code
            if not same and not is_its_own(owner, now):
                found.append(f"{owner}.{name}".strip("."))
        return found
