"""How a file is graded: what a grading process is started with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TIME_LIMIT = 10.0  # seconds a file, of computing or sleeping
MEMORY_LIMIT = 2048  # MiB a file, on top of Python and torch


@dataclass(frozen=True)
class Options:
    """What holds for each file of a grading.

    seed : of all random points
    time_limit : seconds that a hand-in may compute, and that it may sleep; waiting for a core counts as neither
    memory_limit : MiB on top of Python and torch
    adapter : a file that says how the course's own functions are called; "" where there is none
    course : the name of a course whose adapter comes with the package; "" to find it by the functions' names
    """

    seed: int = 0
    time_limit: float = TIME_LIMIT
    memory_limit: int = MEMORY_LIMIT
    adapter: str = ""
    course: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
