"""A surface that a command draws: its report, with what the summary and the figures say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..landscape import Report


class Drawing:
    """A surface's report, with its name, its title in figures, and further entries of the summary."""

    def __init__(self, name: str, title: str, report: Report, path: Any = None, **about: Any) -> None:
        self.name, self.title, self.report, self.path, self.about = name, title, report, path, about

    def summary(self) -> dict[str, Any]:
        """Returns the surface's part of summary.json: its loss, its window and its readings."""
        surface = self.report.surface
        axes = zip(surface.names, (surface.first, surface.second), strict=True)
        windows = {name: [float(axis[0]), float(axis[-1]), len(axis)] for name, axis in axes}  # low, high, count
        return self.about | windows | self.report.as_dict()
