"""Toy sets: the lecture's numbers, one seed one set, labels that follow the formula; and `load`, which finds them."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from edunn import data
from edunn.data import SOURCES, TOYS, Samples, fingerprint, load
from edunn.data.shape_images import CLASSES, _rgb
from edunn.data.toys import (
    above_curve,
    blobs,
    circles,
    lecture_line,
    line,
    moons,
    random_binary,
    random_linear,
    spirals,
)
from edunn.errors import ConfigError, DataError

SEEDED = [name for name in TOYS if name != "lecture-line"]


def least_squares(samples: Samples) -> tuple[float, float, float]:
    """(slope, intercept, mean squared error), by numpy."""
    assert samples.targets is not None
    x, y = samples.features[:, 0].numpy(), samples.targets.numpy()
    m, b = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)[0]
    return float(m), float(b), float(((m * x + b - y) ** 2).mean())


def test_lecture_line_gives_the_lectures_numbers() -> None:
    """m, b and MSE as recovered from the lecture: np.random.seed(1337), y = 2x + 3.5 + N(0, 1)."""
    found = least_squares(lecture_line())
    assert found == pytest.approx((2.00057348731401, 3.342509884508204, 1.024103703253268), rel=1e-13)


def test_lecture_line_leaves_numpys_generator_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    lecture_line()
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


@pytest.mark.parametrize("name", TOYS)
def test_what_every_toy_has(name: str) -> None:
    samples = TOYS[name]()
    assert samples.features.dtype == torch.float64
    assert samples.targets is not None
    assert samples.feature_names is not None
    assert samples.features.isfinite().all()
    if samples.is_classification:
        assert samples.targets.dtype == torch.int64
        assert samples.classes is not None
        assert samples.targets.unique().tolist() == list(range(len(samples.classes)))
    else:
        assert samples.targets.dtype == torch.float64
        assert samples.classes is None


@pytest.mark.parametrize("name", SEEDED)
def test_one_seed_one_set(name: str) -> None:
    toy = TOYS[name]
    assert fingerprint(toy(samples=50, seed=3)) == fingerprint(toy(samples=50, seed=3))
    assert fingerprint(toy(samples=50, seed=3)) != fingerprint(toy(samples=50, seed=4))
    assert len(toy(samples=50)) == 50


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "got 0"),
        ({"noise": -1.0}, "noise must be a number 0 or more, finite; got -1"),
        ({"noise": np.inf}, "noise"),
    ],
    ids=["no samples", "negative noise", "infinite noise"],
)
def test_options_refused(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TOYS[name](**options)


def test_line_without_noise_is_the_line() -> None:
    samples = line(noise=0)
    assert samples.features[:, 0].diff().min() >= 0
    assert least_squares(samples) == pytest.approx((2.0, 3.5, 0.0), abs=1e-12)
    assert least_squares(random_linear(noise=0))[2] < 1e-28


def test_line_has_the_noise_it_was_asked_for() -> None:
    """The variance of 10,000 residuals, whose own standard error is σ² √(2/n) = 0.13."""
    assert least_squares(line(samples=10_000, noise=3.0))[2] == pytest.approx(9.0, abs=0.5)


def test_random_binary_has_the_probabilities_of_its_docstring() -> None:
    """In a band of x, the share of ones is the mean of σ(2x − 1): 20,000 samples, standard error at most 0.011."""
    samples = random_binary(samples=20_000)
    assert samples.targets is not None
    x, y = samples.features[:, 0], samples.targets.double()
    for low in (-2.0, -1.0, 0.0, 1.0):
        band = (x >= low) & (x < low + 1)
        assert float(y[band].mean()) == pytest.approx(float(torch.sigmoid(2 * x[band] - 1).mean()), abs=0.03)


def test_random_binary_without_noise_is_a_threshold() -> None:
    samples = random_binary(samples=1000, noise=0, uniform=True)
    assert samples.targets is not None
    assert torch.equal(samples.targets, (samples.features[:, 0] > 0.5).long())
    assert 0 <= float(samples.features.min()) < float(samples.features.max()) < 1


@pytest.mark.parametrize("curve", ["sine", "parabola"])
def test_above_curve_without_noise(curve: str) -> None:
    samples = above_curve(noise=0, curve=curve)
    x, y = samples.features.T
    height = x.sin() if curve == "sine" else x**2 / 4 - 1
    assert samples.targets is not None
    assert torch.equal(samples.targets, (y > height).long())


def test_moons_and_circles_without_noise_lie_on_their_circles() -> None:
    outer, inner = (circles(noise=0, ratio=0.3)[k::2].features for k in (0, 1))
    torch.testing.assert_close(outer.norm(dim=1), torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close(inner.norm(dim=1), torch.full((100,), 0.3, dtype=torch.float64))
    upper, lower = (moons(noise=0)[k::2].features for k in (0, 1))
    centre = torch.tensor([1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close((lower - centre).norm(dim=1), torch.ones(100, dtype=torch.float64))
    assert upper[:, 1].min() >= 0 >= (lower - centre)[:, 1].max()


@pytest.mark.parametrize("toy", [blobs, spirals])
@pytest.mark.parametrize("classes", [2, 5])
def test_classes_are_balanced_and_mixed(toy: type, classes: int) -> None:
    samples: Samples = toy(samples=20 * classes, classes=classes)
    assert samples.targets is not None
    assert samples.targets.bincount().tolist() == [20] * classes
    assert samples[:classes].targets.tolist() == list(range(classes))  # type: ignore[union-attr]


def test_classes_refused() -> None:
    with pytest.raises(ConfigError, match=r"classes must be a whole number from 2 .*; got 1"):
        blobs(classes=1)
    with pytest.raises(ConfigError, match=r"samples must be a whole number from 3 .*; got 2"):
        spirals(samples=2)
    with pytest.raises(ConfigError, match="Did you mean 'parabola'"):
        above_curve(curve="parabole")
    with pytest.raises(ConfigError, match="ratio must be a number in"):
        circles(ratio=1)


# Made images


def test_shapes_are_what_they_say() -> None:
    samples = data.shapes(samples=120)
    assert repr(samples).startswith("Samples(120 images of 32×32×3, 12 classes")
    assert samples.classes == CLASSES
    assert samples.targets is not None
    assert samples.targets.bincount().tolist() == [10] * 12
    assert fingerprint(samples) == fingerprint(data.shapes(samples=120))
    assert fingerprint(samples) != fingerprint(data.shapes(samples=120, seed=1))


def test_hue_tells_red_from_green() -> None:
    """Mean red minus mean green, the crudest colour feature: right for nearly all, useless for the shape."""
    samples = data.shapes(samples=600)
    assert samples.targets is not None
    assert samples.classes is not None
    centre = samples.features[:, 8:24, 8:24].double().mean((1, 2))
    red = torch.tensor([samples.classes[k].startswith("red") for k in samples.targets])
    assert ((centre[:, 0] > centre[:, 1]) == red).double().mean() > 0.9


def test_no_two_images_are_alike_and_pixels_do_not_tell_the_class() -> None:
    samples = data.shapes(samples=1200)
    assert len(samples.features.flatten(1).unique(dim=0)) == 1200
    assert samples.targets is not None
    x = samples.features.flatten(1).double()
    nearest = torch.cdist(x[600:], x[:600]).argmin(1)
    accuracy = (samples.targets[:600][nearest] == samples.targets[600:]).double().mean()
    assert 1 / 12 < float(accuracy) < 0.6  # better than chance, far from solved


def test_rgb_is_colorsys() -> None:
    import colorsys

    hsv = torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.tensor([colorsys.hsv_to_rgb(*row) for row in hsv.tolist()], dtype=torch.float64)
    torch.testing.assert_close(_rgb(*hsv.T), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("red-plain-disc", "red-plain-disk")}, "Did you mean 'red-plain-disc'"),
        ({"classes": ("red-plain-disc",)}, "two classes or more"),
        ({"samples": 3}, "samples must be a whole number from 12 .*; got 3"),
    ],
    ids=["misspelt", "one class", "too few"],
)
def test_shapes_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        data.shapes(**options)  # type: ignore[arg-type]


# load


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_sources_are_what_they_say(source: data.Source) -> None:
    dataset = load(source.name, progress=lambda done, total: None)
    samples = len(dataset.train) + (0 if dataset.test is None else len(dataset.test))
    assert (samples, dataset.train.features[0].numel()) == (source.samples, source.features)
    assert dataset.name == source.name
    assert dataset.sha256 is not None
    assert len(dataset.sha256) == 64


def test_every_toy_is_a_source() -> None:
    assert {source.name for source in SOURCES} == {"digits", "shapes", *TOYS}


def test_load_hands_options_on() -> None:
    dataset = load("blobs", samples=40, classes=4, seed=7)
    assert dataset.sha256 == fingerprint(blobs(samples=40, classes=4, seed=7))
    assert dataset.source == "made by a formula: blobs, samples=40, classes=4, seed=7"


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("digts", {}, DataError, "'digts' is neither a data set's name nor the path of one. Did you mean 'digits'"),
        ("", {}, DataError, "'' is neither a data set's name"),
        ("nowhere.csv", {}, DataError, "'nowhere.csv' does not exist"),
        ("no/where", {}, DataError, "does not exist"),
        ("blobs", {"sample": 3}, ConfigError, "Unknown option 'sample' for the data 'blobs'. Did you mean 'samples'"),
        ("digits", {"seed": 3}, ConfigError, "Unknown option 'seed' for the data 'digits'. It takes none"),
        ("pyproject.toml", {}, DataError, "'pyproject.toml' has no rows under its header"),
    ],
    ids=["misspelt", "nothing", "no file", "no folder", "an option misspelt", "an option too many", "another file"],
)
def test_load_refuses(
    name: str,
    options: dict[str, int],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("[project]\n")
    with pytest.raises(error, match=message):
        load(name, **options)


def test_toys_share_the_names_of_their_options() -> None:
    for name in SEEDED:
        assert list(inspect.signature(TOYS[name]).parameters)[:3] == ["samples", "seed", "noise"]


OPTIONS = {
    "half a sample": ("moons", {"samples": 8.5}, "samples must be a whole number"),
    "many": ("moons", {"samples": "many"}, "samples must be a whole number"),
    "more than memory": ("shapes", {"samples": 10**12}, "samples must be a whole number"),
    "noise as text": ("moons", {"noise": "x"}, "noise must be a number"),
    "noise without end": ("blobs", {"noise": float("inf")}, "noise must be a number"),
    "half a seed": ("moons", {"seed": 0.5}, "seed must be a whole number"),
    "half a class": ("blobs", {"classes": 2.5}, "classes must be a whole number"),
    "ratio as text": ("circles", {"ratio": "a"}, "ratio must be a number"),
    "classes by number": ("shapes", {"classes": 3}, "classes must be"),
}


@pytest.mark.parametrize(("name", "options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_field_28_options_of_made_sets(name, options, message):
    with pytest.raises(ConfigError, match=message):
        data.load(name, **options)
