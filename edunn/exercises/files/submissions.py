"""Finds what a class has handed in: files, one folder a student, zip files of either, as teaching platforms pack them.

Moodle, Canvas, Brightspace and Blackboard write the student's name into the file's or folder's name; GitHub Classroom
puts the assignment before it. What is found, and whose it is, is decided by names alone: nothing is run.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DataError

SUFFIXES = (".py", ".ipynb")
OTHER_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")
DATA = (".csv", ".txt", ".npy", ".npz", ".json", ".pkl", ".mat")  # that a hand-in may read from beside itself
SKIPPED = {"__pycache__", "__MACOSX", "node_modules", "venv", "env", "site-packages", "dist", "build", "htmlcov"}

DEEPEST, DEEPEST_ZIP = 12, 3  # folders within folders, zip files within zip files
MOST_FILES = 20_000  # of a class
LARGEST_FILE, LARGEST_ZIP = 20 * 2**20, 500 * 2**20  # bytes, unpacked

PLATFORMS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(?P<name>.+?)_\d+_assignsubmission_(?:file|onlinetext)\w*?(?:_(?P<file>.*))?$",  # Moodle
        r"^(?P<name>[^_]+?)(?:_LATE)?_\d{2,}_\d{3,}_(?P<file>.+)$",  # Canvas
        r"^.+?_(?P<name>[\w.@-]+?)_attempt_\d{4}-\d\d-\d\d(?:-\d\d){3}(?:_(?P<file>.+))?$",  # Blackboard
        r"^\d+-\d+ ?- ?(?P<name>.+?)(?: ?- ?.+)?$",  # Brightspace
    )
)


@dataclass(frozen=True)
class Submission:
    """One thing that was handed in.

    student : whose it is
    path : where it is now; None of what cannot be graded
    shown : what it is called in a report: its path from where the class was given
    problem : why it cannot be graded; "" where it can
    alone : whether the student has handed in this file alone
    """

    student: str
    path: Path | None
    shown: str
    problem: str = ""
    alone: bool = True


@dataclass
class Budget:
    """What may still be unpacked: a few bytes of zip can hold more than a disk."""

    files: int = MOST_FILES
    size: int = LARGEST_ZIP

    def take(self, size: int) -> None:
        self.files, self.size = self.files - 1, self.size - size
        if self.files < 0 or self.size < 0:
            raise DataError(
                f"The class has more than {MOST_FILES} files, or {LARGEST_ZIP // 2**20} MiB unpacked. "
                f"Give one assignment at a time."
            )


@contextlib.contextmanager
def find_submissions(target: str | Path, student: str | None = None) -> Iterator[list[Submission]]:
    """Yields what was handed in, by student, or as all of one student's. Zip files are unpacked meanwhile."""
    path = Path(target)
    with tempfile.TemporaryDirectory(prefix="edunn-class-", ignore_cleanup_errors=True) as scratch:
        budget = Budget()
        if path.is_dir():
            folder = path
        elif path.suffix.lower() == ".zip" and path.is_file():
            folder = Path(scratch) / "0"
            problem = unpack(path, folder, budget)
            if problem:
                raise DataError(f"{path} cannot be unpacked: {problem}. Unpack it and give the folder.")
        else:
            raise DataError(f"{path} is neither a folder nor a zip file.")
        if student is None:
            found = list_class(folder, Path(scratch), budget, str(path))
        else:
            found = list_student(folder, student, Path(scratch), budget, str(path))
        if not any(one.path is not None for one in found):
            raise DataError(
                f"{path} has no Python files and no notebooks. edunn exercise NAME --out FILE.py writes one."
            )
        yield found


def list_class(folder: Path, scratch: Path, budget: Budget, shown: str) -> list[Submission]:
    """Lists the submissions of a class: each folder and each zip file belongs to one student."""
    while True:  # a zip often holds one folder, and that one the students'
        folders, files = list_folder(folder)
        if len(folders) != 1 or files or not list_folder(folders[0])[0]:
            break
        folder, shown = folders[0], f"{shown}/{folders[0].name}"
    names = find_students([one.name for one in folders])
    found: list[Submission] = []
    for one in folders:
        found += list_student(one, names[one.name], scratch, budget, f"{shown}/{one.name}")
    for file in files:
        student = read_student(file.stem)
        if file.suffix.lower() == ".zip":
            found += open_zip(file, student, scratch, budget, f"{shown}/{file.name}", 1)
        elif file.suffix.lower() in SUFFIXES:
            budget.take(0)
            found.append(Submission(student, file, f"{shown}/{file.name}"))
        elif file.suffix.lower() in OTHER_ARCHIVES:
            found.append(Submission(student, None, f"{shown}/{file.name}", describe_archive(file)))
    counts: dict[str, int] = {}
    for submission in found:
        counts[submission.student] = counts.get(submission.student, 0) + 1
    found = [replace(one, alone=counts[one.student] == 1) for one in found]
    return sorted(found, key=lambda one: (one.student.casefold(), one.shown))


