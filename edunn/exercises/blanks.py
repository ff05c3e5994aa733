"""Exercises: blanks cut from the package's own source, so that the two never drift.

An exercise is one hand-derived piece. Its file holds the formula, the piece's functions with their right-hand sides
left blank, and a class that `edunn check` grades: what surrounds the blanks is the package itself. The solution is the
source of the same functions.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import activations, differences, layers, losses, penalties
from ..losses import loops
from ..runtime import names
from .functions import FUNCTIONS
from .tasks import BETA, DELTA, SLOPE, TASKS


@dataclass(frozen=True)
class Exercise:
    """One hand-derived piece.

    name, lesson : its own, and the lesson that derives it ("" where none does)
    formula : of the value, for the student to start from
    wanted : what is asked for
    pieces : the methods (or the one function) that are cut
    adapter : the class that is graded; it calls the pieces
    owner, made : the class that the pieces belong to, and its arguments as text
    given : what the arguments are, where the pieces do not say it
    extra : imports that the adapter needs
    """

    name: str
    lesson: str
    formula: str
    wanted: str
    pieces: tuple[Callable[..., Any], ...]
    adapter: str
    owner: type | None = None
    made: str = ""
    given: str = ""
    extra: str = field(default="", repr=False)

    @property
    def source_file(self) -> str:
        """Where the pieces stand, from the repository's root."""
        return inspect.getmodule(self.pieces[0]).__name__.replace(".", "/") + ".py"  # type: ignore[union-attr]


LOSS = '''
class Graded:
    """What is graded: the package's value, and the gradient of the mean with your part in it."""

    task = "{task}"

    def value(self, scores, targets):
        return _Yours({made})(scores, targets)

    def gradient(self, scores, targets):
        return _Yours({made}).gradient(scores, targets)
'''
ACTIVATION = '''
class Graded:
    """What is graded: the package's value, and the chain rule with your part in it."""

    task = "{task}"

    def forward(self, scores):
        self.scores = scores
        return _Yours({made})(scores)

    def backward(self, upstream):
        return _Yours({made}).input_gradient(self.scores, upstream)
'''
PENALTY = '''
class Graded:
    """What is graded: the package's value, and your gradient."""

    task = "{task}"

    def value(self, weight, strength):
        return _Yours(strength{made})(weight)

    def gradient(self, weight, strength):
        return _Yours(strength{made}).gradient(weight)
'''
LINEAR = '''
class Graded:
    """What is graded: the package's layer, and your gradients in its parameters and its input."""

    task = "{task}"

    def forward(self, features, weight, bias):
        self.features, self.layer = features, _Yours(weight.shape[1], weight.shape[0]).double()
        self.layer.weight.data.copy_(weight)
        self.layer.bias.data.copy_(bias)
        return self.layer(features).detach()

    def backward(self, upstream):
        below = self.layer.input_gradient(self.features, upstream)
        return {{"features": below, **self.layer.gradients(self.features, upstream)}}
'''
LOOPS = '''
class Graded:
    """What is graded: the package's loss of a linear model with L2, and your loops' gradient."""

    task = "{task}"

    def value(self, weight, bias, features, targets, strength):
        return MulticlassHinge()(features @ weight.mT + bias, targets) + strength * (weight**2).sum()

    def gradient(self, weight, bias, features, targets, strength):
        _, by_weight, by_bias = multiclass_hinge_by_loops(weight, bias, features, targets)
        return {{"weight": by_weight + 2 * strength * weight, "bias": by_bias}}
'''
BATCH_NORM = '''
class Graded:
    """What is graded: the package's layer in training, and your gradients through its mean and variance."""

    task = "{task}"

    def forward(self, features, scale, shift):
        self.features, self.layer = features, _Yours(features.shape[1]).double()
        self.layer.scale.data.copy_(scale)
        self.layer.shift.data.copy_(shift)
        return self.layer(features).detach()

    def backward(self, upstream):
        below = self.layer.input_gradient(self.features, upstream)
        return {{"features": below, **self.layer.gradients(self.features, upstream)}}
'''
FUNCTION = '''
class Graded:
    """What is graded: your part, held against the package's own, case by case."""

    task = "{task}"

    def answer(self, {arguments}):
        return {call}
'''
NUMERIC = '''
def inputs(seed):
    return {{"point": torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))}}


class Graded:
    """What is graded: a function, and your numeric gradient of it."""

    def value(self, point):
        return (torch.sin(point) * torch.arange(1, 7)).sum() + point.prod()

    def gradient(self, point):
        return gradient(self.value, point)
'''


