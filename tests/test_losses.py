"""Every loss, with every option that changes its formula, in ONE table, held to ONE table of behaviours.

A new loss is one line in `CASES`. Below the behaviours: hand values (the lectures' own figures), the losses of torch
and scikit-learn with the same convention, and what each loss refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edunn import differences, losses
from edunn.activations import ReLU, Sigmoid, Softmax, Step, Tanh
from edunn.errors import ConfigError, DataError, DtypeError, EdunnError, GradientError, LabelError, ShapeError
from edunn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Logistic,
    Loss,
    MulticlassHinge,
    OneVsAllCrossEntropy,
    OneVsAllHinge,
    Perceptron,
    SquaredError,
    ZeroOne,
)
from edunn.losses.loops import multiclass_hinge_by_loops
from edunn.models import LinearSVM

CLASSES = 5
EXACT = {"rtol": 1e-12, "atol": 1e-14}  # two float64 evaluations of one formula, summed in another order


def float64(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reals(shape: tuple[int, ...], seed: int) -> Tensor:
    """Multiples of ¼, so that kinks (at sums of scores, targets and margins) lie on multiples of ¼ too."""
    return (8 * torch.randn(shape, generator=generator(seed), dtype=torch.float64)).round() / 4


def bits(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator(seed))


def signs(shape: tuple[int, ...], seed: int) -> Tensor:
    return 2 * bits(shape, seed) - 1


def probabilities(shape: tuple[int, ...], seed: int) -> Tensor:
    return 0.05 + 0.9 * torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def indices(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randint(0, CLASSES, shape, generator=generator(seed))


def distributions(shape: tuple[int, ...], seed: int) -> Tensor:
    rows = torch.rand(*shape, CLASSES, generator=generator(seed), dtype=torch.float64) + 0.05
    return rows / rows.sum(-1, keepdim=True)


def real_rows(shape: tuple[int, ...], seed: int) -> Tensor:
    return reals((*shape, CLASSES), seed)


def bit_rows(shape: tuple[int, ...], seed: int) -> Tensor:
    return bits((*shape, CLASSES), seed).double()


def probability_rows(shape: tuple[int, ...], seed: int) -> Tensor:
    return probabilities((*shape, CLASSES), seed)


def one_hot(targets: Tensor) -> Tensor:
    return F.one_hot(targets, CLASSES).double()


def far(targets: Tensor, size: float = 1e4) -> Tensor:
    """A score of `size` for the true class, 0 for the others."""
    return size * one_hot(targets)


@dataclass(frozen=True)
class Case:
    """A loss with its options, how targets of its domain are drawn, and the scores that are best for targets."""

    loss: Loss
    targets: Callable[[tuple[int, ...], int], Tensor]
    best: Callable[[Tensor], Tensor] | None = None


CASES = {
    "squared": Case(SquaredError(), reals, lambda y: y),
    "squared, half": Case(SquaredError(half=True), reals, lambda y: y),
    "squared, bits": Case(SquaredError(), bits, lambda y: y.double()),
    "squared, through sigmoid": Case(SquaredError(through=Sigmoid()), bits, lambda y: 1e4 * (2.0 * y - 1)),
    "squared, through sigmoid, half": Case(SquaredError(half=True, through=Sigmoid()), probabilities, torch.logit),
    "squared, through tanh": Case(SquaredError(through=Tanh()), probabilities, torch.atanh),
    "squared, through relu": Case(SquaredError(through=ReLU()), bits, lambda y: y.double()),
    "squared, classes": Case(SquaredError(classes=True), indices, one_hot),
    "squared, classes, half, rows": Case(SquaredError(half=True, classes=True), real_rows, lambda y: y),
    "squared, classes, through sigmoid": Case(
        SquaredError(classes=True, through=Sigmoid()), indices, lambda y: 1e4 * (2 * one_hot(y) - 1)
    ),
    "squared, classes, through softmax": Case(SquaredError(classes=True, through=Softmax()), indices, far),
    "squared, classes, half, through softmax, rows": Case(
        SquaredError(half=True, classes=True, through=Softmax()), distributions, torch.log
    ),
    "absolute": Case(AbsoluteError(), reals, lambda y: y),
    "huber": Case(Huber(), reals, lambda y: y),
    "huber, delta 0.75": Case(Huber(delta=0.75), reals, lambda y: y),
    "binary cross-entropy": Case(BinaryCrossEntropy(), bits, lambda y: 1e4 * (2.0 * y - 1)),
    "binary cross-entropy, probabilities": Case(BinaryCrossEntropy(), probabilities, torch.logit),
    "one-vs-all cross-entropy": Case(OneVsAllCrossEntropy(), indices, lambda y: 1e4 * (2 * one_hot(y) - 1)),
    "one-vs-all cross-entropy, rows": Case(OneVsAllCrossEntropy(), probability_rows, torch.logit),
    "logistic": Case(Logistic(), signs, lambda y: 1e4 * y.double()),
    "hinge": Case(Hinge(), signs, lambda y: 1.25 * y.double()),
    "hinge, margin 2.5": Case(Hinge(margin=2.5), signs, lambda y: 2.75 * y.double()),
    "hinge, margin 0": Case(Hinge(margin=0.0), signs, lambda y: 0.25 * y.double()),
    "squared hinge": Case(Hinge(power=2), signs, lambda y: y.double()),
    "squared hinge, margin 0.5": Case(Hinge(margin=0.5, power=2), signs, lambda y: 0.5 * y.double()),
    "perceptron": Case(Perceptron(), signs, lambda y: 0.25 * y.double()),
    "zero-one": Case(ZeroOne(), signs, lambda y: 0.25 * y.double()),
    "cross-entropy": Case(CrossEntropy(), indices, far),
    "cross-entropy, distributions": Case(CrossEntropy(), distributions, torch.log),
    "cross-entropy, smoothed": Case(
        CrossEntropy(label_smoothing=0.1), indices, lambda y: torch.log(0.9 * one_hot(y) + 0.1 / CLASSES)
    ),
    "cross-entropy, smoothed distributions": Case(
        CrossEntropy(label_smoothing=0.25), distributions, lambda q: torch.log(0.75 * q + 0.25 / CLASSES)
    ),
    "multiclass hinge": Case(MulticlassHinge(), indices, lambda y: far(y, 1.25)),
    "multiclass hinge, margin 100": Case(MulticlassHinge(margin=100.0), indices, lambda y: far(y, 100.25)),
    "multiclass hinge, include true": Case(MulticlassHinge(include_true=True), indices, lambda y: far(y, 1.25)),
    "multiclass hinge, over others": Case(MulticlassHinge(over="others"), indices, lambda y: far(y, 1.25)),
    "multiclass hinge, over classes": Case(
        MulticlassHinge(margin=2.0, over="classes"), indices, lambda y: far(y, 2.25)
    ),
    "one-vs-all hinge": Case(OneVsAllHinge(), indices, lambda y: 2.5 * one_hot(y) - 1.25),
    "one-vs-all hinge, rows": Case(OneVsAllHinge(), bit_rows, lambda y: 2.5 * y - 1.25),
    "squared one-vs-all hinge, margin 0.5": Case(
        OneVsAllHinge(margin=0.5, power=2), indices, lambda y: one_hot(y) - 0.5
    ),
    "squared multiclass hinge": Case(MulticlassHinge(power=2), indices, lambda y: far(y, 1.0)),
    "squared multiclass hinge, include true, over classes": Case(
        MulticlassHinge(margin=1.5, power=2, include_true=True, over="classes"), indices, lambda y: far(y, 1.5)
    ),
}


def table(keep: Callable[[Case], bool] = lambda case: True) -> pytest.MarkDecorator:
    """The cases of the table as a parametrisation, with their names as ids."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=name) for name, c in CASES.items() if keep(c)])


