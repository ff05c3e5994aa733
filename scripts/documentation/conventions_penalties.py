"""The penalties beside CS231n, torch and scikit-learn: most of the time a factor on the strength."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn import linear_model, svm
from torch import Tensor

from edunn import losses, models, penalties, updates
from edunn.descent import ByHand
from edunn.gradcheck.catalogue import Draw

from .counterparts import CLASSES, FEATURES, NONE, SAME, SAMPLES, Compared, Line, same, tensor, times

STRENGTH, BETA, RATE, STEPS = 0.3, 0.4, 0.05, 8
L2 = penalties.L2
SOLVED = 1e-5  # a solver that iterates stops short of the minimum; a wrong factor would be 2 or N away


def valued(penalty: penalties.Penalty, formula: Callable[[np.ndarray], float], factor: float = 1.0):
    """The notes' formula of a weight matrix W is factor · ours."""

    def compare(draw: Draw) -> Compared:
        weight = draw.normal(CLASSES, FEATURES)
        found = formula(weight.numpy())
        return same(found, penalty(weight)) if factor == 1 else times(found, factor, penalty(weight))

    return compare


def stationary(
    theirs: Callable[[Tensor, Tensor], object],
    ours: Callable[[], models.LinearModel],
    loss: losses.Loss,
    right: penalties.Penalty,
    wrong: penalties.Penalty,
) -> Callable[[Draw], Compared]:
    """Their minimum is ours: at their weights our gradient of the data, against minus that of the penalty."""

    def compare(draw: Draw) -> Compared:
        features, targets = draw.normal(SAMPLES, FEATURES), draw.targets(loss.labels, SAMPLES)
        fitted = theirs(features, targets)
        model = ours()
        with torch.no_grad():
            model.weight.copy_(tensor(fitted.coef_).view_as(model.weight))
            model.bias.copy_(tensor(fitted.intercept_).view_as(model.bias))
        parameters = dict(model.named_parameters())
        slopes = model.gradients(features, loss.gradient(model(features).detach(), targets))

        def pulled(penalty: penalties.Penalty) -> Tensor:
            found = {name: torch.zeros_like(p) for name, p in parameters.items()} | penalty.gradients(parameters)
            return torch.cat([-found["weight"].flatten(), -found["bias"].flatten()])

        downhill = torch.cat([slopes["weight"].flatten(), slopes["bias"].flatten()])
        return Compared(downhill, pulled(right), pulled(wrong), SOLVED)

    return compare


def regression() -> models.LinearModel:
    return models.LinearRegression(FEATURES, dtype=torch.float64)


def binary() -> models.LinearModel:
    return models.LogisticRegression(FEATURES, dtype=torch.float64)


def ridge(features: Tensor, targets: Tensor) -> object:
    return linear_model.Ridge(alpha=3.0).fit(features.numpy(), targets.numpy())


def logistic(features: Tensor, targets: Tensor) -> object:
    return linear_model.LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-12).fit(
        features.numpy(), targets.numpy()
    )


def svc(features: Tensor, targets: Tensor) -> object:
    return svm.LinearSVC(C=0.5, dual=False, tol=1e-12, max_iter=10_000).fit(features.numpy(), targets.numpy())


def elastic_net(draw: Draw, share: float, right: penalties.Penalty, wrong: penalties.Penalty) -> Compared:
    """Their minimum is ours: where a weight is not 0, the data's gradient is met by the penalty's."""
    features = draw.normal(SAMPLES, FEATURES)
    targets = features @ draw.normal(FEATURES) + 0.1 * draw.normal(SAMPLES)
    theirs = linear_model.ElasticNet(alpha=STRENGTH, l1_ratio=share, tol=1e-14, max_iter=100_000)
    theirs.fit(features.numpy(), targets.numpy())
    model = regression()
    with torch.no_grad():
        model.weight.copy_(tensor(theirs.coef_).view_as(model.weight))
        model.bias.copy_(tensor(theirs.intercept_).view_as(model.bias))
    slopes = model.gradients(features, losses.SquaredError(half=True).gradient(model(features).detach(), targets))[
        "weight"
    ]
    weight = model.weight.detach()
    away = weight != 0
    assert away.any()
    return Compared(slopes[away], -right.gradient(weight)[away], -wrong.gradient(weight)[away], SOLVED)


