"""Hand-ins in the forms of courses that declare nothing: how they are read, and what is said of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edunn import cli, exercises

BENCH = Path(__file__).resolve().parent.parent / "scripts" / "bench"
sys.path.insert(0, str(BENCH))
import foreign  # noqa: E402
from handin_edits import EDITS  # noqa: E402

Capture = pytest.CaptureFixture[str]

# one hand-in of each style, by the changes that are made to it in the bench; the bench tries them all
PICKED = (
    "1/N forgotten in the value", "L2 factor 2 missing", "1/N forgotten + L2 factor 2 missing", "Σ W Wᵀ in the value",
    "true class's own term kept", "averaged in a layer", "mean and variance paths forgotten", "penalty on the bias",
    "penalty's bias entry set", "1 / 2 * m", "derivative of the score", "derivative in the scores",
    "gradient overwritten", "factors swapped", "square forgotten", "upstream forgotten", "margin missing",
)  # fmt: skip


def write(folder: Path, text: str, name: str = "handin.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def grade(folder: Path, text: str, name: str | None = None) -> exercises.Grade:
    (found,) = exercises.load(write(folder, text), name)
    return exercises.grade(found)


def list_picked() -> list[Any]:
    found, left = [], list(PICKED)
    for edit in EDITS:
        if edit[-1] in left:
            left.remove(edit[-1])
            found.append(pytest.param(edit, id=f"{edit[0]}: {edit[-1]}"))
    return found


class TestCorpus:
    @pytest.mark.parametrize("file", sorted({case.file for case in foreign.CASES}))
    def test_each_hand_in_of_a_file_is_right(self, file: str) -> None:
        names = {case.name for case in foreign.CASES if case.file == file}
        found = {one.name: one for one in exercises.load(foreign.FOLDER / f"{file}.py")}
        assert names <= set(found)
        for name in names:
            graded = exercises.grade(found[name])
            assert graded.status == "right", f"{name}: {graded.message}"

    @pytest.mark.parametrize("edit", list_picked())
    def test_a_mistake_is_found_and_named(self, edit: Any, tmp_path: Path) -> None:
        file, name, old, new, expected = edit
        text = (foreign.FOLDER / f"{file}.py").read_text(encoding="utf-8")
        assert old in text
        (handin,) = (one for one in exercises.load(write(tmp_path, text.replace(old, new))) if one.name == name)
        found = exercises.grade(handin)
        first = [one.names[:1] for one in found.mistakes if one.names[:1] != ("follows from an operation",)]
        assert (found.status, set(first)) == ("wrong", {(expected,)}), found.message

    def test_autograd_is_the_truth_and_knows_a_wrong_one(self) -> None:
        (case,) = (one for one in foreign.CASES if one.name == "softmax_loss_naive")
        text = (foreign.FOLDER / f"{case.file}.py").read_text(encoding="utf-8")
        assert foreign.is_right(case, text)
        assert not foreign.is_right(case, text.replace("dW += 2 * reg * W", "dW += reg * W"))

    @pytest.mark.slow
    def test_the_bench(self) -> None:
        found = foreign.measure(quiet=True)
        assert found["remarks"] == []
        assert (found["agree"], found["wrong_passed"], found["right_refused"]) == (1.0, 0, 0)
        assert found["hand_ins"] >= 120
        assert found["styles"] >= 8
        assert found["named"] >= 0.95
        assert found["misnamed"] <= 0.02


DENSE = """
import numpy as np
class Dense:
    def __init__(self, n_in, n_out, lr=0.1):
        self.W = np.random.randn(n_in, n_out)
        self.b = np.zeros({bias})
        self.lr = lr
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout{more}):
        dW, db = self.x.T @ dout, dout.sum(axis=0{keep})
        dx = dout @ self.W.T
        {rest}
"""


VECTORS = """
import numpy as np
class Regression:
    def __init__(self, n_features):
        self.theta, self.theta0 = np.zeros(n_features), np.zeros(1)
    def compute_cost(self, X, y):
        return np.mean((X @ self.theta + self.theta0 - y) ** 2)
    def compute_gradient(self, X, y):
        r = X @ self.theta + self.theta0 - y
        return 2 * X.T @ r / len(y), 2 * r.mean()
