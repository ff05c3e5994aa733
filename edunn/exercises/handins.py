"""The hand-ins in a student's file. **The code in it is executed**: `processes` does so in a process of its own.

What a file may hold (numpy or torch; the arrays it is given are float64):

    class NAME:                      class NAME:                          def NAME(scores, targets): …
        task = "cross-entropy"           task = "sigmoid"                 def NAME_gradient(scores, targets): …
        def value(self, …): …            def forward(self, …): …
        def gradient(self, …): …         def backward(self, upstream): …  TASK = "cross-entropy"

or one function that returns (value, gradient), in either order. The arguments are those of the exercise, by its names
or their aliases (`signature`). Without an exercise, a function `inputs(seed)` gives them as a dictionary, and the
gradient is in the first floating one, or, as a dictionary, in each that it names. Without either, the names may tell:
`(W, X, y, reg)` is the objective of a linear model (`guess`).

What has no gradient (an update rule, a histogram, a vote) is one function, named as its exercise or under TASK, or the
`answer` of a class:

    def knn_vote(distances, labels): …    class NAME:
                                              task = "knn-vote"
                                              def answer(self, distances, labels): …
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..errors import ConfigError, nearest
from . import signature
from .calls import HandinError, Missing, Unfinished, call
from .exercise import Exercise, FunctionExercise, GradientExercise
from .guess import guess_exercises
from .layout import PLAIN, Layout
from .signature import describe_match, list_parameters, match
from .table import EXERCISES, named

PAIRS = (("value", "gradient"), ("forward", "backward"))
GRADIENT_ENDINGS = ("_gradient", "_grad", "_prime", "_derivative", "_backward")


@dataclass(frozen=True)
class Handin:
    """One solution in a student's file: a value with its gradient, or a function.

    exercise : that it solves; None where the file's own `inputs` gives the arguments
    value : the value, the output of forward, or the function's answer; takes the arguments in the exercise's order
    gradient : takes the same; of forward and backward also upstream; None for a function
    torch : whether the arguments are tensors, and not arrays
    declared : whether the file says which exercise it is, by name or task
    matched : which parameters were matched by position alone
    layout : the shapes in which it takes the arguments
    others : the same as an answer to other exercises, where none is declared
    """

    name: str
    file: str
    exercise: Exercise | None
    torch: bool
    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    forward: bool = False
    inputs: Callable[[int], Mapping[str, Any]] | None = None
    declared: bool = True
    matched: str = ""
    layout: Layout = PLAIN
    others: tuple[Handin, ...] = ()

    @property
    def task(self) -> str:
        return self.exercise.name if self.exercise else ""


def load(path: str | Path, name: str | None = None) -> list[Handin]:
    """Runs the file and returns its hand-ins: the one called NAME, or all."""
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
    """Runs the file as a module. While it runs, modules in its folder can be imported."""
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
    """Lists the functions and classes that the file itself defines, with their exercise; a leading _ marks a helper."""
    for name, thing in vars(module).items():
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__:
            yield name, thing, find_exercise(thing, module, name)


def find_exercise(thing: Any, module: ModuleType, name: str) -> Exercise | None:
    """Finds the exercise by the class's `task`, the module's TASK, or its name: CrossEntropy is cross-entropy."""
    said = getattr(thing, "task", None) or getattr(module, "TASK", None)
    try:
        if said is not None:
            return named(str(said))
        found = EXERCISES.get(spell(name))
        # a function softmax(W, X, y, reg) is not an activation, although its name says so
        other = isinstance(found, GradientExercise) and inspect.isfunction(thing) and not match(thing, found.arguments)
        return None if other else found
    except ConfigError as error:
        raise HandinError(f"The task of {name}: {error}") from None


def spell(name: str) -> str:
    """Spells a name in a file as an exercise's: CrossEntropy and cross_entropy are cross-entropy."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).strip("-").replace("_", "-")


def uses_torch(module: ModuleType) -> bool:
    """Returns whether the file imports torch, or a part of it."""
    for value in vars(module).values():
        owner = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        if value is torch or (isinstance(owner, str) and owner.split(".")[0] == "torch"):
            return True
    return False