def of_loss(name: str, lesson: str, loss: type, *methods: str, made: str = "") -> Exercise:
    return of_class(name, lesson, loss, methods or ("pointwise_gradient",), LOSS, made,
                    "the derivative of each sample's loss in its own scores (the 1/N comes after)")  # fmt: skip


def of_activation(name: str, lesson: str, activation: type, method: str = "derivative", made: str = "") -> Exercise:
    wanted = "f'(z)" if method == "derivative" else "∂L/∂z from upstream = ∂L/∂p"
    return of_class(name, lesson, activation, (method,), ACTIVATION, made, wanted)


def of_penalty(name: str, lesson: str, penalty: type, made: str = "") -> Exercise:
    return of_class(name, lesson, penalty, ("gradient",), PENALTY, made, "the gradient in the weight")


def of_class(
    name: str, lesson: str, owner: type, methods: tuple[str, ...], adapter: str, made: str, wanted: str
) -> Exercise:
    pieces = tuple(getattr(owner, method) for method in methods)
    return Exercise(name, lesson, TASKS[name].formula, wanted, pieces, adapter, owner, made)


def of_function(name: str, lesson: str, wanted: str) -> Exercise:
    """A piece that is a function, cut and graded as its task says."""
    task = FUNCTIONS[name]
    owner = task.subject if inspect.isclass(task.subject) else None
    yours, arguments = "_Yours" if owner else task.subject.__name__, ", ".join(task.arguments)
    call, extra = f"{yours}({arguments})", ""
    if task.through is not None:
        call = f"{task.through.__name__}({yours}, {arguments})"
        extra = f"from {task.through.__module__} import {task.through.__name__}\n"
    # the name of the task is filled in with the others, later
    adapter = FUNCTION.replace("{arguments}", arguments).replace("{call}", call)
    return Exercise(name, lesson, task.formula, wanted, task.functions, adapter, task.extends if owner else None,
                    given=task.given, extra=extra)  # fmt: skip


def of_rule(name: str, kept: str) -> Exercise:
    wanted = f"d, the direction of the step, (entries,);\n{kept}, zeros at first and changed in place"
    return of_function(name, "three-descents", wanted)


EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        of_loss("squared-error", "linear-regression", losses.SquaredError),
        of_loss("absolute-error", "", losses.AbsoluteError),
        of_loss("huber", "", losses.Huber, made=f"delta={DELTA}"),
        of_loss("binary-cross-entropy", "logistic-regression", losses.BinaryCrossEntropy),
        of_loss("logistic", "zero-one", losses.Logistic),
        of_loss("hinge", "svm-margin", losses.Hinge),
        of_loss("cross-entropy", "softmax", losses.CrossEntropy),
        of_loss("multiclass-hinge", "hinge-gradient", losses.MulticlassHinge, "pointwise_gradient", "pull"),
        Exercise("multiclass-svm", "hinge-gradient", TASKS["multiclass-svm"].formula,
                 "the hinge and its gradients in weight and bias by two loops; L2 is added behind them",
                 (loops.multiclass_hinge_by_loops,), LOOPS,
                 extra="from edunn.losses import MulticlassHinge\n"),
        of_activation("sigmoid", "sigmoid", activations.Sigmoid),
        of_activation("tanh", "", activations.Tanh),
        of_activation("relu", "zero-derivatives", activations.ReLU),
        of_activation("leaky-relu", "zero-derivatives", activations.LeakyReLU, made=f"{SLOPE}"),
        of_activation("softmax", "softmax", activations.Softmax, "input_gradient"),
        of_penalty("l2", "regularisers", penalties.L2),
        of_penalty("l2-half", "regularisers", penalties.L2, made=", half=True"),
        of_penalty("l1", "regularisers", penalties.L1),
        of_penalty("elastic-net", "regularisers", penalties.ElasticNet, made=f", beta={BETA}"),
        of_class("linear", "linear-regression", layers.Linear, ("gradients", "input_gradient"), LINEAR, "",
                 "∂L/∂weight, ∂L/∂bias and ∂L/∂features from upstream = ∂L/∂scores"),
        of_class("batch-norm", "", layers.BatchNorm, ("gradients", "input_gradient"), BATCH_NORM, "",
                 "∂L/∂scale, ∂L/∂shift and ∂L/∂features: x reaches y straight, through σ² and through μ"),
        of_function("gradient-descent", "three-descents", "the step that every rule shares: w ← w − rate · d"),
        of_rule("momentum", "v is state['velocity']"),
        of_rule("nesterov", "v is state['velocity'], moved by momentum's own direction, super().direction"),
        of_rule("adagrad", "G is state['squares']"),
        of_rule("rmsprop", "G is state['squares']"),
        of_rule("adam", "t is self.steps; m and G are state['mean'] and state['squares']"),
        of_function("standardise", "", "μ and σ² of the batch, and what they make of it"),
        of_function("stable-softmax", "numeric-limits", "softmax that no score overflows"),
        of_function("stable-cross-entropy", "numeric-limits", "each sample's loss from its score, finite at any score"),
        of_function("hog-cell", "nearest-neighbours", "the histogram of gradient directions of one cell"),
        of_function("hog-block", "nearest-neighbours", "the normalisation of a block of cells, and its cut at 0.2"),
        of_function("hue-histogram", "nearest-neighbours", "the hue of a pixel, and the histogram of an image's hues"),
        of_function("knn-distances", "nearest-neighbours", "all squared distances without a loop"),
        of_function("knn-vote", "nearest-neighbours", "the vote of the k nearest;\n"
                    "tally gives the votes and the nearest distance of each class, (queries, classes) both"),
        of_function("two-point-gradient", "delta-study", "the gradient of a scalar function by two points an entry"),
        Exercise("numeric-gradient", "delta-study",
                 "f'(x) ≈ (f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)) / 12h, entry by entry",
                 "the gradient of a scalar function by differences alone", (differences.gradient,), NUMERIC),
    )
}  # fmt: skip


