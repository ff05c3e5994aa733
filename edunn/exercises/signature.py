"""Matches what a student's function calls its arguments, and the keys of its gradients, with the exercise's names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

# What each argument is called elsewhere, in lower case. A word under two of them goes to the one that the exercise has.
ALIASES: dict[str, tuple[str, ...]] = {
    "weight": (
        "w", "weights", "kernel", "theta", "thetas", "params", "coef", "coefs", "coefficients", "wt", "w_in", "slope",
        "w1", "theta1", "x", "a", "m",
    ),
    "bias": ("b", "biases", "intercept", "b_in", "w0", "b0", "theta0", "c"),
    "features": (
        "x", "xs", "inputs", "input", "data", "samples", "x_train", "x_batch", "x_dev", "xb", "a_prev", "aprev", "prev",
        "x_in", "in_", "inp", "input_data", "input_", "a", "h", "z", "activations", "train_x", "phi", "tx",
    ),
    "scores": (
        "s", "z", "logits", "logit", "pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred",
        "y_hat", "yhat", "y_predicted", "y_prediction", "output", "outputs", "out", "x", "xs", "input", "inputs", "a",
        "al", "h", "p", "probs", "prob", "probabilities", "f", "a2", "activations", "yp", "y_p", "input_data", "pr",
        "data", "net", "value", "val", "t", "n", "inp", "in_",
    ),
    "targets": (
        "y", "ys", "t", "target", "labels", "label", "y_true", "ytrue", "truth", "gt", "actual", "expected", "true",
        "y_train", "y_batch", "y_dev", "y_actual", "yb", "ground_truth", "real", "y_real", "target_index", "train_y",
        "true_values", "target_output", "y_t", "desired",
    ),
    "strength": (
        "reg", "lam", "lamb", "lambda", "lambda_", "lambd", "_lambda", "lmbda", "lbd", "l2", "reg_strength", "l",
        "regularization", "regularisation", "reg_param", "reg_lambda", "weight_decay", "decay", "alpha", "regularizer",
        "reg_const", "l2_reg", "lambda_reg", "lambd_", "lda", "c", "penalty", "regularization_strength",
    ),
    "upstream": (
        "dout", "grad", "grad_output", "grad_out", "upstream_grad", "delta", "dy", "dz", "da", "dvalues", "d_values",
        "g", "output_gradient", "grads", "gradient", "d_out", "dl_dout", "error", "dl_dy", "output_error",
        "gradwrtoutput",
        "upstream_gradient", "out_grad", "grad_outputs", "d_output", "dldy", "dnext", "accum_grad", "d_l_d_out", "err",
    ),
    "scale": ("gamma", "g"),
    "shift": ("beta",),
    "keep": ("p", "keep_prob", "keep_probability"),
}  # fmt: skip
PREFIXES = ("dj_d", "djd", "dl_d", "dldd", "grads_", "grad_", "gradient_", "d_", "del_", "delta_", "dl_", "g_", "d")
SUFFIXES = ("_gradients", "_gradient", "_grads", "_grad", ".grad", "_derivative", "_prime")


def find_argument(word: str, arguments: Iterable[str]) -> str | None:
    """Returns the argument that a word means: by its own name, in any case, or by its commonest alias."""
    arguments, word = list(arguments), word.lower()
    exact = [name for name in arguments if name.lower() == word]
    aliased = [name for name in arguments if word in ALIASES.get(name, ())]
    return next(iter([*exact, *sorted(aliased, key=lambda name: ALIASES[name].index(word))]), None)


def assign(words: Iterable[str], arguments: Sequence[str]) -> dict[str, str]:
    """Returns the argument that each word means, each argument once: what is certain goes first.

    In (A, W, b) the W is the weight, so that A, which might be one, is the features.
    """
    ranked = []
    for place, word in enumerate(words):
        for name in arguments:
            if word.lower() == name.lower():
                ranked.append((-1, place, word, name))
            elif word.lower() in ALIASES.get(name, ()):
                ranked.append((ALIASES[name].index(word.lower()), place, word, name))
    found: dict[str, str] = {}
    for _, _, word, name in sorted(ranked):
        if word not in found and name not in found.values():
            found[word] = name
    return found


def find_gradient(key: str, arguments: Sequence[str]) -> str | None:
    """Returns the argument that a gradient belongs to: dW, grad_w, W_grad and weight all mean that of the weight."""
    words = [key, *(key[len(p) :] for p in PREFIXES if key.lower().startswith(p))]
    words += [key[: -len(s)] for s in SUFFIXES if key.lower().endswith(s)]
    same = [name for word in words for name in arguments if word == name]  # W is not w where there are both
    found = (find_argument(word, arguments) for word in words)
    return next(iter(same), None) or next((name for name in found if name is not None), None)


def is_gradient_word(word: str) -> bool:
    """Whether a name says that it is a gradient: dW, grad, weights_gradient."""
    lower = word.lower().strip("_")
    return "grad" in lower or (lower.startswith("d") and lower not in ("data", "delta", "d", "dim", "dims", "dtype"))


def list_parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Returns the parameters that can receive an argument; None if the function takes *arguments."""
    found = list(inspect.signature(function).parameters.values())
    if any(one.kind in (one.VAR_POSITIONAL, one.POSITIONAL_ONLY) for one in found) and len(found) < 2:
        return None
    return [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]


