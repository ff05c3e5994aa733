"""Errors: what each is a kind of, and the sentences of the checks (what was expected, what came, the next move)."""

from __future__ import annotations

import builtins
import math
import subprocess
import sys

import pytest
import torch

from edunn import errors
from edunn.errors import DataError, DtypeError, EdunnError, LabelError, ShapeError


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", "ValueError"),
        ("DtypeError", "TypeError"),
        ("LabelError", "ValueError"),
        ("DataError", "ValueError"),
        ("ConfigError", "ValueError"),
        ("RunError", "ValueError"),
        ("GradientError", "RuntimeError"),
        ("LostError", "RuntimeError"),
        ("OptionError", "TypeError"),
        ("UnknownNameError", "AttributeError"),
    ],
)
def test_kinds(name: str, builtin: str) -> None:
    """The command line catches EdunnError; whoever wrote `except ValueError` catches it as well."""
    kind = getattr(errors, name)
    assert issubclass(kind, EdunnError)
    assert issubclass(kind, getattr(builtins, builtin))


def test_no_kind_is_untested() -> None:
    kinds = {k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, EdunnError)}
    assert len(kinds) == 11


def test_reporting_an_error_does_not_need_torch() -> None:
    code = "import sys, edunn.errors; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("rat", "Did you mean 'rate'?"),
        ("epoch", "Did you mean 'epochs'?"),
        ("zzz", "Known: batch_size, epochs, rate."),
        ("", "Known: batch_size, epochs, rate."),
    ],
)
def test_nearest(word: str, sentence: str) -> None:
    assert errors.nearest(word, {"rate": 1, "epochs": 2, "batch_size": 3}) == sentence


def test_shape_reads_as_a_tuple() -> None:
    assert errors.shape(torch.zeros(12, 3)) == "(12, 3)"
    assert errors.shape(torch.zeros(12)) == "(12,)"
    assert errors.shape(torch.zeros(())) == "()"


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ([[0.0, 1.0], [math.nan, math.inf]], "got nan at row 1, column 0"),
        ([[0.0, -math.inf], [math.nan, 0.0]], "got -inf at row 0, column 1"),
        ([0.0, math.nan], r"got nan at index \(1,\)"),
        ([[[math.inf]]], r"got inf at index \(0, 0, 0\)"),
    ],
)
def test_check_finite_says_where(values: list[object], where: str) -> None:
    with pytest.raises(DataError, match=rf"features must be finite; {where} \(counted from 0\)\."):
        errors.check_finite("features", torch.tensor(values))
    errors.check_finite("features", torch.tensor(values).nan_to_num())
    errors.check_finite("targets", torch.tensor([1, 2]))


def test_check_floating() -> None:
    errors.check_floating("scores", torch.zeros(1))
    with pytest.raises(DtypeError, match=r"scores need a floating dtype; got torch\.int64\. Convert with scores"):
        errors.check_floating("scores", torch.zeros(1).long())


def test_check_same_dtype_lets_whole_numbers_pass() -> None:
    scores = torch.zeros(2)
    for dtype in (torch.uint8, torch.int16, torch.int64, torch.float32):
        errors.check_same_dtype(scores, torch.ones(2, dtype=dtype))
    for dtype in (torch.bool, torch.float16, torch.float64):
        with pytest.raises(DtypeError):
            errors.check_same_dtype(scores, torch.ones(2, dtype=dtype))


def test_the_sentence_of_a_column_of_targets() -> None:
    """The commonest slip of all, word for word."""
    sentence = "Expected targets of shape (samples,) = (12,); got (12, 1). Did you mean targets.squeeze(1)?"
    with pytest.raises(ShapeError) as caught:
        errors.check_targets_shape(torch.zeros(12), torch.zeros(12, 1), class_axis=False)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("scores", "targets", "class_axis", "rows"),
    [
        ((5,), (5,), False, False),
        ((2, 5), (5,), False, False),
        ((2, 5), (2, 5), False, False),
        ((5, 3), (5,), True, False),
        ((2, 5, 3), (2, 5), True, False),
        ((5, 3), (5, 3), True, True),
        ((7, 2, 5, 3), (5, 3), True, True),
        ((7, 2, 5, 3), (7, 2, 5, 3), True, True),
    ],
)
def test_check_targets_shape_accepts_what_fits(
    scores: tuple[int, ...], targets: tuple[int, ...], class_axis: bool, rows: bool
) -> None:
    errors.check_targets_shape(torch.zeros(scores), torch.zeros(targets), class_axis, rows)


@pytest.mark.parametrize(
    ("scores", "targets", "class_axis", "rows"),
    [
        ((5,), (), False, False),
        ((5,), (1,), False, False),
        ((5,), (5, 5), False, False),
        ((2, 5), (2,), False, False),
        ((2, 5), (1, 5), False, False),
        ((7, 2, 5), (2, 5), False, False),
        ((5, 3), (5, 3), True, False),
        ((5, 3), (3,), True, False),
        ((5, 3), (5,), True, True),
        ((5, 3), (3,), True, True),
        ((5, 3), (1, 3), True, True),
    ],
)
def test_check_targets_shape_refuses_what_would_broadcast(
    scores: tuple[int, ...], targets: tuple[int, ...], class_axis: bool, rows: bool
) -> None:
    with pytest.raises(ShapeError, match="Expected targets of shape"):
        errors.check_targets_shape(torch.zeros(scores), torch.zeros(targets), class_axis, rows)


def test_label_checks_say_which_and_what_to_do() -> None:
    with pytest.raises(LabelError, match=r"Labels must be -1 or 1; got 0 at index 1\. Do this"):
        errors.check_labels(torch.tensor([1, 0, -1]), (-1, 1), "Do this.")
    with pytest.raises(
        LabelError, match=r"Class indices must be 0 to 2.*of the 3 scores; got 3 at index 1.*subtract 1"
    ):
        errors.check_class_indices(torch.tensor([1, 3, 2]), 3)
    with pytest.raises(LabelError, match=r"Targets must lie in \[0, 1\]; got 1.5 at index 0\. Hint"):
        errors.check_interval(torch.tensor([1.5]), 0, 1, "Hint.")
    with pytest.raises(LabelError, match=r"sum to 1; got 0\.5 in row 1\. Divide each row by its sum"):
        errors.check_distributions(torch.tensor([[0.5, 0.5], [0.25, 0.25]]))
    errors.check_labels(torch.tensor([1.0, -1.0]), (-1, 1), "")
    errors.check_class_indices(torch.tensor([0, 2]), 3)
    errors.check_distributions(torch.full((2, 7), 1 / 7))  # float32: sums to 1 within rounding
