"""Where edunn keeps what it may throw away: computed features, and data sets that were downloaded."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path | None:
    """`EDUNN_CACHE`, by default ~/.cache/edunn; None where it is set to nothing: then nothing is kept."""
    given = os.environ.get("EDUNN_CACHE")
    if given == "":
        return None
    return Path(given).expanduser() if given else Path.home() / ".cache" / "edunn"
