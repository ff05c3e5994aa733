"""Update rules as hand-ins: the parameter after one step for each of several gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import updates
from ...runtime.devices import generator
from .task import Arguments, FunctionTask, Slip

ENTRIES = 4


def after_steps(rule: type[updates.Rule], start: Tensor, gradients: Tensor, rate: float) -> Tensor:
    """Where a parameter is after a step for each gradient, (steps, entries); what is remembered is kept between."""
    taken, parameters = rule(), {"parameter": start.clone()}
    for gradient in gradients:
        taken.step(parameters, {"parameter": gradient}, rate)
    return parameters["parameter"]


def cases(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 7)

    def drawn(steps: int) -> Tensor:
        return torch.randn(steps, ENTRIES, dtype=torch.float64, generator=source)

    start = torch.randn(ENTRIES, dtype=torch.float64, generator=source)
    return {
        "five steps": (start, drawn(5), 0.1),
        "one step": (start, drawn(1), 0.1),
        "no step": (start, drawn(0), 0.1),
        "forty steps": (start, drawn(40), 0.02),
        "gradients of 1e6": (start, 1e6 * drawn(3), 0.3),
        # as small as ε, so that it shows where ε stands; and a start of 0, beside which the small steps are not lost
        "gradients of 1e-8": (torch.zeros_like(start), 1e-8 * drawn(3), 0.3),
        "gradients of 0": (start, torch.zeros(3, ENTRIES, dtype=torch.float64), 0.3),
    }


def rule_task(
    name: str, rule: type[updates.Rule], formula: str, *slips: Slip, piece: str = "direction"
) -> FunctionTask:
    base = rule.__base__ if rule is updates.Nesterov else None  # its super() is momentum's own direction
    return FunctionTask(
        name,
        formula,
        GIVEN,
        ("start", "gradients", "rate"),
        rule,
        (piece,),
        cases,
        slips,
        through=after_steps,
        base=base,
    )


def kept(name: str, old: str, new: str) -> Slip:
    return Slip(name, "what the rule remembers is not kept from one step to the next", ((old, new),))


THEN = "; w ← w − rate · d"
GIVEN = "start (entries,), gradients (steps, entries), one a step; the answer is w after the last step"
ROOT = "the square root is forgotten: g is divided by the mean square, not by its root"
UNDER = "ε stands under the root: √(G + ε) in place of √G + ε"
SQUARE = "the gradient is not squared before it is remembered"

TASKS = (
    rule_task(
        "gradient-descent", updates.GradientDescent, f"d = g{THEN}",
        Slip("wrong sign", "the step goes up the gradient: w + rate · g", (("parameter -=", "parameter +="),)),
        Slip("rate forgotten", "the gradient is not multiplied by the rate", (("along_runs(rate, parameter) * ", ""),)),
        Slip("divided by the rate", "the gradient is divided by the rate",
             (("along_runs(rate, parameter) * self.direction(gradients[name], self.state[name])",
               "self.direction(gradients[name], self.state[name]) / along_runs(rate, parameter)"),)),
        Slip("rate taken twice", "the gradient is multiplied by the rate twice",
             (("along_runs(rate, parameter)", "along_runs(rate, parameter) ** 2"),)),
        piece="step",
    ),
    rule_task(
        "momentum", updates.Momentum, f"v ← μ v + g, d = v, v = 0 at first, μ = 0.9{THEN}",
        kept("velocity not kept", ".mul_(self.momentum).add_(gradient)", ".mul(self.momentum).add(gradient)"),
        Slip("g damped by 1 − μ", "v ← μ v + (1 − μ) g: a mean of the gradients, ten times as small as this rule's sum",
             ((".add_(gradient)", ".add_((1 - self.momentum) * gradient)"),)),
        Slip("μ and g swapped", "v ← v + μ g: μ multiplies the gradient and not the velocity",
             ((".mul_(self.momentum).add_(gradient)", ".add_(self.momentum * gradient)"),)),
        Slip("Nesterov's step", "d = g + μ v is Nesterov's step",
             (('state["velocity"].mul_(self.momentum).add_(gradient)',
               'gradient + self.momentum * state["velocity"].mul_(self.momentum).add_(gradient)'),)),
        Slip("wrong sign", "v ← μ v − g, and w goes against v: up the gradient", ((".add_(", ".sub_("),)),
    ),
    rule_task(
        "nesterov", updates.Nesterov, f"v ← μ v + g, d = g + μ v with the new v, v = 0 at first, μ = 0.9{THEN}",
        Slip("plain momentum", "d = v, which is also g + μ v with the v from before the step: no look ahead",
             (("gradient + self.momentum * super()", "super()"),)),
        Slip("g forgotten", "d = μ v: the gradient itself is missing", (("gradient + self", "self"),)),
        Slip("μ forgotten", "d = g + v: the look ahead is not shortened by μ", (("self.momentum * ", ""),)),
    ),
    rule_task(
        "adagrad", updates.AdaGrad, f"G ← G + g², d = g / (√G + ε), G = 0 at first, ε = 1e-10{THEN}",
        Slip("root forgotten", ROOT, (("squares.sqrt()", "squares"),)),
        kept("G not kept", ".add_(gradient**2)", ".add(gradient**2)"),
        Slip("ε under the root", UNDER, (("(squares.sqrt() + self.epsilon)", "(squares + self.epsilon).sqrt()"),)),
        Slip("square forgotten", SQUARE, (("gradient**2", "gradient.abs()"),)),
        Slip("ε forgotten", "without ε a gradient of 0 gives 0/0", ((" + self.epsilon", ""),)),
    ),
    rule_task(
        "rmsprop", updates.RMSprop, f"G ← ρ G + (1 − ρ) g², d = g / (√G + ε), G = 0 at first, ρ = 0.99, ε = 1e-8{THEN}",
        Slip("root forgotten", ROOT, (("squares.sqrt()", "squares"),)),
        Slip("1 − ρ forgotten", "G ← ρ G + g²: G grows to 1/(1 − ρ) = 100 times the mean square",
             (("(1 - self.decay) * ", ""),)),
        Slip("ρ and 1 − ρ swapped", "G ← (1 − ρ) G + ρ g²: nearly everything is forgotten at once",
             ((".mul_(self.decay).add_((1 - self.decay) *", ".mul_(1 - self.decay).add_(self.decay *"),)),
        Slip("AdaGrad's sum", "G ← G + g²: nothing is forgotten, which is AdaGrad",
             ((".mul_(self.decay)", ""), ("(1 - self.decay) * ", ""))),
        Slip("ε under the root", UNDER, (("(squares.sqrt() + self.epsilon)", "(squares + self.epsilon).sqrt()"),)),
        kept("G not kept", ".mul_(self.decay).add_(", ".mul(self.decay).add("),
        Slip("ε forgotten", "without ε a gradient of 0 gives 0/0", ((" + self.epsilon", ""),)),
    ),
    rule_task(
        "adam", updates.Adam,
        "m ← β₁ m + (1 − β₁) g, G ← β₂ G + (1 − β₂) g², d = m̂ / (√Ĝ + ε), m̂ = m/(1 − β₁ᵗ), Ĝ = G/(1 − β₂ᵗ),\n"
        f"t = 1, 2, … counts the steps, m = G = 0 at first, β₁ = 0.9, β₂ = 0.999, ε = 1e-8{THEN}",
        Slip("bias correction forgotten", "m and G start at 0 and are too small at first: m̂ and Ĝ undo that",
             (("mean / (1 - self.beta1**self.steps)", "mean"), ("squares / (1 - self.beta2**self.steps)", "squares"))),
        Slip("bias correction of G forgotten", "only m is corrected for its start at 0",
             (("squares / (1 - self.beta2**self.steps)", "squares"),)),
        Slip("bias correction of m forgotten", "only G is corrected for its start at 0",
             (("mean / (1 - self.beta1**self.steps)", "mean"),)),
        Slip("t stays 1", "the bias correction divides by 1 − β at every step, as if each were the first",
             (("**self.steps", ""),)),
        Slip("root forgotten", ROOT, (("squares_hat.sqrt()", "squares_hat"),)),
        Slip("ε under the root", UNDER,
             (("(squares_hat.sqrt() + self.epsilon)", "(squares_hat + self.epsilon).sqrt()"),)),
        Slip("β₁ and β₂ swapped", "β₁ = 0.9 belongs to m and β₂ = 0.999 to G",
             (("self.beta1", "self.swapped"), ("self.beta2", "self.beta1"), ("self.swapped", "self.beta2"))),
        Slip("1 − β forgotten", "m ← β₁ m + g and G ← β₂ G + g²: sums and not means",
             (("(1 - self.beta1) * ", ""), ("(1 - self.beta2) * ", ""))),
        kept("m and G not kept", ").add_(", ").add("),
        Slip("m not used", "the gradient itself is divided by √Ĝ + ε, without its mean",
             (("return mean_hat", "return gradient"),)),
        Slip("square forgotten", SQUARE, (("gradient**2", "gradient"),)),
    ),
)  # fmt: skip
