"""The pages of docs/: those that are written from the code are as the code writes them now, and no link is dead."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from edunn import lessons

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_written_pages_are_what_the_code_writes(writer: ModuleType) -> None:
    for name, text in writer.pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name} is stale: run python scripts/docs.py"


def test_every_figure_of_every_lesson_is_there() -> None:
    wanted = {f"{name}.png" for lesson in lessons.lessons().values() for name in lesson.figures}
    assert {path.name for path in (DOCS / "images" / "lessons").iterdir()} == wanted


def headings(page: Path) -> set[str]:
    return {line.lstrip("# ").strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_dead_link(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        assert (DOCS / path).is_file(), target
        assert not anchor or anchor in headings(DOCS / path), target


def test_the_glossary_has_four_languages_in_every_line() -> None:
    lines = [line for line in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) > 25
    for line in lines[2:]:
        here, also, *others = (part.strip() for part in line.strip("|").split("|"))
        assert here
        assert also is not None
        assert len(others) == 3
        assert all(others), line
