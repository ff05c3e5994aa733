"""The answers to the page's questions, computed by `edunn.landscape`: data, surface, readings and paths.

What depends on the data alone is kept between questions, in a cache whose key is the question's content: two pages and
a reload share it, and nothing has to be forgotten.
"""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import landscape, penalties
from ..errors import ConfigError
from ..landscape import Surface, study
from ..landscape.study import Study
from ..updates import RULES, named
from .state import PENALTIES, Data, Question, Race

SHOWN = 2000  # samples that the page draws
ARROWS = 20  # of the gradient field, along each axis
KEPT = 16  # entries of a cache

Answer = tuple[dict[str, Any], list[np.ndarray[Any, Any]]]  # a header for JSON, and arrays of float32


class Cache:
    """The latest values by their keys, made one at a time."""

    def __init__(self) -> None:
        self.values: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Returns the value of a key, made if it is not kept."""
        with self.lock:
            if key in self.values:
                self.values.move_to_end(key)
                return self.values[key]
        value = make()
        with self.lock:
            self.values[key] = value
            while len(self.values) > KEPT:
                self.values.popitem(last=False)
        return value


class Answers:
    """Answers for one server. `columns` are those of the file named on the command line, by name, or empty."""

    def __init__(self, columns: dict[str, Tensor] | None = None, chosen: tuple[str, str] = ("", "")) -> None:
        self.columns, self.chosen = columns or {}, chosen
        self.studies, self.surfaces = Cache(), Cache()

    def about(self) -> dict[str, Any]:
        """Returns what the page offers: losses, activations, penalties, rules and the file's columns."""
        return {
            "problems": list(study.PROBLEMS),
            "losses": list(study.LOSSES),
            "activations": list(study.THROUGH),
            "penalties": ["none", *PENALTIES],
            "rules": list(RULES),
            "columns": list(self.columns),
            "chosen": list(self.chosen),
        }

    # ---- the questions -----------------------------------------------------------------------------------------------

    def study(self, question: Question) -> Study:
        """Returns the study of a question: its samples and loss."""
        key = (question.data, question.problem, question.loss, question.activation)
        found: Study = self.studies.get(key, lambda: self.make_study(question))
        return found

    def make_study(self, question: Question) -> Study:
        x, y = self.samples(question.data, question.problem)
        names = {"points": "your points", "file": "your file"}
        return study.study(
            question.loss,
            x,
            y,
            problem=question.problem,
            activation=question.activation,
            source=names.get(question.data.source, f"{len(x)} random samples"),
        )

    def samples(self, data: Data, problem: str) -> tuple[Tensor, Tensor]:
        """Returns x and y, (samples,) each, in float64."""
        if data.source == "random":
            return study.random_data(problem, data.samples, data.seed)
        if data.source == "points":
            return torch.tensor(data.x, dtype=torch.float64), torch.tensor(data.y, dtype=torch.float64)
        if not self.columns:
            raise ConfigError("No file was named. Start with edunn play --data FILE, or drop a file on the page.")
        x, y = (name or default for name, default in zip((data.x, data.y), self.chosen, strict=True))
        for name in (x, y):
            if name not in self.columns:
                raise ConfigError(f"The file has no column {str(name)[:40]!r}.")
        return self.columns[str(x)], self.columns[str(y)]

    def surface_of(self, question: Question) -> Surface:
        """Returns the surface of a question."""
        found: Surface = self.surfaces.get(question, lambda: self.make_surface(question))
        return found

    def make_surface(self, question: Question) -> Surface:
        subject = self.study(question)
        window_w = None if question.w is None else (*question.w, question.size)
        window_b = None if question.b is None else (*question.b, question.size)
        penalty = None
        if question.penalty != "none" and question.strength > 0:
            penalty = penalties.named(question.penalty, strength=question.strength)
        if window_w is None or window_b is None:
            plane = landscape.build.one_feature(subject.x, subject.targets, subject.loss, penalty, torch.float64, None)
            chosen = landscape.windows.default_window(plane)
            window_w = window_w or (*chosen[0][:2], question.size)
            window_b = window_b or (*chosen[1][:2], question.size)
        return subject.grid(window_w, window_b, penalty=penalty)

    def surface(self, question: Question) -> Answer:
        """Returns the values over the window, (size, size), with their range, error and lowest point."""
        start = time.perf_counter()
        surface = self.surface_of(question)
        values = surface.values
        finite = values[values.isfinite()]
        header = {
            "title": self.study(question).title,
            "w": [float(surface.first[0]), float(surface.first[-1])],
            "b": [float(surface.second[0]), float(surface.second[-1])],
            "size": [len(surface.first), len(surface.second)],
            "range": [float(finite.min()), float(finite.max())] if len(finite) else [0.0, 0.0],
            "lowest": surface.lowest if len(finite) else None,
            "not_finite": surface.not_finite,
            "method": surface.method,
            "error": surface.error,
            "milliseconds": 1000 * (time.perf_counter() - start),
        }
        return header, [values.float().numpy()]

    def readings(self, question: Question) -> Answer:
        """Returns minima, plateaus, convexity and condition."""
        surface = self.surface_of(question)
        convexity = landscape.analysis.convexity(surface)
        condition, hint = surface.condition()
        header = {
            "minima": surface.minima(),
            "plateaus": surface.plateaus(),
            "convex": convexity.convex,
            "convex_by": convexity.by,
            "smallest_curvature": convexity.smallest,
            "condition": condition,
            "hint": hint,
        }
        return header, []

    def data(self, question: Question) -> Answer:
        """Returns the samples that the page draws, (2, count), at most SHOWN of them."""
        subject = self.study(question)
        every = max(1, -(-len(subject.x) // SHOWN))
        shown = torch.stack([subject.x[::every], subject.targets[::every]])
        header = {
            "samples": len(subject.x),
            "shown": shown.shape[1],
            "labels": subject.labels,
            "activation": subject.activation,
        }
        return header, [shown.float().numpy()]

    def point(self, question: Question, at: tuple[float, float]) -> Answer:
        """Returns loss, gradient and curvature at one point of the window, and the rules' stable rates there."""
        field = self.surface_of(question).known("its value")
        jet = field.to(torch.float64).at(torch.tensor([at], dtype=torch.float64), 2)[:, 0].tolist()
        p, q, r = jet[3:]
        large = (p + r) / 2 + ((p - r) ** 2 / 4 + q * q) ** 0.5
        bounds = {name: make().stability() for name, make in RULES.items()}
        header = {
            "loss": jet[0],
            "gradient": jet[1:3],
            "hessian": [p, q, r],
            "stable_rates": {name: bound / large for name, bound in bounds.items() if bound and large > 0},
        }
        return header, []

    def paths(self, question: Question, race: Race) -> Answer:
        """Returns each path's points and losses, (rules · starts, steps + 1, 3), and how it ended."""
        surface = self.surface_of(question)
        start = time.perf_counter()
        found = landscape.paths(
            surface,
            race.starts,
            [(named(name), rate) for name, rate in race.rules],
            race.steps,
            batch_size=race.batch_size,
            seed=race.seed,
        )
        numbers = torch.cat([found.points, found.losses.unsqueeze(-1)], -1).flatten(0, 1)
        header = {
            "rules": [name for name, _ in race.rules],
            "rates": [rate for _, rate in race.rules],
            "starts": len(race.starts),
            "shape": list(numbers.shape),
            "endings": [ending for line in found.endings for ending in line],
            "ends": found.points[:, :, -1].flatten(0, 1).tolist(),
            "milliseconds": 1000 * (time.perf_counter() - start),
        }
        return header, [numbers.float().numpy()]

    def slopes(self, question: Question) -> Answer:
        """Returns minus the gradient at ARROWS × ARROWS points of the window, (points, 4): w, b and the two slopes."""
        surface = self.surface_of(question)
        field = surface.known("its gradient").to(torch.float64)
        axes = [
            torch.linspace(float(axis[0]), float(axis[-1]), 2 * ARROWS + 1, dtype=torch.float64)[1::2]
            for axis in (surface.first, surface.second)
        ]
        points = torch.cartesian_prod(*axes)
        return {}, [torch.cat([points, -field.at(points, 1)[1:].mT], 1).float().numpy()]

    def basins(self, question: Question, rate: float, steps: int) -> Answer:
        """Returns where gradient descent at a rate ends from every grid point: a number for each end, −1 diverged."""
        surface = self.surface_of(question)
        found = surface.basins(rate, steps)
        return found.summary(), [found.labels.float().numpy()]

    def file(self, question: Question) -> Answer:
        """Returns the surface as the npz file that `Surface.load` reads, in base64."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "surface.npz")
            self.surface_of(question).save(path)
            return {"name": path.name, "base64": base64.b64encode(path.read_bytes()).decode()}, []

    def snippet(self, question: Question, race: Race | None) -> Answer:
        """Returns a Python program that computes the same numbers."""
        return {"python": write_snippet(question, race, self.surface_of(question))}, []


def write_snippet(question: Question, race: Race | None, surface: Surface) -> str:
    """Returns a program of the public interface that gives the page's numbers to the last digit."""
    lines = ["import edunn", ""]
    data = question.data
    options = [f"problem={question.problem!r}"]
    if question.activation is not None:
        options.append(f"activation={question.activation!r}")
    if data.source == "random":
        options += [f"samples={data.samples}", f"seed={data.seed}"]
        given = ""
    elif data.source == "points":
        lines += ["import torch", "", f"x = torch.tensor({list(data.x)!r}, dtype=torch.float64)"]
        lines += [f"y = torch.tensor({list(data.y)!r}, dtype=torch.float64)"]
        given = ", x, y"
    else:
        lines += [f'x, y = edunn.landscape.study.read_columns("YOUR FILE", {data.x!r}, {data.y!r})']
        given = ", x, y"
    lines.append(f"study = edunn.landscape.study.study({question.loss!r}{given}, {', '.join(options)})")
    w = (float(surface.first[0]), float(surface.first[-1]), len(surface.first))
    b = (float(surface.second[0]), float(surface.second[-1]), len(surface.second))
    penalty = ""
    if question.penalty != "none" and question.strength > 0:
        penalty = f", penalty=edunn.penalties.named({question.penalty!r}, strength={question.strength!r})"
    lines.append(f"surface = study.grid(w={w!r}, b={b!r}{penalty})")
    lines.append("print(surface.report())")
    if race is not None:
        rules = ", ".join(f"(edunn.updates.named({name!r}), {rate!r})" for name, rate in race.rules)
        batch = "" if race.batch_size is None else f", batch_size={race.batch_size}, seed={race.seed}"
        lines.append(f"paths = edunn.landscape.paths(surface, {list(race.starts)!r}, [{rules}], {race.steps}{batch})")
        lines.append("print(paths)")
    return "\n".join(lines) + "\n"
