"""k nearest neighbours: no training, all the work at the question. Exact, in chunks, with rules for every tie.

    model = NearestNeighbours(k=5).fit(features, labels)
    model.predict(queries)
    distances, indices = model.neighbours(queries)

Three rules make the answer the same on every device: distances are compared in float64; of neighbours at the same
distance the earlier in the training order counts; of classes with the same votes the one whose nearest neighbour is
nearer wins, then the smaller label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import errors
from .models import Model
from .runtime.reprs import ArgumentRepr
from .runtime.threads import share_out, slices

BUDGET = 256 * 2**20  # bytes for the distances of one chunk
GROUP = 100  # training samples whose smallest distance stands for them
CACHE = 2**20  # bytes of the differences that are measured at once on a CPU
MORE = (5, 40)  # how many are nominated beside the k, at first and for those queries that this does not prove
METRICS = ("l2", "l1")


class NearestNeighbours(ArgumentRepr):
    """Predicts the class that most of the k nearest training samples have.

    Distances are first computed in the features' own dtype, all at once as a matrix product (L2) or by `torch.cdist`
    (L1). That can be wrong in the last digits: 10000 and 10001 may come out at distance 0. So it only nominates; the
    nominated are measured again in float64 from their differences, and a bound on the rounding error proves that nobody
    else can be among the k. Queries without the proof are measured in full in float64.

    Parameters
    ----------
    k : how many neighbours vote
    metric : "l2", √Σ(q − a)², or "l1", Σ|q − a|
    budget : bytes for the distances of one chunk
    """

    def __init__(self, k: int = 1, metric: str = "l2", budget: int = BUDGET) -> None:
        if k < 1:
            raise errors.ConfigError(f"Expected k of 1 or more; got {k}.")
        if metric not in METRICS:
            raise errors.ConfigError(f"Expected metric l2 or l1; got {metric!r}. {errors.nearest(metric, METRICS)}")
        self.k = k
        self.metric = metric
        self.budget = budget
        self.features = torch.empty(0, 0)  # nobody to be near to, until fit
        self.labels: Tensor | None = None

    def fit(self, features: Tensor, labels: Tensor | None = None) -> NearestNeighbours:
        """Keeps (samples, features) and, for `predict`, class indices (samples,). Returns itself."""
        if features.ndim != 2:
            raise errors.ShapeError(f"Expected features of shape (samples, features); got {errors.shape(features)}.")
        if not features.dtype.is_floating_point:
            features = features.float() if features.dtype == torch.uint8 else features.double()
        errors.check_finite("features", features)
        if labels is not None:
            if labels.shape != features.shape[:1]:
                raise errors.ShapeError(
                    f"Expected labels of shape (samples,) = ({len(features)},); got {errors.shape(labels)}."
                )
            if labels.dtype.is_floating_point or (len(labels) and int(labels.min()) < 0):
                raise errors.LabelError("Expected labels as class indices 0, 1, …: whole numbers, none negative.")
        if self.k > len(features):
            raise errors.ConfigError(f"Expected k of at most {len(features)}, the training samples; got {self.k}.")
        self.features, self.labels = features, labels
        # centred data has smaller norms, and the product loses fewer digits; distances do not change
        self.centre = features.double().mean(0) if len(features) else features.new_zeros(features.shape[1]).double()
        self.centred = (features.double() - self.centre).to(features.dtype)
        self.norms = self.centred.double().square().sum(1)
        self.half = (self.norms / 2).to(features.dtype)
        return self

    def neighbours(self, queries: Tensor, k: int | None = None) -> tuple[Tensor, Tensor]:
        """(distances, indices), each (queries, k), the nearest first; distances in float64, never negative."""
        k = k or self.k
        queries = self.check(queries, k)
        distances = torch.empty(len(queries), k, dtype=torch.float64, device=queries.device)
        indices = torch.empty(len(queries), k, dtype=torch.long, device=queries.device)
        size = max(1, self.budget // (queries.element_size() * max(1, len(self.features))))
        nominate = self.nominator(min(size, max(1, len(queries))))
        for start in range(0, len(queries), size):
            rows = slice(start, start + size)
            distances[rows], indices[rows] = self.nearest(queries[rows], k, nominate)
        return distances.sqrt_() if self.metric == "l2" else distances, indices

    def predict(self, queries: Tensor, k: int | None = None) -> Tensor:
        """The class of each query, (queries,)."""
        if len(self.features) and self.labels is None:
            raise errors.DataError("Expected labels to vote with; fit(features, labels) was given none.")
        distances, indices = self.neighbours(queries, k)
        assert self.labels is not None
        return vote(distances, self.labels[indices])

    def score(self, queries: Tensor, labels: Tensor) -> Tensor:
        """The share of right predictions."""
        return (self.predict(queries) == labels).double().mean()

    def nearest(
        self, queries: Tensor, k: int, nominate: Callable[[Tensor, int], Nominated], more: tuple[int, ...] = MORE
    ) -> tuple[Tensor, Tensor]:
        """The k nearest of one chunk of queries: nominated, measured, and proved.

        Queries without a proof get more nominees, and in the end are measured against everything.
        """
        if not more:
            rows = [self.in_full(query, k) for query in queries]
            return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])
        found = nominate(queries, min(len(self.features), k + more[0]))
        exact = self.measured(queries, found.indices)
        order = by_distance_then_index(exact, found.indices)
        distances, indices = exact.gather(1, order)[:, :k], found.indices.gather(1, order)[:, :k]
        # all who were not nominated are at least `beyond` away; at exactly the k-th distance an earlier one would count
        unproved = ~(found.beyond > distances[:, -1])
        if unproved.any():
            distances[unproved], indices[unproved] = self.nearest(queries[unproved], k, nominate, more[1:])
        return distances, indices

    def measured(self, queries: Tensor, indices: Tensor) -> Tensor:
        """Σ(q − a)², or Σ|q − a|, in float64 from the differences, for the given training samples of each query."""
        exact = torch.empty(indices.shape, dtype=torch.float64, device=queries.device)
        budget = CACHE if exact.device.type == "cpu" else self.budget
        size = max(1, budget // (16 * max(1, indices.shape[1] * queries.shape[1])))

        def one(rows: slice) -> None:
            # two float32 have an exact difference in float64 (nearly always), so no digit is lost before the sum
            difference = self.features[indices[rows]].double().sub_(queries[rows].unsqueeze(1))
            exact[rows] = summed(difference, self.metric)

        share_out(slices(len(queries), size), lambda: one, exact.device)
        return exact

    def in_full(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """One query against everything in float64; the stable sort keeps the training order within ties."""
        size = max(1, self.budget // (16 * max(1, query.shape[0])))
        parts = [summed(rows.double() - query.double(), self.metric) for rows in self.features.split(size)]
        distances, indices = torch.cat(parts).sort(stable=True)
        return distances[:k], indices[:k]

    def nominator(self, most: int) -> Callable[[Tensor, int], Nominated]:
        """A function that nominates for at most `most` queries at a time, with buffers of its own."""
        samples, width = self.features.shape
        unit = torch.finfo(self.features.dtype).eps / 2
        buffer = self.features.new_empty(most, samples)

        def squares(queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """½|a|² − q·a for all, what to add to make it ½|q − a|², and the largest rounding error of it."""
            q = (queries.double() - self.centre).to(queries.dtype)
            half = torch.addmm(self.half, q, self.centred.mT, alpha=-1, out=buffer[: len(q)])
            square = q.double().square().sum(1)
            # |fl(q·a) − q·a| ≤ width · u · |q||a| in whatever order it is summed; the rest is ½|a|² and the centring
            longest = self.norms.max().sqrt()
            error = unit * ((width + 4) * square.sqrt() * longest + 4 * (square + longest**2))
            return half, square / 2, error

        def nominate(queries: Tensor, wanted: int) -> Nominated:
            if self.metric == "l2":
                rough, shift, error = squares(queries)
            else:
                rough = torch.cdist(queries, self.features, p=1.0)
                shift = error = torch.zeros((), dtype=torch.float64)
            values, indices = smallest(rough, wanted)
            if wanted == samples:
                beyond = torch.full((len(queries),), torch.inf, dtype=torch.float64, device=queries.device)
            elif self.metric == "l2":
                beyond = 2 * (values[:, -1].double() + shift - error)
            else:  # each of the differences and sums rounds, so the sum is right to width · u of itself
                beyond = values[:, -1].double() * (1 - 2 * unit * (width + 2))
            return Nominated(indices, beyond)

        return nominate

    def check(self, queries: Tensor, k: int) -> Tensor:
        if not len(self.features):
            raise errors.DataError("Expected training samples to search; call fit(features, labels) first.")
        width = self.features.shape[1]
        if queries.ndim != 2 or queries.shape[1] != width:
            hint = " Did you mean queries[None], for a single one?" if tuple(queries.shape) == (width,) else ""
            raise errors.ShapeError(f"Expected queries of shape (queries, {width}); got {errors.shape(queries)}.{hint}")
        if not 1 <= k <= len(self.features):
            raise errors.ConfigError(f"Expected k from 1 to {len(self.features)}, the training samples; got {k}.")
        queries = queries if queries.dtype == self.features.dtype else queries.to(self.features.dtype)
        errors.check_finite("queries", queries)
        return queries


@dataclass(frozen=True)
class Nominated:
    """Candidates (queries, candidates), and a distance (queries,) that nobody else can be below."""

    indices: Tensor
    beyond: Tensor


def smallest(rough: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """The `wanted` smallest values of each row and where they are.

    One pass finds the smallest of each group; the groups with the smallest ones hold all that is wanted, and only they
    are searched. `torch.topk` over the whole row takes several times as long.
    """
    samples = rough.shape[1]
    groups = samples // GROUP
    if groups < 4 * wanted:
        return rough.topk(wanted, dim=1, largest=False)
    whole, rest = rough[:, : groups * GROUP].unflatten(1, (groups, GROUP)), rough[:, groups * GROUP :]
    best = whole.amin(2).topk(wanted, dim=1, largest=False).indices
    values = torch.cat([whole.gather(1, best.unsqueeze(2).expand(-1, -1, GROUP)).flatten(1), rest], 1)
    found, place = values.topk(wanted, dim=1, largest=False)
    inside = place < wanted * GROUP
    group = best.gather(1, (place // GROUP).clamp(max=wanted - 1))
    indices = torch.where(inside, group * GROUP + place % GROUP, place - wanted * GROUP + groups * GROUP)
    return found, indices


def summed(difference: Tensor, metric: str) -> Tensor:
    """Σ d² or Σ |d| over the last axis; overwrites d."""
    return difference.square_().sum(-1) if metric == "l2" else difference.abs_().sum(-1)


def by_distance_then_index(distances: Tensor, indices: Tensor) -> Tensor:
    """The order of each row by distance, and within a distance by index: two stable sorts, the minor key first."""
    first = indices.argsort(dim=1, stable=True)
    second = distances.gather(1, first).argsort(dim=1, stable=True)
    return first.gather(1, second)


def vote(distances: Tensor, labels: Tensor) -> Tensor:
    """The class with the most votes of each row, (queries,), for distances and labels (queries, k), nearest first.

    Of classes with the same votes the one whose nearest neighbour is nearer wins, then the smaller label.
    """
    classes = int(labels.max()) + 1 if labels.numel() else 1
    votes, nearest = tally(distances, labels, classes)
    nearest = nearest.masked_fill(votes < votes.amax(1, keepdim=True), torch.inf)
    # argmax of equals is the first, so the smallest, label among those that are nearest
    return (nearest == nearest.amin(1, keepdim=True)).long().argmax(1)


def tally(distances: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """For each query and class: its votes, and the distance of its nearest neighbour (inf where it has none)."""
    shape = (len(labels), classes)
    votes = torch.zeros(shape, dtype=torch.long, device=labels.device)
    votes.scatter_add_(1, labels, torch.ones_like(labels))
    nearest = torch.full(shape, torch.inf, dtype=torch.float64, device=labels.device)
    return votes, nearest.scatter_reduce_(1, labels, distances.double(), "amin")


class Voters(Model):
    """Nearest neighbours as a model: scores are votes, and the training samples are its state.

    `model(features)` gives (samples, classes): the votes of each class, less a share of a vote for each class that wins
    a tie against it, so that the largest score is the class that `NearestNeighbours.predict` gives.

    features (samples, features), targets (samples,), class indices
    """

    predicts = "classes"
    features: Tensor
    targets: Tensor
    chosen: Tensor

    def __init__(self, k: int, metric: str, features: Tensor, targets: Tensor, classes: int) -> None:
        super().__init__()
        self.distance, self.classes = metric, classes
        self.register_buffer("features", features)
        self.register_buffer("targets", targets)
        self.register_buffer("chosen", torch.tensor(k))
        self.k = k

    def choose(self, k: int) -> None:
        """Another number of neighbours."""
        self.k = k
        self.chosen.fill_(k)

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        model = NearestNeighbours(self.k, self.distance).fit(self.features, self.targets)
        distances, indices = model.neighbours(features)
        labels = self.targets[indices]
        votes, nearest = tally(distances, labels, self.classes)
        # of equal votes the nearer, then the smaller label: two stable sorts, the minor key first
        order = nearest.argsort(dim=1, stable=True)
        place = order.argsort(dim=1)
        return votes.to(features.dtype) - place.to(features.dtype) / (self.classes + 1)


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