def get(name: str) -> Exercise:
    """An exercise by its name."""
    return EXERCISES[names.resolve(name, EXERCISES, "exercise")]


def text(name: str, solution: bool = False) -> str:
    """The student's file; with `solution` the same file with the package's code in place of the blanks."""
    exercise = get(name)
    head = f'''"""Exercise {exercise.name}: {exercise.wanted}.

{exercise.formula}
{exercise.given and exercise.given + chr(10)}
{"The blanks are filled in with the package's own code" if solution else "Fill in the blanks (every ...)"}, from \
{exercise.source_file}. Check it:

    edunn check THIS_FILE.py
"""

{imports(exercise)}{exercise.extra}
'''
    pieces = [piece_text(piece, solution) for piece in exercise.pieces]
    if exercise.owner is None:
        body = "\n\n\n".join(pieces)
    else:
        inside = textwrap.indent("\n\n".join(pieces), "    ")
        body = f"class _Yours({exercise.owner.__name__}):\n{inside}"
    adapter = exercise.adapter.format(task=exercise.name, made=exercise.made)
    return f"{head}\n{body}\n\n{adapter}"


def piece_text(piece: Callable[..., Any], solution: bool) -> str:
    """A function's source, or its signature and docstring with blanks."""
    source = textwrap.dedent(inspect.getsource(piece)).rstrip()
    return source if solution else blanked(source)


def blanked(source: str) -> str:
    """The function with every right-hand side and condition replaced by `...`, and no comment left.

    Loops and the names that are assigned stay: they are the way. A line that has to be deleted stands first, so that
    an exercise nobody touched is graded as unfinished and not as an error.
    """
    tree = ast.parse(source)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    documented = ast.get_docstring(function) is not None
    body = function.body[1:] if documented else function.body
    # the signature and the docstring as they stand; what lies above the first statement may be a comment
    end = function.body[0].end_lineno if documented else function.body[0].lineno - 1
    head = [line for line in source.splitlines()[:end] if not line.strip().startswith("#")]
    blanks = Blanks()
    skeleton = [ast.unparse(ast.fix_missing_locations(blanks.visit(statement))) for statement in body]
    stop = 'raise NotImplementedError("fill in the blanks, then delete this line")'
    return "\n".join([*head, textwrap.indent("\n".join([stop, *skeleton]), "    ")])


class Blanks(ast.NodeTransformer):
    """Right-hand sides, returned values, and the conditions of ifs become `...`."""

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


def imports(exercise: Exercise) -> str:
    """What the pieces use from the module that they stand in, as imports: names that are torch's stay torch's."""
    module = sys.modules[exercise.pieces[0].__module__]
    used: set[str] = set() if exercise.owner is None else {exercise.owner.__name__}
    for piece in exercise.pieces:
        tree = ast.parse(textwrap.dedent(inspect.getsource(piece)))
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    own = {piece.__name__ for piece in exercise.pieces}
    names = sorted(name for name in used - own if hasattr(module, name) and name != "torch")
    borrowed = {"Callable": "collections.abc", "Mapping": "collections.abc", "Tensor": "torch"}
    whole = [name for name in names if inspect.ismodule(getattr(module, name))]
    lines = [f"import {name}" for name in sorted({"torch", *whole})]
    lines += [f"from {borrowed[name]} import {name}" for name in names if name in borrowed]
    rest = [name for name in names if name not in borrowed and name not in whole]
    lines += [f"from {module.__name__} import {', '.join(rest)}"] if rest else []
    return "".join(f"{line}\n" for line in lines)