def differentiable(case: Case) -> bool:
    return not isinstance(case.loss, ZeroOne)


def smooth(case: Case) -> bool:
    return case.loss.smooth


def over_classes(case: Case) -> bool:
    return case.loss.class_axis


def draw_scores(case: Case, shape: tuple[int, ...], seed: int) -> Tensor:
    tail = (CLASSES,) if case.loss.class_axis else ()
    return 2 * torch.randn(*shape, *tail, generator=generator(seed), dtype=torch.float64)


def away_from_kinks(case: Case, shape: tuple[int, ...], seed: int) -> Tensor:
    """Scores at least 0.03 from every kink: targets, margins and δ are multiples of ¼, these are so plus an offset.

    The five-point stencil reaches 0.002 to each side.
    """
    if case.loss.class_axis:
        return reals((*shape, CLASSES), seed) + 0.03 * (1 + torch.arange(CLASSES, dtype=torch.float64))
    return reals(shape, seed) + 0.1


# --- one table of behaviours -------------------------------------------------------------------------------------


@table()
def test_value_is_the_mean_of_one_value_a_sample(case: Case) -> None:
    scores, targets = draw_scores(case, (7,), 1), case.targets((7,), 2)
    each = case.loss.pointwise(scores, targets)
    assert each.shape == (7,)
    value = case.loss(scores, targets)
    assert value.shape == ()
    torch.testing.assert_close(value, each.sum() / 7, **EXACT)
    assert torch.equal(value, case.loss(scores, targets, validate=False))


@table(differentiable)
@pytest.mark.parametrize("samples", [1, 2, 17])
def test_gradient_agrees_with_autograd(case: Case, samples: int) -> None:
    scores, targets = draw_scores(case, (samples,), 3).requires_grad_(), case.targets((samples,), 4)
    (expected,) = torch.autograd.grad(case.loss(scores, targets), scores)
    gradient = case.loss.gradient(scores, targets)
    assert not gradient.requires_grad
    assert torch.equal(gradient, case.loss.gradient(scores, targets, validate=False))
    torch.testing.assert_close(gradient, expected, **EXACT)


@table(differentiable)
def test_gradient_agrees_with_five_points(case: Case) -> None:
    scores, targets = away_from_kinks(case, (6,), 5), case.targets((6,), 6)
    numeric = differences.gradient(lambda s: case.loss(s, targets), scores)
    # five points at h = 1e-3 leave about 1e-12 of the VALUE, and the largest value here (margin 100) is about 400
    # times its gradient
    assert differences.relative_error(case.loss.gradient(scores, targets), numeric) < 1e-9


@table(differentiable)
def test_curvature_is_the_slope_of_the_gradient(case: Case) -> None:
    scores, targets = away_from_kinks(case, (6,), 7), case.targets((6,), 8)
    curvature = case.loss.pointwise_curvature(scores, targets)

    def slope(direction: Tensor) -> Tensor:
        """The pointwise gradient's derivative along a direction, by five points."""
        total = torch.zeros_like(scores)
        for offset, weight in differences.FIVE_POINTS:
            total += weight * case.loss.pointwise_gradient(scores + offset * 1e-3 * direction, targets)
        return total / 1e-3

    if case.loss.class_axis:
        expected = torch.stack([slope(unit.expand_as(scores)) for unit in torch.eye(CLASSES).double()], -1)
    else:
        expected = slope(torch.ones_like(scores))
    assert curvature.shape == expected.shape
    # of quantities of order 1, and exactly 0 for the piecewise linear ones
    torch.testing.assert_close(curvature, expected, rtol=1e-9, atol=1e-10)


@table(smooth)
def test_curvature_agrees_with_autograd_twice(case: Case) -> None:
    scores, targets = draw_scores(case, (4,), 9), case.targets((4,), 10)
    for i in range(4):
        one, target = scores[i : i + 1], targets[i : i + 1]
        hessian = torch.autograd.functional.hessian(lambda s, t=target: case.loss(s, t), one)
        width = scores[0].numel()
        torch.testing.assert_close(
            case.loss.pointwise_curvature(one, target).reshape(width, width), hessian.reshape(width, width), **EXACT
        )


@table(differentiable)
def test_curvature_product_is_the_curvature_times_a_direction(case: Case) -> None:
    scores, targets = draw_scores(case, (3, 6), 11), case.targets((6,), 12)
    direction = draw_scores(case, (3, 6), 13)
    curvature = case.loss.pointwise_curvature(scores, targets)
    pattern = "rnjk,rnk->rnj" if case.loss.class_axis else "rn,rn->rn"
    torch.testing.assert_close(
        case.loss.curvature_product(scores, targets, direction),
        torch.einsum(pattern, curvature, direction),
        **EXACT,
    )


