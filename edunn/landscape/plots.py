"""The figures of a surface and of its report, found by tab: `surface.plot.contour(path=history)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..results import Plots


class SurfacePlots(Plots):
    """The figures of a surface: see `edunn.figures` for their options. Each returns its Axes."""

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draws the surface in 3-D; a curve, if one of the coordinates has a single value."""
        return self.cuts(ax, **options) if min(self._result.values.shape) == 1 else self.surface(ax, **options)

    def surface(self, ax: Any = None, sections: Sequence[float] = (), **options: Any) -> Any:
        """Draws the surface in three dimensions."""
        from ..figures import surface_3d

        return surface_3d(self._result, ax, sections, **options)

    def contour(self, path: Any = None, ax: Any = None, **options: Any) -> Any:
        """Draws the surface from above, with its minima, and the path of a run: its history, or (steps, 2) points."""
        from ..figures import contour

        return contour(self._result, ax, path, **options)

    def cuts(self, ax: Any = None, at: Sequence[float] | None = None, **options: Any) -> Any:
        """Draws curves of the loss at fixed values of the second coordinate; by default in its middle."""
        from ..figures import cuts

        second = self._result.second
        return cuts(self._result, ax, (float(second[len(second) // 2]),) if at is None else at, **options)

    def gradient(self, ax: Any = None, **options: Any) -> Any:
        """Draws the direction of descent as arrows."""
        from ..figures import gradient_field

        return gradient_field(self._result, ax, **options)

    def basins(self, rate: float = 1.0, steps: int = 1000, ax: Any = None, **options: Any) -> Any:
        """Draws where gradient descent ends from every point."""
        from ..figures import basin_map

        return basin_map(self._result, self._result.basins(rate, steps), ax, **options)
