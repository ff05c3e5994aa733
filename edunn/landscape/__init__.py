"""Loss landscapes: the exact surface of a loss over (w, b), or over any plane of a model's weights.

surface = edunn.landscape.grid(x, y, loss, w=(-20, 20, 2048), b=(-20, 20, 2048))
surface = edunn.landscape.plane(model, loss, samples, first=d1, second=d2, a=(-1, 1, 256), b=(-1, 1, 256))
surface.minima(); surface.plateaus(1e-3); surface.convex(); surface.basins(rate=1.0, steps=3000)
surface.report(basins=True)                      # all of them in one record, for a table, figures or JSON
"""

from . import analysis as analysis
from . import directions as directions
from . import study as study
from .build import grid as grid
from .build import line, plane
from .descents import Paths, paths
from .directions import filter_normalised, hessian, principal, random, towards
from .report import Report
from .surface import Surface

__all__ = [
    "Paths",
    "Report",
    "Surface",
    "analysis",
    "directions",
    "filter_normalised",
    "grid",
    "hessian",
    "line",
    "paths",
    "plane",
    "principal",
    "random",
    "study",
    "towards",
]
