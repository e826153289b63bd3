"""Samples that belong together: of one task, of one user, or alike; whole clusters go into one split.

Belongs here: joining samples to clusters. Not here: what joins them (see sample.py, twins.py), splits (see splits.py).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.distillation.twins import in_blocks

if TYPE_CHECKING:
    import numpy.typing as npt


def join_clusters(count: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join samples that belong together, each with the others of its pairs and so on, to clusters.

    Args:
        count: Number of samples.
        pairs: Samples that belong together, of shape (m, 2).

    Returns:
        For each sample the first one of its cluster, of shape (count,).
    """
    parent = array("q", range(count))

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    for one, other in in_blocks(pairs):
        a, b = root(one), root(other)
        if a != b:
            parent[max(a, b)] = min(a, b)
    return np.fromiter((root(place) for place in range(count)), dtype=np.int64, count=count)


def entity_pairs(owners: npt.NDArray[np.int64], entities: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Pair each sample that has an entity with the first one that has it.

    Args:
        owners: Samples, of shape (n,): one stands here once for each entity that it has.
        entities: Hash of the entity at each of these places, of shape (n,).

    Returns:
        (first sample, other sample) of shape (m, 2).
    """
    if not len(owners):
        return np.zeros((0, 2), dtype=np.int64)
    order = np.lexsort((owners, entities))
    ordered = entities[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    firsts = owners[order][np.flatnonzero(starts)][np.cumsum(starts) - 1]
    joined: npt.NDArray[np.int64] = np.stack([firsts, owners[order]], axis=1)[~starts]
    return joined