def one_pass(penalty: penalties.Penalty, wrong: penalties.Penalty) -> Callable[[Draw], Compared]:
    """One pass of SGDClassifier with alpha, against single-sample steps with the penalty."""

    def compare(draw: Draw) -> Compared:
        features, targets = draw.normal(SAMPLES, FEATURES), draw.targets("signs", SAMPLES)
        theirs = linear_model.SGDClassifier(
            loss="hinge", alpha=STRENGTH, learning_rate="constant", eta0=RATE, shuffle=False, max_iter=1, tol=None
        ).fit(features.numpy(), targets.numpy())

        def weights(by: penalties.Penalty) -> Tensor:
            model = binary()
            step = ByHand(model, losses.Hinge(), by, updates.GradientDescent())
            for i in range(SAMPLES):
                step.step(features[i : i + 1], targets[i : i + 1], RATE)
            return torch.cat([model.weight.detach().flatten(), model.bias.detach()])

        found = tensor(np.append(theirs.coef_.ravel(), theirs.intercept_))
        return Compared(found, weights(penalty), weights(wrong))

    return compare


def decayed(
    optimiser: Callable[..., torch.optim.Optimizer],
    rule: Callable[[], updates.Rule],
    right: penalties.Penalty,
    wrong: penalties.Penalty | None,
    bias: bool = False,
) -> Callable[[Draw], Compared]:
    """Full-batch steps of torch.optim with weight_decay, against ours with a penalty."""

    def compare(draw: Draw) -> Compared:
        features, targets = draw.normal(SAMPLES, FEATURES), draw.targets("classes", SAMPLES)
        start = draw.normal(CLASSES, FEATURES)
        loss = losses.CrossEntropy()

        def fresh() -> models.SoftmaxClassifier:
            model = models.SoftmaxClassifier(FEATURES, CLASSES, dtype=torch.float64)
            with torch.no_grad():
                model.weight.copy_(start)
                model.bias.fill_(0.5)
                model.bias[0] = -1.0
            return model

        theirs = fresh()
        groups = [{"params": [theirs.weight]}, {"params": [theirs.bias], **({} if bias else {"weight_decay": 0.0})}]
        torchs = optimiser(groups, lr=RATE, weight_decay=STRENGTH)
        for _ in range(STEPS):
            torchs.zero_grad()
            loss(theirs(features), targets).backward()
            torchs.step()

        def weights(by: penalties.Penalty) -> Tensor:
            model = fresh()
            step = ByHand(model, loss, by, rule())
            for _ in range(STEPS):
                step.step(features, targets, RATE)
            return torch.cat([model.weight.detach().flatten(), model.bias.detach()])

        found = torch.cat([theirs.weight.detach().flatten(), theirs.bias.detach()])
        return Compared(found, weights(right), None if wrong is None else weights(wrong))

    return compare


def decoupled(draw: Draw) -> Compared:
    """AdamW shrinks the weight by rate · w, and then takes Adam's step on the loss alone."""
    features, targets = draw.normal(SAMPLES, FEATURES), draw.targets("signs", SAMPLES)
    loss = losses.Logistic()
    theirs, shrunk, through = binary(), binary(), binary()
    torchs = torch.optim.AdamW([theirs.weight], lr=RATE, weight_decay=STRENGTH)
    first = ByHand(shrunk, loss, None, updates.Adam())
    second = ByHand(through, loss, penalties.L2(STRENGTH, half=True), updates.Adam())
    for model in (theirs, shrunk, through):
        model.bias.requires_grad_(False)
    for _ in range(STEPS):
        torchs.zero_grad()
        loss(theirs(features), targets).backward()
        torchs.step()
        with torch.no_grad():  # both changes start from the same weights: the shrinking does not move the gradient
            before = shrunk.weight.clone()
            first.step(features, targets, RATE)
            shrunk.weight -= RATE * STRENGTH * before
        second.step(features, targets, RATE)
        for model in (shrunk, through):
            model.bias.data.zero_()
    return Compared(theirs.weight.detach(), shrunk.weight.detach(), through.weight.detach())


