"""Hand-ins: their forms, and grading in processes of their own with limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edunn import exercises
from edunn.cli import main
from edunn.exercises import Options, grade_file, grade_folder

BENCH = Path(__file__).resolve().parent.parent / "scripts" / "bench"
sys.path.insert(0, str(BENCH))
import right  # noqa: E402


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def is_running(pid: int) -> bool:
    """Whether a process is there, and not merely not yet waited for by its new parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def graded(folder: Path, text: str, name: str | None = None) -> exercises.Grade:
    (found,) = exercises.load(write(folder, "handin.py", text), name)
    return exercises.grade(found)


FUNCTIONS = """
import numpy as np
TASK = "squared-error"
def mse(scores, targets):
    return np.mean((scores - targets) ** 2)
def mse_gradient(scores, targets):
    return 2 * (scores - targets) / len(scores)
"""
JOINT = """
import numpy as np
TASK = "squared-error"
def helper(x):
    return x
def mse(scores, targets):
    r = scores - targets
    return np.mean(r ** 2), 2 * r / len(r)
"""
TORCH = """
import torch
class Tanh:
    def forward(self, scores):
        self.out = torch.tanh(scores)
        return self.out
    def backward(self, upstream):
        return upstream * (1 - self.out ** 2)
"""
OWN_INPUTS = """
import numpy as np
def inputs(seed):
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(3, 2)), "y": rng.normal(size=4), "k": 3}
class Mine:
    def value(self, x, y, k):
        return k * np.sum(x ** 3) + np.sum(np.exp(y))
    def gradient(self, x, y, k):
        return {"x": 3 * k * x ** 2, "y": np.exp(y)}
"""


