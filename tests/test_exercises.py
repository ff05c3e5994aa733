"""Exercises: cut from the source as it stands, unfinished as they come, right with the package's own code."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path

import pytest

from edunn import cli, exercises, lessons
from edunn.errors import ConfigError, EdunnError
from edunn.exercises import blanks

Capture = pytest.CaptureFixture[str]
every = pytest.mark.parametrize("name", blanks.EXERCISES)


def graded(path: Path) -> exercises.Grade:
    """In this process: the files are ours, and a process each takes seconds."""
    (handin,) = exercises.load(path)
    return exercises.grade(handin)


@every
def test_unfinished_as_it_comes_and_right_with_the_package_s_code(name: str, tmp_path: Path) -> None:
    blank, solved = tmp_path / "blank.py", tmp_path / "solved.py"
    blank.write_text(blanks.text(name), encoding="utf-8")
    solved.write_text(blanks.text(name, solution=True), encoding="utf-8")
    with pytest.raises(exercises.Unfinished, match="fill in the blanks"):
        graded(blank)
    assert graded(solved).status == "right", graded(solved).message


@every
def test_no_solution_in_sight(name: str) -> None:
    """No right-hand side of the source stands in the student's file, and no comment of it."""
    exercise, student = blanks.EXERCISES[name], blanks.text(name)
    for piece in exercise.pieces:
        source = textwrap.dedent(inspect.getsource(piece))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assign | ast.Return | ast.AugAssign) and node.value is not None:
                said = ast.unparse(node.value)
                assert len(said) < 4 or f"= {said}" not in student.replace("self.", "")
                assert f"return {said}\n" not in student.partition("class Graded")[0]
        for line in source.splitlines():
            if line.strip().startswith("#"):
                assert line.strip() not in student


@every
def test_the_solution_is_the_source(name: str) -> None:
    exercise, solved = blanks.EXERCISES[name], blanks.text(name, solution=True)
    for piece in exercise.pieces:
        for line in textwrap.dedent(inspect.getsource(piece)).splitlines():
            assert line in solved


@every
def test_each_names_its_formula_its_file_and_a_lesson_that_exists(name: str) -> None:
    exercise = blanks.EXERCISES[name]
    student = blanks.text(name)
    assert exercise.formula in student
    assert exercise.source_file in student
    assert (Path(__file__).parent.parent / exercise.source_file).is_file()
    assert exercise.lesson == "" or exercise.lesson in lessons.lessons()
    assert max(map(len, student.splitlines())) <= 120


@pytest.mark.parametrize(
    ("name", "filled", "says"),
    [
        ("cross-entropy", "torch.softmax(scores, -1)", "cross-entropy"),
        ("hinge", "-targets * (targets * scores > 1)", "hinge"),
        ("sigmoid", "self(scores)", "sigmoid"),
    ],
)
def test_a_wrong_answer_is_wrong(name: str, filled: str, says: str, tmp_path: Path) -> None:
    text = blanks.text(name)
    lines = [line for line in text.splitlines() if "raise NotImplementedError" not in line and " = ..." not in line]
    path = tmp_path / "mine.py"
    path.write_text("\n".join(lines).replace("return ...", f"return {filled}"), encoding="utf-8")
    found = graded(path)
    assert found.status == "wrong"
    assert found.task == says


def test_blanks_keep_loops_and_names() -> None:
    source = """def f(x: int, y: int = 2) -> int:
    \"\"\"What it does.\"\"\"
    total = 0  # a comment that tells
    for k in range(x):
        if k == y:
            total += k * y
    return total"""
    assert blanks.blanked(source).splitlines() == [
        "def f(x: int, y: int = 2) -> int:",
        '    """What it does."""',
        '    raise NotImplementedError("fill in the blanks, then delete this line")',
        "    total = ...",
        "    for k in range(x):",
        "        if ...:",
        "            total += ...",
        "    return ...",
    ]


def test_an_unknown_exercise_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown exercise 'hing'\. Did you mean 'hinge'"):
        blanks.text("hing")


# ---- the command -----------------------------------------------------------------------------------------------------


def test_list(capsys: Capture) -> None:
    assert cli.main(["exercise", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["exercises"]
    assert len(told) >= 12
    assert all(list(one) == ["name", "lesson", "formula"] for one in told)


def test_written_graded_solved(tmp_path: Path, capsys: Capture) -> None:
    mine, solved = tmp_path / "mine.py", tmp_path / "solved.py"
    assert cli.main(["exercise", "cross-entropy", "--out", str(mine)]) == 0
    assert "edunn check" in capsys.readouterr().err
    assert cli.main(["check", str(mine)]) == 1
    assert cli.main(["exercise", "cross-entropy", "--solution", "--out", str(solved), "--quiet"]) == 0
    assert cli.main(["check", str(solved)]) == 0
    assert cli.main(["exercise", "cross-entropy", "--out", str(mine)]) == 2  # it may hold somebody's work
    assert "Expected a file that is not there yet" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["nothing-such"], ["l2", "--out", "no/such/folder/l2.py"]])
def test_what_cannot_be_asked_for(words: list[str], capsys: Capture) -> None:
    assert cli.main(["exercise", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(("edunn: Expected ", "edunn: Unknown exercise 'nothing-such'"))


def test_errors_are_the_package_s() -> None:
    assert issubclass(exercises.Unfinished, EdunnError)
