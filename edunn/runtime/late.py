"""Functions of higher levels that a lower one offers: `Model.fit` trains by `edunn.descent` and does not import it.

The package's root, which knows every module, registers them; each loads when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS: dict[str, Callable[[], Callable[..., Any]]] = {}  # name -> what loads the function


def call(name: str, *args: Any, **options: Any) -> Any:
    """Calls the function that the root registered under this name."""
    return FUNCTIONS[name]()(*args, **options)
