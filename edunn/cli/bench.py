"""Measures the speed of training on this machine, relative to autograd and to bare matrix products."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import check_count
from .common import add_common, emit, show_progress

EXAMPLE = "edunn bench"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--samples", type=int, default=4_000, help="random samples of 3,072 features (default: 4000)")
    parser.add_argument("--runs", type=int, default=16, help="runs trained at once (default: 16)")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions, of which the median counts (default: 5)")
    add_common(parser, "a file for the JSON object (default: none)", device=False)


def run(args: argparse.Namespace) -> int:
    """Times training and prints the medians. Returns 0."""
    for name, least, most in (("samples", 128, 100_000), ("runs", 2, 1024), ("rounds", 1, 1000)):
        check_count(f"--{name}", getattr(args, name), least, most)
    import json

    from ..descent.speed import measure
    from ..runtime.files import write_atomically

    result = measure(args.samples, args.runs, args.rounds, bar=show_progress(args))
    if args.out:
        write_atomically(args.out, json.dumps(result, indent=2) + "\n")
    emit(args, result, report(result))
    return 0


def report(result: dict[str, Any]) -> str:
    """Returns the medians as text, one line for each comparison."""
    r = result
    return "\n".join(
        [
            f"softmax regression, {r['samples']:,} x {r['features']:,}, {r['classes']} classes, float32, on the CPU "
            f"({r['threads']} threads, torch {r['torch']}); medians of {r['rounds']}",
            f"  one run, batch {r['batch']:<5}  {r['autograd_over_training']:>5.1f} x as fast as autograd,  "
            f"{r['training_over_products']:.2f} x the time of its bare matrix products",
            f"  single samples     {r['autograd_over_single']:>5.1f} x as fast as autograd,  "
            f"{r['single_microseconds']:.1f} microseconds a step",
            f"  {r['runs']:>2} runs at once    {r['one_by_one_over_stack']:>5.1f} x as fast as one by one,  "
            f"{r['stack_over_products']:.2f} x the time of their bare matrix products",
            f"  this machine's products: {r['ceiling_gigaflops']:.0f} GFLOP/s; the stack: {r['stack_gigaflops']:.0f}",
        ]
    )