@table(lambda case: case.loss.curvature_bound is not None)
def test_curvature_bound_holds_and_is_attained(case: Case) -> None:
    samples = 200
    scores, targets = draw_scores(case, (samples,), 14), case.targets((samples,), 15)
    if isinstance(case.loss, CrossEntropy):
        scores[0] = torch.tensor([0.0, 0, -50, -50, -50])  # two equal classes and nothing else: ½
    else:
        scores[0] = 0.0
    if isinstance(case.loss, Hinge):
        scores[1] = -targets[1].double()  # violates any margin
    curvature = case.loss.pointwise_curvature(scores, targets)
    largest = torch.linalg.eigvalsh(curvature).max() if case.loss.class_axis else curvature.max()
    assert case.loss.curvature_bound is not None
    assert float(largest) == pytest.approx(case.loss.curvature_bound, rel=1e-12)


@table(lambda case: case.best is not None)
def test_gradient_is_zero_at_the_minimum(case: Case) -> None:
    targets = case.targets((9,), 16)
    assert case.best is not None
    best = case.best(targets)
    if differentiable(case):
        gradient = case.loss.gradient(best, targets)
        torch.testing.assert_close(gradient, torch.zeros_like(best), rtol=0, atol=1e-16)
    lowest = case.loss.pointwise(best, targets)
    for seed in range(20):
        elsewhere = case.loss.pointwise(draw_scores(case, (9,), 100 + seed), targets)
        assert (elsewhere >= lowest - 1e-12).all()


@table(lambda case: case.loss.convex and differentiable(case))
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=15, deadline=None)
def test_convex_losses_lie_above_their_tangents(case: Case, seed: int, size: float) -> None:
    """ℓ(z) ≥ ℓ(s) + g·(z − s) for all z: at kinks, which multiples of ¼ meet all the time, g is a subgradient."""
    tail = (CLASSES,) if case.loss.class_axis else ()
    targets = case.targets((12,), seed)
    start, end = size * reals((12, *tail), seed + 1), size * reals((12, *tail), seed + 2)
    slope = case.loss.pointwise_gradient(start, targets) * (end - start)
    tangent = case.loss.pointwise(start, targets) + (slope.sum(-1) if case.loss.class_axis else slope)
    assert (case.loss.pointwise(end, targets) >= tangent - 1e-9).all()


@table(lambda case: not case.loss.convex)
def test_losses_that_say_so_are_not_convex(case: Case) -> None:
    targets = case.targets((400,), 20)
    start, end = 3 * draw_scores(case, (400,), 21), 3 * draw_scores(case, (400,), 22)
    middle = case.loss.pointwise((start + end) / 2, targets)
    chord = (case.loss.pointwise(start, targets) + case.loss.pointwise(end, targets)) / 2
    assert (middle > chord + 1e-3).any()


@table()
@pytest.mark.parametrize("shared", [True, False], ids=["shared targets", "targets per run"])
@pytest.mark.parametrize("lead", [(1,), (3,), (2, 4)], ids=str)
def test_leads_survive_and_a_stack_equals_one_by_one(case: Case, lead: tuple[int, ...], shared: bool) -> None:
    scores = draw_scores(case, (*lead, 6), 23)
    targets = case.targets((6,) if shared else (*lead, 6), 24)
    methods = [case.loss, case.loss.pointwise]
    if differentiable(case):
        methods += [case.loss.gradient, case.loss.pointwise_gradient, case.loss.pointwise_curvature]
    for method in methods:
        stacked = method(scores, targets)
        assert stacked.shape[: len(lead)] == lead
        for at in np.ndindex(lead):
            alone = method(scores[at], targets if shared else targets[at])
            assert stacked[at].shape == alone.shape
            torch.testing.assert_close(stacked[at], alone, **EXACT)


@table()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_dtype_survives_and_nothing_is_changed_in_place(case: Case, dtype: torch.dtype) -> None:
    scores, targets = draw_scores(case, (2, 6), 25).to(dtype), case.targets((6,), 26)
    targets = targets.to(dtype) if targets.is_floating_point() else targets
    kept = scores.clone(), targets.clone()
    results = [case.loss(scores, targets), case.loss.pointwise(scores, targets)]
    if differentiable(case):
        results += [
            case.loss.gradient(scores, targets),
            case.loss.pointwise_gradient(scores, targets),
            case.loss.pointwise_curvature(scores, targets),
            case.loss.curvature_product(scores, targets, torch.ones_like(scores)),
        ]
    assert [r.dtype for r in results] == [dtype] * len(results)
    assert torch.equal(scores, kept[0])
    assert torch.equal(targets, kept[1])


@table(lambda case: case.targets in (bits, signs))
@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.float64], ids=str)
def test_labels_of_every_numeric_dtype_mean_the_same(case: Case, dtype: torch.dtype) -> None:
    scores, targets = draw_scores(case, (6,), 27), case.targets((6,), 28)
    torch.testing.assert_close(case.loss(scores, targets.to(dtype)), case.loss(scores, targets), **EXACT)
    if differentiable(case):
        torch.testing.assert_close(case.loss.gradient(scores, targets.to(dtype)), case.loss.gradient(scores, targets))


@table(lambda case: case.targets is indices)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32], ids=str)
def test_class_indices_of_every_integer_dtype_mean_the_same(case: Case, dtype: torch.dtype) -> None:
    scores, targets = draw_scores(case, (6,), 29), case.targets((6,), 30)
    assert torch.equal(case.loss(scores, targets.to(dtype)), case.loss(scores, targets))
    assert torch.equal(case.loss.gradient(scores, targets.to(dtype)), case.loss.gradient(scores, targets))


@table()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1e4, -1e4, 100.0, -100.0, 36.75, 16.75, 0.0], ids="scores {:g}".format)
def test_finite_at_extreme_scores(case: Case, size: float, dtype: torch.dtype) -> None:
    """Naive forms overflow or take the logarithm of 0 from 16.75 (float32), 36.75 (float64), 88.75 and 710 on."""
    targets = case.targets((8,), 31)
    targets = targets.to(dtype) if targets.is_floating_point() else targets
    scores = torch.full((8, CLASSES) if case.loss.class_axis else (8,), size, dtype=dtype)
    if case.loss.class_axis:
        scores[:, ::2] *= -1  # rows with entries 2 |size| apart
    value = case.loss.pointwise(scores, targets)
    assert value.isfinite().all()
    assert (value >= 0).all()
    exact = case.loss.pointwise(scores.double(), targets.double() if targets.is_floating_point() else targets)
    # a few roundings of the working precision
    torch.testing.assert_close(value.double(), exact, rtol=1e-5 if dtype == torch.float32 else 0, atol=1e-6)
    if differentiable(case):
        assert case.loss.pointwise_gradient(scores, targets).isfinite().all()
        assert case.loss.pointwise_curvature(scores, targets).isfinite().all()


