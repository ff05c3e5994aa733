"""Reads a hand-in as Python text: any encoding and line ending; of a notebook the code of its cells."""

from __future__ import annotations

import codecs
import io
import json
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls import HandinError

LARGEST = 20 * 2**20  # bytes; notebooks hold their pictures
MARK = re.compile(r"^\s*#\s*edunn:\s*(.*?)\s*$")
# what IPython takes and Python does not: magics, shell lines, and questions about an object
MAGIC = re.compile(r"^\s*(%|!|\?)|^[\w.]+\?{1,2}\s*$|^\s*[\w.,\s]+=\s*(!|%)")
OTHER_LANGUAGE = re.compile(r"^\s*%%(?!time\b|timeit\b|capture\b|prun\b)")  # a cell of bash, html, a file


@dataclass(frozen=True)
class Source:
    """The text of a hand-in.

    text : Python, with \\n at the line ends
    whole : whether all of it is to be run; else its definitions alone
    places : for each line of a notebook's text, the cell and the line in it, counted from 1
    tasks : for each marked part of a notebook (first line, last line, what the mark says)
    notes : what a reader should know
    """

    path: Path
    text: str
    whole: bool = True
    places: tuple[tuple[int, int], ...] = ()
    tasks: tuple[tuple[int, int, str], ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, line: int) -> str:
        """Says where a line is: `line 3`, or `cell 2, line 3` of a notebook."""
        if 0 < line <= len(self.places):
            cell, inside = self.places[line - 1]
            return f"cell {cell}, line {inside}"
        return f"line {line}"


def read_source(path: Path) -> Source:
    """Reads a .py file or a notebook. Raises HandinError for a file that is neither."""
    try:
        if path.stat().st_size > LARGEST:
            raise HandinError(f"{path.name} has more than {LARGEST // 2**20} MiB, and is not read.")
        raw = path.read_bytes()
    except OSError as error:
        raise HandinError(f"{path.name} cannot be read: {error.strerror}") from None
    text, notes = decode(raw, path.name)
    if path.suffix == ".ipynb":
        return read_notebook(path, text, notes)
    if "\0" in text:
        raise HandinError(f"{path.name}: it has null bytes, so it is not Python text")
    return Source(path, text, notes=notes)


def decode(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Returns the text: in the encoding that the file declares or its first bytes show; else UTF-8, else latin-1."""
    for start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if raw.startswith(start):
            return unify_ends(raw.decode("utf-16", "replace")), ("read as UTF-16",)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        return unify_ends(raw.decode(encoding)), ()
    except (SyntaxError, LookupError, UnicodeDecodeError):
        note = "read as latin-1, for it is not UTF-8 and says no encoding"
        return unify_ends(raw.decode("latin-1")), (note,)


def unify_ends(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_notebook(path: Path, text: str, notes: tuple[str, ...]) -> Source:
    """Returns the code of a notebook: the marked cells where there are marks, else all, of which definitions are run.

    `# edunn: NAME` in a cell begins the part that answers the exercise NAME; the next mark, or `# edunn: end`, ends it.
    """
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    marks: list[tuple[int, str]] = []
    for number, cell in enumerate(list_cells(path, text), 1):
        kept = [] if OTHER_LANGUAGE.match(cell.lstrip("\n")) else cell.splitlines()
        for inside, line in enumerate(kept, 1):
            mark = MARK.match(line)
            if mark:
                marks.append((len(lines) + 1, mark[1]))
            # a statement stays where a magic was, for a block that had no other
            lines.append(re.sub(r"\S.*", "pass", line) if MAGIC.match(line) else line)
            places.append((number, inside))
    tasks = tuple(
        (line, (marks[k + 1][0] - 1 if k + 1 < len(marks) else len(lines)), name)
        for k, (line, name) in enumerate(marks)
        if name.lower() not in ("", "end")
    )
    return Source(path, "\n".join(lines) + "\n", False, tuple(places), tasks, notes)


def list_cells(path: Path, text: str) -> list[str]:
    """Returns the code of each code cell, of notebook formats 3 and 4, without the cells that nbgrader tests with."""
    try:
        book: Any = json.loads(text)
        cells = book["cells"] if "cells" in book else [c for sheet in book["worksheets"] for c in sheet["cells"]]
        found = []
        for cell in cells:
            marked = cell.get("metadata", {}).get("nbgrader", {})
            if cell.get("cell_type") == "code" and (marked.get("solution") or not marked.get("grade")):  # no test cells
                code = cell.get("source", cell.get("input", ""))
                found.append(unify_ends(code if isinstance(code, str) else "".join(code)))
        return found
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise HandinError(f"{path.name} is not a notebook: it is not the JSON that Jupyter writes.") from None
