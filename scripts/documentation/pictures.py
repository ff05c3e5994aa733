"""The pictures of the topics that no lesson draws: each from the package's own losses, layers, rules and models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

import edunn
from edunn.activations import ACTIVATIONS, LeakyReLU, ReLU, Sigmoid, Step, Tanh
from edunn.figures import decision_regions, save
from edunn.figures.lessons import panels
from edunn.figures.style import BLACK, BLUE, COLOURS, GREEN, GREY, ORANGE, PURPLE, VERMILLION, axes_for, tidy
from edunn.layers import BatchNorm
from edunn.losses import AbsoluteError, CrossEntropy, Hinge, Huber, Logistic, MulticlassHinge, Perceptron, ZeroOne
from edunn.models import LinearRegression
from edunn.neighbours import NearestNeighbours
from edunn.penalties import L1, L2
from edunn.updates import Adam, GradientDescent, Momentum, RMSprop

DOUBLE = torch.float64
SCORES, CLASSES = torch.tensor([[3.2, 5.1, -1.7]], dtype=DOUBLE), ("cat", "car", "frog")
TARGET = torch.tensor([0])
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def margin_losses() -> Axes:
    """The losses of two classes against the margin y·s."""
    margin = torch.linspace(-2.5, 2.5, 1001, dtype=DOUBLE)
    ones = torch.ones_like(margin)
    axes = axes_for(None, 7.2, 4.4)
    losses = {"zero-one": ZeroOne(), "hinge": Hinge(), "squared hinge": Hinge(power=2), "logistic": Logistic(),
              "perceptron": Perceptron()}  # fmt: skip
    for k, (name, loss) in enumerate(losses.items()):
        values = loss.pointwise(margin, ones).numpy()
        axes.plot(margin, values, linestyle=DASHES[k], color=(BLACK, *COLOURS)[k], linewidth=1.8, label=name)
    axes.axvspan(-2.5, 0, color=VERMILLION, alpha=0.07, linewidth=0)
    axes.text(-1.25, 0.12, "wrong side", color=VERMILLION, ha="center")
    axes.text(1.75, 0.3, "right side", color=BLUE, ha="center")
    axes.set_ylim(-0.1, 5)
    tidy(axes, "What a sample pays for its margin", "margin y·s: score times label ±1", "loss of the sample")
    axes.legend(frameon=False)
    return axes


def softmax_gradient() -> Axes:
    """Scores, their exponentials, probabilities, and the pull p − 1(j = y)."""
    axes = panels(1, 4, 2.7, 3.0)
    p = SCORES.softmax(-1)
    pull = CrossEntropy().pointwise_gradient(SCORES, TARGET)
    bars = {"scores s": SCORES, "$e^s$": SCORES.exp(), "p = $e^s$ / sum": p, "gradient p − 1(j = y)": pull}
    for ax, (name, values) in zip(axes, bars.items(), strict=True):
        heights = values[0].numpy()
        drawn = ax.bar(CLASSES, heights, color=[VERMILLION if h < 0 else BLUE for h in heights], width=0.6)
        ax.bar_label(drawn, [f"{h:.3g}".replace("-", "−") for h in heights], padding=2, fontsize="small")
        ax.axhline(0, color=BLACK, linewidth=0.8)
        ax.margins(y=0.18)
        tidy(ax, name, "", "", grid=False)
    axes[0].set_xlabel("the image is a cat")
    axes[3].set_xlabel("descent lifts cat, lowers car")
    return axes[0]


def who_pays() -> Axes:
    """The scores of one image, the line that rivals may not cross, and what is above it."""
    axes = axes_for(None, 6.4, 4.2)
    scores, target, margin = torch.tensor([[4.0, 5.1, 3.4, -1.7]], dtype=DOUBLE), 0, 1.0
    loss = MulticlassHinge(margin)
    names = ("cat (true)", "car", "deer", "frog")
    line = float(scores[0, target]) - margin
    axes.bar(names, scores[0].numpy(), color=[BLUE, GREY, GREY, GREY], width=0.6, alpha=0.75)
    costs = loss.term_slopes(scores, torch.tensor([target]))[0] * loss.shortfall(scores, torch.tensor([target]))[0]
    for k, cost in enumerate(costs.tolist()):
        if cost > 0:
            axes.add_patch(Rectangle((k - 0.3, line), 0.6, cost, facecolor=VERMILLION, hatch="//", edgecolor="white"))
            axes.annotate(f"pays {cost:.1f}", (k, line + cost), xytext=(0, 3), textcoords="offset points", ha="center")
    axes.axhline(line, color=BLACK, linestyle="--", linewidth=1.2)
    axes.text(3.45, line + 0.1, "true score − Δ", ha="right")
    axes.axhline(0, color=BLACK, linewidth=0.8)
    total = float(loss.pointwise(scores, torch.tensor([target])))
    tidy(
        axes,
        f"Multiclass hinge, Δ = 1: every rival pays for what it has above the line; together {total:.1f}",
        "",
        "score",
    )
    axes.set_ylim(-2, 6)
    return axes


def outlier() -> Axes:
    """One wild target among points on a line, and three losses' lines through them; beside it the three slopes."""
    left, right = panels(1, 2, 5.2, 3.9)
    draw = torch.Generator().manual_seed(3)
    x = torch.linspace(0, 4, 14, dtype=DOUBLE)[:, None]
    y = 1 + 0.8 * x[:, 0] + 0.25 * torch.randn(14, dtype=DOUBLE, generator=draw)
    y[12] = 14.0
    samples = edunn.Samples(x, y)
    left.scatter(x[:, 0], y, color=GREY, zorder=3, label="samples, one of them wild")
    residual = torch.linspace(-4, 4, 401, dtype=DOUBLE)
    losses = {
        "squared error": edunn.losses.SquaredError(half=True),
        "absolute error": AbsoluteError(),
        "Huber, δ = 1": Huber(),
    }
    for k, (name, loss) in enumerate(losses.items()):
        model = LinearRegression(1, dtype=DOUBLE)
        schedule = edunn.updates.LinearDecay()
        edunn.descend(model, loss, samples, rate=0.1, epochs=3000, schedule=schedule, evaluate=0)
        style = {"color": COLOURS[k], "linestyle": DASHES[k], "linewidth": 1.8}
        left.plot(x[:, 0], model(x).detach(), label=name, **style)
        right.plot(residual, loss.pointwise_gradient(residual, torch.zeros_like(residual)), label=name, **style)
    tidy(left, "Where the line goes", "x", "y")
    tidy(right, "How hard a residual pulls", "residual s − y", "slope of the loss")
    left.legend(frameon=False, fontsize="small")
    right.legend(frameon=False, fontsize="small")
    return left


