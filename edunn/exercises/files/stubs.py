"""Stands in for modules that a hand-in imports and that are not here, so that what does not need them can be graded.

Harmless ones work (`past.builtins.xrange` is range, a progress bar shows nothing); of the others, the first use of what
they would have given is an error that says what is missing.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def do_nothing(*given: Any, **named: Any) -> None:
    """What a picture, a sound or a mounted drive is to a grade."""


def give_back(*given: Any, **named: Any) -> Any:
    """A decorator, or a progress bar, that leaves its argument as it is: `@jit` and `@jit(nopython=True)`."""
    return given[0] if given else lambda function: function


HARMLESS: dict[str, dict[str, Any]] = {
    "past.builtins": {"xrange": range, "range": range, "basestring": str, "unicode": str, "long": int},
    "six.moves": {"xrange": range, "range": range, "zip": zip, "map": map, "input": do_nothing},
    "google.colab": {"drive": None, "files": None},
    "google.colab.drive": {"mount": do_nothing},
    "google.colab.files": {"upload": do_nothing, "download": do_nothing},
    "IPython": {"get_ipython": do_nothing},
    "IPython.display": {"display": do_nothing, "clear_output": do_nothing, "Image": do_nothing, "HTML": do_nothing},
    "numba": {"jit": give_back, "njit": give_back, "vectorize": give_back, "prange": range},
    "tqdm": {"tqdm": give_back, "trange": range},
    "tqdm.notebook": {"tqdm": give_back, "trange": range},
    "typing_extensions": {},
}  # fmt: skip


class Absent:
    """A thing of a module that is not here. It may be named, inherited from and decorated with, but not used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._name}.{name}")

    def __call__(self, *given: Any, **named: Any) -> Any:
        raise ImportError(f"{self._name} is needed here, and its module is not installed")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class Stub(ModuleType):
    """A module that is not here."""

    __all__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of the course near the file, under whatever package they are imported from; stubs the rest.

    missing : top-level names that no other finder knows
    folders : where the course's modules may lie
    stubbed : what was asked for and not found
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.missing: set[str] = set()
        self.folders = folders
        self.stubbed: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] not in self.missing:
            return None
        for folder in self.folders if "." in name else ():
            file = folder.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if file.is_file():
                return importlib.util.spec_from_file_location(name, file)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def add(self, name: str | None) -> bool:
        """Takes a name for missing from now on; False where that changes nothing."""
        top = (name or "").split(".")[0]
        if not top or top in self.missing:
            return False
        self.missing.add(top)
        return True

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = Stub(spec.name)
        known = HARMLESS.get(spec.name, {})
        for name, value in known.items():
            if value is not None:  # None: a module of its own
                setattr(module, name, value)
        if not known and spec.name not in self.stubbed and not any(n.startswith(f"{spec.name}.") for n in HARMLESS):
            self.stubbed.append(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass

    def forget(self) -> None:
        """Takes the stubs out of the interpreter again."""
        for name in [name for name, module in sys.modules.items() if isinstance(module, Stub)]:
            del sys.modules[name]
