"""The update rules and schedules beside CS231n, torch and scikit-learn: paths from one start on one quadratic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from torch import Tensor, nn

from edunn import updates
from edunn.gradcheck.catalogue import Draw

from .counterparts import FEATURES, NONE, SAME, Compared, Line, same, tensor

MU, RHO, BETA1, BETA2, RATE, STEPS, EPOCHS = 0.8, 0.9, 0.7, 0.95, 0.05, 12, 10
DECAY = 0.3
EPSILON = 0.1  # large, so that its place shows

Slope = Callable[[np.ndarray], np.ndarray]
Path = Callable[[Slope, np.ndarray, list[float]], Iterator[np.ndarray]]


def quadratic(draw: Draw) -> tuple[Slope, np.ndarray]:
    """The gradient of a convex quadratic, and a start."""
    root, shift, start = (draw.normal(*shape).numpy() for shape in ((FEATURES, FEATURES), (FEATURES,), (FEATURES,)))
    return lambda x: root.T @ (root @ x) - shift, start


CONSTANT = [RATE] * STEPS
FALLING = [RATE / (1 + k) for k in range(STEPS)]


def walked(rule: updates.Rule, slope: Slope, start: np.ndarray, rates: list[float], before=None) -> Tensor:
    """Our rule's places, (steps, features); `before(rule, step, gradient, state)` may change it before each step."""
    place = {"x": tensor(start).clone()}
    found = []
    for k, rate in enumerate(rates):
        gradient = tensor(slope(place["x"].numpy()))
        if before is not None:
            before(rule, k, gradient, rule.state.get("x"))
        rule.step(place, {"x": gradient}, rate)
        found.append(place["x"].clone())
    return torch.stack(found)


def by_notes(path: Path, rule: Callable[[], updates.Rule], rates: list[float] = CONSTANT, before=None):
    """The notes' lines of numpy against ours; with `before`, ours changed by it, and unchanged as what is not the "
    "same."""

    def compare(draw: Draw) -> Compared:
        slope, start = quadratic(draw)
        theirs = tensor(np.stack(list(path(slope, start.copy(), rates))))
        converted = walked(rule(), slope, start, rates, before)
        return Compared(theirs, converted, None if before is None else walked(rule(), slope, start, rates))

    return compare


