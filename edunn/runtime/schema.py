"""The schema of a run's JSON: the keys of each file, and the types of their values. Other data is refused.

A schema is one of these: a type (`float` means any number), a range of whole numbers, ... for anything, a pair of a
schema and None, a list with the schema of every item, or a dictionary key -> schema, where "key?" may be missing and
`str` means all other keys. Keys that are not in such a dictionary are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

COUNT = range(2**53)
PARTS, METRICS = ("train", "validation", "test"), ("loss", "accuracy", "r2", "label_accuracy", "subset_accuracy")

MANIFEST = {
    "command": ([str], None),
    "by": str,
    "seed": int,
    "rates?": ([{"after_epoch": COUNT, "rate": float}], None),
    "data": {"name": str, "sha256": (str, None), "samples": dict.fromkeys(PARTS, COUNT)},
    "classes": ([str], None),
    "multilabel?": bool,
    "feature_names": ([str], None),
    "target_name": (str, None),
    "features": {"kind": str, "shape": [range(1, 2**31)]},
    "width": range(2**31),
}
SUMMARY = {
    "status": str,
    "message": str,
    "epochs": COUNT,
    "steps": COUNT,
    "seconds": float,
    "best_epoch": (COUNT, None),
    "figures": [str],
    "run_dir": str,
    "rates?": ([{"after_epoch": COUNT, "rate": float}], None),
    **{f"{part}_{metric}?": (float, None) for part in PARTS for metric in METRICS},
}
ROW = {"epoch": COUNT, str: (float, None)}  # of the metrics
END = {
    "status": str,
    "message": str,
    "steps": COUNT,
    "seconds": float,
    "metric?": str,
    "stable_rate?": (float, None),
    "best_epoch?": (COUNT, None),
}
PROGRESS = {  # of the checkpoint
    "epoch": COUNT,
    "step": COUNT,
    "seconds": float,
    "rows": [{"epoch": COUNT, str: float}],
    "best_loss": float,
    "best_epoch": (COUNT, None),
    "bad_step": (COUNT, None),
    "rate_factor": float,
    "rule_steps": COUNT,
}


def parse(text: str | bytes, schema: Any = None, place: str = "it") -> Any:
    """Returns the value of a JSON text, or raises ValueError; without a schema any value fits."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if schema is not None:
        check(value, schema, place)
    return value


def check(value: Any, schema: Any, place: str) -> None:
    """Raises ValueError if a value does not fit the schema; `place` names the value in the sentence."""
    if schema is ...:
        return
    if isinstance(schema, tuple):
        if value is None and None in schema:
            return
        check(value, schema[0], place)
    elif isinstance(schema, list):
        expect(isinstance(value, list), place, "a list")
        for index, item in enumerate(value):
            check(item, schema[0], f"{place}[{index}]")
    elif isinstance(schema, Mapping):
        expect(isinstance(value, dict), place, "an object")
        check_keys(value, schema, place)
    elif isinstance(schema, range):
        expect(type(value) is int and value in schema, place, f"a whole number from {schema[0]} to {schema[-1]}")
    elif schema is float:
        expect(type(value) is float or (type(value) is int and abs(value) < 2**63), place, "a number")
    else:
        expect(type(value) is schema, place, {str: "text", int: "a whole number", bool: "true or false"}[schema])


def check_keys(value: dict[str, Any], schema: Mapping[Any, Any], place: str) -> None:
    """The same for the keys of an object."""
    for key, inner in schema.items():
        if key is not str:
            name = key.removesuffix("?")
            expect(name in value or key != name, place, f"an object with {name!r}")
            if name in value:
                check(value[name], inner, f"{place}.{name}")
    for name in value.keys() - schema.keys() if str in schema else ():
        check(value[name], schema[str], f"{place}.{name[:40]}")


def expect(right: bool, place: str, wanted: str) -> None:
    if not right:
        raise ValueError(f"{place} must be {wanted}")
