# %% [markdown]
# Regularisation seen: a model that learns 150 digits by heart, the fifth that is mislabelled too, and what cures it.
#
#     python scripts/regularisation.py [--out FOLDER]
#
# 1. Training and validation part against strength, for L2, L1, elastic net, max-norm and dropout.
# 2. The over-fitted curve and its cure. 3. The weights as images, before and after.

# %%
from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import edunn
from edunn import figures
from edunn.data import Samples
from edunn.losses import CrossEntropy
from edunn.models import SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L1, L2, ElasticNet, MaxNorm, Penalty
from edunn.updates import Momentum

digits = edunn.data.digits()
rest, validation = digits.train[:150], digits.train[150:]
assert rest.targets is not None
generator = torch.Generator().manual_seed(0)
wrong = torch.rand(150, generator=generator) < 0.2  # a fifth of the labels is another digit's
other = (rest.targets + torch.randint(1, 10, (150,), generator=generator)) % 10
train = replace(rest, targets=torch.where(wrong, other, rest.targets))

PENALTIES: dict[str, tuple[list[float], Callable[[float], Penalty]]] = {
    "L2": ([0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1], lambda strength: L2(strength)),
    "L1": ([0, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1], lambda strength: L1(strength, proximal=True)),
    "elastic net": ([0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2], lambda strength: ElasticNet(strength, beta=1.0)),
    "max-norm": ([0.3, 1, 2, 3, 10, 30], lambda limit: MaxNorm(limit)),
}


def scores(model: Any, part: Samples) -> float:
    assert part.targets is not None
    return float(model.score(part.features, part.targets))


# %%
def softmax(penalty: Penalty | None, epochs: int = 200, evaluate: int = 0) -> tuple[SoftmaxClassifier, edunn.History]:
    """Softmax regression on the 150 digits, to the end of what it can learn from them."""
    model = SoftmaxClassifier(64, 10)
    history = edunn.descend(
        model, CrossEntropy(), train, rate=0.3, batch_size=50, epochs=epochs, penalty=penalty, rule=Momentum(),
        validation=validation, evaluate=evaluate,
    )  # fmt: skip
    return model, history


def net(dropout: float) -> TwoLayerNet:
    """Two layers with far more units than 150 digits need."""
    model = TwoLayerNet(64, 10, hidden=300, dropout=dropout)
    edunn.descend(model, CrossEntropy(), train, rate=0.1, batch_size=50, epochs=60, rule=Momentum(), evaluate=0)
    return model


# %%
def against_strength(out: Path) -> dict[str, Any]:
    """One figure a regulariser, and the best of each on the validation part."""
    best: dict[str, Any] = {}
    for name, (strengths, make) in PENALTIES.items():
        models = [softmax(make(strength) if strength else None)[0] for strength in strengths]
        best[name] = draw(out, name, strengths, models, "limit" if name == "max-norm" else "strength")
    shares = [0.0, 0.2, 0.4, 0.6, 0.8, 0.95]
    best["dropout"] = draw(out, "dropout", shares, [net(share) for share in shares], "share dropped")
    return best


def draw(out: Path, name: str, strengths: list[float], models: list[Any], what: str) -> dict[str, float]:
    on_train, on_validation = [scores(m, train) for m in models], [scores(m, validation) for m in models]
    axes = figures.strength_curves(strengths, on_train, on_validation, what)
    title = f"{name}: 150 digits to learn from, a fifth mislabelled; {len(validation):,} to be judged by"
    axes.set_title(title, loc="left", fontsize="medium")
    figures.save(axes, out / f"{name.replace(' ', '_')}.png")
    chosen = max(range(len(models)), key=lambda i: on_validation[i])
    ends = f"{on_validation[0]:.3f} and {on_validation[-1]:.3f}"
    print(f"{name:<12} best {what} {strengths[chosen]:<6g} validation {on_validation[chosen]:.3f}; at the ends {ends}")
    return {"strength": strengths[chosen], "validation": on_validation[chosen], "first": on_validation[0]}


# %%
def cure(out: Path) -> dict[str, float]:
    """The loss of the validation part turns up again while the training part's falls; with L2 it does not."""
    ends = {}
    for name, penalty in (("overfitted", None), ("cured", L2(0.01))):
        model, history = softmax(penalty, epochs=300, evaluate=5)
        figures.save(figures.loss_curves(history), out / f"curve_{name}.png")
        images = figures.templates(model.weight.detach(), (8, 8), classes=digits.train.classes)
        figures.save(images, out / f"weights_{name}.png")
        column = history.evaluated("validation_loss")[1]
        ends |= {f"{name}_lowest": min(column), f"{name}_last": column[-1]}
        print(f"{name:<12} validation loss: lowest {min(column):.3f}, last {column[-1]:.3f}")
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description="Regularisation seen on 150 digits.")
    parser.add_argument("--out", default="runs/regularisation", help="folder for the pictures")
    out = Path(parser.parse_known_args()[0].out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # steps this small take longer when they are shared
    against_strength(out)
    cure(out)
    print(f"pictures in {out}")


if __name__ == "__main__":
    main()
