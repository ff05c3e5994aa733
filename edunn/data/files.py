"""What every reader of files shares: a missing path is named, a damaged archive refused, a file's sha256 taken."""

from __future__ import annotations

import difflib
import hashlib
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

from ..errors import DataError, RunError
from ..runtime import files
from ..runtime.files import write_atomically

LIMIT = 2 * 2**30  # bytes an archive may say that it unpacks to: a zip of a few kB can say much more

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def existing(path: str | PathLike[str], what: str) -> Path:
    """The path, if there is something at it; else an error that names the file beside it which was probably meant."""
    path = Path(path)
    try:
        if path.exists():
            return path
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError as problem:
        raise DataError(f"Expected {what} at '{path}'; it cannot be read: {problem.strerror}.") from problem
    close = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"Did you mean '{path.parent / close[0]}'?" if close else "Check the path; a relative one starts here."
    raise DataError(f"Expected {what} at '{path}'; there is nothing. {hint}")


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SETTLED = 2.0  # seconds after which a file that is written again has another time of change


def sha256_of(
    paths: Sequence[Path], again: bool = False, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """The sha256 of large files, each read once: the next time it is known by place, size and time of change.

    Parameters
    ----------
    again : read them whatever is known
    progress : called with (files done, files in all)
    """
    found = []
    with ThreadPoolExecutor(2) as pool:
        for number, digest in enumerate(pool.map(lambda path: remembered(path, again), paths), 1):
            found.append(digest)
            if progress is not None:
                progress(number, len(paths))
    return found


def remembered(path: Path, again: bool) -> str:
    """The sha256 of one file, kept in the cache under what tells this file, as it is now, from any other."""
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


def forget() -> int:
    """Removes the remembered sums; returns the bytes."""
    top, freed = files.cache(), 0
    for path in (top / "hashes").glob("*") if top is not None else ():
        freed += path.stat().st_size
        path.unlink()
    return freed


def open_zip(path: Path) -> zipfile.ZipFile:
    """An archive whose list of contents can be read and says that they unpack to no more than `LIMIT` bytes.

    zipfile never unpacks more of a file than the list says, so the sum of the list is a bound.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as problem:
        raise DataError(
            f"Expected a whole zip archive; '{path}' is damaged or cut short ({problem}). Copy or download it again."
        ) from problem
    total = sum(info.file_size for info in archive.infolist())
    if total > LIMIT:
        archive.close()
        raise DataError(
            f"Expected an archive that unpacks to {LIMIT / 2**30:g} GiB or less; '{path}' says {total / 2**30:.1f}. "
            f"If you trust it, unpack it and give the folder."
        )
    return archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One file of an archive; its checksum is compared on the way."""
    try:
        return archive.read(info)
    except DAMAGED as problem:
        raise DataError(
            f"Expected a whole zip archive; '{info.filename}' in '{archive.filename}' is damaged ({problem}). "
            f"Copy or download it again."
        ) from problem
