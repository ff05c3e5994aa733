"""The surface kernels against numpy and scipy: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logsumexp
from torch import Tensor

from edunn import losses
from edunn.activations import Sigmoid, Tanh
from edunn.landscape import direct
from edunn.landscape.planes import Plane

pytest.importorskip("triton", reason="the extra `kernels` is not installed")

from edunn.landscape import kernels  # after the line that skips

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Array = NDArray[np.float64]
Formula = Callable[[Array, Array], Array]  # scores (…, samples[, classes]), targets → (…, samples)

TOLERANCE = {torch.float32: 5e-7, torch.float64: 1e-13}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=["f32", "f64"])

# ---- the losses again, in numpy: scores as they are, no grouping, no factor ------------------------------------------


def softmax_loss(s: Array, y: Array) -> Array:
    return logsumexp(s, axis=-1) - np.take_along_axis(s, np.broadcast_to(y[..., None], (*s.shape[:-1], 1)), -1)[..., 0]


def smoothed(s: Array, y: Array) -> Array:
    q = 0.9 * np.eye(s.shape[-1])[y] + 0.1 / s.shape[-1]
    return logsumexp(s, axis=-1) - (q * s).sum(-1)


def multiclass_hinge(power: int, margin: float, with_true: bool) -> Formula:
    def value(s: Array, y: Array) -> Array:
        true = np.take_along_axis(s, np.broadcast_to(y[..., None], (*s.shape[:-1], 1)), -1)
        ramps = np.maximum(0, s - true + margin) ** power
        return ramps.sum(-1) - (0 if with_true else margin**power)

    return value


def one_vs_all(s: Array, y: Array) -> Array:
    return np.maximum(0, 1 - (2 * np.eye(s.shape[-1])[y] - 1) * s).sum(-1)


def huber(s: Array, y: Array) -> Array:
    r = np.abs(s - y)
    return np.where(r <= 0.5, r * r / 2, 0.5 * (r - 0.25))


FEATURE: dict[str, tuple[losses.Loss, str, Formula]] = {
    "cross-entropy": (losses.BinaryCrossEntropy(), "bits", lambda s, y: np.logaddexp(0, s) - y * s),
    "probabilities": (losses.BinaryCrossEntropy(), "shares", lambda s, y: np.logaddexp(0, s) - y * s),
    "logistic": (losses.Logistic(), "signs", lambda s, y: np.logaddexp(0, -y * s)),
    "squares-sigmoid": (losses.SquaredError(through=Sigmoid()), "real", lambda s, y: (expit(s) - y) ** 2),
    "half-squares-sigmoid": (losses.SquaredError(True, Sigmoid()), "bits", lambda s, y: (expit(s) - y) ** 2 / 2),
    "squares-tanh": (losses.SquaredError(through=Tanh()), "real", lambda s, y: (np.tanh(s) - y) ** 2),
}
PLANES: dict[str, tuple[losses.Loss, str, Formula]] = {
    "softmax": (losses.CrossEntropy(), "classes", softmax_loss),
    "softmax-smoothed": (losses.CrossEntropy(label_smoothing=0.1), "classes", smoothed),
    "multiclass-hinge": (losses.MulticlassHinge(), "classes", multiclass_hinge(1, 1.0, False)),
    "multiclass-hinge-squared": (losses.MulticlassHinge(2.0, 2, True), "classes", multiclass_hinge(2, 2.0, True)),
    "one-vs-all": (losses.OneVsAllHinge(), "classes", one_vs_all),
    "hinge": (losses.Hinge(), "signs", lambda s, y: np.maximum(0, 1 - y * s)),
    "hinge-squared": (losses.Hinge(margin=0.5, power=2), "signs", lambda s, y: np.maximum(0, 0.5 - y * s) ** 2),
    "perceptron": (losses.Perceptron(), "signs", lambda s, y: np.maximum(0, -y * s)),
    "absolute": (losses.AbsoluteError(), "real", lambda s, y: np.abs(s - y)),
    "huber": (losses.Huber(0.5), "real", huber),
}


def draw_targets(labels: str, samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    bits = torch.randint(2, (samples,), generator=generator).double()
    numbers = torch.randn(samples, generator=generator, dtype=torch.float64)
    classes = torch.randint(4, (samples,), generator=generator)
    return {"bits": bits, "signs": 2 * bits - 1, "real": numbers, "shares": numbers.sigmoid(), "classes": classes}[
        labels
    ]


def one_feature(loss: losses.Loss, x: Tensor, y: Tensor, dtype: torch.dtype, **options: Any) -> Plane:
    x = x.to(DEVICE, dtype)
    return Plane(loss, y.to(DEVICE, dtype), torch.zeros_like(x), x, torch.ones_like(x), one_feature=True, **options)


def random_plane(loss: losses.Loss, y: Tensor, dtype: torch.dtype, **options: Any) -> Plane:
    generator = torch.Generator().manual_seed(3)
    shape = (len(y), 4) if loss.class_axis else (len(y),)
    parts = [torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype) for _ in range(3)]
    y = y.to(DEVICE, dtype) if y.is_floating_point() else y.to(DEVICE)
    return Plane(loss, y, *parts, **options)


def truth(plane: Plane, formula: Formula, a: Tensor, b: Tensor) -> Array:
    """Returns the mean loss over the grid, of the very numbers that the plane holds, in float64."""
    s0, s1, s2 = (part.double().cpu().numpy() for part in (plane.base, plane.first, plane.second))
    y = plane.targets.cpu().numpy()
    weights = np.ones(len(s0)) if plane.weights is None else plane.weights.double().cpu().numpy()
    rows = []
    for u in a.tolist():
        rows.append([float(np.average(formula(s0 + u * s1 + v * s2, y), weights=weights)) for v in b.tolist()])
    return np.array(rows)


def check(plane: Plane, formula: Formula, a: Tensor, b: Tensor) -> None:
    assert kernels.fits(plane, 0)
    a, b = (axis.to(plane.dtype).double() for axis in (a, b))  # the points that the dtype can hold
    found = kernels.grid(plane, a, b)
    assert found.shape == (1, len(a), len(b))
    assert found.dtype == plane.dtype
    true = truth(plane, formula, a, b)
    error = np.abs(found[0].double().cpu().numpy() - true).max() / np.abs(true).max()
    assert error <= TOLERANCE[plane.dtype]


def grid(reach: float, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Returns axes of a window about 0. An odd number of rows has w = 0, where all scores of one feature are equal."""
    return tuple(torch.linspace(-reach, reach, n, dtype=torch.float64) for n in (rows, columns))  # type: ignore[return-value]


