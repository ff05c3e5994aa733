# %% [markdown]
# The pages of `docs/` that come from the code: `python scripts/docs.py`. With `--check` nothing is written, and the
# exit code says whether a page is stale. A test holds the pages to it. `python scripts/docs.py docs/conventions.md …`
# writes these pages alone, and no picture.
#
# The errata, lessons, index and conventions are written whole. In the other pages the marked parts are filled in: code
# from the source, outputs by running the block above (see `documentation/parts.py`).

# %%
import sys
import tempfile
from pathlib import Path
from typing import Any

from documentation import conventions, parts, pictures

from edunn import lessons
from edunn.exercises import EXERCISES
from edunn.figures import save
from edunn.lessons import Lesson, Row
from edunn.lessons.engine import format_value

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WHOLE = ("errata.md", "lessons.md", "conventions.md", "index.md")
MADE = "<!-- written by scripts/docs.py -->\n"
LECTURES = {
    "000": "the cost function against problem, loss and activation (Italian)",
    "001": "losses of linear classifiers and optimisation (Spanish)",
    "002": "gradient descent on a line, and the computation graph (Ukrainian)",
    "003": "neurons and descent by hand (English)",
    "004": "the 0/1 error and descent on a quadratic (Italian)",
}
TOPICS = (
    "squared-error", "robust-losses", "logistic", "cross-entropy", "hinge", "multiclass-hinge", "penalties",
    "linear-layer", "activations", "batch-normalisation", "three-descents", "update-rules", "stable-rate",
    "landscapes", "gradient-check", "computation-graph", "nearest-neighbours", "image-features",
)  # fmt: skip


