"""A file for a student: the value and the formula are there, the gradient is left blank; or a whole function is."""

from __future__ import annotations

import textwrap

from ..errors import ConfigError, nearest
from .functions import FUNCTIONS, FunctionTask
from .tasks import TASKS, Task

HEAD = '''"""Derive the gradient of `{name}` by hand, and check it:  edunn check THIS_FILE.py

{formula}
"""

import numpy as np


class {title}:
    task = "{name}"

'''
PAIR = '''    def value(self, {arguments}):
        """{formula}"""
{code}

    def gradient(self, {arguments}):
        """{wanted}"""
        raise NotImplementedError("write the gradient here")
'''
LAYER = '''    def forward(self, {arguments}):
        """{formula}"""
        self.kept = ({arguments},)  # for backward
{code}

    def backward(self, upstream):
        """{wanted}"""
        raise NotImplementedError("write the gradient here")
'''
FUNCTION = '''"""Write `{name}`, and check it against the package's own:  edunn check THIS_FILE.py

{formula}
{given}
"""

import numpy as np

TASK = "{task}"


def {name}({arguments}):
    """The arrays are float64, the labels whole numbers; leave them as they are and return the answer."""
    raise NotImplementedError("write the function here")
'''


def template(name: str) -> str:
    """The text of the file for this task."""
    if name in FUNCTIONS:
        return function_template(FUNCTIONS[name])
    if name not in TASKS:
        known = [*TASKS, *FUNCTIONS]
        raise ConfigError(f"Expected a task to write a template for; got {name!r}. {nearest(name, known)}")
    task = TASKS[name]
    title = name.title().replace("-", "")
    body = LAYER if task.forward else PAIR
    return HEAD.format(name=name, formula=task.formula, title=title) + body.format(
        arguments=", ".join(task.arguments),
        formula=task.formula,
        code=textwrap.indent(task.code, " " * 8),
        wanted=wanted_line(task),
    )


def function_template(task: FunctionTask) -> str:
    """A function to be written as a whole; its name is the task's."""
    name = task.name.replace("-", "_")
    return FUNCTION.format(
        name=name, task=task.name, formula=task.formula, given=task.given, arguments=", ".join(task.arguments)
    )


def wanted_line(task: Task) -> str:
    """What gradient is to be returned, and of which shape."""
    what = "∂L/∂output of shape (samples, …)" if task.forward else ""
    if len(task.wanted) == 1:
        (name,) = task.wanted
        text = f"∂L/∂{name}, of the shape of {name}" if task.forward else f"the derivative in {name}, of its shape"
        return f"{text}; upstream is {what}." if what else f"{text}."
    names = ", ".join(f'"{name}": …' for name in task.wanted)
    return f"A dictionary {{{names}}}, each of the shape of its argument" + (f"; upstream is {what}." if what else ".")
