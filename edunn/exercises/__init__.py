"""Exercises: pieces of the package with blanks, and the grading of what students hand in.

    write_blank("hinge")              the student's file, cut from the package's own source
    load("mine.py")                   what a file hands in; the code in it is executed
    grade(handin, seed)               its grade, in this process
    grade_file(path), grade_class     the same, made in a process that the hand-in never runs in

One exercise is one entry of `table`; `named` finds it.
"""

from .blanks import write_blank
from .calls import HandinError, Missing, Unfinished
from .classes import grade_class, grade_folder, require_right
from .exercise import Exercise, FunctionExercise, GradientExercise
from .grade import grade
from .handins import Handin, load
from .processes import Options, grade_file
from .report import Grade
from .table import EXERCISES, named

__all__ = [
    "EXERCISES",
    "Exercise",
    "FunctionExercise",
    "Grade",
    "GradientExercise",
    "Handin",
    "HandinError",
    "Missing",
    "Options",
    "Unfinished",
    "grade",
    "grade_class",
    "grade_file",
    "grade_folder",
    "load",
    "named",
    "require_right",
    "write_blank",
]
