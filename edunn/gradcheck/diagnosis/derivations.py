"""The derivation of the one term that a mistake concerns, line by line, for those who want to see it.

A mistake is looked up by its name; several that concern the same term share one derivation.
"""

from __future__ import annotations

MEAN = (
    "L = 1/N Σ_i ℓ_i: the mean over the samples.",
    "∂/∂θ is linear: ∂L/∂θ = 1/N Σ_i ∂ℓ_i/∂θ.",
    "The same 1/N that the value has stands in front of the gradient, once.",
)
LAYER = (
    "s_i = W x_i + b for each sample i, and L depends on all of them.",
    "∂L/∂b = Σ_i ∂L/∂s_i · ∂s_i/∂b = Σ_i u_i, for ∂s_i/∂b is the identity.",
    "∂L/∂W = Σ_i u_i x_iᵀ in the same way: sums. A 1/N of the loss is in u already.",
)
L2 = (
    "R(w) = λ Σ_j w_j².",
    "∂R/∂w_j = λ · 2 w_j: the other squares do not hold w_j.",
    "With ½ λ Σ w² the 2 and the ½ cancel, and the gradient is λ w. Value and gradient have the same factor.",
)
PENALTY = (
    "L(w) = data(w) + λ R(w).",
    "∂L/∂w = ∂data/∂w + λ ∂R/∂w: the sum's derivative is the sum of the derivatives.",
    "The same λ scales both, and a 1/N stands in front of R only where the value has it there too.",
)
BIAS = (
    "R(w) = Σ w² over the weights. A bias shifts all scores alike and is left out.",
    "∂R/∂b = 0: the gradient in the bias, or in the weight of the column of ones, has no penalty.",
)
SIGN = (
    "∂L/∂θ points uphill: a small step along it raises L.",
    "Descent subtracts it: θ ← θ − rate · ∂L/∂θ. The minus stands in the update, not in the gradient.",
)
SOFTMAX = (
    "ℓ = −log p_y with p = softmax(s): ℓ = log Σ_k e^{s_k} − s_y.",
    "∂/∂s_j log Σ_k e^{s_k} = e^{s_j} / Σ_k e^{s_k} = p_j.",
    "∂/∂s_j (−s_y) = −1 where j = y, and 0 elsewhere.",
    "∂ℓ/∂s_j = p_j − 1(j = y).",
)
HINGE = (
    "ℓ = Σ_{j ≠ y} max(0, m_j) with m_j = s_j − s_y + Δ.",
    "d max(0, m)/dm = 1(m > 0): only a class that misses the margin pulls.",
    "∂ℓ/∂s_j = 1(m_j > 0) for j ≠ y.",
    "s_y stands in every m_j with a minus: ∂ℓ/∂s_y = −Σ_{j ≠ y} 1(m_j > 0).",
)
SIGMOID_LOSS = (
    "ℓ = −y log p − (1 − y) log(1 − p) with p = σ(s).",
    "∂ℓ/∂p = −y/p + (1 − y)/(1 − p) = (p − y) / (p (1 − p)).",
    "∂p/∂s = p (1 − p).",
    "∂ℓ/∂s = ∂ℓ/∂p · ∂p/∂s = p − y: the factor has cancelled. In p it has not.",
)
ACTIVATION = (
    "a = f(z), and u = ∂L/∂a arrives.",
    "∂L/∂z = ∂L/∂a · ∂a/∂z = u · f'(z).",
    "σ' = σ(1 − σ) and tanh' = 1 − tanh², of the output; relu' = 1(z > 0), of the score.",
)
SQUARE = (
    "ℓ = (s − y)².",
    "∂ℓ/∂s = 2 (s − y) · ∂(s − y)/∂s = 2 (s − y).",
    "With ½ (s − y)² it is s − y.",
)
NORM = (
    "x̂ = (x − μ)/σ, y = γ x̂ + β, and μ and σ depend on every x that they are taken over.",
    "Straight: γ u / σ. Through μ: − mean(γ u) / σ. Through σ²: − x̂ mean(γ u x̂) / σ.",
    "∂L/∂x is the sum of the three.",
)
DROPOUT = (
    "y = x · mask / keep, with one mask for forward and backward.",
    "∂L/∂x = u · mask / keep: what was dropped gets nothing, what was kept the same scale.",
)
ENGINE = (
    "A number that is used twice reaches the result on two paths.",
    "The chain rule adds the paths: grad += share of this path · grad of the result.",
    "A node passes its own gradient on after all its users have given theirs: the order is topological, reversed.",
)
PRODUCT = ("out = a · b.", "∂out/∂a = b and ∂out/∂b = a, each times the gradient of out.")
PRECEDENCE = ("1 / 2 * m is read from the left: (1 / 2) * m = m / 2.", "1 / (2 * m) is what the mean of halves wants.")
DIFFERENCE = (
    "(f(x + h) − f(x − h)) / 2h = f'(x) + h² f'''/6: two sides, the same step on each.",
    "Too small an h leaves rounding, ε |f| / h; too large an h the curvature.",
)

# the beginning of a mistake's name, and its derivation; the first that fits counts
DERIVATIONS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("1 / 2 * m",), PRECEDENCE),
    (("1/N", "divided by N", "count written", "mean over", "sum over", "a sample", "data term"), MEAN),
    (("averaged in", "multiplied by N", "bias summed", "bias over", "transposed"), LAYER),
    (("penalty on the bias", "penalty's bias", "bias left out"), BIAS),
    (("L2", "L1", "square's", "square forgotten in the value", "w forgotten", "Σ W", "penalty summed", "elastic"), L2),
    (("penalty", "strength"), PENALTY),
    (("sign in place", "residual", "target not", "factor 2", "clip", "delta"), SQUARE),
    (("derivative in the", "second term", "sigmoid of the wrong", "label", "sigmoid forgotten"), SIGMOID_LOSS),
    (("true class's", "true class counted", "indicator", "margin", "power"), HINGE),
    (("true class", "softmax", "off by one", "only the true"), SOFTMAX),
    (("mean and variance", "mean path", "variance path", "scale forgotten", "not normalised"), NORM),
    (("dropout", "mask forgotten", "mask redrawn"), DROPOUT),
    (("gradient overwritten", "chain rule", "order of the graph"), ENGINE),
    (("factors swapped", "exponent"), PRODUCT),
    (("one-sided", "lopsided", "numeric"), DIFFERENCE),
    (("sign", "value negated", "penalty subtracted"), SIGN),
    (("activation's", "upstream", "derivative of", "value in place", "square forgotten", "sigmoid: half", "mask",
      "slope", "derivative forgotten"), ACTIVATION),
)  # fmt: skip


def derive(name: str) -> tuple[str, ...]:
    """Returns the derivation behind a mistake, or behind several at once; empty where there is none."""
    lines: list[str] = []
    for one in name.split(" + "):
        found = next((text for starts, text in DERIVATIONS if one.startswith(starts)), ())
        lines += [line for line in found if line not in lines]
    return tuple(lines)
