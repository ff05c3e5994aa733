"""Hand-ins that are a function: right ones written apart from the package, typical mistakes by their names, the edges.

`RIGHT` is numpy, written from the formulas alone: an oracle of the package's own answers as much as a hand-in. `WRONG`
plants mistakes in it as a student would make them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from edunn import cli, differences, exercises, neighbours
from edunn.exercises import EXERCISES, FunctionExercise
from edunn.exercises.table.functions import EditedSource, edit
from edunn.features import hog, hue_histogram, loops

FUNCTIONS = {name: one for name, one in EXERCISES.items() if isinstance(one, FunctionExercise)}
Capture = pytest.CaptureFixture[str]
HEAD = "import math\n\nimport numpy as np\n\n"
STEPS = """def {name}(start, gradients, rate):
    w = start.copy()
    {before}
    for t, g in enumerate(gradients, 1):
        {each}
    return w
"""


def steps(name: str, before: str, *each: str) -> str:
    return STEPS.format(name=name, before=before, each="\n        ".join(each))


RIGHT: dict[str, str] = {
    "gradient-descent": steps("gradient_descent", "pass", "w = w - rate * g"),
    "momentum": steps("momentum", "v = 0 * w", "v = 0.9 * v + g", "w = w - rate * v"),
    "nesterov": steps("nesterov", "v = 0 * w", "v = 0.9 * v + g", "w = w - rate * (g + 0.9 * v)"),
    "adagrad": steps("adagrad", "G = 0 * w", "G = G + g**2", "w = w - rate * g / (np.sqrt(G) + 1e-10)"),
    "rmsprop": steps("rmsprop", "G = 0 * w", "G = 0.99 * G + 0.01 * g**2", "w = w - rate * g / (np.sqrt(G) + 1e-8)"),
    "adam": steps(
        "adam",
        "m, G = 0 * w, 0 * w",
        "m = 0.9 * m + 0.1 * g",
        "G = 0.999 * G + 0.001 * g**2",
        "m_hat, G_hat = m / (1 - 0.9**t), G / (1 - 0.999**t)",
        "w = w - rate * m_hat / (np.sqrt(G_hat) + 1e-8)",
    ),
    "adamw": steps(
        "adamw",
        "m, G = 0 * w, 0 * w",
        "m = 0.9 * m + 0.1 * g",
        "G = 0.999 * G + 0.001 * g**2",
        "w = (1 - rate * 0.01) * w",
        "m_hat, G_hat = m / (1 - 0.9**t), G / (1 - 0.999**t)",
        "w = w - rate * m_hat / (np.sqrt(G_hat) + 1e-8)",
    ),
    "clipping": """def clipping(weight, bias, norm, value):
    g = np.concatenate([weight.ravel(), bias.ravel()])
    return np.concatenate([g * min(1, norm / (np.sqrt((g**2).sum()) + 1e-6)), np.clip(g, -value, value)])
""",
    "weighted-mean": """def weighted_mean(values, weights):
    return (weights * values).sum(axis=-1) / weights.sum(axis=-1)
""",
    "standardise": """def standardise(features, scale, shift):
    mean = features.mean(axis=0)
    variance = features.var(axis=0)
    return scale * (features - mean) / np.sqrt(variance + 1e-5) + shift
""",
    "stable-softmax": """def stable_softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
""",
    "stable-cross-entropy": """def stable_cross_entropy(scores, targets):
    return np.logaddexp(0, scores) - targets * scores
""",
    "hog-cell": """def hog_cell(row, column, orientations):
    h = np.zeros(orientations)
    angle = np.degrees(np.arctan2(row, column)) % 180
    bins = np.minimum((angle * orientations / 180).astype(int), orientations - 1)
    np.add.at(h, bins.ravel(), np.sqrt(row**2 + column**2).ravel())
    return h / row.size
""",
    "hog-block": """def hog_block(blocks):
    v = blocks / np.sqrt((blocks**2).sum(axis=1, keepdims=True) + 1e-5**2)
    v = np.minimum(v, 0.2)
    return v / np.sqrt((v**2).sum(axis=1, keepdims=True) + 1e-5**2)
