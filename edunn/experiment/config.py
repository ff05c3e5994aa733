"""The config of a run, read from TOML into frozen dataclasses.

A table with a `kind` (features, model, loss, penalty, and `rule` and `schedule` of train) takes that kind's own options
beside it; they are checked when the run is built. A bare name means a table with that kind and no options:
`loss = "cross-entropy"`. Names are understood in every spelling of `runtime.names`, and kept in the canonical one.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import data
from ..activations import ACTIVATIONS
from ..errors import ConfigError, nearest
from ..features import pipeline
from ..losses import LOSSES
from ..models import MODELS
from ..penalties import PENALTIES
from ..runtime import guesses, names
from ..runtime.files import read_file
from ..runtime.options import LARGEST, check_size, coerce, shorten
from ..updates import RULES, SCHEDULES
from . import shipped

NEIGHBOURS = "neighbours"  # the model that is not trained
DEEPEST = 16  # tables and arrays inside one another
LONGEST = 4 * 2**20  # bytes of a config file
LONGEST_NAME = 200  # bytes; file systems allow 255, and the time is added

# where a config names a thing: the names that are possible, and the family
NAMED: dict[str, tuple[Sequence[str], str]] = {
    "model": ([*MODELS, NEIGHBOURS], "model"),
    "model.activation": ([*ACTIVATIONS], "activation"),
    "loss": ([*LOSSES], "loss"),
    "loss.through": ([*ACTIVATIONS], "activation"),
    "penalty": ([*PENALTIES], "penalty"),
    "train.rule": ([*RULES], "rule"),
    "train.schedule": ([*SCHEDULES], "schedule"),
}


@dataclass(frozen=True)
class Kind:
    """The canonical name of a loss, a model or the like, and its options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """The source of the samples, and the shares for validation and test.

    name : a data set of the package (`edunn data list`); or path : a CSV or npz file, a folder or zip of class folders,
        or features that stay on disk: a .npy file (`targets` : another one), a folder of shards
    features, target : columns of a table (default: all but the last, the last). A list of targets: columns of 0 and 1,
        for samples with several labels
    weight : the column of a table with the weight of each sample, 0 or more
    validation : the share of the training part on which choices are made
    test : the share that is evaluated once, at the end, for sources without a test part of their own
    dtype : "uint8" keeps images as bytes; each batch is converted to numbers when it is drawn
    options : the source's own options (`samples`, `noise`, `seed` of a toy set; `size` of images; `verify` of
        shards; of a table `task`, `exclude`, `missing`, `categories`, `header` and the others of `data.read_table`)
    """

    name: str | None = None
    path: str | None = None
    features: tuple[str, ...] | None = None
    target: str | tuple[str, ...] | None = None
    weight: str | None = None
    validation: float = 0.0
    test: float = 0.0
    dtype: typing.Literal["uint8"] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Features(Kind):
    """The features to compute, and whether each column is standardised to mean 0 and deviation 1."""

    kind: str = "auto"
    standardise: bool = False


@dataclass(frozen=True)
class Train:
    """The training loop's options, those of `edunn.descend`.

    snapshots : keep the weights every this many steps; 0 for none. By default a model of at most 10,000 parameters
        keeps about 100, for the path on its surface
    """

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
    clip_norm: float | None = None
    clip_value: float | None = None