def find_functions(module: ModuleType, file: str) -> list[Handin]:
    """Finds the functions without a gradient: classes with an answer, or functions by their own name, or under TASK.

    A file with TASK may have several functions; the one with the exercise's name counts, else the last with as many
    arguments, because helpers come first.
    """
    classes, by_name, others = [], [], []
    for name, thing, exercise in list_own(module):
        if not isinstance(exercise, FunctionExercise):
            continue
        if inspect.isclass(thing) and hasattr(thing, "answer"):
            answer = call_answer(thing, exercise)
            classes.append(Handin(name, file, exercise, uses_torch(module), answer))
        elif inspect.isfunction(thing):
            one = Handin(name, file, exercise, uses_torch(module), reorder(thing, exercise.arguments))
            if spell(name) in EXERCISES:
                by_name.append(one)
            elif count_arguments(thing) == len(exercise.arguments):
                others.append(one)
    return classes or by_name or others[-1:]


def call_answer(thing: type, exercise: Exercise) -> Callable[..., Any]:
    """Returns a function that calls `answer` on a new instance of the student's class each time."""
    return lambda *given: reorder(thing().answer, exercise.arguments)(*given)


def find_gradients(module: ModuleType, file: str) -> list[Handin]:
    """Finds the values with a gradient: classes, pairs of functions, or one function that returns both.

    One without an exercise counts as a hand-in where the file's `inputs` gives its arguments, or their names say which
    exercises it may solve; in a file with such a one, a function with neither is a helper.
    """
    pairs, joint = [], []
    inputs = getattr(module, "inputs", None)
    for name, thing, exercise in list_own(module):
        if isinstance(exercise, FunctionExercise) or name == "inputs":
            continue
        common = name, file, uses_torch(module), inputs
        if inspect.isclass(thing):
            pairs += read_class(thing, exercise, *common)
        elif inspect.isfunction(thing):
            other = next((f for s in GRADIENT_ENDINGS if inspect.isfunction(f := vars(module).get(f"{name}{s}"))), None)
            if other is not None:
                pairs += read_pair(thing, other, exercise, *common)
            elif not name.endswith(GRADIENT_ENDINGS):
                joint += read_joint(thing, exercise, *common)
    joint = [one for one in joint if spell(one.name) == one.task] or joint  # a file with TASK may also have helpers
    known = [one for one in pairs if one.exercise is not None or inputs is not None]
    if known:
        # helper functions beside a class or a pair are not hand-ins of their own
        declared = any(one.declared for one in known)
        return known + [one for one in joint if not one.declared and one.exercise and not declared and inputs is None]
    return joint or pairs


