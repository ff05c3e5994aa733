"""Dropout: units that are set to 0 at random in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import errors
from ..runtime.devices import generator
from ..runtime.reprs import ArgumentRepr
from ..runtime.shared_batch import SharedBatch


class Dropout(ArgumentRepr, nn.Module):
    """Training: y = x · m, with m = 0 with probability p and 1/(1 − p) otherwise. Evaluation: y = x.

    ∂L/∂x = u · m, with the mask of the last forward: a new mask would give the gradient of another function.

    "Inverted" dropout: the 1/(1 − p) keeps the mean of y at x in training, so evaluation rescales nothing.

    Parameters
    ----------
    p : the share of units dropped, in [0, 1)
    seed : of the masks; mask number t depends on (seed, t) alone, so a resumed run draws the same masks

    Attributes
    ----------
    mask : of the last forward in training, of the features' shape; None after one in evaluation
    held : while True, forward reuses the last mask, as a numeric derivative needs

    See Srivastava et al. 2014, Dropout, JMLR 15. torch: `nn.Dropout(p)`.
    """

    def __init__(self, p: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.p = errors.check_number("p", p, 0, 1, open_ends="high")
        self.seed = seed
        self.draws = 0
        self.held = False
        self.shared: SharedBatch | None = None
        self.mask: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            self.mask = None
            return features
        if not self.held or self.mask is None:
            self.mask = self.draw(features)
        elif self.mask.shape != features.shape:
            raise errors.ShapeError(
                f"The held mask has shape {errors.shape(self.mask)} and the features {errors.shape(features)}. "
                f"Set held = False to draw a new mask."
            )
        return features * self.mask

    def draw(self, features: Tensor) -> Tensor:
        """Draws the next mask on the CPU in float32 and moves it: it is the same on every device and in every dtype.

        Processes that share a batch each draw the mask of the whole batch and take their own rows.
        """
        shape, source = list(features.shape), generator(self.seed, self.draws)
        if self.shared is None:
            random = torch.rand(shape, generator=source)
        else:
            shape[-2] = self.shared.size
            random = torch.rand(shape, generator=source)[..., self.shared.rows, :]
        self.draws += 1
        mask = (random >= self.p) / (1 - self.p)
        if features.is_cuda:  # pinned: a copy from ordinary memory would wait for the device
            return mask.pin_memory().to(features, non_blocking=True)
        return mask.to(features)

    def input_gradient(self, features: Tensor, upstream: Tensor) -> Tensor:
        """Returns ∂L/∂features, of the features' shape."""
        return upstream if self.mask is None else upstream * self.mask

    def gradients(self, features: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Returns an empty dictionary: there are no parameters."""
        return {}

    def get_extra_state(self) -> Tensor:
        """Returns the number of masks drawn: with the seed, all that a resumed run needs."""
        return torch.tensor(self.draws)

    def set_extra_state(self, state: Tensor) -> None:
        self.draws = int(state)
