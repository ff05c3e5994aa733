"""Answers guesses: names that torch, scikit-learn, Keras and pandas use are understood, or the right one is named."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from ..errors import OptionError, UnknownNameError
from .names import SYNONYMS, squeeze
from .options import options_of

P = ParamSpec("P")
R = TypeVar("R")

# What others call an option, by our name. Each is understood wherever the option is.
OPTIONS = {
    "rate": "lr learning_rate learning_rate_init eta eta0 step_size",
    "epochs": "epoch n_epochs num_epochs max_epochs max_iter n_iter iterations",
    "batch_size": "batch bs minibatch minibatch_size",
    "rule": "optimizer optimiser solver",
    "schedule": "scheduler lr_scheduler lr_schedule learning_rate_schedule",
    "penalty": "regularizer regulariser regularization regularisation reg",
    "validation": "val valid val_data validation_data eval_set",
    "tolerance": "tol",
    "patience": "n_iter_no_change early_stopping_rounds",
    "seed": "random_state random_seed",
    "clip_norm": "max_grad_norm clipnorm gradient_clip_val",
    "clip_value": "clipvalue",
    "sample_weight": "weights sample_weights weight",
    "feature_names": "columns",
    "strength": "lam lambda_ lambd weight_decay",
    "features": "in_features n_features num_features input_dim input_size n_inputs",
    "outputs": "out_features n_outputs num_outputs output_dim output_size",
    "classes": "n_classes num_classes class_names target_names",
    "hidden": "hidden_size hidden_units hidden_dim hidden_layer_sizes n_hidden",
    "activation": "nonlinearity",
    "samples": "n_samples",
}

# Options that are no other name, but another thing, and what to write for them.
HINTS = {
    "momentum": "Momentum is an update rule: rule=edunn.updates.Momentum(0.9).",
    "nesterov": "It is an update rule: rule=edunn.updates.Nesterov(0.9).",
    "weight_decay": "It is a penalty: penalty=edunn.penalties.L2(1e-4, half=True), whose gradient is 1e-4 · w.",
    "l2": "It is a penalty: penalty=edunn.penalties.L2(1e-4).",
    "l1": "It is a penalty: penalty=edunn.penalties.L1(1e-4).",
    "alpha": "A step size is rate=…; a penalty's weight is penalty=edunn.penalties.L2(alpha).",
    "C": "scikit-learn's C is the inverse of a penalty: penalty=edunn.penalties.L2(1 / (2 * C * samples)).",
    "criterion": "The loss is the second argument: edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=…).",
    "loss_fn": "The loss is the second argument: edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=…).",
    "shuffle": "Every epoch has a new order; seed=… fixes it, and batch_size=None takes all samples at once.",
    "callbacks": "after_epoch=function is called with the progress after every epoch.",
    "callback": "after_epoch=function is called with the progress after every epoch.",
    "verbose": "Nothing is printed; after_epoch=function is called with the progress after every epoch.",
    "metrics": "The history has the model's own metric: accuracy, or r2 for a regression.",
    "early_stopping": "It is patience=…, in evaluations of the validation part.",
    "validation_split": "Split the samples first: train, held = samples.split(0.2); then validation=held.",
    "shape": "The size of the features is the first argument.",
    "fit_intercept": "Write bias=False for a model without an intercept.",
    "penalty": "It is an option of edunn.descend: penalty=edunn.penalties.L2(1e-4).",
    "rate": "It is an option of edunn.descend and model.fit: rate=0.1.",
    "reduction": "A loss is always the mean over the samples; loss.pointwise gives one value a sample.",
    "from_logits": "A loss takes scores, never probabilities.",
}


def rename(option: str, known: Iterable[str]) -> str | None:
    """Returns the known option that a word means: itself, or the one it is a synonym of."""
    known = list(known)
    if option in known:
        return option
    return next((name for name in known if option in OPTIONS.get(name, "").split()), None)


def rename_options(options: Mapping[str, Any], known: Iterable[str], what: str) -> dict[str, Any]:
    """Returns the options under our names. One that is not understood, or given twice, raises OptionError."""
    known, found = list(known), dict[str, Any]()
    for option, value in options.items():
        name = rename(option, known)
        if name is None:
            raise OptionError(unknown_option(option, known, what))
        if name in found:
            raise OptionError(f"{what} is given {name} twice, also as {option}. Give it once.")
        found[name] = value
    return found


def rename_keys(table: Mapping[str, Any], known: Iterable[str], what: str) -> dict[str, Any]:
    """Returns a table with its keys under our names. One that is given twice raises OptionError; others stay."""
    known, found = list(known), dict[str, Any]()
    for key, value in table.items():
        name = rename(key, known) or key
        if name in found:
            raise OptionError(f"{what}.{name} is given twice, also as {what}.{key}. Give it once.")
        found[name] = value
    return found


def unknown_option(option: str, known: Iterable[str], what: str) -> str:
    """Returns the message for an option that is not there, with what to write."""
    known = list(known)
    if (hinted := option if option in HINTS else rename(option, OPTIONS)) in HINTS:
        return f"{what} has no option {option!r}. {HINTS[hinted]}"
    words = {word: name for name in known for word in (name, *OPTIONS.get(name, "").split())}
    close = difflib.get_close_matches(option, words, n=1, cutoff=0.7)
    hint = f"Did you mean {words[close[0]]}?" if close else f"Its options: {', '.join(known)}." if known else ""
    return f"{what} has no option {option!r}. {hint or 'It takes none.'}"


def accept_synonyms(function: Callable[P, R]) -> Callable[P, R]:
    """Makes a function understand other names of its options: `lr=0.1` is `rate=0.1`."""
    known = options_of(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        named = rename_options(options, known, f"{function.__name__}(…)")
        with refusing(function, function.__name__, args, named):
            return function(*args, **named)

    return call


@contextlib.contextmanager
def refusing(
    function: Callable[..., Any], name: str, args: Sequence[Any], options: Mapping[str, Any]
) -> Iterator[None]:
    """Turns Python's TypeError for arguments that do not fit a function into an OptionError."""
    try:
        yield
    except TypeError as error:
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError as misfit:
            raise OptionError(f"{name}(…): {misfit}. Its arguments: {call_of(function, name)}.") from None
        raise error


