"""Progress is shown on stderr for what takes long, and only on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edunn import exercises, gradcheck, landscape, lessons
from edunn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from edunn.runtime import progress

X = torch.linspace(-2, 2, 40, dtype=torch.float64)
Y = (X > 0.3).double()


class Odd(Loss):
    """A loss that no method but `direct` knows."""

    labels = "bits"

    def pointwise(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (scores - targets).abs().sqrt()

    def pointwise_gradient(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (scores - targets).sign() / (2 * (scores - targets).abs().sqrt())


def net_surface() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    data = (X.float().unsqueeze(1), Y.long())
    landscape.plane(net, CrossEntropy(), data, a=(-1, 1, 5), b=(-1, 1, 5), method="direct")


def own_loss() -> None:
    landscape.grid(X, Y, Odd(), w=(-2, 2, 9), b=(-2, 2, 9), method="direct")


def basins() -> None:
    landscape.grid(X, Y, BinaryCrossEntropy(), w=(-2, 2, 9), b=(-2, 2, 9)).basins(rate=1.0, steps=100)


def one_hand_in(folder: Path) -> None:
    (folder / "hinge.py").write_text(exercises.write_blank("hinge"))
    exercises.grade_folder(folder)


LONG: dict[str, Callable[[], object]] = {
    "surface": own_loss,
    "basins": basins,
    "gradients": lambda: gradcheck.everything(),
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stderr as a terminal, and no two seconds to wait."""
    monkeypatch.setattr(progress, "on_terminal", lambda: not progress.QUIET.get())
    monkeypatch.setattr(progress, "DELAY", 0)


@pytest.mark.parametrize("what", LONG)
@pytest.mark.usefixtures("terminal")
def test_what_takes_long_shows_how_far_it_is(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    LONG[what]()
    shown = capsys.readouterr()
    assert f"{what}: " in shown.err
    assert "%" in shown.err
    assert shown.out == ""
    with progress.quiet():
        LONG[what]()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("what", ["surface", "basins"])
def test_nothing_is_shown_where_stderr_is_no_terminal(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    LONG[what]()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("terminal")
def test_a_net_a_folder_and_all_lessons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net_surface()
    assert "surface: " in capsys.readouterr().err
    one_hand_in(tmp_path)
    assert "hand-ins: 100%" in capsys.readouterr().err
    two = dict(list(lessons.lessons().items())[:2])
    monkeypatch.setattr(lessons, "lessons", lambda: two)
    lessons.rows()
    assert "lessons: " in capsys.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "DELAY", 2.0)
    assert list(progress.track(range(3), "three")) == [0, 1, 2]
    assert capsys.readouterr().err.strip("\r ") == ""
