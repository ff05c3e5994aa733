"""The shapes in which courses lay out the same arguments: W of (D, C), samples as columns, one-hot targets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .exercise import GradientExercise


@dataclass(frozen=True)
class Layout:
    """The layout of a hand-in's arguments: which axis is which.

    weight : "rows" (C, D) or (D,), as in the exercise; "columns" (D, C) or (D, 1); "row" (1, D)
    columns : whether the samples are columns: features (D, N)
    targets : "flat" (N,), "column" (N, 1), "row" (1, N), "one-hot" (N, C) or "one-hot columns" (C, N)
    bias : "flat" (C,), "column" (C, 1) or "row" (1, C)
    """

    weight: str = "rows"
    columns: bool = False
    targets: str = "flat"
    bias: str = "flat"

    def give(self, name: str, value: Tensor, classes: int) -> Tensor:
        """Returns an argument as the hand-in lays it out."""
        if name == "weight" and self.weight != "rows":
            return value.mT if value.ndim == 2 else value.reshape((-1, 1) if self.weight == "columns" else (1, -1))
        if name == "features" and self.columns:
            return value.mT
        if name == "targets" and self.targets.startswith("one-hot"):
            found = torch.nn.functional.one_hot(value.long(), classes).double()
            return found.mT if self.targets.endswith("columns") else found
        shape = {"targets": self.targets, "bias": self.bias}.get(name, "flat")
        return value if shape == "flat" else value.reshape((-1, 1) if shape == "column" else (1, -1))

    def take(self, name: str, gradient: Tensor, point: Tensor) -> Tensor:
        """Returns a gradient in the exercise's layout, where it has the shape that the hand-in was given."""
        flat = point.ndim < 2 and name in ("weight", "bias")
        if flat and gradient.numel() == point.numel() and max((1, *gradient.shape)) == point.numel():
            return gradient.reshape(point.shape)
        turned = (name == "weight" and self.weight == "columns") or (name == "features" and self.columns)
        if turned and point.ndim == 2 and gradient.shape == point.mT.shape:
            return gradient.mT
        return gradient

    def describe(self) -> str:
        """Returns a sentence on what differs from the exercise's shapes; "" where nothing does."""
        said = []
        if self.weight != "rows":
            said.append("the weight's columns are the outputs" if self.weight == "columns" else "the weight is a row")
        said += ["the samples are columns"] if self.columns else []
        said += [f"the targets are {self.targets}"] if self.targets != "flat" else []
        said += [f"the bias is a {self.bias}"] if self.bias != "flat" else []
        return ", ".join(said)


PLAIN = Layout()


def list_layouts(exercise: GradientExercise) -> list[Layout]:
    """Returns the layouts to try, the exercise's own first."""
    one_hot = exercise.loss is not None and exercise.loss.labels == "classes"
    if exercise.kind == "loss":
        return [PLAIN, Layout(targets="one-hot")] if one_hot else [PLAIN]
    if exercise.name == "linear":
        return [PLAIN, Layout("columns"), Layout("columns", bias="row"), Layout(columns=True, bias="column")]
    if exercise.kind != "objective":
        return [PLAIN]
    if one_hot:
        return [
            PLAIN, Layout("columns"), Layout("columns", targets="one-hot"), Layout(targets="one-hot"),
            Layout("columns", targets="column"), Layout("columns", bias="row"),
            Layout("columns", targets="one-hot", bias="row"), Layout(columns=True, bias="column"),
            Layout(columns=True, targets="one-hot columns", bias="column"),
        ]  # fmt: skip
    return [
        PLAIN, Layout("columns", targets="column"), Layout("columns", True, "row"), Layout("row", True, "row"),
        Layout("row", targets="flat"), Layout("row", targets="column"), Layout(targets="column"),
        Layout("columns", True), Layout("columns"), Layout(columns=True, targets="row"), Layout(columns=True),
    ]  # fmt: skip
