# %% [markdown]
# # Does the certificate name the mistake?
# Right code first: everything in the package, kinks included, and every right hand-in, at many seeds: no false alarm.
# Then mistakes, planted by editing the source text of right code: each must be detected, and named. Mistakes that the
# table does not hold must be detected and not be given a wrong name.
#
#     python scripts/bench/diagnosis.py --json

# %%
from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
import types
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import torch

sys.path.insert(0, str(Path(__file__).parent))
from planted import IN_PACKAGE, PLANTED
from right import GRADIENTS, edited, source

from edunn import exercises, gradcheck, layers, losses, models, penalties
from edunn.gradcheck import diagnosis


# %%
def hand_in(folder: Path, name: str, text: str) -> exercises.Handin:
    """The text as a file, loaded as a hand-in."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    (found,) = exercises.load(path)
    return found


def right_at(seeds: list[int]) -> tuple[int, list[str]]:
    """Right cases at these seeds, and those that were called wrong. Runs in a process of its own."""
    torch.set_num_threads(1)  # tensors of a few dozen numbers: threads only cost
    cases, alarms = 0, []
    with tempfile.TemporaryDirectory() as name:
        right = {task: hand_in(Path(name), task.replace("-", "_"), source(task)) for task in GRADIENTS}
        for seed in seeds:
            for row in gradcheck.everything(seed):
                cases += 1
                if not row.passed:
                    alarms.append(f"seed {seed}: {row.name}, {row.parameter}, {row.term}")
            for task, handin in right.items():
                cases += 1
                grade = exercises.grade(handin, seed)
                if not grade.passed:
                    alarms.append(f"seed {seed}: hand-in {task}: {grade.message}")
    return cases, alarms


def right_code(seeds: int, workers: int, quiet: bool) -> dict[str, object]:
    """Right cases, and how many of them were called wrong."""
    cases, alarms = 0, []
    pieces = [list(range(seeds))[start : start + 10] for start in range(0, seeds, 10)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done, (count, wrong) in enumerate(pool.map(right_at, pieces), start=1):
            cases, alarms = cases + count, alarms + wrong
            if not quiet and done % 4 == 0:
                print(f"right code: {min(10 * done, seeds)} of {seeds} seeds, {len(alarms)} alarms", file=sys.stderr)
    return {"seeds": seeds, "right_cases": cases, "false_alarms": len(alarms), "false_alarm_list": alarms[:20]}


def package_with(module: str, old: str, new: str) -> dict[str, object]:
    """The names of one of the package's modules, its source text edited; the package itself is left alone."""
    original = importlib.import_module(f"edunn.{module}")
    text = Path(str(original.__file__)).read_text(encoding="utf-8")
    assert old in text, f"{module}: {old!r} does not stand in the package"
    planted = types.ModuleType(f"{original.__name__}_planted")
    planted.__package__ = original.__package__
    exec(compile(text.replace(old, new), f"{module} with a mistake", "exec"), vars(planted))
    return vars(planted)


def objective_of(name: str, names: dict[str, object], seed: int) -> gradcheck.Certificate:
    """The certificate of an objective in which the edited class stands, the rest as it is."""
    made: dict[str, object] = {
        "loss": losses.CrossEntropy(),
        "model": layers.Linear(3, 5),
        "penalty": penalties.L2(1.0),
    }
    edited_class = names[name]
    kind = {"Linear": "model", "L1": "penalty", "L2": "penalty", "ElasticNet": "penalty"}.get(name, "loss")
    made[kind] = {"model": lambda: edited_class(3, 5), "penalty": lambda: edited_class(1.0)}.get(kind, edited_class)()
    draw = gradcheck.catalogue.Draw(seed, 77)
    labels = made["loss"].labels
    if not made["loss"].class_axis:
        made["model"] = models.LinearRegression(3)
    samples = SimpleNamespace(features=draw.normal(7, 3), targets=draw.targets(labels, 7, 5))
    return gradcheck.certify(made["model"], made["loss"], samples, made["penalty"], seed)


def names_of(grade: exercises.Grade) -> list[tuple[str, ...]]:
    """For each wrong gradient the names it was given."""
    return [one.names for one in grade.mistakes]


def planted_code(folder: Path, repeats: int) -> dict[str, object]:
    """Every edit at several seeds."""
    planted = detected = first = any_ = foreign_cases = misnamed = foreign_detected = 0
    unnamed: Counter[str] = Counter()
    wrong_names: Counter[str] = Counter()
    kinds, foreign = set(), set()
    for k, (task, old, new, expected) in enumerate(PLANTED):
        handin = hand_in(folder, f"planted_{k}", edited(task, old, new))
        for seed in range(repeats):
            grade = exercises.grade(handin, 1000 * k + seed)
            said = names_of(grade)
            label = f"{task}: {old.strip()[:40]!r} -> {new.strip()[:40]!r}"
            if expected is None:
                foreign.add(label)
                foreign_cases += 1
                foreign_detected += not grade.passed
                misnamed += any(said)
                if any(said):
                    wrong_names[f"{label}: {sorted({n for names in said for n in names})}"] += 1
                continue
            kinds.add((task, expected))
            planted += 1
            detected += not grade.passed
            hit_first = bool(said) and all(names and names[0] == expected for names in said)
            hit_any = bool(said) and all(expected in names for names in said)
            first += hit_first
            any_ += hit_any
            if not hit_any:
                unnamed[f"{label}: {expected}; said {said or grade.status}"] += 1
            elif not hit_first:
                unnamed[f"{label}: {expected} not first; said {said}"] += 1
    for module, old, new, name, expected in IN_PACKAGE:
        names = package_with(module, old, new)
        kinds.add((module, expected))
        for seed in range(repeats):
            certificate = objective_of(name, names, seed)
            said = [one.names for one in diagnosis.explain(certificate)]
            planted += 1
            detected += not certificate.passed
            hit_first = bool(said) and all(one and one[0] == expected for one in said)
            hit_any = bool(said) and all(expected in one for one in said)
            first += hit_first
            any_ += hit_any
            if not hit_first:
                unnamed[f"{module}: {old[:40]!r} -> {new[:40]!r}: {expected}; said {said}"] += 1
    return {
        "kinds": len({name for _, name in kinds}),
        "edits": sum(expected is not None for *_, expected in PLANTED) + len(IN_PACKAGE),
        "planted": planted,
        "detected": detected,
        "named_first": first / planted,
        "named_any": any_ / planted,
        "foreign": len(foreign),
        "foreign_cases": foreign_cases,
        "foreign_detected": foreign_detected,
        "foreign_misnamed": misnamed / foreign_cases,
        "not_named": [f"{text} ({count}×)" for text, count in unnamed.most_common()],
        "misnamed": [f"{text} ({count}×)" for text, count in wrong_names.most_common()],
    }


# %%
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Detection and naming of planted mistakes; false alarms on right code."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seeds", type=int, default=200, help="of right code (default: 200)")
    parser.add_argument("--repeats", type=int, default=15, help="seeds for each planted edit (default: 15)")
    parser.add_argument("--workers", type=int, default=2, help="processes for the right code (default: 2)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # tensors of a few dozen numbers: threads only cost
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = planted_code(folder, args.repeats) | right_code(args.seeds, args.workers, args.quiet)
    result["seconds"] = round(time.perf_counter() - start, 1)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    else:
        for key, value in result.items():
            lines = [value] if not isinstance(value, list) else ["", *(f"  {line}" for line in value)]
            print(f"{key:<18} {lines[0]}", *lines[1:], sep="\n" if lines[1:] else " ")
    good = result["false_alarms"] == 0 and result["detected"] == result["planted"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
