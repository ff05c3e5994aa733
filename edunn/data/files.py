"""Checks that every reader of files shares: paths, kinds and sizes of files, whole archives, and sha256 sums."""

from __future__ import annotations

import difflib
import hashlib
import re
import stat
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

from ..errors import DataError, RunError
from ..runtime import files
from ..runtime.files import write_atomically

LIMIT = 2 * 2**30  # bytes an archive may say that it unpacks to: a zip of a few kB can say much more
MODEST = 256 * 2**20  # bytes: above this, an archive must not unpack to more than `RATIO` times its size
RATIO = 100  # deflate packs zeros 1000 to 1; tables and images reach ten


def check_exists(path: str | PathLike[str], what: str) -> Path:
    """Returns the path of a regular file or a folder; else an error that names the file that was probably meant.

    Pipes and devices are refused: reading one may never end.
    """
    path = Path(path)
    try:
        if path.exists():
            check_regular(path, what)
            return path
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as problem:  # ValueError: a path with a NUL
        raise DataError(f"Cannot read {what} at {str(path)!r}: {reason(problem)}.") from problem
    close = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"Did you mean '{path.parent / close[0]}'?" if close else "Check the path; a relative one starts here."
    raise DataError(f"Cannot find {what}: '{path}' does not exist. {hint}")


def reason(problem: Exception) -> str:
    """Returns the operating system's message for an exception."""
    return getattr(problem, "strerror", None) or str(problem)


def check_regular(path: Path, what: str) -> None:
    """Raises an error for pipes, sockets and devices, also behind a link."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DataError(f"'{path}' is a pipe or a device, not {what}. Save the data to a file first.")


def read_bytes(path: Path, what: str, most: int) -> bytes:
    """Returns the content of a regular file of at most `most` bytes."""
    try:
        return files.read_file(path, most)
    except OSError as problem:
        raise DataError(f"Cannot read {what} at '{path}': {reason(problem)}.") from problem


def check_size(size: int, title: str, most: int) -> None:
    """Raises an error if `size` is more than `most` bytes."""
    if size > most:
        raise DataError(f"'{title}' takes {size / 2**20:,.0f} MiB; at most {most / 2**20:,.0f} are read.")


def sha256(path: Path) -> str:
    """Returns the sha256 of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SETTLED = 2.0  # seconds after which a file that is written again has another time of change


def sha256_of(
    paths: Sequence[Path], again: bool = False, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Returns the sha256 of large files. Each is read once; later its place, size and time of change identify it.

    Parameters
    ----------
    again : read them even if the sums are known
    progress : called with (files done, files in all)
    """
    found = []
    with ThreadPoolExecutor(2) as pool:
        for number, digest in enumerate(pool.map(lambda path: recall_sha256(path, again), paths), 1):
            found.append(digest)
            if progress is not None:
                progress(number, len(paths))
    return found


def recall_sha256(path: Path, again: bool) -> str:
    """Returns the sha256 of one file, from the cache if the file has not changed since."""
    state = path.stat()
    about = f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}\n{state.st_ino}"
    top = files.cache()
    kept = None if top is None else top / "hashes" / hashlib.sha256(about.encode()).hexdigest()
    if kept is not None and not again:
        try:
            known = kept.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            known = ""
        if re.fullmatch("[0-9a-f]{64}", known):
            return known
    digest = sha256(path)
    if kept is not None and time.time() - state.st_mtime > SETTLED:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, digest)
        except (OSError, RunError):  # a full or read-only disk: it is computed again the next time
            pass
    return digest


def clear_hashes() -> int:
    """Removes the stored sums; returns the number of bytes that they took."""
    top, freed = files.cache(), 0
    for path in (top / "hashes").glob("*") if top is not None else ():
        freed += path.stat().st_size
        path.unlink()
    return freed


def open_zip(path: Path) -> zipfile.ZipFile:
    """Opens a zip archive after a check that its files unpack to at most `LIMIT` bytes, to refuse zip bombs.

    zipfile never unpacks more of a file than the list of contents says, so the sum of the list is a bound.
    """
    check_regular(path, "a zip archive")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as problem:  # a damaged list of contents raises a dozen kinds, struct.error among them
        raise DataError(
            f"The zip archive '{path}' is damaged or cut short ({problem}). Copy or download it again."
        ) from problem
    total = sum(info.file_size for info in archive.infolist())
    if total > LIMIT or total > max(MODEST, RATIO * path.stat().st_size):
        archive.close()
        raise DataError(
            f"'{path}' unpacks to {total / 2**30:.1f} GiB, {total // max(1, path.stat().st_size):,} times its size. "
            f"At most {LIMIT / 2**30:g} GiB and {RATIO} times are read. If you trust it, unpack it first."
        )
    return archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int = LIMIT) -> bytes:
    """Returns the content of one file of an archive, at most `most` bytes; its checksum is compared."""
    check_size(info.file_size, f"{archive.filename}/{info.filename}", most)
    try:
        return archive.read(info)
    except Exception as problem:  # and so do damaged members
        raise DataError(
            f"'{info.filename}' in the zip archive '{archive.filename}' is damaged ({problem}). "
            f"Copy or download it again."
        ) from problem
