"""Mistakes to plant in the source of right code: (task, the right text, the wrong text, the mistake's name).

`None` as the name marks a mistake that is not in the table: it must be detected and must not be given a wrong name.
"""

from __future__ import annotations

Edit = tuple[str, str, str, str | None]

SOFTMAX = "e = np.exp(scores - scores.max(axis=1, keepdims=True))\n        p = e / e.sum(axis=1, keepdims=True)"
PLANTED: tuple[Edit, ...] = (
    # the sign
    ("cross-entropy", "return p / len(targets)", "return -p / len(targets)", "sign"),
    ("squared-error", "(scores - targets)", "(targets - scores)", "sign"),
    ("l2", "return 2 * strength", "return -2 * strength", "sign"),
    # 1/N
    ("cross-entropy", "return p / len(targets)", "return p", "1/N forgotten"),
    ("squared-error", " / len(scores)\n", "\n", "1/N forgotten"),
    ("multiclass-hinge", "return mask / len(targets)", "return mask", "1/N forgotten"),
    ("binary-cross-entropy", "return (p - targets) / len(scores)", "return p - targets", "1/N forgotten"),
    ("softmax-classifier", "        p /= len(targets)\n", "", "1/N forgotten"),
    ("linear-regression", " / len(targets)\n", "\n", "1/N forgotten"),
    ("hinge", "missed / len(scores)", "missed / len(scores) / len(scores)", "1/N twice"),
    ("multiclass-svm", "mask /= len(targets)", "mask /= len(targets) ** 2", "1/N twice"),
    ("linear", "upstream.sum(axis=0)", "upstream.mean(axis=0)", "averaged in a layer"),
    ("softmax-classifier", '"bias": p.sum(axis=0)', '"bias": p.mean(axis=0)', "1/N twice"),
    ("logistic", "p / len(scores)", "p / (len(scores) - 1)", "divided by N - 1"),
    ("linear-regression", "/ len(targets)\n", "/ features.shape[1]\n", "mean over features"),
    ("softmax-classifier", "p /= len(targets)", "p /= features.shape[1]", "mean over features"),
    # 2 and ½
    ("squared-error", "return 2 * (", "return (", "factor 2 missing"),
    ("huber", "np.clip(scores", "2 * np.clip(scores", "factor 2 too many"),
    ("squared-hinge", "* 2 * short", "* short", "factor 2 missing"),
    ("squared-multiclass-hinge", "pull = 2 * np", "pull = np", "factor 2 missing"),
    # classes
    ("cross-entropy", "return p / len(targets)", "return p / p.size", "mean over classes"),
    ("multiclass-hinge", "mask / len(targets)", "mask / mask.size", "mean over classes"),
    ("squared-multiclass-hinge", "pull / len(targets)", "pull / len(targets) / (pull.shape[1] - 1)",
     "mean over the other classes"),
    ("cross-entropy", "return p / len(targets)", "return p * p.shape[1] / len(targets)", "sum over classes"),
    # a sample
    ("cross-entropy", "return p / len(targets)", "p[-1] = 0\n        return p / len(targets)", "a sample dropped"),
    ("softmax-classifier", "p /= len(targets)\n", "p /= len(targets)\n        p[0] = 0\n", "a sample dropped"),
    ("linear-regression", "/ len(targets)\n", "/ len(targets)\n        upstream[-1] = 0\n", "a sample dropped"),
    # weight and bias
    ("linear", "upstream.T @ features", "(upstream.T @ features).T", "transposed"),
    ("multiclass-svm", "mask.T @ features + 2 * strength * weight", "features.T @ mask + 2 * strength * weight.T",
     "transposed"),
    ("softmax-classifier", "p.sum(axis=0)", "p.sum()", "bias summed over everything"),
    ("linear", "upstream.sum(axis=0)", "upstream.sum() * np.ones_like(bias)", "bias summed over everything"),
    ("linear", "upstream.sum(axis=0)", "upstream.sum(axis=1)", "bias over the wrong axis"),
    ("multiclass-svm", "mask.sum(axis=0)", "mask.sum(axis=1)", "bias over the wrong axis"),
    ("logistic-regression", '"bias": upstream.sum()', '"bias": 0.0', "zero"),
    # penalties
    ("softmax-classifier", " + 2 * strength * weight", "", "penalty forgotten"),
    ("linear-regression", " + 2 * strength * weight", "", "penalty forgotten"),
    ("softmax-classifier", "p.sum(axis=0)", "p.sum(axis=0) + 2 * strength * bias", "penalty on the bias"),
    ("logistic-regression", "upstream.sum()", "upstream.sum() + 2 * strength * bias", "penalty on the bias"),
    ("softmax-classifier", "+ 2 * strength * weight", "+ strength * weight", "L2 factor 2 missing"),
    ("multiclass-svm", "+ 2 * strength * weight", "+ strength * weight", "L2 factor 2 missing"),
    ("l2", "return 2 * strength", "return strength", "L2 factor 2 missing"),
    ("l2-half", "return strength", "return 2 * strength", "L2 factor 2 too many"),
    ("linear-regression", "+ 2 * strength * weight", "- 2 * strength * weight", "penalty sign"),
    ("softmax-classifier", "+ 2 * strength * weight", "+ 2 * weight", "strength forgotten"),
    ("l2", "2 * strength * weight", "2 * weight", "strength forgotten"),
    ("l2", "2 * strength * weight", "2 * strength**2 * weight", "strength twice"),
    ("multiclass-svm", "+ 2 * strength * weight", "+ 2 * strength * weight / len(targets)", "penalty divided by N"),
    ("linear-regression", "+ 2 * strength * weight", "+ 2 * strength * weight * len(targets)",
     "penalty multiplied by N"),
    ("l1", "np.sign(weight)", "np.ones_like(weight)", "L1 sign forgotten"),
    ("elastic-net", " + np.sign(weight)", "", "elastic net: L1 part forgotten"),
    ("elastic-net", "2 * 0.4 * weight + ", "", "elastic net: L2 part forgotten"),
    ("elastic-net", "2 * 0.4 * weight", "2 * weight", "elastic net: beta forgotten"),
    ("elastic-net", "(2 * 0.4 * weight + np.sign(weight))", "0.4 * (2 * weight + np.sign(weight))",
     "elastic net: beta on both"),
    ("elastic-net", "2 * 0.4 * weight", "0.4 * weight", "elastic net: factor 2 missing"),
    # softmax and cross-entropy
    ("cross-entropy", "        p[np.arange(len(targets)), targets] -= 1\n", "", "true class not subtracted"),
    ("softmax-classifier", "        p[np.arange(len(targets)), targets] -= 1\n", "", "true class not subtracted"),
    ("cross-entropy", "targets] -= 1", "targets] -= 2", "true class subtracted twice"),
    ("softmax-classifier", "targets] -= 1", "targets] += 1", "true class added"),
    ("cross-entropy", "targets] -= 1", "(targets + 1) % scores.shape[1]] -= 1", "off by one class"),
    ("cross-entropy", "targets] -= 1", "targets - 1] -= 1", "off by one class"),
    ("cross-entropy", "p = e / e.sum(axis=1, keepdims=True)", "p = scores.copy()", "softmax forgotten"),
    ("softmax-classifier", "p = e / e.sum(axis=1, keepdims=True)", "p = e", "softmax not normalised"),
    ("cross-entropy", "e.sum(axis=1, keepdims=True)", "e.sum()", None),
    ("cross-entropy", SOFTMAX,
     "e = np.exp(scores)\n        p = e / e.sum(axis=0)", "softmax over the samples"),
    ("cross-entropy", SOFTMAX,
     "e = np.exp(scores)\n        p = e / e.sum()", "softmax over everything"),
    # one score
    ("binary-cross-entropy", "(p - targets)", "(p - targets) * p * (1 - p)", "activation's derivative twice"),
    ("binary-cross-entropy", "(p - targets)", "(p - targets) / (p * (1 - p))", "derivative in the probabilities"),
    ("binary-cross-entropy", "(p - targets)", "(scores - targets)", "sigmoid forgotten"),
    ("logistic-regression", "upstream = (p - targets)", "upstream = p", "target not subtracted"),
    ("logistic-regression", "upstream = (p - targets)", "upstream = (1 / (1 + np.exp(-p)) - targets)",
     "sigmoid of the sigmoid"),
    ("logistic", "np.exp(targets * scores)", "np.exp(-targets * scores)", "sigmoid of the wrong sign"),
    ("logistic", "return -targets * p", "return -p", "label forgotten"),
    # hinges
    ("hinge", "return -targets * missed", "return -targets", "indicator forgotten"),
    ("hinge", "* scores > 0", "* scores < 0", "indicator inverted"),
    ("hinge", "(1 - targets * scores > 0)", "(-targets * scores > 0)", "margin missing"),
    ("hinge", "return -targets * missed", "return -missed", "label forgotten"),
    ("squared-hinge", "np.maximum(0, 1 - targets * scores)", "(1 - targets * scores)", "indicator forgotten"),
    ("squared-hinge", "2 * short", "(short > 0)", "power forgotten"),
    ("multiclass-hinge", "mask = (margins > 0).astype(float)", "mask = np.ones_like(margins)", "indicator forgotten"),
    ("multiclass-hinge", "        mask[rows, targets] = -mask.sum(axis=1)\n", "", "true class's row forgotten"),
    ("multiclass-svm", "        mask[rows, targets] = -mask.sum(axis=1)\n", "", "true class's row forgotten"),
    ("multiclass-hinge", "= -mask.sum(axis=1)", "= -1", "true class counted once"),
    ("multiclass-hinge", "[:, None] + 1", "[:, None]", "margin missing"),
    ("squared-multiclass-hinge", "[:, None] + 1", "[:, None]", "margin missing"),
    ("multiclass-svm", "(margins > 0)", "(margins < 0)", "indicator inverted"),
    ("squared-multiclass-hinge", "2 * np.maximum(0, margins)", "(margins > 0).astype(float)", "power forgotten"),
    ("multiclass-hinge", "= -mask.sum(axis=1)", "= 1 - mask.sum(axis=1)", "true class's own term kept"),
    # real targets
    ("squared-error", "(scores - targets)", "scores", "target not subtracted"),
    ("squared-error", "2 * (scores - targets)", "2 * np.abs(scores - targets)", "residual without its sign"),
    ("absolute-error", "np.sign(scores - targets)", "(scores - targets)", "residual in place of its sign"),
    ("huber", "np.clip(scores - targets, -0.8, 0.8)", "(scores - targets)", "clip forgotten"),
    ("huber", "np.clip(scores - targets, -0.8, 0.8)",
     "np.where(abs(scores - targets) < 0.8, scores - targets, np.sign(scores - targets))", "delta forgotten"),
    # activations
    ("sigmoid", "upstream * s * (1 - s)", "upstream", "activation's derivative forgotten"),
    ("tanh", "upstream * (1 - t**2)", "upstream", "activation's derivative forgotten"),
    ("sigmoid", "s = 1 / (1 + np.exp(-z))\n", "s = 1 / (1 + np.exp(-1 / (1 + np.exp(-z))))\n",
     "derivative of the output"),
    ("tanh", "t = np.tanh(z)", "t = np.tanh(np.tanh(z))", "derivative of the output"),
    ("sigmoid", "s * (1 - s)", "z * (1 - z)", "derivative of the score"),
    ("tanh", "(1 - t**2)", "(1 - z**2)", "derivative of the score"),
    ("sigmoid", "s * (1 - s)", "(s * (1 - s)) ** 2", "activation's derivative twice"),
    ("tanh", "(1 - t**2)", "t", "value in place of the derivative"),
    ("tanh", "t**2", "t", "square forgotten"),
    ("sigmoid", "upstream * s * (1 - s)", "upstream * (1 - s)", "sigmoid: half of the derivative"),
    ("sigmoid", "upstream * s * (1 - s)", "s * (1 - s)", "upstream forgotten"),
    ("relu", "(z > 0)", "(z < 0)", "mask inverted"),
    ("relu", "(z > 0)", "(upstream > 0)", "mask of the wrong array"),
    ("leaky-relu", "np.where(z > 0, 1.0, 0.1)", "(z > 0)", "slope forgotten"),
    ("leaky-relu", "z > 0, 1.0, 0.1", "z > 0, 0.1, 1.0", "mask inverted"),
    ("softmax", "p * (upstream - (upstream * p).sum(axis=1, keepdims=True))", "upstream * p * (1 - p)",
     "softmax Jacobian as a diagonal"),
    ("softmax", " - (upstream * p).sum(axis=1, keepdims=True)", "", "softmax: second term forgotten"),
    ("softmax", "(upstream * p).sum(axis=1, keepdims=True)", "(upstream * p).sum(axis=0)",
     "softmax: sum over the samples"),
    # layers
    ("dropout", "self.mask / keep", "self.mask", "dropout's scale forgotten"),
    ("dropout", "self.mask / keep", "self.mask / keep**2", "dropout's scale twice"),
    ("dropout", "upstream * self.mask / keep", "upstream / keep", "mask forgotten"),
    ("dropout", "upstream * self.mask / keep",
     "upstream * (np.random.default_rng(seed + 1).random(features.shape) < keep) / keep", "mask redrawn"),
    ("batch-norm", "(u - u.mean(axis=0) - normal * (u * normal).mean(axis=0))",
     "(u - normal * (u * normal).mean(axis=0))", "mean path forgotten"),
    ("batch-norm", " - normal * (u * normal).mean(axis=0)", "", "variance path forgotten"),
    ("batch-norm", "(u - u.mean(axis=0) - normal * (u * normal).mean(axis=0))", "u",
     "mean and variance paths forgotten"),
    ("batch-norm", "u = upstream * scale", "u = upstream", "scale forgotten"),
    ("batch-norm", '"scale": (upstream * normal)', '"scale": (upstream * x)', "not normalised"),
    # numeric gradients
    ("squared-error", "return 2 * (scores - targets) / len(scores)", """g, h = np.zeros_like(scores), 1e-3
        for i in range(len(scores)):
            e = np.zeros_like(scores); e[i] = h
            g[i] = (self.value(scores + e, targets) - self.value(scores, targets)) / h
        return g""", "one-sided difference"),
    ("squared-error", "return 2 * (scores - targets) / len(scores)", """g, h = np.zeros_like(scores), 1e-5
        for i in range(len(scores)):
            e = np.zeros_like(scores); e[i] = h
            g[i] = (self.value(scores + e, targets) - self.value(scores - 2 * e, targets)) / (2 * h)
        return g""", "lopsided difference"),
    ("logistic", "return -targets * p / len(scores)", """g, h = np.zeros_like(scores), 1e-15
        for i in range(len(scores)):
            e = np.zeros_like(scores); e[i] = h
            g[i] = (self.value(scores + e, targets) - self.value(scores - e, targets)) / (2 * h)
        return g""", "numeric step too small"),
    # mistakes that the table does not hold
    ("cross-entropy", "return p / len(targets)",
     "return p / len(targets) + 0.01 * np.random.default_rng(0).normal(size=p.shape)", None),
    ("cross-entropy", "return p / len(targets)", "p[1, 2] *= 1.1\n        return p / len(targets)", None),
    ("squared-error", "return 2 *", "return 1.9 *", "wrong factor"),
    ("multiclass-hinge", "return mask / len(targets)", "return mask[:, ::-1] / len(targets)", None),
    ("tanh", "upstream * (1 - t**2)", "upstream * np.cos(z)", None),
    ("sigmoid", "s * (1 - s)", "np.exp(-(z**2)) / 4", None),
    ("linear", "upstream.T @ features", "np.abs(upstream.T @ features)", None),
    ("softmax-classifier", "p.T @ features", "np.clip(p.T @ features, -0.05, 0.05)", None),
    ("linear-regression", "features.T @ upstream", "features.T @ upstream + 0.1", None),
    ("l2", "2 * strength * weight", "2 * strength * weight**3", None),
    ("huber", "-0.8, 0.8", "-0.3, 0.3", None),
    ("hinge", "(1 - targets * scores > 0).astype(float)", "np.sqrt(np.maximum(0, 1 - targets * scores))", None),
    ("batch-norm", "1e-05", "0.5", None),
    ("logistic-regression", "features.T @ upstream", "np.roll(features.T @ upstream, 1)", None),
    ("softmax", "e = np.exp(z", "e = np.exp(0.5 * z", None),
)  # fmt: skip