def shrinkage() -> Axes:
    """The weights of a fit as the penalty grows: L2 shrinks them all, L1 one after the other to exactly 0."""
    axes = panels(1, 2, 5.0, 3.6, sharey=None)
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(60, 5, dtype=DOUBLE, generator=draw)
    truth = torch.tensor([3.0, -2.0, 1.0, 0.5, 0.0], dtype=DOUBLE)
    samples = edunn.Samples(features, features @ truth + 0.3 * torch.randn(60, dtype=DOUBLE, generator=draw))
    strengths = np.geomspace(0.01, 10, 25)
    kinds = {"L2": L2, "L1, proximal": lambda strength: L1(strength, proximal=True)}
    for ax, (name, kind) in zip(axes, kinds.items(), strict=True):
        found = []
        for strength in strengths:
            model = LinearRegression(5, dtype=DOUBLE)
            rate = 0.4 / (2 + 2 * float(strength))
            edunn.descend(
                model, edunn.losses.SquaredError(), samples, rate=rate, epochs=400, penalty=kind(strength), evaluate=0
            )
            found.append(model.weight.detach()[0].clone())
        for k, path in enumerate(torch.stack(found).T):
            ax.plot(
                strengths, path, color=COLOURS[k], linestyle=DASHES[k], linewidth=1.8, label=f"true weight {truth[k]:g}"
            )
        ax.axhline(0, color=BLACK, linewidth=0.8)
        ax.set_xscale("log")
        tidy(ax, name, "strength λ", "weight" if ax is axes[0] else "")
    axes[0].legend(frameon=False, fontsize="small")
    return axes[0]


