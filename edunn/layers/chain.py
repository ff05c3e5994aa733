"""A chain of layers, with backpropagation: values go forward, gradients backward."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .. import errors
from ..runtime.reprs import ArgumentRepr


class Chain(ArgumentRepr, nn.Sequential):
    """y = f_K(… f_2(f_1(x))): the output of each layer is the input of the next.

    Backward, with x_k the input of layer k and u_K = ∂L/∂y:  u_{k−1} = f_k.input_gradient(x_k, u_k),  and the
    parameters of layer k get f_k.gradients(x_k, u_k). That is all of backpropagation.

    Parameters
    ----------
    layers : layers or activations, in order: `Chain(Linear(2, 8), Tanh(), Linear(8, 1))`; or named by keyword,
        `Chain(hidden=Linear(2, 8), activation=Tanh(), output=Linear(8, 1))`, whose parameters are then called
        `hidden.weight` and so on

    The inputs of the layers are kept from the last forward. `gradients` on another tensor, or after a parameter has
    changed, runs forward again; with dropout or batch normalisation in training that draws a new mask and counts the
    batch twice. So call it right after `forward`, with the same tensor.
    """

    def __init__(self, *layers: nn.Module, **named: nn.Module) -> None:
        if bool(layers) == bool(named):
            raise errors.ConfigError(
                "Chain takes layers in order, Chain(Linear(2, 8), Tanh()), or all of them named, Chain(hidden=…)."
            )
        for layer in (*layers, *named.values()):
            if not hasattr(layer, "input_gradient"):
                raise errors.ConfigError(
                    f"{type(layer).__name__} has no input_gradient, which a layer of a Chain needs. "
                    f"See edunn.layers and edunn.activations."
                )
        super().__init__(OrderedDict(named) if named else OrderedDict((str(i), m) for i, m in enumerate(layers)))
        self.given: Tensor | None = None  # the features of the last forward, …
        self.inputs: list[Tensor] = []  # … the input of each layer, …
        self.state: list[object] = []  # … and the mode and parameters that they depend on

    def forward(self, features: Tensor) -> Tensor:
        self.given, self.inputs = features, []
        for layer in self:
            self.inputs.append(features.detach())
            features = layer(features)
        self.state = self.dependencies()
        return features

    def dependencies(self) -> list[object]:
        """Returns a key that changes with the mode and with any parameter or buffer, and so with the layers' values."""
        tensors = (*self.parameters(), *self.buffers())
        return [self.training, *((id(tensor), tensor._version) for tensor in tensors)]

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns ∂L/∂parameter of every layer, named as in `named_parameters`."""
        return self.descend_layers(features, upstream, to_input=False)[0]

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        """Returns ∂L/∂features."""
        return self.descend_layers(features, upstream, to_input=True)[1]

    @torch.no_grad()
    def descend_layers(
        self, features: Tensor, upstream: Tensor, to_input: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Returns the gradients of all parameters, and ∂L/∂features, which `to_input=False` leaves out."""
        if self.given is not features or self.state != self.dependencies():
            self.forward(features)
        gradients: dict[str, Tensor] = {}
        layers = list(self.named_children())
        for depth in range(len(layers) - 1, -1, -1):
            name, layer = layers[depth]
            if next(layer.parameters(), None) is not None:
                found = layer.gradients(self.inputs[depth], upstream)  # type: ignore[operator]
                gradients |= {f"{name}.{parameter}": gradient for parameter, gradient in found.items()}
            if depth > 0 or to_input:  # training needs no gradient in the data
                upstream = layer.input_gradient(self.inputs[depth], upstream)  # type: ignore[operator]
        return gradients, upstream
