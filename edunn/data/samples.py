"""Samples: features, targets and their names; checked, sliced, and split into parts."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .. import errors
from ..errors import DataError, DtypeError, ShapeError, UnknownNameError
from ..runtime import devices
from ..runtime.foreign import is_frame, unpack
from ..runtime.guesses import unknown_name
from ..runtime.rows import Rows
from . import tables
from .checks import check_features, check_targets
from .encoding import Encoding
from .labels import check_text, decode_bytes, encode
from .weights import ClassWeight, as_weights, class_weights, labels_of

FEW = 1000  # class indices may reach this, or twice the number of samples; beyond it they are names
UNKNOWN = -100  # the index of a sample without a label, as torch has it; for a loss with this ignore_index
LOADED = 2**30  # bytes that `Samples.loaded` reads into memory by default


# What users of scikit-learn and pandas look for.
HINTS = (
    dict.fromkeys(("X", "x", "data", "inputs"), "The features are samples.features, (samples, features).")
    | dict.fromkeys(("y", "target", "labels"), "The targets are samples.targets, (samples,).")
    | dict.fromkeys(("head", "tail", "describe", "info", "iloc", "loc", "plot", "values"),
                    "A DataFrame is samples.to_pandas(): samples.to_pandas().head().")
    | {
        "shape": "The shape of the features is samples.features.shape.",
        "columns": "The columns are samples.feature_names.",
        "target_names": "The classes' names are samples.classes.",
        "train_test_split": "Write train, test = samples.split(0.2).",
        "train": "These are samples of one part; samples.split(0.2) makes two.",
        "batch": "A part of the samples is samples[:32].",
    }
)  # fmt: skip
DATASET_HINTS = dict.fromkeys(
    ("X", "x", "data", "features", "images"), "The training part's features are train.features."
) | dict.fromkeys(("y", "target", "targets", "labels"), "The training part's targets are train.targets.")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Samples:
    """Features and targets, one row a sample; with weights, a mean over the samples is Σ w ℓ / Σ w.

        Samples("flowers.csv", "species")  # a table and its target column, with the options of `read_table`
        Samples(frame, "species")          # a DataFrame and the name of its target column
        Samples(X, y)                      # arrays, lists, Series, tensors
        Samples(load_iris())               # a scikit-learn Bunch, a torch Dataset or DataLoader

    Parameters
    ----------
    features : (samples, features), floating; or images, (samples, height, width, channels), uint8. `Rows` may take
        the place of the tensor: features that stay in their files, or stay bytes, until a batch is drawn. Anything but
        a tensor is converted as `as_samples` does.
    targets : (samples,): int64 class indices, or floating for regression; None where they are not known. Text and
        other labels become class indices. Rows (samples, outputs), floating: several bits a sample (0 and 1, one for
        each label that it may have), probabilities of the classes, or several real targets
    classes : the classes' names, in the order of their indices; of rows of bits, the labels'; None for regression
    feature_names : one name a column
    target_name : what the target is called
    names : what each sample is called, such as an image's file; with a path, the columns' names
    options : of `read_table`, for a path or a DataFrame: `target`, `missing`, `categories`, `exclude`, …
    sample_weight : (samples,), finite and 0 or more, not all 0: what each sample counts in a mean, Σ w ℓ / Σ w (see
        `losses.Loss.forward`). Lists and arrays become a tensor in the features' dtype. None: all count the same

    Lengths, shapes, dtypes and the weights are checked here; other values are not, because that would make a GPU wait
    at every slice. `as_samples` checks them once.
    """

    features: Tensor
    targets: Tensor | None = None
    classes: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    names: tuple[str, ...] | None = None
    sample_weight: Tensor | None = None

    def __init__(
        self,
        features: Any,
        targets: Any = None,
        classes: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        target_name: str | None = None,
        names: Sequence[str] | None = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> None:
        given = (features, targets, classes, feature_names, target_name, names, sample_weight)
        for field, value in zip(fields(self), given, strict=True):
            object.__setattr__(self, field.name, value)
        if options or isinstance(features, str | PathLike):
            self._read(options)
        elif not isinstance(features, Tensor | Rows) or not isinstance(targets, Tensor | None):
            self._convert()
        check_features(self.features)
        if self.targets is not None:
            check_targets(self.targets, self.features)
            if self.classes is not None and self.targets.ndim == 2:
                if len(self.classes) != self.targets.shape[1]:
                    raise ShapeError(
                        f"The targets have {self.targets.shape[1]} columns, but classes has {len(self.classes)} names."
                    )
            elif self.classes is not None and not self.is_classification:
                raise DtypeError(
                    f"Expected class indices of dtype int64 beside the classes' names; got {self.targets.dtype}. "
                    f"Convert with targets.long(), or leave the names out for regression."
                )
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise DataError(f"Two classes are called {twice!r}.")
        if self.names is not None and len(self.names) != len(self):
            raise ShapeError(f"There are {len(self)} samples, but {len(self.names)} names.")
        if self.sample_weight is not None:
            object.__setattr__(self, "sample_weight", as_weights(self.sample_weight, self.features))
        names = self.feature_names
        if names is not None and not self.is_images and len(names) != self.features.shape[1]:
            raise ShapeError(f"There are {self.features.shape[1]} features, but feature_names has {len(names)} names.")

    def _read(self, options: dict[str, Any]) -> None:
        """Reads a table, by path or as a DataFrame, with the options of a table."""
        if not isinstance(self.features, str | PathLike) and not is_frame(self.features):
            tables.make_options(options)  # names one that does not exist
            raise DataError(
                f"The options of a table ({', '.join(options)}) are for a file or a DataFrame; got "
                f"{type(self.features).__name__}."
            )
        if self.targets is not None:
            if not isinstance(self.targets, str) or "target" in options:
                raise DataError("The targets of a table are one of its columns. Name it: target='kind'.")
            options = {**options, "target": self.targets}
        if self.names is not None:  # of the columns, when a table is read
            options = {**options, "names": self.names}
            object.__setattr__(self, "names", None)
        path = Path(self.features) if isinstance(self.features, str | PathLike) else None
        if path is not None and (path.is_dir() or not tables.reads(path)):
            raise DataError(f"'{path}' is not a table. Read it with edunn.data.load.")
        found = tables.read(self.features, tables.make_options(options), classes=self.classes)
        given = {"feature_names": self.feature_names, "target_name": self.target_name}
        for name in ("features", "targets", "classes", "feature_names", "target_name", "sample_weight"):
            object.__setattr__(self, name, given.get(name) or getattr(found, name))

    if not TYPE_CHECKING:  # a type checker is to see misspelt names itself

        def __getattr__(self, name: str) -> Any:
            known = [own for own in dir(self) if not own.startswith("_")]
            raise UnknownNameError(unknown_name(name, known, "Samples", HINTS))

    def _convert(self) -> None:
        """Replaces the arrays, frames or lists that were given by checked tensors and their names."""
        if isinstance(self.features, Rows):
            raise DataError(f"Features in files take targets as a tensor; got {type(self.targets).__name__}.")
        found = as_samples(
            self.features, self.targets, self.classes, self.feature_names, self.target_name, self.sample_weight
        )
        for name in ("features", "targets", "classes", "feature_names", "target_name", "sample_weight"):
            object.__setattr__(self, name, getattr(found, name))

    def __len__(self) -> int:
        return self.features.shape[0]

    def __getitem__(self, index: slice | Tensor | np.ndarray | Sequence[int] | Sequence[bool]) -> Samples:
        """Returns the samples at a slice, at indices, or where a boolean mask is true, with their names."""
        rows = self._rows(index)
        targets = None if self.targets is None else self.targets[rows]
        names = self.names
        if names is not None:
            names = names[rows] if isinstance(rows, slice) else tuple(np.array(names, dtype=object)[rows.cpu().numpy()])
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return self._replaced(weights, features=self.features[rows], targets=targets, names=names)

    def with_features(self, features: Tensor) -> Samples:
        """Returns the same samples with other features of as many rows."""
        return self._replaced(self.sample_weight, features=features)

    def _replaced(self, weights: Tensor | None, **changes: Any) -> Samples:
        """Returns a copy with other weights, which are not checked: those of a slice may be all 0."""
        found = replace(self, sample_weight=None, **changes)
        object.__setattr__(found, "sample_weight", weights)
        return found

    def with_targets(self, targets: Tensor, weights: Tensor | None) -> Samples:
        """Returns the same features with other targets and weights; the weights may be all 0."""
        return self._replaced(weights, targets=targets)

    def _rows(self, index: Any) -> slice | Tensor:
        if isinstance(index, slice):
            if index.step is None or index.step > 0:
                return index  # a view: nothing is copied
            return torch.tensor(range(len(self))[index], dtype=torch.int64)  # torch has no negative steps
        if isinstance(index, int | np.integer):
            raise DtypeError(
                f"Expected a slice, indices or a boolean mask; got the number {index}. "
                f"One sample is samples[{index}:{index + 1}]."
            )
        rows = torch.as_tensor(index)
        if rows.numel() == 0 and rows.dtype != torch.bool:
            rows = rows.long()  # an empty list comes as float32
        if rows.ndim != 1 or rows.dtype.is_floating_point or rows.dtype.is_complex:
            raise DtypeError(
                f"Expected indices or a boolean mask of one axis; got {rows.dtype} of shape {errors.shape(rows)}."
            )
        if rows.dtype == torch.bool:
            if len(rows) != len(self):
                raise ShapeError(f"A mask has one value a sample, {len(self)}; got {len(rows)}.")
            return rows
        return rows.long()  # torch would read uint8 indices as a mask

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Samples:
        """Returns the samples on another device, or in another floating dtype; images and class indices keep theirs."""
        if dtype is not None and not dtype.is_floating_point:
            raise DtypeError(
                f"{dtype} is not a floating dtype, such as torch.float32. Images and class indices keep theirs."
            )

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype if tensor.dtype.is_floating_point else None)

        targets, weights = (None if t is None else move(t) for t in (self.targets, self.sample_weight))
        return self._replaced(weights, features=move(self.features), targets=targets)

    def loaded(self, most: int = LOADED) -> Samples:
        """Returns the samples with their features in memory, if they take `most` bytes or less."""
        if not isinstance(self.features, Rows):
            return self
        if self.features.nbytes > most:
            raise DataError(
                f"At most {most / 2**30:g} GiB of features are loaded for this; these take "
                f"{self.features.nbytes / 2**30:.1f}. Take a part of them, samples[:1000]."
            )
        return self._replaced(self.sample_weight, features=self.features.loaded())

    def with_class_weight(self, class_weight: ClassWeight) -> Samples:
        """Returns the same samples, each weighted by its class as well: w_i ← w_i · c(y_i).

        Weights of classes become weights of samples here, once, before the training: losses, loops and surfaces know
        only those. A score is then weighted too: with "balanced", accuracy is the mean recall of the classes.

        Parameters
        ----------
        class_weight : "balanced", c = Σ w / (K · Σ w of the class) for K classes, which is N / (K · count) without
            weights (scikit-learn's formula); a list in the order of the classes; or a dictionary by class name, 1
            where it has none. The classes of floating targets are 0 and 1, or −1 and 1
        """
        _, index = labels_of(self.targets, self.classes)
        numbers = torch.tensor(self.class_weights(class_weight), dtype=torch.float64, device=index.device)
        weights = numbers[index] if self.sample_weight is None else numbers[index] * self.sample_weight
        return replace(self, sample_weight=weights)

    def class_weights(self, class_weight: ClassWeight) -> list[float]:
        """Returns the weight of each class, in the order of the classes; `class_weight` as in `with_class_weight`."""
        return class_weights(class_weight, *labels_of(self.targets, self.classes), self.sample_weight)

    def split(self, fraction: float, seed: int = 0) -> tuple[Samples, Samples]:
        """Returns two parts, the second with about `fraction` of the samples; see `data.split`."""
        return split(self, fraction, seed)

    def shuffle(self, seed: int = 0) -> Samples:
        """Returns the samples in another order, which depends on the seed alone."""
        return self[devices.permutation(len(self), seed, 0)]

    def to_pandas(self) -> Any:
        """Returns a DataFrame: a column a feature, and the target last, by class name where there are classes."""
        import pandas

        if self.is_images:
            raise DataError("Images cannot become a table. Their bytes are samples.features.numpy().")
        names = self.feature_names or [f"x{i}" for i in range(1, self.features.shape[1] + 1)]
        features = self.loaded().features.cpu().numpy()
        frame = pandas.DataFrame(features, columns=list(names))
        if self.targets is not None and self.targets.ndim == 2:
            labels = self.classes or [f"target {i}" for i in range(1, self.targets.shape[1] + 1)]
            frame = frame.join(pandas.DataFrame(self.targets.cpu().numpy(), columns=list(labels)))
        elif self.targets is not None:
            values = self.targets.tolist()
            target = values if self.classes is None else [self.classes[i] for i in values]
            frame[self.target_name or "target"] = target
        return frame

    def _repr_html_(self) -> str:
        """Returns the first rows as a table, for a notebook; of images and features in files a line of text."""
        line = f"<p>{html.escape(repr(self))}</p>"
        if self.is_images or isinstance(self.features, Rows):
            return line
        return f"{self[:5].to_pandas().to_html(index=False)}{line}"

    @property
    def is_images(self) -> bool:
        """Whether the features are images: uint8, (samples, height, width, channels)."""
        return self.features.ndim == 4

    @property
    def is_classification(self) -> bool:
        """Whether the targets are class indices."""
        return self.targets is not None and not self.targets.dtype.is_floating_point

    @property
    def is_multilabel(self) -> bool:
        """Whether the targets are bits of several named labels, (samples, labels)."""
        return self.targets is not None and self.targets.ndim == 2 and self.classes is not None

    def __repr__(self) -> str:
        count = f"{len(self):,}"
        if self.is_images:
            height, width, channels = self.features.shape[1:]
            what = f"{count} images of {height}×{width}×{channels}"
        else:
            what = f"{count} × {self.features.shape[1]:,} {str(self.features.dtype).removeprefix('torch.')}"
        if self.sample_weight is not None:
            what += ", weighted"
        if self.targets is None:
            return f"Samples({what}, no targets)"
        target = f" {self.target_name!r}" if self.target_name else ""
        if self.classes is None:
            if self.targets.ndim == 2:
                return f"Samples({what}, {self.targets.shape[1]} targets{target})"
            return f"Samples({what}, {'class indices' if self.is_classification else 'real target'}{target})"
        names = self.classes if len(self.classes) <= 4 else (*self.classes[:2], "…", self.classes[-1])
        kind = "labels" if self.is_multilabel else "classes"
        return f"Samples({what}, {len(self.classes)} {kind}{target}: {', '.join(names)})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: a training part, perhaps a test and a validation part, and its source.

    Parameters
    ----------
    name : what runs and figures call it
    train : the training part
    test : the part for one evaluation at the end; None where the source has none
    sha256 : of the file, or of the numbers of a generated set: runs with the same one had the same data
    source : the path, or how the data was generated
    validation : the part for choices, where the source has one; usually it is cut from the training part
    encoding : of a table: how its columns became features, for later tables
    """

    name: str
    train: Samples
    test: Samples | None
    sha256: str | None
    source: str
    validation: Samples | None = None
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        for name, part in (("test", self.test), ("validation", self.validation)):
            if part is None:
                continue
            if part.features.shape[1:] != self.train.features.shape[1:]:
                raise ShapeError(
                    f"Expected {name} samples shaped like the training samples, {tuple(self.train.features.shape[1:])};"
                    f" got {tuple(part.features.shape[1:])}."
                )
            if part.classes != self.train.classes:
                raise DataError(
                    f"The parts differ in their classes: training has {self.train.classes}, {name} {part.classes}."
                )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hints = dict.fromkeys(dir(Samples), f"Its training part has it: train.{name}.") | DATASET_HINTS
            raise UnknownNameError(unknown_name(name, ("name", "train", "test"), "Dataset", hints))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """Returns all parts on another device, or in another floating dtype."""
        test, held = (None if part is None else part.to(device, dtype) for part in (self.test, self.validation))
        return replace(self, train=self.train.to(device, dtype), test=test, validation=held)

    def check_storable(self, what: str) -> None:
        """Raises DataError for a validation part, weights or rows of targets, which `what` cannot keep."""
        if self.validation is not None:
            raise DataError(
                f"{self.name} has a validation part, and {what} keep a training and a test part. "
                f"Move its images into train/; a config's data.validation cuts a part from there."
            )
        for part in (self.train, self.test):
            if part is not None and part.sample_weight is not None:
                raise DataError(f"{self.name} has sample weights, which {what} do not keep. Leave them out.")
            if part is not None and part.targets is not None and part.targets.ndim > 1:
                raise DataError(f"{self.name} has several targets a sample; {what} keep one. Keep it as a table.")


def as_samples(
    features: Any,
    targets: Any = None,
    classes: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    target_name: str | None = None,
    sample_weight: Any = None,
) -> Samples:
    """Builds samples from arrays, lists, tensors, data frames, bunches or torch datasets, with every value checked.

    Parameters
    ----------
    features : (samples, features), or a container of samples (see `runtime.foreign.unpack`). float32 stays float32, all
        other numbers become float64; uint8 with four axes, (samples, height, width, channels), stays as it is: images.
    targets : (samples,), or the name of a frame's column. Text becomes class indices in the order of `classes`, or
        alphabetically. Whole numbers are class indices 0, 1, … already, and are called "0", "1", … if `classes` does
        not say otherwise; if one exceeds both 1,000 and twice the number of samples, they are names, numbered in sorted
        order. Floats are regression targets, in the features' dtype, which the losses ask for. Rows of whole numbers or
        truth values, (samples, labels), are bits of labels that a sample may have; a frame's columns name them.
    sample_weight : (samples,), see `Samples`

    Memory is shared with the caller where no conversion was needed.
    """
    found = unpack(features, targets)
    targets, target_name = found.targets, target_name or found.target_name
    feature_names = feature_names if feature_names is not None else found.feature_names
    classes = classes if classes is not None else found.classes
    x = _numbers("features", found.features)
    check_features(x)
    if x.dtype.is_floating_point:
        errors.check_finite("features", x)
    y: Tensor | None = None
    if targets is not None:
        labels = targets if isinstance(targets, Tensor) else _array("targets", targets)
        if isinstance(labels, np.ndarray) and labels.dtype.kind == "S":
            labels = decode_bytes(labels, "targets")
        if isinstance(labels, np.ndarray) and labels.dtype.kind == "U":
            check_text(labels, "targets")
            y, classes = encode([str(label) for label in labels.ravel()], classes)
            y = y.reshape(labels.shape)
        elif _is_whole(labels) and labels.ndim == 2 and labels.shape[1] > 1:
            y = as_bits(labels, x)
            classes = [str(label) for label in range(y.shape[1])] if classes is None else classes
        elif _is_whole(labels):
            y, classes = number_classes(labels, classes)
        else:
            y = _numbers("targets", labels)
            y = y.to(x.dtype) if x.dtype.is_floating_point else y
        check_targets(y, x)
        if y.dtype.is_floating_point:
            errors.check_finite("targets", y)
        else:
            classes = _class_names(y, classes)
    return Samples(
        features=x,
        targets=y,
        classes=None if classes is None else tuple(classes),
        feature_names=None if feature_names is None else tuple(feature_names),
        target_name=target_name,
        sample_weight=sample_weight,
    )


def split(samples: Samples, fraction: float, seed: int = 0) -> tuple[Samples, Samples]:
    """Splits samples at random into (rest, part), each in the original order.

    Where the targets are classes, the part has the same fraction of each, and a class of two samples or more is in both
    parts; a class of one sample stays in the rest. So validation and test parts have the proportions of the whole.

    Parameters
    ----------
    fraction : the part's share of the samples, between 0 and 1; a test part takes 0.2, say
    seed : the same samples, fraction and seed give the same parts on every device
    """
    errors.check_number("fraction", fraction, 0, 1, open_ends="low high")
    if len(samples) < 2:
        raise DataError(f"Splitting takes two samples or more; got {len(samples)}.")
    generator = devices.generator(seed, int.from_bytes(b"split", "big"))  # apart from the epochs' permutations
    order = torch.randperm(len(samples), generator=generator)
    if samples.targets is not None and samples.is_classification:
        labels, group = samples.targets.cpu().unique(return_inverse=True)
        sizes = group.bincount(minlength=len(labels)).tolist()
    else:
        group, sizes = torch.zeros(len(samples), dtype=torch.int64), [len(samples)]
    chosen = torch.zeros(len(samples), dtype=torch.bool)
    for label, take in enumerate(shares(sizes, fraction)):
        chosen[order[group[order] == label][:take]] = True
    if not chosen.any():
        raise DataError("Every class has one sample, so that none can be split. Collect more samples.")
    index = chosen.to(samples.features.device)
    return samples[~index], samples[index]


def shares(sizes: Sequence[int], fraction: float) -> list[int]:
    """Returns how many of each class go into a part: `fraction` of each, rounded so that the total is right as well.

    Each class starts from its quota rounded down, between 1 and its size − 1; what is missing from the total goes
    to the largest remainders, what is too much is taken from the smallest (Hamilton's method, with bounds).
    """
    low = [min(1, size - 1) for size in sizes]
    high = [size - 1 for size in sizes]
    quota = [fraction * size for size in sizes]
    take = [min(max(int(q), a), b) for q, a, b in zip(quota, low, high, strict=True)]
    missing = round(fraction * sum(sizes)) - sum(take)
    step = 1 if missing > 0 else -1
    for _ in range(abs(missing)):
        free = [i for i in range(len(sizes)) if low[i] <= take[i] + step <= high[i]]
        if not free:
            break  # the bounds come first: one of each class on both sides
        take[max(free, key=lambda i: step * (quota[i] - take[i]))] += step
    return take


def number_classes(labels: Tensor | np.ndarray, classes: Sequence[str] | None) -> tuple[Tensor, Sequence[str] | None]:
    """Returns whole numbers as class indices, and the classes' names where the numbers are too large to be indices."""
    if classes is None and len(labels) and int(labels.max()) >= max(FEW, 2 * len(labels)) and int(labels.min()) >= 0:
        array = labels.cpu().numpy() if isinstance(labels, Tensor) else labels
        distinct, index = np.unique(array, return_inverse=True)
        found = torch.from_numpy(index.reshape(array.shape))
        device = labels.device if isinstance(labels, Tensor) else None
        return found.to(device), tuple(str(value) for value in distinct.tolist())
    return torch.as_tensor(labels.astype(np.int64) if isinstance(labels, np.ndarray) else labels.long()), classes


def as_bits(labels: Tensor | np.ndarray, features: Tensor) -> Tensor:
    """Returns rows of 0 and 1, (samples, labels), in the features' dtype; refuses other whole numbers."""
    rows = torch.as_tensor(labels.astype(np.int64) if isinstance(labels, np.ndarray) else labels.long())
    bad = (rows != 0) & (rows != 1)
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise errors.LabelError(
            f"Rows of whole numbers are bits, one for each label; got {int(rows[row, column])} at row {row}, column "
            f"{column} (counted from 0). Several real targets are floats: targets.astype(float)."
        )
    return rows.to(features.dtype if features.dtype.is_floating_point else torch.float32)


def fingerprint(samples: Samples) -> str:
    """Returns the sha256 of the samples: of the bytes of the features, then of the targets and weights."""
    digest = hashlib.sha256()
    for tensor in (samples.features, samples.targets, samples.sample_weight):
        for chunk in () if tensor is None else tensor.split(16_384):
            digest.update(chunk.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _class_names(targets: Tensor, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Returns one name for each class index; "0", "1", … if none are given. `UNKNOWN` counts as none of them."""
    targets = targets[targets != UNKNOWN]
    if targets.numel() and int(targets.min()) < 0:
        raise errors.LabelError(
            f"Expected class indices 0, 1, …; got {int(targets.min())}. "
            f"For labels -1 and +1 use (targets + 1) // 2, or floats for a loss that takes signs."
        )
    if classes is None:
        return tuple(str(i) for i in range(int(targets.max()) + 1 if targets.numel() else 0))
    errors.check_class_indices(targets, len(classes))
    return tuple(classes)


def _numbers(name: str, values: Any) -> Tensor:
    """Returns a tensor of float32 or float64, or of uint8 images."""
    errors.check_dense(name, values)
    if isinstance(values, Tensor):
        tensor = values
    else:
        array = _array(name, values)
        if array.dtype.kind not in "fiub":
            raise DtypeError(f"The {name} must be numbers; got {array.dtype}.")
        if array.dtype.kind != "u" or array.dtype.itemsize != 1:
            array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
        tensor = torch.from_numpy(array)
    if tensor.dtype in (torch.float32, torch.float64) or (tensor.dtype == torch.uint8 and tensor.ndim == 4):
        return tensor
    if tensor.dtype.is_complex:
        raise DtypeError(f"The {name} must be real numbers; got {tensor.dtype}.")
    return tensor.double()


def _array(name: str, values: Any) -> np.ndarray:
    """Returns a numpy array that torch takes without a warning: contiguous, in the machine's byte order, writeable."""
    try:
        array = np.asarray(values)
    except ValueError as problem:
        raise ShapeError(f"The rows of the {name} differ in length.") from problem
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)  # a pandas column of text
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.require(array, requirements=["C", "W"])


def _is_whole(labels: Tensor | np.ndarray) -> bool:
    if isinstance(labels, Tensor):
        return not labels.dtype.is_floating_point and not labels.dtype.is_complex
    return labels.dtype.kind in "iub"
