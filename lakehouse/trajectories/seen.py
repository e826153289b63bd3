"""Which runs of a file have been seen, in sixteen bytes a run.

Belongs here: ids and contents as hashes. Not here: what follows from seeing one twice (see
lakehouse/adapters/trajectory_staging.py).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_RECENT = 1 << 16


class SeenRuns:
    """Hashes of ids and of what the run was; the recent ones in a dictionary, the others sorted.

    Ids are told apart by 64 bits: among ten million runs two are mixed up with a chance of one in 370,000.
    """

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._ids: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._contents: npt.NDArray[np.uint64] = np.empty(0, np.uint64)

    def add(self, run_id: str, line: bytes) -> bool | None:
        """Note a run; None: it is new. Else whether the one before was the same, byte for byte."""
        key, content = _hash(run_id.encode("utf-8", "surrogatepass")), _hash(line)
        known = self._find(key)
        if known is not None:
            return known == content
        self._recent[key] = content
        if len(self._recent) >= _RECENT:
            self._settle()
        return None

    def _find(self, key: int) -> int | None:
        if key in self._recent:
            return self._recent[key]
        place = int(np.searchsorted(self._ids, np.uint64(key)))
        is_there = place < len(self._ids) and int(self._ids[place]) == key
        return int(self._contents[place]) if is_there else None

    def _settle(self) -> None:
        ids = np.concatenate([self._ids, np.fromiter(self._recent.keys(), np.uint64, len(self._recent))])
        contents = np.concatenate([self._contents, np.fromiter(self._recent.values(), np.uint64, len(self._recent))])
        order = np.argsort(ids, kind="stable")
        self._ids, self._contents = ids[order], contents[order]
        self._recent.clear()


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
