# %% [markdown]
# The notebooks of docs/notebooks, each built from a script of scripts/notebooks and run: `python scripts/notebooks.py`.

# %%
from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts" / "notebooks"
NOTEBOOKS = ROOT / "docs" / "notebooks"


def build(script: Path) -> nbformat.NotebookNode:
    """Returns a script as a notebook without outputs; the same script gives the same notebook."""
    notebook = jupytext.read(script)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        cell.source = cell.source.replace("  # fmt: skip", "")
    return notebook


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Runs every cell in a folder, and returns the notebook with its outputs. An error in a cell is raised."""
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}  # the times of execution
    return notebook


# %%
if __name__ == "__main__":
    for script in sorted(SCRIPTS.glob("*.py")):
        if sys.argv[1:] and script.stem not in sys.argv[1:]:
            continue
        NOTEBOOKS.mkdir(parents=True, exist_ok=True)
        nbformat.write(run(build(script), NOTEBOOKS), NOTEBOOKS / f"{script.stem}.ipynb")
        print(f"wrote {NOTEBOOKS / script.stem}.ipynb")
