"""Grades one file of hand-ins in this process, under limits. `processes` starts it.

    python -m edunn.exercises.worker FILE NAME SEED MEMORY RESULT

The result goes to a file and not to stdout, which belongs to the hand-in.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .handins import Handin


def main(argv: list[str]) -> int:
    file, name, seed, memory, out = argv
    import torch

    from ..runtime.files import strict
    from .calls import HandinError, Missing, Unfinished
    from .grade import grade
    from .handins import load
    from .report import Grade

    torch.set_num_threads(1)
    limit_memory(int(memory))
    Path(out).with_suffix(".ready").touch()  # from here on it is the hand-in's time

    def attempt(name: str, work: Callable[[], list[Grade]]) -> list[Grade]:
        """Returns the grades, or one that says why there are none."""
        try:
            return work()
        except HandinError as error:
            kinds = {Unfinished: "unfinished", Missing: "missing"}
            return [Grade(file, name, "", kinds.get(type(error), "error"), str(error))]
        except MemoryError:
            return [Grade(file, name, "", "memory", "more memory was asked for than the limit allows")]

    def grade_one(handin: Handin) -> list[Grade]:
        return attempt(handin.name, lambda: [grade(handin, int(seed))])

    found = attempt(name, lambda: [one for handin in load(file, name or None) for one in grade_one(handin)])
    result = json.dumps(strict([one.as_dict() for one in found]), allow_nan=False)
    Path(out).write_text(result, encoding="utf-8")
    return 0


def limit_memory(mebibytes: int) -> None:
    """Limits the memory to what is used now and so much more, if the platform can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = taken + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
