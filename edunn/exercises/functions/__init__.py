"""Hand-ins that are a function and no gradient: a table of what can be asked for."""

from . import neighbours, numerics, pixels, rules
from .task import FunctionTask, Slip

FUNCTIONS: dict[str, FunctionTask] = {
    task.name: task for task in (*rules.TASKS, *pixels.TASKS, *neighbours.TASKS, *numerics.TASKS)
}

__all__ = ["FUNCTIONS", "FunctionTask", "Slip"]
