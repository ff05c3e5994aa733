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
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from planted import PLANTED
from right import GRADIENTS, edited, source

from edunn import gradcheck, handins


# %%
def hand_in(folder: Path, name: str, text: str) -> handins.Handin:
    """The text as a file, loaded as a hand-in."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    (found,) = handins.load(path)
    return found


def right_code(folder: Path, seeds: int, quiet: bool) -> dict[str, object]:
    """Right cases, and how many of them were called wrong."""
    cases, alarms = 0, []
    right = {task: hand_in(folder, task.replace("-", "_"), source(task)) for task in GRADIENTS}
    for seed in range(seeds):
        for row in gradcheck.everything(seed):
            cases += 1
            if not row.passed:
                alarms.append(f"seed {seed}: {row.name}, {row.parameter}, {row.term}")
        for task, handin in right.items():
            cases += 1
            grade = handins.grade(handin, seed)
            if not grade.passed:
                alarms.append(f"seed {seed}: hand-in {task}: {grade.message}")
        if not quiet and seed % 20 == 19:
            print(f"right code: {seed + 1} of {seeds} seeds, {len(alarms)} false alarms", file=sys.stderr)
    return {"seeds": seeds, "right_cases": cases, "false_alarms": len(alarms), "false_alarm_list": alarms[:20]}


def names_of(grade: handins.Grade) -> list[tuple[str, ...]]:
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
            grade = handins.grade(handin, 1000 * k + seed)
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
    return {
        "kinds": len({name for _, name in kinds}),
        "edits": sum(expected is not None for *_, expected in PLANTED),
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
    parser = argparse.ArgumentParser(description="Detection and naming of planted mistakes; false alarms on right code.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seeds", type=int, default=200, help="of right code (default: 200)")
    parser.add_argument("--repeats", type=int, default=20, help="seeds for each planted edit (default: 20)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # tensors of a few dozen numbers: threads only cost
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = planted_code(folder, args.repeats) | right_code(folder, args.seeds, args.quiet)
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
