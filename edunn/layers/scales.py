"""How large the starting weights of a deep net should be: so that values neither die out nor blow up on their way."""

from __future__ import annotations

import math

from .. import errors
from ..activations import Activation, LeakyReLU, ReLU


def xavier(inputs: int, outputs: int) -> float:
    """√(2 / (inputs + outputs)): the standard deviation for tanh, sigmoid and identity.

    A linear layer multiplies the variance by inputs · σ² on the way up and by outputs · σ² on the way down; neither is
    1 for both, and this is the compromise. Glorot & Bengio 2010, eq. 12. torch: `nn.init.xavier_normal_`.
    """
    return math.sqrt(2 / (inputs + outputs))


def kaiming(inputs: int, slope: float = 0.0) -> float:
    """√(2 / ((1 + slope²) inputs)): the standard deviation for ReLU, and for leaky ReLU of that slope.

    ReLU sets half of its values to 0 and so halves the mean square; the 2 makes up for it. He et al. 2015, eq. 10 and
    15. torch: `nn.init.kaiming_normal_(a=slope)`.
    """
    return math.sqrt(2 / ((1 + slope**2) * inputs))


SCALES = ("auto", "xavier", "kaiming")


def starting_scale(kind: str | float, activation: Activation, inputs: int, outputs: int) -> float:
    """The standard deviation by name ("auto": kaiming for the ReLUs, else xavier), or a number as it is."""
    if isinstance(kind, int | float):
        return float(kind)
    if kind not in SCALES:
        raise errors.ConfigError(f"Expected a starting scale {', '.join(SCALES)} or a number; got {kind!r}.")
    if kind == "auto":
        kind = "kaiming" if isinstance(activation, ReLU | LeakyReLU) else "xavier"
    slope = activation.slope if isinstance(activation, LeakyReLU) else 0.0
    return kaiming(inputs, slope) if kind == "kaiming" else xavier(inputs, outputs)
