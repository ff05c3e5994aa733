"""A class as it really hands in: sixty files in the encodings, forms and accidents of one assignment."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

RIGHT = """import numpy as np

class CrossEntropy:
    def value(self, scores, targets):
        shifted = scores - scores.max(1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return -log_p[np.arange(len(targets)), targets].mean()

    def gradient(self, scores, targets):
        e = np.exp(scores - scores.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        p[np.arange(len(targets)), targets] -= 1
        return p / len(targets)
"""
HINGE = """import numpy as np

class Hinge:
    def value(self, scores, targets):
        return np.maximum(0, 1 - targets * scores).mean()

    def gradient(self, scores, targets):
        return -targets * (targets * scores < 1) / len(scores)
"""
WRONG = RIGHT.replace("return p / len(targets)", "return p")
DURING = "        e = np.exp(scores - scores"  # a line inside the gradient


def inside(statement: str) -> str:
    """Returns the right file with a statement at the beginning of the gradient."""
    assert DURING in RIGHT
    return RIGHT.replace(DURING, f"        {statement}\n{DURING}")


def notebook(*cells: str) -> str:
    found = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell.splitlines(True)}
        for cell in cells
    ]
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# Homework 1"]}
    return json.dumps({"cells": [text, *found], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


# what is in the file, and the statuses that are right for it
FILES: dict[str, tuple[str | bytes, set[str]]] = {
    "loop.py": (RIGHT + "\nwhile True:\n    pass\n", {"timeout"}),
    "loop_in_gradient.py": (inside("while True: pass"), {"timeout"}),
    "sleeps.py": (inside("import time; time.sleep(1e6)"), {"timeout"}),
    "memory_bomb.py": ("keep = []\nwhile True:\n    keep.append(bytearray(10**8))\n", {"memory"}),
    "memory_in_gradient.py": (inside("keep = np.ones((10**6, 10**6))"), {"memory"}),
    "asks.py": ("name = input('Your name? ')\n" + RIGHT, {"right"}),
    "asks_inside.py": (inside("rate = float(input('rate? '))"), {"error"}),
    "shows.py": ("import matplotlib.pyplot as plt\n" + RIGHT + "\nplt.plot([1, 2])\nplt.show()\n", {"right"}),
    "windows.py": (RIGHT.replace("\n", "\r\n").encode(), {"right"}),
    "old_mac.py": (RIGHT.replace("\n", "\r").encode(), {"right"}),
    "latin_1.py": ("# Größe: Müller, 27 °C\n".encode("latin-1") + RIGHT.encode(), {"right"}),
    "bom.py": (b"\xef\xbb\xbf" + RIGHT.encode(), {"right"}),
    "utf_16.py": (RIGHT.encode("utf-16"), {"right"}),
    "tabs.py": (RIGHT.replace("    ", "\t"), {"right"}),
    "tabs_and_spaces.py": (RIGHT.replace("        e = ", "\te = "), {"error"}),
    "prints.py": (inside("print('scores', scores.shape)") + "\nprint('done: 100 %')\n", {"right"}),
    "syntax.py": (RIGHT.replace("gradient(self, scores, targets):", "gradient(self, scores, targets)"), {"error"}),
    "python_2.py": (RIGHT + "\nprint 'loss'\n", {"error"}),
    "exits.py": (RIGHT + "\nimport os\nos._exit(0)\n", {"error"}),
    "exits_politely.py": (RIGHT + "\nimport sys\nsys.exit()\n", {"error"}),
    "no_data.py": (RIGHT + "\nX = np.load('/data/train.npy')\n", {"right"}),
    "no_module.py": ("from cs231n.layers import *\nfrom past.builtins import xrange\n" + RIGHT, {"right"}),
    "blank.py": (RIGHT.replace("return p / len(targets)", "pass"), {"unfinished"}),
    "empty.py": ("", {"error"}),
    "binary.py": (bytes(range(256)), {"error"}),
    "wrong.py": (WRONG, {"wrong"}),
    "book.ipynb": (
        notebook("%matplotlib inline\nimport numpy as np\n!ls", RIGHT, "X = np.load('train.npy')"), {"right"}),
    "broken_book.ipynb": ("{", {"error"}),
    "book_with_marks.ipynb": (
        notebook("import numpy as np", RIGHT.replace("CrossEntropy", "Old"), "# edunn: cross-entropy\n" +
                 WRONG.replace("class CrossEntropy", "class Mine"), "# edunn: end\nwhile True: pass"), {"wrong"}),
}  # fmt: skip


def write_class(folder: Path) -> dict[str, set[str]]:
    """Writes sixty files, three of them in folders and one in a zip file; returns the right statuses of each."""
    expected: dict[str, set[str]] = {}
    for name, (content, statuses) in FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        expected[name] = statuses
    for name, text in (("anna", RIGHT), ("ben", WRONG), ("carla", RIGHT)):
        inner = folder / f"{name}_1234_assignsubmission_file_" / "hw1"
        inner.mkdir(parents=True)
        (inner / f"{name}.py").write_text(text)
        (inner / "utils.py").write_text("import numpy as np\n\ndef accuracy(p, y):\n    return np.mean(p == y)\n")
        expected[f"{name}.py"] = {"right"} if text is RIGHT else {"wrong"}
    with zipfile.ZipFile(folder / "dora_99_123456_hw1.zip", "w") as archive:
        archive.writestr("hw1/dora.py", RIGHT)
        archive.writestr("hw1/__MACOSX/._dora.py", b"\0")
    expected["dora.py"] = {"right"}
    for k in range(60 - len(expected)):
        (folder / f"student_{k:02}.py").write_text(RIGHT if k % 3 else WRONG)
        expected[f"student_{k:02}.py"] = {"right"} if k % 3 else {"wrong"}
    return expected
