"""A run loaded from its folder: its model, features and history. It predicts new samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import data
from ..data import Samples
from ..errors import DataError, RunError
from ..features.pipeline import Pipeline
from ..history import History
from ..losses import Loss
from ..models import LABELS, Model
from ..results import Record, Table
from ..runtime import devices, schema
from ..runtime.rows import check_finite, chunk_of
from . import neighbours
from .build import Prepared, encode, make_loss, make_model
from .config import Config
from .folder import RunFolder, check_like, load_weights

LARGEST_IMAGE = 2**14  # pixels of a side


@dataclass(frozen=True, eq=False, repr=False)
class LoadedRun(Record):
    """A finished run, as `edunn.load` returns it.

    `features` turns raw samples into the model's input, standardised as on the training part;
    `classes` are the names of the class indices (None for regression); `summary` is what `--json` printed.
    """

    path: Path
    config: Config
    model: Model
    loss: Loss
    features: Pipeline
    history: History
    summary: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...] | None:
        names = self.manifest["classes"]
        return None if names is None else tuple(names)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        names = self.manifest["feature_names"]
        return None if names is None else tuple(names)

    @property
    def is_multilabel(self) -> bool:
        """Whether a sample may have several of the classes, or none."""
        return self.model.metric == LABELS

    def read(self, path: str | Path) -> Samples:
        """Reads new samples from a file, with the run's columns, and targets and weights if it has them."""
        if Path(path).suffix == ".npy" or data.is_shards(Path(path)):
            return self.read_stored(path)
        if len(self.features.shape) == 3:
            return data.read_unsorted_images(path, size=self.features.shape[:2], classes=self.classes)
        weight = self.config.data.weight
        try:
            return self.read_rows(path, weight)
        except DataError:
            if weight is None:
                raise
            return self.read_rows(path, None)  # new rows need no weights

    def read_rows(self, path: str | Path, weight: str | None) -> Samples:
        """Reads a table, with the column of the weights or without."""
        if self.is_multilabel:
            return data.read_multilabel(path, self.classes or (), self.feature_names, weight, targets_required=False)
        return data.read_table(
            path,
            target=self.manifest["target_name"],
            features=self.feature_names,
            task="real" if self.classes is None else "classes",
            targets_required=False,
            classes=self.classes,
            weight=weight,
        )

    def read_stored(self, path: str | Path) -> Samples:
        """Opens new samples that stay in their file; of shards, the test part if there is one."""
        if Path(path).suffix == ".npy":
            return data.read_npy(path, classes=self.classes, targets_required=False).train
        found = data.read_shards(path)
        part = found.test or found.train
        if part.targets is not None and part.classes != self.classes:
            raise DataError(f"'{path}' has other classes, {part.classes}, than the run, {self.classes}.")
        return part

    @torch.no_grad()
    def predict(self, samples: Samples) -> Predictions:
        """Predicts new samples: scores, labels, probabilities if the model has them, a score if targets exist."""
        check_finite(samples.features)
        x = self.features(samples.features, devices.dtype(self.config.run.dtype))
        scores, probabilities = self.outputs(x)
        decided = self.model.decide(scores)
        score, names = self.score_of(samples, scores), samples.names
        if self.classes is None:
            return Predictions(scores, None, None, decided, self.classes, score, names)
        if self.is_multilabel:
            return Predictions(scores, None, probabilities, None, self.classes, score, names, bits=decided)
        two = self.model.predicts != "classes"
        index = (decided > 0).long() if two else decided
        if probabilities is not None and two:
            probabilities = torch.stack([1 - probabilities, probabilities], -1)
        return Predictions(scores, index, probabilities, None, self.classes, score, names)

    def outputs(self, features: Any) -> tuple[Tensor, Tensor | None]:
        """Returns scores, and probabilities if the model has them; features in files are read in chunks."""
        chunks = [features] if isinstance(features, Tensor) else features.split(chunk_of(features))
        scores = torch.cat([self.model(chunk) for chunk in chunks])
        return scores, None if self.model.link is None else self.model.link(scores)

    def score_of(self, samples: Samples, scores: Tensor) -> float | None:
        if samples.targets is None:
            return None
        weights = None if samples.sample_weight is None else samples.sample_weight.to(scores)
        return float(self.model.score_of(scores, encode(samples, self.loss, scores.dtype), weights))

    @property
    def rates(self) -> str:
        """Returns the rates of a run that was resumed with another one, as a sentence; empty for one rate."""
        rates = self.summary.get("rates") or []
        changes = [f"{entry['rate']:g} after epoch {entry['after_epoch']}" for entry in rates[1:]]
        return f"rate {rates[0]['rate']:g}, {', '.join(changes)}" if changes else ""

    def __str__(self) -> str:
        s = self.summary
        metric = self.model.metric
        parts = [
            f"{part} {s[f'{part}_{metric}']:.4f}"
            for part in ("train", "validation", "test")
            if s.get(f"{part}_{metric}") is not None
        ]
        rates = f"; {self.rates}" if self.rates else ""
        return f"{self.path}: {s['status']} after {s['epochs']} epochs{rates}; {metric}: {', '.join(parts)}"

    def __repr__(self) -> str:
        return f"{self}\n  {self.model!r} with {self.loss!r}\n  {self.features!r}\n  {self.history!r}"

    def table(self) -> Table:
        """Returns the run's summary, one row for each key."""
        known = {key: value for key, value in self.summary.items() if value is not None}
        return Table(("", str(self.path)), list(known.items()))


