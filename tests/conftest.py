"""What every test shares."""

import sys
from collections.abc import Iterator

import pytest
import torch

# The tests' tensors are small: a second thread gains nothing, and waiting for it on a busy machine costs minutes.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    """Closes what a test left in pyplot; matplotlib warns at the twentieth."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
