"""Weights of samples and classes, and clipped gradients, beside torch and scikit-learn."""

from __future__ import annotations

import torch
from sklearn import metrics
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn

from edunn import Samples, losses
from edunn.gradcheck.catalogue import Draw
from edunn.updates import Clipping

from .counterparts import CLASSES, NONE, SAME, SAMPLES, Compared, Line, same, tensor, times

BOUND = 0.3


def binary(draw: Draw, library: str) -> Compared:
    scores, weights = draw.normal(SAMPLES), draw.normal(SAMPLES).abs()
    bits = (draw.normal(SAMPLES) > 0).double()
    ours = losses.BinaryCrossEntropy()(scores, bits, weights)
    if library == "torch":
        theirs = nn.BCEWithLogitsLoss(weight=weights)(scores, bits)
        return times(theirs, float(weights.mean()), ours)
    return same(metrics.log_loss(bits, scores.sigmoid(), sample_weight=weights), ours)


def by_class(draw: Draw) -> Compared:
    scores, y = draw.normal(SAMPLES, CLASSES), draw.targets("classes", SAMPLES, CLASSES)
    each = draw.normal(CLASSES).abs()
    return same(nn.CrossEntropyLoss(weight=each)(scores, y), losses.CrossEntropy()(scores, y, each[y]))


def balanced(draw: Draw) -> Compared:
    y = draw.targets("classes", SAMPLES, CLASSES)
    ours = Samples(draw.normal(SAMPLES, 1), y).with_class_weight("balanced").sample_weight
    assert ours is not None
    return same(compute_sample_weight("balanced", y.numpy()), ours)


def clipped(draw: Draw, clipping: Clipping) -> Compared:
    gradient = draw.normal(SAMPLES)
    parameter = nn.Parameter(torch.zeros_like(gradient))
    parameter.grad = gradient.clone()
    if clipping.norm is None:
        nn.utils.clip_grad_value_([parameter], BOUND)
    else:
        nn.utils.clip_grad_norm_([parameter], BOUND)
    return same(tensor(parameter.grad), clipping.clip({"w": gradient})["w"])


LINES = [
    Line("sample weights", "CS231n", NONE),
    Line(
        "sample weights",
        "torch",
        "`CrossEntropyLoss(weight=c)`",
        SAME,
        "One weight a class, w = c[y]; `samples.with_class_weight(c)` here.",
        by_class,
    ),
    Line(
        "sample weights",
        "torch",
        "`BCEWithLogitsLoss(weight=w)`",
        "ours · Σw / N",
        "It divides by N: the size of the gradient, and so of a step, depends on the weights' scale.",
        lambda draw: binary(draw, "torch"),
    ),
    Line(
        "sample weights",
        "scikit-learn",
        "`log_loss(y, p, sample_weight=w)`",
        SAME,
        "`Ridge`, `LinearSVC` and `LogisticRegression` take the sum Σ w ℓ beside their penalty.",
        lambda draw: binary(draw, "scikit-learn"),
    ),
    Line(
        "sample weights",
        "scikit-learn",
        '`compute_sample_weight("balanced", y)`',
        SAME,
        '`samples.with_class_weight("balanced")`: N / (K · count).',
        balanced,
    ),
    Line("clipping", "CS231n", NONE),
    Line(
        "clipping",
        "torch",
        "`clip_grad_norm_(parameters, c)`",
        SAME,
        "The norm is over all parameters together.",
        lambda draw: clipped(draw, Clipping(norm=BOUND)),
    ),
    Line(
        "clipping",
        "torch",
        "`clip_grad_value_(parameters, c)`",
        SAME,
        "",
        lambda draw: clipped(draw, Clipping(value=BOUND)),
    ),
    Line("clipping", "scikit-learn", NONE),
]
