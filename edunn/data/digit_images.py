"""The handwritten digits in the package: small enough to learn on in a second, real enough to be wrong on."""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np
import torch

from .samples import Dataset, Samples

TEST = 360  # the last rows of the file


def digits() -> Dataset:
    """1,797 handwritten digits of 8 × 8 pixels, 10 classes, with one fixed split: 1,437 for training, 360 for the test.

    The split is by file order. The digits of one writer lie together there, so the test asks about other hands than the
    training had; a random split would mix them, score better, and promise too much.

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
