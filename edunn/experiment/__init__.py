"""Trains what a config describes, writes the run's folder, and loads it again."""

from ..runtime.guesses import public
from .build import Prepared, prepare
from .folder import RunFolder
from .loaded import LoadedRun, load
from .predictions import Mistakes, Predictions
from .rates import find_rate_of
from .sharing import share
from .surfaces import RunSurface, surface_of_run
from .sweep import Sweep, sweep
from .train import resume, train

__all__ = [
    "LoadedRun",
    "Mistakes",
    "Predictions",
    "Prepared",
    "RunFolder",
    "RunSurface",
    "Sweep",
    "find_rate_of",
    "load",
    "prepare",
    "resume",
    "share",
    "surface_of_run",
    "sweep",
    "train",
]
__getattr__, __dir__ = public(__name__, __all__)
