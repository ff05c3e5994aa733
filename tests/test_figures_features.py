"""Figures of features: what is drawn is what was computed."""

import matplotlib
import numpy as np
import pytest
import torch

from edunn import figures
from edunn.errors import ConfigError, ShapeError
from edunn.features import patches
from edunn.features.hog import orientation_strengths
from edunn.losses import CrossEntropy, MulticlassHinge

BOTH = {"SVM": MulticlassHinge(), "softmax": CrossEntropy()}


def test_glyphs_lie_along_the_edge():
    """A step from dark to bright to the right has a vertical edge: the strokes stand upright."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 9:] = 255
    ax = figures.hog_glyphs(image, orientation_strengths(image, orientations=8))
    strokes = ax.collections[0].get_segments()
    assert len(strokes) == 2  # of four cells the two on the right see the step
    for (x0, y0), (x1, y1) in strokes:
        # the first bin's middle is 11.25° off the axis
        assert abs(abs(np.degrees(np.arctan2(y1 - y0, x1 - x0))) - 90) == pytest.approx(11.25)
        assert 8 <= (x0 + x1) / 2 <= 16
    grey = np.full((16, 16), 9, np.uint8)
    flat = figures.hog_glyphs(grey, orientation_strengths(grey[..., None]))
    assert flat.collections[0].get_segments() == []


def test_the_dictionary_is_drawn_word_by_word():
    images = torch.randint(256, (20, 9, 9, 3), dtype=torch.uint8)
    dictionary = patches.learn(images, words=6, size=4, patches=100)
    assert "all 6" in figures.patch_dictionary(dictionary).get_title(loc="left")
    assert "the first 4 of 6" in figures.patch_dictionary(dictionary, most=4).get_title(loc="left")


def test_strength_curves_mark_the_best():
    ax = figures.strength_curves([0, 1e-3, 1e-2, 1e-1], [0.9, 0.8, 0.7, 0.5], [0.5, 0.6, 0.65, 0.4])
    assert [text.get_text() for text in ax.texts] == ["0.01: 0.650"]
    assert [line.get_ydata().tolist() for line in ax.lines[:2]] == [[0.9, 0.8, 0.7, 0.5], [0.5, 0.6, 0.65, 0.4]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.001", "0.01", "0.1"]
    assert figures.strength_curves([0.1, 0.2], [1, 1], [0.5, 0.6]).get_xscale() == "linear"


def test_the_hinge_goes_flat_and_cross_entropy_does_not():
    """The lecture's first image: 3.2, 5.1, −1.7 with class 0 true: a hinge of 2.9, and 2.04 of surprise."""
    ax = figures.loss_against_score(BOTH)
    hinge, entropy = (line.get_ydata() for line in (ax.lines[0], ax.lines[2]))
    assert ax.lines[1].get_ydata()[0] == pytest.approx(2.9)
    assert ax.lines[3].get_ydata()[0] == pytest.approx(2.0403551528)
    assert (hinge[-50:] == 0).all()
    assert (np.diff(entropy) < 0).all()


@pytest.mark.parametrize(
    ("draw", "error"),
    [
        (lambda: figures.hog_glyphs(np.zeros((2, 16, 16, 3)), np.zeros((9, 2, 2))), ShapeError),
        (lambda: figures.strength_curves([1, 2], [1], [1, 2]), ShapeError),
        (lambda: figures.strength_curves([], [], []), ShapeError),
        (lambda: figures.strength_curves([-1], [1], [1]), ConfigError),
        (lambda: figures.loss_against_score(BOTH, target=3), ConfigError),
    ],
    ids=["a batch", "lengths", "none", "negative", "target"],
)
def test_what_cannot_be_drawn_is_refused(draw, error):
    with pytest.raises(error, match=r"one image|as many scores|0 or more|classes 0 to 2"):
        draw()


def test_settings_stay_and_files_are_written(tmp_path):
    before = dict(matplotlib.rcParams)
    figures.save(figures.loss_against_score(BOTH), tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 5000
    assert dict(matplotlib.rcParams) == before
