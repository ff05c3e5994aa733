"""Downloads that can be resumed, and are verified before the file gets its name."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from ..runtime.files import remove_leftovers
from ..version import __version__
from . import files

CHUNK = 2**18
PATIENCE = 30.0  # seconds without a byte
TRIES = 4


def download(
    url: str,
    destination: Path,
    sha256: str,
    size: int,
    progress: Callable[[int, int], None] | None = None,
    pause: float = 2.0,
) -> Path:
    """Downloads a file of known sha256 and size; it gets its name only when it is complete and the sha256 is right.

    The bytes received so far are in `<name>.part`; the next call, or the next of a few tries, requests the rest. A file
    with another sha256 is removed.

    Parameters
    ----------
    progress : called with (bytes here, bytes in all) now and then
    pause : seconds before the second try, doubled each time
    """
    check_url(url)
    if destination.is_file() and files.sha256(destination) == sha256:
        return destination
    part = destination.with_name(destination.name + ".part")
    remove_leftovers(destination.parent, destination.name)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DataError(f"Cannot make the folder '{destination.parent}': {problem.strerror}.") from problem
    for attempt in range(1, TRIES + 1):
        try:
            fetch_rest(url, part, size, progress)
            break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as problem:
            code = getattr(problem, "code", None)
            final = code is not None and 400 <= code < 500 and code not in (408, 429)
            if attempt == TRIES or final:
                here = part.stat().st_size if part.is_file() else 0
                raise DataError(
                    f"Expected {size:,} bytes from {url}; {reason(problem)} after {here:,}. "
                    f"The same command goes on from there; --url takes a mirror."
                ) from problem
            time.sleep(pause * 2 ** (attempt - 1))
    digest = files.sha256(part)
    if digest != sha256:
        part.unlink()
        raise DataError(
            f"Expected sha256 {sha256[:12]}… of what {url} gave; got {digest[:12]}…. It was removed; try another --url."
        )
    os.replace(part, destination)
    return destination


def fetch_rest(url: str, part: Path, size: int, progress: Callable[[int, int], None] | None) -> None:
    """Appends the missing bytes to `part`; a server without range requests sends the whole file again."""
    here = part.stat().st_size if part.is_file() else 0
    if here > size:
        part.unlink()
        here = 0
    if here == size:
        return
    headers = {"User-Agent": f"edunn/{__version__}"} | ({"Range": f"bytes={here}-"} if here else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
        if here and answer.status != 206:
            here = 0
        with part.open("ab" if here else "wb") as file:
            while chunk := answer.read(CHUNK):
                here += len(chunk)
                if here > size:
                    file.close()
                    part.unlink()
                    raise DataError(f"{url} sends more than the {size:,} bytes of the file. Try another --url.")
                file.write(chunk)
                if progress is not None:
                    progress(here, size)
    if here < size:
        raise OSError(f"the connection ended at {here:,} bytes")


def check_url(url: str) -> None:
    """Raises an error if an address is not http or https; for a local file there is `edunn data import`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise DataError(f"{url!r} is not an address such as https://…. For a local file use edunn data import.")


def reason(problem: Exception) -> str:
    """Returns what went wrong, in a few words."""
    if isinstance(problem, urllib.error.HTTPError):
        return f"the server answered {problem.code} {problem.reason}"
    return str(getattr(problem, "reason", problem) or type(problem).__name__)


def keep(source: Path, destination: Path, sha256: str) -> Path:
    """Copies a file of known sha256 to its place, so that there is never a part of it."""
    if source.resolve() == destination.resolve():
        return destination
    part = destination.with_name(destination.name + f".{os.getpid()}.part")
    remove_leftovers(destination.parent, destination.name)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with source.open("rb") as given, part.open("wb") as taken:
            while chunk := given.read(CHUNK):
                digest.update(chunk)
                taken.write(chunk)
        if digest.hexdigest() != sha256:
            raise DataError(f"'{source}' changed while it was copied.")
        shutil.move(part, destination)
    except OSError as problem:
        raise DataError(f"Cannot copy '{source}' to '{destination}': {problem.strerror}.") from problem
    finally:
        part.unlink(missing_ok=True)
    return destination