""",
    "hue-histogram": """import colorsys


def hue_histogram(image, bins):
    h = np.zeros(bins)
    for r, g, b in image.reshape(-1, 3):
        h[int(colorsys.rgb_to_hsv(r, g, b)[0] * bins)] += 1
    return h / (image.shape[0] * image.shape[1])
""",
    "knn-distances": """def knn_distances(queries, features):
    q, a = (queries**2).sum(axis=1), (features**2).sum(axis=1)
    return np.maximum(q[:, None] - 2 * queries @ features.T + a[None], 0)
""",
    "knn-vote": """def knn_vote(distances, labels):
    answer = np.zeros(len(labels), dtype=int)
    for i, (near, mine) in enumerate(zip(distances, labels)):
        counts = {c: (mine == c).sum() for c in mine}
        nearest = {c: near[mine == c].min() for c in mine}
        answer[i] = min(counts, key=lambda c: (-counts[c], nearest[c], c))
    return answer
""",
    "two-point-gradient": """def two_point_gradient(function, point, step):
    g = np.zeros_like(point)
    for at in np.ndindex(point.shape):
        e = np.zeros_like(point)
        e[at] = step
        g[at] = (function(point + e) - function(point - e)) / (2 * step)
    return g
""",
    "numeric-gradient": """def numeric_gradient(function, point):
    g, h = np.zeros_like(point), 1e-3
    for at in np.ndindex(point.shape):
        e = np.zeros_like(point)
        e[at] = h
        near, far = function(point + e) - function(point - e), function(point + 2 * e) - function(point - 2 * e)
        g[at] = (8 * near - far) / (12 * h)
    return g
