"""Hand-ins: a student's value and gradient, or a function, checked and graded. The code in a hand-in is executed; see
`grading`."""

from .functions import FUNCTIONS, FunctionTask
from .grade import grade
from .grading import grade_file, grade_folder
from .protocol import FunctionHandin, Handin, HandinError, Unfinished, load
from .report import Grade
from .tasks import TASKS, Task
from .templates import template

__all__ = [
    "FUNCTIONS",
    "TASKS",
    "FunctionHandin",
    "FunctionTask",
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
