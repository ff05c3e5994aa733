"""A student's file as something to check. **The code in it is executed**: `grading` does so in a process of its own.

What a file may hold (numpy or torch; the arrays it is given are float64):

    class NAME:                      class NAME:                          def NAME(scores, targets): …
        task = "cross-entropy"           task = "sigmoid"                 def NAME_gradient(scores, targets): …
        def value(self, …): …            def forward(self, …): …
        def gradient(self, …): …         def backward(self, upstream): …  TASK = "cross-entropy"

or one function that returns (value, gradient). The arguments are those of the task, in the template's order. Without a
task, a function `inputs(seed)` gives them as a dictionary, and the gradient is in the first floating one, or, as a
dictionary, in each that it names.

What has no gradient (an update rule, a histogram, a vote) is one function, called as its task or under TASK, or a class
whose `answer` it is:

    def knn_vote(distances, labels): …    class NAME:
                                              task = "knn-vote"
                                              def answer(self, distances, labels): …
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import EdunnError, nearest
from .functions import FUNCTIONS, FunctionTask
from .tasks import TASKS, Task


class HandinError(EdunnError):
    """A hand-in that cannot be run: it raises, or is not written as the protocol says."""


class Missing(HandinError):
    """The file holds no hand-in of that name."""


class Unfinished(HandinError):
    """What is asked for is still blank."""


@dataclass(frozen=True)
class Handin:
    """One thing in a file that has a value and a gradient.

    value, gradient : take the arguments in the task's order; for forward and backward, gradient also takes upstream
    """

    name: str
    file: str
    task: Task | None
    value: Callable[..., Any]
    gradient: Callable[..., Any]
    forward: bool
    torch: bool
    inputs: Callable[[int], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class FunctionHandin:
    """One function in a file that is held against the package's own.

    function : takes the arguments in the task's order
    """

    name: str
    file: str
    task: FunctionTask
    function: Callable[..., Any]
    torch: bool


def load(path: str | Path, name: str | None = None) -> list[Handin | FunctionHandin]:
    """Runs the file and finds what it hands in: NAME, or all that fit the protocol."""
    module = execute(Path(path))
    found = [handin for handin in candidates(module, str(path)) if name is None or handin.name == name]
    if not found:
        known = [handin.name for handin in candidates(module, str(path))]
        if name is not None and known:
            raise Missing(f"Expected {name!r} in {Path(path).name}. {nearest(name, known)}")
        raise HandinError(
            f"Expected a class with value and gradient (or forward and backward, or answer), or functions NAME and "
            f"NAME_gradient, in {Path(path).name}; found none. Start from edunn check --template {next(iter(TASKS))}; "
            f"edunn check --template list names the tasks."
        )
    return found


def execute(path: Path) -> ModuleType:
    """The file as a module. Its folder is importable while it runs."""
    if not path.is_file():
        raise HandinError(f"Expected a Python file; {path} is none.")
    spec = importlib.util.spec_from_file_location(f"handin_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        guarded(path.name, spec.loader.exec_module, module)
    finally:
        sys.path.pop(0)
    return module


def candidates(module: ModuleType, file: str) -> list[Handin | FunctionHandin]:
    """Everything in a module that fits the protocol."""
    return [*gradients_in(module, file), *functions_in(module, file)]


def own_things(module: ModuleType) -> list[tuple[str, Any]]:
    """What the file itself defines; a leading _ keeps a helper out of it."""
    return [
        (name, thing) for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]  # fmt: skip


def uses_torch(module: ModuleType) -> bool:
    return any(value is torch for value in vars(module).values())


def functions_in(module: ModuleType, file: str) -> list[FunctionHandin]:
    """The functions that have no gradient: classes with an answer, or functions by their own name, or the file's TASK.

    Under TASK several functions may stand; the one whose name is the task's counts, else the last that takes as many
    arguments, for helpers come first.
    """
    tasks, found = FUNCTIONS, []
    named: dict[str, FunctionHandin] = {}
    loose: list[FunctionHandin] = []
    for name, thing in own_things(module):
        task = task_of(thing, module, name)
        if not isinstance(task, FunctionTask):
            continue
        if inspect.isclass(thing) and hasattr(thing, "answer"):
            found.append(FunctionHandin(name, file, task, answer_of(thing, task), uses_torch(module)))
        elif inspect.isfunction(thing):
            one = FunctionHandin(name, file, task, ordered(thing, task), uses_torch(module))
            if spelled(name) in tasks:
                named[name] = one
            elif len(inspect.signature(thing).parameters) == len(task.arguments):
                loose.append(one)
    return found or [*named.values()] or loose[-1:]


def answer_of(thing: type, task: FunctionTask) -> Callable[..., Any]:
    """A new instance for every call, as for gradients."""
    return lambda *arguments: in_its_order(thing().answer, arguments, task)


def gradients_in(module: ModuleType, file: str) -> list[Handin]:
    """The pairs of a value and its gradient."""
    found: list[Handin] = []
    inputs = getattr(module, "inputs", None)
    for name, thing in own_things(module):
        task = task_of(thing, module, name)
        if isinstance(task, FunctionTask):
            continue
        if inspect.isclass(thing):
            pair = [
                (a, b)
                for a, b in (("value", "gradient"), ("forward", "backward"))
                if hasattr(thing, a) and hasattr(thing, b)
            ]
            if pair:
                value, gradient = of_class(thing, *pair[0], task)
                found.append(
                    Handin(name, file, task, value, gradient, pair[0][0] == "forward", uses_torch(module), inputs)
                )
        elif inspect.isfunction(thing) and name != "inputs":
            other = getattr(module, f"{name}_gradient", None)
            if inspect.isfunction(other):
                pair_of = (ordered(thing, task), ordered(other, task))
                found.append(Handin(name, file, task, *pair_of, False, uses_torch(module), inputs))
            elif not name.endswith("_gradient") and takes(thing, task, inputs is not None):
                value, gradient = of_joint(thing)
                found.append(Handin(name, file, task, value, gradient, False, uses_torch(module), inputs))
    pairs = [handin for handin in found if getattr(handin.gradient, "__name__", "") != "joint_gradient"]
    return pairs or found  # helper functions beside a class or a pair are not hand-ins of their own


def takes(function: Callable[..., Any], task: Task | None, own_inputs: bool) -> bool:
    """Whether a function may be one that returns (value, gradient): it takes as many arguments as the task has."""
    if task is None:
        return own_inputs
    return len(inspect.signature(function).parameters) == len(task.arguments)


def task_of(thing: Any, module: ModuleType, name: str) -> Task | FunctionTask | None:
    """By the class's `task`, the module's TASK, or the name itself: CrossEntropy is cross-entropy."""
    said = getattr(thing, "task", None) or getattr(module, "TASK", None)
    if said is not None:
        known: dict[str, Task | FunctionTask] = {**TASKS, **FUNCTIONS}
        if said not in known:
            raise HandinError(f"Expected a task that is known; got {said!r}. {nearest(str(said), known)}")
        return known[said]
    return TASKS.get(spelled(name)) or FUNCTIONS.get(spelled(name))


def spelled(name: str) -> str:
    """A name in a file as a task's: CrossEntropy and cross_entropy are cross-entropy."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).strip("-").replace("_", "-")


