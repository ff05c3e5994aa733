"""Wraps any torch module as a model, and checks a model once, before it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .. import errors
from ..activations import Sigmoid, Tanh
from ..losses import Loss, SquaredError
from .base import Model, check_predicts, without_gradients


class TorchModel(Model):
    """A plain torch module as a model: what it predicts follows from the loss and its targets.

    A module of one output may keep its last axis, (samples, 1): a loss on one score gets (samples,). Parameters and
    state keep the module's own names. `gradients` are the module's, if it has them.

    Parameters
    ----------
    module : maps features to scores; it is trained in place
    loss : of its scores
    targets : that it is trained on
    """

    def __init__(self, module: nn.Module, loss: Loss, targets: Tensor | None) -> None:
        super().__init__()
        self.module = module
        self.training = module.training
        self.one_output = not loss.class_axis
        self.predicts = prediction_kind(loss, targets)
        self.squeezed = False

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.module(features)
        self.squeezed = bool(self.one_output) and scores.ndim == 2 and scores.shape[-1] == 1
        return scores.squeeze(-1) if self.squeezed else scores

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        check_has_gradients(self.module)
        upstream = upstream.unsqueeze(-1) if self.squeezed else upstream
        found: dict[str, Tensor] = self.module.gradients(features, upstream)  # type: ignore[operator]
        return found

    def named_parameters(self, *args: Any, **options: Any) -> Iterator[tuple[str, nn.Parameter]]:
        return self.module.named_parameters(*args, **options)

    def state_dict(  # type: ignore[override]
        self, *args: Any, **options: Any
    ) -> dict[str, Any]:
        return self.module.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        return self.module.load_state_dict(*args, **options)


def prediction_kind(loss: Loss, targets: Tensor | None) -> str:
    """Returns what a module trained with this loss predicts: the loss's labels.

    Squared error takes real targets. Through a sigmoid on {0, 1}, or through tanh on {−1, +1}, the sign of the score
    decides between two classes all the same.
    """
    if loss.class_axis and targets is not None and targets.ndim > 1:  # rows: several bits, several numbers
        return "bits" if loss.separate else "real" if isinstance(loss, SquaredError) else loss.labels
    if targets is None or not isinstance(loss, SquaredError):
        return loss.labels
    for activation, kind, low in ((Sigmoid, "bits", 0), (Tanh, "signs", -1)):
        if isinstance(loss.through, activation) and bool(((targets == low) | (targets == 1)).all()):
            return kind
    return loss.labels


def as_model(model: nn.Module, loss: Loss, targets: Tensor | None) -> Model:
    """Returns the model itself, or a plain torch module wrapped as one. Raises ConfigError for anything else."""
    name = type(model).__name__
    if isinstance(model, type):
        raise errors.ConfigError(f"The model is the class {model.__name__} itself. Call it: {model.__name__}(…).")
    if not isinstance(model, nn.Module):
        raise errors.ConfigError(f"A model is a torch module; got a {name}. Subclass edunn.models.Model.")
    if type(model).forward is nn.Module.forward:
        raise errors.ConfigError(f"{name} has no forward(features). Write it: it returns the scores.")
    if not isinstance(model, Model):
        return TorchModel(model, loss, targets)
    check_predicts(model.predicts)
    return model


def check_has_gradients(model: nn.Module) -> None:
    """Raises GradientError for a module without derivatives by hand."""
    if getattr(type(model), "gradients", Model.gradients) is Model.gradients:
        raise errors.GradientError(without_gradients(model))


def check_gradients(model: nn.Module, features: Tensor, upstream: Tensor) -> None:
    """Raises an error if `gradients` is missing, or its names or shapes are not those of the parameters.

    Call it after a forward on the same features, as a step does.
    """
    source = model.module if isinstance(model, TorchModel) else model
    name = type(source).__name__
    check_has_gradients(source)
    with torch.no_grad():
        found = model.gradients(features, upstream)  # type: ignore[operator]
    parameters = dict(model.named_parameters())
    if not isinstance(found, Mapping):
        names = ", ".join(parameters)
        raise errors.GradientError(f"{name}.gradients returns a dict by parameter name ({names}); got {found!r:.60}.")
    for key in found:
        if key not in parameters:
            raise errors.GradientError(
                f"{name}.gradients gives {key!r}, and no parameter has that name. {errors.nearest(key, parameters)}"
            )
    for key, parameter in parameters.items():
        wanted = errors.shape(parameter)
        if key not in found:
            raise errors.GradientError(f"{name}.gradients lacks the parameter {key!r}. Add its gradient, {wanted}.")
        if found[key].shape != parameter.shape:
            turned = found[key].ndim == 2 and found[key].mT.shape == parameter.shape
            raise errors.ShapeError(
                f"{name}.gradients gives {key!r} of shape {errors.shape(found[key])}; the parameter has {wanted}."
                + (" Did you mean its transpose, .mT?" if turned else "")
            )
