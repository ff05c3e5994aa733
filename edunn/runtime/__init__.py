"""Devices, processes, threads, files, and features that stay in files.

`devices` (names, dtypes, seeds), `processes` (several processes under torchrun), `threads`, `rows` and `prefetch`
(features that are read when they are needed), `files`; `names` and `options` (checks of a user's words and values).
Each loads on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

MODULES = (
    "broadcasting", "claims", "devices", "files", "interrupts", "names", "options", "prefetch", "processes", "reprs",
    "rows", "schema", "shared_batch", "threads",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(MODULES)