def round_numbers(value: Any) -> Any:
    """Rounds to six digits, and rounding noise to 0: every machine agrees on these."""
    if isinstance(value, dict):
        return {key: round_numbers(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [round_numbers(one) for one in value]
    if not isinstance(value, float):
        return value
    return 0.0 if abs(value) <= 1e-12 else float(f"{value:.6g}")  # in this order a nan does not count as noise


def cell(value: Any) -> str:
    text = "" if value is None else format_value(round_numbers(value))
    return text.replace("|", "\\|").replace("\n", " ")


def errata(rows: list[Row]) -> str:
    """Returns the page of errors: the printed number, the mistake, its result, and the true number."""
    lines = [MADE, "# Errata\n", "Wrong numbers and statements in the five lectures, found by recomputing all.",
             "Each is a row of `edunn lesson all --json`; a lesson shows it in its place.\n"]  # fmt: skip
    for lecture, about in LECTURES.items():
        lines += [f"## Lecture {lecture}: {about}\n", "| id | printed | the mistake | it gives | true | lesson |",
                  "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for row in rows:
            where = lessons.get(row.lesson).lecture
            if row.mistake is not None and (row.id.startswith(lecture) or (len(row.id) < 5 and where == lecture)):
                true = "see the lesson" if len(format_value(row.computed)) > 160 else cell(row.computed)
                lines.append(
                    f"| {row.id} | {cell(row.printed)} | {cell(row.mistake)} | {cell(row.reproduced)[:120]} | {true} | "
                    f"[{row.lesson}](lessons.md#{row.lesson}) |"
                )
        lines.append("")
    return "\n".join(lines)


def page(every: dict[str, Lesson]) -> str:
    """Every lesson: question, derivation, exercises, pictures."""
    lines = [MADE, "# Lessons\n", "`edunn lesson NAME` prints each with its tables at full precision; `--out` saves",
             "them with the pictures. What the lectures print wrongly is in the [errata](errata.md).\n"]  # fmt: skip
    for lesson in every.values():
        lines += [f"## {lesson.name}\n", f"**{lesson.question}** (lecture {lesson.lecture})\n",
                  f"```text\n{lesson.derivation}\n```\n"]  # fmt: skip
        mine = [e.name for e in EXERCISES.values() if e.lesson == lesson.name]
        if mine:
            lines.append("Exercises: " + ", ".join(f"`edunn exercise {name}`" for name in mine) + "\n")
        lines += [f"![{name.replace('_', ' ')}](images/lessons/{name}.png)\n" for name in lesson.figures]
    return "\n".join(lines)


def index(every: dict[str, Lesson]) -> str:
    """Where to look."""
    lines = [MADE, "# edunn: the documentation\n",
             "- [Lessons](lessons.md): every topic with its derivation and pictures",
             "- [Errata](errata.md): what the lectures print wrongly, and by which mistake",
             "- [Glossary](glossary.md): the terms in English, Italian, Spanish and Ukrainian",
             "- [Conventions](conventions.md): how CS231n's notes, torch and scikit-learn differ from us",
             *other_pages(),
             "- [README](../README.md): installation and first steps",
             "- [CONTRIBUTING](../CONTRIBUTING.md): how to contribute",
             "", "## Topics\n",
             "Each page has the formula, a derivation by hand, the code, a certificate and a picture.\n",
             *topics(),
             "", "## Lessons\n",
             "| lesson | lecture | the question it answers |", "| --- | --- | --- |"]  # fmt: skip
    lines += [f"| [{k.name}](lessons.md#{k.name}) | {k.lecture} | {cell(k.question)} |" for k in every.values()]
    lines += ["", "## Exercises\n", "| exercise | formula |", "| --- | --- |"]
    lines += [f"| `{e.name}` | {cell(e.formula)} |" for e in EXERCISES.values()]
    return "\n".join(lines) + "\n"


def title(path: Path) -> str:
    """A page's own first heading."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line.lstrip("# ") for line in lines if line.startswith("# "))


def other_pages() -> list[str]:
    """The pages that are written by hand, by their own first heading."""
    found = [path for path in sorted(DOCS.glob("*.md")) if path.name not in (*WHOLE, "glossary.md")]
    found += sorted((DOCS / "benchmarks").glob("*.md"))
    return [f"- [{title(path)}]({path.relative_to(DOCS).as_posix()})" for path in found]


def topics() -> list[str]:
    """The topics in the order of the course, each with the question under its heading."""
    found = []
    for name in TOPICS:
        path = DOCS / "topics" / f"{name}.md"
        question = path.read_text(encoding="utf-8").split("\n\n")[1].replace("\n", " ").strip("*")
        found.append(f"- [{title(path)}](topics/{name}.md): {question}")
    return found


def pages() -> dict[str, str]:
    """The pages that are written whole, by file name."""
    every = lessons.lessons()
    return {
        "errata.md": errata(lessons.rows()),
        "lessons.md": page(every),
        "conventions.md": MADE + "\n" + conventions.page(),
        "index.md": index(every),
    }


def by_hand() -> list[Path]:
    """The pages whose marked parts are filled in."""
    found = [path for path in sorted(DOCS.rglob("*.md")) if path.parent != DOCS or path.name not in WHOLE]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]


def filled(path: Path) -> str:
    """A page by hand as it should stand."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return parts.Page(path.read_text(encoding="utf-8"), Path(folder)).filled()
        except Exception as error:
            error.add_note(f"in {path.relative_to(ROOT)}")
            raise


def stale() -> list[Path]:
    """The pages that are not as they should stand; outputs may differ by rounding."""
    wanted = {path: filled(path) for path in by_hand()} | {DOCS / name: text for name, text in pages().items()}
    return [
        path for path, text in wanted.items()
        if not path.is_file() or not parts.same_page(path.read_text(encoding="utf-8"), text)
    ]  # fmt: skip


def write_pages(only: set[Path] | None = None) -> None:
    """Writes the pages whose marked parts or text changed."""
    for path in by_hand():
        if only is None or path in only:
            text = filled(path)
            if not parts.same_page(path.read_text(encoding="utf-8"), text):
                path.write_text(text, encoding="utf-8")
    if only is None or any(path.parent == DOCS and path.name in WHOLE for path in only):
        for name, text in pages().items():
            if only is None or DOCS / name in only:
                (DOCS / name).write_text(text, encoding="utf-8")


def write_pictures() -> None:
    """Draws every picture of the topics and lessons."""
    pictures.write(DOCS / "images" / "topics")
    (DOCS / "images" / "lessons").mkdir(parents=True, exist_ok=True)
    for lesson in lessons.lessons().values():
        for name, draw in lesson.figures.items():
            drawn: Any = draw()
            save(drawn[0] if isinstance(drawn, tuple) else drawn, DOCS / "images" / "lessons" / f"{name}.png", dpi=80)


# %%
if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        found = stale()
        print(
            "\n".join(f"{path.relative_to(ROOT)} is stale: run python scripts/docs.py" for path in found) or "all fresh"
        )
        sys.exit(bool(found))
    write_pages({Path(name).resolve() for name in sys.argv[1:]} or None)
    if not sys.argv[1:]:
        write_pictures()
