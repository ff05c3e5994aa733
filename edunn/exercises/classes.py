"""Grades a whole class: every file of a folder or zip file, with the student that it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .files.submissions import Submission, find_submissions, read_student
from .processes import Graded, Grades, Options, grade_files
from .processes.grading import PLAIN, fail
from .report import describe


def grade_class(
    target: str | Path,
    options: Options = PLAIN,
    jobs: int = 1,
    after_each: Callable[[Grades], None] | None = None,
    student: str | None = None,
) -> Graded:
    """Grades all that a class has handed in, `jobs` files at a time.

    Each grade has its `student`. A file without a hand-in has a row if the student has handed in nothing else;
    otherwise it is a helper. With `student`, everything belongs to that student.
    """
    with find_submissions(target, student) as submissions:
        files = [one for one in submissions if one.path is not None]
        graded = grade_files([one.path for one in files if one.path], options, jobs, after_each)
        found = [describe_problem(one) for one in submissions if one.path is None]
        for submission, one in zip(files, graded, strict=True):
            place = {"file": submission.shown, "student": submission.student}
            found += [{**grade, **place} for grade in one.grades]
    limits = list(dict.fromkeys(limit for one in graded for limit in one.limits))
    return Graded(sorted(leave_out_helpers(found), key=lambda one: (one["student"].casefold(), one["file"])), limits)


def grade_alone(file: str | Path, name: str = "", options: Options = PLAIN, student: str | None = None) -> Graded:
    """Grades one file, or NAME in it. Its student is who the file's name says, if not given."""
    (graded,) = grade_files([Path(file)], options, name=name)
    found = [{**one, "student": student or read_student(Path(file).stem)} for one in graded.grades]
    return Graded(leave_out_helpers(found), graded.limits)


def require_right(file: str | Path, *tasks: str, options: Options = PLAIN) -> None:
    """Raises AssertionError, with what is wrong, unless each task is right in the file: for a cell of nbgrader."""
    grades = grade_alone(file, options=options).grades
    for task in tasks:
        mine = [one for one in grades if task in (one["task"], one["name"])]
        if not any(one["passed"] for one in mine):
            said = "\n\n".join(describe(one) for one in mine or grades)
            raise AssertionError(f"{task} is {'wrong' if mine else 'missing'}.\n\n{said}")


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
