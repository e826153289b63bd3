"""Which subjects a table may have rows of, told from memory: most that are folded are new, and need no look at it.

Belongs here: the set, which never says no wrongly. Not here: when it is filled (see lakehouse/adapters/folded_rows.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.distinct import distinct


class KnownSubjects:
    """Hashes of subjects, 8 bytes each; two subjects of one hash are taken for one."""

    def __init__(self) -> None:
        self._hashes: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, subjects: Iterable[str]) -> None:
        """Know these from now on."""
        new = distinct(_hashes(subjects))
        self._hashes = distinct(np.concatenate([self._hashes, new]))

    def may_have(self, subjects: Sequence[str]) -> list[str]:
        """Those of some subjects that may be known, in order; the others surely are not."""
        if not len(self._hashes) or not subjects:
            return []
        hashes = _hashes(subjects)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        is_known = self._hashes[places] == hashes
        return [subject for subject, known in zip(subjects, is_known, strict=True) if known]


def _hashes(subjects: Iterable[str]) -> NDArray[np.int64]:
    # Python's own hash of a text is another one in each process, which is no matter here.
    return np.fromiter((hash(subject) for subject in subjects), dtype=np.int64)
