"""The table of names: the package's own name of a loss, model or rule, and its synonyms elsewhere.

    names.resolve("MSELoss", LOSSES, "loss")        # "squared-error"
    names.create("squared-hinge", LOSSES, "loss")   # Hinge(power=2)

Capitals, hyphens, underscores and spaces make no difference, and a name may end with its kind: `hinge_loss`,
`HingeLoss` and `hinge` are one. The package itself writes the canonical name: lower case, with hyphens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ..errors import ConfigError, nearest
from .options import options_of, required_of

T = TypeVar("T")

# For each family: a canonical name, and its other names. Those that torch, scikit-learn and Keras use mean what
# these libraries compute, up to a constant factor that their own pages name.
SYNONYMS: dict[str, dict[str, str]] = {
    "loss": {
        "squared-error": "mse mean-squared-error squared square least-squares quadratic ols l2",
        "absolute-error": "mae mean-absolute-error absolute least-absolute-deviations lad l1",
        "huber": "smooth-l1 smooth-absolute-error",
        "binary-cross-entropy": "bce bce-with-logits binary-ce sigmoid-cross-entropy sigmoid-binary-cross-entropy "
        "log binary-log-loss bernoulli",
        "logistic": "soft-margin logistic-signs",
        "hinge": "svm max-margin",
        "squared-hinge": "hinge2 l2-hinge squared-svm",
        "half-squared-error": "half-mse",
        "one-vs-all-cross-entropy": "one-vs-rest-cross-entropy ova-cross-entropy ovr-cross-entropy multilabel "
        "multilabel-bce multilabel-cross-entropy multilabel-soft-margin",
        "perceptron": "perceptron-criterion",
        "zero-one": "0-1 misclassification error-rate",
        "cross-entropy": "ce nll negative-log-likelihood categorical-cross-entropy sparse-categorical-cross-entropy "
        "softmax softmax-cross-entropy multinomial multiclass-log-loss",
        "multiclass-hinge": "multiclass-svm multi-margin weston-watkins categorical-svm",
        "squared-multiclass-hinge": "multiclass-squared-hinge multiclass-hinge2",
        "one-vs-all-hinge": "one-vs-rest-hinge ova-hinge ovr-hinge",
    },
    "activation": {
        "identity": "linear none",
        "sigmoid": "logistic expit logsig sigma",
        "tanh": "hyperbolic-tangent",
        "relu": "rectifier rectified-linear rectified-linear-unit",
        "leaky-relu": "lrelu",
        "step": "heaviside threshold sign",
        "softmax": "normalised-exponential",
    },
    "penalty": {
        "l2": "ridge tikhonov",
        "l2-half": "weight-decay half-l2",
        "l1": "lasso",
        "elastic-net": "l1-l2 l1-and-l2",
        "max-norm": "norm-constraint max-norm-constraint",
    },
    "rule": {
        "gradient-descent": "gd sgd stochastic-gradient-descent batch-gradient-descent steepest-descent vanilla",
        "momentum": "sgd-momentum heavy-ball polyak classical-momentum",
        "nesterov": "nag nesterov-momentum nesterov-accelerated-gradient",
        "adagrad": "adaptive-gradient",
        "rmsprop": "root-mean-square-propagation",
        "adam": "adaptive-moment-estimation",
        "adamw": "adam-with-decoupled-decay decoupled-adam",
    },
    "schedule": {
        "constant": "none fixed constant-lr",
        "step": "step-decay step-lr staircase",
        "cosine": "cosine-decay cosine-annealing cosine-annealing-lr",
        "linear": "linear-decay",
        "inverse-time": "inverse-time-decay 1/t robbins-monro",
    },
    "layer": {
        "linear": "dense fully-connected fc affine",
        "dropout": "inverted-dropout",
        "batchnorm": "batch-norm-1d batch-normalisation batch-normalization",
        "chain": "sequential",
    },
    "model": {
        "linear-regression": "linear linreg linear-regressor least-squares ols",
        "logistic-regression": "logreg logistic logit binary-logistic-regression",
        "softmax": "softmax-classifier softmax-regression multinomial-logistic-regression multinomial maxent",
        "svm": "linear-svm linear-svc svc support-vector-machine",
        "two-layer": "two-layer-net mlp mlp-classifier multi-layer-perceptron neural-network nn one-hidden-layer",
        "neighbours": "knn nearest-neighbours nearest-neighbors neighbors k-nearest-neighbours "
        "k-nearest-neighbors k-neighbors k-neighbors-classifier",
    },
    "features": {
        "auto": "default",
        "raw": "columns table none",
        "pixels": "raw-pixels pixel",
        "hog": "histogram-of-oriented-gradients gradients",
        "hue": "hue-histogram hues",
        "rgb": "rgb-histogram colour-histogram color-histogram colours colors",
        "patches": "bag-of-visual-words bovw visual-words bag-of-words k-means kmeans-patches",
    },
    "data set": {
        "digits": "load-digits optdigits",
        "shapes": "shape-images",
        "line": "linear straight-line",
        "lecture-line": "lecture",
        "random-linear": "random-regression",
        "random-binary": "random-binary-classification",
        "blobs": "make-blobs clouds",
        "moons": "make-moons two-moons half-moons",
        "circles": "make-circles",
        "spirals": "spiral make-spirals",
        "above-curve": "curve",
        "cifar10": "cifar",
    },
    "problem": {
        "linear": "regression linear-regression real",
        "binary": "binary-classification classification logistic-regression logistic",
    },
    "lesson": {
        "cost-function": "cost loss-function",
        "vanishing-gradient": "vanishing vanishing-gradients",
        "numeric-limits": "numerical-stability overflow limits-of-numbers",
        "nearest-neighbours": "knn nearest-neighbors k-nearest-neighbours k-nearest-neighbors neighbours neighbors",
        "hinge-gradient": "svm-gradient",
        "softmax": "softmax-classifier softmax-regression",
        "svm-against-softmax": "svm-vs-softmax softmax-against-svm softmax-vs-svm",
        "regularisers": "regularizers regularisation regularization penalties l1-l2",
        "three-descents": "descents",
        "stop-rule": "stopping early-stopping",
        "svm-margin": "margin",
        "lift": "kernel kernel-trick",
        "sigmoid": "logistic-function",
        "computation-graph": "graph graphs computational-graph backpropagation backprop autodiff",
        "linear-regression": "ols linreg least-squares",
        "logistic-regression": "logreg logistic",
        "single-sample-steps": "single-sample stochastic-gradient-descent sgd",
        "batch-steps": "batch batch-gradient-descent",
        "robot-arm": "arm inverse-kinematics",
        "quadratic-descent": "quadratic gradient-descent gd",
        "delta-study": "finite-differences numerical-gradient numeric-gradient",
    },
}
# An exercise is a member of one of these families, with the same name, or has a name of its own.
EXERCISES = {
    **SYNONYMS["activation"], **SYNONYMS["layer"], **SYNONYMS["penalty"], **SYNONYMS["rule"], **SYNONYMS["loss"],
    "multiclass-svm": "svm-gradient",
    "batch-norm": SYNONYMS["layer"]["batchnorm"],
    "linear-regression": "linreg linear-regressor",
    "logistic-regression": "logreg logit",
    "softmax-classifier": "softmax-regression multinomial-logistic-regression",
    "standardise": "standardize standardisation standardization standard-scaler z-score",
    "stable-softmax": "log-sum-exp",
    "stable-cross-entropy": "log-softmax",
    "hog-cell": "hog",
    "hog-block": "hog-normalisation",
    "hue-histogram": "hue",
    "knn-distances": "distances pairwise-distances",
    "knn-vote": "knn vote",
    "two-point-gradient": "forward-differences two-point",
    "numeric-gradient": "numerical-gradient finite-differences",
}  # fmt: skip
# a word that is the name of an exercise, as softmax or l1, is not a synonym of another
SYNONYMS["exercise"] = {
    name: " ".join(word for word in words.split() if word not in EXERCISES) for name, words in EXERCISES.items()
}

# Names of a thing with options already chosen.
PRESETS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "loss": {
        "squared-hinge": ("hinge", {"power": 2}),
        "squared-multiclass-hinge": ("multiclass-hinge", {"power": 2}),
        "half-squared-error": ("squared-error", {"half": True}),
    },
    "penalty": {"l2-half": ("l2", {"half": True})},  # torch's weight_decay: gradient λw
}


def resolve(name: str, known: Iterable[str], what: str) -> str:
    """Returns the canonical name, one of `known`, that a word means.

    Parameters
    ----------
    name : as a user writes it
    known : the canonical names that are possible here
    what : the kind of thing, a key of `SYNONYMS`; it appears in the message

    A word that is not understood raises ConfigError, with the nearest one that is.
    """
    known = list(known)
    found = find(name, known, what)
    if found is None:
        raise ConfigError(f"Unknown {what} {name!r}. {suggest(name, known, what)}")
    return found


def suggest(name: str, known: Iterable[str], what: str) -> str:
    """Returns a sentence with the nearest known word, and its canonical name if that is another."""
    known = list(known)
    synonyms = {word: canonical for word, canonical in words(known, what) if word != canonical}
    return nearest(str(name).lower().replace("_", "-"), known, synonyms)


def find(name: str, known: Iterable[str], what: str) -> str | None:
    """Returns the canonical name that a word means, or None."""
    if not isinstance(name, str):
        return None
    understood: dict[str, str] = {}
    for word, canonical in words(known, what):
        understood.setdefault(squeeze(word), canonical)
    key = squeeze(name)
    return understood.get(key) or understood.get(key.removesuffix(squeeze(what)))


def words(known: Iterable[str], what: str) -> list[tuple[str, str]]:
    """Lists the pairs (word, canonical name). The canonical names come first and win."""
    known = list(known)
    synonyms = SYNONYMS.get(what, {})
    return [(name, name) for name in known] + [
        (word, name) for name in known for word in synonyms.get(name, "").split()
    ]


def squeeze(name: str) -> str:
    """Returns the name without capitals, hyphens, underscores and spaces: the form in which names are compared."""
    return name.lower().translate(str.maketrans("", "", "-_ "))


def expand(name: str, known: Iterable[str], what: str) -> tuple[str, dict[str, Any]]:
    """Returns the canonical name and the options that the word implies: "squared-hinge" is hinge with power = 2."""
    presets = possible_presets(known := list(known), what)
    kind, options = presets.get(chosen := resolve(name, [*known, *presets], what), (chosen, {}))
    return kind, dict(options)


def possible_presets(known: Iterable[str], what: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Returns the presets (words that imply options, such as squared-hinge) of the names in `known`."""
    known = set(known)
    presets = PRESETS.get(what, {})
    return {name: preset for name, preset in presets.items() if preset[0] in known and name not in known}


def create(name: str, table: Mapping[str, Callable[..., T]], what: str, *given: Any, **options: Any) -> T:
    """Makes an object by name: `table` maps canonical names to classes; the rest is passed to the class.

    An unknown name, an unknown option and a missing one raise ConfigError.
    """
    kind, implied = expand(name, table, what)
    takes, needed = options_of(table[kind]), required_of(table[kind])[len(given) :]
    for option in options:
        if option not in takes:
            hint = nearest(option, takes) if takes else "It takes none."
            raise ConfigError(f"The {what} {kind} has no option {option!r}. {hint}")
    for option in needed:
        if option not in options:
            raise ConfigError(f"The {what} {kind} needs {option}: named({name!r}, {option}=…).")
    return table[kind](*given, **{**implied, **options})
