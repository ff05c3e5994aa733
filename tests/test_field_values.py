"""Values that were wrong in use, one test a line of the list; the right values are computed elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch import Tensor

import edunn
from edunn import landscape, losses, penalties, updates
from edunn.activations import LeakyReLU
from edunn.cli import main
from edunn.errors import ConfigError, DataError, DtypeError
from edunn.layers import BatchNorm, Dropout
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Loss, OneVsAllCrossEntropy
from edunn.models import SoftmaxClassifier, TwoLayerNet
from edunn.neighbours import NearestNeighbours

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


# ---- 13, 14: what a user writes --------------------------------------------------------------------------------------


class GemanMcClure(Loss):
    """r²/(1 + r²), not convex, which does not say so."""

    def pointwise(self, scores: Tensor, targets: Tensor) -> Tensor:
        return (scores - targets) ** 2 / (1 + (scores - targets) ** 2)

    def pointwise_gradient(self, scores: Tensor, targets: Tensor) -> Tensor:
        return 2 * (scores - targets) / (1 + (scores - targets) ** 2) ** 2


def test_field_13_a_silent_loss_is_measured() -> None:
    surface = landscape.grid([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], GemanMcClure(), (-5, 5, 41), (-5, 5, 41))
    assert surface.convex() is False
    assert surface.report().convexity.by != "structure"


def test_field_14_a_certificate_of_dropout() -> None:
    x, y = torch.randn(12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
    net = TwoLayerNet(6, 3, hidden=8, dropout=0.5, dtype=torch.float64)
    found = edunn.gradcheck.certify(net, CrossEntropy(), edunn.Samples(x, y))
    assert (len(found), found.passed) == (6, True), str(found)


# ---- 20: the last digits of a cross-entropy --------------------------------------------------------------------------


def test_field_20_a_score_of_minus_infinity_that_no_target_wants() -> None:
    scores = torch.tensor([[1.0, -math.inf, 2.0]], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([[0.3, 0.0, 0.7]], dtype=torch.float64)
    with mpmath.workdps(40):
        total = mpmath.exp(1) + mpmath.exp(2)
        q = [mpmath.mpf(0.3), mpmath.mpf(0.7)]
        right = -(q[0] * mpmath.log(mpmath.exp(1) / total) + q[1] * mpmath.log(mpmath.exp(2) / total))
        p = mpmath.exp(1) / total
    value = CrossEntropy()(scores, rows)
    assert float(value.detach()) == pytest.approx(float(right), rel=1e-14)
    assert float(value.detach()) == pytest.approx(0.613261687518, rel=1e-11)
    (slopes,) = torch.autograd.grad(value, scores)
    wanted = [float(p - q[0]), 0.0, float(q[0] - p)]
    assert slopes[0].tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-16)
    assert CrossEntropy().gradient(scores, rows)[0].tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-16)
    # where a target wants it, the loss is infinite, not nan
    assert float(CrossEntropy()(scores.detach(), torch.tensor([1]))) == math.inf
    assert float(CrossEntropy(label_smoothing=0.1)(scores.detach(), torch.tensor([0]))) == math.inf


LARGE = [(dtype, size * torch.finfo(dtype).max) for dtype in (torch.float16, torch.float32) for size in (0.55, 0.99)]


@pytest.mark.parametrize("sign", [1, -1], ids=["+", "-"])
@pytest.mark.parametrize(("dtype", "size"), [*LARGE, (torch.float16, 40_000.0), (torch.float32, 2e38)], ids=str)
def test_field_20_no_overflow_on_the_right_side(dtype: torch.dtype, size: float, sign: int) -> None:
    scores = torch.tensor([sign * size], dtype=dtype)
    right, wrong = (scores > 0).to(dtype), (scores < 0).to(dtype)
    assert float(BinaryCrossEntropy()(scores, right)) == 0
    assert float(BinaryCrossEntropy()(scores, wrong)) == float(scores.abs())
    rows = torch.stack([scores, scores], -1)
    assert float(OneVsAllCrossEntropy()(rows, torch.stack([right, right], -1))) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("score", [15.0, -15.0, 30.0, -30.0, 80.0, -80.0, 0.5])
def test_field_20_the_gradient_keeps_its_digits(score: float, target: float, dtype: torch.dtype) -> None:
    with mpmath.workdps(60):
        right = float(1 / (1 + mpmath.exp(-score)) - target)
    found = BinaryCrossEntropy().gradient(torch.tensor([score], dtype=dtype), torch.tensor([target], dtype=dtype))
    assert float(found) == pytest.approx(right, rel=4 * torch.finfo(dtype).eps)


# ---- 23: predictions of rows that are no numbers ---------------------------------------------------------------------


def test_field_23_predict_refuses_nan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(["train", str(CONFIGS / "moons_logistic.toml"), "--set", "train.epochs=2", "--out", "run", "--quiet"]) == 0
    )
    rows = np.zeros((3, 2))
    rows[1, 1] = np.nan
    np.save("nan.npy", rows)
    np.savez("nan.npz", features=rows)
    for name in ("nan.npy", "nan.npz"):
        capsys.readouterr()
        assert main(["predict", "run", name]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "finite" in said.err
        assert "nan" in said.err
    run = edunn.load("run")
    with pytest.raises(DataError, match="row 1, column 1"):
        run.predict(edunn.Samples(torch.tensor(rows)))


# ---- 27, 28: arguments that mean something else, or nothing ----------------------------------------------------------


def test_field_27_three_sizes_by_position() -> None:
    with pytest.raises(ConfigError, match=r"TwoLayerNet\(4, 3, hidden=8\)"):
        TwoLayerNet(4, 8, 3)
    net = TwoLayerNet(4, 3, hidden=8)
    assert [tuple(p.shape) for p in net.parameters()] == [(8, 4), (8,), (3, 8), (3,)]


MEANINGLESS: dict[str, Callable[[], Any]] = {
    "LeakyReLU nan": lambda: LeakyReLU(math.nan),
    "LeakyReLU inf": lambda: LeakyReLU(math.inf),
    "Hinge nan": lambda: losses.Hinge(math.nan),
    "Hinge inf": lambda: losses.Hinge(math.inf),
    "MulticlassHinge inf": lambda: losses.MulticlassHinge(math.inf),
    "OneVsAllHinge -1": lambda: losses.OneVsAllHinge(-1.0),
    "Huber nan": lambda: losses.Huber(math.nan),
    "label_smoothing nan": lambda: CrossEntropy(math.nan),
    "epsilon -1": lambda: updates.Adam(epsilon=-1.0),
    "epsilon nan": lambda: updates.RMSprop(epsilon=math.nan),
    "decay -5": lambda: updates.InverseTimeDecay(-5.0),
    "AdamW -1": lambda: updates.AdamW(-1.0),
    "momentum nan": lambda: updates.Momentum(math.nan),
    "factor nan": lambda: updates.StepDecay(math.nan),
    "final nan": lambda: updates.CosineDecay(math.nan),
    "strength nan": lambda: penalties.L2(math.nan),
    "beta nan": lambda: penalties.ElasticNet(1.0, beta=math.nan),
    "limit nan": lambda: penalties.MaxNorm(math.nan),
    "dropout nan": lambda: Dropout(math.nan),
    "batchnorm -1": lambda: BatchNorm(3, epsilon=-1.0),
    "clip_norm nan": lambda: updates.Clipping(norm=math.nan),
}


@pytest.mark.parametrize("make", MEANINGLESS.values(), ids=MEANINGLESS)
def test_field_28_meaningless_options(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        make()


# ---- F: sparse input is named with its remedy ------------------------------------------------------------------------

X, Y = np.eye(4), torch.tensor([0, 1, 0, 1])
SPARSE: dict[str, tuple[Any, str]] = {
    "scipy matrix": (scipy.sparse.csr_matrix(X), "features.toarray()"),
    "scipy array": (scipy.sparse.coo_array(X), "features.toarray()"),
    "torch coo": (torch.from_numpy(X).to_sparse(), "features.to_dense()"),
    "pandas": (pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(X)), "features.sparse.to_dense()"),
}
TAKERS: dict[str, Callable[[Any], Any]] = {
    "Samples": lambda x: edunn.Samples(x, Y),
    "predict": lambda x: SoftmaxClassifier(4, 2, dtype=torch.float64).predict(x),
    "neighbours": lambda x: NearestNeighbours(1).fit(x),
    "descend": lambda x: edunn.descend(
        SoftmaxClassifier(4, 2, dtype=torch.float64), CrossEntropy(), (x, Y), rate=0.1, epochs=1
    ),
    "plane": lambda x: landscape.plane(SoftmaxClassifier(4, 2, dtype=torch.float64), CrossEntropy(), (x, Y)),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("kind", SPARSE)
def test_field_f_sparse_input_is_named_with_its_remedy(kind: str, take: Callable[[Any], Any]) -> None:
    values, remedy = SPARSE[kind]
    with pytest.raises(DtypeError, match="are sparse") as caught:
        take(values)
    assert remedy in str(caught.value)


def test_neighbours_take_arrays_and_frames() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    for features, labels in ((X, Y.numpy()), (frame, pd.Series(Y.numpy())), (X.tolist(), Y.tolist())):
        model = NearestNeighbours(1).fit(features, labels)
        assert model.predict(features).tolist() == Y.tolist()
        assert float(model.score(features, labels)) == 1
