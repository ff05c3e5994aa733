"""What the README alone promises; that its code runs and its links lead somewhere is held in test_docs.py."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from edunn.experiment import config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_first_block_prints_a_number_to_check() -> None:
    assert re.search(r"print\(.*\)  # \d", blocks("python")[0])


def test_excerpts_are_the_source() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "edunn").rglob("*.py"))
    excerpts = [block for block in blocks("python") if block.startswith("def ")]
    assert excerpts
    for block in excerpts:
        for line in re.findall(r"^    (return .*)$", block, re.MULTILINE):
            assert line in source


def test_config_is_accepted() -> None:
    (text,) = blocks("toml")
    assert config.parse(tomllib.loads(text)).data.target == "kind"


def test_the_two_commands_are_one_line_each() -> None:
    commands = [block for block in blocks("sh") if block.startswith("python3 -m venv .venv")]
    assert len(commands) == 2
    assert all(len(command.strip().splitlines()) == 1 for command in commands)


def test_named_configs_exist() -> None:
    names = re.findall(r"configs/\w+\.toml", README)
    assert names
    assert all((ROOT / name).is_file() for name in names)