"""


class TestVectors:
    """A parameter's gradient may be a row, a column or a number, whatever its name; that of the data may not."""

    @pytest.mark.parametrize("turned", ["r.mean()", "r.mean(keepdims=True)", "r.mean().reshape(1, 1)"])
    def test_a_bias_of_one_entry(self, turned: str, tmp_path: Path) -> None:
        found = grade(tmp_path, VECTORS.replace("r.mean()", turned))
        assert found.status == "right", found.message
        assert grade(tmp_path, VECTORS.replace("2 * r.mean()", f"1.2 * {turned}")).status == "wrong"

    def test_the_gradient_of_a_weight_is_no_number(self, tmp_path: Path) -> None:
        text = VECTORS.replace("2 * X.T @ r / len(y),", "np.mean(X.T @ r),")
        assert grade(tmp_path, text).status != "right"

    def test_a_kept_gradient_of_another_size_is_wrong_and_not_missing(self, tmp_path: Path) -> None:
        text = (foreign.FOLDER / "models.py").read_text(encoding="utf-8")
        found = grade(tmp_path, text.replace("self.db1 = d.sum(axis=0)", "self.db1 = d.sum()"), "MLP")
        assert (found.status, [one.parameter for one in found.mistakes]) == ("wrong", ["b1"])


class TestLayers:
    @pytest.mark.parametrize(
        ("bias", "more", "keep", "rest"),
        [
            ("n_out", "", "", "return {'dx': dx, 'dW': dW, 'db': db}"),
            ("(1, n_out)", "", ", keepdims=True", "return dx, {'W': dW, 'b': db}"),
            ("n_out", "", "", "return [dx, dW, db]"),
            ("n_out", "", "", "self.dW, self.db = dW, db\n        return dx"),
            ("n_out", "", "", "self.grads = {'W': dW, 'b': db}\n        return dx"),
            ("n_out", ", learning_rate", "",
             "self.W -= learning_rate * dW\n        self.b -= learning_rate * db\n        return dx"),
            ("n_out", "", "",
             "self.W = self.W - self.lr * dW\n        self.b = self.b - self.lr * db\n        return dx"),
        ],
        ids=["dictionary", "dx and a dictionary", "list", "kept", "kept in grads", "rate in backward", "own rate"],
    )  # fmt: skip
    def test_where_the_gradients_are(self, bias: str, more: str, keep: str, rest: str, tmp_path: Path) -> None:
        text = DENSE.format(bias=bias, more=more, keep=keep, rest=rest)
        found = grade(tmp_path, text)
        assert found.status == "right", found.message
        assert len(found.rows) == 3
        wrong = grade(tmp_path, text.replace("self.x.T @ dout", "1.2 * self.x.T @ dout"))
        assert [one.parameter for one in wrong.mistakes] == ["weight"]

    def test_a_layer_that_averages_all_its_parameters_is_a_convention(self, tmp_path: Path) -> None:
        rest = "return dx, dW / len(dout), db / len(dout)"
        found = grade(tmp_path, DENSE.format(bias="n_out", more="", keep="", rest=rest))
        assert found.status == "right"
        assert any("mean over its samples" in note for note in found.notes)

    def test_a_module_of_torch(self, tmp_path: Path) -> None:
        text = """
from torch import nn, randn, zeros
class Mine(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight, self.bias = nn.Parameter(randn(n_out, n_in)), nn.Parameter(zeros(n_out))
    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias
    def backward(self, g):
        self.dweight, self.dbias = g.T @ self.x, g.sum(0)
        return g @ self.weight
"""
        assert grade(tmp_path, text).status == "right"
        assert grade(tmp_path, text.replace("g.sum(0)", "g.mean(0)")).status == "wrong"


