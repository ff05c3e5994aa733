"""Update rules against torch.optim, schedules against its lr_scheduler, and where a quadratic stops converging."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edunn import updates
from edunn.errors import ConfigError
from edunn.updates import (
    RULES,
    SCHEDULES,
    AdaGrad,
    Adam,
    AdamW,
    Constant,
    CosineDecay,
    GradientDescent,
    InverseTimeDecay,
    LinearDecay,
    Momentum,
    Nesterov,
    RMSprop,
    Rule,
    Schedule,
    StepDecay,
)

MAKERS: dict[str, Callable[[], Rule]] = {
    "gradient descent": GradientDescent,
    "momentum": Momentum,
    "momentum 0.5": lambda: Momentum(0.5),
    "momentum 0": lambda: Momentum(0.0),
    "nesterov": Nesterov,
    "nesterov 0.5": lambda: Nesterov(0.5),
    "adagrad": AdaGrad,
    "adagrad, epsilon 0.1": lambda: AdaGrad(epsilon=0.1),
    "rmsprop": RMSprop,
    "rmsprop 0.9, epsilon 0.1": lambda: RMSprop(decay=0.9, epsilon=0.1),
    "adam": Adam,
    "adam 0.5, 0.9, epsilon 0.1": lambda: Adam(beta1=0.5, beta2=0.9, epsilon=0.1),
    "adamw": AdamW,
    "adamw 0.3, epsilon 0.1": lambda: AdamW(0.3, epsilon=0.1),
}
# the convention that torch has, written here without the rule's own `twin`
TWINS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "gradient descent": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "momentum 0.5": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5),
    "momentum 0": lambda p: torch.optim.SGD(p, lr=0.05),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "nesterov 0.5": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5, nesterov=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "adagrad, epsilon 0.1": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.05),
    "rmsprop 0.9, epsilon 0.1": lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.9, eps=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "adam 0.5, 0.9, epsilon 0.1": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.5, 0.9), eps=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05),
    "adamw 0.3, epsilon 0.1": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3, eps=0.1),
}
EACH = pytest.mark.parametrize("name", MAKERS)


def gradients(step: int) -> dict[str, Tensor]:
    """The same made-up gradients for both sides: of changing sign and size, so that every buffer matters."""
    generator = torch.Generator().manual_seed(step)
    return {
        "weight": torch.randn(2, 3, generator=generator, dtype=torch.float64),
        "bias": 10 * torch.randn(2, generator=generator, dtype=torch.float64),
    }


def start() -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(g.clone()) for name, g in gradients(999).items()}


@EACH
@pytest.mark.parametrize("own_twin", [False, True], ids=["torch", "its twin"])
def test_steps_are_those_of_torch(name: str, own_twin: bool) -> None:
    rule, ours, theirs = MAKERS[name](), start(), start()
    optimiser = rule.twin(theirs.values(), 0.05) if own_twin else TWINS[name](list(theirs.values()))
    for step in range(50):
        rule.step(ours, gradients(step), 0.05)
        for parameter, gradient in zip(theirs.values(), gradients(step).values(), strict=True):
            parameter.grad = gradient
        optimiser.step()
        for key in ours:
            # the same arithmetic up to the order of a few roundings
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-12, atol=1e-13)
    assert rule.steps == 50


@EACH
def test_a_rate_that_changes_acts_at_once(name: str) -> None:
    """As in torch, the rate stands outside the buffers."""
    rule, ours, theirs = MAKERS[name](), start(), start()
    optimiser = TWINS[name](list(theirs.values()))
    for step in range(20):
        rate = 0.5 / (step + 1)
        rule.step(ours, gradients(step), rate)
        for group in optimiser.param_groups:
            group["lr"] = rate
        for parameter, gradient in zip(theirs.values(), gradients(step).values(), strict=True):
            parameter.grad = gradient
        optimiser.step()
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-12, atol=1e-13)


@EACH
def test_a_stack_with_a_rate_each_equals_one_by_one(name: str) -> None:
    rates = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    stack = {"weight": torch.zeros(3, 2, 3).double(), "bias": torch.zeros(3, 2).double()}
    rule = MAKERS[name]()
    alone = [({"weight": torch.zeros(2, 3).double(), "bias": torch.zeros(2).double()}, MAKERS[name]()) for _ in rates]
    for step in range(5):
        each = [gradients(100 * step + run) for run in range(3)]
        rule.step(stack, {k: torch.stack([g[k] for g in each]) for k in stack}, rates)
        for (parameters, own), gradient, rate in zip(alone, each, rates.tolist(), strict=True):
            own.step(parameters, gradient, rate)
    for run, (parameters, _) in enumerate(alone):
        for key, parameter in parameters.items():
            torch.testing.assert_close(stack[key][run], parameter, rtol=1e-14, atol=1e-15)


@EACH
def test_gradients_are_left_as_they_are(name: str) -> None:
    rule, given_gradients = MAKERS[name](), gradients(0)
    for _ in range(3):
        rule.step(start(), given_gradients, 0.1)
    for key, gradient in gradients(0).items():
        assert torch.equal(given_gradients[key], gradient)


@EACH
def test_reset_forgets(name: str) -> None:
    rule = MAKERS[name]()
    first, second = start(), start()
    rule.step(first, gradients(0), 0.1)
    rule.step(first, gradients(1), 0.1)
    rule.reset()
    assert (rule.steps, rule.state) == (0, {})
    first = start()
    rule.step(first, gradients(2), 0.1)
    MAKERS[name]().step(second, gradients(2), 0.1)
    for key in first:
        assert torch.equal(first[key], second[key])


def test_first_steps_by_hand() -> None:
    """One weight at 0, gradient 2, rate 0.1: what each formula gives on paper."""

    def steps(rule: Rule, n: int) -> float:
        w = {"weight": torch.zeros(1, dtype=torch.float64)}
        for _ in range(n):
            rule.step(w, {"weight": torch.full((1,), 2.0, dtype=torch.float64)}, 0.1)
        return w["weight"].item()

    assert steps(GradientDescent(), 2) == pytest.approx(-0.4, rel=1e-15)
    assert steps(Momentum(0.5), 2) == pytest.approx(-0.1 * (2 + 3), rel=1e-15)  # v: 2, 3
    assert steps(Nesterov(0.5), 2) == pytest.approx(-0.1 * (3 + 3.5), rel=1e-15)  # g + v/2: 2 + 1, 2 + 1.5
    assert steps(AdaGrad(), 2) == pytest.approx(-0.1 * (1 + 1 / math.sqrt(2)), rel=1e-9)  # 2/√4, 2/√8
    # G: 4·(1 − 0.99) = 0.04
    assert steps(RMSprop(), 1) == pytest.approx(-0.1 * 2 / 0.2, rel=1e-6)
    # the hats undo the start at 0: every step of a constant gradient has the size of the rate
    assert steps(Adam(), 3) == pytest.approx(-0.3, rel=1e-8)


def run_quadratic(rule: Rule, rate: float, curvature: float, steps: int = 2000) -> float:
    """|w| after descent on ½·curvature·w² from 1, growing past 1e150 cut short."""
    w = {"weight": torch.ones(1, dtype=torch.float64)}
    for _ in range(steps):
        rule.step(w, {"weight": curvature * w["weight"]}, rate)
        if float(w["weight"].abs()) > 1e150:
            break
    return float(w["weight"].abs())


STABLE = {
    "gradient descent": GradientDescent,
    "momentum 0.5": lambda: Momentum(0.5),
    "momentum 0.9": Momentum,
    "nesterov 0.5": lambda: Nesterov(0.5),
    "nesterov 0.9": Nesterov,
}


@pytest.mark.parametrize("curvature", [0.3, 70.0])
@pytest.mark.parametrize("name", STABLE)
def test_stability_limit_on_a_quadratic(name: str, curvature: float) -> None:
    """Two per cent below the limit descent converges, two per cent above it does not."""
    rule: Rule = STABLE[name]()
    limit = rule.stability()
    assert limit is not None
    assert run_quadratic(STABLE[name](), 0.98 * limit / curvature, curvature) < 1e-3
    assert run_quadratic(STABLE[name](), 1.02 * limit / curvature, curvature) > 1e3


@pytest.mark.parametrize("rule", [AdaGrad(), RMSprop(), Adam()], ids=lambda r: type(r).__name__)
def test_rules_that_divide_by_their_gradient_have_no_such_limit(rule: Rule) -> None:
    assert rule.stability() is None


SCHEDULERS = {
    "constant": (Constant(), lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)),
    "step": (StepDecay(0.3, every=7), lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=7, gamma=0.3)),
    "exponential": (StepDecay(0.9, every=1), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.9)),
    "cosine": (CosineDecay(), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=30)),
    "cosine, final 0.1": (
        CosineDecay(0.1),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=30, eta_min=0.1 * 0.5),
    ),
    "linear, final 0.2": (
        LinearDecay(0.2),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=30),
    ),
    "inverse time": (
        InverseTimeDecay(0.5),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch / 2)),
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedules_are_those_of_torch(name: str) -> None:
    schedule, make = SCHEDULERS[name]
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = make(optimiser)
    for epoch in range(31):
        # torch multiplies the rate up step by step, so its roundings add up; cosine ends at 0
        assert 0.5 * schedule(epoch, 30) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-12, abs=1e-15)
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("schedule", "middle", "end"),
    [
        (Constant(), 1.0, 1.0),
        (StepDecay(), 1.0, 0.5),
        (StepDecay(0.5, every=4), 0.5, 0.25),
        (CosineDecay(), 0.5, 0.0),
        (CosineDecay(0.2), 0.6, 0.2),
        (LinearDecay(), 0.5, 0.0),
        (LinearDecay(0.2), 0.6, 0.2),
        (InverseTimeDecay(0.25), 1 / 2.25, 1 / 3.5),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Schedule) else f"{v:.2g}",
)
def test_schedules_by_hand(schedule: Schedule, middle: float, end: float) -> None:
    """Of 10 epochs: 1 at the start, and what the formula gives after 5 and 10."""
    assert schedule(0, 10) == 1
    assert schedule(5, 10) == pytest.approx(middle, rel=1e-14)
    assert schedule(10, 10) == pytest.approx(end, abs=1e-15)


@given(epoch=st.floats(0, 200), epochs=st.floats(1, 100))
def test_schedules_stay_between_one_and_their_end(epoch: float, epochs: float) -> None:
    """Fractional epochs (mini-batches) and epochs past the end included: no rate below 0 or above the first."""
    for schedule in (Constant(), StepDecay(), CosineDecay(), CosineDecay(0.1), LinearDecay(), InverseTimeDecay()):
        assert -1e-15 <= schedule(epoch, epochs) <= 1
        assert schedule(epoch, epochs) >= schedule(epoch + 1, epochs) - 1e-15


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Momentum(1.0), r"momentum must be a number in \[0, 1\); got 1"),
        (lambda: Nesterov(-0.1), r"momentum must be a number in \[0, 1\); got -0\.1"),
        (lambda: RMSprop(decay=1.5), r"decay must be a number in \[0, 1\)"),
        (lambda: Adam(beta1=math.nan), r"beta1 must be a number in \[0, 1\); got nan"),
        (lambda: Adam(beta2=1.0), r"beta2 must be a number in \[0, 1\)"),
        (lambda: StepDecay(every=0), "every must be a number above 0"),
    ],
    ids=["momentum", "nesterov", "rmsprop", "adam beta1", "adam beta2", "step"],
)
def test_refuses_options_without_a_meaning(make: Callable[[], object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_registries_name_every_rule_and_schedule() -> None:
    def defined(base: type) -> set[type]:
        return {v for v in vars(updates).values() if isinstance(v, type) and issubclass(v, base)} - {base}

    assert set(RULES.values()) == defined(Rule)
    assert set(SCHEDULES.values()) == defined(Schedule)


def test_field_21_step_decay_counts_whole_periods() -> None:
    """Ten steps an epoch and a period of a tenth of one: 0.3 / 0.1 is 2.999… in floating point."""
    schedule = StepDecay(0.5, every=0.1)
    assert [schedule(i / 10, 1) for i in range(40)] == [0.5**i for i in range(40)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1, "0.5", True, None], ids=repr)
@pytest.mark.parametrize(
    "make",
    [
        lambda v: Momentum(v), lambda v: RMSprop(decay=v), lambda v: RMSprop(epsilon=v), lambda v: AdaGrad(epsilon=v),
        lambda v: Adam(beta1=v), lambda v: Adam(beta2=v), lambda v: Adam(epsilon=v), lambda v: StepDecay(factor=v),
        lambda v: StepDecay(every=v), lambda v: CosineDecay(v), lambda v: LinearDecay(v), lambda v: InverseTimeDecay(v),
    ],
    ids=["momentum", "decay", "rms-epsilon", "adagrad-epsilon", "beta1", "beta2", "epsilon", "factor", "every",
         "cosine", "linear", "inverse"],
)  # fmt: skip
def test_field_28_options_that_mean_nothing_are_refused(make: Callable[[object], object], bad: object) -> None:
    with pytest.raises(ConfigError, match="must be a number"):
        make(bad)
