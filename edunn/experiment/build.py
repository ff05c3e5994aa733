"""Builds a run from its config: names become objects, samples become features and encoded targets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .. import activations, data
from ..data import Dataset, Samples
from ..descent import Descent
from ..errors import ConfigError, DataError, ShapeError, check_finite, check_same_shape, nearest, shape
from ..features.pipeline import Pipeline
from ..losses import LOSSES, Loss
from ..models import MODELS, Model
from ..penalties import PENALTIES, Penalty
from ..runtime import devices, names
from ..runtime.options import hints_of, options_of, required_of, typed
from ..runtime.rows import Rows
from ..updates import RULES, SCHEDULES
from . import neighbours
from .config import NEIGHBOURS, Config, Kind

T = TypeVar("T")

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # *sizes and **options


@dataclass
class Prepared:
    """A run that is ready to start: its objects on their device, and its data."""

    config: Config
    dataset: Dataset
    pipeline: Pipeline
    descent: Any  # a Descent, or a neighbours.Choice
    model: Model
    loss: Loss
    penalty: Penalty | None
    train: Samples
    validation: Samples | None
    test: Samples | None
    device: torch.device
    dtype: torch.dtype


def prepare(config: Config, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Reads the data and builds a run. Raises an error before anything is written.

    `progress(done, total)` is called while images are decoded.
    """
    check_rate(config)
    device, dtype = devices.device(config.run.device), devices.dtype(config.run.dtype)
    # names and options first: a misspelt loss is refused before 30,000 images are read
    loss, penalty = make_loss(config.loss), make_penalty(config.penalty)
    make(config.train.rule, RULES, "train.rule")
    make(config.train.schedule, SCHEDULES, "train.schedule")
    names.resolve(config.model.kind, [*MODELS, NEIGHBOURS], "model")

    dataset = read(config, progress)
    rest, validation = dataset.train, dataset.validation
    if config.data.validation:
        if validation is not None:
            raise ConfigError(
                f"{dataset.name} has a validation part already, of {len(validation)} samples. "
                f"Leave data.validation out."
            )
        rest, validation = data.split(dataset.train, config.data.validation, config.run.seed)
    dataset, rest, validation = fill_gaps(config, dataset, rest, validation)
    rest, validation = weight_classes(config, rest, validation)
    table = config.features
    images = to_device(rest, device, config.data.dtype)
    pipeline, fitted = Pipeline.fit_apply(images, table.kind, table.standardise, **table.options)

    def convert(part: Samples | None) -> Samples | None:
        if part is None:
            return None
        return convert_part(part, loss, dtype, pipeline(to_device(part, device, config.data.dtype), dtype))

    train, held = convert_part(rest, loss, dtype, fitted), convert(validation)
    if config.model.kind == NEIGHBOURS:
        if isinstance(train.features, Rows):
            raise ConfigError(
                "Nearest neighbours need all features in memory; these are read batch by batch. Train a model."
            )
        choice = neighbours.Choice(config.model.options, train, held, config.run.seed)
        return Prepared(
            config,
            dataset,
            pipeline,
            choice,
            choice.model,
            loss,
            None,
            train,
            held,
            convert(dataset.test),
            device,
            dtype,
        )
    several = dataset.train.is_multilabel
    model = make_model(
        config.model, loss, train.features.shape[1], dataset.train.classes, dtype, config.run.seed, several
    )
    model = model.to(device)
    descent = make_descent(config, model, loss, penalty, train, held)
    return Prepared(
        config, dataset, pipeline, descent, model, loss, penalty, train, held, convert(dataset.test), device, dtype
    )


