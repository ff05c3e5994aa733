"""The handwritten digits that come with the package."""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np
import torch

from .samples import Dataset, Samples

TEST = 360  # the last rows of the file


def digits() -> Dataset:
    """Returns 1,797 handwritten digits of 8 × 8 pixels, 10 classes: 1,437 for training and 360 for the test.

    The split is fixed, by file order. The digits of one writer are together there, so the test digits are by other
    writers than those of the training part. A random split would mix writers and give too high an accuracy.

    features (samples, 64), float32 in [0, 1]: the number of inked points in a 4 × 4 block, over 16. targets (samples,)
    int64: the digit.

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), UCI Machine Learning Repository,
    doi:10.24432/C50P49, CC BY 4.0: its test part, as in scikit-learn's `load_digits`.
    """
    content = resources.files(__package__).joinpath("digits.npz").read_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    samples = Samples(
        features=torch.from_numpy(images).flatten(1).float() / 16,
        targets=torch.from_numpy(labels).long(),
        classes=tuple(str(digit) for digit in range(10)),
        feature_names=tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        target_name="digit",
    )
    return Dataset(
        name="digits",
        train=samples[:-TEST],
        test=samples[-TEST:],
        sha256=hashlib.sha256(content).hexdigest(),
        source="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998)",
    )