def read_map(function: Callable[..., Any]) -> dict[str, str]:
    """Returns what the file itself says of the parameters: MAP = {"u": "scores"}, or {"NAME": {"u": "scores"}}."""
    module = getattr(getattr(function, "__func__", function), "__globals__", {})
    said = module.get("MAP")
    if not isinstance(said, Mapping):
        return {}
    own = said.get(getattr(function, "__name__", ""), said)
    return {str(k): str(v) for k, v in own.items() if isinstance(v, str)} if isinstance(own, Mapping) else {}


def match(function: Callable[..., Any], arguments: Sequence[str]) -> dict[str, str] | None:
    """Returns for each parameter the argument that it is given, in the function's order.

    The file's own MAP decides, then names. What is left goes by position, where as many parameters as arguments are
    left; a parameter with a default may go without, and so may an argument that is optional. None where that does not
    work out.
    """
    parameters = list_parameters(function)
    if parameters is None:
        return None
    said = read_map(function)
    found = {one.name: said[one.name] for one in parameters if said.get(one.name) in arguments}
    for required in (True, False):  # (X, W, y, lam, reg=0): what must be given goes first
        words = [one.name for one in parameters if one.name not in found and (one.default is one.empty) == required]
        found |= assign(words, [name for name in arguments if name not in found.values()])
    rest = [one for one in parameters if one.name not in found]
    left = [name for name in arguments if name not in found.values()]
    if len(rest) != len(left):
        rest = [one for one in rest if one.default is one.empty]
    if len(rest) == len(left):
        found |= {one.name: name for one, name in zip(rest, left, strict=True)}
    elif rest or not set(left) <= OPTIONAL:
        return None
    return {one.name: found[one.name] for one in parameters if one.name in found}


# arguments that a function may do without: it has no penalty then, or draws a mask of its own
OPTIONAL = {"strength", "bias", "seed"}


def describe_match(function: Callable[..., Any], arguments: Sequence[str]) -> str:
    """Says which parameter was matched to which argument, where its name is another; "" where all are the same."""
    pairs = (match(function, arguments) or {}).items()
    guessed = [f"{word} is taken for {name}" for word, name in pairs if find_argument(word, [name]) is None]
    if guessed:
        return ", ".join(guessed) + " (by position)"
    return ", ".join(f"{word} = {name}" for word, name in pairs if word.lower() != name)


def reorder(function: Callable[..., Any], arguments: Sequence[str]) -> Callable[..., Any]:
    """Returns the function with the exercise's order of arguments."""
    words = match(function, arguments)
    if words is None:
        return function
    places = {word: list(arguments).index(name) for word, name in words.items()}
    return lambda *given: function(**{word: given[place] for word, place in places.items()})
