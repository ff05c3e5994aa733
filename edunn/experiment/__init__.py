"""Trains what a config describes, writes the run's folder, and loads it again."""

from .build import Prepared, prepare
from .folder import RunFolder
from .loaded import LoadedRun, Predictions, load
from .rates import find_rate_of
from .sharing import share
from .surfaces import RunSurface, surface_of_run
from .sweep import Sweep, sweep
from .train import resume, train

__all__ = [
    "LoadedRun",
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