""",
}

# task, what is replaced in the right text, by what, and the name that is expected
WRONG = [
    ("gradient-descent", "w - rate", "w + rate", "wrong sign"),
    ("gradient-descent", "rate * g", "g", "rate forgotten"),
    ("gradient-descent", "rate * g", "rate**2 * g", "rate taken twice"),
    ("momentum", "v = 0.9 * v + g", "v = g", "velocity not kept"),
    ("momentum", "v = 0.9 * v + g", "v = 0.9 * v + 0.1 * g", "g damped by 1 − μ"),
    ("momentum", "rate * v", "rate * (g + 0.9 * v)", "Nesterov's step"),
    ("nesterov", "(g + 0.9 * v)", "v", "plain momentum"),
    ("nesterov", "(g + 0.9 * v)", "(g + v)", "μ forgotten"),
    ("nesterov", "(g + 0.9 * v)", "(0.9 * v)", "g forgotten"),
    ("adagrad", "np.sqrt(G)", "G", "root forgotten"),
    ("adagrad", "G = G + g**2", "G = g**2", "G not kept"),
    ("adagrad", "np.sqrt(G) + 1e-10", "np.sqrt(G + 1e-10)", "ε under the root"),
    ("adagrad", " + 1e-10", "", "ε forgotten"),
    ("rmsprop", "np.sqrt(G)", "G", "root forgotten"),
    ("rmsprop", "0.01 * g**2", "g**2", "1 − ρ forgotten"),
    ("rmsprop", "0.99 * G + 0.01 *", "0.01 * G + 0.99 *", "ρ and 1 − ρ swapped"),
    ("rmsprop", "np.sqrt(G) + 1e-8", "np.sqrt(G + 1e-8)", "ε under the root"),
    ("adam", "m / (1 - 0.9**t), G / (1 - 0.999**t)", "m, G", "bias correction forgotten"),
    ("adam", "G / (1 - 0.999**t)", "G", "bias correction of G forgotten"),
    ("adam", "**t", "", "t stays 1"),
    ("adam", "np.sqrt(G_hat)", "G_hat", "root forgotten"),
    ("adam", "np.sqrt(G_hat) + 1e-8", "np.sqrt(G_hat + 1e-8)", "ε under the root"),
    ("adam", "0.1 * g", "g", None),  # two mistakes at once would be needed: m alone is a sum
    ("adamw", "(1 - rate * 0.01) * w", "w", "decay forgotten"),
    ("adamw", "rate * 0.01", "0.01", "rate forgotten"),
    ("adamw", "1 - rate * 0.01", "1 + rate * 0.01", "wrong sign"),
    ("adamw", "rate * 0.01", "rate * 0.02", "λ taken twice"),
    ("adamw", "    m = 0.9 * m", "    g = g + 0.01 * w\n        m = 0.9 * m", None),  # and the decay itself
    ("clipping", "min(1, norm / (np.sqrt((g**2).sum()) + 1e-6))", "norm / (np.sqrt((g**2).sum()) + 1e-6)",
     "short gradients grow"),
    ("clipping", "np.sqrt((g**2).sum())", "(g**2).sum()", "norm squared"),
    ("clipping", "np.sqrt((g**2).sum())", "(np.sqrt((weight**2).sum()) + np.sqrt((bias**2).sum()))", "norms added"),
    ("clipping", "np.clip(g, -value, value)", "np.minimum(g, value)", "one side only"),
    ("weighted-mean", " / weights.sum(axis=-1)", " / weights.shape[-1]", "divided by N"),
    ("weighted-mean", " / weights.sum(axis=-1)", "", "not divided"),
    ("weighted-mean", " / weights.sum(axis=-1)", " / weights.max(axis=-1)", "divided by the largest weight"),
    ("standardise", "np.sqrt(variance + 1e-5)", "(variance + 1e-5)", "square root forgotten"),
    ("standardise", "features.var(axis=0)", "features.var(axis=0, ddof=1)", "n − 1 in place of n"),
    ("standardise", "np.sqrt(variance + 1e-5)", "(np.sqrt(variance) + 1e-5)", "ε outside the root"),
    ("standardise", "(features - mean)", "features", "mean not subtracted"),
    ("standardise", "axis=0", "axis=1, keepdims=True", "wrong axis"),
    ("stable-softmax", " - scores.max(axis=1, keepdims=True)", "", "not shifted"),
    ("stable-softmax", "scores.max(axis=1, keepdims=True)", "scores.max()", "largest of the whole batch"),
    ("stable-softmax", "e.sum(axis=1, keepdims=True)", "e.sum()", "summed over everything"),
    ("stable-softmax", "scores - scores.max", "scores + scores.max", "largest score added"),
    ("stable-cross-entropy", "np.logaddexp(0, scores)", "np.log(1 + np.exp(scores))", "e^s overflows"),
    ("stable-cross-entropy", "np.logaddexp(0, scores) - targets * scores",
     "-targets * np.log(1 / (1 + np.exp(-scores))) - (1 - targets) * np.log(1 - 1 / (1 + np.exp(-scores)))",
     "from σ(s)"),
    ("stable-cross-entropy", "- targets * scores", "+ targets * scores", "wrong sign of y s"),
    ("hog-cell", "% 180", "% 360", "angle not taken modulo 180°"),
    ("hog-cell", "np.degrees(np.arctan2(row, column)) % 180", "np.abs(np.degrees(np.arctan2(row, column)))",
     "sign of the angle dropped"),
    ("hog-cell", "np.sqrt(row**2 + column**2)", "(row**2 + column**2)", "square root forgotten"),
    ("hog-cell", " / row.size", "", "1/n forgotten"),
    ("hog-cell", "np.arctan2(row, column)", "np.arctan2(column, row)", "row and column swapped"),
    ("hog-block", "np.sqrt", "", "square root forgotten"),
    ("hog-block", "    v = np.minimum(v, 0.2)\n", "", "not cut off"),
    ("hog-block", "v / np.sqrt((v**2).sum(axis=1, keepdims=True) + 1e-5**2)", "v", "not divided again"),
    ("hog-block", "1e-5**2", "1e-5", "ε not squared"),
    ("hue-histogram", " / (image.shape[0] * image.shape[1])", "", "1/n forgotten"),
    ("hue-histogram", "        h[int(", "        if max(r, g, b) > min(r, g, b): h[int(", "grey pixels left out"),
    ("knn-distances", "2 * queries", "queries", "2 forgotten"),
    ("knn-distances", "np.maximum(q[:, None] - 2 * queries @ features.T + a[None], 0)",
     "np.sqrt(np.maximum(q[:, None] - 2 * queries @ features.T + a[None], 0))", "root taken"),
    ("knn-distances", "q[:, None] - 2", "-2", "|q|² forgotten"),
    ("knn-distances", "- 2 *", "+ 2 *", "wrong sign"),
    ("knn-vote", "(-counts[c], nearest[c], c)", "(-counts[c], c)", "ties to the smaller label"),
    ("knn-vote", "(-counts[c], nearest[c], c)", "(nearest[c], c)", "votes not counted"),
    ("knn-vote", "(-counts[c], nearest[c], c)", "(-counts[c], -c)", "ties to the larger label"),
    ("two-point-gradient", "(2 * step)", "step", "h in place of 2h"),
    ("two-point-gradient", "(function(point + e) - function(point - e)) / (2 * step)",
     "(function(point + e) - function(point)) / step", "one-sided"),
    ("two-point-gradient", "point - e", "point - 2 * e", "lopsided"),
    ("two-point-gradient", "e = np.zeros_like(point)", "e = np.full_like(point, step)", "all entries moved at once"),
    ("numeric-gradient", "(12 * h)", "12", "not divided"),
    ("numeric-gradient", "(12 * h)", "(12 * h**2)", "1/h twice"),
    ("numeric-gradient", "8 * near - far", "far - 8 * near", "wrong sign"),
    ("numeric-gradient", "e[at] = h", "e[:] = h", None),
]  # fmt: skip


def graded(folder: Path, text: str, head: str = HEAD) -> exercises.Grade:
    path = folder / "handin.py"
    path.write_text(head + text, encoding="utf-8")
    (found,) = exercises.load(path)
    return exercises.grade(found)


# ---- the table -------------------------------------------------------------------------------------------------------


def test_every_function_has_a_right_solution_written_apart() -> None:
    assert set(RIGHT) == set(FUNCTIONS)


@pytest.mark.parametrize("task", FUNCTIONS)
def test_the_formula_written_apart_is_right(task: str, tmp_path: Path) -> None:
    grade = graded(tmp_path, RIGHT[task])
    assert (grade.task, grade.status) == (task, "right"), grade.message
    assert grade.notes == ()
    assert len(grade.rows) == len(FUNCTIONS[task].cases(0)) >= 5


@pytest.mark.parametrize(("task", "old", "new", "name"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_found_and_named(task: str, old: str, new: str, name: str | None, tmp_path: Path) -> None:
    assert old in RIGHT[task]
    grade = graded(tmp_path, RIGHT[task].replace(old, new))
    assert grade.status == "wrong"
    assert grade.mistakes[0].names[:1] == ((name,) if name else ())
    if name is None:
        assert grade.mistakes[0].worst  # without a name the entries that differ most are shown


def test_two_mistakes_or_more_of_every_function_are_named() -> None:
    named = Counter(task for task, _, _, name in WRONG if name)
    assert all(named[task] >= 2 for task in FUNCTIONS), named


@pytest.mark.parametrize("task", FUNCTIONS)
def test_every_mistake_of_the_table_can_be_told_from_the_right_answer_and_from_the_others(task: str) -> None:
    """Each edit is in the source (it raises otherwise), changes some case, and no two give the same everywhere."""
    own = FUNCTIONS[task]
    cases = own.cases(3).values()

    def answers(function: Any) -> str:
        found = []
        for arguments in cases:
            try:
                found.append(repr(own.answer(function, arguments).double().tolist()))
            except (RuntimeError, TypeError, ValueError) as error:
                found.append(type(error).__name__)
        return "; ".join(found)

    planted = {}
    for mistake in own.mistakes:
        assert isinstance(mistake.gives, EditedSource)
        planted[mistake.name] = answers(own.cut[0].edit(mistake.gives.edits))
    assert len({answers(own.reference), *planted.values()}) == 1 + len(own.mistakes)


def test_the_source_that_is_edited_is_the_reference() -> None:
    for own in FUNCTIONS.values():
        for arguments in own.cases(5).values():
            assert torch.equal(own.answer(own.cut[0].edit(()), arguments), own.answer(own.reference, arguments))


def test_a_source_that_has_changed_says_which_mistake_no_longer_fits() -> None:
    mistake = edit("s", "", ("nothing like it", ""))
    assert isinstance(mistake.gives, EditedSource)
    with pytest.raises(LookupError, match="is not in the package's source any more"):
        FUNCTIONS["adam"].cut[0].edit(mistake.gives.edits)


# ---- the package's plain forms against its fast ones ----------------------------------------------------------------


def test_the_cell_by_loops_is_the_cell_of_hog() -> None:
    images = torch.randint(256, (3, 24, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    row, column, magnitude = hog.strongest_gradients(hog.to_last_axis(images, torch.float64))
    for orientations in (4, 6, 9, 12):
        fast = hog.cell_histograms(row, column, magnitude, orientations, (8, 8))
        for i, down, right in ((0, 0, 0), (1, 2, 1), (2, 1, 0)):
            cell = (slice(8 * down, 8 * down + 8), slice(8 * right, 8 * right + 8), i)
            slow = loops.cell_histogram(row[cell], column[cell], orientations)
            torch.testing.assert_close(slow, fast[:, down, right, i], rtol=1e-12, atol=1e-12)


def test_hues_by_loops_are_those_of_the_batch() -> None:
    images = torch.rand(4, 9, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    images[0, 0] = 0.5  # grey
    images[1, :, 0] = torch.tensor([1.0, 0.0, 0.5])
    for bins in (1, 7, 10):
        slow = torch.stack([loops.hue_histogram_by_loops(image, bins) for image in images])
        assert torch.equal(slow, hue_histogram(images, bins))


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 1), (0, 4, 2), (3, 2, 40)], ids=str)
def test_distances_in_three_ways(shape: tuple[int, int, int]) -> None:
    source = torch.Generator().manual_seed(2)
    queries = torch.randn(shape[0], shape[2], generator=source, dtype=torch.float64)
    features = torch.randn(shape[1], shape[2], generator=source, dtype=torch.float64)
    two = neighbours.by_two_loops(queries, features)
    torch.testing.assert_close(neighbours.by_one_loop(queries, features), two, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(neighbours.by_product(queries, features), two, rtol=1e-12, atol=1e-12)


def test_the_product_is_never_negative_and_loses_what_it_says() -> None:
    a = torch.randn(50, 9, generator=torch.Generator().manual_seed(3)) + 100
    assert float(neighbours.by_product(a, a).min()) >= 0
    near = torch.tensor([[10_000.0]]), torch.tensor([[10_001.0]])
    assert float(neighbours.by_product(*near)) == 0 < float(neighbours.by_one_loop(*near)) == 1


def test_two_points_give_nine_digits() -> None:
    point = torch.randn(2, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    before = point.clone()
    found = differences.two_point_gradient(lambda x: (x.sin() * x).sum(), point)
    assert torch.equal(point, before)
    assert differences.relative_error(found, point.sin() + point * point.cos()) < 1e-8


# ---- the protocol ----------------------------------------------------------------------------------------------------


AS_CLASS = """class Mine:
    task = "knn-distances"

    def answer(self, features, queries):
        return ((queries[:, None] - features[None]) ** 2).sum(-1)
