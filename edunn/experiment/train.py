"""Trains what a config describes, in a folder of its own, and continues an interrupted run."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..data import Samples
from ..descent import Descent, Loop, Progress, evaluate, scores_of
from ..descent.journal import Journal
from ..descent.stability import stable_rate
from ..errors import ConfigError, EdunnError, RunError
from ..history import History
from ..metrics import subset_accuracy
from ..models import LABELS
from ..neighbours import Voters
from ..runtime import interrupts, schema
from ..runtime.devices import threads_for
from ..runtime.processes import OneProcess
from ..runtime.progress import on_terminal
from ..version import __version__
from . import config as configs
from .build import Prepared, prepare
from .config import Config
from .folder import Checkpoint, RunFolder, restore_checkpoint, save_checkpoint
from .loaded import LoadedRun, describe_shapes, load
from .pictures import pictures_of, save_pictures
from .sharing import share

CHECKPOINT_EVERY = 1.0  # seconds
SNAPSHOTS = 100  # of a run, if the config does not say how often
SMALL = 10_000  # parameters of a model whose snapshots are kept without being asked for


def train(
    config: Any,
    out: str | Path | None = None,
    *,
    force: bool = False,
    by: str = "fast",
    bar: bool | None = None,
    note: Callable[[str], None] = lambda _: None,
    command: list[str] | None = None,
    ranks: OneProcess | None = None,
    **options: Any,
) -> LoadedRun:
    """Trains, writes the run's folder and returns the run.

        edunn.train("flowers.toml", rate=0.5, epochs=100)
        edunn.train({"data": {"name": "digits"}, "model": "softmax", "loss": "cross-entropy"})

    Parameters
    ----------
    config : a TOML file, a dictionary of its tables, or a `Config`
    out : the folder, new or empty; runs/<name>-<time> if not given. It is made once config and data were accepted. A
        run of the same config that was interrupted there is continued.
    force : replace a run that is in the folder
    options : those of [train], such as rate and epochs, which go before the config's own
    by : "fast", "hand" or "autograd"; see `descend`
    bar : show a progress bar on stderr
    note : called with warnings before the run, such as that the rate will diverge
    command : what the manifest says the run was started with
    ranks : the processes that share the run, `edunn.runtime.processes.ranks()`; each of them calls this
    """
    ranks, bar = ranks or OneProcess(), on_terminal() if bar is None else bar
    config = configs.read(config, [*configs.train_overrides(options)])

    if out is not None and not force and ranks.lead(lambda: can_continue(RunFolder(out), config, by)):
        note(f"note: continuing the interrupted run in {out}")
        return resume(out, config, by=by, bar=bar, note=note, ranks=ranks)

    def free() -> RunFolder:
        folder = RunFolder(out) if out is not None else RunFolder.fresh(config.run.name)
        folder.force = force
        folder.check_free()
        return folder

    folder = ranks.lead(free)
    prepared = ranks.each(lambda: accept(config, by, bar, ranks))

    def create() -> None:
        folder.claim()
        folder.write_json("manifest.json", manifest(prepared, by, command))
        folder.write("config.toml", configs.dump(config))

    try:
        ranks.lead(create)
        return run(prepared, folder, Progress(), by, bar, note, ranks)
    finally:
        folder.release()


def can_continue(folder: RunFolder, config: Config, by: str) -> bool:
    """Returns whether the folder holds an interrupted run of the same config, with steps taken in the same way."""
    if by == "autograd" or not folder.interrupted():
        return False
    with contextlib.suppress(EdunnError):
        return folder.read_config() == config and folder.read_json("manifest.json").get("by") == by
    return False


def resume(
    out: str | Path,
    config: Config | None = None,
    overrides: list[str] | None = None,
    *,
    by: str | None = None,
    bar: bool = False,
    note: Callable[[str], None] = lambda _: None,
    ranks: OneProcess | None = None,
) -> LoadedRun:
    """Continues the run in a folder from its config and checkpoint, with the same bits as a run without a break.

    `config` and `by`, if given, must be the run's own; nothing but `train.epochs` and `train.rate` may change. Another
    rate holds for the epochs to come, and the run records it (`rates` of its summary). A run that was killed before its
    first checkpoint starts from the beginning.
    """
    folder = RunFolder(out)
    try:
        return continue_run(folder, config, overrides or [], by, bar, note, ranks or OneProcess())
    finally:
        folder.release()


def continue_run(
    folder: RunFolder,
    config: Config | None,
    overrides: list[str],
    by: str | None,
    bar: bool,
    note: Callable[[str], None],
    ranks: OneProcess,
) -> LoadedRun:
    """Continues a run; the caller releases the folder."""

    def read() -> tuple[Config, Config, dict[str, Any], Checkpoint | None]:
        folder.read_config()  # a folder without a run is left alone
        folder.lock()
        before, after = folder.read_config(), config or folder.read_config(overrides)
        check_same_run(before, after, folder)
        manifest = folder.read_json("manifest.json", schema.MANIFEST)
        was = manifest.get("by")
        if was not in ("fast", "hand"):
            raise RunError(
                f"The run in {folder.path} was by {was} and kept no checkpoint. Start a new run with another --out."
            )
        if by not in (None, was):
            raise ConfigError(f"The run in {folder.path} was by {was} and cannot continue by {by}. Leave out --by.")
        saved = folder.has("checkpoint.safetensors")
        return before, after, manifest, folder.read_tensors("checkpoint.safetensors") if saved else None

    before, after, manifest, checkpoint = ranks.lead(read)
    by = str(manifest["by"])
    prepared = ranks.each(lambda: accept(after, by, bar, ranks))
    if manifest["data"]["sha256"] != prepared.dataset.sha256:
        raise RunError(f"The run in {folder.path} was trained on other data: the sha256 differs. Start a new run.")
    at = Progress()
    if checkpoint is not None:
        at = restore_checkpoint(checkpoint, folder, prepared.model, prepared.descent.rule)
    if at.epoch > (prepared.descent.epochs or 0):
        raise ConfigError(
            f"The run in {folder.path} has {at.epoch} epochs already; got "
            f"train.epochs = {prepared.descent.epochs}. Ask for more."
        )
    if at.epoch and before.train.epochs != after.train.epochs and prepared.descent.schedule.needs_end:
        raise ConfigError(
            f"The schedule {after.train.schedule.kind!r} of the run in {folder.path} ends at train.epochs = "
            f"{before.train.epochs}, which cannot change. Start a new run with another --out."
        )
    if before.train.rate != after.train.rate:
        check_going_on(prepared, at, folder)
        note(f"note: the rate changes from {before.train.rate:g} to {after.train.rate:g} after epoch {at.epoch}")

    def record() -> None:
        folder.write("config.toml", configs.dump(after))
        first = [{"after_epoch": 0, "rate": before.train.rate}]
        manifest["rates"] = add_rate(manifest.get("rates") or first, at.epoch, after.train.rate)
        folder.write_json("manifest.json", manifest)

    ranks.lead(record)
    return run(prepared, folder, at, by, bar, note, ranks)


def add_rate(rates: list[dict[str, Any]], epoch: int, rate: float) -> list[dict[str, Any]]:
    """Returns the rates of a run with one more, from `epoch` on; entries from there on, of a cut-off resume, go."""
    kept = [entry for entry in rates if entry["after_epoch"] < epoch]
    same = kept and kept[-1]["rate"] == rate
    return kept if same else [*kept, {"after_epoch": epoch, "rate": rate}]


def check_going_on(prepared: Prepared, at: Progress, folder: RunFolder) -> None:
    """Raises ConfigError if the run has ended, so that another rate would change nothing."""
    if not isinstance(prepared.descent, Descent):
        return
    journal = Journal(prepared.descent, at)
    journal.check_ending()
    if journal.ending is not None:
        hint = "Ask for more epochs as well" if journal.ending.status == "finished" else "Start a new run"
        raise ConfigError(
            f"The run in {folder.path} has ended ({journal.ending.message}); another rate changes nothing. {hint}."
        )


def accept(config: Config, by: str, bar: bool, ranks: OneProcess) -> Prepared:
    """Prepares the run. Raises an error, before anything is written, if its steps cannot be taken."""
    prepared = prepare(config, decoding_bar(bar))
    if isinstance(prepared.descent, Descent):
        prepared.descent.loop = share(ranks)
        if config.train.snapshots is None:
            prepared.descent.snapshots = usual_snapshots(prepared.descent)
        prepared.descent.stepper(by)
    return prepared


def usual_snapshots(descent: Descent) -> int | None:
    """Returns how often a small model's weights are kept, for a path on its surface: about `SNAPSHOTS` times in all."""
    if sum(p.numel() for p in descent.model.parameters()) > SMALL:
        return None
    steps = (descent.epochs or 0) * descent.steps_per_epoch
    return max(1, math.ceil(min(steps, descent.steps or steps) / SNAPSHOTS))


