"""Figures of runs, models, weights, loss surfaces, features and lessons.

Every function takes `ax=None` and returns the Axes. Without `ax` it makes a new figure through pyplot, as seaborn does:
a notebook shows it, `plt.savefig` writes it, and `plt.show` opens it. Axes or a figure that were just made and are
empty are used: `plt.figure(figsize=(10, 4)); figures.loss_curves(history)`. With `ax` it draws there. rcParams stay as
they are. `save(ax, "loss.png")` writes the figure to a file.
"""

from ..runtime.guesses import public
from .certificates import gradient_errors
from .decisions import calibration_curve, class_report, mistakes, roc_curve, threshold_curves
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
    "calibration_curve",
    "class_report",
    "comparison",
    "computation_graph",
    "confusion_matrix",
    "contour",
    "cuts",
    "decision_regions",
    "descent_path",
    "fitted_line",
    "gradient_errors",
    "gradient_field",
    "hog_glyphs",
    "image_grid",
    "loss_against_score",
    "loss_curves",
    "mistakes",
    "patch_dictionary",
    "rate_range",
    "report_figures",
    "roc_curve",
    "save",
    "step_study",
    "strength_curves",
    "surface_3d",
    "sweep_map",
    "templates",
    "threshold_curves",
]
__getattr__, __dir__ = public(
    __name__,
    __all__,
    {
        "plot_loss": "It is loss_curves(history), or history.plot().",
        "plot_history": "It is loss_curves(history), or history.plot().",
        "learning_curve": "It is loss_curves(history), or history.plot().",
        "plot_surface": "It is surface_3d(surface), or surface.plot().",
        "surface": "It is surface_3d(surface), or surface.plot().",
        "plot_decision_boundary": "It is decision_regions(model, samples).",
        "decision_boundary": "It is decision_regions(model, samples).",
        "plot_confusion_matrix": "It is confusion_matrix(counts, classes), or metrics.class_report(…).plot().",
        "imshow": "Images are drawn by image_grid(images).",
        "show": "plt.show() of matplotlib opens the figures; save(ax, path) writes one.",
        "savefig": "It is save(ax, path).",
        "plot": "Results draw themselves: history.plot(), surface.plot(). dir(edunn.figures) lists all figures.",
    },
)
