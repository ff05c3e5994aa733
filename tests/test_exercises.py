"""Exercises: cut from the package's source, unfinished as written, right with the package's own code."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path

import pytest

from edunn import cli, exercises, lessons
from edunn.errors import ConfigError, EdunnError
from edunn.exercises import EXERCISES, cut, write_blank

Capture = pytest.CaptureFixture[str]
every = pytest.mark.parametrize("name", EXERCISES)


def graded(path: Path) -> exercises.Grade:
    """In this process: the files are ours, and a process each takes seconds."""
    (handin,) = exercises.load(path)
    return exercises.grade(handin)


@every
def test_unfinished_as_written_and_right_with_the_package_s_code(name: str, tmp_path: Path) -> None:
    blank, solved = tmp_path / "blank.py", tmp_path / "solved.py"
    blank.write_text(write_blank(name), encoding="utf-8")
    solved.write_text(write_blank(name, solution=True), encoding="utf-8")
    with pytest.raises(exercises.Unfinished, match="fill in the blanks"):
        graded(blank)
    grade = graded(solved)
    assert (grade.task, grade.status) == (name, "right"), grade.message


@every
def test_no_solution_in_sight(name: str) -> None:
    """No right-hand side of the source stands in the student's file, and no comment of it."""
    exercise, student = EXERCISES[name], write_blank(name)
    for piece in (function for one in exercise.cut for function in one.functions):
        source = textwrap.dedent(inspect.getsource(piece))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assign | ast.Return | ast.AugAssign) and node.value is not None:
                said = ast.unparse(node.value)
                assert len(said) < 4 or f"= {said}" not in student.replace("self.", "")
                assert f"return {said}\n" not in student.partition("class HandIn")[0]
        for line in source.splitlines():
            if line.strip().startswith("#"):
                assert line.strip() not in student


@every
def test_the_solution_is_the_source(name: str) -> None:
    exercise, solved = EXERCISES[name], write_blank(name, solution=True)
    for piece in (function for one in exercise.cut for function in one.functions):
        for line in textwrap.dedent(inspect.getsource(piece)).splitlines():
            assert line in solved


@every
def test_each_names_its_formula_its_file_and_a_lesson_that_exists(name: str) -> None:
    exercise = EXERCISES[name]
    student = write_blank(name)
    assert exercise.formula in student
    for one in exercise.cut:
        assert one.file in student
        assert (Path(__file__).parent.parent / one.file).is_file()
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
    text = write_blank(name)
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
    assert cut.blank_out(source).splitlines() == [
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
        write_blank("hing")


# ---- the command -----------------------------------------------------------------------------------------------------


def test_list(capsys: Capture) -> None:
    assert cli.main(["exercise", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["exercises"]
    assert {"hinge", "dropout", "softmax-classifier", "adam", "numeric-gradient"} <= {one["name"] for one in told}
    assert all(list(one) == ["name", "lesson", "formula"] for one in told)


def test_written_graded_solved(tmp_path: Path, capsys: Capture) -> None:
    mine, solved = tmp_path / "mine.py", tmp_path / "solved.py"
    assert cli.main(["exercise", "cross-entropy", "--out", str(mine)]) == 0
    assert "edunn check" in capsys.readouterr().err
    assert cli.main(["check", str(mine)]) == 1
    assert cli.main(["exercise", "cross-entropy", "--solution", "--out", str(solved), "--quiet"]) == 0
    assert cli.main(["check", str(solved)]) == 0
    assert cli.main(["exercise", "cross-entropy", "--out", str(mine)]) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["nothing-such"], ["l2", "--out", "no/such/folder/l2.py"]])
def test_what_cannot_be_asked_for(words: list[str], capsys: Capture) -> None:
    assert cli.main(["exercise", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edunn: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--template", "hinge"], "edunn exercise hinge --out mine.py"),
        (["--template", "hinge", "--out", "h.py"], "edunn exercise hinge --out h.py"),
        (["--template", "list"], "edunn exercise --list"),
        (["--template"], "edunn exercise NAME --out mine.py"),
        (["mine.py", "--template", "l2"], "edunn exercise l2 --out mine.py"),
    ],
    ids=["a name", "with --out", "the list", "without a name", "beside a target"],
)
def test_check_writes_no_blank_and_says_what_does(words: list[str], command: str, capsys: Capture) -> None:
    assert cli.main(["check", *words]) == 2
    assert capsys.readouterr().err == f"edunn: edunn check only grades. To write a blank, use {command}\n"


def test_errors_are_the_package_s() -> None:
    assert issubclass(exercises.Unfinished, EdunnError)
