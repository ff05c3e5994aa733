"""Figures: what a run did, what a model learned, what its weights look like.

Every function takes `ax=None` and returns the Axes. Without `ax` it makes a figure of its own, apart from pyplot: no
backend is chosen, no window opens, rcParams stay as they are, and the figure is freed with its last reference. A
notebook shows the returned Axes as a picture; `save(ax, "loss.png")` writes it.
"""

from .features import hog_glyphs, loss_against_score, patch_dictionary, strength_curves
from .images import image_grid, templates
from .models import confusion_matrix, decision_regions, fitted_line
from .runs import accuracy_curves, loss_curves
from .style import save

__all__ = [
    "accuracy_curves",
    "confusion_matrix",
    "decision_regions",
    "fitted_line",
    "hog_glyphs",
    "image_grid",
    "loss_against_score",
    "loss_curves",
    "patch_dictionary",
    "save",
    "strength_curves",
    "templates",
]
