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
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..errors import ConfigError, nearest
from . import signature
from .calls import HandinError, Missing, NothingFound
from .candidates import Candidate, find_candidates
from .exercise import Exercise, FunctionExercise, GradientExercise
from .files.executing import ExecutedModule, execute
from .forms import find_forms
from .handin import Handin
from .lines import find_lines
from .returned import name_returned, split_returned
from .signature import describe_match, list_parameters, match
from .table import EXERCISES, named

PAIRS = (("value", "gradient"), ("forward", "backward"))
GRADIENT_ENDINGS = ("_gradient", "_grad", "_prime", "_derivative", "_backward")


def load(path: str | Path, name: str | None = None) -> list[Handin]:
    """Runs the file and returns its hand-ins: the one called NAME, or all."""
    module = execute(Path(path))
    return select(module, str(path), name)


def select(module: ExecutedModule, path: str, name: str | None = None) -> list[Handin]:
    """Returns what a module hands in: NAME, or all that have one of the forms."""
    every = find_gradients(module, path)
    # a numeric gradient beside a derived one is its check, and no hand-in of its own
    every += [one for one in find_functions(module, path) if not (every and checks_gradients(one))]
    found = [handin for handin in every if name is None or handin.name == name]
    found = found or [one for one in every if name in one.functions]
    if not found and every:
        raise Missing(f"{Path(path).name} has no {name!r}. {nearest(str(name), [handin.name for handin in every])}")
    if not found and module.error is not None:
        raise module.error
    if not found:
        raise NothingFound(
            f"Expected a class with value and gradient (or forward and backward, or answer), or functions NAME and "
            f"NAME_gradient, in {Path(path).name}; found none. Start from edunn exercise {next(iter(EXERCISES))}; "
            f"edunn exercise --list names them all."
        )
    return found


def checks_gradients(handin: Handin) -> bool:
    return handin.exercise is not None and "function" in handin.exercise.arguments


def list_own(module: ModuleType) -> Iterator[tuple[str, Any, Exercise | None]]:
    """Lists the functions and classes that the file itself defines, with their exercise; a leading _ marks a helper."""
    for name, thing in vars(module).items():
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__:
            yield name, thing, find_exercise(thing, module, name)


def is_said(thing: Any, module: ModuleType) -> bool:
    """Whether the file says which exercise it is; a name alone is a guess."""
    return getattr(thing, "task", None) is not None or getattr(module, "TASK", None) is not None


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
            if spell(name) in EXERCISES and (is_said(thing, module) or match(thing, exercise.arguments) is not None):
                by_name.append(one)
            elif count_arguments(thing) == len(exercise.arguments):
                others.append(one)
    return classes or by_name or others[-1:]


def call_answer(thing: type, exercise: Exercise) -> Callable[..., Any]:
    """Returns a function that calls `answer` on a new instance of the student's class each time."""
    return lambda *given: reorder(thing().answer, exercise.arguments)(*given)


def find_gradients(module: ModuleType, file: str) -> list[Handin]:
    """Finds the values with a gradient: classes, pairs of functions, or one function that returns both.

    What declares its exercise, or has `inputs`, is read in the forms above. Beside such a one, what has neither is a
    helper. Everything else is read in the forms of courses (`forms`).
    """
    inputs, as_torch = getattr(module, "inputs", None), uses_torch(module)
    pairs, joint, named_classes = [], [], []
    functions: dict[str, Callable[..., Any]] = {}
    classes: dict[str, type] = {}
    for name, thing, exercise in list_own(module):
        if isinstance(exercise, FunctionExercise) or name == "inputs":
            continue
        said = inputs is not None or is_said(thing, module)
        common = name, file, as_torch, inputs
        if inspect.isclass(thing):
            if said:
                pairs += read_class(thing, exercise, *common)
            else:
                named_classes += read_class(thing, exercise, *common) if exercise is not None else []
                classes[name] = thing
        elif inspect.isfunction(thing):
            other = next((f for s in GRADIENT_ENDINGS if inspect.isfunction(f := vars(module).get(f"{name}{s}"))), None)
            if not said:
                functions[name] = thing
            if other is not None and said:
                pairs += read_pair(thing, other, exercise, *common)
            elif not name.endswith(GRADIENT_ENDINGS):
                joint += read_joint(thing, exercise if said else None, *common)
    joint = [one for one in joint if spell(one.name) == one.task] or joint  # under one TASK there may stand helpers
    if pairs:
        return pairs
    foreign, taken = find_forms(functions, classes, file, as_torch)
    found = [one for one in joint if one.name not in taken] + put_first(named_classes, foreign)
    return in_order_of(found, module)


