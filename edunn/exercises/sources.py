"""Finds out whether a gradient is computed by autograd, by differences or by the package's own code.

The calls that the gradient makes are recorded. The file's text is not searched, so a file may also contain a check by
autograd.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import sys
import textwrap
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .calls import HandinError
from .exercise import GradientExercise
from .point import Point

PACKAGE = Path(__file__).resolve().parents[1]
AUTOGRAD = {("_tensor.py", "backward"), ("__init__.py", "grad"), ("__init__.py", "backward")}


def find_sources(point: Point) -> list[str]:
    """Returns what the gradient at one point is derived by, beside the hand-in's own code; empty where by nothing."""
    elsewhere = getattr(point.handin.gradient, "find_sources", None)
    if elsewhere is not None:  # the hand-in runs in another process: the calls are recorded there
        return elsewhere(point.handin, point.seed)
    calls = record(point)
    found = []
    if any(is_autograd(code) for code in calls):
        found.append("autograd")
    if is_numeric(point, calls):
        found.append("differences")
    exercise = point.handin.exercise
    if isinstance(exercise, GradientExercise):
        # the adapter of a blank calls the package's functions too, but never those that the student is to write
        own = {function.__code__ for cut in exercise.cut for function in cut.functions}
        used = sorted({code.co_name for code in calls if code in own})
        if used:
            found.append(f"the package's own {', '.join(used)}")
        if is_solution(point, exercise, calls):
            found.append("the printed solution, word for word")
    return found


def record(point: Point) -> Counter[CodeType]:
    """Counts the calls of Python functions while the gradient is computed."""
    calls: Counter[CodeType] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with contextlib.suppress(HandinError):  # what it raises is found again where it is graded
            point.gradients()
    finally:
        sys.setprofile(before)
    return calls


def is_autograd(code: CodeType) -> bool:
    path = Path(code.co_filename)
    torch = "torch" in path.parts and (path.name, code.co_name) in AUTOGRAD
    return (torch and path.parent.name in ("torch", "autograd")) or "jax" in path.parts


def is_numeric(point: Point, calls: Counter[CodeType]) -> bool:
    """Returns whether the value is called once or twice for each entry, as differences call it."""
    entries = sum(point.arguments[name].numel() for name in point.wanted)
    file = Path(point.handin.file).name
    for code, count in calls.items():
        own = Path(code.co_filename).name == file
        numeric = "numeric" in code.co_name or "finite_diff" in code.co_name
        package = PACKAGE in Path(code.co_filename).parents and Path(code.co_filename).name == "differences.py"
        if (own and numeric) or package:
            return True
        if own and count >= entries and code.co_name in ("value", "forward", "loss", "f", point.handin.name):
            return True
    return False


def is_solution(point: Point, exercise: GradientExercise, calls: Counter[CodeType]) -> bool:
    """Returns whether each function to write was called and is a copy of the package's own."""
    file = Path(point.handin.file).name
    mine = {code.co_name: code for code in calls if Path(code.co_filename).name == file}
    pairs = [(source, mine.get(source_name(source))) for cut in exercise.cut for source in cut.sources()]
    return bool(pairs) and all(code is not None and tree(source) == tree_of(code) for source, code in pairs)


def source_name(source: str) -> str:
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.name


def tree_of(code: CodeType) -> str:
    with contextlib.suppress(OSError, SyntaxError, TypeError):
        return tree(textwrap.dedent(inspect.getsource(code)))
    return ""


def tree(source: str) -> str:
    """Returns a function's syntax tree without its docstring and its layout."""
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    return "\n".join(ast.dump(statement) for statement in function.body)
