"""Hand-ins in the styles that courses hand out, right and wrong, written for these tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edunn import cli, exercises

Capture = pytest.CaptureFixture[str]


def grade(folder: Path, text: str, name: str | None = None) -> exercises.Grade:
    path = folder / "handin.py"
    path.write_text("import numpy as np\n" + text, encoding="utf-8")
    (found,) = exercises.load(path, name)
    return exercises.grade(found)


def names(found: exercises.Grade) -> list[str]:
    """The first name of each wrong gradient."""
    return [one.names[0] if one.names else "" for one in found.mistakes]


SOFTMAX = """
def softmax_loss_vectorized(W, X, y, reg):
    N = X.shape[0]
    s = X.dot(W)
    s -= s.max(axis=1, keepdims=True)
    p = np.exp(s)
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).sum() / N + reg * np.sum(W * W)
    p[np.arange(N), y] -= 1
    dW = X.T.dot(p) / N + 2 * reg * W
    return loss, dW
"""
NAIVE = """
def softmax_loss_naive(W, X, y, reg):
    loss = 0.0
    dW = np.zeros_like(W)
    for i in range(X.shape[0]):
        s = X[i].dot(W)
        e = np.exp(s - np.max(s))
        p = e / np.sum(e)
        loss += -np.log(p[y[i]])
        for c in range(W.shape[1]):
            dW[:, c] += (p[c] - (c == y[i])) * X[i]
    loss = loss / X.shape[0] + reg * np.sum(W ** 2)
    dW = dW / X.shape[0] + 2 * reg * W
    return loss, dW
"""
SVM = """
def svm_loss(W, X, y, reg):
    N = len(y)
    s = X @ W
    m = np.maximum(0, s - s[np.arange(N), y].reshape(-1, 1) + 1)
    m[np.arange(N), y] = 0
    loss = m.sum() / N + reg * (W * W).sum()
    g = (m > 0).astype(float)
    g[np.arange(N), y] = -g.sum(axis=1)
    dW = X.T @ g / N + 2 * reg * W
    return loss, dW
"""
CLASS = """
class Mine:
    task = "squared-error"
    def value(self, scores, targets):
        return np.mean((scores - targets) ** 2)
    def gradient(self, scores, targets):
        return 2 * (scores - targets) / len(scores)
"""


class TestNeverRightOnNothing:
    @pytest.mark.parametrize(
        "text",
        [
            "def softmax(W, X, y, reg):\n    return 0.0, np.zeros_like(W)\n",
            "def softmax(W, X, y, reg):\n    loss = 0.0\n    dW = np.zeros(W.shape)\n    return loss, dW\n",
            "def softmax(W, X, y, reg):\n    return None, None\n",
            "def softmax(W, X, y, reg):\n    return ..., ...\n",
            CLASS.replace("np.mean((scores - targets) ** 2)", "3.0"),
            CLASS.replace("2 * (scores - targets) / len(scores)", "..."),
            CLASS.replace("return 2 * (scores - targets) / len(scores)", "pass"),
            CLASS.replace("2 * (scores - targets) / len(scores)", "2 * ... / len(scores)"),
        ],
        ids=["zeros", "skeleton", "None", "dots", "constant", "a blank gradient", "no return", "dots inside"],
    )
    def test_what_is_blank_is_unfinished(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(exercises.Unfinished):
            grade(tmp_path, text)

    def test_a_value_and_a_gradient_that_are_both_negated(self, tmp_path: Path) -> None:
        text = CLASS.replace("np.mean(", "-np.mean(").replace("return 2 *", "return -2 *")
        found = grade(tmp_path, text)
        assert (found.status, names(found)) == ("wrong", ["value negated"])

    def test_a_penalty_that_is_subtracted(self, tmp_path: Path) -> None:
        found = grade(tmp_path, SOFTMAX.replace("+ reg *", "- reg *").replace("+ 2 * reg", "- 2 * reg"))
        assert (found.status, names(found)) == ("wrong", ["penalty subtracted"])

    def test_a_count_that_is_written_as_a_number(self, tmp_path: Path) -> None:
        text = CLASS.replace("np.mean(", "1 / 7 * np.sum(").replace("len(scores)", "7")
        found = grade(tmp_path, text)
        assert (found.status, names(found)) == ("wrong", ["count written as a number"])

    def test_a_count_in_the_gradient_alone(self, tmp_path: Path) -> None:
        found = grade(tmp_path, CLASS.replace("len(scores)", "7"))
        assert (found.status, names(found)) == ("wrong", ["count written as a number"])

    @pytest.mark.parametrize("factor", ["np.sum", "0.5 * np.sum", "2 * np.mean"])
    def test_a_sum_and_a_factor_are_right(self, factor: str, tmp_path: Path) -> None:
        scale = {"np.sum": "1", "0.5 * np.sum": "0.5", "2 * np.mean": "2 / len(scores)"}[factor]
        text = CLASS.replace("np.mean", factor).replace("/ len(scores)", f"* {scale}")
        assert grade(tmp_path, text).status == "right"


OWN = """
def inputs(seed):
    rng = np.random.default_rng(seed)
    return {"w": float(rng.normal()), "b": float(rng.normal()), "x": rng.integers(5, size=4)}
def line(w, b, x):
    r = w * x + b
    return np.sum(r ** 2), GRADIENT
