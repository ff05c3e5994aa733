"""Hand-ins: a student's value and gradient, checked and graded. The code in a hand-in is executed; see `grading`."""

from .grade import Grade, grade
from .grading import grade_file, grade_folder
from .protocol import Handin, HandinError, Unfinished, load
from .tasks import TASKS, Task
from .templates import template

__all__ = [
    "TASKS",
    "Grade",
    "Handin",
    "HandinError",
    "Task",
    "Unfinished",
    "grade",
    "grade_file",
    "grade_folder",
    "load",
    "template",
]
