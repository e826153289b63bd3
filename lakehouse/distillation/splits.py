"""Gate: train, valid and test, so that no task, user or family of alike samples stands in two of them.

A cluster's split depends on its key, the seed and the shares alone: clusters that stay what they are stay where they
are when others come. Shares are met on average.

Belongs here: the split of a cluster, limits per task. Not here: clusters (see clusters.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def split_of(key: bytes, seed: int, shares: Sequence[float]) -> int:
    """The number of a cluster's split, drawn by a hash of its key.

    Args:
        key: The cluster's key.
        seed: Another one draws other splits.
        shares: How much of all falls into each split, in their order; they add up to 1.
    """
    digest = hashlib.sha256(b"%d\x1f%b" % (seed, key)).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    reached = 0.0
    for number, share in enumerate(shares):
        reached += share
        if place < reached:
            return number
    return max(number for number, share in enumerate(shares) if share > 0)


def assign_splits(
    clusters: npt.NDArray[np.int64], keys: npt.NDArray[np.void], seed: int, shares: Sequence[float]
) -> npt.NDArray[np.uint8]:
    """The split of each sample: that of its cluster, whose key is the least of its samples' keys.

    Args:
        clusters: The first sample of each sample's cluster.
        keys: 16 bytes of each sample: those of its first entity, or its own.
        seed: As `split_of` takes it.
        shares: Likewise.

    Returns:
        The number of each sample's split, of shape (n,).
    """
    splits = np.zeros(len(clusters), dtype=np.uint8)
    if not len(clusters):
        return splits
    words = keys.view(">u8").reshape(-1, 2)
    order = np.lexsort((words[:, 1], words[:, 0], clusters))
    ordered = clusters[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.append(starts, len(order)))
    least = order[starts]
    numbers = np.fromiter((split_of(bytes(keys[one]), seed, shares) for one in least), dtype=np.uint8, count=len(least))
    splits[order] = np.repeat(numbers, lengths)
    return splits


def over_limit(
    tasks: npt.NDArray[np.uint64], forms: npt.NDArray[np.uint8], is_kept: npt.NDArray[np.bool_], limit: int
) -> npt.NDArray[np.int64]:
    """Samples that are too many of their task: all but the first `limit` of each form.

    Args:
        tasks: Hash of each sample's task; 0 where it has none, which is not limited.
        forms: Number of each sample's form.
        is_kept: What is there so far.
        limit: The most samples of one task and form.

    Returns:
        The places of those samples, in order.
    """
    places = np.flatnonzero(is_kept & (tasks != 0))
    if not len(places):
        return places
    order = places[np.lexsort((places, forms[places], tasks[places]))]
    changes = (tasks[order][1:] != tasks[order][:-1]) | (forms[order][1:] != forms[order][:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    return np.sort(order[rank >= limit])
