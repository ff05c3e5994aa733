"""The steps of a linear model restated for speed, here and nowhere else; `descent.ByHand` is the oracle."""

from .captured import Captured
from .singles import Singles
from .step import FastStep, value_and_upstream

__all__ = ["Captured", "FastStep", "Singles", "value_and_upstream"]