def linear_backward() -> Axes:
    """The three products of the linear layer's backward pass as boxes of the right shape."""
    axes = axes_for(None, 8.4, 5.0)
    samples, features, outputs, one = 1.9, 1.2, 0.7, 0.25
    rows = {
        "∂L/∂W = Uᵀ x": [("Uᵀ", outputs, samples), ("x", samples, features), ("∂L/∂W", outputs, features)],
        "∂L/∂x = U W": [("U", samples, outputs), ("W", outputs, features), ("∂L/∂x", samples, features)],
        "∂L/∂b = Uᵀ 1": [("Uᵀ", outputs, samples), ("1", samples, one), ("∂L/∂b", outputs, one)],
    }
    size = {samples: "N", features: "D", outputs: "C", one: "1"}
    for row, (title, boxes) in enumerate(rows.items()):
        middle, left = -2.75 * row, 0.0
        axes.text(-3.1, middle, title, va="center", fontsize="large")
        for (name, height, width), colour, sign in zip(boxes, (ORANGE, BLUE, GREEN), ("·", "=", ""), strict=True):
            box = Rectangle((left, middle - height / 2), width, height, facecolor=colour, alpha=0.35, edgecolor=BLACK)
            axes.add_patch(box)
            below = width == one  # too narrow for its name
            at = middle - height / 2 - 0.06 if below else middle
            axes.text(left + width / 2, at, name, ha="center", va="top" if below else "center")
            axes.text(left + width / 2, middle + height / 2 + 0.06, size[width], ha="center", va="bottom", color=GREY)
            axes.text(left - 0.08, middle, size[height], ha="right", va="center", color=GREY)
            axes.text(left + width + 0.42, middle, sign, ha="center", va="center", fontsize="x-large")
            left += width + 1.15
    axes.set_xlim(-3.2, 7.4)
    axes.set_ylim(-6.9, 1.4)
    axes.set_aspect("equal")
    axes.axis("off")
    title = "N samples, D features, C outputs, U = ∂L/∂scores: only so do the shapes fit"
    axes.set_title(title, loc="left", fontsize="medium")
    return axes


def activations() -> Axes:
    """Five activations, each with its derivative."""
    axes = panels(1, 5, 2.6, 2.9)
    z = torch.linspace(-4, 4, 801, dtype=DOUBLE)
    for ax, f in zip(axes, (Sigmoid(), Tanh(), ReLU(), LeakyReLU(0.1), Step()), strict=True):
        ax.plot(z, f(z), color=BLUE, linewidth=1.8, label="f(z)")
        ax.plot(z, f.derivative(z), color=ORANGE, linestyle="--", linewidth=1.8, label="f'(z)")
        name = next(name for name, kind in ACTIVATIONS.items() if kind is type(f))
        tidy(ax, name, "z", "")
        ax.set_ylim(-1.15, 1.6)
    axes[0].legend(frameon=False, fontsize="small", loc="upper left")
    return axes[0]


def batch_normalisation() -> Axes:
    """A batch before and after: each feature gets mean 0 and deviation 1."""
    left, right = panels(1, 2, 4.6, 3.7)
    draw = torch.Generator().manual_seed(1)
    batch = torch.randn(80, 2, dtype=DOUBLE, generator=draw) * torch.tensor([4.0, 0.7]) + torch.tensor([7.0, -3.0])
    layer = BatchNorm(2, dtype=DOUBLE)
    for ax, points, title in ((left, batch, "before: x"), (right, layer(batch).detach(), "after: (x − μ) / √(σ² + ε)")):
        ax.scatter(points[:, 0], points[:, 1], s=18, color=BLUE)
        mean, deviation = points.mean(0), points.std(0, correction=0)
        ax.errorbar(
            *mean.tolist(), xerr=float(deviation[0]), yerr=float(deviation[1]), color=VERMILLION, linewidth=2, capsize=4
        )
        ax.set_xlim(-6, 20)
        ax.set_ylim(-6, 5)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.axvline(0, color=GREY, linewidth=0.8)
        tidy(ax, f"{title}\nred: mean and deviation of the batch", "feature 1", "feature 2", grid=False)
    return left


