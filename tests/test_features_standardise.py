"""Standardisation against scikit-learn, its inverse and its limits; pixels as rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from edunn import data
from edunn.errors import DataError, DtypeError, EdunnError, ShapeError
from edunn.features import Standardise, pixels, standardise
from edunn.features.pixels import pixels as pixels_by_path

F64 = torch.float64


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
def test_equals_scikit_learns_scaler(dtype: torch.dtype) -> None:
    """On the digits, whose corner pixels are constant, with the mean and deviation of the training part only."""
    digits = data.digits().to(dtype=dtype)
    assert digits.test is not None
    ours, theirs = Standardise.fit(digits.train.features), StandardScaler().fit(digits.train.features.double().numpy())
    torch.testing.assert_close(ours.mean, torch.from_numpy(theirs.mean_), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(ours.scale, torch.from_numpy(theirs.scale_), rtol=1e-13, atol=1e-15)
    expected = torch.from_numpy(theirs.transform(digits.test.features.double().numpy())).to(dtype)
    came = ours(digits.test.features)
    assert came.dtype == dtype
    torch.testing.assert_close(came, expected)


def test_mean_far_from_zero_keeps_its_digits() -> None:
    """μ/σ = 1e6 in float64, where E[x²] − μ² would keep four digits of σ."""
    z = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    fitted = Standardise.fit(z + 1e6)
    torch.testing.assert_close(fitted.scale, z.std(0, correction=0), rtol=1e-9, atol=0)


def test_chunks_give_what_one_pass_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.rand(101, 4, generator=torch.Generator().manual_seed(1))
    whole = Standardise.fit(features)
    monkeypatch.setattr(standardise, "CHUNK", 12)
    parts = Standardise.fit(features)
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(parts.scale, whole.scale, rtol=1e-14, atol=0)


def test_float32_statistics_are_taken_in_float64() -> None:
    """16 million numbers around 1,000: a float32 sum is wrong in the fourth digit."""
    features = torch.full((4_000_000, 1), 1000.1)
    features[::2] = 999.9
    exact = (float(features[0]) + float(features[1])) / 2
    fitted = Standardise.fit(features)
    assert float(fitted.mean) == pytest.approx(exact, rel=1e-12)
    assert float(fitted.scale) == pytest.approx((float(features[1]) - float(features[0])) / 2, rel=1e-9)


def test_uint8_rows() -> None:
    features = torch.tensor([[0, 7], [255, 7]], dtype=torch.uint8)
    fitted = Standardise.fit(features)
    assert (fitted.mean.tolist(), fitted.scale.tolist()) == ([127.5, 7.0], [127.5, 1.0])
    assert fitted(features).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert fitted(features).dtype == torch.float32


@pytest.mark.parametrize(
    "value", [0.1, 1 / 3, 1e-300, 1e300, -5e-324, 0.0], ids=["0.1", "1/3", "1e-300", "1e300", "the least", "0"]
)
def test_constant_columns_become_exactly_zero(value: float) -> None:
    features = torch.full((7, 1), value, dtype=F64)
    fitted = Standardise.fit(features)
    assert float(fitted.scale) == 1.0
    assert fitted(features).count_nonzero() == 0


@given(
    rows=st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3),
        min_size=2,
        max_size=30,
    ),
    dtype=st.sampled_from([torch.float32, F64]),
)
@settings(max_examples=200, deadline=None)
def test_round_trip_and_moments(rows: list[list[float]], dtype: torch.dtype) -> None:
    features = torch.tensor(rows, dtype=dtype)
    fitted = Standardise.fit(features)
    z = fitted(features)
    assert z.isfinite().all()
    size = float(features.abs().max())
    eps = torch.finfo(dtype).eps
    assert float((fitted.invert(z) - features).abs().max()) <= 8 * eps * (size + float(fitted.scale.max()))
    truth = features.double().std(0, correction=0)
    wide = truth > 1e-3 * max(size, 1e-30)  # where μ/σ leaves digits to see
    if not wide.any():
        return
    deviation = z[:, wide].double().std(0, correction=0)
    torch.testing.assert_close(deviation, torch.ones_like(deviation), rtol=1e4 * eps, atol=0)
    assert (z[:, wide].double().mean(0).abs() <= 1e4 * eps).all()


def test_state_round_trip() -> None:
    fitted = Standardise.fit(torch.rand(5, 3, dtype=F64))
    again = Standardise.from_state(fitted.state())
    assert torch.equal(again.mean, fitted.mean)
    assert torch.equal(again.scale, fitted.scale)
    with pytest.raises(DataError, match="Expected the tensors mean and scale; got mean"):
        Standardise.from_state({"mean": fitted.mean})
    with pytest.raises(ShapeError, match="mean and scale of one shape"):
        Standardise(fitted.mean, fitted.scale[:2])


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (torch.zeros(2, 4), ShapeError, r"\(samples, 3\), as wide as those this was fitted on; got \(2, 4\)"),
        (torch.zeros(3), ShapeError, r"Expected features of shape \(samples, features\); got \(3,\)"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), ShapeError, r"pixels\(images\)"),
        (torch.zeros(2, 3, dtype=torch.int64), DtypeError, "got torch.int64"),
    ],
    ids=["another width", "one axis", "images", "whole numbers"],
)
def test_refused(features: torch.Tensor, error: type[Exception], message: str) -> None:
    fitted = Standardise.fit(torch.rand(5, 3))
    for use in (fitted, fitted.invert):
        with pytest.raises(error, match=message):
            use(features)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(0, 3), "The features to fit are empty"),
        (torch.tensor([[1.0], [float("nan")]]), "got nan at row 1, column 0"),
        (torch.tensor([[float("inf")], [1.0]]), "got inf at row 0, column 0"),
        (torch.tensor([[1e200], [-1e200]], dtype=F64), "beyond 1e150"),
    ],
    ids=["empty", "nan", "inf", "too large"],
)
def test_fit_refused(features: torch.Tensor, message: str) -> None:
    with pytest.raises(EdunnError, match=message):
        Standardise.fit(features)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda() -> None:
    features = torch.rand(1000, 5, generator=torch.Generator().manual_seed(2))
    here, there = Standardise.fit(features), Standardise.fit(features.cuda())
    torch.testing.assert_close(there.scale.cpu(), here.scale, rtol=1e-12, atol=0)
    torch.testing.assert_close(here(features.cuda()).cpu(), here(features))  # moves to where the features are


# pixels


def test_pixels_are_rows_in_reading_order() -> None:
    images = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 4, 3)
    rows = pixels(images)
    assert (rows.shape, rows.dtype) == ((2, 36), torch.float32)
    r, c, k = 2, 1, 2
    assert float(rows[1, (r * 4 + c) * 3 + k]) == pytest.approx(int(images[1, r, c, k]) / 255, rel=1e-7)
    assert np.array_equal(pixels(images, F64).numpy(), images.numpy().reshape(2, -1) / 255)
    assert images.max() == 71  # untouched


def test_pixels_refuses() -> None:
    with pytest.raises(ShapeError, match=r"images.unsqueeze\(-1\)"):
        pixels(torch.zeros(2, 3, 4, dtype=torch.uint8))
    with pytest.raises(DtypeError, match=r"got torch\.float32"):
        pixels(torch.zeros(2, 3, 4, 1))


def test_pixels_by_its_module() -> None:
    """The function has its module's name: from the package it is the function, and the module can still be named."""
    assert pixels_by_path is pixels


