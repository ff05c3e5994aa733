"""The shapes in which courses lay out the same arguments: W of (D, C), samples as columns, one-hot targets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .exercise import GradientExercise

DATA = ("features", "scores", "targets")


@dataclass(frozen=True)
class Layout:
    """The layout of a hand-in's arguments: which axis is which.

    weight : "rows" (C, D) or (D,), as in the exercise; "columns" (D, C) or (D, 1); "row" (1, D); "number" ()
    columns : whether the samples are columns: features (D, N), scores (C, N)
    targets : "flat" (N,), "column" (N, 1), "row" (1, N), "one-hot" (N, C), "one-hot columns" (C, N), or "matrix",
        which is (N, C) itself
    bias : "flat" (C,), "column" (C, 1) or "row" (1, C)
    scores : "flat" (N,) or (N, C), as in the exercise; "column" (N, 1), "row" (1, N); "one" (C,), of one sample
    features : "matrix", or "flat" (N,): one feature
    """

    weight: str = "rows"
    columns: bool = False
    targets: str = "flat"
    bias: str = "flat"
    scores: str = "flat"
    features: str = "matrix"

    def give(self, name: str, value: Tensor, classes: int) -> Tensor:
        """Returns an argument as the hand-in lays it out."""
        if name == "weight" and self.weight == "number":
            return value.reshape(())
        if name == "weight" and self.weight != "rows":
            return value.mT if value.ndim == 2 else value.reshape((-1, 1) if self.weight == "columns" else (1, -1))
        if name == "features" and self.features == "flat":
            return value.reshape(-1)
        if name in ("features", "scores") and self.columns and value.ndim == 2:
            return value.mT
        if name == "targets" and self.targets.startswith("one-hot"):
            found = torch.nn.functional.one_hot(value.long(), classes).double()
            return found.mT if self.targets.endswith("columns") else found
        if name == "targets" and value.ndim == 2:
            return value.mT if self.columns else value
        shape = {"targets": self.targets, "bias": self.bias, "scores": self.scores}.get(name, "flat")
        if shape == "flat" or (value.ndim == 2 and name == "scores"):
            return value
        return value.reshape((-1, 1) if shape == "column" else (1, -1))

    def take(self, name: str, gradient: Tensor, point: Tensor) -> Tensor:
        """Returns a gradient in the exercise's layout, where it has the shape that the hand-in was given.

        A parameter that is a vector, whatever its name, may have a gradient that is a row, a column or, of one entry, a
        number: courses take np.mean for the gradient of a bias of shape (1,). The data's gradient has the data's shape.
        """
        laid = self.scores != "flat" if name == "scores" else name not in DATA
        flat = (laid and point.ndim < 2) or self.features == "flat"
        if flat and gradient.numel() == point.numel() and max((1, *gradient.shape)) == point.numel():
            return gradient.reshape(point.shape)
        turned = (name == "weight" and self.weight == "columns") or (name in ("features", "scores") and self.columns)
        if turned and point.ndim == 2 and gradient.shape == point.mT.shape:
            return gradient.mT
        return gradient

    def turn(self, output: Tensor) -> Tensor:
        """Returns an output, or its upstream, with samples as columns in place of rows, or the reverse."""
        return output.mT if self.columns and output.ndim == 2 else output

    @property
    def sizes(self) -> str:
        """Which sizes it needs: "one feature", or ""."""
        return "one feature" if self.features == "flat" else ""

    def describe(self) -> str:
        """Returns a sentence on what differs from the exercise's shapes; "" where nothing does."""
        said = []
        if self.weight != "rows":
            shapes = {"columns": "the weight's columns are the outputs", "row": "the weight is a row"}
            said.append(shapes.get(self.weight, "the weight is a number, with one feature"))
        said += ["the samples are columns"] if self.columns else []
        said += [f"the targets are {self.targets}"] if self.targets != "flat" else []
        said += [f"the scores are a {self.scores}"] if self.scores != "flat" else []
        said += [f"the bias is a {self.bias}"] if self.bias != "flat" else []
        return ", ".join(said)


PLAIN = Layout()


def list_layouts(exercise: GradientExercise) -> list[Layout]:
    """Returns the layouts to try, the exercise's own first."""
    one_hot = exercise.loss is not None and exercise.loss.labels == "classes"
    if exercise.kind == "loss":
        if one_hot:
            return [PLAIN, Layout(targets="one-hot"), Layout(columns=True, targets="one-hot columns"),
                    Layout(columns=True, targets="row"), Layout(targets="column")]  # fmt: skip
        if exercise.loss.class_axis:
            return [PLAIN, Layout(columns=True)]
        return [PLAIN, Layout(targets="column", scores="column"), Layout(targets="row", scores="row"),
                Layout(scores="column")]  # fmt: skip
    if exercise.name == "linear":
        return [PLAIN, Layout("columns"), Layout("columns", bias="row"), Layout(columns=True, bias="column"),
                Layout(columns=True)]  # fmt: skip
    if exercise.kind != "objective":
        return [PLAIN]
    if one_hot:
        return [
            PLAIN, Layout("columns"), Layout("columns", targets="one-hot"), Layout(targets="one-hot"),
            Layout("columns", targets="column"), Layout("columns", bias="row"),
            Layout("columns", targets="one-hot", bias="row"), Layout(columns=True, bias="column"), Layout(columns=True),
            Layout(columns=True, targets="one-hot columns", bias="column"),
            Layout(columns=True, targets="one-hot columns"),
        ]  # fmt: skip
    return [
        PLAIN, Layout("columns", targets="column"), Layout("columns", True, "row"), Layout("row", True, "row"),
        Layout("row", targets="flat"), Layout("row", targets="column"), Layout(targets="column"),
        Layout("columns", True), Layout("columns"), Layout(columns=True, targets="row"), Layout(columns=True),
        Layout("number", features="flat"),
    ]  # fmt: skip
