"""Times an epoch of softmax regression on 20,000 × 3,072, batch 128: ours, others, and the bare products.

    python scripts/bench/training.py [--json] [--quick]

`evaluate = 0`: nothing is timed but the loop, and the evaluation at its end taken off.
"""

from __future__ import annotations

from peers import parser, show, with_loader
from peers import with_numpy as course_loop

from edunn.descent.speed import Problem, bare_products, epoch_of, machine, run_on, taking_turns, with_autograd
from edunn.differences import relative_error


def apart(problem: Problem) -> float:
    """How far the quick loop and the readable one are apart after an epoch from the same start, in float32."""
    weights = []
    for by in ("fast", "hand"):
        run = run_on(problem, problem.batch)
        epoch_of(run, by)()
        weights.append(run.model.weight.detach())
    return relative_error(*weights)


def main() -> None:
    args = parser(__doc__).parse_args()
    problem = Problem(2_000 if args.quick else 20_000)
    ways = {
        "ours": epoch_of(run_on(problem, problem.batch)),
        "plain": epoch_of(run_on(problem, problem.batch), "hand"),
        "products": bare_products(problem, problem.batch, problem.classes),
        "autograd": with_autograd(problem, problem.batch),
        "numpy": course_loop(problem, problem.batch),
        "dataloader": with_loader(problem, problem.batch),
    }
    seconds = taking_turns(ways, args.rounds or (3 if args.quick else 9))
    ratios = {f"{name}_over_ours": seconds[name] / seconds["ours"] for name in ("autograd", "dataloader", "numpy")}
    show(
        args,
        ratios
        | {
            "ours_over_products": seconds["ours"] / seconds["products"],
            "plain_over_ours": seconds["plain"] / seconds["ours"],
            "float32_apart_from_plain": apart(problem),
            "samples": problem.samples,
            **{f"{name}_seconds": value for name, value in seconds.items()},
            **machine(),
        },
    )


if __name__ == "__main__":
    main()
