"""Locks a folder, so that one process at a time writes in it. The lock ends with the process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Self

from ..errors import RunError

NAME = ".claim"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a file system that has none


class Claim:
    """A locked file in a folder, which is made if needed.

    The operating system holds the lock as long as the process lives, so a file left by a killed process locks nothing.

        with Claim("results"):
            ...  # another process that claims the folder gets RunError
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.made: list[Path] = []  # the folders that did not exist, the innermost first
        self.descriptor: int | None = None

    def take(self, new: bool = False) -> None:
        """Claims the folder, or raises RunError; a `new` one must not exist, or FileExistsError is raised."""
        self.made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=not new)
            while self.descriptor is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # another process has just let go of it
                    self.descriptor = self.lock(self.folder / NAME)
        except (OSError, ValueError) as error:
            if new and isinstance(error, FileExistsError):
                raise
            self.remove_empty()
            reason = getattr(error, "strerror", None) or error
            raise RunError(f"The folder {self.folder} cannot be made or written: {reason}.") from None

    def lock(self, path: Path) -> int | None:
        """Opens and locks the file; None where its last owner has removed it meanwhile."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RunError(
                f"{self.folder} is being written by another process. Choose another --out, or wait for it."
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(descriptor)
                raise
        try:
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            os.close(descriptor)
        return descriptor if same else None

    def release(self) -> None:
        """Releases the folder, and removes it again if nothing was written."""
        if self.descriptor is None:
            return
        with contextlib.suppress(OSError):
            (self.folder / NAME).unlink()
        os.close(self.descriptor)
        self.descriptor = None
        self.remove_empty()

    def remove_empty(self) -> None:
        """Removes the folders that this claim has made, and those in them, if they contain no file."""
        inner = [path for path in sorted(self.folder.rglob("*"), reverse=True) if path.is_dir()]
        if not any(path.is_file() for path in self.folder.rglob("*")):
            for path in [*inner, *self.made]:
                with contextlib.suppress(OSError):
                    path.rmdir()

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
