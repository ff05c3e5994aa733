"""Features: what is made of the samples before a model sees them."""

from .pixels import pixels
from .standardise import Standardise

__all__ = ["Standardise", "pixels"]
