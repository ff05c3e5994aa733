"""Puts a run together from its config: names become objects, samples become features and encoded targets."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .. import data
from ..activations import ACTIVATIONS, Sigmoid
from ..data import Dataset, Samples
from ..descent import Descent
from ..errors import ConfigError, DataError, check_same_shape, nearest
from ..features.pipeline import Pipeline
from ..losses import LOSSES, Loss
from ..models import MODELS
from ..penalties import PENALTIES, Penalty
from ..runtime import devices
from ..runtime.rows import Rows
from ..updates import RULES, SCHEDULES
from . import neighbours
from .config import Config, Kind, coerce

T = TypeVar("T")


@dataclass
class Prepared:
    """All that `descend` takes, ready on its device, and what the files of the run tell of it."""

    config: Config
    dataset: Dataset
    pipeline: Pipeline
    descent: Any  # a Descent, or what stands in its place
    model: Any
    loss: Loss
    penalty: Penalty | None
    train: Samples
    validation: Samples | None
    test: Samples | None
    device: torch.device
    dtype: torch.dtype


def prepare(config: Config, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Reads the data and builds everything, and so refuses what does not fit before anything is written.

    `progress(done, total)` is called while images are decoded.
    """
    device, dtype = devices.device(config.run.device), devices.dtype(config.run.dtype)
    # names and options first: a misspelt loss should not wait for 30,000 images
    loss, penalty = make_loss(config.loss), make_penalty(config.penalty)
    make(config.train.rule, RULES, "train.rule")
    make(config.train.schedule, SCHEDULES, "train.schedule")
    if config.model.kind != neighbours.KIND:
        known_kind(config.model, {**MODELS, neighbours.KIND: None}, "model")

    dataset = read(config, progress)
    rest, validation = dataset.train, None
    if config.data.validation:
        rest, validation = data.split(dataset.train, config.data.validation, config.run.seed)
    table = config.features
    images = placed(rest, device, config.data.dtype)
    pipeline, fitted = Pipeline.fit_apply(images, table.kind, table.standardise, **table.options)

    def ready(part: Samples | None) -> Samples | None:
        if part is None:
            return None
        return encoded(part, loss, dtype, pipeline(placed(part, device, config.data.dtype), dtype))

    train, held = encoded(rest, loss, dtype, fitted), ready(validation)
    if config.model.kind == neighbours.KIND:
        if isinstance(train.features, Rows):
            raise ConfigError("Expected a model that is trained, for features that are read batch by batch.")
        choice = neighbours.Choice(config.model.options, train, held, config.run.seed)
        return Prepared(
            config, dataset, pipeline, choice, choice.model, loss, None, train, held, ready(dataset.test), device, dtype
        )
    model = make_model(config.model, loss, train.features.shape[1], dataset.train.classes, dtype, config.run.seed)
    model = model.to(device)
    descent = make_descent(config, model, loss, penalty, train, held)
    return Prepared(
        config, dataset, pipeline, descent, model, loss, penalty, train, held, ready(dataset.test), device, dtype
    )


def read(config: Config, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """The data set of the config, with a test part set aside where it asks for one and the source has none."""
    table = config.data
    options = dict(table.options)
    if table.features is not None:
        options["features"] = table.features
    if table.target is not None:
        options["target"] = table.target
    dataset = data.load(table.path or table.name or "", progress=progress, **options)
    if table.test:
        if dataset.test is not None:
            raise ConfigError(
                f"Expected data.test = 0: {dataset.name} has a test part of its own, of {len(dataset.test)} samples."
            )
        rest, test = data.split(dataset.train, table.test, config.run.seed)
        dataset = replace(dataset, train=rest, test=test)
    if dataset.train.targets is None:
        raise DataError(f"Expected targets to train on; {dataset.name} has none.")
    return dataset


def placed(part: Samples, device: torch.device, kept: str | None) -> Any:
    """The samples where the training will be, for features are computed there; `kept` as bytes, made batch by batch."""
    features = part.features.to(device)
    if kept is None or isinstance(features, Rows):
        return features
    if features.dtype != torch.uint8:
        raise ConfigError(f"Expected images for data.dtype = {kept!r}; got numbers of {features.dtype}. Leave it out.")
    return Rows([features], device=device, finite=True)


def encoded(part: Samples, loss: Loss, dtype: torch.dtype, features: Any) -> Samples:
    """The part as the model and the loss take it, with the features that were made of it."""
    targets = None if part.targets is None else encode(part, loss, dtype).to(features.device)
    return Samples(features.to(dtype=dtype), targets, classes=part.classes if loss.labels == "classes" else None)


def encode(part: Samples, loss: Loss, dtype: torch.dtype) -> Tensor:
    """Targets in the loss's convention: real, 0 and 1, −1 and +1, or class indices."""
    targets = part.targets
    assert targets is not None
    name = type(loss).__name__
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
    """The numbers that stand for two classes: the loss's own; for a loss of real targets, what its output can reach.

    The sign of the score decides. Through a sigmoid score 0 is ½, half way between 0 and 1; on a linear score or
    through tanh, 0 is half way between −1 and +1.
    """
    if loss.labels in ("bits", "signs"):
        return loss.labels
    return "bits" if isinstance(getattr(loss, "through", None), Sigmoid) else "signs"


def make_descent(
    config: Config,
    model: Any,
    loss: Loss,
    penalty: Penalty | None,
    train: Samples,
    validation: Samples | None,
    checked: bool = False,
) -> Descent:
    """The loop of a config; `checked` where another run on the same samples has looked at them."""
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
        snapshots=options.snapshots,
        seed=config.run.seed,
        precision=config.run.precision,
        checked=checked,
    )


