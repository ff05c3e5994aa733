"""The lectures' scripts run as programs, warnings and all, and save their pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "scripts").glob("lecture_*.py"))


def test_one_script_a_lecture() -> None:
    assert [path.name[:11] for path in SCRIPTS] == [f"lecture_00{k}" for k in range(5)]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_runs_and_draws(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    pictures = list(tmp_path.glob("lecture-00*/*.png"))
    assert len(pictures) >= 3
    assert all(picture.stat().st_size > 5000 for picture in pictures)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_opens_as_a_notebook(path: Path) -> None:
    """Cells are marked, the first is a title, and every lesson that is named exists."""
    from edunn import lessons

    text = path.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert text.count("\n# %%") >= 6
    named = re.findall(r"^lessons\.show\((.*)\)$", text, re.MULTILINE)
    assert named
    assert set(re.findall(r'"([a-z-]+)"', " ".join(named))) <= set(lessons.lessons())
