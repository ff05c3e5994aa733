"""A course's own functions, called as the exercises are: `--with ADAPTER.py`, written once for a whole class.

An adapter is a hand-in file of its own, which imports the student's file under the name `handin`:

    import handin

    class Affine:
        task = "linear"
        uses = ("affine_forward", "affine_backward")  # left out where the student's file has neither

        def forward(self, features, weight, bias):
            out, self.cache = handin.affine_forward(features, weight.T, bias)
            return out

        def backward(self, upstream):
            dx, dw, db = handin.affine_backward(upstream, self.cache)
            return {"features": dx, "weight": dw.T, "bias": db}
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from .calls import HandinError
from .courses import apply_course
from .files.executing import ExecutedModule, execute
from .handins import Handin, select

NAME = "handin"  # what an adapter imports the student's file as


@dataclass(frozen=True)
class Loaded:
    """A file that was run, and what it hands in."""

    module: ExecutedModule
    handins: list[Handin]


def load_adapted(path: Path, name: str | None = None, adapter: str = "", course: str = "") -> Loaded:
    """Runs a hand-in, and the adapter of its course if there is one, and returns what is handed in."""
    module = execute(path)
    if not adapter:
        found = select(module, str(path), name)
        return Loaded(module, apply_course(found, course) if course else found)
    found = adapt(module, Path(adapter), name)
    if not found:
        raise module.error or HandinError(f"{path.name} has nothing that {Path(adapter).name} calls.")
    return Loaded(module, [point_to(one, str(path)) for one in found])


def point_to(handin: Handin, file: str) -> Handin:
    """Returns an adapter's hand-in as the student's: no line of the adapter is one of the student's file."""
    return replace(handin, file=file, lines=(), others=tuple(point_to(one, file) for one in handin.others))


def adapt(module: ExecutedModule, adapter: Path, name: str | None) -> list[Handin]:
    """Returns what the adapter finds in a student's module."""
    sys.modules[NAME] = module
    own = execute(adapter)
    sys.modules[module.__name__] = module
    unused = [word for word, thing in vars(own).items() if isinstance(thing, type) and not has_all(module, thing)]
    for word in unused:
        delattr(own, word)
    if not any(isinstance(thing, type) and hasattr(thing, "uses") for thing in vars(own).values()) and unused:
        return []
    return select(own, str(adapter), name)


def has_all(module: ModuleType, thing: Any) -> bool:
    return all(hasattr(module, word) for word in getattr(thing, "uses", ()))
