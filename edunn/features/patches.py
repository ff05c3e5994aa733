"""A bag of visual words: a dictionary of small patches, learnt without labels, and how much of each an image has.

1. take random patches, and normalise the brightness and contrast of each
2. ZCA whitening: neighbouring pixels are nearly equal; rotate, scale and rotate back, so that all are uncorrelated
3. k-means: the centroids are the words of the dictionary
4. every patch of an image (stride 1) is coded by its distances to the words
5. the codes are summed over the four quadrants: the features

Coates, Lee & Ng 2011, An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .. import errors
from ..runtime.devices import generator
from ..runtime.threads import divide_work, slices
from .batches import check_images

CUDA_BUDGET = 1024 * 2**20  # bytes for the distances of one chunk of patches
CPU_BUDGET = 4 * 2**20  # the same for each thread: they stay near its core


@dataclass(frozen=True, eq=False, repr=False)
class Whitening:
    """x → (x − mean) @ matrix, after which the features are uncorrelated and of variance one (nearly: see epsilon).

    matrix = V diag(1/√(λ + ε)) Vᵀ, for the covariance C = V diag(λ) Vᵀ of the fitted rows. Of all whitening rotations
    ZCA's is closest to the data, so a whitened patch still looks like a patch. Without ε the directions of least
    variance, which are noise, would be amplified most.

    mean (features,), matrix (features, features)
    """

    mean: Tensor
    matrix: Tensor

    def __repr__(self) -> str:
        return f"Whitening({len(self.mean)} features)"

    @classmethod
    def fit(cls, rows: Tensor, epsilon: float = 0.1) -> Whitening:
        """Fits the whitening to (samples, features), in float64."""
        if rows.ndim != 2 or len(rows) < 2:
            raise errors.ShapeError(f"Whitening takes two rows or more, (samples, features); got {errors.shape(rows)}.")
        errors.check_number("epsilon", epsilon, 0)
        x = rows.double()
        mean = x.mean(0)
        covariance = (x - mean).mT @ (x - mean) / (len(x) - 1)
        values, vectors = torch.linalg.eigh(covariance)
        strength = values.clamp(min=0) + epsilon
        # directions in which there is nothing but rounding stay out: 1/√λ would make features of it
        info = torch.finfo(rows.dtype if rows.dtype.is_floating_point else torch.float64)
        rounding = values.max().clamp(min=0) * len(values) * max(torch.finfo(torch.float64).eps, info.eps**2)
        scale = torch.where(strength > rounding, strength.clamp(min=info.tiny).rsqrt(), 0.0)
        matrix = (vectors * scale) @ vectors.mT
        return cls(mean.to(rows.dtype), matrix.to(rows.dtype))

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.matrix


def even_out(patches: Tensor, epsilon: float = 10.0) -> Tensor:
    """Returns (x − mean(x)) / √(var(x) + ε) of each patch, without brightness and contrast; pixels are 0 to 255."""
    centred = patches - patches.mean(-1, keepdim=True)
    return centred / torch.sqrt(centred.square().sum(-1, keepdim=True) / (patches.shape[-1] - 1) + epsilon)


def patches_of(images: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns every patch of the images (stride 1), (samples, rows, columns, size · size · channels)."""
    windows = images.to(dtype).unfold(1, size, 1).unfold(2, size, 1)  # (n, rows, columns, channels, size, size)
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(3)


def random_patches(images: Tensor, size: int, count: int, seed: int = 0) -> Tensor:
    """Returns `count` patches at random places of random images, (count, size · size · channels), float32."""
    samples, height, width = images.shape[:3]
    draw = generator(seed, int.from_bytes(b"patches", "big"))
    which = torch.randint(samples, (count,), generator=draw)
    row = torch.randint(height - size + 1, (count,), generator=draw)
    column = torch.randint(width - size + 1, (count,), generator=draw)
    step = torch.arange(size)
    rows, columns = row[:, None, None] + step[:, None], column[:, None, None] + step
    index = (which[:, None, None].to(images.device), rows.to(images.device), columns.to(images.device))
    return images[index].flatten(1).float()


