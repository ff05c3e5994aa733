"""Nearest neighbours as exercises: the distances of all pairs by one matrix product, and the vote."""

from __future__ import annotations

import torch

from ... import neighbours
from ...runtime.devices import generator
from ..exercise import Arguments
from .functions import cut_function, drawing, edit


def draw_points(seed: int) -> dict[str, Arguments]:
    draw = drawing(seed, 11)
    same = draw(4, 3)
    return {
        "5 queries, 7 samples": (draw(5, 3), draw(7, 3)),
        "the samples themselves": (same, same),
        "one of each": (draw(1, 3), draw(1, 3)),
        "one feature": (draw(3, 1), draw(4, 1)),
        "no query": (draw(0, 3), draw(4, 3)),
        "far from 0": (draw(4, 3) + 50, draw(6, 3) + 50),
        "values of 1e3": (1e3 * draw(3, 2), 1e3 * draw(5, 2)),
    }


DISTANCES = cut_function(
    "knn-distances", "nearest-neighbours",
    "all squared distances without a loop",
    "|q − a|² = |q|² − 2 q·a + |a|²: all the q·a are one matrix product, and what rounding takes below 0 is 0",
    "queries (queries, features), features (samples, features); the answer is (queries, samples)",
    ("queries", "features"), neighbours.by_product, (neighbours.by_product,), draw_points,
    edit("2 forgotten", "the middle term is 2 q·a", ("2 * queries @", "queries @")),
    edit("wrong sign", "q·a is subtracted: + 2 q·a gives |q + a|²", ("squares - 2", "squares + 2")),
    edit("|q|² forgotten", "the queries' own squares are missing: the order is right, the distances are not",
         ("(queries**2).sum(1, keepdim=True) + ", "")),
    edit("|a|² forgotten", "the samples' own squares are missing", (" + (features**2).sum(1)", "")),
    edit("root taken", "the squared distances are asked for: the root changes no order",
         (".clamp(min=0)", ".clamp(min=0).sqrt()")),
    edit("|q| and |a| not squared", "the outer terms are the squares of the lengths",
         ("(queries**2).sum(1, keepdim=True)", "(queries**2).sum(1, keepdim=True).sqrt()"),
         ("(features**2).sum(1)", "(features**2).sum(1).sqrt()")),
    edit("mean over the features", "the squares are summed over the features",
         (".clamp(min=0)", ".clamp(min=0) / queries.shape[1]")),
    edit("transposed", "a row belongs to a query, a column to a sample",
         (".clamp(min=0)", ".clamp(min=0).mT")),
)  # fmt: skip


def draw_votes(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 12)

    def draw(queries: int, k: int, classes: int) -> Arguments:
        near = torch.rand(queries, k, dtype=torch.float64, generator=source).sort(1).values
        return near, torch.randint(classes, (queries, k), generator=source)

    def one(*pairs: tuple[float, int]) -> Arguments:
        return torch.tensor([[d for d, _ in pairs]], dtype=torch.float64), torch.tensor([[y for _, y in pairs]])

    return {
        "seven neighbours": draw(20, 7, 4),
        "a majority of farther ones": one((0.1, 2), (0.5, 1), (0.6, 1)),
        "two votes each": one((0.1, 3), (0.2, 1), (0.3, 1), (0.4, 3)),
        "all different": one((0.1, 2), (0.2, 0), (0.3, 1)),
        "same votes, same distance": one((0.2, 3), (0.2, 1), (0.4, 1), (0.4, 3)),
        "one neighbour": draw(5, 1, 3),
        "one class": draw(3, 5, 1),
        "no query": draw(0, 3, 3),
    }


VOTE = cut_function(
    "knn-vote", "nearest-neighbours",
    "the vote of the k nearest;\ntally gives the votes and the nearest distance of each class, (queries, classes) both",
    "argmax_c Σ_j 1[y_j = c] over the k nearest; of equal votes the class whose nearest neighbour is nearer, then the\n"
    "smaller label",
    "distances and labels (queries, k), the nearest first; the answer is one class index a query",
    ("distances", "labels"), neighbours.vote, (neighbours.vote,), draw_votes,
    edit("ties to the smaller label", "of equal votes the class whose nearest neighbour is nearer wins",
         ("(nearest == nearest.amin(1, keepdim=True)).long().argmax(1)", "votes.argmax(1)")),
    edit("ties to the larger label", "of equal votes the nearer class wins, then the smaller label",
         ("(nearest == nearest.amin(1, keepdim=True)).long().argmax(1)",
          "classes - 1 - votes.flip(1).argmax(1)")),
    edit("votes not counted", "the nearest neighbour alone decides: that is k = 1",
         ("votes < votes.amax(1, keepdim=True)", "votes == 0")),
    edit("last of equals", "of equal votes at equal distance the smaller label wins",
         ("return (nearest == nearest.amin(1, keepdim=True)).long().argmax(1)",
          "return classes - 1 - (nearest == nearest.amin(1, keepdim=True)).long().flip(1).argmax(1)")),
    edit("fewest votes", "the class with the fewest votes wins",
         ("votes < votes.amax(1, keepdim=True)",
          "(votes == 0) | (votes > votes.masked_fill(votes == 0, 999).amin(1, keepdim=True))")),
)  # fmt: skip

EXERCISES = (DISTANCES, VOTE)