"""
UNDER_TASK = """TASK = "knn-distances"


def square(x, y):
    return (x - y) ** 2


def whatever(queries, features):
    return square(queries[:, None], features[None]).sum(-1)
"""
IN_TORCH = """import torch


def stable_softmax(scores):
    return torch.softmax(scores, -1)
"""
NUMPY_BESIDE_TORCH = "import torch\n" + RIGHT["stable-softmax"]
LISTS = """def gradient_descent(start, gradients, rate):
    w = start.tolist()
    for g in gradients.tolist():
        w = [a - rate * b for a, b in zip(w, g)]
    return w
"""


@pytest.mark.parametrize(
    "text",
    [AS_CLASS, UNDER_TASK, IN_TORCH, NUMPY_BESIDE_TORCH, LISTS],
    ids=[
        "a class, by the names of its arguments",
        "under TASK, beside a helper",
        "torch",
        "numpy beside torch",
        "lists",
    ],
)
def test_forms_that_are_right(text: str, tmp_path: Path) -> None:
    grade = graded(tmp_path, text)
    assert grade.status == "right", grade.message


def test_a_function_and_a_gradient_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "both.py"
    mse = """
def squared_error(scores, targets):
    return np.mean((scores - targets) ** 2)


def squared_error_gradient(scores, targets):
    return 2 * (scores - targets) / len(scores)