def of_class(
    thing: type, value: str, gradient: str, task: Task | None
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A new instance for every call: nothing may hide in what an earlier call left behind."""

    def run_value(*arguments: Any) -> Any:
        return in_its_order(getattr(thing(), value), arguments, task)

    def run_gradient(*arguments: Any) -> Any:
        instance = thing()
        if value == "forward":
            *rest, upstream = arguments
            in_its_order(instance.forward, tuple(rest), task)
            return instance.backward(upstream)
        return in_its_order(getattr(instance, gradient), arguments, task)

    return run_value, run_gradient


def in_its_order(function: Callable[..., Any], arguments: tuple[Any, ...], task: Task | FunctionTask | None) -> Any:
    """Calls with the task's arguments in order; by name where the function has the same names in another order."""
    names = list(inspect.signature(function).parameters)
    if task is not None and names != list(task.arguments) and set(names) == set(task.arguments):
        return function(**dict(zip(task.arguments, arguments, strict=True)))
    return function(*arguments)


def ordered(function: Callable[..., Any], task: Task | FunctionTask | None) -> Callable[..., Any]:
    return lambda *arguments: in_its_order(function, arguments, task)


def of_joint(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """One function that returns (value, gradient), as CS231n's."""

    def both(*arguments: Any) -> tuple[Any, Any]:
        result = function(*arguments)
        if not isinstance(result, tuple) or len(result) != 2:
            raise HandinError(f"Expected {function.__name__} to return (value, gradient); got {type(result).__name__}.")
        return result

    def joint_value(*arguments: Any) -> Any:
        return both(*arguments)[0]

    def joint_gradient(*arguments: Any) -> Any:
        return both(*arguments)[1]

    return joint_value, joint_gradient


def guarded(file: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a student's code; what it raises becomes one line with the line number in their file."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except NotImplementedError as error:
        raise Unfinished(str(error) or "it is still blank") from None
    except EdunnError:
        raise
    except MemoryError:
        raise
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise HandinError(f"{Path(file).name}{where}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        file = Path(file).name
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file
        ]
        where = f", line {lines[-1]}" if lines else ""
        text = str(error).splitlines()[0] if str(error) else ""
        if isinstance(error, AttributeError) and isinstance(error.obj, np.ndarray) and error.name in dir(Tensor):
            text += ". The arrays are torch's where the file says import torch, else numpy's"
        raise HandinError(f"{file}{where}: {type(error).__name__}: {text}".rstrip(": ")) from None


def given(value: Any, as_torch: bool) -> Any:
    """An argument as the hand-in gets it: its own copy, as an array or tensor."""
    if not isinstance(value, Tensor):
        return value
    copied = value.detach().clone()
    return copied if as_torch else copied.numpy()


def taken(value: Any, what: str) -> Tensor:
    """What a hand-in returned, as a tensor in its own dtype."""
    try:
        found = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError):
        found = None
    if found is None or found.is_complex() or found.dtype == torch.bool:
        raise HandinError(f"Expected {what} to be a number or an array of numbers; got {type(value).__name__}.")
    return found
