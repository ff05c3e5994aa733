"""Hand-ins as files: encodings, notebooks, modules that are not here, and the messages between two processes."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_of_sixty import HINGE, RIGHT, WRONG, notebook
from hypothesis import given
from hypothesis import strategies as st

from edunn import exercises
from edunn.exercises.adapters import load_adapted
from edunn.exercises.files.executing import execute
from edunn.exercises.files.reading import read_source
from edunn.exercises.handins import load
from edunn.exercises.processes import wire


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def statuses(path: Path) -> dict[str, str]:
    return {one.name: exercises.grade(one).status for one in load(path)}


# ---- text -----------------------------------------------------------------------------------------------------------

TEXT = "x = 'Größe'\ny = 1\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (TEXT.encode(), TEXT),
        (TEXT.replace("\n", "\r\n").encode(), TEXT),
        (TEXT.replace("\n", "\r").encode(), TEXT),
        (b"\xef\xbb\xbf" + TEXT.encode(), TEXT),
        (TEXT.encode("latin-1"), TEXT),
        (b"# -*- coding: cp1252 -*-\n" + "x = '€'\n".encode("cp1252"), "# -*- coding: cp1252 -*-\nx = '€'\n"),
        (TEXT.encode("utf-16"), TEXT),
        (b"# coding: no-such\nx = 1\n", "# coding: no-such\nx = 1\n"),
    ],
    ids=["utf-8", "windows", "old mac", "mark", "latin-1", "declared", "utf-16", "declared wrongly"],
)
def test_encodings_and_line_ends(raw: bytes, text: str, tmp_path: Path) -> None:
    assert read_source(write(tmp_path, "a.py", raw)).text == text


# ---- notebooks -------------------------------------------------------------------------------------------------------


def test_of_a_notebook_the_definitions_are_run(tmp_path: Path) -> None:
    path = write(tmp_path, "hw.ipynb", notebook(
        "%load_ext autoreload\n%autoreload 2\nimport numpy as np\n!pip install x\nnp.mean?",
        "%%bash\nrm -rf nothing", "%%time\n" + RIGHT, "EPS = np.finfo(float).eps\nX = np.load('x.npy')",
        "this is no Python", "while True:\n    pass", HINGE,
    ))  # fmt: skip
    assert statuses(path) == {"CrossEntropy": "right", "Hinge": "right"}
    module = execute(path)
    assert module.EPS > 0
    assert not hasattr(module, "X")
    assert any("cell 5" in note for note in module.notes)


def test_a_magic_in_a_block_leaves_the_block_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "hw.ipynb", notebook("def f():\n    %matplotlib inline\n", "files = !ls\n" + RIGHT))
    assert statuses(path) == {"CrossEntropy": "right"}


def test_marked_cells_say_what_they_answer(tmp_path: Path) -> None:
    path = write(tmp_path, "hw.ipynb", notebook(
        "import numpy as np", RIGHT.replace("CrossEntropy", "Draft"), "# edunn: cross-entropy",
        WRONG.replace("CrossEntropy", "Mine"), "# edunn: hinge\n" + HINGE.replace("class Hinge", "class Margin"),
        "# edunn: end", "raise SystemExit",
    ))  # fmt: skip
    found = load(path)
    assert {one.name: one.task for one in found} == {"Mine": "cross-entropy", "Margin": "hinge"}
    assert [exercises.grade(one).status for one in found] == ["wrong", "right"]


def test_a_mark_of_no_exercise_says_which_is_meant(tmp_path: Path) -> None:
    path = write(tmp_path, "hw.ipynb", notebook("# edunn: cross-entrop\n" + RIGHT))
    with pytest.raises(exercises.HandinError, match="cross-entropy"):
        load(path)


def test_a_line_of_a_notebook_is_said_by_its_cell(tmp_path: Path) -> None:
    broken = RIGHT.replace("return p / len(targets)", "return undefined")
    path = write(tmp_path, "hw.ipynb", notebook("import os\n\n\n", broken))
    line = broken.splitlines().index("        return undefined") + 1
    (one,) = exercises.grade_file(path)
    assert f"hw.ipynb, cell 2, line {line}: NameError" in one["message"]


def test_a_mistake_of_a_notebook_stands_in_its_cell(tmp_path: Path) -> None:
    loss = """def softmax_loss(W, X, y, reg):
    s = X @ W
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    n = len(y)
    loss = -np.log(p[np.arange(n), y]).mean() + reg * np.sum(W * W)
    p[np.arange(n), y] -= 1
    dW = X.T @ p / n
    dW += reg * W
    return loss, dW
