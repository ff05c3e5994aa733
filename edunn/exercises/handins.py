"""The hand-ins in a student's file. **The code in it is executed**: `processes` does so in a process of its own.

What a file may hold (numpy or torch; the arrays it is given are float64):

    class NAME:                      class NAME:                          def NAME(scores, targets): …
        task = "cross-entropy"           task = "sigmoid"                 def NAME_gradient(scores, targets): …
        def value(self, …): …            def forward(self, …): …
        def gradient(self, …): …         def backward(self, upstream): …  TASK = "cross-entropy"

or one function that returns (value, gradient). The arguments are those of the exercise, in its order. Without an
exercise, a function `inputs(seed)` gives them as a dictionary, and the gradient is in the first floating one, or, as a
dictionary, in each that it names.

What has no gradient (an update rule, a histogram, a vote) is one function, named as its exercise or under TASK, or the
`answer` of a class:

    def knn_vote(distances, labels): …    class NAME:
                                              task = "knn-vote"
                                              def answer(self, distances, labels): …
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..errors import ConfigError, nearest
from .calls import HandinError, Missing, call
from .exercise import Exercise, FunctionExercise
from .table import EXERCISES, named

PAIRS = (("value", "gradient"), ("forward", "backward"))


@dataclass(frozen=True)
class Handin:
    """One thing in a file that is graded: a value with its gradient, or a function.

    exercise : what it answers; None where the file's own `inputs` gives the arguments
    value : the value, the output of forward, or the function's answer; takes the arguments in the exercise's order
    gradient : takes the same; of forward and backward also upstream; None for a function
    torch : whether the arguments are tensors, and not arrays
    """

    name: str
    file: str
    exercise: Exercise | None
    torch: bool
    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    forward: bool = False
    inputs: Callable[[int], Mapping[str, Any]] | None = None


def load(path: str | Path, name: str | None = None) -> list[Handin]:
    """Runs the file and returns what it hands in: NAME, or all that have one of the forms."""
    module = execute(Path(path))
    every = find_gradients(module, str(path))
    # a numeric gradient beside a derived one is its check, and no hand-in of its own
    every += [one for one in find_functions(module, str(path)) if not (every and checks_gradients(one))]
    found = [handin for handin in every if name is None or handin.name == name]
    if not found and every:
        raise Missing(f"{Path(path).name} has no {name!r}. {nearest(str(name), [handin.name for handin in every])}")
    if not found:
        raise HandinError(
            f"Expected a class with value and gradient (or forward and backward, or answer), or functions NAME and "
            f"NAME_gradient, in {Path(path).name}; found none. Start from edunn exercise {next(iter(EXERCISES))}; "
            f"edunn exercise --list names them all."
        )
    return found


def checks_gradients(handin: Handin) -> bool:
    return handin.exercise is not None and "function" in handin.exercise.arguments


def execute(path: Path) -> ModuleType:
    """Runs the file as a module. Its folder is importable meanwhile."""
    if not path.is_file():
        raise HandinError(f"There is no Python file {path}.")
    spec = importlib.util.spec_from_file_location(f"handin_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        call(path.name, spec.loader.exec_module, module)
    finally:
        sys.path.pop(0)
    return module


def list_own(module: ModuleType) -> Iterator[tuple[str, Any, Exercise | None]]:
    """Lists what the file itself defines, with its exercise; a leading _ marks a helper."""
    for name, thing in vars(module).items():
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__:
            yield name, thing, find_exercise(thing, module, name)


def find_exercise(thing: Any, module: ModuleType, name: str) -> Exercise | None:
    """Finds the exercise by the class's `task`, the module's TASK, or its name: CrossEntropy is cross-entropy."""
    said = getattr(thing, "task", None) or getattr(module, "TASK", None)
    try:
        return EXERCISES.get(spell(name)) if said is None else named(str(said))
    except ConfigError as error:
        raise HandinError(f"The task of {name}: {error}") from None


def spell(name: str) -> str:
    """Spells a name in a file as an exercise's: CrossEntropy and cross_entropy are cross-entropy."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).strip("-").replace("_", "-")


