"""Nearest neighbours against scikit-learn, and the rules for ties on constructed ones."""

import os
import zipfile
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neighbors import NearestNeighbors as Reference

from edunn import neighbours
from edunn.errors import ConfigError, DataError, LabelError, ShapeError
from edunn.neighbours import NearestNeighbours, vote
from edunn.selection import choose_k


def brute(train, queries, k, metric):
    """In float64, by the stated order: distance, then index in training."""
    difference = queries.double().unsqueeze(1) - train.double()
    distance = difference.square().sum(-1) if metric == "l2" else difference.abs().sum(-1)
    values, indices = distance.sort(dim=1, stable=True)
    return (values.sqrt() if metric == "l2" else values)[:, :k], indices[:, :k]


@given(
    samples=st.integers(1, 60),
    queries=st.integers(0, 8),
    width=st.integers(1, 6),
    levels=st.sampled_from([1, 3, 50, 0]),
    offset=st.sampled_from([0, 1e4, 1e6]),
    metric=st.sampled_from(["l1", "l2"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    group=st.sampled_from([1, 3, 100]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=200, deadline=None)
def test_exact_on_anything(samples, queries, width, levels, offset, metric, dtype, group, seed):
    """Few levels: ties everywhere; a large offset: digits are lost in the product."""
    r = np.random.default_rng(seed)

    def draw(n):
        x = r.integers(0, levels, (n, width)) if levels else r.normal(size=(n, width))
        return torch.tensor(x + offset, dtype=dtype)

    train, asked = draw(samples), draw(queries)
    k = int(r.integers(1, samples + 1))
    before, neighbours.GROUP = neighbours.GROUP, group
    try:
        distances, indices = NearestNeighbours(k, metric).fit(train).neighbours(asked)
    finally:
        neighbours.GROUP = before
    expected, order = brute(train, asked, k, metric)
    assert torch.equal(indices, order)
    torch.testing.assert_close(distances, expected, rtol=1e-12, atol=0)
    assert (distances >= 0).all()


def test_10000_and_10001_in_float32():
    """scikit-learn/scikit-learn#9354: the expanded form gives distance 0 instead of 1."""
    train = torch.tensor([[10001.0], [10000.0]])
    distances, indices = NearestNeighbours(2).fit(train).neighbours(torch.tensor([[10000.0]]))
    assert indices.tolist() == [[1, 0]]
    assert distances.tolist() == [[0.0, 1.0]]


def test_a_sample_is_its_own_nearest_neighbour():
    x = torch.randn(500, 40) * 100 + 1e4
    distances, indices = NearestNeighbours(1).fit(x).neighbours(x)
    assert torch.equal(indices.squeeze(1), torch.arange(500))
    assert torch.equal(distances, torch.zeros(500, 1, dtype=torch.float64))


def test_of_neighbours_at_the_same_distance_the_earlier_counts():
    train = torch.tensor([[2.0], [-1.0], [1.0], [1.0], [-1.0]])
    _, indices = NearestNeighbours(3).fit(train).neighbours(torch.zeros(1, 1))
    assert indices.tolist() == [[1, 2, 3]]
    many = torch.ones(1000, 3)
    assert NearestNeighbours(4).fit(many).neighbours(torch.zeros(1, 3))[1].tolist() == [[0, 1, 2, 3]]


VOTES = {
    "majority": ([1.0, 2.0, 3.0], [0, 4, 4], 4),
    "the nearer of two classes": ([1.0, 2.0, 3.0, 4.0], [3, 1, 1, 3], 3),
    "the smaller label, both as near": ([1.0, 1.0], [5, 2], 2),
    "nearest neighbours as near, further ones not asked": ([1.0, 1.0, 2.0, 9.0], [5, 2, 5, 2], 2),
    "one neighbour": ([0.0], [7], 7),
}


@pytest.mark.parametrize(("distances", "labels", "expected"), VOTES.values(), ids=VOTES)
def test_votes(distances, labels, expected):
    assert vote(torch.tensor([distances]), torch.tensor([labels])).tolist() == [expected]


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_labels_are_scikit_learns_where_nothing_is_tied(metric):
    r = torch.Generator().manual_seed(0)
    train, labels = torch.randn(800, 12, generator=r), torch.randint(5, (800,), generator=r)
    queries = torch.randn(300, 12, generator=r)
    check_against_scikit_learn(train, labels, queries, 7, metric, least=0.5)


def check_against_scikit_learn(train, labels, queries, k, metric, least):
    model = NearestNeighbours(k, metric).fit(train, labels)
    ours = model.predict(queries)
    twin = KNeighborsClassifier(k, metric="manhattan" if metric == "l1" else "euclidean", algorithm="brute")
    theirs = torch.from_numpy(twin.fit(train.double().numpy(), labels.numpy()).predict(queries.double().numpy()))
    distances, indices = model.neighbours(queries, k + 1)
    counts = torch.nn.functional.one_hot(labels[indices[:, :k]], int(labels.max()) + 1).sum(1).sort(1).values
    untied = (counts[:, -1] > counts[:, -2]) & (distances[:, k] > distances[:, k - 1])
    assert untied.double().mean() > least
    assert torch.equal(ours[untied], theirs[untied])


def test_chunks_do_not_matter():
    r = torch.Generator().manual_seed(0)
    train, queries = torch.randn(5000, 8, generator=r), torch.randn(70, 8, generator=r)
    whole = NearestNeighbours(3).fit(train).neighbours(queries)
    parts = NearestNeighbours(3, budget=5000 * 4 * 9).fit(train).neighbours(queries)
    torch.testing.assert_close(whole, parts, rtol=0, atol=0)
    twin = Reference(n_neighbors=3, algorithm="kd_tree").fit(train.double().numpy())
    assert np.array_equal(twin.kneighbors(queries.double().numpy())[1], whole[1].numpy())


def test_images_are_taken_as_they_are():
    images = torch.randint(256, (20, 12), dtype=torch.uint8)
    assert NearestNeighbours().fit(images, torch.arange(20)).predict(images).tolist() == list(range(20))


REFUSED = {
    "k of 0": (lambda: NearestNeighbours(0), ConfigError, "k of 1 or more; got 0"),
    "metric": (lambda: NearestNeighbours(1, "L2"), ConfigError, "metric l2 or l1; got 'L2'"),
    "too many": (lambda: NearestNeighbours(4).fit(torch.ones(3, 2)), ConfigError, "at most 3"),
    "one axis": (lambda: NearestNeighbours().fit(torch.ones(3)), ShapeError, r"\(samples, features\); got \(3,\)"),
    "nan": (lambda: NearestNeighbours().fit(torch.tensor([[1.0], [torch.nan]])), DataError, "row 1, column 0"),
    "labels": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2), torch.zeros(2).long()), ShapeError, r"\(3,\); got \(2,\)"),
    "real labels": (lambda: NearestNeighbours().fit(torch.ones(3, 2), torch.zeros(3)), LabelError, "class indices"),
    "not fitted": (lambda: NearestNeighbours().predict(torch.ones(3, 2)), DataError, "call fit"),
    "no labels": (lambda: NearestNeighbours().fit(torch.ones(3, 2)).predict(torch.ones(1, 2)), DataError, "given none"),
    "width": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.ones(1, 3)), ShapeError, r"\(queries, 2\)"),
    "a single query": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.ones(2)), ShapeError, r"queries\[None\]"),
    "nan in a query": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.full((1, 2), torch.nan)),
        DataError, "finite queries"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_k_is_chosen_where_it_helps():
    """Two wide blobs with a tenth of the labels flipped: one neighbour follows the flips, many do not."""
    r = torch.Generator().manual_seed(1)
    labels = torch.randint(2, (600,), generator=r)
    features = torch.randn(600, 2, generator=r) + 3 * labels.unsqueeze(1)
    noisy = torch.where(torch.rand(600, generator=r) < 0.1, 1 - labels, labels)
    search = choose_k(Rows(features, noisy), [1, 3, 15, 51])
    assert search.best["k"] in (15, 51)
    assert search.trials[0].mean < search.trials[search.chosen].mean - 0.03
    assert search == choose_k(Rows(features, noisy), [1, 3, 15, 51])


