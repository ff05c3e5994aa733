"""Reads regular files of a bounded size, writes files completely or not at all, and finds the cache folder."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

from ..errors import RunError


def cache() -> Path | None:
    """Returns the cache folder, `EDUNN_CACHE` or else ~/.cache/edunn.

    None if `EDUNN_CACHE` is empty, or there is no home folder.
    """
    given = os.environ.get("EDUNN_CACHE", "~/.cache/edunn")
    try:
        return Path(given).expanduser() if given else None
    except RuntimeError:  # no home
        return None


def read_file(path: str | Path, most: int) -> bytes:
    """Returns the content of a regular file of at most `most` bytes; else OSError, whose `strerror` says why.

    Opening a pipe would wait for a writer, and a device has no end: neither is read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        if state.st_size > most:
            size = f"it has {state.st_size / 2**20:,.0f} MiB; at most {most / 2**20:,.0f} are read"
            raise OSError(errno.EFBIG, size, str(path))
        return file.read(most)


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Writes under a temporary name beside the file and renames: a reader sees all of it or none."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise RunError(f"Cannot write {path}: {getattr(error, 'strerror', None) or error}.") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Returns whether a file has the name of an unfinished one: `.NAME.PROCESS.part`, or without the first dot."""
    return re.fullmatch(r".+\.[0-9]+\.part", path.name) is not None


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Removes the unfinished files of killed processes from a folder, but not those of running ones."""
    for path in [*folder.glob(f".{name}.*.part"), *folder.glob(f"{name}.*.part")]:
        if is_part(path) and not alive(int(path.name.split(".")[-2])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Returns whether a process of this number is running."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


def strict(value: Any) -> Any:
    """Converts a value to strict JSON: a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
