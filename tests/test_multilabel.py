"""Samples with several labels, and samples that a loss leaves out: against torch and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model, metrics, multiclass, svm
from torch import Tensor

import edunn
from edunn import Samples, data, experiment, landscape
from edunn import metrics as ours
from edunn.cli import main
from edunn.descent import Descent, train_together, vary
from edunn.errors import ConfigError, DataError, EdunnError, LabelError, ShapeError
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Loss, OneVsAllCrossEntropy, OneVsAllHinge, SquaredError
from edunn.models import LinearRegression, LinearSVM, LogisticRegression, Model, SoftmaxClassifier, TwoLayerNet
from edunn.penalties import L2
from edunn.updates import Nesterov

N, LABELS = 60, ("red", "green", "blue")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def samples(weighted: bool = False) -> Samples:
    """Bits that depend on the features, with noise."""
    x = draw(N, 4)
    y = (x @ draw(4, 3, seed=1) + draw(N, 3, seed=2) > 0).double()
    return Samples(x, y, classes=LABELS, sample_weight=draw(N, seed=3).abs() if weighted else None)


# ---- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)], ids=str)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1e-3, 1.0, 40.0, 1e4]))
@settings(max_examples=20, deadline=None)
def test_bits_cost_what_torch_says(lead: tuple[int, ...], seed: int, size: float) -> None:
    """BCEWithLogitsLoss is the mean over samples and labels, 1/C of ours."""
    scores, y = size * draw(*lead, 7, 3, seed=seed), (draw(7, 3, seed=seed + 1) > 0).double()
    loss = OneVsAllCrossEntropy()
    theirs = F.binary_cross_entropy_with_logits(scores, y.expand(scores.shape), reduction="none").sum(-1).mean(-1)
    torch.testing.assert_close(loss(scores, y), theirs, rtol=1e-13, atol=0)
    at = scores.clone().requires_grad_()
    mean = F.binary_cross_entropy_with_logits(at, y.expand(scores.shape), reduction="none").sum(-1).mean(-1).sum()
    (slopes,) = torch.autograd.grad(mean, at)
    torch.testing.assert_close(loss.gradient(scores, y), slopes, rtol=1e-12, atol=1e-16)


def test_one_against_the_rest_is_a_row_of_bits() -> None:
    scores, y = draw(N, 3), torch.arange(N) % 3
    rows = F.one_hot(y).double()
    for loss in (OneVsAllCrossEntropy(), OneVsAllHinge(), OneVsAllHinge(power=2)):
        torch.testing.assert_close(loss(scores, y), loss(scores, rows), rtol=1e-15, atol=0)
        torch.testing.assert_close(loss.gradient(scores, y), loss.gradient(scores, rows), rtol=1e-15, atol=0)


def test_hinges_of_bits_are_those_of_scikit_learn() -> None:
    scores, y = draw(N, 3), samples().targets
    assert y is not None
    theirs = sum(metrics.hinge_loss(y[:, k].numpy(), scores[:, k].numpy()) for k in range(3))
    assert float(OneVsAllHinge()(scores, y)) == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize(
    ("loss", "targets", "said"),
    [
        (OneVsAllCrossEntropy(), torch.full((4, 3), 2.0), "must lie in"),
        (OneVsAllHinge(), torch.full((4, 3), 0.5), "must be 0 or 1"),
        (OneVsAllHinge(), torch.full((4, 3), -1.0), r"\(targets \+ 1\) / 2"),
        (OneVsAllCrossEntropy(), torch.ones(4, 3, dtype=torch.int64), r"targets.to\(scores.dtype\)"),
        (OneVsAllCrossEntropy(), torch.ones(4, 2), "Expected targets of shape"),
        (OneVsAllCrossEntropy(), torch.full((4,), 3), "Class indices must be 0 to 2"),
    ],
    ids=["2", "a half", "signs", "whole numbers", "two labels", "a fourth class"],
)
def test_losses_refuse(loss: Loss, targets: Tensor, said: str) -> None:
    with pytest.raises(EdunnError, match=said):
        loss(torch.zeros(4, 3), targets)


# ---- training --------------------------------------------------------------------------------------------------------

MODELS = {
    "logistic": (lambda: LogisticRegression(4, outputs=3, dtype=torch.float64), OneVsAllCrossEntropy()),
    "svm": (lambda: LinearSVM(4, labels=3, dtype=torch.float64), OneVsAllHinge(power=2)),
    "net": (
        lambda: TwoLayerNet(4, 3, hidden=5, predicts="bits", dtype=torch.float64),
        OneVsAllCrossEntropy(),
    ),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("batch_size", [None, 7, 1])
@pytest.mark.parametrize("name", MODELS)
def test_every_step_is_the_same_step(name: str, batch_size: int | None, weighted: bool) -> None:
    make, loss = MODELS[name]
    found: list[tuple[Model, Any]] = []
    for by in ("hand", "fast", "autograd"):
        model = make()
        history = edunn.descend(
            model, loss, samples(weighted), rate=0.05, batch_size=batch_size, epochs=3, by=by, penalty=L2(0.01),
            validation=samples(),
        )  # fmt: skip
        found.append((model, history))
    for model, history in found[1:]:
        for p, q in zip(model.parameters(), found[0][0].parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)
        for row, same in zip(history.rows, found[0][1].rows, strict=True):
            assert row == pytest.approx(same, rel=1e-10)
    assert history.metric == "label_accuracy"


def test_a_stack_of_runs_is_each_run_alone() -> None:
    model, loss = LogisticRegression(4, outputs=3, dtype=torch.float64), OneVsAllCrossEntropy()
    base = Descent(model, loss, samples(), 0.1, 7, epochs=4, penalty=L2(0.01), validation=samples())
    changes: list[dict[str, Any]] = [{"rate": 0.1}, {"rate": 1.0}, {"strength": 0.3}, {"seed": 5}]
    together, alone = ([vary(base, **change) for change in changes] for _ in range(2))
    histories = train_together(together)
    for run, single, history in zip(together, alone, histories, strict=True):
        same = single.go("hand")
        torch.testing.assert_close(run.model.weight, single.model.weight, rtol=1e-11, atol=1e-13)
        for row, other in zip(history.rows, same.rows, strict=True):
            assert row == pytest.approx(other, rel=1e-11)


def test_labels_are_trained_apart() -> None:
    """A column of the weights is a two-class run of its own."""
    both = LogisticRegression(4, outputs=3, dtype=torch.float64)
    edunn.descend(both, OneVsAllCrossEntropy(), samples(), rate=0.3, epochs=40)
    y = samples().targets
    assert y is not None
    for k in range(3):
        one = LogisticRegression(4, dtype=torch.float64)
        edunn.descend(one, BinaryCrossEntropy(), Samples(samples().features, y[:, k]), rate=0.3, epochs=40)
        torch.testing.assert_close(both.weight[k], one.weight[0], rtol=1e-12, atol=1e-14)


def test_the_optimum_is_that_of_one_vs_rest() -> None:
    x, y = samples().features, samples().targets
    assert y is not None
    model = LogisticRegression(4, outputs=3, dtype=torch.float64)
    edunn.descend(
        model, OneVsAllCrossEntropy(), samples(), rate=1.0, epochs=1500, rule=Nesterov(), evaluate=0,
        penalty=L2(1 / N, half=True),
    )  # fmt: skip
    theirs = multiclass.OneVsRestClassifier(linear_model.LogisticRegression(tol=1e-12, max_iter=10_000))
    theirs.fit(x.numpy(), y.numpy())
    for k, one in enumerate(theirs.estimators_):
        found = np.r_[model.weight[k].detach().numpy(), model.bias[k].detach().numpy()]
        np.testing.assert_allclose(found, np.r_[one.coef_.ravel(), one.intercept_], rtol=0, atol=1e-6)
    decided = model.predict(x)
    np.testing.assert_array_equal(decided.numpy(), theirs.predict(x.numpy()))
    np.testing.assert_allclose(model.probabilities(x).numpy(), theirs.predict_proba(x.numpy()), atol=1e-6)
    # what they call the score is the share of samples with every label right
    assert ours.subset_accuracy(y, decided) == pytest.approx(theirs.score(x.numpy(), y.numpy()))
    assert float(model.score(x, y)) == pytest.approx(1 - metrics.hamming_loss(y.numpy(), decided.numpy()))


def test_hinges_have_the_optimum_of_one_vs_rest() -> None:
    x, y = samples().features, samples().targets
    assert y is not None
    model = LinearSVM(4, labels=3, dtype=torch.float64)
    edunn.descend(
        model, OneVsAllHinge(power=2), samples(), rate=0.1, epochs=3000, rule=Nesterov(), evaluate=0,
        penalty=L2(1 / N, half=True, bias=True),
    )  # fmt: skip
    one = svm.LinearSVC(loss="squared_hinge", tol=1e-12, max_iter=1_000_000)
    theirs = multiclass.OneVsRestClassifier(one).fit(x.numpy(), y.numpy())
    for k, one in enumerate(theirs.estimators_):
        found = np.r_[model.weight[k].detach().numpy(), model.bias[k].detach().numpy()]
        np.testing.assert_allclose(found, np.r_[one.coef_.ravel(), one.intercept_], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_certificates_and_surfaces(name: str) -> None:
    make, loss = MODELS[name]
    certificate = edunn.gradcheck.certify(make(), loss, samples(weighted=True))
    assert certificate.passed, str(certificate)
    model = make()
    surface = landscape.plane(model, loss, samples(weighted=True), a=(-1, 1, 21), b=(-1, 1, 21))
    direct = landscape.plane(
        model, loss, samples(weighted=True), a=(-1, 1, 21), b=(-1, 1, 21), method="direct"
    )  # fmt: skip
    torch.testing.assert_close(surface.values, direct.values, rtol=1e-9, atol=1e-12)


def test_equal_shifts_of_all_scores_count() -> None:
    """Cross-entropy does not see them; bits do, and the nodes of a surface must follow."""
    model = LogisticRegression(2, outputs=2, dtype=torch.float64)
    part = Samples(3 * draw(400, 2), (draw(400, 2, seed=1) > 0).double())
    ones = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    other = {name: draw(*p.shape, seed=2) for name, p in model.named_parameters()}
    loss = OneVsAllCrossEntropy()
    window = {"a": (-8, 8, 41), "b": (-0.1, 0.1, 3)}
    fine = landscape.plane(model, loss, part, ones, other, **window, method="spectral")
    direct = landscape.plane(model, loss, part, ones, other, **window, method="direct")
    assert float((fine.values - direct.values).abs().max() / direct.values.abs().max()) < 1e-9


def test_a_torch_net_predicts_bits() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    history = edunn.descend(net, OneVsAllCrossEntropy(), samples(), rate=0.5, epochs=30, by="autograd")
    assert history.metric == "label_accuracy"
    assert history["loss"][-1] < history["loss"][0]


def test_metrics_by_hand() -> None:
    y = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    p = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert ours.label_accuracies(y, p).tolist() == pytest.approx([2 / 3, 1 / 3, 1.0])
    assert ours.subset_accuracy(y, p) == pytest.approx(metrics.accuracy_score(y.numpy(), p.numpy()))
    assert ours.subset_accuracy(y, p, torch.tensor([1.0, 2.0, 1.0])) == pytest.approx(1 / 4)
    with pytest.raises(ShapeError, match="one shape"):
        ours.label_accuracies(y, p[:, 0])
    model = LogisticRegression(3, outputs=3, dtype=torch.float64)
    scores = 2.0 * p.double() - 1
    assert float(model.score_of(scores, y)) == pytest.approx(6 / 9)
    assert float(model.score_of(scores, y, torch.tensor([0.0, 1.0, 1.0]).double())) == pytest.approx(3 / 6)


def test_a_loss_of_one_score_names_the_remedy() -> None:
    with pytest.raises(ShapeError, match=r"OneVsAllCrossEntropy\(\)"):
        edunn.descend(LogisticRegression(4, outputs=3, dtype=torch.float64), BinaryCrossEntropy(), samples(), rate=0.1)


# ---- other rows of targets -------------------------------------------------------------------------------------------


def test_several_real_targets() -> None:
    x = draw(N, 3)
    y = x @ draw(3, 2, seed=1) + draw(N, 2, seed=2)
    model = LinearRegression(3, 2, dtype=torch.float64)
    history = edunn.descend(model, SquaredError(classes=True), (x, y), rate=0.1, epochs=500)
    theirs = linear_model.LinearRegression().fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(model.weight.detach().numpy(), theirs.coef_, atol=1e-6)
    assert history["r2"][-1] == pytest.approx(theirs.score(x.numpy(), y.numpy()), rel=1e-9)


def test_distributions_over_classes() -> None:
    x, q = draw(N, 3), torch.softmax(draw(N, 3, seed=1), -1)
    found = []
    for by in ("fast", "hand", "autograd"):
        model = SoftmaxClassifier(3, 3, dtype=torch.float64)
        history = edunn.descend(model, CrossEntropy(), (x, q), rate=0.1, epochs=5, batch_size=7, by=by)
        found.append(model.weight.detach())
        right = model.predict(x) == q.argmax(-1)
        assert history["accuracy"][-1] == pytest.approx(float(right.double().mean()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found[2], found[1], rtol=1e-12, atol=1e-14)


# ---- samples and tables ----------------------------------------------------------------------------------------------


def test_samples_of_what_people_have() -> None:
    x, y = samples().features.numpy(), samples().targets
    assert y is not None
    frame = pd.DataFrame(x, columns=list("abcd")).join(pd.DataFrame(y.numpy().astype(int), columns=list(LABELS)))
    frame["green"] = frame["green"].astype(bool)
    for found in (
        Samples(frame, list(LABELS)),
        Samples(frame[list("abcd")], frame[list(LABELS)]),
        Samples(x, y.numpy().astype(np.uint8), classes=LABELS),
        Samples(x, y.numpy().astype(bool).tolist(), classes=LABELS),
    ):
        assert found.is_multilabel
        assert not found.is_classification
        assert found.classes == LABELS
        assert found.targets is not None
        torch.testing.assert_close(found.targets, y)
    assert "3 labels: red, green, blue" in repr(samples())
    back = Samples(frame, list(LABELS)).to_pandas()
    assert list(back.columns) == [*"abcd", *LABELS]
    part = samples()[[3, 1]]
    assert part.targets is not None
    torch.testing.assert_close(part.targets, y[[3, 1]])


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (np.array([[0, 1], [2, 0]]), "got 2 at row 1, column 0"),
        (torch.tensor([[0, 1], [1, 0]]), r"targets.float\(\)"),
        (np.array([[0], [1]]), r"squeeze\(1\)"),
        (torch.zeros(3, 2), "2 samples, but 3 targets"),
    ],
    ids=["counts", "a whole tensor", "one column", "too many"],
)
def test_samples_refuse(targets: Any, said: str) -> None:
    with pytest.raises(EdunnError, match=said):
        Samples(torch.zeros(2, 2), targets)


def test_class_weights_are_for_one_class_a_sample() -> None:
    with pytest.raises(DataError, match="several targets"):
        samples().with_class_weight("balanced")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    part = samples()
    part.to_pandas().assign(w=draw(N, seed=5).abs().numpy()).rename(columns=str).to_csv(
        tmp_path / "tags.csv", index=False
    )
    return tmp_path / "tags.csv"


def test_a_table_of_several_targets(table: Path) -> None:
    found = data.load(table, target=list(LABELS), weight="w").train
    assert found.feature_names == ("x1", "x2", "x3", "x4")
    assert found.targets is not None
    assert samples().targets is not None
    torch.testing.assert_close(found.targets, samples().targets)
    torch.testing.assert_close(found.features, samples().features)
    assert found.sample_weight is not None
    few = data.read_multilabel(table, ("blue", "red"), features=("x2", "x1"))
    assert few.targets is not None
    torch.testing.assert_close(few.features, samples().features[:, [1, 0]])
    torch.testing.assert_close(few.targets, found.targets[:, [2, 0]])
    for target, said in ((["red", "grue"], "Did you mean 'green'"), (["red", "x1"], "columns of 0 and 1; got")):
        with pytest.raises(EdunnError, match=said):
            data.read_multilabel(table, target)
    with pytest.raises(ConfigError, match="two columns or more"):
        data.read_multilabel(table, ["red"])


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        ("logistic-regression", "one-vs-all-cross-entropy"),
        ("svm", "one-vs-all-hinge"),
        ("two-layer", "one-vs-all-cross-entropy"),
    ],
)
def test_from_config_to_prediction(
    table: Path, model: str, loss: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tags.toml").write_text(
        f'model = "{model}"\nloss = "{loss}"\n[data]\npath = "tags.csv"\ntarget = {json.dumps(LABELS)}\n'
        f'features = ["x1", "x2", "x3", "x4"]\nvalidation = 0.2\ntest = 0.2\n[train]\nrate = 0.1\nepochs = 30\n'
        f'batch_size = 8\n[run]\ndtype = "float64"\n'
    )
    out = tmp_path / "run"
    assert main(["train", str(tmp_path / "tags.toml"), "--out", str(out), "--json", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert 0.6 < summary["test_label_accuracy"] <= 1
    assert summary["test_subset_accuracy"] <= summary["test_label_accuracy"]
    run = experiment.load(out)
    assert run.classes == LABELS
    assert main(["predict", str(out), str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    y = samples().targets
    assert y is not None
    decided = run.model.decide(run.model(samples().features))
    assert found["predictions"][0] == [name for name, bit in zip(LABELS, decided[0], strict=True) if bit]
    assert found["label_accuracy"] == pytest.approx(float((decided == y).double().mean()))
    assert found["subset_accuracy"] == pytest.approx(float((decided == y).all(1).double().mean()))
    samples().to_pandas()[["x1", "x2", "x3", "x4"]].to_csv(tmp_path / "new.csv", index=False)
    assert main(["predict", str(out), str(tmp_path / "new.csv"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["predictions"] == found["predictions"]
    assert again["label_accuracy"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("loss=cross-entropy", "takes one target a sample"),
        ("loss=bce", "one-vs-all-cross-entropy"),
        ("model=softmax", "one prediction a sample"),
        ("model=linear-regression", "one prediction a sample"),
        ("model=neighbours", "one class a sample"),
    ],
)
def test_configs_that_do_not_fit(
    table: Path, change: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tags.toml").write_text(
        'model = "logistic-regression"\nloss = "one-vs-all-cross-entropy"\n[data]\npath = "tags.csv"\n'
        f"target = {json.dumps(LABELS)}\n"
    )
    out = tmp_path / "run"
    assert main(["train", str(tmp_path / "tags.toml"), "--out", str(out), "--set", change, "--quiet"]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


# ---- ignore_index ----------------------------------------------------------------------------------------------------


def ignoring(index: int) -> tuple[Tensor, Tensor]:
    y = torch.arange(N) % 3
    y[::4] = index
    return draw(N, 3), y


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("index", [-100, 255, 0, 2])
def test_ignore_index_equals_torch(index: int, smoothing: float) -> None:
    scores, y = ignoring(index)
    loss, options = CrossEntropy(smoothing, index), {"ignore_index": index, "label_smoothing": smoothing}
    torch.testing.assert_close(loss(scores, y), F.cross_entropy(scores, y, **options), rtol=1e-14, atol=0)
    at = scores.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(F.cross_entropy(at, y, **options), at)
    torch.testing.assert_close(loss.gradient(scores, y), slopes, rtol=1e-12, atol=1e-17)
    assert (loss.gradient(scores, y)[y == index] == 0).all()


def test_ignore_index_with_weights_of_classes_equals_torch() -> None:
    scores, y = ignoring(-100)
    each = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    weights = torch.where(y == -100, 7.0, each[y.clamp(min=0)])  # what an ignored sample would weigh is irrelevant
    theirs = F.cross_entropy(scores, y, each, ignore_index=-100)
    torch.testing.assert_close(CrossEntropy(ignore_index=-100)(scores, y, weights), theirs, rtol=1e-14, atol=0)


def test_arrays_may_mark_samples_without_a_label() -> None:
    x, y = ignoring(-100)
    part = Samples(x.numpy(), y.numpy())
    assert part.classes == ("0", "1", "2")
    model = SoftmaxClassifier(3, 3, dtype=torch.float64)
    history = edunn.descend(model, CrossEntropy(ignore_index=-100), part, rate=0.1, epochs=3)
    assert history["loss"][-1] == pytest.approx(float(F.cross_entropy(model(x), y).detach()), rel=1e-12)
    with pytest.raises(LabelError, match="got -100 at index 0"):
        edunn.descend(model, CrossEntropy(), part, rate=0.1)
    with pytest.raises(LabelError, match="got -1"):
        Samples(x.numpy(), np.full(N, -1))


def test_if_all_are_ignored_it_is_said() -> None:
    scores, loss = draw(4, 3), CrossEntropy(ignore_index=-100)
    with pytest.raises(LabelError, match="Every target is the ignore_index -100"):
        loss(scores, torch.full((4,), -100))
    with pytest.raises(DataError, match="All weights are 0"):  # of those that are left
        loss(scores, torch.tensor([-100, 1, -100, 2]), torch.tensor([1.0, 0.0, 1.0, 0.0]).double())
    with pytest.raises(LabelError, match="got 3 at index 1"):
        loss(scores, torch.tensor([-100, 3, 0, 0]))
    with pytest.raises(LabelError, match="Every target"):
        edunn.descend(SoftmaxClassifier(3, 3, dtype=torch.float64), loss, (scores, torch.full((4,), -100)), rate=0.1)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("by", ["fast", "hand", "autograd"])
@pytest.mark.parametrize("index", [-100, 1])
def test_a_run_that_ignores_is_a_run_without_those_samples(index: int, by: str, weighted: bool) -> None:
    x, y = ignoring(index)
    weights = draw(N, seed=7).abs() if weighted else None
    kept = y != index
    found = []
    for loss, part in (
        (CrossEntropy(ignore_index=index), Samples(x, y, sample_weight=weights)),
        (CrossEntropy(), Samples(x[kept], y[kept], sample_weight=None if weights is None else weights[kept])),
    ):
        model = SoftmaxClassifier(3, 3, dtype=torch.float64)
        history = edunn.descend(model, loss, part, rate=0.3, epochs=20, by=by, validation=part)
        found.append((model.weight.detach(), history.rows))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-11, atol=1e-13)
    for row, same in zip(found[0][1], found[1][1], strict=True):
        assert row == pytest.approx(same, rel=1e-11)


@pytest.mark.parametrize("by", ["fast", "hand", "autograd"])
def test_a_batch_of_ignored_samples_takes_no_step(by: str) -> None:
    x, y = ignoring(-100)
    history = edunn.descend(
        model := SoftmaxClassifier(3, 3, dtype=torch.float64), CrossEntropy(ignore_index=-100), (x, y), rate=0.1,
        batch_size=1, epochs=2, by=by, penalty=L2(0.1),
    )  # fmt: skip
    assert all(np.isfinite(history["running"]))
    assert model.weight.isfinite().all()


def test_surfaces_leave_out_what_is_ignored() -> None:
    x, y = ignoring(-100)
    kept, model = y != -100, SoftmaxClassifier(3, 3, dtype=torch.float64)
    window: dict[str, Any] = {"a": (-1, 1, 11), "b": (-1, 1, 11)}
    for method in ("direct", "spectral"):
        found = landscape.plane(model, CrossEntropy(ignore_index=-100), (x, y), **window, method=method)
        whole = landscape.plane(model, CrossEntropy(), (x[kept], y[kept]), **window, method=method)
        torch.testing.assert_close(found.values, whole.values, rtol=1e-9, atol=1e-12)
    first, _ = landscape.hessian(model, CrossEntropy(ignore_index=-100), (x, y))
    same, _ = landscape.hessian(model, CrossEntropy(), (x[kept], y[kept]))
    cosine = sum(float((first[name] * same[name]).sum()) for name in first)
    assert abs(cosine) == pytest.approx(1, rel=1e-6)


def test_a_config_may_ignore_a_class(tmp_path: Path) -> None:
    config = experiment.config.parse(
        {
            "data": {"name": "blobs"},
            "model": "softmax",
            "loss": {"kind": "cross-entropy", "ignore_index": 2},
            "train": {"epochs": 30, "rate": 0.5},
        }
    )
    run = experiment.train(config, tmp_path / "run")
    part = data.load("blobs").train
    assert part.targets is not None
    kept = part.targets != 2
    right = run.model.predict(part.features[kept]) == part.targets[kept]
    assert run.summary["train_accuracy"] == pytest.approx(float(right.double().mean()))
    assert run.history["accuracy"][-1] == pytest.approx(run.summary["train_accuracy"])


@pytest.mark.parametrize("given", [1.0, True, "a"], ids=repr)
def test_ignore_index_is_a_whole_number(given: Any) -> None:
    with pytest.raises(ConfigError, match="ignore_index"):
        CrossEntropy(ignore_index=given)
