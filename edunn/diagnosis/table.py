"""The table of mistakes. A new mistake is one line: its name, the line of the formula that it concerns, and the gradient
that it would give; None where it does not apply.

The order is that of likelihood: where several explain a gradient, the first is named first.

    stage "whole"    the transform gives the gradient itself
          "data"     the data term's share of it; the penalty's is right
          "loss"     ∂L/∂scores; the rest of the chain is right
          "penalty"  the penalty's share; the data term's is right
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .scene import Scene, zeros_like_right

Transform = Callable[[Scene], Tensor | None]


@dataclass(frozen=True)
class Mistake:
    key: str
    says: str
    formula: str
    stage: str
    gives: Transform


def when(condition: Callable[[Scene], bool], gives: Callable[[Scene], Tensor | None]) -> Transform:
    """Only where it applies."""
    return lambda scene: gives(scene) if condition(scene) else None


def of(*types: str) -> Callable[[Scene], bool]:
    """Whether the loss, activation or penalty is of one of these classes."""
    return lambda scene: scene.of_type(*types)


def layer(name: str, *parameters: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.layer == name and (not parameters or scene.parameter in parameters)


def times(factor: Callable[[Scene], float]) -> Transform:
    """The data term's share, times a factor."""
    return lambda scene: factor(scene) * scene.data if factor(scene) != 1 else None


def losing(scene: Scene, rows: slice, divisor: int) -> Tensor | None:
    """∂L/∂scores with some samples left out, and the sum divided by `divisor`."""
    if scene.upstream is None or scene.kind not in ("loss", "objective") or scene.samples < 2:
        return None
    left = torch.zeros_like(scene.upstream)
    left[rows] = scene.upstream[rows]
    return left * scene.samples / divisor


# ---- softmax and cross-entropy: ∂ℓ/∂s_j = p_j − 1(j = y) ------------------------------------------------------------


def softmax_with(scene: Scene, ones: Callable[[Tensor], Tensor]) -> Tensor:
    return scene.per_sample * (torch.softmax(scene.scores, -1) + ones(scene.one_hot))


def wrong_softmax(scene: Scene, rows: Tensor) -> Tensor:
    return scene.per_sample * (rows - scene.one_hot)


# ---- hinges: ∂ℓ/∂s_j = v_j for j ≠ y, and −Σ v_j at y ----------------------------------------------------------------


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


# ---- activations: ∂L/∂z = u · f'(z) ---------------------------------------------------------------------------------


def elementwise(scene: Scene) -> bool:
    return scene.kind == "activation" and not scene.of_type("Softmax", "Identity")


def up(scene: Scene) -> Tensor:
    assert scene.upstream is not None
    return scene.upstream


def through_squared(scene: Scene) -> bool:
    return scene.of_type("SquaredError") and not type(scene.loss.through).__name__ == "Identity"


# ---- layers ---------------------------------------------------------------------------------------------------------


def over_outputs(scene: Scene) -> Tensor | None:
    """U as (samples, outputs)."""
    if scene.upstream is None or scene.upstream.ndim != 2:
        return None
    return scene.upstream


def bias_of(gives: Callable[[Tensor], Tensor]) -> Transform:
    def transform(scene: Scene) -> Tensor | None:
        upstream = over_outputs(scene)
        if scene.parameter != "bias" or upstream is None or scene.kind not in ("layer", "objective"):
            return None
        found = gives(upstream)
        return (
            found
            if scene.penalised is None
            else found + scene.penalised.expand_as(found)
            if (scene.penalised.shape == found.shape)
            else found
        )

    return transform


def transposed(scene: Scene) -> Tensor | None:
    return scene.right.mT if scene.right.ndim == 2 and scene.parameter in ("weight", "features") else None


def kept(scene: Scene) -> Tensor:
    """Dropout's mask, as 0 and 1."""
    return (scene.right != 0).to(scene.right.dtype)


