"""Squared distances of all pairs, in the three ways that courses write them: two loops, one loop, one product.

For reading, for exercises, and as an oracle: `NearestNeighbours` takes the product to nominate, and measures again.
"""

from __future__ import annotations

from torch import Tensor


def by_two_loops(queries: Tensor, features: Tensor) -> Tensor:
    """Σ_k (q_k − a_k)² of every query q and sample a, (queries, samples), one pair at a time."""
    result = queries.new_zeros(len(queries), len(features))
    for i in range(len(queries)):
        for j in range(len(features)):
            result[i, j] = ((queries[i] - features[j]) ** 2).sum()
    return result


def by_one_loop(queries: Tensor, features: Tensor) -> Tensor:
    """The same, a query against all samples at a time."""
    result = queries.new_zeros(len(queries), len(features))
    for i in range(len(queries)):
        result[i] = ((features - queries[i]) ** 2).sum(1)
    return result


def by_product(queries: Tensor, features: Tensor) -> Tensor:
    """The same without a loop: |q − a|² = |q|² − 2 q·a + |a|², and all the q·a are one matrix product.

    Where q and a are close and far from 0, two large numbers are subtracted that agree in most of their digits: in
    float32 the distance of 10000 and 10001 comes out as 0. What rounding takes below 0 is set to 0.
    """
    squares = (queries**2).sum(1, keepdim=True) + (features**2).sum(1)
    return (squares - 2 * queries @ features.mT).clamp(min=0)
