"""Nearest neighbours as hand-ins: the distances of all pairs by one matrix product, and the vote."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import neighbours
from ...runtime.devices import generator
from .task import Arguments, FunctionTask, Slip


def distance_cases(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 11)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=source)

    same = drawn(4, 3)
    return {
        "5 queries, 7 samples": (drawn(5, 3), drawn(7, 3)),
        "the samples themselves": (same, same),
        "one of each": (drawn(1, 3), drawn(1, 3)),
        "one feature": (drawn(3, 1), drawn(4, 1)),
        "no query": (drawn(0, 3), drawn(4, 3)),
        "far from 0": (drawn(4, 3) + 50, drawn(6, 3) + 50),
        "values of 1e3": (1e3 * drawn(3, 2), 1e3 * drawn(5, 2)),
    }


DISTANCES = FunctionTask(
    "knn-distances",
    "|q − a|² = |q|² − 2 q·a + |a|²: all the q·a are one matrix product, and what rounding takes below 0 is 0",
    "queries (queries, features), features (samples, features); the answer is (queries, samples)",
    ("queries", "features"), neighbours.by_product, (neighbours.by_product,), distance_cases,
    (
        Slip("2 forgotten", "the middle term is 2 q·a", (("2 * queries @", "queries @"),)),
        Slip("wrong sign", "q·a is subtracted: + 2 q·a gives |q + a|²", (("squares - 2", "squares + 2"),)),
        Slip("|q|² forgotten", "the queries' own squares are missing: the order is right, the distances are not",
             (("(queries**2).sum(1, keepdim=True) + ", ""),)),
        Slip("|a|² forgotten", "the samples' own squares are missing", ((" + (features**2).sum(1)", ""),)),
        Slip("root taken", "the squared distances are asked for: the root changes no order",
             ((".clamp(min=0)", ".clamp(min=0).sqrt()"),)),
        Slip("|q| and |a| not squared", "the outer terms are the squares of the lengths",
             (("(queries**2).sum(1, keepdim=True)", "(queries**2).sum(1, keepdim=True).sqrt()"),
              ("(features**2).sum(1)", "(features**2).sum(1).sqrt()"))),
        Slip("mean over the features", "the squares are summed over the features",
             ((".clamp(min=0)", ".clamp(min=0) / queries.shape[1]"),)),
        Slip("transposed", "a row belongs to a query, a column to a sample",
             ((".clamp(min=0)", ".clamp(min=0).mT"),)),
    ),
)  # fmt: skip


def vote_cases(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 12)

    def drawn(queries: int, k: int, classes: int) -> Arguments:
        near = torch.rand(queries, k, dtype=torch.float64, generator=source).sort(1).values
        return near, torch.randint(classes, (queries, k), generator=source)

    def one(*pairs: tuple[float, int]) -> Arguments:
        return torch.tensor([[d for d, _ in pairs]], dtype=torch.float64), torch.tensor([[y for _, y in pairs]])

    return {
        "seven neighbours": drawn(20, 7, 4),
        "a majority of farther ones": one((0.1, 2), (0.5, 1), (0.6, 1)),
        "two votes each": one((0.1, 3), (0.2, 1), (0.3, 1), (0.4, 3)),
        "all different": one((0.1, 2), (0.2, 0), (0.3, 1)),
        "same votes, same distance": one((0.2, 3), (0.2, 1), (0.4, 1), (0.4, 3)),
        "one neighbour": drawn(5, 1, 3),
        "one class": drawn(3, 5, 1),
        "no query": drawn(0, 3, 3),
    }


VOTE = FunctionTask(
    "knn-vote",
    "argmax_c Σ_j 1[y_j = c] over the k nearest; of equal votes the class whose nearest neighbour is nearer, then the\n"
    "smaller label",
    "distances and labels (queries, k), the nearest first; the answer is one class index a query",
    ("distances", "labels"), neighbours.vote, (neighbours.vote,), vote_cases,
    (
        Slip("ties to the smaller label", "of equal votes the class whose nearest neighbour is nearer wins",
             (("(nearest == nearest.amin(1, keepdim=True)).long().argmax(1)", "votes.argmax(1)"),)),
        Slip("ties to the larger label", "of equal votes the nearer class wins, then the smaller label",
             (("(nearest == nearest.amin(1, keepdim=True)).long().argmax(1)",
               "classes - 1 - votes.flip(1).argmax(1)"),)),
        Slip("votes not counted", "the nearest neighbour alone decides: that is k = 1",
             (("votes < votes.amax(1, keepdim=True)", "votes == 0"),)),
        Slip("last of equals", "of equal votes at equal distance the smaller label wins",
             (("return (nearest == nearest.amin(1, keepdim=True)).long().argmax(1)",
               "return classes - 1 - (nearest == nearest.amin(1, keepdim=True)).long().flip(1).argmax(1)"),)),
        Slip("fewest votes", "the class with the fewest votes wins",
             (("votes < votes.amax(1, keepdim=True)",
               "(votes == 0) | (votes > votes.masked_fill(votes == 0, 999).amin(1, keepdim=True))"),)),
    ),
)  # fmt: skip

TASKS = (DISTANCES, VOTE)
