"""Figures of runs, models, weights, loss surfaces, features and lessons.

Every function takes `ax=None` and returns the Axes. Without `ax` it makes a figure without pyplot: no backend
is chosen, no window opens, rcParams do not change, and the figure is freed with its last reference. A
notebook shows the returned Axes as a picture; `save(ax, "loss.png")` writes it.
"""

from .features import hog_glyphs, loss_against_score, patch_dictionary, strength_curves
from .graphs import computation_graph
from .images import image_grid, templates
from .models import confusion_matrix, decision_regions, fitted_line
from .rates import rate_range
from .runs import accuracy_curves, loss_curves
from .steps import descent_path, step_study
from .style import save
from .surfaces import basin_map, comparison, contour, cuts, gradient_field, report_figures, surface_3d
from .sweeps import sweep_map

__all__ = [
    "accuracy_curves",
    "basin_map",
    "comparison",
    "computation_graph",
    "confusion_matrix",
    "contour",
    "cuts",
    "decision_regions",
    "descent_path",
    "fitted_line",
    "gradient_field",
    "hog_glyphs",
    "image_grid",
    "loss_against_score",
    "loss_curves",
    "patch_dictionary",
    "rate_range",
    "report_figures",
    "save",
    "step_study",
    "strength_curves",
    "surface_3d",
    "sweep_map",
    "templates",
]
