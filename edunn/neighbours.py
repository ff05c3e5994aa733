"""k nearest neighbours: an exact search in chunks, with rules for ties. There is no training.

    model = NearestNeighbours(k=5).fit(features, labels)
    model.predict(queries)
    distances, indices = model.neighbours(queries)

Three rules make the answer the same on every device: distances are compared in float64; of neighbours at the same
distance the earlier in the training order counts; of classes with the same votes the one whose nearest neighbour is
nearer wins, then the smaller label.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import errors
from .models import Model
from .runtime.foreign import to_tensor, unpack
from .runtime.reprs import ArgumentRepr
from .runtime.threads import divide_work, slices

BUDGET = 256 * 2**20  # bytes for the distances of one chunk
GROUP = 100  # training samples whose smallest distance represents them
CACHE = 2**20  # bytes of the differences that are measured at once on a CPU
EXTRA = (5, 40)  # how many candidates beside the k: at first, and for the queries that the first did not settle
FAR = 2.0**40  # a query this many times larger than the training samples is searched in full
TINY = 2.0**-960  # a sum of squares below this has lost digits, or all of them
SAME_DIRECTION = (4 * 2.0**-52) ** 2  # |u − v|² of two unit vectors that differ by no more than their rounding
METRICS = ("l2", "l1", "cosine")
WEIGHTS = ("uniform", "distance")


class NearestNeighbours(ArgumentRepr):
    """Predicts the class that most of the k nearest training samples have.

    The search has two passes. The first computes rough distances in float32 (float64 for float64 features), all at once
    as a matrix product, or by `torch.cdist` for L1. They can be wrong in the last digits: 10000 and 10001 may come out
    at distance 0. So they only choose candidates. The second pass measures the candidates in float64 from their
    differences; a bound on the rounding error of the first proves that no other sample can be among the k. A query
    without that proof, because its distances are too close, overflow or underflow, is compared with every sample in
    float64.

    Parameters
    ----------
    k : how many neighbours vote
    metric : "l2", √Σ(q − a)²; "l1", Σ|q − a|; or "cosine", 1 − q·a / |q||a| = ½ |q/|q| − a/|a||²
    budget : bytes for the distances of one chunk
    weights : "uniform", one vote each; or "distance", 1/distance each. A neighbour at distance 0 then outvotes all that
        are farther, as in scikit-learn's `KNeighborsClassifier`.
    """

    def __init__(self, k: int = 1, metric: str = "l2", budget: int = BUDGET, weights: str = "uniform") -> None:
        errors.check_count("k", k)
        if metric not in METRICS:
            raise errors.ConfigError(f"Unknown metric {metric!r}. {errors.nearest(str(metric), METRICS)}")
        if weights not in WEIGHTS:
            raise errors.ConfigError(f"Unknown weights {weights!r}. {errors.nearest(str(weights), WEIGHTS)}")
        self.k = k
        self.metric = metric
        self.budget = budget
        self.weights = weights
        self.features = torch.empty(0, 0)
        self.labels: Tensor | None = None  # places in `classes`
        self.classes: Tensor | None = None
        self.sample_weight: Tensor | None = None

    def fit(self, features: Any, labels: Any = None, sample_weight: Any = None) -> NearestNeighbours:
        """Stores (samples, features) and, for `predict`, labels (samples,), whole numbers or bool. Returns itself.

        Each may be a tensor, an array, a list or a data frame.

        With sample_weight (samples,) the vote of a sample counts its weight, times 1/distance if votes are weighted so.
        """
        features = to_tensor("features", unpack(features).features)
        labels = None if labels is None else to_tensor("labels", unpack(None, labels).targets)
        sample_weight = None if sample_weight is None else to_tensor("weights", sample_weight)
        if features.ndim != 2:
            raise errors.ShapeError(f"Expected features of shape (samples, features); got {errors.shape(features)}.")
        if not features.dtype.is_floating_point:
            features = features.float() if features.dtype in (torch.uint8, torch.bool) else features.double()
        errors.check_finite("features", features)
        if sample_weight is not None:
            errors.check_weights(sample_weight, len(features))
        self.sample_weight = sample_weight
        self.classes = self.labels = None
        if labels is not None:
            if labels.shape != features.shape[:1]:
                raise errors.ShapeError(
                    f"Expected labels of shape (samples,) = ({len(features)},); got {errors.shape(labels)}."
                )
            if labels.dtype.is_floating_point or labels.dtype.is_complex:
                raise errors.LabelError(f"Labels are class indices, not {labels.dtype}. Convert with labels.long().")
            # votes are counted for the classes that occur, however large their numbers
            distinct, self.labels = labels.long().unique(return_inverse=True)
            self.classes = distinct.to(labels.dtype)
        if self.k > len(features):
            raise errors.ConfigError(f"k is {self.k}, but there are only {len(features)} training samples.")
        self.features = features
        self.rough = torch.float64 if features.dtype == torch.float64 else torch.float32
        # powers of two that bring the largest feature near 1: float64 holds the squares of any float32, and no others
        largest = float(features.abs().max()) if features.numel() and self.metric == "l2" else 0.5
        self.exponent = math.frexp(largest)[1] if self.rough == torch.float64 else 0
        self.rough_exponent = math.frexp(largest)[1] - self.exponent
        if self.metric == "l1":
            self.centred = features.to(self.rough)
            return self
        if self.metric == "cosine":
            check_directions("features", features)
        # centred data has smaller norms, and the product loses fewer digits; distances do not change
        exact = self.prepare(features)
        self.centre = exact.mean(0) if len(features) else exact.new_zeros(features.shape[1])
        self.centred = multiply_by_power(exact - self.centre, -self.rough_exponent).to(self.rough)
        self.norms = self.centred.double().square().sum(1)
        self.half = (self.norms / 2).to(self.rough)
        return self

    def neighbours(self, queries: Any, k: int | None = None) -> tuple[Tensor, Tensor]:
        """Returns (distances, indices), each (queries, k), the nearest first. Distances are float64, never negative."""
        k = self.k if k is None else k
        queries = self.check(queries, k)
        distances = torch.empty(len(queries), k, dtype=torch.float64, device=queries.device)
        indices = torch.empty(len(queries), k, dtype=torch.long, device=queries.device)
        size = max(1, self.budget // (self.rough.itemsize * max(1, len(self.features))))
        find = self.candidate_finder(min(size, max(1, len(queries))))
        for start in range(0, len(queries), size):
            chunk = slice(start, start + size)
            distances[chunk], indices[chunk] = self.find_nearest(queries[chunk], k, find)
        if self.metric == "l2":
            distances = multiply_by_power(distances.sqrt_(), self.exponent)
        elif self.metric == "cosine":
            distances /= 2
        if not distances.isfinite().all():
            raise errors.DataError(
                "The distances exceed the largest float64. Divide the features by their largest value."
            )
        return distances, indices

    def predict(self, queries: Any, k: int | None = None) -> Tensor:
        """Returns the label of each query, (queries,), in the labels' dtype."""
        if len(self.features) and self.labels is None:
            raise errors.DataError("The model has no labels to vote with. Call fit(features, labels).")
        return self.decide(*self.neighbours(queries, k))

    def decide(self, distances: Tensor, indices: Tensor) -> Tensor:
        """Returns the label that these neighbours vote for, (queries,)."""
        assert self.labels is not None
        assert self.classes is not None
        own = None if self.sample_weight is None else self.sample_weight[indices]
        return self.classes[vote(distances, self.labels[indices], vote_weights(distances, self.weights, own))]

    def score(self, queries: Any, labels: Any, sample_weight: Any = None) -> Tensor:
        """Returns the share of right predictions; with weights of the queries, Σ w [right] / Σ w."""
        queries = to_tensor("queries", unpack(queries).features)
        labels = to_tensor("labels", unpack(None, labels).targets)
        sample_weight = None if sample_weight is None else to_tensor("weights", sample_weight)
        if labels.shape != queries.shape[:1]:
            raise errors.ShapeError(f"Expected labels of shape ({len(queries)},); got {errors.shape(labels)}.")
        right = (self.predict(queries) == labels).double()
        if sample_weight is None:
            return right.mean()
        errors.check_weights(sample_weight, len(queries))
        return (right * sample_weight).sum() / sample_weight.sum()

    def find_nearest(
        self, queries: Tensor, k: int, find: Callable[[Tensor, int], Candidates], extra: tuple[int, ...] = EXTRA
    ) -> tuple[Tensor, Tensor]:
        """Returns the k nearest samples of each query in a chunk: finds candidates, then measures their distances.

        If the candidates of a query are not proved to include the nearest, it gets more of them, and in the end it is
        compared with every sample.
        """
        if not extra:
            found = [self.search_all(query, k) for query in queries]
            return torch.stack([pair[0] for pair in found]), torch.stack([pair[1] for pair in found])
        candidates = find(queries, min(len(self.features), k + extra[0]))
        exact = self.measure(queries, candidates.indices)
        order = sort_by_distance(exact, candidates.indices)
        distances, indices = exact.gather(1, order)[:, :k], candidates.indices.gather(1, order)[:, :k]
        # every other sample is at least `bound` away; at exactly the k-th distance an earlier one would count
        unproved = ~(candidates.bound > distances[:, -1])
        if unproved.any():
            distances[unproved], indices[unproved] = self.find_nearest(queries[unproved], k, find, extra[1:])
        return distances, indices

    def prepare(self, x: Tensor) -> Tensor:
        """Returns samples (…, features) in float64, in the units in which they are measured.

        float64 for L2 is divided by a power of two, which rounds nothing, so that no square overflows; rows for cosine
        by their length.
        """
        return unit(x.double()) if self.metric == "cosine" else multiply_by_power(x.double(), -self.exponent)

    def measure(self, queries: Tensor, indices: Tensor) -> Tensor:
        """Returns Σ(q − a)², or Σ|q − a|, in float64 from the differences, for the given samples of each query."""
        exact = torch.empty(indices.shape, dtype=torch.float64, device=queries.device)
        budget = CACHE if exact.device.type == "cpu" else self.budget
        size = max(1, budget // (16 * max(1, indices.shape[1] * queries.shape[1])))

        def fill(chunk: slice) -> None:
            samples, asked = self.features[indices[chunk]], queries[chunk].unsqueeze(1)
            # two float32 have an exact difference in float64 (nearly always), so no digit is lost before the sum
            exact[chunk] = sum_difference(self.prepare(samples).sub_(self.prepare(asked)), self.metric)

        divide_work(slices(len(queries), size), lambda: fill, exact.device)
        lost = exact < TINY
        if self.metric == "l2" and lost.any():  # of the same samples, or squares that underflowed
            row, column = lost.nonzero().unbind(1)
            self.check_same(self.features[indices[row, column]], queries[row])
        return exact

    def search_all(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Compares one query with every sample in float64; the stable sort keeps the training order within ties."""
        size = max(1, self.budget // (16 * max(1, query.shape[0])))
        exact = []
        for samples in self.features.split(size):
            exact.append(sum_difference(self.prepare(samples) - self.prepare(query), self.metric))
            if self.metric == "l2":
                self.check_same(samples[exact[-1] < TINY], query)
        distances, indices = torch.cat(exact).sort(stable=True)
        return distances[:k], indices[:k]

    def check_same(self, samples: Tensor, queries: Tensor) -> None:
        """Raises an error if a distance underflowed to 0 although the sample is not equal to the query."""
        if (samples != queries).any():
            raise errors.DataError(
                "Some distances are more than 1e140 times smaller than the largest feature: their squares are 0 in "
                "float64. Drop the largest samples, or take metric 'l1'."
            )

    def candidate_finder(self, most: int) -> Callable[[Tensor, int], Candidates]:
        """Returns a function that finds candidates for at most `most` queries at a time, with buffers of its own."""
        samples, width = self.features.shape
        info = torch.finfo(self.rough)
        # torch may be allowed to multiply float32 as bfloat16, which has eight digits of two
        highest = self.rough == torch.float64 or torch.get_float32_matmul_precision() == "highest"
        unit_error = info.eps / 2 if highest else 2.0**-8
        buffer = self.centred.new_empty(most, samples if self.metric != "l1" else 0)

        def half_squares(queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """Returns ½|a|² − q·a for all a, the ½|q|² to add for ½|q − a|², and a bound on the rounding."""
            exact = multiply_by_power(self.prepare(queries) - self.centre, -self.rough_exponent)
            far = ~(exact.abs().amax(1) < FAR) if width else exact.new_zeros(len(exact), dtype=torch.bool)
            q = exact.masked_fill(far.unsqueeze(1), 0).to(self.rough)
            half = torch.addmm(self.half, q, self.centred.mT, alpha=-1, out=buffer[: len(q)])
            square = q.double().square().sum(1)
            # |fl(q·a) − q·a| ≤ width · u · |q||a| in whatever order it is summed; the rest is ½|a|² and the centring
            longest = self.norms.max().sqrt()
            error = unit_error * ((width + 4) * square.sqrt() * longest + 4 * (square + longest**2))
            error += info.tiny * 4 * (width + 1) * (1 + square.sqrt())  # of products and numbers that underflow
            return half, square / 2, error.masked_fill(far, torch.inf)

        def find(queries: Tensor, wanted: int) -> Candidates:
            if self.metric == "l1":
                asked = queries.to(self.rough)
                lost = (queries.double() - asked.double()).abs().sum(1)  # a float64 query in float32
                rough = torch.cdist(asked, self.centred, p=1.0)
            else:
                rough, shift, error = half_squares(queries)
            values, indices = select_smallest(rough, wanted)
            farthest = values[:, -1].double()
            if wanted == samples:
                bound = torch.full_like(farthest, torch.inf)
            elif self.metric == "l1":  # each of the differences and sums rounds: right to width · u of itself
                bound = farthest * (1 - info.eps * (width + 2)) - lost
                bound = bound.masked_fill(~farthest.isfinite(), -torch.inf)
            else:
                bound = multiply_by_power(2 * (farthest + shift - error), 2 * self.rough_exponent)
                if self.metric == "cosine":  # below this, distances count as 0
                    bound = bound.masked_fill(bound <= SAME_DIRECTION, -torch.inf)
            return Candidates(indices, bound)

        return find

    def check(self, queries: Any, k: int) -> Tensor:
        """Checks the queries' shape and values, and returns them as floating numbers."""
        queries = to_tensor("queries", unpack(queries).features)
        if not len(self.features):
            raise errors.DataError("The model has no training samples yet. Call fit(features, labels) first.")
        width = self.features.shape[1]
        if queries.ndim != 2 or queries.shape[1] != width:
            hint = " Did you mean queries[None], for a single one?" if tuple(queries.shape) == (width,) else ""
            raise errors.ShapeError(f"Expected queries of shape (queries, {width}); got {errors.shape(queries)}.{hint}")
        errors.check_count("k", k, most=len(self.features))
        errors.check_finite("queries", queries)
        if not queries.dtype.is_floating_point:
            queries = queries.double()
        if self.metric == "cosine":
            check_directions("queries", queries)
        return queries


@dataclass(frozen=True)
class Candidates:
    """Indices of candidates (queries, candidates), and a lower bound (queries,) of all other distances."""

    indices: Tensor
    bound: Tensor


def select_smallest(rough: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """Returns the `wanted` smallest values of each row and where they are.

    One pass finds the smallest of each group; the groups with the smallest ones hold all that is wanted, and only they
    are searched. `torch.topk` over the full row takes several times as long.
    """
    samples = rough.shape[1]
    groups = samples // GROUP
    if groups < 4 * wanted:
        return rough.topk(wanted, dim=1, largest=False)
    grouped, rest = rough[:, : groups * GROUP].unflatten(1, (groups, GROUP)), rough[:, groups * GROUP :]
    best = grouped.amin(2).topk(wanted, dim=1, largest=False).indices
    values = torch.cat([grouped.gather(1, best.unsqueeze(2).expand(-1, -1, GROUP)).flatten(1), rest], 1)
    found, place = values.topk(wanted, dim=1, largest=False)
    inside = place < wanted * GROUP
    group = best.gather(1, (place // GROUP).clamp(max=wanted - 1))
    indices = torch.where(inside, group * GROUP + place % GROUP, place - wanted * GROUP + groups * GROUP)
    return found, indices


def sum_difference(difference: Tensor, metric: str) -> Tensor:
    """Returns Σ|d| over the last axis for L1, else Σ d²; 0 for cosine where only rounding is left. Overwrites d."""
    if metric == "l1":
        return difference.abs_().sum(-1)
    total = difference.square_().sum(-1)
    return total.masked_fill_(total <= SAME_DIRECTION, 0.0) if metric == "cosine" else total


def multiply_by_power(x: Tensor, exponent: int) -> Tensor:
    """Returns x · 2**exponent in two factors: 2**1030 alone overflows float64."""
    if exponent == 0:
        return x
    return x * math.ldexp(1.0, exponent // 2) * math.ldexp(1.0, exponent - exponent // 2)


def unit(x: Tensor) -> Tensor:
    """Returns x / |x| along the last axis, divided by the largest entry first, so that no square overflows."""
    x = x / x.abs().amax(-1, keepdim=True)
    return x / x.square().sum(-1, keepdim=True).sqrt()


def check_directions(name: str, x: Tensor) -> None:
    """Refuses rows of zeros, which have no direction."""
    zero = (x == 0).all(1)
    if zero.any():
        raise errors.DataError(
            f"Row {int(zero.nonzero()[0])} of the {name} (counted from 0) holds only zeros, which have no direction. "
            f"Drop it, or take metric 'l2'."
        )


def sort_by_distance(distances: Tensor, indices: Tensor) -> Tensor:
    """Returns the order of each row by distance, then by index: two stable sorts, the minor key first."""
    by_index = indices.argsort(dim=1, stable=True)
    by_distance = distances.gather(1, by_index).argsort(dim=1, stable=True)
    return by_index.gather(1, by_distance)


def vote_weights(distances: Tensor, weights: str, own: Tensor | None = None) -> Tensor | None:
    """Returns the weight of each vote, (queries, k): 1/distance, up to a factor; None where all count the same.

    Where a distance is 0, the votes at distance 0 count 1 and the others 0: the limit of 1/distance. `own` are the
    neighbours' weights as samples, (queries, k), which multiply that.
    """
    if weights == "uniform":
        return None if own is None else own.double()
    nearest = distances[:, :1]  # the factor: 1/distance alone can overflow
    by_distance = torch.where(nearest == 0, (distances == 0).double(), nearest / distances)
    return by_distance if own is None else by_distance * own


def vote(distances: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the class with the most votes of each row, for distances and labels (queries, k), the nearest first.

    Of classes with the same votes the one whose nearest neighbour is nearer wins, then the smaller label.
    """
    classes = int(labels.max()) + 1 if labels.numel() else 1
    votes, nearest = tally(distances, labels, classes, weights)
    nearest = nearest.masked_fill(votes < votes.amax(1, keepdim=True), torch.inf)
    # argmax of equals is the first, so the smallest, label among those that are nearest
    return (nearest == nearest.amin(1, keepdim=True)).long().argmax(1)


def tally(distances: Tensor, labels: Tensor, classes: int, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Counts the votes of each class, and finds the distance of its nearest neighbour (inf where it has none)."""
    shape = (len(labels), classes)
    weights = torch.ones_like(labels) if weights is None else weights
    votes = torch.zeros(shape, dtype=weights.dtype, device=labels.device)
    for j in range(labels.shape[1]):  # neighbour by neighbour: the same order of the sum on every device
        votes.scatter_add_(1, labels[:, j : j + 1], weights[:, j : j + 1])
    nearest = torch.full(shape, torch.inf, dtype=torch.float64, device=labels.device)
    return votes, nearest.scatter_reduce_(1, labels, distances.double(), "amin")


class Voters(Model):
    """Nearest neighbours as a model: scores are votes, and the training samples are its state.

    `model(features)` gives (samples, classes): the votes of each class, with a tiny amount subtracted from classes that
    lose a tie, so that the largest score is the class that `NearestNeighbours.predict` gives.

    features (samples, features), targets (samples,), class indices
    """

    predicts = "classes"
    features: Tensor
    targets: Tensor
    chosen: Tensor
    sample_weight: Tensor | None

    def __init__(
        self,
        k: int,
        metric: str,
        features: Tensor,
        targets: Tensor,
        classes: int,
        weights: str = "uniform",
        sample_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.distance, self.weights, self.classes = metric, weights, classes
        self.register_buffer("features", features)
        self.register_buffer("targets", targets)
        self.register_buffer("chosen", torch.tensor(k))
        self.register_buffer("sample_weight", sample_weight)  # kept with the others where there are any
        self.k = k

    def choose(self, k: int) -> None:
        """Changes the number of neighbours k."""
        self.k = k
        self.chosen.fill_(k)

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        model = NearestNeighbours(self.k, self.distance).fit(self.features)
        distances, indices = model.neighbours(features)
        own = None if self.sample_weight is None else self.sample_weight[indices]
        labels, weights = self.targets[indices], vote_weights(distances, self.weights, own)
        votes, _ = tally(distances, labels, self.classes, weights)
        scores = votes.to(features.dtype)
        winner = vote(distances, labels, weights).unsqueeze(1)
        best = scores.gather(1, winner)
        lost = (scores >= best).scatter(1, winner, False)
        return torch.where(lost, torch.nextafter(best, best.new_tensor(-torch.inf)), scores)


def by_two_loops(queries: Tensor, features: Tensor) -> Tensor:
    """Returns Σ_k (q_k − a_k)² of every query q and sample a, (queries, samples), one pair at a time."""
    result = queries.new_zeros(len(queries), len(features))
    for i in range(len(queries)):
        for j in range(len(features)):
            result[i, j] = ((queries[i] - features[j]) ** 2).sum()
    return result


def by_one_loop(queries: Tensor, features: Tensor) -> Tensor:
    """Returns the same, a query against all samples at a time."""
    result = queries.new_zeros(len(queries), len(features))
    for i in range(len(queries)):
        result[i] = ((features - queries[i]) ** 2).sum(1)
    return result


def by_product(queries: Tensor, features: Tensor) -> Tensor:
    """Returns the same without a loop: |q − a|² = |q|² − 2 q·a + |a|², and all the q·a are one matrix product.

    Where q and a are close and far from 0, two large numbers are subtracted that agree in most of their digits: in
    float32 the distance of 10000 and 10001 comes out as 0. Values that rounding makes negative are set to 0.
    """
    squares = (queries**2).sum(1, keepdim=True) + (features**2).sum(1)
    return (squares - 2 * queries @ features.mT).clamp(min=0)
