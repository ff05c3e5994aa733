"""Measures dead units and vanishing gradients of a net, layer by layer, while it trains.

watch = Watch(model, loss, samples[:512])
descend(model, loss, samples, rate=0.1, after_epoch=watch)
print(watch)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ..activations import Activation
from ..data import Samples
from ..layers import Chain
from ..losses import Loss
from ..models import evaluating
from ..results import Record, Table
from .journal import Progress

SATURATED = 0.01  # a slope below this share of the steepest one counts as flat
VANISHING = 1e-3  # a first layer's gradient below this share of the last layer's vanishes


@dataclass(frozen=True)
class Layer:
    """Measurements of one layer on some samples.

    `mean`, `spread` : mean and standard deviation of its outputs
    `dead` : for an activation, the share of its units whose derivative is 0 for every sample: no gradient passes them,
        and the weights that feed them stay as they are
    `saturated` : the share of its values where the derivative is below a hundredth of the steepest one
    `gradient` : root mean square of ∂ℓ_i/∂(its input), for the loss ℓ_i of one sample
    """

    layer: str
    kind: str
    mean: float
    spread: float
    gradient: float
    dead: float | None = None
    saturated: float | None = None


@torch.no_grad()
def layers(model: Chain, loss: Loss, samples: Samples) -> list[Layer]:
    """Measures each layer of a chain, from the data to the scores. The model does not change."""
    assert samples.targets is not None
    with evaluating(model):
        scores = model(samples.features)
        upstream = loss.gradient(scores, samples.targets, samples.sample_weight) * len(samples)
        if scores.ndim == 1:
            upstream, scores = upstream.unsqueeze(-1), scores.unsqueeze(-1)
        rows: list[Layer] = []
        outputs = [*model.inputs[1:], scores]
        chain = list(zip(model.named_children(), model.inputs, outputs, strict=True))
        for (name, layer), given, output in reversed(chain):
            upstream = layer.input_gradient(given, upstream)
            dead = saturated = None
            if isinstance(layer, Activation):
                slopes = layer.derivative(given).abs()
                dead = float((slopes == 0).all(0).double().mean())
                saturated = float((slopes < SATURATED * slopes.max()).double().mean())
            kind, rms = type(layer).__name__, float(upstream.double().square().mean().sqrt())
            rows.append(Layer(name, kind, float(output.mean()), float(output.std()), rms, dead, saturated))
        return rows[::-1]


def warnings(rows: list[Layer]) -> list[str]:
    """Returns a sentence for each problem, with what usually helps."""
    found = []
    for row in rows:
        if row.dead is not None and row.dead >= 0.1:
            found.append(
                f"{row.layer}: {row.dead:.0%} of its units are dead, 0 for every sample; "
                f"a lower rate, leaky-relu, or the kaiming start keep them alive."
            )
        elif row.saturated is not None and row.kind in ("Sigmoid", "Tanh") and row.saturated >= 0.5:
            found.append(
                f"{row.layer}: {row.saturated:.0%} of its values are saturated, where {row.kind.lower()} is flat; "
                f"smaller starting weights, standardised features or batch normalisation help."
            )
    top, bottom = rows[-1].gradient, rows[0].gradient
    if bottom < VANISHING * top:
        found.append(
            f"{rows[0].layer}: the gradient that arrives is {bottom / top if top else 0.0:.1e} of the one at the top: "
            f"it vanishes on its way down; relu, the kaiming or xavier start, or batch normalisation help."
        )
    return found


@dataclass(repr=False)
class Watch(Record):
    """Measures every layer after each epoch: pass it to `descend` as `after_epoch`.

    `rows` has a dictionary for each layer and epoch, `warnings` the sentences of the last epoch.
    """

    model: Chain
    loss: Loss
    samples: Samples
    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        found = layers(self.model, self.loss, self.samples)
        self.rows += [{"epoch": progress.epoch, **asdict(row)} for row in found]
        self.warnings = warnings(found)

    def table(self) -> Table:
        """Returns one row for each layer and epoch, with the warnings below."""
        columns = ("epoch", "layer", "mean", "spread", "gradient", "dead", "saturated")
        formats = {"mean": ".3g", "spread": ".3g", "gradient": ".2e", "dead": ".0%", "saturated": ".0%"}
        return Table(
            [*columns], [[row[c] for c in columns] for row in self.rows], "\n".join(self.warnings), "", formats
        )
