"""The rate-range test of a config, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import figures
from ..descent import Descent, RateRange, find_rate
from ..errors import ConfigError
from ..runtime.files import write_atomically
from .build import prepare
from .config import Config
from .folder import RunFolder
from .pictures import save_pictures


def find_rate_of(
    config: Config,
    out: str | Path | None = None,
    *,
    by: str = "fast",
    note: Callable[[str], None] = lambda _: None,
) -> tuple[RateRange, dict[str, Any]]:
    """Finds a rate for the run that a config describes. Returns the test, and its summary for JSON.

    The folder, runs/<name>-rates-<time> if not given, has rates.csv, summary.json and a picture. The config's own rate
    and schedule are not used.
    """
    folder = RunFolder(out) if out is not None else RunFolder.fresh(f"{config.run.name}-rates")
    folder.check_free()
    prepared = prepare(config)
    run = prepared.descent
    if not isinstance(run, Descent):
        raise ConfigError("Nearest neighbours are not trained and have no rate. Leave out --find-rate.")
    found = find_rate(
        prepared.model, prepared.loss, prepared.train, batch_size=run.batch_size, penalty=prepared.penalty,
        rule=run.rule, seed=run.seed, clip_norm=run.clip_norm, clip_value=run.clip_value, by=by,
    )  # fmt: skip
    folder.claim()
    try:
        write_atomically(folder.file("rates.csv"), found.table().csv())
        result = found.as_dict() | {"figures": [], "run_dir": str(folder.path)}
        folder.write_json("summary.json", result)
        result["figures"] = save_pictures([("rates", lambda: figures.rate_range(found))], folder, note)
        folder.write_json("summary.json", result)
    finally:
        folder.release()
    return found, result
