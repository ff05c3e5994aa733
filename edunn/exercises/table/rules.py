"""Update rules as exercises: the parameter after one step for each of several gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import updates
from ...gradcheck.diagnosis import Mistake
from ..exercise import Arguments, FunctionExercise
from .functions import cut_function, drawing, edit

ENTRIES = 4


def take_steps(rule: type[updates.Rule], start: Tensor, gradients: Tensor, rate: float) -> Tensor:
    """Returns the parameter after one step for each gradient, (steps, entries); the rule keeps its state between."""
    own, parameters = rule(), {"parameter": start.clone()}
    for gradient in gradients:
        own.step(parameters, {"parameter": gradient}, rate)
    return parameters["parameter"]


def draw_cases(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 7)
    start = draw(ENTRIES)
    return {
        "five steps": (start, draw(5, ENTRIES), 0.1),
        "one step": (start, draw(1, ENTRIES), 0.1),
        "no step": (start, draw(0, ENTRIES), 0.1),
        "forty steps": (start, draw(40, ENTRIES), 0.02),
        "gradients of 1e6": (start, 1e6 * draw(3, ENTRIES), 0.3),
        # as small as ε, so that it shows where ε is added; and a start of 0, beside which the small steps are not lost
        "gradients of 1e-8": (torch.zeros_like(start), 1e-8 * draw(3, ENTRIES), 0.3),
        "gradients of 0": (start, torch.zeros(3, ENTRIES, dtype=torch.float64), 0.3),
    }


def cut_rule(
    name: str, rule: type[updates.Rule], formula: str, state: str, *mistakes: Mistake,
    asked: str = "d, the direction of the step, (entries,);\n{state}, zeros at first and changed in place",
    piece: str = "direction", extends: type[updates.Rule] | None = None,
) -> FunctionExercise:  # fmt: skip
    """`state`: where the rule stores its running values."""
    return cut_function(
        name, "three-descents", asked.format(state=state), f"{formula}; w ← w − rate · d",
        "start (entries,), gradients (steps, entries), one a step; the answer is w after the last step",
        ("start", "gradients", "rate"), rule, (piece,), draw_cases, *mistakes, through=take_steps, extends=extends,
    )  # fmt: skip


def clip_both(clipping: type[updates.Clipping], weight: Tensor, bias: Tensor, norm: float, value: float) -> Tensor:
    """Returns the gradients of weight and bias clipped by norm, and then by value, all as one vector."""
    gradients = {"weight": weight, "bias": bias}
    both = (clipping(norm=norm).clip(gradients), clipping(value=value).clip(gradients))
    return torch.cat([found[name].flatten() for found in both for name in gradients])


def draw_gradients(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 8)
    weight, bias = draw(2, 3), draw(2)
    return {
        "long gradients": (weight, bias, 0.5, 0.3),
        "short gradients": (0.01 * weight, 0.01 * bias, 0.5, 0.3),
        "a long bias alone": (0.1 * weight, 10 * bias, 1.0, 0.2),
        "gradients of 1e6": (1e6 * weight, 1e6 * bias, 2.0, 5.0),
        "gradients of 0": (torch.zeros_like(weight), torch.zeros_like(bias), 1.0, 1.0),
    }


def forget(name: str, old: str, new: str) -> Mistake:
    return edit(name, "what the rule remembers is not kept from one step to the next", (old, new))


ROOT = "the square root is forgotten: g is divided by the mean square, not by its root"
UNDER = "ε is added under the root: √(G + ε) in place of √G + ε"
SQUARE = "the gradient is not squared before it is remembered"

EXERCISES = (
    cut_rule(
        "gradient-descent", updates.GradientDescent, "d = g", "",
        edit("wrong sign", "the step goes up the gradient: w + rate · g", ("parameter -=", "parameter +=")),
        edit("rate forgotten", "the gradient is not multiplied by the rate", ("along_runs(rate, parameter) * ", "")),
        edit("divided by the rate", "the gradient is divided by the rate",
             ("along_runs(rate, parameter) * self.direction(gradients[name], self.state[name])",
              "self.direction(gradients[name], self.state[name]) / along_runs(rate, parameter)")),
        edit("rate taken twice", "the gradient is multiplied by the rate twice",
             ("along_runs(rate, parameter)", "along_runs(rate, parameter) ** 2")),
        asked="the step that every rule shares: w ← w − rate · d", piece="step",
    ),
    cut_rule(
        "momentum", updates.Momentum, "v ← μ v + g, d = v, v = 0 at first, μ = 0.9", "v is state['velocity']",
        forget("velocity not kept", ".mul_(self.momentum).add_(gradient)", ".mul(self.momentum).add(gradient)"),
        edit("g damped by 1 − μ", "v ← μ v + (1 − μ) g: a mean of the gradients, ten times as small as this rule's sum",
             (".add_(gradient)", ".add_((1 - self.momentum) * gradient)")),
        edit("μ and g swapped", "v ← v + μ g: μ multiplies the gradient and not the velocity",
             (".mul_(self.momentum).add_(gradient)", ".add_(self.momentum * gradient)")),
        edit("Nesterov's step", "d = g + μ v is Nesterov's step",
             ('state["velocity"].mul_(self.momentum).add_(gradient)',
              'gradient + self.momentum * state["velocity"].mul_(self.momentum).add_(gradient)')),
        edit("wrong sign", "v ← μ v − g, and w goes against v: up the gradient", (".add_(", ".sub_(")),
    ),
    cut_rule(
        "nesterov", updates.Nesterov, "v ← μ v + g, d = g + μ v with the new v, v = 0 at first, μ = 0.9",
        "v is state['velocity'], moved by momentum's own direction, super().direction",
        edit("plain momentum", "d = v, which is also g + μ v with the v from before the step: no look ahead",
             ("gradient + self.momentum * super()", "super()")),
        edit("g forgotten", "d = μ v: the gradient itself is missing", ("gradient + self", "self")),
        edit("μ forgotten", "d = g + v: the look ahead is not shortened by μ", ("self.momentum * ", "")),
        extends=updates.Momentum,  # its super() is momentum's own direction
    ),
    cut_rule(
        "adagrad", updates.AdaGrad, "G ← G + g², d = g / (√G + ε), G = 0 at first, ε = 1e-10", "G is state['squares']",
        edit("root forgotten", ROOT, ("squares.sqrt()", "squares")),
        forget("G not kept", ".add_(gradient**2)", ".add(gradient**2)"),
        edit("ε under the root", UNDER, ("(squares.sqrt() + self.epsilon)", "(squares + self.epsilon).sqrt()")),
        edit("square forgotten", SQUARE, ("gradient**2", "gradient.abs()")),
        edit("ε forgotten", "without ε a gradient of 0 gives 0/0", (" + self.epsilon", "")),
    ),
    cut_rule(
        "rmsprop", updates.RMSprop, "G ← ρ G + (1 − ρ) g², d = g / (√G + ε), G = 0 at first, ρ = 0.99, ε = 1e-8",
        "G is state['squares']",
        edit("root forgotten", ROOT, ("squares.sqrt()", "squares")),
        edit("1 − ρ forgotten", "G ← ρ G + g²: G grows to 1/(1 − ρ) = 100 times the mean square",
             ("(1 - self.decay) * ", "")),
        edit("ρ and 1 − ρ swapped", "G ← (1 − ρ) G + ρ g²: nearly everything is forgotten at once",
             (".mul_(self.decay).add_((1 - self.decay) *", ".mul_(1 - self.decay).add_(self.decay *")),
        edit("AdaGrad's sum", "G ← G + g²: nothing is forgotten, which is AdaGrad",
             (".mul_(self.decay)", ""), ("(1 - self.decay) * ", "")),
        edit("ε under the root", UNDER, ("(squares.sqrt() + self.epsilon)", "(squares + self.epsilon).sqrt()")),
        forget("G not kept", ".mul_(self.decay).add_(", ".mul(self.decay).add("),
        edit("ε forgotten", "without ε a gradient of 0 gives 0/0", (" + self.epsilon", "")),
    ),
    cut_rule(
        "adam", updates.Adam,
        "m ← β₁ m + (1 − β₁) g, G ← β₂ G + (1 − β₂) g², d = m̂ / (√Ĝ + ε), m̂ = m/(1 − β₁ᵗ), Ĝ = G/(1 − β₂ᵗ),\n"
        "t = 1, 2, … counts the steps, m = G = 0 at first, β₁ = 0.9, β₂ = 0.999, ε = 1e-8",
        "t is self.steps; m and G are state['mean'] and state['squares']",
        edit("bias correction forgotten", "m and G start at 0 and are too small at first: m̂ and Ĝ undo that",
             ("mean / (1 - self.beta1**self.steps)", "mean"), ("squares / (1 - self.beta2**self.steps)", "squares")),
        edit("bias correction of G forgotten", "only m is corrected for its start at 0",
             ("squares / (1 - self.beta2**self.steps)", "squares")),
        edit("bias correction of m forgotten", "only G is corrected for its start at 0",
             ("mean / (1 - self.beta1**self.steps)", "mean")),
        edit("t stays 1", "the bias correction divides by 1 − β at every step, as if each were the first",
             ("**self.steps", "")),
        edit("root forgotten", ROOT, ("squares_hat.sqrt()", "squares_hat")),
        edit("ε under the root", UNDER,
             ("(squares_hat.sqrt() + self.epsilon)", "(squares_hat + self.epsilon).sqrt()")),
        edit("β₁ and β₂ swapped", "β₁ = 0.9 belongs to m and β₂ = 0.999 to G",
             ("self.beta1", "self.swapped"), ("self.beta2", "self.beta1"), ("self.swapped", "self.beta2")),
        edit("1 − β forgotten", "m ← β₁ m + g and G ← β₂ G + g²: sums and not means",
             ("(1 - self.beta1) * ", ""), ("(1 - self.beta2) * ", "")),
        forget("m and G not kept", ").add_(", ").add("),
        edit("m not used", "the gradient itself is divided by √Ĝ + ε, without its mean",
             ("return mean_hat", "return gradient")),
        edit("square forgotten", SQUARE, ("gradient**2", "gradient")),
    ),
    cut_rule(
        "adamw", updates.AdamW, "w ← (1 − rate · λ) w before Adam's step on g, λ = 0.01", "",
        edit("λw added to the gradient", "Adam divides it by √Ĝ then: that is an L2 penalty, and not decoupled decay",
             ("parameter *= 1 - along_runs(rate, parameter) * self.decay", "pass"),
             ("gradients, rate)", "{n: g + self.decay * parameters[n] for n, g in gradients.items()}, rate)")),
        edit("decay forgotten", "this is plain Adam",
             ("parameter *= 1 - along_runs(rate, parameter) * self.decay", "pass")),
        edit("rate forgotten", "w ← (1 − λ) w: a lower rate decays as much", ("along_runs(rate, parameter) * ", "")),
        edit("wrong sign", "w ← (1 + rate · λ) w: the weights grow", ("1 - along_runs", "1 + along_runs")),
        edit("λ taken twice", "w ← (1 − rate · 2λ) w: 2λw is the gradient of a penalty λw²",
             ("* self.decay", "* 2 * self.decay")),
        edit("λ subtracted", "w ← w − rate · λ: the same for large and small weights",
             ("parameter *= 1 - along_runs(rate, parameter) * self.decay",
              "parameter -= along_runs(rate, parameter) * self.decay")),
        asked="the step of AdamW: Adam's own, which is there, and the decay beside it", piece="step",
    ),
    cut_function(
        "clipping", "three-descents", "the gradients, clipped by their common norm or entry by entry",
        "by norm g ← g · min(1, c / (‖g‖ + 1e-6)) with ‖g‖ over all parameters, c = self.norm;\n"
        "by value each entry into [−c, c], c = self.value",
        "gradients by name; one of self.norm and self.value is None; the first `lead` axes index runs (none here)",
        ("weight", "bias", "norm", "value"), updates.Clipping, ("clip",), draw_gradients,
        edit("each parameter by itself", "every parameter is scaled by its own norm, which turns the direction",
             ("along_runs(factor, gradient)",
              "(self.norm / (torch.linalg.vector_norm(gradient) + 1e-6)).clamp(max=1.0)")),
        edit("short gradients grow", "a gradient shorter than c is left as it is: the factor is at most 1",
             (".clamp(max=1.0)", "")),
        edit("norms added", "‖g‖ is the root of the sum of the squared norms, not the sum of the norms",
             ("torch.linalg.vector_norm(torch.stack(norms), dim=0)", "torch.stack(norms).sum(0)")),
        edit("norm squared", "g is divided by ‖g‖², not by ‖g‖", ("(norm + 1e-6)", "(norm**2 + 1e-6)")),
        edit("one side only", "entries below −c are clipped as well", ("-self.value, self.value", "max=self.value")),
        through=clip_both,
    ),
)  # fmt: skip
