"""Times 64 runs of softmax regression, 8 rates × 8 strengths, an epoch of 20,000 × 3,072 in batches of 128: one stack.

    python scripts/bench/sweep.py [--json] [--quick]

The ceiling is two bare matrix products of 640 rows a batch. The other ways are timed for one run and multiplied by 64:
they do train one after another.
"""

from __future__ import annotations

from peers import parser, show, with_loader

from edunn.descent import Descent
from edunn.descent.speed import (
    DECAY,
    RATE,
    Problem,
    bare_products,
    epoch_of,
    machine,
    run_on,
    taking_turns,
    with_autograd,
)
from edunn.descent.stack import Stack, vary
from edunn.differences import relative_error

RATES = [RATE * factor for factor in (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)]
STRENGTHS = [DECAY * factor for factor in (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)]
RUNS = len(RATES) * len(STRENGTHS)


def all_of_them(problem: Problem) -> list[Descent]:
    run = run_on(problem, problem.batch)
    return [vary(run, rate=rate, strength=strength) for rate in RATES for strength in STRENGTHS]


def apart(problem: Problem) -> float:
    """How far some of the stack's runs are from the same runs alone, after an epoch in float32."""
    runs = all_of_them(problem)
    Stack(runs).run_epoch()
    largest = 0.0
    for index in (0, RUNS // 2, RUNS - 1):
        run = all_of_them(problem)[index]
        epoch_of(run)()
        found = runs[index].model.weight.detach()
        largest = max(largest, relative_error(found, run.model.weight.detach()))
    return largest


def main() -> None:
    args = parser(__doc__).parse_args()
    problem = Problem(2_000 if args.quick else 20_000)
    ways = {
        "stack": Stack(all_of_them(problem)).run_epoch,
        "products": bare_products(problem, problem.batch, RUNS * problem.classes),
        "one": epoch_of(run_on(problem, problem.batch)),
        "autograd": with_autograd(problem, problem.batch),
        "dataloader": with_loader(problem, problem.batch),
    }
    seconds = taking_turns(ways, args.rounds or (3 if args.quick else 7))
    show(
        args,
        {
            "stack_over_products": seconds["stack"] / seconds["products"],
            "one_by_one_over_stack": RUNS * seconds["one"] / seconds["stack"],
            "autograd_over_stack": RUNS * seconds["autograd"] / seconds["stack"],
            "dataloader_over_stack": RUNS * seconds["dataloader"] / seconds["stack"],
            "runs": RUNS,
            "samples": problem.samples,
            "float32_apart_from_alone": apart(problem),
            **{f"{name}_seconds": value for name, value in seconds.items()},
            **machine(),
        },
    )


if __name__ == "__main__":
    main()