def run(
    prepared: Prepared,
    folder: RunFolder,
    at: Progress,
    by: str,
    bar: bool,
    note: Callable[[str], None],
    ranks: OneProcess,
) -> LoadedRun:
    """Trains, saves checkpoints meanwhile, and writes the results at the end."""
    warn_of_divergence(prepared, note)
    shared = isinstance(prepared.descent, Descent) and prepared.descent.loop is not Loop
    if shared and prepared.descent.batch == 1:
        note("note: one sample a step leaves nothing to share; each process takes every step")
    progress = tqdm(
        disable=not bar, initial=at.epoch, unit="epoch", total=prepared.descent.epochs, leave=False, file=sys.stderr
    )
    saved = time.perf_counter()

    def after_epoch(now: Progress) -> None:
        nonlocal saved
        interrupts.check()
        row = now.rows[-1]
        progress.set_postfix_str(f"loss {row['running']:.4g}", refresh=False)
        progress.update(now.epoch - progress.n)
        if ranks.leads and by != "autograd" and time.perf_counter() - saved >= CHECKPOINT_EVERY:
            save_checkpoint(folder, prepared.model, prepared.descent.rule, now)
            saved = time.perf_counter()

    with progress, threads_for(prepared.descent.batch * sum(p.numel() for p in prepared.model.parameters())):
        if isinstance(prepared.descent, Descent):
            history = prepared.descent.go(by, at, after_epoch)
        else:  # nearest neighbours: there are no steps to share
            history = ranks.lead(lambda: prepared.descent.go(by, at, after_epoch))
    return ranks.lead(lambda: write_end(prepared, folder, at, by, history, note))


