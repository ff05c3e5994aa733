"""The README does what it says: its Python runs, and what stands behind a `# ` is what is printed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from edunn import config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_runs_and_prints_the_number_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {}
    printed = ""
    for block in blocks("python"):
        if not block.startswith("def "):  # an excerpt of the package's own source
            exec(compile(block, "README.md", "exec"), namespace)
            printed += capsys.readouterr().out
    promised = re.findall(r"print\(.*\)\s+# (\S+)", "".join(blocks("python")))
    assert promised
    assert all(number in printed for number in promised), printed


def test_excerpts_are_the_source() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "edunn").rglob("*.py"))
    for block in blocks("python"):
        if block.startswith("def "):
            for line in re.findall(r"^    (return .*)$", block, re.MULTILINE):
                assert line in source


def test_config_is_accepted() -> None:
    (text,) = blocks("toml")
    assert config.parse(tomllib.loads(text)).data.target == "kind"


def test_the_two_commands_are_one_line_each() -> None:
    commands = [block for block in blocks("sh") if block.startswith("python3 -m venv .venv")]
    assert len(commands) == 2
    assert all(len(command.strip().splitlines()) == 1 for command in commands)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists()


def test_named_configs_exist() -> None:
    names = re.findall(r"configs/\w+\.toml", README)
    assert names
    assert all((ROOT / name).is_file() for name in names)