def list_student(
    folder: Path, student: str, scratch: Path, budget: Budget, shown: str, depth: int = 1, zips: int = 1
) -> list[Submission]:
    """Lists what lies in the folder of one student, in whatever depth; one problem where there is nothing."""
    found: list[Submission] = []
    others: list[str] = []
    folders, files = list_folder(folder)
    for file in files:
        suffix, name = file.suffix.lower(), f"{shown}/{file.name}"
        if suffix in SUFFIXES:
            budget.take(0)
            found.append(Submission(student, file, name))
        elif suffix == ".zip":
            found += open_zip(file, student, scratch, budget, name, zips)
        elif suffix in OTHER_ARCHIVES:
            found.append(Submission(student, None, name, describe_archive(file)))
        else:
            others.append(file.name)
    for one in folders:
        if depth < DEEPEST:
            below = list_student(one, student, scratch, budget, f"{shown}/{one.name}", depth + 1, zips)
            found += [one for one in below if one.path is not None or one.problem]
    if not found and depth == 1:
        what = f"only {', '.join(others[:3])}" if others else "an empty folder"
        found.append(Submission(student, None, shown, f"nothing to grade: {what}"))
    return found


def open_zip(file: Path, student: str, scratch: Path, budget: Budget, shown: str, zips: int) -> list[Submission]:
    """Unpacks a student's zip file and lists what is in it."""
    folder = scratch / str(len(list(scratch.iterdir())))
    problem = f"zip files within zip files, {zips} deep" if zips > DEEPEST_ZIP else unpack(file, folder, budget)
    if problem:
        return [Submission(student, None, shown, f"the zip file cannot be unpacked: {problem}")]
    found = list_student(folder, student, scratch, budget, shown, 1, zips + 1)
    return found


def unpack(file: Path, folder: Path, budget: Budget) -> str:
    """Unpacks code, data and further zip files; returns why that does not work, "" where it does."""
    folder.mkdir()
    wanted = (*SUFFIXES, *DATA, *OTHER_ARCHIVES, ".zip")
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                budget.take(0)
                name = member.filename
                if member.is_dir() or not name.lower().endswith((*wanted, ".pdf", ".docx")) or is_skipped(name):
                    continue
                if member.flag_bits & 1:
                    return "it has a password"
                if member.file_size > LARGEST_FILE:
                    continue  # no code is as long, and what is not there is missed where it is read
                budget.take(member.file_size)
                with archive.open(member) as stream:
                    raw = stream.read(LARGEST_FILE + 1)  # what the archive says of a size may be a lie
                target = folder.joinpath(*clean(name))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(raw[:LARGEST_FILE])
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        ValueError,
        RuntimeError,
        OSError,
        zlib.error,
    ) as error:
        return str(error) or type(error).__name__
    return ""


def clean(name: str) -> list[str]:
    """Returns the parts of a path inside a zip file, without those that would lead out of the folder."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    return [re.sub(r"[\x00-\x1f:*?\"<>|]", "_", part)[:200] for part in parts]


def is_skipped(name: str) -> bool:
    return any(part in SKIPPED or part.startswith(".") for part in clean(name))


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files in a folder, by name, without links, caches, hidden ones and _helpers."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return [], []
    kept = [one for one in entries if not one.name.startswith((".", "_")) and one.name not in SKIPPED]
    folders = [Path(one.path) for one in kept if one.is_dir(follow_symlinks=False)]
    return folders, [Path(one.path) for one in kept if one.is_file(follow_symlinks=False)]


def describe_archive(file: Path) -> str:
    return f"{file.suffix} files are not opened: ask for a .zip, or unpack it"


# ---- names ----------------------------------------------------------------------------------------------------------


def read_student(name: str) -> str:
    """Returns the student's name in that of a file or folder, which it is where no platform has written it."""
    for platform in PLATFORMS:
        if found := platform.match(name):
            return found["name"].strip()
    return name


def find_students(names: list[str]) -> dict[str, str]:
    """Returns the student of each folder; of GitHub Classroom's, the assignment before the name is taken off."""
    found = {name: read_student(name) for name in names}
    if len(names) > 1 and all(found[name] == name for name in names):
        start = os.path.commonprefix(names)  # noqa: RUF071 (of names, character by character)
        start = start[: start.rfind("-") + 1]
        if start and all(len(name) > len(start) for name in names):
            return {name: name.removeprefix(start) for name in names}
    return found
