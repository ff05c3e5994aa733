"""Right hand-ins in numpy, written independently of the package. The bench plants mistakes in their gradients."""

from __future__ import annotations

import textwrap

from edunn.exercises import EXERCISES, GradientExercise

PAIR = """import numpy as np


class {title}:
    task = "{task}"

    def value(self, {arguments}):
{value}
    def gradient(self, {arguments}):
{gradient}"""
LAYER = """import numpy as np


class {title}:
    task = "{task}"

    def forward(self, {arguments}):
        self.kept = ({arguments},)
{value}
    def backward(self, upstream):
{gradient}"""

VALUES = {
    "squared-error": "return np.mean((scores - targets) ** 2)",
    "absolute-error": "return np.mean(np.abs(scores - targets))",
    "huber": """
        r = np.abs(scores - targets)
        d = 0.8
        return np.mean(np.where(r <= d, 0.5 * r**2, d * (r - 0.5 * d)))
    """,
    "binary-cross-entropy": "return np.mean(np.logaddexp(0, scores) - targets * scores)",
    "logistic": "return np.mean(np.logaddexp(0, -targets * scores))",
    "hinge": "return np.mean(np.maximum(0, 1 - targets * scores))",
    "squared-hinge": "return np.mean(np.maximum(0, 1 - targets * scores) ** 2)",
    "cross-entropy": """
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -np.mean(log_p[np.arange(len(targets)), targets])
    """,
    "multiclass-hinge": """
        rows = np.arange(len(targets))
        margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)
        margins[rows, targets] = 0
        return margins.sum() / len(targets)
    """,
    "squared-multiclass-hinge": """
        rows = np.arange(len(targets))
        margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)
        margins[rows, targets] = 0
        return (margins**2).sum() / len(targets)
    """,
    "sigmoid": "return 1 / (1 + np.exp(-scores))",
    "tanh": "return np.tanh(scores)",
    "relu": "return np.maximum(0, scores)",
    "leaky-relu": "return np.where(scores > 0, scores, 0.1 * scores)",
    "softmax": """
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    """,
    "l2": "return strength * np.sum(weight**2)",
    "l2-half": "return 0.5 * strength * np.sum(weight**2)",
    "l1": "return strength * np.sum(np.abs(weight))",
    "elastic-net": "return strength * np.sum(0.4 * weight**2 + np.abs(weight))",
    "linear": "return features @ weight.T + bias",
    "dropout": """
        self.mask = np.random.default_rng(seed).random(features.shape) < keep
        return features * self.mask / keep
    """,
    "batch-norm": """
        centred = features - features.mean(axis=0)
        return scale * centred / np.sqrt((centred**2).mean(axis=0) + 1e-05) + shift
    """,
    "linear-regression": """
        scores = features @ weight + bias
        return np.mean((scores - targets) ** 2) + strength * np.sum(weight**2)
    """,
    "logistic-regression": """
        scores = features @ weight + bias
        data = np.mean(np.logaddexp(0, scores) - targets * scores)
        return data + strength * np.sum(weight**2)
    """,
    "softmax-classifier": """
        scores = features @ weight.T + bias
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -np.mean(log_p[np.arange(len(targets)), targets]) + strength * np.sum(weight**2)
    """,
    "multiclass-svm": """
        scores = features @ weight.T + bias
        rows = np.arange(len(targets))
        margins = np.maximum(0, scores - scores[rows, targets][:, None] + 1)
        margins[rows, targets] = 0
        return margins.sum() / len(targets) + strength * np.sum(weight**2)
    """,
}

