"""Memory for indexes: an estimate for a corpus before it is read, and the budget that a process's indexes share.

Belongs here: the estimate, the budget. Not here: what becomes of a corpus that does not fit (see
lakehouse/adapters/corpora.py).
"""

from __future__ import annotations

import threading

VECTOR_BYTES = 4
# Measured on résumés and on short notes: codes are a share of the vectors, each row has an entry in the table of ids,
# and texts and metadata take about as much again for their postings and columns.
_CODES_SHARE = 0.15
_ROW_BYTES = 100
_TEXT_FACTOR = 2.0
_UNKNOWN_TEXT_BYTES = 256


def hot_index_bytes(rows: int, dimension: int, *, stored_bytes: int | None = None) -> int:
    """About how many bytes a hot index of a corpus will take.

    Args:
        rows: Of the corpus.
        dimension: Of its vectors.
        stored_bytes: Size of its files, vectors included; None when unknown.
    """
    vectors = rows * dimension * VECTOR_BYTES
    texts = rows * _UNKNOWN_TEXT_BYTES if stored_bytes is None else max(0, stored_bytes - vectors)
    return int(vectors * (1 + _CODES_SHARE) + rows * _ROW_BYTES + texts * _TEXT_FACTOR)


class IndexMemory:
    """The memory that the hot indexes of a process share; for any number of threads.

    Args:
        budget_bytes: All of it; None: no limit.
    """

    def __init__(self, budget_bytes: int | None) -> None:
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def claim(self, name: str, wanted: int) -> bool:
        """Reserve memory for a corpus in place of its earlier claim; False, and no claim, when it does not fit."""
        with self._lock:
            self._held.pop(name, None)
            if self.budget_bytes is not None and sum(self._held.values()) + wanted > self.budget_bytes:
                return False
            self._held[name] = wanted
            return True

    def measure(self, name: str, taken: int) -> None:
        """Replace the estimate of a corpus that has a claim by what it really takes."""
        with self._lock:
            if name in self._held:
                self._held[name] = taken

    @property
    def is_over(self) -> bool:
        """Whether all corpora together take more than the budget."""
        return self.budget_bytes is not None and self.held_bytes > self.budget_bytes

    def release(self, name: str) -> None:
        """Give up the claim of a corpus."""
        with self._lock:
            self._held.pop(name, None)

    @property
    def held_bytes(self) -> int:
        """Sum of all claims."""
        with self._lock:
            return sum(self._held.values())
