"""Right hand-ins: for each task the gradient that a student is to find. The bench plants its mistakes in this text."""

from __future__ import annotations

import textwrap

from edunn.exercises import template

BLANK = '        raise NotImplementedError("write the gradient here")\n'

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
    """The template with the gradient filled in."""
    code = textwrap.indent(textwrap.dedent(GRADIENTS[task]).strip("\n"), " " * 8) + "\n"
    text = template(task)
    assert BLANK in text
    return text.replace(BLANK, code)


def edited(task: str, old: str, new: str) -> str:
    """The right hand-in with a piece of its gradient's text replaced, everywhere there; its value stays right."""
    text = source(task)
    start = text.index("    def gradient(") if "    def gradient(" in text else text.index("    def backward(")
    assert old in text[start:], f"{task}: {old!r} does not stand in the right gradient"
    return text[:start] + text[start:].replace(old, new)
