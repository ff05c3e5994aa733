"""One file of hand-ins, graded in this process, under limits; started by `grading`, never by hand.

    python -m edunn.exercises.worker FILE NAME SEED MEMORY RESULT

The result goes to a file and not to stdout, which belongs to the hand-in.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    file, name, seed, memory, out = argv
    import torch

    from ..runtime.files import strict
    from .grade import grade
    from .protocol import HandinError, Missing, Unfinished, load
    from .report import Grade

    torch.set_num_threads(1)
    limit_memory(int(memory))
    Path(out).with_suffix(".ready").touch()  # from here on it is the hand-in's time

    def failed(status: str, message: str, what: str = "") -> dict[str, object]:
        return Grade(file, what or name, "", status, message).as_dict()

    found: list[dict[str, object]] = []
    try:
        handins = load(file, name or None)
    except HandinError as error:
        kinds = {Unfinished: "unfinished", Missing: "missing"}
        found.append(failed(kinds.get(type(error), "error"), str(error)))
    except MemoryError:
        found.append(failed("memory", "more memory was asked for than the limit allows"))
    else:
        for handin in handins:
            try:
                found.append(grade(handin, int(seed)).as_dict())
            except Unfinished as error:
                found.append(failed("unfinished", str(error), handin.name))
            except HandinError as error:
                found.append(failed("error", str(error), handin.name))
            except MemoryError:
                found.append(failed("memory", "more memory was asked for than the limit allows", handin.name))
    Path(out).write_text(json.dumps(strict(found), allow_nan=False), encoding="utf-8")
    return 0


def limit_memory(mebibytes: int) -> None:
    """So much address space on top of what is already taken; where the platform has no such limit, none."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = taken + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
