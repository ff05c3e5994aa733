"""How the columns of a table become features: numbers as they are, categories one-hot, gaps by the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .columns import Column


@dataclass(frozen=True, eq=False)
class Encoding:
    """What was learned from a table, and is applied to every later one.

    A column of categories becomes one feature of 0 and 1 for each category, called `column=category`. A missing cell
    takes the mean of its feature over the training part; of a category that is its share.

    columns : the columns that are features, in the order of the features
    categories : of each column of text, in alphabetical order
    means : of the features, (features,) float64; None where no cell may be missing
    header : whether the file has a line of names; names : all its columns
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    means: Tensor | None = None
    header: bool = True
    names: tuple[str, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        found = []
        for name in self.columns:
            found += [f"{name}={category}" for category in self.categories[name]] if name in self.categories else [name]
        return tuple(found)

    def encode(self, columns: Mapping[str, Column]) -> Tensor:
        """Returns the features, (rows, features) float64, with nan for missing cells."""
        pieces = []
        for name in self.columns:
            column = columns[name]
            if name not in self.categories:
                pieces.append(column.numbers[:, None])
                continue
            index = {category: i for i, category in enumerate(self.categories[name])}
            codes = np.array([index.get(label, -1) for label in column.labels])
            hot = (codes[:, None] == np.arange(len(index))).astype(np.float64)
            hot[column.missing | (codes < 0)] = np.nan
            pieces.append(hot)
        return torch.from_numpy(np.concatenate(pieces, axis=1))

    def fit(self, features: Tensor) -> Encoding:
        """Returns the same encoding with the means of the features, cells that are missing aside."""
        return replace(self, means=features.double().nanmean(0).nan_to_num(0.0))

    def fill(self, features: Tensor) -> Tensor:
        """Returns the features with the means in place of nan."""
        if self.means is None:
            return features
        return torch.where(features.isnan(), self.means.to(features), features)

    def to_dict(self) -> dict[str, Any]:
        """Returns what `from_dict` takes, for JSON."""
        return {
            "columns": list(self.columns),
            "categories": {name: list(found) for name, found in self.categories.items()},
            "means": None if self.means is None else self.means.tolist(),
            "header": int(self.header),
            "names": list(self.names),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Encoding:
        means = kept["means"]
        found = cls(
            tuple(kept["columns"]),
            {name: tuple(categories) for name, categories in kept["categories"].items()},
            None if means is None else torch.tensor(means, dtype=torch.float64),
            bool(kept["header"]),
            tuple(kept["names"]),
        )
        if means is not None and len(means) != len(found.feature_names):
            raise ValueError(f"it has {len(means)} means for {len(found.feature_names)} features")
        return found


def order(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the different labels in alphabetical order, or in that of the numbers that they are."""
    distinct = sorted(set(labels))
    try:
        return tuple(sorted(distinct, key=float))
    except ValueError:
        return tuple(distinct)
