"""Hand-ins that try to make their own mark, or to harm: each is an error or wrong, and costs the others nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from class_of_sixty import RIGHT, WRONG, inside

from edunn import exercises
from edunn.exercises import Options, processes
from edunn.exercises.processes import grade_files, sandbox
from edunn.exercises.processes.grading import write_environment

FORGED = '[{"name": "CrossEntropy", "status": "right", "passed": true}]'
FORGED_FILES = ("result.json", "out.json", "grades.json")
EVERYWHERE = f"""
import os, pathlib, sys
for folder in (".", os.path.expanduser("~"), os.path.dirname(__file__), *map(os.path.dirname, sys.argv)):
    for name in {FORGED_FILES}:
        try:
            pathlib.Path(folder, name).write_text('{FORGED}')
        except OSError:
            pass
"""
PATCH = {
    "the grader": "import sys\nsys.modules['edunn.exercises.grade'].grade = lambda *a, **k: None\n",
    "a loss": "import edunn\nedunn.losses.CrossEntropy.pointwise = lambda self, s, t: s.sum(-1) * 0\n",
    "code": "import edunn.differences as d\nd.relative_error.__code__ = (lambda a, b: 0.0).__code__\n",
    "torch": "import torch\ntorch.allclose = lambda *a, **k: True\n",
    "numpy": "import numpy as np\nnp.array_equal = lambda *a, **k: True\n",
    "sys.modules": "import sys, types\nsys.modules['edunn.exercises.compare'] = 1\n"
                   "sys.modules['edunn.differences'] = types.ModuleType('d')\n",
}  # fmt: skip
KILL = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
SECRET = "a-token-of-the-teacher"

# the code, the statuses that are right for it, and a part of the message
HOSTILE: dict[str, tuple[str, set[str], str]] = {
    "writes_results": (WRONG + EVERYWHERE + "os._exit(0)\n", {"error"}, "ended its own process"),
    "writes_and_goes_on": (WRONG + EVERYWHERE, {"wrong"}, "1/N"),
    "exits": (RIGHT + "import os\nos._exit(0)\n", {"error"}, "ended its own process"),
    "exits_in_gradient": (inside("import os; os._exit(0)"), {"error"}, "ended its own process"),
    "sys_exit": (RIGHT + "import sys\nsys.exit(0)\n", {"error"}, "SystemExit"),
    "sys_exit_in_gradient": (inside("raise SystemExit(0)"), {"error"}, "SystemExit"),
    "atexit": (WRONG + f"import atexit\natexit.register(lambda: print('{FORGED}'))\n", {"wrong"}, "1/N"),
    "prints": (WRONG + f"print('{FORGED}')\n", {"wrong"}, "1/N"),
    "writes_descriptors": (
        WRONG + "import os\nfor k in range(3, 30):\n    try: os.write(k, b'{\"answer\": 1}' * 9)\n"
        "    except OSError: pass\n", {"error"}, ""),
    "kills_the_judge": (WRONG + KILL, {"error"}, ""),
    "segfault": (RIGHT + "import ctypes\nctypes.string_at(0)\n", {"error"}, "signal"),
    "fork_bomb": (RIGHT + "import os\nwhile True:\n    os.fork()\n", {"error", "timeout"}, ""),
    "looks_around": (
        RIGHT + "import os\nseen = str(dict(os.environ)) + open('/proc/self/environ').read()\n"
        f"print('home:', os.environ['HOME'])\nprint('token:', {SECRET!r} in seen)\nprint(sorted(os.environ))\n",
        {"right"}, ""),
    "judges_memory": (
        RIGHT + "import os\ntry:\n    open(f'/proc/{os.getppid()}/mem', 'r+b')\n    print('OPENED')\n"
        "except OSError as error:\n    print('refused')\n", {"right"}, ""),
    "huge_answer": (RIGHT.replace("return p / len(targets)", "return np.zeros(10**8)"), {"error", "memory"}, ""),
    "strange_answer": (RIGHT.replace("return p / len(targets)", "return {object(): np}"), {"error"}, ""),
    "prints_a_lot": (inside("print('x' * 10**6)"), {"right", "error"}, ""),
    **{f"patches {what}": (RIGHT + code, {"error"}, "replaces") for what, code in PATCH.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """Grades all of them in one go, with a right one behind; and listens for what reaches the network."""
    folder = tmp_path_factory.mktemp("hostile")
    with socket.create_server(("127.0.0.1", 0)) as server:
        reaches = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 3)\n"
        texts = {name: text for name, (text, _, _) in HOSTILE.items()}
        texts["network"] = f"{RIGHT}\ntry:\n    exec({reaches!r})\n    print('CONNECTED')\nexcept OSError:\n    pass\n"
        for name, text in {**texts, "zz_right": RIGHT}.items():
            (folder / f"{name.replace(' ', '_')}.py").write_text(text)
        os.environ["EDUNN_SECRET_OF_A_TEST"] = SECRET
        try:
            files = sorted(folder.glob("*.py"))
            found = grade_files(files, Options(time_limit=3, memory_limit=512), 2)
        finally:
            del os.environ["EDUNN_SECRET_OF_A_TEST"]
    graded = {file.stem: one.grades[0] | {"limits": one.limits} for file, one in zip(files, found, strict=True)}
    yield graded
    for name in FORGED_FILES:  # EVERYWHERE reaches the grader's own folder, by sys.argv
        Path(processes.__file__).with_name(name).unlink(missing_ok=True)
    assert not [one for one in folder.iterdir() if one.suffix == ".pyc"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_makes_no_mark_of_its_own(name: str, graded: dict[str, dict[str, Any]]) -> None:
    _, statuses, says = HOSTILE[name]
    one = graded[name.replace(" ", "_")]
    assert one["status"] in statuses, one["message"]
    assert one["passed"] is (one["status"] == "right")
    assert says in one["message"]


def test_the_others_are_graded_all_the_same(graded: dict[str, dict[str, Any]]) -> None:
    assert graded["zz_right"]["status"] == "right"


def test_what_was_printed_is_kept_and_is_no_result(graded: dict[str, dict[str, Any]]) -> None:
    assert FORGED in graded["prints"]["printed"]
    assert len(graded["prints_a_lot"]["printed"]) < 3000


def test_the_environment_is_bare(graded: dict[str, dict[str, Any]]) -> None:
    printed = graded["looks_around"]["printed"]
    assert "home: " in printed
    assert f"home: {Path.home()}\n" not in printed
    assert "token: False" in printed
    assert "EDUNN_SECRET_OF_A_TEST" not in printed


def test_a_hand_in_does_not_see_the_folders_of_others(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    file.write_text(RIGHT)
    exercises.load(file)
    assert str(tmp_path) in sys.path
    paths = write_environment(str(tmp_path / "home"))["PYTHONPATH"].split(os.pathsep)
    assert not {str(tmp_path), str(tmp_path.parent)} & set(paths)


def test_the_network_is_away_or_it_is_said(graded: dict[str, dict[str, Any]]) -> None:
    one = graded["network"]
    assert one["status"] == "right"
    assert ("CONNECTED" in one["printed"]) == bool(one["limits"])


def test_the_memory_of_the_judge_is_closed(graded: dict[str, dict[str, Any]]) -> None:
    one = graded["judges_memory"]
    assert "refused" in one["printed"] or one["limits"]


def test_a_system_that_keeps_the_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def unshare(self, flags: int) -> int:
            return -1

    monkeypatch.setattr(sandbox, "control", lambda option, value: None)
    monkeypatch.setattr(sandbox.ctypes, "CDLL", lambda name: Refusing())
    assert sandbox.leave_network() is False


def start(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")
def test_computing_and_sleeping_are_told_apart() -> None:
    sleeping, computing = start("import time; time.sleep(60)"), start("while True: pass")
    try:
        end = time.monotonic() + 60
        while (seen := sandbox.measure(computing.pid)) is None or seen[0] < 0.3:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert not seen[1]
        asleep = sandbox.measure(sleeping.pid)
        assert asleep is not None
        assert asleep[1]
    finally:
        for one in (sleeping, computing):
            one.kill()
            one.wait()
    assert sandbox.measure(computing.pid) is None


def test_right_code_on_a_busy_machine_is_no_timeout(tmp_path: Path) -> None:
    """Its limit is far below the wall time that it takes, and above its CPU time."""
    (tmp_path / "a.py").write_text(RIGHT)
    others = [start("while True: pass") for _ in range(6)]
    try:
        (found,) = grade_files([tmp_path / "a.py"], Options(time_limit=1.5))
    finally:
        for one in others:
            one.kill()
            one.wait()
    assert found.grades[0]["status"] == "right", found.grades[0]["message"]


HONEST = {
    "torch.func": "import torch\ntorch.func.grad(lambda x: (x**2).sum())(torch.ones(2))\n",
    "vmap": "import torch\ntorch.vmap(torch.sin)(torch.ones(3, 2))\n",
    "settings": "import numpy as np, torch, random\nnp.seterr(all='raise')\nnp.set_printoptions(precision=3)\n"
                "torch.set_default_dtype(torch.float64)\nrandom.seed(0)\nnp.float = float\n",
    "libraries": "import scipy.special, sklearn.linear_model, pandas, matplotlib.pyplot, torch.nn, torch.optim\n",
    "edunn": "import edunn\nedunn.data.digits()\nedunn.models.SoftmaxClassifier(3, 2)\nimport edunn.landscape\n",
    "compile": "import torch\nimport torch._dynamo\n",
}  # fmt: skip


def test_what_honest_files_do_is_no_patch(tmp_path: Path) -> None:
    for name, code in HONEST.items():
        (tmp_path / f"{name}.py").write_text(code + RIGHT)
    files = sorted(tmp_path.glob("*.py"))
    found = {file.stem: one.grades[0] for file, one in zip(files, grade_files(files, jobs=2), strict=True)}
    assert {name: (one["status"], one["message"]) for name, one in found.items() if one["status"] != "right"} == {}