# ---- the numbers -----------------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("samples", [1, 37])
@pytest.mark.parametrize("name", FEATURE)
def test_one_feature(name: str, samples: int, dtype: torch.dtype) -> None:
    loss, labels, formula = FEATURE[name]
    x = torch.randn(samples, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    check(one_feature(loss, x, draw_targets(labels, samples), dtype), formula, *grid(6, 3, 9))


@dtypes
@pytest.mark.parametrize("samples", [1, 37])
@pytest.mark.parametrize("name", PLANES)
def test_planes(name: str, samples: int, dtype: torch.dtype) -> None:
    loss, labels, formula = PLANES[name]
    check(random_plane(loss, draw_targets(labels, samples), dtype), formula, *grid(4, 3, 9))


@dtypes
@pytest.mark.parametrize("name", ["cross-entropy", "squares-tanh", "softmax", "hinge"])
def test_windows_of_a_thousand_overflow_nowhere(name: str, dtype: torch.dtype) -> None:
    loss, labels, formula = (FEATURE | PLANES)[name]
    y = draw_targets(labels, 5)
    plane = one_feature(loss, torch.linspace(-3, 2, 5), y, dtype) if name in FEATURE else random_plane(loss, y, dtype)
    check(plane, formula, *grid(1000, 3, 5))


@dtypes
@pytest.mark.parametrize("name", ["cross-entropy", "squares-sigmoid"])
def test_a_constant_feature(name: str, dtype: torch.dtype) -> None:
    loss, labels, formula = FEATURE[name]
    check(one_feature(loss, torch.full((50,), 0.7), draw_targets(labels, 50), dtype), formula, *grid(3, 3, 5))


@pytest.mark.parametrize("columns", [1, 255, 256, 257])
def test_ragged_columns(columns: int) -> None:
    loss, labels, formula = FEATURE["cross-entropy"]
    x = torch.linspace(-1, 1, 9)
    b = torch.linspace(-2, 2, columns, dtype=torch.float64) if columns > 1 else torch.tensor([0.3], dtype=torch.float64)
    check(one_feature(loss, x, draw_targets(labels, 9), torch.float64), formula, torch.tensor([0.5, 2.0]).double(), b)


@pytest.mark.slow
@dtypes
def test_e44_many_samples_on_the_row_where_all_scores_are_equal(dtype: torch.dtype) -> None:
    """One float32 total of 60,000 equal terms is off by 3e-5: the sums are in float64."""
    loss, labels, formula = FEATURE["cross-entropy"]
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plane = one_feature(loss, x, draw_targets(labels, len(x)), dtype)
    check(plane, formula, torch.tensor([0.0, 1.5]).double(), torch.tensor([-2.0, 0.1, 3.0]).double())


@dtypes
def test_samples_are_cut_where_a_row_needs_more_than_the_budget(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    from edunn.landscape.kernels import pieces

    monkeypatch.setattr(pieces, "BUDGET", 1 << 12)
    for name in ("cross-entropy", "squares-sigmoid"):
        loss, labels, formula = FEATURE[name]
        x = torch.linspace(-2, 2, 600)
        check(one_feature(loss, x, draw_targets(labels, 600), dtype), formula, *grid(2, 3, 4))
    loss, labels, formula = PLANES["softmax"]
    check(random_plane(loss, draw_targets(labels, 100), dtype), formula, *grid(2, 3, 4))


@dtypes
@pytest.mark.parametrize("name", ["multiclass-hinge", "hinge-squared", "absolute"])
def test_ramps_count_the_weights_of_samples(name: str, dtype: torch.dtype) -> None:
    loss, labels, formula = PLANES[name]
    weights = torch.linspace(0, 3, 20, dtype=torch.float64)
    weights = (weights * 20 / weights.sum()).to(DEVICE, dtype)
    check(random_plane(loss, draw_targets(labels, 20), dtype, weights=weights), formula, *grid(3, 3, 5))


@pytest.mark.filterwarnings("ignore:invalid value")  # the interpreter's: inf − inf
@pytest.mark.parametrize(
    ("name", "odd"), [("cross-entropy", math.nan), ("cross-entropy", math.inf), ("squares-sigmoid", math.nan)]
)
def test_a_score_that_is_not_finite_gives_no_finite_loss(name: str, odd: float) -> None:
    loss, labels, _ = FEATURE[name]
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    x[4] = odd
    found = kernels.grid(one_feature(loss, x, draw_targets(labels, 9), torch.float64), *grid(3, 4, 5))
    assert not found.isfinite().any()


def test_e45_rows_lie_more_than_two_billion_numbers_apart(tmp_path: Any) -> None:
    """The offset of a row is a product that 32 bits cannot hold. The file has a hole where nothing is written."""
    if DEVICE == "cuda":
        pytest.skip("the result would fill 17 GB")
    from edunn.landscape.kernels import factored

    stride = (1 << 31) + 8
    hole = np.memmap(tmp_path / "rows", dtype=np.float64, mode="w+", shape=(stride + 4,))
    out = torch.from_numpy(hole).as_strided((2, 4), (stride, 1))
    x, y, zero = torch.linspace(-1, 1, 9).double(), torch.ones(9).double(), torch.zeros(1).double()
    how = factored.recipe(one_feature(losses.BinaryCrossEntropy(), x, y, torch.float64))
    factored.launch(how, torch.tensor([1.0, 2.0]).double(), x, y, zero, torch.ones(4).double(), out, False, False)
    true = np.logaddexp(0, np.outer([1.0, 2.0], x.numpy())).sum(1)
    np.testing.assert_allclose(out.numpy(), np.repeat(true[:, None], 4, 1), rtol=1e-13)


# ---- who is served ---------------------------------------------------------------------------------------------------


class Own(losses.BinaryCrossEntropy):
    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return 2 * super().pointwise(scores, targets)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (Own(), {}),
        (losses.BinaryCrossEntropy(), {"weights": torch.ones(3, dtype=torch.float64)}),
        (losses.SquaredError(), {}),
        (losses.ZeroOne(), {}),
    ],
    ids=["own-subclass", "weights", "squares", "zero-one"],
)
def test_what_no_kernel_computes_is_left_to_torch(loss: losses.Loss, options: dict[str, Any]) -> None:
    options = {name: value.to(DEVICE) for name, value in options.items()}
    plane = one_feature(loss, torch.linspace(-1, 1, 3), torch.tensor([1.0, -1.0, 1.0]), torch.float64, **options)
    assert not kernels.fits(plane, 0)