def strong_duality(draw: Draw) -> Compared:
    """SVC solves the dual problem; its value is that of ½ ‖w‖² + C Σ hinge at the minimum, and nowhere else."""
    cost, features = 0.5, draw.normal(SAMPLES, FEATURES)
    targets = torch.sign(features.sum(-1) + draw.normal(SAMPLES))  # of pure noise the best weights are 0
    fitted = svm.SVC(kernel="linear", C=cost, tol=1e-10).fit(features.numpy(), targets.numpy())
    dual = np.abs(fitted.dual_coef_).sum() - 0.5 * np.sum(fitted.coef_**2)
    model = binary()
    with torch.no_grad():
        model.weight.copy_(tensor(fitted.coef_.copy()))
        model.bias.copy_(tensor(fitted.intercept_))
        hinge = losses.Hinge()(model(features), targets)
        right, wrong = (L2(strength)(model.weight) for strength in (1 / (2 * cost * SAMPLES), 1 / cost))
        return Compared(tensor(dual), cost * SAMPLES * (hinge + right), cost * SAMPLES * (hinge + wrong), SOLVED)


def renormed(draw: Draw) -> Compared:
    """torch divides by the norm plus 1e-7: hence the tolerance."""
    weight = draw.normal(CLASSES, FEATURES)
    ours = weight.clone()
    penalties.MaxNorm(0.8).constrain(ours, RATE)
    return Compared(torch.renorm(weight, 2, 0, 0.8), ours, tolerance=1e-6)


def clamped(draw: Draw) -> Compared:
    weight = draw.normal(CLASSES, FEATURES)
    ours = weight.clone()
    penalties.MaxNorm(0.8).constrain(ours, RATE)
    rows = [w * min(1.0, 0.8 / np.linalg.norm(w)) for w in weight.numpy()]
    return same(np.stack(rows), ours)


def shrunk(draw: Draw) -> Compared:
    """The proximal step is torch's softshrink by rate · λ."""
    weight = draw.normal(CLASSES, FEATURES)
    ours = weight.clone()
    penalties.L1(STRENGTH, proximal=True).constrain(ours, RATE)
    return same(torch.nn.functional.softshrink(weight, RATE * STRENGTH), ours)


def summed(draw: Draw) -> Compared:
    weight = draw.normal(CLASSES, FEATURES)
    theirs = STRENGTH * torch.nn.L1Loss(reduction="sum")(weight, torch.zeros_like(weight))
    return same(theirs, penalties.L1(STRENGTH)(weight))


def unfactored(compared: Compared) -> Compared:
    """Without the wrong one: the two are the same."""
    return Compared(compared.theirs, compared.converted, tolerance=compared.tolerance)


def notes_elastic(draw: Draw) -> Compared:
    weight = draw.normal(CLASSES, FEATURES)
    first, second = 0.3, 0.5
    theirs = np.sum(first * np.abs(weight.numpy()) + second * weight.numpy() ** 2)
    return Compared(
        tensor(theirs), penalties.ElasticNet(first, second / first)(weight), penalties.ElasticNet(first, second)(weight)
    )


HALF = L2(STRENGTH, half=True)

