"""The templates of docs/teaching, tried: what a student's push, and nbgrader, would run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from class_of_sixty import HINGE, RIGHT, WRONG

from edunn.cli import main
from edunn.exercises.files.executing import execute

ROOT = Path(__file__).parent.parent
TEMPLATES = ROOT / "docs" / "teaching"
Capture = pytest.CaptureFixture[str]


# ---- GitHub Classroom -----------------------------------------------------------------------------------------------

WORKFLOW = (TEMPLATES / "github-classroom.yml").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ +command: (.+)$", WORKFLOW, re.MULTILINE)


def push(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs one step as the runner does, in a student's repository."""
    bin_folder = folder.parent / "bin"
    bin_folder.mkdir(exist_ok=True)
    script = bin_folder / "edunn"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m edunn "$@"\n')
    script.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "GITHUB_ACTOR": "anna", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


def test_each_step_of_the_workflow_grades_its_task(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "README.md").write_text("# hw1\n")
    (folder / "loss.py").write_text(WRONG)
    (folder / "src").mkdir()
    (folder / "src" / "margin.py").write_text(HINGE)
    assert len(COMMANDS) == 2
    first, second = (push(folder, command) for command in COMMANDS)
    assert first.returncode == 1
    assert "1/N is forgotten" in first.stdout
    assert second.returncode == 0, second.stdout + second.stderr
    assert re.search(r"^anna +1/1", second.stdout, re.MULTILINE)


def test_the_points_of_every_step_reach_the_reporter() -> None:
    """Each step has an id, and the reporter names each id in both of its lists."""
    ids = re.findall(r"^ +id: (.+)$", WORKFLOW, re.MULTILINE)
    assert len(ids) == len(COMMANDS) == len(re.findall(r"max-score: \d+", WORKFLOW))
    assert f"runners: {','.join(ids)}" in WORKFLOW
    for one in ids:
        assert f"{one.upper()}_RESULTS: ${{{{ steps.{one}.outputs.result }}}}" in WORKFLOW
        assert f"--expect {one} " in WORKFLOW
    assert "\t" not in WORKFLOW


# ---- nbgrader --------------------------------------------------------------------------------------------------------

BOOK: dict[str, Any] = json.loads((TEMPLATES / "homework.ipynb").read_text(encoding="utf-8"))


def find_cell(name: str) -> dict[str, Any]:
    return next(cell for cell in BOOK["cells"] if cell["metadata"]["nbgrader"]["grade_id"] == name)


def fill_in(folder: Path, answer: str) -> Path:
    """Writes the notebook of a student."""
    book = json.loads(json.dumps(BOOK))
    for cell in book["cells"]:
        if cell["metadata"]["nbgrader"]["solution"]:
            cell["source"] = answer.splitlines(True)
    path = folder / "homework.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def release(text: str) -> str:
    """Returns what nbgrader gives out: its placeholder in place of each solution."""
    return re.sub(r"( *)### BEGIN SOLUTION.*?### END SOLUTION", r"\1# YOUR CODE HERE\n\1raise NotImplementedError()",
                  text, flags=re.DOTALL)  # fmt: skip


def run_last_cell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec("".join(find_cell("grade")["source"]), {})


def test_the_cells_are_those_of_nbgrader() -> None:
    kinds = {cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"] for cell in BOOK["cells"]}
    assert len(kinds) == len(BOOK["cells"])
    assert all(one["schema_version"] == 3 for one in kinds.values())
    assert kinds["answer"]["solution"]
    assert not kinds["answer"]["locked"]
    assert kinds["grade"]["grade"]
    assert kinds["grade"]["locked"]
    assert kinds["grade"]["points"] == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("".join(find_cell("answer")["source"]), ""),
        (release("".join(find_cell("answer")["source"])), "unfinished"),
        (f"# edunn: cross-entropy\n{WRONG}", "1/N is forgotten"),
        (f"# edunn: cross-entropy\n{RIGHT}", ""),
        (HINGE, "cross-entropy is missing"),
    ],
    ids=["the solution", "the released version", "wrong", "right", "another task"],
)
def test_the_last_cell_grades_the_notebook(
    answer: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_in(tmp_path, answer)
    if says:
        with pytest.raises(AssertionError, match=says):
            run_last_cell(tmp_path, monkeypatch)
    else:
        run_last_cell(tmp_path, monkeypatch)


def test_the_graded_notebook_does_not_run_its_last_cell(tmp_path: Path) -> None:
    """It would grade itself, and that grading itself again."""
    module = execute(fill_in(tmp_path, "# edunn: cross-entropy\n" + RIGHT))
    assert not module.notes


# ---- the teacher's key -----------------------------------------------------------------------------------------------


def test_with_a_teachers_key_solutions_open_with_it_alone(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert main(["exercise", "hinge", "--solution"]) == 0
    digest = hashlib.sha256(b"letmein").hexdigest()  # as `printf letmein | sha256sum` writes it
    monkeypatch.setenv("EDUNN_TEACHER_KEY", digest)
    for key in ((), ("--key", "guess"), ("--key", digest)):
        assert main(["exercise", "hinge", "--solution", *key]) == 2
    assert "--key" in capsys.readouterr().err
    assert main(["exercise", "hinge"]) == 0
    assert main(["exercise", "hinge", "--solution", "--key", "letmein"]) == 0