def rules() -> Axes:
    """Four update rules on one long valley, from one start: as many steps each."""
    axes = panels(2, 2, 5.0, 2.9)
    curvature, steps = torch.tensor([1.0, 20.0], dtype=DOUBLE), 40
    x, y = np.linspace(-10.5, 2.5, 200), np.linspace(-2.8, 2.8, 200)
    heights = 0.5 * (x[None] ** 2 + 20 * y[:, None] ** 2)
    kinds = {"gradient descent, rate 0.09": (GradientDescent(), 0.09), "momentum 0.8, rate 0.02": (Momentum(0.8), 0.02),
             "RMSprop, rate 0.25": (RMSprop(0.9), 0.25), "Adam, rate 0.5": (Adam(0.9, 0.99), 0.5)}  # fmt: skip
    for k, (ax, (name, (rule, rate))) in enumerate(zip(axes, kinds.items(), strict=True)):
        place = {"w": torch.tensor([-9.0, 2.0], dtype=DOUBLE)}
        path = [place["w"].clone()]
        for _ in range(steps):
            rule.step(place, {"w": curvature * place["w"]}, rate)
            path.append(place["w"].clone())
        walked = torch.stack(path)
        ax.contour(x, y, heights, levels=np.geomspace(0.5, 120, 10), colors=GREY, linewidths=0.6)
        ax.plot(walked[:, 0], walked[:, 1], marker=".", color=(BLUE, ORANGE, GREEN, PURPLE)[k], linewidth=1.3)
        ax.plot(0, 0, "*", color=VERMILLION, markersize=13, zorder=5)
        left = float(0.5 * (curvature * walked[-1] ** 2).sum())
        tidy(ax, f"{name}\nloss {left:.2g} after {steps} steps (0 at the star)", "", "", grid=False)
    return axes[0]


def neighbours() -> Axes:
    """The same samples with one neighbour, and with fifteen."""
    axes = panels(1, 2, 4.8, 3.9)
    moons = edunn.data.TOYS["moons"](samples=200, noise=0.3)
    assert moons.targets is not None
    for ax, k in zip(axes, (1, 15), strict=True):
        model = NearestNeighbours(k).fit(moons.features, moons.targets)
        decision_regions(model, moons, ax)
        right = float(model.score(moons.features, moons.targets))
        tidy(ax, f"k = {k}: {100 * right:.0f} % of its own samples right", "x₁", "x₂", grid=False)
    return axes[0]


def stable_rates() -> Axes:
    """One parabola, four rates on both sides of 2/λ: creeps, arrives, zigzags, is thrown out."""
    axes = panels(1, 4, 2.8, 3.0)
    w = np.linspace(-3.2, 3.2, 200)
    for ax, share in zip(axes, (0.2, 1.0, 1.9, 2.1), strict=True):
        path = [2.0]
        for _ in range(8):
            path.append(path[-1] * (1 - share))
        places = np.array(path)
        ax.plot(w, 0.5 * w**2, color=GREY, linewidth=1.2)
        ax.plot(
            places, 0.5 * places**2, marker="o", markersize=4, color=VERMILLION if share > 2 else BLUE, linewidth=1.1
        )
        ax.set_ylim(-0.3, 5.3)
        ax.set_xlim(-3.3, 3.3)
        factor = f"{1 - share:.1f}".replace("-", "−")
        tidy(ax, f"rate · λ = {share:g}\nerror × {factor} a step", "w", "", grid=False)
    return axes[0]


PICTURES: dict[str, Callable[[], Axes]] = {
    draw.__name__: draw
    for draw in (
        margin_losses, softmax_gradient, who_pays, outlier, shrinkage, linear_backward, activations,
        batch_normalisation, rules, neighbours, stable_rates,
    )
}  # fmt: skip


def write(folder: Path) -> None:
    """Draws them all as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        save(draw(), folder / f"{name}.png", dpi=80)
