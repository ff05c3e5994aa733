"""Prints the results of runs: of one in detail, of several side by side, or a list of a folder.

Of one run: its history, how good it is class by class, and the samples that it gets most surely
wrong. A folder of runs is listed with the newest first; a sweep shows its table. With --out the
figures are drawn as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, EdunnError
from .common import add_common, add_figure_options, emit, figure_look, note, out_folder

if TYPE_CHECKING:
    from ..experiment import LoadedRun, Predictions
    from ..experiment.pictures import Picture

EXAMPLE = "edunn show runs\n  edunn show runs/digits_softmax-20260101-120000 --out figures"
MISTAKES = 5  # that are printed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a folder: a run's, a sweep's, or of runs (default: runs)"
    )
    add_figure_options(parser)
    add_common(parser, "a folder for the figures (default: none are drawn)", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints the summaries of the runs, and draws their figures into --out. Returns 0."""
    from ..experiment import load
    from ..experiment.listing import find_runs, is_run, list_runs

    paths = args.runs or ["runs"]
    listed = [path for path in paths if not is_run(path)]
    if listed:
        if len(paths) > 1:
            raise ConfigError(f"{listed[0]} is not the folder of a run. Show it alone, to list the runs in it.")
        return show_list(args, listed[0], list_runs(find_runs(listed[0])))
    runs = {name: load(path) for name, path in name_runs(paths).items()}
    only = next(iter(runs.values())) if len(runs) == 1 else None
    predictions = None if only is None else look_at_data(args, only)
    figures = draw(args, runs, predictions) if args.out else []
    result: dict[str, Any] = {"runs": [r.summary for r in runs.values()], "figures": figures}
    text = [] if only is None else [str(only.history)]
    text.append(compare(runs))
    if predictions is not None:
        report, mistakes = predictions.report(), predictions.mistakes(MISTAKES)
        result |= {"part": predictions.part, "classes": report.as_dict(), "mistakes": mistakes.as_dict()}
        text += [f"{predictions.part} part:\n{report}", str(mistakes)]
    emit(args, result, "\n\n".join(text) + "".join(f"\n{f}" for f in figures))
    return 0


def show_list(args: argparse.Namespace, path: str, listing: Any) -> int:
    """Prints the runs in a folder, or the table of a sweep. Returns 0."""
    if args.out:
        raise ConfigError("Figures are of runs: name them, as edunn show RUN --out FOLDER.")
    if not listing.rows:
        raise ConfigError(f"There are no runs in {path}. Train one: edunn train digits_softmax")
    emit(args, {"folder": path, "runs": [dict(zip(listing.columns, row, strict=True)) for row in listing.rows]},
         listing.text(most=None))  # fmt: skip
    return 0


def look_at_data(args: argparse.Namespace, only: LoadedRun) -> Predictions | None:
    """Returns the predictions of a classifier on its test or validation part; None, with a note, if that cannot be."""
    if only.classes is None or only.summary["status"] == "diverged":
        return None
    try:
        predictions = only.evaluate()
        return None if predictions.samples is None or predictions.samples.targets is None else predictions
    except EdunnError as error:
        note(args, f"note: the run's data cannot be looked at: {error}")
        return None


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


def draw(args: argparse.Namespace, runs: dict[str, LoadedRun], predictions: Predictions | None) -> list[str]:
    """Draws the curves of all runs together, and the decisions of a single one. Returns the files."""
    from .. import figures

    look = figure_look(args)
    folder, written = out_folder(args.out), []
    for name, picture in pictures(runs, predictions):
        axes = look.apply(picture())
        written += [str(figures.save(axes, folder / f"{name}.{kind}", look.dpi)) for kind in look.formats]
    return written


def pictures(runs: dict[str, LoadedRun], predictions: Predictions | None) -> Iterator[Picture]:
    """Yields the loss and score curves of the runs, and what a single classifier decides."""
    from .. import figures
    from ..experiment.pictures import pictures_of_predictions

    histories = {name: finished.history for name, finished in runs.items()}
    shown = histories if len(histories) > 1 else next(iter(histories.values()))
    yield "loss", partial(figures.loss_curves, shown)
    metrics = {finished.model.metric for finished in runs.values()}
    if len(metrics) == 1:
        yield metrics.pop(), partial(figures.accuracy_curves, shown)
    if predictions is not None:
        yield from pictures_of_predictions(predictions)
