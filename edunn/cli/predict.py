"""Predicts labels and probabilities of new rows or images, with the run's own standardisation.

If the data has the target as well, it also prints the score and the confusion matrix.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .common import add_common, emit

if TYPE_CHECKING:
    from ..data import Samples
    from ..experiment import LoadedRun, Predictions

EXAMPLE = "edunn predict runs/flowers-20260101-120000 new_flowers.csv --out predictions.csv"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("run", metavar="RUN", help="a run's folder")
    parser.add_argument("data", metavar="DATA", help="a CSV or npz file with the run's columns, or images")
    add_common(parser, "a CSV file for the predictions", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints the predictions of the run's model, and the score if the data has the target. Returns 0."""
    from ..experiment import load
    from ..runtime.files import write_atomically

    if args.out and Path(args.out).resolve() == Path(args.data).resolve():
        raise ConfigError(f"--out {args.out} would overwrite the data. Choose another --out.")
    finished = load(args.run)
    samples = finished.read(args.data)
    predictions = finished.predict(samples)
    if args.out:
        write_atomically(args.out, predictions.table().csv())
    emit(args, as_json(finished, samples, predictions, args.out), as_text(finished, samples, predictions, args.out))
    return 0


def as_json(finished: LoadedRun, samples: Samples, predictions: Predictions, out: str | None) -> dict[str, Any]:
    """Returns the predictions and their score for JSON."""
    probabilities = predictions.probabilities
    result: dict[str, Any] = {
        "names": samples.names,
        "predictions": predictions.labels,
        "probabilities": None if probabilities is None else probabilities.tolist(),
        "classes": predictions.classes,
        finished.model.metric: predictions.score,
        "confusion": confusion(samples, predictions),
        "out": out,
    }
    if finished.is_multilabel:
        result["subset_accuracy"] = subset(samples, predictions)
    return result


def subset(samples: Samples, predictions: Predictions) -> float | None:
    """Returns the share of samples with every label right; None without targets."""
    from ..metrics import subset_accuracy

    if samples.targets is None or predictions.bits is None:
        return None
    return subset_accuracy(samples.targets, predictions.bits, samples.sample_weight)


def confusion(samples: Samples, predictions: Predictions) -> list[list[int]] | None:
    """Counts the samples of class i predicted as j, counts[i][j]; None without targets."""
    from ..metrics import confusion_counts

    if samples.targets is None or predictions.index is None or predictions.classes is None:
        return None
    classes, weights = len(predictions.classes), samples.sample_weight
    counts: list[list[int]] = confusion_counts(samples.targets, predictions.index, classes, weights).tolist()
    return counts


def as_text(finished: LoadedRun, samples: Samples, predictions: Predictions, out: str | None) -> str:
    """Returns the first and last predictions as text, and their score if it is known."""
    from ..results import MOST_ROWS

    text = [str(predictions)]
    if len(predictions) > MOST_ROWS and not out:
        text.append("For all of them, add --out FILE.csv or --json.")
    if predictions.score is not None:
        text.append(f"{finished.model.metric} {predictions.score:.4g} on {len(predictions)} samples")
        if finished.is_multilabel:
            text.append(f"subset_accuracy {subset(samples, predictions):.4g}: every label right")
    counts = confusion(samples, predictions)
    if counts is not None and predictions.classes is not None:
        text.append("confusion (a row for each true class, a column for each prediction):")
        width = max(len(name) for name in predictions.classes)
        text += [
            f"  {name:>{width}}  " + " ".join(f"{count:>5.6g}" for count in row)
            for name, row in zip(predictions.classes, counts, strict=True)
        ]
    if out:
        text.append(f"written to {out}")
    return "\n".join(text)
