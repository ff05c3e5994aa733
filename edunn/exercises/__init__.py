"""Exercises: pieces of the package with blanks, and the grading of what students hand in.

    write_blank("hinge")              the student's file, cut from the package's own source
    load("mine.py")                   what a file hands in; the code in it is executed
    grade(handin, seed)               its grade, in this process
    grade_file(path), grade_folder    the same, each file in a process of its own under limits

One exercise is one entry of `table`; `named` finds it.
"""

from ..runtime.guesses import public
from .blanks import write_blank
from .calls import HandinError, Missing, Unfinished
from .exercise import Exercise, FunctionExercise, GradientExercise
from .grade import grade
from .handins import Handin, load
from .processes import grade_file, grade_folder
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
    "Unfinished",
    "grade",
    "grade_file",
    "grade_folder",
    "load",
    "named",
    "write_blank",
]
__getattr__, __dir__ = public(__name__, __all__)