NEAR_CONSTANT = {
    "0.1 + 0.2": [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 0.3],
    "3 · 1.1": [3 * 1.1, 3.3, 3 * 1.1, 3.3],
    "0.7 + 0.1, negative": [-(0.7 + 0.1), -0.8, -0.8],
    "large": [1e15 / 3 + 0.0625, 1e15 / 3, 1e15 / 3],
    "a real spread": [1.0, 1.0 + 1e-12, 1.0 - 1e-12],
    "whole numbers": [1e15, 1e15 + 1, 1e15 + 2],
}


@pytest.mark.parametrize("values", NEAR_CONSTANT.values(), ids=NEAR_CONSTANT)
def test_field_19_near_constant_columns(values: list[float]) -> None:
    x = torch.tensor(values, dtype=F64).unsqueeze(1)
    fitted, twin = Standardise.fit(x), StandardScaler().fit(x.numpy())
    assert float(fitted.scale) == pytest.approx(float(twin.scale_[0]), rel=1e-3)
    if float(twin.scale_[0]) == 1:
        assert fitted(x).abs().max() < 0.1


def test_field_19_near_constant_in_float32() -> None:
    x = torch.tensor([[0.1], [0.1], [0.1]]) + torch.tensor([[0.0], [7.5e-9], [0.0]])
    assert len(x.unique()) == 2
    assert Standardise.fit(x).scale.tolist() == [1.0]
    assert float(Standardise.fit(torch.tensor([[999_999.0], [1e6], [1_000_001.0]])).scale) == pytest.approx(
        (2 / 3) ** 0.5
    )