class TestWhatIsSaid:
    TEXT = """import numpy as np


def loss(W, X, y, reg):
    n = len(y)
    s = X @ W
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    value = -np.log(p[np.arange(n), y]).mean() + reg * (W * W).sum()
    p[np.arange(n), y] -= 1
    dW = X.T @ p / n
    dW += reg * W
    return value, dW
"""

    def test_the_line_the_lesson_and_the_worst_entry(self, tmp_path: Path, capsys: Capture) -> None:
        assert cli.main(["check", str(write(tmp_path, self.TEXT)), "--json", "--quiet"]) == 1
        (found,) = json.loads(capsys.readouterr().out)["handins"]
        (mistake,) = found["mistakes"]
        assert mistake["mistakes"][0]["line"] == 12
        assert any("2 w_j" in line for line in mistake["mistakes"][0]["derivation"])
        assert found["lesson"] == "softmax"
        assert found["formula"].startswith("L = −1/N Σ_i log p")
        assert set(mistake["worst"][0]) == {"index", "hand", "right"}

    def test_the_derivation_is_printed_on_request(self, tmp_path: Path, capsys: Capture) -> None:
        path = str(write(tmp_path, self.TEXT))
        cli.main(["check", path, "--quiet"])
        assert "∂R/∂w_j" not in capsys.readouterr().out
        cli.main(["check", path, "--quiet", "--explain"])
        out = capsys.readouterr().out
        assert "∂R/∂w_j = λ · 2 w_j" in out
        assert "(line 12)" in out
        assert "edunn lesson softmax" in out

    def test_what_was_matched_is_said_and_can_be_overruled(self, tmp_path: Path) -> None:
        text = self.TEXT.replace("+= reg", "+= 2 * reg")
        assert "W = weight, X = features, y = targets, reg = strength" in grade(tmp_path, text).notes
        odd = text.replace("(W, X, y, reg)", "(one, two, three, four)").replace(
            "    n = len(y)", "    W, X, y, reg = three, two, four, one\n    n = len(y)"
        )
        told = odd + '\nMAP = {"three": "weight", "two": "features", "four": "targets", "one": "strength"}\n'
        found = grade(tmp_path, told)
        assert found.status == "right", found.message

    def test_nan_is_called_nan(self, tmp_path: Path) -> None:
        found = grade(tmp_path, self.TEXT.replace("np.log(p", "np.log(-p"))
        assert "nan" in found.message

    def test_a_crash_shows_its_type_and_line(self, tmp_path: Path) -> None:
        with pytest.raises(exercises.HandinError, match=r"line 11: NameError"):
            grade(tmp_path, self.TEXT.replace("X.T @ p / n", "X.T @ q / n"))


class TestNoExercise:
    """A value that the package does not know is its own witness."""

    def test_a_function_of_ones_own(self, tmp_path: Path) -> None:
        text = (
            "import numpy as np\ndef cost(w, X, y):\n    return np.sum(np.cosh(X @ w - y)) / len(y)\n"
            "def gradient(w, X, y):\n    return X.T @ np.sinh(X @ w - y) / len(y)\n"
        )
        assert grade(tmp_path, text).status == "right"
        found = grade(tmp_path, text.replace("np.sinh(X @ w - y) / len(y)", "np.sinh(X @ w - y)"))
        assert [one.names[0] for one in found.mistakes] == ["1/N forgotten"]

    def test_float32_inside(self, tmp_path: Path) -> None:
        text = (foreign.FOLDER / "single_inputs.py").read_text(encoding="utf-8")
        found = grade(tmp_path, text)
        assert found.status == "right", found.message
        assert any("float32" in note for note in found.notes)
        assert grade(tmp_path, text.replace("2 * reg * W", "reg * W")).status == "wrong"

    def test_a_helper_is_no_row(self, tmp_path: Path) -> None:
        text = (
            TestWhatIsSaid.TEXT + "\n\ndef accuracy(scores, labels):\n    return (scores == labels).mean(), 1\n"
            "def sigmoid(z):\n    return 1 / (1 + np.exp(-z))\n"
            "class Layer:\n    def forward(self, x):\n        return x\n"
        )
        assert [one.name for one in exercises.load(write(tmp_path, text))] == ["loss"]