@table(smooth)
def test_autograd_agrees_at_a_score_of_exactly_zero(case: Case) -> None:
    """Rearrangements with |s| and max(s, 0) have the right value at 0 and, for autograd, easily the wrong slope."""
    targets = case.targets((8,), 32)
    scores = torch.zeros_like(draw_scores(case, (8,), 0)).requires_grad_()
    (expected,) = torch.autograd.grad(case.loss(scores, targets), scores)
    torch.testing.assert_close(case.loss.gradient(scores, targets), expected, **EXACT)


@table(differentiable)
def test_autograd_takes_the_same_side_of_every_kink(case: Case) -> None:
    """Multiples of ¼ meet the kinks all the time, as weights of zero do: both paths must go on alike."""
    tail = (CLASSES,) if case.loss.class_axis else ()
    scores, targets = reals((300, *tail), 34).requires_grad_(), case.targets((300,), 35)
    (expected,) = torch.autograd.grad(case.loss(scores, targets), scores)
    torch.testing.assert_close(case.loss.gradient(scores, targets), expected, **EXACT)


@table()
def test_a_score_that_is_nan_never_looks_like_a_small_loss(case: Case) -> None:
    """A run that has diverged must not be mistaken for one without errors."""
    scores, targets = draw_scores(case, (6,), 36), case.targets((6,), 37)
    scores[2] = math.nan
    value = case.loss.pointwise(scores, targets)
    assert value[2] == 1 if isinstance(case.loss, ZeroOne) else value[2].isnan()


@table(differentiable)
@pytest.mark.parametrize("at", ["zero", "kink"])
def test_gradient_at_kinks_lies_between_the_one_sided_slopes(case: Case, at: str) -> None:
    targets = case.targets((8,), 33)
    scores = torch.zeros_like(draw_scores(case, (8,), 0))
    if at == "kink" and case.targets is reals:
        scores = targets.clone()
    h = 1e-7
    directions = torch.eye(CLASSES).double() if case.loss.class_axis else torch.ones(1).double()
    value, gradient = case.loss.pointwise(scores, targets), case.loss.pointwise_gradient(scores, targets)
    for k, direction in enumerate(directions):
        right = (case.loss.pointwise(scores + h * direction, targets) - value) / h
        left = (value - case.loss.pointwise(scores - h * direction, targets)) / h
        slope = gradient[..., k] if case.loss.class_axis else gradient
        # one-sided differences at 1e-7 are right to 1e-6 only
        assert (slope <= torch.maximum(left, right) + 2e-6).all()
        assert (slope >= torch.minimum(left, right) - 2e-6).all()


@table(differentiable)
def test_smooth_says_whether_there_is_a_kink(case: Case) -> None:
    """One-sided slopes at multiples of ¼, where the kinks are: a jump somewhere, or none anywhere."""
    targets, h = case.targets((2000,), 38), 1e-7
    scores = reals((2000, CLASSES) if case.loss.class_axis else (2000,), 39)
    scores[::4] *= 50  # as far as a margin of 100
    direction = torch.eye(CLASSES).double()[0] if case.loss.class_axis else torch.ones(1).double()
    value = case.loss.pointwise(scores, targets)
    right = (case.loss.pointwise(scores + h * direction, targets) - value) / h
    left = (value - case.loss.pointwise(scores - h * direction, targets)) / h
    # the smallest jump here is 1/C; rounding of the largest squares, about 1e5, gives 1e-4
    assert bool(((right - left).abs() > 0.1).any()) != case.loss.smooth


# --- what is refused ---------------------------------------------------------------------------------------------


def refuses(error: type[EdunnError], match: str, case: Case, scores: Tensor, targets: Tensor) -> None:
    """The value and the gradient refuse alike."""
    with pytest.raises(error, match=match):
        case.loss(scores, targets)
    if differentiable(case):
        with pytest.raises(error, match=match):
            case.loss.gradient(scores, targets)


@table()
def test_refuses_a_column_of_targets(case: Case) -> None:
    """(n, 1) against (n,) would silently give n × n differences."""
    scores, targets = draw_scores(case, (6,), 40), case.targets((6,), 41)
    column = targets.unsqueeze(-1)
    hint = r"Did you mean targets\.squeeze\(2\)" if targets.ndim == 2 else r"Did you mean targets\.squeeze\(1\)"
    refuses(ShapeError, rf"Expected targets of shape .*; got .*1\)\. {hint}", case, scores, column)


@table()
def test_refuses_another_number_of_samples(case: Case) -> None:
    refuses(ShapeError, "Expected targets of shape", case, draw_scores(case, (6,), 42), case.targets((5,), 43))
    refuses(ShapeError, "Expected targets of shape", case, draw_scores(case, (6,), 42), case.targets((1,), 43))
    # targets may not have a lead that the scores lack
    refuses(ShapeError, "Expected targets of shape", case, draw_scores(case, (6,), 42), case.targets((2, 6), 43))
    refuses(
        ShapeError,
        "or with the scores' lead",
        case,
        draw_scores(case, (2, 6), 42),
        case.targets((3, 6), 43),
    )


@table(lambda case: not case.loss.class_axis)
def test_refuses_a_column_of_scores(case: Case) -> None:
    column = draw_scores(case, (6,), 44).unsqueeze(-1)
    refuses(ShapeError, r"Did you mean scores\.squeeze\(-1\)\?", case, column, case.targets((6,), 45))


@table()
def test_refuses_scores_without_samples(case: Case) -> None:
    scores, targets = draw_scores(case, (6,), 46), case.targets((6,), 47)
    single = scores[0, 0] if over_classes(case) else scores[0]
    refuses(ShapeError, r"Expected scores of shape \(\*lead, samples", case, single, targets)
    refuses(ShapeError, "are empty", case, scores[:0], targets[:0])


@table(over_classes)
def test_refuses_scores_without_a_class_axis(case: Case) -> None:
    match = (
        r"Expected scores of shape \(\*lead, samples, classes\); got \(6,\)\. Did you mean scores\.unsqueeze\(-1\)\?"
    )
    refuses(ShapeError, match, case, torch.zeros(6).double(), case.targets((6,), 48))