def make_penalty(kind: Kind | None) -> Penalty | None:
    """The penalty of a config, if it has one."""
    return None if kind is None else make(kind, PENALTIES, "penalty")


def make_loss(kind: Kind) -> Loss:
    """The loss of a config; `through` is an activation's name."""
    options = dict(kind.options)
    if "through" in options:
        name = str(options["through"])
        known_kind(Kind(name), ACTIVATIONS, "loss.through")
        options["through"] = ACTIVATIONS[name]()
    return make(Kind(kind.kind, options), LOSSES, "loss")


def make_model(
    kind: Kind, loss: Loss, width: int, classes: tuple[str, ...] | None, dtype: torch.dtype, seed: int = 0
) -> Any:
    """The model of a config, at its start: zero, or the `weight` and `bias` that its options give."""
    options = dict(kind.options)
    start = {name: options.pop(name) for name in ("weight", "bias") if isinstance(options.get(name), list)}
    given: dict[str, Any] = {"features": width, "dtype": dtype}
    takes = parameters_of(MODELS[kind.kind])
    if "classes" in takes:
        if not classes:
            raise ConfigError(f"The model {kind.kind!r} is for classes; the target is real. Use linear-regression.")
        given["classes"] = len(classes)
    if "seed" in takes:
        given["seed"] = options.pop("seed", seed)
    if "outputs" in required_of(MODELS[kind.kind]):
        given["outputs"] = len(classes or ()) if loss.class_axis else 1
        if loss.class_axis or not classes:
            given["labels"] = "classes" if loss.class_axis else "real"
    if "labels" in takes and "labels" not in given:
        given["labels"] = two_class_labels(loss)
    model = make(Kind(kind.kind, options), MODELS, "model", **given)
    one_output = model.one_output
    if loss.class_axis == one_output:
        wanted = "one score a class" if loss.class_axis else "one score"
        raise ConfigError(
            f"The loss {type(loss).__name__} takes {wanted} a sample; the model {kind.kind!r} gives "
            f"{'one score' if one_output else 'one a class'}. "
            + (
                "Use the model softmax, or a loss for two classes."
                if loss.class_axis
                else "Use cross-entropy or multiclass-hinge."
            )
        )
    with torch.no_grad():
        for name, value in start.items():
            parameter = getattr(model, name)
            try:
                parameter.copy_(
                    check_same_shape(f"model.{name}", torch.tensor(value, dtype=parameter.dtype), parameter)
                )
            except (TypeError, ValueError) as error:
                raise ConfigError(str(error)) from None
    return model


def make(kind: Kind, table: Mapping[str, type[T]], where: str, **given: Any) -> T:
    """An object of the kind, with its options checked by name; a value it refuses names the table it stands in."""
    known_kind(kind, table, where)
    cls = table[kind.kind]
    takes = [name for name in parameters_of(cls) if name not in given]
    for option in kind.options:
        if option not in takes:
            raise ConfigError(f"Unknown config key {where}.{option} for {kind.kind!r}. {hint(option, takes)}")
    hints = hints_of(cls)
    options = {name: typed(value, hints.get(name), f"{where}.{name}") for name, value in kind.options.items()}
    try:
        return cls(**given, **options)
    except ConfigError as error:
        raise ConfigError(f"[{where}] {error}") from None
    except TypeError as error:
        missing = [name for name in required_of(cls) if name not in given and name not in kind.options]
        what = f"Expected {where}.{missing[0]}; the config has none." if missing else f"[{where}] {error}."
        raise ConfigError(what) from None


def hint(option: str, takes: list[str]) -> str:
    return nearest(option, takes) if takes else "It takes none."


def known_kind(kind: Kind, table: Mapping[str, Any], where: str) -> None:
    if kind.kind not in table:
        raise ConfigError(f"Expected {where} as one of the known kinds; got {kind.kind!r}. {nearest(kind.kind, table)}")


def parameters_of(cls: type) -> list[str]:
    """What a class's constructor takes, its base's behind **options included."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" in base.__dict__ and base.__module__.startswith("edunn"):
            parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
            names.update(dict.fromkeys(n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD and n != "self"))
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                break
    # what follows from the data and the loss, or is fixed by the class itself, is no option
    own = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    fixed = {"dtype", "device", "runs"} | ({"outputs"} - set(own))
    return [name for name in names if name not in fixed]


def hints_of(cls: type) -> dict[str, Any]:
    """The types of what a class's constructor takes, its base's included."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in base.__dict__ and base.__module__.startswith("edunn"):
            hints |= typing.get_type_hints(base.__init__)  # type: ignore[misc]
    return hints


def typed(value: Any, hint: Any, name: str) -> Any:
    """An option as its parameter's type, where that is one that TOML can write; anything else is left to the class."""
    choices = typing.get_args(hint) or (hint,)
    plain = [choice for choice in choices if choice in (bool, int, float, str)]
    return coerce(value, typing.Union[tuple(plain)], name) if plain else value  # noqa: UP007


def required_of(cls: type) -> list[str]:
    """Those without a default."""
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return [n for n, p in parameters.items() if n != "self" and p.default is p.empty and p.kind is not p.VAR_KEYWORD]