def put_first(named: list[Handin], foreign: list[Handin]) -> list[Handin]:
    """Returns the foreign hand-ins; a class that is named as an exercise is tried as that first."""
    known = {one.name: one for one in foreign}
    for one in named:
        other = known.get(one.name)
        others = () if other is None else (other, *other.others)
        known[one.name] = replace(one, declared=False, others=(*one.others, *(replace(o, others=()) for o in others)))
    return list(known.values())


def in_order_of(found: list[Handin], module: ModuleType) -> list[Handin]:
    """Returns the hand-ins in the order of the file."""
    names = list(vars(module))
    return sorted(found, key=lambda one: names.index(one.name) if one.name in names else len(names))


def read_class(
    thing: type, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of a class with value and gradient, or with forward and backward."""
    first, second = next(((a, b) for a, b in PAIRS if hasattr(thing, a) and hasattr(thing, b)), ("", ""))
    if not first:
        return []
    method = getattr(thing, first)
    own = [Candidate(exercise, exercise.arguments if exercise is not None else ())]
    candidates = list_candidates(method, exercise, inputs) if first == "value" else own
    output = first == "forward" and not (isinstance(exercise, GradientExercise) and not exercise.forward)
    upstream = count_required(getattr(thing, second)) if first == "forward" else 0
    return make(
        candidates, exercise, name, file, torch_arrays, inputs, forward=output,
        value=lambda names: lambda *given: reorder(getattr(thing(), first), names)(*given),
        gradient=lambda names: after_value(thing, first, second, names, output, upstream),
        says=lambda names: describe_match(getattr(thing(), first), names), lines=find_lines(getattr(thing, second)),
    )  # fmt: skip


def read_pair(
    function: Any, gradient: Any, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of two functions, NAME and NAME_gradient."""
    return make(
        list_candidates(function, exercise, inputs), exercise, name, file, torch_arrays, inputs,
        value=lambda names: reorder(function, names), gradient=lambda names: reorder(gradient, names),
        says=lambda names: describe_match(function, names), functions=(gradient.__name__, function.__name__),
        lines=find_lines(gradient),
    )  # fmt: skip


def read_joint(
    function: Any, exercise: Exercise | None, name: str, file: str, torch_arrays: bool, inputs: Any
) -> list[Handin]:
    """Returns the hand-in of one function that returns value and gradient, in either order."""
    if not returns_several(function):
        return []  # a helper
    if inputs is not None and exercise is None:
        known = [one for one in list_candidates(function, None, None) if one.exercise is not None]
        candidates = [Candidate(None, (), inputs), *(one for one in known if match(function, one.names))]
    else:
        candidates = list_candidates(function, exercise, inputs)
        candidates = [one for one in candidates if one.names and match(function, one.names)]
    return make(
        candidates, exercise, name, file, torch_arrays, inputs,
        value=lambda names: pick(reorder(function, names), function, 0),
        gradient=lambda names: pick(reorder(function, names), function, 1),
        says=lambda names: describe_match(function, names), functions=(function.__name__,), lines=find_lines(function),
    )  # fmt: skip


def make(
    candidates: list[Candidate], declared: Exercise | None, name: str, file: str, torch_arrays: bool,
    inputs: Any, *, value: Any, gradient: Any, says: Any, forward: bool = False, functions: tuple[str, ...] = (),
    lines: tuple[tuple[str, int], ...] = (),
) -> list[Handin]:  # fmt: skip
    """Returns the hand-in as a solution of its first exercise, with the others that it may solve beside it."""
    several: list[Handin] = []
    for one in candidates:
        names = one.names or None
        said = says(names) if names else ""
        several.append(
            Handin(
                name, file, one.exercise, torch_arrays, value(names), gradient(names), forward,
                one.inputs if one.inputs is not None or one.exercise is not None else inputs,
                own_inputs=inputs is not None and not several, like=one.like, declared=declared is not None,
                matched=said,
                functions=functions, lines=lines,
            )
        )  # fmt: skip
    return [replace(several[0], others=tuple(several[1:]))] if several else []


def list_candidates(function: Callable[..., Any], exercise: Exercise | None, inputs: Any) -> list[Candidate]:
    """Returns the exercise, or what the names of the arguments leave open; without names where they say nothing."""
    if exercise is not None or inputs is not None:
        return [Candidate(exercise, exercise.arguments if exercise is not None else ())]
    parameters = list_parameters(function) or []
    words = [one.name for one in parameters if one.name != "self" and one.default is one.empty]
    optional = [one.name for one in parameters if one.default is not one.empty]
    return find_candidates(words, optional) or [Candidate(None, ())]


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


def pick(function: Callable[..., Any], original: Callable[..., Any], which: int) -> Callable[..., Any]:
    """Returns one of the two that a function returns together: (loss, gradients), as CS231n's do, or (grads, cost)."""
    words = name_returned(original)
    return lambda *arguments: split_returned(function(*arguments), original.__name__, words)[which]
