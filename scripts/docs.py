# %% [markdown]
# The pages of `docs/` that come from the code: `python scripts/docs.py`. A test holds the pages to it.

# %%
from pathlib import Path
from typing import Any

from edunn import exercises, lessons
from edunn.lessons import Lesson, Row
from edunn.lessons.engine import shown

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- written by scripts/docs.py -->\n"
LECTURES = {
    "000": "the cost function against problem, loss and activation (Italian)",
    "001": "losses of linear classifiers and optimisation (Spanish)",
    "002": "gradient descent on a line, and the computation graph (Ukrainian)",
    "003": "neurons and descent by hand (English)",
    "004": "the 0/1 error and descent on a quadratic (Italian)",
}


def brief(value: Any) -> Any:
    """Six digits, and 0 for rounding noise: what every machine agrees on."""
    if isinstance(value, dict):
        return {key: brief(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [brief(one) for one in value]
    return (float(f"{value:.6g}") if abs(value) > 1e-12 else 0.0) if isinstance(value, float) else value


def cell(value: Any) -> str:
    text = "" if value is None else shown(brief(value))
    return text.replace("|", "\\|").replace("\n", " ")


def errata(rows: list[Row]) -> str:
    """Every slip, with what it prints, what its mistake gives, and what is true."""
    lines = [MADE, "# Errata\n", "What the five lectures print and should not, found by recomputing every figure.",
             "Each is a row of `edunn lesson all --json`; a lesson shows it in its place.\n"]  # fmt: skip
    for lecture, about in LECTURES.items():
        lines += [f"## Lecture {lecture}: {about}\n", "| id | printed | the mistake | it gives | true | lesson |",
                  "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for row in rows:
            where = lessons.get(row.lesson).lecture
            if row.mistake is not None and (row.id.startswith(lecture) or (len(row.id) < 5 and where == lecture)):
                true = "see the lesson" if len(shown(row.computed)) > 160 else cell(row.computed)
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
        mine = [e.name for e in exercises.EXERCISES.values() if e.lesson == lesson.name]
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
             *other_pages(),
             "- [README](../README.md): how to install and begin\n",
             "| lesson | lecture | the question it answers |", "| --- | --- | --- |"]  # fmt: skip
    lines += [f"| [{k.name}](lessons.md#{k.name}) | {k.lecture} | {cell(k.question)} |" for k in every.values()]
    lines += ["", "| exercise | formula |", "| --- | --- |"]
    lines += [f"| `{e.name}` | {cell(e.formula)} |" for e in exercises.EXERCISES.values()]
    return "\n".join(lines) + "\n"


def other_pages() -> list[str]:
    """The pages that are written by hand, by their own first heading."""
    known = ("index.md", "lessons.md", "errata.md", "glossary.md")
    found = [path for path in sorted(DOCS.glob("*.md")) if path.name not in known]
    return [f"- [{path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}]({path.name})" for path in found]


def pages() -> dict[str, str]:
    """The pages by file name."""
    every = lessons.lessons()
    return {"errata.md": errata(lessons.rows()), "lessons.md": page(every), "index.md": index(every)}


# %%
if __name__ == "__main__":
    from edunn.figures import save

    (DOCS / "images" / "lessons").mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    for lesson in lessons.lessons().values():
        for name, draw in lesson.figures.items():
            drawn: Any = draw()
            save(drawn[0] if isinstance(drawn, tuple) else drawn, DOCS / "images" / "lessons" / f"{name}.png", dpi=80)
