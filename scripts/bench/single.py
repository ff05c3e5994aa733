"""Single-sample descent, softmax regression with 10 classes on 3,072 features: times a step of ours and of others.

    python scripts/bench/single.py [--json] [--quick]

scikit-learn's SGDClassifier trains one class against the rest, ten times over; its time is a pass over the samples
divided by their number. Without scikit-learn its key is null.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from peers import parser, show

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
from edunn.differences import relative_error

STEPS = 2_000  # of the ways that take long


def sgd_classifier(problem: Problem) -> Callable[[], object] | None:
    try:
        from sklearn.linear_model import SGDClassifier
    except ImportError:
        print("scikit-learn is not installed: sgdclassifier_over_ours is null", file=sys.stderr)
        return None
    options = {"loss": "log_loss", "alpha": DECAY, "learning_rate": "constant", "eta0": RATE}
    x, y = problem.x[:STEPS].numpy(), problem.y[:STEPS].numpy()
    return lambda: SGDClassifier(max_iter=1, tol=None, **options).fit(x, y)


def apart(problem: Problem) -> float:
    """How far ours and the readable loop are apart after the same steps, in float32."""
    weights: list[torch.Tensor] = []
    for by in ("fast", "hand"):
        run = run_on(problem, 1, STEPS)
        epoch_of(run, by)()
        weights.append(run.model.weight.detach())
    return relative_error(*weights)


def main() -> None:
    args = parser(__doc__).parse_args()
    problem = Problem(4_000 if args.quick else 20_000)
    ways = {
        "ours": (epoch_of(run_on(problem, 1)), problem.samples),
        "plain": (epoch_of(run_on(problem, 1, STEPS), "hand"), STEPS),
        "products": (bare_products(problem, 128, problem.classes), problem.samples),
        "autograd": (with_autograd(problem, 1, STEPS), STEPS),
    }
    classifier = sgd_classifier(problem)
    if classifier is not None:
        ways["sgdclassifier"] = (classifier, STEPS)
    # a step on one sample is too small to be shared out: one thread is the fastest for every peer
    torch.set_num_threads(1)
    seconds = taking_turns({name: work for name, (work, _) in ways.items()}, args.rounds or (3 if args.quick else 7))
    step = {name: seconds[name] / count * 1e6 for name, (_, count) in ways.items()}
    other = step["sgdclassifier"] / step["ours"] if classifier is not None else None
    show(
        args,
        {
            "autograd_over_ours": step["autograd"] / step["ours"],
            "sgdclassifier_over_ours": other,
            "plain_over_ours": step["plain"] / step["ours"],
            "float32_apart_from_plain": apart(problem),
            **{f"{name}_microseconds": value for name, value in step.items()},
            **machine(),
        },
    )


if __name__ == "__main__":
    main()
