"""Expressions as people type them, `x**2 + sin(y)`, read by an allow-list: never `eval`.

Python's own parser makes a tree, which may contain only numbers, names, + − * / ** and the functions below. It is then
evaluated on floats, on tensors, or on the symbols from which a graph is built.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, nearest

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class Sigmoid(torch.autograd.Function):
    """σ(x) = 1/(1 + e^−x), with σ′(x) = σ(x) σ(−x).

    Written with 1 − σ(x) the derivative is 0 from x = 37 on, where σ(x) rounds to 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return upstream[0] * sigmoid(x) * sigmoid(-x)


class Tanh(torch.autograd.Function):
    """tanh x, with tanh′(x) = 4 σ(2x) σ(−2x): 1 − tanh² is 0 from x = 19 on, where tanh x rounds to 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return upstream[0] * 4 * sigmoid(2 * x) * sigmoid(-2 * x)


def sigmoid(x: Any) -> Any:
    """Returns σ(x) of a tensor, or records it on a symbol."""
    return Sigmoid.apply(x) if isinstance(x, Tensor) else torch.sigmoid(x)


def tanh(x: Any) -> Any:
    """Returns tanh x of a tensor, or records it on a symbol."""
    return Tanh.apply(x) if isinstance(x, Tensor) else torch.tanh(x)


PRECISE: dict[Any, Callable[[Any], Any]] = {
    torch.sigmoid: sigmoid,
    torch.tanh: tanh,
}  # the same functions with derivatives that keep their digits
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": torch.relu,
    "abs": torch.abs,
    "max": torch.maximum,
    "min": torch.minimum,
}
TWO_ARGUMENTS = ("max", "min")
CONSTANTS = {"pi": math.pi, "e": math.e}
LONGEST = 20_000  # characters


@dataclass(frozen=True)
class Expression:
    """An expression as a list of operations, in Python's order of evaluation.

    names : the variables, in the order of their first appearance
    program : in postfix order: a name, a number, or (function, number of operands)
    """

    text: str
    names: tuple[str, ...]
    program: tuple[Any, ...]

    def __call__(self, /, **values: Any) -> Any:
        """Returns the value at these values of the names: numbers, tensors, or symbols."""
        check_values(self, values)
        stack: list[Any] = []
        for step in self.program:
            if isinstance(step, str):
                stack.append(values[step])
            elif isinstance(step, float):
                stack.append(step)
            else:
                function, count = step
                operands = stack[-count:]
                del stack[-count:]
                stack.append(apply(function, operands))
        return stack[0]


def apply(function: Callable[..., Any], operands: list[Any]) -> Any:
    """Applies one operation. torch's functions take tensors: a number among their operands becomes one."""
    if function in FUNCTIONS.values():
        operands = [torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else x for x in operands]
    elif all(isinstance(x, float) for x in operands):  # 1/0 and 9**9**9 are inf or nan, not Python's exceptions
        found = function(*(torch.tensor(x, dtype=torch.float64) for x in operands))
        return float(found)
    return function(*operands)


def parse(text: str) -> Expression:
    """Reads an expression; anything else is an error that says what is wrong."""
    if not isinstance(text, str):
        raise ConfigError(f"An expression is text, such as 'x**2 + 3*x'; got {type(text).__name__}.")
    if len(text) > LONGEST:
        raise ConfigError(f"The expression has {len(text):,} characters; at most {LONGEST:,} are read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python would warn of is refused below
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ConfigError(
            f"{shortened(text)!r} is not an expression such as 'x**2 + 3*x'."
            + (" Powers are written **." if "^" in text else "")
        ) from None
    except (RecursionError, MemoryError):
        raise ConfigError("The expression is nested too deeply. Give a Python function instead.") from None
    program: list[Any] = []
    pending: list[Any] = [tree]  # a stack of our own: a deep tree must not exhaust Python's
    while pending:
        node = pending.pop()
        step, below = read(node)
        program.append(step)
        pending.extend(below)
    program.reverse()
    names = tuple(dict.fromkeys(step for step in program if isinstance(step, str)))
    return Expression(text.strip(), names, tuple(program))


def read(node: ast.AST) -> tuple[Any, list[ast.AST]]:
    """Returns the operation and the operands of one node of the tree; raises an error for any other node."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return (OPERATORS[type(node.op)], 2), [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return (OPERATORS[type(node.op)], 1), [node.operand]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        try:
            return float(node.value), []
        except OverflowError:
            return math.inf, []
    if isinstance(node, ast.Name):
        if node.id in CONSTANTS:
            return CONSTANTS[node.id], []
        if node.id.startswith("_") or node.id in FUNCTIONS:
            raise refusal(node)
        return node.id, []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        name = node.func.id
        if name not in FUNCTIONS:
            raise ConfigError(f"Unknown function {name!r}. {nearest(name, FUNCTIONS)}")
        count = 2 if name in TWO_ARGUMENTS else 1
        if len(node.args) != count or any(isinstance(a, ast.Starred) for a in node.args):
            raise ConfigError(f"{name} takes {count} argument{'s' * (count > 1)}; got {len(node.args)}.")
        return (FUNCTIONS[name], count), list(node.args)
    raise refusal(node)


def refusal(node: ast.AST) -> ConfigError:
    hint = " Powers are written **." if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor) else ""
    if isinstance(node, ast.Name) and node.id in FUNCTIONS:
        hint = f" {node.id} is a function: write {node.id}(…)."
    try:
        what = shortened(ast.unparse(node))
    except RecursionError:
        what = type(node).__name__
    return ConfigError(
        f"Expected numbers, names, + - * / ** and {', '.join(FUNCTIONS)}; got {what!r}, which is refused.{hint}"
    )


def check_values(expression: Expression, values: Mapping[str, Any]) -> None:
    """Checks that every name has a value, and every value a name."""
    missing = [name for name in expression.names if name not in values]
    if missing:
        example = " ".join(f"{name}=1" for name in missing)
        raise ConfigError(f"{shortened(expression.text)!r} needs a value for {', '.join(missing)}. Add {example}.")
    unknown = [name for name in values if name not in expression.names]
    if unknown:
        known = ", ".join(expression.names) or "none"
        raise ConfigError(f"The expression does not contain the name {unknown[0]!r}; its names are {known}.")


def shortened(text: str, length: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