def redrawn(scene: Scene) -> Tensor | None:
    """Some other mask, read off the gradient that came: where it is neither kept nor dropped, this is not it."""
    if scene.got.shape != scene.right.shape:
        return None
    mask = (scene.got * scene.points["keep"] / up(scene)).round()
    mixed = 0 < float(mask.mean()) < 1 and bool(((mask == 0) | (mask == 1)).all())
    return up(scene) * mask / scene.points["keep"] if mixed and not torch.equal(mask, kept(scene)) else None


def batch_norm_paths(scene: Scene, mean: bool, variance: bool) -> Tensor:
    """γ/√(σ² + ε) · (u − mean(u) − x̂ mean(u x̂)), with or without its two last terms."""
    x, scale, epsilon = scene.points["features"], scene.points["scale"], scene.points["epsilon"]
    centred = x - x.mean(0)
    deviation = torch.sqrt((centred**2).mean(0) + epsilon)
    normal = centred / deviation
    u = up(scene) * scale
    found = u - (u.mean(0) if mean else 0) - (normal * (u * normal).mean(0) if variance else 0)
    return found / deviation


# ---- penalties ------------------------------------------------------------------------------------------------------


def penalty_gradient(scene: Scene, factor: float) -> Tensor | None:
    return None if scene.penalised is None or not bool(scene.penalised.any()) else factor * scene.penalised


def strength(scene: Scene) -> float:
    return float(scene.penalty.strength)


def on_bias(scene: Scene) -> Tensor | None:
    if scene.parameter != "bias" or scene.penalty is None or scene.penalty.bias or "bias" not in scene.points:
        return None
    return scene.penalty_scale * scene.penalty.gradient(scene.points["bias"])


def weight_only(scene: Scene) -> bool:
    return scene.parameter == "weight" and scene.penalty is not None


def penal(condition: Callable[[Scene], bool], gives: Callable[[Scene, Tensor, float], Tensor]) -> Transform:
    """Of a penalty on the weight w with strength λ."""
    return when(
        lambda scene: weight_only(scene) and condition(scene),
        lambda scene: scene.penalty_scale * gives(scene, scene.points["weight"], strength(scene)),
    )


ce, bce, sq = of("CrossEntropy"), of("BinaryCrossEntropy"), of("SquaredError")
mch, hin, log = of("MulticlassHinge"), of("Hinge"), of("Logistic")

