"""Gate: nothing is trained on that is held out: no training sample has a near twin in valid, test or a file held out.

Splits keep alike samples together, but only from the likeness on at which one of them is dropped; what is less alike
than that, and still gives an answer away, is found here. It is also the only gate that knows data from elsewhere.

Belongs here: which samples train, which are held out, what is refused. Not here: likeness (see twins.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lakehouse.distillation.parameters import SPLITS
from lakehouse.distillation.twins import in_blocks

if TYPE_CHECKING:
    import numpy.typing as npt

TRAIN = SPLITS.index("train")


def held_out(splits: npt.NDArray[np.uint8], is_kept: npt.NDArray[np.bool_], others: int) -> npt.NDArray[np.bool_]:
    """Say what nobody may train on: samples of other splits than train, and all texts of the held-out file.

    Args:
        splits: The split of each sample, of shape (n,).
        is_kept: Which samples are still there, of shape (n,).
        others: Number of texts in the held-out file.

    Returns:
        Of shape (n + others,): first the samples, then those texts.
    """
    return np.concatenate([is_kept & (splits != TRAIN), np.ones(others, dtype=np.bool_)])


def refuse_twins(
    pairs: npt.NDArray[np.int64], splits: npt.NDArray[np.uint8], is_kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Drop training samples that have a twin which is held out.

    Args:
        pairs: (sample, its twin that is held out), of shape (m, 2).
        splits: The split of each sample.
        is_kept: What is there so far; changed in place.

    Returns:
        For each sample its twin, the first one of it, or -1.
    """
    twin_of = np.full(len(is_kept), -1, dtype=np.int64)
    for sample, twin in in_blocks(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]):
        if is_kept[sample] and splits[sample] == TRAIN and twin_of[sample] < 0:
            twin_of[sample] = twin
    is_kept[twin_of >= 0] = False
    return twin_of
