"""Trains the model that a config file describes, and writes the run's folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..runtime import interrupts
from .common import add_common, emit, note, show_progress

if TYPE_CHECKING:
    from ..experiment import LoadedRun

EXAMPLE = "edunn train configs/digits_softmax.toml --set train.rate=0.5 --set loss=multiclass-hinge"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("config", nargs="?", help="a TOML file; configs/ has some to start from")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change an option of the config; may be repeated",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="DIR",
        help="continue the run in DIR; with a config, the run in --out, or start it there",
    )
    parser.add_argument(
        "--by",
        choices=("fast", "hand", "autograd"),
        help="how to take the steps: fast (default) and hand use our gradients, autograd torch's",
    )
    parser.add_argument(
        "--find-rate",
        action="store_true",
        help="train nothing: take steps at a growing rate, draw the loss against it, and suggest a rate",
    )
    add_common(parser, "a folder for the run (default: runs/<name>-<time>)")


def run(args: argparse.Namespace) -> int:
    """Trains a run, or continues one, and prints its result. Returns 1 if it diverged, else 0."""
    if args.find_rate:
        return find_rate(args)
    finished = start_or_resume(args)
    summary = finished.summary
    emit(args, summary, report(finished))
    if summary["status"] == "interrupted":
        note(args, f"continue with: edunn train --resume {summary['run_dir']}")
        return interrupts.exit_code()
    return 1 if summary["status"] == "diverged" else 0


def start_or_resume(args: argparse.Namespace) -> LoadedRun:
    """Trains a new run, or continues one, as the options say."""
    import sys

    from .. import experiment
    from ..experiment import config as configs
    from ..runtime.processes import ranks

    processes = ranks()
    options: dict[str, Any] = {"bar": show_progress(args), "note": lambda text: note(args, text), "ranks": processes}
    overrides = overrides_of(args)
    if args.resume and args.by == "autograd":
        raise ConfigError("A run by autograd keeps no checkpoint to resume. Leave out --by, or --resume.")
    if isinstance(args.resume, str):
        if args.config or args.out:
            raise ConfigError(
                "--resume DIR takes neither CONFIG nor --out. Write --resume DIR, or CONFIG --out DIR --resume."
            )
        return experiment.resume(args.resume, overrides=overrides, by=args.by, **options)
    config = configs.load(config_of(args), overrides)
    if args.resume:
        if not args.out:
            raise ConfigError("CONFIG --resume needs --out DIR, the folder of the run.")
        if processes.lead(experiment.RunFolder(args.out).begun):
            return experiment.resume(args.out, config, by=args.by, **options)
    return experiment.train(config, args.out, by=args.by or "fast", command=sys.argv, **options)


def overrides_of(args: argparse.Namespace) -> list[str]:
    """Returns the options of the config that the command line changes."""
    given = {key: getattr(args, key) for key in ("device", "dtype", "seed")}
    return [*args.set, *(f"run.{key}={value}" for key, value in given.items() if value is not None)]


def config_of(args: argparse.Namespace) -> str:
    """Returns the config's path. Raises ConfigError if there is none."""
    if args.config is None:
        raise ConfigError("Name a config file, or --resume DIR. configs/digits_softmax.toml is one to start from.")
    return str(args.config)


def find_rate(args: argparse.Namespace) -> int:
    """Finds a rate for a config's run, and prints it. Returns 1 if no rate lowers the loss, else 0."""
    from .. import experiment
    from ..experiment import config as configs
    from ..runtime.processes import ranks

    if args.resume:
        raise ConfigError("--find-rate starts from the config's own weights. Leave out --resume.")
    config = configs.load(config_of(args), overrides_of(args))
    found, summary = ranks().lead(
        lambda: experiment.find_rate_of(config, args.out, by=args.by or "fast", note=lambda text: note(args, text))
    )
    lines = [found.summary(), f"written to  {summary['run_dir']}"]
    if found.suggestion is not None:
        lines.append(f"train       edunn train {args.config} --set train.rate={found.suggestion:.3g}")
    emit(args, summary, "\n".join(lines))
    return 0 if found.suggestion is not None else 1


def report(finished: LoadedRun) -> str:
    """Returns the result of a run as text: how it ended, its losses, and its folder."""
    summary, metric = finished.summary, finished.model.metric
    lines = [f"{summary['status']}: {summary['message']} ({summary['steps']} steps, {summary['seconds']:.1f} s)"]
    for part in ("train", "validation", "test"):
        if summary[f"{part}_loss"] is not None:
            lines.append(
                f"  {part:<11} loss {summary[f'{part}_loss']:<12.6g} {metric} {summary[f'{part}_{metric}']:.4f}"
            )
    parameters = dict(finished.model.named_parameters())
    if metric == "r2" and sum(parameter.numel() for parameter in parameters.values()) <= 9:
        lines += [f"  {name:<11} {parameter.squeeze().tolist()}" for name, parameter in parameters.items()]
    if finished.rates:
        lines.append(f"  rates       {finished.rates}")
    lines.append(f"  run         {summary['run_dir']}")
    lines.append(f"  pictures    {len(summary['figures'])} in {Path(summary['run_dir']) / 'figures'}")
    return "\n".join(lines)