GRADIENTS = {
    "squared-error": "return 2 * (scores - targets) / len(scores)",
    "absolute-error": "return np.sign(scores - targets) / len(scores)",
    "huber": "return np.clip(scores - targets, -0.8, 0.8) / len(scores)",
    "binary-cross-entropy": """
        p = 1 / (1 + np.exp(-scores))
        return (p - targets) / len(scores)
    """,
    "logistic": """
        p = 1 / (1 + np.exp(targets * scores))
        return -targets * p / len(scores)
    """,
    "hinge": """
        missed = (1 - targets * scores > 0).astype(float)
        return -targets * missed / len(scores)
    """,
    "squared-hinge": """
        short = np.maximum(0, 1 - targets * scores)
        return -targets * 2 * short / len(scores)
    """,
    "cross-entropy": """
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        p[np.arange(len(targets)), targets] -= 1
        return p / len(targets)
    """,
    "multiclass-hinge": """
        rows = np.arange(len(targets))
        margins = scores - scores[rows, targets][:, None] + 1
        mask = (margins > 0).astype(float)
        mask[rows, targets] = 0
        mask[rows, targets] = -mask.sum(axis=1)
        return mask / len(targets)
    """,
    "squared-multiclass-hinge": """
        rows = np.arange(len(targets))
        margins = scores - scores[rows, targets][:, None] + 1
        pull = 2 * np.maximum(0, margins)
        pull[rows, targets] = 0
        pull[rows, targets] = -pull.sum(axis=1)
        return pull / len(targets)
    """,
    "sigmoid": """
        (z,) = self.kept
        s = 1 / (1 + np.exp(-z))
        return upstream * s * (1 - s)
    """,
    "tanh": """
        (z,) = self.kept
        t = np.tanh(z)
        return upstream * (1 - t**2)
    """,
    "relu": """
        (z,) = self.kept
        return upstream * (z > 0)
    """,
    "leaky-relu": """
        (z,) = self.kept
        return upstream * np.where(z > 0, 1.0, 0.1)
    """,
    "softmax": """
        (z,) = self.kept
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p * (upstream - (upstream * p).sum(axis=1, keepdims=True))
    """,
    "l2": "return 2 * strength * weight",
    "l2-half": "return strength * weight",
    "l1": "return strength * np.sign(weight)",
    "elastic-net": "return strength * (2 * 0.4 * weight + np.sign(weight))",
    "linear": """
        features, weight, bias = self.kept
        return {"features": upstream @ weight, "weight": upstream.T @ features, "bias": upstream.sum(axis=0)}
    """,
    "dropout": """
        features, keep, seed = self.kept
        return upstream * self.mask / keep
    """,
    "batch-norm": """
        x, scale, shift = self.kept
        centred = x - x.mean(axis=0)
        deviation = np.sqrt((centred**2).mean(axis=0) + 1e-05)
        normal = centred / deviation
        u = upstream * scale
        down = (u - u.mean(axis=0) - normal * (u * normal).mean(axis=0)) / deviation
        return {"features": down, "scale": (upstream * normal).sum(axis=0), "shift": upstream.sum(axis=0)}
    """,
    "linear-regression": """
        scores = features @ weight + bias
        upstream = 2 * (scores - targets) / len(targets)
        return {"weight": features.T @ upstream + 2 * strength * weight, "bias": upstream.sum()}
    """,
    "logistic-regression": """
        p = 1 / (1 + np.exp(-(features @ weight + bias)))
        upstream = (p - targets) / len(targets)
        return {"weight": features.T @ upstream + 2 * strength * weight, "bias": upstream.sum()}
    """,
    "softmax-classifier": """
        scores = features @ weight.T + bias
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        p[np.arange(len(targets)), targets] -= 1
        p /= len(targets)
        return {"weight": p.T @ features + 2 * strength * weight, "bias": p.sum(axis=0)}
    """,
    "multiclass-svm": """
        rows = np.arange(len(targets))
        scores = features @ weight.T + bias
        margins = scores - scores[rows, targets][:, None] + 1
        mask = (margins > 0).astype(float)
        mask[rows, targets] = 0
        mask[rows, targets] = -mask.sum(axis=1)
        mask /= len(targets)
        return {"weight": mask.T @ features + 2 * strength * weight, "bias": mask.sum(axis=0)}
    """,
}


def source(task: str) -> str:
    """Writes the right hand-in, in numpy."""
    exercise = EXERCISES[task]
    assert isinstance(exercise, GradientExercise)
    value, gradient = (
        textwrap.indent(textwrap.dedent(code).strip("\n"), " " * 8) + "\n" for code in (VALUES[task], GRADIENTS[task])
    )
    return (LAYER if exercise.forward else PAIR).format(
        title=task.title().replace("-", ""), task=task, arguments=", ".join(exercise.arguments), value=value,
        gradient=gradient,
    )  # fmt: skip


def edited(task: str, old: str, new: str) -> str:
    """The right hand-in with a piece of its text replaced: everywhere in the gradient, or in the value if only there."""
    text = source(task)
    start = text.index("    def gradient(") if "    def gradient(" in text else text.index("    def backward(")
    if old in text[start:]:
        return text[:start] + text[start:].replace(old, new)
    assert old in text, f"{task}: {old!r} does not stand in the right hand-in"
    return text[:start].replace(old, new) + text[start:]