@dataclass(frozen=True)
class Run:
    """The run's name (also of its folder), its device and dtype, and one seed for start, split and order.

    precision : of the matrix products of a training step: full, tf32 (CUDA) or bf16; the rest keeps the dtype
    """

    name: str = "run"
    device: str = "auto"
    dtype: str = "float32"
    precision: str = "full"
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """Everything that defines a run."""

    data: Data
    model: Kind
    loss: Kind
    features: Features = field(default_factory=Features)
    penalty: Kind | None = None
    train: Train = field(default_factory=Train)
    run: Run = field(default_factory=Run)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file; an override like `train.rate=0.1` replaces a value of the file.

    Relative paths start at the config's own folder inside the file, and at the working directory in an override. The
    name of a config that comes along stands for its file, as if that were in configs/ of the working directory.
    """
    path = Path(path)
    folder, own = path.parent, shipped.find(path)
    if own is not None and not path.exists():
        path, folder = own, Path("configs")
    try:
        text = read_file(path, LONGEST).decode()
    except FileNotFoundError:
        close = difflib.get_close_matches(path.stem, shipped.names(), n=1)
        hint = f"Did you mean {close[0]}?" if close else "edunn config --list names those that come along."
        raise ConfigError(f"There is no config file {path}. {hint}") from None
    except IsADirectoryError:
        hint = f"Its config is {path / 'config.toml'}." if (path / "config.toml").is_file() else "Name a file in it."
        raise ConfigError(f"{path} is a folder, not a config file. {hint}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The config file {path} is not in UTF-8. Save it as UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"The config file {path} cannot be read: {error.strerror}.") from None
    tables = read_toml(text, path)
    make_absolute(tables, folder)
    run = tables.setdefault("run", {})
    if isinstance(run, dict):
        run.setdefault("name", path.stem)
    return parse(tables, overrides)


def read(given: Any, overrides: Sequence[str] = ()) -> Config:
    """Returns a config from a Config, a dictionary of its tables, or what `load` takes."""
    if isinstance(given, Config):
        given = to_tables(given)
    if isinstance(given, Mapping):
        tables = copy.deepcopy(dict(given))
        make_absolute(tables, Path.cwd())
        return parse(tables, overrides)
    if isinstance(given, str | Path):
        return load(given, overrides)
    raise ConfigError(
        f"edunn.train takes a config: a TOML file, a dictionary or a Config; got {type(given).__name__}. "
        f"A model is trained by edunn.descend(model, loss, samples, rate=0.1) or model.fit(X, y)."
    )


def read_toml(text: str, path: Path) -> dict[str, Any]:
    """Reads TOML into nested dictionaries; what is not TOML raises ConfigError with the line."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply: at most {DEEPEST} levels.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None
    except ValueError:  # more digits than Python reads
        raise ConfigError(f"{path} holds a whole number that is too large: they go up to {LARGEST}.") from None


