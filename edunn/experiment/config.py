"""The description of a run: TOML into frozen dataclasses. A key that is not known names the one that was meant.

A table with a `kind` (features, model, loss, penalty, and `rule` and `schedule` of train) takes that kind's own options
beside it; they are checked against the kind when the run is put together. A bare name stands for a table with that
kind and no options: `loss = "cross-entropy"`.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, nearest


@dataclass(frozen=True)
class Kind:
    """A name from one of the package's tables, and its options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """Where the samples come from, and which of them are kept from training.

    name : a data set of the package (`edunn data list`); or path : a CSV or npz file, a folder or zip of class folders,
        or features that stay on disk: a .npy file (`targets` : another one), a folder of shards
    features, target : columns of a table (default: all but the last, the last)
    validation : the share of the training part on which choices are made
    test : the share that is looked at once, at the end, for sources without a test part of their own
    dtype : "uint8": images stay bytes, and a batch is made into numbers when it is drawn
    options : what the source takes beside (`samples`, `noise`, `seed` of a toy set; `size` of images; `verify` of
        shards)
    """

    name: str | None = None
    path: str | None = None
    features: tuple[str, ...] | None = None
    target: str | None = None
    validation: float = 0.0
    test: float = 0.0
    dtype: typing.Literal["uint8"] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Features(Kind):
    """What is made of the samples, and whether each column is shifted and scaled to mean 0 and deviation 1."""

    kind: str = "auto"
    standardise: bool = False


@dataclass(frozen=True)
class Train:
    """How it is trained: see `edunn.descend`."""

    rate: float = 0.1
    schedule: Kind = Kind("constant")
    rule: Kind = Kind("gradient-descent")
    batch_size: int | typing.Literal["full"] = "full"
    epochs: int | None = None
    steps: int | None = None
    tolerance: float | None = None
    patience: int | None = None
    evaluate: int = 1
    snapshots: int | None = None


@dataclass(frozen=True)
class Run:
    """Its name (of the run's folder), where it is computed, and the seed of all that is random: start, split, order.

    precision : of the products of a training step: full, tf32 (CUDA) or bf16; all else keeps the dtype
    """

    name: str = "run"
    device: str = "auto"
    dtype: str = "float32"
    precision: str = "full"
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """A whole run."""

    data: Data
    model: Kind
    loss: Kind
    features: Features = field(default_factory=Features)
    penalty: Kind | None = None
    train: Train = field(default_factory=Train)
    run: Run = field(default_factory=Run)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file, with `train.rate=0.1`-like overrides laid over it.

    Relative paths: from the config's own folder inside the file, from the working directory in an override.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"Expected a config file; there is no {path}. The repository's configs/ has some to start from."
        ) from None
    except IsADirectoryError:
        hint = f"Its config is {path / 'config.toml'}." if (path / "config.toml").is_file() else "Name a file in it."
        raise ConfigError(f"Expected a config file; {path} is a folder. {hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Expected a config file in UTF-8; {path} cannot be read: {error}.") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"Expected TOML in {path}; {error}.") from None
    anchor(tables, path.parent)
    if "run" not in tables or "name" not in tables["run"]:
        tables.setdefault("run", {})["name"] = path.stem
    return parse(tables, overrides)


def parse(tables: dict[str, Any], overrides: Sequence[str] = ()) -> Config:
    """A config from nested dictionaries, with overrides laid over them."""
    for override in overrides:
        key, value = split_override(override)
        layer: dict[str, Any] = {}
        inner = layer
        *parents, leaf = key.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
        anchor(layer, Path.cwd())
        if key in ("data.name", "data.path"):  # one source takes the other's place
            for other in ("name", "path"):
                tables.get("data", {}).pop(other, None)
        merge(tables, layer)
    model = tables.get("model")
    if (model.get("kind") if isinstance(model, dict) else model) == "neighbours":
        # they have no loss to follow; this one only says that their targets are class indices
        tables.setdefault("loss", "cross-entropy")
    config = build(Config, tables, "")
    assert isinstance(config, Config)
    if (config.data.name is None) == (config.data.path is None):
        raise ConfigError(
            "Expected either data.name or data.path; got " + ("both." if config.data.name else "neither.")
        )
    if Path(config.run.name).name != config.run.name or config.run.name in ("", ".", ".."):
        raise ConfigError(f"Expected run.name as the name of a folder, without a path; got {config.run.name!r}.")
    for key in ("validation", "test"):
        share = getattr(config.data, key)
        if not 0 <= share < 1:
            raise ConfigError(f"Expected data.{key} in [0, 1), a share of the samples; got {share}.")
    return config


def dump(config: Config) -> str:
    """The config as TOML, every value spelt out."""
    import tomli_w

    return tomli_w.dumps(plain(config))


def plain(value: Any) -> Any:
    """Dataclasses as nested dictionaries, options beside their kind, and what is None left out."""
    if dataclasses.is_dataclass(value):
        items = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        options = items.pop("options", None) or {}
        return {k: v for k, v in {**items, **options}.items() if v is not None}
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def split_override(text: str) -> tuple[str, Any]:
    """`train.rate=0.1` into its key and its value, read as TOML; what is not TOML is a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"Expected an override like train.rate=0.1; got {text!r}.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def anchor(tables: dict[str, Any], folder: Path) -> None:
    """Makes data.path, and data.targets beside it, absolute."""
    data = tables.get("data")
    for key in ("path", "targets"):
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = str((folder / Path(data[key]).expanduser()).resolve())


def merge(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Lays one nested dictionary over another. A kind's bare name gives way to its table, keeping the name."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), str):
            below[key] = {"kind": below[key]}
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            if "kind" in value and value["kind"] != below[key].get("kind"):
                below[key] = {}  # another kind: the old one's options do not fit it
            merge(below[key], value)
        else:
            below[key] = value


def build(cls: type, table: Any, where: str) -> Any:
    """A dataclass from a table: every key known, every value of its field's type."""
    if issubclass(cls, Kind) and isinstance(table, str):
        table = {"kind": table}
    if not isinstance(table, dict):
        raise ConfigError(f"Expected a table for {where}; got {table!r}.")
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.name != "options"]
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        if key in known:
            values[key] = coerce(value, hints[key], name)
        elif "options" in hints:
            options[key] = value
        else:
            raise ConfigError(f"Unknown config key {name}. {nearest(key, known)}")
    if options:
        values["options"] = options
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in values
    ]
    if missing:
        name = f"{where}.{missing[0]}" if where else f"a table [{missing[0]}]"
        raise ConfigError(f"Expected {name}; the config has none.")
    return cls(**values)


def coerce(value: Any, hint: Any, name: str) -> Any:
    """A TOML value as the field's type, or a sentence that says what was expected."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        choices = [h for h in typing.get_args(hint) if h is not type(None)]
    else:
        choices = [hint]
    for choice in choices:
        if dataclasses.is_dataclass(choice):
            return build(typing.cast(type, choice), value, name)
        if typing.get_origin(choice) is typing.Literal and value in typing.get_args(choice):
            return value
        if typing.get_origin(choice) is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if choice in (int, str, bool) and type(value) is choice:
            return value
    raise ConfigError(f"Expected {name} as {' or '.join(describe(c) for c in choices)}; got {value!r}.")


def describe(hint: Any) -> str:
    """A type as a reader says it."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(v) for v in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return "a list of names"
    return {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}.get(hint, str(hint))
