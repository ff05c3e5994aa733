"""The method `direct` on CUDA, by fused Triton kernels that never write the (grid, samples) array.

Each kernel computes a family of losses from the scores; the tests compare all of them with `Plane.sums`.

- `factored`: cross-entropy and logistic, and squared error through a sigmoid or tanh, on the (w, b) grid of one
  feature. Some samples together are a polynomial in e^b, so that a grid point needs neither an exponential nor a
  logarithm for a sample.
- `softmax`: cross-entropy over classes, on any plane of a linear model.
- `ramps`: hinges, perceptron, absolute error and Huber, for one score or over classes, on any plane.

In all three a thread computes a few grid points and goes through the samples by itself: the loop has no shuffle and no
barrier. What is summed over many samples is summed in float64.

Triton comes with CUDA builds of torch, and as the extra `kernels`. Where it is missing, or a loss is not here,
`direct.plain` fills the GPU in large blocks.
"""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType

from torch import Tensor

from ..planes import Plane


def available() -> bool:
    """Returns whether Triton is installed."""
    return find_spec("triton") is not None


def choose(plane: Plane, order: int) -> ModuleType | None:
    """Returns the kernel for a plane, a module with `fits` and `grid`, or None. Kernels compute only values.

    Derivatives of direct surfaces stay with `direct.plain`: `spectral` and `exact` give them on every plane where a
    kernel would, from so few nodes that a kernel would not be faster.
    """
    if order != 0 or not available():
        return None
    from . import factored, ramps, softmax  # they import Triton

    return next((kernel for kernel in (factored, softmax, ramps) if kernel.fits(plane)), None)


def fits(plane: Plane, order: int) -> bool:
    """Returns whether a kernel supports this plane."""
    return choose(plane, order) is not None


def grid(plane: Plane, a: Tensor, b: Tensor, order: int = 0) -> Tensor:
    """Returns the mean loss over the grid, without a penalty, (1, len(a), len(b)), in the plane's dtype."""
    kernel = choose(plane, order)
    assert kernel is not None
    sums = kernel.grid(plane, a.to(plane.device).double(), b.to(plane.device).double())
    return (sums / plane.samples).to(plane.dtype).unsqueeze(0)
