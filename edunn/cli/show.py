"""Prints the summaries of runs side by side; with --out also draws their curves in one figure."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import add_common, emit, out_folder

if TYPE_CHECKING:
    from ..experiment import LoadedRun

EXAMPLE = "edunn show runs/digits_softmax-20260101-120000 runs/digits_svm-20260101-120100 --out compared"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder")
    add_common(parser, "a folder for the figures of all runs", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints the summaries of the runs, and draws their curves into --out. Returns 0."""
    from ..experiment import load

    runs = {name: load(path) for name, path in name_runs(args.runs).items()}
    figures = draw(runs, out_folder(args.out)) if args.out else []
    result: dict[str, Any] = {"runs": [r.summary for r in runs.values()], "figures": figures}
    text = str(next(iter(runs.values())).history) if len(runs) == 1 else ""
    emit(args, result, "\n\n".join(filter(None, [text, compare(runs)])) + "".join(f"\n{f}" for f in figures))
    return 0


def name_runs(paths: list[str]) -> dict[str, str]:
    """Returns each path by its folder's name; by the path itself if two names are the same."""
    names = [Path(path).resolve().name for path in paths]
    return {path if names.count(name) > 1 else name: path for name, path in zip(names, paths, strict=True)}


def compare(runs: dict[str, LoadedRun]) -> str:
    """Returns a table with a line for each run: how it ended, and its losses and scores."""
    from ..results import Table

    columns = ["status", "epochs", "seconds", "train_loss"]
    metrics = {r.model.metric for r in runs.values()}
    columns += [f"{part}_{metric}" for metric in sorted(metrics) for part in ("train", "validation", "test")]
    records = [{**finished.summary, "run": name} for name, finished in runs.items()]
    known = [name for name in columns if any(record.get(name) is not None for record in records)]
    changed = [f"{name}: {finished.rates}" for name, finished in runs.items() if finished.rates]
    return "\n".join([Table.of(records, ["run", *known]).text(most=None), *changed])


def draw(runs: dict[str, LoadedRun], out: Path) -> list[str]:
    """Draws the loss and score curves of all runs together. Returns the files."""
    from .. import figures

    histories = {name: finished.history for name, finished in runs.items()}
    drawn = [figures.save(figures.loss_curves(histories), out / "loss.png")]
    if len({finished.model.metric for finished in runs.values()}) == 1:
        drawn.append(
            figures.save(figures.accuracy_curves(histories), out / f"{next(iter(runs.values())).model.metric}.png")
        )
    return [str(path) for path in drawn]
