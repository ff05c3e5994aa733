"""Matches what a student's function calls its arguments, and the keys of its gradients, with the exercise's names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# What each argument is called elsewhere, in lower case. A word under two of them goes to the one that the exercise has.
ALIASES: dict[str, tuple[str, ...]] = {
    "weight": ("w", "weights", "theta", "thetas", "params", "coef", "x"),
    "bias": ("b", "biases", "intercept"),
    "features": ("x", "xs", "inputs", "input", "data", "samples", "x_train", "x_batch", "x_dev"),
    "scores": (
        "s", "z", "logits", "logit", "pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred",
        "y_hat", "yhat", "output", "outputs", "out", "x", "input", "inputs", "a", "h",
    ),
    "targets": (
        "y", "ys", "t", "target", "labels", "label", "y_true", "ytrue", "truth", "gt", "actual", "expected", "true",
        "y_train", "y_batch", "y_dev",
    ),
    "strength": (
        "reg", "lam", "lamb", "lambda", "lambda_", "lambd", "_lambda", "lmbda", "lbd", "l2", "reg_strength",
        "regularization", "reg_param", "reg_lambda", "weight_decay", "decay", "alpha",
    ),
    "upstream": ("dout", "grad", "grad_output", "grad_out", "upstream_grad", "delta", "dy", "dz", "da", "dvalues", "g"),
    "scale": ("gamma", "g"),
    "shift": ("beta",),
    "keep": ("p", "keep_prob", "keep_probability"),
}  # fmt: skip
PREFIXES = ("grads_", "grad_", "gradient_", "d_", "del_", "delta_", "d")
SUFFIXES = ("_gradient", "_grad", ".grad")


def find_argument(word: str, arguments: Iterable[str]) -> str | None:
    """Returns the argument that a word means: by its own name, in any case, or by its commonest alias."""
    arguments, word = list(arguments), word.lower()
    exact = [name for name in arguments if name.lower() == word]
    aliased = [name for name in arguments if word in ALIASES.get(name, ())]
    return next(iter([*exact, *sorted(aliased, key=lambda name: ALIASES[name].index(word))]), None)


def find_gradient(key: str, arguments: Sequence[str]) -> str | None:
    """Returns the argument that a gradient belongs to: dW, grad_w, W_grad and weight all mean that of the weight."""
    words = [key, *(key[len(p) :] for p in PREFIXES if key.lower().startswith(p))]
    words += [key[: -len(s)] for s in SUFFIXES if key.lower().endswith(s)]
    same = [name for word in words for name in arguments if word == name]  # W is not w where there are both
    found = (find_argument(word, arguments) for word in words)
    return next(iter(same), None) or next((name for name in found if name is not None), None)


def list_parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Returns the parameters that can receive an argument; None if the function takes *arguments."""
    found = list(inspect.signature(function).parameters.values())
    if any(one.kind is one.VAR_POSITIONAL for one in found):
        return None
    return [one for one in found if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def match(function: Callable[..., Any], arguments: Sequence[str]) -> list[str] | None:
    """Returns for each parameter of the function the argument that it receives.

    They are matched by name, and the rest by position if as many parameters as arguments are left; a parameter with a
    default may be left out. None if they cannot be matched.
    """
    parameters = list_parameters(function)
    if parameters is None:
        return None
    found: dict[str, str] = {}
    for one in sorted(parameters, key=lambda p: p.name.lower() not in arguments):  # an argument's own name goes first
        name = find_argument(one.name, [a for a in arguments if a not in found.values()])
        if name is not None:
            found[one.name] = name
    rest = [one for one in parameters if one.name not in found]
    left = [name for name in arguments if name not in found.values()]
    if len(rest) != len(left):
        rest = [one for one in rest if one.default is one.empty]
    if len(rest) != len(left):
        return None
    found |= {one.name: name for one, name in zip(rest, left, strict=True)}
    taken = [one for one in parameters if one.name in found]
    # they are passed by position, so none may come after a parameter that keeps its default
    return [found[one.name] for one in taken] if taken == parameters[: len(taken)] else None


def describe_match(function: Callable[..., Any], arguments: Sequence[str]) -> str:
    """Returns a sentence on the parameters that were matched by position alone; "" where there are none."""
    order, parameters = match(function, arguments), list_parameters(function)
    if order is None or parameters is None:
        return ""
    guessed = [
        f"{one.name} is taken for {name}"
        for one, name in zip(parameters, order, strict=False)
        if find_argument(one.name, [name]) is None
    ]
    return ", ".join(guessed) + " (by position)" if guessed else ""


def reorder(function: Callable[..., Any], arguments: Sequence[str]) -> Callable[..., Any]:
    """Returns the function with the exercise's order of arguments."""
    order = match(function, arguments)
    if order is None or order == list(arguments):
        return function
    positions = [list(arguments).index(name) for name in order]
    return lambda *given: function(*(given[i] for i in positions))