@dataclass(frozen=True, eq=False, repr=False)
class Predictions(Record):
    """The predictions of samples: class indices (`index`) and probabilities, or a real `value`; a `score` if known.

    Where a sample may have several labels, `bits` (samples, classes) says which.
    """

    scores: Tensor
    index: Tensor | None
    probabilities: Tensor | None
    value: Tensor | None
    classes: tuple[str, ...] | None
    score: float | None
    names: Sequence[str] | None = None  # of the samples' files
    bits: Tensor | None = None

    @property
    def labels(self) -> list[str] | list[float] | list[list[str]]:
        """The predicted class of each sample, its real value, or the list of its labels."""
        if self.bits is not None and self.classes is not None:
            return [[name for name, bit in zip(self.classes, row, strict=True) if bit] for row in self.bits.tolist()]
        if self.index is None or self.classes is None:
            assert self.value is not None
            return self.value.tolist()
        return [self.classes[i] for i in self.index.tolist()]

    def __len__(self) -> int:
        return self.scores.shape[0]

    def table(self) -> Table:
        """Returns one row for each sample: its file, the prediction, and any probability of each class."""
        columns: dict[str, Sequence[Any]] = {} if self.names is None else {"file": self.names}
        if self.bits is not None and self.classes is not None:
            columns |= dict(zip(self.classes, self.bits.T.tolist(), strict=True))
        else:
            columns["prediction"] = self.labels
        if self.probabilities is not None:
            shares = self.probabilities.T.tolist()
            columns |= {f"p({name})": share for name, share in zip(self.classes or (), shares, strict=True)}
        formats = dict.fromkeys(columns, ".4g")
        return Table(list(columns), list(zip(*columns.values(), strict=True)), formats=formats)


def describe_shapes(prepared: Prepared) -> dict[str, Any]:
    """Describes model and pipeline for the manifest, so that `load` can build them again."""
    train = prepared.dataset.train
    return {
        "classes": None if train.classes is None else list(train.classes),
        "multilabel": train.is_multilabel,
        "feature_names": None if train.feature_names is None else list(train.feature_names),
        "target_name": train.target_name,
        "features": {"kind": prepared.pipeline.kind, "shape": list(prepared.pipeline.shape)},
        "width": prepared.train.features.shape[1],
    }


def load(path: str | Path) -> LoadedRun:
    """Loads a run from its folder. The model is on the CPU and ready to predict."""
    folder = RunFolder(path)
    if not folder.has("config.toml"):
        raise RunError(f"{path} has no config.toml. {folder.state()}")
    config = folder.read_config()
    summary = folder.read_json("summary.json", schema.SUMMARY)
    manifest = folder.read_json("manifest.json", schema.MANIFEST)
    classes = None if manifest["classes"] is None else tuple(manifest["classes"])
    dtype, loss = devices.dtype(config.run.dtype), make_loss(config.loss)
    several = bool(manifest.get("multilabel"))
    pipeline = read_pipeline(folder, manifest, config)
    weights = folder.read_tensors("model.safetensors")[0]
    if config.model.kind == neighbours.KIND:
        model: Model = neighbours.restore(config.model, weights, manifest["width"], classes, dtype)
    else:
        try:
            with torch.device("meta"):  # its sizes without its memory: the file may say anything
                sizes = make_model(config.model, loss, manifest["width"], classes, dtype, several=several)
        except RuntimeError as error:
            raise RunError(f"No model can be as large as the one in {folder.path}: {error}.") from None
        check_like(weights, sizes.state_dict(), folder)
        model = make_model(config.model, loss, manifest["width"], classes, dtype, several=several)
        load_weights(model, weights, folder)
    model.eval()
    history = History.load(folder.file("metrics.jsonl"))
    history = replace(history, snapshots=snapshots(folder, dict(model.named_parameters())))
    return LoadedRun(folder.path, config, model, loss, pipeline, history, summary, manifest)


def read_pipeline(folder: RunFolder, manifest: dict[str, Any], config: Config) -> Pipeline:
    """Reads the fitted features: floating tensors, and a standardisation as wide as the model."""
    kind, shape, width = manifest["features"]["kind"], tuple(manifest["features"]["shape"]), manifest["width"]
    if len(shape) not in (1, 3) or (len(shape) == 3 and max(shape) > LARGEST_IMAGE):
        raise RunError(f"The manifest in {folder.path} has samples of shape {shape}: neither rows nor images.")
    state = folder.read_tensors("features.safetensors")[0]
    wrong = next((name for name, tensor in state.items() if not tensor.dtype.is_floating_point), None)
    if wrong is not None:
        raise RunError(f"The features in {folder.path} must be floating numbers; {wrong[:60]} is {state[wrong].dtype}.")
    for name in ("mean", "scale"):
        if name in state and tuple(state[name].shape) != (width,):
            raise RunError(f"The {name} in {folder.path} has shape {tuple(state[name].shape)}; ({width},) is needed.")
    try:
        return Pipeline.from_state(kind, shape, state, config.features.options)
    except (KeyError, RuntimeError, IndexError) as error:
        raise RunError(f"The features in {folder.path} do not fit {kind!r}: {error}.") from None


def snapshots(folder: RunFolder, parameters: dict[str, Tensor]) -> tuple[tuple[int, dict[str, Tensor]], ...]:
    """Reads the weights along the path, by step, as `History.snapshots` has them; empty if none were saved."""
    if not folder.has("snapshots.safetensors"):
        return ()
    kept: dict[int, dict[str, Tensor]] = {}
    for key, tensor in folder.read_tensors("snapshots.safetensors")[0].items():
        step, _, name = key.partition("/")
        if not (step.isascii() and step.isdigit()):
            raise RunError(f"The snapshots in {folder.path} are named by their step; got {key[:60]!r}.")
        kept.setdefault(int(step), {})[name] = tensor
    for weights in kept.values():
        check_like(weights, parameters, folder)
    return tuple(sorted(kept.items()))
