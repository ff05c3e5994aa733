"""Descent on x² + y² + 3x + 3, its stop rule, and the error of a numeric derivative with step 1e-15."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..graph import parse
from ..minimise import Minimum, by_autograd, central, minimise, step_study
from .engine import Lesson, Row, Table

DERIVATION = """\
f(x, y) = x² + y² + 3x + 3,  ∇f = (2x + 3, 2y),  minimum (−1.5, 0) with f = 0.75.
A step of 0.01 multiplies the distance from −1.5 by 1 − 2 · 0.01 = 0.98:  x_k = −1.5 (1 − 0.98^k).
It stops when f changes by less than 1e-7 in a step: after 340 steps, 0.0016 from the minimum. The last step that was
tested is not taken."""

TEXT = "x**2 + y**2 + 3*x + 3"  # in this order: the noise of 4.2 depends on it
HAND = {"x": "2*x + 3", "y": "2*y"}
TRUE = -1.5
CELLS = {"import": 7, "f": 1, "df": 3, "gd": 8, "num_grad": 9}  # as they appear in the lecture, with their numbers
WORDS: dict[str, Callable[[str], str]] = {
    "complessità": lambda word: word.replace("t", ""),
    "ci si": lambda word: word.replace(" ", ""),
    "significative": lambda word: word[:-1] + "a",
}


@cache
def exact(tolerance: float = 1e-7, steps: int = 10_000) -> Minimum:
    return minimise(TEXT, {"x": 0.0, "y": 0.0}, rate=0.01, tolerance=tolerance, steps=steps, gradient=HAND)


@cache
def numeric(delta: float) -> Minimum:
    return minimise(TEXT, {"x": 0.0, "y": 0.0}, rate=0.01, tolerance=1e-7, gradient="numeric", delta=delta)


def rows() -> list[Row]:
    found = exact()
    lowest = minimise(TEXT, {"x": 0.0, "y": 0.0}, rate=0.4, tolerance=0.0, steps=100, gradient=HAND)
    slope = by_autograd(parse(TEXT), {"x": 0.0, "y": 0.0})["x"]
    (one,) = minimise(TEXT, {"x": 0.0, "y": 0.0}, rate=0.01, tolerance=0.0, steps=1, gradient=HAND).path[1:]
    few = exact(steps=100)
    return [
        Row("4.1",
            {"x": found.at["x"], "y": found.at["y"], "f": found.value, "pass": found.steps + 1,
             "formula": TRUE * (1 - 0.98**found.steps)},
            "holds", {"x": -1.4984406, "y": 0.0}, digits=7, note="It stops in the 341st pass, after 340 steps."),
        Row("4.5", {"x": lowest.at["x"], "y": lowest.at["y"], "f": lowest.value}, "holds", {"x": -1.5, "y": 0.0},
            digits=9, note="By descent at rate 0.4 to rest; f = 0.75 is derived."),
        Row("004.b",
            {"x": found.tested["x"], "after_max_iter_100": few.at["x"]},
            "wrong", {"x": -1.4984406},
            "gd returns curr_x and not the tested next_x, and says nothing when max_iter is reached.",
            {"x": found.at["x"]}, digits=7,
            note=f"This package says both: at and tested; and of 100 allowed steps: stopped by '{few.stopped}'."),
        Row("004.d", sorted(CELLS.values()), "wrong", [7, 1, 3, 8, 9],
            "The cells' numbers are out of order: the import is In [7], and In [1] and In [3] come after it.",
            [*CELLS.values()],
            note=f"computed: as they were run, {', '.join(sorted(CELLS, key=lambda cell: CELLS[cell]))}. "
            "The mistake: the import was run again, and its cell stayed in place."),
        Row("004.e",
            {"x": lowest.at["x"], **{f"{eps:g}": exact(eps).at["x"] - TRUE for eps in (1e-7, 1e-9, 1e-12)}},
            "wrong", {"x": -1.4984406},
            "With small steps f changes little far from the minimum: it stops 0.0016 early.",
            {"x": found.at["x"]}, digits=7,
            note="The rule: until f changes by less than eps. computed: the minimum, and how far from it 3 eps stop."),
        Row("004.f", [*WORDS], "wrong", ["complessià", "cisi", "significativa"],
            "Typos, for complessità, ci si, significative.", [slip(word) for word, slip in WORDS.items()],
            note="The mistakes: a letter left out, a space left out, a letter of the neighbouring form."),
        Row("004.i", one[0], "wrong", "it moves by a value `step`",
            "The code moves by step × gradient.", -0.01,
            note=f"The first step from x = 0, where the slope is {slope:g}: −0.03 by the code, −0.01 by the text."),
    ]  # fmt: skip


def tables() -> list[Table]:
    cells = []
    for k in (0, 1, 2, 3, 10, 100, 339, 340):
        x, y = exact().path[k]
        cells.append([k, x, TRUE * (1 - 0.98**k), y, x * x + y * y + 3 * x + 3])
    return [Table("Rate 0.01 from (0, 0)", ("step", "x", "−1.5 (1 − 0.98^k)", "y", "f"), cells)]


def picture() -> object:
    from ..figures.steps import descent_path

    return descent_path(exact(), parse(TEXT))


DELTAS = """\
(f(x + δ) − f(x − δ)) / 2δ errs by δ²f'''/6 (a chord is not a tangent) and by ε|f|/δ (f is known to ε|f|, ε = 2.2e-16).
The docstring says δ = 1e-4; the signature says 1e-15. There the rounding, 2.2e-16 · 1 / 1e-15, is 0.2 of a slope of 1:
the "gradient" is mostly noise, and descent stops 0.02 beside the minimum."""

WRONG, MEANT = 1e-15, 1e-4


def estimates() -> dict[str, float]:
    f = parse(TEXT)
    return {f"{delta:g}": central(f, {"x": -1.0, "y": 0.0}, "x", delta) for delta in (1e-15, 1e-14, 1e-12, 1e-8, 1e-5)}


def delta_rows() -> list[Row]:
    noisy, meant = numeric(WRONG), numeric(MEANT)
    return [
        Row("4.2", {"x": noisy.at["x"], "y": noisy.at["y"], "pass": noisy.steps + 1}, "holds",
            {"x": -1.51989532, "y": 0.0}, digits=8,
            note="Rounding noise: it holds for x**2+y**2+3*x+3 in this order, in float64 on a CPU."),
        Row("4.3", estimates(), "derived", note="d/dx at x = −1, where it is 1, for five δ."),
        Row("004.a",
            {"x": meant.at["x"], "times_further_with_1e-15": abs(noisy.at["x"] - TRUE) / abs(meant.at["x"] - TRUE)},
            "wrong", {"x": -1.51989532}, "The default delta is 1e-15, while the docstring says 0.0001.",
            {"x": noisy.at["x"]}, digits=8),
    ]  # fmt: skip


def delta_tables() -> list[Table]:
    cells = []
    for delta in (1e-4, 1e-8, 1e-10, 1e-12, 1e-14, 1e-15, 1e-16):
        ended = numeric(delta)
        cells.append([f"{delta:g}", central(parse(TEXT), {"x": -1.0, "y": 0.0}, "x", delta), ended.at["x"], ended.steps,
                      ended.stopped])  # fmt: skip
    return [Table("What δ does to the slope at x = −1 (true: 1) and to the descent (true: −1.5)",
                  ("δ", "slope", "descent ends at x", "steps", "stopped by"), cells)]  # fmt: skip


def delta_picture() -> object:
    from ..figures import steps

    return steps.step_study(step_study(TEXT, {"x": -1.0, "y": 0.0}), marks=(WRONG, MEANT))


LESSONS = (
    Lesson("quadratic-descent", "004", "Where does descent on x² + y² + 3x + 3 stop, and why there?", DERIVATION, rows,
           tables, {"quadratic_descent": picture}),
    Lesson("delta-study", "004", "How small may the step of a numeric derivative be?", DELTAS, delta_rows, delta_tables,
           {"delta_study": delta_picture}),
)  # fmt: skip
