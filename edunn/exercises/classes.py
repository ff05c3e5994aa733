"""Grades a whole class: every file of a folder or zip file, with the student that it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .files.submissions import Submission, find_submissions, read_student
from .processes import Graded, Grades, Options, grade_files
from .processes.grading import PLAIN, fail


def grade_class(
    target: str | Path, options: Options = PLAIN, jobs: int = 1, after_each: Callable[[Grades], None] | None = None
) -> Graded:
    """Grades all that a class has handed in, `jobs` files at a time.

    Each grade says its `student`. A file that holds no hand-in has a row where it is all that the student has; beside
    another it is a helper, and has none.
    """
    with find_submissions(target) as submissions:
        files = [one for one in submissions if one.path is not None]
        graded = grade_files([one.path for one in files if one.path], options, jobs, after_each)
        found = [describe_problem(one) for one in submissions if one.path is None]
        for submission, one in zip(files, graded, strict=True):
            place = {"file": submission.shown, "student": submission.student}
            found += [{**grade, **place} for grade in one.grades]
    limits = list(dict.fromkeys(limit for one in graded for limit in one.limits))
    return Graded(sorted(leave_out_helpers(found), key=lambda one: (one["student"].casefold(), one["file"])), limits)


def grade_alone(file: str | Path, name: str = "", options: Options = PLAIN) -> Graded:
    """Grades one file, or NAME in it. Its student is who the file's name says."""
    (graded,) = grade_files([Path(file)], options, name=name)
    student = read_student(Path(file).stem)
    return Graded([{**drop_empty(one), "student": student} for one in graded.grades], graded.limits)


def grade_folder(
    path: str | Path, options: Options = PLAIN, jobs: int = 1, after_each: Callable[[Grades], None] | None = None
) -> Grades:
    """Grades every file of a folder and of the folders in it; returns the grades by student and file."""
    return grade_class(path, options, jobs, after_each).grades


def describe_problem(submission: Submission) -> dict[str, Any]:
    """Returns the row of what cannot be graded."""
    status = "missing" if submission.problem.startswith("nothing") else "error"
    found = fail(Path(submission.shown), "", submission.problem)
    return {**found, "status": status, "student": submission.student}


def leave_out_helpers(grades: Grades) -> Grades:
    """Leaves out files without a hand-in, of students who have handed in something else."""
    full = Counter(one["student"] for one in grades if not one["empty"])
    kept: Grades = []
    for one in grades:
        if not one["empty"] or not full[one["student"]]:
            kept.append(drop_empty(one))
    return kept


def drop_empty(grade: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in grade.items() if key != "empty"}
