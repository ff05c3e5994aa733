"""Converts data frames, scikit-learn's bunches and torch's datasets and loaders to arrays with names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import DataError, DtypeError, check_dense


class Unpacked(NamedTuple):
    """Features and targets as arrays, tensors or lists, and the names that came with them."""

    features: Any
    targets: Any
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    classes: tuple[str, ...] | None = None


def unpack(features: Any, targets: Any = None) -> Unpacked:
    """Splits a container of samples into features, targets and names; arrays, lists and tensors pass unchanged.

    Parameters
    ----------
    features : a DataFrame (pandas or polars), a scikit-learn Bunch, a torch Dataset or DataLoader of pairs (features,
        targets), or features alone
    targets : a Series, an array, or the name of a frame's column, or a list of them, which are then not features. A
        Bunch, a Dataset and a DataLoader bring their own.
    """
    if isinstance(features, DataLoader | Dataset):
        return Unpacked(*collect(features))
    if hasattr(features, "data") and hasattr(features, "target") and hasattr(features, "keys"):
        return unpack_bunch(features, targets)
    target_name = None
    if is_frame(features) and isinstance(targets, list | tuple) and targets:
        named = [name for name in targets if isinstance(name, str) and name in features.columns]
        if len(named) == len(targets):  # several columns are the targets
            return unpack(features.drop(columns=named), features[named])
    if isinstance(targets, str):
        if not is_frame(features) or targets not in list(features.columns):
            known = f" Its columns: {', '.join(map(str, features.columns))}." if is_frame(features) else ""
            raise DataError(f"There is no column {targets!r} to take the targets from.{known}")
        target_name, targets, features = targets, features[targets], features.drop(columns=[targets])
    if is_series(targets):
        target_name, targets = None if targets.name is None else str(targets.name), series_values(targets)
    elif is_frame(targets):
        if len(targets.columns) != 1:
            found = unpack(features)
            labels = tuple(str(name) for name in targets.columns)
            whole = all(str(targets[name].dtype).lower().startswith(("int", "uint", "bool")) for name in targets)
            values = targets.to_numpy()
            return (
                found._replace(targets=values.astype("int64"), classes=labels)
                if whole
                else found._replace(targets=frame_values(targets))
            )
        return unpack(features, targets[targets.columns[0]])
    names = None
    if is_frame(features):
        names, features = tuple(str(name) for name in features.columns), frame_values(features)
    elif is_series(features):
        names, features = (str(features.name or "x1"),), features.to_numpy().reshape(-1, 1)
    return Unpacked(features, targets, names, target_name)


def to_tensor(name: str, values: Any) -> Tensor:
    """Returns the numbers of any container as a tensor; errors call them `name`."""
    check_dense(name, values)
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"The {name} must be numbers; got {array.dtype}.")
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def unpack_bunch(bunch: Any, targets: Any) -> Unpacked:
    """Splits what `sklearn.datasets.load_…` returns; class indices become class names where it has them."""
    found = unpack(bunch.data, bunch.target if targets is None else targets)
    names = found.feature_names or bunch.get("feature_names")
    classes = bunch.get("target_names")
    whole = getattr(getattr(bunch.target, "dtype", None), "kind", "f") in "iu"
    return found._replace(
        feature_names=None if names is None else tuple(map(str, names)),
        classes=tuple(map(str, classes)) if classes is not None and whole else None,
    )


def is_frame(thing: Any) -> bool:
    return hasattr(thing, "columns") and hasattr(thing, "to_numpy")


def is_series(thing: Any) -> bool:
    return hasattr(thing, "to_numpy") and hasattr(thing, "name") and not hasattr(thing, "columns")


def frame_values(frame: Any) -> Any:
    """Returns a data frame as an array; an error names the columns with text or missing values."""
    check_dense("features", frame)
    text = [str(name) for name in frame.columns if not is_numeric(frame[name])]
    if text:
        raise DataError(
            f"{'Column' if len(text) == 1 else 'Columns'} {', '.join(text[:10])} of the frame do not contain numbers. "
            f"Encode them (pandas.get_dummies), or leave them out: frame.drop(columns={text[:10]})."
        )
    values = frame.to_numpy()
    return values if values.dtype.kind == "f" else values.astype("float64")


def series_values(series: Any) -> Any:
    """Returns a column as an array; labels that are not numbers become text."""
    if is_numeric(series) and str(series.dtype).lower() not in ("bool", "boolean"):
        return series.to_numpy()
    return [str(value) for value in series]


def is_numeric(series: Any) -> bool:
    """Returns whether a column of pandas or polars has numbers or booleans."""
    name = str(series.dtype).lower()
    return name.startswith(("int", "uint", "float", "bool"))


def collect(data: DataLoader[Any] | Dataset[Any]) -> tuple[Tensor, Tensor]:
    """Joins all batches of a loader, or all items of a dataset. Random generators do not change."""
    loader = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=256)
    with untouched_generators(loader):
        batches = list(loader)
    for batch in batches:
        if not (isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(t, Tensor) for t in batch)):
            raise DataError(f"The data give {type(batch).__name__}, not pairs of tensors (features, targets).")
    if not batches:
        raise DataError("The data are empty: there are no samples.")
    return torch.cat([batch[0] for batch in batches]), torch.cat([batch[1] for batch in batches])


@contextmanager
def untouched_generators(loader: DataLoader[Any]) -> Iterator[None]:
    """Restores the default random generator and the loader's own afterwards."""
    own = [getattr(thing, "generator", None) for thing in (loader, loader.sampler)]
    states = [(g, g.get_state()) for g in own if isinstance(g, torch.Generator)]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            for generator, state in states:
                generator.set_state(state)
