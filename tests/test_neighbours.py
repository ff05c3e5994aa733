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

import edunn
from edunn import neighbours
from edunn.errors import ConfigError, DataError, LabelError, ShapeError
from edunn.neighbours import NearestNeighbours, Voters, vote
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


def test_field_15_neighbours_in_float16():
    train = torch.linspace(-1000, 1000, 21).half().unsqueeze(1)
    _, indices = NearestNeighbours(1).fit(train).neighbours(torch.tensor([[700.0]]).half())
    assert indices.tolist() == [[17]]
    digits = (255 * edunn.data.digits().train.features[:600]).half()
    _, found = NearestNeighbours(1).fit(digits).neighbours(digits + 3)
    twin = Reference(n_neighbors=1, algorithm="brute").fit(digits.double().numpy())
    assert np.array_equal(found.numpy(), twin.kneighbors((digits + 3).double().numpy())[1])


SCALES = {
    torch.float16: (1e-6, 1e4),
    torch.bfloat16: (1e-38, 1e37),
    torch.float32: (1e-43, 1e-38, 1e-30, 1e-20, 1e20, 1e30, 3e37),
    torch.float64: (1e-307, 1e-200, 1e-160, 1e160, 1e200, 1e306),
}


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize(
    ("dtype", "scale"), [(d, s) for d, scales in SCALES.items() for s in scales], ids=lambda v: str(v)
)
def test_field_15_neighbours_at_every_scale(dtype, scale, metric):
    """numpy's longdouble, which has room for the squares, is the oracle."""
    r = np.random.default_rng(0)
    train = torch.tensor(r.normal(size=(400, 5)) * scale).to(dtype)
    queries = torch.tensor(r.normal(size=(30, 5)) * scale).to(dtype)
    distances, indices = NearestNeighbours(3, metric).fit(train).neighbours(queries)
    a, q = (x.double().numpy().astype(np.longdouble) for x in (train, queries))
    if metric == "cosine":
        a, q = (x / np.sqrt((x * x).sum(1, keepdims=True)) for x in (a, q))
    difference = a[None] - q[:, None]
    exact = np.abs(difference).sum(2) if metric == "l1" else np.sqrt((difference**2).sum(2))
    exact = exact**2 / 2 if metric == "cosine" else exact
    chosen = np.take_along_axis(exact, indices.numpy(), 1)
    least = np.sort(exact, axis=1)[:, :3]
    assert np.all(np.abs(chosen - least) <= 1e-14 * least)
    assert np.all(np.abs(distances.numpy() - least) <= 1e-12 * least)


def test_distances_beyond_float64_are_refused():
    far = torch.tensor([[1.7e308], [-1.7e308]], dtype=torch.float64)
    for metric in ("l1", "l2"):
        with pytest.raises(DataError, match="largest float64"):
            NearestNeighbours(2, metric).fit(far).neighbours(far)
    mixed = torch.tensor([[1e300], [1e-30], [2e-30]], dtype=torch.float64)
    with pytest.raises(DataError, match="1e140 times smaller"):
        NearestNeighbours(2).fit(mixed).neighbours(mixed[1:2])
    assert NearestNeighbours(2, "l1").fit(mixed).neighbours(mixed[2:])[1].tolist() == [[2, 1]]


def test_a_query_keeps_its_digits_and_may_be_far_away():
    train = torch.tensor([[1.0], [1.0 + 2**-23], [3.0]])
    query = torch.tensor([[1.0 + 2**-24 + 2**-40]], dtype=torch.float64)
    for metric in ("l1", "l2"):
        assert NearestNeighbours(1, metric).fit(train).neighbours(query)[1].tolist() == [[1]]
        assert NearestNeighbours(1, metric).fit(train).neighbours(torch.tensor([[1e30]]))[1].tolist() == [[0]]
        assert NearestNeighbours(1, metric).fit(1e-38 * train).neighbours(torch.tensor([[1e9]]))[1].tolist() == [[0]]


