"""The table of mistakes. A new mistake is one line in one of its three parts.

The order is that of likelihood: where several explain a gradient, the first is named first.
"""

from __future__ import annotations

from . import layers, losses, terms
from .mistake import Mistake

MISTAKES: tuple[Mistake, ...] = terms.MISTAKES + losses.MISTAKES + layers.MISTAKES
