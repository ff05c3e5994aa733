"""The command line under torchrun: several processes run the same command, and only rank 0 prints.

The processes share a training run, a sweep or a surface. Rank 0 runs every other command alone; the others wait.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

SHARED = ("train", "sweep", "landscape")


def several(environment: Mapping[str, str]) -> bool:
    """Returns whether torchrun started this process as one of two or more. Needs no torch."""
    return "RANK" in environment and environment.get("WORLD_SIZE", "1") != "1"


def main(argv: list[str], run: Callable[[list[str]], int], commands: Iterable[str]) -> int:
    """Runs the command as one of several processes, and ends this process. All have the same exit code."""
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
            code = others.over(run_to_code(run, argv))
        else:
            if shared:
                with silence():
                    run_to_code(run, argv)
            code = others.over()
    except KeyboardInterrupt:  # while it waits for the others
        code = 130
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):  # the reader of our output went away
            stream.flush()
    # at once: during a slow exit of the interpreter, torchrun would see one process gone and end the others
    os._exit(code)


def run_to_code(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """Runs the command and returns its exit code, also if argparse exits."""
    try:
        return run(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0


def run_shared(command: Any, args: Any) -> int:
    """Runs a command that the processes share. An error of one ends them all, and rank 0 prints it."""
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
def silence() -> Iterator[None]:
    """Hides the output of this process, except a traceback, which Python prints later."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
