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
    """The first sample of each sample's cluster.

    Args:
        count: Number of samples.
        pairs: Samples that belong together, of shape (m, 2).
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
    """Samples of one entity, each paired with the first of them.

    Args:
        owners: Samples, one for each entity that they have.
        entities: Hashes of the entities.
    """
    if not len(owners):
        return np.zeros((0, 2), dtype=np.int64)
    order = np.lexsort((owners, entities))
    ordered = entities[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    firsts = owners[order][np.flatnonzero(starts)][np.cumsum(starts) - 1]
    joined: npt.NDArray[np.int64] = np.stack([firsts, owners[order]], axis=1)[~starts]
    return joined