def read(config: Config, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Reads the data set of a config, and splits off a test part where data.test asks for one."""
    table = config.data
    options = dict(table.options)
    if table.features is not None:
        options["features"] = table.features
    if table.target is not None:
        options["target"] = list(table.target) if isinstance(table.target, tuple) else table.target
    if table.weight is not None:
        options["weight"] = table.weight
    if table.path is not None and data.is_table(table.path) and not isinstance(table.target, tuple):
        options.setdefault("task", task_of(config))
        if options.get("missing") == "mean" and data.has_cells(table.path):
            options["missing"] = "keep"  # the means are those of the training part, which is split off below
    dataset = data.load(table.path or table.name or "", progress=progress, **options)
    if table.test:
        if dataset.test is not None:
            raise ConfigError(
                f"{dataset.name} has a test part already, of {len(dataset.test)} samples. Leave data.test out."
            )
        rest, test = data.split(dataset.train, table.test, config.run.seed)
        dataset = replace(dataset, train=rest, test=test)
    if dataset.train.targets is None:
        raise DataError(f"{dataset.name} has no targets to train on.")
    return dataset


def task_of(config: Config) -> str:
    """Returns what a model makes of the target: "real" for linear regression, "classes" for a model of classes."""
    if config.model.kind == "linear-regression":
        loss = make_loss(config.loss)
        return "real" if loss.labels == "real" and loss.unreachable is None else "classes"
    return "classes" if config.model.kind != "two-layer" or make_loss(config.loss).class_axis else "auto"


def fill_gaps(
    config: Config, dataset: Dataset, rest: Samples, validation: Samples | None
) -> tuple[Dataset, Samples, Samples | None]:
    """Fills missing cells of all parts with the means of the training part, which `rest` is."""
    if dataset.encoding is None or config.data.options.get("missing") != "mean":
        return dataset, rest, validation
    encoding = dataset.encoding.fit(rest.features)

    def fill(part: Samples) -> Samples:
        return part.with_features(encoding.fill(part.features))

    test = None if dataset.test is None else fill(dataset.test)
    dataset = replace(dataset, train=fill(dataset.train), test=test, encoding=encoding)
    return dataset, fill(rest), None if validation is None else fill(validation)


def weight_classes(config: Config, rest: Samples, validation: Samples | None) -> tuple[Samples, Samples | None]:
    """Weights the samples of the training and validation parts by `loss.class_weight`, counted on the training part.

    So both losses belong to one objective. The test part keeps its own weights, because its score is reported.
    """
    given = config.loss.options.get("class_weight")
    if given is None:
        return rest, validation
    if not rest.is_classification:
        given = "there are several targets" if rest.is_multilabel else "the target is real"
        raise ConfigError(f"loss.class_weight is for classes; {given}. Use data.weight, a column of weights.")
    try:
        numbers = rest.class_weights(given)
    except ConfigError as error:
        raise ConfigError(f"[loss] {error}") from None
    return rest.with_class_weight(numbers), None if validation is None else validation.with_class_weight(numbers)


def to_device(part: Samples, device: torch.device, stored: str | None) -> Any:
    """Moves raw samples to the device, where features are computed; `stored="uint8"` converts them batch by batch."""
    features = part.features.to(device)
    if stored is None or isinstance(features, Rows):
        return features
    if features.dtype != torch.uint8:
        raise ConfigError(
            f"data.dtype = {stored!r} is for images; these are numbers of {features.dtype}. Leave it out."
        )
    return Rows([features], device=device, finite=True)


def convert_part(part: Samples, loss: Loss, dtype: torch.dtype, features: Any) -> Samples:
    """Returns the part with its features in the model's dtype and its targets in the loss's convention."""
    targets = None if part.targets is None else encode(part, loss, dtype).to(features.device)
    classes = part.classes if loss.labels == "classes" else None
    return Samples(features.to(dtype=dtype), targets, classes, sample_weight=part.sample_weight)


def encode(part: Samples, loss: Loss, dtype: torch.dtype) -> Tensor:
    """Returns the targets in the loss's convention: real, 0 and 1, −1 and +1, or class indices."""
    targets = part.targets
    assert targets is not None
    name = type(loss).__name__
    if part.is_multilabel:
        if not loss.separate:
            raise ConfigError(
                f"{name} takes one target a sample; the data has {len(part.classes or ())}, each 0 or 1. "
                f'Use loss = "one-vs-all-cross-entropy" or "one-vs-all-hinge".'
            )
        return targets.to(dtype)
    if not part.is_classification:
        if loss.labels == "classes":
            raise ConfigError(f"{name} is for classes; the target is real. Use squared-error, absolute-error or huber.")
        return targets.to(dtype)
    classes = part.classes or ()
    if loss.labels == "classes":
        return targets
    if len(classes) != 2:
        raise ConfigError(
            f"{name} takes two classes; the data has {len(classes)}. "
            f"Use cross-entropy, multiclass-hinge, or squared-error with classes = true; "
            f'if the target is a number to be predicted, say data.task = "real".'
        )
    return (2 * targets - 1 if two_class_labels(loss) == "signs" else targets).to(dtype)


def two_class_labels(loss: Loss) -> str:
    """Returns "bits" or "signs": the loss's own labels; for a loss of real targets, those that its output can reach.

    The sign of the score decides. Through a sigmoid score 0 is ½, half way between 0 and 1; on a linear score or
    through tanh, 0 is half way between −1 and +1.
    """
    if loss.labels in ("bits", "signs"):
        return loss.labels
    return "bits" if loss.unreachable == (0.0, 1.0) else "signs"


def make_descent(
    config: Config,
    model: Model,
    loss: Loss,
    penalty: Penalty | None,
    train: Samples,
    validation: Samples | None,
    checked: bool = False,
) -> Descent:
    """Makes the loop of a config; `checked=True` skips the checks of samples that another run has passed."""
    options = config.train
    return Descent(
        model,
        loss,
        train,
        rate=options.rate,
        batch_size=None if options.batch_size == "full" else int(options.batch_size),
        epochs=options.epochs,
        steps=options.steps,
        penalty=penalty,
        rule=make(options.rule, RULES, "train.rule"),
        schedule=make(options.schedule, SCHEDULES, "train.schedule"),
        validation=validation,
        tolerance=options.tolerance,
        patience=options.patience,
        evaluate=options.evaluate,
        snapshots=options.snapshots or None,
        clip_norm=options.clip_norm,
        clip_value=options.clip_value,
        seed=config.run.seed,
        precision=config.run.precision,
        checked=checked,
    )


def check_rate(config: Config) -> None:
    """Raises ConfigError for a rate that is infinite in the run's dtype."""
    rate, largest = config.train.rate, torch.finfo(devices.dtype(config.run.dtype)).max
    if not math.isfinite(rate):
        raise ConfigError(f"train.rate must be finite; got {rate}.")
    if abs(rate) > largest:
        raise ConfigError(
            f"train.rate = {rate:g} does not fit {config.run.dtype}, whose largest number is {largest:.3g}. Lower it."
        )


def make_penalty(kind: Kind | None) -> Penalty | None:
    """Makes the penalty of a config, if it has one."""
    return None if kind is None else make(kind, PENALTIES, "penalty")


def make_loss(kind: Kind) -> Loss:
    """Makes the loss of a config; `through` is an activation's name. Its `class_weight` goes to the samples."""
    options = dict(kind.options)
    options.pop("class_weight", None)
    if "through" in options:
        options["through"] = activations.named(options["through"])
    return make(Kind(kind.kind, options), LOSSES, "loss")


def make_model(
    kind: Kind,
    loss: Loss,
    width: int,
    classes: tuple[str, ...] | None,
    dtype: torch.dtype,
    seed: int = 0,
    several: bool = False,
) -> Model:
    """Makes the model of a config with its starting weights: its own, or the `weight` and `bias` of its options.

    `several`: a sample may have several of the classes, and the model gives a bit for each.
    """
    options = dict(kind.options)
    start = {name: options.pop(name) for name in ("weight", "bias") if isinstance(options.get(name), list)}
    given: dict[str, Any] = {"features": width, "dtype": dtype}
    name = names.resolve(kind.kind, MODELS, "model")
    takes, needed = options_of(MODELS[name]), required_of(MODELS[name])
    if several and name not in ("logistic-regression", "svm", "two-layer"):
        raise ConfigError(
            f"The model {name!r} gives one prediction a sample; the data has {len(classes or ())} targets. "
            f"Use logistic-regression, svm or two-layer."
        )
    if "labels" in takes:
        given["labels"] = len(classes or ()) if several else None
    elif "outputs" in takes and "outputs" not in needed and "predicts" in takes:
        given["outputs"] = len(classes or ()) if several else 1
    if "classes" in takes and "labels" in takes and several:
        given["classes"] = 2  # `labels` takes its place
    elif "classes" in takes:
        if not classes:
            raise ConfigError(f"The model {name!r} is for classes; the target is real. Use linear-regression.")
        given["classes"] = len(classes)
    if "seed" in takes and "seed" not in options:
        given["seed"] = seed
    if "outputs" in needed:
        given["outputs"] = len(classes or ()) if loss.class_axis else 1
        if loss.class_axis or not classes:
            given["predicts"] = "bits" if several else "classes" if loss.class_axis else "real"
    if "predicts" in takes and "predicts" not in given:
        given["predicts"] = "bits" if several else two_class_labels(loss)
    model: Model = make(Kind(name, options), MODELS, "model", **given)
    one_output = model.one_output
    if loss.class_axis == one_output:
        wanted = "one score a class" if loss.class_axis else "one score"
        raise ConfigError(
            f"The loss {type(loss).__name__} takes {wanted} a sample; the model {name!r} gives "
            f"{'one score' if one_output else 'one a class'}. "
            + (
                "Use the model softmax, or a loss for two classes."
                if loss.class_axis
                else "Use cross-entropy or multiclass-hinge."
            )
        )
    with torch.no_grad():
        for leaf, value in start.items():
            parameter = getattr(model, leaf)
            try:
                numbers = torch.tensor(value, dtype=parameter.dtype, device="cpu")
                check_finite(f"model.{leaf}", numbers)
                parameter.copy_(check_same_shape(f"model.{leaf}", numbers, parameter))
            except (DataError, ShapeError) as error:
                raise ConfigError(str(error)) from None
            except (TypeError, ValueError, RuntimeError):  # text, or rows of different lengths
                raise ConfigError(
                    f"model.{leaf} must be nested lists of numbers, of shape {shape(parameter)}."
                ) from None
    return model


def make(kind: Kind, table: Mapping[str, type[T]], where: str, **given: Any) -> T:
    """Makes an object of a kind; `given` are the options that follow from the data, `where` is the config's table.

    An unknown name or option, a value of the wrong type and one that the class refuses raise ConfigError.
    """
    name, implied = names.expand(kind.kind, table, where.rpartition(".")[2])
    cls = table[name]
    takes = [option for option in options_of(cls) if option not in given and option not in fixed_options(cls)]
    for option in kind.options:
        if option not in takes:
            hint = nearest(option, takes) if takes else "It takes none."
            raise ConfigError(f"Unknown config key {where}.{option} for {name!r}. {hint}")
    hints = hints_of(cls)
    options = {option: typed(value, hints.get(option), f"{where}.{option}") for option, value in kind.options.items()}
    options = {**implied, **options}
    missing = [option for option in required_of(cls) if option not in given and option not in options]
    if missing:
        raise ConfigError(f"The config has no {where}.{missing[0]}, which {name!r} needs. Add it.")
    try:
        return cls(**given, **options)
    except ConfigError as error:
        raise ConfigError(f"[{where}] {error}") from None
    except TypeError as error:
        raise ConfigError(f"[{where}] {error}.") from None


def fixed_options(cls: type) -> set[str]:
    """Lists the options that a config cannot set: they follow from the data, or the class itself fixes them."""
    own = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {"dtype", "device", "runs"} | ({"outputs"} - set(own))
