"""Writes a surface that turns with the mouse into one HTML file (plotly, from the extra `interactive`)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..runtime.files import write_atomically
from .records import Surface
from .style import array
from .surfaces import heights, pick_points

POINTS = 256  # along an axis: with plotly's own 4.6 MB the file stays below 10 MB


def surface_html(surface: Surface, path: str | Path, sections: Sequence[float] = (), title: str | None = None) -> Path:
    """Writes the surface, and its cuts, as a self-contained HTML file; a denser grid is reduced to 256 × 256."""
    try:
        plotly: Any = importlib.import_module("plotly.graph_objects")
    except ImportError:
        raise ConfigError(
            "Interactive figures need plotly, which is not installed. "
            "Install it: pip install 'edunn-torch[interactive]'"
        ) from None
    rows, columns = pick_points(surface, POINTS)
    x, y = array(surface.first)[rows], array(surface.second)[columns]
    z = heights(surface)[np.ix_(rows, columns)].astype(np.float32)
    figure = plotly.Figure(plotly.Surface(x=x, y=y, z=z.T, colorscale="Cividis", colorbar={"title": "loss"}))
    for at in sections:
        j = int(np.abs(array(surface.second) - at).argmin())
        cut = heights(surface)[rows, j]
        where = np.full(len(x), float(surface.second[j]))
        name = f"{surface.names[1]} = {float(surface.second[j]):g}"
        figure.add_trace(plotly.Scatter3d(x=x, y=where, z=cut, mode="lines", line={"width": 5}, name=name))
    scene = {"xaxis_title": surface.names[0], "yaxis_title": surface.names[1], "zaxis_title": "loss"}
    figure.update_layout(title=title or surface.loss, scene=scene, legend={"x": 0, "y": 1})
    path = Path(path)
    write_atomically(path, figure.to_html(include_plotlyjs=True, full_html=True))
    return path