@table(lambda case: case.targets in (distributions, real_rows))
def test_refuses_rows_of_another_number_of_classes(case: Case) -> None:
    scores, targets = draw_scores(case, (6,), 49), case.targets((6,), 50)
    refuses(ShapeError, r"\(samples, classes\) = \(6, 5\); got \(6, 4\)", case, scores, targets[:, :4])
    refuses(ShapeError, r"\(samples, classes\) = \(6, 5\); got \(6,\)", case, scores, targets[:, 0])


@table()
def test_refuses_scores_that_are_not_floating(case: Case) -> None:
    scores = draw_scores(case, (6,), 51).long()
    refuses(DtypeError, r"floating dtype; got torch\.int64.*scores\.double\(\)", case, scores, case.targets((6,), 52))


@table(lambda case: case.targets is not indices)
def test_refuses_targets_of_another_floating_dtype(case: Case) -> None:
    targets = case.targets((6,), 53).float()
    refuses(
        DtypeError,
        r"targets are torch\.float32 and scores torch\.float64",
        case,
        draw_scores(case, (6,), 54),
        targets,
    )


@table()
def test_refuses_truth_values_as_targets(case: Case) -> None:
    """`y > 0` is a natural slip; torch cannot subtract it, and −True is an error of its own."""
    scores, targets = draw_scores(case, (6,), 55), torch.ones(6, dtype=torch.bool)
    refuses(DtypeError, r"targets are torch\.bool.*targets\.long\(\)", case, scores, targets)


@table(lambda case: case.targets is signs)
def test_refuses_unsigned_signs(case: Case) -> None:
    """−1 times an unsigned 1 is 255: labels that are all +1 in uint8 gave losses in the hundreds."""
    scores, targets = draw_scores(case, (6,), 56), torch.ones(6, dtype=torch.uint8)
    refuses(DtypeError, r"torch\.uint8 cannot be negative", case, scores, targets)


@table()
def test_refuses_targets_on_another_device(case: Case) -> None:
    # torch's device without memory stands for a GPU: it is another device on every machine
    scores, targets = draw_scores(case, (6,), 57), case.targets((6,), 58).to("meta")
    refuses(DtypeError, r"targets are on meta and scores on cpu.*targets\.to\(scores\.device\)", case, scores, targets)


NAN, INF = math.nan, math.inf


@table(lambda case: case.targets in (reals, bits, signs, probabilities))
def test_refuses_targets_outside_the_domain(case: Case) -> None:
    labels = case.loss.labels
    bad = {
        "real": [
            (NAN, DataError, "targets must be finite; got nan"),
            (INF, DataError, "targets must be finite; got inf"),
        ],
        "bits": [
            (2.0, LabelError, r"\[0, 1\]; got 2 at index 3"),
            (-1.0, LabelError, r"got -1 at index 3\. For labels -1 and \+1 use \(targets \+ 1\) / 2"),
            (NAN, LabelError, "got nan at index 3"),
        ],
        "signs": [
            (0.0, LabelError, r"-1 or 1; got 0 at index 3\. For labels 0 and 1 use 2\*targets - 1"),
            (0.5, LabelError, "got 0.5 at index 3"),
            (NAN, LabelError, "got nan at index 3"),
        ],
    }[labels]
    for value, error, match in bad:
        targets = case.targets((6,), 59).double()
        targets[3] = value
        refuses(error, match, case, draw_scores(case, (6,), 60), targets)


@table(lambda case: case.targets is indices)
def test_refuses_class_indices_out_of_range(case: Case) -> None:
    for value, match in [
        (CLASSES, r"Class indices must be 0 to 4.*got 5 at index 2\. Labels that count from 1: subtract 1"),
        (CLASSES + 1, r"got 6 at index 2\.$"),
        (-1, "got -1 at index 2"),
    ]:
        targets = case.targets((6,), 61)
        targets[2] = value
        refuses(LabelError, match, case, draw_scores(case, (6,), 62), targets)


def test_cross_entropy_refuses_rows_that_are_no_distributions() -> None:
    case = CASES["cross-entropy, distributions"]
    scores, rows = draw_scores(case, (6,), 63), case.targets((6,), 64)
    twice, negative, undefined = rows.clone(), rows.clone(), rows.clone()
    twice[4] = torch.tensor([1.0, 1, 0, 0, 0])
    negative[1, 0], negative[1, 1] = -0.1, rows[1, 0] + rows[1, 1] + 0.1
    undefined[0, 0] = NAN
    refuses(LabelError, "sum to 1; got 2 in row 4", case, scores, twice)
    refuses(LabelError, r"\[0, 1\]; got -0.1", case, scores, negative)
    refuses(LabelError, "got nan", case, scores, undefined)