def for_distances(centroids: Tensor, most: int) -> Callable[[Tensor], Tensor]:
    """Returns a function that computes the squared distances |x − c|², (rows, centroids), of at most `most` rows.

    |x|² − 2 x·c + |c|², never negative: one product, with |x|² and a 1 appended to each row. The digits that this loses
    beside |x − c|² in full do not matter here; for nearest neighbours they do (see `edunn.neighbours`). Its result
    is overwritten by the next call.
    """
    extended = torch.cat([-2 * centroids, torch.ones_like(centroids[:, :1]), norms(centroids)], 1).mT.contiguous()
    rows = centroids.new_ones(most, len(extended))
    # allocated once: fresh pages cost a product half its speed
    out = centroids.new_empty(most, len(centroids))

    def squared(x: Tensor) -> Tensor:
        given, here = rows[: len(x)], out[: len(x)]
        given[:, :-2] = x
        torch.sum(x.square(), 1, out=given[:, -2])
        return torch.mm(given, extended, out=here).clamp_(min=0)

    return squared


def default_budget(device: torch.device) -> int:
    return CPU_BUDGET if device.type == "cpu" else CUDA_BUDGET


def norms(rows: Tensor) -> Tensor:
    return rows.square().sum(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Clusters:
    """The result of k-means.

    centroids : (k, features)
    assignment : the index of each row's centroid
    inertia : the sum of the squared distances of the rows to their centroids
    converged : whether no assignment changed in the last of the `rounds`
    """

    centroids: Tensor = field(repr=False)
    assignment: Tensor = field(repr=False)
    inertia: float
    rounds: int
    converged: bool


def k_means(rows: Tensor, start: Tensor, rounds: int = 10, budget: int | None = None) -> Clusters:
    """Lloyd's algorithm: assign each row to its nearest centroid, move each centroid to the mean of its rows, repeat.

    Of centroids at the same distance the first is taken. A centroid without rows moves onto the row that is farthest
    from its own centroid (several: onto the farthest ones in turn), so that all are used, as in scikit-learn. A row
    that equals its centroid, or is its centroid's only one, is not taken; if there is no other, the centroid stays.
    Stops early once no assignment changes.

    Parameters
    ----------
    rows : (samples, features); start : (k, features), from `k_means_start`, say
    rounds : at most
    """
    if len(start) > len(rows):
        raise errors.DataError(f"There are {len(start)} centroids, but only {len(rows)} rows.")
    centroids = start.clone()
    budget = budget or default_budget(rows.device)
    assignment, distance = assign(rows, centroids, budget)
    done, converged = 0, False
    while done < rounds and not converged:
        done += 1
        centroids = move_to_means(rows, assignment, distance, centroids)
        previous = assignment
        assignment, distance = assign(rows, centroids, budget)
        converged = torch.equal(assignment, previous)
    return Clusters(centroids, assignment, float(distance.double().sum()), done, converged)


def assign(rows: Tensor, centroids: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Returns the nearest centroid of each row, and the squared distance to it."""
    nearest = torch.empty(len(rows), dtype=torch.long, device=rows.device)
    distance = rows.new_empty(len(rows))
    size = max(1, budget // (rows.element_size() * len(centroids)))

    def make() -> Callable[[slice], None]:
        squared = for_distances(centroids, min(size, len(rows)))

        def one(part: slice) -> None:
            torch.min(squared(rows[part]), 1, out=(distance[part], nearest[part]))

        return one

    divide_work(slices(len(rows), size), make, rows.device)
    return nearest, distance


def move_to_means(rows: Tensor, assignment: Tensor, distance: Tensor, centroids: Tensor) -> Tensor:
    """Returns the mean of each centroid's rows; for a centroid without rows, one of the farthest rows."""
    # summed in float64, so that the order, which differs by device, is lost in the rounding to float32
    count = len(centroids)
    sums = torch.zeros(count, rows.shape[1], dtype=torch.float64, device=rows.device)
    chunk = max(1, CUDA_BUDGET // (8 * rows.shape[1]))
    for start in range(0, len(rows), chunk):
        sums.index_add_(0, assignment[start : start + chunk], rows[start : start + chunk].double())
    sizes = torch.bincount(assignment, minlength=count)
    empty = (sizes == 0).nonzero().flatten().tolist()
    for row in distance.argsort(descending=True, stable=True).tolist() if empty else ():
        if not empty or distance[row] == 0:
            break
        owner = int(assignment[row])
        if sizes[owner] > 1:
            here = empty.pop(0)
            sums[owner] -= rows[row].double()
            sums[here] = rows[row].double()
            sizes[owner] -= 1
            sizes[here] = 1
    moved = (sums / sizes.clamp(min=1).unsqueeze(1)).to(rows.dtype)
    return torch.where((sizes > 0).unsqueeze(1), moved, centroids)


def k_means_start(rows: Tensor, count: int, seed: int = 0, sample: int = 20_000) -> Tensor:
    """k-means++: each next centroid is a row drawn with a probability proportional to its squared distance to the
    nearest one so far. Arthur & Vassilvitskii 2007.

    It draws from the first `sample` rows (or 20 a centroid, if that is more), because the rows are in random order.
    """
    pool = rows[: max(sample, 20 * count)]
    if count > len(pool):
        raise errors.DataError(f"There are {count} centroids, but only {len(pool)} rows.")
    draws = torch.rand(count, generator=generator(seed, int.from_bytes(b"k-means", "big")), dtype=torch.float64)
    chosen = [int(draws[0] * len(pool))]
    squares = norms(pool).squeeze(1)
    distance = torch.full_like(squares, torch.inf)
    for draw in draws[1:].tolist():
        newest = pool[chosen[-1]]
        distance = torch.minimum(distance, (squares - 2 * (pool @ newest) + newest.square().sum()).clamp_(min=0))
        distance[chosen[-1]] = 0  # rounding may leave a little, and a row is not drawn twice
        shares = distance.double().cumsum(0)
        if shares[-1] == 0:  # fewer different rows than centroids
            chosen.append(int(draw * len(pool)))
            continue
        chosen.append(min(int(torch.searchsorted(shares, draw * shares[-1], right=True)), len(pool) - 1))
    return pool[chosen].clone()


def hard(squared: Tensor) -> Tensor:
    """Codes patches in place: 1 for the nearest word, 0 for the others; the sum over an image is its histogram."""
    nearest = squared.argmin(1, keepdim=True)
    return squared.zero_().scatter_(1, nearest, 1.0)


def triangle(squared: Tensor) -> Tensor:
    """Codes patches in place: max(0, μ − z_k), with z_k the distance to word k and μ the mean of a patch's distances.

    About half of the codes are 0. The accuracy is several points higher than with `hard` in Coates, Lee & Ng's table 1.
    """
    distance = squared.sqrt_()
    mean = distance.mean(1, keepdim=True)
    return distance.neg_().add_(mean).clamp_(min=0)


CODES = {"triangle": triangle, "hard": hard}


@dataclass(frozen=True, eq=False, repr=False)
class Dictionary:
    """A learnt dictionary: the whitening, the words, and the coding of images with them.

    centroids (words, size · size · channels), in whitened coordinates
    """

    whitening: Whitening
    centroids: Tensor
    size: int
    coding: str = "triangle"

    def __repr__(self) -> str:
        return f"Dictionary({len(self.centroids)} words of {self.size}×{self.size}×{self.channels}, {self.coding})"

    @property
    def channels(self) -> int:
        return self.centroids.shape[1] // self.size**2

    @property
    def width(self) -> int:
        return 4 * len(self.centroids)

    @torch.no_grad()
    def __call__(self, images: Tensor, budget: int | None = None) -> Tensor:
        """Returns the mean code of each quadrant (upper left and right, lower left and right), (samples, 4 · words).

        Where the number of patches in a row is odd, the middle one belongs to the right (or lower) quadrants.
        """
        check_images(images, channels=self.channels)
        dictionary = self.to(images.device)
        rows, columns = images.shape[1] - self.size + 1, images.shape[2] - self.size + 1
        check_size(images, self.size, least=self.size + 1)
        places, words = rows * columns, len(self.centroids)
        size = max(1, (budget or default_budget(images.device)) // (4 * places * words))
        pool = quadrants(rows, columns).to(images.device)
        out = dictionary.centroids.new_empty(len(images), self.width)

        def make() -> Callable[[slice], None]:
            squared = for_distances(dictionary.centroids, size * places)
            code = CODES[self.coding]

            def one(part: slice) -> None:
                patches = patches_of(images[part], self.size).flatten(0, 2)
                codes = code(squared(dictionary.whitening(even_out(patches))))
                pooled = out[part].view(-1, 4, words)
                torch.matmul(pool, codes.view(len(pooled), places, words), out=pooled)

            return one

        divide_work(slices(len(images), size), make, images.device)
        return out

    def to(self, device: torch.device) -> Dictionary:
        whitening = Whitening(self.whitening.mean.to(device), self.whitening.matrix.to(device))
        return Dictionary(whitening, self.centroids.to(device), self.size, self.coding)

    def patches(self) -> Tensor:
        """Returns the words as patches, (words, size, size, channels), for a picture of the dictionary."""
        return self.centroids.view(len(self.centroids), self.size, self.size, -1)


def learn(
    images: Tensor,
    words: int = 400,
    size: int = 6,
    patches: int = 200_000,
    rounds: int = 10,
    coding: str = "triangle",
    epsilon: float = 0.1,
    start: str = "normal",
    seed: int = 0,
) -> Dictionary:
    """Learns a dictionary from images (samples, height, width, channels), which should be of the training part alone.

    Parameters
    ----------
    words : the number of centroids
    size : of a patch, in pixels
    patches : the number of random patches to learn from
    rounds : of Lloyd's algorithm
    coding : "triangle" or "hard"
    epsilon : of the whitening
    start : "normal", small random numbers, which is as good on whitened patches and takes no time; or "k-means++"
    """
    check_images(images)
    if coding not in CODES:
        raise errors.ConfigError(f"coding is {' or '.join(CODES)}; got {coding!r}.")
    if start not in ("normal", "k-means++"):
        raise errors.ConfigError(f"start is normal or k-means++; got {start!r}.")
    for name, value in (("words", words), ("size", size), ("patches", patches), ("rounds", rounds)):
        errors.check_count(name, value)
    if patches < words:
        raise errors.ConfigError(f"{words} words cannot be learnt from {patches} patches. Take more patches.")
    images = images if images.ndim == 4 else images.unsqueeze(-1)
    check_size(images, size, least=size + 1)
    rows = even_out(random_patches(images, size, patches, seed))
    whitening = Whitening.fit(rows, epsilon)
    rows = whitening(rows)
    if start == "normal":
        draw = generator(seed, int.from_bytes(b"words", "big"))
        first = 0.1 * torch.randn(words, rows.shape[1], generator=draw).to(rows)
    else:
        first = k_means_start(rows, words, seed)
    return Dictionary(whitening, k_means(rows, first, rounds).centroids, size, coding)


def quadrants(rows: int, columns: int) -> Tensor:
    """Returns a matrix (4, rows · columns) by which one product takes the mean over each of the four quadrants."""
    lower = (torch.arange(rows) >= rows // 2).long()[:, None]
    right = (torch.arange(columns) >= columns // 2).long()
    member = torch.nn.functional.one_hot((2 * lower + right).flatten(), 4).float().mT
    return member / member.sum(1, keepdim=True)


def check_size(images: Tensor, size: int, least: int) -> None:
    if min(images.shape[1:3]) < least:
        raise errors.ShapeError(
            f"Expected images of at least {least} × {least} pixels for patches of {size} × {size} and four quadrants; "
            f"got {images.shape[1]} × {images.shape[2]}."
        )
