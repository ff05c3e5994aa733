"""The options of a table, and the error that names the options which would cure it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ConfigError, DataError, nearest

TASKS = ("auto", "classes", "real")
GAPS = ("error", "drop", "mean", "keep")
BLANKS = " "  # the delimiter of tables whose cells stand between any number of blanks and tabs
SPELLINGS = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "blank": " ", "blanks": " ", "space": " ",
             "spaces": " ", "whitespace": " ", "\\s+": " ", r"\s": " "}  # fmt: skip


@dataclass(frozen=True)
class TableOptions:
    """How a table is read, and what its columns are for. `read_table` describes each option."""

    target: str | None = None
    features: tuple[str, ...] | None = None
    task: str = "auto"
    weight: str | None = None
    exclude: tuple[str, ...] = ()
    missing: str = "error"
    categories: str | tuple[str, ...] = ()
    na_values: tuple[str, ...] | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    comment: str | None = None
    header: bool | int | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("features", "exclude", "na_values", "names", "categories"):
            value = getattr(self, name)
            if name == "categories" and isinstance(value, str):
                value = value if value == "one-hot" else (value,)
            elif isinstance(value, str | int | float):
                value = (str(value),)
            elif value is not None:
                value = tuple(str(item) for item in value)
            object.__setattr__(self, name, value)
        if self.task not in TASKS:
            raise ConfigError(f"Unknown task {self.task!r}. {nearest(str(self.task), TASKS)}")
        if self.missing not in GAPS:
            raise ConfigError(f"missing is error, drop or mean; got {self.missing!r}.")
        delimiter = self.delimiter and SPELLINGS.get(self.delimiter, self.delimiter)
        object.__setattr__(self, "delimiter", delimiter)
        for name in ("delimiter", "decimal", "thousands", "comment"):
            sign = getattr(self, name)
            if sign is not None and (not isinstance(sign, str) or len(sign) != 1 or sign in '"\r\n' or sign.isalnum()):
                raise ConfigError(f"{name} is one sign, such as ','; got {sign!r}.")
        if self.decimal is not None and self.decimal not in ".,":
            raise ConfigError(f"decimal is '.' or ','; got {self.decimal!r}.")
        if self.decimal == self.thousands and self.decimal is not None:
            raise ConfigError(f"decimal and thousands are both {self.decimal!r}. Name two different signs.")
        if self.decimal == "," and self.delimiter == ",":
            raise ConfigError("The comma cannot be both the delimiter and the decimal sign. Name another delimiter.")
        if type(self.header) is int and self.header < 1:
            raise ConfigError(f"header is true, false or the number of its line, from 1; got {self.header}.")
        if self.names is not None and len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigError(f"names has {twice!r} twice. Each column needs its own name.")
        if self.features is not None:
            both = [name for name in self.features if name in self.exclude]
            if both:
                raise ConfigError(f"{both[0]!r} is in features and in exclude. Remove it from one.")

    @property
    def reading(self) -> dict[str, Any]:
        """The options that say how the file is written; a later file of the same kind is read with them."""
        kept = ("delimiter", "decimal", "thousands", "encoding", "comment", "header", "names", "na_values")
        return {name: value for name in kept if (value := getattr(self, name)) is not None}


NAMES = tuple(field.name for field in fields(TableOptions))


class TableError(DataError):
    """A table that cannot be used as it is. `cures` are the options with which it can.

    what : what stands in the way
    cost : what other cures would lose
    """

    def __init__(self, what: str, cures: Mapping[str, Any], cost: str = "") -> None:
        self.what, self.cures, self.cost = what, dict(cures), cost
        super().__init__(self.spelled(in_python))

    def spelled(self, spell: Callable[[Mapping[str, Any]], str]) -> str:
        """Returns the message with the cures as `spell` writes them."""
        cures = f" This cures it: {spell(self.cures)}." if self.cures else ""
        return " ".join(f"{self.what}{cures} {self.cost}".split())


def in_python(cures: Mapping[str, Any]) -> str:
    """Writes options as arguments: `exclude=["Id"], missing="mean"`."""
    return ", ".join(f"{key}={literal(value, 'True', 'False')}" for key, value in cures.items())


def in_toml(cures: Mapping[str, Any]) -> str:
    """Writes options as lines of a config: `exclude = ["Id"]`."""
    return "\n".join(f"{key} = {literal(value, 'true', 'false')}" for key, value in cures.items())


def in_flags(cures: Mapping[str, Any]) -> str:
    """Writes options as those of the command line: `--exclude Id --missing mean`."""
    found = []
    for key, value in cures.items():
        flag = "--" + key.replace("_", "-")
        if key == "header" and value is False:
            found.append("--no-header")
        elif isinstance(value, list | tuple):
            plain = ",".join(map(str, value))
            repeated = any("," in str(item) for item in value)
            for text in map(str, value) if repeated else [plain]:
                quoted = shlex.quote(text)
                found.append(f"{flag}={quoted}" if text.startswith("-") or not text else f"{flag} {quoted}")
        else:
            found.append(
                shlex.quote(f"{flag}={value}") if str(value).startswith("-") else f"{flag} {shlex.quote(str(value))}"
            )
    return " ".join(found)


def in_sets(cures: Mapping[str, Any]) -> str:
    """Writes options as changes of a config: `--set data.missing=mean`."""
    return " ".join(
        "--set " + shlex.quote(f"data.{key}={literal(value, 'true', 'false')}") for key, value in cures.items()
    )


def literal(value: Any, true: str, false: str) -> str:
    if isinstance(value, bool):
        return true if value else false
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item, true, false) for item in value) + "]"
    if isinstance(value, str):
        escaped = re.sub(r'(["\\])', r"\\\1", value).replace("\t", "\\t").replace("\n", "\\n")
        return f'"{escaped}"'
    return str(value)


def merged(cures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Joins the cures of several obstacles: lists are joined, other values are those of the first."""
    found: dict[str, Any] = {}
    for cure in cures:
        for key, value in cure.items():
            if isinstance(value, list):
                found[key] = [*found.get(key, []), *(item for item in value if item not in found.get(key, []))]
            else:
                found.setdefault(key, value)
    return found
