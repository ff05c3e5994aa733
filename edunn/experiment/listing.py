"""Lists the runs in a folder, newest first, and the runs of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import EdunnError, RunError
from ..results import Table
from .folder import REQUEST, RunFolder

DEEPEST = 3  # folders inside one another that are looked into


def is_run(path: str | Path) -> bool:
    """Returns whether a path is the folder of one training run."""
    return RunFolder(path).begun()


def find_runs(path: str | Path) -> list[RunFolder]:
    """Returns the runs, sweeps and landscapes in a folder and below it; the folder itself if it is one of them."""
    path = Path(path)
    if not path.is_dir():
        raise RunError(f"{path} has no config.toml. {RunFolder(path).state()} Train a run first: edunn train CONFIG.")
    found, waiting = [], [(path, 0)]
    while waiting:
        folder, depth = waiting.pop()
        own = RunFolder(folder)
        if own.begun() or own.has("sweep.csv") or own.has(REQUEST) or is_surface(own):
            found.append(own)
        elif depth < DEEPEST:
            try:
                inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
            except OSError as error:
                raise RunError(f"The folder {folder} cannot be read: {error.strerror}.") from None
            waiting += [(one, depth + 1) for one in inner]
    return sorted(found, key=lambda one: (changed(one), one.path.name), reverse=True)


def is_surface(folder: RunFolder) -> bool:
    return folder.has("surface.npz") and folder.has("summary.json")


def changed(folder: RunFolder) -> float:
    """Returns when the folder's newest result was written, in seconds."""
    times = [
        folder.file(name).stat().st_mtime
        for name in ("summary.json", "metrics.jsonl", "checkpoint.safetensors", "config.toml", REQUEST)
        if folder.has(name)
    ]
    return max(times, default=0.0)


def list_runs(found: Sequence[RunFolder]) -> Table:
    """Returns a table with a row for each run, newest first; for one sweep, a row for each of its runs."""
    if len(found) == 1 and found[0].has("sweep.csv") and found[0].has("summary.json"):
        return sweep_table(found[0])
    records = [describe(folder) for folder in found]
    columns = ["run", "kind", "status", "epochs", "train", "validation", "test", "metric"]
    known = [name for name in columns if any(record.get(name) is not None for record in records)]
    formats = dict.fromkeys(("train", "validation", "test"), ".4f")
    table = Table.of(records, known)
    return Table(table.columns, table.rows, f"{len(found)} in all, newest first", formats=formats)


def describe(folder: RunFolder) -> dict[str, Any]:
    """Returns what a row of the list shows; a damaged folder is named so."""
    kind = "sweep" if folder.has("sweep.csv") else "landscape" if is_surface(folder) else "run"
    record: dict[str, Any] = {"run": str(folder.path), "kind": kind}
    try:
        if folder.has(REQUEST):
            return record | {"kind": folder.read_json(REQUEST).get("command"), "status": "interrupted"}
        if not folder.has("summary.json"):
            return record | {"status": "interrupted"}
        summary = folder.read_json("summary.json")
    except EdunnError:
        return record | {"status": "damaged"}
    if kind == "sweep":
        best = summary.get("best") or {}
        metric = next((key.removeprefix("test_") for key in summary if key.startswith("test_")), "accuracy")
        record |= {"status": f"{len(summary.get('runs') or [])} runs", "metric": metric, "train": best.get(metric),
                   "validation": best.get(f"validation_{metric}"), "test": summary.get(f"test_{metric}"),
                   "epochs": best.get("epochs")}  # fmt: skip
    elif kind == "run":
        metric = "r2" if "train_r2" in summary else "accuracy"
        record |= {"status": summary.get("status"), "epochs": summary.get("epochs"), "metric": metric}
        record |= {part: summary.get(f"{part}_{metric}") for part in ("train", "validation", "test")}
    else:
        record |= {"status": "finished"}
    return record


def sweep_table(folder: RunFolder) -> Table:
    """Returns the runs of a sweep as it printed them, the best marked."""
    summary = folder.read_json("summary.json")
    runs = [dict(row) for row in summary.get("runs") or [] if isinstance(row, dict)]
    if not runs:
        raise RunError(f"The sweep in {folder.path} has no runs.")
    columns = [name for name in runs[0] if name != "best"]
    rows = [[*(row.get(name) for name in columns), "← best" if row.get("best") else ""] for row in runs]
    note = f"again: edunn train {folder.file('best.toml')}" if folder.has("best.toml") else ""
    return Table([*(name.rpartition(".")[2] for name in columns), ""], rows, note, f"sweep {folder.path}")
