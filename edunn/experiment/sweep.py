"""Trains a config with every combination of some values, many at once, and chooses the best."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from .. import figures
from ..descent import Descent, evaluate
from ..descent.stack import group_by_kind, train_together
from ..errors import ConfigError, DataError, RunError
from ..history import History
from ..results import Record, Table, cell
from ..runtime import interrupts
from ..runtime.devices import threads_for
from ..runtime.processes import OneProcess
from . import config as configs
from . import neighbours
from .build import Prepared, make_descent, make_loss, make_model, make_penalty, prepare
from .config import Config, Kind
from .folder import UNFINISHED, RunFolder, load_weights
from .pictures import Picture, save_pictures

Trained = tuple[History, dict[str, Tensor]]  # how a run went, and the weights that it ended with
MOST_RUNS = 10_000
CURVES = 6  # as many runs as a picture of curves tells apart


@dataclass(frozen=True)
class Entry:
    """One combination of a sweep: its values, its config, and the history of its run.

    `row` is the history's row of the weights that the run ended with.
    """

    values: Mapping[str, Any]
    config: Config = field(repr=False)
    history: History

    @property
    def row(self) -> dict[str, float]:
        if not self.history.rows:
            return {}
        stopped = self.history.status == "stopped" and self.history.best_epoch is not None
        return dict(self.history.rows[(self.history.best_epoch or 0) - 1 if stopped else -1])

    @property
    def done(self) -> bool:
        return self.history.status in ("finished", "converged", "stopped")

    @property
    def name(self) -> str:
        return ", ".join(f"{leaf(key)} {cell(value)}" for key, value in self.values.items())


@dataclass(frozen=True, repr=False)
class Sweep(Record):
    """The result of a sweep: every combination; the last axis changes fastest."""

    axes: Mapping[str, Sequence[Any]]
    entries: Sequence[Entry]
    metric: str
    seconds: float
    best: Entry | None  # of the highest validation metric, the lower validation loss where two have the same
    test: float | None = None  # the best one's metric on the test part, which nothing else looked at
    folder: Path | None = None
    figures: Sequence[str] = field(default=(), repr=False)

    def records(self) -> list[dict[str, Any]]:
        """Returns a dictionary for each combination, for a table or a file."""
        columns = [self.metric, "loss", f"validation_{self.metric}", "validation_loss"]
        rows = []
        for entry in self.entries:
            row = entry.row if entry.done else {}  # weights that are not finite have no accuracy
            end = {"epochs": entry.history.epochs, "status": entry.history.status, "best": entry is self.best}
            rows.append({**entry.values, **{name: row.get(name) for name in columns}, **end})
        return rows

    def table(self) -> Table:
        """Returns one row for each combination. The best is marked, and named below."""
        records = self.records()
        names = [name for name in records[0] if name != "best"]
        rows = [[*(record[name] for name in names), "← best" if record["best"] else ""] for record in records]
        columns = [*(leaf(name) if name in self.axes else name for name in names), ""]
        if self.best is None:
            return Table(columns, rows, "no run finished; try smaller rates")
        said = f"best: {self.best.name}: validation {self.metric} {self.best.row[f'validation_{self.metric}']:.4f}"
        if self.test is not None:
            said += f", test {self.metric} {self.test:.4f}"
        return Table(columns, rows, f"{said} ({len(self.entries)} runs in {self.seconds:.1f} s)")

    def __str__(self) -> str:
        return self.table().text(most=None)


def sweep(
    load: Callable[[Sequence[str]], Config],
    over: Mapping[str, Sequence[str]],
    out: str | Path | None = None,
    *,
    bar: bool = False,
    note: Callable[[str], None] = lambda _: None,
    ranks: OneProcess | None = None,
) -> Sweep:
    """Trains a config once for each combination of values, and writes the results.

    Parameters
    ----------
    load : returns the config with some values replaced, as
        `lambda overrides: edunn.experiment.config.load(path, overrides)`
    over : key -> values as they are written behind `--set key=`
    out : the folder, new or empty; runs/<name>-sweep-<time> if not given
    bar : show progress on stderr
    note : called with sentences for the reader, such as that a picture could not be drawn
    ranks : the processes that share the runs, `edunn.runtime.processes.ranks()`; each of them calls this

    The best is chosen on the validation part; only the best is evaluated on the test part.
    """
    count = math.prod(len(values) for values in over.values())
    if count > MOST_RUNS:
        counts = " × ".join(f"{len(values):,}" for values in over.values())
        raise ConfigError(f"A sweep has at most {MOST_RUNS:,} runs; {counts} values make {count:,}. Try fewer values.")
    combinations = [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]
    loaded = [load([f"{key}={value}" for key, value in combination.items()]) for combination in combinations]
    first = loaded[0]
    if not all(config.data.validation for config in loaded):
        raise ConfigError(
            "data.validation is 0; the best is chosen on the validation part, never on the test part. "
            "Add --set data.validation=0.2."
        )
    if any(config.model.kind == neighbours.KIND for config in loaded):
        raise ConfigError(f"A sweep trains models; {neighbours.KIND} chooses k without it. Use edunn train.")
    ranks = ranks or OneProcess()

    request: dict[str, Any] = {"command": "sweep", "over": dict(over), "configs": list(map(configs.to_tables, loaded))}

    def free() -> RunFolder:
        folder = RunFolder(out) if out is not None else RunFolder.fresh(f"{first.run.name}-sweep")
        folder.check_free(request)
        return folder

    folder = ranks.lead(free)
    runs, preparations = ranks.each(lambda: put_together(loaded))
    request["data"] = sorted({prepared.dataset.sha256 for prepared in preparations})

    def claim() -> dict[int, Trained]:
        folder.claim(request)
        return read_finished(folder, runs)

    try:
        finished = ranks.lead(claim)
        if finished:
            note(f"note: {len(finished)} of {len(runs)} runs are here already")
        start = time.perf_counter()
        histories = train_shared(runs, finished, bar, ranks, partial(write_finished, folder))
        seconds = time.perf_counter() - start
        return ranks.lead(
            lambda: result(over, combinations, loaded, runs, preparations, histories, seconds, folder, note)
        )
    finally:
        folder.release()


def result(
    over: Mapping[str, Sequence[str]],
    combinations: Sequence[Mapping[str, str]],
    loaded: Sequence[Config],
    runs: Sequence[Descent],
    preparations: Sequence[Prepared],
    histories: Sequence[History],
    seconds: float,
    folder: RunFolder,
    note: Callable[[str], None],
) -> Sweep:
    """Chooses the best run, measures it on the test part, and writes the results."""
    values = [
        {key: configs.split_override(f"{key}={value}")[1] for key, value in combination.items()}
        for combination in combinations
    ]
    entries = [Entry(*row) for row in zip(values, loaded, histories, strict=True)]
    metric = runs[0].model.metric
    best = best_of(entries, metric)
    test = None
    if best is not None:
        index = entries.index(best)
        part = preparations[index].test
        test = None if part is None else evaluate(runs[index].model, runs[index].loss, part)[1]
    axes = {key: [configs.split_override(f"{key}={value}")[1] for value in row] for key, row in over.items()}
    found = Sweep(axes, entries, metric, seconds, best, test, folder.path)
    return write(found, loaded[0], folder, note)


def put_together(loaded: Sequence[Config]) -> tuple[list[Descent], list[Prepared]]:
    """Makes a run for each config. Data and features are read once for all configs that have them in common."""
    known: list[tuple[Config, Prepared]] = []
    runs, preparations = [], []
    for config in loaded:
        prepared = next((p for common, p in known if common == keep_data_options(config)), None)
        if prepared is None:
            prepared = prepare(config)
            known.append((keep_data_options(config), prepared))
            runs.append(prepared.descent)
        else:
            loss = make_loss(config.loss)
            width, classes = prepared.train.features.shape[1], prepared.dataset.train.classes
            several = prepared.dataset.train.is_multilabel
            model = make_model(config.model, loss, width, classes, prepared.dtype, config.run.seed, several)
            model = model.to(prepared.device)
            penalty = make_penalty(config.penalty)
            runs.append(make_descent(config, model, loss, penalty, prepared.train, prepared.validation, checked=True))
        preparations.append(prepared)
    return runs, preparations


def keep_data_options(config: Config) -> Config:
    """Returns the config without the options that do not concern data, features and encoded targets.

    The seed stays: the validation part is drawn with it.
    """
    options = {key: value for key, value in config.loss.options.items() if key != "margin"}
    loss, model = Kind(config.loss.kind, options), Kind(config.model.kind, {})
    run = dataclasses.replace(config.run, name="", precision="full")
    return dataclasses.replace(config, loss=loss, model=model, penalty=None, train=configs.Train(), run=run)


def write_finished(folder: RunFolder, index: int, history: History, state: Mapping[str, Tensor]) -> None:
    """Keeps a run that has ended, so that a sweep that is cut off need not train it again."""
    history.save(folder.file(f"metrics-{index:03}.jsonl"))
    folder.write_tensors(f"{UNFINISHED}/{index:03}.safetensors", dict(state))


def read_finished(folder: RunFolder, runs: Sequence[Descent]) -> dict[int, Trained]:
    """Reads the runs that a sweep in this folder had finished when it was cut off, by their place in the sweep."""
    found: dict[int, Trained] = {}
    for index, run in enumerate(runs):
        with contextlib.suppress(RunError, DataError):  # not there, or damaged: it is trained again
            state = folder.read_tensors(f"{UNFINISHED}/{index:03}.safetensors")[0]
            load_weights(copy.deepcopy(run.model), state, folder)
            found[index] = (History.load(folder.file(f"metrics-{index:03}.jsonl")), state)
    return found


def train_shared(
    runs: Sequence[Descent],
    finished: Mapping[int, Trained],
    bar: bool,
    ranks: OneProcess,
    keep: Callable[[int, History, Mapping[str, Tensor]], None],
) -> list[History]:
    """Trains all runs on several processes: each trains some of every kind, as one stack, and sends them to rank 0.

    Histories come in the order of the runs, to rank 0 alone, and its models end with the trained weights. Rank 0 calls
    `keep` with each run that has ended; those in `finished` are not trained.
    """
    order = [index for group in group_by_kind(runs) for index in group if index not in finished]
    mine = order[ranks.place.rank :: ranks.place.world]

    def state_of(index: int) -> dict[str, Tensor]:
        return {name: t.cpu() for name, t in runs[index].model.state_dict().items()}

    def after_run(place: int, history: History) -> None:
        if ranks.leads and history.status != "interrupted":
            keep(mine[place], history, state_of(mine[place]))

    def trained() -> dict[int, Trained]:
        histories = train_all([runs[index] for index in mine], bar, after_run) if mine else []
        return {index: (history, state_of(index)) for index, history in zip(mine, histories, strict=True)}

    found = dict(finished)
    for part in ranks.collect(trained):
        found |= part
    for index, (_, state) in found.items():
        runs[index].model.load_state_dict(state)
    return [found[index][0] for index in sorted(found)]


def train_all(runs: Sequence[Descent], bar: bool, after_run: Callable[[int, History], None]) -> list[History]:
    """Trains all runs, as many at once as fit one stack."""
    numbers = sum(run.batch * sum(p.numel() for p in run.model.parameters()) for run in runs)
    with tqdm(disable=not bar, unit="epoch", leave=False, file=sys.stderr) as progress, threads_for(numbers):

        def after_epoch(going: int, ended: int) -> None:
            interrupts.check()
            progress.set_postfix_str(f"{going} runs going, {ended} ended", refresh=False)
            progress.update(1)

        return train_together(runs, after_epoch=after_epoch, after_run=after_run)


def best_of(entries: Sequence[Entry], metric: str) -> Entry | None:
    """Returns the finished run with the highest validation metric, or None."""
    done = [e for e in entries if e.done and math.isfinite(e.row.get(f"validation_{metric}", math.nan))]
    return max(done, key=lambda e: (e.row[f"validation_{metric}"], -e.row["validation_loss"]), default=None)


def write(found: Sweep, base: Config, folder: RunFolder, note: Callable[[str], None]) -> Sweep:
    """Writes the table, every history, the pictures, and the config of the best run."""
    records = found.records()
    folder.write("sweep.csv", Table.of(records, list(records[0])).csv())
    for index, entry in enumerate(found.entries):
        entry.history.save(folder.file(f"metrics-{index:03}.jsonl"))
    if found.best is not None:
        name = f"{base.run.name}-best"
        best = dataclasses.replace(found.best.config, run=dataclasses.replace(found.best.config.run, name=name))
        folder.write("best.toml", f"# edunn train {folder.file('best.toml')}\n{configs.dump(best)}")
    folder.write_json("summary.json", as_json(found))
    found = dataclasses.replace(found, figures=save_pictures(pictures_of(found), folder, note))
    folder.write_json("summary.json", as_json(found))
    if not any(entry.history.status == "interrupted" for entry in found.entries):  # else it may go on
        folder.finish()
    return found


def pictures_of(found: Sweep) -> Iterator[Picture]:
    """Yields the map of the validation metric, and the curves of the best runs."""
    cells = [(entry.values, value_of(entry, found)) for entry in found.entries]
    best = None if found.best is None else found.best.values
    yield "sweep", lambda: figures.sweep_map(found.axes, cells, found.metric, best=best)
    ranked = sorted((e for e in found.entries if e.history.rows), key=lambda e: -value_of(e, found) if e.done else 9.0)
    histories = {entry.name: entry.history for entry in ranked[:CURVES]}
    if histories:
        yield "loss", lambda: figures.loss_curves(histories)
    if any(found.metric in history.columns for history in histories.values()):
        yield found.metric, lambda: figures.accuracy_curves(histories)


def value_of(entry: Entry, found: Sweep) -> float:
    """Returns the validation metric of a finished run, else nan."""
    return entry.row.get(f"validation_{found.metric}", math.nan) if entry.done else math.nan


def as_json(found: Sweep) -> dict[str, Any]:
    """Returns what `--json` prints."""
    records = found.records()
    return {
        "runs": records,
        "best": next((record for record in records if record["best"]), None),
        f"test_{found.metric}": found.test,
        "config": None if found.best is None or found.folder is None else str(found.folder / "best.toml"),
        "seconds": round(found.seconds, 3),
        "figures": list(found.figures),
        "run_dir": None if found.folder is None else str(found.folder),
    }


def leaf(key: str) -> str:
    """Returns the last part of a key: `rate` of train.rate."""
    return key.rpartition(".")[2]
