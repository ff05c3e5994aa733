"""Runs a hand-in as a module. **The code in it is executed.**

A file is run from top to bottom. Where a statement of it fails (data that is not here, a picture, a question to the
user), its definitions are run alone, and a note says so. Of a notebook, the definitions are run, or the marked cells.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ..calls import HandinError, call
from .reading import Source, read_source
from .stubs import Finder, do_nothing

ROOT = "handed_in"  # the package that a hand-in is a module of, for `from .layers import *`
ARRAYS = ("np", "numpy", "math", "torch", "cmath")  # modules whose calls make constants, not work

Definition = ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef

HANDIN_FOLDERS: set[str] = set()  # what `execute` added to sys.path


class ExecutedModule(ModuleType):
    """A hand-in that was run.

    source : its text
    notes : what a reader should know
    error : what was wrong with the file as a whole; it matters where nothing is found in it
    """

    source: Source
    notes: list[str]
    error: HandinError | None = None


def execute(path: Path) -> ExecutedModule:
    """Runs the file as a module. Its folder, and the two above it, are importable from then on."""
    if not path.is_file():
        raise HandinError(f"There is no Python file {path}.")
    source = read_source(path)
    folder = path.resolve().parent
    folders = [folder, *list(folder.parents)[:2]]
    finder = Finder([*folders, folder / "cs231n", folder.parent / "cs231n"])
    new = [str(one) for one in folders[::-1] if str(one) not in sys.path]
    HANDIN_FOLDERS.update(new)
    sys.path.extend(new)
    sys.path.insert(0, str(folder))
    sys.meta_path.append(finder)
    try:
        return run(source, folder, finder)
    finally:
        sys.path.remove(str(folder))
        sys.meta_path.remove(finder)
        finder.forget()


def run(source: Source, folder: Path, finder: Finder) -> ExecutedModule:
    """Runs all of a file; or its definitions, where it is a notebook or a statement of it fails."""
    name = source.path.name
    skipped: list[str] = []
    statements = call(name, parse, source, skipped)
    failure: HandinError | None = None
    if source.whole:
        try:
            module = call(name, run_all, statements, source, folder, finder)
        except HandinError as error:
            if "SystemExit" in str(error):  # a file that ends the program hands nothing in
                raise
            failure = error
    if failure is not None or not source.whole:
        module = call(name, run_definitions, statements, source, folder, finder, skipped)
    if failure is not None:
        module.notes.append(f"{failure}: only its definitions were run")
    elif skipped:
        module.notes.append(f"not run: {'; '.join(skipped[:3])}")
    if finder.stubbed:
        missing = ", ".join(finder.stubbed)
        module.notes.append(f"not installed here: {missing}")
        failure = failure or HandinError(f"{name}: ModuleNotFoundError: no module named {missing}")
    module.error = failure
    return module


def parse(source: Source, skipped: list[str]) -> list[ast.stmt]:
    """Returns the statements; of a notebook, without the cells that are not Python."""
    try:
        return ast.parse(source.text, str(source.path)).body
    except SyntaxError as error:
        if not source.places:
            raise
        first = error
    lines, found = source.text.split("\n"), []
    cells = [cell for cell, _ in source.places]
    for cell in dict.fromkeys(cells):
        start = cells.index(cell)
        text = "\n".join(lines[start : start + cells.count(cell)])
        try:
            tree = ast.parse(text, str(source.path))
        except SyntaxError as error:
            skipped.append(f"cell {cell} ({error.msg})")
            continue
        found += ast.increment_lineno(tree, start).body
    if not any(isinstance(one, Definition) for one in found):
        raise first
    return found


def create_module(source: Source, folder: Path) -> ExecutedModule:
    """Returns an empty module for the file, in a package of its folder within a package of the folder above."""
    for name in [name for name in sys.modules if name.split(".")[0] == ROOT]:
        del sys.modules[name]
    inner = f"{ROOT}.{folder.name.replace('.', '_') or 'folder'}"
    for name, path in ((ROOT, folder.parent), (inner, folder)):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    module = ExecutedModule(f"{inner}.{source.path.stem.replace('.', '_')}")
    module.__file__, module.__package__ = str(source.path), inner
    module.source, module.notes = source, list(source.notes)
    sys.modules[module.__name__] = module
    vars(module)["get_ipython"] = do_nothing
    vars(module)["xrange"] = range  # of Python 2, which many a course began in
    linecache.cache[str(source.path)] = (len(source.text), None, source.text.splitlines(True), str(source.path))
    return module


def run_all(statements: list[ast.stmt], source: Source, folder: Path, finder: Finder) -> ExecutedModule:
    """Runs every statement; once more for each module that is found missing."""
    code = compile(ast.Module(statements, []), str(source.path), "exec", dont_inherit=True)
    while True:
        module = create_module(source, folder)
        try:
            exec(code, vars(module))
        except ModuleNotFoundError as error:
            if not finder.add(error.name):
                raise
        else:
            return module


def run_definitions(
    statements: list[ast.stmt], source: Source, folder: Path, finder: Finder, skipped: list[str]
) -> ExecutedModule:
    """Runs imports, functions, classes and constants; and all of the marked parts of a notebook.

    Where there are marks, what stands outside them is a helper, and what stands in one answers its exercise.
    """
    module = create_module(source, folder)
    helpers = f"{module.__name__}.helpers"
    sys.modules[helpers] = module
    for statement in statements:
        task = next((name for first, last, name in source.tasks if first <= statement.lineno <= last), None)
        if task is None and not is_definition(statement):
            continue
        before = dict(vars(module))
        code = compile(ast.Module([statement], []), str(source.path), "exec", dont_inherit=True)
        try:
            while True:
                try:
                    exec(code, vars(module))
                    break
                except ModuleNotFoundError as error:
                    if not finder.add(error.name):
                        raise
        except MemoryError:
            raise
        except Exception as error:
            if task is not None:
                raise
            skipped.append(f"{source.place(statement.lineno)} ({type(error).__name__}: {error})")
        for name, thing in list(vars(module).items()):
            mine = getattr(thing, "__module__", None) == module.__name__ and before.get(name) is not thing
            if source.tasks and mine and task is None:
                thing.__module__ = helpers
            elif mine and task is not None and not hasattr(thing, "task"):
                thing.task = task
    return module


def is_definition(statement: ast.stmt) -> bool:
    """Whether a statement only says what something is: an import, a function, a class, a constant."""
    if isinstance(statement, Definition | ast.Import | ast.ImportFrom):
        return True
    if isinstance(statement, ast.Try):
        return all(is_definition(one) or isinstance(one, ast.Pass) for one in statement.body)
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        return all(is_constant_call(node) for node in walk(statement.value) if isinstance(node, ast.Call | ast.Await))
    return False


def is_constant_call(node: ast.AST) -> bool:
    """Whether a call is one such as np.finfo(float), which makes a constant, and no file is read by it."""
    if not isinstance(node, ast.Call):
        return False
    function: ast.AST = node.func
    reads = isinstance(function, ast.Attribute) and "load" in function.attr
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id in ARRAYS and not reads


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Lists a node and all in it, but for the bodies of lambdas, which do not run yet."""
    yield node
    if not isinstance(node, ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from walk(child)


def locate(source: Source, message: str) -> str:
    """Says in a message about a notebook which cell a line is in."""
    name = re.escape(source.path.name)
    return re.sub(rf"({name}, )line (\d+)", lambda found: found[1] + source.place(int(found[2])), message)