LINES: list[Line] = [
    Line(
        "l2",
        "CS231n",
        "`lam * np.sum(W * W)`",
        SAME,
        "The notes on linear classifiers. The bias is left alone there too.",
        valued(L2(STRENGTH), lambda w: STRENGTH * np.sum(w * w)),
    ),
    Line(
        "l2",
        "CS231n",
        "`0.5 * lam * np.sum(W * W)`",
        "½ ours",
        (
            "The notes on neural networks: ours with `half=True`, and then the gradient is `lam * W`. It is to be seen "
            "by the gradient which one is meant."
        ),
        valued(L2(STRENGTH), lambda w: 0.5 * STRENGTH * np.sum(w * w), 0.5),
    ),
    Line(
        "l2",
        "torch",
        "`SGD(weight_decay=w)`, the weights alone",
        "λ = w / 2",
        "It adds w · weight to the gradient: w = 2λ, or λ with `half=True`.",
        decayed(torch.optim.SGD, updates.GradientDescent, L2(STRENGTH / 2), L2(STRENGTH)),
    ),
    Line(
        "l2",
        "torch",
        "`SGD(model.parameters(), weight_decay=w)`",
        "λ = w / 2, `bias=True`",
        "One group of parameters decays the biases as well.",
        decayed(torch.optim.SGD, updates.GradientDescent, L2(STRENGTH / 2, bias=True), L2(STRENGTH / 2), bias=True),
    ),
    Line(
        "l2",
        "torch",
        "`Adam(weight_decay=w)`",
        "λ = w / 2",
        "Through the rule: the penalty's gradient is divided by √Ĝ as well.",
        decayed(torch.optim.Adam, updates.Adam, L2(STRENGTH / 2), L2(STRENGTH)),
    ),
    Line(
        "l2",
        "torch",
        "`AdamW(weight_decay=w)`",
        "another step",
        (
            "The weight shrinks by rate · w · weight beside Adam's step on the loss alone. Under plain gradient "
            "descent that would be L2; under Adam it is not."
        ),
        decoupled,
    ),
    Line(
        "l2",
        "scikit-learn",
        "`Ridge(alpha)`",
        "λ = alpha / N",
        "Σ (y − s)² + alpha Σ w², beside our mean.",
        stationary(ridge, regression, losses.SquaredError(), L2(3.0 / SAMPLES), L2(3.0)),
    ),
    Line(
        "l2",
        "scikit-learn",
        "`SGDClassifier(alpha)`",
        "λ = alpha / 2",
        "The mean loss + ½ alpha Σ w²: alpha is λ with `half=True`.",
        one_pass(HALF, L2(STRENGTH)),
    ),
    Line(
        "l2",
        "scikit-learn",
        "`LogisticRegression(C)`",
        "λ = 1 / (2CN)",
        "C Σ loss + ½ Σ w², divided by CN. A large C is a weak penalty.",
        stationary(logistic, binary, losses.Logistic(), L2(1 / (2 * 0.5 * SAMPLES)), L2(1 / 0.5)),
    ),
    Line(
        "l2",
        "scikit-learn",
        '`SVC(kernel="linear", C)`',
        "λ = 1 / (2CN)",
        "½ Σ w² + C Σ hinge: CN times ours. The bias is free, unlike in `LinearSVC`.",
        strong_duality,
    ),
    Line(
        "l2",
        "scikit-learn",
        "`LinearSVC(C)`",
        "λ = 1 / (2CN), `bias=True`",
        "Its default loss is the squared hinge, and it penalises the bias (as `intercept_scaling` says).",
        stationary(
            svc, binary, losses.Hinge(power=2), L2(1 / (2 * 0.5 * SAMPLES), bias=True), L2(1 / (2 * 0.5 * SAMPLES))
        ),
    ),
    Line(
        "l1",
        "CS231n",
        "`lam * np.sum(np.abs(W))`",
        SAME,
        "",
        valued(penalties.L1(STRENGTH), lambda w: STRENGTH * np.sum(np.abs(w))),
    ),
    Line(
        "l1", "torch", '`lam * L1Loss(reduction="sum")(weight, 0)`', SAME, "No optimiser has it as an option.", summed
    ),
    Line("l1", "torch", "`softshrink(weight, rate * lam)`", SAME, "The step of `proximal=True`.", shrunk),
    Line(
        "l1",
        "scikit-learn",
        "`Lasso(alpha)`",
        SAME,
        "Beside ½ the mean squared error: with `SquaredError(half=True)` λ = alpha; with `SquaredError()` λ = 2 alpha.",
        lambda draw: unfactored(elastic_net(draw, 1.0, penalties.L1(STRENGTH), penalties.L1(2 * STRENGTH))),
    ),
    Line(
        "elastic-net",
        "CS231n",
        "`np.sum(lam1 * np.abs(W) + lam2 * W**2)`",
        "λ = lam1, β = lam2 / lam1",
        "The notes; the lecture's slide has β on L2 inside one λ, as ours.",
        notes_elastic,
    ),
    Line("elastic-net", "torch", NONE),
    Line(
        "elastic-net",
        "scikit-learn",
        "`ElasticNet(alpha, l1_ratio=r)`",
        "λ = alpha · r, β = (1 − r) / (2r)",
        (
            'alpha (r Σ|w| + ½ (1 − r) Σ w²), beside ½ the mean squared error. `SGDClassifier(penalty="elasticnet")` '
            "has the same formula."
        ),
        lambda draw: elastic_net(
            draw,
            BETA,
            penalties.ElasticNet(STRENGTH * BETA, (1 - BETA) / (2 * BETA)),
            penalties.ElasticNet(STRENGTH, BETA),
        ),
    ),
    Line(
        "max-norm",
        "CS231n",
        "clamp ‖w‖ ≤ c after the update",
        SAME,
        "For each unit's weight vector, a row of ours.",
        clamped,
    ),
    Line(
        "max-norm",
        "torch",
        "`torch.renorm(weight, 2, 0, c)`",
        SAME,
        "Up to 1e-7: torch divides by the norm + 1e-7. Along another axis it is another constraint.",
        renormed,
    ),
    Line("max-norm", "scikit-learn", NONE),
]
