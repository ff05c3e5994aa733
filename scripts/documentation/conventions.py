"""The page of conventions: for each loss, penalty, rule, schedule and layer, what others call it, and the factor."""

from __future__ import annotations

import inspect

from edunn import Samples, activations, layers, losses, penalties, updates

from . import (
    conventions_layers,
    conventions_losses,
    conventions_penalties,
    conventions_rules,
    conventions_weights,
)
from .counterparts import LIBRARIES, NONE, Line

LINES: list[Line] = [
    *conventions_losses.LINES,
    *conventions_weights.LINES,
    *conventions_penalties.LINES,
    *conventions_rules.LINES,
    *conventions_layers.LINES,
]
TABLES: dict[str, dict[str, type]] = {
    "Losses": dict(losses.LOSSES),
    "Weights": {"sample weights": Samples},
    "Penalties": dict(penalties.PENALTIES),
    "Update rules": {**updates.RULES, "clipping": updates.Clipping},
    "Schedules": {f"{name} schedule": kind for name, kind in updates.SCHEDULES.items()},
    "Layers": dict(layers.LAYERS),
    "Activations": dict(activations.ACTIVATIONS),
}
HEAD = """\
# Conventions

Two right programs may differ by a factor. For every loss, penalty, update rule, schedule and layer here: what it is
called in the notes of CS231n, in torch and in scikit-learn, and how their number follows from ours. The tests take
every line, on random data in float64, against the library itself, and those of CS231n against numpy as the notes write
it; a line that says anything but *the same* is also shown not to be the same.

Ours: s are scores, y targets, N samples, C classes. A loss is the **mean over the samples**, and the sum over classes
(`reduction="sum"` in torch is N times that). λ is a penalty's strength, beside that mean; L2 is λ Σ w² unless
`half=True`; biases are not penalised unless `bias=True`. A rule does w ← w − rate · d.

`edunn check configs/digits_softmax.toml` takes a run in lock step with `torch.optim`, and beside the conventions that
concern it.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, table in TABLES.items():
        parts.append(f"## {title}\n")
        parts += [section(name, kind) for name, kind in table.items()]
    return "\n".join(parts)


def section(name: str, kind: type) -> str:
    """One loss, penalty, rule or schedule: its formula, and a line for each counterpart."""
    rows = [
        f"| {line.library} | {cell(line.there)} | {cell(line.relation)} | {cell(line.says)} |"
        for library in LIBRARIES
        for line in LINES
        if line.about == name and line.library == library
    ]
    head = ["| in | called | theirs is | |", "| --- | --- | --- | --- |"]
    return "\n".join([f"### {name}\n", f"`{kind.__name__}`: {formula(kind)}\n", *head, *rows, ""])


def formula(kind: type) -> str:
    """The first paragraph of the docstring (the second too where it goes on), as one line that no markdown touches."""
    first, *rest = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    if first.endswith(","):
        first += " " + rest[0].splitlines()[0]
    first = first.replace("\n", " ")
    return first.replace("*", "\\*").replace("_", "\\_")


def cell(text: str) -> str:
    """What stands in a table may hold no bar."""
    return text.replace("|", "\\|") if text != NONE else "*none*"