class Rows(SimpleNamespace):
    """What selection asks of samples: features, targets, length and rows by index."""

    def __init__(self, features, targets):
        super().__init__(features=features, targets=targets)

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        return Rows(self.features[index], self.targets[index])


@pytest.mark.real_data
@pytest.mark.skipif("EDUNN_REAL_IMAGES" not in os.environ, reason="EDUNN_REAL_IMAGES names no images")
def test_labels_are_scikit_learns_on_2000_real_queries():
    with zipfile.ZipFile(os.environ["EDUNN_REAL_IMAGES"]) as archive:

        def read(part, each):
            names = sorted(n for n in archive.namelist() if n.startswith(f"{part}/") and n.endswith(".jpg"))
            classes = sorted({n.split("/")[1] for n in names})
            chosen = names[:: len(names) // each][:each]
            pixels = [np.asarray(Image.open(BytesIO(archive.read(n)))).ravel() for n in chosen]
            return torch.from_numpy(np.stack(pixels)).float(), torch.tensor(
                [classes.index(n.split("/")[1]) for n in chosen]
            )

        train, labels = read("train", 5000)
        queries, _ = read("test", 2000)
    check_against_scikit_learn(train, labels, queries, 5, "l2", least=0.4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_cuda_gives_the_same(metric):
    train, queries = torch.randint(9, (3000, 20)).float(), torch.randint(9, (50, 20)).float()
    here = NearestNeighbours(5, metric).fit(train).neighbours(queries)
    there = NearestNeighbours(5, metric).fit(train.cuda()).neighbours(queries.cuda())
    assert torch.equal(here[1], there[1].cpu())
    torch.testing.assert_close(here[0], there[0].cpu(), rtol=1e-12, atol=0)