class TestTheProtocol:
    @pytest.mark.parametrize(
        "text", [FUNCTIONS, TORCH, OWN_INPUTS, JOINT], ids=["functions", "torch", "inputs", "joint"]
    )
    def test_forms_that_are_right(self, text, tmp_path):
        grade = graded(tmp_path, text)
        assert grade.status == "right", grade.message

    @pytest.mark.parametrize(
        ("text", "old", "new"),
        [(FUNCTIONS, "2 *", "3 *"), (TORCH, "1 - self", "2 - self"), (OWN_INPUTS, "3 * k", "k"), (JOINT, "2 * r", "r")],
        ids=["functions", "torch", "inputs", "joint"],
    )
    def test_forms_that_are_wrong(self, text, old, new, tmp_path):
        assert graded(tmp_path, text.replace(old, new)).status == "wrong"

    def test_arguments_are_matched_by_name_in_whatever_order(self, tmp_path):
        grade = graded(tmp_path, FUNCTIONS.replace("(scores, targets)", "(targets, scores)"))
        assert grade.status == "right", grade.message

    def test_numpy_in_a_file_that_imports_torch_as_well(self, tmp_path):
        grade = graded(tmp_path, "import torch\n" + FUNCTIONS)
        assert grade.status == "right", grade.message

    def test_a_name_that_is_not_there_is_wrong_usage(self, tmp_path, capsys):
        path = write(tmp_path, "one.py", right.source("l2"))
        assert main(["check", f"{path}:L3"]) == 2
        assert "Known: L2" in capsys.readouterr().err

    def test_a_sum_with_its_own_gradient_is_right_and_said_so(self, tmp_path):
        text = FUNCTIONS.replace("np.mean", "np.sum").replace(" / len(scores)", "")
        grade = graded(tmp_path, text)
        assert grade.status == "right"
        assert any("7 times the task's" in note for note in grade.notes) or grade.notes == ()

    def test_half_the_penalty_with_its_own_gradient_is_right(self, tmp_path):
        text = right.source("softmax-classifier").replace("+ strength * np.sum", "+ 0.5 * strength * np.sum")
        grade = graded(tmp_path, text.replace("2 * strength * weight", "strength * weight"))
        assert grade.status == "right"
        assert any("penalty is 0.5 times" in note for note in grade.notes)

    def test_another_value_is_another_task(self, tmp_path):
        grade = graded(tmp_path, FUNCTIONS.replace("** 2", "** 4"))
        assert grade.status == "wrong"
        assert "not that of the task" in grade.message

    def test_float32_is_right_with_a_note(self, tmp_path):
        text = FUNCTIONS.replace("(scores - targets)", "(scores - targets).astype(np.float32)")
        grade = graded(tmp_path, text)
        assert grade.status == "right", grade.message
        assert any("float32" in note for note in grade.notes)

    def test_an_epsilon_in_a_logarithm_is_right_with_a_note(self, tmp_path):
        text = right.source("cross-entropy").replace("np.mean(log_p[", "np.mean(np.log(np.exp(log_p) + 1e-9)[")
        assert "1e-9" in text
        grade = graded(tmp_path, text)
        assert grade.status == "right", grade.message
        assert any("ε in a logarithm" in note for note in grade.notes)

    def test_a_random_value_is_found_out(self, tmp_path):
        grade = graded(tmp_path, FUNCTIONS.replace("** 2)", "** 2) + np.random.normal()"))
        assert grade.status == "wrong"
        assert "from one call to the next" in grade.message

    def test_arguments_changed_in_place_are_noted(self, tmp_path):
        text = FUNCTIONS.replace("    return np.mean", "    scores -= targets\n    targets = 0\n    return np.mean")
        grade = graded(tmp_path, text)
        assert any("in place" in note for note in grade.notes)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("x = 1\n", "found none"),
            (
                "class A:\n    task = 'cross-entrop'\n    def value(s): 0\n    def gradient(s): 0\n",
                "Did you mean 'cross-entropy'",
            ),
            ("def broken(:\n", "line 1"),
            ("import nothing_of_that_name\n", "ModuleNotFoundError"),
            ("import sys\nsys.exit(3)\n", "SystemExit"),
            ("\0", "null bytes"),
            ("", "found none"),
        ],
        ids=["nothing", "task", "syntax", "import", "exit", "binary", "empty"],
    )
    def test_files_that_hand_nothing_in(self, text, says, tmp_path):
        with pytest.raises(exercises.HandinError, match=says):
            exercises.load(write(tmp_path, "handin.py", text))

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("return 2 * (scores - targets) / len(scores)", "return undefined_name", "line 7: NameError"),
            ("np.mean((scores - targets) ** 2)", "scores.clamp(min=0).mean()", "clamp'. The arrays are torch's"),
            ("return 2 * (scores - targets) / len(scores)", "pass", "gradient is None"),
            ("return 2 * (scores - targets) / len(scores)", "return 'left'", "got str"),
            ("return np.mean((scores - targets) ** 2)", "return scores - targets", "one number"),
        ],
        ids=["raises", "torch", "nothing", "text", "vector"],
    )
    def test_what_goes_wrong_is_one_line_with_its_place(self, old, new, says, tmp_path):
        with pytest.raises(exercises.HandinError, match=says):
            graded(tmp_path, FUNCTIONS.replace(old, new))

    def test_a_gradient_of_the_wrong_shape(self, tmp_path):
        grade = graded(tmp_path, FUNCTIONS.replace("/ len(scores)", "/ len(scores) * np.ones((1, 7))"))
        assert grade.status == "wrong"
        assert "(1, 7)" in grade.rows[0].note


def test_every_gradient_has_a_right_solution_among_the_benches():
    gradients = {name for name, one in exercises.EXERCISES.items() if isinstance(one, exercises.GradientExercise)}
    assert set(right.GRADIENTS) == set(right.VALUES) == gradients