def test_a_target_too_large_for_the_squares_is_left_to_torch() -> None:
    loss = losses.SquaredError(through=Sigmoid())
    assert not kernels.fits(one_feature(loss, torch.ones(2), torch.tensor([0.0, 31.0]), torch.float32), 0)


def test_derivatives_are_left_to_torch() -> None:
    plane = one_feature(losses.BinaryCrossEntropy(), torch.ones(2), torch.zeros(2), torch.float64)
    assert kernels.fits(plane, 0)
    assert not kernels.fits(plane, 1)


def test_an_own_subclass_is_not_taken_for_the_loss_that_it_changes() -> None:
    x, y = torch.linspace(-2, 2, 40).double(), (torch.arange(40) % 2).double()
    a, b = grid(3, 5, 64)
    plane = Plane(Own(), y, torch.zeros_like(x), x, torch.ones_like(x), one_feature=True)
    true = truth(plane, lambda s, y: 2 * (np.logaddexp(0, s) - y * s), a, b)
    np.testing.assert_allclose(direct.grid(plane, a, b)[0].numpy(), true, rtol=1e-12)


def test_the_fastest_way_is_the_one_that_measured_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def slow(plane: Plane, a: Tensor, b: Tensor, order: int) -> Tensor:
        tried.append(("slow", len(a)))
        sum(range(200_000))
        return direct.plain(plane, a, b, order) + 1

    def fast(plane: Plane, a: Tensor, b: Tensor, order: int) -> Tensor:
        tried.append(("fast", len(a)))
        return direct.plain(plane, a, b, order)

    plane = one_feature(losses.BinaryCrossEntropy(), torch.ones(2), torch.zeros(2), torch.float64)
    a, b = grid(1, 40, 3)
    monkeypatch.setattr(direct, "_seconds", {})
    assert direct.seconds(fast, plane, a, b, 0) < direct.seconds(slow, plane, a, b, 0)
    assert tried == [("fast", direct.ROWS)] * 2 + [("slow", direct.ROWS)] * 2
    direct.seconds(fast, plane, a, b, 0)  # measured once
    assert len(tried) == 4