"""
    path.write_text(HEAD + RIGHT["momentum"] + mse, encoding="utf-8")
    grades = {found.name: exercises.grade(found) for found in exercises.load(path)}
    assert {name: grade.status for name, grade in grades.items()} == {"momentum": "right", "squared_error": "right"}


def test_what_breaks_at_an_edge_is_wrong_there_and_looked_at_elsewhere(tmp_path: Path) -> None:
    text = RIGHT["knn-vote"].replace("answer = np", "assert len(labels)\n    answer = np")
    grade = graded(tmp_path, text)
    assert grade.status == "wrong"
    assert [(row.case, row.note) for row in grade.rows if not row.passed] == [
        ("no query", "handin.py, line 6: AssertionError")
    ]
    assert "no query: handin.py, line 6: AssertionError" in grade.message


def test_what_breaks_everywhere_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(exercises.HandinError, match=r"handin\.py, line 7: NameError"):
        graded(tmp_path, RIGHT["momentum"].replace("v = 0 * w", "v = mu"))


def test_an_answer_of_another_shape_says_so(tmp_path: Path) -> None:
    grade = graded(tmp_path, RIGHT["knn-distances"].replace("q[:, None]", "q[:, None, None]"))
    assert grade.status == "wrong"
    assert "expected an answer of shape (5, 7); got (5, 5, 7)" in grade.message


def test_an_answer_that_is_not_finite_says_so(tmp_path: Path) -> None:
    grade = graded(tmp_path, RIGHT["adagrad"].replace(" + 1e-10", ""))
    noted = {row.case: row.note for row in grade.rows if row.note}
    assert noted == {"gradients of 0": "the answer is not finite, and should be"}


def test_float32_is_right_with_a_note(tmp_path: Path) -> None:
    text = RIGHT["hog-block"].replace("(blocks):\n", "(blocks):\n    blocks = blocks.astype(np.float32)\n")
    grade = graded(tmp_path, text)
    assert grade.status == "right", grade.message
    assert any("float32" in note for note in grade.notes)


def test_arguments_changed_in_place_are_noted(tmp_path: Path) -> None:
    grade = graded(
        tmp_path, RIGHT["gradient-descent"].replace("w = start.copy()", "w = start").replace("w = w -", "w -=")
    )
    assert "the function changes its argument start in place" in grade.notes


def test_twice_the_answer_is_named_for_every_function(tmp_path: Path) -> None:
    grade = graded(tmp_path, RIGHT["knn-distances"].replace("return np", "return 2 * np"))
    assert grade.mistakes[0].names == ("factor 2",)


def test_a_numeric_gradient_beside_a_derived_one_is_its_check_and_no_hand_in(tmp_path: Path) -> None:
    text = """class Hinge:
    def value(self, scores, targets):
        return np.maximum(0, 1 - targets * scores).mean()

    def gradient(self, scores, targets):
        return -targets * (targets * scores < 1) / len(scores)


"""
    assert graded(tmp_path, text + RIGHT["numeric-gradient"]).task == "hinge"


def test_on_the_command_line(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + RIGHT["adam"].replace("**t", ""), encoding="utf-8")
    assert cli.main(["check", str(path), "--json", "--quiet"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["handins"]
    keys = ["file", "name", "task", "status", "passed", "message", "mistakes", "rows", "notes"]
    assert list(told)[: len(keys)] == keys
    assert told["mistakes"][0]["mistakes"][0]["name"] == "t stays 1"
    assert {row["parameter"]: row["passed"] for row in told["rows"]}["one step"] is True
    assert cli.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "mine.py, adam (adam): wrong" in out
    assert "case five steps: relative error" in out
    assert "probably (t stays 1): the bias correction divides by 1 − β at every step" in out
