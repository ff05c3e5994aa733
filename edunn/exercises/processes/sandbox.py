"""What the system can take away from a hand-in: memory, processes, large files, the network, a look at its judge."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

LARGEST_FILE = 64 * 2**20  # bytes that a hand-in may write into one file, its output among them
MOST_PROCESSES = 64  # that a hand-in may have at a time

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
SET_DEATH_SIGNAL, SET_DUMPABLE, SET_SUBREAPER, SET_NO_NEW_PRIVILEGES = 1, 4, 36, 38  # of prctl(2)

NO_NETWORK = "this system does not let a process give up the network: the hand-in could have used it"


def control(option: int, value: int) -> None:
    """Sets an attribute of this process, on Linux; elsewhere nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def hide_memory() -> None:
    """Keeps other processes of the same user, which a hand-in is one of, from reading or writing this one's memory."""
    control(SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its children leave behind, so that it can end that too."""
    control(SET_SUBREAPER, 1)


def end_with_parent() -> None:
    """Ends this process when its parent ends."""
    control(SET_DEATH_SIGNAL, 9)  # SIGKILL, which Windows does not name


def limit(memory: int, seconds: float) -> None:
    """Limits this process: so many MiB more than now, CPU time, the size of a file, no core dump."""
    with contextlib.suppress(ImportError):
        import resource

        def set_limit(which: int, value: int) -> None:
            with contextlib.suppress(ValueError, OSError):
                hard = resource.getrlimit(which)[1]
                value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(which, (value, value))

        with contextlib.suppress(OSError):
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            set_limit(resource.RLIMIT_AS, taken + memory * 2**20)
        set_limit(resource.RLIMIT_CPU, int(seconds) + 5)  # the judge ends it earlier; this holds where it cannot see
        set_limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
        set_limit(resource.RLIMIT_CORE, 0)
        set_limit(resource.RLIMIT_NOFILE, 256)


def leave_network() -> bool:
    """Moves this process into an empty network of its own; returns whether the system allows it."""
    control(SET_NO_NEW_PRIVILEGES, 1)
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    try:
        if ctypes.CDLL(None).unshare(NEW_USER | NEW_NETWORK) != 0:
            return False
        # the same user as before: the files that it may read and write stay the same
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except (OSError, AttributeError):
        return os.path.exists("/proc/self/ns/net") and not has_interfaces()
    return True


def has_interfaces() -> bool:
    """Whether this process sees a network beyond itself."""
    with contextlib.suppress(OSError):
        return len(Path("/proc/self/net/dev").read_text().splitlines()) > 3
    return True


# ---- what the judge sees of a hand-in -------------------------------------------------------------------------------


def measure(pid: int) -> tuple[float, bool] | None:
    """Returns a process's CPU seconds, those of its ended children included, and whether it sleeps; None if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), fields[0] not in "RD"


def list_session(session: int, orphans: bool = False) -> list[int]:
    """Lists the processes of a session; with `orphans` also this process's children, which it has adopted from it."""
    found, mine = [], os.getpid()
    with contextlib.suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != mine:
                with contextlib.suppress(OSError):
                    state, parent, group, its, *_ = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                    if state != "Z" and (session in (int(its), int(group)) or (orphans and int(parent) == mine)):
                        found.append(int(entry.name))
    return found


def end_session(session: int, orphans: bool = False) -> None:
    """Ends every process of a session, and with `orphans` every child, also those that fork while it does so."""
    if not hasattr(os, "killpg"):
        return
    for _ in range(100):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
        alive = list_session(session, orphans)
        if not alive:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        time.sleep(0.005)
