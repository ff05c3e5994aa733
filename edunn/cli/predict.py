"""Labels and probabilities for new rows or images, with the run's own standardisation.

Where the data has the target as well, also the score and the confusion matrix.
"""

from __future__ import annotations

import argparse
import csv
import io
from typing import TYPE_CHECKING, Any

from .common import add_common, emit

if TYPE_CHECKING:
    from ..data import Samples
    from ..experiment import LoadedRun, Predictions

EXAMPLE = "edunn predict runs/flowers-20260101-120000 new_flowers.csv --out predictions.csv"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder")
    parser.add_argument("data", metavar="DATA", help="a CSV or npz file with the run's columns, or images")
    add_common(parser, "CSV file for the predictions", device=False)


def run(args: argparse.Namespace) -> int:
    from ..experiment import load
    from ..history import write_atomically

    finished = load(args.run)
    samples = finished.read(args.data)
    predictions = finished.predict(samples)
    if args.out:
        write_atomically(args.out, as_csv(predictions))
    emit(args, as_json(finished, samples, predictions, args.out), as_text(finished, samples, predictions, args.out))
    return 0


def as_json(finished: LoadedRun, samples: Samples, predictions: Predictions, out: str | None) -> dict[str, Any]:
    probabilities = predictions.probabilities
    result: dict[str, Any] = {
        "predictions": predictions.labels,
        "probabilities": None if probabilities is None else probabilities.tolist(),
        "classes": predictions.classes,
        finished.model.metric: predictions.score,
        "confusion": confusion(samples, predictions),
        "out": out,
    }
    return result


def confusion(samples: Samples, predictions: Predictions) -> list[list[int]] | None:
    """counts[i][j]: samples of class i that were called j; None where the truth is not known."""
    from ..metrics import confusion_counts

    if samples.targets is None or predictions.index is None or predictions.classes is None:
        return None
    counts: list[list[int]] = confusion_counts(samples.targets, predictions.index, len(predictions.classes)).tolist()
    return counts


def as_csv(predictions: Predictions) -> str:
    """One row a sample: the prediction, then a probability a class where there are some."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header(predictions))
    writer.writerows(rows(predictions))
    return text.getvalue()


def header(predictions: Predictions) -> list[str]:
    if predictions.probabilities is None or predictions.classes is None:
        return ["prediction"]
    return ["prediction", *(f"p({name})" for name in predictions.classes)]


def rows(predictions: Predictions, most: int | None = None) -> list[list[Any]]:
    labels = predictions.labels[:most]
    if predictions.probabilities is None:
        return [[label] for label in labels]
    return [[label, *p] for label, p in zip(labels, predictions.probabilities[:most].tolist(), strict=True)]


def as_text(finished: LoadedRun, samples: Samples, predictions: Predictions, out: str | None) -> str:
    """The first predictions, and how right they are where that is known."""
    shown = 20
    lines = [
        header(predictions),
        *([str(v) if isinstance(v, str) else f"{v:.4g}" for v in row] for row in rows(predictions, shown)),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
    if len(predictions) > shown:
        text.append(
            f"… {len(predictions) - shown} more" + ("" if out else "; all of them with --out FILE.csv or --json")
        )
    if predictions.score is not None:
        text.append(f"{finished.model.metric} {predictions.score:.4f} on {len(predictions)} samples")
    counts = confusion(samples, predictions)
    if counts is not None and predictions.classes is not None:
        text.append("confusion (a row for each true class, a column for each prediction):")
        width = max(len(name) for name in predictions.classes)
        text += [
            f"  {name:>{width}}  " + " ".join(f"{count:>5}" for count in row)
            for name, row in zip(predictions.classes, counts, strict=True)
        ]
    if out:
        text.append(f"written to {out}")
    return "\n".join(text)