def test_torch_may_multiply_with_fewer_digits():
    """Where float32 is multiplied as bfloat16 the proof allows for it."""
    train = torch.rand(500, 64, generator=torch.Generator().manual_seed(0)) + 10
    expected = NearestNeighbours(3).fit(train.double()).neighbours(train[:50].double())[1]
    torch.set_float32_matmul_precision("medium")
    try:
        found = NearestNeighbours(3).fit(train).neighbours(train[:50])[1]
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found, expected)


@pytest.mark.parametrize("k", [1, 4, 9])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_metrics_and_weights_are_scikit_learns(metric, weights, k):
    r = np.random.default_rng(k)
    labels = r.integers(0, 4, 300)
    train, queries = r.normal(size=(300, 6)) + labels[:, None] / 2, r.normal(size=(200, 6)) + 0.5
    queries[:20] = train[:20]  # at distance 0
    name = {"l1": "manhattan", "l2": "euclidean", "cosine": "cosine"}[metric]
    twin = KNeighborsClassifier(k, metric=name, weights=weights, algorithm="brute").fit(train, labels)
    model = NearestNeighbours(k, metric, weights=weights).fit(torch.tensor(train), torch.tensor(labels))
    distances, indices = model.neighbours(torch.tensor(queries))
    theirs = twin.kneighbors(queries)
    assert np.array_equal(indices.numpy(), theirs[1])
    np.testing.assert_allclose(distances.numpy(), theirs[0], rtol=1e-9, atol=1e-7)
    shares = np.sort(twin.predict_proba(queries), axis=1)
    untied = shares[:, -1] > shares[:, -2] + 1e-9
    assert untied.mean() > 0.7
    predicted = model.predict(torch.tensor(queries)).numpy()
    assert np.array_equal(predicted[untied], twin.predict(queries)[untied])
    if weights == "distance":
        assert np.array_equal(predicted[:20], labels[:20])
    voters = Voters(k, metric, torch.tensor(train), torch.tensor(labels), 4, weights)
    assert np.array_equal(voters.predict(torch.tensor(queries)).numpy(), predicted)


def test_a_distance_of_zero_outvotes_all_others():
    train, labels = torch.tensor([[0.0], [1e-30], [1e-30], [0.0]]), torch.tensor([1, 0, 0, 2])
    model = NearestNeighbours(4, weights="distance").fit(train, labels)
    assert model.predict(torch.zeros(1, 1)).tolist() == [1]
    close = torch.tensor([[1e-310], [4e-310], [5e-310]], dtype=torch.float64)
    tiny = NearestNeighbours(3, weights="distance").fit(close, labels[:3])
    assert tiny.predict(torch.zeros(1, 1).double()).tolist() == [1]  # 1/1e-310 is inf


def test_parallel_rows_have_cosine_distance_zero():
    train = torch.tensor([[3.0, 1.0, 7.0], [1.0, 1.0, 1.0], [0.1, 0.1, 0.1]])
    distances, indices = NearestNeighbours(2, "cosine").fit(train).neighbours(torch.full((1, 3), 0.7))
    assert indices.tolist() == [[1, 2]]
    assert distances.tolist() == [[0.0, 0.0]]


