"""Every page: its code runs and prints what the page says, its parts are as the source has them, no link is dead."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
from documentation import parts, pictures

from edunn import lessons
from edunn.cli import COMMANDS
from edunn.exercises import EXERCISES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
WITH_BLOCKS = [page for page in PAGES if re.search(r"^```(?!text)\w", page.read_text(encoding="utf-8"), re.MULTILINE)]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- code


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=named)
def test_code_runs_and_the_page_is_as_it_should_stand(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = parts.Page(text, tmp_path)
    assert parts.same_page(text, found.filled()), f"{named(page)} is stale: run python scripts/docs.py"


def test_few_blocks_are_left_out_and_each_says_why() -> None:
    """Installing, the checks themselves, real images, other machines: all else runs."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    left_out = [why for text in texts for why in re.findall(r"^<!-- not run: (.*) -->$", text, re.MULTILINE)]
    blocks = sum(len(re.findall(r"^```(?:python|sh|toml)$", text, re.MULTILINE)) for text in texts)
    assert all(len(why) > 20 for why in left_out)
    assert 5 * len(left_out) < blocks


def test_pages_without_blocks_have_no_marks() -> None:
    for page in set(PAGES) - set(WITH_BLOCKS):
        assert not [line for line in page.read_text(encoding="utf-8").splitlines() if parts.MARK.match(line)]


def test_topics_have_code_certificate_and_picture() -> None:
    topics = sorted((DOCS / "topics").glob("*.md"))
    assert len(topics) >= 12
    for topic in topics:
        text = topic.read_text(encoding="utf-8")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings[0] in ("The formula", "The formulas"), topic
        wanted = ["By hand", "In code", "The certificate", "A picture"]
        assert [heading for heading in headings[1:] if heading in wanted] == wanted, topic  # and others between them
        assert "<!-- code: " in text
        assert "<!-- output -->" in text
        assert "](../images/" in text


# --- the runner itself


def page_of(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page_of("```python", "print(1 + 1)  # 3", "```"), "Expected 3; got"),
        (page_of("```sh", "rm -r /nowhere", "```"), "Expected a command of edunn"),
        (page_of("```sh", "edunn graph 'a*b' a=1", "```"), "ended with 2"),
        (page_of("<!-- exit: 1 -->", "```sh", "edunn graph 'a*b' a=1 b=2", "```"), "ended with 0"),
        (page_of("```python", "x = 1", "```", "<!-- output -->", "<!-- end -->"), "that prints something"),
        (page_of("<!-- exit: 1 -->", "some text"), "Expected a code block"),
        (page_of("```ruby", "1", "```"), "Expected a block of python"),
    ],
    ids=["promise", "foreign command", "usage", "exit code", "silent block", "mark without block", "language"],
)
def test_runner_refuses(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(parts.PageError, match=re.escape(message)):
        parts.Page(text, tmp_path).filled()


def test_runner_fills_in(tmp_path: Path) -> None:
    text = page_of("```python", "x = 2", "```", "```python", "print(x + 1)", "```", "<!-- output -->", "old", parts.END)
    filled = parts.Page(text, tmp_path).filled()
    assert filled.endswith(page_of("<!-- output -->", "", "```text", "3", "```", "", parts.END))
    assert not parts.same_page(text, filled)
    code = parts.Page(page_of("<!-- code: losses.Loss.gradient -->", parts.END), tmp_path / "..")
    code.folder = tmp_path / "second"
    code.folder.mkdir()
    assert "return slopes / scores.shape" in code.filled()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("error 1.2e-16  right", "error   3.4e-13 right", True),
        ("error 1.2e-16  right", "error 1.2e-16  WRONG", False),
        ("loss 2.7586547", "loss 2.7586541", True),
        ("loss 2.75", "loss 2.85", False),
        ("v1 = 3", "v2 = 3", False),
        ("4 of 4 gradients are right; the largest relative error is 1e-13 (a)", "4 of 4 gradients are right", True),
        ("4 of 4 gradients are right", "3 of 4 gradients are right", False),
        ("tensor([-0., 1.])", "tensor([0., 1.])", True),
    ],
)
def test_outputs_are_alike_up_to_rounding(one: str, other: str, expected: bool) -> None:
    assert parts.alike(one, other) == expected


