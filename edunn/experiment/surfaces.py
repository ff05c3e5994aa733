"""Computes the surface of a run: its loss over a plane through its trained weights, with the training path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import landscape
from ..data import Samples
from ..errors import ConfigError
from ..landscape import Surface, directions
from ..losses import Loss
from ..runtime.processes import OneProcess
from .build import Prepared, prepare
from .loaded import LoadedRun, load

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class RunSurface:
    """A surface over a plane of a run's weights.

    surface : the run's weights are at (0, 0)
    path : the run's snapshots projected on the plane, (snapshots, 2); None if it kept fewer than two
    plane : the name of the plane: random, principal, hessian, or two parameters
    """

    run: Path
    plane: str
    surface: Surface
    path: Tensor | None

    @property
    def title(self) -> str:
        """The title for figures, such as `digits: loss over the random plane`."""
        return f"{self.run.name}: loss over the {self.plane} plane"


def surface_of_run(
    run: str | Path,
    plane: str = "random",
    a: Any = None,
    b: Any = None,
    *,
    method: str = "auto",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    ranks: OneProcess | None = None,
) -> RunSurface:
    """Returns the loss of a run, penalty included, on its own training data, over a plane through its weights.

    Parameters
    ----------
    run : the run's folder
    plane : "random" (filter-normalised), "principal" (of the run's snapshots), "hessian" (its two largest curvatures),
        or two entries of its parameters, as "weight[0,3],weight[0,4]"
    a, b : (low, high, count) along each direction; None chooses a window from the curvature
    device : where all of it is computed: features, weights and directions are moved there
    seed : of the random directions
    ranks : the processes that share the surface, `edunn.runtime.processes.ranks()`; each of them calls this
    """
    ranks = ranks or OneProcess()
    device = torch.device(device)
    loaded = ranks.each(lambda: load(run))
    prepared = ranks.each(lambda: prepare_on(loaded, device))
    # the run may have been trained on another device
    model = loaded.model.to(device=device, dtype=dtype)
    train = prepared.train.loaded().to(device, dtype)
    snapshots = [to_device(weights, device, dtype) for _, weights in loaded.history.snapshots]
    first, second = (
        to_device(direction, device, dtype)
        for direction in plane_directions(plane, model, prepared.loss, train, snapshots, seed)
    )
    surface = landscape.plane(
        model, prepared.loss, train, first, second, a, b, method=method, penalty=prepared.penalty, split=ranks.split
    )
    path = directions.project(model, snapshots, first, second) if len(snapshots) > 1 else None
    return RunSurface(Path(run), plane, surface, path)


def prepare_on(loaded: LoadedRun, device: torch.device) -> Prepared:
    """Returns the run's data, encoded as in training, on a given device."""
    return prepare(replace(loaded.config, run=replace(loaded.config.run, device=str(device))))


def to_device(weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> Weights:
    """Returns the same weights on a device, in a dtype."""
    return {name: tensor.to(device=device, dtype=dtype) for name, tensor in weights.items()}


def plane_directions(
    plane: str, model: nn.Module, loss: Loss, data: Samples, snapshots: Sequence[Weights], seed: int
) -> tuple[Weights, Weights]:
    """Returns the two directions of a plane, by its name: see `surface_of_run`."""
    if plane == "random":
        return directions.filter_normalised(model, 2 * seed), directions.filter_normalised(model, 2 * seed + 1)
    if plane == "principal":
        return directions.principal(snapshots)
    if plane == "hessian":
        return directions.hessian(model, loss, data)
    if plane.count("],") == 1:
        one, two = plane.split("],")
        return directions.parameter(model, one + "]"), directions.parameter(model, two)
    raise ConfigError(
        f"Unknown plane {plane!r}. It is random, principal, hessian, or two parameters such as weight[0,3],weight[0,4]."
    )
