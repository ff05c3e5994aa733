"""Features: what is made of the samples before a model sees them."""

from .colour import hue_histogram, rgb_histogram
from .kinds import combination
from .pixels import pixels
from .standardise import Standardise

__all__ = ["Standardise", "combination", "hue_histogram", "pixels", "rgb_histogram"]
