"""The command line under torchrun: the same command in several processes, of which rank 0 alone speaks.

What can be shared is shared: a training run, a sweep, a surface. Every other command is done by rank 0, and the others
wait for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

SHARED = ("train", "sweep", "landscape")


def several(environment: Mapping[str, str]) -> bool:
    """Whether torchrun started this process as one of two or more. Asked before torch is loaded."""
    return "RANK" in environment and environment.get("WORLD_SIZE", "1") != "1"


def main(argv: list[str], run: Callable[[list[str]], int], commands: Iterable[str]) -> int:
    """Runs the command in this process as its rank has to, and returns the exit code, which is the same in all."""
    from ..errors import EdunnError
    from ..runtime.processes import Processes, ranks

    try:
        others = ranks()
    except EdunnError as error:
        print(f"edunn: {error}", file=sys.stderr)
        return 2
    assert isinstance(others, Processes)
    shared = bool(argv) and argv[0] in SHARED
    try:
        if others.leads:
            if argv and argv[0] in commands and not shared:
                print(f"note: edunn {argv[0]} has nothing to share; rank 0 does it alone", file=sys.stderr)
            code = others.over(answer(run, argv))
        else:
            if shared:
                with silent():
                    answer(run, argv)
            code = others.over()
    except KeyboardInterrupt:  # while it waits for the others
        code = 130
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):  # the reader of our output went away
            stream.flush()
    # at once: while the interpreter takes itself apart, torchrun would find a first process gone and end the others
    os._exit(code)


def answer(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """The exit code, also where argparse leaves."""
    try:
        return run(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0


def together(command: Any, args: Any) -> int:
    """Runs one shared command. An error of one process is shared: rank 0 prints it, and all of them end alike."""
    from ..errors import EdunnError, LostError
    from ..runtime.processes import LocalError, Processes, ranks

    others = ranks()
    assert isinstance(others, Processes)
    try:
        code: int = command.run(args)
        return code
    except (EdunnError, MemoryError) as error:
        shared = others.share_error(error)
        if isinstance(shared, LostError | LocalError):
            if others.first("trouble"):
                print(f"edunn: {shared}", file=sys.__stderr__, flush=True)
            os._exit(1 if isinstance(shared, LostError) else 2)  # no process is left to agree with about the code
        raise shared from None
    except KeyboardInterrupt:  # outside a loop, where nothing is to be saved: see `Processes.delay_interrupts`
        if others.first("interrupted"):
            print("edunn: interrupted", file=sys.__stderr__, flush=True)
        os._exit(130)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Neither results nor notes nor progress: rank 0 has them. A traceback still shows, for it comes afterwards."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
