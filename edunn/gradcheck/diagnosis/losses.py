"""Mistakes in the derivative of a loss in its scores."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import Mistake, of, up, when
from .scene import Scene


def softmax_with(scene: Scene, ones: Callable[[Tensor], Tensor]) -> Tensor:
    return scene.per_sample * (torch.softmax(scene.scores, -1) + ones(scene.one_hot))


def wrong_softmax(scene: Scene, rows: Tensor) -> Tensor:
    return scene.per_sample * (rows - scene.one_hot)


def pulls(
    scene: Scene, violated: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """The multiclass hinge's gradient with another indicator or another slope."""
    loss, true = scene.loss, scene.one_hot
    shortfall = loss.shortfall(scene.scores, scene.points["targets"])
    slopes = torch.ones_like(shortfall) if loss.power == 1 else 2 * shortfall
    if slope is not None:
        slopes = slope(shortfall)
    v = violated(shortfall).to(shortfall.dtype) * slopes * (1 - true) / loss.divisor(scene.scores)
    return scene.per_sample * (v - true * v.sum(-1, keepdim=True))


def true_row(scene: Scene, at_true: Callable[[Tensor], Tensor]) -> Tensor:
    """The multiclass hinge's gradient with another entry at the true class; takes the other entries, −v."""
    true = scene.one_hot
    pull = scene.loss.pull(scene.scores, scene.points["targets"])
    return scene.per_sample * (pull + true * at_true(pull))