# in the package's own source: (module, what stands there, what is written instead, what is certified, its name)
IN_PACKAGE: tuple[tuple[str, str, str, str, str], ...] = (
    ("losses.multiclass", ".exp() - self.distribution(scores, targets)", ".exp()", "CrossEntropy",
     "true class not subtracted"),
    ("losses.multiclass", "return torch.log_softmax(scores, -1).exp() - self.distribution(scores, targets)",
     "return self.distribution(scores, targets) - torch.log_softmax(scores, -1).exp()", "CrossEntropy", "sign"),
    ("losses.multiclass", "return torch.log_softmax(scores, -1).exp()", "return torch.log_softmax(scores, 0).exp()",
     "CrossEntropy", "softmax over the samples"),
    ("losses.multiclass", "return slopes.scatter_(-1, self.index(scores, targets), -slopes.sum(-1, keepdim=True))",
     "return slopes", "MulticlassHinge", "true class's row forgotten"),
    ("losses.multiclass", "slope = (shortfall > 0).to(scores.dtype)", "slope = torch.ones_like(scores)",
     "MulticlassHinge", "indicator forgotten"),
    ("losses.binary", "return torch.sigmoid(scores) - targets", "return scores - targets", "BinaryCrossEntropy",
     "sigmoid forgotten"),
    ("losses.binary", "return -targets * slope", "return -slope", "Hinge", "label forgotten"),
    ("losses.regression", "upstream = 2 * self.factor * self.residual", "upstream = self.factor * self.residual",
     "SquaredError", "factor 2 missing"),
    ("layers.linear", "upstream.mT @ features", "-upstream.mT @ features", "Linear", "sign"),
    ("layers.linear", "upstream.sum(-2)", "upstream.mean(-2)", "Linear", "1/N twice"),
    ("layers.linear", "upstream.sum(-2)", "upstream.sum(-2) * 0", "Linear", "zero"),
    ("penalties", "* 2 * self.factor * weight", "* self.factor * weight", "L2", "L2 factor 2 missing"),
    ("penalties", "return self.strength_along(weight) * torch.sign(weight)",
     "return self.strength_along(weight) * weight",
     "L1", "L1 sign forgotten"),
    ("penalties", "(2 * self.beta * weight + torch.sign(weight))", "2 * self.beta * weight", "ElasticNet",
     "elastic net: L1 part forgotten"),
)  # fmt: skip