def parse(tables: dict[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Makes a config from nested dictionaries, which the overrides change."""
    check_values(tables)
    use_canonical_names(tables)
    for override in overrides:
        key, layer = override_table(override)
        if key in ("data.name", "data.path") and isinstance(tables.get("data"), dict):  # one source replaces the other
            for other in ("name", "path"):
                tables["data"].pop(other, None)
        merge(tables, layer)
    use_presets(tables)
    model = tables.get("model")
    if (model.get("kind") if isinstance(model, dict) else model) == NEIGHBOURS:
        # it is not trained; this loss only says that the targets are class indices
        tables.setdefault("loss", "cross-entropy")
    config = build(Config, tables, "")
    assert isinstance(config, Config)
    if (config.data.name is None) == (config.data.path is None):
        raise ConfigError(
            "The config has both data.name and data.path. Remove one."
            if config.data.name
            else "The config has no data. Give data.name (edunn data list) or data.path."
        )
    name = config.run.name
    if Path(name).name != name or name in ("", ".", "..") or len(name.encode()) > LONGEST_NAME:
        raise ConfigError(
            f"run.name becomes the name of a folder: at most {LONGEST_NAME} bytes, and no path; got {shorten(name)}."
        )
    for key in ("validation", "test"):
        share = getattr(config.data, key)
        if not 0 <= share < 1:
            raise ConfigError(f"data.{key} is a share of the samples, 0 or more and below 1; got {share}.")
    return config


def dump(config: Config) -> str:
    """Returns the config as TOML, defaults included."""
    import tomli_w

    return tomli_w.dumps(to_tables(config))


def to_tables(value: Any) -> Any:
    """Turns dataclasses into nested dictionaries, with options beside their kind and without what is None."""
    if dataclasses.is_dataclass(value):
        items = {f.name: to_tables(getattr(value, f.name)) for f in dataclasses.fields(value)}
        options = items.pop("options", None) or {}
        return {k: v for k, v in {**items, **options}.items() if v is not None}
    if isinstance(value, Mapping):
        return {k: to_tables(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_tables(v) for v in value]
    return value


def train_overrides(options: Mapping[str, Any]) -> list[str]:
    """Returns options of [train] as overrides: {"lr": 0.5} is `train.rate=0.5`."""
    known = [f.name for f in dataclasses.fields(Train)]
    named = guesses.rename_options(options, known, "edunn.train(…)")
    written = {key: "full" if key == "batch_size" and value is None else value for key, value in named.items()}
    return [f"train.{key}={in_toml(value)}" for key, value in written.items() if value is not None]


def in_toml(value: Any) -> str:
    """Returns a value as TOML writes it."""
    import tomli_w

    return tomli_w.dumps({"value": value}).partition("=")[2].strip()


def override_table(text: str) -> tuple[str, dict[str, Any]]:
    """Reads one override: returns its key, and a table that holds its value alone."""
    key, value = split_override(text)
    table: dict[str, Any] = {}
    inner = table
    *parents, leaf = key.split(".")
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[leaf] = value
    check_values(table)
    use_canonical_names(table)
    make_absolute(table, Path.cwd())
    return key, table


def split_override(text: str) -> tuple[str, Any]:
    """Splits `train.rate=0.1` into its key and its value, which is read as TOML; what is not TOML is a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"An override is written KEY=VALUE, like train.rate=0.1; got {shorten(text)}.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except RecursionError:
        raise ConfigError(f"The value of {key.strip()} is nested too deeply: at most {DEEPEST} levels.") from None
    except ValueError:  # TOMLDecodeError, or a number of more digits than Python reads
        return key.strip(), value.strip()


def check_values(tables: dict[str, Any]) -> None:
    """Raises ConfigError for deep nesting, whole numbers of more than 64 bits, and text with a NUL."""
    waiting: list[tuple[str, Any, int]] = [("", tables, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ConfigError(f"{name} is nested too deeply: at most {DEEPEST} levels.")
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}" if name else key, inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(name, inner, depth + 1) for inner in value]
        elif isinstance(value, str) and "\0" in value:
            raise ConfigError(f"{name} holds a NUL character; got {shorten(value)}. Remove it.")
        else:
            check_size(value, name)


def use_canonical_names(tables: dict[str, Any]) -> None:
    """Replaces each name of the tables by the package's own, in place: "mse" becomes "squared-error"."""
    for place, (known, what) in NAMED.items():
        holder, key = holder_of(tables, place)
        if isinstance(holder.get(key), str):
            holder[key] = names.resolve(holder[key], [*known, *names.possible_presets(known, what)], what)
    if isinstance(tables.get("train"), dict):  # lr, n_epochs and the like
        fields = [f.name for f in dataclasses.fields(Train)]
        tables["train"] = guesses.rename_keys(tables["train"], fields, "train")
    holder, key = holder_of(tables, "features")
    if isinstance(holder.get(key), str):
        holder[key] = pipeline.canonical(holder[key])
    table = tables.get("data")
    if isinstance(table, dict) and isinstance(table.get("name"), str):
        table["name"] = names.find(table["name"], data.NAMES, "data set") or table["name"]


def use_presets(tables: dict[str, Any]) -> None:
    """Replaces each name that implies options by its kind and these options: "squared-hinge" is hinge, power 2.

    Called after the overrides: one that names hinge must not inherit the power of squared-hinge.
    """
    for place, (known, what) in NAMED.items():
        holder, key = holder_of(tables, place)
        if isinstance(holder.get(key), str) and holder[key] in names.possible_presets(known, what):
            kind, options = names.expand(holder[key], known, what)
            if key == "kind":
                holder.update({**options, **holder, "kind": kind})
            else:
                holder[key] = {"kind": kind, **options}


def holder_of(tables: dict[str, Any], place: str) -> tuple[dict[str, Any], str]:
    """Returns the dictionary that holds the name of a thing, and its key: `kind` of a table, or the thing's own key."""
    *parents, key = place.split(".")
    holder: Any = tables
    for parent in parents:
        holder = holder.get(parent)
        if not isinstance(holder, dict):
            return {}, key
    return (holder[key], "kind") if isinstance(holder.get(key), dict) else (holder, key)


def make_absolute(tables: dict[str, Any], folder: Path) -> None:
    """Makes data.path, and data.targets beside it, absolute."""
    table = tables.get("data")
    for key in ("path", "targets"):
        if isinstance(table, dict) and isinstance(table.get(key), str):
            try:
                path = (folder / Path(table[key]).expanduser()).resolve()
                path.exists()
            except (OSError, RuntimeError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error).rstrip(".")
                raise ConfigError(f"data.{key} = {shorten(table[key])} is not a path: {reason}.") from None
            table[key] = str(path)


def merge(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Writes one nested dictionary over another. A kind's bare name becomes its table, with that name."""
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
    """Makes a dataclass from a table. An unknown key and a value of another type than its field's raise ConfigError."""
    if issubclass(cls, Kind) and isinstance(table, str):
        table = {"kind": table}
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is a table, written [{where}] above its keys; got {shorten(table)}.")
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.name != "options"]
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        if key in known:
            values[key] = read_field(value, hints[key], name)
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
        name = f"{where}.{missing[0]}" if where else f"table [{missing[0]}]"
        raise ConfigError(f"The config has no {name}. Add it.")
    return cls(**values)


def read_field(value: Any, hint: Any, name: str) -> Any:
    """Returns a TOML value as its field's type; a table becomes the dataclass of the field."""
    for choice in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(choice):
            return build(typing.cast(type, choice), value, name)
    return coerce(value, hint, name)
