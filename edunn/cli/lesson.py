"""The worked examples of the lectures, recomputed: derivation, step table, and a verdict for every printed figure.

  edunn lesson --list              every lesson: its name, its lecture, the question it answers
  edunn lesson NAME                one lesson; with --out its tables and figures as files
  edunn lesson all                 every row of every lesson, errata included
  edunn lesson steps CONFIG.toml   the step table of any data and model: the first --steps of the config's run

Verdicts: holds (what was printed follows, to its digits), wrong (it does not; the mistake that gives it is named and
reproduced), derived (not printed; it follows). Exit 0: every row comes out as its verdict says; 1: one does not.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .common import add_common, emit, note, out_folder

if TYPE_CHECKING:
    from ..data import Samples
    from ..lessons import Lesson, Row, Table

EXAMPLE = "edunn lesson softmax --out softmax-lesson"
WIDEST = 44  # letters of a cell in the table of all rows: --format csv, --json and each lesson have them whole
SUFFIXES = {"text": "txt", "markdown": "md", "csv": "csv"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="a lesson's name, all, or steps")
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="with steps: a config file")
    parser.add_argument("--list", action="store_true", help="every lesson, its lecture and its question")
    parser.add_argument("--format", choices=tuple(SUFFIXES), default="text", help="of the tables (default: text)")
    parser.add_argument("--steps", type=int, default=2, help="with steps: how many (default: 2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="with steps: as in train")
    add_common(parser, out="a folder for the tables and figures", device=False)


def run(args: argparse.Namespace) -> int:
    """Prints a lesson, all rows or a step table: 0 where every row comes out with its verdict, else 1."""
    from ..errors import ConfigError

    if args.list:
        return listed(args)
    if args.name is None:
        raise ConfigError("Expected a lesson's name, all, or --list.")
    if args.name == "steps":
        return step_tables(args)
    if args.config is not None:
        raise ConfigError(f"Expected one lesson's name; got {args.name!r} and {args.config!r}.")
    return every(args) if args.name == "all" else one(args)


def listed(args: argparse.Namespace) -> int:
    from .. import lessons

    known = lessons.lessons().values()
    result = {"lessons": [{"name": k.name, "lecture": k.lecture, "question": k.question} for k in known]}
    emit(args, result, "\n".join(f"{k.name:<22} {k.lecture}  {k.question}" for k in known))
    return 0


def every(args: argparse.Namespace) -> int:
    """All rows of all lessons; with --out all their tables and figures as well."""
    from .. import lessons
    from ..lessons.engine import verdicts

    rows = lessons.rows()
    if args.out:
        for lesson in lessons.lessons().values():
            write(args, lesson, [row for row in rows if row.lesson == lesson.name], f"{args.out}/{lesson.name}")
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("holds", "wrong", "derived")}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    table = verdicts(rows, WIDEST).format_as(args.format)
    emit(args, {"rows": [row.as_dict() for row in rows]}, table if args.format == "csv" else f"{table}\n{summary}")
    return outcome(args, rows)


def one(args: argparse.Namespace) -> int:
    from .. import lessons

    lesson = lessons.get(args.name)
    rows, tables = lesson.rows(), lesson.tables()
    if args.out:
        write(args, lesson, rows, args.out)
    result = {
        "name": lesson.name, "lecture": lesson.lecture, "question": lesson.question, "derivation": lesson.derivation,
        "rows": [row.as_dict() for row in rows],
        "tables": [{"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows]} for t in tables],
    }  # fmt: skip
    emit(args, result, described(lesson, rows, tables, args.format))
    return outcome(args, rows)


def described(lesson: Lesson, rows: list[Row], tables: list[Table], form: str) -> str:
    """A lesson for a reader; as CSV its tables alone."""
    if form == "csv":
        return "\n\n".join(table.format_as(form) for table in [*tables, *printed_rows(rows)])
    mark = "# " if form == "markdown" else ""
    parts = [f"{mark}{lesson.question}", f"```\n{lesson.derivation}\n```" if form == "markdown" else lesson.derivation]
    parts += [table.format_as(form) for table in [*tables, *printed_rows(rows)]]
    said = []
    for row in rows:
        told = row.as_dict()
        if told["mistake"] or told["note"]:
            bullet = "- " if form == "markdown" else ""
            said.append(f"{bullet}{row.id}: " + " ".join(text for text in (told["mistake"], told["note"]) if text))
    return "\n\n".join([*parts, *(["\n".join(said)] if said else [])])


def printed_rows(rows: list[Row]) -> list[Table]:
    """The rows as a table, where there are any."""
    from ..lessons.engine import verdicts

    return [verdicts(rows)] if rows else []


def step_tables(args: argparse.Namespace) -> int:
    """The first steps of a config's run, every number of them."""
    from .. import lessons
    from ..descent import Descent
    from ..errors import ConfigError
    from ..experiment import config as configs
    from ..experiment.build import prepare

    if args.config is None:
        raise ConfigError("Expected a config file: edunn lesson steps CONFIG.toml. configs/ holds some.")
    given = [] if any(one.startswith("run.dtype") for one in args.set) else ['run.dtype="float64"']
    prepared = prepare(configs.load(args.config, [*args.set, *given]))
    run = prepared.descent
    if not isinstance(run, Descent):
        raise ConfigError("Expected a config that descends; nearest neighbours take no steps.")
    found = lessons.steps(
        run.model,
        run.loss,
        named(run.train, prepared.dataset.train),
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
        folder = out_folder(args.out)
        for s in found:
            save(args, folder / f"step_{s.number}.{SUFFIXES[args.format]}", s.table.format_as(args.format))
    emit(args, result, "\n\n".join(s.table.format_as(args.format) for s in found))
    return 0


def named(samples: Samples, table: Samples) -> Samples:
    """The samples as they are trained on, with the table's own names where its columns are their features."""
    from dataclasses import replace

    same = samples.features.shape[1] == len(table.feature_names or ())
    return replace(samples, feature_names=table.feature_names if same else None, target_name=table.target_name)


def outcome(args: argparse.Namespace, rows: list[Row]) -> int:
    """0 if every row comes out as its verdict says."""
    off = [row.id for row in rows if not row.right]
    if off:
        note(args, f"not as their verdicts say: {', '.join(off)}")
    return 1 if off else 0


def write(args: argparse.Namespace, lesson: Lesson, rows: list[Row], out: str) -> None:
    """The lesson's text, its tables and its figures, into a folder."""
    folder, form = out_folder(out), args.format
    tables = lesson.tables()
    save(args, folder / f"{lesson.name}.{SUFFIXES[form]}", described(lesson, rows, tables, form))
    for path in lesson.draw(folder):
        note(args, f"wrote {path}")


def save(args: argparse.Namespace, path: Any, text: str) -> None:
    from ..runtime.files import write_atomically

    write_atomically(path, text + "\n")
    note(args, f"wrote {path}")
