"""The steps of a linear model restated for speed, here and nowhere else; `descent.ByHand` is the oracle."""

from .captured import Captured
from .precisions import PRECISIONS
from .singles import Singles
from .step import FastStep, value_and_upstream
from .thin import Thin

__all__ = ["PRECISIONS", "Captured", "FastStep", "Singles", "Thin", "value_and_upstream"]
