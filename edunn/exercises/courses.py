"""Courses whose functions are known by name: which exercise each answers. Without `--course` their values decide.

With the course named, a function whose value is not its exercise's is wrong, and not a function of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError, nearest
from .handin import Handin

SOFTMAX, SVM, LOGISTIC, LINEAR = (
    "softmax-classifier", "multiclass-svm", "logistic-regression", "linear-regression",
)  # fmt: skip

# by the beginning of the function's or class's name, in lower case and without _
COURSES: dict[str, dict[str, str]] = {
    "cs231n": {
        "softmaxlossnaive": SOFTMAX, "softmaxlossvectorized": SOFTMAX, "svmlossnaive": SVM, "svmlossvectorized": SVM,
        "softmaxloss": "cross-entropy", "svmloss": "multiclass-hinge", "affine": "linear", "relu": "relu",
        "batchnorm": "batch-norm",
    },
    "coursera": {
        "costfunction": LOGISTIC, "lrcostfunction": LOGISTIC, "propagate": LOGISTIC, "linearregcostfunction": LINEAR,
        "computegradientlogistic": LOGISTIC, "computecostlogistic": LOGISTIC,
    },
    "d2l": {"squaredloss": "squared-error", "crossentropy": "cross-entropy", "sgd": "gradient-descent"},
    "keras": {
        "layerdense": "linear", "dense": "linear", "activationrelu": "relu", "relu": "relu", "sigmoid": "sigmoid",
        "activationsigmoid": "sigmoid", "tanh": "tanh", "softmax": "softmax", "activationsoftmax": "softmax",
    },
    "micrograd": {},
}  # fmt: skip


def check_course(name: str) -> str:
    """Returns the name of a course. Raises ConfigError for one that is not known."""
    found = name.strip().lower()
    if found not in COURSES:
        raise ConfigError(
            f"--course {name}: {nearest(found, list(COURSES))} For another course write an adapter (--with)."
        )
    return found


def apply_course(handins: Sequence[Handin], course: str) -> list[Handin]:
    """Returns the hand-ins, each as an answer to the exercise that its name has in the course."""
    return [narrow(one, find_exercise(one.name, course)) for one in handins]


def find_exercise(name: str, course: str) -> str:
    """Returns the exercise that a name begins with; "" where the course says nothing."""
    plain = re.sub(r"_|forward|backward", "", name.lower())
    known = COURSES[course]
    return next((known[word] for word in sorted(known, key=len, reverse=True) if plain.startswith(word)), "")


def narrow(handin: Handin, exercise: str) -> Handin:
    """Returns a hand-in as an answer to one exercise alone, where it may be one."""
    fitting = [one for one in (handin, *handin.others) if one.task == exercise and exercise]
    if not fitting or handin.declared:
        return handin
    first, *others = (replace(one, others=(), declared=True) for one in fitting)
    return replace(first, others=tuple(others))
