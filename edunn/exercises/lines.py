"""Finds the line of a file where a term of the gradient stands, by the names in its statements."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from .returned import list_returned, parse_function, read_name
from .signature import find_argument, is_gradient_word


def find_lines(function: Callable[..., Any]) -> tuple[tuple[str, int], ...]:
    """Returns (term, line) for the terms that can be told apart.

    "penalty" is the last statement of the gradient that names λ, "mean" the last that divides, "gradient" the last that
    sets what is returned, and "bias" the last that sets the bias's.
    """
    tree = parse_function(function)
    try:
        start = inspect.getsourcelines(inspect.unwrap(function))[1]
    except (OSError, TypeError):
        return ()
    if not isinstance(tree, ast.Module) or not isinstance(tree.body[0], ast.FunctionDef):
        return ()
    own = tree.body[0]
    strengths = {one.arg for one in own.args.args if find_argument(one.arg, ["strength"])} | {"reg"}
    returned = {name for value in list_returned(function) for name in list_names(value)}
    found: dict[str, int] = {}
    for node in ast.walk(own):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) and node.value is not None:
            note_terms(node, returned, strengths, found)
    return tuple((term, start + line - 1) for term, line in found.items())


def note_terms(
    node: ast.Assign | ast.AugAssign | ast.Return, returned: set[str], strengths: set[str], found: dict[str, int]
) -> None:
    """Notes the line of one statement under the terms that it may be."""
    targets = [] if isinstance(node, ast.Return) else node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {read_target(one) for target in targets for one in split_target(target)}
    gradient = {name for name in names if is_gradient_word(name)} or (names & returned and not is_value(names))
    assert node.value is not None
    if isinstance(node, ast.Return):
        gradient = (
            any(not isinstance(one, ast.Name) for one in ast.walk(node.value)) and len(list_names(node.value)) > 0
        )
    words = list_names(node.value)
    last = node.lineno
    if gradient and words & strengths:
        found["penalty"] = max(last, found.get("penalty", 0))
    divides = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div)
    divides = divides or any(isinstance(one, ast.BinOp) and isinstance(one.op, ast.Div) for one in ast.walk(node.value))
    if gradient and divides:
        found["mean"] = max(last, found.get("mean", 0))
    if gradient and any(name.lower() in ("db", "dj_db", "dbias", "grad_b", "db1", "db2", "dbiases") for name in names):
        found["bias"] = max(last, found.get("bias", 0))
    if gradient and not isinstance(node, ast.Return):
        found["gradient"] = max(last, found.get("gradient", 0))
    elif gradient:
        found.setdefault("return", last)


def list_names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


def split_target(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List) else [node]


def read_target(node: ast.expr) -> str:
    """Returns the variable that is set: dW of dW[:, j], W2 of grads["W2"]."""
    if isinstance(node, ast.Subscript):
        outer = read_target(node.value)
        if outer.lower().startswith("grad") and isinstance(node.slice, ast.Constant):
            return f"d{node.slice.value!s}"
        return outer
    return read_name(node)


def is_value(names: set[str]) -> bool:
    return any(name.lower() in ("loss", "cost", "j", "value", "total") for name in names)
