"""Reads what a function of a hand-in returns: which part is the value, and which gradient belongs to which argument.

Keys decide, then the names that stand in the return statement (`return dx, dw, db`), then shapes, then the order.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from .calls import HandinError, Unfinished
from .signature import find_gradient


def parse_function(function: Callable[..., Any]) -> ast.AST | None:
    """Returns a function's syntax tree; None where its source cannot be read."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


def list_returned(function: Callable[..., Any]) -> list[ast.expr]:
    """Returns what stands behind each return of the function itself, not of functions inside it."""
    tree = parse_function(function)
    found: list[ast.expr] = []
    own = tree.body[0] if isinstance(tree, ast.Module) else None
    waiting: list[ast.AST] = list(getattr(own, "body", []))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Return) and node.value is not None:
            found.append(node.value)
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            waiting = [*ast.iter_child_nodes(node), *waiting]
    return found


def name_returned(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the names in the last return that is a tuple or list, () where there is none; "" for what has no name."""
    for value in reversed(list_returned(function)):
        if isinstance(value, ast.Tuple | ast.List):
            return tuple(read_name(one) for one in value.elts)
    return ()


def read_name(node: ast.expr) -> str:
    """Returns the variable that an expression is, or is made from: dw of `dw / m`, `dw.T` and `self.dw`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return read_name(node.value) if node.attr == "T" else node.attr
    if isinstance(node, ast.BinOp):
        return read_name(node.left) or read_name(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return read_name(node.func.value)
    return ""


class Returned(NamedTuple):
    """Gradients as a function returned them, with the names that stand in its return statement."""

    gradients: Any
    words: tuple[str, ...]


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor) and max((1, *value.shape)) > 1


def is_gradient(value: Any) -> bool:
    return isinstance(value, Mapping | tuple | list) or is_array(value)


def split_returned(result: Any, name: str, words: Sequence[str] = ()) -> tuple[Any, Returned]:
    """Returns (value, gradients) of what a function returned together, in either order.

    words : the names in its return statement
    """
    if not isinstance(result, tuple | list) or len(result) < 2:
        if result is None or result is ...:
            raise Unfinished(f"{name} returns {result}. Is there a return?")
        raise HandinError(f"{name} returns {type(result).__name__}; wanted is (value, gradient).")
    numbers = [k for k, one in enumerate(result) if not is_gradient(one)]
    at = 0
    if len(words) == len(result):
        said = [k for k in numbers if words[k].lower() in VALUES or words[k].lower().endswith(("loss", "cost"))]
        at = said[0] if said else numbers[0] if numbers else 0
    elif numbers:
        at = numbers[0]
    rest = [one for k, one in enumerate(result) if k != at]
    left = tuple(word for k, word in enumerate(words) if k != at) if len(words) == len(result) else ()
    return result[at], Returned(rest[0] if len(rest) == 1 else tuple(rest), left)


VALUES = {"loss", "cost", "j", "l", "e", "error", "value", "total", "objective", "loss_value"}


def name_gradients(
    returned: Any, words: Sequence[str], wanted: Sequence[str], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Returns the gradients by the names of the arguments.

    words : the names in the return statement, where what was returned is a tuple
    wanted : the arguments in which a gradient is asked for, in the order that counts where nothing else tells
    shapes : of every argument that can have a gradient
    """
    if returned is None or returned is ...:
        raise Unfinished(f"The gradient is {returned}. Is there a return?")
    if isinstance(returned, Mapping):
        return name_keys(returned, shapes)
    if not isinstance(returned, tuple | list) or is_numbers(returned, wanted):
        return {wanted[0]: returned}
    if len(returned) == 1:
        return name_gradients(returned[0], (), wanted, shapes)
    if len(returned) == 2 and isinstance(returned[1], Mapping):
        # (dx, {"W": …}), as layers that keep their parameters apart return
        below = name_keys(returned[1], shapes)
        first = next((name for name in wanted if name not in below), "features")
        return {first: returned[0], **below}
    if len(words) == len(returned):
        named = [find_gradient(word, list(shapes)) if word else None for word in words]
        if None not in named and len(set(named)) == len(named):
            return {str(name): value for name, value in zip(named, returned, strict=True)}
    if len(returned) > len(wanted):
        raise HandinError(f"{len(returned)} gradients were returned for {len(wanted)} arguments: {', '.join(wanted)}.")
    return name_by_shape(returned, wanted, shapes)


def is_numbers(returned: Any, wanted: Sequence[str]) -> bool:
    """Whether a list is one gradient written as a list of numbers, and not several gradients."""
    return isinstance(returned, list) and len(returned) != len(wanted) and all(np.ndim(one) == 0 for one in returned)


def name_keys(returned: Mapping[Any, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in returned.items():
        name = find_gradient(str(key), [one for one in shapes if one not in named])
        if name is None:
            raise HandinError(
                f"The gradient has a key {str(key)!r}, which is none of the arguments {', '.join(shapes)}. "
                f"Name each gradient as its argument."
            )
        named[name] = value
    return named


def name_by_shape(
    returned: Sequence[Any], wanted: Sequence[str], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Gives each gradient to the first argument of its size that is left; to the next in order where no size fits."""
    left, found = list(wanted), {}
    for value in returned:
        size = int(np.prod(np.shape(value), dtype=int))
        same = [name for name in left if int(np.prod(shapes[name], dtype=int)) == size]
        name = same[0] if same else left[0]
        left.remove(name)
        found[name] = value
    return found