def write_end(
    prepared: Prepared, folder: RunFolder, at: Progress, by: str, history: History, note: Callable[[str], None]
) -> LoadedRun:
    """Writes the last checkpoint and the results."""
    # an interrupted run is in the middle of an epoch; it continues from the checkpoint of the last whole one
    if by != "autograd" and history.status not in ("interrupted", "stopped"):
        save_checkpoint(folder, prepared.model, prepared.descent.rule, at)
    return write_results(prepared, folder, history, note)


def write_results(prepared: Prepared, folder: RunFolder, history: History, note: Callable[[str], None]) -> LoadedRun:
    """Writes weights, history and summary, then draws the pictures, and returns the run as `load` gives it."""
    folder.write_tensors("model.safetensors", dict(prepared.model.state_dict()))
    folder.write_tensors("features.safetensors", prepared.pipeline.state())
    if history.snapshots:
        flat = {f"{step}/{name}": t for step, weights in history.snapshots for name, t in weights.items()}
        folder.write_tensors("snapshots.safetensors", flat)
    history.save(folder.file("metrics.jsonl"))
    history.save_csv(folder.file("metrics.csv"))
    result = summary(prepared, folder, history)
    folder.write_json("summary.json", result | {"figures": []})
    result["figures"] = save_pictures(pictures_of(prepared, history), folder, note)
    folder.write_json("summary.json", result)
    return load(folder.path)


