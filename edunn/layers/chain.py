"""A chain of layers: the value upwards, the gradient downwards."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .. import errors
from ..runtime.reprs import ArgumentRepr


class Chain(ArgumentRepr, nn.Sequential):
    """y = f_K(… f_2(f_1(x))): each layer's output is the next one's features.

    Downwards, with x_k what layer k was given and u_K = ∂L/∂y:  u_{k−1} = f_k.input_gradient(x_k, u_k),  and the
    parameters of layer k get f_k.gradients(x_k, u_k). That is all of backpropagation.

    Parameters
    ----------
    layers : layers or activations, in order: `Chain(Linear(2, 8), Tanh(), Linear(8, 1))`; or named by keyword,
        `Chain(hidden=Linear(2, 8), activation=Tanh(), output=Linear(8, 1))`, and then their parameters are called
        `hidden.weight` and so on

    The values between the layers are kept from the last forward. If `gradients` is asked about another tensor, or after
    a parameter has changed, the features are sent through once more: with dropout and batch normalisation in training
    that draws a new mask and counts the batch again, so ask right after `forward`, with the tensor that it got.
    """

    def __init__(self, *layers: nn.Module, **named: nn.Module) -> None:
        if bool(layers) == bool(named):
            raise errors.ConfigError(
                "Expected layers in order, Chain(Linear(2, 8), Tanh()), or all of them named, Chain(hidden=…)."
            )
        for layer in (*layers, *named.values()):
            if not hasattr(layer, "input_gradient"):
                raise errors.ConfigError(
                    f"Expected layers with forward and input_gradient; got {type(layer).__name__}. "
                    f"See edunn.layers and edunn.activations."
                )
        super().__init__(OrderedDict(named) if named else OrderedDict((str(i), m) for i, m in enumerate(layers)))
        self.given: Tensor | None = None  # what the last forward got, …
        self.inputs: list[Tensor] = []  # … what each layer got from the one below, …
        self.state: list[object] = []  # … and what they depended on

    def forward(self, features: Tensor) -> Tensor:
        self.given, self.inputs = features, []
        for layer in self:
            self.inputs.append(features.detach())
            features = layer(features)
        self.state = self.dependencies()
        return features

    def dependencies(self) -> list[object]:
        """Mode, parameters and running statistics, each by identity and version: other ones give other values."""
        tensors = (*self.parameters(), *self.buffers())
        return [self.training, *((id(tensor), tensor._version) for tensor in tensors)]

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """∂L/∂parameter of every layer, named as in `named_parameters`."""
        return self.descend_layers(features, upstream, to_input=False)[0]

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        """∂L/∂features."""
        return self.descend_layers(features, upstream, to_input=True)[1]

    @torch.no_grad()
    def descend_layers(
        self, features: Tensor, upstream: Tensor, to_input: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Both at once: (the gradients of all parameters, ∂L/∂features, which `to_input=False` leaves out)."""
        if self.given is not features or self.state != self.dependencies():
            self.forward(features)
        gradients: dict[str, Tensor] = {}
        layers = list(self.named_children())
        for depth in range(len(layers) - 1, -1, -1):
            name, layer = layers[depth]
            if next(layer.parameters(), None) is not None:
                found = layer.gradients(self.inputs[depth], upstream)  # type: ignore[operator]
                gradients |= {f"{name}.{parameter}": gradient for parameter, gradient in found.items()}
            if depth > 0 or to_input:  # nobody asks for the gradient in the data while training
                upstream = layer.input_gradient(self.inputs[depth], upstream)  # type: ignore[operator]
        return gradients, upstream
