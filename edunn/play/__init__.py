"""The live page: the exact surface of a loss on your samples, and update rules that race down it, in the browser.

    edunn.play()                                  # the page in your browser; a notebook shows it in a frame
    edunn.play(x, y, loss="bce")                  # on your own samples
    edunn play --data points.csv --x size --y price

`state` checks what the page asks, `answers` computes it, `server` is the one file that knows HTTP, `run` starts it, and
`page/` is what the browser loads. It needs the extra `play`: pip install "edunn-torch[play]".
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ..errors import ConfigError


def available() -> bool:
    """Returns whether the packages of the extra `play` are installed."""
    return all(find_spec(name) is not None for name in ("starlette", "uvicorn"))


def need_packages() -> None:
    """Raises ConfigError where the extra is not installed."""
    if not available():
        raise ConfigError('The live page needs two more packages: pip install "edunn-torch[play]".')


def open_page(x: Any = None, y: Any = None, *, port: int = 0, browser: bool = True, **state: Any) -> Any:
    """Starts the page, and returns its server, which a notebook shows as a frame. `stop()` ends it.

    Parameters
    ----------
    x, y : (samples,) each, your own samples; None starts with random ones
    port : 0 takes a free one
    browser : open the page in the browser; in a notebook it is shown below the cell instead
    state : the page's controls: loss="bce", problem="binary", activation=…, penalty=…, strength=…, w=(low, high), …
    """
    need_packages()
    from .notebook import start

    return start(x, y, port, browser, state)


class CallableModule(ModuleType):
    """`edunn.play` is this folder, and a function as well: `edunn.play(x, y)`."""

    def __call__(self, *given: Any, **options: Any) -> Any:
        return open_page(*given, **options)


sys.modules[__name__].__class__ = CallableModule