"""


class TestKeys:
    @pytest.mark.parametrize(
        ("gradient", "status"),
        [
            ('{"w": 2 * np.sum(r * x), "b": 2 * np.sum(r)}', "right"),
            ('{"dw": 2 * np.sum(r * x), "db": 2 * np.sum(r)}', "right"),
            ('{"w": 2 * np.sum(r * x), "db": 1000.0}', "wrong"),
            ("[2 * np.sum(r * x), 2 * np.sum(r)]", "right"),
        ],
        ids=["names", "d", "an unlooked-at one", "a list"],
    )
    def test_keys_are_read_by_what_they_mean(self, gradient: str, status: str, tmp_path: Path) -> None:
        assert grade(tmp_path, OWN.replace("GRADIENT", gradient)).status == status

    def test_an_unknown_key_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(exercises.HandinError, match="'velocity'"):
            grade(tmp_path, OWN.replace("GRADIENT", '{"w": 2 * np.sum(r * x), "velocity": 1.0}'))

    def test_an_argument_without_a_gradient_is_named(self, tmp_path: Path) -> None:
        found = grade(tmp_path, OWN.replace("GRADIENT", '{"w": 2 * np.sum(r * x)}'))
        assert "no gradient was handed in for b" in found.notes

    def test_inputs_of_whole_numbers_alone_are_refused_with_a_sentence(self, tmp_path: Path) -> None:
        text = 'def inputs(seed):\n    return {"x": np.arange(3)}\ndef f(x):\n    return x.sum(), x\n'
        with pytest.raises(exercises.HandinError, match="whole numbers"):
            grade(tmp_path, text)


class TestDerivedBy:
    def test_autograd(self, tmp_path: Path) -> None:
        text = """
import torch
class Mine:
    task = "squared-error"
    def value(self, scores, targets):
        return ((scores - targets) ** 2).mean()
    def gradient(self, scores, targets):
        scores = scores.requires_grad_()
        self.value(scores, targets).backward()
        return scores.grad
"""
        found = grade(tmp_path, text)
        assert found.status == "right", found.message
        assert "derived by autograd" in found.notes

    def test_differences(self, tmp_path: Path) -> None:
        text = CLASS.replace(
            "return 2 * (scores - targets) / len(scores)",
            "e = np.eye(len(scores)) * 1e-4\n"
            "        return np.array([(self.value(scores + h, targets) - self.value(scores - h, targets)) / 2e-4 "
            "for h in e])",
        )
        found = grade(tmp_path, text)
        assert found.status == "right", found.message
        assert "derived by differences" in found.notes

    def test_super(self, tmp_path: Path) -> None:
        blank = exercises.write_blank("squared-error")
        start = blank.index("        raise NotImplementedError")
        end = blank.index("class ", start)
        text = blank[:start] + "        return super().pointwise_gradient(scores, targets)\n\n\n" + blank[end:]
        found = grade(tmp_path, text)
        assert found.status == "right", found.message
        assert any(note.startswith("derived by the package's own") for note in found.notes)

    def test_the_printed_solution(self, tmp_path: Path) -> None:
        found = grade(tmp_path, exercises.write_blank("cross-entropy", solution=True))
        assert found.status == "right", found.message
        assert "derived by the printed solution, word for word" in found.notes

    def test_by_hand_has_no_note(self, tmp_path: Path) -> None:
        assert not [note for note in grade(tmp_path, NAIVE).notes if "derived" in note]


class TestCourseFunctions:
    """`(W, X, y, reg)` → `(loss, dW)`, with nothing added."""

    @pytest.mark.parametrize(
        ("text", "task"),
        [(SOFTMAX, "softmax-classifier"), (NAIVE, "softmax-classifier"), (SVM, "multiclass-svm")],
        ids=["softmax", "loops", "svm"],
    )
    def test_right(self, text: str, task: str, tmp_path: Path) -> None:
        found = grade(tmp_path, text)
        assert (found.status, found.task) == ("right", task), found.message

    @pytest.mark.parametrize(
        ("text", "old", "new", "name"),
        [
            (SOFTMAX, "+ 2 * reg * W", "+ reg * W", "L2 factor 2 missing"),
            (NAIVE, "reg * np.sum(W ** 2)", "0.5 * reg * np.sum(W ** 2)", "L2 factor 2 too many"),
            (SOFTMAX, "X.T.dot(p) / N", "X.T.dot(p)", "1/N forgotten"),
            (SVM, "X.T @ g / N", "X.T @ g", "1/N forgotten"),
            (SVM, "m[np.arange(N), y] = 0\n    loss", "loss", "true class's own term kept"),
            (SOFTMAX, "+ reg * np.sum(W * W)", "+ np.sum(W * W)", "strength forgotten in the value"),
            (SVM, "+ reg * (W * W).sum()", "", "penalty forgotten in the value"),
            (SVM, " + 2 * reg * W", "", "penalty forgotten"),
            (SOFTMAX, "2 * reg * W", "2 * W", "strength forgotten"),
            (SOFTMAX, "    p[np.arange(N), y] -= 1\n", "", "true class not subtracted"),
        ],
    )
    def test_wrong_and_named(self, text: str, old: str, new: str, name: str, tmp_path: Path) -> None:
        assert old in text
        found = grade(tmp_path, text.replace(old, new))
        assert (found.status, names(found)) == ("wrong", [name]), found.message

    def test_both_functions_of_a_file(self, tmp_path: Path, capsys: Capture) -> None:
        path = tmp_path / "softmax.py"
        path.write_text("import numpy as np\n" + NAIVE + SOFTMAX.replace("2 * reg * W", "reg * W"))
        assert cli.main(["check", str(path), "--json", "--quiet"]) == 1
        one, two = json.loads(capsys.readouterr().out)["handins"]
        assert (one["name"], one["status"]) == ("softmax_loss_naive", "right")
        assert (two["name"], two["status"]) == ("softmax_loss_vectorized", "wrong")
        assert two["mistakes"][0]["mistakes"][0]["name"] == "L2 factor 2 missing"
