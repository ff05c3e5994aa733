"""A file for a student: the value and the formula are there, the gradient is left blank."""

from __future__ import annotations

import textwrap

from ..errors import ConfigError, nearest
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


def template(name: str) -> str:
    """The text of the file for this task."""
    if name not in TASKS:
        raise ConfigError(f"Expected a task to write a template for; got {name!r}. {nearest(name, TASKS)}")
    task = TASKS[name]
    title = name.title().replace("-", "")
    body = LAYER if task.forward else PAIR
    return HEAD.format(name=name, formula=task.formula, title=title) + body.format(
        arguments=", ".join(task.arguments),
        formula=task.formula,
        code=textwrap.indent(task.code, " " * 8),
        wanted=wanted_line(task),
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
