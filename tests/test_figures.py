"""The figures show the numbers they were given, and leave everything else as it was."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from edunn import descent, figures, graph, landscape, losses, metrics, minimise, models, penalties
from edunn.data import TOYS, Samples, digits, shapes, split
from edunn.errors import ConfigError, DataError, LabelError, RunError, ShapeError
from edunn.features.hog import orientation_strengths
from edunn.features.patches import learn
from edunn.figures import style
from edunn.history import History

DOUBLE = {"dtype": torch.float64}


@pytest.fixture(scope="module")
def run() -> History:
    """Softmax on the digits with a penalty and a validation part."""
    train, validation = split(digits().train[:400], 0.25)
    model = models.SoftmaxClassifier(64, 10)
    return descent.descend(
        model, losses.CrossEntropy(), train, rate=0.5, batch_size=50, epochs=12, validation=validation,
        penalty=penalties.L2(1e-2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def diverged() -> History:
    """The lecture's run at rate 0.1, which ends at the largest floats."""
    model = models.LinearRegression(1, **DOUBLE)
    history = descent.descend(model, losses.SquaredError(), TOYS["lecture-line"](), rate=0.1, epochs=1000)
    assert history.status == "diverged"
    return history


@pytest.fixture(scope="module")
def converging() -> History:
    model = models.LinearRegression(1, **DOUBLE)
    return descent.descend(model, losses.SquaredError(), TOYS["lecture-line"](), rate=0.01, epochs=20)


def trained(name: str) -> tuple[models.LinearModel, Samples]:
    """A model of two features and the samples it was trained on."""
    if name.startswith("blobs"):
        classes = int(name.removeprefix("blobs-"))
        samples = TOYS["blobs"](samples=100, classes=classes)
        model: models.LinearModel = models.SoftmaxClassifier(2, classes, **DOUBLE)
        loss: losses.Loss = losses.CrossEntropy()
    elif name == "multiclass-svm":
        samples = TOYS["blobs"](samples=100, classes=3)
        model, loss = models.LinearSVM(2, 3, **DOUBLE), losses.MulticlassHinge()
    elif name == "signs":
        samples = TOYS["moons"](samples=100)
        samples = replace(samples, targets=2 * samples.targets - 1)
        model, loss = models.LinearSVM(2, **DOUBLE), losses.Hinge()
    else:
        samples = TOYS["moons"](samples=100)
        model, loss = models.LogisticRegression(2, **DOUBLE), losses.BinaryCrossEntropy()
    descent.descend(model, loss, samples, rate=0.3, epochs=100)
    return model, samples


