"""What a reader brings along is treated as the package treats its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import edunn

# --- an update rule of two lines ---------------------------------------------------------------------------------


class Sign(edunn.updates.Rule):
    def direction(self, gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        return gradient.sign()


class SignDescent(torch.optim.Optimizer):
    """The same rule, written for torch by its author."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter -= group["lr"] * parameter.grad.sign()


class SignWithTwin(Sign):
    def twin(self, parameters: Any, rate: float) -> torch.optim.Optimizer:
        return SignDescent(parameters, lr=rate)


def digits_and_model() -> tuple[edunn.Samples, Any]:
    samples = edunn.data.digits().train.to(dtype=torch.float64)
    return samples, edunn.models.SoftmaxClassifier(64, 10, dtype=torch.float64)


@pytest.mark.parametrize("by", ["fast", "hand"])
@pytest.mark.parametrize("batch_size", [None, 128, 1], ids=["full", "mini", "single"])
def test_own_rule_trains(batch_size: int | None, by: str) -> None:
    samples, model = digits_and_model()
    history = edunn.descend(
        model,
        edunn.losses.CrossEntropy(),
        samples[:300],
        rate=1e-3,
        batch_size=batch_size,
        epochs=3,
        rule=Sign(),
        by=by,
    )
    assert history.status == "finished"
    running = history["running"]
    assert running[-1] < running[0] < 2.4  # ln 10 = 2.303 at the start


def test_own_rule_in_lock_step_with_its_authors_optimiser() -> None:
    samples, model = digits_and_model()
    found = edunn.descent.lockstep(
        model, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=50, batch_size=128, rule=Sign(),
        schedule=edunn.updates.CosineDecay(), optimiser=lambda parameters: SignDescent(parameters, lr=1.0),
    )  # fmt: skip
    assert found.passed, str(found)
    assert found.steps == 50


def test_own_rule_beside_another_rules_optimiser_differs() -> None:
    samples, model = digits_and_model()
    found = edunn.descent.lockstep(
        model, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=5, rule=Sign(),
        optimiser=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
    )  # fmt: skip
    assert found.first is not None
    assert found.first[0] == 1


def test_own_rule_with_a_twin_trains_by_autograd() -> None:
    samples, model = digits_and_model()
    twin = digits_and_model()[1]
    for own, by in ((model, "hand"), (twin, "autograd")):
        edunn.descend(
            own, edunn.losses.CrossEntropy(), samples, rate=1e-3, batch_size=128, epochs=2, rule=SignWithTwin(), by=by
        )
    torch.testing.assert_close(model.weight, twin.weight, rtol=1e-12, atol=1e-14)
    assert edunn.descent.lockstep(
        twin, edunn.losses.CrossEntropy(), samples, rate=1e-3, steps=20, rule=SignWithTwin()
    ).passed


def test_own_rule_without_a_twin_is_refused_for_autograd() -> None:
    samples, model = digits_and_model()
    sentence = r"Sign names no optimiser of torch\. Give it a method twin\(parameters, rate\)"
    with pytest.raises(edunn.EdunnError, match=sentence):
        edunn.descend(model, edunn.losses.CrossEntropy(), samples, rate=1e-3, rule=Sign(), by="autograd")
    assert float(model.weight.detach().abs().max()) == 0
