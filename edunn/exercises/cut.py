"""Cuts pieces from the package's own source: unchanged, with blank right-hand sides, or with a mistake."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cut:
    """Functions of the package that a student writes: plain ones, or methods of one class.

    functions : in the order of the student's file
    name : of the function that is called, or of the class in the student's file
    extends : the class that the student's class extends; None for plain functions
    """

    functions: tuple[Callable[..., Any], ...]
    name: str
    extends: type | None = None

    @property
    def module(self) -> ModuleType:
        return sys.modules[self.functions[0].__module__]

    @property
    def file(self) -> str:
        """The path of the functions' file, from the repository's root."""
        return self.module.__name__.replace(".", "/") + ".py"

    def sources(self) -> list[str]:
        return [textwrap.dedent(inspect.getsource(function)).rstrip() for function in self.functions]

    def write(self, blank: bool = False) -> str:
        """Returns the functions' source, methods inside a class; with `blank` their skeletons."""
        pieces = [blank_out(source) if blank else source for source in self.sources()]
        if self.extends is None:
            return "\n\n\n".join(pieces)
        return f"class {self.name}({self.extends.__name__}):\n" + textwrap.indent("\n\n".join(pieces), "    ")

    @cache  # noqa: B019 (the cuts are those of the table, and live as long as the program)
    def edit(self, edits: Edits) -> Any:
        """Returns the class or function with every `old` of (old, new) replaced in its source."""
        text = self.write()
        for old, new in edits:
            if old not in text:
                raise LookupError(f"{self.name}: {old!r} is not in the package's source any more")
            text = text.replace(old, new)
        names = dict(vars(self.module))  # the source refers to what its own module knows
        if self.extends is not None:
            names[self.extends.__name__] = self.extends
        exec(compile(text, f"<{self.name}, edited>", "exec", dont_inherit=True), names)
        return names[self.name]

    def uses(self) -> set[str]:
        """Returns the names of its module that the source refers to; torch is always imported."""
        used = {self.extends.__name__} if self.extends else set()
        for source in self.sources():
            used |= {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        own = {function.__name__ for function in self.functions}
        return {name for name in used - own if hasattr(self.module, name) and name != "torch"}


def cut_functions(*functions: Callable[..., Any]) -> Cut:
    """Cuts plain functions; the last is the one that is called."""
    return Cut(functions, functions[-1].__name__)


def cut_methods(owner: type, *names: str, extends: type | None = None) -> Cut:
    """Cuts methods of a class; `extends`: what the student's class extends, in place of the class itself."""
    return Cut(tuple(getattr(owner, name) for name in names), f"_Your{owner.__name__}", extends or owner)


def write_imports(cuts: tuple[Cut, ...]) -> list[str]:
    """Returns the import lines that the cuts' source needs in a file of its own."""
    borrowed = {"Callable": "collections.abc", "Mapping": "collections.abc", "Tensor": "torch"}
    modules, known, own = {"torch"}, set(), []
    for cut in cuts:
        names = sorted(cut.uses())
        modules |= {name for name in names if inspect.ismodule(getattr(cut.module, name))}
        known |= {f"from {borrowed[name]} import {name}" for name in names if name in borrowed}
        rest = [name for name in names if name not in borrowed and name not in modules]
        own += [f"from {cut.module.__name__} import {', '.join(rest)}"] if rest else []
    return [*(f"import {name}" for name in sorted(modules)), *sorted(known), *own]


def blank_out(source: str) -> str:
    """Replaces every right-hand side and condition of a function by `...`, and drops its comments.

    Loops and the names that are assigned stay, as a hint. The first line raises an exception, so that an unchanged file
    is graded as unfinished and not as an error.
    """
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    documented = ast.get_docstring(function) is not None
    body = function.body[1:] if documented else function.body
    # the signature and the docstring as in the source; above the first statement there may be a comment
    end = function.body[0].end_lineno if documented else function.body[0].lineno - 1
    head = [line for line in source.splitlines()[:end] if not line.strip().startswith("#")]
    blanks = Blanks()
    skeleton = [ast.unparse(ast.fix_missing_locations(blanks.visit(statement))) for statement in body]
    stop = 'raise NotImplementedError("fill in the blanks, then delete this line")'
    return "\n".join([*head, textwrap.indent("\n".join([stop, *skeleton]), "    ")])


class Blanks(ast.NodeTransformer):
    """Replaces right-hand sides, returned values and the conditions of ifs by `...`."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.value = ast.Constant(...)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        node.op, node.value = ast.Add(), ast.Constant(...)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        node.value = ast.Constant(...)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        node.test = ast.Constant(...)
        return node
