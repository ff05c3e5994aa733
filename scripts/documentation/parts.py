"""A page in pieces: its code blocks are run, its marked parts filled in from the source and from what was printed.

In a page stand, as comments that nobody sees,

    <!-- code: losses.Hinge.pointwise losses.Hinge.pointwise_gradient -->   their source, up to <!-- end -->
    <!-- output -->                what the block above it printed, up to <!-- end -->

and before a block

    <!-- saved as: NAME -->        it is written to that file, and not run
    <!-- exit: 1 -->               its last command ends so
    <!-- smaller: 512 96 WHY -->   it is run with the one text in place of the other
    <!-- not run: WHY -->

The Python blocks of a page share their names, and a number in a comment behind a `print` has to be what it prints.
Commands of `edunn` run in a folder that has configs/ and what `given` puts there; no other command is run, and its
block has to say why.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from edunn.cli import main
from edunn.experiment import config

ROOT = Path(__file__).resolve().parent.parent.parent
MARK = re.compile(r"^<!-- (code|output|saved as|exit|smaller|not run)(?:: (.*?))? -->$")
END = "<!-- end -->"
FENCE = re.compile(r"^```(\w*)$")


class PageError(AssertionError):
    """A page promises what does not happen."""


class Page:
    """One page, run from top to bottom in a folder of its own.

    text : of the page, from its file
    folder : where its commands run and its files are saved
    """

    def __init__(self, text: str, folder: Path) -> None:
        self.lines = text.split("\n")
        self.folder = folder
        self.names: dict[str, object] = {"__name__": "page"}
        self.printed: str | None = None  # by the last block that ran
        self.ran = 0

    def filled(self) -> str:
        """The page as it should stand: every block run, every marked part written anew."""
        out: list[str] = []
        at, marks = 0, {}
        with inside(self.folder):
            while at < len(self.lines):
                line = self.lines[at]
                out.append(line)
                at += 1
                if mark := MARK.match(line):
                    kind, value = mark[1], mark[2] or ""
                    if kind in ("code", "output"):
                        out += ["", *(excerpt(value) if kind == "code" else self.output()), "", END]
                        at = self.lines.index(END, at) + 1
                    else:
                        marks[kind] = value
                elif fence := FENCE.match(line):
                    end = self.lines.index("```", at)
                    self.run(fence[1], "\n".join(self.lines[at:end]) + "\n", marks)
                    out += self.lines[at : end + 1]
                    at, marks = end + 1, {}
                elif line.strip() and marks:
                    raise PageError(f"Expected a code block behind {marks}; got {line!r}.")
        return "\n".join(out)

    def run(self, language: str, body: str, marks: dict[str, str]) -> None:
        """Runs one block, and keeps what it printed."""
        if "saved as" in marks:
            saved = Path(marks["saved as"])
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.write_text(body, encoding="utf-8")
        elif "not run" in marks:
            if not marks["not run"]:
                raise PageError(f"Expected a reason why this is not run: {body!r}.")
        elif language == "python":
            self.printed = self.python(body)
            self.ran += 1
        elif language == "sh":
            if "smaller" in marks:
                large, small, _ = marks["smaller"].split(" ", 2)
                body = body.replace(large, small)
            self.printed = shell(body, int(marks.get("exit", 0)))
            self.ran += 1
        elif language == "toml":
            config.parse(tomllib.loads(body))
            self.ran += 1
        elif language != "text":
            raise PageError(f"Expected a block of python, sh, toml or text; got {language!r}.")

    def python(self, body: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(body, "<page>", "exec"), self.names)
        for promised in re.findall(r"print\(.*\)\s+# ([-\d.e]+)$", body, re.MULTILINE):
            if promised not in said.getvalue():
                raise PageError(f"Expected {promised}; got {said.getvalue()!r}.")
        return said.getvalue()

    def output(self) -> list[str]:
        if not (self.printed or "").strip():
            raise PageError("Expected a block above <!-- output --> that prints something.")
        assert self.printed is not None
        return ["```text", *(line.rstrip() for line in self.printed.strip("\n").split("\n")), "```"]


def shell(body: str, wanted: int) -> str:
    """The commands of a shell block, in turn, in this process; the last ends with `wanted`, the rest with 0."""
    commands = [part for line in body.splitlines() for part in split(line)]
    printed = ""
    for number, words in enumerate(commands, 1):
        if words[0] != "edunn":
            raise PageError(f"Expected a command of edunn, or <!-- not run: WHY -->; got {shlex.join(words)}.")
        said, aside = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(aside):
            try:
                code = main(words[1:]) or 0
            except SystemExit as end:
                code = end.code or 0
        if code != (wanted if number == len(commands) else 0):
            raise PageError(f"{shlex.join(words)} ended with {code}:\n{aside.getvalue()}{said.getvalue()}")
        printed += said.getvalue()
    return printed


def split(line: str) -> Iterator[list[str]]:
    """The commands of one line, which may be joined with && and followed by a comment."""
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if word == "&&":
            yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Working in a folder that has the configs, and the files that a reader is supposed to have."""
    given(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def given(folder: Path) -> None:
    """What the pages call the reader's own: a table of flowers, and a hand-in."""
    (folder / "configs").symlink_to(ROOT / "configs", target_is_directory=True)
    rows = [f"{4 + k % 7 / 10:.1f},{2 + k % 5 / 10 + k % 2:.1f},{('rose', 'iris')[k % 2]}" for k in range(60)]
    (folder / "flowers.csv").write_text("\n".join(["length,width,kind", *rows]) + "\n", encoding="utf-8")
    new = "\n".join(["length,width", *(row.rpartition(",")[0] for row in rows[:3])])
    (folder / "new_flowers.csv").write_text(new + "\n", encoding="utf-8")
    (folder / "hand-ins").mkdir()
    (folder / "hand-ins" / "one.py").write_text(
        "TASK = 'l2'\n\n\ndef l2(weight, strength):\n    return strength * (weight**2).sum()\n\n\n"
        "def l2_gradient(weight, strength):\n    return 2 * strength * weight\n",
        encoding="utf-8",
    )


def excerpt(names: str) -> list[str]:
    """The source of functions, methods or classes of the package, cut from the files, which are linked."""
    found = [source(name) for name in names.split()]
    files = dict.fromkeys(file for file, _ in found)
    links = ", ".join(f"[edunn/{file}](../../edunn/{file})" for file in files)
    return [f"From {links}:", "", "```python", *"\n\n".join(text for _, text in found).split("\n"), "```"]


def source(name: str) -> tuple[str, str]:
    """The file under edunn/, and the text, of a thing named from the package's root."""
    thing, owner = resolved(name)
    text = textwrap.dedent(inspect.getsource(thing)).rstrip()
    module = inspect.getmodule(thing)
    assert module is not None
    assert module.__file__ is not None
    file = Path(module.__file__).relative_to(ROOT / "edunn").as_posix()
    return file, text if owner is None else f"# {owner}\n{text}"


def resolved(name: str) -> tuple[object, str | None]:
    """The thing, and the class that it is a method of."""
    parts = name.split(".")
    thing: object = importlib.import_module("edunn")
    owner = None
    for number, part in enumerate(parts):
        if inspect.isclass(thing):
            owner = thing.__name__
        try:
            thing = getattr(thing, part)
        except AttributeError:
            if not isinstance(thing, ModuleType):
                raise
            thing = importlib.import_module(".".join(["edunn", *parts[: number + 1]]))
    return thing, owner


NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")


def alike(one: str, other: str) -> bool:
    """Whether two outputs are the same but for rounding: words alike, numbers to three digits, and noise below 1e-8.

    Of a certificate's summary only the count is held: which gradient's rounding is largest differs by machine.
    """
    first, second = (re.sub(r"; the largest relative error is .*", "", text) for text in (one, other))
    if [*NUMBER.sub("#", first).split()] != [*NUMBER.sub("#", second).split()]:
        return False
    return all(near(a, b) for a, b in zip(NUMBER.findall(first), NUMBER.findall(second), strict=True))


def near(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        a, b = (float(text.replace("−", "-").replace(",", "")) for text in (one, other))
    except ValueError:
        return False
    return abs(a - b) <= max(1e-8, 1e-3 * max(abs(a), abs(b)))


def same_page(one: str, other: str) -> bool:
    """Whether a page is as it should stand: to the letter, outputs to rounding."""
    parts = re.compile(r"(<!-- output -->.*?<!-- end -->)", re.DOTALL)
    first, second = parts.split(one), parts.split(other)
    return len(first) == len(second) and all(
        a == b or (k % 2 == 1 and alike(a, b)) for k, (a, b) in enumerate(zip(first, second, strict=True))
    )