def test_multiclass_hinge_refuses_rows_and_a_single_class() -> None:
    loss = MulticlassHinge()
    with pytest.raises(DtypeError, match=r"class indices.*targets\.argmax\(-1\)"):
        loss(torch.zeros(3, 2), torch.eye(2)[[0, 1, 0]])
    with pytest.raises(ShapeError, match="two classes or more"):
        loss(torch.zeros(3, 1), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Huber(delta=0.0), "delta must be a number above 0, finite; got 0"),
        (lambda: Huber(delta=NAN), "delta must be a number above 0, finite; got nan"),
        (lambda: Hinge(margin=-1.0), "margin of a hinge must be a number 0 or more, finite; got -1"),
        (lambda: Hinge(power=3), "power is 1 .* or 2 .*; got 3"),
        (lambda: MulticlassHinge(margin=NAN), "margin of a hinge must be a number 0 or more, finite; got nan"),
        (lambda: MulticlassHinge(power=0), "power is 1 .* or 2 .*; got 0"),
        (lambda: MulticlassHinge(over="other"), "over is .*got 'other'. Did you mean 'others'"),
        (lambda: CrossEntropy(label_smoothing=1.0), r"label_smoothing lies in \[0, 1\); got 1"),
        (lambda: CrossEntropy(label_smoothing=-0.1), r"label_smoothing lies in \[0, 1\); got -0.1"),
        (lambda: SquaredError(through=Softmax()), "classes=True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_options_that_make_no_loss(make: Callable[[], Loss], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_zero_one_says_why_it_has_no_gradient() -> None:
    with pytest.raises(GradientError, match=r"descent never moves\. Minimise Logistic, Hinge or Perceptron"):
        ZeroOne().gradient(torch.tensor([0.5]), torch.tensor([1]))
    with pytest.raises(GradientError, match="ZeroOne has no second derivative"):
        ZeroOne().pointwise_curvature(torch.tensor([0.5]), torch.tensor([1]))


def test_every_loss_is_registered_and_in_the_table() -> None:
    defined = {v for v in vars(losses).values() if isinstance(v, type) and issubclass(v, Loss)} - {Loss}
    assert set(losses.LOSSES.values()) == defined
    assert {type(case.loss) for case in CASES.values()} == defined
    assert set(losses.__all__) == {c.__name__ for c in defined} | {"Loss", "LOSSES", "named"}


# --- hand values -------------------------------------------------------------------------------------------------

# the lecture's three images (rows: cat, car, frog), their scores for cat, car, frog, and their classes
LECTURE = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], dtype=torch.float64)
LECTURE_CLASSES = torch.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("loss", "each", "mean"),
    [
        # printed on the lecture's slide: 2.9, 0, 12.9 and 5.27
        pytest.param(MulticlassHinge(), [2.9, 0.0, 12.9], 15.8 / 3, id="multiclass hinge"),
        # by hand: the term j = y adds Δ = 1 to each
        pytest.param(MulticlassHinge(include_true=True), [3.9, 1.0, 13.9], 18.8 / 3, id="include true"),
        # the first row over C − 1 = 2, and over C = 3
        pytest.param(MulticlassHinge(over="others"), [1.45, 0.0, 6.45], 7.9 / 3, id="over others"),
        pytest.param(MulticlassHinge(over="classes"), [2.9 / 3, 0.0, 4.3], 15.8 / 9, id="over classes"),
        # 2.9², 0, 6.3² + 6.6²
        pytest.param(MulticlassHinge(power=2), [8.41, 0.0, 83.25], 91.66 / 3, id="squared"),
        # by hand: every term is violated, so each is Σ (s_j − s_y) + 200
        pytest.param(MulticlassHinge(margin=100.0), [197.0, 193.5, 210.9], 601.4 / 3, id="margin 100"),
        # −ln of the softmax at the true class; the slide's 0.89 is the logarithm to base 10
        pytest.param(CrossEntropy(), [2.0403551528, 0.0791317783, 6.1564772017], 2.7586547109, id="cross-entropy"),
    ],
)
def test_lecture_scores(loss: Loss, each: list[float], mean: float) -> None:
    # the constants have ten decimals
    expected = torch.tensor(each, dtype=torch.float64)
    torch.testing.assert_close(loss.pointwise(LECTURE, LECTURE_CLASSES), expected, rtol=0, atol=6e-11)
    torch.testing.assert_close(loss(LECTURE, LECTURE_CLASSES), float64(mean), rtol=1e-7, atol=6e-11)


def test_lecture_hinge_gradient() -> None:
    # by hand: every violated term pushes its own class up by 1 and the true class down by 1
    expected = torch.tensor([[-1, 1, 0], [0, 0, 0], [1, 1, -2]], dtype=torch.float64)
    assert torch.equal(MulticlassHinge().pointwise_gradient(LECTURE, LECTURE_CLASSES), expected)
    torch.testing.assert_close(MulticlassHinge().gradient(LECTURE, LECTURE_CLASSES), expected / 3, **EXACT)


def test_hinge_of_equal_scores_is_classes_minus_one() -> None:
    # the lecture's sanity check of a fresh model: all scores 0, loss C − 1; cross-entropy: ln C
    for classes in (2, 3, 10):
        scores, targets = torch.zeros(4, classes).double(), torch.arange(4) % classes
        assert float(MulticlassHinge()(scores, targets)) == classes - 1
        assert float(CrossEntropy()(scores, targets)) == pytest.approx(math.log(classes), rel=1e-15)


def test_lecture_binary_cross_entropy() -> None:
    # X = [[1,2],[3,4],[5,6]], w = (1,2), b = −10 gives these scores; the value with labels 0, 1, 1
    scores, targets = float64([-5.0, 1.0, 7.0]), torch.tensor([0, 1, 1])
    assert float(BinaryCrossEntropy()(scores, targets)) == pytest.approx(0.10696283415370517, rel=1e-15)
    assert float(Logistic()(scores, 2 * targets - 1)) == pytest.approx(0.10696283415370517, rel=1e-15)


def test_lecture_two_neurons_with_softmax() -> None:
    # W = [[1,3],[2,4]], b = (−10,−20) on the same X; classes 0, 1, 1
    scores, targets = float64([[-5.0, -9], [1, 5], [7, 19]]), torch.tensor([0, 1, 1])
    # −log σ(4) twice and −log σ(12)
    expected = float64([0.018149927918, 0.018149927918, 6.1441934776e-06])
    torch.testing.assert_close(CrossEntropy().pointwise(scores, targets), expected, rtol=1e-10, atol=6e-13)
    assert float(CrossEntropy()(scores, targets)) == pytest.approx(0.0121020000097, rel=1e-10)
    # softmax of two is the sigmoid of the difference
    difference = scores[:, 1] - scores[:, 0]
    torch.testing.assert_close(CrossEntropy()(scores, targets), BinaryCrossEntropy()(difference, targets), **EXACT)


@pytest.mark.parametrize(
    ("score", "target", "loss", "gradient"),
    [
        # the single-sample steps of the lecture: θ = (0, 0) on (5, 5), then θ = (0.5, 0.1) on (9, 17)
        pytest.param(0.0, 5.0, 25.0, -10.0, id="first step"),
        pytest.param(4.6, 17.0, 153.76, -24.8, id="second step"),
    ],
)
def test_lecture_squared_error_steps(score: float, target: float, loss: float, gradient: float) -> None:
    s, y = float64([score]), float64([target])
    assert float(SquaredError()(s, y)) == pytest.approx(loss, rel=1e-14)
    assert float(SquaredError().gradient(s, y)) == pytest.approx(gradient, rel=1e-14)
    assert float(SquaredError(half=True)(s, y)) == pytest.approx(loss / 2, rel=1e-14)
    assert float(SquaredError(half=True).gradient(s, y)) == pytest.approx(gradient / 2, rel=1e-14)