def curves(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The drawn lines by the start of their label, up to the colon."""
    lines = {str(line.get_label()).split(":")[0]: line for line in axes.lines}
    return {label: (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for label, line in lines.items()}


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def draw(axes: Axes) -> None:
    """Renders the figure: what matplotlib only notices while it draws would be an error."""
    axes.figure.canvas.draw()


# Losses and accuracy over the epochs


def test_loss_curves_hold_the_historys_numbers(run: History) -> None:
    axes = figures.loss_curves(run)
    draw(axes)
    lines = curves(axes)
    columns = {
        "batches as they were met": "running",
        "training, with penalty": "total",
        "training, data only": "loss",
        "validation": "validation_loss",
    }
    for label, column in columns.items():
        np.testing.assert_array_equal(lines[label][0], run["epoch"])
        np.testing.assert_array_equal(lines[label][1], run[column])
    ring = lines["lowest validation loss"]
    assert (*ring[0], *ring[1]) == (run.best_epoch, min(run["validation_loss"]))
    assert axes.get_xlabel() == "epoch"


def test_without_a_penalty_there_is_one_training_curve(converging: History) -> None:
    lines = curves(figures.loss_curves(converging))
    assert set(lines) == {"batches as they were met", "training"}
    np.testing.assert_array_equal(lines["training"][1], converging["loss"])


def test_loss_curves_of_one_column(run: History) -> None:
    lines = curves(figures.loss_curves(run, column="penalty", log=False))
    assert set(lines) == {"penalty"}
    np.testing.assert_array_equal(lines["penalty"][1], run["penalty"])
    with pytest.raises(ConfigError, match=r"no column 'penalti'\. Did you mean 'penalty'\?"):
        figures.loss_curves(run, column="penalti")


def test_several_runs_have_a_colour_each(run: History) -> None:
    axes = figures.loss_curves({"one": run, "_two $": run})
    draw(axes)
    np.testing.assert_array_equal(curves(axes)["one"][1], run["total"])
    assert [text.strip("\u200a").split(":")[0] for text in legend(axes)] == ["one", r"_two \$", "solid", "dashed"]
    solid = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    assert len({line.get_color() for line in solid}) == 2


def test_accuracy_curves_hold_the_historys_numbers(run: History, converging: History) -> None:
    axes = figures.accuracy_curves(run)
    draw(axes)
    np.testing.assert_array_equal(curves(axes)["training"][1], run["accuracy"])
    np.testing.assert_array_equal(curves(axes)["validation"][1], run["validation_accuracy"])
    axes = figures.accuracy_curves({"slow": converging, "same": converging})
    np.testing.assert_array_equal(curves(axes)["slow"][1], converging["r2"])
    with pytest.raises(ConfigError, match="several metrics: accuracy, r2"):
        figures.accuracy_curves({"a": run, "b": converging})


@pytest.mark.parametrize("log", [None, True, False], ids=["auto", "log", "linear"])
def test_a_diverged_run_can_be_drawn(diverged: History, converging: History, log: bool | None) -> None:
    axes = figures.loss_curves(diverged, log=log)
    draw(axes)
    assert "0.02919" in axes.get_title(loc="left").replace("\n", " ")  # the lecture's largest stable rate
    drawn = curves(axes)["training"][1]
    finite = np.isfinite(diverged["loss"])
    np.testing.assert_array_equal(drawn[finite], np.array(diverged["loss"])[finite])
    assert np.isnan(drawn[~finite]).all()
    assert axes.get_yscale() == ("linear" if log is False else "log")
    draw(figures.loss_curves({"wild": diverged, "calm": converging}, log=log))


def test_a_diverging_run_leaves_the_others_visible(diverged: History, converging: History) -> None:
    axes = figures.loss_curves({"wild": diverged, "calm": converging})
    assert axes.get_ylim()[1] < 1e6
    assert legend(axes)[0] == f"wild: diverged in epoch {diverged.epochs}"


def test_r2_of_a_diverged_run(diverged: History) -> None:
    axes = figures.accuracy_curves(diverged)
    draw(axes)
    assert -1.5 < axes.get_ylim()[0] < -1
    assert "below −1 after every epoch" in axes.texts[0].get_text()


def test_histories_of_one_epoch_and_of_none(run: History) -> None:
    for figure in (figures.loss_curves, figures.accuracy_curves):
        axes = figure(replace(run, rows=run.rows[:1], best_epoch=1))
        draw(axes)
        assert axes.get_xticks().tolist() == [1]
        axes = figure(replace(run, rows=(), status="interrupted", best_epoch=None))
        draw(axes)
        assert axes.texts[0].get_text() == "no epoch was finished"
        nan = ({"epoch": 1, "running": math.nan, "loss": math.inf, "accuracy": math.nan},)
        axes = figure(replace(run, rows=nan, status="diverged", best_epoch=None))
        draw(axes)
        assert axes.texts[0].get_text() == "no finite value to draw"
    with pytest.raises(ConfigError, match="at least one history"):
        figures.loss_curves({})


def test_evaluated_at_the_end_only(converging: History) -> None:
    rows = tuple({k: row[k] for k in ("epoch", "running")} for row in converging.rows[:-1]) + converging.rows[-1:]
    sparse = replace(converging, rows=rows)
    axes = figures.loss_curves(sparse)
    assert curves(axes)["training"][0].tolist() == [20]
    assert len(curves(axes)["batches as they were met"][0]) == 20
    lines = curves(figures.loss_curves({"a": sparse, "b": sparse}))
    np.testing.assert_array_equal(lines["a"][1], sparse["running"])


# The fitted line


def test_fitted_line_and_its_equation() -> None:
    samples = TOYS["lecture-line"]()
    model = models.LinearRegression(1, **DOUBLE)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(-3.5)
    axes = figures.fitted_line(model, samples)
    draw(axes)
    x, y = curves(axes)["y = 2 · x − 3.5"]
    np.testing.assert_allclose(y, 2 * x - 3.5, rtol=1e-14)
    points = axes.collections[0].get_offsets()
    np.testing.assert_array_equal(points, np.stack([samples.features[:, 0], samples.targets], 1))
    residuals = next(c for c in axes.collections if c.get_label() == "residuals").get_segments()
    np.testing.assert_allclose([s[0, 1] for s in residuals], 2 * samples.features[:, 0] - 3.5, rtol=1e-14)
    np.testing.assert_array_equal([s[1, 1] for s in residuals], samples.targets)


def test_a_net_of_one_feature_is_drawn_as_a_curve() -> None:
    x = torch.linspace(-2, 2, 40, dtype=torch.float64)
    model = models.TwoLayerNet(1, 1, hidden=8, activation="tanh", predicts="real", **DOUBLE)
    axes = figures.fitted_line(model, Samples(x.unsqueeze(1), x**2))
    (curve,) = axes.lines
    assert curve.get_label() == "prediction"
    drawn = torch.as_tensor(np.asarray(curve.get_xdata()))
    torch.testing.assert_close(torch.as_tensor(np.asarray(curve.get_ydata())), model.predict(drawn.unsqueeze(1)))
    assert axes.get_title(loc="left").startswith("The fitted curve: R² = ")


def test_fitted_line_in_the_samples_own_units() -> None:
    samples = TOYS["lecture-line"]()
    model = models.LinearRegression(1, **DOUBLE)
    with torch.no_grad():
        model.weight.fill_(6.0)
    axes = figures.fitted_line(model, samples, standardise=lambda x: (x - 5) / 3)  # 6 (x − 5) / 3 = 2 x − 10
    assert "y = 2 · x − 10" in legend(axes)


@pytest.mark.parametrize("signs", [False, True], ids=["logistic", "svm"])
def test_fitted_line_of_a_classifier(signs: bool) -> None:
    samples = TOYS["random-binary"]()
    model: models.LinearModel = models.LogisticRegression(1, **DOUBLE)
    if signs:
        samples = replace(samples, targets=2 * samples.targets - 1, classes=None)
        model = models.LinearSVM(1, **DOUBLE)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(-1.0)
    axes = figures.fitted_line(model, samples)
    draw(axes)
    assert "threshold: 0.5" in legend(axes)
    x, y = curves(axes)["score (above 0" if signs else "P(class = 1)"]
    np.testing.assert_allclose(y, 2 * x - 1 if signs else 1 / (1 + np.exp(1 - 2 * x)), rtol=1e-13, atol=1e-14)
    counts = [len(c.get_offsets()) for c in axes.collections]
    assert counts == [(samples.targets <= 0).sum(), (samples.targets > 0).sum()]


def test_fitted_line_with_weights_that_are_not_finite() -> None:
    for model, samples in (
        (models.LinearRegression(1, **DOUBLE), TOYS["line"]()),
        (models.LogisticRegression(1, **DOUBLE), TOYS["random-binary"]()),
    ):
        torch.nn.init.constant_(model.weight, math.nan)
        axes = figures.fitted_line(model, samples)
        draw(axes)
        assert "not finite" in axes.get_title(loc="left")
        assert not axes.lines


def test_fitted_line_refuses_what_it_cannot_draw() -> None:
    line = TOYS["line"]()
    with pytest.raises(ShapeError, match=r"samples of 1 feature, \(samples, 1\); got \(200, 2\)"):
        figures.fitted_line(models.LogisticRegression(2, **DOUBLE), TOYS["moons"](samples=200))
    with pytest.raises(ShapeError, match="one output"):
        figures.fitted_line(models.LinearRegression(1, 2, **DOUBLE), line)
    with pytest.raises(DataError, match="targets to draw"):
        figures.fitted_line(models.LinearRegression(1, **DOUBLE), replace(line, targets=None))


# Decision regions


def grid_of(axes: Axes, resolution: int) -> Tensor:
    """The points at the centres of the drawn pixels, (resolution², 2)."""
    left, right, bottom, top = axes.images[0].get_extent()
    steps = (np.arange(resolution) + 0.5) / resolution
    x, y = np.meshgrid(left + steps * (right - left), bottom + steps * (top - bottom))
    return torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1))


@pytest.mark.parametrize("name", ["blobs-3", "blobs-10", "multiclass-svm"])
def test_regions_are_what_the_model_predicts(name: str) -> None:
    model, samples = trained(name)
    axes = figures.decision_regions(model, samples, resolution=41)
    draw(axes)
    drawn = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(drawn.ravel(), model.predict(grid_of(axes, 41)))
    assert len(axes.images[0].cmap.colors) == len(samples.classes)


@pytest.mark.parametrize("name", ["moons", "blobs-2", "signs"])
def test_two_classes_are_shaded(name: str) -> None:
    model, samples = trained(name)
    axes = figures.decision_regions(model, samples, resolution=41)
    draw(axes)
    grid, drawn = grid_of(axes, 41), np.asarray(axes.images[0].get_array()).ravel()
    if name == "signs":
        np.testing.assert_allclose(drawn, model(grid).detach(), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(np.where(drawn >= 0, 1, -1), model.predict(grid))
        assert "scores −1, +1: margins" in legend(axes)
    else:
        probabilities = model.probabilities(grid)
        expected = probabilities if probabilities.ndim == 1 else probabilities[:, 1]
        np.testing.assert_allclose(drawn, expected, rtol=1e-11)
        np.testing.assert_array_equal(drawn > 0.5, model.predict(grid))
    low, high = axes.images[0].get_clim()
    assert (low + high) / 2 == (0 if name == "signs" else 0.5)  # the palest colour is at the boundary


@pytest.mark.parametrize("name", ["moons", "signs", "blobs-10"])
def test_points_have_their_true_class_and_wrong_ones_a_cross(name: str) -> None:
    model, samples = trained(name)
    axes = figures.decision_regions(model, samples, resolution=20)
    wrong = model.predict(samples.features) != samples.targets
    scattered = {c.get_label(): np.asarray(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1}
    values = (-1, 1) if name == "signs" else range(len(samples.classes))
    for value, label in zip(values, samples.classes, strict=True):
        own = samples.features[samples.targets == value]
        np.testing.assert_array_equal(scattered[f"{label} ({len(own)})"], own)
    np.testing.assert_array_equal(scattered[f"wrong: {wrong.sum()}"], samples.features[wrong])
    assert f"{(~wrong).sum()} of {len(samples)} right" in axes.get_title(loc="left")


def test_regions_in_the_samples_own_units() -> None:
    model, samples = trained("blobs-3")
    moved = replace(samples, features=samples.features * 100 + 7)
    axes = figures.decision_regions(model, moved, standardise=lambda x: (x - 7) / 100, resolution=30)
    drawn = np.asarray(axes.images[0].get_array()).ravel()
    np.testing.assert_array_equal(drawn, model.predict((grid_of(axes, 30) - 7) / 100))


class NearestCorner:
    """A model without scores, weights or probabilities: only `predict`."""

    def predict(self, features: Tensor) -> Tensor:
        return (features[:, 0] > 0).long() + 2 * (features[:, 1] > 0).long()


def test_regions_of_anything_that_predicts() -> None:
    features = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    axes = figures.decision_regions(NearestCorner(), Samples(features, torch.tensor([0, 1, 2, 0])), resolution=20)
    draw(axes)
    assert "3 of 4 right" in axes.get_title(loc="left")
    assert legend(axes)[-1] == "wrong: 1"


def test_regions_without_targets_and_with_weights_that_are_not_finite() -> None:
    model, samples = trained("blobs-3")
    axes = figures.decision_regions(model, replace(samples, targets=None), resolution=20)
    draw(axes)
    assert legend(axes) == ["samples (class unknown)"]
    torch.nn.init.constant_(model.weight, math.inf)
    axes = figures.decision_regions(model, samples, resolution=20)
    draw(axes)
    assert not axes.images
    assert "not finite" in axes.get_title(loc="left")


def test_regions_refuse_labels_that_cannot_match() -> None:
    model, samples = trained("signs")
    with pytest.raises(LabelError, match="hold both −1 and 0"):
        figures.decision_regions(model, TOYS["moons"](samples=100))
    with pytest.raises(LabelError, match="A regression is drawn by fitted_line"):
        figures.decision_regions(models.LinearRegression(2, **DOUBLE), replace(samples, classes=None,
                                 targets=samples.features[:, 0]))  # fmt: skip
    with pytest.raises(ShapeError, match=r"\(samples, 2\); got \(100, 1\)"):
        figures.decision_regions(model, TOYS["line"]())


# The confusion matrix


@pytest.mark.parametrize("classes", [2, 10, 15])
def test_confusion_matrix_texts_are_the_counts(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets, predictions = torch.randint(classes, (2, 400), generator=generator)
    counts = metrics.confusion_counts(targets, predictions, classes).numpy()
    axes = figures.confusion_matrix(counts)
    draw(axes)
    texts = np.array([text.get_text() for text in axes.texts]).reshape(classes, classes)
    for row, column in np.ndindex(classes, classes):
        count, *share = texts[row, column].split("\n")
        assert int(count) == counts[row, column]
        if share:
            assert share == [f"{100 * counts[row, column] / counts[row].sum():.0f} %"]
    assert ("\n" in texts[0, 0]) == (classes <= 12)
    np.testing.assert_allclose(axes.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    assert f"{counts.trace()} of 400 right" in axes.get_title(loc="left")


def test_confusion_matrix_of_signs_and_names() -> None:
    targets, predictions = torch.tensor([-1, -1, 1.0]), torch.tensor([-1, 1, 1])
    counts = metrics.confusion_counts(targets, predictions, (-1, 1))
    axes = figures.confusion_matrix(counts, ("−1", "+1"))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["−1", "+1"]
    assert [text.get_text() for text in axes.texts] == ["1\n50 %", "1\n50 %", "0", "1\n100 %"]
    axes = figures.confusion_matrix(counts, ("a name that is far too long for a tick and $ goes on", "b"))
    draw(axes)
    assert max(len(line) for tick in axes.get_yticklabels() for line in tick.get_text().split("\n")) < 30
    with pytest.raises(LabelError, match="3 names for 2 classes"):
        figures.confusion_matrix(counts, ("a", "b", "c"))
    with pytest.raises(ShapeError, match=r"have \(2, 3\)"):
        figures.confusion_matrix(torch.zeros(2, 3))
    assert "0 of 0 right (–)" in figures.confusion_matrix(torch.zeros(2, 2)).get_title(loc="left")


# Images


def test_templates_are_the_weights() -> None:
    weight = torch.randn(10, 64, generator=torch.Generator().manual_seed(0))
    axes = figures.templates(weight, (8, 8), digits().train.classes)
    draw(axes)
    assert len(axes.images) == 10
    for image, row in zip(axes.images, weight, strict=True):
        np.testing.assert_array_equal(image.get_array(), row.reshape(8, 8).double())
        assert image.get_clim() == (-weight.abs().max(), weight.abs().max())  # one scale, zero in its middle
    assert [text.get_text() for text in axes.texts] == [str(digit) for digit in range(10)]


def test_colour_templates_lie_around_mid_grey() -> None:
    weight = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    axes = figures.templates(weight, (2, 2, 3))
    draw(axes)
    for image, row in zip(axes.images, weight.double(), strict=True):
        expected = 0.5 + row / (2 * row.abs().max().clamp(min=1e-300))
        np.testing.assert_allclose(image.get_array(), expected.reshape(2, 2, 3), rtol=1e-12)


def test_templates_of_one_output_and_of_a_diverged_model() -> None:
    axes = figures.templates(torch.randn(1, 64), (8, 8, 1), ("small", "large"))
    assert axes.texts[0].get_text() == "large against small"
    for shape in ((4, 4), (2, 2, 3)):
        draw(figures.templates(torch.full((2, math.prod(shape)), math.nan), shape))
        draw(figures.templates(torch.zeros(2, math.prod(shape)), shape))
    with pytest.raises(ShapeError, match=r"\(outputs, 64\) for images of shape \(8, 8\); got \(10, 65\)"):
        figures.templates(torch.zeros(10, 65), (8, 8))


def test_image_grid() -> None:
    samples = shapes(12)
    axes = figures.image_grid(samples.features, [samples.classes[label] for label in samples.targets], columns=4)
    draw(axes)
    np.testing.assert_allclose(axes.images[5].get_array(), samples.features[5] / 255)
    assert (
        axes.images[5].get_extent()[:2] == axes.images[1].get_extent()[:2]
    )  # in four columns it lies under the second
    part = digits().train.features[:3]
    axes = figures.image_grid(part, shape=(8, 8))
    np.testing.assert_array_equal(axes.images[2].get_array(), part[2].reshape(8, 8))
    with pytest.raises(ShapeError, match="Rows of features need shape"):
        figures.image_grid(part)
    with pytest.raises(ShapeError, match="1 titles for 3 images"):
        figures.image_grid(part, ["one"], shape=(8, 8))


# What all of them have in common


def line_model() -> tuple[models.LinearModel, Samples]:
    return models.LinearRegression(1, **DOUBLE), TOYS["line"]()


def bowl() -> landscape.Surface:
    """A small surface: squared error on ten points of a line."""
    x = torch.linspace(-1, 1, 10).double()
    return landscape.grid(x, 2 * x + 1, losses.SquaredError(), w=(-4, 4, 17), b=(-4, 4, 15))


EVERY: dict[str, Callable[[Axes | None, History], Axes]] = {
    "loss_curves": lambda ax, run: figures.loss_curves(run, ax=ax),
    "accuracy_curves": lambda ax, run: figures.accuracy_curves(run, ax=ax),
    "fitted_line": lambda ax, run: figures.fitted_line(*line_model(), ax=ax),
    "decision_regions": lambda ax, run: figures.decision_regions(*trained("moons"), ax=ax),
    "confusion_matrix": lambda ax, run: figures.confusion_matrix(torch.eye(3), ax=ax),
    "templates": lambda ax, run: figures.templates(torch.eye(5, 16), (4, 4), ax=ax),
    "image_grid": lambda ax, run: figures.image_grid(torch.rand(5, 4, 4), list("abcde"), ax=ax),
    "computation_graph": lambda ax, run: figures.computation_graph(
        graph.build("(2*a+b)*(c-d)", a=3, b=4, c=5, d=6), ax=ax
    ),
    "step_study": lambda ax, run: figures.step_study(minimise.step_study("x**3", {"x": 1.0}), ax=ax),
    "descent_path": lambda ax, run: figures.descent_path(
        minimise.minimise("x**2 + y**2", {"x": 1.0, "y": 1.0}), graph.parse("x**2 + y**2"), ax=ax
    ),
    "contour": lambda ax, run: figures.contour(bowl(), ax=ax),
    "cuts": lambda ax, run: figures.cuts(bowl(), ax=ax, at=(0.0,)),
    "gradient_field": lambda ax, run: figures.gradient_field(bowl(), ax=ax),
    "basin_map": lambda ax, run: figures.basin_map(bowl(), bowl().basins(rate=0.1, steps=50), ax=ax),
    "hog_glyphs": lambda ax, run: figures.hog_glyphs(
        shapes(12).features[0], orientation_strengths(shapes(12).features[0]), ax=ax
    ),
    "patch_dictionary": lambda ax, run: figures.patch_dictionary(learn(shapes(12).features, 6, patches=60), ax=ax),
    "strength_curves": lambda ax, run: figures.strength_curves([0, 0.01, 1], [0.9, 0.8, 0.7], [0.5, 0.6, 0.4], ax=ax),
    "loss_against_score": lambda ax, run: figures.loss_against_score({"softmax": losses.CrossEntropy()}, ax=ax),
    "rate_range": lambda ax, run: figures.rate_range(
        SimpleNamespace(
            rates=(0.1, 1.0), losses=(2.0, 1.0), smooth=(2.0, 1.5), best=1.0, suggestion=0.1, stable_rate=None
        ),
        ax=ax,
    ),
    "sweep_map": lambda ax, run: figures.sweep_map(
        {"train.rate": [0.1, 1.0]}, [({"train.rate": 0.1}, 0.5), ({"train.rate": 1.0}, 0.7)], ax=ax
    ),
}


def test_every_figure_is_in_the_table() -> None:
    # surface_3d wants 3-D axes, and comparison and report_figures make several: tests/test_landscape_cli.py
    assert {*EVERY, "save", "surface_3d", "comparison", "report_figures"} == set(figures.__all__)


@pytest.fixture
def untouched() -> Iterator[None]:
    """rcParams as they were, and no pyplot figure left open."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("untouched")
def test_on_a_figure_of_its_own(name: str, run: History, tmp_path: Path) -> None:
    axes = EVERY[name](None, run)
    assert isinstance(axes, Axes)
    assert axes._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    figures.save(axes, tmp_path / "figure.png")
    figure = weakref.ref(axes.figure)
    del axes
    gc.collect()
    assert figure() is None  # nobody else holds it


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("untouched")
def test_on_given_axes(name: str, run: History) -> None:
    whole = Figure(figsize=(8, 4), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert EVERY[name](right, run) is right
    whole.canvas.draw()
    assert not left.lines
    assert not left.images
    assert right.lines or right.images or right.collections


def test_no_window_and_no_pyplot() -> None:
    code = (
        "import sys, torch\nfrom edunn import figures\nfigures.confusion_matrix([[0, 1], [0, 1]])._repr_png_()\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


# Saving


@pytest.mark.parametrize("suffix", ["png", "svg", "PDF"])
@pytest.mark.usefixtures("untouched")
def test_save_writes_the_same_bytes_twice(suffix: str, tmp_path: Path) -> None:
    first, second = (
        figures.save(figures.confusion_matrix([[0, 1], [0, 1]]), tmp_path / f"{name}.{suffix}") for name in "ab"
    )
    start = {"png": b"\x89PNG", "svg": b"<?xml", "PDF": b"%PDF"}[suffix]
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{suffix}", f"b.{suffix}"]


def test_save_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    axes = figures.confusion_matrix([[0, 1], [0, 1]])

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        figures.save(axes.figure, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]


def test_save_refuses_paths_it_cannot_write(tmp_path: Path) -> None:
    axes = figures.confusion_matrix([[0, 1], [0, 1]])
    with pytest.raises(ConfigError, match=r"ends in \.png, \.svg, \.pdf; got 'figure.jpg'"):
        figures.save(axes, tmp_path / "figure.jpg")
    with pytest.raises(ConfigError, match="Make it first"):
        figures.save(axes, tmp_path / "nowhere" / "figure.png")


# Style


def test_class_colours() -> None:
    colours = style.class_colours(21)
    assert len(set(colours)) == 21
    assert all(0 <= part <= 1 for colour in colours for part in colour)
    assert style.class_colours(3) == colours[:3]


def test_names_are_shown_as_they_are() -> None:
    assert style.escape("cost in $") == r"cost in \$"
    assert style.shorten("a rather long name", 8) == "a…"
    assert style.shorten("a rather long name", 8, lines=3) == "a rather\nlong\nname"
    assert style.shorten("", 8) == ""
    assert style.number(-0.00125) == "−0.00125"
    assert style.number(float("inf")) == "not finite"