def by_torch(optimiser: Callable[..., torch.optim.Optimizer], rule: Callable[[], updates.Rule], before=None):
    """torch.optim's places against ours."""

    def path(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
        place = nn.Parameter(tensor(x))
        step = optimiser([place], lr=rates[0])
        for rate in rates:
            step.param_groups[0]["lr"] = rate
            place.grad = tensor(slope(place.detach().numpy()))
            step.step()
            yield place.detach().numpy().copy()

    return by_notes(path, rule, before=before)


def by_sklearn(optimiser: Callable[..., object], rule: Callable[[], updates.Rule], before=None):
    """The optimisers of scikit-learn's MLPClassifier against ours."""

    def path(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
        step = optimiser([x], learning_rate_init=rates[0])
        for _ in rates:
            step.update_params([x], [slope(x)])
            yield x.copy()

    return by_notes(path, rule, before=before)


def vanilla(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
    for rate in rates:
        x = x - rate * slope(x)
        yield x


def momentum(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
    v = np.zeros_like(x)
    for rate in rates:
        v = MU * v - rate * slope(x)
        x = x + v
        yield x


def nesterov(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
    v = np.zeros_like(x)
    for rate in rates:
        previous = v
        v = MU * v - rate * slope(x)
        x = x - MU * previous + (1 + MU) * v
        yield x


def looking_ahead(slope: Slope, x: np.ndarray, rates: list[float]) -> Iterator[np.ndarray]:
    """The first form of the notes; what is compared is x + mu * v, the place ahead."""
    v = np.zeros_like(x)
    for rate in rates:
        v = MU * v - rate * slope(x + MU * v)
        x = x + v
        yield x + MU * v


def adagrad(slope: Slope, x: np.ndarray, rates: list[float], inside: bool = False) -> Iterator[np.ndarray]:
    cache = np.zeros_like(x)
    for rate in rates:
        dx = slope(x)
        cache = cache + dx**2
        x = x - rate * dx / (np.sqrt(cache + EPSILON) if inside else np.sqrt(cache) + EPSILON)
        yield x


def rmsprop(slope: Slope, x: np.ndarray, rates: list[float], inside: bool = False) -> Iterator[np.ndarray]:
    cache = np.zeros_like(x)
    for rate in rates:
        dx = slope(x)
        cache = RHO * cache + (1 - RHO) * dx**2
        x = x - rate * dx / (np.sqrt(cache + EPSILON) if inside else np.sqrt(cache) + EPSILON)
        yield x


def adam(slope: Slope, x: np.ndarray, rates: list[float], corrected: bool = True) -> Iterator[np.ndarray]:
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, rate in enumerate(rates, 1):
        dx = slope(x)
        m = BETA1 * m + (1 - BETA1) * dx
        v = BETA2 * v + (1 - BETA2) * dx**2
        mt, vt = (m / (1 - BETA1**t), v / (1 - BETA2**t)) if corrected else (m, v)
        x = x - rate * mt / (np.sqrt(vt) + EPSILON)
        yield x


def inside(path: Path) -> Path:
    return lambda slope, x, rates: path(slope, x, rates, inside=True)  # type: ignore[call-arg]


def damped(rule, k: int, gradient: Tensor, state) -> None:
    """v ← μ v + (1 − d) g, but v = g at the first step, as torch has it."""
    if k > 0:
        gradient *= 1 - MU


def rate_within(rule, k: int, gradient: Tensor, state) -> None:
    """v ← μ v − rate · g is our v ← μ' v + g with μ' = μ · (last rate) / (this rate)."""
    rule.momentum = MU * (FALLING[k - 1] / FALLING[k] if k else 1.0)


def epsilon_inside(decay: float, share: float):
    """The ε outside that equals one inside the root, for this step: √(G + ε) − √G."""

    def before(rule, k: int, gradient: Tensor, state) -> None:
        squares = decay * (state["squares"] if state else torch.zeros_like(gradient)) + share * gradient**2
        rule.epsilon = (squares + EPSILON).sqrt() - squares.sqrt()

    return before


def before_correction(rule, k: int, gradient: Tensor, state) -> None:
    """ε beside √v and not beside √v̂: for v̂ = v/(1 − β₂ᵗ) it is ε/√(1 − β₂ᵗ)."""
    rule.epsilon = EPSILON / math.sqrt(1 - BETA2 ** (k + 1))


def uncorrected(draw: Draw) -> Compared:
    """Without the hats: our step times (1 − β₁ᵗ)/√(1 − β₂ᵗ), and ε as in `before_correction`."""
    slope, start = quadratic(draw)
    theirs = tensor(np.stack(list(adam(slope, start.copy(), CONSTANT, corrected=False))))
    rates = [RATE * (1 - BETA1**t) / math.sqrt(1 - BETA2**t) for t in range(1, STEPS + 1)]
    converted = walked(our_adam(), slope, start, rates, before_correction)
    return Compared(theirs, converted, walked(our_adam(), slope, start, CONSTANT))


def our_adam() -> updates.Rule:
    return updates.Adam(BETA1, BETA2, EPSILON)


def our_adamw() -> updates.Rule:
    return updates.AdamW(DECAY, BETA1, BETA2, EPSILON)


def our_momentum() -> updates.Rule:
    return updates.Momentum(MU)


def our_nesterov() -> updates.Rule:
    return updates.Nesterov(MU)


def our_adagrad() -> updates.Rule:
    return updates.AdaGrad(EPSILON)


def our_rmsprop() -> updates.Rule:
    return updates.RMSprop(RHO, EPSILON)


def sgd(**options: object) -> Callable[..., torch.optim.Optimizer]:
    return lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, **options)


def mlp(**options: object) -> Callable[..., object]:
    return lambda parameters, learning_rate_init: SGDOptimizer(parameters, learning_rate_init, **options)


def scheduled(ours: updates.Schedule, theirs: Callable[[torch.optim.Optimizer], object]):
    """The rate at the start of each epoch, torch's scheduler being stepped once an epoch."""

    def compare(draw: Draw) -> Compared:
        optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
        scheduler = theirs(optimiser)
        rates = []
        for _ in range(EPOCHS):
            rates.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
        return same(rates, RATE * tensor([ours(epoch, EPOCHS) for epoch in range(EPOCHS)]))

    return compare


def by_formula(ours: updates.Schedule, theirs: Callable[[int], float]):
    def compare(draw: Draw) -> Compared:
        return same([theirs(t) for t in range(EPOCHS)], RATE * tensor([ours(t, EPOCHS) for t in range(EPOCHS)]))

    return compare


schedulers = torch.optim.lr_scheduler
CONSTANT_RATE = "The same while the rate is constant. "

LINES: list[Line] = [
    Line("gradient-descent", "CS231n", "`x += -rate * dx`", SAME, "", by_notes(vanilla, updates.GradientDescent)),
    Line("gradient-descent", "torch", "`SGD(lr=rate)`", SAME, "", by_torch(sgd(), updates.GradientDescent)),
    Line(
        "gradient-descent",
        "scikit-learn",
        '`MLPClassifier(solver="sgd", momentum=0)`',
        SAME,
        "`SGDClassifier` and `SGDRegressor` are this with one sample a step; their default rate is not constant.",
        by_sklearn(mlp(momentum=0.0, nesterov=False), updates.GradientDescent),
    ),
    Line(
        "momentum",
        "CS231n",
        "`v = mu*v - rate*dx; x += v`",
        SAME,
        "While the rate is constant: there v = −rate · ours.",
        by_notes(momentum, our_momentum),
    ),
    Line(
        "momentum",
        "CS231n",
        "the same lines, the rate changing",
        "μ times last rate / this rate",
        "The old rates stay in their v; ours applies the new rate to all of it at once.",
        by_notes(momentum, our_momentum, FALLING, rate_within),
    ),
    Line("momentum", "torch", "`SGD(momentum=μ)`", SAME, "", by_torch(sgd(momentum=MU), our_momentum)),
    Line(
        "momentum",
        "torch",
        "`SGD(momentum=μ, dampening=d)`",
        "g times 1 − d",
        "From the second step on; the first is not dampened. Ours has d = 0, as torch's default.",
        by_torch(sgd(momentum=MU, dampening=MU), our_momentum, damped),
    ),
    Line(
        "momentum",
        "scikit-learn",
        '`MLPClassifier(solver="sgd", nesterovs_momentum=False)`',
        SAME,
        CONSTANT_RATE + "The rate stands inside v, as in CS231n.",
        by_sklearn(mlp(momentum=MU, nesterov=False), our_momentum),
    ),
    Line(
        "nesterov",
        "CS231n",
        "`v = mu*v - rate*dx; x += -mu*v_prev + (1 + mu)*v`",
        SAME,
        CONSTANT_RATE.strip(),
        by_notes(nesterov, our_nesterov),
    ),
    Line(
        "nesterov",
        "CS231n",
        "`x_ahead = x + mu*v`, dx there, then as momentum",
        SAME,
        CONSTANT_RATE + "Our weights are their x_ahead and not their x.",
        by_notes(looking_ahead, our_nesterov),
    ),
    Line(
        "nesterov",
        "torch",
        "`SGD(momentum=μ, nesterov=True)`",
        SAME,
        "",
        by_torch(sgd(momentum=MU, nesterov=True), our_nesterov),
    ),
    Line(
        "nesterov",
        "scikit-learn",
        '`MLPClassifier(solver="sgd")`',
        SAME,
        CONSTANT_RATE + "It is the default there.",
        by_sklearn(mlp(momentum=MU, nesterov=True), our_nesterov),
    ),
    Line(
        "adagrad",
        "CS231n",
        "`x += -rate * dx / (np.sqrt(cache) + eps)`",
        SAME,
        "ε outside the root.",
        by_notes(adagrad, our_adagrad),
    ),
    Line(
        "adagrad",
        "CS231n",
        "`x += -rate * dx / np.sqrt(cache + eps)`",
        "ε = √(G + eps) − √G",
        "Earlier editions of the notes have it inside the root: as large as √eps where G is small.",
        by_notes(inside(adagrad), our_adagrad, before=epsilon_inside(1.0, 1.0)),
    ),
    Line(
        "adagrad",
        "torch",
        "`Adagrad(eps=ε)`",
        SAME,
        "With its defaults `lr_decay=0` and `initial_accumulator_value=0`.",
        by_torch(lambda p, lr: torch.optim.Adagrad(p, lr=lr, eps=EPSILON), our_adagrad),
    ),
    Line("adagrad", "scikit-learn", NONE),
    Line(
        "rmsprop",
        "CS231n",
        "`x += -rate * dx / (np.sqrt(cache) + eps)`",
        SAME,
        "ε outside the root; decay_rate is our ρ.",
        by_notes(rmsprop, our_rmsprop),
    ),
    Line(
        "rmsprop",
        "CS231n",
        "`x += -rate * dx / np.sqrt(cache + eps)`",
        "ε = √(G + eps) − √G",
        "Earlier editions of the notes.",
        by_notes(inside(rmsprop), our_rmsprop, before=epsilon_inside(RHO, 1 - RHO)),
    ),
    Line(
        "rmsprop",
        "torch",
        "`RMSprop(alpha=ρ, eps=ε)`",
        SAME,
        "Not centred, and without momentum, as its defaults.",
        by_torch(lambda p, lr: torch.optim.RMSprop(p, lr=lr, alpha=RHO, eps=EPSILON), our_rmsprop),
    ),
    Line("rmsprop", "scikit-learn", NONE),
    Line(
        "adam",
        "CS231n",
        "`x += -rate * mt / (np.sqrt(vt) + eps)`",
        SAME,
        "mt and vt are corrected for their start at 0; t counts from 1 and over all epochs.",
        by_notes(adam, our_adam),
    ),
    Line(
        "adam",
        "CS231n",
        "`x += -rate * m / (np.sqrt(v) + eps)`",
        "rate times (1 − β₁ᵗ)/√(1 − β₂ᵗ)",
        "The notes' short form, without the correction; its ε is ε/√(1 − β₂ᵗ) of ours.",
        uncorrected,
    ),
    Line(
        "adam",
        "torch",
        "`Adam(betas=(β₁, β₂), eps=ε)`",
        SAME,
        "",
        by_torch(lambda p, lr: torch.optim.Adam(p, lr=lr, betas=(BETA1, BETA2), eps=EPSILON), our_adam),
    ),
    Line(
        "adam",
        "scikit-learn",
        '`MLPClassifier(solver="adam", epsilon=ε)`',
        "ε / √(1 − β₂ᵗ)",
        "ε stands beside the root before the correction: early steps feel more of it.",
        by_sklearn(
            lambda p, learning_rate_init: AdamOptimizer(p, learning_rate_init, BETA1, BETA2, EPSILON),
            our_adam,
            before_correction,
        ),
    ),
    Line("adamw", "CS231n", NONE),
    Line(
        "adamw",
        "torch",
        "`AdamW(betas=(β₁, β₂), eps=ε, weight_decay=λ)`",
        SAME,
        "Parameters without decay go into a group of their own; ours decays all of them.",
        by_torch(
            lambda p, lr: torch.optim.AdamW(p, lr=lr, betas=(BETA1, BETA2), eps=EPSILON, weight_decay=DECAY), our_adamw
        ),
    ),
    Line("adamw", "scikit-learn", NONE),
    Line("constant schedule", "CS231n", "no annealing", SAME, "", by_formula(updates.Constant(), lambda t: RATE)),
    Line(
        "constant schedule",
        "torch",
        "no scheduler",
        SAME,
        "",
        scheduled(updates.Constant(), lambda o: schedulers.LambdaLR(o, lambda epoch: 1.0)),
    ),
    Line(
        "constant schedule",
        "scikit-learn",
        '`learning_rate="constant"`',
        SAME,
        'With `eta0` the rate; not the default of `SGDClassifier`, which is "optimal".',
        by_formula(updates.Constant(), lambda t: SGDOptimizer([np.zeros(1)], RATE, "constant").learning_rate),
    ),
    Line(
        "step schedule",
        "CS231n",
        "reduce by a factor every few epochs",
        SAME,
        "",
        by_formula(updates.StepDecay(0.3, 4), lambda t: RATE * 0.3 ** (t // 4)),
    ),
    Line(
        "step schedule",
        "torch",
        "`StepLR(step_size=every, gamma=factor)`",
        SAME,
        "Stepped once an epoch. `every` may be a part of an epoch here.",
        scheduled(updates.StepDecay(0.3, 4), lambda o: schedulers.StepLR(o, 4, 0.3)),
    ),
    Line(
        "step schedule",
        "scikit-learn",
        NONE,
        says='`learning_rate="adaptive"` divides by 5 when the loss stops falling.',
    ),
    Line("cosine schedule", "CS231n", NONE),
    Line(
        "cosine schedule",
        "torch",
        "`CosineAnnealingLR(T_max=epochs, eta_min=final · rate)`",
        SAME,
        "Stepped once an epoch; ours falls at every step.",
        scheduled(updates.CosineDecay(0.1), lambda o: schedulers.CosineAnnealingLR(o, EPOCHS, 0.1 * RATE)),
    ),
    Line("cosine schedule", "scikit-learn", NONE),
    Line("linear schedule", "CS231n", NONE),
    Line(
        "linear schedule",
        "torch",
        "`LinearLR(1, final, total_iters=epochs)`",
        SAME,
        "Stepped once an epoch.",
        scheduled(updates.LinearDecay(0.1), lambda o: schedulers.LinearLR(o, 1.0, 0.1, EPOCHS)),
    ),
    Line("linear schedule", "scikit-learn", NONE),
    Line(
        "inverse-time schedule",
        "CS231n",
        "`rate / (1 + k*t)`",
        SAME,
        "Our t is in epochs.",
        by_formula(updates.InverseTimeDecay(0.4), lambda t: RATE / (1 + 0.4 * t)),
    ),
    Line(
        "inverse-time schedule",
        "torch",
        "`LambdaLR(lambda t: 1 / (1 + decay * t))`",
        SAME,
        "There is none of that name.",
        scheduled(updates.InverseTimeDecay(0.4), lambda o: schedulers.LambdaLR(o, lambda t: 1 / (1 + 0.4 * t))),
    ),
    Line(
        "inverse-time schedule",
        "scikit-learn",
        NONE,
        says='`learning_rate="optimal"` is 1/(alpha (t₀ + t)) and `"invscaling"` eta0/√t, with t in steps.',
    ),
]