def uses_torch(module: ModuleType) -> bool:
    return any(value is torch for value in vars(module).values())


def find_functions(module: ModuleType, file: str) -> list[Handin]:
    """Finds the functions without a gradient: classes with an answer, or functions by their own name, or under TASK.

    Under TASK several functions may stand; the one that is named as the exercise counts, else the last that takes as
    many arguments, for helpers come first.
    """
    classes, by_name, others = [], [], []
    for name, thing, exercise in list_own(module):
        if not isinstance(exercise, FunctionExercise):
            continue
        if inspect.isclass(thing) and hasattr(thing, "answer"):
            answer = fresh(thing, "answer", exercise)
            classes.append(Handin(name, file, exercise, uses_torch(module), answer))
        elif inspect.isfunction(thing):
            one = Handin(name, file, exercise, uses_torch(module), reorder(thing, exercise))
            if spell(name) in EXERCISES:
                by_name.append(one)
            elif count_arguments(thing) == len(exercise.arguments):
                others.append(one)
    return classes or by_name or others[-1:]


def find_gradients(module: ModuleType, file: str) -> list[Handin]:
    """Finds the values with a gradient: classes, pairs of functions, or one function that returns both."""
    pairs, joint = [], []
    inputs = getattr(module, "inputs", None)
    for name, thing, exercise in list_own(module):
        if isinstance(exercise, FunctionExercise):
            continue
        common = name, file, exercise, uses_torch(module)
        if inspect.isclass(thing):
            first, second = next(((a, b) for a, b in PAIRS if hasattr(thing, a) and hasattr(thing, b)), ("", ""))
            if first:
                backward = fresh_backward(thing, exercise) if first == "forward" else fresh(thing, second, exercise)
                pairs.append(Handin(*common, fresh(thing, first, exercise), backward, first == "forward", inputs))
        elif inspect.isfunction(thing) and name != "inputs":
            other = getattr(module, f"{name}_gradient", None)
            if inspect.isfunction(other):
                pairs.append(Handin(*common, reorder(thing, exercise), reorder(other, exercise), inputs=inputs))
            elif not name.endswith("_gradient") and may_return_both(thing, exercise, inputs is not None):
                joint.append(Handin(*common, pick(thing, 0), pick(thing, 1), inputs=inputs))
    return pairs or joint  # helper functions beside a class or a pair are not hand-ins of their own


def may_return_both(function: Callable[..., Any], exercise: Exercise | None, own_inputs: bool) -> bool:
    """Returns whether a function may return (value, gradient): it takes as many arguments as the exercise."""
    return own_inputs if exercise is None else count_arguments(function) == len(exercise.arguments)


def count_arguments(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


def fresh(thing: type, method: str, exercise: Exercise | None) -> Callable[..., Any]:
    """Returns a method called on a new instance each time: no call depends on what an earlier one left behind."""
    return lambda *arguments: reorder(getattr(thing(), method), exercise)(*arguments)


def fresh_backward(thing: type, exercise: Exercise | None) -> Callable[..., Any]:
    """Returns backward, called after forward on a new instance each time; takes forward's arguments and upstream."""

    def run(*arguments: Any) -> Any:
        instance = thing()
        reorder(instance.forward, exercise)(*arguments[:-1])
        return instance.backward(arguments[-1])

    return run


def reorder(function: Callable[..., Any], exercise: Exercise | None) -> Callable[..., Any]:
    """Returns the function with the exercise's order of arguments, where it has the same names in another."""
    names = list(inspect.signature(function).parameters)
    if exercise is None or names == list(exercise.arguments) or set(names) != set(exercise.arguments):
        return function
    return lambda *arguments: function(**dict(zip(exercise.arguments, arguments, strict=True)))


def pick(function: Callable[..., Any], which: int) -> Callable[..., Any]:
    """Returns one of the two that a function returns together, (value, gradient), as CS231n's do."""

    def run(*arguments: Any) -> Any:
        result = function(*arguments)
        if not isinstance(result, tuple) or len(result) != 2:
            raise HandinError(f"{function.__name__} returns {type(result).__name__}; wanted is (value, gradient).")
        return result[which]

    return run