def test_squared_error_through_a_sigmoid_forgets_wrong_answers() -> None:
    # y = 1 at a score of −10: −(1 − σ)σ(1 − σ) = −4.5393746863e-05, where cross-entropy still pulls with −0.99995
    score, one = float64([-10.0]), torch.ones(1).double()
    vanishing = SquaredError(half=True, through=Sigmoid()).gradient(score, one)
    assert float(vanishing) == pytest.approx(-4.5393746863e-05, rel=1e-10)
    assert float(BinaryCrossEntropy().gradient(score, one)) == pytest.approx(-0.9999546021, rel=1e-10)
    # the steepest point for y = 1 is σ = 1/3, with slope 4/27 (of the half)
    steepest = float64([math.log(0.5)])
    slope = SquaredError(half=True, through=Sigmoid()).gradient(steepest, one)
    assert float(slope) == pytest.approx(-4 / 27, rel=1e-14)


def test_squared_error_through_a_step_never_moves() -> None:
    loss, scores = SquaredError(through=Step()), torch.tensor([-1.0, 0.0, 2.0])
    assert loss(scores, torch.tensor([1, 1, 0])).item() == 1.0
    assert torch.equal(loss.gradient(scores, torch.tensor([1, 1, 0])), torch.zeros(3))
    assert not loss.smooth


def test_huber_by_hand() -> None:
    # δ = 2, r = 1: ½; r = 2: 2 from both branches; r = −5: 2·(5 − 1) = 8
    loss, zero = Huber(delta=2.0), torch.zeros(3).double()
    r = float64([1.0, 2.0, -5.0])
    assert loss.pointwise(r, zero).tolist() == [0.5, 2.0, 8.0]
    assert loss.pointwise_gradient(r, zero).tolist() == [1.0, 2.0, -2.0]
    assert loss.pointwise_curvature(r, zero).tolist() == [1.0, 1.0, 0.0]


def test_binary_losses_by_hand() -> None:
    # margins m = y·s: 2, 1, 0.5, 0, −1
    scores, targets = float64([2.0, -1, 0.5, 0, -1]), torch.tensor([1, -1, 1, -1, 1])
    by_hand: list[tuple[Loss, list[float], list[float] | None]] = [
        (Hinge(), [0, 0, 0.5, 1, 2], [0, 0, -1, 1, -1]),
        (Hinge(power=2), [0, 0, 0.25, 1, 4], [0, 0, -1, 2, -4]),
        (Hinge(margin=2.0), [0, 1, 1.5, 2, 3], [0, 1, -1, 1, -1]),
        (Perceptron(), [0, 0, 0, 0, 1], [0, 0, 0, 1, -1]),  # a score of exactly 0 is an error, and pulls
        (Hinge(margin=0.0), [0, 0, 0, 0, 1], [0, 0, 0, 0, -1]),
        (ZeroOne(), [0, 0, 0, 1, 1], None),
    ]
    for loss, values, slopes in by_hand:
        assert loss.pointwise(scores, targets).tolist() == values
        if slopes is not None:
            assert loss.pointwise_gradient(scores, targets).tolist() == slopes


def test_perceptron_leaves_weights_of_zero() -> None:
    """At zero weights every score is 0: a gradient of 0 there would never take the first step."""
    gradient = Perceptron().gradient(torch.zeros(4), torch.tensor([1, -1, 1, 1]))
    assert gradient.tolist() == [-0.25, 0.25, -0.25, -0.25]


@pytest.mark.parametrize(("dtype", "score"), [(torch.float64, 36.75), (torch.float32, 16.75)], ids=str)
def test_cross_entropy_where_the_naive_form_is_infinite(dtype: torch.dtype, score: float) -> None:
    s, no = torch.tensor([score], dtype=dtype), torch.zeros(1, dtype=dtype)
    assert (-torch.log(1 - torch.sigmoid(s))).isinf().all()
    assert BinaryCrossEntropy()(s, no).item() == pytest.approx(score, rel=1e-6)
    assert Logistic()(s, no - 1).item() == pytest.approx(score, rel=1e-6)


@given(s=st.floats(-1e4, 1e4).filter(lambda s: not 700 < abs(s) < 750), y=st.sampled_from([0, 1]))
def test_binary_cross_entropy_to_the_last_digits(s: float, y: int) -> None:
    """log(1 + e^{−m}) with python's own log1p, from the side that does not overflow: tiny losses keep their digits.

    Between e^−708 and e^−745 floats are subnormal: they have fewer digits, and then none, in every library.
    """
    m = s if y else -s
    expected = math.log1p(math.exp(-m)) if m > 0 else -m + math.log1p(math.exp(m))
    scores = torch.tensor([s], dtype=torch.float64)
    assert float(BinaryCrossEntropy()(scores, torch.tensor([y]))) == pytest.approx(expected, rel=1e-14, abs=0)
    assert float(Logistic()(scores, torch.tensor([2 * y - 1]))) == pytest.approx(expected, rel=1e-14, abs=0)


@given(
    shift=st.floats(-1e4, 1e4),
    row=st.lists(st.floats(-50, 50), min_size=CLASSES, max_size=CLASSES),
    y=st.integers(0, CLASSES - 1),
)
def test_losses_over_classes_see_differences_of_scores_only(shift: float, row: list[float], y: int) -> None:
    scores, targets = torch.tensor([row], dtype=torch.float64), torch.tensor([y])
    for loss in (CrossEntropy(), CrossEntropy(0.1), MulticlassHinge(), MulticlassHinge(power=2)):
        # a shift by 1e4 costs four of the sixteen digits, and squares and sums of 100 two or three more
        torch.testing.assert_close(loss(scores + shift, targets), loss(scores, targets), rtol=1e-9, atol=1e-9)
        assert float(loss.gradient(scores, targets).sum()) == pytest.approx(0, abs=1e-11)


# --- torch and scikit-learn, with the convention that each line names --------------------------------------------

S, Y = draw_scores(CASES["squared"], (40,), 70), reals((40,), 71)
B, P = bits((40,), 72), probabilities((40,), 73)
SC, C = draw_scores(CASES["cross-entropy"], (40,), 74), indices((40,), 75)
Q, R = distributions((40,), 76), real_rows((40,), 77)
M = 2 * B - 1