def read_class(
    thing: type, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of a class with value and gradient, or with forward and backward."""
    first, second = next(((a, b) for a, b in PAIRS if hasattr(thing, a) and hasattr(thing, b)), ("", ""))
    if not first:
        return []
    method = getattr(thing, first)
    candidates = find_candidates(method, exercise, inputs) if first == "value" else (exercise,)
    output = first == "forward" and not (isinstance(exercise, GradientExercise) and not exercise.forward)
    upstream = count_required(getattr(thing, second)) if first == "forward" else 0
    return make(
        candidates, exercise, name, file, torch_arrays, inputs, forward=output,
        value=lambda names: lambda *given: reorder(getattr(thing(), first), names)(*given),
        gradient=lambda names: after_value(thing, first, second, names, output, upstream),
        says=lambda names: describe_match(getattr(thing(), first), names),
    )  # fmt: skip


def read_pair(
    function: Any, gradient: Any, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of two functions, NAME and NAME_gradient."""
    return make(
        find_candidates(function, exercise, inputs), exercise, name, file, torch_arrays, inputs,
        value=lambda names: reorder(function, names), gradient=lambda names: reorder(gradient, names),
        says=lambda names: describe_match(function, names),
    )  # fmt: skip


def read_joint(
    function: Any, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of one function that returns value and gradient, in either order."""
    if not returns_several(function):
        return []  # a helper
    if inputs is not None and exercise is None:
        candidates: tuple[Exercise | None, ...] = (None,)
    else:
        candidates = find_candidates(function, exercise, inputs)
        candidates = tuple(one for one in candidates if one is not None and match(function, one.arguments))
    return make(
        candidates, exercise, name, file, torch_arrays, inputs,
        value=lambda names: pick(reorder(function, names), name, 0),
        gradient=lambda names: pick(reorder(function, names), name, 1),
        says=lambda names: describe_match(function, names),
    )  # fmt: skip


def make(
    candidates: tuple[Exercise | None, ...], declared: Exercise | None, name: str, file: str, torch_arrays: bool,
    inputs: Any, *, value: Any, gradient: Any, says: Any, forward: bool = False,
) -> list[Handin]:  # fmt: skip
    """Returns the hand-in as a solution of its first exercise, with the others that it may solve beside it."""
    several = []
    for one in candidates:
        names = one.arguments if one is not None else None
        said = says(names) if names else ""
        several.append(
            Handin(
                name, file, one, torch_arrays, value(names), gradient(names), forward, inputs,
                declared=declared is not None, matched=said,
            )
        )  # fmt: skip
    return [replace(several[0], others=tuple(several[1:]))] if several else []


def find_candidates(
    function: Callable[..., Any], exercise: Exercise | None, inputs: Any
) -> tuple[Exercise | None, ...]:
    """Returns the exercise, or all that the names of the arguments allow; (None,) if they allow none."""
    if exercise is not None or inputs is not None:
        return (exercise,)
    parameters = list_parameters(function) or []
    words = [one.name for one in parameters if one.name != "self" and one.default is one.empty]
    optional = [one.name for one in parameters if one.default is not one.empty]
    return guess_exercises(words, optional) or (None,)


def returns_several(function: Callable[..., Any]) -> bool:
    """Returns whether a function may return (value, gradient): a return has a tuple, or none is found."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return True
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    return not returned or any(isinstance(value, ast.Tuple) for value in returned)


def count_arguments(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


def count_required(method: Callable[..., Any]) -> int:
    """Returns the number of required arguments of a method, without self."""
    found = list(inspect.signature(method).parameters.values())
    return sum(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in found[1:])


def after_value(
    thing: type, first: str, second: str, names: tuple[str, ...] | None, output: bool, upstream: int
) -> Callable[..., Any]:
    """Returns the second method, called after the first on a new instance each time.

    So no call depends on an earlier one, and the second can use what the first stores on the instance. If the backward
    of a loss takes an upstream, it is 1.
    """

    def run(*given: Any) -> Any:
        instance = thing()
        arguments = given[:-1] if output else given
        kept = copy.deepcopy(arguments)
        reorder(getattr(instance, first), names)(*kept)
        method = getattr(instance, second)
        if first == "value":
            return reorder(method, names)(*arguments)
        if output:
            return method(given[-1])
        return method(*[1.0] * min(upstream, 1))

    return run


def reorder(function: Callable[..., Any], names: tuple[str, ...] | None) -> Callable[..., Any]:
    return function if names is None else signature.reorder(function, names)


def pick(function: Callable[..., Any], name: str, which: int) -> Callable[..., Any]:
    """Returns the value or the gradients of a function that returns both: (loss, gradients) or (grads, cost)."""

    def run(*arguments: Any) -> Any:
        result = function(*arguments)
        if not isinstance(result, tuple | list) or len(result) < 2:
            if result is None or result is ...:
                raise Unfinished(f"{name} returns {result}. Is there a return?")
            raise HandinError(f"{name} returns {type(result).__name__}; wanted is (value, gradient).")
        value, *gradients = result
        if len(result) == 2 and is_gradient(value) and not is_gradient(gradients[0]):
            value, gradients = gradients[0], [value]
        return value if which == 0 else gradients[0] if len(gradients) == 1 else tuple(gradients)

    return run


def is_gradient(value: Any) -> bool:
    return isinstance(value, Mapping | tuple | list) or (hasattr(value, "shape") and max((1, *value.shape)) > 1)