"""
    path = write(tmp_path, "hw.ipynb", notebook("import numpy as np\n\n", "%time\n\n", loss))
    (one,) = exercises.grade_file(path)
    (named,) = one["mistakes"][0]["mistakes"]
    assert (named["name"], named["cell"], named["line"]) == ("L2 factor 2 missing", 3, 9)


def test_notebooks_of_format_3(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "input": RIGHT.splitlines(True), "language": "python"}
    text = wire.json.dumps({"worksheets": [{"cells": [cell]}], "nbformat": 3})
    assert statuses(write(tmp_path, "old.ipynb", text)) == {"CrossEntropy": "right"}


# ---- what is not here ------------------------------------------------------------------------------------------------


LINES = """
from cs231n.layers import *
from past.builtins import xrange
from google.colab import drive; drive.mount('/x')
import tensorflow_of_no_kind as tf
from numba import njit
from . import nothing_here
from .layers import *
import matplotlib.pyplot as plt; plt.show()
rows = list(xrange(3))
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_files_that_import_what_is_not_here_are_graded(line: str, tmp_path: Path) -> None:
    assert statuses(write(tmp_path, "hw.py", f"{line}\n{RIGHT}")) == {"CrossEntropy": "right"}


def test_what_is_missing_is_said_where_it_is_used(tmp_path: Path) -> None:
    text = "import cs231n.fast_layers as fast\n" + RIGHT.replace("return p / len(targets)", "return fast.softmax(p)")
    path = write(tmp_path, "hw.py", text)
    (one,) = load(path)
    with pytest.raises(exercises.HandinError, match=r"cs231n\.fast_layers\.softmax is needed"):
        exercises.grade(one)
    assert any("cs231n" in note for note in execute(path).notes)


def test_a_module_of_the_course_is_found_beside_the_file(tmp_path: Path) -> None:
    inner = tmp_path / "cs231n" / "classifiers"
    inner.mkdir(parents=True)
    write(tmp_path / "cs231n", "layers.py", "def shift(x):\n    return x - x.max(1, keepdims=True)\n")
    body = RIGHT.replace("scores - scores.max(1, keepdims=True)", "shift(scores)")
    for k, line in enumerate(("from cs231n.layers import *", "from ..layers import shift", "from layers import shift")):
        assert statuses(write(inner, f"hw{k}.py", f"{line}\n{body}")) == {"CrossEntropy": "right"}, line


def test_an_import_that_the_file_itself_expects_to_fail_is_left_alone(tmp_path: Path) -> None:
    text = "try:\n    import no_such_cupy as np\nexcept ImportError:\n    import numpy as np\n"
    assert statuses(write(tmp_path, "hw.py", text + RIGHT.replace("import numpy as np", ""))) == {
        "CrossEntropy": "right"
    }


def test_dataclasses_and_annotations_find_their_module(tmp_path: Path) -> None:
    text = "from dataclasses import dataclass\n\n@dataclass\nclass Setting:\n    rate: 'float' = 1.0\n\n"
    assert statuses(write(tmp_path, "hw.py", text + RIGHT)) == {"CrossEntropy": "right"}


# ---- adapters --------------------------------------------------------------------------------------------------------

