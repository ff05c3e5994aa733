"""The batches of an epoch: an order of the samples cut into blocks, and the samples at those indices."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import torch
from torch import Tensor

from .. import errors
from ..data import Samples
from ..runtime.prefetch import batches_of
from ..runtime.rows import Rows, room

LARGEST = 512 << 20  # bytes of a batch that is read from files: the background holds three of them


def cut(order: Tensor, batch: int, sizes: Sequence[int], own: Callable[[int], slice]) -> list[Tensor]:
    """Cuts an order of the samples into blocks of batches.

    Parameters
    ----------
    order : the samples in the order of the epoch, (samples,), or (runs, samples) where each run has its own
    batch : samples of a batch; a smaller last batch has its own block
    sizes : batches of each block
    own : own(n) is the slice of a batch of n samples that this process reads

    Returns
    -------
    The indices of each block, (steps, samples) or (steps, runs, samples).
    """
    alike = min(sum(sizes), order.shape[-1] // batch)  # batches of full size
    batches = order[..., : alike * batch].unflatten(-1, (alike, batch)).movedim(-2, 0)[..., own(batch)]
    if sum(sizes) == alike:
        return list(batches.split(list(sizes)))
    last = order[..., alike * batch :]
    return [*batches.split(list(sizes[:-1])), last[..., own(last.shape[-1])].unsqueeze(0)]


def draw(
    train: Samples, indices: Sequence[Tensor], reuse: bool = False, ahead: bool = True
) -> Generator[tuple[Tensor, ...], None, None]:
    """Yields features and targets at each of the indices, and their weights if the samples have any.

    Parameters
    ----------
    indices : int64, on the device of the features, (…, samples): the features at them are (…, samples, features)
    reuse : True: each batch overwrites the one before it; False: each has its own memory
    ahead : read features that are not in memory in the background
    """
    features, targets = train.features, train.targets
    assert targets is not None
    beside = [targets] if train.sample_weight is None else [targets, train.sample_weight]
    flat = [index.reshape(-1) for index in indices]
    if isinstance(features, Rows):
        with closing(batches_of(features, flat, ahead)) as found:
            for index, batch in zip(indices, found, strict=True):
                batch = batch if reuse else batch.clone()
                yield batch.view(*index.shape, batch.shape[-1]), *(values_at(values, index) for values in beside)
        return
    into, largest = None, max((len(rows) for rows in flat), default=0)
    sizes = [len(rows) for rows in flat]
    every = [values.index_select(0, torch.cat(flat)).split(sizes) for values in beside]
    for index, rows, *others in zip(indices, flat, *every, strict=True):
        if into is None or not reuse:
            into = room(largest if reuse else len(rows), features.shape[1], features.dtype, features.device)
        batch = torch.index_select(features, 0, rows, out=into[: rows.shape[0]])
        if index.ndim > 1:
            batch = batch.view(*index.shape, batch.shape[-1])
            others = [values.view(*index.shape, *values.shape[1:]) for values in others]
        yield batch, *others


def values_at(values: Tensor, index: Tensor) -> Tensor:
    """Returns the values at the indices, of their shape; rows have an axis more."""
    return values.index_select(0, index.reshape(-1)).view(*index.shape, *values.shape[1:])


def whole(train: Samples, rows: slice = slice(None)) -> tuple[Tensor, ...]:
    """Returns features, targets and any weights in their own order, or those at a slice."""
    assert train.targets is not None
    features = train.features if rows == slice(None) else train.features[rows]
    weights = () if train.sample_weight is None else (train.sample_weight[rows],)
    return features.loaded() if isinstance(features, Rows) else features, train.targets[rows], *weights


def check_batch(train: Samples, batch: int) -> None:
    """Raises ConfigError for a batch of file-backed features that is larger than `LARGEST` bytes."""
    features = train.features
    if not isinstance(features, Rows):
        return
    row = features.nbytes // max(1, len(features))
    if batch * row > LARGEST:
        what = "A full batch" if batch == len(train) else f"A batch of {batch}"
        raise errors.ConfigError(
            f"{what} has {batch * row / 2**20:,.0f} MiB; of features that are read from files at most "
            f"{LARGEST >> 20} MiB are allowed. Take a batch_size of {LARGEST // row} or less."
        )
