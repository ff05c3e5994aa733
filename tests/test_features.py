"""Features against scikit-image, matplotlib, numpy and scikit-learn."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import rgb_to_hsv
from skimage import data as pictures
from skimage.feature import hog as skimage_hog
from sklearn.cluster import KMeans

from edunn.errors import ConfigError, DataError, DtypeError, EdunnWarning, ShapeError
from edunn.features import batches, cache, colour, hog, kinds, patches
from edunn.features.kinds import combination

GENERATOR = np.random.default_rng(0)
NORMS = ["L1", "L1-sqrt", "L2", "L2-Hys"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "cache"))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(*shape, seed=0):
    """Waves, so that neighbouring pixels go together as in a photograph."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    r = np.random.default_rng(seed)
    waves = sum(np.sin(x * r.uniform(-1, 1) + y * r.uniform(-1, 1) + r.uniform(0, 6)) for _ in range(4))
    return np.uint8(127 + 30 * waves)


def coloured(rows, columns, seed=0):
    return np.stack([smooth(rows, columns, seed=seed + c) for c in range(3)], -1)


def reference(image, **options):
    for key in ("pixels_per_cell", "cells_per_block"):
        if isinstance(options.get(key), int):
            options[key] = (options[key],) * 2
    return skimage_hog(image, channel_axis=-1 if image.ndim == 3 else None, **options)


