"""Trains two classifiers on handwritten digits, checks their gradients, and draws the results.

One is softmax regression with cross-entropy, the other a support vector machine with the multiclass
hinge. The gradients are derived by hand.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime import interrupts
from .common import add_common, emit, note, show_progress

if TYPE_CHECKING:
    from ..experiment import LoadedRun, RunFolder
    from ..experiment.pictures import Picture
    from ..gradcheck import Certificate

EXAMPLE = "edunn demo"

MODELS: dict[str, dict[str, Any]] = {
    "softmax": {"model": "softmax", "loss": "cross-entropy", "rate": 0.5, "strength": 1e-4},
    "svm": {"model": "svm", "loss": "multiclass-hinge", "rate": 0.02, "strength": 3e-3},
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_common(parser, "a folder for the two runs (default: runs/demo-<time>)", force=True)


def run(args: argparse.Namespace) -> int:
    """Trains and checks both classifiers, and writes their runs. Returns 1 if a gradient differs, else 0."""
    from ..experiment import RunFolder
    from ..runtime import devices

    devices.device(args.device or "auto")  # raises before a folder is made
    devices.dtype(args.dtype or "float32")
    folder = RunFolder(args.out) if args.out else RunFolder.fresh("demo")
    folder.force = args.force
    folder.claim({"command": "demo"} | {key: getattr(args, key) for key in ("device", "dtype", "seed")})
    try:
        return train_and_check(args, folder)
    finally:
        folder.release()


def train_and_check(args: argparse.Namespace, folder: RunFolder) -> int:
    """Trains and checks both classifiers in a claimed folder. Returns the exit code."""
    from ..experiment.pictures import save_pictures

    runs: dict[str, LoadedRun] = {}
    for name in MODELS:
        note(args, f"Training {name} on 8×8 handwritten digits, gradients by hand …")
        runs[name] = train_one(args, name, folder.path / name)
        if runs[name].summary["status"] == "interrupted":
            return interrupts.exit_code()
    note(args, "Checking the gradients against autograd and finite differences …")
    certificates = {name: certify_run(finished) for name, finished in runs.items()}
    passed = all(c.passed for c in certificates.values())
    result: dict[str, Any] = {
        "status": "finished",
        "passed": passed,
        "runs": {name: finished.summary for name, finished in runs.items()},
        "largest_gradient_error": {name: largest(c) for name, c in certificates.items()},
        "figures": [],
        "run_dir": str(folder.path),
    }
    folder.write_json("summary.json", result)
    result["figures"] = save_pictures(pictures(runs), folder, lambda text: note(args, text))
    folder.write_json("summary.json", result)
    folder.finish()
    emit(args, result, report(runs, certificates, folder.path))
    return 0 if passed else 1


def train_one(args: argparse.Namespace, name: str, out: Path) -> LoadedRun:
    """Trains one of `MODELS` on the digits, in the folder `out`."""
    from .. import experiment
    from ..experiment import config

    what = MODELS[name]
    tables = {
        "data": {"name": "digits", "validation": 0.1},
        "model": what["model"],
        "loss": what["loss"],
        "penalty": {"kind": "l2", "strength": what["strength"]},
        "train": {"rate": what["rate"], "batch_size": 64, "epochs": 60, "rule": "momentum", "schedule": "cosine"},
        "run": {
            "name": name,
            "device": args.device or "auto",
            "dtype": args.dtype or "float32",
            "seed": args.seed or 0,
        },
    }
    if experiment.RunFolder(out).begun():  # the demo was cut off
        return experiment.resume(out, config.parse(tables), bar=show_progress(args))
    return experiment.train(config.parse(tables), out, bar=show_progress(args), command=["edunn", "demo"])


def certify_run(finished: LoadedRun) -> Certificate:
    """Checks the trained model's gradients on fifty digits, in float64."""
    from .. import data, gradcheck
    from ..penalties import L2

    digits = data.digits().train[:50]
    model = copy.deepcopy(finished.model).double()
    samples = data.Samples(finished.features(digits.features).double(), digits.targets)
    return gradcheck.certify(model, finished.loss, samples, penalty=L2(1.0))


def largest(checked: Certificate) -> float:
    """Returns the largest relative difference between a gradient by hand and autograd's."""
    return max(row.hand_vs_autograd or 0.0 for row in checked)


def pictures(runs: dict[str, LoadedRun]) -> Iterator[Picture]:
    """Yields the accuracy and loss curves, and the weights of each class as images."""
    from .. import figures

    histories = {name: finished.history for name, finished in runs.items()}
    yield "accuracy", partial(figures.accuracy_curves, histories)
    for name, finished in runs.items():
        weight = finished.model.get_parameter("weight").detach()
        yield f"{name}_loss", partial(figures.loss_curves, finished.history)
        yield f"{name}_templates", partial(figures.templates, weight, (8, 8), classes=finished.classes)
        yield f"{name}_mistakes", finished.plot.mistakes


def report(runs: dict[str, LoadedRun], certificates: dict[str, Certificate], folder: Path) -> str:
    """Returns a summary for newcomers, with the next commands to try."""
    from .. import play

    lines = ["", f"{'':<9}  {'loss function':<16}  {'right on new writers':>20}  {'gradient against autograd':>25}"]
    for name, finished in runs.items():
        loss = MODELS[name]["loss"]
        lines.append(
            f"{name:<9}  {loss:<16}  {finished.summary['test_accuracy']:>20.1%}  {largest(certificates[name]):>25.1e}"
        )
    right = all(c.passed for c in certificates.values())
    softmax = runs["softmax"]
    samples = softmax.manifest["data"]["samples"]
    lines += [
        "",
        "Both models draw straight lines between ten kinds of handwritten digits, 64 pixels each. They learned",
        f"from {samples['train']:,} images and were tested once on {samples['test']} by other writers. Every gradient",
        "was derived by hand, and "
        + ("agrees with autograd to the last digits." if right else "DIFFERS from autograd."),
        "",
        f"Pictures: {folder / 'figures'}",
        "  softmax_templates.png (what each class looks for), softmax_mistakes.png (the digits most surely wrong)",
        "",
        "Next:",
        f"  edunn show {softmax.path} {runs['svm'].path}",
        "  edunn train line_regression --set train.rate=0.1     (what too large a rate does)",
        "  edunn check                                          (every gradient in the package)",
    ]
    if play.available():
        lines.append("  edunn play                                           (a surface to move, in the browser)")
    return "\n".join(lines)
