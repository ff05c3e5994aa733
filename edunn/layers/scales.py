"""The standard deviation of a deep net's starting weights, for values that neither vanish nor explode."""

from __future__ import annotations

import math

from .. import errors
from ..activations import Activation, LeakyReLU, ReLU


def xavier(inputs: int, outputs: int) -> float:
    """√(2 / (inputs + outputs)): the standard deviation for tanh, sigmoid and identity.

    A linear layer multiplies the variance by inputs · σ² on the way up and by outputs · σ² on the way down; this is the
    compromise between the two. Glorot & Bengio 2010, eq. 12. torch: `nn.init.xavier_normal_`.
    """
    return math.sqrt(2 / (inputs + outputs))


def kaiming(inputs: int, slope: float = 0.0) -> float:
    """√(2 / ((1 + slope²) inputs)): the standard deviation for ReLU, and for leaky ReLU of that slope.

    ReLU sets half of its values to 0, which halves the mean square; the 2 corrects that. He et al. 2015, eq. 10 and
    15. torch: `nn.init.kaiming_normal_(a=slope)`.
    """
    return math.sqrt(2 / ((1 + slope**2) * inputs))


SCALES = ("auto", "xavier", "kaiming")


def starting_scale(kind: str | float, activation: Activation, inputs: int, outputs: int) -> float:
    """Returns the standard deviation by name ("auto": kaiming for the ReLUs, else xavier), or the given number."""
    if isinstance(kind, int | float):
        return float(kind)
    if kind not in SCALES:
        raise errors.ConfigError(f"The starting scale is a number or one of {', '.join(SCALES)}; got {kind!r}.")
    if kind == "auto":
        kind = "kaiming" if isinstance(activation, ReLU | LeakyReLU) else "xavier"
    slope = activation.slope if isinstance(activation, LeakyReLU) else 0.0
    return kaiming(inputs, slope) if kind == "kaiming" else xavier(inputs, outputs)
