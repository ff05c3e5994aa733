"""Tables with several target columns, each a yes or no of its own: samples that may have several labels, or none."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from torch import Tensor

from ..errors import ConfigError, DataError, LabelError, nearest
from .samples import Samples
from .tables import read_table


def read_multilabel(
    path: str | PathLike[str],
    target: Sequence[str],
    features: Sequence[str] | None = None,
    weight: str | None = None,
    targets_required: bool = True,
) -> Samples:
    """Reads a table whose targets are several columns of 0 and 1: bits (samples, labels), named after the columns.

    Parameters
    ----------
    target : the labels' columns
    features : the features' columns; by default all the others
    weight : the column of the samples' weights
    targets_required : False for prediction: the targets are read if the file has all their columns
    """
    labels = tuple(target)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ConfigError(f"Several targets are two columns or more, each named once; got {list(labels)}.")
    if features is not None and (both := set(labels) & set(features)):
        raise ConfigError(f"{min(both)!r} is named as a feature and as a target.")
    try:
        # the table is read once, the labels among its features
        names = labels[1:] if features is None else (*features, *labels[1:])
        found = read_table(path, labels[0], None if features is None else names, "real", weight=weight)
    except DataError:
        if targets_required or features is None:
            raise
        return read_table(path, features=features, targets_required=False, weight=weight)
    columns = list(found.feature_names or ())
    for label in labels[1:]:
        if label not in columns:
            raise DataError(f"'{path}' has no column {label!r} for a target. {nearest(label, columns)}")
    assert isinstance(found.targets, Tensor)
    bits = found.features.new_empty(len(found), len(labels))
    bits[:, 0] = found.targets
    bits[:, 1:] = found.features[:, [columns.index(label) for label in labels[1:]]]
    check_bits(bits, labels)
    kept = [index for index, name in enumerate(columns) if name not in labels]
    if not kept:
        raise DataError(f"'{path}' has no column beside the targets. Add a feature.")
    return Samples(
        found.features[:, kept].contiguous(),
        bits,
        classes=labels,
        feature_names=tuple(columns[index] for index in kept),
        target_name=", ".join(labels),
        sample_weight=found.sample_weight,
    )


def check_bits(bits: Tensor, labels: Sequence[str]) -> None:
    """Refuses targets other than 0 and 1, and names the column and the row."""
    bad = (bits != 0) & (bits != 1)
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise LabelError(
            f"Several targets are columns of 0 and 1; got {float(bits[row, column]):g} in {labels[column]!r}, row "
            f"{row + 1}. A column of classes, or of real numbers, is a target by itself."
        )