# --- pages that are written whole, pictures, links


def test_written_pages_are_what_the_code_writes(writer: ModuleType) -> None:
    for name, text in writer.pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name} is stale: run python scripts/docs.py"


def test_six_digits_keep_what_is_not_a_number(writer: ModuleType) -> None:
    assert str(writer.round_numbers([float("nan"), float("inf"), -1e-13, 1 / 3])) == "[nan, inf, 0.0, 0.333333]"


def test_the_index_lists_every_page() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).as_posix()
        assert name == "index.md" or f"]({name})" in text, name
    assert set(re.findall(r"\]\((topics/[\w-]+\.md)\)", text)) == {
        page.relative_to(DOCS).as_posix() for page in (DOCS / "topics").glob("*.md")
    }


def test_every_figure_of_every_lesson_is_there() -> None:
    wanted = {f"{name}.png" for lesson in lessons.lessons().values() for name in lesson.figures}
    assert {path.name for path in (DOCS / "images" / "lessons").iterdir()} == wanted


def test_every_picture_of_the_topics_is_drawn_and_shown() -> None:
    drawn = {f"{name}.png" for name in pictures.PICTURES}
    assert {path.name for path in (DOCS / "images" / "topics").iterdir()} == drawn
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in DOCS.rglob("*.png"):
        assert f"{picture.relative_to(DOCS / 'images').as_posix()})" in text, f"{picture.name} is shown nowhere"


@pytest.mark.parametrize("name", ["softmax_gradient", "who_pays", "stable_rates"])
def test_pictures_draw(name: str, tmp_path: Path) -> None:
    """The quick ones; all of them are drawn by the script."""
    pictures.save(pictures.PICTURES[name](), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings: small letters, hyphens for spaces, no other marks; doubles get a number."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.add(f"{anchor}-{found[anchor]}" if anchor in found else anchor)
        found[anchor] = found.get(anchor, 0) + 1
    return names


def links(page: Path) -> list[str]:
    without_code = re.sub(r"`[^`\n]*`", "", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_dead_link(page: Path) -> None:
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        assert file.is_relative_to(ROOT), f"{target} leaves the repository"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", sorted((DOCS / "topics").glob("*.md")), ids=named)
def test_formulas_survive_markdown(page: Path) -> None:
    """GitHub reads markdown before formulas: a backslash before a mark is lost, and two stars are emphasis."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    assert text.count("$") % 2 == 0
    formulas = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL)
    assert len(formulas) > 5
    for display, inline in formulas:
        formula = display or inline
        assert not re.search(r"\\[^A-Za-z]|\*", formula), formula
        assert "\n" not in inline, inline
        assert formula.count("{") == formula.count("}"), formula


def test_links_are_found() -> None:
    """The search itself: a README without links would pass."""
    assert len(links(ROOT / "README.md")) > 7
    assert "the-formula" in anchors(DOCS / "topics" / "squared-error.md")
    assert sum(len(links(page)) for page in PAGES) > 200


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_lessons_and_exercises_that_are_named_exist(page: Path) -> None:
    for command in re.findall(r"`edunn ([a-z][^`]*)`", prose(page)):
        name, *rest = shlex.split(command)
        assert name in COMMANDS, command
        known = {"lesson": {*lessons.lessons(), "all"}, "exercise": set(EXERCISES)}.get(name)
        if known is not None and rest and re.fullmatch(r"[a-z][a-z0-9-]*", rest[0]):
            assert rest[0] in known, command


def test_the_glossary_has_four_languages_in_every_line() -> None:
    lines = [line for line in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) > 25
    for line in lines[2:]:
        here, also, *others = (part.strip() for part in line.strip("|").split("|"))
        assert here
        assert also is not None
        assert len(others) == 3
        assert all(others), line