TORCH = {
    "mse": (SquaredError(), S, Y, lambda s: F.mse_loss(s, Y)),
    "mse over classes is 1/C of ours": (SquaredError(classes=True), SC, R, lambda s: CLASSES * F.mse_loss(s, R)),
    "mse of a sigmoid": (SquaredError(through=Sigmoid()), S, B, lambda s: F.mse_loss(torch.sigmoid(s), B.double())),
    "mse of a softmax (Brier)": (
        SquaredError(classes=True, through=Softmax()),
        SC,
        C,
        lambda s: CLASSES * F.mse_loss(torch.softmax(s, -1), one_hot(C)),
    ),
    "l1": (AbsoluteError(), S, Y, lambda s: F.l1_loss(s, Y)),
    "huber": (Huber(delta=0.75), S, Y, lambda s: F.huber_loss(s, Y, delta=0.75)),
    "smooth l1 at beta 1": (Huber(), S, Y, lambda s: F.smooth_l1_loss(s, Y)),
    "bce with logits": (
        BinaryCrossEntropy(),
        S,
        B,
        lambda s: F.binary_cross_entropy_with_logits(s, B.double()),
    ),
    "bce with logits, probabilities": (
        BinaryCrossEntropy(),
        S,
        P,
        lambda s: F.binary_cross_entropy_with_logits(s, P),
    ),
    "soft margin": (Logistic(), S, M, lambda s: F.soft_margin_loss(s, M)),
    "cross entropy": (CrossEntropy(), SC, C, lambda s: F.cross_entropy(s, C)),
    "cross entropy, smoothed": (CrossEntropy(0.1), SC, C, lambda s: F.cross_entropy(s, C, label_smoothing=0.1)),
    "cross entropy, distributions": (CrossEntropy(), SC, Q, lambda s: F.cross_entropy(s, Q)),
    "cross entropy, smoothed distributions": (
        CrossEntropy(0.3),
        SC,
        Q,
        lambda s: F.cross_entropy(s, Q, label_smoothing=0.3),
    ),
    "multi margin": (MulticlassHinge(over="classes"), SC, C, lambda s: F.multi_margin_loss(s, C)),
    "multi margin, p 2, margin 2.5": (
        MulticlassHinge(margin=2.5, power=2, over="classes"),
        SC,
        C,
        lambda s: F.multi_margin_loss(s, C, p=2, margin=2.5),
    ),
    "multi margin is the sum over C": (MulticlassHinge(), SC, C, lambda s: CLASSES * F.multi_margin_loss(s, C)),
}


@pytest.mark.parametrize("name", TORCH)
def test_against_torch(name: str) -> None:
    loss, scores, targets, reference = TORCH[name]
    scores = scores.clone().requires_grad_()
    expected = reference(scores)
    torch.testing.assert_close(loss(scores, targets), expected, **EXACT)
    (slope,) = torch.autograd.grad(expected, scores)
    torch.testing.assert_close(loss.gradient(scores, targets), slope, **EXACT)


def test_against_scikit_learns_metrics() -> None:
    from sklearn import metrics

    def close(ours: Tensor, theirs: float) -> None:
        assert float(ours) == pytest.approx(theirs, rel=1e-12)

    close(Hinge()(S, M), metrics.hinge_loss(M.numpy(), S.numpy()))
    close(ZeroOne()(S, M), metrics.zero_one_loss(M.numpy(), np.sign(S.numpy())))
    close(BinaryCrossEntropy()(S, B), metrics.log_loss(B.numpy(), torch.sigmoid(S).numpy()))
    close(CrossEntropy()(SC, C), metrics.log_loss(C.numpy(), torch.softmax(SC, -1).numpy(), labels=range(CLASSES)))
    close(SquaredError()(S, Y), metrics.mean_squared_error(Y.numpy(), S.numpy()))
    close(AbsoluteError()(S, Y), metrics.mean_absolute_error(Y.numpy(), S.numpy()))
    # scikit-learn's multiclass hinge_loss is Crammer and Singer's: the largest term; with two classes it is the sum
    two = SC[:, :2]
    expected = metrics.hinge_loss((C > 1).long().numpy(), (two[:, 1] - two[:, 0]).numpy())
    close(MulticlassHinge()(two, (C > 1).long()), expected)


def test_against_scikit_learns_gradients_and_curvatures() -> None:
    from sklearn._loss import AbsoluteError as TheirAbsoluteError
    from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss, HalfSquaredError

    for ours, theirs, targets in [
        (BinaryCrossEntropy(), HalfBinomialLoss(), B),
        (SquaredError(half=True), HalfSquaredError(), Y),
        (AbsoluteError(), TheirAbsoluteError(), Y),
    ]:
        y, raw = targets.double().numpy(), S.numpy()
        value, gradient = theirs.loss_gradient(y_true=y, raw_prediction=raw)
        torch.testing.assert_close(ours.pointwise(S, targets), torch.from_numpy(value), **EXACT)
        torch.testing.assert_close(ours.pointwise_gradient(S, targets), torch.from_numpy(gradient), **EXACT)
        if theirs.constant_hessian is False:
            _, hessian = theirs.gradient_hessian(y_true=y, raw_prediction=raw)
            torch.testing.assert_close(ours.pointwise_curvature(S, targets), torch.from_numpy(hessian), **EXACT)
    value, gradient = HalfMultinomialLoss(n_classes=CLASSES).loss_gradient(
        y_true=C.double().numpy(), raw_prediction=np.asfortranarray(SC.numpy())
    )
    torch.testing.assert_close(CrossEntropy().pointwise(SC, C), torch.from_numpy(value), **EXACT)
    gradient = torch.from_numpy(np.ascontiguousarray(gradient))
    torch.testing.assert_close(CrossEntropy().pointwise_gradient(SC, C), gradient, **EXACT)


# --- the loops of the lecture ------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.5, 1.0, 100.0], ids="margin {:g}".format)
def test_the_two_loops_equal_the_vectorised_hinge(margin: float) -> None:
    generate = generator(80)
    features = torch.randn(30, 7, generator=generate, dtype=torch.float64)
    targets = torch.randint(0, 4, (30,), generator=generate)
    model = LinearSVM(7, classes=4, scale=1.0, seed=3, dtype=torch.float64)
    assert model.bias is not None
    with torch.no_grad():
        model.bias += torch.randn(4, generator=generate, dtype=torch.float64)
    loss = MulticlassHinge(margin=margin)
    value, weight, bias = multiclass_hinge_by_loops(model.weight, model.bias, features, targets, margin)
    scores = model(features)
    gradients = model.gradients(features, loss.gradient(scores, targets))
    torch.testing.assert_close(loss(scores, targets), value, **EXACT)
    torch.testing.assert_close(gradients["weight"], weight.detach(), **EXACT)
    torch.testing.assert_close(gradients["bias"], bias.detach(), **EXACT)