LABELS = {
    "int32": torch.tensor([5, 5, 2], dtype=torch.int32),
    "uint8": torch.tensor([5, 5, 2], dtype=torch.uint8),
    "bool": torch.tensor([True, True, False]),
    "signs": torch.tensor([1, 1, -1]),
    "huge": torch.tensor([10**15, 10**15, 3]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_field_29_labels_of_any_whole_dtype(labels):
    train = torch.tensor([[0.0], [1.0], [9.0]])
    model = NearestNeighbours(2).fit(train, labels)
    predicted = model.predict(torch.tensor([[0.4], [10.0]]))
    assert predicted.dtype == labels.dtype
    assert predicted.tolist() == [labels[0].item(), labels[2].item()]
    assert model.score(train, labels) == 1


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
    "k of 0": (lambda: NearestNeighbours(0), ConfigError, "k must be a whole number, 1 or more; got 0"),
    "metric": (lambda: NearestNeighbours(1, "L2"), ConfigError, "Unknown metric 'L2'"),
    "weights": (lambda: NearestNeighbours(weights="near"), ConfigError, "Unknown weights 'near'"),
    "k of a half": (lambda: NearestNeighbours(2.5), ConfigError, "k must be a whole number, 1 or more; got 2.5"),
    "no direction": (
        lambda: NearestNeighbours(metric="cosine").fit(torch.tensor([[1.0], [0.0]])), DataError, "Row 1 .* only zeros"),
    "k of 0 later": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.ones(1, 2), k=0), ConfigError, "got 0"),
    "too many": (lambda: NearestNeighbours(4).fit(torch.ones(3, 2)), ConfigError, "only 3 training samples"),
    "one axis": (lambda: NearestNeighbours().fit(torch.ones(3)), ShapeError, r"\(samples, features\); got \(3,\)"),
    "nan": (lambda: NearestNeighbours().fit(torch.tensor([[1.0], [torch.nan]])), DataError, "row 1, column 0"),
    "labels": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2), torch.zeros(2).long()), ShapeError, r"\(3,\); got \(2,\)"),
    "real labels": (lambda: NearestNeighbours().fit(torch.ones(3, 2), torch.zeros(3)), LabelError, "class indices"),
    "not fitted": (lambda: NearestNeighbours().predict(torch.ones(3, 2)), DataError, "Call fit"),
    "no labels": (lambda: NearestNeighbours().fit(torch.ones(3, 2)).predict(torch.ones(1, 2)), DataError, "no labels"),
    "width": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.ones(1, 3)), ShapeError, r"\(queries, 2\)"),
    "a single query": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.ones(2)), ShapeError, r"queries\[None\]"),
    "nan in a query": (
        lambda: NearestNeighbours().fit(torch.ones(3, 2)).neighbours(torch.full((1, 2), torch.nan)),
        DataError, "queries must be finite"),
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


# ---- votes by distance, at every scale -------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "l1", "cosine"])
@pytest.mark.parametrize(("dtype", "scale"), [(d, s) for d, scales in SCALES.items() for s in (1.0, *scales)], ids=str)
def test_votes_by_distance_at_every_scale(dtype, scale, metric):
    """1/distance itself would overflow or vanish; numpy's longdouble has room for it."""
    r = np.random.default_rng(1)
    train, queries = (torch.tensor((r.normal(size=(n, 3)) + 2) * scale).to(dtype) for n in (80, 30))
    labels = torch.arange(80) % 3
    model = NearestNeighbours(7, metric, weights="distance").fit(train, labels)
    distances, indices = model.neighbours(queries)
    weights = 1 / distances.numpy().astype(np.longdouble)
    for row, found in enumerate(model.predict(queries).tolist()):
        votes = [weights[row][labels[indices[row]].numpy() == k].sum() for k in range(3)]
        assert np.isfinite(votes).all()
        assert found == int(np.argmax(votes))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("metric", ["l2", "l1", "cosine"])
def test_a_zero_distance_wins_alone(dtype, metric):
    """One sample at the query outvotes four that are as near as the dtype allows; so does scikit-learn's."""
    near = torch.tensor([1.0, 1.0], dtype=dtype)
    step = torch.tensor([torch.finfo(dtype).eps, 0.0], dtype=dtype)
    x = torch.stack([near + step, near + 2 * step, near, near + 3 * step, near + 4 * step])
    y = torch.tensor([1, 1, 0, 1, 1])
    model = NearestNeighbours(5, metric, weights="distance").fit(x, y)
    if metric == "cosine" and dtype == torch.float64:
        return  # a difference of one rounding is no difference of directions
    assert model.predict(near[None]).tolist() == [0]
    if metric != "cosine":
        theirs = KNeighborsClassifier(
            5, weights="distance", algorithm="kd_tree", metric={"l2": "euclidean", "l1": "manhattan"}[metric]
        )
        assert theirs.fit(x.double().numpy(), y.numpy()).predict(near[None].double().numpy()).tolist() == [0]