class TestGrading:
    def test_four_hand_ins_in_a_folder(self, tmp_path, capsys):
        write(tmp_path, "a_right.py", right.source("softmax-classifier"))
        write(tmp_path, "b_forgot.py", right.edited("cross-entropy", "return p / len(targets)", "return p"))
        write(tmp_path, "c_hangs.py", right.edited("cross-entropy", "return p / len(targets)", "while True: pass"))
        write(tmp_path, "d_l2.py", right.edited("softmax-classifier", "+ 2 * strength", "+ strength"))
        assert main(["check", "--json", "--quiet", "--time-limit", "8", str(tmp_path)]) == 1
        result = json.loads(capsys.readouterr().out)
        found = {Path(one["file"]).stem: one for one in result["handins"]}
        assert {name: one["status"] for name, one in found.items()} == {
            "a_right": "right", "b_forgot": "wrong", "c_hangs": "timeout", "d_l2": "wrong",
        }  # fmt: skip
        assert found["b_forgot"]["mistakes"][0]["mistakes"][0]["name"] == "1/N forgotten"
        assert found["d_l2"]["mistakes"][0]["mistakes"][0]["name"] == "L2 factor 2 missing"
        assert result["passed"] is False

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ("import os\nos._exit(0)\n", "error"),
            ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "error"),
            ("import numpy as np\nkeep = [np.ones(10**8) for _ in range(100)]\n", "memory"),
            ("def f(n):\n    return f(n + 1)\nf(0)\n", "error"),
        ],
        ids=["exits", "crashes", "memory", "recursion"],
    )
    def test_what_crashes_is_reported(self, text, status, tmp_path):
        (one,) = grade_file(write(tmp_path, "bad.py", text), options=Options(memory_limit=512))
        assert one["status"] == status
        assert one["passed"] is False
        assert one["message"]

    def test_children_of_a_hand_in_do_not_outlive_it(self, tmp_path):
        written = tmp_path / "pid"
        text = f"""
import subprocess, sys
child = "import os, time; open({str(written)!r}, 'w').write(str(os.getpid())); os.setsid(); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
while True: pass
"""
        (one,) = grade_file(write(tmp_path, "spawns.py", text), options=Options(time_limit=2))
        assert one["status"] == "timeout"
        assert not is_running(int(written.read_text()))

    def test_stdout_of_a_hand_in_stays_out_of_the_json(self, tmp_path, capfd):
        write(tmp_path, "loud.py", "print('hello')\n" + right.source("l2"))
        assert main(["check", "--json", "--quiet", str(tmp_path / "loud.py")]) == 0
        assert json.loads(capfd.readouterr().out)["passed"] is True

    def test_a_gradient_that_is_not_finite_is_described(self, tmp_path, capsys):
        write(tmp_path, "nan.py", right.edited("squared-error", "/ len(scores)", "/ 0"))
        assert main(["check", "--quiet", str(tmp_path / "nan.py")]) == 1
        assert "not finite" in capsys.readouterr().out

    def test_nothing_is_left_beside_the_hand_in(self, tmp_path):
        path = write(tmp_path, "one.py", right.source("l2"))
        assert grade_file(path)[0]["passed"]
        assert [p.name for p in tmp_path.iterdir() if p.name != "__pycache__"] == ["one.py"]

    def test_a_folder_without_files(self, tmp_path, capsys):
        assert main(["check", str(tmp_path)]) == 2
        assert "edunn exercise NAME" in capsys.readouterr().err
        assert main(["check", str(tmp_path / "none.py")]) == 2
        assert main(["check", "digits"]) == 2

    def test_each_file_is_reported_as_it_comes(self, tmp_path):
        write(tmp_path, "one.py", right.source("l1"))
        write(tmp_path, "_helper.py", "x = 1\n")
        seen: list[str] = []
        grade_folder(tmp_path, after_each=lambda found: seen.extend(one["status"] for one in found))
        assert seen == ["right"]


def test_a_grading_that_is_ended_ends_its_hand_ins(tmp_path: Path) -> None:
    """SIGTERM, as a queue's time limit sends it: no endless loop stays behind."""
    (tmp_path / "loop.py").write_text(
        "import os, pathlib\n"
        "pathlib.Path(__file__).with_suffix('.pid').write_text(str(os.getpid()))\n"
        "while True:\n    pass\n"
    )
    grader = subprocess.Popen(
        [sys.executable, "-m", "edunn", "check", str(tmp_path / "loop.py"), "--time-limit", "300"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pid = tmp_path / "loop.pid"
    end = time.monotonic() + 100
    while not (pid.exists() and pid.read_text()):
        assert grader.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    grader.terminate()
    assert grader.wait(30) == 128 + signal.SIGTERM
    assert not is_running(int(pid.read_text()))
