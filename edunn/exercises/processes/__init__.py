"""Grades files of hand-ins, each in a process that the mark is not made in.

    the caller ─ a server, which has torch loaded ─┬─ a judge, for each file: draws, compares, names, marks
                                                   └─ the hand-in, forked off the judge: answers what it is asked

Only the judge writes marks. The hand-in gets numbers and gives numbers: what it writes elsewhere, prints, patches in
its own process, or leaves undone by an early exit changes no mark. `grade_file` and `grade_files` are the entrance.

**Student code is executed**, with the caller's rights. Limits and namespaces contain accidents and simple malice. Grade
strangers' files in a container or on a spare machine.
"""

from .grading import Graded, Grades, end_all_on_signal, grade_file, grade_files
from .options import Options

__all__ = ["Graded", "Grades", "Options", "end_all_on_signal", "grade_file", "grade_files"]
