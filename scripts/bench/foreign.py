# %% [markdown]
# # Does the checker read what students really hand in?
# The folder `handins` holds hand-ins in the styles of courses: written for this bench, none declares its exercise. Each
# is tried as it is and with changes: conventions of other places, which are right, and the mistakes that were met in
# use. The truth is autograd's, through the hand-in's own value (`numpy_on_torch`): it knows nothing of the checker.
#
#     python scripts/bench/foreign.py --json

# %%
from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import torch

sys.path.insert(0, str(Path(__file__).parent))
from handin_cases import CASES, Case
from handin_edits import EDITS
from numpy_on_torch import make_numpy, tensor

from edunn import exercises
from edunn.exercises.calls import HandinError, Unfinished

FOLDER = Path(__file__).parent / "handins"
TOLERANCE = 1e-6  # of the largest entry: what an ε in a logarithm is allowed


# %%
def load(text: str) -> types.ModuleType:
    """Runs a hand-in's definitions with numpy's names on tensors."""
    module = types.ModuleType("truth")
    vars(module)["__name__"] = "truth"
    known = {"numpy": make_numpy(), "past.builtins": types.SimpleNamespace(xrange=range),
             "matplotlib": types.ModuleType("matplotlib"), "matplotlib.pyplot": types.ModuleType("pyplot")}  # fmt: skip
    before = {name: sys.modules.get(name) for name in known}
    lines = text.split("\n\n\n")
    sys.modules.update(known)  # type: ignore[arg-type]
    try:
        for part in lines:
            if "np.load" not in part and "for _ in range" not in part.split("def ")[0]:
                exec(compile(part, "truth", "exec"), vars(module))
            else:  # a script's own data and loop: only its imports matter
                exec("import numpy as np", vars(module))
    finally:
        for name, old in before.items():
            sys.modules.pop(name)
            if old is not None:
                sys.modules[name] = old
    return module


def is_right(case: Case, text: str) -> bool:
    """Returns whether autograd agrees with every gradient of the hand-in."""
    numpy.random.seed(0)
    value, pairs = case.run(load(text))
    gradients = torch.autograd.grad(value, [leaf for leaf, _ in pairs], allow_unused=True)
    loose = 1e-3 if "1e-7" in text else TOLERANCE  # an ε in a logarithm, and the gradient without it
    for (leaf, hand), right in zip(pairs, gradients, strict=True):
        right = torch.zeros_like(leaf) if right is None else right
        given = tensor(hand).detach().double()
        if given.numel() != leaf.numel():
            return False
        difference = (given.reshape(leaf.shape) - right).abs().max()
        if difference > loose * max(float(right.abs().max()), 1e-12):
            return False
    return True


def grade(folder: Path, file: str, name: str, text: str) -> Any:
    """Returns the checker's status and names, or why it has none."""
    path = folder / f"{file}.py"
    path.write_text(text, encoding="utf-8")
    try:
        (handin,) = (one for one in exercises.load(path) if one.name == name)
        found = exercises.grade(handin)
    except Unfinished as error:
        return "unfinished", (), str(error)
    except (HandinError, ValueError) as error:
        return "error", (), str(error)
    names = tuple(one.names for one in found.mistakes if one.names[:1] != ("follows from an operation",))
    return found.status, names, found.message


def list_hand_ins() -> list[tuple[Case, str, str | None]]:
    """Returns (case, text, the expected name): "" for right ones, None for mistakes that the table does not hold."""
    texts = {case.file: (FOLDER / f"{case.file}.py").read_text(encoding="utf-8") for case in CASES}
    found: list[tuple[Case, str, str | None]] = [(case, texts[case.file], "") for case in CASES]
    known = {(case.file, case.name): case for case in CASES}
    for file, name, old, new, expected in EDITS:
        assert old in texts[file], f"{file}: {old!r} does not stand in it"
        found.append((adapt(known[file, name], new), texts[file].replace(old, new), expected))
    return found


def adapt(case: Case, new: str) -> Case:
    """Returns the case, called as an edit of its signature wants it."""
    from handin_cases import data, joint, leaf, logistic, loss_class, pair, scores

    if new == "return dW, loss\n":
        return case._replace(run=joint(case.name, "w", "x", "y", "reg", first=1))
    if new.startswith("(X, W, y, lam"):
        return case._replace(run=joint(case.name, "x", "w", "y", "reg"))
    if new == "return dj_dw / m, dj_db / m":
        return case._replace(run=pair("compute_cost_logistic", "compute_gradient_logistic", "X y w b", logistic, "w b"))
    if new == "def mse(y_pred, y_true)":
        return case
    if "upstream):" in new:
        given = lambda: (leaf(12, seed=3), data(12, seed=9))  # noqa: E731
        made = loss_class(case.name, "forward", "backward", given, 0, False)
        return case._replace(run=lambda module: made(with_upstream(module, case.name)))
    assert scores
    return case


def with_upstream(module: Any, name: str) -> Any:
    """Gives a loss's backward the upstream 1 that it asks for."""
    thing = getattr(module, name)
    plain = thing.backward
    thing.backward = lambda self: plain(self, 1.0)
    return module


# %%
def measure(quiet: bool, only: str = "") -> dict[str, Any]:
    counts: Counter[str] = Counter()
    styles: set[str] = set()
    remarks: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for case, text, expected in list_hand_ins():
            if only and only not in f"{case.file} {case.name} {expected}":
                continue
            styles.add(case.style)
            right = is_right(case, text)
            status, names, message = grade(Path(folder), case.file, case.name, text)
            counts["hand_ins"] += 1
            counts["right"] += right
            counts["agree"] += (status == "right") == right and status in ("right", "wrong")
            counts["wrong_passed"] += status == "right" and not right
            counts["right_refused"] += right and status != "right"
            if right != (expected == ""):
                remarks.append(f"{case.file}, {case.name}: planted {expected!r}, and autograd says right={right}")
            if not right:
                first = [given[0] if given else "" for given in names]
                named = bool(first) and expected is not None and all(one == expected for one in first)
                counts["named"] += named or (expected is None and not any(first))
                counts["misnamed"] += any(first) and not named
            if (status == "right") != right or (not right and expected and not named):
                remarks.append(
                    f"{case.file}, {case.name}: {expected!r}; {status} {[n[:2] for n in names]} {message[:150]}"
                )
            if not quiet and counts["hand_ins"] % 20 == 0:
                print(f"{counts['hand_ins']} hand-ins, {len(remarks)} remarks", file=sys.stderr)
    wrong = counts["hand_ins"] - counts["right"]
    return {
        "hand_ins": counts["hand_ins"], "styles": len(styles), "right": counts["right"], "wrong": wrong,
        "agree": counts["agree"] / max(counts["hand_ins"], 1), "wrong_passed": counts["wrong_passed"],
        "right_refused": counts["right_refused"], "named": counts["named"] / max(wrong, 1),
        "misnamed": counts["misnamed"] / max(wrong, 1), "remarks": remarks,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The checker on hand-ins in the styles of courses.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--only", default="", help="hand-ins whose file, name or mistake holds this text")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    start = time.perf_counter()
    result = measure(args.quiet, args.only)
    result["seconds"] = round(time.perf_counter() - start, 1)
    if args.json:
        print(json.dumps(result, allow_nan=False, ensure_ascii=False))
    else:
        for key, value in result.items():
            print(f"{key:<14} {value}" if not isinstance(value, list) else "\n".join([key, *(f"  {v}" for v in value)]))
    good = result["agree"] == 1 and result["wrong_passed"] == 0 and result["right_refused"] == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