MISTAKES: tuple[Mistake, ...] = (
    Mistake("zero", "the gradient is left at zero", "∂L/∂θ", "whole",
            when(lambda s: s.kind != "penalty" and not bool(s.got.any()), zeros_like_right)),
    Mistake("sign", "the sign is wrong", "∂L/∂θ: the slope uphill; descent subtracts it", "whole", lambda s: -s.right),
    Mistake("penalty forgotten", "the penalty is forgotten", "∂(data + λR)/∂w = ∂data/∂w + λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, 0.0)),
    Mistake("penalty on the bias", "the penalty reaches the bias too", "R(W): weights alone, a bias only shifts",
            "penalty", on_bias),
    Mistake("L2 factor 2 missing", "the factor 2 of L2 is missing (or the value has a ½ too few)", "d(λ w²)/dw = 2λ w",
            "penalty", when(of("L2"), lambda s: penalty_gradient(s, 0.5))),
    Mistake("L2 factor 2 too many", "a factor 2 of L2 too many: the value has a ½", "d(½ λ w²)/dw = λ w", "penalty",
            when(of("L2"), lambda s: penalty_gradient(s, 2.0))),
    Mistake("penalty sign", "the penalty's sign is wrong", "+ λ ∂R/∂w", "penalty",
            when(lambda s: s.kind != "penalty", lambda s: penalty_gradient(s, -1.0))),
    Mistake("strength forgotten", "the penalty is not scaled by its strength λ", "λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, 1 / strength(s)) if s.penalty is not None else None),
    Mistake("strength twice", "the penalty is scaled by its strength λ twice", "λ ∂R/∂w", "penalty",
            lambda s: penalty_gradient(s, strength(s)) if s.penalty is not None else None),
    Mistake("penalty divided by N", "the penalty is divided by N as well", "1/N Σ_i ℓ_i + λR: no 1/N on R", "penalty",
            when(lambda s: s.kind == "objective", lambda s: penalty_gradient(s, 1 / s.samples))),
    Mistake("penalty multiplied by N", "the penalty is added once a sample", "1/N Σ_i ℓ_i + λR", "penalty",
            when(lambda s: s.kind == "objective", lambda s: penalty_gradient(s, s.samples))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)", "penalty",
            penal(of("L1"), lambda s, w, k: k * torch.ones_like(w))),
    Mistake("L1 sign forgotten", "L1's derivative is the sign of w, not w or a constant", "d|w|/dw = sign(w)", "penalty",
            penal(of("L1"), lambda s, w, k: k * w)),
    Mistake("elastic net: L1 part forgotten", "the |w| part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", penal(of("ElasticNet"), lambda s, w, k: k * 2 * s.penalty.beta * w)),
    Mistake("elastic net: L2 part forgotten", "the w² part of the elastic net is forgotten", "λ(2β w + sign(w))",
            "penalty", penal(of("ElasticNet"), lambda s, w, k: k * torch.sign(w))),
    Mistake("elastic net: beta forgotten", "β is forgotten in the elastic net", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * (2 * w + torch.sign(w)))),
    Mistake("elastic net: beta on both", "β belongs to w² alone", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * s.penalty.beta * (2 * w + torch.sign(w)))),
    Mistake("elastic net: factor 2 missing", "the factor 2 of w² is missing", "λ(2β w + sign(w))", "penalty",
            penal(of("ElasticNet"), lambda s, w, k: k * (s.penalty.beta * w + torch.sign(w)))),
    # factors of the data term: losses and objectives alone have an N in them
    Mistake("1/N forgotten", "1/N is forgotten: the gradient of a mean, summed", "L = 1/N Σ_i ℓ_i", "data",
            times(lambda s: s.samples)),
    Mistake("1/N twice", "1/N is there twice", "L = 1/N Σ_i ℓ_i", "data", times(lambda s: 1 / s.samples)),
    Mistake("factor 2 missing", "a factor 2 is missing (or a ½ too many)", "d r²/dr = 2 r", "data", times(lambda s: 0.5)),
    Mistake("factor 2 too many", "a factor 2 too many (or a ½ missing)", "d ½ r²/dr = r", "data", times(lambda s: 2.0)),
    Mistake("sign", "the data term's sign is wrong", "∂data/∂w + λ ∂R/∂w", "data",
            when(lambda s: s.penalised is not None and bool(s.penalised.any()), lambda s: -s.data)),
    Mistake("mean over classes", "divided by the number of classes: the sum over classes is no mean",
            "Σ_j, not 1/C Σ_j", "data", times(lambda s: 1 / s.classes)),
    Mistake("sum over classes", "multiplied by the number of classes: the value is a mean over them",
            "1/C Σ_j", "data", times(lambda s: float(s.classes))),
    Mistake("mean over the other classes", "divided by C − 1", "Σ_{j ≠ y}, not 1/(C−1) Σ_{j ≠ y}", "data",
            times(lambda s: 1 / (s.classes - 1) if s.classes > 2 else 1.0)),
    Mistake("sum over the other classes", "multiplied by C − 1", "1/(C−1) Σ_{j ≠ y}", "data",
            times(lambda s: s.classes - 1.0 if s.classes > 2 else 1.0)),
    Mistake("mean over features", "divided by the number of features in place of samples", "1/N, N the samples", "data",
            times(lambda s: s.samples / s.features if s.features > 1 else 1.0)),
    Mistake("divided by N - 1", "divided by N − 1 in place of N", "1/N Σ_i ℓ_i", "data",
            times(lambda s: s.samples / (s.samples - 1) if s.samples > 2 else 1.0)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(0, -1), s.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(0, -1), s.samples - 1)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(1, None), s.samples)),
    Mistake("a sample dropped", "one sample is left out", "Σ_i over all N samples", "loss",
            lambda s: losing(s, slice(1, None), s.samples - 1)),
    Mistake("transposed", "the gradient is transposed", "∂L/∂W = Uᵀ x, of W's own shape", "whole", transposed),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", bias_of(lambda u: u.sum())),
    Mistake("bias summed over everything", "the bias gradient is summed over samples and outputs",
            "∂L/∂b = Σ_i u_i: one number an output", "whole", bias_of(lambda u: u.sum().expand(u.shape[-1]))),
    Mistake("bias over the wrong axis", "the bias gradient is summed over outputs in place of samples",
            "∂L/∂b = Σ_i u_i: over samples", "whole", bias_of(lambda u: u.sum(-1))),
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
            when(sq, lambda s: signed(s, lambda z, y: 2 * s.loss.factor * (z - y).abs()) if not s.loss.event else None)),
    Mistake("sign in place of the residual", "the sign of the residual stands where the residual should", "2(s − y)",
            "loss", when(sq, lambda s: signed(s, lambda z, y: 2 * torch.sign(z - y)) if not s.loss.event else None)),
    Mistake("activation's derivative forgotten", "f'(s) is forgotten", "2(f(s) − y) f'(s)", "loss",
            when(through_squared, lambda s: s.per_sample * 2 * s.loss.factor * s.loss.residual(
                s.scores, s.points["targets"]))),
    Mistake("activation's derivative twice", "f'(s) is applied twice", "2(f(s) − y) f'(s)", "loss",
            when(through_squared, lambda s: s.loss.through.input_gradient(s.scores, up(s)) if s.chain is None else None)),
    Mistake("residual in place of its sign", "the residual stands where its sign should", "∂|r|/∂r = sign(r)", "loss",
            when(of("AbsoluteError"), lambda s: signed(s, lambda z, y: z - y))),
    Mistake("clip forgotten", "the residual is not clipped to ±δ", "∂ℓ/∂s = r clipped to [−δ, δ]", "loss",
            when(of("Huber"), lambda s: signed(s, lambda z, y: z - y))),
    Mistake("delta forgotten", "beyond δ the slope is ±δ, not ±1", "∂ℓ/∂s = ±δ for |r| > δ", "loss",
            when(of("Huber"), lambda s: signed(s, lambda z, y: torch.where(
                (z - y).abs() <= s.loss.delta, z - y, torch.sign(z - y))))),
    # activations
    Mistake("activation's derivative forgotten", "f'(z) is forgotten: what arrives is passed on as it is", "u · f'(z)",
            "whole", when(lambda s: s.kind == "activation" and not s.of_type("Identity"), up)),
    Mistake("upstream forgotten", "what arrives from above is forgotten", "u · f'(z)", "whole",
            when(elementwise, lambda s: s.activation.derivative(s.scores))),
    Mistake("derivative of the output", "f' is taken of the output in place of the score", "f'(z), not f'(f(z))",
            "whole", when(elementwise, lambda s: up(s) * s.activation.derivative(s.activation(s.scores)))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "σ(1 − σ), not z(1 − z)",
            "whole", when(of("Sigmoid"), lambda s: up(s) * s.scores * (1 - s.scores))),
    Mistake("derivative of the score", "the formula for the output is used on the score", "1 − tanh², not 1 − z²",
            "whole", when(of("Tanh"), lambda s: up(s) * (1 - s.scores**2))),
    Mistake("activation's derivative twice", "f'(z) is applied twice", "u · f'(z)", "whole",
            when(elementwise, lambda s: up(s) * s.activation.derivative(s.scores) ** 2)),
    Mistake("value in place of the derivative", "f(z) stands where f'(z) should", "u · f'(z)", "whole",
            when(elementwise, lambda s: up(s) * s.activation(s.scores))),
    Mistake("square forgotten", "tanh stands where tanh² should", "1 − tanh²(z)", "whole",
            when(of("Tanh"), lambda s: up(s) * (1 - s.scores.tanh()))),
    Mistake("sigmoid: half of the derivative", "one of σ and 1 − σ is missing", "σ(1 − σ)", "whole",
            when(of("Sigmoid"), lambda s: up(s) * (1 - s.scores.sigmoid()))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(of("ReLU"), lambda s: up(s) * (s.scores <= 0))),
    Mistake("mask inverted", "the mask is the wrong way round", "1(z > 0)", "whole",
            when(of("LeakyReLU"), lambda s: up(s) * torch.where(s.scores > 0, s.activation.slope, 1.0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(of("ReLU"), lambda s: up(s) * (up(s) > 0))),
    Mistake("mask of the wrong array", "the mask is taken of what arrives, not of the score", "1(z > 0), not 1(u > 0)",
            "whole", when(of("LeakyReLU"), lambda s: up(s) * torch.where(up(s) > 0, 1.0, s.activation.slope))),
    Mistake("slope forgotten", "the slope below 0 is forgotten", "f'(z) = slope for z ≤ 0", "whole",
            when(of("LeakyReLU"), lambda s: up(s) * (s.scores > 0))),
    Mistake("softmax Jacobian as a diagonal", "only the diagonal of the Jacobian is used", "∂p_j/∂z_k = p_j(δ_jk − p_k)",
            "whole", when(of("Softmax"), lambda s: (p := s.scores.softmax(-1)) * (1 - p) * up(s))),
    Mistake("softmax: second term forgotten", "the sum over the other outputs is forgotten", "p_k(u_k − Σ_j u_j p_j)",
            "whole", when(of("Softmax"), lambda s: s.scores.softmax(-1) * up(s))),
    Mistake("softmax: sum over the samples", "the sum runs over the samples", "Σ_j over classes", "whole",
            when(of("Softmax"), lambda s: (p := s.scores.softmax(-1)) * (up(s) - (up(s) * p).sum(0)))),
    # layers
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: up(s) / s.points["keep"])),
    Mistake("mask forgotten", "the mask is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), up)),
    Mistake("dropout's scale forgotten", "the 1/keep is forgotten in the backward pass", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: up(s) * kept(s))),
    Mistake("dropout's scale twice", "1/keep is applied twice", "u · mask / keep", "whole",
            when(layer("dropout"), lambda s: s.right / s.points["keep"])),
    Mistake("mask redrawn", "the backward pass draws a mask of its own", "the same mask as forward", "whole",
            when(layer("dropout"), redrawn)),
    Mistake("mean and variance paths forgotten", "the mean and the variance are taken for constants",
            "μ and σ² depend on every x", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, False, False))),
    Mistake("mean path forgotten", "the mean is taken for a constant", "− mean(u)", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, False, True))),
    Mistake("variance path forgotten", "the variance is taken for a constant", "− x̂ mean(u x̂)", "whole",
            when(layer("batch-norm", "features"), lambda s: batch_norm_paths(s, True, False))),
    Mistake("scale forgotten", "γ is forgotten on the way down", "γ/√(σ² + ε) · …", "whole",
            when(layer("batch-norm", "features"), lambda s: s.right / s.points["scale"])),
    Mistake("not normalised", "γ's gradient takes x where x̂ should stand", "∂L/∂γ = Σ_i u_i x̂_i", "whole",
            when(layer("batch-norm", "scale"), lambda s: (up(s) * s.points["features"]).sum(0))),
)  # fmt: skip