def call_of(function: Callable[..., Any], name: str) -> str:
    """Returns a call with the required arguments: `descend(model, loss, train, rate=…)`."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != "self" and parameter.default is parameter.empty:
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                parts.append(parameter.name)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                parts.append(f"{parameter.name}=…")
    return f"{name}({', '.join(parts)})"


def check_arguments(kind: type, options: Mapping[str, Any]) -> None:
    """Raises OptionError for an argument that a class of this package does not take."""
    if not options or not kind.__module__.startswith("edunn.") or takes_any(kind):
        return
    known = options_of(kind)
    for option in options:
        if option not in known:
            right = rename(option, known)
            said = f"{kind.__name__} has no option {option!r}. Did you mean {right}?"
            raise OptionError(said if right else unknown_option(option, known, kind.__name__))


def takes_any(kind: type) -> bool:
    """Returns whether a class takes arguments of any name, as `Chain(hidden=…)` does, and hands them to no base."""
    for base in kind.__mro__:
        if "__init__" in vars(base):
            if not base.__module__.startswith("edunn."):
                return True
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                return False
    return False


def public(
    module: str, names: Iterable[str], hints: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a module's `__getattr__` and `__dir__`: `dir()` shows what is public, and a wrong name the right one.

    __getattr__, __dir__ = public(__name__, __all__)

    hints : a sentence for each name that others have and this module has in another form
    """
    known = sorted(names)

    def missing(name: str) -> Any:
        raise UnknownNameError(unknown_name(name, known, module, hints))

    return missing, lambda: list(known)


def unknown_name(name: str, known: Iterable[str], owner: str, hints: Mapping[str, str] | None = None) -> str:
    """Returns the message for an attribute that is not there, with the right name if there is one."""
    if hints and name in hints:
        return f"{owner} has no {name!r}. {hints[name]}"
    if name.startswith("_"):  # what Python itself and notebooks probe for
        return f"{owner} has no {name!r}."
    meant = same_thing(name, known := list(known))
    meant = meant or next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)
    return f"{owner} has no {name!r}." + (f" Did you mean {meant}?" if meant else f" dir({owner}) lists its names.")


def same_thing(word: str, known: Iterable[str], exactly: bool = False) -> str | None:
    """Returns the name that a word of another library means: CrossEntropy for CrossEntropyLoss; None if there is none.

    exactly : capitals, hyphens and underscores aside
    """
    by_form = {squeeze(name): name for name in known}
    for form in forms(word)[:1] if exactly else forms(word):
        if form in by_form:
            return by_form[form]
    return None


def forms(word: str) -> list[str]:
    """Returns the compared forms of a word and of its synonyms in each family of names, the word's own first."""
    key = squeeze(word)
    found = [key, *(key.removeprefix(start) for start in ("load", "make", "plot", "draw", "get") if key != start)]
    for family, table in SYNONYMS.items():
        own = key.removesuffix(squeeze(family))
        for name, others in table.items():
            group = [squeeze(one) for one in (name, *others.split())]
            if key in group or own in group:
                found += group
    return found
