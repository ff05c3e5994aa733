"""Samples: what they check, how they are sliced and moved; splits that keep the classes' proportions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

import edunn.data.digit_images
import edunn.data.shape_images
from edunn import data
from edunn.data import Dataset, Samples, as_samples, fingerprint, split
from edunn.data.samples import shares
from edunn.errors import ConfigError, DataError, DtypeError, EdunnError, LabelError, ShapeError

F64 = torch.float64


def three() -> Samples:
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=F64)
    return Samples(features, torch.tensor([0, 1, 0]), ("cat", "dog"), ("a", "b"), "kind")


def pictures(samples: int = 4) -> Samples:
    return Samples(torch.zeros(samples, 8, 6, 3, dtype=torch.uint8), torch.arange(samples) % 2, ("0", "1"))


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (slice(-1, None), [2]),
        (slice(5, 9), []),
        (torch.tensor([2, 0, 2]), [2, 0, 2]),
        (torch.tensor([2, 0], dtype=torch.uint8), [2, 0]),
        (torch.tensor([-1]), [2]),
        (torch.tensor([True, False, True]), [0, 2]),
        ([1, 0], [1, 0]),
        ([], []),
        (np.array([True, True, False]), [0, 1]),
    ],
    ids=["slice", "backwards", "last", "past the end", "indices", "uint8 indices", "from the end", "mask", "list",
         "empty list", "numpy mask"],
)  # fmt: skip
def test_parts_keep_names(index: Any, rows: list[int]) -> None:
    part = three()[index]
    assert part.features[:, 0].tolist() == [1.0 + 2 * row for row in rows]
    assert part.targets is not None
    assert part.targets.tolist() == [(0, 1, 0)[row] for row in rows]
    assert (part.classes, part.feature_names, part.target_name) == (("cat", "dog"), ("a", "b"), "kind")


def test_a_slice_is_a_view() -> None:
    whole = three()
    assert whole[1:].features.data_ptr() == whole.features[1:].data_ptr()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (1, r"got the number 1\. One sample is samples\[1:2\]"),
        (torch.tensor([True, False]), "one value a sample, 3; got 2"),
        (torch.tensor([0.5]), "Expected indices or a boolean mask"),
        (torch.tensor([[0], [1]]), "of one axis"),
    ],
    ids=["a number", "a short mask", "floats", "two axes"],
)
def test_parts_refused(index: Any, message: str) -> None:
    with pytest.raises(EdunnError, match=message):
        three()[index]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"features": torch.zeros(3)}, ShapeError, r"features.reshape\(-1, 1\)"),
        ({"features": torch.zeros(3, 2, dtype=torch.int64)}, DtypeError, "floating dtype; got torch.int64"),
        ({"features": torch.zeros(3, 2, 2, dtype=torch.uint8)}, ShapeError, r"features.unsqueeze\(-1\)"),
        ({"features": torch.zeros(3, 2, 2, 3)}, ShapeError, r"features.flatten\(1\)"),
        ({"targets": torch.zeros(3, 1)}, ShapeError, r"got \(3, 1\). Did you mean targets.squeeze\(1\)"),
        ({"targets": torch.zeros(3, 2, dtype=torch.int64)}, ShapeError, r"targets.argmax\(1\)"),
        ({"targets": torch.zeros(4)}, ShapeError, "3 samples, but 4 targets"),
        ({"targets": torch.zeros(3, dtype=torch.int32)}, DtypeError, r"got torch.int32. Convert with targets.long\(\)"),
        ({"targets": torch.zeros(3), "classes": ("a", "b")}, DtypeError, "leave the names out for regression"),
        ({"classes": ("a", "a")}, DataError, "Two classes are called 'a'"),
        ({"feature_names": ("a",)}, ShapeError, "2 features, but feature_names has 1 names"),
    ],
    ids=["one axis", "whole numbers", "grey images", "float images", "a column of targets", "one-hot", "too many",
         "int32", "real with classes", "a class twice", "a name missing"],
)  # fmt: skip
def test_samples_refused(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Samples(**{"features": torch.zeros(3, 2), **fields})


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (three(), "Samples(3 × 2 float64, 2 classes 'kind': cat, dog)"),
        (pictures(), "Samples(4 images of 8×6×3, 2 classes: 0, 1)"),
        (Samples(torch.zeros(1200, 2)), "Samples(1,200 × 2 float32, no targets)"),
        (Samples(torch.zeros(5, 1), torch.zeros(5), target_name="y"), "Samples(5 × 1 float32, real target 'y')"),
        (Samples(torch.zeros(2, 1), torch.tensor([0, 3])), "Samples(2 × 1 float32, class indices)"),
        (data.digits().test, "Samples(360 × 64 float32, 10 classes 'digit': 0, 1, …, 9)"),
    ],
    ids=["table", "images", "no targets", "real", "no class names", "many classes"],
)
def test_repr_is_one_line(samples: Samples, text: str) -> None:
    assert repr(samples) == text


def test_to_changes_floats_only() -> None:
    moved = three().to(dtype=torch.float32)
    assert moved.features.dtype == torch.float32
    assert moved.targets is not None
    assert moved.targets.dtype == torch.int64
    assert pictures().to("cpu", torch.float64).features.dtype == torch.uint8
    real = Samples(torch.zeros(3, 1), torch.zeros(3)).to(dtype=F64)
    assert real.targets is not None
    assert real.targets.dtype == F64
    with pytest.raises(DtypeError, match=r"torch\.int64 is not a floating dtype"):
        three().to(dtype=torch.int64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda() -> None:
    samples = three().to("cuda")
    assert samples[torch.tensor([0, 2])].features.device.type == "cuda"
    rest, part = split(samples, 0.4)
    here = split(three(), 0.4)
    assert torch.equal(rest.features.cpu(), here[0].features)
    assert torch.equal(part.features.cpu(), here[1].features)
    with pytest.raises(DtypeError, match="Expected targets on the features' device, cuda:0; got cpu"):
        Samples(torch.zeros(2, 1, device="cuda"), torch.zeros(2))


# as_samples


def test_numpy_arrays_become_tensors() -> None:
    samples = as_samples(np.array([[1, 2], [3, 4]], dtype=np.int16), np.array([1, 0], dtype=np.uint8), target_name="y")
    assert samples.features.dtype == F64
    assert samples.targets is not None
    assert samples.targets.tolist() == [1, 0]
    assert samples.classes == ("0", "1")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.zeros((2, 1), np.float32), torch.float32),
        (np.zeros((2, 1), np.float64), F64),
        (np.zeros((2, 1), np.float16), F64),
        (np.zeros((2, 1), ">f8"), F64),
        (np.zeros((2, 1), bool), F64),
        ([[1], [2]], F64),
        (torch.zeros(2, 1, dtype=torch.float32), torch.float32),
        (torch.zeros(2, 1, dtype=torch.int64), F64),
        (np.zeros((2, 4, 4, 1), np.uint8), torch.uint8),
        (torch.zeros(2, 4, 4, 3, dtype=torch.uint8), torch.uint8),
    ],
    ids=["float32", "float64", "float16", "big-endian", "bool", "list", "torch float32", "torch int64", "grey images",
         "torch images"],
)  # fmt: skip
def test_dtype_of_features(values: Any, dtype: torch.dtype) -> None:
    assert as_samples(values).features.dtype == dtype


def test_strides_and_read_only_arrays_are_taken() -> None:
    array = np.arange(6.0).reshape(3, 2)[::-1]
    array.flags.writeable = False
    assert as_samples(array).features.tolist() == [[4, 5], [2, 3], [0, 1]]


def test_text_targets_are_classes_in_alphabetical_order() -> None:
    samples = as_samples([[0.0], [1.0], [2.0]], ["dog", "ant", "dog"])
    assert samples.targets is not None
    assert (samples.targets.tolist(), samples.classes) == ([1, 0, 1], ("ant", "dog"))
    objects = np.array(["dog", "ant", "dog"], dtype=object)
    given = as_samples([[0.0], [1.0], [2.0]], objects, classes=("dog", "ant"))
    assert given.targets is not None
    assert (given.targets.tolist(), given.classes) == ([0, 1, 0], ("dog", "ant"))


def test_real_targets_take_the_features_dtype() -> None:
    samples = as_samples(np.zeros((2, 1), np.float32), [0.5, 1.5])
    assert samples.targets is not None
    assert samples.targets.dtype == torch.float32
    assert not samples.is_classification


@pytest.mark.parametrize(
    ("features", "targets", "classes", "error", "message"),
    [
        ([[1.0, float("nan")]], None, None, DataError, "got nan at row 0, column 1"),
        ([[1.0]], [float("inf")], None, DataError, "targets must be finite"),
        ([[1.0], [1.0, 2.0]], None, None, ShapeError, "differ in length"),
        ([["a"]], None, None, DtypeError, "must be numbers"),
        ([[1j]], None, None, DtypeError, "must be numbers; got complex128"),
        ([[1.0], [2.0]], [-1, 1], None, LabelError, r"got -1. For labels -1 and \+1"),
        ([[1.0], [2.0]], [0, 2], ("a", "b"), LabelError, "got 2 at index 1"),
        ([[1.0], [2.0]], ["a", "c"], ("a", "b"), DataError, "Unknown class 'c' at index 1"),
        ([1.0, 2.0], None, None, ShapeError, r"features.reshape\(-1, 1\)"),
    ],
    ids=[
        "nan",
        "inf target",
        "ragged",
        "text",
        "complex",
        "signs",
        "an index too high",
        "an unknown label",
        "one axis",
    ],
)
def test_as_samples_refuses(features: Any, targets: Any, classes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_samples(features, targets, classes)


# Splits


@st.composite
def labelled(draw: st.DrawFn) -> Samples:
    labels = draw(st.lists(st.integers(0, 4), min_size=2, max_size=60))
    return Samples(torch.arange(len(labels), dtype=F64).unsqueeze(1), torch.tensor(labels), tuple("abcde"))


@given(samples=labelled(), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**40))
@settings(max_examples=200, deadline=None)
def test_split_by_class(samples: Samples, fraction: float, seed: int) -> None:
    assert samples.targets is not None
    sizes = samples.targets.bincount(minlength=5)
    if int(sizes.max()) < 2:
        with pytest.raises(DataError, match="Every class has one"):
            split(samples, fraction, seed)
        return
    rest, part = split(samples, fraction, seed)
    rows, others = rest.features.flatten().tolist(), part.features.flatten().tolist()
    assert sorted(rows + others) == list(range(len(samples)))  # each sample once
    assert rows == sorted(rows)
    assert others == sorted(others)
    assert rest.targets is not None
    assert part.targets is not None
    took = part.targets.bincount(minlength=5)
    assert torch.equal(took + rest.targets.bincount(minlength=5), sizes)
    for size, count in zip(sizes.tolist(), took.tolist(), strict=True):
        assert (1 <= count < size) if size >= 2 else count == 0
    again = split(samples, fraction, seed)
    assert torch.equal(again[1].features, part.features)


@given(samples=st.integers(2, 50), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_split_of_real_targets(samples: int, fraction: float, seed: int) -> None:
    whole = Samples(torch.arange(samples, dtype=F64).unsqueeze(1), torch.zeros(samples, dtype=F64))
    rest, part = split(whole, fraction, seed)
    assert len(part) == min(max(round(fraction * samples), 1), samples - 1)
    assert len(rest) + len(part) == samples


@pytest.mark.parametrize(
    ("sizes", "fraction", "taken"),
    [
        ([25] * 4, 0.1, [3, 3, 2, 2]),  # 2.5 each, 10 in all
        ([100, 10], 0.2, [20, 2]),
        ([1, 2, 97], 0.1, [0, 1, 9]),  # 0.1, 0.2, 9.7: ten in all, one from the class of two
        ([2, 2, 2], 0.9, [1, 1, 1]),  # the bounds come before the total
        ([3, 90], 0.01, [1, 1]),
    ],
    ids=["halves", "exact", "a class of one", "nearly all", "nearly none"],
)
def test_shares_by_hand(sizes: list[int], fraction: float, taken: list[int]) -> None:
    assert shares(sizes, fraction) == taken


def test_seeds_differ() -> None:
    whole = data.digits().train
    first, second = split(whole, 0.2, seed=0)[1], split(whole, 0.2, seed=1)[1]
    assert len(first) == len(second) == 287  # round(0.2 · 1437)
    assert not torch.equal(first.features, second.features)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="fraction must be a number in"):
        split(three(), fraction)


def test_one_sample_is_not_split() -> None:
    with pytest.raises(DataError, match="takes two samples or more; got 1"):
        split(three()[:1], 0.5)


# Datasets


def test_parts_of_a_dataset_agree() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\); got \(3,\)"):
        Dataset("x", three(), Samples(torch.zeros(1, 3), torch.tensor([0]), ("cat", "dog")), None, "made")
    other = Samples(torch.zeros(1, 2), torch.tensor([0]), ("cat", "cow"))
    with pytest.raises(DataError, match="differ in their classes"):
        Dataset("x", three(), other, None, "made")
    both = Dataset("x", three(), three()[:1], None, "made").to(dtype=torch.float32)
    assert both.test is not None
    assert both.train.features.dtype == both.test.features.dtype == torch.float32


def test_fingerprint_sees_every_number() -> None:
    a = three()
    changed = Samples(a.features + torch.tensor([[0.0, 0.0], [0.0, 1e-15], [0.0, 0.0]]), a.targets, a.classes)
    assert fingerprint(a) == fingerprint(three())
    assert fingerprint(a) != fingerprint(changed)
    assert fingerprint(a) != fingerprint(Samples(a.features))
    assert fingerprint(a[::2]) == fingerprint(a[torch.tensor([0, 2])])  # strides do not matter


def test_digits_are_scikit_learns() -> None:
    digits, ours = load_digits(), data.digits()
    assert ours.test is not None
    assert (len(ours.train), len(ours.test)) == (1437, 360)
    features = torch.cat([ours.train.features, ours.test.features])
    assert features.dtype == torch.float32
    assert torch.equal(16 * features, torch.from_numpy(digits.data).float())
    assert ours.train.targets is not None
    assert ours.test.targets is not None
    assert torch.equal(torch.cat([ours.train.targets, ours.test.targets]), torch.from_numpy(digits.target))
    assert ours.train.classes == tuple("0123456789")
    assert ours.train.feature_names is not None
    assert ours.train.feature_names[10] == "pixel_1_2"
    assert ours.sha256 == "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"


def test_functions_and_modules_have_names_of_their_own() -> None:
    """Importing a module does not hide the function of the package, nor the other way round."""
    assert callable(data.digits)
    assert callable(data.shapes)
    assert edunn.data.digit_images.digits is data.digits
    assert edunn.data.shape_images.shapes is data.shapes


LARGE = {
    "1e9": [10**9, 0, 1],
    "3e6": [3_000_000, 5, 3_000_000],
    "beyond 2**53": [9007199254740993, 9007199254740992, 7],
}


@pytest.mark.parametrize("labels", LARGE.values(), ids=LARGE)
def test_field_16_large_labels_are_the_distinct_values(labels: list[int]) -> None:
    for form in (labels, np.array(labels), torch.tensor(labels)):
        samples = as_samples(np.ones((3, 2)), form)
        distinct, index = np.unique(labels, return_inverse=True)
        assert samples.classes == tuple(map(str, distinct))
        assert samples.targets is not None
        assert samples.targets.tolist() == index.tolist()


def test_field_16_indices_with_gaps_stay_indices() -> None:
    samples = as_samples(np.ones((3, 2)), [999, 0, 7])
    assert samples.targets is not None
    assert samples.targets.tolist() == [999, 0, 7]
    assert samples.classes == tuple(map(str, range(1000)))