def summary(prepared: Prepared, folder: RunFolder, history: History) -> dict[str, Any]:
    """Returns what `--json` prints: losses and scores of the final weights. Only here the test part is used."""
    model, loss = prepared.model, prepared.loss
    result: dict[str, Any] = {"status": history.status, "message": history.message}
    for name in ("train", "validation", "test"):
        part: Samples | None = getattr(prepared, name)
        if isinstance(model, Voters):  # votes have no loss, and each training sample is its own nearest neighbour
            rate = None
            if part is not None and part.targets is not None and name != "train":
                rate = float(model.score_of(model(part.features), part.targets, part.sample_weight))
            values: tuple[float | None, float | None] = (None, rate)
        else:
            values = (None, None) if part is None else evaluate(model, loss, part)
        result |= {f"{name}_loss": values[0], f"{name}_{model.metric}": values[1]}
        if model.metric == LABELS and part is not None and part.targets is not None:
            decided = model.decide(scores_of(model, part.features))
            result[f"{name}_subset_accuracy"] = subset_accuracy(part.targets, decided, part.sample_weight)
    penalty = prepared.penalty
    return result | {
        "train_penalty": 0.0 if penalty is None else float(penalty.value(dict(model.named_parameters())).detach()),
        "epochs": history.epochs,
        "steps": history.steps,
        "best_epoch": history.best_epoch,
        "seconds": round(history.seconds, 3),
        "rate": prepared.config.train.rate,
        "rates": folder.read_json("manifest.json").get("rates"),
        "stable_rate": history.stable_rate,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": str(prepared.device),
        "dtype": prepared.config.run.dtype,
        "run_dir": str(folder.path),
    }


def manifest(prepared: Prepared, by: str, command: list[str] | None) -> dict[str, Any]:
    """Returns the manifest: command, versions, device, seed and data of the run."""
    device = torch.cuda.get_device_name(prepared.device) if prepared.device.type == "cuda" else platform.machine()
    return {
        "command": command,
        "by": by,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {
            "edunn": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "device": {"type": prepared.device.type, "name": device},
        "seed": prepared.config.run.seed,
        "rates": [{"after_epoch": 0, "rate": prepared.config.train.rate}],
        "data": {
            "name": prepared.dataset.name,
            "source": prepared.dataset.source,
            "sha256": prepared.dataset.sha256,
            "samples": {
                name: len(part) if (part := getattr(prepared, name)) is not None else 0
                for name in ("train", "validation", "test")
            },
        },
        **describe_shapes(prepared),
    }


def check_same_run(before: Config, after: Config, folder: RunFolder) -> None:
    """Raises ConfigError if an option other than `train.epochs` and `train.rate` differs from the run's own."""
    train = dataclasses.replace(after.train, epochs=before.train.epochs, rate=before.train.rate)
    same_train = dataclasses.replace(after, train=train)
    if same_train == before:
        return
    old, new = flat(configs.to_tables(before)), flat(configs.to_tables(same_train))
    key = next(k for k in [*old, *new] if old.get(k) != new.get(k))
    raise ConfigError(
        f"{key} was {old.get(key)!r} and is now {new.get(key)!r} in the run in {folder.path}. "
        f"Only train.epochs and train.rate may change: start a new run with another --out."
    )


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested tables as one, with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in table.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def warn_of_divergence(prepared: Prepared, note: Callable[[str], None]) -> None:
    """Notes before the run that a full-batch rate is too large, if that is known."""
    rate, full = prepared.config.train.rate, prepared.config.train.batch_size == "full"
    if full and prepared.config.train.schedule.kind == "constant":
        limit = stable_rate(
            prepared.model,
            prepared.loss,
            prepared.train.features,
            prepared.penalty,
            prepared.descent.rule,
            prepared.train.sample_weight,
        )
        if limit is not None and rate > limit:
            note(f"note: rate {rate:g} is above the largest stable rate {limit:.4g}; the loss will grow without bound")


def decoding_bar(bar: bool) -> Callable[[int, int], None] | None:
    """Returns a callback that shows a progress bar while images are read, or None."""
    if not bar:
        return None
    progress: list[tqdm] = []

    def update(done: int, total: int) -> None:
        if not progress:
            progress.append(tqdm(total=total, unit="image", desc="reading", leave=False, file=sys.stderr))
        progress[0].update(done - progress[0].n)
        if done == total:
            progress[0].close()

    return update
