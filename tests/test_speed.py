"""The bench: what it times does what it says, and the command prints it. No test looks at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edunn.cli import main
from edunn.descent.speed import Problem, bare_products, epoch_of, measure, run_on, taking_turns, with_autograd

RATIOS = ["autograd_over_training", "training_over_products", "autograd_over_single", "one_by_one_over_stack"]


def test_the_problem_is_the_same_each_time() -> None:
    assert torch.equal(Problem(50, 8).x, Problem(50, 8).x)
    assert Problem(50, 8).part.features.shape == (50, 8)


@pytest.mark.parametrize("batch", [16, 1])
def test_what_is_timed_trains(batch: int) -> None:
    problem = Problem(200, 12)
    run = run_on(problem, batch)
    losses = epoch_of(run)()
    assert len(losses) == run.steps_per_epoch
    assert run.model.weight.abs().max() > 0
    with_autograd(problem, batch, 32)()
    bare_products(problem, 16, 10)()


def test_the_ways_take_turns() -> None:
    order: list[str] = []
    times = taking_turns({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2, bar=False)  # type: ignore[misc]
    assert order == ["a", "b", "a", "b", "a", "b"]  # a warm-up and two rounds
    assert set(times) == {"a", "b"}


def test_measure() -> None:
    result = measure(samples=128, runs=2, rounds=1)
    assert all(result[name] > 0 for name in RATIOS)
    assert (result["samples"], result["runs"]) == (128, 2)


def test_the_command(capsys: Any, tmp_path: Path) -> None:
    given = ["bench", "--samples", "128", "--runs", "2", "--rounds", "1", "--quiet"]
    assert main(given) == 0
    assert "as fast as autograd" in capsys.readouterr().out
    assert main([*given, "--json", "--out", str(tmp_path / "bench.json")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "bench.json").read_text()) == printed
    assert set(printed) >= set(RATIOS)


@pytest.mark.parametrize(
    ("option", "span"),
    [("samples", "from 128 to 100,000"), ("runs", "from 2 to 1,024"), ("rounds", "from 1 to 1,000")],
    ids=["samples", "runs", "rounds"],
)
def test_the_command_refuses(option: str, span: str, capsys: Any) -> None:
    assert main(["bench", f"--{option}", "0"]) == 2
    assert f"--{option} must be a whole number {span}; got 0." in capsys.readouterr().err