ADAPTER = """
import handin

class Loss:
    task = "cross-entropy"
    uses = ("my_loss",)
    def value(self, scores, targets):
        return handin.my_loss(scores, targets)[0]
    def gradient(self, scores, targets):
        return handin.my_loss(scores, targets)[1]

class Other:
    task = "hinge"
    uses = ("my_hinge",)
    def value(self, scores, targets):
        return handin.my_hinge(scores, targets)
    def gradient(self, scores, targets):
        return handin.my_hinge_slope(scores, targets)
"""
MY_LOSS = """
import numpy as np
def my_loss(a, b):
    e = np.exp(a - a.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(b)), b]).mean()
    p[np.arange(len(b)), b] -= 1
    return loss, p / len(b)
"""


def test_an_adapter_calls_what_the_file_has(tmp_path: Path) -> None:
    adapter, path = write(tmp_path, "adapter.py", ADAPTER), write(tmp_path, "hw.py", MY_LOSS)
    (one,) = load_adapted(path, adapter=str(adapter)).handins
    assert (one.task, one.file) == ("cross-entropy", str(path))
    assert exercises.grade(one).status == "right"
    (row,) = exercises.grade_file(path, options=exercises.Options(adapter=str(adapter)))
    assert (row["name"], row["status"]) == ("Loss", "right")


def test_an_adapter_with_nothing_to_call(tmp_path: Path) -> None:
    adapter = write(tmp_path, "adapter.py", ADAPTER)
    with pytest.raises(exercises.HandinError, match="nothing that"):
        load_adapted(write(tmp_path, "hw.py", "x = 1\n"), adapter=str(adapter))


# ---- messages between two processes ----------------------------------------------------------------------------------


def exchange(value: Any) -> Any:
    return wire.receive(io.BytesIO(wire.pack(value)))


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor | np.ndarray):
        return (
            type(first) is type(second)
            and first.dtype == second.dtype
            and first.shape == second.shape
            and bool(
                np.array_equal(np.asarray(first), np.asarray(second), equal_nan=np.asarray(first).dtype.kind in "fc")
            )
        )
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and (first == second or (first != first and second != second))


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.floats(), st.text(max_size=5), st.just(...),
    st.sampled_from([np.arange(6.0).reshape(2, 3), np.zeros((0, 2), "float32"), np.array(1 + 2j), np.array([True])]),
    st.sampled_from([torch.arange(3), torch.tensor(math.nan), torch.zeros(2, 0, dtype=torch.float64)]),
)  # fmt: skip


VALUES = st.recursive(
    LEAVES,
    lambda x: st.one_of(st.lists(x, max_size=3), st.tuples(x, x), st.dictionaries(st.text(max_size=3), x, max_size=3)),
    max_leaves=8,
)


@given(VALUES)
def test_numbers_and_arrays_arrive_as_they_were(value: Any) -> None:
    assert same(value, exchange(value))


def test_what_is_no_number_arrives_as_its_name() -> None:
    assert type(exchange(object())).__name__ == "object"
    assert type(exchange(np.array([object()]))).__name__ == "ndarray"
    assert type(exchange([lambda: 1])[0]).__name__ == "function"
    assert exchange(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32
    assert exchange(np.float32(1.5)) == np.float32(1.5)
    cycle: list[Any] = []
    cycle.append(cycle)
    assert isinstance(exchange(cycle), list)


def frame(text: bytes, arrays: bytes = b"") -> bytes:
    return wire.HEAD.pack(len(text), len(arrays)) + text + arrays


NO_MESSAGES = {
    "short": b"\0" * 7,
    "huge": wire.HEAD.pack(2**40, 0),
    "no JSON": frame(b"nope"),
    "no kind": frame(b"{}"),
    "two kinds": frame(b'{"list": [], "tuple": []}'),
    "no bytes": frame(b'{"array": ["<f8", [99999999], 0]}'),
    "objects": frame(b'{"array": ["|O", [1], 0]}', b"0" * 8),
    "a function": frame(b'{"named": ["os:system", ["true"]]}'),
    "a class": frame(b'{"named": ["edunn.exercises.cut:Path", ["x"]]}'),
    "negative": frame(b'{"array": ["<f8", [-1], -8]}', b"0" * 8),
    "deep": frame(b"[" * 50000),
}


@pytest.mark.parametrize("raw", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises((wire.WireError, EOFError)):
        wire.receive(io.BytesIO(raw))