def signed(scene: Scene, slope: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Losses of the margin: 1/N · slope(s, y)."""
    return scene.per_sample * slope(scene.scores, scene.points["targets"])


def hinge_slope(scene: Scene, violated: Callable[[Tensor], Tensor]) -> Tensor:
    s, y = scene.scores, scene.points["targets"]
    shortfall = scene.loss.shortfall(s, y)
    slope = torch.ones_like(s) if scene.loss.power == 1 else 2 * shortfall
    return scene.per_sample * -y * violated(shortfall).to(s.dtype) * slope


def through_squared(scene: Scene) -> bool:
    return scene.of_type("SquaredError") and type(scene.loss.through).__name__ != "Identity"


ce, bce, sq = of("CrossEntropy"), of("BinaryCrossEntropy"), of("SquaredError")
mch, hin, log = of("MulticlassHinge"), of("Hinge"), of("Logistic")

MISTAKES: tuple[Mistake, ...] = (
    # softmax and cross-entropy
    Mistake("true class not subtracted", "the 1 of the true class is not subtracted", "p_j − 1(j = y)", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: 0 * ones))),
    Mistake("true class subtracted twice", "the 1 of the true class is subtracted twice", "p_j − 1(j = y)", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: -2 * ones))),
    Mistake("true class added", "the 1 of the true class is added", "p_j − 1(j = y)", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: ones))),
    Mistake("off by one class", "the 1 is subtracted one class beside the true one", "p_j − 1(j = y)", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: -ones.roll(1, -1)))),
    Mistake("off by one class", "the 1 is subtracted one class beside the true one", "p_j − 1(j = y)", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: -ones.roll(-1, -1)))),
    Mistake("softmax forgotten", "the scores stand where the probabilities should", "p = softmax(s)", "loss",
            when(ce, lambda s: wrong_softmax(s, s.scores))),
    Mistake("softmax not normalised", "e^s is not divided by its sum", "p_j = e^{s_j} / Σ_k e^{s_k}", "loss",
            when(ce, lambda s: wrong_softmax(s, s.scores.exp()))),
    Mistake("softmax not normalised", "e^s is not divided by its sum", "p_j = e^{s_j} / Σ_k e^{s_k}", "loss",
            when(ce, lambda s: wrong_softmax(s, (s.scores - s.scores.amax(-1, keepdim=True)).exp()))),
    Mistake("softmax over the samples", "the softmax runs over the samples", "Σ_k over classes, along each row", "loss",
            when(ce, lambda s: wrong_softmax(s, torch.softmax(s.scores, 0)))),
    Mistake("softmax over everything", "the softmax runs over the whole batch", "Σ_k over classes, along each row",
            "loss", when(ce, lambda s: wrong_softmax(s, torch.softmax(s.scores.flatten(), 0).reshape(s.scores.shape)))),
    Mistake("only the true class", "only the true class's score has a gradient", "p_j − 1(j = y) for every j", "loss",
            when(ce, lambda s: softmax_with(s, lambda ones: -ones) * s.one_hot)),
    Mistake("derivative in the probabilities", "the chain rule through the link is missing: this is ∂ℓ/∂p, not ∂ℓ/∂s",
            "∂ℓ/∂s = ∂ℓ/∂p · ∂p/∂s", "loss",
            when(ce, lambda s: -s.per_sample * s.one_hot / torch.softmax(s.scores, -1))),
    # cross-entropy of one score
    Mistake("derivative in the probabilities", "the chain rule through the link is missing: this is ∂ℓ/∂p, not ∂ℓ/∂s",
            "∂ℓ/∂s = ∂ℓ/∂p · σ'(s)", "loss",
            when(bce, lambda s: signed(s, lambda z, y: (z.sigmoid() - y) / (z.sigmoid() * (-z).sigmoid())))),
    Mistake("activation's derivative twice", "σ'(s) is applied once more: it has cancelled already", "σ(s) − y", "loss",
            when(bce, lambda s: signed(s, lambda z, y: (z.sigmoid() - y) * z.sigmoid() * (-z).sigmoid()))),
    Mistake("sigmoid forgotten", "the score stands where the probability should", "σ(s) − y", "loss",
            when(bce, lambda s: signed(s, lambda z, y: z - y))),
    Mistake("target not subtracted", "the target is not subtracted", "∂ℓ/∂s = (output − y) …", "loss",
            when(bce, lambda s: signed(s, lambda z, y: z.sigmoid()))),
    Mistake("sigmoid of the sigmoid", "the sigmoid is taken twice", "σ(s) − y", "loss",
            when(bce, lambda s: signed(s, lambda z, y: z.sigmoid().sigmoid() - y))),
    Mistake("sigmoid of the wrong sign", "σ(y s) stands where σ(−y s) should", "−y σ(−y s)", "loss",
            when(log, lambda s: signed(s, lambda z, y: -y * (y * z).sigmoid()))),
    Mistake("label forgotten", "the factor y in front is forgotten", "∂ℓ/∂s = −y · …", "loss",
            when(log, lambda s: signed(s, lambda z, y: -(-y * z).sigmoid()))),
    # hinges of one score
    Mistake("indicator forgotten", "every sample pulls: the indicator of a missed margin is forgotten",
            "−y · 1(y s < Δ)", "loss", when(hin, lambda s: hinge_slope(s, lambda short: short == short))),
    Mistake("indicator inverted", "the indicator is the wrong way round", "1(y s < Δ)", "loss",
            when(hin, lambda s: hinge_slope(s, lambda short: short <= 0))),
    Mistake("margin missing", "the margin Δ is missing in the indicator", "1(Δ − y s > 0)", "loss",
            when(hin, lambda s: hinge_slope(s, lambda short: short - s.loss.margin > 0))),
    Mistake("margin missing", "the margin Δ is missing", "2 max(0, Δ − y s)", "loss",
            when(lambda s: hin(s) and s.loss.power == 2, lambda s: signed(
                s, lambda z, y: -y * 2 * (-y * z).clamp(min=0)))),
    Mistake("label forgotten", "the factor y in front is forgotten", "∂ℓ/∂s = −y · …", "loss",
            when(hin, lambda s: hinge_slope(s, lambda short: short > 0) * s.points["targets"])),
    Mistake("power forgotten", "the power's derivative is forgotten: the squared hinge has 2 max(0, ·) in front",
            "d max(0, m)²/dm = 2 max(0, m)", "loss",
            when(lambda s: hin(s) and s.loss.power == 2, lambda s: signed(
                s, lambda z, y: -y * (s.loss.shortfall(z, y) > 0)))),
    # multiclass hinges
    Mistake("indicator forgotten", "every class pulls: the indicator of a missed margin is forgotten",
            "1(s_j − s_y + Δ > 0)", "loss", when(mch, lambda s: pulls(s, lambda short: short == short))),
    Mistake("indicator inverted", "the indicator is the wrong way round", "1(s_j − s_y + Δ > 0)", "loss",
            when(mch, lambda s: pulls(s, lambda short: short <= 0))),
    Mistake("margin missing", "the margin Δ is missing in the indicator", "1(s_j − s_y + Δ > 0)", "loss",
            when(mch, lambda s: pulls(s, lambda short: short - s.loss.margin > 0))),
    Mistake("margin missing", "the margin Δ is missing", "2 max(0, s_j − s_y + Δ)", "loss",
            when(lambda s: mch(s) and s.loss.power == 2, lambda s: pulls(
                s, lambda short: short - s.loss.margin > 0, lambda short: 2 * (short - s.loss.margin)))),
    Mistake("power forgotten", "the power's derivative is forgotten: the squared hinge has 2 max(0, ·) in front",
            "d max(0, m)²/dm = 2 max(0, m)", "loss",
            when(lambda s: mch(s) and s.loss.power == 2, lambda s: pulls(
                s, lambda short: short > 0, torch.ones_like))),
    Mistake("true class's row forgotten", "the true class's own entry is forgotten", "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss",
            when(mch, lambda s: true_row(s, lambda pull: 0 * pull))),
    Mistake("true class counted once", "the true class is pulled once, not once for each violation",
            "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss", when(mch, lambda s: true_row(s, lambda pull: -torch.ones_like(pull)))),
    Mistake("true class counted once", "the true class is pulled once, not once for each violation",
            "∂ℓ/∂s_y = −Σ_{j≠y} v_j", "loss", when(mch, lambda s: true_row(
                s, lambda pull: -(pull.sum(-1, keepdim=True) > 0).to(pull.dtype)))),
    Mistake("true class's own term kept", "the term j = y is counted too", "Σ over j ≠ y", "loss",
            when(mch, lambda s: true_row(s, lambda pull: s.loss.power * s.loss.margin ** (s.loss.power - 1)
                                         - pull.sum(-1, keepdim=True)))),
    Mistake("true class's own term kept", "the term j = y is counted too", "Σ over j ≠ y", "loss",
            when(mch, lambda s: true_row(s, lambda pull: -s.loss.power * s.loss.margin ** (s.loss.power - 1)
                                         - pull.sum(-1, keepdim=True)))),
    # real targets
    Mistake("target not subtracted", "the target is not subtracted", "∂ℓ/∂s = 2(s − y)", "loss",
            when(sq, lambda s: s.loss.pointwise_gradient(s.scores, 0.0 * s.points["targets"]) * s.per_sample
                 if s.points["targets"].dtype.is_floating_point else None)),
    Mistake("residual without its sign", "|s − y| stands where s − y should", "2(s − y)", "loss",
            when(sq, lambda s: (
                None if s.loss.class_axis else signed(s, lambda z, y: 2 * s.loss.factor * (z - y).abs())))),
    Mistake("sign in place of the residual", "the sign of the residual stands where the residual should", "2(s − y)",
            "loss", when(sq, lambda s: None if s.loss.class_axis else signed(s, lambda z, y: 2 * torch.sign(z - y)))),
    Mistake("activation's derivative forgotten", "f'(s) is forgotten", "2(f(s) − y) f'(s)", "loss",
            when(through_squared, lambda s: s.per_sample * 2 * s.loss.factor * s.loss.residual(
                s.scores, s.points["targets"]))),
    Mistake("activation's derivative twice", "f'(s) is applied twice", "2(f(s) − y) f'(s)", "loss",
            when(through_squared, lambda s: s.loss.through.input_gradient(s.scores, up(s)) if not s.chain else None)),
    Mistake("residual in place of its sign", "the residual stands where its sign should", "∂|r|/∂r = sign(r)", "loss",
            when(of("AbsoluteError"), lambda s: signed(s, lambda z, y: z - y))),
    Mistake("clip forgotten", "the residual is not clipped to ±δ", "∂ℓ/∂s = r clipped to [−δ, δ]", "loss",
            when(of("Huber"), lambda s: signed(s, lambda z, y: z - y))),
    Mistake("delta forgotten", "beyond δ the slope is ±δ, not ±1", "∂ℓ/∂s = ±δ for |r| > δ", "loss",
            when(of("Huber"), lambda s: signed(s, lambda z, y: torch.where(
                (z - y).abs() <= s.loss.delta, z - y, torch.sign(z - y))))),
)  # fmt: skip
