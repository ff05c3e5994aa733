"""The notebooks of docs/ are their scripts, run: every figure and table is in the output, with today's numbers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
notebooks = __import__("notebooks")  # the script that builds them
SCRIPTS = sorted((ROOT / "scripts" / "notebooks").glob("*.py"))
ROUNDING = re.compile(r"\d\.\de[-+]\d+")  # errors of gradients are rounding, which differs between processors
each = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def stored(script: Path) -> Any:
    return nbformat.read(ROOT / "docs" / "notebooks" / f"{script.stem}.ipynb", 4)


def outputs(cell: Any) -> list[tuple[str, str]]:
    """What a cell shows: its kind and its text; of a picture its kind alone."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            found.append(("picture", ""))
        elif "text/html" in data:
            found.append(("table", ROUNDING.sub("~", data["text/html"])))
        else:
            found.append((output["output_type"], data.get("text/plain", output.get("text", ""))))
    return found


def test_there_are_notebooks() -> None:
    assert [script.stem for script in SCRIPTS] == ["first"]


@each
def test_the_stored_notebook_is_the_script(script: Path) -> None:
    built = notebooks.build(script)
    assert [(c.cell_type, c.source) for c in stored(script).cells] == [(c.cell_type, c.source) for c in built.cells]


@each
def test_the_notebook_runs_and_shows_what_is_stored(script: Path, tmp_path: Path) -> None:
    ran = notebooks.run(notebooks.build(script), tmp_path)
    assert [outputs(cell) for cell in ran.cells] == [outputs(cell) for cell in stored(script).cells]
    assert not any(output.get("name") == "stderr" for cell in ran.cells for output in cell.get("outputs", []))


def test_ten_lines_from_a_frame_to_its_pictures() -> None:
    """Samples, model, training, the curve, the surface and its pictures, the fit, the report and its picture."""
    cells = [cell for cell in stored(SCRIPTS[0]).cells if cell.cell_type == "code"]
    lines = [line for cell in cells for line in cell.source.splitlines() if "(" in line]
    after = [line for line in lines if not line.startswith(("frame", "edunn.gradcheck", "loss"))]
    assert len(after) == 10
    shown = [kind for cell in cells for kind, _ in outputs(cell)]
    assert shown.count("picture") == 5  # loss, contour, 3-D, fit, confusion: two of them from one cell
    assert shown.count("table") == 4  # samples, history, report, certificate
    assert any([kind for kind, _ in outputs(cell)].count("picture") == 2 for cell in cells)
