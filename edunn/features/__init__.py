"""Features: the numbers that a model learns from, computed from images and tables."""

from ..runtime.guesses import public
from .colour import hue_histogram, rgb_histogram
from .kinds import combination
from .pixels import pixels
from .standardise import Standardise

__all__ = ["Standardise", "combination", "hue_histogram", "pixels", "rgb_histogram"]
__getattr__, __dir__ = public(__name__, __all__)
