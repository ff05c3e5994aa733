"""Recomputes the worked examples of the lectures: derivation, steps, and a verdict for each number.

  edunn lesson --list              every lesson with its lecture and its question
  edunn lesson NAME                one lesson; with --out its tables and figures as files
  edunn lesson all                 every row of every lesson, errata included
  edunn lesson steps CONFIG.toml   the step table of a config's run: its first --steps

Verdicts: holds (the printed number is right), wrong (it is not; the mistake is named and
reproduced), derived (computed here, not printed). Exit 0: every row agrees with its verdict;
1: one does not.
"""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .common import add_common, emit, note, out_folder

if TYPE_CHECKING:
    from ..data import Samples
    from ..lessons import Lesson, Row, Table

EXAMPLE = "edunn lesson softmax --out softmax-lesson"
WIDEST = 44  # letters of a cell in the table of all rows; --format csv and --json do not shorten
SUFFIXES = {"text": "txt", "markdown": "md", "csv": "csv"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("name", nargs="?", help="a lesson's name, all, or steps")
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="with steps: a config file")
    parser.add_argument("--list", action="store_true", help="print every lesson with its question")
    parser.add_argument(
        "--format", choices=tuple(SUFFIXES), default="text", help="format of the tables (default: text)"
    )
    parser.add_argument("--steps", type=int, default=2, help="with steps: the number of steps (default: 2)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="with steps: change an option of CONFIG (default: none)",
    )
    add_common(parser, out="a folder for the tables and figures (default: print them)", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints a lesson, all rows or a step table. Returns 0 if every row agrees with its verdict, else 1."""
    from ..errors import ConfigError

    if args.list:
        return list_lessons(args)
    if args.name is None:
        raise ConfigError("Which lesson? Name one, or all; edunn lesson --list shows them.")
    if args.name == "steps":
        return show_steps(args)
    if args.config is not None:
        raise ConfigError(f"edunn lesson takes one name; got {args.name!r} and {args.config!r}.")
    return show_all(args) if args.name == "all" else show_one(args)


def claimed(out: str | None) -> AbstractContextManager[object]:
    """Keeps other processes out of the folder of --out, if there is one."""
    from ..runtime.claims import Claim

    return nullcontext() if out is None else Claim(out)


def list_lessons(args: argparse.Namespace) -> int:
    """Prints the name, lecture and question of every lesson."""
    from .. import lessons

    known = lessons.lessons().values()
    result = {"lessons": [{"name": k.name, "lecture": k.lecture, "question": k.question} for k in known]}
    emit(args, result, "\n".join(f"{k.name:<22} {k.lecture}  {k.question}" for k in known))
    return 0


def show_all(args: argparse.Namespace) -> int:
    """Prints the rows of all lessons; with --out also writes their tables and figures."""
    from .. import lessons
    from ..lessons.engine import verdicts

    rows = lessons.rows()
    with claimed(args.out):
        for lesson in lessons.lessons().values() if args.out else ():
            write(args, lesson, [row for row in rows if row.lesson == lesson.name], f"{args.out}/{lesson.name}")
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("holds", "wrong", "derived")}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    table = verdicts(rows, WIDEST).format_as(args.format)
    emit(args, {"rows": [row.as_dict() for row in rows]}, table if args.format == "csv" else f"{table}\n{summary}")
    return exit_code(args, rows)


def show_one(args: argparse.Namespace) -> int:
    """Prints one lesson; with --out also writes its tables and figures."""
    from .. import lessons

    lesson = lessons.get(args.name)
    rows, tables = lesson.rows(), lesson.tables()
    with claimed(args.out):
        if args.out:
            write(args, lesson, rows, args.out)
    result = {
        "name": lesson.name, "lecture": lesson.lecture, "question": lesson.question, "derivation": lesson.derivation,
        "rows": [row.as_dict() for row in rows],
        "tables": [{"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows]} for t in tables],
    }  # fmt: skip
    emit(args, result, format_lesson(lesson, rows, tables, args.format))
    return exit_code(args, rows)


def format_lesson(lesson: Lesson, rows: list[Row], tables: list[Table], form: str) -> str:
    """Returns a lesson as text; as CSV only its tables."""
    if form == "csv":
        return "\n\n".join(table.format_as(form) for table in [*tables, *printed_rows(rows)])
    mark = "# " if form == "markdown" else ""
    parts = [f"{mark}{lesson.question}", f"```\n{lesson.derivation}\n```" if form == "markdown" else lesson.derivation]
    parts += [table.format_as(form) for table in [*tables, *printed_rows(rows)]]
    notes = []
    for row in rows:
        found = row.as_dict()
        if found["mistake"] or found["note"]:
            bullet = "- " if form == "markdown" else ""
            notes.append(f"{bullet}{row.id}: " + " ".join(text for text in (found["mistake"], found["note"]) if text))
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def printed_rows(rows: list[Row]) -> list[Table]:
    """Returns a table of the rows, in a list; an empty list for no rows."""
    from ..lessons.engine import verdicts

    return [verdicts(rows)] if rows else []


def show_steps(args: argparse.Namespace) -> int:
    """Prints every number of the first steps of a config's run."""
    from .. import lessons
    from ..descent import Descent
    from ..errors import ConfigError
    from ..experiment import config as configs
    from ..experiment.build import prepare

    if args.config is None:
        raise ConfigError("Name a config file: edunn lesson steps CONFIG.toml. configs/ has some.")
    given = [] if any(one.startswith("run.dtype") for one in args.set) else ['run.dtype="float64"']
    prepared = prepare(configs.load(args.config, [*args.set, *given]))
    run = prepared.descent
    if not isinstance(run, Descent):
        raise ConfigError("Nearest neighbours take no steps. Name a config of another model.")
    found = lessons.steps(
        run.model,
        run.loss,
        add_names(run.train, prepared.dataset.train),
        run.rate,
        args.steps,
        run.batch_size,
        run.penalty,
        run.rule,
        run.seed,
    )
    result = {
        "steps": [
            {"step": s.number, "start": s.start, "loss": s.loss, "gradient": s.nabla, "end": s.end,
             "columns": list(s.table.columns), "rows": [list(row) for row in s.table.rows]}
            for s in found
        ]
    }  # fmt: skip
    if args.out:
        with claimed(args.out):
            for s in found:
                name = f"step_{s.number}.{SUFFIXES[args.format]}"
                save(args, Path(args.out) / name, s.table.format_as(args.format))
    emit(args, result, "\n\n".join(s.table.format_as(args.format) for s in found))
    return 0


def add_names(samples: Samples, table: Samples) -> Samples:
    """Returns the samples with the target's name, and the columns' names if there are as many as features."""
    from dataclasses import replace

    same = samples.features.shape[1] == len(table.feature_names or ())
    return replace(samples, feature_names=table.feature_names if same else None, target_name=table.target_name)


def exit_code(args: argparse.Namespace, rows: list[Row]) -> int:
    """Returns 0 if every row agrees with its verdict, else 1; notes the others."""
    off = [row.id for row in rows if not row.right]
    if off:
        note(args, f"these rows do not agree with their verdicts: {', '.join(off)}")
    return 1 if off else 0


def write(args: argparse.Namespace, lesson: Lesson, rows: list[Row], out: str) -> None:
    """Writes the lesson's text, tables and figures into a folder."""
    folder, form = out_folder(out), args.format
    tables = lesson.tables()
    save(args, folder / f"{lesson.name}.{SUFFIXES[form]}", format_lesson(lesson, rows, tables, form))
    for path in lesson.draw(folder):
        note(args, f"wrote {path}")


def save(args: argparse.Namespace, path: Path, text: str) -> None:
    """Writes a text file, and notes its path."""
    from ..runtime.files import write_atomically

    write_atomically(path, text + "\n")
    note(args, f"wrote {path}")
