"""Mistakes in the derivative of a loss with respect to its scores."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake, is_a, up, when
from .wrong_gradient import WrongGradient


def subtract_ones(wrong: WrongGradient, ones: Callable[[Tensor], Tensor]) -> Tensor:
    return wrong.per_sample * (torch.softmax(wrong.scores, -1) + ones(wrong.one_hot))


def replace_softmax(wrong: WrongGradient, rows: Tensor) -> Tensor:
    return wrong.per_sample * (rows - wrong.one_hot)


def change_violations(
    wrong: WrongGradient, violated: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Returns the gradient of a multiclass hinge that counts other terms as violated, or has another slope."""
    loss, true = wrong.loss, wrong.one_hot
    shortfall = loss.shortfall(wrong.scores, wrong.points["targets"])
    slopes = torch.ones_like(shortfall) if loss.power == 1 else 2 * shortfall
    if slope is not None:
        slopes = slope(shortfall)
    v = violated(shortfall).to(shortfall.dtype) * slopes * (1 - true) / loss.divisor(wrong.scores)
    return wrong.per_sample * (v - true * v.sum(-1, keepdim=True))


def change_true_class(wrong: WrongGradient, at_true: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the multiclass hinge's gradient with another entry at the true class, computed from the other entries."""
    true = wrong.one_hot
    pull = wrong.loss.term_slopes(wrong.scores, wrong.points["targets"])
    return wrong.per_sample * (pull + true * at_true(pull))


def use_slope(wrong: WrongGradient, slope: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Returns 1/N · slope(s, y): the gradient of a loss of one score."""
    return wrong.per_sample * slope(wrong.scores, wrong.points["targets"])


def change_indicator(wrong: WrongGradient, violated: Callable[[Tensor], Tensor]) -> Tensor:
    s, y = wrong.scores, wrong.points["targets"]
    shortfall = wrong.loss.shortfall(s, y)
    slope = torch.ones_like(s) if wrong.loss.power == 1 else 2 * shortfall
    return wrong.per_sample * -y * violated(shortfall).to(s.dtype) * slope


def own_slope(wrong: WrongGradient) -> float:
    """Returns the multiclass hinge's slope in the term j = y, whose shortfall is the margin itself."""
    return float(wrong.loss.power * wrong.loss.margin ** (wrong.loss.power - 1))


def is_real_squared(wrong: WrongGradient) -> bool:
    return wrong.is_a("SquaredError") and not wrong.loss.class_axis


def has_link(wrong: WrongGradient) -> bool:
    return wrong.is_a("SquaredError") and type(wrong.loss.through).__name__ != "Identity"


def of_probabilities(wrong: WrongGradient) -> bool:
    return bool(getattr(wrong.loss, "of_probabilities", False))


def is_log_loss(wrong: WrongGradient) -> bool:
    return of_probabilities(wrong) and wrong.scores.shape == wrong.points["targets"].shape


is_entropy, is_binary, is_squared = is_a("CrossEntropy"), is_a("BinaryCrossEntropy"), is_a("SquaredError")
is_multiclass, is_hinge, is_logistic = is_a("MulticlassHinge"), is_a("Hinge"), is_a("Logistic")

MISTAKES: tuple[Mistake, ...] = (
    # softmax and cross-entropy
    Mistake("true class not subtracted", "the 1 of the true class is not subtracted", "p_j − 1(j = y)", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: 0 * ones))),
    Mistake("true class subtracted twice", "the 1 of the true class is subtracted twice", "p_j − 1(j = y)", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: -2 * ones))),
    Mistake("true class added", "the 1 of the true class is added", "p_j − 1(j = y)", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: ones))),
    Mistake("off by one class", "the 1 is subtracted one class beside the true one", "p_j − 1(j = y)", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: -ones.roll(1, -1)))),
    Mistake("off by one class", "the 1 is subtracted one class beside the true one", "p_j − 1(j = y)", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: -ones.roll(-1, -1)))),
    Mistake("softmax forgotten", "the scores are used in place of the probabilities", "p = softmax(s)", "loss",
            when(is_entropy, lambda g: replace_softmax(g, g.scores))),
    Mistake("softmax not normalised", "e^s is not divided by its sum", "p_j = e^{s_j} / Σ_k e^{s_k}", "loss",
            when(is_entropy, lambda g: replace_softmax(g, g.scores.exp()))),
    Mistake("softmax not normalised", "e^s is not divided by its sum", "p_j = e^{s_j} / Σ_k e^{s_k}", "loss",
            when(is_entropy, lambda g: replace_softmax(g, (g.scores - g.scores.amax(-1, keepdim=True)).exp()))),
    Mistake("softmax over the samples", "the softmax runs over the samples", "Σ_k over classes, along each row", "loss",
            when(is_entropy, lambda g: replace_softmax(g, torch.softmax(g.scores, 0)))),
    Mistake("softmax over everything", "the softmax runs over the whole batch", "Σ_k over classes, along each row",
            "loss",
            when(is_entropy, lambda g: replace_softmax(g, g.scores.flatten().softmax(0).reshape(g.scores.shape)))),
    Mistake("only the true class", "only the true class's score has a gradient", "p_j − 1(j = y) for every j", "loss",
            when(is_entropy, lambda g: subtract_ones(g, lambda ones: -ones) * g.one_hot)),
    Mistake("derivative in the probabilities", "the chain rule through the link is missing: this is ∂ℓ/∂p, not ∂ℓ/∂s",
            "∂ℓ/∂s = ∂ℓ/∂p · ∂p/∂s", "loss",
            when(is_entropy, lambda g: -g.per_sample * g.one_hot / torch.softmax(g.scores, -1))),
    # cross-entropy of one score
    Mistake("derivative in the probabilities", "the chain rule through the link is missing: this is ∂ℓ/∂p, not ∂ℓ/∂s",
            "∂ℓ/∂s = ∂ℓ/∂p · σ'(s)", "loss",
            when(is_binary, lambda g: use_slope(g, lambda z, y: (z.sigmoid() - y) / (z.sigmoid() * (-z).sigmoid())))),
    Mistake("activation's derivative twice", "σ'(s) is applied once more: it has cancelled already", "σ(s) − y", "loss",
            when(is_binary, lambda g: use_slope(g, lambda z, y: (z.sigmoid() - y) * z.sigmoid() * (-z).sigmoid()))),
    Mistake("sigmoid forgotten", "the score is used in place of the probability", "σ(s) − y", "loss",
            when(is_binary, lambda g: use_slope(g, lambda z, y: z - y))),
    Mistake("target not subtracted", "the target is not subtracted", "∂ℓ/∂s = (output − y) …", "loss",
            when(is_binary, lambda g: use_slope(g, lambda z, y: z.sigmoid()))),
    Mistake("sigmoid of the sigmoid", "the sigmoid is taken twice", "σ(s) − y", "loss",
            when(is_binary, lambda g: use_slope(g, lambda z, y: z.sigmoid().sigmoid() - y))),
    Mistake("sigmoid of the wrong sign", "σ(y s) is used in place of σ(−y s)", "−y σ(−y s)", "loss",
            when(is_logistic, lambda g: use_slope(g, lambda z, y: -y * (y * z).sigmoid()))),
    Mistake("label forgotten", "the factor y in front is forgotten", "∂ℓ/∂s = −y · …", "loss",
            when(is_logistic, lambda g: use_slope(g, lambda z, y: -(-y * z).sigmoid()))),
    # losses of probabilities
    Mistake("derivative in the scores", "this is ∂ℓ/∂s, of sigmoid or softmax and loss together; the value takes p",
            "∂ℓ/∂p = (p − y) / (p(1 − p))", "loss",
            when(of_probabilities, lambda g: g.per_sample * (g.scores - g.one_hot))),
    Mistake("second term forgotten", "the term of the labels 0 is forgotten", "−y/p + (1 − y)/(1 − p)", "loss",
            when(is_log_loss, lambda g: g.per_sample * -g.points["targets"] / g.scores)),
    Mistake("second term's sign", "the sign of the term of the labels 0 is wrong", "−y/p + (1 − y)/(1 − p)", "loss",
            when(is_log_loss, lambda g: g.per_sample * -(
                g.points["targets"] / g.scores + (1 - g.points["targets"]) / (1 - g.scores)))),
    # hinges of one score
    Mistake("indicator forgotten", "every sample has a gradient: the indicator of a missed margin is forgotten",
            "−y · 1(y s < Δ)", "loss", when(is_hinge, lambda g: change_indicator(g, lambda short: short == short))),
    Mistake("indicator inverted", "the indicator is the wrong way round", "1(y s < Δ)", "loss",
            when(is_hinge, lambda g: change_indicator(g, lambda short: short <= 0))),
    Mistake("margin missing", "the margin Δ is missing in the indicator", "1(Δ − y s > 0)", "loss",
            when(is_hinge, lambda g: change_indicator(g, lambda short: short - g.loss.margin > 0))),
    Mistake("margin missing", "the margin Δ is missing", "2 max(0, Δ − y s)", "loss",
            when(lambda g: is_hinge(g) and g.loss.power == 2, lambda g: use_slope(
                g, lambda z, y: -y * 2 * (-y * z).clamp(min=0)))),
    Mistake("label forgotten", "the factor y in front is forgotten", "∂ℓ/∂s = −y · …", "loss",
            when(is_hinge, lambda g: change_indicator(g, lambda short: short > 0) * g.points["targets"])),
    Mistake("power forgotten", "the power's derivative is forgotten: the squared hinge has 2 max(0, ·) in front",
            "d max(0, m)²/dm = 2 max(0, m)", "loss",
            when(lambda g: is_hinge(g) and g.loss.power == 2, lambda g: use_slope(
                g, lambda z, y: -y * (g.loss.shortfall(z, y) > 0)))),
    # multiclass hinges
    Mistake("indicator forgotten", "every class has a gradient: the indicator of a missed margin is forgotten",
            "1(s_j − s_y + Δ > 0)", "loss",
            when(is_multiclass, lambda g: change_violations(g, lambda short: short == short))),
    Mistake("indicator forgotten", "every class pulls, the true one too: the indicator of a missed margin is forgotten",
            "1(s_j − s_y + Δ > 0)", "loss",
            when(is_multiclass, lambda g: g.per_sample * (1 - g.one_hot * (1 + g.classes)))),
    Mistake("indicator inverted", "the indicator is the wrong way round", "1(s_j − s_y + Δ > 0)", "loss",
            when(is_multiclass, lambda g: change_violations(g, lambda short: short <= 0))),
    Mistake("margin missing", "the margin Δ is missing in the indicator", "1(s_j − s_y + Δ > 0)", "loss",
            when(is_multiclass, lambda g: change_violations(g, lambda short: short - g.loss.margin > 0))),
    Mistake("margin missing", "the margin Δ is missing", "2 max(0, s_j − s_y + Δ)", "loss",
            when(lambda g: is_multiclass(g) and g.loss.power == 2, lambda g: change_violations(
                g, lambda short: short - g.loss.margin > 0, lambda short: 2 * (short - g.loss.margin)))),
    Mistake("power forgotten", "the power's derivative is forgotten: the squared hinge has 2 max(0, ·) in front",
            "d max(0, m)²/dm = 2 max(0, m)", "loss",
            when(lambda g: is_multiclass(g) and g.loss.power == 2, lambda g: change_violations(
                g, lambda short: short > 0, torch.ones_like))),
    Mistake("true class's row forgotten", "the true class's own entry is forgotten", "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss",
            when(is_multiclass, lambda g: change_true_class(g, lambda pull: 0 * pull))),
    Mistake("true class counted once", "the true class is pulled once, not once for each violation",
            "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss",
            when(is_multiclass, lambda g: change_true_class(g, lambda pull: -torch.ones_like(pull)))),
    Mistake("true class counted once", "the true class is pulled once, not once for each violation",
            "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss", when(is_multiclass, lambda g: change_true_class(
                g, lambda pull: -(pull.sum(-1, keepdim=True) > 0).to(pull.dtype)))),
    Mistake("true class's own term kept", "the term j = y is counted too", "Σ over j ≠ y", "loss",
            when(is_multiclass, lambda g: change_true_class(g, lambda v: own_slope(g) - v.sum(-1, keepdim=True)))),
    Mistake("true class's own term kept", "the term j = y is counted too", "Σ over j ≠ y", "loss",
            when(is_multiclass, lambda g: change_true_class(g, lambda v: -own_slope(g) - v.sum(-1, keepdim=True)))),
    # real targets
    Mistake("target not subtracted", "the target is not subtracted", "∂ℓ/∂s = 2(s − y)", "loss",
            when(is_squared, lambda g: g.loss.pointwise_gradient(g.scores, 0.0 * g.points["targets"]) * g.per_sample
                 if g.points["targets"].dtype.is_floating_point else None)),
    Mistake("residual without its sign", "|s − y| is used in place of s − y", "2(s − y)", "loss",
            when(is_real_squared, lambda g: use_slope(g, lambda z, y: 2 * g.loss.factor * (z - y).abs()))),
    Mistake("sign in place of the residual", "the sign of the residual is used in place of the residual", "2(s − y)",
            "loss", when(is_real_squared, lambda g: use_slope(g, lambda z, y: 2 * torch.sign(z - y)))),
    Mistake("activation's derivative forgotten", "f'(s) is forgotten", "2(f(s) − y) f'(s)", "loss",
            when(has_link, lambda g: g.per_sample * 2 * g.loss.factor * g.loss.residual(
                g.scores, g.points["targets"]))),
    Mistake("activation's derivative twice", "f'(s) is applied twice", "2(f(s) − y) f'(s)", "loss",
            when(has_link, lambda g: g.loss.through.input_gradient(g.scores, up(g)) if not g.chain else None)),
    Mistake("residual in place of its sign", "the residual is used in place of its sign", "∂|r|/∂r = sign(r)", "loss",
            when(is_a("AbsoluteError"), lambda g: use_slope(g, lambda z, y: z - y))),
    Mistake("clip forgotten", "the residual is not clipped to ±δ", "∂ℓ/∂s = r clipped to [−δ, δ]", "loss",
            when(is_a("Huber"), lambda g: use_slope(g, lambda z, y: z - y))),
    Mistake("delta forgotten", "beyond δ the slope is ±δ, not ±1", "∂ℓ/∂s = ±δ for |r| > δ", "loss",
            when(is_a("Huber"), lambda g: use_slope(g, lambda z, y: torch.where(
                (z - y).abs() <= g.loss.delta, z - y, torch.sign(z - y))))),
)  # fmt: skip