PICTURES = {
    "camera": lambda: pictures.camera()[::4, ::4],
    "astronaut": lambda: pictures.astronaut()[::4, ::3],
    "coins": lambda: pictures.coins()[::3, ::3],
    "moon": lambda: pictures.moon()[:100, :77],
    "brick": lambda: pictures.brick()[:65, :130],
    "noise": lambda: noise(40, 56, 3),
    "waves": lambda: coloured(48, 32),
    "steps": lambda: noise(33, 47, 3) // 64 * 64,
    "flat": lambda: np.full((32, 32, 3), 77, np.uint8),
    "checks": lambda: np.uint8(255 * (np.indices((32, 48)).sum(0) // 3 % 2)),
}  # fmt: skip
OPTIONS = {
    "defaults": {},
    "two by two": {"cells_per_block": 2},
    "L1": {"block_norm": "L1"},
    "L1-sqrt": {"block_norm": "L1-sqrt", "orientations": 8},
    "L2": {"block_norm": "L2", "orientations": 12, "cells_per_block": 1},
    "roots": {"transform_sqrt": True, "orientations": 7},
    "oblong": {"pixels_per_cell": (5, 9), "cells_per_block": (2, 1), "orientations": 7},
    "many": {"orientations": 18, "pixels_per_cell": 4, "cells_per_block": (1, 3)},
    "one bin": {"orientations": 1, "pixels_per_cell": 1, "cells_per_block": (2, 2)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("picture", PICTURES)
def test_hog_is_scikit_images(picture, options):
    image = np.ascontiguousarray(PICTURES[picture]())
    ours = hog.hog(torch.from_numpy(image)[None], **options)[0].numpy()
    np.testing.assert_allclose(ours, reference(image, **options), rtol=0, atol=1e-6)


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    channels=st.sampled_from([None, 1, 2, 3, 4]),
    orientations=st.integers(1, 20),
    cell=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    block=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    norm=st.sampled_from(NORMS),
    root=st.booleans(),
    levels=st.sampled_from([2, 16, 256]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=150, deadline=None)
def test_hog_is_scikit_images_whatever_the_options(
    rows, columns, channels, orientations, cell, block, norm, root, levels, seed
):
    if root and orientations in (3, 4, 5, 6, 8, 9, 12, 15, 16, 18, 20):
        # roots of whole numbers lie exactly at 30°, 45° or 60° now and then, and at an edge rounding decides
        orientations = 7
    if root:
        channels = (
            None  # two channels may have gradients of the same size, and of roots rounding decides which is larger
        )
    shape = (rows, columns) if channels is None else (rows, columns, channels)
    image = np.uint8(noise(*shape, seed=seed) // (256 // levels) * (255 // (levels - 1)))
    options = {
        "orientations": orientations, "pixels_per_cell": cell, "cells_per_block": block, "block_norm": norm,
        "transform_sqrt": root,
    }  # fmt: skip
    images = torch.from_numpy(image)[None]
    if rows < cell[0] * block[0] or columns < cell[1] * block[1]:
        with pytest.raises(ShapeError, match="at least"):
            hog.hog(images, **options)
        return
    ours = hog.hog(images, dtype=torch.float64, **options)[0].numpy()
    expected = reference(image, **options)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_hog_puts_every_whole_gradient_into_the_right_bin():
    """All 511 × 511 gradients that uint8 images have, through float32, against the angle in float64."""
    whole = torch.arange(-255, 256)
    row, column = torch.meshgrid(whole, whole, indexing="ij")
    row, column = row.flatten(), column.flatten()
    angle = np.degrees(np.arctan2(row.double().numpy(), column.double().numpy())) % 180
    for orientations in (2, 4, 6, 7, 8, 9, 12, 18, 36):
        edges = np.float32(180.0 / orientations * np.arange(orientations)).astype(float)
        expected = np.searchsorted(edges, angle, side="right") - 1
        # every gradient is a cell of one pixel, of magnitude 1
        plane = row.float()[None, :, None], column.float()[None, :, None], torch.ones(1, len(row), 1)
        found = hog.cell_histograms(*plane, orientations, (1, 1)).squeeze(-1).squeeze(1).argmax(0).numpy()
        moving = (row != 0) | (column != 0)
        np.testing.assert_array_equal(found[moving], expected[moving])


def test_hog_of_floating_images_and_dtypes():
    image = GENERATOR.random((24, 40, 3))
    ours = hog.hog(torch.from_numpy(image)[None])
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours[0].numpy(), reference(image), rtol=0, atol=1e-6)
    assert hog.hog(torch.from_numpy(image)[None].float()).dtype == torch.float32


@pytest.mark.parametrize("threads", [1, 2])
def test_hog_of_many_images_is_one_by_one_in_any_batches(monkeypatch, threads):
    images = torch.from_numpy(noise(70, 16, 24, 3))
    alone = torch.cat([hog.hog(image[None], cells_per_block=2) for image in images])
    monkeypatch.setattr(batches, "CPU_BYTES", 16 * 24 * 48 * 16)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        # the sums of a cell run in another order where a batch is a single image
        torch.testing.assert_close(hog.hog(images, cells_per_block=2), alone, atol=1e-6, rtol=0)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_hog_of_no_images_has_the_width():
    assert hog.hog(torch.zeros(0, 32, 32, 3, dtype=torch.uint8)).shape == (0, 324)


@given(bins=st.integers(1, 24), levels=st.sampled_from([2, 3, 6, 16, 256]), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_hue_is_matplotlibs(bins, levels, seed):
    """Few levels: then many hues lie exactly on an edge of a bin, and many pixels are grey."""
    images = np.uint8(noise(3, 9, 14, 3, seed=seed) // (256 // levels) * (255 // (levels - 1)))
    ours = colour.hue_histogram(torch.from_numpy(images), bins, dtype=torch.float64).numpy()
    for image, found in zip(images, ours, strict=True):
        hues = rgb_to_hsv(image / 255.0)[..., 0]
        expected = np.histogram(hues, bins=bins, range=(0, 1))[0] / hues.size
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        colour.hue(torch.from_numpy(images)).numpy().reshape(3, 9, 14), rgb_to_hsv(images / 255.0)[..., 0]
    )


def test_hue_of_known_colours():
    red, yellow, green, blue, grey = [255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]
    image = torch.tensor([[red, yellow, green, blue, grey]], dtype=torch.uint8)[None]
    torch.testing.assert_close(colour.hue(image), torch.tensor([[0, 1 / 6, 1 / 3, 2 / 3, 0]], dtype=torch.float64))


@pytest.mark.parametrize("bins", [1, 5, 8, 256])
def test_rgb_histograms_are_numpys(bins):
    images = noise(4, 11, 13, 3)
    ours = colour.rgb_histogram(torch.from_numpy(images), bins, dtype=torch.float64).numpy().reshape(4, 3, bins)
    for image, found in zip(images, ours, strict=True):
        for channel in range(3):
            expected = np.histogram(image[..., channel], bins=bins, range=(0, 256))[0] / 143
            np.testing.assert_allclose(found[channel], expected, rtol=1e-12)


def test_joint_rgb_histograms_are_numpys():
    images = noise(4, 11, 13, 3)
    ours = colour.rgb_histogram(torch.from_numpy(images), 4, joint=True, dtype=torch.float64).numpy()
    for image, found in zip(images, ours, strict=True):
        expected, _ = np.histogramdd(image.reshape(-1, 3).astype(float), bins=4, range=[(0, 256)] * 3)
        np.testing.assert_allclose(found, expected.flatten() / 143, rtol=1e-12)


REFUSED = {
    "one image": (lambda: hog.hog(torch.zeros(32, 32)), ShapeError, r"got \(32, 32\)"),
    "no pixels": (lambda: hog.hog(torch.zeros(1, 0, 32, 3)), ShapeError, "no pixels"),
    "int64": (lambda: hog.hog(torch.zeros(1, 32, 32, 3).long()), DtypeError, "uint8 or floating; got torch.int64"),
    "too small": (lambda: hog.hog(torch.zeros(1, 23, 32, 3)), ShapeError, "at least 24 × 24 pixels.*got 23 × 32"),
    "no bins": (lambda: hog.hog(torch.zeros(1, 32, 32, 3), orientations=0), ConfigError, "orientations must be"),
    "a cell of 0": (lambda: hog.hog(torch.zeros(1, 32, 32), pixels_per_cell=0), ConfigError, "pixels_per_cell.*got 0"),
    "norm": (lambda: hog.hog(torch.zeros(1, 32, 32), block_norm="l2-hys"), ConfigError, "Did you mean 'L2-Hys'"),
    "root": (lambda: hog.hog(-torch.ones(1, 32, 32), transform_sqrt=True), DataError, "takes no negative values"),
    "channels first": (lambda: colour.hue_histogram(torch.zeros(2, 3, 8, 8)), ShapeError, r"permute\(0, 2, 3, 1\)"),
    "hue of grey": (lambda: colour.hue_histogram(torch.zeros(2, 8, 8)), ShapeError, r"images\[None\]"),
    "rgb of floats": (lambda: colour.rgb_histogram(torch.zeros(2, 8, 8, 3)), DtypeError, "uint8 for RGB"),
    "bins": (lambda: colour.hue_histogram(torch.zeros(2, 8, 8, 3), 0), ConfigError, "bins must be"),
    "kind": (lambda: combination("hog,hu"), ConfigError, "'hu'. Did you mean 'hue'"),
    "twice": (lambda: combination("hog,hog"), ConfigError, "names a kind of features twice"),
    "option": (lambda: combination("hog", {"orientation": 8}), ConfigError, "Did you mean 'orientations'"),
    "whose": (lambda: combination("hue,rgb", {"bins": 8}), ConfigError, "hue and rgb .*features.hue.bins"),
    "type": (lambda: combination("hog", {"orientations": "nine"}), ConfigError, "a whole number; got 'nine'"),
    "cells": (lambda: combination("hog", {"cells_per_block": [2, 0]}), ConfigError, r"\(rows, columns\); got \(2, 0\)"),
    "coding": (lambda: patches.learn(torch.zeros(2, 8, 8, 3), coding="soft"), ConfigError, "triangle or hard"),
    "start": (lambda: patches.learn(torch.zeros(2, 8, 8, 3), start="zeros"), ConfigError, "normal or k-means"),
    "few patches": (lambda: patches.learn(torch.zeros(2, 8, 8, 3), 9, patches=8), ConfigError, "from 8 patches"),
    "small": (lambda: patches.learn(torch.zeros(2, 6, 8, 3)), ShapeError, "at least 7 × 7 pixels"),
    "not fitted": (lambda: kinds.Patches()(torch.zeros(2, 8, 8, 3)), ConfigError, r"Call fit\(images\)"),
    "clusters": (lambda: patches.k_means(torch.zeros(2, 3), torch.zeros(3, 3)), DataError, "only 2 rows"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def blobs(rows=300, features=5, centres=6, seed=0):
    r = np.random.default_rng(seed)
    return torch.from_numpy(r.normal(size=(centres, features))[r.integers(centres, size=rows)] * 4).double() + (
        torch.from_numpy(r.normal(size=(rows, features)))
    )


@pytest.mark.parametrize("seed", range(4))
def test_k_means_is_scikit_learns_from_the_same_start(seed):
    rows = blobs(seed=seed)
    start = patches.k_means_start(rows, 8, seed)
    ours = patches.k_means(rows, start, rounds=300)
    twin = KMeans(8, init=start.numpy(), n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(rows.numpy())
    assert ours.converged
    np.testing.assert_allclose(ours.centroids.numpy(), twin.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(ours.assignment.numpy(), twin.labels_)
    assert ours.inertia == pytest.approx(twin.inertia_, rel=1e-9)


def test_no_centroid_stays_empty():
    """Two centroids start far from everything: they move onto the rows that lie farthest off, as in scikit-learn."""
    rows = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [30.0]], dtype=torch.float64)
    start = torch.tensor([[0.0], [10.0], [1000.0], [2000.0]], dtype=torch.float64)
    ours = patches.k_means(rows, start, rounds=50)
    assert len(ours.assignment.unique()) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin = KMeans(4, init=start.numpy(), n_init=1, tol=0, max_iter=50).fit(rows.numpy())
    assert ours.inertia == pytest.approx(twin.inertia_)


def test_k_means_never_gets_worse_and_chunks_do_not_matter():
    rows = blobs(rows=500)
    start = rows[:7]
    inertia = [patches.k_means(rows, start, rounds=r).inertia for r in range(1, 8)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(inertia))
    whole, parts = patches.k_means(rows, start), patches.k_means(rows, start, budget=7 * 8 * 13)
    torch.testing.assert_close(whole.centroids, parts.centroids)


def test_k_means_plus_plus_spreads_its_start():
    """Three tight groups: a start drawn by squared distance has one in each, whatever the seed."""
    rows = torch.cat(
        [torch.linspace(0, 1e-3, 100, dtype=torch.float64).view(50, 2) + centre for centre in (0, 100, 200)]
    )
    for seed in range(20):
        start = patches.k_means_start(rows, 3, seed)
        assert sorted((start[:, 0] / 100).round().tolist()) == [0, 1, 2]
    same = patches.k_means_start(torch.ones(5, 2), 3)
    assert same.shape == (3, 2)


def test_whitened_rows_are_uncorrelated():
    draw = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=draw, dtype=torch.float64)
    rows = torch.randn(4000, 6, generator=draw, dtype=torch.float64) @ mixing + 5
    white = patches.Whitening.fit(rows, epsilon=0.0)(rows)
    torch.testing.assert_close(white.mean(0), torch.zeros(6, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(white.T.cov(), torch.eye(6, dtype=torch.float64), atol=1e-8, rtol=0)
    matrix = patches.Whitening.fit(rows).matrix
    torch.testing.assert_close(matrix, matrix.mT)  # ZCA: symmetric, so no rotation is left


def test_patches_and_their_places():
    images = torch.arange(2 * 4 * 5 * 3).view(2, 4, 5, 3)
    found = patches.patches_of(images, 2)
    assert found.shape == (2, 3, 4, 12)
    torch.testing.assert_close(found[1, 2, 3], images[1, 2:4, 3:5].flatten().float())
    drawn = patches.random_patches(images, 2, 50, seed=1)
    everywhere = {tuple(row) for row in found.flatten(0, 2).tolist()}
    assert {tuple(row) for row in drawn.tolist()} <= everywhere
    assert len({tuple(row) for row in drawn.tolist()}) > 10


@pytest.mark.parametrize("coding", ["triangle", "hard"])
def test_coding_is_the_formula_patch_by_patch(coding):
    images = torch.from_numpy(noise(5, 9, 10, 3))
    dictionary = patches.learn(images, words=7, size=4, patches=100, coding=coding)
    found = dictionary(images, budget=1)  # one image at a time
    assert found.shape == (5, 28)
    white = dictionary.whitening(patches.even_out(patches.patches_of(images, 4)))  # (5, 6, 7, 48)
    distance = (white.unsqueeze(-2) - dictionary.centroids).double().norm(dim=-1)
    if coding == "triangle":
        code = (distance.mean(-1, keepdim=True) - distance).clamp(min=0)
    else:
        code = torch.nn.functional.one_hot(distance.argmin(-1), 7).double()
    quarters = [code[:, rows, columns] for rows in (slice(3), slice(3, 6)) for columns in (slice(3), slice(3, 7))]
    expected = torch.cat([quarter.mean((1, 2)) for quarter in quarters], 1)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)  # the product's form loses digits
    torch.testing.assert_close(dictionary(images), found, atol=1e-5, rtol=1e-5)


def test_learning_is_seeded():
    images = torch.from_numpy(noise(20, 9, 9, 3))
    options = {"words": 5, "size": 3, "patches": 200}
    first, again = patches.learn(images, **options), patches.learn(images, **options)
    assert torch.equal(first.centroids, again.centroids)
    assert not torch.equal(first.centroids, patches.learn(images, seed=1, **options).centroids)
    plus = patches.learn(images, start="k-means++", **options)
    assert plus.centroids.isfinite().all()
    assert first.patches().shape == (5, 3, 3, 3)


def test_kinds_stand_beside_each_other():
    images = torch.from_numpy(noise(6, 32, 32, 3))
    both = combination("hog,hue", {"cells_per_block": [2, 2], "bins": 12}).fit(images)
    features = both(images)
    assert features.shape == (6, 324 + 12)
    assert torch.equal(features[:, :324], hog.hog(images, cells_per_block=2))
    assert torch.equal(features[:, 324:], colour.hue_histogram(images, 12))
    assert both.state() == {}
    assert both.options()["hue"] == {"bins": 12}
    nested = combination("hue,rgb", {"hue": {"bins": 5}, "rgb": {"joint": True}})
    assert nested(images).shape == (6, 5 + 512)


def test_a_fitted_kind_is_put_together_again():
    images = torch.from_numpy(noise(30, 12, 12, 3))
    options = {"words": 6, "size": 4, "patches": 300, "coding": "hard"}
    fitted = combination("hue,patches", options).fit(images)
    again = combination("hue,patches", options).restore(fitted.state())
    assert torch.equal(fitted(images), again(images))


@pytest.fixture
def counted(monkeypatch):
    """How often hog was really computed."""
    calls = []
    real = hog.hog
    monkeypatch.setattr(hog, "hog", lambda *a, **k: calls.append(1) or real(*a, **k))
    return calls


def test_features_are_kept_and_found_again(counted, monkeypatch):
    monkeypatch.setattr(cache, "FEWEST", 5)
    images = torch.from_numpy(noise(6, 32, 32, 3))
    first = cache.compute(combination("hog"), images)
    assert torch.equal(cache.compute(combination("hog"), images), first)
    assert len(counted) == 1
    cache.compute(combination("hog", {"orientations": 8}), images)
    changed = images.clone()
    changed[0, 0, 0, 0] ^= 1
    cache.compute(combination("hog"), changed)
    assert len(counted) == 3
    kept = cache.entries()
    assert [(entry.kind, entry.samples) for entry in kept] == [("hog", 6)] * 3
    kept[0].path.write_bytes(b"damaged")
    assert "damaged" in {entry.kind for entry in cache.entries()}
    cache.compute(combination("hog"), images)
    assert cache.clear() > 0
    assert cache.entries() == []


def test_what_was_learnt_is_kept(monkeypatch):
    monkeypatch.setattr(cache, "FEWEST", 5)
    images = torch.from_numpy(noise(30, 12, 12, 3))
    wanted = combination("patches", {"words": 6, "size": 4, "patches": 300})
    first = cache.fit(wanted, images)
    monkeypatch.setattr(patches, "learn", None)
    assert torch.equal(cache.fit(wanted, images)(images), first(images))


def test_nothing_is_kept_where_it_is_not_wanted(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "FEWEST", 5)
    images = torch.from_numpy(noise(6, 32, 32, 3))
    monkeypatch.setenv("EDUNN_CACHE", "")
    cache.compute(combination("hue"), images)
    assert cache.entries() == []
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("EDUNN_CACHE", str(blocked))
    with pytest.warns(EdunnWarning, match="features are not kept"):
        assert cache.compute(combination("hue"), images).shape == (6, 10)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ["hog", "hue", "rgb", "patches"])
def test_cuda_gives_the_same(kind):
    images = torch.from_numpy(noise(64, 32, 32, 3))
    fitted = combination(kind, {"words": 20, "patches": 2000} if kind == "patches" else {}).fit(images)
    torch.testing.assert_close(fitted(images.cuda()).cpu(), fitted(images), atol=1e-5, rtol=1e-4)


def test_field_24_more_centroids_than_different_rows():
    rows = torch.tensor([[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]])
    found = patches.k_means(rows, rows.clone())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different rows than centroids
        twin = KMeans(3, init=rows.numpy(), n_init=1).fit(rows.numpy())
    assert np.array_equal(found.centroids.numpy(), twin.cluster_centers_)
    assert found.centroids.tolist() == [[1, 1], [2, 2], [2, 2]]


@given(seed=st.integers(0, 10**6), samples=st.integers(1, 12), levels=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_centroids_stay_among_the_rows(seed, samples, levels):
    r = np.random.default_rng(seed)
    rows = torch.tensor(r.integers(5, 5 + levels, (samples, 2))).float()
    start = rows[torch.tensor(r.permutation(samples)[: r.integers(1, samples + 1)])] + 1
    found = patches.k_means(rows, start)
    assert len(found.centroids) == len(start)
    assert (found.centroids >= 5).all()
    assert found.inertia == pytest.approx(float(torch.cdist(rows, found.centroids).amin(1).square().sum()), abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_field_24_whitening_without_epsilon_leaves_rounding_out(dtype):
    """Rows in a plane of 6 dimensions: whitened, their covariance is the projection onto the plane."""
    r = np.random.default_rng(0)
    rows = r.normal(size=(200, 2)) @ r.normal(size=(2, 6)) + 3
    fitted = patches.Whitening.fit(torch.tensor(rows, dtype=dtype), epsilon=0)
    _, _, directions = np.linalg.svd(rows - rows.mean(0))
    plane = directions[:2].T @ directions[:2]
    np.testing.assert_allclose(np.cov(fitted(torch.tensor(rows, dtype=dtype)).numpy().T), plane, atol=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_field_24_pixels_that_are_no_numbers(value):
    images = torch.rand(2, 16, 16, 3)
    images[1, 2, 3, 0] = value
    for feature in (colour.hue_histogram, lambda x: hog.hog(x, cells_per_block=1), lambda x: patches.learn(x, words=2)):
        with pytest.raises(DataError, match="images must be finite"):
            feature(images)


@pytest.mark.parametrize("epsilon", [-1.0, float("nan"), float("inf"), True])
def test_field_28_epsilon_of_a_whitening(epsilon):
    with pytest.raises(ConfigError, match="epsilon must be a number 0 or more"):
        patches.Whitening.fit(torch.rand(4, 2), epsilon)


IMAGES = torch.zeros(2, 24, 24, 3, dtype=torch.uint8)
MEANINGLESS = {
    "bins 2.5": lambda: colour.hue_histogram(IMAGES, 2.5),
    "bins True": lambda: colour.hue_histogram(IMAGES, True),
    "bins of 24 TB": lambda: colour.hue_histogram(IMAGES, 10**12),
    "more bins than colours": lambda: colour.rgb_histogram(IMAGES, 10**9, joint=True),
    "orientations nan": lambda: hog.hog(IMAGES, orientations=float("nan")),
    "cells of True": lambda: hog.hog(IMAGES, pixels_per_cell=True),
    "words nan": lambda: patches.learn(IMAGES, words=float("nan")),
    "rounds 0.5": lambda: patches.learn(IMAGES, words=2, patches=10, rounds=0.5),
    "seed 0.5": lambda: patches.learn(IMAGES, words=2, patches=10, seed=0.5),
}


@pytest.mark.parametrize("call", MEANINGLESS.values(), ids=MEANINGLESS)
def test_field_28_options_of_features(call):
    with pytest.raises(ConfigError):
        call()
